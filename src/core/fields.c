/*
 * Lines and header fields of a message that may be broken in every way. What these functions hand
 * out points into what they were given. No state.
 */
#include "batv/fields.h"

#include <string.h>

#include "batv/address.h"

enum {
    CRS_MAX = 3, /* before an LF: systems on the way have each added one */
    STRETCH = 128
};

struct octets octets_of(const char *text)
{
    return (struct octets){text, strlen(text)};
}

bool octets_begin(struct octets octets, const char *prefix)
{
    size_t i = 0;
    while (i < octets.length && prefix[i] != '\0' &&
           ascii_lower(octets.start[i]) == ascii_lower(prefix[i])) {
        i++;
    }
    return prefix[i] == '\0';
}

bool octets_equal(struct octets octets, const char *text)
{
    return octets.length == strlen(text) && octets_begin(octets, text);
}

const char *octets_find(struct octets octets, const char *text)
{
    char first = ascii_lower(*text);
    for (; octets.length > 0; octets.start++, octets.length--) {
        if (ascii_lower(*octets.start) == first && octets_begin(octets, text)) {
            return octets.start;
        }
    }
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_blank(c) || c == '\r' || c == '\n';
}

struct octets octets_trim(struct octets octets)
{
    while (octets.length > 0 && is_space(octets.start[0])) {
        octets.start++;
        octets.length--;
    }
    while (octets.length > 0 && is_space(octets.start[octets.length - 1])) {
        octets.length--;
    }
    return octets;
}

/* The first CR or LF at or behind at. Looks for both in short stretches: a text without one of them
 * would else be gone through to its end for every line. */
static const char *find_line_end(const char *at, const char *end)
{
    while (at < end) {
        size_t length = end - at < STRETCH ? (size_t)(end - at) : STRETCH;
        const char *feed = memchr(at, '\n', length);
        const char *back = memchr(at, '\r', feed != NULL ? (size_t)(feed - at) : length);
        if (feed != NULL || back != NULL) {
            return back != NULL ? back : feed;
        }
        at += length;
    }
    return end;
}

/* Behind the line end at: some CRs are one with an LF behind them, else each is one of its own. */
static const char *skip_line_end(const char *at, const char *end)
{
    const char *p = at;
    while (p < end && *p == '\r' && p - at < CRS_MAX) {
        p++;
    }
    if (p < end && *p == '\n') {
        return p + 1;
    }
    return at < end ? at + 1 : at;
}

static void cut_front(struct octets *octets, const char *start)
{
    octets->length -= (size_t)(start - octets->start);
    octets->start = start;
}

bool line_next(struct octets *rest, struct octets *line)
{
    if (rest->length == 0) {
        return false;
    }
    const char *end = rest->start + rest->length;
    const char *stop = find_line_end(rest->start, end);
    *line = (struct octets){rest->start, (size_t)(stop - rest->start)};
    cut_front(rest, skip_line_end(stop, end));
    return true;
}

/* The length of the name that a field's first line begins with; 0: it is no field. */
static size_t name_length(struct octets line)
{
    size_t length = 0;
    while (length < line.length && line.start[length] > ' ' && line.start[length] != 0x7f &&
           line.start[length] != ':') {
        length++;
    }
    size_t colon = length;
    while (colon < line.length && is_blank(line.start[colon])) {
        colon++;
    }
    return colon < line.length && line.start[colon] == ':' ? length : 0;
}

bool field_next(struct octets *rest, struct field *field)
{
    struct octets behind = *rest;
    struct octets line;
    if (!line_next(&behind, &line)) {
        return false;
    }
    if (line.length == 0) {
        *rest = behind;
        return false;
    }
    size_t name = name_length(line);
    if (name == 0) {
        return false;
    }
    const char *colon = memchr(line.start + name, ':', line.length - name);
    const char *end = line.start + line.length;
    while (behind.length > 0 && is_blank(behind.start[0]) && line_next(&behind, &line)) {
        end = line.start + line.length;
    }
    field->name = (struct octets){rest->start, name};
    field->value = (struct octets){colon + 1, (size_t)(end - (colon + 1))};
    *rest = behind;
    return true;
}

void field_unfold(struct octets value, char *out, size_t size)
{
    size_t used = 0;
    value = octets_trim(value);
    for (size_t i = 0; i < value.length && used + 1 < size; i++) {
        char c = value.start[i];
        if (c != '\r' && c != '\n') {
            out[used++] = c != '\0' ? c : ' ';
        }
    }
    out[used] = '\0';
}
