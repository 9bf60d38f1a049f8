/*
 * The sender of a message that goes out: whether it is signed, and by which reason not. A message
 * has one sender for all of its recipients, so one excluded recipient decides for all.
 */
#include <stdlib.h>

#include "batv/day.h"
#include "transaction_parts.h"

struct skip {
    const char *reason;
    const char *entry;
    const struct recipient *recipient; /* whose entry it is */
    bool debug;
};

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

static enum status sign_address(struct transaction *t, const struct address *plain, time_t now,
                                struct skip *skip)
{
    char *pattern = address_plain(plain->local, plain->ascii);
    if (pattern == NULL) {
        return STATUS_NO_MEMORY;
    }
    bool skipped = skip_by_list(t, pattern, skip);
    free(pattern);
    if (skipped) {
        return STATUS_OK;
    }
    *skip = (struct skip){NULL, NULL, NULL, false};

    int key = RING_NO_SLOT;
    int64_t expires = 0;
    enum status status =
        tag_sign(t->snapshot->ring, plain, t->sender_rules->syntax,
                 t->snapshot->settings->keys.lifetime_days, now, &t->tagged, &key, &expires);
    if (status == STATUS_INVALID) {
        skip->reason = "too-long";
        return STATUS_OK;
    }
    struct decision *d = status == STATUS_OK ? transaction_record(t, DECISION_SIGN) : NULL;
    if (d != NULL) {
        d->rules = t->sender_rules;
        d->tagged = t->tagged;
        d->key = key;
        d->expires = expires;
        time_t first;
        d->first_signed = !ring_first_signed(t->snapshot->ring, t->sender_rules->name, &first);
    }
    return status;
}

/* A sender that already bears somebody's tag, or SRS form, unless the tag is an old one of ours. */
static enum status sign_sender(struct transaction *t, time_t now, struct skip *skip)
{
    if (!tag_is_rewritten(t->sender.local)) {
        return sign_address(t, &t->sender, now, skip);
    }
    struct tag_check check;
    struct address plain = t->sender;
    enum status status =
        tag_verify(t->snapshot->ring, &t->sender, t->snapshot->settings->keys.lifetime_days, now,
                   &check, &plain.local);
    if (status == STATUS_OK && check.internal_error) {
        status = STATUS_CRYPTO;
    }
    if (status == STATUS_OK && is_stale_tag(t, &check, now)) {
        status = sign_address(t, &plain, now, skip);
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

enum status signing_decide(struct transaction *t, time_t now)
{
    struct skip skip = {NULL, NULL, NULL, false};
    enum status status = STATUS_OK;
    if (t->null_sender) {
        skip = (struct skip){.reason = "null-sender", .debug = !t->facts.submission};
    } else if (t->sender_rules == NULL || !t->sender_rules->sign) {
        return STATUS_OK;
    } else if (!t->facts.submission) {
        skip.reason = "not-a-submission";
    } else if (is_mailer_daemon(t)) {
        skip.reason = "mailer-daemon";
    } else {
        status = sign_sender(t, now, &skip);
    }
    struct decision *d = skip.reason != NULL ? transaction_record(t, DECISION_SIGN_SKIP) : NULL;
    if (d != NULL) {
        d->rules = t->sender_rules;
        d->reason = skip.reason;
        d->entry = skip.entry;
        d->recipient = skip.recipient != NULL ? skip.recipient->text : NULL;
        d->debug = skip.debug;
    }
    return status;
}

/* Mail in our name that the MTA lets out for a client which we do not count as submitting: it stays
 * unsigned, so its bounces will come untagged. Not what a filter hands in again that we signed. */
void signing_note_relayed(struct transaction *t)
{
    bool ours_unsigned = t->sender_rules != NULL && t->sender_rules->sign && !t->facts.submission &&
                         !t->facts.bounce && !tag_is_rewritten(t->sender.local);
    for (size_t i = 0; ours_unsigned && i < t->count; i++) {
        if (t->recipients[i].rules != NULL || t->recipients[i].refused) {
            continue;
        }
        struct decision *d = transaction_record(t, DECISION_RELAYED_UNSIGNED);
        if (d != NULL) {
            d->rules = t->sender_rules;
            d->recipient = t->recipients[i].text;
        }
        return;
    }
}
