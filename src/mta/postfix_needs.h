/* What batvd needs in Postfix's main.cf, put together with what is set there already. */
#ifndef MTA_POSTFIX_NEEDS_H
#define MTA_POSTFIX_NEEDS_H

#include <stdbool.h>

#include "mta/former.h"
#include "mta/postfix.h"

#define POSTFIX_MAP_PATH "/etc/postfix/batv.pcre"

enum need { NEED_MILTERS, NEED_NON_SMTPD, NEED_ACTION, NEED_MAPS, NEED_CLASSES, NEED_COUNT };

/* The parameter's name. */
const char *need_name(enum need need);

/* Postfix's queue_directory; postfix may be NULL: where it usually is. */
const char *need_queue_directory(const struct postfix *postfix);

/* What the values depend on. */
struct need_site {
    const struct postfix *postfix; /* NULL: nothing is set yet */
    const struct formers *formers; /* NULL: none are known */
    const char *listen;            /* as config.h has it */
    const char *map_path;
};

/*
 * The value that the parameter must have. Lists keep their items, but for a former address of
 * batvd's, which the present one replaces. NULL: no memory. The caller frees.
 */
char *need_value(const struct need_site *site, enum need need);

/* The same for a list of milters of a service's own in master.cf, whose action for milters that do
 * not answer is given. */
char *need_service_milters(const struct need_site *site, const char *list, const char *action);

/* True where milter_default_action has to stay, because other milters go by it: batvd then has an
 * action of its own in the lists. */
bool need_has_own_action(const struct need_site *site);

/* Two lists as one. NULL: no memory. The caller frees. */
char *list_join(const char *first, const char *second);

#endif
