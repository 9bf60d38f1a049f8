/*
 * Recipients that are judged at RCPT, as a table of conversations (see conversation.h).
 */
#include "sites.h"

static void reject_at_rcpt(struct site *site)
{
    site->settings->reject_at_rcpt = true;
}

static void prove_at_rcpt(struct site *site)
{
    prove_by_journal(site);
    site->settings->reject_at_rcpt = true;
}

static void receipt_at_rcpt(struct site *site)
{
    receipt_is_logged(site);
    site->settings->reject_at_rcpt = true;
}

static void patterns_at_rcpt(struct site *site)
{
    patterns(site);
    site->settings->reject_at_rcpt = true;
}

/* clang-format off */
static const struct conversation at_rcpt[] = {
    {.name = "each recipient is judged by itself",
     .who = OUTSIDE, .prepare = reject_at_rcpt, .sender = "<>",
     .recipients = {"<" ALICE ">", "<{0 carol@example.com}>", "<a@tempfail.example>",
                    "<a@discard.example>", "<a@mark.example>", "<" BOB ">"},
     .expected =
         "rcpt " REFUSED
         "rcpt " LATER
         HEADERS
         "remove <{0 carol@example.com}>\n"
         "remove <a@discard.example>\n"
         "add carol@example.com\n"
         "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action")
         VALID("{0 carol@example.com}")
         BOUNCE("a@discard.example", "missing", "discard applied=removed rule=verify.action")
         BOUNCE("a@mark.example", "missing", "mark rule=verify.action")
         NOT_OURS(OUT, "", BOB)
         NULL_SENDER},
    {.name = "no proof is asked for at RCPT",
     .who = OUTSIDE, .prepare = prove_at_rcpt, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         "rcpt " REFUSED
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         NULL_SENDER},
    {.name = "no proof is asked for at the end", .who = OUTSIDE, .prepare = prove_at_rcpt,
     .sender = "<>", .recipients = {"<" ALICE ">", "<a@mark.example>", "<a@discard.example>"},
     .expected =
         "rcpt " REFUSED
         HEADERS
         "remove <a@discard.example>\n"
         "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("a@mark.example", "missing", "mark rule=verify.action")
         BOUNCE("a@discard.example", "missing", "discard applied=removed rule=verify.action")
         NULL_SENDER},
    {.name = "no class is asked for at RCPT",
     .who = OUTSIDE, .prepare = receipt_at_rcpt, .sender = "<>",
     .recipients = {"<" ALICE ">", "<{-9 a@reject.example}>"},
     .expected =
         "rcpt " REFUSED
         "rcpt " TOO_LATE
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("{-9 a@reject.example}", "expired", "reject rule=verify.expired")
         NULL_SENDER},
    {.name = "a domain that does not sign has no ground to reject at RCPT",
     .who = OUTSIDE, .prepare = patterns_at_rcpt,
     .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "a forged tag of an ordinary message", .who = OUTSIDE, .prepare = reject_at_rcpt,
     .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.com}>", "<{bad nobody@example.net}>", "<" ALICE ">"},
     .expected =
         "rcpt reject 550 5.1.1 " WRITE_TO("nobody@example.com")
         "rcpt tempfail 451 4.1.1 " WRITE_OR_WAIT("nobody@example.net")
         "wants end\n"
         "accept\n"
         ORDINARY("{bad nobody@example.com}", "bad-signature action=reject rule=tag-unauthentic")
         ORDINARY("{bad nobody@example.net}", "bad-signature action=tempfail rule=tag-unauthentic")
         "debug" " " ORDINARY(ALICE, "missing action=accept rule=ordinary")},
    {.name = "all recipients but one are discarded",
     .who = OUTSIDE, .prepare = reject_at_rcpt, .sender = "<>",
     .recipients = {"<a@discard.example>", "<a@reject.example>"},
     .expected =
         "rcpt " REFUSED
         HEADERS
         "discard\n"
         BOUNCE("a@reject.example", "missing", "reject rule=verify.action")
         BOUNCE("a@discard.example", "missing", "discard rule=verify.action")},
    {.name = "a mailbox with its tag, whose plain recipient was refused", .who = OUTSIDE,
     .prepare = reject_at_rcpt, .sender = "<>", .recipients = {"<" ALICE ">", "<{0 " ALICE "}>"},
     .expected =
         "rcpt " REFUSED
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "a submission is signed though recipients are judged at RCPT",
     .who = INSIDE, .prepare = reject_at_rcpt,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         SIGNED(IN, ALICE, BOB)},
    {.name = "a domain that waits rejects nothing at RCPT",
     .who = OUTSIDE, .prepare = reject_at_rcpt, .sender = "<>",
     .recipients = {"<alice@example.net>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@example.net", "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER},
};
/* clang-format on */

START_TEST(test_at_rcpt)
{
    check_conversation(&at_rcpt[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("judged at RCPT");
    add_table(suite, "judged at RCPT", test_at_rcpt, COUNT_OF(at_rcpt));
    return suite_run(suite);
}
