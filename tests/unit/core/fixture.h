/*
 * What the tests of the core share: a moment, key rings, lists, settings, random numbers. All of it
 * in this header, so that a test links nothing but its own object and the library.
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
#include "batv/rules.h"
#include "batv/tag.h"

enum {
    TODAY = 20778,    /* 2026-11-21 */
    WRAP_DAY = 21000, /* 2027-07-01: DDD is 000 again */
    LIFETIME = 7
};

/* Noon of a day, unless a test is about midnight. */
static inline time_t noon_of(int64_t day)
{
    return (time_t)(day * DAY_SECONDS + DAY_SECONDS / 2);
}

/* ---------------------------------------------------------------- chance */

/* xorshift64*: the same numbers on every machine. */
struct chance {
    uint64_t state;
};

static inline uint32_t chance_next(struct chance *chance)
{
    chance->state ^= chance->state >> 12;
    chance->state ^= chance->state << 25;
    chance->state ^= chance->state >> 27;
    return (uint32_t)((chance->state * UINT64_C(2685821657736338717)) >> 32);
}

static inline size_t chance_below(struct chance *chance, size_t limit)
{
    return chance_next(chance) % limit;
}

/* A string of length octets out of alphabet; NULL: out of all octets but NUL. */
static inline void chance_text(struct chance *chance, const char *alphabet, char *out,
                               size_t length)
{
    for (size_t i = 0; i < length; i++) {
        out[i] = alphabet != NULL ? alphabet[chance_below(chance, strlen(alphabet))]
                                  : (char)(unsigned char)(1 + chance_below(chance, 255));
    }
    out[length] = '\0';
}

/* ------------------------------------------------------------------ keys */

static inline struct key_policy keys_weekly(unsigned lifetime_days)
{
    return (struct key_policy){
        .rotate_days = 7,
        .retain_days = 7,
        .lifetime_days = lifetime_days,
        .algorithm = ALGORITHM_HMAC_SHA256,
    };
}

/* A new key at this moment, other octets for each seed. */
static inline void ring_turn(struct ring *ring, const struct key_policy *policy, time_t when,
                             unsigned seed)
{
    uint8_t octets[SECRET_SIZE];
    for (size_t i = 0; i < sizeof octets; i++) {
        octets[i] = (uint8_t)(i + 37 * seed);
    }
    struct reason why = {""};
    ck_assert_msg(ring_rotate(ring, policy, policy->algorithm, when, 0, octets, &why) == STATUS_OK,
                  "rotation: %s", why.text);
    ring->generation++;
}

/* A ring whose only key has the number slot and signs from this moment on. */
static inline struct ring *ring_with(unsigned slot, enum algorithm algorithm, const void *octets,
                                     size_t length, unsigned lifetime_days, time_t from)
{
    struct key_policy policy = keys_weekly(lifetime_days);
    struct secret secret;
    struct reason why = {""};
    struct ring *ring = ring_new();
    ck_assert_ptr_nonnull(ring);
    secret_set(&secret, octets, length);
    ck_assert_msg(ring_import(ring, &policy, slot, algorithm, KEY_ACTIVE, &secret, from, &why) ==
                      STATUS_OK,
                  "import: %s", why.text);
    ring->generation = 1;
    return ring;
}

/* ----------------------------------------------------------------- lists */

static inline size_t count_entries(const char *const entries[])
{
    size_t count = 0;
    while (entries[count] != NULL) {
        count++;
    }
    return count;
}

static inline struct pattern_list *patterns_of(const char *const entries[])
{
    struct pattern_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(pattern_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

static inline struct network_list *networks_of(const char *const entries[])
{
    struct network_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(network_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

static inline struct host_list *hosts_of(const char *const entries[])
{
    struct host_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(host_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

static inline struct regex_list *regexes_of(const char *const entries[])
{
    struct regex_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(regex_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

#define PATTERNS(...) patterns_of((const char *const[]){__VA_ARGS__, NULL})
#define NETWORKS(...) networks_of((const char *const[]){__VA_ARGS__, NULL})
#define HOSTS(...)    hosts_of((const char *const[]){__VA_ARGS__, NULL})
#define REGEXES(...)  regexes_of((const char *const[]){__VA_ARGS__, NULL})

/* -------------------------------------------------------------- settings */

/* One entry of `domains`, as struct rules has it. */
struct domain {
    const char *name;
    bool sign;
    enum tag_syntax syntax;
    enum action action, expired, forged;
};

/* Settings for these domains, with the defaults that concern deciding. Evidence is off, and every
 * class of a bounce follows verify.action. */
static inline struct settings *settings_for(const struct domain domains[], size_t count)
{
    struct settings *settings = calloc(1, sizeof *settings);
    const char **names = calloc(count + 1, sizeof *names);
    ck_assert_ptr_nonnull(settings);
    ck_assert_ptr_nonnull(names);
    settings->rules = calloc(count, sizeof *settings->rules);
    settings->rules_count = count;
    ck_assert_ptr_nonnull(settings->rules);
    for (size_t i = 0; i < count; i++) {
        settings->rules[i] = (struct rules){
            .name = strdup(domains[i].name),
            .sign = domains[i].sign,
            .syntax = domains[i].syntax,
            .action = domains[i].action,
            .expired = domains[i].expired,
            .forged = domains[i].forged,
        };
        for (size_t c = 0; c < BOUNCE_CLASS_COUNT; c++) {
            settings->rules[i].classes[c] = ACTION_FOLLOW;
        }
        names[i] = domains[i].name;
    }
    size_t bad = 0;
    ck_assert_int_eq(domain_list_new(names, count, &settings->domains, &bad), STATUS_OK);
    free(names);

    settings->may_mark = settings_may_mark(settings);
    settings->may_sign = settings_may_sign(settings);
    settings->keys = keys_weekly(LIFETIME);
    settings->bounce_senders = PATTERNS("mailer-daemon", "mailer-daemon@*");
    settings->on_error = ACTION_TEMPFAIL;
    settings->restore = true;
    settings->mark_header = strdup("X-Batv-Result");
    settings->text = strdup("not a bounce of mail from here");
    settings->exclude_authenticated = true;
    settings->exclude_mail_servers = true;
    return settings;
}

#endif
