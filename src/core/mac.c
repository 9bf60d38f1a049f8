/*
 * HMAC (RFC 2104) over the hashes of OpenSSL's libcrypto, which is named in no other file but
 * secret.c. The library's own HMAC makes three contexts and a copy of the key for each code, which
 * takes as long as the hashing.
 *
 * A mac_key owns two contexts, of the inner and the outer hash, that have absorbed the key and are
 * never used themselves: each computation works on copies, which spares it the two hash blocks of
 * the key. Copying only reads, so threads share a mac_key without a lock; a struct mac belongs to
 * the thread that started it, and borrows its key.
 */
#include "batv/mac.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

enum { BLOCK = 64 /* octets, of either hash */ };

static const struct {
    const char *name;
    const EVP_MD *(*hash)(void);
    size_t size;
} algorithms[ALGORITHM_COUNT] = {
    [ALGORITHM_HMAC_SHA256] = {"hmac-sha256", EVP_sha256, 32},
    [ALGORITHM_HMAC_SHA1] = {"hmac-sha1", EVP_sha1, 20},
};

struct mac_key {
    EVP_MD_CTX *inner;
    EVP_MD_CTX *outer;
    size_t size;
};

struct mac {
    const struct mac_key *key;
    EVP_MD_CTX *context; /* NULL: it failed */
};

const char *algorithm_name(enum algorithm algorithm)
{
    assert(algorithm < ALGORITHM_COUNT);
    return algorithms[algorithm].name;
}

bool algorithm_from_name(const char *name, enum algorithm *out)
{
    for (int i = 0; i < ALGORITHM_COUNT; i++) {
        if (strcmp(name, algorithms[i].name) == 0) {
            *out = (enum algorithm)i;
            return true;
        }
    }
    return false;
}

/* A context that has absorbed the key, each octet of it changed by pad. */
static EVP_MD_CTX *context_new(const EVP_MD *hash, const uint8_t key[static BLOCK], uint8_t pad)
{
    uint8_t padded[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) {
        padded[i] = key[i] ^ pad;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context != NULL && (!EVP_DigestInit_ex(context, hash, NULL) ||
                            !EVP_DigestUpdate(context, padded, sizeof padded))) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    secret_wipe_memory(padded, sizeof padded);
    return context;
}

/* A secret as a block: its hash where it is longer, filled up with zeros. */
static bool fill_block(const EVP_MD *hash, const struct secret *secret, uint8_t block[static BLOCK])
{
    memset(block, 0, BLOCK);
    if (secret->length > BLOCK) {
        return EVP_Digest(secret->octets, secret->length, block, NULL, hash, NULL) == 1;
    }
    memcpy(block, secret->octets, secret->length);
    return true;
}

enum status mac_key_new(enum algorithm algorithm, const struct secret *secret, struct mac_key **out)
{
    assert(algorithm < ALGORITHM_COUNT && secret->length > 0);
    const EVP_MD *hash = algorithms[algorithm].hash();
    uint8_t block[BLOCK];
    *out = NULL;
    struct mac_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        return STATUS_NO_MEMORY;
    }
    key->size = algorithms[algorithm].size;
    if (fill_block(hash, secret, block)) {
        key->inner = context_new(hash, block, 0x36);
        key->outer = context_new(hash, block, 0x5c);
    }
    secret_wipe_memory(block, sizeof block);
    if (key->inner == NULL || key->outer == NULL) {
        mac_key_free(key);
        return STATUS_CRYPTO;
    }
    *out = key;
    return STATUS_OK;
}

void mac_key_free(struct mac_key *key)
{
    if (key == NULL) {
        return;
    }
    EVP_MD_CTX_free(key->inner);
    EVP_MD_CTX_free(key->outer);
    free(key);
}

/* Nothing more can come of it. */
static void mac_fail(struct mac *mac)
{
    EVP_MD_CTX_free(mac->context);
    mac->context = NULL;
}

struct mac *mac_start(const struct mac_key *key)
{
    struct mac *mac = malloc(sizeof *mac);
    if (mac == NULL) {
        return NULL;
    }
    *mac = (struct mac){key, EVP_MD_CTX_new()};
    if (mac->context != NULL && !EVP_MD_CTX_copy_ex(mac->context, key->inner)) {
        mac_fail(mac);
    }
    return mac;
}

void mac_add(struct mac *mac, const void *octets, size_t length)
{
    if (mac == NULL || mac->context == NULL || length == 0) {
        return;
    }
    if (!EVP_DigestUpdate(mac->context, octets, length)) {
        mac_fail(mac);
    }
}

enum status mac_finish(struct mac *mac, uint8_t *out, size_t length)
{
    if (mac == NULL) {
        return STATUS_CRYPTO;
    }
    assert(length <= mac->key->size);

    uint8_t code[MAC_MAX];
    enum status status = STATUS_CRYPTO;
    if (mac->context != NULL && EVP_DigestFinal_ex(mac->context, code, NULL) &&
        EVP_MD_CTX_copy_ex(mac->context, mac->key->outer) &&
        EVP_DigestUpdate(mac->context, code, mac->key->size) &&
        EVP_DigestFinal_ex(mac->context, code, NULL)) {
        memcpy(out, code, length);
        status = STATUS_OK;
    }
    secret_wipe_memory(code, sizeof code);
    EVP_MD_CTX_free(mac->context);
    free(mac);
    return status;
}

struct digest {
    EVP_MD_CTX *context; /* NULL: something went wrong */
};

struct digest *digest_start(void)
{
    struct digest *digest = calloc(1, sizeof *digest);
    if (digest == NULL) {
        return NULL;
    }
    digest->context = EVP_MD_CTX_new();
    if (digest->context != NULL && !EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(digest->context);
        digest->context = NULL;
    }
    return digest;
}

void digest_add(struct digest *digest, const void *octets, size_t length)
{
    if (digest != NULL && digest->context != NULL &&
        !EVP_DigestUpdate(digest->context, octets, length)) {
        EVP_MD_CTX_free(digest->context);
        digest->context = NULL;
    }
}

enum status digest_finish(struct digest *digest, char out[static DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t octets[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (digest == NULL) {
        return STATUS_CRYPTO;
    }
    bool done = digest->context != NULL && EVP_DigestFinal_ex(digest->context, octets, &size) &&
                size == (DIGEST_HEX - 1) / 2;
    EVP_MD_CTX_free(digest->context);
    free(digest);
    if (!done) {
        return STATUS_CRYPTO;
    }
    for (unsigned i = 0; i < size; i++) {
        out[2 * i] = digits[octets[i] >> 4];
        out[2 * i + 1] = digits[octets[i] & 0xf];
    }
    out[DIGEST_HEX - 1] = '\0';
    return STATUS_OK;
}

enum status digest_hex(const void *octets, size_t length, char out[static DIGEST_HEX])
{
    struct digest *digest = digest_start();
    digest_add(digest, octets, length);
    return digest_finish(digest, out);
}
