/*
 * The evidence header: values against MACs made by Python's hmac, what of a value may change on the
 * way and what may not, and for how long it proves anything.
 *
 * The MACs here come from
 *
 *   hmac.new(secret, b"batv-evidence-1\0" + d + b"\0" + n + b"\0" + address,
 *            hashlib.sha256).hexdigest()[:24]
 *
 * with the secret current = bytes(range(32)), previous = bytes(255 - i for i in range(32)).
 */
#include <check.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"
#include "batv/evidence.h"
#include "fixture.h"

enum { MADE = 20779, RETAIN = 30 }; /* 2026-11-22 */
static const time_t noon = (time_t)MADE * DAY_SECONDS + DAY_SECONDS / 2;

static const uint8_t nonce_octets[EVIDENCE_NONCE] = {0x01, 0x23, 0x45, 0x67,
                                                     0x89, 0xab, 0xcd, 0xef};
#define NONCE    "0123456789abcdef"
#define ALICE    "alice@example.com"
#define NEWS     "news@example.com"
#define HARA     "o'hara+x=y@xn--bcher-kva.example"
#define OF_ALICE "f18ba6be7f26842fd26fc43b"
#define OF_NEWS  "72a77bf61aea079e97da0565"
#define BY_ONE   "v=1; d=20779; n=" NONCE "; s=" OF_ALICE
/* By the previous secret, thirty days ago. */
#define OLDEST "v=1; d=20749; n=00ff10a55a7ec3d1; s=d70a118dab954ab5c07e5563"

static struct ring *ring;

static void setup(void)
{
    struct secret current = {.length = 32}, previous = {.length = 32};
    for (unsigned i = 0; i < 32; i++) {
        current.octets[i] = (uint8_t)i;
        previous.octets[i] = (uint8_t)(255 - i);
    }
    ring = ring_new();
    ck_assert_ptr_nonnull(ring);
    ck_assert_int_eq(ring_set_evidence(ring, &current, &previous), STATUS_OK);
}

static void teardown(void)
{
    ring_free(ring);
}

/* By hmac.new(secret, b"batv-nonce-1\0" + message_id, hashlib.sha256).hexdigest()[:16]. */
static const struct {
    const char *message_id;
    unsigned secret;
    const char *nonce;
} nonces[] = {
    {"sent.1@example.com", 0, "d8e42d374ae6d154"},
    {" <sent.1@\n\texample.com>", 0, "d8e42d374ae6d154"},
    {"sent.1@example.com", 1, "b8a99e2a080078c3"},
};

START_TEST(test_nonce)
{
    uint8_t nonce[EVIDENCE_NONCE];
    char hex[EVIDENCE_NONCE_HEX];
    ck_assert_int_eq(evidence_nonce(ring, nonces[_i].secret, nonces[_i].message_id, nonce),
                     STATUS_OK);
    evidence_nonce_format(nonce, hex);
    ck_assert_str_eq(hex, nonces[_i].nonce);
    struct ring *empty = ring_new();
    ck_assert_int_eq(evidence_nonce(empty, 0, "x", nonce), STATUS_NOT_FOUND);
    ring_free(empty);
}
END_TEST

static char *format(const char *const addresses[], size_t count, time_t now)
{
    char *value;
    ck_assert_int_eq(evidence_format(ring, addresses, count, nonce_octets, now, &value), STATUS_OK);
    return value;
}

static bool proves_at(const char *value, const char *address, unsigned retain_days, time_t now,
                      const char *expected_nonce)
{
    bool proves = true;
    char nonce[EVIDENCE_NONCE_HEX] = "x";
    ck_assert_int_eq(evidence_check(ring, value, address, retain_days, now, &proves, nonce),
                     STATUS_OK);
    if (proves) {
        ck_assert_str_eq(nonce, expected_nonce);
    }
    return proves;
}

static bool proves(const char *value, const char *address)
{
    return proves_at(value, address, RETAIN, noon, NONCE);
}

/* ---------------------------------------------------------------- making */

START_TEST(test_value_for_one_address)
{
    static const char *const addresses[] = {ALICE};
    char *value = format(addresses, 1, noon);
    ck_assert_str_eq(value, BY_ONE);
    ck_assert(proves(value, ALICE));
    free(value);
}
END_TEST

START_TEST(test_value_for_two_addresses)
{
    static const char *const addresses[] = {ALICE, NEWS};
    char *value = format(addresses, 2, noon);
    ck_assert_str_eq(value, "v=1; d=20779; n=" NONCE ";\n\ts=" OF_ALICE "," OF_NEWS);
    ck_assert(proves(value, ALICE));
    ck_assert(proves(value, NEWS));
    ck_assert(!proves(value, "bob@example.com"));
    free(value);
}
END_TEST

/* Columns of the longest line, with the name before the first; a tab is eight at a line's start. */
static size_t widest(const char *value)
{
    size_t widest = 0;
    size_t column = strlen(EVIDENCE_NAME ": ");
    for (const char *c = value; *c != '\0'; c++) {
        column = *c == '\n' ? 0 : column + (*c == '\t' ? 8 : 1);
        widest = column > widest ? column : widest;
        if (*c == '\n') {
            ck_assert_int_eq(c[1], '\t');
            ck_assert(c[2] != '\n' && c[2] != '\0');
        }
    }
    return widest;
}

START_TEST(test_lines_are_short)
{
    static const char *const addresses[EVIDENCE_ADDRESSES] = {
        "a@example.com", "b@example.com", "c@example.com", "d@example.com",
        "e@example.com", "f@example.com", "g@example.com", HARA};
    static const time_t times[] = {0, 100, 20779, 99999, 2928000, 3652058};
    for (size_t count = 1; count <= EVIDENCE_ADDRESSES; count++) {
        for (int i = 0; i < (int)COUNT_OF(times); i++) {
            time_t now = times[i] * DAY_SECONDS;
            char *value = format(addresses, count, now);
            ck_assert_msg(widest(value) < 78, "%s", value);
            ck_assert_uint_lt(strlen(value), EVIDENCE_VALUE_MAX);
            for (size_t j = 0; j < count; j++) {
                ck_assert(proves_at(value, addresses[j], 1, now, NONCE));
            }
            free(value);
        }
    }
}
END_TEST

START_TEST(test_ring_without_secrets)
{
    static const char *const addresses[] = {ALICE};
    const struct secret none = {0};
    char *value = NULL;
    ck_assert_int_eq(ring_set_evidence(ring, &none, &none), STATUS_OK);
    ck_assert_int_eq(evidence_format(ring, addresses, 1, nonce_octets, noon, &value),
                     STATUS_CRYPTO);
    ck_assert_ptr_null(value);
    ck_assert(!proves(BY_ONE, ALICE));
}
END_TEST

/* -------------------------------------------------------------- checking */

START_TEST(test_other_address)
{
    static const char *const others[] = {"",
                                         "alice",
                                         "alice@example.net",
                                         "blice@example.com",
                                         "alice@example.co",
                                         "alice@example.comm",
                                         "Alice@example.com",
                                         NEWS};
    for (int i = 0; i < (int)COUNT_OF(others); i++) {
        ck_assert_msg(!proves(BY_ONE, others[i]), "%s", others[i]);
    }
}
END_TEST

START_TEST(test_previous_secret)
{
    uint8_t fresh[SECRET_SIZE] = {7};
    ck_assert(proves_at(OLDEST, HARA, RETAIN, noon, "00ff10a55a7ec3d1"));
    ck_assert(proves(BY_ONE, ALICE));
    ck_assert_int_eq(ring_rotate_evidence(ring, fresh), STATUS_OK);
    ck_assert(proves(BY_ONE, ALICE));
    ck_assert(!proves(OLDEST, HARA));
    ck_assert_int_eq(ring_rotate_evidence(ring, fresh), STATUS_OK);
    ck_assert(!proves(BY_ONE, ALICE));
}
END_TEST

START_TEST(test_days)
{
    const time_t day = DAY_SECONDS;
    const time_t midnight = noon - day / 2;
    ck_assert(proves_at(BY_ONE, ALICE, RETAIN, midnight - day, NONCE)); /* made a day ahead */
    ck_assert(!proves_at(BY_ONE, ALICE, RETAIN, midnight - day - 1, NONCE));
    ck_assert(proves_at(BY_ONE, ALICE, RETAIN, midnight + (RETAIN + 1) * day - 1, NONCE));
    ck_assert(!proves_at(BY_ONE, ALICE, RETAIN, midnight + (RETAIN + 1) * day, NONCE));
    ck_assert(proves_at(BY_ONE, ALICE, 1, noon + day, NONCE));
    ck_assert(!proves_at(BY_ONE, ALICE, 1, noon + 2 * day, NONCE));
    ck_assert(!proves_at(BY_ONE, ALICE, RETAIN, 0, NONCE));
    ck_assert(!proves_at(BY_ONE, ALICE, 365, (time_t)253000000000, NONCE));
}
END_TEST

/* True for a change that a value survives: the case of a letter. */
static bool is_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Each octet of the value replaced by each other one. White space in the place of white space, and
 * the case of a letter, change nothing; everything else spoils it. */
START_TEST(test_every_octet_counts)
{
    static const char white[] = " \t\r\n\v\f";
    const char *value = _i == 0 ? BY_ONE : OLDEST;
    const char *address = _i == 0 ? ALICE : HARA;
    for (size_t i = 0; value[i] != '\0'; i++) {
        for (int octet = 1; octet < 256; octet++) {
            char changed[sizeof BY_ONE];
            memcpy(changed, value, strlen(value) + 1);
            changed[i] = (char)octet;
            bool same =
                is_same(value[i], changed[i]) || (value[i] == ' ' && strchr(white, octet) != NULL);
            bool proof =
                proves_at(changed, address, RETAIN, noon, _i == 0 ? NONCE : "00ff10a55a7ec3d1");
            ck_assert_msg(proof == same, "octet %zu is %d: %s", i, octet, changed);
        }
    }
}
END_TEST

START_TEST(test_every_octet_is_needed)
{
    for (size_t i = 0; i < sizeof BY_ONE - 1; i++) {
        char changed[sizeof BY_ONE];
        memcpy(changed, BY_ONE, i);
        memcpy(changed + i, BY_ONE + i + 1, sizeof BY_ONE - i - 1);
        ck_assert_msg(proves(changed, ALICE) == (BY_ONE[i] == ' '), "%s", changed);
        memcpy(changed, BY_ONE, i);
        changed[i] = '\0';
        ck_assert_msg(!proves(changed, ALICE), "%s", changed);
    }
}
END_TEST

/* What mail programs and people make of a header. */
static const char *const mangled[] = {
    BY_ONE,
    " " BY_ONE "\r\n",
    "v=1;d=20779;n=" NONCE ";s=" OF_ALICE,
    "v = 1 ;\r\n d = 20779 ;\r\n n = " NONCE " ;\r\n\ts = " OF_ALICE " ",
    "v=1; d=20779; n=01234567\n\t89abcdef; s=f18ba6be7f26\r\n 842fd26fc43b",
    "v=1; d=20 779; n=0 1 2 3 4 5 6 7 8 9 a b c d e f; s=" OF_ALICE,
    "V=1; D=20779; N=0123456789ABCDEF; S=F18BA6BE7F26842FD26FC43B",
    BY_ONE ";",
    BY_ONE "; x=y",
    BY_ONE "; x=y; s=" OF_NEWS "; anything at all",
    "v=1; d=20779; n=" NONCE "; s=" OF_NEWS "," OF_ALICE,
    "v=1; d=20779; n=" NONCE "; s=" OF_NEWS " , " OF_ALICE " , ",
    "v=1; d=20779; n=" NONCE "; s=" OF_ALICE "," OF_NEWS "," OF_NEWS "," OF_NEWS "," OF_NEWS
    "," OF_NEWS "," OF_NEWS "," OF_NEWS "," OF_NEWS "," OF_NEWS, /* more than we write */
    "v=1; d=20779; n=" NONCE "; s=" OF_ALICE ",72a77bf61aea0",   /* cut off */
    "v=1; d=20779; n=" NONCE "; s=,," OF_ALICE ",zz",
};

START_TEST(test_mangled)
{
    ck_assert_msg(proves(mangled[_i], ALICE), "%s", mangled[_i]);
    ck_assert(!proves(mangled[_i], "bob@example.com"));
}
END_TEST

static const char *const garbage[] = {
    "",
    " ",
    ";",
    ";;;;",
    "=",
    "v",
    "v=",
    "v=1",
    "v=1;",
    "v=1; d=20779",
    "v=1; d=20779; n=" NONCE,
    "v=1; d=20779; n=" NONCE ";",
    "v=1; d=20779; n=" NONCE "; s=",
    "v=1; d=20779; n=" NONCE "; s=,,,,",
    "v=1; d=20779; n=" NONCE "; s",
    "v=2; d=20779; n=" NONCE "; s=" OF_ALICE,
    "v=; d=20779; n=" NONCE "; s=" OF_ALICE,
    "v=11; d=20779; n=" NONCE "; s=" OF_ALICE,
    "v=01; d=20779; n=" NONCE "; s=" OF_ALICE,
    "d=20779; n=" NONCE "; s=" OF_ALICE,
    "v=1; n=" NONCE "; d=20779; s=" OF_ALICE,
    "v=1; s=" OF_ALICE "; d=20779; n=" NONCE,
    "v=1; x=1; d=20779; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=020779; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=+20779; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=-20779; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=0x512b; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=20779x; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=99999999999999999999999999999999999999; n=" NONCE "; s=" OF_ALICE,
    "v=1; d=18446744073709572395; n=" NONCE "; s=" OF_ALICE, /* 20779 + 2^64 */
    "v=1; d=20779; n=; s=" OF_ALICE,
    "v=1; d=20779; n=" NONCE "0; s=" OF_ALICE,
    "v=1; d=20779; n=0123456789abcdeg; s=" OF_ALICE,
    "v=1; d=20779; n=0123456789abcde; s=" OF_ALICE,
    "v=1; d=20779; n=" NONCE "; s=" OF_ALICE "0",
    "v=1; d=20779; n=" NONCE "; s=0" OF_ALICE,
    "v=1; d=20779; n=" NONCE "; s=" OF_ALICE OF_ALICE,
    "v=1; d=20779; n=" NONCE "; s=" OF_NEWS "; s=" OF_ALICE,
    "v=1; d=20779; n=" NONCE "; s=\"" OF_ALICE "\"",
    "v=1, d=20779, n=" NONCE ", s=" OF_ALICE,
    "%s%n%s%n",
    "\xff\xfe\x80\x01\x02\x7f",
    "v=1; d=20779; n=\xc2\xa0" NONCE "; s=" OF_ALICE,
};

START_TEST(test_garbage)
{
    ck_assert_msg(!proves(garbage[_i], ALICE), "%s", garbage[_i]);
}
END_TEST

/* The longest value that is looked at, and longer ones. */
START_TEST(test_lengths)
{
    static const size_t lengths[] = {EVIDENCE_VALUE_MAX - 1, EVIDENCE_VALUE_MAX,
                                     EVIDENCE_VALUE_MAX + 1, 100000, 3000000};
    static const char fills[] = {' ', ';', ',', '0', '\n'};
    for (int i = 0; i < (int)COUNT_OF(lengths); i++) {
        for (int j = 0; j < (int)COUNT_OF(fills); j++) {
            char *value = malloc(lengths[i] + 1);
            ck_assert_ptr_nonnull(value);
            memset(value, fills[j], lengths[i]);
            memcpy(value, BY_ONE, sizeof BY_ONE - 1);
            value[lengths[i]] = '\0';
            bool fits = lengths[i] <= EVIDENCE_VALUE_MAX && fills[j] != '0';
            ck_assert_msg(proves(value, ALICE) == fits, "%zu times %d", lengths[i], fills[j]);
            free(value);
        }
    }
}
END_TEST

/* --------------------------------------------------------------- threads */

static void *check_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        bool yes = false, no = true;
        char nonce[EVIDENCE_NONCE_HEX];
        evidence_check(ring, BY_ONE, ALICE, RETAIN, noon, &yes, nonce);
        evidence_check(ring, BY_ONE, NEWS, RETAIN, noon, &no, nonce);
        if (!yes || no) {
            return ring;
        }
    }
    return NULL;
}

START_TEST(test_threads_share_a_ring)
{
    pthread_t threads[4];
    for (int i = 0; i < (int)COUNT_OF(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, check_often, NULL), 0);
    }
    for (int i = 0; i < (int)COUNT_OF(threads); i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence");
    TCase *tcase = tcase_create("evidence");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_nonce, 0, (int)(sizeof nonces / sizeof *nonces));
    tcase_add_test(tcase, test_value_for_one_address);
    tcase_add_test(tcase, test_value_for_two_addresses);
    tcase_add_test(tcase, test_lines_are_short);
    tcase_add_test(tcase, test_ring_without_secrets);
    tcase_add_test(tcase, test_other_address);
    tcase_add_test(tcase, test_previous_secret);
    tcase_add_test(tcase, test_days);
    tcase_add_loop_test(tcase, test_every_octet_counts, 0, 2);
    tcase_add_test(tcase, test_every_octet_is_needed);
    tcase_add_loop_test(tcase, test_mangled, 0, (int)COUNT_OF(mangled));
    tcase_add_loop_test(tcase, test_garbage, 0, (int)COUNT_OF(garbage));
    tcase_add_test(tcase, test_lengths);
    tcase_add_test(tcase, test_threads_share_a_ring);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
