/*
 * One search through a text, as its parts share it: bounce_text.c goes over the text and calls the
 * others where something may begin. Each answers where the pass goes on.
 */
#ifndef BOUNCE_SCAN_H
#define BOUNCE_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/bounce_text.h"
#include "bounce_lexer.h"

enum {
    SCAN_WINDOW = 4096,  /* octets in which one Message-ID, tag or evidence stands */
    SCAN_FAILED_MAX = 64 /* octets that are looked at twice */
};

struct scan {
    struct bounce_reader *reader;
    const char *where;
    const char *start; /* of the text */
    const char *end;
    const char *line;   /* where the line begins in which the pass is */
    const char *listed; /* up to where lists have been read */
    const char *gaps;   /* up to where there is nothing but marks and markup in the line */
    const char *judged; /* the line of which quoted speaks; NULL: none yet */
    bool quoted;        /* it begins with the mark of a quotation */
};

/* A value that is being read. */
struct token {
    char text[BOUNCE_ID_MAX + 1];
    size_t length;
    bool too_long;
};

/* What stands between a label and its value. */
struct gap {
    bool colon;  /* a field, not a phrase */
    bool apart;  /* behind the colon come blanks or a line end */
    bool equals; /* as colon, but no header's */
    bool broken; /* the value is on another line */
    bool open;   /* an angle bracket was passed, the value stands in it */
};

static inline struct octets scan_rest(const struct scan *scan, const char *at)
{
    return (struct octets){at, (size_t)(scan->end - at)};
}

static inline struct budget *scan_budget(const struct scan *scan)
{
    return scan->reader->budget;
}

/* Where the pass goes on after a reading that began at at and came to nothing at stop. */
static inline const char *scan_failed(const char *at, const char *stop)
{
    return stop - at > SCAN_FAILED_MAX ? stop : at + 1;
}

/* Reads from at on, by no more than window octets. */
struct lexer scan_lexer(struct scan *scan, const char *at, size_t window);
/* Moves to the value behind a label. False: there is none. */
bool scan_gap(struct lexer *lexer, struct gap *gap);

/* bounce_ids.c: at is where a word begins that may be a label, or where a bracket may stand. */
const char *scan_message_id(struct scan *scan, const char *at);
const char *scan_list(struct scan *scan, const char *at, const char *label);
const char *scan_id(struct scan *scan, const char *at);
const char *scan_token(struct scan *scan, const char *at);
/* The value of a field of the bounce's own header. */
void scan_own_field(struct scan *scan, struct octets name);

/* bounce_tags.c */
const char *scan_tag(struct scan *scan, const char *at);
const char *scan_evidence(struct scan *scan, const char *at);

#endif
