/* Where a message's mail goes, as a question of signing: when it is asked, once, after all else
 * that forbids signing; what is told to whoever answers; what comes of each answer. */
#include "conversation.h"

#define ALICE "alice@example.com"

static struct site *site;

static void setup(void)
{
    site = site_make();
    site_evidence(site);
    site->settings->exclude_sign_recipient_networks = NETWORKS("192.0.2.0/24");
}

static void teardown(void)
{
    site_free(site);
}

static struct transaction *begin(const struct client *client, const char *sender)
{
    struct transaction *t = transaction_new(&site->snapshot, client);
    ck_assert_ptr_nonnull(t);
    struct text expanded = {.used = 0};
    expand(&expanded, site, sender);
    give_mail(t, expanded.out, NULL);
    return t;
}

static void add(struct transaction *t, const char *recipient, const char *host, const char *mailer)
{
    transaction_rcpt(
        t, &(struct rcpt_event){
               .recipient = recipient, .host = host, .mailer = mailer, .now = now_of_site()});
    reply_to_recipient(t);
}

/* The end, with this answer; how often it was asked for. */
static size_t end_with(struct transaction *t, enum answer given)
{
    struct question question;
    size_t asked = 0;
    site->answers[FACT_RCPT_NETWORK] = given;
    transaction_end(t, &(struct end_event){&site_nonces, now_of_site()});
    while (transaction_asks(t, &question)) {
        ck_assert_uint_lt(asked++, 2);
        ck_assert_int_eq(question.fact, FACT_RCPT_NETWORK);
        answer(t, site, &question);
    }
    return asked;
}

/* The decision on the sender; NULL: there is none. */
static const struct decision *sender_decision(const struct transaction *t)
{
    size_t count;
    const struct decision *found = NULL;
    const struct decision *decisions = transaction_decisions(t, &count);
    for (size_t i = 0; i < count; i++) {
        if (decisions[i].kind == DECISION_SIGN || decisions[i].kind == DECISION_SIGN_SKIP) {
            ck_assert_ptr_null(found);
            found = &decisions[i];
        }
    }
    return found;
}

static const char local_64[] = "<a123456789b123456789c123456789d123456789e123456789f123456789g123"
                               "@example.com>";

static const struct {
    const char *name;
    enum who who;
    const char *sender, *recipient;
    size_t asked;
    const char *reason; /* with the answer yes; NULL: no decision on the sender */
} messages[] = {
    {"a submission", INSIDE, "<" ALICE ">", "<bob@other.test>", 1,
     "exclude_sign.recipient_networks"},
    {"a submission of a local process", LOCAL, ALICE, "bob@other.test", 1,
     "exclude_sign.recipient_networks"},
    {"a submission to a domain of ours", INSIDE, "<" ALICE ">", "<bob@example.com>", 1,
     "exclude_sign.recipient_networks"},
    {"a sender with yesterday's tag", INSIDE, "<{-1 " ALICE "}>", "<bob@other.test>", 1,
     "exclude_sign.recipient_networks"},
    {"a sender with today's tag", INSIDE, "<{0 " ALICE "}>", "<bob@other.test>", 0,
     "already-tagged"},
    {"a sender with a tag that we did not make", INSIDE, "<{bad " ALICE "}>", "<bob@other.test>", 0,
     "already-tagged"},
    {"a sender that is too long to tag", INSIDE, local_64, "<bob@other.test>", 0, "too-long"},
    {"a sender that is excluded", INSIDE, "<nosign@example.com>", "<bob@other.test>", 0,
     "exclude_sign.senders"},
    {"a recipient that is excluded", INSIDE, "<" ALICE ">", "<a@lists.test>", 0,
     "exclude_sign.recipients"},
    {"a client that is excluded", NO_SIGN_NETWORK, "<" ALICE ">", "<bob@other.test>", 0,
     "exclude_sign.clients"},
    {"a sender mailer-daemon", INSIDE, "<mailer-daemon@example.com>", "<bob@other.test>", 0,
     "mailer-daemon"},
    {"a null sender", INSIDE, "<>", "<bob@other.test>", 0, "null-sender"},
    {"mail of a stranger in our name", OUTSIDE, "<" ALICE ">", "<bob@other.test>", 0,
     "not-a-submission"},
    {"ordinary mail", OUTSIDE, "<bob@other.test>", "<" ALICE ">", 0, NULL},
    {"a sender in a domain that does not sign", INSIDE, "<a@off.example>", "<bob@other.test>", 0,
     NULL},
    {"a sender in a domain that is not ours", INSIDE, "<bob@third.test>", "<bob@other.test>", 0,
     NULL},
};

START_TEST(test_when_it_is_asked)
{
    struct client client = client_of(messages[_i].who);
    struct transaction *t = begin(&client, messages[_i].sender);
    add(t, messages[_i].recipient, NULL, NULL);
    ck_assert_msg(end_with(t, ANSWER_YES) == messages[_i].asked, "%s", messages[_i].name);
    const struct decision *d = sender_decision(t);
    ck_assert_int_eq(d != NULL, messages[_i].reason != NULL);
    if (d != NULL) {
        ck_assert_int_eq(d->kind, DECISION_SIGN_SKIP);
        ck_assert_str_eq(d->reason, messages[_i].reason);
    }
    transaction_free(t);
}
END_TEST

/* Without an entry nothing is asked. */
START_TEST(test_empty_list)
{
    struct client client = client_of(INSIDE);
    network_list_free(site->settings->exclude_sign_recipient_networks);
    site->settings->exclude_sign_recipient_networks =
        _i == 0 ? NULL : networks_of((const char *const[]){NULL});
    struct transaction *t = begin(&client, "<" ALICE ">");
    add(t, "<bob@other.test>", "[192.0.2.1]", "smtp");
    ck_assert_uint_eq(end_with(t, ANSWER_YES), 0);
    ck_assert_int_eq(sender_decision(t)->kind, DECISION_SIGN);
    transaction_free(t);
}
END_TEST

START_TEST(test_answers)
{
    static const struct {
        enum answer answer;
        bool signs, unanswered;
    } answers[] = {
        {ANSWER_NO, true, false}, {ANSWER_YES, false, false}, {ANSWER_UNAVAILABLE, true, true}};
    struct client client = client_of(INSIDE);
    struct transaction *t = begin(&client, "<" ALICE ">");
    add(t, "<bob@other.test>", NULL, NULL);
    add(t, "<carol@third.test>", NULL, NULL);
    site->network_recipient = 1;
    ck_assert_uint_eq(end_with(t, answers[_i].answer), 1);
    const struct decision *d = sender_decision(t);
    ck_assert_int_eq(d->kind, answers[_i].signs ? DECISION_SIGN : DECISION_SIGN_SKIP);
    ck_assert_int_eq(d->unanswered, answers[_i].unanswered);
    if (!answers[_i].signs) {
        char line[DECISION_LINE];
        decision_format(d, line, sizeof line);
        ck_assert_str_eq(line, "NOQUEUE: sign-skip from=<" ALICE "> "
                               "reason=exclude_sign.recipient_networks:192.0.2.0/24 "
                               "rcpt=<carol@third.test> recipients=2 ring=12");
    }
    size_t effects;
    const struct effect *first = transaction_effects(t, &effects);
    bool changes = effects > 0 && first[0].kind == EFFECT_CHANGE_SENDER;
    ck_assert_int_eq(changes, answers[_i].signs);
    transaction_free(t);
}
END_TEST

/* Not signed, and yet ours: it is known again by its evidence. */
START_TEST(test_evidence_is_made_all_the_same)
{
    struct client client = client_of(INSIDE);
    struct transaction *t = begin(&client, "<" ALICE ">");
    add(t, "<bob@other.test>", NULL, NULL);
    end_with(t, ANSWER_YES);
    ck_assert_ptr_nonnull(transaction_outgoing(t));
    ck_assert_ptr_nonnull(transaction_outgoing(t)->value);
    transaction_free(t);
}
END_TEST

static const struct {
    const char *recipient, *host, *mailer;
    const char *domain, *next_hop;
} destinations[] = {
    {"<bob@Other.Test>", "[192.0.2.1]:25", "smtp", "other.test", "[192.0.2.1]:25"},
    {"<bob@other.test>", "relay.test", NULL, "other.test", "relay.test"},
    {"<bob@other.test>", NULL, "smtp", "other.test", NULL},
    {"<bob@other.test>", NULL, NULL, "other.test", NULL},
    {"<bob@[192.0.2.7]>", NULL, NULL, "[192.0.2.7]", NULL},
    {"<bob@[IPv6:2001:db8::1]>", NULL, NULL, "[ipv6:2001:db8::1]", NULL},
    {"<bob@b\xc3\xbc"
     "cher.test>",
     NULL, NULL, "xn--bcher-kva.test", NULL},
    {"bob", "mail.example.com", "local", "", NULL},
    {"<bob@example.com>", "mail.example.com", "local", "", NULL},
    {"<bob@example.com>", "mail.example.com", "virtual", "", NULL},
    {"<bob@example.com>", "5.1.1 no such user", "error", "example.com", NULL},
    {"<bob@example.com>", "x", "discard", "", NULL},
    {"<bob@example.com>", "x", "*file*", "", NULL},
    {"<bob@[192.0.2.7]>", "mail.example.com", "local", "", NULL},
    {"<bob@example.com>", NULL, "Local", "", NULL},
    {"<bob@example.com>", "retry later", "retry", "example.com", NULL},
    {"<bob@example.com>", "x", "slow", "example.com", "x"},
};

START_TEST(test_destination)
{
    struct client client = client_of(INSIDE);
    struct question question;
    struct transaction *t = begin(&client, "<" ALICE ">");
    add(t, destinations[_i].recipient, destinations[_i].host, destinations[_i].mailer);
    give_end(t);
    ck_assert(transaction_asks(t, &question));
    ck_assert_uint_eq(question.destination_count, 1);
    ck_assert_str_eq(question.destinations[0].domain, destinations[_i].domain);
    ck_assert_pstr_eq(question.destinations[0].next_hop, destinations[_i].next_hop);
    transaction_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signing by network");
    TCase *tcase = tcase_create("signing by network");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_when_it_is_asked, 0, COUNT_OF(messages));
    tcase_add_loop_test(tcase, test_empty_list, 0, 2);
    tcase_add_loop_test(tcase, test_answers, 0, 3);
    tcase_add_test(tcase, test_evidence_is_made_all_the_same);
    tcase_add_loop_test(tcase, test_destination, 0, COUNT_OF(destinations));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
