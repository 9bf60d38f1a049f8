/* Submissions without a Message-ID, as tables of conversations (see conversation.h): which of them
 * get one from us, and what they are then known by. */
#include "conversation.h"

#define ALICE "alice@example.com"
#define BOB   "bob@other.test"
#define ID    SITE_ID "@example.com"

static void add_ids(struct site *site)
{
    site_evidence(site);
    site->settings->add_message_id = true;
}

static void no_option(struct site *site)
{
    site_evidence(site);
}

static void no_randomness(struct site *site)
{
    add_ids(site);
    site->no_nonce = true;
}

static void no_header(struct site *site)
{
    add_ids(site);
    site->settings->evidence.header = false;
}

static void no_journal(struct site *site)
{
    add_ids(site);
    site->settings->evidence.journal = false;
}

static void no_evidence(struct site *site)
{
    add_ids(site);
    site->settings->evidence.enabled = false;
}

#define OUT      "mx.other.test[192.0.2.9]"
#define READS    "wants headers, end\n"
#define EVIDENCE "header X-Batv-Evidence: {evidence:" ID " " ALICE "}\n"
#define APPENDED "append header Message-ID: <" ID ">\n"
#define TO_BOB(client, from)                                                                       \
    "debug verify client=" client " from=<" from "> rcpt=<" BOB                                    \
    "> result=not-ours action=accept rule=not-ours\n"
#define SIGNED(from) "sign from=<" from "> tagged=<{0 " from "}> key=2 expires=2026-11-28\n"
#define IN           "pc.example.com[10.1.2.3]"
#define LOGGED       "message-id from=<" ALICE "> added=<" ID ">\n"
#define ALICE_TO_BOB(effects, logged, known)                                                       \
    READS "sender {0 " ALICE "}\n" effects "accept\n" TO_BOB(IN, ALICE) SIGNED(ALICE) logged       \
        "out " ALICE " id=" known " recipients=1\n"
#define ADDED ALICE_TO_BOB(EVIDENCE APPENDED, LOGGED, ID)
#define LEFT(known)                                                                                \
    ALICE_TO_BOB("header X-Batv-Evidence: {evidence:" known " " ALICE "}\n", "", known)
#define NONE       ALICE_TO_BOB("header X-Batv-Evidence: {evidence " ALICE "}\n", "", "-")
#define FROM_ALICE .who = INSIDE, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"}

/* clang-format off */
static const struct conversation messages[] = {
    {.name = "none at all", FROM_ALICE, .headers = {"Subject: x"},
     .expected = ADDED},
    {.name = "no header", FROM_ALICE,
     .expected = ADDED},
    {.name = "one of its own", FROM_ALICE, .headers = {"Message-ID: <1@example.com>"},
     .expected = LEFT("1@example.com")},
    {.name = "one without brackets", FROM_ALICE, .headers = {"message-id: 1@x"},
     .expected = LEFT("1@x")},
    {.name = "one without domain", FROM_ALICE, .headers = {"message-id: <1>"},
     .expected = LEFT("1")},
    {.name = "one that no answer can name", FROM_ALICE, .headers = {"message-id: 1"},
     .expected = ALICE_TO_BOB(EVIDENCE "remove header Message-ID 1\n" APPENDED, LOGGED, ID)},
    {.name = "several such", FROM_ALICE, .headers = {"Message-ID: (x)", "Message-ID: a b"},
     .expected = ALICE_TO_BOB(EVIDENCE "remove header Message-ID 2\nremove header Message-ID 1\n"
                              APPENDED, LOGGED, ID)},
    {.name = "such a one that is signed", FROM_ALICE,
     .headers = {"Message-ID: ", "Message-ID: a b", "Message-ID: c", "DKIM-Signature: h=message-id"},
     .expected = LEFT("ab")},
    {.name = "such a one before a good one", FROM_ALICE,
     .headers = {"Message-ID: a b", "Message-ID: <2@example.com>"},
     .expected = LEFT("2@example.com")},
    {.name = "another field's", FROM_ALICE,
     .headers = {"Resent-Message-ID: <1@x>", "References: <2@x>", "X-Message-ID: <3@x>"},
     .expected = ADDED},
    {.name = "an empty one is replaced", FROM_ALICE, .headers = {"Message-ID: "},
     .expected = ALICE_TO_BOB(EVIDENCE "remove header Message-ID 1\n" APPENDED, LOGGED, ID)},
    {.name = "a blank one", FROM_ALICE, .headers = {"Message-Id: \r\n\t "},
     .expected = ALICE_TO_BOB(EVIDENCE "remove header Message-ID 1\n" APPENDED, LOGGED, ID)},
    {.name = "several in which nothing stands", FROM_ALICE,
     .headers = {"Message-ID: <>", "Subject: x", "message-id: < >", "MESSAGE-ID: "},
     .expected = ALICE_TO_BOB(EVIDENCE "remove header Message-ID 3\nremove header Message-ID 2\n"
                              "remove header Message-ID 1\n" APPENDED, LOGGED, ID)},
    {.name = "an empty one beside a good one", FROM_ALICE,
     .headers = {"Message-ID: ", "Message-ID: <2@example.com>"},
     .expected = LEFT("2@example.com")},
    {.name = "a signature that names other fields", FROM_ALICE,
     .headers = {"DKIM-Signature: v=1; h=from:to:subject; b=x"},
     .expected = ADDED},
    {.name = "a signature that names it", FROM_ALICE,
     .headers = {"DKIM-Signature: v=1; h=from:message-id; b=x"},
     .expected = NONE},
    {.name = "ARC's", FROM_ALICE,
     .headers = {"arc-message-signature: i=1; h=From :\r\n\t Message-ID; b=x"},
     .expected = NONE},
    {.name = "one of several", FROM_ALICE,
     .headers = {"DKIM-Signature: h=from", "DKIM-SIGNATURE: h=Message-Id:from",
                 "DKIM-Signature: h=from", "ARC-Message-Signature: h=to"},
     .expected = NONE},
    {.name = "an empty one that is signed stays", FROM_ALICE,
     .headers = {"Message-ID: ", "DKIM-Signature: h=from:message-id"},
     .expected = NONE},
    {.name = "no signature of a message", FROM_ALICE,
     .headers = {"ARC-Seal: h=message-id", "X-DKIM-Signature: h=message-id",
                 "DKIM-Signatures: h=message-id"},
     .expected = ADDED},
    {.name = "switched off", FROM_ALICE, .prepare = no_option,
     .expected = NONE},
    {.name = "without randomness", FROM_ALICE, .prepare = no_randomness,
     .expected = ALICE_TO_BOB("", "", "-")},
    {.name = "without the evidence header", FROM_ALICE, .prepare = no_header,
     .expected = ALICE_TO_BOB(APPENDED, LOGGED, ID)},
    {.name = "without a journal", FROM_ALICE, .prepare = no_journal,
     .expected = ALICE_TO_BOB("header X-Batv-Evidence: {evidence " ALICE "}\n" APPENDED, LOGGED, ID)},
    {.name = "without any evidence", FROM_ALICE, .prepare = no_evidence,
     .expected = READS "sender {0 " ALICE "}\naccept\n" TO_BOB(IN, ALICE) SIGNED(ALICE)},
    {.name = "authenticated, from anywhere", .who = OUTSIDE, .user = "alice",
     .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         READS "sender {0 " ALICE "}\n" EVIDENCE APPENDED "accept\n" TO_BOB(OUT, ALICE)
         SIGNED(ALICE) LOGGED "out " ALICE " id=" ID " recipients=1\n"},
};
/* clang-format on */

START_TEST(test_messages)
{
    const struct conversation *c = &messages[_i];
    struct site *site = site_make();
    struct client client = client_of(c->who);
    static struct text text, expected;
    (c->prepare != NULL ? c->prepare : add_ids)(site);
    text = (struct text){.used = 0};
    expected = (struct text){.used = 0};
    expand(&expected, site, c->expected);
    struct transaction *t = hold(c, site, &client, &text);
    ck_assert_msg(strcmp(text.out, expected.out) == 0, "%s:\n%s\nexpected:\n%s", c->name, text.out,
                  expected.out);
    transaction_free(t);
    site_free(site);
}
END_TEST

static struct transaction *submission(const struct site *site, const struct client *client,
                                      const char *sender)
{
    struct transaction *t = transaction_new(&site->snapshot, client);
    ck_assert_ptr_nonnull(t);
    give_mail(t, sender, NULL);
    give_rcpt(t, "<" BOB ">");
    return t;
}

/* What the message is known by, and what is added; "-": nothing. */
static void check_id(struct transaction *t, const char *id)
{
    const struct outgoing *outgoing = transaction_outgoing(t);
    size_t count = 0;
    size_t appended = 0;
    char value[300];
    const struct effect *effects = transaction_effects(t, &count);
    snprintf(value, sizeof value, "<%s>", id);
    for (size_t i = 0; i < count; i++) {
        if (effects[i].kind == EFFECT_APPEND_HEADER) {
            ck_assert_str_eq(effects[i].name, "Message-ID");
            ck_assert_str_eq(effects[i].value, value);
            appended++;
        }
    }
    ck_assert_uint_eq(appended, strcmp(id, "-") != 0);
    ck_assert_str_eq(outgoing->message_id != NULL ? outgoing->message_id : "-", id);
}

/* A stranger wrote it; what a list of ours sends on is no submission either. */
START_TEST(test_handed_in_again)
{
    static const char *const lists[] = {"<" ALICE ">", "<list@example.com>"};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct site *site = site_make();
        struct client client = client_of(INSIDE);
        add_ids(site);
        client.server = "mx.example.com";
        struct transaction *t = submission(site, &client, lists[i]);
        give_header(t, site,
                    "Received: from x.test (x.test [192.0.2.7]) by mx.example.com (Postfix) with "
                    "ESMTP id 1; Sat, 21 Nov 2026 12:00:00 +0000");
        give_answer_field(t, "From", ALICE);
        decide(t, site);
        ck_assert_ptr_nonnull(transaction_handed_in(t));
        check_id(t, "-");
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* The sender's domain, as it is compared. What cannot stand in a Message-ID makes none. */
static const struct {
    const char *sender;
    const char *id;
} senders[] = {
    {"<Alice@EXAMPLE.com>", ID},
    {"<{0 alice@example.com}>", ID},
    {"<a@off.example>", SITE_ID "@off.example"},
    {"<a@Host.Sub.example>", SITE_ID "@host.sub.example"},
    {"<a@B\xc3\x9c"
     "cher.example>",
     SITE_ID "@xn--bcher-kva.example"},
    {"<root@localhost>", ID}, /* by the first of our domains */
    {"<root>", ID},
    {"<a@b..sub.example>", "-"},
};

START_TEST(test_domain)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    struct text sender = {.used = 0};
    add_ids(site);
    client.server = "mx.example.test";
    expand(&sender, site, senders[_i].sender);
    struct transaction *t = submission(site, &client, sender.out);
    ck_assert(transaction_goes_out(t));
    decide(t, site);
    check_id(t, senders[_i].id);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* What is no submission has a right to be as it is. */
START_TEST(test_no_submission)
{
    static const char *const others[] = {"<" ALICE ">", "<>", "<a@other.test>"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct site *site = site_make();
        struct client client = client_of(i == 0 ? OUTSIDE : INSIDE);
        size_t count;
        add_ids(site);
        struct transaction *t = submission(site, &client, others[i]);
        decide(t, site);
        ck_assert_ptr_null(transaction_outgoing(t));
        transaction_effects(t, &count);
        ck_assert_uint_eq(count, 0);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* However many fields a stranger writes, the effects are bounded. */
START_TEST(test_very_many)
{
    enum { MANY = 20000 };
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    add_ids(site);
    struct transaction *t = submission(site, &client, "<" ALICE ">");
    for (int i = 0; i < MANY; i++) {
        give_field(t, "Message-ID", i % 2 == 0 ? "" : "<>");
        give_field(t, "DKIM-Signature", "v=1; h=from");
        give_field(t, EVIDENCE_NAME, "x");
    }
    decide(t, site);
    size_t count;
    transaction_effects(t, &count);
    ck_assert_uint_eq(count, 3 + 2 * EFFECT_REMOVALS);
    check_id(t, ID);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* It is not made of what the evidence header shows to everybody. */
START_TEST(test_nonces_apart)
{
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    add_ids(site);
    struct transaction *t = submission(site, &client, "<" ALICE ">");
    decide(t, site);
    const struct outgoing *outgoing = transaction_outgoing(t);
    char shown[EVIDENCE_NONCE_HEX];
    evidence_nonce_format(outgoing->nonce, shown);
    ck_assert_ptr_nonnull(strstr(outgoing->value, shown));
    ck_assert_ptr_null(strstr(SITE_ID, shown));
    check_id(t, SITE_ID "@example.com");
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("added-id");
    TCase *tcase = tcase_create("added-id");
    tcase_add_loop_test(tcase, test_messages, 0, (int)COUNT_OF(messages));
    tcase_add_test(tcase, test_handed_in_again);
    tcase_add_loop_test(tcase, test_domain, 0, (int)COUNT_OF(senders));
    tcase_add_test(tcase, test_no_submission);
    tcase_add_test(tcase, test_very_many);
    tcase_add_test(tcase, test_nonces_apart);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
