/* Whom Postfix lets send to anybody, as far as mynetworks says. */
#ifndef CTL_POSTFIX_TRUST_H
#define CTL_POSTFIX_TRUST_H

#include <stdbool.h>

#include "ctl/postfix.h"

/* True where the address is in mynetworks: advice to take it for one of ours is never given for
 * another. What cannot be read or compared here trusts nobody. */
bool postfix_trusts(const struct postfix *postfix, const char *address);
/* Takes the brackets off that Postfix puts around IPv6. */
void postfix_strip_brackets(char *text);

#endif
