/*
 * One message on its way through SMTP. Takes an event for each callback and gives what has to be
 * done: a reply, an ordered list of effects, and a record of each decision. Pure: it neither looks
 * anything up nor does anything itself. One thread at a time; the next message begins anew.
 *
 *   new -> mail -> (rcpt -> [renew] -> asks, answer, asks ...) ... -> header ...
 *       -> end -> [renew] -> asks, answer, asks ... -> effects
 */
#ifndef BATV_TRANSACTION_H
#define BATV_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "batv/decision.h"
#include "batv/events.h"
#include "batv/facts.h"
#include "batv/outgoing.h"
#include "batv/question.h"
#include "batv/received.h"
#include "batv/reply.h"
#include "batv/settings.h"

struct transaction;

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
 * each recipient three removals and an addition. */
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
 * Events, in the order in which libmilter brings them. Errors of our own (memory, the cryptographic
 * library) are kept and answered at the next recipient and at the end, by on_error.
 */
void transaction_mail(struct transaction *transaction, const struct mail_event *event);
/* Settles the recipient's address and looks at its tag. */
void transaction_rcpt(struct transaction *transaction, const struct rcpt_event *event);
void transaction_header(struct transaction *transaction, const struct header_event *event);
/* At the last event that is wanted. */
void transaction_end(struct transaction *transaction, const struct end_event *event);

/*
 * After RCPT, and after the end. True: *question has to be answered; then call again. False: the
 * reply to that event is there, and after the end effects and decisions too.
 */
bool transaction_asks(struct transaction *transaction, struct question *question);
void transaction_answer(struct transaction *transaction, const struct question *question,
                        const struct finding *finding);
/* The question that a fact asks about the recipient of that number, which must be one of ours of a
 * bounce, whether its answer is needed or not. */
void transaction_question(const struct transaction *transaction, enum fact fact, size_t recipient,
                          struct question *out);
/* The reply to RCPT rejects or defers only after an error of ours, or for a recipient that is
 * judged at once: with reject_at = "rcpt", or in ordinary mail where no deletion is sure to take it
 * out later. */
const struct reply *transaction_reply(const struct transaction *transaction);

/* Between such an event and its questions: true if a newer ring might change the result of a tag
 * that is judged now. */
bool transaction_doubtful(const struct transaction *transaction);
/* Looks at doubtful tags again by a newer ring, which must outlive the transaction. */
void transaction_renew(struct transaction *transaction, const struct ring *ring);

/* Something that the decision needs is missing: on_error answers for the whole message. */
void transaction_fail(struct transaction *transaction);
/* True after an error of our own: replies then come from on_error. */
bool transaction_failed(const struct transaction *transaction);

unsigned transaction_wants(const struct transaction *transaction);

/* The message goes out in our name, so that evidence is made for it; known after MAIL. */
bool transaction_goes_out(const struct transaction *transaction);
/* The message is sent in our name, so that it matters what its header names; known after MAIL. True
 * for more messages than the above: a stranger's must not be signed either. Of the addresses in it
 * those that are not ours, or beyond EVIDENCE_ADDRESSES, are passed over. */
bool transaction_reads_header(const struct transaction *transaction);
/* After its header: the hop by which a message that is handed in again was outside mail. NULL: it
 * is not. Belongs to the transaction. */
const struct received *transaction_handed_in(const struct transaction *transaction);

/* The sender, as address_fold makes it, of a message that is let through and was too long to
 * tag; NULL for others. After the end. */
const char *transaction_untaggable(const struct transaction *transaction);
/* After the end; NULL for a message that does not go out in our name or is not let through. */
const struct outgoing *transaction_outgoing(const struct transaction *transaction);

/* A recipient of a bounce from outside that has a valid tag, so that the bounce is genuine. */
struct returned {
    const struct settings *settings;
    const struct ring *ring;
    const struct domain_settings *domain;
    const char *address; /* as address_fold makes it */
    int64_t day;         /* on which the tag expires */
};
/* The first one in whose domain `auto` signs and decides, and whose own mail it was that came back.
 * False: there is none. */
bool transaction_returned(const struct transaction *transaction, struct returned *out);
/* After the end; valid as long as the transaction. */
const struct effect *transaction_effects(const struct transaction *transaction, size_t *count);
/* Also what was decided at RCPT. */
const struct decision *transaction_decisions(const struct transaction *transaction, size_t *count);

#endif
