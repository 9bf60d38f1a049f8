/*
 * How much work one bounce may cause, in steps. A stranger writes the bounce, so the work is
 * counted as it is done: a step is about one character that the search looks at closely, some
 * nanoseconds. One counter is handed down to everything that works on the bounce: text, references,
 * comments, parts, regular expressions. Once it is used up, the rest is not searched, and nobody
 * may conclude anything from what was not found. Pure.
 */
#ifndef BATV_BUDGET_H
#define BATV_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BUDGET_BASE = 4 * 1024 * 1024, /* steps that the smallest bounce has */
    BUDGET_PER_OCTET = 30          /* and for each of its octets; real ones need fewer than six */
};

struct budget {
    int64_t all;
    int64_t left; /* below 0: used up */
};

static inline struct budget budget_of(size_t octets)
{
    int64_t all = BUDGET_BASE + (int64_t)octets * BUDGET_PER_OCTET;
    return (struct budget){all, all};
}

/* May go below 0: whoever works looks at budget_used_up between pieces of bounded work. */
static inline void budget_spend(struct budget *budget, size_t steps)
{
    budget->left -= (int64_t)steps;
}

static inline bool budget_used_up(const struct budget *budget)
{
    return budget->left < 0;
}

static inline size_t budget_spent(const struct budget *budget)
{
    return (size_t)(budget->all - budget->left);
}

#endif
