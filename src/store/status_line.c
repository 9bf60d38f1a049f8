/*
 * The report in a line: faults and what is held back first, since the line may be cut on its way to
 * the reader. Pure.
 */
#include "store/status_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "batv/day.h"

struct text {
    char *out;
    size_t size;
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->used, text->size - text->used, format, arguments);
    va_end(arguments);
    if (length > 0) {
        size_t room = text->size - text->used - 1;
        text->used += (size_t)length < room ? (size_t)length : room;
    }
}

static void put_clock(struct text *text, time_t until)
{
    char moment[TIME_TEXT];
    time_format(until, moment);
    put(text, "The clock %s: no rotation, \"auto\" rejects nothing%s%s. ",
        until != 0 ? "jumped" : "is wrong", until != 0 ? " until " : "", until != 0 ? moment : "");
}

static void put_faults(struct text *text, const struct status_report *report)
{
    if (report->reload_error[0] != '\0') {
        put(text, "Reload rejected, the previous configuration is in force: %s. ",
            report->reload_error);
    }
    if (report->ring_error[0] != '\0') {
        put(text, "Keyring rejected, the previous keys are in force: %s. ", report->ring_error);
    }
    if (report->log_error[0] != '\0') {
        put(text, "Log lines go %s: %s. ",
            strcmp(report->log_place, "nowhere") == 0 ? "nowhere" : "to standard error",
            report->log_error);
    }
    if (report->clock_wrong) {
        put_clock(text, report->clock_until);
    }
    if (report->paused) {
        put(text, "Paused, nothing is rejected. ");
    }
}

static uint64_t counter(const struct status_report *report, const char *name)
{
    for (size_t i = 0; i < report->counters.count; i++) {
        if (strcmp(report->counters.rows[i].name, name) == 0) {
            return report->counters.rows[i].count;
        }
    }
    return 0;
}

/* Whatever an error message quotes: a line must not become two, and systemd takes UTF-8 only. */
static void make_plain(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        *p = *p >= 0x20 && *p <= 0x7e ? *p : '?';
    }
}

void status_line(const struct status_report *report, char *out, size_t size)
{
    struct text text = {out, size, 0};
    uint64_t all = report->domains_all;
    out[0] = '\0';
    put_faults(&text, report);
    put(&text, "%" PRIu64 " domain%s, %" PRIu64 " of them only logging; ", all, all == 1 ? "" : "s",
        report->paused ? all : report->domains_logging);
    if (report->active_key >= 0) {
        put(&text, "key %ld signs; ", report->active_key);
    } else {
        put(&text, "no key signs; ");
    }
    if (report->next_rotation != 0) {
        char day[DAY_TEXT];
        day_format(day_of(report->next_rotation), day);
        put(&text, "next key on %s; ", day);
    }
    put(&text, "since the start %" PRIu64 " signed, %" PRIu64 " rejected",
        counter(report, "signed"), counter(report, "action.reject"));
    make_plain(out);
}
