/*
 * The inside of a transaction, shared by the files that work on one: transaction.c (its events),
 * signing.c (the sender), outgoing.c (the evidence, and whose message it is), effects.c (what is
 * done at the end), replies.c (what is said). recipient.h holds what is known of one recipient.
 * Nobody else includes this.
 */
#ifndef CORE_TRANSACTION_PARTS_H
#define CORE_TRANSACTION_PARTS_H

#include <stdint.h>

#include "batv/address.h"
#include "batv/transaction.h"
#include "recipient.h"

/* Which event the transaction is at; what that asks for is decided once. */
enum stage { STAGE_DECIDED, STAGE_RCPT, STAGE_END };

struct transaction {
    const struct snapshot *snapshot;
    const struct client *client;
    const struct ring *ring; /* the snapshot's, or a newer one */
    enum stage stage;
    time_t now; /* of the event */
    bool failed;
    bool opened; /* a bounce has its first decision */

    char *sender_text; /* without brackets */
    struct address sender;
    const struct domain_settings *sender_rules; /* NULL: not ours */
    bool sender_is_own_name; /* root@localhost: evidence is made for it, and no tag */
    bool null_sender;
    bool bounce_sender; /* matches bounce_senders */
    bool has_user;      /* the client has authenticated */
    bool envelope_only; /* the sender matches evidence.envelope_only */
    bool handed_in;     /* again, by the hop below */
    bool is_author;     /* the sender's address, without its tag, stands in From */
    struct received hop;
    struct message_facts facts;

    struct recipient *recipients;
    size_t count, room;
    size_t settled;           /* of them, those before are judged: the end need not look again */
    const char *network;      /* exclude_sign.recipient_networks, the entry; NULL: none */
    size_t network_recipient; /* whose mail goes there */
    struct destination *destinations; /* of each recipient, once that is asked */
    unsigned marks;                   /* result headers that came with the message */
    struct outgoing outgoing;

    char *tagged;
    char *untaggable; /* the sender, where it is too long to be signed; else NULL */
    char *mark_value;
    struct effect *effects;
    size_t effect_count, effect_room;
    struct decision *decisions;
    size_t decision_count, decision_room;
    struct reply reply;
};

/* A new record, to be filled in; NULL: no memory, and the transaction has failed. */
struct decision *transaction_record(struct transaction *t, enum decision_kind kind);

/* The sender, the first of the addresses to which answers can come. */
enum status outgoing_add_sender(struct transaction *t);
/* True where Received fields can show that the message is handed in again. */
bool outgoing_asks_hops(const struct transaction *t);
void outgoing_take_nonces(struct outgoing *outgoing, const struct nonces *nonces);
/* A header field of a message that is sent in our name. */
void outgoing_header(struct transaction *t, const struct header_event *field);
/* The owners of the lists among the recipients of a message that is journalled. */
enum status outgoing_add_owners(struct transaction *t);
/* Makes the evidence header of a message that goes out and is let through. */
enum status outgoing_decide(struct transaction *t);
void outgoing_free(struct outgoing *outgoing);

/* *asks: FACT_RCPT_NETWORK has to be known, and is not: nothing else stands against signing. */
enum status signing_asks(struct transaction *t, bool *asks);
/* Signs the sender of a message that is let through, or records why not. */
enum status signing_decide(struct transaction *t);

/* Records mail in our name that the MTA lets out for a client which we do not count as submitting:
 * it stays unsigned, so its bounces will come untagged. */
void signing_note_relayed(struct transaction *t);
/* The recipient's domain where the MTA takes mail of strangers for it and sends it on; else NULL.
 */
const char *signing_hosted(const struct transaction *t, const struct recipient *r);

/* The refusal of a message, or at RCPT of a recipient, for this recipient's verdict. */
void reply_refuse(const struct transaction *t, const struct recipient *r, enum reply_kind kind,
                  struct reply *reply);
/* Text from strangers, cut to size: printable ASCII stays. */
void reply_put_printable(char *out, size_t size, const char *text);

/* Lists what has to be done to a message that is kept: no more than EFFECTS_FIXED, and
 * EFFECTS_PER_RECIPIENT for each of its recipients, whatever the message has in its header. */
enum status effects_build(struct transaction *t, const struct outcome *outcome);

#endif
