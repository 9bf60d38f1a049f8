/*
 * The map that takes tags off recipients, tried as Postfix would use it: every table is asked, by
 * postmap(1), what it makes of a tagged address of each domain. The tag is one that no key has
 * made. Of very many domains only some are asked for, all over the list, because each takes longer
 * the more there are; the others are known to be in the map if it is word for word what `batvctl
 * mta postfix` prints.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/words.h"
#include "batv/address_unicode.h"
#include "check/postfix.h"
#include "mta/postfix_map.h"
#include "mta/postfix_needs.h"

#define TAG            "prvs=0000000000="
#define SOMEBODY       "postmaster@"
#define HOST           "batvd-check" /* stands for any subdomain */
#define FOREIGN_DOMAIN "batvd-check.invalid"

enum { DOMAINS_ASKED = 1000 };

/* Questions, and what the tables answered. */
struct questions {
    size_t domains; /* so many are asked for */
    struct words tagged;
    struct words plain;
    char **answers; /* NULL: none */
};

static bool ask_for(struct questions *q, const char *tagged, const char *plain, const char *host,
                    const char *domain)
{
    char *key = mend_text("%s%s%s", tagged, host, domain);
    char *expected = mend_text("%s%s%s", plain, host, domain);
    bool done = key != NULL && expected != NULL && words_add(&q->tagged, key) &&
                words_add(&q->plain, expected);
    free(key);
    free(expected);
    return done;
}

/* For a domain as A-labels and, if that is another text, as U-labels. */
static bool ask_for_domain(struct questions *q, const char *name)
{
    bool below = name[0] == '.';
    const char *host = below ? HOST "." : "";
    char *unicode = address_domain_unicode(name + below);
    bool done = unicode != NULL && ask_for(q, TAG SOMEBODY, SOMEBODY, host, name + below) &&
                ask_for(q, "\"" TAG "post master\"@", "\"post master\"@", host, name + below);
    if (done && strcmp(unicode, name + below) != 0) {
        done = ask_for(q, TAG SOMEBODY, SOMEBODY, host, unicode);
    }
    free(unicode);
    return done;
}

static bool questions_make(struct questions *q, const struct settings *settings)
{
    bool done = true;
    size_t all = settings->domain_count;
    q->domains = all < DOMAINS_ASKED ? all : DOMAINS_ASKED;
    for (size_t i = 0; i < q->domains && done; i++) {
        done = ask_for_domain(q, settings->domain[i * all / q->domains].name);
    }
    done = done && ask_for(q, TAG SOMEBODY, SOMEBODY, "", FOREIGN_DOMAIN);
    q->answers = calloc(q->tagged.count + 1, sizeof *q->answers);
    return done && q->answers != NULL;
}

static void questions_free(struct questions *q)
{
    for (size_t i = 0; q->answers != NULL && i < q->tagged.count; i++) {
        free(q->answers[i]);
    }
    free(q->answers);
    words_free(&q->tagged);
    words_free(&q->plain);
}

/* Asks one table; answers that are there already stay, as the first table that knows decides.
 * *strips tells whether it takes a tag off. */
static enum status ask_table(const struct check *check, struct questions *q, const char *table,
                             bool *strips, struct reason *why)
{
    size_t count = q->tagged.count;
    char **fresh = calloc(count + 1, sizeof *fresh);
    const char **keys = calloc(count + 1, sizeof *keys);
    enum status status = STATUS_NO_MEMORY;
    *strips = false;
    if (fresh != NULL && keys != NULL) {
        for (size_t i = 0; i < count; i++) {
            keys[i] = q->tagged.items[i];
        }
        status = postfix_lookup(check->postfix, table, keys, count, fresh, why);
        for (size_t i = 0; i < count; i++) {
            *strips = *strips || (fresh[i] != NULL && strcmp(fresh[i], q->plain.items[i]) == 0);
            if (q->answers[i] == NULL) {
                q->answers[i] = fresh[i];
            } else {
                free(fresh[i]);
            }
        }
    }
    free(fresh);
    free(keys);
    return status;
}

static bool is_plain(const struct questions *q, size_t i)
{
    return q->answers[i] != NULL && strcmp(q->answers[i], q->plain.items[i]) == 0;
}

/* The path of a table TYPE:PATH; ours where it has none. */
static const char *table_path(const char *table)
{
    const char *slash = strchr(table, '/');
    return slash != NULL && slash > table && slash[-1] == ':' ? slash : POSTFIX_MAP_PATH;
}

/* Only a file that is not there is taken for ours: others are the administrator's. */
static char *mend_unreadable(struct check *check, const char *table, const struct reason *why)
{
    bool patterns = strncmp(table, "pcre:/", 6) == 0 || strncmp(table, "regexp:/", 8) == 0;
    if (strstr(why->text, "unsupported dictionary type") != NULL) {
        return mend_text("apt-get install postfix-pcre");
    }
    if (patterns && access(table_path(table), F_OK) != 0) {
        return mend_map(check, table_path(table));
    }
    return mend_table(check, table);
}

static void tell_unreadable(struct check *check, const char *table, const struct reason *why)
{
    check_add(check, CHECK_FAIL, mend_unreadable(check, table, why),
              "%s in recipient_canonical_maps cannot be read: %s", table, why->text);
}

/* Asks all of the list. *table becomes the one that takes tags off, if any. False: one cannot be
 * asked, and that has been told. */
static bool ask_all(struct check *check, struct questions *q, const struct words *tables,
                    const char **table)
{
    bool all = true;
    for (size_t i = 0; i < tables->count; i++) {
        struct reason why = {""};
        bool strips;
        enum status status = ask_table(check, q, tables->items[i], &strips, &why);
        if (status == STATUS_NO_MEMORY) {
            check->no_memory = true;
        } else if (status != STATUS_OK) {
            tell_unreadable(check, tables->items[i], &why);
        }
        all = all && status == STATUS_OK;
        *table = strips && *table == NULL ? tables->items[i] : *table;
    }
    return all;
}

/* The table before all others. */
static char *mend_order(struct check *check, const char *table)
{
    const char *name = need_name(NEED_MAPS);
    const char *raw = postfix_get_raw(check->postfix, name);
    if (!list_has(raw, table)) {
        return mend_text(
            "put %s first among the parameters that make up %s in main.cf, then postfix%s reload",
            table, name, postfix_place(check->postfix));
    }
    char *others = list_with(raw, table, NULL, ", ");
    char *list = others != NULL ? list_join(table, others) : NULL;
    char *text = list == NULL ? NULL : postfix_command(check->postfix, "-e", "%s = %s", name, list);
    free(others);
    free(list);
    return text;
}

/* Whether the table is the map as it is printed for this configuration. */
static bool map_is_ours(struct check *check, const char *table)
{
    struct reason why;
    char *there = NULL;
    char *ours = postfix_map_text(check->config->settings);
    bool same = ours != NULL && file_read(table_path(table), &there, &why) == STATUS_OK &&
                strcmp(there, ours) == 0;
    check->no_memory = check->no_memory || ours == NULL;
    free(there);
    free(ours);
    return same;
}

static void tell_good(struct check *check, const struct questions *q, const char *table)
{
    size_t all = check->config->settings->domain_count;
    if (q->domains == all || map_is_ours(check, table)) {
        check_ok(check, "%s removes the tag from recipients in all your domains", table);
    } else {
        check_add(check, CHECK_WARN, mend_map(check, table_path(table)),
                  "%s removes the tag from recipients in %zu of your domains, but it is not the "
                  "map for this configuration, and the other %zu were not tested",
                  table, q->domains, all - q->domains);
    }
}

/* What the tables made of the questions. */
static void judge(struct check *check, const struct questions *q, const char *table)
{
    size_t last = q->tagged.count - 1;
    struct listing missing = {.count = 0};
    struct listing other = {.count = 0};
    for (size_t i = 0; i < last; i++) {
        if (q->answers[i] == NULL) {
            listing_add(&missing, q->plain.items[i]);
        } else if (!is_plain(q, i)) {
            listing_add(&other, q->answers[i]);
        }
    }
    if (missing.count > 0) {
        check_add(
            check, CHECK_FAIL, mend_map(check, table_path(table)),
            "%s does not remove the tag, so bounces to these are rejected as unknown users: %s",
            table, listing_end(&missing));
    }
    if (other.count > 0) {
        check_add(check, CHECK_WARN, mend_order(check, table),
                  "another entry of recipient_canonical_maps comes first and turns a tagged "
                  "address into: %s",
                  listing_end(&other));
    }
    if (q->answers[last] != NULL) {
        check_add(
            check, CHECK_FAIL, mend_map(check, table_path(table)),
            "%s removes other sites' tags too, so these sites reject your bounces and replies",
            table);
    }
    if (missing.count == 0 && other.count == 0 && q->answers[last] == NULL) {
        tell_good(check, q, table);
    }
}

void check_map(struct check *check)
{
    struct words tables = {.items = NULL};
    struct questions q = {.answers = NULL};
    const char *table = NULL;
    if (check->config->settings->domain_count == 0) {
        return;
    }
    const char *list = postfix_get(check->postfix, need_name(NEED_MAPS));
    if (!questions_make(&q, check->config->settings) || !words_split(list, &tables)) {
        check->no_memory = true;
    } else if (!ask_all(check, &q, &tables, &table)) {
        check->map_here = true; /* for all that is known */
    } else if (table == NULL) {
        check_add(check, CHECK_FAIL, mend_all(check),
                  "bounces to tagged addresses are rejected as unknown users: "
                  "recipient_canonical_maps is %s",
                  list_is_empty(list) ? "not set" : list);
    }
    if (table != NULL) {
        check->map_here = true;
        judge(check, &q, table);
    }
    questions_free(&q);
    words_free(&tables);
}

void check_map_classes(struct check *check)
{
    struct words classes = {.items = NULL};
    const char *list = postfix_get(check->postfix, need_name(NEED_CLASSES));
    bool envelope = list_has(list, "envelope_recipient");
    if (!check->map_here) {
        check_ok(check, "no map removes tags, so it does not matter where");
    } else if (!words_split(list, &classes)) {
        check->no_memory = true;
    } else if (envelope && classes.count == 1) {
        check_ok(check, "tags are removed from envelope recipients, not from headers");
    } else {
        check_add(check, CHECK_FAIL, mend_need(check, NEED_CLASSES),
                  "%s: recipient_canonical_classes is \"%s\", expected envelope_recipient only",
                  envelope ? "tags are removed from headers too, where they belong to the text"
                           : "tags are not removed from envelope recipients",
                  list);
    }
    words_free(&classes);
}

/* Tables that work on the sender after batvd has signed it. */
static void check_strips(struct check *check, struct questions *q, const char *parameter,
                         bool *told)
{
    struct words tables = {.items = NULL};
    if (!words_split(postfix_get(check->postfix, parameter), &tables)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < tables.count; i++) {
        struct reason why = {""};
        bool strips;
        if (ask_table(check, q, tables.items[i], &strips, &why) != STATUS_OK) {
            continue; /* what cannot be asked is for other checks */
        }
        if (strips) {
            check_add(check, CHECK_FAIL, mend_item(check, parameter, tables.items[i], NULL),
                      "%s in %s removes the tag from senders again", tables.items[i], parameter);
            *told = true;
        }
    }
    words_free(&tables);
}

void check_sender_stripped(struct check *check)
{
    static const char *const parameters[] = {"canonical_maps", "sender_canonical_maps",
                                             "smtp_generic_maps"};
    bool told = false;
    if (check->config->settings->domain_count == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        struct questions q = {.answers = NULL};
        if (questions_make(&q, check->config->settings)) {
            check_strips(check, &q, parameters[i], &told);
        } else {
            check->no_memory = true;
        }
        questions_free(&q);
    }
    if (!told) {
        check_ok(check, "no table removes the tag from senders");
    }
}
