/*
 * The journal's file, and the only place where LMDB is named.
 *
 * Every read is a transaction of its own that copies what it finds, so nobody keeps a pointer into
 * the map or holds old pages. Writes are made by one thread of the daemon, and now and then by
 * batvctl; LMDB's lock in the lock file keeps these apart. The file is never mapped for writing, so
 * a stray pointer cannot damage it.
 *
 * The environment is closed and opened again when LMDB refuses to go on with it; a lock for reading
 * and writing keeps the readers out meanwhile, who are few: a look-up comes with a bounce only.
 */
#include "store/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <lmdb.h>

#include "base/log.h"
#include "store/journal_pages.h"

enum {
    FORMAT = 1,
    READERS = 4096,
    SEQUENCE = 8, /* octets of a key in `order` */
    ORDERED = JOURNAL_KEY + 4,
    FREE_TREE = 0,                  /* LMDB's own list of free pages */
    LOCK_SIZE = 64 * READERS + 8192 /* a line a reader, and what stands before */
};

struct journal_file {
    char *path;
    size_t max_size;
    enum journal_file_mode mode;
    time_t birth;

    pthread_rwlock_t lock; /* for env and the trees: to read them; to write: open and close */
    MDB_env *env;          /* NULL: closed */
    MDB_dbi entries, order, meta;
};

/* ---------------------------------------------------------------- octets */

static void put_big_endian(uint8_t *out, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(number >> 8 * (size - 1 - i));
    }
}

static uint64_t get_big_endian(const uint8_t *octets, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | octets[i];
    }
    return number;
}

/* LMDB takes no const, and does not write there. */
static MDB_val val_of(const void *octets, size_t size)
{
    union {
        const void *in;
        void *out;
    } pointer = {octets};
    return (MDB_val){size, pointer.out};
}

/* -------------------------------------------------------------- failures */

static enum status status_of(int error)
{
    switch (error) {
    case 0:
        return STATUS_OK;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case ENOENT:
    case MDB_NOTFOUND:
        return STATUS_NOT_FOUND;
    case MDB_MAP_FULL:
        return STATUS_REFUSED;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL:
    case MDB_BAD_VALSIZE:
        return STATUS_INVALID;
    default:
        return STATUS_IO;
    }
}

static enum status failed(const char *path, int error, struct reason *why)
{
    return reason_set(why, status_of(error), "%.300s: %s", path, mdb_strerror(error));
}

/* LMDB has found what cannot be, and the process ends when this returns. */
static void end_by_assertion(MDB_env *env, const char *message)
{
    const char *path = "journal";
    (void)mdb_env_get_path(env, &path);
    log_line(LOG_ERR,
             "%s is damaged, and batvd has to end: at its next start the file is looked "
             "through and set aside (%s)",
             path, message);
}

/* --------------------------------------------------------------- opening */

/* LMDB would leave holes in its lock file, and whoever comes to write there when the disk is full
 * dies of it: so there are none. */
static int fill_lock(const struct journal_file *file)
{
    char *path;
    if (asprintf(&path, "%s-lock", file->path) < 0) {
        return ENOMEM;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = fd >= 0 ? posix_fallocate(fd, 0, LOCK_SIZE) : errno;
    if (fd >= 0) {
        close(fd);
    }
    free(path);
    return error;
}

static int open_env(struct journal_file *file)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
    flags |= file->mode == JOURNAL_FILE_READ ? MDB_RDONLY : 0;
    int error = file->mode == JOURNAL_FILE_MAKE ? fill_lock(file) : 0;
    if (error != 0 || (error = mdb_env_create(&file->env)) != 0) {
        file->env = NULL;
        return error;
    }
    error = mdb_env_set_maxdbs(file->env, 3);
    if (error == 0) {
        error = mdb_env_set_maxreaders(file->env, READERS);
    }
    if (error == 0 && file->max_size > 0) {
        error = mdb_env_set_mapsize(file->env, file->max_size);
    }
    if (error == 0 && file->mode == JOURNAL_FILE_MAKE) {
        error = mdb_env_set_assert(file->env, end_by_assertion);
    }
    if (error == 0) {
        error = mdb_env_open(file->env, file->path, flags, 0600);
    }
    if (error != 0) {
        mdb_env_close(file->env);
        file->env = NULL;
    }
    return error;
}

/* A number in `meta`; 0: there is none. */
static uint64_t get_meta(MDB_txn *txn, MDB_dbi meta, const char *name)
{
    MDB_val key = val_of(name, strlen(name));
    MDB_val value;
    if (mdb_get(txn, meta, &key, &value) != 0 || value.mv_size != sizeof(uint64_t)) {
        return 0;
    }
    return get_big_endian(value.mv_data, sizeof(uint64_t));
}

static int put_meta(MDB_txn *txn, MDB_dbi meta, const char *name, uint64_t number)
{
    uint8_t octets[sizeof number];
    put_big_endian(octets, sizeof octets, number);
    MDB_val key = val_of(name, strlen(name));
    MDB_val value = val_of(octets, sizeof octets);
    return mdb_put(txn, meta, &key, &value, 0);
}

/* MDB_NOTFOUND: the file is as new. */
static int open_trees(struct journal_file *file, MDB_txn *txn, unsigned flags)
{
    int error = mdb_dbi_open(txn, "entries", flags, &file->entries);
    if (error == 0) {
        error = mdb_dbi_open(txn, "order", flags, &file->order);
    }
    return error == 0 ? mdb_dbi_open(txn, "meta", flags, &file->meta) : error;
}

static int make_trees(struct journal_file *file)
{
    MDB_txn *txn;
    int error = mdb_txn_begin(file->env, NULL, 0, &txn);
    if (error != 0) {
        return error;
    }
    error = open_trees(file, txn, MDB_CREATE);
    if (error == 0) {
        error = put_meta(txn, file->meta, "format", FORMAT);
    }
    if (error == 0) {
        error = put_meta(txn, file->meta, "birth", (uint64_t)time(NULL));
    }
    if (error != 0) {
        mdb_txn_abort(txn);
        return error;
    }
    return mdb_txn_commit(txn);
}

static int read_trees(struct journal_file *file, struct reason *why)
{
    MDB_txn *txn;
    uint64_t format = 0;
    int error = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn);
    if (error != 0) {
        return error;
    }
    error = open_trees(file, txn, 0);
    if (error == 0) {
        format = get_meta(txn, file->meta, "format");
        file->birth = (time_t)get_meta(txn, file->meta, "birth");
        /* The handles of the trees are the environment's only after a commit. */
        error = mdb_txn_commit(txn);
    } else {
        mdb_txn_abort(txn);
    }
    if (error == 0 && (format != FORMAT || file->birth <= 0)) {
        reason_write(why, "%.300s: no journal of format %d", file->path, FORMAT);
        return MDB_INVALID;
    }
    return error;
}

/* There are trees, though not ours: nothing that we have begun to make. */
static bool has_others(struct journal_file *file)
{
    MDB_stat stat;
    return mdb_env_stat(file->env, &stat) != 0 || stat.ms_entries > 0;
}

/* Adds the pages of a tree. */
static int stat_tree(MDB_txn *txn, MDB_dbi tree, uint64_t *pages, MDB_stat *out)
{
    int error = mdb_stat(txn, tree, out);
    if (error == 0) {
        *pages += out->ms_branch_pages + out->ms_leaf_pages + out->ms_overflow_pages;
    }
    return error;
}

static int stat_trees(struct journal_file *file, MDB_txn *txn, struct journal_file_stat *out)
{
    const MDB_dbi others[] = {FREE_TREE, file->order, file->meta};
    MDB_stat stat;
    uint64_t pages = 3; /* two that it begins with, and that of the trees' names */
    int error = 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0] && error == 0; i++) {
        error = stat_tree(txn, others[i], &pages, &stat);
    }
    if (error == 0) {
        error = stat_tree(txn, file->entries, &pages, &stat);
    }
    if (error == 0) {
        out->entries = stat.ms_entries;
        out->used = pages * stat.ms_psize;
    }
    return error;
}

/* A file may be fuller than max_size allows, which was larger once. To take something out of it,
 * pages are needed as well: they come on top. */
static int ensure_room(struct journal_file *file)
{
    MDB_txn *txn;
    MDB_envinfo info;
    struct journal_file_stat stat;
    int error = mdb_txn_begin(file->env, NULL, MDB_RDONLY, &txn);
    if (error != 0) {
        return error;
    }
    error = stat_trees(file, txn, &stat);
    mdb_txn_abort(txn);
    if (error == 0) {
        error = mdb_env_info(file->env, &info);
    }
    if (error == 0 && info.me_mapsize < stat.used + file->max_size / 16) {
        error = mdb_env_set_mapsize(file->env, info.me_mapsize + file->max_size / 8);
    }
    return error;
}

/* The trees of an environment that is open, made where that is asked for. */
static int open_content(struct journal_file *file, struct reason *why)
{
    int error = read_trees(file, why);
    if (error == MDB_NOTFOUND && has_others(file)) {
        error = MDB_CORRUPTED;
    } else if (error == MDB_NOTFOUND && file->mode == JOURNAL_FILE_MAKE) {
        error = make_trees(file);
        error = error == 0 ? read_trees(file, why) : error;
    }
    return error == 0 && file->max_size > 0 ? ensure_room(file) : error;
}

/* Under the lock for writing, or before anybody else has the file. */
static enum status open_all(struct journal_file *file, struct reason *why)
{
    why->text[0] = '\0';
    int error = open_env(file);
    if (error == 0) {
        error = open_content(file, why);
    }
    if (error == 0) {
        return STATUS_OK;
    }
    mdb_env_close(file->env);
    file->env = NULL;
    return why->text[0] != '\0' ? status_of(error) : failed(file->path, error, why);
}

/* NULL: no memory. Nothing is opened yet. */
static struct journal_file *file_new(const char *path, size_t max_size, enum journal_file_mode mode)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct journal_file *file = calloc(1, sizeof *file);
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return NULL;
    }
    file->max_size = (max_size + page - 1) / page * page;
    file->mode = mode;
    pthread_rwlock_init(&file->lock, NULL);
    return file;
}

enum status journal_file_open(const char *path, size_t max_size, enum journal_file_mode mode,
                              struct journal_file **out, struct reason *why)
{
    *out = NULL;
    struct reason unused;
    struct stat info;
    if (mode != JOURNAL_FILE_MAKE && stat(path, &info) != 0) {
        return failed(path, errno, why); /* LMDB would make a lock file all the same */
    }
    if (mode != JOURNAL_FILE_MAKE && info.st_size == 0) {
        return failed(path, ENOENT, why);
    }
    struct journal_file *file = file_new(path, max_size, mode);
    if (file == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    enum status status = open_all(file, why != NULL ? why : &unused);
    if (status != STATUS_OK) {
        journal_file_close(file);
        return status;
    }
    journal_file_tidy(file);
    *out = file;
    return STATUS_OK;
}

void journal_file_close(struct journal_file *file)
{
    if (file == NULL) {
        return;
    }
    mdb_env_close(file->env);
    pthread_rwlock_destroy(&file->lock);
    free(file->path);
    free(file);
}

time_t journal_file_birth(const struct journal_file *file)
{
    return file->birth;
}

/* ---------------------------------------------------------- transactions */

/* Both take the lock, and end_read or end_write let it go. MDB_PANIC: it is closed. */
static int begin(struct journal_file *file, unsigned flags, MDB_txn **txn)
{
    *txn = NULL;
    pthread_rwlock_rdlock(&file->lock);
    return file->env != NULL ? mdb_txn_begin(file->env, NULL, flags, txn) : MDB_PANIC;
}

static void end_read(struct journal_file *file, MDB_txn *txn)
{
    if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&file->lock);
}

/* LMDB goes on with nothing after it could not write what all begins with, or where another process
 * has made the file larger than what is mapped, until it is opened anew. */
static void reopen(struct journal_file *file)
{
    struct reason unused;
    pthread_rwlock_wrlock(&file->lock);
    mdb_env_close(file->env);
    file->env = NULL;
    (void)open_all(file, &unused);
    pthread_rwlock_unlock(&file->lock);
}

static int begin_write(struct journal_file *file, MDB_txn **txn)
{
    int error = begin(file, 0, txn);
    if (error == MDB_PANIC || error == MDB_MAP_RESIZED) {
        pthread_rwlock_unlock(&file->lock);
        reopen(file);
        error = begin(file, 0, txn);
    }
    return error;
}

/* Commits where there was no error so far. */
static enum status end_write(struct journal_file *file, MDB_txn *txn, int error, struct reason *why)
{
    if (error == 0) {
        error = mdb_txn_commit(txn);
    } else if (txn != NULL) {
        mdb_txn_abort(txn);
    }
    pthread_rwlock_unlock(&file->lock);
    return error == 0 ? STATUS_OK : failed(file->path, error, why);
}

/* --------------------------------------------------------------- reading */

enum status journal_file_get(struct journal_file *file, struct journal_lookup lookups[],
                             size_t count)
{
    MDB_txn *txn;
    int error = begin(file, MDB_RDONLY, &txn);
    for (size_t i = 0; i < count && error == 0; i++) {
        struct journal_lookup *lookup = &lookups[i];
        MDB_val key = val_of(lookup->key, JOURNAL_KEY);
        MDB_val value;
        error = mdb_get(txn, file->entries, &key, &value);
        lookup->found = error == 0 && value.mv_size == JOURNAL_VALUE;
        if (lookup->found) {
            memcpy(lookup->value, value.mv_data, JOURNAL_VALUE);
        }
        error = error == MDB_NOTFOUND ? 0 : error;
    }
    end_read(file, txn);
    return error == 0 ? STATUS_OK : STATUS_IO;
}

static int stat_oldest(struct journal_file *file, MDB_txn *txn, int64_t *oldest)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    *oldest = -1;
    int error = mdb_cursor_open(txn, file->order, &cursor);
    if (error != 0) {
        return error;
    }
    error = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    if (error == 0 && value.mv_size == ORDERED) {
        *oldest = (int64_t)get_big_endian((const uint8_t *)value.mv_data + JOURNAL_KEY, 4);
    }
    mdb_cursor_close(cursor);
    return error == MDB_NOTFOUND ? 0 : error;
}

enum status journal_file_stat(struct journal_file *file, struct journal_file_stat *out)
{
    MDB_txn *txn;
    MDB_envinfo info;
    struct stat on_disk;
    mdb_filehandle_t fd;
    *out = (struct journal_file_stat){.oldest = -1};
    int error = begin(file, MDB_RDONLY, &txn);
    if (error == 0) {
        error = stat_trees(file, txn, out);
    }
    if (error == 0) {
        error = stat_oldest(file, txn, &out->oldest);
        out->forced = get_meta(txn, file->meta, "forced");
        out->forced_at = (time_t)get_meta(txn, file->meta, "forced at");
    }
    if (error == 0 && (error = mdb_env_info(file->env, &info)) == 0) {
        out->max_size = file->max_size > 0 ? file->max_size : info.me_mapsize;
    }
    if (error == 0 && (error = mdb_env_get_fd(file->env, &fd)) == 0 && fstat(fd, &on_disk) == 0) {
        out->size = (uint64_t)on_disk.st_size;
    }
    end_read(file, txn);
    return error == 0 ? STATUS_OK : STATUS_IO;
}

void journal_file_tidy(struct journal_file *file)
{
    pthread_rwlock_rdlock(&file->lock);
    if (file->env != NULL) {
        int dead;
        (void)mdb_reader_check(file->env, &dead);
    }
    pthread_rwlock_unlock(&file->lock);
}

/* --------------------------------------------------------------- writing */

struct writer {
    struct journal_file *file;
    MDB_txn *txn;
    MDB_cursor *order;
    uint64_t next; /* number in `order` */
    /* Of a removal: entries that are gone, and those among them that had not expired. */
    size_t removed, forced;
};

/* Finds the number that comes next. */
static int begin_order(struct writer *writer)
{
    MDB_val key, value;
    int error = mdb_cursor_open(writer->txn, writer->file->order, &writer->order);
    if (error != 0) {
        writer->order = NULL;
        return error;
    }
    error = mdb_cursor_get(writer->order, &key, &value, MDB_LAST);
    if (error == 0 && key.mv_size != SEQUENCE) {
        return MDB_CORRUPTED;
    }
    writer->next = error == 0 ? get_big_endian(key.mv_data, SEQUENCE) + 1 : 1;
    return error == MDB_NOTFOUND ? 0 : error;
}

static int append_order(struct writer *writer, const uint8_t *entry_key, int64_t day)
{
    uint8_t number[SEQUENCE];
    uint8_t octets[ORDERED];
    put_big_endian(number, SEQUENCE, writer->next++);
    memcpy(octets, entry_key, JOURNAL_KEY);
    put_big_endian(octets + JOURNAL_KEY, ORDERED - JOURNAL_KEY, (uint64_t)day);
    MDB_val key = val_of(number, sizeof number);
    MDB_val value = val_of(octets, sizeof octets);
    return mdb_cursor_put(writer->order, &key, &value, MDB_APPEND);
}

/* An entry that comes to expire later gets a second place in the order: the first then passes it
 * by (remove_entry). */
static int put_record(struct writer *writer, const struct journal_record *record,
                      journal_merge_fn *merge, void *context)
{
    struct journal_file *file = writer->file;
    uint8_t octets[JOURNAL_VALUE];
    const uint8_t *value = record->value;
    int64_t former = -1;
    MDB_val key = val_of(record->key, JOURNAL_KEY);
    MDB_val stored;
    int error = mdb_get(writer->txn, file->entries, &key, &stored);
    if (error != 0 && error != MDB_NOTFOUND) {
        return error;
    }
    if (error == 0 && stored.mv_size == JOURNAL_VALUE) {
        if (!merge(context, record, stored.mv_data, octets)) {
            return 0;
        }
        former = journal_entry_day(stored.mv_data);
        value = octets;
    }
    MDB_val fresh = val_of(value, JOURNAL_VALUE);
    error = mdb_put(writer->txn, file->entries, &key, &fresh, 0);
    int64_t day = journal_entry_day(value);
    return error == 0 && day > former ? append_order(writer, record->key, day) : error;
}

enum status journal_file_put(struct journal_file *file,
                             const struct journal_record *const records[], size_t count,
                             journal_merge_fn *merge, void *context, struct reason *why)
{
    struct writer writer = {.file = file};
    int error = begin_write(file, &writer.txn);
    if (error == 0) {
        error = begin_order(&writer);
    }
    for (size_t i = 0; i < count && error == 0; i++) {
        error = put_record(&writer, records[i], merge, context);
    }
    if (writer.order != NULL) {
        mdb_cursor_close(writer.order);
    }
    return end_write(file, writer.txn, error, why);
}

/* --------------------------------------------------------------- removal */

static int64_t ordered_day(const MDB_val *ordered)
{
    return (int64_t)get_big_endian((const uint8_t *)ordered->mv_data + JOURNAL_KEY,
                                   ORDERED - JOURNAL_KEY);
}

/* Takes the entry out unless it has come to expire later than this place in the order says. */
static int remove_entry(struct writer *writer, const MDB_val *ordered, int64_t today)
{
    int64_t day = ordered_day(ordered);
    MDB_val key = val_of(ordered->mv_data, JOURNAL_KEY);
    MDB_val value;
    int error = mdb_get(writer->txn, writer->file->entries, &key, &value);
    if (error != 0) {
        return error == MDB_NOTFOUND ? 0 : error;
    }
    if (value.mv_size == JOURNAL_VALUE && journal_entry_day(value.mv_data) > day) {
        return 0;
    }
    writer->removed++;
    writer->forced += day > today;
    return mdb_del(writer->txn, writer->file->entries, &key, NULL);
}

/* One place in the order, and what it stands for. */
static int remove_one(struct writer *writer, const MDB_val *ordered, int64_t today)
{
    int error = ordered->mv_size == ORDERED ? remove_entry(writer, ordered, today) : 0;
    return error == 0 ? mdb_cursor_del(writer->order, 0) : error;
}

static int remove_range(struct writer *writer, struct journal_removal *removal)
{
    uint8_t from[SEQUENCE];
    put_big_endian(from, SEQUENCE, removal->from);
    MDB_val key = val_of(from, SEQUENCE);
    MDB_val value;
    int error = mdb_cursor_get(writer->order, &key, &value, MDB_SET_RANGE);
    for (size_t looked = 0; error == 0 && looked < removal->limit; looked++) {
        bool due = looked < removal->forced || value.mv_size != ORDERED ||
                   ordered_day(&value) <= removal->today;
        if (!due && !removal->everywhere) {
            removal->done = true;
            return 0;
        }
        removal->from = key.mv_size == SEQUENCE ? get_big_endian(key.mv_data, SEQUENCE) + 1 : 0;
        error = due ? remove_one(writer, &value, removal->today) : 0;
        if (error == 0) { /* after a removal this is the one that has come into its place */
            error = mdb_cursor_get(writer->order, &key, &value, MDB_NEXT);
        }
    }
    removal->done = error == MDB_NOTFOUND;
    return removal->done ? 0 : error;
}

/* For `batvctl journal stat`: what went before its time. */
static int note_forced(struct writer *writer)
{
    if (writer->forced == 0) {
        return 0;
    }
    MDB_dbi meta = writer->file->meta;
    int error = put_meta(writer->txn, meta, "forced",
                         get_meta(writer->txn, meta, "forced") + writer->forced);
    return error == 0 ? put_meta(writer->txn, meta, "forced at", (uint64_t)time(NULL)) : error;
}

enum status journal_file_remove(struct journal_file *file, struct journal_removal *removal,
                                struct reason *why)
{
    struct writer writer = {.file = file};
    struct journal_removal before = *removal;
    removal->done = false;
    int error = begin_write(file, &writer.txn);
    if (error == 0) {
        error = begin_order(&writer);
    }
    if (error == 0) {
        error = remove_range(&writer, removal);
    }
    if (error == 0) {
        error = note_forced(&writer);
    }
    if (writer.order != NULL) {
        mdb_cursor_close(writer.order);
    }
    enum status status = end_write(file, writer.txn, error, why);
    if (status == STATUS_OK) {
        removal->removed += writer.removed;
    } else {
        *removal = before;
    }
    return status;
}

/* -------------------------------------------------------------- checking */

/* The first entry of a tree and the last; with `whole` all between them. */
static int walk_tree(MDB_txn *txn, MDB_dbi tree, bool whole)
{
    MDB_cursor *cursor;
    MDB_stat stat;
    MDB_val key, value;
    size_t count = 0;
    int error = mdb_stat(txn, tree, &stat);
    if (error != 0 || (error = mdb_cursor_open(txn, tree, &cursor)) != 0) {
        return error;
    }
    error = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (error == 0 && whole && count++ < stat.ms_entries) {
        error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (error == 0) {
        error = whole ? MDB_CORRUPTED : mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    } else if (error == MDB_NOTFOUND) {
        error = whole && count != stat.ms_entries ? MDB_CORRUPTED : 0;
    }
    mdb_cursor_close(cursor);
    return error;
}

static int walk_trees(struct journal_file *file, MDB_txn *txn, bool whole)
{
    const MDB_dbi trees[] = {FREE_TREE, file->entries, file->order, file->meta};
    int error = 0;
    for (size_t i = 0; i < sizeof trees / sizeof trees[0] && error == 0; i++) {
        error = walk_tree(txn, trees[i], whole);
    }
    return error;
}

/* The pages, before LMDB looks at any. STATUS_NOT_FOUND: the snapshot was gone before it could be
 * looked at, since somebody writes. */
static enum status check_pages(struct journal_file *file, int fd, struct reason *why)
{
    MDB_txn *txn;
    int error = begin(file, MDB_RDONLY, &txn);
    enum status status =
        error == 0 ? journal_pages_check(fd, mdb_txn_id(txn), why) : failed(file->path, error, why);
    end_read(file, txn);
    return status == STATUS_REFUSED ? STATUS_OK : status;
}

static enum status check_content(struct journal_file *file, bool whole, struct reason *why)
{
    MDB_txn *txn;
    why->text[0] = '\0';
    int error = open_content(file, why);
    if (error != 0) {
        return why->text[0] != '\0' ? status_of(error) : failed(file->path, error, why);
    }
    error = begin(file, MDB_RDONLY, &txn);
    if (error == 0) {
        error = walk_trees(file, txn, whole);
        error = error == MDB_NOTFOUND ? MDB_CORRUPTED : error;
    }
    end_read(file, txn);
    return error == 0 ? STATUS_OK : failed(file->path, error, why);
}

/* Where pages are missing they may be free ones, which is as it should be. */
static bool is_short(struct journal_file *file, int fd)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat on_disk;
    return mdb_env_info(file->env, &info) != 0 || mdb_env_stat(file->env, &stat) != 0 ||
           fstat(fd, &on_disk) != 0 ||
           (uint64_t)on_disk.st_size / stat.ms_psize <= info.me_last_pgno;
}

static enum status check_env(struct journal_file *file, int fd, bool whole, struct reason *why)
{
    enum { ATTEMPTS = 5 };
    int error = open_env(file);
    if (error != 0) {
        return failed(file->path, error, why);
    }
    whole = whole || is_short(file, fd);
    enum status status = whole ? STATUS_NOT_FOUND : STATUS_OK;
    for (int i = 0; i < ATTEMPTS && status == STATUS_NOT_FOUND; i++) {
        status = check_pages(file, fd, why);
    }
    if (status == STATUS_OK) {
        return check_content(file, whole, why);
    }
    return status == STATUS_NOT_FOUND ? STATUS_CONFLICT : status;
}

static enum status check_open(const char *path, int fd, bool whole, struct reason *why)
{
    enum status status = journal_pages_check_head(fd, why);
    if (status != STATUS_OK && status != STATUS_REFUSED) {
        return status;
    }
    struct journal_file *file = file_new(path, 0, JOURNAL_FILE_READ);
    if (file == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    status = check_env(file, fd, whole, why);
    journal_file_close(file);
    return status;
}

enum status journal_file_check(const char *path, bool whole, struct reason *why)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    enum status status = STATUS_OK;
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = failed(path, errno, why);
    } else if (!S_ISREG(info.st_mode)) {
        status = reason_set(why, STATUS_IO, "%.300s: no regular file", path);
    } else if (info.st_size == 0) {
        status = reason_set(why, STATUS_NOT_FOUND, "%.300s: empty", path);
    } else {
        status = check_open(path, fd, whole, why);
    }
    if (fd >= 0) {
        close(fd);
    }
    return status;
}
