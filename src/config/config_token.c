/* The lexer of configurations. No state but the token, which its reader keeps. */
#include "config/config_token.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Moves start over white space and comments. False: a comment without an end. */
static bool skip_blank(struct token *token)
{
    for (;;) {
        const char *at = token->start;
        if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
            token->start = strchrnul(at, '\n');
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            if (end == NULL) {
                return false;
            }
            for (; at < end; at++) {
                token->line += *at == '\n';
            }
            token->start = end + 2;
        } else if (*at != '\0' && strchr(" \t\r\f\n", *at) != NULL) {
            token->line += *at == '\n';
            token->start++;
        } else {
            return true;
        }
    }
}

/* The end of the string that begins at start; NULL: it does not end on its line. */
static const char *string_end(const char *start)
{
    for (const char *at = start + 1; *at != '\0' && *at != '\n'; at++) {
        if (*at == '"') {
            return at + 1;
        }
        if (*at == '\\' && (at[1] == '"' || at[1] == '\\')) {
            at++;
        }
    }
    return NULL;
}

/* The end of a word without double quotes. */
static const char *bare_end(const char *start)
{
    const char *at = start;
    if (*at == '\'') {
        const char *end = at + 1 + strcspn(at + 1, "'\n");
        if (*end == '\'') {
            return end + 1;
        }
    }
    do {
        at += 1 + strcspn(at + 1, " \t\r\f\n;,={}[]()\"#/");
    } while (*at == '/' && at[1] != '/' && at[1] != '*');
    return at;
}

/* Libconfig 1.5 wraps what does not fit 32 bits, or 64 with an L; later versions take a leading
 * zero as octal. */
static bool is_integer(const char *start, const char *end)
{
    const char *digits = start + (*start == '+' || *start == '-');
    bool hex = start[0] == '0' && (start[1] == 'x' || start[1] == 'X');
    char *after = NULL;
    errno = 0;
    long long value = strtoll(start, &after, hex ? 16 : 10);
    size_t wide = strspn(after, "L");
    bool octal = !hex && digits[0] == '0' && is_digit(digits[1]);
    bool fits = errno == 0 && (wide > 0 || (value >= INT_MIN && value <= INT_MAX));
    return after > digits && wide <= 2 && after + wide == end && fits && !octal;
}

static void take_name(struct token *token)
{
    while (is_letter(*token->end) || is_digit(*token->end) ||
           (*token->end != '\0' && strchr("_-*", *token->end) != NULL)) {
        token->end++;
    }
    size_t length = (size_t)(token->end - token->start);
    bool yes = length == 4 && strncasecmp(token->start, "true", 4) == 0;
    bool no = length == 5 && strncasecmp(token->start, "false", 5) == 0;
    token->kind = yes || no ? TOKEN_BOOL : TOKEN_NAME;
}

void token_next(struct token *token)
{
    static const char include[] = "@include";
    token->start = token->end;
    token->kind = TOKEN_BAD;
    bool blank = skip_blank(token);
    const char *start = token->start;
    token->end = start;
    if (!blank || strncmp(start, include, sizeof include - 1) == 0) {
        return;
    }
    if (*start == '\0') {
        token->kind = TOKEN_END;
    } else if (*start == '"') {
        const char *end = string_end(start);
        token->kind = end != NULL ? TOKEN_STRING : TOKEN_BAD;
        token->end = end != NULL ? end : start;
    } else if (is_letter(*start) || *start == '*') {
        take_name(token);
    } else if (strchr("=:,;{}[]()", *start) != NULL) {
        token->kind = TOKEN_SIGN;
        token->end = start + 1;
    } else {
        token->end = bare_end(start);
        token->kind = is_integer(start, token->end) ? TOKEN_INTEGER : TOKEN_BARE;
    }
}

void token_as_value(struct token *token)
{
    if (token->kind == TOKEN_NAME) {
        token->kind = TOKEN_BARE;
        token->end = bare_end(token->start);
    }
}

bool token_is_sign(const struct token *token, char c)
{
    return token->kind == TOKEN_SIGN && *token->start == c;
}

bool token_is_scalar(const struct token *token)
{
    return token->kind != TOKEN_END && token->kind != TOKEN_SIGN && token->kind != TOKEN_BAD;
}

bool token_opens(const struct token *token)
{
    return token->kind == TOKEN_SIGN && strchr("{[(", *token->start) != NULL;
}

bool token_closes(const struct token *token)
{
    return token->kind == TOKEN_SIGN && strchr("}])", *token->start) != NULL;
}
