/* What the commands that change the keyring have in common, and how they show the outcome. */
#ifndef CTL_KEY_CHANGE_H
#define CTL_KEY_CHANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "batv/ring.h"
#include "ctl/ctl.h"
#include "store/ring_file.h"

/* What a change needs, and what came of it. */
struct key_change {
    const struct key_policy *policy;
    time_t now;
    enum algorithm algorithm;
    unsigned activate_in;
    unsigned slot;
    bool compromised;
    enum key_state state;
    const struct secret *secret;
    uint8_t octets[SECRET_SIZE];
    unsigned made; /* the slot into which a rotation has put its key */
    int former;    /* the key that was active before, or RING_NO_SLOT */
    bool refused;  /* the ring has said no, not the file */
};

/* A change under the configuration's settings, from now. */
void key_change_init(const struct ctl *ctl, struct key_change *change);
/* Octets for a new secret, to be wiped. False: there are none, which has been said. */
bool key_change_roll(struct key_change *change);
/* Notes whether the ring itself has refused the change; returns status. */
enum status key_refuse(struct key_change *change, enum status status);
/* Applies a change to the ring in force, wipes it, and says why not. An exit status. */
int key_change_apply(const struct ctl *ctl, ring_change_fn *function, struct key_change *change);
/* Makes a ring of which function's change is the first. An exit status. */
int key_store_first(const struct ctl *ctl, ring_change_fn *function, struct key_change *change);

/* Reads K, the one operand. Numbers without a slot are the ring's to refuse. False: the usage is on
 * stderr. */
bool key_take_slot(const struct ctl *ctl, int argc, char **argv, unsigned *slot);

/* Prints all keys as JSON. */
void key_print_json(const struct ring *ring, time_t now);
/* Prints what came of key slot, and of the key that was active before: as JSON, all keys. An exit
 * status. */
int key_print_result(const struct ctl *ctl, unsigned slot, int former);

#endif
