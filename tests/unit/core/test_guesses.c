/*
 * Bounces that try several tags, and what is asked about each.
 */
#include "sites.h"

/* Gives a bounce these recipients, of which "{wrong N}" is a wrong tag for alice of that number,
 * and returns the verdicts as rules with their lines' counts; lines that another stands for are
 * "-". */
static void guess(struct site *site, enum who who, const char *const recipients[], size_t wrong,
                  struct text *out, struct reply *reply)
{
    struct client client = client_of(who);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    for (size_t i = 0; recipients[i] != NULL; i++) {
        struct text rcpt = {.used = 0};
        expand(&rcpt, site, recipients[i]);
        give_rcpt(t, rcpt.out);
    }
    for (size_t i = 0; i < wrong; i++) {
        char rcpt[64];
        snprintf(rcpt, sizeof rcpt, "<prvs=2785%06zx=" ALICE ">", i);
        give_rcpt(t, rcpt);
    }
    decide(t, site);
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    for (size_t i = 0; i < count; i++) {
        if (decisions[i].kind == DECISION_VERIFY && !decisions[i].counted) {
            text_add(out, "%s %s %s %zu\n", result_name(decisions[i].result),
                     action_name(decisions[i].verdict.action), decisions[i].verdict.rule,
                     decisions[i].count);
        }
    }
    *reply = *transaction_reply(t);
    transaction_free(t);
}

#define RIGHT "<{0 " ALICE "}>"

static const struct {
    const char *name;
    enum who who;
    void (*prepare)(struct site *site);
    const char *recipients[5];
    size_t wrong;
    const char *expected;
} guessed[] = {
    {"a thousand tags, the right one among them",
     OUTSIDE,
     NULL,
     {RIGHT},
     999,
     "valid reject guessing 1\nbad-signature reject guessing 999\n"},
    {"two tags for one mailbox", OUTSIDE, NULL, {NULL}, 2, "bad-signature reject guessing 2\n"},
    {"two tags for one mailbox, whose letters come in two forms",
     OUTSIDE,
     NULL,
     {"<prvs=2785000000=J\u00dcRGEN@example.com>", "<prvs=2785000001=ju\u0308rgen@example.com>"},
     0,
     "bad-signature reject guessing 2\n"},
    {"one wrong tag beside the right one",
     OUTSIDE,
     NULL,
     {RIGHT},
     1,
     "valid accept tag 0\nbad-signature reject verify.action 0\n"},
    {"one wrong tag for each of three mailboxes",
     OUTSIDE,
     NULL,
     {"<{bad a@example.com}>", "<{bad b@example.com}>", "<{bad c@example.com}>"},
     0,
     "bad-signature reject verify.action 0\nbad-signature reject verify.action 0\n"
     "bad-signature reject verify.action 0\n"},
    {"one wrong tag for each of four",
     OUTSIDE,
     NULL,
     {"<{bad a@example.com}>", "<{bad b@example.com}>", "<{bad c@example.com}>",
      "<{bad d@example.com}>"},
     0,
     "bad-signature reject guessing 4\n"},
    {"the same wrong tag three times",
     OUTSIDE,
     NULL,
     {"<prvs=2785000000=" ALICE ">", "<prvs=2785000000=" ALICE ">"},
     1,
     "bad-signature reject verify.action 0\nbad-signature reject verify.action 0\n"
     "bad-signature reject verify.action 0\n"},
    {"the right one with a VERP extension, beside a wrong one",
     OUTSIDE,
     NULL,
     {"<{0 " ALICE "~+far=other.test}>"},
     1,
     "valid accept tag 0\nbad-signature reject verify.action 0\n"},
    {"two tags for two VERP forms of one mailbox",
     OUTSIDE,
     NULL,
     {"<prvs=2785abcdef=alice+a=other.test@example.com>",
      "<prvs=2785abcdee=alice-b=other.test@example.com>"},
     0,
     "bad-signature reject guessing 2\n"},
    {"a VERP form and the mailbox",
     OUTSIDE,
     NULL,
     {"<prvs=2785abcdef=alice+a=other.test@example.com>"},
     1,
     "bad-signature reject guessing 2\n"},
    {"the same tag for two VERP forms",
     OUTSIDE,
     NULL,
     {"<prvs=2785abcdef=alice+a=other.test@example.com>",
      "<prvs=2785abcdef=alice+b=other.test@example.com>"},
     0,
     "bad-signature reject verify.action 0\nbad-signature reject verify.action 0\n"},
    {"a domain that waits",
     OUTSIDE,
     NULL,
     {"<{0 alice@example.net}>"},
     2,
     "valid reject guessing 1\nbad-signature reject guessing 2\n"},
    {"an excluded recipient among them",
     OUTSIDE,
     NULL,
     {"<abuse@example.com>"},
     2,
     "missing accept exclude.recipients 0\nbad-signature reject guessing 2\n"},
    {"a mail server of ours",
     MAIL_SERVER,
     NULL,
     {RIGHT},
     1,
     "valid accept tag 0\nbad-signature accept exclude.mail_servers 0\n"},
    {"an excluded network",
     EXCLUDED_NETWORK,
     NULL,
     {NULL},
     2,
     "bad-signature accept exclude.networks 0\nbad-signature accept exclude.networks 0\n"},
    {"while verification is paused",
     OUTSIDE,
     pause_verifying,
     {RIGHT},
     2,
     "valid log pause 1\nbad-signature log pause 2\n"},
};

/* A bounce that tries several tags is rejected as a whole: the right one among them is a guess. */
START_TEST(test_guessing)
{
    struct site *site = site_make();
    struct text out = {.used = 0};
    struct reply reply;
    if (guessed[_i].prepare != NULL) {
        guessed[_i].prepare(site);
    }
    guess(site, guessed[_i].who, guessed[_i].recipients, guessed[_i].wrong, &out, &reply);
    ck_assert_msg(strcmp(out.out, guessed[_i].expected) == 0, "%s:\n%s", guessed[_i].name, out.out);
    bool whole = strstr(out.out, "guessing") != NULL && strstr(out.out, "accept") == NULL;
    ck_assert(!whole || reply.kind == REPLY_REJECT);
    ck_assert(!whole || strcmp(reply.text, "this bounce tries several signatures that this site "
                                           "does not know") == 0);
    site_free(site);
}
END_TEST

/* A wrong tag is tried for each mailbox that a cut leaves; a right one was made for one. */
static const struct {
    const char *recipient;
    bool wrong;
    const char *plain[4];
} tried_for[] = {
    {"<" ALICE ">", false, {ALICE, NULL}},
    {"<{bad " ALICE "}>", true, {ALICE, NULL}},
    {"<{0 " ALICE "}>", false, {ALICE, NULL}},
    {"<{0 list-1@example.com~+far=other.test}>", false, {"list-1@example.com", NULL}},
    {"<{-9 list-1@example.com~+far=other.test}>", false, {"list-1@example.com", NULL}},
    {"<{0 +list-1@example.com~+far=other.test}>", false, {"list-1@example.com", NULL}},
    {"<{0 list-1+far=other.test@example.com}>", false, {"list-1+far=other.test@example.com", NULL}},
    {"<{bad list-1@example.com~+far=other.test}>",
     true,
     {"list-1+far=other.test@example.com", "list@example.com", "list-1@example.com", NULL}},
    {"<{unknown list@example.com~+far=other.test}>",
     false,
     {"list+far=other.test@example.com", "list@example.com", NULL}},
};

START_TEST(test_tried)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text raw = {.used = 0};
    struct question question;
    expand(&raw, site, tried_for[_i].recipient);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_rcpt(t, raw.out);
    ck_assert(transaction_asks(t, &question));
    ck_assert_int_eq(question.fact, FACT_GUESSING);
    ck_assert_int_eq(question.tried.wrong, tried_for[_i].wrong);
    for (size_t i = 0; i < question.tried.count; i++) {
        ck_assert_pstr_eq(question.tried.plain[i], tried_for[_i].plain[i]);
    }
    ck_assert_ptr_null(tried_for[_i].plain[question.tried.count]);
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guesses");
    add_table(suite, "guessing", test_guessing, COUNT_OF(guessed));
    add_table(suite, "tried", test_tried, COUNT_OF(tried_for));
    return suite_run(suite);
}
