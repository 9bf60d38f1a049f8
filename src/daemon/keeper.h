/*
 * The keeper of the snapshot in force. It notices what changes outside (the keyring, the pause
 * file, the clock, a reload), does what falls due (rotation, records of first signed mail), writes
 * the status file, and publishes a new snapshot for each change.
 *
 * Its life: batvd loads configuration and ring, and keeper_new makes the first snapshot of them;
 * keeper_start starts the one maintenance thread, which runs keeper.c's table of jobs; workers
 * acquire snapshots and hand over decisions; keeper_stop ends the thread and writes the last
 * report.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include "batv/decision.h"
#include "config/config.h"
#include "daemon/ring_watch.h"
#include "daemon/sample.h"
#include "daemon/snapshot.h"

struct guessing;
struct journal;
struct keeper;

/* Takes config and ring over, also on failure. The process must be state_dir's owner by now.
 * journal_birth as by journal_birth(). NULL: no memory. */
struct keeper *keeper_new(struct config *config, struct ring_watch *ring, time_t journal_birth);

/* Whose state the report includes; NULL: none, and the keeper does not use it from then on. */
void keeper_report_journal(struct keeper *keeper, struct journal *journal);
void keeper_report_guessing(struct keeper *keeper, struct guessing *guessing);

enum status keeper_start(struct keeper *keeper, struct reason *why);

/* For workers; any thread. */

/* A reference to the snapshot in force; release it. */
struct shared_snapshot *keeper_acquire(struct keeper *keeper);
/* The same after a look at the keyring: a tag may be by a key that was made a moment ago. NULL: the
 * system does not let us look now, so nobody knows. */
struct shared_snapshot *keeper_newest(struct keeper *keeper);
/* Hands a decision to every sink. */
void keeper_decide(struct keeper *keeper, const struct decision *decision);
/* The sample of genuine bounces, which the adapter fills. */
struct sample *keeper_sample(const struct keeper *keeper);

void keeper_stop(struct keeper *keeper);
/* After keeper_stop. NULL is allowed. */
void keeper_free(struct keeper *keeper);

#endif
