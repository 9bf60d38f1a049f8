/*
 * A search for time per octet: texts are made by repeating what the reader of bounces looks for, in
 * every mixture and wrapping, from fixed seeds. Their work is counted in steps, which are the same
 * on every machine and every day; beside, no step may take long. ROUNDS in the environment makes it
 * search longer, from other seeds, and tell what was worst.
 */
#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../suite.h"
#include "batv/budget.h"
#include "content/mime.h"

enum {
    KIB = 1024,
    ROUNDS = 2000,
    SIZE = 16 * KIB,
    UNITS = 6,        /* pieces in what is repeated */
    UNIT_MAX = KIB,   /* octets of it, or a few more: many of it make the text */
    SHOWN = 200,      /* octets, of each end */
    TURNS = 5,        /* of measuring the time */
    BASE = 60000,     /* steps that do not depend on the length: lists of 200 that are filled */
    MOST_STEPS = 150, /* for an octet, without a budget */
    MOST_NANOSECONDS = 3000 /* the same; a tenth of it on a quiet machine */
};
static const double GROWTH = 2.2;

static const char *const pieces[] = {
    "&#1;",
    "&#0;",
    "&#x3c;",
    "&#60",
    "&lt;",
    "&gt;",
    "&amp;",
    "&nbsp;",
    "&",
    "&#",
    "\\u003c",
    "\\u0000",
    "\\n",
    "\\\\",
    "\\\"",
    "<",
    ">",
    "<b>",
    "</b>",
    "<br>",
    "<td>",
    "<b ",
    "<!--",
    "-->",
    "<a href=\"",
    "id(",
    "id:",
    "id",
    "(",
    ")",
    "()",
    "(x)",
    "message-id",
    "message-id:",
    "Message-ID: <",
    "msgid",
    "msg_id=",
    "X-Original-Message-ID: ",
    "prvs=",
    "prvs=1234abcdef=",
    "+prvs=1234abcdef@",
    "\"prvs=1234abcdef=",
    "a@b",
    "1234@example.com",
    "@",
    "x-batv-evidence:",
    "X-Batv-Evidence: v=1; d=20778; n=0011223344556677; s=",
    "00112233445566778899aabb",
    "References: ",
    "\nReferences:",
    "In-Reply-To:",
    "\nIn-Reply-To: <",
    "<a1@b>",
    " is was of the ",
    "value ",
    "header",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\n ",
    "\n\t",
    "\n> ",
    "\n>>>>|",
    " ",
    "        ",
    "\t",
    "\"",
    "'",
    ",",
    ";",
    ":",
    "=",
    "{",
    "[",
    "*",
    "-",
    "=3D",
    "=\n",
    "=20",
    "=   ",
    "\n--b\n",
    "\n--b--\n",
    "\n--",
    "--b \t",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "TWVzc2FnZS1JRDogPDFAeD4KTWVzc2FnZS1JRDogPDFAeD4K\n",
    "a:\n",
    "Subject: =?utf-8?q?",
    "Content-Type: ",
    "text/plain",
    "; charset=utf-7",
    "message/rfc822\n\n",
    "\n--b\nContent-Type: ",
    "multipart/mixed; boundary=b\n\n",
    "multipart/mixed; boundary=\"b b\"\n\n",
    "x",
    "1234",
    "aaaaaaaa",
    "\xe2\x80\x8b",
    "\xc2\xa0",
    "The quick brown fox ",
    "\x7f",
    "<!--",
    "<!-- ",
    "<![CDATA[",
    "<!",
    "<?",
    "<x y=z>",
    "<x9 ",
    "</MessageId>",
    "<MessageId>",
    "<n:MessageId ",
    "\xef\xbc\x9c",
    "\xef\xbc\xa0",
    "\xe3\x80\x88",
    "\xc2\xab",
    "\xc2\xad",
    "\xd0\x98\xd0\x94: ",
    "\xd0\x98",
    "%40",
    "%3C",
    "%2540",
    "%25",
    "%",
    "mailto:",
    "CwMxQnPbRtZk@mail.example.com",
    "20261122.7F3A91C02@mail.example.com",
    "20261122.7F3A91C02@",
    "\n91C02@mail.",
    "7F3A\n",
    "1=2/3&4?",
    "@[",
    "@\n",
    "`{|",
    "begin 644 x\n",
    "> begin 644 x\n",
    "#86)C\n",
    "AAAAAAAAAA\n",
    "> AAAAAAAAAAAAAAA\n",
    "\xd4\x85\xa2\xa2\x81\x87\x85\x60\xc9\xc4\x7a\x40\x4c",
};

static const char *const wrappings[] = {
    "From: MAILER-DAEMON@x\n\n",
    "From: MAILER-DAEMON@x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n",
    "From: x\nContent-Transfer-Encoding: quoted-printable\n\n",
    "From: x\nContent-Type: text/plain; charset=utf-7\n\n",
    "From: x\nContent-Type: message/rfc822\n\nTo: x\n\n",
    "From: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\nX: ",
    "References: <1@x>\n ",
    "From: x\n\nMessage-ID: <1@x>\nReferences: ",
    "From: x\n\n        <b>        ",
    "From: x\n\n> ",
    "From: ",
    "X: y\n",
    "",
};

struct maker {
    uint64_t state;
    char octets[2 * SIZE + 4 * KIB];
    size_t length;
};

static unsigned chance(struct maker *maker, size_t below)
{
    maker->state ^= maker->state >> 12;
    maker->state ^= maker->state << 25;
    maker->state ^= maker->state >> 27;
    return (unsigned)(((maker->state * UINT64_C(2685821657736338717)) >> 33) % below);
}

static void put(struct maker *maker, const char *piece)
{
    size_t length = strlen(piece);
    if (length <= sizeof maker->octets - maker->length) {
        memcpy(maker->octets + maker->length, piece, length);
        maker->length += length;
    }
}

/* What is repeated: some pieces, each some times. */
struct unit {
    const char *piece[UNITS];
    unsigned times[UNITS];
    size_t count;
};

static struct unit make_unit(struct maker *maker)
{
    struct unit unit = {.count = 1 + chance(maker, UNITS)};
    for (size_t i = 0; i < unit.count; i++) {
        unit.piece[i] = pieces[chance(maker, COUNT_OF(pieces))];
        unit.times[i] = chance(maker, 4) > 0 ? 1 : 1 + chance(maker, 120);
    }
    return unit;
}

static void put_unit(struct maker *maker, const struct unit *unit)
{
    size_t end = maker->length + UNIT_MAX;
    for (size_t i = 0; i < unit->count; i++) {
        for (unsigned n = 0; n < unit->times[i] && maker->length < end; n++) {
            put(maker, unit->piece[i]);
        }
    }
}

/* The text that a seed stands for, of so many octets or a few more. */
static void make(struct maker *maker, uint64_t seed, size_t size)
{
    maker->state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    maker->length = 0;
    put(maker, wrappings[chance(maker, COUNT_OF(wrappings))]);
    struct unit first = make_unit(maker);
    struct unit second = make_unit(maker);
    size_t turn = chance(maker, 2) == 0 ? 0 : size / 2; /* one of the two, and then the other */
    while (maker->length < size) {
        put_unit(maker, maker->length < turn ? &first : &second);
    }
}

struct measured {
    size_t spent;
    double steps; /* for each octet */
    double seconds;
};

static struct measured measure(const struct maker *maker)
{
    struct bounce *bounce = NULL;
    struct timespec from, to;
    struct budget budget = {INT64_MAX / 2, INT64_MAX / 2};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    enum status status = mime_read_bounce(maker->octets, maker->length, &budget, &bounce);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    REQUIRE(status == STATUS_OK);
    bounce_free(bounce);
    return (struct measured){
        .spent = budget_spent(&budget),
        .steps = (double)budget_spent(&budget) / (double)maker->length,
        .seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec),
    };
}

static void tell(const char *what, uint64_t seed, const struct maker *maker,
                 const struct measured *m)
{
    if (getenv("ROUNDS") == NULL) {
        return;
    }
    printf("%s: seed %llu, %zu octets: %.1f steps and %.0f ns for each, %.1f ns a step\n", what,
           (unsigned long long)seed, maker->length, m->steps,
           1e9 * m->seconds / (double)maker->length, 1e9 * m->seconds / (double)m->spent);
    for (size_t i = 0; i < maker->length; i = i == SHOWN ? maker->length - SHOWN : i + 1) {
        bool plain = maker->octets[i] >= ' ' && maker->octets[i] <= '~';
        printf(plain ? "%c" : "{%02x}", (unsigned)(unsigned char)maker->octets[i]);
    }
    printf("\n");
}

/* The best of some: others may be at work beside. */
static void measure_again(const struct maker *maker, double longest, struct measured *m)
{
    for (int turn = 0; turn < TURNS && m->seconds > longest * (double)maker->length; turn++) {
        struct measured again = measure(maker);
        REQUIRE(again.spent == m->spent);
        m->seconds = again.seconds < m->seconds ? again.seconds : m->seconds;
    }
}

/* Twice as long a text may cost twice as much. */
static void check_growth(struct maker *maker, uint64_t seed, const struct measured *half)
{
    make(maker, seed, 2 * SIZE);
    struct measured m = measure(maker);
    ck_assert_msg(m.spent < GROWTH * half->spent + BASE, "seed %llu: %zu steps, and %zu for twice",
                  (unsigned long long)seed, half->spent, m.spent);
}

START_TEST(no_text_costs_more_than_its_length)
{
    static struct maker maker;
    const char *multiplier = getenv("CK_TIMEOUT_MULTIPLIER");
    double patience = multiplier != NULL ? atof(multiplier) : 1;
    const char *rounds = getenv("ROUNDS");
    uint64_t first = rounds != NULL ? (uint64_t)time(NULL) * 1000 : 1;
    uint64_t last = first + (rounds != NULL ? strtoull(rounds, NULL, 10) : ROUNDS);
    double most = 0, longest = 0;
    for (uint64_t seed = first; seed < last; seed++) {
        make(&maker, seed, SIZE);
        struct measured m = measure(&maker);
        measure_again(&maker, longest, &m);
        if (m.steps > most) {
            most = m.steps;
            tell("steps", seed, &maker, &m);
        }
        if (m.seconds > longest * (double)maker.length) {
            longest = m.seconds / (double)maker.length;
            tell("time", seed, &maker, &m);
        }
        ck_assert_msg(m.steps < MOST_STEPS, "seed %llu: %.1f steps for each octet",
                      (unsigned long long)seed, m.steps);
        check_growth(&maker, seed, &m);
    }
    ck_assert_msg(1e9 * longest < patience * MOST_NANOSECONDS, "%.0f ns for an octet",
                  1e9 * longest);
}
END_TEST

/* Once the budget is used up, all is over within a little: nothing goes on for long without looking
 * at it. */
START_TEST(reading_ends_with_its_budget)
{
    static struct maker maker;
    for (uint64_t seed = 1; seed <= ROUNDS / 3; seed++) {
        struct bounce *bounce = NULL;
        make(&maker, seed, 2 * SIZE);
        struct budget budget = {(int64_t)maker.length, (int64_t)maker.length};
        REQUIRE(mime_read_bounce(maker.octets, maker.length, &budget, &bounce) == STATUS_OK);
        ck_assert_msg(budget_spent(&budget) < 7 * maker.length + BASE,
                      "seed %llu: %zu steps for %zu octets", (unsigned long long)seed,
                      budget_spent(&budget), maker.length);
        bounce_free(bounce);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mime_steps");
    TCase *tcase = tcase_create("steps");
    tcase_set_timeout(tcase, 600);
    mime_init();
    tcase_add_test(tcase, no_text_costs_more_than_its_length);
    tcase_add_test(tcase, reading_ends_with_its_budget);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
