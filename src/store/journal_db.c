/*
 * The only file that names the journal's files. Before SQLite opens them, their kind, owner and
 * mode are checked by name; afterwards only stat touches them, for their sizes.
 *
 * `sent0` to `sent7` hold entries. What journal_put stores under a key is in `sent`, what a use
 * stores in `used`: octets that are compared as such, the later expiry being the greater. `period`
 * has a row for each table: number counts up, 0 is an empty table; began is the day of its first
 * entry; until and first are the last and the first day on which one expires. A period lasts a
 * seventh of journal.retain_days, or until it holds an eighth of max_size; while no table is empty
 * the newest goes on. `meta` has birth, clean (0: in use, or not closed), and forced and forced_at,
 * of entries that were removed before they expired.
 *
 * The pages of an emptied table are used again, so the file never shrinks.
 *
 * lock guards the pool of read connections. The rest is the writer's.
 */
#include "store/journal_db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "store/database.h"

enum {
    APPLICATION = 0x62617601, /* "bav", and the format */
    READERS = 4,
    READ_WAIT_MS = 20,
    WRITE_WAIT_MS = 2000,
    WRITE_CACHE_KIB = 8192,
    READ_CACHE_KIB = 256,
    PAGE = 4096,
    ENTRY_OCTETS = 70,               /* about, with its share of what is unused */
    LOG_UNIT_MAX = 16 * 1024 * 1024, /* of the write-ahead log, when it is copied; four to wait */
    LOG_UNITS = 16,                  /* for readers, so many to write no more */
    OTHER_TABLES = 2
};

enum query {
    USE_LOG,
    IDENTITY,
    META,
    SET_META,
    PERIODS,
    NEWEST,
    TURN,
    GROW,
    EXPIRED,
    EMPTY,
    LESSEN,
    OLDEST,
    TOTAL,
    PAGES,
    UNUSED,
    GET,
    ADD,
    RAISE,
    CLEAR,
    DELETE_EXPIRED,
    DELETE_SOME,
    QUERIES
};

static const char *const queries[QUERIES] = {
    [USE_LOG] = "PRAGMA journal_mode = WAL",
    [IDENTITY] = "PRAGMA application_id",
    [META] = "SELECT value FROM meta WHERE name = CAST(?1 AS TEXT)",
    [SET_META] = "REPLACE INTO meta VALUES (CAST(?1 AS TEXT), ?2)",
    [PERIODS] = "SELECT slot FROM period WHERE number > 0 ORDER BY number DESC",
    [NEWEST] = "SELECT slot, began, entries FROM period WHERE number > 0 ORDER BY number DESC",
    [TURN] = "UPDATE period SET number = (SELECT max(number) + 1 FROM period), began = ?1,"
             " until = 0, first = 0xffffffff, entries = 0"
             " WHERE slot = (SELECT slot FROM period WHERE number = 0 LIMIT 1)",
    [GROW] = "UPDATE period SET entries = entries + ?1, until = max(until, ?2),"
             " first = min(first, ?3) WHERE slot = %d",
    [EXPIRED] = "SELECT slot FROM period WHERE number > 0 AND until <= ?1",
    [EMPTY] = "UPDATE period SET number = 0, entries = 0 WHERE slot = %d",
    [LESSEN] = "UPDATE period SET entries = entries - ?1, first = max(first, ?2) WHERE slot = %d",
    [OLDEST] = "SELECT slot, first FROM period WHERE number > 0 ORDER BY number",
    [TOTAL] = "SELECT sum(entries), min(first) FROM period WHERE entries > 0",
    [PAGES] = "PRAGMA page_count",
    [UNUSED] = "PRAGMA freelist_count",
    [GET] = "SELECT sent, used FROM sent%d WHERE key = ?1",
    [ADD] = "INSERT OR IGNORE INTO sent%d VALUES (?1, ?2, ?3)",
    [RAISE] = "UPDATE sent%d SET sent = max(sent, ?2), used = max(used, ?3) WHERE key = ?1",
    [CLEAR] = "DELETE FROM sent%d",
    [DELETE_EXPIRED] = "DELETE FROM sent%d WHERE substr(max(sent, used), 1, 4) <= ?1",
    [DELETE_SOME] = "DELETE FROM sent%d WHERE key IN (SELECT key FROM sent%d LIMIT ?1)",
};

struct journal_db {
    char *folder;
    enum journal_db_mode mode;
    uint64_t max_size;
    unsigned retain_days;
    _Atomic int64_t birth;

    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct database *readers[READERS]; /* NULL: in use, or closed */
    unsigned reading;                  /* how many are in use */
    bool open;                         /* false: nobody gets one */

    struct database *writer; /* NULL: closed */
    struct database *checker;
    bool unclean_noted;
    bool aside;         /* the damaged one is gone, but no new one could be made yet */
    unsigned unchecked; /* tables */
};

/* ----------------------------------------------------------------- files */

static char *path_in(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *journal_db_path(const char *folder)
{
    return path_in(folder, "journal.db");
}

/* By lstat. False: there is none. */
static bool stat_in(const char *folder, const char *name, struct stat *out)
{
    char *path = path_in(folder, name);
    bool there = path != NULL && lstat(path, out) == 0;
    free(path);
    return there;
}

bool journal_db_aside(const char *folder)
{
    struct stat info;
    return stat_in(folder, "journal.damaged", &info);
}

static uint64_t size_of(const char *folder, const char *name)
{
    struct stat info;
    return stat_in(folder, name, &info) ? (uint64_t)info.st_size : 0;
}

/* Whether the file may be used; made where it is missing, if that is asked for. SQLite gives its
 * other files the owner and mode of this one. */
static enum status check_file(const char *path, bool make, struct reason *why)
{
    struct stat info;
    int error = lstat(path, &info) != 0 ? errno : 0;
    if (error == ENOENT && make) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        error = fd < 0 || fstat(fd, &info) != 0 ? errno : 0;
        if (fd >= 0) {
            close(fd);
        }
    }
    if (error != 0) {
        return reason_set(why, !make && error == ENOENT ? STATUS_NOT_FOUND : STATUS_IO,
                          "%.400s: %s", path, strerror(error));
    }
    if (!S_ISREG(info.st_mode)) {
        return reason_set(why, STATUS_REFUSED, "%.400s: not a regular file", path);
    }
    if (info.st_uid != geteuid()) {
        return reason_set(why, STATUS_REFUSED, "%.400s: owner is user %lu, expected user %lu", path,
                          (unsigned long)info.st_uid, (unsigned long)geteuid());
    }
    if ((info.st_mode & 07077) != 0 && chmod(path, 0600) != 0) {
        return reason_set(why, STATUS_REFUSED, "%.400s: mode %04o, expected 0600", path,
                          (unsigned)(info.st_mode & 07777));
    }
    return STATUS_OK;
}

/* The log first: without its database nobody uses it, but a new database would. */
static bool move_aside(const char *folder)
{
    static const char *const names[][2] = {{"journal.db-wal", NULL},
                                           {"journal.db-shm", NULL},
                                           {"journal.db-journal", NULL},
                                           {"journal.db", "journal.damaged"}};
    bool done = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && done; i++) {
        char *from = path_in(folder, names[i][0]);
        char *to = names[i][1] != NULL ? path_in(folder, names[i][1]) : NULL;
        done = from != NULL &&
               (to != NULL ? rename(from, to) == 0 : unlink(from) == 0 || errno == ENOENT);
        free(from);
        free(to);
    }
    return done && folder_sync(folder);
}

/* An error with the path, and the reason for one that surprises. */
static enum status explain(const struct journal_db *db, enum status status, struct reason *why)
{
    const struct reason inner = why != NULL ? *why : (struct reason){""};
    bool fixed = status == STATUS_IO && faccessat(AT_FDCWD, db->folder, W_OK, AT_EACCESS) != 0;
    if (status != STATUS_OK && status != STATUS_REFUSED && strchr(inner.text, '/') == NULL) {
        reason_write(why, "%.200s/journal.db: %.200s%s", db->folder, inner.text,
                     fixed ? "; the folder is read-only, and SQLite has to make files in it" : "");
    }
    return status;
}

/* --------------------------------------------------------------- opening */

static int64_t get_meta(struct database *database, const char *name)
{
    return database_query(database, META, 0, "b", name, strlen(name)) ? database_number(database, 0)
                                                                      : 0;
}

static void set_meta(struct database *database, const char *name, int64_t value)
{
    database_query(database, SET_META, 0, "bi", name, strlen(name), value);
}

static void make_tables(struct database *database)
{
    char text[128];
    database_run(database,
                 "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
                 "CREATE TABLE period (slot INTEGER PRIMARY KEY, number INTEGER, began INTEGER,"
                 " until INTEGER, first INTEGER, entries INTEGER)");
    for (int i = 0; i < JOURNAL_PERIODS; i++) {
        snprintf(text, sizeof text,
                 "CREATE TABLE sent%d (key BLOB PRIMARY KEY, sent BLOB, used BLOB) WITHOUT ROWID;"
                 "INSERT INTO period VALUES (%d, 0, 0, 0, 0, 0)",
                 i, i);
        database_run(database, text);
    }
    snprintf(text, sizeof text, "PRAGMA application_id = %d", APPLICATION);
    database_run(database, text);
    set_meta(database, "clean", 1);
    set_meta(database, "birth", (int64_t)time(NULL));
}

/* Of the write-ahead log: the size at which it is copied into the file. */
static uint64_t log_unit(const struct journal_db *db)
{
    return db->max_size / 64 < LOG_UNIT_MAX ? db->max_size / 64 : LOG_UNIT_MAX;
}

/* Reads what it is, and makes what is missing in an empty one. */
static enum status read_identity(struct journal_db *db, struct database *database, bool *clean,
                                 struct reason *why)
{
    bool make = db->mode == JOURNAL_DB_SERVE;
    database_begin(database, make ? DATABASE_WRITE : DATABASE_READ);
    database_query(database, IDENTITY, 0, "");
    int64_t application = database_number(database, 0);
    database_query(database, PAGES, 0, "");
    bool empty = application == 0 && database_number(database, 0) <= 1;
    if (empty && make) {
        make_tables(database);
    } else if (empty) {
        database_fail(database, STATUS_NOT_FOUND, "there is no journal yet");
    } else if (application != APPLICATION) {
        database_fail(database, STATUS_INVALID, "not a journal of this format");
    }
    db->birth = get_meta(database, "birth");
    *clean = get_meta(database, "clean") == 1;
    if (db->birth <= 0) {
        database_fail(database, STATUS_INVALID, "without a time of birth");
    }
    return database_end(database, why);
}

static enum status connect(const struct journal_db *db, unsigned cache_kib, unsigned busy_ms,
                           struct database **out, struct reason *why)
{
    const struct database_use use = {.cache_kib = cache_kib,
                                     .busy_ms = busy_ms,
                                     .log_kept = (int64_t)(4 * log_unit(db)),
                                     .passing = db->mode != JOURNAL_DB_SERVE,
                                     .queries = queries,
                                     .query_count = QUERIES,
                                     .slots = JOURNAL_PERIODS};
    char *path = journal_db_path(db->folder);
    enum status status = path != NULL ? database_open(path, &use, out, why)
                                      : reason_set(why, STATUS_NO_MEMORY, "out of memory");
    free(path);
    return status;
}

/* Where the disk is full, the first transaction that is written does it. */
static void note_unclean(struct journal_db *db)
{
    database_begin(db->writer, DATABASE_WRITE);
    set_meta(db->writer, "clean", 0);
    db->unclean_noted = database_end(db->writer, NULL) == STATUS_OK;
}

static enum status open_writer(struct journal_db *db, struct reason *why)
{
    bool clean = false;
    bool serve = db->mode == JOURNAL_DB_SERVE;
    char mode[3] = "";
    enum status status = connect(db, WRITE_CACHE_KIB, WRITE_WAIT_MS, &db->writer, why);
    if (status == STATUS_OK) {
        bool told = serve && database_query(db->writer, USE_LOG, 0, "") &&
                    database_octets(db->writer, 0, mode, sizeof mode);
        status = read_identity(db, db->writer, &clean, why);
        if (status == STATUS_OK && serve && (!told || memcmp(mode, "wal", sizeof mode) != 0)) {
            status = reason_set(why, STATUS_IO, "SQLite cannot keep a write-ahead log here");
        }
    }
    if (status == STATUS_OK && serve) {
        db->unchecked = clean ? 0 : JOURNAL_PERIODS + OTHER_TABLES;
        note_unclean(db);
        if (!clean) {
            log_line(LOG_NOTICE, "%s/journal.db was not closed: batvd looks for damage in it",
                     db->folder);
        }
    }
    return status;
}

static enum status open_readers(struct journal_db *db, struct reason *why)
{
    bool serve = db->mode == JOURNAL_DB_SERVE;
    bool clean;
    enum status status = STATUS_OK;
    for (int i = 0; i < (serve ? READERS : 1) && status == STATUS_OK; i++) {
        status =
            connect(db, READ_CACHE_KIB, serve ? READ_WAIT_MS : WRITE_WAIT_MS, &db->readers[i], why);
    }
    return status == STATUS_OK && !serve ? read_identity(db, db->readers[0], &clean, why) : status;
}

/* Waits for those who read. */
static void close_all(struct journal_db *db)
{
    pthread_mutex_lock(&db->lock);
    db->open = false;
    while (db->reading > 0) {
        pthread_cond_wait(&db->freed, &db->lock);
    }
    for (int i = 0; i < READERS; i++) {
        database_close(db->readers[i]);
        db->readers[i] = NULL;
    }
    pthread_mutex_unlock(&db->lock);
    database_close(db->checker);
    database_close(db->writer);
    db->checker = db->writer = NULL;
}

static enum status open_all(struct journal_db *db, struct reason *why)
{
    char *path = journal_db_path(db->folder);
    enum status status = path != NULL ? check_file(path, db->mode == JOURNAL_DB_SERVE, why)
                                      : reason_set(why, STATUS_NO_MEMORY, "out of memory");
    free(path);
    if (status == STATUS_OK && db->mode != JOURNAL_DB_READ) {
        status = open_writer(db, why);
    }
    if (status == STATUS_OK && db->mode != JOURNAL_DB_EXPIRE) {
        status = open_readers(db, why);
    }
    if (status != STATUS_OK) {
        close_all(db);
        return explain(db, status, why);
    }
    pthread_mutex_lock(&db->lock);
    db->open = true;
    pthread_mutex_unlock(&db->lock);
    return STATUS_OK;
}

enum status journal_db_replace(struct journal_db *db, const struct reason *fault,
                               struct reason *why)
{
    close_all(db);
    if (!db->aside && !move_aside(db->folder)) {
        return reason_set(why, STATUS_IO, "%.200s/journal.db is damaged and cannot be renamed: %s",
                          db->folder, strerror(errno));
    }
    if (!db->aside) {
        log_line(LOG_ERR,
                 "%s: the journal was damaged; it is now %s/journal.damaged, and a new journal is "
                 "begun: bounces and answers to mail sent before now can be proven by tag and "
                 "header only",
                 fault->text, db->folder);
    }
    enum status status = open_all(db, why);
    db->aside = status != STATUS_OK && status != STATUS_INVALID;
    return status;
}

enum status journal_db_open(const char *folder, enum journal_db_mode mode, uint64_t max_size,
                            unsigned retain_days, struct journal_db **out, struct reason *why)
{
    pthread_condattr_t attributes;
    struct reason fault = {""};
    struct journal_db *db = calloc(1, sizeof *db);
    *out = NULL;
    if (db == NULL || (db->folder = strdup(folder)) == NULL) {
        free(db);
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    db->mode = mode;
    db->max_size = max_size;
    db->retain_days = retain_days;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->freed, &attributes);
    pthread_condattr_destroy(&attributes);
    enum status status = open_all(db, &fault);
    if (status == STATUS_INVALID && mode == JOURNAL_DB_SERVE) {
        const struct reason found = fault;
        status = journal_db_replace(db, &found, &fault);
    }
    *out = db;
    if (status != STATUS_OK) {
        journal_db_close(db);
        *out = NULL;
    }
    return reason_set(why, status, "%s", fault.text);
}

void journal_db_close(struct journal_db *db)
{
    if (db == NULL) {
        return;
    }
    if (db->writer != NULL && db->open && db->mode == JOURNAL_DB_SERVE && db->unchecked == 0) {
        database_begin(db->writer, DATABASE_WRITE);
        set_meta(db->writer, "clean", 1);
        (void)database_end(db->writer, NULL);
    }
    close_all(db);
    pthread_mutex_destroy(&db->lock);
    pthread_cond_destroy(&db->freed);
    free(db->folder);
    free(db);
}

time_t journal_db_birth(const struct journal_db *db)
{
    return (time_t)db->birth;
}

/* --------------------------------------------------------------- reading */

/* Where a connection is free; where none is, READERS. */
static int find_reader(const struct journal_db *db)
{
    int i = 0;
    while (i < READERS && db->readers[i] == NULL) {
        i++;
    }
    return db->open ? i : READERS;
}

/* Begins a transaction to read. NULL: no connection was free in time. */
static struct database *take_reader(struct journal_db *db, struct reason *why)
{
    struct timespec limit;
    struct database *reader = NULL;
    int error = 0;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_nsec += READ_WAIT_MS * 1000000L;
    limit.tv_sec += limit.tv_nsec / 1000000000L;
    limit.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&db->lock);
    while (find_reader(db) == READERS && error == 0) {
        error = pthread_cond_timedwait(&db->freed, &db->lock, &limit);
    }
    int i = find_reader(db);
    if (i < READERS) {
        reader = db->readers[i];
        db->readers[i] = NULL;
        db->reading++;
    }
    pthread_mutex_unlock(&db->lock);
    if (reader == NULL) {
        reason_write(why, "too many look-ups at a time");
        return NULL;
    }
    database_begin(reader, DATABASE_READ);
    return reader;
}

static enum status give_back(struct journal_db *db, struct database *reader, struct reason *why)
{
    enum status status = database_end(reader, why);
    int i = 0;
    pthread_mutex_lock(&db->lock);
    while (db->readers[i] != NULL) {
        i++;
    }
    db->readers[i] = reader;
    db->reading--;
    pthread_cond_broadcast(&db->freed);
    pthread_mutex_unlock(&db->lock);
    return explain(db, status, why);
}

static void look_into(struct database *reader, unsigned slot, struct journal_lookup *lookup)
{
    if (database_query(reader, GET, slot, "b", lookup->key, (size_t)JOURNAL_KEY)) {
        for (int column = 0; column < 2; column++) {
            lookup->count +=
                database_octets(reader, column, lookup->values[lookup->count], JOURNAL_VALUE);
        }
    }
}

enum status journal_db_get(struct journal_db *db, struct journal_lookup lookups[], size_t count,
                           bool all, struct reason *why)
{
    unsigned slots[JOURNAL_PERIODS];
    size_t slot_count = 0;
    struct database *reader = take_reader(db, why);
    if (reader == NULL) {
        return explain(db, STATUS_IO, why);
    }
    bool more = database_query(reader, PERIODS, 0, "");
    for (; more && slot_count < JOURNAL_PERIODS; more = database_next(reader)) {
        slots[slot_count++] = (unsigned)database_number(reader, 0) % JOURNAL_PERIODS;
    }
    for (size_t i = 0; i < count; i++) {
        lookups[i].count = 0;
        for (size_t j = 0; j < slot_count && (all || lookups[i].count == 0); j++) {
            look_into(reader, slots[j], &lookups[i]);
        }
    }
    return give_back(db, reader, why);
}

static uint64_t octets_used(struct database *database)
{
    database_query(database, PAGES, 0, "");
    int64_t pages = database_number(database, 0);
    database_query(database, UNUSED, 0, "");
    return (uint64_t)(pages - database_number(database, 0)) * PAGE;
}

enum status journal_db_stat(struct journal_db *db, struct journal_stat *out, struct reason *why)
{
    struct database *reader = take_reader(db, why);
    if (reader == NULL) {
        return explain(db, STATUS_IO, why);
    }
    if (database_query(reader, TOTAL, 0, "")) {
        out->entries = (uint64_t)database_number(reader, 0);
        out->oldest_expires = out->entries > 0 ? database_number(reader, 1) : -1;
    }
    out->used = octets_used(reader);
    out->forced = (uint64_t)get_meta(reader, "forced");
    out->forced_at = (time_t)get_meta(reader, "forced_at");
    out->birth = journal_db_birth(db);
    out->max_size = db->max_size;
    out->size = size_of(db->folder, "journal.db") + size_of(db->folder, "journal.db-wal");
    enum status status = give_back(db, reader, why);
    out->written = status == STATUS_OK;
    return status;
}

/* --------------------------------------------------------------- writing */

static void begin_write(struct journal_db *db)
{
    if (!db->unclean_noted && db->mode == JOURNAL_DB_SERVE) {
        note_unclean(db);
    }
    database_begin(db->writer, DATABASE_WRITE);
}

static enum status end_write(struct journal_db *db, struct reason *why)
{
    return explain(db, database_end(db->writer, why), why);
}

static enum status not_open(const struct journal_db *db, struct reason *why)
{
    return reason_set(why, STATUS_IO, "%.300s/journal.db is not open", db->folder);
}

/* The table for what is put today. */
static unsigned turn_period(const struct journal_db *db, int64_t today)
{
    int64_t days = (db->retain_days + JOURNAL_PERIODS - 2) / (JOURNAL_PERIODS - 1);
    int64_t share = (int64_t)(db->max_size / JOURNAL_PERIODS / ENTRY_OCTETS);
    bool there = database_query(db->writer, NEWEST, 0, "");
    int64_t age = today - database_number(db->writer, 1);
    if (!there || age >= days || -age >= days || database_number(db->writer, 2) >= share) {
        database_query(db->writer, TURN, 0, "i", today);
        database_query(db->writer, NEWEST, 0, "");
    }
    return (unsigned)database_number(db->writer, 0) % JOURNAL_PERIODS;
}

/* True: nothing stood under its key in this table. */
static bool put_record(struct database *writer, unsigned slot, const struct journal_record *record)
{
    size_t sent = record->used ? 0 : JOURNAL_VALUE;
    size_t used = record->used ? JOURNAL_VALUE : 0;
    database_query(writer, ADD, slot, "bbb", record->key, (size_t)JOURNAL_KEY, record->value, sent,
                   record->value, used);
    if (database_changed(writer) > 0) {
        return true;
    }
    database_query(writer, RAISE, slot, "bbb", record->key, (size_t)JOURNAL_KEY, record->value,
                   sent, record->value, used);
    return false;
}

enum status journal_db_put(struct journal_db *db, const struct journal_record *const records[],
                           size_t count, int64_t today, struct reason *why)
{
    int64_t added = 0, until = 0, first = UINT32_MAX;
    if (db->writer == NULL) {
        return not_open(db, why);
    }
    if (database_log_size(db->writer) > LOG_UNITS * log_unit(db)) {
        return reason_set(why, STATUS_IO,
                          "%.200s/journal.db: the write-ahead log has %d MB and cannot be emptied, "
                          "since a process does not end reading",
                          db->folder, (int)(database_log_size(db->writer) >> 20));
    }
    begin_write(db);
    unsigned slot = turn_period(db, today);
    for (size_t i = 0; i < count; i++) {
        int64_t day = journal_entry_day(records[i]->value);
        added += put_record(db->writer, slot, records[i]);
        until = day > until ? day : until;
        first = day < first ? day : first;
    }
    database_query(db->writer, GROW, slot, "iii", added, until, first);
    return end_write(db, why);
}

/* -------------------------------------------------------------- removing */

enum status journal_db_drop(struct journal_db *db, int64_t today, bool *more, struct reason *why)
{
    *more = false;
    if (db->writer == NULL) {
        return not_open(db, why);
    }
    database_begin(db->writer, DATABASE_READ);
    bool expired = database_query(db->writer, EXPIRED, 0, "i", today);
    unsigned slot = (unsigned)database_number(db->writer, 0) % JOURNAL_PERIODS;
    enum status status = end_write(db, why);
    if (status != STATUS_OK || !expired) {
        return status;
    }
    begin_write(db);
    database_query(db->writer, CLEAR, slot, "");
    database_query(db->writer, EMPTY, slot, "");
    status = end_write(db, why);
    *more = status == STATUS_OK;
    return status;
}

enum status journal_db_expire(struct journal_db *db, int64_t today, uint64_t *removed,
                              struct reason *why)
{
    const uint8_t day[] = {(uint8_t)(today >> 24), (uint8_t)(today >> 16), (uint8_t)(today >> 8),
                           (uint8_t)today};
    enum status status = STATUS_OK;
    for (unsigned slot = 0; slot < JOURNAL_PERIODS && status == STATUS_OK; slot++) {
        database_begin(db->writer, DATABASE_WRITE);
        database_query(db->writer, DELETE_EXPIRED, slot, "b", day, sizeof day);
        size_t gone = database_changed(db->writer);
        database_query(db->writer, LESSEN, slot, "ii", (int64_t)gone, today + 1);
        status = end_write(db, why);
        *removed += status == STATUS_OK ? gone : 0;
    }
    return status;
}

bool journal_db_is_full(struct journal_db *db)
{
    if (db->writer == NULL) {
        return false;
    }
    database_begin(db->writer, DATABASE_READ);
    uint64_t used = octets_used(db->writer) + size_of(db->folder, "journal.db-wal");
    return database_end(db->writer, NULL) == STATUS_OK && used > db->max_size - db->max_size / 8;
}

enum status journal_db_drain(struct journal_db *db, size_t limit, time_t now, int64_t *first,
                             struct reason *why)
{
    begin_write(db);
    bool there = database_query(db->writer, OLDEST, 0, "");
    unsigned slot = (unsigned)database_number(db->writer, 0) % JOURNAL_PERIODS;
    *first = database_number(db->writer, 1);
    if (there) {
        database_query(db->writer, DELETE_SOME, slot, "i", (int64_t)limit);
        size_t gone = database_changed(db->writer);
        if (gone < limit) {
            database_query(db->writer, EMPTY, slot, "");
        } else {
            database_query(db->writer, LESSEN, slot, "ii", (int64_t)gone, (int64_t)0);
        }
        set_meta(db->writer, "forced", get_meta(db->writer, "forced") + (int64_t)gone);
        set_meta(db->writer, "forced_at", (int64_t)now);
    }
    return end_write(db, why);
}

/* --------------------------------------------------------- log and check */

enum status journal_db_checkpoint(struct journal_db *db, struct reason *why)
{
    uint64_t size = db->writer != NULL ? database_log_size(db->writer) : 0;
    if (db->writer == NULL || size < log_unit(db)) {
        return STATUS_OK;
    }
    return explain(db, database_checkpoint(db->writer, size >= 4 * log_unit(db), why), why);
}

enum status journal_db_check(struct journal_db *db, const atomic_bool *stop, bool *more,
                             struct reason *why)
{
    static const char *const others[OTHER_TABLES] = {"meta", "period"};
    char table[16];
    enum status status = STATUS_OK;
    if (db->unchecked > 0 && db->checker == NULL) {
        status = connect(db, READ_CACHE_KIB, WRITE_WAIT_MS, &db->checker, why);
    }
    if (db->unchecked > JOURNAL_PERIODS) {
        snprintf(table, sizeof table, "%s", others[db->unchecked - JOURNAL_PERIODS - 1]);
    } else {
        snprintf(table, sizeof table, "sent%u", (db->unchecked - 1) % JOURNAL_PERIODS);
    }
    if (db->unchecked > 0 && status == STATUS_OK) {
        status = database_check(db->checker, table, stop, why);
        db->unchecked -= status == STATUS_OK;
    }
    *more = db->unchecked > 0;
    if (!*more) {
        database_close(db->checker);
        db->checker = NULL;
    }
    return explain(db, status, why);
}
