/* Aliases of an MTA's, as its tables list them or as their source says them (aliases(5)). */
#ifndef MTA_ALIASES_H
#define MTA_ALIASES_H

#include <stdbool.h>
#include <stddef.h>

struct alias {
    char *name; /* without quotes, in lower case */
    char *value;
    size_t place; /* among all that were added */
};

/* Starts as all zero. */
struct aliases {
    struct alias *items;
    size_t count, room;
    char **texts; /* that the items lie in */
    size_t text_count;
};

/* Take the text over. A line each: NAME, tab, value, as postmap -s lists a table. False: no memory.
 */
bool aliases_add_listing(struct aliases *aliases, char *text);
/* `name: value`, continued by lines that begin with white space, as aliases(5) has it. */
bool aliases_add_source(struct aliases *aliases, char *text);
/* After the last of these: puts them into an order. Of one name the first stays. */
void aliases_sort(struct aliases *aliases);
/* NULL: there is none. */
const struct alias *aliases_find(const struct aliases *aliases, const char *name);

/* The next alias `owner-LIST` from *at on, which starts at 0, where LIST is an alias too; *list is
 * its name. NULL: no more. */
const struct alias *aliases_next_owner(const struct aliases *aliases, size_t *at,
                                       const char **list);

void aliases_free(struct aliases *aliases);

#endif
