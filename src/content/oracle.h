/*
 * The only place where a decision costs I/O: one row for each fact that the question machine can
 * ask for. A row that is absent answers no, so that the machine runs with an empty table.
 */
#ifndef CONTENT_ORACLE_H
#define CONTENT_ORACLE_H

#include <stddef.h>
#include <time.h>

#include "batv/facts.h"
#include "batv/transaction.h"
#include "content/content.h"
#include "store/uses.h"

/* What is asked about: a recipient of a message that has come to its end. */
struct question {
    struct transaction *transaction;
    size_t recipient;
    struct content *content; /* NULL: the MTA does not show it */
    struct claims *claims;   /* NULL: it is only explained, so nothing is used up */
    time_t now;
};

struct oracle {
    enum answer (*ask)(void *self, const struct question *question);
    void *self;
};

struct oracle_set {
    struct oracle by_fact[FACT_COUNT];
};

enum answer oracle_ask(const struct oracle_set *oracles, enum fact fact,
                       const struct question *question);

/* Runs the question machine to its decision: asks each fact that it needs. content and claims may
 * be NULL. */
void oracle_decide(const struct oracle_set *oracles, struct transaction *transaction,
                   struct content *content, struct claims *claims, time_t now);
/* The same for the recipient just given, to the reply to it. */
void oracle_decide_rcpt(const struct oracle_set *oracles, struct transaction *transaction,
                        time_t now, struct reply *reply);

#endif
