/*
 * A unix socket is bound under another name in the same folder, given its mode, owner and group,
 * listens, and is then renamed into place: at no time is there a socket that refuses the MTA, and a
 * stale one is simply replaced. One on which somebody still answers is not.
 */
#include "io/listener.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* libmilter calls listen() once more, with this same number by default. */
enum { BACKLOG = 4096 };

static const char unix_prefix[] = "unix:";

static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    int error = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : errno;
    close(fd);
    return error == 0 || error == EAGAIN;
}

static enum status set_unix_address(const char *path, const char *suffix, struct sockaddr_un *out,
                                    struct reason *why)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(out->sun_path, sizeof out->sun_path, "%s%s", path, suffix);
    if (length < 0 || (size_t)length >= sizeof out->sun_path) {
        return reason_set(why, STATUS_INVALID,
                          "listen: %s: too long for a socket, at most %zu octets", path,
                          sizeof out->sun_path - sizeof ".new");
    }
    return STATUS_OK;
}

static enum status find_group(const char *name, gid_t *out, struct reason *why)
{
    *out = (gid_t)-1;
    if (name == NULL) {
        return STATUS_OK;
    }
    errno = 0;
    struct group *group = getgrnam(name);
    if (group == NULL) {
        return reason_set(why, STATUS_NOT_FOUND, "listen_group: there is no group \"%s\"", name);
    }
    *out = group->gr_gid;
    return STATUS_OK;
}

/* A setgid folder has given the group already; a service without rights may not even ask for it. */
static bool is_owned(const struct stat *st, uid_t owner, gid_t group)
{
    return (owner == (uid_t)-1 || owner == st->st_uid) &&
           (group == (gid_t)-1 || group == st->st_gid);
}

/* bind to rename, on an open socket. NULL, or the call that failed with errno. */
static const char *place_unix(const struct config *config, uid_t owner, gid_t group,
                              const struct sockaddr_un *temporary, struct listener *out)
{
    const char *name = temporary->sun_path;
    struct stat st;
    unlink(name);
    if (bind(out->fd, (const struct sockaddr *)temporary, sizeof *temporary) != 0) {
        return "bind";
    }
    if (chmod(name, config->listen_mode) != 0) {
        return "chmod";
    }
    if (stat(name, &st) != 0) {
        return "stat";
    }
    if (!is_owned(&st, owner, group) && chown(name, owner, group) != 0) {
        return "chown";
    }
    if (listen(out->fd, BACKLOG) != 0) {
        return "listen";
    }
    if (rename(name, out->path) != 0) {
        return "rename";
    }
    out->device = st.st_dev;
    out->inode = st.st_ino;
    return NULL;
}

static enum status open_unix(const struct config *config, const char *path, uid_t owner,
                             struct listener *out, struct reason *why)
{
    struct sockaddr_un final;
    struct sockaddr_un temporary;
    gid_t group = (gid_t)-1;
    enum status status = set_unix_address(path, "", &final, why);
    if (status == STATUS_OK) {
        status = set_unix_address(path, ".new", &temporary, why);
    }
    if (status == STATUS_OK) {
        status = find_group(config->listen_group, &group, why);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (somebody_answers(&final)) {
        return reason_set(why, STATUS_CONFLICT, "listen: %s: another program is listening there",
                          path);
    }
    out->path = strdup(path);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (out->path == NULL || out->fd < 0) {
        return reason_set(why, STATUS_IO, "listen: %s: socket: %s", path, strerror(errno));
    }
    const char *failed = place_unix(config, owner, group, &temporary, out);
    if (failed != NULL) {
        int error = errno;
        unlink(temporary.sun_path);
        return reason_set(why, STATUS_IO,
                          "listen: %s: %s: %s (as user id %ld: folder and group must allow it)",
                          path, failed, strerror(error), (long)geteuid());
    }
    return STATUS_OK;
}

/* Accepted sockets inherit TCP_NODELAY: without it each signed message waits for a delayed ACK. */
static int open_address(const struct addrinfo *address)
{
    int on = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* inet:PORT@HOST, inet6:PORT@HOST */
static enum status open_inet(const char *listen_text, struct listener *out, struct reason *why)
{
    const char *colon = strchr(listen_text, ':');
    const char *at = colon != NULL ? strchr(colon, '@') : NULL;
    if (at == NULL) {
        return reason_set(why, STATUS_INVALID, "listen: %s: not PORT@HOST", listen_text);
    }
    char port[16];
    snprintf(port, sizeof port, "%.*s", (int)(at - colon - 1), colon + 1);
    struct addrinfo hints = {.ai_family =
                                 strncmp(listen_text, "inet6:", 6) == 0 ? AF_INET6 : AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(at + 1, port, &hints, &found);
    if (error != 0) {
        return reason_set(why, STATUS_IO, "listen: %s: %s", listen_text, gai_strerror(error));
    }
    out->fd = open_address(found);
    int saved = errno;
    freeaddrinfo(found);
    if (out->fd < 0) {
        return reason_set(why, STATUS_IO, "listen: %s: %s", listen_text, strerror(saved));
    }
    return STATUS_OK;
}

enum status listener_open(const struct config *config, uid_t owner, struct listener *out,
                          struct reason *why)
{
    *out = (struct listener){.fd = -1};
    size_t prefix = sizeof unix_prefix - 1;
    enum status status = strncmp(config->listen, unix_prefix, prefix) == 0
                             ? open_unix(config, config->listen + prefix, owner, out, why)
                             : open_inet(config->listen, out, why);
    if (status != STATUS_OK) {
        if (out->fd >= 0) {
            close(out->fd);
        }
        free(out->path);
        *out = (struct listener){.fd = -1};
    }
    return status;
}

void listener_close(struct listener *listener)
{
    struct stat st;
    if (listener->path != NULL && stat(listener->path, &st) == 0 && st.st_dev == listener->device &&
        st.st_ino == listener->inode) {
        unlink(listener->path); /* may not be allowed any more: the next start replaces it */
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    free(listener->path);
    *listener = (struct listener){.fd = -1};
}
