/*
 * The ring in force and its file, the keyring. A look takes a newer ring from the file. A bad or
 * lost file leaves the former ring in force and is logged once; a lost one is written back where
 * that is safe (store/ring_loss.h).
 */
#ifndef DAEMON_RING_WATCH_H
#define DAEMON_RING_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "daemon/snapshot.h"
#include "store/ring_file.h"
#include "store/status_file.h"

struct ring_watch;

/* Loads the ring; the statuses are ring_load's. The watch looks at the file from then on. */
enum status ring_watch_new(const char *state_dir, struct ring_watch **out, struct reason *why);
void ring_watch_free(struct ring_watch *watch);

/* Whoever calls anything below holds lock, once it is set. */
void ring_watch_guard(struct ring_watch *watch, pthread_mutex_t *lock);
/* keys.retain_days: with 0 a lost file is never written back. */
void ring_watch_retain(struct ring_watch *watch, unsigned retain_days);

/* The ring in force; the reference is the watch's. */
struct shared_ring *ring_watch_ring(const struct ring_watch *watch);
/* True: another ring is in force. */
bool ring_watch_look(struct ring_watch *watch);
/* The last look failed for a reason that passes: there may be a newer ring. */
bool ring_watch_is_unread(const struct ring_watch *watch);

/*
 * Changes the keyring and takes the new ring into force; releases the lock while it waits for the
 * disk. False: it failed, which is logged with what was tried, or the file is lost, or the last
 * failure was less than a minute ago. *another becomes true where another ring is in force.
 */
bool ring_watch_change(struct ring_watch *watch, ring_change_fn *change, void *context,
                       const char *what, bool *another);
/* Writes a lost file back if that is due; releases the lock meanwhile. True: another ring is in
 * force. */
bool ring_watch_mend(struct ring_watch *watch, time_t now);

/* Fills in what is wrong with the file, as it was logged. */
void ring_watch_report(const struct ring_watch *watch, struct status_report *report);
/* True once after that has changed. */
bool ring_watch_has_news(struct ring_watch *watch);

#endif
