/*
 * The ring of keys: states along the calendar, rotation, revoking, importing, clocks that stand
 * wrong, and long random histories after which what always has to hold still does.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "batv/day.h"
#include "batv/ring.h"
#include "batv/ring_text.h"

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))
#define DAYS(n)      ((time_t)(n)*DAY_SECONDS)

enum { TODAY = 20778 }; /* 2026-11-21 */
static const time_t noon = (time_t)TODAY * DAY_SECONDS + DAY_SECONDS / 2;
static const time_t midnight = (time_t)TODAY * DAY_SECONDS;

static const struct key_policy weekly = {
    .rotate_days = 7, .retain_days = 7, .lifetime_days = 7, .algorithm = ALGORITHM_HMAC_SHA256};
static const struct key_policy forgetful = {
    .rotate_days = 7, .retain_days = 0, .lifetime_days = 7, .algorithm = ALGORITHM_HMAC_SHA256};
static const struct key_policy shared = {.rotate_days = 7,
                                         .retain_days = 7,
                                         .lifetime_days = 7,
                                         .publish_seconds = 300,
                                         .algorithm = ALGORITHM_HMAC_SHA256};

static struct reason why;
static uint8_t octets[SECRET_SIZE];

/* Other octets each time. */
static const uint8_t *fresh_octets(void)
{
    static unsigned count;
    memset(octets, 0x11, sizeof octets);
    memcpy(octets, &count, sizeof count);
    count++;
    return octets;
}

static enum status rotate(struct ring *ring, const struct key_policy *policy, time_t now,
                          unsigned activate_in)
{
    return ring_rotate(ring, policy, policy->algorithm, now, activate_in, fresh_octets(), &why);
}

static enum status revoke(struct ring *ring, const struct key_policy *policy, unsigned slot,
                          time_t now, bool compromised)
{
    return ring_revoke(ring, policy, slot, now, compromised, fresh_octets(), &why);
}

static enum status import(struct ring *ring, const struct key_policy *policy, unsigned slot,
                          enum key_state state, time_t now)
{
    struct secret secret;
    secret_set(&secret, fresh_octets(), SECRET_SIZE);
    return ring_import(ring, policy, slot, ALGORITHM_HMAC_SHA256, state, &secret, now, &why);
}

/* A ring with key 0, active since when. */
static struct ring *ring_with_key(const struct key_policy *policy, time_t when)
{
    struct ring *ring = ring_new();
    ck_assert_ptr_nonnull(ring);
    ck_assert_int_eq(rotate(ring, policy, when, 0), STATUS_OK);
    return ring;
}

static char *text_of(const struct ring *ring)
{
    char *text;
    size_t length;
    ck_assert_int_eq(ring_format(ring, &text, &length), STATUS_OK);
    char *copy = strndup(text, length);
    ring_text_free(text, length);
    ck_assert_ptr_nonnull(copy);
    return copy;
}

static void assert_state(const struct ring *ring, unsigned slot, time_t now, enum key_state state)
{
    enum key_state found = ring_key_state(ring, slot, now);
    char clock[TIME_TEXT];
    time_format(now, clock);
    ck_assert_msg(found == state, "key %u at %s is %s, expected %s", slot, clock,
                  key_state_name(found), key_state_name(state));
}

START_TEST(test_an_empty_ring)
{
    struct ring *ring = ring_new();
    time_t when;
    ck_assert_int_eq(ring_active(ring, noon), RING_NO_SLOT);
    ck_assert_int_eq(ring_pending(ring, noon), RING_NO_SLOT);
    ck_assert_uint_eq(ring_next_slot(ring), 0);
    ck_assert_int_eq(ring_newest_time(ring), 0);
    ck_assert_int_eq(ring_rotation_due(ring, &weekly, noon), noon);
    ck_assert(!ring_first_signed(ring, "example.com", &when));
    ck_assert(!ring_prune(ring, noon));
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        assert_state(ring, i, noon, KEY_FREE);
        ck_assert(!ring_key_missed(ring, i, TODAY % DAY_CODES, noon));
        ck_assert_int_eq(revoke(ring, &weekly, i, noon, false), STATUS_NOT_FOUND);
    }
    ring_free(ring);
    ring_free(NULL);
}
END_TEST

/* Key 0 signs from noon of day 0 to noon of day 7, then key 1: so key 0's last day of signing is 7.
 */
static const struct {
    const char *name;
    unsigned retain_days, lifetime_days;
    int day;
    int second; /* of the day */
    enum key_state zero, one;
} calendar[] = {
    {"just made", 7, 7, 0, 43200, KEY_ACTIVE, KEY_PENDING},
    {"before its first moment, the earliest signs", 7, 7, -3, 0, KEY_ACTIVE, KEY_PENDING},
    {"its last second", 7, 7, 7, 43199, KEY_ACTIVE, KEY_PENDING},
    {"its successor's first second", 7, 7, 7, 43200, KEY_RETAINED, KEY_ACTIVE},
    {"7 + 1 + 7: the last day", 7, 7, 15, 86399, KEY_RETAINED, KEY_ACTIVE},
    {"and the next", 7, 7, 16, 0, KEY_FREE, KEY_ACTIVE},
    {"retained for longer: the last day", 14, 7, 22, 86399, KEY_RETAINED, KEY_ACTIVE},
    {"retained for longer: the next", 14, 7, 23, 0, KEY_FREE, KEY_ACTIVE},
    {"the lifetime is longer: the last day", 3, 10, 18, 86399, KEY_RETAINED, KEY_ACTIVE},
    {"the lifetime is longer: the next", 3, 10, 19, 0, KEY_FREE, KEY_ACTIVE},
    {"forgotten at once", 0, 7, 7, 43200, KEY_GONE, KEY_ACTIVE},
    {"forgotten at once: tags until 7 + 1 + 7", 0, 7, 15, 86399, KEY_GONE, KEY_ACTIVE},
    {"forgotten at once: no more tags", 0, 7, 16, 0, KEY_FREE, KEY_ACTIVE},
};

START_TEST(test_states_along_the_calendar)
{
    struct key_policy policy = weekly;
    policy.retain_days = calendar[_i].retain_days;
    policy.lifetime_days = calendar[_i].lifetime_days;
    struct ring *ring = ring_with_key(&policy, noon);
    ck_assert_int_eq(rotate(ring, &policy, noon + DAYS(7), 0), STATUS_OK);

    time_t now = midnight + DAYS(calendar[_i].day) + calendar[_i].second;
    enum key_state zero = ring_key_state(ring, 0, now), one = ring_key_state(ring, 1, now);
    ck_assert_msg(zero == calendar[_i].zero && one == calendar[_i].one, "%s: %s, %s",
                  calendar[_i].name, key_state_name(zero), key_state_name(one));
    ck_assert_int_eq(ring_active(ring, now), calendar[_i].zero == KEY_ACTIVE ? 0 : 1);
    ck_assert(ring_key_missed(ring, 0, TODAY % DAY_CODES, now) == (zero == KEY_GONE));
    ck_assert_int_eq(ring_pending(ring, now), one == KEY_PENDING ? 1 : RING_NO_SLOT);
    ring_free(ring);
}
END_TEST

START_TEST(test_rotated_out_at_midnight_it_last_signed_the_day_before)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    ck_assert_int_eq(rotate(ring, &weekly, midnight + DAYS(7), 0), STATUS_OK);
    ck_assert_int_eq(ring->keys[0].tags_until, TODAY + 6 + 1 + 7);
    ck_assert_int_eq(ring->keys[0].verifies_until, midnight + DAYS(15));
    ring_free(ring);
}
END_TEST

START_TEST(test_ten_rotations_at_once_and_the_eleventh_waits_for_a_day)
{
    struct ring *ring = ring_new();
    for (int i = 0; i < RING_SLOTS; i++) {
        ck_assert_uint_eq(ring_next_slot(ring), (unsigned)i);
        ck_assert_int_eq(rotate(ring, &weekly, noon, 0), STATUS_OK);
        ck_assert_int_eq(ring_active(ring, noon), i);
    }
    /* It last signed on day 0; its tags are about until day 0 + 1 + 7. */
    ck_assert_uint_eq(ring_next_slot(ring), 0);
    ck_assert_int_eq(ring_free_day(ring, 0), TODAY + 9);
    ck_assert_int_eq(ring_free_day(ring, 9), -1);

    char *before = text_of(ring);
    ck_assert_int_eq(rotate(ring, &weekly, noon, 0), STATUS_REFUSED);
    ck_assert_msg(strstr(why.text, "2026-11-30") != NULL, "%s", why.text);
    ck_assert_int_eq(rotate(ring, &weekly, midnight + DAYS(9) - 1, 0), STATUS_REFUSED);
    char *after = text_of(ring);
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(rotate(ring, &weekly, midnight + DAYS(9), 0), STATUS_OK);
    ck_assert_int_eq(ring_active(ring, midnight + DAYS(9)), 0);
    free(before);
    free(after);
    ring_free(ring);
}
END_TEST

START_TEST(test_a_key_a_day_for_a_year_always_fits)
{
    struct key_policy policy = weekly;
    policy.rotate_days = 1;
    struct ring *ring = ring_with_key(&policy, noon);
    for (int day = 1; day <= 365; day++) {
        time_t now = noon + DAYS(day);
        ck_assert_int_eq(ring_rotation_due(ring, &policy, now), now);
        ck_assert_msg(rotate(ring, &policy, now, 0) == STATUS_OK, "day %d: %s", day, why.text);
        ck_assert_int_eq(ring_active(ring, now), day % RING_SLOTS);
        ring_prune(ring, now);
    }
    ring_free(ring);
}
END_TEST

START_TEST(test_a_pending_key_waits_and_then_signs)
{
    struct ring *ring = ring_with_key(&shared, noon);
    time_t now = noon + DAYS(7);
    ck_assert_int_eq(ring_rotation_due(ring, &shared, noon), now);
    ck_assert_int_eq(rotate(ring, &shared, now, 300), STATUS_OK);
    assert_state(ring, 0, now + 299, KEY_ACTIVE);
    assert_state(ring, 1, now + 299, KEY_PENDING);
    assert_state(ring, 0, now + 300, KEY_RETAINED);
    assert_state(ring, 1, now + 300, KEY_ACTIVE);
    ck_assert_int_eq(ring_rotation_due(ring, &shared, now), RING_OPEN);
    ck_assert_int_eq(ring_rotation_due(ring, &shared, now + 300), now + 300 + DAYS(7));
    ck_assert_int_eq(ring_newest_time(ring), now);

    ck_assert_int_eq(rotate(ring, &shared, now + 1, 0), STATUS_REFUSED);
    ck_assert_msg(strstr(why.text, "key 1 is pending already") != NULL &&
                      strstr(why.text, "2026-11-28T12:05:00Z") != NULL,
                  "%s", why.text);
    ck_assert_int_eq(import(ring, &shared, 5, KEY_ACTIVE, now + 1), STATUS_REFUSED);
    ck_assert_int_eq(import(ring, &shared, 5, KEY_PENDING, now + 1), STATUS_REFUSED);
    ck_assert_int_eq(import(ring, &shared, 5, KEY_RETAINED, now + 1), STATUS_OK);
    ring_free(ring);
}
END_TEST

START_TEST(test_the_first_key_does_not_wait)
{
    struct ring *ring = ring_new();
    ck_assert_int_eq(rotate(ring, &shared, noon, 300), STATUS_OK);
    assert_state(ring, 0, noon, KEY_ACTIVE);
    ck_assert_int_eq(ring->keys[0].signs_from, noon);
    ring_free(ring);
}
END_TEST

START_TEST(test_rotation_due)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    struct key_policy never = weekly;
    never.rotate_days = 0;
    ck_assert_int_eq(ring_rotation_due(ring, &never, noon + DAYS(100)), RING_OPEN);
    ck_assert_int_eq(ring_rotation_due(ring, &weekly, noon + DAYS(100)), noon + DAYS(7));
    ring_free(ring);
}
END_TEST

START_TEST(test_revoke_the_active_key)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    uint8_t secret[SECRET_SIZE];
    memcpy(secret, ring->keys[0].secret.octets, sizeof secret);
    ck_assert_int_eq(revoke(ring, &weekly, 0, noon + 5, false), STATUS_OK);
    assert_state(ring, 0, noon + 5, KEY_GONE);
    assert_state(ring, 1, noon + 5, KEY_ACTIVE);
    ck_assert(ring_key_missed(ring, 0, TODAY % DAY_CODES, noon + 5));
    ck_assert_uint_eq(ring->keys[0].secret.length, 0);
    ck_assert_ptr_null(ring->keys[0].mac);
    ck_assert(memcmp(ring->keys[1].secret.octets, secret, sizeof secret) != 0);

    /* Its slot is blocked until today + 1 + 7 is over, and a clock set back gives it no new life.
     */
    ck_assert_int_eq(ring->keys[0].tags_until, TODAY + 8);
    assert_state(ring, 0, noon - DAYS(1), KEY_GONE);
    assert_state(ring, 0, midnight + DAYS(9) - 1, KEY_GONE);
    assert_state(ring, 0, midnight + DAYS(9), KEY_FREE);
    ck_assert_int_eq(revoke(ring, &weekly, 0, noon + 6, false), STATUS_NOT_FOUND);
    ring_free(ring);
}
END_TEST

/* Of the thousand days that a tag can name, a key that is gone has signed for those from the day of
 * its making to its last tag's. For no other is its number an excuse. */
START_TEST(test_days_that_a_revoked_key_can_have_signed_for)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    time_t now = noon + DAYS(3);
    ck_assert_int_eq(revoke(ring, &weekly, 0, now, false), STATUS_OK);
    ck_assert_int_eq(ring->keys[0].tags_until, TODAY + 3 + 8);
    for (int64_t day = TODAY - 980; day < TODAY + 20; day++) {
        bool can = day >= TODAY && day <= TODAY + 3 + 8;
        bool missed = ring_key_missed(ring, 0, (unsigned)(day % DAY_CODES), now);
        ck_assert_msg(missed == can, "today %+d", (int)(day - TODAY));
    }
    ck_assert(!ring_key_missed(ring, 0, TODAY % DAY_CODES, midnight + DAYS(12)));
    ring_free(ring);
}
END_TEST

START_TEST(test_revoke_the_active_key_while_one_is_pending)
{
    struct ring *ring = ring_with_key(&shared, noon);
    ck_assert_int_eq(rotate(ring, &shared, noon + DAYS(1), 300), STATUS_OK);
    ck_assert_int_eq(revoke(ring, &shared, 0, noon + DAYS(1) + 10, true), STATUS_OK);
    assert_state(ring, 0, noon + DAYS(1) + 10, KEY_GONE);
    assert_state(ring, 1, noon + DAYS(1) + 10, KEY_ACTIVE);
    assert_state(ring, 2, noon + DAYS(1) + 10, KEY_FREE);
    ck_assert_int_eq(ring->keys[1].signs_from, noon + DAYS(1) + 10);
    ck_assert_int_eq(ring->keys[0].tags_until, TODAY + 1 + 8);
    ck_assert(!ring_key_missed(ring, 0, TODAY % DAY_CODES, noon + DAYS(1) + 10));
    ring_free(ring);
}
END_TEST

START_TEST(test_revoke_a_pending_key)
{
    struct ring *ring = ring_with_key(&shared, noon);
    char *before = text_of(ring);
    ck_assert_int_eq(rotate(ring, &shared, noon + DAYS(1), 300), STATUS_OK);
    ck_assert_int_eq(revoke(ring, &shared, 1, noon + DAYS(1) + 10, false), STATUS_OK);
    char *after = text_of(ring);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    ring_free(ring);
}
END_TEST

START_TEST(test_revoke_a_retained_key)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    ck_assert_int_eq(rotate(ring, &weekly, noon + DAYS(7), 0), STATUS_OK);
    int64_t tags_until = ring->keys[0].tags_until;
    ck_assert_int_eq(revoke(ring, &weekly, 0, noon + DAYS(8), false), STATUS_OK);
    assert_state(ring, 0, noon + DAYS(8), KEY_GONE);
    assert_state(ring, 1, noon + DAYS(8), KEY_ACTIVE);
    ck_assert_int_eq(ring->keys[0].tags_until, tags_until);
    ck_assert(ring_key_missed(ring, 0, TODAY % DAY_CODES, noon + DAYS(8)));

    /* Learnt later: it was compromised. */
    ck_assert_int_eq(revoke(ring, &weekly, 0, noon + DAYS(9), true), STATUS_OK);
    ck_assert(!ring_key_missed(ring, 0, TODAY % DAY_CODES, noon + DAYS(9)));
    ck_assert_int_eq(ring->keys[0].tags_until, tags_until);
    ck_assert_int_eq(revoke(ring, &weekly, 0, noon + DAYS(9), true), STATUS_NOT_FOUND);
    ck_assert_int_eq(revoke(ring, &weekly, 10, noon, false), STATUS_NOT_FOUND);
    ck_assert_int_eq(revoke(ring, &weekly, UINT32_MAX, noon, false), STATUS_NOT_FOUND);
    ring_free(ring);
}
END_TEST

START_TEST(test_revoke_skips_slots_that_are_taken)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    ck_assert_int_eq(import(ring, &weekly, 1, KEY_RETAINED, noon), STATUS_OK);
    ck_assert_int_eq(rotate(ring, &weekly, noon, 0), STATUS_REFUSED);
    ck_assert_int_eq(revoke(ring, &weekly, 0, noon, true), STATUS_OK);
    ck_assert_int_eq(ring_active(ring, noon), 2);
    ring_free(ring);
}
END_TEST

START_TEST(test_revoke_without_a_free_slot_is_refused_and_changes_nothing)
{
    struct ring *ring = ring_new();
    for (int i = 0; i < RING_SLOTS; i++) {
        ck_assert_int_eq(rotate(ring, &weekly, noon + DAYS(i) / 2, 0), STATUS_OK);
    }
    char *before = text_of(ring);
    ck_assert_int_eq(revoke(ring, &weekly, 9, noon + DAYS(5), true), STATUS_REFUSED);
    ck_assert_msg(strstr(why.text, "slot 0") && strstr(why.text, "2026-11-30"), "%s", why.text);
    char *after = text_of(ring);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    ring_free(ring);
}
END_TEST

/* The oldest key's tags live longer than all others'. */
START_TEST(test_a_full_ring_names_the_slot_that_is_free_first)
{
    struct key_policy monthly = weekly;
    monthly.lifetime_days = 30;
    struct ring *ring = ring_new();
    ck_assert_int_eq(rotate(ring, &monthly, noon, 0), STATUS_OK);
    for (int i = 1; i < RING_SLOTS; i++) {
        ck_assert_int_eq(rotate(ring, &weekly, noon + DAYS(i) / 2, 0), STATUS_OK);
    }
    ck_assert_int_eq(revoke(ring, &weekly, 9, noon + DAYS(5), true), STATUS_REFUSED);
    ck_assert_int_gt(ring_free_day(ring, 0), ring_free_day(ring, 1));
    ck_assert_msg(strstr(why.text, "slot 1 ") && strstr(why.text, "2026-12-01"), "%s", why.text);
    ring_free(ring);
}
END_TEST

static const struct {
    const char *name;
    const struct key_policy *policy;
    unsigned slot;
    enum algorithm algorithm;
    size_t length;
    enum key_state state;
    enum status status;
    const char *reason;
} imports[] = {
    {"to verify", &weekly, 5, ALGORITHM_HMAC_SHA256, 32, KEY_RETAINED, STATUS_OK, ""},
    {"to sign", &weekly, 5, ALGORITHM_HMAC_SHA256, 32, KEY_ACTIVE, STATUS_OK, ""},
    {"to sign after a while", &shared, 5, ALGORITHM_HMAC_SHA256, 32, KEY_PENDING, STATUS_OK, ""},
    {"to wait for no time", &weekly, 5, ALGORITHM_HMAC_SHA256, 32, KEY_PENDING, STATUS_REFUSED,
     "keys.publish_seconds is 0"},
    {"to be forgotten", &forgetful, 5, ALGORITHM_HMAC_SHA256, 32, KEY_RETAINED, STATUS_REFUSED,
     "keys.retain_days is 0"},
    {"a short word", &weekly, 5, ALGORITHM_HMAC_SHA1, 1, KEY_RETAINED, STATUS_OK, ""},
    {"the longest", &weekly, 5, ALGORITHM_HMAC_SHA1, 256, KEY_ACTIVE, STATUS_OK, ""},
    {"nothing", &weekly, 5, ALGORITHM_HMAC_SHA1, 0, KEY_RETAINED, STATUS_INVALID, "1 to 256"},
    {"the shortest for SHA-256", &weekly, 5, ALGORITHM_HMAC_SHA256, 16, KEY_RETAINED, STATUS_OK,
     ""},
    {"too short for SHA-256", &weekly, 5, ALGORITHM_HMAC_SHA256, 15, KEY_RETAINED, STATUS_INVALID,
     "16 to 256"},
    {"over the active key", &weekly, 0, ALGORITHM_HMAC_SHA256, 32, KEY_RETAINED, STATUS_REFUSED,
     "slot 0 holds a key that is active"},
    {"over a retained key", &weekly, 3, ALGORITHM_HMAC_SHA256, 32, KEY_ACTIVE, STATUS_REFUSED,
     "slot 3 holds a key that is retained: it frees up on 2026-11-30"},
    {"over a key that is gone", &weekly, 4, ALGORITHM_HMAC_SHA256, 32, KEY_ACTIVE, STATUS_REFUSED,
     "slot 4 holds a key that is gone: it frees up on 2026-11-30"},
    {"no such slot", &weekly, 10, ALGORITHM_HMAC_SHA256, 32, KEY_RETAINED, STATUS_INVALID,
     "0 to 9"},
};

START_TEST(test_import)
{
    struct ring *ring = ring_with_key(&weekly, noon - DAYS(1));
    ck_assert_int_eq(import(ring, &weekly, 3, KEY_RETAINED, noon), STATUS_OK);
    ck_assert_int_eq(import(ring, &weekly, 4, KEY_RETAINED, noon), STATUS_OK);
    ck_assert_int_eq(revoke(ring, &weekly, 4, noon, true), STATUS_OK);
    char *before = text_of(ring);

    uint8_t long_octets[SECRET_MAX];
    struct secret secret;
    memset(long_octets, 0x77, sizeof long_octets);
    secret_set(&secret, long_octets, imports[_i].length);
    why.text[0] = '\0';
    enum status status = ring_import(ring, imports[_i].policy, imports[_i].slot,
                                     imports[_i].algorithm, imports[_i].state, &secret, noon, &why);
    ck_assert_msg(status == imports[_i].status && strstr(why.text, imports[_i].reason) != NULL,
                  "%s: %d, %s", imports[_i].name, status, why.text);
    if (status == STATUS_OK) {
        assert_state(ring, imports[_i].slot, noon, imports[_i].state);
        assert_state(ring, 0, noon, imports[_i].state == KEY_ACTIVE ? KEY_RETAINED : KEY_ACTIVE);
    } else {
        char *after = text_of(ring);
        ck_assert_str_eq(before, after);
        free(after);
    }
    free(before);
    ring_free(ring);
}
END_TEST

START_TEST(test_rotation_goes_on_after_an_imported_key)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    ck_assert_int_eq(import(ring, &weekly, 9, KEY_ACTIVE, noon + 1), STATUS_OK);
    ck_assert_uint_eq(ring_next_slot(ring), 0);
    ck_assert_int_eq(rotate(ring, &weekly, noon + DAYS(20), 0), STATUS_OK);
    ck_assert_int_eq(ring_active(ring, noon + DAYS(20)), 0);
    ring_free(ring);

    /* Another program's key 0 first, ours after it. */
    ring = ring_new();
    ck_assert_int_eq(import(ring, &weekly, 0, KEY_RETAINED, noon), STATUS_OK);
    ck_assert_int_eq(ring_active(ring, noon), RING_NO_SLOT);
    ck_assert_int_eq(rotate(ring, &weekly, noon, 0), STATUS_OK);
    ck_assert_int_eq(ring_active(ring, noon), 1);
    assert_state(ring, 0, noon, KEY_RETAINED);
    ring_free(ring);

    ring = ring_new();
    ck_assert_int_eq(import(ring, &shared, 0, KEY_PENDING, noon), STATUS_OK);
    assert_state(ring, 0, noon, KEY_ACTIVE);
    ring_free(ring);
}
END_TEST

START_TEST(test_a_clock_before_all_keys_loses_none)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    ck_assert_int_eq(rotate(ring, &weekly, noon + DAYS(7), 0), STATUS_OK);
    static const time_t clocks[] = {0, 1, DAYS(365)};
    for (int i = 0; i < COUNT(clocks); i++) {
        ck_assert_int_eq(ring_active(ring, clocks[i]), 0);
        assert_state(ring, 0, clocks[i], KEY_ACTIVE);
        assert_state(ring, 1, clocks[i], KEY_PENDING);
        ck_assert(!ring_prune(ring, clocks[i]));
        ck_assert_int_eq(rotate(ring, &weekly, clocks[i], 0), STATUS_REFUSED);
    }
    ck_assert_int_eq(rotate(ring, &weekly, -1, 0), STATUS_REFUSED);
    ck_assert_int_eq(revoke(ring, &weekly, 0, -1, false), STATUS_REFUSED);
    ck_assert_int_eq(import(ring, &weekly, 5, KEY_RETAINED, -1), STATUS_REFUSED);
    ck_assert_int_eq(rotate(ring, &weekly, INT64_MAX, 0), STATUS_REFUSED);
    ck_assert_int_eq(revoke(ring, &weekly, 0, INT64_MAX, false), STATUS_REFUSED);
    ck_assert_int_eq(import(ring, &weekly, 5, KEY_RETAINED, INT64_MAX), STATUS_REFUSED);

    struct ring *single = ring_with_key(&weekly, noon);
    ck_assert_int_eq(rotate(single, &weekly, noon - 1, 0), STATUS_REFUSED);
    ck_assert_msg(strstr(why.text, "2026-11-21T11:59:59Z") != NULL, "%s", why.text);
    ck_assert_int_eq(import(single, &weekly, 5, KEY_ACTIVE, noon - 1), STATUS_REFUSED);
    ring_free(single);
    ring_free(ring);
}
END_TEST

START_TEST(test_a_rotation_by_a_clock_in_the_future_can_be_taken_back)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    char *before = text_of(ring);
    ck_assert_int_eq(rotate(ring, &weekly, noon + DAYS(3650), 0), STATUS_OK);
    ck_assert_int_eq(ring_active(ring, noon + DAYS(1)), 0);
    ck_assert_int_gt(ring_newest_time(ring), noon + DAYS(3000));
    ck_assert_int_eq(revoke(ring, &weekly, 1, noon + DAYS(1), false), STATUS_OK);
    char *after = text_of(ring);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    ring_free(ring);
}
END_TEST

START_TEST(test_raise_lifetime)
{
    struct ring *ring = ring_with_key(&shared, noon);
    ck_assert_int_eq(rotate(ring, &shared, noon + DAYS(1), 0), STATUS_OK);
    ck_assert_int_eq(rotate(ring, &shared, noon + DAYS(2), 300), STATUS_OK);
    time_t now = noon + DAYS(2);
    ck_assert(!ring_raise_lifetime(ring, 7, now));
    ck_assert(!ring_raise_lifetime(ring, 1, now));
    ck_assert(ring_raise_lifetime(ring, 20, now));
    ck_assert_uint_eq(ring->keys[0].lifetime, 7); /* retained: it signs no more */
    ck_assert_uint_eq(ring->keys[1].lifetime, 20);
    ck_assert_uint_eq(ring->keys[2].lifetime, 20);
    ck_assert_int_eq(ring->keys[1].tags_until, TODAY + 2 + 1 + 20);
    ck_assert_int_eq(ring->keys[1].verifies_until, midnight + DAYS(2 + 1 + 20 + 1));
    ck_assert_int_eq(ring->keys[2].tags_until, -1);
    ck_assert(!ring_raise_lifetime(ring, 20, now));
    ring_free(ring);

    /* To be forgotten at once stays so. */
    ring = ring_with_key(&forgetful, noon);
    ck_assert_int_eq(rotate(ring, &forgetful, noon, 300), STATUS_OK);
    ck_assert(ring_raise_lifetime(ring, 20, noon));
    ck_assert_int_eq(ring->keys[0].verifies_until, noon + 300);
    ck_assert_int_eq(ring->keys[0].tags_until, TODAY + 21);
    ring_free(ring);

    /* Rotated out before the ring was told. */
    struct key_policy longer = weekly;
    longer.lifetime_days = 30;
    ring = ring_with_key(&weekly, noon);
    ck_assert_int_eq(rotate(ring, &longer, noon, 0), STATUS_OK);
    ck_assert_int_eq(ring->keys[0].tags_until, TODAY + 31);
    ring_free(ring);
}
END_TEST

START_TEST(test_prune)
{
    struct ring *ring = ring_with_key(&forgetful, noon);
    ck_assert_int_eq(rotate(ring, &forgetful, noon, 0), STATUS_OK);
    ck_assert_uint_gt(ring->keys[0].secret.length, 0);
    ck_assert(ring_prune(ring, noon));
    ck_assert_uint_eq(ring->keys[0].secret.length, 0);
    ck_assert_ptr_null(ring->keys[0].mac);
    ck_assert(!ring_prune(ring, noon));
    assert_state(ring, 0, noon, KEY_GONE);
    ck_assert(ring->keys[0].used);
    ck_assert(ring_prune(ring, noon + DAYS(10)));
    ck_assert(!ring->keys[0].used);
    ck_assert_uint_gt(ring->keys[1].secret.length, 0);
    ck_assert(!ring_prune(ring, noon + DAYS(10)));
    ring_free(ring);
}
END_TEST

static bool keep_com(void *context, const char *name)
{
    ++*(int *)context;
    return strstr(name, ".com") != NULL;
}

START_TEST(test_domains)
{
    static const char *const names[] = {"m.com", "a.com", ".z.com", "z.org", "b.org", "n.com"};
    struct ring *ring = ring_new();
    bool changed;
    time_t when;
    for (int i = 0; i < COUNT(names); i++) {
        ck_assert_int_eq(ring_domain_add(ring, names[i], noon + i, &changed), STATUS_OK);
        ck_assert(changed);
    }
    for (int i = 0; i < COUNT(names); i++) {
        ck_assert(ring_first_signed(ring, names[i], &when));
        ck_assert_int_eq(when, noon + i);
        ck_assert_int_eq(ring_domain_add(ring, names[i], noon + 99, &changed), STATUS_OK);
        ck_assert(!changed);
    }
    for (size_t i = 1; i < ring->domain_count; i++) {
        ck_assert_int_lt(strcmp(ring->domains[i - 1].name, ring->domains[i].name), 0);
    }
    ck_assert(!ring_first_signed(ring, "z.com", &when));
    ck_assert(!ring_first_signed(ring, "A.COM", &when));
    ck_assert_int_eq(ring_newest_time(ring), noon + 5);

    ck_assert(!ring_tag_seen(ring, "n.com"));
    ck_assert(!ring_domain_tag_seen(ring, "n.com", 0));
    ck_assert(!ring_domain_tag_seen(ring, "n.com", RING_OPEN));
    ck_assert(ring_domain_tag_seen(ring, "n.com", noon + 7));
    ck_assert(!ring_domain_tag_seen(ring, "n.com", noon + 8));
    ck_assert(!ring_domain_tag_seen(ring, "never-signed.com", noon + 8));
    ck_assert(ring_tag_seen(ring, "n.com"));
    ck_assert(!ring_tag_seen(ring, "a.com"));
    ck_assert(!ring_tag_seen(ring, "never-signed.com"));
    ck_assert_int_eq(ring_newest_time(ring), noon + 7);

    struct ring *copy = ring_copy(ring);
    ck_assert(ring_tag_seen(copy, "n.com"));
    int asked = 0;
    ck_assert(ring_domain_filter(ring, keep_com, &asked));
    ck_assert_int_eq(asked, COUNT(names));
    ck_assert_uint_eq(ring->domain_count, 4);
    ck_assert(!ring_first_signed(ring, "z.org", &when));
    ck_assert(ring_first_signed(ring, "n.com", &when));
    ck_assert(!ring_domain_filter(ring, keep_com, &asked));
    ck_assert_uint_eq(copy->domain_count, COUNT(names));

    static const char *const odd[] = {"", " ", "a b", "a\nb", "a\x7f", "\xc3\xa4.example", "a\t"};
    for (int i = 0; i < COUNT(odd); i++) {
        ck_assert_int_eq(ring_domain_add(ring, odd[i], noon, &changed), STATUS_INVALID);
    }
    ck_assert_int_eq(ring_domain_add(ring, "x.com", -1, &changed), STATUS_INVALID);
    ck_assert(!changed);
    ring_free(copy);
    ring_free(ring);
}
END_TEST

static void assert_mac_by(const struct mac_key *key, const struct secret *secret)
{
    uint8_t a[MAC_MAX], b[MAC_MAX];
    struct mac_key *expected;
    ck_assert_ptr_nonnull(key);
    ck_assert_int_eq(mac_key_new(ALGORITHM_HMAC_SHA256, secret, &expected), STATUS_OK);
    ck_assert_int_eq(mac_finish(mac_start(expected), a, sizeof a), STATUS_OK);
    ck_assert_int_eq(mac_finish(mac_start(key), b, sizeof b), STATUS_OK);
    ck_assert(memcmp(a, b, sizeof a) == 0);
    mac_key_free(expected);
}

START_TEST(test_rotate_evidence)
{
    struct ring *ring = ring_new();
    uint8_t one[SECRET_SIZE] = {1}, two[SECRET_SIZE] = {2};
    ck_assert_ptr_null(ring_evidence_mac(ring, 0));
    ck_assert_int_eq(ring_rotate_evidence(ring, one), STATUS_OK);
    ck_assert_uint_eq(ring->evidence_previous.length, 0);
    ck_assert_ptr_nonnull(ring_evidence_mac(ring, 0));
    ck_assert_ptr_null(ring_evidence_mac(ring, 1));
    ck_assert_int_eq(ring_rotate_evidence(ring, two), STATUS_OK);
    ck_assert_int_eq(ring->evidence_previous.octets[0], 1);
    ck_assert_int_eq(ring->evidence_current.octets[0], 2);
    ck_assert_uint_eq(ring->evidence_current.length, SECRET_SIZE);
    assert_mac_by(ring_evidence_mac(ring, 0), &ring->evidence_current);
    assert_mac_by(ring_evidence_mac(ring, 1), &ring->evidence_previous);

    struct ring *copy = ring_copy(ring);
    assert_mac_by(ring_evidence_mac(copy, 0), &ring->evidence_current);
    assert_mac_by(ring_evidence_mac(copy, 1), &ring->evidence_previous);
    ck_assert_ptr_ne(ring_evidence_mac(copy, 0), ring_evidence_mac(ring, 0));
    ring_free(copy);

    /* Set to what it has, then to nothing. */
    const struct secret none = {0};
    ck_assert_int_eq(ring_set_evidence(ring, &ring->evidence_current, &ring->evidence_previous),
                     STATUS_OK);
    assert_mac_by(ring_evidence_mac(ring, 1), &ring->evidence_previous);
    ck_assert_int_eq(ring->evidence_current.octets[0], 2);
    ck_assert_int_eq(ring_set_evidence(ring, &none, &none), STATUS_OK);
    ck_assert_ptr_null(ring_evidence_mac(ring, 0));
    ck_assert_ptr_null(ring_evidence_mac(ring, 1));
    ring_free(ring);
}
END_TEST

START_TEST(test_a_copy_is_equal_and_apart)
{
    struct ring *ring = ring_with_key(&weekly, noon);
    bool changed;
    ck_assert_int_eq(rotate(ring, &weekly, noon, 0), STATUS_OK);
    ck_assert_int_eq(ring_domain_add(ring, "example.com", noon, &changed), STATUS_OK);
    ring_rotate_evidence(ring, fresh_octets());
    ring->generation = 77;
    struct ring *copy = ring_copy(ring);
    char *before = text_of(ring), *copied = text_of(copy);
    ck_assert_str_eq(before, copied);
    ck_assert_int_eq(revoke(copy, &weekly, 1, noon, true), STATUS_OK);
    char *after = text_of(ring);
    ck_assert_str_eq(before, after);
    ck_assert_ptr_ne(copy->keys[0].mac, ring->keys[0].mac);
    ring_free(copy);
    ck_assert_ptr_nonnull(ring->keys[0].mac);
    free(before);
    free(copied);
    free(after);
    ring_free(ring);
}
END_TEST

/* Random histories. */

static uint32_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static void assert_reads_back(const struct ring *ring, const char *text)
{
    struct ring *again;
    ck_assert_msg(ring_parse(text, strlen(text), &again, &why) == STATUS_OK, "%s\n%s", why.text,
                  text);
    char *other = text_of(again);
    ck_assert_str_eq(text, other);
    ck_assert_uint_eq(again->generation, ring->generation);
    free(other);
    ring_free(again);
}

/* What has to hold whatever was done, by whatever clock. */
static void assert_sound(const struct ring *ring, time_t now, bool has_signed)
{
    static const time_t clocks[] = {0, 1000000000, 1795262400, 4000000000, 200000000000};
    int open = 0, active = 0;
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        const struct ring_key *key = &ring->keys[i];
        ck_assert((key->secret.length > 0) == (key->mac != NULL));
        open += key->used && key->signs_until == RING_OPEN;
        active += ring_key_state(ring, i, now) == KEY_ACTIVE;
    }
    ck_assert_int_eq(open, has_signed ? 1 : 0);
    ck_assert_int_eq(active, has_signed ? 1 : 0);
    for (int i = 0; i < COUNT(clocks); i++) {
        ck_assert((ring_active(ring, clocks[i]) != RING_NO_SLOT) == has_signed);
    }
}

static enum status random_change(struct ring *ring, time_t now)
{
    struct key_policy policy = {
        .rotate_days = 7,
        .retain_days = random_below(3) == 0 ? 0 : random_below(30),
        .lifetime_days = 1 + random_below(RING_LIFETIME_MAX),
        .publish_seconds = random_below(2) * 300,
        .algorithm = (enum algorithm)random_below(ALGORITHM_COUNT),
    };
    switch (random_below(8)) {
    case 0:
    case 1:
        return rotate(ring, &policy, now, 0);
    case 2:
        return rotate(ring, &policy, now, random_below(2 * DAY_SECONDS));
    case 3:
        return revoke(ring, &policy, random_below(RING_SLOTS), now, random_below(2) == 0);
    case 4:
        return import(ring, &policy, random_below(RING_SLOTS),
                      (enum key_state)(KEY_PENDING + random_below(3)), now);
    case 5:
        ring_raise_lifetime(ring, policy.lifetime_days, now);
        return STATUS_OK;
    case 6:
        ring_prune(ring, now);
        return STATUS_OK;
    default:
        ring_rotate_evidence(ring, fresh_octets());
        return STATUS_OK;
    }
}

static time_t random_clock(time_t now)
{
    switch (random_below(12)) {
    case 0:
        return now > DAYS(400) ? now - DAYS(random_below(400)) : now;
    case 1:
        return now + DAYS(random_below(4000));
    case 2:
        return midnight + DAYS(random_below(100));
    case 3:
        return now;
    default:
        return now + (time_t)random_below(3 * DAY_SECONDS);
    }
}

START_TEST(test_random_histories)
{
    random_state = 0x9e3779b9U + (uint32_t)_i;
    struct ring *ring = ring_new();
    time_t now = noon;
    bool has_signed = false;
    for (int step = 0; step < 150; step++) {
        now = random_clock(now);
        char *before = text_of(ring);
        enum status status = random_change(ring, now);
        char *after = text_of(ring);
        if (status != STATUS_OK) {
            ck_assert_str_eq(before, after);
        }
        has_signed = has_signed || ring_active(ring, now) != RING_NO_SLOT;
        assert_sound(ring, now, has_signed);
        assert_reads_back(ring, after);
        free(before);
        free(after);
    }
    ring_free(ring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tcase = tcase_create("ring");
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_an_empty_ring);
    tcase_add_loop_test(tcase, test_states_along_the_calendar, 0, COUNT(calendar));
    tcase_add_test(tcase, test_rotated_out_at_midnight_it_last_signed_the_day_before);
    tcase_add_test(tcase, test_ten_rotations_at_once_and_the_eleventh_waits_for_a_day);
    tcase_add_test(tcase, test_a_key_a_day_for_a_year_always_fits);
    tcase_add_test(tcase, test_a_pending_key_waits_and_then_signs);
    tcase_add_test(tcase, test_the_first_key_does_not_wait);
    tcase_add_test(tcase, test_rotation_due);
    tcase_add_test(tcase, test_revoke_the_active_key);
    tcase_add_test(tcase, test_days_that_a_revoked_key_can_have_signed_for);
    tcase_add_test(tcase, test_revoke_the_active_key_while_one_is_pending);
    tcase_add_test(tcase, test_revoke_a_pending_key);
    tcase_add_test(tcase, test_revoke_a_retained_key);
    tcase_add_test(tcase, test_revoke_skips_slots_that_are_taken);
    tcase_add_test(tcase, test_revoke_without_a_free_slot_is_refused_and_changes_nothing);
    tcase_add_test(tcase, test_a_full_ring_names_the_slot_that_is_free_first);
    tcase_add_loop_test(tcase, test_import, 0, COUNT(imports));
    tcase_add_test(tcase, test_rotation_goes_on_after_an_imported_key);
    tcase_add_test(tcase, test_a_clock_before_all_keys_loses_none);
    tcase_add_test(tcase, test_a_rotation_by_a_clock_in_the_future_can_be_taken_back);
    tcase_add_test(tcase, test_raise_lifetime);
    tcase_add_test(tcase, test_prune);
    tcase_add_test(tcase, test_domains);
    tcase_add_test(tcase, test_rotate_evidence);
    tcase_add_test(tcase, test_a_copy_is_equal_and_apart);
    tcase_add_loop_test(tcase, test_random_histories, 0, 40);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
