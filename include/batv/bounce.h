/*
 * What a bounce says of the message that it is about: its class, Message-IDs, tags and evidence
 * headers. Filled by whoever takes the message apart (content/mime.h); the text is a stranger's, so
 * everything is bounded, and nothing is refused for being odd.
 */
#ifndef BATV_BOUNCE_H
#define BATV_BOUNCE_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/status.h"

/* In the order of the test: the first that matches is the class. */
enum bounce_class {
    BOUNCE_DSN,       /* RFC 3464, and what looks like one */
    BOUNCE_MDN,       /* a read receipt, RFC 8098 */
    BOUNCE_CALENDAR,  /* an answer to an invitation, RFC 5546 */
    BOUNCE_REPORT,    /* a complaint (RFC 5965), TLS (RFC 8460) or DMARC (RFC 7489) report */
    BOUNCE_AUTOREPLY, /* RFC 3834 */
    BOUNCE_OTHER,
    BOUNCE_UNREAD, /* its content was not looked at */
    BOUNCE_CLASS_COUNT = BOUNCE_UNREAD
};
/* "dsn" ... "other"; "-" for BOUNCE_UNREAD. */
const char *bounce_class_name(enum bounce_class class);

enum {
    BOUNCE_IDS = 200,    /* candidates that are kept */
    BOUNCE_ID_MAX = 996, /* octets of one */
    BOUNCE_TAGS = 50,
    BOUNCE_EVIDENCE = 8 /* copies of the evidence header */
};

/* How sure it is that something is a Message-ID of the message that the bounce is about. */
enum bounce_rank {
    BOUNCE_UNLABELLED, /* it only looks like one: an address may, too */
    BOUNCE_MENTIONED,  /* behind a label, but in a form that people use for other things as well */
    BOUNCE_REFERENCE,  /* named by References or In-Reply-To in the content */
    BOUNCE_LABELLED,   /* Message-ID: and the like; or the bounce's own In-Reply-To and so on */
    BOUNCE_RANKS,
    BOUNCE_NAMED = BOUNCE_REFERENCE /* from here on the bounce names it as a Message-ID */
};

/* A Message-ID by which the original may be known. */
struct bounce_id {
    char *text;        /* without brackets, white space and folding; never empty */
    const char *where; /* for a person: "In-Reply-To", "Original-Message-ID", "text", ...; static */
    enum bounce_rank rank;
};

/* An address with a tag of our form that stands in the content. */
struct bounce_tag {
    char *address;
    const char *where;
};

/* What ended before all of the bounce had been read or kept. */
enum bounce_limit {
    BOUNCE_LIMIT_HEADER,  /* fields of its own header were passed over */
    BOUNCE_LIMIT_BODY,    /* octets of its body were dropped */
    BOUNCE_LIMIT_DEPTH,   /* the innermost parts were read as text */
    BOUNCE_LIMIT_PARTS,   /* the last ones were */
    BOUNCE_LIMIT_IDS,     /* there were more Message-IDs */
    BOUNCE_LIMIT_STEPS,   /* it was not searched to its end */
    BOUNCE_LIMIT_LOOKUPS, /* not everything that was found was looked up */
    BOUNCE_LIMIT_COUNT
};
/* "header" ... "look-ups". */
const char *bounce_limit_name(enum bounce_limit limit);

struct bounce {
    enum bounce_class class;
    bool limits[BOUNCE_LIMIT_COUNT]; /* reached while it was read */
    bool unsearched;                 /* a proof may stand in what was not read or kept */
    char *own_id;                    /* the bounce's own Message-ID, without brackets; NULL: none */
    struct bounce_id ids[BOUNCE_IDS]; /* distinct, the surest first; without own_id, unless the
                                         content has it too */
    size_t id_count;
    size_t named_count; /* of them, those that are named as Message-IDs: from BOUNCE_NAMED on */
    struct bounce_tag tags[BOUNCE_TAGS]; /* distinct */
    size_t tag_count;
    char *evidence[BOUNCE_EVIDENCE]; /* values of X-Batv-Evidence in the content, unfolded */
    size_t evidence_count;
};

/* NULL: no memory. */
struct bounce *bounce_new(void);
void bounce_free(struct bounce *bounce);

#endif
