/*
 * What the running daemon says of itself, and what it has seen of mail: the content of the file
 * `status`.
 */
#ifndef STORE_STATUS_REPORT_H
#define STORE_STATUS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/text_pool.h"

/* One thing that was seen. Each list has its own use for some of these, and leaves the others. */
struct status_row {
    const char *domain; /* of ours, as in the configuration */
    const char *client; /* its address as text */
    const char *name;
    uint64_t count;
    uint64_t known;
    time_t last;
    time_t until;
    time_t held;
};

struct status_rows {
    struct status_row *rows;
    size_t count;
};

struct status_report {
    const char *version;
    const char *listen; /* where it listens, which a reload does not change: as config.h has it */
    long pid;
    time_t started;
    time_t written;
    uint64_t generation;  /* of the ring in force */
    long active_key;      /* -1: none */
    time_t next_rotation; /* 0: none due, by configuration */
    bool paused;
    bool clock_wrong;
    time_t
        clock_until; /* it jumped, and is trusted from then on if it runs evenly; 0: see the ring */
    time_t journal_waits;      /* until then the journal may not know what comes back; 0: it does */
    uint64_t journal_pending;  /* its entries that are in memory only */
    const char *journal_error; /* why the journal is not written; "" where it is */
    time_t loaded;             /* when the configuration in force was loaded */
    const char *reload_error;  /* of the last attempt, "" where it went well */
    const char *ring_error;    /* likewise for the keyring */
    const char *ring_back;     /* whether the daemon writes it back: see ring_back_name */
    const char *log_target;    /* "syslog", "stderr" or "journald", as configured */
    const char *log_place;     /* where lines go: one of these, or "nowhere" */
    time_t log_since;          /* since when that is not the target; 0: it is */
    uint64_t log_lost;         /* lines that standard error did not take */
    const char *log_error;     /* why lines do not go to the target, or vanish; "" otherwise */
    uint64_t domains_all;      /* in the configuration */
    uint64_t domains_logging;  /* whose forged bounces are only logged, for whatever reason */
    uint64_t bounces_judged;   /* recipients of bounces */
    uint64_t bounces_from_servers; /* how many of the latest came from mail_servers, one by one */
    uint64_t bounces_from_one;     /* from the same address */
    const char *bounce_client;     /* address as text of the latest; "" for none */
    uint64_t would_reject;         /* recipients of bounces that `auto` or a pause only logged */
    time_t would_reject_since;     /* when counting them began, over restarts; 0: unknown */
    time_t would_reject_last;      /* 0: none */

    /* Mail in a domain's name that passed unsigned: a row a domain, client and recipient's domain
     * (name). held: the last that came before `auto` rejected for the domain; 0: none. */
    struct status_rows relayed;
    struct status_rows hosted; /* domains (name) that the MTA takes mail of strangers for and sends
                                  it on */
    struct status_rows relays; /* clients (name) in `relays` that have handed in a valid tag */
    struct status_rows returned; /* of a domain, bounces with a valid tag that were read: those that
                                    name a Message-ID (count), and of them those that name one in
                                    the journal (known) */
    struct status_rows forged;   /* clients that tried tags which no key of ours made: recipients */
    struct status_rows guessed;  /* addresses (name) for which many wrong tags came; from `until` on
                                    bounces to them are judged as before */
    struct status_rows excluded; /* rules (name) that accept bounces unread: recipients */
    struct status_rows counters; /* name: "signed", "sign-skip", "result.RESULT" ... */

    struct text_pool texts; /* what the report owns of the strings */
    bool failed;            /* for lack of memory something is missing */
};

/* A copy of text (NULL: of "") that the report owns. Without memory "", and report->failed. */
const char *status_keep(struct status_report *report, const char *text);
/* Adds a copy of row to one of report's lists. Without memory: report->failed. */
void status_add(struct status_report *report, struct status_rows *rows,
                const struct status_row *row);
/* Adds an empty row, whose strings are "". NULL: no memory. */
struct status_row *status_add_empty(struct status_report *report, struct status_rows *rows);
/* Makes one row a domain and client of what was relayed: the name is the latest's. */
void status_relayed_merge(struct status_report *report);
/* Frees what the report holds, and makes it empty. */
void status_report_free(struct status_report *report);

#endif
