/*
 * A connection to an SQLite database in write-ahead mode, for one thread at a time.
 *
 * Errors stay: after one, calls do nothing until database_end has reported it. STATUS_INVALID: the
 * file is damaged, or is not what it should be. STATUS_IO: the system refused, or another
 * connection is in the way.
 *
 * Once a database is open, nothing else in this process may open or close its three files (FILE,
 * FILE-wal, FILE-shm): closing any descriptor of a file drops the process's POSIX locks on it, and
 * with them SQLite's.
 */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batv/status.h"

struct database;

/* queries are SQL texts that are prepared once for each slot, a number that stands in place of one
 * or two %d. */
struct database_use {
    unsigned cache_kib;
    unsigned busy_ms; /* how long it waits for another connection */
    int64_t log_kept; /* octets of the write-ahead log that stay when it begins anew */
    bool passing;     /* leaves the write-ahead log as it is when it closes as the last one */
    const char *const *queries;
    unsigned query_count, slots;
};

/* The file must be there; an empty one is an empty database. */
enum status database_open(const char *path, const struct database_use *use, struct database **out,
                          struct reason *why);
/* NULL is allowed. */
void database_close(struct database *database);

enum database_kind { DATABASE_READ, DATABASE_WRITE };

/* database_begin forgets an error from before; database_end commits, or rolls back after an error,
 * and returns it. */
void database_begin(struct database *database, enum database_kind kind);
enum status database_end(struct database *database, struct reason *why);
/* Makes the transaction fail. */
void database_fail(struct database *database, enum status status, const char *text);

/* Runs a query; types has a letter for each parameter: i, an int64_t; b, a pointer and a size_t of
 * octets. True: there is a row to read, until the next call. */
bool database_query(struct database *database, unsigned query, unsigned slot, const char *types,
                    ...);
bool database_next(struct database *database);
/* Of the row; 0 where there is none. */
int64_t database_number(const struct database *database, int column);
/* False: no octets, or not so many. */
bool database_octets(const struct database *database, int column, void *out, size_t size);
/* How many rows the last query has changed. */
size_t database_changed(const struct database *database);

/* Statements that are not worth preparing. */
void database_run(struct database *database, const char *text);

/* Octets in the write-ahead log, as of this connection's last commit or checkpoint. */
uint64_t database_log_size(const struct database *database);
/* Copies from the log into the file what no reader holds back; with restart, waits up to 100 ms for
 * readers, so that the log begins anew. Something may be left. */
enum status database_checkpoint(struct database *database, bool restart, struct reason *why);

/* Looks for damage in a table, which may take long, until *stop: STATUS_CONFLICT. */
enum status database_check(struct database *database, const char *table, const atomic_bool *stop,
                           struct reason *why);

#endif
