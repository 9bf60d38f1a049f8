/*
 * Measures the journal: journal FOLDER [ENTRIES]. Fills one in FOLDER, which must be empty, as a
 * busy day would, then looks, counts, expires and opens it again. Prints a table in Markdown.
 *
 * Times are of the calling thread's wall clock, so what else the machine does is in them; medians
 * and worst cases are of single calls. Whatever goes wrong ends the program with status 1.
 */
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "batv/day.h"
#include "store/journal.h"

enum {
    DAYS = 30,
    EXPIRED_DAYS = 5,
    ROUND = 10000,
    LOOKS = 200000,
    SMALL = 1000,
    REPEATS = 20,
    TODAY = 20779,
    LEAST = 1000
};

static const time_t noon = (time_t)TODAY * DAY_SECONDS + DAY_SECONDS / 2;
static const char address[] = "alice@example.com";

static struct journal *journal;
static struct ring *ring;
static struct reason why;
static uint32_t total = 1000000;
static uint32_t beyond; /* all that is put before entries expire */

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static const char *id_of(uint32_t number, char id[static 64])
{
    snprintf(id, 64, "20261122120000.%u.%08x@mail.example.com", number, number * 2654435761U);
    return id;
}

static uint32_t chance(void)
{
    static uint64_t state = 1;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 32);
}

static void put(uint32_t number, int64_t expires)
{
    char id[64];
    journal_put(journal, ring, address, id_of(number, id), 23, expires);
}

/* The day on which an entry expires: each day about as many, and one day a commit. */
static int64_t day_of_number(uint32_t number)
{
    return TODAY + 1 + (int64_t)(number / ROUND) * DAYS / (int64_t)((total + ROUND - 1) / ROUND);
}

/* When an entry was put that expires on that day. */
static time_t put_at(int64_t day)
{
    return noon + (time_t)(day - TODAY - DAYS - 1) * DAY_SECONDS;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Of some figures: the middle one, and that which 1 of 1000 exceed, and the largest. */
struct spread {
    double middle, most, largest;
};

static struct spread spread_of(double *figures, size_t count)
{
    qsort(figures, count, sizeof *figures, compare);
    return (struct spread){figures[count / 2], figures[count - 1 - count / 1000],
                           figures[count - 1]};
}

static double *figures_new(size_t count)
{
    double *figures = calloc(count, sizeof *figures);
    if (figures == NULL) {
        err(1, NULL);
    }
    return figures;
}

static struct journal_stat stat_now(void)
{
    struct journal_stat stat;
    if (journal_stat(journal, &stat, &why) != STATUS_OK) {
        errx(1, "%s", why.text);
    }
    return stat;
}

static void row(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void row(const char *what, const char *format, ...)
{
    va_list arguments;
    printf("| %s | ", what);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    puts(" |");
    fflush(stdout);
}

/* A number that the kernel gives of this process. */
static double of_process(const char *path, const char *name)
{
    char line[256];
    unsigned long number = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        err(1, "%s", path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            number = strtoul(line + strlen(name), NULL, 10);
        }
    }
    fclose(file);
    return (double)number;
}

/* What malloc and threads have taken, and what is mapped, as the kernel counts it. */
static void memory_rows(void)
{
    row("anonymous memory", "%.1f MB", of_process("/proc/self/status", "RssAnon:") / 1000);
    row("resident memory", "%.1f MB", of_process("/proc/self/status", "VmRSS:") / 1000);
    row("address space", "%.0f MB", of_process("/proc/self/status", "VmSize:") / 1000);
}

static double octets_written(void)
{
    return of_process("/proc/self/io", "wchar:");
}

static void open_journal(const char *folder)
{
    if (journal_open(folder, (uint64_t)4 << 30, DAYS, &journal, &why) != STATUS_OK ||
        journal_trouble(journal, &why)) {
        errx(1, "%s", why.text);
    }
}

/* ---------------------------------------------------------------- filling */

static void fill(void)
{
    size_t rounds = (total + ROUND - 1) / ROUND;
    double *works = figures_new(rounds);
    double put_us = 0, put_cpu = 0;
    double written = octets_written();
    double begun = now_us();
    for (uint32_t number = 0, round = 0; number < total; round++) {
        double before = now_us(), cpu_before = cpu_us();
        for (uint32_t end = number + ROUND; number < end && number < total; number++) {
            put(number, day_of_number(number));
        }
        double after = now_us();
        put_us += after - before;
        put_cpu += cpu_us() - cpu_before;
        journal_work(journal, put_at(day_of_number(number - 1)));
        works[round] = now_us() - after;
    }
    double all_us = now_us() - begun;
    struct spread work = spread_of(works, rounds);
    row("journal_put, one thread", "%.2f us; processor %.2f", put_us / total, put_cpu / total);
    row("put and committed, 10,000 a commit", "%.0f a second", total / all_us * 1e6);
    row("a commit of 10,000 while it grows", "%.0f ms, at most %.0f", work.middle / 1e3,
        work.largest / 1e3);
    row("octets written an entry, 10,000 a commit", "%.0f", (octets_written() - written) / total);
    free(works);

    struct journal_stat stat = stat_now();
    row("entries", "%" PRIu64, stat.entries);
    row("octets an entry, in use", "%.1f", (double)stat.used / (double)stat.entries);
    row("octets an entry, file", "%.1f", (double)stat.size / (double)stat.entries);
    row("entries that fit into 1 GiB", "%.1f million",
        0.875 * (1 << 30) / ((double)stat.used / (double)stat.entries) / 1e6);
}

/* A busy second: 1,000 messages. */
static void commit_some(void)
{
    double works[REPEATS];
    double cpu = 0;
    double written = octets_written();
    for (uint32_t i = 0; i < REPEATS; i++) {
        for (uint32_t n = 0; n < SMALL; n++) {
            put(total + i * SMALL + n, TODAY + DAYS);
        }
        double before = now_us(), cpu_before = cpu_us();
        journal_work(journal, noon);
        works[i] = now_us() - before;
        cpu += cpu_us() - cpu_before;
    }
    struct spread work = spread_of(works, REPEATS);
    row("a commit of 1,000 into it", "%.1f ms, at most %.1f; processor %.1f", work.middle / 1e3,
        work.largest / 1e3, cpu / REPEATS / 1e3);
    row("octets written an entry, 1,000 a commit", "%.0f",
        (octets_written() - written) / (REPEATS * SMALL));
}

/* ---------------------------------------------------------------- looking */

static void look_for(const char *what, uint32_t from, uint32_t count, enum journal_answer expected)
{
    double *times = figures_new(LOOKS);
    double begun = now_us();
    for (size_t i = 0; i < LOOKS; i++) {
        char id[64];
        uint32_t number = from + chance() % count;
        id_of(number, id);
        double before = now_us();
        if (journal_look(journal, ring, address, id, noon, NULL) != expected) {
            errx(1, "%s: a wrong answer", what);
        }
        times[i] = now_us() - before;
    }
    double each = (now_us() - begun) / LOOKS;
    struct spread time = spread_of(times, LOOKS);
    row(what, "%.2f us each; middle %.2f, 1 of 1000 over %.1f", each, time.middle, time.most);
    free(times);
}

static void count_uses(void)
{
    double begun = now_us();
    uint32_t uses = total < LOOKS ? total : LOOKS;
    for (uint32_t i = 0; i < uses; i++) {
        char id[64];
        if (journal_note_use(journal, ring, address, id_of(i, id), 23, day_of(noon) + 30, noon) !=
            JOURNAL_YES) {
            errx(1, "use: a wrong answer");
        }
    }
    row("journal_note_use", "%.2f us each", (now_us() - begun) / uses);
    journal_work(journal, noon);
}

static void *look_by_thread(void *argument)
{
    uint32_t state = *(const uint32_t *)argument;
    for (uint32_t i = 0; i < LOOKS / 8; i++) {
        char id[64];
        state = state * 1664525 + 1013904223;
        id_of((state >> 3) % (2 * total), id);
        (void)journal_look(journal, ring, address, id, noon, NULL);
    }
    return NULL;
}

static void look_with_threads(void)
{
    pthread_t threads[8];
    uint32_t seeds[8];
    double begun = now_us();
    for (uint32_t i = 0; i < 8; i++) {
        seeds[i] = i + 1;
        if (pthread_create(&threads[i], NULL, look_by_thread, &seeds[i]) != 0) {
            errx(1, "cannot start a thread");
        }
    }
    for (uint32_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    row("look-ups by 8 threads, half of them hits", "%.0f a second",
        LOOKS / (now_us() - begun) * 1e6);
}

/* --------------------------------------------------------------- expiring */

static atomic_bool ended;
static struct spread disturbed;
static size_t put_meanwhile;

/* 3,000 messages a second, and 1,000 look-ups, which are measured. */
static void *put_and_look(void *argument)
{
    (void)argument;
    enum { COUNT = 1000000, EACH = 3 };
    double *times = figures_new(COUNT);
    size_t count = 0;
    double begun = now_us();
    while (!ended && count < COUNT) {
        char id[64];
        for (int i = 0; i < EACH; i++) {
            put(beyond + total + (uint32_t)put_meanwhile++, TODAY + DAYS + EXPIRED_DAYS);
        }
        id_of(chance() % (2 * total), id);
        double before = now_us();
        (void)journal_look(journal, ring, address, id, noon, NULL);
        times[count++] = now_us() - before;
        double wait = (double)count * 1000 - (now_us() - begun);
        const struct timespec pause = {0, wait > 0 && wait < 1e6 ? (long)(wait * 1000) : 0};
        nanosleep(&pause, NULL);
    }
    disturbed = spread_of(times, count);
    free(times);
    return NULL;
}

/* What expires in some days, while mail goes through; a round of the writer each second. */
static void expire(void)
{
    enum { ROUNDS = 15 };
    pthread_t thread;
    double works[ROUNDS];
    uint64_t before_all = stat_now().entries;
    if (pthread_create(&thread, NULL, put_and_look, NULL) != 0) {
        errx(1, "cannot start a thread");
    }
    for (int i = 0; i < ROUNDS; i++) {
        double before = now_us();
        journal_work(journal, noon + (time_t)EXPIRED_DAYS * DAY_SECONDS);
        works[i] = now_us() - before;
        const struct timespec pause = {0, works[i] < 999e3 ? (long)(1e9 - works[i] * 1e3) : 1};
        nanosleep(&pause, NULL);
    }
    ended = true;
    pthread_join(thread, NULL);
    uint64_t waiting = stat_now().pending;
    uint64_t gone = before_all + put_meanwhile - waiting - stat_now().entries;
    struct spread work = spread_of(works, ROUNDS);
    row("expiry, at 3,000 messages a second",
        "%" PRIu64 " entries in %d rounds; a round %.0f ms, at most %.0f", gone, ROUNDS,
        work.middle / 1e3, work.largest / 1e3);
    row("a look-up meanwhile", "middle %.1f us, 1 of 1000 over %.0f, at most %.0f",
        disturbed.middle, disturbed.most, disturbed.largest);
}

int main(int argc, char **argv)
{
    uint8_t octets[SECRET_SIZE];
    if (argc < 2) {
        errx(1, "usage: journal FOLDER [ENTRIES]");
    }
    total = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : total;
    beyond = 2 * total + SMALL * REPEATS;
    memset(octets, 7, sizeof octets);
    ring = ring_new();
    if (ring == NULL || total < LEAST || ring_rotate_evidence(ring, octets) != STATUS_OK) {
        errx(1, "no ring, or fewer than %d entries", LEAST);
    }
    puts("| what | measured |\n|---|---|");
    open_journal(argv[1]);
    fill();
    commit_some();
    memory_rows();
    look_for("look-up, hit", 0, total, JOURNAL_YES);
    look_for("look-up, miss", beyond + 1, total, JOURNAL_NO);
    look_with_threads();
    count_uses();
    put(beyond, TODAY + DAYS);
    look_for("look-up, hit in memory", beyond, 1, JOURNAL_YES);
    expire();
    double begun = now_us();
    journal_close(journal);
    row("closing", "%.0f ms", (now_us() - begun) / 1e3);
    begun = now_us();
    open_journal(argv[1]);
    row("opening", "%.0f ms", (now_us() - begun) / 1e3);
    journal_close(journal);
    ring_free(ring);
    return 0;
}
