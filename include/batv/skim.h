/*
 * The rest of a body that is too long to be kept. What a returned message holds is in its header
 * fields, so of each line it is decided by its beginning whether it may be of use: boundaries, the
 * beginning of each part, header fields, and whatever has an @. The others are dropped. Pure.
 */
#ifndef BATV_SKIM_H
#define BATV_SKIM_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/fields.h"

enum {
    SKIM_LINE = 1000, /* octets of a line by which it is judged; longer ones are kept in part */
    SKIM_GAPS = 1000
};

/* Where octets were dropped from a text: behind so many of those that were kept; ascending. */
struct gaps {
    size_t at[SKIM_GAPS];
    size_t count; /* the last place stands for all that did not fit */
    bool at_end;  /* the text goes on behind what was looked at */
};

struct skim {
    char *out; /* borrowed: what is kept, with length octets of at most limit */
    size_t length, limit;
    struct gaps gaps;
    bool full; /* nothing more is kept, or a line is longer than any text's */

    char line[SKIM_LINE]; /* the beginning of a line that is not decided yet */
    size_t used;
    bool decided;
    bool keeps;       /* the line, as far as left goes */
    bool kept;        /* the last line */
    size_t came;      /* octets of the line */
    size_t left;      /* of them that may still be kept */
    bool in_field;    /* lines that begin with a blank belong to it */
    bool behind_back; /* the last octet was the CR of a line end */
    size_t head;      /* octets of a part's beginning that are kept whatever they are */
};

/* Keeps behind the length octets that out holds already, up to limit. */
void skim_start(struct skim *skim, char *out, size_t length, size_t limit);
/* A piece of the body, which may lie in out at or behind length. False: full. */
bool skim_add(struct skim *skim, struct octets piece);
/* What is not yet decided is the last line. */
void skim_end(struct skim *skim);

#endif
