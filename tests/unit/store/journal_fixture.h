/* What the tests of the journal share: a folder, a ring with an evidence secret, a moment. */
#ifndef BATV_TEST_JOURNAL_FIXTURE_H
#define BATV_TEST_JOURNAL_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "../suite.h"
#include "batv/day.h"
#include "store/journal.h"

enum { TODAY = 20778, RETAIN = 30, EXPIRES = TODAY + RETAIN, ALLOWED = 23, MIB = 1024 * 1024 };

static const time_t noon = (time_t)TODAY * DAY_SECONDS + DAY_SECONDS / 2;
static const char address[] = "alice@example.com";

static char folder[64];
static struct ring *ring;
static struct journal *journal;
static struct reason why;

static inline const char *in_folder(const char *name, char path[static 96])
{
    snprintf(path, 96, "%s/%s", folder, name);
    return path;
}

static inline bool exists(const char *name)
{
    char path[96];
    struct stat info;
    return lstat(in_folder(name, path), &info) == 0;
}

static inline off_t size_of(const char *name)
{
    char path[96];
    struct stat info;
    ck_assert_int_eq(stat(in_folder(name, path), &info), 0);
    return info.st_size;
}

static inline void rotate_evidence(unsigned seed)
{
    uint8_t octets[SECRET_SIZE];
    memset(octets, (int)seed + 1, sizeof octets);
    ck_assert_int_eq(ring_rotate_evidence(ring, octets), STATUS_OK);
}

static inline void setup_folder_in(const char *where)
{
    snprintf(folder, sizeof folder, "%s/batv-journal.XXXXXX", where);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ring = ring_new();
    ck_assert_ptr_nonnull(ring);
    rotate_evidence(0);
}

static inline void setup_folder(void)
{
    setup_folder_in("/tmp");
}

static inline void remove_files(void)
{
    static const char *const names[] = {"journal.db",         "journal.db-wal",  "journal.db-shm",
                                        "journal.db-journal", "journal.damaged", "filler"};
    char path[96];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(in_folder(names[i], path));
        rmdir(path);
    }
}

static inline void teardown_folder(void)
{
    journal_close(journal);
    journal = NULL;
    ring_free(ring);
    remove_files();
    ck_assert_msg(rmdir(folder) == 0, "%s: %s", folder, strerror(errno));
}

static inline void open_journal(size_t max_size)
{
    ck_assert_ptr_null(journal);
    ck_assert_int_eq(journal_open(folder, max_size, RETAIN, &journal, &why), STATUS_OK);
}

static inline void close_journal(void)
{
    journal_close(journal);
    journal = NULL;
}

/* The Message-ID of a number. */
static inline const char *id_of(unsigned number, char id[static 48])
{
    snprintf(id, 48, "%u.%08x@mail.example.com", number, number * 2654435761U);
    return id;
}

/* Entries are notes here, since of these uses are counted; those of Message-IDs have other keys and
 * are kept in the same way. */
static inline void put(unsigned number, int64_t expires)
{
    char id[48];
    journal_note_put(journal, ring, address, id_of(number, id), ALLOWED, expires);
}

static inline enum journal_answer look(unsigned number)
{
    char id[48];
    return journal_note_look(journal, ring, address, id_of(number, id), noon, NULL);
}

/* Makes an entry where there is none. */
static inline enum journal_answer use(unsigned number)
{
    char id[48];
    return journal_note_use(journal, ring, address, id_of(number, id), ALLOWED, TODAY + 1, noon);
}

static inline struct journal_entry entry_of(unsigned number)
{
    char id[48];
    struct journal_entry entry = {.used = 0};
    ck_assert_int_ne(journal_note_look(journal, ring, address, id_of(number, id), noon, &entry),
                     JOURNAL_NO);
    return entry;
}

static inline struct journal_stat stat_of(void)
{
    struct journal_stat stat;
    ck_assert_msg(journal_stat(journal, &stat, &why) == STATUS_OK, "%s", why.text);
    return stat;
}

/* The first number that a statement gives, over a connection of its own; -1: none. */
static inline int64_t number_in(const char *text)
{
    char path[96];
    sqlite3 *sqlite;
    sqlite3_stmt *statement;
    int64_t number = -1;
    ck_assert_int_eq(
        sqlite3_open_v2(in_folder("journal.db", path), &sqlite, SQLITE_OPEN_READWRITE, NULL),
        SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(sqlite, text, -1, &statement, NULL), SQLITE_OK);
    int step = sqlite3_step(statement);
    ck_assert_msg(step == SQLITE_ROW || step == SQLITE_DONE, "%s", sqlite3_errmsg(sqlite));
    number = step == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    sqlite3_close(sqlite);
    return number;
}

/* A process that runs something once it is let go: forked before this one opens the journal, since
 * SQLite does not survive a fork. */
struct peer {
    pid_t pid;
    int go;
};

static inline struct peer peer_new(bool (*run)(void))
{
    int ends[2];
    char octet;
    ck_assert_ptr_null(journal);
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        _exit(read(ends[0], &octet, 1) == 1 && run() ? 0 : 1);
    }
    close(ends[0]);
    return (struct peer){pid, ends[1]};
}

static inline void peer_go(struct peer *peer)
{
    ck_assert_int_eq(write(peer->go, "x", 1), 1);
    close(peer->go);
}

/* How a child ended: 0, or the signal that it died of, or -1. */
static inline int end_of(pid_t child)
{
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) == 0 ? 0 : -1;
}

#endif
