/*
 * One mutex guards everything here that changes. The maintenance thread and, seldom, a worker that
 * doubts a tag hold it while they look at a file, but not while they write one. Only the
 * maintenance thread changes the configuration, so it may read that without the lock. The snapshot
 * in force has a lock of its own: a worker that only wants it never waits for a file.
 *
 * While the clock is not trusted (daemon/clock_trust.h) nothing that bears a date is written, and
 * `auto` rejects nothing.
 */
#include "daemon/keeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/systemd.h"
#include "daemon/awaited.h"
#include "daemon/clock.h"
#include "daemon/decision_log.h"
#include "daemon/exclusions.h"
#include "daemon/guessing.h"
#include "daemon/maintenance.h"
#include "daemon/observations.h"
#include "daemon/reload.h"
#include "daemon/report_writer.h"
#include "daemon/rotation.h"
#include "daemon/tally.h"
#include "store/pause.h"
#include "store/status_file.h"

enum { LOOK_MS = 500, KEYS_MS = 1000, STATUS_MS = 10000, TIDY_MS = 3600000 };

struct keeper {
    struct current current;
    struct ring_watch *ring;
    struct rotation rotation;
    struct tally *tally;
    struct sample *sample;
    struct exclusions *exclusions;
    struct observations observations;
    struct maintenance *maintenance;

    pthread_mutex_t lock;
    struct guessing *guessing;
    struct journal *journal; /* NULL: not reported */
    struct shared_config *config;
    time_t journal_birth;
    char *state_dir, *listen; /* as at the start: a reload does not change them */
    bool paused;
    struct clock clock;
    bool report_due;    /* something has happened since the last report */
    bool unpublished;   /* there was no memory for a snapshot of what is here */
    uint64_t published; /* snapshots, with the one in force */

    time_t started, loaded;
    char *reload_error;
    struct awaited awaited; /* only the maintenance thread's, once it runs, as are the next */
    struct report_writer writer;
};

static const struct config *config_of(const struct keeper *k)
{
    return shared_config_get(k->config);
}

static const struct ring *ring_of(const struct keeper *k)
{
    return shared_ring_get(ring_watch_ring(k->ring));
}

/* For the report; "" where all is well. */
static void set_reload_error(struct keeper *k, const char *text)
{
    free(k->reload_error);
    k->reload_error = strdup(text);
}

/* --------------------------------------------------------------- publishing */

/* A snapshot of what is here; NULL: no memory. */
static struct shared_snapshot *make_snapshot(struct keeper *k)
{
    struct snapshot_parts parts = {.config = k->config,
                                   .ring = ring_watch_ring(k->ring),
                                   .journal_birth = k->journal_birth,
                                   .paused = k->paused,
                                   .clock_wrong = !clock_is_trusted(&k->clock)};
    return observations_take(&k->observations, config_of(k)->settings, &parts.observed)
               ? shared_snapshot_new(&parts)
               : NULL;
}

/* With the lock held, where something has changed. Without memory the former snapshot stays in
 * force; the next look tries again. */
static void publish(struct keeper *k, bool changed)
{
    if (!changed && !k->unpublished) {
        return;
    }
    struct shared_snapshot *snapshot = make_snapshot(k);
    k->unpublished = snapshot == NULL;
    if (snapshot == NULL) {
        log_line(LOG_ERR, "out of memory: the previous settings and keys stay in force");
        return;
    }
    current_publish(&k->current, snapshot);
    k->published++;
    k->report_due = true;
}

/* ------------------------------------------------------------------ looking */

static bool look_at_pause(struct keeper *k)
{
    bool paused = pause_is_on(k->state_dir);
    if (paused == k->paused) {
        return false;
    }
    k->paused = paused;
    log_line(LOG_WARNING, paused
                              ? "verification is paused: nothing is rejected until `batvctl resume`"
                              : "verification is resumed");
    return true;
}

static bool look_at_clock(struct keeper *k, time_t now)
{
    return clock_look(&k->clock, now, ring_newest_time(ring_of(k)));
}

/* True: a damaged journal was replaced, and what it knew is gone. */
static bool look_at_journal(struct keeper *k)
{
    time_t birth = k->journal != NULL ? journal_birth(k->journal) : k->journal_birth;
    bool changed = birth != k->journal_birth;
    k->journal_birth = birth;
    return changed;
}

/* ------------------------------------------------------------------ keyring */

static void job_keys(void *self, time_t now)
{
    struct keeper *k = self;
    pthread_mutex_lock(&k->lock);
    publish(k, look_at_clock(k, now));
    if (clock_is_trusted(&k->clock)) {
        publish(k, rotation_run(&k->rotation, config_of(k)->settings, now));
    }
    pthread_mutex_unlock(&k->lock);
}

/* With the lock held. */
static void tidy(struct keeper *k, time_t now)
{
    if (clock_is_trusted(&k->clock)) {
        bool settled = clock_is_settled(&k->clock);
        publish(k, rotation_tidy(&k->rotation, config_of(k)->settings, settled, now));
    }
}

static void job_tidy(void *self, time_t now)
{
    struct keeper *k = self;
    pthread_mutex_lock(&k->lock);
    tidy(k, now);
    pthread_mutex_unlock(&k->lock);
}

/* ------------------------------------------------------------------- report */

/* With the lock held. */
static void fill_report(struct keeper *k, time_t now, struct status_report *report)
{
    /* the snapshot in force is only replaced with the lock held */
    report_snapshot(shared_snapshot_get(k->current.snapshot), now, report);
    clock_report(&k->clock, report);
    report->version = BATV_VERSION;
    report->listen = k->listen;
    report->pid = (long)getpid();
    report->started = k->started;
    report->written = now;
    report->loaded = k->loaded;
    report->reload_error = status_keep(report, k->reload_error);
    report->domains_all = k->awaited.all;
    report->domains_logging = k->awaited.logging;
    ring_watch_report(k->ring, report);
    report_journal(k->journal, report);
    report_log(report);
    tally_report(k->tally, report);
    sample_report(k->sample, report);
    exclusions_report(k->exclusions, report);
    if (k->guessing != NULL) {
        guessing_report(k->guessing, now, report);
    }
}

/* Before the report, which has the counts. */
static void look_at_domains(struct keeper *k, time_t now)
{
    pthread_mutex_lock(&k->lock);
    struct shared_snapshot *snapshot = current_acquire(&k->current);
    uint64_t number = k->published;
    pthread_mutex_unlock(&k->lock);
    awaited_update(&k->awaited, shared_snapshot_get(snapshot), number, now);
    shared_snapshot_release(snapshot);
}

static void job_status(void *self, time_t now)
{
    struct keeper *k = self;
    struct status_report report = {0};
    look_at_domains(k, now);
    pthread_mutex_lock(&k->lock);
    fill_report(k, now, &report);
    k->report_due = false;
    pthread_mutex_unlock(&k->lock);
    /* Without the lock: a worker may wait for it, but not for the disk. */
    report_writer_write(&k->writer, k->state_dir, &report);
    status_report_free(&report);
}

static void job_look(void *self, time_t now)
{
    struct keeper *k = self;
    pthread_mutex_lock(&k->lock);
    bool changed = ring_watch_look(k->ring);
    changed = look_at_pause(k) || changed;
    changed = look_at_clock(k, now) || changed;
    changed = look_at_journal(k) || changed;
    changed = observations_look(&k->observations, config_of(k)->settings) || changed;
    publish(k, changed);
    publish(k, ring_watch_mend(k->ring, now));
    bool report_due = ring_watch_has_news(k->ring) || k->report_due;
    pthread_mutex_unlock(&k->lock);
    if (log_target_look() || report_due) {
        job_status(k, now);
    }
}

/* What the daemon before us had seen holds `auto` back still, or no more. Returns when it last
 * looked at its domains, by a clock that it trusted; 0: not known. */
static time_t load_observed(struct keeper *k)
{
    struct status_report report = {0};
    struct reason why;
    time_t looked = 0;
    enum status status = status_file_read(config_of(k)->state_dir, &report, &why);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        log_line(LOG_WARNING, "status file: %s", why.text);
    }
    if (status == STATUS_OK) {
        looked = report.clock_wrong ? 0 : report.written;
        tally_restore(k->tally, &report);
        exclusions_restore(k->exclusions, &report);
    }
    status_report_free(&report);
    return looked;
}

/* For which domains `auto` had not rejected then. */
static void load_awaited(struct keeper *k, time_t looked)
{
    struct snapshot then = *shared_snapshot_get(k->current.snapshot);
    then.clock_wrong = looked == 0;
    awaited_update(&k->awaited, &then, k->published++, looked);
}

/* ------------------------------------------------------------------- reload */

/* With the lock held; takes config over. */
static void adopt_config(struct keeper *k, struct config *config, time_t now)
{
    struct shared_config *shared = shared_config_new(config);
    if (shared == NULL || !observations_begin(&k->observations, config->settings)) {
        shared_config_release(shared);
        set_reload_error(k, "out of memory");
        log_line(LOG_ERR, "reload: out of memory, the previous configuration stays in force");
        return;
    }
    shared_config_release(k->config);
    k->config = shared;
    k->loaded = now;
    set_reload_error(k, "");
    log_open(config->log_target, config->log_facility, config->log_level);
    publish(k, true);
    ring_watch_retain(k->ring, config->settings->keys.retain_days);
    log_line(LOG_NOTICE, "configuration %s reloaded", config->path);
    tidy(k, now);
}

static void job_reload(void *self, time_t now)
{
    struct keeper *k = self;
    struct config *config = NULL;
    char *error = NULL;
    systemd_reloading();
    enum status status = reload_config(config_of(k), &config, &error);
    pthread_mutex_lock(&k->lock);
    if (status == STATUS_OK) {
        adopt_config(k, config, now);
    } else {
        set_reload_error(k, error != NULL ? error : "out of memory");
    }
    pthread_mutex_unlock(&k->lock);
    free(error);
    job_status(self, now);
    systemd_ready();
}

/* --------------------------------------------------------------- life cycle */

static const struct job jobs[] = {
    {"reload", 0, job_reload},        /* by the signal */
    {"look", LOOK_MS, job_look},      /* at keyring, pause, clock and what mail has shown */
    {"keys", KEYS_MS, job_keys},      /* rotation, records of first signed mail */
    {"tidy", TIDY_MS, job_tidy},      /* the keyring */
    {"status", STATUS_MS, job_status} /* the report */
};

/* False: no memory. Takes config over. */
static bool make_parts(struct keeper *k, struct config *config)
{
    k->config = shared_config_new(config);
    k->tally = tally_new();
    k->sample = sample_new();
    k->exclusions = exclusions_new();
    k->state_dir = k->config != NULL ? strdup(config->state_dir) : NULL;
    k->listen = k->config != NULL ? strdup(config->listen) : NULL;
    k->observations = (struct observations){.tally = k->tally, .sample = k->sample};
    return k->tally != NULL && k->sample != NULL && k->exclusions != NULL && k->state_dir != NULL &&
           k->listen != NULL;
}

/* The first snapshot. False: no memory. */
static bool make_first(struct keeper *k)
{
    k->rotation = (struct rotation){.watch = k->ring, .tally = k->tally};
    ring_watch_guard(k->ring, &k->lock);
    ring_watch_retain(k->ring, config_of(k)->settings->keys.retain_days);
    ring_watch_look(k->ring); /* it was loaded a while ago */
    time_t looked = load_observed(k);
    look_at_clock(k, k->started);
    look_at_pause(k);
    if (observations_begin(&k->observations, config_of(k)->settings)) {
        k->current.snapshot = make_snapshot(k);
    }
    if (k->current.snapshot == NULL) {
        return false;
    }
    load_awaited(k, looked);
    return true;
}

struct keeper *keeper_new(struct config *config, struct ring_watch *ring, time_t journal_birth)
{
    struct keeper *k = calloc(1, sizeof *k);
    if (k == NULL) {
        config_free(config);
        ring_watch_free(ring);
        return NULL;
    }
    pthread_mutex_init(&k->lock, NULL);
    current_init(&k->current, NULL);
    k->ring = ring;
    k->journal_birth = journal_birth;
    k->started = k->loaded = time(NULL);
    clock_begin(&k->clock, k->started);
    if (!make_parts(k, config) || !make_first(k)) {
        keeper_free(k);
        return NULL;
    }
    return k;
}

void keeper_free(struct keeper *k)
{
    if (k == NULL) {
        return;
    }
    current_destroy(&k->current);
    shared_config_release(k->config);
    ring_watch_free(k->ring);
    observations_end(&k->observations);
    tally_free(k->tally);
    sample_free(k->sample);
    exclusions_free(k->exclusions);
    free(k->state_dir);
    free(k->listen);
    free(k->reload_error);
    awaited_clear(&k->awaited);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

enum status keeper_start(struct keeper *k, struct reason *why)
{
    k->maintenance = maintenance_start(jobs, sizeof jobs / sizeof jobs[0], k);
    return k->maintenance != NULL
               ? STATUS_OK
               : reason_set(why, STATUS_NO_MEMORY, "cannot start the maintenance thread");
}

void keeper_report_guessing(struct keeper *k, struct guessing *guessing)
{
    pthread_mutex_lock(&k->lock);
    k->guessing = guessing;
    pthread_mutex_unlock(&k->lock);
}

void keeper_report_journal(struct keeper *k, struct journal *journal)
{
    pthread_mutex_lock(&k->lock);
    k->journal = journal;
    pthread_mutex_unlock(&k->lock);
}

void keeper_stop(struct keeper *k)
{
    if (k->maintenance != NULL) {
        maintenance_stop(k->maintenance);
        k->maintenance = NULL;
        job_status(k, time(NULL));
    }
}

struct shared_snapshot *keeper_acquire(struct keeper *k)
{
    return current_acquire(&k->current);
}

struct shared_snapshot *keeper_newest(struct keeper *k)
{
    pthread_mutex_lock(&k->lock);
    publish(k, ring_watch_look(k->ring));
    bool unknown = ring_watch_is_unread(k->ring) || k->unpublished;
    pthread_mutex_unlock(&k->lock);
    return unknown ? NULL : current_acquire(&k->current);
}

struct sample *keeper_sample(const struct keeper *k)
{
    return k->sample;
}

void keeper_decide(struct keeper *k, const struct decision *decision)
{
    const struct decision_sink sinks[] = {
        {decision_log, NULL}, {tally_decision, k->tally}, {exclusions_decision, k->exclusions}};
    for (size_t i = 0; i < sizeof sinks / sizeof sinks[0]; i++) {
        sinks[i].take(sinks[i].self, decision);
    }
}
