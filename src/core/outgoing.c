/*
 * A message that goes out in our name: the addresses to which answers can come, the Message-ID, and
 * the evidence header, by which the message is known again when it is returned. Made for all that
 * is let out, signed or not, since answers go to other addresses than the signed one as well. A
 * message without a Message-ID gets one here: whoever adds it later does not tell us.
 *
 * Not all of it is ours. A list, a filter or fetchmail hands in again what came from outside, and
 * whoever wrote that chose its header. The Received fields of hosts of ours tell, and strangers
 * cannot take those out.
 */
#include <stdlib.h>
#include <string.h>

#include "batv/address_fold.h"
#include "batv/address_meaning.h"
#include "batv/message_id.h"
#include "batv/tag.h"
#include "transaction_parts.h"

bool transaction_goes_out(const struct transaction *t)
{
    const struct evidence_policy *policy = &t->snapshot->settings->evidence;
    bool leaves_marks = policy->enabled && (policy->header || policy->journal);
    bool ours = t->sender_rules != NULL || t->sender_is_own_name;
    return leaves_marks && ours && t->facts.submission && !t->null_sender && !t->failed;
}

bool outgoing_asks_hops(const struct transaction *t)
{
    bool signs = t->sender_rules != NULL && t->sender_rules->sign && t->facts.submission &&
                 !t->facts.bounce && !t->failed;
    return !t->has_user && (signs || transaction_goes_out(t));
}

bool transaction_reads_header(const struct transaction *t)
{
    return transaction_goes_out(t) || outgoing_asks_hops(t);
}

static bool outgoing_has(const struct outgoing *outgoing, const char *address)
{
    for (size_t i = 0; i < outgoing->address_count; i++) {
        if (strcmp(outgoing->addresses[i], address) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes address over. */
static void outgoing_add(struct outgoing *outgoing, char *address)
{
    if (outgoing->address_count == EVIDENCE_ADDRESSES || outgoing_has(outgoing, address)) {
        free(address);
        return;
    }
    outgoing->addresses[outgoing->address_count++] = address;
}

/* The domain by which evidence knows an address; NULL: it is not ours. */
static const char *evidence_domain(const struct transaction *t, const struct address *address)
{
    if (facts_is_own_name(t->snapshot->settings, t->client, address)) {
        return settings_first(t->snapshot->settings)->name;
    }
    bool ours = settings_domain(t->snapshot->settings, address->ascii) != NULL;
    return ours ? address->ascii : NULL;
}

enum status outgoing_add_sender(struct transaction *t)
{
    char *folded = evidence_address(t->sender.local, evidence_domain(t, &t->sender));
    if (folded == NULL) {
        return STATUS_NO_MEMORY;
    }
    t->envelope_only = pattern_list_match(t->snapshot->settings->envelope_only, folded) != NULL;
    outgoing_add(&t->outgoing, folded);
    return STATUS_OK;
}

/* The sender is among the addresses from MAIL on. */
static enum status take_address(struct transaction *t, bool from, const struct address *address)
{
    const char *domain = evidence_domain(t, address);
    if (domain == NULL) {
        return STATUS_OK;
    }
    char *folded = evidence_address(address->local, domain);
    if (folded == NULL) {
        return STATUS_NO_MEMORY;
    }
    t->is_author = t->is_author || (from && strcmp(folded, t->outgoing.addresses[0]) == 0);
    outgoing_add(&t->outgoing, folded);
    return STATUS_OK;
}

static enum status take_text(struct transaction *t, bool from, const char *text)
{
    struct address address;
    enum status status = address_settle(text, NULL, t->client->server, &address);
    if (status == STATUS_OK) {
        status = take_address(t, from, &address);
        address_free(&address);
    }
    return status;
}

/* fetchmail calls its host localhost, unless it is told better. */
static bool is_own_host(const struct transaction *t, const struct received *hop)
{
    const char *server = t->client->server;
    return (server != NULL && ascii_equal(hop->by, server)) ||
           host_list_match(t->snapshot->settings->own_names, hop->by) != NULL ||
           (hop->fetched && ascii_equal(hop->by, "localhost"));
}

/* A host of ours got the message there from a stranger. */
static bool is_from_outside(const struct transaction *t, const struct received *hop)
{
    const struct settings *settings = t->snapshot->settings;
    if (hop->from == RECEIVED_LOCAL || hop->authenticated || !is_own_host(t, hop)) {
        return false;
    }
    return hop->from == RECEIVED_UNREADABLE ||
           network_list_match(settings->relays, &hop->ip) != NULL ||
           network_list_match(settings->internal_networks, &hop->ip) == NULL;
}

/* A field of a host of ours whose client has hidden that: nothing that it says is believed. */
static void find_hidden_host(const struct transaction *t, const char *value, struct received *hop)
{
    struct received hidden = {.from = RECEIVED_UNREADABLE};
    while (!is_own_host(t, &hidden)) {
        if (!received_next_host(&value, hidden.by)) {
            return;
        }
    }
    *hop = hidden;
}

static void take_hop(struct transaction *t, const char *value)
{
    if (t->handed_in || !outgoing_asks_hops(t)) {
        return;
    }
    received_read(value, &t->hop);
    if (!is_own_host(t, &t->hop)) {
        find_hidden_host(t, value, &t->hop);
    }
    t->handed_in = is_from_outside(t, &t->hop);
}

const struct received *transaction_handed_in(const struct transaction *t)
{
    return t->handed_in ? &t->hop : NULL;
}

void outgoing_take_nonces(struct outgoing *outgoing, const struct nonces *nonces)
{
    memcpy(outgoing->nonce, nonces->evidence, EVIDENCE_NONCE);
    memcpy(outgoing->id_nonce, nonces->id, MESSAGE_ID_NONCE);
    outgoing->has_nonce = true;
    outgoing->has_id_nonce = true;
}

/* Copies of the header that came with the message: of each, whether it is ours is known only at the
 * end, when all answer addresses are. */
static enum status keep_copy(struct outgoing *outgoing, const char *value)
{
    if (outgoing->copy_count == OUTGOING_COPIES) {
        return STATUS_OK;
    }
    char **copy = &outgoing->copies[outgoing->copy_count++];
    if (strlen(value) > EVIDENCE_VALUE_MAX) {
        return STATUS_OK;
    }
    *copy = strdup(value);
    return *copy != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* The first one that can be read is what answers name; else the first that is anything, which can
 * only come back as the field that it is. */
static enum status keep_id(struct outgoing *outgoing, const char *value)
{
    char *id = NULL;
    outgoing->ids++;
    if (outgoing->has_id) {
        return STATUS_OK;
    }
    enum status status = message_id_clean(value, strlen(value), &id);
    outgoing->has_id = status == STATUS_OK && message_id_is_nameable(value);
    if (outgoing->has_id || outgoing->message_id == NULL) {
        free(outgoing->message_id);
        outgoing->message_id = id;
    } else {
        free(id);
    }
    return status;
}

static bool is_signature(const char *name)
{
    return ascii_equal(name, "DKIM-Signature") || ascii_equal(name, "ARC-Message-Signature");
}

/* What stands in a message that goes out. */
static enum status take_field(struct outgoing *outgoing, const char *name, const char *value)
{
    if (ascii_equal(name, EVIDENCE_NAME)) {
        return keep_copy(outgoing, value);
    }
    if (ascii_equal(name, MESSAGE_ID_NAME)) {
        return keep_id(outgoing, value);
    }
    if (is_signature(name)) {
        outgoing->id_signed = outgoing->id_signed || signature_names(value, MESSAGE_ID_NAME);
    }
    return STATUS_OK;
}

void outgoing_header(struct transaction *t, const struct header_event *field)
{
    bool from = ascii_equal(field->name, "From");
    enum status status = STATUS_OK;
    if (ascii_equal(field->name, "Received")) {
        take_hop(t, field->value);
    }
    if (transaction_goes_out(t)) {
        status = take_field(&t->outgoing, field->name, field->value);
    }
    t->failed = t->failed || status == STATUS_NO_MEMORY;
    for (size_t i = 0; !t->failed && i < field->address_count; i++) {
        t->failed = take_text(t, from, field->addresses[i]) != STATUS_OK;
    }
}

static enum status is_authentic(const struct transaction *t, const char *copy, time_t now,
                                bool *authentic)
{
    const struct outgoing *outgoing = &t->outgoing;
    char nonce[EVIDENCE_NONCE_HEX];
    enum status status = STATUS_OK;
    *authentic = false;
    for (size_t i = 0; status == STATUS_OK && !*authentic && i < outgoing->address_count; i++) {
        status = evidence_check(t->snapshot->ring, copy, outgoing->addresses[i],
                                t->snapshot->settings->evidence.retain_days, now, authentic, nonce);
    }
    return status;
}

/* A copy that is ours stays: a list of ours hands the message in again. Others could be taken for
 * ours by a reader who does not check. */
static enum status judge_copies(struct transaction *t, time_t now)
{
    struct outgoing *outgoing = &t->outgoing;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < OUTGOING_COPIES; i++) {
        bool authentic = false;
        if (outgoing->copies[i] != NULL) {
            status = is_authentic(t, outgoing->copies[i], now, &authentic);
        }
        outgoing->authentic[i] = authentic;
    }
    return status;
}

/* A stranger's message proves nothing for its author, and for the sender that a list of ours gave
 * it only what he did not choose. */
static void choose_evidence(struct transaction *t)
{
    struct outgoing *outgoing = &t->outgoing;
    bool sender_alone = t->handed_in || t->envelope_only;
    outgoing->proven = sender_alone ? 1 : outgoing->address_count;
    if (t->handed_in && t->is_author) {
        outgoing->proven = 0;
    }
    outgoing->journaled = !t->handed_in;
}

/* Of a message whose Message-ID is journalled it follows from that, so that the uses of both are
 * counted as one. */
static enum status choose_nonce(struct transaction *t)
{
    struct outgoing *outgoing = &t->outgoing;
    bool known = outgoing->journaled && outgoing->message_id != NULL &&
                 t->snapshot->settings->evidence.journal;
    if (!known) {
        return STATUS_OK;
    }
    enum status status =
        evidence_nonce(t->snapshot->ring, 0, outgoing->message_id, outgoing->nonce);
    outgoing->has_nonce = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

/* A message that answers cannot name gets a Message-ID (RFC 6409 section 8.3); one that comes in
 * again may have lost its own, and is no submission of ours. */
static enum status add_id(struct transaction *t)
{
    struct outgoing *outgoing = &t->outgoing;
    const char *domain = evidence_domain(t, &t->sender);
    if (!t->snapshot->settings->add_message_id || !outgoing->journaled || !outgoing->has_id_nonce ||
        outgoing->has_id || outgoing->id_signed) {
        return STATUS_OK;
    }
    enum status status =
        message_id_make(outgoing->id_nonce, domain + (domain[0] == '.'), &outgoing->added_id);
    if (status != STATUS_OK) {
        return status == STATUS_INVALID ? STATUS_OK : status;
    }
    free(outgoing->message_id);
    status =
        message_id_clean(outgoing->added_id, strlen(outgoing->added_id), &outgoing->message_id);
    struct decision *d = status == STATUS_OK ? transaction_record(t, DECISION_MESSAGE_ID) : NULL;
    if (d != NULL) {
        d->domain = t->sender_rules;
        d->message_id = outgoing->message_id;
    }
    return status;
}

enum status outgoing_decide(struct transaction *t)
{
    struct outgoing *outgoing = &t->outgoing;
    time_t now = t->now;
    if (!transaction_goes_out(t)) {
        return STATUS_OK;
    }
    choose_evidence(t);
    for (size_t i = 0; i < t->count; i++) {
        outgoing->recipients += recipient_is_kept(&t->recipients[i]);
    }
    enum status status = outgoing->copy_count > 0 ? judge_copies(t, now) : STATUS_OK;
    if (status == STATUS_OK) {
        status = add_id(t);
    }
    if (status == STATUS_OK) {
        status = choose_nonce(t);
    }
    if (status == STATUS_OK) {
        status = outgoing_add_owners(t);
    }
    bool can_make = outgoing->has_nonce && outgoing->proven > 0 &&
                    ring_evidence_mac(t->snapshot->ring, 0) != NULL;
    if (status == STATUS_OK && can_make && t->snapshot->settings->evidence.header) {
        status = evidence_format(t->snapshot->ring, (const char *const *)outgoing->addresses,
                                 outgoing->proven, outgoing->nonce, now, &outgoing->value);
    }
    return status;
}

const struct outgoing *transaction_outgoing(const struct transaction *t)
{
    bool kept = transaction_goes_out(t) && t->reply.kind == REPLY_ACCEPT;
    return kept ? &t->outgoing : NULL;
}

void outgoing_free(struct outgoing *outgoing)
{
    for (size_t i = 0; i < outgoing->address_count; i++) {
        free(outgoing->addresses[i]);
    }
    for (size_t i = 0; i < outgoing->owner_count; i++) {
        free(outgoing->owners[i]);
    }
    free(outgoing->owners);
    for (size_t i = 0; i < OUTGOING_COPIES; i++) {
        free(outgoing->copies[i]);
    }
    free(outgoing->message_id);
    free(outgoing->added_id);
    free(outgoing->value);
}
