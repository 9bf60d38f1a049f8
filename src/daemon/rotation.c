/*
 * Each change is a function that alters a copy of the ring in the file, perhaps more than once, if
 * somebody else changes the file meanwhile (ring_change).
 */
#include "daemon/rotation.h"

#include <syslog.h>

#include "base/log.h"
#include "base/random.h"
#include "batv/day.h"
#include "daemon/clock.h"

enum { ROTATION_GAP = 12 * 3600 }; /* seconds between two rotations that nobody asked for */

struct change {
    const struct rotation *rotation;
    const struct settings *settings;
    time_t now;
    bool settled;
};

/* ------------------------------------------------------------ first records */

struct first_records {
    struct ring *ring;
    time_t now;
    bool added;
    enum status status;
};

static void add_domain(void *context, const char *domain)
{
    struct first_records *first = context;
    bool changed = false;
    enum status status = ring_domain_add(first->ring, domain, first->now, &changed);
    first->added = first->added || changed;
    first->status = first->status == STATUS_OK ? status : first->status;
}

static void add_tag(void *context, const char *domain)
{
    struct first_records *first = context;
    first->added = ring_domain_tag_seen(first->ring, domain, first->now) || first->added;
}

static enum status change_first(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    const struct change *c = context;
    struct first_records first = {ring, c->now, false, STATUS_OK};
    tally_first_signed(c->rotation->tally, add_domain, &first);
    tally_first_tags(c->rotation->tally, add_tag, &first);
    *changed = first.added;
    return first.status == STATUS_OK ? STATUS_OK : reason_set(why, first.status, "out of memory");
}

static bool record_first(const struct rotation *r, struct change *change)
{
    bool another = false;
    if (tally_has_first(r->tally) &&
        ring_watch_change(r->watch, change_first, change, "record of the first signed message",
                          &another)) {
        tally_forget_first(r->tally);
    }
    return another;
}

/* ----------------------------------------------------------------- rotation */

static enum status change_rotate(void *context, struct ring *ring, bool *changed,
                                 struct reason *why)
{
    const struct change *c = context;
    const struct key_policy *policy = &c->settings->keys;
    time_t due = ring_rotation_due(ring, policy, c->now);
    if (due == RING_OPEN || c->now < due) {
        *changed = false; /* somebody was faster */
        return STATUS_OK;
    }
    uint8_t octets[SECRET_SIZE];
    enum status status = random_octets(octets, sizeof octets, why);
    if (status == STATUS_OK) {
        status = ring_rotate(ring, policy, policy->algorithm, c->now, policy->publish_seconds,
                             octets, why);
    }
    secret_wipe_memory(octets, sizeof octets);
    return status;
}

static void log_put_off(unsigned slot, int64_t day)
{
    char text[DAY_TEXT] = "";
    if (day > 0) {
        day_format(day, text);
    }
    log_line(LOG_WARNING, "key rotation is postponed %s%s: tags of key %u may still come back",
             day > 0 ? "until " : "while a key in its slot has no end", text, slot);
}

/* True: the slot that is next is still taken, which is logged once. */
static bool is_put_off(struct rotation *r, const struct ring *ring, time_t now)
{
    unsigned slot = ring_next_slot(ring);
    int64_t day = ring_free_day(ring, slot);
    if (day == 0 || (day > 0 && day <= day_of(now))) {
        return false;
    }
    if (r->put_off_until != day) {
        log_put_off(slot, day);
        r->put_off_until = day;
    }
    return true;
}

static bool rotate_when_due(struct rotation *r, struct change *change)
{
    bool another = false;
    const struct ring *ring = shared_ring_get(ring_watch_ring(r->watch));
    time_t due = ring_rotation_due(ring, &change->settings->keys, change->now);
    bool too_soon = r->rotated && clock_boot_time() - r->rotated_at < ROTATION_GAP;
    if (due == RING_OPEN || change->now < due || too_soon || is_put_off(r, ring, change->now)) {
        return false;
    }
    if (ring_watch_change(r->watch, change_rotate, change, "key rotation", &another)) {
        r->rotated = true;
        r->rotated_at = clock_boot_time();
        r->put_off_until = 0;
    }
    return another;
}

bool rotation_run(struct rotation *r, const struct settings *settings, time_t now)
{
    struct change change = {r, settings, now, false};
    bool recorded = record_first(r, &change);
    return rotate_when_due(r, &change) || recorded;
}

/* ----------------------------------------------------------------- tidiness */

static bool is_signing_domain(void *context, const char *name)
{
    const struct change *c = context;
    const struct domain_settings *domain = settings_domain_named(c->settings, name);
    return domain != NULL && domain->sign;
}

/* Brings the ring up to date with settings and time: its lifetime is at least that of new tags, a
 * domain that signs no more loses its record (its waiting time starts anew), and so do keys that
 * are gone. */
static enum status change_tidy(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    (void)why;
    struct change *c = context;
    bool raised = ring_raise_lifetime(ring, c->settings->keys.lifetime_days, c->now);
    bool filtered = ring_domain_filter(ring, is_signing_domain, c);
    bool pruned = c->settled && ring_prune(ring, c->now);
    *changed = raised || filtered || pruned;
    return STATUS_OK;
}

bool rotation_tidy(struct rotation *r, const struct settings *settings, bool settled, time_t now)
{
    struct change change = {r, settings, now, settled};
    bool another = false;
    ring_watch_change(r->watch, change_tidy, &change, "keyring", &another);
    return another;
}
