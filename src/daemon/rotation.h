/*
 * The changes that the daemon makes to the keyring by itself: it rotates the keys, records which
 * domain has signed its first mail and which has got its first valid tag back, and drops keys and
 * records that are over. Only while the clock is trusted: each change bears a date.
 */
#ifndef DAEMON_ROTATION_H
#define DAEMON_ROTATION_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "batv/settings.h"
#include "daemon/ring_watch.h"
#include "daemon/tally.h"

struct rotation {
    struct ring_watch *watch;
    struct tally *tally;

    bool rotated;          /* by itself, since the start */
    time_t rotated_at;     /* boot time */
    int64_t put_off_until; /* the day that was logged; 0: none */
};

/* The caller holds the watch's lock, which is released while the disk is waited for: settings must
 * stay. Failures are logged. True: another ring is in force. */
bool rotation_run(struct rotation *rotation, const struct settings *settings, time_t now);
/* settled: the clock has been right for so long that what is over can be dropped. */
bool rotation_tidy(struct rotation *rotation, const struct settings *settings, bool settled,
                   time_t now);

#endif
