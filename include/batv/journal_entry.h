/*
 * An entry of the journal of Message-IDs that were sent: that a message with this Message-ID went
 * out for this answer address, until when that proves anything, and how often it has. Nobody who
 * reads the store learns an address or a Message-ID from it, and nobody who writes to it can make
 * an entry or prolong one: the key is a MAC over both, the value carries one over itself and the
 * key. Pure.
 */
#ifndef BATV_JOURNAL_ENTRY_H
#define BATV_JOURNAL_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batv/ring.h"
#include "batv/status.h"

enum {
    JOURNAL_KEY = 16, /* octets */
    JOURNAL_VALUE = 24,
    JOURNAL_SECRETS = 2 /* of the ring: current and previous */
};

struct journal_entry {
    uint8_t key[JOURNAL_KEY];
    int64_t expires;  /* the first day on which it proves nothing any more */
    unsigned used;    /* bounces that it has proved; of a Message-ID, see store/uses.h */
    unsigned allowed; /* how many it may */
};

struct mac;

/* Absorbs a Message-ID as keys do: without brackets, white space and folding. How many octets it
 * had. */
size_t journal_entry_add_id(struct mac *mac, const char *message_id);

/* The key by the ring's current (0) or previous (1) evidence secret. address as address_fold
 * makes it; brackets, white space and folding in message_id do not count. STATUS_NOT_FOUND: the
 * ring has no such secret. STATUS_INVALID: there is nothing in message_id. */
enum status journal_entry_key(const struct ring *ring, unsigned secret, const char *address,
                              const char *message_id, uint8_t key[static JOURNAL_KEY]);

/* The same for what we note down ourselves: a name that no Message-ID can stand for, whatever
 * anybody writes into one. */
enum status journal_entry_note_key(const struct ring *ring, unsigned secret, const char *address,
                                   const char *name, uint8_t key[static JOURNAL_KEY]);

/* The value as it is stored, by the same secret as the key. */
enum status journal_entry_pack(const struct ring *ring, unsigned secret,
                               const struct journal_entry *entry,
                               uint8_t value[static JOURNAL_VALUE]);
/* STATUS_INVALID: not of our making, entry is unchanged. entry->key says which key it stands
 * under. */
enum status journal_entry_unpack(const struct ring *ring, unsigned secret,
                                 const uint8_t value[static JOURNAL_VALUE],
                                 struct journal_entry *entry);

/* The day on which a value says that it expires, for whoever has no secret: not to be trusted. */
int64_t journal_entry_day(const uint8_t value[static JOURNAL_VALUE]);

#endif
