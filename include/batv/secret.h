/*
 * The one home of secret octets: created, copied, compared, turned into text and wiped here only.
 * Never printed, never logged.
 */
#ifndef BATV_SECRET_H
#define BATV_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SECRET_MAX = 256, /* octets; other programs' keys are up to 64, some key files longer */
    SECRET_SIZE = 32, /* octets of a secret that we make */
    SECRET_HEX = 2 * SECRET_MAX + 1
};

struct secret {
    size_t length; /* octets in use; 0: none */
    uint8_t octets[SECRET_MAX];
};

/* length at most SECRET_MAX */
void secret_set(struct secret *secret, const uint8_t *octets, size_t length);
void secret_wipe(struct secret *secret);

/* Hexadecimal in either case, length characters, even, 1 to SECRET_MAX octets. False: not of that
 * form, secret is empty. */
bool secret_from_hex(const char *hex, size_t length, struct secret *secret);

/* Lower case, NUL-terminated. The caller wipes out. */
void secret_to_hex(const struct secret *secret, char out[static SECRET_HEX]);

/* In time that depends on length only. */
bool secret_equal_octets(const void *a, const void *b, size_t length);

/*
 * Memory for what holds secrets, zeroed; freed by secret_free, which wipes it. NULL: there is none.
 * Once a process has called secret_lock_memory, it lies in an arena of its own, between guard
 * pages, which is never swapped out nor part of a core dump. What OpenSSL makes of a key for its
 * contexts lies in the heap all the same, and is wiped when they are freed.
 */
void *secret_alloc(size_t size);
void secret_free(void *memory, size_t size);

/* Before the first secret, and before there are threads. False: such memory could not be had, or
 * not be locked: secrets then lie in what there is. */
bool secret_lock_memory(void);

/* Overwrites in a way that the compiler keeps. */
void secret_wipe_memory(void *memory, size_t length);

#endif
