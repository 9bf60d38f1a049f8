/*
 * Libconfig stops at the first fault, loses memory at some, nests as deeply as a file tells it,
 * compares each name with all before it, and includes files. So its grammar is followed here first,
 * and it parses only what keeps to it. Of values it gets those that all its versions read alike;
 * whoever reads its tree checks names, types and ranges.
 *
 * It gives a string at the end of a list the line of the token after it: a bracket or comma is
 * written directly behind the string. A comma after a list's last entry is left out.
 *
 * No state but the scanner on the caller's stack. Recursion is bounded by DEPTH_MAX.
 */
#include "config/config_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_token.h"

enum { DEPTH_MAX = 8, NAMES_MAX = 512, SCOPE_MAX = 128 };

struct scanner {
    const char *text;
    const char *path;
    struct config_messages *messages;
    FILE *plain;
    unsigned written;      /* the line at the end of plain */
    struct token token;    /* the next one */
    unsigned last_line;    /* of the one before */
    char scope[SCOPE_MAX]; /* the path of the setting at hand */
    unsigned depth;
};

static bool scan_value(struct scanner *scanner);

static void advance(struct scanner *scanner)
{
    scanner->last_line = scanner->token.line;
    token_next(&scanner->token);
}

static const char *bad(const struct token *token)
{
    switch (*token->start) {
    case '@':
        return "@include is not supported; a list may be kept in a file of its own, named as "
               "\"file:/PATH\" in the list";
    case '"':
        return "a string begins here that does not end on its line";
    default:
        return "a comment begins here that does not end";
    }
}

/* Reports what stands there and what should; false, so that the scan ends. */
static bool fail(struct scanner *scanner, const char *expected)
{
    char quoted[CONFIG_QUOTED];
    const struct token *token = &scanner->token;
    size_t length = (size_t)(token->end - token->start);
    const char *colon = scanner->scope[0] == '\0' ? "" : ": ";
    bool string = token->kind == TOKEN_STRING; /* it brings its own quotes */
    if (token->kind == TOKEN_BAD) {
        config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, token->line, "%s",
                            bad(token));
    } else if (token->kind == TOKEN_END) {
        config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, scanner->last_line,
                            "%s%sthe file ends, expected %s", scanner->scope, colon, expected);
    } else {
        config_quote(token->start + string, length - (string ? 2 : 0), quoted);
        config_messages_add(scanner->messages, CONFIG_ERROR, scanner->path, token->line,
                            "%s%sfound %s, expected %s", scanner->scope, colon, quoted, expected);
    }
    return false;
}

/* Moves plain on to the token's line. */
static FILE *plain_at(struct scanner *scanner, const struct token *token)
{
    for (; scanner->written < token->line; scanner->written++) {
        fputc('\n', scanner->plain);
    }
    return scanner->plain;
}

/* NAME = VALUE, with ; or , after it or nothing. */
static bool scan_setting(struct scanner *scanner)
{
    const struct token *token = &scanner->token;
    const struct token name = *token;
    int length = (int)(name.end - name.start);
    size_t before = strlen(scanner->scope);
    snprintf(scanner->scope + before, SCOPE_MAX - before, "%s%.*s", before == 0 ? "" : ".", length,
             name.start);
    advance(scanner);
    if (!token_is_sign(token, '=') && !token_is_sign(token, ':')) {
        return fail(scanner, "= and a value");
    }
    advance(scanner);
    /* A name in the next line is that of the next option. */
    bool forgotten = token->kind == TOKEN_NAME && scanner->last_line != token->line;
    if (forgotten || (!token_is_scalar(token) && !token_opens(token))) {
        return fail(scanner, "a value");
    }
    fprintf(plain_at(scanner, &name), "%.*s*%td=", length, name.start, name.start - scanner->text);
    bool string = token->kind == TOKEN_STRING;
    bool ok = scan_value(scanner);
    /* Strings that follow each other are one; in a list that would be a comma forgotten. */
    while (ok && string && token->kind == TOKEN_STRING) {
        ok = scan_value(scanner);
    }
    fputc(';', scanner->plain);
    if (ok && (token_is_sign(token, ';') || token_is_sign(token, ','))) {
        advance(scanner);
    }
    if (ok) {
        scanner->scope[before] = '\0';
    }
    return ok;
}

/* The settings of a group to its closing brace, or of the file to its end. */
static bool scan_group(struct scanner *scanner, bool file)
{
    const struct token *token = &scanner->token;
    bool ok = true;
    for (unsigned names = 0; ok && token->kind == TOKEN_NAME; names++) {
        ok = names < NAMES_MAX ? scan_setting(scanner) : fail(scanner, "fewer names in a group");
    }
    if (ok && file && token->kind != TOKEN_END) {
        return fail(scanner, "the name of an option");
    }
    return ok &&
           (file || token_is_sign(token, '}') || fail(scanner, "; or } or the name of an option"));
}

/* The entries of an array [ ] or a list ( ) to its closing bracket. */
static bool scan_list(struct scanner *scanner, char close)
{
    const struct token *token = &scanner->token;
    bool array = close == ']';
    bool more = true;
    for (size_t count = 0; !token_is_sign(token, close); count++) {
        if (!more) {
            return fail(scanner, array ? ", or ]" : ", or )");
        }
        if (!token_is_scalar(token) && (array || !token_opens(token))) {
            return fail(scanner, array ? "a value or ]" : "a value or )");
        }
        fputs(count > 0 ? "," : "", scanner->plain);
        if (!scan_value(scanner)) {
            return false;
        }
        more = token_is_sign(token, ',');
        if (more) {
            advance(scanner);
        }
    }
    return true;
}

/* What stands between brackets. Plain's brackets are closed in any case. */
static bool scan_nested(struct scanner *scanner)
{
    const char open = *scanner->token.start;
    bool ok = false;
    fputc(open == '{' ? '{' : '(', plain_at(scanner, &scanner->token));
    if (++scanner->depth > DEPTH_MAX) {
        fail(scanner, "fewer brackets within each other");
    } else {
        advance(scanner);
        ok = open == '{' ? scan_group(scanner, false) : scan_list(scanner, open == '[' ? ']' : ')');
    }
    scanner->depth--;
    fputc(open == '{' ? '}' : ')', scanner->plain);
    return ok;
}

static bool scan_value(struct scanner *scanner)
{
    struct token *token = &scanner->token;
    token_as_value(token);
    if (token_opens(token)) {
        if (!scan_nested(scanner)) {
            return false;
        }
    } else if (token->kind == TOKEN_BARE) {
        fprintf(plain_at(scanner, token), "%td.0", token->start - scanner->text);
    } else {
        fprintf(plain_at(scanner, token), "%.*s", (int)(token->end - token->start), token->start);
    }
    advance(scanner);
    return true;
}

enum status config_scan(const char *text, const char *path, struct config_messages *messages,
                        char **plain)
{
    size_t length = 0;
    *plain = NULL;
    struct scanner scanner = {.text = text,
                              .path = path,
                              .messages = messages,
                              .plain = open_memstream(plain, &length),
                              .written = 1,
                              .token = {.end = text, .line = 1}};
    if (scanner.plain == NULL) {
        return STATUS_NO_MEMORY;
    }
    advance(&scanner);
    bool ok = scan_group(&scanner, true);
    bool failed = ferror(scanner.plain) != 0;
    if (fclose(scanner.plain) != 0 || failed) {
        free(*plain);
        *plain = NULL;
        return STATUS_NO_MEMORY;
    }
    return ok ? STATUS_OK : STATUS_INVALID;
}

/* Moves on to the text behind the next NAME = or NAME :, wherever it stands. False: there is none.
 */
static bool find_string(struct token *token, unsigned *depth, const char *name)
{
    int matched = 0; /* 1: the name has been seen, 2: and what stands between it and the value */
    for (token_next(token); token->kind != TOKEN_END; token_next(token)) {
        if (token->kind == TOKEN_STRING && matched == 2) {
            return true;
        }
        size_t length = (size_t)(token->end - token->start);
        bool named = token->kind == TOKEN_NAME && length == strlen(name) &&
                     strncmp(token->start, name, length) == 0;
        bool between = matched == 1 && (token_is_sign(token, '=') || token_is_sign(token, ':'));
        *depth += token_opens(token);
        *depth -= token_closes(token) && *depth > 0;
        matched = named ? 1 : between ? 2 : 0;
        if (token->kind == TOKEN_BAD) {
            token->end += strcspn(token->end, "\n"); /* a string or a comment without an end */
        }
    }
    return false;
}

bool config_scan_string(const char *text, const char *name, const char **start, size_t *length)
{
    struct token token = {.end = text, .line = 1};
    unsigned depth = 0;
    bool found = false;
    bool outside = false;
    while (!outside && find_string(&token, &depth, name)) {
        outside = depth == 0;
        if (!found || outside) {
            *start = token.start;
            *length = (size_t)(token.end - token.start);
        }
        found = true;
    }
    /* Inside of brackets it counts where one is open at the end: that is the mistake. */
    return outside || (found && depth > 0);
}
