/*
 * The names of domains that wait, taken from reports: the former daemon's, so that a restart
 * neither repeats the line nor loses it, and then this one's. A domain whose state the clock hides
 * stays as it was. Names are copies.
 */
#include "daemon/awaited.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"

enum { LINES_MAX = 20 }; /* at a time: a site may have very many domains */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_awaited(const struct awaited *awaited, char *name)
{
    return awaited->count > 0 && bsearch(&name, awaited->names, awaited->count,
                                         sizeof *awaited->names, compare_names) != NULL;
}

static bool waits(const char *state)
{
    static const char *const states[] = {"never-signed", "waiting", "relayed", "no-tag-seen"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcmp(state, states[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void tell(const struct awaited *awaited, const struct status_domain *domains, size_t count)
{
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(domains[i].state, "enforcing") != 0 || !is_awaited(awaited, domains[i].name)) {
            continue;
        }
        if (told++ < LINES_MAX) {
            log_line(LOG_NOTICE,
                     "%s: bounces without a valid tag or another proof are rejected from now on "
                     "(verify.action = \"auto\")",
                     domains[i].name);
        }
    }
    if (told > LINES_MAX) {
        log_line(LOG_NOTICE,
                 "bounces without a valid tag or another proof are rejected from now on for %zu "
                 "more domains",
                 told - LINES_MAX);
    }
}

void awaited_update(struct awaited *awaited, const struct status_domain *domains, size_t count)
{
    struct awaited next = {calloc(count + 1, sizeof *next.names), 0};
    bool done = next.names != NULL;
    for (size_t i = 0; done && i < count; i++) {
        const struct status_domain *domain = &domains[i];
        bool hidden = strcmp(domain->state, "clock") == 0;
        if (waits(domain->state) || (hidden && is_awaited(awaited, domain->name))) {
            next.names[next.count] = strdup(domain->name);
            done = next.names[next.count] != NULL;
            next.count += done;
        }
    }
    if (!done) {
        awaited_clear(&next);
        return;
    }
    if (next.count > 1) {
        qsort(next.names, next.count, sizeof *next.names, compare_names);
    }
    tell(awaited, domains, count);
    awaited_clear(awaited);
    *awaited = next;
}

void awaited_clear(struct awaited *awaited)
{
    for (size_t i = 0; i < awaited->count; i++) {
        free(awaited->names[i]);
    }
    free(awaited->names);
    *awaited = (struct awaited){NULL, 0};
}
