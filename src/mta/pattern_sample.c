/*
 * A small reader of regular expressions that writes texts in place of matching them: a letter for a
 * dot, the first member of a class, every alternative, what is optional both ways. Sets of texts
 * are joined as they are read, within bounds: what does not fit is left out. Look-around, back
 * references and whatever else is rare ends the reading.
 */
#include "mta/pattern_sample.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 8, REPEATS_MAX = 8 };

struct set {
    char texts[SAMPLES_MAX][SAMPLE_OCTETS];
    size_t count;
};

struct reader {
    const char *at;
    const char *end;
    int depth;
    bool fails;
};

static void set_add(struct set *set, const char *text)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->texts[i], text) == 0) {
            return;
        }
    }
    size_t size = strlen(text) + 1;
    if (set->count < SAMPLES_MAX && size <= SAMPLE_OCTETS) {
        memcpy(set->texts[set->count++], text, size);
    }
}

/* Every text of left with each of right behind it. */
static void set_join(struct set *left, const struct set *right)
{
    struct set joined = {.count = 0};
    for (size_t r = 0; r < right->count; r++) {
        for (size_t l = 0; l < left->count; l++) {
            char text[2 * SAMPLE_OCTETS];
            snprintf(text, sizeof text, "%s%s", left->texts[l], right->texts[r]);
            set_add(&joined, text);
        }
    }
    *left = joined;
}

static bool is_over(const struct reader *r)
{
    return r->fails || r->at >= r->end;
}

/* One character as a set. */
static void set_one(struct set *set, char c)
{
    const char text[2] = {c, '\0'};
    set->count = 0;
    set_add(set, text);
}

static void read_escape(struct reader *r, struct set *out)
{
    char c = r->at < r->end ? *r->at++ : '\0';
    if (c == 'd') {
        set_one(out, '0');
    } else if (c == 'w') {
        set_one(out, 'a');
    } else if (c == 'b') {
        set_add(out, "");
    } else if (c == '\0' || isalnum((unsigned char)c)) {
        r->fails = true;
    } else {
        set_one(out, c);
    }
}

/* Behind the bracket. Of what is left out of a class only single members are seen. */
static void read_class(struct reader *r, struct set *out)
{
    static const char others[] = "ax0-.";
    bool negated = r->at < r->end && *r->at == '^';
    const char *first = r->at + negated;
    const char *close =
        first < r->end ? memchr(first + 1, ']', (size_t)(r->end - first - 1)) : NULL;
    if (close != NULL && first[0] == '[' && first[1] == ':') { /* as in [[:alnum:]] */
        close = memchr(close + 1, ']', (size_t)(r->end - close - 1));
    }
    if (close == NULL) {
        r->fails = true;
        return;
    }
    r->at = close + 1;
    char member = first[0] == '\\' ? first[1] : first[0];
    if (negated || first[0] == '[') {
        size_t i = 0;
        while (negated && others[i + 1] != '\0' &&
               memchr(first, others[i], (size_t)(close - first)) != NULL) {
            i++;
        }
        member = others[i];
    }
    set_one(out, member);
}

static void read_alternatives(struct reader *r, struct set *out);

/* Behind the parenthesis. */
static void read_group(struct reader *r, struct set *out)
{
    if (r->end - r->at >= 2 && r->at[0] == '?') {
        r->fails = r->at[1] != ':';
        r->at += 2;
    }
    if (++r->depth > DEPTH_MAX) {
        r->fails = true;
    }
    if (!r->fails) {
        read_alternatives(r, out);
    }
    r->depth--;
    r->fails = r->fails || r->at >= r->end || *r->at != ')';
    r->at++;
}

static void read_atom(struct reader *r, struct set *out)
{
    char c = *r->at++;
    switch (c) {
    case '(':
        read_group(r, out);
        break;
    case '[':
        read_class(r, out);
        break;
    case '\\':
        read_escape(r, out);
        break;
    case '.':
        set_one(out, 'x');
        break;
    case '^':
    case '$':
        set_add(out, "");
        break;
    default:
        set_one(out, c);
        break;
    }
}

/* A {2,5}; how often at least. */
static int read_count(struct reader *r)
{
    int count = 0;
    while (r->at < r->end && isdigit((unsigned char)*r->at) && count <= REPEATS_MAX) {
        count = 10 * count + (*r->at++ - '0');
    }
    while (r->at < r->end && *r->at != '}') {
        r->at++;
    }
    r->fails = r->fails || r->at >= r->end || count > REPEATS_MAX;
    r->at++;
    return count;
}

/* What stands behind an atom; *atom becomes all that it makes of that. */
static void read_repetition(struct reader *r, struct set *atom)
{
    char c = is_over(r) ? '\0' : *r->at;
    int count = 1;
    if (c == '\0' || strchr("?*+{", c) == NULL) {
        return;
    }
    r->at++;
    if (c == '{') {
        count = read_count(r);
    }
    struct set once = *atom;
    for (int i = 1; i < count; i++) {
        set_join(atom, &once);
    }
    if (c == '?' || c == '*' || count == 0) {
        set_add(atom, "");
    }
    if (!is_over(r) && (*r->at == '?' || *r->at == '+')) { /* lazy, possessive */
        r->at++;
    }
}

static void read_sequence(struct reader *r, struct set *out)
{
    out->count = 0;
    set_add(out, "");
    while (!is_over(r) && *r->at != '|' && *r->at != ')') {
        struct set atom = {.count = 0};
        read_atom(r, &atom);
        read_repetition(r, &atom);
        set_join(out, &atom);
    }
}

static void read_alternatives(struct reader *r, struct set *out)
{
    struct set one;
    out->count = 0;
    read_sequence(r, out);
    while (!is_over(r) && *r->at == '|') {
        r->at++;
        read_sequence(r, &one);
        for (size_t i = 0; i < one.count; i++) {
            set_add(out, one.texts[i]);
        }
    }
}

/* The end of a pattern that begins behind its delimiter. NULL: it has none. */
static const char *pattern_end(const char *pattern, char delimiter)
{
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            p++;
        } else if (*p == delimiter) {
            return p;
        }
    }
    return NULL;
}

enum pattern_reading pattern_samples(const char *line, struct words *out)
{
    if (*line == '\0' || isspace((unsigned char)*line) || *line == '#' ||
        isalnum((unsigned char)*line)) {
        return PATTERN_NONE;
    }
    const char *end = pattern_end(line + 1, *line);
    if (*line == '!' || end == NULL) {
        return PATTERN_UNKNOWN;
    }
    struct reader reader = {.at = line + 1, .end = end};
    struct set texts = {.count = 0};
    read_alternatives(&reader, &texts);
    if (reader.fails || reader.at != reader.end || texts.count == 0) {
        return PATTERN_UNKNOWN;
    }
    for (size_t i = 0; i < texts.count; i++) {
        if (!words_add(out, texts.texts[i])) {
            return PATTERN_NO_MEMORY;
        }
    }
    return PATTERN_READ;
}
