/* Addresses that a pattern of Postfix's might match, to ask its table with. Pure. */
#ifndef MTA_PATTERN_SAMPLE_H
#define MTA_PATTERN_SAMPLE_H

#include <stdbool.h>

#include "base/words.h"

enum { SAMPLES_MAX = 16, SAMPLE_OCTETS = 128 };

enum pattern_reading {
    PATTERN_NONE,    /* the line has no pattern of its own: a comment, an if, a continuation */
    PATTERN_READ,    /* texts were added */
    PATTERN_UNKNOWN, /* it has what is not understood here */
    PATTERN_NO_MEMORY
};

/*
 * Takes a line of a pcre: or regexp: table. Adds at most SAMPLES_MAX texts that its pattern is
 * likely to match: for each alternative one, with and without what is optional. Whether they do
 * match is for the table to say.
 */
enum pattern_reading pattern_samples(const char *line, struct words *out);

#endif
