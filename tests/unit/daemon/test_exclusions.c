/* Which exclusions accept bounces, and where the latest bounces come from. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "daemon/exclusions.h"

static struct exclusions *exclusions;
static struct status_report report;

static const struct client bridge = {.address = "172.17.0.1"};
static const struct client outside = {.address = "192.0.2.1"};
static const struct client local = {.name = "localhost", .address = "127.0.0.1", .local = true};

static void setup(void)
{
    exclusions = exclusions_new();
    report = (struct status_report){.active_key = -1};
}

static void teardown(void)
{
    status_report_free(&report);
    exclusions_free(exclusions);
}

static void look(void)
{
    status_report_free(&report);
    exclusions_report(exclusions, &report);
    ck_assert(!report.failed);
}

static struct decision bounce(const struct client *client, const char *rule)
{
    return (struct decision){.kind = DECISION_VERIFY,
                             .client = client,
                             .bounce = true,
                             .opens = true,
                             .from_mail_server = client == &bridge,
                             .verdict = {.action = ACTION_ACCEPT, .rule = rule}};
}

static void decide(struct decision decision)
{
    exclusions_decision(exclusions, &decision);
}

static uint64_t accepted_by(const char *rule)
{
    look();
    for (size_t i = 0; i < report.excluded.count; i++) {
        if (strcmp(report.excluded.rows[i].name, rule) == 0) {
            return report.excluded.rows[i].count;
        }
    }
    ck_abort_msg("%s is not in the report", rule);
    return 0;
}

static void expect_run(uint64_t servers, uint64_t one, const char *address)
{
    look();
    ck_assert_uint_eq(report.bounces_from_servers, servers);
    ck_assert_uint_eq(report.bounces_from_one, one);
    ck_assert_str_eq(report.bounce_client, address);
}

START_TEST(test_each_exclusion_is_counted)
{
    static const char *const rules[] = {
        "local",         "exclude.authenticated", "exclude.mail_servers",   "exclude.networks",
        "exclude.hosts", "exclude.recipients",    "exclude_sign.recipients"};
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        for (size_t n = 0; n <= i; n++) {
            decide(bounce(&outside, rules[i]));
        }
        ck_assert_uint_eq(accepted_by(rules[i]), i + 1);
    }
    decide(bounce(&outside, "tag"));
    decide(bounce(&outside, "evidence.header"));
    look();
    ck_assert_uint_eq(report.bounces_judged, 28 + 2);
    ck_assert_uint_ge(report.excluded.count, COUNT_OF(rules));
}
END_TEST

START_TEST(test_what_is_no_bounce_does_not_count)
{
    struct decision ordinary = bounce(&bridge, "ordinary");
    ordinary.bounce = false;
    decide(ordinary);
    struct decision foreign = bounce(&bridge, "exclude.mail_servers");
    foreign.debug = true;
    decide(foreign);
    struct decision signing = bounce(&bridge, NULL);
    signing.kind = DECISION_SIGN;
    decide(signing);
    expect_run(0, 0, "");
    ck_assert_uint_eq(report.bounces_judged, 0);
}
END_TEST

START_TEST(test_runs)
{
    for (int i = 0; i < 150; i++) {
        decide(bounce(&bridge, i % 2 == 0 ? "tag" : "exclude.mail_servers"));
    }
    expect_run(150, 150, "172.17.0.1");
    decide(bounce(&local, "local"));
    decide(bounce(&outside, "exclude.authenticated"));
    expect_run(150, 150, "172.17.0.1");
    decide(bounce(&outside, "verify.action"));
    expect_run(0, 1, "192.0.2.1");
    decide(bounce(&outside, "verify.action"));
    decide(bounce(&bridge, "exclude.mail_servers"));
    expect_run(1, 1, "172.17.0.1");
}
END_TEST

/* However many recipients it has. */
START_TEST(test_a_bounce_is_one)
{
    decide(bounce(&bridge, "exclude.mail_servers"));
    for (int i = 0; i < 200; i++) {
        struct decision further = bounce(&bridge, "exclude.mail_servers");
        further.opens = false;
        decide(further);
    }
    expect_run(1, 1, "172.17.0.1");
    ck_assert_uint_eq(accepted_by("exclude.mail_servers"), 201);
}
END_TEST

START_TEST(test_a_run_goes_on_after_a_restart)
{
    for (int i = 0; i < 7; i++) {
        decide(bounce(&bridge, "tag"));
    }
    look();
    exclusions_free(exclusions);
    exclusions = exclusions_new();
    exclusions_restore(exclusions, &report);
    decide(bounce(&bridge, "tag"));
    expect_run(8, 8, "172.17.0.1");
    ck_assert_uint_eq(report.bounces_judged, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exclusions");
    TCase *tcase = tcase_create("exclusions");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_each_exclusion_is_counted);
    tcase_add_test(tcase, test_what_is_no_bounce_does_not_count);
    tcase_add_test(tcase, test_runs);
    tcase_add_test(tcase, test_a_bounce_is_one);
    tcase_add_test(tcase, test_a_run_goes_on_after_a_restart);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
