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

enum { STEPS_MAX = 24, QUEUE_ID_SIZE = 12 };

#define ACTIONS_OFFERED SMFI_CURR_ACTS
#define STEPS_OFFERED   SMFI_CURR_PROT
#define QUEUE_ID_FORM   "4Bench%06u"

/* What has been seen of a message by the time its last reply is there. */
struct outcome {
    char letter;  /* the reply that ended it */
    char code;    /* first digit of that reply, if it carried one */
    bool tagged;  /* the sender was changed to itself with a tag */
    bool removed; /* the recipient was removed */
    bool added;   /* the plain one was added */
    bool spoiled; /* any other change of the envelope or the body, or one of these twice */
};

struct kind {
    const char *name;
    const char *client_name;
    const char *client_addr;
    const char *login; /* SASL user, NULL if not authenticated */
    const char *sender;
    const char *recipient; /* NULL: the command line names it */
    bool (*right)(const struct outcome *);
    const char *expected;
};

struct blob {
    unsigned char *data;
    size_t size;
    size_t room;
};

struct step {
    char stage;
    bool answered;
    bool handed_over; /* sent at once, though nobody waits for a reply */
    size_t queue_id;  /* where in the blob the queue id goes, 0: nowhere */
    struct blob blob;
};

struct plan {
    const struct kind *kind; /* this and the recipient come from the command line */
    const char *recipient;
    bool ready;
    unsigned actions;
    unsigned steps;
    char *macros[SMFIM_LAST + 1];
    size_t count;
    size_t first_of_message;
    struct step step[STEPS_MAX];
};

/* NULL: there is no such kind. Number n of all kinds, NULL after the last. */
const struct kind *kind_find(const char *name);
const struct kind *kind_at(size_t n);

/* Takes what follows the command in the filter's answer. A second answer has to equal the first. */
void plan_negotiated(struct plan *, const unsigned char *data, size_t size);

uint32_t get_u32(const unsigned char *);
void put_u32(unsigned char *, uint32_t);

#endif
