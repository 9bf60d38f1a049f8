/*
 * The maintenance thread: it runs a table of jobs again and again, and takes the reload signal.
 */
#ifndef DAEMON_MAINTENANCE_H
#define DAEMON_MAINTENANCE_H

#include <stddef.h>
#include <time.h>

struct job {
    const char *name;
    unsigned period_ms; /* 0: only when the reload signal has come */
    void (*run)(void *self, time_t now);
};

struct maintenance;

/* Blocks, in the calling thread and all that it starts later, the signals that this thread and
 * libmilter's wait for: SIGUSR1, SIGHUP, SIGINT, SIGTERM. Call it before there is any other thread.
 */
void maintenance_block_signals(void);

/* Starts the thread. jobs, of count, and self must outlive it. NULL: no memory or no thread. */
struct maintenance *maintenance_start(const struct job jobs[], size_t count, void *self);

/* Ends the thread, between two jobs, and frees. NULL is allowed. */
void maintenance_stop(struct maintenance *maintenance);

#endif
