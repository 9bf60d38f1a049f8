/*
 * The names of the domains that wait, as of the last look. States are not kept: they follow from
 * configuration, ring and time. Names are kept because a reload may change the waiting time, and a
 * clock that is set right the state of every domain; a domain whose state the clock hides stays as
 * it was.
 */
#include "daemon/awaited.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"

enum { LINES_MAX = 20 }; /* at a time: a site may have very many domains */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_awaited(const struct awaited *awaited, const char *name)
{
    return awaited->count > 0 && bsearch(&name, awaited->names, awaited->count,
                                         sizeof *awaited->names, compare_names) != NULL;
}

static bool waits(const struct awaited *former, const struct domain_settings *domain,
                  enum auto_state state)
{
    switch (state) {
    case AUTO_NEVER_SIGNED:
    case AUTO_WAITING:
    case AUTO_RELAYED:
    case AUTO_NO_TAG:
        return true;
    case AUTO_CLOCK:
        return is_awaited(former, domain->name);
    case AUTO_ENFORCES:
    case AUTO_NOT_SIGNING:
        break;
    }
    return false;
}

static void log_rejecting(const char *name, size_t before)
{
    if (before < LINES_MAX) {
        log_line(LOG_NOTICE,
                 "%s: bounces without a valid tag or another proof are rejected from now on "
                 "(verify.action = \"auto\")",
                 name);
    }
}

/* False: no memory. */
static bool note(struct awaited *next, const char *name)
{
    const char *copy = text_pool_add(&next->pool, name);
    if (copy != NULL) {
        next->names[next->count++] = copy;
    }
    return copy != NULL;
}

/* Fills next, whose names have room for all. False: no memory. */
static bool look(struct awaited *next, const struct awaited *former,
                 const struct snapshot *snapshot)
{
    const struct settings *settings = snapshot->settings;
    bool done = true;
    for (size_t i = 0; done && i < settings->domain_count; i++) {
        const struct domain_settings *domain = &settings->domain[i];
        time_t end;
        enum auto_state state = snapshot_auto(snapshot, domain, next->at, &end);
        bool by_itself = domain->action == ACTION_AUTO;
        next->all++;
        next->logging += by_itself ? state != AUTO_ENFORCES : domain->action == ACTION_LOG;
        if (end != 0 && (next->until == 0 || end < next->until)) {
            next->until = end;
        }
        done = !by_itself || !waits(former, domain, state) || note(next, domain->name);
    }
    return done;
}

/* Logs what rejects now and did not before. */
static void log_changes(const struct awaited *former, const struct snapshot *snapshot, time_t now)
{
    const struct settings *settings = snapshot->settings;
    size_t count = 0;
    for (size_t i = 0; former->count > 0 && i < settings->domain_count; i++) {
        const struct domain_settings *domain = &settings->domain[i];
        if (domain->action == ACTION_AUTO && is_awaited(former, domain->name) &&
            snapshot_auto(snapshot, domain, now, NULL) == AUTO_ENFORCES) {
            log_rejecting(domain->name, count++);
        }
    }
    if (count > LINES_MAX) {
        log_line(LOG_NOTICE,
                 "bounces without a valid tag or another proof are rejected from now on for %zu "
                 "more domains",
                 count - LINES_MAX);
    }
}

static bool is_current(const struct awaited *awaited, uint64_t number, time_t now)
{
    return awaited->names != NULL && awaited->number == number && now >= awaited->at &&
           (awaited->until == 0 || now < awaited->until);
}

void awaited_update(struct awaited *awaited, const struct snapshot *snapshot, uint64_t number,
                    time_t now)
{
    if (is_current(awaited, number, now)) {
        return;
    }
    struct awaited next = {.number = number, .at = now};
    next.names = calloc(snapshot->settings->domain_count + 1, sizeof *next.names);
    if (next.names == NULL || !look(&next, awaited, snapshot)) {
        awaited_clear(&next);
        return;
    }
    if (next.count > 1) {
        qsort(next.names, next.count, sizeof *next.names, compare_names);
    }
    log_changes(awaited, snapshot, now);
    awaited_clear(awaited);
    *awaited = next;
}

void awaited_clear(struct awaited *awaited)
{
    free(awaited->names);
    text_pool_free(&awaited->pool);
    *awaited = (struct awaited){.names = NULL};
}
