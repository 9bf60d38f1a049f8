/*
 * Which domains `auto` only logs for, so that the moment when it begins to reject is logged once,
 * and how many domains only log, for whatever reason.
 */
#ifndef DAEMON_AWAITED_H
#define DAEMON_AWAITED_H

#include <stdint.h>

#include "batv/settings.h"
#include "batv/text_pool.h"

/* Starts as all zero; one thread. */
struct awaited {
    uint64_t all, logging; /* domains as of the last update */

    const char **names; /* sorted, in pool: domains that wait */
    size_t count;
    struct text_pool pool;
    uint64_t number; /* of the snapshot that was looked at */
    time_t at;       /* when */
    time_t until;    /* when the first state ends by itself; 0: none does */
};

/* Looks at the domains' states now, unless neither number, which stands for the snapshot, nor time
 * says that one has changed. Logs each domain that has come to reject since the last update. The
 * first update of all is of the moment when the former daemon last looked. Without memory nothing
 * is logged, and the next update makes up for it. */
void awaited_update(struct awaited *awaited, const struct snapshot *snapshot, uint64_t number,
                    time_t now);
void awaited_clear(struct awaited *awaited);

#endif
