/*
 * What a session of a kind of mail sends to a filter, and what the filter is expected to reply.
 *
 * A plan is made from the filter's answer to the negotiation and never changes after; it lives as
 * long as the program. Malformed answers end the program with status 1. Numbers are in the order of
 * the network.
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <libmilter/mfapi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLANKS_MAX = 4, SERIAL_SIZE = 9, EVIDENCE_SIZE = 60 };

#define ACTIONS_OFFERED SMFI_CURR_ACTS
#define STEPS_OFFERED   SMFI_CURR_PROT
#define EVIDENCE_HEADER "X-Batv-Evidence"

/* What has been seen of a message by the time its last reply is there. */
struct outcome {
    size_t recipients; /* that it was sent to */
    char letter;       /* the reply that ended it */
    char code;         /* first digit of that reply, if it carried one */
    bool tagged;       /* the sender was changed to itself with a tag */
    size_t removed;    /* recipients, in their order */
    size_t added;      /* the plain ones of them, in their order */
    bool proof;        /* the header field was added by which its bounces are known */
    bool spoiled;      /* any other change, or one of these once too often */
};

/* The content of a message. In its texts stand for what differs: $R the first recipient, $H what
 * the kind returns of another message; and for what differs with each message, as it is sent: $N
 * its serial number, $M that of the message returned, $E the evidence header of that. */
struct letter {
    const char *const (*headers)[2]; /* name and value, NULL after the last */
    const char *body;                /* NULL: a text of usual length */
};

struct kind {
    const char *name;
    const char *client_name;
    const char *client_addr;
    const char *login; /* SASL user, NULL if not authenticated */
    const char *sender;
    const char *recipient; /* NULL: the command line names it */
    const struct letter *letter;
    const char *returned; /* header lines of the message that a bounce is for, or NULL */
    bool proven;          /* by the evidence header among these */
    bool (*right)(const struct outcome *);
    const char *expected;
};

struct blob {
    unsigned char *data;
    size_t size;
    size_t room;
};

enum blank_kind { BLANK_SERIAL, BLANK_RETURNED, BLANK_EVIDENCE };

/* Where in a packet something is filled in. */
struct blank {
    enum blank_kind kind;
    size_t at;
};

struct step {
    char stage;
    bool answered;
    bool handed_over; /* sent at once, though nobody waits for a reply */
    struct blob blob;
    struct blank blank[BLANKS_MAX];
    size_t blanks;
};

struct plan {
    const struct kind *kind;       /* this and the recipients come from the command line */
    const char *const *recipients; /* at least one */
    size_t recipient_count;
    bool ready;
    unsigned actions;
    unsigned steps;
    char *macros[SMFIM_LAST + 1];
    struct step *step;
    size_t count;
    size_t room;
    size_t first_of_message;
};

/* NULL: there is no such kind. Number n of all kinds, NULL after the last. */
const struct kind *kind_find(const char *name);
const struct kind *kind_at(size_t n);

/* Takes what follows the command in the filter's answer. A second answer has to equal the first. */
void plan_negotiated(struct plan *, const unsigned char *data, size_t size);

uint32_t get_u32(const unsigned char *);
void put_u32(unsigned char *, uint32_t);

#endif
