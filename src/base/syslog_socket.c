/*
 * A line goes out as one datagram, or on a stream with a NUL behind it, where the daemon listens on
 * one (RFC 3164 as every syslogd reads it from its local socket). The connection is kept. When the
 * daemon is started again the old one is dead, so a failed line is sent once more over a new one.
 *
 * Many threads send at a time, and hold the lock for reading. Whoever connects anew holds it for
 * writing, so that no descriptor is closed under somebody's hands.
 */
#include "base/syslog_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_SECONDS = 5 };

struct syslog_socket {
    pthread_rwlock_t lock;
    const char *path;
    int fd; /* -1: none */
    bool stream;
    unsigned generation; /* of the connection */
};

struct syslog_socket *syslog_socket_new(const char *path)
{
    struct syslog_socket *s = calloc(1, sizeof *s);
    if (s != NULL) {
        pthread_rwlock_init(&s->lock, NULL);
        s->path = path != NULL ? path : _PATH_LOG;
        s->fd = -1;
    }
    return s;
}

void syslog_socket_free(struct syslog_socket *s)
{
    if (s != NULL) {
        if (s->fd >= 0) {
            close(s->fd);
        }
        pthread_rwlock_destroy(&s->lock);
        free(s);
    }
}

/* Returns a descriptor, or the negative errno. */
static int connect_as(const char *path, int type)
{
    const struct timeval limit = {.tv_sec = WAIT_SECONDS};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    /* Without waiting: a stream whose daemon accepts nobody would hold us up. */
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        fcntl(fd, F_SETFL, 0) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static int connect_to(const char *path, bool *stream)
{
    int fd = connect_as(path, SOCK_DGRAM);
    *stream = fd == -EPROTOTYPE;
    return *stream ? connect_as(path, SOCK_STREAM) : fd;
}

int syslog_socket_probe(const char *path)
{
    bool stream;
    int fd = connect_to(path != NULL ? path : _PATH_LOG, &stream);
    if (fd < 0) {
        return -fd;
    }
    close(fd);
    return 0;
}

/* With the lock held for writing; 0 or an errno. */
static int connect_anew(struct syslog_socket *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = connect_to(s->path, &s->stream);
    s->generation++;
    return s->fd >= 0 ? 0 : -s->fd;
}

/* A line in its pieces: what stands before it, itself, and the NUL that ends it on a stream. */
struct record {
    char head[64];
    struct iovec piece[3];
};

/* As a syslogd reads it: by local time, and in English whatever the locale. */
static void record_fill(struct record *record, int priority, const char *line, size_t length)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static char end[] = "";
    time_t now = time(NULL);
    struct tm at = {.tm_mday = 1};
    localtime_r(&now, &at);
    int used = snprintf(record->head, sizeof record->head,
                        "<%d>%s %2d %02d:%02d:%02d batvd[%ld]: ", priority, months[at.tm_mon],
                        at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec, (long)getpid());
    record->piece[0] = (struct iovec){record->head, used > 0 ? (size_t)used : 0};
    record->piece[1].iov_len = length;
    memcpy(&record->piece[1].iov_base, &line, sizeof line); /* it is only read */
    record->piece[2] = (struct iovec){end, 1};
}

/* With the lock held. Half a line on a stream spoils the connection. */
static int send_record(const struct syslog_socket *s, struct record *record, int flags)
{
    const size_t pieces = s->stream ? 3 : 2;
    const struct msghdr message = {.msg_iov = record->piece, .msg_iovlen = pieces};
    size_t length = 0;
    if (s->fd < 0) {
        return ENOTCONN;
    }
    for (size_t i = 0; i < pieces; i++) {
        length += record->piece[i].iov_len;
    }
    ssize_t sent = sendmsg(s->fd, &message, MSG_NOSIGNAL | flags);
    if (sent < 0) {
        return errno;
    }
    return (size_t)sent == length ? 0 : EPIPE;
}

/* The connection of that generation is dead: whoever comes first makes another. */
static int send_anew(struct syslog_socket *s, unsigned generation, struct record *record)
{
    pthread_rwlock_wrlock(&s->lock);
    int error = s->generation != generation && s->fd >= 0 ? 0 : connect_anew(s);
    if (error == 0) {
        error = send_record(s, record, MSG_DONTWAIT);
    }
    pthread_rwlock_unlock(&s->lock);
    return error;
}

int syslog_socket_send(struct syslog_socket *s, int priority, const char *line, size_t length,
                       bool patient)
{
    struct record record = {.head = ""};
    record_fill(&record, priority, line, length);
    pthread_rwlock_rdlock(&s->lock);
    unsigned generation = s->generation;
    int error = send_record(s, &record, patient ? 0 : MSG_DONTWAIT);
    pthread_rwlock_unlock(&s->lock);
    bool slow = error == EAGAIN || error == EWOULDBLOCK;
    return error == 0 || slow ? error : send_anew(s, generation, &record);
}
