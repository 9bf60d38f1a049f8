/*
 * Where a message's mail goes: the addresses that the envelope or the MTA names, and those that DNS
 * has for its recipients' domains and next hops. Addresses are compared first, so that often
 * nothing is asked; all names are asked at once, each once.
 *
 * Called by workers side by side. They share the resolver, and the notice of what it could not say.
 */
#include "dns/oracle_network.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "batv/next_hop.h"

enum { NOTICE_S = 60, HOPS_MAX = 8 /* of one next hop */ };

struct oracle_network {
    struct resolver *resolver;
    const struct oracle_listener *listener;

    pthread_mutex_t lock;
    uint64_t unanswered; /* messages, since the last notice */
    struct log_notice notice;
};

/* A host that mail goes to, and for which recipient. */
struct place {
    struct next_hop hop;
    size_t recipient;
};

struct places {
    struct place *items;
    size_t count, room;
};

struct oracle_network *oracle_network_new(const struct oracle_listener *listener)
{
    struct oracle_network *network = calloc(1, sizeof *network);
    if (network == NULL || (network->resolver = resolver_new(NULL, NULL)) == NULL) {
        free(network);
        return NULL;
    }
    network->listener = listener;
    pthread_mutex_init(&network->lock, NULL);
    return network;
}

void oracle_network_stop(struct oracle_network *network)
{
    resolver_stop(network->resolver);
}

void oracle_network_free(struct oracle_network *network)
{
    if (network != NULL) {
        resolver_free(network->resolver);
        pthread_mutex_destroy(&network->lock);
        free(network);
    }
}

/* ------------------------------------------------------------------- places */

static bool places_add(struct places *places, const struct next_hop *hop, size_t recipient)
{
    if (places->count == places->room) {
        size_t room = places->room == 0 ? 4 : 2 * places->room;
        struct place *grown = reallocarray(places->items, room, sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        places->items = grown;
        places->room = room;
    }
    places->items[places->count++] = (struct place){*hop, recipient};
    return true;
}

/* False: no memory. */
static bool places_collect(const struct question *q, struct places *places)
{
    struct next_hop hop;
    bool done = true;
    for (size_t i = 0; done && i < q->destination_count; i++) {
        const struct destination *to = &q->destinations[i];
        if (next_hop_of_domain(to->domain, &hop)) {
            done = places_add(places, &hop, i);
        }
        const char *rest = to->next_hop != NULL ? to->next_hop : "";
        for (int n = 0; done && n < HOPS_MAX && next_hop_take(&rest, &hop); n++) {
            done = places_add(places, &hop, i);
        }
    }
    return done;
}

static int place_compare(const void *a, const void *b)
{
    const struct place *first = a;
    const struct place *second = b;
    int order = strcmp(first->hop.name, second->hop.name);
    if (order == 0) {
        order = first->hop.mx - second->hop.mx;
    }
    if (order == 0) {
        order = (first->recipient > second->recipient) - (first->recipient < second->recipient);
    }
    return order;
}

/* Leaves each name once, with its first recipient. There are no literals any more. */
static void places_unite(struct places *places)
{
    size_t kept = 0;
    if (places->count > 1) {
        qsort(places->items, places->count, sizeof *places->items, place_compare);
    }
    for (size_t i = 0; i < places->count; i++) {
        const struct next_hop *hop = &places->items[i].hop;
        const struct next_hop *last = kept > 0 ? &places->items[kept - 1].hop : NULL;
        if (last == NULL || last->mx != hop->mx || strcmp(last->name, hop->name) != 0) {
            places->items[kept++] = places->items[i];
        }
    }
    places->count = kept;
}

/* ------------------------------------------------------------------ finding */

/* Of the entries that fit, the one of the first recipient. */
static void finding_try(struct finding *finding, const struct network_list *list,
                        const struct ip *ip, size_t recipient)
{
    const char *entry = finding->entry == NULL || recipient < finding->recipient
                            ? network_list_match(list, ip)
                            : NULL;
    if (entry != NULL) {
        finding->entry = entry;
        finding->recipient = recipient;
    }
}

/* Compares the literals and takes them out of the places. */
static void compare_literals(const struct network_list *list, struct places *places,
                             struct finding *finding)
{
    size_t kept = 0;
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = &places->items[i];
        if (place->hop.literal) {
            finding_try(finding, list, &place->hop.ip, place->recipient);
        } else {
            places->items[kept++] = *place;
        }
    }
    places->count = kept;
}

/* Counts the message too where nothing is said of it. */
static void warn(struct oracle_network *network, const struct resolver_question *question,
                 const char *trouble)
{
    pthread_mutex_lock(&network->lock);
    uint64_t count = ++network->unanswered;
    bool due = log_notice_due(&network->notice, NOTICE_S);
    network->unanswered = due ? 0 : count;
    pthread_mutex_unlock(&network->lock);
    if (due) {
        log_line(LOG_WARNING,
                 "dns: messages signed without knowing whether exclude_sign.recipient_networks "
                 "applies: %" PRIu64 "; last unanswered: %s of %s: %s",
                 count, question->mx ? "the MX hosts" : "the addresses", question->name, trouble);
    }
}

/* Looks up the places that are left. */
static enum answer look_up(struct oracle_network *network, const struct settings *settings,
                           const struct places *places, struct finding *finding)
{
    struct resolver_question *questions = calloc(places->count, sizeof *questions);
    struct resolver_answer *answers = calloc(places->count, sizeof *answers);
    const struct resolver_question *failed = NULL;
    const char *trouble = NULL;
    bool asked = questions != NULL && answers != NULL;
    for (size_t i = 0; asked && i < places->count; i++) {
        questions[i] =
            (struct resolver_question){places->items[i].hop.name, places->items[i].hop.mx};
    }
    if (asked) {
        resolver_ask(network->resolver, questions, places->count, settings->dns_timeout_ms,
                     answers);
    }
    for (size_t i = 0; asked && i < places->count; i++) {
        for (size_t n = 0; n < answers[i].count; n++) {
            finding_try(finding, settings->exclude_sign_recipient_networks,
                        &answers[i].addresses[n], places->items[i].recipient);
        }
        if (answers[i].trouble != NULL) {
            failed = &questions[i];
            trouble = answers[i].trouble;
        }
        if (network->listener != NULL) {
            network->listener->take(network->listener->context, &questions[i], &answers[i]);
        }
    }
    if (finding->entry == NULL && failed != NULL && network->listener == NULL) {
        warn(network, failed, trouble);
    }
    if (asked) {
        resolver_answers_free(answers, places->count);
    }
    free(questions);
    free(answers);
    return asked && failed == NULL ? ANSWER_NO : ANSWER_UNAVAILABLE;
}

static struct finding ask(void *self, const struct question *q, const struct exhibits *exhibits)
{
    struct oracle_network *network = self;
    const struct settings *settings = q->settings;
    struct places places = {NULL, 0, 0};
    struct finding finding = {.answer = ANSWER_NO};
    (void)exhibits;
    if (!places_collect(q, &places)) {
        finding.answer = ANSWER_UNAVAILABLE;
    }
    compare_literals(settings->exclude_sign_recipient_networks, &places, &finding);
    places_unite(&places);
    if (finding.entry == NULL && finding.answer == ANSWER_NO && places.count > 0) {
        finding.answer = look_up(network, settings, &places, &finding);
    }
    free(places.items);
    finding.answer = finding.entry != NULL ? ANSWER_YES : finding.answer;
    return finding;
}

void oracle_network_oracle(struct oracle_network *network, struct oracle_set *out)
{
    out->by_fact[FACT_RCPT_NETWORK] = (struct oracle){ask, network};
}
