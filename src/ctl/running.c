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

bool daemon_is_running(const char *state_dir)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/lock", state_dir);
    int fd = length < PATH_MAX ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd); /* and with it the lock */
    }
    return held;
}
