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
#include "store/journal_file.h"
#include "store/journal_table.h"

enum {
    PENDING_MAX = 262144, /* entries in memory; more are not taken */
    PENDING_USES = 16384  /* beyond these, uses are not counted */
};

struct journal {
    char *folder; /* NULL: nothing is written, by configuration */
    bool reader;  /* looks at another process's journal: most of what follows is not in use */
    bool damaged; /* a reader's: it is not asked any more */
    bool marked;  /* the marker of an unclean end is there and ours */
    struct journal_file *file; /* NULL: kept in memory; set before there are threads */
    time_t birth;              /* 0: nothing is written, or not known */

    /* Held for moments only, never during a system call but the allocator's. */
    pthread_mutex_t lock;
    struct journal_table open;       /* what comes in */
    struct journal_table committing; /* what is being written: the writer may read it without the
                                      * lock; without a file, what came in before */
    struct ring *evidence; /* holds nothing but the secrets that pending entries were made by */
    struct reason trouble; /* of opening; "" with a file */
    struct reason failure; /* of the last attempt to write; "" where it went well */
    uint64_t dropped;
    struct log_notice drop_notice, forged_notice;

    /* Before lock: one that counts a use at a time. */
    pthread_mutex_t counting;

    /* The writer's; before lock. */
    pthread_mutex_t working;
    size_t batch; /* entries that it writes at a time */
    size_t batch_max;
    unsigned rounds;
    uint64_t sweep_from; /* place in the order up to which it has looked */
    struct log_notice failure_notice, room_notice;

    pthread_t thread;
    bool started;
    int wake; /* an eventfd; -1 without a thread */
    atomic_bool ending;
};

/* A journal of nothing. NULL: no memory. */
struct journal *journal_new(const char *folder);
/* The parts that journal_open makes. */
void journal_free(struct journal *journal);

/* The path of a file in folder. NULL: no memory. The caller frees. */
char *journal_path(const char *folder, const char *name);

/* Whether every page of the file can be looked at in a moment. */
bool journal_is_walked(const char *path);
/* journal_file_check in a child process. */
enum status journal_check(const char *path, bool whole, struct reason *why);

/* What an entry is for. */
struct journal_subject {
    const char *address;
    const char *name; /* a Message-ID, or of a note */
    bool note;
};

/* journal_look and journal_note_look, in this process's own journal and for a reader. */
enum journal_answer journal_own_look(struct journal *journal, const struct ring *ring,
                                     const struct journal_subject *subject, time_t now,
                                     struct journal_entry *entry);
enum journal_answer journal_reader_look(struct journal *journal, const struct ring *ring,
                                        const struct journal_subject *subject, time_t now,
                                        struct journal_entry *entry);
/* journal_stat for a reader. */
enum status journal_reader_stat(struct journal *journal, struct journal_stat *out,
                                struct reason *why);
/* Whether a journal was set aside in folder. */
bool journal_damaged_aside(const char *folder);
/* What the file says, into out. */
enum status journal_fill_stat(struct journal_file *file, struct journal_stat *out);

#endif
