/*
 * Postfix's own tables of restrictions, which see a tagged recipient as it came: a made-up tag is
 * batvd's to reject, but a good one, or one on a bounce while the domain waits, opens an address
 * that such a table closes. Each table is asked, by postmap(1), for the addresses that can be
 * found, and every table of the same list for the tagged form of those that it closes.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check/access_addresses.h"
#include "mta/postfix_needs.h"
#include "mta/restrictions.h"

#define TAG "prvs=0000000000="

/* By which keys Postfix looks an address up, the first that there is decides: it, its domain and
 * those above that, with and without a dot, its local part. */
enum { FORMS = 12 };

/* What a table answers for addresses; owned. */
struct answers {
    char **items; /* NULL: nothing */
    size_t count;
};

static void answers_free(struct answers *answers)
{
    for (size_t i = 0; answers->items != NULL && i < answers->count; i++) {
        free(answers->items[i]);
    }
    free(answers->items);
    *answers = (struct answers){.items = NULL};
}

/* A table, and those within it, as they can be asked without Postfix's proxy: through that only
 * what Postfix itself may open is reached, and only while it runs. NULL: no memory. The caller
 * frees. */
static char *table_direct(const char *table)
{
    static const char proxy[] = "proxy:";
    char *direct = strdup(table);
    char *at = direct;
    while (at != NULL && (at = strstr(at, proxy)) != NULL) {
        memmove(at, at + sizeof proxy - 1, strlen(at + sizeof proxy - 1) + 1);
    }
    return direct;
}

/* Tables of patterns are given whole addresses only. */
static size_t lookup_forms(const char *table, const char *address, struct words *out)
{
    size_t before = out->count;
    bool whole = strncmp(table, "pcre:", 5) == 0 || strncmp(table, "regexp:", 7) == 0;
    const char *at = strrchr(address, '@');
    bool done = words_add(out, address);
    const char *domain = whole || at == NULL ? NULL : at + 1;
    for (; done && domain != NULL && out->count - before < FORMS - 2;) {
        done = words_add(out, domain);
        domain = strchr(domain, '.');
        done = done && (domain == NULL || words_add(out, domain));
        domain = domain != NULL ? domain + 1 : NULL;
    }
    char *local = whole || at == NULL ? NULL : mend_text("%.*s@", (int)(at - address), address);
    done = done && (local == NULL || words_add(out, local));
    free(local);
    return done ? out->count - before : 0;
}

/* The first answer of each address, of all the answers to its forms. */
static void first_answers(struct answers *forms, const size_t *sizes, struct answers *out)
{
    size_t at = 0;
    for (size_t i = 0; i < out->count; i++) {
        for (size_t end = at + sizes[i]; at < end; at++) {
            if (out->items[i] == NULL) {
                out->items[i] = forms->items[at];
                forms->items[at] = NULL;
            }
        }
    }
}

/* The forms of all addresses, each with prefix in front of it; so many of each. */
static bool all_forms(const char *table, const char *prefix, const struct words *addresses,
                      struct words *keys, size_t sizes[])
{
    bool done = true;
    for (size_t i = 0; done && i < addresses->count; i++) {
        char *address = mend_text("%s%s", prefix, addresses->items[i]);
        sizes[i] = address != NULL ? lookup_forms(table, address, keys) : 0;
        done = sizes[i] > 0;
        free(address);
    }
    return done;
}

static enum status ask_keys(const struct check *check, const char *table, const struct words *keys,
                            struct answers *out, struct reason *why)
{
    const char **list = calloc(keys->count + 1, sizeof *list);
    *out = (struct answers){calloc(keys->count + 1, sizeof *out->items), keys->count};
    enum status status = STATUS_NO_MEMORY;
    if (list != NULL && out->items != NULL) {
        for (size_t i = 0; i < keys->count; i++) {
            list[i] = keys->items[i];
        }
        status = postfix_lookup(check->postfix, table, list, keys->count, out->items, why);
    }
    free(list);
    return status;
}

/* Asks the table for each address with prefix in front of it. */
static enum status ask(struct check *check, const char *table, const char *prefix,
                       const struct words *addresses, struct answers *out, struct reason *why)
{
    struct words keys = {.items = NULL};
    struct answers forms = {.items = NULL};
    char *direct = table_direct(table);
    size_t *sizes = calloc(addresses->count + 1, sizeof *sizes);
    enum status status = STATUS_NO_MEMORY;
    *out = (struct answers){calloc(addresses->count + 1, sizeof *out->items), addresses->count};
    if (direct != NULL && sizes != NULL && out->items != NULL &&
        all_forms(direct, prefix, addresses, &keys, sizes)) {
        status = ask_keys(check, direct, &keys, &forms, why);
    }
    if (status == STATUS_OK) {
        first_answers(&forms, sizes, out);
    }
    check->no_memory = check->no_memory || status == STATUS_NO_MEMORY;
    answers_free(&forms);
    free(direct);
    free(sizes);
    words_free(&keys);
    return status;
}

/* Anything that neither accepts nor leaves the decision to others, access(5). */
static bool closes(const char *answer)
{
    static const char *const others[] = {"ok", "dunno", "permit", "warn", "info", "prepend", "bcc"};
    size_t length = answer != NULL ? strcspn(answer, " \t,") : 0;
    bool code = length == 3 && (answer[0] == '4' || answer[0] == '5');
    if (length == 0 || (strspn(answer, "0123456789") == length && !code)) {
        return false;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strlen(others[i]) == length && strncasecmp(answer, others[i], length) == 0) {
            return false;
        }
    }
    return true;
}

/* A list with its tables of recipients. */
struct access_check {
    struct check *check;
    const char *map; /* that takes tags off */
    const struct restrictions *list;
    struct words tables;
};

static bool find_tables(const struct restrictions *list, struct words *out)
{
    bool done = true;
    for (size_t i = 0; i + 1 < list->words.count && done; i++) {
        if (strcasecmp(list->words.items[i], "check_recipient_access") == 0) {
            done = words_add(out, list->words.items[i + 1]);
        }
    }
    return done;
}

/* What lets the same table judge tagged recipients, behind its own place in the list. */
static char *mend_pipe(const struct access_check *a, const char *table)
{
    struct check *check = a->check;
    const char *parameter = a->list->parameter;
    const struct postfix_service *service = a->list->service;
    const char *place = postfix_place(check->postfix);
    char *line = mend_text("check_recipient_access pipemap:{%s,%s}", a->map, table);
    char *more = line != NULL ? mend_text("%s, %s", table, line) : NULL;
    const char *raw = postfix_get_raw(check->postfix, parameter);
    char *list = NULL;
    char *text = NULL;
    if (more != NULL && service == NULL && list_has(raw, table)) {
        list = list_with(raw, table, more, " ");
        text =
            list == NULL ? NULL : postfix_command(check->postfix, "-e", "%s = %s", parameter, list);
    } else if (more != NULL) {
        text = mend_text("write %s behind check_recipient_access %s in %s, then postfix%s reload",
                         line, table, service != NULL ? "master.cf" : parameter, place);
    }
    free(list);
    free(more);
    free(line);
    return text;
}

static const char *place_of(const struct access_check *a)
{
    return a->list->service != NULL ? a->list->service->name : "main.cf";
}

/* Takes out of closed what some table of the list closes with its tag on as well. */
static void drop_tagged(const struct access_check *a, const struct words *addresses, bool closed[])
{
    for (size_t i = 0; i < a->tables.count; i++) {
        struct answers answers;
        struct reason ignored; /* told where that table is looked at itself */
        (void)ask(a->check, a->tables.items[i], TAG, addresses, &answers, &ignored);
        for (size_t k = 0; answers.items != NULL && k < answers.count; k++) {
            closed[k] = closed[k] && !closes(answers.items[k]);
        }
        answers_free(&answers);
    }
}

/* Tells which of the addresses a table closes, but not with a tag on. */
static void tell_open(const struct access_check *a, const char *table, struct words *addresses,
                      const struct answers *plain)
{
    struct listing found = {.count = 0};
    bool *closed = calloc(addresses->count + 1, sizeof *closed);
    bool any = false;
    for (size_t i = 0; closed != NULL && i < addresses->count; i++) {
        closed[i] = closes(plain->items[i]);
        any = any || closed[i];
    }
    if (any) {
        drop_tagged(a, addresses, closed);
    }
    for (size_t i = 0; closed != NULL && i < addresses->count; i++) {
        char *text = closed[i] ? mend_text("%s (%s)", addresses->items[i], plain->items[i]) : NULL;
        if (text != NULL) {
            listing_add(&found, text);
        }
        free(text);
    }
    if (found.count > 0) {
        check_add(a->check, CHECK_WARN, mend_pipe(a, table),
                  "%s (%s in %s) closes addresses, but not their tagged forms, which accept mail "
                  "with a valid tag, and bounces while the domain waits: %s",
                  table, a->list->parameter, place_of(a), listing_end(&found));
    }
    free(closed);
}

/* True where the list has the table behind the map: then whatever it closes is closed. */
static bool has_pipe(const struct access_check *a, const char *table)
{
    for (size_t i = 0; i < a->tables.count; i++) {
        const char *item = a->tables.items[i];
        if (strncmp(item, "pipemap:", 8) == 0 && strstr(item, table) != NULL) {
            return true;
        }
    }
    return false;
}

static void tell_unread(const struct access_check *a, const char *table, bool listed,
                        const struct addresses *addresses)
{
    if (has_pipe(a, table) || (listed && addresses->unread == 0 && !addresses->more)) {
        return;
    }
    char *what = !listed ? mend_text("its addresses cannot be listed")
                 : addresses->more
                     ? mend_text("only %d of its addresses were tested", ADDRESSES_MAX)
                     : mend_text("line %zu, one of %zu, is not understood here", addresses->line,
                                 addresses->unread);
    check_add(a->check, CHECK_WARN, mend_pipe(a, table),
              "%s (%s in %s) may close addresses, but not their tagged form: %s", table,
              a->list->parameter, place_of(a), what != NULL ? what : "");
    free(what);
}

static void check_table(const struct access_check *a, const char *table)
{
    struct addresses addresses = {.list = {.items = NULL}};
    struct answers plain = {.items = NULL};
    struct reason why = {""};
    bool listed = addresses_add_table(a->check, postfix_without_proxy(table), &addresses);
    addresses_add_known(a->check, &addresses);
    enum status status = ask(a->check, table, "", &addresses.list, &plain, &why);
    if (status == STATUS_OK) {
        tell_open(a, table, &addresses.list, &plain);
        tell_unread(a, table, listed, &addresses);
    } else {
        check_add(a->check, CHECK_WARN, mend_table(a->check, table),
                  "%s (%s in %s) cannot be queried: %s", table, a->list->parameter, place_of(a),
                  why.text);
    }
    answers_free(&plain);
    addresses_free(&addresses);
}

static void check_list(void *self, const struct restrictions *list)
{
    struct access_check *a = self;
    a->list = list;
    a->tables = (struct words){.items = NULL};
    if (!find_tables(list, &a->tables)) {
        a->check->no_memory = true;
    }
    for (size_t i = 0; i < a->tables.count; i++) {
        if (strncmp(a->tables.items[i], "pipemap:", 8) != 0) {
            check_table(a, a->tables.items[i]);
        }
    }
    words_free(&a->tables);
}

/* The table in recipient_canonical_maps that knows a tagged recipient. NULL: none, so Postfix knows
 * none. The caller frees. */
static char *find_map(struct check *check)
{
    const struct settings *settings = check->config->settings;
    struct words tables = {.items = NULL};
    struct words address = {.items = NULL};
    char *map = NULL;
    const char *name = settings->domain[0].name;
    char *text = mend_text("batvd-check@%s%s", name[0] == '.' ? "batvd-check" : "", name);
    bool done = text != NULL && words_add(&address, text) &&
                words_split(postfix_get(check->postfix, need_name(NEED_MAPS)), &tables);
    for (size_t i = 0; done && i < tables.count && map == NULL; i++) {
        struct answers answers;
        struct reason ignored; /* check_map tells */
        (void)ask(check, tables.items[i], TAG, &address, &answers, &ignored);
        bool knows = answers.items != NULL && answers.items[0] != NULL;
        map = knows ? strdup(tables.items[i]) : NULL;
        answers_free(&answers);
    }
    check->no_memory = check->no_memory || !done;
    words_free(&tables);
    words_free(&address);
    free(text);
    return map;
}

void check_recipient_access(struct check *check)
{
    size_t before = check->count;
    bool any = check->config->settings->domain_count > 0;
    char *map = any ? find_map(check) : NULL;
    struct access_check a = {.check = check, .map = map};
    if (map != NULL && !restrictions_each(check->postfix, check_list, &a)) {
        check->no_memory = true;
    }
    free(map);
    if (check->count == before) {
        check_ok(check, "no table closes an address that its tagged form would open");
    }
}

/* ------------------------------------------------------------ tagged senders */

static void find_unlisted(void *self, const struct restrictions *list)
{
    struct listing *found = self;
    for (size_t i = 0; i < list->words.count; i++) {
        if (strcasecmp(list->words.items[i], "reject_unlisted_sender") == 0) {
            listing_add(found, list->parameter);
        }
    }
}

/* smtpd_reject_unlisted_sender, in main.cf and each service's own. */
static void find_switches(const struct check *check, struct listing *found)
{
    static const char name[] = "smtpd_reject_unlisted_sender";
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    bool on = postfix_is_yes(check->postfix, name);
    for (size_t i = 0; i < count; i++) {
        const char *own = postfix_override(check->postfix, &services[i], name);
        on = on || (own != NULL && strcasecmp(own, "yes") == 0);
    }
    if (on) {
        listing_add(found, name);
    }
}

void check_unlisted_sender(struct check *check)
{
    struct listing found = {.count = 0};
    find_switches(check, &found);
    if (!restrictions_each(check->postfix, find_unlisted, &found)) {
        check->no_memory = true;
    }
    if (found.count == 0) {
        check_ok(check, "Postfix does not reject unknown senders");
    } else if (check->config->settings->forged_sender != ACTION_ACCEPT) {
        check_ok(check, "batvd verifies senders with a tag, which Postfix considers valid (%s)",
                 listing_end(&found));
    } else {
        check_add(check, CHECK_WARN, mend_member(check, "verify", "forged_sender", "\"reject\""),
                  "Postfix rejects unknown senders in your domains (%s), but accepts any of them "
                  "with a forged tag: verify.forged_sender is \"accept\"",
                  listing_end(&found));
    }
}
