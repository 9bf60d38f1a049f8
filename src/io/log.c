/*
 * The log. To syslog, to stderr, or to the journal of systemd, where a decision's values are fields
 * of their own beside the line. Without a journal that target is stderr as journald reads it (each
 * line with its priority in front, sd-daemon(3)). A line is one write, so lines of several threads
 * never mix.
 *
 * The target is set before the first thread starts and by reload; it, the facility and the level
 * are read by all threads.
 */
#include "io/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "io/systemd.h"

static _Atomic enum config_log_target log_target = CONFIG_LOG_STDERR;
static atomic_bool has_journal;
static atomic_int log_facility = LOG_MAIL;
static atomic_int log_level = LOG_INFO;

void log_open(enum config_log_target target, int facility, int level)
{
    if (target == CONFIG_LOG_SYSLOG) {
        openlog("batvd", LOG_PID | LOG_NDELAY, facility);
    }
    has_journal = target == CONFIG_LOG_JOURNALD && systemd_has_journal();
    log_target = target;
    log_facility = facility;
    log_level = level;
}

void log_close(void)
{
    log_target = CONFIG_LOG_STDERR;
    log_level = LOG_INFO;
    closelog();
}

/* ------------------------------------------------------------------ journal */

/* Names and values of an entry, cut to size: far more than the longest decision has. */
enum { FIELDS_MAX = 32, FIELDS_TEXT = 12288 };

struct fields {
    struct iovec item[FIELDS_MAX];
    size_t count;
    char text[FIELDS_TEXT];
    size_t used;
};

static void field_add(struct fields *fields, const char *prefix, const char *name,
                      const char *value)
{
    char *at = fields->text + fields->used;
    size_t room = sizeof fields->text - fields->used;
    int length = snprintf(at, room, "%s%s=%s", prefix, name, value);
    if (length < 0 || (size_t)length >= room || fields->count == FIELDS_MAX) {
        return;
    }
    for (char *p = at; *p != '='; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
    fields->item[fields->count++] = (struct iovec){at, (size_t)length};
    fields->used += (size_t)length;
}

static void field_add_number(struct fields *fields, const char *name, int number)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%d", number);
    field_add(fields, "", name, digits);
}

static void take_field(void *self, const char *name, const char *value)
{
    field_add(self, "BATV_", name, value);
}

/* A line's place in its buffer: room before it for what a target puts there. */
static const char message_name[] = "MESSAGE=";
enum { ROOM_BEFORE = sizeof message_name - 1, ROOM_AFTER = 1 };

/* decision: whose line it is, or NULL. */
static bool write_entry(int priority, char *line, size_t length, const struct decision *decision)
{
    struct fields fields;
    fields.count = fields.used = 0;
    memcpy(line - ROOM_BEFORE, message_name, ROOM_BEFORE);
    fields.item[fields.count++] = (struct iovec){line - ROOM_BEFORE, length + ROOM_BEFORE};
    field_add_number(&fields, "PRIORITY", priority);
    field_add_number(&fields, "SYSLOG_FACILITY", LOG_FAC(log_facility));
    field_add(&fields, "", "SYSLOG_IDENTIFIER", "batvd");
    if (decision != NULL) {
        const struct decision_reader reader = {take_field, &fields};
        take_field(&fields, "queue_id",
                   decision->queue_id != NULL ? decision->queue_id : "NOQUEUE");
        take_field(&fields, "event", decision_event(decision));
        decision_read(decision, &reader);
    }
    return systemd_journal(fields.item, fields.count);
}

/* -------------------------------------------------------------------- lines */

static void write_line(int priority, char *line, size_t length, const struct decision *decision)
{
    enum config_log_target target = log_target;
    switch (target) {
    case CONFIG_LOG_SYSLOG:
        syslog(priority, "%.*s", (int)length, line);
        return;
    case CONFIG_LOG_JOURNALD:
        if (has_journal && write_entry(priority, line, length, decision)) {
            return;
        }
        line -= 3;
        length += 3;
        line[0] = '<';
        line[1] = (char)('0' + priority);
        line[2] = '>';
        break;
    case CONFIG_LOG_STDERR:
        break;
    }
    line[length] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length + 1);
    (void)written; /* there is nowhere to complain */
}

void log_line(int priority, const char *format, ...)
{
    if (priority > log_level) {
        return;
    }
    char buffer[ROOM_BEFORE + 2048 + ROOM_AFTER];
    char *line = buffer + ROOM_BEFORE;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof buffer - ROOM_BEFORE - ROOM_AFTER, format, arguments);
    va_end(arguments);
    for (char *p = line; *p != '\0'; p++) {
        if (iscntrl((unsigned char)*p)) {
            *p = '?'; /* what a message brought along makes no line of its own */
        }
    }
    write_line(priority, line, strlen(line), NULL);
}

bool log_notice_due(struct log_notice *notice, int64_t seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t steady = now.tv_sec + 1; /* never 0 */
    bool due = notice->said_s == 0 || steady - notice->said_s >= seconds;
    if (due) {
        notice->said_s = steady;
    }
    return due;
}

/* Stack that was touched once stays resident with each thread of libmilter's, so the room for the
 * longest line is taken only by those that need it: by a frame of its own. */
__attribute__((noinline)) static void log_long_decision(int priority,
                                                        const struct decision *decision)
{
    char buffer[ROOM_BEFORE + DECISION_LINE + ROOM_AFTER];
    char *line = buffer + ROOM_BEFORE;
    size_t length = decision_format(decision, line, DECISION_LINE);
    write_line(priority, line, length, decision);
}

void log_decision(void *self, const struct decision *decision)
{
    enum { USUAL_LINE = 1024 };
    (void)self;
    int priority = decision->debug ? LOG_DEBUG : LOG_INFO;
    if (priority > log_level || decision->counted) {
        return;
    }
    char buffer[ROOM_BEFORE + USUAL_LINE + ROOM_AFTER];
    char *line = buffer + ROOM_BEFORE;
    size_t length = decision_format(decision, line, USUAL_LINE);
    if (length < USUAL_LINE - 1) {
        write_line(priority, line, length, decision);
    } else {
        log_long_decision(priority, decision);
    }
}
