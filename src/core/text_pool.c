/*
 * Blocks are filled one after the other, each twice as large as the one before up to a limit, and
 * never moved. A pool belongs to one thread while it is filled.
 */
#include "batv/text_pool.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_MIN = 240, BLOCK_MAX = 1 << 19 };

struct text_block {
    struct text_block *former;
    size_t size, used;
    char text[];
};

static struct text_block *block_new(struct text_block *former, size_t least)
{
    size_t size = former == NULL ? BLOCK_MIN : 2 * former->size;
    size = size > BLOCK_MAX ? BLOCK_MAX : size;
    size = size < least ? least : size;
    struct text_block *block = malloc(sizeof *block + size);
    if (block != NULL) {
        *block = (struct text_block){.former = former, .size = size};
    }
    return block;
}

const char *text_pool_add(struct text_pool *pool, const char *text)
{
    size_t octets = strlen(text) + 1;
    struct text_block *block = pool->newest;
    if (block == NULL || block->size - block->used < octets) {
        block = block_new(pool->newest, octets);
        if (block == NULL) {
            return NULL;
        }
        pool->newest = block;
    }
    char *copy = block->text + block->used;
    memcpy(copy, text, octets);
    block->used += octets;
    return copy;
}

void text_pool_free(struct text_pool *pool)
{
    while (pool->newest != NULL) {
        struct text_block *block = pool->newest;
        pool->newest = block->former;
        free(block);
    }
}
