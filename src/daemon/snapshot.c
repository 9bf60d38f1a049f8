/*
 * Versions and their parts are counted by atomics; the current one is read under a mutex that is
 * held for two instructions. Whoever drops the last reference frees; secrets are wiped by
 * ring_free.
 */
#include "daemon/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct shared_config {
    atomic_uint references;
    struct config *config;
};

struct shared_ring {
    atomic_uint references;
    struct ring *ring;
};

struct version {
    atomic_uint references;
    struct shared_config *config;
    struct shared_ring *ring;
    time_t *relayed;
    bool *ids_rewritten;
    char **hosted;
    size_t hosted_count;
    struct network_list *proven;
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

static void version_free(struct version *version)
{
    for (size_t i = 0; i < version->hosted_count; i++) {
        free(version->hosted[i]);
    }
    free(version->hosted);
    network_list_free(version->proven);
    free(version->relayed);
    free(version->ids_rewritten);
    free(version);
}

static bool copy_observed(struct version *version, const struct observed *observed, size_t rules)
{
    size_t bad;
    if (observed->relayed != NULL && rules > 0) {
        version->relayed = calloc(rules, sizeof *version->relayed);
        if (version->relayed == NULL) {
            return false;
        }
        memcpy(version->relayed, observed->relayed, rules * sizeof *version->relayed);
    }
    if (observed->ids_rewritten != NULL && rules > 0) {
        version->ids_rewritten = calloc(rules, sizeof *version->ids_rewritten);
        if (version->ids_rewritten == NULL) {
            return false;
        }
        memcpy(version->ids_rewritten, observed->ids_rewritten,
               rules * sizeof *version->ids_rewritten);
    }
    version->hosted = calloc(observed->hosted_count + 1, sizeof *version->hosted);
    for (size_t i = 0; version->hosted != NULL && i < observed->hosted_count; i++) {
        version->hosted[i] = strdup(observed->hosted[i]);
        if (version->hosted[i] == NULL) {
            return false;
        }
        version->hosted_count++;
    }
    return version->hosted != NULL && network_list_new(observed->proven, observed->proven_count,
                                                       &version->proven, &bad) == STATUS_OK;
}

struct version *version_new(struct shared_config *config, struct shared_ring *ring,
                            const struct observed *observed, time_t journal_birth, bool paused,
                            bool clock_wrong)
{
    struct version *version = calloc(1, sizeof *version);
    if (version == NULL) {
        return NULL;
    }
    if (!copy_observed(version, observed, config->config->settings->rules_count)) {
        version_free(version);
        return NULL;
    }
    atomic_init(&version->references, 1);
    take_reference(&config->references);
    take_reference(&ring->references);
    version->config = config;
    version->ring = ring;
    version->snapshot = (struct snapshot){.settings = config->config->settings,
                                          .ring = ring->ring,
                                          .journal_birth = journal_birth,
                                          .relayed = version->relayed,
                                          .ids_rewritten = version->ids_rewritten,
                                          .hosted = (const char *const *)version->hosted,
                                          .hosted_count = version->hosted_count,
                                          .hosted_full = observed->hosted_full,
                                          .proven = version->proven,
                                          .paused = paused,
                                          .clock_wrong = clock_wrong};
    return version;
}

const struct snapshot *version_snapshot(const struct version *version)
{
    return &version->snapshot;
}

struct shared_config *version_share_config(const struct version *version)
{
    take_reference(&version->config->references);
    return version->config;
}

void version_release(struct version *version)
{
    if (version != NULL && drop_reference(&version->references)) {
        shared_config_release(version->config);
        shared_ring_release(version->ring);
        version_free(version);
    }
}

void current_init(struct current *current, struct version *version)
{
    pthread_mutex_init(&current->lock, NULL);
    current->version = version;
}

void current_destroy(struct current *current)
{
    version_release(current->version);
    pthread_mutex_destroy(&current->lock);
}

struct version *current_acquire(struct current *current)
{
    pthread_mutex_lock(&current->lock);
    struct version *version = current->version;
    take_reference(&version->references);
    pthread_mutex_unlock(&current->lock);
    return version;
}

void current_publish(struct current *current, struct version *version)
{
    pthread_mutex_lock(&current->lock);
    struct version *former = current->version;
    current->version = version;
    pthread_mutex_unlock(&current->lock);
    version_release(former);
}
