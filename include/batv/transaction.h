/*
 * One message on its way through SMTP. Takes plain events and gives what has to be done: a reply,
 * an ordered list of effects, and a record of each decision. Pure: it neither asks nor does
 * anything itself. One thread at a time; nothing of it reaches the next message.
 *
 *   new -> mail -> [next_hop] rcpt (judge) ... -> [header, header_address ...] -> [nonce] ->
 * [renew]
 *       -> end, answer, end ... -> effects
 */
#ifndef BATV_TRANSACTION_H
#define BATV_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "batv/decision.h"
#include "batv/evidence.h"
#include "batv/facts.h"
#include "batv/message_id.h"
#include "batv/policy.h"
#include "batv/received.h"
#include "batv/rules.h"

struct transaction;

enum reply_kind { REPLY_CONTINUE, REPLY_ACCEPT, REPLY_TEMPFAIL, REPLY_REJECT, REPLY_DISCARD };

struct reply {
    enum reply_kind kind;
    const char *code;     /* "550"; NULL where the MTA's own words do */
    const char *enhanced; /* "5.7.1" (RFC 3463) */
    char text[420];
};

/* What transaction_wants answers: which later events can still matter. None: let the message go. */
enum { WANT_HEADERS = 1, WANT_BODY = 2, WANT_END = 4 };

enum effect_kind {
    EFFECT_CHANGE_SENDER,    /* to value */
    EFFECT_REMOVE_RECIPIENT, /* value, as it came */
    EFFECT_ADD_RECIPIENT,    /* value, with ESMTP arguments or NULL */
    EFFECT_REMOVE_HEADER,    /* the index-th (from 1) of name */
    EFFECT_ADD_HEADER,       /* name, value: above all others */
    EFFECT_APPEND_HEADER,    /* name, value: below all others */
    EFFECT_QUARANTINE        /* for the reason in value */
};

/* Of one name, however many a stranger has written: an MTA takes long to remove thousands of header
 * fields, and Postfix none beyond 10,000. */
enum { EFFECT_REMOVALS = 20 };
/* The effects of a message: its sender, three headers with what they replace, a quarantine; and for
 * each recipient two removals and an addition. */
enum { EFFECTS_FIXED = 1 + 3 * (EFFECT_REMOVALS + 1) + 1, EFFECTS_PER_RECIPIENT = 4 };

struct effect {
    enum effect_kind kind;
    const char *name;
    const char *value;
    const char *arguments;
    unsigned index;
};

/* snapshot and client must outlive the transaction. NULL: no memory. */
struct transaction *transaction_new(const struct snapshot *snapshot, const struct client *client);
void transaction_free(struct transaction *transaction);

/*
 * MAIL, with {mail_addr} or NULL, and the authenticated user's name or NULL. Errors of our own are
 * kept and answered at the first recipient and at the end, by on_error.
 */
void transaction_mail(struct transaction *transaction, const char *sender, const char *resolved,
                      const char *user);

/* Before the RCPT that it belongs to: where the MTA sends the mail for that recipient, and by what:
 * Postfix's and Sendmail's {rcpt_host} and {rcpt_mailer}, either may be NULL. Borrowed until then.
 */
void transaction_next_hop(struct transaction *transaction, const char *host, const char *mailer);
/* RCPT with its ESMTP arguments (NULL-terminated, may be NULL): settles the address and looks at
 * the tag. resolved is {rcpt_addr}, or NULL. */
void transaction_rcpt(struct transaction *transaction, const char *recipient, const char *resolved,
                      const char *const *arguments, time_t now);
/* True where the recipient just given is judged at once: with reject_at = "rcpt", or in ordinary
 * mail where no deletion is sure to take it out later. */
bool transaction_judges_at_rcpt(const struct transaction *transaction);
/* Asks of the recipient just given whether it is under guessing, and judges it where it is judged
 * at once. True: answer and call again. */
bool transaction_rcpt_needs(struct transaction *transaction, enum fact *need, size_t *recipient);
/* The reply to that RCPT, once nothing is needed: a refusal only by an error of ours or of a
 * recipient that is judged at once. */
void transaction_rcpt_reply(struct transaction *transaction, struct reply *reply);

/* True where a recipient's tag is other than valid in a way that a newer ring might see otherwise.
 */
bool transaction_doubtful(const struct transaction *transaction);
/* Looks at doubtful recipients once more by a newer ring, which must outlive the transaction. */
void transaction_renew(struct transaction *transaction, const struct ring *ring, time_t now);

/* Something that the decision needs could not be had: on_error answers for the whole message. */
void transaction_fail(struct transaction *transaction);
/* True after an error of our own: replies then come from on_error. */
bool transaction_failed(const struct transaction *transaction);

unsigned transaction_wants(const struct transaction *transaction);
/* A header field as it came, value perhaps folded. */
void transaction_header(struct transaction *transaction, const char *name, const char *value);

/* The message goes out in our name, so that evidence is made for it; known after MAIL. */
bool transaction_goes_out(const struct transaction *transaction);
/* The message is sent in our name, so that it matters what its header names; known after MAIL. True
 * for more messages than the above: a stranger's must not be signed either. */
bool transaction_reads_header(const struct transaction *transaction);
/* For such a message: an address in a header field to which answers may come, and whether that
 * field is From. Those that are not ours, or beyond EVIDENCE_ADDRESSES, are passed over. */
void transaction_header_address(struct transaction *transaction, bool from, const char *address);
/* After its header: the hop by which a message that is handed in again was outside mail. NULL: it
 * is not. Belongs to the transaction. */
const struct received *transaction_handed_in(const struct transaction *transaction);
/* For such a message: random octets, without which it gets no evidence header. */
void transaction_nonce(struct transaction *transaction, const uint8_t nonce[static EVIDENCE_NONCE]);
/* Others, without which it gets no Message-ID. None of them is known from the evidence header. */
void transaction_id_nonce(struct transaction *transaction,
                          const uint8_t nonce[static MESSAGE_ID_NONCE]);

/* What the message is known by when it comes back. Belongs to the transaction. */
enum {
    OUTGOING_COPIES = 64, /* of the evidence header that are looked at in a submission */
    OUTGOING_OWNERS = 64  /* of lists that are journalled */
};
struct outgoing {
    char *addresses[EVIDENCE_ADDRESSES]; /* as address_fold makes them; the sender's first */
    size_t address_count;
    size_t proven;  /* of them, the first ones: those that get evidence */
    bool journaled; /* strangers chose the Message-ID of one that is not */
    char **owners;  /* whom the MTA makes the sender where a recipient is a list, in the same form
                       and none of the proven ones: journalled, and no more. NULL: none */
    size_t owner_count;
    char *message_id; /* as message_id_clean makes it; NULL: none */
    bool has_id;      /* it is one that answers can name */
    size_t ids;       /* fields of that name that came, whatever stands in them */
    bool id_signed;   /* a signature forbids to add one */
    char *added_id;   /* the field's value that is added; NULL: none */
    uint8_t id_nonce[MESSAGE_ID_NONCE];
    bool has_id_nonce;
    uint8_t nonce[EVIDENCE_NONCE];
    bool has_nonce;
    size_t recipients;             /* that it is let through to */
    char *value;                   /* of the header that is added; NULL: none */
    char *copies[OUTGOING_COPIES]; /* the header as it came with the message; NULL: absurd */
    bool authentic[OUTGOING_COPIES];
    size_t copy_count; /* those that come after are not looked at and stay as they are */
};
/* The sender, as address_fold makes it, of a message that is let through and was too long to
 * tag; NULL for others. After the end. */
const char *transaction_untaggable(const struct transaction *transaction);
/* After the end; NULL for a message that does not go out in our name or is not let through. */
const struct outgoing *transaction_outgoing(const struct transaction *transaction);

/* What a fact is asked about: a recipient of a bounce. */
struct asked {
    const struct settings *settings;
    const struct rules *rules;
    const struct ring *ring;
    const struct evidence_names *names; /* of its plain address: a proof for one is enough */
    bool too_long;                      /* to be tagged */
};
void transaction_asked(const struct transaction *transaction, size_t recipient, struct asked *out);

/* What FACT_GUESSING is asked about, when the recipient has been given: false for ordinary mail
 * without a wrong tag, and for a recipient that is not ours. A wrong tag is tried for each address
 * of which the recipient may be one with a VERP extension, a right one was made for one of them. */
struct tried {
    const char *const *plain; /* count of them, as address_fold makes them */
    size_t count;
    bool wrong;   /* with a tag of a key of ours that it did not make */
    uint64_t tag; /* K, DDD and the MAC as one number */
};
bool transaction_tried(const struct transaction *transaction, size_t recipient, struct tried *out);

/* What FACT_RCPT_NETWORK is asked about, once for the whole message: where its mail goes. Nowhere
 * for a recipient to whom the MTA delivers on its own host. */
struct destination {
    const char *domain;   /* of the recipient, as A-labels in lower case; "": none */
    const char *next_hop; /* as in next_hop.h; NULL: not known, or not by way of the network */
};
/* False: there is no recipient of that index, they have all been asked for. */
bool transaction_destination(const struct transaction *transaction, size_t recipient,
                             struct destination *out);
const struct settings *transaction_settings(const struct transaction *transaction);

/* A recipient of a bounce from outside that has a valid tag, so that the bounce is genuine. */
struct returned {
    size_t recipient;
    const struct rules *rules;
    const char *address; /* as address_fold makes it */
    int64_t day;         /* on which the tag expires */
};
/* The first one in whose domain `auto` signs and decides, and whose own mail it was that came back.
 * False: there is none. */
bool transaction_returned(const struct transaction *transaction, struct returned *out);
/* The answer is yes by this recipient and this entry, which must live as long as the snapshot. */
void transaction_found_network(struct transaction *transaction, size_t recipient,
                               const char *entry);

/* The bounce's content has been read. */
void transaction_read(struct transaction *transaction, enum bounce_class class,
                      bool names_message_id);

/* Called at the last event that is wanted. POLICY_NEEDS: answer and call again. */
enum policy_state transaction_end(struct transaction *transaction, time_t now, enum fact *need,
                                  size_t *recipient);
void transaction_answer(struct transaction *transaction, size_t recipient, enum fact fact,
                        enum answer answer);

/* After transaction_end has decided; valid as long as the transaction. */
const struct effect *transaction_effects(const struct transaction *transaction, size_t *count);
const struct reply *transaction_reply(const struct transaction *transaction);
/* Also what was decided at RCPT. */
const struct decision *transaction_decisions(const struct transaction *transaction, size_t *count);

/* The reply to an error of our own, by on_error. */
void reply_on_error(const struct settings *settings, struct reply *reply);

#endif
