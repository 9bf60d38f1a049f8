/*
 * The calendar, computed: the C library's would look for a time zone file. Pure functions on the
 * proleptic Gregorian calendar in UTC; any thread may call.
 */
#include "batv/day.h"

#include <string.h>

enum {
    DAY_FIRST = -719162, /* 0001-01-01 */
    DAY_LAST = 2932896,  /* 9999-12-31 */
    ERA_DAYS = 146097,   /* 400 years */
    ERA_SHIFT = 719468   /* days from 0000-03-01 to 1970-01-01 */
};

struct date {
    unsigned year, month, day;
};

int64_t day_of(time_t now)
{
    int64_t day = (int64_t)now / DAY_SECONDS;
    return (int64_t)now % DAY_SECONDS < 0 ? day - 1 : day;
}

unsigned day_code(int64_t day)
{
    int64_t rest = day % DAY_CODES;
    return (unsigned)(rest < 0 ? rest + DAY_CODES : rest);
}

int day_until(unsigned code, int64_t today)
{
    return (int)((code % DAY_CODES + DAY_CODES - day_code(today)) % DAY_CODES);
}

static int64_t day_clamp(int64_t day)
{
    if (day < DAY_FIRST) {
        return DAY_FIRST;
    }
    return day > DAY_LAST ? DAY_LAST : day;
}

/* Years are counted from March, so that a leap day is the last of its year. */
static struct date date_of_day(int64_t day)
{
    unsigned shifted = (unsigned)(day_clamp(day) + ERA_SHIFT);
    unsigned era = shifted / ERA_DAYS;
    unsigned rest = shifted % ERA_DAYS;
    unsigned year = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
    unsigned of_year = rest - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    struct date date = {
        .year = era * 400 + year + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
    };
    return date;
}

static int64_t day_of_date(struct date date)
{
    unsigned year = date.year - (date.month <= 2 ? 1 : 0);
    unsigned month = date.month > 2 ? date.month - 3 : date.month + 9;
    unsigned in_era = year % 400;
    unsigned of_year = (153 * month + 2) / 5 + date.day - 1;
    unsigned rest = 365 * in_era + in_era / 4 - in_era / 100 + of_year;
    return (int64_t)(year / 400) * ERA_DAYS + rest - ERA_SHIFT;
}

static char *put_number(char *out, unsigned value, unsigned width)
{
    for (unsigned i = width; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + width;
}

static bool take_number(const char *text, unsigned width, unsigned *out)
{
    *out = 0;
    for (unsigned i = 0; i < width; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *out = *out * 10 + (unsigned)(text[i] - '0');
    }
    return true;
}

void day_format(int64_t day, char out[static DAY_TEXT])
{
    struct date date = date_of_day(day);
    out = put_number(out, date.year, 4);
    *out++ = '-';
    out = put_number(out, date.month, 2);
    *out++ = '-';
    out = put_number(out, date.day, 2);
    *out = '\0';
}

bool day_parse(const char *text, int64_t *out)
{
    struct date date;
    if (strlen(text) != DAY_TEXT - 1 || !take_number(text, 4, &date.year) || text[4] != '-' ||
        !take_number(text + 5, 2, &date.month) || text[7] != '-' ||
        !take_number(text + 8, 2, &date.day)) {
        return false;
    }
    if (date.year < 1 || date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31) {
        return false;
    }

    /* A 30th of February comes back as another day. */
    char again[DAY_TEXT];
    int64_t day = day_of_date(date);
    day_format(day, again);
    if (strcmp(again, text) != 0) {
        return false;
    }
    *out = day;
    return true;
}

void time_format(time_t when, char out[static TIME_TEXT])
{
    int64_t day = day_of(when);
    unsigned second = (unsigned)((int64_t)when - day * DAY_SECONDS);
    if (day < DAY_FIRST) {
        second = 0;
    } else if (day > DAY_LAST) {
        second = DAY_SECONDS - 1;
    }

    day_format(day, out);
    char *at = out + DAY_TEXT - 1;
    *at++ = 'T';
    at = put_number(at, second / 3600, 2);
    *at++ = ':';
    at = put_number(at, second / 60 % 60, 2);
    *at++ = ':';
    at = put_number(at, second % 60, 2);
    *at++ = 'Z';
    *at = '\0';
}

bool time_parse(const char *text, time_t *out)
{
    if (strlen(text) != TIME_TEXT - 1) {
        return false;
    }

    char date[DAY_TEXT];
    memcpy(date, text, DAY_TEXT - 1);
    date[DAY_TEXT - 1] = '\0';
    int64_t day;
    if (!day_parse(date, &day)) {
        return false;
    }

    unsigned hour, minute, second;
    const char *at = text + DAY_TEXT - 1;
    if (at[0] != 'T' || !take_number(at + 1, 2, &hour) || at[3] != ':' ||
        !take_number(at + 4, 2, &minute) || at[6] != ':' || !take_number(at + 7, 2, &second) ||
        at[9] != 'Z') {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *out = (time_t)(day * DAY_SECONDS + hour * 3600 + minute * 60 + second);
    return true;
}
