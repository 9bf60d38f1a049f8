/* Addresses of ours to ask a table of Postfix's with, so that one learns which ones it closes. */
#ifndef CHECK_ACCESS_ADDRESSES_H
#define CHECK_ACCESS_ADDRESSES_H

#include "base/words.h"
#include "check/postfix.h"

enum { ADDRESSES_MAX = 5000 };

/* Starts as all zero. */
struct addresses {
    struct words list;
    bool more;     /* than ADDRESSES_MAX */
    size_t unread; /* patterns that are not understood, */
    size_t line;   /* of which the first stands there */
};

/* Adds what the table itself names: its keys, by postmap(1) or by the file it is made of, or texts
 * that its patterns match. False: nobody can tell what is in it. */
bool addresses_add_table(struct check *check, const char *table, struct addresses *out);
/* Adds what Postfix's tables of recipients know. */
void addresses_add_known(struct check *check, struct addresses *out);
void addresses_free(struct addresses *addresses);

#endif
