/*
 * The journal's database against everything that may happen to it: kills, damage of every kind,
 * full disks, folders that cannot be written. The mail goes on, no process is lost to a damaged
 * file, and a whole one is never set aside.
 */
#include "journal_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "store/journal_parts.h"

enum { SIZE = 64 * MIB, STORED = 3000 };

/* xorshift64*: the same numbers on every machine. */
static uint64_t chance_state = 1;

static uint32_t chance(uint32_t below)
{
    chance_state ^= chance_state >> 12;
    chance_state ^= chance_state << 25;
    chance_state ^= chance_state >> 27;
    return (uint32_t)((chance_state * UINT64_C(2685821657736338717)) >> 32) % below;
}

static void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    return memory;
}

static int64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(unsigned ms)
{
    const struct timespec time = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* ----------------------------------------------------------------- kills */

struct progress {
    atomic_uint put;       /* numbers below it have been put */
    atomic_uint committed; /* numbers below it had been when a round that has ended began */
};
static struct progress *progress;

static void *work_always(void *argument)
{
    (void)argument;
    for (;;) {
        unsigned before = progress->put;
        journal_work(journal, noon);
        progress->committed = before;
    }
    return NULL;
}

static void put_until_killed(void)
{
    pthread_t thread;
    open_journal(SIZE);
    progress->put = progress->committed; /* the rest died with the process before */
    pthread_create(&thread, NULL, work_always, NULL);
    for (;;) {
        put(progress->put, EXPIRES);
        progress->put++;
        if (progress->put > progress->committed + 2000) {
            sleep_ms(1);
        }
    }
}

START_TEST(test_fifty_kills_lose_nothing_that_was_committed)
{
    progress = shared_memory(sizeof *progress);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            put_until_killed();
        }
        sleep_ms(10 + chance(30));
        kill(child, SIGKILL);
        ck_assert_int_eq(end_of(child), SIGKILL);
    }
    open_journal(SIZE);
    ck_assert_int_eq(number_in("SELECT value FROM meta WHERE name = 'clean'"), 0);
    journal_work(journal, noon);
    ck_assert(!exists("journal.damaged"));
    ck_assert(!journal_trouble(journal, &why));
    ck_assert_uint_gt(progress->committed, 0);
    for (unsigned i = 0; i < progress->committed; i++) {
        REQUIRE(look(i) == JOURNAL_YES);
    }
}
END_TEST

/* With the real thread: what is older than a second and the time that a commit takes is there. */
START_TEST(test_a_kill_loses_a_second_at_most)
{
    enum { MOST_MS = 1000 + 700 };
    int64_t *when = shared_memory(10000 * sizeof *when);
    progress = shared_memory(sizeof *progress);
    pid_t child = fork();
    if (child == 0) {
        open_journal(SIZE);
        ck_assert_int_eq(journal_start(journal, &why), STATUS_OK);
        for (unsigned i = 0; i < 10000; i++) {
            put(i, EXPIRES);
            when[i] = steady_ms();
            progress->put = i + 1;
            sleep_ms(2);
        }
    }
    sleep_ms(2600);
    kill(child, SIGKILL);
    int64_t killed = steady_ms();
    ck_assert_int_eq(end_of(child), SIGKILL);
    open_journal(SIZE);
    ck_assert_uint_gt(progress->put, 0);
    for (unsigned i = 0; i < progress->put; i++) {
        REQUIRE(look(i) == JOURNAL_YES || killed - when[i] < MOST_MS);
    }
    ck_assert_int_eq(look(0), JOURNAL_YES);
}
END_TEST

/* What was promised of connections, as another one sees it. */
START_TEST(test_settings)
{
    open_journal(SIZE);
    put(1, EXPIRES);
    journal_work(journal, noon);
    ck_assert_int_eq(number_in("SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    ck_assert_int_eq(number_in("PRAGMA auto_vacuum"), 0);
    ck_assert_int_eq(number_in("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sent_'"), 8);
    ck_assert_int_eq(number_in("SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
                               " AND sql IS NOT NULL"),
                     0);
    ck_assert_int_eq(sqlite3_soft_heap_limit64(-1), 16 * MIB);
}
END_TEST

/* ---------------------------------------------------------------- damage */

struct image {
    const char *name;
    uint8_t *octets;
    size_t size;
};
enum { DATABASE, LOG, IMAGES };
static struct image sound[IMAGES] = {{"journal.db", NULL, 0}, {"journal.db-wal", NULL, 0}};

static void image_read(struct image *image)
{
    char path[96];
    image->size = (size_t)size_of(image->name);
    image->octets = malloc(image->size);
    FILE *file = fopen(in_folder(image->name, path), "r");
    ck_assert(image->octets != NULL && file != NULL);
    ck_assert_uint_eq(fread(image->octets, 1, image->size, file), image->size);
    fclose(file);
}

/* In place, as the file may be open. By another process: a close in this one would drop SQLite's
 * locks. */
static void image_write(const struct image *image)
{
    pid_t child = fork();
    if (child == 0) {
        char path[96];
        int fd = open(in_folder(image->name, path), O_WRONLY | O_CREAT, 0600);
        bool good = fd >= 0 && ftruncate(fd, (off_t)image->size) == 0 &&
                    write(fd, image->octets, image->size) == (ssize_t)image->size;
        _exit(good ? 0 : 1);
    }
    ck_assert_int_eq(end_of(child), 0);
}

/* A database with pages of every kind, free ones too, and a log of as much that was not copied. */
static void make_sound(void)
{
    for (int half = 0; half < 2; half++) {
        pid_t child = fork();
        if (child == 0) {
            open_journal(SIZE);
            for (unsigned i = 0; i < STORED / 2; i++) {
                put((unsigned)half * STORED / 2 + i, EXPIRES);
                if (i % 500 == 0) {
                    journal_work(journal, half == 0 && i == 500 ? noon + 6 * DAY_SECONDS : noon);
                }
            }
            journal_work(journal, noon);
            if (half == 0) {
                close_journal();
            }
            _exit(0);
        }
        ck_assert_int_eq(end_of(child), 0);
    }
    image_read(&sound[DATABASE]);
    image_read(&sound[LOG]);
    ck_assert_uint_gt(sound[DATABASE].size, 65536);
    ck_assert_uint_gt(sound[LOG].size, 65536);
}

static void setup_sound(void)
{
    setup_folder();
    make_sound();
}

static void teardown_sound(void)
{
    free(sound[DATABASE].octets);
    free(sound[LOG].octets);
    teardown_folder();
}

/* Without the second half, which is in the log, there are only the first numbers. */
static void write_closed(void)
{
    pid_t child = fork();
    if (child == 0) {
        open_journal(SIZE);
        journal_work(journal, noon);
        close_journal();
        _exit(0);
    }
    ck_assert_int_eq(end_of(child), 0);
    ck_assert(!exists("journal.db-wal"));
}

static bool serve_well(const struct image *damaged)
{
    bool good = journal_open(folder, SIZE, RETAIN, &journal, &why) == STATUS_OK;
    if (damaged != NULL) {
        image_write(damaged);
    }
    for (unsigned i = 0; i < STORED + 300 && good; i++) {
        enum journal_answer answer = look(i);
        good = i < STORED || answer == JOURNAL_NO || answer == JOURNAL_UNAVAILABLE;
    }
    for (unsigned i = 0; i < 2000 && good; i++) {
        put(100000 + i, EXPIRES + 60);
        if (i % 500 == 499) {
            journal_work(journal, noon + (time_t)(i / 500) * 20 * DAY_SECONDS);
            good = look(100000 + i) != JOURNAL_NO;
        }
    }
    put(200000, EXPIRES);
    good = good && look(200000) == JOURNAL_YES;
    close_journal();
    return good;
}

/* What a daemon does with it, and the next one. The file is replaced under its hands by damaged,
 * unless that is NULL. */
static void serve(const struct image *damaged)
{
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        bool good = serve_well(damaged);
        if (good) {
            open_journal(SIZE);
            put(300000, EXPIRES);
            journal_work(journal, noon);
            journal_work(journal, noon);
            good = look(300000) == JOURNAL_YES && stat_of().pending == 0;
            close_journal();
        }
        _exit(good ? 0 : 1);
    }
    int end = end_of(child);
    ck_assert_msg(end == 0, end < 0 ? "a wrong answer" : "signal %d", end);
}

/* Damages a copy in one of many ways. */
static struct image damaged_copy(const struct image *image)
{
    enum { PAGE = 4096 };
    uint8_t *copy = malloc(image->size);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, image->octets, image->size);
    struct image out = {image->name, copy, image->size};
    uint32_t size = (uint32_t)image->size;
    uint32_t pages = size / PAGE;
    uint8_t *page = copy + PAGE * (size_t)chance(pages);
    uint32_t count = 1 + chance(64);
    switch (chance(7)) {
    case 0: /* octets anywhere */
        for (uint32_t i = 0; i < count; i++) {
            copy[chance(size)] = (uint8_t)chance(256);
        }
        break;
    case 1: /* bits in the heads of pages, which everything hangs on */
        for (uint32_t i = 0; i < count; i++) {
            copy[PAGE * (size_t)chance(pages) + chance(32)] ^= (uint8_t)(1 << chance(8));
        }
        break;
    case 2: /* a page of noise */
        for (size_t i = 0; i < PAGE; i++) {
            page[i] = (uint8_t)chance(256);
        }
        break;
    case 3: /* pages that were never written */
        memset(page, 0, PAGE);
        break;
    case 4: /* a page in another's place */
        memcpy(page, image->octets + PAGE * (size_t)chance(pages), PAGE);
        break;
    case 5: /* what all begins with */
        copy[chance(200)] ^= (uint8_t)(1 << chance(8));
        break;
    default:
        out.size = chance(size);
        break;
    }
    return out;
}

/* BATV_DAMAGES in the environment: another number of files. */
static unsigned damages(unsigned otherwise)
{
    const char *text = getenv("BATV_DAMAGES");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* The sound files are there again, and a damaged one of them comes back. */
static struct image damaged_number(unsigned number)
{
    remove_files();
    chance_state = 1 + number;
    image_write(&sound[DATABASE]);
    image_write(&sound[LOG]);
    return damaged_copy(&sound[number % IMAGES]);
}

START_TEST(test_damage_before_the_start)
{
    for (unsigned i = 0; i < damages(50); i++) {
        struct image damaged = damaged_number(i);
        image_write(&damaged);
        free(damaged.octets);
        serve(NULL);
    }
}
END_TEST

START_TEST(test_damage_in_use)
{
    for (unsigned i = 0; i < damages(50); i++) {
        struct image damaged = damaged_number(i);
        serve(&damaged);
        free(damaged.octets);
    }
}
END_TEST

/* A single octet is as nothing to SQLite. */
static const int parts[] = {0, 1, 100, 4095, 4096, 8192, 20000, -1};

START_TEST(test_truncated_files)
{
    char path[96];
    write_closed();
    off_t size = parts[_i] >= 0 ? parts[_i] : size_of("journal.db") - 4096 * 3 - 7;
    ck_assert_int_eq(truncate(in_folder("journal.db", path), size), 0);
    serve(NULL);
    ck_assert(exists("journal.damaged") == (size > 1));
    open_journal(SIZE);
    ck_assert_int_eq(look(STORED - 1), JOURNAL_NO);
    ck_assert_int_eq(look(300000), JOURNAL_YES);
    ck_assert(stat_of().damaged_aside == (size > 1));
    ck_assert(!journal_trouble(journal, &why));
}
END_TEST

START_TEST(test_zeroed_files)
{
    struct image zeroes = {"journal.db", calloc(1, 65536), _i == 0 ? 65536 : 2};
    remove_files();
    image_write(&zeroes);
    free(zeroes.octets);
    serve(NULL);
    ck_assert(exists("journal.damaged"));
    uint8_t text[] = "what is this?\n";
    image_write(&(struct image){"journal.db", text, 14}); /* the older one has to go */
    serve(NULL);
    ck_assert_int_eq(size_of("journal.damaged"), 14);
}
END_TEST

/* The log is gone or empty after a kill: what was copied from it before is there. */
START_TEST(test_a_log_that_is_lost)
{
    char path[96];
    in_folder("journal.db-wal", path);
    ck_assert_int_eq(_i == 0 ? unlink(path) : truncate(path, 0), 0);
    open_journal(SIZE);
    journal_work(journal, noon);
    ck_assert(!exists("journal.damaged"));
    ck_assert_int_eq(look(STORED / 4), JOURNAL_YES);
    ck_assert_int_eq(look(STORED - 1), JOURNAL_NO);
}
END_TEST

/* After an unclean end; the birth begins anew, and for some minutes nothing is denied: whoever asks
 * may still know the former birth. What waits to be written comes into the new one. */
START_TEST(test_damage_is_found_without_a_question)
{
    struct reason trouble;
    uint8_t *page = sound[DATABASE].octets + 8 * 4096;
    memset(page, 0, sound[DATABASE].size - 8 * 4096);
    image_write(&sound[DATABASE]);
    open_journal(SIZE);
    ck_assert(!exists("journal.damaged"));
    put(400000, EXPIRES);
    journal_work(journal, noon);
    ck_assert(exists("journal.damaged"));
    ck_assert(!journal_trouble(journal, &trouble));
    ck_assert_int_ge(journal_birth(journal), time(NULL) - 5);
    ck_assert_int_eq(look(400000), JOURNAL_YES);
    ck_assert_int_eq(look(1), JOURNAL_UNAVAILABLE);
    close_journal();
    open_journal(SIZE);
    ck_assert_int_eq(look(400000), JOURNAL_YES);
    ck_assert_int_eq(look(1), JOURNAL_NO);
}
END_TEST

START_TEST(test_a_sound_file_is_never_set_aside)
{
    for (int i = 0; i < 3; i++) {
        image_write(&sound[DATABASE]);
        image_write(&sound[LOG]);
        open_journal(SIZE);
        journal_work(journal, noon);
        for (unsigned n = 0; n < STORED; n++) {
            REQUIRE(look(n) == JOURNAL_YES);
        }
        close_journal();
    }
    ck_assert(!exists("journal.damaged"));
}
END_TEST

/* SQLite's, but not ours; or of a later format. */
START_TEST(test_another_database)
{
    write_closed();
    (void)number_in("PRAGMA application_id = 7");
    open_journal(SIZE);
    ck_assert(exists("journal.damaged"));
    ck_assert_int_eq(look(1), JOURNAL_NO);
}
END_TEST

/* Another process that looks says what it is, and leaves it there. */
START_TEST(test_a_reader_of_a_damaged_file)
{
    uint64_t removed;
    struct journal_stat stat;
    write_closed();
    struct image noise = {"journal.db", sound[DATABASE].octets, 65536};
    memset(noise.octets, 0x55, noise.size);
    image_write(&noise);
    ck_assert_int_eq(journal_open_reader(folder, &journal, &why), STATUS_OK);
    ck_assert_int_eq(look(1), JOURNAL_UNAVAILABLE);
    ck_assert(journal_trouble(journal, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "is damaged"));
    ck_assert_int_eq(journal_stat(journal, &stat, &why), STATUS_INVALID);
    ck_assert_int_eq(journal_expire(folder, noon, &removed, &why), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(why.text, "is damaged"));
    ck_assert(!exists("journal.damaged")); /* only the daemon does that */
}
END_TEST

/* ------------------------------------------------ what is no file of ours */

/* Whatever is wrong, it works in memory, and says so; what was put before may be in the file, so
 * that nothing can be denied. */
static void assert_in_memory(const char *said)
{
    ck_assert_int_eq(journal_open(folder, SIZE, RETAIN, &journal, &why), STATUS_OK);
    ck_assert_int_eq(journal_start(journal, &why), STATUS_OK);
    ck_assert_int_eq(journal_birth(journal), 0);
    ck_assert(journal_trouble(journal, &why));
    ck_assert_msg(strstr(why.text, said) != NULL, "%s", why.text);
    ck_assert_int_eq(look(1), JOURNAL_UNAVAILABLE);
    put(1, EXPIRES);
    ck_assert_int_eq(use(1), JOURNAL_YES);
    ck_assert_uint_eq(entry_of(1).used, 1);
    ck_assert_int_eq(journal_note_use(journal, ring, address, "nonce", 1, EXPIRES, noon),
                     JOURNAL_YES);
    ck_assert_int_eq(journal_note_use(journal, ring, address, "nonce", 1, EXPIRES, noon),
                     JOURNAL_EXHAUSTED);
    journal_work(journal, noon);
    close_journal();
}

START_TEST(test_no_regular_file)
{
    char path[96], target[96];
    ck_assert_int_eq(mkdir(in_folder("journal.db", path), 0700), 0);
    assert_in_memory("not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_in_memory("not a regular file");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(in_folder("filler", target), path), 0);
    assert_in_memory("not a regular file");
    ck_assert(!exists("filler"));
}
END_TEST

START_TEST(test_a_missing_folder)
{
    char kept[64];
    snprintf(kept, sizeof kept, "%s", folder);
    snprintf(folder, sizeof folder, "/tmp/batv-there-is-no-such-folder");
    assert_in_memory("No such file");
    snprintf(folder, sizeof folder, "%s", kept);
}
END_TEST

START_TEST(test_modes_and_owners)
{
    char path[96];
    struct stat info;
    open_journal(SIZE);
    close_journal();
    ck_assert_int_eq(chmod(in_folder("journal.db", path), 0644), 0);
    open_journal(SIZE);
    ck_assert(!journal_trouble(journal, &why));
    close_journal();
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 65534, 65534), 0);
        assert_in_memory("owner");
    }
}
END_TEST

/* A journal that was not closed, and was closed before all of it was looked at, is looked at by the
 * next. */
START_TEST(test_what_was_not_looked_at_is_not_clean)
{
    static const char clean[] = "SELECT value FROM meta WHERE name = 'clean'";
    open_journal(SIZE);
    put(1, EXPIRES);
    close_journal();
    (void)number_in("UPDATE meta SET value = 0 WHERE name = 'clean'");
    for (int i = 0; i < 2; i++) {
        open_journal(SIZE);
        close_journal();
        ck_assert_int_eq(number_in(clean), 0);
    }
    open_journal(SIZE);
    journal_work(journal, noon);
    close_journal();
    ck_assert_int_eq(number_in(clean), 1);
}
END_TEST

/* As a user for whom modes count: 0, there is no journal yet; 1, there is one. SQLite has to make
 * files beside the database even to read it. */
START_TEST(test_a_folder_that_cannot_be_written)
{
    char path[96];
    uid_t user = geteuid() == 0 ? 65534 : geteuid();
    if (_i == 1) {
        open_journal(SIZE);
        put(1, EXPIRES);
        close_journal();
        ck_assert(geteuid() != 0 || chown(in_folder("journal.db", path), user, (gid_t)-1) == 0);
    }
    ck_assert(geteuid() != 0 || chown(folder, user, (gid_t)-1) == 0);
    ck_assert_int_eq(chmod(folder, 0500), 0);
    ck_assert_int_eq(seteuid(user), 0);
    assert_in_memory(_i == 0 ? "Permission denied" : "the folder is read-only");
    ck_assert_int_eq(chmod(folder, 0700), 0);
    if (_i == 1) {
        open_journal(SIZE);
        ck_assert_int_eq(look(1), JOURNAL_YES);
        close_journal();
    }
    ck_assert_int_eq(seteuid(getuid()), 0);
}
END_TEST

/* ------------------------------------------------------------- full disks */

/* What cannot be written is found all the same, waits, and is written when there is room again. */
static void assert_waits(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        put(i, EXPIRES);
    }
    for (int i = 0; i < 3; i++) {
        journal_work(journal, noon);
        ck_assert(journal_trouble(journal, &why));
        ck_assert_uint_ge(stat_of().pending, count);
    }
    for (unsigned i = from; i < from + count; i++) {
        REQUIRE(look(i) == JOURNAL_YES);
    }
    ck_assert_int_eq(use(from), JOURNAL_YES);
    ck_assert_uint_eq(entry_of(from).used, 1);
}

static void assert_written(unsigned from, unsigned count)
{
    journal_work(journal, noon);
    journal_work(journal, noon); /* what came in while the first waited */
    ck_assert(!journal_trouble(journal, &why));
    ck_assert_uint_eq(stat_of().pending, 0);
    close_journal();
    open_journal(SIZE);
    ck_assert(!exists("journal.damaged"));
    for (unsigned i = from; i < from + count; i++) {
        REQUIRE(look(i) == JOURNAL_YES);
    }
    ck_assert_uint_eq(entry_of(from).used, 1);
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(test_a_file_that_cannot_grow)
{
    signal(SIGXFSZ, SIG_IGN);
    open_journal(SIZE);
    put(0, EXPIRES);
    journal_work(journal, noon);
    limit_files((rlim_t)size_of("journal.db-wal") + 8192);
    assert_waits(1, 20000);
    limit_files(RLIM_INFINITY);
    assert_written(1, 20000);
}
END_TEST

START_TEST(test_what_waits_is_bounded)
{
    enum { MORE = 1000 };
    signal(SIGXFSZ, SIG_IGN);
    open_journal(SIZE);
    put(0, EXPIRES);
    journal_work(journal, noon);
    limit_files(4096);
    for (unsigned i = 1; i <= PENDING_MAX + MORE; i++) {
        put(i, EXPIRES);
        if (i % 100000 == 0) {
            journal_work(journal, noon);
        }
    }
    ck_assert_uint_eq(stat_of().pending, PENDING_MAX);
    ck_assert_uint_eq(stat_of().dropped, MORE);
    ck_assert_int_eq(look(PENDING_MAX), JOURNAL_YES);
    ck_assert_int_eq(look(PENDING_MAX + 1), JOURNAL_NO);
    ck_assert_int_eq(use(0), JOURNAL_YES); /* uses have some room of their own */
    ck_assert_int_eq(use(1), JOURNAL_YES);
    ck_assert_uint_eq(entry_of(0).used, 1);
    ck_assert_uint_eq(entry_of(1).used, 1);
    limit_files(RLIM_INFINITY);
    for (int i = 0; i < 2; i++) {
        journal_work(journal, noon);
    }
    ck_assert_uint_eq(stat_of().pending, 0);
    ck_assert_uint_ge(stat_of().entries, PENDING_MAX + 1);
    ck_assert_uint_le(stat_of().entries, PENDING_MAX + 3); /* uses in a later period */
    ck_assert_uint_eq(entry_of(1).used, 1);
}
END_TEST

/* A disk of this test's own process. */
static bool mount_disk(const char *test, const char *options)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", folder, "tmpfs", 0, options) == 0) {
        return true;
    }
    printf("skip: %s needs CAP_SYS_ADMIN (a mount): %s\n", test, strerror(errno));
    return false;
}

static void fill_disk(void)
{
    static const char block[4096];
    char path[96];
    int fd = open(in_folder("filler", path), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, block, sizeof block) > 0) {
    }
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
}

START_TEST(test_a_full_disk)
{
    char path[96];
    if (!mount_disk("test_a_full_disk", "size=8m,mode=0700")) {
        return;
    }
    open_journal(SIZE);
    put(0, EXPIRES);
    journal_work(journal, noon);
    for (unsigned round = 0; round < 3; round++) {
        unsigned from = 1 + round * 5000;
        fill_disk();
        assert_waits(from, 5000);
        unlink(in_folder("filler", path));
        assert_written(from, 5000);
    }
    ck_assert_int_eq(look(0), JOURNAL_YES);
    fill_disk();
    put(50000, EXPIRES);
    close_journal(); /* lost, and said; the file is whole */
    unlink(in_folder("filler", path));
    open_journal(SIZE);
    ck_assert_int_eq(look(1), JOURNAL_YES);
    close_journal();
    ck_assert_int_eq(umount(folder), 0);
}
END_TEST

START_TEST(test_a_disk_that_is_full_at_the_first_start)
{
    if (!mount_disk("test_a_disk_that_is_full_at_the_first_start", "size=64k,mode=0700")) {
        return;
    }
    fill_disk();
    assert_in_memory("disk is full");
    ck_assert_int_eq(umount(folder), 0);
}
END_TEST

START_TEST(test_a_disk_that_cannot_be_written)
{
    if (!mount_disk("test_a_disk_that_cannot_be_written", "size=8m,mode=0700")) {
        return;
    }
    open_journal(SIZE);
    put(1, EXPIRES);
    close_journal();
    ck_assert_int_eq(mount("none", folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_in_memory("the folder is read-only");
    ck_assert_int_eq(mount("none", folder, NULL, MS_REMOUNT, "size=8m"), 0);
    open_journal(SIZE);
    ck_assert_int_eq(look(1), JOURNAL_YES);
    close_journal();
    ck_assert_int_eq(umount(folder), 0);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*setup)(void), void (*teardown)(void))
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("journal_db");
    TCase *tcase = add_case(suite, "kills and disks", setup_folder, teardown_folder);
    tcase_add_test(tcase, test_fifty_kills_lose_nothing_that_was_committed);
    tcase_add_test(tcase, test_a_kill_loses_a_second_at_most);
    tcase_add_test(tcase, test_no_regular_file);
    tcase_add_test(tcase, test_a_missing_folder);
    tcase_add_test(tcase, test_modes_and_owners);
    tcase_add_test(tcase, test_what_was_not_looked_at_is_not_clean);
    tcase_add_test(tcase, test_settings);
    tcase_add_loop_test(tcase, test_a_folder_that_cannot_be_written, 0, 2);
    tcase_add_test(tcase, test_a_file_that_cannot_grow);
    tcase_add_test(tcase, test_what_waits_is_bounded);
    tcase_add_test(tcase, test_a_full_disk);
    tcase_add_test(tcase, test_a_disk_that_is_full_at_the_first_start);
    tcase_add_test(tcase, test_a_disk_that_cannot_be_written);
    tcase = add_case(suite, "damage", setup_sound, teardown_sound);
    tcase_add_test(tcase, test_damage_before_the_start);
    tcase_add_test(tcase, test_damage_in_use);
    tcase_add_loop_test(tcase, test_truncated_files, 0, sizeof parts / sizeof parts[0]);
    tcase_add_loop_test(tcase, test_zeroed_files, 0, 2);
    tcase_add_loop_test(tcase, test_a_log_that_is_lost, 0, 2);
    tcase_add_test(tcase, test_damage_is_found_without_a_question);
    tcase_add_test(tcase, test_a_sound_file_is_never_set_aside);
    tcase_add_test(tcase, test_another_database);
    tcase_add_test(tcase, test_a_reader_of_a_damaged_file);
    return suite_run(suite);
}
