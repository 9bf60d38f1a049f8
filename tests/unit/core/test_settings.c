/*
 * What follows from the settings without a message: the words for actions, which domain is ours,
 * when a header may be added, how long `auto` waits, and from when on the journal tells all.
 */
#include "fixture.h"

static const struct {
    enum action action;
    const char *name;
} actions[] = {
    {ACTION_ACCEPT, "accept"},         {ACTION_LOG, "log"},           {ACTION_MARK, "mark"},
    {ACTION_QUARANTINE, "quarantine"}, {ACTION_TEMPFAIL, "tempfail"}, {ACTION_REJECT, "reject"},
    {ACTION_DISCARD, "discard"},       {ACTION_AUTO, "auto"},         {ACTION_FOLLOW, ""},
};

START_TEST(test_action_names)
{
    for (size_t i = 0; i < COUNT_OF(actions); i++) {
        enum action found;
        ck_assert_str_eq(action_name(actions[i].action), actions[i].name);
        ck_assert(action_from_name(actions[i].name, &found));
        ck_assert_int_eq(found, actions[i].action);
    }
    static const char *const unknown[] = {"Reject", "rejec", "rejects", " reject", "none", "AUTO"};
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        enum action found = ACTION_MARK;
        ck_assert_msg(!action_from_name(unknown[i], &found), "%s", unknown[i]);
        ck_assert_int_eq(found, ACTION_MARK);
    }
    /* Everything that refuses is further than logging, and logging further than accepting. */
    ck_assert_int_lt(ACTION_ACCEPT, ACTION_LOG);
    for (int i = ACTION_MARK; i < ACTION_COUNT; i++) {
        ck_assert_int_gt(i, ACTION_LOG);
    }
}
END_TEST

/* ---------------------------------------------------------------- domains */

static const struct domain some_domains[] = {
    {"example.com", true, TAG_PREFIX, ACTION_AUTO, ACTION_FOLLOW, ACTION_AUTO},
    {".example.org", true, TAG_SUBADDRESS, ACTION_LOG, ACTION_FOLLOW, ACTION_AUTO},
    {"special.example.org", false, TAG_PREFIX, ACTION_REJECT, ACTION_LOG, ACTION_REJECT},
    {"xn--bcher-kva.example", true, TAG_PREFIX, ACTION_AUTO, ACTION_FOLLOW, ACTION_AUTO},
};

static const struct {
    const char *ascii;
    int index; /* -1: not ours */
} lookups[] = {
    {"example.com", 0},
    {"sub.example.com", -1},
    {"example.co", -1},
    {"xexample.com", -1},
    {"example.org", -1},
    {"a.example.org", 1},
    {"a.b.example.org", 1},
    {"special.example.org", 2},
    {"below.special.example.org", 1},
    {"xn--bcher-kva.example", 3},
    {"", -1},
    {".example.org", -1},
    {".", -1},
    {"com", -1},
};

START_TEST(test_settings_rules)
{
    struct settings *settings = settings_for(some_domains, COUNT_OF(some_domains));
    const struct domain_settings *domain = settings_domain(settings, lookups[_i].ascii);
    int index = domain == NULL ? -1 : (int)(domain - settings->domain);
    ck_assert_msg(index == lookups[_i].index, "%s: %d", lookups[_i].ascii, index);
    settings_free(settings);
}
END_TEST

START_TEST(test_settings_free)
{
    settings_free(NULL);
    struct settings *settings = calloc(1, sizeof *settings);
    settings_free(settings);

    settings = settings_for(some_domains, COUNT_OF(some_domains));
    settings->internal_networks = NETWORKS("192.0.2.0/24");
    settings->mail_servers = NETWORKS("192.0.2.1");
    settings->relays = NETWORKS("192.0.2.2");
    settings->exclude_networks = NETWORKS("192.0.2.3");
    settings->exclude_hosts = HOSTS("*.other.test");
    settings->exclude_recipients = PATTERNS("postmaster@*");
    settings->exclude_sign_senders = PATTERNS("a@b.example");
    settings->exclude_sign_recipients = PATTERNS("*@lists.test");
    settings->exclude_sign_networks = NETWORKS("192.0.2.4");
    settings->exclude_sign_hosts = HOSTS("h.example.com");
    settings->domain[0].message_ids = REGEXES("^[0-9]+@example\\.com$");
    settings->domain[COUNT_OF(some_domains) - 1].message_ids = REGEXES("a", "b");
    settings_free(settings); /* whoever forgets one is told by the address sanitizer */
}
END_TEST

START_TEST(test_settings_may_mark)
{
    struct settings *settings = settings_for(some_domains, COUNT_OF(some_domains));
    ck_assert(!settings_may_mark(settings));
    for (size_t i = 0; i < COUNT_OF(some_domains); i++) {
        for (int action = ACTION_ACCEPT; action <= ACTION_FOLLOW; action++) {
            struct domain_settings before = settings->domain[i];
            settings->domain[i].action = (enum action)action;
            ck_assert_int_eq(settings_may_mark(settings), action == ACTION_MARK);
            settings->domain[i] = before;
            settings->domain[i].expired = (enum action)action;
            ck_assert_int_eq(settings_may_mark(settings), action == ACTION_MARK);
            settings->domain[i] = before;
            for (size_t class = 0; class < BOUNCE_CLASS_COUNT; class ++) {
                settings->domain[i].classes[class] = (enum action)action;
                ck_assert_int_eq(settings_may_mark(settings), action == ACTION_MARK);
                settings->domain[i] = before;
            }
        }
    }
    settings_free(settings);
}
END_TEST

START_TEST(test_settings_wait)
{
    struct settings *settings = settings_for(some_domains, COUNT_OF(some_domains));
    for (unsigned lifetime = 1; lifetime <= RING_LIFETIME_MAX; lifetime++) {
        settings->keys.lifetime_days = lifetime;
        time_t days = lifetime < 7 ? 7 : (time_t)lifetime;
        ck_assert_int_eq(settings_wait(settings), days * 24 * 3600);
    }
    settings_free(settings);
}
END_TEST

/* ------------------------------------------------------------------- auto */

enum { HOUR = 3600, WEEK = 7 * 24 * HOUR };

/* Of example.com, seconds before now; 0: never. */
static const struct {
    const char *name;
    bool sign, clock_wrong;
    unsigned lifetime;
    time_t signed_ago, relayed_ago;
    enum auto_state state;
    time_t until_in; /* seconds from now; 0: not said */
    bool no_tag;     /* came back yet */
} autos[] = {
    {"nothing signed yet", true, false, 7, 0, 0, AUTO_NEVER_SIGNED, 0, false},
    {"time over, no tag came back", true, false, 7, WEEK, 0, AUTO_NO_TAG, 0, true},
    {"no tag came back, and it waits", true, false, 7, 1, 0, AUTO_WAITING, WEEK - 1, true},
    {"no tag came back, and mail was relayed", true, false, 7, 50 * WEEK, HOUR, AUTO_RELAYED,
     WEEK - HOUR, true},
    {"just begun", true, false, 7, 1, 0, AUTO_WAITING, WEEK - 1, false},
    {"an hour to go", true, false, 7, WEEK - HOUR, 0, AUTO_WAITING, HOUR, false},
    {"a second to go", true, false, 7, WEEK - 1, 0, AUTO_WAITING, 1, false},
    {"on the second", true, false, 7, WEEK, 0, AUTO_ENFORCES, 0, false},
    {"long since", true, false, 7, 50 * WEEK, 0, AUTO_ENFORCES, 0, false},
    {"a short lifetime waits a week too", true, false, 1, WEEK - 1, 0, AUTO_WAITING, 1, false},
    {"a long one waits longer", true, false, 60, WEEK, 0, AUTO_WAITING, 53 * 24 * HOUR, false},
    {"and ends", true, false, 60, 60 * 24 * HOUR, 0, AUTO_ENFORCES, 0, false},
    {"unsigned mail was relayed", true, false, 7, 50 * WEEK, HOUR, AUTO_RELAYED, WEEK - HOUR,
     false},
    {"a week ago", true, false, 7, 50 * WEEK, WEEK, AUTO_ENFORCES, 0, false},
    {"relayed while it waits", true, false, 7, HOUR, 1, AUTO_WAITING, WEEK - HOUR, false},
    {"not signing", false, false, 7, 50 * WEEK, 0, AUTO_NOT_SIGNING, 0, false},
    {"not signing, never signed", false, false, 7, 0, 0, AUTO_NOT_SIGNING, 0, false},
    {"the clock is wrong", true, true, 7, 50 * WEEK, 0, AUTO_CLOCK, 0, false},
    {"the clock is wrong, not signing", false, true, 7, 0, 0, AUTO_CLOCK, 0, false},
};

START_TEST(test_snapshot_auto)
{
    time_t now = noon_of(TODAY);
    struct settings *settings = settings_for(some_domains, COUNT_OF(some_domains));
    settings->keys.lifetime_days = autos[_i].lifetime;
    settings->domain[0].sign = autos[_i].sign;
    struct ring *ring = ring_new();
    bool changed = false;
    ck_assert_int_eq(ring_domain_add(ring, "special.example.org", 1, &changed), STATUS_OK);
    if (autos[_i].signed_ago != 0) {
        ck_assert_int_eq(ring_domain_add(ring, "example.com", now - autos[_i].signed_ago, &changed),
                         STATUS_OK);
        ck_assert(autos[_i].no_tag || ring_domain_tag_seen(ring, "example.com", now));
    }
    /* Another domain's relayed mail is no business of this one. */
    time_t relayed[COUNT_OF(some_domains)] = {0, now, now, now};
    if (autos[_i].relayed_ago != 0) {
        relayed[0] = now - autos[_i].relayed_ago;
    }
    struct snapshot snapshot = {.settings = settings,
                                .ring = ring,
                                .relayed = relayed,
                                .clock_wrong = autos[_i].clock_wrong};
    time_t until = 12345;
    enum auto_state state = snapshot_auto(&snapshot, &settings->domain[0], now, &until);
    ck_assert_msg(state == autos[_i].state, "%s: %d", autos[_i].name, (int)state);
    if (autos[_i].until_in != 0) {
        ck_assert_int_eq(until, now + autos[_i].until_in);
    }
    ck_assert_int_eq(snapshot_auto(&snapshot, &settings->domain[0], now, NULL), state);
    /* A clock that is wrong undoes nothing. */
    bool in_force = state == AUTO_ENFORCES || (state == AUTO_CLOCK && autos[_i].sign);
    ck_assert_int_eq(snapshot_auto_in_force(&snapshot, &settings->domain[0], now), in_force);

    if (autos[_i].relayed_ago == 0) {
        snapshot.relayed = NULL;
        ck_assert_int_eq(snapshot_auto(&snapshot, &settings->domain[0], now, NULL), state);
    }
    ring_free(ring);
    settings_free(settings);
}
END_TEST

/* The record bears the name of the entry: one wait for all that a leading dot stands for. */
START_TEST(test_subdomains_wait_together)
{
    time_t now = noon_of(TODAY);
    struct settings *settings = settings_for(some_domains, COUNT_OF(some_domains));
    struct ring *ring = ring_new();
    bool changed;
    ck_assert_int_eq(ring_domain_add(ring, ".example.org", now - 2 * WEEK, &changed), STATUS_OK);
    struct snapshot snapshot = {.settings = settings, .ring = ring};
    const struct domain_settings *domain = settings_domain(settings, "any.example.org");
    ck_assert_ptr_nonnull(domain);
    ck_assert_int_eq(snapshot_auto(&snapshot, domain, now, NULL), AUTO_NO_TAG);
    ck_assert(ring_domain_tag_seen(ring, ".example.org", now));
    ck_assert_int_eq(snapshot_auto(&snapshot, domain, now, NULL), AUTO_ENFORCES);
    ring_free(ring);
    settings_free(settings);
}
END_TEST

START_TEST(test_ids_rewritten)
{
    struct settings *settings = settings_for(some_domains, COUNT_OF(some_domains));
    const bool of[COUNT_OF(some_domains)] = {false, true};
    struct snapshot snapshot = {.settings = settings, .ids_rewritten = of};
    ck_assert(!snapshot_ids_rewritten(&snapshot, &settings->domain[0]));
    ck_assert(snapshot_ids_rewritten(&snapshot, &settings->domain[1]));
    snapshot.ids_rewritten = NULL;
    ck_assert(!snapshot_ids_rewritten(&snapshot, &settings->domain[1]));
    settings_free(settings);

    ck_assert(!counts_tell_rewriting(0, 0));
    ck_assert(!counts_tell_rewriting(19, 0));
    ck_assert(counts_tell_rewriting(20, 0));
    ck_assert(counts_tell_rewriting(20, 17));
    ck_assert(!counts_tell_rewriting(20, 18));
    ck_assert(counts_tell_rewriting(100, 89));
    ck_assert(!counts_tell_rewriting(100, 90));
}
END_TEST

START_TEST(test_hosted)
{
    static const char *const names[] = {"a.test", "b.test", "d.test"};
    struct snapshot snapshot = {.hosted = names, .hosted_count = COUNT_OF(names)};
    ck_assert(snapshot_is_hosted(&snapshot, "a.test"));
    ck_assert(snapshot_is_hosted(&snapshot, "d.test"));
    ck_assert(!snapshot_is_hosted(&snapshot, "c.test"));
    snapshot.hosted_full = true;
    ck_assert(snapshot_is_hosted(&snapshot, "c.test"));
    ck_assert(!snapshot_is_hosted(&(struct snapshot){0}, "c.test"));
}
END_TEST

/* ---------------------------------------------------------------- journal */

static const struct {
    const char *name;
    unsigned lifetime;
    time_t born_ago; /* seconds; -1: there is no journal */
    bool old;
} journals[] = {
    {"none", 7, -1, false},
    {"just begun", 7, 0, false},
    {"a second to go", 7, WEEK - 1, false},
    {"on the second", 7, WEEK, true},
    {"long since", 7, 50 * WEEK, true},
    {"a short lifetime waits a week too", 1, WEEK - 1, false},
    {"and no longer", 1, WEEK, true},
    {"a long one waits longer", 60, WEEK, false},
    {"and ends", 60, 60 * 24 * HOUR, true},
    {"begun by a clock that was ahead", 7, -HOUR, false},
};

START_TEST(test_snapshot_journal_is_old)
{
    time_t now = noon_of(TODAY);
    struct settings *settings = settings_for(some_domains, COUNT_OF(some_domains));
    settings->keys.lifetime_days = journals[_i].lifetime;
    bool none = journals[_i].born_ago == -1;
    struct snapshot snapshot = {.settings = settings,
                                .journal_birth = none ? 0 : now - journals[_i].born_ago};
    ck_assert_msg(snapshot_journal_is_old(&snapshot, now) == journals[_i].old, "%s",
                  journals[_i].name);
    settings_free(settings);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rules");
    TCase *tcase = tcase_create("rules");
    tcase_add_test(tcase, test_action_names);
    tcase_add_loop_test(tcase, test_settings_rules, 0, (int)COUNT_OF(lookups));
    tcase_add_test(tcase, test_settings_free);
    tcase_add_test(tcase, test_settings_may_mark);
    tcase_add_test(tcase, test_settings_wait);
    tcase_add_test(tcase, test_ids_rewritten);
    tcase_add_test(tcase, test_hosted);
    tcase_add_loop_test(tcase, test_snapshot_auto, 0, (int)COUNT_OF(autos));
    tcase_add_test(tcase, test_subdomains_wait_together);
    tcase_add_loop_test(tcase, test_snapshot_journal_is_old, 0, (int)COUNT_OF(journals));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
