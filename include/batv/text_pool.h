/* Many strings that live and go together, as those of a long list: kept in a few large blocks. */
#ifndef BATV_TEXT_POOL_H
#define BATV_TEXT_POOL_H

#include <stddef.h>

struct text_block;
/* Starts as all zero. */
struct text_pool {
    struct text_block *newest;
};

/* A copy that stays where it is until the pool is freed. NULL: no memory. */
const char *text_pool_add(struct text_pool *pool, const char *text);
/* Frees all copies and makes the pool empty. */
void text_pool_free(struct text_pool *pool);

#endif
