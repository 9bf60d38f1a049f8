/*
 * What the tests of the core share: a moment, key rings, lists, settings, random numbers.
 *
 * What a function hands out belongs to the test; what fails here fails the test.
 */
#ifndef BATV_TEST_FIXTURE_H
#define BATV_TEST_FIXTURE_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../suite.h"
#include "batv/address.h"
#include "batv/day.h"
#include "batv/match.h"
#include "batv/ring.h"
#include "batv/settings.h"
#include "batv/tag.h"

enum {
    TODAY = 20778,    /* 2026-11-21 */
    WRAP_DAY = 21000, /* 2027-07-01: DDD is 000 again */
    LIFETIME = 7
};

/* Noon of a day, unless a test is about midnight. */
time_t noon_of(int64_t day);

/* ---------------------------------------------------------------- chance */

/* xorshift64*: the same numbers on every machine. */
struct chance {
    uint64_t state;
};

uint32_t chance_next(struct chance *chance);

size_t chance_below(struct chance *chance, size_t limit);

/* A string of length octets out of alphabet; NULL: out of all octets but NUL. */
void chance_text(struct chance *chance, const char *alphabet, char *out, size_t length);

/* ------------------------------------------------------------------ keys */

struct key_policy keys_weekly(unsigned lifetime_days);

/* A new key at this moment, other octets for each seed. */
void ring_turn(struct ring *ring, const struct key_policy *policy, time_t when, unsigned seed);

/* A ring whose only key has the number slot and signs from this moment on. */
struct ring *ring_with(unsigned slot, enum algorithm algorithm, const void *octets, size_t length,
                       unsigned lifetime_days, time_t from);

/* ----------------------------------------------------------------- lists */

struct pattern_list *patterns_of(const char *const entries[]);

struct network_list *networks_of(const char *const entries[]);

struct host_list *hosts_of(const char *const entries[]);

struct regex_list *regexes_of(const char *const entries[]);

#define PATTERNS(...) patterns_of((const char *const[]){__VA_ARGS__, NULL})
#define NETWORKS(...) networks_of((const char *const[]){__VA_ARGS__, NULL})
#define HOSTS(...)    hosts_of((const char *const[]){__VA_ARGS__, NULL})
#define REGEXES(...)  regexes_of((const char *const[]){__VA_ARGS__, NULL})

/* -------------------------------------------------------------- settings */

/* One entry of `domains`, as struct domain_settings has it. */
struct domain {
    const char *name;
    bool sign;
    enum tag_syntax syntax;
    enum action action, expired, forged;
};

/* Settings for these domains, with the defaults that concern deciding. Evidence is off, and every
 * class of a bounce follows verify.action. */
struct settings *settings_for(const struct domain domains[], size_t count);

/* A test case that runs the test once for each row of a table. */
void add_table(Suite *suite, const char *name, const TTest *test, size_t count);

#endif
