/*
 * Edit distance where an octet inserted, left out or exchanged counts one, and so do two neighbours
 * swapped. Letters of either case are the same. A third of the word's octets may be wrong. No
 * state.
 */
#include "base/nearest.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same(char a, char b)
{
    return lower(a) == lower(b);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Both are at most NEAREST_MAX octets. Three rows of the table are enough. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *now = rows[2];
    for (size_t j = 0; j <= b_length; j++) {
        last[j] = before[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t exchanged = last[j - 1] + !same(a[i - 1], b[j - 1]);
            now[j] = least(least(last[j], now[j - 1]) + 1, exchanged);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                now[j] = least(now[j], before[j - 2] + 1);
            }
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b_length];
}

void nearest_begin(struct nearest *nearest, const char *word, size_t length)
{
    *nearest = (struct nearest){.word = word, .length = length, .distance = (length + 1) / 3 + 1};
}

bool nearest_offer(struct nearest *nearest, const char *candidate, size_t length)
{
    size_t longer = length > nearest->length ? length : nearest->length;
    size_t gap = longer - least(length, nearest->length);
    if (length == 0 || longer > NEAREST_MAX || gap >= nearest->distance) {
        return false;
    }
    size_t found = distance(nearest->word, nearest->length, candidate, length);
    bool nearer = found < nearest->distance;
    if (nearer) {
        nearest->best = candidate;
        nearest->best_length = length;
        nearest->distance = found;
    }
    return nearer;
}
