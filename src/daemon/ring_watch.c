/*
 * A worker that doubts a tag looks too, so the lock is held while the file is looked at, which is
 * quick, but never while it is written: a worker must wait neither for the disk nor for another
 * writer.
 */
#include "daemon/ring_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/clock.h"
#include "store/ring_loss.h"

enum { RETRY_GAP = 60 }; /* seconds after a failure to write */

struct ring_watch {
    char *state_dir;
    struct ring_source *source;
    struct shared_ring *ring;
    pthread_mutex_t *lock;
    unsigned retain_days;

    struct file_id folder; /* the state folder, as at the start */
    struct file_stamp stamp;
    bool unread;
    struct ring_loss loss;
    struct ring_copy copy; /* while the file is lost and cannot be written back */
    struct reason why;     /* what is wrong with the file; "" for nothing */
    char *error;           /* as it was logged; NULL: nothing */
    bool news;
    time_t retry_at; /* boot time before which no change is tried */
};

static const struct ring *ring_of(const struct ring_watch *w)
{
    return shared_ring_get(w->ring);
}

/* --------------------------------------------------------------------- loss */

static enum ring_back judge_loss(const struct ring_watch *w)
{
    bool same_folder = file_id_equal(file_id_of(w->state_dir), w->folder);
    return ring_loss_judge(&w->loss, ring_of(w)->generation, w->retain_days, same_folder,
                           clock_boot_time());
}

/* The reason with what to do about it. NULL: no memory. The caller frees. */
static char *describe_plight(const struct ring_watch *w, const struct ring_plight *plight)
{
    char *text = NULL;
    char *advice = ring_plight_text(plight);
    char *command = ring_plight_command(plight);
    if (advice == NULL ||
        asprintf(&text, "%s: %s%s%s", w->why.text, advice, command != NULL ? "; as root: " : "",
                 command != NULL ? command : "") < 0) {
        text = NULL;
    }
    free(advice);
    free(command);
    return text;
}

/* What is wrong with the file, and where it is lost what to do and what not to do. NULL: no memory.
 * The caller frees. */
static char *describe_loss(struct ring_watch *w)
{
    struct ring_plight plight = {w->state_dir,     w->loss.kind,   judge_loss(w),
                                 w->loss.why.text, (long)getpid(), -1};
    bool waits = plight.back == RING_BACK_WAITS || plight.back == RING_BACK_DUE;
    if (plight.kind == RING_THERE || (plight.kind == RING_UNREADABLE && waits)) {
        return strdup(w->why.text);
    }
    if (!waits && ring_copy_make(&w->copy, ring_of(w), w->state_dir)) {
        plight.fd = w->copy.fd;
    }
    if (plight.kind == RING_UNREADABLE) {
        plight.why = w->why.text;
    }
    return describe_plight(w, &plight);
}

static const char *error_of(const struct ring_watch *w)
{
    return w->error != NULL ? w->error : "";
}

/* A bad file is logged once, and again when there is something else to say of it. */
static void log_loss(struct ring_watch *w)
{
    char *text = describe_loss(w);
    if (text == NULL || strcmp(error_of(w), text) == 0) {
        free(text);
        return;
    }
    log_line(LOG_ERR, "keyring rejected, the previous keys stay in force: %s", text);
    free(w->error);
    w->error = text;
    w->news = true;
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

/* ------------------------------------------------------------------ looking */

/* What the system refused for the moment is tried again at the next look. */
static void refuse(struct ring_watch *w, enum status status, bool changed, const struct reason *why)
{
    uint64_t claim = status == STATUS_INVALID ? ring_source_claim(w->source) : 0;
    w->unread = status == STATUS_IO || status == STATUS_NO_MEMORY || status == STATUS_CRYPTO;
    w->why = *why;
    ring_loss_note(&w->loss, loss_kind(status), changed, claim, clock_boot_time());
    log_loss(w);
}

/* Takes shared over. */
static void adopt(struct ring_watch *w, struct shared_ring *shared, bool changed)
{
    shared_ring_release(w->ring);
    w->ring = shared;
    w->unread = false;
    w->why.text[0] = '\0';
    free(w->error);
    w->error = NULL;
    ring_loss_note(&w->loss, RING_THERE, changed, ring_of(w)->generation, clock_boot_time());
    ring_copy_end(&w->copy);
}

bool ring_watch_look(struct ring_watch *w)
{
    struct ring *ring = NULL;
    struct reason why = {""};
    bool changed = ring_source_changed(w->source, &w->stamp);
    if (!changed && !w->unread) {
        return false;
    }
    enum status status = ring_load(w->source, &ring, &why);
    struct shared_ring *shared = status == STATUS_OK ? shared_ring_new(ring) : NULL;
    if (shared == NULL) {
        refuse(w, status == STATUS_OK ? STATUS_NO_MEMORY : status, changed, &why);
        return false;
    }
    adopt(w, shared, changed);
    log_line(LOG_INFO, "keyring generation %" PRIu64 " in force, key %d signs", ring->generation,
             ring_active(ring, time(NULL)));
    return true;
}

/* ------------------------------------------------------------------ writing */

bool ring_watch_change(struct ring_watch *w, ring_change_fn *change, void *context,
                       const char *what, bool *another)
{
    struct reason why;
    if (clock_boot_time() < w->retry_at || w->loss.kind != RING_THERE) {
        return false;
    }
    pthread_mutex_unlock(w->lock);
    enum status status = ring_change(w->source, change, context, &why);
    pthread_mutex_lock(w->lock);
    if (status != STATUS_OK) {
        log_line(LOG_ERR, "%s: %s", what, why.text);
        w->retry_at = clock_boot_time() + RETRY_GAP;
        return false;
    }
    *another = ring_watch_look(w) || *another;
    return true;
}

static void log_mended(const struct ring *ring, const struct reason *lost, const char *aside)
{
    log_line(LOG_ERR,
             "the keyring was lost (%s): batvd has written back generation %" PRIu64
             "%s%s. Find out why it was lost",
             lost->text, ring->generation, aside[0] != '\0' ? ". The damaged file is now " : "",
             aside);
}

static void write_back(struct ring_watch *w, time_t now)
{
    char aside[RING_ASIDE];
    struct reason why = {""};
    const struct reason lost = w->why;
    const struct file_stamp seen = w->stamp;
    struct shared_ring *shared = shared_ring_share(w->ring);
    const struct ring *ring = shared_ring_get(shared);
    pthread_mutex_unlock(w->lock);
    enum status status = ring_restore(w->source, ring, &seen, w->folder, now, aside, &why);
    pthread_mutex_lock(w->lock);
    if (status == STATUS_OK) {
        log_mended(ring, &lost, aside);
    } else if (status != STATUS_CONFLICT) {
        w->loss.why = why;
        w->loss.retry_at = clock_boot_time() + RETRY_GAP;
    }
    shared_ring_release(shared);
}

bool ring_watch_mend(struct ring_watch *w, time_t now)
{
    bool another = false;
    if (w->loss.kind != RING_THERE && judge_loss(w) == RING_BACK_DUE) {
        write_back(w, now);
        another = ring_watch_look(w);
    }
    if (w->loss.kind != RING_THERE) {
        log_loss(w);
    }
    return another;
}

/* ------------------------------------------------------------------ answers */

struct shared_ring *ring_watch_ring(const struct ring_watch *w)
{
    return w->ring;
}

bool ring_watch_is_unread(const struct ring_watch *w)
{
    return w->unread;
}

void ring_watch_report(const struct ring_watch *w, struct status_report *report)
{
    report->ring_error = status_keep(report, error_of(w));
    report->ring_back = ring_back_name(w->loss.kind, judge_loss(w));
}

bool ring_watch_has_news(struct ring_watch *w)
{
    bool news = w->news;
    w->news = false;
    return news;
}

/* --------------------------------------------------------------------- life */

void ring_watch_guard(struct ring_watch *w, pthread_mutex_t *lock)
{
    w->lock = lock;
}

void ring_watch_retain(struct ring_watch *w, unsigned retain_days)
{
    w->retain_days = retain_days;
}

enum status ring_watch_new(const char *state_dir, struct ring_watch **out, struct reason *why)
{
    struct ring *ring = NULL;
    struct ring_watch *w = calloc(1, sizeof *w);
    enum status status = reason_set(why, STATUS_NO_MEMORY, "out of memory");
    *out = NULL;
    if (w == NULL) {
        return status;
    }
    w->copy.fd = -1;
    w->state_dir = strdup(state_dir);
    w->source = ring_source_new(state_dir);
    if (w->state_dir != NULL && w->source != NULL) {
        w->folder = file_id_of(state_dir);
        ring_source_changed(w->source, &w->stamp);
        status = ring_load(w->source, &ring, why);
    }
    struct shared_ring *shared = status == STATUS_OK ? shared_ring_new(ring) : NULL;
    if (shared == NULL) {
        ring_watch_free(w);
        return status == STATUS_OK ? reason_set(why, STATUS_NO_MEMORY, "out of memory") : status;
    }
    adopt(w, shared, true);
    *out = w;
    return STATUS_OK;
}

void ring_watch_free(struct ring_watch *w)
{
    if (w == NULL) {
        return;
    }
    shared_ring_release(w->ring);
    ring_copy_end(&w->copy);
    ring_source_free(w->source);
    free(w->state_dir);
    free(w->error);
    free(w);
}
