/* Transfer encodings guessed. What is guessed wrongly is only searched in vain. No state. */
#include "batv/disguise.h"

#include <string.h>

enum {
    BASE64_LONG = 40,   /* octets of a line that is none of words */
    BASE64_PADDED = 16, /* of a single one that ends as no word does */
    BASE64_SHORT = 8,   /* of lines of one length: all of them together are as long */
    UU_LINE_MAX = 45,   /* octets that a line stands for */
    UU_NAME_MIN = 11,   /* "begin 644 x" */
    EBCDIC_LOOKED = 4096,
    EBCDIC_MIN = 16
};

static int upper_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* True for what an encoder has a reason to encode. */
static bool is_encoded_octet(int c)
{
    bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return c == '\t' || c == '\n' || c == '\r' || (c >= ' ' && c < 0x7f && !alnum);
}

/* The octet that "=XX" at the beginning of text stands for, or -1. */
static int encoded_octet(struct octets text)
{
    if (text.length < 3) {
        return -1;
    }
    int high = upper_hex(text.start[1]);
    int low = upper_hex(text.start[2]);
    int c = high < 0 || low < 0 ? -1 : high * 16 + low;
    return is_encoded_octet(c) ? c : -1;
}

/* The octets of the soft line break that text begins with, or 0. */
static size_t soft_break(struct octets text)
{
    struct octets rest = text;
    struct octets line;
    size_t blanks = 1;
    while (blanks < text.length && (text.start[blanks] == ' ' || text.start[blanks] == '\t')) {
        blanks++;
    }
    if (blanks == text.length || (text.start[blanks] != '\n' && text.start[blanks] != '\r')) {
        return 0;
    }
    line_next(&rest, &line);
    return (size_t)(rest.start - text.start);
}

static struct octets behind(struct octets text, const char *start)
{
    return (struct octets){start, (size_t)(text.start + text.length - start)};
}

bool quoted_printable_seen(struct octets text)
{
    const char *p;
    while ((p = text.length > 0 ? memchr(text.start, '=', text.length) : NULL) != NULL) {
        text = behind(text, p);
        if (encoded_octet(text) >= 0 || soft_break(text) > 0) {
            return true;
        }
        text = behind(text, p + 1);
    }
    return false;
}

size_t quoted_printable_guess(struct octets text, char *out)
{
    size_t used = 0;
    while (text.length > 0) {
        const char *equals = memchr(text.start, '=', text.length);
        size_t plain = equals != NULL ? (size_t)(equals - text.start) : text.length;
        memcpy(out + used, text.start, plain);
        used += plain;
        text = behind(text, text.start + plain);
        if (equals == NULL) {
            break;
        }
        int c = encoded_octet(text);
        size_t soft = c < 0 ? soft_break(text) : 0;
        if (soft == 0) {
            out[used++] = c < 0 ? '=' : (char)c;
        }
        text = behind(text, text.start + (soft > 0 ? soft : (c < 0 ? 1 : 3)));
    }
    return used;
}

static bool is_base64(struct octets line)
{
    size_t length = line.length;
    while (length > 0 && line.length - length < 2 && line.start[length - 1] == '=') {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        char c = line.start[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '+' || c == '/')) {
            return false;
        }
    }
    return length > 0;
}

/* Without blanks, and without the marks of a quotation before it. */
static struct octets unquoted(struct octets line)
{
    while (line.length > 0 && strchr(" \t>|", *line.start) != NULL && *line.start != '\0') {
        line = behind(line, line.start + 1);
    }
    return octets_trim(line);
}

/* Lines of base64 from the first one on, which is of rest no longer. Short ones are words, unless
 * they are all of one length but for the last. 0 octets: they are words. */
static size_t base64_block(struct octets first, struct octets *rest)
{
    struct octets whole = unquoted(first);
    struct octets line;
    const char *end = first.start + first.length;
    size_t length = whole.length;
    size_t total = length;
    bool last = false;
    if (!is_base64(whole) || length < BASE64_SHORT) {
        return 0;
    }
    struct octets ahead = *rest;
    struct octets next = ahead;
    while (!last && line_next(&next, &line) && is_base64(unquoted(line)) &&
           (length >= BASE64_LONG || unquoted(line).length <= length)) {
        last = length < BASE64_LONG && unquoted(line).length < length;
        total += unquoted(line).length;
        end = line.start + line.length;
        ahead = next;
    }
    bool padded = whole.start[length - 1] == '=' && length % 4 == 0 && length >= BASE64_PADDED;
    if (total < BASE64_LONG && !padded) {
        return 0;
    }
    *rest = ahead;
    return (size_t)(end - first.start);
}

bool base64_next(struct octets *rest, struct octets *lines)
{
    struct octets line;
    while (line_next(rest, &line)) {
        size_t length = base64_block(line, rest);
        if (length > 0) {
            *lines = (struct octets){line.start, length};
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ uuencode */

/* "begin 644 name", behind the marks of a quotation, which have marks octets. */
static bool is_uu_begin(struct octets line, size_t *marks)
{
    struct octets text = unquoted(line);
    *marks = (size_t)(text.start - line.start);
    if (text.length < UU_NAME_MIN || !octets_begin(text, "begin ")) {
        return false;
    }
    for (size_t i = 6; i < 9; i++) {
        if (text.start[i] < '0' || text.start[i] > '7') {
            return false;
        }
    }
    return true;
}

bool uuencoded_next(struct octets *rest, size_t *marks)
{
    struct octets line;
    while (line_next(rest, &line)) {
        if (is_uu_begin(line, marks)) {
            return true;
        }
    }
    return false;
}

/* A character of it as six bits; blanks at a line's end get lost on the way. */
static unsigned uu_bits(struct octets line, size_t at)
{
    return at < line.length ? ((unsigned)(unsigned char)line.start[at] - ' ') & 0x3f : 0;
}

/* Answers how many octets a line of it stands for; of the lost blanks none. out: NULL, or room for
 * them. */
static size_t uu_line(struct octets line, char *out)
{
    size_t count = uu_bits(line, 0);
    for (size_t i = 0; i < count; i++) {
        size_t at = 1 + i / 3 * 4 + i % 3;
        unsigned shift = 2 + 2 * (unsigned)(i % 3);
        if (at >= line.length) {
            return i;
        }
        if (out != NULL) {
            out[i] = (char)(unsigned char)(uu_bits(line, at) << shift |
                                           uu_bits(line, at + 1) >> (6 - shift));
        }
    }
    return count;
}

size_t uuencoded_lines(struct octets *rest, size_t marks, char *out)
{
    size_t used = 0;
    struct octets line;
    struct octets ahead = *rest;
    while (line_next(&ahead, &line)) {
        line = behind(line, line.start + (marks < line.length ? marks : line.length));
        size_t count = uu_bits(line, 0);
        if (count == 0 || count > UU_LINE_MAX || line.length > 2 + (count + 2) / 3 * 4) {
            break;
        }
        used += uu_line(line, out != NULL ? out + used : NULL);
        *rest = ahead;
    }
    return used;
}

/* -------------------------------------------------------------------- EBCDIC */

/* Letters and digits of all its pages. */
static bool is_ebcdic_alnum(unsigned char c)
{
    unsigned char low = c & 0x0f;
    switch (c >> 4) {
    case 0x8:
    case 0x9:
    case 0xc:
    case 0xd:
        return low >= 1 && low <= 9;
    case 0xa:
    case 0xe:
        return low >= 2 && low <= 9;
    default:
        return c >= 0xf0 && low <= 9;
    }
}

bool ebcdic_seen(struct octets text)
{
    static const char marks[] = "\x05\x0d\x15\x25\x40\x4b\x4c\x4d\x4e\x50\x5a\x5b\x5c\x5d\x5e\x60"
                                "\x61\x6b\x6c\x6d\x6e\x6f\x7a\x7b\x7c\x7d\x7e\x7f";
    size_t length = text.length < EBCDIC_LOOKED ? text.length : EBCDIC_LOOKED;
    size_t alnums = 0;
    size_t known = 0;
    for (size_t i = 0; i < length; i++) {
        bool alnum = is_ebcdic_alnum((unsigned char)text.start[i]);
        alnums += alnum;
        known += alnum || memchr(marks, text.start[i], sizeof marks - 1) != NULL;
    }
    return length >= EBCDIC_MIN && known >= length - length / 10 && alnums >= length / 2;
}
