/*
 * The journal's writer: one thread that makes a round each second, or whoever calls journal_work.
 *
 * A round takes the open set away from the callers as the committing one, which nobody changes any
 * more, and writes it in transactions of a bounded size, in the order of the keys, so that each
 * page is touched once. What could not be written stays where it is and is tried again in the next
 * round; callers find it there meanwhile. Then what has expired is removed, where the database has
 * come near its largest size the oldest, and the write-ahead log is kept small.
 *
 * A database that is found to be damaged is replaced here: pending entries stay and come into the
 * new one. Versions of the settings that know the former birth may be in use for a while, so for
 * some minutes what is not found may have been lost.
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
    CHECK_MS = 200, /* a round spends on looking for damage, but for the last table */
    BATCH_MAX = 16384,
    BATCH_LEAST = 16,
    SIZE_OF_BATCH = 64 * 1024, /* of max_size, for an entry */
    ROOM_STEPS = 4,            /* after each transaction that adds entries */
    UNSURE_S = 600,
    FAILURE_NOTICE_S = 60,
    ROOM_NOTICE_S = 3600,
    CLOCK_SLACK_S = DAY_SECONDS
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t journal_steady_s(void)
{
    return clock_ms(CLOCK_MONOTONIC) / 1000;
}

size_t journal_batch(uint64_t max_size)
{
    uint64_t batch = max_size / SIZE_OF_BATCH;
    return batch > BATCH_MAX ? BATCH_MAX : batch < BATCH_LEAST ? BATCH_LEAST : (size_t)batch;
}

/* ------------------------------------------------------------- removing */

static void warn_room(struct journal *journal, int64_t first)
{
    if (log_notice_due(&journal->room_notice, ROOM_NOTICE_S)) {
        char day[DAY_TEXT];
        day_format(first, day);
        log_line(LOG_WARNING,
                 "journal: it is full: entries are removed before they expire, now those that "
                 "would from %s on; raise journal.max_size or lower journal.retain_days",
                 day);
    }
}

/* Keeps the last eighth free. */
static void keep_room(struct journal *journal, time_t now)
{
    struct reason why;
    int64_t first = 0;
    for (int i = 0; i < ROOM_STEPS && journal_db_is_full(journal->db); i++) {
        enum status status = journal_db_drain(journal->db, journal->batch, now, &first, &why);
        if (status != STATUS_OK) {
            (void)journal_failed(journal, status, &why);
            return;
        }
        if (first > day_of(now)) {
            warn_room(journal, first);
        }
    }
}

/* Removes what has expired; now 0: nothing does. */
static void expire(struct journal *journal, time_t now)
{
    struct reason why;
    bool more = now != 0;
    while (more) {
        enum status status = journal_db_drop(journal->db, day_of(now), &more, &why);
        if (status != STATUS_OK) {
            (void)journal_failed(journal, status, &why);
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

static enum status write_records(struct journal *journal, time_t now, struct reason *why)
{
    size_t count = journal->committing.count;
    size_t batch;
    const struct journal_record **sorted = sort_records(&journal->committing);
    enum status status =
        sorted != NULL ? STATUS_OK : reason_set(why, STATUS_NO_MEMORY, "out of memory");
    for (size_t done = 0; done < count && status == STATUS_OK; done += batch) {
        batch = count - done < journal->batch ? count - done : journal->batch;
        status = journal_db_put(journal->db, sorted + done, batch, day_of(now), why);
        if (status == STATUS_OK) {
            status = journal_db_checkpoint(journal->db, why);
        }
        keep_room(journal, now);
    }
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

/* False: something is still to be written. now counts for nothing but periods, and what is said to
 * have been removed before its time. */
static bool write_pending(struct journal *journal, time_t now)
{
    struct reason why = {""};
    size_t count = take_open(journal);
    if (count == 0) {
        keep_room(journal, now);
        return true;
    }
    enum status status = journal_failed(journal, write_records(journal, now, &why), &why);
    note_outcome(journal, status, &why, count);
    if (status == STATUS_OK) {
        drop_committing(journal);
    }
    return status == STATUS_OK;
}

/* --------------------------------------------------------------- damage */

/* After an unclean end, until all tables have been looked at. */
static void look_for_damage(struct journal *journal)
{
    struct reason why = {""};
    int64_t begun = clock_ms(CLOCK_MONOTONIC);
    bool more = true;
    while (more && clock_ms(CLOCK_MONOTONIC) - begun < CHECK_MS) {
        enum status status = journal_db_check(journal->db, &journal->ending, &more, &why);
        if (status != STATUS_OK) {
            (void)journal_failed(journal, status, &why);
            return;
        }
    }
}

static void replace_damaged(struct journal *journal)
{
    struct reason why = {""};
    pthread_mutex_lock(&journal->lock);
    const struct reason damage = journal->damage;
    if (damage.text[0] != '\0') {
        journal->unsure_until = journal_steady_s() + UNSURE_S;
    }
    pthread_mutex_unlock(&journal->lock);
    if (damage.text[0] == '\0') {
        return;
    }
    enum status status = journal_db_replace(journal->db, &damage, &why);
    note_outcome(journal, status, &why, journal_pending(journal));
    if (status == STATUS_OK) {
        pthread_mutex_lock(&journal->lock);
        journal->damage.text[0] = '\0';
        pthread_mutex_unlock(&journal->lock);
    }
}

void journal_work(struct journal *journal, time_t now)
{
    struct reason why = {""};
    if (journal->db == NULL || journal->reader) {
        return;
    }
    pthread_mutex_lock(&journal->working);
    look_for_damage(journal);
    replace_damaged(journal);
    (void)write_pending(journal, now != 0 ? now : time(NULL));
    expire(journal, now);
    (void)journal_failed(journal, journal_db_checkpoint(journal->db, &why), &why);
    pthread_mutex_unlock(&journal->working);
}

/* ----------------------------------------------------------- the thread */

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
    if (journal->db == NULL) {
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

/* Both sets, one after the other. */
static void write_rest(struct journal *journal)
{
    for (int i = 0; i < 2; i++) {
        if (!write_pending(journal, time(NULL))) {
            break;
        }
    }
    size_t left = journal->open.count + journal->committing.count;
    if (left > 0) {
        log_line(LOG_ERR, "journal: %zu entries are lost, since they could not be written", left);
    }
}

void journal_stop(struct journal *journal)
{
    if (journal->started) {
        const uint64_t one = 1;
        journal->ending = true;
        ssize_t put = write(journal->wake, &one, sizeof one);
        (void)put;
        pthread_join(journal->thread, NULL);
        close(journal->wake);
    }
    if (journal->db != NULL && !journal->reader) {
        replace_damaged(journal);
        write_rest(journal);
    }
}
