/* Reads the times; daemon/clock_trust.c judges them. */
#include "daemon/clock.h"

#include <syslog.h>

#include "batv/day.h"

enum { NOTICE = 60 }; /* seconds between two lines about another jump */

time_t clock_boot_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

void clock_begin(struct clock *clock, time_t now)
{
    *clock = (struct clock){.notice = {0}};
    clock_trust_start(&clock->trust, now, clock_boot_time());
}

static void log_jumped(time_t now, time_t until)
{
    char text[TIME_TEXT];
    char end[TIME_TEXT];
    time_format(now, text);
    time_format(until, end);
    log_line(LOG_ERR,
             "the clock jumped by more than a day, to %s: batvd rotates no key, and \"auto\" only "
             "logs. If the clock is right, batvd trusts it from %s on, after an hour without "
             "another jump; otherwise set it right",
             text, end);
}

static void log_behind(time_t now, time_t newest, bool jumped)
{
    char text[TIME_TEXT];
    char written[TIME_TEXT];
    time_format(now, text);
    time_format(newest, written);
    log_line(LOG_ERR,
             "the clock %s %s, but the keyring was written on %s: batvd rotates no key, and "
             "\"auto\" only logs, until an hour after the clock is set right. If it is right "
             "already, revoke the key that was made on that day, and remove and add again the "
             "domain that first signed on that day",
             jumped ? "jumped by more than a day and says" : "says", text, written);
}

/* Says what is wrong with the clock and how to mend it. */
static void log_state(const struct clock_trust *trust, time_t now, time_t newest)
{
    switch (trust->state) {
    case CLOCK_TRUSTED:
        log_line(LOG_WARNING, "the clock is right again and trusted");
        break;
    case CLOCK_JUMPED:
        log_jumped(now, trust->until);
        break;
    case CLOCK_BEHIND:
        log_behind(now, newest, trust->jumped);
        break;
    }
}

bool clock_look(struct clock *clock, time_t now, time_t newest)
{
    enum clock_state former = clock->trust.state;
    if (!clock_trust_look(&clock->trust, now, clock_boot_time(), newest)) {
        return false;
    }
    /* If somebody sets the clock again and again, this is logged once a minute. */
    if (clock->trust.state != former || log_notice_due(&clock->notice, NOTICE)) {
        log_state(&clock->trust, now, newest);
    }
    return true;
}

bool clock_is_trusted(const struct clock *clock)
{
    return clock->trust.state == CLOCK_TRUSTED;
}

void clock_report(const struct clock *clock, struct status_report *report)
{
    report->clock_wrong = !clock_is_trusted(clock);
    report->clock_until = clock->trust.until;
}

bool clock_is_settled(const struct clock *clock)
{
    return clock_boot_time() - clock->trust.trusted_since >= DAY_SECONDS;
}
