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

/* Overwrites in a way that the compiler keeps. */
void secret_wipe_memory(void *memory, size_t length);

#endif
