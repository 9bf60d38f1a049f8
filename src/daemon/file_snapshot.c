/* Rows of the report about domains that the configuration does not have say nothing. No state. */
#include "daemon/file_snapshot.h"

#include <stdlib.h>

#include "batv/day.h"
#include "store/pause.h"

static void take_relayed(const struct settings *settings, const struct status_report *report,
                         time_t *relayed)
{
    for (size_t i = 0; i < report->relayed.count; i++) {
        const struct status_row *seen = &report->relayed.rows[i];
        const struct domain_settings *domain = settings_domain_named(settings, seen->domain);
        if (domain != NULL && relayed[domain - settings->domain] < seen->held) {
            relayed[domain - settings->domain] = seen->held;
        }
    }
}

static void take_returned(const struct settings *settings, const struct status_report *report,
                          bool *rewritten)
{
    for (size_t i = 0; i < report->returned.count; i++) {
        const struct status_row *seen = &report->returned.rows[i];
        const struct domain_settings *domain = settings_domain_named(settings, seen->domain);
        if (domain != NULL) {
            rewritten[domain - settings->domain] = counts_tell_rewriting(seen->count, seen->known);
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
    struct observed seen = {
        .relayed = calloc(settings->domain_count + 1, sizeof *seen.relayed),
        .ids_rewritten = calloc(settings->domain_count + 1, sizeof *seen.ids_rewritten),
    };
    enum status status = seen.relayed != NULL && seen.ids_rewritten != NULL
                             ? take_proven(&look->report, &seen.proven)
                             : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        take_relayed(settings, &look->report, seen.relayed);
    }
    if (status == STATUS_OK && present) { /* a daemon that is gone has taken its sample along */
        take_returned(settings, &look->report, seen.ids_rewritten);
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
