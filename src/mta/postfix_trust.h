/* Which clients Postfix's mynetworks trusts, as far as it can be read. */
#ifndef MTA_POSTFIX_TRUST_H
#define MTA_POSTFIX_TRUST_H

#include <stdbool.h>

#include "mta/postfix.h"

struct postfix_trust; /* immutable */

/* mynetworks as it is now, or a list as it can be there. NULL: no memory. */
struct postfix_trust *postfix_trust_new(const struct postfix *postfix);
struct postfix_trust *postfix_trust_parse(const char *list);
void postfix_trust_free(struct postfix_trust *trust);

/* True where mynetworks surely holds the address, and not everybody's. False also for NULL. */
bool postfix_trusts(const struct postfix_trust *trust, const char *address);
/* True where it holds so much that Postfix relays for everybody (strangers.h). */
bool postfix_trusts_strangers(const struct postfix_trust *trust);

/* Takes the brackets off IPv6 addresses, as Postfix writes them. */
void postfix_strip_brackets(char *text);

#endif
