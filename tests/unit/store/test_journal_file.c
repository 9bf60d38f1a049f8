/*
 * The journal's file against everything that may happen to it: kills, damage of every kind, full
 * disks, folders that cannot be written. The mail goes on, at most one process is lost to a damaged
 * file, and a whole one is never set aside.
 */
#include "journal_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "store/journal_file.h"
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
    ck_assert(exists("journal.open"));
    open_journal(SIZE);
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

/* ---------------------------------------------------------------- damage */

static uint8_t *sound;
static size_t sound_size;

static void write_journal(const uint8_t *octets, size_t size)
{
    char path[96];
    FILE *file = fopen(in_folder("journal", path), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(octets, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

/* A journal with pages of every kind, free ones too, and its octets. */
static void make_sound(void)
{
    char path[96];
    open_journal(SIZE);
    for (unsigned i = 0; i < STORED; i++) {
        put(i, i < STORED / 10 ? TODAY : EXPIRES);
        if (i % 500 == 0) {
            journal_work(journal, 0);
        }
    }
    journal_work(journal, noon);
    close_journal();
    sound_size = (size_t)size_of("journal");
    sound = malloc(sound_size);
    FILE *file = fopen(in_folder("journal", path), "r");
    ck_assert(sound != NULL && file != NULL);
    ck_assert_uint_eq(fread(sound, 1, sound_size, file), sound_size);
    fclose(file);
}

static void setup_sound(void)
{
    setup_folder();
    make_sound();
}

static void teardown_sound(void)
{
    free(sound);
    teardown_folder();
}

static void limit_harm(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    alarm(5); /* LMDB may also turn in circles: somebody will have to end that */
}

/* What a daemon does with it; in a process that may die. The file is replaced under its hands by
 * these octets, unless they are NULL. */
static void serve(const uint8_t *octets, size_t size)
{
    limit_harm();
    bool good = journal_open(folder, SIZE, &journal, &why) == STATUS_OK;
    if (octets != NULL) {
        write_journal(octets, size);
    }
    for (unsigned i = 0; i < STORED + 300 && good; i++) {
        enum journal_answer answer = look(i);
        good = i < STORED || answer == JOURNAL_NO || answer == JOURNAL_UNAVAILABLE;
    }
    for (unsigned i = 0; i < 2000 && good; i++) {
        put(100000 + i, EXPIRES);
        if (i % 500 == 0) {
            journal_work(journal, noon + (time_t)(i / 500) * 20 * DAY_SECONDS);
        }
    }
    close_journal();
    _exit(good ? 0 : 1);
}

/* Starts until one comes to a good end; how many died. */
static unsigned deaths_of(const uint8_t *octets, size_t size)
{
    for (unsigned deaths = 0;; deaths++) {
        pid_t child = fork();
        if (child == 0) {
            serve(deaths == 0 ? octets : NULL, size);
        }
        int end = end_of(child);
        ck_assert_msg(end >= 0, "a wrong answer");
        if (end == 0) {
            return deaths;
        }
        ck_assert_uint_lt(deaths, 3);
    }
}

/* Damages a copy in one of many ways. */
static uint8_t *damaged_copy(size_t *size)
{
    enum { PAGE = 4096 };
    uint8_t *copy = malloc(sound_size);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, sound, sound_size);
    *size = sound_size;
    size_t pages = sound_size / PAGE;
    uint8_t *page = copy + PAGE * (size_t)chance((uint32_t)pages);
    uint32_t count = 1 + chance(64);
    switch (chance(7)) {
    case 0: /* octets anywhere */
        for (uint32_t i = 0; i < count; i++) {
            copy[chance((uint32_t)sound_size)] = (uint8_t)chance(256);
        }
        break;
    case 1: /* bits in the heads of pages, which everything hangs on */
        for (uint32_t i = 0; i < count; i++) {
            copy[PAGE * (size_t)chance((uint32_t)pages) + chance(32)] ^= (uint8_t)(1 << chance(8));
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
        memcpy(page, sound + PAGE * (size_t)chance((uint32_t)pages), PAGE);
        break;
    case 5: /* one of the two pages that all begins with */
        copy[PAGE * (size_t)chance(2) + chance(200)] ^= (uint8_t)(1 << chance(8));
        break;
    default:
        *size = chance((uint32_t)sound_size);
        break;
    }
    return copy;
}

/* BATV_DAMAGES in the environment: another number of files. */
static unsigned damages(unsigned otherwise)
{
    const char *text = getenv("BATV_DAMAGES");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static uint8_t *damaged_number(unsigned number, size_t *size)
{
    remove_files();
    chance_state = 1 + number;
    return damaged_copy(size);
}

START_TEST(test_damaged_files)
{
    for (unsigned i = 0; i < damages(50); i++) {
        size_t size;
        uint8_t *copy = damaged_number(i, &size);
        write_journal(copy, size);
        free(copy);
        unsigned deaths = deaths_of(NULL, 0);
        ck_assert_msg(deaths == 0, "file %u: %u deaths", i, deaths);
        ck_assert(!exists("journal.open"));
    }
}
END_TEST

/* One death at most, and the next start finds out. Not with a sanitizer, which would report what
 * LMDB does then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

START_TEST(test_files_damaged_while_they_are_open)
{
    if (SANITIZED) {
        return;
    }
    for (unsigned i = 0; i < damages(50); i++) {
        size_t size;
        uint8_t *copy = damaged_number(i, &size);
        write_journal(sound, sound_size);
        unsigned deaths = deaths_of(copy, size);
        free(copy);
        ck_assert_msg(deaths <= 1, "file %u: %u deaths", i, deaths);
    }
}
END_TEST

static const int parts[] = {0, 1, 100, 4095, 4096, 8192, 20000, -1};

START_TEST(test_truncated_files)
{
    char path[96];
    in_folder("journal", path);
    size_t size = parts[_i] >= 0 ? (size_t)parts[_i] : sound_size - 4096 * 3 - 7;
    write_journal(sound, size);
    ck_assert(size < 2 || journal_check(path, false, &why) == STATUS_INVALID);
    ck_assert_uint_eq(deaths_of(NULL, 0), 0);
    ck_assert(exists("journal.damaged") == (size > 0));
    open_journal(SIZE);
    ck_assert_int_eq(look(STORED - 1), JOURNAL_NO);
    ck_assert_int_eq(look(101999), JOURNAL_YES);
    ck_assert(stat_of().damaged_aside == (size > 0));
    ck_assert(!journal_trouble(journal, &why));
}
END_TEST

START_TEST(test_zeroed_files)
{
    memset(sound, 0, sound_size);
    write_journal(sound, _i == 0 ? sound_size : 1);
    ck_assert_uint_eq(deaths_of(NULL, 0), 0);
    ck_assert(exists("journal.damaged"));
    write_journal((const uint8_t *)"what is this?\n", 14); /* the older one has to go */
    ck_assert_uint_eq(deaths_of(NULL, 0), 0);
    ck_assert_int_eq(size_of("journal.damaged"), 14);
}
END_TEST

START_TEST(test_a_sound_file_is_never_set_aside)
{
    char path[96];
    for (int i = 0; i < 3; i++) {
        close(open(in_folder("journal.open", path), O_CREAT | O_WRONLY, 0600));
        open_journal(SIZE);
        ck_assert_int_eq(look(STORED - 1), JOURNAL_YES);
        close_journal();
    }
    ck_assert(!exists("journal.damaged"));
}
END_TEST

/* Another process that looks does not die either, and says what it is. */
START_TEST(test_a_reader_of_a_damaged_file)
{
    uint64_t removed;
    struct journal_stat stat;
    unsigned unavailable = 0;
    memset(sound + 8192, 0x55, sound_size - 8192);
    write_journal(sound, sound_size);
    ck_assert_int_eq(journal_open_reader(folder, &journal, &why), STATUS_OK);
    for (unsigned i = 0; i < 10; i++) {
        unavailable += look(i) == JOURNAL_UNAVAILABLE;
    }
    ck_assert_uint_eq(unavailable, 10);
    ck_assert(journal_trouble(journal, &why));
    ck_assert_ptr_nonnull(strstr(why.text, "is damaged"));
    ck_assert_int_eq(journal_stat(journal, &stat, &why), STATUS_INVALID);
    ck_assert_int_eq(journal_expire(folder, noon, &removed, &why), STATUS_INVALID);
    ck_assert(!exists("journal.damaged")); /* only the daemon does that */
}
END_TEST

/* ------------------------------------------------ what is no file of ours */

/* Whatever is wrong, it works in memory, and says so; what was put before may be in the file, so
 * that nothing can be denied. */
static void assert_in_memory(const char *said)
{
    ck_assert_int_eq(journal_open(folder, SIZE, &journal, &why), STATUS_OK);
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
    ck_assert_int_eq(mkdir(in_folder("journal", path), 0700), 0);
    assert_in_memory("no regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_in_memory("no regular file");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink(in_folder("filler", target), path), 0);
    assert_in_memory("no regular file");
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
    ck_assert_int_eq(chmod(in_folder("journal", path), 0644), 0);
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

/* The marker outlives a start that could not look at the file. */
START_TEST(test_a_marker_stays_until_the_file_was_looked_at)
{
    char path[96];
    close(open(in_folder("journal.open", path), O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(mkdir(in_folder("journal", path), 0700), 0);
    assert_in_memory("no regular file");
    ck_assert(exists("journal.open"));
}
END_TEST

/* As a user for whom modes count: 0, there is no journal yet; 1, there is one. */
START_TEST(test_a_folder_that_cannot_be_written)
{
    char path[96];
    uid_t user = geteuid() == 0 ? 65534 : geteuid();
    if (_i == 1) {
        open_journal(SIZE);
        put(1, EXPIRES);
        close_journal();
        ck_assert(geteuid() != 0 || chown(in_folder("journal", path), user, (gid_t)-1) == 0);
        ck_assert(geteuid() != 0 || chown(in_folder("journal-lock", path), user, (gid_t)-1) == 0);
    }
    ck_assert(geteuid() != 0 || chown(folder, user, (gid_t)-1) == 0);
    ck_assert_int_eq(chmod(folder, 0500), 0);
    ck_assert_int_eq(seteuid(user), 0);
    if (_i == 0) {
        assert_in_memory("Permission denied");
    } else {
        open_journal(SIZE);
        ck_assert(!journal_trouble(journal, &why));
        ck_assert_int_eq(look(1), JOURNAL_YES);
        put(2, EXPIRES);
        close_journal();
        open_journal(SIZE);
        ck_assert_int_eq(look(2), JOURNAL_YES);
        close_journal();
    }
    ck_assert_int_eq(seteuid(getuid()), 0);
    ck_assert_int_eq(chmod(folder, 0700), 0);
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
    limit_files((rlim_t)size_of("journal") + 8192);
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
    ck_assert_uint_eq(stat_of().entries, PENDING_MAX + 1);
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
    assert_in_memory("No space left");
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
    assert_in_memory("Read-only");
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
    Suite *suite = suite_create("journal_file");
    TCase *tcase = add_case(suite, "kills and disks", setup_folder, teardown_folder);
    tcase_add_test(tcase, test_fifty_kills_lose_nothing_that_was_committed);
    tcase_add_test(tcase, test_a_kill_loses_a_second_at_most);
    tcase_add_test(tcase, test_no_regular_file);
    tcase_add_test(tcase, test_a_missing_folder);
    tcase_add_test(tcase, test_modes_and_owners);
    tcase_add_test(tcase, test_a_marker_stays_until_the_file_was_looked_at);
    tcase_add_loop_test(tcase, test_a_folder_that_cannot_be_written, 0, 2);
    tcase_add_test(tcase, test_a_file_that_cannot_grow);
    tcase_add_test(tcase, test_what_waits_is_bounded);
    tcase_add_test(tcase, test_a_full_disk);
    tcase_add_test(tcase, test_a_disk_that_is_full_at_the_first_start);
    tcase_add_test(tcase, test_a_disk_that_cannot_be_written);
    tcase = add_case(suite, "damage", setup_sound, teardown_sound);
    tcase_add_test(tcase, test_damaged_files);
    tcase_add_test(tcase, test_files_damaged_while_they_are_open);
    tcase_add_loop_test(tcase, test_truncated_files, 0, sizeof parts / sizeof parts[0]);
    tcase_add_loop_test(tcase, test_zeroed_files, 0, 2);
    tcase_add_test(tcase, test_a_sound_file_is_never_set_aside);
    tcase_add_test(tcase, test_a_reader_of_a_damaged_file);
    return suite_run(suite);
}
