/* What is decided for one recipient, and how many recipients' verdicts become one reply. */
#ifndef BATV_VERDICT_H
#define BATV_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/rules.h"

struct verdict {
    enum action action;
    enum action
        would; /* what it would be, were it not held back (warm-up, pause); else the action */
    const char *rule;  /* the deciding rule's name, static */
    const char *entry; /* the list entry that matched, or NULL */
    const char
        *proof;  /* of a bounce without a valid tag: "none" or what proved it; NULL: not asked */
    bool forged; /* ordinary mail to a tag that we did not make: another text, other codes */
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
