/*
 * The daemon's report about itself: the parts of it that nothing else fills in, the file `status`,
 * and systemd's line. What the daemon counts fills in its own parts (tally_report ...).
 */
#ifndef DAEMON_REPORT_WRITER_H
#define DAEMON_REPORT_WRITER_H

#include <stdbool.h>
#include <time.h>

#include "batv/settings.h"
#include "store/status_file.h"
#include "store/status_line.h"

struct journal;

/* These fill in their parts of the report. */
void report_snapshot(const struct snapshot *snapshot, time_t now, struct status_report *report);
void report_log(struct status_report *report);
/* NULL: there is no journal in a file. */
void report_journal(struct journal *journal, struct status_report *report);

/* One thread. Starts as all zero. */
struct report_writer {
    struct reason error;    /* of the last write; "" for none */
    char line[STATUS_LINE]; /* as systemd has it */
};
/* Writes the report, if nothing is missing. A failure is logged once. */
void report_writer_write(struct report_writer *writer, const char *state_dir,
                         const struct status_report *report);

#endif
