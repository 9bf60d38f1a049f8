/*
 * batvctl key export and import: hand a key over. Its secret passes through stdin and stdout only,
 * unbuffered, and is wiped here.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/print.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/key_change.h"

enum { INPUT_MAX = SECRET_HEX + 1024 }; /* of import: the digits, and white space around them */

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

int cmd_key_export(struct ctl *ctl, int argc, char **argv)
{
    bool force = false;
    const struct argument known[] = {
        {"--force", ARGUMENT_FLAG, &force, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct ring *ring;
    unsigned slot;
    if (!arguments_parse(ctl, known, &argc, argv) || !key_take_slot(ctl, argc, argv, &slot)) {
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
    struct key_change *change = context;
    (void)changed;
    if (change->state != KEY_RETAINED) {
        change->former = ring_active(ring, change->now);
    }
    return key_refuse(change, ring_import(ring, change->policy, change->slot, change->algorithm,
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
static int import_secret(const struct ctl *ctl, struct key_change *change)
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
    return first ? key_store_first(ctl, import_key, change)
                 : key_change_apply(ctl, import_key, change);
}

int cmd_key_import(struct ctl *ctl, int argc, char **argv)
{
    const char *algorithm = NULL;
    const char *state = NULL;
    const struct argument known[] = {
        {"--algorithm", ARGUMENT_VALUE, NULL, &algorithm},
        {"--state", ARGUMENT_VALUE, NULL, &state},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct key_change change;
    struct secret secret;
    unsigned slot;
    if (!arguments_parse(ctl, known, &argc, argv) || !key_take_slot(ctl, argc, argv, &slot)) {
        return CTL_UNABLE;
    }
    key_change_init(ctl, &change);
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
    return exit == CTL_YES ? key_print_result(ctl, slot, change.former) : exit;
}
