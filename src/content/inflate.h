/* Compressed data. Any thread. */
#ifndef CONTENT_INFLATE_H
#define CONTENT_INFLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/fields.h"
#include "batv/status.h"

/* Puts at most room octets of what data begins with into out; *used says how many. raw: without a
 * header, as in archives; else it has that of zlib or gzip. What is damaged or cut off ends it.
 * STATUS_NO_MEMORY; nothing else is an error. */
enum status inflate_begin_of(struct octets data, bool raw, char *out, size_t room, size_t *used);

#endif
