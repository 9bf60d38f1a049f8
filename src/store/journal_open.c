/*
 * How the journal begins and ends. LMDB believes what it reads, so every page is looked at before
 * anything is built upon it, in a child process. A very large file is spared that, for the time it
 * takes, unless the former process did not come to its end, perhaps because of the journal itself:
 * while that is open the file `journal.open` stands beside it. A file that does not pass is renamed
 * to `journal.damaged`, in place of an older one, and a new one is begun: the mail goes on.
 *
 * journal_open makes everything here, journal_free undoes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "store/journal.h"
#include "store/journal_child.h"
#include "store/journal_parts.h"

enum {
    BATCH_MAX = 1024, /* LMDB keeps a page of memory for each that a transaction has changed */
    BATCH_LEAST = 4,
    SIZE_OF_BATCH = 128 * 1024,
    CHECK_SECONDS = 300,
    SIZE_WALKED = 256 * 1024 * 1024 /* octets that are read in a moment */
};

char *journal_path(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* --------------------------------------------------------------- folder */

static bool exists(const char *folder, const char *name)
{
    struct stat info;
    char *path = journal_path(folder, name);
    bool there = path != NULL && lstat(path, &info) == 0;
    free(path);
    return there;
}

bool journal_damaged_aside(const char *folder)
{
    return exists(folder, "journal.damaged");
}

static void remove_file(const char *folder, const char *name)
{
    char *path = journal_path(folder, name);
    if (path != NULL) {
        (void)unlink(path);
    }
    free(path);
}

/* Before anything is done with the file. */
static void set_marker(struct journal *journal)
{
    char *path = journal_path(journal->folder, "journal.open");
    int fd = path != NULL
                 ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600)
                 : -1;
    if (fd >= 0) {
        close(fd);
        (void)folder_sync(journal->folder);
        journal->marked = true;
    } else {
        log_line(LOG_WARNING, "%s/journal.open: %s: a crash would not be noticed at the next start",
                 journal->folder, strerror(errno));
    }
    free(path);
}

/* ---------------------------------------------------------------- damage */

struct check {
    const char *path;
    bool whole;
};

bool journal_is_walked(const char *path)
{
    struct stat info;
    return stat(path, &info) != 0 || info.st_size <= SIZE_WALKED;
}

static enum status check_in_child(void *context, void *result, struct reason *why)
{
    const struct check *check = context;
    (void)result;
    return journal_file_check(check->path, check->whole, why);
}

enum status journal_check(const char *path, bool whole, struct reason *why)
{
    struct check check = {path, whole};
    return journal_child_run(check_in_child, &check, NULL, 0, CHECK_SECONDS, why);
}

/* The lock file goes as well: it belongs to the file that was there. */
static enum status set_aside(struct journal *journal, const char *path, const struct reason *fault,
                             struct reason *why)
{
    char *aside = journal_path(journal->folder, "journal.damaged");
    enum status status = STATUS_OK;
    if (aside == NULL) {
        status = reason_set(why, STATUS_NO_MEMORY, "out of memory");
    } else if (rename(path, aside) != 0) {
        status = reason_set(why, STATUS_IO, "%.200s is damaged and cannot be set aside: %s", path,
                            strerror(errno));
    } else {
        remove_file(journal->folder, "journal-lock");
        (void)folder_sync(journal->folder);
        log_line(LOG_ERR,
                 "%s was damaged (%s); it is now %s, and a new journal is begun: bounces and "
                 "answers to mail sent before now can be proven by tag and header only",
                 path, fault->text, aside);
    }
    free(aside);
    return status;
}

/* ---------------------------------------------------------------- opening */

/* What is there may be used as it is. STATUS_NOT_FOUND: nothing is there. */
static enum status check_kind(const char *path, struct reason *why)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return reason_set(why, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "%.400s: %s", path,
                          strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return reason_set(why, STATUS_REFUSED, "%.400s: no regular file", path);
    }
    if (info.st_uid != geteuid()) {
        return reason_set(why, STATUS_REFUSED, "%.400s: owner is user %lu, expected user %lu", path,
                          (unsigned long)info.st_uid, (unsigned long)geteuid());
    }
    if ((info.st_mode & 07077) != 0 && chmod(path, 0600) != 0) {
        return reason_set(why, STATUS_REFUSED, "%.400s: mode %04o, expected 0600", path,
                          (unsigned)(info.st_mode & 07777));
    }
    return STATUS_OK;
}

/* Looks at what the last process has left. */
static enum status check_left(struct journal *journal, const char *path, struct reason *why)
{
    struct reason fault;
    bool unclean = exists(journal->folder, "journal.open");
    enum status status = check_kind(path, why);
    if (status != STATUS_OK) {
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    if (unclean) {
        log_line(LOG_NOTICE, "%s was not closed: all of it is looked through", path);
    }
    status = journal_check(path, unclean || journal_is_walked(path), &fault);
    if (status == STATUS_INVALID) {
        return set_aside(journal, path, &fault, why);
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        log_line(LOG_WARNING, "%s could not be looked through: %s", path, fault.text);
    }
    return STATUS_OK;
}

static enum status open_file(struct journal *journal, const char *path, size_t max_size,
                             struct reason *why)
{
    struct reason fault;
    enum status status = check_left(journal, path, why);
    if (status != STATUS_OK) {
        return status;
    }
    set_marker(journal);
    status = journal_file_open(path, max_size, JOURNAL_FILE_MAKE, &journal->file, why);
    if (status == STATUS_INVALID) {
        fault = *why;
        status = set_aside(journal, path, &fault, why);
        if (status == STATUS_OK) {
            status = journal_file_open(path, max_size, JOURNAL_FILE_MAKE, &journal->file, why);
        }
    }
    /* What could not be opened has not been in use: whatever the marker says stays so. */
    journal->marked = journal->marked && status == STATUS_OK;
    return status;
}

struct journal *journal_new(const char *folder)
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

void journal_free(struct journal *journal)
{
    if (journal == NULL) {
        return;
    }
    journal_file_close(journal->file);
    if (journal->marked) {
        remove_file(journal->folder, "journal.open");
        (void)folder_sync(journal->folder);
    }
    journal_table_clear(&journal->open);
    journal_table_clear(&journal->committing);
    ring_free(journal->evidence);
    pthread_mutex_destroy(&journal->lock);
    pthread_mutex_destroy(&journal->counting);
    pthread_mutex_destroy(&journal->working);
    free(journal->folder);
    free(journal);
}

enum status journal_open(const char *state_dir, size_t max_size, struct journal **out,
                         struct reason *why)
{
    *out = NULL;
    struct journal *journal = journal_new(state_dir);
    char *path = state_dir != NULL ? journal_path(state_dir, "journal") : NULL;
    if (journal == NULL || (state_dir != NULL && path == NULL)) {
        free(path);
        journal_free(journal);
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    journal->batch_max = max_size / SIZE_OF_BATCH;
    journal->batch_max = journal->batch_max > BATCH_MAX ? BATCH_MAX : journal->batch_max;
    journal->batch_max = journal->batch_max < BATCH_LEAST ? BATCH_LEAST : journal->batch_max;
    journal->batch = journal->batch_max;
    if (path != NULL && open_file(journal, path, max_size, &journal->trouble) != STATUS_OK) {
        log_line(LOG_ERR,
                 "the journal cannot be opened and is kept in memory until the next start: %s",
                 journal->trouble.text);
    }
    if (journal->file != NULL) {
        journal->birth = journal_file_birth(journal->file);
    }
    free(path);
    *out = journal;
    return STATUS_OK;
}

/* -------------------------------------------------------------- questions */

time_t journal_birth(const struct journal *journal)
{
    return journal->birth;
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

enum status journal_fill_stat(struct journal_file *file, struct journal_stat *out)
{
    struct journal_file_stat stat;
    enum status status = journal_file_stat(file, &stat);
    if (status == STATUS_OK) {
        out->written = true;
        out->birth = journal_file_birth(file);
        out->entries = stat.entries;
        out->used = stat.used;
        out->size = stat.size;
        out->max_size = stat.max_size;
        out->oldest_expires = stat.oldest;
        out->forced = stat.forced;
        out->forced_at = stat.forced_at;
    }
    return status;
}

enum status journal_stat(struct journal *journal, struct journal_stat *out, struct reason *why)
{
    *out = (struct journal_stat){.oldest_expires = -1};
    if (journal->reader) {
        return journal_reader_stat(journal, out, why);
    }
    out->damaged_aside = journal->folder != NULL && journal_damaged_aside(journal->folder);
    pthread_mutex_lock(&journal->lock);
    out->dropped = journal->dropped;
    pthread_mutex_unlock(&journal->lock);
    out->pending = journal_pending(journal);
    if (journal->file != NULL && journal_fill_stat(journal->file, out) != STATUS_OK) {
        return reason_set(why, STATUS_IO, "%.400s/journal cannot be read just now",
                          journal->folder);
    }
    return STATUS_OK;
}
