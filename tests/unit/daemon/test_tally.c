/*
 * The tally: what each kind of decision adds to which counter, the list of domains that signed
 * first, and the two tables of clients with who has to leave them when they are full.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../suite.h"
#include "daemon/tally.h"

enum { RELAYED_MAX = 500, RECIPIENTS_MAX = 8, FORGED_MAX = 100 };

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

static struct tally *tally;
static struct status_report report;

static char com[] = "example.com", net[] = "example.net";
static const struct domain_settings rules_com = {.name = com};
static const struct domain_settings rules_net = {.name = net};
static const struct client outside = {.address = "192.0.2.1"};
static const struct client local = {.name = "localhost", .address = "127.0.0.1", .local = true};
static const struct client nowhere = {.name = "pipe"};

static void setup(void)
{
    tally = tally_new();
    ck_assert_ptr_nonnull(tally);
    report = (struct status_report){.active_key = -1};
}

static void teardown(void)
{
    status_report_free(&report);
    tally_free(tally);
}

/* The report as of now. */
static void look(void)
{
    status_report_free(&report);
    tally_report(tally, &report);
    ck_assert(!report.failed);
}

static void decide(struct decision decision)
{
    if (decision.client == NULL) {
        decision.client = &outside;
    }
    tally_decision(tally, &decision);
}

/* ---------------------------------------------------------------- counters */

static uint64_t counter(const char *name)
{
    for (size_t i = 0; i < report.counters.count; i++) {
        if (strcmp(report.counters.rows[i].name, name) == 0) {
            return report.counters.rows[i].count;
        }
    }
    ck_abort_msg("no counter %s", name);
    return 0;
}

static uint64_t counter_sum(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < report.counters.count; i++) {
        sum += report.counters.rows[i].count;
    }
    return sum;
}

static const struct {
    struct decision decision;
    const char *counted[4]; /* each by one, and no other */
} countings[] = {
    {{.kind = DECISION_SIGN, .domain = &rules_com}, {"signed"}},
    {{.kind = DECISION_SIGN, .domain = &rules_com, .unanswered = true},
     {"signed", "dns-unanswered"}},
    {{.kind = DECISION_SIGN_SKIP}, {"sign-skip"}},
    {{.kind = DECISION_SIGN_SKIP, .debug = true}, {NULL}},
    {{.kind = DECISION_RELAYED_UNSIGNED, .domain = &rules_com, .elsewhere = "other.test"},
     {"relayed-unsigned"}},
    {{.kind = DECISION_VERIFY, .result = RESULT_VALID, .verdict = {.action = ACTION_ACCEPT}},
     {"verified", "result.valid", "action.accept"}},
    {{.kind = DECISION_VERIFY, .result = RESULT_MISSING, .verdict = {.action = ACTION_REJECT}},
     {"verified", "result.missing", "action.reject"}},
    {{.kind = DECISION_VERIFY,
      .result = RESULT_BAD_SIGNATURE,
      .verdict = {.action = ACTION_LOG, .would = ACTION_REJECT}},
     {"verified", "result.bad-signature", "action.log"}},
    {{.kind = DECISION_VERIFY, .debug = true, .result = RESULT_NOT_OURS}, {"result.not-ours"}},
    /* The fourth of a bounce is what proved it; ordinary mail has no proof. */
    {{.kind = DECISION_VERIFY,
      .bounce = true,
      .result = RESULT_MISSING,
      .verdict = {.action = ACTION_ACCEPT, .proof = "journal"}},
     {"verified", "result.missing", "action.accept", "proof.journal"}},
    {{.kind = DECISION_VERIFY,
      .bounce = true,
      .result = RESULT_MISSING,
      .verdict = {.action = ACTION_REJECT, .proof = "none"}},
     {"verified", "result.missing", "action.reject", "proof.none"}},
    {{.kind = DECISION_VERIFY,
      .bounce = true,
      .result = RESULT_VALID,
      .verdict = {.action = ACTION_ACCEPT}},
     {"verified", "result.valid", "action.accept"}},
};

START_TEST(test_a_decision_counts_by_kind_result_and_action)
{
    size_t expected = 0;
    decide(countings[_i].decision);
    look();
    for (; expected < 4 && countings[_i].counted[expected] != NULL; expected++) {
        ck_assert_uint_eq(counter(countings[_i].counted[expected]), 1);
    }
    ck_assert_uint_eq(counter_sum(), expected);
}
END_TEST

static void decide_held(bool bounce, enum action action, enum action would)
{
    decide((struct decision){.kind = DECISION_VERIFY,
                             .bounce = bounce,
                             .result = RESULT_MISSING,
                             .verdict = {.action = action, .would = would}});
}

START_TEST(test_bounces_that_would_have_been_rejected)
{
    time_t before = time(NULL);
    look();
    ck_assert_uint_eq(report.would_reject, 0);
    ck_assert_int_eq(report.would_reject_last, 0);
    decide_held(true, ACTION_LOG, ACTION_REJECT);
    decide_held(true, ACTION_LOG, ACTION_DISCARD);
    decide_held(true, ACTION_LOG, ACTION_LOG);
    decide_held(true, ACTION_REJECT, ACTION_REJECT);
    decide_held(false, ACTION_LOG, ACTION_REJECT);
    look();
    ck_assert_uint_eq(report.would_reject, 2);
    ck_assert_int_ge(report.would_reject_last, before);
    ck_assert_int_ge(report.would_reject_since, before - 60);
    /* A later daemon goes on counting. */
    struct status_report former = {
        .would_reject = 40, .would_reject_since = 1000, .would_reject_last = 2000};
    tally_restore(tally, &former);
    look();
    ck_assert_uint_eq(report.would_reject, 42);
    ck_assert_int_eq(report.would_reject_since, 1000);
    /* An earlier version did not count. */
    former = (struct status_report){.would_reject = 0};
    tally_restore(tally, &former);
    look();
    ck_assert_int_eq(report.would_reject_since, 1000);
}
END_TEST

START_TEST(test_every_result_and_action_has_a_counter)
{
    look();
    ck_assert_uint_eq(report.counters.count,
                      DECISION_KIND_COUNT + 1 + RESULT_COUNT + ACTION_COUNT + 6);
    ck_assert_uint_eq(counter_sum(), 0);
    for (int i = 0; i < RESULT_COUNT; i++) {
        for (int n = 0; n <= i; n++) {
            decide((struct decision){.kind = DECISION_VERIFY, .result = (enum result)i});
        }
    }
    for (int i = 0; i < ACTION_COUNT; i++) {
        decide((struct decision){.kind = DECISION_VERIFY, .verdict = {.action = (enum action)i}});
    }
    look();
    for (int i = 1; i < RESULT_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "result.%s", result_name((enum result)i));
        ck_assert_uint_eq(counter(name), (uint64_t)i + 1);
    }
    for (int i = 1; i < ACTION_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "action.%s", action_name((enum action)i));
        ck_assert_uint_eq(counter(name), 1);
    }
}
END_TEST

/* ------------------------------------------------------------ first signed */

struct names {
    char text[200];
};

static void take_name(void *context, const char *domain)
{
    struct names *names = context;
    size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof names->text - used, "%s ", domain);
}

static void assert_first(const char *expected)
{
    struct names names = {""};
    tally_first_signed(tally, take_name, &names);
    ck_assert_str_eq(names.text, expected);
    ck_assert(tally_has_first(tally) == (expected[0] != '\0'));
}

static void assert_first_tags(const char *expected)
{
    struct names names = {""};
    tally_first_tags(tally, take_name, &names);
    ck_assert_str_eq(names.text, expected);
}

START_TEST(test_first_tags)
{
    const struct decision back = {
        .kind = DECISION_VERIFY, .result = RESULT_VALID, .domain = &rules_com, .first_tag = true};
    struct decision known = back;
    known.first_tag = false;
    decide(known);
    assert_first_tags("");
    ck_assert(!tally_has_first(tally));
    decide(back);
    decide(back);
    assert_first_tags("example.com ");
    ck_assert(tally_has_first(tally));
    tally_forget_first(tally);
    assert_first_tags("");
    ck_assert(!tally_has_first(tally));
}
END_TEST

static void sign(const struct domain_settings *domain, bool first)
{
    decide((struct decision){.kind = DECISION_SIGN, .domain = domain, .first_signed = first});
}

START_TEST(test_first_signed)
{
    assert_first("");
    sign(&rules_com, false);
    assert_first("");
    sign(&rules_com, true);
    sign(&rules_net, true);
    sign(&rules_com, true);
    assert_first("example.com example.net ");
    assert_first("example.com example.net "); /* looking does not forget */
    tally_forget_first(tally);
    assert_first("");
    sign(&rules_net, true);
    assert_first("example.net ");
}
END_TEST

/* ----------------------------------------------------------------- relayed */

static const char far[] = "other.test";

static const struct status_row *relayed(const char *domain, const char *client)
{
    for (size_t i = 0; i < report.relayed.count; i++) {
        const struct status_row *row = &report.relayed.rows[i];
        if (strcmp(row->domain, domain) == 0 && strcmp(row->client, client) == 0) {
            return row;
        }
    }
    return NULL;
}

static void add(const char *domain, const char *client, uint64_t count, time_t last)
{
    struct status_row seen = {.domain = domain,
                              .client = client,
                              .name = far,
                              .count = count,
                              .last = last,
                              .held = last};
    const struct status_report seen_all = {.relayed = {&seen, 1}};
    tally_restore(tally, &seen_all);
}

struct wanted {
    const char *domain;
    time_t last;
    unsigned visits;
};

static void visit_relayed(void *context, const char *domain, time_t last)
{
    struct wanted *wanted = context;
    if (strcmp(domain, wanted->domain) == 0) {
        wanted->last = last;
        wanted->visits++;
    }
}

/* When the tally says that mail of the domain was last relayed; 0: not at all. */
static time_t last_relayed(const char *domain)
{
    struct wanted wanted = {.domain = domain};
    tally_relayed(tally, visit_relayed, &wanted);
    ck_assert_uint_le(wanted.visits, 1);
    return wanted.last;
}

START_TEST(test_relayed_rows_are_by_domain_and_client)
{
    const struct decision relay = {
        .kind = DECISION_RELAYED_UNSIGNED, .domain = &rules_com, .elsewhere = far, .holds = true};
    struct decision other = relay;
    time_t before = time(NULL);
    ck_assert_int_eq(last_relayed(com), 0);
    decide(relay);
    decide(relay);
    other.client = &nowhere;
    decide(other);
    other.domain = &rules_net;
    other.client = &outside;
    decide(other);
    look();
    ck_assert_uint_eq(report.relayed.count, 3);
    ck_assert_uint_eq(relayed(com, "192.0.2.1")->count, 2);
    ck_assert_uint_eq(relayed(com, "local")->count, 1);
    ck_assert_uint_eq(relayed(net, "192.0.2.1")->count, 1);
    ck_assert_int_ge(relayed(com, "192.0.2.1")->last, before);
    ck_assert_int_le(relayed(com, "192.0.2.1")->last, time(NULL));
    ck_assert_int_ge(last_relayed(com), before);
    ck_assert_int_eq(last_relayed("example.org"), 0);
}
END_TEST

START_TEST(test_relayed_goes_on_from_an_earlier_daemon)
{
    add(com, "192.0.2.1", 40, 1000);
    add(com, "192.0.2.2", 1, 3000);
    ck_assert_int_eq(last_relayed(com), 3000);
    add(com, "192.0.2.2", 2, 2000);
    look();
    ck_assert_uint_eq(report.relayed.count, 2);
    ck_assert_uint_eq(relayed(com, "192.0.2.2")->count, 3);
    ck_assert_int_eq(relayed(com, "192.0.2.2")->last, 3000);
    decide((struct decision){
        .kind = DECISION_RELAYED_UNSIGNED, .domain = &rules_com, .elsewhere = far});
    look();
    ck_assert_uint_eq(relayed(com, "192.0.2.1")->count, 41);
    ck_assert_int_gt(relayed(com, "192.0.2.1")->last, 3000);
}
END_TEST

static const char *client_name(unsigned i, char out[static 32])
{
    snprintf(out, 32, "198.51.%u.%u", i / 250, i % 250);
    return out;
}

START_TEST(test_relayed_when_full_loses_the_oldest_but_no_domains_latest)
{
    char name[32];
    add(net, "203.0.113.1", 7, 1); /* the oldest of all, and all that there is of its domain */
    for (unsigned i = 1; i < RELAYED_MAX; i++) {
        add(com, client_name(i, name), i, 1000 + (time_t)(i == 7 ? 0 : i));
    }
    look();
    ck_assert_uint_eq(report.relayed.count, RELAYED_MAX);
    add(com, "192.0.2.1", 1, 9000);
    add(com, "192.0.2.2", 1, 9000);
    look();
    ck_assert_uint_eq(report.relayed.count, RELAYED_MAX);
    ck_assert_ptr_nonnull(relayed(net, "203.0.113.1"));
    ck_assert_ptr_null(relayed(com, client_name(7, name)));
    ck_assert_ptr_null(relayed(com, client_name(1, name)));
    ck_assert_uint_eq(relayed(com, client_name(2, name))->count, 2);
    ck_assert_ptr_nonnull(relayed(com, "192.0.2.1"));
    ck_assert_int_eq(last_relayed(net), 1);
    ck_assert_int_eq(last_relayed(com), 9000);
    /* A later row of the domain, and the old one may go. */
    add(net, "203.0.113.2", 1, 2);
    look();
    ck_assert_uint_eq(report.relayed.count, RELAYED_MAX);
    ck_assert_int_eq(last_relayed(net), 2);
    add(com, "192.0.2.3", 1, 9000);
    look();
    ck_assert_ptr_nonnull(relayed(net, "203.0.113.2"));
}
END_TEST

/* A row has to be a domain's latest when others come, not when it is made. */
START_TEST(test_relayed_of_one_second_keeps_the_later)
{
    char name[32];
    for (unsigned i = 0; i < RELAYED_MAX; i++) {
        add(com, client_name(i, name), 1, 1000);
    }
    add(com, client_name(0, name), 1, 1000);
    add(com, "192.0.2.1", 1, 1000);
    add(com, "192.0.2.2", 1, 1000);
    look();
    ck_assert_uint_eq(report.relayed.count, RELAYED_MAX);
    ck_assert_uint_eq(relayed(com, client_name(0, name))->count, 2);
    ck_assert_ptr_null(relayed(com, client_name(1, name)));
    ck_assert_ptr_null(relayed(com, client_name(2, name)));
    ck_assert_ptr_nonnull(relayed(com, client_name(3, name)));
    ck_assert_ptr_nonnull(relayed(com, "192.0.2.1"));
}
END_TEST

START_TEST(test_relayed_of_more_domains_than_rows_keeps_a_row_of_each)
{
    char name[32];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < RELAYED_MAX + 100; i++) {
            char client[32];
            snprintf(client, sizeof client, "203.0.113.%u", round);
            add(client_name(i, name), client, 1, 1000 + (time_t)round);
        }
    }
    look();
    for (unsigned i = 0; i < RELAYED_MAX + 100; i++) {
        ck_assert_int_eq(last_relayed(client_name(i, name)), 1001);
    }
    /* Each domain's second row needed a place before its first could go. */
    ck_assert_uint_le(report.relayed.count, RELAYED_MAX + 101);
}
END_TEST

/* Comparing each row with each other would be 10^10 steps for the last ones alone. */
START_TEST(test_relayed_of_very_many_domains)
{
    enum { DOMAINS = 30000 };
    char name[32];
    for (unsigned i = 0; i < 2 * DOMAINS; i++) {
        snprintf(name, sizeof name, "d%u.test", i * 7919 % DOMAINS);
        add(name, "192.0.2.1", 1, 1000 + (time_t)i);
    }
    look();
    ck_assert_uint_eq(report.relayed.count, DOMAINS);
    ck_assert_int_ge(last_relayed("d0.test"), 1000 + DOMAINS);
}
END_TEST

static void relay_to(const char *elsewhere, bool holds)
{
    decide((struct decision){.kind = DECISION_RELAYED_UNSIGNED,
                             .domain = &rules_com,
                             .elsewhere = elsewhere,
                             .holds = holds});
}

static void take_hosted(const char *domain)
{
    decide((struct decision){
        .kind = DECISION_VERIFY, .result = RESULT_NOT_OURS, .debug = true, .hosted = domain});
}

/* What came after `auto` rejected is counted, and holds nothing. */
START_TEST(test_relayed_in_force_only_warns)
{
    relay_to(far, false);
    look();
    ck_assert_uint_eq(relayed(com, "192.0.2.1")->count, 1);
    ck_assert_int_eq(last_relayed(com), 0);
    relay_to(far, true);
    time_t held = last_relayed(com);
    ck_assert_int_ne(held, 0);
    relay_to(far, false);
    ck_assert_int_eq(last_relayed(com), held);
}
END_TEST

START_TEST(test_hosted_domains_take_back)
{
    uint64_t before = tally_observations(tally);
    char **names;
    size_t count;
    relay_to("hosted.test", true);
    relay_to(far, false);
    relay_to("hosted.test", true);
    take_hosted("hosted.test");
    ck_assert_uint_eq(tally_observations(tally), before + 1);
    look();
    ck_assert_uint_eq(report.relayed.count, 1);
    ck_assert_str_eq(relayed(com, "192.0.2.1")->name, far);
    ck_assert_int_eq(last_relayed(com), 0);
    relay_to("hosted.test", true);
    take_hosted("hosted.test");
    look();
    ck_assert_uint_eq(report.relayed.count, 1);
    ck_assert_uint_eq(tally_observations(tally), before + 1);
    ck_assert_int_eq(tally_hosted(tally, &names, &count), STATUS_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(names[0], "hosted.test");
    free(names[0]);
    free(names);
    /* All of the domain's rows gone, and the table counts its domains right. */
    take_hosted(far);
    look();
    ck_assert_uint_eq(report.relayed.count, 0);
    ck_assert_uint_eq(report.hosted.count, 2);
}
END_TEST

/* A stranger who can choose endless domains makes nothing be counted, rather than too much. */
START_TEST(test_hosted_when_full_nothing_counts)
{
    char name[32];
    for (unsigned i = 0; i < 2 * TALLY_HOSTED_MAX; i++) {
        take_hosted(client_name(i, name));
    }
    relay_to(far, true);
    look();
    ck_assert_uint_eq(report.hosted.count, TALLY_HOSTED_MAX);
    ck_assert_uint_eq(report.relayed.count, 0);
    ck_assert_int_eq(last_relayed(com), 0);
}
END_TEST

/* One that writes to many leaves the others their rows, and keeps its count. */
START_TEST(test_relayed_to_many_domains)
{
    char name[32];
    add(com, "192.0.2.2", 1, 1);
    for (unsigned i = 0; i < 2 * RELAYED_MAX; i++) {
        relay_to(client_name(i, name), true);
    }
    look();
    ck_assert_uint_eq(report.relayed.count, RECIPIENTS_MAX + 1);
    status_relayed_merge(&report);
    ck_assert_uint_eq(report.relayed.count, 2);
    ck_assert_uint_eq(relayed(com, "192.0.2.1")->count, 2 * RELAYED_MAX);
    ck_assert_int_ge(relayed(com, "192.0.2.1")->held, 1000);
    ck_assert_uint_eq(relayed(com, "192.0.2.2")->count, 1);
}
END_TEST

static bool is_not_first(void *context, const char *client)
{
    (void)context;
    return strcmp(client, "198.51.0.0") != 0;
}

START_TEST(test_relays_that_prove_themselves)
{
    char name[32];
    char **names;
    size_t count;
    for (unsigned i = 0; i < 2 * TALLY_RELAYS_MAX; i++) {
        const struct client client = {.address = client_name(i, name)};
        decide((struct decision){.kind = DECISION_VERIFY,
                                 .result = RESULT_VALID,
                                 .client = &client,
                                 .proves_relay = true});
    }
    ck_assert_int_eq(tally_relays(tally, &names, &count), STATUS_OK);
    ck_assert_uint_eq(count, TALLY_RELAYS_MAX);
    ck_assert_str_eq(names[0], "198.51.0.0");
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    tally_forget_relays(tally, is_not_first, NULL);
    look();
    ck_assert_uint_eq(report.relays.count, TALLY_RELAYS_MAX - 1);
}
END_TEST

START_TEST(test_observed_goes_on_from_an_earlier_daemon)
{
    static const char good[] = "192.0.2.7";
    struct status_row hosted[] = {{.name = "hosted.test"}};
    struct status_row relays[] = {{.name = good}, {.name = "x"}};
    const struct status_report seen = {.hosted = {hosted, 1}, .relays = {relays, 2}};
    tally_restore(tally, &seen);
    look();
    ck_assert_uint_eq(report.hosted.count, 1);
    ck_assert_uint_eq(report.relays.count, 1);
    ck_assert_str_eq(report.relays.rows[0].name, good);
}
END_TEST

/* ------------------------------------------------------------------ forged */

static const struct status_row *forged(const char *client)
{
    for (size_t i = 0; i < report.forged.count; i++) {
        if (strcmp(report.forged.rows[i].client, client) == 0) {
            return &report.forged.rows[i];
        }
    }
    return NULL;
}

static void try_tag(const struct client *client, enum result result)
{
    decide((struct decision){.kind = DECISION_VERIFY, .client = client, .result = result});
}

static void try_from(const char *address)
{
    struct client client = {.address = address};
    try_tag(&client, RESULT_BAD_SIGNATURE);
}

static const struct {
    const struct client *client;
    enum result result;
    bool counts;
} tries[] = {
    {&outside, RESULT_BAD_SIGNATURE, true}, {&outside, RESULT_UNKNOWN_KEY, true},
    {&outside, RESULT_NOT_OURS, false},     {&outside, RESULT_VALID, false},
    {&outside, RESULT_EXPIRED, false},      {&outside, RESULT_MALFORMED, false},
    {&outside, RESULT_MISSING, false},      {&outside, RESULT_FOREIGN, false},
    {&local, RESULT_BAD_SIGNATURE, false},  {&local, RESULT_UNKNOWN_KEY, false},
    {&nowhere, RESULT_UNKNOWN_KEY, false},
};

START_TEST(test_which_tries_count)
{
    time_t before = time(NULL);
    try_tag(tries[_i].client, tries[_i].result);
    look();
    ck_assert_uint_eq(report.forged.count, tries[_i].counts);
    if (tries[_i].counts) {
        ck_assert_str_eq(report.forged.rows[0].client, "192.0.2.1");
        ck_assert_uint_eq(report.forged.rows[0].count, 1);
        ck_assert_int_ge(report.forged.rows[0].last, before);
        ck_assert_int_le(report.forged.rows[0].last, time(NULL));
    }
    ck_assert_uint_eq(report.relayed.count, 0);
}
END_TEST

START_TEST(test_other_decisions_are_no_tries)
{
    decide((struct decision){
        .kind = DECISION_SIGN, .domain = &rules_com, .result = RESULT_BAD_SIGNATURE});
    decide((struct decision){.kind = DECISION_SIGN_SKIP, .result = RESULT_UNKNOWN_KEY});
    decide((struct decision){.kind = DECISION_RELAYED_UNSIGNED,
                             .domain = &rules_com,
                             .elsewhere = far,
                             .result = RESULT_BAD_SIGNATURE});
    look();
    ck_assert_uint_eq(report.forged.count, 0);
}
END_TEST

START_TEST(test_tries_are_counted_by_client)
{
    try_from("192.0.2.1");
    try_from("2001:db8::1");
    try_tag(&outside, RESULT_UNKNOWN_KEY);
    look();
    ck_assert_uint_eq(report.forged.count, 2);
    ck_assert_uint_eq(forged("192.0.2.1")->count, 2);
    ck_assert_uint_eq(forged("2001:db8::1")->count, 1);
}
END_TEST

START_TEST(test_forged_when_full_loses_whose_last_try_is_the_oldest)
{
    char name[32];
    for (unsigned i = 0; i < FORGED_MAX; i++) {
        try_from(client_name(i, name));
    }
    try_from(client_name(0, name));
    look();
    ck_assert_uint_eq(report.forged.count, FORGED_MAX);
    for (unsigned i = 0; i < 10; i++) {
        char fresh[32];
        snprintf(fresh, sizeof fresh, "192.0.2.%u", i);
        try_from(fresh);
    }
    look();
    ck_assert_uint_eq(report.forged.count, FORGED_MAX);
    ck_assert_uint_eq(forged(client_name(0, name))->count, 2);
    for (unsigned i = 1; i <= 10; i++) {
        ck_assert_ptr_null(forged(client_name(i, name)));
    }
    ck_assert_ptr_nonnull(forged(client_name(11, name)));
    ck_assert_ptr_nonnull(forged("192.0.2.0"));
    ck_assert_ptr_nonnull(forged("192.0.2.9"));
    /* Who comes back starts anew. */
    try_from(client_name(1, name));
    look();
    ck_assert_uint_eq(forged(client_name(1, name))->count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tally");
    TCase *tests = tcase_create("tally");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, test_a_decision_counts_by_kind_result_and_action, 0,
                        COUNT(countings));
    tcase_add_test(tests, test_every_result_and_action_has_a_counter);
    tcase_add_test(tests, test_bounces_that_would_have_been_rejected);
    tcase_add_test(tests, test_first_signed);
    tcase_add_test(tests, test_first_tags);
    tcase_add_test(tests, test_relayed_rows_are_by_domain_and_client);
    tcase_add_test(tests, test_relayed_goes_on_from_an_earlier_daemon);
    tcase_add_test(tests, test_relayed_when_full_loses_the_oldest_but_no_domains_latest);
    tcase_add_test(tests, test_relayed_of_one_second_keeps_the_later);
    tcase_add_test(tests, test_relayed_of_more_domains_than_rows_keeps_a_row_of_each);
    tcase_add_test(tests, test_relayed_of_very_many_domains);
    tcase_add_test(tests, test_relayed_in_force_only_warns);
    tcase_add_test(tests, test_hosted_domains_take_back);
    tcase_add_test(tests, test_hosted_when_full_nothing_counts);
    tcase_add_test(tests, test_relayed_to_many_domains);
    tcase_add_test(tests, test_relays_that_prove_themselves);
    tcase_add_test(tests, test_observed_goes_on_from_an_earlier_daemon);
    tcase_add_loop_test(tests, test_which_tries_count, 0, COUNT(tries));
    tcase_add_test(tests, test_other_decisions_are_no_tries);
    tcase_add_test(tests, test_tries_are_counted_by_client);
    tcase_add_test(tests, test_forged_when_full_loses_whose_last_try_is_the_oldest);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
