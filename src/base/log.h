/* The daemon's log: one place, set up once, used by all threads. Priorities are syslog(3)'s. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log_target.h"

/* Before it lines of at least LOG_INFO go to stderr. */
void log_open(enum log_target target, int facility, int level);

/* True if a line of this priority is written. */
bool log_takes(int priority);

/* One line, without a newline. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* When something was last said that is worth saying only now and then. */
struct log_notice {
    int64_t said_s; /* by a clock that nobody sets; 0: never */
};
/* True once, and again after so many seconds; the caller holds what guards notice. */
bool log_notice_due(struct log_notice *notice, int64_t seconds);

#endif
