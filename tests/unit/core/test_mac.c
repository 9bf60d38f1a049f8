/*
 * HMAC against the vectors of RFC 4231 (SHA-256) and RFC 2202 (SHA-1), SHA-256 against FIPS 180,
 * and one key used by several threads at a time.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"
#include "batv/mac.h"

/* Either text, or count times the octet fill. */
struct input {
    const char *text;
    uint8_t fill;
    size_t count;
};

static const struct {
    const char *name;
    enum algorithm algorithm;
    struct input key, data;
    const char *code;
} vectors[] = {
    {"RFC 4231, 1",
     ALGORITHM_HMAC_SHA256,
     {NULL, 0x0b, 20},
     {"Hi There", 0, 0},
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"RFC 4231, 2",
     ALGORITHM_HMAC_SHA256,
     {"Jefe", 0, 0},
     {"what do ya want for nothing?", 0, 0},
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"RFC 4231, 3",
     ALGORITHM_HMAC_SHA256,
     {NULL, 0xaa, 20},
     {NULL, 0xdd, 50},
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"RFC 4231, 6",
     ALGORITHM_HMAC_SHA256,
     {NULL, 0xaa, 131},
     {"Test Using Larger Than Block-Size Key - Hash Key First", 0, 0},
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"RFC 4231, 7",
     ALGORITHM_HMAC_SHA256,
     {NULL, 0xaa, 131},
     {"This is a test using a larger than block-size key and a larger than block-size data. The key"
      " needs to be hashed before being used by the HMAC algorithm.",
      0, 0},
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {"RFC 2202, 1",
     ALGORITHM_HMAC_SHA1,
     {NULL, 0x0b, 20},
     {"Hi There", 0, 0},
     "b617318655057264e28bc0b6fb378c8ef146be00"},
    {"RFC 2202, 2",
     ALGORITHM_HMAC_SHA1,
     {"Jefe", 0, 0},
     {"what do ya want for nothing?", 0, 0},
     "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {"RFC 2202, 3",
     ALGORITHM_HMAC_SHA1,
     {NULL, 0xaa, 20},
     {NULL, 0xdd, 50},
     "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
    {"RFC 2202, 6",
     ALGORITHM_HMAC_SHA1,
     {NULL, 0xaa, 80},
     {"Test Using Larger Than Block-Size Key - Hash Key First", 0, 0},
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {"RFC 2202, 7",
     ALGORITHM_HMAC_SHA1,
     {NULL, 0xaa, 80},
     {"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data", 0, 0},
     "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
};

static size_t spread(const struct input *input, uint8_t *out)
{
    if (input->text == NULL) {
        memset(out, input->fill, input->count);
        return input->count;
    }
    memcpy(out, input->text, strlen(input->text));
    return strlen(input->text);
}

static struct mac_key *vector_key(size_t i)
{
    uint8_t octets[SECRET_MAX];
    struct secret secret;
    struct mac_key *key;
    secret_set(&secret, octets, spread(&vectors[i].key, octets));
    ck_assert_int_eq(mac_key_new(vectors[i].algorithm, &secret, &key), STATUS_OK);
    return key;
}

static void to_hex(const uint8_t *octets, size_t length, char *out)
{
    struct secret code;
    secret_set(&code, octets, length);
    secret_to_hex(&code, out);
}

/* Three times with one key: the first use must not use it up. Whole, octet by octet, cut short. */
START_TEST(test_vectors)
{
    struct mac_key *key = vector_key((size_t)_i);
    uint8_t data[256], code[MAC_MAX];
    char hex[SECRET_HEX];
    size_t length = spread(&vectors[_i].data, data);
    size_t size = strlen(vectors[_i].code) / 2;

    struct mac *mac = mac_start(key);
    mac_add(mac, data, length);
    ck_assert_int_eq(mac_finish(mac, code, size), STATUS_OK);
    to_hex(code, size, hex);
    ck_assert_msg(strcmp(hex, vectors[_i].code) == 0, "%s: %s", vectors[_i].name, hex);

    mac = mac_start(key);
    for (size_t i = 0; i < length; i++) {
        mac_add(mac, data + i, 1);
    }
    mac_add(mac, NULL, 0);
    ck_assert_int_eq(mac_finish(mac, code, size), STATUS_OK);
    to_hex(code, size, hex);
    ck_assert_msg(strcmp(hex, vectors[_i].code) == 0, "%s: in pieces", vectors[_i].name);

    memset(code, 0x55, sizeof code);
    mac = mac_start(key);
    mac_add(mac, data, length);
    ck_assert_int_eq(mac_finish(mac, code, 3), STATUS_OK);
    to_hex(code, 3, hex);
    ck_assert_msg(strncmp(hex, vectors[_i].code, 6) == 0, "%s: cut", vectors[_i].name);
    ck_assert_uint_eq(code[3], 0x55);
    mac_key_free(key);
}
END_TEST

START_TEST(test_secrets_of_one_octet_and_of_the_most)
{
    for (int algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++) {
        for (size_t length = 1; length <= SECRET_MAX; length += SECRET_MAX - 1) {
            uint8_t octets[SECRET_MAX] = {1}, code[MAC_MAX];
            struct secret secret;
            struct mac_key *key;
            secret_set(&secret, octets, length);
            ck_assert_int_eq(mac_key_new((enum algorithm)algorithm, &secret, &key), STATUS_OK);
            ck_assert_int_eq(mac_finish(mac_start(key), code, 20), STATUS_OK);
            mac_key_free(key);
        }
    }
}
END_TEST

START_TEST(test_a_computation_that_did_not_start_is_an_error)
{
    uint8_t code[3];
    mac_add(NULL, "x", 1);
    ck_assert_int_eq(mac_finish(NULL, code, 3), STATUS_CRYPTO);
    mac_key_free(NULL);
}
END_TEST

enum { THREADS = 8, ROUNDS = 2000 };

static void *use_key(void *context)
{
    const struct mac_key *key = context;
    size_t wrong = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t code[MAC_MAX];
        char hex[SECRET_HEX];
        struct mac *mac = mac_start(key);
        mac_add(mac, "Hi There", 8);
        if (mac_finish(mac, code, sizeof code) != STATUS_OK) {
            wrong++;
        }
        to_hex(code, sizeof code, hex);
        if (strcmp(hex, vectors[0].code) != 0) {
            wrong++;
        }
    }
    return wrong == 0 ? NULL : context;
}

START_TEST(test_threads_share_a_key)
{
    struct mac_key *key = vector_key(0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_key, key), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
    mac_key_free(key);
}
END_TEST

START_TEST(test_names)
{
    enum algorithm algorithm;
    ck_assert_str_eq(algorithm_name(ALGORITHM_HMAC_SHA256), "hmac-sha256");
    ck_assert_str_eq(algorithm_name(ALGORITHM_HMAC_SHA1), "hmac-sha1");
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        ck_assert(algorithm_from_name(algorithm_name((enum algorithm)i), &algorithm));
        ck_assert_int_eq(algorithm, i);
    }
    static const char *const unknown[] = {
        "", "hmac", "hmac-sha", "hmac-sha512", "HMAC-SHA256", "hmac-sha256 "};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        ck_assert_msg(!algorithm_from_name(unknown[i], &algorithm), "%s", unknown[i]);
    }
}
END_TEST

START_TEST(test_digest)
{
    char hex[DIGEST_HEX];
    ck_assert_int_eq(digest_hex("", 0, hex), STATUS_OK);
    ck_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ck_assert_int_eq(digest_hex("abc", 3, hex), STATUS_OK);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct digest *digest = digest_start();
    digest_add(digest, "a", 1);
    digest_add(digest, "", 0);
    digest_add(digest, "bc", 2);
    ck_assert_int_eq(digest_finish(digest, hex), STATUS_OK);
    ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_add(NULL, "a", 1);
    ck_assert_int_eq(digest_finish(NULL, hex), STATUS_CRYPTO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mac");
    TCase *tcase = tcase_create("mac");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_vectors, 0, (int)(sizeof vectors / sizeof *vectors));
    tcase_add_test(tcase, test_secrets_of_one_octet_and_of_the_most);
    tcase_add_test(tcase, test_a_computation_that_did_not_start_is_an_error);
    tcase_add_test(tcase, test_threads_share_a_key);
    tcase_add_test(tcase, test_names);
    tcase_add_test(tcase, test_digest);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
