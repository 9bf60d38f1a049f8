/*
 * The only place where a decision costs I/O: one row for each fact that the question machine can
 * ask for. A row that is absent answers no, so that the machine runs with an empty table. A row
 * sees the question and the message's content, and never the transaction.
 */
#ifndef CONTENT_ORACLE_H
#define CONTENT_ORACLE_H

#include "batv/question.h"
#include "batv/transaction.h"
#include "content/content.h"
#include "store/uses.h"

/* What a row may look at beside the question. */
struct exhibits {
    struct content *content; /* NULL: the MTA has not shown it */
    struct claims *claims;   /* NULL: it is only explained, so nothing is used up */
};

struct oracle {
    struct finding (*ask)(void *self, const struct question *question,
                          const struct exhibits *exhibits);
    void *self;
};

struct oracle_set {
    struct oracle by_fact[FACT_COUNT];
};

struct finding oracle_ask(const struct oracle_set *oracles, const struct question *question,
                          const struct exhibits *exhibits);

/* After RCPT or the end: answers all that the transaction asks, up to its reply. */
void oracle_decide(const struct oracle_set *oracles, struct transaction *transaction,
                   const struct exhibits *exhibits);

#endif
