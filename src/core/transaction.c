/*
 * One message. Events fill in what is known of it; transaction_asks then judges each recipient
 * through the question machine, combines the verdicts into one reply, and lists what has to be done
 * and said.
 *
 * Owns copies of all that the events brought; borrows the snapshot, the newer ring and the client.
 * An error of our own (memory, the cryptographic library) is remembered in `failed` and then
 * answers for the whole message by on_error: nothing is decided on half the facts.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/address_fold.h"
#include "batv/address_meaning.h"
#include "transaction_parts.h"

struct transaction *transaction_new(const struct snapshot *snapshot, const struct client *client)
{
    struct transaction *t = calloc(1, sizeof *t);
    if (t != NULL) {
        t->snapshot = snapshot;
        t->client = client;
        t->ring = snapshot->ring;
    }
    return t;
}

void transaction_free(struct transaction *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        recipient_free(&t->recipients[i]);
    }
    free(t->recipients);
    free(t->sender_text);
    address_free(&t->sender);
    outgoing_free(&t->outgoing);
    free(t->tagged);
    free(t->untaggable);
    free(t->mark_value);
    free(t->destinations);
    free(t->effects);
    free(t->decisions);
    free(t);
}

void transaction_fail(struct transaction *t)
{
    t->failed = true;
}

bool transaction_failed(const struct transaction *t)
{
    return t->failed;
}

/* ------------------------------------------------------------------ MAIL */

/* mailer-daemon and its like, by the plain address: others tag theirs too. */
static enum status match_bounce_sender(const struct settings *settings,
                                       const struct address *sender, bool *matches)
{
    char *plain = evidence_address(sender->local, sender->ascii);
    *matches = plain != NULL && pattern_list_match(settings->bounce_senders, plain) != NULL;
    enum status status = plain != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    free(plain);
    return status;
}

void transaction_mail(struct transaction *t, const struct mail_event *event)
{
    const struct settings *settings = t->snapshot->settings;
    t->sender_text = address_text(event->sender);
    if (t->sender_text == NULL || address_settle(event->sender, event->resolved, t->client->server,
                                                 &t->sender) != STATUS_OK) {
        t->failed = true;
        return;
    }
    t->null_sender = *t->sender.local == '\0' && *t->sender.domain == '\0';
    if (!t->null_sender &&
        match_bounce_sender(settings, &t->sender, &t->bounce_sender) != STATUS_OK) {
        t->failed = true;
        return;
    }
    t->facts.has_sender = !t->null_sender;
    t->facts.bounce = t->null_sender || t->bounce_sender;
    t->sender_rules = settings_domain(settings, t->sender.ascii);
    t->has_user = event->user != NULL;
    t->sender_is_own_name = facts_is_own_name(settings, t->client, &t->sender);
    facts_of_client(&t->facts, t->snapshot, t->client, event->user);
    if (transaction_reads_header(t) && outgoing_add_sender(t) != STATUS_OK) {
        t->failed = true;
    }
}

/* ------------------------------------------------------------------ RCPT */

/* Looks at the sender's tag, where that can be a ground to reject. */
static enum status look_at_sender(struct transaction *t)
{
    const struct settings *settings = t->snapshot->settings;
    struct tag_check check;
    char *local = NULL;
    t->facts.forged_sender = ACTION_ACCEPT;
    if (settings->forged_sender == ACTION_ACCEPT || t->sender_rules == NULL ||
        t->facts.submission || t->facts.local) {
        return STATUS_OK;
    }
    enum status status =
        tag_verify(t->ring, &t->sender, settings->keys.lifetime_days, t->now, &check, &local);
    free(local);
    if (status != STATUS_OK || check.internal_error) {
        return status != STATUS_OK ? status : STATUS_CRYPTO;
    }
    if (tag_is_unauthentic(&check)) {
        t->facts.forged_sender = settings->forged_sender;
        t->facts.sender_waits =
            auto_state_waits(snapshot_auto(t->snapshot, t->sender_rules, t->now, NULL));
    }
    return STATUS_OK;
}

static struct recipient *recipient_add(struct transaction *t)
{
    if (t->count == t->room) {
        size_t room = t->room == 0 ? 4 : 2 * t->room;
        struct recipient *grown = realloc(t->recipients, room * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        t->recipients = grown;
        t->room = room;
    }
    return &t->recipients[t->count++];
}

static bool is_to_be_signed(const struct transaction *t)
{
    return t->sender_rules != NULL && t->sender_rules->sign && t->facts.submission &&
           !t->facts.bounce;
}

void transaction_rcpt(struct transaction *t, const struct rcpt_event *event)
{
    const struct envelope envelope = {t->snapshot, t->client, &t->facts, is_to_be_signed(t)};
    struct recipient *r = t->failed ? NULL : recipient_add(t);
    t->stage = STAGE_RCPT;
    t->now = event->now;
    if (t->count == 1 && look_at_sender(t) != STATUS_OK) {
        t->failed = true;
    }
    if (r == NULL || recipient_settle(r, event, &envelope) != STATUS_OK) {
        t->failed = true;
    }
}

/* ---------------------------------------------------------------- judging */

struct decision *transaction_record(struct transaction *t, enum decision_kind kind)
{
    if (t->decision_count == t->decision_room) {
        size_t room = t->decision_room == 0 ? 4 : 2 * t->decision_room;
        struct decision *grown = realloc(t->decisions, room * sizeof *grown);
        if (grown == NULL) {
            t->failed = true;
            return NULL;
        }
        t->decisions = grown;
        t->decision_room = room;
    }
    struct decision *d = &t->decisions[t->decision_count++];
    *d = (struct decision){.kind = kind,
                           .client = t->client,
                           .sender = t->sender_text,
                           .recipients = t->count,
                           .generation = t->snapshot->ring->generation};
    return d;
}

static void record_verify(struct transaction *t, const struct recipient *r, const char *applied)
{
    struct decision *d = transaction_record(t, DECISION_VERIFY);
    if (d == NULL) {
        return;
    }
    d->domain = r->domain;
    d->recipient = r->text;
    d->judged = r->judged;
    d->result = r->domain != NULL ? r->facts.check.result : RESULT_NOT_OURS;
    d->bounce = t->facts.bounce;
    d->class = t->facts.class;
    d->verdict = r->verdict;
    d->applied = applied;
    if (r->domain == NULL) {
        d->hosted = signing_hosted(t, r);
    } else if (d->result == RESULT_VALID && !t->facts.submission) {
        d->first_tag = r->domain->sign && !ring_tag_seen(t->snapshot->ring, r->domain->name);
        d->proves_relay = t->facts.relay_unproven;
    }
    d->generation = r->generation;
    bool plain = d->result == RESULT_NOT_OURS || (!d->bounce && d->result == RESULT_MISSING);
    d->debug = plain && d->verdict.would == ACTION_ACCEPT;
    d->from_mail_server = t->facts.mail_server != NULL;
    d->opens = d->bounce && !d->debug && !t->opened;
    t->opened = t->opened || d->opens;
}

/* How many tags of one message may be wrong before it is called guessing. */
enum { WRONG_TAGS = 3 };

/* A bounce has one recipient, or the few for whom one message failed: it has one tag for each. Two
 * that none of our keys made for one mailbox, or many such, are guesses, and the one that is right
 * among them is one too. */
static bool guesses(const struct transaction *t)
{
    const struct recipient *wrong[WRONG_TAGS];
    size_t count = 0;
    for (size_t i = 0; t->facts.bounce && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (r->domain == NULL || r->facts.check.result != RESULT_BAD_SIGNATURE) {
            continue;
        }
        if (count == WRONG_TAGS) {
            return true;
        }
        for (size_t k = 0; k < count; k++) {
            if (recipients_differ_in_tag(wrong[k], r)) {
                return true;
            }
        }
        wrong[count++] = r;
    }
    return false;
}

/* What was decided at RCPT, where the message was not yet seen to guess, counts no more. */
static void note_guessing(struct transaction *t)
{
    t->facts.guesses = guesses(t);
    for (size_t i = 0; t->facts.guesses && i < t->count; i++) {
        t->recipients[i].settled = t->recipients[i].refused;
    }
}

/* One line for each result is enough for a bounce that may have a thousand recipients. */
static void count_alike(struct transaction *t, size_t first)
{
    struct decision *lines[RESULT_COUNT] = {NULL};
    for (size_t i = first; i < t->decision_count; i++) {
        struct decision *d = &t->decisions[i];
        if (d->kind != DECISION_VERIFY || d->verdict.cause != CAUSE_GUESSING) {
            continue;
        }
        d->counted = lines[d->result] != NULL;
        if (!d->counted) {
            lines[d->result] = d;
        }
        lines[d->result]->count++;
    }
}

static bool is_sender_forged(const struct transaction *t)
{
    return t->facts.forged_sender != ACTION_ACCEPT;
}

/* The recipient just given is judged at once: with reject_at = "rcpt", or in ordinary mail where no
 * deletion is sure to take it out later. */
static bool judges_at_rcpt(const struct transaction *t)
{
    if (t->failed) {
        return false;
    }
    const struct recipient *r = &t->recipients[t->count - 1];
    bool at_once = t->snapshot->settings->reject_at_rcpt || (r->odd && !t->facts.bounce);
    return at_once && (r->domain != NULL || is_sender_forged(t));
}

/* Guessing is known from the start, since a bounce to an address under guessing has to be read. */
static bool rcpt_needs(struct transaction *t, enum fact *need)
{
    if (t->failed) {
        return false;
    }
    struct recipient *r = &t->recipients[t->count - 1];
    if (recipient_is_tried(r, &t->facts) && r->facts.answers[FACT_GUESSING] == ANSWER_UNASKED) {
        *need = FACT_GUESSING;
        return true;
    }
    if (!judges_at_rcpt(t)) {
        return false;
    }
    t->facts.at_rcpt = true;
    return recipient_judge(r, &t->facts, need) == POLICY_NEEDS;
}

static void rcpt_reply(struct transaction *t)
{
    t->reply = (struct reply){.kind = REPLY_CONTINUE};
    if (t->failed) {
        reply_on_error(t->snapshot->settings, &t->reply);
        if (t->reply.kind == REPLY_ACCEPT) {
            t->reply.kind =
                REPLY_CONTINUE; /* at RCPT, accept would end the whole message's filtering */
        }
        return;
    }
    struct recipient *r = &t->recipients[t->count - 1];
    bool rejects = r->verdict.action == ACTION_REJECT;
    if (!judges_at_rcpt(t) || (!rejects && r->verdict.action != ACTION_TEMPFAIL)) {
        return;
    }
    r->refused = true;
    reply_refuse(t, r, rejects ? REPLY_REJECT : REPLY_TEMPFAIL, &t->reply);
    record_verify(t, r, NULL);
}

bool transaction_doubtful(const struct transaction *t)
{
    bool doubtful = is_sender_forged(t);
    for (size_t i = 0; i < t->count; i++) {
        doubtful = doubtful || recipient_is_doubtful(&t->recipients[i], &t->facts);
    }
    return doubtful && (t->stage != STAGE_RCPT || judges_at_rcpt(t));
}

void transaction_renew(struct transaction *t, const struct ring *ring)
{
    bool by_sender = is_sender_forged(t);
    t->ring = ring;
    t->settled = 0;
    if (by_sender && look_at_sender(t) != STATUS_OK) {
        t->failed = true;
    }
    for (size_t i = 0; i < t->count; i++) {
        struct recipient *r = &t->recipients[i];
        r->settled = r->settled && (r->refused || !by_sender);
        if (!recipient_is_doubtful(r, &t->facts)) {
            continue;
        }
        r->settled = false;
        if (recipient_check(r, t->snapshot->settings, ring, t->now) != STATUS_OK) {
            t->failed = true;
        }
    }
}

/* ------------------------------------------------------------------ wants */

unsigned transaction_wants(const struct transaction *t)
{
    unsigned wants = t->failed || is_to_be_signed(t) || is_sender_forged(t) ? WANT_END : 0;
    struct message_facts facts = t->facts;
    facts.guesses = guesses(t);
    wants |= transaction_goes_out(t) ? WANT_HEADERS | WANT_END : 0;
    wants |= outgoing_asks_hops(t) ? WANT_HEADERS : 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        bool tagged = r->domain != NULL && r->facts.check.key >= 0;
        if (r->domain != NULL && (t->facts.bounce || tagged)) {
            wants |= WANT_END;
        }
        if (r->domain != NULL && t->facts.bounce && t->snapshot->settings->may_mark) {
            wants |= WANT_HEADERS;
        }
        if (r->domain != NULL && t->facts.bounce && !r->refused &&
            recipient_needs_content(r, &facts)) {
            wants |= WANT_HEADERS | WANT_BODY;
        }
    }
    return wants;
}

void transaction_header(struct transaction *t, const struct header_event *event)
{
    if (transaction_reads_header(t)) {
        outgoing_header(t, event);
    }
    if (t->facts.bounce && t->snapshot->settings->may_mark &&
        ascii_equal(event->name, t->snapshot->settings->mark_header)) {
        t->marks++;
    }
}

/* ----------------------------------------------------------------- the end */

/* What became of a recipient, where that is something else than its action says. */
static const char *applied_name(enum disposition whole, enum action action)
{
    switch (whole) {
    case DISPOSITION_KEEP:
        return action_keeps(action) ? NULL : "removed";
    case DISPOSITION_TEMPFAIL:
        return action == ACTION_TEMPFAIL ? NULL : "tempfail";
    case DISPOSITION_REJECT:
        return action == ACTION_REJECT ? NULL : "reject";
    case DISPOSITION_DISCARD:
        break;
    }
    return NULL;
}

static void set_reply(struct transaction *t, enum disposition disposition)
{
    t->reply = (struct reply){.kind = REPLY_ACCEPT};
    if (disposition == DISPOSITION_DISCARD) {
        t->reply.kind = REPLY_DISCARD;
    }
    enum action action = disposition == DISPOSITION_REJECT ? ACTION_REJECT : ACTION_TEMPFAIL;
    enum reply_kind kind = disposition == DISPOSITION_REJECT ? REPLY_REJECT : REPLY_TEMPFAIL;
    bool refuses = disposition == DISPOSITION_REJECT || disposition == DISPOSITION_TEMPFAIL;
    for (size_t i = 0; refuses && i < t->count; i++) {
        if (!t->recipients[i].refused && t->recipients[i].verdict.action == action) {
            reply_refuse(t, &t->recipients[i], kind, &t->reply);
            return;
        }
    }
}

static enum status combine(struct transaction *t, struct outcome *outcome)
{
    enum action *actions = calloc(t->count + 1, sizeof *actions);
    if (actions == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (!t->recipients[i].refused) {
            actions[count++] = t->recipients[i].verdict.action;
        }
    }
    verdict_combine(actions, count, outcome);
    free(actions);
    return STATUS_OK;
}

/* What must go and perhaps cannot be taken out takes the whole message with it. */
static void refuse_for_odd(const struct transaction *t, struct outcome *outcome)
{
    for (size_t i = 0; outcome->disposition == DISPOSITION_KEEP && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (!r->refused && r->odd && r->verdict.action == ACTION_REJECT) {
            outcome->disposition = DISPOSITION_REJECT;
        }
    }
}

static enum status conclude(struct transaction *t)
{
    struct outcome outcome;
    enum status status = combine(t, &outcome);
    if (status != STATUS_OK) {
        return status;
    }
    refuse_for_odd(t, &outcome);
    size_t first = t->decision_count;
    for (size_t i = 0; i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (!r->refused) {
            record_verify(t, r, applied_name(outcome.disposition, r->verdict.action));
        }
    }
    count_alike(t, first);
    set_reply(t, outcome.disposition);
    if (outcome.disposition != DISPOSITION_KEEP) {
        return STATUS_OK;
    }
    status = signing_decide(t);
    signing_note_relayed(t);
    if (status == STATUS_OK) {
        status = outgoing_decide(t);
    }
    return status == STATUS_OK ? effects_build(t, &outcome) : status;
}

void transaction_end(struct transaction *t, const struct end_event *event)
{
    t->stage = STAGE_END;
    t->now = event->now;
    if (event->nonces != NULL) {
        outgoing_take_nonces(&t->outgoing, event->nonces);
    }
}

/* What is needed before the message can be decided. */
static bool end_needs(struct transaction *t, enum fact *need, size_t *recipient)
{
    if (!t->failed && t->settled == 0) {
        note_guessing(t);
    }
    for (; !t->failed && t->settled < t->count; t->settled++) {
        struct recipient *r = &t->recipients[t->settled];
        if (!r->settled && recipient_judge(r, &t->facts, need) == POLICY_NEEDS) {
            *recipient = t->settled;
            return true;
        }
    }
    bool asks = false;
    t->failed = t->failed || signing_asks(t, &asks) != STATUS_OK;
    *need = FACT_RCPT_NETWORK;
    return asks && !t->failed;
}

static void end_reply(struct transaction *t)
{
    size_t at_rcpt = t->decision_count;
    if (t->failed || conclude(t) != STATUS_OK || t->failed) {
        t->failed = true;
        t->effect_count = 0;
        t->decision_count = at_rcpt;
        reply_on_error(t->snapshot->settings, &t->reply);
    }
}

bool transaction_asks(struct transaction *t, struct question *question)
{
    enum fact need = FACT_COUNT;
    size_t recipient = t->count > 0 ? t->count - 1 : 0;
    bool at_end = t->stage == STAGE_END;
    if (t->stage == STAGE_DECIDED) {
        return false;
    }
    if (at_end ? end_needs(t, &need, &recipient) : rcpt_needs(t, &need)) {
        transaction_question(t, need, recipient, question);
        return true;
    }
    (at_end ? end_reply : rcpt_reply)(t);
    t->stage = STAGE_DECIDED;
    return false;
}

void transaction_question(const struct transaction *t, enum fact fact, size_t recipient,
                          struct question *out)
{
    *out = (struct question){
        .fact = fact, .settings = t->snapshot->settings, .ring = t->ring, .now = t->now};
    if (fact_row(fact)->of_message) {
        out->destinations = t->destinations;
        out->destination_count = t->destinations != NULL ? t->count : 0;
        return;
    }
    assert(recipient < t->count && t->recipients[recipient].names != NULL);
    const struct recipient *r = &t->recipients[recipient];
    out->recipient = recipient;
    out->domain = r->domain;
    out->names = r->names;
    out->too_long = r->facts.too_long;
    if (fact == FACT_GUESSING) {
        out->tried = recipient_tried(r);
    }
}

void transaction_answer(struct transaction *t, const struct question *question,
                        const struct finding *finding)
{
    assert(finding->answer != ANSWER_UNASKED);
    if (fact_row(question->fact)->of_message) {
        t->facts.answers[question->fact] = finding->answer;
        t->network = finding->entry;
        t->network_recipient = finding->recipient;
    } else {
        t->recipients[question->recipient].facts.answers[question->fact] = finding->answer;
    }
    if (finding->read) {
        t->facts.class = finding->class;
        t->facts.names_message_id = finding->names_message_id;
    }
}

const char *transaction_untaggable(const struct transaction *t)
{
    return t->reply.kind == REPLY_ACCEPT && !t->failed ? t->untaggable : NULL;
}

/* What mailing lists send from such an address has been written by others. */
static bool is_returned(const struct transaction *t, const struct recipient *r)
{
    return r->domain != NULL && !r->refused && !r->facts.own_name && r->domain->sign &&
           r->domain->action == ACTION_AUTO && r->facts.check.result == RESULT_VALID &&
           pattern_list_match(t->snapshot->settings->envelope_only, recipient_tagged_name(r)) ==
               NULL;
}

bool transaction_returned(const struct transaction *t, struct returned *out)
{
    bool outside = !t->failed && t->facts.bounce && !t->facts.submission;
    for (size_t i = 0; outside && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (is_returned(t, r)) {
            *out = (struct returned){t->snapshot->settings, t->ring, r->domain,
                                     recipient_tagged_name(r), r->facts.check.expires};
            return true;
        }
    }
    return false;
}

const struct effect *transaction_effects(const struct transaction *t, size_t *count)
{
    *count = t->effect_count;
    return t->effects;
}

const struct reply *transaction_reply(const struct transaction *t)
{
    return &t->reply;
}

const struct decision *transaction_decisions(const struct transaction *t, size_t *count)
{
    *count = t->decision_count;
    return t->decisions;
}
