/*
 * An open-addressing index over an array. The keys are MACs, as evenly spread as can be and not
 * for others to choose, so their first octets are hash enough. Nothing is ever removed but all at
 * once. The table owns its two arrays.
 */
#include "store/journal_table.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_MIN = 256 };

/* The slot that holds key, or the empty one where it would have to be. */
static size_t find_slot(const struct journal_table *table, const uint8_t key[static JOURNAL_KEY])
{
    uint32_t hash;
    memcpy(&hash, key, sizeof hash);
    size_t mask = table->slot_count - 1;
    size_t slot = hash & mask;
    while (table->slots[slot] != 0 &&
           memcmp(table->records[table->slots[slot] - 1].key, key, JOURNAL_KEY) != 0) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

struct journal_record *journal_table_find(const struct journal_table *table,
                                          const uint8_t key[static JOURNAL_KEY])
{
    if (table->count == 0) {
        return NULL;
    }
    uint32_t found = table->slots[find_slot(table, key)];
    return found != 0 ? &table->records[found - 1] : NULL;
}

/* Twice the room, and a new index of twice as many slots as there is room. */
static bool table_grow(struct journal_table *table)
{
    size_t room = table->room > 0 ? 2 * table->room : ROOM_MIN;
    struct journal_record *records = realloc(table->records, room * sizeof *records);
    if (records == NULL) {
        return false;
    }
    table->records = records;
    uint32_t *slots = calloc(2 * room, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = 2 * room;
    table->room = room;
    for (size_t i = 0; i < table->count; i++) {
        slots[find_slot(table, records[i].key)] = (uint32_t)(i + 1);
    }
    return true;
}

struct journal_record *journal_table_add(struct journal_table *table,
                                         const uint8_t key[static JOURNAL_KEY])
{
    if (table->count == table->room && !table_grow(table)) {
        return NULL;
    }
    struct journal_record *record = &table->records[table->count++];
    *record = (struct journal_record){.used = false};
    memcpy(record->key, key, JOURNAL_KEY);
    table->slots[find_slot(table, key)] = (uint32_t)table->count;
    return record;
}

void journal_table_clear(struct journal_table *table)
{
    free(table->records);
    free(table->slots);
    *table = (struct journal_table){.records = NULL};
}
