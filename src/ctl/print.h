/* How things look in the answers that people read. */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "batv/rules.h"

enum { PRINT_TIME = sizeof "2026-11-28 12:00 UTC", PRINT_SPAN = 48 };

/* Text of whatever origin, as io/visible.h has it. */
void print_text(FILE *out, const char *text);

/* An IPv4 address as such, though it is held as an IPv6 one. */
void print_ip(FILE *out, const struct ip *ip);

/* As fprintf, of text of whatever origin, in lines of ours. */
void print_format(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As vasprintf. NULL: no memory. The caller frees. */
char *format_text(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* "2026-11-28 12:00 UTC" */
void format_moment(time_t when, char out[static PRINT_TIME]);

/* "9 days 3 h", "3 h 12 min", "12 min", "5 s" */
void format_span(time_t seconds, char out[static PRINT_SPAN]);

/* In words: a reason of sign-skip, or why batvctl sign refuses. "" for an unknown one. */
const char *explain_skip(const char *reason);

/* In words: what `auto` does and why. until as by snapshot_auto; wait by settings_wait. */
void print_auto(FILE *out, enum auto_state state, time_t until, time_t wait);

#endif
