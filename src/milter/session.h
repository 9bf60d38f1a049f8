/*
 * One connection of an MTA, and the message on it: its transaction, the snapshots of settings and
 * keys that this one reads, and its content. Knows all of the daemon that a message needs, and
 * nothing of libmilter. Used by one thread at a time, though by different ones.
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "milter/adapter.h"
#include "milter/stages.h"

struct session {
    LIST_ENTRY(session) others;
    const struct adapter *adapter;
    bool shows_messages; /* headers and bodies, by what was agreed upon for this connection */
    bool skips;          /* the rest of a body on request */
    bool answers_header; /* the MTA waits for an answer to the end of a header */
    bool surplus;        /* beyond limits.connections: it gets no service */
    struct stages stages;
    struct client client;
    char name[256];
    char address[INET6_ADDRSTRLEN];
    char server[256];

    /* Of the message: from MAIL to its end. */
    struct shared_snapshot *snapshot;
    struct shared_snapshot *newer; /* asked for when a tag is in doubt, or NULL */
    struct transaction *transaction;
    struct content *content; /* of a bounce that has to be read */
    bool sampled;            /* it is read for the sample */
    size_t told;             /* of the transaction's decisions */
    struct claims claims;    /* uses of proofs, from its decision until that is carried out */
};

/* At most `most` sessions are served, 0: any number. NULL: no memory. */
struct session *session_new(const struct adapter *adapter, unsigned most);
void session_free(struct session *s);
/* libmilter tells of no end for connections that are open when it ends itself: frees all. */
void sessions_end(void);
/* Says in the log, once a minute, that there are too many. */
void session_tell_surplus(void);

/* The client, by what libmilter has; name and server may be NULL. */
void session_connect(struct session *s, const char *name, const struct sockaddr *address,
                     const char *server, bool sendmail);

/* False: no memory, so that the message has no transaction. */
bool session_mail(struct session *s, const struct mail_event *event);
/* The reply to the recipient. */
const struct reply *session_rcpt(struct session *s, const struct rcpt_event *event,
                                 const char *queue_id);
/* Makes room for the content that is wanted. Done at DATA; at the first event behind it where the
 * MTA does not know DATA. Nothing more is of interest: 0. */
unsigned session_begin_content(struct session *s);
void session_header(struct session *s, const char *name, const char *value);
/* False: no more of it is wanted. */
bool session_body(struct session *s, const void *octets, size_t length);

/* At the last event that is wanted: decides, and logs that. The effects are then to be applied. */
const struct reply *session_decide(struct session *s, const char *queue_id, time_t now);
/* Then: reply is the one that the MTA gets. Records what has gone out and what has been proven, and
 * ends the message. */
void session_settle(struct session *s, const struct reply *reply, time_t now);
void session_message_end(struct session *s);

#endif
