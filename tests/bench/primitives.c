/*
 * Measures what a message costs beside libmilter: signing and verifying an address, next to the two
 * SHA-256 compressions that no HMAC can do without, and reading bounces: primitives [FILE]...
 *
 * All are measured in turns, in rounds of some milliseconds, so that what else the machine does
 * hits all alike. Prints a line "NAME<TAB>MIDDLE<TAB>LEAST<TAB>MOST" for each, in nanoseconds of
 * the thread's processor time a call; a file's name is its path. Whatever goes wrong ends the
 * program with status 1.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* the bare compression has no other name */

#include <err.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "batv/day.h"
#include "batv/tag.h"
#include "content/mime.h"

enum { ROUNDS = 41, ROUND_US = 4000, MEASURED_MAX = 40, LIFETIME = 7, TODAY = 20779 };

static const time_t noon = (time_t)TODAY * DAY_SECONDS + DAY_SECONDS / 2;
static const char user[] = "alice@example.com";

struct measured {
    const char *name;
    void (*call)(const struct measured *);
    char *octets; /* of a file */
    size_t length;
    size_t calls; /* a round */
    double ns[ROUNDS];
};

static struct measured all[MEASURED_MAX];
static size_t count;
static struct ring *ring;
static struct address address, tagged, forged;
static SHA256_CTX hash;

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ------------------------------------------------------------ what is called */

static void compress_twice(const struct measured *m)
{
    static const unsigned char block[SHA256_CBLOCK] = "3785alice@example.com";
    (void)m;
    SHA256_Transform(&hash, block);
    SHA256_Transform(&hash, block);
}

static void sign(const struct measured *m)
{
    char *text;
    int key;
    int64_t expires;
    (void)m;
    if (tag_sign(ring, &address, TAG_PREFIX, LIFETIME, noon, &text, &key, &expires) != STATUS_OK) {
        errx(1, "signing failed");
    }
    free(text);
}

static void verify_as(const struct address *candidate, enum result expected)
{
    struct tag_check check;
    char *plain;
    if (tag_verify(ring, candidate, LIFETIME, noon, &check, &plain) != STATUS_OK ||
        check.result != expected) {
        errx(1, "verifying gave a wrong answer");
    }
    free(plain);
}

static void verify_valid(const struct measured *m)
{
    (void)m;
    verify_as(&tagged, RESULT_VALID);
}

static void verify_forged(const struct measured *m)
{
    (void)m;
    verify_as(&forged, RESULT_BAD_SIGNATURE);
}

static void read_bounce(const struct measured *m)
{
    struct bounce *bounce;
    struct budget budget = budget_of(m->length);
    if (mime_read_bounce(m->octets, m->length, &budget, &bounce) != STATUS_OK) {
        errx(1, "%s: not read", m->name);
    }
    bounce_free(bounce);
}

/* ---------------------------------------------------------------- preparing */

static void parse(const char *text, struct address *out)
{
    if (address_parse(text, out) != STATUS_OK) {
        errx(1, "%s: no address", text);
    }
}

static void make_addresses(void)
{
    static const struct key_policy policy = {.lifetime_days = LIFETIME, .retain_days = LIFETIME};
    uint8_t octets[SECRET_SIZE];
    char *text;
    int key;
    int64_t expires;
    memset(octets, 7, sizeof octets);
    ring = ring_new();
    if (ring == NULL || ring_rotate(ring, &policy, ALGORITHM_HMAC_SHA256, noon - DAY_SECONDS, 0,
                                    octets, NULL) != STATUS_OK) {
        errx(1, "no ring");
    }
    parse(user, &address);
    if (tag_sign(ring, &address, TAG_PREFIX, LIFETIME, noon, &text, &key, &expires) != STATUS_OK) {
        errx(1, "signing failed");
    }
    parse(text, &tagged);
    text[TAG_ADDED - 2] = text[TAG_ADDED - 2] == '0' ? '1' : '0'; /* the last digit of the MAC */
    parse(text, &forged);
    free(text);
    SHA256_Init(&hash);
}

static struct measured *add(const char *name, void (*call)(const struct measured *))
{
    if (count == MEASURED_MAX) {
        errx(1, "too many files");
    }
    all[count] = (struct measured){.name = name, .call = call};
    return &all[count++];
}

static void add_file(const char *path)
{
    struct measured *m = add(path, read_bounce);
    FILE *file = fopen(path, "r");
    size_t room = 0;
    if (file == NULL) {
        err(1, "%s", path);
    }
    do {
        room += 65536;
        m->octets = realloc(m->octets, room);
        if (m->octets == NULL) {
            err(1, NULL);
        }
        m->length += fread(m->octets + m->length, 1, room - m->length, file);
    } while (m->length == room);
    if (ferror(file)) {
        err(1, "%s", path);
    }
    fclose(file);
}

/* ---------------------------------------------------------------- measuring */

static double round_of(const struct measured *m, size_t calls)
{
    double begun = cpu_ns();
    for (size_t i = 0; i < calls; i++) {
        m->call(m);
    }
    return cpu_ns() - begun;
}

/* As many calls as fill a round. */
static void calibrate(struct measured *m)
{
    double ns = 0;
    for (m->calls = 1; ns < ROUND_US * 1e3 / 2; m->calls *= 2) {
        ns = round_of(m, m->calls);
    }
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv)
{
    mime_init();
    make_addresses();
    add("two SHA-256 compressions", compress_twice);
    add("sign", sign);
    add("verify, valid", verify_valid);
    add("verify, forged", verify_forged);
    for (int i = 1; i < argc; i++) {
        add_file(argv[i]);
    }
    for (size_t i = 0; i < count; i++) {
        calibrate(&all[i]);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            all[i].ns[round] = round_of(&all[i], all[i].calls) / (double)all[i].calls;
        }
    }
    for (size_t i = 0; i < count; i++) {
        qsort(all[i].ns, ROUNDS, sizeof all[i].ns[0], compare);
        printf("%s\t%.1f\t%.1f\t%.1f\n", all[i].name, all[i].ns[ROUNDS / 2], all[i].ns[0],
               all[i].ns[ROUNDS - 1]);
        free(all[i].octets);
    }
    address_free(&forged);
    address_free(&tagged);
    address_free(&address);
    ring_free(ring);
    return 0;
}
