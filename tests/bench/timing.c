/*
 * Whether the time that a forged tag takes says how much of its MAC was right: addresses with a tag
 * that is wrong in its first digit, and ones that are wrong in the last, in a random order. Prints
 * the means in nanoseconds and Welch's t, after the slowest twentieth of each has been left out,
 * and the same for a comparison that ends at the first difference, which must be told apart. An
 * argument is the number of tries of each, 1000000 by default. Ends with 1 where |t| > 4.5.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batv/tag.h"

enum { DAY = 20779, LIFETIME = 7 };
static const double threshold = 4.5; /* usual in testing for leaks */

static struct ring *ring;
static char *forgeries[2]; /* local parts: wrong in the first digit, and in the last */
static struct address claimed;
static volatile bool result;

static void verify(int kind)
{
    struct tag_check check;
    char *plain = NULL;
    /* both from the same place in memory */
    memcpy(claimed.local, forgeries[kind], strlen(forgeries[kind]));
    result =
        tag_verify(ring, &claimed, LIFETIME, (time_t)DAY * 86400, &check, &plain) == STATUS_OK &&
        check.result == RESULT_BAD_SIGNATURE;
    free(plain);
}

/* The control: 4096 octets, so that it is seen through the clock's own cost. */
static void compare_carelessly(int kind)
{
    static volatile unsigned char right[4096];
    static volatile unsigned char claimed[2][4096] = {{1}, {0}};
    size_t i = 0;
    while (i < sizeof right && right[i] == claimed[kind][i]) {
        i++;
    }
    result = i == sizeof right;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void moments(double *times, size_t count, double *mean, double *variance)
{
    qsort(times, count, sizeof *times, compare_doubles);
    count -= count / 20;
    *mean = *variance = 0;
    for (size_t i = 0; i < count; i++) {
        *mean += times[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        *variance += (times[i] - *mean) * (times[i] - *mean) / (double)(count - 1);
    }
}

static double clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Welch's t. */
static double measure(const char *name, void (*work)(int), size_t tries)
{
    double *times[2] = {malloc(tries * sizeof(double)), malloc(tries * sizeof(double))};
    size_t count[2] = {0, 0};
    double mean[2];
    double variance[2];
    uint64_t chance = 88172645463325252U;
    if (times[0] == NULL || times[1] == NULL) {
        abort();
    }
    while (count[0] < tries || count[1] < tries) {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        int kind = (int)(chance >> 40 & 1);
        kind = count[kind] < tries ? kind : 1 - kind;
        double begun = clock_ns();
        work(kind);
        times[kind][count[kind]++] = clock_ns() - begun;
    }
    for (int kind = 0; kind < 2; kind++) {
        moments(times[kind], tries, &mean[kind], &variance[kind]);
        free(times[kind]);
    }
    double n = (double)(tries - tries / 20);
    double t = (mean[0] - mean[1]) / sqrt(variance[0] / n + variance[1] / n);
    printf("| %s | %.1f | %.1f | %.2f |\n", name, mean[0], mean[1], t);
    return t;
}

static void make(void)
{
    struct key_policy policy = {.rotate_days = 7, .retain_days = 7, .lifetime_days = LIFETIME};
    static const uint8_t octets[SECRET_SIZE] = {1, 2, 3};
    struct address plain;
    struct reason why;
    char *tagged = NULL;
    int key;
    int64_t expires;
    ring = ring_new();
    bool made = ring != NULL && address_parse("alice@example.com", &plain) == STATUS_OK &&
                ring_rotate(ring, &policy, ALGORITHM_HMAC_SHA256, (time_t)DAY * 86400, 0, octets,
                            &why) == STATUS_OK &&
                tag_sign(ring, &plain, TAG_PREFIX, LIFETIME, (time_t)DAY * 86400, &tagged, &key,
                         &expires) == STATUS_OK;
    for (int kind = 0; made && kind < 2; kind++) {
        char *digit = strchr(tagged, '=') + 5 + 5 * kind;
        char former = *digit;
        *digit = former == '0' ? '1' : '0';
        address_free(&claimed);
        made = address_parse(tagged, &claimed) == STATUS_OK &&
               (forgeries[kind] = strdup(claimed.local)) != NULL;
        *digit = former;
    }
    if (!made) {
        abort();
    }
    free(tagged);
    address_free(&plain);
}

int main(int argc, char **argv)
{
    size_t tries = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    if (argc > 2 || tries < 1000) {
        fprintf(stderr, "usage: timing [TRIES]\n");
        return 2;
    }
    make();
    printf("%zu tries of each\n\n| | wrong at the start, ns | wrong at the end, ns | t |\n"
           "|---|---|---|---|\n",
           tries);
    double control = measure("careless comparison of 4096 octets", compare_carelessly, tries / 100);
    double tag = measure("`tag_verify`", verify, tries);
    if (fabs(control) < threshold) {
        printf("\nThis machine is too noisy: what must differ does not.\n");
    }
    return fabs(tag) > threshold || fabs(control) < threshold;
}
