/*
 * Patterns with wildcards that are no plain *@DOM: of many, those that fit a text are found without
 * trying each. Belongs to match.c.
 */
#ifndef CORE_MATCH_WILDCARD_H
#define CORE_MATCH_WILDCARD_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/status.h"

struct wildcards;
/* Patterns in lower case, each with at least one `*`; they have to live as long. *out is NULL where
 * there are none. */
enum status wildcards_new(const char *const patterns[], size_t count, struct wildcards **out);
void wildcards_free(struct wildcards *wildcards);
/* The index of the first pattern that fits text; -1: none. One without @ is for texts without. */
long wildcards_find(const struct wildcards *wildcards, const char *text);

#endif
