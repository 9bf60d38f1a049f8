/*
 * What a milter's callbacks bring, one plain event each, with everything that belongs to it. An
 * event is read while it is given and never kept: its strings belong to the caller. Pointers may be
 * NULL where the MTA says nothing.
 */
#ifndef BATV_EVENTS_H
#define BATV_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/evidence.h"
#include "batv/message_id.h"

struct mail_event {
    const char *sender;   /* as it came */
    const char *resolved; /* {mail_addr} */
    const char *user;     /* the authenticated user; NULL: nobody has authenticated */
};

struct rcpt_event {
    const char *recipient;        /* as it came */
    const char *resolved;         /* {rcpt_addr} */
    const char *host;             /* {rcpt_host}: where the MTA sends its mail */
    const char *mailer;           /* {rcpt_mailer}: by what */
    const char *const *arguments; /* of ESMTP; the last is NULL */
    time_t now;
};

struct header_event {
    const char *name;
    const char *value;            /* perhaps folded */
    const char *const *addresses; /* those in value, where answers go to them */
    size_t address_count;
};

/* Random octets. No nonce follows from another: the header's is shown to more people. */
struct nonces {
    uint8_t evidence[EVIDENCE_NONCE];
    uint8_t id[MESSAGE_ID_NONCE];
};

/* The last event that is wanted. */
struct end_event {
    const struct nonces *nonces; /* NULL: a message that goes out gets no evidence header that needs
                                    one, and no Message-ID */
    time_t now;
};

#endif
