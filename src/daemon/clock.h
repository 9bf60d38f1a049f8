/*
 * The clock of this machine, and whether the daemon can trust it (daemon/clock_trust.h). A change
 * of that is logged.
 */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include <stdbool.h>
#include <time.h>

#include "base/log.h"
#include "daemon/clock_trust.h"
#include "store/status_file.h"

/* The caller guards it. */
struct clock {
    struct clock_trust trust;
    struct log_notice notice;
};

/* Trusts now, the time of day. */
void clock_begin(struct clock *clock, time_t now);
/* newest: the newest time in the keyring. True: whether, or from when on, it is trusted has
 * changed. */
bool clock_look(struct clock *clock, time_t now, time_t newest);
bool clock_is_trusted(const struct clock *clock);
/* Trusted for a day now. */
bool clock_is_settled(const struct clock *clock);

void clock_report(const struct clock *clock, struct status_report *report);

/* Seconds since the boot, which nobody can set. */
time_t clock_boot_time(void);

#endif
