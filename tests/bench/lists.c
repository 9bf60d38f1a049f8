/*
 * Measures long lists: lists FOLDER [ENTRIES]. For each kind of list and each size up to ENTRIES, a
 * configuration that names a file of so many entries is written to FOLDER, loaded, asked for what
 * is in the list and for what is not, and dropped. Prints tables in Markdown.
 *
 * Loading is config_load, from the file to what messages are judged by; times are of the wall clock
 * and the middle of several. Memory is what malloc counts as in use for a loaded configuration,
 * less that of an empty one. Whatever goes wrong ends the program with status 1.
 */
#include <err.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "config/config.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* entries' forms stand in tables */

enum { ROUNDS = 5, LOOKS = 2000, LOOKS_MIN_US = 20000, KEYS = 1000, TEXT = 128 };

static const char *folder;
static size_t empty_heap;

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static double middle(double *figures)
{
    for (size_t i = 1; i < ROUNDS; i++) {
        for (size_t j = i; j > 0 && figures[j] < figures[j - 1]; j--) {
            double swapped = figures[j];
            figures[j] = figures[j - 1];
            figures[j - 1] = swapped;
        }
    }
    return figures[ROUNDS / 2];
}

/* ---------------------------------------------------------------- entries */

/* Real lists are mixed, and their names have nothing of a row in them. */
static unsigned mixed(unsigned number)
{
    number *= 2654435761U;
    return number ^ number >> 15;
}

static void network_entry(unsigned n, char *out)
{
    static const unsigned lengths[] = {32, 24, 28, 30};
    if (n % 4 == 3) {
        snprintf(out, TEXT, "2001:db8:%x:%x::/64", n >> 16, n & 0xFFFF);
    } else {
        unsigned length = lengths[n % 3];
        unsigned base = (0x0B000000U + n * 256U) & (UINT32_MAX << (32 - length));
        snprintf(out, TEXT, "%u.%u.%u.%u/%u", base >> 24, (base >> 16) & 255, (base >> 8) & 255,
                 base & 255, length);
    }
}

static void network_key(unsigned n, bool hit, char *out)
{
    unsigned base = (hit ? 0x0B000000U : 0xC0000000U) + n * 256U;
    if (n % 4 == 3) {
        snprintf(out, TEXT, "2001:db%u:%x:%x::1", hit ? 8U : 9U, n >> 16, n & 0xFFFF);
    } else {
        snprintf(out, TEXT, "%u.%u.%u.%u", base >> 24, (base >> 16) & 255, (base >> 8) & 255,
                 base & 255);
    }
}

static void domain_entry(unsigned n, char *out)
{
    snprintf(out, TEXT, "%sd%x-%u.example", n % 3 == 0 ? "." : "", mixed(n), n);
}

static void domain_key(unsigned n, bool hit, char *out)
{
    const char *below = n % 3 == 0 ? "mx." : "";
    snprintf(out, TEXT, "%sd%x-%u.%s", below, mixed(n), n, hit ? "example" : "invalid");
}

static void host_entry(unsigned n, char *out)
{
    snprintf(out, TEXT, "%smx%x-%u.example", n % 3 == 0 ? "*." : "", mixed(n), n);
}

static void host_key(unsigned n, bool hit, char *out)
{
    const char *below = n % 3 == 0 ? "a.b." : "";
    snprintf(out, TEXT, "%smx%x-%u.%s", below, mixed(n), n, hit ? "example" : "invalid");
}

/* Addresses, domains, subdomains. */
static void address_entry(unsigned n, char *out)
{
    static const char *const forms[] = {"u%x@d%u.example", "u%x@d%u.example", "*@d%x-%u.example",
                                        "*@*.d%x-%u.example"};
    snprintf(out, TEXT, forms[n % 4], mixed(n), n);
}

static void address_key(unsigned n, bool hit, char *out)
{
    static const char *const forms[] = {"u%x@d%u.%s", "u%x@d%u.%s", "x@d%x-%u.%s",
                                        "x@mx.a.d%x-%u.%s"};
    snprintf(out, TEXT, forms[n % 4], mixed(n), n, hit ? "example" : "invalid");
}

/* Wildcards elsewhere: each has something of its own before the first or after the last. */
static void wildcard_entry(unsigned n, char *out)
{
    static const char *const forms[] = {"u%x-%u-*@example.com", "u%x.%u@*",
                                        "*-bounces@d%x-%u.example", "u%x*x@d%u*.example"};
    snprintf(out, TEXT, forms[n % 4], mixed(n), n);
}

static void wildcard_key(unsigned n, bool hit, char *out)
{
    static const char *const forms[] = {"u%x-%u-17@example.%s", "u%x.%u@example.%s",
                                        "list-bounces@d%x-%u.example.%s", "u%xyzx@d%umx.%s"};
    static const char *const ends[] = {"com", "com", NULL, "example"};
    const char *end = hit ? ends[n % 4] : "invalid";
    snprintf(out, TEXT, forms[n % 4], mixed(n), n, end != NULL ? end : "");
    size_t length = strlen(out);
    if (out[length - 1] == '.') {
        out[length - 1] = '\0';
    } else if (!hit) {
        out[0] = 'v';
    }
}

/* Nothing to look them up by: both ends are wildcards. */
static void middle_entry(unsigned n, char *out)
{
    snprintf(out, TEXT, "*u%x-%u@d*", mixed(n), n);
}

static void middle_key(unsigned n, bool hit, char *out)
{
    snprintf(out, TEXT, "au%x-%u@%s", mixed(n), n, hit ? "d.example" : "e.example");
}

/* ------------------------------------------------------------------ lists */

static const void *networks_of(const struct settings *settings)
{
    return settings->exclude_networks;
}

static const void *hosts_of(const struct settings *settings)
{
    return settings->exclude_hosts;
}

static const void *patterns_of(const struct settings *settings)
{
    return settings->exclude_recipients;
}

static const void *domains_of(const struct settings *settings)
{
    return settings->domains;
}

static bool find_network(const void *list, const char *key)
{
    struct ip ip;
    if (!ip_parse(key, &ip)) {
        errx(1, "%s: no address", key);
    }
    return network_list_match(list, &ip) != NULL;
}

static bool find_host(const void *list, const char *key)
{
    return host_list_match(list, key) != NULL;
}

static bool find_pattern(const void *list, const char *key)
{
    return pattern_list_match(list, key) != NULL;
}

static bool find_domain(const void *list, const char *key)
{
    return domain_list_find(list, key) >= 0;
}

static const struct kind {
    const char *name;
    const char *option; /* with a %s for what stands in the list */
    void (*entry)(unsigned n, char *out);
    void (*key)(unsigned n, bool hit, char *out);
    const void *(*list)(const struct settings *settings);
    bool (*find)(const void *list, const char *key);
} kinds[] = {
    {"domains", "domains = [ %s ];", domain_entry, domain_key, domains_of, find_domain},
    {"networks", "exclude: { networks = [ %s ]; };", network_entry, network_key, networks_of,
     find_network},
    {"hosts", "exclude: { hosts = [ %s ]; };", host_entry, host_key, hosts_of, find_host},
    {"addresses, `*@D`, `*@*.D`", "exclude: { recipients = [ %s ]; };", address_entry, address_key,
     patterns_of, find_pattern},
    {"other patterns", "exclude: { recipients = [ %s ]; };", wildcard_entry, wildcard_key,
     patterns_of, find_pattern},
    {"patterns `*...*`", "exclude: { recipients = [ %s ]; };", middle_entry, middle_key,
     patterns_of, find_pattern},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static FILE *create(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        err(1, "%s", path);
    }
    return file;
}

static void finish(FILE *file)
{
    if (ferror(file) || fclose(file) != 0) {
        err(1, "%s", folder);
    }
}

/* The first count kinds as one configuration, each with so many entries. */
static void write_config(const struct kind *first, size_t count, unsigned entries)
{
    FILE *config = create("batvd.conf");
    for (size_t i = 0; i < count; i++) {
        char name[TEXT];
        char quoted[8192];
        char text[TEXT];
        snprintf(name, sizeof name, "list%zu", i);
        FILE *list = create(name);
        for (unsigned n = 0; n < entries; n++) {
            first[i].entry(n, text);
            fprintf(list, "%s\n", text);
        }
        finish(list);
        snprintf(quoted, sizeof quoted, "\"file:%s/%s\"", folder, name);
        const char *place = strstr(first[i].option, "%s");
        /* `exclude` is one group, however many of its lists are long. */
        bool group = strncmp(first[i].option, "exclude", 7) == 0;
        bool opened = i > 0 && strncmp(first[i - 1].option, "exclude", 7) == 0;
        const char *begin = first[i].option + (group && opened ? strlen("exclude: { ") : 0);
        bool goes_on = group && i + 1 < count && strncmp(first[i + 1].option, "exclude", 7) == 0;
        fprintf(config, "%.*s%s%s\n", (int)(place - begin), begin, quoted,
                goes_on ? " ];" : place + 2);
    }
    finish(config);
}

static struct config *load(void)
{
    char path[4096];
    struct config *config = NULL;
    struct config_messages messages = {0};
    snprintf(path, sizeof path, "%s/batvd.conf", folder);
    enum status status = config_load(path, &config, &messages);
    config_messages_print(&messages, stderr);
    config_messages_free(&messages);
    if (status != STATUS_OK) {
        errx(1, "%s: not loaded", path);
    }
    return config;
}

/* Nanoseconds for each of at least LOOKS look-ups. */
static double look(const struct kind *kind, const struct config *config, unsigned entries, bool hit)
{
    static char keys[KEYS][TEXT];
    const void *list = kind->list(config->settings);
    unsigned step = entries / KEYS + 1;
    for (unsigned i = 0; i < KEYS; i++) {
        kind->key((mixed(i) % KEYS * step + i) % entries, hit, keys[i]);
    }
    size_t looks = 0;
    double begun = now_us();
    double spent = 0;
    for (; looks < LOOKS || spent < LOOKS_MIN_US; spent = now_us() - begun) {
        for (unsigned i = 0; i < 100; i++, looks++) {
            if (kind->find(list, keys[looks % KEYS]) != hit) {
                errx(1, "%s: a wrong answer for %s", kind->name, keys[looks % KEYS]);
            }
        }
        if (spent > 1e6) {
            break;
        }
    }
    return spent * 1e3 / (double)looks;
}

struct loaded {
    struct config *config;
    double load_us, drop_us;
    size_t heap;
};

/* Loads several times; the last stays. */
static struct loaded measure(void)
{
    double loads[ROUNDS], drops[ROUNDS];
    struct loaded out = {0};
    for (size_t i = 0; i < ROUNDS; i++) {
        double begun = now_us();
        struct config *config = load();
        loads[i] = now_us() - begun;
        out.heap = heap() - empty_heap;
        begun = now_us();
        config_free(config);
        drops[i] = now_us() - begun;
    }
    out.load_us = middle(loads);
    out.drop_us = middle(drops);
    out.config = load();
    return out;
}

static void row(const char *name, unsigned entries, const struct loaded *loaded)
{
    printf("| %s | %u | %.2f | %.2f | %.0f |", name, entries, loaded->load_us / 1e3,
           loaded->drop_us / 1e3, (double)loaded->heap / 1024);
}

static void measure_kind(const struct kind *kind, unsigned largest)
{
    static const unsigned sizes[] = {1, 100, 10000, 100000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && sizes[i] <= largest; i++) {
        write_config(kind, 1, sizes[i]);
        struct loaded loaded = measure();
        row(kind->name, sizes[i], &loaded);
        printf(" %.0f | %.0f |\n", look(kind, loaded.config, sizes[i], true),
               look(kind, loaded.config, sizes[i], false));
        fflush(stdout);
        config_free(loaded.config);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fputs("usage: lists FOLDER [ENTRIES]\n", stderr);
        return 1;
    }
    folder = argv[1];
    unsigned largest = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100000;
    write_config(kinds, 0, 0);
    config_free(load());
    size_t before = heap();
    struct config *empty = load();
    empty_heap = heap() - before;
    config_free(empty);
    empty_heap += before;

    puts("| list | entries | load, ms | drop, ms | memory, KiB | found, ns | not found, ns |\n"
         "|---|---|---|---|---|---|---|");
    for (size_t i = 0; i < KINDS; i++) {
        measure_kind(&kinds[i], largest);
    }
    write_config(kinds, 4, largest);
    struct loaded all = measure();
    row("the first four together", 4 * largest, &all);
    puts(" | |");
    config_free(all.config);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("\nThe most memory that the program had at a time: %ld MiB.\n", usage.ru_maxrss / 1024);
    return 0;
}
