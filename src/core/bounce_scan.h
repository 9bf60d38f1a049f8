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

static inline bool lexer_is_line_end(int c)
{
    return c == LEX_BREAK || c == LEX_EMPTY || c == LEX_END;
}

/* bounce_value.c */
void token_add(struct token *token, int c);
static inline struct octets token_octets(const struct token *token)
{
    return (struct octets){token->text, token->length};
}
/* local@domain, of whatever octets. */
bool token_has_at(const struct token *token);
bool token_has_digit(const struct token *token);
/* What stands behind an opening bracket up to the closing one, without white space and markup, of
 * which there is not much. tight: there must not be any white space but where text is wrapped. */
bool token_read_bracketed(struct lexer *lexer, bool tight, struct token *token);
/* A value without brackets, whose first character is next; its end is not taken. */
bool token_read_bare(struct lexer *lexer, struct token *token);
/* The rest of a field's line as the value, as an odd sender may have written it. */
bool token_read_line(struct lexer *lexer, struct token *token);
/* Moves to the value behind a label. False: there is none. */
bool scan_gap(struct lexer *lexer, struct gap *gap);
/* The line that ends before line, without its end; NULL: there is none, or it is long. */
const char *scan_line_before(const struct scan *scan, const char *line, const char **end);

/* bounce_ids.c: at is where a word begins that may be a label. */
const char *scan_message_id(struct scan *scan, const char *at);
const char *scan_list(struct scan *scan, const char *at, const char *label);
/* The value of a field of the bounce's own header. */
void scan_own_field(struct scan *scan, struct octets name);
/* The length of "id" as a word's end; 0: something else stands there. */
size_t scan_id_length(struct octets rest);

/* bounce_shapes.c: at is where "id" may stand, an opening bracket, an @, or one that is encoded as
 * in a link. */
const char *scan_id(struct scan *scan, const char *at);
const char *scan_bracket(struct scan *scan, const char *at);
const char *scan_at(struct scan *scan, const char *at);
const char *scan_percent(struct scan *scan, const char *at);
/* A piece of a link. */
void scan_link(struct scan *scan, struct octets piece);

/* bounce_tags.c */
const char *scan_tag(struct scan *scan, const char *at);
const char *scan_evidence(struct scan *scan, const char *at);

#endif
