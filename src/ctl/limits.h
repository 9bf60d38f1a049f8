/* What of a message the reader's limits kept from being read, in words. */
#ifndef CTL_LIMITS_H
#define CTL_LIMITS_H

#include "content/content.h"
#include "ctl/json.h"

/* A line for each limit that the reading of content reached; nothing where it reached none. */
void limits_print(const struct content *content);

/* Their names as an array "limits"; nothing where it reached none. */
void limits_json(struct json *json, const struct content *content);

#endif
