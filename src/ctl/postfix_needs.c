/*
 * The five parameters. Lists are added to and never replaced: another milter must not be lost by
 * ours coming. No state.
 */
#include "ctl/postfix_needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/milter_address.h"
#include "ctl/words.h"

static const char usual_queue[] = "/var/spool/postfix";

/* Where a value depends on more than the parameter. */
struct wish {
    const struct postfix *postfix;
    const char *name; /* of the parameter */
    const char *listen;
    const char *map_path;
};

static const char *live(const struct wish *wish)
{
    return wish->postfix != NULL ? postfix_get_raw(wish->postfix, wish->name) : "";
}

static const char *live_expanded(const struct wish *wish)
{
    return wish->postfix != NULL ? postfix_get(wish->postfix, wish->name) : "";
}

char *list_join(const char *first, const char *second)
{
    char *list = NULL;
    if (list_is_empty(first) || list_is_empty(second)) {
        return strdup(list_is_empty(first) ? second : first);
    }
    return asprintf(&list, "%s, %s", first, second) < 0 ? NULL : list;
}

static char *milters_value(const struct wish *wish)
{
    const char *queue = need_queue_directory(wish->postfix);
    char *there = milter_list_find(live_expanded(wish), wish->listen, queue, false);
    char *list = NULL;
    if (there != NULL) {
        list = strdup(live(wish));
    } else {
        char *ours = milter_name(wish->listen, queue);
        list = ours != NULL ? list_join(live(wish), ours) : NULL;
        free(ours);
    }
    free(there);
    return list;
}

static char *non_smtpd_value(const struct wish *wish)
{
    static const char *const references[] = {"$smtpd_milters", "${smtpd_milters}",
                                             "$(smtpd_milters)"};
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        if (list_has(live(wish), references[i])) {
            return strdup(live(wish));
        }
    }
    return list_is_empty(live(wish)) ? strdup(references[0]) : milters_value(wish);
}

bool action_defers(const char *action)
{
    return strcasecmp(action, "tempfail") == 0 || strcasecmp(action, "shutdown") == 0;
}

/* Newer versions of Postfix have "shutdown" by default: it stays. */
static char *action_value(const struct wish *wish)
{
    return strdup(action_defers(live_expanded(wish)) ? live(wish) : "tempfail");
}

/* Ours goes first: another map may know an address only once its tag is off. */
static char *maps_value(const struct wish *wish)
{
    char *ours = NULL;
    if (asprintf(&ours, "pcre:%s", wish->map_path) < 0) {
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

char *need_value(const struct postfix *postfix, enum need need, const char *listen,
                 const char *map_path)
{
    const struct wish wish = {postfix, needs[need].name, listen, map_path};
    /* cppcheck-suppress returnDanglingLifetime ; the value is allocated, no part of wish */
    return needs[need].value(&wish);
}
