/* What a message that goes out in our name leaves behind, by which its answers are known. */
#ifndef CONTENT_EVIDENCE_SENT_H
#define CONTENT_EVIDENCE_SENT_H

#include <time.h>

#include "batv/transaction.h"
#include "store/journal.h"

/* Gives the transaction a header field, with the addresses of one that says where answers go. */
void evidence_sent_header(struct transaction *transaction, const char *name, const char *value);
/* Randomness for a message that goes out, in *nonces; NULL for others. Without any such a message
 * goes out without the header, which is logged. */
const struct nonces *evidence_sent_nonces(const struct transaction *transaction,
                                          struct nonces *nonces);
/* Once it is to be let through: journals it. From then on its answers are known. */
void evidence_sent_record(struct journal *journal, const struct transaction *transaction,
                          const struct snapshot *snapshot, time_t now);

#endif
