/*
 * Ordinary mail to addresses with and without a tag, as a table of conversations (see
 * conversation.h).
 */
#include "sites.h"

static void forged_rejects(struct site *site)
{
    site->settings->domain[EXAMPLE_NET].forged = ACTION_REJECT;
}

/* clang-format off */
static const struct conversation ordinary[] = {
    {.name = "ordinary mail without a tag", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<" ALICE ">", "<carol@example.net>"}, .marks = 3,
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug " ORDINARY(ALICE, "missing action=accept rule=ordinary")
         "debug " ORDINARY("carol@example.net", "missing action=accept rule=ordinary")},
    {.name = "to a valid tag", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{0 " ALICE "}>|NOTIFY=NEVER"},
     .expected =
         "wants end\n"
         "remove <{0 " ALICE "}>\n"
         "add " ALICE " NOTIFY=NEVER\n"
         "accept\n"
         ORDINARY("{0 " ALICE "}", "valid action=accept rule=tag")},
    {.name = "to an expired tag", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{-9 a@reject.example}>"},
     .expected =
         "wants end\n"
         "remove <{-9 a@reject.example}>\n"
         "add a@reject.example\n"
         "accept\n"
         ORDINARY("{-9 a@reject.example}", "expired action=accept rule=ordinary")},
    {.name = "to a forged tag", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.com}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@example.com")
         ORDINARY("{bad nobody@example.com}", "bad-signature action=reject rule=tag-unauthentic")},
    {.name = "to a tag by a key that nobody has", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{unknown \"no body\"@reject.example}>"},
     .expected =
         "wants end\n"
         "tempfail 451 4.1.1 " WRITE_OR_WAIT("\"no body\"@reject.example")
         "verify client=" OUT " from=<" BOB "> rcpt=\"<\\\"prvs=97851b0563=no "
         "body\\\"@reject.example>\" " "result=unknown-key action=tempfail "
         "rule=tag-unauthentic\n"},
    {.name = "to a tag by a key 0 that nobody has", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<prvs=0785a1b2c3=nobody@example.com>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@example.com")
         ORDINARY("prvs=0785a1b2c3=nobody@example.com",
                  "unknown-key action=reject rule=tag-unauthentic")},
    {.name = "to a forged tag with letters that a reply cannot hold", .who = OUTSIDE,
     .sender = "<" BOB ">", .recipients = {"<prvs=3785a1b2c3=j\303\274\001\177x@" BUECHER ">"},
     .expected =
         "wants end\n"
         "tempfail 451 4.1.1 "
         WRITE_OR_WAIT("\"j????x\"@b??cher.example")
         "verify client=" OUT " from=<" BOB "> rcpt=\"<prvs=3785a1b2c3=j\\xC3\\xBC\\x01\\x7Fx@"
         BUECHER_QUOTED ">\" judged=\"<j\\xC3\\xBC\\x01\\x7Fx@xn--bcher-kva.example>\" "
         "result=unknown-key action=tempfail rule=tag-unauthentic\n"},
    {.name = "to a forged tag while the domain waits", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.net}>"},
     .expected =
         "wants end\n"
         "tempfail 451 4.1.1 " WRITE_OR_WAIT("nobody@example.net")
         ORDINARY("{bad nobody@example.net}",
                  "bad-signature action=tempfail rule=tag-unauthentic")},
    {.name = "to a forged tag of a domain that has never signed, and only logs",
     .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@log.example}>"},
     .expected =
         "wants end\n"
         "tempfail 451 4.1.1 " WRITE_OR_WAIT("nobody@log.example")
         ORDINARY("{bad nobody@log.example}",
                  "bad-signature action=tempfail rule=tag-unauthentic")},
    {.name = "to a forged tag, which waits for nothing", .who = OUTSIDE,
     .prepare = forged_rejects, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.net}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@example.net")
         ORDINARY("{bad nobody@example.net}", "bad-signature action=reject rule=tag-unauthentic")},
    {.name = "to a forged tag, which is only logged", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@late.example}>"},
     .expected =
         "wants end\n"
         "accept\n"
         ORDINARY("{bad nobody@late.example}", "bad-signature action=log rule=tag-unauthentic")},
    {.name = "to a forged tag, through a mail server", .who = MAIL_SERVER, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.com}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@example.com")
         "verify client=mail.example.com[198.51.100.5] from=<" BOB
         "> rcpt=<{bad nobody@example.com}> result=bad-signature " "action=reject "
         "rule=tag-unauthentic\n"},
    {.name = "to a forged tag, through a relay", .who = RELAY, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.com}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@example.com")
         "verify client=gateway.partner.test[10.9.9.9] from=<" BOB
         "> rcpt=<{bad nobody@example.com}> result=bad-signature " "action=reject "
         "rule=tag-unauthentic\n"},
    {.name = "to a forged tag of a domain that does not sign", .who = OUTSIDE,
     .sender = "<" BOB ">", .recipients = {"<prvs=0785a1b2c3=nobody@off.example>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@off.example")
         ORDINARY("prvs=0785a1b2c3=nobody@off.example",
                  "unknown-key action=reject rule=tag-unauthentic")},
    {.name = "a submission to a forged tag", .who = INSIDE, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.com}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@example.com")
         "verify client=" IN " from=<" BOB
         "> rcpt=<{bad nobody@example.com}> result=bad-signature action=reject "
         "rule=tag-unauthentic\n"},
    {.name = "a submission to a forged tag while the domain waits", .who = INSIDE,
     .sender = "<" BOB ">", .recipients = {"<{bad nobody@example.net}>"},
     .expected =
         "wants end\n"
         "tempfail 451 4.1.1 " WRITE_OR_WAIT("nobody@example.net")
         "verify client=" IN " from=<" BOB
         "> rcpt=<{bad nobody@example.net}> result=bad-signature action=tempfail "
         "rule=tag-unauthentic\n"},
    {.name = "an authenticated submission to a forged tag while the domain waits",
     .who = OUTSIDE, .user = "carol",
     .sender = "<" BOB ">", .recipients = {"<{bad nobody@example.net}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO("nobody@example.net")
         ORDINARY("{bad nobody@example.net}", "bad-signature action=reject rule=tag-unauthentic")},
    {.name = "a local process to a forged tag", .who = LOCAL, .sender = BOB,
     .recipients = {"{bad nobody@example.com}"},
     .expected =
         "wants end\n"
         "accept\n"
         "verify client=localhost[127.0.0.1] from=<" BOB
         "> rcpt=<{bad nobody@example.com}> result=bad-signature action=accept rule=ordinary\n"},
    {.name = "a submission to a valid tag", .who = INSIDE, .sender = "<" BOB ">",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         "wants end\n"
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" IN " from=<" BOB "> rcpt=<{0 " ALICE "}> result=valid action=accept "
         "rule=tag\n"},
    {.name = "to a forged tag in subaddress syntax: the MTA's tables answer", .who = OUTSIDE,
     .sender = "<" BOB ">", .recipients = {"<{bad +nobody@example.com}>"},
     .expected =
         "wants end\n"
         "accept\n"
         ORDINARY("{bad +nobody@example.com}", "bad-signature action=accept rule=ordinary")},
    {.name = "to a malformed and to a foreign tag", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<prvs=x@example.com>", "<prvs=785a1b2c3=alice@example.com>"},
     .expected =
         "wants nothing\n"
         "accept\n"
         ORDINARY("prvs=x@example.com", "malformed action=accept rule=ordinary")
         ORDINARY("prvs=785a1b2c3=alice@example.com", "foreign action=accept rule=ordinary")},
    {.name = "to a forged tag and to somebody else", .who = OUTSIDE, .sender = "<" BOB ">",
     .recipients = {"<{bad nobody@example.com}>", "<" ALICE ">", "<{0 carol@example.com}>"},
     .expected =
         "wants end\n"
         "remove <{bad nobody@example.com}>\n"
         "remove <{0 carol@example.com}>\n"
         "add carol@example.com\n"
         "accept\n"
         ORDINARY("{bad nobody@example.com}",
                  "bad-signature action=reject applied=removed rule=tag-unauthentic")
         "debug " ORDINARY(ALICE, "missing action=accept rule=ordinary")
         ORDINARY("{0 carol@example.com}", "valid action=accept rule=tag")},
    {.name = "a submission by one of ours to a tag of ours", .who = INSIDE,
     .sender = "<" ALICE ">", .recipients = {"<{0 carol@example.com}>"},
     .expected =
         "wants headers, end\n"
         "sender {0 " ALICE "}\n"
         "remove <{0 carol@example.com}>\n"
         "add carol@example.com\n"
         "accept\n"
         "verify client=" IN " from=<" ALICE "> rcpt=<{0 carol@example.com}> result=valid "
         "action=accept rule=tag\n"
         "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"},
};
/* clang-format on */

START_TEST(test_ordinary)
{
    check_conversation(&ordinary[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ordinary mail");
    add_table(suite, "ordinary mail", test_ordinary, COUNT_OF(ordinary));
    return suite_run(suite);
}
