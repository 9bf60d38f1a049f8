/*
 * The parts of a message, found by walking over its octets once, without recursion and without
 * memory of its own: hostile mail has parts by the hundred thousand, one in another, and whoever
 * builds a tree of them first pays for each. A stack holds the boundaries that are open; a line
 * that is one of them ends everything within.
 *
 * No state but the caller's; what it hands out points into the message.
 */
#include "batv/parts.h"
#include "batv/fields.h"

#include <string.h>

enum boundary_kind { BOUNDARY_NONE, BOUNDARY_BETWEEN, BOUNDARY_LAST };

enum { FIELD_STEPS = 4, MEMORY_SPEED = 16 /* octets that are gone over in a step */ };

static bool is_padding(struct octets rest)
{
    return octets_trim(rest).length == 0;
}

static enum boundary_kind match_boundary(struct octets line, struct octets boundary)
{
    struct octets rest = {line.start + 2, line.length - 2};
    if (rest.length < boundary.length || memcmp(rest.start, boundary.start, boundary.length) != 0) {
        return BOUNDARY_NONE;
    }
    rest.start += boundary.length;
    rest.length -= boundary.length;
    if (is_padding(rest)) {
        return BOUNDARY_BETWEEN;
    }
    return rest.length >= 2 && memcmp(rest.start, "--", 2) == 0 ? BOUNDARY_LAST : BOUNDARY_NONE;
}

/* The line as one of the open boundaries, the innermost first; *level is its place. */
static enum boundary_kind find_boundary(const struct parts *parts, struct octets line,
                                        unsigned *level)
{
    if (line.length < 3 || line.start[0] != '-' || line.start[1] != '-') {
        return BOUNDARY_NONE;
    }
    budget_spend(parts->budget, 1 + parts->depth / 2);
    for (unsigned i = parts->depth; i > 0; i--) {
        enum boundary_kind kind = match_boundary(line, parts->open[i - 1].boundary);
        if (kind != BOUNDARY_NONE) {
            *level = i - 1;
            return kind;
        }
    }
    return BOUNDARY_NONE;
}

/* Closes what the boundary ends. */
static void close_to(struct parts *parts, unsigned level, enum boundary_kind kind)
{
    parts->messages = parts->open[level].messages;
    parts->depth = kind == BOUNDARY_LAST ? level : level + 1;
    parts->at_header = kind == BOUNDARY_BETWEEN;
    parts->of_message = false;
}

/* Goes on behind the next boundary line. Answers what stood before it, without the line end, which
 * belongs to the boundary. */
static struct octets skip_content(struct parts *parts)
{
    struct octets content = {parts->rest.start, 0};
    struct octets line;
    unsigned level;
    parts->at_header = false;
    while (line_next(&parts->rest, &line)) {
        enum boundary_kind kind = find_boundary(parts, line, &level);
        if (kind != BOUNDARY_NONE) {
            close_to(parts, level, kind);
            return content;
        }
        content.length = (size_t)(line.start + line.length - content.start);
        budget_spend(parts->budget, 1 + line.length / MEMORY_SPEED);
    }
    content.length = (size_t)(parts->rest.start - content.start);
    return content;
}

void parts_start(struct parts *parts, struct octets message, struct budget *budget)
{
    parts->budget = budget;
    parts->rest = message;
    parts->at_header = true;
    parts->count = 0;
    parts->messages = 0;
    parts->depth = 0;
    parts->of_message = true;
}

/* Reads the header at rest. A boundary within ends it, and the part has no content. */
static struct octets take_header(struct parts *parts)
{
    struct octets header = {parts->rest.start, 0};
    struct field field;
    unsigned level;
    for (;;) {
        struct octets ahead = parts->rest;
        struct octets line;
        if (line_next(&ahead, &line) && find_boundary(parts, line, &level) != BOUNDARY_NONE) {
            break;
        }
        header.length = (size_t)(parts->rest.start - header.start);
        budget_spend(parts->budget, FIELD_STEPS);
        if (!field_next(&parts->rest, &field)) {
            return header;
        }
    }
    header.length = (size_t)(parts->rest.start - header.start);
    return header;
}

bool parts_next(struct parts *parts, struct part *part)
{
    while (!parts->at_header && parts->depth > 0 && parts->rest.length > 0) {
        skip_content(parts); /* behind the last part of a multipart */
    }
    if (!parts->at_header || parts->count == PARTS_MAX || budget_used_up(parts->budget)) {
        return false;
    }
    parts->count++;
    *part = (struct part){
        .depth = parts->depth + parts->messages,
        .of_message = parts->of_message,
        .in_message = parts->messages > 0,
        .in_digest = !parts->of_message && parts->depth > 0 && parts->open[parts->depth - 1].digest,
    };
    part->header = take_header(parts);
    parts->at_header = false;
    return true;
}

/* It ends with none (RFC 2046 section 5.1.1). Else a long line of blanks would be gone over once
 * for each of the boundaries that differ in them alone. */
static struct octets without_blanks(struct octets boundary)
{
    while (boundary.length > 0 &&
           is_padding((struct octets){boundary.start + boundary.length - 1, 1})) {
        boundary.length--;
    }
    return boundary;
}

bool parts_enter_multipart(struct parts *parts, struct octets boundary, bool digest)
{
    boundary = without_blanks(boundary);
    if (boundary.length == 0 || parts->depth + parts->messages >= PARTS_DEPTH) {
        return false;
    }
    parts->open[parts->depth].boundary = boundary;
    parts->open[parts->depth].messages = parts->messages;
    parts->open[parts->depth].digest = digest;
    parts->depth++;
    skip_content(parts);
    return true;
}

bool parts_enter_message(struct parts *parts)
{
    if (parts->depth + parts->messages >= PARTS_DEPTH) {
        return false;
    }
    parts->messages++;
    parts->at_header = true;
    parts->of_message = true;
    return true;
}

struct octets parts_leaf(struct parts *parts)
{
    return skip_content(parts);
}
