/*
 * The one form in which addresses are compared, whatever compares them: tags, evidence, lists.
 * Remote sites change the case of letters, and compose or decompose them (RFC 6532 section 3.1).
 */
#ifndef BATV_ADDRESS_FOLD_H
#define BATV_ADDRESS_FOLD_H

#include <stddef.h>

enum { ADDRESS_FOLD_GROWTH = 3 }; /* the folded form has at most so many times the octets */

/* A local part without quoting, or the start of one: by Unicode's full case folding, then composed
 * (NFC), in no language's way. Where not all of it is UTF-8 it is text of another encoding, and
 * only ASCII letters are folded. Folding twice is as folding once. NULL: no memory. The caller
 * frees. */
char *address_fold_local(const char *local, size_t length);

/* local@ascii without quoting, the local part folded, the domain as address_domain_ascii makes it;
 * only the local part where that is "". NULL: no memory. The caller frees. */
char *address_fold(const char *local, const char *ascii);

#endif
