/*
 * Whether each milter that Postfix lists answers, batvd's own present address apart, which `socket`
 * tells of; while the configuration has faults, that one too, as nobody knows whether it is. A
 * milter that does not answer holds up all mail of the service, whosever it is, unless its action
 * says otherwise. Each address is tried once, and all of them together have an end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/words.h"
#include "check/postfix.h"
#include "mta/milter_address.h"
#include "mta/milter_probe.h"

enum { MILTERS_MAX = 100, SECONDS_MAX = 20 };

struct roll {
    struct check *check;
    const struct postfix_service *service;
    const char *parameter;
    struct words tried; /* CHROOT LIST ITEM ACTION, one entry each */
    size_t answering;
    time_t until;
    bool cut; /* some were left out */
};

static time_t seconds_now(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? now.tv_sec : 0;
}

/* What becomes of mail while the milter is away. */
static const char *harm_of(const char *action)
{
    static const struct {
        const char *action;
        const char *harm;
    } harms[] = {
        {"tempfail", "all mail is deferred"},
        {"shutdown", "all mail is deferred"},
        {"quarantine", "all mail is held in the queue"},
        {"reject", "all mail is rejected"},
        {"accept", "mail passes without it"},
    };
    for (size_t i = 0; i < sizeof harms / sizeof harms[0]; i++) {
        if (strcasecmp(action, harms[i].action) == 0) {
            return harms[i].harm;
        }
    }
    return "all mail is deferred"; /* Postfix takes nothing else and stops */
}

/* The list without the item, or with batvd's present address in place of its former one. */
static char *mend_entry(const struct roll *roll, const char *item, bool former)
{
    struct check *check = roll->check;
    const char *own = postfix_override(check->postfix, roll->service, roll->parameter);
    if (former && own != NULL) {
        return mend_service_milters(check, roll->service, roll->parameter);
    }
    if (former) {
        return mend_lists(check);
    }
    if (own == NULL) {
        return mend_item(check, milters_source(check, roll->service), item, NULL);
    }
    char *list = list_with(own, item, NULL, ", ");
    char *text =
        list != NULL ? mend_service_list(check, roll->service, roll->parameter, list) : NULL;
    free(list);
    return text;
}

static void tell_silent(const struct roll *roll, const char *item, const char *name,
                        const char *action, const struct reason *why)
{
    struct check *check = roll->check;
    bool former = check->formers != NULL && former_is(check->formers, item, roll->service->chroot);
    bool passes = strcasecmp(action, "accept") == 0;
    char *ours = milters_find_ours(check, item);
    char *mend = ours != NULL ? strdup(check->restart) : mend_entry(roll, item, former);
    if (!former && ours == NULL) {
        mend = mend_behind("start the milter that listens there; to go without it: ", mend);
    }
    free(ours);
    check_add(check, passes ? CHECK_WARN : CHECK_FAIL, mend,
              "nobody answers at %s (%s of %s): %s%s: %s", name, roll->parameter,
              roll->service->name, harm_of(action), former ? "; it was batvd's address before" : "",
              why->text);
}

static void try_milter(struct roll *roll, const char *item, const char *name, const char *action)
{
    struct check *check = roll->check;
    struct reason why = {""};
    switch (probe_milter(name, need_queue_directory(check->postfix), roll->service->chroot, &why)) {
    case PROBE_ANSWERS:
        roll->answering++;
        break;
    case PROBE_FORBIDDEN:
        check_add(check, CHECK_WARN, mend_text("run this as root"),
                  "%s: this user cannot test whether it answers", name);
        break;
    default:
        tell_silent(roll, item, name, action, &why);
    }
}

static void take_item(struct roll *roll, const char *item)
{
    struct check *check = roll->check;
    char *name = milter_item_name(item);
    char *own = milter_item_option(item, "default_action");
    const char *action =
        own != NULL ? own
                    : postfix_service_get(check->postfix, roll->service, need_name(NEED_ACTION));
    bool own_list = postfix_override(check->postfix, roll->service, roll->parameter) != NULL;
    char *key = mend_text("%d %s %s %s", roll->service->chroot,
                          own_list ? roll->service->name : milters_source(check, roll->service),
                          item, action);
    char *ours = milters_find_ours(check, item);
    if (name == NULL || key == NULL) {
        check->no_memory = true;
    } else if ((ours == NULL || check->rough) && !words_has(&roll->tried, key)) {
        roll->cut = roll->cut || roll->tried.count >= MILTERS_MAX || seconds_now() > roll->until;
        check->no_memory = check->no_memory || !words_add(&roll->tried, key);
        if (!roll->cut) {
            try_milter(roll, item, name, action);
        }
    }
    free(ours);
    free(key);
    free(own);
    free(name);
}

static void take_service(struct roll *roll, const struct postfix_service *service)
{
    struct check *check = roll->check;
    struct words items = {.items = NULL};
    roll->service = service;
    roll->parameter = listener_milters(service);
    if (roll->parameter == NULL || service_skips_milters(check, service)) {
        return;
    }
    if (!words_split(postfix_service_get(check->postfix, service, roll->parameter), &items)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < items.count; i++) {
        take_item(roll, items.items[i]);
    }
    words_free(&items);
}

void check_milters(struct check *check)
{
    size_t count;
    size_t before = check->count;
    struct roll roll = {.check = check, .until = seconds_now() + SECONDS_MAX};
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        take_service(&roll, &services[i]);
    }
    if (roll.cut) {
        check_add(check, CHECK_WARN, mend_text("mend those above, then look again"),
                  "not every milter was tested: there are many, or they answer slowly");
    } else if (check->count == before && roll.tried.count == 0) {
        check_ok(check, "Postfix lists no milter beside batvd");
    } else if (check->count == before) {
        check_ok(check, "each of the other milters answers: %zu", roll.answering);
    }
    words_free(&roll.tried);
}
