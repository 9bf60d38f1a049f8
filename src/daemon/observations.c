/*
 * The tally and the sample count how often their answers change, so that a look costs little. The
 * time when a domain's unsigned mail was last relayed changes with each message: only steps of an
 * hour are news.
 */
#include "daemon/observations.h"

#include <stdlib.h>
#include <string.h>

enum { RELAYED_GAP = 3600 }; /* seconds by which a relayed domain's last time may lag behind */

/* ------------------------------------------------------------------ relayed */

/* Whether and until when a domain is held back need not be known to the second; what was taken back
 * holds it no more. */
static bool look_at_relayed(struct observations *o, const struct settings *settings)
{
    struct observed now;
    bool changed = false;
    bool made = observed_begin(&now, settings); /* without memory the next look tries again */
    if (made) {
        tally_relayed(o->tally, observed_note_relayed, &now);
    }
    for (size_t i = 0; made && i < settings->domain_count; i++) {
        if (now.relayed[i] < o->relayed[i] || now.relayed[i] > o->relayed[i] + RELAYED_GAP) {
            o->relayed[i] = now.relayed[i];
            changed = true;
        }
    }
    observed_free(&now);
    return changed;
}

static bool is_relay(void *context, const char *client)
{
    const struct settings *settings = *(const struct settings *const *)context;
    struct ip ip;
    return ip_parse(client, &ip) && network_list_match(settings->relays, &ip) != NULL;
}

bool observations_begin(struct observations *o, const struct settings *settings)
{
    time_t *relayed = calloc(settings->domain_count + 1, sizeof *relayed);
    if (relayed == NULL) {
        return false;
    }
    free(o->relayed);
    o->relayed = relayed;
    look_at_relayed(o, settings);
    tally_forget_relays(o->tally, is_relay, &settings);
    return true;
}

void observations_end(struct observations *o)
{
    free(o->relayed);
    o->relayed = NULL;
}

bool observations_look(struct observations *o, const struct settings *settings)
{
    bool changed = look_at_relayed(o, settings);
    return changed || tally_observations(o->tally) != o->tally_taken ||
           sample_changes(o->sample) != o->sample_taken;
}

/* ------------------------------------------------------------------- taking */

/* Relays that handed in a valid tag; NULL: no memory. The caller frees. */
static struct network_list *find_proven(const struct observations *o)
{
    struct network_list *proven = NULL;
    char **names = NULL;
    size_t count = 0;
    size_t bad;
    if (tally_relays(o->tally, &names, &count) == STATUS_OK) {
        network_list_new((const char *const *)names, count, &proven, &bad);
    }
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    return proven;
}

bool observations_take(struct observations *o, const struct settings *settings,
                       struct observed *out)
{
    o->sample_taken = sample_changes(o->sample);
    o->tally_taken = tally_observations(o->tally);
    if (!observed_begin(out, settings) || (out->proven = find_proven(o)) == NULL ||
        tally_hosted(o->tally, &out->hosted, &out->hosted_count) != STATUS_OK) {
        observed_free(out);
        return false;
    }
    memcpy(out->relayed, o->relayed, settings->domain_count * sizeof *out->relayed);
    sample_rewritten(o->sample, observed_note_rewritten, out);
    out->hosted_full = out->hosted_count >= TALLY_HOSTED_MAX;
    return true;
}
