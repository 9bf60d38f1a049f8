/* As whom the daemon runs, and what it keeps to itself. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <sys/types.h>

#include "batv/status.h"
#include "config/config.h"

struct identity {
    uid_t uid;
    gid_t gid;
};

/* The identity to run as: `user`, or whoever started us, but never root unless user says so.
 * STATUS_NOT_FOUND, STATUS_REFUSED with the reason. */
enum status identity_find(const struct config *config, struct identity *out, struct reason *why);

/* The user that what we make has to be given to; (uid_t)-1: it is the user's as it comes. */
uid_t identity_owner(const struct identity *identity);

/* For a while and for good. Both do nothing for the identity that the process has. Before there are
 * threads. */
enum status identity_borrow(const struct identity *identity, struct reason *why);
enum status identity_return(struct reason *why);
enum status identity_become(const struct identity *identity, const struct config *config,
                            struct reason *why);

/* The identity that may act by path in the folder of path: root becomes the folder's owner, anybody
 * else stays what he is. A folder that cannot be looked at is left to whoever uses it.
 * STATUS_REFUSED: a folder of root's that somebody else's folder or link leads to. */
enum status identity_of_folder(const char *path, struct identity *out, struct reason *why);

/* Makes a folder and gives it away, nothing of it by path in a folder of somebody else's. -1: as it
 * comes. STATUS_IO also if it is there already. */
enum status folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid, struct reason *why);

/* One descriptor a session: raises the soft limit, up to the hard one, to what a large site needs.
 */
void privileges_raise_descriptors(void);

/* No core dumps, no other process of the user looks into this one: it holds keys. */
void privileges_hide_memory(void);

/* A user's name, or its number where it has none; out of USER_TEXT octets is returned. */
enum { USER_TEXT = 64 };
const char *user_name(uid_t uid, char out[static USER_TEXT]);

/* Whether the file `lock` in state_dir can be opened or made. Does not lock it, and leaves none
 * that was not there. */
enum status state_dir_try(const char *state_dir, struct reason *why);

/* Locks the file `lock` in state_dir for the life of the process; one daemon a folder. *fd stays
 * open. STATUS_CONFLICT: another has it. */
enum status state_dir_lock(const char *state_dir, int *fd, struct reason *why);
/* True while some process, which may be this one, has it. */
bool state_dir_is_locked(const char *state_dir);
/* The number of that process, where it is another. 0: none has it, or the number is not known here,
 * because it is in another PID namespace or of a version that does not tell. */
long state_dir_process(const char *state_dir);

#endif
