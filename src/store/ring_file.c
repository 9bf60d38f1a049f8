/*
 * The keyring file. Readers take no lock: they see whole files only, because a ring comes into
 * force by rename. Writers, in all processes and threads, exclude each other by flock on
 * `keyring.lock`, which is never removed: a lock on a file that has been unlinked would exclude
 * nobody. Under it a writer compares the generation, fills `keyring.new`, reads it back and renames
 * it; what a killed writer has left there is removed by the next one.
 *
 * Buffers with secrets are allocated, wiped and freed here; rings belong to the caller.
 */
#include "store/ring_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "batv/day.h"
#include "batv/ring_text.h"
#include "batv/secret.h"

enum {
    FILE_MAX = 1 << 26, /* a million domains */
    ATTEMPTS_MAX = 20,  /* of ring_change */
    LOCK_PAUSE_MS = 10, /* between two looks at a held lock */
    LOCK_WAIT_MS = 10000
};

struct ring_source {
    char *folder;
    char *path;
    char *fresh; /* keyring.new */
    char *lock;
};

static char *path_in(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

struct ring_source *ring_source_new(const char *state_dir)
{
    struct ring_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return NULL;
    }
    source->folder = strdup(state_dir);
    source->path = path_in(state_dir, "keyring");
    source->fresh = path_in(state_dir, "keyring.new");
    source->lock = path_in(state_dir, "keyring.lock");
    if (!source->folder || !source->path || !source->fresh || !source->lock) {
        ring_source_free(source);
        return NULL;
    }
    return source;
}

void ring_source_free(struct ring_source *source)
{
    if (source == NULL) {
        return;
    }
    free(source->folder);
    free(source->path);
    free(source->fresh);
    free(source->lock);
    free(source);
}

const char *ring_source_path(const struct ring_source *source)
{
    return source->path;
}

/* Reading. */

static enum status check_file(const char *path, const struct stat *info, struct reason *why)
{
    if (!S_ISREG(info->st_mode)) {
        return reason_set(why, STATUS_REFUSED, "%s: not a regular file", path);
    }
    if (info->st_uid != geteuid()) {
        return reason_set(why, STATUS_REFUSED, "%s: owner is user %lu, expected user %lu", path,
                          (unsigned long)info->st_uid, (unsigned long)geteuid());
    }
    if ((info->st_mode & 07077) != 0) {
        return reason_set(why, STATUS_REFUSED, "%s: mode %04o, expected 0600", path,
                          (unsigned)(info->st_mode & 07777));
    }
    if (info->st_size > FILE_MAX) {
        return reason_set(why, STATUS_REFUSED, "%s: %lld octets, expected at most %d", path,
                          (long long)info->st_size, FILE_MAX);
    }
    return STATUS_OK;
}

static enum status parse_file(const char *path, const char *text, size_t length, struct ring **out,
                              struct reason *why)
{
    struct reason inner = {""};
    enum status status = ring_parse(text, length, out, &inner);
    if (status != STATUS_OK) {
        reason_write(why, "%s: %.300s", path, inner.text);
    }
    return status;
}

static enum status read_ring(int fd, const char *path, struct ring **out, struct reason *why)
{
    struct stat info;
    if (fstat(fd, &info) < 0) {
        return file_failed(path, "look at it", why);
    }
    enum status status = check_file(path, &info, why);
    if (status != STATUS_OK) {
        return status;
    }

    /* One octet more than it is long: a file that has grown since is noticed by its digest. */
    size_t size = (size_t)info.st_size + 1;
    char *text = malloc(size);
    if (text == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    ssize_t length = file_read_all(fd, text, size);
    if (length < 0) {
        status = file_failed(path, "read", why);
    } else {
        status = parse_file(path, text, (size_t)length, out, why);
    }
    ring_text_free(text, size);
    return status;
}

/* Why the file could not be opened; errno says. */
static enum status open_failed(const char *path, struct reason *why)
{
    struct stat info;
    int error = errno;
    if (error == ENOENT) {
        return reason_set(why, STATUS_NOT_FOUND, "%s: no such file", path);
    }
    if (error == ELOOP) {
        return reason_set(why, STATUS_REFUSED, "%s: a symbolic link, expected a regular file",
                          path);
    }
    if (error == EACCES && lstat(path, &info) == 0 && check_file(path, &info, why) != STATUS_OK) {
        return STATUS_REFUSED; /* another user's, mostly: that says more */
    }
    errno = error;
    return file_failed(path, "open", why);
}

enum status ring_load(struct ring_source *source, struct ring **out, struct reason *why)
{
    *out = NULL;
    /* O_NONBLOCK: a fifo in its place must not hold us up. */
    int fd = open(source->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return open_failed(source->path, why);
    }
    enum status status = read_ring(fd, source->path, out, why);
    close(fd);
    return status;
}

enum status ring_load_from(const char *state_dir, struct ring **out, struct reason *why)
{
    struct ring_source *source = ring_source_new(state_dir);
    *out = NULL;
    enum status status = source != NULL ? ring_load(source, out, why)
                                        : reason_set(why, STATUS_NO_MEMORY, "out of memory");
    ring_source_free(source);
    return status;
}

/* Writing. */

/* The open lock file, or -1 and a reason. Closing it unlocks. */
static int lock_take(const struct ring_source *source, struct reason *why)
{
    int fd = open(source->lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        file_failed(source->lock, "open", why);
        return -1;
    }
    /* A look at a time: a writer that was stopped in its tracks must not stop the daemon as well.
     */
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_PAUSE_MS) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= LOCK_WAIT_MS) {
            file_failed(source->lock, "lock", why);
            close(fd);
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return fd;
}

static enum status check_absent(const struct ring_source *source, struct reason *why)
{
    struct stat info;
    if (lstat(source->path, &info) == 0) {
        return reason_set(why, STATUS_CONFLICT, "%s: already exists", source->path);
    }
    return errno == ENOENT ? STATUS_OK : file_failed(source->path, "look at it", why);
}

static enum status check_generation(struct ring_source *source, uint64_t expected,
                                    struct reason *why)
{
    if (expected == 0) {
        return check_absent(source, why);
    }
    struct ring *stored;
    enum status status = ring_load(source, &stored, why);
    assert(status != STATUS_OK || stored != NULL);
    if (status == STATUS_OK && stored->generation != expected) {
        status = reason_set(why, STATUS_CONFLICT, "%s: another process changed it meanwhile",
                            source->path);
    }
    ring_free(stored);
    return status;
}

/* Whether the file holds exactly text. */
static enum status verify_file(int fd, const char *path, const char *text, size_t length,
                               struct reason *why)
{
    size_t size = length + 1;
    char *again = malloc(size);
    if (again == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "%s: out of memory", path);
    }
    enum status status = STATUS_OK;
    ssize_t got = lseek(fd, 0, SEEK_SET) < 0 ? -1 : file_read_all(fd, again, size);
    if (got < 0) {
        status = file_failed(path, "read back", why);
    } else if ((size_t)got != length || memcmp(again, text, length) != 0) {
        status = reason_set(why, STATUS_IO, "%s: reads back differently than written", path);
    }
    ring_text_free(again, size);
    return status;
}

static enum status fill_file(int fd, const char *path, const char *text, size_t length,
                             struct reason *why)
{
    if (fchmod(fd, 0600) < 0) {
        return file_failed(path, "set its mode", why);
    }
    if (!file_write_all(fd, text, length)) {
        return file_failed(path, "write", why);
    }
    if (!file_sync(fd)) {
        return file_failed(path, "synchronise", why);
    }
    return verify_file(fd, path, text, length, why);
}

static enum status write_fresh(const struct ring_source *source, const char *text, size_t length,
                               struct reason *why)
{
    if (unlink(source->fresh) < 0 && errno != ENOENT) {
        return file_failed(source->fresh, "remove", why);
    }
    int fd = open(source->fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return file_failed(source->fresh, "create", why);
    }
    enum status status = fill_file(fd, source->fresh, text, length, why);
    if (close(fd) < 0 && errno != EINTR && status == STATUS_OK) {
        status = file_failed(source->fresh, "close", why);
    }
    return status;
}

static enum status replace_file(const struct ring_source *source, const char *text, size_t length,
                                struct reason *why)
{
    enum status status = write_fresh(source, text, length, why);
    if (status == STATUS_OK && rename(source->fresh, source->path) < 0) {
        status = file_failed(source->path, "replace", why);
    }
    if (status != STATUS_OK) {
        unlink(source->fresh);
        return status;
    }
    if (!folder_sync(source->folder)) {
        status = file_failed(source->folder,
                             "synchronise the folder after the keyring was replaced", why);
    }
    return status;
}

static enum status format_next(const struct ring *next, uint64_t generation, char **text,
                               size_t *length, struct reason *why)
{
    /* Shares its domains and contexts with next, and only for as long as it is read. */
    struct ring stamped = *next;
    stamped.generation = generation;
    enum status status = ring_format(&stamped, text, length);
    secret_wipe_memory(&stamped, sizeof stamped);
    return status == STATUS_OK ? status : reason_set(why, status, "cannot format the keyring");
}

enum status ring_commit(struct ring_source *source, uint64_t expected, const struct ring *next,
                        struct reason *why)
{
    if (expected == UINT64_MAX) {
        return reason_set(why, STATUS_REFUSED, "%s: the generation cannot grow any more",
                          source->path);
    }
    char *text = NULL;
    size_t length = 0;
    enum status status = format_next(next, expected + 1, &text, &length, why);
    if (status != STATUS_OK) {
        return status;
    }

    int lock = lock_take(source, why);
    status = lock < 0 ? STATUS_IO : check_generation(source, expected, why);
    if (status == STATUS_OK && length > FILE_MAX) {
        status = reason_set(why, STATUS_REFUSED, "%s: would have %zu octets, the limit is %d",
                            source->path, length, FILE_MAX);
    }
    if (status == STATUS_OK) {
        status = replace_file(source, text, length, why);
    }
    if (lock >= 0) {
        close(lock);
    }
    ring_text_free(text, length);
    return status;
}

/* Writing back. */

uint64_t ring_source_claim(const struct ring_source *source)
{
    char text[256];
    int fd = open(source->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t length = fd >= 0 ? file_read_all(fd, text, sizeof text) : -1;
    uint64_t claim = length > 0 ? ring_text_claim(text, (size_t)length) : 0;
    if (fd >= 0) {
        close(fd);
    }
    secret_wipe_memory(text, sizeof text);
    return claim;
}

static enum status conflict(const struct ring_source *source, struct reason *why)
{
    return reason_set(why, STATUS_CONFLICT, "%s: another process changed it meanwhile",
                      source->path);
}

/* Gives the file a second name, which *aside becomes. */
static enum status set_aside(const struct ring_source *source, time_t now,
                             char aside[static RING_ASIDE], struct reason *why)
{
    enum { NAMES = 100 };
    char moment[TIME_TEXT];
    time_format(now, moment);
    for (int i = 0; i < NAMES; i++) {
        snprintf(aside, RING_ASIDE, i == 0 ? "keyring.damaged-%s" : "keyring.damaged-%s.%d", moment,
                 i);
        char *path = path_in(source->folder, aside);
        if (path == NULL) {
            return reason_set(why, STATUS_NO_MEMORY, "out of memory");
        }
        int failed = link(source->path, path);
        free(path);
        if (failed == 0) {
            return STATUS_OK;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    enum status status = file_failed(source->path, "set the damaged file aside", why);
    aside[0] = '\0';
    return status;
}

static bool is_seen(const char *path, const struct file_stamp *seen)
{
    return file_id_equal(file_id_of(path), (struct file_id){seen->device, seen->inode});
}

/* Not in glibc's name, which other libraries do not have. */
static int exchange(const char *a, const char *b)
{
    enum { EXCHANGE = 2 }; /* RENAME_EXCHANGE */
    return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, EXCHANGE);
}

/* The damaged file, which has another name by now, and the fresh one change places, so that there
 * is always one. What came in between is not the damaged one, and gets its place back. */
static enum status take_place(const struct ring_source *source, const struct file_stamp *seen,
                              struct reason *why)
{
    if (exchange(source->fresh, source->path) != 0) {
        return file_failed(source->path, "replace", why);
    }
    if (!is_seen(source->fresh, seen)) {
        (void)exchange(source->fresh, source->path);
        return conflict(source, why);
    }
    return STATUS_OK;
}

static enum status replace_damaged(const struct ring_source *source, const struct file_stamp *seen,
                                   time_t now, char aside[static RING_ASIDE], struct reason *why)
{
    enum status status = set_aside(source, now, aside, why);
    if (status != STATUS_OK) {
        return status;
    }
    status = take_place(source, seen, why);
    if (status != STATUS_OK) {
        char *path = path_in(source->folder, aside);
        aside[0] = '\0';
        if (path != NULL) {
            unlink(path);
        }
        free(path);
    }
    return status;
}

static enum status put_missing(const struct ring_source *source, struct reason *why)
{
    if (link(source->fresh, source->path) == 0) {
        return STATUS_OK;
    }
    return errno == EEXIST ? conflict(source, why) : file_failed(source->path, "create", why);
}

/* Under the lock: whether the file is still lost, as it was seen to be, and not a later one. */
static enum status check_lost(struct ring_source *source, uint64_t generation,
                              const struct file_stamp *seen, bool *missing, struct reason *why)
{
    struct ring *ring = NULL;
    struct reason inner;
    struct file_stamp present = *seen;
    enum status status = ring_load(source, &ring, &inner);
    ring_free(ring);
    *missing = status == STATUS_NOT_FOUND;
    if (file_stamp_renew(&present, source->path, AT_SYMLINK_NOFOLLOW) || status == STATUS_OK) {
        return conflict(source, why);
    }
    if (status != STATUS_NOT_FOUND && status != STATUS_INVALID) {
        return reason_set(why, status, "%.400s", inner.text);
    }
    return ring_source_claim(source) <= generation
               ? STATUS_OK
               : reason_set(why, STATUS_REFUSED, "%s: has a later generation", source->path);
}

static enum status restore_text(struct ring_source *source, const char *text, size_t length,
                                const struct file_stamp *seen, bool missing, time_t now,
                                char aside[static RING_ASIDE], struct reason *why)
{
    enum status status = write_fresh(source, text, length, why);
    if (status == STATUS_OK) {
        status =
            missing ? put_missing(source, why) : replace_damaged(source, seen, now, aside, why);
    }
    unlink(source->fresh); /* a second name of one file or the other */
    if (status == STATUS_OK && !folder_sync(source->folder)) {
        status = file_failed(source->folder,
                             "synchronise the folder after the keyring was written back", why);
    }
    return status;
}

enum status ring_restore(struct ring_source *source, const struct ring *ring,
                         const struct file_stamp *seen, struct file_id folder, time_t now,
                         char aside[static RING_ASIDE], struct reason *why)
{
    char *text = NULL;
    size_t length = 0;
    bool missing = false;
    aside[0] = '\0';
    if (!file_id_equal(file_id_of(source->folder), folder)) {
        return reason_set(why, STATUS_REFUSED, "%s: not the folder of the start", source->folder);
    }
    enum status status = format_next(ring, ring->generation, &text, &length, why);
    int lock = status == STATUS_OK ? lock_take(source, why) : -1;
    if (status == STATUS_OK) {
        status = lock < 0 ? STATUS_IO : check_lost(source, ring->generation, seen, &missing, why);
    }
    if (status == STATUS_OK) {
        status = restore_text(source, text, length, seen, missing, now, aside, why);
    }
    if (lock >= 0) {
        close(lock);
    }
    ring_text_free(text, length);
    return status;
}

/* Changing. */

static enum status change_once(struct ring_source *source, ring_change_fn *change, void *context,
                               struct reason *why)
{
    struct ring *ring;
    enum status status = ring_load(source, &ring, why);
    assert(status != STATUS_OK || ring != NULL);
    if (status != STATUS_OK) {
        return status;
    }
    bool changed = true;
    status = change(context, ring, &changed, why);
    if (status == STATUS_OK && changed) {
        status = ring_commit(source, ring->generation, ring, why);
    }
    ring_free(ring);
    return status;
}

enum status ring_change(struct ring_source *source, ring_change_fn *change, void *context,
                        struct reason *why)
{
    enum status status = STATUS_CONFLICT;
    for (int i = 0; i < ATTEMPTS_MAX && status == STATUS_CONFLICT; i++) {
        status = change_once(source, change, context, why);
    }
    return status;
}

/* Watching. */

bool ring_source_changed(struct ring_source *source, struct file_stamp *seen)
{
    return file_stamp_renew(seen, source->path, AT_SYMLINK_NOFOLLOW);
}
