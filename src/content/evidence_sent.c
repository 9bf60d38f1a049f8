/*
 * Answers go to the envelope sender, but also to addresses in the header: read receipts to
 * Disposition-Notification-To, replies of the absent and many bounces to From. Any thread.
 */
#include "content/evidence_sent.h"

#include <stdio.h>
#include <syslog.h>

#include "base/log.h"
#include "base/random.h"
#include "base/words.h"
#include "batv/address.h"
#include "batv/day.h"
#include "content/evidence_returned.h"
#include "content/mime.h"

static bool names_answer_addresses(const char *field)
{
    static const char *const fields[] = {"From", "Sender", "Reply-To",
                                         "Disposition-Notification-To", "Return-Receipt-To"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (ascii_equal(field, fields[i])) {
            return true;
        }
    }
    return false;
}

struct taken {
    struct words addresses;
    bool failed;
};

static bool take_address(void *context, const char *address)
{
    struct taken *taken = context;
    taken->failed = taken->failed || !words_add(&taken->addresses, address);
    return !taken->failed;
}

void evidence_sent_header(struct transaction *transaction, const char *name, const char *value)
{
    struct taken taken = {.failed = false};
    if (transaction_reads_header(transaction) && names_answer_addresses(name)) {
        mime_addresses(value, take_address, &taken);
    }
    const struct header_event event = {name, value, (const char *const *)taken.addresses.items,
                                       taken.addresses.count};
    transaction_header(transaction, &event);
    if (taken.failed) {
        transaction_fail(transaction);
    }
    words_free(&taken.addresses);
}

const struct nonces *evidence_sent_nonces(const struct transaction *transaction,
                                          struct nonces *nonces)
{
    struct reason why;
    if (!transaction_goes_out(transaction)) {
        return NULL;
    }
    if (random_octets(nonces, sizeof *nonces, &why) != STATUS_OK) {
        log_line(LOG_ERR, "neither evidence header nor Message-ID is added: %s", why.text);
        return NULL;
    }
    return nonces;
}

/* Its bounces will have no tag: its sender is noted down, and that alone. */
static void record_untaggable(struct journal *journal, const struct transaction *transaction,
                              const struct snapshot *snapshot, time_t now)
{
    const char *sender = transaction_untaggable(transaction);
    if (sender != NULL) {
        journal_note_put(journal, snapshot->ring, sender, EVIDENCE_UNTAGGABLE, 1,
                         day_of(now) + snapshot->settings->evidence.retain_days + 1);
    }
}

/* One without a Message-ID of ours is known by its header alone. The note by which uses are counted
 * is made with the first use; one that allows more than that would must be there before. */
void evidence_sent_record(struct journal *journal, const struct transaction *transaction,
                          const struct snapshot *snapshot, time_t now)
{
    const struct outgoing *outgoing = transaction_outgoing(transaction);
    record_untaggable(journal, transaction, snapshot, now);
    if (outgoing == NULL || !snapshot->settings->evidence.journal) {
        return;
    }
    char nonce[EVIDENCE_NONCE_HEX];
    char name[EVIDENCE_USE_NAME];
    const char *id = outgoing->journaled ? outgoing->message_id : NULL;
    if (id == NULL && !outgoing->has_nonce) {
        return;
    }
    evidence_nonce_format(outgoing->nonce, nonce);
    evidence_use_name(nonce, id != NULL, name);
    int64_t expires = day_of(now) + snapshot->settings->evidence.retain_days + 1;
    unsigned allowed = journal_allowance(outgoing->recipients);
    for (size_t i = 0; i < outgoing->proven; i++) {
        if (id != NULL) {
            journal_put(journal, snapshot->ring, outgoing->addresses[i], id, allowed, expires);
        }
        if (id == NULL || allowed > journal_allowance(1)) {
            journal_note_put(journal, snapshot->ring, outgoing->addresses[i], name, allowed,
                             expires);
        }
    }
    for (size_t i = 0; i < outgoing->owner_count; i++) {
        journal_put(journal, snapshot->ring, outgoing->owners[i], id, allowed, expires);
    }
}
