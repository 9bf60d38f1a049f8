/* What a message that goes out in our name leaves behind, by which its answers are known. */
#ifndef CONTENT_EVIDENCE_SENT_H
#define CONTENT_EVIDENCE_SENT_H

#include <time.h>

#include "batv/transaction.h"
#include "store/journal.h"

/* A header field of such a message: those that say where answers go are taken apart. */
void evidence_sent_header(struct transaction *transaction, const char *name, const char *value);
/* Before the transaction's end: gives it randomness. Without any it goes out without the header,
 * which is logged. */
void evidence_sent_prepare(struct transaction *transaction);
/* Once it is to be let through: journals it. From then on its answers are known. */
void evidence_sent_record(struct journal *journal, const struct transaction *transaction,
                          const struct snapshot *snapshot, time_t now);

#endif
