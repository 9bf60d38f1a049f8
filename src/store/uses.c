/*
 * A claim holds a use until it is settled, so that bounces that come at the same time cannot prove
 * more together than one after the other. What is held stands in a table in memory under the key of
 * its journal entry; there is a line for no more than what is claimed at the moment. The uses
 * themselves are counted by the journal.
 *
 * A bounce is known again by its digest. The journal keeps those of bounces that were accepted by a
 * proof, as notes: each is MACed with the mailbox, is used up by the tries, and expires like any
 * entry. So they are bounded as the journal is, and a restart forgets no more than the journal
 * does. What tries are beyond their number or time is counted as another bounce.
 *
 * Locks, in this order: lock, then the journal's.
 */
#include "store/uses.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "batv/day.h"
#include "batv/mac.h"

enum {
    BUCKETS = 256,
    RETRIES = 100,  /* tries after the first that are the same bounce */
    RETRY_DAYS = 6, /* after that of the first */
    NOTE_NAME = sizeof "bounce:" + DIGEST_HEX
};

struct held {
    LIST_ENTRY(held) others;
    uint8_t key[JOURNAL_KEY];
    unsigned count; /* never 0 */
};
LIST_HEAD(held_list, held);

struct uses {
    struct journal *journal;
    pthread_mutex_t lock;
    struct held_list held[BUCKETS];
};

struct claim {
    const struct ring *ring;
    char *address, *name;
    unsigned allowed;
    int64_t expires;
    char digest[DIGEST_HEX]; /* "": not known */
    struct held *held;       /* NULL: it has been counted before */
};

struct uses *uses_new(struct journal *journal)
{
    struct uses *uses = calloc(1, sizeof *uses);
    if (uses != NULL) {
        uses->journal = journal;
        pthread_mutex_init(&uses->lock, NULL);
    }
    return uses;
}

void uses_free(struct uses *uses)
{
    if (uses != NULL) {
        pthread_mutex_destroy(&uses->lock);
        free(uses);
    }
}

/* ------------------------------------------------------------------- holding */

/* Under the lock. */
static struct held *find_held(struct uses *uses, const uint8_t key[static JOURNAL_KEY])
{
    struct held *held = NULL;
    LIST_FOREACH(held, &uses->held[key[0]], others)
    {
        if (memcmp(held->key, key, JOURNAL_KEY) == 0) {
            return held;
        }
    }
    return NULL;
}

/* Under the lock. NULL: no memory. */
static struct held *hold(struct uses *uses, const uint8_t key[static JOURNAL_KEY])
{
    struct held *held = find_held(uses, key);
    if (held == NULL) {
        held = calloc(1, sizeof *held);
        if (held == NULL) {
            return NULL;
        }
        memcpy(held->key, key, JOURNAL_KEY);
        LIST_INSERT_HEAD(&uses->held[key[0]], held, others);
    }
    held->count++;
    return held;
}

/* Under the lock. */
static void let_go(struct held *held)
{
    if (--held->count == 0) {
        LIST_REMOVE(held, others);
        free(held);
    }
}

/* ------------------------------------------------------------------ claiming */

/* A note that is not there or cannot be read has not been used, for all that is known. */
static enum answer look(const struct uses *uses, const struct proof *proof, time_t now,
                        struct journal_entry *entry)
{
    *entry = (struct journal_entry){.allowed = proof->allowed};
    enum journal_answer answer =
        journal_note_look(uses->journal, proof->ring, proof->address, proof->name, now, entry);
    return answer == JOURNAL_EXHAUSTED ? ANSWER_EXHAUSTED : ANSWER_YES;
}

enum answer uses_answer(enum journal_answer answer)
{
    switch (answer) {
    case JOURNAL_YES:
        return ANSWER_YES;
    case JOURNAL_EXHAUSTED:
        return ANSWER_EXHAUSTED;
    case JOURNAL_UNAVAILABLE:
        return ANSWER_UNAVAILABLE;
    case JOURNAL_NO:
        break;
    }
    return ANSWER_NO;
}

static void note_name(const char *digest, char out[static NOTE_NAME])
{
    snprintf(out, NOTE_NAME, "bounce:%s", digest);
}

static bool is_retry(const struct uses *uses, const struct ring *ring, const char *address,
                     const char *digest, time_t now)
{
    char name[NOTE_NAME];
    note_name(digest, name);
    return digest[0] != '\0' &&
           journal_note_look(uses->journal, ring, address, name, now, NULL) == JOURNAL_YES;
}

/* Holds a use if one is left; *held is set with ANSWER_YES. */
static enum answer hold_use(struct uses *uses, const struct proof *proof, time_t now,
                            struct held **held)
{
    uint8_t key[JOURNAL_KEY];
    struct journal_entry entry;
    if (journal_entry_note_key(proof->ring, 0, proof->address, proof->name, key) != STATUS_OK) {
        return ANSWER_UNAVAILABLE;
    }
    pthread_mutex_lock(&uses->lock);
    enum answer answer = look(uses, proof, now, &entry);
    const struct held *others = find_held(uses, key);
    if (answer == ANSWER_YES && others != NULL && others->count >= entry.allowed - entry.used) {
        answer = ANSWER_OVERLOADED;
    }
    if (answer == ANSWER_YES) {
        *held = hold(uses, key);
        answer = *held != NULL ? ANSWER_YES : ANSWER_UNAVAILABLE;
    }
    pthread_mutex_unlock(&uses->lock);
    return answer;
}

/* NULL: no memory. */
static struct claim *claim_new(struct claims *claims, const struct proof *proof, const char *digest)
{
    if (claims->count == claims->room) {
        size_t room = claims->room == 0 ? 4 : 2 * claims->room;
        struct claim *grown = realloc(claims->list, room * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        claims->list = grown;
        claims->room = room;
    }
    struct claim *claim = &claims->list[claims->count];
    *claim = (struct claim){.ring = proof->ring,
                            .address = strdup(proof->address),
                            .name = strdup(proof->name),
                            .allowed = proof->allowed,
                            .expires = proof->expires};
    snprintf(claim->digest, sizeof claim->digest, "%s", digest);
    if (claim->address == NULL || claim->name == NULL) {
        free(claim->address);
        free(claim->name);
        return NULL;
    }
    claims->count++;
    return claim;
}

static void claim_drop_last(struct claims *claims)
{
    struct claim *claim = &claims->list[--claims->count];
    free(claim->address);
    free(claim->name);
}

static bool has_claimed(const struct claims *claims, const char *address)
{
    for (size_t i = 0; i < claims->count; i++) {
        if (strcmp(claims->list[i].address, address) == 0) {
            return true;
        }
    }
    return false;
}

enum answer claims_add(struct claims *claims, const struct proof *proof, const char *digest,
                       time_t now)
{
    struct uses *uses = claims->uses;
    struct journal_entry entry;
    enum answer there = look(uses, proof, now, &entry);
    if (has_claimed(claims, proof->address)) {
        return ANSWER_YES;
    }
    digest = digest != NULL ? digest : "";
    bool retry = is_retry(uses, proof->ring, proof->address, digest, now);
    if (there == ANSWER_EXHAUSTED && !retry) {
        return there;
    }
    struct claim *claim = claim_new(claims, proof, digest);
    if (claim == NULL) {
        return ANSWER_UNAVAILABLE;
    }
    enum answer answer = retry ? ANSWER_YES : hold_use(uses, proof, now, &claim->held);
    if (answer != ANSWER_YES) {
        claim_drop_last(claims);
    }
    return answer;
}

/* ------------------------------------------------------------------ settling */

/* Under the lock. Of two copies of a bounce that came at the same time one is a retry. */
static void count(const struct uses *uses, const struct claim *claim, time_t now)
{
    char name[NOTE_NAME];
    if (!is_retry(uses, claim->ring, claim->address, claim->digest, now)) {
        (void)journal_note_use(uses->journal, claim->ring, claim->address, claim->name,
                               claim->allowed, claim->expires, now);
    }
    if (claim->digest[0] != '\0') {
        note_name(claim->digest, name);
        (void)journal_note_use(uses->journal, claim->ring, claim->address, name, 1 + RETRIES,
                               day_of(now) + RETRY_DAYS + 1, now);
    }
}

void claims_settle(struct claims *claims, bool accepted, time_t now)
{
    struct uses *uses = claims->uses;
    if (claims->count > 0) {
        pthread_mutex_lock(&uses->lock);
        for (size_t i = 0; i < claims->count; i++) {
            const struct claim *claim = &claims->list[i];
            if (accepted) {
                count(uses, claim, now);
            }
            if (claim->held != NULL) {
                let_go(claim->held);
            }
        }
        pthread_mutex_unlock(&uses->lock);
    }
    while (claims->count > 0) {
        claim_drop_last(claims);
    }
    free(claims->list);
    *claims = (struct claims){.uses = uses};
}
