/*
 * Addresses as the MTA understands them: the spelling of a sender or a recipient hides no tag, no
 * mailbox and no mailer-daemon.
 */
#include "sites.h"

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

int main(void)
{
    Suite *suite = suite_create("spellings");
    add_table(suite, "senders' meaning", test_meaning_of_a_sender, COUNT_OF(meanings));
    add_table(suite, "recipients' meaning", test_meaning_of_a_recipient, COUNT_OF(meanings));
    add_table(suite, "recipients' spellings", test_spelled_recipient, COUNT_OF(spelled));
    add_table(suite, "senders' spellings", test_spelled_sender, COUNT_OF(spelled));
    add_table(suite, "spellings of mailer-daemon", test_spelled_mailer_daemon, COUNT_OF(daemons));
    add_table(suite, "names of the host itself", test_own_names, COUNT_OF(own_names));

    TCase *tcase = tcase_create("events");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_meaning_of_no_sender);
    tcase_add_test(tcase, test_own_name_keeps_its_tag);
    tcase_add_test(tcase, test_tag_without_a_domain);
    tcase_add_test(tcase, test_odd_recipient_that_must_go);
    tcase_add_test(tcase, test_tag_that_the_mta_takes_off);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
