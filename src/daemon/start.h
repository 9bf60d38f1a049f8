/* What a start needs and can be known before it. */
#ifndef DAEMON_START_H
#define DAEMON_START_H

#include "base/systemd.h"
#include "batv/status.h"
#include "config/config.h"
#include "daemon/privileges.h"
#include "daemon/ring_watch.h"

/*
 * Whoever runs `batvd -n` as root asks for the start that systemd makes, where there is such a
 * unit: the process becomes the unit's user and groups, for good. unit, filled in, goes on to
 * start_try. Before there are threads. STATUS_NOT_FOUND, STATUS_IO: systemd could not start it
 * either.
 */
enum status start_as_unit(const char *name, struct systemd_unit *unit, struct reason *why);

/*
 * Tries what a start by this configuration does, as far as it leaves nothing behind and nothing
 * that runs is touched: the state folder, the keyring, the socket's folder with mode, owner and
 * group. Called by the start itself and by `batvd -n`, so that both report the same. What only a
 * start can know is whether another batvd or another program has the place. Before there are
 * threads. The statuses are those of the start; why names the option and a value that works. unit:
 * see above, or NULL. *ring: the keyring as it was loaded, also on failure; NULL: it was not. The
 * caller frees.
 */
enum status start_try(const struct config *config, const struct identity *identity,
                      const struct systemd_unit *unit, struct ring_watch **ring,
                      struct reason *why);

#endif
