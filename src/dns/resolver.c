/*
 * Lookups. Whoever asks makes an inquiry, of an item for each name, puts the first lookups of all
 * items into the queue and waits. One thread, started by the first question, hands lookups to
 * libunbound and takes its answers; a mail exchanger that is learnt brings two more lookups. The
 * only user of libunbound.
 *
 * libunbound cannot be told to give up, and a cancelled query keeps its memory until it does: so
 * nothing is cancelled, a lookup keeps its place among the running ones until libunbound answers,
 * and it is their number that is bounded. Beside our thread libunbound has one of its own, to which
 * it talks through pipes; callbacks come in ours, out of ub_process.
 *
 * Who owns what, all of it under the resolver's lock:
 *   - An inquiry is counted: one reference is the asker's, one each lookup's. Who drops the last
 *     frees. When the asker's time is over it takes what is known and its lookups out of the queue;
 *     those that are running find the inquiry abandoned and touch no more of it than the count.
 *   - A lookup is in exactly one list, waiting or running. The pointer that libunbound holds is to
 * a running one, which only the callback frees, or whoever has deleted libunbound's context.
 *   - The context belongs to the thread alone and needs no lock.
 */
#include "dns/resolver.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <time.h>
#include <unbound.h>
#include <unistd.h>

#include "base/file_stamp.h"
#include "base/log.h"
#include "base/stack.h"
#include "batv/next_hop.h"

enum {
    RUNNING_MAX = 256,    /* lookups that libunbound has */
    LOOKUPS_MAX = 4096,   /* with those that wait for it */
    HOSTS_MAX = 16,       /* mail exchangers of a domain that are looked up */
    ADDRESSES_MAX = 512,  /* of a domain that are kept */
    RECORDS_MAX = 0xFFFF, /* more do not fit into any answer */
    LOOK_S = 1            /* between two looks at the files */
};

static const char too_many_lookups[] = "too many lookups at a time";
static const char too_many_hosts[] = "too many mail exchangers";
static const char too_many_addresses[] = "too many addresses";
static const char no_time[] = "no answer in time";
static const char no_memory[] = "out of memory";
static const char no_thread[] = "cannot start a thread for lookups";
static const char no_servers[] = "cannot read resolv.conf";
static const char no_context[] = "cannot set up libunbound";
static const char lost[] = "lookup abandoned";

struct item {
    struct ip *addresses;
    size_t count;
    const char *trouble;
};

struct inquiry {
    unsigned references;
    bool abandoned;
    size_t unfinished; /* lookups */
    pthread_cond_t finished;
    struct item items[];
};

struct lookup {
    struct lookup *next, *previous;
    struct resolver *resolver;
    struct inquiry *inquiry;
    size_t item;
    int type;
    char name[NEXT_HOP_NAME];
};

struct list {
    struct lookup *first, *last;
    size_t count;
};

struct resolver {
    const char *resolv_conf, *hosts; /* NULL: the system's */

    pthread_mutex_t lock;
    struct list waiting, running;
    bool started, ending;
    pthread_t thread;
    int wake; /* an eventfd */

    /* the thread's */
    struct ub_ctx *context; /* NULL: none, for the reason in trouble */
    const char *trouble;
    time_t looked; /* at the files, by a clock that nobody sets */
    struct file_stamp servers_seen, hosts_seen;
};

/* -------------------------------------------------------------------- lists */

static void list_remove(struct list *list, struct lookup *lookup)
{
    *(lookup->previous != NULL ? &lookup->previous->next : &list->first) = lookup->next;
    *(lookup->next != NULL ? &lookup->next->previous : &list->last) = lookup->previous;
    lookup->next = lookup->previous = NULL;
    list->count--;
}

static void list_append(struct list *list, struct lookup *lookup)
{
    lookup->previous = list->last;
    lookup->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = lookup;
    list->last = lookup;
    list->count++;
}

/* ---------------------------------------------------------------- inquiries */

/* NULL: no memory. With one reference. */
static struct inquiry *inquiry_new(size_t count)
{
    struct inquiry *inquiry = calloc(1, sizeof *inquiry + count * sizeof inquiry->items[0]);
    if (inquiry != NULL) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&inquiry->finished, &attributes);
        pthread_condattr_destroy(&attributes);
        inquiry->references = 1;
    }
    return inquiry;
}

/* The items' addresses are the asker's, who has taken them, or will never come. With the lock held,
 * as all from here to the callback. */
static void inquiry_drop(struct inquiry *inquiry)
{
    if (--inquiry->references == 0) {
        pthread_cond_destroy(&inquiry->finished);
        free(inquiry);
    }
}

/* The first trouble is told: what follows from it says less. */
static void item_trouble(struct item *item, const char *trouble)
{
    item->trouble = item->trouble != NULL ? item->trouble : trouble;
}

static void lookup_free(struct lookup *lookup)
{
    struct inquiry *inquiry = lookup->inquiry;
    if (--inquiry->unfinished == 0) {
        pthread_cond_signal(&inquiry->finished);
    }
    inquiry_drop(inquiry);
    free(lookup);
}

/* It is in no list. */
static void lookup_fail(struct lookup *lookup, const char *trouble)
{
    if (!lookup->inquiry->abandoned) {
        item_trouble(&lookup->inquiry->items[lookup->item], trouble);
    }
    lookup_free(lookup);
}

static void lookup_add(struct resolver *resolver, struct inquiry *inquiry, size_t item,
                       const char *name, int type)
{
    struct lookup *lookup = NULL;
    if (resolver->waiting.count + resolver->running.count >= LOOKUPS_MAX) {
        item_trouble(&inquiry->items[item], too_many_lookups);
        return;
    }
    if (strlen(name) >= sizeof lookup->name || (lookup = calloc(1, sizeof *lookup)) == NULL) {
        item_trouble(&inquiry->items[item], no_memory);
        return;
    }
    *lookup = (struct lookup){.resolver = resolver, .inquiry = inquiry, .item = item, .type = type};
    memcpy(lookup->name, name, strlen(name) + 1);
    inquiry->references++;
    inquiry->unfinished++;
    list_append(&resolver->waiting, lookup);
}

static void lookup_add_host(struct resolver *resolver, struct inquiry *inquiry, size_t item,
                            const char *name)
{
    lookup_add(resolver, inquiry, item, name, ns_t_a);
    lookup_add(resolver, inquiry, item, name, ns_t_aaaa);
}

/* ------------------------------------------------------------------ answers */

static void take_address(struct item *item, const char *octets, int length)
{
    static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    struct ip ip;
    if (length == 4) {
        memcpy(ip.octets, mapped, sizeof mapped);
        memcpy(ip.octets + sizeof mapped, octets, 4);
    } else if (length == sizeof ip.octets) {
        memcpy(ip.octets, octets, sizeof ip.octets);
    } else {
        return;
    }
    if (item->count == ADDRESSES_MAX) {
        item_trouble(item, too_many_addresses);
        return;
    }
    if ((item->count & (item->count - 1)) == 0) { /* it is full at each power of 2 */
        size_t room = item->count == 0 ? 1 : 2 * item->count;
        struct ip *grown = reallocarray(item->addresses, room, sizeof *grown);
        if (grown == NULL) {
            item_trouble(item, no_memory);
            return;
        }
        item->addresses = grown;
    }
    item->addresses[item->count++] = ip;
}

static void take_addresses(struct item *item, const struct ub_result *result)
{
    for (size_t i = 0; result->data != NULL && result->data[i] != NULL; i++) {
        take_address(item, result->data[i], result->len[i]);
    }
}

struct exchanger {
    unsigned preference;
    char name[NEXT_HOP_NAME];
};

/* A name as it is in a record, uncompressed; false for what is no host's, and for the root. */
static bool read_name(const uint8_t *octets, size_t length, char name[static NEXT_HOP_NAME])
{
    char text[NEXT_HOP_NAME];
    struct next_hop hop;
    size_t used = 0;
    size_t at = 0;
    while (at < length && octets[at] != 0) {
        size_t label = octets[at++];
        if (label > length - at || used + label + 1 >= sizeof text ||
            memchr(octets + at, '\0', label) != NULL || memchr(octets + at, '.', label) != NULL) {
            return false;
        }
        memcpy(text + used, octets + at, label);
        at += label;
        used += label;
        text[used++] = '.';
    }
    text[used] = '\0';
    if (!next_hop_of_domain(text, &hop) || hop.literal) {
        return false;
    }
    memcpy(name, hop.name, sizeof hop.name);
    return true;
}

static int exchanger_compare(const void *a, const void *b)
{
    const struct exchanger *first = a;
    const struct exchanger *second = b;
    if (first->preference != second->preference) {
        return first->preference < second->preference ? -1 : 1;
    }
    return strcmp(first->name, second->name);
}

static bool exchanger_is_among(const struct exchanger *const chosen[], size_t count,
                               const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(chosen[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The first hosts by preference, each once. */
static void choose_exchangers(struct lookup *lookup, const struct exchanger exchangers[],
                              size_t count)
{
    const struct exchanger *chosen[HOSTS_MAX] = {NULL};
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = exchangers[i].name;
        if (exchanger_is_among(chosen, used, name)) {
            continue;
        }
        if (used == HOSTS_MAX) {
            item_trouble(&lookup->inquiry->items[lookup->item], too_many_hosts);
            return;
        }
        chosen[used++] = &exchangers[i];
        lookup_add_host(lookup->resolver, lookup->inquiry, lookup->item, name);
    }
}

/* RFC 1035 section 3.3.9. A null MX (RFC 7505) has the root for a name, so that no host is left. */
static void take_exchangers(struct lookup *lookup, const struct ub_result *result)
{
    size_t records = 0;
    size_t count = 0;
    while (records < RECORDS_MAX && result->data[records] != NULL) {
        records++;
    }
    struct exchanger *exchangers = calloc(records, sizeof *exchangers);
    if (exchangers == NULL) {
        item_trouble(&lookup->inquiry->items[lookup->item], no_memory);
        return;
    }
    for (size_t i = 0; i < records; i++) {
        const uint8_t *octets = (const uint8_t *)result->data[i];
        int length = result->len[i];
        if (length > 2 && read_name(octets + 2, (size_t)length - 2, exchangers[count].name)) {
            exchangers[count++].preference = (unsigned)octets[0] << 8 | octets[1];
        }
    }
    qsort(exchangers, count, sizeof *exchangers, exchanger_compare);
    choose_exchangers(lookup, exchangers, count);
    free(exchangers);
}

/* A name that does not exist is an answer: mail to it goes nowhere. */
static const char *result_trouble(int error, const struct ub_result *result)
{
    if (error != 0 || result == NULL) {
        return ub_strerror(error);
    }
    switch (result->rcode) {
    case ns_r_noerror:
    case ns_r_nxdomain:
        return NULL;
    case ns_r_servfail:
        return "SERVFAIL";
    case ns_r_refused:
        return "REFUSED";
    default:
        return "server error";
    }
}

/* Of an inquiry that somebody waits for. */
static void take_result(struct lookup *lookup, int error, const struct ub_result *result)
{
    struct item *item = &lookup->inquiry->items[lookup->item];
    const char *trouble = result_trouble(error, result);
    if (trouble != NULL) {
        item_trouble(item, trouble);
    } else if (lookup->type != ns_t_mx) {
        take_addresses(item, result);
    } else if (result->data != NULL && result->data[0] != NULL) {
        take_exchangers(lookup, result);
    } else { /* also where DNS does not know the name: the hosts file may */
        lookup_add_host(lookup->resolver, lookup->inquiry, lookup->item, lookup->name);
    }
}

/* libunbound's callback. */
static void on_answer(void *data, int error, struct ub_result *result)
{
    struct lookup *lookup = data;
    struct resolver *resolver = lookup->resolver;
    pthread_mutex_lock(&resolver->lock);
    list_remove(&resolver->running, lookup);
    if (!lookup->inquiry->abandoned) {
        take_result(lookup, error, result);
    }
    lookup_free(lookup);
    pthread_mutex_unlock(&resolver->lock);
    ub_resolve_free(result);
}

/* ------------------------------------------------------------------ context */

/* What the library would do as a server of its own, and a stub must not: it has zones that it
 * answers itself, and a name in the hosts file hides all else that the name has. (That a zone is to
 * be no default one it does not understand here, so each is named with another type.) */
static const char *const settings[][2] = {
    {"local-zone:", ". typetransparent"},
    {"local-zone:", "test. typetransparent"},
    {"local-zone:", "invalid. typetransparent"},
    {"local-zone:", "onion. typetransparent"},
    {"local-zone:", "home.arpa. typetransparent"},
    {"unblock-lan-zones:", "yes"},
    {"outgoing-range:", "256"},
    {"outgoing-num-tcp:", "16"},
    /* Servers that were silent are asked again soon. */
    {"infra-keep-probing:", "yes"},
    {"infra-host-ttl:", "30"},
};

static void *do_nothing(void *unused)
{
    return unused;
}

/* libunbound does not notice when its thread cannot be started, and falls over that in the end. */
static bool may_start_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, do_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static struct ub_ctx *context_make(const struct resolver *resolver, bool with_hosts,
                                   const char **trouble)
{
    struct ub_ctx *context = ub_ctx_create();
    *trouble = no_context;
    if (context == NULL) {
        return NULL;
    }
    bool done = ub_ctx_debugout(context, NULL) == 0 && ub_ctx_async(context, 1) == 0;
    for (size_t i = 0; done && i < sizeof settings / sizeof *settings; i++) {
        done = ub_ctx_set_option(context, settings[i][0], settings[i][1]) == 0;
    }
    if (done && ub_ctx_resolvconf(context, resolver->resolv_conf) != 0) {
        *trouble = no_servers;
        done = false;
    }
    if (done && with_hosts) {
        (void)ub_ctx_hosts(context, resolver->hosts); /* what could be read of it, or none */
    }
    /* The first call that needs all of it finds what is wrong with the hosts file. */
    done = done && ub_ctx_zone_remove(context, "invalid.") == 0;
    if (!done) {
        ub_ctx_delete(context);
        return NULL;
    }
    *trouble = NULL;
    return context;
}

/* Also where there is no context any more: nobody will call back. */
static void context_end(struct resolver *resolver)
{
    ub_ctx_delete(resolver->context);
    resolver->context = NULL;
    resolver->trouble = lost;
    pthread_mutex_lock(&resolver->lock);
    struct lookup *lookup = resolver->running.first;
    resolver->running = (struct list){NULL};
    while (lookup != NULL) {
        struct lookup *next = lookup->next;
        lookup_fail(lookup, lost);
        lookup = next;
    }
    pthread_mutex_unlock(&resolver->lock);
}

static void context_begin(struct resolver *resolver)
{
    if (!may_start_thread()) {
        resolver->trouble = no_thread;
        return;
    }
    resolver->context = context_make(resolver, true, &resolver->trouble);
    if (resolver->context == NULL && resolver->trouble == no_context) {
        resolver->context = context_make(resolver, false, &resolver->trouble);
        if (resolver->context != NULL) {
            log_line(LOG_WARNING, "dns: the hosts file has an error and is not used");
        }
    }
}

/* A context by the files as they are now, or none. */
static void context_renew(struct resolver *resolver)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (resolver->looked != 0 && now.tv_sec - resolver->looked < LOOK_S) {
        return;
    }
    const char *servers =
        resolver->resolv_conf != NULL ? resolver->resolv_conf : "/etc/resolv.conf";
    const char *hosts = resolver->hosts != NULL ? resolver->hosts : "/etc/hosts";
    bool changed = file_stamp_renew(&resolver->servers_seen, servers, 0);
    changed = file_stamp_renew(&resolver->hosts_seen, hosts, 0) || changed;
    resolver->looked = now.tv_sec;
    if (resolver->context != NULL && changed) {
        context_end(resolver);
    }
    if (resolver->context == NULL) {
        context_begin(resolver);
    }
}

/* ------------------------------------------------------------------- thread */

/* The next that waits and may run, now among the running. NULL: none. */
static struct lookup *next_lookup(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    struct lookup *lookup = resolver->running.count < RUNNING_MAX ? resolver->waiting.first : NULL;
    if (lookup != NULL) {
        list_remove(&resolver->waiting, lookup);
        list_append(&resolver->running, lookup);
    }
    pthread_mutex_unlock(&resolver->lock);
    return lookup;
}

static bool has_waiting(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    bool has = resolver->waiting.first != NULL;
    pthread_mutex_unlock(&resolver->lock);
    return has;
}

/* False: libunbound has no use any more. */
static bool start_lookup(struct resolver *resolver, struct lookup *lookup)
{
    const char *trouble = resolver->trouble;
    int error = 0;
    if (resolver->context != NULL) {
        error = ub_resolve_async(resolver->context, lookup->name, lookup->type, ns_c_in, lookup,
                                 on_answer, NULL);
        trouble = error != 0 ? ub_strerror(error) : NULL;
    }
    if (trouble != NULL) {
        pthread_mutex_lock(&resolver->lock);
        list_remove(&resolver->running, lookup);
        lookup_fail(lookup, trouble);
        pthread_mutex_unlock(&resolver->lock);
    }
    return error != UB_PIPE;
}

static void start_lookups(struct resolver *resolver)
{
    struct lookup *lookup;
    if (has_waiting(resolver)) {
        context_renew(resolver);
    }
    while ((lookup = next_lookup(resolver)) != NULL) {
        if (!start_lookup(resolver, lookup)) {
            context_end(resolver);
        }
    }
}

static bool is_ending(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    bool ending = resolver->ending;
    pthread_mutex_unlock(&resolver->lock);
    return ending;
}

static void *run(void *argument)
{
    struct resolver *resolver = argument;
    while (!is_ending(resolver)) {
        start_lookups(resolver);
        int answers = resolver->context != NULL ? ub_fd(resolver->context) : -1;
        struct pollfd events[] = {{.fd = resolver->wake, .events = POLLIN},
                                  {.fd = answers, .events = POLLIN}};
        (void)poll(events, 2, -1);
        uint64_t wakes;
        ssize_t got = read(resolver->wake, &wakes, sizeof wakes);
        (void)got; /* it does not block, and once awake all is looked at */
        if (events[1].revents != 0 && ub_process(resolver->context) != 0) {
            context_end(resolver);
        }
    }
    context_end(resolver);
    return NULL;
}

/* With the lock held. */
static bool start_thread(struct resolver *resolver)
{
    if (!resolver->started) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_SIZE);
        resolver->started = pthread_create(&resolver->thread, &attributes, run, resolver) == 0;
        pthread_attr_destroy(&attributes);
        if (resolver->started) { /* libunbound's thread takes the name over */
            (void)pthread_setname_np(resolver->thread, "batvd-dns");
        }
    }
    return resolver->started;
}

static void wake_thread(struct resolver *resolver)
{
    const uint64_t one = 1;
    ssize_t put = write(resolver->wake, &one, sizeof one);
    (void)put;
}

struct resolver *resolver_new(const char *resolv_conf, const char *hosts)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return NULL;
    }
    resolver->resolv_conf = resolv_conf;
    resolver->hosts = hosts;
    resolver->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolver->wake < 0) {
        free(resolver);
        return NULL;
    }
    pthread_mutex_init(&resolver->lock, NULL);
    return resolver;
}

/* Wakes whoever waits for one of these. With the lock held. */
static void wake_askers(const struct list *list)
{
    for (const struct lookup *lookup = list->first; lookup != NULL; lookup = lookup->next) {
        pthread_cond_signal(&lookup->inquiry->finished);
    }
}

void resolver_stop(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->ending = true;
    wake_askers(&resolver->waiting);
    wake_askers(&resolver->running);
    pthread_mutex_unlock(&resolver->lock);
    wake_thread(resolver);
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    resolver_stop(resolver);
    if (resolver->started) {
        pthread_join(resolver->thread, NULL);
    }
    close(resolver->wake);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

/* ------------------------------------------------------------------- asking */

static struct timespec deadline_in(unsigned ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

static void fail_all(const char *trouble, struct resolver_answer answers[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        answers[i] = (struct resolver_answer){NULL, 0, trouble};
    }
}

/* The asker goes. What runs still goes on without it. With the lock held, as the next. */
static void abandon(struct resolver *resolver, struct inquiry *inquiry)
{
    struct lookup *next;
    inquiry->abandoned = true;
    for (struct lookup *lookup = resolver->waiting.first; lookup != NULL; lookup = next) {
        next = lookup->next;
        if (lookup->inquiry == inquiry) {
            list_remove(&resolver->waiting, lookup);
            lookup_free(lookup);
        }
    }
    inquiry_drop(inquiry);
}

/* Marks the items for which something is still to come. */
static void mark_late(const struct list *list, const struct inquiry *inquiry)
{
    for (const struct lookup *lookup = list->first; lookup != NULL; lookup = lookup->next) {
        if (lookup->inquiry == inquiry) {
            item_trouble(&lookup->inquiry->items[lookup->item], no_time);
        }
    }
}

void resolver_ask(struct resolver *resolver, const struct resolver_question questions[],
                  size_t count, unsigned timeout_ms, struct resolver_answer answers[])
{
    struct timespec deadline = deadline_in(timeout_ms);
    struct inquiry *inquiry = inquiry_new(count);
    if (inquiry == NULL) {
        fail_all(no_memory, answers, count);
        return;
    }
    pthread_mutex_lock(&resolver->lock);
    if (resolver->ending || !start_thread(resolver)) {
        fail_all(resolver->ending ? lost : no_thread, answers, count);
        inquiry_drop(inquiry);
        pthread_mutex_unlock(&resolver->lock);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (questions[i].mx) {
            lookup_add(resolver, inquiry, i, questions[i].name, ns_t_mx);
        } else {
            lookup_add_host(resolver, inquiry, i, questions[i].name);
        }
    }
    wake_thread(resolver);
    int error = 0;
    while (inquiry->unfinished > 0 && error == 0 && !resolver->ending) {
        error = pthread_cond_timedwait(&inquiry->finished, &resolver->lock, &deadline);
    }
    mark_late(&resolver->waiting, inquiry);
    mark_late(&resolver->running, inquiry);
    for (size_t i = 0; i < count; i++) {
        const struct item *item = &inquiry->items[i];
        answers[i] = (struct resolver_answer){item->addresses, item->count, item->trouble};
    }
    abandon(resolver, inquiry);
    pthread_mutex_unlock(&resolver->lock);
}

void resolver_answers_free(struct resolver_answer answers[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(answers[i].addresses);
        answers[i] = (struct resolver_answer){NULL, 0, NULL};
    }
}
