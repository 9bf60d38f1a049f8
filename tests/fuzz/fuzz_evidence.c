/*
 * The evidence header under libFuzzer. The input is taken twice: as a value that came back, which
 * must never prove anything for an address that none was made for; and as what the world does to a
 * genuine value, white space and the case of letters, after which it must still prove.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/address_fold.h"
#include "batv/day.h"
#include "batv/evidence.h"

enum {
    MADE = 20779, /* 2026-11-22 */
    RETAIN = 30,
    LOCAL_MAX = 64
};
static const time_t noon = (time_t)MADE * DAY_SECONDS + DAY_SECONDS / 2;
static const char genuine[] = "alice@example.com"; /* the seeds have values for it */
static const char stranger[] = "mallory@example.com";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* The secrets of tests/unit/core/test_evidence.c. Made once, never freed. */
static const struct ring *fixed_ring(void)
{
    static struct ring *ring;
    if (ring == NULL) {
        struct secret current = {.length = SECRET_SIZE}, previous = {.length = SECRET_SIZE};
        for (unsigned i = 0; i < SECRET_SIZE; i++) {
            current.octets[i] = (uint8_t)i;
            previous.octets[i] = (uint8_t)(255 - i);
        }
        ring = ring_new();
        require(ring != NULL && ring_set_evidence(ring, &current, &previous) == STATUS_OK);
    }
    return ring;
}

static bool proves(const char *value, const char *address, char nonce[static EVIDENCE_NONCE_HEX])
{
    bool proof = false;
    require(evidence_check(fixed_ring(), value, address, RETAIN, noon, &proof, nonce) == STATUS_OK);
    require(strlen(nonce) == (proof ? EVIDENCE_NONCE_HEX - 1 : 0));
    require(strspn(nonce, "0123456789abcdef") == strlen(nonce));
    return proof;
}

static void check_stranger(const uint8_t *data, size_t size)
{
    char nonce[EVIDENCE_NONCE_HEX], again[EVIDENCE_NONCE_HEX];
    char *value = malloc(size + 1);
    require(value != NULL);
    memcpy(value, data, size);
    value[size] = '\0';
    require(!proves(value, stranger, nonce));
    if (proves(value, genuine, nonce)) {
        require(proves(value, genuine, again) && strcmp(nonce, again) == 0);
    }
    free(value);
}

/* An address whose local part is made of some octets of the input. */
static char *make_address(const uint8_t *data, size_t size)
{
    char local[LOCAL_MAX + 1];
    size_t length = size < LOCAL_MAX ? size : LOCAL_MAX;
    for (size_t i = 0; i < length; i++) {
        local[i] = data[i] == 0 ? 'x' : (char)data[i];
    }
    local[length] = '\0';
    char *address = address_fold(local, "example.net");
    require(address != NULL);
    return address;
}

/* value with white space put into it and letters in the other case, as the input says. As long as
 * what is looked at. */
static char *mangle(const char *value, const uint8_t *data, size_t size)
{
    static const char white[] = " \t\r\n";
    size_t length = strlen(value);
    size_t room = EVIDENCE_VALUE_MAX - length;
    char *out = malloc(EVIDENCE_VALUE_MAX + 1);
    size_t used = 0;
    require(out != NULL);
    for (size_t i = 0; i < length; i++) {
        uint8_t octet = i < size ? data[i] : 0;
        for (unsigned spaces = octet >> 4; spaces > 0 && room > 0; spaces--, room--) {
            out[used++] = white[(octet >> 2) & 3];
        }
        bool letter = value[i] >= 'a' && value[i] <= 'z';
        out[used++] = letter && (octet & 1) != 0 ? (char)(value[i] - 'a' + 'A') : value[i];
    }
    out[used] = '\0';
    return out;
}

static void check_genuine(const uint8_t *data, size_t size)
{
    char *addresses[EVIDENCE_ADDRESSES];
    uint8_t octets[EVIDENCE_NONCE];
    char nonce[EVIDENCE_NONCE_HEX], expected[EVIDENCE_NONCE_HEX];
    char *value = NULL;
    size_t count = 1 + data[0] % EVIDENCE_ADDRESSES;
    for (size_t i = 0; i < count; i++) {
        size_t from = i * size / count;
        addresses[i] = make_address(data + from, size - from);
    }
    memcpy(octets, data, EVIDENCE_NONCE);
    require(evidence_format(fixed_ring(), (const char *const *)addresses, count, octets, noon,
                            &value) == STATUS_OK);
    require(strlen(value) <= EVIDENCE_VALUE_MAX);
    char *mangled = mangle(value, data + EVIDENCE_NONCE, size - EVIDENCE_NONCE);
    for (size_t i = 0; i < count; i++) {
        require(proves(value, addresses[i], expected));
        require(proves(mangled, addresses[i], nonce) && strcmp(nonce, expected) == 0);
        free(addresses[i]);
    }
    require(!proves(mangled, stranger, nonce));
    free(mangled);
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_stranger(data, size);
    if (size > EVIDENCE_NONCE) {
        check_genuine(data, size);
    }
    return 0;
}
