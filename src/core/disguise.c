/* Transfer encodings guessed. What is guessed wrongly is only searched in vain. No state. */
#include "batv/disguise.h"

#include <string.h>

enum { BASE64_LINE_MIN = 40 /* octets of the first line; shorter ones are words */ };

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

bool base64_next(struct octets *rest, struct octets *lines)
{
    struct octets line;
    while (line_next(rest, &line)) {
        struct octets whole = octets_trim(line);
        if (whole.length < BASE64_LINE_MIN || !is_base64(whole)) {
            continue;
        }
        lines->start = line.start;
        const char *end = line.start + line.length;
        for (struct octets ahead = *rest; line_next(&ahead, &line) && is_base64(octets_trim(line));
             *rest = ahead) {
            end = line.start + line.length;
        }
        lines->length = (size_t)(end - lines->start);
        return true;
    }
    return false;
}
