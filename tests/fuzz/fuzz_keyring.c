/*
 * The keyring file under libFuzzer. The input is taken as the whole file, and as one that lacks
 * only its digest. What can be read is written back to the letter (but for the case of
 * hexadecimal); whatever is then done to the
 * ring, at any time, what comes of it can be written and read again; and no memory is given back
 * with a secret in it.
 */
#include "batv/ring_text.h"

#include "fuzz.h"

#include "batv/day.h"

/* A sanitizer has them, whose header not every compiler brings along; without one nothing is
 * searched. */
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t),
                                              void (*)(const volatile void *))
    __attribute__((weak));
size_t __sanitizer_get_allocated_size(const volatile void *) __attribute__((weak));

enum { SECRETS = 2 * RING_SLOTS, TELLING = 8, CHANGES = 8 };

/* Secrets that must not be left behind: those that memory has not got by chance. */
static struct {
    uint8_t octets[SECRET_MAX];
    char hex[SECRET_HEX];
    size_t length;
} watched[SECRETS];
static size_t watched_count;

static void search(const void *memory, size_t size)
{
    for (size_t i = 0; i < watched_count; i++) {
        size_t length = watched[i].length;
        require(memmem(memory, size, watched[i].octets, length) == NULL);
        require(memmem(memory, size, watched[i].hex, 2 * length) == NULL);
    }
}

static void on_free(const volatile void *memory)
{
    if (watched_count > 0 && memory != NULL) {
        search((const void *)(uintptr_t)memory, __sanitizer_get_allocated_size(memory));
    }
}

static void on_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    (void)size;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (__sanitizer_install_malloc_and_free_hooks != NULL) {
        require(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
    }
    return 0;
}

static void watch(const struct secret *secret)
{
    bool seen[256] = {false};
    size_t distinct = 0;
    for (size_t i = 0; i < secret->length; i++) {
        distinct += !seen[secret->octets[i]];
        seen[secret->octets[i]] = true;
    }
    if (distinct >= TELLING && watched_count < SECRETS) {
        memcpy(watched[watched_count].octets, secret->octets, secret->length);
        secret_to_hex(secret, watched[watched_count].hex);
        watched[watched_count].length = secret->length;
        watched_count++;
    }
}

static void watch_ring(const struct ring *ring)
{
    watch(&ring->evidence_current);
    watch(&ring->evidence_previous);
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        watch(&ring->keys[i].secret);
    }
}

static void check_states(const struct ring *ring, time_t now)
{
    int active = ring_active(ring, now);
    int pending = ring_pending(ring, now);
    unsigned in_use = 0;
    require(active >= RING_NO_SLOT && active < RING_SLOTS);
    require(pending >= RING_NO_SLOT && pending < RING_SLOTS);
    require(active == RING_NO_SLOT || ring->keys[active].mac != NULL);
    for (unsigned i = 0; i < RING_SLOTS; i++) {
        const struct ring_key *key = &ring->keys[i];
        in_use += ring_key_state(ring, i, now) == KEY_ACTIVE;
        require((key->mac != NULL) == (key->secret.length > 0));
        require(key->used || (key->secret.length == 0 && ring_free_day(ring, i) == 0));
        ring_key_missed(ring, i, 0, now);
    }
    require(in_use <= 1);
    require(ring_next_slot(ring) < RING_SLOTS);
    for (unsigned i = 0; i < RING_EVIDENCE; i++) {
        const struct secret *secret = i == 0 ? &ring->evidence_current : &ring->evidence_previous;
        require((ring_evidence_mac(ring, i) != NULL) == (secret->length > 0));
    }
    ring_newest_time(ring);
}

/* What is written is read as the same. */
static void check_written(const struct ring *ring)
{
    char *text = NULL;
    char *again = NULL;
    size_t length;
    size_t length_again;
    struct ring *copy = NULL;
    struct reason why = {""};
    require(ring_format(ring, &text, &length) == STATUS_OK);
    enum status status = ring_parse(text, length, &copy, &why);
    if (status != STATUS_OK) {
        fprintf(stderr, "%s\n%.*s", why.text, (int)length, text);
    }
    require(status == STATUS_OK);
    require(ring_format(copy, &again, &length_again) == STATUS_OK);
    require(length == length_again && memcmp(text, again, length) == 0);
    ring_text_free(again, length_again);
    ring_text_free(text, length);
    ring_free(copy);
}

static bool keep_some(void *context, const char *name)
{
    return (strlen(name) + *(const uint8_t *)context) % 2 == 0;
}

static enum status import(struct ring *ring, const struct key_policy *policy, struct input *input,
                          time_t now, struct reason *why)
{
    static const enum key_state states[] = {KEY_PENDING, KEY_ACTIVE, KEY_RETAINED};
    struct secret secret = {.length = take_octet(input)};
    for (size_t i = 0; i < secret.length; i++) {
        secret.octets[i] = (uint8_t)(i * 7 + secret.length);
    }
    enum key_state state = states[take_below(input, COUNT_OF(states))];
    enum algorithm algorithm = (enum algorithm)take_below(input, ALGORITHM_COUNT);
    enum status status = ring_import(ring, policy, take_below(input, RING_SLOTS + 1), algorithm,
                                     state, &secret, now, why);
    secret_wipe(&secret);
    return status;
}

/* What batvd and batvctl do to a ring. */
static void change(struct ring *ring, struct input *input, time_t now)
{
    uint8_t octets[SECRET_SIZE];
    struct reason why = {""};
    struct key_policy policy = {.rotate_days = take_octet(input),
                                .retain_days = take_bit(input) ? take_number(input) : 7,
                                .lifetime_days = 1 + take_below(input, RING_LIFETIME_MAX),
                                .publish_seconds = take_bit(input) ? take_number(input) : 0};
    bool changed = false;
    uint8_t parity = take_octet(input);
    for (size_t i = 0; i < sizeof octets; i++) {
        octets[i] = (uint8_t)(i * 3 + parity);
    }
    enum status status = STATUS_OK;
    switch (take_below(input, 8)) {
    case 0:
        status = ring_rotate(ring, &policy, (enum algorithm)take_below(input, ALGORITHM_COUNT), now,
                             take_number(input), octets, &why);
        break;
    case 1:
        status = ring_revoke(ring, &policy, take_below(input, RING_SLOTS + 1), now, take_bit(input),
                             octets, &why);
        break;
    case 2:
        status = import(ring, &policy, input, now, &why);
        break;
    case 3:
        status = ring_rotate_evidence(ring, octets);
        break;
    case 4:
        ring_raise_lifetime(ring, policy.lifetime_days, now);
        break;
    case 5:
        ring_domain_add(ring, take_bit(input) ? "example.com" : ".example.org", now, &changed);
        break;
    case 6:
        ring_domain_filter(ring, keep_some, &parity);
        break;
    default:
        ring_prune(ring, now);
        break;
    }
    require(status == STATUS_OK || status == STATUS_REFUSED || status == STATUS_NOT_FOUND ||
            status == STATUS_INVALID);
    require(strpbrk(why.text, "\r\n") == NULL);
    ring_rotation_due(ring, &policy, now);
}

/* Up to the year 2149. */
static time_t take_time(struct input *input)
{
    return (time_t)take_number(input) * DAY_SECONDS + take_number(input);
}

/* The changes come from behind the end of the text. */
static void check_changes(const struct ring *ring, struct input *input)
{
    struct ring *copy = ring_copy(ring);
    require(copy != NULL);
    for (unsigned i = 0; i < CHANGES && !input_over(input); i++) {
        time_t now = take_time(input);
        change(copy, input, now);
        watched_count = 0;
        watch_ring(ring);
        watch_ring(copy);
        check_states(copy, now);
        check_written(copy);
    }
    ring_free(copy);
}

/* What is refused in the end has been read so far, too. */
static void check_cut(const char *text, size_t length)
{
    const size_t lengths[] = {length - 1, length - 80, length / 2};
    struct ring *ring = NULL;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        require(ring_parse(text, lengths[i], &ring, NULL) == STATUS_INVALID && ring == NULL);
    }
}

static void check_text(const char *text, size_t length, struct input *input)
{
    struct ring *ring = NULL;
    struct reason why = {""};
    char *written = NULL;
    size_t written_length = 0;
    enum status status = ring_parse(text, length, &ring, &why);
    require((status == STATUS_OK) == (ring != NULL));
    if (ring == NULL) {
        require(status == STATUS_INVALID && why.text[0] != '\0');
        require(strpbrk(why.text, "\r\n") == NULL);
        return;
    }
    watched_count = 0;
    watch_ring(ring);
    require(ring_format(ring, &written, &written_length) == STATUS_OK);
    require(written_length == length);
    size_t items = length - (sizeof "digest " - 1) - DIGEST_HEX;
    require(strncasecmp(written, text, items) == 0); /* hexadecimal is read in either case */
    require(memcmp(written, text, items) != 0 || memcmp(written, text, length) == 0);
    ring_text_free(written, written_length);
    check_cut(text, length);
    check_changes(ring, input);
    ring_free(ring);
    watched_count = 0;
}

/* The same with the digest that it lacks. */
static void check_completed(const char *text, size_t length, struct input *input)
{
    char digest[DIGEST_HEX];
    require(digest_hex(text, length, digest) == STATUS_OK);
    size_t size = length + sizeof "digest \n" + DIGEST_HEX;
    char *whole = malloc(size);
    require(whole != NULL);
    memcpy(whole, text, length);
    int added = snprintf(whole + length, size - length, "digest %s\n", digest);
    check_text(whole, length + (size_t)added, input);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char end[] = "\n--\n"; /* of the text; changes follow */
    const uint8_t *stop = memmem(data, size, end, sizeof end - 1);
    size_t length = stop != NULL ? (size_t)(stop - data) + 1 : size;
    struct input changes = {stop != NULL ? stop + sizeof end - 1 : data + size, data + size};
    struct input none = {NULL, NULL};
    check_text((const char *)data, length, &none);
    check_completed((const char *)data, length, &changes);
    return 0;
}
