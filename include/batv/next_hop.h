/*
 * What an MTA calls the next hop of a message, taken apart: Postfix's host, host:port, [host],
 * [address]:port, several of them with commas or blanks between, and for LMTP inet:host:port;
 * Sendmail's host, [host] and several hosts with colons between.
 */
#ifndef BATV_NEXT_HOP_H
#define BATV_NEXT_HOP_H

#include <stdbool.h>

#include "batv/ip.h"

enum { NEXT_HOP_NAME = 254 }; /* a domain name as text and its NUL (RFC 1035 section 2.3.4) */

struct next_hop {
    bool literal; /* an address, in ip; else a name */
    struct ip ip;
    bool mx;                  /* mail goes to the name's mail exchangers; else to the name itself */
    char name[NEXT_HOP_NAME]; /* lower case, less a final dot; "" for a literal */
};

/* The next of *rest's hosts, with *rest moved past it; false: there is none. What is neither an
 * address nor a name that DNS can know is passed over. */
bool next_hop_take(const char **rest, struct next_hop *out);

/* The domain of a recipient, or an address literal (RFC 5321 section 4.1.3). False: neither. */
bool next_hop_of_domain(const char *domain, struct next_hop *out);

#endif
