/*
 * The inside of a transaction, shared by the files that work on one: transaction.c (its events),
 * signing.c (the sender), outgoing.c (the evidence, and whose message it is), effects.c (what is
 * done at the end), replies.c (what is said). Nobody else includes this.
 */
#ifndef CORE_TRANSACTION_PARTS_H
#define CORE_TRANSACTION_PARTS_H

#include <stdint.h>

#include "batv/address.h"
#include "batv/transaction.h"

struct recipient {
    char *raw;       /* as it came: what delrcpt wants */
    char *other;     /* how the MTA may know it instead, where it came oddly written; else NULL */
    char *written;   /* the same by the address that is judged */
    bool odd;        /* written so that the MTA may know it by neither name */
    char *known;     /* what the MTA says that it made of it, folded; NULL: nothing */
    char *text;      /* without brackets: for the log */
    char *arguments; /* its NOTIFY and ORCPT (RFC 3461), or NULL */
    struct address address;
    char *local;    /* less the tag */
    char *plain;    /* local@ascii as it is judged, folded: for patterns */
    char *shown;    /* the same as it came, if that is not what one reads; else NULL */
    char *mailbox;  /* local@ascii as the MTA knows it */
    char *restored; /* the plain address on the wire */
    char *next_hop; /* where the MTA sends it, if that may matter; else NULL */
    struct evidence_names *names; /* of a bounce, or a wrong tag: the plain address as evidence
                                     knows it */
    const struct rules *rules;    /* NULL: not ours */
    struct recipient_facts facts;
    struct verdict verdict;
    uint64_t generation;  /* of the ring that judged */
    bool stays;           /* the MTA delivers to it on its own host, if that may matter */
    bool leaves;          /* the MTA certainly sends it on to another host */
    bool stripped;        /* the MTA delivers to it without its tag, whatever we do */
    bool reads_otherwise; /* the address that is judged is not what one sees in raw */
    bool judged;
    bool refused; /* at RCPT: no recipient of the message */
};

struct transaction {
    const struct snapshot *snapshot;
    const struct client *client;
    const struct ring *ring; /* the snapshot's, or a newer one */
    bool failed;
    bool opened; /* a bounce has its first decision */

    char *sender_text; /* without brackets */
    struct address sender;
    const struct rules *sender_rules; /* NULL: not ours */
    bool sender_is_own_name;          /* root@localhost: evidence is made for it, and no tag */
    bool null_sender;
    bool bounce_sender; /* matches bounce_senders */
    bool has_user;      /* the client has authenticated */
    bool envelope_only; /* the sender matches evidence.envelope_only */
    bool handed_in;     /* again, by the hop below */
    bool is_author;     /* the sender's address, without its tag, stands in From */
    struct received hop;
    struct message_facts facts;

    const char *next_host;   /* of the recipient that comes next, borrowed */
    const char *next_mailer; /* likewise */
    struct recipient *recipients;
    size_t count, room;
    size_t settled;           /* of them, those before are judged: the end need not look again */
    const char *network;      /* exclude_sign.recipient_networks, the entry; NULL: none */
    size_t network_recipient; /* whose mail goes there */
    unsigned marks;           /* result headers that came with the message */
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

/* A name that every host has for its own mailboxes (localhost, an address literal, {j}, none); one
 * that stands in `domains` is like others. */
bool transaction_is_own_name(const struct transaction *t, const struct address *address);

/* The tag comes off an address that we made: of a valid one always; of an expired one too, since
 * people answer a Return-Path long after. */
bool recipient_is_restorable(const struct recipient *r);

/* The domain by which a recipient of ours is judged: of one of the host's own names, the first of
 * our domains. */
const char *recipient_domain(const struct recipient *r);
/* The message is let through to it. Once it is judged. */
bool recipient_is_kept(const struct recipient *r);

/* The sender, the first of the addresses to which answers can come. */
enum status outgoing_add_sender(struct transaction *t);
/* True where Received fields can show that the message is handed in again. */
bool outgoing_asks_hops(const struct transaction *t);
/* A header field of a message that goes out. */
void outgoing_header(struct transaction *t, const char *name, const char *value);
/* The owners of the lists among the recipients of a message that is journalled. */
enum status outgoing_add_owners(struct transaction *t);
/* Makes the evidence header of a message that goes out and is let through. */
enum status outgoing_decide(struct transaction *t, time_t now);
/* Answers go to the address behind a tag, whoever made that: local perhaps with one, domain as
 * evidence has it. NULL: no memory. The caller frees. */
char *outgoing_answer_form(const char *local, const char *domain);
/* The same of a bounce's recipient, to whose address an MTA may have appended something. */
enum status outgoing_answer_names(const char *local, const char *domain,
                                  struct evidence_names **out);
void outgoing_free(struct outgoing *outgoing);

/* True where FACT_RCPT_NETWORK has to be known, and is not: nothing else stands against signing. */
enum status signing_asks(const struct transaction *t, time_t now, bool *asks);
/* Signs the sender of a message that is let through, or records why not. */
enum status signing_decide(struct transaction *t, time_t now);

/* Records mail in our name that the MTA lets out for a client which we do not count as submitting:
 * it stays unsigned, so its bounces will come untagged. */
void signing_note_relayed(struct transaction *t, time_t now);
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
