/*
 * Measures what deciding on one message costs, without libmilter and without I/O:
 * growth -c CONFIG -k sign|bounce|forged|ordinary [-n RECIPIENTS] [-K KEYS] [-s SENDER]
 *
 * The configuration is loaded as the daemon does it; the ring has KEYS keys, the newest of which
 * signs, and a record of each domain in the file. A message is taken from MAIL to its effects again
 * and again; what costs I/O is answered by "no". Prints a line of four numbers: nanoseconds of
 * processor time a message (middle, least, most of the rounds), and the octets that malloc has in
 * use for configuration and ring. Whatever goes wrong ends the program with status 1.
 */
#include <err.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "batv/day.h"
#include "batv/transaction.h"
#include "config/config.h"

enum { ROUNDS = 15, ROUND_US = 5000, LIFETIME = 7, TODAY = 20779, KEY_DAYS = 6, ADDRESS = 256 };

static const time_t noon = (time_t)TODAY * DAY_SECONDS + DAY_SECONDS / 2;

static const struct kind {
    const char *name;
    bool outgoing;
    bool bounce;
    bool tagged; /* its recipients */
    enum reply_kind expected;
    unsigned effects; /* each recipient's share */
    unsigned more;    /* effects of the message */
} kinds[] = {
    {"sign", true, false, false, REPLY_ACCEPT, 0, 1},
    {"bounce", false, true, true, REPLY_ACCEPT, 2, 0},
    {"forged", false, true, false, REPLY_REJECT, 0, 0},
    {"ordinary", false, false, false, REPLY_ACCEPT, 0, 0},
};

static const char *sender = "alice@example.com";
static const struct kind *kind = &kinds[0];
static struct config *config;
static struct ring *ring;
static struct snapshot snapshot;
static struct client client;
static char (*recipients)[ADDRESS];
static size_t recipient_count = 1;

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* ---------------------------------------------------------------- preparing */

static void load_config(const char *path)
{
    struct config_messages messages = {0};
    enum status status = config_load(path, &config, &messages);
    config_messages_print(&messages, stderr);
    config_messages_free(&messages);
    if (status != STATUS_OK) {
        errx(1, "%s: not loaded", path);
    }
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In order, since a ring copies all that stands behind a new one. */
static void add_domains(void)
{
    const struct settings *settings = config->settings;
    const char **names = calloc(settings->domain_count + 1, sizeof *names);
    if (names == NULL) {
        err(1, NULL);
    }
    for (size_t i = 0; i < settings->domain_count; i++) {
        names[i] = settings->domain[i].name;
    }
    qsort(names, settings->domain_count, sizeof *names, compare_text);
    for (size_t i = 0; i < settings->domain_count; i++) {
        bool changed;
        if (ring_domain_add(ring, names[i], noon - 60 * DAY_SECONDS, &changed) != STATUS_OK) {
            errx(1, "%s: no record", names[i]);
        }
    }
    free(names);
}

static void make_ring(unsigned keys)
{
    static const struct key_policy policy = {.lifetime_days = LIFETIME, .retain_days = 365};
    ring = ring_new();
    for (unsigned i = 0; ring != NULL && i < keys; i++) {
        uint8_t octets[SECRET_SIZE];
        struct reason why = {""};
        time_t when = noon - (time_t)(keys - i) * KEY_DAYS * DAY_SECONDS;
        memset(octets, (int)i + 1, sizeof octets);
        if (ring_rotate(ring, &policy, ALGORITHM_HMAC_SHA256, when, 0, octets, &why) != STATUS_OK) {
            errx(1, "key %u: %s", i, why.text);
        }
    }
    if (ring == NULL) {
        err(1, NULL);
    }
    add_domains();
}

static void tag(const char *plain, char out[static ADDRESS])
{
    struct address address;
    char *text;
    int key;
    int64_t expires;
    if (address_parse(plain, &address) != STATUS_OK ||
        tag_sign(ring, &address, TAG_PREFIX, LIFETIME, noon, &text, &key, &expires) != STATUS_OK) {
        errx(1, "%s: not signed", plain);
    }
    snprintf(out, ADDRESS, "<%s>", text);
    free(text);
    address_free(&address);
}

static void make_recipients(void)
{
    const char *at = strchr(sender, '@');
    recipients = calloc(recipient_count, sizeof *recipients);
    if (recipients == NULL || at == NULL) {
        errx(1, "no recipients");
    }
    for (size_t i = 0; i < recipient_count; i++) {
        char plain[ADDRESS - 32];
        snprintf(plain, sizeof plain, "user%zu%s", i, kind->outgoing ? "@other.test" : at);
        if (kind->tagged) {
            tag(plain, recipients[i]);
        } else {
            snprintf(recipients[i], ADDRESS, "<%s>", plain);
        }
    }
}

/* --------------------------------------------------------------- a message */

static void answer_all(struct transaction *t)
{
    struct question question;
    while (transaction_asks(t, &question)) {
        struct finding finding = {.answer = ANSWER_NO};
        if (question.fact == FACT_CLASS) {
            finding = (struct finding){ANSWER_YES, true, BOUNCE_DSN, true, NULL, 0};
        }
        transaction_answer(t, &question, &finding);
    }
}

static void end_message(struct transaction *t)
{
    const struct end_event end = {.now = noon};
    transaction_end(t, &end);
    answer_all(t);
    size_t effects;
    transaction_effects(t, &effects);
    const struct reply *reply = transaction_reply(t);
    if (transaction_failed(t) || reply->kind != kind->expected ||
        effects != kind->more + kind->effects * recipient_count) {
        errx(1, "%s: reply %d with %zu effects", kind->name, (int)reply->kind, effects);
    }
}

static void pass_message(void)
{
    char from[ADDRESS] = "<>";
    struct transaction *t = transaction_new(&snapshot, &client);
    if (t == NULL) {
        err(1, NULL);
    }
    if (!kind->bounce) {
        snprintf(from, sizeof from, "<%s>", kind->outgoing ? sender : "bob@other.test");
    }
    const struct mail_event mail = {.sender = from, .user = kind->outgoing ? "alice" : NULL};
    transaction_mail(t, &mail);
    for (size_t i = 0; i < recipient_count; i++) {
        const struct rcpt_event rcpt = {.recipient = recipients[i], .now = noon};
        transaction_rcpt(t, &rcpt);
        answer_all(t);
        if (transaction_reply(t)->kind != REPLY_CONTINUE) {
            errx(1, "%s: refused", recipients[i]);
        }
    }
    (void)transaction_wants(t);
    (void)transaction_doubtful(t);
    end_message(t);
    transaction_free(t);
}

/* ---------------------------------------------------------------- measuring */

static double pass_messages(size_t messages)
{
    double begun = cpu_ns();
    for (size_t i = 0; i < messages; i++) {
        pass_message();
    }
    return cpu_ns() - begun;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure(size_t octets)
{
    double ns[ROUNDS];
    size_t messages = 1;
    while (pass_messages(messages) < ROUND_US * 1e3 / 2) {
        messages *= 2;
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        ns[i] = pass_messages(messages) / (double)messages;
    }
    qsort(ns, ROUNDS, sizeof *ns, compare);
    printf("%.1f %.1f %.1f %zu\n", ns[ROUNDS / 2], ns[0], ns[ROUNDS - 1], octets);
}

static const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return &kinds[i];
        }
    }
    errx(2, "%s: no such kind of message", name);
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    unsigned keys = 1;
    for (int option; (option = getopt(argc, argv, "c:k:n:K:s:")) != -1;) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            kind = kind_find(optarg);
            break;
        case 'n':
            recipient_count = strtoul(optarg, NULL, 10);
            break;
        case 'K':
            keys = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            sender = optarg;
            break;
        default:
            return 2;
        }
    }
    if (path == NULL || optind != argc || recipient_count == 0 || keys == 0 || keys > RING_SLOTS) {
        errx(2, "usage: growth -c CONFIG [-k KIND] [-n RECIPIENTS] [-K KEYS] [-s SENDER]");
    }
    size_t before = heap();
    load_config(path);
    make_ring(keys);
    size_t octets = heap() - before;
    snapshot = (struct snapshot){.settings = config->settings, .ring = ring};
    client.name = kind->outgoing ? "laptop.example.com" : "mx.other.test";
    client.address = kind->outgoing ? "198.51.100.7" : "192.0.2.25";
    if (!ip_parse(client.address, &client.ip)) {
        errx(1, "%s: no address", client.address);
    }
    make_recipients();
    measure(octets);
    free(recipients);
    ring_free(ring);
    config_free(config);
    return 0;
}
