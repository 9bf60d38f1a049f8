/* What kind of bounce a message is: what speaks for each kind is gathered while it is read, and the
 * first kind in the order of enum bounce_class wins. Pure. */
#ifndef BATV_BOUNCE_CLASS_H
#define BATV_BOUNCE_CLASS_H

#include <stdbool.h>

#include "batv/bounce.h"
#include "batv/fields.h"

/* Starts as all zero. */
struct bounce_signs {
    bool dsn;
    bool disposition_report; /* multipart/report of a read receipt */
    bool disposition;        /* the part that tells what became of the message */
    bool calendar;
    bool report;
    bool autoreply;
    bool inner_dsn; /* there is one in a message within: a gateway wrapped it up */
};

/* A part as its header describes it. No member is NULL. */
struct bounce_part {
    const char *type;        /* "multipart/report", in lower case */
    const char *report_type; /* in lower case; "" where there is none */
    const char *file_name;
    bool in_message; /* belongs to a message within */
};

/* A field of the message's own header. */
void bounce_signs_field(struct bounce_signs *signs, const struct field *field);
/* A part; content is decoded, and empty for a multipart. */
void bounce_signs_part(struct bounce_signs *signs, const struct bounce_part *part,
                       struct octets content);
/* The text that a message begins with. */
void bounce_signs_opening(struct bounce_signs *signs, struct octets text);

enum bounce_class bounce_signs_class(const struct bounce_signs *signs);

#endif
