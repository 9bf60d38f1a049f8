/*
 * Messages as octets: lines, header fields (RFC 5322 section 2.2). Lines end in LF, CRLF, CR, or
 * CRs and an LF; NULs are octets like any other. Nothing is copied, nothing is an error, and
 * everything takes time linear in the octets. Pure.
 */
#ifndef BATV_FIELDS_H
#define BATV_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of somebody else's memory, not NUL-terminated. start may be NULL where length is 0. */
struct octets {
    const char *start;
    size_t length;
};

struct octets octets_of(const char *text);
/* Without case. */
bool octets_equal(struct octets octets, const char *text);
bool octets_begin(struct octets octets, const char *prefix);
/* Where text, which is not empty, begins first, without case; NULL: nowhere. */
const char *octets_find(struct octets octets, const char *text);
struct octets octets_trim(struct octets octets);

/* Takes a line with its end off rest. False: there is none. line is without its end. */
bool line_next(struct octets *rest, struct octets *line);

struct field {
    struct octets name;
    struct octets value; /* still folded, without the last line end */
};
/* Takes a field off rest. False: the header is over, and rest begins with the body: behind an empty
 * line, or at a line that is no field. */
bool field_next(struct octets *rest, struct field *field);
/* Copies a value without its folding into a buffer, NUL-terminated, cut to its size; NULs become
 * spaces. */
void field_unfold(struct octets value, char *out, size_t size);

#endif
