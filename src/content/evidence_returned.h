/* Whether what a bounce returns was ours: the oracles that read its content and ask the journal. */
#ifndef CONTENT_EVIDENCE_RETURNED_H
#define CONTENT_EVIDENCE_RETURNED_H

#include "content/oracle.h"
#include "store/journal.h"

struct evidence_returned {
    struct journal *journal; /* NULL: cannot be asked */
};

/* Fills in the rows that self answers, without content only those that read none; self must outlive
 * the set. */
void evidence_returned_oracles(struct evidence_returned *self, bool content,
                               struct oracle_set *out);

/* The name of the note that an address has sent mail that was too long to tag. */
#define EVIDENCE_UNTAGGABLE "untaggable"

/* The name of the note by which a message's uses are counted, by its header's nonce in hexadecimal:
 * "message:NONCE" where its Message-ID is journalled, for both; else "evidence:NONCE". */
enum { EVIDENCE_USE_NAME = 32 };
void evidence_use_name(const char *nonce, bool journalled, char out[static EVIDENCE_USE_NAME]);

/* Was a message with this Message-ID sent? As journal_look, but entry and answer tell of the uses
 * of its Message-ID and its header together, and name is that of the note by which they are
 * counted. */
struct message_use {
    char name[EVIDENCE_USE_NAME];
    struct journal_entry entry;
};
enum journal_answer evidence_look(struct journal *journal, const struct ring *ring,
                                  const char *address, const char *message_id, time_t now,
                                  struct message_use *out);

#endif
