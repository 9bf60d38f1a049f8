/*
 * A sink of decisions that counts them and remembers the kinds of news that outlive a message:
 * which domain signed for the first time, to which a valid tag came back, for which domain the MTA
 * lets unsigned mail out, which relays hand in valid tags, and which clients try tags that no key
 * of ours made.
 */
#ifndef DAEMON_TALLY_H
#define DAEMON_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/decision.h"
#include "store/status_file.h"

struct tally; /* any thread */

struct tally *tally_new(void);
void tally_free(struct tally *tally);

/* The sink; self is the tally. */
void tally_decision(void *self, const struct decision *decision);

/* Calls visit for each domain that signed a message and was not in the ring then. Forget them once
 * they are there. */
void tally_first_signed(struct tally *tally, void (*visit)(void *context, const char *domain),
                        void *context);
/* True where there is any of either. */
bool tally_has_first(struct tally *tally);
void tally_forget_first(struct tally *tally);

/* The same for domains to which a valid tag came back from outside, and not in the ring then. */
void tally_first_tags(struct tally *tally, void (*visit)(void *context, const char *domain),
                      void *context);

/* Calls visit for each domain of which unsigned mail was let out before `auto` rejected for it, and
 * when that was last. */
void tally_relayed(struct tally *tally,
                   void (*visit)(void *context, const char *domain, time_t last), void *context);

/* How many domains are known whose mail from outside the MTA sends on, and relays that handed in a
 * valid tag. Neither ever shrinks but by tally_forget_relays. */
enum { TALLY_HOSTED_MAX = 1000, TALLY_RELAYS_MAX = 500 };
/* Copies the names, sorted; the caller frees each and the array. STATUS_NO_MEMORY. */
enum status tally_hosted(struct tally *tally, char ***names, size_t *count);
enum status tally_relays(struct tally *tally, char ***names, size_t *count);
/* How often either has changed. */
uint64_t tally_observations(struct tally *tally);
/* Forgets the relays that keep is false for. */
void tally_forget_relays(struct tally *tally, bool (*keep)(void *context, const char *client),
                         void *context);

/* Takes over what an earlier daemon had seen. */
void tally_restore(struct tally *tally, const struct status_report *seen);

/* Fills in report's counters, and what the tally has seen. */
void tally_report(struct tally *tally, struct status_report *report);

#endif
