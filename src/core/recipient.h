/*
 * One recipient of a message: what the MTA calls it, what it is judged by, and what came of that.
 * recipient_settle fills it in from RCPT; the transaction owns it and asks the rest. Nothing here
 * knows of other recipients or of the transaction.
 */
#ifndef CORE_RECIPIENT_H
#define CORE_RECIPIENT_H

#include <stdint.h>

#include "batv/address.h"
#include "batv/events.h"
#include "batv/policy.h"
#include "batv/question.h"

/* Names that a deletion has to try. */
enum { RECIPIENT_REMOVALS = 3 };

/*
 * Forms of the address. Each has one reader that no other form serves:
 *
 *   text      people, in the log: as it came, without its brackets
 *   removals  the MTA, to delete it: as it came with its brackets; and of one that is oddly written
 *             what the MTA said and what we read, since MTAs keep different ones of these
 *   known     comparison of what the MTA made of two recipients: {rcpt_addr}, folded
 *   address   the address that is judged, in its parts, still with the tag
 *   local     its local part without the tag
 *   plain     lists and patterns: local at the domain that judges it, folded
 *   judged    people: the same, not folded, where it is not what one reads in text
 *   restored  the MTA, to add it, and an outsider: without its tag, the domain as it came
 *   names     evidence: without anybody's tag, and without each VERP extension
 */
struct recipient {
    char *text;
    char *removals[RECIPIENT_REMOVALS]; /* NULL behind the last */
    char *known;                        /* NULL: the MTA has not said */
    struct address address;
    char *local; /* NULL: not ours */
    char *plain;
    char *judged;                 /* or NULL */
    char *restored;               /* NULL: not ours */
    struct evidence_names *names; /* of a bounce, or a wrong tag; else NULL */

    char *arguments; /* its NOTIFY and ORCPT (RFC 3461), or NULL */
    char *next_hop;  /* where the MTA sends it, if that may matter; else NULL */
    const struct domain_settings *domain; /* NULL: not ours */
    struct recipient_facts facts;
    struct verdict verdict;
    uint64_t generation; /* of the ring that judged */
    bool odd;            /* written so that the MTA may know it by none of removals */
    bool stays;          /* the MTA delivers to it on its own host, if that may matter */
    bool leaves;         /* the MTA certainly sends it on to another host */
    bool stripped;       /* the MTA delivers to it without its tag, whatever we do */
    bool settled;        /* the verdict is there */
    bool refused;        /* at RCPT: no recipient of the message */
};

/* What is known of the message before its recipients. */
struct envelope {
    const struct snapshot *snapshot;
    const struct client *client;
    const struct message_facts *facts;
    bool signs; /* its sender, unless something forbids that */
};

/* Fills in *r. What it then holds is to be freed whatever the status. */
enum status recipient_settle(struct recipient *r, const struct rcpt_event *event,
                             const struct envelope *envelope);
/* Frees what it holds. */
void recipient_free(struct recipient *r);

/* Of one of ours: looks at its tag by this ring. */
enum status recipient_check(struct recipient *r, const struct settings *settings,
                            const struct ring *ring, time_t now);
/* A tag that a newer ring might see otherwise, in a message where that makes a difference. */
bool recipient_is_doubtful(const struct recipient *r, const struct message_facts *message);

/* POLICY_DECIDED: it is settled. */
enum policy_state recipient_judge(struct recipient *r, const struct message_facts *message,
                                  enum fact *need);
/* Its verdict hangs on something that is known once the content has been read. */
bool recipient_needs_content(const struct recipient *r, const struct message_facts *message);
/* It has to be known whether its address is under guessing. */
bool recipient_is_tried(const struct recipient *r, const struct message_facts *message);
/* What FACT_GUESSING is asked about, for one of these. */
struct tried recipient_tried(const struct recipient *r);
/* Both have a tag for the same mailbox, and not the same tag. */
bool recipients_differ_in_tag(const struct recipient *a, const struct recipient *b);

/* The message is let through to it. Once it is settled. */
bool recipient_is_kept(const struct recipient *r);
/* Its tag comes off: we made that. A valid one always; an expired one too, since people answer a
 * Return-Path long after. */
bool recipient_is_restorable(const struct recipient *r);
/* The domain by which one of ours is judged: of one of the host's own names, the first of our
 * domains. */
const char *recipient_domain(const struct recipient *r);
/* The local part without a tag of ours. */
const char *recipient_local(const struct recipient *r);
/* The address that its tag was made for, of one with names and a valid or expired tag. */
const char *recipient_tagged_name(const struct recipient *r);
struct destination recipient_destination(const struct recipient *r);

#endif
