/*
 * The journal's file: an LMDB environment of three trees. `entries` has an entry's value under its
 * key; `order` has key and expiry under a number that counts up, so that what came first can be
 * removed without a search; `meta` says what the file is.
 *
 * Any number of threads and processes may read while one writes; a reader sees what was committed
 * before it began. LMDB trusts what it reads: a damaged file may end the process, so it is looked
 * at in another one first (journal_file_check, store/journal_child.h).
 */
#ifndef STORE_JOURNAL_FILE_H
#define STORE_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/journal_entry.h"
#include "batv/status.h"
#include "store/journal_table.h"

struct journal_file;

enum journal_file_mode {
    JOURNAL_FILE_MAKE, /* made where there is none */
    JOURNAL_FILE_WRITE,
    JOURNAL_FILE_READ
};

/*
 * max_size 0: what the file says. The lock file stands beside it, with "-lock" after its name.
 *   STATUS_NOT_FOUND  there is no file, or nothing in it yet
 *   STATUS_INVALID    damaged, or no journal
 *   STATUS_IO, STATUS_NO_MEMORY
 */
enum status journal_file_open(const char *path, size_t max_size, enum journal_file_mode mode,
                              struct journal_file **out, struct reason *why);
void journal_file_close(struct journal_file *file);

/* When the file was made. */
time_t journal_file_birth(const struct journal_file *file);

struct journal_lookup {
    uint8_t key[JOURNAL_KEY];
    uint8_t value[JOURNAL_VALUE]; /* where it is found */
    bool found;
};

/* Some keys, as of one moment. STATUS_IO: cannot be told now. Any thread. */
enum status journal_file_get(struct journal_file *file, struct journal_lookup lookups[],
                             size_t count);

/* What becomes of an entry that is stored already. False: it stays as it is. */
typedef bool journal_merge_fn(void *context, const struct journal_record *fresh,
                              const uint8_t stored[static JOURNAL_VALUE],
                              uint8_t out[static JOURNAL_VALUE]);

/*
 * Stores all records or none, durably; best in the order of their keys. One thread at a time.
 *   STATUS_REFUSED  there is no room within the file's largest size
 *   STATUS_IO       anything else; why says what
 */
enum status journal_file_put(struct journal_file *file,
                             const struct journal_record *const records[], size_t count,
                             journal_merge_fn *merge, void *context, struct reason *why);

struct journal_removal {
    int64_t today;   /* what expires by this day goes */
    size_t forced;   /* and as many of the oldest, expired or not */
    bool everywhere; /* all are looked at, not only up to the first that stays */
    size_t limit;    /* of entries looked at this time */
    uint64_t from;   /* 0 at first: where to go on, set by each call */
    size_t removed;  /* entries; each call adds to it */
    bool done;       /* nothing is left to look at; set by each call */
};

/* Removes the oldest entries. Statuses as journal_file_put; other than with STATUS_OK removal is as
 * it was. One thread at a time. */
enum status journal_file_remove(struct journal_file *file, struct journal_removal *removal,
                                struct reason *why);

struct journal_file_stat {
    uint64_t entries;
    uint64_t used, size, max_size; /* octets: in use, of the file, and what it may have */
    int64_t oldest;                /* expiry day of the entry made first; -1: there is none */
    uint64_t forced;               /* entries that were removed before they expired */
    time_t forced_at;              /* when one was; 0: never */
};
/* STATUS_IO: cannot be told now. Any thread. */
enum status journal_file_stat(struct journal_file *file, struct journal_file_stat *out);

/* Frees what processes that died while they were reading have held. */
void journal_file_tidy(struct journal_file *file);

/*
 * Looks for damage; to be called in a process that may die of it. Without `whole` only at the ends
 * of everything, unless these give reason for more. STATUS_INVALID: damaged. STATUS_NOT_FOUND:
 * there is no file, or nothing in it yet. Else STATUS_OK, or it could not be looked at.
 */
enum status journal_file_check(const char *path, bool whole, struct reason *why);

#endif
