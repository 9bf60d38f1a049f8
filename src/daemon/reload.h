/* The reload: the configuration is read again while the daemon runs. */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "config/config.h"

/*
 * Loads the file of the configuration in force, and logs what is wrong with it and which of its
 * changes need a restart. *out is the caller's. Otherwise *error is the first error, the caller's
 * too; NULL: no memory.
 */
enum status reload_config(const struct config *in_force, struct config **out, char **error);

#endif
