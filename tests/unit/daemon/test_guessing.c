/* Which addresses are under guessing. */
#include "../core/conversation.h"

#include "content/oracle.h"
#include "daemon/guessing.h"
#include "store/status_file.h"

static const char alice[] = "alice@example.com";
enum { NOW = 1795000000 };

static bool note_many(struct guessing *guessing, const char *plain, uint64_t from, size_t count,
                      time_t now)
{
    bool held = false;
    for (size_t i = 0; i < count; i++) {
        held = guessing_note(guessing, plain, plain, from + i, now) || held;
    }
    return held;
}

START_TEST(test_one_more_than_may_be)
{
    struct guessing *guessing = guessing_new();
    ck_assert(!note_many(guessing, alice, 0, GUESSING_TAGS, NOW));
    ck_assert(!guessing_holds(guessing, alice, NOW));
    ck_assert(guessing_note(guessing, alice, alice, GUESSING_TAGS, NOW));
    ck_assert(guessing_holds(guessing, alice, NOW));
    ck_assert(!guessing_holds(guessing, "bob@example.com", NOW));
    ck_assert(!note_many(guessing, alice, 1000, 1000, NOW)); /* said once */
    guessing_free(guessing);
}
END_TEST

START_TEST(test_a_tag_seen_before_does_not_count)
{
    struct guessing *guessing = guessing_new();
    for (int i = 0; i < 1000; i++) {
        ck_assert(!guessing_note(guessing, alice, alice, 7, NOW + i));
    }
    ck_assert(!guessing_holds(guessing, alice, NOW));
    guessing_free(guessing);
}
END_TEST

START_TEST(test_until_the_hour_is_over)
{
    struct guessing *guessing = guessing_new();
    guessing_note(guessing, alice, alice, 0, NOW);
    ck_assert(note_many(guessing, alice, 1, GUESSING_TAGS, NOW + 1800));
    ck_assert(guessing_holds(guessing, alice, NOW + GUESSING_SECONDS - 1));
    ck_assert(!guessing_holds(guessing, alice, NOW + GUESSING_SECONDS));
    ck_assert(!note_many(guessing, alice, 0, GUESSING_TAGS, NOW + GUESSING_SECONDS));
    ck_assert(!guessing_holds(guessing, alice, NOW + GUESSING_SECONDS));
    guessing_free(guessing);
}
END_TEST

/* Strangers name any address: the table stays as large as it is, and keeps the one guessed at. */
START_TEST(test_the_table_is_bounded)
{
    struct guessing *guessing = guessing_new();
    ck_assert(note_many(guessing, alice, 0, GUESSING_TAGS + 1, NOW));
    for (int i = 0; i < 3 * GUESSING_ADDRESSES; i++) {
        char plain[32];
        snprintf(plain, sizeof plain, "u%d@example.com", i);
        ck_assert(!guessing_note(guessing, plain, plain, 1, NOW));
    }
    ck_assert(guessing_holds(guessing, alice, NOW));
    guessing_free(guessing);
    guessing_free(NULL);
}
END_TEST

/* Most MTAs deliver all of these to alice, so a stranger gains nothing by trying each in turn. */
START_TEST(test_extensions_are_one_mailbox)
{
    struct guessing *guessing = guessing_new();
    bool held = false;
    for (int i = 0; i <= GUESSING_TAGS; i++) {
        char plain[48];
        ck_assert(!held);
        snprintf(plain, sizeof plain, "alice+%d@example.com", i);
        held = guessing_note(guessing, plain, plain, 7, NOW);
        ck_assert(!guessing_note(guessing, plain, plain, 7, NOW));
    }
    ck_assert(held);
    ck_assert(guessing_holds(guessing, alice, NOW));
    ck_assert(guessing_holds(guessing, "alice+list=a@b@example.com", NOW));
    ck_assert(!guessing_holds(guessing, "alice@example.org", NOW));
    ck_assert(!guessing_holds(guessing, "+@example.com", NOW));
    ck_assert(!guessing_holds(guessing, "alic@example.com+", NOW));
    guessing_free(guessing);
}
END_TEST

/* What FACT_GUESSING answers for a bounce to this recipient. */
static enum answer ask(struct site *site, struct guessing *guessing, const char *recipient)
{
    struct client client = client_of(OUTSIDE);
    struct oracle_set oracles = {.by_fact = {{NULL, NULL}}};
    struct text raw = {.used = 0};
    const struct exhibits nothing = {NULL, NULL};
    struct question question;
    guessing_oracle(guessing, &oracles);
    expand(&raw, site, recipient);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    transaction_rcpt(t, &(struct rcpt_event){.recipient = raw.out, .now = NOW});
    transaction_question(t, FACT_GUESSING, 0, &question);
    struct finding finding = oracle_ask(&oracles, &question, &nothing);
    oracle_decide(&oracles, t, &nothing);
    transaction_free(t);
    return finding.answer;
}

/* A tag with a VERP extension may be meant for several mailboxes; it is one guess at each, though
 * it has been asked for twice. */
START_TEST(test_verp_is_one_guess_at_each_mailbox)
{
    struct site *site = site_make();
    struct guessing *guessing = guessing_new();
    char recipient[80];
    for (int i = 0; i <= GUESSING_TAGS; i++) {
        ck_assert(!guessing_holds(guessing, "list@example.com", NOW));
        ck_assert(!guessing_holds(guessing, "list-x@example.com", NOW));
        snprintf(recipient, sizeof recipient, "<prvs=2785abcdef=list-x+a-b%d=c.test@example.com>",
                 i);
        ask(site, guessing, recipient);
    }
    ck_assert(guessing_holds(guessing, "list@example.com", NOW));
    ck_assert(guessing_holds(guessing, "list-x@example.com", NOW));
    ck_assert_int_eq(ask(site, guessing, "<{0 list-x@example.com}>"), ANSWER_YES);
    ck_assert_int_eq(ask(site, guessing, "<{0 list-x@example.com~+a=b.test}>"), ANSWER_YES);
    ck_assert_int_eq(ask(site, guessing, "<{0 list-y@example.com~+a=b.test}>"), ANSWER_NO);
    ck_assert_int_eq(ask(site, guessing, "<{0 alice@example.com~-a=b.test}>"), ANSWER_NO);
    guessing_free(guessing);
    site_free(site);
}
END_TEST

START_TEST(test_what_is_reported)
{
    struct guessing *guessing = guessing_new();
    struct status_report report = {0};
    note_many(guessing, alice, 0, GUESSING_TAGS + 1, NOW);
    note_many(guessing, "bob@example.com", 0, GUESSING_TAGS, NOW);
    guessing_report(guessing, NOW, &report);
    ck_assert_uint_eq(report.guessed.count, 1);
    ck_assert_str_eq(report.guessed.rows[0].name, alice);
    ck_assert_int_eq(report.guessed.rows[0].until, NOW + GUESSING_SECONDS);
    status_report_free(&report);
    guessing_report(guessing, NOW + GUESSING_SECONDS, &report);
    ck_assert_uint_eq(report.guessed.count, 0);
    status_report_free(&report);
    guessing_free(guessing);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guessing");
    TCase *tcase = tcase_create("addresses");
    tcase_add_test(tcase, test_one_more_than_may_be);
    tcase_add_test(tcase, test_a_tag_seen_before_does_not_count);
    tcase_add_test(tcase, test_until_the_hour_is_over);
    tcase_add_test(tcase, test_the_table_is_bounded);
    tcase_add_test(tcase, test_extensions_are_one_mailbox);
    tcase_add_test(tcase, test_verp_is_one_guess_at_each_mailbox);
    tcase_add_test(tcase, test_what_is_reported);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
