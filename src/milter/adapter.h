/* The daemon's side towards the MTA: libmilter's callbacks. Nothing else knows libmilter. */
#ifndef MILTER_ADAPTER_H
#define MILTER_ADAPTER_H

#include "batv/status.h"
#include "content/content.h"
#include "daemon/keeper.h"
#include "dns/oracle_network.h"
#include "store/journal.h"
#include "store/uses.h"

/* What the callbacks work with; must outlive adapter_run. */
struct adapter {
    struct keeper *keeper;
    const struct oracle_set *oracles;
    struct content_pool *pool;
    struct journal *journal;
    struct uses *uses;
    struct oracle_network *network; /* of which the oracles are one; not waited for at the end */
};

/* Serves on the listening socket fd until SIGTERM, SIGINT or SIGHUP, which must be blocked in all
 * threads. Once a process. */
enum status adapter_run(const struct adapter *adapter, int fd, struct reason *why);

#endif
