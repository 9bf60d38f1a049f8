/*
 * Strings lie in a pool, rows in arrays that double whenever their length is a power of two, so
 * that their room need not be kept. A report belongs to one thread.
 */
#include "store/status_report.h"

#include <stdlib.h>
#include <string.h>

const char *status_keep(struct status_report *report, const char *text)
{
    const char *copy = text != NULL && text[0] != '\0' ? text_pool_add(&report->texts, text) : "";
    report->failed = report->failed || copy == NULL;
    return copy != NULL ? copy : "";
}

struct status_row *status_add_empty(struct status_report *report, struct status_rows *rows)
{
    size_t count = rows->count;
    if ((count & (count - 1)) == 0) {
        struct status_row *grown =
            reallocarray(rows->rows, count == 0 ? 1 : 2 * count, sizeof *grown);
        report->failed = report->failed || grown == NULL;
        if (grown == NULL) {
            return NULL;
        }
        rows->rows = grown;
    }
    rows->rows[count] = (struct status_row){.domain = "", .client = "", .name = ""};
    return &rows->rows[rows->count++];
}

void status_add(struct status_report *report, struct status_rows *rows,
                const struct status_row *row)
{
    struct status_row *copy = status_add_empty(report, rows);
    if (copy != NULL) {
        *copy = *row;
        copy->domain = status_keep(report, row->domain);
        copy->client = status_keep(report, row->client);
        copy->name = status_keep(report, row->name);
    }
}

void status_relayed_merge(struct status_report *report)
{
    struct status_row *rows = report->relayed.rows;
    size_t kept = 0;
    for (size_t i = 0; i < report->relayed.count; i++) {
        struct status_row *former = kept > 0 ? &rows[kept - 1] : NULL;
        if (former == NULL || strcmp(former->domain, rows[i].domain) != 0 ||
            strcmp(former->client, rows[i].client) != 0) {
            rows[kept++] = rows[i];
            continue;
        }
        if (rows[i].last >= former->last) {
            former->name = rows[i].name;
            former->last = rows[i].last;
        }
        former->count += rows[i].count;
        former->held = rows[i].held > former->held ? rows[i].held : former->held;
    }
    report->relayed.count = kept;
}

void status_report_free(struct status_report *report)
{
    const struct status_rows *const lists[] = {
        &report->relayed, &report->hosted,  &report->relays,   &report->returned,
        &report->forged,  &report->guessed, &report->excluded, &report->counters,
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        free(lists[i]->rows);
    }
    text_pool_free(&report->texts);
    *report = (struct status_report){.active_key = -1};
}
