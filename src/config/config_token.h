/* A configuration's text as libconfig's tokens, and what people write where one should be. */
#ifndef CONFIG_CONFIG_TOKEN_H
#define CONFIG_CONFIG_TOKEN_H

#include <stdbool.h>

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_BOOL,
    TOKEN_INTEGER, /* one that each version of libconfig reads alike */
    TOKEN_STRING,
    TOKEN_BARE, /* a word or number that libconfig does not take as a value */
    TOKEN_SIGN, /* one of = : , ; { } [ ] ( ) */
    TOKEN_BAD   /* @include, or the beginning of a string or comment that does not end */
};

/* start and end lie in the text that is being read. */
struct token {
    enum token_kind kind;
    const char *start;
    const char *end;
    unsigned line;
};

/* Moves on to the next token. A reader starts with token->end at the text, which is NUL-terminated,
 * and with the line of that place. */
void token_next(struct token *token);
/* Makes a name that stands where a value should be a bare word. */
void token_as_value(struct token *token);

bool token_is_sign(const struct token *token, char c);
/* A value without brackets, or a word in its place. */
bool token_is_scalar(const struct token *token);
bool token_opens(const struct token *token);
bool token_closes(const struct token *token);

#endif
