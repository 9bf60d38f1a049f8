/*
 * Mail whose sender bears a tag of ours, as a table of conversations (see conversation.h): only
 * verify.forged_sender rejects it.
 */
#include "sites.h"

static void sender_rejects(struct site *site)
{
    site->settings->forged_sender = ACTION_REJECT;
}

static void sender_defers(struct site *site)
{
    site->settings->forged_sender = ACTION_TEMPFAIL;
}

static void sender_rejects_at_rcpt(struct site *site)
{
    sender_rejects(site);
    site->settings->reject_at_rcpt = true;
}

static void sender_rejects_paused(struct site *site)
{
    sender_rejects(site);
    site->snapshot.paused = true;
}

static void sender_rejects_and_renews(struct site *site)
{
    sender_rejects(site);
    site->renews = true;
}

static void sender_rejects_at_rcpt_and_renews(struct site *site)
{
    sender_rejects_at_rcpt(site);
    site->renews = true;
}

static void sender_rejects_relays_local(struct site *site)
{
    sender_rejects(site);
    site->settings->relays_local = true;
}

#define BAD_ALICE "{bad " ALICE "}"
#define FROM_BAD(rcpt, rest)                                                                       \
    "verify client=" OUT " from=<" BAD_ALICE "> rcpt=<" rcpt "> result=" rest "\n"
#define NO_SUCH_SENDER                                                                             \
    "reject 550 5.1.0 the sender <" BAD_ALICE "> carries a signature that this site does not "     \
    "know\n"

/* clang-format off */
static const struct conversation senders[] = {
    {.name = "by default a forged sender does not matter",
     .who = OUTSIDE, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" ALICE ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug " FROM_BAD(ALICE, "missing action=accept rule=ordinary")
         NO_SUBMISSION(BAD_ALICE)},
    {.name = "a forged sender is rejected for every recipient",
     .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<" BAD_ALICE ">",
     .recipients = {"<" ALICE ">", "<{0 carol@example.com}>", "<" BOB ">"},
     .expected =
         "wants end\n"
         NO_SUCH_SENDER
         FROM_BAD(ALICE, "missing action=reject rule=sender-tag-unauthentic")
         FROM_BAD("{0 carol@example.com}", "valid action=reject rule=sender-tag-unauthentic")
         FROM_BAD(BOB, "not-ours action=reject rule=sender-tag-unauthentic")},
    {.name = "a forged sender is deferred",
     .who = OUTSIDE, .prepare = sender_defers, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" ALICE ">"},
     .expected =
         "wants end\n"
         "tempfail 451 4.1.0 the sender <" BAD_ALICE "> carries a signature that this site does "
         "not know; try again later\n"
         FROM_BAD(ALICE, "missing action=tempfail rule=sender-tag-unauthentic")},
    {.name = "a forged sender is rejected at RCPT",
     .who = OUTSIDE, .prepare = sender_rejects_at_rcpt,
     .sender = "<" BAD_ALICE ">", .recipients = {"<" ALICE ">", "<" BOB ">"},
     .expected =
         "rcpt " NO_SUCH_SENDER
         "rcpt " NO_SUCH_SENDER
         "wants end\n"
         "accept\n"
         FROM_BAD(ALICE, "missing action=reject rule=sender-tag-unauthentic")
         FROM_BAD(BOB, "not-ours action=reject rule=sender-tag-unauthentic")
         NO_SUBMISSION(BAD_ALICE)},
    {.name = "a sender with a tag by a key that nobody has",
     .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<prvs=0785a1b2c3=" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         "wants end\n"
         "reject 550 5.1.0 the sender <prvs=0785a1b2c3=" ALICE "> carries a signature that this "
         "site does not know\n"
         "verify client=" OUT " from=<prvs=0785a1b2c3=" ALICE "> rcpt=<" BOB "> result=not-ours "
         "action=reject rule=sender-tag-unauthentic\n"},
    {.name = "a forged sender through a relay",
     .who = RELAY, .prepare = sender_rejects, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants end\n"
         NO_SUCH_SENDER
         "verify client=gateway.partner.test[10.9.9.9] from=<" BAD_ALICE "> rcpt=<" BOB
         "> result=not-ours action=reject rule=sender-tag-unauthentic\n"},
    {.name = "a forged sender of a domain that waits", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{bad a@example.net}>", .recipients = {"<" ALICE ">"},
     .expected =
         "wants end\n"
         "accept\n"
         "verify client=" OUT " from=<{bad a@example.net}> rcpt=<" ALICE
         "> result=missing action=log would=reject rule=sender-tag-unauthentic\n"
         NO_SUBMISSION("{bad a@example.net}")},
    {.name = "a forged sender of a domain that waits, to a forged tag",
     .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{bad a@example.net}>", .recipients = {"<" BAD_ALICE ">"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO(ALICE)
         "verify client=" OUT " from=<{bad a@example.net}> rcpt=<" BAD_ALICE
         "> result=bad-signature action=reject rule=tag-unauthentic\n"},
    {.name = "a forged sender while verification is paused",
     .who = OUTSIDE, .prepare = sender_rejects_paused,
     .sender = "<" BAD_ALICE ">", .recipients = {"<" ALICE ">"},
     .expected =
         "wants end\n"
         "accept\n"
         FROM_BAD(ALICE, "missing action=log would=reject rule=pause")
         NO_SUBMISSION(BAD_ALICE)},
    {.name = "a sender with a valid tag", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{0 " ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, "{0 " ALICE "}", BOB)
         NO_SUBMISSION("{0 " ALICE "}")},
    {.name = "a sender with an expired tag", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{-9 " ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, "{-9 " ALICE "}", BOB)
         NO_SUBMISSION("{-9 " ALICE "}")},
    {.name = "a sender without a tag",
     .who = OUTSIDE, .prepare = sender_rejects, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, ALICE, BOB)
         NO_SUBMISSION(ALICE)
         "relayed-unsigned client=" OUT " from=<" ALICE "> rcpt=<" BOB ">\n"},
    {.name = "a forged sender in subaddress syntax", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{bad +" ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, "{bad +" ALICE "}", BOB)
         NO_SUBMISSION("{bad +" ALICE "}")},
    {.name = "a sender with somebody else's tag", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<prvs=0785a1b2c3=" BOB ">", .recipients = {"<" ALICE ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug verify client=" OUT " from=<prvs=0785a1b2c3=" BOB "> rcpt=<" ALICE
         "> result=missing action=accept rule=ordinary\n"},
    {.name = "a forged sender in a submission",
     .who = INSIDE, .prepare = sender_rejects, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "accept\n"
         NOT_OURS(IN, BAD_ALICE, BOB)
         "sign-skip from=<" BAD_ALICE "> reason=already-tagged\n"},
    {.name = "a forged sender by an authenticated client",
     .who = OUTSIDE, .user = "alice", .prepare = sender_rejects,
     .sender = "<" BAD_ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         "wants end\n"
         "accept\n"
         NOT_OURS(OUT, BAD_ALICE, BOB)
         "sign-skip from=<" BAD_ALICE "> reason=already-tagged\n"},
    {.name = "a local process that hands in what others wrote", .who = LOCAL,
     .prepare = sender_rejects_relays_local, .sender = BAD_ALICE, .recipients = {BOB},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("localhost[127.0.0.1]", BAD_ALICE, BOB)
         NO_SUBMISSION(BAD_ALICE)},
    {.name = "a newer ring knows the sender's tag",
     .who = OUTSIDE, .prepare = sender_rejects_and_renews,
     .sender = "<{next " ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants end\n"
         "accept\n"
         NOT_OURS(OUT, "{next " ALICE "}", BOB)
         NO_SUBMISSION("{next " ALICE "}")},
    {.name = "a newer ring knows the sender's tag at RCPT", .who = OUTSIDE,
     .prepare = sender_rejects_at_rcpt_and_renews, .sender = "<{next " ALICE "}>",
     .recipients = {"<" BOB ">", "<" ALICE ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, "{next " ALICE "}", BOB)
         "debug verify client=" OUT " from=<{next " ALICE "}> rcpt=<" ALICE
         "> result=missing action=accept rule=ordinary\n"
         NO_SUBMISSION("{next " ALICE "}")},
    {.name = "a bounce by our mailer-daemon that proves itself", .who = OUTSIDE,
     .prepare = sender_rejects, .sender = "<{bad mailer-daemon@example.com}>",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "reject 550 5.1.0 the sender <{bad mailer-daemon@example.com}> carries a signature that "
         "this site does not know\n"
         "verify client=" OUT " from=<{bad mailer-daemon@example.com}> rcpt=<{0 " ALICE
         "}> result=valid action=reject rule=sender-tag-unauthentic\n"},
};
/* clang-format on */

START_TEST(test_senders)
{
    check_conversation(&senders[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sender tags");
    add_table(suite, "senders", test_senders, COUNT_OF(senders));
    return suite_run(suite);
}
