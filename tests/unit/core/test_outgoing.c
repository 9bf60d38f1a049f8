/*
 * Messages that go out in our name, as tables of conversations (see conversation.h): for which of
 * them evidence is made, the addresses to which answers can come, the header that is added and the
 * copies that go or stay, and what the message is known by when it comes back.
 */
#include "conversation.h"

#define ALICE "alice@example.com"
#define BOB   "bob@other.test"

static void no_header(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.header = false;
}

static void no_journal(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.journal = false;
}

static void no_tags_in_bodies(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.tag_in_body = false;
}

static void switched_off(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.enabled = false;
}

static void no_randomness(struct site *site)
{
    site_evidence(site);
    site->no_nonce = true;
}

static void paused(struct site *site)
{
    site_evidence(site);
    site->snapshot.paused = true;
}

static void short_memory(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.retain_days = 3;
}

static void no_secret(struct site *site)
{
    const struct secret none = {.length = 0};
    site_evidence(site);
    ck_assert_int_eq(ring_set_evidence(site->ring, &none, &none), STATUS_OK);
}

static void no_secret_no_header(struct site *site)
{
    no_secret(site);
    site->settings->evidence.header = false;
}

static void no_keys(struct site *site)
{
    site_evidence(site);
    ring_free(site->ring);
    site->ring = ring_new();
    add_evidence_secret(site->ring, PRESENT_SECRET);
    site->ring->generation = 12;
    site->snapshot.ring = site->ring;
}

static void no_keys_accept(struct site *site)
{
    no_keys(site);
    site->settings->on_error = ACTION_ACCEPT;
}

static void judge_our_own(struct site *site)
{
    site_evidence(site);
    site->settings->exclude_mail_servers = false;
}

static void judge_our_own_at_rcpt(struct site *site)
{
    judge_our_own(site);
    site->settings->reject_at_rcpt = true;
}

static void check_outgoing(const struct conversation *c)
{
    struct site *site = site_make();
    struct client client = client_of(c->who);
    static struct text text;
    static struct text expected;
    (c->prepare != NULL ? c->prepare : site_evidence)(site);
    text = (struct text){.used = 0};
    expected = (struct text){.used = 0};
    expand(&expected, site, c->expected);
    struct transaction *t = hold(c, site, &client, &text);
    ck_assert_msg(strcmp(text.out, expected.out) == 0, "%s:\n%s\nexpected:\n%s", c->name, text.out,
                  expected.out);
    transaction_free(t);
    site_free(site);
}

#define IN     "pc.example.com[10.1.2.3]"
#define OUT    "mx.other.test[192.0.2.9]"
#define READS  "wants headers, end\n"
#define HEADER "header X-Batv-Evidence: "
#define NOT_OURS(client, from, rcpt)                                                               \
    "debug verify client=" client " from=<" from "> rcpt=<" rcpt                                   \
    "> result=not-ours action=accept rule=not-ours\n"
#define SIGNED(client, from)                                                                       \
    NOT_OURS(client, from, BOB)                                                                    \
    "sign from=<" from "> tagged=<{0 " from "}> key=2 expires=2026-11-28\n"
/* From alice to bob, with these effects beside the signature; the rest by what is known of it. */
#define ALICE_TO_BOB(effects, known)                                                               \
    READS "sender {0 " ALICE "}\n" effects "accept\n" SIGNED(IN, ALICE) "out " known "\n"
#define PLAIN ALICE_TO_BOB(HEADER "{evidence " ALICE "}\n", ALICE " id=- recipients=1")

/* ------------------------------------------------------- what it is made for */

/* clang-format off */
static const struct conversation messages[] = {
    {.name = "a submission", .who = INSIDE, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         PLAIN},
    {.name = "authenticated, from anywhere", .who = OUTSIDE, .user = "alice",
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         READS
         "sender {0 " ALICE "}\n"
         HEADER "{evidence " ALICE "}\n"
         "accept\n"
         SIGNED(OUT, ALICE)
         "out " ALICE " id=- recipients=1\n"},
    {.name = "sendmail(1)", .who = LOCAL, .sender = ALICE, .recipients = {BOB},
     .expected =
         READS
         "sender {0 " ALICE "}\n"
         HEADER "{evidence " ALICE "}\n"
         "accept\n"
         SIGNED("localhost[127.0.0.1]", ALICE)
         "out " ALICE " id=- recipients=1\n"},
    {.name = "authenticated through a relay", .who = RELAY, .user = "alice",
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         READS
         "sender {0 " ALICE "}\n"
         HEADER "{evidence " ALICE "}\n"
         "accept\n"
         SIGNED("gateway.partner.test[10.9.9.9]", ALICE)
         "out " ALICE " id=- recipients=1\n"},
    {.name = "to one of our own", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<carol@example.com>"},
     .expected =
         READS
         "sender {0 " ALICE "}\n"
         HEADER "{evidence " ALICE "}\n"
         "accept\n"
         "debug verify client=" IN " from=<" ALICE "> rcpt=<carol@example.com> result=missing "
         "action=accept rule=ordinary\n"
         "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"
         "out " ALICE " id=- recipients=1\n"},
    {.name = "one that is left unsigned", .who = INSIDE, .sender = "<nosign@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         READS
         HEADER "{evidence nosign@example.com}\n"
         "accept\n"
         NOT_OURS(IN, "nosign@example.com", BOB)
         "sign-skip from=<nosign@example.com> reason=exclude_sign.senders:nosign@*\n"
         "out nosign@example.com id=- recipients=1\n"},
    {.name = "a domain that does not sign", .who = INSIDE, .sender = "<alice@off.example>",
     .recipients = {"<" BOB ">"},
     .expected =
         READS
         HEADER "{evidence alice@off.example}\n"
         "accept\n"
         NOT_OURS(IN, "alice@off.example", BOB)
         "out alice@off.example id=- recipients=1\n"},
    {.name = "mailer-daemon of ours", .who = INSIDE, .sender = "<MAILER-DAEMON@example.com>",
     .recipients = {"<" BOB ">"},
     .expected =
         READS
         HEADER "{evidence mailer-daemon@example.com}\n"
         "accept\n"
         NOT_OURS(IN, "MAILER-DAEMON@example.com", BOB)
         "sign-skip from=<MAILER-DAEMON@example.com> reason=mailer-daemon\n"
         "out mailer-daemon@example.com id=- recipients=1\n"},
    {.name = "while verification is paused", .who = INSIDE, .prepare = paused,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         PLAIN},
    {.name = "a null sender", .who = INSIDE, .sender = "<>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(IN, "", BOB)
         "sign-skip from=<> reason=null-sender\n"},
    {.name = "a stranger's sender", .who = INSIDE, .sender = "<carol@third.test>",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(IN, "carol@third.test", BOB)},
    {.name = "no submission", .who = OUTSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS(OUT, ALICE, BOB)
         "sign-skip from=<" ALICE "> reason=not-a-submission\n"
         "relayed-unsigned client=" OUT " from=<" ALICE "> rcpt=<" BOB ">\n"},
    {.name = "a relay submits nothing", .who = RELAY, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("gateway.partner.test[10.9.9.9]", ALICE, BOB)
         "sign-skip from=<" ALICE "> reason=not-a-submission\n"
         "relayed-unsigned client=gateway.partner.test[10.9.9.9] from=<" ALICE "> rcpt=<" BOB
         ">\n"},
    {.name = "no submission, to a tag: its headers are nobody's business", .who = OUTSIDE,
     .sender = "<" ALICE ">", .recipients = {"<{0 carol@example.com}>"},
     .headers = {"X-Batv-Evidence: {forged " ALICE "}"},
     .expected =
         "wants end\n"
         "remove <{0 carol@example.com}>\n"
         "add carol@example.com\n"
         "accept\n"
         "verify client=" OUT " from=<" ALICE "> rcpt=<{0 carol@example.com}> result=valid "
         "action=accept rule=tag\n"
         "sign-skip from=<" ALICE "> reason=not-a-submission\n"},
    {.name = "evidence is off", .who = INSIDE, .prepare = switched_off, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: {forged " ALICE "}"},
     .expected =
         "wants headers, end\n"
         "sender {0 " ALICE "}\n"
         "accept\n"
         SIGNED(IN, ALICE)},
    {.name = "no header is made", .who = INSIDE, .prepare = no_header, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"Message-ID: <1@example.com>"},
     .answers = {"news@example.net"},
     .expected =
         ALICE_TO_BOB("", ALICE ",news@example.net id=1@example.com recipients=1")},
    {.name = "no header is made, but what is not ours goes", .who = INSIDE, .prepare = no_header,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence: {forged " ALICE "}", "X-Batv-Evidence: {evidence " ALICE "}"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 1\n", ALICE " id=- recipients=1")},
    {.name = "without the journal there is a header all the same", .who = INSIDE,
     .prepare = no_journal, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         PLAIN},
    {.name = "tags in bodies are another matter", .who = INSIDE, .prepare = no_tags_in_bodies,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         PLAIN},
    {.name = "no randomness, no header", .who = INSIDE, .prepare = no_randomness,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: x"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 1\n", ALICE " id=- recipients=1")},
    {.name = "no randomness, but a Message-ID", .who = INSIDE, .prepare = no_randomness,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .headers = {"Message-ID: <1@example.com>"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence:1@example.com " ALICE "}\n",
                      ALICE " id=1@example.com recipients=1")},
    {.name = "without the journal the nonce is random", .who = INSIDE, .prepare = no_journal,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .headers = {"Message-ID: <1@example.com>"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence " ALICE "}\n",
                      ALICE " id=1@example.com recipients=1")},
};

/* --------------------------------------------------------- answer addresses */

static const struct conversation addresses[] = {
    {.name = "in lower case, the sender's first", .who = INSIDE, .sender = "<Alice@Example.COM>",
     .recipients = {"<" BOB ">"}, .answers = {"News@Example.NET", "<a.b@LOG.example>"},
     .expected =
         READS
         "sender {0 Alice@Example.COM}\n"
         HEADER "{evidence " ALICE ",news@example.net,a.b@log.example}\n"
         "accept\n"
         SIGNED(IN, "Alice@Example.COM")
         "out " ALICE ",news@example.net,a.b@log.example id=- recipients=1\n"},
    {.name = "ours only", .who = INSIDE, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .answers = {BOB, "alice", "", "alice@", "x@sub.example", "x@any.sub.example",
                 "x@example.com.other.test"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence " ALICE ",x@any.sub.example}\n",
                      ALICE ",x@any.sub.example id=- recipients=1")},
    {.name = "each once", .who = INSIDE, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .answers = {ALICE, "ALICE@example.com", "<alice@EXAMPLE.com.>", "news@example.com",
                 "\"alice\"@example.com", "NEWS@example.com"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence " ALICE ",news@example.com}\n",
                      ALICE ",news@example.com id=- recipients=1")},
    {.name = "less the tag, whosever it is and whatever it is worth", .who = INSIDE,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .answers = {"{-1 " ALICE "}", "{0 +alice@example.com}", "{bad b@example.com}",
                 "{unknown c@example.com}", "{-20 D@example.com}",
                 "prvs=785a1b2c3=e@example.com", "btv1==785a1b2c3d4==f@example.com",
                 "prvs=x@example.com"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence " ALICE ",b@example.com,c@example.com,d@example.com,"
                      "e@example.com,f@example.com,prvs=x@example.com}\n",
                      ALICE ",b@example.com,c@example.com,d@example.com,e@example.com,"
                      "f@example.com,prvs=x@example.com id=- recipients=1")},
    {.name = "the sender's, less its tag", .who = INSIDE, .sender = "<{-1 Alice@example.com}>",
     .recipients = {"<" BOB ">"}, .answers = {ALICE},
     .expected =
         READS
         "sender {0 Alice@example.com}\n"
         HEADER "{evidence " ALICE "}\n"
         "accept\n"
         NOT_OURS(IN, "{-1 Alice@example.com}", BOB)
         "sign from=<{-1 Alice@example.com}> tagged=<{0 Alice@example.com}> key=2 "
         "expires=2026-11-28\n"
         "out " ALICE " id=- recipients=1\n"},
    {.name = "the sender's, less a tag of today", .who = INSIDE, .sender = "<{0 " ALICE "}>",
     .recipients = {"<" BOB ">"},
     .expected =
         READS
         HEADER "{evidence " ALICE "}\n"
         "accept\n"
         NOT_OURS(IN, "{0 " ALICE "}", BOB)
         "sign-skip from=<{0 " ALICE "}> reason=already-tagged\n"
         "out " ALICE " id=- recipients=1\n"},
    {.name = "an SRS sender is what it is", .who = INSIDE,
     .sender = "<SRS0=HHH=TT=other.test=bob@example.com>", .recipients = {"<" BOB ">"},
     .expected =
         READS
         HEADER "{evidence srs0=hhh=tt=other.test=bob@example.com}\n"
         "accept\n"
         NOT_OURS(IN, "SRS0=HHH=TT=other.test=bob@example.com", BOB)
         "sign-skip from=<SRS0=HHH=TT=other.test=bob@example.com> reason=already-tagged\n"
         "out srs0=hhh=tt=other.test=bob@example.com id=- recipients=1\n"},
    {.name = "without quoting", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .answers = {"\"A b\"@example.com", "\"a\\\"b\"@example.com", "\"x\"@example.com"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence " ALICE ",a b@example.com,a\"b@example.com,"
                      "x@example.com}\n",
                      ALICE ",a b@example.com,a\"b@example.com,x@example.com id=- recipients=1")},
    {.name = "U-labels, other letters in any form", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .answers = {"J\303\234rgen@B\303\234cher.Example", "j\303\234rgen@xn--bcher-kva.example",
                 "ju\u0308rgen@xn--bcher-kva.example"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence " ALICE ",j\303\274rgen@xn--bcher-kva.example}\n",
                      ALICE ",j\303\274rgen@xn--bcher-kva.example id=- recipients=1")},
    {.name = "eight at most", .who = INSIDE, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .answers = {"a2@example.com", "a3@example.com", "a4@example.com", "a5@example.com",
                 "a6@example.com", "A2@example.com", "a7@example.com", "a8@example.com",
                 "a9@example.com", "a10@example.com"},
     .expected =
         ALICE_TO_BOB(HEADER "{evidence " ALICE ",a2@example.com,a3@example.com,a4@example.com,"
                      "a5@example.com,a6@example.com,a7@example.com,a8@example.com}\n",
                      ALICE ",a2@example.com,a3@example.com,a4@example.com,a5@example.com,"
                      "a6@example.com,a7@example.com,a8@example.com id=- recipients=1")},
};

/* -------------------------------------------------------- copies of the header */

static const struct conversation copies[] = {
    {.name = "one that is ours", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: {evidence " ALICE "}"},
     .expected =
         PLAIN},
    {.name = "by the former secret", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: {former " ALICE "}"},
     .expected =
         PLAIN},
    {.name = "a list's: for another of its addresses", .who = INSIDE,
     .sender = "<list@example.com>", .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence: {evidence-2 news@example.net," ALICE "}"},
     .answers = {ALICE},
     .expected =
         READS
         "sender {0 list@example.com}\n"
         HEADER "{evidence list@example.com," ALICE "}\n"
         "accept\n"
         SIGNED(IN, "list@example.com")
         "out list@example.com," ALICE " id=- recipients=1\n"},
    {.name = "for somebody else's", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .answers = {"news@example.com"},
     .headers = {"X-Batv-Evidence: {evidence bob@example.com}"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 1\n"
                      HEADER "{evidence " ALICE ",news@example.com}\n",
                      ALICE ",news@example.com id=- recipients=1")},
    {.name = "by nobody's secret", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: {forged " ALICE "}"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 1\n"
                      HEADER "{evidence " ALICE "}\n",
                      ALICE " id=- recipients=1")},
    {.name = "on its last day", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: {evidence-30 " ALICE "}"},
     .expected =
         PLAIN},
    {.name = "on the day after it", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: {evidence-31 " ALICE "}"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 1\n"
                      HEADER "{evidence " ALICE "}\n",
                      ALICE " id=- recipients=1")},
    {.name = "kept for three days", .who = INSIDE, .prepare = short_memory,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence: {evidence-3 " ALICE "}",
                 "X-Batv-Evidence: {evidence-4 " ALICE "}"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 2\n"
                      HEADER "{evidence " ALICE "}\n",
                      ALICE " id=- recipients=1")},
    {.name = "a day ahead, and two", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence: {evidence+1 " ALICE "}",
                 "X-Batv-Evidence: {evidence+2 " ALICE "}"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 2\n"
                      HEADER "{evidence " ALICE "}\n",
                      ALICE " id=- recipients=1")},
    {.name = "of several those that are not ours, the last first, whatever the case of the name",
     .who = INSIDE, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence: {forged " ALICE "}", "x-batv-evidence: {evidence-1 " ALICE "}",
                 "Subject: X-Batv-Evidence", "X-BATV-EVIDENCE: ", "X-Batv-Evidences: x",
                 "X-Batv: x", "X-Batv-Evidence: {former " ALICE "}", "X-Batv-Evidence: v=1"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 5\n"
                      "remove header X-Batv-Evidence 3\n"
                      "remove header X-Batv-Evidence 1\n"
                      HEADER "{evidence " ALICE "}\n",
                      ALICE " id=- recipients=1")},
    {.name = "folded anew", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence:  \r\n {evidence " ALICE "}\r\n\t"},
     .expected =
         PLAIN},
    {.name = "a result header of ordinary mail means nothing", .who = INSIDE,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"}, .marks = 2,
     .expected =
         PLAIN},
    {.name = "both headers of a bounce of our own", .who = INSIDE, .prepare = judge_our_own,
     .sender = "<mailer-daemon@example.com>", .recipients = {"<a@mark.example>"}, .marks = 1,
     .headers = {"X-Batv-Evidence: x"},
     .expected =
         "wants headers, body, end\n"
         "remove header X-Batv-Evidence 1\n"
         HEADER "{evidence mailer-daemon@example.com}\n"
         "remove header X-Batv-Result 1\n"
         "header X-Batv-Result: missing; class=dsn; proof=none; rcpt=<a@mark.example>\n"
         "accept\n"
         "verify client=" IN " from=<mailer-daemon@example.com> rcpt=<a@mark.example> "
         "result=missing class=dsn proof=none action=mark rule=verify.action\n"
         "sign-skip from=<mailer-daemon@example.com> reason=mailer-daemon\n"
         "out mailer-daemon@example.com id=- recipients=1\n"},
};

/* ------------------------------------------------------- what it is known by */

#define KNOWN(known) ALICE_TO_BOB(HEADER "{evidence " ALICE "}\n", ALICE " " known)
/* Its header has the nonce that belongs to the Message-ID. */
#define KNOWN_BY(id)                                                                               \
    ALICE_TO_BOB(HEADER "{evidence:" id " " ALICE "}\n", ALICE " id=" id " recipients=1")

static const struct conversation known[] = {
    {.name = "its Message-ID", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"}, .headers = {"Message-ID: <1@example.com>"},
     .expected =
         KNOWN_BY("1@example.com")},
    {.name = "its Message-ID as it is compared", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .headers = {"Subject: <0@x>", "message-id: \r\n\t< Ab\r\n .C@Example.com > (x)"},
     .expected =
         KNOWN_BY("Ab.C@Example.com")},
    {.name = "the first of two", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .headers = {"Message-ID: <1@example.com>", "Message-ID: <2@example.com>"},
     .expected =
         KNOWN_BY("1@example.com")},
    {.name = "the first that is any", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .headers = {"Message-ID: ", "Message-ID: <>", "Message-ID: <2@example.com>"},
     .expected =
         KNOWN_BY("2@example.com")},
    {.name = "not by others", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">"},
     .headers = {"Resent-Message-ID: <1@x>", "In-Reply-To: <2@x>", "References: <3@x>",
                 "Message-IDs: <4@x>", "Message: <5@x>"},
     .expected =
         KNOWN("id=- recipients=1")},
    {.name = "to several", .who = INSIDE, .sender = "<" ALICE ">",
     .recipients = {"<" BOB ">", "<carol@third.test>", "<{0 dave@example.com}>"},
     .expected =
         READS
         "sender {0 " ALICE "}\n"
         "remove <{0 dave@example.com}>\n"
         "add dave@example.com\n"
         HEADER "{evidence " ALICE "}\n"
         "accept\n"
         NOT_OURS(IN, ALICE, BOB)
         NOT_OURS(IN, ALICE, "carol@third.test")
         "verify client=" IN " from=<" ALICE "> rcpt=<{0 dave@example.com}> result=valid "
         "action=accept rule=tag\n"
         "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"
         "out " ALICE " id=- recipients=3\n"},
    {.name = "those that are taken out do not count", .who = INSIDE, .prepare = judge_our_own,
     .sender = "<mailer-daemon@example.com>",
     .recipients = {"<" BOB ">", "<a@reject.example>", "<a@discard.example>"},
     .expected =
         "wants headers, body, end\n"
         "remove <a@reject.example>\n"
         "remove <a@discard.example>\n"
         HEADER "{evidence mailer-daemon@example.com}\n"
         "accept\n"
         NOT_OURS(IN, "mailer-daemon@example.com", BOB)
         "verify client=" IN " from=<mailer-daemon@example.com> rcpt=<a@reject.example> "
         "result=missing class=dsn proof=none action=reject applied=removed rule=verify.action\n"
         "verify client=" IN " from=<mailer-daemon@example.com> rcpt=<a@discard.example> "
         "result=missing class=dsn proof=none action=discard applied=removed rule=verify.action\n"
         "sign-skip from=<mailer-daemon@example.com> reason=mailer-daemon\n"
         "out mailer-daemon@example.com id=- recipients=1\n"},
    {.name = "nor do those that were refused at RCPT", .who = INSIDE,
     .prepare = judge_our_own_at_rcpt, .sender = "<mailer-daemon@example.com>",
     .recipients = {"<a@reject.example>", "<" BOB ">"},
     .expected =
         "rcpt reject 550 5.7.1 not a bounce of mail from here\n"
         READS
         HEADER "{evidence mailer-daemon@example.com}\n"
         "accept\n"
         "verify client=" IN " from=<mailer-daemon@example.com> rcpt=<a@reject.example> "
         "result=missing class=- proof=none action=reject rule=verify.action\n"
         NOT_OURS(IN, "mailer-daemon@example.com", BOB)
         "sign-skip from=<mailer-daemon@example.com> reason=mailer-daemon\n"
         "out mailer-daemon@example.com id=- recipients=1\n"},
    {.name = "not where it is refused", .who = INSIDE, .prepare = judge_our_own,
     .sender = "<mailer-daemon@example.com>", .recipients = {"<a@reject.example>"},
     .headers = {"X-Batv-Evidence: x"},
     .expected =
         "wants headers, body, end\n"
         "reject 550 5.7.1 not a bounce of mail from here\n"
         "verify client=" IN " from=<mailer-daemon@example.com> rcpt=<a@reject.example> "
         "result=missing class=dsn proof=none action=reject rule=verify.action\n"},
    {.name = "nor where it is deferred", .who = INSIDE, .prepare = judge_our_own,
     .sender = "<mailer-daemon@example.com>", .recipients = {"<" BOB ">", "<a@tempfail.example>"},
     .expected =
         "wants headers, body, end\n"
         "tempfail 451 4.7.1 not a bounce of mail from here\n"
         "debug verify client=" IN " from=<mailer-daemon@example.com> rcpt=<" BOB "> "
         "result=not-ours action=accept applied=tempfail rule=not-ours\n"
         "verify client=" IN " from=<mailer-daemon@example.com> rcpt=<a@tempfail.example> "
         "result=missing class=dsn proof=none action=tempfail rule=verify.action\n"},
    {.name = "nor where it is discarded", .who = INSIDE, .prepare = judge_our_own,
     .sender = "<mailer-daemon@example.com>", .recipients = {"<a@discard.example>"},
     .expected =
         "wants headers, body, end\n"
         "discard\n"
         "verify client=" IN " from=<mailer-daemon@example.com> rcpt=<a@discard.example> "
         "result=missing class=dsn proof=none action=discard rule=verify.action\n"},
    {.name = "nor after an error of ours: no key to sign with", .who = INSIDE, .prepare = no_keys,
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"}, .headers = {"X-Batv-Evidence: x"},
     .expected =
         READS
         "tempfail 451 4.3.0 mail filter error, try again later\n"},
    {.name = "nor after an error of ours that lets it through", .who = INSIDE,
     .prepare = no_keys_accept, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence: x"},
     .expected =
         READS
         "accept\n"},
    {.name = "a ring without an evidence secret makes none, and the mail goes out", .who = INSIDE,
     .prepare = no_secret, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected = ALICE_TO_BOB("", ALICE " id=- recipients=1")},
    {.name = "where no header is made, no secret is needed", .who = INSIDE,
     .prepare = no_secret_no_header, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .headers = {"X-Batv-Evidence: {evidence " ALICE "}"},
     .expected =
         ALICE_TO_BOB("remove header X-Batv-Evidence 1\n", ALICE " id=- recipients=1")},
};
/* clang-format on */

START_TEST(test_messages)
{
    check_outgoing(&messages[_i]);
}
END_TEST

START_TEST(test_addresses)
{
    check_outgoing(&addresses[_i]);
}
END_TEST

START_TEST(test_copies)
{
    check_outgoing(&copies[_i]);
}
END_TEST

START_TEST(test_known)
{
    check_outgoing(&known[_i]);
}
END_TEST

/* ------------------------------------------------------------------ events */

static struct transaction *submission(const struct site *site, const struct client *client)
{
    struct transaction *t = transaction_new(&site->snapshot, client);
    ck_assert_ptr_nonnull(t);
    give_mail(t, "<" ALICE ">", NULL);
    give_rcpt(t, "<" BOB ">");
    return t;
}

/* Names that the host has for itself are known by the first of our domains, and get no tag. */
static const char *const own_names[] = {"<root@localhost>", "<root@[192.0.2.1]>",
                                        "<root@mx.example.test>", "<root>",
                                        "<ro\\ot(x)@LOCALHOST>"};

START_TEST(test_own_names)
{
    struct site *site = site_make();
    site_evidence(site);
    for (int inside = 0; inside < 2; inside++) {
        struct client client = client_of(inside != 0 ? INSIDE : OUTSIDE);
        size_t count;
        client.server = "mx.example.test";
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, own_names[_i], NULL);
        give_rcpt(t, "<" BOB ">");
        ck_assert_int_eq(transaction_goes_out(t), inside != 0);
        if (inside != 0) {
            give_answer_field(t, "From", "alice@localhost");
            give_answer_field(t, "Reply-To", "root@example.com");
            decide(t, site);
            const struct outgoing *outgoing = transaction_outgoing(t);
            ck_assert_uint_eq(outgoing->address_count, 2);
            ck_assert_str_eq(outgoing->addresses[0], "root@example.com");
            ck_assert_str_eq(outgoing->addresses[1], "alice@example.com");
            const struct effect *effects = transaction_effects(t, &count);
            ck_assert_uint_eq(count, 1);
            ck_assert_int_eq(effects[0].kind, EFFECT_ADD_HEADER);
        }
        transaction_free(t);
    }
    site_free(site);
}
END_TEST

/* However many copies a stranger writes, the first few that are not ours go. Those beyond the ones
 * that are looked at stay, be they ours or not, and prove nothing. */
START_TEST(test_very_many_copies)
{
    enum { MANY = 20000 };
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    site_evidence(site);
    struct transaction *t = submission(site, &client);
    for (int i = 0; i < MANY; i++) {
        give_header(t, site,
                    i % 2 == 0 ? "X-Batv-Evidence: {evidence " ALICE "}"
                               : "X-Batv-Evidence: {forged " ALICE "}");
    }
    decide(t, site);
    size_t count;
    const struct effect *effects = transaction_effects(t, &count);
    /* The sender, the header, and every other one of the first. */
    ck_assert_uint_eq(count, 2 + EFFECT_REMOVALS);
    for (size_t i = 1; i + 1 < count; i++) {
        ck_assert_int_eq(effects[i].kind, EFFECT_REMOVE_HEADER);
        ck_assert_uint_eq(effects[i].index, 2 * (EFFECT_REMOVALS + 1 - i));
    }
    ck_assert_int_eq(effects[count - 1].kind, EFFECT_ADD_HEADER);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* The last that is looked at is looked at. */
START_TEST(test_the_last_copy)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    site_evidence(site);
    struct transaction *t = submission(site, &client);
    for (int i = 0; i < OUTGOING_COPIES; i++) {
        give_header(t, site, "X-Batv-Evidence: {evidence " ALICE "}");
    }
    decide(t, site);
    size_t count;
    transaction_effects(t, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(transaction_outgoing(t)->copy_count, OUTGOING_COPIES);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* A value that would be ours but for its length, which nobody reads to its end. */
START_TEST(test_absurd_value)
{
    for (size_t more = 0; more < 2; more++) {
        struct site *site = site_make();
        struct client client = client_of(INSIDE);
        struct text value = {.used = 0};
        size_t count;
        site_evidence(site);
        expand(&value, site, "{evidence " ALICE "}");
        while (value.used < EVIDENCE_VALUE_MAX + more) {
            text_add(&value, " ");
        }
        struct transaction *t = submission(site, &client);
        give_field(t, EVIDENCE_NAME, value.out);
        decide(t, site);
        const struct effect *effects = transaction_effects(t, &count);
        ck_assert_uint_eq(transaction_outgoing(t)->copy_count, 1);
        ck_assert_int_eq(transaction_outgoing(t)->copies[0] == NULL, more == 1);
        ck_assert_uint_eq(count, 2 + more);
        ck_assert_int_eq(effects[1].kind, more ? EFFECT_REMOVE_HEADER : EFFECT_ADD_HEADER);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* Which address a copy was made for is known only when all of them are. */
START_TEST(test_copy_before_address)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    site_evidence(site);
    struct transaction *t = submission(site, &client);
    give_header(t, site, "X-Batv-Evidence: {evidence news@example.com}");
    give_answer_field(t, "Reply-To", "news@example.com");
    decide(t, site);
    size_t count;
    const struct effect *effects = transaction_effects(t, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(effects[1].kind, EFFECT_ADD_HEADER);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* Known after MAIL, before there is a recipient; nothing is known of the message before its end. */
START_TEST(test_goes_out)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    site_evidence(site);
    struct transaction *t = transaction_new(&site->snapshot, &client);
    ck_assert(!transaction_goes_out(t));
    give_mail(t, "<" ALICE ">", NULL);
    ck_assert(transaction_goes_out(t));
    ck_assert_uint_eq(transaction_wants(t), WANT_HEADERS | WANT_END);
    ck_assert_ptr_null(transaction_outgoing(t));
    give_rcpt(t, "<" BOB ">");
    ck_assert_ptr_null(transaction_outgoing(t));
    decide(t, site);
    const struct outgoing *outgoing = transaction_outgoing(t);
    ck_assert_ptr_nonnull(outgoing);
    ck_assert(outgoing->has_nonce);
    ck_assert_int_eq(memcmp(outgoing->nonce, site_nonces.evidence, EVIDENCE_NONCE), 0);
    ck_assert_ptr_nonnull(outgoing->value);
    transaction_free(t);

    t = submission(site, &client);
    site->no_nonce = true;
    decide(t, site);
    ck_assert(!transaction_outgoing(t)->has_nonce);
    ck_assert_ptr_null(transaction_outgoing(t)->value);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* Whatever was gathered, after an error of ours nothing goes out in our name. */
START_TEST(test_failure)
{
    for (int accept = 0; accept < 2; accept++) {
        struct site *site = site_make();
        struct client client = client_of(INSIDE);
        site_evidence(site);
        site->settings->on_error = accept ? ACTION_ACCEPT : ACTION_TEMPFAIL;
        struct transaction *t = submission(site, &client);
        give_header(t, site, "X-Batv-Evidence: {forged " ALICE "}");
        give_header(t, site, "Message-ID: <1@example.com>");
        transaction_fail(t);
        ck_assert(!transaction_goes_out(t));
        decide(t, site);
        size_t count;
        transaction_effects(t, &count);
        ck_assert_uint_eq(count, 0);
        ck_assert_int_eq(transaction_reply(t)->kind, accept ? REPLY_ACCEPT : REPLY_TEMPFAIL);
        ck_assert_ptr_null(transaction_outgoing(t));
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* What was gathered is freed, however far it came. */
START_TEST(test_aborted)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    site_evidence(site);
    struct transaction *t = submission(site, &client);
    give_header(t, site, "X-Batv-Evidence: {forged " ALICE "}");
    give_header(t, site, "Message-ID: <1@example.com>");
    give_answer_field(t, "Reply-To", "news@example.com");
    give_answer_field(t, "Reply-To", "NEWS@example.com");
    transaction_end(t, &(struct end_event){&site_nonces, now_of_site()});
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outgoing");
    add_table(suite, "messages", test_messages, COUNT_OF(messages));
    add_table(suite, "answer addresses", test_addresses, COUNT_OF(addresses));
    add_table(suite, "copies of the header", test_copies, COUNT_OF(copies));
    add_table(suite, "what it is known by", test_known, COUNT_OF(known));

    TCase *tcase = tcase_create("events");
    tcase_add_loop_test(tcase, test_own_names, 0, (int)COUNT_OF(own_names));
    tcase_add_test(tcase, test_very_many_copies);
    tcase_add_test(tcase, test_the_last_copy);
    tcase_add_test(tcase, test_absurd_value);
    tcase_add_test(tcase, test_copy_before_address);
    tcase_add_test(tcase, test_goes_out);
    tcase_add_test(tcase, test_failure);
    tcase_add_test(tcase, test_aborted);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
