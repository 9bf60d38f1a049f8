/*
 * Addresses of hosts and of domains' mail exchangers, by the DNS servers and the hosts file of the
 * system. Whoever asks waits for so long and no longer, whatever the servers do.
 */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/ip.h"

struct resolver; /* any thread */

/* By these files; NULL: the system's. They are read when first needed, and again when they have
 * changed. No thread is started before the first question. NULL: no memory, or no descriptor. */
struct resolver *resolver_new(const char *resolv_conf, const char *hosts);
/* Nobody has to wait any longer: what is not known yet is not had. Any thread. */
void resolver_stop(struct resolver *resolver);
/* Nobody asks any more. */
void resolver_free(struct resolver *resolver);

struct resolver_question {
    const char *name; /* as in next_hop.h */
    bool mx;          /* of the mail exchangers (RFC 5321 section 5.1); else of the name itself */
};

struct resolver_answer {
    struct ip *addresses; /* owned */
    size_t count;
    const char *trouble; /* why more may be missing, a constant; NULL: that is all there are */
};

/* Asks all at once and waits until all is known, timeout_ms at most. answers has room for count;
 * free them with resolver_answers_free. */
void resolver_ask(struct resolver *resolver, const struct resolver_question questions[],
                  size_t count, unsigned timeout_ms, struct resolver_answer answers[]);
void resolver_answers_free(struct resolver_answer answers[], size_t count);

#endif
