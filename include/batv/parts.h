/*
 * The parts of a message (RFC 2046 section 5.1) as octets, found by a walk without recursion and
 * without memory of its own. Nothing is copied, nothing is an error. Pure.
 */
#ifndef BATV_PARTS_H
#define BATV_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/budget.h"
#include "batv/fields.h"

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
