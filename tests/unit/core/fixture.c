/* A moment, key rings, lists, settings and random numbers for tests: see fixture.h. */
#include "fixture.h"

time_t noon_of(int64_t day)
{
    return (time_t)(day * DAY_SECONDS + DAY_SECONDS / 2);
}

/* ---------------------------------------------------------------- chance */

uint32_t chance_next(struct chance *chance)
{
    chance->state ^= chance->state >> 12;
    chance->state ^= chance->state << 25;
    chance->state ^= chance->state >> 27;
    return (uint32_t)((chance->state * UINT64_C(2685821657736338717)) >> 32);
}

size_t chance_below(struct chance *chance, size_t limit)
{
    return chance_next(chance) % limit;
}

void chance_text(struct chance *chance, const char *alphabet, char *out, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        out[i] = alphabet != NULL ? alphabet[chance_below(chance, strlen(alphabet))]
                                  : (char)(unsigned char)(1 + chance_below(chance, 255));
    }
    out[length] = '\0';
}

/* ------------------------------------------------------------------ keys */

struct key_policy keys_weekly(unsigned lifetime_days)
{
    return (struct key_policy){
        .rotate_days = 7,
        .retain_days = 7,
        .lifetime_days = lifetime_days,
        .algorithm = ALGORITHM_HMAC_SHA256,
    };
}

void ring_turn(struct ring *ring, const struct key_policy *policy, time_t when, unsigned seed)
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

struct ring *ring_with(unsigned slot, enum algorithm algorithm, const void *octets, size_t length,
                       unsigned lifetime_days, time_t from)
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

static size_t count_entries(const char *const entries[])
{
    size_t count = 0;
    while (entries[count] != NULL) {
        count++;
    }
    return count;
}

struct pattern_list *patterns_of(const char *const entries[])
{
    struct pattern_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(pattern_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

struct network_list *networks_of(const char *const entries[])
{
    struct network_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(network_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

struct host_list *hosts_of(const char *const entries[])
{
    struct host_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(host_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

struct regex_list *regexes_of(const char *const entries[])
{
    struct regex_list *list = NULL;
    size_t bad = 0;
    ck_assert_int_eq(regex_list_new(entries, count_entries(entries), &list, &bad), STATUS_OK);
    return list;
}

/* -------------------------------------------------------------- settings */

struct settings *settings_for(const struct domain domains[], size_t count)
{
    struct settings *settings = calloc(1, sizeof *settings);
    const char **names = calloc(count + 1, sizeof *names);
    ck_assert_ptr_nonnull(settings);
    ck_assert_ptr_nonnull(names);
    settings->domain = calloc(count, sizeof *settings->domain);
    settings->domain_count = count;
    ck_assert_ptr_nonnull(settings->domain);
    for (size_t i = 0; i < count; i++) {
        settings->domain[i] = (struct domain_settings){
            .name = strdup(domains[i].name),
            .sign = domains[i].sign,
            .syntax = domains[i].syntax,
            .action = domains[i].action,
            .expired = domains[i].expired,
            .forged = domains[i].forged,
        };
        for (size_t c = 0; c < BOUNCE_CLASS_COUNT; c++) {
            settings->domain[i].classes[c] = ACTION_FOLLOW;
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

void add_table(Suite *suite, const char *name, const TTest *test, size_t count)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test, 0, (int)count);
    suite_add_tcase(suite, tcase);
}
