/*
 * What proves that a returned message was ours: whole bounces, read by the reader of messages, to
 * recipients of the site of ../core/conversation.h, with a journal in memory. Each is written out
 * as a text, with {WHEN ADDRESS} for a tag and {evidence ADDRESS} for the header's value, and what
 * comes of it is a line for each recipient: class, proof, action and rule.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "../core/conversation.h"

#include "content/evidence_returned.h"
#include "content/evidence_sent.h"
#include "content/mime.h"

#define ALICE "alice@example.com"
#define NEWS  "news@example.com"
#define AT_A  "a@off.example"
#define VERP  "alice+far=other.test@example.com"

enum { OFF_EXAMPLE = 8, RETAIN = 30, ALLOWED = 23, MIB = 1024 * 1024, MAX_BODY = MIB };

/* All that a bounce is judged by, as batvd has it. */
struct desk {
    struct site *site;
    struct journal *journal;
    struct uses *uses;
    struct content_pool *pool;
    struct evidence_returned evidence;
    struct oracle_set oracles;
    int days;        /* from today until the end of each message */
    unsigned number; /* of the bounce: those of one number are tries of the same */
    bool explains;   /* nothing is claimed */
};

static struct desk desk;

static void setup(void)
{
    struct reason why = {""};
    mime_init();
    desk = (struct desk){.site = site_make(), .pool = content_pool_new(64 * MIB, 2)};
    ck_assert_ptr_nonnull(desk.pool);
    ck_assert_msg(journal_open(NULL, 0, 0, &desk.journal, &why) == STATUS_OK, "%s", why.text);
    site_evidence(desk.site);
    desk.uses = uses_new(desk.journal);
    ck_assert_ptr_nonnull(desk.uses);
    desk.evidence = (struct evidence_returned){.journal = desk.journal};
    evidence_returned_oracles(&desk.evidence, true, &desk.oracles);
}

static void teardown(void)
{
    uses_free(desk.uses);
    journal_close(desk.journal);
    content_pool_free(desk.pool);
    site_free(desk.site);
}

static void put_sent(const struct ring *ring, const char *address, const char *id, int days)
{
    journal_put(desk.journal, ring, address, id, ALLOWED, TODAY + days);
}

/* A class, proof, action and rule a recipient. */
static void add_verdicts(struct text *text, const struct transaction *t)
{
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    for (size_t i = 0; i < count && decisions[i].kind == DECISION_VERIFY; i++) {
        const struct verdict *verdict = &decisions[i].verdict;
        text_add(text, "%s %s %s %s\n", bounce_class_name(decisions[i].class),
                 verdict->proof != NULL ? verdict->proof : "-", action_name(verdict->action),
                 verdict->rule);
    }
}

/* Judges a bounce to these recipients (NULL-terminated). content NULL: it is not shown. */
static void judge(const char *const recipients[], struct content *content, struct text *text)
{
    struct client client = client_of(OUTSIDE);
    struct text refusals = {.used = 0};
    struct transaction *t = transaction_new(&desk.site->snapshot, &client);
    give_mail(t, "<>", NULL);
    for (size_t i = 0; recipients[i] != NULL; i++) {
        give_recipient(t, desk.site, recipients[i], &refusals);
    }
    if (desk.site->renews) {
        transaction_renew(t, desk.site->newer);
    }
    struct claims claims = {.uses = desk.uses};
    time_t now = noon_of(TODAY + desk.days);
    transaction_end(t, &(struct end_event){.now = now});
    oracle_decide(&desk.oracles, t, &(struct exhibits){content, desk.explains ? NULL : &claims});
    add_verdicts(text, t);
    claims_settle(&claims, transaction_reply(t)->kind == REPLY_ACCEPT, now);
    transaction_free(t);
}

static const struct ip nobody;

/* The message with a field that tells it from others. */
static void judge_message(const char *const recipients[], const char *message, struct text *text)
{
    static struct text expanded;
    struct content *content = content_new(desk.pool, MAX_BODY, &nobody);
    ck_assert_ptr_nonnull(content);
    expanded = (struct text){.used = 0};
    text_add(&expanded, "X-Number: %u\n", desk.number);
    expand(&expanded, desk.site, message);
    content_message(content, expanded.out, expanded.used);
    judge(recipients, content, text);
    content_free(content);
}

static void check(const char *name, const char *const recipients[], const char *message,
                  const char *expected)
{
    static struct text text;
    text = (struct text){.used = 0};
    desk.number++;
    judge_message(recipients, message, &text);
    ck_assert_msg(strcmp(text.out, expected) == 0, "%s:\n%s\nexpected:\n%s", name, text.out,
                  expected);
}

static void check_alice(const char *name, const char *message, const char *expected)
{
    check(name, (const char *const[]){"<" ALICE ">", NULL}, message, expected);
}

/* ------------------------------------------------------------------ bounces */

#define DSN(returned)                                                                              \
    "From: MAILER-DAEMON@other.test\n"                                                             \
    "Message-ID: <own@other.test>\n"                                                               \
    "MIME-Version: 1.0\n"                                                                          \
    "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n"                    \
    "\n"                                                                                           \
    "--b\n"                                                                                        \
    "Content-Type: text/plain\n"                                                                   \
    "\n"                                                                                           \
    "It could not be delivered.\n"                                                                 \
    "--b\n"                                                                                        \
    "Content-Type: message/delivery-status\n"                                                      \
    "\n"                                                                                           \
    "Reporting-MTA: dns; mx.other.test\n"                                                          \
    "\n"                                                                                           \
    "Final-Recipient: rfc822; bob@other.test\n"                                                    \
    "--b\n"                                                                                        \
    "Content-Type: text/rfc822-headers\n"                                                          \
    "\n" returned "\n"                                                                             \
    "--b--\n"
#define REPLY(fields)                                                                              \
    "From: bob@other.test\n"                                                                       \
    "Message-ID: <own@other.test>\n"                                                               \
    "Auto-Submitted: auto-replied\n" fields "\n"                                                   \
    "I am away.\n"
#define RECEIPT(fields)                                                                            \
    "From: bob@other.test\n"                                                                       \
    "Message-ID: <own@other.test>\n"                                                               \
    "MIME-Version: 1.0\n"                                                                          \
    "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n"           \
    "\n"                                                                                           \
    "--b\n"                                                                                        \
    "Content-Type: text/plain\n"                                                                   \
    "\n"                                                                                           \
    "It was read.\n"                                                                               \
    "--b\n"                                                                                        \
    "Content-Type: message/disposition-notification\n"                                             \
    "\n"                                                                                           \
    "Final-Recipient: rfc822; bob@other.test\n"                                                    \
    "Disposition: manual-action/MDN-sent-manually; displayed\n" fields "--b--\n"

#define ID         "Message-ID: <sent.1@example.com>\n"
#define EVIDENCE   "X-Batv-Evidence: "
#define BY(proof)  "dsn " proof " accept evidence." proof "\n"
#define NO_PROOF   "dsn none reject verify.action\n"
#define REPLY_NONE "autoreply none reject verify.action\n"

/* What was sent: sent.1@example.com by alice, sent.2@example.com by news. */
static const struct {
    const char *name;
    const char *recipients[4];
    const char *message;
    const char *expected;
} bounces[] = {
    /* A tag of ours for this very recipient. */
    {"a tag in the returned headers",
     {"<" ALICE ">"},
     DSN("Return-Path: <{0 " ALICE "}>"),
     BY("tag-in-body")},
    {"a tag of last week",
     {"<" ALICE ">"},
     DSN("Return-Path: <{-7 " ALICE "}>"),
     BY("tag-in-body")},
    {"in subaddress syntax",
     {"<" ALICE ">"},
     DSN("Return-Path: <{0 +" ALICE "}>"),
     BY("tag-in-body")},
    {"the recipient in another case",
     {"<Alice@EXAMPLE.com>"},
     DSN("Return-Path: <{0 aLICE@Example.Com}>"),
     BY("tag-in-body")},
    {"the recipient with a tag that is wrong",
     {"<{bad " ALICE "}>"},
     DSN("Return-Path: <{0 " ALICE "}>"),
     BY("tag-in-body")},
    {"the second of two tags",
     {"<" ALICE ">"},
     DSN("Return-Path: <{bad " ALICE "}>\nX-Envelope-From: <{0 " ALICE "}>"),
     BY("tag-in-body")},
    {"a tag for somebody else", {"<" ALICE ">"}, DSN("Return-Path: <{0 " NEWS "}>"), NO_PROOF},
    {"a tag for one of two",
     {"<" ALICE ">", "<" NEWS ">"},
     DSN("Return-Path: <{0 " NEWS "}>"),
     NO_PROOF BY("tag-in-body")},
    {"the same local part in another domain",
     {"<" ALICE ">"},
     DSN("Return-Path: <{0 alice@log.example}>"),
     NO_PROOF},
    {"an expired tag", {"<" ALICE ">"}, DSN("Return-Path: <{-9 " ALICE "}>"), NO_PROOF},
    {"a tag that we did not make",
     {"<" ALICE ">"},
     DSN("Return-Path: <{bad " ALICE "}>"),
     NO_PROOF},
    {"a tag by a key that nobody has",
     {"<" ALICE ">"},
     DSN("Return-Path: <{unknown " ALICE "}>"),
     NO_PROOF},
    {"a tag by a key that the ring does not know yet",
     {"<" ALICE ">"},
     DSN("Return-Path: <{next " ALICE "}>"),
     NO_PROOF},

    {"a tag with a VERP extension",
     {"<" ALICE ">"},
     DSN("Return-Path: <{0 " ALICE "~+far=other.test}>"),
     BY("tag-in-body")},
    {"the same to where it came from",
     {"<" VERP ">"},
     DSN("Return-Path: <{0 " ALICE "~+far=other.test}>"),
     BY("tag-in-body")},
    {"the same in subaddress syntax",
     {"<" VERP ">"},
     DSN("Return-Path: <{0 +" ALICE "~+far=other.test}>"),
     BY("tag-in-body")},
    {"a tag without one", {"<" VERP ">"}, DSN("Return-Path: <{0 " ALICE "}>"), BY("tag-in-body")},
    {"a tag with one for somebody else",
     {"<" ALICE ">"},
     DSN("Return-Path: <{0 " NEWS "~+far=other.test}>"),
     NO_PROOF},
    {"a tag for an address of VERP form is none for another",
     {"<" ALICE ">"},
     DSN("Return-Path: <{0 " VERP "}>"),
     NO_PROOF},

    /* The header. */
    {"the header", {"<" ALICE ">"}, DSN(EVIDENCE "{evidence " ALICE "}"), BY("header")},
    {"the header, the recipient in another case",
     {"<Alice@EXAMPLE.com>"},
     DSN(EVIDENCE "{evidence " ALICE "}"),
     BY("header")},
    {"the header, the recipient with an expired tag",
     {"<{-9 " ALICE "}>"},
     DSN(EVIDENCE "{evidence " ALICE "}"),
     BY("header")},
    {"the header for several",
     {"<" NEWS ">", "<" ALICE ">", "<bob@example.com>"},
     DSN(EVIDENCE "{evidence " ALICE "," NEWS "}"),
     BY("header") BY("header") NO_PROOF},
    {"the header by the former secret",
     {"<" ALICE ">"},
     DSN(EVIDENCE "{former " ALICE "}"),
     BY("header")},
    {"the second of two headers",
     {"<" ALICE ">"},
     DSN(EVIDENCE "{forged " ALICE "}\n" EVIDENCE "{evidence " ALICE "}"),
     BY("header")},
    {"the header of thirty days ago",
     {"<" ALICE ">"},
     DSN(EVIDENCE "{evidence-30 " ALICE "}"),
     BY("header")},
    {"of one more", {"<" ALICE ">"}, DSN(EVIDENCE "{evidence-31 " ALICE "}"), NO_PROOF},
    {"by nobody's secret", {"<" ALICE ">"}, DSN(EVIDENCE "{forged " ALICE "}"), NO_PROOF},
    {"for somebody else", {"<" ALICE ">"}, DSN(EVIDENCE "{evidence " NEWS "}"), NO_PROOF},
    {"tag, header and Message-ID: the first is named",
     {"<" ALICE ">"},
     DSN("Return-Path: <{0 " ALICE "}>\n" EVIDENCE "{evidence " ALICE "}\n" ID),
     BY("tag-in-body")},
    {"header and Message-ID",
     {"<" ALICE ">"},
     DSN(EVIDENCE "{evidence " ALICE "}\n" ID),
     BY("header")},

    {"the header, the recipient with a VERP extension",
     {"<" VERP ">"},
     DSN(EVIDENCE "{evidence " ALICE "}"),
     BY("header")},
    {"and with a tag that is wrong",
     {"<{bad " ALICE "~-far=other.test}>"},
     DSN(EVIDENCE "{evidence " ALICE "}"),
     BY("header")},
    {"the header for the address with its extension",
     {"<" VERP ">"},
     DSN(EVIDENCE "{evidence " VERP "}"),
     BY("header")},
    {"which is none for the one without",
     {"<" ALICE ">"},
     DSN(EVIDENCE "{evidence " VERP "}"),
     NO_PROOF},

    /* The journal. */
    {"a Message-ID, the recipient with a VERP extension", {"<" VERP ">"}, DSN(ID), BY("journal")},
    {"the same by another delimiter",
     {"<alice=x-y+z=other.test@example.com>"},
     DSN(ID),
     BY("journal")},
    {"an extension that is none of VERP's", {"<alice+far=other@example.com>"}, DSN(ID), NO_PROOF},
    {"the returned Message-ID", {"<" ALICE ">"}, DSN(ID), BY("journal")},
    {"the recipient in another case", {"<ALICE@Example.com>"}, DSN(ID), BY("journal")},
    {"the recipient with a tag that is wrong", {"<{bad " ALICE "}>"}, DSN(ID), BY("journal")},
    {"a Message-ID of somebody else's", {"<" NEWS ">"}, DSN(ID), NO_PROOF},
    {"a Message-ID of one of two", {"<" NEWS ">", "<" ALICE ">"}, DSN(ID), NO_PROOF BY("journal")},
    {"a Message-ID that was not sent",
     {"<" ALICE ">"},
     DSN("Message-ID: <sent.0@example.com>"),
     NO_PROOF},
    {"a Message-ID in another case",
     {"<" ALICE ">"},
     DSN("Message-ID: <Sent.1@example.com>"),
     NO_PROOF},
    {"In-Reply-To",
     {"<" ALICE ">"},
     REPLY("In-Reply-To: <sent.1@example.com>\n"),
     "autoreply journal accept evidence.journal\n"},
    {"References, of which one will do",
     {"<" ALICE ">"},
     REPLY("References: <x@other.test> <y@other.test>\n <sent.1@example.com> <z@other.test>\n"),
     "autoreply journal accept evidence.journal\n"},
    {"a receipt's Original-Message-ID",
     {"<" ALICE ">"},
     RECEIPT("Original-Message-ID: <sent.1@example.com>\n"),
     "mdn journal accept evidence.journal\n"},
    {"an answer to somebody who sent nothing",
     {"<" ALICE ">"},
     REPLY("In-Reply-To: <x@other.test>\n"),
     REPLY_NONE},
    {"an answer to nothing", {"<" ALICE ">"}, REPLY(""), REPLY_NONE},
    {"its own Message-ID proves nothing",
     {"<" ALICE ">"},
     "From: MAILER-DAEMON@other.test\n" ID "\nUndelivered.\n",
     NO_PROOF},
};

START_TEST(test_bounces)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    put_sent(desk.site->ring, NEWS, "sent.2@example.com", RETAIN + 1);
    check(bounces[_i].name, bounces[_i].recipients, bounces[_i].message, bounces[_i].expected);
}
END_TEST

/* A newer ring that was looked at before the end: its keys and its secrets. */
START_TEST(test_newer_ring)
{
    desk.site->renews = true;
    check_alice("a tag by its key", DSN("Return-Path: <{next " ALICE "}>"), BY("tag-in-body"));
    add_evidence_secret(desk.site->newer, 0x77);
    put_sent(desk.site->newer, ALICE, "sent.1@example.com", RETAIN + 1);
    check_alice("a Message-ID journalled by it", DSN(ID), BY("journal"));
    check_alice("a header by the secret before", DSN(EVIDENCE "{evidence " ALICE "}"),
                BY("header"));
    check_alice("a header by the one before that", DSN(EVIDENCE "{former " ALICE "}"), NO_PROOF);
    desk.site->renews = false;
    check_alice("without it", DSN(ID), NO_PROOF);
}
END_TEST

START_TEST(test_journalled_by_the_former_secret)
{
    put_sent(desk.site->former, ALICE, "sent.1@example.com", RETAIN + 1);
    check_alice("former", DSN(ID), BY("journal"));
    put_sent(desk.site->forger, ALICE, "sent.2@example.com", RETAIN + 1);
    check_alice("another", DSN("Message-ID: <sent.2@example.com>"), NO_PROOF);
}
END_TEST

START_TEST(test_journalled_too_long_ago)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", 1);
    check_alice("its last day", DSN(ID), BY("journal"));
    put_sent(desk.site->ring, ALICE, "sent.2@example.com", 0);
    check_alice("the day after", DSN("Message-ID: <sent.2@example.com>"), NO_PROOF);
}
END_TEST

/* --------------------------------------------------------------------- uses */

static void check_times(unsigned times, const char *name, const char *message, const char *expected)
{
    for (unsigned i = 0; i < times; i++) {
        check_alice(name, message, expected);
    }
}

#define USED_UP "dsn exhausted reject verify.action\n"

START_TEST(test_journal_uses)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    put_sent(desk.site->ring, ALICE, "sent.2@example.com", RETAIN + 1);
    put_sent(desk.site->ring, NEWS, "sent.1@example.com", RETAIN + 1);
    check_times(ALLOWED, "within its uses", DSN(ID), BY("journal"));
    check_times(3, "beyond", DSN(ID), USED_UP);
    check("another address has its own", (const char *const[]){"<" NEWS ">", NULL}, DSN(ID),
          BY("journal"));
    check_alice("another message has its own", DSN("Message-ID: <sent.2@example.com>"),
                BY("journal"));
    check_alice("one used up, one not", DSN(ID "References: <sent.2@example.com>"), BY("journal"));
}
END_TEST

/* A mailbox is counted once, however many recipients name it. */
START_TEST(test_uses_by_mailbox)
{
    static const char *const names[] = {"<" ALICE ">", "<{unknown " ALICE "}>",
                                        "<ALICE@Example.com>"};
    const char *thirty[31] = {NULL};
    for (size_t i = 0; i < 30; i++) {
        thirty[i] = names[i % COUNT_OF(names)];
    }
    static struct text expected;
    expected = (struct text){.used = 0};
    for (size_t i = 0; i < 30; i++) {
        text_add(&expected, "%s", BY("journal"));
    }
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    check("thirty names", thirty, DSN(ID), expected.out);
    check_times(ALLOWED - 1, "that was one use", DSN(ID), BY("journal"));
    check_alice("and these the others", DSN(ID), USED_UP);
}
END_TEST

/* A VERP extension is the far end's to choose: what is counted is uses of the address that was sent
 * by, whatever stands behind it. */
START_TEST(test_uses_with_verp_extensions)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    for (int i = 0; i < ALLOWED + 3; i++) {
        char rcpt[64];
        snprintf(rcpt, sizeof rcpt, "<alice+far%d=other.test@example.com>", i);
        check("journal", (const char *const[]){rcpt, NULL}, DSN(ID),
              i < ALLOWED ? BY("journal") : USED_UP);
    }
    check_alice("without", DSN(ID), USED_UP);
    put_sent(desk.site->ring, VERP, "sent.1@example.com", RETAIN + 1);
    check("its own", (const char *const[]){"<" VERP ">", NULL}, DSN(ID), BY("journal"));
    check("another", (const char *const[]){"<alice+x=y.test@example.com>", NULL}, DSN(ID), USED_UP);
}
END_TEST

START_TEST(test_header_uses_with_verp_extensions)
{
    for (int i = 0; i < ALLOWED + 3; i++) {
        char rcpt[64];
        snprintf(rcpt, sizeof rcpt, "<alice-far%d=other.test@example.com>", i);
        check("header", (const char *const[]){rcpt, NULL}, DSN(EVIDENCE "{evidence " ALICE "}"),
              i < ALLOWED ? BY("header") : USED_UP);
    }
    check_alice("without", DSN(EVIDENCE "{evidence " ALICE "}"), USED_UP);
}
END_TEST

/* What has to be known of an address that never gets a tag stands under the sender. */
START_TEST(test_untaggable_with_a_verp_extension)
{
    static const char nothing[] = "From: MAILER-DAEMON@other.test\n\nUndelivered.\n";
    static const char accepted[] = "dsn none accept untaggable\n";
    journal_note_put(desk.journal, desk.site->ring, ALICE, EVIDENCE_UNTAGGABLE, 1,
                     TODAY + RETAIN + 1);
    check("sender", (const char *const[]){"<" ALICE ">", NULL}, nothing, accepted);
    check("VERP", (const char *const[]){"<" VERP ">", NULL}, nothing, accepted);
    check("another", (const char *const[]){"<" NEWS ">", NULL}, nothing, NO_PROOF);
    check("what it names", (const char *const[]){"<" VERP ">", NULL},
          DSN("Message-ID: <x@other.test>"), NO_PROOF);
}
END_TEST

/* Each mailbox is counted for itself. */
START_TEST(test_uses_of_two_mailboxes)
{
    static const char *const two[] = {"<" ALICE ">", "<" NEWS ">", NULL};
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    put_sent(desk.site->ring, NEWS, "sent.1@example.com", RETAIN + 1);
    for (int i = 0; i < ALLOWED; i++) {
        check("both", two, DSN(ID), BY("journal") BY("journal"));
    }
    check("both", two, DSN(ID), USED_UP USED_UP);
}
END_TEST

/* -------------------------------------------------------------------- tries */

/* The bounce of that number, with these fields on top, comes once (more). */
static void try_again(const char *name, unsigned number, const char *fields, const char *message,
                      const char *expected)
{
    static struct text whole;
    whole = (struct text){.used = 0};
    text_add(&whole, "%s%s", fields, message);
    desk.number = number - 1;
    check_alice(name, whole.out, expected);
}

enum { SAME = 1000000 };

/* Somebody behind us puts it off each time: it is let in thirty times, and counted once. */
START_TEST(test_tries_of_one_bounce)
{
    const char *message = _i == 0 ? DSN(ID) : DSN(EVIDENCE "{evidence " ALICE "}");
    const char *proof = _i == 0 ? BY("journal") : BY("header");
    if (_i == 0) {
        put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    }
    for (int i = 0; i < 30; i++) {
        try_again("a try", SAME, "", message, proof);
    }
    desk.number = 0;
    check_times(ALLOWED - 1, "others", message, proof);
    check_alice("and no more of them", message, USED_UP);
    try_again("the first is still known", SAME, "", message, proof);
    check("by another mailbox it is not", (const char *const[]){"<" NEWS ">", NULL}, message,
          NO_PROOF);
}
END_TEST

/* A hundred tries more are the same bounce, within six days; beyond that each is another one. */
START_TEST(test_number_of_tries)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    for (int i = 0; i < 1 + 100; i++) {
        try_again("a try", SAME, "", DSN(ID), BY("journal"));
    }
    for (int i = 1; i < ALLOWED; i++) {
        try_again("counted", SAME, "", DSN(ID), BY("journal"));
    }
    try_again("used up", SAME, "", DSN(ID), USED_UP);
}
END_TEST

START_TEST(test_days_of_tries)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    try_again("the first", SAME, "", DSN(ID), BY("journal"));
    desk.number = 0;
    check_times(ALLOWED - 1, "others", DSN(ID), BY("journal"));
    desk.days = 6;
    try_again("six days later", SAME, "", DSN(ID), BY("journal"));
    desk.days = 7;
    try_again("seven days later", SAME, "", DSN(ID), USED_UP);
}
END_TEST

/* The own Message-ID is the same in all of them, which is for a forger to choose. */
START_TEST(test_fifty_forged_bounces_with_one_own_id)
{
    unsigned accepted = 0;
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    for (unsigned i = 0; i < 50; i++) {
        struct text text = {.used = 0};
        char message[2048];
        snprintf(message, sizeof message, "%s\nVisit us: %u\n", DSN(ID), i);
        desk.number = SAME;
        judge_message((const char *const[]){"<" ALICE ">", NULL}, message, &text);
        accepted += strcmp(text.out, BY("journal")) == 0;
    }
    ck_assert_uint_eq(accepted, ALLOWED);
}
END_TEST

/* One that is put off or refused, here by another recipient's proof that is not there, uses nothing
 * up. */
START_TEST(test_only_what_is_let_in_counts)
{
    static const char *const two[] = {"<" ALICE ">", "<a@tempfail.example>", NULL};
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    for (int i = 0; i < 2 * ALLOWED; i++) {
        check("put off", two, DSN(ID), BY("journal") "dsn none tempfail verify.action\n");
    }
    check_times(ALLOWED, "none is used up", DSN(ID), BY("journal"));
    check_alice("now they are", DSN(ID), USED_UP);
}
END_TEST

/* What is claimed but not settled is kept from others: they come again. */
START_TEST(test_claims_at_one_time)
{
    struct message_use use;
    struct claims claims[ALLOWED + 1];
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    ck_assert_int_eq(evidence_look(desk.journal, desk.site->ring, ALICE, "sent.1@example.com",
                                   now_of_site(), &use),
                     JOURNAL_YES);
    const struct proof proof = {
        .ring = desk.site->ring, .address = ALICE, .name = use.name, .allowed = ALLOWED};
    for (int i = 0; i <= ALLOWED; i++) {
        claims[i] = (struct claims){.uses = desk.uses};
        ck_assert_int_eq(claims_add(&claims[i], &proof, NULL, now_of_site()),
                         i < ALLOWED ? ANSWER_YES : ANSWER_OVERLOADED);
    }
    check_alice("deferred", DSN(ID), "dsn none tempfail evidence.journal\n");
    claims_settle(&claims[0], false, now_of_site());
    check_alice("one was dropped", DSN(ID), BY("journal"));
    for (int i = 1; i <= ALLOWED; i++) {
        claims_settle(&claims[i], i % 2 != 0, now_of_site());
    }
    check_times(ALLOWED / 2, "every second was dropped", DSN(ID), BY("journal"));
    check_alice("used up", DSN(ID), USED_UP);
}
END_TEST

/* No Message-ID is a note's name, whatever stands in it. */
START_TEST(test_notes_are_no_message_ids)
{
    char name[EVIDENCE_USE_NAME];
    evidence_use_name("0123456789abcdef", false, name);
    journal_note_put(desk.journal, desk.site->ring, ALICE, name, ALLOWED, TODAY + RETAIN + 1);
    check_alice("named", DSN("Message-ID: <evidence:0123456789abcdef>"), NO_PROOF);
}
END_TEST

/* ----------------------------------------------------------- the header's */

/* A bounce that returns the header of the message with this Message-ID, and all of text. */
static void add_returned(struct text *out, const char *message_id, const char *text)
{
    static const char *const addresses[] = {ALICE, NEWS};
    uint8_t nonce[EVIDENCE_NONCE];
    char *value = NULL;
    ck_assert_int_eq(evidence_nonce(desk.site->ring, 0, message_id, nonce), STATUS_OK);
    ck_assert_int_eq(evidence_format(desk.site->ring, addresses, 2, nonce, now_of_site(), &value),
                     STATUS_OK);
    text_add(out, DSN(EVIDENCE "%s\n%s"), value, text);
    free(value);
}

/* A message's Message-ID and its header are one proof: whoever shows them apart gains nothing. */
static const struct {
    const char *name;
    size_t by_header, by_both, by_id; /* bounces, in this order */
} shares[] = {
    {"the header alone", ALLOWED, 0, 0},     {"the Message-ID alone", 0, 0, ALLOWED},
    {"both together", 0, ALLOWED, 0},        {"the header, then the rest", 7, 7, 9},
    {"both, then the Message-ID", 0, 22, 1},
};

START_TEST(test_message_id_and_header_are_one_count)
{
    struct text header = {.used = 0};
    struct text both = {.used = 0};
    add_returned(&header, "sent.1@example.com", "");
    add_returned(&both, "sent.1@example.com", ID);
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    check_times((unsigned)shares[_i].by_header, shares[_i].name, header.out, BY("header"));
    check_times((unsigned)shares[_i].by_both, shares[_i].name, both.out, BY("header"));
    check_times((unsigned)shares[_i].by_id, shares[_i].name, DSN(ID), BY("journal"));
    check_alice("beyond, by the Message-ID", DSN(ID), USED_UP);
    check_alice("beyond, by the header", header.out, USED_UP);
    check_alice("beyond, by both", both.out, USED_UP);
    check("another address has its own", (const char *const[]){"<" NEWS ">", NULL}, header.out,
          BY("header"));
}
END_TEST

/* As many as its recipients allow, whichever of the two comes back first. */
START_TEST(test_uses_of_many_recipients)
{
    struct text header = {.used = 0};
    char name[EVIDENCE_USE_NAME];
    char hex[EVIDENCE_NONCE_HEX];
    uint8_t nonce[EVIDENCE_NONCE];
    journal_put(desk.journal, desk.site->ring, ALICE, "sent.1@example.com", 3 * ALLOWED,
                TODAY + RETAIN + 1);
    ck_assert_int_eq(evidence_nonce(desk.site->ring, 0, "sent.1@example.com", nonce), STATUS_OK);
    evidence_nonce_format(nonce, hex);
    evidence_use_name(hex, true, name);
    journal_note_put(desk.journal, desk.site->ring, ALICE, name, 3 * ALLOWED, TODAY + RETAIN + 1);
    add_returned(&header, "sent.1@example.com", "");
    check_times(2 * ALLOWED, "the header", header.out, BY("header"));
    check_times(ALLOWED, "the Message-ID", DSN(ID), BY("journal"));
    check_alice("beyond", DSN(ID), USED_UP);
}
END_TEST

/* The uses of a message sent under the former secret are counted by that one. */
START_TEST(test_uses_by_the_former_secret)
{
    struct ring *former = ring_copy(desk.site->ring);
    struct text header = {.used = 0};
    struct secret none = {.length = 0};
    ck_assert_int_eq(ring_set_evidence(former, &desk.site->ring->evidence_previous, &none),
                     STATUS_OK);
    put_sent(former, ALICE, "sent.1@example.com", RETAIN + 1);
    struct ring *present = desk.site->ring;
    desk.site->ring = former;
    add_returned(&header, "sent.1@example.com", "");
    desk.site->ring = present;
    ring_free(former);
    check_times(10, "the header", header.out, BY("header"));
    check_times(ALLOWED - 10, "the Message-ID", DSN(ID), BY("journal"));
    check_alice("beyond", header.out, USED_UP);
}
END_TEST

/* Another message's Message-ID that is used up does not stand in the header's way, nor one in
 * References in that of the next. */
START_TEST(test_beside_one_used_up)
{
    struct text header = {.used = 0};
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    put_sent(desk.site->ring, ALICE, "other@example.com", RETAIN + 1);
    add_returned(&header, "other@example.com", ID);
    check_times(ALLOWED, "used up", DSN(ID), BY("journal"));
    check_alice("its header", header.out, BY("header"));
    check_alice("a Message-ID behind it", DSN(ID "\nReferences: <other@example.com>"),
                BY("journal"));
}
END_TEST

/* A bounce is one use, however many copies of the header it shows. */
START_TEST(test_header_uses_by_bounce)
{
    check_times(ALLOWED, "two copies",
                DSN(EVIDENCE "{evidence " ALICE "}\n" EVIDENCE "{former " ALICE "}"), BY("header"));
    check_alice("beyond", DSN(EVIDENCE "{evidence " ALICE "}"), USED_UP);
}
END_TEST

/* One header used up does not stand in another's way. */
START_TEST(test_header_beside_one_used_up)
{
    static const uint8_t other_nonce[EVIDENCE_NONCE] = {1};
    static const char *const list[] = {ALICE};
    char *other = NULL;
    struct text before = {.used = 0};
    struct text behind = {.used = 0};
    ck_assert_int_eq(evidence_format(desk.site->ring, list, 1, other_nonce, now_of_site(), &other),
                     STATUS_OK);
    text_add(&before, DSN(EVIDENCE "%s\n" EVIDENCE "{evidence " ALICE "}"), other);
    text_add(&behind, DSN(EVIDENCE "{evidence " ALICE "}\n" EVIDENCE "%s"), other);
    free(other);
    check_times(ALLOWED, "used up", DSN(EVIDENCE "{evidence " ALICE "}"), BY("header"));
    check_times(ALLOWED / 2, "behind it", behind.out, BY("header"));
    check_times(ALLOWED - ALLOWED / 2, "before it", before.out, BY("header"));
    check_alice("behind it", behind.out, USED_UP);
    check_alice("before it", before.out, USED_UP);
}
END_TEST

/* Uses are known for as long as the header is valid. */
START_TEST(test_header_uses_for_thirty_days)
{
    check_times(ALLOWED, "today", DSN(EVIDENCE "{evidence " ALICE "}"), BY("header"));
    desk.days = RETAIN;
    check_alice("the last day", DSN(EVIDENCE "{evidence " ALICE "}"), USED_UP);
    desk.days = RETAIN + 1;
    check_alice("the day after", DSN(EVIDENCE "{evidence " ALICE "}"), NO_PROOF);
}
END_TEST

/* Else they are the nonce's. */
START_TEST(test_header_uses_by_nonce)
{
    check_times(10, "without a Message-ID", DSN(EVIDENCE "{evidence " ALICE "}"), BY("header"));
    check_times(ALLOWED - 10, "with one that was replaced",
                DSN(EVIDENCE "{evidence " ALICE "}\nMessage-ID: <relay@other.test>"), BY("header"));
    check_times(2, "beyond", DSN(EVIDENCE "{evidence " ALICE "}"), USED_UP);
    check("another address has its own", (const char *const[]){"<" NEWS ">", NULL},
          DSN(EVIDENCE "{evidence " ALICE "," NEWS "}"), BY("header"));
}
END_TEST

/* Without a journal of what is sent, uses are counted all the same. */
START_TEST(test_header_uses_without_journal)
{
    desk.site->settings->evidence.journal = false;
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    check_times(ALLOWED, "within its uses", DSN(EVIDENCE "{evidence " ALICE "}\n" ID),
                BY("header"));
    check_alice("beyond", DSN(EVIDENCE "{evidence " ALICE "}\n" ID), USED_UP);
    check_alice("the journal is not asked", DSN(ID), NO_PROOF);
}
END_TEST

/* To explain uses up nothing, but tells of what is used up. */
START_TEST(test_explaining_counts_nothing)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    desk.explains = true;
    check_times(2 * ALLOWED, "the journal", DSN(ID), BY("journal"));
    check_times(2 * ALLOWED, "the header", DSN(EVIDENCE "{evidence " ALICE "}"), BY("header"));
    check_times(2 * ALLOWED, "both", DSN(EVIDENCE "{evidence " ALICE "}\n" ID), BY("header"));
    desk.explains = false;
    check_times(ALLOWED, "the journal", DSN(ID), BY("journal"));
    check_times(ALLOWED, "the header", DSN(EVIDENCE "{evidence " ALICE "}"), BY("header"));
    desk.explains = true;
    check_alice("the journal is used up", DSN(ID), USED_UP);
    check_alice("the header is used up", DSN(EVIDENCE "{evidence " ALICE "}"), USED_UP);
}
END_TEST

START_TEST(test_no_journal)
{
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    desk.evidence.journal = NULL;
    check_alice("it cannot be asked", DSN(ID), "dsn none tempfail evidence.journal\n");
    check_alice("nor if there is nothing to ask", REPLY(""),
                "autoreply none tempfail evidence.journal\n");
    check_times(2 * ALLOWED, "the header proves without it",
                DSN(EVIDENCE "{evidence " ALICE "}\n" ID), BY("header"));
    check_alice("so does a tag", DSN("Return-Path: <{0 " ALICE "}>\n"), BY("tag-in-body"));
    desk.site->settings->evidence.journal = false;
    check_alice("it is not to be asked", DSN(ID), NO_PROOF);
}
END_TEST

/* One that cannot be read, as its file is a folder: what was put since then is known, of all else
 * nothing can be said. */
START_TEST(test_unreadable_journal)
{
    char folder[] = "/tmp/batv-evidence.XXXXXX";
    char path[64];
    struct reason why;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/journal.db", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    struct journal *memory = desk.journal;
    ck_assert_int_eq(journal_open(folder, 64 * MIB, 30, &desk.journal, &why), STATUS_OK);
    desk.evidence.journal = desk.journal;
    struct uses *uses = desk.uses;
    desk.uses = uses_new(desk.journal);
    ck_assert_ptr_nonnull(desk.uses);
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    check_alice("known", DSN(ID), BY("journal"));
    check_alice("unknown", DSN("Message-ID: <sent.2@example.com>"),
                "dsn none tempfail evidence.journal\n");
    check_alice("unknown, with the header",
                DSN("Message-ID: <sent.2@example.com>\n" EVIDENCE "{evidence " ALICE "}"),
                BY("header"));
    uses_free(desk.uses);
    journal_close(desk.journal);
    desk.uses = uses;
    desk.journal = memory;
    rmdir(path);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* ---------------------------------------------------------------- patterns */

static const struct {
    const char *name;
    const char *message;
    const char *expected;
} patterns[] = {
    {"a match", DSN("Message-ID: <1.abcdef@OFF.example>"), BY("pattern")},
    {"one match will do", REPLY("References: <x@other.test> <2.abcdef@off.example>\n"),
     "autoreply pattern accept evidence.pattern\n"},
    {"none", DSN("Message-ID: <1.abcdef@other.test>"), NO_PROOF},
    {"nearly", DSN("Message-ID: <1.abcde@off.example>"), NO_PROOF},
    {"its own proves nothing",
     "From: MAILER-DAEMON@other.test\nMessage-ID: <1.abcdef@off.example>\n\nUndelivered.\n",
     "dsn none log sign.enabled\n"},
    {"nothing is named",
     "From: MAILER-DAEMON@other.test\nMessage-ID: <own@other.test>\n\nUndelivered.\n",
     "dsn none log sign.enabled\n"},
};

START_TEST(test_patterns)
{
    static const char *const recipients[] = {"<" AT_A ">", NULL};
    desk.site->settings->domain[OFF_EXAMPLE].message_ids =
        REGEXES("^[0-9]+\\.[a-f]{6}@off\\.example$", "^never$");
    check(patterns[_i].name, recipients, patterns[_i].message, patterns[_i].expected);
}
END_TEST

/* What only looks like a Message-ID, as an address may, is no ground to refuse: a bounce that names
 * no message for certain is logged. */
START_TEST(test_address_is_no_name)
{
    static const char *const texts[] = {
        "Your message to <bob@other.test> could not be delivered.\n",
        "<bob.smith.1984@other.test>: user unknown\n",
    };
    static const char *const recipients[] = {"<" AT_A ">", NULL};
    desk.site->settings->domain[OFF_EXAMPLE].message_ids = REGEXES("^[0-9]+\\.[a-f]{6}@off\\.ex");
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char message[400];
        snprintf(message, sizeof message,
                 "From: MAILER-DAEMON@other.test\nMessage-ID: <own@other.test>\n\n%s", texts[i]);
        check("an address", recipients, message, "dsn none log sign.enabled\n");
    }
}
END_TEST

/* ------------------------------------------------------------- not readable */

static const char *const three[] = {"<" ALICE ">", "<a@log.example>", "<" AT_A ">", NULL};

START_TEST(test_not_shown)
{
    struct text text = {.used = 0};
    desk.site->settings->domain[OFF_EXAMPLE].message_ids = REGEXES("x");
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    judge(three, NULL, &text);
    ck_assert_str_eq(text.out, "- none tempfail evidence.tag-in-body\n- none log verify.action\n"
                               "- none log sign.enabled\n");
}
END_TEST

START_TEST(test_overloaded)
{
    static const char message[] = DSN(ID);
    struct text text = {.used = 0};
    struct content_pool *none = content_pool_new(0, 1);
    desk.site->settings->domain[OFF_EXAMPLE].message_ids = REGEXES("x");
    struct content *content = content_new(none, MAX_BODY, &nobody);
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    content_message(content, message, sizeof message - 1);
    judge(three, content, &text);
    ck_assert_str_eq(text.out, "- none tempfail evidence.tag-in-body\n- none log verify.action\n"
                               "- none log sign.enabled\n");
    content_free(content);
    content_pool_free(none);
}
END_TEST

/* A message has so many look-ups for all of its recipients together. */
START_TEST(test_look_ups)
{
    static const char message[] = DSN("References: <x@other.test> <y@other.test>\n" ID);
    for (int left = 0; left < 5; left++) {
        struct text text = {.used = 0};
        struct content *content = content_new(desk.pool, MAX_BODY, &nobody);
        int had = 0;
        put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
        while (content_may_look_up(content)) {
            had++;
        }
        content_free(content);
        content = content_new(desk.pool, MAX_BODY, &nobody);
        for (int i = 0; i < had - left; i++) {
            ck_assert(content_may_look_up(content));
        }
        content_message(content, message, sizeof message - 1);
        judge((const char *const[]){"<" ALICE ">", NULL}, content, &text);
        /* Labelled as it is it comes first. Without a look-up it may have been the one. */
        ck_assert_str_eq(text.out,
                         left >= 1 ? BY("journal") : "dsn none tempfail evidence.journal\n");
        content_free(content);
    }
}
END_TEST

/* Ten clumsy patterns, 200 Message-IDs made for them, 25 recipients of two domains. */
START_TEST(test_patterns_go_from_the_budget)
{
    enum { IDS = 200, RECIPIENTS = 25 };
    static char message[IDS * 200];
    static char names[RECIPIENTS][40];
    const char *recipients[RECIPIENTS + 1] = {NULL};
    struct text text = {.used = 0};
    struct timespec from, to;
    size_t used = (size_t)snprintf(message, sizeof message,
                                   "From: MAILER-DAEMON@other.test\nMessage-ID: <own@other.test>\n"
                                   "\n");
    for (int i = 0; i < IDS; i++) {
        used +=
            (size_t)snprintf(message + used, sizeof message - used, "Message-ID: <%0150d@x>\n", i);
    }
    for (char *p = strstr(message, "\n\n"); *p != '\0'; p++) {
        *p = *p == '0' ? 'a' : *p;
    }
    for (int i = 0; i < RECIPIENTS; i++) {
        snprintf(names[i], sizeof names[i], "<a%d@off.example>", i);
        recipients[i] = names[i];
    }
    desk.site->settings->evidence.journal = false;
    desk.site->settings->domain[OFF_EXAMPLE].message_ids =
        REGEXES("^(a+)+b1", "^(a+)+b2", "^(a+)+b3", "^(a+)+b4", "^(a+)+b5", "^(a+)+b6", "^(a+)+b7",
                "^(a+)+b8", "^(a+)+b9", "^(a+)+b0");
    struct content *content = content_new(desk.pool, MAX_BODY, &nobody);
    content_message(content, message, used);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    judge(recipients, content, &text);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    for (const char *line = text.out; *line != '\0'; line = strchr(line, '\n') + 1) {
        ck_assert_msg(strncmp(line, "dsn none tempfail evidence.", 27) == 0, "%s", line);
    }
    double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    ck_assert_msg(seconds < 1, "%.2f s", seconds);
    content_free(content);
}
END_TEST

/* Text that costs more than its budget has: what was found before counts, and the lack of anything
 * proves nothing. */
START_TEST(test_a_used_up_budget_never_rejects)
{
    static const char *const answers[] = {"other none tempfail evidence.tag-in-body\n",
                                          "other journal accept evidence.journal\n"};
    static const char *const ids[] = {"<unknown@example.com>", "<sent.1@example.com>"};
    static char message[MAX_BODY];
    put_sent(desk.site->ring, ALICE, "sent.1@example.com", RETAIN + 1);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct text text = {.used = 0};
        struct content *content = content_new(desk.pool, MAX_BODY, &nobody);
        const struct bounce *bounce;
        size_t used = (size_t)snprintf(message, sizeof message,
                                       "From: bob@other.test\nIn-Reply-To: %s\n"
                                       "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n",
                                       ids[i]);
        while (used + 200 < sizeof message) {
            used +=
                (size_t)snprintf(message + used, sizeof message - used,
                                 "=3Dprvs=1234abcdef=&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;"
                                 "&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;&#1;");
        }
        content_message(content, message, used);
        judge((const char *const[]){"<" ALICE ">", NULL}, content, &text);
        ck_assert_int_eq(content_read(content, &bounce), CONTENT_READ);
        ck_assert(!content_searched(content));
        ck_assert_str_eq(text.out, answers[i]);
        content_free(content);
    }
}
END_TEST

START_TEST(test_class_oracle)
{
    struct client client = client_of(OUTSIDE);
    struct content *content = content_new(desk.pool, MAX_BODY, &nobody);
    static const char message[] = RECEIPT("");
    content_message(content, message, sizeof message - 1);
    for (size_t i = 0; i < desk.site->settings->domain_count; i++) {
        desk.site->settings->domain[i].classes[BOUNCE_MDN] = ACTION_LOG;
    }
    struct transaction *t = transaction_new(&desk.site->snapshot, &client);
    give_mail(t, "<>", NULL);
    give_rcpt(t, "<" ALICE ">");
    struct question question;
    struct exhibits exhibits = {NULL, NULL};
    transaction_question(t, FACT_CLASS, 0, &question);
    struct finding finding = oracle_ask(&desk.oracles, &question, &exhibits);
    ck_assert_int_eq(finding.answer, ANSWER_UNAVAILABLE);
    ck_assert(!finding.read);
    exhibits.content = content;
    finding = oracle_ask(&desk.oracles, &question, &exhibits);
    ck_assert_int_eq(finding.answer, ANSWER_YES);
    ck_assert(finding.read);
    ck_assert_int_eq(finding.class, BOUNCE_MDN);
    give_end(t);
    oracle_decide(&desk.oracles, t, &exhibits);
    struct text text = {.used = 0};
    add_verdicts(&text, t);
    ck_assert_str_eq(text.out, "mdn none log verify.class.mdn\n");
    transaction_free(t);
    content_free(content);
}
END_TEST

/* --------------------------------------------------------------- there and back */

/* Alice sends with these fields to so many recipients; *value becomes the header's value. */
static void send_from_alice(const char *const fields[][2], size_t recipients, struct text *value)
{
    struct client client = client_of(INSIDE);
    struct transaction *t = transaction_new(&desk.site->snapshot, &client);
    give_mail(t, "<" ALICE ">", NULL);
    for (size_t i = 0; i < recipients; i++) {
        char raw[40];
        snprintf(raw, sizeof raw, "<r%zu@other.test>", i);
        give_rcpt(t, raw);
    }
    for (size_t i = 0; fields[i][0] != NULL; i++) {
        evidence_sent_header(t, fields[i][0], fields[i][1]);
    }
    struct nonces nonces;
    const struct end_event end = {evidence_sent_nonces(t, &nonces), now_of_site()};
    transaction_end(t, &end);
    oracle_decide(&desk.oracles, t, &(struct exhibits){NULL, NULL});
    ck_assert_ptr_nonnull(transaction_outgoing(t));
    evidence_sent_record(desk.journal, t, &desk.site->snapshot, now_of_site());
    text_add(value, "%s", transaction_outgoing(t)->value);
    transaction_free(t);
}

START_TEST(test_sent_and_returned)
{
    static const char *const fields[][2] = {
        {"Message-ID", " <sent.1@\n\texample.com>"},
        {"From", "\"The News\" <News@example.com>"},
        {"Reply-To", "Bob <bob@other.test>, lists: carol@example.net;"},
        {"Disposition-Notification-To", "Alice <receipts@example.com>"},
        {"Subject", "dave@example.com"},
        {NULL, NULL},
    };
    struct text value = {.used = 0};
    struct text message = {.used = 0};
    static const char *const recipients[] = {"<" ALICE ">",         "<" NEWS ">",
                                             "<carol@example.net>", "<receipts@example.com>",
                                             "<dave@example.com>",  NULL};
    desk.site->settings->domain[1].action = ACTION_REJECT; /* example.net waits */
    send_from_alice(fields, 2, &value);
    check("by the journal", recipients, DSN(ID),
          BY("journal") BY("journal") BY("journal") BY("journal") NO_PROOF);
    text_add(&message, DSN("X-Batv-Evidence: %s"), value.out);
    check("by the header", recipients, message.out,
          BY("header") BY("header") BY("header") BY("header") NO_PROOF);
    /* 20, and 3 for each of its two recipients, of which two are gone. */
    check_times(24, "by the journal", DSN(ID), BY("journal"));
    check_alice("beyond", DSN(ID), USED_UP);
}
END_TEST

/* One without a Message-ID is known by its header alone, and that for as many uses as ever. */
START_TEST(test_sent_without_message_id)
{
    static const char *const fields[][2] = {{"From", NEWS}, {NULL, NULL}};
    struct text value = {.used = 0};
    struct text message = {.used = 0};
    send_from_alice(fields, 5, &value);
    text_add(&message, DSN("X-Batv-Evidence: %s\nMessage-ID: <relay@other.test>"), value.out);
    check_times(20 + 3 * 5, "within its uses", message.out, BY("header"));
    check_alice("beyond", message.out, USED_UP);
    check("another address has its own", (const char *const[]){"<" NEWS ">", NULL}, message.out,
          BY("header"));
}
END_TEST

START_TEST(test_use_name)
{
    char name[EVIDENCE_USE_NAME];
    evidence_use_name("0123456789abcdef", false, name);
    ck_assert_str_eq(name, "evidence:0123456789abcdef");
    evidence_use_name("0123456789abcdef", true, name);
    ck_assert_str_eq(name, "message:0123456789abcdef");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence returned");
    TCase *tcase = tcase_create("evidence returned");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_bounces, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_newer_ring);
    tcase_add_test(tcase, test_journalled_by_the_former_secret);
    tcase_add_test(tcase, test_journalled_too_long_ago);
    tcase_add_test(tcase, test_journal_uses);
    tcase_add_test(tcase, test_uses_by_mailbox);
    tcase_add_test(tcase, test_uses_with_verp_extensions);
    tcase_add_test(tcase, test_header_uses_with_verp_extensions);
    tcase_add_test(tcase, test_untaggable_with_a_verp_extension);
    tcase_add_test(tcase, test_uses_of_two_mailboxes);
    tcase_add_loop_test(tcase, test_tries_of_one_bounce, 0, 2);
    tcase_add_test(tcase, test_number_of_tries);
    tcase_add_test(tcase, test_days_of_tries);
    tcase_add_test(tcase, test_fifty_forged_bounces_with_one_own_id);
    tcase_add_test(tcase, test_only_what_is_let_in_counts);
    tcase_add_test(tcase, test_claims_at_one_time);
    tcase_add_test(tcase, test_notes_are_no_message_ids);
    tcase_add_loop_test(tcase, test_message_id_and_header_are_one_count, 0, (int)COUNT_OF(shares));
    tcase_add_test(tcase, test_uses_of_many_recipients);
    tcase_add_test(tcase, test_uses_by_the_former_secret);
    tcase_add_test(tcase, test_beside_one_used_up);
    tcase_add_test(tcase, test_header_uses_by_bounce);
    tcase_add_test(tcase, test_header_beside_one_used_up);
    tcase_add_test(tcase, test_header_uses_for_thirty_days);
    tcase_add_test(tcase, test_header_uses_by_nonce);
    tcase_add_test(tcase, test_header_uses_without_journal);
    tcase_add_test(tcase, test_explaining_counts_nothing);
    tcase_add_test(tcase, test_no_journal);
    tcase_add_test(tcase, test_unreadable_journal);
    tcase_add_loop_test(tcase, test_patterns, 0, (int)COUNT_OF(patterns));
    tcase_add_test(tcase, test_address_is_no_name);
    tcase_add_test(tcase, test_not_shown);
    tcase_add_test(tcase, test_overloaded);
    tcase_add_test(tcase, test_look_ups);
    tcase_add_test(tcase, test_patterns_go_from_the_budget);
    tcase_add_test(tcase, test_a_used_up_budget_never_rejects);
    tcase_add_test(tcase, test_class_oracle);
    tcase_add_test(tcase, test_sent_and_returned);
    tcase_add_test(tcase, test_sent_without_message_id);
    tcase_add_test(tcase, test_use_name);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
