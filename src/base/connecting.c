/* No state here. */
#include "base/connecting.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int wait_until(int fd, short events, int64_t deadline)
{
    struct pollfd wait = {.fd = fd, .events = events};
    int ready;
    do {
        int64_t left = deadline - clock_ms();
        ready = poll(&wait, 1, left > 0 ? (int)left : 0);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? 0 : ready == 0 ? ETIMEDOUT : errno;
}

int connect_until(const struct sockaddr *address, socklen_t length, int64_t deadline, int *fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    *fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return errno;
    }
    if (connect(*fd, address, length) != 0) {
        error = errno == EINPROGRESS ? wait_until(*fd, POLLOUT, deadline) : errno;
        if (error == 0 && getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
            error = errno;
        }
    }
    if (error != 0) {
        close(*fd);
        *fd = -1;
    }
    return error;
}
