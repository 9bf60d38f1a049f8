/*
 * The only file that names SQLite. The file is not mapped: with a map, a truncated file would be
 * SIGBUS instead of an error. Checkpoints are made when the owner asks. All connections of the
 * process together have a soft limit on memory.
 */
#include "store/database.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

enum { SOFT_HEAP = 16 * 1024 * 1024, PAGE = 4096, RESTART_MS = 100, STEPS_BETWEEN_LOOKS = 10000 };

enum control { BEGIN, BEGIN_WRITE, COMMIT, CONTROLS };
static const char *const controls[CONTROLS] = {"BEGIN", "BEGIN IMMEDIATE", "COMMIT"};

struct database {
    sqlite3 *sqlite;
    struct database_use use;
    enum status status; /* since database_begin */
    struct reason why;
    uint64_t log_pages;
    sqlite3_stmt *controls[CONTROLS]; /* NULL: not yet prepared */
    sqlite3_stmt *current;            /* has not been reset; NULL: none */
    sqlite3_stmt *prepared[];         /* query_count times slots; NULL: not yet */
};

/* -------------------------------------------------------------- failures */

static enum status status_of(int error)
{
    switch (error & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return STATUS_OK;
    case SQLITE_NOMEM:
        return STATUS_NO_MEMORY;
    case SQLITE_INTERRUPT:
        return STATUS_CONFLICT;
    case SQLITE_IOERR:
        return error == SQLITE_IOERR_NOMEM        ? STATUS_NO_MEMORY
               : error == SQLITE_IOERR_SHORT_READ ? STATUS_INVALID /* the log was cut */
                                                  : STATUS_IO;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
        return STATUS_IO;
    default: /* the statements are right, so the file does not fit them */
        return STATUS_INVALID;
    }
}

void database_fail(struct database *database, enum status status, const char *text)
{
    if (database->status == STATUS_OK) {
        database->status = status;
        reason_write(&database->why, "%s", text);
    }
}

/* Takes an error in. False: there is one, now or from before. */
static bool check(struct database *database, int error)
{
    int kind = error & 0xff;
    if (database->status == STATUS_OK && status_of(error) != STATUS_OK) {
        database->status = status_of(error);
        bool asked = kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN;
        int system = asked ? sqlite3_system_errno(database->sqlite) : 0;
        reason_write(&database->why, "%s%s%s", sqlite3_errstr(error), system != 0 ? ": " : "",
                     system != 0 ? strerror(system) : "");
    }
    return database->status == STATUS_OK;
}

static void reset(struct database *database)
{
    if (database->current != NULL) {
        (void)sqlite3_reset(database->current);
        database->current = NULL;
    }
}

static enum status report(const struct database *database, struct reason *why)
{
    return reason_set(why, database->status, "%s", database->why.text);
}

/* --------------------------------------------------------------- opening */

/* For sqlite3_wal_hook: after each commit. */
static int note_log(void *context, sqlite3 *sqlite, const char *name, int pages)
{
    struct database *database = context;
    (void)sqlite;
    (void)name;
    database->log_pages = (uint64_t)pages;
    return SQLITE_OK;
}

/* For sqlite3_exec. */
static int take_number(void *context, int count, char **texts, char **names)
{
    (void)names;
    *(long *)context = count > 0 && texts[0] != NULL ? strtol(texts[0], NULL, 10) : -1;
    return 0;
}

static void set_up(struct database *database)
{
    sqlite3 *sqlite = database->sqlite;
    char sizes[128];
    long mapped = -1;
    sqlite3_snprintf(sizeof sizes, sizes,
                     "PRAGMA cache_size = -%u; PRAGMA journal_size_limit = %lld",
                     database->use.cache_kib, (long long)database->use.log_kept);
    (void)sqlite3_extended_result_codes(sqlite, 1);
    (void)sqlite3_busy_timeout(sqlite, (int)database->use.busy_ms);
    (void)sqlite3_db_config(sqlite, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    (void)sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(sqlite, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)database->use.passing,
                            NULL);
    check(database, sqlite3_exec(sqlite, "PRAGMA mmap_size = 0", take_number, &mapped, NULL));
    if (mapped != 0) {
        database_fail(database, STATUS_REFUSED, "SQLite insists on mapping the file");
    }
    database_run(database, sizes);
    database_run(database, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = NORMAL;"
                           "PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY;"
                           "PRAGMA cell_size_check = ON");
    (void)sqlite3_wal_hook(sqlite, note_log, database);
}

enum status database_open(const char *path, const struct database_use *use, struct database **out,
                          struct reason *why)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    size_t statements = (size_t)use->query_count * use->slots;
    struct database *database =
        calloc(1, sizeof *database + statements * sizeof database->prepared[0]);
    *out = NULL;
    if (database == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    database->use = *use;
    (void)sqlite3_soft_heap_limit64(SOFT_HEAP);
    if (check(database, sqlite3_open_v2(path, &database->sqlite, flags, NULL))) {
        set_up(database);
    }
    enum status status = report(database, why);
    if (status != STATUS_OK) {
        database_close(database);
        return status;
    }
    *out = database;
    return STATUS_OK;
}

void database_close(struct database *database)
{
    if (database == NULL) {
        return;
    }
    for (size_t i = 0; i < (size_t)database->use.query_count * database->use.slots; i++) {
        (void)sqlite3_finalize(database->prepared[i]);
    }
    for (size_t i = 0; i < CONTROLS; i++) {
        (void)sqlite3_finalize(database->controls[i]);
    }
    (void)sqlite3_close(database->sqlite);
    free(database);
}

/* --------------------------------------------------------------- queries */

/* A statement that is kept, prepared from its text where it is NULL. NULL: an error. */
static sqlite3_stmt *prepare(struct database *database, sqlite3_stmt **kept, const char *format,
                             unsigned slot)
{
    if (*kept == NULL) {
        char *text = sqlite3_mprintf(format, (int)slot, (int)slot);
        check(database, text == NULL ? SQLITE_NOMEM
                                     : sqlite3_prepare_v3(database->sqlite, text, -1,
                                                          SQLITE_PREPARE_PERSISTENT, kept, NULL));
        sqlite3_free(text);
    }
    return *kept;
}

bool database_next(struct database *database)
{
    if (database->status != STATUS_OK || database->current == NULL) {
        return false;
    }
    int error = sqlite3_step(database->current);
    if (error != SQLITE_ROW) {
        reset(database);
    }
    return check(database, error) && error == SQLITE_ROW;
}

bool database_query(struct database *database, unsigned query, unsigned slot, const char *types,
                    ...)
{
    reset(database);
    sqlite3_stmt **kept = &database->prepared[query * database->use.slots + slot];
    sqlite3_stmt *statement = NULL;
    if (database->status == STATUS_OK) {
        statement = prepare(database, kept, database->use.queries[query], slot);
    }
    if (statement == NULL) {
        return false;
    }
    va_list values;
    va_start(values, types);
    for (int i = 0; types[i] != '\0'; i++) {
        if (types[i] == 'i') {
            check(database, sqlite3_bind_int64(statement, i + 1, va_arg(values, int64_t)));
        } else {
            const void *octets = va_arg(values, const void *);
            int size = (int)va_arg(values, size_t);
            check(database, sqlite3_bind_blob(statement, i + 1, octets, size, SQLITE_STATIC));
        }
    }
    va_end(values);
    database->current = statement;
    return database_next(database);
}

int64_t database_number(const struct database *database, int column)
{
    return database->current != NULL ? sqlite3_column_int64(database->current, column) : 0;
}

bool database_octets(const struct database *database, int column, void *out, size_t size)
{
    if (database->current == NULL) {
        return false;
    }
    const void *octets = sqlite3_column_blob(database->current, column);
    bool fits = octets != NULL && (size_t)sqlite3_column_bytes(database->current, column) == size;
    if (fits) {
        memcpy(out, octets, size);
    }
    return fits;
}

size_t database_changed(const struct database *database)
{
    return (size_t)sqlite3_changes(database->sqlite);
}

void database_run(struct database *database, const char *text)
{
    reset(database);
    if (database->status == STATUS_OK) {
        check(database, sqlite3_exec(database->sqlite, text, NULL, NULL, NULL));
    }
}

/* ---------------------------------------------------------- transactions */

/* What was not committed. Without memory even that may have to be repeated. */
static void roll_back(struct database *database)
{
    if (sqlite3_get_autocommit(database->sqlite) == 0) {
        check(database, sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL, NULL));
    }
}

static void control(struct database *database, enum control which)
{
    if (database->status == STATUS_OK &&
        prepare(database, &database->controls[which], controls[which], 0) != NULL) {
        check(database, sqlite3_step(database->controls[which]));
        (void)sqlite3_reset(database->controls[which]);
    }
}

void database_begin(struct database *database, enum database_kind kind)
{
    database->status = STATUS_OK;
    database->why.text[0] = '\0';
    reset(database);
    roll_back(database);
    control(database, kind == DATABASE_WRITE ? BEGIN_WRITE : BEGIN);
}

enum status database_end(struct database *database, struct reason *why)
{
    reset(database);
    control(database, COMMIT);
    roll_back(database);
    return report(database, why);
}

/* -------------------------------------------------------- log and checks */

uint64_t database_log_size(const struct database *database)
{
    return database->log_pages * PAGE;
}

enum status database_checkpoint(struct database *database, bool restart, struct reason *why)
{
    int all = -1;
    int done = -1;
    database->status = STATUS_OK;
    (void)sqlite3_busy_timeout(database->sqlite, RESTART_MS);
    int error = sqlite3_wal_checkpoint_v2(
        database->sqlite, "main", restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
        &all, &done);
    (void)sqlite3_busy_timeout(database->sqlite, (int)database->use.busy_ms);
    if (error == SQLITE_OK && all == done) {
        database->log_pages = 0;
    }
    check(database, (error & 0xff) == SQLITE_BUSY ? SQLITE_OK : error);
    return report(database, why);
}

/* For sqlite3_progress_handler. */
static int is_stopped(void *context)
{
    const atomic_bool *const *stop = context;
    return **stop;
}

/* For sqlite3_exec: "ok", or what is wrong. */
static int take_finding(void *context, int count, char **texts, char **names)
{
    (void)names;
    if (count > 0 && texts[0] != NULL && strcmp(texts[0], "ok") != 0) {
        database_fail(context, STATUS_INVALID, texts[0]);
    }
    return 0;
}

enum status database_check(struct database *database, const char *table, const atomic_bool *stop,
                           struct reason *why)
{
    char text[64];
    sqlite3_snprintf(sizeof text, text, "PRAGMA quick_check(%Q)", table);
    database->status = STATUS_OK;
    sqlite3_progress_handler(database->sqlite, STEPS_BETWEEN_LOOKS, is_stopped, &stop);
    check(database, sqlite3_exec(database->sqlite, text, take_finding, database, NULL));
    sqlite3_progress_handler(database->sqlite, 0, NULL, NULL);
    return report(database, why);
}
