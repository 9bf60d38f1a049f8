/*
 * A question about a message, and what was found: all that whoever looks something up has to know,
 * and all that deciding learns from it. A question belongs to the transaction that asks it, and is
 * valid until that is answered.
 */
#ifndef BATV_QUESTION_H
#define BATV_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/evidence.h"
#include "batv/facts.h"

/* A tag on an address of ours, or an address that a bounce goes to. A wrong tag is tried for each
 * address of which the recipient may be one with a VERP extension; a right one was made for one of
 * them. */
struct tried {
    const char *const *plain; /* count of them, as address_fold makes them */
    size_t count;
    bool wrong;   /* by a key of ours that did not make it */
    uint64_t tag; /* K, DDD and the MAC as one number */
};

/* Where the mail for a recipient goes. Nowhere if the MTA delivers it on its own host. */
struct destination {
    const char *domain;   /* of the recipient, as A-labels in lower case; "": none */
    const char *next_hop; /* as in next_hop.h; NULL: not known, or not by way of the network */
};

struct question {
    enum fact fact;
    const struct settings *settings;
    const struct ring *ring;
    time_t now;

    /* About a recipient of ours. */
    size_t recipient; /* its number in the message */
    const struct domain_settings *domain;
    const struct evidence_names *names; /* of its plain address: a proof for one is enough */
    bool too_long;                      /* to be tagged */
    struct tried tried;                 /* for FACT_GUESSING alone */

    /* About the message, for FACT_RCPT_NETWORK: one for each recipient. */
    const struct destination *destinations;
    size_t destination_count;
};

struct finding {
    enum answer answer;
    /* Of a bounce whose content was read for it. */
    bool read;
    enum bounce_class class;
    bool names_message_id; /* one that is not its own */
    /* FACT_RCPT_NETWORK, yes: the list's entry, which lives as long as the settings. */
    const char *entry;
    size_t recipient; /* whose mail goes there */
};

#endif
