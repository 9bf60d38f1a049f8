/*
 * The file `paused`. Made and removed by batvctl, looked at by the daemon; creating and unlinking
 * are atomic, so nobody needs a lock. No state here.
 */
#include "store/pause.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "batv/day.h"

/* False: longer than a path can be. */
static bool pause_path(const char *state_dir, char out[static PATH_MAX])
{
    int length = snprintf(out, PATH_MAX, "%s/paused", state_dir);
    return length >= 0 && length < PATH_MAX;
}

static enum status io_failed(const char *path, struct reason *why)
{
    return reason_set(why, STATUS_IO, "%.400s: %s", path, strerror(errno));
}

bool pause_is_on(const char *state_dir)
{
    char path[PATH_MAX];
    struct stat unused;
    return pause_path(state_dir, path) && lstat(path, &unused) == 0;
}

bool pause_since(const char *state_dir, time_t *since)
{
    *since = 0;
    char path[PATH_MAX];
    char text[TIME_TEXT] = "";
    struct stat info;
    if (!pause_path(state_dir, path) || lstat(path, &info) != 0) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) {
        close(fd);
    }
    if (length != sizeof text - 1 || !time_parse(text, since)) {
        *since = info.st_mtime; /* empty, as on a full disk: it was made then */
    }
    return true;
}

enum status pause_begin(const char *state_dir, time_t now, struct reason *why)
{
    char path[PATH_MAX];
    if (!pause_path(state_dir, path)) {
        return reason_set(why, STATUS_IO, "%.400s: the path is too long", state_dir);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno == EEXIST ? STATUS_OK : io_failed(path, why);
    }
    /* On a full disk it stays empty, and is a pause all the same. */
    char text[TIME_TEXT];
    time_format(now, text);
    text[TIME_TEXT - 1] = '\n';
    ssize_t written = write(fd, text, sizeof text);
    (void)written;
    (void)fsync(fd);
    close(fd);
    (void)folder_sync(state_dir);
    return STATUS_OK;
}

enum status pause_end(const char *state_dir, struct reason *why)
{
    char path[PATH_MAX];
    if (!pause_path(state_dir, path)) {
        return reason_set(why, STATUS_IO, "%.400s: the path is too long", state_dir);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return io_failed(path, why);
    }
    /* It must not come back after a power cut. Where the folder cannot be flushed, so be it. */
    (void)folder_sync(state_dir);
    return STATUS_OK;
}
