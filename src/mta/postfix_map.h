/* What Postfix has to be given: the map of recipients, and the words of main.cf around it. */
#ifndef MTA_POSTFIX_MAP_H
#define MTA_POSTFIX_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "batv/settings.h"

/*
 * Writes the table (pcre_table(5)) that takes the tag off recipients in these domains: A-labels in
 * lower case, a leading dot for every subdomain. False: no memory.
 */
bool postfix_map_print(const char *const domains[], size_t count, FILE *out);

/* The table for all domains of ours. NULL: no memory. The caller frees. */
char *postfix_map_text(const struct settings *settings);

#endif
