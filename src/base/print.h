/* How things look in the answers that people read. */
#ifndef BASE_PRINT_H
#define BASE_PRINT_H

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

struct ip;

enum { PRINT_TIME = sizeof "2026-11-28 12:00 UTC", PRINT_SPAN = 48 };

/* "batvctl: ..." on stderr. */
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_error_list(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* Text of whatever origin, as base/visible.h has it. */
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

#endif
