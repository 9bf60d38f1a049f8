/* What is decided for one recipient, and how many recipients' verdicts become one reply. */
#ifndef BATV_VERDICT_H
#define BATV_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/settings.h"

/* What a rejection or a deferral tells the other side. */
enum cause {
    CAUSE_UNPROVEN,      /* a bounce that shows nothing of a message of ours: verify.text */
    CAUSE_NO_ANSWER,     /* the same of what does not look like an answer at all */
    CAUSE_UNKNOWN_ID,    /* the same of a receipt or the like that names a Message-ID */
    CAUSE_EXPIRED,       /* a bounce to an expired tag */
    CAUSE_CLASS,         /* verify.class says so */
    CAUSE_UNVERIFIED,    /* what could prove the bounce cannot be asked just now */
    CAUSE_FORGED_TAG,    /* ordinary mail to a tag that we did not make */
    CAUSE_FORGED_SENDER, /* a sender with a tag that we did not make */
    CAUSE_GUESSING,      /* a bounce that tries several tags */
    CAUSE_GUESSED_AT,    /* a bounce to an address for which many tags have been tried */
    CAUSE_COUNT
};

struct verdict {
    enum action action;
    enum action
        would; /* what it would be, were it not held back (warm-up, pause); else the action */
    const char *rule;  /* the deciding rule's name, static */
    const char *entry; /* the list entry that matched, or NULL */
    const char
        *proof; /* of a bounce without a valid tag: "none" or what proved it; NULL: not asked */
    enum cause cause;
};

enum disposition {
    DISPOSITION_KEEP,
    DISPOSITION_TEMPFAIL,
    DISPOSITION_REJECT,
    DISPOSITION_DISCARD
};

/* One reply at end of message. With KEEP, recipients whose action does not keep them are removed.
 */
struct outcome {
    enum disposition disposition;
    bool quarantine; /* a kept recipient's message is held */
    bool mark;       /* a kept recipient wants the header */
};

/* True where the recipient stays in a message that is kept. */
bool action_keeps(enum action action);
/* No recipients: kept. */
void verdict_combine(const enum action actions[], size_t count, struct outcome *out);

#endif
