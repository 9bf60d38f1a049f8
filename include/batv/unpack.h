/*
 * What is within an archive or an opaque signed message, recognised by how it begins: senders call
 * both by any type. What is found may be cut off anywhere. Pure.
 */
#ifndef BATV_UNPACK_H
#define BATV_UNPACK_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/fields.h"

enum { ZIP_DEFLATED = 8 };

bool zip_seen(struct octets text);
bool gzip_seen(struct octets text);

/* Takes the next file that can be read off rest. False: there are no more. data is of raw deflate
 * (RFC 1951) if *packed, and may go on behind its end where its length is not known. */
bool zip_next(struct octets *rest, struct octets *data, bool *packed);

/* ContentInfo of signedData, or of compressedData (RFC 3274), whose content is of zlib. */
enum signed_kind { SIGNED_NOT, SIGNED_PLAIN, SIGNED_COMPRESSED };
enum signed_kind signed_seen(struct octets text);
/* What is signed, put together of its pieces: at most room octets. Answers how many. */
size_t signed_content(struct octets text, char *out, size_t room);

#endif
