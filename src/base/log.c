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

bool log_takes(int priority)
{
    return priority <= log_level;
}

void log_line(int priority, const char *format, ...)
{
    if (!log_takes(priority)) {
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
