/*
 * The journal of what was sent (batv/journal_entry.h), in a database in state_dir. An entry can be
 * found from the moment that journal_put has returned: what is not in the database yet stands in a
 * pending set in memory, which one writer thread commits once a second. No caller ever waits for a
 * commit: when the database cannot be written, entries are kept in memory as far as there is room.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/journal_entry.h"
#include "batv/ring.h"
#include "batv/status.h"

struct journal;

/*
 * Opens or makes the journal in state_dir; the process must be that folder's owner. A database that
 * is damaged is set aside, logged, and a new one begun, now or when the damage is found: after an
 * unclean end the writer thread looks for it. One that cannot be opened is logged too, and the
 * journal is then kept in memory until the next start (journal_trouble). With state_dir NULL
 * nothing is written: only uses are counted, in memory. max_size in octets.
 */
enum status journal_open(const char *state_dir, uint64_t max_size, unsigned retain_days,
                         struct journal **out, struct reason *why);
/* Starts the writer thread; signals must be blocked. */
enum status journal_start(struct journal *journal, struct reason *why);
/* Commits what is pending, ends the thread and closes the database. NULL is allowed. */
void journal_close(struct journal *journal);

/* The journal of a daemon, which may be running, for another process: journal_look and journal_stat
 * only. What is not in the database yet, for up to a second, is not seen. STATUS_OK says nothing
 * about whether there is one. */
enum status journal_open_reader(const char *state_dir, struct journal **out, struct reason *why);

/* When this journal was begun: what was sent before is not in it. It changes when a damaged one is
 * set aside. 0: nothing is written; for a reader: it can read none. Any thread. */
time_t journal_birth(const struct journal *journal);

/* What an entry allows for a message with that many recipients. */
unsigned journal_allowance(size_t recipients);

/* A message went out: one entry. address folded (address_fold). Any thread. Failures are
 * logged, at most once a minute; the mail goes on. expires is a day. */
void journal_put(struct journal *journal, const struct ring *ring, const char *address,
                 const char *message_id, unsigned allowed, int64_t expires);

/* The same for what we note down ourselves, under a name that no Message-ID can stand for. */
void journal_note_put(struct journal *journal, const struct ring *ring, const char *address,
                      const char *name, unsigned allowed, int64_t expires);

enum journal_answer { JOURNAL_NO, JOURNAL_YES, JOURNAL_EXHAUSTED, JOURNAL_UNAVAILABLE };

/* Was it sent? Counts nothing. JOURNAL_EXHAUSTED: all its uses are gone. JOURNAL_UNAVAILABLE: the
 * database cannot be read just now, or was found to be damaged (for some minutes after that, too).
 * entry may be NULL; it is set with JOURNAL_YES and JOURNAL_EXHAUSTED. Any thread. */
enum journal_answer journal_look(struct journal *journal, const struct ring *ring,
                                 const char *address, const char *message_id, time_t now,
                                 struct journal_entry *entry);
enum journal_answer journal_note_look(struct journal *journal, const struct ring *ring,
                                      const char *address, const char *name, time_t now,
                                      struct journal_entry *entry);

/* The same of a note, which is made where there is none, and counts a use where the answer is yes.
 * Any thread. */
enum journal_answer journal_note_use(struct journal *journal, const struct ring *ring,
                                     const char *address, const char *name, unsigned allowed,
                                     int64_t expires, time_t now);

/* What is wrong with it at present, in words for the administrator. False: nothing. Any thread. */
bool journal_trouble(struct journal *journal, struct reason *out);
/* Entries that are in memory only: up to a second's, or what cannot be written. Any thread. */
size_t journal_pending(struct journal *journal);

struct journal_stat {
    bool written;           /* there is a database; what follows is zero otherwise */
    time_t birth;           /* as journal_birth */
    uint64_t entries;       /* in the database */
    uint64_t used, size;    /* octets: in use, and of the file and its write-ahead log */
    uint64_t max_size;      /* octets that they may have */
    int64_t oldest_expires; /* day on which the first entry expires; -1: there is none */
    uint64_t forced;        /* entries that were removed before they expired, to make room */
    time_t forced_at;       /* when one was; 0: none */
    bool damaged_aside;     /* journal.damaged is there */
    uint64_t pending;       /* entries in memory only; 0 for a reader, as is the next */
    uint64_t dropped;       /* entries that were lost since the start */
};

/* STATUS_NOT_FOUND: there is no journal (for a reader). STATUS_INVALID: it is damaged. STATUS_IO.
 * Any thread. */
enum status journal_stat(struct journal *journal, struct journal_stat *out, struct reason *why);

/* One round of the writer: commits what is pending, and removes what has expired by now, once all
 * that was put at about the same time has; 0: nothing is removed. For the thread, and for tests
 * without one. */
void journal_work(struct journal *journal, time_t now);

/* Removes every entry that has expired by now from the journal in state_dir; for another process.
 * *removed counts entries. Statuses as journal_stat. */
enum status journal_expire(const char *state_dir, time_t now, uint64_t *removed,
                           struct reason *why);

#endif
