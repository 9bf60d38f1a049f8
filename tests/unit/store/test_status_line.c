/* The daemon's report in one line. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "store/status_line.h"

static char none[] = "";
static char gone[] = "/dev/log: Gone", nowhere[] = "nowhere";
static char fault[] = "conf:3: error:\n\xfcREADY=1";

static struct status_row counters[] = {{.name = "signed", .count = 120},
                                       {.name = "action.log", .count = 7},
                                       {.name = "action.reject", .count = 3}};

static struct status_report base(void)
{
    return (struct status_report){.active_key = 3,
                                  .next_rotation = 1796299200,
                                  .reload_error = none,
                                  .ring_error = none,
                                  .log_error = none,
                                  .domains_all = 4,
                                  .domains_logging = 2,
                                  .counters = {counters, 3}};
}

static void expect(const struct status_report *report, const char *expected)
{
    char line[STATUS_LINE];
    status_line(report, line, sizeof line);
    ck_assert_str_eq(line, expected);
}

START_TEST(test_a_good_day)
{
    struct status_report report = base();
    expect(&report, "4 domains, 2 of them only logging; key 3 signs; next key on 2026-12-03; "
                    "since the start 120 signed, 3 rejected");
    report.domains_all = 1;
    report.domains_logging = 0;
    report.active_key = -1;
    report.next_rotation = 0;
    report.counters.count = 0;
    expect(&report, "1 domain, 0 of them only logging; no key signs; since the start 0 signed, "
                    "0 rejected");
}
END_TEST

START_TEST(test_faults_come_first)
{
    struct status_report report = base();
    char line[STATUS_LINE];
    report.paused = true;
    report.clock_wrong = true;
    report.ring_error = fault;
    status_line(&report, line, sizeof line);
    ck_assert_ptr_eq(strstr(line, "Keyring rejected, the previous keys are in force: conf:3: "),
                     line);
    ck_assert_ptr_nonnull(strstr(line,
                                 " The clock is wrong: no rotation, \"auto\" rejects nothing. "
                                 "Paused, nothing is rejected. 4 domains, 4 of them"));
    report.ring_error = none;
    report.clock_until = 1796299200;
    status_line(&report, line, sizeof line);
    ck_assert_ptr_eq(strstr(line, "The clock jumped: no rotation, \"auto\" rejects nothing until "
                                  "2026-12-03T12:00:00Z. "),
                     line);
    report.log_error = gone;
    report.log_place = nowhere;
    status_line(&report, line, sizeof line);
    ck_assert_ptr_eq(strstr(line, "Log lines go nowhere: /dev/log: Gone. "), line);
    report.reload_error = fault;
    status_line(&report, line, sizeof line);
    ck_assert_ptr_eq(strstr(line, "Reload rejected, the previous configuration is in force: "),
                     line);
}
END_TEST

/* What is quoted cannot begin a line, and so a message, of its own. */
START_TEST(test_one_plain_line)
{
    struct status_report report = base();
    char line[STATUS_LINE];
    report.reload_error = fault;
    status_line(&report, line, sizeof line);
    ck_assert_ptr_nonnull(strstr(line, "conf:3: error:?"
                                       "?READY=1. 4 domains"));
}
END_TEST

START_TEST(test_any_room)
{
    struct status_report report = base();
    char whole[STATUS_LINE];
    char line[STATUS_LINE];
    status_line(&report, whole, sizeof whole);
    for (size_t size = 1; size < sizeof line; size++) {
        memset(line, 'Z', sizeof line);
        status_line(&report, line, size);
        size_t length = strlen(whole) < size ? strlen(whole) : size - 1;
        ck_assert_uint_eq(strlen(line), length);
        ck_assert_int_eq(memcmp(line, whole, length), 0);
        ck_assert_int_eq(line[size], 'Z');
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status_line");
    TCase *tcase = tcase_create("line");
    tcase_add_test(tcase, test_a_good_day);
    tcase_add_test(tcase, test_faults_come_first);
    tcase_add_test(tcase, test_one_plain_line);
    tcase_add_test(tcase, test_any_room);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
