/*
 * Replacing files that are the administrator's: the new content is written under another name in
 * the same folder, synchronised, and renamed, so that a reader, a full disk or a kill never meets
 * half a file. struct draft owns its two paths. One thread.
 */
#include "ctl/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_OCTETS_MAX = 64 << 20 };

static enum status failed(const char *path, const char *what, struct reason *why)
{
    int error = errno;
    return reason_set(why, STATUS_IO, "%s: cannot %s: %s", path, what, strerror(error));
}

static enum status no_memory(struct reason *why)
{
    return reason_set(why, STATUS_NO_MEMORY, "out of memory");
}

static bool write_all(int fd, const char *text, size_t left)
{
    while (left > 0) {
        ssize_t put = write(fd, text, left);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        text += put;
        left -= (size_t)put;
    }
    return true;
}

/* The file that path leads to; one that is not there yet as it stands. NULL: no memory. */
static char *find_target(const char *path)
{
    char *target = realpath(path, NULL);
    return target != NULL || errno == ENOMEM ? target : strdup(path);
}

/* Owner and mode of the file that is to be replaced. */
static bool take_after(int fd, const char *target, mode_t mode)
{
    struct stat there;
    struct stat fresh;
    if (stat(target, &there) != 0) {
        return errno == ENOENT && fchmod(fd, mode) == 0;
    }
    if (fstat(fd, &fresh) != 0) {
        return false;
    }
    bool same = there.st_uid == fresh.st_uid && there.st_gid == fresh.st_gid;
    return (same || fchown(fd, there.st_uid, there.st_gid) == 0) &&
           fchmod(fd, there.st_mode & 07777) == 0;
}

static enum status fill(int fd, const struct draft *draft, const char *text, mode_t mode,
                        struct reason *why)
{
    enum status status = STATUS_OK;
    if (!write_all(fd, text, strlen(text))) {
        status = failed(draft->path, "write", why);
    } else if (!take_after(fd, draft->target, mode)) {
        status = failed(draft->path, "give it owner and mode of the former file", why);
    } else if (fsync(fd) != 0) {
        status = failed(draft->path, "synchronise", why);
    }
    if (close(fd) != 0 && errno != EINTR && status == STATUS_OK) {
        status = failed(draft->path, "close", why);
    }
    return status;
}

enum status draft_write(struct draft *draft, const char *path, const char *text, mode_t mode,
                        struct reason *why)
{
    *draft = (struct draft){.target = find_target(path)};
    if (draft->target == NULL || asprintf(&draft->path, "%s.new-XXXXXX", draft->target) < 0) {
        draft->path = NULL;
        draft_drop(draft);
        return no_memory(why);
    }
    enum status status = STATUS_OK;
    int fd = mkostemp(draft->path, O_CLOEXEC);
    if (fd < 0) {
        status = failed(draft->target, "write a new one beside it", why);
        free(draft->path); /* its name stands for no file */
        draft->path = NULL;
    } else {
        status = fill(fd, draft, text, mode, why);
    }
    if (status != STATUS_OK) {
        draft_drop(draft);
    }
    return status;
}

/* What a power cut could undo is no error for the file: it is in force. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    int fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

enum status draft_commit(struct draft *draft, struct reason *why)
{
    if (rename(draft->path, draft->target) != 0) {
        return failed(draft->target, "replace", why);
    }
    sync_folder(draft->target);
    free(draft->path);
    draft->path = NULL;
    return STATUS_OK;
}

void draft_drop(struct draft *draft)
{
    if (draft->path != NULL) {
        unlink(draft->path);
    }
    free(draft->path);
    free(draft->target);
    *draft = (struct draft){.target = NULL};
}

enum status file_replace(const char *path, const char *text, mode_t mode, struct reason *why)
{
    struct draft draft;
    enum status status = draft_write(&draft, path, text, mode, why);
    if (status == STATUS_OK) {
        status = draft_commit(&draft, why);
    }
    draft_drop(&draft);
    return status;
}

/* size octets, or what there is. */
static enum status read_all(int fd, const char *path, size_t size, char **text, struct reason *why)
{
    size_t length = 0;
    char *octets = malloc(size + 1);
    if (octets == NULL) {
        return no_memory(why);
    }
    while (length < size) {
        ssize_t got = read(fd, octets + length, size - length);
        if (got < 0 && errno != EINTR) {
            free(octets);
            return failed(path, "read", why);
        }
        if (got == 0) {
            break;
        }
        length += got > 0 ? (size_t)got : 0;
    }
    octets[length] = '\0';
    if (strlen(octets) != length) {
        free(octets);
        return reason_set(why, STATUS_IO, "%s: not a text: it has NUL octets", path);
    }
    *text = octets;
    return STATUS_OK;
}

enum status file_read(const char *path, char **text, struct reason *why)
{
    struct stat info;
    *text = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        bool absent = errno == ENOENT;
        failed(path, "read", why);
        return absent ? STATUS_NOT_FOUND : STATUS_IO;
    }
    enum status status = STATUS_OK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_OCTETS_MAX) {
        status = reason_set(why, STATUS_IO, "%s: no file, or too large", path);
    } else {
        status = read_all(fd, path, (size_t)info.st_size, text, why);
    }
    close(fd);
    return status;
}

enum status file_copy(const char *from, const char *to, struct reason *why)
{
    struct stat info;
    char *text;
    enum status status = file_read(from, &text, why);
    if (status != STATUS_OK) {
        return status;
    }
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        status = failed(to, "make", why);
    } else if (!write_all(fd, text, strlen(text)) || stat(from, &info) != 0 ||
               fchown(fd, info.st_uid, info.st_gid) != 0 || fchmod(fd, info.st_mode & 07777) != 0 ||
               futimens(fd, (struct timespec[]){info.st_atim, info.st_mtim}) != 0 ||
               fsync(fd) != 0) {
        status = failed(to, "write", why);
        unlink(to);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(text);
    return status;
}
