/*
 * Conversations for the tests of transactions: a site with its domains, keys and clients, and a
 * runner that holds one conversation and writes down all that comes of it, a line each: what is
 * still wanted, refusals at RCPT, effects in their order, the reply, the log lines, and what the
 * message is known by when it comes back.
 *
 * In the texts {WHEN ADDRESS} stands for the address with a tag: {0 a@b} made today, {-1 a@b}
 * yesterday, {bad a@b} with a wrong MAC, {unknown a@b} by a key that nobody has, {next a@b} by a
 * key that only the newer ring has; a + before ADDRESS asks for subaddress syntax. {0 a@b~+c=d.e}
 * has a VERP extension: it was appended to the local part after the tag was made.
 *
 * {evidence ADDRESS,ADDRESS} stands for the evidence header's value for these addresses, made now,
 * {evidence-3 ...} three days ago, {evidence+1 ...} tomorrow, {former ...} by the previous secret,
 * {forged ...} by nobody's.
 */
#ifndef BATV_TEST_CONVERSATION_H
#define BATV_TEST_CONVERSATION_H

#include <stdarg.h>

#include "batv/transaction.h"
#include "fixture.h"

/* ---------------------------------------------------------------- the site */

/* Keys: 0 is over, 1 retained (its last signing day is six days ago), 2 signs. example.com has
 * signed for a month, example.net since yesterday. */
struct site {
    struct settings *settings;
    struct ring *ring;
    struct ring *newer;  /* one rotation further on; its key 3 signs */
    struct ring *all;    /* as ring, and never changed: what tags are made with */
    struct ring *former; /* makes evidence by the previous secret; else of no use */
    struct ring *forger; /* the same by a secret of its own */
    struct snapshot snapshot;
    enum answer answers[FACT_COUNT];
    enum bounce_class class; /* what reading the content tells */
    bool names_message_id;
    size_t network_recipient; /* whose mail goes to a network that forbids signing */
    bool renews;              /* the newer ring is looked at before the end */
    bool no_nonce;            /* there is no randomness */
    const char *mailer;       /* by which the MTA delivers to every recipient */
};

time_t now_of_site(void);

void add_evidence_secret(struct ring *ring, unsigned seed);

enum { FORMER_SECRET = 0xe0, PRESENT_SECRET = 0xe1, FORGED_SECRET = 0xe2 };

struct ring *site_ring(void);

struct site *site_make(void);

/* All of it, as by default; bounces are read as DSNs that name a Message-ID. */
void site_evidence(struct site *site);

void site_free(struct site *site);

/* ----------------------------------------------------------------- clients */

enum who {
    OUTSIDE,
    INSIDE,
    LOCAL,
    SENDMAIL_BS,
    RELAY,
    MAIL_SERVER,
    EXCLUDED_NETWORK,
    EXCLUDED_HOST,
    LIST_HOST,
    NO_SIGN_NETWORK,
    NO_SIGN_HOST,
    NO_SIGN_NETWORK_NAMED,
    WHO_COUNT
};

struct client client_of(enum who who);

/* -------------------------------------------------------------------- text */

enum { TEXT = 32768 };

struct text {
    char out[TEXT];
    size_t used;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

void add_tagged(struct text *text, const struct site *site, const char *when, const char *plain);

/* The evidence header of every message whose Message-ID is not journalled has this nonce, and its
 * Message-ID is made of the other, where it gets one. */
extern const struct nonces site_nonces;
#define SITE_ID "c000000000000000000000000000000d"

/* Copies from, with every {WHEN ADDRESS} replaced. */
void expand(struct text *text, const struct site *site, const char *from);

/* ------------------------------------------------------------ conversations */

struct conversation {
    const char *name;
    enum who who;
    const char *user;
    void (*prepare)(struct site *site);
    const char *sender;
    const char *recipients[6]; /* ESMTP arguments follow behind | */
    const char *expected;
    unsigned marks;          /* result headers that the message brings along */
    const char *headers[12]; /* "Name: value" */
    const char *answers[12]; /* addresses in header fields to which answers go, those of From with
                                "From " before; given last */
};

/* MAIL, without more of what the MTA says. user: who has authenticated, or NULL. */
void give_mail(struct transaction *t, const char *sender, const char *user);

/* RCPT, without more of what the MTA says. */
void give_rcpt(struct transaction *t, const char *recipient);

void give_field(struct transaction *t, const char *name, const char *value);

/* A header field that is this address, to which answers go. */
void give_answer_field(struct transaction *t, const char *name, const char *address);

void give_end(struct transaction *t);

void give_answer(struct transaction *t, const struct question *question, enum answer answer);

/* The reply to the recipient just given: whatever is asked for is answered with no. */
const struct reply *reply_to_recipient(struct transaction *t);

/* RCPT: "address|NOTIFY=NEVER|ORCPT=..." */
void give_recipient(struct transaction *t, const struct site *site, const char *raw,
                    struct text *text);

/* "Name: value" */
void give_header(struct transaction *t, const struct site *site, const char *line);

void give_headers(struct transaction *t, const struct conversation *c, const struct site *site);

/* The content is read when the first of its facts is asked for. */
void answer(struct transaction *t, const struct site *site, const struct question *question);

/* The body is wanted just where something is asked that it answers. */
void decide(struct transaction *t, const struct site *site);

struct transaction *hold(const struct conversation *c, const struct site *site,
                         const struct client *client, struct text *text);

/* Holds it at a site of its own, and compares all that comes of it. */
void check_conversation(const struct conversation *c);

#endif
