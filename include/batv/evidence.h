/*
 * The header X-Batv-Evidence, by which a message that comes back proves that it was ours:
 *
 *   v=1; d=DDDDD; n=NONCE; s=MAC[,MAC...]
 *
 * d is the day on which it was made (batv/day.h), n 8 octets that nobody can guess, and for each
 * answer address there is a MAC over day, nonce and that address, by the ring's evidence secret. A
 * Message-ID that came back, or none, makes no difference to whether it proves: relays replace
 * them. Pure.
 */
#ifndef BATV_EVIDENCE_H
#define BATV_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/ring.h"
#include "batv/status.h"
#include "batv/verp.h"

#define EVIDENCE_NAME "X-Batv-Evidence"

enum {
    EVIDENCE_ADDRESSES = 8, /* answer addresses that a message has at most */
    EVIDENCE_NONCE = 8,     /* octets */
    EVIDENCE_NONCE_HEX = 2 * EVIDENCE_NONCE + 1,
    EVIDENCE_VALUE_MAX = 1024 /* octets of a value that is looked at; longer ones are not ours */
};

/* The addresses of which a bounce's recipient may be one with a VERP extension (batv/verp.h), and
 * so those whose evidence proves it: itself first, then without each extension. Own their texts. */
struct evidence_names {
    char *texts[1 + VERP_CUTS];    /* as address_fold makes them */
    size_t lengths[1 + VERP_CUTS]; /* of the local parts, before they were folded */
    size_t count;
};

/* Answers go to the address behind a tag, whoever made that: local may have one. */
enum status evidence_names_new(const char *local, const char *ascii, struct evidence_names **out);
/* The first of these names alone. NULL: no memory. The caller frees. */
char *evidence_address(const char *local, const char *ascii);
/* names may be NULL. */
void evidence_names_free(struct evidence_names *names);
bool evidence_names_have(const struct evidence_names *names, const char *address);
/* True where there is an address that is one of both. */
bool evidence_names_meet(const struct evidence_names *a, const struct evidence_names *b);
/* The one without the last extension octets; itself where none fits. */
size_t evidence_names_without(const struct evidence_names *names, size_t extension);

/*
 * The nonce of a message whose Message-ID the journal knows, by the ring's current (0) or previous
 * (1) evidence secret: the uses of its Message-ID and of its header can be counted as one.
 * Brackets, white space and folding in message_id do not count. STATUS_NOT_FOUND: the ring has no
 * such secret.
 */
enum status evidence_nonce(const struct ring *ring, unsigned secret, const char *message_id,
                           uint8_t nonce[static EVIDENCE_NONCE]);

void evidence_nonce_format(const uint8_t nonce[static EVIDENCE_NONCE],
                           char out[static EVIDENCE_NONCE_HEX]);

/*
 * The header's value for 1 to EVIDENCE_ADDRESSES distinct addresses (address_fold), folded so that
 * no line with the name before it exceeds 78 columns (line breaks are "\n\t", as milters write
 * them). now is the time of making. *out is allocated. STATUS_CRYPTO also where the ring has no
 * evidence secret.
 */
enum status evidence_format(const struct ring *ring, const char *const addresses[], size_t count,
                            const uint8_t nonce[static EVIDENCE_NONCE], time_t now, char **out);

/*
 * *proves: value was made by one of the ring's evidence secrets for this folded address, not
 * longer than retain_days ago (and at most a day ahead); nonce is then its n in lower case. White
 * space and the case of hex do not matter. A value of another form is no error: it proves nothing.
 */
enum status evidence_check(const struct ring *ring, const char *value, const char *address,
                           unsigned retain_days, time_t now, bool *proves,
                           char nonce[static EVIDENCE_NONCE_HEX]);

#endif
