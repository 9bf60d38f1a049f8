/* Who knows what the rules ask for, for commands that look at a message as the daemon does: the
 * reader of its content and the journal, which is asked without counting, and DNS. */
#ifndef CTL_WITNESSES_H
#define CTL_WITNESSES_H

#include "content/content.h"
#include "content/evidence_returned.h"
#include "ctl/ctl.h"
#include "ctl/lookups.h"
#include "dns/oracle_network.h"

/* Starts as all zero: then nobody knows anything. */
struct witnesses {
    struct oracle_set oracles;
    struct evidence_returned returned;
    struct content_pool *pool;
    struct oracle_network *network;
    struct oracle_listener listener;
    struct lookups lookups; /* what DNS said */
};

/* A journal that cannot be read has its reason on stderr and is as one that cannot be asked; where
 * there is none it answers no. content: what reads it is called too. The process owns state_dir.
 * False: no memory, which is on stderr. witnesses stays where it is. */
bool witnesses_call(const struct ctl *ctl, struct witnesses *witnesses, bool content);
/* The same for what depends on where a message goes. */
bool witnesses_call_network(struct witnesses *witnesses);
void witnesses_dismiss(struct witnesses *witnesses);

#endif
