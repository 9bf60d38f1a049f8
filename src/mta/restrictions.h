/* Postfix's lists of access restrictions, wherever they stand: main.cf, master.cf, classes. */
#ifndef MTA_RESTRICTIONS_H
#define MTA_RESTRICTIONS_H

#include "base/words.h"
#include "mta/postfix.h"

struct restrictions {
    const char *parameter;
    const struct postfix_service *service; /* whose own -o it is; NULL: main.cf's */
    struct words words;
};

/* Calls take with each list that is not empty, valid during the call. False: no memory. */
bool restrictions_each(const struct postfix *postfix,
                       void (*take)(void *self, const struct restrictions *list), void *self);

#endif
