/*
 * Patterns are looked for by what stands before their first `*` or after their last, whichever
 * fewer share with them. Each of the two sides is an array sorted by that fixed part, the second
 * read backwards: going along the text octet by octet, the part of the array that may fit still is
 * narrowed by halving, and mostly nothing is left after a few. So the time depends on how many
 * patterns have the same fixed part, not on how many there are; those that begin and end with `*`
 * all have the same, none, and are tried one by one.
 *
 * Never changes once made; any number of threads.
 */
#include "match_wildcard.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"

/* One side's view of a pattern. */
struct edge {
    const char *pattern;
    const char *fixed; /* its octet that is compared first; a backward side goes down from there */
    size_t length;
    size_t index;
    bool has_domain; /* there is an @ in it */
};

struct side {
    struct edge *edges; /* by fixed part, then by index */
    size_t count;
    int step; /* 1: forward from the beginning, -1: backward from the end */
};

struct wildcards {
    struct side sides[2];
};

static unsigned char edge_octet(const struct edge *edge, int step, size_t depth)
{
    return (unsigned char)(step > 0 ? edge->fixed[depth] : *(edge->fixed - depth));
}

static int edge_compare(const struct edge *a, const struct edge *b, int step)
{
    size_t depth = 0;
    while (depth < a->length && depth < b->length) {
        unsigned char first = edge_octet(a, step, depth);
        unsigned char second = edge_octet(b, step, depth);
        if (first != second) {
            return first < second ? -1 : 1;
        }
        depth++;
    }
    return (a->length > b->length) - (a->length < b->length);
}

static int edge_order(const void *a, const void *b, int step)
{
    const struct edge *first = a;
    const struct edge *second = b;
    int order = edge_compare(first, second, step);
    return order != 0 ? order : (first->index > second->index) - (first->index < second->index);
}

static int forward_order(const void *a, const void *b)
{
    return edge_order(a, b, 1);
}

static int backward_order(const void *a, const void *b)
{
    return edge_order(a, b, -1);
}

static bool side_fill(struct side *side, const char *const patterns[], size_t count, int step)
{
    side->step = step;
    side->edges = calloc(count + 1, sizeof *side->edges);
    if (side->edges == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const char *pattern = patterns[i];
        bool forward = step > 0;
        side->edges[i] = (struct edge){
            .pattern = pattern,
            .fixed = forward ? pattern : pattern + strlen(pattern) - 1,
            .length = forward ? strcspn(pattern, "*") : strlen(strrchr(pattern, '*') + 1),
            .index = i,
            .has_domain = strchr(pattern, '@') != NULL,
        };
    }
    side->count = count;
    qsort(side->edges, count, sizeof *side->edges, step > 0 ? forward_order : backward_order);
    return true;
}

/* For each pattern, how many have its fixed part. */
static void side_count(const struct side *side, size_t *shared)
{
    for (size_t start = 0, end = 0; start < side->count; start = end) {
        while (end < side->count &&
               edge_compare(&side->edges[start], &side->edges[end], side->step) == 0) {
            end++;
        }
        for (size_t i = start; i < end; i++) {
            shared[side->edges[i].index] = end - start;
        }
    }
}

/* Leaves each pattern to the side where it has the fewer beside it. */
static void sides_part(struct wildcards *wildcards, const size_t *forward, const size_t *backward)
{
    for (size_t s = 0; s < 2; s++) {
        struct side *side = &wildcards->sides[s];
        size_t kept = 0;
        for (size_t i = 0; i < side->count; i++) {
            size_t index = side->edges[i].index;
            bool first = forward[index] <= backward[index];
            if (first == (s == 0)) {
                side->edges[kept++] = side->edges[i];
            }
        }
        side->count = kept;
        struct edge *edges = realloc(side->edges, (kept + 1) * sizeof *edges);
        side->edges = edges != NULL ? edges : side->edges;
    }
}

enum status wildcards_new(const char *const patterns[], size_t count, struct wildcards **out)
{
    enum status status = STATUS_NO_MEMORY;
    *out = NULL;
    if (count == 0) {
        return STATUS_OK;
    }
    struct wildcards *wildcards = calloc(1, sizeof *wildcards);
    size_t *shared = calloc(2 * count, sizeof *shared);
    if (wildcards != NULL && shared != NULL &&
        side_fill(&wildcards->sides[0], patterns, count, 1) &&
        side_fill(&wildcards->sides[1], patterns, count, -1)) {
        side_count(&wildcards->sides[0], shared);
        side_count(&wildcards->sides[1], shared + count);
        sides_part(wildcards, shared, shared + count);
        *out = wildcards;
        status = STATUS_OK;
    } else {
        wildcards_free(wildcards);
    }
    free(shared);
    return status;
}

void wildcards_free(struct wildcards *wildcards)
{
    if (wildcards != NULL) {
        free(wildcards->sides[0].edges);
        free(wildcards->sides[1].edges);
        free(wildcards);
    }
}

/*
 * Where `*` is the only special character, going back to the last `*` is enough. So the time is
 * bounded by the product of the lengths, and the stack by nothing that comes from outside.
 */
static bool pattern_fits(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*pattern != '\0' && *pattern == ascii_lower(*text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

/* The first in [low, high), whose edges all are longer than depth, with an octet there of at least
 * octet, which may be one more than any. */
static size_t side_bound(const struct side *side, size_t low, size_t high, size_t depth,
                         unsigned octet)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (edge_octet(&side->edges[middle], side->step, depth) < octet) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The least index of a pattern of the side that fits text, if it is less than best, else best. */
static size_t side_find(const struct side *side, const char *text, size_t best)
{
    size_t length = strlen(text);
    bool has_domain = strchr(text, '@') != NULL;
    size_t low = 0;
    size_t high = side->count;
    for (size_t depth = 0; low < high; depth++) {
        /* Those whose fixed part ends here come first: all of it is in the text. */
        for (; low < high && side->edges[low].length == depth; low++) {
            const struct edge *edge = &side->edges[low];
            /* `*` would stand for @ and a domain too, which a pattern for bare local parts must
             * not. */
            if (edge->index < best && edge->has_domain == has_domain &&
                pattern_fits(edge->pattern, text)) {
                best = edge->index;
            }
        }
        if (depth == length) {
            break;
        }
        char c = ascii_lower(side->step > 0 ? text[depth] : text[length - 1 - depth]);
        unsigned octet = (unsigned char)c;
        low = side_bound(side, low, high, depth, octet);
        high = side_bound(side, low, high, depth, octet + 1);
    }
    return best;
}

long wildcards_find(const struct wildcards *wildcards, const char *text)
{
    size_t best = LONG_MAX;
    if (wildcards == NULL) {
        return -1;
    }
    best = side_find(&wildcards->sides[0], text, best);
    best = side_find(&wildcards->sides[1], text, best);
    return best == LONG_MAX ? -1 : (long)best;
}
