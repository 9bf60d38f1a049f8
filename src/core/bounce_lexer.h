/*
 * Text as a person would see it, character by character: character references and JSON escapes are
 * resolved, characters of full width and brackets of other scripts are those of ASCII, what has no
 * width is not seen; HTML tags, NULs and the marks of quoted lines are told apart. For
 * bounce_text.c.
 */
#ifndef BOUNCE_LEXER_H
#define BOUNCE_LEXER_H

#include <stdbool.h>

#include "batv/budget.h"

enum {
    LEX_END = -1,
    LEX_BREAK = -2, /* a line end with the indentation behind it, or a tag that stands for one */
    LEX_EMPTY = -3, /* the same, and the next line is empty */
    LEX_TAG = -4    /* of HTML, within a line */
};

/* Set at, end, budget and quoted to start. Each character is a step of the budget. */
struct lexer {
    const char *at;
    const char *end;
    struct budget *budget;
    bool quoted;   /* lines may begin with > or | */
    bool indented; /* behind the last line end there were blanks */
};

/* What stands next, whatever it is. */
int lexer_read(struct lexer *lexer);

/* The next character as an unsigned char, or one of LEX_. Most characters stand for themselves. */
static inline int lexer_next(struct lexer *lexer)
{
    if (lexer->at < lexer->end) {
        unsigned char c = (unsigned char)*lexer->at;
        if (c >= ' ' && c < 0x80 && c != '<' && c != '&' && c != '\\') {
            lexer->at++;
            budget_spend(lexer->budget, 1);
            return c;
        }
    }
    return lexer_read(lexer);
}

/* The character that stands here, in whatever disguise. Looks at nothing behind it. */
int lexer_peek(struct lexer lexer);

/* What the text from at to end is, if it is one tag and no more: within a line, or the beginning of
 * another line or of another cell of a table. */
enum lexer_division { LEX_NO_TAG, LEX_WITHIN, LEX_DIVIDES };
enum lexer_division lexer_divides(struct lexer lexer);

/* True for white space, a line end or a tag, which may stand between a label and its value. */
bool lexer_is_gap(int c);

#endif
