/* Whether a daemon is at work in a state folder, and how it takes a changed configuration. */
#ifndef DAEMON_RUNNING_H
#define DAEMON_RUNNING_H

#include <stdbool.h>

#include "batv/status.h"
#include "config/config.h"

/* True while a daemon holds the lock on the file `lock` there. */
bool daemon_is_running(const char *state_dir);
/* The number of that process. 0: none holds it, or the number is not known here: the process is in
 * another PID namespace, or of a version that does not tell. */
long daemon_process(const char *state_dir);

/*
 * Has the running daemon read its configuration, and waits until it has. STATUS_NOT_FOUND: there is
 * no daemon. STATUS_REFUSED: the former configuration stays in force. STATUS_IO: nobody knows
 * whether it has. As root or as the daemon's user; acts as the owner of state_dir.
 */
enum status daemon_reload(const struct config *config, struct reason *why);

#endif
