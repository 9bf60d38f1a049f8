/*
 * The search. One pass looks for the characters that begin what is looked for; what begins there is
 * read by a lexer that sees through disguises, and the pass goes on behind it, or, where it was
 * nothing, close behind its beginning. How far a reading may look before it fails is bounded, so
 * that the whole takes linear time; the reader's budget bounds it once more.
 *
 * What is found is copied into the reader's bounce. No state.
 */
#include "batv/bounce_text.h"

#include <limits.h>
#include <string.h>

#include "batv/address.h"
#include "bounce_scan.h"

enum { PASS_OCTETS = 4 /* that the pass goes over in a step */ };

/* Quoted lines are those that begin with the mark of one. Looks at each line once: it may begin
 * with a megabyte of blanks. */
static bool line_is_quoted(struct scan *scan)
{
    const char *p = scan->line;
    if (scan->judged != p) {
        while (p < scan->end && (*p == ' ' || *p == '\t')) {
            p++;
        }
        budget_spend(scan_budget(scan), (size_t)(p - scan->line));
        scan->quoted = p < scan->end && (*p == '>' || *p == '|');
        scan->judged = scan->line;
    }
    return scan->quoted;
}

struct lexer scan_lexer(struct scan *scan, const char *at, size_t window)
{
    size_t length = (size_t)(scan->end - at);
    return (struct lexer){
        .at = at,
        .end = at + (length < window ? length : window),
        .budget = scan_budget(scan),
        .quoted = line_is_quoted(scan),
    };
}

/* ------------------------------------------------------------------ the pass */

/* What may begin with which two characters; few that stand side by side begin anything. */
enum {
    PAIR_ANY = 1,
    PAIR_M = 2,
    PAIR_I = 4,
    PAIR_R = 8,
    PAIR_P = 16,
    PAIR_X = 32,
    PAIR_ESCAPE = 64,
    PAIR_WIDE = 128
};

/* PAIR_WIDE: characters that lexer_peek may know for others. */
static const unsigned char first_of_pair[UCHAR_MAX + 1] = {
    ['\n'] = PAIR_ANY,  ['\r'] = PAIR_ANY,  ['<'] = PAIR_ANY,    ['@'] = PAIR_ANY,
    ['m'] = PAIR_M,     ['M'] = PAIR_M,     ['i'] = PAIR_I,      ['I'] = PAIR_I,
    ['r'] = PAIR_R,     ['R'] = PAIR_R,     ['p'] = PAIR_P,      ['P'] = PAIR_P,
    ['x'] = PAIR_X,     ['X'] = PAIR_X,     ['&'] = PAIR_ESCAPE, ['\\'] = PAIR_ESCAPE,
    ['%'] = PAIR_ANY,   [0xc2] = PAIR_WIDE, [0xe2] = PAIR_WIDE,  [0xe3] = PAIR_WIDE,
    [0xef] = PAIR_WIDE,
};

static const unsigned char second_of_pair[UCHAR_MAX + 1] = {
    ['e'] = PAIR_M | PAIR_R, ['E'] = PAIR_M | PAIR_R, ['s'] = PAIR_M,      ['S'] = PAIR_M,
    ['n'] = PAIR_I,          ['N'] = PAIR_I,          ['d'] = PAIR_I,      ['D'] = PAIR_I,
    ['r'] = PAIR_P,          ['R'] = PAIR_P,          ['-'] = PAIR_X,      ['l'] = PAIR_ESCAPE,
    ['L'] = PAIR_ESCAPE,     ['u'] = PAIR_ESCAPE,     ['U'] = PAIR_ESCAPE, ['#'] = PAIR_ESCAPE,
    ['a'] = PAIR_ESCAPE,     ['A'] = PAIR_ESCAPE,     ['c'] = PAIR_ESCAPE, ['C'] = PAIR_ESCAPE,
    [0x80] = PAIR_WIDE,      [0x8c] = PAIR_WIDE,      [0x9f] = PAIR_WIDE,  [0xab] = PAIR_WIDE,
    [0xb9] = PAIR_WIDE,      [0xbc] = PAIR_WIDE,
};

/* The next such pair at or behind at; last: there is none. */
static const char *find_pair(const char *at, const char *last)
{
    for (; at < last; at++) {
        unsigned second = second_of_pair[(unsigned char)at[1]] | PAIR_ANY;
        if ((first_of_pair[(unsigned char)at[0]] & second) != 0) {
            return at;
        }
    }
    return last;
}

/* What a character may begin that is disguised. */
static const char *scan_disguised(struct scan *scan, const char *at)
{
    int c = lexer_peek(scan_lexer(scan, at, SCAN_WINDOW));
    return c == '<' ? scan_bracket(scan, at) : (c == '@' ? scan_at(scan, at) : at + 1);
}

static const char *scan_mark(struct scan *scan, const char *at)
{
    switch (*at) {
    case '\n':
    case '\r':
        scan->line = at + 1;
        return at + 1;
    case '@':
        return scan_at(scan, at);
    case '%':
        return scan_percent(scan, at);
    default:
        return scan_disguised(scan, at);
    }
}

/* What may begin with the pair at at; answers where the pass goes on, behind at. */
static const char *scan_pair(struct scan *scan, const char *at)
{
    switch (first_of_pair[(unsigned char)*at]) {
    case PAIR_M:
        return scan_message_id(scan, at);
    case PAIR_I:
        return ascii_lower(at[1]) == 'd' ? scan_id(scan, at) : scan_list(scan, at, "In-Reply-To");
    case PAIR_R:
        return scan_list(scan, at, "References");
    case PAIR_P:
        return scan_tag(scan, at);
    case PAIR_X:
        return scan_evidence(scan, at);
    default:
        return scan_mark(scan, at);
    }
}

/* Behind the last line end from at to next, or line. */
static const char *find_line(const char *at, const char *next, const char *line)
{
    for (const char *p = next; p > at; p--) {
        if (p[-1] == '\n' || p[-1] == '\r') {
            return p;
        }
    }
    return line;
}

static struct scan scan_of(struct bounce_reader *reader, struct octets text, const char *where)
{
    return (struct scan){
        .reader = reader,
        .where = where,
        .start = text.start,
        .end = text.start + text.length,
        .line = text.start,
        .gaps = text.start,
        .listed = text.start,
    };
}

void bounce_scan_text(struct bounce_reader *reader, struct octets text, const char *where)
{
    struct scan scan = scan_of(reader, text, where);
    const char *last = text.length > 0 ? scan.end - 1 : scan.end;
    const char *at = text.start;
    while (at < last && !budget_used_up(reader->budget)) {
        const char *from = at;
        at = find_pair(at, last);
        budget_spend(reader->budget, 1 + (size_t)(at - from) / PASS_OCTETS);
        const char *next = at < last ? scan_pair(&scan, at) : last;
        if (next > at + 1) {
            budget_spend(reader->budget, (size_t)(next - at) / PASS_OCTETS);
            scan.line = find_line(at, next, scan.line);
        }
        at = next;
    }
}

void bounce_scan_field(struct bounce_reader *reader, const struct field *field)
{
    struct scan scan = scan_of(reader, field->value, NULL);
    scan_own_field(&scan, field->name);
}
