/* A ring of the last bounces for each domain, behind one mutex: it is touched by bounces with a
 * valid tag only. */
#include "daemon/sample.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "batv/evidence.h"
#include "content/evidence_returned.h"

enum { HOUR = 3600 };

enum named { NAMES_NONE, NAMES_KNOWN, NAMES_UNKNOWN };

struct bucket {
    char *domain;
    time_t hour; /* when the present one began */
    unsigned in_hour;
    uint64_t tags[SAMPLE_SIZE]; /* hashes, those taken first are replaced first */
    uint8_t named[SAMPLE_SIZE];
    unsigned taken; /* no more than SAMPLE_SIZE */
    unsigned next;
    bool rewritten;
};

struct sample {
    pthread_mutex_t lock;
    struct bucket *buckets[SAMPLE_DOMAINS];
    size_t count;
    uint64_t changes;
};

struct sample *sample_new(void)
{
    struct sample *sample = calloc(1, sizeof *sample);
    if (sample != NULL) {
        pthread_mutex_init(&sample->lock, NULL);
    }
    return sample;
}

void sample_free(struct sample *sample)
{
    if (sample == NULL) {
        return;
    }
    for (size_t i = 0; i < sample->count; i++) {
        free(sample->buckets[i]->domain);
        free(sample->buckets[i]);
    }
    pthread_mutex_destroy(&sample->lock);
    free(sample);
}

/* ------------------------------------------------------------------ the window */

/* FNV-1a. Two that are alike cost a bounce of the sample, no more. */
static uint64_t hash_tag(const struct returned *returned)
{
    uint64_t hash = 0xcbf29ce484222325U ^ (uint64_t)returned->day;
    for (const char *p = returned->address; *p != '\0'; p++) {
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3U;
    }
    return hash;
}

/* With the lock held, as are the next. NULL: there is none. */
static struct bucket *find_bucket(const struct sample *sample, const char *domain)
{
    for (size_t i = 0; i < sample->count; i++) {
        if (strcmp(sample->buckets[i]->domain, domain) == 0) {
            return sample->buckets[i];
        }
    }
    return NULL;
}

/* NULL: no memory, or no room. */
static struct bucket *add_bucket(struct sample *sample, const char *domain)
{
    struct bucket *bucket = sample->count < SAMPLE_DOMAINS ? calloc(1, sizeof *bucket) : NULL;
    if (bucket == NULL) {
        return NULL;
    }
    bucket->domain = strdup(domain);
    if (bucket->domain == NULL) {
        free(bucket);
        return NULL;
    }
    sample->buckets[sample->count++] = bucket;
    return bucket;
}

/* SAMPLE_SIZE: it is not in it. */
static unsigned find_tag(const struct bucket *bucket, uint64_t tag)
{
    for (unsigned i = 0; i < bucket->taken; i++) {
        if (bucket->tags[i] == tag) {
            return i;
        }
    }
    return SAMPLE_SIZE;
}

static void count_named(const struct bucket *bucket, unsigned *named, unsigned *known)
{
    *named = *known = 0;
    for (unsigned i = 0; i < bucket->taken; i++) {
        *named += bucket->named[i] != NAMES_NONE;
        *known += bucket->named[i] == NAMES_KNOWN;
    }
}

static void judge_bucket(struct sample *sample, struct bucket *bucket)
{
    unsigned named, known;
    count_named(bucket, &named, &known);
    bool rewritten = counts_tell_rewriting(named, known);
    sample->changes += rewritten != bucket->rewritten;
    bucket->rewritten = rewritten;
}

static bool is_within_hour(struct bucket *bucket, time_t now)
{
    if (now < bucket->hour || now >= bucket->hour + HOUR) {
        bucket->hour = now;
        bucket->in_hour = 0;
    }
    return bucket->in_hour < SAMPLE_SIZE;
}

bool sample_take(struct sample *sample, const struct returned *returned, time_t now)
{
    uint64_t tag = hash_tag(returned);
    pthread_mutex_lock(&sample->lock);
    struct bucket *bucket = find_bucket(sample, returned->domain->name);
    if (bucket == NULL) {
        bucket = add_bucket(sample, returned->domain->name);
    }
    bool takes =
        bucket != NULL && find_tag(bucket, tag) == SAMPLE_SIZE && is_within_hour(bucket, now);
    if (takes) {
        bucket->in_hour++;
        bucket->tags[bucket->next] = tag;
        bucket->named[bucket->next] = NAMES_NONE;
        bucket->next = (bucket->next + 1) % SAMPLE_SIZE;
        bucket->taken += bucket->taken < SAMPLE_SIZE;
        judge_bucket(sample, bucket);
    }
    pthread_mutex_unlock(&sample->lock);
    return takes;
}

void sample_put(struct sample *sample, const struct returned *returned, bool known)
{
    pthread_mutex_lock(&sample->lock);
    struct bucket *bucket = find_bucket(sample, returned->domain->name);
    unsigned at = bucket != NULL ? find_tag(bucket, hash_tag(returned)) : SAMPLE_SIZE;
    if (at < SAMPLE_SIZE) {
        bucket->named[at] = known ? NAMES_KNOWN : NAMES_UNKNOWN;
        judge_bucket(sample, bucket);
    }
    pthread_mutex_unlock(&sample->lock);
}

uint64_t sample_changes(struct sample *sample)
{
    pthread_mutex_lock(&sample->lock);
    uint64_t changes = sample->changes;
    pthread_mutex_unlock(&sample->lock);
    return changes;
}

void sample_rewritten(struct sample *sample, void (*visit)(void *context, const char *domain),
                      void *context)
{
    pthread_mutex_lock(&sample->lock);
    for (size_t i = 0; i < sample->count; i++) {
        if (sample->buckets[i]->rewritten) {
            visit(context, sample->buckets[i]->domain);
        }
    }
    pthread_mutex_unlock(&sample->lock);
}

void sample_report(struct sample *sample, struct status_report *report)
{
    pthread_mutex_lock(&sample->lock);
    for (size_t i = 0; i < sample->count; i++) {
        unsigned named, known;
        count_named(sample->buckets[i], &named, &known);
        status_add(report, &report->returned,
                   &(struct status_row){
                       .domain = sample->buckets[i]->domain, .count = named, .known = known});
    }
    pthread_mutex_unlock(&sample->lock);
}

/* -------------------------------------------------------------------- reading */

/* Its Message-ID was not journalled, since strangers chose it or there was none: what stands in the
 * journal for it is the note of the header that we gave it. */
static bool is_noted(struct journal *journal, const struct returned *returned,
                     const struct bounce *bounce, time_t now)
{
    bool noted = false;
    for (size_t i = 0; !noted && i < bounce->evidence_count; i++) {
        char nonce[EVIDENCE_NONCE_HEX];
        char name[EVIDENCE_USE_NAME];
        bool proves = false;
        if (evidence_check(returned->ring, bounce->evidence[i], returned->address,
                           returned->settings->evidence.retain_days, now, &proves,
                           nonce) == STATUS_OK &&
            proves) {
            evidence_use_name(nonce, false, name);
            noted = journal_note_look(journal, returned->ring, returned->address, name, now,
                                      NULL) != JOURNAL_NO;
        }
    }
    return noted;
}

/* JOURNAL_YES: one of its Message-IDs was sent. */
static enum journal_answer look_up(struct journal *journal, const struct returned *returned,
                                   const struct bounce *bounce, struct content *content, time_t now)
{
    enum journal_answer answer = JOURNAL_NO;
    for (size_t i = 0; answer == JOURNAL_NO && i < bounce->id_count && content_may_look_up(content);
         i++) {
        answer = journal_look(journal, returned->ring, returned->address, bounce->ids[i].text, now,
                              NULL);
    }
    return answer;
}

void sample_read(struct sample *sample, struct journal *journal, const struct returned *returned,
                 struct content *content, time_t now)
{
    const struct bounce *bounce;
    if (content == NULL || content_read(content, &bounce) != CONTENT_READ ||
        bounce->named_count == 0) {
        return;
    }
    enum journal_answer answer = look_up(journal, returned, bounce, content, now);
    bool unknown = answer == JOURNAL_NO && content_searched(content) &&
                   !is_noted(journal, returned, bounce, now);
    if (answer == JOURNAL_YES || unknown) {
        sample_put(sample, returned, answer == JOURNAL_YES);
    }
}
