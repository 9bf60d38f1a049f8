/*
 * The keyring file: only the right file is read, one ring replaces exactly the one that it was made
 * from, and nothing (another writer, a kill at any instant, a full disk) leaves less than a whole
 * ring behind.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../suite.h"
#include "base/random.h"
#include "batv/day.h"
#include "store/ring_file.h"

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

static const struct key_policy policy = {
    .rotate_days = 7, .retain_days = 0, .lifetime_days = 1, .algorithm = ALGORITHM_HMAC_SHA256};
static const time_t noon = (time_t)20778 * DAY_SECONDS + DAY_SECONDS / 2;

static char folder[64], keyring[96], fresh[96];
static struct ring_source *source;
static struct reason why;

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/batv-ring.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(keyring, sizeof keyring, "%s/keyring", folder);
    snprintf(fresh, sizeof fresh, "%s/keyring.new", folder);
    source = ring_source_new(folder);
    ck_assert_ptr_nonnull(source);
    ck_assert_str_eq(ring_source_path(source), keyring);
}

static void teardown(void)
{
    char lock[96];
    snprintf(lock, sizeof lock, "%s/keyring.lock", folder);
    unlink(keyring);
    rmdir(keyring);
    unlink(fresh);
    rmdir(fresh);
    unlink(lock);
    ck_assert_msg(rmdir(folder) == 0, "%s: %s", folder, strerror(errno));
    ring_source_free(source);
}

static struct ring *new_ring(void)
{
    uint8_t octets[SECRET_SIZE];
    struct ring *ring = ring_new();
    ck_assert_int_eq(random_octets(octets, sizeof octets, &why), STATUS_OK);
    ck_assert_int_eq(ring_rotate(ring, &policy, policy.algorithm, noon, 0, octets, &why),
                     STATUS_OK);
    return ring;
}

static enum status commit_new(uint64_t expected)
{
    struct ring *ring = new_ring();
    why.text[0] = '\0';
    enum status status = ring_commit(source, expected, ring, &why);
    ring_free(ring);
    return status;
}

static enum status load(uint64_t *generation)
{
    struct ring *ring;
    why.text[0] = '\0';
    enum status status = ring_load(source, &ring, &why);
    ck_assert((status == STATUS_OK) == (ring != NULL));
    if (ring != NULL && generation != NULL) {
        *generation = ring->generation;
    }
    ring_free(ring);
    return status;
}

/* The file as it is; for comparing. The caller frees. */
static char *content(const char *path)
{
    char *text = calloc(1, 1 << 16);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_gt(fread(text, 1, (1 << 16) - 1, file), 0);
    fclose(file);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

static void assert_reason(const char *first, const char *second)
{
    ck_assert_msg(strstr(why.text, first) != NULL && strstr(why.text, second) != NULL, "%s",
                  why.text);
}

START_TEST(test_made_loaded_replaced)
{
    uint64_t generation = 0;
    ck_assert_int_eq(load(NULL), STATUS_NOT_FOUND);
    assert_reason(keyring, "no such file");
    ck_assert_msg(commit_new(0) == STATUS_OK, "%s", why.text);
    ck_assert_int_eq(load(&generation), STATUS_OK);
    ck_assert_uint_eq(generation, 1);
    ck_assert_int_eq(commit_new(1), STATUS_OK);
    ck_assert_int_eq(load(&generation), STATUS_OK);
    ck_assert_uint_eq(generation, 2);
    ck_assert(!exists(fresh));
}
END_TEST

START_TEST(test_what_was_stored_is_what_is_loaded)
{
    bool changed;
    struct ring *ring = new_ring();
    struct ring *again;
    ck_assert_int_eq(ring_domain_add(ring, "example.com", noon, &changed), STATUS_OK);
    ck_assert_int_eq(ring_commit(source, 0, ring, &why), STATUS_OK);
    ck_assert_uint_eq(ring->generation, 0);
    ck_assert_int_eq(ring_load(source, &again, &why), STATUS_OK);
    ck_assert(memcmp(&ring->keys[0].secret, &again->keys[0].secret, sizeof(struct secret)) == 0);
    ck_assert_str_eq(again->domains[0].name, "example.com");
    ck_assert_int_eq(ring_active(again, noon), 0);
    ring_free(ring);
    ring_free(again);
}
END_TEST

START_TEST(test_conflict)
{
    ck_assert_int_eq(commit_new(5), STATUS_NOT_FOUND);
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    ck_assert_int_eq(commit_new(1), STATUS_OK);
    static const uint64_t wrong[] = {0, 1, 3, UINT64_MAX - 1};
    char *before = content(keyring);
    for (int i = 0; i < COUNT(wrong); i++) {
        ck_assert_int_eq(commit_new(wrong[i]), STATUS_CONFLICT);
        assert_reason(keyring, "");
    }
    ck_assert_int_eq(commit_new(UINT64_MAX), STATUS_REFUSED);
    char *after = content(keyring);
    ck_assert_str_eq(before, after);
    ck_assert(!exists(fresh));
    free(before);
    free(after);
}
END_TEST

START_TEST(test_a_first_ring_overwrites_nothing)
{
    write_file(keyring, "damaged\n");
    ck_assert_int_eq(commit_new(0), STATUS_CONFLICT);
    assert_reason(keyring, "already exists");
    ck_assert_int_eq(commit_new(1), STATUS_INVALID);
    char *text = content(keyring);
    ck_assert_str_eq(text, "damaged\n");
    free(text);

    ck_assert_int_eq(unlink(keyring), 0);
    ck_assert_int_eq(symlink("/nonexistent/keyring", keyring), 0);
    ck_assert_int_eq(commit_new(0), STATUS_CONFLICT);
    ck_assert_int_eq(commit_new(1), STATUS_REFUSED);
}
END_TEST

static const struct {
    mode_t mode;
    const char *reason; /* NULL: it is read */
} modes[] = {
    {0600, NULL},
    {0400, NULL},
    {0640, "mode 0640, expected 0600"},
    {0620, "mode 0620, expected 0600"},
    {0610, "mode 0610, expected 0600"},
    {0604, "mode 0604, expected 0600"},
    {0602, "mode 0602, expected 0600"},
    {0601, "mode 0601, expected 0600"},
    {0666, "mode 0666, expected 0600"},
    {04600, "mode 4600, expected 0600"},
};

START_TEST(test_modes)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    ck_assert_int_eq(chmod(keyring, modes[_i].mode), 0);
    if (modes[_i].reason == NULL) {
        ck_assert_int_eq(load(NULL), STATUS_OK);
        return;
    }
    ck_assert_int_eq(load(NULL), STATUS_REFUSED);
    assert_reason(keyring, modes[_i].reason);
    char *before = content(keyring);
    ck_assert_int_eq(commit_new(1), STATUS_REFUSED);
    char *after = content(keyring);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}
END_TEST

START_TEST(test_owner)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    if (geteuid() != 0) {
        puts("test_owner skipped: not root");
        return;
    }
    ck_assert_int_eq(chown(keyring, 65534, (gid_t)-1), 0);
    ck_assert_int_eq(load(NULL), STATUS_REFUSED);
    assert_reason(keyring, "owner is user 65534, expected user 0");
    ck_assert_int_eq(commit_new(1), STATUS_REFUSED);

    /* The other way round it cannot even be opened. */
    ck_assert_int_eq(chown(keyring, 0, (gid_t)-1), 0);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    enum status status = load(NULL);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(status, STATUS_REFUSED);
    assert_reason(keyring, "owner is user 0, expected user 65534");
}
END_TEST

START_TEST(test_what_is_no_regular_file)
{
    ck_assert_int_eq(mkfifo(keyring, 0600), 0);
    ck_assert_int_eq(load(NULL), STATUS_REFUSED);
    assert_reason(keyring, "not a regular file");
    ck_assert_int_eq(unlink(keyring), 0);

    ck_assert_int_eq(mkdir(keyring, 0700), 0);
    ck_assert_int_eq(load(NULL), STATUS_REFUSED);
    assert_reason(keyring, "not a regular file");
    ck_assert_int_eq(rmdir(keyring), 0);

    ck_assert_int_eq(commit_new(0), STATUS_OK);
    ck_assert_int_eq(rename(keyring, fresh), 0);
    ck_assert_int_eq(symlink(fresh, keyring), 0);
    ck_assert_int_eq(load(NULL), STATUS_REFUSED);
    assert_reason(keyring, "symbolic link");
}
END_TEST

START_TEST(test_sizes)
{
    write_file(keyring, "");
    ck_assert_int_eq(load(NULL), STATUS_INVALID);
    assert_reason(keyring, "line 1: ");
    ck_assert_int_eq(truncate(keyring, 1 << 26), 0);
    ck_assert_int_eq(load(NULL), STATUS_INVALID);
    ck_assert_int_eq(truncate(keyring, (1 << 26) + 1), 0);
    ck_assert_int_eq(load(NULL), STATUS_REFUSED);
    assert_reason(keyring, "67108865 octets");
}
END_TEST

START_TEST(test_a_ring_of_very_many_domains)
{
    enum { DOMAINS = 100000 };
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    struct ring *ring = new_ring();
    struct ring *loaded = NULL;
    char name[64];
    bool changed;
    time_t first = 0;
    for (unsigned i = 0; i < DOMAINS; i++) {
        snprintf(name, sizeof name, "d%u.a-domain-as-long-as-they-are.example", i);
        enum status status = ring_domain_add(ring, name, noon, &changed);
        if (status != STATUS_OK) {
            ck_abort_msg("%s: %d", name, (int)status);
        }
    }
    ck_assert_int_eq(ring_commit(source, 1, ring, &why), STATUS_OK);
    ck_assert_int_eq(ring_load(source, &loaded, &why), STATUS_OK);
    ck_assert_uint_eq(loaded->domain_count, DOMAINS);
    ck_assert(ring_first_signed(loaded, name, &first));
    ck_assert_int_eq(first, noon);
    ring_free(loaded);
    ring_free(ring);
}
END_TEST

START_TEST(test_a_ring_too_large_to_be_read_is_not_written)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    struct ring *ring = new_ring();
    char name[1001];
    bool changed;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (unsigned i = 0; i < 68000; i++) {
        char number[8];
        snprintf(number, sizeof number, "%06u", i);
        memcpy(name, number, 6);
        enum status status = ring_domain_add(ring, name, noon, &changed);
        if (status != STATUS_OK) {
            ck_abort_msg("%s: %d", name, (int)status);
        }
    }
    ck_assert_int_eq(ring_commit(source, 1, ring, &why), STATUS_REFUSED);
    assert_reason(keyring, "octets");
    ck_assert_int_eq(load(NULL), STATUS_OK);
    ring_free(ring);
}
END_TEST

START_TEST(test_damage_is_told_by_path_and_line)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    char *text = content(keyring);
    *strstr(text, "generation 1") = 'G';
    write_file(keyring, text);
    free(text);
    ck_assert_int_eq(load(NULL), STATUS_INVALID);
    assert_reason(keyring, ": line 2: expected `generation`");
}
END_TEST

START_TEST(test_the_mode_is_right_under_any_umask)
{
    static const mode_t masks[] = {0, 022, 0777};
    for (int i = 0; i < COUNT(masks); i++) {
        struct stat info;
        mode_t before = umask(masks[i]);
        enum status status = commit_new((uint64_t)i);
        umask(before);
        ck_assert_msg(status == STATUS_OK, "umask %03o: %s", (unsigned)masks[i], why.text);
        ck_assert_int_eq(lstat(keyring, &info), 0);
        ck_assert_uint_eq(info.st_mode & 07777, 0600);
    }
}
END_TEST

START_TEST(test_left_over_files_of_a_killed_writer)
{
    char victim[96];
    snprintf(victim, sizeof victim, "%s/victim", folder);
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    write_file(fresh, "half a ri");
    ck_assert_int_eq(commit_new(1), STATUS_OK);
    ck_assert(!exists(fresh));

    write_file(victim, "mine");
    ck_assert_int_eq(symlink(victim, fresh), 0);
    ck_assert_int_eq(commit_new(2), STATUS_OK);
    ck_assert(!exists(fresh));
    char *text = content(victim);
    ck_assert_str_eq(text, "mine");
    free(text);
    unlink(victim);

    ck_assert_int_eq(mkdir(fresh, 0700), 0);
    ck_assert_int_eq(commit_new(3), STATUS_IO);
    assert_reason(fresh, "cannot remove");
    ck_assert_int_eq(load(NULL), STATUS_OK);
}
END_TEST

START_TEST(test_a_missing_folder)
{
    struct ring_source *other = ring_source_new("/nonexistent/batv");
    struct ring *ring = new_ring();
    struct ring *none;
    ck_assert_int_eq(ring_load(other, &none, &why), STATUS_NOT_FOUND);
    ck_assert_int_eq(ring_commit(other, 0, ring, &why), STATUS_IO);
    assert_reason("/nonexistent/batv/keyring.lock", strerror(ENOENT));
    ring_free(ring);
    ring_source_free(other);
    ring_source_free(NULL);
}
END_TEST

/* Changing. */

struct addition {
    const char *name;
    int calls;
    bool interfere; /* somebody else is faster, once */
    enum status status;
};

static enum status add_domain(void *context, struct ring *ring, bool *changed,
                              struct reason *reason)
{
    struct addition *addition = context;
    addition->calls++;
    if (addition->interfere) {
        struct addition other = {.name = "other.example"};
        addition->interfere = false;
        ck_assert_int_eq(ring_change(source, add_domain, &other, reason), STATUS_OK);
    }
    if (addition->status != STATUS_OK) {
        return reason_set(reason, addition->status, "no");
    }
    ck_assert(*changed);
    return ring_domain_add(ring, addition->name, noon, changed);
}

START_TEST(test_change)
{
    uint64_t generation;
    struct addition addition = {.name = "a.example"};
    ck_assert_int_eq(ring_change(source, add_domain, &addition, &why), STATUS_NOT_FOUND);
    ck_assert_int_eq(addition.calls, 0);
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    ck_assert_int_eq(ring_change(source, add_domain, &addition, &why), STATUS_OK);
    ck_assert_int_eq(load(&generation), STATUS_OK);
    ck_assert_uint_eq(generation, 2);

    /* Nothing to change: nothing is written. */
    ck_assert_int_eq(ring_change(source, add_domain, &addition, &why), STATUS_OK);
    ck_assert_int_eq(load(&generation), STATUS_OK);
    ck_assert_uint_eq(generation, 2);

    struct addition refused = {.name = "b.example", .status = STATUS_REFUSED};
    ck_assert_int_eq(ring_change(source, add_domain, &refused, &why), STATUS_REFUSED);
    ck_assert_str_eq(why.text, "no");
    ck_assert_int_eq(load(&generation), STATUS_OK);
    ck_assert_uint_eq(generation, 2);

    struct addition slower = {.name = "c.example", .interfere = true};
    ck_assert_int_eq(ring_change(source, add_domain, &slower, &why), STATUS_OK);
    ck_assert_int_eq(slower.calls, 2);
    struct ring *ring;
    ck_assert_int_eq(ring_load(source, &ring, &why), STATUS_OK);
    ck_assert_uint_eq(ring->generation, 4);
    ck_assert_uint_eq(ring->domain_count, 3);
    ring_free(ring);
}
END_TEST

enum { WRITERS = 6, CHANGES = 15 };

struct writer {
    unsigned number;
    enum status status;
    struct reason why;
};

static void *write_changes(void *context)
{
    struct writer *writer = context;
    for (int i = 0; i < CHANGES && writer->status == STATUS_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "w%u-%d.example", writer->number, i);
        struct addition addition = {.name = name};
        do {
            writer->status = ring_change(source, add_domain, &addition, &writer->why);
        } while (writer->status == STATUS_CONFLICT); /* twenty times in a row: others go on */
    }
    return NULL;
}

static void assert_all_written(void)
{
    struct ring *ring;
    ck_assert_int_eq(ring_load(source, &ring, &why), STATUS_OK);
    ck_assert_uint_eq(ring->domain_count, WRITERS * CHANGES);
    ck_assert_uint_eq(ring->generation, 1 + WRITERS * CHANGES);
    ring_free(ring);
}

START_TEST(test_threads_lose_no_change)
{
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.number = i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_changes, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_msg(writers[i].status == STATUS_OK, "%s", writers[i].why.text);
    }
    assert_all_written();
}
END_TEST

START_TEST(test_processes_lose_no_change)
{
    pid_t children[WRITERS];
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    for (unsigned i = 0; i < WRITERS; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            struct writer writer = {.number = i};
            write_changes(&writer);
            _exit(writer.status == STATUS_OK ? 0 : 1);
        }
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    assert_all_written();
}
END_TEST

static void *unlock_later(void *context)
{
    const struct timespec pause = {.tv_nsec = 200000000};
    nanosleep(&pause, NULL);
    close(*(int *)context);
    return NULL;
}

START_TEST(test_a_writer_waits_for_the_lock)
{
    char lock[96];
    pthread_t thread;
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    snprintf(lock, sizeof lock, "%s/keyring.lock", folder);
    int fd = open(lock, O_RDWR);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_int_eq(load(NULL), STATUS_OK); /* a reader does not */
    ck_assert_int_eq(pthread_create(&thread, NULL, unlock_later, &fd), 0);
    ck_assert_int_eq(commit_new(1), STATUS_OK);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(test_what_counts_as_changed)
{
    struct file_stamp seen = {0};
    ck_assert(!ring_source_changed(source, &seen));
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    ck_assert(ring_source_changed(source, &seen));
    ck_assert(!ring_source_changed(source, &seen));
    ck_assert_int_eq(commit_new(1), STATUS_OK);
    ck_assert(ring_source_changed(source, &seen));
    ck_assert_int_eq(load(NULL), STATUS_OK);
    ck_assert(!ring_source_changed(source, &seen));
    ck_assert_int_eq(chmod(keyring, 0640), 0);
    ck_assert(ring_source_changed(source, &seen));
    ck_assert_int_eq(chmod(keyring, 0600), 0);
    ck_assert(ring_source_changed(source, &seen));
    ck_assert_int_eq(unlink(keyring), 0);
    ck_assert(ring_source_changed(source, &seen));
    ck_assert(!ring_source_changed(source, &seen));
}
END_TEST

/* Mishaps. */

static enum status rotate(void *context, struct ring *ring, bool *changed, struct reason *reason)
{
    uint8_t octets[SECRET_SIZE];
    time_t *now = context;
    (void)changed;
    enum status status = random_octets(octets, sizeof octets, reason);
    *now += DAY_SECONDS;
    return status != STATUS_OK
               ? status
               : ring_rotate(ring, &policy, policy.algorithm, *now, 0, octets, reason);
}

static void rotate_for_ever(void)
{
    struct ring *ring;
    if (ring_load(source, &ring, &why) != STATUS_OK) {
        _exit(1);
    }
    time_t now = ring_newest_time(ring);
    ring_free(ring);
    while (ring_change(source, rotate, &now, &why) == STATUS_OK) {
    }
    fprintf(stderr, "%s\n", why.text);
    _exit(1);
}

START_TEST(test_sixty_kills_leave_sixty_whole_rings)
{
    uint64_t generation, before = 1, first = 1;
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    for (int i = 0; i < 60; i++) {
        int status;
        uint16_t random;
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            rotate_for_ever();
        }
        ck_assert_int_eq(random_octets(&random, sizeof random, &why), STATUS_OK);
        const struct timespec pause = {.tv_nsec = 1000000 + random * 300L};
        nanosleep(&pause, NULL);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "the writer ended by itself");
        ck_assert_msg(load(&generation) == STATUS_OK, "after %d kills: %s", i + 1, why.text);
        ck_assert_uint_ge(generation, before);
        before = generation;
    }
    ck_assert_uint_gt(generation, first + 20);
    ck_assert_int_eq(commit_new(generation), STATUS_OK);
    ck_assert(!exists(fresh));
}
END_TEST

/* A ring of several blocks of a file system. */
static struct ring *large_ring(void)
{
    struct ring *ring = new_ring();
    for (int i = 0; i < 200; i++) {
        char name[32];
        bool changed;
        snprintf(name, sizeof name, "d%d.example", i);
        ck_assert_int_eq(ring_domain_add(ring, name, noon, &changed), STATUS_OK);
    }
    return ring;
}

static void assert_left_alone(const char *before)
{
    char *after = content(keyring);
    ck_assert_str_eq(before, after);
    ck_assert(!exists(fresh));
    ck_assert_int_eq(load(NULL), STATUS_OK);
    free(after);
}

START_TEST(test_a_write_that_is_cut_short)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    char *before = content(keyring);
    struct ring *ring = large_ring();
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {.rlim_cur = 5000, .rlim_max = limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum status status = ring_commit(source, 1, ring, &why);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(status, STATUS_IO);
    assert_reason(fresh, strerror(EFBIG));
    assert_left_alone(before);
    ck_assert_int_eq(ring_commit(source, 1, ring, &why), STATUS_OK);
    free(before);
    ring_free(ring);
}
END_TEST

/* 16 kB of disk in a mount namespace of this test's own process. */
static bool mount_small_disk(void)
{
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", folder, "tmpfs", 0, "size=16k,mode=0700") == 0) {
        return true;
    }
    printf("skip: test_a_full_disk needs CAP_SYS_ADMIN (a mount): %s\n", strerror(errno));
    return false;
}

static void fill_disk(const char *path, int free_blocks)
{
    static const char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t size = 0;
    ck_assert_int_ge(fd, 0);
    ssize_t put;
    while ((put = write(fd, block, sizeof block)) > 0) {
        size += put;
    }
    ck_assert_int_eq(errno, ENOSPC);
    size = size > free_blocks * (off_t)sizeof block ? size - free_blocks * (off_t)sizeof block : 0;
    ck_assert_int_eq(ftruncate(fd, size), 0);
    close(fd);
}

START_TEST(test_a_full_disk)
{
    if (!mount_small_disk()) {
        return;
    }
    char filler[96];
    snprintf(filler, sizeof filler, "%s/filler", folder);
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    char *before = content(keyring);
    struct ring *ring = large_ring();
    for (int free_blocks = 0; free_blocks < 3; free_blocks++) {
        fill_disk(filler, free_blocks);
        ck_assert_int_eq(ring_commit(source, 1, ring, &why), STATUS_IO);
        assert_reason(fresh, strerror(ENOSPC));
        assert_left_alone(before);
        if (free_blocks == 0) {
            ck_assert_int_eq(commit_new(1), STATUS_IO); /* a small one does not fit either */
            assert_left_alone(before);
        }
    }
    unlink(filler);
    ck_assert_int_eq(commit_new(1), STATUS_OK);
    free(before);
    ring_free(ring);
    ck_assert_int_eq(umount(folder), 0);
}
END_TEST

/* Writing back. */

static struct file_stamp seen;

static struct ring *loaded(void)
{
    struct ring *ring;
    ck_assert_msg(ring_load(source, &ring, &why) == STATUS_OK, "%s", why.text);
    return ring;
}

static void see(void)
{
    ring_source_changed(source, &seen);
}

/* The damaged file's new name, or "". */
static char aside[RING_ASIDE];

static enum status restore(const struct ring *ring)
{
    return ring_restore(source, ring, &seen, file_id_of(folder), noon, aside, &why);
}

static char *aside_path(const char *name)
{
    static char path[192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

START_TEST(test_a_missing_file_is_written_back)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    char *before = content(keyring);
    struct ring *ring = loaded();
    ck_assert_int_eq(unlink(keyring), 0);
    see();
    ck_assert_msg(restore(ring) == STATUS_OK, "%s", why.text);
    char *after = content(keyring);
    struct stat info;
    ck_assert_str_eq(before, after);
    ck_assert_str_eq(aside, "");
    ck_assert_int_eq(lstat(keyring, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    ck_assert_uint_eq(info.st_nlink, 1);
    ck_assert(!exists(fresh));
    ck_assert_int_eq(commit_new(1), STATUS_OK);
    free(before);
    free(after);
    ring_free(ring);
}
END_TEST

static const char *const damages[] = {"", "x", "format 1\ngeneration 1\n",
                                      "format 1\ngeneration 0\nrubbish\n"};

START_TEST(test_a_damaged_file_is_kept_and_replaced)
{
    static const char first[] = "keyring.damaged-2026-11-21T12:00:00Z";
    static const char second[] = "keyring.damaged-2026-11-21T12:00:00Z.1";
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    char *before = content(keyring);
    struct ring *ring = loaded();
    for (int i = 0; i < 2; i++) {
        write_file(keyring, damages[_i]);
        see();
        ck_assert_msg(restore(ring) == STATUS_OK, "%s", why.text);
        ck_assert_str_eq(aside, i == 0 ? first : second);
        char *after = content(keyring);
        ck_assert_str_eq(before, after);
        free(after);
        ck_assert(!exists(fresh));
        struct stat info;
        ck_assert_int_eq(lstat(aside_path(aside), &info), 0);
        ck_assert_uint_eq(info.st_size, strlen(damages[_i]));
        ck_assert_uint_eq(info.st_nlink, 1);
    }
    unlink(aside_path(first));
    unlink(aside_path(second));
    free(before);
    ring_free(ring);
}
END_TEST

START_TEST(test_what_is_not_written_back)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    struct ring *ring = loaded();
    /* a good one */
    see();
    ck_assert_int_eq(restore(ring), STATUS_CONFLICT);
    /* one that has changed since it was seen */
    write_file(keyring, "damaged");
    see();
    write_file(keyring, "damaged, too");
    ck_assert_int_eq(restore(ring), STATUS_CONFLICT);
    ck_assert_int_eq(unlink(keyring), 0);
    ck_assert_int_eq(restore(ring), STATUS_CONFLICT);
    ck_assert(!exists(keyring));
    /* one that has come since nothing was seen */
    see();
    write_file(keyring, "come");
    ck_assert_int_eq(restore(ring), STATUS_CONFLICT);
    /* a later one, and one of a later version */
    write_file(keyring, "format 1\ngeneration 2\nrubbish\n");
    see();
    ck_assert_int_eq(restore(ring), STATUS_REFUSED);
    write_file(keyring, "format 2\n");
    see();
    ck_assert_int_eq(restore(ring), STATUS_REFUSED);
    assert_reason(keyring, "later generation");
    /* one that only has to be put right */
    write_file(keyring, "damaged");
    ck_assert_int_eq(chmod(keyring, 0644), 0);
    see();
    ck_assert_int_eq(restore(ring), STATUS_REFUSED);
    char *text = content(keyring);
    ck_assert_str_eq(text, "damaged");
    free(text);
    /* what is no file */
    ck_assert_int_eq(unlink(keyring), 0);
    ck_assert_int_eq(symlink("nowhere", keyring), 0);
    see();
    ck_assert_int_eq(restore(ring), STATUS_REFUSED);
    ck_assert_int_eq(unlink(keyring), 0);
    /* in another folder */
    see();
    ck_assert_int_eq(ring_restore(source, ring, &seen, file_id_of("/"), noon, aside, &why),
                     STATUS_REFUSED);
    assert_reason(folder, "not the folder of the start");
    ck_assert(!exists(keyring) && !exists(fresh));
    ring_free(ring);
}
END_TEST

START_TEST(test_a_write_back_that_fails_leaves_all_as_it_was)
{
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    struct ring *ring = large_ring();
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {.rlim_cur = 5000, .rlim_max = limit.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    for (int damaged = 0; damaged < 2; damaged++) {
        ck_assert_int_eq(unlink(keyring), 0);
        if (damaged) {
            write_file(keyring, "damaged");
        }
        see();
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        enum status status = restore(ring);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        ck_assert_int_eq(status, STATUS_IO);
        assert_reason(fresh, strerror(EFBIG));
        ck_assert(exists(keyring) == (damaged != 0) && !exists(fresh));
        ck_assert_str_eq(aside, "");
        if (!damaged) {
            write_file(keyring, "");
        }
    }
    ring_free(ring);
}
END_TEST

START_TEST(test_kills_leave_the_lost_file_or_the_ring)
{
    enum { KILLS = 60 };
    ck_assert_int_eq(commit_new(0), STATUS_OK);
    char *good = content(keyring);
    struct ring *ring = loaded();
    unsigned written = 0;
    for (int i = 0; i < KILLS; i++) {
        bool damaged = i % 2 != 0;
        unlink(keyring);
        if (damaged) {
            write_file(keyring, "damaged");
        }
        see();
        pid_t child = fork();
        if (child == 0) {
            restore(ring);
            pause();
        }
        const struct timespec moment = {.tv_nsec = (long)(i / 2) * 100000};
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        ck_assert(exists(keyring) || !damaged);
        char *text = exists(keyring) ? content(keyring) : NULL;
        ck_assert(text == NULL || strcmp(text, damaged ? "damaged" : good) == 0 ||
                  strcmp(text, good) == 0);
        written += text != NULL && strcmp(text, good) == 0;
        free(text);
        see();
        enum status status = restore(ring);
        ck_assert(status == STATUS_OK || status == STATUS_CONFLICT);
        ck_assert_int_eq(load(NULL), STATUS_OK);
    }
    printf("%u of %d were written before the kill\n", written, KILLS);
    char command[128];
    snprintf(command, sizeof command, "rm -f %s/keyring.damaged-*", folder);
    ck_assert_int_eq(system(command), 0);
    free(good);
    ring_free(ring);
}
END_TEST

START_TEST(test_random_octets)
{
    uint8_t a[300], b[300];
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    ck_assert_int_eq(random_octets(a, sizeof a, &why), STATUS_OK);
    ck_assert_int_eq(random_octets(b, sizeof b, &why), STATUS_OK);
    ck_assert(memcmp(a, b, sizeof a) != 0);
    ck_assert(memcmp(a + 280, b + 280, 20) != 0);
    ck_assert_int_eq(random_octets(NULL, 0, NULL), STATUS_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_file");
    TCase *tcase = tcase_create("ring_file");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_made_loaded_replaced);
    tcase_add_test(tcase, test_what_was_stored_is_what_is_loaded);
    tcase_add_test(tcase, test_conflict);
    tcase_add_test(tcase, test_a_first_ring_overwrites_nothing);
    tcase_add_loop_test(tcase, test_modes, 0, COUNT(modes));
    tcase_add_test(tcase, test_owner);
    tcase_add_test(tcase, test_what_is_no_regular_file);
    tcase_add_test(tcase, test_sizes);
    tcase_add_test(tcase, test_a_ring_of_very_many_domains);
    tcase_add_test(tcase, test_a_ring_too_large_to_be_read_is_not_written);
    tcase_add_test(tcase, test_damage_is_told_by_path_and_line);
    tcase_add_test(tcase, test_the_mode_is_right_under_any_umask);
    tcase_add_test(tcase, test_left_over_files_of_a_killed_writer);
    tcase_add_test(tcase, test_a_missing_folder);
    tcase_add_test(tcase, test_change);
    tcase_add_test(tcase, test_threads_lose_no_change);
    tcase_add_test(tcase, test_processes_lose_no_change);
    tcase_add_test(tcase, test_a_writer_waits_for_the_lock);
    tcase_add_test(tcase, test_what_counts_as_changed);
    tcase_add_test(tcase, test_sixty_kills_leave_sixty_whole_rings);
    tcase_add_test(tcase, test_a_write_that_is_cut_short);
    tcase_add_test(tcase, test_a_full_disk);
    tcase_add_test(tcase, test_a_missing_file_is_written_back);
    tcase_add_loop_test(tcase, test_a_damaged_file_is_kept_and_replaced, 0, COUNT(damages));
    tcase_add_test(tcase, test_what_is_not_written_back);
    tcase_add_test(tcase, test_a_write_back_that_fails_leaves_all_as_it_was);
    tcase_add_test(tcase, test_kills_leave_the_lost_file_or_the_ring);
    tcase_add_test(tcase, test_random_octets);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
