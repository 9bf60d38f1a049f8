/* Whether a message's mail goes to one of exclude_sign.recipient_networks: the oracle that asks
 * DNS.
 */
#ifndef DNS_ORACLE_NETWORK_H
#define DNS_ORACLE_NETWORK_H

#include "content/oracle.h"
#include "dns/resolver.h"

struct oracle_network;

/* Is told of each name that was looked up, what came of it. */
struct oracle_listener {
    void (*take)(void *context, const struct resolver_question *question,
                 const struct resolver_answer *answer);
    void *context;
};

/* listener: borrowed; NULL: what could not be had is logged instead. NULL: no memory. */
struct oracle_network *oracle_network_new(const struct oracle_listener *listener);
/* Whoever is asking gets what is known by now. Any thread. */
void oracle_network_stop(struct oracle_network *network);
/* Nobody asks any more. */
void oracle_network_free(struct oracle_network *network);

/* Fills in the row that network answers; it must outlive the set. */
void oracle_network_oracle(struct oracle_network *network, struct oracle_set *out);

#endif
