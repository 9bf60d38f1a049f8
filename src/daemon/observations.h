/*
 * The observations of mail by which `auto` decides, gathered from the tally and the sample for a
 * snapshot: when a domain's unsigned mail was relayed, whether its Message-IDs come back as others,
 * for which domains the MTA sends mail on, which relays handed in a valid tag.
 */
#ifndef DAEMON_OBSERVATIONS_H
#define DAEMON_OBSERVATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/sample.h"
#include "daemon/snapshot.h"
#include "daemon/tally.h"

/* The caller guards it. */
struct observations {
    struct tally *tally;
    struct sample *sample;
    time_t *relayed;                    /* for each of the settings' domains, as of the last look */
    uint64_t tally_taken, sample_taken; /* their changes, as of observations_take */
};

/* Begins for settings, anew after a reload. False: no memory; all stays as it was. */
bool observations_begin(struct observations *observations, const struct settings *settings);
void observations_end(struct observations *observations);

/* True if there is something new since the last observations_take. */
bool observations_look(struct observations *observations, const struct settings *settings);

/* False: no memory, and *out holds nothing. */
bool observations_take(struct observations *observations, const struct settings *settings,
                       struct observed *out);

#endif
