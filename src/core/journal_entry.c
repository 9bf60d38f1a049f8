/*
 * Keys and values of the journal. A key is a MAC over answer address and Message-ID; a value is
 * three numbers and a MAC over them and the key, all numbers big-endian:
 *
 *   0 expires   4 used   8 allowed   12 MAC, its first 12 octets
 *
 * What the MACs cover begins with different words, so that none can pass for another. Nothing is
 * held here; any thread may call.
 */
#include "batv/journal_entry.h"

#include <stddef.h>
#include <string.h>

#include "batv/mac.h"
#include "batv/secret.h"

enum { NUMBERS = 12, VALUE_MAC = JOURNAL_VALUE - NUMBERS };

/* With their NUL, which ends the word. */
static const char key_word[] = "journal";
static const char value_word[] = "journal-value";
static const char note_word[] = "journal-note";

/* What a Message-ID gets on its way, and what ends it, is no part of it. */
static const char id_noise[] = " \t\r\n<>";

size_t journal_entry_add_id(struct mac *mac, const char *id)
{
    size_t added = 0;
    for (const char *at = id + strspn(id, id_noise); *at != '\0'; at += strspn(at, id_noise)) {
        size_t length = strcspn(at, id_noise);
        mac_add(mac, at, length);
        added += length;
        at += length;
    }
    return added;
}

enum status journal_entry_key(const struct ring *ring, unsigned secret, const char *address,
                              const char *message_id, uint8_t key[static JOURNAL_KEY])
{
    const struct mac_key *mac_key = ring_evidence_mac(ring, secret);
    if (mac_key == NULL) {
        return STATUS_NOT_FOUND;
    }
    struct mac *mac = mac_start(mac_key);
    mac_add(mac, key_word, sizeof key_word);
    mac_add(mac, address, strlen(address) + 1);
    size_t length = journal_entry_add_id(mac, message_id);
    enum status status = mac_finish(mac, key, JOURNAL_KEY);
    return status == STATUS_OK && length == 0 ? STATUS_INVALID : status;
}

enum status journal_entry_note_key(const struct ring *ring, unsigned secret, const char *address,
                                   const char *name, uint8_t key[static JOURNAL_KEY])
{
    const struct mac_key *mac_key = ring_evidence_mac(ring, secret);
    if (mac_key == NULL) {
        return STATUS_NOT_FOUND;
    }
    struct mac *mac = mac_start(mac_key);
    mac_add(mac, note_word, sizeof note_word);
    mac_add(mac, address, strlen(address) + 1);
    mac_add(mac, name, strlen(name));
    return mac_finish(mac, key, JOURNAL_KEY);
}

static void put_number(uint8_t out[static 4], uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

static uint32_t get_number(const uint8_t octets[static 4])
{
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 |
           (uint32_t)octets[3];
}

static uint32_t cut_number(int64_t number)
{
    if (number < 0) {
        return 0;
    }
    return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

static enum status value_mac(const struct ring *ring, unsigned secret,
                             const uint8_t key[static JOURNAL_KEY],
                             const uint8_t value[static JOURNAL_VALUE],
                             uint8_t out[static VALUE_MAC])
{
    const struct mac_key *mac_key = ring_evidence_mac(ring, secret);
    if (mac_key == NULL) {
        return STATUS_NOT_FOUND;
    }
    struct mac *mac = mac_start(mac_key);
    mac_add(mac, value_word, sizeof value_word);
    mac_add(mac, key, JOURNAL_KEY);
    mac_add(mac, value, NUMBERS);
    return mac_finish(mac, out, VALUE_MAC);
}

enum status journal_entry_pack(const struct ring *ring, unsigned secret,
                               const struct journal_entry *entry,
                               uint8_t value[static JOURNAL_VALUE])
{
    put_number(value, cut_number(entry->expires));
    put_number(value + 4, entry->used);
    put_number(value + 8, entry->allowed);
    return value_mac(ring, secret, entry->key, value, value + NUMBERS);
}

enum status journal_entry_unpack(const struct ring *ring, unsigned secret,
                                 const uint8_t value[static JOURNAL_VALUE],
                                 struct journal_entry *entry)
{
    uint8_t expected[VALUE_MAC];
    enum status status = value_mac(ring, secret, entry->key, value, expected);
    if (status == STATUS_OK && !secret_equal_octets(expected, value + NUMBERS, VALUE_MAC)) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        entry->expires = get_number(value);
        entry->used = get_number(value + 4);
        entry->allowed = get_number(value + 8);
    }
    return status;
}

int64_t journal_entry_day(const uint8_t value[static JOURNAL_VALUE])
{
    return get_number(value);
}
