/* What DNS said when a message was explained, kept to be told. */
#ifndef CTL_LOOKUPS_H
#define CTL_LOOKUPS_H

#include <stdbool.h>
#include <stddef.h>

#include "dns/resolver.h"

struct lookup_note {
    char *name;
    bool mx;
    struct ip *addresses;
    size_t count;
    const char *trouble;
};

/* Starts as all zero. */
struct lookups {
    struct lookup_note *items;
    size_t count;
    bool closed; /* what comes now is a repetition */
};

/* An oracle_listener's take; context is the lookups. What there is no memory for is left out. */
void lookups_take(void *context, const struct resolver_question *question,
                  const struct resolver_answer *answer);
/* To stdout, a line each, the first behind the label. */
void lookups_print(const struct lookups *lookups, const char *label);
void lookups_free(struct lookups *lookups);

#endif
