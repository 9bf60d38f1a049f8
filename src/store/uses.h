/*
 * How often a message of ours proves bounces: Message-IDs of list posts are public, and whoever got
 * a message has its header, so a proof is used up. What is counted is bounces, each once for a
 * mailbox: not recipients that name it, nor the tries of a bounce that was deferred by somebody
 * after it had been accepted here. And only what is accepted is counted: a bounce claims a use when
 * it is looked at, and the claim is settled when its fate is known.
 */
#ifndef STORE_USES_H
#define STORE_USES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "batv/facts.h"
#include "store/journal.h"

/* What the journal says, as a fact. */
enum answer uses_answer(enum journal_answer answer);

/* The claims of all messages. Any thread. */
struct uses;
/* journal: borrowed. NULL: no memory. */
struct uses *uses_new(struct journal *journal);
/* After the last claim is settled. */
void uses_free(struct uses *uses);

/* Of one message, used by one thread at a time: starts with uses alone; claims_settle ends it. */
struct claims {
    struct uses *uses;
    struct claim *list;
    size_t count, room;
};

/* What proves a bounce. */
struct proof {
    const struct ring *ring; /* until the claims are settled */
    const char *address;     /* the mailbox, as address_fold makes it */
    const char *name;        /* of the note by which its uses are counted */
    unsigned allowed;        /* for that note, where it is not there yet */
    int64_t expires;
};

/*
 * Whether it proves one bounce more to its mailbox, which is claimed then. digest tells this bounce
 * from others (content_digest); NULL: it cannot be told. ANSWER_YES also for one that has been
 * counted before. ANSWER_EXHAUSTED: all uses are gone. ANSWER_OVERLOADED: they are claimed by
 * others whose fate is not known yet.
 */
enum answer claims_add(struct claims *claims, const struct proof *proof, const char *digest,
                       time_t now);

/* The message is accepted, so its claims are counted; or it is not, so they are dropped. */
void claims_settle(struct claims *claims, bool accepted, time_t now);

#endif
