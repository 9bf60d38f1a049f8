/*
 * Entries of the journal in memory, found by their key. No lock: whoever shares a table has one.
 */
#ifndef STORE_JOURNAL_TABLE_H
#define STORE_JOURNAL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batv/journal_entry.h"

struct journal_record {
    uint8_t key[JOURNAL_KEY];
    uint8_t value[JOURNAL_VALUE];
    bool used; /* a use was counted: the value has everything that was known then */
};

struct journal_table {
    struct journal_record *records; /* in the order in which they came */
    size_t count, room;
    uint32_t *slots; /* index of a record plus one; 0: empty */
    size_t slot_count;
};

/* NULL: none such. Valid until the next addition. */
struct journal_record *journal_table_find(const struct journal_table *table,
                                          const uint8_t key[static JOURNAL_KEY]);
/* A record with this key, which the table does not hold yet; the rest is zero. NULL: no memory. */
struct journal_record *journal_table_add(struct journal_table *table,
                                         const uint8_t key[static JOURNAL_KEY]);
/* Drops everything. A table of zeroes is empty. */
void journal_table_clear(struct journal_table *table);

#endif
