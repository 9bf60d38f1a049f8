/* Connecting to a socket within a time. */
#ifndef BASE_CONNECTING_H
#define BASE_CONNECTING_H

#include <stdint.h>
#include <sys/socket.h>

/* The monotonic clock, in milliseconds. */
int64_t clock_ms(void);

/* Waits for these events of poll(2) until that moment of clock_ms(). 0 or an error number. */
int wait_until(int fd, short events, int64_t deadline);

/* A connection, non-blocking, in *fd, which the caller closes; -1: there is none. 0 or an error
 * number. EAGAIN: there is somebody, whose queue is full. */
int connect_until(const struct sockaddr *address, socklen_t length, int64_t deadline, int *fd);

#endif
