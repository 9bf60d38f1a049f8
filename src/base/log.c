/*
 * The log's lines: which are written, and what stands in them. base/log_target.c takes them to
 * where they go. The level is set before the first thread starts and by reload, and read by all
 * threads.
 */
#include "base/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/log_target.h"

static atomic_int log_level = LOG_INFO;

void log_open(enum log_target target, int facility, int level)
{
    log_level = level;
    log_target_open(target, facility, NULL);
}

void log_line(int priority, const char *format, ...)
{
    if (priority > log_level) {
        return;
    }
    char buffer[LOG_ROOM_BEFORE + 2048 + LOG_ROOM_AFTER];
    char *line = buffer + LOG_ROOM_BEFORE;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof buffer - LOG_ROOM_BEFORE - LOG_ROOM_AFTER, format, arguments);
    va_end(arguments);
    for (char *p = line; *p != '\0'; p++) {
        if (iscntrl((unsigned char)*p)) {
            *p = '?'; /* what a message brought along makes no line of its own */
        }
    }
    log_target_write(priority, line, strlen(line), NULL);
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
    char buffer[LOG_ROOM_BEFORE + DECISION_LINE + LOG_ROOM_AFTER];
    char *line = buffer + LOG_ROOM_BEFORE;
    size_t length = decision_format(decision, line, DECISION_LINE);
    log_target_write(priority, line, length, decision);
}

void log_decision(void *self, const struct decision *decision)
{
    enum { USUAL_LINE = 1024 };
    (void)self;
    int priority = decision->debug ? LOG_DEBUG : LOG_INFO;
    if (priority > log_level || decision->counted) {
        return;
    }
    char buffer[LOG_ROOM_BEFORE + USUAL_LINE + LOG_ROOM_AFTER];
    char *line = buffer + LOG_ROOM_BEFORE;
    size_t length = decision_format(decision, line, USUAL_LINE);
    if (length < USUAL_LINE - 1) {
        log_target_write(priority, line, length, decision);
    } else {
        log_long_decision(priority, decision);
    }
}
