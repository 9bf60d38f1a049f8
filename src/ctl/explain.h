/* A message that `batvctl explain` has put through the daemon's rules, and what came of it. */
#ifndef CTL_EXPLAIN_H
#define CTL_EXPLAIN_H

#include "batv/transaction.h"
#include "content/content.h"
#include "ctl/lookups.h"
#include "ctl/message_file.h"

/* What was asked. Borrowed. */
struct explain_request {
    struct client client;
    const char *user; /* authenticated as; NULL: not */
    const char *sender;
    char **recipients; /* count of them */
    size_t count;
    const struct message_file *message; /* NULL: an envelope only */
};

struct explain_recipient {
    const struct decision *decision; /* the transaction's */
    const struct decision
        *unpaused;        /* what it would be without a pause; NULL where there is none */
    struct reply refused; /* at RCPT; kind REPLY_CONTINUE where it was not */
};

/* Its pointers belong to the transaction, the snapshot and the request. */
struct explanation {
    const struct explain_request *request;
    const struct snapshot *snapshot;
    const struct transaction *transaction;
    const struct content *content;              /* NULL: it was not looked at */
    const struct explain_recipient *recipients; /* as many as in the request */
    const struct lookups *lookups;
    time_t now;
    bool ended;   /* a recipient was left when the message came to its end */
    bool refuses; /* a recipient does not get it */
};

/* Step by step, for a person. */
void explain_print(const struct explanation *explanation);

/* The deciding rule with :ENTRY where a list entry matched. NULL: no memory. The caller frees. */
char *explain_rule(const struct verdict *verdict);

#endif
