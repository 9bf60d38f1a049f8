/*
 * The reading of bounces under libFuzzer: the input as a message, and as the value of a header
 * field with addresses. Whatever it is, what comes out has to be whole and within its bounds, and
 * the same every time; the work is counted in steps, is linear in the input without a budget, and
 * ends with one.
 */
#include "fuzz.h"

#include "content/mime.h"

/* Beside what depends on the length, lists of 200 are filled. See
 * tests/unit/content/test_mime_steps.c.
 */
enum { STEPS_BASE = 100000, STEPS_PER_OCTET = 200, STEPS_BEYOND = 10 };

static void check_ids(const struct bounce *bounce)
{
    require(bounce->id_count <= BOUNCE_IDS && bounce->named_count <= bounce->id_count);
    for (size_t i = 0; i < bounce->id_count; i++) {
        const struct bounce_id *id = &bounce->ids[i];
        size_t length = strlen(id->text);
        require(length > 0 && length <= BOUNCE_ID_MAX && strlen(id->where) > 0);
        require(strpbrk(id->text, " \t\r\n<>") == NULL);
        require((id->rank >= BOUNCE_NAMED) == (i < bounce->named_count));
        require(i == 0 || id->rank <= bounce->ids[i - 1].rank);
        for (size_t n = 0; n < i; n++) {
            require(strcmp(id->text, bounce->ids[n].text) != 0);
        }
    }
}

static void check_rest(const struct bounce *bounce)
{
    require(bounce->class >= 0 && bounce->class < BOUNCE_CLASS_COUNT);
    require(bounce->tag_count <= BOUNCE_TAGS && bounce->evidence_count <= BOUNCE_EVIDENCE);
    for (size_t i = 0; i < bounce->tag_count; i++) {
        require(strchr(bounce->tags[i].address, '@') != NULL);
        require(strcasestr(bounce->tags[i].address, "prvs=") != NULL);
    }
    for (size_t i = 0; i < bounce->evidence_count; i++) {
        require(strncmp(bounce->evidence[i], "v=1;d=", 6) == 0);
        require(strspn(bounce->evidence[i], "v=1;dns,0123456789abcdef") ==
                strlen(bounce->evidence[i]));
    }
}

static struct bounce *read_with(const uint8_t *data, size_t size, struct budget *budget)
{
    struct bounce *bounce;
    require(mime_read_bounce((const char *)data, size, budget, &bounce) == STATUS_OK);
    check_ids(bounce);
    check_rest(bounce);
    return bounce;
}

static void check_message(const uint8_t *data, size_t size)
{
    struct budget all = {INT64_MAX / 2, INT64_MAX / 2};
    struct budget again = all;
    struct budget little = {(int64_t)size, (int64_t)size};
    struct bounce *bounce = read_with(data, size, &all);
    struct bounce *other = read_with(data, size, &again);
    require(budget_spent(&all) <= STEPS_BASE + STEPS_PER_OCTET * size);
    require(budget_spent(&all) == budget_spent(&again));
    require(bounce->class == other->class && bounce->id_count == other->id_count &&
            bounce->tag_count == other->tag_count &&
            bounce->evidence_count == other->evidence_count);
    bounce_free(other);
    other = read_with(data, size, &little);
    require(budget_spent(&little) <= STEPS_BASE + STEPS_BEYOND * size);
    bounce_free(other);
    bounce_free(bounce);
}

/* The second half of the message as a body that is too long: in place, and in pieces. */
static void check_skimmed(const uint8_t *data, size_t size)
{
    char *octets = malloc(size + 1);
    char *other = malloc(size + 1);
    struct skim *skim = malloc(sizeof *skim);
    struct skim *pieces = malloc(sizeof *pieces);
    struct budget budget = budget_of(size);
    struct bounce *bounce;
    require(octets != NULL && other != NULL && skim != NULL && pieces != NULL);
    memcpy(octets, data, size);
    memcpy(other, data, size);
    skim_start(skim, octets, size / 2, size);
    skim_start(pieces, other, size / 2, size);
    skim_add(skim, (struct octets){octets + size / 2, size - size / 2});
    for (size_t i = size / 2; i < size; i++) {
        skim_add(pieces, (struct octets){(const char *)data + i, 1});
    }
    skim_end(skim);
    skim_end(pieces);
    require(skim->length <= size && skim->gaps.count <= SKIM_GAPS);
    require(skim->length == pieces->length && skim->gaps.count == pieces->gaps.count);
    require(memcmp(octets, other, skim->length) == 0);
    require(mime_read_skimmed(octets, skim->length, &skim->gaps, &budget, &bounce) == STATUS_OK);
    require(bounce->limits[BOUNCE_LIMIT_BODY] == (skim->gaps.count > 0 || skim->gaps.at_end));
    check_ids(bounce);
    check_rest(bounce);
    bounce_free(bounce);
    free(pieces);
    free(skim);
    free(other);
    free(octets);
}

static bool count(void *context, const char *address)
{
    size_t *seen = context;
    require(address[0] != '\0');
    return ++*seen < 64;
}

static void check_addresses(const uint8_t *data, size_t size)
{
    size_t seen = 0;
    char *value = malloc(size + 1);
    require(value != NULL);
    memcpy(value, data, size);
    value[size] = '\0';
    mime_addresses(value, count, &seen);
    require(seen <= 64);
    free(value);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    mime_init();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t start = watch_start();
    check_message(data, size);
    check_skimmed(data, size);
    check_addresses(data, size);
    watch_end(start, size);
    return 0;
}
