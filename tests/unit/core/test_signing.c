/*
 * Which senders are signed, and which are not and why, as a table of conversations (see
 * conversation.h).
 */
#include "sites.h"

static void no_bounce_senders(struct site *site)
{
    pattern_list_free(site->settings->bounce_senders);
    site->settings->bounce_senders = NULL;
}

#define USER_SIGNED(client, from, rcpt) "wants end\n" SENT_SIGNED(client, from, rcpt)
#define SKIPPED(client, from, rcpt, reason)                                                        \
    "wants headers, end\n"                                                                         \
    "accept\n" NOT_OURS(client, from, rcpt) "sign-skip from=<" from "> reason=" reason "\n"

/* clang-format off */
static const struct conversation signing[] = {
    {.name = "from an internal network", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         SIGNED(IN, ALICE, BOB)},
    {.name = "authenticated, from anywhere", .who = OUTSIDE, .user = "alice",
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         USER_SIGNED(OUT, ALICE, BOB)},
    {.name = "sendmail(1): without brackets", .who = LOCAL, .sender = ALICE, .recipients = {BOB},
     .expected =
         SIGNED("localhost[127.0.0.1]", ALICE, BOB)},
    {.name = "Sendmail -bs", .who = SENDMAIL_BS, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         SIGNED("localhost[local]", ALICE, BOB)},
    {.name = "authenticated through a relay", .who = RELAY, .user = "alice",
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         USER_SIGNED("gateway.partner.test[10.9.9.9]", ALICE, BOB)},
    {.name = "subaddress syntax", .who = INSIDE, .sender = "<alice@example.net>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "sender {0 +alice@example.net}\n"
         "accept\n"
         NOT_OURS(IN, "alice@example.net", BOB)
         "sign from=<alice@example.net> tagged=<{0 +alice@example.net}> key=2 "
         "expires=2026-11-28\n"},
    {.name = "a subdomain", .who = INSIDE, .sender = "<Alice@Any.Sub.Example>",
     .recipients = {"<" BOB ">"},
     .expected =
         SIGNED(IN, "Alice@Any.Sub.Example", BOB)},
    {.name = "quoted as a whole", .who = INSIDE, .sender = "<\"a b\"@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "sender {0 \"a b\"@example.com}\n"
         "accept\n"
         "debug verify client=" IN " from=\"<\\\"a b\\\"@example.com>\" rcpt=<" BOB
         "> result=not-ours action=accept rule=not-ours\n"
         "sign from=\"<\\\"a b\\\"@example.com>\" "
         "tagged=\"<\\\"prvs=2785ff911a=a b\\\"@example.com>\" key=2 expires=2026-11-28\n"},
    {.name = "a domain in U-labels", .who = INSIDE, .sender = "<alice@" BUECHER ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "sender {0 alice@" BUECHER "}\n"
         "accept\n"
         "debug verify client=" IN " from=\"<alice@" BUECHER_QUOTED ">\" rcpt=<" BOB
         "> result=not-ours action=accept rule=not-ours\n"
         "sign from=\"<alice@" BUECHER_QUOTED ">\" tagged=\"<prvs=2785efa480=alice@"
         BUECHER_QUOTED ">\" key=2 expires=2026-11-28\n"},
    {.name = "to one of our own, who is named without a tag", .who = INSIDE,
     .sender = "<" ALICE ">", .recipients = {"<carol@example.com>"},
     .expected =
         "wants headers, end\n"
         "sender {0 " ALICE "}\n"
         "accept\n"
         "debug verify client=" IN " from=<" ALICE "> rcpt=<carol@example.com> result=missing "
         "action=accept rule=ordinary\n"
         "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"},
    {.name = "48 octets", .who = INSIDE, .sender = "<" L48 "@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SIGNED(IN, L48 "@example.com", BOB)},
    {.name = "49 octets", .who = INSIDE, .sender = "<x" L48 "@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "x" L48 "@example.com", BOB, "too-long")},
    {.name = "a domain that is not ours", .who = INSIDE, .sender = "<carol@third.test>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(IN, "carol@third.test", BOB)},
    {.name = "the domain above a subdomain's", .who = INSIDE, .sender = "<carol@sub.example>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(IN, "carol@sub.example", BOB)},
    {.name = "no domain", .who = INSIDE, .sender = "<alice>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(IN, "alice", BOB)},
    {.name = "a domain that does not sign", .who = INSIDE, .sender = "<alice@off.example>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(IN, "alice@off.example", BOB)},
    {.name = "a null sender", .who = INSIDE, .sender = "<>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(IN, "", BOB)
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "a null sender without brackets", .who = LOCAL, .sender = "", .recipients = {BOB},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS("localhost[127.0.0.1]", "", BOB)
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "mailer-daemon", .who = INSIDE, .sender = "<MAILER-DAEMON@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(IN, "MAILER-DAEMON@example.com", BOB)
         "sign-skip from=<MAILER-DAEMON@example.com> reason=mailer-daemon\n"},
    {.name = "mailer-daemon, no bounce sender by the settings", .who = INSIDE,
     .prepare = no_bounce_senders, .sender = "<mailer-daemon@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "mailer-daemon@example.com", BOB, "mailer-daemon")},
    {.name = "mailer-daemon with a tag", .who = INSIDE,
     .sender = "<{0 mailer-daemon@example.com}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(IN, "{0 mailer-daemon@example.com}", BOB)
         "sign-skip from=<{0 mailer-daemon@example.com}> reason=mailer-daemon\n"},
    {.name = "outside mail in our name to us", .who = OUTSIDE, .sender = "<" ALICE ">",
     .recipients = {"<carol@example.com>"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug verify client=" OUT " from=<" ALICE "> rcpt=<carol@example.com> result=missing "
         "action=accept rule=ordinary\n"
         "sign-skip from=<" ALICE "> reason=not-a-submission\n"},
    {.name = "tagged today", .who = INSIDE, .sender = "<{0 " ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "{0 " ALICE "}", BOB, "already-tagged")},
    {.name = "tagged today, subaddress", .who = INSIDE, .sender = "<{0 +" ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "{0 +" ALICE "}", BOB, "already-tagged")},
    {.name = "requeued: tagged yesterday", .who = INSIDE, .sender = "<{-1 " ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "sender {0 " ALICE "}\n"
         "accept\n"
         NOT_OURS(IN, "{-1 " ALICE "}", BOB)
         "sign from=<{-1 " ALICE "}> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"},
    {.name = "requeued: by a former key, expired", .who = INSIDE, .sender = "<{-10 " ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "sender {0 " ALICE "}\n"
         "accept\n"
         NOT_OURS(IN, "{-10 " ALICE "}", BOB)
         "sign from=<{-10 " ALICE "}> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"},
    {.name = "requeued: the syntax has changed since", .who = INSIDE,
     .sender = "<{-1 alice@example.net}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "sender {0 +alice@example.net}\n"
         "accept\n"
         NOT_OURS(IN, "{-1 alice@example.net}", BOB)
         "sign from=<{-1 alice@example.net}> tagged=<{0 +alice@example.net}> key=2 "
         "expires=2026-11-28\n"},
    {.name = "requeued: now excluded", .who = INSIDE, .sender = "<{-1 nosign@example.com}>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "{-1 nosign@example.com}", BOB, "exclude_sign.senders:nosign@*")},
    {.name = "a tag that we did not make", .who = INSIDE, .sender = "<{bad " ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "{bad " ALICE "}", BOB, "already-tagged")},
    {.name = "a tag by a key that nobody has", .who = INSIDE, .sender = "<{unknown " ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "{unknown " ALICE "}", BOB, "already-tagged")},
    {.name = "Cisco's tag", .who = INSIDE, .sender = "<prvs=785a1b2c3=" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "prvs=785a1b2c3=" ALICE, BOB, "already-tagged")},
    {.name = "the old drafts' tag", .who = INSIDE,
     .sender = "<prvs=alice/3785a1b2c3@example.com>", .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "prvs=alice/3785a1b2c3@example.com", BOB, "already-tagged")},
    {.name = "a malformed tag", .who = INSIDE, .sender = "<prvs=x@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "prvs=x@example.com", BOB, "already-tagged")},
    {.name = "Barracuda's tag", .who = INSIDE, .sender = "<btv1==785a1b2c3d4==" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "btv1==785a1b2c3d4==" ALICE, BOB, "already-tagged")},
    {.name = "SparkPost's tag", .who = INSIDE, .sender = "<msprvs1=20785a=" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "msprvs1=20785a=" ALICE, BOB, "already-tagged")},
    {.name = "an SRS address", .who = INSIDE, .sender = "<SRS0=HHH=TT=other.test=bob@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "SRS0=HHH=TT=other.test=bob@example.com", BOB, "already-tagged")},
    {.name = "an SRS address with +", .who = INSIDE, .sender = "<srs1+HHH=x@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "srs1+HHH=x@example.com", BOB, "already-tagged")},
    {.name = "Microsoft 365's forwarding", .who = INSIDE,
     .sender = "<alice+SRS=HHH=TT=other.test=bob@example.com>", .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "alice+SRS=HHH=TT=other.test=bob@example.com", BOB, "already-tagged")},
    {.name = "Microsoft 365's forwarding of bounces", .who = INSIDE,
     .sender = "<bounces+srs=HHH=TT@example.com>", .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "bounces+srs=HHH=TT@example.com", BOB, "already-tagged")},
    {.name = "Google's forwarding", .who = INSIDE,
     .sender = "<alice+caf_=bob=other.test@example.com>", .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "alice+caf_=bob=other.test@example.com", BOB, "already-tagged")},
    {.name = "a forwarder's address with an old tag of ours", .who = INSIDE,
     .sender = "<{-1 alice+SRS=HHH=TT=other.test=bob@example.com}>", .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "{-1 alice+SRS=HHH=TT=other.test=bob@example.com}", BOB, "already-tagged")},
    {.name = "excluded by sender", .who = INSIDE, .sender = "<NoSign@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "NoSign@example.com", BOB, "exclude_sign.senders:nosign@*")},
    {.name = "excluded by recipient", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<Some@Lists.Test>"},
     .expected =
         SKIPPED(IN, ALICE, "Some@Lists.Test", "exclude_sign.recipients:*@lists.test")},
    {.name = "excluded by one recipient for all", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">", "<l@deep.unsigned.test>", "<carol@third.test>"},
     .expected =
         "wants headers, end\n"
         "accept\n"
         NOT_OURS(IN, ALICE, BOB)
         NOT_OURS(IN, ALICE, "l@deep.unsigned.test")
         NOT_OURS(IN, ALICE, "carol@third.test")
         "sign-skip from=<" ALICE "> reason=exclude_sign.recipients:*@*.unsigned.test "
         "rcpt=<l@deep.unsigned.test> " "recipients=3\n"},
    {.name = "the domain above is not excluded", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<l@unsigned.test>"},
     .expected =
         SIGNED(IN, ALICE, "l@unsigned.test")},
    {.name = "excluded by the client's network", .who = NO_SIGN_NETWORK, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED("unknown[10.5.1.1]", ALICE, BOB, "exclude_sign.clients:10.5.0.0/16")},
    {.name = "excluded by the client's network, whatever its name", .who = NO_SIGN_NETWORK_NAMED,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED("scanner.example.com[10.5.1.2]", ALICE, BOB, "exclude_sign.clients:10.5.0.0/16")},
    {.name = "excluded by the client's name", .who = NO_SIGN_HOST, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED("Printer.Example.Com[10.1.2.4]", ALICE, BOB,
                 "exclude_sign.clients:printer.example.com")},
    {.name = "senders come before recipients", .who = NO_SIGN_NETWORK,
     .sender = "<nosign@example.com>", .recipients = {"<some@lists.test>"},
     .expected =
         SKIPPED("unknown[10.5.1.1]", "nosign@example.com", "some@lists.test",
                 "exclude_sign.senders:nosign@*")},
    {.name = "recipients come before clients", .who = NO_SIGN_NETWORK, .sender = "<" ALICE ">",
     .recipients = {"<some@lists.test>"},
     .expected =
         SKIPPED("unknown[10.5.1.1]", ALICE, "some@lists.test",
                 "exclude_sign.recipients:*@lists.test")},
    {.name = "pausing verification does not pause signing", .who = INSIDE,
     .prepare = pause_verifying, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         SIGNED(IN, ALICE, BOB)},
};
/* clang-format on */

START_TEST(test_signing)
{
    check_conversation(&signing[_i]);
}
END_TEST

/* The record of a domain's first signed message is by the name of its entry. */
START_TEST(test_first_signed)
{
    static const struct {
        const char *sender;
        bool first;
    } rows[] = {
        {"<" ALICE ">", false},
        {"<alice@EXAMPLE.net>", false},
        {"<alice@reject.example>", true},
        {"<alice@recorded.sub.example>", false},
    };
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    bool changed;
    ring_domain_add(site->ring, ".sub.example", 1, &changed);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t count;
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, rows[i].sender, NULL);
        give_rcpt(t, "<" BOB ">");
        decide(t, site);
        const struct decision *decisions = transaction_decisions(t, &count);
        ck_assert_uint_eq(count, 2);
        ck_assert_int_eq(decisions[1].kind, DECISION_SIGN);
        ck_assert_msg(decisions[1].first_signed == rows[i].first, "%s", rows[i].sender);
        ck_assert_ptr_eq(decisions[1].client, &client);
        transaction_free(t);
    }
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signing");
    add_table(suite, "signing", test_signing, COUNT_OF(signing));

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_first_signed);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
