/*
 * Counting. The counters are atomics, touched by every message; the tables are seldom written, and
 * behind one mutex. All are bounded: domains of ours come from the configuration; of clients that
 * relay or forge the latest hundreds say enough; and a table of names that is full stays as it is:
 * `auto` then holds no domain to be another host's, and does not reject what a further relay hands
 * in. A table is sorted, because it may have a row for each domain, of which a site may have very
 * many. The tally hands out copies; nothing leads back into it.
 */
#include "daemon/tally.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RELAYED_MAX = 500,
    RECIPIENTS_MAX = 8, /* rows for one domain and client */
    FORGED_MAX = 100,
    FIRST_MAX = 10000
};

/* What was seen of a client, in a domain's name, or of a name alone. A table has "" for what it
 * does not distinguish. */
struct row {
    char *domain; /* owns all three */
    char *client;
    char *name; /* the recipient's domain, or the only thing that the table distinguishes */
    uint64_t count;
    time_t last;
    time_t held;    /* the last time that `auto` did not reject yet; 0: never */
    uint64_t touch; /* grows: which of two within a second was the later */
};

struct table {
    struct row *rows; /* by domain, then client, then name */
    size_t count;
    size_t domains; /* how many have rows */
    size_t max;
    uint64_t touches;
};

struct tally {
    atomic_ullong kinds[DECISION_KIND_COUNT];
    atomic_ullong results[RESULT_COUNT];
    atomic_ullong actions[ACTION_COUNT];
    atomic_ullong proofs[PROOF_NAMES_MAX]; /* as proof_name numbers them */
    atomic_ullong unanswered;

    pthread_mutex_t lock;
    uint64_t would_reject; /* over restarts, as is since when it is counted */
    time_t would_reject_since, would_reject_last;
    uint64_t observations;
    struct table relayed;
    struct table forged; /* by client */
    /* These by name alone: a full one takes nothing more up. */
    struct table first;      /* domains that signed */
    struct table first_tags; /* domains to which a valid tag came back */
    struct table hosted;
    struct table relays; /* addresses */
};

/* ----------------------------------------------------------------- tables */

static void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].domain);
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

/* Where the row of these three is, or would have to be. */
static size_t table_position(const struct table *table, const char *domain, const char *client,
                             const char *name, bool *found)
{
    size_t low = 0;
    size_t high = table->count;
    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        const struct row *row = &table->rows[middle];
        int order = strcmp(row->domain, domain);
        order = order != 0 ? order : strcmp(row->client, client);
        order = order != 0 ? order : strcmp(row->name, name);
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
    table->count--;
    memmove(row, row + 1, (table->count - position) * sizeof *row);
}

/* Takes a row out that may be its domain's only one. */
static void table_drop(struct table *table, size_t position)
{
    const char *domain = table->rows[position].domain;
    bool only = (position == 0 || !is_of_domain(table, position - 1, domain)) &&
                !is_of_domain(table, position + 1, domain);
    table_remove(table, position);
    table->domains -= only;
}

/* The row's three strings, one behind the other. False: no memory. */
static bool row_name(struct row *row, const char *domain, const char *client, const char *name)
{
    size_t domain_size = strlen(domain) + 1;
    size_t client_size = strlen(client) + 1;
    size_t name_size = strlen(name) + 1;
    row->domain = malloc(domain_size + client_size + name_size);
    if (row->domain == NULL) {
        return false;
    }
    row->client = memcpy(row->domain, domain, domain_size);
    row->client += domain_size;
    row->name = memcpy(row->client, client, client_size);
    row->name += client_size;
    memcpy(row->name, name, name_size);
    return true;
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
    if (grown == NULL) {
        free(fresh.domain);
        return NULL;
    }
    bool full = table->count >= table->max && table->count > table->domains;
    size_t oldest = full ? oldest_row(table) : table->count;
    if (oldest < table->count) {
        table_remove(table, oldest);
    }
    size_t position = table_position(table, fresh.domain, fresh.client, fresh.name, &found);
    table->domains += !is_of_domain(table, position, fresh.domain) &&
                      (position == 0 || !is_of_domain(table, position - 1, fresh.domain));
    struct row *row = &grown[position];
    memmove(row + 1, row, (size_t)(grown + table->count - row) * sizeof *row);
    *row = fresh;
    table->count++;
    return row;
}

/* The row of these three, a new one where there is none. NULL: no memory. */
static struct row *table_touch(struct table *table, const char *domain, const char *client,
                               const char *name)
{
    bool found;
    size_t position = table_position(table, domain, client, name, &found);
    table->touches++;
    if (found) {
        table->rows[position].touch = table->touches;
        return &table->rows[position];
    }
    struct row fresh = {.touch = table->touches};
    return row_name(&fresh, domain, client, name) ? table_insert(table, fresh) : NULL;
}

static bool table_has(const struct table *table, const char *name)
{
    bool found;
    table_position(table, "", "", name, &found);
    return found;
}

/* True: the name is new. A full table takes nothing more up. */
static bool table_note(struct table *table, const char *name)
{
    return !table_has(table, name) && table->count < table->max &&
           table_touch(table, "", "", name) != NULL;
}

/* ------------------------------------------------------------- life cycle */

struct tally *tally_new(void)
{
    struct tally *tally = calloc(1, sizeof *tally);
    if (tally != NULL) {
        pthread_mutex_init(&tally->lock, NULL);
        tally->relayed.max = RELAYED_MAX;
        tally->forged.max = FORGED_MAX;
        tally->hosted.max = TALLY_HOSTED_MAX;
        tally->relays.max = TALLY_RELAYS_MAX;
        tally->first.max = tally->first_tags.max = FIRST_MAX;
        tally->would_reject_since = time(NULL);
    }
    return tally;
}

void tally_free(struct tally *tally)
{
    if (tally == NULL) {
        return;
    }
    tally_forget_first(tally);
    table_clear(&tally->relayed);
    table_clear(&tally->forged);
    table_clear(&tally->hosted);
    table_clear(&tally->relays);
    pthread_mutex_destroy(&tally->lock);
    free(tally);
}

static void count_up(atomic_ullong *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------ first signed */

/* If memory runs out, the domain's next message brings it again. */
static void add_first(struct tally *tally, struct table *first, const char *domain)
{
    pthread_mutex_lock(&tally->lock);
    (void)table_note(first, domain);
    pthread_mutex_unlock(&tally->lock);
}

static void visit_first(struct tally *tally, const struct table *first,
                        void (*visit)(void *context, const char *domain), void *context)
{
    pthread_mutex_lock(&tally->lock);
    for (size_t i = 0; i < first->count; i++) {
        visit(context, first->rows[i].name);
    }
    pthread_mutex_unlock(&tally->lock);
}

void tally_first_signed(struct tally *tally, void (*visit)(void *context, const char *domain),
                        void *context)
{
    visit_first(tally, &tally->first, visit, context);
}

void tally_first_tags(struct tally *tally, void (*visit)(void *context, const char *domain),
                      void *context)
{
    visit_first(tally, &tally->first_tags, visit, context);
}

bool tally_has_first(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    bool any = tally->first.count > 0 || tally->first_tags.count > 0;
    pthread_mutex_unlock(&tally->lock);
    return any;
}

void tally_forget_first(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    table_clear(&tally->first);
    table_clear(&tally->first_tags);
    pthread_mutex_unlock(&tally->lock);
}

/* ------------------------------------------------------- hosted and relays */

/* With the lock held: mail that we took for another host's goes to a domain which the MTA takes
 * mail of strangers for, who can then have sent it. */
static void take_back(struct table *relayed, const char *to)
{
    for (size_t i = relayed->count; i > 0; i--) {
        if (strcmp(relayed->rows[i - 1].name, to) == 0) {
            table_drop(relayed, i - 1);
        }
    }
}

static void add_hosted(struct tally *tally, const char *domain)
{
    pthread_mutex_lock(&tally->lock);
    if (!table_has(&tally->hosted, domain)) {
        tally->observations += table_note(&tally->hosted, domain);
        take_back(&tally->relayed, domain);
    }
    pthread_mutex_unlock(&tally->lock);
}

static void add_relay(struct tally *tally, const struct client *client)
{
    if (client->address != NULL) {
        pthread_mutex_lock(&tally->lock);
        tally->observations += table_note(&tally->relays, client->address);
        pthread_mutex_unlock(&tally->lock);
    }
}

static enum status copy_names(struct tally *tally, const struct table *table, char ***names,
                              size_t *count)
{
    pthread_mutex_lock(&tally->lock);
    char **copy = calloc(table->count + 1, sizeof *copy);
    bool done = copy != NULL;
    *count = 0;
    for (size_t i = 0; done && i < table->count; i++) {
        copy[i] = strdup(table->rows[i].name);
        done = copy[i] != NULL;
        *count += done;
    }
    pthread_mutex_unlock(&tally->lock);
    *names = copy;
    return done ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status tally_hosted(struct tally *tally, char ***names, size_t *count)
{
    return copy_names(tally, &tally->hosted, names, count);
}

enum status tally_relays(struct tally *tally, char ***names, size_t *count)
{
    return copy_names(tally, &tally->relays, names, count);
}

uint64_t tally_observations(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    uint64_t observations = tally->observations;
    pthread_mutex_unlock(&tally->lock);
    return observations;
}

void tally_forget_relays(struct tally *tally, bool (*keep)(void *context, const char *client),
                         void *context)
{
    pthread_mutex_lock(&tally->lock);
    for (size_t i = tally->relays.count; i > 0; i--) {
        if (!keep(context, tally->relays.rows[i - 1].name)) {
            table_drop(&tally->relays, i - 1);
            tally->observations++;
        }
    }
    pthread_mutex_unlock(&tally->lock);
}

/* ---------------------------------------------------------------- relayed */

/* Makes room among the rows of one domain and client, so that one who writes to many leaves room
 * for others. Returns the count of the row that went. */
static uint64_t make_room(struct table *table, const char *domain, const char *client)
{
    bool found;
    size_t start = table_position(table, domain, client, "", &found);
    size_t oldest = start;
    size_t end = start;
    for (; end < table->count && strcmp(table->rows[end].domain, domain) == 0 &&
           strcmp(table->rows[end].client, client) == 0;
         end++) {
        oldest = is_later(&table->rows[oldest], &table->rows[end]) ? end : oldest;
    }
    if (end - start < RECIPIENTS_MAX) {
        return 0;
    }
    uint64_t count = table->rows[oldest].count;
    table_drop(table, oldest);
    return count;
}

/* With the lock held. */
static struct row *touch_relayed(struct table *table, const char *domain, const char *client,
                                 const char *to)
{
    bool found;
    uint64_t count = 0;
    table_position(table, domain, client, to, &found);
    if (!found) {
        count = make_room(table, domain, client);
    }
    struct row *row = table_touch(table, domain, client, to);
    if (row != NULL) {
        row->count += count;
    }
    return row;
}

static void add_relayed(struct tally *tally, const struct decision *d)
{
    const char *address = d->client->address != NULL ? d->client->address : "local";
    pthread_mutex_lock(&tally->lock);
    bool hosted =
        tally->hosted.count >= tally->hosted.max || table_has(&tally->hosted, d->elsewhere);
    struct row *row =
        hosted ? NULL : touch_relayed(&tally->relayed, d->domain->name, address, d->elsewhere);
    if (row != NULL) {
        row->count++;
        row->last = time(NULL);
        row->held = d->holds ? row->last : row->held;
    }
    pthread_mutex_unlock(&tally->lock);
}

void tally_relayed(struct tally *tally,
                   void (*visit)(void *context, const char *domain, time_t last), void *context)
{
    pthread_mutex_lock(&tally->lock);
    const struct table *table = &tally->relayed;
    size_t end;
    for (size_t start = 0; start < table->count; start = end) {
        time_t held = 0;
        end = domain_end(table, start);
        for (size_t i = start; i < end; i++) {
            held = table->rows[i].held > held ? table->rows[i].held : held;
        }
        visit(context, table->rows[start].domain, held);
    }
    pthread_mutex_unlock(&tally->lock);
}

static void restore_relayed(struct table *table, const struct status_row *seen)
{
    struct row *row = touch_relayed(table, seen->domain, seen->client, seen->name);
    if (row != NULL) {
        row->count += seen->count;
        row->last = seen->last > row->last ? seen->last : row->last;
        row->held = seen->held > row->held ? seen->held : row->held;
    }
}

void tally_restore(struct tally *tally, const struct status_report *seen)
{
    struct ip ip;
    pthread_mutex_lock(&tally->lock);
    if (seen->would_reject_since != 0) {
        tally->would_reject += seen->would_reject;
        tally->would_reject_since = seen->would_reject_since;
        tally->would_reject_last = seen->would_reject_last;
    }
    for (size_t i = 0; i < seen->relayed.count; i++) {
        restore_relayed(&tally->relayed, &seen->relayed.rows[i]);
    }
    for (size_t i = 0; i < seen->hosted.count; i++) {
        tally->observations += table_note(&tally->hosted, seen->hosted.rows[i].name);
    }
    for (size_t i = 0; i < seen->relays.count; i++) {
        if (ip_parse(seen->relays.rows[i].name, &ip)) {
            tally->observations += table_note(&tally->relays, seen->relays.rows[i].name);
        }
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
        pthread_mutex_lock(&tally->lock);
        struct row *row = table_touch(&tally->forged, "", client->address, "");
        if (row != NULL) {
            row->count++;
            row->last = time(NULL);
        }
        pthread_mutex_unlock(&tally->lock);
    }
}

/* --------------------------------------------------------------- the sink */

static void observe_verified(struct tally *tally, const struct decision *decision)
{
    if (decision->first_tag) {
        add_first(tally, &tally->first_tags, decision->domain->name);
    }
    if (decision->proves_relay) {
        add_relay(tally, decision->client);
    }
    if (decision->hosted != NULL) {
        add_hosted(tally, decision->hosted);
    }
}

/* A bounce that was judged by its content, and whether it was only logged. */
static void add_bounce(struct tally *tally, const struct verdict *verdict)
{
    for (size_t i = 0; verdict->proof != NULL && proof_name(i) != NULL; i++) {
        if (strcmp(verdict->proof, proof_name(i)) == 0) {
            count_up(&tally->proofs[i]);
        }
    }
    if (verdict->action == ACTION_LOG &&
        (verdict->would == ACTION_REJECT || verdict->would == ACTION_DISCARD)) {
        pthread_mutex_lock(&tally->lock);
        tally->would_reject++;
        tally->would_reject_last = time(NULL);
        pthread_mutex_unlock(&tally->lock);
    }
}

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
        if (decision->bounce) {
            add_bounce(tally, &decision->verdict);
        }
        add_forged(tally, decision);
        observe_verified(tally, decision);
        break;
    case DECISION_SIGN:
        if (decision->unanswered) {
            count_up(&tally->unanswered);
        }
        if (decision->first_signed) {
            add_first(tally, &tally->first, decision->domain->name);
        }
        break;
    case DECISION_RELAYED_UNSIGNED:
        add_relayed(tally, decision);
        break;
    case DECISION_SIGN_SKIP:
    case DECISION_MESSAGE_ID:
    case DECISION_KIND_COUNT:
        break;
    }
}

static void report_counter(struct status_report *report, const char *prefix, const char *name,
                           const atomic_ullong *value)
{
    char text[64];
    snprintf(text, sizeof text, "%s%s", prefix, name);
    status_add(report, &report->counters,
               &(struct status_row){.name = text,
                                    .count = atomic_load_explicit(value, memory_order_relaxed)});
}

static void report_counters(const struct tally *tally, struct status_report *report)
{
    static const char *const kinds[DECISION_KIND_COUNT] = {
        [DECISION_SIGN] = "signed",           [DECISION_SIGN_SKIP] = "sign-skip",
        [DECISION_VERIFY] = "verified",       [DECISION_RELAYED_UNSIGNED] = "relayed-unsigned",
        [DECISION_MESSAGE_ID] = "message-id",
    };
    for (int i = 0; i < DECISION_KIND_COUNT; i++) {
        report_counter(report, "", kinds[i], &tally->kinds[i]);
    }
    report_counter(report, "", "dns-unanswered", &tally->unanswered);
    for (int i = 0; i < RESULT_COUNT; i++) {
        report_counter(report, "result.", result_name((enum result)i), &tally->results[i]);
    }
    for (int i = 0; i < ACTION_COUNT; i++) {
        report_counter(report, "action.", action_name((enum action)i), &tally->actions[i]);
    }
    for (size_t i = 0; proof_name(i) != NULL; i++) {
        report_counter(report, "proof.", proof_name(i), &tally->proofs[i]);
    }
}

/* With the lock held. */
static void report_table(struct status_report *report, struct status_rows *rows,
                         const struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        status_add(report, rows,
                   &(struct status_row){.domain = row->domain,
                                        .client = row->client,
                                        .name = row->name,
                                        .count = row->count,
                                        .last = row->last,
                                        .held = row->held});
    }
}

void tally_report(struct tally *tally, struct status_report *report)
{
    report_counters(tally, report);
    pthread_mutex_lock(&tally->lock);
    report->would_reject = tally->would_reject;
    report->would_reject_since = tally->would_reject_since;
    report->would_reject_last = tally->would_reject_last;
    report_table(report, &report->relayed, &tally->relayed);
    report_table(report, &report->forged, &tally->forged);
    report_table(report, &report->hosted, &tally->hosted);
    report_table(report, &report->relays, &tally->relays);
    pthread_mutex_unlock(&tally->lock);
}
