/*
 * The journal's writer: one thread that makes a round each second, or whoever calls journal_work.
 *
 * A round takes the open set away from the callers as the committing one, which nobody changes any
 * more, and writes it in transactions of a bounded size, in the order of the keys, so that each
 * page is touched once. What could not be written stays where it is and is tried again in the next
 * round; callers find it there meanwhile. Then, in transactions of their own, entries that have
 * expired are removed, and where the file has come near its largest size the oldest.
 *
 * LMDB never changes a page in place, and reuses one only two transactions later: so a transaction
 * needs as many free pages as it touches, which is what the last eighth of the file is for. Where
 * they do not suffice the transactions become smaller.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stack.h"
#include "batv/day.h"
#include "store/journal.h"
#include "store/journal_parts.h"

enum {
    PERIOD_MS = 1000,
    PAUSE_MIN_MS = 100,
    BATCH_MIN = 2,
    EXPIRE_STEPS = 4, /* transactions a round */
    ROOM_STEPS = 4,   /* after each transaction that adds entries */
    SWEEP_LIMIT = 64, /* entries a round */
    FULL_STEPS = 24,  /* attempts a round to make room */
    TIDY_ROUNDS = 60,
    FAILURE_NOTICE_S = 60,
    ROOM_NOTICE_S = 3600,
    CLOCK_SLACK_S = DAY_SECONDS
};

/* ------------------------------------------------------------- uniting */

/* An entry that either secret has made. False: neither. */
static bool unpack_any(const struct ring *ring, const uint8_t value[static JOURNAL_VALUE],
                       struct journal_entry *entry, unsigned *secret)
{
    for (*secret = 0; ring != NULL && *secret < JOURNAL_SECRETS; ++*secret) {
        if (journal_entry_unpack(ring, *secret, value, entry) == STATUS_OK) {
            return true;
        }
    }
    return false;
}

/* A journal_merge_fn: what stands in the file and what comes to it, as one. */
static bool unite(void *context, const struct journal_record *fresh,
                  const uint8_t stored[static JOURNAL_VALUE], uint8_t out[static JOURNAL_VALUE])
{
    const struct ring *ring = context;
    struct journal_entry old = {.used = 0};
    unsigned secret;
    memcpy(out, fresh->value, JOURNAL_VALUE);
    memcpy(old.key, fresh->key, JOURNAL_KEY);
    struct journal_entry both = old;
    if (!unpack_any(ring, stored, &old, &secret) || !unpack_any(ring, out, &both, &secret)) {
        return true;
    }
    both.used = fresh->counted ? both.used : old.used;
    both.expires = both.expires > old.expires ? both.expires : old.expires;
    both.allowed = both.allowed > old.allowed ? both.allowed : old.allowed;
    if (journal_entry_pack(ring, secret, &both, out) != STATUS_OK) {
        memcpy(out, fresh->value, JOURNAL_VALUE);
    }
    return memcmp(out, stored, JOURNAL_VALUE) != 0;
}

/* The secrets of what is pending. NULL: none, or no memory. The caller frees. */
static struct ring *copy_secrets(struct journal *journal)
{
    struct ring *copy = ring_new();
    pthread_mutex_lock(&journal->lock);
    const struct ring *kept = journal->evidence;
    if (copy != NULL &&
        (kept == NULL ||
         ring_set_evidence(copy, &kept->evidence_current, &kept->evidence_previous) != STATUS_OK)) {
        ring_free(copy);
        copy = NULL;
    }
    pthread_mutex_unlock(&journal->lock);
    return copy;
}

/* ------------------------------------------------------------- removing */

static enum status remove_step(struct journal *journal, struct journal_removal *removal,
                               struct reason *why)
{
    removal->limit = journal->batch;
    enum status status = journal_file_remove(journal->file, removal, why);
    while (status == STATUS_REFUSED && removal->limit > 1) {
        removal->limit /= 4;
        removal->limit += removal->limit == 0;
        removal->forced = removal->forced < removal->limit ? removal->forced : removal->limit;
        status = journal_file_remove(journal->file, removal, why);
    }
    return status;
}

static void warn_room(struct journal *journal, int64_t oldest)
{
    if (log_notice_due(&journal->room_notice, ROOM_NOTICE_S)) {
        char day[DAY_TEXT];
        day_format(oldest, day);
        log_line(
            LOG_WARNING,
            "journal: it is full: entries are removed before they expire, now those that would "
            "on %s; journal.max_size should be larger, or journal.retain_days smaller",
            day);
    }
}

/* The oldest entries, as many as a transaction may hold. */
static enum status remove_oldest(struct journal *journal, time_t now, struct reason *why)
{
    struct journal_file_stat stat;
    struct journal_removal removal = {.today = day_of(now), .forced = journal->batch};
    if (journal_file_stat(journal->file, &stat) == STATUS_OK && stat.oldest > removal.today) {
        warn_room(journal, stat.oldest);
    }
    enum status status = remove_step(journal, &removal, why);
    if (status == STATUS_OK && removal.removed == 0 && removal.done) {
        return reason_set(why, STATUS_REFUSED, "journal.max_size is too small for anything");
    }
    return status;
}

/* Removes what has expired; 0: nothing does. */
static void expire(struct journal *journal, time_t now)
{
    struct journal_removal removal = {.today = day_of(now)};
    struct journal_file_stat stat;
    struct reason unused;
    for (int i = 0; i < EXPIRE_STEPS && now != 0; i++) {
        if (journal_file_stat(journal->file, &stat) != STATUS_OK || stat.oldest < 0 ||
            stat.oldest > removal.today || remove_step(journal, &removal, &unused) != STATUS_OK) {
            return;
        }
    }
}

/* What expires before something older is behind it in the order: a few are looked at each time, so
 * that all have been within hours. */
static void sweep(struct journal *journal, time_t now)
{
    struct reason unused;
    struct journal_removal removal = {.today = day_of(now),
                                      .everywhere = true,
                                      .limit = SWEEP_LIMIT,
                                      .from = journal->sweep_from};
    if (now != 0 && journal_file_remove(journal->file, &removal, &unused) == STATUS_OK) {
        journal->sweep_from = removal.done ? 0 : removal.from;
    }
}

/* Keeps the last eighth free. */
static void keep_room(struct journal *journal, time_t now)
{
    struct journal_file_stat stat;
    struct reason unused;
    for (int i = 0; i < ROOM_STEPS; i++) {
        if (journal_file_stat(journal->file, &stat) != STATUS_OK ||
            stat.used <= stat.max_size - stat.max_size / 8 ||
            remove_oldest(journal, now, &unused) != STATUS_OK) {
            return;
        }
    }
}

/* -------------------------------------------------------------- writing */

static int compare_records(const void *a, const void *b)
{
    const struct journal_record *const *left = a;
    const struct journal_record *const *right = b;
    return memcmp((*left)->key, (*right)->key, JOURNAL_KEY);
}

/* The committing set in the order of its keys. NULL: no memory. The caller frees. */
static const struct journal_record **sort_records(const struct journal_table *table)
{
    const struct journal_record **sorted = calloc(table->count, sizeof(void *));
    for (size_t i = 0; sorted != NULL && i < table->count; i++) {
        sorted[i] = &table->records[i];
    }
    if (sorted != NULL) {
        qsort(sorted, table->count, sizeof(void *), compare_records);
    }
    return sorted;
}

/* One transaction of at most a batch. *done counts records. */
static enum status write_step(struct journal *journal, const struct journal_record *const sorted[],
                              size_t count, struct ring *ring, size_t *done, struct reason *why)
{
    size_t size = count - *done < journal->batch ? count - *done : journal->batch;
    enum status status = journal_file_put(journal->file, sorted + *done, size, unite, ring, why);
    *done += status == STATUS_OK ? size : 0;
    return status;
}

static enum status write_records(struct journal *journal, time_t now, struct reason *why)
{
    size_t count = journal->committing.count;
    const struct journal_record **sorted = sort_records(&journal->committing);
    struct ring *ring = copy_secrets(journal);
    size_t done = 0;
    unsigned attempts = 0;
    enum status status = STATUS_OK;
    if (sorted == NULL) {
        status = reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    while (status == STATUS_OK && done < count) {
        status = write_step(journal, sorted, count, ring, &done, why);
        if (status == STATUS_OK) {
            keep_room(journal, now);
        }
        if (status == STATUS_REFUSED && attempts++ < FULL_STEPS) {
            journal->batch = journal->batch / 2 > BATCH_MIN ? journal->batch / 2 : BATCH_MIN;
            status = remove_oldest(journal, now, why);
        }
    }
    if (status == STATUS_OK && attempts == 0) {
        size_t more = 2 * journal->batch;
        journal->batch = more < journal->batch_max ? more : journal->batch_max;
    }
    ring_free(ring);
    free(sorted);
    return status;
}

/* After an attempt: what is said, to the log and to journal_trouble. */
static void note_outcome(struct journal *journal, enum status status, const struct reason *why,
                         size_t waiting)
{
    pthread_mutex_lock(&journal->lock);
    bool failed_before = journal->failure.text[0] != '\0';
    journal->failure.text[0] = '\0';
    if (status != STATUS_OK) {
        reason_write(&journal->failure, "cannot be written: %.400s", why->text);
    }
    pthread_mutex_unlock(&journal->lock);
    if (status != STATUS_OK && log_notice_due(&journal->failure_notice, FAILURE_NOTICE_S)) {
        log_line(LOG_WARNING,
                 "journal: cannot be written, and is tried again each second; %zu entries wait in "
                 "memory: %s",
                 waiting, why->text);
    } else if (status == STATUS_OK && failed_before) {
        log_line(LOG_NOTICE, "journal: is written again, with %zu entries that have waited",
                 waiting);
    }
}

/* Takes the open set over unless there is one still to be written. Its size. */
static size_t take_open(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    if (journal->committing.count == 0) {
        struct journal_table empty = journal->committing;
        journal->committing = journal->open;
        journal->open = empty;
    }
    size_t count = journal->committing.count;
    pthread_mutex_unlock(&journal->lock);
    return count;
}

static void drop_committing(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct journal_table grave = journal->committing;
    journal->committing = (struct journal_table){.count = 0};
    pthread_mutex_unlock(&journal->lock);
    journal_table_clear(&grave);
}

/* False: something is still to be written. now counts for nothing but what is said to have been
 * removed before its time. */
static bool work_once(struct journal *journal, time_t now)
{
    struct reason why = {""};
    size_t count = take_open(journal);
    enum status status = count > 0 ? write_records(journal, now, &why) : STATUS_OK;
    if (count > 0) {
        note_outcome(journal, status, &why, count);
    }
    if (count > 0 && status == STATUS_OK) {
        drop_committing(journal);
    }
    if (count == 0) {
        keep_room(journal, now);
    }
    return status == STATUS_OK;
}

void journal_work(struct journal *journal, time_t now)
{
    if (journal->file == NULL || journal->reader) {
        return;
    }
    pthread_mutex_lock(&journal->working);
    (void)work_once(journal, now != 0 ? now : time(NULL));
    expire(journal, now);
    sweep(journal, now);
    if (++journal->rounds % TIDY_ROUNDS == 0) {
        journal_file_tidy(journal->file);
    }
    pthread_mutex_unlock(&journal->working);
}

/* ----------------------------------------------------------- the thread */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The time of day less that since the machine's start: it moves when somebody sets the clock. */
static int64_t clock_offset_s(void)
{
    return (clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME)) / 1000;
}

/* The clock as it has been for a day at least. */
struct trust {
    int64_t offset_s;
    int64_t jumped_s; /* when it was found to stand otherwise, by a clock that nobody sets; 0: it
                         does not */
};

/* Nothing expires by a clock that has jumped: it may have been wrong before or be wrong now. 0, or
 * the time. */
static time_t trusted_now(struct trust *trust)
{
    int64_t offset = clock_offset_s();
    int64_t steady = clock_ms(CLOCK_MONOTONIC) / 1000 + 1; /* never 0 */
    int64_t jump = offset - trust->offset_s;
    if (jump <= CLOCK_SLACK_S && jump >= -CLOCK_SLACK_S) {
        trust->jumped_s = 0;
        return time(NULL);
    }
    if (trust->jumped_s == 0) {
        trust->jumped_s = steady;
    }
    if (steady - trust->jumped_s > CLOCK_SLACK_S) {
        *trust = (struct trust){.offset_s = offset};
    }
    return 0;
}

static void *run(void *argument)
{
    struct journal *journal = argument;
    struct trust trust = {.offset_s = clock_offset_s()};
    int64_t begun = clock_ms(CLOCK_MONOTONIC);
    while (!journal->ending) {
        int64_t wait = PERIOD_MS - (clock_ms(CLOCK_MONOTONIC) - begun);
        wait = wait > PERIOD_MS ? PERIOD_MS : wait < PAUSE_MIN_MS ? PAUSE_MIN_MS : wait;
        struct pollfd wake = {.fd = journal->wake, .events = POLLIN};
        (void)poll(&wake, 1, (int)wait);
        begun = clock_ms(CLOCK_MONOTONIC);
        if (!journal->ending) {
            journal_work(journal, trusted_now(&trust));
        }
    }
    return NULL;
}

enum status journal_start(struct journal *journal, struct reason *why)
{
    if (journal->file == NULL) {
        return STATUS_OK;
    }
    journal->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (journal->wake < 0) {
        return reason_set(why, STATUS_IO, "journal: %s", strerror(errno));
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int error = pthread_create(&journal->thread, &attributes, run, journal);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        close(journal->wake);
        journal->wake = -1;
        return reason_set(why, STATUS_IO, "journal: cannot start a thread: %s", strerror(error));
    }
    journal->started = true;
    return STATUS_OK;
}

static void stop(struct journal *journal)
{
    if (journal->started) {
        const uint64_t one = 1;
        journal->ending = true;
        ssize_t put = write(journal->wake, &one, sizeof one);
        (void)put;
        pthread_join(journal->thread, NULL);
        close(journal->wake);
    }
}

/* Both sets, one after the other. */
static void write_rest(struct journal *journal)
{
    for (int i = 0; i < 2; i++) {
        if (!work_once(journal, time(NULL))) {
            break;
        }
    }
    size_t left = journal->open.count + journal->committing.count;
    if (left > 0) {
        log_line(LOG_ERR, "journal: %zu entries are lost, since they could not be written", left);
    }
}

void journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    stop(journal);
    if (journal->file != NULL) {
        write_rest(journal);
    }
    journal_free(journal);
}
