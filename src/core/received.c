/*
 * Received fields. Their grammar is old and few programs keep to it, so this reads by position: the
 * word behind `from` is what the client called itself, whatever it looks like ("by",
 * "[127.0.0.1]"), and the first remark behind it that has an address, or could have one, says where
 * it came from. Later remarks have names out of certificates and the like, which strangers choose.
 *
 * A comment that does not end hides nothing: then parentheses are blanks, the words are read all
 * the same, and neither an address nor a protocol is believed. No state.
 */
#include "batv/received.h"

#include <string.h>

#include "batv/address.h"
#include "batv/fields.h"

enum { ADDRESS_TEXT = 64 };

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_COMMENT };

struct token {
    enum token_kind kind;
    struct octets text; /* of a comment: without its parentheses */
};

struct reader {
    const char *at; /* to the NUL */
    bool flat;      /* a comment does not end */
    bool dated;     /* `;` ends what is read: behind it is the date */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The closing parenthesis for the one at open, or NULL. */
static const char *comment_end(const char *open)
{
    size_t depth = 0;
    for (const char *p = open; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            p++;
        } else if (*p == '(') {
            depth++;
        } else if (*p == ')' && --depth == 0) {
            return p;
        }
    }
    return NULL;
}

/* Searches for a comment's end in vain at most once. */
static bool take_comment(struct reader *reader, struct token *token)
{
    const char *end = reader->flat ? NULL : comment_end(reader->at);
    if (end == NULL) {
        reader->flat = true;
        return false;
    }
    *token = (struct token){TOKEN_COMMENT, {reader->at + 1, (size_t)(end - reader->at - 1)}};
    reader->at = end + 1;
    return true;
}

/* A word up to a blank or one of these. */
static struct octets take_word(struct reader *reader, const char *stops)
{
    const char *start = reader->at;
    while (*reader->at != '\0' && !is_blank(*reader->at) && strchr(stops, *reader->at) == NULL) {
        reader->at++;
    }
    return (struct octets){start, (size_t)(reader->at - start)};
}

static void skip_blanks(struct reader *reader)
{
    while (is_blank(*reader->at)) {
        reader->at++;
    }
}

static struct token next_token(struct reader *reader)
{
    struct token token = {TOKEN_END, {NULL, 0}};
    for (;; reader->at++) {
        skip_blanks(reader);
        if (*reader->at == '\0' || (*reader->at == ';' && reader->dated)) {
            return token;
        }
        if (*reader->at == '(' && take_comment(reader, &token)) {
            return token;
        }
        if (strchr("();", *reader->at) == NULL) {
            token = (struct token){TOKEN_WORD, take_word(reader, "();")};
            return token;
        }
    }
}

static bool token_is(const struct token *token, const char *word)
{
    return token->kind == TOKEN_WORD && octets_equal(token->text, word);
}

/* ----------------------------------------------------------- the address */

/* What a place in the field says of the address. */
enum finding { SAYS_NOTHING, SAYS_ADDRESS, SAYS_RIDDLES };

/* A zone (fe80::1%eth0) means something on that host only. */
static enum finding parse_address(struct octets text, struct ip *ip)
{
    char copy[ADDRESS_TEXT];
    size_t length = 0;
    while (length < text.length && length < sizeof copy - 1 && text.start[length] != '%') {
        copy[length] = text.start[length];
        length++;
    }
    copy[length] = '\0';
    bool whole = length == text.length || text.start[length] == '%';
    return whole && ip_parse(copy, ip) ? SAYS_ADDRESS : SAYS_RIDDLES;
}

/* [ADDRESS], perhaps with a port behind it. */
static enum finding parse_bracketed(struct octets word, struct ip *ip)
{
    if (word.length == 0 || word.start[0] != '[') {
        return SAYS_NOTHING;
    }
    const char *end = memchr(word.start, ']', word.length);
    if (end == NULL) {
        return SAYS_RIDDLES;
    }
    return parse_address((struct octets){word.start + 1, (size_t)(end - word.start - 1)}, ip);
}

/* Takes a word off a comment, but none of a comment within it. */
static bool comment_word(struct octets *rest, struct octets *word)
{
    size_t depth = 0;
    size_t i = 0;
    for (; i < rest->length; i++) {
        char c = rest->start[i];
        if (c == '(') {
            depth++;
        } else if (c == ')') {
            depth -= depth > 0;
        } else if (depth == 0 && !is_blank(c)) {
            break;
        }
    }
    size_t start = i;
    while (i < rest->length && !is_blank(rest->start[i]) && rest->start[i] != '(') {
        i++;
    }
    *word = (struct octets){rest->start + start, i - start};
    *rest = (struct octets){rest->start + i, rest->length - i};
    return word->length > 0;
}

/* qmail and Exchange write it bare: (192.0.2.1), (user@192.0.2.1). */
static enum finding parse_bare(struct octets word, struct ip *ip)
{
    const char *at = memrchr(word.start, '@', word.length);
    if (at != NULL) {
        word.length -= (size_t)(at + 1 - word.start);
        word.start = at + 1;
    }
    return parse_address(word, ip) == SAYS_ADDRESS ? SAYS_ADDRESS : SAYS_NOTHING;
}

/* (NAME [ADDRESS]), ([ADDRESS] helo=NAME), (NAME [ADDRESS] (may be forged)). Two different ones:
 * somebody has chosen one of them. */
static enum finding read_comment(struct octets comment, struct ip *ip)
{
    enum finding found = SAYS_NOTHING;
    struct octets word;
    struct octets last = {NULL, 0};
    size_t count = 0;
    while (comment_word(&comment, &word)) {
        struct ip other;
        enum finding says = parse_bracketed(word, &other);
        if (says == SAYS_ADDRESS && found == SAYS_NOTHING) {
            *ip = other;
            found = says;
        } else if (says != SAYS_NOTHING &&
                   (says == SAYS_RIDDLES || memcmp(ip, &other, sizeof other) != 0)) {
            found = SAYS_RIDDLES;
        }
        last = word;
        count++;
    }
    return found == SAYS_NOTHING && count == 1 ? parse_bare(last, ip) : found;
}

/* qmail and Zimbra: from NAME (HELO OTHER) (ADDRESS). */
static bool is_greeting(struct octets comment)
{
    struct octets word;
    return comment_word(&comment, &word) &&
           (octets_equal(word, "HELO") || octets_equal(word, "EHLO") || octets_equal(word, "LHLO"));
}

/* From behind `from` up to `by`, which it returns, or the end. */
static struct token read_from(struct reader *reader, struct received *out)
{
    enum finding found = SAYS_NOTHING;
    bool remarked = false;
    skip_blanks(reader);
    struct octets name = take_word(reader, "()");
    struct token token = next_token(reader);
    if (token.kind == TOKEN_WORD) { /* fetchmail: from NAME [ADDRESS] */
        found = parse_bracketed(token.text, &out->ip);
    }
    for (; token.kind != TOKEN_END && !token_is(&token, "by"); token = next_token(reader)) {
        if (token.kind == TOKEN_COMMENT && found == SAYS_NOTHING && !remarked &&
            !is_greeting(token.text)) {
            found = read_comment(token.text, &out->ip);
            remarked = true;
        }
    }
    if (found == SAYS_NOTHING) { /* Exim: from [ADDRESS] (helo=NAME) */
        found = parse_bracketed(name, &out->ip);
    }
    out->from = found == SAYS_ADDRESS ? RECEIVED_ADDRESS : RECEIVED_UNREADABLE;
    return token;
}

/* ---------------------------------------------------------- the protocol */

static bool is_among(struct octets word, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (octets_equal(word, names[i])) {
            return true;
        }
    }
    return false;
}

/* ESMTPA, ESMTPSA, LMTPA (RFC 3848), UTF8SMTPSA (RFC 6531), Exim's asmtp and utf8esmtpsa; a web
 * mail program's own field (HTTP) and Exchange's for its clients (mapi). */
static bool is_authenticated(struct octets protocol)
{
    static const char *const names[] = {
        "smtpa",     "smtpsa",     "esmtpa",     "esmtpsa",     "lmtpa",     "lmtpsa",
        "utf8smtpa", "utf8smtpsa", "utf8esmtpa", "utf8esmtpsa", "utf8lmtpa", "utf8lmtpsa",
        "asmtp",     "asmtps",     "http",       "https",       "httprest",  "mapi",
    };
    return is_among(protocol, names, sizeof names / sizeof *names);
}

static bool is_fetching(struct octets protocol)
{
    static const char *const names[] = {"apop", "kpop", "sdps", "etrn", "odmr"};
    return octets_begin(protocol, "pop") || octets_begin(protocol, "imap") ||
           is_among(protocol, names, sizeof names / sizeof *names);
}

/* Exim names the user behind `from`, and says `with local`, `with local-esmtp`. */
static bool is_local(struct octets protocol)
{
    return octets_equal(protocol, "local") || octets_begin(protocol, "local-");
}

static void read_host(struct octets text, char host[static RECEIVED_HOST])
{
    if (text.length > 0 && text.start[text.length - 1] == '.') {
        text.length--;
    }
    if (text.length < RECEIVED_HOST) {
        memcpy(host, text.start, text.length);
        host[text.length] = '\0';
    }
}

/* From behind the host's name. What follows `for` was written by the client. */
static void read_protocol(struct reader *reader, struct received *out)
{
    struct token token = next_token(reader);
    while (token.kind != TOKEN_END && !token_is(&token, "with") && !token_is(&token, "for")) {
        token = next_token(reader);
    }
    if (!token_is(&token, "with")) {
        return;
    }
    do {
        token = next_token(reader);
    } while (token.kind == TOKEN_COMMENT);
    if (token.kind == TOKEN_WORD) {
        out->authenticated = is_authenticated(token.text);
        out->fetched = is_fetching(token.text);
        out->from = is_local(token.text) ? RECEIVED_LOCAL : out->from;
    }
}

/* From behind `by`. */
static void read_by(struct reader *reader, struct received *out)
{
    struct token token;
    reader->dated = true;
    do {
        token = next_token(reader);
    } while (token.kind == TOKEN_COMMENT);
    if (token.kind == TOKEN_WORD) {
        read_host(token.text, out->by);
        read_protocol(reader, out);
    }
}

void received_read(const char *value, struct received *out)
{
    struct reader reader = {value, false, false};
    *out = (struct received){.from = RECEIVED_LOCAL};
    struct token token = next_token(&reader);
    while (token.kind == TOKEN_COMMENT) {
        token = next_token(&reader);
    }
    bool client = token_is(&token, "from");
    if (client) {
        token = read_from(&reader, out);
    }
    while (token.kind != TOKEN_END && !token_is(&token, "by")) {
        token = next_token(&reader);
    }
    if (token.kind != TOKEN_END) {
        read_by(&reader, out);
    }
    if (reader.flat) {
        out->from = client ? RECEIVED_UNREADABLE : out->from;
        out->authenticated = false;
    }
}

bool received_next_host(const char **at, char host[static RECEIVED_HOST])
{
    struct reader reader = {*at, true, false};
    struct token token = next_token(&reader);
    while (token.kind != TOKEN_END && !token_is(&token, "by")) {
        token = next_token(&reader);
    }
    *at = reader.at; /* the next word may be another `by` */
    token = next_token(&reader);
    *host = '\0';
    if (token.kind != TOKEN_END) {
        read_host(token.text, host);
    }
    return token.kind != TOKEN_END;
}
