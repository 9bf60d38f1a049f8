/*
 * The journal's database, journal.db in state_dir. Entries lie in at most JOURNAL_PERIODS tables,
 * one for each period of time in which they were put, so that a period goes at once when all of it
 * has expired, and the oldest one makes room.
 *
 * Any thread may read, over a few connections that all share; one that gets none within 20 ms is
 * answered STATUS_IO. Nobody who reads waits for a commit. Everything else is for one thread at a
 * time. Other statuses are those of database.h.
 */
#ifndef STORE_JOURNAL_DB_H
#define STORE_JOURNAL_DB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/journal_entry.h"
#include "batv/status.h"
#include "store/journal.h"
#include "store/journal_table.h"

enum { JOURNAL_PERIODS = 8, JOURNAL_FOUND_MAX = 2 * JOURNAL_PERIODS };

struct journal_db;

enum journal_db_mode {
    JOURNAL_DB_SERVE,  /* the daemon: makes what is missing, sets aside what is damaged */
    JOURNAL_DB_READ,   /* another process */
    JOURNAL_DB_EXPIRE, /* another process that removes what has expired */
};

/* max_size and retain_days: for JOURNAL_DB_SERVE only. STATUS_NOT_FOUND: there is none, for the
 * other modes. STATUS_REFUSED: the file is not ours to use. */
enum status journal_db_open(const char *folder, enum journal_db_mode mode, uint64_t max_size,
                            unsigned retain_days, struct journal_db **out, struct reason *why);
/* Notes for the next start that the database was closed. NULL is allowed. */
void journal_db_close(struct journal_db *db);
/* Sets the damaged database aside and begins anew. Readers wait. To be repeated if it fails. */
enum status journal_db_replace(struct journal_db *db, const struct reason *fault,
                               struct reason *why);

/* When the database was made. Any thread. */
time_t journal_db_birth(const struct journal_db *db);

struct journal_lookup {
    uint8_t key[JOURNAL_KEY];
    uint8_t values[JOURNAL_FOUND_MAX][JOURNAL_VALUE];
    size_t count; /* of values; 0: not found */
};
/* What stands under some keys at one moment; all of it, or what was put last. Any thread. */
enum status journal_db_get(struct journal_db *db, struct journal_lookup lookups[], size_t count,
                           bool all, struct reason *why);

/* Stores all records or none; best in the order of their keys. */
enum status journal_db_put(struct journal_db *db, const struct journal_record *const records[],
                           size_t count, int64_t today, struct reason *why);

/* Removes a period that has expired; *more: perhaps there is another. */
enum status journal_db_drop(struct journal_db *db, int64_t today, bool *more, struct reason *why);
/* Removes every entry that has expired. */
enum status journal_db_expire(struct journal_db *db, int64_t today, uint64_t *removed,
                              struct reason *why);
/* Whether less than an eighth of max_size is left. */
bool journal_db_is_full(struct journal_db *db);
/* Removes at most that many entries of the oldest period. *first: the first day on which one of
 * that period expires. */
enum status journal_db_drain(struct journal_db *db, size_t limit, time_t now, int64_t *first,
                             struct reason *why);

/* Fills what the database knows. Any thread. */
enum status journal_db_stat(struct journal_db *db, struct journal_stat *out, struct reason *why);

/* Keeps the write-ahead log small. */
enum status journal_db_checkpoint(struct journal_db *db, struct reason *why);
/* After an unclean end: looks for damage in the next table, on a connection of its own, until
 * *stop. *more: there are other tables to look at. */
enum status journal_db_check(struct journal_db *db, const atomic_bool *stop, bool *more,
                             struct reason *why);

/* Its path, for messages and for stat. NULL: no memory. The caller frees. */
char *journal_db_path(const char *folder);
/* Whether a damaged one was set aside. */
bool journal_db_aside(const char *folder);

#endif
