/*
 * What one call of read(2), write(2) or fsync(2) may leave undone is done here by the next. Nothing
 * is kept between calls; buffers belong to the caller. Any thread.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_OCTETS_MAX = 64 << 20 };

enum status file_failed(const char *path, const char *what, struct reason *why)
{
    return reason_set(why, STATUS_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

bool file_write_all(int fd, const void *octets, size_t size)
{
    const char *at = octets;
    while (size > 0) {
        ssize_t put = write(fd, at, size);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? ENOSPC : errno;
            return false;
        }
        at += put;
        size -= (size_t)put;
    }
    return true;
}

ssize_t file_read_all(int fd, void *out, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, (char *)out + length, size - length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    return (ssize_t)length;
}

bool file_sync(int fd)
{
    int result;
    do {
        result = fsync(fd);
    } while (result < 0 && errno == EINTR);
    return result == 0;
}

bool folder_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool done = file_sync(fd) || errno == EINVAL;
    int error = errno;
    close(fd);
    errno = error;
    return done;
}

/* size octets, or what there is. */
static enum status read_text(int fd, const char *path, size_t size, char **text, struct reason *why)
{
    char *octets = malloc(size + 1);
    if (octets == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    enum status status = STATUS_OK;
    ssize_t length = file_read_all(fd, octets, size);
    if (length < 0) {
        status = file_failed(path, "read", why);
    } else if (memchr(octets, '\0', (size_t)length) != NULL) {
        status = reason_set(why, STATUS_IO, "%s: not a text: it has NUL octets", path);
    }
    if (status != STATUS_OK) {
        free(octets);
        return status;
    }
    octets[length] = '\0';
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
        file_failed(path, "read", why);
        return absent ? STATUS_NOT_FOUND : STATUS_IO;
    }
    enum status status = STATUS_OK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > TEXT_OCTETS_MAX) {
        status = reason_set(why, STATUS_IO, "%s: no file, or too large", path);
    } else {
        status = read_text(fd, path, (size_t)info.st_size, text, why);
    }
    close(fd);
    return status;
}

static bool fill(const char *path, const void *octets, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool done = file_write_all(fd, octets, size) && file_sync(fd);
    int error = errno;
    if (close(fd) != 0 && done) {
        return false;
    }
    errno = error;
    return done;
}

const char *file_replace(const char *path, const char *fresh, const void *octets, size_t size)
{
    const char *failed = !fill(fresh, octets, size) ? fresh
                         : rename(fresh, path) != 0 ? path
                                                    : NULL;
    if (failed != NULL) {
        int error = errno;
        (void)unlink(fresh);
        errno = error;
    }
    return failed;
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
        status = file_failed(to, "make", why);
    } else if (!file_write_all(fd, text, strlen(text)) || stat(from, &info) != 0 ||
               fchown(fd, info.st_uid, info.st_gid) != 0 || fchmod(fd, info.st_mode & 0777) != 0 ||
               futimens(fd, (struct timespec[]){info.st_atim, info.st_mtim}) != 0 ||
               !file_sync(fd)) {
        status = file_failed(to, "write", why);
        unlink(to);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(text);
    return status;
}
