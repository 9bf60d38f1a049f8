/*
 * The key ring: ten slots (the digit K of a tag), the evidence secrets, and for each signing domain
 * the moment of its first signed message, and of the first valid tag that came back from outside.
 * One object, replaced as a whole; the generation counts
 * the replacements. A ring that others can see is never changed: copy, change, commit
 * (store/ring_file.h).
 *
 * A key's state follows from its times and the clock and is never stored:
 *   pending   known, verifies, does not sign yet       now < signs_from
 *   active    signs and verifies                       signs_from <= now < signs_until
 *   retained  only verifies                            signs_until <= now < verifies_until
 *   gone      refused; until tags_until its tags may still be about, so the slot is not reused
 *   free      no key, or one that is gone and whose last tag has expired
 */
#ifndef BATV_RING_H
#define BATV_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "batv/mac.h"
#include "batv/secret.h"
#include "batv/status.h"

enum {
    RING_SLOTS = 10,
    RING_NO_SLOT = -1,
    RING_EVIDENCE = 2, /* evidence secrets: 0 the current one, 1 the previous */
    RING_LIFETIME_MAX = 60,
    RING_SECRET_MIN_SHA256 = 16, /* octets of an imported secret; for hmac-sha1 1 will do */
    RING_RETAIN_MAX = 36500      /* days: more is cut to this, so that every time can be written */
};

enum key_state { KEY_FREE, KEY_PENDING, KEY_ACTIVE, KEY_RETAINED, KEY_GONE };
const char *key_state_name(enum key_state state);

/* A moment that has not been set yet: the key signs until it is rotated out. */
#define RING_OPEN ((time_t)-1)

struct ring_key {
    bool used;        /* false: the slot is empty and all else is zero */
    bool compromised; /* revoked as compromised: its tags get no leniency */
    enum algorithm algorithm;
    unsigned lifetime;     /* days, the longest that it was used with */
    time_t created;        /* made or imported */
    time_t signs_from;     /* RING_OPEN: never signs (imported to verify only) */
    time_t signs_until;    /* RING_OPEN while no successor is known */
    time_t verifies_until; /* exclusive; RING_OPEN while signs_until is */
    int64_t tags_until;    /* last day on which a tag of it can be valid; -1 while it has no end */
    struct secret secret;  /* empty once gone and pruned, or revoked */
    struct mac_key *mac;   /* NULL exactly where secret is empty */
};

struct ring_domain {
    char *name; /* as in the configuration's domains: A-labels, a leading dot for subdomains */
    time_t first_signed;
    time_t tag_seen; /* when a valid tag first came back from outside; 0: never */
};

struct ring {
    uint64_t generation; /* 0: never stored */
    struct ring_key keys[RING_SLOTS];
    /* Either may be empty. Set together with their MAC keys, by ring_set_evidence. */
    struct secret evidence_current, evidence_previous;
    struct mac_key *evidence_macs[RING_EVIDENCE]; /* NULL exactly where the secret is empty */
    struct ring_domain *domains;                  /* sorted by name */
    size_t domain_count;
    size_t domain_room; /* of the array */
};

/* What the configuration says of keys. Days, except publish_seconds. */
struct key_policy {
    unsigned rotate_days; /* 0: never by itself */
    unsigned retain_days; /* 0: forget at once */
    unsigned lifetime_days;
    unsigned publish_seconds;
    enum algorithm algorithm;
};

/* An empty ring, generation 0. NULL: no memory. */
struct ring *ring_new(void);
/* A deep copy, to be changed and committed. NULL: no memory. */
struct ring *ring_copy(const struct ring *ring);
/* Wipes all secrets. */
void ring_free(struct ring *ring);

enum key_state ring_key_state(const struct ring *ring, unsigned slot, time_t now);

/* The slot that signs now, or RING_NO_SLOT for a ring without keys. Where the clock stands before
 * every key's signs_from, the earliest signs all the same: no key is lost to a clock. */
int ring_active(const struct ring *ring, time_t now);
/* The slot that waits to sign, or RING_NO_SLOT. */
int ring_pending(const struct ring *ring, time_t now);

/* Evidence by the current (0) or the previous (1) secret. NULL: the ring has none. */
const struct mac_key *ring_evidence_mac(const struct ring *ring, unsigned secret);

/* True where the slot's key was revoked or forgotten, other than as compromised, while its tags can
 * still be valid, and it can have signed for this day (DDD): a bounce to such a tag is logged
 * instead of rejected (rule key-gone). */
bool ring_key_missed(const struct ring *ring, unsigned slot, unsigned day_code, time_t now);

/* The first day on which slot takes a new key; 0 where it is empty, -1 while its key has no end. */
int64_t ring_free_day(const struct ring *ring, unsigned slot);
/* The slot into which a rotation puts its key: the one after the newest that signs or waits to. */
unsigned ring_next_slot(const struct ring *ring);

/* The moment at which rotation falls due by policy: now where no key signs, RING_OPEN: never, or
 * not before the pending key signs. That its slot may not be free is another matter
 * (ring_free_day). */
time_t ring_rotation_due(const struct ring *ring, const struct key_policy *policy, time_t now);
/* The newest moment that was "now" when it was written: a clock far before it is wrong. 0: none. A
 * ring that a wrong clock has put into the future is mended by revoking the key that was made then.
 */
time_t ring_newest_time(const struct ring *ring);

/* When slot's domain signed first; false: never. name as in ring_domain. */
bool ring_first_signed(const struct ring *ring, const char *name, time_t *out);
/* True once a valid tag of the domain has come back from outside. */
bool ring_tag_seen(const struct ring *ring, const char *name);

/*
 * Changes, on a copy. octets are SECRET_SIZE random octets; they are copied and the caller wipes
 * them. STATUS_REFUSED with the reason in why (and the date when a slot frees up). Whatever is not
 * STATUS_OK has left the ring as it was.
 */
/* The new key signs activate_in seconds from now; at once where no other key can. Refused while a
 * key is pending, while the next slot is not free, and by a clock that stands before the active
 * key. */
enum status ring_rotate(struct ring *ring, const struct key_policy *policy,
                        enum algorithm algorithm, time_t now, unsigned activate_in,
                        const uint8_t octets[static SECRET_SIZE], struct reason *why);
/* STATUS_NOT_FOUND: no such key; a key that is gone can only be marked as compromised. The active
 * key's successor, already pending or made of octets in the next free slot, signs at once. Revoking
 * a pending key gives its time back to the key before it. */
enum status ring_revoke(struct ring *ring, const struct key_policy *policy, unsigned slot,
                        time_t now, bool compromised, const uint8_t octets[static SECRET_SIZE],
                        struct reason *why);
/* state: KEY_PENDING (from policy's publish_seconds on), KEY_ACTIVE (from now on; the former active
 * key is retired as by a rotation) or KEY_RETAINED (verifies only, as if rotated out now).
 * STATUS_INVALID: no such slot, or a secret too short for the algorithm. */
enum status ring_import(struct ring *ring, const struct key_policy *policy, unsigned slot,
                        enum algorithm algorithm, enum key_state state, const struct secret *secret,
                        time_t now, struct reason *why);
/* Replaces both evidence secrets and their MAC keys. Either may be empty, and each may be the
 * ring's own of that place. STATUS_NO_MEMORY or STATUS_CRYPTO: the ring is as it was. */
enum status ring_set_evidence(struct ring *ring, const struct secret *current,
                              const struct secret *previous);
/* current becomes previous. */
enum status ring_rotate_evidence(struct ring *ring, const uint8_t octets[static SECRET_SIZE]);
/* Records that keys which sign now or later do so with this lifetime. True: something changed. */
bool ring_raise_lifetime(struct ring *ring, unsigned lifetime_days, time_t now);
/* Adds name unless it is there. *changed tells. STATUS_INVALID: name is empty or not of printable
 * ASCII characters without a space. */
enum status ring_domain_add(struct ring *ring, const char *name, time_t first_signed,
                            bool *changed);
/* Records that a valid tag came back. False: nothing changed, because the domain has that record
 * already or is not in the ring. */
bool ring_domain_tag_seen(struct ring *ring, const char *name, time_t when);
/* Drops every domain for which keep answers false. True: something changed. */
bool ring_domain_filter(struct ring *ring, bool (*keep)(void *context, const char *name),
                        void *context);
/* Wipes the secrets of keys that are gone and empties slots whose last tag has expired. True:
 * something changed. It cannot be undone: only when the clock is to be trusted. */
bool ring_prune(struct ring *ring, time_t now);

#endif
