/*
 * The reason why the socket cannot be made as `listen` and `listen_group` say, with what mends it.
 * Nothing that it names takes the folder away from the group that it has been given to: that is the
 * mail server's.
 */
#ifndef DAEMON_SOCKET_ADVICE_H
#define DAEMON_SOCKET_ADVICE_H

#include <sys/types.h>

#include "batv/status.h"

/* What was wanted. */
struct socket_wish {
    const char *path;
    const char *group; /* listen_group, or NULL */
    uid_t user;        /* whose the socket is to be */
};

/* There is no such group. STATUS_NOT_FOUND. */
enum status socket_group_unknown(const struct socket_wish *wish, struct reason *why);
/* The group is there, but we may not give it the socket, for which error says why. STATUS_IO. */
enum status socket_group_denied(const struct socket_wish *wish, int error, struct reason *why);
/* No socket can be made in the folder, for which error says why. STATUS_IO. */
enum status socket_folder_denied(const struct socket_wish *wish, int error, struct reason *why);

#endif
