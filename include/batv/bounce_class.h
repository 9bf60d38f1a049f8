/* The class of a bounce: the signs of each are gathered while it is read, and the first class that
 * matches is it: by structure, then by its header. Pure. */
#ifndef BATV_BOUNCE_CLASS_H
#define BATV_BOUNCE_CLASS_H

#include <stdbool.h>

#include "batv/bounce.h"
#include "batv/fields.h"

/* Starts as all zero. */
struct bounce_signs {
    bool status;  /* a part of a delivery status */
    bool receipt; /* a part that tells what became of a message */
    bool refusal; /* it was denied, deleted or failed */
    bool calendar;
    bool report;
    bool complaint, complaint_copy; /* Outlook.com's: its own header and that of what it returns */
    bool returned;                  /* a part has a message, or its header */
    bool failed_recipients, from_daemon;
    bool from_address;          /* From has an address, be it whose it will */
    bool workmail, undelivered; /* by X-Mailer and Subject */
    bool opening;               /* qmail's */
    bool autoreply;
    bool auto_generated, away_subject;
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
/* A part; content is decoded, without NULs where it is text, and empty for a multipart. */
void bounce_signs_part(struct bounce_signs *signs, const struct bounce_part *part,
                       struct octets content);
/* The header of a message in a part, or a part that has just that. */
void bounce_signs_returned(struct bounce_signs *signs, struct octets header);
/* The text that a message begins with. */
void bounce_signs_opening(struct bounce_signs *signs, struct octets text);

enum bounce_class bounce_signs_class(const struct bounce_signs *signs);

#endif
