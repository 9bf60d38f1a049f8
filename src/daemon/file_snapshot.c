/* Rows of the report about domains that the configuration does not have say nothing. No state. */
#include "daemon/file_snapshot.h"

#include <stdlib.h>

#include "batv/day.h"
#include "store/pause.h"

static void take_relayed(const struct status_report *report, struct observed *seen)
{
    for (size_t i = 0; i < report->relayed.count; i++) {
        const struct status_row *row = &report->relayed.rows[i];
        observed_note_relayed(seen, row->domain, row->held);
    }
}

static void take_returned(const struct status_report *report, struct observed *seen)
{
    for (size_t i = 0; i < report->returned.count; i++) {
        const struct status_row *row = &report->returned.rows[i];
        if (counts_tell_rewriting(row->count, row->known)) {
            observed_note_rewritten(seen, row->domain);
        }
    }
}

/* A damaged line proves nothing. */
static enum status take_proven(const struct status_report *report, struct network_list **out)
{
    const char **clients = calloc(report->relays.count + 1, sizeof *clients);
    size_t bad;
    for (size_t i = 0; clients != NULL && i < report->relays.count; i++) {
        clients[i] = report->relays.rows[i].name;
    }
    enum status status = clients != NULL
                             ? network_list_new(clients, report->relays.count, out, &bad)
                             : STATUS_NO_MEMORY;
    free(clients);
    return status == STATUS_INVALID ? STATUS_OK : status;
}

enum status file_snapshot_make(const struct config *config, const struct ring *ring,
                               const struct report_look *look, time_t now,
                               struct file_snapshot *out)
{
    const struct settings *settings = config->settings;
    bool present = report_is_present(look);
    struct observed seen;
    enum status status = observed_begin(&seen, settings) ? take_proven(&look->report, &seen.proven)
                                                         : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        take_relayed(&look->report, &seen);
    }
    if (status == STATUS_OK && present) { /* a daemon that is gone has taken its sample along */
        take_returned(&look->report, &seen);
    }
    *out = (struct file_snapshot){.observed = seen};
    out->snapshot = (struct snapshot){
        .settings = settings,
        .ring = ring,
        .relayed = seen.relayed,
        .ids_rewritten = seen.ids_rewritten,
        .proven = seen.proven,
        .paused = pause_is_on(config->state_dir),
        .clock_wrong =
            (present && look->report.clock_wrong) || now < ring_newest_time(ring) - DAY_SECONDS,
    };
    if (status != STATUS_OK) {
        file_snapshot_clear(out);
    }
    return status;
}

void file_snapshot_clear(struct file_snapshot *files)
{
    observed_free(&files->observed);
    *files = (struct file_snapshot){.observed = {.relayed = NULL}};
}
