/*
 * Everything that a decision may depend on. transaction.c and recipient.c fill these in; policy.c
 * decides by them and looks up nothing itself. What costs I/O is a fact, asked for by name.
 */
#ifndef BATV_FACTS_H
#define BATV_FACTS_H

#include <stdbool.h>
#include <time.h>

#include "batv/address.h"
#include "batv/ip.h"
#include "batv/settings.h"
#include "batv/tag.h"

/* Facts that cost I/O; what each is says the table in facts.c. */
enum fact {
    FACT_TAG_IN_BODY,
    FACT_HEADER,
    FACT_JOURNAL,
    FACT_PATTERN,
    FACT_CLASS,
    FACT_UNTAGGABLE,
    FACT_RCPT_NETWORK,
    FACT_GUESSING,
    FACT_COUNT
};

struct fact_row {
    const char *proof; /* its name as a proof that the message which a bounce returns was ours: as
                          in the log, and behind "evidence." in its rule; NULL: it is none */
    bool reads;        /* the content of a bounce: not asked at RCPT */
    bool of_message;   /* asked once for the message, and kept there; else for each recipient */
    bool (*is_on)(const struct settings *settings); /* by the configuration */
};
const struct fact_row *fact_row(enum fact fact);
/* The words behind proof= in the log, by number: those of the facts, then "exhausted" and "none";
 * NULL: there are no more. */
enum { PROOF_NAMES_MAX = FACT_COUNT + 2 };
const char *proof_name(size_t index);
/* False where the settings of a recipient's domain leave the fact nothing to say. */
bool fact_concerns(enum fact fact, const struct domain_settings *domain);

enum answer {
    ANSWER_UNASKED,
    ANSWER_NO,
    ANSWER_YES,
    ANSWER_EXHAUSTED,  /* it would be yes, had it not been used up: no proof */
    ANSWER_OVERLOADED, /* too much to look at just now: at most deferred */
    ANSWER_UNAVAILABLE /* it cannot be asked: never a ground to reject, on_error answers instead */
};

/* Who talks to the MTA. The strings belong to whoever made it. */
struct client {
    const char *name;    /* the host name as the MTA verified it, NULL: none. Never the HELO */
    const char *address; /* as text; NULL: none */
    struct ip ip;        /* all zero where address is NULL */
    bool local;          /* a local process, see client_is_local */
    bool sendmail;       /* the MTA names its interface, which Postfix does not */
    const char *server;  /* the MTA's name for itself, NULL: it has not said */
};

/* Port 0 with a loopback address (Postfix's sendmail(1) and own bounces), or no address and the
 * name localhost (Sendmail -bs). Port 0 alone is not enough: a proxy's XCLIENT can bring that
 * about. */
bool client_is_local(const char *name, const struct ip *ip, unsigned port);

struct message_facts {
    bool bounce;         /* null sender, or one that matches bounce_senders */
    bool has_sender;     /* its sender is not the null sender */
    bool submission;     /* by a local process, an authenticated or an internal client, no relay */
    bool local;          /* by a local process */
    bool relay_unproven; /* by a client in relays that has not handed in a valid tag yet */
    bool logged_in;      /* by an authenticated client */
    bool authenticated;  /* the same, and exclude.authenticated is on */
    bool paused;
    bool on_error_accepts;     /* on_error = "accept" */
    enum action forged_sender; /* verify.forged_sender, where the sender bears a tag of a domain
                                  of ours that no key made and nobody submits it; else
                                  ACTION_ACCEPT */
    bool sender_waits;         /* `auto` waits for that domain */
    bool at_rcpt;              /* judged before the content: no evidence */
    bool asks[FACT_COUNT];     /* by the configuration */
    enum answer answers[FACT_COUNT]; /* of those that are of the message */
    enum bounce_class class;         /* BOUNCE_UNREAD until the content has been read */
    bool guesses;                    /* a bounce that tries several tags: see rule guessing */
    bool names_message_id;        /* the content names a Message-ID that is not the bounce's own */
    const char *mail_server;      /* the entries that match the client; NULL: none */
    const char *excluded_network; /* exclude.networks */
    const char *excluded_host;    /* exclude.hosts */
    const char *unsigned_host; /* exclude_sign.recipients, an entry for the client's whole domain */
};

struct recipient_facts {
    struct tag_check check;
    const char *excluded;    /* exclude.recipients; NULL: none */
    bool too_long;           /* its tagged form would be, so it never gets a tag */
    bool unknown_untaggable; /* such an address, of which the journal cannot say that it never sent:
                                there is none, or it does not reach back far enough */
    bool own_name;       /* of the host: judged as in the first of `domains`, which does not sign */
    bool key_missed;     /* the tag's key was revoked before its tags expired: rule key-gone */
    bool journal_young;  /* the journal does not reach back as far as `auto` waits */
    bool marks_expected; /* other marks of ours than tags are old enough to be expected */
    bool ids_rewritten;  /* the domain's Message-IDs do not come back as they went out */
    enum auto_state auto_state;
    unsigned lifetime_days;
    enum answer answers[FACT_COUNT]; /* of those that are of a recipient */
};

/* Fills in all that follows from the client, for a message whose sender says whether it is a
 * bounce. user: the authenticated one, NULL: none. */
void facts_of_client(struct message_facts *facts, const struct snapshot *snapshot,
                     const struct client *client, const char *user);
/* A name that every host has for its own mailboxes (localhost, an address literal, {j}, none); one
 * that stands in `domains` is like others. */
bool facts_is_own_name(const struct settings *settings, const struct client *client,
                       const struct address *address);

#endif
