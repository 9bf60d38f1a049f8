/* Entries in Postfix's lists of milters that led to batvd before `listen` was changed. */
#ifndef MTA_FORMER_H
#define MTA_FORMER_H

#include <stdbool.h>

#include "config/config.h"
#include "mta/postfix.h"

/* Immutable once made. */
struct formers;

/* For this configuration and this Postfix, which may be NULL and must outlive it. NULL: no memory.
 */
struct formers *formers_new(const struct config *config, const struct postfix *postfix);
void formers_free(struct formers *formers);

/*
 * True where the item of a list of milters leads to an address that was batvd's own and is no
 * more. Never true of another's milter: nobody answers there, or it is the batvd that runs and has
 * not been started again yet; and batvd is known to have listened there, or the address has its
 * name.
 */
bool former_is(const struct formers *formers, const char *item, bool chroot);

#endif
