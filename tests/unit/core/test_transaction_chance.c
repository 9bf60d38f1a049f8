/*
 * Conversations by chance, of which only what must hold for every message is checked: nothing valid
 * is refused, nobody is lost, nobody gets two copies, effects stand in their order.
 */
#include "conversation.h"

#include "batv/address_meaning.h"

#define ALICE "alice@example.com"
#define BOB   "bob@other.test"

enum { MOST = 12 };

/* A message that came about by chance, and what has become of each recipient. */
struct chat {
    char recipients[MOST][400]; /* as given, with brackets */
    bool refused[MOST];         /* at RCPT */
    size_t count;
    struct transaction *t;
};

static void random_recipient(struct chance *chance, const struct site *site, char out[400])
{
    static const char *const shapes[] = {"%s",           "{0 %s}",    "{-1 %s}",
                                         "{-9 %s}",      "{bad %s}",  "{0 +%s}",
                                         "{unknown %s}", "{next %s}", "{bad +%s}"};
    static const char *const locals[] = {"alice", "Alice", "\"a b\"", "postmaster", "l=1=b"};
    static const char *const others[] = {BOB,     "x@lists.test",           "prvs=x@example.com",
                                         "alice", "btv1==1==a@log.example", "SRS0=a@example.com"};
    char plain[200];
    char shaped[260];
    struct text text = {.used = 0};
    if (chance_below(chance, 6) == 0) {
        snprintf(shaped, sizeof shaped, "%s", others[chance_below(chance, COUNT_OF(others))]);
    } else {
        size_t which = chance_below(chance, site->settings->domain_count);
        const char *domain = site->settings->domain[which].name;
        snprintf(plain, sizeof plain, "%s@%s%s", locals[chance_below(chance, COUNT_OF(locals))],
                 *domain == '.' ? "any" : "", domain);
        const char *shape = shapes[chance_below(chance, COUNT_OF(shapes))];
        const char *place = strchr(shape, '%');
        snprintf(shaped, sizeof shaped, "%.*s%s%s", (int)(place - shape), shape, plain, place + 2);
    }
    expand(&text, site, shaped);
    ck_assert_uint_lt(text.used, 390);
    out[0] = '<';
    memcpy(out + 1, text.out, text.used);
    memcpy(out + 1 + text.used, ">", 2);
}

/* With evidence on, a bounce of any class, by any of its settings. */
static void random_evidence(struct chance *chance, struct site *site)
{
    site_evidence(site);
    site->settings->evidence.header = chance_below(chance, 4) != 0;
    site->settings->evidence.tag_in_body = chance_below(chance, 4) != 0;
    site->settings->evidence.journal = chance_below(chance, 4) != 0;
    site->class = (enum bounce_class)chance_below(chance, BOUNCE_CLASS_COUNT);
    site->names_message_id = chance_below(chance, 3) != 0;
    site->no_nonce = chance_below(chance, 8) == 0;
    if (chance_below(chance, 2) == 0) {
        site->snapshot.journal_birth = now_of_site();
    }
    for (size_t i = 0; i < site->settings->domain_count; i++) {
        struct domain_settings *domain = &site->settings->domain[i];
        if (!domain->sign) {
            domain->message_ids = REGEXES("@off\\.example$");
        }
        if (chance_below(chance, 2) == 0) {
            size_t class = chance_below(chance, BOUNCE_CLASS_COUNT);
            domain->classes[class] = (enum action)chance_below(chance, ACTION_COUNT);
        }
    }
}

/* Copies of the evidence header, of which some are ours, and anything else. */
static void random_headers(struct chat *chat, struct chance *chance, const struct site *site)
{
    static const char *const lines[] = {"X-Batv-Evidence: {evidence " ALICE "}",
                                        "X-Batv-Evidence: {former bob@example.com," ALICE "}",
                                        "X-Batv-Evidence: {forged " ALICE "}",
                                        "x-batv-evidence: ",
                                        "X-Batv-Evidence: {evidence-31 " ALICE "}",
                                        "Message-ID: <a@example.com>",
                                        "Subject: X-Batv-Evidence"};
    if ((transaction_wants(chat->t) & WANT_HEADERS) == 0) {
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        give_field(chat->t, "X-Batv-Result", "");
    }
    for (size_t i = chance_below(chance, 6); i > 0; i--) {
        give_header(chat->t, site, lines[chance_below(chance, COUNT_OF(lines))]);
    }
    for (size_t i = chance_below(chance, 4); transaction_goes_out(chat->t) && i > 0; i--) {
        char address[400];
        random_recipient(chance, site, address);
        give_answer_field(chat->t, chance_below(chance, 2) == 0 ? "From" : "Reply-To", address);
    }
}

static void hold_chat(struct chat *chat, struct chance *chance, const struct site *site,
                      const struct client *client)
{
    static const char *const senders[] = {"<>",
                                          "<>",
                                          "<" BOB ">",
                                          "<" ALICE ">",
                                          "<mailer-daemon@other.test>",
                                          "<mailer-daemon@example.com>"};
    chat->t = transaction_new(&site->snapshot, client);
    give_mail(chat->t, senders[chance_below(chance, COUNT_OF(senders))],
              chance_below(chance, 5) == 0 ? "user" : NULL);
    chat->count = 1 + chance_below(chance, MOST);
    for (size_t i = 0; i < chat->count; i++) {
        random_recipient(chance, site, chat->recipients[i]);
        give_rcpt(chat->t, chat->recipients[i]);
        enum reply_kind kind = reply_to_recipient(chat->t)->kind;
        chat->refused[i] = kind != REPLY_CONTINUE;
        ck_assert(kind == REPLY_CONTINUE || kind == REPLY_REJECT || kind == REPLY_TEMPFAIL);
    }
    random_headers(chat, chance, site);
    decide(chat->t, site);
}

/* Effects stand in this order of kinds, for each of the two headers by itself; copies of a header
 * from the last to the first, of the result's every one. */
static void check_order(const struct effect *effects, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct effect *e = &effects[i];
        const struct effect *before = &effects[i - 1];
        bool marks = e->name != NULL && strcmp(e->name, "X-Batv-Result") == 0;
        bool other_header = marks && before->name != NULL && strcmp(before->name, e->name) != 0;
        ck_assert(e->kind >= before->kind || other_header);
        ck_assert(e->kind != EFFECT_CHANGE_SENDER && e->kind != EFFECT_QUARANTINE + 1);
        if (e->kind == EFFECT_REMOVE_HEADER && before->kind == e->kind && !other_header) {
            ck_assert_str_eq(e->name, before->name);
            ck_assert(marks ? e->index + 1 == before->index : e->index < before->index);
        }
    }
    ck_assert_int_lt(EFFECT_REMOVE_RECIPIENT, EFFECT_ADD_RECIPIENT);
    ck_assert_int_lt(EFFECT_REMOVE_HEADER, EFFECT_ADD_HEADER);
}

static bool is_removed(const struct effect *effects, size_t count, const char *raw)
{
    for (size_t i = 0; i < count; i++) {
        if (effects[i].kind == EFFECT_REMOVE_RECIPIENT && strcmp(effects[i].value, raw) == 0) {
            return true;
        }
    }
    return false;
}

/* Owners of lists are journalled, of addresses of ours, once each and beside no other entry. */
static void check_owners(const struct outgoing *outgoing, const struct site *site)
{
    bool journaled = outgoing->journaled && outgoing->message_id != NULL;
    ck_assert_uint_le(outgoing->owner_count, journaled ? OUTGOING_OWNERS : 0);
    for (size_t i = 0; i < outgoing->owner_count; i++) {
        const char *address = outgoing->owners[i];
        ck_assert_ptr_nonnull(settings_domain(site->settings, strrchr(address, '@') + 1));
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(outgoing->owners[j], address);
        }
        for (size_t j = 0; j < outgoing->proven; j++) {
            ck_assert_str_ne(outgoing->addresses[j], address);
        }
    }
}

/* What goes out is known by something, and by nothing but addresses of ours, once each. */
static void check_outgoing(const struct chat *chat, const struct site *site,
                           const struct effect *effects, size_t count)
{
    const struct outgoing *outgoing = transaction_outgoing(chat->t);
    size_t added = 0;
    for (size_t i = 0; i < count; i++) {
        bool evidence = effects[i].name != NULL && strcmp(effects[i].name, EVIDENCE_NAME) == 0;
        added += evidence && effects[i].kind == EFFECT_ADD_HEADER;
        ck_assert(!evidence || outgoing != NULL);
    }
    if (outgoing == NULL) {
        return;
    }
    ck_assert_int_eq(transaction_reply(chat->t)->kind, REPLY_ACCEPT);
    bool known = outgoing->message_id != NULL && site->settings->evidence.journal;
    ck_assert_uint_eq(added, site->settings->evidence.header && (known || !site->no_nonce));
    ck_assert_uint_ge(outgoing->address_count, 1);
    ck_assert_uint_le(outgoing->address_count, EVIDENCE_ADDRESSES);
    for (size_t i = 0; i < outgoing->address_count; i++) {
        const char *address = outgoing->addresses[i];
        ck_assert_ptr_nonnull(settings_domain(site->settings, strrchr(address, '@') + 1));
        for (size_t j = 0; j < i; j++) {
            ck_assert_str_ne(outgoing->addresses[j], address);
        }
    }
    check_owners(outgoing, site);
    size_t kept = 0;
    for (size_t i = 0; i < chat->count; i++) {
        kept += !chat->refused[i] && !is_removed(effects, count, chat->recipients[i]);
    }
    for (size_t i = 0; i < count; i++) {
        kept += effects[i].kind == EFFECT_ADD_RECIPIENT;
    }
    ck_assert_uint_ge(outgoing->recipients, kept);
}

/* The mailbox that a recipient means: without an authentic tag, in one spelling. */
static char *mailbox_of(const struct site *site, const char *raw, enum result *result)
{
    struct address address;
    struct tag_check check;
    char *local = NULL;
    ck_assert_int_eq(address_settle(raw, NULL, NULL, &address), STATUS_OK);
    ck_assert_int_eq(tag_verify(site->ring, &address, LIFETIME, now_of_site(), &check, &local),
                     STATUS_OK);
    *result =
        settings_domain(site->settings, address.ascii) != NULL ? check.result : RESULT_NOT_OURS;
    char *mailbox = address_plain(local, address.ascii);
    free(local);
    address_free(&address);
    return mailbox;
}

/* How often a mailbox is delivered to, after the effects, by an MTA that takes any tag off. */
static size_t deliveries(const struct chat *chat, const struct site *site,
                         const struct effect *effects, size_t count, const char *mailbox)
{
    size_t times = 0;
    enum result result;
    for (size_t i = 0; i < chat->count; i++) {
        const char *raw = chat->recipients[i];
        bool repeated = false; /* an MTA knows a recipient once */
        for (size_t j = 0; j < i; j++) {
            repeated = repeated || (!chat->refused[j] && strcmp(chat->recipients[j], raw) == 0);
        }
        char *own = mailbox_of(site, raw, &result);
        times += !chat->refused[i] && !repeated && !is_removed(effects, count, raw) &&
                 strcmp(own, mailbox) == 0;
        free(own);
    }
    for (size_t i = 0; i < count; i++) {
        if (effects[i].kind == EFFECT_ADD_RECIPIENT) {
            char *own = mailbox_of(site, effects[i].value, &result);
            times += strcmp(own, mailbox) == 0;
            free(own);
        }
    }
    return times;
}

/* The record of the index-th recipient. Those refused at RCPT come first, then the others. */
static const struct decision *record_of(const struct chat *chat, size_t index)
{
    size_t count;
    const struct decision *decisions = transaction_decisions(chat->t, &count);
    size_t place = 0;
    for (size_t i = 0; i < chat->count; i++) {
        place += chat->refused[i] && (!chat->refused[index] || i < index);
        place += !chat->refused[i] && !chat->refused[index] && i < index;
    }
    ck_assert_uint_lt(place, count);
    ck_assert_int_eq(decisions[place].kind, DECISION_VERIFY);
    size_t length = strlen(chat->recipients[index]);
    ck_assert_uint_eq(strlen(decisions[place].recipient), length - 2);
    ck_assert_int_eq(strncmp(decisions[place].recipient, chat->recipients[index] + 1, length - 2),
                     0);
    return &decisions[place];
}

/* Without these nothing is a guess. */
static size_t count_wrong_tags(const struct transaction *t)
{
    size_t count;
    size_t wrong = 0;
    const struct decision *decisions = transaction_decisions(t, &count);
    for (size_t i = 0; i < count; i++) {
        wrong +=
            decisions[i].kind == DECISION_VERIFY && decisions[i].result == RESULT_BAD_SIGNATURE;
    }
    return wrong;
}

static void check_recipient(const struct chat *chat, const struct site *site, size_t index,
                            const struct effect *effects, size_t count)
{
    enum result result;
    const struct decision *d = record_of(chat, index);
    char *mailbox = mailbox_of(site, chat->recipients[index], &result);
    bool authentic = result == RESULT_VALID || result == RESULT_EXPIRED;
    bool keeps = action_keeps(d->verdict.action);
    bool accepted = transaction_reply(chat->t)->kind == REPLY_ACCEPT;
    /* By a name of the host itself: by what client it came is not looked at here. */
    ck_assert(d->result == result ||
              (result == RESULT_NOT_OURS && strchr(mailbox, '@') == NULL && d->judged != NULL));
    if (chat->refused[index]) {
        ck_assert(!keeps);
    } else if (accepted && !keeps) {
        ck_assert(is_removed(effects, count, chat->recipients[index]));
        ck_assert_str_eq(d->applied, "removed");
    } else if (accepted && authentic) {
        bool restores = site->settings->restore;
        ck_assert_int_eq(is_removed(effects, count, chat->recipients[index]), restores);
        ck_assert_msg(deliveries(chat, site, effects, count, mailbox) >= 1, "%s is lost", mailbox);
    } else if (accepted && is_removed(effects, count, chat->recipients[index])) {
        /* For a tag of the same mailbox, which is added once for both. */
        ck_assert_msg(deliveries(chat, site, effects, count, mailbox) == 1, "%s is lost", mailbox);
    }
    bool guesses = d->verdict.cause == CAUSE_GUESSING;
    ck_assert(!guesses || count_wrong_tags(chat->t) >= 2);
    if (result == RESULT_VALID && d->verdict.action != ACTION_ACCEPT && !guesses) {
        ck_abort_msg("a valid tag and %s", action_name(d->verdict.action));
    }
    free(mailbox);
}

/* A mailbox that is added is a recipient by nothing else that stays, unless by a tag of its own
 * that is not ours to take off. */
static void check_added(const struct chat *chat, const struct site *site,
                        const struct effect *effects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (effects[i].kind != EFFECT_ADD_RECIPIENT) {
            continue;
        }
        enum result result;
        char *mailbox = mailbox_of(site, effects[i].value, &result);
        ck_assert_int_eq(result, RESULT_MISSING);
        size_t times = deliveries(chat, site, effects, count, mailbox);
        ck_assert_msg(times == 1, "%s: %zu copies", mailbox, times);
        free(mailbox);
    }
}

START_TEST(test_random_conversations)
{
    struct chance chance = {(uint64_t)_i + 1};
    static struct chat chat;
    for (int i = 0; i < 300; i++) {
        struct site *site = site_make();
        struct client client = client_of((enum who)chance_below(&chance, WHO_COUNT));
        site->settings->reject_at_rcpt = chance_below(&chance, 4) == 0;
        site->settings->restore = chance_below(&chance, 8) != 0;
        site->snapshot.paused = chance_below(&chance, 8) == 0;
        bool has_evidence = chance_below(&chance, 2) == 0;
        if (has_evidence) {
            random_evidence(&chance, site);
        }
        for (size_t f = 0; f < FACT_COUNT; f++) {
            static const enum answer seldom[] = {ANSWER_YES, ANSWER_EXHAUSTED, ANSWER_OVERLOADED,
                                                 ANSWER_UNAVAILABLE};
            size_t kind = chance_below(&chance, 24);
            site->answers[f] = kind < COUNT_OF(seldom) ? seldom[kind] : ANSWER_NO;
        }
        hold_chat(&chat, &chance, site, &client);
        ck_assert(!transaction_failed(chat.t));
        size_t count;
        const struct effect *effects = transaction_effects(chat.t, &count);
        const struct reply *reply = transaction_reply(chat.t);
        ck_assert(reply->kind != REPLY_CONTINUE);
        ck_assert(reply->kind == REPLY_ACCEPT || count == 0);
        bool forged = reply->kind == REPLY_TEMPFAIL && strcmp(reply->enhanced, "4.1.1") == 0;
        ck_assert(!site->snapshot.paused || reply->kind == REPLY_ACCEPT || forged);
        ck_assert(!client.local || reply->kind == REPLY_ACCEPT);
        ck_assert(transaction_wants(chat.t) != 0 || count == 0);
        ck_assert(has_evidence || (transaction_wants(chat.t) & WANT_BODY) == 0);
        ck_assert(has_evidence || transaction_outgoing(chat.t) == NULL);
        check_order(effects, count);
        check_outgoing(&chat, site, effects, count);
        for (size_t r = 0; r < chat.count; r++) {
            check_recipient(&chat, site, r, effects, count);
        }
        check_added(&chat, site, effects, count);
        transaction_free(chat.t);
        site_free(site);
    }
}
END_TEST

/* Addresses from the network are anything. */
START_TEST(test_random_octets)
{
    static const char *const alphabets[] = {NULL, "prvs=0123456789abc+@.\"", "<@:>\\\"=a ,"};
    struct chance chance = {99};
    struct site *site = site_make();
    site_evidence(site);
    for (int i = 0; i < 5000; i++) {
        struct client client = client_of((enum who)chance_below(&chance, WHO_COUNT));
        site->settings->evidence.enabled = i % 2 == 0;
        struct transaction *t = transaction_new(&site->snapshot, &client);
        char raw[3][160];
        for (size_t k = 0; k < COUNT_OF(raw); k++) {
            const char *alphabet = alphabets[chance_below(&chance, COUNT_OF(alphabets))];
            char local[101];
            chance_text(&chance, alphabet, local, chance_below(&chance, 100));
            snprintf(raw[k], sizeof raw[k], "%s%s", local,
                     chance_below(&chance, 2) == 0 ? "@example.com" : "@mark.example>");
        }
        give_mail(t, chance_below(&chance, 2) == 0 ? "<>" : raw[0], raw[1]);
        transaction_rcpt(
            t, &(struct rcpt_event){.recipient = raw[1],
                                    .arguments = (const char *const[]){raw[0], raw[2], NULL},
                                    .now = now_of_site()});
        give_rcpt(t, raw[2]);
        if (transaction_goes_out(t)) {
            for (size_t k = 0; k < COUNT_OF(raw); k++) {
                give_field(t, "Message-ID", raw[k]);
                give_field(t, EVIDENCE_NAME, raw[k]);
                give_answer_field(t, "Reply-To", raw[k]);
            }
        }
        decide(t, site);
        ck_assert(!transaction_failed(t));
        const struct outgoing *outgoing = transaction_outgoing(t);
        if (outgoing != NULL && outgoing->message_id != NULL) {
            ck_assert_uint_gt(strlen(outgoing->message_id), 0);
            ck_assert_ptr_null(strpbrk(outgoing->message_id, " \t\r\n"));
        }
        size_t count;
        const struct decision *decisions = transaction_decisions(t, &count);
        for (size_t k = 0; k < count; k++) {
            char line[DECISION_LINE];
            decision_format(&decisions[k], line, sizeof line);
            ck_assert_ptr_null(strpbrk(line, "\r\n"));
        }
        const struct effect *effects = transaction_effects(t, &count);
        for (size_t k = 0; k < count; k++) {
            const char *value = effects[k].value != NULL ? effects[k].value : "";
            if (effects[k].kind == EFFECT_ADD_HEADER) { /* folding is the only line break in it */
                const char *end = strpbrk(value, "\r\n");
                ck_assert(end == NULL || (end[0] == '\n' && end[1] == '\t'));
            }
        }
        ck_assert_ptr_null(strpbrk(transaction_reply(t)->text, "\r\n"));
        transaction_free(t);
    }
    site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transactions by chance");
    TCase *tcase = tcase_create("chance");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_random_conversations, 0, 10);
    tcase_add_test(tcase, test_random_octets);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
