/*
 * What is known of a bounce: the collections, which keep the surest when there is too much. A
 * bounce and its texts belong to whoever made it; where is static text. No state.
 */
#include "batv/bounce.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "batv/bounce_text.h"

enum { KEEP_STEPS = 40, COMPARE_IDS = 2 /* that are compared in a step */ };

static const char *const class_names[] = {
    [BOUNCE_DSN] = "dsn",
    [BOUNCE_MDN] = "mdn",
    [BOUNCE_CALENDAR] = "calendar",
    [BOUNCE_REPORT] = "report",
    [BOUNCE_AUTOREPLY] = "autoreply",
    [BOUNCE_OTHER] = "other",
    [BOUNCE_UNREAD] = "-",
};

const char *bounce_class_name(enum bounce_class class)
{
    assert(class >= 0 && class <= BOUNCE_UNREAD);
    return class_names[class];
}

const char *bounce_limit_name(enum bounce_limit limit)
{
    static const char *const names[BOUNCE_LIMIT_COUNT] = {
        [BOUNCE_LIMIT_HEADER] = "header",    [BOUNCE_LIMIT_BODY] = "body",
        [BOUNCE_LIMIT_DEPTH] = "depth",      [BOUNCE_LIMIT_PARTS] = "parts",
        [BOUNCE_LIMIT_IDS] = "ids",          [BOUNCE_LIMIT_STEPS] = "steps",
        [BOUNCE_LIMIT_LOOKUPS] = "look-ups",
    };
    assert(limit >= 0 && limit < BOUNCE_LIMIT_COUNT);
    return names[limit];
}

struct bounce *bounce_new(void)
{
    struct bounce *bounce = calloc(1, sizeof *bounce);
    if (bounce != NULL) {
        bounce->class = BOUNCE_UNREAD;
    }
    return bounce;
}

void bounce_free(struct bounce *bounce)
{
    if (bounce == NULL) {
        return;
    }
    for (size_t i = 0; i < bounce->id_count; i++) {
        free(bounce->ids[i].text);
    }
    for (size_t i = 0; i < bounce->tag_count; i++) {
        free(bounce->tags[i].address);
    }
    for (size_t i = 0; i < bounce->evidence_count; i++) {
        free(bounce->evidence[i]);
    }
    free(bounce->own_id);
    free(bounce);
}

void bounce_reader_start(struct bounce_reader *reader, struct bounce *bounce, struct budget *budget)
{
    *reader = (struct bounce_reader){.bounce = bounce, .budget = budget};
}

/* FNV-1a: so that not every Message-ID is compared with every other. */
static uint64_t hash(struct octets octets)
{
    uint64_t value = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < octets.length; i++) {
        value = (value ^ (unsigned char)octets.start[i]) * UINT64_C(1099511628211);
    }
    return value;
}

static bool is_text(struct octets octets, const char *text)
{
    return strlen(text) == octets.length && memcmp(text, octets.start, octets.length) == 0;
}

/* What is kept is a string: whoever found it has left NULs out. */
static char *copy(struct bounce_reader *reader, struct octets octets)
{
    assert(octets.length > 0 && memchr(octets.start, '\0', octets.length) == NULL);
    char *text = malloc(octets.length + 1);
    if (text == NULL) {
        reader->no_memory = true;
        return NULL;
    }
    memcpy(text, octets.start, octets.length);
    text[octets.length] = '\0';
    return text;
}

/* The place of this Message-ID, or id_count. */
static size_t find_id(const struct bounce_reader *reader, struct octets id, uint64_t id_hash)
{
    const struct bounce *bounce = reader->bounce;
    size_t i = 0;
    while (i < bounce->id_count &&
           (reader->hashes[i] != id_hash || !is_text(id, bounce->ids[i].text))) {
        i++;
    }
    return i;
}

/* The last of the least sure ones, if surer is surer than it. BOUNCE_IDS: there is none. */
static size_t find_weaker(const struct bounce *bounce, enum bounce_rank surer)
{
    size_t found = BOUNCE_IDS;
    enum bounce_rank least = surer;
    for (size_t i = 0; i < bounce->id_count; i++) {
        if (bounce->ids[i].rank < surer && bounce->ids[i].rank <= least) {
            least = bounce->ids[i].rank;
            found = i;
        }
    }
    return found;
}

/* Those behind it move up, so that the order stays that of their coming. */
static void remove_id(struct bounce_reader *reader, size_t place)
{
    struct bounce *bounce = reader->bounce;
    size_t behind = --bounce->id_count - place;
    free(bounce->ids[place].text);
    memmove(&bounce->ids[place], &bounce->ids[place + 1], behind * sizeof bounce->ids[0]);
    memmove(&reader->hashes[place], &reader->hashes[place + 1], behind * sizeof reader->hashes[0]);
}

void bounce_add_id(struct bounce_reader *reader, struct octets id, const char *where,
                   enum bounce_rank rank)
{
    struct bounce *bounce = reader->bounce;
    bool full = bounce->id_count == BOUNCE_IDS;
    budget_spend(reader->budget, KEEP_STEPS + bounce->id_count / COMPARE_IDS);
    if (id.length == 0 || id.length > BOUNCE_ID_MAX) {
        return;
    }
    uint64_t id_hash = hash(id);
    size_t known = find_id(reader, id, id_hash);
    if (known < bounce->id_count) {
        struct bounce_id *there = &bounce->ids[known];
        if (there->rank < rank) {
            there->rank = rank;
            there->where = where;
        }
        return;
    }
    size_t weaker = full ? find_weaker(bounce, rank) : BOUNCE_IDS;
    bounce->limits[BOUNCE_LIMIT_IDS] = bounce->limits[BOUNCE_LIMIT_IDS] || full;
    char *text = full && weaker == BOUNCE_IDS ? NULL : copy(reader, id);
    if (text == NULL) {
        return;
    }
    if (full) {
        remove_id(reader, weaker);
    }
    reader->hashes[bounce->id_count] = id_hash;
    bounce->ids[bounce->id_count++] = (struct bounce_id){text, where, rank};
}

void bounce_drop_id(struct bounce_reader *reader, const char *id, enum bounce_rank surer)
{
    struct octets octets = octets_of(id);
    size_t place = find_id(reader, octets, hash(octets));
    if (place < reader->bounce->id_count && reader->bounce->ids[place].rank < surer) {
        remove_id(reader, place);
    }
}

void bounce_add_tag(struct bounce_reader *reader, struct octets address, const char *where)
{
    struct bounce *bounce = reader->bounce;
    budget_spend(reader->budget, KEEP_STEPS + bounce->tag_count);
    if (bounce->tag_count == BOUNCE_TAGS) {
        return;
    }
    for (size_t i = 0; i < bounce->tag_count; i++) {
        if (is_text(address, bounce->tags[i].address)) {
            return;
        }
    }
    char *text = copy(reader, address);
    if (text != NULL) {
        bounce->tags[bounce->tag_count++] = (struct bounce_tag){text, where};
    }
}

void bounce_add_evidence(struct bounce_reader *reader, struct octets value)
{
    struct bounce *bounce = reader->bounce;
    budget_spend(reader->budget, KEEP_STEPS);
    if (bounce->evidence_count == BOUNCE_EVIDENCE) {
        return;
    }
    for (size_t i = 0; i < bounce->evidence_count; i++) {
        if (is_text(value, bounce->evidence[i])) {
            return;
        }
    }
    char *text = copy(reader, value);
    if (text != NULL) {
        bounce->evidence[bounce->evidence_count++] = text;
    }
}

void bounce_reader_end(struct bounce_reader *reader)
{
    struct bounce *bounce = reader->bounce;
    struct bounce_id unsorted[BOUNCE_IDS];
    size_t count = 0;
    memcpy(unsorted, bounce->ids, sizeof unsorted);
    for (unsigned rank = BOUNCE_RANKS; rank-- > BOUNCE_UNLABELLED;) {
        for (size_t i = 0; i < bounce->id_count; i++) {
            if (unsorted[i].rank == rank) {
                bounce->ids[count++] = unsorted[i];
            }
        }
        bounce->named_count = rank >= BOUNCE_NAMED ? count : bounce->named_count;
    }
}
