/*
 * Counting. The counters are atomics, touched by every message; the two lists are short, rarely
 * written, and behind one mutex. Both are bounded: domains come from the configuration, and of
 * clients that relay unsigned mail the first hundreds say enough.
 */
#include "io/tally.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RELAYED_MAX = 500, FIRST_MAX = 10000 };

struct tally {
    atomic_ullong kinds[DECISION_KIND_COUNT];
    atomic_ullong results[RESULT_COUNT];
    atomic_ullong actions[ACTION_COUNT];

    pthread_mutex_t lock;
    char **first; /* names of domains */
    size_t first_count;
    struct status_relayed *relayed;
    size_t relayed_count;
};

struct tally *tally_new(void)
{
    struct tally *tally = calloc(1, sizeof *tally);
    if (tally != NULL) {
        pthread_mutex_init(&tally->lock, NULL);
    }
    return tally;
}

void tally_free(struct tally *tally)
{
    if (tally == NULL) {
        return;
    }
    tally_forget_first_signed(tally);
    for (size_t i = 0; i < tally->relayed_count; i++) {
        free(tally->relayed[i].domain);
        free(tally->relayed[i].client);
    }
    free(tally->relayed);
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

static bool has_later(const struct tally *tally, const struct status_relayed *row)
{
    for (size_t i = 0; i < tally->relayed_count; i++) {
        const struct status_relayed *other = &tally->relayed[i];
        bool later = other->last > row->last || (other->last == row->last && other > row);
        if (later && strcmp(other->domain, row->domain) == 0) {
            return true;
        }
    }
    return false;
}

/* A place for another row. In a full table that of the row whose last message is the oldest, but
 * never a domain's latest row, by which `auto` is held back: so a table of more domains than
 * RELAYED_MAX grows. NULL: no memory. */
static struct status_relayed *place_relayed(struct tally *tally)
{
    struct status_relayed *oldest = NULL;
    for (size_t i = 0; tally->relayed_count >= RELAYED_MAX && i < tally->relayed_count; i++) {
        struct status_relayed *row = &tally->relayed[i];
        if ((oldest == NULL || row->last < oldest->last) && has_later(tally, row)) {
            oldest = row;
        }
    }
    if (oldest != NULL) {
        free(oldest->domain);
        free(oldest->client);
        return oldest;
    }
    struct status_relayed *grown =
        realloc(tally->relayed, (tally->relayed_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    tally->relayed = grown;
    return &grown[tally->relayed_count++];
}

/* With the lock held. NULL: no memory. */
static struct status_relayed *find_relayed(struct tally *tally, const char *domain,
                                           const char *client)
{
    for (size_t i = 0; i < tally->relayed_count; i++) {
        struct status_relayed *row = &tally->relayed[i];
        if (strcmp(row->domain, domain) == 0 && strcmp(row->client, client) == 0) {
            return row;
        }
    }
    struct status_relayed fresh = {.domain = strdup(domain), .client = strdup(client)};
    struct status_relayed *place =
        fresh.domain != NULL && fresh.client != NULL ? place_relayed(tally) : NULL;
    if (place == NULL) {
        free(fresh.domain);
        free(fresh.client);
        return NULL;
    }
    *place = fresh;
    return place;
}

void tally_relayed_add(struct tally *tally, const struct status_relayed *seen)
{
    pthread_mutex_lock(&tally->lock);
    struct status_relayed *row = find_relayed(tally, seen->domain, seen->client);
    if (row != NULL) {
        row->count += seen->count;
        row->last = seen->last > row->last ? seen->last : row->last;
    }
    pthread_mutex_unlock(&tally->lock);
}

static void add_relayed(struct tally *tally, const struct decision *decision)
{
    const char *client = decision->client->address != NULL ? decision->client->address : "local";
    pthread_mutex_lock(&tally->lock);
    struct status_relayed *row = find_relayed(tally, decision->rules->name, client);
    if (row != NULL) {
        row->count++;
        row->last = time(NULL);
    }
    pthread_mutex_unlock(&tally->lock);
}

time_t tally_relayed(struct tally *tally, const char *domain)
{
    time_t last = 0;
    pthread_mutex_lock(&tally->lock);
    for (size_t i = 0; i < tally->relayed_count; i++) {
        const struct status_relayed *row = &tally->relayed[i];
        if (row->last > last && strcmp(row->domain, domain) == 0) {
            last = row->last;
        }
    }
    pthread_mutex_unlock(&tally->lock);
    return last;
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

bool tally_report(struct tally *tally, struct status_report *report)
{
    bool done = report_counters(tally, report);
    pthread_mutex_lock(&tally->lock);
    report->relayed = calloc(tally->relayed_count + 1, sizeof *report->relayed);
    done = done && report->relayed != NULL;
    for (size_t i = 0; done && i < tally->relayed_count; i++) {
        const struct status_relayed *row = &tally->relayed[i];
        struct status_relayed *copy = &report->relayed[report->relayed_count++];
        *copy = (struct status_relayed){strdup(row->domain), strdup(row->client), row->count,
                                        row->last};
        done = copy->domain != NULL && copy->client != NULL;
    }
    pthread_mutex_unlock(&tally->lock);
    return done;
}
