/*
 * Values: what stands behind a label or in brackets. See bounce_text.c. No state.
 */
#include "bounce_scan.h"

#include <string.h>

#include "batv/address.h"

enum {
    GAP_MAX = 40,  /* characters between label and value */
    GAP_TAGS = 12, /* of them, tags */
    COMMENT_MAX = 100,
    COMMENTS_MAX = 2,     /* between label and value */
    BRACKETS_MAX = 3,     /* before a Message-ID */
    GAPS_MAX = 100,       /* blanks, breaks and tags within one */
    LINE_BEFORE_MAX = 256 /* octets of a line that is looked back at */
};

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

void token_add(struct token *token, int c)
{
    if (token->length == BOUNCE_ID_MAX) {
        token->too_long = true;
    } else {
        token->text[token->length++] = (char)c;
    }
}

bool token_has_at(const struct token *token)
{
    const char *at = token->length > 2 ? memchr(token->text + 1, '@', token->length - 2) : NULL;
    return at != NULL;
}

bool token_has_digit(const struct token *token)
{
    size_t i = 0;
    while (i < token->length && !is_digit(token->text[i])) {
        i++;
    }
    return i < token->length;
}

/* True where the line was broken by quoted-printable, which is undone elsewhere. */
static bool token_ends_softly(const struct token *token)
{
    return token->length > 0 && token->text[token->length - 1] == '=';
}

/* White space within brackets that have no label. Text is wrapped in the middle of a word, with or
 * without a blank; but behind a blank alone comes another word. */
static bool is_wrapping(int c, bool *blank)
{
    *blank = c == ' ' || c == '\t' || (*blank && c == LEX_TAG);
    return c >= 0 || c == LEX_BREAK || c == LEX_TAG;
}

bool token_read_bracketed(struct lexer *lexer, bool tight, struct token *token)
{
    unsigned opened = 1;
    unsigned gaps = 0;
    bool blank = false;
    *token = (struct token){.length = 0};
    while (!token->too_long && gaps <= GAPS_MAX) {
        struct lexer before = *lexer;
        int c = lexer_next(lexer);
        if (c == '>') {
            return token->length > 0 && !(tight && blank);
        }
        if (lexer_is_gap(c)) {
            gaps++;
            if ((tight && !is_wrapping(c, &blank)) ||
                (c == LEX_BREAK && token_ends_softly(token))) {
                return false;
            }
        } else if (c == '<' && (token->length > 0 || opened++ == BRACKETS_MAX)) {
            *lexer = before;
            return false;
        } else if (c < ' ' || (tight && blank)) {
            return false;
        } else if (c != '<') {
            token_add(token, c);
        }
    }
    return false;
}

static bool ends_bare(int c)
{
    return c < 0 || c <= ' ' || c == '<' || c == '>' || c == '"';
}

bool token_read_bare(struct lexer *lexer, struct token *token)
{
    int c = 0;
    token->length = 0;
    token->too_long = false;
    while (!token->too_long) {
        struct lexer before = *lexer;
        c = lexer_next(lexer);
        if (ends_bare(c)) {
            *lexer = before;
            break;
        }
        token_add(token, c);
    }
    if (lexer_is_line_end(c) && token_ends_softly(token)) {
        return false;
    }
    while (token->length > 0 && strchr(".,;:)]}'", token->text[token->length - 1]) != NULL) {
        token->length--;
    }
    return token->length > 0 && !token->too_long;
}

enum { WORDS_MAX = 4, WORD_MAX = 6, WORD_STEPS = 8 };

/* Words that may stand between a label and its value. */
static const char *const gap_words[] = {"is",    "was",    "of",    "the", "value",
                                        "field", "header", "named", "with"};

static bool skip_word(struct lexer *lexer)
{
    size_t length = 0;
    while (lexer->at + length < lexer->end && length <= WORD_MAX && is_alnum(lexer->at[length])) {
        length++;
    }
    if (length == 0) {
        return false;
    }
    budget_spend(lexer->budget, WORD_STEPS);
    for (size_t i = 0; i < sizeof gap_words / sizeof gap_words[0]; i++) {
        if (octets_equal((struct octets){lexer->at, length}, gap_words[i])) {
            lexer->at += length;
            return true;
        }
    }
    return false;
}

static bool in_comment(char c)
{
    return c != ')' && c != '(' && c != '@' && c != '<' && c != '\r' && c != '\n' && c != '\0';
}

/* A remark in parentheses before the value, as relays have put there. Behind the opening one. */
static void skip_comment(struct lexer *lexer)
{
    const char *p = lexer->at;
    const char *end = lexer->end - p < COMMENT_MAX ? lexer->end : p + COMMENT_MAX;
    while (p < end && in_comment(*p)) {
        p++;
    }
    budget_spend(lexer->budget, (size_t)(p - lexer->at));
    if (p < end && *p == ')') {
        lexer->at = p + 1;
    }
}

bool scan_gap(struct lexer *lexer, struct gap *gap)
{
    *gap = (struct gap){.open = false};
    unsigned words = 0;
    unsigned comments = 0;
    unsigned tags = 0;
    for (unsigned i = 0; i < GAP_MAX && tags <= GAP_TAGS; i++) {
        if (words < WORDS_MAX && skip_word(lexer)) {
            words++;
            continue;
        }
        struct lexer before = *lexer;
        int c = lexer_next(lexer);
        gap->apart = gap->colon && (gap->apart || is_blank(c) || c == LEX_BREAK);
        gap->colon = gap->colon || c == ':';
        tags += c == LEX_TAG;
        gap->equals = gap->equals || c == '=';
        gap->broken = gap->broken || c == LEX_BREAK;
        if (c == '<') {
            gap->open = true;
            return true;
        }
        bool marks = c > 0 && (strchr(":=\"'([,*-{", c) != NULL || (c == '>' && i == 0));
        if (!lexer_is_gap(c) && !marks) {
            *lexer = before;
            return c > ' ';
        }
        if (c == '(' && comments++ < COMMENTS_MAX) {
            skip_comment(lexer);
        }
    }
    return false;
}

bool token_read_line(struct lexer *lexer, struct token *token)
{
    token->length = 0;
    token->too_long = false;
    while (!token->too_long) {
        int c = lexer_next(lexer);
        if (lexer_is_line_end(c) || c == LEX_TAG) {
            return true;
        }
        if (c == '<' || c == '>' || c == '"') {
            return false;
        }
        if (c > ' ') {
            token_add(token, c);
        }
    }
    return false;
}

const char *scan_line_before(const struct scan *scan, const char *line, const char **end)
{
    const char *p = line;
    p -= p > scan->start && p[-1] == '\n';
    p -= p > scan->start && p[-1] == '\r';
    *end = p;
    while (p > scan->start && *end - p < LINE_BEFORE_MAX && p[-1] != '\n' && p[-1] != '\r') {
        p--;
    }
    budget_spend(scan_budget(scan), (size_t)(line - p));
    return p < *end && *end - p < LINE_BEFORE_MAX ? p : NULL;
}
