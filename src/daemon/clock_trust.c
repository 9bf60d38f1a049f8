/*
 * A clock that jumped may be wrong now, or may have been wrong before: a virtual machine that was
 * paused for days has a right clock after the jump. So the new time is on probation, which begins
 * anew with each further correction of note. A clock that goes back to the time that it was trusted
 * with is trusted at once.
 */
#include "daemon/clock_trust.h"

#include "batv/day.h"

static bool is_beyond(time_t difference, time_t limit)
{
    return difference > limit || difference < -limit;
}

void clock_trust_start(struct clock_trust *trust, time_t now, time_t boot)
{
    *trust = (struct clock_trust){.state = CLOCK_TRUSTED,
                                  .offset = now - boot,
                                  .even = now - boot,
                                  .even_since = boot,
                                  .trusted_since = boot};
}

/* The time of day at which the probation is over and nothing in the keyring is yet to come. */
static time_t probation_end(const struct clock_trust *trust, time_t newest)
{
    time_t end = trust->even + trust->even_since + CLOCK_PROBATION;
    return end > newest ? end : newest;
}

bool clock_trust_look(struct clock_trust *trust, time_t now, time_t boot, time_t newest)
{
    const struct clock_trust former = *trust;
    time_t offset = now - boot;
    if (is_beyond(offset - trust->even, CLOCK_SLACK)) {
        trust->even = offset;
        trust->even_since = boot;
    }
    trust->jumped = is_beyond(offset - trust->offset, DAY_SECONDS);
    if (trust->jumped && boot - trust->even_since >= CLOCK_PROBATION && now >= newest) {
        trust->offset = offset;
        trust->jumped = false;
    }
    trust->state = now < newest - DAY_SECONDS ? CLOCK_BEHIND
                   : trust->jumped            ? CLOCK_JUMPED
                                              : CLOCK_TRUSTED;
    trust->until = trust->state == CLOCK_JUMPED ? probation_end(trust, newest) : 0;
    if (trust->state == CLOCK_TRUSTED && former.state != CLOCK_TRUSTED) {
        trust->trusted_since = boot;
    }
    return trust->state != former.state || is_beyond(trust->until - former.until, CLOCK_SLACK);
}
