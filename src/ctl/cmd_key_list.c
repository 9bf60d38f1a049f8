/* batvctl key list, and what other commands print of keys. */
#include "base/print.h"
#include "batv/day.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/key_change.h"

static void print_time_cell(time_t when)
{
    char text[TIME_TEXT] = "-";
    if (when != RING_OPEN) {
        time_format(when, text);
    }
    printf("  %-20s", text);
}

/* The last day on which the key verifies. */
static int64_t last_day(const struct ring_key *key)
{
    return day_of(key->verifies_until - 1);
}

static void print_row(const struct ring *ring, unsigned slot, enum key_state state)
{
    const struct ring_key *key = &ring->keys[slot];
    char day[DAY_TEXT] = "-";
    printf("%3u  %-8s  %-11s", slot, key_state_name(state), algorithm_name(key->algorithm));
    print_time_cell(key->created);
    print_time_cell(key->signs_from);
    if (key->verifies_until != RING_OPEN) {
        day_format(last_day(key), day);
    }
    printf("  %s", day);
    if (state == KEY_GONE) {
        day_format(ring_free_day(ring, slot), day);
        printf("  (%snumber free from %s)", key->compromised ? "compromised, " : "", day);
    }
    putchar('\n');
}

static void print_table(const struct ring *ring, time_t now)
{
    bool any = false;
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        enum key_state state = ring_key_state(ring, i, now);
        if (state == KEY_FREE) {
            continue;
        }
        if (!any) {
            puts("key  state     algorithm    created               signs from            "
                 "verifies until");
        }
        any = true;
        print_row(ring, i, state);
    }
    if (!any) {
        puts("There are no keys: `batvctl key rotate` makes one.");
    }
}

void key_print_json(const struct ring *ring, time_t now)
{
    struct json json;
    json_begin_list(&json, true);
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        const struct ring_key *key = &ring->keys[i];
        enum key_state state = ring_key_state(ring, i, now);
        if (state == KEY_FREE) {
            continue;
        }
        json_open_object(&json, NULL);
        json_unsigned(&json, "number", i);
        json_text(&json, "state", key_state_name(state));
        json_text(&json, "algorithm", algorithm_name(key->algorithm));
        json_time(&json, "created", key->created);
        if (key->signs_from != RING_OPEN) {
            json_time(&json, "signs_from", key->signs_from);
        } else {
            json_null(&json, "signs_from");
        }
        if (key->verifies_until != RING_OPEN) {
            json_day(&json, "verifies_until", last_day(key));
        } else {
            json_null(&json, "verifies_until");
        }
        json_close(&json);
    }
    json_end_list(&json);
}

static void print_former(const struct ring *ring, int slot, time_t now)
{
    const struct ring_key *key = &ring->keys[slot];
    enum key_state state = ring_key_state(ring, (unsigned)slot, now);
    if (state == KEY_GONE || state == KEY_FREE) {
        printf("Key %d no longer verifies (keys.retain_days is 0).\n", slot);
    } else if (key->verifies_until != RING_OPEN) {
        char day[DAY_TEXT];
        day_format(last_day(key), day);
        printf("Key %d verifies until %s.\n", slot, day);
    }
}

static void print_made(const struct ring *ring, unsigned slot, time_t now)
{
    char from[PRINT_TIME];
    switch (ring_key_state(ring, slot, now)) {
    case KEY_ACTIVE:
        printf("Key %u signs from now on.\n", slot);
        break;
    case KEY_PENDING:
        format_moment(ring->keys[slot].signs_from, from);
        printf("Key %u signs from %s.\n", slot, from);
        break;
    default:
        print_former(ring, (int)slot, now);
        break;
    }
}

static void print_no_signer(const struct ring *ring, time_t now)
{
    if (ring_active(ring, now) == RING_NO_SLOT) {
        puts("No key signs yet: `batvctl key rotate` makes one.");
    }
}

/* What came of key slot, and of the key that was active before: as JSON, all keys. */
int key_print_result(const struct ctl *ctl, unsigned slot, int former)
{
    struct ring *ring;
    time_t now = time(NULL);
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    if (ctl->json) {
        key_print_json(ring, now);
    } else {
        print_made(ring, slot, now);
        if (former != RING_NO_SLOT) {
            print_former(ring, former, now);
        }
        print_no_signer(ring, now);
    }
    ring_free(ring);
    return CTL_YES;
}

int cmd_key_list(struct ctl *ctl, int argc, char **argv)
{
    struct ring *ring;
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
    }
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    if (ctl->json) {
        key_print_json(ring, time(NULL));
    } else {
        print_table(ring, time(NULL));
    }
    ring_free(ring);
    return CTL_YES;
}
