/* Days since 1970-01-01 UTC, their three-digit form in a tag, and times as text (ISO 8601, UTC). */
#ifndef BATV_DAY_H
#define BATV_DAY_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
    DAY_SECONDS = 86400,
    DAY_CODES = 1000, /* the tag's DDD counts days modulo this */
    DAY_TEXT = sizeof "2026-11-28",
    TIME_TEXT = sizeof "2026-11-28T12:00:00Z"
};

int64_t day_of(time_t now);

/* The three digits of a day: day mod 1000. */
unsigned day_code(int64_t day);

/* Days from today until the next day that has this code: 0 to 999. */
int day_until(unsigned code, int64_t today);

/* "2026-11-28". Days outside the years 1 to 9999 become the nearest end. */
void day_format(int64_t day, char out[static DAY_TEXT]);

/* The exact inverse of day_format and of nothing else; false: not of that form. */
bool day_parse(const char *text, int64_t *out);

/* "2026-11-28T12:00:00Z" */
void time_format(time_t when, char out[static TIME_TEXT]);

/* The exact inverse of time_format and of nothing else; false: not of that form. */
bool time_parse(const char *text, time_t *out);

#endif
