/*
 * What a tag's three digits mean, for all of them: every DDD on every one of a thousand days across
 * the wrap, under every lifetime, by a key that signs and by one that does no more.
 *
 * That is some hundred million tags, so the MAC is a stand-in that this program brings itself and
 * that takes any tag of zeros for authentic; test_tag.c has the real one.
 */
#include "fixture.h"

#include "batv/mac.h"

struct mac_key {
    enum algorithm algorithm;
};
struct mac {
    int unused;
};

static struct mac the_mac;

const char *algorithm_name(enum algorithm algorithm)
{
    (void)algorithm;
    return "stand-in";
}

bool algorithm_from_name(const char *name, enum algorithm *out)
{
    (void)name;
    *out = ALGORITHM_HMAC_SHA256;
    return true;
}

enum status mac_key_new(enum algorithm algorithm, const struct secret *secret, struct mac_key **out)
{
    (void)secret;
    *out = malloc(sizeof **out);
    (*out)->algorithm = algorithm;
    return STATUS_OK;
}

void mac_key_free(struct mac_key *key)
{
    free(key);
}

struct mac *mac_start(const struct mac_key *key)
{
    (void)key;
    return &the_mac;
}

void mac_add(struct mac *mac, const void *octets, size_t length)
{
    (void)mac;
    (void)octets;
    (void)length;
}

enum status mac_finish(struct mac *mac, uint8_t *out, size_t length)
{
    (void)mac;
    memset(out, 0, length);
    return STATUS_OK;
}

enum status digest_hex(const void *octets, size_t length, char out[static DIGEST_HEX])
{
    (void)octets;
    (void)length;
    (void)out;
    return STATUS_CRYPTO;
}

static const int64_t for_ever = INT64_MAX;

/* All thousand tags of key 0 on one day, as the contract has it: of all days that end in its digits
 * a tag means the one to come, unless the key cannot have made a tag for that day; then the one
 * just past. */
static void check_day(const struct ring *ring, struct address tags[], int64_t today, int lifetime,
                      int64_t last_possible)
{
    for (int ahead = 0; ahead < DAY_CODES; ahead++) {
        int64_t day = today + ahead;
        bool valid = ahead <= lifetime + 1 && day <= last_possible;
        int days = valid ? ahead : ahead - DAY_CODES;
        struct tag_check check;
        char *plain = NULL;
        enum status status =
            tag_verify(ring, &tags[day % 1000], (unsigned)lifetime, noon_of(today), &check, &plain);
        free(plain);
        if (status != STATUS_OK || check.result != (valid ? RESULT_VALID : RESULT_EXPIRED) ||
            check.days != days || check.expires != today + days || check.key != 0) {
            ck_abort_msg("day %d, DDD %03d, lifetime %d: %s, %d days, expected %s, %d", (int)today,
                         (int)(day % 1000), lifetime, result_name(check.result), check.days,
                         valid ? "valid" : "expired", days);
        }
    }
}

static struct address *tags_make(void)
{
    struct address *tags = calloc(DAY_CODES, sizeof *tags);
    for (unsigned code = 0; code < DAY_CODES; code++) {
        char raw[40];
        snprintf(raw, sizeof raw, "prvs=0%03u000000=a@b.example", code);
        ck_assert_int_eq(address_parse(raw, &tags[code]), STATUS_OK);
    }
    return tags;
}

static void tags_free(struct address *tags)
{
    for (unsigned code = 0; code < DAY_CODES; code++) {
        address_free(&tags[code]);
    }
    free(tags);
}

/* A sanitizer makes all of it many times slower: there some of the days have to do, others for each
 * lifetime, and those around the wrap. */
#if defined(__SANITIZE_THREAD__)
enum { EVERY = 31 };
#elif defined(__SANITIZE_ADDRESS__)
enum { EVERY = 7 };
#else
enum { EVERY = 1 };
#endif

static bool skips_day(int64_t day, int lifetime)
{
    return (day + lifetime) % EVERY != 0 && (day < WRAP_DAY - 2 || day > WRAP_DAY + 2);
}

static void check_key_that_signs(int lifetime)
{
    struct address *tags = tags_make();
    struct ring *ring = ring_new();
    struct key_policy policy = keys_weekly((unsigned)lifetime);
    ring_turn(ring, &policy, noon_of(WRAP_DAY - 1000), 1);
    for (int64_t today = WRAP_DAY - 500; today < WRAP_DAY + 500; today++) {
        if (!skips_day(today, lifetime)) {
            check_day(ring, tags, today, lifetime, for_ever);
        }
    }
    ring_free(ring);
    tags_free(tags);
}

START_TEST(test_key_that_signs)
{
    for (int lifetime = 1; lifetime <= RING_LIFETIME_MAX; lifetime++) {
        check_key_that_signs(lifetime);
    }
}
END_TEST

/* The key's last signing day is before the wrap, on its eve and after it. However the day may be
 * chosen, nothing is valid beyond (the day after it) + lifetime. */
static void check_key_that_is_retained(int lifetime)
{
    struct address *tags = tags_make();
    for (int64_t last = WRAP_DAY - 11; last <= WRAP_DAY + 9; last += 10) {
        for (int at_midnight = 0; at_midnight < 2; at_midnight++) {
            struct ring *ring = ring_new();
            struct key_policy policy = keys_weekly((unsigned)lifetime);
            policy.retain_days = 90;
            ring_turn(ring, &policy, noon_of(last - 50), 1);
            ring_turn(ring, &policy, at_midnight ? (last + 1) * DAY_SECONDS : noon_of(last), 2);
            for (int64_t today = last + 1; today <= last + 90; today++) {
                bool all_expired = today > last + lifetime + 3;
                if (skips_day(today, lifetime) || (all_expired && today % 10 != 0)) {
                    continue;
                }
                ck_assert_int_eq(ring_key_state(ring, 0, noon_of(today)), KEY_RETAINED);
                check_day(ring, tags, today, lifetime, last + 1 + lifetime);
            }
            ring_free(ring);
        }
    }
    tags_free(tags);
}

START_TEST(test_key_that_is_retained)
{
    for (int lifetime = 1; lifetime <= RING_LIFETIME_MAX; lifetime++) {
        check_key_that_is_retained(lifetime);
    }
}
END_TEST

/* Rotated out on the day that it signs on: what it signed last is still good to its end, and a
 * verifier whose clock is behind takes it too. */
static void check_last_tags_of_a_key(int lifetime)
{
    struct address *tags = tags_make();
    struct ring *ring = ring_new();
    struct key_policy policy = keys_weekly((unsigned)lifetime);
    ring_turn(ring, &policy, noon_of(TODAY - 10), 1);
    ring_turn(ring, &policy, noon_of(TODAY), 2);
    for (int64_t today = TODAY - 1; today <= TODAY + lifetime + 1; today++) {
        check_day(ring, tags, today, lifetime, TODAY + 1 + lifetime);
    }
    ring_free(ring);
    tags_free(tags);
}

START_TEST(test_last_tags_of_a_key)
{
    for (int lifetime = 1; lifetime <= RING_LIFETIME_MAX; lifetime++) {
        check_last_tags_of_a_key(lifetime);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tag days");
    TCase *tcase = tcase_create("every day, every lifetime");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_key_that_signs);
    tcase_add_test(tcase, test_key_that_is_retained);
    tcase_add_test(tcase, test_last_tags_of_a_key);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
