/*
 * What callers ask of the journal: entries put, looked for, and counted.
 *
 * An entry may stand in three layers: the open set, which takes what comes in; the set that is
 * being written; the database. They are looked at in this order, the first two under the lock and
 * the database in a transaction that begins after that, so an entry that moves down meanwhile is
 * seen all the same. The layers are united by the greatest of each number: nothing ever makes an
 * expiry, an allowance or a count smaller. So nothing has to be read before it is written.
 *
 * Uses are counted one at a time: look, then store one more under the lock `counting`. Only what
 * has been found and accepted comes so far (store/uses.h), so a flood of made-up bounces does not
 * queue there.
 *
 * Without a database the second set holds what came before the first was half full, and is then
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

/* What an entry is for. */
struct subject {
    const char *address;
    const char *name; /* a Message-ID, or of a note */
    bool note;
};

unsigned journal_allowance(size_t recipients)
{
    if (recipients > (ALLOWANCE_MAX - ALLOWANCE) / ALLOWANCE_RECIPIENT) {
        return ALLOWANCE_MAX;
    }
    return ALLOWANCE + ALLOWANCE_RECIPIENT * (unsigned)recipients;
}

/* ------------------------------------------------------------ pending set */

static void raise_entry(struct journal_entry *entry, const struct journal_entry *other)
{
    entry->expires = other->expires > entry->expires ? other->expires : entry->expires;
    entry->allowed = other->allowed > entry->allowed ? other->allowed : entry->allowed;
    entry->used = other->used > entry->used ? other->used : entry->used;
}

/* Under the lock: room for a record more. Without a database there always is: *grave gets what has
 * made it, to be freed outside the lock. */
static bool make_room(struct journal *journal, size_t max, struct journal_table *grave)
{
    if (journal->db != NULL) {
        return journal->open.count + journal->committing.count < max;
    }
    if (journal->open.count >= PENDING_MAX / 2) {
        *grave = journal->committing;
        journal->committing = journal->open;
        journal->open = (struct journal_table){.count = 0};
    }
    return true;
}

/* Under the lock; value is the entry packed by that secret. False: there is no room. */
static bool store_locked(struct journal *journal, const struct ring *ring, unsigned secret,
                         struct journal_entry *entry, uint8_t value[static JOURNAL_VALUE],
                         struct journal_table *grave)
{
    size_t max = entry->used > 0 ? PENDING_MAX + PENDING_USES : PENDING_MAX;
    struct journal_record *record = journal_table_find(&journal->open, entry->key);
    struct journal_entry former = *entry;
    if (record != NULL && journal_entry_unpack(ring, secret, record->value, &former) == STATUS_OK) {
        raise_entry(entry, &former);
        if (journal_entry_pack(ring, secret, entry, value) != STATUS_OK) {
            return true; /* what is there will have to do */
        }
    } else if (record == NULL && make_room(journal, max, grave)) {
        record = journal_table_add(&journal->open, entry->key);
    }
    if (record != NULL) {
        memcpy(record->value, value, JOURNAL_VALUE);
        record->used = entry->used > 0;
    }
    return record != NULL;
}

static enum status store(struct journal *journal, const struct ring *ring, unsigned secret,
                         struct journal_entry *entry)
{
    uint8_t value[JOURNAL_VALUE];
    struct journal_table grave = {.count = 0};
    enum status status = journal_entry_pack(ring, secret, entry, value);
    if (status != STATUS_OK) {
        return status;
    }
    pthread_mutex_lock(&journal->lock);
    bool stored = store_locked(journal, ring, secret, entry, value, &grave);
    pthread_mutex_unlock(&journal->lock);
    journal_table_clear(&grave);
    return stored ? STATUS_OK : STATUS_REFUSED;
}

static enum status make_key(const struct ring *ring, unsigned secret, const struct subject *subject,
                            uint8_t key[static JOURNAL_KEY])
{
    return subject->note
               ? journal_entry_note_key(ring, secret, subject->address, subject->name, key)
               : journal_entry_key(ring, secret, subject->address, subject->name, key);
}

static void put(struct journal *journal, const struct ring *ring, const struct subject *subject,
                unsigned allowed, int64_t expires)
{
    struct journal_entry entry = {.expires = expires, .allowed = allowed};
    enum status status = make_key(ring, 0, subject, entry.key);
    if (status == STATUS_OK) {
        status = store(journal, ring, 0, &entry);
    }
    if (status == STATUS_OK || status == STATUS_INVALID) {
        return; /* STATUS_INVALID: nothing to be found again by */
    }
    pthread_mutex_lock(&journal->lock);
    journal->dropped++;
    bool warn = log_notice_due(&journal->drop_notice, NOTICE_S);
    pthread_mutex_unlock(&journal->lock);
    if (warn) {
        log_line(LOG_WARNING,
                 "journal: messages are not journalled, %s: their bounces have to be proven by tag "
                 "or header",
                 status == STATUS_REFUSED ? "since too many entries wait to be written"
                                          : "since there is no evidence secret");
    }
}

void journal_put(struct journal *journal, const struct ring *ring, const char *address,
                 const char *message_id, unsigned allowed, int64_t expires)
{
    const struct subject subject = {address, message_id, false};
    put(journal, ring, &subject, allowed, expires);
}

void journal_note_put(struct journal *journal, const struct ring *ring, const char *address,
                      const char *name, unsigned allowed, int64_t expires)
{
    const struct subject subject = {address, name, true};
    put(journal, ring, &subject, allowed, expires);
}

/* -------------------------------------------------------------- looking */

/* What the layers say of one key. */
struct sighting {
    struct journal_entry entry; /* its key is set from the beginning */
    unsigned secret;
    bool found;
    bool unsure; /* a layer has an entry that could not be checked */
};

/* Takes one more layer in. False: that is no entry of ours. */
static bool add_layer(struct sighting *sighting, const struct ring *ring,
                      const uint8_t value[static JOURNAL_VALUE])
{
    struct journal_entry layer = sighting->entry;
    enum status status = journal_entry_unpack(ring, sighting->secret, value, &layer);
    if (status == STATUS_OK) {
        raise_entry(&sighting->entry, &layer);
        sighting->found = true;
    } else if (status != STATUS_INVALID) {
        sighting->unsure = true;
    }
    return status != STATUS_INVALID;
}

/* The keys by all secrets that there are. A count, 0: nothing can be found, or *status tells. */
static size_t make_keys(const struct ring *ring, const struct subject *subject,
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
            records[i][t] = record != NULL ? *record : (struct journal_record){.used = false};
        }
    }
    pthread_mutex_unlock(&journal->lock);
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < 2; t++) {
            if (there[i][t]) {
                (void)add_layer(&sightings[i], ring, records[i][t].value);
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
        log_line(LOG_WARNING, "journal: ignored an entry that batvd did not make");
    }
}

/* False: what is not found may be there all the same. */
static bool look_db(struct journal *journal, const struct ring *ring, struct sighting sightings[],
                    size_t count, bool note)
{
    struct journal_lookup lookups[JOURNAL_SECRETS];
    struct reason why = {""};
    for (size_t i = 0; i < count; i++) {
        memcpy(lookups[i].key, sightings[i].entry.key, JOURNAL_KEY);
    }
    enum status status = journal_db_get(journal->db, lookups, count, note, &why);
    if (status != STATUS_OK) {
        (void)journal_failed(journal, status, &why);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < lookups[i].count; j++) {
            if (!add_layer(&sightings[i], ring, lookups[i].values[j])) {
                warn_forged(journal);
            }
        }
    }
    pthread_mutex_lock(&journal->lock);
    bool sure = journal->damage.text[0] == '\0' &&
                (journal->unsure_until == 0 || journal->unsure_until < journal_steady_s());
    pthread_mutex_unlock(&journal->lock);
    return sure;
}

/* Whether there is a database by configuration, which alone could say that nothing was sent. */
static bool is_readable_without(const struct journal *journal)
{
    return journal->folder == NULL || (journal->reader && journal->opened == STATUS_NOT_FOUND);
}

/* JOURNAL_NO, or *out and JOURNAL_YES or JOURNAL_EXHAUSTED, or JOURNAL_UNAVAILABLE. */
static enum journal_answer look(struct journal *journal, const struct ring *ring,
                                const struct subject *subject, time_t now, struct sighting *out)
{
    struct sighting sightings[JOURNAL_SECRETS];
    enum status status;
    *out = (struct sighting){.found = false};
    size_t count = make_keys(ring, subject, sightings, &status);
    if (count == 0) {
        return status == STATUS_OK ? JOURNAL_NO : JOURNAL_UNAVAILABLE;
    }
    look_pending(journal, ring, sightings, count);
    bool sure = journal->db != NULL ? look_db(journal, ring, sightings, count, subject->note)
                                    : is_readable_without(journal);
    for (size_t i = 0; i < count; i++) {
        if (sightings[i].found && sightings[i].entry.expires > day_of(now)) {
            *out = sightings[i];
            bool used_up = out->entry.used >= out->entry.allowed;
            return used_up ? JOURNAL_EXHAUSTED : JOURNAL_YES;
        }
        sure = sure && !sightings[i].unsure;
    }
    return sure ? JOURNAL_NO : JOURNAL_UNAVAILABLE;
}

static enum journal_answer look_entry(struct journal *journal, const struct ring *ring,
                                      const struct subject *subject, time_t now,
                                      struct journal_entry *entry)
{
    struct sighting sighting;
    enum journal_answer answer = look(journal, ring, subject, now, &sighting);
    if (sighting.found && entry != NULL) {
        *entry = sighting.entry;
    }
    return answer;
}

enum journal_answer journal_look(struct journal *journal, const struct ring *ring,
                                 const char *address, const char *message_id, time_t now,
                                 struct journal_entry *entry)
{
    const struct subject subject = {address, message_id, false};
    return look_entry(journal, ring, &subject, now, entry);
}

enum journal_answer journal_note_look(struct journal *journal, const struct ring *ring,
                                      const char *address, const char *name, time_t now,
                                      struct journal_entry *entry)
{
    const struct subject subject = {address, name, true};
    return look_entry(journal, ring, &subject, now, entry);
}

/* ------------------------------------------------------------- counting */

enum journal_answer journal_note_use(struct journal *journal, const struct ring *ring,
                                     const char *address, const char *name, unsigned allowed,
                                     int64_t expires, time_t now)
{
    const struct subject subject = {address, name, true};
    struct sighting sighting;
    pthread_mutex_lock(&journal->counting);
    enum journal_answer answer = look(journal, ring, &subject, now, &sighting);
    if (answer == JOURNAL_NO || (answer == JOURNAL_UNAVAILABLE && journal->db == NULL)) {
        sighting.entry = (struct journal_entry){.expires = expires, .allowed = allowed};
        sighting.secret = 0;
        answer = make_key(ring, 0, &subject, sighting.entry.key) == STATUS_OK ? JOURNAL_YES
                                                                              : JOURNAL_UNAVAILABLE;
    }
    if (answer == JOURNAL_YES) {
        /* Where there is no room the use is not counted: better one too many than a proof that is
         * rejected. */
        sighting.entry.used++;
        (void)store(journal, ring, sighting.secret, &sighting.entry);
    }
    pthread_mutex_unlock(&journal->counting);
    return answer;
}
