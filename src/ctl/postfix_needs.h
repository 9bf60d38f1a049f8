/* What batvd needs in Postfix's main.cf, put together with what is set there already. */
#ifndef CTL_POSTFIX_NEEDS_H
#define CTL_POSTFIX_NEEDS_H

#include <stdbool.h>

#include "ctl/postfix.h"

#define POSTFIX_MAP_PATH "/etc/postfix/batv.pcre"

enum need { NEED_MILTERS, NEED_NON_SMTPD, NEED_ACTION, NEED_MAPS, NEED_CLASSES, NEED_COUNT };

/* The parameter's name. */
const char *need_name(enum need need);

/* Postfix's queue_directory; postfix may be NULL: where it usually is. */
const char *need_queue_directory(const struct postfix *postfix);

/*
 * The value that the parameter must have, for our listener (as config.h has it) and the map's path.
 * Lists keep their items. postfix may be NULL: nothing is set yet. NULL: no memory. The caller
 * frees.
 */
char *need_value(const struct postfix *postfix, enum need need, const char *listen,
                 const char *map_path);

/*
 * Whether a milter's default action defers mail while the milter is away: "tempfail" does, and so
 * does "shutdown", which ends the client's session with 421 as well.
 */
bool action_defers(const char *action);

/* Two lists as one. NULL: no memory. The caller frees. */
char *list_join(const char *first, const char *second);

#endif
