/*
 * The settings of deciding and what follows from them without a message: which domain is ours, and
 * whether `auto` may refuse yet. Immutable once loaded; shared by threads.
 */
#include "batv/rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"

static const char *const action_names[ACTION_FOLLOW + 1] = {
    [ACTION_ACCEPT] = "accept",     [ACTION_LOG] = "log",
    [ACTION_MARK] = "mark",         [ACTION_QUARANTINE] = "quarantine",
    [ACTION_TEMPFAIL] = "tempfail", [ACTION_REJECT] = "reject",
    [ACTION_DISCARD] = "discard",   [ACTION_COUNT] = NULL,
    [ACTION_AUTO] = "auto",         [ACTION_FOLLOW] = "",
};

const char *action_name(enum action action)
{
    assert(action >= 0 && action <= ACTION_FOLLOW && action != ACTION_COUNT);
    return action_names[action];
}

bool action_from_name(const char *name, enum action *out)
{
    for (int i = 0; i <= ACTION_FOLLOW; i++) {
        if (action_names[i] != NULL && strcmp(action_names[i], name) == 0) {
            *out = (enum action)i;
            return true;
        }
    }
    return false;
}

void settings_free(struct settings *settings)
{
    if (settings == NULL) {
        return;
    }
    for (size_t i = 0; i < settings->rules_count; i++) {
        free(settings->rules[i].name);
        regex_list_free(settings->rules[i].message_ids);
    }
    free(settings->rules);
    domain_list_free(settings->domains);
    network_list_free(settings->internal_networks);
    network_list_free(settings->mail_servers);
    network_list_free(settings->relays);
    host_list_free(settings->own_names);
    pattern_list_free(settings->bounce_senders);
    pattern_list_free(settings->envelope_only);
    free(settings->mark_header);
    free(settings->text);
    network_list_free(settings->exclude_networks);
    host_list_free(settings->exclude_hosts);
    pattern_list_free(settings->exclude_recipients);
    pattern_list_free(settings->exclude_sign_senders);
    pattern_list_free(settings->exclude_sign_recipients);
    network_list_free(settings->exclude_sign_networks);
    host_list_free(settings->exclude_sign_hosts);
    network_list_free(settings->exclude_sign_recipient_networks);
    free(settings);
}

const struct rules *settings_rules(const struct settings *settings, const char *ascii)
{
    long index = domain_list_find(settings->domains, ascii);
    return index < 0 ? NULL : &settings->rules[index];
}

const struct rules *settings_first(const struct settings *settings)
{
    return settings->rules_count > 0 ? &settings->rules[0] : NULL;
}

const struct rules *settings_rules_named(const struct settings *settings, const char *name)
{
    long index = domain_list_entry(settings->domains, name);
    return index < 0 ? NULL : &settings->rules[index];
}

static bool rules_may_mark(const struct rules *rules)
{
    bool may = rules->action == ACTION_MARK || rules->expired == ACTION_MARK;
    for (size_t i = 0; i < BOUNCE_CLASS_COUNT; i++) {
        may = may || rules->classes[i] == ACTION_MARK;
    }
    return may;
}

bool settings_may_mark(const struct settings *settings)
{
    for (size_t i = 0; i < settings->rules_count; i++) {
        if (rules_may_mark(&settings->rules[i])) {
            return true;
        }
    }
    return false;
}

bool settings_may_sign(const struct settings *settings)
{
    for (size_t i = 0; i < settings->rules_count; i++) {
        if (settings->rules[i].sign) {
            return true;
        }
    }
    return false;
}

time_t settings_wait(const struct settings *settings)
{
    unsigned days = settings->keys.lifetime_days > 7 ? settings->keys.lifetime_days : 7;
    return (time_t)days * DAY_SECONDS;
}

bool snapshot_journal_is_old(const struct snapshot *snapshot, time_t now)
{
    return snapshot->journal_birth != 0 &&
           now >= snapshot->journal_birth + settings_wait(snapshot->settings);
}

/* By the domain's records alone. *until as for snapshot_auto. */
static enum auto_state domain_state(const struct snapshot *snapshot, const struct rules *rules,
                                    time_t now, time_t *until)
{
    const struct settings *settings = snapshot->settings;
    time_t relayed = snapshot->relayed != NULL ? snapshot->relayed[rules - settings->rules] : 0;
    time_t first = 0;
    *until = 0;
    if (!rules->sign) {
        return AUTO_NOT_SIGNING;
    }
    if (!ring_first_signed(snapshot->ring, rules->name, &first)) {
        return AUTO_NEVER_SIGNED;
    }
    if (now < first + settings_wait(settings)) {
        *until = first + settings_wait(settings);
        return AUTO_WAITING;
    }
    if (relayed != 0 && now < relayed + settings_wait(settings)) {
        *until = relayed + settings_wait(settings);
        return AUTO_RELAYED;
    }
    return ring_tag_seen(snapshot->ring, rules->name) ? AUTO_ENFORCES : AUTO_NO_TAG;
}

const char *auto_state_name(enum auto_state state)
{
    static const char *const names[] = {
        [AUTO_ENFORCES] = "enforcing",
        [AUTO_NOT_SIGNING] = "not-signing",
        [AUTO_NEVER_SIGNED] = "never-signed",
        [AUTO_WAITING] = "waiting",
        [AUTO_RELAYED] = "relayed",
        [AUTO_NO_TAG] = "no-tag-seen",
        [AUTO_CLOCK] = "clock",
    };
    return names[state];
}

enum auto_state snapshot_auto(const struct snapshot *snapshot, const struct rules *rules,
                              time_t now, time_t *until)
{
    time_t end = 0;
    enum auto_state state =
        snapshot->clock_wrong ? AUTO_CLOCK : domain_state(snapshot, rules, now, &end);
    if (until != NULL) {
        *until = end;
    }
    return state;
}

bool auto_state_waits(enum auto_state state)
{
    switch (state) {
    case AUTO_NEVER_SIGNED:
    case AUTO_WAITING:
    case AUTO_RELAYED:
    case AUTO_CLOCK:
        return true;
    case AUTO_ENFORCES:
    case AUTO_NOT_SIGNING:
    case AUTO_NO_TAG:
        break;
    }
    return false;
}

bool counts_tell_rewriting(uint64_t named, uint64_t known)
{
    enum { FEWEST = 20, PERCENT = 90 };
    return named >= FEWEST && 100 * known < PERCENT * named;
}

bool snapshot_ids_rewritten(const struct snapshot *snapshot, const struct rules *rules)
{
    return snapshot->ids_rewritten != NULL &&
           snapshot->ids_rewritten[rules - snapshot->settings->rules];
}

static int compare_names(const void *key, const void *element)
{
    const char *const *name = element;
    return strcmp(key, *name);
}

bool snapshot_is_hosted(const struct snapshot *snapshot, const char *ascii)
{
    return snapshot->hosted_full ||
           (snapshot->hosted_count > 0 && bsearch(ascii, snapshot->hosted, snapshot->hosted_count,
                                                  sizeof *snapshot->hosted, compare_names) != NULL);
}

bool snapshot_auto_in_force(const struct snapshot *snapshot, const struct rules *rules, time_t now)
{
    time_t until;
    return domain_state(snapshot, rules, now, &until) == AUTO_ENFORCES;
}
