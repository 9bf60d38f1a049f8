/* Reports come every ten seconds, so what does not change is neither sent nor logged again. */
#include "daemon/report_writer.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "base/systemd.h"
#include "store/journal.h"

void report_snapshot(const struct snapshot *snapshot, time_t now, struct status_report *report)
{
    const struct ring *ring = snapshot->ring;
    time_t due = ring_rotation_due(ring, &snapshot->settings->keys, now);
    report->generation = ring->generation;
    report->active_key = ring_active(ring, now);
    report->next_rotation = due == RING_OPEN ? 0 : due;
    report->paused = snapshot->paused;
    if (snapshot->journal_birth != 0 && !snapshot_journal_is_old(snapshot, now)) {
        report->journal_waits = snapshot->journal_birth + settings_wait(snapshot->settings);
    }
}

void report_log(struct status_report *report)
{
    struct log_state log;
    log_target_state(&log);
    report->log_target = log_target_name(log.target);
    report->log_place = log.place;
    report->log_since = log.since;
    report->log_lost = log.lost;
    report->log_error = status_keep(report, log.error);
}

void report_journal(struct journal *journal, struct status_report *report)
{
    struct reason trouble = {""};
    if (journal != NULL) {
        (void)journal_trouble(journal, &trouble);
        report->journal_pending = journal_pending(journal);
    }
    report->journal_error = status_keep(report, trouble.text);
}

/* systemd logs none of it. */
static void send_line(struct report_writer *writer, const struct status_report *report)
{
    char line[STATUS_LINE];
    status_line(report, line, sizeof line);
    if (strcmp(line, writer->line) != 0) {
        memcpy(writer->line, line, sizeof line);
        systemd_status(line);
    }
}

void report_writer_write(struct report_writer *writer, const char *state_dir,
                         const struct status_report *report)
{
    struct reason why = {"out of memory"};
    if (!report->failed) {
        send_line(writer, report);
        if (status_file_write(state_dir, report, &why) == STATUS_OK) {
            why.text[0] = '\0';
        }
    }
    if (why.text[0] != '\0' && strcmp(why.text, writer->error.text) != 0) {
        log_line(LOG_WARNING, "status file: %s", why.text);
    }
    writer->error = why;
}
