/*
 * The journal of a daemon, looked at by another process. Every question is asked in a child of its
 * own, which opens the file anew: a damaged one ends the child only, and the daemon frees what that
 * has held of LMDB's lock. Before the first question the file is looked through.
 */
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"
#include "store/journal.h"
#include "store/journal_child.h"
#include "store/journal_parts.h"

enum { EXPIRE_STEP = 4096, LOOK_SECONDS = 20, EXPIRE_SECONDS = 3600 };

struct question {
    const char *path;
    const struct ring *ring;
    const struct journal_subject *subject;
    time_t now;
};

struct looked {
    enum journal_answer answer;
    struct journal_entry entry;
};

static enum status look_in_child(void *context, void *result, struct reason *why)
{
    const struct question *question = context;
    struct looked *looked = result;
    struct journal *journal = journal_new("");
    if (journal == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    enum status status =
        journal_file_open(question->path, 0, JOURNAL_FILE_READ, &journal->file, why);
    if (status == STATUS_OK) {
        looked->answer = journal_own_look(journal, question->ring, question->subject, question->now,
                                          &looked->entry);
    }
    journal_free(journal);
    return status;
}

/* What has become of a question is kept for journal_trouble. */
static void keep_trouble(struct journal *journal, enum status status, const struct reason *why)
{
    pthread_mutex_lock(&journal->lock);
    journal->trouble.text[0] = '\0';
    journal->damaged = status == STATUS_INVALID;
    if (status == STATUS_INVALID) {
        reason_write(&journal->trouble,
                     "%.200s/journal is damaged (%.200s): batvd sets it aside at its next start",
                     journal->folder, why->text);
    } else if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        journal->trouble = *why;
    }
    pthread_mutex_unlock(&journal->lock);
}

enum journal_answer journal_reader_look(struct journal *journal, const struct ring *ring,
                                        const struct journal_subject *subject, time_t now,
                                        struct journal_entry *entry)
{
    struct reason why = {""};
    struct looked looked = {.answer = JOURNAL_NO};
    if (journal->damaged) {
        return JOURNAL_UNAVAILABLE;
    }
    char *path = journal_path(journal->folder, "journal");
    struct question question = {path, ring, subject, now};
    enum status status = path != NULL ? journal_child_run(look_in_child, &question, &looked,
                                                          sizeof looked, LOOK_SECONDS, &why)
                                      : reason_set(&why, STATUS_NO_MEMORY, "out of memory");
    free(path);
    keep_trouble(journal, status, &why);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? JOURNAL_NO : JOURNAL_UNAVAILABLE;
    }
    if (entry != NULL) {
        *entry = looked.entry;
    }
    return looked.answer;
}

static enum status stat_in_child(void *context, void *result, struct reason *why)
{
    struct journal_file *file;
    enum status status = journal_file_check(context, journal_is_walked(context), why);
    if (status == STATUS_OK) {
        status = journal_file_open(context, 0, JOURNAL_FILE_READ, &file, why);
    }
    if (status == STATUS_OK) {
        status = journal_fill_stat(file, result);
        journal_file_close(file);
    }
    return status;
}

enum status journal_reader_stat(struct journal *journal, struct journal_stat *out,
                                struct reason *why)
{
    struct reason inner = {""};
    char *path = journal_path(journal->folder, "journal");
    enum status status = path != NULL ? journal_child_run(stat_in_child, path, out, sizeof *out,
                                                          LOOK_SECONDS, &inner)
                                      : reason_set(&inner, STATUS_NO_MEMORY, "out of memory");
    free(path);
    out->damaged_aside = journal_damaged_aside(journal->folder);
    keep_trouble(journal, status, &inner);
    return reason_set(why, status, "%s",
                      journal->trouble.text[0] != '\0' ? journal->trouble.text : inner.text);
}

enum status journal_open_reader(const char *state_dir, struct journal **out, struct reason *why)
{
    *out = journal_new(state_dir);
    if (*out == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    (*out)->reader = true;
    struct journal_stat stat = {.written = false};
    if (journal_reader_stat(*out, &stat, NULL) == STATUS_OK) {
        (*out)->birth = stat.birth;
    }
    return STATUS_OK;
}

/* ---------------------------------------------------------------- expiring */

struct expiry {
    const char *path;
    int64_t today;
};

/* Between two steps a daemon's writer is let in. */
static void pause_after(size_t removed)
{
    const struct timespec moment = {0, 2000000};
    if (removed > 0) {
        nanosleep(&moment, NULL);
    }
}

static enum status expire_in_child(void *context, void *result, struct reason *why)
{
    const struct expiry *expiry = context;
    uint64_t *removed = result;
    struct journal_file *file;
    struct journal_removal removal = {
        .today = expiry->today, .everywhere = true, .limit = EXPIRE_STEP};
    enum status status = journal_file_check(expiry->path, journal_is_walked(expiry->path), why);
    if (status == STATUS_OK) {
        status = journal_file_open(expiry->path, 0, JOURNAL_FILE_WRITE, &file, why);
    }
    if (status != STATUS_OK) {
        return status;
    }
    while (status == STATUS_OK && !removal.done) {
        size_t before = removal.removed;
        status = journal_file_remove(file, &removal, why);
        if (status == STATUS_REFUSED && removal.limit > 1) {
            removal.limit /= 2; /* the file is full: fewer pages at a time */
            status = STATUS_OK;
        }
        pause_after(removal.removed - before);
    }
    *removed = removal.removed;
    journal_file_close(file);
    return status;
}

enum status journal_expire(const char *state_dir, time_t now, uint64_t *removed, struct reason *why)
{
    struct reason inner = {""};
    char *path = journal_path(state_dir, "journal");
    struct expiry expiry = {path, day_of(now)};
    *removed = 0;
    enum status status = path != NULL ? journal_child_run(expire_in_child, &expiry, removed,
                                                          sizeof *removed, EXPIRE_SECONDS, &inner)
                                      : reason_set(&inner, STATUS_NO_MEMORY, "out of memory");
    free(path);
    if (status == STATUS_INVALID) {
        return reason_set(
            why, status,
            "%.200s/journal is damaged (%.200s): batvd sets it aside at its next start", state_dir,
            inner.text);
    }
    return reason_set(why, status, "%s", inner.text);
}
