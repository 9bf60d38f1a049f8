/*
 * How the journal begins and ends, for the daemon and for batvctl, and what there is to say of it.
 * A database that cannot be opened is no reason not to serve: the journal is then kept in memory.
 */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "batv/day.h"
#include "store/journal_parts.h"

/* NULL: no memory. */
static struct journal *journal_new(const char *folder)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL || (folder != NULL && (journal->folder = strdup(folder)) == NULL)) {
        free(journal);
        return NULL;
    }
    journal->wake = -1;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_mutex_init(&journal->counting, NULL);
    pthread_mutex_init(&journal->working, NULL);
    return journal;
}

enum status journal_open(const char *state_dir, uint64_t max_size, unsigned retain_days,
                         struct journal **out, struct reason *why)
{
    struct journal *journal = *out = journal_new(state_dir);
    if (journal == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    journal->batch = journal_batch(max_size);
    if (state_dir != NULL) {
        journal->opened = journal_db_open(state_dir, JOURNAL_DB_SERVE, max_size, retain_days,
                                          &journal->db, &journal->trouble);
    }
    if (journal->opened != STATUS_OK) {
        log_line(LOG_ERR,
                 "the journal cannot be opened and is kept in memory until the next start: %s",
                 journal->trouble.text);
    }
    return STATUS_OK;
}

/* As for a person, where it is damage. */
static enum status tell(enum status status, struct reason *why)
{
    if (status == STATUS_INVALID) {
        const struct reason inner = *why;
        reason_write(why, "the journal is damaged, and batvd sets it aside: %.400s", inner.text);
    }
    return status;
}

enum status journal_failed(struct journal *journal, enum status status, const struct reason *why)
{
    pthread_mutex_lock(&journal->lock);
    if (status == STATUS_INVALID && journal->damage.text[0] == '\0') {
        journal->damage = *why;
    }
    if (journal->reader) { /* nobody else would say it */
        journal->trouble = *why;
        (void)tell(status, &journal->trouble);
    }
    pthread_mutex_unlock(&journal->lock);
    return status;
}

enum status journal_open_reader(const char *state_dir, struct journal **out, struct reason *why)
{
    struct journal *journal = *out = journal_new(state_dir);
    if (journal == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    journal->reader = true;
    journal->opened =
        journal_db_open(state_dir, JOURNAL_DB_READ, 0, 0, &journal->db, &journal->trouble);
    if (tell(journal->opened, &journal->trouble) == STATUS_NOT_FOUND) {
        journal->trouble.text[0] = '\0';
    }
    return STATUS_OK;
}

enum status journal_expire(const char *state_dir, time_t now, uint64_t *removed, struct reason *why)
{
    struct journal_db *db;
    *removed = 0;
    enum status status = journal_db_open(state_dir, JOURNAL_DB_EXPIRE, 0, 0, &db, why);
    if (status == STATUS_OK) {
        status = journal_db_expire(db, day_of(now), removed, why);
    }
    journal_db_close(db);
    return tell(status, why);
}

void journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    journal_stop(journal);
    journal_db_close(journal->db);
    journal_table_clear(&journal->open);
    journal_table_clear(&journal->committing);
    pthread_mutex_destroy(&journal->lock);
    pthread_mutex_destroy(&journal->counting);
    pthread_mutex_destroy(&journal->working);
    free(journal->folder);
    free(journal);
}

/* -------------------------------------------------------------- questions */

time_t journal_birth(const struct journal *journal)
{
    return journal->db != NULL ? journal_db_birth(journal->db) : 0;
}

bool journal_trouble(struct journal *journal, struct reason *out)
{
    pthread_mutex_lock(&journal->lock);
    *out = journal->trouble.text[0] != '\0' ? journal->trouble : journal->failure;
    pthread_mutex_unlock(&journal->lock);
    return out->text[0] != '\0';
}

size_t journal_pending(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    size_t count = journal->open.count + journal->committing.count;
    pthread_mutex_unlock(&journal->lock);
    return count;
}

enum status journal_stat(struct journal *journal, struct journal_stat *out, struct reason *why)
{
    *out = (struct journal_stat){.oldest_expires = -1};
    out->damaged_aside = journal->folder != NULL && journal_db_aside(journal->folder);
    pthread_mutex_lock(&journal->lock);
    out->dropped = journal->dropped;
    pthread_mutex_unlock(&journal->lock);
    out->pending = journal_pending(journal);
    if (journal->db == NULL) {
        return reason_set(why, journal->reader ? journal->opened : STATUS_OK, "%s",
                          journal->trouble.text);
    }
    struct reason inner = {""};
    enum status status = journal_db_stat(journal->db, out, &inner);
    if (status != STATUS_OK) {
        (void)tell(journal_failed(journal, status, &inner), &inner);
    }
    return reason_set(why, status, "%s", inner.text);
}
