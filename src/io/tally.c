/*
 * Counting. The counters are atomics, touched by every message; the list of domains and the two
 * tables of clients are short, seldom written, and behind one mutex. All are bounded: domains come
 * from the configuration, and of clients the latest hundreds say enough. What is handed out is a
 * copy; nothing leads back into the tally.
 */
#include "io/tally.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RELAYED_MAX = 500, FORGED_MAX = 100, FIRST_MAX = 10000 };

/* What a client did in a domain's name. Its own strings. */
struct row {
    char *domain;
    char *client;
    uint64_t count;
    time_t last;
    uint64_t touch; /* grows: which of two within a second was the later */
};

struct table {
    struct row *rows;
    size_t count;
    size_t max;
    uint64_t touches;
};

struct tally {
    atomic_ullong kinds[DECISION_KIND_COUNT];
    atomic_ullong results[RESULT_COUNT];
    atomic_ullong actions[ACTION_COUNT];

    pthread_mutex_t lock;
    char **first; /* names of domains */
    size_t first_count;
    struct table relayed;
    struct table forged;
};

/* ----------------------------------------------------------------- tables */

static void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].domain);
        free(table->rows[i].client);
    }
    free(table->rows);
    table->rows = NULL;
    table->count = 0;
}

static bool is_later(const struct row *a, const struct row *b)
{
    return a->last > b->last || (a->last == b->last && a->touch > b->touch);
}

static bool has_later(const struct table *table, const struct row *row)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct row *other = &table->rows[i];
        if (is_later(other, row) && strcmp(other->domain, row->domain) == 0) {
            return true;
        }
    }
    return false;
}

/* A place for another row. In a full table that of the row whose last message is the oldest, but
 * never a domain's latest row, by which `auto` is held back: so a table of more domains than max
 * grows. NULL: no memory. */
static struct row *table_place(struct table *table)
{
    struct row *oldest = NULL;
    for (size_t i = 0; table->count >= table->max && i < table->count; i++) {
        struct row *row = &table->rows[i];
        if ((oldest == NULL || is_later(oldest, row)) && has_later(table, row)) {
            oldest = row;
        }
    }
    if (oldest != NULL) {
        free(oldest->domain);
        free(oldest->client);
        return oldest;
    }
    struct row *grown = realloc(table->rows, (table->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    table->rows = grown;
    return &grown[table->count++];
}

/* The row of these two, a new one where there is none. NULL: no memory. */
static struct row *table_touch(struct table *table, const char *domain, const char *client)
{
    table->touches++;
    for (size_t i = 0; i < table->count; i++) {
        struct row *row = &table->rows[i];
        if (strcmp(row->client, client) == 0 && strcmp(row->domain, domain) == 0) {
            row->touch = table->touches;
            return row;
        }
    }
    struct row fresh = {
        .domain = strdup(domain), .client = strdup(client), .touch = table->touches};
    struct row *place = fresh.domain != NULL && fresh.client != NULL ? table_place(table) : NULL;
    if (place == NULL) {
        free(fresh.domain);
        free(fresh.client);
        return NULL;
    }
    *place = fresh;
    return place;
}

/* One more, now. */
static void table_count(struct tally *tally, struct table *table, const char *domain,
                        const char *client)
{
    pthread_mutex_lock(&tally->lock);
    struct row *row = table_touch(table, domain, client);
    if (row != NULL) {
        row->count++;
        row->last = time(NULL);
    }
    pthread_mutex_unlock(&tally->lock);
}

/* ------------------------------------------------------------- life cycle */

struct tally *tally_new(void)
{
    struct tally *tally = calloc(1, sizeof *tally);
    if (tally != NULL) {
        pthread_mutex_init(&tally->lock, NULL);
        tally->relayed.max = RELAYED_MAX;
        tally->forged.max = FORGED_MAX;
    }
    return tally;
}

void tally_free(struct tally *tally)
{
    if (tally == NULL) {
        return;
    }
    tally_forget_first_signed(tally);
    table_clear(&tally->relayed);
    table_clear(&tally->forged);
    pthread_mutex_destroy(&tally->lock);
    free(tally);
}

static void count_up(atomic_ullong *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------ first signed */

/* What cannot be kept now, for want of memory, the domain's next message brings again. */
static void add_first(struct tally *tally, const char *domain)
{
    pthread_mutex_lock(&tally->lock);
    bool known = tally->first_count >= FIRST_MAX;
    for (size_t i = 0; !known && i < tally->first_count; i++) {
        known = strcmp(tally->first[i], domain) == 0;
    }
    char *name = known ? NULL : strdup(domain);
    char **grown =
        name == NULL ? NULL : realloc(tally->first, (tally->first_count + 1) * sizeof *grown);
    if (grown != NULL) {
        tally->first = grown;
        tally->first[tally->first_count++] = name;
    } else {
        free(name);
    }
    pthread_mutex_unlock(&tally->lock);
}

void tally_first_signed(struct tally *tally, void (*visit)(void *context, const char *domain),
                        void *context)
{
    pthread_mutex_lock(&tally->lock);
    for (size_t i = 0; i < tally->first_count; i++) {
        visit(context, tally->first[i]);
    }
    pthread_mutex_unlock(&tally->lock);
}

bool tally_has_first_signed(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    bool any = tally->first_count > 0;
    pthread_mutex_unlock(&tally->lock);
    return any;
}

void tally_forget_first_signed(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    for (size_t i = 0; i < tally->first_count; i++) {
        free(tally->first[i]);
    }
    free(tally->first);
    tally->first = NULL;
    tally->first_count = 0;
    pthread_mutex_unlock(&tally->lock);
}

/* ---------------------------------------------------------------- relayed */

void tally_relayed_add(struct tally *tally, const struct status_relayed *seen)
{
    pthread_mutex_lock(&tally->lock);
    struct row *row = table_touch(&tally->relayed, seen->domain, seen->client);
    if (row != NULL) {
        row->count += seen->count;
        row->last = seen->last > row->last ? seen->last : row->last;
    }
    pthread_mutex_unlock(&tally->lock);
}

static void add_relayed(struct tally *tally, const struct decision *decision)
{
    const char *address = decision->client->address;
    table_count(tally, &tally->relayed, decision->rules->name, address != NULL ? address : "local");
}

time_t tally_relayed(struct tally *tally, const char *domain)
{
    time_t last = 0;
    pthread_mutex_lock(&tally->lock);
    for (size_t i = 0; i < tally->relayed.count; i++) {
        const struct row *row = &tally->relayed.rows[i];
        if (row->last > last && strcmp(row->domain, domain) == 0) {
            last = row->last;
        }
    }
    pthread_mutex_unlock(&tally->lock);
    return last;
}

/* ----------------------------------------------------------------- forged */

/* A tag in the form of ours that none of our keys made: somebody guesses, or holds one by a key
 * that is gone. Which domain it was tried on does not matter, so all rows have the same. */
static void add_forged(struct tally *tally, const struct decision *decision)
{
    const struct client *client = decision->client;
    bool forged =
        decision->result == RESULT_BAD_SIGNATURE || decision->result == RESULT_UNKNOWN_KEY;
    if (forged && !client->local && client->address != NULL) {
        table_count(tally, &tally->forged, "", client->address);
    }
}

/* --------------------------------------------------------------- the sink */

void tally_decision(void *self, const struct decision *decision)
{
    struct tally *tally = self;
    if (!decision->debug) {
        count_up(&tally->kinds[decision->kind]);
    }
    switch (decision->kind) {
    case DECISION_VERIFY:
        count_up(&tally->results[decision->result]);
        if (!decision->debug) {
            count_up(&tally->actions[decision->verdict.action]);
        }
        add_forged(tally, decision);
        break;
    case DECISION_SIGN:
        if (decision->first_signed) {
            add_first(tally, decision->rules->name);
        }
        break;
    case DECISION_RELAYED_UNSIGNED:
        add_relayed(tally, decision);
        break;
    case DECISION_SIGN_SKIP:
    case DECISION_KIND_COUNT:
        break;
    }
}

static bool report_counter(struct status_report *report, const char *prefix, const char *name,
                           atomic_ullong *value)
{
    char text[64];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    struct status_counter *counter = &report->counters[report->counter_count];
    counter->name = strdup(text);
    counter->value = atomic_load_explicit(value, memory_order_relaxed);
    report->counter_count += counter->name != NULL;
    return counter->name != NULL;
}

static bool report_counters(struct tally *tally, struct status_report *report)
{
    static const char *const kinds[DECISION_KIND_COUNT] = {
        [DECISION_SIGN] = "signed",
        [DECISION_SIGN_SKIP] = "sign-skip",
        [DECISION_VERIFY] = "verified",
        [DECISION_RELAYED_UNSIGNED] = "relayed-unsigned",
    };
    report->counters =
        calloc(DECISION_KIND_COUNT + RESULT_COUNT + ACTION_COUNT, sizeof *report->counters);
    bool done = report->counters != NULL;
    for (int i = 0; done && i < DECISION_KIND_COUNT; i++) {
        done = report_counter(report, "", kinds[i], &tally->kinds[i]);
    }
    for (int i = 0; done && i < RESULT_COUNT; i++) {
        done = report_counter(report, "result.", result_name((enum result)i), &tally->results[i]);
    }
    for (int i = 0; done && i < ACTION_COUNT; i++) {
        done = report_counter(report, "action.", action_name((enum action)i), &tally->actions[i]);
    }
    return done;
}

/* With the lock held, as is the next. */
static bool report_relayed(const struct table *table, struct status_report *report)
{
    report->relayed = calloc(table->count + 1, sizeof *report->relayed);
    bool done = report->relayed != NULL;
    for (size_t i = 0; done && i < table->count; i++) {
        const struct row *row = &table->rows[i];
        struct status_relayed *copy = &report->relayed[report->relayed_count++];
        *copy = (struct status_relayed){strdup(row->domain), strdup(row->client), row->count,
                                        row->last};
        done = copy->domain != NULL && copy->client != NULL;
    }
    return done;
}

static bool report_forged(const struct table *table, struct status_report *report)
{
    report->forged = calloc(table->count + 1, sizeof *report->forged);
    bool done = report->forged != NULL;
    for (size_t i = 0; done && i < table->count; i++) {
        const struct row *row = &table->rows[i];
        struct status_forged *copy = &report->forged[report->forged_count++];
        *copy = (struct status_forged){strdup(row->client), row->count, row->last};
        done = copy->client != NULL;
    }
    return done;
}

bool tally_report(struct tally *tally, struct status_report *report)
{
    bool done = report_counters(tally, report);
    pthread_mutex_lock(&tally->lock);
    done = done && report_relayed(&tally->relayed, report) && report_forged(&tally->forged, report);
    pthread_mutex_unlock(&tally->lock);
    return done;
}
