/*
 * Messages as octets: lines, header fields (RFC 5322 section 2.2), the parts of a multipart (RFC
 * 2046 section 5.1). Lines end in LF, CRLF, CR, or CRs and an LF; NULs are octets like any other.
 * Nothing is copied, nothing is an error, and everything takes time linear in the octets. Pure.
 */
#ifndef BATV_FIELDS_H
#define BATV_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/budget.h"

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

enum {
    PARTS_DEPTH = 100, /* multiparts and messages in one another; what is deeper is text */
    PARTS_MAX = 1000
};

/*
 * The parts of a message one after the other, from the outside in. For each, the caller looks at
 * its header and says what it is: parts_enter_multipart, parts_enter_message, or parts_leaf.
 */
struct part {
    struct octets header;
    unsigned depth;
    bool of_message; /* its header is that of a message in a part, not of a part */
    bool in_message; /* lies in a message within the outermost one */
    bool in_digest;  /* directly in a multipart/digest: a message, if nothing else is said */
};

struct parts {
    struct octets rest;
    struct budget *budget;
    bool at_header;
    size_t count;
    unsigned messages; /* around what comes next */
    unsigned depth;    /* of open; the messages in between are counted by messages */
    bool of_message;
    struct {
        struct octets boundary;
        unsigned messages; /* around it */
        bool digest;
    } open[PARTS_DEPTH];
};

/* message: header and body; it and budget are borrowed while parts is used. */
void parts_start(struct parts *parts, struct octets message, struct budget *budget);
/* False: there are no more, PARTS_MAX have been, or the budget is used up. */
bool parts_next(struct parts *parts, struct part *part);
/* False: too deep, or no boundary; then it is a leaf. boundary stays the caller's and unchanged. */
bool parts_enter_multipart(struct parts *parts, struct octets boundary, bool digest);
bool parts_enter_message(struct parts *parts);
/* The content. */
struct octets parts_leaf(struct parts *parts);

#endif
