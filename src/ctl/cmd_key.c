/* batvctl key init, rotate and revoke: make and drop keys. */
#include <string.h>

#include "base/print.h"
#include "batv/day.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/key_change.h"

enum { ACTIVATE_MAX = 30 * DAY_SECONDS }; /* of --activate-in */

static enum status rotate_key(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    struct key_change *change = context;
    (void)changed;
    change->made = ring_next_slot(ring);
    change->former = ring_active(ring, change->now);
    return key_refuse(change, ring_rotate(ring, change->policy, change->algorithm, change->now,
                                          change->activate_in, change->octets, why));
}

static enum status rotate_evidence(void *context, struct ring *ring, bool *changed,
                                   struct reason *why)
{
    const struct key_change *change = context;
    (void)changed;
    enum status status = ring_rotate_evidence(ring, change->octets);
    if (status != STATUS_OK) {
        reason_write(why, "cannot set up the evidence secret");
    }
    return status;
}

int cmd_key_init(struct ctl *ctl, int argc, char **argv)
{
    struct key_change change;
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
    }
    key_change_init(ctl, &change);
    if (!key_change_roll(&change)) {
        return CTL_UNABLE;
    }
    int exit = key_store_first(ctl, rotate_key, &change);
    secret_wipe_memory(change.octets, sizeof change.octets);
    return exit == CTL_YES ? key_print_result(ctl, change.made, change.former) : exit;
}

static int rotate_evidence_only(const struct ctl *ctl, struct key_change *change)
{
    int exit = key_change_apply(ctl, rotate_evidence, change);
    if (exit == CTL_YES && ctl->json) {
        return key_print_result(ctl, 0, RING_NO_SLOT);
    }
    if (exit == CTL_YES) {
        puts("There is a new evidence secret; the former one still verifies.");
    }
    return exit;
}

int cmd_key_rotate(struct ctl *ctl, int argc, char **argv)
{
    const char *algorithm = NULL;
    const char *activate_in = NULL;
    bool evidence = false;
    const struct argument known[] = {
        {"--algorithm", ARGUMENT_VALUE, NULL, &algorithm},
        {"--activate-in", ARGUMENT_VALUE, NULL, &activate_in},
        {"--evidence", ARGUMENT_FLAG, &evidence, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct key_change change;
    unsigned long seconds = 0;
    if (!arguments_parse(ctl, known, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
    }
    if (evidence && (algorithm != NULL || activate_in != NULL)) {
        return ctl_usage_error(ctl, "--evidence makes no key: it takes no other option");
    }
    if (activate_in != NULL && !argument_number(activate_in, ACTIVATE_MAX, &seconds)) {
        return ctl_usage_error(ctl, "--activate-in %s: expected seconds, at most %d", activate_in,
                               ACTIVATE_MAX);
    }
    key_change_init(ctl, &change);
    if (algorithm != NULL && !algorithm_from_name(algorithm, &change.algorithm)) {
        return ctl_usage_error(ctl, "--algorithm %s: expected hmac-sha256 or hmac-sha1", algorithm);
    }
    if (!key_change_roll(&change)) {
        return CTL_UNABLE;
    }
    if (evidence) {
        return rotate_evidence_only(ctl, &change);
    }
    if (activate_in != NULL) {
        change.activate_in = (unsigned)seconds;
    }
    int exit = key_change_apply(ctl, rotate_key, &change);
    return exit == CTL_YES ? key_print_result(ctl, change.made, change.former) : exit;
}

static enum status revoke_key(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    struct key_change *change = context;
    (void)changed;
    return key_refuse(change, ring_revoke(ring, change->policy, change->slot, change->now,
                                          change->compromised, change->octets, why));
}

/* What the tags of a revoked key will meet with. */
static void print_revoked(const struct ring *ring, unsigned slot, time_t now)
{
    char day[DAY_TEXT];
    day_format(ring->keys[slot].tags_until, day);
    if (ring_key_state(ring, slot, now) != KEY_GONE) {
        printf("Key %u is revoked before it has signed anything.\n", slot);
    } else if (ring->keys[slot].compromised) {
        printf(
            "Key %u is revoked as compromised: bounces that name it are treated like any other.\n",
            slot);
    } else {
        printf("Key %u is revoked: until %s, bounces that name it are only logged.\n", slot, day);
    }
    int active = ring_active(ring, now);
    if (active != RING_NO_SLOT) {
        printf("Key %d signs.\n", active);
    }
}

int cmd_key_revoke(struct ctl *ctl, int argc, char **argv)
{
    bool compromised = false;
    const struct argument known[] = {
        {"--compromised", ARGUMENT_FLAG, &compromised, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct key_change change;
    struct ring *ring;
    unsigned slot;
    if (!arguments_parse(ctl, known, &argc, argv) || !key_take_slot(ctl, argc, argv, &slot)) {
        return CTL_UNABLE;
    }
    key_change_init(ctl, &change);
    change.slot = slot;
    change.compromised = compromised;
    if (!key_change_roll(&change)) {
        return CTL_UNABLE;
    }
    int exit = key_change_apply(ctl, revoke_key, &change);
    if (exit != CTL_YES) {
        return exit;
    }
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    if (ctl->json) {
        key_print_json(ring, change.now);
    } else {
        print_revoked(ring, slot, change.now);
    }
    ring_free(ring);
    return CTL_YES;
}
