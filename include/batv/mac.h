/*
 * Keyed message authentication codes (RFC 2104). A mac_key holds contexts with the key already
 * absorbed; each use copies them, so that one key serves all threads without a lock.
 */
#ifndef BATV_MAC_H
#define BATV_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batv/secret.h"
#include "batv/status.h"

enum algorithm { ALGORITHM_HMAC_SHA256, ALGORITHM_HMAC_SHA1, ALGORITHM_COUNT };

enum { MAC_MAX = 32, DIGEST_HEX = 65 };

/* "hmac-sha256", "hmac-sha1" */
const char *algorithm_name(enum algorithm algorithm);
bool algorithm_from_name(const char *name, enum algorithm *out);

struct mac_key; /* immutable; may be shared by threads */
struct mac;     /* one computation; belongs to one thread, and ends before its key does */

enum status mac_key_new(enum algorithm algorithm, const struct secret *secret,
                        struct mac_key **out);
void mac_key_free(struct mac_key *key);

/* Starts a computation, which is ended by mac_finish. NULL: no memory. */
struct mac *mac_start(const struct mac_key *key);
void mac_add(struct mac *mac, const void *octets, size_t length);
/* Writes the first length octets of the code (at most the hash's size) and frees mac. mac may be
 * NULL: then, as after any failure on the way, STATUS_CRYPTO. */
enum status mac_finish(struct mac *mac, uint8_t *out, size_t length);

/* SHA-256 as lower-case hexadecimal, to notice damage; no key. */
enum status digest_hex(const void *octets, size_t length, char out[static DIGEST_HEX]);

/* The same of pieces; the calls are as for struct mac. */
struct digest;
struct digest *digest_start(void);
void digest_add(struct digest *digest, const void *octets, size_t length);
enum status digest_finish(struct digest *digest, char out[static DIGEST_HEX]);

#endif
