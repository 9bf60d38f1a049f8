/*
 * The five parameters. Lists are added to and never replaced: another milter must not be lost by
 * ours coming, nor its default action changed. No state.
 */
#include "mta/postfix_needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/words.h"
#include "mta/milter_list.h"

static const char usual_queue[] = "/var/spool/postfix";

/* A parameter at a site. */
struct wish {
    const struct need_site *site;
    const char *name;
};

static const char *live(const struct wish *wish)
{
    const struct postfix *postfix = wish->site->postfix;
    return postfix != NULL ? postfix_get_raw(postfix, wish->name) : "";
}

static const char *live_expanded(const struct wish *wish)
{
    const struct postfix *postfix = wish->site->postfix;
    return postfix != NULL ? postfix_get(postfix, wish->name) : "";
}

char *list_join(const char *first, const char *second)
{
    char *list = NULL;
    if (list_is_empty(first) || list_is_empty(second)) {
        return strdup(list_is_empty(first) ? second : first);
    }
    return asprintf(&list, "%s, %s", first, second) < 0 ? NULL : list;
}

static struct milter_list_place place_at(const struct need_site *site, bool named, bool own_action)
{
    return (struct milter_list_place){site->listen, need_queue_directory(site->postfix),
                                      site->formers, named, own_action};
}

bool need_has_own_action(const struct need_site *site)
{
    static const enum need lists[] = {NEED_MILTERS, NEED_NON_SMTPD};
    const struct milter_list_place place = place_at(site, false, false);
    bool others = false;
    if (site->postfix == NULL ||
        action_defers(postfix_get(site->postfix, need_name(NEED_ACTION)))) {
        return false;
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        others = others ||
                 milter_list_has_others(postfix_get(site->postfix, need_name(lists[i])), &place);
    }
    return others;
}

static char *milters_value(const struct wish *wish)
{
    const struct milter_list_place place =
        place_at(wish->site, false, need_has_own_action(wish->site));
    return milter_list_with_ours(live(wish), live_expanded(wish), &place);
}

char *need_service_milters(const struct need_site *site, const char *list, const char *action)
{
    const struct milter_list_place place = place_at(site, false, !action_defers(action));
    return milter_list_with_ours(list, list, &place);
}

static char *non_smtpd_value(const struct wish *wish)
{
    static const char *const references[] = {"$smtpd_milters", "${smtpd_milters}",
                                             "$(smtpd_milters)"};
    const struct milter_list_place place =
        place_at(wish->site, true, need_has_own_action(wish->site));
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        if (list_has(live(wish), references[i])) {
            return milter_list_with_ours(live(wish), live(wish), &place);
        }
    }
    return list_is_empty(live(wish)) ? strdup(references[0]) : milters_value(wish);
}

/* Newer versions of Postfix have "shutdown" by default: it stays. */
static char *action_value(const struct wish *wish)
{
    bool stays = action_defers(live_expanded(wish)) || need_has_own_action(wish->site);
    return strdup(stays ? live(wish) : "tempfail");
}

/* Ours goes first: another map may know an address only once its tag is off. */
static char *maps_value(const struct wish *wish)
{
    char *ours = NULL;
    if (asprintf(&ours, "pcre:%s", wish->site->map_path) < 0) {
        return NULL;
    }
    bool there = list_has(live_expanded(wish), ours);
    char *list = there ? strdup(live(wish)) : list_join(ours, live(wish));
    free(ours);
    return list;
}

static char *classes_value(const struct wish *wish)
{
    (void)wish;
    return strdup("envelope_recipient");
}

static const struct {
    const char *name;
    char *(*value)(const struct wish *wish);
} needs[NEED_COUNT] = {
    [NEED_MILTERS] = {"smtpd_milters", milters_value},
    [NEED_NON_SMTPD] = {"non_smtpd_milters", non_smtpd_value},
    [NEED_ACTION] = {"milter_default_action", action_value},
    [NEED_MAPS] = {"recipient_canonical_maps", maps_value},
    [NEED_CLASSES] = {"recipient_canonical_classes", classes_value},
};

const char *need_name(enum need need)
{
    return needs[need].name;
}

const char *need_queue_directory(const struct postfix *postfix)
{
    const char *folder = postfix != NULL ? postfix_get(postfix, "queue_directory") : "";
    return folder[0] != '\0' ? folder : usual_queue;
}

char *need_value(const struct need_site *site, enum need need)
{
    const struct wish wish = {site, needs[need].name};
    /* cppcheck-suppress returnDanglingLifetime ; the value is allocated, no part of wish */
    return needs[need].value(&wish);
}
