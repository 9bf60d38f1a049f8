/*
 * The keeper of the snapshot in force: it notices what changes outside (the keyring, the pause
 * file, the clock, a reload), does what falls due (rotation, records of first signed mail), writes
 * the status file, and publishes a new snapshot for each change.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include "batv/decision.h"
#include "config/config.h"
#include "daemon/ring_watch.h"
#include "daemon/sample.h"
#include "daemon/snapshot.h"

struct keeper;

/* Takes config and ring over, also on failure. The process must be state_dir's owner by now.
 * journal_birth as by journal_birth(). NULL: no memory. */
struct keeper *keeper_new(struct config *config, struct ring_watch *ring, time_t journal_birth);
/* After keeper_stop. */
void keeper_free(struct keeper *keeper);

/* What the report is to say of addresses under guessing; NULL: nothing, and from then on the keeper
 * does not look at it any more. */
struct guessing;
void keeper_tell_guessing(struct keeper *keeper, struct guessing *guessing);

/* Whose state the report is to tell; NULL: none, and from then on the keeper does not look at it
 * any more. */
struct journal;
void keeper_tell_journal(struct keeper *keeper, struct journal *journal);

/* Starts and ends the maintenance thread. */
enum status keeper_start(struct keeper *keeper, struct reason *why);
void keeper_stop(struct keeper *keeper);

/* A reference to the snapshot in force; any thread. Release it. */
struct shared_snapshot *keeper_acquire(struct keeper *keeper);
/* The same after a look at the keyring: a tag may be by a key that was made a moment ago. NULL: the
 * system does not let us look now, so nobody knows. */
struct shared_snapshot *keeper_newest(struct keeper *keeper);

/* The sample of genuine bounces, which the adapter fills. */
struct sample *keeper_sample(const struct keeper *keeper);

/* Hands a decision to every sink; any thread. */
void keeper_decide(struct keeper *keeper, const struct decision *decision);

#endif
