/*
 * Lists that are aliases with an owner, `owner-LIST`, whom the MTA makes the sender of what it
 * sends on. Such a sender has no tag. What was sent from here the journal knows, by the owner's
 * usual names; what strangers post to the list nothing knows. So the owner's address has to take
 * bounces as they come.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/print.h"
#include "base/words.h"
#include "batv/address.h"
#include "batv/address_meaning.h"
#include "check/postfix.h"
#include "config/config_file.h"
#include "config/options.h"
#include "mta/aliases.h"
#include "mta/sendmail_ask.h"

enum {
    SOURCE_MAX = 64 << 20, /* octets of a source of aliases */
    NAMED = 10,            /* owners that are named to be excluded; of more, their domains */
    DOMAINS_NAMED = 10,
    TOLD = 5 /* lists that have a finding of their own */
};

/* What is found of one MTA's lists. */
struct owners {
    struct check *check;
    const char *host; /* the MTA's own name */
    struct aliases aliases;
    char *(*mend_expansion)(struct owners *owners, const char *list, const char *value);
    size_t lists;         /* that have an owner */
    struct listing told;  /* whose owner's bounces nothing proves */
    struct words named;   /* the owners of these, as patterns */
    struct words domains; /* the same by their domains */
    size_t expansions;    /* whose sender is another name than the owner's */
};

/* ------------------------------------------------------------- what is done */

/* Whether bounces without a proof are ever rejected there. */
static bool may_reject(const struct domain_settings *domain, bool own_name)
{
    bool signs = domain->sign && !own_name;
    return domain->action == ACTION_AUTO ? signs : domain->action > ACTION_LOG;
}

static void keep_word(struct owners *owners, struct words *words, size_t most, const char *word)
{
    bool room = words->count < most;
    for (size_t i = 0; i < words->count && room; i++) {
        room = strcmp(words->items[i], word) != 0;
    }
    if (room && !words_add(words, word)) {
        owners->check->no_memory = true;
    }
}

/* plain is the owner as it is judged. */
static void take_owner(struct owners *owners, const char *list, const char *plain)
{
    bool request = strncmp(plain, "owner-", 6) != 0;
    char *wide = mend_text("%s%s", request ? "*-request" : "owner-*", strrchr(plain, '@'));
    if (wide == NULL) {
        owners->check->no_memory = true;
        return;
    }
    keep_word(owners, &owners->named, NAMED + 1, strpbrk(plain, "\"\\") == NULL ? plain : wide);
    keep_word(owners, &owners->domains, DOMAINS_NAMED, wide);
    listing_add(&owners->told, list);
    free(wide);
}

static void take_expansion(struct owners *owners, const struct alias *alias, const char *list,
                           const char *sender)
{
    if (owners->expansions++ < TOLD) {
        check_add(owners->check, CHECK_WARN, owners->mend_expansion(owners, list, alias->value),
                  "posts of others to the list %s leave with %s as their sender, and nothing "
                  "proves their bounces to that address: they are rejected",
                  list, sender);
    }
}

/* owner-LIST, or LIST-request: the names that the journal knows. */
static bool is_known_name(const char *local, const char *list)
{
    size_t length = strlen(list);
    return (strncmp(local, "owner-", 6) == 0 && strcmp(local + 6, list) == 0) ||
           (strncmp(local, list, length) == 0 && strcmp(local + length, "-request") == 0);
}

/* local@domain is the sender that the MTA makes of the owner. */
static void judge_owner(struct owners *owners, const struct alias *alias, const char *list,
                        const struct address *sender)
{
    const struct settings *settings = owners->check->config->settings;
    const struct domain_settings *domain = settings_domain(settings, sender->ascii);
    bool own_name = domain == NULL && address_names_host(sender, owners->host);
    domain = own_name ? settings_first(settings) : domain;
    owners->lists++;
    if (domain == NULL || !may_reject(domain, own_name)) {
        return;
    }
    char *plain = address_plain(sender->local, own_name ? domain->name : sender->ascii);
    char *whole = address_format(sender->local, sender->domain);
    if (plain == NULL || whole == NULL) {
        owners->check->no_memory = true;
    } else if (pattern_list_match(settings->exclude_recipients, plain) != NULL) {
        /* it takes bounces as they come */
    } else if (is_known_name(sender->local, list)) {
        take_owner(owners, list, plain);
    } else {
        take_expansion(owners, alias, list, whole);
    }
    free(plain);
    free(whole);
}

/* ---------------------------------------------------------------- what is told */

/* The words as strings of a list in batvd's configuration. NULL: no memory. */
static char *quoted_list(const struct words *words)
{
    char *list = mend_text("%s", "");
    for (size_t i = 0; i < words->count && list != NULL; i++) {
        char *more = mend_text("%s%s\"%s\"", list, i > 0 ? ", " : "", words->items[i]);
        free(list);
        list = more;
    }
    return list;
}

/* What is the default has to stay in. */
static char *mend_exclude(const struct owners *owners)
{
    const struct check *check = owners->check;
    const char *standard = option_find("exclude.recipients")->standard;
    char *list = quoted_list(owners->named.count <= NAMED ? &owners->named : &owners->domains);
    char *text = NULL;
    char *usual = mend_text("%.*s", (int)(strrchr(standard, ']') - standard - 3), standard + 2);
    if (list != NULL && usual != NULL) {
        const struct mend_items items = {.standard = usual, .added = list};
        text = mend_list(check, "exclude", "recipients", &items);
    }
    free(usual);
    free(list);
    return text;
}

static void tell_owners(struct owners *owners, const struct listing *unlisted)
{
    struct check *check = owners->check;
    struct listing copy = *unlisted;
    if (owners->expansions > TOLD) {
        check_add(check, CHECK_WARN, owners->mend_expansion(owners, NULL, NULL),
                  "and %zu more lists", owners->expansions - TOLD);
    }
    if (owners->told.count > 0) {
        check_add(check, CHECK_WARN, mend_exclude(owners),
                  "if a member's server returns a stranger's post to a list, the bounce goes to "
                  "the list's owner, without a tag or a proof, and is rejected: %s",
                  listing_end(&owners->told));
    } else if (owners->expansions == 0) {
        check_ok(check, "%s%s%s",
                 owners->lists > 0
                     ? "no bounce to the owner of a list is rejected for lack of a tag"
                     : "no list has an owner as the sender of its mail",
                 copy.count > 0 ? "; not listed: " : "", copy.count > 0 ? listing_end(&copy) : "");
    }
}

static void owners_clear(struct owners *owners)
{
    aliases_free(&owners->aliases);
    words_free(&owners->named);
    words_free(&owners->domains);
}

/* ---------------------------------------------------------------- sources */

/* NULL: it cannot be read. The caller frees. */
static char *source_text(const char *path)
{
    struct config_messages messages = {.items = NULL};
    const struct config_place named = {.file = path};
    size_t length = 0;
    char *text = NULL;
    if (config_file_read(path, SOURCE_MAX, named, &messages, &text, &length) != STATUS_OK) {
        text = NULL;
    }
    config_messages_free(&messages);
    return text;
}

/* ---------------------------------------------------------------- Postfix */

static char *mend_postfix_expansion(struct owners *owners, const char *list, const char *value)
{
    (void)list;
    (void)value;
    return postfix_command(owners->check->postfix, "-e", "expand_owner_alias = no");
}

/* Of tables that postmap cannot list, cdb ones have their source beside them. */
static bool take_source(struct owners *owners, const char *table)
{
    static const char cdb[] = "cdb:";
    char *text =
        strncmp(table, cdb, sizeof cdb - 1) == 0 ? source_text(table + sizeof cdb - 1) : NULL;
    if (text != NULL && !aliases_add_source(&owners->aliases, text)) {
        owners->check->no_memory = true;
    }
    return text != NULL;
}

static void take_table(struct owners *owners, const char *table, struct listing *unlisted)
{
    struct check *check = owners->check;
    struct reason why = {""};
    char *text = NULL;
    switch (postfix_list(check->postfix, table, &text, &why)) {
    case STATUS_OK:
        if (!aliases_add_listing(&owners->aliases, text)) {
            check->no_memory = true;
        }
        break;
    case STATUS_NO_MEMORY:
        check->no_memory = true;
        break;
    case STATUS_NOT_FOUND:
        if (!take_source(owners, table)) {
            listing_add(unlisted, table);
        }
        break;
    default:
        check_add(
            check, CHECK_WARN,
            mend_text("postalias%s %s", postfix_place(check->postfix), check_word(check, table)),
            "%s in alias_maps cannot be listed: %s", table, why.text);
        break;
    }
}

/* owner-LIST, or what it stands for; at $myorigin where no other domain is said. */
static enum status postfix_sender(const struct owners *owners, const struct alias *alias,
                                  struct address *out)
{
    const struct postfix *postfix = owners->check->postfix;
    bool expand = postfix_is_yes(postfix, "expand_owner_alias");
    const char *name = expand ? alias->value : alias->name;
    const char *at = strpbrk(name, ", ") == NULL ? strrchr(name, '@') : NULL;
    *out = (struct address){
        .local = at != NULL ? strndup(name, (size_t)(at - name)) : strdup(name),
        .domain = strdup(at != NULL ? at + 1 : postfix_get(postfix, "myorigin")),
    };
    out->ascii = out->domain != NULL ? address_domain_ascii(out->domain) : NULL;
    return out->local != NULL && out->ascii != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Judges the owner of each list by the sender that the MTA makes of him. */
static void judge_all(struct owners *owners,
                      enum status (*make_sender)(const struct owners *, const struct alias *,
                                                 struct address *))
{
    size_t at = 0;
    const char *list;
    const struct alias *alias;
    while ((alias = aliases_next_owner(&owners->aliases, &at, &list)) != NULL) {
        struct address sender;
        if (make_sender(owners, alias, &sender) == STATUS_OK) {
            judge_owner(owners, alias, list, &sender);
        } else {
            owners->check->no_memory = true;
        }
        address_free(&sender);
    }
}

/* The domain as the journal has it: one of ours, or the first for the host's own name. */
static const char *journal_domain(const struct check *check, const char *domain)
{
    const struct settings *settings = check->config->settings;
    return settings_domain(settings, domain) != NULL ? domain : settings_first(settings)->name;
}

/* The journal knows owners in the list's domain and in the host's. */
static void tell_origin(struct owners *owners)
{
    struct check *check = owners->check;
    const char *origin = journal_domain(check, postfix_get(check->postfix, "myorigin"));
    struct listing others = {.count = 0};
    struct words local = {.items = NULL};
    if (!words_split(postfix_get(check->postfix, "mydestination"), &local)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < local.count; i++) {
        if (settings_domain(check->config->settings, local.items[i]) != NULL &&
            strcasecmp(local.items[i], origin) != 0) {
            listing_add(&others, local.items[i]);
        }
    }
    if (others.count > 0 && strcasecmp(origin, journal_domain(check, owners->host)) != 0) {
        check_add(check, CHECK_WARN, mend_exclude(owners),
                  "owners of lists get the domain %s (myorigin), so the journal has no entries for "
                  "them for posts from here to lists in %s",
                  origin, listing_end(&others));
    }
    words_free(&local);
}

void check_list_owners(struct check *check)
{
    struct owners owners = {.check = check,
                            .host = postfix_get(check->postfix, "myhostname"),
                            .mend_expansion = mend_postfix_expansion};
    struct listing unlisted = {.count = 0};
    struct words tables = {.items = NULL};
    if (!postfix_is_yes(check->postfix, "owner_request_special")) {
        check_ok(check, "Postfix makes no owner of a list the sender (owner_request_special)");
        return;
    }
    if (!words_split(postfix_get(check->postfix, "alias_maps"), &tables)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < tables.count; i++) {
        take_table(&owners, postfix_without_proxy(tables.items[i]), &unlisted);
    }
    aliases_sort(&owners.aliases);
    judge_all(&owners, postfix_sender);
    tell_owners(&owners, &unlisted);
    if (owners.told.count > 0 && !postfix_is_yes(check->postfix, "expand_owner_alias")) {
        tell_origin(&owners);
    }
    words_free(&tables);
    owners_clear(&owners);
}

/* --------------------------------------------------------------- Sendmail */

/* The owner gets an address of his own, by which he gets what he got before. */
static char *mend_sendmail_expansion(struct owners *owners, const char *list, const char *value)
{
    if (list == NULL) {
        return mend_text("batvctl -c %s check, once these are mended", check_conf(owners->check));
    }
    char *request = mend_text("%s-request", list);
    bool there = request != NULL && aliases_find(&owners->aliases, request) != NULL;
    free(request);
    return there ? mend_text("in the aliases: owner-%s: %s-request, then newaliases", list, list)
                 : mend_text("in the aliases: owner-%s: %s-request, and %s-request: %s, then "
                             "newaliases",
                             list, list, list, value);
}

static bool has_owner(const struct owners *owners)
{
    size_t at = 0;
    const char *list;
    return aliases_next_owner(&owners->aliases, &at, &list) != NULL;
}

/* One address that the owner stands for, else owner-LIST; Sendmail adds its own name. */
static enum status sendmail_sender(const struct owners *owners, const struct alias *alias,
                                   struct address *out)
{
    bool single = strpbrk(alias->value, ",:/|\"") == NULL;
    const char *name = single ? alias->value : alias->name;
    const char *at = strrchr(name, '@');
    *out = (struct address){
        .local = at != NULL ? strndup(name, (size_t)(at - name)) : strdup(name),
        .domain = strdup(at != NULL ? at + 1 : owners->host),
    };
    for (char *c = out->local; at == NULL && c != NULL && *c != '\0'; c++) {
        *c = ascii_lower(*c);
    }
    out->ascii = out->domain != NULL ? address_domain_ascii(out->domain) : NULL;
    return out->local != NULL && out->ascii != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* The path of an alias file as AliasFile names it: options and a type may stand before it. NULL: it
 * is of another kind than a file. */
static const char *alias_path(const char *item)
{
    const char *path = strchr(item, '/');
    const char *colon = strchr(item, ':');
    bool other = colon != NULL && path != NULL && colon < path && strncmp(item, "hash:", 5) != 0 &&
                 strncmp(item, "btree:", 6) != 0 && strncmp(item, "dbm:", 4) != 0 &&
                 strncmp(item, "cdb:", 4) != 0 && strncmp(item, "implicit:", 9) != 0 &&
                 strncmp(item, "text:", 5) != 0;
    return other ? NULL : path;
}

static void take_alias_file(struct owners *owners, const char *item, struct listing *unlisted)
{
    const char *path = alias_path(item);
    char *text = path != NULL ? source_text(path) : NULL;
    if (text == NULL) {
        listing_add(unlisted, item);
    } else if (!aliases_add_source(&owners->aliases, text)) {
        owners->check->no_memory = true;
    }
}

void check_sendmail_owners(struct check *check)
{
    struct owners owners = {.check = check, .mend_expansion = mend_sendmail_expansion};
    struct listing unlisted = {.count = 0};
    struct words files = {.items = NULL};
    struct reason why = {""};
    char *host = NULL;
    const char *list = sendmail_option(check->sendmail, "AliasFile");
    if (list != NULL && !words_split(list, &files)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < files.count; i++) {
        take_alias_file(&owners, files.items[i], &unlisted);
    }
    aliases_sort(&owners.aliases);
    owners.host = "";
    if (has_owner(&owners) && sendmail_host(check->sendmail, &host, &why) == STATUS_OK) {
        owners.host = host;
    }
    if (host == NULL && has_owner(&owners)) {
        check_add(check, CHECK_WARN,
                  mend_text("sendmail -C %s -bt", check_word(check, sendmail_cf(check->sendmail))),
                  "its name, which owners of lists get, is not known: %s", why.text);
    } else {
        judge_all(&owners, sendmail_sender);
        tell_owners(&owners, &unlisted);
    }
    free(host);
    words_free(&files);
    owners_clear(&owners);
}
