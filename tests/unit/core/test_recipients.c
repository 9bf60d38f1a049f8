/*
 * Messages with several recipients, and with very many: one reply for all, and no more changes
 * than the MTA bears.
 */
#include "sites.h"

/* clang-format off */
static const struct conversation several[] = {
    {.name = "valid and missing", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<carol@example.com>", "<{0 " ALICE "}>|NOTIFY=NEVER"},
     .expected =
         HEADERS
         "remove <carol@example.com>\n"
         "remove <{0 " ALICE "}>\n"
         "add " ALICE " NOTIFY=NEVER\n"
         "accept\n"
         BOUNCE("carol@example.com", "missing", "reject applied=removed rule=verify.action")
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "valid and deferred: nothing is changed", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>", "<a@tempfail.example>", "<a@reject.example>"},
     .expected =
         HEADERS
         LATER
         "verify client=" OUT " from=<> rcpt=<{0 " ALICE
         "}> result=valid action=accept applied=tempfail rule=tag\n"
         BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action")
         BOUNCE("a@reject.example", "missing", "reject applied=tempfail rule=verify.action")},
    {.name = "all recipients rejected", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" ALICE ">", "<{bad carol@example.com}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("{bad carol@example.com}", "bad-signature", "reject rule=verify.action")},
    {.name = "rejected and discarded", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<a@discard.example>", "<a@reject.example>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("a@discard.example", "missing", "discard applied=reject rule=verify.action")
         BOUNCE("a@reject.example", "missing", "reject rule=verify.action")},
    {.name = "logged and discarded", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<a@discard.example>", "<a@log.example>"},
     .expected =
         HEADERS
         "remove <a@discard.example>\n"
         "accept\n"
         BOUNCE("a@discard.example", "missing", "discard applied=removed rule=verify.action")
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "an expired tag that is rejected is not restored", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-9 a@reject.example}>", "<a@log.example>"},
     .expected =
         HEADERS
         "remove <{-9 a@reject.example}>\n"
         "accept\n"
         BOUNCE("{-9 a@reject.example}", "expired",
                "reject applied=removed rule=verify.expired")
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "quarantined and rejected", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<a@quarantine.example>", "<a@reject.example>"},
     .expected =
         HEADERS
         "remove <a@reject.example>\n"
         "quarantine\n"
         "accept\n"
         BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
         BOUNCE("a@reject.example", "missing", "reject applied=removed rule=verify.action")
         NULL_SENDER},
    {.name = "all that can be done at once, in its order", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<a@mark.example>", "<{0 " ALICE "}>", "<a@reject.example>",
                    "<{bad b@mark.example}>", "<a@quarantine.example>", "<" BOB ">"},
     .marks = 2,
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "remove <a@reject.example>\n"
         "add " ALICE "\n"
         "remove header X-Batv-Result 2\n"
         "remove header X-Batv-Result 1\n"
         "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>,\n"
         "\tbad-signature; class=-; proof=none; rcpt=<b@mark.example>\n"
         "quarantine\n"
         "accept\n"
         BOUNCE("a@mark.example", "missing", "mark rule=verify.action")
         VALID("{0 " ALICE "}")
         BOUNCE("a@reject.example", "missing", "reject applied=removed rule=verify.action")
         BOUNCE("{bad b@mark.example}", "bad-signature", "mark rule=verify.action")
         BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
         NOT_OURS(OUT, "", BOB)
         NULL_SENDER},
    {.name = "a mailbox with and without its tag, the plain one kept", .who = OUTSIDE,
     .sender = "<>",
     .recipients = {"<{0 a@log.example}>|NOTIFY=NEVER", "<a@log.example>|NOTIFY=DELAY"},
     .expected =
         HEADERS
         "remove <{0 a@log.example}>\n"
         "remove <a@log.example>\n"
         "add a@log.example NOTIFY=DELAY\n"
         "accept\n"
         VALID("{0 a@log.example}")
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "a mailbox without its tag and with it, in another case, the plain one kept",
     .who = OUTSIDE, .sender = "<>",
     .recipients = {"<a@LOG.Example>", "<{0 a@log.example}>"},
     .expected =
         HEADERS
         "remove <a@LOG.Example>\n"
         "remove <{0 a@log.example}>\n"
         "add a@log.example\n"
         "accept\n"
         BOUNCE("a@LOG.Example", "missing", "log rule=verify.action")
         VALID("{0 a@log.example}")
         NULL_SENDER},
    {.name = "a mailbox with and without its tag, the plain one rejected", .who = OUTSIDE,
     .sender = "<>", .recipients = {"<" ALICE ">", "<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <" ALICE ">\n"
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "reject applied=removed rule=verify.action")
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "two tags of a mailbox", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>", "<{-2 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "remove <{-2 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         VALID("{-2 " ALICE "}")
         NULL_SENDER},
    {.name = "two tags of a mailbox, and the mailbox itself", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 a@log.example}>", "<{-2 a@log.example}>", "<a@log.example>"},
     .expected =
         HEADERS
         "remove <{0 a@log.example}>\n"
         "remove <{-2 a@log.example}>\n"
         "remove <a@log.example>\n"
         "add a@log.example\n"
         "accept\n"
         VALID("{0 a@log.example}")
         VALID("{-2 a@log.example}")
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "both syntaxes of a tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>", "<{0 +" ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "remove <{0 +" ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         VALID("{0 +" ALICE "}")
         NULL_SENDER},
    {.name = "the same local part in two domains", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 a@log.example}>", "<{0 a@mark.example}>"},
     .expected =
         HEADERS
         "remove <{0 a@log.example}>\n"
         "remove <{0 a@mark.example}>\n"
         "add a@log.example\n"
         "add a@mark.example\n"
         "accept\n"
         VALID("{0 a@log.example}")
         VALID("{0 a@mark.example}")
         NULL_SENDER},
};
/* clang-format on */

START_TEST(test_several)
{
    check_conversation(&several[_i]);
}
END_TEST

/* A header has an end: it names the first fifty of very many. */
START_TEST(test_very_many_recipients)
{
    enum { MANY = 1000, NAMED = 50 };
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    for (int i = 0; i < MANY; i++) {
        char raw[400];
        snprintf(raw, sizeof raw, "<u%d.%040d@mark.example>", i, 0);
        give_rcpt(t, raw);
    }
    decide(t, site);
    size_t count;
    const struct effect *effects = transaction_effects(t, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(effects[0].kind, EFFECT_ADD_HEADER);
    int named = 0;
    for (const char *p = effects[0].value; (p = strstr(p, "; rcpt=<u")) != NULL; p++) {
        named++;
    }
    ck_assert_int_eq(named, NAMED);
    transaction_decisions(t, &count);
    ck_assert_uint_ge(count, MANY);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* However many there are and in whatever order, all that name a mailbox with a tag go, and it comes
 * back once, with the arguments of the first plain one or else of its first tag. */
START_TEST(test_very_many_mailboxes)
{
    enum { BOXES = 400, ROUNDS = 3, STEP = 7 };
    static const char *const tags[ROUNDS][2] = {{"{0 ", "}"}, {"", ""}, {"{-1 ", "}"}};
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<" BOB ">", NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BOXES; i++) {
            int box = i * STEP % BOXES;
            char raw[100];
            snprintf(raw, sizeof raw, "<%su%d@example.com%s>|ORCPT=rfc822;%d-%d", tags[round][0],
                     box, tags[round][1], round, box);
            if (round != 1 || box % 2 == 0) { /* every other one is there without a tag too */
                give_recipient(t, site, raw, &text);
            }
        }
    }
    decide(t, site);
    size_t count;
    const struct effect *effects = transaction_effects(t, &count);
    size_t removed = 2 * BOXES + BOXES / 2;
    ck_assert_uint_eq(count, removed + BOXES);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(effects[i].kind,
                         i < removed ? EFFECT_REMOVE_RECIPIENT : EFFECT_ADD_RECIPIENT);
    }
    for (int i = 0; i < BOXES; i++) {
        int box = i * STEP % BOXES;
        char plain[40], own[40];
        snprintf(plain, sizeof plain, "u%d@example.com", box);
        snprintf(own, sizeof own, "ORCPT=rfc822;%d-%d", box % 2 == 0 ? 1 : 0, box);
        ck_assert_str_eq(effects[removed + (size_t)i].value, plain);
        ck_assert_str_eq(effects[removed + (size_t)i].arguments, own);
    }
    transaction_free(t);
    site_free(site);
}
END_TEST

/* A stranger chooses how many fields a header has. It makes no difference to the MTA. */
START_TEST(test_effects_of_very_many_marks)
{
    enum { MANY = 20000 };
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_rcpt(t, "<a@mark.example>");
    for (int i = 0; i < MANY; i++) {
        give_field(t, "X-Batv-Result", "valid");
    }
    decide(t, site);
    size_t count;
    const struct effect *effects = transaction_effects(t, &count);
    ck_assert_uint_eq(count, EFFECT_REMOVALS + 1);
    for (size_t i = 0; i < EFFECT_REMOVALS; i++) {
        ck_assert_int_eq(effects[i].kind, EFFECT_REMOVE_HEADER);
        ck_assert_uint_eq(effects[i].index, EFFECT_REMOVALS - i);
    }
    ck_assert_int_eq(effects[count - 1].kind, EFFECT_ADD_HEADER);
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipients");
    add_table(suite, "several recipients", test_several, COUNT_OF(several));

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_very_many_recipients);
    tcase_add_test(tcase, test_very_many_mailboxes);
    tcase_add_test(tcase, test_effects_of_very_many_marks);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
