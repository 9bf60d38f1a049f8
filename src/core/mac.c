/*
 * HMAC and SHA-256 by OpenSSL's libcrypto, which is named in no other file but secret.c.
 *
 * A mac_key owns a context that has absorbed the key and is never used itself: each computation
 * works on a duplicate, which spares it the two hash blocks of the key. Duplicating only reads, so
 * threads share a mac_key without a lock; a struct mac belongs to the thread that started it.
 */
#include "batv/mac.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static const struct {
    const char *name;
    const char *digest; /* OpenSSL's word */
    size_t size;
} algorithms[ALGORITHM_COUNT] = {
    [ALGORITHM_HMAC_SHA256] = {"hmac-sha256", "SHA256", 32},
    [ALGORITHM_HMAC_SHA1] = {"hmac-sha1", "SHA1", 20},
};

struct mac_key {
    EVP_MAC_CTX *keyed;
    size_t size;
};

struct mac {
    EVP_MAC_CTX *context;
    size_t size;
    bool failed;
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

static EVP_MAC_CTX *context_new(enum algorithm algorithm, const struct secret *secret)
{
    /* The library's parameters have no const, and it does not write there. */
    char digest[sizeof "SHA256"];
    memcpy(digest, algorithms[algorithm].digest, strlen(algorithms[algorithm].digest) + 1);
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    if (hmac == NULL) {
        return NULL;
    }
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
    EVP_MAC_free(hmac); /* the context keeps its own reference */
    if (context != NULL && !EVP_MAC_init(context, secret->octets, secret->length, parameters)) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return context;
}

enum status mac_key_new(enum algorithm algorithm, const struct secret *secret, struct mac_key **out)
{
    assert(algorithm < ALGORITHM_COUNT && secret->length > 0);
    *out = NULL;
    struct mac_key *key = malloc(sizeof *key);
    if (key == NULL) {
        return STATUS_NO_MEMORY;
    }
    key->size = algorithms[algorithm].size;
    key->keyed = context_new(algorithm, secret);
    if (key->keyed == NULL) {
        free(key);
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
    EVP_MAC_CTX_free(key->keyed);
    free(key);
}

struct mac *mac_start(const struct mac_key *key)
{
    struct mac *mac = malloc(sizeof *mac);
    if (mac == NULL) {
        return NULL;
    }
    mac->size = key->size;
    mac->failed = false;
    mac->context = EVP_MAC_CTX_dup(key->keyed);
    if (mac->context == NULL) {
        free(mac);
        return NULL;
    }
    return mac;
}

void mac_add(struct mac *mac, const void *octets, size_t length)
{
    if (mac == NULL || mac->failed || length == 0) {
        return;
    }
    mac->failed = !EVP_MAC_update(mac->context, octets, length);
}

enum status mac_finish(struct mac *mac, uint8_t *out, size_t length)
{
    if (mac == NULL) {
        return STATUS_CRYPTO;
    }
    assert(length <= mac->size);

    uint8_t code[MAC_MAX];
    size_t written = 0;
    enum status status = STATUS_CRYPTO;
    if (!mac->failed && EVP_MAC_final(mac->context, code, &written, sizeof code) &&
        written == mac->size) {
        memcpy(out, code, length);
        status = STATUS_OK;
    }
    secret_wipe_memory(code, sizeof code);
    EVP_MAC_CTX_free(mac->context);
    free(mac);
    return status;
}

enum status digest_hex(const void *octets, size_t length, char out[static DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!EVP_Digest(octets, length, digest, &size, EVP_sha256(), NULL) ||
        size != (DIGEST_HEX - 1) / 2) {
        return STATUS_CRYPTO;
    }
    for (unsigned i = 0; i < size; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 0xf];
    }
    out[DIGEST_HEX - 1] = '\0';
    return STATUS_OK;
}
