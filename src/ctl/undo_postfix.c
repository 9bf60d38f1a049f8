/*
 * What `batvctl setup --undo` does to Postfix. Entries of lists are ours by what they lead to,
 * wherever they came from; other settings only by setup's record, as long as they have the value
 * that it wrote. The lists change together: a map without the filter would make Postfix accept mail
 * to made-up tags and bounce it to forged senders. One thread.
 */
#include "ctl/undo_postfix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "base/program.h"
#include "base/words.h"
#include "mta/main_cf.h"
#include "mta/milter_address.h"
#include "mta/postfix_needs.h"

/* The parameters that are lists with entries of ours. */
static const enum need lists[] = {NEED_MILTERS, NEED_NON_SMTPD, NEED_MAPS};
enum { LISTS = sizeof lists / sizeof lists[0] };

struct undoing {
    const struct ctl *ctl;
    const struct postfix *postfix;
    const struct setup_record *record;
    char *set[NEED_COUNT]; /* "NAME = VALUE"; owned */
    size_t set_count;
    const char *drop[NEED_COUNT];
    size_t drop_count;
    bool no_memory;
};

/* ----------------------------------------------------------------- our entries */

static bool is_our_milter(const struct undoing *u, const char *item)
{
    const char *queue = need_queue_directory(u->postfix);
    const char *former = u->record->listen;
    return milter_item_leads(item, u->ctl->config->listen, queue) ||
           (former != NULL && milter_item_leads(item, former, queue));
}

static bool is_pcre(const char *item, const char *path)
{
    return path != NULL && strncmp(item, "pcre:", 5) == 0 && strcmp(item + 5, path) == 0;
}

static bool is_our_map(const struct undoing *u, const char *item)
{
    char *usual = NULL;
    if (asprintf(&usual, "%s/batv.pcre", postfix_get(u->postfix, "config_directory")) < 0) {
        return false;
    }
    bool ours =
        is_pcre(item, usual) || is_pcre(item, u->record->map) || is_pcre(item, POSTFIX_MAP_PATH);
    free(usual);
    return ours;
}

static bool is_ours(const struct undoing *u, enum need need, const char *item)
{
    return need == NEED_MAPS ? is_our_map(u, item) : is_our_milter(u, item);
}

/* The first of our entries in a list. NULL: none, or no memory. The caller frees. */
static char *find_ours(const struct undoing *u, enum need need, const char *list)
{
    struct words words = {.items = NULL};
    char *found = NULL;
    if (words_split(list, &words)) {
        for (size_t i = 0; i < words.count && found == NULL; i++) {
            found = is_ours(u, need, words.items[i]) ? strdup(words.items[i]) : NULL;
        }
    }
    words_free(&words);
    return found;
}

/* The place of an item in a list that has it, as an item. */
static char *place_of(char *list, const char *item)
{
    size_t length = strlen(item);
    char *at = strstr(list, item);
    while (at != NULL) {
        bool begins = at == list || strchr(", \t\r\n", at[-1]) != NULL;
        if (begins && strchr(", \t\r\n", at[length]) != NULL) { /* the end, too */
            break;
        }
        at = strstr(at + 1, item);
    }
    return at;
}

/* Takes an item out of a list, with what separates it from the next one or, the last, from the one
 * before. */
static void cut(char *list, const char *item)
{
    static const char separators[] = ", \t\r\n";
    char *at = place_of(list, item);
    if (at == NULL) {
        *list = '\0'; /* cannot be: it was found there */
        return;
    }
    char *rest = at + strlen(item);
    rest += strspn(rest, separators);
    while (*rest == '\0' && at > list && strchr(separators, at[-1]) != NULL) {
        at--;
    }
    memmove(at, rest, strlen(rest) + 1);
}

/* The list without our entries. NULL: no memory. */
static char *without_ours(const struct undoing *u, enum need need, const char *list)
{
    char *out = strdup(list);
    char *item;
    while (out != NULL && (item = find_ours(u, need, out)) != NULL) {
        cut(out, item);
        free(item);
    }
    return out;
}

/* ----------------------------------------------------------------- the changes */

static void plan_set(struct undoing *u, enum need need, const char *value)
{
    char *setting = NULL;
    if (asprintf(&setting, "%s = %s", need_name(need), value) < 0) {
        u->no_memory = true;
        return;
    }
    u->set[u->set_count++] = setting;
}

static void plan_drop(struct undoing *u, enum need need)
{
    u->drop[u->drop_count++] = need_name(need);
}

/* Back to what main.cf had, or to nothing. */
static void plan_former(struct undoing *u, enum need need)
{
    if (u->record->was[need] != NULL) {
        plan_set(u, need, u->record->was[need]);
    } else {
        plan_drop(u, need);
    }
}

static bool has_our_value(const struct undoing *u, enum need need)
{
    const char *wrote = u->record->set[need];
    return wrote != NULL && strcmp(wrote, postfix_get_raw(u->postfix, need_name(need))) == 0;
}

/* An empty list is one that main.cf did not set, unless the record knows better. */
static void plan_list(struct undoing *u, enum need need)
{
    const char *live = postfix_get_raw(u->postfix, need_name(need));
    char *rest = without_ours(u, need, live);
    if (rest == NULL) {
        u->no_memory = true;
    } else if (strcmp(rest, live) != 0) {
        if (list_is_empty(rest) && u->record->was[need] == NULL) {
            /* With the other lists at once; then the line goes. */
            plan_set(u, need, "");
            plan_drop(u, need);
        } else {
            plan_set(u, need, rest);
        }
    } else if (need == NEED_NON_SMTPD && has_our_value(u, need)) {
        plan_former(u, need); /* $smtpd_milters */
    }
    free(rest);
}

static bool is_known(const char *word)
{
    static const char *const known[] = {"accept",          "reject",   "tempfail",
                                        "quarantine",      "shutdown", "envelope_recipient",
                                        "header_recipient"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(word, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What a record may give back: somebody else than root can write it. */
static bool is_harmless(enum need need, const char *value)
{
    struct words words = {.items = NULL};
    bool fine = words_split(value, &words) && (words.count == 1 || need == NEED_CLASSES);
    for (size_t i = 0; i < words.count && fine; i++) {
        fine = is_known(words.items[i]);
    }
    words_free(&words);
    return fine;
}

static void plan_value(struct undoing *u, enum need need)
{
    const char *was = u->record->was[need];
    if (!has_our_value(u, need)) {
        return;
    }
    if (was == NULL || is_harmless(need, was)) {
        plan_former(u, need);
    } else {
        print_format(stdout, "main.cf: %s stays; before setup it was: %s\n", need_name(need), was);
    }
}

static void plan(struct undoing *u)
{
    for (size_t i = 0; i < LISTS; i++) {
        plan_list(u, lists[i]);
    }
    plan_value(u, NEED_ACTION);
    plan_value(u, NEED_CLASSES);
}

/* ----------------------------------------------------------------- what is left */

/* A parameter that still leads to us by way of another one. */
static bool tell_left(const struct undoing *u, enum need need)
{
    const char *name = need_name(need);
    char *item = find_ours(u, need, postfix_get(u->postfix, name));
    bool left = item != NULL;
    if (left) {
        print_error("%s still leads to %s through another parameter: remove it from the parameters "
                    "that make up %s in main.cf",
                    name, item, name);
    }
    free(item);
    return left;
}

/* Services that name us themselves. */
static bool tell_services(const struct undoing *u)
{
    size_t count;
    bool left = false;
    const struct postfix_service *services = postfix_services(u->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        const char *list = postfix_override(u->postfix, &services[i], "smtpd_milters");
        char *item = list != NULL ? find_ours(u, NEED_MILTERS, list) : NULL;
        const char *main_list = postfix_get(u->postfix, "smtpd_milters");
        if (item != NULL && strcmp(list, main_list) != 0) {
            print_error(
                "master.cf: the service %s/%s still names %s: remove it from its smtpd_milters",
                services[i].name, services[i].type, item);
            left = true;
        }
        free(item);
    }
    return left;
}

static bool tell_rest(const struct undoing *u)
{
    struct postfix *now = NULL;
    struct reason why = {""};
    if (postfix_open(&now, &why) != STATUS_OK) {
        print_error("%s", why.text);
        return true;
    }
    struct undoing after = {.ctl = u->ctl, .postfix = now, .record = u->record};
    bool left = false;
    for (size_t i = 0; i < LISTS; i++) {
        left = tell_left(&after, lists[i]) || left;
    }
    left = tell_services(&after) || left;
    postfix_free(now);
    return left;
}

/* ----------------------------------------------------------------- doing it */

static int reload(const struct undoing *u)
{
    if (!postfix_runs()) {
        puts("postfix: not running");
        return CTL_YES;
    }
    return postfix_reload(u->postfix) ? CTL_YES : CTL_UNABLE;
}

static int edit(struct undoing *u)
{
    const struct main_cf_change change = {(const char *const *)u->set, u->set_count, u->drop,
                                          u->drop_count};
    char *copy = NULL;
    int exit = main_cf_edit(u->postfix, &change, &copy) ? CTL_YES : CTL_UNABLE;
    if (exit == CTL_YES) {
        for (size_t i = 0; i < u->set_count; i++) {
            print_format(stdout, "main.cf: set %s\n", u->set[i]);
        }
        for (size_t i = 0; i < u->drop_count; i++) {
            print_format(stdout, "main.cf: %s is no longer set\n", u->drop[i]);
        }
        print_format(stdout, "main.cf: the former one is kept as %s\n", copy);
    }
    free(copy);
    return exit;
}

int undo_postfix(const struct ctl *ctl, const struct postfix *postfix,
                 const struct setup_record *record)
{
    struct undoing u = {.ctl = ctl, .postfix = postfix, .record = record};
    int exit = CTL_UNABLE;
    plan(&u);
    if (u.no_memory) {
        print_error("out of memory");
    } else if (u.set_count + u.drop_count == 0) {
        puts("main.cf: has no settings of batvd");
        exit = CTL_YES;
    } else {
        exit = edit(&u);
        exit = exit == CTL_YES ? reload(&u) : exit;
    }
    if (exit == CTL_YES && tell_rest(&u)) {
        exit = CTL_NO;
    }
    for (size_t i = 0; i < u.set_count; i++) {
        free(u.set[i]);
    }
    return exit;
}

/* ----------------------------------------------------------------- closing the map */

/* ... \ 'NAME = VALUE' */
static bool print_setting(const char *name, const char *value)
{
    char *setting = NULL;
    char *quoted = NULL;
    if (asprintf(&setting, "%s = %s", name, value) >= 0) {
        quoted = program_quote(setting);
        free(setting);
    }
    if (quoted != NULL) {
        printf(" \\\n        %s", quoted);
    }
    free(quoted);
    return quoted != NULL;
}

/* The list with an entry in front, unless it is there. */
static bool print_with(const struct postfix *postfix, const char *name, const char *entry)
{
    const char *live = postfix_get_raw(postfix, name);
    bool there = strstr(live, entry) != NULL;
    char *value = there ? strdup(live) : list_join(entry, live);
    bool done = value != NULL && print_setting(name, value);
    free(value);
    return done;
}

static bool print_without(const struct undoing *u, enum need need)
{
    char *value = without_ours(u, need, postfix_get_raw(u->postfix, need_name(need)));
    bool done = value != NULL && print_setting(need_name(need), value);
    free(value);
    return done;
}

bool undo_print_closing(const struct ctl *ctl, const struct postfix *postfix,
                        const struct setup_record *record)
{
    const struct undoing u = {.ctl = ctl, .postfix = postfix, .record = record};
    const char *folder = postfix_get(postfix, "config_directory");
    const char *place = postfix_place(postfix);
    char *check = NULL;
    char *class = NULL;
    if (asprintf(&check, "check_recipient_access pcre:%s/batvd-tags.pcre", folder) < 0) {
        check = NULL;
    }
    if (asprintf(&class, "check_sender_access pcre:%s/batvd-bounces.pcre", folder) < 0) {
        class = NULL;
    }
    bool done = check != NULL && class != NULL;
    if (done) {
        print_format(stdout,
                     "    printf '%%s\\n' '/^\"?prvs=[0-9]{4}[0-9A-Fa-f]{6}=/ batvd_bounces' \\\n"
                     "        > %s/batvd-tags.pcre &&\n"
                     "    printf '%%s\\n' '/^<>$/ DUNNO' '/^/ 550 5.1.1 this address takes bounces "
                     "only' \\\n"
                     "        > %s/batvd-bounces.pcre &&\n"
                     "    postconf%s -e",
                     folder, folder, place);
        done = print_setting("batvd_bounces", class) &&
               print_with(postfix, "smtpd_restriction_classes", "batvd_bounces") &&
               print_with(postfix, "smtpd_recipient_restrictions", check) &&
               print_without(&u, NEED_MILTERS) && print_without(&u, NEED_NON_SMTPD);
        printf(" &&\n    postfix%s reload\n", place);
    }
    free(check);
    free(class);
    return done;
}
