/*
 * The running daemon and its report: whose it is, and whether it is what the daemon would say now.
 */
#ifndef DAEMON_REPORT_H
#define DAEMON_REPORT_H

#include <stdbool.h>
#include <time.h>

#include "store/status_file.h"

enum report_kind {
    REPORT_NONE,   /* there is no file */
    REPORT_BROKEN, /* it cannot be read */
    REPORT_FORMER, /* no daemon runs, or another process than the one that wrote it */
    REPORT_OLD,    /* the running process has not renewed it for REPORT_OLD_SECONDS */
    REPORT_FRESH
};

enum { REPORT_OLD_SECONDS = 30 }; /* the daemon writes every ten */

struct report_look {
    bool running;
    long pid; /* of the daemon; 0: it does not run, or its number is not known */
    enum report_kind kind;
    time_t age;                  /* of the report, where there is one */
    struct status_report report; /* empty with REPORT_NONE and REPORT_BROKEN */
    struct reason why;           /* with REPORT_BROKEN; "" otherwise */
};

/* Looks; a daemon that has only just started gets three seconds for its first report. The caller
 * frees look->report with status_report_free. */
void report_look(const char *state_dir, struct report_look *look);
/* There is a report that can be read, whose ever. */
bool report_is_known(const struct report_look *look);
/* It is of the process that runs. */
bool report_is_present(const struct report_look *look);
/* True where the configuration in path has changed after the daemon read it. */
bool report_is_outdated(const struct status_report *report, const char *path);

#endif
