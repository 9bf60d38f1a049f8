/*
 * The daemon's lock, tried and let go at once. A shared one is asked for, so that two that ask do
 * not take each other for a daemon.
 */
#include "ctl/running.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* -1: it cannot be opened. */
static int open_lock(const char *state_dir)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/lock", state_dir);
    return length < PATH_MAX ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
}

bool daemon_is_running(const char *state_dir)
{
    int fd = open_lock(state_dir);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd); /* and with it the lock */
    }
    return held;
}

long daemon_process(const char *state_dir)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_lock(state_dir);
    bool known = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0) {
        close(fd);
    }
    return known && lock.l_pid > 0 ? (long)lock.l_pid : 0;
}
