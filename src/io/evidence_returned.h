/* Whether what a bounce returns was ours: the oracles that read its content and ask the journal. */
#ifndef IO_EVIDENCE_RETURNED_H
#define IO_EVIDENCE_RETURNED_H

#include "io/journal.h"
#include "io/oracle.h"

struct evidence_returned {
    struct journal *journal; /* NULL: cannot be asked */
};

/* Fills in the rows that self answers; self must outlive the set. */
void evidence_returned_oracles(struct evidence_returned *self, struct oracle_set *out);
/* Only the rows that need no content. */
void evidence_returned_oracles_at_rcpt(struct evidence_returned *self, struct oracle_set *out);

/* The name of the note that an address has sent mail that was too long to tag. */
#define EVIDENCE_UNTAGGABLE "untaggable"

/* The name of the note by which a header proof's uses are counted where the message's Message-ID is
 * not known: "evidence:" and the nonce in hexadecimal. */
enum { EVIDENCE_USE_NAME = 32 };
void evidence_use_name(const char *nonce, char out[static EVIDENCE_USE_NAME]);

#endif
