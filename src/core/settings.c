/*
 * The settings of deciding and what follows from them without a message: which domain is ours, and
 * whether `auto` may refuse yet. Immutable once loaded; shared by threads.
 */
#include "batv/settings.h"

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
    for (size_t i = 0; i < settings->domain_count; i++) {
        free(settings->domain[i].name);
        regex_list_free(settings->domain[i].message_ids);
    }
    free(settings->domain);
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

const struct domain_settings *settings_domain(const struct settings *settings, const char *ascii)
{
    long index = domain_list_find(settings->domains, ascii);
    return index < 0 ? NULL : &settings->domain[index];
}

const struct domain_settings *settings_first(const struct settings *settings)
{
    return settings->domain_count > 0 ? &settings->domain[0] : NULL;
}

const struct domain_settings *settings_domain_named(const struct settings *settings,
                                                    const char *name)
{
    long index = domain_list_entry(settings->domains, name);
    return index < 0 ? NULL : &settings->domain[index];
}

static bool domain_may_mark(const struct domain_settings *domain)
{
    bool may = domain->action == ACTION_MARK || domain->expired == ACTION_MARK;
    for (size_t i = 0; i < BOUNCE_CLASS_COUNT; i++) {
        may = may || domain->classes[i] == ACTION_MARK;
    }
    return may;
}

bool settings_may_mark(const struct settings *settings)
{
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (domain_may_mark(&settings->domain[i])) {
            return true;
        }
    }
    return false;
}

bool settings_may_sign(const struct settings *settings)
{
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (settings->domain[i].sign) {
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
static enum auto_state domain_state(const struct snapshot *snapshot,
                                    const struct domain_settings *domain, time_t now, time_t *until)
{
    const struct settings *settings = snapshot->settings;
    time_t relayed = snapshot->relayed != NULL ? snapshot->relayed[domain - settings->domain] : 0;
    time_t first = 0;
    *until = 0;
    if (!domain->sign) {
        return AUTO_NOT_SIGNING;
    }
    if (!ring_first_signed(snapshot->ring, domain->name, &first)) {
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
    return ring_tag_seen(snapshot->ring, domain->name) ? AUTO_ENFORCES : AUTO_NO_TAG;
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

enum auto_state snapshot_auto(const struct snapshot *snapshot, const struct domain_settings *domain,
                              time_t now, time_t *until)
{
    time_t end = 0;
    enum auto_state state =
        snapshot->clock_wrong ? AUTO_CLOCK : domain_state(snapshot, domain, now, &end);
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

bool snapshot_ids_rewritten(const struct snapshot *snapshot, const struct domain_settings *domain)
{
    return snapshot->ids_rewritten != NULL &&
           snapshot->ids_rewritten[domain - snapshot->settings->domain];
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

bool snapshot_auto_in_force(const struct snapshot *snapshot, const struct domain_settings *domain,
                            time_t now)
{
    time_t until;
    return domain_state(snapshot, domain, now, &until) == AUTO_ENFORCES;
}
