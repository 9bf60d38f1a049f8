/*
 * Memory is reserved from the pool before it is taken. A collection that gets none gives back what
 * it had and is overloaded for good; so a flood of large bounces is deferred, and a single one
 * passes. No client's network gets more than a quarter, and a quarter is for small bounces alone,
 * so that whoever holds slow ones open stands in the way of none but himself. What a reading takes
 * beside is bounded by the number of those who may read at a time.
 *
 * A content's budget bounds the work beside: its reading and all that is matched with what was
 * read, each in a turn of the pool's.
 *
 * Two locks, never both at a time: one for what is reserved, held for moments, a few times a
 * bounce; one for the wait for a turn to read.
 */
#include "content/content.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "batv/address.h"
#include "batv/mac.h"
#include "batv/message_split.h"
#include "batv/skim.h"
#include "content/mime.h"

enum {
    FIRST_SIZE = 4096,
    HEADERS_MAX = 256 * 1024, /* octets */
    FIELDS_MAX = 1000,
    TURN_SECONDS = 10, /* far below the MTA's patience (milter_content_timeout: 300 s) */
    LOOKUPS_MAX = 4000,
    MATCHES_KEPT = 16,            /* lists of regular expressions whose answer is remembered */
    SMALL = 64 * 1024,            /* octets that a small bounce reserves at most */
    BODY_SEEN = 96 * 1024 * 1024, /* octets of a body that are gone over */
    BUCKETS = 256
};

/* What the bounces of one network have reserved. */
struct share {
    LIST_ENTRY(share) others;
    struct ip network;
    size_t used; /* never 0 */
};
LIST_HEAD(share_list, share);

struct content_pool {
    size_t max_memory;
    size_t quarter;
    pthread_mutex_t memory;
    size_t used;
    size_t large;                      /* of that, by bounces that are not small */
    struct share_list shares[BUCKETS]; /* no more than there are reservations */

    pthread_mutex_t lock;
    pthread_cond_t turn;
    unsigned turns; /* free ones */
};

/* What a list of regular expressions has answered. */
struct matched {
    const struct regex_list *list;
    enum content_match match;
};

struct content {
    struct content_pool *pool;
    size_t max_body;
    struct ip network; /* of its client */
    size_t reserved;   /* of the pool */
    char *octets;
    size_t length, capacity;
    size_t fields;
    size_t body; /* octets of it that came */
    bool in_body;
    bool lacks_fields; /* some were passed over */
    struct skim *skim; /* of a body that is too long; NULL: all of it is kept */
    bool overloaded;
    bool failed;
    struct bounce *bounce;
    struct budget budget; /* of its reading and its matches together */
    struct matched matched[MATCHES_KEPT];
    size_t matched_count;
    unsigned lookups;
    struct digest *digest;        /* NULL: no memory, or it has been finished */
    char digest_text[DIGEST_HEX]; /* "": it has not */
    bool refused;                 /* a look-up beyond its share */
};

struct content_pool *content_pool_new(size_t max_memory, unsigned parsers)
{
    struct content_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return NULL;
    }
    pthread_condattr_t monotonic;
    pool->max_memory = max_memory;
    pool->quarter = max_memory / 4;
    pool->turns = parsers;
    pthread_mutex_init(&pool->memory, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->turn, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return pool;
}

void content_pool_free(struct content_pool *pool)
{
    if (pool != NULL) {
        pthread_cond_destroy(&pool->turn);
        pthread_mutex_destroy(&pool->lock);
        pthread_mutex_destroy(&pool->memory);
        free(pool);
    }
}

static struct share_list *bucket_of(struct content_pool *pool, const struct ip *network)
{
    unsigned hash = 0;
    for (size_t i = 0; i < sizeof network->octets; i++) {
        hash = hash * 31 + network->octets[i];
    }
    return &pool->shares[hash % BUCKETS];
}

/* Under the lock. NULL: it has reserved nothing. */
static struct share *find_share(struct content_pool *pool, const struct ip *network)
{
    struct share *share = NULL;
    LIST_FOREACH(share, bucket_of(pool, network), others)
    {
        if (memcmp(&share->network, network, sizeof *network) == 0) {
            return share;
        }
    }
    return NULL;
}

/* Under the lock. NULL: no memory. */
static struct share *need_share(struct content_pool *pool, const struct ip *network)
{
    struct share *share = find_share(pool, network);
    if (share == NULL) {
        share = calloc(1, sizeof *share);
        if (share != NULL) {
            share->network = *network;
            LIST_INSERT_HEAD(bucket_of(pool, network), share, others);
        }
    }
    return share;
}

static size_t large_of(size_t reserved)
{
    return reserved > SMALL ? reserved : 0;
}

/* Under the lock. */
static bool has_room(struct content_pool *pool, const struct content *content, size_t more)
{
    const struct share *share = find_share(pool, &content->network);
    size_t held = share != NULL ? share->used : 0;
    size_t others = pool->large - large_of(content->reserved);
    return more <= pool->max_memory - pool->used && more <= pool->quarter - held &&
           large_of(content->reserved + more) <= pool->max_memory - pool->quarter - others;
}

/* False: content has become overloaded, or failed. */
static bool pool_reserve(struct content *content, size_t more)
{
    struct content_pool *pool = content->pool;
    pthread_mutex_lock(&pool->memory);
    content->overloaded = !has_room(pool, content, more);
    if (!content->overloaded) {
        struct share *share = need_share(pool, &content->network);
        content->failed = share == NULL;
        if (share != NULL) {
            pool->large += large_of(content->reserved + more) - large_of(content->reserved);
            pool->used += more;
            share->used += more;
            content->reserved += more;
        }
    }
    pthread_mutex_unlock(&pool->memory);
    return !content->overloaded && !content->failed;
}

static void pool_release(struct content *content)
{
    struct content_pool *pool = content->pool;
    if (content->reserved == 0) {
        return;
    }
    pthread_mutex_lock(&pool->memory);
    struct share *share = find_share(pool, &content->network);
    share->used -= content->reserved;
    pool->used -= content->reserved;
    pool->large -= large_of(content->reserved);
    if (share->used == 0) {
        LIST_REMOVE(share, others);
        free(share);
    }
    pthread_mutex_unlock(&pool->memory);
    content->reserved = 0;
}

static bool pool_take_turn(struct content_pool *pool)
{
    struct timespec until;
    int result = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TURN_SECONDS;
    pthread_mutex_lock(&pool->lock);
    while (pool->turns == 0 && result == 0) {
        result = pthread_cond_timedwait(&pool->turn, &pool->lock, &until);
    }
    bool taken = pool->turns > 0;
    pool->turns -= taken;
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

static void pool_return_turn(struct content_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->turns++;
    pthread_cond_signal(&pool->turn);
    pthread_mutex_unlock(&pool->lock);
}

/* The /24 or /64 that the address lies in. */
static struct ip network_of(const struct ip *client)
{
    enum { V4_NETWORK = 15, V6_NETWORK = 8 };
    struct ip network = {{0}};
    memcpy(network.octets, client->octets, ip_is_v4(client) ? V4_NETWORK : V6_NETWORK);
    return network;
}

struct content *content_new(struct content_pool *pool, size_t max_body, const struct ip *client)
{
    struct content *content = calloc(1, sizeof *content);
    if (content != NULL) {
        content->pool = pool;
        content->max_body = max_body;
        content->lookups = LOOKUPS_MAX;
        content->network = network_of(client);
        content->digest = digest_start();
        digest_add(content->digest, content->network.octets, sizeof content->network.octets);
    }
    return content;
}

/* The octets are no longer needed. */
static void drop_octets(struct content *content)
{
    free(content->octets);
    free(content->skim);
    content->octets = NULL;
    content->skim = NULL;
    content->length = content->capacity = 0;
    pool_release(content);
}

void content_free(struct content *content)
{
    if (content != NULL) {
        drop_octets(content);
        bounce_free(content->bounce);
        (void)content_digest(content); /* ends it */
        free(content);
    }
}

/* False: there is no room, and nothing more will be collected. */
static bool make_room(struct content *content, size_t more)
{
    size_t capacity = content->capacity == 0 ? FIRST_SIZE : content->capacity;
    while (capacity - content->length < more) {
        capacity *= 2;
    }
    size_t most = HEADERS_MAX + content->max_body; /* hardly any comes to more */
    capacity = capacity > most && content->length + more <= most ? most : capacity;
    if (capacity == content->capacity) {
        return true;
    }
    if (pool_reserve(content, capacity - content->capacity)) {
        char *grown = realloc(content->octets, capacity);
        content->failed = grown == NULL;
        content->octets = grown != NULL ? grown : content->octets;
        content->capacity = capacity;
    }
    if (content->overloaded || content->failed) {
        drop_octets(content);
        return false;
    }
    return true;
}

static void append(struct content *content, const void *octets, size_t length)
{
    if (content->overloaded || content->failed || !make_room(content, length)) {
        return;
    }
    memcpy(content->octets + content->length, octets, length);
    content->length += length;
}

/* What each try of a bounce may bring another of. */
static bool is_of_the_way(const char *name)
{
    return ascii_equal(name, "Received") || ascii_equal(name, "Return-Path");
}

static void digest_field(struct digest *digest, const char *name, const char *value)
{
    if (!is_of_the_way(name)) {
        digest_add(digest, name, strlen(name) + 1);
        digest_add(digest, value, strlen(value) + 1);
    }
}

void content_header(struct content *content, const char *name, const char *value)
{
    size_t length = strlen(name) + 2 + strlen(value) + 1;
    if (content->fields == FIELDS_MAX || length > HEADERS_MAX - content->length) {
        content->lacks_fields = true;
        return;
    }
    content->fields++;
    digest_field(content->digest, name, value);
    append(content, name, strlen(name));
    append(content, ": ", 2);
    append(content, value, strlen(value));
    append(content, "\n", 1);
}

/* Makes room in the last quarter of what was kept. */
static void start_skim(struct content *content)
{
    struct octets last = {content->octets, content->length};
    size_t whole = content->length - content->max_body / 4;
    content->skim = malloc(sizeof *content->skim);
    content->failed = content->skim == NULL;
    if (content->failed) {
        drop_octets(content);
        return;
    }
    skim_start(content->skim, content->octets, whole, content->length);
    last.start += whole;
    last.length -= whole;
    skim_add(content->skim, last);
}

static void collect(struct content *content, struct octets piece)
{
    size_t room = content->body < content->max_body ? content->max_body - content->body : 0;
    size_t taken = piece.length < room ? piece.length : room;
    append(content, piece.start, taken);
    content->body += piece.length;
    if (taken < piece.length && !content->overloaded && !content->failed) {
        if (content->skim == NULL) {
            start_skim(content);
        }
        if (content->skim != NULL) {
            skim_add(content->skim, (struct octets){piece.start + taken, piece.length - taken});
        }
    }
}

static bool wants_more(const struct content *content)
{
    return !content->overloaded && !content->failed && content->body < BODY_SEEN &&
           (content->skim == NULL || !content->skim->full);
}

bool content_body(struct content *content, const void *octets, size_t length)
{
    if (!content->in_body) {
        content->in_body = true;
        digest_add(content->digest, "", 1);
        append(content, "\n", 1);
    }
    if (wants_more(content)) {
        digest_add(content->digest, octets, length);
        collect(content, (struct octets){octets, length});
    }
    return wants_more(content);
}

static void take_field(void *context, const char *name, const char *value)
{
    content_header(context, name, value);
}

void content_message(struct content *content, const void *octets, size_t length)
{
    struct octets body;
    if (message_split((struct octets){octets, length}, take_field, content, &body) != STATUS_OK) {
        content->failed = true;
        return;
    }
    content_body(content, body.start, body.length);
}

/* Where the octets lack some; NULL: nowhere. */
static const struct gaps *end_skim(struct content *content)
{
    if (content->skim == NULL) {
        return NULL;
    }
    struct gaps *gaps = &content->skim->gaps;
    skim_end(content->skim);
    gaps->at_end = gaps->at_end || content->body >= BODY_SEEN;
    content->length = content->skim->length;
    return gaps;
}

static void read_octets(struct content *content)
{
    content->overloaded = !pool_take_turn(content->pool);
    if (!content->overloaded) {
        const struct gaps *gaps = end_skim(content);
        content->budget = budget_of(content->length);
        content->failed = mime_read_skimmed(content->octets, content->length, gaps,
                                            &content->budget, &content->bounce) != STATUS_OK;
        pool_return_turn(content->pool);
    }
}

enum content_state content_read(struct content *content, const struct bounce **out)
{
    if (content->bounce == NULL && !content->overloaded && !content->failed) {
        append(content, "", 0); /* so that there are octets, if none of them came */
        if (content->octets != NULL) {
            read_octets(content);
        }
        drop_octets(content);
    }
    *out = content->bounce;
    return content->failed ? CONTENT_FAILED
                           : (content->overloaded ? CONTENT_OVERLOADED : CONTENT_READ);
}

const char *content_digest(struct content *content)
{
    if (content->digest != NULL &&
        digest_finish(content->digest, content->digest_text) != STATUS_OK) {
        content->digest_text[0] = '\0';
    }
    content->digest = NULL;
    return content->digest_text[0] != '\0' ? content->digest_text : NULL;
}

bool content_reached(const struct content *content, enum bounce_limit limit)
{
    switch (limit) {
    case BOUNCE_LIMIT_HEADER:
        return content->lacks_fields;
    case BOUNCE_LIMIT_STEPS: /* matching takes some, too */
        return content->bounce != NULL && budget_used_up(&content->budget);
    case BOUNCE_LIMIT_LOOKUPS:
        return content->refused;
    case BOUNCE_LIMIT_BODY:
    case BOUNCE_LIMIT_DEPTH:
    case BOUNCE_LIMIT_PARTS:
    case BOUNCE_LIMIT_IDS:
    case BOUNCE_LIMIT_COUNT:
        break;
    }
    return content->bounce != NULL && content->bounce->limits[limit];
}

bool content_searched(const struct content *content)
{
    return content->bounce == NULL ||
           (!content->bounce->unsearched && !budget_used_up(&content->budget) && !content->refused);
}

/* By the Message-IDs that are named so: an expression may match the addresses of the site as well.
 */
static enum content_match match_ids(struct content *content, const struct regex_list *list)
{
    const struct bounce *bounce = content->bounce;
    enum status status = STATUS_OK;
    if (!pool_take_turn(content->pool)) {
        return CONTENT_MATCH_OVERLOADED;
    }
    const char *found = NULL;
    for (size_t i = 0; i < bounce->named_count && found == NULL && status == STATUS_OK; i++) {
        found = regex_list_match(list, bounce->ids[i].text, &content->budget, &status);
    }
    pool_return_turn(content->pool);
    if (found != NULL) {
        return CONTENT_MATCH_YES;
    }
    return status == STATUS_OK ? CONTENT_MATCH_NO : CONTENT_MATCH_FAILED;
}

enum content_match content_match(struct content *content, const struct regex_list *list)
{
    assert(content->bounce != NULL);
    for (size_t i = 0; i < content->matched_count; i++) {
        if (content->matched[i].list == list) {
            return content->matched[i].match;
        }
    }
    enum content_match match = match_ids(content, list);
    if (content->matched_count < MATCHES_KEPT) {
        content->matched[content->matched_count++] = (struct matched){list, match};
    }
    return match;
}

bool content_may_look_up(struct content *content)
{
    bool may = content->lookups > 0;
    content->refused = content->refused || !may;
    content->lookups -= may;
    return may;
}
