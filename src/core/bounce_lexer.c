/*
 * The disguises in which text comes back. What is no reference, escape or tag stands for itself.
 * Looks ahead by no more than a tag is long. No state but the caller's.
 */
#include "bounce_lexer.h"

#include <stddef.h>
#include <string.h>

#include "batv/address.h"
#include "batv/fields.h"

enum {
    TAG_NAME_MAX = 10,
    TAG_MAX = 300, /* octets of a tag that is passed over */
    REFERENCE_MAX = 10,
    NO_BREAK_SPACE = 0xa0,
    INVISIBLE = -5,
    MEMORY_SPEED = 16 /* octets that the library goes over in a step */
};

/* Steps, beside the one of the character that begins it. */
enum { REFERENCE_STEPS = 7, TAG_STEPS = 8, LINE_STEPS = 4 };

/* Tags that stand within or around text. A Message-ID in brackets may look like another. */
static const struct {
    const char *name;
    bool breaks; /* what follows is on another line */
} tags[] = {
    {"a", false},      {"abbr", false},      {"b", false},    {"big", false},   {"code", false},
    {"em", false},     {"font", false},      {"i", false},    {"kbd", false},   {"label", false},
    {"nobr", false},   {"o:p", false},       {"samp", false}, {"small", false}, {"span", false},
    {"strong", false}, {"sub", false},       {"sup", false},  {"tt", false},    {"u", false},
    {"wbr", false},    {"td", false},        {"th", false},   {"dd", false},    {"br", true},
    {"p", true},       {"div", true},        {"tr", true},    {"li", true},     {"dt", true},
    {"dl", true},      {"ol", true},         {"ul", true},    {"h1", true},     {"h2", true},
    {"h3", true},      {"h4", true},         {"hr", true},    {"pre", true},    {"table", true},
    {"tbody", true},   {"blockquote", true},
};

static const struct {
    const char *name; /* with what stands around it */
    int c;
} references[] = {
    {"&lt;", '<'},        {"&gt;", '>'},     {"&amp;", '&'},    {"&quot;", '"'},  {"&apos;", '\''},
    {"&nbsp;", ' '},      {"&commat;", '@'}, {"&period;", '.'}, {"&colon;", ':'}, {"&equals;", '='},
    {"&shy;", INVISIBLE}, {"&lt", '<'},      {"&gt", '>'},      {"\\u003c", '<'}, {"\\u003e", '>'},
    {"\\u0026", '&'},     {"\\u0040", '@'},  {"\\u003d", '='},  {"\\/", '/'},     {"\\\"", '"'},
    {"\\r", ' '},         {"\\n", ' '},      {"\\t", ' '},
};

static const char reference_seconds[] = "lgaqncpesu/\"rt"; /* what may be their second character */

static struct octets rest_of(const struct lexer *lexer)
{
    return (struct octets){lexer->at, (size_t)(lexer->end - lexer->at)};
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static int digit_value(char c)
{
    c = ascii_lower(c);
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* &#64; and &#x40;. Characters beyond ASCII do not occur in what is looked for. */
static int read_number(struct lexer *lexer)
{
    struct octets rest = rest_of(lexer);
    bool hex = octets_begin(rest, "&#x");
    int base = hex ? 16 : 10;
    int value = 0;
    size_t i = hex ? 3 : 2;
    size_t first = i;
    while (i < rest.length && i < REFERENCE_MAX && digit_value(rest.start[i]) < base) {
        value = value * base + digit_value(rest.start[i]);
        i++;
    }
    if (i == first || i == rest.length || rest.start[i] != ';') {
        return LEX_END;
    }
    lexer->at += i + 1;
    if (value == NO_BREAK_SPACE) {
        return ' ';
    }
    return value >= ' ' && value < 0x7f ? value : INVISIBLE;
}

/* LEX_END: none stands here. */
static int read_reference(struct lexer *lexer)
{
    struct octets rest = rest_of(lexer);
    budget_spend(lexer->budget, REFERENCE_STEPS);
    if (octets_begin(rest, "&#")) {
        return read_number(lexer);
    }
    if (rest.length < 2 || strchr(reference_seconds, ascii_lower(rest.start[1])) == NULL) {
        return LEX_END;
    }
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        const char *name = references[i].name;
        if (name[1] == ascii_lower(rest.start[1]) && octets_begin(rest, name)) {
            lexer->at += strlen(name);
            return references[i].c;
        }
    }
    return LEX_END;
}

static bool in_tag_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '1' && c <= '6') || c == ':';
}

/* True where behind the name of a tag comes what must: its end, or an attribute. */
static bool ends_tag_name(struct octets rest)
{
    return rest.length > 0 && (rest.start[0] == '>' || octets_begin(rest, "/>") ||
                               octets_trim((struct octets){rest.start, 1}).length == 0);
}

/* Moves behind the tag that stands here: LEX_TAG or LEX_BREAK. LEX_END: none does. One that has no
 * end before the next begins is none: else each of many would be looked at to the end of all. */
static int read_tag(struct lexer *lexer)
{
    struct octets rest = rest_of(lexer);
    size_t room = rest.length < TAG_MAX ? rest.length : TAG_MAX;
    size_t from = rest.length > 1 && rest.start[1] == '/' ? 2 : 1;
    size_t to = from;
    while (to < room && to - from <= TAG_NAME_MAX && in_tag_name(rest.start[to])) {
        to++;
    }
    struct octets name = {rest.start + from, to - from};
    if (to == from || !ends_tag_name((struct octets){rest.start + to, rest.length - to})) {
        return LEX_END;
    }
    const char *open = memchr(rest.start + to, '<', room - to);
    room = open != NULL ? (size_t)(open - rest.start) : room;
    budget_spend(lexer->budget, TAG_STEPS + (room - to) / MEMORY_SPEED);
    char first = ascii_lower(name.start[0]);
    size_t i = 0;
    while (i < sizeof tags / sizeof tags[0] &&
           (tags[i].name[0] != first || !octets_equal(name, tags[i].name))) {
        i++;
    }
    const char *close = memchr(rest.start + to, '>', room - to);
    if (i == sizeof tags / sizeof tags[0] || close == NULL) {
        return LEX_END;
    }
    lexer->at = close + 1;
    return tags[i].breaks ? LEX_BREAK : LEX_TAG;
}

static void skip_indentation(struct lexer *lexer)
{
    const char *from = lexer->at;
    lexer->indented = false;
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        if (c == ' ' || c == '\t') {
            lexer->indented = true;
        } else if (lexer->quoted && (c == '>' || c == '|')) {
            lexer->indented = false;
        } else {
            break;
        }
        lexer->at++;
    }
    budget_spend(lexer->budget, (size_t)(lexer->at - from));
}

static int read_line_end(struct lexer *lexer)
{
    struct octets rest = rest_of(lexer);
    struct octets line;
    budget_spend(lexer->budget, LINE_STEPS);
    line_next(&rest, &line);
    lexer->at = rest.start;
    skip_indentation(lexer);
    return lexer->at == lexer->end || is_line_end(*lexer->at) ? LEX_EMPTY : LEX_BREAK;
}

/* Behind a tag that is as good as a line end. */
static int read_block(struct lexer *lexer)
{
    skip_indentation(lexer);
    lexer->indented = false;
    return lexer->at == lexer->end ? LEX_EMPTY : LEX_BREAK;
}

/* One thing that stands here, INVISIBLE included. */
static int read_one(struct lexer *lexer)
{
    char c = *lexer->at;
    budget_spend(lexer->budget, 1);
    if (is_line_end(c)) {
        return read_line_end(lexer);
    }
    int tag = c == '<' ? read_tag(lexer) : LEX_END;
    if (tag != LEX_END) {
        return tag == LEX_BREAK ? read_block(lexer) : tag;
    }
    int resolved = c == '&' || c == '\\' ? read_reference(lexer) : LEX_END;
    if (resolved != LEX_END) {
        return resolved;
    }
    lexer->at++;
    return c != '\0' ? (unsigned char)c : INVISIBLE;
}

int lexer_read(struct lexer *lexer)
{
    int c = INVISIBLE;
    while (c == INVISIBLE && lexer->at < lexer->end) {
        c = read_one(lexer);
    }
    return c != INVISIBLE ? c : LEX_END;
}

bool lexer_opens(struct lexer lexer)
{
    return lexer.at < lexer.end && read_one(&lexer) == '<';
}

bool lexer_is_gap(int c)
{
    return c == ' ' || c == '\t' || c == LEX_BREAK || c == LEX_TAG;
}
