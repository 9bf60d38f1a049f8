/* What `batvctl status` has found, and its two ways to tell it. */
#ifndef CTL_STATUS_VIEW_H
#define CTL_STATUS_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "config/config.h"
#include "daemon/report.h"
#include "mta/postfix_trust.h"

struct status_view {
    const struct config *config;
    bool rough;                     /* which has faults, and so no domains */
    const struct snapshot *domains; /* to judge them by; NULL: there is no keyring, or no report */
    struct postfix_trust *trust;    /* NULL: no Postfix here, or it does not matter */
    bool paused;
    time_t paused_since;
    struct report_look look;
    time_t now;
};

/* status_print.c, for people, and status_json.c, for programs: to stdout. */
void status_print(const struct status_view *view);
void status_print_json(const struct status_view *view);

/* Rounded; a report that a moment passed between its counts never says more than all. */
uint64_t status_percent(uint64_t count, uint64_t of);
/* NULL: the report has none of that name. */
const struct status_row *status_counter(const struct status_report *report, const char *prefix,
                                        const char *name);

#endif
