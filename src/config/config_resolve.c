/*
 * Builds what the daemon runs by out of the options' raw values. Nothing here can fail but for want
 * of memory: every value has been checked before, and what contradicts itself has been reported.
 */
#include "config/config_resolve.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "batv/address.h"

/* A collection grows by doubling, and has the header beside the body. */
enum { BODY_SHARE = 5 };

/* Where the options that are named stand in the file: the last of their lines, 0 where none does.
 */
static unsigned last_line(const struct raw_config *raw, const char *const paths[], size_t count,
                          bool *bad)
{
    unsigned line = 0;
    for (size_t i = 0; i < count; i++) {
        const struct config_option *option = option_find(paths[i]);
        size_t index = (size_t)(option - config_options);
        *bad = *bad || raw->given[index].bad;
        line = raw->given[index].line > line ? raw->given[index].line : line;
    }
    return line;
}

/* Ten slots have to do for the keys that still verify, one that signs, one that waits, one to
 * spare. */
static void check_keys(const struct raw_config *raw, const char *path,
                       struct config_messages *messages)
{
    static const char *const days[] = {"keys.retain_days", "sign.lifetime_days",
                                       "keys.rotate_days"};
    bool bad = false;
    bool bad_rotation = false;
    unsigned line = last_line(raw, days, 2, &bad);
    if (!bad && raw->retain_days > 0 && raw->retain_days < raw->lifetime_days) {
        config_messages_add(messages, CONFIG_WARNING, path, line,
                            "keys.retain_days: found %d, expected 0 or at least "
                            "sign.lifetime_days = %d: a former key is kept for %d days",
                            raw->retain_days, raw->lifetime_days, raw->lifetime_days);
    }
    line = last_line(raw, days, 3, &bad_rotation);
    if (bad || bad_rotation || raw->rotate_days == 0) {
        return;
    }
    int kept = raw->retain_days > raw->lifetime_days ? raw->retain_days : raw->lifetime_days;
    int slots = (kept + raw->rotate_days - 1) / raw->rotate_days + 3;
    if (slots > RING_SLOTS) {
        config_messages_add(
            messages, CONFIG_ERROR, path, line,
            "keys.rotate_days = %d, keys.retain_days = %d and sign.lifetime_days = %d need %d keys "
            "at a time, expected at most %d: set keys.rotate_days to at least %d or keep keys for "
            "less time",
            raw->rotate_days, raw->retain_days, raw->lifetime_days, slots, (int)RING_SLOTS,
            (kept + RING_SLOTS - 4) / (RING_SLOTS - 3));
    }
}

/* One bounce that could never be read, even alone, would be deferred for ever: its network has a
 * quarter, of which the header takes some. */
static void check_memory(const struct raw_config *raw, const char *path,
                         struct config_messages *messages)
{
    static const char *const sizes[] = {"evidence.max_body", "evidence.max_memory"};
    bool bad = false;
    unsigned line = last_line(raw, sizes, 2, &bad);
    if (!bad && raw->evidence_max_body > raw->evidence_max_memory / BODY_SHARE) {
        config_messages_add(messages, CONFIG_ERROR, path, line,
                            "evidence.max_body = %zu is more than a fifth of "
                            "evidence.max_memory = %zu: a bounce of that size could never be read",
                            raw->evidence_max_body, raw->evidence_max_memory);
    }
}

/* Patterns are guessed by whoever has seen a message; a tag is not. */
static void check_message_ids(const struct raw_config *raw, struct config_messages *messages)
{
    static const char *const signs[] = {"sign.enabled", "domains.sign"};
    bool bad = false;
    last_line(raw, signs, 2, &bad);
    for (size_t i = 0; !bad && i < raw->domain_count; i++) {
        const struct raw_domain *domain = &raw->domains[i];
        char quoted[CONFIG_QUOTED];
        if (domain->message_id_patterns.count > 0 && raw->sign_enabled && domain->sign) {
            config_quote(domain->name, strlen(domain->name), quoted);
            config_messages_add(messages, CONFIG_WARNING, domain->file,
                                domain->message_id_patterns.line,
                                "domains.message_id_patterns: not used while the domain signs, "
                                "expected sign = false for %s or sign.enabled = false",
                                quoted);
        }
    }
}

static void check_listener(const struct raw_config *raw, const char *path,
                           struct config_messages *messages)
{
    static const char *const mode[] = {"listen_mode"};
    bool bad = false;
    unsigned line = last_line(raw, mode, 1, &bad);
    if (!bad && (raw->listen_mode & S_IWOTH) != 0) {
        config_messages_add(messages, CONFIG_WARNING, path, line,
                            "listen_mode: found \"%04o\", which lets every local user have "
                            "addresses signed, expected \"0660\" or less",
                            raw->listen_mode);
    }
}

static int key_compare(const void *a, const void *b)
{
    const struct raw_domain *first = *(const struct raw_domain *const *)a;
    const struct raw_domain *second = *(const struct raw_domain *const *)b;
    int order = strcmp(first->key, second->key);
    return order != 0 ? order : (first > second) - (first < second);
}

static void report_repeated(const struct raw_domain *domain, const struct raw_domain *first,
                            struct config_messages *messages)
{
    char quoted[CONFIG_QUOTED];
    config_quote(domain->name, strlen(domain->name), quoted);
    if (strcmp(domain->file, first->file) == 0) {
        config_messages_add(messages, CONFIG_ERROR, domain->file, domain->line,
                            "domains: found %s twice, first in line %u", quoted, first->line);
    } else {
        config_messages_add(messages, CONFIG_ERROR, domain->file, domain->line,
                            "domains: found %s twice, first in %s:%u", quoted, first->file,
                            first->line);
    }
}

/* Finds every domain's key, which the domains' settings take over. */
static void check_domains(struct raw_config *raw, struct config_messages *messages)
{
    const struct raw_domain **sorted = calloc(raw->domain_count + 1, sizeof(struct raw_domain *));
    bool done = sorted != NULL;
    for (size_t i = 0; done && i < raw->domain_count; i++) {
        sorted[i] = &raw->domains[i];
        raw->domains[i].key = address_domain_key(raw->domains[i].name);
        done = raw->domains[i].key != NULL;
    }
    if (!done) {
        messages->no_memory = true;
    } else if (raw->domain_count > 1) {
        const struct raw_domain *first = NULL;
        qsort(sorted, raw->domain_count, sizeof(struct raw_domain *), key_compare);
        for (size_t i = 0; i < raw->domain_count; i++) {
            if (first == NULL || strcmp(sorted[i]->key, first->key) != 0) {
                first = sorted[i];
                continue;
            }
            report_repeated(sorted[i], first, messages);
        }
    }
    free(sorted);
}

void config_cross_check(struct raw_config *raw, const char *path, struct config_messages *messages)
{
    check_listener(raw, path, messages);
    check_domains(raw, messages);
    check_message_ids(raw, messages);
    check_memory(raw, path, messages);
    check_keys(raw, path, messages);
}

/* out: where the pointer to a list of that kind goes. */
static enum status resolve_list(const struct raw_list *list, enum list_kind kind, void *out)
{
    size_t bad = 0;
    const char **texts = calloc(list->count + 1, sizeof *texts);
    for (size_t i = 0; texts != NULL && i < list->count; i++) {
        texts[i] = list->items[i].text;
    }
    enum status status =
        texts == NULL ? STATUS_NO_MEMORY : list_new(kind, texts, list->count, out, &bad);
    free(texts);
    return status;
}

/* exclude_sign.clients: networks to one list, names to the other. */
static enum status resolve_clients(const struct raw_list *clients, struct settings *settings)
{
    struct raw_list both[2] = {{.items = NULL}, {.items = NULL}};
    enum status status = STATUS_NO_MEMORY;
    both[0].items = calloc(clients->count + 1, sizeof *both[0].items);
    both[1].items = calloc(clients->count + 1, sizeof *both[1].items);
    if (both[0].items != NULL && both[1].items != NULL) {
        status = STATUS_OK;
    }
    for (size_t i = 0; status == STATUS_OK && i < clients->count; i++) {
        enum status network = list_check(NETWORK_LIST, clients->items[i].text);
        struct raw_list *list = &both[network == STATUS_OK];
        list->items[list->count++] = clients->items[i];
        status = network == STATUS_NO_MEMORY ? network : STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = resolve_list(&both[0], HOST_LIST, &settings->exclude_sign_hosts);
    }
    if (status == STATUS_OK) {
        status = resolve_list(&both[1], NETWORK_LIST, &settings->exclude_sign_networks);
    }
    free(both[0].items);
    free(both[1].items);
    return status;
}

/* relays: networks, and the word "local". */
static enum status resolve_relays(const struct raw_list *relays, struct settings *settings)
{
    struct raw_list real = {.items = calloc(relays->count + 1, sizeof *real.items)};
    enum status status = STATUS_NO_MEMORY;
    for (size_t i = 0; real.items != NULL && i < relays->count; i++) {
        if (strcmp(relays->items[i].text, "local") == 0) {
            settings->relays_local = true;
        } else {
            real.items[real.count++] = relays->items[i];
        }
    }
    if (real.items != NULL) {
        status = resolve_list(&real, NETWORK_LIST, &settings->relays);
    }
    free(real.items);
    return status;
}

static bool is_given(const struct raw_config *raw, const char *path)
{
    return raw->given[option_find(path) - config_options].line != 0;
}

static enum status resolve_lists(const struct raw_config *raw, struct settings *settings)
{
    const struct {
        const struct raw_list *list;
        enum list_kind kind;
        void *out; /* the pointer to such a list */
    } lists[] = {
        {&raw->internal_networks, NETWORK_LIST, &settings->internal_networks},
        {is_given(raw, "mail_servers") ? &raw->mail_servers : &raw->internal_networks, NETWORK_LIST,
         &settings->mail_servers},
        {&raw->exclude_networks, NETWORK_LIST, &settings->exclude_networks},
        {&raw->exclude_sign_recipient_networks, NETWORK_LIST,
         &settings->exclude_sign_recipient_networks},
        {&raw->bounce_senders, PATTERN_LIST, &settings->bounce_senders},
        {&raw->evidence_envelope_only, PATTERN_LIST, &settings->envelope_only},
        {&raw->exclude_recipients, PATTERN_LIST, &settings->exclude_recipients},
        {&raw->exclude_sign_senders, PATTERN_LIST, &settings->exclude_sign_senders},
        {&raw->exclude_sign_recipients, PATTERN_LIST, &settings->exclude_sign_recipients},
        {&raw->exclude_hosts, HOST_LIST, &settings->exclude_hosts},
        {&raw->own_names, HOST_LIST, &settings->own_names},
    };
    enum status status = resolve_relays(&raw->relays, settings);
    for (size_t i = 0; status == STATUS_OK && i < sizeof lists / sizeof *lists; i++) {
        status = resolve_list(lists[i].list, lists[i].kind, lists[i].out);
    }
    return status == STATUS_OK ? resolve_clients(&raw->exclude_sign_clients, settings) : status;
}

static char *take(char **text)
{
    char *taken = *text;
    *text = NULL;
    return taken;
}

/* What has been made is out's own, also after a failure. */
static enum status resolve_domain(const struct raw_config *raw, struct raw_domain *domain,
                                  struct domain_settings *out)
{
    bool follow = domain->verify_action == ACTION_FOLLOW;
    int action = follow ? raw->verify_action : domain->verify_action;
    *out = (struct domain_settings){
        .name = take(&domain->key),
        .sign = raw->sign_enabled && domain->sign,
        .syntax = (enum tag_syntax)(domain->syntax < 0 ? raw->syntax : domain->syntax),
        .action = (enum action)action,
        .expired = (enum action)raw->verify_expired,
        .forged = (enum action)raw->verify_forged,
    };
    for (size_t i = 0; i < BOUNCE_CLASS_COUNT; i++) {
        out->classes[i] = (enum action)raw->classes[i];
    }
    return out->sign ? STATUS_OK
                     : resolve_list(&domain->message_id_patterns, REGEX_LIST, &out->message_ids);
}

static enum status resolve_domains(struct raw_config *raw, struct settings *settings)
{
    const char **names = calloc(raw->domain_count + 1, sizeof *names);
    size_t bad = 0;
    settings->domain = calloc(raw->domain_count + 1, sizeof *settings->domain);
    enum status status = names == NULL || settings->domain == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < raw->domain_count; i++) {
        settings->domain_count = i + 1;
        status = resolve_domain(raw, &raw->domains[i], &settings->domain[i]);
        names[i] = settings->domain[i].name;
    }
    if (status == STATUS_OK) {
        settings->may_mark = settings_may_mark(settings);
        settings->may_sign = settings_may_sign(settings);
        status = domain_list_new(names, raw->domain_count, &settings->domains, &bad);
    }
    free(names);
    return status;
}

/* "" stands for unset. */
static char *take_name(char **text)
{
    return **text == '\0' ? NULL : take(text);
}

static enum status resolve_settings(struct raw_config *raw, struct settings *settings)
{
    settings->on_error = (enum action)raw->on_error;
    settings->keys = (struct key_policy){
        .rotate_days = (unsigned)raw->rotate_days,
        .retain_days = (unsigned)raw->retain_days,
        .lifetime_days = (unsigned)raw->lifetime_days,
        .publish_seconds = (unsigned)raw->publish_seconds,
        .algorithm = (enum algorithm)raw->algorithm,
    };
    settings->evidence = (struct evidence_policy){
        .enabled = raw->evidence_enabled,
        .header = raw->evidence_header,
        .tag_in_body = raw->evidence_tag_in_body,
        .journal = raw->journal_enabled,
        .max_body = raw->evidence_max_body,
        .retain_days = (unsigned)raw->journal_retain_days,
    };
    settings->add_message_id = raw->add_message_id;
    settings->forged_sender = (enum action)raw->verify_forged_sender;
    settings->reject_at_rcpt = raw->reject_at_rcpt;
    settings->restore = raw->restore;
    settings->mark_header = take(&raw->mark_header);
    settings->text = take(&raw->text);
    settings->exclude_authenticated = raw->exclude_authenticated;
    settings->exclude_mail_servers = raw->exclude_mail_servers;
    settings->dns_timeout_ms = (unsigned)raw->dns_timeout_ms;
    settings->connections = (unsigned)raw->connections;
    enum status status = resolve_lists(raw, settings);
    return status == STATUS_OK ? resolve_domains(raw, settings) : status;
}

/* The items in quotes, with commas between; those of a file as the file that is named. NULL: no
 * memory. */
static char *list_as_written(const struct raw_list *list, const char *path)
{
    char *text = NULL;
    size_t length = 0;
    const char *former = "";
    FILE *out = open_memstream(&text, &length);
    for (size_t i = 0; out != NULL && i < list->count; i++) {
        const struct raw_item *item = &list->items[i];
        bool file = list->line != 0 && item->file != NULL && strcmp(item->file, path) != 0;
        if (!file || strcmp(item->file, former) != 0) {
            fprintf(out, "%s\"%s%s\"", i > 0 ? ", " : "", file ? "file:" : "",
                    file ? item->file : item->text);
        }
        former = file ? item->file : "";
    }
    bool failed = out == NULL || ferror(out) != 0;
    if (out != NULL && (fclose(out) != 0 || failed)) {
        free(text);
        text = NULL;
    }
    return text;
}

/* Keeps the values that only a start can change. False: no memory. */
static bool keep_at_start(struct raw_config *raw, struct config *config)
{
    config->at_start = calloc(config_option_count, sizeof *config->at_start);
    bool ok = config->at_start != NULL;
    raw->journal_enabled = raw->journal_enabled && raw->evidence_enabled;
    for (size_t i = 0; ok && i < config_option_count; i++) {
        if (config_options[i].at_start) {
            config->at_start[i] = option_print(&config_options[i], raw);
            ok = config->at_start[i] != NULL;
        }
    }
    return ok;
}

enum status config_resolve(struct raw_config *raw, const char *path, struct config **out)
{
    enum status status = STATUS_NO_MEMORY;
    struct config *config = calloc(1, sizeof *config);
    *out = NULL;
    if (config != NULL && (config->settings = calloc(1, sizeof *config->settings)) != NULL &&
        (config->path = strdup(path)) != NULL && keep_at_start(raw, config)) {
        config->listen = take(&raw->listen);
        config->listen_mode = raw->listen_mode;
        config->listen_group = take_name(&raw->listen_group);
        config->user = take_name(&raw->user);
        config->state_dir = take(&raw->state_dir);
        config->log_target = (enum log_target)raw->log_target;
        config->log_facility = raw->log_facility;
        config->log_level = raw->log_level;
        config->evidence_max_memory = raw->evidence_max_memory;
        config->evidence_parsers = (unsigned)raw->evidence_parsers;
        config->journal_max_size = raw->journal_max_size;
        config->internal_networks = list_as_written(&raw->internal_networks, path);
        status = config->internal_networks != NULL ? resolve_settings(raw, config->settings)
                                                   : STATUS_NO_MEMORY;
    }
    /* All has been checked, so the lists took every entry. */
    assert(status == STATUS_OK || status == STATUS_NO_MEMORY);
    if (status != STATUS_OK) {
        config_free(config);
        return status;
    }
    *out = config;
    return STATUS_OK;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    free(config->path);
    free(config->listen);
    free(config->listen_group);
    free(config->user);
    free(config->state_dir);
    free(config->internal_networks);
    for (size_t i = 0; config->at_start != NULL && i < config_option_count; i++) {
        free(config->at_start[i]);
    }
    free(config->at_start);
    settings_free(config->settings);
    free(config);
}
