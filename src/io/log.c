/*
 * The log. To syslog, to stderr, or to stderr as journald reads it (each line with its priority in
 * front, sd-daemon(3)). A line is one write, so lines of several threads never mix.
 *
 * The target is set before the first thread starts and by reload; level is read by all threads.
 */
#include "io/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static _Atomic enum config_log_target log_target = CONFIG_LOG_STDERR;
static atomic_int log_level = LOG_INFO;

void log_open(enum config_log_target target, int facility, int level)
{
    if (target == CONFIG_LOG_SYSLOG) {
        openlog("batvd", LOG_PID | LOG_NDELAY, facility);
    }
    log_target = target;
    log_level = level;
}

void log_close(void)
{
    log_target = CONFIG_LOG_STDERR;
    log_level = LOG_INFO;
    closelog();
}

static void write_line(int priority, char *line, size_t length)
{
    enum config_log_target target = log_target;
    switch (target) {
    case CONFIG_LOG_SYSLOG:
        syslog(priority, "%.*s", (int)length, line);
        return;
    case CONFIG_LOG_JOURNALD:
        /* the three octets before the line are room for "<6>" */
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

enum { ROOM_BEFORE = 3, ROOM_AFTER = 1 };

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
    write_line(priority, line, strlen(line));
}

void log_decision(void *self, const struct decision *decision)
{
    (void)self;
    int priority = decision->debug ? LOG_DEBUG : LOG_INFO;
    if (priority > log_level) {
        return;
    }
    char buffer[ROOM_BEFORE + DECISION_LINE + ROOM_AFTER];
    char *line = buffer + ROOM_BEFORE;
    size_t length = decision_format(decision, line, DECISION_LINE);
    write_line(priority, line, length);
}
