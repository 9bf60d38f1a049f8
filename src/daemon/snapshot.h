/*
 * Snapshots: the configuration, the ring and the moment's switches, put together into one
 * immutable, reference-counted whole. A message takes the one in force at MAIL and keeps it to its
 * end; whoever changes something makes a new one and swaps a pointer.
 */
#ifndef DAEMON_SNAPSHOT_H
#define DAEMON_SNAPSHOT_H

#include <pthread.h>
#include <stdbool.h>

#include "batv/settings.h"
#include "config/config.h"

/* Configuration and ring are shared by successive snapshots. */
struct shared_config;
struct shared_ring;
/* Take over config or ring, with one reference. NULL: no memory; then it is freed. */
struct shared_config *shared_config_new(struct config *config);
struct shared_ring *shared_ring_new(struct ring *ring);
const struct config *shared_config_get(const struct shared_config *shared);
const struct ring *shared_ring_get(const struct shared_ring *shared);
/* A further reference; release it too. */
struct shared_ring *shared_ring_share(struct shared_ring *shared);
void shared_config_release(struct shared_config *shared);
void shared_ring_release(struct shared_ring *shared);

/* What mail has shown, by which `auto` goes: the snapshot's members of these names. */
struct observed {
    const struct settings *settings; /* whose domains these are; NULL: nothing can be noted */
    time_t *relayed;                 /* for each of the settings' domains; NULL: none */
    bool *ids_rewritten;             /* likewise */
    char **hosted;                   /* sorted by strcmp */
    size_t hosted_count;
    bool hosted_full;
    struct network_list *proven;
};
/* Nothing seen yet, with room for each of the settings' domains. False: no memory; free it as well.
 */
bool observed_begin(struct observed *observed, const struct settings *settings);
/* Visitors; a name that is none of the settings' domains says nothing. self: struct observed. */
void observed_note_relayed(void *self, const char *domain, time_t last);
void observed_note_rewritten(void *self, const char *domain);
/* Frees what it holds. */
void observed_free(struct observed *observed);

struct snapshot_parts {
    struct shared_config *config;
    struct shared_ring *ring;
    struct observed observed;
    time_t journal_birth;
    bool paused;
    bool clock_wrong;
};

struct shared_snapshot;
/* Takes over what was observed, also on failure, and references of its own to config and ring.
 * NULL: no memory. */
struct shared_snapshot *shared_snapshot_new(const struct snapshot_parts *parts);
/* Valid as long as the reference is held. */
const struct snapshot *shared_snapshot_get(const struct shared_snapshot *shared);
/* A reference to the configuration alone, without the keys; release it. */
struct shared_config *shared_snapshot_config(const struct shared_snapshot *shared);
void shared_snapshot_release(struct shared_snapshot *shared);

/* The place where the snapshot in force stands. */
struct current {
    pthread_mutex_t lock;
    struct shared_snapshot *snapshot;
};
/* Takes over snapshot. */
void current_init(struct current *current, struct shared_snapshot *snapshot);
void current_destroy(struct current *current);
/* A reference to the snapshot in force; release it. */
struct shared_snapshot *current_acquire(struct current *current);
/* Puts snapshot, which is taken over, in the place. */
void current_publish(struct current *current, struct shared_snapshot *snapshot);

#endif
