/*
 * The ring as text, a line an item: how the keyring file looks. Pure, and exact inverses of each
 * other; both wipe what they touch. The last line carries a digest of all before it, so that damage
 * anywhere is noticed and never becomes a wrong key.
 */
#ifndef BATV_RING_TEXT_H
#define BATV_RING_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "batv/ring.h"
#include "batv/status.h"

/* text need not be NUL-terminated. STATUS_INVALID: why names the line and what was expected there;
 * it never quotes a secret. */
enum status ring_parse(const char *text, size_t length, struct ring **out, struct reason *why);

/* The generation that the beginning of a text claims, which ring_parse need not understand: 0 where
 * none can be read, UINT64_MAX where the text is of another version's format. */
uint64_t ring_text_claim(const char *text, size_t length);

/* Allocates *text; free it with ring_text_free. */
enum status ring_format(const struct ring *ring, char **text, size_t *length);
void ring_text_free(char *text, size_t length);

#endif
