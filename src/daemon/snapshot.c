/*
 * Snapshots and their parts are counted by atomics; the one in force is read under a mutex that is
 * held for two instructions. Whoever drops the last reference frees; secrets are wiped by
 * ring_free.
 */
#include "daemon/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>

struct shared_config {
    atomic_uint references;
    struct config *config;
};

struct shared_ring {
    atomic_uint references;
    struct ring *ring;
};

struct shared_snapshot {
    atomic_uint references;
    struct shared_config *config;
    struct shared_ring *ring;
    struct observed observed;
    struct snapshot snapshot;
};

/* True: that was the last one. */
static bool drop_reference(atomic_uint *references)
{
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

static void take_reference(atomic_uint *references)
{
    atomic_fetch_add_explicit(references, 1, memory_order_relaxed);
}

struct shared_config *shared_config_new(struct config *config)
{
    struct shared_config *shared = malloc(sizeof *shared);
    if (shared == NULL) {
        config_free(config);
        return NULL;
    }
    atomic_init(&shared->references, 1);
    shared->config = config;
    return shared;
}

struct shared_ring *shared_ring_new(struct ring *ring)
{
    struct shared_ring *shared = malloc(sizeof *shared);
    if (shared == NULL) {
        ring_free(ring);
        return NULL;
    }
    atomic_init(&shared->references, 1);
    shared->ring = ring;
    return shared;
}

const struct config *shared_config_get(const struct shared_config *shared)
{
    return shared->config;
}

const struct ring *shared_ring_get(const struct shared_ring *shared)
{
    return shared->ring;
}

struct shared_ring *shared_ring_share(struct shared_ring *shared)
{
    take_reference(&shared->references);
    return shared;
}

void shared_config_release(struct shared_config *shared)
{
    if (shared != NULL && drop_reference(&shared->references)) {
        config_free(shared->config);
        free(shared);
    }
}

void shared_ring_release(struct shared_ring *shared)
{
    if (shared != NULL && drop_reference(&shared->references)) {
        ring_free(shared->ring);
        free(shared);
    }
}

void observed_free(struct observed *observed)
{
    for (size_t i = 0; i < observed->hosted_count; i++) {
        free(observed->hosted[i]);
    }
    free(observed->hosted);
    free(observed->relayed);
    free(observed->ids_rewritten);
    network_list_free(observed->proven);
}

bool observed_begin(struct observed *observed, const struct settings *settings)
{
    *observed = (struct observed){.settings = settings};
    observed->relayed = calloc(settings->domain_count + 1, sizeof *observed->relayed);
    observed->ids_rewritten = calloc(settings->domain_count + 1, sizeof *observed->ids_rewritten);
    return observed->relayed != NULL && observed->ids_rewritten != NULL;
}

void observed_note_relayed(void *self, const char *name, time_t last)
{
    struct observed *observed = self;
    const struct domain_settings *domain = settings_domain_named(observed->settings, name);
    if (domain != NULL && observed->relayed[domain - observed->settings->domain] < last) {
        observed->relayed[domain - observed->settings->domain] = last;
    }
}

void observed_note_rewritten(void *self, const char *name)
{
    struct observed *observed = self;
    const struct domain_settings *domain = settings_domain_named(observed->settings, name);
    if (domain != NULL) {
        observed->ids_rewritten[domain - observed->settings->domain] = true;
    }
}

struct shared_snapshot *shared_snapshot_new(const struct snapshot_parts *parts)
{
    struct observed observed = parts->observed;
    struct shared_snapshot *shared = malloc(sizeof *shared);
    if (shared == NULL) {
        observed_free(&observed);
        return NULL;
    }
    atomic_init(&shared->references, 1);
    take_reference(&parts->config->references);
    take_reference(&parts->ring->references);
    shared->config = parts->config;
    shared->ring = parts->ring;
    shared->observed = observed;
    shared->snapshot = (struct snapshot){.settings = parts->config->config->settings,
                                         .ring = parts->ring->ring,
                                         .journal_birth = parts->journal_birth,
                                         .relayed = observed.relayed,
                                         .ids_rewritten = observed.ids_rewritten,
                                         .hosted = (const char *const *)observed.hosted,
                                         .hosted_count = observed.hosted_count,
                                         .hosted_full = observed.hosted_full,
                                         .proven = observed.proven,
                                         .paused = parts->paused,
                                         .clock_wrong = parts->clock_wrong};
    return shared;
}

const struct snapshot *shared_snapshot_get(const struct shared_snapshot *shared)
{
    return &shared->snapshot;
}

struct shared_config *shared_snapshot_config(const struct shared_snapshot *shared)
{
    take_reference(&shared->config->references);
    return shared->config;
}

void shared_snapshot_release(struct shared_snapshot *shared)
{
    if (shared != NULL && drop_reference(&shared->references)) {
        shared_config_release(shared->config);
        shared_ring_release(shared->ring);
        observed_free(&shared->observed);
        free(shared);
    }
}

void current_init(struct current *current, struct shared_snapshot *snapshot)
{
    pthread_mutex_init(&current->lock, NULL);
    current->snapshot = snapshot;
}

void current_destroy(struct current *current)
{
    shared_snapshot_release(current->snapshot);
    pthread_mutex_destroy(&current->lock);
}

struct shared_snapshot *current_acquire(struct current *current)
{
    pthread_mutex_lock(&current->lock);
    struct shared_snapshot *snapshot = current->snapshot;
    take_reference(&snapshot->references);
    pthread_mutex_unlock(&current->lock);
    return snapshot;
}

void current_publish(struct current *current, struct shared_snapshot *snapshot)
{
    pthread_mutex_lock(&current->lock);
    struct shared_snapshot *former = current->snapshot;
    current->snapshot = snapshot;
    pthread_mutex_unlock(&current->lock);
    shared_snapshot_release(former);
}
