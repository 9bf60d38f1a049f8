/*
 * A sink of decisions that counts which exclusions accept bounces, and notices where all bounces
 * come from one place: behind a proxy or a container network that hides its clients an exclusion by
 * address accepts every forged bounce.
 */
#ifndef DAEMON_EXCLUSIONS_H
#define DAEMON_EXCLUSIONS_H

#include <stdbool.h>

#include "batv/decision.h"
#include "store/status_file.h"

struct exclusions; /* any thread */

struct exclusions *exclusions_new(void);
void exclusions_free(struct exclusions *exclusions);

/* The sink; self is the exclusions. */
void exclusions_decision(void *self, const struct decision *decision);

/* Takes over what an earlier daemon had seen of where bounces came from. */
void exclusions_restore(struct exclusions *exclusions, const struct status_report *seen);

/* Fills in report's excluded, and what it says of bounces. */
void exclusions_report(struct exclusions *exclusions, struct status_report *report);

#endif
