/*
 * Days and times against a table, against the C library's calendar for every day that has a form,
 * and the three-digit day of a tag around its wraps.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../suite.h"
#include "batv/day.h"

static const struct {
    const char *name;
    int64_t day;
    const char *text;
} days[] = {
    {"the beginning of the count", 0, "1970-01-01"},
    {"the day before it", -1, "1969-12-31"},
    {"a leap day", 11016, "2000-02-29"},
    {"no leap year: 1900", -25508, "1900-03-01"},
    {"no leap year: 2100", 47541, "2100-03-01"},
    {"an ordinary day", 20778, "2026-11-21"},
    {"the day on which the digits wrap", 21000, "2027-07-01"},
    {"the first that has a form", -719162, "0001-01-01"},
    {"the last that has a form", 2932896, "9999-12-31"},
    {"before the first", -719163, "0001-01-01"},
    {"long before the first", INT64_MIN, "0001-01-01"},
    {"after the last", 2932897, "9999-12-31"},
    {"long after the last", INT64_MAX, "9999-12-31"},
};

START_TEST(test_day_format)
{
    char text[DAY_TEXT];
    day_format(days[_i].day, text);
    ck_assert_msg(strcmp(text, days[_i].text) == 0, "%s: %s", days[_i].name, text);
}
END_TEST

START_TEST(test_every_day_is_as_the_c_library_has_it)
{
    for (int64_t day = -719162; day <= 2932896; day++) {
        time_t seconds = (time_t)(day * DAY_SECONDS);
        struct tm tm;
        char expected[64], text[DAY_TEXT];
        int64_t back;
        ck_assert_ptr_nonnull(gmtime_r(&seconds, &tm));
        snprintf(expected, sizeof expected, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday);
        day_format(day, text);
        if (strcmp(text, expected) != 0 || !day_parse(text, &back) || back != day) {
            ck_abort_msg("day %lld: %s, expected %s", (long long)day, text, expected);
        }
    }
}
END_TEST

static const struct {
    const char *name;
    time_t when;
    const char *text;
} times[] = {
    {"the beginning of the count", 0, "1970-01-01T00:00:00Z"},
    {"one second before it", -1, "1969-12-31T23:59:59Z"},
    {"the last second of a day", 1795305599, "2026-11-21T23:59:59Z"},
    {"midnight", 1795305600, "2026-11-22T00:00:00Z"},
    {"every field of two digits", 1795255871, "2026-11-21T10:11:11Z"},
    {"the first second that has a form", -62135596800, "0001-01-01T00:00:00Z"},
    {"the last second that has a form", 253402300799, "9999-12-31T23:59:59Z"},
};

START_TEST(test_time_format_and_parse)
{
    char text[TIME_TEXT];
    time_t back;
    time_format(times[_i].when, text);
    ck_assert_msg(strcmp(text, times[_i].text) == 0, "%s: %s", times[_i].name, text);
    ck_assert_msg(time_parse(text, &back) && back == times[_i].when, "%s", times[_i].name);
}
END_TEST

START_TEST(test_times_beyond_the_form_become_its_ends)
{
    char text[TIME_TEXT];
    time_format(253402300800, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59Z");
    time_format(INT64_MAX, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59Z");
    time_format(-62135596801, text);
    ck_assert_str_eq(text, "0001-01-01T00:00:00Z");
    time_format(INT64_MIN, text);
    ck_assert_str_eq(text, "0001-01-01T00:00:00Z");
}
END_TEST

static const char *const no_times[] = {
    "",
    "-",
    "2026-11-21",
    "2026-11-21T10:11:12",
    "2026-11-21T10:11:12z",
    "2026-11-21t10:11:12Z",
    "2026-11-21 10:11:12Z",
    "2026-11-21T10:11:12Z ",
    " 2026-11-21T10:11:12Z",
    "2026-11-21T10:11:12+",
    "2026-11-21T24:00:00Z",
    "2026-11-21T10:60:00Z",
    "2026-11-21T10:11:60Z",
    "2026-11-31T10:11:12Z",
    "2026-02-29T10:11:12Z",
    "2026-00-21T10:11:12Z",
    "2026-13-21T10:11:12Z",
    "2026-11-00T10:11:12Z",
    "2026-11-32T10:11:12Z",
    "0000-11-21T10:11:12Z",
    "-026-11-21T10:11:12Z",
    "+026-11-21T10:11:12Z",
    "2026-11-2 T10:11:12Z",
    "2026/11/21T10:11:12Z",
    "2026-11-21T10.11.12Z",
    "2026-11-21T10:11:1aZ",
    "20261-1-21T10:11:12Z",
};

START_TEST(test_what_is_no_time)
{
    time_t when = 7;
    ck_assert_msg(!time_parse(no_times[_i], &when), "taken: %s", no_times[_i]);
    ck_assert_int_eq(when, 7);
}
END_TEST

START_TEST(test_what_is_no_day)
{
    static const char *const no_days[] = {"",           "2026-11-2",  "2026-11-211", "2026-02-30",
                                          "2026-1-021", "0000-01-01", "2026-11-2x",  "2026-11--1"};
    int64_t day = 7;
    for (size_t i = 0; i < sizeof no_days / sizeof *no_days; i++) {
        ck_assert_msg(!day_parse(no_days[i], &day), "taken: %s", no_days[i]);
    }
    ck_assert_int_eq(day, 7);
}
END_TEST

START_TEST(test_day_of)
{
    ck_assert_int_eq(day_of(0), 0);
    ck_assert_int_eq(day_of(DAY_SECONDS - 1), 0);
    ck_assert_int_eq(day_of(DAY_SECONDS), 1);
    ck_assert_int_eq(day_of(-1), -1);
    ck_assert_int_eq(day_of(-DAY_SECONDS), -1);
    ck_assert_int_eq(day_of(-DAY_SECONDS - 1), -2);
    ck_assert_int_eq(day_of(1795262400), 20778);
}
END_TEST

/* The one way to count that needs no arithmetic: forward, day after day. */
START_TEST(test_day_code_and_day_until_around_wraps)
{
    static const int64_t begins[] = {-2000, 0, 20000, 20900, 21000, 21990};
    for (size_t b = 0; b < sizeof begins / sizeof *begins; b++) {
        int64_t today = begins[b];
        for (int ahead = 0; ahead < DAY_CODES; ahead++) {
            unsigned code = day_code(today + ahead);
            ck_assert_uint_lt(code, DAY_CODES);
            ck_assert_int_eq(day_until(code, today), ahead);
        }
        ck_assert_int_eq(day_until(day_code(today - 1), today), 999);
    }
    ck_assert_uint_eq(day_code(20999), 999);
    ck_assert_uint_eq(day_code(21000), 0);
    ck_assert_uint_eq(day_code(-1), 999);
    ck_assert_int_eq(day_until(3, 20998), 5);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("day");
    TCase *tcase = tcase_create("day");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_day_format, 0, COUNT(days));
    tcase_add_test(tcase, test_every_day_is_as_the_c_library_has_it);
    tcase_add_loop_test(tcase, test_time_format_and_parse, 0, COUNT(times));
    tcase_add_test(tcase, test_times_beyond_the_form_become_its_ends);
    tcase_add_loop_test(tcase, test_what_is_no_time, 0, COUNT(no_times));
    tcase_add_test(tcase, test_what_is_no_day);
    tcase_add_test(tcase, test_day_of);
    tcase_add_test(tcase, test_day_code_and_day_until_around_wraps);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
