/*
 * The key ring: which key signs, which verify, which slot is next, and how it changes.
 *
 * A ring belongs to whoever made it and has no lock: one that others see is not changed, a change
 * is made on a copy. All that depends on the clock takes it as an argument.
 *
 * Of the keys that can sign, each but the newest ends where its successor begins, and only the
 * newest has no end yet; every change keeps it so. When a key's end is known, so are the days until
 * which it verifies and until which its tags may be about (key_retire). A clock that stands wrong
 * therefore selects another key at most, and never makes the ring forget one.
 */
#include "batv/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"

static const char *const state_names[] = {
    [KEY_FREE] = "free",         [KEY_PENDING] = "pending", [KEY_ACTIVE] = "active",
    [KEY_RETAINED] = "retained", [KEY_GONE] = "gone",
};

/* Beyond it dates that follow from now would not fit into four digits of a year. */
static const time_t clock_max = (time_t)253000000000; /* 9987 */

const char *key_state_name(enum key_state state)
{
    return state_names[state];
}

/* One key. */

static void key_clear(struct ring_key *key)
{
    mac_key_free(key->mac);
    secret_wipe_memory(key, sizeof *key);
}

static void key_wipe_secret(struct ring_key *key)
{
    mac_key_free(key->mac);
    key->mac = NULL;
    secret_wipe(&key->secret);
}

static bool key_has_end(const struct ring_key *key)
{
    return key->signs_until != RING_OPEN;
}

/* True for a key that signs at some time, though perhaps not now. One that was rotated out in the
 * second in which it was made has no such time. */
static bool key_can_sign(const struct ring_key *key)
{
    return key->used && key->secret.length > 0 && key->signs_from != RING_OPEN &&
           key->signs_from != key->signs_until;
}

/* True for a key that signs now or later. */
static bool key_signs_yet(const struct ring_key *key, time_t now)
{
    return key_can_sign(key) && (!key_has_end(key) || key->signs_until > now);
}

/* A key without an end, that signs from `from` on (RING_OPEN: never). */
static enum status key_make(struct ring_key *key, enum algorithm algorithm, unsigned lifetime,
                            time_t now, time_t from, const struct secret *secret)
{
    assert(lifetime >= 1 && lifetime <= RING_LIFETIME_MAX);
    *key = (struct ring_key){
        .used = true,
        .algorithm = algorithm,
        .lifetime = lifetime,
        .created = now,
        .signs_from = from,
        .signs_until = RING_OPEN,
        .verifies_until = RING_OPEN,
        .tags_until = -1,
    };
    enum status status = mac_key_new(algorithm, secret, &key->mac);
    if (status == STATUS_OK) {
        secret_set(&key->secret, secret->octets, secret->length);
    } else {
        key->used = false;
    }
    return status;
}

/* Gives a key its end. One day more than its last day of signing: a message holds its key from its
 * beginning to its end. */
static void key_retire(struct ring_key *key, const struct key_policy *policy, time_t until)
{
    if (key->lifetime < policy->lifetime_days) {
        key->lifetime = policy->lifetime_days;
    }
    unsigned days = policy->retain_days < RING_RETAIN_MAX ? policy->retain_days : RING_RETAIN_MAX;
    if (days < key->lifetime) {
        days = key->lifetime;
    }

    int64_t after = day_of(until - 1) + 1;
    key->signs_until = until;
    key->tags_until = after + key->lifetime;
    key->verifies_until = until;
    if (policy->retain_days > 0) {
        key->verifies_until = (time_t)((after + days + 1) * DAY_SECONDS);
    }
}

/* Takes a key's end away again. */
static void key_reopen(struct ring_key *key)
{
    key->signs_until = RING_OPEN;
    key->verifies_until = RING_OPEN;
    key->tags_until = -1;
}

/* Ends a key at this moment, whatever its times were; a clock in its future may have set them. */
static void key_end_now(struct ring_key *key, time_t now, bool compromised)
{
    if (key->created > now) {
        key->created = now;
    }
    if (key->signs_from != RING_OPEN && key->signs_from > now) {
        key->signs_from = now;
    }
    if (!key_has_end(key) || key->signs_until > now) {
        key->signs_until = now;
        key->tags_until = day_of(now) + 1 + key->lifetime;
    }
    key->verifies_until = now;
    key->compromised = key->compromised || compromised;
    key_wipe_secret(key);
}

/* The ring as an object. */

struct ring *ring_new(void)
{
    return secret_alloc(sizeof(struct ring));
}

static void domains_free(struct ring *ring)
{
    for (size_t i = 0; i < ring->domain_count; i++) {
        free(ring->domains[i].name);
    }
    free(ring->domains);
    ring->domains = NULL;
    ring->domain_count = 0;
    ring->domain_room = 0;
}

void ring_free(struct ring *ring)
{
    if (ring == NULL) {
        return;
    }
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        mac_key_free(ring->keys[i].mac);
    }
    for (unsigned i = 0; i < RING_EVIDENCE; i++) {
        mac_key_free(ring->evidence_macs[i]);
    }
    domains_free(ring);
    secret_free(ring, sizeof *ring);
}

static bool keys_copy(struct ring *copy, const struct ring *ring)
{
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        copy->keys[i] = ring->keys[i];
        copy->keys[i].mac = NULL;
        if (ring->keys[i].mac != NULL && mac_key_new(ring->keys[i].algorithm, &ring->keys[i].secret,
                                                     &copy->keys[i].mac) != STATUS_OK) {
            return false;
        }
    }
    return true;
}

static bool domains_copy(struct ring *copy, const struct ring *ring)
{
    if (ring->domain_count == 0) {
        return true;
    }
    copy->domains = calloc(ring->domain_count, sizeof *copy->domains);
    copy->domain_room = copy->domains != NULL ? ring->domain_count : 0;
    if (copy->domains == NULL) {
        return false;
    }
    for (size_t i = 0; i < ring->domain_count; i++) {
        copy->domains[i] = ring->domains[i];
        copy->domains[i].name = strdup(ring->domains[i].name);
        if (copy->domains[i].name == NULL) {
            return false;
        }
        copy->domain_count++;
    }
    return true;
}

struct ring *ring_copy(const struct ring *ring)
{
    struct ring *copy = ring_new();
    if (copy == NULL) {
        return NULL;
    }
    copy->generation = ring->generation;
    if (ring_set_evidence(copy, &ring->evidence_current, &ring->evidence_previous) != STATUS_OK ||
        !keys_copy(copy, ring) || !domains_copy(copy, ring)) {
        ring_free(copy);
        return NULL;
    }
    return copy;
}

/* Questions. */

int ring_active(const struct ring *ring, time_t now)
{
    int active = RING_NO_SLOT;
    int earliest = RING_NO_SLOT;
    for (int i = 0; i < RING_SLOTS; i++) {
        const struct ring_key *key = &ring->keys[i];
        if (!key_signs_yet(key, now)) {
            continue;
        }
        if (key->signs_from <= now) {
            if (active == RING_NO_SLOT || key->signs_from > ring->keys[active].signs_from) {
                active = i;
            }
        } else if (earliest == RING_NO_SLOT || key->signs_from < ring->keys[earliest].signs_from) {
            earliest = i;
        }
    }
    return active != RING_NO_SLOT ? active : earliest;
}

int ring_pending(const struct ring *ring, time_t now)
{
    int active = ring_active(ring, now);
    int pending = RING_NO_SLOT;
    for (int i = 0; i < RING_SLOTS; i++) {
        const struct ring_key *key = &ring->keys[i];
        if (i == active || !key_signs_yet(key, now) || key->signs_from <= now) {
            continue;
        }
        if (pending == RING_NO_SLOT || key->signs_from < ring->keys[pending].signs_from) {
            pending = i;
        }
    }
    return pending;
}

enum key_state ring_key_state(const struct ring *ring, unsigned slot, time_t now)
{
    assert(slot < RING_SLOTS);
    const struct ring_key *key = &ring->keys[slot];
    if (!key->used) {
        return KEY_FREE;
    }
    if ((int)slot == ring_active(ring, now)) {
        return KEY_ACTIVE;
    }
    if (key->secret.length == 0 || (key_has_end(key) && key->verifies_until <= now)) {
        return day_of(now) > key->tags_until ? KEY_FREE : KEY_GONE;
    }
    return key_signs_yet(key, now) && key->signs_from > now ? KEY_PENDING : KEY_RETAINED;
}

bool ring_key_missed(const struct ring *ring, unsigned slot, unsigned day_code, time_t now)
{
    if (ring_key_state(ring, slot, now) != KEY_GONE || ring->keys[slot].compromised) {
        return false;
    }
    const struct ring_key *key = &ring->keys[slot];
    int64_t expires = day_of(now) + day_until(day_code, day_of(now));
    if (expires > key->tags_until) {
        expires -= DAY_CODES; /* the last time that these digits came by */
    }
    return expires >= day_of(key->created); /* an imported one has signed elsewhere before */
}

int64_t ring_free_day(const struct ring *ring, unsigned slot)
{
    assert(slot < RING_SLOTS);
    const struct ring_key *key = &ring->keys[slot];
    if (!key->used) {
        return 0;
    }
    if (!key_has_end(key)) {
        return -1;
    }
    int64_t forgotten = day_of(key->verifies_until + DAY_SECONDS - 1);
    return forgotten > key->tags_until ? forgotten : key->tags_until + 1;
}

/* The key that will sign last; where none signs, the one made last. */
static int ring_newest(const struct ring *ring)
{
    int newest = RING_NO_SLOT;
    for (int i = 0; i < RING_SLOTS; i++) {
        const struct ring_key *key = &ring->keys[i];
        if (key_can_sign(key) && !key_has_end(key)) {
            return i;
        }
        if (key->used && (newest == RING_NO_SLOT || key->created >= ring->keys[newest].created)) {
            newest = i;
        }
    }
    return newest;
}

unsigned ring_next_slot(const struct ring *ring)
{
    return (unsigned)(ring_newest(ring) + 1) % RING_SLOTS;
}

time_t ring_rotation_due(const struct ring *ring, const struct key_policy *policy, time_t now)
{
    if (policy->rotate_days == 0 || ring_pending(ring, now) != RING_NO_SLOT) {
        return RING_OPEN;
    }
    int active = ring_active(ring, now);
    if (active == RING_NO_SLOT) {
        return now;
    }
    return ring->keys[active].signs_from + (time_t)policy->rotate_days * DAY_SECONDS;
}

time_t ring_newest_time(const struct ring *ring)
{
    time_t newest = 0;
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        if (ring->keys[i].used && ring->keys[i].created > newest) {
            newest = ring->keys[i].created;
        }
    }
    for (size_t i = 0; i < ring->domain_count; i++) {
        if (ring->domains[i].first_signed > newest) {
            newest = ring->domains[i].first_signed;
        }
        if (ring->domains[i].tag_seen > newest) {
            newest = ring->domains[i].tag_seen;
        }
    }
    return newest;
}

const struct mac_key *ring_evidence_mac(const struct ring *ring, unsigned secret)
{
    assert(secret < RING_EVIDENCE);
    return ring->evidence_macs[secret];
}

/* Where name is, or where it would have to be. */
static size_t domain_position(const struct ring *ring, const char *name, bool *found)
{
    size_t low = 0;
    size_t high = ring->domain_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(ring->domains[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = low < ring->domain_count && strcmp(ring->domains[low].name, name) == 0;
    return low;
}

bool ring_first_signed(const struct ring *ring, const char *name, time_t *out)
{
    bool found;
    size_t position = domain_position(ring, name, &found);
    if (found) {
        *out = ring->domains[position].first_signed;
    }
    return found;
}

bool ring_tag_seen(const struct ring *ring, const char *name)
{
    bool found;
    size_t position = domain_position(ring, name, &found);
    return found && ring->domains[position].tag_seen != 0;
}

/* What a change may need before it begins. */

static enum status check_clock(const struct ring *ring, time_t now, struct reason *why)
{
    if (now < 0 || now > clock_max) {
        return reason_set(why, STATUS_REFUSED, "the clock is wrong: set it right");
    }

    int active = ring_active(ring, now);
    if (active == RING_NO_SLOT || ring->keys[active].signs_from <= now) {
        return STATUS_OK;
    }
    char clock[TIME_TEXT], from[TIME_TEXT];
    time_format(now, clock);
    time_format(ring->keys[active].signs_from, from);
    return reason_set(why, STATUS_REFUSED,
                      "the clock says %s, but key %d signs from %s: set the clock right", clock,
                      active, from);
}

static enum status check_none_pending(const struct ring *ring, time_t now, struct reason *why)
{
    int pending = ring_pending(ring, now);
    if (pending == RING_NO_SLOT) {
        return STATUS_OK;
    }
    char from[TIME_TEXT];
    time_format(ring->keys[pending].signs_from, from);
    return reason_set(why, STATUS_REFUSED,
                      "key %d is pending already and signs from %s: revoke it first", pending,
                      from);
}

/* The first free one of count slots from the next on. */
static enum status find_slot(const struct ring *ring, time_t now, unsigned count, unsigned *out,
                             struct reason *why)
{
    unsigned first = ring_next_slot(ring);
    unsigned soonest = first;
    for (unsigned i = 0; i < count; i++) {
        unsigned slot = (first + i) % RING_SLOTS;
        if (ring_key_state(ring, slot, now) == KEY_FREE) {
            *out = slot;
            return STATUS_OK;
        }
        int64_t day = ring_free_day(ring, slot);
        int64_t best = ring_free_day(ring, soonest);
        if (day >= 0 && (best < 0 || day < best)) {
            soonest = slot;
        }
    }
    char day[DAY_TEXT];
    day_format(ring_free_day(ring, soonest), day);
    return reason_set(why, STATUS_REFUSED,
                      "slot %u still verifies tags of its former key and frees up on %s", soonest,
                      day);
}

/* Puts a key that signs into a free slot; the former active one ends where it begins. */
static void ring_place(struct ring *ring, const struct key_policy *policy, unsigned slot,
                       struct ring_key *fresh, int former)
{
    if (former != RING_NO_SLOT) {
        key_retire(&ring->keys[former], policy, fresh->signs_from);
    }
    key_clear(&ring->keys[slot]);
    ring->keys[slot] = *fresh;
    secret_wipe_memory(fresh, sizeof *fresh);
}

/* A key of octets, placed in slot. */
static enum status ring_make_key(struct ring *ring, const struct key_policy *policy,
                                 enum algorithm algorithm, unsigned slot, time_t now, time_t from,
                                 const uint8_t octets[static SECRET_SIZE], struct reason *why)
{
    struct ring_key fresh;
    struct secret secret;
    secret_set(&secret, octets, SECRET_SIZE);
    enum status status = key_make(&fresh, algorithm, policy->lifetime_days, now, from, &secret);
    if (status == STATUS_OK) {
        ring_place(ring, policy, slot, &fresh, ring_active(ring, now));
    } else {
        reason_write(why, "cannot set up the key");
    }
    secret_wipe(&secret);
    return status;
}

/* Changes. */

enum status ring_rotate(struct ring *ring, const struct key_policy *policy,
                        enum algorithm algorithm, time_t now, unsigned activate_in,
                        const uint8_t octets[static SECRET_SIZE], struct reason *why)
{
    unsigned slot = RING_SLOTS;
    enum status status = check_clock(ring, now, why);
    if (status == STATUS_OK) {
        status = check_none_pending(ring, now, why);
    }
    if (status == STATUS_OK) {
        status = find_slot(ring, now, 1, &slot, why);
    }
    if (status != STATUS_OK) {
        return status;
    }
    time_t from = ring_active(ring, now) == RING_NO_SLOT ? now : now + (time_t)activate_in;
    return ring_make_key(ring, policy, algorithm, slot, now, from, octets, why);
}

static enum status revoke_active(struct ring *ring, const struct key_policy *policy, unsigned slot,
                                 time_t now, bool compromised,
                                 const uint8_t octets[static SECRET_SIZE], struct reason *why)
{
    enum status status = STATUS_OK;
    int pending = ring_pending(ring, now);
    if (pending != RING_NO_SLOT) {
        ring->keys[pending].signs_from = now;
    } else {
        unsigned next;
        status = find_slot(ring, now, RING_SLOTS, &next, why);
        if (status == STATUS_OK) {
            status = ring_make_key(ring, policy, policy->algorithm, next, now, now, octets, why);
        }
    }
    if (status != STATUS_OK) {
        return status;
    }

    /* Its end, which its successor may have set already, is now and counted from today. */
    struct ring_key *key = &ring->keys[slot];
    if (key->lifetime < policy->lifetime_days) {
        key->lifetime = policy->lifetime_days;
    }
    key_reopen(key);
    key_end_now(key, now, compromised);
    return STATUS_OK;
}

/* The key that signed, or will have signed, last before this slot's does. Between the two may lie
 * the time of keys that have been revoked. */
static struct ring_key *key_before(struct ring *ring, unsigned slot)
{
    struct ring_key *before = NULL;
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        struct ring_key *key = &ring->keys[i];
        if (i == slot || !key_can_sign(key) || !key_has_end(key) ||
            key->signs_until > ring->keys[slot].signs_from) {
            continue;
        }
        if (before == NULL || key->signs_until > before->signs_until ||
            (key->signs_until == before->signs_until && key->signs_from > before->signs_from)) {
            before = key;
        }
    }
    return before;
}

/* Empties the slot; the key before it goes on signing in its stead. */
static void revoke_pending(struct ring *ring, const struct key_policy *policy, unsigned slot)
{
    struct ring_key *key = &ring->keys[slot];
    struct ring_key *before = key_before(ring, slot);
    if (before != NULL && key_has_end(key)) {
        key_retire(before, policy, key->signs_until);
    } else if (before != NULL) {
        key_reopen(before);
    }
    key_clear(key);
}

enum status ring_revoke(struct ring *ring, const struct key_policy *policy, unsigned slot,
                        time_t now, bool compromised, const uint8_t octets[static SECRET_SIZE],
                        struct reason *why)
{
    if (now < 0 || now > clock_max) {
        return reason_set(why, STATUS_REFUSED, "the clock is wrong: set it right");
    }
    enum key_state state = slot < RING_SLOTS ? ring_key_state(ring, slot, now) : KEY_FREE;
    switch (state) {
    case KEY_ACTIVE:
        return revoke_active(ring, policy, slot, now, compromised, octets, why);
    case KEY_PENDING:
        revoke_pending(ring, policy, slot);
        return STATUS_OK;
    case KEY_RETAINED:
        key_end_now(&ring->keys[slot], now, compromised);
        return STATUS_OK;
    case KEY_GONE:
        if (!compromised || ring->keys[slot].compromised) {
            return reason_set(why, STATUS_NOT_FOUND, "key %u is gone already", slot);
        }
        ring->keys[slot].compromised = true;
        key_wipe_secret(&ring->keys[slot]);
        return STATUS_OK;
    case KEY_FREE:
        break;
    }
    return reason_set(why, STATUS_NOT_FOUND, "there is no key %u", slot);
}

static enum status check_import_slot(const struct ring *ring, unsigned slot, time_t now,
                                     struct reason *why)
{
    if (slot >= RING_SLOTS) {
        return reason_set(why, STATUS_INVALID, "key %u: the numbers go from 0 to %d", slot,
                          RING_SLOTS - 1);
    }
    enum key_state state = ring_key_state(ring, slot, now);
    if (state == KEY_FREE) {
        return STATUS_OK;
    }

    int64_t day = ring_free_day(ring, slot);
    if (day < 0) {
        return reason_set(why, STATUS_REFUSED, "slot %u holds a key that is %s", slot,
                          key_state_name(state));
    }
    char text[DAY_TEXT];
    day_format(day, text);
    return reason_set(why, STATUS_REFUSED,
                      "slot %u holds a key that is %s: it frees up on %s at the earliest", slot,
                      key_state_name(state), text);
}

static enum status check_import_state(const struct ring *ring, const struct key_policy *policy,
                                      enum key_state state, time_t now, struct reason *why)
{
    if (state == KEY_RETAINED) {
        if (policy->retain_days == 0) {
            return reason_set(why, STATUS_REFUSED,
                              "keys.retain_days is 0: a retained key would be forgotten at once");
        }
        return now < 0 || now > clock_max
                   ? reason_set(why, STATUS_REFUSED, "the clock is wrong: set it right")
                   : STATUS_OK;
    }
    if (state == KEY_PENDING && policy->publish_seconds == 0) {
        return reason_set(why, STATUS_REFUSED,
                          "keys.publish_seconds is 0, so no key waits: import it as active");
    }
    enum status status = check_clock(ring, now, why);
    return status == STATUS_OK ? check_none_pending(ring, now, why) : status;
}

static enum status check_import_secret(enum algorithm algorithm, const struct secret *secret,
                                       struct reason *why)
{
    size_t least = algorithm == ALGORITHM_HMAC_SHA256 ? RING_SECRET_MIN_SHA256 : 1;
    if (secret->length >= least) {
        return STATUS_OK;
    }
    return reason_set(why, STATUS_INVALID, "a secret for %s has %zu to %d octets, this one has %zu",
                      algorithm_name(algorithm), least, SECRET_MAX, secret->length);
}

enum status ring_import(struct ring *ring, const struct key_policy *policy, unsigned slot,
                        enum algorithm algorithm, enum key_state state, const struct secret *secret,
                        time_t now, struct reason *why)
{
    assert(state == KEY_PENDING || state == KEY_ACTIVE || state == KEY_RETAINED);
    enum status status = check_import_slot(ring, slot, now, why);
    if (status == STATUS_OK) {
        status = check_import_secret(algorithm, secret, why);
    }
    if (status == STATUS_OK) {
        status = check_import_state(ring, policy, state, now, why);
    }
    if (status != STATUS_OK) {
        return status;
    }

    int former = ring_active(ring, now);
    time_t from = now;
    if (state == KEY_RETAINED) {
        from = RING_OPEN;
    } else if (state == KEY_PENDING && former != RING_NO_SLOT) {
        from = now + (time_t)policy->publish_seconds;
    }

    struct ring_key fresh;
    status = key_make(&fresh, algorithm, policy->lifetime_days, now, from, secret);
    if (status != STATUS_OK) {
        return reason_set(why, status, "cannot set up the key");
    }
    if (state == KEY_RETAINED) {
        key_retire(&fresh, policy, now);
    }
    ring_place(ring, policy, slot, &fresh, state == KEY_RETAINED ? RING_NO_SLOT : former);
    return STATUS_OK;
}

enum status ring_set_evidence(struct ring *ring, const struct secret *current,
                              const struct secret *previous)
{
    const struct secret *const secrets[RING_EVIDENCE] = {current, previous};
    struct mac_key *macs[RING_EVIDENCE] = {NULL, NULL};
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < RING_EVIDENCE && status == STATUS_OK; i++) {
        if (secrets[i]->length > 0) {
            status = mac_key_new(ALGORITHM_HMAC_SHA256, secrets[i], &macs[i]);
        }
    }
    if (status == STATUS_OK) {
        for (unsigned i = 0; i < RING_EVIDENCE; i++) {
            mac_key_free(ring->evidence_macs[i]);
            ring->evidence_macs[i] = macs[i];
            macs[i] = NULL;
        }
        /* previous first: in a rotation it is the ring's current one. */
        ring->evidence_previous = *previous;
        ring->evidence_current = *current;
    }
    for (unsigned i = 0; i < RING_EVIDENCE; i++) {
        mac_key_free(macs[i]);
    }
    return status;
}

enum status ring_rotate_evidence(struct ring *ring, const uint8_t octets[static SECRET_SIZE])
{
    struct secret fresh;
    secret_set(&fresh, octets, SECRET_SIZE);
    enum status status = ring_set_evidence(ring, &fresh, &ring->evidence_current);
    secret_wipe(&fresh);
    return status;
}

bool ring_raise_lifetime(struct ring *ring, unsigned lifetime_days, time_t now)
{
    assert(lifetime_days <= RING_LIFETIME_MAX);
    bool changed = false;
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        struct ring_key *key = &ring->keys[i];
        if (!key_signs_yet(key, now) || key->lifetime >= lifetime_days) {
            continue;
        }
        key->lifetime = lifetime_days;
        changed = true;
        if (!key_has_end(key)) {
            continue;
        }
        int64_t after = day_of(key->signs_until - 1) + 1;
        time_t until = (time_t)((after + lifetime_days + 1) * DAY_SECONDS);
        key->tags_until = after + lifetime_days;
        if (key->verifies_until > key->signs_until && key->verifies_until < until) {
            key->verifies_until = until;
        }
    }
    return changed;
}

static bool domain_is_plain(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return false;
        }
    }
    return *name != '\0';
}

/* Room for one more. False: no memory. */
static bool make_room(struct ring *ring)
{
    if (ring->domain_count < ring->domain_room) {
        return true;
    }
    size_t room = ring->domain_count + ring->domain_count / 2 + 4;
    struct ring_domain *domains = reallocarray(ring->domains, room, sizeof *domains);
    if (domains != NULL) {
        ring->domains = domains;
        ring->domain_room = room;
    }
    return domains != NULL;
}

enum status ring_domain_add(struct ring *ring, const char *name, time_t first_signed, bool *changed)
{
    *changed = false;
    if (!domain_is_plain(name) || first_signed < 0 || first_signed > clock_max) {
        return STATUS_INVALID;
    }
    bool found;
    size_t position = domain_position(ring, name, &found);
    if (found) {
        return STATUS_OK;
    }

    char *copy = strdup(name);
    if (copy == NULL || !make_room(ring)) {
        free(copy);
        return STATUS_NO_MEMORY;
    }
    struct ring_domain *domains = ring->domains;
    memmove(domains + position + 1, domains + position,
            (ring->domain_count - position) * sizeof *domains);
    domains[position] = (struct ring_domain){.name = copy, .first_signed = first_signed};
    ring->domain_count++;
    *changed = true;
    return STATUS_OK;
}

bool ring_domain_tag_seen(struct ring *ring, const char *name, time_t when)
{
    bool found;
    size_t position = domain_position(ring, name, &found);
    if (!found || ring->domains[position].tag_seen != 0 || when <= 0 || when > clock_max) {
        return false;
    }
    ring->domains[position].tag_seen = when;
    return true;
}

bool ring_domain_filter(struct ring *ring, bool (*keep)(void *context, const char *name),
                        void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < ring->domain_count; i++) {
        if (keep(context, ring->domains[i].name)) {
            ring->domains[kept++] = ring->domains[i];
        } else {
            free(ring->domains[i].name);
        }
    }
    bool changed = kept != ring->domain_count;
    ring->domain_count = kept;
    return changed;
}

bool ring_prune(struct ring *ring, time_t now)
{
    bool changed = false;
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        struct ring_key *key = &ring->keys[i];
        enum key_state state = ring_key_state(ring, i, now);
        if (state == KEY_FREE && key->used) {
            key_clear(key);
            changed = true;
        } else if (state == KEY_GONE && key->secret.length > 0) {
            key_wipe_secret(key);
            changed = true;
        }
    }
    return changed;
}
