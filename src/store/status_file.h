/*
 * The file `status` in the state folder: what the running daemon tells about itself, and what it
 * has seen of mail. batvctl reads it, and so does the next daemon at its start. Text, a line an
 * item, replaced as a whole every ten seconds and at events, and so a sign that the daemon lives.
 * The states of domains are not in it: they follow from configuration, keyring and this file
 * (daemon/file_snapshot.h).
 */
#ifndef STORE_STATUS_FILE_H
#define STORE_STATUS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/status.h"

/* Mail in a domain's name that passed unsigned: one line a domain, client and recipient domain. */
struct status_relayed {
    char *domain;
    char *client;    /* address as text */
    char *recipient; /* a domain */
    uint64_t count;
    time_t last;
    time_t held; /* the last that came before `auto` rejected for the domain; 0: none */
};

/* A domain that the MTA takes mail of strangers for and sends it on. */
struct status_hosted {
    char *name;
};

/* A client in `relays` that has handed in a valid tag. */
struct status_relay {
    char *client; /* address as text */
};

/* Bounces with a valid tag that were read: those that name a Message-ID, and of them those that
 * name one in the journal. */
struct status_returned {
    char *domain;
    uint64_t named, known;
};

/* A client that tried tags which no key of ours made. */
struct status_forged {
    char *client;   /* address as text */
    uint64_t count; /* recipients */
    time_t last;
};

/* A rule that accepts bounces unread, and how many recipients' it did. */
struct status_excluded {
    char *rule;
    uint64_t count;
};

/* An address for which many wrong tags came. */
struct status_guessed {
    char *address;
    time_t until; /* then bounces to it are judged as before */
};

struct status_counter {
    char *name; /* "signed", "sign-skip", "result.RESULT", "action.ACTION" ... */
    uint64_t value;
};

/* All strings are owned. */
struct status_report {
    char *version;
    char *listen; /* where it listens, which a reload does not change: as config.h has it */
    long pid;
    time_t started;
    time_t written;
    uint64_t generation;  /* of the ring in force */
    int active_key;       /* -1: none */
    time_t next_rotation; /* 0: none due, by configuration */
    bool paused;
    bool clock_wrong;
    time_t
        clock_until; /* it jumped, and is trusted from then on if it runs evenly; 0: see the ring */
    time_t journal_waits;     /* until then the journal may not know what comes back; 0: it does */
    time_t loaded;            /* when the configuration in force was loaded */
    char *reload_error;       /* of the last attempt, "" where it went well */
    char *ring_error;         /* likewise for the keyring */
    char *ring_back;          /* whether the daemon writes it back: see ring_back_name */
    char *journal_error;      /* why the journal is not written; "" where it is */
    uint64_t journal_pending; /* its entries that are in memory only */
    char *log_target;         /* "syslog", "stderr" or "journald", as configured */
    char *log_place;          /* where lines go: one of these, or "nowhere" */
    time_t log_since;         /* since when that is not the target; 0: it is */
    uint64_t log_lost;        /* lines that standard error did not take */
    char *log_error;          /* why lines do not go to the target, or vanish; "" otherwise */
    uint64_t domains_all;     /* in the configuration */
    uint64_t domains_logging; /* whose forged bounces are only logged, for whatever reason */
    struct status_relayed *relayed;
    size_t relayed_count;
    struct status_hosted *hosted;
    size_t hosted_count;
    struct status_relay *relays;
    size_t relay_count;
    struct status_returned *returned;
    size_t returned_count;
    struct status_forged *forged;
    size_t forged_count;
    struct status_guessed *guessed;
    size_t guessed_count;
    uint64_t bounces_judged;       /* recipients of bounces */
    uint64_t bounces_from_servers; /* how many of the latest came from mail_servers, one by one */
    uint64_t bounces_from_one;     /* from the same address */
    char *bounce_client;           /* address as text of the latest; "" for none */
    uint64_t would_reject;         /* recipients of bounces that `auto` or a pause only logged */
    time_t would_reject_since;     /* when counting them began, over restarts; 0: unknown */
    time_t would_reject_last;      /* 0: none */
    struct status_excluded *excluded;
    size_t excluded_count;
    struct status_counter *counters;
    size_t counter_count;
};

enum status status_file_write(const char *state_dir, const struct status_report *report,
                              struct reason *why);
/* STATUS_NOT_FOUND where there is none; STATUS_INVALID where it is damaged. */
enum status status_file_read(const char *state_dir, struct status_report *out, struct reason *why);
/* Makes one line a domain and client of what was relayed: recipient is the latest's. */
void status_relayed_merge(struct status_report *report);
/* Frees what a read report holds. */
void status_report_free(struct status_report *report);

#endif
