/*
 * The socket that the MTA connects to. Made by us and not by libmilter: so that it has its mode and
 * group before anybody can connect, replaces what a killed daemon left behind, and sends without
 * delay over TCP.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "batv/status.h"
#include "config/config.h"

struct listener {
    int fd;     /* listening */
    char *path; /* of a unix socket, else NULL */
    dev_t device;
    ino_t inode;
    bool others; /* in somebody else's folder, as whom nothing is done any more: stays at the end */
};

/* What whoever will listen may do otherwise than this process. */
struct listener_rights {
    bool keeps_group; /* may not change the socket's group */
    bool any_port;    /* may listen on ports below 1024 */
};

/* Does what listener_open does, except that nobody can connect, and removes it again. A socket or a
 * program that is there already is left alone, and no fault. */
enum status listener_try(const struct config *config, uid_t owner, struct listener_rights rights,
                         struct reason *why);

/* Binds and listens, in the name of the folder's owner where root does it. owner: the user that the
 * socket is given to, (uid_t)-1: as it comes. Before there are threads. why says what went wrong,
 * with path and user. */
enum status listener_open(const struct config *config, uid_t owner, struct listener *out,
                          struct reason *why);

/* Closes, and unlinks the socket if it is still ours: a successor may have put its own in its
 * place. */
void listener_close(struct listener *listener);

#endif
