/*
 * Answers go to the envelope sender, but also to addresses in the header: read receipts to
 * Disposition-Notification-To, replies of the absent and many bounces to From. Any thread.
 */
#include "content/evidence_sent.h"

#include <stdio.h>
#include <syslog.h>

#include "base/log.h"
#include "base/random.h"
#include "batv/address.h"
#include "batv/day.h"
#include "content/evidence_returned.h"
#include "content/mime.h"

static bool take_author(void *context, const char *address)
{
    struct transaction *transaction = context;
    transaction_header_address(transaction, true, address);
    return !transaction_failed(transaction);
}

static bool take_address(void *context, const char *address)
{
    struct transaction *transaction = context;
    transaction_header_address(transaction, false, address);
    return !transaction_failed(transaction);
}

void evidence_sent_header(struct transaction *transaction, const char *name, const char *value)
{
    static const char *const fields[] = {"Sender", "Reply-To", "Disposition-Notification-To",
                                         "Return-Receipt-To"};
    if (ascii_equal(name, "From")) {
        mime_addresses(value, take_author, transaction);
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (ascii_equal(name, fields[i])) {
            mime_addresses(value, take_address, transaction);
        }
    }
}

void evidence_sent_prepare(struct transaction *transaction)
{
    struct {
        uint8_t header[EVIDENCE_NONCE];
        uint8_t id[MESSAGE_ID_NONCE]; /* its own: the header's is shown to more people */
    } nonce;
    struct reason why;
    if (random_octets(&nonce, sizeof nonce, &why) != STATUS_OK) {
        log_line(LOG_ERR, "neither evidence header nor Message-ID is added: %s", why.text);
        return;
    }
    transaction_nonce(transaction, nonce.header);
    transaction_id_nonce(transaction, nonce.id);
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
