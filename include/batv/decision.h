/* A decision as a record, handed to each of a table of sinks; and as the line that goes to the log.
 */
#ifndef BATV_DECISION_H
#define BATV_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batv/facts.h"
#include "batv/verdict.h"

enum decision_kind {
    DECISION_SIGN,             /* one a message */
    DECISION_SIGN_SKIP,        /* one a message */
    DECISION_VERIFY,           /* one a recipient */
    DECISION_RELAYED_UNSIGNED, /* one a message */
    DECISION_MESSAGE_ID,       /* one a message that gets one from us */
    DECISION_KIND_COUNT
};

/* Strings belong to the transaction and live as long as it; NULL where they do not apply. */
struct decision {
    enum decision_kind kind;
    bool debug;           /* of interest only to somebody who looks for it */
    const char *queue_id; /* NULL before there is one */
    const struct client *client;
    const struct domain_settings
        *domain;           /* of the sender's domain, for verify of the recipient's; may be NULL */
    const char *sender;    /* without angle brackets */
    const char *recipient; /* likewise */
    const char *judged; /* verify: the plain address, where it is not what one sees in recipient */
    size_t recipients;  /* of the message */
    const char *tagged; /* sign */
    int key;            /* sign */
    int64_t expires;    /* sign: a day */
    bool first_signed;  /* sign: the ring has no record yet that this domain signs */
    bool first_tag;     /* verify: likewise, that a valid tag of it came back from outside */
    bool proves_relay;  /* verify: the client in relays has now handed in a valid tag */
    const char *hosted; /* verify: a domain whose mail is taken from outside and sent on */
    const char *elsewhere;   /* relayed-unsigned: the recipient's domain */
    const char *message_id;  /* message-id: the one that is added, without brackets */
    bool holds;              /* relayed-unsigned: `auto` does not reject yet for domain */
    bool unanswered;         /* sign: DNS did not say whether a network forbids it */
    const char *reason;      /* sign-skip */
    const char *entry;       /* sign-skip: the list entry */
    enum result result;      /* verify */
    bool bounce;             /* verify */
    bool opens;              /* verify, of a bounce: the first of its message */
    bool from_mail_server;   /* likewise: exclude.mail_servers fits its client */
    enum bounce_class class; /* verify, of a bounce */
    struct verdict verdict;  /* verify */
    size_t count;            /* verify: recipients for whom its line in the log stands; 0: one */
    bool counted;            /* verify: another's line stands for it too, so it gets none */
    const char *applied;     /* verify: what became of the recipient, where not what action says */
    uint64_t generation;     /* of the ring that decided */
};

/* Enough for the longest line. */
enum { DECISION_LINE = 8192 };

/* The log line, cut to size, always terminated. Hostile octets are quoted. Returns its length. */
size_t decision_format(const struct decision *decision, char *out, size_t size);

/* What was done: "sign", "verify" ... */
const char *decision_event(const struct decision *decision);

/* The line's values one by one, in its order, as they are before they are quoted. */
struct decision_reader {
    void (*take)(void *self, const char *name, const char *value);
    void *self;
};
void decision_read(const struct decision *decision, const struct decision_reader *reader);

struct decision_sink {
    void (*take)(void *self, const struct decision *decision);
    void *self;
};

#endif
