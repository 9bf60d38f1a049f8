/*
 * A keyring in a folder, the watch over it and what the daemon changes in it: others change, damage
 * and remove the file meanwhile. Writing a lost file back takes a minute, so that is for tests of
 * the whole program.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "../suite.h"
#include "base/log.h"
#include "batv/day.h"
#include "daemon/rotation.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const time_t noon = (time_t)20778 * DAY_SECONDS + DAY_SECONDS / 2;

static char com[] = "example.com", net[] = "example.net";
static struct domain_settings domain[] = {{.name = com, .sign = true}, {.name = net, .sign = true}};
static struct settings settings = {.domain = domain,
                                   .domain_count = 2,
                                   .keys = {.rotate_days = 7,
                                            .retain_days = 14,
                                            .lifetime_days = 7,
                                            .algorithm = ALGORITHM_HMAC_SHA256}};

static char folder[64], keyring[96];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring_source *source;
static struct ring_watch *watch;
static struct tally *tally;
static struct rotation rotation;
static struct reason why;

static enum status make_key(void *context, struct ring *ring, bool *changed, struct reason *reason)
{
    uint8_t octets[SECRET_SIZE] = {1};
    const time_t *when = context;
    (void)changed;
    return ring_rotate(ring, &settings.keys, settings.keys.algorithm, *when, 0, octets, reason);
}

/* As `batvctl key` does, beside the daemon. */
static void somebody_rotates(time_t when)
{
    ck_assert_msg(ring_change(source, make_key, &when, &why) == STATUS_OK, "%s", why.text);
}

static void setup(void)
{
    log_open(LOG_TARGET_STDERR, LOG_MAIL, -1);
    snprintf(folder, sizeof folder, "/tmp/batv-watch.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(keyring, sizeof keyring, "%s/keyring", folder);
    static const char *const names[] = {com, net};
    size_t bad;
    ck_assert_int_eq(domain_list_new(names, COUNT(names), &settings.domains, &bad), STATUS_OK);
    source = ring_source_new(folder);
    tally = tally_new();
    struct ring *ring = ring_new();
    time_t when = noon;
    bool changed;
    ck_assert_int_eq(make_key(&when, ring, &changed, &why), STATUS_OK);
    ck_assert_int_eq(ring_commit(source, 0, ring, &why), STATUS_OK);
    ring_free(ring);
    ck_assert_msg(ring_watch_new(folder, &watch, &why) == STATUS_OK, "%s", why.text);
    ring_watch_guard(watch, &lock);
    ring_watch_retain(watch, settings.keys.retain_days);
    rotation = (struct rotation){.watch = watch, .tally = tally};
    pthread_mutex_lock(&lock);
}

static void teardown(void)
{
    char command[128];
    pthread_mutex_unlock(&lock);
    ring_watch_free(watch);
    tally_free(tally);
    domain_list_free(settings.domains);
    ring_source_free(source);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const struct ring *ring_in_force(void)
{
    return shared_ring_get(ring_watch_ring(watch));
}

static void decide(struct decision decision)
{
    static const struct client client = {.address = "192.0.2.1"};
    decision.client = &client;
    tally_decision(tally, &decision);
}

/* error is part of what the report says, "" for nothing. */
static void expect_report(const char *error, const char *back)
{
    struct status_report report = {.active_key = -1};
    ring_watch_report(watch, &report);
    ck_assert_ptr_nonnull(strstr(report.ring_error, error));
    ck_assert_int_eq(report.ring_error[0] == '\0', error[0] == '\0');
    ck_assert_str_eq(report.ring_back, back);
    status_report_free(&report);
}

/* -------------------------------------------------------------------- watch */

START_TEST(test_a_look_finds_a_newer_ring_once)
{
    ck_assert_uint_eq(ring_in_force()->generation, 1);
    ck_assert(!ring_watch_look(watch));
    somebody_rotates(noon + DAY_SECONDS);
    ck_assert(ring_watch_look(watch));
    ck_assert_uint_eq(ring_in_force()->generation, 2);
    ck_assert(!ring_watch_look(watch));
    ck_assert(!ring_watch_has_news(watch));
}
END_TEST

START_TEST(test_a_damaged_file_leaves_the_ring_in_force)
{
    FILE *file = fopen(keyring, "w");
    fputs("nonsense\n", file);
    fclose(file);
    ck_assert(!ring_watch_look(watch));
    ck_assert_uint_eq(ring_in_force()->generation, 1);
    expect_report(keyring, "waits");
    ck_assert(ring_watch_has_news(watch));
    ck_assert(!ring_watch_has_news(watch));
    ck_assert(!ring_watch_mend(watch, noon));
}
END_TEST

START_TEST(test_a_file_that_comes_back_ends_the_trouble)
{
    char aside[128];
    snprintf(aside, sizeof aside, "%s.aside", keyring);
    ck_assert_int_eq(rename(keyring, aside), 0);
    ck_assert(!ring_watch_look(watch));
    expect_report(keyring, "waits");
    ck_assert(!ring_watch_is_unread(watch));
    ck_assert_int_eq(rename(aside, keyring), 0);
    ck_assert(ring_watch_look(watch));
    expect_report("", "");
}
END_TEST

START_TEST(test_a_lost_file_is_not_changed)
{
    ck_assert_int_eq(unlink(keyring), 0);
    ck_assert(!ring_watch_look(watch));
    ck_assert(!rotation_run(&rotation, &settings, noon + 30 * DAY_SECONDS));
    ck_assert_int_ne(access(keyring, F_OK), 0);
}
END_TEST

/* ----------------------------------------------------------------- rotation */

START_TEST(test_a_rotation_when_it_is_due_and_no_further_one_soon)
{
    ck_assert(!rotation_run(&rotation, &settings, noon + DAY_SECONDS));
    ck_assert(rotation_run(&rotation, &settings, noon + 8 * DAY_SECONDS));
    ck_assert_uint_eq(ring_in_force()->generation, 2);
    /* By this machine's clock, which nobody can set, no time has passed. */
    ck_assert(!rotation_run(&rotation, &settings, noon + 30 * DAY_SECONDS));
    ck_assert_uint_eq(ring_in_force()->generation, 2);
}
END_TEST

START_TEST(test_a_rotation_by_somebody_else_is_taken_as_it_is)
{
    somebody_rotates(noon + 8 * DAY_SECONDS);
    ck_assert(rotation_run(&rotation, &settings, noon + 8 * DAY_SECONDS));
    ck_assert_uint_eq(ring_in_force()->generation, 2);
}
END_TEST

START_TEST(test_a_rotation_without_an_end_of_the_slots_key_is_put_off)
{
    for (int i = 1; i < 10; i++) {
        somebody_rotates(noon + i);
    }
    ck_assert(ring_watch_look(watch));
    ck_assert(!rotation_run(&rotation, &settings, noon + 8 * DAY_SECONDS));
    ck_assert_int_ne(rotation.put_off_until, 0);
    ck_assert(rotation_run(&rotation, &settings, noon + 60 * DAY_SECONDS));
    ck_assert_int_eq(rotation.put_off_until, 0);
}
END_TEST

/* ------------------------------------------------------------------ records */

START_TEST(test_first_mail_and_first_tag_are_recorded_once)
{
    ck_assert(!rotation_run(&rotation, &settings, noon));
    decide((struct decision){.kind = DECISION_SIGN, .domain = &domain[0], .first_signed = true});
    ck_assert(rotation_run(&rotation, &settings, noon + 1));
    time_t when = 0;
    ck_assert(ring_first_signed(ring_in_force(), com, &when));
    ck_assert_int_eq(when, noon + 1);
    decide((struct decision){.kind = DECISION_VERIFY, .domain = &domain[0], .first_tag = true});
    ck_assert(rotation_run(&rotation, &settings, noon + 2));
    ck_assert(!tally_has_first(tally));
    ck_assert(!rotation_run(&rotation, &settings, noon + 3));
    ck_assert_uint_eq(ring_in_force()->generation, 3);
}
END_TEST

START_TEST(test_a_domain_that_signs_no_more_loses_its_record)
{
    decide((struct decision){.kind = DECISION_SIGN, .domain = &domain[1], .first_signed = true});
    ck_assert(rotation_run(&rotation, &settings, noon + 1));
    ck_assert(!rotation_tidy(&rotation, &settings, true, noon + 2));
    domain[1].sign = false;
    ck_assert(rotation_tidy(&rotation, &settings, true, noon + 3));
    time_t when;
    ck_assert(!ring_first_signed(ring_in_force(), net, &when));
}
END_TEST

START_TEST(test_keys_are_dropped_by_a_settled_clock_only)
{
    const time_t later = noon + 365 * DAY_SECONDS;
    somebody_rotates(noon + DAY_SECONDS);
    ck_assert(ring_watch_look(watch));
    ck_assert(!rotation_tidy(&rotation, &settings, false, later));
    ck_assert(rotation_tidy(&rotation, &settings, true, later));
    ck_assert(!rotation_tidy(&rotation, &settings, true, later));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rotation");
    TCase *tcase = tcase_create("keyring");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_a_look_finds_a_newer_ring_once);
    tcase_add_test(tcase, test_a_damaged_file_leaves_the_ring_in_force);
    tcase_add_test(tcase, test_a_file_that_comes_back_ends_the_trouble);
    tcase_add_test(tcase, test_a_lost_file_is_not_changed);
    tcase_add_test(tcase, test_a_rotation_when_it_is_due_and_no_further_one_soon);
    tcase_add_test(tcase, test_a_rotation_by_somebody_else_is_taken_as_it_is);
    tcase_add_test(tcase, test_a_rotation_without_an_end_of_the_slots_key_is_put_off);
    tcase_add_test(tcase, test_first_mail_and_first_tag_are_recorded_once);
    tcase_add_test(tcase, test_a_domain_that_signs_no_more_loses_its_record);
    tcase_add_test(tcase, test_keys_are_dropped_by_a_settled_clock_only);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
