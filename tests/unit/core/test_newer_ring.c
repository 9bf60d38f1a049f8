/*
 * Tags that a newer ring may see otherwise: which are in doubt, and what comes of that ring.
 */
#include "sites.h"

static void renew(struct site *site)
{
    site->renews = true;
}

static void renew_at_rcpt(struct site *site)
{
    site->renews = true;
    site->settings->reject_at_rcpt = true;
}

/* clang-format off */
static const struct conversation newer[] = {
    {.name = "an unknown key without a newer ring",
     .who = OUTSIDE, .sender = "<>", .recipients = {"<{next " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{next " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "a newer ring knows the key", .who = OUTSIDE, .prepare = renew, .sender = "<>",
     .recipients = {"<{next " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{next " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" OUT " from=<> rcpt=<{next " ALICE
         "}> result=valid action=accept rule=tag ring=13\n"
         NULL_SENDER},
    {.name = "a newer ring knows the key of ordinary mail", .who = OUTSIDE, .prepare = renew,
     .sender = "<" BOB ">", .recipients = {"<{next " ALICE "}>"},
     .expected =
         "wants end\n"
         "remove <{next " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         ORDINARY("{next " ALICE "}", "valid action=accept rule=tag ring=13")},
    {.name = "a newer ring does not know the key", .who = OUTSIDE, .prepare = renew, .sender = "<>",
     .recipients = {"<{bad " ALICE "}>", "<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{bad " ALICE "}>\n"
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         BOUNCE("{bad " ALICE "}", "bad-signature",
                "reject applied=removed rule=verify.action ring=13")
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "a newer ring knows the key at RCPT",
     .who = OUTSIDE, .prepare = renew_at_rcpt, .sender = "<>",
     .recipients = {"<{next " ALICE "}>", "<a@log.example>"},
     .expected =
         HEADERS
         "remove <{next " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" OUT " from=<> rcpt=<{next " ALICE
         "}> result=valid action=accept rule=tag ring=13\n"
         BOUNCE("a@log.example", "missing", "log rule=verify.action ring=13")
         NULL_SENDER},
    {.name = "signing stays with the message's ring", .who = INSIDE, .prepare = renew,
     .sender = "<" ALICE ">", .recipients = {"<{next carol@example.com}>"},
     .expected =
         "wants headers, end\n"
         "sender {0 " ALICE "}\n"
         "remove <{next carol@example.com}>\n"
         "add carol@example.com\n"
         "accept\n"
         "verify client=" IN " from=<" ALICE "> rcpt=<{next carol@example.com}> result=valid "
         "action=accept rule=tag ring=13\n"
         "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"},
};
/* clang-format on */

START_TEST(test_newer_ring)
{
    check_conversation(&newer[_i]);
}
END_TEST

/* What was judged at RCPT is judged again when a newer ring shows it otherwise. */
START_TEST(test_newer_ring_after_rcpt)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    site->settings->reject_at_rcpt = true;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_recipient(t, site, "<{next a@log.example}>", &text);
    ck_assert_str_eq(text.out, "");
    transaction_renew(t, site->newer);
    decide(t, site);
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_int_eq(decisions[0].result, RESULT_VALID);
    ck_assert_str_eq(decisions[0].verdict.rule, "tag");
    transaction_effects(t, &count);
    ck_assert_uint_eq(count, 2);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* A recipient that was judged before a fact about the next one was asked for. */
START_TEST(test_newer_ring_between_questions)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    struct question question = {.recipient = 0};
    site_evidence(site);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_recipient(t, site, "<{next a@log.example}>", &text);
    give_recipient(t, site, "<" ALICE ">", &text);
    give_end(t);
    while (question.recipient == 0) {
        ck_assert(transaction_asks(t, &question));
        give_answer(t, &question, ANSWER_NO);
    }
    transaction_renew(t, site->newer);
    decide(t, site);
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_uint_ge(count, 2);
    ck_assert_int_eq(decisions[0].result, RESULT_VALID);
    ck_assert_str_eq(decisions[0].verdict.rule, "tag");
    ck_assert_int_eq(decisions[1].result, RESULT_MISSING);
    transaction_free(t);
    site_free(site);
}
END_TEST

static const struct {
    const char *name;
    const char *sender, *recipient;
    bool doubtful;
} doubts[] = {
    {"plain ordinary mail", "<" BOB ">", "<" ALICE ">", false},
    {"ordinary, valid", "<" BOB ">", "<{0 " ALICE "}>", false},
    {"ordinary, forged", "<" BOB ">", "<{bad " ALICE "}>", true},
    {"ordinary, unknown key", "<" BOB ">", "<{unknown " ALICE "}>", true},
    {"ordinary, a key 0 that nobody has", "<" BOB ">", "<prvs=0785a1b2c3=" ALICE ">", true},
    {"ordinary, expired", "<" BOB ">", "<{-9 " ALICE "}>", true},
    {"ordinary, foreign", "<" BOB ">", "<btv1==1==" ALICE ">", false},
    {"not ours", "<>", "<" BOB ">", false},
    {"bounce, valid", "<>", "<{0 " ALICE "}>", false},
    {"bounce, missing", "<>", "<" ALICE ">", true},
    {"bounce, forged", "<>", "<{bad " ALICE "}>", true},
    {"bounce, unknown key", "<>", "<{unknown " ALICE "}>", true},
    {"bounce, expired", "<>", "<{-9 " ALICE "}>", true},
};

START_TEST(test_doubtful)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, doubts[_i].sender, NULL);
    ck_assert(!transaction_doubtful(t));
    give_recipient(t, site, doubts[_i].recipient, &text);
    ck_assert_msg(transaction_doubtful(t) == doubts[_i].doubtful, "%s", doubts[_i].name);
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("a newer ring");
    add_table(suite, "a newer ring", test_newer_ring, COUNT_OF(newer));
    add_table(suite, "doubts", test_doubtful, COUNT_OF(doubts));

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_newer_ring_after_rcpt);
    tcase_add_test(tcase, test_newer_ring_between_questions);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
