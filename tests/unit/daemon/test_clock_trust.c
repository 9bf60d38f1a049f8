/* The clock's trust, by days of a machine's life; each hour is walked through in steps. */
#include <check.h>
#include <stdlib.h>

#include "../suite.h"
#include "batv/day.h"
#include "daemon/clock_trust.h"

enum { HOUR = 3600, STEP = 10, NEW_YEAR = 1798761600 };

/* A machine: its two clocks, and what is in the keyring. */
static struct {
    struct clock_trust trust;
    time_t now, boot, newest;
    int changes;
} m;

static void setup(void)
{
    m.now = NEW_YEAR;
    m.boot = 5000;
    m.newest = NEW_YEAR - 3 * DAY_SECONDS;
    m.changes = 0;
    clock_trust_start(&m.trust, m.now, m.boot);
}

static enum clock_state look(void)
{
    m.changes += clock_trust_look(&m.trust, m.now, m.boot, m.newest);
    return m.trust.state;
}

/* Both clocks go on; the state after the last step. */
static enum clock_state passes(time_t seconds)
{
    enum clock_state state = look();
    for (time_t left = seconds; left > 0; left -= STEP) {
        m.now += left < STEP ? left : STEP;
        m.boot += left < STEP ? left : STEP;
        state = look();
    }
    return state;
}

START_TEST(test_a_clock_that_runs_evenly)
{
    ck_assert_int_eq(passes(40 * DAY_SECONDS / 10), CLOCK_TRUSTED);
    m.now += DAY_SECONDS; /* a day is no jump */
    ck_assert_int_eq(passes(HOUR), CLOCK_TRUSTED);
    ck_assert_int_eq(m.changes, 0);
    ck_assert_int_eq(m.trust.until, 0);
    ck_assert_int_eq(m.trust.trusted_since, 5000);
}
END_TEST

/* A virtual machine that stood still for days: its clock is right after the jump. */
START_TEST(test_a_paused_machine)
{
    m.now += 3 * DAY_SECONDS;
    ck_assert_int_eq(look(), CLOCK_JUMPED);
    ck_assert_int_eq(m.trust.until, m.now + HOUR);
    ck_assert_int_eq(passes(HOUR - 1), CLOCK_JUMPED);
    ck_assert_int_eq(m.changes, 1);
    ck_assert_int_eq(passes(1), CLOCK_TRUSTED);
    ck_assert_int_eq(m.changes, 2);
    ck_assert_int_eq(m.trust.trusted_since, m.boot);
    m.now -= 3 * DAY_SECONDS; /* what was right before is a jump now */
    ck_assert_int_eq(look(), CLOCK_JUMPED);
}
END_TEST

START_TEST(test_back_to_the_former_time)
{
    m.now += 30 * DAY_SECONDS;
    ck_assert_int_eq(passes(HOUR / 2), CLOCK_JUMPED);
    m.now -= 30 * DAY_SECONDS;
    ck_assert_int_eq(look(), CLOCK_TRUSTED);
    ck_assert_int_eq(m.trust.until, 0);
    ck_assert_int_eq(passes(HOUR), CLOCK_TRUSTED);
}
END_TEST

/* A further step begins the hour anew; a correction that NTP makes does not. */
START_TEST(test_the_hour_is_to_be_even)
{
    m.now += 5 * DAY_SECONDS;
    ck_assert_int_eq(passes(HOUR - 60), CLOCK_JUMPED);
    m.now -= 2 * DAY_SECONDS;
    ck_assert_int_eq(look(), CLOCK_JUMPED);
    ck_assert_int_eq(m.changes, 2);
    ck_assert_int_eq(m.trust.until, m.now + HOUR);
    ck_assert_int_eq(passes(HOUR - 60), CLOCK_JUMPED);
    m.now += CLOCK_SLACK - 1;
    ck_assert_int_eq(passes(60), CLOCK_TRUSTED);
    ck_assert_int_eq(m.changes, 3);
}
END_TEST

/* Never before the newest time in the ring, however long it lasts. */
START_TEST(test_before_the_ring)
{
    m.newest = m.now + 6 * HOUR;
    m.now -= 2 * DAY_SECONDS;
    ck_assert_int_eq(look(), CLOCK_BEHIND);
    ck_assert(m.trust.jumped);
    ck_assert_int_eq(m.trust.until, 0);
    ck_assert_int_eq(passes(30 * HOUR), CLOCK_JUMPED); /* now within a day of the newest time */
    ck_assert_int_eq(m.trust.until, m.newest);
    ck_assert_int_eq(passes(m.newest - m.now - 1), CLOCK_JUMPED);
    ck_assert_int_eq(passes(1), CLOCK_TRUSTED);
}
END_TEST

/* Without a battery: it begins years ago, and the network sets it right a moment later. */
START_TEST(test_a_wrong_clock_at_the_start)
{
    m.newest = NEW_YEAR + 1000 * DAY_SECONDS;
    ck_assert_int_eq(passes(2 * HOUR), CLOCK_BEHIND);
    ck_assert(!m.trust.jumped);
    m.now = m.newest + HOUR;
    ck_assert_int_eq(look(), CLOCK_JUMPED);
    ck_assert_int_eq(passes(HOUR - 1), CLOCK_JUMPED);
    ck_assert_int_eq(passes(1), CLOCK_TRUSTED);
}
END_TEST

/* Another ring, by a clock ahead of this one; and once it is replaced. */
START_TEST(test_a_ring_of_the_future)
{
    m.newest = m.now + 2 * DAY_SECONDS;
    ck_assert_int_eq(look(), CLOCK_BEHIND);
    m.newest = m.now - 1;
    ck_assert_int_eq(look(), CLOCK_TRUSTED);
}
END_TEST

/* Whatever the clocks do: an hour before it is trusted there was no step, unless it went back to
 * the time it was trusted with. */
START_TEST(test_by_chance)
{
    srand((unsigned)_i);
    time_t last_step = m.boot;
    for (int i = 0; i < 20000; i++) {
        enum clock_state before = m.trust.state;
        time_t trusted_offset = m.trust.offset;
        m.now += 60;
        m.boot += 60;
        if (rand() % 150 == 0) {
            m.now += (rand() % 2 == 0 ? 1 : -1) * (1 + rand() % 4) * DAY_SECONDS;
            last_step = m.boot;
        }
        if (look() == CLOCK_TRUSTED) {
            ck_assert(m.now >= m.newest - DAY_SECONDS);
            time_t drift = m.now - m.boot - trusted_offset;
            bool same = drift <= DAY_SECONDS && drift >= -DAY_SECONDS;
            ck_assert(before == CLOCK_TRUSTED || same || m.boot - last_step >= HOUR);
            ck_assert(before == CLOCK_TRUSTED || same || m.now >= m.newest);
            m.newest = m.now > m.newest && rand() % 500 == 0 ? m.now : m.newest;
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock_trust");
    TCase *tcase = tcase_create("trust");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, test_a_clock_that_runs_evenly);
    tcase_add_test(tcase, test_a_paused_machine);
    tcase_add_test(tcase, test_back_to_the_former_time);
    tcase_add_test(tcase, test_the_hour_is_to_be_even);
    tcase_add_test(tcase, test_before_the_ring);
    tcase_add_test(tcase, test_a_wrong_clock_at_the_start);
    tcase_add_test(tcase, test_a_ring_of_the_future);
    tcase_add_loop_test(tcase, test_by_chance, 1, 11);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
