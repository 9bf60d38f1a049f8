/*
 * The sender of a message that goes out: whether it is signed, and by which reason not. A message
 * has one sender for all of its recipients, so one excluded recipient decides for all.
 */
#include <stdlib.h>
#include <string.h>

#include "batv/address_fold.h"
#include "batv/day.h"
#include "transaction_parts.h"

struct skip {
    const char *reason;
    const char *entry;
    const struct recipient *recipient; /* whose entry it is */
    bool debug;
    bool too_long;
};

/* What is known without asking anybody. */
static bool skip_by_list(const struct transaction *t, const char *plain, struct skip *skip)
{
    const struct settings *settings = t->snapshot->settings;
    skip->reason = "exclude_sign.senders";
    skip->entry = pattern_list_match(settings->exclude_sign_senders, plain);
    if (skip->entry != NULL) {
        return true;
    }
    skip->reason = "exclude_sign.recipients";
    for (size_t i = 0; i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        skip->entry = pattern_list_match(settings->exclude_sign_recipients, r->plain);
        if (skip->entry != NULL) {
            skip->recipient = r;
            return true;
        }
    }
    skip->reason = "exclude_sign.clients";
    if (t->client->address != NULL) {
        skip->entry = network_list_match(settings->exclude_sign_networks, &t->client->ip);
    }
    if (skip->entry == NULL && t->client->name != NULL) {
        skip->entry = host_list_match(settings->exclude_sign_hosts, t->client->name);
    }
    return skip->entry != NULL;
}

/* A tag of ours on the sender: a requeued message. One of another day is replaced. */
static bool is_stale_tag(const struct transaction *t, const struct tag_check *check, time_t now)
{
    const struct settings *settings = t->snapshot->settings;
    bool authentic = check->result == RESULT_VALID || check->result == RESULT_EXPIRED;
    return authentic && check->expires != day_of(now) + (int64_t)settings->keys.lifetime_days;
}

/* The sender as it would be signed. */
struct signature {
    char *tagged; /* owned */
    int key;
    int64_t expires;
};

static enum status sign_address(const struct transaction *t, const struct address *plain,
                                time_t now, struct skip *skip, struct signature *out)
{
    char *pattern = address_fold(plain->local, plain->ascii);
    if (pattern == NULL) {
        return STATUS_NO_MEMORY;
    }
    bool skipped = skip_by_list(t, pattern, skip);
    free(pattern);
    if (skipped) {
        return STATUS_OK;
    }
    *skip = (struct skip){.reason = NULL};
    enum status status = tag_sign(t->snapshot->ring, plain, t->sender_rules->syntax,
                                  t->snapshot->settings->keys.lifetime_days, now, &out->tagged,
                                  &out->key, &out->expires);
    if (status == STATUS_INVALID) {
        skip->reason = "too-long";
        skip->too_long = true;
        return STATUS_OK;
    }
    return status;
}

/* A sender that already bears somebody's tag, or SRS form, unless the tag is an old one of ours. */
static enum status sign_sender(const struct transaction *t, time_t now, struct skip *skip,
                               struct signature *out)
{
    if (!tag_is_rewritten(t->sender.local)) {
        return sign_address(t, &t->sender, now, skip, out);
    }
    struct tag_check check;
    struct address plain = t->sender;
    enum status status =
        tag_verify(t->snapshot->ring, &t->sender, t->snapshot->settings->keys.lifetime_days, now,
                   &check, &plain.local);
    if (status == STATUS_OK && check.internal_error) {
        status = STATUS_CRYPTO;
    }
    bool forwarded = tag_forwarder(plain.local) != FORWARDER_NONE;
    if (status == STATUS_OK && is_stale_tag(t, &check, now) && !forwarded) {
        status = sign_address(t, &plain, now, skip, out);
    } else {
        skip->reason = "already-tagged";
    }
    free(plain.local);
    return status;
}

/* The local part alone, whatever the list of bounce senders says: the MTA itself may turn such a
 * sender of its own domain into the null sender later on. */
static bool is_mailer_daemon(const struct transaction *t)
{
    return t->bounce_sender || ascii_equal(t->sender.local, "mailer-daemon");
}

/* *skip gets the reason not to sign, if any, before where the mail goes is looked at. */
static enum status consider(const struct transaction *t, time_t now, struct skip *skip,
                            struct signature *out)
{
    *skip = (struct skip){.reason = NULL};
    *out = (struct signature){NULL, RING_NO_SLOT, 0};
    if (!t->facts.submission) {
        skip->reason = "not-a-submission";
    } else if (is_mailer_daemon(t)) {
        skip->reason = "mailer-daemon";
    } else if (t->handed_in && t->is_author) { /* a stranger wrote it */
        skip->reason = "handed-in-again";
    } else {
        return sign_sender(t, now, skip, out);
    }
    return STATUS_OK;
}

static enum status collect_destinations(struct transaction *t)
{
    t->destinations = calloc(t->count, sizeof *t->destinations);
    for (size_t i = 0; t->destinations != NULL && i < t->count; i++) {
        t->destinations[i] = recipient_destination(&t->recipients[i]);
    }
    return t->destinations != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status signing_asks(struct transaction *t, bool *asks)
{
    struct skip skip;
    struct signature signature;
    *asks = false;
    if (t->null_sender || t->sender_rules == NULL || !t->sender_rules->sign || t->count == 0 ||
        !t->facts.asks[FACT_RCPT_NETWORK] ||
        t->facts.answers[FACT_RCPT_NETWORK] != ANSWER_UNASKED) {
        return STATUS_OK;
    }
    enum status status = consider(t, t->now, &skip, &signature);
    free(signature.tagged);
    *asks = status == STATUS_OK && skip.reason == NULL;
    return *asks ? collect_destinations(t) : status;
}

static void record_signed(struct transaction *t, const struct signature *signature)
{
    struct decision *d = transaction_record(t, DECISION_SIGN);
    t->tagged = signature->tagged;
    if (d != NULL) {
        time_t first;
        d->domain = t->sender_rules;
        d->tagged = t->tagged;
        d->key = signature->key;
        d->expires = signature->expires;
        d->first_signed = !ring_first_signed(t->snapshot->ring, t->sender_rules->name, &first);
        d->unanswered = t->facts.answers[FACT_RCPT_NETWORK] == ANSWER_UNAVAILABLE;
    }
}

static void record_skip(struct transaction *t, const struct skip *skip)
{
    struct decision *d = transaction_record(t, DECISION_SIGN_SKIP);
    if (d != NULL) {
        d->domain = t->sender_rules;
        d->reason = skip->reason;
        d->entry = skip->entry;
        d->recipient = skip->recipient != NULL ? skip->recipient->text : NULL;
        d->debug = skip->debug;
    }
}

enum status signing_decide(struct transaction *t)
{
    struct skip skip = {.reason = "null-sender", .debug = !t->facts.submission};
    struct signature signature = {NULL, RING_NO_SLOT, 0};
    enum status status = STATUS_OK;
    if (!t->null_sender) {
        if (t->sender_rules == NULL || !t->sender_rules->sign) {
            return STATUS_OK;
        }
        status = consider(t, t->now, &skip, &signature);
    }
    if (skip.reason == NULL && t->network != NULL) {
        skip.reason = "exclude_sign.recipient_networks";
        skip.entry = t->network;
        skip.recipient = &t->recipients[t->network_recipient];
    }
    if (status == STATUS_OK && skip.reason == NULL) {
        record_signed(t, &signature);
        return STATUS_OK;
    }
    free(signature.tagged);
    if (skip.reason != NULL) {
        record_skip(t, &skip);
    }
    if (skip.too_long) {
        t->untaggable = evidence_address(t->sender.local, t->sender.ascii);
        status = t->untaggable != NULL ? status : STATUS_NO_MEMORY;
    }
    return status;
}

/* A name that can be another host's: with a dot in it, and not this host's own. Literals, localhost
 * and bare names are this host's, or nobody can say whose. */
static bool is_name_elsewhere(const struct transaction *t, const char *ascii)
{
    size_t length = strspn(ascii, "abcdefghijklmnopqrstuvwxyz0123456789-._");
    const char *server = t->client->server;
    return ascii[length] == '\0' && strchr(ascii, '.') != NULL &&
           strncmp(ascii, "localhost.", sizeof "localhost." - 1) != 0 &&
           (server == NULL || !ascii_equal(server, ascii)) &&
           host_list_match(t->snapshot->settings->own_names, ascii) == NULL;
}

static bool goes_elsewhere(const struct transaction *t, const struct recipient *r)
{
    return r->domain == NULL && !r->refused && r->leaves && is_name_elsewhere(t, r->address.ascii);
}

const char *signing_hosted(const struct transaction *t, const struct recipient *r)
{
    bool from_strangers = !t->facts.submission && t->sender_rules == NULL;
    return from_strangers && goes_elsewhere(t, r) ? r->address.ascii : NULL;
}

/* Mail in our name that the MTA lets out for a client which we do not count as submitting: it stays
 * unsigned, so its bounces will come untagged. Not what a filter hands in again that we signed, and
 * not what a stranger can send: the MTA takes his mail only for domains of its own, and for those
 * that mail in other names comes for as well. */
void signing_note_relayed(struct transaction *t)
{
    const struct snapshot *snapshot = t->snapshot;
    bool ours_unsigned = t->sender_rules != NULL && t->sender_rules->sign && !t->facts.submission &&
                         !t->facts.bounce && !tag_is_rewritten(t->sender.local);
    for (size_t i = 0; ours_unsigned && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (!goes_elsewhere(t, r) || snapshot_is_hosted(snapshot, r->address.ascii)) {
            continue;
        }
        struct decision *d = transaction_record(t, DECISION_RELAYED_UNSIGNED);
        if (d != NULL) {
            d->domain = t->sender_rules;
            d->recipient = r->text;
            d->elsewhere = r->address.ascii;
            d->holds = !snapshot->clock_wrong &&
                       !snapshot_auto_in_force(snapshot, t->sender_rules, t->now);
        }
        return;
    }
}
