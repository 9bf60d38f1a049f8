/*
 * Submissions that are not ours: what a list, a filter, a redirect or fetchmail hands in again was
 * written by a stranger, and neither its author nor its Message-ID may be proven by us. And that
 * nothing genuine is taken for such a message: users who authenticated on another host of ours, web
 * mail, internal clients, cron.
 */
#include "conversation.h"

#define ALICE "alice@example.com"
#define LIST  "list-bounces@example.com"
#define BOB   "bob@other.test"

#define BY_MX    " by mx.example.com (Postfix) with ESMTP id 1; Sat, 28 Nov 2026 05:00:00 +0000"
#define STRANGER "Received: from x (mx.other.test [192.0.2.9])" BY_MX
#define STRANGER_TLS                                                                               \
    "Received: from x (mx.other.test [192.0.2.9]) (using TLSv1.3 with cipher X (256/256 bits))"    \
    " by mx.example.com (Postfix) with ESMTPS id 1; Sat"

/* What becomes of a message: */
enum fate {
    OURS,     /* signed, proven for all its addresses, journaled */
    SIGNED,   /* signed and proven for the envelope's sender alone, not journaled */
    WEB_FORM, /* the same, but journaled */
    STRANGE   /* neither signed nor proven nor journaled */
};

struct message {
    const char *name;
    enum who who;
    const char *user;
    void (*prepare)(struct site *site);
    const char *sender;
    const char *author;  /* the address in From; ALICE unless given */
    const char *hops[6]; /* "Name: value" */
    enum fate fate;
};

static void whole_domain(struct site *site)
{
    site->settings->own_names = HOSTS("*.example.com", "smtp.example.net");
}

static void no_loopback(struct site *site)
{
    network_list_free(site->settings->internal_networks);
    site->settings->internal_networks = NETWORKS("10.0.0.0/8");
}

static void local_is_a_relay(struct site *site)
{
    site->settings->relays_local = true;
}

static void web_forms(struct site *site)
{
    site->settings->envelope_only = PATTERNS("www-data@*", "alice@*");
}

static void no_evidence(struct site *site)
{
    site->settings->evidence.enabled = false;
}

/* clang-format off */
static const struct message messages[] = {
    /* What a stranger sends in alice's name, by the ways in which it comes again. */
    {"a pipe filter that ends in sendmail(1)", LOCAL, NULL, NULL, ALICE, NULL, {STRANGER}, STRANGE},
    {"a filter, the stranger by TLS", LOCAL, NULL, NULL, ALICE, NULL, {STRANGER_TLS}, STRANGE},
    {"by 127.0.0.1", INSIDE, NULL, NULL, "<" ALICE ">", NULL, {STRANGER}, STRANGE},
    {"Sendmail -bs", SENDMAIL_BS, NULL, NULL, ALICE, NULL, {STRANGER}, STRANGE},
    {"amavis between", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from mx.example.com ([127.0.0.1]) by localhost (mx.example.com [127.0.0.1]) (amavisd-new, port 10024) with ESMTP id 1; Sat", STRANGER}, STRANGE},
    {"fetchmail, by its default", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from pop.isp.test [192.0.2.9] by localhost with POP3 (fetchmail-6.4.37) for <alice@localhost>; Sat",
      "Received: from x (x.other.test [192.0.2.77]) by mx.isp.test with ESMTP; Sat"}, STRANGE},
    {"fetchmail, by the host's name", LOCAL, NULL, NULL, ALICE, NULL,
     {"Received: from imap.isp.test [192.0.2.9] by MX.Example.COM with IMAP (fetchmail-6.4.37); Sat"}, STRANGE},
    {"our MX, seen by another host of ours", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from lists.example.com (localhost [127.0.0.1]) by lists.example.com (Postfix) with ESMTP id 3; Sat",
      "Received: from mx1.example.com (mx1.example.com [10.0.0.1]) by lists.example.com (Postfix) with ESMTP id 2; Sat",
      "Received: from x (x.other.test [192.0.2.9]) by mx1.example.com (Postfix) with ESMTPS id 1; Sat"}, STRANGE},
    {"a name of ours elsewhere", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from x (x [192.0.2.9]) by smtp.example.net. (8.17.1/8.17.1) with ESMTP id 1; Sat"}, STRANGE},
    {"Exchange, from outside", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from x (192.0.2.9) by ex1.example.com (10.0.0.4) with Microsoft SMTP Server (TLS) id 15.1; Sat"}, STRANGE},
    {"from a relay", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from gw (gw.example.com [10.9.9.9])" BY_MX}, STRANGE},
    {"an address that cannot be read", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from x (unknown [unknown])" BY_MX}, STRANGE},
    {"one address of ours and one that is not", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from x ([127.0.0.1] [192.0.2.9])" BY_MX}, STRANGE},
    {"an address of ours, and a comment without an end", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from x (x [127.0.0.1]) (" BY_MX}, STRANGE},
    {"no address", INSIDE, NULL, NULL, ALICE, NULL, {"Received: from localhost" BY_MX}, STRANGE},
    {"his HELO a(by", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from a(by (x.other.test [192.0.2.9])" BY_MX}, STRANGE},
    {"his HELO a(by, and his recipient ends it", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from a( (x.other.test [192.0.2.9]) by mx.example.com (Postfix) with ESMTP id 1 for "
      "<\"x) by other.test with SMTP\"@example.com>; Sat"}, STRANGE},
    {"his HELO hides a name of ours elsewhere", LOCAL, NULL, whole_domain, ALICE, NULL,
     {"Received: from unknown (HELO a(by) (192.0.2.9) by mx2.example.com with SMTP; Sat"}, STRANGE},
    {"he claims to have authenticated", INSIDE, NULL, NULL, ALICE, NULL,
     {STRANGER, "Received: from a (a [192.0.2.9]) by mx.example.com (Postfix) with ESMTPSA id 1; Sat"}, STRANGE},
    {"he calls himself by our address", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from [127.0.0.1] (x.other.test [192.0.2.9])" BY_MX}, STRANGE},
    {"the sender in other letters", INSIDE, NULL, NULL, "<ALICE@Example.COM>", NULL, {STRANGER}, STRANGE},
    {"the author in other letters", INSIDE, NULL, NULL, ALICE, "Alice@EXAMPLE.com", {STRANGER}, STRANGE},
    {"with a tag of ours that he was sent", INSIDE, NULL, NULL, "<{0 " ALICE "}>", NULL, {STRANGER}, STRANGE},
    {"with an old tag", INSIDE, NULL, NULL, "<{-1 " ALICE "}>", NULL, {STRANGER}, STRANGE},
    {"with a tag that he made", INSIDE, NULL, NULL, "<{bad " ALICE "}>", NULL, {STRANGER}, STRANGE},
    {"From before Received", INSIDE, NULL, NULL, ALICE, NULL, {"Subject: x", STRANGER}, STRANGE},
    {"a domain that does not sign", INSIDE, NULL, NULL, "alice@off.example", "alice@off.example", {STRANGER}, STRANGE},
    {"loopback is not internal", INSIDE, NULL, no_loopback, ALICE, NULL,
     {"Received: from localhost (localhost [127.0.0.1])" BY_MX}, STRANGE},

    /* A list's own sender. */
    {"Mailman", INSIDE, NULL, NULL, LIST, NULL, {STRANGER}, SIGNED},
    {"Mailman, the poster is a stranger", LOCAL, NULL, NULL, LIST, "bob@other.test", {STRANGER}, SIGNED},
    {"Mailman on a host of its own", INSIDE, NULL, whole_domain, LIST, NULL,
     {"Received: from lists.example.com (localhost [127.0.0.1]) by lists.example.com (Postfix) with ESMTP id 3; Sat",
      "Received: from x (x.other.test [192.0.2.9]) by mx1.example.com (Postfix) with ESMTPS id 1; Sat"}, SIGNED},
    {"no author at all", INSIDE, NULL, NULL, LIST, "", {STRANGER}, SIGNED},

    /* What is genuine. */
    {"no Received field", INSIDE, NULL, NULL, ALICE, NULL, {NULL}, OURS},
    {"cron", LOCAL, NULL, NULL, ALICE, NULL,
     {"Received: by mx.example.com (Postfix, from userid 0) id 1; Sat"}, OURS},
    {"Sendmail's sendmail(1)", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: (from alice@localhost) by mx.example.com (8.17.1/8.17.1/Submit) id 1; Sat"}, OURS},
    {"Exim's sendmail(1)", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from alice by web.example.com with local (Exim 4.96) id 1; Sat"}, OURS},
    {"authenticated on this connection", OUTSIDE, "alice", NULL, ALICE, NULL, {STRANGER}, OURS},
    {"authenticated on another host of ours", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from mx1.example.com (mx1.example.com [10.0.0.1]) by mx.example.com (Postfix) with ESMTPS id 2; Sat",
      "Received: from laptop (dsl.isp.test [203.0.113.5]) (Authenticated sender: alice) by mx1.example.com (Postfix) with ESMTPSA id 1; Sat"}, OURS},
    {"authenticated, Sendmail", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from laptop (dsl.isp.test [203.0.113.5]) (authenticated bits=0) by mx1.example.com (8.17.1/8.17.1) with ESMTPSA id 1; Sat"}, OURS},
    {"authenticated, then filtered", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from mx.example.com ([127.0.0.1]) by localhost (mx.example.com [127.0.0.1]) (amavisd-new, port 10026) with ESMTP id 1; Sat",
      "Received: from laptop (dsl.isp.test [203.0.113.5]) by mx.example.com (Postfix) with ESMTPSA id 1; Sat"}, OURS},
    {"an internal client", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from [192.168.1.5] (pc.example.com [10.0.0.5]) by mx1.example.com (Postfix) with ESMTP id 1; Sat"}, OURS},
    {"an internal client, Exim", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from [10.0.0.5] (helo=[192.168.1.5]) by mx1.example.com with esmtp (Exim 4.96) id 1; Sat"}, OURS},
    {"an internal client by IPv6", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from localhost (localhost [IPv6:::1]) by mx1.example.com (Postfix) with ESMTP id 1; Sat"}, OURS},
    {"Roundcube", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from mx.example.com (localhost [127.0.0.1]) by mx.example.com (Postfix) with ESMTPA id 1; Sat",
      "Received: from [203.0.113.5] by mx.example.com with HTTP (HTTP/1.1 POST); Sat"}, OURS},
    {"Exchange, its own user", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from EX1.example.com (10.0.0.4) by EX2.example.com (10.0.0.5) with Microsoft SMTP Server (TLS) id 15.1; Sat",
      "Received: from EX1.example.com ([fe80::1]) by EX1.example.com ([fe80::1%12]) with mapi id 15.01; Sat"}, OURS},
    {"hosts of others on the way", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from x (x.other.test [192.0.2.9]) by mx.other.test (Postfix) with ESMTP id 1; Sat",
      "Received: from x (x.other.test [192.0.2.9]) by example.com (Postfix) with ESMTP id 1; Sat"}, OURS},
    {"another host's field that hides its own", INSIDE, NULL, whole_domain, ALICE, NULL,
     {"Received: from a(by (x.other.test [192.0.2.9]) by mx.other.test (Postfix) with ESMTP id 1; Sat"}, OURS},
    {"localhost of another host", INSIDE, NULL, NULL, ALICE, NULL,
     {"Received: from x (x.other.test [192.0.2.9]) by localhost (Postfix) with ESMTP id 1; Sat"}, OURS},
    {"our name in other fields", INSIDE, NULL, NULL, ALICE, NULL,
     {"X-Received: from x (x.other.test [192.0.2.9])" BY_MX, "Received-SPF: from x ([192.0.2.9])" BY_MX}, OURS},

    /* Web forms write any From. */
    {"a web form", LOCAL, NULL, web_forms, "www-data@example.com", NULL, {NULL}, WEB_FORM},
    {"a web form that says who it is", LOCAL, NULL, web_forms, ALICE, NULL, {NULL}, WEB_FORM},
    {"a web form, tagged", LOCAL, NULL, web_forms, "{-1 www-data@example.com}", NULL, {NULL}, WEB_FORM},
    {"no web form", LOCAL, NULL, web_forms, "www-data2@example.com", NULL, {NULL}, OURS},
};
/* clang-format on */

static struct transaction *send(const struct message *m, const struct site *site,
                                const struct client *client)
{
    struct text sender = {.used = 0};
    const char *author = m->author != NULL ? m->author : ALICE;
    struct transaction *t = transaction_new(&site->snapshot, client);
    ck_assert_ptr_nonnull(t);
    expand(&sender, site, m->sender);
    give_mail(t, sender.out, m->user);
    give_rcpt(t, "<" BOB ">");
    ck_assert(m->user != NULL || (transaction_wants(t) & WANT_HEADERS) != 0);
    bool reads = transaction_reads_header(t);
    if (reads && *author != '\0' && m->hops[0] != NULL && m->hops[0][0] == 'S') {
        give_answer_field(t, "From", author);
    }
    for (size_t i = 0; i < COUNT_OF(m->hops) && m->hops[i] != NULL; i++) {
        give_header(t, site, m->hops[i]);
    }
    if (reads && *author != '\0') {
        give_answer_field(t, "From", author);
    }
    if (reads) {
        give_answer_field(t, "Reply-To", "reply@example.com");
        give_field(t, "Message-ID", "<chosen@other.test>");
    }
    decide(t, site);
    return t;
}

static const struct decision *find_decision(const struct transaction *t, enum decision_kind kind)
{
    size_t count;
    const struct decision *decisions = transaction_decisions(t, &count);
    for (size_t i = 0; i < count; i++) {
        if (decisions[i].kind == kind) {
            return &decisions[i];
        }
    }
    return NULL;
}

static void check_signing(const struct message *m, const struct transaction *t)
{
    const struct decision *sign = find_decision(t, DECISION_SIGN);
    const struct decision *skip = find_decision(t, DECISION_SIGN_SKIP);
    bool signs = strstr(m->sender, "@off.example") == NULL;
    ck_assert_msg((sign != NULL) == (signs && m->fate != STRANGE), "%s", m->name);
    ck_assert_msg((skip != NULL) == (signs && m->fate == STRANGE), "%s", m->name);
    if (skip != NULL) {
        ck_assert_str_eq(skip->reason, "handed-in-again");
        ck_assert(!skip->debug);
    }
}

/* The header proves nothing for an address that is not to be proven. */
static bool proves(const struct transaction *t, const struct site *site, const char *address)
{
    char nonce[EVIDENCE_NONCE_HEX];
    bool proven = false;
    const struct outgoing *outgoing = transaction_outgoing(t);
    if (outgoing->value != NULL) {
        ck_assert_int_eq(
            evidence_check(site->ring, outgoing->value, address, 30, now_of_site(), &proven, nonce),
            STATUS_OK);
    }
    return proven;
}

START_TEST(test_messages)
{
    const struct message *m = &messages[_i];
    struct site *site = site_make();
    struct client client = client_of(m->who);
    site_evidence(site);
    if (m->prepare != NULL) {
        m->prepare(site);
    }
    struct transaction *t = send(m, site, &client);
    check_signing(m, t);
    const struct outgoing *outgoing = transaction_outgoing(t);
    ck_assert_ptr_nonnull(outgoing);
    ck_assert_msg((transaction_handed_in(t) != NULL) == (m->fate == STRANGE || m->fate == SIGNED),
                  "%s", m->name);
    ck_assert_msg(outgoing->journaled == (m->fate == OURS || m->fate == WEB_FORM), "%s", m->name);
    bool sender_too = strstr(m->sender, "alice@example.com") == NULL;
    ck_assert_msg(proves(t, site, ALICE) ==
                      (m->fate == OURS || (m->fate == WEB_FORM && !sender_too)),
                  "%s", m->name);
    ck_assert_msg(proves(t, site, "reply@example.com") == (m->fate == OURS), "%s", m->name);
    if (m->fate == SIGNED) {
        ck_assert(proves(t, site, LIST));
    }
    ck_assert_msg((outgoing->value != NULL) == (m->fate != STRANGE), "%s", m->name);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* Without evidence the header is read all the same: a tag is worth stealing too. */
START_TEST(test_without_evidence)
{
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        const struct message *m = &messages[i];
        struct site *site = site_make();
        struct client client = client_of(m->who);
        bool signs = strstr(m->sender, "@off.example") == NULL;
        site_evidence(site);
        if (m->prepare != NULL) {
            m->prepare(site);
        }
        no_evidence(site);
        if (signs) {
            struct transaction *t = send(m, site, &client);
            check_signing(m, t);
            ck_assert_ptr_null(transaction_outgoing(t));
            transaction_free(t);
        }
        site_free(site);
    }
}
END_TEST

/* An authentic copy stays, for whichever address it is; a stranger's goes. */
START_TEST(test_copies)
{
    static const struct message m = {.sender = LIST, .hops = {STRANGER}};
    static const char *const copies[] = {"{evidence " ALICE "}", "{forged " ALICE "}"};
    for (size_t authentic = 0; authentic < 2; authentic++) {
        struct site *site = site_make();
        struct client client = client_of(INSIDE);
        struct message with = m;
        char line[200];
        site_evidence(site);
        snprintf(line, sizeof line, "X-Batv-Evidence: %s", copies[1 - authentic]);
        with.hops[1] = line;
        struct transaction *t = send(&with, site, &client);
        size_t count;
        size_t removed = 0;
        const struct effect *effects = transaction_effects(t, &count);
        for (size_t i = 0; i < count; i++) {
            removed += effects[i].kind == EFFECT_REMOVE_HEADER;
        }
        ck_assert_uint_eq(removed, 1 - authentic);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* Local processes that are a relay submit nothing, and yet are never rejected. */
START_TEST(test_local_relay)
{
    static const struct message m = {.sender = ALICE, .hops = {NULL}};
    for (int local = 0; local < 2; local++) {
        struct site *site = site_make();
        struct client client = client_of(local ? LOCAL : INSIDE);
        site_evidence(site);
        local_is_a_relay(site);
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, m.sender, NULL);
        give_rcpt(t, "<" BOB ">");
        ck_assert(transaction_goes_out(t) == !local);
        decide(t, site);
        ck_assert((find_decision(t, DECISION_SIGN) != NULL) == !local);
        transaction_free(t);

        t = transaction_new(&site->snapshot, &client);
        give_mail(t, "<>", NULL);
        give_rcpt(t, "<alice@reject.example>");
        decide(t, site);
        ck_assert_int_eq(transaction_reply(t)->kind, REPLY_ACCEPT);
        const struct decision *d = find_decision(t, DECISION_VERIFY);
        ck_assert_str_eq(d->verdict.rule, local ? "local" : "exclude.mail_servers");
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

/* Who has authenticated is asked nothing, nor who submits nothing. */
START_TEST(test_reads_header)
{
    static const struct {
        enum who who;
        const char *user, *sender;
        bool evidence, reads;
    } cases[] = {
        {INSIDE, NULL, ALICE, true, true},
        {INSIDE, NULL, ALICE, false, true},
        {OUTSIDE, "alice", ALICE, true, true},
        {OUTSIDE, "alice", ALICE, false, false},
        {OUTSIDE, NULL, ALICE, true, false},
        {RELAY, NULL, ALICE, true, false},
        {INSIDE, NULL, "<>", true, false},
        {INSIDE, NULL, BOB, true, false},
        {INSIDE, NULL, "alice@off.example", false, false},
        {INSIDE, NULL, "mailer-daemon@example.com", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct site *site = site_make();
        struct client client = client_of(cases[i].who);
        site_evidence(site);
        site->settings->evidence.enabled = cases[i].evidence;
        struct transaction *t = transaction_new(&site->snapshot, &client);
        give_mail(t, cases[i].sender, cases[i].user);
        ck_assert_msg(transaction_reads_header(t) == cases[i].reads, "%zu", i);
        transaction_free(t);
        site_free(site);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handed in again");
    TCase *tcase = tcase_create("messages");
    tcase_add_loop_test(tcase, test_messages, 0, COUNT_OF(messages));
    tcase_add_test(tcase, test_without_evidence);
    tcase_add_test(tcase, test_copies);
    tcase_add_test(tcase, test_local_relay);
    tcase_add_test(tcase, test_reads_header);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
