/*
 * Mail in our name that leaves unsigned, and tags that come back from outside: what `auto` learns
 * of each.
 */
#include "sites.h"

/* clang-format off */
static const struct conversation relayed[] = {
    {.name = "mail in our name by a relay",
     .who = RELAY, .sender = "<" ALICE ">", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("gateway.partner.test[10.9.9.9]", ALICE, BOB)
         NO_SUBMISSION(ALICE)
         "relayed-unsigned client=gateway.partner.test[10.9.9.9] from=<" ALICE "> rcpt=<" BOB
         ">\n"},
    {.name = "mail in our name by anybody whom the MTA lets relay: one line a message",
     .who = OUTSIDE,
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
    {.name = "mail in the name of a domain that does not sign", .who = RELAY,
     .sender = "<alice@off.example>", .recipients = {"<" BOB ">"},
     .expected =
         "wants nothing\n"
         "accept\n"
         NOT_OURS("gateway.partner.test[10.9.9.9]", "alice@off.example", BOB)},
    {.name = "a bounce is in nobody's name", .who = RELAY, .sender = "<mailer-daemon@example.com>",
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
            ck_assert_str_eq(returned.domain->name, "example.com");
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

int main(void)
{
    Suite *suite = suite_create("relayed");
    add_table(suite, "relayed unsigned", test_relayed, COUNT_OF(relayed));
    add_table(suite, "leaving", test_leaving, COUNT_OF(leavings));
    add_table(suite, "relayed holds", test_relayed_holds_until_auto_rejects, 1);
    add_table(suite, "tags that come back", test_tags_that_come_back, 1);
    add_table(suite, "returned", test_returned, 1);
    return suite_run(suite);
}
