/*
 * What callers ask of the journal: entries put, looked for, and counted.
 *
 * An entry may stand in three layers, from the newest: the open set, which takes what comes in; the
 * set that is being committed; the file. They are looked at in this order, the first two under the
 * lock and the file in a transaction that begins after that, so an entry that moves down meanwhile
 * is seen all the same. What journal_put makes does not know how often an entry of the same key has
 * been used, so it takes that number from the layer below (the record is not `counted`); a use is
 * stored as the whole truth. The writer (journal_writer.c) unites the layers in the same way.
 *
 * Uses are counted one at a time: look, then store one more under the lock `counting`. Only what
 * has been found and accepted comes so far (store/uses.h), so a flood of made-up bounces does not
 * queue there.
 *
 * Without a file the second set holds what came before the first was half full, and is then
 * dropped: the latest entries remain.
 *
 * Locks, in this order: counting or working, then lock.
 */
#include "store/journal.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "batv/day.h"
#include "store/journal_parts.h"

enum { ALLOWANCE = 20, ALLOWANCE_RECIPIENT = 3, ALLOWANCE_MAX = 1000000, NOTICE_S = 60 };

unsigned journal_allowance(size_t recipients)
{
    if (recipients > (ALLOWANCE_MAX - ALLOWANCE) / ALLOWANCE_RECIPIENT) {
        return ALLOWANCE_MAX;
    }
    return ALLOWANCE + ALLOWANCE_RECIPIENT * (unsigned)recipients;
}

/* ------------------------------------------------------------ pending set */

static void raise_entry(struct journal_entry *entry, int64_t expires, unsigned allowed)
{
    entry->expires = expires > entry->expires ? expires : entry->expires;
    entry->allowed = allowed > entry->allowed ? allowed : entry->allowed;
}

/* Under the lock: room for a record more. Without a file there always is: *grave gets what has made
 * it, to be freed outside the lock. */
static bool make_room(struct journal *journal, size_t max, struct journal_table *grave)
{
    if (journal->file != NULL) {
        return journal->open.count + journal->committing.count < max;
    }
    if (journal->open.count >= PENDING_MAX / 2) {
        *grave = journal->committing;
        journal->committing = journal->open;
        journal->open = (struct journal_table){.count = 0};
    }
    return true;
}

/* Under the lock: the secrets by which the writer will have to unite entries. A caller may still
 * hold the ring before the last: the newer one has its secret as well. */
static void keep_secrets(struct journal *journal, const struct ring *ring)
{
    const struct secret *current = &ring->evidence_current;
    if (journal->evidence != NULL) {
        const struct secret *const kept[] = {&journal->evidence->evidence_current,
                                             &journal->evidence->evidence_previous};
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
            if (kept[i]->length == current->length &&
                secret_equal_octets(kept[i]->octets, current->octets, current->length)) {
                return;
            }
        }
    }
    struct ring *copy = ring_new();
    if (copy != NULL && ring_set_evidence(copy, current, &ring->evidence_previous) == STATUS_OK) {
        ring_free(journal->evidence);
        journal->evidence = copy;
    } else {
        ring_free(copy);
    }
}

/* Under the lock. False: there is no room. */
static bool store_put(struct journal *journal, const struct ring *ring,
                      const struct journal_entry *entry, const uint8_t value[static JOURNAL_VALUE],
                      struct journal_table *grave)
{
    struct journal_record *record = journal_table_find(&journal->open, entry->key);
    struct journal_entry former = *entry;
    uint8_t united[JOURNAL_VALUE];
    if (record != NULL && journal_entry_unpack(ring, 0, record->value, &former) == STATUS_OK) {
        raise_entry(&former, entry->expires, entry->allowed);
        if (journal_entry_pack(ring, 0, &former, united) != STATUS_OK) {
            return true; /* what is there will have to do */
        }
        value = united;
    } else if (record == NULL && make_room(journal, PENDING_MAX, grave)) {
        record = journal_table_add(&journal->open, entry->key);
    }
    if (record != NULL) {
        memcpy(record->value, value, JOURNAL_VALUE);
    }
    return record != NULL;
}

static enum status make_key(const struct ring *ring, unsigned secret,
                            const struct journal_subject *subject, uint8_t key[static JOURNAL_KEY])
{
    return subject->note
               ? journal_entry_note_key(ring, secret, subject->address, subject->name, key)
               : journal_entry_key(ring, secret, subject->address, subject->name, key);
}

static void put(struct journal *journal, const struct ring *ring,
                const struct journal_subject *subject, unsigned allowed, int64_t expires)
{
    struct journal_entry entry = {.expires = expires, .allowed = allowed};
    struct journal_table grave = {.count = 0};
    uint8_t value[JOURNAL_VALUE];
    enum status status = make_key(ring, 0, subject, entry.key);
    if (status == STATUS_OK) {
        status = journal_entry_pack(ring, 0, &entry, value);
    }
    if (status == STATUS_INVALID) {
        return; /* nothing to be found again by */
    }
    pthread_mutex_lock(&journal->lock);
    bool stored = status == STATUS_OK && store_put(journal, ring, &entry, value, &grave);
    journal->dropped += !stored;
    bool warn = !stored && log_notice_due(&journal->drop_notice, NOTICE_S);
    if (stored) {
        keep_secrets(journal, ring);
    }
    pthread_mutex_unlock(&journal->lock);
    journal_table_clear(&grave);
    if (warn) {
        log_line(LOG_WARNING,
                 "journal: messages are not journalled, %s: their bounces have to be proven by tag "
                 "or header",
                 status == STATUS_OK ? "since too many entries wait to be written"
                                     : "since there is no evidence secret");
    }
}

void journal_put(struct journal *journal, const struct ring *ring, const char *address,
                 const char *message_id, unsigned allowed, int64_t expires)
{
    const struct journal_subject subject = {address, message_id, false};
    put(journal, ring, &subject, allowed, expires);
}

void journal_note_put(struct journal *journal, const struct ring *ring, const char *address,
                      const char *name, unsigned allowed, int64_t expires)
{
    const struct journal_subject subject = {address, name, true};
    put(journal, ring, &subject, allowed, expires);
}

/* -------------------------------------------------------------- looking */

/* What the layers say of one key. */
struct sighting {
    struct journal_entry entry; /* its key is set from the beginning */
    unsigned secret;
    bool found;
    bool counted; /* no layer below can add to it */
    bool unsure;  /* a layer has an entry that could not be checked */
};

/* Takes one more layer in, coming from above. False: that is no entry of ours. */
static bool add_layer(struct sighting *sighting, const struct ring *ring,
                      const uint8_t value[static JOURNAL_VALUE], bool counted)
{
    struct journal_entry layer = sighting->entry;
    enum status status = journal_entry_unpack(ring, sighting->secret, value, &layer);
    if (status != STATUS_OK) {
        sighting->unsure = sighting->unsure || status != STATUS_INVALID;
        return status != STATUS_INVALID;
    }
    if (sighting->found) {
        raise_entry(&layer, sighting->entry.expires, sighting->entry.allowed);
    }
    sighting->entry = layer;
    sighting->found = true;
    sighting->counted = counted;
    return true;
}

/* The keys by all secrets that there are. A count, 0: nothing can be found, or *status tells. */
static size_t make_keys(const struct ring *ring, const struct journal_subject *subject,
                        struct sighting out[static JOURNAL_SECRETS], enum status *status)
{
    size_t count = 0;
    *status = STATUS_OK;
    for (unsigned secret = 0; secret < JOURNAL_SECRETS; secret++) {
        struct sighting *sighting = &out[count];
        *sighting = (struct sighting){.secret = secret};
        *status = make_key(ring, secret, subject, sighting->entry.key);
        if (*status == STATUS_OK) {
            count++;
        } else if (*status != STATUS_NOT_FOUND && *status != STATUS_INVALID) {
            return 0;
        }
    }
    *status = STATUS_OK;
    return count;
}

static void look_pending(struct journal *journal, const struct ring *ring,
                         struct sighting sightings[], size_t count)
{
    struct journal_record records[JOURNAL_SECRETS][2];
    bool there[JOURNAL_SECRETS][2];
    const struct journal_table *const tables[2] = {&journal->open, &journal->committing};
    pthread_mutex_lock(&journal->lock);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < 2; t++) {
            const struct journal_record *record =
                journal_table_find(tables[t], sightings[i].entry.key);
            there[i][t] = record != NULL;
            records[i][t] = record != NULL ? *record : (struct journal_record){.counted = false};
        }
    }
    pthread_mutex_unlock(&journal->lock);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < 2 && !sightings[i].counted; t++) {
            if (there[i][t]) {
                (void)add_layer(&sightings[i], ring, records[i][t].value, records[i][t].counted);
            }
        }
    }
}

static void warn_forged(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool due = log_notice_due(&journal->forged_notice, NOTICE_S);
    pthread_mutex_unlock(&journal->lock);
    if (due) {
        log_line(LOG_WARNING, "journal: an entry is not of our making and counts for nothing");
    }
}

/* False: the file cannot be read. */
static bool look_file(struct journal *journal, const struct ring *ring, struct sighting sightings[],
                      size_t count)
{
    struct journal_lookup lookups[JOURNAL_SECRETS];
    for (size_t i = 0; i < count; i++) {
        memcpy(lookups[i].key, sightings[i].entry.key, JOURNAL_KEY);
    }
    if (journal_file_get(journal->file, lookups, count) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (lookups[i].found && !sightings[i].counted &&
            !add_layer(&sightings[i], ring, lookups[i].value, true)) {
            warn_forged(journal);
        }
        sightings[i].counted = true; /* there is nothing below the file */
    }
    return true;
}

static bool is_settled(const struct sighting sightings[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!sightings[i].counted) {
            return false;
        }
    }
    return true;
}

/* JOURNAL_NO, or *out and JOURNAL_YES or JOURNAL_EXHAUSTED, or JOURNAL_UNAVAILABLE; then *out may
 * still be found, without knowing how often it was used. */
static enum journal_answer look(struct journal *journal, const struct ring *ring,
                                const struct journal_subject *subject, time_t now,
                                struct sighting *out)
{
    struct sighting sightings[JOURNAL_SECRETS];
    enum status status;
    *out = (struct sighting){.found = false};
    size_t count = make_keys(ring, subject, sightings, &status);
    if (count == 0) {
        return status == STATUS_OK ? JOURNAL_NO : JOURNAL_UNAVAILABLE;
    }
    look_pending(journal, ring, sightings, count);
    bool readable = journal->file != NULL || journal->folder == NULL;
    if (journal->file != NULL && !is_settled(sightings, count)) {
        readable = look_file(journal, ring, sightings, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (sightings[i].found && sightings[i].entry.expires > day_of(now)) {
            *out = sightings[i];
            bool used_up = out->entry.used >= out->entry.allowed;
            return used_up ? JOURNAL_EXHAUSTED : JOURNAL_YES;
        }
        readable = readable && !sightings[i].unsure;
    }
    return readable ? JOURNAL_NO : JOURNAL_UNAVAILABLE;
}

enum journal_answer journal_own_look(struct journal *journal, const struct ring *ring,
                                     const struct journal_subject *subject, time_t now,
                                     struct journal_entry *entry)
{
    struct sighting sighting;
    enum journal_answer answer = look(journal, ring, subject, now, &sighting);
    if (sighting.found && entry != NULL) {
        *entry = sighting.entry;
    }
    return answer;
}

static enum journal_answer look_anywhere(struct journal *journal, const struct ring *ring,
                                         const struct journal_subject *subject, time_t now,
                                         struct journal_entry *entry)
{
    return journal->reader ? journal_reader_look(journal, ring, subject, now, entry)
                           : journal_own_look(journal, ring, subject, now, entry);
}

enum journal_answer journal_look(struct journal *journal, const struct ring *ring,
                                 const char *address, const char *message_id, time_t now,
                                 struct journal_entry *entry)
{
    const struct journal_subject subject = {address, message_id, false};
    return look_anywhere(journal, ring, &subject, now, entry);
}

enum journal_answer journal_note_look(struct journal *journal, const struct ring *ring,
                                      const char *address, const char *name, time_t now,
                                      struct journal_entry *entry)
{
    const struct journal_subject subject = {address, name, true};
    return look_anywhere(journal, ring, &subject, now, entry);
}

/* ------------------------------------------------------------- counting */

/* Stores an entry as the whole truth, less what has been put since it was looked for. Where there
 * is no room the use is not counted: better one too many than a proof refused. */
static void store_use(struct journal *journal, const struct ring *ring,
                      const struct sighting *sighting)
{
    struct journal_entry entry = sighting->entry;
    struct journal_entry fresh = entry;
    struct journal_table grave = {.count = 0};
    uint8_t value[JOURNAL_VALUE];
    pthread_mutex_lock(&journal->lock);
    struct journal_record *record = journal_table_find(&journal->open, entry.key);
    if (record != NULL &&
        journal_entry_unpack(ring, sighting->secret, record->value, &fresh) == STATUS_OK) {
        raise_entry(&entry, fresh.expires, fresh.allowed);
    }
    bool packed = journal_entry_pack(ring, sighting->secret, &entry, value) == STATUS_OK;
    if (record == NULL && packed && make_room(journal, PENDING_MAX + PENDING_USES, &grave)) {
        record = journal_table_add(&journal->open, entry.key);
    }
    if (record != NULL && packed) {
        memcpy(record->value, value, sizeof value);
        record->counted = true;
        keep_secrets(journal, ring);
    }
    pthread_mutex_unlock(&journal->lock);
    journal_table_clear(&grave);
}

enum journal_answer journal_note_use(struct journal *journal, const struct ring *ring,
                                     const char *address, const char *name, unsigned allowed,
                                     int64_t expires, time_t now)
{
    const struct journal_subject subject = {address, name, true};
    struct sighting sighting;
    pthread_mutex_lock(&journal->counting);
    enum journal_answer answer = look(journal, ring, &subject, now, &sighting);
    bool memory_only = journal->file == NULL;
    if (answer == JOURNAL_NO || (answer == JOURNAL_UNAVAILABLE && memory_only)) {
        sighting.entry = (struct journal_entry){.expires = expires, .allowed = allowed};
        sighting.secret = 0;
        sighting.counted = true;
        answer = make_key(ring, 0, &subject, sighting.entry.key) == STATUS_OK ? JOURNAL_YES
                                                                              : JOURNAL_UNAVAILABLE;
    }
    if (answer == JOURNAL_YES && (sighting.counted || memory_only)) {
        sighting.entry.used++;
        store_use(journal, ring, &sighting);
    }
    pthread_mutex_unlock(&journal->counting);
    return answer;
}
