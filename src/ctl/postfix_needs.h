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

/* Two lists as one. NULL: no memory. The caller frees. */
char *list_join(const char *first, const char *second);

#endif
