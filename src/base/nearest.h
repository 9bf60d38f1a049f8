/* The name that somebody meant who misspelt it: the nearest one by edit distance, if it is near. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

enum { NEAREST_MAX = 32 }; /* octets of a name; a longer one is near to nothing */

/* A search. Begin with nearest_begin, offer every candidate, then read best. */
struct nearest {
    const char *word; /* what was written */
    size_t length;
    const char *best; /* the candidate nearest to it; NULL: none is near */
    size_t best_length;
    size_t distance; /* of best; before there is one, one more than a near name may have */
};

void nearest_begin(struct nearest *nearest, const char *word, size_t length);
/* True: the candidate is the nearest so far. Keeps the first of equally near ones. candidate must
 * live as long as the search. */
bool nearest_offer(struct nearest *nearest, const char *candidate, size_t length);

#endif
