/*
 * Counting. The counters are atomics, touched by every message; the list of domains and the two
 * tables of clients are seldom written, and behind one mutex. All are bounded: domains come from
 * the configuration, and of clients the latest hundreds say enough. A table is sorted, because it
 * has a row for each domain at least, and a site may have very many. What is handed out is a copy;
 * nothing leads back into the tally.
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
    struct row *rows; /* by domain, then client */
    size_t count;
    size_t domains; /* how many have rows */
    size_t max;
    uint64_t touches;
};

struct tally {
    atomic_ullong kinds[DECISION_KIND_COUNT];
    atomic_ullong results[RESULT_COUNT];
    atomic_ullong actions[ACTION_COUNT];
    atomic_ullong unanswered;

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
    table->count = table->domains = 0;
}

static bool is_later(const struct row *a, const struct row *b)
{
    return a->last > b->last || (a->last == b->last && a->touch > b->touch);
}

static size_t domain_end(const struct table *table, size_t start)
{
    size_t end = start + 1;
    while (end < table->count && strcmp(table->rows[end].domain, table->rows[start].domain) == 0) {
        end++;
    }
    return end;
}

/* Which of the rows of one domain is the latest. */
static size_t latest_row(const struct table *table, size_t start, size_t end)
{
    size_t latest = start;
    for (size_t i = start + 1; i < end; i++) {
        latest = is_later(&table->rows[i], &table->rows[latest]) ? i : latest;
    }
    return latest;
}

/* The row whose last message is the oldest, but never a domain's latest row, by which `auto` is
 * held back; count: there is none. So a table of more domains than max grows. */
static size_t oldest_row(const struct table *table)
{
    size_t oldest = table->count;
    size_t end;
    for (size_t start = 0; start < table->count; start = end) {
        end = domain_end(table, start);
        size_t latest = latest_row(table, start, end);
        for (size_t i = start; i < end; i++) {
            const struct row *row = &table->rows[i];
            if (i != latest && (oldest == table->count || is_later(&table->rows[oldest], row))) {
                oldest = i;
            }
        }
    }
    return oldest;
}

/* Where the row of these two is, or would have to be. */
static size_t table_position(const struct table *table, const char *domain, const char *client,
                             bool *found)
{
    size_t low = 0;
    size_t high = table->count;
    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        const struct row *row = &table->rows[middle];
        int order = strcmp(row->domain, domain);
        order = order != 0 ? order : strcmp(row->client, client);
        *found = order == 0;
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return high;
}

static bool is_of_domain(const struct table *table, size_t position, const char *domain)
{
    return position < table->count && strcmp(table->rows[position].domain, domain) == 0;
}

static void table_remove(struct table *table, size_t position)
{
    struct row *row = &table->rows[position];
    free(row->domain);
    free(row->client);
    table->count--;
    memmove(row, row + 1, (table->count - position) * sizeof *row);
}

/* Takes fresh over, in place of the oldest where the table is full. NULL: no memory. */
static struct row *table_insert(struct table *table, struct row fresh)
{
    bool found;
    size_t count = table->count;
    struct row *grown = table->rows;
    /* Doubled at each power of two, so that its room need not be kept. */
    if ((count & (count - 1)) == 0) {
        grown = reallocarray(table->rows, count == 0 ? 1 : 2 * count, sizeof *grown);
        table->rows = grown != NULL ? grown : table->rows;
    }
    if (grown == NULL || fresh.domain == NULL || fresh.client == NULL) {
        free(fresh.domain);
        free(fresh.client);
        return NULL;
    }
    bool full = table->count >= table->max && table->count > table->domains;
    size_t oldest = full ? oldest_row(table) : table->count;
    if (oldest < table->count) {
        table_remove(table, oldest);
    }
    size_t position = table_position(table, fresh.domain, fresh.client, &found);
    table->domains += !is_of_domain(table, position, fresh.domain) &&
                      (position == 0 || !is_of_domain(table, position - 1, fresh.domain));
    struct row *row = &grown[position];
    memmove(row + 1, row, (size_t)(grown + table->count - row) * sizeof *row);
    *row = fresh;
    table->count++;
    return row;
}

/* The row of these two, a new one where there is none. NULL: no memory. */
static struct row *table_touch(struct table *table, const char *domain, const char *client)
{
    bool found;
    size_t position = table_position(table, domain, client, &found);
    table->touches++;
    if (found) {
        table->rows[position].touch = table->touches;
        return &table->rows[position];
    }
    return table_insert(
        table,
        (struct row){.domain = strdup(domain), .client = strdup(client), .touch = table->touches});
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

void tally_relayed(struct tally *tally,
                   void (*visit)(void *context, const char *domain, time_t last), void *context)
{
    pthread_mutex_lock(&tally->lock);
    const struct table *table = &tally->relayed;
    size_t end;
    for (size_t start = 0; start < table->count; start = end) {
        end = domain_end(table, start);
        const struct row *row = &table->rows[latest_row(table, start, end)];
        visit(context, row->domain, row->last);
    }
    pthread_mutex_unlock(&tally->lock);
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
        if (decision->unanswered) {
            count_up(&tally->unanswered);
        }
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
        calloc(DECISION_KIND_COUNT + 1 + RESULT_COUNT + ACTION_COUNT, sizeof *report->counters);
    bool done = report->counters != NULL;
    for (int i = 0; done && i < DECISION_KIND_COUNT; i++) {
        done = report_counter(report, "", kinds[i], &tally->kinds[i]);
    }
    done = done && report_counter(report, "", "dns-unanswered", &tally->unanswered);
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
