/*
 * Secret octets live in a struct secret of their owner's; this file alone copies, compares, spells
 * and wipes them. Hexadecimal is read and written without branches or tables that depend on the
 * value. Nothing is held here; any thread may call.
 */
#include "batv/secret.h"

#include <assert.h>
#include <string.h>

#include <openssl/crypto.h>

void secret_set(struct secret *secret, const uint8_t *octets, size_t length)
{
    assert(length <= SECRET_MAX);
    secret_wipe(secret);
    if (length > 0) {
        memcpy(secret->octets, octets, length);
    }
    secret->length = length;
}

void secret_wipe(struct secret *secret)
{
    secret_wipe_memory(secret, sizeof *secret);
}

/* All ones where a < b, else zero. */
static uint32_t mask_less(uint32_t a, uint32_t b)
{
    return 0U - (uint32_t)(((uint64_t)a - b) >> 63);
}

/* The value of a hexadecimal digit; *wrong gets a bit where c is none. */
static uint32_t digit_value(char c, uint32_t *wrong)
{
    uint32_t octet = (unsigned char)c;
    uint32_t decimal = octet - '0'; /* wraps, and is no digit, for what comes before */
    uint32_t letter = (octet | 0x20U) - 'a';
    uint32_t is_decimal = mask_less(decimal, 10);
    uint32_t is_letter = mask_less(letter, 6);
    *wrong |= ~(is_decimal | is_letter);
    return (decimal & is_decimal) | ((letter + 10) & is_letter);
}

bool secret_from_hex(const char *hex, size_t length, struct secret *secret)
{
    secret_wipe(secret);
    if (length == 0 || length % 2 != 0 || length > 2 * (size_t)SECRET_MAX) {
        return false;
    }

    uint32_t wrong = 0;
    for (size_t i = 0; i < length / 2; i++) {
        uint32_t high = digit_value(hex[2 * i], &wrong);
        uint32_t low = digit_value(hex[2 * i + 1], &wrong);
        secret->octets[i] = (uint8_t)(high << 4 | low);
    }
    if (wrong != 0) {
        secret_wipe(secret);
        return false;
    }
    secret->length = length / 2;
    return true;
}

static char value_digit(uint32_t value)
{
    return (char)(value + '0' + (~mask_less(value, 10) & ('a' - '0' - 10)));
}

void secret_to_hex(const struct secret *secret, char out[static SECRET_HEX])
{
    for (size_t i = 0; i < secret->length; i++) {
        out[2 * i] = value_digit(secret->octets[i] >> 4);
        out[2 * i + 1] = value_digit(secret->octets[i] & 0xfU);
    }
    out[2 * secret->length] = '\0';
}

bool secret_equal_octets(const void *a, const void *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}

#ifdef __SANITIZE_ADDRESS__
/* It does not look into the arena for pointers, so all that a ring holds would be a leak. */
bool secret_lock_memory(void)
{
    return true;
}
#else
bool secret_lock_memory(void)
{
    /* A ring takes four kibibytes; each message that goes on under an earlier one keeps that. */
    enum { ARENA = 128 * 1024, BLOCK = 64 };
    return CRYPTO_secure_malloc_init(ARENA, BLOCK) == 1;
}
#endif

void *secret_alloc(size_t size)
{
    return OPENSSL_secure_zalloc(size);
}

void secret_free(void *memory, size_t size)
{
    OPENSSL_secure_clear_free(memory, size);
}

void secret_wipe_memory(void *memory, size_t length)
{
    OPENSSL_cleanse(memory, length);
}
