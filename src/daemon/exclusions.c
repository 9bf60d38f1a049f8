/*
 * A count a rule, touched without a lock. Where bounces come from is kept as two lengths, of the
 * run of latest bounces that all came from mail_servers, and of that from one address: no list of
 * clients, whoever they are. Neither local processes nor authenticated clients end a run.
 */
#include "daemon/exclusions.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/policy.h"

enum { RULES_MAX = 48 };

struct exclusions {
    atomic_ullong judged;
    atomic_ullong accepted[RULES_MAX]; /* by the place in the table of rules */

    pthread_mutex_t lock;
    uint64_t from_servers; /* the run's length */
    uint64_t from_one;
    char address[INET6_ADDRSTRLEN]; /* of the latest bounce */
};

struct exclusions *exclusions_new(void)
{
    struct exclusions *x = calloc(1, sizeof *x);
    if (x != NULL) {
        pthread_mutex_init(&x->lock, NULL);
    }
    return x;
}

void exclusions_free(struct exclusions *x)
{
    if (x != NULL) {
        pthread_mutex_destroy(&x->lock);
        free(x);
    }
}

static bool is_exclusion(const char *rule)
{
    return strncmp(rule, "exclude", strlen("exclude")) == 0 || strcmp(rule, "local") == 0;
}

/* Only what an exclusion accepts. */
static void count_rule(struct exclusions *x, const char *rule)
{
    for (size_t i = 0; i < RULES_MAX && policy_rule(i) != NULL; i++) {
        if (strcmp(policy_rule(i), rule) == 0) {
            atomic_fetch_add_explicit(&x->accepted[i], 1, memory_order_relaxed);
            return;
        }
    }
}

static void note_origin(struct exclusions *x, const char *address, bool mail_server)
{
    pthread_mutex_lock(&x->lock);
    x->from_servers = mail_server ? x->from_servers + 1 : 0;
    x->from_one = strcmp(address, x->address) == 0 ? x->from_one + 1 : 1;
    snprintf(x->address, sizeof x->address, "%s", address);
    pthread_mutex_unlock(&x->lock);
}

void exclusions_decision(void *self, const struct decision *d)
{
    struct exclusions *x = self;
    if (d->kind != DECISION_VERIFY || !d->bounce || d->debug) {
        return;
    }
    const char *rule = d->verdict.rule;
    atomic_fetch_add_explicit(&x->judged, 1, memory_order_relaxed);
    if (rule != NULL && d->verdict.action == ACTION_ACCEPT && is_exclusion(rule)) {
        count_rule(x, rule);
    }
    bool outside = !d->client->local && d->client->address != NULL &&
                   (rule == NULL || strcmp(rule, "exclude.authenticated") != 0);
    if (d->opens && outside) {
        note_origin(x, d->client->address, d->from_mail_server);
    }
}

void exclusions_restore(struct exclusions *x, const struct status_report *seen)
{
    pthread_mutex_lock(&x->lock);
    x->from_servers = seen->bounces_from_servers;
    x->from_one = seen->bounces_from_one;
    snprintf(x->address, sizeof x->address, "%s", seen->bounce_client);
    pthread_mutex_unlock(&x->lock);
}

void exclusions_report(struct exclusions *x, struct status_report *report)
{
    report->bounces_judged = atomic_load_explicit(&x->judged, memory_order_relaxed);
    pthread_mutex_lock(&x->lock);
    report->bounces_from_servers = x->from_servers;
    report->bounces_from_one = x->from_one;
    report->bounce_client = status_keep(report, x->address);
    pthread_mutex_unlock(&x->lock);
    for (size_t i = 0; i < RULES_MAX && policy_rule(i) != NULL; i++) {
        if (is_exclusion(policy_rule(i))) {
            uint64_t count = atomic_load_explicit(&x->accepted[i], memory_order_relaxed);
            status_add(report, &report->excluded,
                       &(struct status_row){.name = policy_rule(i), .count = count});
        }
    }
}
