/*
 * The disguises in which text comes back. What is no reference, escape or tag stands for itself.
 * Looks ahead by no more than a tag is long, and no further than to where the next one begins: of
 * many without an end each would else be gone over to the end of all. No state but the caller's.
 */
#include "bounce_lexer.h"

#include <stddef.h>
#include <string.h>

#include "batv/address.h"
#include "batv/fields.h"

enum {
    TAG_NAME_MAX = 40,
    TAG_MAX = 4096, /* octets of a tag or comment that is passed over */
    REFERENCE_MAX = 10,
    INVISIBLE = -5,
    MEMORY_SPEED = 16, /* octets that the library goes over in a step */
    COMMENT_SPEED = 4  /* the same of the search for a comment's end */
};

/* Steps, beside the one of the character that begins it. */
enum { REFERENCE_STEPS = 7, TAG_STEPS = 8, LINE_STEPS = 4 };

/* What follows a tag stands on the same line, in another cell of it, or on another line. */
enum tag_kind { TAG_NONE, TAG_INLINE, TAG_CELL, TAG_BLOCK };

/* Tags of other names stand within a line. */
static const struct {
    const char *name;
    enum tag_kind kind;
} tags[] = {
    {"td", TAG_CELL},     {"th", TAG_CELL},       {"dd", TAG_CELL},          {"br", TAG_BLOCK},
    {"p", TAG_BLOCK},     {"div", TAG_BLOCK},     {"tr", TAG_BLOCK},         {"li", TAG_BLOCK},
    {"dt", TAG_BLOCK},    {"dl", TAG_BLOCK},      {"ol", TAG_BLOCK},         {"ul", TAG_BLOCK},
    {"h1", TAG_BLOCK},    {"h2", TAG_BLOCK},      {"h3", TAG_BLOCK},         {"h4", TAG_BLOCK},
    {"h5", TAG_BLOCK},    {"h6", TAG_BLOCK},      {"hr", TAG_BLOCK},         {"pre", TAG_BLOCK},
    {"table", TAG_BLOCK}, {"tbody", TAG_BLOCK},   {"thead", TAG_BLOCK},      {"body", TAG_BLOCK},
    {"html", TAG_BLOCK},  {"section", TAG_BLOCK}, {"blockquote", TAG_BLOCK}, {"article", TAG_BLOCK},
};

static const struct {
    const char *name; /* with what stands around it */
    int c;
} references[] = {
    {"&lt;", '<'},
    {"&gt;", '>'},
    {"&amp;lt;", '<'},
    {"&amp;gt;", '>'},
    {"&amp;#60;", '<'},
    {"&amp;#62;", '>'},
    {"&amp;#64;", '@'},
    {"&amp;quot;", '"'},
    {"&amp;nbsp;", ' '},
    {"&amp;", '&'},
    {"&quot;", '"'},
    {"&apos;", '\''},
    {"&nbsp;", ' '},
    {"&ensp;", ' '},
    {"&emsp;", ' '},
    {"&thinsp;", ' '},
    {"&commat;", '@'},
    {"&period;", '.'},
    {"&colon;", ':'},
    {"&equals;", '='},
    {"&lowbar;", '_'},
    {"&plus;", '+'},
    {"&dollar;", '$'},
    {"&hyphen;", '-'},
    {"&dash;", '-'},
    {"&laquo;", '<'},
    {"&raquo;", '>'},
    {"&lang;", '<'},
    {"&rang;", '>'},
    {"&shy;", INVISIBLE},
    {"&zwnj;", INVISIBLE},
    {"&zwj;", INVISIBLE},
    {"&NoBreak;", INVISIBLE},
    {"&ZeroWidthSpace;", INVISIBLE},
    {"&lt", '<'},
    {"&gt", '>'},
    {"&quot", '"'},
    {"&nbsp", ' '},
    {"&shy", INVISIBLE},
    {"\\u003c", '<'},
    {"\\u003e", '>'},
    {"\\u0026", '&'},
    {"\\u0040", '@'},
    {"\\u003d", '='},
    {"\\/", '/'},
    {"\\\"", '"'},
    {"\\r", ' '},
    {"\\n", ' '},
    {"\\t", ' '},
};

static const char reference_seconds[] = "lgaqncpesuhdrzt/\""; /* may be their second character */

/* Characters beyond ASCII that stand for one of ASCII, or are not seen. */
static const struct {
    int first, last;
    int c; /* 0: full width, the same distance below */
} wide[] = {
    {0x85, 0x85, ' '},           {0xa0, 0xa0, ' '},           {0xab, 0xab, '<'},
    {0xad, 0xad, INVISIBLE},     {0xbb, 0xbb, '>'},           {0x34f, 0x34f, INVISIBLE},
    {0x61c, 0x61c, INVISIBLE},   {0x180e, 0x180e, INVISIBLE}, {0x2000, 0x200a, ' '},
    {0x200b, 0x200f, INVISIBLE}, {0x2010, 0x2011, '-'},       {0x2018, 0x201f, '"'},
    {0x2028, 0x2029, ' '},       {0x202a, 0x202e, INVISIBLE}, {0x202f, 0x202f, ' '},
    {0x2039, 0x2039, '<'},       {0x203a, 0x203a, '>'},       {0x205f, 0x205f, ' '},
    {0x2060, 0x206f, INVISIBLE}, {0x2329, 0x2329, '<'},       {0x232a, 0x232a, '>'},
    {0x27e8, 0x27e8, '<'},       {0x27e9, 0x27e9, '>'},       {0x3000, 0x3000, ' '},
    {0x3008, 0x3008, '<'},       {0x3009, 0x3009, '>'},       {0x300a, 0x300a, '<'},
    {0x300b, 0x300b, '>'},       {0x300c, 0x3011, '"'},       {0x3014, 0x301f, '"'},
    {0xfe00, 0xfe0f, INVISIBLE}, {0xfe55, 0xfe55, ':'},       {0xfe64, 0xfe64, '<'},
    {0xfe65, 0xfe65, '>'},       {0xfe6b, 0xfe6b, '@'},       {0xfeff, 0xfeff, INVISIBLE},
    {0xff01, 0xff5e, 0},
};

enum { WIDE_DISTANCE = 0xff01 - '!' };

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

/* What a character beyond ASCII is read as; LEX_END: as itself. */
static int narrow(int c)
{
    for (size_t i = 0; i < sizeof wide / sizeof wide[0] && wide[i].first <= c; i++) {
        if (c <= wide[i].last) {
            return wide[i].c != 0 ? wide[i].c : c - WIDE_DISTANCE;
        }
    }
    return LEX_END;
}

static bool continues_utf8(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* A character of two or three octets of UTF-8. LEX_END: it stands for itself. */
static int read_wide(struct lexer *lexer)
{
    struct octets rest = rest_of(lexer);
    const unsigned char *u = (const unsigned char *)rest.start;
    int c = LEX_END;
    size_t length = 0;
    budget_spend(lexer->budget, 1);
    if (rest.length >= 2 && (u[0] & 0xe0) == 0xc0 && continues_utf8(rest.start[1])) {
        c = narrow((u[0] & 0x1f) << 6 | (u[1] & 0x3f));
        length = 2;
    } else if (rest.length >= 3 && (u[0] & 0xf0) == 0xe0 && continues_utf8(rest.start[1]) &&
               continues_utf8(rest.start[2])) {
        c = narrow((u[0] & 0x0f) << 12 | (u[1] & 0x3f) << 6 | (u[2] & 0x3f));
        length = 3;
    }
    lexer->at += c != LEX_END ? length : 0;
    return c;
}

/* What the number in a reference stands for; what does not occur in what is looked for is not seen.
 */
static int numbered(int value)
{
    if (value >= ' ' && value < 0x7f) {
        return value;
    }
    int c = narrow(value);
    return c != LEX_END ? c : INVISIBLE;
}

/* &#64; and &#x40;. Without the semicolon it ends before the digit that would make it a character
 * beyond ASCII. */
static int read_number(struct lexer *lexer)
{
    struct octets rest = rest_of(lexer);
    bool hex = octets_begin(rest, "&#x");
    int base = hex ? 16 : 10;
    int value = 0, plain = 0;
    size_t i = hex ? 3 : 2;
    size_t first = i;
    size_t plain_end = i;
    while (i < rest.length && i < REFERENCE_MAX && digit_value(rest.start[i]) < base) {
        value = value * base + digit_value(rest.start[i]);
        i++;
        if (value < 0x7f) {
            plain = value;
            plain_end = i;
        }
    }
    if (i > first && i < rest.length && rest.start[i] == ';') {
        lexer->at += i + 1;
        return numbered(value);
    }
    if (plain < ' ') {
        return LEX_END;
    }
    lexer->at += plain_end;
    return plain;
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

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool in_tag_name(char c)
{
    return is_letter(c) || is_digit(c) || c == ':' || c == '-' || c == '_' || c == '.';
}

/* True where behind the name of a tag comes what must: its end, or an attribute. */
static bool ends_tag_name(struct octets rest)
{
    return rest.length > 0 && (rest.start[0] == '>' || octets_begin(rest, "/>") ||
                               octets_trim((struct octets){rest.start, 1}).length == 0);
}

/* The octets of a comment, which rest begins with; 0: it has no end before another begins. */
static size_t comment_length(struct lexer *lexer, struct octets rest)
{
    static const char end[] = "-->";
    static const char begin[] = "<!--";
    size_t room = rest.length < TAG_MAX ? rest.length : TAG_MAX;
    size_t i = sizeof begin - 1;
    bool open = true;
    while (i < room && open) {
        struct octets here = {rest.start + i, room - i};
        open = !octets_begin(here, end);
        if (open && octets_begin(here, begin)) {
            room = 0;
        }
        i++;
    }
    budget_spend(lexer->budget, TAG_STEPS + i / COMMENT_SPEED);
    return open ? 0 : i + sizeof end - 2;
}

/* The octets of what stands in <! or <?, a comment among them, or of the beginning of raw text in
 * XML; 0: it is something else. */
static size_t markup_length(struct lexer *lexer, struct octets rest)
{
    static const char raw[] = "<![CDATA[";
    if (octets_begin(rest, "<!--")) {
        return comment_length(lexer, rest);
    }
    if (octets_begin(rest, raw)) {
        return sizeof raw - 1;
    }
    if (rest.length < 3 || !(is_letter(rest.start[2]) || rest.start[2] == '[')) {
        return 0;
    }
    size_t room = rest.length < TAG_MAX ? rest.length : TAG_MAX;
    const char *open = room > 1 ? memchr(rest.start + 1, '<', room - 1) : NULL;
    room = open != NULL ? (size_t)(open - rest.start) : room;
    const char *close = memchr(rest.start, '>', room);
    budget_spend(lexer->budget, TAG_STEPS + room / MEMORY_SPEED);
    return close != NULL ? (size_t)(close + 1 - rest.start) : 0;
}

/* A tag of a name that is not known. A Message-ID in brackets may look like one. */
static enum tag_kind foreign_kind(struct octets name, bool closing, struct octets attributes)
{
    bool digits = false;
    for (size_t i = 0; i < name.length; i++) {
        digits = digits || is_digit(name.start[i]);
    }
    if (attributes.length > 0 && memchr(attributes.start, '=', attributes.length) != NULL) {
        return TAG_INLINE;
    }
    bool address = attributes.length > 0 && memchr(attributes.start, '@', attributes.length);
    return (digits && !closing) || address ? TAG_NONE : TAG_INLINE;
}

static enum tag_kind kind_of(struct octets name, bool closing, struct octets attributes)
{
    char first = ascii_lower(name.start[0]);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        if (tags[i].name[0] == first && octets_equal(name, tags[i].name)) {
            return tags[i].kind;
        }
    }
    return foreign_kind(name, closing, attributes);
}

/* Moves behind the tag that stands here. TAG_NONE: none does. */
static enum tag_kind read_tag(struct lexer *lexer)
{
    struct octets rest = rest_of(lexer);
    size_t room = rest.length < TAG_MAX ? rest.length : TAG_MAX;
    bool closing = rest.length > 1 && rest.start[1] == '/';
    size_t from = closing ? 2 : 1;
    size_t to = from;
    if (rest.length > 1 && (rest.start[1] == '!' || rest.start[1] == '?')) {
        size_t length = markup_length(lexer, rest);
        lexer->at += length;
        return length > 0 ? TAG_INLINE : TAG_NONE;
    }
    if (from < room && !is_letter(rest.start[from])) {
        return TAG_NONE;
    }
    while (to < room && to - from <= TAG_NAME_MAX && in_tag_name(rest.start[to])) {
        to++;
    }
    struct octets name = {rest.start + from, to - from};
    if (to == from || !ends_tag_name((struct octets){rest.start + to, rest.length - to})) {
        return TAG_NONE;
    }
    const char *open = memchr(rest.start + to, '<', room - to);
    room = open != NULL ? (size_t)(open - rest.start) : room;
    const char *close = memchr(rest.start + to, '>', room - to);
    budget_spend(lexer->budget, TAG_STEPS + (room - to) / MEMORY_SPEED);
    if (close == NULL) {
        return TAG_NONE;
    }
    struct octets attributes = {rest.start + to, (size_t)(close - (rest.start + to))};
    enum tag_kind kind = kind_of(name, closing, attributes);
    lexer->at = kind != TAG_NONE ? close + 1 : lexer->at;
    return kind;
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

/* A reference, an escape or a character beyond ASCII that stands for another; LEX_END: none does.
 */
static int read_disguise(struct lexer *lexer)
{
    char c = *lexer->at;
    if (c == '&' || c == '\\') {
        return read_reference(lexer);
    }
    return (unsigned char)c > 0x7f ? read_wide(lexer) : LEX_END;
}

/* One thing that stands here, INVISIBLE included. */
static int read_one(struct lexer *lexer)
{
    char c = *lexer->at;
    budget_spend(lexer->budget, 1);
    if (is_line_end(c)) {
        return read_line_end(lexer);
    }
    enum tag_kind kind = c == '<' ? read_tag(lexer) : TAG_NONE;
    if (kind != TAG_NONE) {
        return kind == TAG_BLOCK ? read_block(lexer) : LEX_TAG;
    }
    int resolved = read_disguise(lexer);
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

int lexer_peek(struct lexer lexer)
{
    return lexer.at < lexer.end ? read_one(&lexer) : LEX_END;
}

enum lexer_division lexer_divides(struct lexer lexer)
{
    const char *end = lexer.end;
    enum tag_kind kind = lexer.at < end && *lexer.at == '<' ? read_tag(&lexer) : TAG_NONE;
    if (kind == TAG_NONE || lexer.at != end) {
        return LEX_NO_TAG;
    }
    return kind == TAG_INLINE ? LEX_WITHIN : LEX_DIVIDES;
}

bool lexer_is_gap(int c)
{
    return c == ' ' || c == '\t' || c == LEX_BREAK || c == LEX_TAG;
}
