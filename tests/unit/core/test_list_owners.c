/*
 * The owners of lists, who become the sender of what a list of the MTA's sends on: the names that
 * are journalled for the recipients of a message that goes out, and when there are none.
 */
#include "conversation.h"

#define ALICE "alice@example.com"
#define ID    "Message-ID: <1@example.com>"

struct post {
    const char *name;
    const char *sender;         /* NULL: alice */
    const char *recipients[24]; /* what give_recipient takes */
    const char *server;         /* {j}; NULL: mx.example.test, none of our domains */
    const char *mailer;         /* by which the MTA delivers */
    const char *headers[2];     /* none: only ID */
    void (*prepare)(struct site *site);
    const char *owners; /* joined by blanks */
};

static void no_journal(struct site *site)
{
    site_evidence(site);
    site->settings->evidence.journal = false;
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

/* clang-format off */
static const struct post posts[] = {
    {.name = "a list", .recipients = {"<team@example.com>"},
     .owners = "owner-team@example.com team-request@example.com"},
    {.name = "not elsewhere", .recipients = {"<team@other.test>"}, .owners = ""},
    {.name = "in another domain than the first",
     .recipients = {"<team@example.net>"},
     .owners = "owner-team@example.net owner-team@example.com "
               "team-request@example.net team-request@example.com"},
    {.name = "the MTA's own name is a domain of ours", .server = "mx.Sub.example",
     .recipients = {"<team@example.net>"},
     .owners = "owner-team@example.net owner-team@mx.sub.example "
               "team-request@example.net team-request@mx.sub.example"},
    {.name = "folded", .recipients = {"<Team@EXAMPLE.com>"},
     .owners = "owner-team@example.com team-request@example.com"},
    {.name = "the same list twice", .recipients = {"<team@example.com>", "<TEAM@example.com>"},
     .owners = "owner-team@example.com team-request@example.com"},
    {.name = "an extension", .recipients = {"<team+x+y@example.com>"},
     .owners = "owner-team+x+y@example.com owner-team@example.com "
               "team+x+y-request@example.com team-request@example.com"},
    {.name = "an extension behind another delimiter comes last",
     .recipients = {"<team-x-y@example.com>", "<crew@example.com>"},
     .owners = "owner-team-x-y@example.com owner-crew@example.com "
               "team-x-y-request@example.com crew-request@example.com "
               "owner-team@example.com team-request@example.com"},
    {.name = "no name before the extension", .recipients = {"<+x@example.com>"},
     .owners = "owner-+x@example.com +x-request@example.com"},
    {.name = "without its tag", .recipients = {"<{0 team@example.com}>"},
     .owners = "owner-team@example.com team-request@example.com"},
    {.name = "without its tag behind an extension",
     .recipients = {"<{0 +team+x@example.net}>"}, .server = "example.net",
     .owners = "owner-team+x@example.net owner-team@example.net "
               "team+x-request@example.net team-request@example.net"},
    {.name = "quoted", .recipients = {"<\"a b\"@example.com>"},
     .owners = "owner-a b@example.com a b-request@example.com"},
    {.name = "the host's own names", .mailer = "local",
     .recipients = {"<team@localhost>", "<crew@mx.example.test>", "<staff>"},
     .owners = "owner-team@example.com owner-crew@example.com owner-staff@example.com "
               "team-request@example.com crew-request@example.com staff-request@example.com"},
    {.name = "localhost where the MTA's own name is a domain of ours", .mailer = "local",
     .server = "example.net", .recipients = {"<team@localhost>"},
     .owners = "owner-team@example.com owner-team@example.net "
               "team-request@example.com team-request@example.net"},
    {.name = "another host's localhost", .mailer = "smtp", .recipients = {"<team@localhost>"},
     .owners = ""},
    {.name = "a domain that does not sign", .recipients = {"<team@off.example>"},
     .server = "off.example",
     .owners = "owner-team@off.example team-request@off.example"},
    {.name = "the sender is the owner", .sender = "<owner-team@example.com>",
     .recipients = {"<team@example.com>"}, .owners = "team-request@example.com"},
    {.name = "not of another's mail", .sender = "<joe@other.test>",
     .recipients = {"<team@example.com>"}, .owners = ""},
    {.name = "not without a Message-ID", .headers = {"Subject: x"},
     .recipients = {"<team@example.com>"}, .owners = ""},
    {.name = "not of what is handed in again",
     .headers = {ID, "Received: from x (x.test [192.0.2.77]) by mx.example.test with ESMTP id 1"},
     .recipients = {"<team@example.com>"}, .owners = ""},
    {.name = "not without a journal", .prepare = no_journal,
     .recipients = {"<team@example.com>"}, .owners = ""},
    {.name = "those that are taken out do not count", .prepare = judge_our_own,
     .sender = "<mailer-daemon@example.com>",
     .recipients = {"<team@log.example>", "<crew@reject.example>", "<a@discard.example>"},
     .server = "log.example",
     .owners = "owner-team@log.example team-request@log.example"},
    {.name = "nor do those that are rejected at RCPT", .prepare = judge_our_own_at_rcpt,
     .sender = "<mailer-daemon@example.com>", .server = "log.example",
     .recipients = {"<crew@reject.example>", "<team@log.example>"},
     .owners = "owner-team@log.example team-request@log.example"},
    {.name = "no more than 64, those of all lists in the first of our domains before others",
     .server = "example.net",
     .recipients = {"<l1@example.com>", "<l2@example.com>", "<l3@example.com>", "<l4@example.com>",
                    "<l5@example.com>", "<l6@example.com>", "<l7@example.com>", "<l8@example.com>",
                    "<l9@example.com>", "<l10@example.com>", "<l11@example.com>",
                    "<l12@example.com>", "<l13@example.com>", "<l14@example.com>",
                    "<l15@example.com>", "<l16@example.com>", "<l17@example.com>",
                    "<l18@example.com>"},
     .owners = "owner-l1@example.com owner-l2@example.com owner-l3@example.com "
               "owner-l4@example.com owner-l5@example.com owner-l6@example.com "
               "owner-l7@example.com owner-l8@example.com owner-l9@example.com "
               "owner-l10@example.com owner-l11@example.com owner-l12@example.com "
               "owner-l13@example.com owner-l14@example.com owner-l15@example.com "
               "owner-l16@example.com owner-l17@example.com owner-l18@example.com "
               "owner-l1@example.net owner-l2@example.net owner-l3@example.net "
               "owner-l4@example.net owner-l5@example.net owner-l6@example.net "
               "owner-l7@example.net owner-l8@example.net owner-l9@example.net "
               "owner-l10@example.net owner-l11@example.net owner-l12@example.net "
               "owner-l13@example.net owner-l14@example.net owner-l15@example.net "
               "owner-l16@example.net owner-l17@example.net owner-l18@example.net "
               "l1-request@example.com l2-request@example.com l3-request@example.com "
               "l4-request@example.com l5-request@example.com l6-request@example.com "
               "l7-request@example.com l8-request@example.com l9-request@example.com "
               "l10-request@example.com l11-request@example.com l12-request@example.com "
               "l13-request@example.com l14-request@example.com l15-request@example.com "
               "l16-request@example.com l17-request@example.com l18-request@example.com "
               "l1-request@example.net l2-request@example.net l3-request@example.net "
               "l4-request@example.net l5-request@example.net l6-request@example.net "
               "l7-request@example.net l8-request@example.net l9-request@example.net "
               "l10-request@example.net"},
};
/* clang-format on */

static const char *joined(const struct transaction *t, struct text *out)
{
    const struct outgoing *outgoing = transaction_outgoing(t);
    *out = (struct text){.used = 0};
    for (size_t i = 0; outgoing != NULL && i < outgoing->owner_count; i++) {
        text_add(out, "%s%s", i > 0 ? " " : "", outgoing->owners[i]);
    }
    return out->out;
}

START_TEST(test_owners)
{
    const struct post *post = &posts[_i];
    struct site *site = site_make();
    struct client client = client_of(INSIDE);
    static struct text text, found;
    struct conversation c = {.sender = post->sender != NULL ? post->sender : "<" ALICE ">",
                             .headers = {ID}};
    text = (struct text){.used = 0};
    (post->prepare != NULL ? post->prepare : site_evidence)(site);
    site->mailer = post->mailer;
    client.server = post->server != NULL ? post->server : "mx.example.test";
    ck_assert_uint_le(COUNT_OF(post->headers), COUNT_OF(c.headers));
    for (size_t i = 0; i < COUNT_OF(post->headers) && post->headers[0] != NULL; i++) {
        c.headers[i] = post->headers[i];
    }
    struct transaction *t = transaction_new(&site->snapshot, &client);
    give_mail(t, c.sender, NULL);
    for (size_t i = 0; i < COUNT_OF(post->recipients) && post->recipients[i] != NULL; i++) {
        give_recipient(t, site, post->recipients[i], &text);
    }
    give_headers(t, &c, site);
    decide(t, site);
    ck_assert_int_eq(transaction_reply(t)->kind, REPLY_ACCEPT);
    ck_assert_msg(strcmp(joined(t, &found), post->owners) == 0, "%s:\n%s\nexpected:\n%s",
                  post->name, found.out, post->owners);
    transaction_free(t);
    site_free(site);
}
END_TEST

/* They are no proof by the header. */
START_TEST(test_not_in_the_header)
{
    static const struct conversation c = {
        .who = INSIDE,
        .sender = "<" ALICE ">",
        .recipients = {"<team@example.com>"},
        .headers = {ID},
        .expected = "wants headers, end\n"
                    "sender {0 " ALICE "}\n"
                    "header X-Batv-Evidence: {evidence:1@example.com " ALICE "}\n"
                    "accept\n"
                    "debug verify client=pc.example.com[10.1.2.3] from=<" ALICE "> "
                    "rcpt=<team@example.com> result=missing action=accept rule=ordinary\n"
                    "sign from=<" ALICE "> tagged=<{0 " ALICE "}> key=2 expires=2026-11-28\n"
                    "out " ALICE " id=1@example.com recipients=1 "
                    "owners=owner-team@example.com,team-request@example.com\n"};
    struct site *site = site_make();
    struct client client = client_of(c.who);
    static struct text text, expected;
    site_evidence(site);
    text = expected = (struct text){.used = 0};
    expand(&expected, site, c.expected);
    struct transaction *t = hold(&c, site, &client, &text);
    ck_assert_str_eq(text.out, expected.out);
    transaction_free(t);
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("list owners");
    TCase *tcase = tcase_create("posts");
    tcase_add_loop_test(tcase, test_owners, 0, COUNT_OF(posts));
    tcase_add_test(tcase, test_not_in_the_header);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
