/*
 * Which addresses are under guessing: too many different tags that no key of ours made came for one
 * plain address within an hour. Addresses that differ only behind a `+` are one, since most MTAs
 * deliver them to one mailbox. In memory only, bounded, for several threads.
 */
#ifndef DAEMON_GUESSING_H
#define DAEMON_GUESSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    GUESSING_TAGS = 100,      /* different wrong tags that an address may get */
    GUESSING_SECONDS = 3600,  /* within this time */
    GUESSING_ADDRESSES = 1024 /* that are watched at a time */
};

struct guessing;
struct oracle_set;
struct status_report;

/* NULL: no memory. */
struct guessing *guessing_new(void);
void guessing_free(struct guessing *guessing);

/* A wrong tag (K, DDD and the MAC as one number) came on address, which may be plain with a VERP
 * extension. One that has come before does not count. True: plain has just come under guessing. */
bool guessing_note(struct guessing *guessing, const char *plain, const char *address, uint64_t tag,
                   time_t now);
/* Under guessing, until the hour is over that began with its first wrong tag. */
bool guessing_holds(struct guessing *guessing, const char *plain, time_t now);
/* Fills in the report's addresses under guessing. */
void guessing_report(struct guessing *guessing, time_t now, struct status_report *report);

/* The row for FACT_GUESSING: notes the recipient's tag, if it is wrong, and says in the log when an
 * address comes under guessing. */
void guessing_oracle(struct guessing *guessing, struct oracle_set *out);

#endif
