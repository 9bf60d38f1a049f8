/*
 * The journal as callers see it: an entry is found from the moment it is put, wherever it stands,
 * until it expires; uses are counted and bounded, whoever counts; whatever is wrong with the file,
 * what was put is found.
 */
#include "journal_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/stack.h"
#include "store/journal_parts.h"

static void setup(void)
{
    setup_folder();
    open_journal(64 * MIB);
}

/* ------------------------------------------------------------- one caller */

START_TEST(test_found_at_once_and_in_the_file)
{
    ck_assert_int_eq(look(1), JOURNAL_NO);
    put(1, EXPIRES);
    ck_assert_int_eq(look(1), JOURNAL_YES);
    ck_assert_int_eq(look(2), JOURNAL_NO);
    ck_assert_uint_eq(stat_of().pending, 1);
    journal_work(journal, noon);
    ck_assert_uint_eq(stat_of().pending, 0);
    ck_assert_uint_eq(stat_of().entries, 1);
    ck_assert_int_eq(look(1), JOURNAL_YES);
    ck_assert_int_eq(look(2), JOURNAL_NO);
    ck_assert_int_eq(journal_look(journal, ring, "bob@example.com", "1", noon, NULL), JOURNAL_NO);
    close_journal();
    open_journal(64 * MIB);
    ck_assert_int_eq(look(1), JOURNAL_YES);
    struct journal_entry entry = entry_of(1);
    ck_assert_int_eq(entry.expires, EXPIRES);
    ck_assert_uint_eq(entry.used, 0);
    ck_assert_uint_eq(entry.allowed, ALLOWED);
}
END_TEST

START_TEST(test_closing_commits)
{
    put(1, EXPIRES);
    ck_assert_int_eq(number_in("SELECT value FROM meta WHERE name = 'clean'"), 0);
    close_journal();
    ck_assert_int_eq(number_in("SELECT value FROM meta WHERE name = 'clean'"), 1);
    ck_assert(!exists("journal.db-wal"));
    open_journal(64 * MIB);
    ck_assert_int_eq(look(1), JOURNAL_YES);
}
END_TEST

START_TEST(test_birth_stays)
{
    time_t birth = journal_birth(journal);
    ck_assert(birth >= time(NULL) - 60 && birth <= time(NULL));
    close_journal();
    struct stat info;
    char path[96];
    ck_assert_int_eq(stat(in_folder("journal.db", path), &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    sleep(1);
    open_journal(64 * MIB);
    ck_assert_int_eq(journal_birth(journal), birth);
    ck_assert(!journal_trouble(journal, &why));
}
END_TEST

START_TEST(test_an_entry_expires)
{
    char id[48];
    put(1, TODAY + 1);
    put(2, TODAY);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(look(1), JOURNAL_YES);
        ck_assert_int_eq(look(2), JOURNAL_NO);
        ck_assert_int_eq(
            journal_note_look(journal, ring, address, id_of(1, id), noon + DAY_SECONDS, NULL),
            JOURNAL_NO);
        journal_work(journal, 0);
    }
    ck_assert_uint_eq(stat_of().entries, 2);
    journal_work(journal, noon);
    ck_assert_uint_eq(stat_of().entries, 2); /* together with what was put at the same time */
    ck_assert_int_eq(stat_of().oldest_expires, TODAY);
    journal_work(journal, noon + DAY_SECONDS);
    ck_assert_uint_eq(stat_of().entries, 0);
    ck_assert_int_eq(stat_of().oldest_expires, -1);
    ck_assert_uint_eq(stat_of().forced, 0);
}
END_TEST

START_TEST(test_allowance)
{
    ck_assert_uint_eq(journal_allowance(0), 20);
    ck_assert_uint_eq(journal_allowance(1), 23);
    ck_assert_uint_eq(journal_allowance(1000), 3020);
    ck_assert_uint_ge(journal_allowance(SIZE_MAX), 1000000);
}
END_TEST

/* After so many rounds of the writer between two uses: in the open set, and in the file. */
START_TEST(test_uses_run_out)
{
    put(1, EXPIRES);
    for (unsigned i = 0; i < ALLOWED; i++) {
        ck_assert_uint_eq(entry_of(1).used, i);
        ck_assert_int_eq(use(1), JOURNAL_YES);
        if (_i > 0 && i % (unsigned)_i == 0) {
            journal_work(journal, noon);
        }
    }
    ck_assert_int_eq(use(1), JOURNAL_EXHAUSTED);
    ck_assert_int_eq(look(1), JOURNAL_EXHAUSTED);
    close_journal();
    open_journal(64 * MIB);
    ck_assert_int_eq(use(1), JOURNAL_EXHAUSTED);
    ck_assert_uint_eq(entry_of(1).used, ALLOWED);
    ck_assert_int_eq(look(2), JOURNAL_NO);
}
END_TEST

/* The same message sent once more, say by a list, does not make its uses anew; it may raise what
 * is allowed and prolong. Whether the entry is still in memory or in the file. */
START_TEST(test_put_again)
{
    bool commit = _i != 0;
    char id[48];
    put(1, EXPIRES);
    use(1);
    use(1);
    if (commit) {
        journal_work(journal, noon);
    }
    put(1, EXPIRES - 1);
    ck_assert_uint_eq(entry_of(1).used, 2);
    ck_assert_int_eq(entry_of(1).expires, EXPIRES);
    if (commit) {
        journal_work(journal, noon);
    }
    journal_note_put(journal, ring, address, id_of(1, id), ALLOWED + 7, EXPIRES + 1);
    ck_assert_uint_eq(entry_of(1).used, 2);
    ck_assert_int_eq(use(1), JOURNAL_YES);
    for (int i = 0; i < 2; i++) {
        struct journal_entry entry = entry_of(1);
        ck_assert_uint_eq(entry.used, 3);
        ck_assert_uint_eq(entry.allowed, ALLOWED + 7);
        ck_assert_int_eq(entry.expires, EXPIRES + 1);
        journal_work(journal, noon);
    }
    ck_assert_uint_eq(stat_of().entries, 1);
}
END_TEST

/* The table in which it stood first must not take it along. */
START_TEST(test_a_prolonged_entry_outlives_its_first_day)
{
    put(1, TODAY + 1);
    put(2, TODAY + 1);
    journal_work(journal, noon);
    put(1, TODAY + 7);
    journal_work(journal, noon + 6 * DAY_SECONDS);
    ck_assert_int_eq(look(1), JOURNAL_YES);
    ck_assert_int_eq(look(2), JOURNAL_NO);
    ck_assert_uint_eq(stat_of().entries, 1);
    ck_assert_int_eq(stat_of().oldest_expires, TODAY + 7);
    journal_work(journal, noon + 7 * DAY_SECONDS);
    ck_assert_uint_eq(stat_of().entries, 0);
}
END_TEST

/* A year with an entry a day: tables come and go, never more than eight, and each entry is found
 * until its day. With retain_days = 30 a table is for five days. */
START_TEST(test_periods)
{
    enum { YEAR = 365 };
    const unsigned retain[] = {1, 7, 30, 365};
    char id[48];
    const int kept = (int)retain[_i];
    const int period = (kept + 6) / 7;
    close_journal();
    ck_assert_int_eq(journal_open(folder, 64 * MIB, retain[_i], &journal, &why), STATUS_OK);
    for (int day = 0; day < YEAR; day++) {
        time_t now = noon + (time_t)day * DAY_SECONDS;
        put((unsigned)day, TODAY + day + kept + 1);
        journal_work(journal, now);
        for (int back = 0; back <= day && back <= kept + period + 2; back++) {
            enum journal_answer answer = journal_note_look(
                journal, ring, address, id_of((unsigned)(day - back), id), now, NULL);
            REQUIRE(answer == (back <= kept ? JOURNAL_YES : JOURNAL_NO));
        }
        REQUIRE(stat_of().entries <= (unsigned)(kept + 1 + period));
    }
    ck_assert_int_le(number_in("SELECT count(*) FROM period WHERE number > 0"), 8);
    ck_assert_int_ge(number_in("SELECT count(*) FROM period WHERE number > 0"), kept < 7 ? 2 : 7);
    ck_assert_uint_eq(stat_of().forced, 0);
}
END_TEST

/* By a clock that is years ahead for a while: nothing is lost, and the tables go on. */
START_TEST(test_a_clock_that_jumps)
{
    put(1, EXPIRES);
    journal_work(journal, 0);
    put(2, EXPIRES + 1000);
    journal_work(journal, 0);
    put(3, EXPIRES);
    journal_work(journal, 0);
    journal_work(journal, noon);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(look(i), JOURNAL_YES);
    }
    for (int day = 0; day < 100; day++) {
        put(100 + (unsigned)day, EXPIRES + day);
        journal_work(journal, noon + (time_t)day * DAY_SECONDS);
    }
    ck_assert_int_le(number_in("SELECT count(*) FROM period WHERE number > 0"), 8);
    ck_assert_uint_le(stat_of().entries, 40);
}
END_TEST

START_TEST(test_secrets)
{
    struct ring *old = ring_copy(ring);
    put(1, EXPIRES);
    journal_work(journal, noon);
    put(2, EXPIRES);
    rotate_evidence(1);
    put(3, EXPIRES);
    for (int i = 0; i < 2; i++) {
        for (unsigned n = 1; n <= 3; n++) {
            ck_assert_int_eq(use(n), JOURNAL_YES);
        }
        journal_work(journal, noon);
    }
    ck_assert_uint_eq(entry_of(1).used, 2);
    ck_assert_uint_eq(entry_of(2).used, 2);
    rotate_evidence(2);
    ck_assert_int_eq(look(1), JOURNAL_NO);
    ck_assert_int_eq(look(3), JOURNAL_YES);
    ring_free(ring);
    ring = old; /* a message that still holds the former ring */
    ck_assert_int_eq(look(1), JOURNAL_YES);
    put(1, EXPIRES + 3);
    journal_work(journal, noon);
    ck_assert_uint_eq(entry_of(1).used, 2);
}
END_TEST

START_TEST(test_use_or_add)
{
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(journal_note_use(journal, ring, address, "nonce", 3, EXPIRES, noon),
                         JOURNAL_YES);
        if (_i != 0) {
            journal_work(journal, noon);
        }
    }
    ck_assert_int_eq(journal_note_use(journal, ring, address, "nonce", 3, EXPIRES, noon),
                     JOURNAL_EXHAUSTED);
    ck_assert_int_eq(journal_note_look(journal, ring, address, "nonce", noon, NULL),
                     JOURNAL_EXHAUSTED);
}
END_TEST

START_TEST(test_what_cannot_be_journalled)
{
    struct ring *empty = ring_new();
    journal_put(journal, ring, address, "<>", ALLOWED, EXPIRES);
    ck_assert_uint_eq(stat_of().dropped, 0); /* there was nothing to put */
    ck_assert_int_eq(journal_look(journal, ring, address, "", noon, NULL), JOURNAL_NO);
    journal_put(journal, empty, address, "x", ALLOWED, EXPIRES);
    ck_assert_uint_eq(stat_of().dropped, 1);
    ck_assert_int_eq(journal_look(journal, empty, address, "x", noon, NULL), JOURNAL_NO);
    ck_assert_uint_eq(stat_of().pending, 0);
    ring_free(empty);
}
END_TEST

/* An entry that somebody has written into the file counts for nothing, and can be replaced. */
START_TEST(test_a_forged_entry)
{
    char id[48], text[200], hex[2 * JOURNAL_KEY + 1];
    uint8_t key[JOURNAL_KEY];
    put(2, EXPIRES);
    close_journal();
    ck_assert_int_eq(journal_entry_note_key(ring, 0, address, id_of(1, id), key), STATUS_OK);
    for (int i = 0; i < JOURNAL_KEY; i++) {
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    }
    snprintf(text, sizeof text, "INSERT INTO sent0 VALUES (x'%s', zeroblob(%d), x'')", hex,
             JOURNAL_VALUE);
    (void)number_in(text);
    open_journal(64 * MIB);
    ck_assert_int_eq(look(1), JOURNAL_NO);
    put(1, EXPIRES);
    ck_assert_int_eq(use(1), JOURNAL_YES);
    journal_work(journal, noon);
    ck_assert_uint_eq(entry_of(1).used, 1);
}
END_TEST

/* ---------------------------------------------------------- without a file */

START_TEST(test_memory_only)
{
    close_journal();
    ck_assert_int_eq(journal_open(NULL, 64 * MIB, RETAIN, &journal, &why), STATUS_OK);
    ck_assert_int_eq(journal_start(journal, &why), STATUS_OK);
    ck_assert_int_eq(journal_birth(journal), 0);
    ck_assert(!journal_trouble(journal, &why));
    ck_assert(!stat_of().written);
    ck_assert_int_eq(look(1), JOURNAL_NO);
    put(1, TODAY + 1);
    for (int i = 0; i < ALLOWED; i++) {
        ck_assert_int_eq(use(1), JOURNAL_YES);
        journal_work(journal, noon);
    }
    ck_assert_int_eq(use(1), JOURNAL_EXHAUSTED);
    char id[48];
    ck_assert_int_eq(
        journal_note_look(journal, ring, address, id_of(1, id), noon + DAY_SECONDS, NULL),
        JOURNAL_NO);
}
END_TEST

START_TEST(test_memory_is_bounded_and_keeps_the_latest)
{
    enum { COUNT = 2 * PENDING_MAX };
    close_journal();
    ck_assert_int_eq(journal_open(NULL, 64 * MIB, RETAIN, &journal, &why), STATUS_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        put(i, EXPIRES);
    }
    ck_assert_uint_le(stat_of().pending, PENDING_MAX);
    for (unsigned i = COUNT - PENDING_MAX / 2; i < COUNT; i++) {
        REQUIRE(look(i) == JOURNAL_YES);
    }
    ck_assert_int_eq(look(0), JOURNAL_NO);
}
END_TEST

/* ------------------------------------------------------------ many callers */

static void start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    ck_assert_int_eq(pthread_create(thread, &attributes, run, argument), 0);
    pthread_attr_destroy(&attributes);
}

/* One thread says which number it has put, the other looks for it at once. */
enum { MEETINGS = 100000 };
static atomic_uint last_put;
static atomic_uint last_seen;

static void *put_and_tell(void *argument)
{
    (void)argument;
    for (unsigned i = 1; i <= MEETINGS; i++) {
        put(i, EXPIRES);
        last_put = i;
        if (i > last_seen + 64) { /* not further ahead, so that each look comes soon */
            sched_yield();
        }
    }
    return NULL;
}

START_TEST(test_put_here_and_found_there_without_a_miss)
{
    pthread_t thread;
    unsigned misses = 0;
    ck_assert_int_eq(journal_start(journal, &why), STATUS_OK);
    start_thread(&thread, put_and_tell, NULL);
    for (unsigned i = 1; i <= MEETINGS; i++) {
        while (last_put < i) {
            sched_yield();
        }
        misses += look(i) != JOURNAL_YES;
        last_seen = i;
    }
    pthread_join(thread, NULL);
    ck_assert_uint_eq(misses, 0);
    close_journal();
    open_journal(64 * MIB);
    ck_assert_uint_eq(stat_of().entries, MEETINGS);
}
END_TEST

/* The same while the writer never rests, so that entries move down under the looks. */
static atomic_bool resting;

static void *work_always(void *argument)
{
    (void)argument;
    while (!resting) {
        journal_work(journal, noon);
    }
    return NULL;
}

START_TEST(test_nothing_is_missed_while_it_moves)
{
    enum { COUNT = 20000, LOOK_BACK = 50 };
    pthread_t thread;
    unsigned misses = 0;
    start_thread(&thread, work_always, NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        put(i, EXPIRES);
        misses += look(i) != JOURNAL_YES;
        misses += look(i - (i < LOOK_BACK ? i : LOOK_BACK)) != JOURNAL_YES;
    }
    resting = true;
    pthread_join(thread, NULL);
    ck_assert_uint_eq(misses, 0);
}
END_TEST

/* As many as are allowed, in all threads together, while entries move. */
static atomic_uint granted, refused;

static void *use_up(void *argument)
{
    (void)argument;
    for (int i = 0; i < 200; i++) {
        enum journal_answer answer = use(7);
        granted += answer == JOURNAL_YES;
        refused += answer == JOURNAL_EXHAUSTED;
    }
    return NULL;
}

START_TEST(test_uses_are_counted_across_threads)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS], writer;
    char id[48];
    journal_note_put(journal, ring, address, id_of(7, id), 1000, EXPIRES);
    start_thread(&writer, work_always, NULL);
    for (int i = 0; i < THREADS; i++) {
        start_thread(&threads[i], use_up, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    resting = true;
    pthread_join(writer, NULL);
    ck_assert_uint_eq(granted, 1000);
    ck_assert_uint_eq(refused, 600);
}
END_TEST

static pthread_barrier_t all_there;

static atomic_uint answered;

static void look_one(unsigned number, enum journal_answer expected)
{
    enum journal_answer answer = look(number);
    answered += answer == expected;
    refused += answer != expected && answer != JOURNAL_UNAVAILABLE;
}

static void *read_some(void *argument)
{
    unsigned number = *(const unsigned *)argument;
    pthread_barrier_wait(&all_there);
    for (unsigned i = 0; i < 20; i++) {
        look_one((number + i) % 1000, JOURNAL_YES);
        look_one(1000 + number + i, JOURNAL_NO);
    }
    return NULL;
}

/* Four connections serve them all. Whoever gets none in time is not told a lie. */
START_TEST(test_a_thousand_readers)
{
    enum { THREADS = 1000 };
    static pthread_t threads[THREADS];
    static unsigned numbers[THREADS];
    pthread_t writer;
    for (unsigned i = 0; i < THREADS; i++) {
        put(i, EXPIRES);
    }
    journal_work(journal, noon);
    pthread_barrier_init(&all_there, NULL, THREADS);
    start_thread(&writer, work_always, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        start_thread(&threads[i], read_some, &numbers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    resting = true;
    pthread_join(writer, NULL);
    pthread_barrier_destroy(&all_there);
    ck_assert_uint_eq(refused, 0);
    ck_assert_uint_gt(answered, THREADS);
}
END_TEST

/* ------------------------------------------------------- another process */

static bool look_from_elsewhere(void)
{
    char id[48];
    struct journal *reader;
    struct journal_entry entry;
    struct journal_stat stat;
    bool good =
        journal_open_reader(folder, &reader, &why) == STATUS_OK &&
        journal_note_look(reader, ring, address, id_of(1, id), noon, &entry) == JOURNAL_YES &&
        entry.used == 1 && entry.expires == EXPIRES &&
        journal_note_look(reader, ring, address, id_of(2, id), noon, NULL) == JOURNAL_NO &&
        journal_stat(reader, &stat, &why) == STATUS_OK && stat.entries == 1 &&
        stat.birth == journal_birth(reader) && !journal_trouble(reader, &why);
    journal_close(reader);
    return good;
}

START_TEST(test_another_process_looks)
{
    close_journal();
    struct peer peer = peer_new(look_from_elsewhere);
    open_journal(64 * MIB);
    put(1, EXPIRES);
    use(1);
    journal_work(journal, noon);
    put(2, EXPIRES);
    peer_go(&peer);
    ck_assert_int_eq(end_of(peer.pid), 0);
    journal_work(journal, noon);
    ck_assert_uint_eq(stat_of().entries, 2);
}
END_TEST

START_TEST(test_a_reader_where_there_is_no_journal)
{
    struct journal_stat stat;
    char path[96];
    close_journal();
    remove_files();
    ck_assert_int_eq(journal_open_reader(folder, &journal, &why), STATUS_OK);
    ck_assert_int_eq(look(1), JOURNAL_NO);
    ck_assert_int_eq(journal_stat(journal, &stat, &why), STATUS_NOT_FOUND);
    uint64_t removed;
    ck_assert_int_eq(journal_expire(folder, noon, &removed, &why), STATUS_NOT_FOUND);
    ck_assert(!exists("journal.db") && !exists("journal.db-wal") && !exists("journal.db-shm"));
    ck_assert(!journal_trouble(journal, &why));
    close_journal();
    ck_assert_int_eq(close(open(in_folder("journal.db", path), O_CREAT | O_WRONLY, 0600)), 0);
    ck_assert_int_eq(journal_open_reader(folder, &journal, &why), STATUS_OK);
    ck_assert_int_eq(look(1), JOURNAL_NO);
    ck_assert_int_eq(journal_stat(journal, &stat, &why), STATUS_NOT_FOUND);
}
END_TEST

enum { TO_EXPIRE = 20000 };

static bool expire_from_elsewhere(void)
{
    uint64_t removed = 0;
    return journal_expire(folder, noon, &removed, &why) == STATUS_OK && removed == TO_EXPIRE / 2;
}

/* By another process, while the writer works: also what stands between entries that stay. */
START_TEST(test_expire_while_it_is_written)
{
    close_journal();
    struct peer peer = peer_new(expire_from_elsewhere);
    open_journal(64 * MIB);
    put(TO_EXPIRE, EXPIRES);
    journal_work(journal, noon);
    for (unsigned i = 0; i < TO_EXPIRE; i++) {
        put(i, i % 2 == 0 ? TODAY : EXPIRES);
    }
    journal_work(journal, 0);
    peer_go(&peer);
    for (unsigned i = 0; i < 50; i++) {
        put(TO_EXPIRE + 1 + i, EXPIRES);
        journal_work(journal, 0);
    }
    ck_assert_int_eq(end_of(peer.pid), 0);
    journal_work(journal, 0);
    ck_assert(!journal_trouble(journal, &why));
    ck_assert_uint_eq(stat_of().entries, TO_EXPIRE / 2 + 1 + 50);
    ck_assert_int_eq(stat_of().oldest_expires, TODAY + 1);
    ck_assert_int_eq(look(0), JOURNAL_NO);
    ck_assert_int_eq(look(1), JOURNAL_YES);
    ck_assert_int_eq(look(TO_EXPIRE), JOURNAL_YES);
}
END_TEST

static bool look_always(void)
{
    struct journal *reader;
    struct journal_stat stat;
    (void)journal_open_reader(folder, &reader, &why);
    for (;;) {
        (void)journal_stat(reader, &stat, &why);
    }
    return false;
}

/* A reader that was killed in the middle of a look holds nothing up. */
START_TEST(test_a_killed_reader)
{
    close_journal();
    struct peer peer = peer_new(look_always);
    open_journal(64 * MIB);
    put(1, EXPIRES);
    journal_work(journal, noon);
    peer_go(&peer);
    usleep(50000);
    kill(peer.pid, SIGKILL);
    ck_assert_int_eq(end_of(peer.pid), SIGKILL);
    for (unsigned i = 0; i < 130; i++) {
        put(i, EXPIRES);
        journal_work(journal, noon);
    }
    ck_assert_int_eq(look(129), JOURNAL_YES);
    ck_assert(!journal_trouble(journal, &why));
}
END_TEST

static bool read_without_end(void)
{
    char path[96];
    sqlite3 *sqlite;
    bool good = sqlite3_open(in_folder("journal.db", path), &sqlite) == SQLITE_OK &&
                sqlite3_exec(sqlite, "BEGIN; SELECT count(*) FROM meta", NULL, NULL, NULL) == 0;
    pause();
    return good;
}

/* A process that reads for ever keeps the write-ahead log from being emptied. Beyond its limit
 * entries wait in memory, and once the process is gone all are written. */
START_TEST(test_a_reader_that_does_not_end)
{
    enum { SIZE = 16 * MIB, LIMIT = SIZE / 4 };
    unsigned count = 0;
    close_journal();
    struct peer peer = peer_new(read_without_end);
    open_journal(SIZE);
    put(count++, EXPIRES);
    journal_work(journal, noon);
    peer_go(&peer);
    usleep(100000);
    for (int round = 0; round < 200 && !journal_trouble(journal, &why); round++) {
        for (int i = 0; i < 1000; i++) {
            put(count++, EXPIRES);
        }
        journal_work(journal, noon);
    }
    ck_assert_msg(strstr(why.text, "write-ahead log") != NULL, "%s", why.text);
    ck_assert_int_le(size_of("journal.db-wal"), LIMIT + MIB);
    journal_work(journal, noon);
    ck_assert_uint_ge(stat_of().pending, 1);
    for (unsigned i = 0; i < count; i++) {
        REQUIRE(look(i) == JOURNAL_YES);
    }
    kill(peer.pid, SIGKILL);
    ck_assert_int_eq(end_of(peer.pid), SIGKILL);
    for (int i = 0; i < 3; i++) {
        journal_work(journal, noon);
    }
    ck_assert(!journal_trouble(journal, &why));
    ck_assert_uint_eq(stat_of().pending, 0);
    ck_assert_uint_eq(stat_of().entries, count);
    ck_assert_int_le(size_of("journal.db-wal"), SIZE / 16 + MIB);
}
END_TEST

/* ------------------------------------------------------------------ room */

/* Thousands of commits into small files: not on a disk, where there is another place. */
static void setup_small(void)
{
    setup_folder_in(access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp");
    open_journal(2 * MIB);
}

/* More than fits: the oldest go, what is new stays, and the file keeps to its size. */
START_TEST(test_the_oldest_make_room)
{
    enum { COUNT = 60000, STEP = 250, SIZE = 2 * MIB };
    for (unsigned i = 0; i < COUNT; i++) {
        put(i, EXPIRES);
        if (i % STEP == STEP - 1) {
            journal_work(journal, noon);
        }
    }
    struct journal_stat stat = stat_of();
    ck_assert_uint_eq(stat.pending, 0);
    ck_assert_uint_eq(stat.dropped, 0);
    ck_assert_uint_gt(stat.entries, SIZE / 200);
    ck_assert_uint_eq(stat.entries + stat.forced, COUNT);
    ck_assert_int_ne(stat.forced_at, 0);
    ck_assert_int_le(size_of("journal.db") + size_of("journal.db-wal"), SIZE);
    /* Exact but for the oldest period, of which any may have gone; the newest goes on until that
     * one is empty, so a period may be twice as long. */
    unsigned border = (unsigned)(COUNT - stat.entries);
    unsigned period = (unsigned)stat.entries * 2 / 7 + STEP;
    for (unsigned i = 0; i < COUNT; i++) {
        REQUIRE(i + period > border || look(i) == JOURNAL_NO);
        REQUIRE(i < border + period || look(i) == JOURNAL_YES);
    }
}
END_TEST

/* All at once, far beyond what fits: nothing sticks. */
START_TEST(test_a_flood_into_a_small_file)
{
    close_journal();
    remove_files();
    open_journal(MIB);
    for (unsigned i = 0; i < 12000; i++) {
        put(i, EXPIRES);
    }
    for (int i = 0; i < 5 && stat_of().pending > 0; i++) {
        journal_work(journal, noon);
    }
    ck_assert_uint_eq(stat_of().pending, 0);
    ck_assert(!journal_trouble(journal, &why));
    put(12000, EXPIRES);
    journal_work(journal, noon);
    ck_assert_int_eq(look(12000), JOURNAL_YES);
    ck_assert_int_le(size_of("journal.db") + size_of("journal.db-wal"), MIB);
}
END_TEST

/* An administrator makes it smaller: it is emptied down to that, step by step, and goes on. */
START_TEST(test_a_smaller_size_than_before)
{
    close_journal();
    open_journal(64 * MIB);
    for (unsigned i = 0; i < 60000; i++) {
        put(i, EXPIRES);
    }
    close_journal();
    open_journal(2 * MIB);
    ck_assert_int_eq(look(0), JOURNAL_YES);
    uint64_t used = stat_of().used;
    for (unsigned i = 0; i < 100; i++) {
        put(60000 + i, EXPIRES);
        journal_work(journal, noon);
        ck_assert(!journal_trouble(journal, &why));
    }
    ck_assert_uint_lt(stat_of().used, used);
    ck_assert_uint_gt(stat_of().forced, 1000);
    ck_assert_int_eq(look(60000), JOURNAL_YES);
    ck_assert_int_eq(look(60099), JOURNAL_YES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *tcase = tcase_create("journal");
    tcase_add_checked_fixture(tcase, setup, teardown_folder);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_found_at_once_and_in_the_file);
    tcase_add_test(tcase, test_closing_commits);
    tcase_add_test(tcase, test_birth_stays);
    tcase_add_test(tcase, test_an_entry_expires);
    tcase_add_test(tcase, test_allowance);
    tcase_add_loop_test(tcase, test_uses_run_out, 0, 4);
    tcase_add_loop_test(tcase, test_put_again, 0, 2);
    tcase_add_test(tcase, test_a_prolonged_entry_outlives_its_first_day);
    tcase_add_loop_test(tcase, test_periods, 0, 4);
    tcase_add_test(tcase, test_a_clock_that_jumps);
    tcase_add_test(tcase, test_secrets);
    tcase_add_loop_test(tcase, test_use_or_add, 0, 2);
    tcase_add_test(tcase, test_what_cannot_be_journalled);
    tcase_add_test(tcase, test_a_forged_entry);
    tcase_add_test(tcase, test_memory_only);
    tcase_add_test(tcase, test_memory_is_bounded_and_keeps_the_latest);
    tcase_add_test(tcase, test_put_here_and_found_there_without_a_miss);
    tcase_add_test(tcase, test_nothing_is_missed_while_it_moves);
    tcase_add_test(tcase, test_uses_are_counted_across_threads);
    tcase_add_test(tcase, test_a_thousand_readers);
    tcase_add_test(tcase, test_another_process_looks);
    tcase_add_test(tcase, test_a_reader_where_there_is_no_journal);
    tcase_add_test(tcase, test_expire_while_it_is_written);
    tcase_add_test(tcase, test_a_killed_reader);
    tcase_add_test(tcase, test_a_reader_that_does_not_end);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("room");
    tcase_add_checked_fixture(tcase, setup_small, teardown_folder);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_the_oldest_make_room);
    tcase_add_test(tcase, test_a_flood_into_a_small_file);
    tcase_add_test(tcase, test_a_smaller_size_than_before);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
