/*
 * A unix socket is bound under another name in the same folder, given its mode, owner and group,
 * listens, and is then renamed into place: at no time is there a socket that refuses the MTA, and a
 * stale one is simply replaced. One on which somebody still answers is not.
 *
 * The owner of the folder may put a link under any name in it at any moment. So root does nothing
 * there by path: it acts as that owner, and gives the socket away by descriptor.
 */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
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

#include "daemon/privileges.h"
#include "daemon/socket_advice.h"

_Static_assert(LISTEN_PATH_MAX == sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof ".new",
               "a longer path than the configuration allows cannot be bound");

/* libmilter calls listen() once more, with this same number by default. */
enum { BACKLOG = 4096 };

static const char unix_prefix[] = "unix:";

/* Asked as whoever we are: root may connect to any socket, and that changes none. */
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
                          "listen: %s: too long for a socket, at most %d octets", path,
                          LISTEN_PATH_MAX);
    }
    return STATUS_OK;
}

/* A unix socket on its way into place. */
struct placing {
    struct socket_wish wish;
    struct sockaddr_un final;
    struct sockaddr_un temporary;
    struct identity folder; /* acts in the folder */
    mode_t mode;
    gid_t group;
    bool keeps_group; /* may not be given another */
    int fd;           /* the socket itself */
    int there;        /* O_PATH: its name in the folder, whatever comes to stand there */
    struct stat st;   /* of there */
};

static enum status find_group(struct placing *placing, struct reason *why)
{
    placing->group = (gid_t)-1;
    if (placing->wish.group == NULL) {
        return STATUS_OK;
    }
    errno = 0;
    const struct group *group = getgrnam(placing->wish.group);
    if (group == NULL) {
        return socket_group_unknown(&placing->wish, why);
    }
    placing->group = group->gr_gid;
    return STATUS_OK;
}

static enum status failed(const struct placing *placing, const char *call, struct reason *why)
{
    int error = errno;
    char user[USER_TEXT];
    return reason_set(why, STATUS_IO,
                      "listen: %s: %s: %s (user %s needs access to the folder and the group)",
                      placing->wish.path, call, strerror(error), user_name(geteuid(), user));
}

/* The umask gives the mode, unless a default ACL of the folder does. */
static enum status bind_unix(struct placing *placing, struct reason *why)
{
    char there[sizeof "/proc/self/fd/-2147483648"];
    const char *name = placing->temporary.sun_path;
    unlink(name);
    mode_t former = umask(~placing->mode & 0777);
    int bound =
        bind(placing->fd, (struct sockaddr *)&placing->temporary, sizeof placing->temporary);
    umask(former);
    if (bound != 0) {
        return socket_folder_denied(&placing->wish, errno, why);
    }
    placing->there = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (placing->there < 0 || fstat(placing->there, &placing->st) != 0) {
        return failed(placing, "open", why);
    }
    const struct stat *st = &placing->st;
    if (!S_ISSOCK(st->st_mode) || st->st_uid != geteuid() || st->st_nlink != 1) {
        return reason_set(why, STATUS_REFUSED,
                          "listen: %s: not the socket that batvd has just made: another process "
                          "changes the folder",
                          name);
    }
    snprintf(there, sizeof there, "/proc/self/fd/%d", placing->there);
    if ((st->st_mode & 07777) != placing->mode && chmod(there, placing->mode) != 0) {
        return failed(placing, "chmod", why);
    }
    return STATUS_OK;
}

static enum status make_unix(struct placing *placing, struct reason *why)
{
    struct stat final;
    if (lstat(placing->final.sun_path, &final) == 0 && S_ISDIR(final.st_mode)) {
        errno = EISDIR;
        return failed(placing, "rename", why);
    }
    enum status status = bind_unix(placing, why);
    if (status == STATUS_OK && listen(placing->fd, BACKLOG) != 0) {
        status = failed(placing, "listen", why);
    }
    return status;
}

static enum status rename_unix(struct placing *placing, struct reason *why)
{
    return rename(placing->temporary.sun_path, placing->final.sun_path) == 0
               ? STATUS_OK
               : failed(placing, "rename", why);
}

static enum status remove_unix(struct placing *placing, struct reason *why)
{
    (void)why;
    unlink(placing->temporary.sun_path);
    return STATUS_OK;
}

/* A step that works by path. */
static enum status as_folder(enum status (*step)(struct placing *, struct reason *),
                             struct placing *placing, struct reason *why)
{
    struct reason ignored;
    enum status status = identity_borrow(&placing->folder, why);
    if (status == STATUS_OK) {
        status = step(placing, why);
    }
    enum status returned = identity_return(status == STATUS_OK ? why : &ignored);
    return status == STATUS_OK ? returned : status;
}

/* A setgid folder has given the group already; a service without rights may not even ask for it. */
static enum status give_unix(const struct placing *placing, uid_t owner, struct reason *why)
{
    const struct stat *st = &placing->st;
    bool given = placing->group == (gid_t)-1 || placing->group == st->st_gid;
    if ((owner == (uid_t)-1 || owner == st->st_uid) && given) {
        return STATUS_OK;
    }
    errno = EPERM;
    if (!placing->keeps_group &&
        fchownat(placing->there, "", owner, placing->group, AT_EMPTY_PATH) == 0) {
        return STATUS_OK;
    }
    return given ? failed(placing, "chown", why) : socket_group_denied(&placing->wish, errno, why);
}

/* final: it comes into its place, else it goes again. */
static enum status place_unix(struct placing *placing, uid_t owner, bool final, struct reason *why)
{
    struct reason ignored;
    enum status status = as_folder(make_unix, placing, why);
    if (status == STATUS_OK) {
        status = give_unix(placing, owner, why);
    }
    if (status == STATUS_OK && final) {
        status = as_folder(rename_unix, placing, why);
    }
    if (status != STATUS_OK || !final) {
        (void)as_folder(remove_unix, placing, &ignored);
    }
    if (placing->there >= 0) {
        close(placing->there);
    }
    return status;
}

/* All that can be found without touching the folder. */
static enum status prepare_unix(struct placing *placing, const struct config *config,
                                const char *suffix, uid_t owner, struct reason *why)
{
    const char *path = config->listen + sizeof unix_prefix - 1;
    *placing = (struct placing){
        .wish = {path, config->listen_group, owner == (uid_t)-1 ? geteuid() : owner},
        .mode = config->listen_mode,
        .fd = -1,
        .there = -1,
    };
    enum status status = set_unix_address(path, "", &placing->final, why);
    if (status == STATUS_OK) {
        status = set_unix_address(path, suffix, &placing->temporary, why);
    }
    if (status == STATUS_OK) {
        status = find_group(placing, why);
    }
    return status == STATUS_OK ? identity_of_folder(path, &placing->folder, why) : status;
}

static enum status socket_failed(const char *path, struct reason *why)
{
    return reason_set(why, STATUS_IO, "listen: %s: socket: %s", path, strerror(errno));
}

static enum status try_unix(const struct config *config, uid_t owner, struct listener_rights rights,
                            struct reason *why)
{
    struct placing placing;
    enum status status = prepare_unix(&placing, config, ".try", owner, why);
    if (status != STATUS_OK) {
        return status;
    }
    placing.keeps_group = rights.keeps_group;
    placing.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (placing.fd < 0) {
        return socket_failed(placing.wish.path, why);
    }
    status = place_unix(&placing, owner, false, why);
    close(placing.fd);
    return status;
}

static enum status open_unix(const struct config *config, uid_t owner, struct listener *out,
                             struct reason *why)
{
    struct placing placing;
    enum status status = prepare_unix(&placing, config, ".new", owner, why);
    const char *path = placing.wish.path;
    if (status != STATUS_OK) {
        return status;
    }
    if (somebody_answers(&placing.final)) {
        return reason_set(why, STATUS_CONFLICT, "listen: %s: another program is listening there",
                          path);
    }
    out->path = strdup(path);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (out->path == NULL || out->fd < 0) {
        return socket_failed(path, why);
    }
    placing.fd = out->fd;
    status = place_unix(&placing, owner, true, why);
    out->device = placing.st.st_dev;
    out->inode = placing.st.st_ino;
    /* a daemon that stays root */
    out->others = owner == (uid_t)-1 && placing.folder.uid != geteuid();
    return status;
}

/* Accepted sockets inherit TCP_NODELAY: without it each signed message waits for a delayed ACK. */
static int open_address(const struct addrinfo *address, bool final)
{
    int on = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
        (final && listen(fd, BACKLOG) != 0)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* inet:PORT@HOST, inet6:PORT@HOST. *fd becomes the socket. trial: for a try, after which it may be
 * -1 still; else NULL. */
static enum status open_inet(const char *listen_text, const struct listener_rights *trial, int *fd,
                             struct reason *why)
{
    const char *colon = strchr(listen_text, ':');
    const char *at = colon != NULL ? strchr(colon, '@') : NULL;
    if (at == NULL) {
        return reason_set(why, STATUS_INVALID, "listen: %s: expected PORT@HOST", listen_text);
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
    *fd = open_address(found, trial == NULL);
    int saved = errno;
    freeaddrinfo(found);
    bool passes = trial != NULL && (saved == EADDRINUSE || (saved == EACCES && trial->any_port));
    if (*fd < 0 && !passes) {
        return reason_set(why, STATUS_IO, "listen: %s: %s", listen_text, strerror(saved));
    }
    return STATUS_OK;
}

static bool is_unix(const struct config *config)
{
    return strncmp(config->listen, unix_prefix, sizeof unix_prefix - 1) == 0;
}

enum status listener_try(const struct config *config, uid_t owner, struct listener_rights rights,
                         struct reason *why)
{
    int fd = -1;
    if (is_unix(config)) {
        return try_unix(config, owner, rights, why);
    }
    enum status status = open_inet(config->listen, &rights, &fd, why);
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

enum status listener_open(const struct config *config, uid_t owner, struct listener *out,
                          struct reason *why)
{
    *out = (struct listener){.fd = -1};
    enum status status = is_unix(config) ? open_unix(config, owner, out, why)
                                         : open_inet(config->listen, NULL, &out->fd, why);
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
    if (listener->path != NULL && !listener->others && lstat(listener->path, &st) == 0 &&
        st.st_dev == listener->device && st.st_ino == listener->inode) {
        unlink(listener->path); /* may not be allowed any more: the next start replaces it */
    }
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    free(listener->path);
    *listener = (struct listener){.fd = -1};
}
