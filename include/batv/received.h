/*
 * One Received field (RFC 5321 section 4.4): which host got the message, from which address, and
 * whether the client had authenticated. Reads what Postfix, Sendmail, Exim, qmail, Courier,
 * Exchange, amavis and fetchmail write. A field is read in one pass, without memory. Pure.
 */
#ifndef BATV_RECEIVED_H
#define BATV_RECEIVED_H

#include <stdbool.h>

#include "batv/ip.h"

enum received_from {
    RECEIVED_LOCAL,     /* no `from`: a process of that host */
    RECEIVED_ADDRESS,   /* an address, in ip */
    RECEIVED_UNREADABLE /* a client whose address the field does not say, or not clearly */
};

enum { RECEIVED_HOST = 256 };

struct received {
    char by[RECEIVED_HOST]; /* without a dot at its end; "": none, or longer than a name can be */
    enum received_from from;
    struct ip ip;
    bool
        authenticated; /* by the protocol behind `with`: ESMTPA and its kin, a web or MAPI client */
    bool fetched;      /* by POP or IMAP: a program got it out of a mailbox */
};

/* value may be folded. */
void received_read(const char *value, struct received *out);

/*
 * Each word behind a `by`, wherever it stands, in comments too: a client that chooses its HELO or
 * its recipient can hide the field's own `by` from received_read with a parenthesis. *at: the
 * value, then where to go on. False: no further one.
 */
bool received_next_host(const char **at, char host[static RECEIVED_HOST]);

#endif
