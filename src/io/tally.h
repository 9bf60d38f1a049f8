/*
 * A sink of decisions that counts them and remembers the kinds of news that outlive a message:
 * which domain signed for the first time, for which domain the MTA lets unsigned mail out, and
 * which clients try tags that no key of ours made.
 */
#ifndef IO_TALLY_H
#define IO_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/decision.h"
#include "io/status_file.h"

struct tally; /* any thread */

struct tally *tally_new(void);
void tally_free(struct tally *tally);

/* The sink; self is the tally. */
void tally_decision(void *self, const struct decision *decision);

/* Calls visit for each domain that signed a message and was not in the ring then. Forget them once
 * they are. */
void tally_first_signed(struct tally *tally, void (*visit)(void *context, const char *domain),
                        void *context);
bool tally_has_first_signed(struct tally *tally);
void tally_forget_first_signed(struct tally *tally);

/* Calls visit for each domain of which unsigned mail was let out, and when that was last. */
void tally_relayed(struct tally *tally,
                   void (*visit)(void *context, const char *domain, time_t last), void *context);
/* Takes over what an earlier daemon had seen. */
void tally_relayed_add(struct tally *tally, const struct status_relayed *seen);

/* Fills in report's counters, relayed and forged, in no order; false: no memory. The report owns
 * all of it either way. */
bool tally_report(struct tally *tally, struct status_report *report);

#endif
