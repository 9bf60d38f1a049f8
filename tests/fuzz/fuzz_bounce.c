/*
 * The reading of bounces under libFuzzer: the input as a message, and as the value of a header
 * field with addresses. Whatever it is, what comes out has to be whole and within its bounds, and
 * the same every time.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/mime.h"

enum { STEPS_BASE = 20000, STEPS_PER_OCTET = 200 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void check_ids(const struct bounce *bounce)
{
    require(bounce->id_count <= BOUNCE_IDS && bounce->named_count <= bounce->id_count);
    for (size_t i = 0; i < bounce->id_count; i++) {
        const struct bounce_id *id = &bounce->ids[i];
        size_t length = strlen(id->text);
        require(length > 0 && length <= BOUNCE_ID_MAX && strlen(id->where) > 0);
        require(strpbrk(id->text, " \t\r\n<>") == NULL);
        require((id->rank > BOUNCE_UNLABELLED) == (i < bounce->named_count));
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

static void check_message(const uint8_t *data, size_t size)
{
    struct bounce *bounce;
    struct bounce *again;
    struct budget budget = budget_of(size);
    struct budget other = budget;
    require(mime_read_bounce((const char *)data, size, &budget, &bounce) == STATUS_OK);
    require(budget_spent(&budget) <= STEPS_BASE + STEPS_PER_OCTET * size);
    check_ids(bounce);
    check_rest(bounce);
    require(mime_read_bounce((const char *)data, size, &other, &again) == STATUS_OK);
    require(budget_spent(&budget) == budget_spent(&other));
    require(bounce->class == again->class && bounce->id_count == again->id_count &&
            bounce->tag_count == again->tag_count &&
            bounce->evidence_count == again->evidence_count);
    bounce_free(again);
    bounce_free(bounce);
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
    check_message(data, size);
    check_addresses(data, size);
    return 0;
}
