/*
 * Whether the time of day can be trusted. It is compared with the time since the boot, which nobody
 * can set, and with the newest time in the keyring. Pure: both times are arguments.
 */
#ifndef DAEMON_CLOCK_TRUST_H
#define DAEMON_CLOCK_TRUST_H

#include <stdbool.h>
#include <time.h>

enum clock_state {
    CLOCK_TRUSTED,
    CLOCK_JUMPED, /* by more than a day against the time since the boot */
    CLOCK_BEHIND  /* more than a day before the newest time in the keyring */
};

/* How long a clock that jumped must run evenly before it is trusted, and by how many seconds it may
 * be corrected in that time. */
enum { CLOCK_PROBATION = 3600, CLOCK_SLACK = 300 };

struct clock_trust {
    enum clock_state state;
    bool jumped;          /* also of one that is behind */
    time_t offset;        /* time of day less boot time, when it was last trusted */
    time_t even;          /* the same as it has been since even_since */
    time_t even_since;    /* boot time */
    time_t trusted_since; /* boot time; of no meaning while it is not trusted */
    time_t until;         /* jumped: the time of day from which it is trusted again; else 0 */
};

/* Trusts now, the time of day; boot is the time since the boot. */
void clock_trust_start(struct clock_trust *trust, time_t now, time_t boot);

/* newest: in the keyring. True: state has changed, or until by more than a correction. */
bool clock_trust_look(struct clock_trust *trust, time_t now, time_t boot, time_t newest);

#endif
