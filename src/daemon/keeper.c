/*
 * One mutex guards everything here that changes. It is held while a file is looked at or written,
 * by the maintenance thread and, seldom, by a worker that doubts a tag; it is never held while
 * another worker only wants the snapshot in force, which has a lock of its own.
 *
 * While the clock is not trusted (daemon/clock_trust.h) nothing that bears a date is written, and
 * `auto` rejects nothing.
 */
#include "daemon/keeper.h"
#include "daemon/guessing.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_target.h"
#include "base/random.h"
#include "base/systemd.h"
#include "batv/day.h"
#include "daemon/awaited.h"
#include "daemon/clock.h"
#include "daemon/decision_log.h"
#include "daemon/exclusions.h"
#include "daemon/maintenance.h"
#include "daemon/observations.h"
#include "daemon/privileges.h"
#include "daemon/tally.h"
#include "store/journal.h"
#include "store/pause.h"
#include "store/ring_file.h"
#include "store/ring_loss.h"
#include "store/status_file.h"
#include "store/status_line.h"

enum {
    LOOK_MS = 500,
    KEYS_MS = 1000,
    STATUS_MS = 10000,
    TIDY_MS = 3600000,
    ROTATION_GAP = 12 * 3600, /* seconds between two rotations that nobody asked for */
    RETRY_GAP = 60,           /* seconds after a failure to write the ring */
    DOMAINS_RATE = 65536      /* octets a second to which the file of domains is held down */
};

/* What the file of domains says. It depends on nothing but the snapshot and the time, so it need
 * not be written, nor even be put together, before one of these moves on. */
struct domains_told {
    bool due;      /* not as it ought to be */
    time_t at;     /* when its states were looked up */
    time_t until;  /* when the first of them ends by itself; 0: none does */
    time_t next;   /* boot time before which it is left alone, due or not */
    time_t behind; /* since when it has been due and not written; 0: it is as it ought to be */
    uint64_t all, logging;
    struct file_stamp stamp;
};

struct keeper {
    struct current current;
    struct ring_source *source;
    struct tally *tally;
    struct sample *sample;
    struct exclusions *exclusions;
    struct observations observations;
    struct maintenance *maintenance;

    pthread_mutex_t lock;
    struct guessing *guessing;
    struct journal *journal; /* NULL: its state is not told */
    struct shared_config *config;
    struct shared_ring *ring;
    struct file_stamp stamp;
    bool ring_unread; /* the last look failed for a reason that passes: there may be a newer ring */
    struct file_id folder; /* of the state folder, as at the start */
    struct ring_loss loss;
    struct ring_copy copy;  /* while the file is lost and cannot be written back */
    struct reason ring_why; /* what is wrong with the file; "" for nothing */
    time_t journal_birth;
    char *state_dir, *listen; /* as at the start: a reload does not change them */
    bool paused;
    struct clock clock;
    bool report_due;  /* something happened that the status file does not know yet */
    bool unpublished; /* there was no memory for a snapshot of what is here */
    struct domains_told told;

    bool rotated;                /* by itself, since the start */
    time_t rotated_at, retry_at; /* boot time */
    int64_t put_off_until;       /* the day that was logged; 0: none */

    time_t started, loaded;
    char *reload_error;
    char *ring_error;
    struct awaited awaited; /* only the maintenance thread's, once it runs, as are the next */
    char *status_error;
    char status_line[STATUS_LINE];
};

static const struct config *config_of(const struct keeper *k)
{
    return shared_config_get(k->config);
}

static const struct ring *ring_of(const struct keeper *k)
{
    return shared_ring_get(k->ring);
}

/* Keeps text, for the status file; "" where all is well. */
static void remember(char **place, const char *text)
{
    free(*place);
    *place = strdup(text);
}

/* --------------------------------------------------------------- publishing */

/* A snapshot of what is here; NULL: no memory. */
static struct shared_snapshot *make_snapshot(struct keeper *k)
{
    struct snapshot_parts parts = {.config = k->config,
                                   .ring = k->ring,
                                   .journal_birth = k->journal_birth,
                                   .paused = k->paused,
                                   .clock_wrong = !clock_is_trusted(&k->clock)};
    return observations_take(&k->observations, config_of(k)->settings, &parts.observed)
               ? shared_snapshot_new(&parts)
               : NULL;
}

/* With the lock held. Without memory the former snapshot stays in force; the next look tries again.
 */
static void publish(struct keeper *k)
{
    struct shared_snapshot *snapshot = make_snapshot(k);
    k->unpublished = snapshot == NULL;
    if (snapshot == NULL) {
        log_line(LOG_ERR, "out of memory: the former settings and keys stay in force");
        return;
    }
    current_publish(&k->current, snapshot);
    k->report_due = true;
    k->told.due = true;
}

/* With the lock held: what somebody has done, and looks for, is told without delay. */
static void hasten_domains(struct keeper *k)
{
    k->told.due = true;
    k->told.next = 0;
}

/* ------------------------------------------------------------------ looking */

/* With the lock held. */
static enum ring_back judge_loss(const struct keeper *k)
{
    bool same_folder = file_id_equal(file_id_of(k->state_dir), k->folder);
    return ring_loss_judge(&k->loss, ring_of(k)->generation,
                           config_of(k)->settings->keys.retain_days, same_folder,
                           clock_boot_time());
}

/* What is wrong with the file, and where it is lost what is to be done and not to be done. NULL: no
 * memory. The caller frees. */
static char *describe_loss(struct keeper *k)
{
    char *text = NULL;
    struct ring_plight plight = {k->state_dir,     k->loss.kind,   judge_loss(k),
                                 k->loss.why.text, (long)getpid(), -1};
    bool waits = plight.back == RING_BACK_WAITS || plight.back == RING_BACK_DUE;
    if (plight.kind == RING_THERE || (plight.kind == RING_UNREADABLE && waits)) {
        return strdup(k->ring_why.text);
    }
    if (!waits && ring_copy_make(&k->copy, ring_of(k), k->state_dir)) {
        plight.fd = k->copy.fd;
    }
    if (plight.kind == RING_UNREADABLE) {
        plight.why = k->ring_why.text;
    }
    char *advice = ring_plight_text(&plight);
    char *command = ring_plight_command(&plight);
    if (advice == NULL ||
        asprintf(&text, "%s: %s%s%s", k->ring_why.text, advice,
                 command != NULL ? "; as root: " : "", command != NULL ? command : "") < 0) {
        text = NULL;
    }
    free(advice);
    free(command);
    return text;
}

/* With the lock held. A bad ring is told once, and anew when there is something else to say of it;
 * the old one stays. */
static void tell_loss(struct keeper *k)
{
    char *text = describe_loss(k);
    if (text != NULL && (k->ring_error == NULL || strcmp(k->ring_error, text) != 0)) {
        log_line(LOG_ERR, "keyring refused, the former keys stay in force: %s", text);
        remember(&k->ring_error, text);
        k->report_due = true;
    }
    free(text);
}

static enum ring_loss_kind loss_kind(enum status status)
{
    switch (status) {
    case STATUS_NOT_FOUND:
        return RING_MISSING;
    case STATUS_INVALID:
        return RING_DAMAGED;
    case STATUS_IO:
        return RING_UNREADABLE;
    default:
        return RING_THERE; /* to be put right, not to be replaced */
    }
}

/* With the lock held. What the system refused for the moment is tried again at the next look. */
static void refuse_ring(struct keeper *k, enum status status, bool changed,
                        const struct reason *why)
{
    uint64_t claim = status == STATUS_INVALID ? ring_source_claim(k->source) : 0;
    k->ring_unread = status == STATUS_IO || status == STATUS_NO_MEMORY || status == STATUS_CRYPTO;
    k->ring_why = *why;
    ring_loss_note(&k->loss, loss_kind(status), changed, claim, clock_boot_time());
    tell_loss(k);
}

/* With the lock held. True: another ring is in force. */
static bool look_at_ring(struct keeper *k)
{
    struct ring *ring = NULL;
    struct reason why = {""};
    bool changed = ring_source_changed(k->source, &k->stamp);
    if (!changed && !k->ring_unread) {
        return false;
    }
    enum status status = ring_load(k->source, &ring, &why);
    struct shared_ring *shared = status == STATUS_OK ? shared_ring_new(ring) : NULL;
    if (shared == NULL) {
        refuse_ring(k, status == STATUS_OK ? STATUS_NO_MEMORY : status, changed, &why);
        return false;
    }
    shared_ring_release(k->ring);
    k->ring = shared;
    k->ring_unread = false;
    k->ring_why.text[0] = '\0';
    remember(&k->ring_error, "");
    ring_loss_note(&k->loss, RING_THERE, changed, ring->generation, clock_boot_time());
    ring_copy_end(&k->copy);
    log_line(LOG_INFO, "keyring generation %" PRIu64 " in force, key %d signs", ring->generation,
             ring_active(ring, time(NULL)));
    return true;
}

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
    if (!clock_look(&k->clock, now, ring_newest_time(ring_of(k)))) {
        return false;
    }
    hasten_domains(k);
    return true;
}

/* ------------------------------------------------------------------ writing */

/* With the lock held: changes the stored ring and takes it into force. False: it failed and is not
 * to be tried again for a while. */
static bool change_ring(struct keeper *k, ring_change_fn *change, void *context, const char *what)
{
    struct reason why;
    if (clock_boot_time() < k->retry_at || k->loss.kind != RING_THERE) {
        return false;
    }
    /* Without the lock: a worker in doubt must wait neither for the disk nor for another writer.
     * What change looks at is altered by this thread only. */
    pthread_mutex_unlock(&k->lock);
    enum status status = ring_change(k->source, change, context, &why);
    pthread_mutex_lock(&k->lock);
    if (status != STATUS_OK) {
        log_line(LOG_ERR, "%s: %s", what, why.text);
        k->retry_at = clock_boot_time() + RETRY_GAP;
        return false;
    }
    if (look_at_ring(k)) {
        publish(k);
    }
    return true;
}

/* With the lock held, which is let go meanwhile. */
static void write_back(struct keeper *k, time_t now)
{
    char aside[RING_ASIDE];
    struct reason why = {""};
    const struct reason lost = k->ring_why;
    struct shared_snapshot *snapshot = current_acquire(&k->current);
    const struct ring *ring = shared_snapshot_get(snapshot)->ring;
    enum status status = STATUS_CONFLICT; /* with the snapshot that is not published yet */
    if (ring->generation == ring_of(k)->generation) {
        const struct file_stamp seen = k->stamp;
        pthread_mutex_unlock(&k->lock);
        status = ring_restore(k->source, ring, &seen, k->folder, now, aside, &why);
        pthread_mutex_lock(&k->lock);
    }
    if (status == STATUS_OK) {
        log_line(LOG_ERR,
                 "the keyring was lost (%s), and is mended: batvd has written back generation "
                 "%" PRIu64 "%s%s; find out what has become of it",
                 lost.text, ring->generation, aside[0] != '\0' ? ", the damaged file is now " : "",
                 aside);
    } else if (status != STATUS_CONFLICT) {
        k->loss.why = why;
        k->loss.retry_at = clock_boot_time() + RETRY_GAP;
    }
    shared_snapshot_release(snapshot);
    if (look_at_ring(k)) {
        publish(k);
    }
}

/* With the lock held. */
static void mend_ring(struct keeper *k, time_t now)
{
    if (k->loss.kind != RING_THERE && judge_loss(k) == RING_BACK_DUE) {
        write_back(k, now);
    }
    if (k->loss.kind != RING_THERE) {
        tell_loss(k);
    }
}

struct first_signed {
    struct ring *ring;
    time_t now;
    bool added;
    enum status status;
};

static void add_domain(void *context, const char *domain)
{
    struct first_signed *first = context;
    bool changed = false;
    enum status status = ring_domain_add(first->ring, domain, first->now, &changed);
    first->added = first->added || changed;
    first->status = first->status == STATUS_OK ? status : first->status;
}

static void add_tag(void *context, const char *domain)
{
    struct first_signed *first = context;
    first->added = ring_domain_tag_seen(first->ring, domain, first->now) || first->added;
}

struct keys_change {
    struct keeper *keeper;
    time_t now;
};

static enum status change_first(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    struct keys_change *c = context;
    struct first_signed first = {ring, c->now, false, STATUS_OK};
    tally_first_signed(c->keeper->tally, add_domain, &first);
    tally_first_tags(c->keeper->tally, add_tag, &first);
    *changed = first.added;
    return first.status == STATUS_OK ? STATUS_OK : reason_set(why, first.status, "out of memory");
}

static bool is_signing_domain(void *context, const char *name)
{
    const struct keys_change *c = context;
    const struct settings *settings = config_of(c->keeper)->settings;
    const struct rules *rules = settings_rules_named(settings, name);
    return rules != NULL && rules->sign;
}

/* What a ring gathers that is no longer so: a shorter lifetime than is signed with, domains that
 * sign no more (they start their waiting time anew), keys that are gone. */
static enum status change_tidy(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    (void)why;
    struct keys_change *c = context;
    const struct settings *settings = config_of(c->keeper)->settings;
    bool raised = ring_raise_lifetime(ring, settings->keys.lifetime_days, c->now);
    bool filtered = ring_domain_filter(ring, is_signing_domain, c);
    bool settled = clock_is_settled(&c->keeper->clock);
    bool pruned = settled && ring_prune(ring, c->now);
    *changed = raised || filtered || pruned;
    return STATUS_OK;
}

static enum status change_rotate(void *context, struct ring *ring, bool *changed,
                                 struct reason *why)
{
    struct keys_change *c = context;
    const struct key_policy *policy = &config_of(c->keeper)->settings->keys;
    time_t due = ring_rotation_due(ring, policy, c->now);
    if (due == RING_OPEN || c->now < due) {
        *changed = false; /* somebody was faster */
        return STATUS_OK;
    }
    uint8_t octets[SECRET_SIZE];
    enum status status = random_octets(octets, sizeof octets, why);
    if (status == STATUS_OK) {
        status = ring_rotate(ring, policy, policy->algorithm, c->now, policy->publish_seconds,
                             octets, why);
    }
    secret_wipe_memory(octets, sizeof octets);
    return status;
}

/* With the lock held. True: the slot that is next is still taken, which is told once. */
static bool is_put_off(struct keeper *k, time_t now)
{
    int64_t day = ring_free_day(ring_of(k), ring_next_slot(ring_of(k)));
    if (day == 0 || (day > 0 && day <= day_of(now))) {
        return false;
    }
    if (k->put_off_until != day) {
        char text[DAY_TEXT] = "";
        if (day > 0) {
            day_format(day, text);
        }
        log_line(LOG_WARNING, "key rotation is put off %s%s: tags by key %u may still come back",
                 day > 0 ? "until " : "while a key in its slot has no end", text,
                 ring_next_slot(ring_of(k)));
        k->put_off_until = day;
    }
    return true;
}

static void rotate_when_due(struct keeper *k, time_t now)
{
    const struct key_policy *policy = &config_of(k)->settings->keys;
    time_t due = ring_rotation_due(ring_of(k), policy, now);
    bool too_soon = k->rotated && clock_boot_time() - k->rotated_at < ROTATION_GAP;
    if (due == RING_OPEN || now < due || too_soon || is_put_off(k, now)) {
        return;
    }
    struct keys_change context = {k, now};
    if (change_ring(k, change_rotate, &context, "key rotation")) {
        k->rotated = true;
        k->rotated_at = clock_boot_time();
        k->put_off_until = 0;
    }
}

static void job_keys(void *self, time_t now)
{
    struct keeper *k = self;
    pthread_mutex_lock(&k->lock);
    if (look_at_clock(k, now)) {
        publish(k);
    }
    if (clock_is_trusted(&k->clock)) {
        struct keys_change context = {k, now};
        if (tally_has_first(k->tally) &&
            change_ring(k, change_first, &context, "record of the first signed message")) {
            tally_forget_first(k->tally);
        }
        rotate_when_due(k, now);
    }
    pthread_mutex_unlock(&k->lock);
}

/* With the lock held. */
static void tidy(struct keeper *k, time_t now)
{
    struct keys_change context = {k, now};
    if (clock_is_trusted(&k->clock)) {
        change_ring(k, change_tidy, &context, "keyring");
    }
}

static void job_tidy(void *self, time_t now)
{
    struct keeper *k = self;
    pthread_mutex_lock(&k->lock);
    tidy(k, now);
    pthread_mutex_unlock(&k->lock);
}

/* ------------------------------------------------------------------- status */

static const char *auto_name(enum auto_state state)
{
    static const char *const names[] = {
        [AUTO_ENFORCES] = "enforcing",
        [AUTO_NOT_SIGNING] = "not-signing",
        [AUTO_NEVER_SIGNED] = "never-signed",
        [AUTO_WAITING] = "waiting",
        [AUTO_RELAYED] = "relayed",
        [AUTO_NO_TAG] = "no-tag-seen",
        [AUTO_CLOCK] = "clock",
    };
    return names[state];
}

/* Whether the file of domains is to be written now. */
static bool domains_are_due(struct keeper *k, time_t now)
{
    struct domains_told *told = &k->told;
    if (!status_domains_kept(k->state_dir, &told->stamp)) {
        hasten_domains(k);
    }
    if (now < told->at || (told->until != 0 && now >= told->until)) {
        told->due = true;
    }
    return told->due && clock_boot_time() >= told->next;
}

/* A domain whose forged bounces are only logged, for whatever reason. */
static bool only_logs(const struct rules *rules, enum auto_state state)
{
    return rules->action == ACTION_AUTO ? state != AUTO_ENFORCES : rules->action == ACTION_LOG;
}

static bool report_domains(const struct snapshot *snapshot, time_t now, struct domains_told *told,
                           struct status_report *report)
{
    *told = (struct domains_told){.at = now, .behind = told->behind, .stamp = told->stamp};
    const struct settings *settings = snapshot->settings;
    report->domains = calloc(settings->rules_count + 1, sizeof *report->domains);
    bool done = report->domains != NULL;
    for (size_t i = 0; done && i < settings->rules_count; i++) {
        const struct rules *rules = &settings->rules[i];
        struct status_domain *domain = &report->domains[report->domain_count++];
        enum auto_state state = snapshot_auto(snapshot, rules, now, &domain->until);
        domain->name = strdup(rules->name);
        domain->state = strdup(rules->action == ACTION_AUTO ? auto_name(state) : "");
        domain->action = strdup(action_name(rules->action));
        done = domain->name != NULL && domain->state != NULL && domain->action != NULL;
        told->all++;
        told->logging += only_logs(rules, state);
        if (domain->until != 0 && (told->until == 0 || domain->until < told->until)) {
            told->until = domain->until;
        }
    }
    return done;
}

/* The domains themselves only where their file is to be written. */
static bool fill_domains(struct keeper *k, const struct snapshot *snapshot, time_t now,
                         struct status_report *report)
{
    struct domains_told *told = &k->told;
    bool done = true;
    bool write = domains_are_due(k, now);
    if (told->due && told->behind == 0) {
        told->behind = now; /* until they have been written, which may fail */
    }
    if (write) {
        done = report_domains(snapshot, now, told, report);
    }
    report->domains_all = told->all;
    report->domains_logging = told->logging;
    report->domains_behind = told->behind;
    return done;
}

static bool fill_log(struct status_report *report)
{
    struct log_state log;
    log_target_state(&log);
    report->log_target = strdup(log_target_name(log.target));
    report->log_place = strdup(log.place);
    report->log_since = log.since;
    report->log_lost = log.lost;
    report->log_error = strdup(log.error);
    return report->log_target != NULL && report->log_place != NULL && report->log_error != NULL;
}

static bool fill_journal(const struct keeper *k, struct status_report *report)
{
    struct reason trouble = {""};
    if (k->journal != NULL) {
        (void)journal_trouble(k->journal, &trouble);
        report->journal_pending = journal_pending(k->journal);
    }
    report->journal_error = strdup(trouble.text);
    return report->journal_error != NULL;
}

/* With the lock held. */
static bool fill_report(struct keeper *k, time_t now, struct status_report *report)
{
    const struct snapshot *snapshot =
        shared_snapshot_get(k->current.snapshot); /* only replaced with the lock held */
    time_t due = ring_rotation_due(snapshot->ring, &snapshot->settings->keys, now);
    report->version = strdup(BATV_VERSION);
    report->listen = strdup(k->listen);
    report->pid = (long)getpid();
    report->started = k->started;
    report->written = now;
    report->generation = snapshot->ring->generation;
    report->active_key = ring_active(snapshot->ring, now);
    report->next_rotation = due == RING_OPEN ? 0 : due;
    report->paused = k->paused;
    report->clock_wrong = !clock_is_trusted(&k->clock);
    report->clock_until = k->clock.trust.until;
    if (snapshot->journal_birth != 0 && !snapshot_journal_is_old(snapshot, now)) {
        report->journal_waits = snapshot->journal_birth + settings_wait(snapshot->settings);
    }
    report->loaded = k->loaded;
    report->reload_error = strdup(k->reload_error != NULL ? k->reload_error : "");
    report->ring_error = strdup(k->ring_error != NULL ? k->ring_error : "");
    report->ring_back = strdup(ring_back_name(k->loss.kind, judge_loss(k)));
    return report->version != NULL && report->listen != NULL && report->reload_error != NULL &&
           report->ring_error != NULL && report->ring_back != NULL && fill_journal(k, report) &&
           fill_log(report) && fill_domains(k, snapshot, now, report) &&
           tally_report(k->tally, report) && sample_report(k->sample, report) &&
           exclusions_report(k->exclusions, report) &&
           (k->guessing == NULL || guessing_report(k->guessing, now, report));
}

/* Told when it changes; systemd logs none of it. */
static void tell_status(struct keeper *k, const struct status_report *report)
{
    char line[STATUS_LINE];
    status_line(report, line, sizeof line);
    if (strcmp(line, k->status_line) != 0) {
        memcpy(k->status_line, line, sizeof line);
        systemd_status(line);
    }
}

/* Without the lock: a worker may wait for it, but not for the disk. Where the domains cannot be
 * written the rest is nevertheless: it tells what was relayed, and that the daemon lives. */
static enum status write_report(struct keeper *k, struct status_report *report, struct reason *why)
{
    enum status status = STATUS_OK;
    if (report->domains != NULL) {
        struct file_stamp stamp = {0};
        status = status_domains_write(k->state_dir, report, &stamp, why);
        pthread_mutex_lock(&k->lock);
        k->told.stamp = stamp;
        k->told.next = clock_boot_time() + stamp.size / DOMAINS_RATE;
        if (status == STATUS_OK) {
            k->told.behind = report->domains_behind = 0;
        } else {
            hasten_domains(k);
        }
        pthread_mutex_unlock(&k->lock);
    }
    /* the first failure is the one that is told */
    enum status rest = status_file_write(k->state_dir, report, status == STATUS_OK ? why : NULL);
    return status == STATUS_OK ? rest : status;
}

static void job_status(void *self, time_t now)
{
    struct keeper *k = self;
    struct status_report report = {0};
    struct reason why;
    pthread_mutex_lock(&k->lock);
    bool filled = fill_report(k, now, &report);
    k->report_due = false;
    k->told.due = k->told.due || !filled;
    pthread_mutex_unlock(&k->lock);
    if (filled) {
        tell_status(k, &report);
    }
    if (filled && report.domains != NULL) {
        awaited_update(&k->awaited, report.domains, report.domain_count);
    }
    if (!filled) {
        reason_write(&why, "out of memory");
    } else if (write_report(k, &report, &why) == STATUS_OK) {
        why.text[0] = '\0';
    }
    /* a full disk is told once, not every ten seconds */
    if (k->status_error != NULL && why.text[0] != '\0' && strcmp(why.text, k->status_error) != 0) {
        log_line(LOG_WARNING, "status file: %s", why.text);
    }
    remember(&k->status_error, why.text);
    status_report_free(&report);
}

static void job_look(void *self, time_t now)
{
    struct keeper *k = self;
    pthread_mutex_lock(&k->lock);
    bool changed = look_at_ring(k);
    changed = look_at_pause(k) || changed;
    changed = look_at_clock(k, now) || changed;
    changed = observations_look(&k->observations, config_of(k)->settings) || changed;
    if (changed || k->unpublished) {
        publish(k);
    }
    mend_ring(k, now);
    bool report_due = k->report_due;
    pthread_mutex_unlock(&k->lock);
    if (log_target_look() || report_due) {
        job_status(k, now);
    }
}

/* What the daemon before us had seen holds `auto` back still, or no more. */
static void load_observed(struct keeper *k)
{
    struct status_report report = {0};
    struct reason why;
    enum status status = status_file_read_brief(config_of(k)->state_dir, &report, &why);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        log_line(LOG_WARNING, "status file: %s", why.text);
    }
    if (status == STATUS_OK) {
        tally_restore(k->tally, &report);
        exclusions_restore(k->exclusions, &report);
    }
    status_report_free(&report);
}

/* For which domains `auto` had not rejected yet. */
static void load_awaited(struct keeper *k)
{
    struct status_report report = {0};
    if (status_file_read(config_of(k)->state_dir, &report, NULL) == STATUS_OK) {
        awaited_update(&k->awaited, report.domains, report.domain_count);
    }
    status_report_free(&report);
}

/* ------------------------------------------------------------------- reload */

/* Only a start can change these; the running ones stay in force whatever the file says. */
static void warn_of_restart(const struct config *former, const struct config *next)
{
    const struct {
        const char *name, *former, *next;
    } fixed[] = {
        {"listen", former->listen, next->listen},
        {"listen_group", former->listen_group, next->listen_group},
        {"user", former->user, next->user},
        {"state_dir", former->state_dir, next->state_dir},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        const char *a = fixed[i].former != NULL ? fixed[i].former : "";
        const char *b = fixed[i].next != NULL ? fixed[i].next : "";
        if (strcmp(a, b) != 0) {
            log_line(LOG_WARNING,
                     "reload: %s has changed from \"%s\" to \"%s\": restart batvd for that",
                     fixed[i].name, a, b);
        }
    }
    const struct {
        const char *name;
        bool changed;
    } others[] = {
        {"listen_mode", former->listen_mode != next->listen_mode},
        {"journal.enabled", former->settings->evidence.journal != next->settings->evidence.journal},
        {"journal.max_size", former->journal_max_size != next->journal_max_size},
        {"evidence.max_memory", former->evidence_max_memory != next->evidence_max_memory},
        {"evidence.parsers", former->evidence_parsers != next->evidence_parsers},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (others[i].changed) {
            log_line(LOG_WARNING, "reload: %s has changed: restart batvd for that", others[i].name);
        }
    }
}

static void log_messages(const struct config_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        char *text = config_message_format(&messages->items[i]);
        int priority = messages->items[i].level == CONFIG_ERROR ? LOG_ERR : LOG_WARNING;
        log_line(priority, "reload: %s", text != NULL ? text : "out of memory");
        free(text);
    }
    if (messages->left_out > 0) {
        log_line(LOG_ERR, "reload: and %zu more", messages->left_out);
    }
}

static void remember_reload_error(struct keeper *k, const struct config_messages *messages)
{
    char *text = NULL;
    for (size_t i = 0; i < messages->count && text == NULL; i++) {
        if (messages->items[i].level == CONFIG_ERROR) {
            text = config_message_format(&messages->items[i]);
        }
    }
    remember(&k->reload_error, text != NULL ? text : "out of memory");
    free(text);
}

/* With the lock held; takes config over. */
static void adopt_config(struct keeper *k, struct config *config, time_t now)
{
    warn_of_restart(config_of(k), config);
    struct shared_config *shared = shared_config_new(config);
    if (shared == NULL || !observations_begin(&k->observations, config->settings)) {
        shared_config_release(shared);
        remember(&k->reload_error, "out of memory");
        log_line(LOG_ERR, "reload: out of memory, the former configuration stays in force");
        return;
    }
    shared_config_release(k->config);
    k->config = shared;
    k->loaded = now;
    remember(&k->reload_error, "");
    log_open(config->log_target, config->log_facility, config->log_level);
    publish(k);
    hasten_domains(k);
    log_line(LOG_NOTICE, "configuration %s reloaded", config->path);
    tidy(k, now);
}

static void job_reload(void *self, time_t now)
{
    struct keeper *k = self;
    struct config_messages messages = {0};
    struct config *config = NULL;
    systemd_reloading();
    enum status status = config_load(config_of(k)->path, &config, &messages);
    log_messages(&messages);
    pthread_mutex_lock(&k->lock);
    if (status == STATUS_OK) {
        adopt_config(k, config, now);
    } else {
        remember_reload_error(k, &messages);
        log_line(LOG_ERR, "reload: the new configuration is refused, the former stays in force");
    }
    pthread_mutex_unlock(&k->lock);
    config_messages_free(&messages);
    job_status(self, now);
    systemd_ready();
}

/* --------------------------------------------------------------- life cycle */

static const struct job jobs[] = {
    {"reload", 0, job_reload},   {"look", LOOK_MS, job_look},       {"keys", KEYS_MS, job_keys},
    {"tidy", TIDY_MS, job_tidy}, {"status", STATUS_MS, job_status},
};

enum status keeper_new(struct config *config, time_t journal_birth, struct keeper **out,
                       struct reason *why)
{
    struct ring *ring = NULL;
    struct keeper *k = calloc(1, sizeof *k);
    *out = NULL;
    if (k == NULL) {
        config_free(config);
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    pthread_mutex_init(&k->lock, NULL);
    current_init(&k->current, NULL);
    k->journal_birth = journal_birth;
    k->started = k->loaded = time(NULL);
    k->copy.fd = -1;
    k->told.due = true;
    clock_begin(&k->clock, k->started);
    k->config = shared_config_new(config);
    k->tally = tally_new();
    k->sample = sample_new();
    k->exclusions = exclusions_new();
    remember(&k->status_error, "");
    k->state_dir = k->config != NULL ? strdup(config->state_dir) : NULL;
    k->listen = k->config != NULL ? strdup(config->listen) : NULL;
    k->source = k->config != NULL ? ring_source_new(config->state_dir) : NULL;
    k->observations = (struct observations){.tally = k->tally, .sample = k->sample};
    enum status status = reason_set(why, STATUS_NO_MEMORY, "out of memory");
    if (k->state_dir != NULL && k->listen != NULL && k->source != NULL && k->tally != NULL &&
        k->sample != NULL && k->exclusions != NULL) {
        k->folder = file_id_of(k->state_dir);
        ring_source_changed(k->source, &k->stamp);
        status = ring_load(k->source, &ring, why);
    }
    k->ring = status == STATUS_OK ? shared_ring_new(ring) : NULL;
    if (k->ring != NULL) {
        ring_loss_note(&k->loss, RING_THERE, true, ring->generation, clock_boot_time());
        load_observed(k);
        load_awaited(k);
        look_at_clock(k, k->started);
        look_at_pause(k);
    }
    if (k->ring != NULL && observations_begin(&k->observations, config_of(k)->settings)) {
        k->current.snapshot = make_snapshot(k);
    }
    if (k->current.snapshot == NULL) {
        keeper_free(k);
        return status == STATUS_OK ? reason_set(why, STATUS_NO_MEMORY, "out of memory") : status;
    }
    *out = k;
    return STATUS_OK;
}

void keeper_free(struct keeper *k)
{
    if (k == NULL) {
        return;
    }
    current_destroy(&k->current);
    shared_config_release(k->config);
    shared_ring_release(k->ring);
    ring_copy_end(&k->copy);
    ring_source_free(k->source);
    observations_end(&k->observations);
    tally_free(k->tally);
    sample_free(k->sample);
    exclusions_free(k->exclusions);
    free(k->state_dir);
    free(k->listen);
    free(k->reload_error);
    free(k->ring_error);
    awaited_clear(&k->awaited);
    free(k->status_error);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

enum status keeper_start(struct keeper *k, struct reason *why)
{
    k->maintenance = maintenance_start(jobs, sizeof jobs / sizeof jobs[0], k);
    return k->maintenance != NULL
               ? STATUS_OK
               : reason_set(why, STATUS_NO_MEMORY, "the maintenance thread cannot be started");
}

void keeper_tell_guessing(struct keeper *k, struct guessing *guessing)
{
    pthread_mutex_lock(&k->lock);
    k->guessing = guessing;
    pthread_mutex_unlock(&k->lock);
}

void keeper_tell_journal(struct keeper *k, struct journal *journal)
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
        k->told.next = 0;
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
    if (look_at_ring(k) || k->unpublished) {
        publish(k);
    }
    bool unknown = k->ring_unread || k->unpublished;
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
