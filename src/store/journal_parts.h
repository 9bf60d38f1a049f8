/* What the files of the journal share; for src/store/journal*.c only. */
#ifndef STORE_JOURNAL_PARTS_H
#define STORE_JOURNAL_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/log.h"
#include "store/journal.h"
#include "store/journal_db.h"
#include "store/journal_table.h"

enum {
    PENDING_MAX = 262144, /* entries in memory; no more are taken */
    PENDING_USES = 16384  /* beyond these, uses are not counted */
};

struct journal {
    char *folder;          /* NULL: nothing is written, by configuration */
    bool reader;           /* looks at another process's journal */
    enum status opened;    /* whether db was opened */
    struct journal_db *db; /* NULL: kept in memory; set before there are threads */

    /* Held for moments only, never during a system call but the allocator's. */
    pthread_mutex_t lock;
    struct journal_table open;       /* what comes in */
    struct journal_table committing; /* what is being written: the writer may read it without the
                                      * lock; without a database, what came in before */
    struct reason trouble;           /* of opening; "" with a database */
    struct reason failure;           /* of the last attempt to write; "" where it went well */
    struct reason damage; /* the database has to be replaced; "": not known to be damaged */
    int64_t unsure_until; /* by a clock that nobody sets: until then what is not found may have
                           * been lost with a damaged database */
    uint64_t dropped;
    struct log_notice drop_notice, forged_notice;

    /* Before lock: one that counts a use at a time. */
    pthread_mutex_t counting;

    /* The writer's; before lock. */
    pthread_mutex_t working;
    size_t batch; /* entries that it writes at a time */
    struct log_notice failure_notice, room_notice;

    pthread_t thread;
    bool started;
    int wake; /* an eventfd; -1 without a thread */
    atomic_bool ending;
};

/* Remembers what a question has failed of: damage, and for a reader everything. Returns status. Any
 * thread. */
enum status journal_failed(struct journal *journal, enum status status, const struct reason *why);

/* Of the writer: how many entries at a time, the end of the thread with all that is pending
 * written, and the clock of unsure_until. */
size_t journal_batch(uint64_t max_size);
void journal_stop(struct journal *journal);
int64_t journal_steady_s(void);

#endif
