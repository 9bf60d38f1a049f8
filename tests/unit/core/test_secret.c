/*
 * Secrets: both ways between octets and hexadecimal, what is no hexadecimal, wiping, comparing.
 */
#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "batv/secret.h"

static bool is_wiped(const struct secret *secret)
{
    static const struct secret none;
    return memcmp(secret, &none, sizeof none) == 0;
}

START_TEST(test_every_length_there_and_back)
{
    uint8_t octets[SECRET_MAX];
    for (size_t i = 0; i < sizeof octets; i++) {
        octets[i] = (uint8_t)(255 - i);
    }
    for (size_t length = 1; length <= SECRET_MAX; length++) {
        struct secret secret, back;
        char hex[SECRET_HEX];
        secret_set(&secret, octets, length);
        secret_to_hex(&secret, hex);
        ck_assert_uint_eq(strlen(hex), 2 * length);
        ck_assert_uint_eq(strspn(hex, "0123456789abcdef"), 2 * length);
        ck_assert(secret_from_hex(hex, 2 * length, &back));
        ck_assert_uint_eq(back.length, length);
        ck_assert(secret_equal_octets(back.octets, octets, length));
    }
}
END_TEST

START_TEST(test_spelling)
{
    static const uint8_t octets[] = {0x00, 0x01, 0x09, 0x0a, 0x0f, 0x10, 0x90,
                                     0x99, 0xa0, 0xaf, 0xf9, 0xfa, 0xff};
    struct secret secret;
    char hex[SECRET_HEX];
    secret_set(&secret, octets, sizeof octets);
    secret_to_hex(&secret, hex);
    ck_assert_str_eq(hex, "0001090a0f109099a0aff9faff");
}
END_TEST

START_TEST(test_every_character_in_either_place)
{
    for (int c = 0; c < 256; c++) {
        struct secret secret;
        const char first[] = {(char)c, '7'};
        const char second[] = {'7', (char)c};
        bool is_digit = c < 128 && isxdigit(c);
        int value = !is_digit ? 0 : isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
        ck_assert_msg(secret_from_hex(first, 2, &secret) == is_digit, "%d", c);
        ck_assert_int_eq(secret.octets[0], is_digit ? value << 4 | 7 : 0);
        ck_assert_msg(secret_from_hex(second, 2, &secret) == is_digit, "%d", c);
        ck_assert_int_eq(secret.octets[0], is_digit ? 0x70 | value : 0);
        ck_assert(is_digit || is_wiped(&secret));
    }
}
END_TEST

START_TEST(test_wrong_lengths)
{
    char hex[2 * SECRET_MAX + 2];
    memset(hex, 'a', sizeof hex);
    static const size_t wrong[] = {
        0, 1, 3, 2 * SECRET_MAX - 1, 2 * SECRET_MAX + 1, 2 * SECRET_MAX + 2};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct secret secret;
        memset(&secret, 0xaa, sizeof secret);
        ck_assert_msg(!secret_from_hex(hex, wrong[i], &secret), "%zu", wrong[i]);
        ck_assert(is_wiped(&secret));
    }
}
END_TEST

START_TEST(test_a_wrong_digit_leaves_nothing)
{
    struct secret secret;
    ck_assert(!secret_from_hex("00112233445566778899aabbccddeefg", 32, &secret));
    ck_assert(is_wiped(&secret));
}
END_TEST

START_TEST(test_set_and_wipe_leave_nothing_of_what_was)
{
    uint8_t octets[SECRET_MAX];
    struct secret secret;
    memset(octets, 0xee, sizeof octets);
    secret_set(&secret, octets, sizeof octets);
    secret_set(&secret, octets, 3);
    for (size_t i = 3; i < SECRET_MAX; i++) {
        ck_assert_uint_eq(secret.octets[i], 0);
    }
    secret_wipe(&secret);
    ck_assert(is_wiped(&secret));
    secret_set(&secret, NULL, 0);
    ck_assert(is_wiped(&secret));
}
END_TEST

START_TEST(test_equal)
{
    const uint8_t a[] = {1, 2, 3}, b[] = {1, 2, 4};
    ck_assert(secret_equal_octets(a, a, 3));
    ck_assert(secret_equal_octets(a, b, 2));
    ck_assert(!secret_equal_octets(a, b, 3));
    ck_assert(secret_equal_octets(a, b, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("secret");
    TCase *tcase = tcase_create("secret");
    tcase_add_test(tcase, test_every_length_there_and_back);
    tcase_add_test(tcase, test_spelling);
    tcase_add_test(tcase, test_every_character_in_either_place);
    tcase_add_test(tcase, test_wrong_lengths);
    tcase_add_test(tcase, test_a_wrong_digit_leaves_nothing);
    tcase_add_test(tcase, test_set_and_wipe_leave_nothing_of_what_was);
    tcase_add_test(tcase, test_equal);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
