/* Files in the state folder must belong to the daemon's user, whoever runs batvctl. */
#ifndef DAEMON_OWNER_H
#define DAEMON_OWNER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "daemon/privileges.h"

/* As whom to work in a state folder that is there: root as its owner, anybody else as it is. False:
 * somebody could lead root elsewhere; the reason is on stderr. */
bool owner_find(const char *state_dir, const struct stat *folder, struct identity *out);

/* Becomes the owner of a state folder that is there, until owner_return. STATUS_IO: it is not
 * there, or somebody could lead root elsewhere, which is on stderr, too. */
enum status owner_borrow(const char *state_dir, struct reason *why);
/* Ends what owner_borrow began. The status of what was done meanwhile, unless going back fails. */
enum status owner_return(enum status status, struct reason *why);

/* Becomes the owner and group of the folder, for good. Root stays root where root owns it. user is
 * the daemon's, for advice, or NULL. False: the reason is on stderr; the exit is CTL_UNABLE. */
bool owner_become(const char *state_dir, const char *user);

#endif
