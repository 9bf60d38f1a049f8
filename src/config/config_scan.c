/*
 * What is wrong with libconfig from 1.5 on, and is put right here by following the same grammar
 * first:
 * - integers that do not fit are wrapped or cut without a word: refused;
 * - a leading zero is nothing to 1.5, makes a number octal to 1.7 and later: refused;
 * - a comment that is not closed hides the rest of the file: refused;
 * - it stops at the first fault with "syntax error": the message says what stands there and what
 * was expected, and a name that is given twice does not end the reading;
 * - a string at the end of a list gets the line of the bracket after it: the bracket is moved up;
 * - it loses memory at some syntax errors, and nests as deeply as it is told: it never sees either;
 * - @include is refused. Included files would escape all this; long lists have "file:" entries.
 * A comma after a list's last entry is allowed, as newer versions of libconfig do.
 *
 * No state but the scanner on the caller's stack. Recursion is bounded by DEPTH_MAX.
 */
#include "config/config_scan.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/option_advice.h"

enum { DEPTH_MAX = 8, NAMES_MAX = 512, SCOPE_MAX = 128, SHOWN_MAX = 80 };

enum kind {
    KIND_END,
    KIND_NAME,
    KIND_BOOL,
    KIND_INTEGER,
    KIND_STRING,
    KIND_BARE, /* no value of libconfig's: in single quotes, or it wants double quotes */
    KIND_SIGN, /* one of = : , ; { } [ ] ( ) */
    KIND_BAD   /* reported already */
};

struct token {
    enum kind kind;
    char *start;
    char *end;
    unsigned line;
};

struct seen {
    const char *name;
    size_t length;
    unsigned line;
};

struct scanner {
    const char *path;
    struct config_messages *messages;
    char *at; /* what has not been looked at */
    unsigned line;
    struct token token;    /* the next one */
    struct token last;     /* the one before */
    char scope[SCOPE_MAX]; /* the path of the setting at hand */
    unsigned depth;
    bool misfit;                 /* the setting at hand has a value that libconfig must not see */
    struct seen seen[NAMES_MAX]; /* the names of all groups that are open */
    size_t seen_count;
};

static bool scan_value(struct scanner *scanner);

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(char c)
{
    return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '*';
}

/* A value without brackets, or what was meant as one. */
static bool is_scalar(const struct token *token)
{
    return token->kind == KIND_BOOL || token->kind == KIND_INTEGER || token->kind == KIND_STRING ||
           token->kind == KIND_BARE || token->kind == KIND_NAME;
}

static bool is_sign(const struct token *token, char c)
{
    return token->kind == KIND_SIGN && *token->start == c;
}

/* Reports what stands there and what should; false, so that the scan ends. */
static bool fail(struct scanner *scanner, const char *expected)
{
    char quoted[CONFIG_QUOTED];
    const struct token *token = &scanner->token;
    size_t length = (size_t)(token->end - token->start);
    const char *colon = scanner->scope[0] == '\0' ? "" : ": ";
    if (token->kind == KIND_END) {
        config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, scanner->last.line,
                            "%s%sthe file ends, expected %s", scanner->scope, colon, expected);
    } else if (token->kind != KIND_BAD) {
        config_quote(token->start, length, quoted);
        /* A string brings its own quotes. */
        bool string = token->kind == KIND_STRING && length > 2;
        config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, token->line,
                            "%s%sfound %s, expected %s", scanner->scope, colon,
                            string ? config_quote(token->start + 1, length - 2, quoted) : quoted,
                            expected);
    }
    return false;
}

static void bad(struct scanner *scanner, const char *what)
{
    config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, scanner->line, "%s", what);
    scanner->token.kind = KIND_BAD;
}

/* Moves over white space and comments. False: a comment without an end. */
static bool skip_blank(struct scanner *scanner)
{
    for (;;) {
        char *at = scanner->at;
        if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
            scanner->at = strchrnul(at, '\n');
        } else if (at[0] == '/' && at[1] == '*') {
            char *end = strstr(at + 2, "*/");
            if (end == NULL) {
                return false;
            }
            for (; at < end; at++) {
                scanner->line += *at == '\n';
            }
            scanner->at = end + 2;
        } else if (*at != '\0' && strchr(" \t\r\f\n", *at) != NULL) {
            scanner->line += *at == '\n';
            scanner->at++;
        } else {
            return true;
        }
    }
}

/* The end of the string that begins at start; NULL: it does not end on its line. */
static char *string_end(char *start)
{
    for (char *at = start + 1; *at != '\0' && *at != '\n'; at++) {
        if (*at == '"') {
            return at + 1;
        }
        if (*at == '\\' && (at[1] == '"' || at[1] == '\\')) {
            at++;
        }
    }
    return NULL;
}

/* Digits or 0x with hexadecimal ones, with L or LL after them. */
static bool is_integer(const char *start, const char *end)
{
    bool sign = *start == '+' || *start == '-';
    bool hex = start[0] == '0' && (start[1] == 'x' || start[1] == 'X');
    const char *digits = start + (hex ? 2 : sign);
    const char *after = digits + strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
    size_t wide = strspn(after, "L");
    return after > digits && after + (wide > 2 ? 0 : wide) == end;
}

/* The end of what was written without double quotes where there have to be some. */
static char *bare_end(char *start)
{
    char *at = start;
    if (*at == '\'') {
        char *end = at + 1 + strcspn(at + 1, "'\n");
        if (*end == '\'') {
            return end + 1;
        }
    }
    do {
        at += 1 + strcspn(at + 1, " \t\r\f\n;,={}[]()\"#/");
    } while (*at == '/' && at[1] != '/' && at[1] != '*');
    return at;
}

static void take_number(struct scanner *scanner)
{
    struct token *token = &scanner->token;
    char *at = token->start + 1;
    while (is_letter(*at) || is_digit(*at) || *at == '.' ||
           ((*at == '+' || *at == '-') && (at[-1] == 'e' || at[-1] == 'E'))) {
        at++;
    }
    token->end = bare_end(token->start);
    token->kind = token->end == at && is_integer(token->start, at) ? KIND_INTEGER : KIND_BARE;
}

static void take_name(struct scanner *scanner)
{
    struct token *token = &scanner->token;
    while (is_name(*token->end)) {
        token->end++;
    }
    size_t length = (size_t)(token->end - token->start);
    bool yes = length == 4 && strncasecmp(token->start, "true", 4) == 0;
    bool no = length == 5 && strncasecmp(token->start, "false", 5) == 0;
    token->kind = yes || no ? KIND_BOOL : KIND_NAME;
}

static void take_other(struct scanner *scanner)
{
    static const char include[] = "@include";
    struct token *token = &scanner->token;
    if (strncmp(token->start, include, sizeof include - 1) == 0) {
        token->end = token->start + sizeof include - 1;
        bad(scanner, "@include is not supported; a list may be kept in a file of its own, named as "
                     "\"file:/PATH\" in the list");
    } else if (strchr("=:,;{}[]()", *token->start) != NULL) {
        token->end = token->start + 1;
        token->kind = KIND_SIGN;
    } else {
        token->end = bare_end(token->start);
        token->kind = KIND_BARE;
    }
}

/* Makes the next token the last one and reads another. */
static void advance(struct scanner *scanner)
{
    struct token *token = &scanner->token;
    scanner->last = *token;
    bool blank = skip_blank(scanner);
    *token = (struct token){
        .kind = KIND_END, .start = scanner->at, .end = scanner->at, .line = scanner->line};
    char c = *scanner->at;
    if (!blank) {
        bad(scanner, "a comment begins here that does not end");
    } else if (c == '"') {
        token->kind = KIND_STRING;
        token->end = string_end(token->start);
        if (token->end == NULL) {
            token->end = token->start;
            bad(scanner, "a string begins here that does not end on its line");
        }
    } else if (is_digit(c) || c == '.' || c == '+' || c == '-') {
        take_number(scanner);
    } else if (is_letter(c) || c == '*') {
        token->end++;
        take_name(scanner);
    } else if (c != '\0') {
        take_other(scanner);
    }
    scanner->at = token->end;
}

/* Appends a name to the path of the setting at hand; answers the length that it had. */
static size_t scope_enter(struct scanner *scanner, const struct token *name)
{
    size_t before = strlen(scanner->scope);
    snprintf(scanner->scope + before, SCOPE_MAX - before, "%s%.*s", before == 0 ? "" : ".",
             (int)(name->end - name->start), name->start);
    return before;
}

/* Looks the name up among those of the innermost group, which begin at first, and adds it. */
static bool name_seen(struct scanner *scanner, size_t first, const struct token *name, bool *twice)
{
    size_t length = (size_t)(name->end - name->start);
    *twice = false;
    for (size_t i = first; i < scanner->seen_count; i++) {
        const struct seen *seen = &scanner->seen[i];
        if (seen->length == length && memcmp(seen->name, name->start, length) == 0) {
            config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, name->line,
                                "%s: given twice, first in line %u", scanner->scope, seen->line);
            *twice = true;
            return true;
        }
    }
    if (scanner->seen_count == NAMES_MAX) {
        config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, name->line,
                            "%s: more names than any configuration has", scanner->scope);
        return false;
    }
    scanner->seen[scanner->seen_count++] =
        (struct seen){.name = name->start, .length = length, .line = name->line};
    return true;
}

/* Overwrites from start to end with spaces, except the newlines. */
static void blank_out(char *start, const char *end)
{
    for (; start < end; start++) {
        *start = *start == '\n' ? '\n' : ' ';
    }
}

/* NAME = VALUE, with ; or , after it or nothing. first: where its group's names begin. What
 * libconfig must not see has been reported and is blanked. */
static bool scan_setting(struct scanner *scanner, size_t first)
{
    struct token name = scanner->token;
    bool twice = false;
    bool outer = scanner->misfit;
    if (name.kind != KIND_NAME) {
        return fail(scanner, "the name of an option");
    }
    scanner->misfit = false;
    size_t before = scope_enter(scanner, &name);
    bool ok = name_seen(scanner, first, &name, &twice);
    if (ok) {
        advance(scanner);
        ok = is_sign(&scanner->token, '=') || is_sign(&scanner->token, ':') ||
             fail(scanner, "= and a value");
    }
    if (ok) {
        advance(scanner);
        ok = scan_value(scanner);
    }
    /* Strings that follow each other are one; in a list that would be a comma forgotten. */
    while (ok && scanner->last.kind == KIND_STRING && scanner->token.kind == KIND_STRING) {
        advance(scanner);
    }
    if (ok && (is_sign(&scanner->token, ';') || is_sign(&scanner->token, ','))) {
        advance(scanner);
    }
    if (ok && (twice || scanner->misfit)) {
        blank_out(name.start, scanner->last.end);
    }
    if (ok) {
        scanner->misfit = outer;
        scanner->scope[before] = '\0';
    }
    return ok;
}

/* The settings of a group, whose opening brace has been read, to its closing one. */
static bool scan_group(struct scanner *scanner)
{
    size_t first = scanner->seen_count;
    bool ok = true;
    while (ok && !is_sign(&scanner->token, '}')) {
        if (scanner->token.kind != KIND_NAME) {
            return fail(scanner, "; or } or the name of an option");
        }
        ok = scan_setting(scanner, first);
    }
    scanner->seen_count = first;
    return ok;
}

/* Puts the next token, one character, directly behind the last, which was a string. */
static void pull_up(struct scanner *scanner)
{
    struct token *token = &scanner->token;
    char *to = scanner->last.end;
    char c = *token->start;
    memmove(to + 1, to, (size_t)(token->start - to));
    *to = c;
    token->start = to;
    token->end = to + 1;
    token->line = scanner->last.line;
}

/* One entry and the comma after it. *more: there may be another. */
static bool scan_entry(struct scanner *scanner, bool array, char close, enum kind *kind, bool *more)
{
    struct token *token = &scanner->token;
    enum kind meant =
        token->kind == KIND_BARE || token->kind == KIND_NAME ? KIND_STRING : token->kind;
    if (array && !is_scalar(token)) {
        return fail(scanner, "a value or ]");
    }
    if (array && *kind != KIND_END && *kind != meant) {
        return fail(scanner, "an entry of the same type as the one before");
    }
    *kind = meant;
    if (!scan_value(scanner)) {
        return false;
    }
    bool comma = is_sign(token, ',');
    if (!comma && !is_sign(token, close)) {
        return fail(scanner, array ? ", or ]" : ", or )");
    }
    if (scanner->last.kind == KIND_STRING && scanner->last.line != token->line) {
        pull_up(scanner);
    }
    if (comma) {
        char *at = token->start;
        advance(scanner);
        if (is_sign(token, close)) {
            *token->start = ' ';
            *at = close;
            token->start = at;
            token->end = at + 1;
        }
    }
    *more = comma && !is_sign(token, close);
    return true;
}

/* The entries of an array [ ] or a list ( ), whose opening bracket has been read. */
static bool scan_list(struct scanner *scanner, bool array)
{
    const char close = array ? ']' : ')';
    enum kind kind = KIND_END;
    bool more = !is_sign(&scanner->token, close);
    while (more) {
        if (!scan_entry(scanner, array, close, &kind, &more)) {
            return false;
        }
    }
    return true;
}

/* The token without its single quotes as a value of the setting at hand. NULL: no memory. */
static char *bare_advice(const struct scanner *scanner)
{
    const struct token *token = &scanner->token;
    const struct token *last = &scanner->last;
    size_t length = (size_t)(token->end - token->start);
    bool quotes = length > 1 && token->start[0] == '\'' && token->end[-1] == '\'';
    char *text = strndup(token->start + quotes, length - (quotes ? 2 : 0));
    char *advice = NULL;
    if (text != NULL) {
        advice = option_advice_bare(option_find(scanner->scope), text,
                                    !is_sign(last, '=') && !is_sign(last, ':'));
    }
    free(text);
    return advice;
}

/* The setting at hand will be blanked, so that nobody else reports its name. In a group that is
 * unknown itself, that one is reported. */
static void report_unknown(struct scanner *scanner)
{
    char group[SCOPE_MAX] = "";
    const char *dot = strrchr(scanner->scope, '.');
    if (dot != NULL) {
        memcpy(group, scanner->scope, (size_t)(dot - scanner->scope));
    }
    bool reported = scanner->misfit; /* by an earlier entry of the list */
    scanner->misfit = true;
    if (reported ||
        (group[0] != '\0' && !option_is_group(group) && strcmp(group, "domains") != 0)) {
        return;
    }
    char *advice = option_advice_name(group, dot != NULL ? dot + 1 : scanner->scope);
    if (advice == NULL) {
        scanner->messages->no_memory = true;
        return;
    }
    config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, scanner->token.line,
                        "%s: unknown name, %s", scanner->scope, advice);
    free(advice);
}

/* The setting at hand is reported and will be blanked. advice, allocated or NULL, is taken over. */
static void put_aside(struct scanner *scanner, char *advice, const char *more)
{
    const struct token *token = &scanner->token;
    size_t length = (size_t)(token->end - token->start);
    scanner->misfit = true;
    if (advice == NULL) {
        scanner->messages->no_memory = true;
        return;
    }
    config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, token->line,
                        "%s: found %.*s, %s%s", scanner->scope,
                        (int)(length > SHOWN_MAX ? SHOWN_MAX : length), token->start, advice, more);
    free(advice);
}

/* What libconfig's versions read differently, or wrap. */
static void check_integer(struct scanner *scanner)
{
    const struct token *token = &scanner->token;
    const struct config_option *option = option_find(scanner->scope);
    const char *start = token->start;
    const char *digits = start + (*start == '+' || *start == '-');
    char *after = NULL;
    if (digits[0] == '0' && is_digit(digits[1])) {
        put_aside(scanner, bare_advice(scanner),
                  "; a number with a leading zero is octal to some versions of libconfig");
        return;
    }
    errno = 0;
    long long value = strtoll(start, &after, digits[0] == '0' ? 16 : 10);
    if (errno != 0 || (*after != 'L' && (value < INT_MIN || value > INT_MAX))) {
        put_aside(scanner, strdup("expected an integer that fits 32 bits"),
                  option != NULL && option->type == OPTION_SIZE
                      ? ", or 64 bits and has an L behind it"
                      : "");
    }
}

/* A word that only double quotes would make a value, or a number that is none. */
static void check_bare(struct scanner *scanner)
{
    struct token *token = &scanner->token;
    token->end = bare_end(token->start);
    scanner->at = token->end;
    if (option_find(scanner->scope) != NULL || option_is_group(scanner->scope)) {
        put_aside(scanner, bare_advice(scanner), "");
    } else {
        report_unknown(scanner);
    }
}

/* What stands between brackets, and the closing one. */
static bool scan_nested(struct scanner *scanner)
{
    bool ok = false;
    char open = *scanner->token.start;
    if (++scanner->depth > DEPTH_MAX) {
        return fail(scanner, "fewer brackets within each other");
    }
    advance(scanner);
    if (open == '{') {
        ok = scan_group(scanner);
    } else {
        ok = scan_list(scanner, open == '[');
    }
    scanner->depth--;
    if (ok) {
        advance(scanner);
    }
    return ok;
}

static bool scan_value(struct scanner *scanner)
{
    const struct token *token = &scanner->token;
    if (is_sign(token, '{') || is_sign(token, '[') || is_sign(token, '(')) {
        return scan_nested(scanner);
    }
    /* A name in the next line is that of the next option. */
    bool forgotten = token->kind == KIND_NAME && scanner->last.line != token->line &&
                     (is_sign(&scanner->last, '=') || is_sign(&scanner->last, ':'));
    if (!is_scalar(token) || forgotten) {
        return fail(scanner, "a value");
    }
    if (token->kind == KIND_INTEGER) {
        check_integer(scanner);
    } else if (token->kind == KIND_BARE || token->kind == KIND_NAME) {
        check_bare(scanner);
    }
    advance(scanner);
    return true;
}

enum status config_scan(char *text, const char *path, struct config_messages *messages)
{
    struct scanner scanner = {.path = path, .messages = messages, .at = text, .line = 1};
    bool ok = true;
    advance(&scanner);
    while (ok && scanner.token.kind != KIND_END) {
        ok = scan_setting(&scanner, 0);
    }
    return ok ? STATUS_OK : STATUS_INVALID;
}

/* Moves on to the text behind the next NAME = or NAME :, wherever it stands. False: there is none.
 */
static bool find_string(struct scanner *scanner, const char *name)
{
    const struct token *token = &scanner->token;
    size_t length = strlen(name);
    int matched = 0; /* 1: the name has been seen, 2: and what stands between it and the value */
    for (advance(scanner); token->kind != KIND_END; advance(scanner)) {
        if (token->kind == KIND_STRING && matched == 2) {
            return true;
        }
        bool named = token->kind == KIND_NAME && (size_t)(token->end - token->start) == length &&
                     strncmp(token->start, name, length) == 0;
        bool between = matched == 1 && (is_sign(token, '=') || is_sign(token, ':'));
        bool opens = is_sign(token, '{') || is_sign(token, '[') || is_sign(token, '(');
        bool closes = is_sign(token, '}') || is_sign(token, ']') || is_sign(token, ')');
        scanner->depth += opens ? 1 : 0;
        scanner->depth -= closes && scanner->depth > 0 ? 1 : 0;
        matched = named ? 1 : between ? 2 : 0;
        if (token->kind == KIND_BAD && *scanner->at != '\0') {
            scanner->at += strcspn(scanner->at, "\n"); /* a string or a comment without an end */
        }
    }
    return false;
}

bool config_scan_string(char *text, const char *name, const char **start, size_t *length)
{
    struct config_messages ignored = {0};
    struct scanner scanner = {.path = "", .messages = &ignored, .at = text, .line = 1};
    bool found = false;
    bool outside = false;
    while (!outside && find_string(&scanner, name)) {
        outside = scanner.depth == 0;
        if (!found || outside) {
            *start = scanner.token.start;
            *length = (size_t)(scanner.token.end - scanner.token.start);
        }
        found = true;
    }
    config_messages_free(&ignored);
    /* Inside of brackets it counts where one is open at the end: that is the mistake. */
    return outside || (found && scanner.depth > 0);
}
