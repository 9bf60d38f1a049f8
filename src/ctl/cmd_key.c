/*
 * batvctl key: makes, shows and changes the keyring. Each form is a function that reads its
 * arguments and a change that ring_change applies; the daemon sees the new ring by itself. Secrets
 * pass through stdin and stdout of export and import only, unbuffered, and are wiped here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/print.h"
#include "base/random.h"
#include "batv/day.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "daemon/running.h"
#include "store/ring_file.h"

enum {
    ACTIVATE_MAX = 30 * DAY_SECONDS, /* of --activate-in */
    INPUT_MAX = SECRET_HEX + 1024    /* of import: the digits, and white space around them */
};

/* What a change is told, and what it found. */
struct change {
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

static enum status refuse(struct change *change, enum status status)
{
    change->refused = status == STATUS_REFUSED || status == STATUS_NOT_FOUND ||
                      status == STATUS_INVALID || status == STATUS_CONFLICT;
    return status;
}

static void change_init(const struct ctl *ctl, struct change *change)
{
    *change = (struct change){
        .policy = &ctl->config->settings->keys, .now = time(NULL), .former = RING_NO_SLOT};
    change->algorithm = change->policy->algorithm;
    change->activate_in = change->policy->publish_seconds;
}

/* Octets for a new secret, to be wiped. False: there are none, which has been said. */
static bool change_roll(struct change *change)
{
    struct reason why;
    if (random_octets(change->octets, sizeof change->octets, &why) == STATUS_OK) {
        return true;
    }
    print_error("%s", why.text);
    return false;
}

/* Applies a change to the ring in force, wipes it, and says why not. An exit status. */
static int change_apply(const struct ctl *ctl, ring_change_fn *function, struct change *change)
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

/* Showing. */

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

static void print_json(const struct ring *ring, time_t now)
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
static int print_result(const struct ctl *ctl, unsigned slot, int former)
{
    struct ring *ring;
    time_t now = time(NULL);
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    if (ctl->json) {
        print_json(ring, now);
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

static int key_list(struct ctl *ctl, int argc, char **argv)
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
        print_json(ring, time(NULL));
    } else {
        print_table(ring, time(NULL));
    }
    ring_free(ring);
    return CTL_YES;
}

/* Making. */

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
static int store_first(const struct ctl *ctl, ring_change_fn *function, struct change *change)
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

static enum status rotate_key(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    struct change *change = context;
    (void)changed;
    change->made = ring_next_slot(ring);
    change->former = ring_active(ring, change->now);
    return refuse(change, ring_rotate(ring, change->policy, change->algorithm, change->now,
                                      change->activate_in, change->octets, why));
}

static enum status rotate_evidence(void *context, struct ring *ring, bool *changed,
                                   struct reason *why)
{
    const struct change *change = context;
    (void)changed;
    enum status status = ring_rotate_evidence(ring, change->octets);
    if (status != STATUS_OK) {
        reason_write(why, "cannot set up the evidence secret");
    }
    return status;
}

static int key_init(struct ctl *ctl, int argc, char **argv)
{
    struct change change;
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
    }
    change_init(ctl, &change);
    if (!change_roll(&change)) {
        return CTL_UNABLE;
    }
    int exit = store_first(ctl, rotate_key, &change);
    secret_wipe_memory(change.octets, sizeof change.octets);
    return exit == CTL_YES ? print_result(ctl, change.made, change.former) : exit;
}

static int rotate_evidence_only(const struct ctl *ctl, struct change *change)
{
    int exit = change_apply(ctl, rotate_evidence, change);
    if (exit == CTL_YES && ctl->json) {
        return print_result(ctl, 0, RING_NO_SLOT);
    }
    if (exit == CTL_YES) {
        puts("There is a new evidence secret; the former one still verifies.");
    }
    return exit;
}

static int key_rotate(struct ctl *ctl, int argc, char **argv)
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
    struct change change;
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
    change_init(ctl, &change);
    if (algorithm != NULL && !algorithm_from_name(algorithm, &change.algorithm)) {
        return ctl_usage_error(ctl, "--algorithm %s: expected hmac-sha256 or hmac-sha1", algorithm);
    }
    if (!change_roll(&change)) {
        return CTL_UNABLE;
    }
    if (evidence) {
        return rotate_evidence_only(ctl, &change);
    }
    if (activate_in != NULL) {
        change.activate_in = (unsigned)seconds;
    }
    int exit = change_apply(ctl, rotate_key, &change);
    return exit == CTL_YES ? print_result(ctl, change.made, change.former) : exit;
}

/* Dropping. */

/* Reads K. Numbers without a slot are the ring's to refuse. */
static bool take_slot(const struct ctl *ctl, int argc, char **argv, unsigned *slot)
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

static enum status revoke_key(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    struct change *change = context;
    (void)changed;
    return refuse(change, ring_revoke(ring, change->policy, change->slot, change->now,
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

static int key_revoke(struct ctl *ctl, int argc, char **argv)
{
    bool compromised = false;
    const struct argument known[] = {
        {"--compromised", ARGUMENT_FLAG, &compromised, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct change change;
    struct ring *ring;
    unsigned slot;
    if (!arguments_parse(ctl, known, &argc, argv) || !take_slot(ctl, argc, argv, &slot)) {
        return CTL_UNABLE;
    }
    change_init(ctl, &change);
    change.slot = slot;
    change.compromised = compromised;
    if (!change_roll(&change)) {
        return CTL_UNABLE;
    }
    int exit = change_apply(ctl, revoke_key, &change);
    if (exit != CTL_YES) {
        return exit;
    }
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    if (ctl->json) {
        print_json(ring, change.now);
    } else {
        print_revoked(ring, slot, change.now);
    }
    ring_free(ring);
    return CTL_YES;
}

/* Handing over. */

static int export_secret(const struct ring *ring, unsigned slot)
{
    enum key_state state = slot < RING_SLOTS ? ring_key_state(ring, slot, time(NULL)) : KEY_FREE;
    if (state == KEY_FREE || state == KEY_GONE) {
        const char *problem = state == KEY_FREE
                                  ? "there is no such key; batvctl key list shows them"
                                  : "it has expired";
        print_error("key %u: %s", slot, problem);
        return CTL_NO;
    }
    char hex[SECRET_HEX + 1];
    secret_to_hex(&ring->keys[slot].secret, hex);
    size_t length = strlen(hex);
    hex[length++] = '\n';
    bool written = file_write_all(STDOUT_FILENO, hex, length);
    if (!written) {
        print_error("stdout: %s", strerror(errno));
    }
    secret_wipe_memory(hex, sizeof hex);
    return written ? CTL_YES : CTL_UNABLE;
}

static int key_export(struct ctl *ctl, int argc, char **argv)
{
    bool force = false;
    const struct argument known[] = {
        {"--force", ARGUMENT_FLAG, &force, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct ring *ring;
    unsigned slot;
    if (!arguments_parse(ctl, known, &argc, argv) || !take_slot(ctl, argc, argv, &slot)) {
        return CTL_UNABLE;
    }
    if (!force && isatty(STDOUT_FILENO)) {
        print_error(
            "stdout is a terminal, which would show the secret: redirect it, or use --force");
        return CTL_NO;
    }
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    int exit = export_secret(ring, slot);
    ring_free(ring);
    return exit;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool read_secret(struct secret *secret)
{
    char input[INPUT_MAX];
    ssize_t length = file_read_all(STDIN_FILENO, input, sizeof input);
    bool good = false;
    if (length < 0) {
        print_error("stdin: %s", strerror(errno));
    } else {
        const char *begin = input;
        const char *end = input + length;
        while (begin < end && is_space(*begin)) {
            begin++;
        }
        while (begin < end && is_space(end[-1])) {
            end--;
        }
        good =
            (size_t)length < sizeof input && secret_from_hex(begin, (size_t)(end - begin), secret);
        if (!good) {
            print_error("stdin: expected a secret of 1 to %d octets as hexadecimal digits",
                        SECRET_MAX);
        }
    }
    secret_wipe_memory(input, sizeof input);
    return good;
}

static enum status import_key(void *context, struct ring *ring, bool *changed, struct reason *why)
{
    struct change *change = context;
    (void)changed;
    if (change->state != KEY_RETAINED) {
        change->former = ring_active(ring, change->now);
    }
    return refuse(change, ring_import(ring, change->policy, change->slot, change->algorithm,
                                      change->state, change->secret, change->now, why));
}

static bool state_from_name(const char *name, enum key_state *out)
{
    for (int i = KEY_PENDING; i <= KEY_RETAINED; i++) {
        if (strcmp(name, key_state_name((enum key_state)i)) == 0) {
            *out = (enum key_state)i;
            return true;
        }
    }
    return false;
}

/* Another program's key may have to keep its number, which is mostly 0: so a key can be imported
 * before there is a keyring, and ours come after it. */
static int import_secret(const struct ctl *ctl, struct change *change)
{
    struct reason why;
    struct ring *ring;
    struct ring_source *source = ring_source_new(ctl->config->state_dir);
    if (source == NULL) {
        print_error("out of memory");
        return CTL_UNABLE;
    }
    bool first = ring_load(source, &ring, &why) == STATUS_NOT_FOUND;
    ring_free(ring);
    ring_source_free(source);
    return first ? store_first(ctl, import_key, change) : change_apply(ctl, import_key, change);
}

static int key_import(struct ctl *ctl, int argc, char **argv)
{
    const char *algorithm = NULL;
    const char *state = NULL;
    const struct argument known[] = {
        {"--algorithm", ARGUMENT_VALUE, NULL, &algorithm},
        {"--state", ARGUMENT_VALUE, NULL, &state},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct change change;
    struct secret secret;
    unsigned slot;
    if (!arguments_parse(ctl, known, &argc, argv) || !take_slot(ctl, argc, argv, &slot)) {
        return CTL_UNABLE;
    }
    change_init(ctl, &change);
    change.slot = slot;
    change.secret = &secret;
    if (algorithm == NULL || !algorithm_from_name(algorithm, &change.algorithm)) {
        return ctl_usage_error(ctl, "--algorithm%s%s: expected hmac-sha256 or hmac-sha1",
                               algorithm != NULL ? " " : "", algorithm != NULL ? algorithm : "");
    }
    if (!state_from_name(state != NULL ? state : "retained", &change.state)) {
        return ctl_usage_error(ctl, "--state %s: expected pending, active or retained", state);
    }
    if (!read_secret(&secret)) {
        return CTL_UNABLE;
    }
    int exit = import_secret(ctl, &change);
    secret_wipe(&secret);
    return exit == CTL_YES ? print_result(ctl, slot, change.former) : exit;
}

int cmd_key(struct ctl *ctl, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct ctl *ctl, int argc, char **argv);
    } forms[] = {
        {"init", key_init},     {"list", key_list},     {"rotate", key_rotate},
        {"revoke", key_revoke}, {"export", key_export}, {"import", key_import},
    };
    if (argc < 2) {
        return ctl_usage_error(ctl, "key: expected init, list, rotate, revoke, export or import");
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(argv[1], forms[i].name) == 0) {
            return forms[i].run(ctl, argc - 1, argv + 1);
        }
    }
    return ctl_usage_error(ctl, "key: unknown command %s", argv[1]);
}
