/*
 * Versions: the configuration, the ring and the moment's switches, put together into one immutable,
 * reference-counted whole. A message takes the current one at MAIL and keeps it to its end; whoever
 * changes something makes a new one and swaps a pointer.
 */
#ifndef DAEMON_SNAPSHOT_H
#define DAEMON_SNAPSHOT_H

#include <pthread.h>
#include <stdbool.h>

#include "batv/rules.h"
#include "config/config.h"

/* Configuration and ring are shared by successive versions. */
struct shared_config;
struct shared_ring;
/* Take over config or ring, with one reference. NULL: no memory; then it is freed. */
struct shared_config *shared_config_new(struct config *config);
struct shared_ring *shared_ring_new(struct ring *ring);
const struct config *shared_config_get(const struct shared_config *shared);
const struct ring *shared_ring_get(const struct shared_ring *shared);
void shared_config_release(struct shared_config *shared);
void shared_ring_release(struct shared_ring *shared);

/* What has been seen of mail, by which `auto` goes. The snapshot's members of these names. */
struct observed {
    const time_t *relayed;     /* one for each of the settings' rules; NULL: none */
    const bool *ids_rewritten; /* likewise */
    const char *const *hosted; /* sorted by strcmp */
    size_t hosted_count;
    bool hosted_full;
    const char *const *proven; /* addresses as text */
    size_t proven_count;
};

struct version;
/* Takes references of its own to config and ring, and copies what was observed. NULL: no memory. */
struct version *version_new(struct shared_config *config, struct shared_ring *ring,
                            const struct observed *observed, time_t journal_birth, bool paused,
                            bool clock_wrong);
/* Valid as long as the reference is held. */
const struct snapshot *version_snapshot(const struct version *version);
/* A reference to the configuration alone, without the keys; release it. */
struct shared_config *version_share_config(const struct version *version);
void version_release(struct version *version);

/* The place where the current version stands. */
struct current {
    pthread_mutex_t lock;
    struct version *version;
};
/* Takes over version. */
void current_init(struct current *current, struct version *version);
void current_destroy(struct current *current);
/* A reference to the current version; release it. */
struct version *current_acquire(struct current *current);
/* Puts version, which is taken over, in the place. */
void current_publish(struct current *current, struct version *version);

#endif
