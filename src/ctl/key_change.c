/*
 * A change of the keyring: a function of its own makes it, and ring_change or, for the first one,
 * ring_commit stores it; the daemon sees the new ring by itself. Secrets are wiped here.
 */
#include "ctl/key_change.h"

#include "base/print.h"
#include "base/random.h"
#include "ctl/arguments.h"
#include "daemon/running.h"

enum status key_refuse(struct key_change *change, enum status status)
{
    change->refused = status == STATUS_REFUSED || status == STATUS_NOT_FOUND ||
                      status == STATUS_INVALID || status == STATUS_CONFLICT;
    return status;
}

void key_change_init(const struct ctl *ctl, struct key_change *change)
{
    *change = (struct key_change){
        .policy = &ctl->config->settings->keys, .now = time(NULL), .former = RING_NO_SLOT};
    change->algorithm = change->policy->algorithm;
    change->activate_in = change->policy->publish_seconds;
}

/* Octets for a new secret, to be wiped. False: there are none, which has been said. */
bool key_change_roll(struct key_change *change)
{
    struct reason why;
    if (random_octets(change->octets, sizeof change->octets, &why) == STATUS_OK) {
        return true;
    }
    print_error("%s", why.text);
    return false;
}

/* Applies a change to the ring in force, wipes it, and says why not. An exit status. */
int key_change_apply(const struct ctl *ctl, ring_change_fn *function, struct key_change *change)
{
    struct reason why = {""};
    struct ring_source *source = ring_source_new(ctl->config->state_dir);
    enum status status = source != NULL ? ring_change(source, function, change, &why)
                                        : reason_set(&why, STATUS_NO_MEMORY, "out of memory");
    ring_source_free(source);
    secret_wipe_memory(change->octets, sizeof change->octets);
    if (status == STATUS_OK) {
        return CTL_YES;
    }
    if (change->refused) {
        print_error("%s", why.text);
    } else {
        ctl_ring_error(ctl, status, &why);
    }
    return change->refused ? CTL_NO : CTL_UNABLE;
}

/* A ring that has only its evidence secret. NULL: it has been said why. */
static struct ring *new_ring(void)
{
    struct reason why;
    uint8_t octets[SECRET_SIZE];
    struct ring *ring = ring_new();
    if (ring == NULL) {
        print_error("out of memory");
    } else if (random_octets(octets, sizeof octets, &why) != STATUS_OK) {
        print_error("%s", why.text);
        ring_free(ring);
        ring = NULL;
    } else if (ring_rotate_evidence(ring, octets) != STATUS_OK) {
        print_error("cannot set up the evidence secret");
        ring_free(ring);
        ring = NULL;
    }
    secret_wipe_memory(octets, sizeof octets);
    return ring;
}

/* True where a daemon still has the ring whose file is lost: with another in its place it would
 * forget the keys of all tags in flight. */
static bool is_kept(const struct ctl *ctl)
{
    struct ring *ring = NULL;
    struct reason why = {""};
    struct ring_source *source = ring_source_new(ctl->config->state_dir);
    enum status status = source != NULL && daemon_is_running(ctl->config->state_dir)
                             ? ring_load(source, &ring, &why)
                             : STATUS_OK;
    ring_free(ring);
    ring_source_free(source);
    if (status != STATUS_NOT_FOUND && status != STATUS_INVALID) {
        return false;
    }
    ctl_ring_error(ctl, status, &why);
    return true;
}

/* Stores a ring where there must be none yet. An exit status. */
static int store_new(const struct ctl *ctl, const struct ring *ring)
{
    struct reason why = {""};
    struct ring_source *source = ring_source_new(ctl->config->state_dir);
    enum status status = source != NULL ? ring_commit(source, 0, ring, &why)
                                        : reason_set(&why, STATUS_NO_MEMORY, "out of memory");
    ring_source_free(source);
    if (status == STATUS_OK) {
        return CTL_YES;
    }
    print_error("%s", why.text);
    return status == STATUS_CONFLICT ? CTL_NO : CTL_UNABLE;
}

/* Makes a ring of which function's change is the first. An exit status. */
int key_store_first(const struct ctl *ctl, ring_change_fn *function, struct key_change *change)
{
    struct reason why = {""};
    bool changed = true;
    if (is_kept(ctl)) {
        return CTL_NO;
    }
    struct ring *ring = new_ring();
    if (ring == NULL) {
        return CTL_UNABLE;
    }
    int exit = CTL_UNABLE;
    if (function(change, ring, &changed, &why) == STATUS_OK) {
        exit = store_new(ctl, ring);
    } else {
        print_error("%s", why.text);
        exit = change->refused ? CTL_NO : CTL_UNABLE;
    }
    ring_free(ring);
    return exit;
}

/* Reads K. Numbers without a slot are the ring's to refuse. */
bool key_take_slot(const struct ctl *ctl, int argc, char **argv, unsigned *slot)
{
    unsigned long number;
    if (argc < 2) {
        (void)ctl_usage_error(ctl, "the key's number is missing");
    } else if (argc > 2) {
        (void)ctl_usage_error(ctl, "%s: unexpected argument", argv[2]);
    } else if (!argument_number(argv[1], 1000, &number)) {
        (void)ctl_usage_error(ctl, "%s: expected a key's number, 0 to %d", argv[1], RING_SLOTS - 1);
    } else {
        *slot = (unsigned)number;
        return true;
    }
    return false;
}
