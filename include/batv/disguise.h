/*
 * Transfer encodings (RFC 2045 section 6) recognised by their look, where no header that can be
 * trusted tells of them: a boundary is broken, a part is quoted as text. Pure.
 */
#ifndef BATV_DISGUISE_H
#define BATV_DISGUISE_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/fields.h"

/* True where the text may be quoted-printable. */
bool quoted_printable_seen(struct octets text);
/* Undoes what an encoder must have done: soft line breaks, and references to what it may not leave
 * as it is. Letters and digits it would have left: =Aa stays. out has room for the text; answers
 * the length of what is put there. */
size_t quoted_printable_guess(struct octets text, char *out);

/* The next lines that look like base64, off rest, quoted or not. False: there are none. */
bool base64_next(struct octets *rest, struct octets *lines);

/* Takes off rest what stands up to the next lines of uuencode (POSIX). *marks: the octets with
 * which each of them is quoted. False: there are none. */
bool uuencoded_next(struct octets *rest, size_t *marks);
/* Takes them off rest and decodes them. Answers how many octets they stand for, for which out has
 * room; NULL: they are only counted. */
size_t uuencoded_lines(struct octets *rest, size_t marks, char *out);

/* True where the text may be EBCDIC, and makes no sense as anything else. */
bool ebcdic_seen(struct octets text);

#endif
