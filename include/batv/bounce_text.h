/*
 * Text searched for what a bounce says of its original: Message-IDs, tags, evidence headers. The
 * text may be a header, a person's words, HTML or JSON; folded, indented, quoted with `> `, with
 * character references or without angle brackets. NULs are as if they were not there. Time is
 * linear in it, whatever it is, and ends with the budget: the rest is then not searched. Pure.
 */
#ifndef BATV_BOUNCE_TEXT_H
#define BATV_BOUNCE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "batv/bounce.h"
#include "batv/budget.h"
#include "batv/fields.h"

/* Puts what is found into a bounce. */
struct bounce_reader {
    struct bounce *bounce;
    struct budget *budget;
    bool no_memory; /* something found could not be kept */
    uint64_t hashes[BOUNCE_IDS];
};
/* Both stay the caller's. */
void bounce_reader_start(struct bounce_reader *reader, struct bounce *bounce,
                         struct budget *budget);
/* Brings the Message-IDs into their order. */
void bounce_reader_end(struct bounce_reader *reader);

/* where is static, and becomes bounce_id.where for a Message-ID whose label says no more, and
 * bounce_tag.where. */
void bounce_scan_text(struct bounce_reader *reader, struct octets text, const char *where);

/* A field of the bounce's own header: the Message-IDs in it, if it is one that names the original's
 * (In-Reply-To, References, Original-Message-ID, ...). */
void bounce_scan_field(struct bounce_reader *reader, const struct field *field);

/* Keeps a copy, where there is room and it is not there yet. */
void bounce_add_id(struct bounce_reader *reader, struct octets id, const char *where,
                   enum bounce_rank rank);
/* Forgets it, unless it is there with this rank or a surer one. */
void bounce_drop_id(struct bounce_reader *reader, const char *id, enum bounce_rank surer);
void bounce_add_tag(struct bounce_reader *reader, struct octets address, const char *where);
void bounce_add_evidence(struct bounce_reader *reader, struct octets value);

#endif
