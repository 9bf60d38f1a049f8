/*
 * Connecting to a milter without a word: the milter takes it for a client that has gone. Each
 * attempt has an end. A listener whose queue is full is one that answers. No state here.
 */
#include "mta/milter_probe.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/connecting.h"
#include "mta/milter_address.h"

enum { CONNECT_MS = 3000 };

/* 0, or an error number. */
static int try_connect(const struct sockaddr *address, socklen_t length)
{
    int fd;
    int error = connect_until(address, length, clock_ms() + CONNECT_MS, &fd);
    if (fd >= 0) {
        close(fd);
    }
    return error;
}

static enum probe outcome(int error, struct reason *why)
{
    if (error == 0 || error == EAGAIN) {
        return PROBE_ANSWERS;
    }
    reason_write(why, "%s", strerror(error));
    return error == EACCES || error == EPERM ? PROBE_FORBIDDEN : PROBE_NOBODY;
}

enum probe probe_path(const char *path, struct reason *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path) {
        reason_write(why, "no path for a socket");
        return PROBE_INVALID;
    }
    memcpy(address.sun_path, path, strlen(path));
    return outcome(try_connect((const struct sockaddr *)&address, sizeof address), why);
}

enum probe probe_host(const char *host, const char *port, struct reason *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem != 0) {
        reason_write(why, "%s", gai_strerror(problem));
        return PROBE_NOBODY;
    }
    int error = ECONNREFUSED;
    for (const struct addrinfo *at = found; at != NULL && error != 0; at = at->ai_next) {
        error = try_connect(at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
    return outcome(error, why);
}

enum probe probe_listener(const char *listen, struct reason *why)
{
    char *host;
    char *port;
    const char *path = listen_path(listen);
    if (path != NULL) {
        return probe_path(path, why);
    }
    if (!listen_host_port(listen, &host, &port)) {
        reason_write(why, "out of memory");
        return PROBE_INVALID;
    }
    enum probe probe = probe_host(listen_reachable(host), port, why);
    free(host);
    free(port);
    return probe;
}

enum probe probe_milter(const char *name, const char *queue_directory, bool chroot,
                        struct reason *why)
{
    char *host = NULL;
    char *port = NULL;
    enum probe probe = PROBE_INVALID;
    char *path = milter_name_path(name, queue_directory, chroot);
    reason_write(why, "expected unix:PATH or inet:HOST:PORT");
    if (path != NULL) {
        probe = probe_path(path, why);
    } else if (milter_name_host(name, &host, &port)) {
        probe = probe_host(host, port, why);
    }
    free(path);
    free(host);
    free(port);
    return probe;
}
