/* The daemon's log: one place, set up once, used by all threads. Priorities are syslog(3)'s. */
#ifndef IO_LOG_H
#define IO_LOG_H

#include "batv/decision.h"
#include "io/config.h"

/* Before it, and after log_close, lines of at least LOG_INFO go to stderr. */
void log_open(enum config_log_target target, int facility, int level);
void log_close(void);

/* One line, without a newline. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A sink of decisions: their lines. self is unused. */
void log_decision(void *self, const struct decision *decision);

#endif
