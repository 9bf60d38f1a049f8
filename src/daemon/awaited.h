/* Domains for which `auto` only logs, so that the moment when it begins to reject is told once. */
#ifndef DAEMON_AWAITED_H
#define DAEMON_AWAITED_H

#include <stddef.h>

#include "store/status_file.h"

/* Starts as all zero; one thread. */
struct awaited {
    char **names; /* sorted */
    size_t count;
};

/* Takes over the domains' states as they are now, from a report: the former daemon's first, then
 * each of our own. For each domain that has come to reject since the last call there is a line in
 * the log. Without memory nothing is told, and the next call makes up for it. */
void awaited_update(struct awaited *awaited, const struct status_domain *domains, size_t count);
void awaited_clear(struct awaited *awaited);

#endif
