/*
 * Errors of our own: on_error answers for the whole message, and nothing else is done.
 */
#include "sites.h"

static void no_keys(struct site *site)
{
    ring_free(site->ring);
    site->ring = ring_new();
    site->snapshot.ring = site->ring;
}

static void no_keys_accept(struct site *site)
{
    no_keys(site);
    site->settings->on_error = ACTION_ACCEPT;
}

/* clang-format off */
static const struct conversation errors[] = {
    {.name = "no key to sign with", .who = INSIDE, .prepare = no_keys, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "tempfail 451 4.3.0 mail filter error, try again later\n"},
    {.name = "no key to sign with, on_error = accept", .who = INSIDE, .prepare = no_keys_accept,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "accept\n"},
};
/* clang-format on */

START_TEST(test_errors)
{
    check_conversation(&errors[_i]);
}
END_TEST

/* Told from outside; what was refused at RCPT before stays in the log. */
START_TEST(test_failure_from_outside)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    site->settings->reject_at_rcpt = true;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_recipient(t, site, "<" ALICE ">", &text);
    ck_assert_str_eq(text.out, "rcpt " REFUSED);
    give_recipient(t, site, "<{0 carol@example.com}>", &text);
    ck_assert(!transaction_failed(t));
    transaction_fail(t);
    ck_assert(transaction_failed(t));
    give_recipient(t, site, "<{0 dave@example.com}>", &text);
    ck_assert_str_eq(text.out, "rcpt " REFUSED
                               "rcpt tempfail 451 4.3.0 mail filter error, try again later\n");
    ck_assert_int_eq(transaction_wants(t) & WANT_END, WANT_END);
    decide(t, site);
    size_t count;
    transaction_effects(t, &count);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(transaction_reply(t)->kind, REPLY_TEMPFAIL);
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(decisions[0].recipient, ALICE);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* Whatever stood at RCPT before, and whatever could still be asked. */
START_TEST(test_failure_ends_all_else)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    struct question question;
    site_evidence(site);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_recipient(t, site, "<" ALICE ">", &text);
    transaction_fail(t);
    give_end(t);
    ck_assert(!transaction_asks(t, &question));
    ck_assert_int_eq(transaction_reply(t)->kind, REPLY_TEMPFAIL);
    transaction_free(t);

    site->settings->reject_at_rcpt = true;
    t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_recipient(t, site, "<" ALICE ">", &text);
    ck_assert(!transaction_doubtful(t)); /* it is no recipient any more */
    transaction_fail(t);
    give_recipient(t, site, "<" ALICE ">", &text);
    ck_assert_str_eq(text.out, "rcpt " REFUSED
                               "rcpt tempfail 451 4.3.0 mail filter error, try again later\n");
    transaction_free(t);

    t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<" BOB ">", NULL);
    give_recipient(t, site, "<" ALICE ">", &text);
    ck_assert_uint_eq(transaction_wants(t), 0);
    transaction_fail(t);
    ck_assert_uint_eq(transaction_wants(t), WANT_END);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* "accept" at RCPT would hide the rest of the message from every filter. */
START_TEST(test_failure_that_lets_in_lets_each_recipient_in)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    size_t count;
    site->settings->reject_at_rcpt = true;
    site->settings->on_error = ACTION_ACCEPT;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    transaction_fail(t);
    give_recipient(t, site, "<" ALICE ">", &text);
    ck_assert_str_eq(text.out, "");
    ck_assert_int_eq(transaction_reply(t)->kind, REPLY_CONTINUE);
    ck_assert_ptr_null(transaction_reply(t)->code);
    decide(t, site);
    ck_assert_int_eq(transaction_reply(t)->kind, REPLY_ACCEPT);
    transaction_effects(t, &count);
    ck_assert_uint_eq(count, 0);
    transaction_free(t);
    site_free(site);
}
END_TEST

START_TEST(test_reply_on_error)
{
    struct site *site = site_make();
    struct reply reply;
    reply_on_error(site->settings, &reply);
    ck_assert_int_eq(reply.kind, REPLY_TEMPFAIL);
    ck_assert_str_eq(reply.code, "451");
    ck_assert_int_eq(reply.enhanced[0], '4');
    site->settings->on_error = ACTION_ACCEPT;
    reply_on_error(site->settings, &reply);
    ck_assert_int_eq(reply.kind, REPLY_ACCEPT);
    ck_assert_ptr_null(reply.code);
    site_free(site);
}
END_TEST

START_TEST(test_aborted_anywhere)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    transaction_free(NULL);
    transaction_free(transaction_new(&site->snapshot, &client));
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    ck_assert(!transaction_failed(t));
    transaction_free(t);
    t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_recipient(t, site, "<{0 " ALICE "}>", &text);
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failures");
    add_table(suite, "errors", test_errors, COUNT_OF(errors));

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_failure_from_outside);
    tcase_add_test(tcase, test_failure_ends_all_else);
    tcase_add_test(tcase, test_failure_that_lets_in_lets_each_recipient_in);
    tcase_add_test(tcase, test_reply_on_error);
    tcase_add_test(tcase, test_aborted_anywhere);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
