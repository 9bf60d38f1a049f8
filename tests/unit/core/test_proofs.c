/*
 * Whole messages as tables of conversations: who connects, what MAIL and RCPT say, and everything
 * that comes of it as text (see conversation.h).
 */
#include "conversation.h"

#define ALICE "alice@example.com"
#define BOB   "bob@other.test"

/* ------------------------------------------------------ what makes a site special */

enum { EXAMPLE_COM, EXAMPLE_NET, MARK_EXAMPLE = 3, OFF_EXAMPLE = 8 }; /* in site_domains */

static void reject_at_rcpt(struct site *site)
{
    site->settings->reject_at_rcpt = true;
}

static void sent_untagged(struct site *site)
{
    site->answers[FACT_UNTAGGABLE] = ANSWER_YES;
}

static void no_restore(struct site *site)
{
    site->settings->restore = false;
}

static void pause_verifying(struct site *site)
{
    site->snapshot.paused = true;
}

static void clock_wrong(struct site *site)
{
    site->snapshot.clock_wrong = true;
}

static void do_not_exclude(struct site *site)
{
    site->settings->exclude_authenticated = false;
    site->settings->exclude_mail_servers = false;
}

static void exclude_relay_by_network(struct site *site)
{
    network_list_free(site->settings->exclude_networks);
    site->settings->exclude_networks = NETWORKS("10.9.9.0/24");
}

static void exclude_relay_by_name(struct site *site)
{
    host_list_free(site->settings->exclude_hosts);
    site->settings->exclude_hosts = HOSTS("*.partner.test");
}

static void no_bounce_senders(struct site *site)
{
    pattern_list_free(site->settings->bounce_senders);
    site->settings->bounce_senders = NULL;
}

static void reject_example_net(struct site *site)
{
    site->settings->rules[EXAMPLE_NET].action = ACTION_REJECT;
}

static void revoke(struct site *site, bool compromised)
{
    uint8_t octets[SECRET_SIZE] = {0};
    struct key_policy policy = keys_weekly(LIFETIME);
    ck_assert_int_eq(
        ring_revoke(site->ring, &policy, 1, now_of_site() - 60, compromised, octets, NULL),
        STATUS_OK);
}

static void revoke_key_1(struct site *site)
{
    revoke(site, false);
}

static void forget_key_1(struct site *site)
{
    revoke(site, false);
    site->settings->keys.retain_days = 0;
}

static void compromise_key_1(struct site *site)
{
    revoke(site, true);
}

static void renew(struct site *site)
{
    site->renews = true;
}

static void renew_at_rcpt(struct site *site)
{
    site->renews = true;
    site->settings->reject_at_rcpt = true;
}

static void forged_rejects(struct site *site)
{
    site->settings->rules[EXAMPLE_NET].forged = ACTION_REJECT;
}

/* Every proof is there, and nobody asks for it. */
static void prove_without_evidence(struct site *site)
{
    for (size_t i = 0; i < FACT_COUNT; i++) {
        site->answers[i] = i != FACT_UNTAGGABLE ? ANSWER_YES : ANSWER_NO;
    }
}

static void prove_by_tag(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_TAG_IN_BODY] = ANSWER_YES;
}

static void prove_by_header(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_HEADER] = ANSWER_YES;
}

static void prove_by_journal(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_JOURNAL] = ANSWER_YES;
}

static void prove_at_rcpt(struct site *site)
{
    prove_by_journal(site);
    site->settings->reject_at_rcpt = true;
}

static void prove_while_paused(struct site *site)
{
    prove_by_journal(site);
    site->snapshot.paused = true;
}

static void tag_does_not_count(struct site *site)
{
    prove_by_tag(site);
    site->settings->evidence.tag_in_body = false;
}

static void journal_is_off(struct site *site)
{
    prove_by_journal(site);
    site->settings->evidence.journal = false;
}

/* Only what is made; what comes back is looked for as before. */
static void header_is_off(struct site *site)
{
    prove_by_header(site);
    site->settings->evidence.header = false;
}

static void journal_is_used_up(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_JOURNAL] = ANSWER_EXHAUSTED;
}

static void header_is_used_up(struct site *site)
{
    prove_by_journal(site);
    site->answers[FACT_HEADER] = ANSWER_EXHAUSTED;
}

static void journal_is_away(struct site *site)
{
    site_evidence(site);
    site->answers[FACT_JOURNAL] = ANSWER_UNAVAILABLE;
}

static void answer_all(struct site *site, enum answer answer)
{
    site_evidence(site);
    for (size_t i = 0; i < FACT_COUNT; i++) {
        site->answers[i] = answer;
    }
}

static void too_much(struct site *site)
{
    answer_all(site, ANSWER_OVERLOADED);
}

static void cannot_be_read(struct site *site)
{
    answer_all(site, ANSWER_UNAVAILABLE);
}

static void cannot_be_read_errors_accept(struct site *site)
{
    cannot_be_read(site);
    site->settings->on_error = ACTION_ACCEPT;
}

static void names_nothing(struct site *site)
{
    site_evidence(site);
    site->names_message_id = false;
}

static void journal_is_young(struct site *site)
{
    site_evidence(site);
    site->snapshot.journal_birth = now_of_site() - settings_wait(site->settings) + 1;
}

static void journal_is_just_old_enough(struct site *site)
{
    site_evidence(site);
    site->snapshot.journal_birth = now_of_site() - settings_wait(site->settings);
}

static void journal_is_young_names_nothing(struct site *site)
{
    journal_is_young(site);
    site->names_message_id = false;
}

static void journal_is_young_and_off(struct site *site)
{
    journal_is_young(site);
    site->settings->evidence.journal = false;
}

static void journal_is_young_evidence_off(struct site *site)
{
    journal_is_young(site);
    site->settings->evidence.enabled = false;
}

static void read_as(struct site *site, enum bounce_class class, enum action action)
{
    site_evidence(site);
    site->class = class;
    for (size_t i = 0; i < site->settings->rules_count; i++) {
        site->settings->rules[i].classes[class] = action;
    }
}

static void receipt_is_logged(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_LOG);
}

static void receipt_is_refused(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_REJECT);
}

static void receipt_is_marked(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_MARK);
}

static void receipt_is_discarded(struct site *site)
{
    read_as(site, BOUNCE_MDN, ACTION_DISCARD);
}

static void receipt_is_proven(struct site *site)
{
    receipt_is_refused(site);
    site->answers[FACT_JOURNAL] = ANSWER_YES;
}

static void receipt_at_rcpt(struct site *site)
{
    receipt_is_logged(site);
    site->settings->reject_at_rcpt = true;
}

static void calendar_is_logged_not_mdn(struct site *site)
{
    read_as(site, BOUNCE_CALENDAR, ACTION_LOG);
    site->class = BOUNCE_MDN;
}

/* Marks are possible by a class alone. */
static void only_a_class_marks(struct site *site)
{
    receipt_is_logged(site);
    site->settings->rules[MARK_EXAMPLE].action = ACTION_LOG;
    site->settings->rules[OFF_EXAMPLE].classes[BOUNCE_REPORT] = ACTION_MARK;
    site->settings->may_mark = settings_may_mark(site->settings);
}

static void only_logs(struct site *site)
{
    site->settings->may_mark = false;
}

static void nothing_marks(struct site *site)
{
    site_evidence(site);
    site->settings->rules[MARK_EXAMPLE].action = ACTION_LOG;
    site->settings->may_mark = settings_may_mark(site->settings);
}

/* off.example knows its Message-IDs by a pattern and has no journal. */
static void patterns(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.journal = false;
    site->snapshot.journal_birth = 0;
    site->settings->rules[OFF_EXAMPLE].message_ids = REGEXES("@off\\.example$");
}

static void pattern_matches(struct site *site)
{
    patterns(site);
    site->answers[FACT_PATTERN] = ANSWER_YES;
}

static void patterns_and_auto(struct site *site)
{
    patterns(site);
    site->settings->rules[OFF_EXAMPLE].action = ACTION_AUTO;
}

static void patterns_and_no_name(struct site *site)
{
    patterns(site);
    site->names_message_id = false;
}

static void patterns_without_evidence(struct site *site)
{
    pattern_matches(site);
    site->settings->evidence.enabled = false;
}

static void patterns_at_rcpt(struct site *site)
{
    patterns(site);
    site->settings->reject_at_rcpt = true;
}

/* A domain that signs has no use for patterns, whoever puts them there. */
static void patterns_where_tags_are(struct site *site)
{
    pattern_matches(site);
    site->settings->rules[EXAMPLE_COM].message_ids = REGEXES("@example\\.com$");
}

static void receipt_without_ground(struct site *site)
{
    receipt_is_refused(site);
    site->names_message_id = false;
}

static void renew_with_evidence(struct site *site)
{
    site_evidence(site);
    site->renews = true;
}

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

static void check_conversation(const struct conversation *c)
{
    struct site *site = site_make();
    struct client client = client_of(c->who);
    if (c->prepare != NULL) {
        c->prepare(site);
    }
    static struct text text;
    static struct text expected;
    text = (struct text){.used = 0};
    expected = (struct text){.used = 0};
    expand(&expected, site, c->expected);
    struct transaction *t = hold(c, site, &client, &text);
    ck_assert_msg(strcmp(text.out, expected.out) == 0, "%s:\n%s\nexpected:\n%s", c->name, text.out,
                  expected.out);
    transaction_free(t);
    site_free(site);
}

/* ---------------------------------------------------------------- signing */

#define NOT_OURS(client, from, rcpt)                                                               \
    "debug verify client=" client " from=<" from "> rcpt=<" rcpt                                   \
    "> result=not-ours action=accept rule=not-ours\n"
#define IN             "pc.example.com[10.1.2.3]"
#define OUT            "mx.other.test[192.0.2.9]"
#define L48            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv"
#define BUECHER        "b\303\274cher.example"
#define BUECHER_QUOTED "b\\xC3\\xBCcher.example"

/* Who wrote it matters, unless the client has authenticated. */
#define SIGNED(client, from, rcpt)      "wants headers, end\n" SENT_SIGNED(client, from, rcpt)
#define USER_SIGNED(client, from, rcpt) "wants end\n" SENT_SIGNED(client, from, rcpt)
#define SENT_SIGNED(client, from, rcpt)                                                            \
    "sender {0 " from "}\n"                                                                        \
    "accept\n" NOT_OURS(client, from, rcpt) "sign from=<" from "> tagged=<{0 " from                \
                                            "}> key=2 expires=2026-11-28\n"
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
    {.name = "U-labels", .who = INSIDE, .sender = "<alice@" BUECHER ">",
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
    {.name = "another domain", .who = INSIDE, .sender = "<carol@third.test>",
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
    {.name = "malformed", .who = INSIDE, .sender = "<prvs=x@example.com>",
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
    {.name = "SRS", .who = INSIDE, .sender = "<SRS0=HHH=TT=other.test=bob@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         SKIPPED(IN, "SRS0=HHH=TT=other.test=bob@example.com", BOB, "already-tagged")},
    {.name = "SRS with +", .who = INSIDE, .sender = "<srs1+HHH=x@example.com>",
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
    {.name = "such a one with an old tag of ours", .who = INSIDE,
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

/* -------------------------------------------------------- relayed unsigned */

#define NO_SUBMISSION(from) "sign-skip from=<" from "> reason=not-a-submission\n"

/* clang-format off */
static const struct conversation relayed[] = {
    {.name = "by a relay", .who = RELAY, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("gateway.partner.test[10.9.9.9]", ALICE, BOB)
         NO_SUBMISSION(ALICE)
         "relayed-unsigned client=gateway.partner.test[10.9.9.9] from=<" ALICE "> rcpt=<" BOB
         ">\n"},
    {.name = "by anybody whom the MTA lets relay; one line a message", .who = OUTSIDE,
     .sender = "<" ALICE ">", .recipients = {"<" ALICE ">", "<" BOB ">", "<carol@third.test>"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug verify client=" OUT " from=<" ALICE "> rcpt=<" ALICE
         "> result=missing action=accept " "rule=ordinary\n"
         NOT_OURS(OUT, ALICE, BOB)
         NOT_OURS(OUT, ALICE, "carol@third.test")
         NO_SUBMISSION(ALICE)
         "relayed-unsigned client=" OUT " from=<" ALICE "> rcpt=<" BOB ">\n"},
    {.name = "a filter hands in again what we signed", .who = RELAY, .sender = "<{0 " ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("gateway.partner.test[10.9.9.9]", "{0 " ALICE "}", BOB)
         NO_SUBMISSION("{0 " ALICE "}")},
    {.name = "in the name of a domain that does not sign", .who = RELAY,
     .sender = "<alice@off.example>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("gateway.partner.test[10.9.9.9]", "alice@off.example", BOB)},
    {.name = "bounces are nobody's", .who = RELAY, .sender = "<mailer-daemon@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("gateway.partner.test[10.9.9.9]", "mailer-daemon@example.com", BOB)
         NO_SUBMISSION("mailer-daemon@example.com")},
};
/* clang-format on */

START_TEST(test_relayed)
{
    check_conversation(&relayed[_i]);
}
END_TEST

/* Who has sent to whom, by which mailer, and whether that is mail of ours that left unsigned. */
static const struct {
    const char *name;
    enum who who;
    const char *sender, *recipient, *mailer;
    bool sendmail, hosted, full;
    const char *elsewhere; /* that it is recorded for; NULL: not at all */
    const char *taken;     /* a domain that mail of strangers is taken for; NULL: none */
} leavings[] = {
    {"by smtp", OUTSIDE, ALICE, BOB, "smtp", false, false, false, "other.test", NULL},
    {"by esmtp", OUTSIDE, ALICE, BOB, "esmtp", true, false, false, "other.test", NULL},
    {"by Sendmail's smart host", OUTSIDE, ALICE, BOB, "relay", true, false, false, "other.test",
     NULL},
    {"by Postfix's relay", OUTSIDE, ALICE, BOB, "relay", false, false, false, NULL, NULL},
    {"by nobody knows what", OUTSIDE, ALICE, BOB, NULL, false, false, false, NULL, NULL},
    {"by a mailer of the site", OUTSIDE, ALICE, BOB, "pager", false, false, false, NULL, NULL},
    {"delivered here", OUTSIDE, ALICE, BOB, "local", false, false, false, NULL, NULL},
    {"to a domain that strangers' mail comes for", OUTSIDE, ALICE, BOB, "smtp", false, true, false,
     NULL, NULL},
    {"there are too many such domains", OUTSIDE, ALICE, BOB, "smtp", false, false, true, NULL,
     NULL},
    {"to this host's own name", OUTSIDE, ALICE, "postmaster@mail.example.org", "smtp", false, false,
     false, NULL, NULL},
    {"the same in capitals", OUTSIDE, ALICE, "postmaster@MAIL.example.org", "smtp", false, false,
     false, NULL, NULL},
    {"to another of its names", OUTSIDE, ALICE, "postmaster@own.test", "smtp", false, false, false,
     NULL, NULL},
    {"to localhost", OUTSIDE, ALICE, "postmaster@localhost", "smtp", false, false, false, NULL,
     NULL},
    {"to localhost of a domain", OUTSIDE, ALICE, "postmaster@localhost.test", "smtp", false, false,
     false, NULL, NULL},
    {"to a literal", OUTSIDE, ALICE, "postmaster@[192.0.2.1]", "smtp", false, false, false, NULL,
     NULL},
    {"to a bare name", OUTSIDE, ALICE, "postmaster", "smtp", false, false, false, NULL, NULL},
    {"to a name without a dot", OUTSIDE, ALICE, "postmaster@mail", "smtp", false, false, false,
     NULL, NULL},
    {"a submission", INSIDE, ALICE, BOB, "smtp", false, false, false, NULL, NULL},
    {"a bounce", OUTSIDE, "", BOB, "smtp", false, false, false, NULL, "other.test"},
    {"a stranger's", OUTSIDE, "carol@third.test", BOB, "smtp", false, false, false, NULL,
     "other.test"},
    {"a stranger's, a hosted domain", OUTSIDE, "carol@third.test", BOB, "smtp", false, true, false,
     NULL, "other.test"},
    {"a stranger's, delivered here", OUTSIDE, "carol@third.test", BOB, "virtual", false, false,
     false, NULL, NULL},
    {"a stranger's, submitted", INSIDE, "carol@third.test", BOB, "smtp", false, false, false, NULL,
     NULL},
    {"a stranger's, to us", OUTSIDE, "carol@third.test", ALICE, "smtp", false, false, false, NULL,
     NULL},
    {"of a domain that does not sign", OUTSIDE, "alice@off.example", BOB, "smtp", false, false,
     false, NULL, NULL},
};

START_TEST(test_leaving)
{
    static const char *const hosted[] = {"other.test"};
    struct site *site = site_make();
    struct client client = client_of(leavings[_i].who);
    client.server = "mail.example.org";
    host_list_free(site->settings->own_names);
    site->settings->own_names = HOSTS("own.test");
    client.sendmail = leavings[_i].sendmail;
    site->snapshot.hosted = hosted;
    site->snapshot.hosted_count = leavings[_i].hosted;
    site->snapshot.hosted_full = leavings[_i].full;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    char sender[64], recipient[64];
    snprintf(sender, sizeof sender, "<%s>", leavings[_i].sender);
    snprintf(recipient, sizeof recipient, "<%s>", leavings[_i].recipient);
    give_mail(t, sender, NULL);
    transaction_rcpt(t, &(struct rcpt_event){.recipient = recipient,
                                             .mailer = leavings[_i].mailer,
                                             .now = now_of_site()});
    decide(t, site);
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    const char *elsewhere = NULL;
    for (size_t i = 0; i < count; i++) {
        elsewhere = decisions[i].elsewhere != NULL ? decisions[i].elsewhere : elsewhere;
    }
    ck_assert_msg((elsewhere == NULL) == (leavings[_i].elsewhere == NULL), "%s", leavings[_i].name);
    ck_assert(elsewhere == NULL || strcmp(elsewhere, leavings[_i].elsewhere) == 0);
    ck_assert_msg((decisions[0].hosted == NULL) == (leavings[_i].taken == NULL), "%s",
                  leavings[_i].name);
    ck_assert(decisions[0].hosted == NULL || strcmp(decisions[0].hosted, leavings[_i].taken) == 0);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* The second recipient's domain can be another host's where the first's is not; and of what is
 * relayed, what comes before `auto` rejects holds it. */
START_TEST(test_relayed_holds_until_auto_rejects)
{
    static const char *const hosted[] = {"other.test"};
    static const struct {
        const char *sender;
        bool clock_wrong, holds;
    } rows[] = {
        {"<" ALICE ">", false, false},        /* it rejects */
        {"<alice@example.net>", false, true}, /* it waits */
        {"<alice@log.example>", false, true}, /* it has not even begun */
        {"<alice@example.net>", true, false}, /* nobody knows when this was */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site *site = site_make();
        struct client client = client_of(OUTSIDE);
        size_t count;
        site->snapshot.hosted = hosted;
        site->snapshot.hosted_count = 1;
        site->snapshot.clock_wrong = rows[i].clock_wrong;
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, rows[i].sender, NULL);
        transaction_rcpt(t, &(struct rcpt_event){
                                .recipient = "<" BOB ">", .mailer = "smtp", .now = now_of_site()});
        transaction_rcpt(t, &(struct rcpt_event){.recipient = "<carol@Third.test>",
                                                 .mailer = "smtp",
                                                 .now = now_of_site()});
        decide(t, site);
        const struct decision *last = transaction_decisions(t, &count);
        last += count - 1;
        ck_assert_int_eq(last->kind, DECISION_RELAYED_UNSIGNED);
        ck_assert_str_eq(last->elsewhere, "third.test");
        ck_assert_msg(last->holds == rows[i].holds, "%s", rows[i].sender);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* Which valid tags show that `auto` can reject: of the domain, and of the relay. */
START_TEST(test_tags_that_come_back)
{
    static const struct {
        enum who who;
        const char *recipient, *user;
        bool proven, first_tag, proves_relay;
    } rows[] = {
        {OUTSIDE, "{0 alice@example.net}", NULL, false, true, false},
        {OUTSIDE, "{0 " ALICE "}", NULL, false, false, false}, /* has come back before */
        {OUTSIDE, "{-30 alice@example.net}", NULL, false, false, false},
        {OUTSIDE, "{bad alice@example.net}", NULL, false, false, false},
        {OUTSIDE, "alice@example.net", NULL, false, false, false},
        {INSIDE, "{0 alice@example.net}", NULL, false, false, false},
        {LOCAL, "{0 alice@example.net}", NULL, false, false, false},
        {OUTSIDE, "{0 alice@example.net}", "alice", false, false, false},
        {RELAY, "{0 alice@example.net}", NULL, false, true, true},
        {RELAY, "{0 " ALICE "}", NULL, false, false, true},
        {RELAY, "{0 " ALICE "}", NULL, true, false, false},
        {RELAY, "{bad " ALICE "}", NULL, false, false, false},
        {RELAY, "{0 " ALICE "}", "alice", false, false, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site *site = site_make();
        struct client client = client_of(rows[i].who);
        struct text raw = {.used = 0};
        size_t count;
        site->snapshot.proven = rows[i].proven ? site->settings->relays : NULL;
        text_add(&raw, "<");
        expand(&raw, site, rows[i].recipient);
        text_add(&raw, ">");
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, "<>", rows[i].user);
        give_rcpt(t, raw.out);
        decide(t, site);
        const struct decision *decisions = transaction_decisions(t, &count);
        ck_assert_int_eq(decisions[0].kind, DECISION_VERIFY);
        ck_assert_msg(decisions[0].first_tag == rows[i].first_tag, "%zu", i);
        ck_assert_msg(decisions[0].proves_relay == rows[i].proves_relay, "%zu", i);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* Whose bounces are genuine, and are mail of ours that came back. */
START_TEST(test_returned)
{
    static const struct {
        enum who who;
        const char *sender, *first, *second, *user;
        const char *address; /* NULL: none of them */
    } rows[] = {
        {OUTSIDE, "<>", "{0 " ALICE "}", NULL, NULL, ALICE},
        {RELAY, "<>", "{0 " ALICE "}", NULL, NULL, ALICE},
        {OUTSIDE, "<>", "bob@example.com", "{0 " ALICE "}", NULL, ALICE},
        {OUTSIDE, "<>", ALICE, NULL, NULL, NULL},
        {OUTSIDE, "<>", "{-30 " ALICE "}", NULL, NULL, NULL},
        {OUTSIDE, "<>", "{bad " ALICE "}", NULL, NULL, NULL},
        {OUTSIDE, "<>", "{0 a@reject.example}", NULL, NULL, NULL}, /* not by `auto` */
        {OUTSIDE, "<>", "{0 list@example.com}", NULL, NULL, NULL}, /* envelope_only */
        {OUTSIDE, "<>", "{0 " ALICE "~+far=other.test}", NULL, NULL, ALICE},
        {OUTSIDE, "<>", "{0 list@example.com~+far=other.test}", NULL, NULL, NULL},
        {OUTSIDE, "<joe@other.test>", "{0 " ALICE "}", NULL, NULL, NULL},
        {OUTSIDE, "<>", "{0 " ALICE "}", NULL, "alice", NULL},
        {INSIDE, "<>", "{0 " ALICE "}", NULL, NULL, NULL},
        {LOCAL, "<>", "{0 " ALICE "}", NULL, NULL, NULL},
    };
    static const char *const lists[] = {"list@*"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site *site = site_make();
        struct client client = client_of(rows[i].who);
        struct text refusals = {.used = 0};
        struct returned returned;
        size_t bad;
        pattern_list_free(site->settings->envelope_only);
        ck_assert_int_eq(pattern_list_new(lists, 1, &site->settings->envelope_only, &bad),
                         STATUS_OK);
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, rows[i].sender, rows[i].user);
        give_recipient(t, site, rows[i].first, &refusals);
        if (rows[i].second != NULL) {
            give_recipient(t, site, rows[i].second, &refusals);
        }
        bool found = transaction_returned(t, &returned);
        ck_assert_msg(found == (rows[i].address != NULL), "%zu", i);
        if (found) {
            ck_assert_str_eq(returned.address, rows[i].address);
            ck_assert_str_eq(returned.rules->name, "example.com");
            ck_assert_ptr_eq(returned.settings, site->settings);
            ck_assert_ptr_eq(returned.ring, site->ring);
            transaction_fail(t);
            ck_assert(!transaction_returned(t, &returned));
        }
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* ---------------------------------------------------------------- bounces */

#define NULL_SENDER "debug sign-skip from=<> reason=null-sender\n"
#define BOUNCE(rcpt, result, action_and_rule)                                                      \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=" result                                 \
    " class=- proof=none action=" action_and_rule "\n"
#define VALID(rcpt)                                                                                \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=valid action=accept rule=tag\n"
#define REFUSED "reject 550 5.7.1 not a bounce of mail from here\n"
#define WRITE_TO(plain)                                                                            \
    "this address carries a signature that this site does not know; write to <" plain "> "         \
    "instead\n"
#define WRITE_OR_WAIT(plain)                                                                       \
    "this address carries a signature that this site does not know yet; write to <" plain          \
    "> or try again later\n"
#define LATER "tempfail 451 4.7.1 not a bounce of mail from here\n"
#define TOO_LATE                                                                                   \
    "reject 550 5.7.1 the signature in this address has expired: the bounce came too late\n"
#define NO_RECEIPTS                                                                                \
    "reject 550 5.7.1 this site takes read receipts only where they show that they answer a "      \
    "message of its own\n"
#define NOT_KNOWN                                                                                  \
    "reject 550 5.7.1 this answer names a message that this site does not know: one that was not " \
    "sent from here, or one sent more than 30 days ago\n"
#define UNVERIFIED                                                                                 \
    "tempfail 451 4.7.1 this site cannot verify just now whether it sent the message that this "   \
    "bounce returns, try again later\n"
#define HEADERS "wants headers, end\n"
#define EXCLUDED(client, rcpt, rule)                                                               \
    HEADERS "accept\nverify client=" client " from=<> rcpt=<" rcpt                                 \
            "> result=missing class=- proof=none action=accept rule=" rule "\n"

/* clang-format off */
static const struct conversation bounces[] = {
    {.name = "genuine", .who = OUTSIDE, .sender = "<>", .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "genuine, by a former key", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-7 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{-7 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{-7 " ALICE "}")
         NULL_SENDER},
    {.name = "genuine, subaddress", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 +alice@example.net}>"},
     .expected =
         HEADERS
         "remove <{0 +alice@example.net}>\n"
         "add alice@example.net\n"
         "accept\n"
         VALID("{0 +alice@example.net}")
         NULL_SENDER},
    {.name = "genuine, with a VERP extension, which stays", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 list-1@example.com~+x-y=z=other.test}>"},
     .expected =
         HEADERS
         "remove <{0 list-1@example.com~+x-y=z=other.test}>\n"
         "add list-1+x-y=z=other.test@example.com\n"
         "accept\n"
         VALID("{0 list-1@example.com~+x-y=z=other.test}")
         NULL_SENDER},
    {.name = "genuine, subaddress with a VERP extension", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 +list@example.net~=far=other.test}>"},
     .expected =
         HEADERS
         "remove <{0 +list@example.net~=far=other.test}>\n"
         "add list=far=other.test@example.net\n"
         "accept\n"
         VALID("{0 +list@example.net~=far=other.test}")
         NULL_SENDER},
    {.name = "VERP of several recipients, by one tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 list@example.com~-a=other.test}>", "<{0 list@example.com~-b=other.test}>"},
     .expected =
         HEADERS
         "remove <{0 list@example.com~-a=other.test}>\n"
         "remove <{0 list@example.com~-b=other.test}>\n"
         "add list-a=other.test@example.com\n"
         "add list-b=other.test@example.com\n"
         "accept\n"
         VALID("{0 list@example.com~-a=other.test}")
         VALID("{0 list@example.com~-b=other.test}")
         NULL_SENDER},
    {.name = "genuine, U-labels", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 alice@xn--bcher-kva.example}>"},
     .expected =
         HEADERS
         "remove <{0 alice@xn--bcher-kva.example}>\n"
         "add alice@xn--bcher-kva.example\n"
         "accept\n"
         VALID("{0 alice@xn--bcher-kva.example}")
         NULL_SENDER},
    {.name = "NOTIFY and ORCPT go with the recipient, nothing else does", .who = OUTSIDE,
     .sender = "<>",
     .recipients = {"<{0 " ALICE "}>|NOTIFY=SUCCESS,FAILURE|X=Y|ORCPT=rfc822;a+2Bb@other.test",
                    "<{0 carol@example.com}>|orcpt=rfc822;c@x.test|notify=never",
                    "<{0 dave@example.com}>|X=Y"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "remove <{0 carol@example.com}>\n"
         "remove <{0 dave@example.com}>\n"
         "add " ALICE " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@other.test\n"
         "add carol@example.com orcpt=rfc822;c@x.test notify=never\n"
         "add dave@example.com\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         VALID("{0 carol@example.com}")
         VALID("{0 dave@example.com}")
         NULL_SENDER},
    {.name = "genuine, by mailer-daemon", .who = OUTSIDE, .sender = "<MAILER-DAEMON@other.test>",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" OUT " from=<MAILER-DAEMON@other.test> rcpt=<{0 " ALICE
         "}> result=valid action=accept rule=tag\n"},
    {.name = "bad signature, by mailer-daemon", .who = OUTSIDE,
     .sender = "<mailer-daemon@other.test>", .recipients = {"<{bad " ALICE "}>"},
     .expected =
         HEADERS
         "reject 550 5.1.1 " WRITE_TO(ALICE)
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<{bad " ALICE
         "}> result=bad-signature class=- proof=none action=reject rule=tag-unauthentic\n"},
    {.name = "bad signature, by mailer-daemon, while the domain waits", .who = OUTSIDE,
     .sender = "<mailer-daemon@other.test>", .recipients = {"<{bad a@example.net}>"},
     .expected =
         HEADERS
         "tempfail 451 4.1.1 " WRITE_OR_WAIT("a@example.net")
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<{bad a@example.net"
         "}> result=bad-signature class=- proof=none action=tempfail rule=tag-unauthentic\n"},
    {.name = "bad signature, by mailer-daemon, proven", .who = OUTSIDE,
     .prepare = prove_by_journal, .sender = "<mailer-daemon@other.test>",
     .recipients = {"<{bad " ALICE "}>"},
     .expected =
         "wants headers, body, end\n"
         "accept\n"
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<{bad " ALICE
         "}> result=bad-signature class=dsn proof=journal action=accept rule=evidence.journal\n"},
    {.name = "without restoring", .who = OUTSIDE, .prepare = no_restore, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "missing", .who = OUTSIDE, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "missing, a null sender without brackets", .who = OUTSIDE, .sender = "",
     .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "missing, by mailer-daemon without a domain", .who = OUTSIDE,
     .sender = "<mailer-daemon>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=" OUT " from=<mailer-daemon> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "missing, by a mailer-daemon with somebody's tag", .who = OUTSIDE,
     .sender = "<prvs=1234abcdef=mailer-daemon@other.test>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=" OUT " from=<prvs=1234abcdef=mailer-daemon@other.test> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "bad signature", .who = OUTSIDE, .sender = "<>", .recipients = {"<{bad " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{bad " ALICE "}", "bad-signature", "reject rule=verify.action")},
    {.name = "unknown key", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{unknown " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{unknown " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "malformed", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<prvs=3785=" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("prvs=3785=" ALICE, "malformed", "reject rule=verify.action")},
    {.name = "foreign", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<btv1==785a1b2c3d4==" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("btv1==785a1b2c3d4==" ALICE, "foreign", "reject rule=verify.action")},
    {.name = "a key that was over weeks ago", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-14 " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{-14 " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "expired lately", .who = OUTSIDE, .sender = "<>", .recipients = {"<{-9 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{-9 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         BOUNCE("{-9 " ALICE "}", "expired", "log rule=verify.expired")
         NULL_SENDER},
    {.name = "expired, which this domain refuses", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-9 a@reject.example}>"},
     .expected =
         HEADERS
         TOO_LATE
         BOUNCE("{-9 a@reject.example}", "expired", "reject rule=verify.expired")},
    {.name = "expired, which this domain lets in", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-9 a@late.example}>"},
     .expected =
         HEADERS
         "remove <{-9 a@late.example}>\n"
         "add a@late.example\n"
         "accept\n"
         BOUNCE("{-9 a@late.example}", "expired", "log rule=verify.expired")
         NULL_SENDER},
    {.name = "a domain that waits", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<alice@example.net>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@example.net", "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER},
    {.name = "a domain that says reject waits for nothing", .who = OUTSIDE,
     .prepare = reject_example_net, .sender = "<>", .recipients = {"<alice@example.net>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("alice@example.net", "missing", "reject rule=verify.action")},
    {.name = "a wrong clock", .who = OUTSIDE, .prepare = clock_wrong, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER},
    {.name = "pause", .who = OUTSIDE, .prepare = pause_verifying, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@discard.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "log would=reject rule=pause")
         BOUNCE("a@discard.example", "missing", "log would=discard rule=pause")
         NULL_SENDER},
    {.name = "a domain that does not sign", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "a domain that does not sign, valid", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 alice@off.example}>"},
     .expected =
         HEADERS
         "remove <{0 alice@off.example}>\n"
         "add alice@off.example\n"
         "accept\n"
         VALID("{0 alice@off.example}")
         NULL_SENDER},
    {.name = "log", .who = OUTSIDE, .sender = "<>", .recipients = {"<a@log.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "quarantine", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<a@quarantine.example>"},
     .expected =
         HEADERS
         "quarantine\n"
         "accept\n"
         BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
         NULL_SENDER},
    {.name = "tempfail", .who = OUTSIDE, .sender = "<>", .recipients = {"<a@tempfail.example>"},
     .expected =
         HEADERS
         LATER
         BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action")},
    {.name = "discard", .who = OUTSIDE, .sender = "<>", .recipients = {"<a@discard.example>"},
     .expected =
         HEADERS
         "discard\n"
         BOUNCE("a@discard.example", "missing", "discard rule=verify.action")},
    {.name = "mark", .who = OUTSIDE, .sender = "<>", .recipients = {"<a@mark.example>"},
     .expected =
         HEADERS
         "header X-Batv-Result: missing; class=-; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         BOUNCE("a@mark.example", "missing", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "mark: copies from outside go, the last first", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{bad a@mark.example}>"}, .marks = 3,
     .expected =
         HEADERS
         "remove header X-Batv-Result 3\n"
         "remove header X-Batv-Result 2\n"
         "remove header X-Batv-Result 1\n"
         "header X-Batv-Result: bad-signature; class=-; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         BOUNCE("{bad a@mark.example}", "bad-signature", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "copies from outside, where nothing marks", .who = OUTSIDE, .prepare = only_logs,
     .sender = "<>", .recipients = {"<abuse@example.com>"}, .marks = 3,
     .expected =
         "wants end\n"
         "accept\n"
         "verify client=" OUT " from=<> rcpt=<abuse@example.com> result=missing class=- proof=none "
         "action=accept rule=exclude.recipients:abuse@*\n"
         NULL_SENDER},
    {.name = "copies from outside go from a genuine bounce too", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>"}, .marks = 2,
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "remove header X-Batv-Result 2\n"
         "remove header X-Batv-Result 1\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "proven, where nobody asks", .who = OUTSIDE, .prepare = prove_without_evidence,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a young journal is no matter where nobody asks", .who = OUTSIDE,
     .prepare = journal_is_young_evidence_off, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "nor are patterns", .who = OUTSIDE, .prepare = patterns_without_evidence,
     .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "for other domains only", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" BOB ">", "<carol@other.test>"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(OUT, "", BOB)
         NOT_OURS(OUT, "", "carol@other.test")
         NULL_SENDER},
};
/* clang-format on */

START_TEST(test_bounces)
{
    check_conversation(&bounces[_i]);
}
END_TEST

/* clang-format off */
static const struct conversation exclusions[] = {
    {.name = "a local process", .who = LOCAL, .sender = "", .recipients = {ALICE},
     .expected =
         EXCLUDED("localhost[127.0.0.1]", ALICE, "local")
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "authenticated", .who = OUTSIDE, .user = "carol", .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED(OUT, ALICE, "exclude.authenticated")
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "authenticated, not excluded", .who = OUTSIDE, .user = "carol",
     .prepare = do_not_exclude, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a mail server of ours", .who = MAIL_SERVER, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("mail.example.com[198.51.100.5]", ALICE, "exclude.mail_servers:198.51.100.0/24")
         NULL_SENDER},
    {.name = "a mail server of ours, not excluded", .who = MAIL_SERVER, .prepare = do_not_exclude,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=mail.example.com[198.51.100.5] from=<> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "a network", .who = EXCLUDED_NETWORK, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("unknown[203.0.113.7]", ALICE, "exclude.networks:203.0.113.0/24")
         NULL_SENDER},
    {.name = "a host", .who = EXCLUDED_HOST, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("mx.partner.test[192.0.2.77]", ALICE, "exclude.hosts:mx.partner.test")
         NULL_SENDER},
    {.name = "a relay, for the lists of our own hosts and of domains that we do not sign to",
     .who = RELAY, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         "verify client=gateway.partner.test[10.9.9.9] from=<> rcpt=<" ALICE
         "> result=missing class=- proof=none action=reject rule=verify.action\n"},
    {.name = "a relay, in an excluded network", .who = RELAY, .prepare = exclude_relay_by_network,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("gateway.partner.test[10.9.9.9]", ALICE, "exclude.networks:10.9.9.0/24")
         NULL_SENDER},
    {.name = "a relay, an excluded host", .who = RELAY, .prepare = exclude_relay_by_name,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("gateway.partner.test[10.9.9.9]", ALICE, "exclude.hosts:*.partner.test")
         NULL_SENDER},
    {.name = "a recipient", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<PostMaster@example.com>"},
     .expected =
         EXCLUDED(OUT, "PostMaster@example.com", "exclude.recipients:postmaster@*")
         NULL_SENDER},
    {.name = "a recipient behind a forged tag", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{bad abuse@example.com}>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("{bad abuse@example.com}", "bad-signature",
                "accept rule=exclude.recipients:abuse@*")
         NULL_SENDER},
    {.name = "an SRS recipient", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<srs0=HHH=TT=other.test=bob@example.com>"},
     .expected =
         EXCLUDED(OUT, "srs0=HHH=TT=other.test=bob@example.com", "exclude.recipients:SRS0=*@*")
         NULL_SENDER},
    {.name = "a host that we do not sign to", .who = LIST_HOST, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("out.lists.test[192.0.2.78]", ALICE, "exclude_sign.recipients:*@lists.test")
         NULL_SENDER},
    {.name = "untaggable", .who = OUTSIDE, .prepare = sent_untagged, .sender = "<>",
     .recipients = {"<x" L48 "@example.com>"},
     .expected =
         EXCLUDED(OUT, "x" L48 "@example.com", "untaggable")
         NULL_SENDER},
    {.name = "just taggable", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" L48 "@example.com>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(L48 "@example.com", "missing", "reject rule=verify.action")},
    {.name = "a revoked key", .who = OUTSIDE, .prepare = revoke_key_1, .sender = "<>",
     .recipients = {"<{-8 " ALICE "}>"},
     .expected =
         HEADERS
         "accept\n"
         BOUNCE("{-8 " ALICE "}", "unknown-key", "log rule=key-gone")
         NULL_SENDER},
    {.name = "a revoked key, a day that it never signed for", .who = OUTSIDE,
     .prepare = revoke_key_1, .sender = "<>", .recipients = {"<prvs=1500abcdef=" ALICE ">"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("prvs=1500abcdef=" ALICE, "unknown-key", "reject rule=verify.action")},
    {.name = "a revoked key, where keys are forgotten at once", .who = OUTSIDE,
     .prepare = forget_key_1, .sender = "<>", .recipients = {"<{-8 " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{-8 " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "a compromised key", .who = OUTSIDE, .prepare = compromise_key_1, .sender = "<>",
     .recipients = {"<{-8 " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{-8 " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "one recipient only", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" ALICE ">", "<abuse@example.com>"},
     .expected =
         HEADERS
         "remove <" ALICE ">\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "reject applied=removed rule=verify.action")
         BOUNCE("abuse@example.com", "missing", "accept rule=exclude.recipients:abuse@*")
         NULL_SENDER},
};
/* clang-format on */

START_TEST(test_exclusions)
{
    check_conversation(&exclusions[_i]);
}
END_TEST

/* ------------------------------------------------------ several recipients */

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
    {.name = "all refused", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<" ALICE ">", "<{bad carol@example.com}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("{bad carol@example.com}", "bad-signature", "reject rule=verify.action")},
    {.name = "refused and discarded", .who = OUTSIDE, .sender = "<>",
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
    {.name = "an expired tag that is refused is not restored", .who = OUTSIDE, .sender = "<>",
     .recipients = {"<{-9 a@reject.example}>", "<a@log.example>"},
     .expected =
         HEADERS
         "remove <{-9 a@reject.example}>\n"
         "accept\n"
         BOUNCE("{-9 a@reject.example}", "expired",
                "reject applied=removed rule=verify.expired")
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "held and refused", .who = OUTSIDE, .sender = "<>",
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
    {.name = "the same, the other way round and in another case", .who = OUTSIDE, .sender = "<>",
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
    {.name = "a mailbox with and without its tag, the plain one refused", .who = OUTSIDE,
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
    {.name = "two tags of a mailbox, and itself", .who = OUTSIDE, .sender = "<>",
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

/* ------------------------------------------------------- proof from content */

#define CONTENT "wants headers, body, end\n"
#define READ(rcpt, result, class, proof, action_and_rule)                                          \
    "verify client=" OUT " from=<> rcpt=<" rcpt "> result=" result                                 \
    " class=" class " proof=" proof " action=" action_and_rule "\n"
#define DSN(rcpt, result, action_and_rule) READ(rcpt, result, "dsn", "none", action_and_rule)
#define PROVEN(rcpt, result, proof)        READ(rcpt, result, "dsn", proof, "accept rule=evidence." proof)

/* clang-format off */
static const struct conversation evidence[] = {
    {.name = "no proof", .who = OUTSIDE, .prepare = site_evidence, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "no proof, which is logged", .who = OUTSIDE, .prepare = site_evidence,
     .sender = "<mailer-daemon@other.test>", .recipients = {"<a@log.example>"},
     .expected =
         CONTENT
         "accept\n"
         "verify client=" OUT " from=<mailer-daemon@other.test> rcpt=<a@log.example> "
         "result=missing class=dsn proof=none action=log rule=verify.action\n"},
    {.name = "no proof, which is marked", .who = OUTSIDE, .prepare = site_evidence, .sender = "<>",
     .recipients = {"<{bad a@mark.example}>"}, .marks = 1,
     .expected =
         CONTENT
         "remove header X-Batv-Result 1\n"
         "header X-Batv-Result: bad-signature; class=dsn; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         DSN("{bad a@mark.example}", "bad-signature", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "a tag in the body", .who = OUTSIDE, .prepare = prove_by_tag, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "tag-in-body")
         NULL_SENDER},
    {.name = "the header", .who = OUTSIDE, .prepare = prove_by_header, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "header")
         NULL_SENDER},
    {.name = "the journal", .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "journal")
         NULL_SENDER},
    {.name = "whatever the tag is", .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<{bad " ALICE "}>", "<{unknown bob@example.com}>", "<prvs=x@example.com>",
                    "<btv1==785a1b2c3d4==a@reject.example>", "<{-9 a@reject.example}>"},
     .expected =
         CONTENT
         "remove <{-9 a@reject.example}>\n"
         "add a@reject.example\n"
         "accept\n"
         PROVEN("{bad " ALICE "}", "bad-signature", "journal")
         PROVEN("{unknown bob@example.com}", "unknown-key", "journal")
         PROVEN("prvs=x@example.com", "malformed", "journal")
         PROVEN("btv1==785a1b2c3d4==a@reject.example", "foreign", "journal")
         PROVEN("{-9 a@reject.example}", "expired", "journal")
         NULL_SENDER},
    {.name = "while verification is paused", .who = OUTSIDE, .prepare = prove_while_paused,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "journal")
         NULL_SENDER},
    {.name = "a tag in the body does not count", .who = OUTSIDE, .prepare = tag_does_not_count,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "the journal does not count", .who = OUTSIDE, .prepare = journal_is_off,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "the header counts though it is no longer made", .who = OUTSIDE,
     .prepare = header_is_off, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "header")
         NULL_SENDER},
    {.name = "used up", .who = OUTSIDE, .prepare = journal_is_used_up, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@reject.example>"},
     .expected =
         CONTENT
         REFUSED
         READ(ALICE, "missing", "dsn", "exhausted", "reject rule=verify.action")
         READ("a@reject.example", "missing", "dsn", "exhausted", "reject rule=verify.action")},
    {.name = "used up and marked", .who = OUTSIDE, .prepare = journal_is_used_up, .sender = "<>",
     .recipients = {"<a@mark.example>"},
     .expected =
         CONTENT
         "header X-Batv-Result: missing; class=dsn; proof=exhausted; rcpt=<a@mark.example>\n"
         "accept\n"
         READ("a@mark.example", "missing", "dsn", "exhausted", "mark rule=verify.action")
         NULL_SENDER},
    {.name = "one proof is used up, another is not", .who = OUTSIDE, .prepare = header_is_used_up,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN(ALICE, "missing", "journal")
         NULL_SENDER},
    {.name = "a proof that cannot be obtained", .who = OUTSIDE, .prepare = journal_is_away,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         UNVERIFIED
         DSN(ALICE, "missing", "tempfail would=reject rule=evidence.journal")},
    {.name = "too much is being read", .who = OUTSIDE, .prepare = too_much, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         UNVERIFIED
         BOUNCE(ALICE, "missing", "tempfail would=reject rule=evidence.tag-in-body")},
    {.name = "too much is being read, no matter to a domain that logs", .who = OUTSIDE,
     .prepare = too_much, .sender = "<>", .recipients = {"<a@log.example>"},
     .expected =
         CONTENT
         "accept\n"
         BOUNCE("a@log.example", "missing", "log rule=verify.action")
         NULL_SENDER},
    {.name = "nothing can be read", .who = OUTSIDE, .prepare = cannot_be_read, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@tempfail.example>", "<a@quarantine.example>"},
     .expected =
         CONTENT
         UNVERIFIED
         BOUNCE(ALICE, "missing", "tempfail would=reject rule=evidence.tag-in-body")
         BOUNCE("a@tempfail.example", "missing", "tempfail rule=verify.action")
         BOUNCE("a@quarantine.example", "missing",
                "quarantine applied=tempfail rule=verify.action")},
    {.name = "nothing can be read, and errors accept", .who = OUTSIDE,
     .prepare = cannot_be_read_errors_accept, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@quarantine.example>"},
     .expected =
         CONTENT
         "quarantine\n"
         "accept\n"
         BOUNCE(ALICE, "missing", "log would=reject rule=evidence.tag-in-body")
         BOUNCE("a@quarantine.example", "missing", "quarantine rule=verify.action")
         NULL_SENDER},
    {.name = "one is proven, the other has its tag", .who = OUTSIDE, .prepare = prove_by_journal,
     .sender = "<>", .recipients = {"<{0 " ALICE "}>", "<bob@example.com>"},
     .expected =
         CONTENT
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         PROVEN("bob@example.com", "missing", "journal")
         NULL_SENDER},
    {.name = "one is excluded, the other is not", .who = OUTSIDE, .prepare = site_evidence,
     .sender = "<>", .recipients = {"<abuse@example.com>", "<" ALICE ">"},
     .expected =
         CONTENT
         "remove <" ALICE ">\n"
         "accept\n"
         DSN("abuse@example.com", "missing", "accept rule=exclude.recipients:abuse@*")
         DSN(ALICE, "missing", "reject applied=removed rule=verify.action")
         NULL_SENDER},
};

/* Whose fate is certain without the content, so that the body is not even sent. */
static const struct conversation unread[] = {
    {.name = "a valid tag", .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<{0 " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "a valid tag, where nothing marks", .who = OUTSIDE, .prepare = nothing_marks,
     .sender = "<>", .recipients = {"<{0 " ALICE "}>"}, .marks = 2,
     .expected =
         "wants end\n"
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "no tag, where nothing marks", .who = OUTSIDE, .prepare = nothing_marks,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "a valid tag, where a class marks", .who = OUTSIDE, .prepare = only_a_class_marks,
     .sender = "<>", .recipients = {"<{0 " ALICE "}>"}, .marks = 1,
     .expected =
         HEADERS
         "remove <{0 " ALICE "}>\n"
         "add " ALICE "\n"
         "remove header X-Batv-Result 1\n"
         "accept\n"
         VALID("{0 " ALICE "}")
         NULL_SENDER},
    {.name = "a local process", .who = LOCAL, .prepare = prove_by_journal, .sender = "",
     .recipients = {ALICE},
     .expected =
         EXCLUDED("localhost[127.0.0.1]", ALICE, "local")
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "a mail server of ours", .who = MAIL_SERVER, .prepare = prove_by_journal,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         EXCLUDED("mail.example.com[198.51.100.5]", ALICE, "exclude.mail_servers:198.51.100.0/24")
         NULL_SENDER},
    {.name = "a recipient that is excluded", .who = OUTSIDE, .prepare = prove_by_journal,
     .sender = "<>", .recipients = {"<abuse@example.com>"},
     .expected =
         EXCLUDED(OUT, "abuse@example.com", "exclude.recipients:abuse@*")
         NULL_SENDER},
    {.name = "other domains only", .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\naccept\n"
         NOT_OURS(OUT, "", BOB)
         NULL_SENDER},
    {.name = "ordinary mail", .who = OUTSIDE, .prepare = prove_by_journal, .sender = "<" BOB ">",
     .recipients = {"<" ALICE ">", "<carol@third.test>"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug verify client=" OUT " from=<" BOB "> rcpt=<" ALICE "> result=missing "
         "action=accept rule=ordinary\n"
         NOT_OURS(OUT, BOB, "carol@third.test")},
    {.name = "ordinary mail to a tag", .who = OUTSIDE, .prepare = prove_by_journal,
     .sender = "<" BOB ">", .recipients = {"<{bad nobody@example.com}>"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 this address carries a signature that this site does not know; write to "
         "<nobody@example.com> instead\n"
         "verify client=" OUT " from=<" BOB "> rcpt=<{bad nobody@example.com}> "
         "result=bad-signature action=reject rule=tag-unauthentic\n"},
    {.name = "a newer ring knows the tag", .who = OUTSIDE, .prepare = renew_with_evidence,
     .sender = "<>", .recipients = {"<{next " ALICE "}>"},
     .expected =
         CONTENT
         "remove <{next " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" OUT " from=<> rcpt=<{next " ALICE
         "}> result=valid action=accept rule=tag ring=13\n"
         NULL_SENDER},
};

/* verify.class */
static const struct conversation classes[] = {
    {.name = "logged", .who = OUTSIDE, .prepare = receipt_is_logged, .sender = "<>",
     .recipients = {"<" ALICE ">", "<a@discard.example>"},
     .expected =
         CONTENT
         "accept\n"
         READ(ALICE, "missing", "mdn", "none", "log rule=verify.class.mdn")
         READ("a@discard.example", "missing", "mdn", "none", "log rule=verify.class.mdn")
         NULL_SENDER},
    {.name = "refused", .who = OUTSIDE, .prepare = receipt_is_refused, .sender = "<>",
     .recipients = {"<a@log.example>", "<alice@example.net>"},
     .expected =
         CONTENT
         NO_RECEIPTS
         READ("a@log.example", "missing", "mdn", "none", "reject rule=verify.class.mdn")
         READ("alice@example.net", "missing", "mdn", "none", "reject rule=verify.class.mdn")},
    {.name = "discarded", .who = OUTSIDE, .prepare = receipt_is_discarded, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "discard\n"
         READ(ALICE, "missing", "mdn", "none", "discard rule=verify.class.mdn")},
    {.name = "marked", .who = OUTSIDE, .prepare = receipt_is_marked, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "header X-Batv-Result: missing; class=mdn; proof=none; rcpt=<" ALICE ">\n"
         "accept\n"
         READ(ALICE, "missing", "mdn", "none", "mark rule=verify.class.mdn")
         NULL_SENDER},
    {.name = "proven all the same", .who = OUTSIDE, .prepare = receipt_is_proven, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         READ(ALICE, "missing", "mdn", "journal", "accept rule=evidence.journal")
         NULL_SENDER},
    {.name = "of missing, foreign and expired only", .who = OUTSIDE, .prepare = receipt_is_logged,
     .sender = "<>",
     .recipients = {"<{-9 a@reject.example}>", "<btv1==785a1b2c3d4==" ALICE ">",
                    "<{bad " ALICE "}>", "<{unknown " ALICE "}>", "<prvs=x@example.com>"},
     .expected =
         CONTENT
         "remove <{-9 a@reject.example}>\n"
         "remove <{bad " ALICE "}>\n"
         "remove <{unknown " ALICE "}>\n"
         "remove <prvs=x@example.com>\n"
         "add a@reject.example\n"
         "accept\n"
         READ("{-9 a@reject.example}", "expired", "mdn", "none", "log rule=verify.class.mdn")
         READ("btv1==785a1b2c3d4==" ALICE, "foreign", "mdn", "none", "log rule=verify.class.mdn")
         READ("{bad " ALICE "}", "bad-signature", "mdn", "none",
              "reject applied=removed rule=verify.action")
         READ("{unknown " ALICE "}", "unknown-key", "mdn", "none",
              "reject applied=removed rule=verify.action")
         READ("prvs=x@example.com", "malformed", "mdn", "none",
              "reject applied=removed rule=verify.action")
         NULL_SENDER},
    {.name = "another class's action", .who = OUTSIDE, .prepare = calendar_is_logged_not_mdn,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         NOT_KNOWN
         READ(ALICE, "missing", "mdn", "none", "reject rule=verify.action")},
    {.name = "a domain that does not sign, where something is missing", .who = OUTSIDE,
     .prepare = receipt_is_refused, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         NO_RECEIPTS
         READ("alice@off.example", "missing", "mdn", "none", "reject rule=verify.class.mdn")},
    {.name = "a domain that does not sign, where nothing is", .who = OUTSIDE,
     .prepare = receipt_without_ground, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         READ("alice@off.example", "missing", "mdn", "none", "log rule=sign.enabled")
         NULL_SENDER},
};

/* What stands in for tags, and how long `auto` waits for the journal. */
static const struct conversation grounds[] = {
    {.name = "a young journal holds auto back", .who = OUTSIDE, .prepare = journal_is_young,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         "accept\n"
         DSN(ALICE, "missing", "log would=reject rule=auto.warm-up")
         NULL_SENDER},
    {.name = "one that is just old enough does not", .who = OUTSIDE,
     .prepare = journal_is_just_old_enough, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "nor one that could not know", .who = OUTSIDE,
     .prepare = journal_is_young_names_nothing, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "nor one that is not asked", .who = OUTSIDE, .prepare = journal_is_young_and_off,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "what is explicit waits for no journal", .who = OUTSIDE, .prepare = journal_is_young,
     .sender = "<>", .recipients = {"<a@reject.example>"},
     .expected =
         CONTENT
         REFUSED
         DSN("a@reject.example", "missing", "reject rule=verify.action")},
    {.name = "without signing: an old journal does not know it", .who = OUTSIDE,
     .prepare = journal_is_just_old_enough, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         REFUSED
         DSN("alice@off.example", "missing", "reject rule=verify.action")},
    {.name = "without signing: a young one does not", .who = OUTSIDE, .prepare = journal_is_young,
     .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "without signing: there is nothing to know", .who = OUTSIDE,
     .prepare = names_nothing, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "without signing: the journal is not asked", .who = OUTSIDE,
     .prepare = journal_is_off, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "without signing: a tag that is there is judged", .who = OUTSIDE,
     .prepare = names_nothing, .sender = "<>", .recipients = {"<{bad alice@off.example}>"},
     .expected =
         CONTENT
         REFUSED
         DSN("{bad alice@off.example}", "bad-signature", "reject rule=verify.action")},
    {.name = "a pattern matches", .who = OUTSIDE, .prepare = pattern_matches, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         PROVEN("alice@off.example", "missing", "pattern")
         NULL_SENDER},
    {.name = "no pattern matches", .who = OUTSIDE, .prepare = patterns, .sender = "<>",
     .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         REFUSED
         DSN("alice@off.example", "missing", "reject rule=verify.action")},
    {.name = "no pattern could match", .who = OUTSIDE, .prepare = patterns_and_no_name,
     .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "auto never refuses for want of a match", .who = OUTSIDE,
     .prepare = patterns_and_auto, .sender = "<>", .recipients = {"<alice@off.example>"},
     .expected =
         CONTENT
         "accept\n"
         DSN("alice@off.example", "missing", "log rule=sign.enabled")
         NULL_SENDER},
    {.name = "patterns are for nobody else", .who = OUTSIDE, .prepare = pattern_matches,
     .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
    {.name = "not even with patterns of their own, where tags are", .who = OUTSIDE,
     .prepare = patterns_where_tags_are, .sender = "<>", .recipients = {"<" ALICE ">"},
     .expected =
         CONTENT
         REFUSED
         DSN(ALICE, "missing", "reject rule=verify.action")},
};
/* clang-format on */

START_TEST(test_evidence)
{
    check_conversation(&evidence[_i]);
}
END_TEST

START_TEST(test_unread)
{
    check_conversation(&unread[_i]);
}
END_TEST

START_TEST(test_classes)
{
    check_conversation(&classes[_i]);
}
END_TEST

START_TEST(test_grounds)
{
    check_conversation(&grounds[_i]);
}
END_TEST

/* What a fact is asked about: the mailbox behind the tag, by the newest ring that was looked at. */
static const struct {
    const char *recipient, *resolved;
    const char *address;
    const char *without[3]; /* VERP extensions */
} asked_about[] = {
    {"<" ALICE ">", NULL, ALICE, {NULL}},
    {"<Alice.B@Example.COM>", NULL, "alice.b@example.com", {NULL}},
    {"<{bad Alice@example.com}>", NULL, ALICE, {NULL}},
    {"<{-9 +Alice@example.com}>", NULL, ALICE, {NULL}},
    {"<{unknown \"a B\"@example.com}>", NULL, "a b@example.com", {NULL}},
    {"<prvs=x@example.com>", NULL, "prvs=x@example.com", {NULL}},
    {"<prvs=785a1b2c3=Alice@example.com>",
     NULL,
     ALICE,
     {NULL}}, /* as for what went out from there */
    {"<btv1==785a1b2c3d4==" ALICE ">", NULL, ALICE, {NULL}},
    {"<alice@B\303\274cher.example>", NULL, "alice@xn--bcher-kva.example", {NULL}},
    {"<alice@any.Sub.example>", NULL, "alice@any.sub.example", {NULL}},
    {"<alice>", ALICE, ALICE, {NULL}},
    {"<{bad list-1@example.com~+Far=other.test}>",
     NULL,
     "list-1+far=other.test@example.com",
     {"list@example.com", "list-1@example.com", NULL}},
    {"<{-9 +list-1@example.com~-far=other.test}>",
     NULL,
     "list-1-far=other.test@example.com",
     {"list@example.com", "list-1@example.com", NULL}},
    {"<List=far=other.test@example.com>",
     NULL,
     "list=far=other.test@example.com",
     {"list@example.com", NULL}},
    {"<prvs=785a1b2c3=list=far=other.test@example.com>",
     NULL,
     "list=far=other.test@example.com",
     {"list@example.com", NULL}},
};

static void assert_names(const struct evidence_names *names, int row)
{
    ck_assert_str_eq(names->texts[0], asked_about[row].address);
    for (size_t i = 0; i < COUNT_OF(asked_about[row].without); i++) {
        const char *expected = asked_about[row].without[i];
        const char *found = i + 1 < names->count ? names->texts[i + 1] : NULL;
        ck_assert_pstr_eq(found, expected);
    }
    ck_assert_uint_le(names->count, 1 + COUNT_OF(asked_about[row].without));
}

START_TEST(test_asked)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text raw = {.used = 0};
    struct question asked;
    site_evidence(site);
    expand(&raw, site, asked_about[_i].recipient);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_rcpt(t, "<" BOB ">");
    transaction_rcpt(t, &(struct rcpt_event){.recipient = raw.out,
                                             .resolved = asked_about[_i].resolved,
                                             .now = now_of_site()});
    transaction_question(t, FACT_JOURNAL, 1, &asked);
    assert_names(asked.names, _i);
    ck_assert_ptr_eq(asked.settings, site->settings);
    ck_assert_ptr_eq(asked.rules,
                     settings_rules(site->settings, strchr(asked_about[_i].address, '@') + 1));
    ck_assert_ptr_eq(asked.ring, site->ring);
    ck_assert_uint_eq(asked.recipient, 1);
    ck_assert_int_eq(asked.fact, FACT_JOURNAL);
    ck_assert_int_eq(asked.now, now_of_site());
    transaction_renew(t, site->newer);
    transaction_question(t, FACT_JOURNAL, 1, &asked);
    ck_assert_ptr_eq(asked.ring, site->newer);
    assert_names(asked.names, _i);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* ---------------------------------------------------------- ordinary mail */

#define ORDINARY(rcpt, rest)                                                                       \
    "verify client=" OUT " from=<" BOB "> rcpt=<" rcpt "> result=" rest "\n"

/* clang-format off */
static const struct conversation ordinary[] = {
    {.name = "plain", .who = OUTSIDE, .sender = "<" BOB ">",
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
    {.name = "to a forged tag of a domain that has never signed, and only logs", .who = OUTSIDE, .sender = "<" BOB ">",
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
    {.name = "an authenticated one while the domain waits", .who = OUTSIDE, .user = "carol",
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

/* -------------------------------------------------------- a tag as a sender */

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
    {.name = "by default it does not matter", .who = OUTSIDE, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" ALICE ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug " FROM_BAD(ALICE, "missing action=accept rule=ordinary")
         NO_SUBMISSION(BAD_ALICE)},
    {.name = "rejected, for every recipient", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<" BAD_ALICE ">",
     .recipients = {"<" ALICE ">", "<{0 carol@example.com}>", "<" BOB ">"},
     .expected =
         "wants end\n"
         NO_SUCH_SENDER
         FROM_BAD(ALICE, "missing action=reject rule=sender-tag-unauthentic")
         FROM_BAD("{0 carol@example.com}", "valid action=reject rule=sender-tag-unauthentic")
         FROM_BAD(BOB, "not-ours action=reject rule=sender-tag-unauthentic")},
    {.name = "deferred", .who = OUTSIDE, .prepare = sender_defers, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" ALICE ">"},
     .expected =
         "wants end\n"
         "tempfail 451 4.1.0 the sender <" BAD_ALICE "> carries a signature that this site does "
         "not know; try again later\n"
         FROM_BAD(ALICE, "missing action=tempfail rule=sender-tag-unauthentic")},
    {.name = "at RCPT", .who = OUTSIDE, .prepare = sender_rejects_at_rcpt,
     .sender = "<" BAD_ALICE ">", .recipients = {"<" ALICE ">", "<" BOB ">"},
     .expected =
         "rcpt " NO_SUCH_SENDER
         "rcpt " NO_SUCH_SENDER
         "wants end\n"
         "accept\n"
         FROM_BAD(ALICE, "missing action=reject rule=sender-tag-unauthentic")
         FROM_BAD(BOB, "not-ours action=reject rule=sender-tag-unauthentic")
         NO_SUBMISSION(BAD_ALICE)},
    {.name = "a key that nobody has", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<prvs=0785a1b2c3=" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         "wants end\n"
         "reject 550 5.1.0 the sender <prvs=0785a1b2c3=" ALICE "> carries a signature that this "
         "site does not know\n"
         "verify client=" OUT " from=<prvs=0785a1b2c3=" ALICE "> rcpt=<" BOB "> result=not-ours "
         "action=reject rule=sender-tag-unauthentic\n"},
    {.name = "by a relay", .who = RELAY, .prepare = sender_rejects, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants end\n"
         NO_SUCH_SENDER
         "verify client=gateway.partner.test[10.9.9.9] from=<" BAD_ALICE "> rcpt=<" BOB
         "> result=not-ours action=reject rule=sender-tag-unauthentic\n"},
    {.name = "of a domain that waits", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{bad a@example.net}>", .recipients = {"<" ALICE ">"},
     .expected =
         "wants end\n"
         "accept\n"
         "verify client=" OUT " from=<{bad a@example.net}> rcpt=<" ALICE
         "> result=missing action=log would=reject rule=sender-tag-unauthentic\n"
         NO_SUBMISSION("{bad a@example.net}")},
    {.name = "of a domain that waits, to a forged tag", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{bad a@example.net}>", .recipients = {"<" BAD_ALICE ">"},
     .expected =
         "wants end\n"
         "reject 550 5.1.1 " WRITE_TO(ALICE)
         "verify client=" OUT " from=<{bad a@example.net}> rcpt=<" BAD_ALICE
         "> result=bad-signature action=reject rule=tag-unauthentic\n"},
    {.name = "while verification is paused", .who = OUTSIDE, .prepare = sender_rejects_paused,
     .sender = "<" BAD_ALICE ">", .recipients = {"<" ALICE ">"},
     .expected =
         "wants end\n"
         "accept\n"
         FROM_BAD(ALICE, "missing action=log would=reject rule=pause")
         NO_SUBMISSION(BAD_ALICE)},
    {.name = "a valid tag", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{0 " ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, "{0 " ALICE "}", BOB)
         NO_SUBMISSION("{0 " ALICE "}")},
    {.name = "an expired tag", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{-9 " ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, "{-9 " ALICE "}", BOB)
         NO_SUBMISSION("{-9 " ALICE "}")},
    {.name = "no tag", .who = OUTSIDE, .prepare = sender_rejects, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, ALICE, BOB)
         NO_SUBMISSION(ALICE)
         "relayed-unsigned client=" OUT " from=<" ALICE "> rcpt=<" BOB ">\n"},
    {.name = "a tag in subaddress syntax", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<{bad +" ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, "{bad +" ALICE "}", BOB)
         NO_SUBMISSION("{bad +" ALICE "}")},
    {.name = "somebody else's tag", .who = OUTSIDE, .prepare = sender_rejects,
     .sender = "<prvs=0785a1b2c3=" BOB ">", .recipients = {"<" ALICE ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         "debug verify client=" OUT " from=<prvs=0785a1b2c3=" BOB "> rcpt=<" ALICE
         "> result=missing action=accept rule=ordinary\n"},
    {.name = "a submission", .who = INSIDE, .prepare = sender_rejects, .sender = "<" BAD_ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants headers, end\n"
         "accept\n"
         NOT_OURS(IN, BAD_ALICE, BOB)
         "sign-skip from=<" BAD_ALICE "> reason=already-tagged\n"},
    {.name = "authenticated", .who = OUTSIDE, .user = "alice", .prepare = sender_rejects,
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
    {.name = "a newer ring knows it", .who = OUTSIDE, .prepare = sender_rejects_and_renews,
     .sender = "<{next " ALICE "}>", .recipients = {"<" BOB ">"},
     .expected =
         "wants end\n"
         "accept\n"
         NOT_OURS(OUT, "{next " ALICE "}", BOB)
         NO_SUBMISSION("{next " ALICE "}")},
    {.name = "a newer ring knows it, at RCPT", .who = OUTSIDE,
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

/* ---------------------------------------------------------- judged at RCPT */

/* clang-format off */
static const struct conversation at_rcpt[] = {
    {.name = "each by itself", .who = OUTSIDE, .prepare = reject_at_rcpt, .sender = "<>",
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
    {.name = "no proof is asked for", .who = OUTSIDE, .prepare = prove_at_rcpt, .sender = "<>",
     .recipients = {"<" ALICE ">"},
     .expected =
         "rcpt " REFUSED
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         NULL_SENDER},
    {.name = "no proof is asked for, nor at the end", .who = OUTSIDE, .prepare = prove_at_rcpt,
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
    {.name = "no class is asked for", .who = OUTSIDE, .prepare = receipt_at_rcpt, .sender = "<>",
     .recipients = {"<" ALICE ">", "<{-9 a@reject.example}>"},
     .expected =
         "rcpt " REFUSED
         "rcpt " TOO_LATE
         HEADERS
         "accept\n"
         BOUNCE(ALICE, "missing", "reject rule=verify.action")
         BOUNCE("{-9 a@reject.example}", "expired", "reject rule=verify.expired")
         NULL_SENDER},
    {.name = "no ground without tags", .who = OUTSIDE, .prepare = patterns_at_rcpt,
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
    {.name = "all but one discarded", .who = OUTSIDE, .prepare = reject_at_rcpt, .sender = "<>",
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
    {.name = "a submission is signed all the same", .who = INSIDE, .prepare = reject_at_rcpt,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         SIGNED(IN, ALICE, BOB)},
    {.name = "a domain that waits", .who = OUTSIDE, .prepare = reject_at_rcpt, .sender = "<>",
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

/* ------------------------------------------------------------- a newer ring */

/* clang-format off */
static const struct conversation newer[] = {
    {.name = "without it", .who = OUTSIDE, .sender = "<>", .recipients = {"<{next " ALICE "}>"},
     .expected =
         HEADERS
         REFUSED
         BOUNCE("{next " ALICE "}", "unknown-key", "reject rule=verify.action")},
    {.name = "it knows the key", .who = OUTSIDE, .prepare = renew, .sender = "<>",
     .recipients = {"<{next " ALICE "}>"},
     .expected =
         HEADERS
         "remove <{next " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         "verify client=" OUT " from=<> rcpt=<{next " ALICE
         "}> result=valid action=accept rule=tag ring=13\n"
         NULL_SENDER},
    {.name = "it knows the key, ordinary mail", .who = OUTSIDE, .prepare = renew,
     .sender = "<" BOB ">", .recipients = {"<{next " ALICE "}>"},
     .expected =
         "wants end\n"
         "remove <{next " ALICE "}>\n"
         "add " ALICE "\n"
         "accept\n"
         ORDINARY("{next " ALICE "}", "valid action=accept rule=tag ring=13")},
    {.name = "it knows no more", .who = OUTSIDE, .prepare = renew, .sender = "<>",
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
    {.name = "at RCPT", .who = OUTSIDE, .prepare = renew_at_rcpt, .sender = "<>",
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

/* ------------------------------------------------- as the MTA understands it */

/* An address that does not say its domain means what the MTA makes of it; any other means itself.
 */
static const struct {
    const char *name;
    const char *raw, *resolved;
    const char *plain; /* NULL: not ours */
} meanings[] = {
    {"a bare name", "<alice>", ALICE, ALICE},
    {"a bare name without brackets", "alice", ALICE, ALICE},
    {"a bare name elsewhere", "<alice>", BOB, NULL},
    {"a route by %", "<alice%example.com>", ALICE, ALICE},
    {"a route by !", "<example.com!alice>", ALICE, ALICE},
    {"a comment", "<alice@example.com (Alice)>", ALICE, ALICE},
    {"whole", "<" ALICE ">", BOB, ALICE},
    {"whole, elsewhere", "<" BOB ">", ALICE, NULL},
    {"an address literal of another host", "<a@[192.0.2.1]>", "a@c.example", NULL},
    {"a route over a host", "<alice%example.com@mx.example.test>", ALICE, ALICE},
    {"a route in quotes", "<\"" ALICE "\"@mx.example.test>", ALICE, ALICE},
    {"a route of which the MTA says nothing", "<alice%example.com@mx.example.test>", NULL, NULL},
    {"a percent sign", "<50%off@mx.example.test>", "50%off@mx.example.test", NULL},
};

START_TEST(test_meaning_of_a_sender)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    struct text tagged = {.used = 0};
    size_t count;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    transaction_mail(
        t, &(struct mail_event){.sender = meanings[_i].raw, .resolved = meanings[_i].resolved});
    give_rcpt(t, "<" BOB ">");
    decide(t, site);
    const struct effect *effects = transaction_effects(t, &count);
    ck_assert_msg(count == (meanings[_i].plain != NULL), "%s: %zu", meanings[_i].name, count);
    if (meanings[_i].plain != NULL) {
        add_tagged(&tagged, site, "0", meanings[_i].plain);
        ck_assert_int_eq(effects[0].kind, EFFECT_CHANGE_SENDER);
        ck_assert_str_eq(effects[0].value, tagged.out);
    }
    transaction_free(t);
    site_free(site);
}
END_TEST

START_TEST(test_meaning_of_a_recipient)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    size_t count;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    transaction_mail(t, &(struct mail_event){.sender = "<>", .resolved = ""});
    transaction_rcpt(t, &(struct rcpt_event){.recipient = meanings[_i].raw,
                                             .resolved = meanings[_i].resolved,
                                             .now = now_of_site()});
    decide(t, site);
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_msg(decisions[0].result ==
                      (meanings[_i].plain != NULL ? RESULT_MISSING : RESULT_NOT_OURS),
                  "%s: %s", meanings[_i].name, result_name(decisions[0].result));
    ck_assert_int_eq(transaction_reply(t)->kind,
                     meanings[_i].plain != NULL ? REPLY_REJECT : REPLY_ACCEPT);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* The same mailbox without the MTA's word, tagged or not, as a recipient and as a sender. */
static const struct {
    const char *before, *after; /* the tag */
} spelled[] = {
    {"<(x)", "alice@example.com>"},  {"<", "alice(50 x)@example.com>"},
    {"<", "alice @example.com>"},    {"< ", "alice@example.com>"},
    {"<", "al\\ice@example.com>"},   {"<", "alice\t@example.com>"},
    {"<\\", "alice@example.com>"},   {"<\"", "al\\ice\"@example.com>"},
    {"<x <", "alice@example.com>>"}, {"<", "alice@example.com (c)>"},
    {"<", "alice@(c)example.com>"},  {"<@r.test:", "alice@example.com>"},
    {"<", "alice@\\example.com>"},   {"<x: ", "alice@example.com;>"},
    {"<", "alice@\"example.com\">"}, {"<", "alice%example.com@[192.0.2.1]>"},
};

START_TEST(test_spelled_recipient)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    char raw[200];
    size_t count;
    for (int tagged = 0; tagged < 2; tagged++) {
        struct transaction *t = transaction_new(&site->snapshot, &client);
        snprintf(raw, sizeof raw, "%s%s%s", spelled[_i].before, tagged ? "prvs=1234abcdef=" : "",
                 spelled[_i].after);
        give_mail(t, tagged ? "<" BOB ">" : "<>", NULL);
        give_rcpt(t, raw);
        decide(t, site);
        const struct decision *d = transaction_decisions(t, &count);
        ck_assert_uint_ge(count, 1);
        ck_assert_msg(d->judged != NULL && strcmp(d->judged, ALICE) == 0, "%s", raw);
        ck_assert_int_ne(transaction_reply(t)->kind, REPLY_ACCEPT);
        ck_assert_str_eq(d->verdict.rule, tagged ? "tag-unauthentic" : "verify.action");
        transaction_free(t);
    }
    site_free(site);
}
END_TEST

START_TEST(test_spelled_sender)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    struct text tagged = {.used = 0};
    char raw[200];
    size_t count;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    snprintf(raw, sizeof raw, "%s%s", spelled[_i].before, spelled[_i].after);
    give_mail(t, raw, NULL);
    give_rcpt(t, "<" BOB ">");
    decide(t, site);
    const struct effect *effects = transaction_effects(t, &count);
    add_tagged(&tagged, site, "0", ALICE);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(effects[0].kind, EFFECT_CHANGE_SENDER);
    ck_assert_str_eq(effects[0].value, tagged.out);
    transaction_free(t);
    site_free(site);
}
END_TEST

static const char *const daemons[][2] = {
    {"<mailer-daemon(x)@", ">"}, {"<mailer-daemon @", ">"},  {"<(x)mailer-daemon@", ">"},
    {"<\\mailer-daemon@", ">"},  {"<Mailer-Daemon\t@", ">"}, {"<\"mailer\\-daemon\"@", " (x)>"},
};

/* From outside and inside, of a domain of ours and another, with Postfix's word for it or not. */
START_TEST(test_spelled_mailer_daemon)
{
    static const char *const domains[] = {"example.com", "other.test"};
    struct site *site = site_make();
    char raw[200], resolved[200];
    for (unsigned i = 0; i < 8; i++) {
        struct client client = client_of((i & 1) != 0 ? INSIDE : OUTSIDE);
        const char *domain = domains[i >> 1 & 1];
        size_t count;
        struct transaction *t = transaction_new(&site->snapshot, &client);
        snprintf(raw, sizeof raw, "%s%s%s", daemons[_i][0], domain, daemons[_i][1]);
        snprintf(resolved, sizeof resolved, "mailer-daemon@%s", domain);
        transaction_mail(
            t, &(struct mail_event){.sender = raw, .resolved = (i & 4) != 0 ? resolved : NULL});
        give_rcpt(t, "<" ALICE ">");
        decide(t, site);
        const struct decision *decisions = transaction_decisions(t, &count);
        ck_assert(decisions[0].bounce);
        for (size_t k = 0; k < count; k++) {
            ck_assert_int_ne(decisions[k].kind, DECISION_SIGN);
        }
        transaction_free(t);
    }
    site_free(site);
}
END_TEST

/* Names that every host has for its own mailboxes. */
static const struct {
    const char *name, *raw, *host, *mailer;
    int who;
    bool judged;
} own_names[] = {
    {"localhost", "<alice@localhost>", NULL, NULL, OUTSIDE, true},
    {"a literal", "<alice@[192.0.2.1]>", NULL, NULL, OUTSIDE, true},
    {"the MTA's name", "<alice@mx.example.test>", NULL, NULL, OUTSIDE, true},
    {"none", "<alice>", NULL, NULL, OUTSIDE, true},
    {"in a spelling", "<al\\ice(x)@LOCALHOST>", NULL, NULL, OUTSIDE, true},
    {"another host's name", "<alice@mx2.example.test>", NULL, NULL, OUTSIDE, false},
    {"from inside to local(8)", "<alice@localhost>", "localhost", "local", INSIDE, true},
    {"from inside to virtual(8)", "<alice@[192.0.2.1]>", "x", "virtual", INSIDE, true},
    {"from inside to lmtp(8)", "<alice@[192.0.2.1]>", "x", "lmtp", INSIDE, true},
    {"from inside, Sendmail", "<alice@[192.0.2.1]>", "", "local", INSIDE, true},
    {"from inside, Sendmail without its mailer", "<alice>", "", NULL, INSIDE, true},
    {"from inside to another host", "<alice@[198.51.100.1]>", "[198.51.100.1]", "smtp", INSIDE,
     false},
    {"from inside, who knows where", "<alice@[198.51.100.1]>", NULL, NULL, INSIDE, false},
};

START_TEST(test_own_names)
{
    struct site *site = site_make();
    struct client client = client_of(own_names[_i].who);
    size_t count;
    client.server = "mx.example.test";
    site->settings->exclude_mail_servers = false;
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    transaction_rcpt(t, &(struct rcpt_event){.recipient = own_names[_i].raw,
                                             .host = own_names[_i].host,
                                             .mailer = own_names[_i].mailer,
                                             .now = now_of_site()});
    decide(t, site);
    const struct decision *d = transaction_decisions(t, &count);
    ck_assert_int_eq(transaction_reply(t)->kind, REPLY_ACCEPT);
    ck_assert_int_eq(d->result, own_names[_i].judged ? RESULT_MISSING : RESULT_NOT_OURS);
    ck_assert(d->debug != own_names[_i].judged);
    if (own_names[_i].judged) {
        ck_assert_str_eq(d->judged, ALICE);
        ck_assert_str_eq(d->verdict.rule, "sign.enabled");
        ck_assert_int_eq(d->verdict.action, ACTION_LOG);
    }
    transaction_free(t);
    site_free(site);
}
END_TEST

/* A tag of the first domain counts, and stays: the MTA's tables know the address as it came. */
START_TEST(test_own_name_keeps_its_tag)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text tagged = {.used = 0};
    char raw[200];
    size_t count;
    add_tagged(&tagged, site, "0", ALICE);
    snprintf(raw, sizeof raw, "<%.*s@localhost>", (int)strcspn(tagged.out, "@"), tagged.out);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<" BOB ">", NULL);
    give_rcpt(t, raw);
    give_rcpt(t, "<" ALICE ">");
    decide(t, site);
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_int_eq(decisions[0].result, RESULT_VALID);
    transaction_effects(t, &count);
    ck_assert_uint_eq(count, 0);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* What the MTA makes the null sender of is a bounce. */
START_TEST(test_meaning_of_no_sender)
{
    static const struct {
        const char *raw, *resolved;
        bool bounce;
    } rows[] = {
        {"<>", NULL, true},
        {"", NULL, true},
        {"<>", "", true},
        {"<(nobody)>", "", true},
        {"<(nobody)>", BOB, false},
        {"<" BOB ">", "", false},
        {"<@other.test>", NULL, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site *site = site_make();
        struct client client = client_of(OUTSIDE);
        size_t count;
        struct transaction *t = transaction_new(&site->snapshot, &client);
        transaction_mail(t,
                         &(struct mail_event){.sender = rows[i].raw, .resolved = rows[i].resolved});
        give_rcpt(t, "<" ALICE ">");
        decide(t, site);
        const struct decision *decisions = transaction_decisions(t, &count);
        ck_assert_msg(decisions[0].bounce == rows[i].bounce, "%s", rows[i].raw);
        ck_assert_int_eq(transaction_reply(t)->kind, rows[i].bounce ? REPLY_REJECT : REPLY_ACCEPT);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* Removed as it came and as the MTA may have kept it, added as the MTA understands it. */
START_TEST(test_tag_without_a_domain)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text whole = {.used = 0};
    struct text kept = {.used = 0};
    char raw[100];
    size_t count;
    add_tagged(&whole, site, "0", ALICE);
    snprintf(raw, sizeof raw, "<%.*s>", (int)strcspn(whole.out, "@"), whole.out);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    transaction_rcpt(
        t, &(struct rcpt_event){.recipient = raw, .resolved = whole.out, .now = now_of_site()});
    decide(t, site);
    const struct effect *effects = transaction_effects(t, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(effects[0].value, raw);
    ck_assert_int_eq(effects[1].kind, EFFECT_REMOVE_RECIPIENT);
    text_add(&kept, "<%s>", whole.out);
    ck_assert_str_eq(effects[1].value, kept.out);
    ck_assert_str_eq(effects[2].value, ALICE);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* Whose deletion the MTA may not understand: refused at once where the content cannot prove
 * anything, else it takes the message with it. */
START_TEST(test_odd_recipient_that_must_go)
{
    static const struct {
        const char *sender, *rcpt;
        enum reply_kind at_once, at_end;
    } rows[] = {
        {"<" BOB ">", "<prvs=3785a1b2c3=nobody@example.com>", REPLY_CONTINUE, REPLY_ACCEPT},
        {"<" BOB ">", "<(x)prvs=3785a1b2c3=nobody@example.com>", REPLY_REJECT, REPLY_ACCEPT},
        {"<" BOB ">", "<@a:@b:prvs=3785a1b2c3=nobody@example.com>", REPLY_REJECT, REPLY_ACCEPT},
        {"<" BOB ">", "<(x)" ALICE ">", REPLY_CONTINUE, REPLY_ACCEPT},
        {"<>", "<" ALICE ">", REPLY_CONTINUE, REPLY_ACCEPT},
        {"<>", "<\"a b\"@example.com>", REPLY_CONTINUE, REPLY_ACCEPT},
        {"<>", "<(x)" ALICE ">", REPLY_CONTINUE, REPLY_REJECT},
        {"<>", "<al\\ice@example.com>", REPLY_CONTINUE, REPLY_REJECT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site *site = site_make();
        struct client client = client_of(OUTSIDE);
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, rows[i].sender, NULL);
        give_rcpt(t, "<postmaster@example.com>");
        give_rcpt(t, rows[i].rcpt);
        enum reply_kind kind = reply_to_recipient(t)->kind;
        ck_assert_msg(kind == rows[i].at_once, "%s: %d", rows[i].rcpt, kind);
        decide(t, site);
        ck_assert_msg(transaction_reply(t)->kind == rows[i].at_end, "%s: %d", rows[i].rcpt,
                      transaction_reply(t)->kind);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* Sendmail's rule has taken the tag off: it knows the recipient by its mailbox, and so the plain
 * one by the same name. Neither is touched, and whoever goes takes nobody along. */
START_TEST(test_tag_that_the_mta_takes_off)
{
    static const struct {
        const char *who;     /* a digit for each: 0 valid, 1 plain, 2 forged, 3 another mailbox */
        const char *removed; /* of these */
    } rows[] = {{"0", ""},   {"01", ""},   {"10", ""},    {"02", ""}, {"21", "21"},
                {"03", "3"}, {"302", "3"}, {"0123", "3"}, {"14", ""}, {"431", "3"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct site *site = site_make();
        struct client client = client_of(OUTSIDE);
        struct text tagged = {.used = 0};
        size_t count;
        add_tagged(&tagged, site, "0", ALICE);
        const char *raw[] = {tagged.out, ALICE, "prvs=0785000000=" ALICE, "carol@example.com",
                             "alice@elsewhere.example"};
        struct transaction *t = transaction_new(&site->snapshot, &client);
        transaction_mail(t, &(struct mail_event){.sender = "<>", .resolved = "MAILER-DAEMON"});
        for (const char *p = rows[i].who; *p != '\0'; p++) {
            transaction_rcpt(t, &(struct rcpt_event){.recipient = raw[*p - '0'],
                                                     .resolved = *p == '3' ? "carol" : "alice",
                                                     .now = now_of_site()});
        }
        decide(t, site);
        const struct effect *effects = transaction_effects(t, &count);
        if (strpbrk(rows[i].who, "04") == NULL) {
            ck_assert_int_eq(transaction_reply(t)->kind, REPLY_REJECT);
        } else {
            ck_assert_int_eq(transaction_reply(t)->kind, REPLY_ACCEPT);
            ck_assert_msg(count == strlen(rows[i].removed), "%s: %zu", rows[i].who, count);
            for (size_t j = 0; j < count; j++) {
                ck_assert_int_eq(effects[j].kind, EFFECT_REMOVE_RECIPIENT);
                ck_assert_str_eq(effects[j].value, raw[rows[i].removed[j] - '0']);
            }
        }
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* ------------------------------------------------------------------ errors */

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

/* Facts are asked recipient by recipient, and only of those that need one. */
START_TEST(test_questions)
{
    struct site *site = site_make();
    struct client client = client_of(OUTSIDE);
    struct text text = {.used = 0};
    site_evidence(site);
    site->settings->rules[OFF_EXAMPLE].message_ids = REGEXES("x");
    static const char *const recipients[] = {
        "<" ALICE ">", "<{0 bob@example.com}>",     "<abuse@example.com>",
        "<" BOB ">",   "<{bad carol@example.com}>", "<alice@off.example>"};
    static const struct {
        size_t recipient;
        enum fact fact;
        enum answer answer;
    } questions[] = {
        {0, FACT_TAG_IN_BODY, ANSWER_NO}, {0, FACT_HEADER, ANSWER_YES},
        {4, FACT_TAG_IN_BODY, ANSWER_NO}, {4, FACT_HEADER, ANSWER_UNAVAILABLE},
        {4, FACT_JOURNAL, ANSWER_NO},     {5, FACT_TAG_IN_BODY, ANSWER_NO},
        {5, FACT_HEADER, ANSWER_NO},      {5, FACT_JOURNAL, ANSWER_NO},
        {5, FACT_PATTERN, ANSWER_NO},     {5, FACT_UNTAGGABLE, ANSWER_NO},
        {5, FACT_CLASS, ANSWER_YES},
    };
    static const char *const rules[] = {"evidence.header",    "tag",
                                        "exclude.recipients", "not-ours",
                                        "evidence.header",    "sign.enabled"};
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, "<>", NULL);
    for (size_t i = 0; i < COUNT_OF(recipients); i++) {
        give_recipient(t, site, recipients[i], &text);
    }
    struct question question;
    give_end(t);
    for (size_t i = 0; i < COUNT_OF(questions); i++) {
        ck_assert(transaction_asks(t, &question));
        ck_assert_uint_eq(question.recipient, questions[i].recipient);
        ck_assert_int_eq(question.fact, questions[i].fact);
        give_answer(t, &question, questions[i].answer);
    }
    ck_assert(!transaction_asks(t, &question));
    ck_assert(!transaction_asks(t, &question)); /* it is decided once */
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    ck_assert_uint_ge(count, COUNT_OF(rules));
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        ck_assert_str_eq(decisions[i].verdict.rule, rules[i]);
        const char *domain = strrchr(decisions[i].recipient, '@') + 1;
        ck_assert_ptr_eq(decisions[i].rules, settings_rules(site->settings, domain));
    }
    transaction_free(t);
    site_free(site);
}
END_TEST

static void add_table(Suite *suite, const char *name, const TTest *test, size_t count)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test, 0, (int)count);
    suite_add_tcase(suite, tcase);
}

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
    Suite *suite = suite_create("transaction");
    add_table(suite, "signing", test_signing, COUNT_OF(signing));
    add_table(suite, "relayed unsigned", test_relayed, COUNT_OF(relayed));
    add_table(suite, "leaving", test_leaving, COUNT_OF(leavings));
    add_table(suite, "relayed holds", test_relayed_holds_until_auto_rejects, 1);
    add_table(suite, "tags that come back", test_tags_that_come_back, 1);
    add_table(suite, "returned", test_returned, 1);
    add_table(suite, "bounces", test_bounces, COUNT_OF(bounces));
    add_table(suite, "exclusions", test_exclusions, COUNT_OF(exclusions));
    add_table(suite, "several recipients", test_several, COUNT_OF(several));
    add_table(suite, "proof from content", test_evidence, COUNT_OF(evidence));
    add_table(suite, "content that is not read", test_unread, COUNT_OF(unread));
    add_table(suite, "classes", test_classes, COUNT_OF(classes));
    add_table(suite, "grounds without tags", test_grounds, COUNT_OF(grounds));
    add_table(suite, "what is asked about", test_asked, COUNT_OF(asked_about));
    add_table(suite, "ordinary mail", test_ordinary, COUNT_OF(ordinary));
    add_table(suite, "senders", test_senders, COUNT_OF(senders));
    add_table(suite, "judged at RCPT", test_at_rcpt, COUNT_OF(at_rcpt));
    add_table(suite, "a newer ring", test_newer_ring, COUNT_OF(newer));
    add_table(suite, "doubts", test_doubtful, COUNT_OF(doubts));
    add_table(suite, "senders' meaning", test_meaning_of_a_sender, COUNT_OF(meanings));
    add_table(suite, "recipients' meaning", test_meaning_of_a_recipient, COUNT_OF(meanings));
    add_table(suite, "recipients' spellings", test_spelled_recipient, COUNT_OF(spelled));
    add_table(suite, "senders' spellings", test_spelled_sender, COUNT_OF(spelled));
    add_table(suite, "spellings of mailer-daemon", test_spelled_mailer_daemon, COUNT_OF(daemons));
    add_table(suite, "names of the host itself", test_own_names, COUNT_OF(own_names));
    add_table(suite, "guessing", test_guessing, COUNT_OF(guessed));
    add_table(suite, "tried", test_tried, COUNT_OF(tried_for));
    add_table(suite, "errors", test_errors, COUNT_OF(errors));

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_newer_ring_after_rcpt);
    tcase_add_test(tcase, test_newer_ring_between_questions);
    tcase_add_test(tcase, test_meaning_of_no_sender);
    tcase_add_test(tcase, test_own_name_keeps_its_tag);
    tcase_add_test(tcase, test_tag_without_a_domain);
    tcase_add_test(tcase, test_odd_recipient_that_must_go);
    tcase_add_test(tcase, test_tag_that_the_mta_takes_off);
    tcase_add_test(tcase, test_failure_from_outside);
    tcase_add_test(tcase, test_failure_ends_all_else);
    tcase_add_test(tcase, test_failure_that_lets_in_lets_each_recipient_in);
    tcase_add_test(tcase, test_reply_on_error);
    tcase_add_test(tcase, test_aborted_anywhere);
    tcase_add_test(tcase, test_first_signed);
    tcase_add_test(tcase, test_very_many_recipients);
    tcase_add_test(tcase, test_very_many_mailboxes);
    tcase_add_test(tcase, test_effects_of_very_many_marks);
    tcase_add_test(tcase, test_questions);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
