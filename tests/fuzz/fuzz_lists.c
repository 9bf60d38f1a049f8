/*
 * Lists under libFuzzer: the input is the kind of list, the text of a list's file, and behind a
 * line of `%%` what is looked for in it. Items are compared with what a plain reading of the text
 * gives, and matches with what trying each entry by itself gives: a list must find something
 * exactly where one of its entries fits, and answer one that does.
 */
#include "batv/match.h"

#include <limits.h>

#include "fuzz.h"

#include "batv/address.h"
#include "config/config_file.h"

enum { ITEMS = 48, SUBJECTS = 24, TEXT_MAX = 300 };

struct items {
    const char *text[ITEMS];
    size_t count;
};

/* ------------------------------------------------------------------- items */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* A line without its comment and the blanks around it. */
static void clean(const char *line, size_t length, char *out)
{
    size_t start = 0;
    size_t end = 0;
    while (start < length && is_blank(line[start])) {
        start++;
    }
    for (end = start; end < length; end++) {
        if (line[end] == '#' && (end == start || is_blank(line[end - 1]))) {
            break;
        }
    }
    while (end > start && is_blank(line[end - 1])) {
        end--;
    }
    memcpy(out, line + start, end - start);
    out[end - start] = '\0';
}

/* Takes text, which is changed, apart; checks each item against the line that it is said to stand
 * in. */
static void read_items(char *text, struct items *items)
{
    char *copy = strdup(text);
    char *item = malloc(strlen(text) + 1);
    require(copy != NULL && item != NULL);
    const char *rest = copy;
    unsigned at = 0;
    unsigned line = 0;
    char *next = text;
    for (char *found; (found = config_file_item(&next, &line)) != NULL;) {
        do { /* to that line: those passed over hold nothing */
            size_t length = strcspn(rest, "\n");
            clean(rest, length, item);
            rest += length + (rest[length] == '\n');
            at++;
            require(at == line || *item == '\0');
        } while (at < line);
        require(at == line && *found != '\0' && strcmp(found, item) == 0);
        if (items->count < ITEMS) {
            items->text[items->count++] = found;
        }
    }
    for (; *rest != '\0'; rest += strcspn(rest, "\n"), rest += *rest == '\n') {
        clean(rest, strcspn(rest, "\n"), item);
        require(*item == '\0');
    }
    free(item);
    free(copy);
}

/* ----------------------------------------------------------------- matching */

static bool octets_same(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (ascii_lower(a[i]) != ascii_lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* By a table of which beginnings of the pattern fit which beginnings of the text. */
static bool pattern_fits(const char *pattern, const char *text)
{
    static bool fits[TEXT_MAX + 1][TEXT_MAX + 1];
    size_t rows = strlen(pattern);
    size_t columns = strlen(text);
    require(rows <= TEXT_MAX && columns <= TEXT_MAX);
    for (size_t i = 0; i <= rows; i++) {
        for (size_t k = 0; k <= columns; k++) {
            if (i == 0) {
                fits[i][k] = k == 0;
            } else if (pattern[i - 1] == '*') {
                fits[i][k] = fits[i - 1][k] || (k > 0 && fits[i][k - 1]);
            } else {
                fits[i][k] = k > 0 && fits[i - 1][k - 1] &&
                             ascii_lower(pattern[i - 1]) == ascii_lower(text[k - 1]);
            }
        }
    }
    return fits[rows][columns];
}

static bool fits_address(const char *entry, const char *plain)
{
    return (strchr(entry, '@') != NULL) == (strchr(plain, '@') != NULL) &&
           pattern_fits(entry, plain);
}

/* *.NAME: below it; NAME: itself. A final dot does not count. */
static bool fits_host(const char *entry, const char *host)
{
    size_t length = strlen(host);
    length -= length > 0 && host[length - 1] == '.';
    bool below = strncmp(entry, "*.", 2) == 0;
    const char *name = entry + (below ? 1 : 0);
    size_t own = strlen(name);
    return (below ? length > own : length == own) && octets_same(host + length - own, name, own);
}

/* *@DOM and *@*.DOM: DOM itself, or below it. */
static bool fits_host_of(const char *entry, const char *host)
{
    size_t skip = strncmp(entry, "*@*.", 4) == 0 ? 4 : strncmp(entry, "*@", 2) == 0 ? 2 : 0;
    const char *name = entry + skip;
    size_t own = strlen(name);
    size_t length = strlen(host);
    length -= length > 0 && host[length - 1] == '.';
    if (skip == 0 || own == 0 || strpbrk(name, "*@") != NULL || length < own) {
        return false;
    }
    return octets_same(host + length - own, name, own) &&
           (length == own || host[length - own - 1] == '.');
}

static bool fits_network(const char *entry, const char *text)
{
    char base[TEXT_MAX + 1];
    const char *slash = strchr(entry, '/');
    size_t length = slash != NULL ? (size_t)(slash - entry) : strlen(entry);
    bool brackets = entry[0] == '[';
    snprintf(base, sizeof base, "%.*s", (int)(length - 2 * brackets), entry + brackets);
    struct ip network;
    struct ip ip;
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool v4 = strchr(base, ':') == NULL;
    if (!ip_parse(base, &network) || !ip_parse(text, &ip)) {
        return false;
    }
    unsigned long bits = slash != NULL ? strtoul(slash + 1, NULL, 10) : v4 ? 32 : 128;
    bits += v4 ? 96 : 0;
    if (bits < 96 && memcmp(ip.octets, mapped, sizeof mapped) == 0) {
        return false; /* a family of their own */
    }
    for (unsigned long i = 0; i < bits; i++) {
        if (((network.octets[i / 8] ^ ip.octets[i / 8]) >> (7 - i % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

/* What is answered has to be an entry that fits, and something where there is one. */
static void check(const struct items *items, const char *found, const char *subject,
                  bool (*fits)(const char *entry, const char *subject))
{
    bool any = false;
    bool is_one = found == NULL;
    for (size_t i = 0; i < items->count; i++) {
        bool this = fits(items->text[i], subject);
        any = any || this;
        is_one = is_one || (this && strcmp(items->text[i], found) == 0);
    }
    if (any != (found != NULL) || !is_one) {
        fprintf(stderr, "\"%s\" finds \"%s\"\n", subject, found != NULL ? found : "(nothing)");
    }
    require(any == (found != NULL) && is_one);
}

static bool is_ascii(const char *text)
{
    return !has_letters(text, CHAR_MIN, -1);
}

/* Entries with other letters are compared by their A-labels: what tests those by themselves would
 * be the same code. */
static void keep_ascii(struct items *items)
{
    size_t kept = 0;
    for (size_t i = 0; i < items->count; i++) {
        if (is_ascii(items->text[i]) && strlen(items->text[i]) <= TEXT_MAX) {
            items->text[kept++] = items->text[i];
        }
    }
    items->count = kept;
}

/* ------------------------------------------------------------- kinds of lists */

/* Takes out the entry that a list does not take. */
static void drop(struct items *items, size_t bad)
{
    require(bad < items->count);
    items->count--;
    memmove(&items->text[bad], &items->text[bad + 1], (items->count - bad) * sizeof items->text[0]);
}

#define BUILD(kind, items, list)                                                                   \
    do {                                                                                           \
        size_t bad = SIZE_MAX;                                                                     \
        enum status status;                                                                        \
        while ((status = kind##_list_new((items)->text, (items)->count, &(list), &bad)) !=         \
               STATUS_OK) {                                                                        \
            require(status == STATUS_INVALID || status == STATUS_CONFLICT);                        \
            require((list) == NULL);                                                               \
            drop(items, bad);                                                                      \
        }                                                                                          \
    } while (0)

static void check_patterns(struct items *items, const struct items *subjects)
{
    struct pattern_list *list = NULL;
    BUILD(pattern, items, list);
    for (size_t i = 0; i < subjects->count; i++) {
        const char *subject = subjects->text[i];
        check(items, pattern_list_match(list, subject), subject, fits_address);
        check(items, pattern_list_match_host(list, subject), subject, fits_host_of);
    }
    pattern_list_free(list);
}

static void check_hosts(struct items *items, const struct items *subjects)
{
    struct host_list *list = NULL;
    BUILD(host, items, list);
    for (size_t i = 0; i < subjects->count; i++) {
        const char *found = host_list_match(list, subjects->text[i]);
        if (subjects->text[i][0] != '.') { /* no host's name */
            check(items, found, subjects->text[i], fits_host);
        }
    }
    host_list_free(list);
}

static void check_networks(struct items *items, const struct items *subjects)
{
    struct network_list *list = NULL;
    BUILD(network, items, list);
    for (size_t i = 0; i < items->count; i++) {
        require(network_list_covers(list, items->text[i]));
    }
    for (size_t i = 0; i < subjects->count; i++) {
        struct ip ip;
        const char *subject = subjects->text[i];
        if (ip_parse(subject, &ip)) {
            const char *found = network_list_match(list, &ip);
            check(items, found, subject, fits_network);
            require(network_list_covers(list, subject) == (found != NULL));
        } else {
            network_list_covers(list, subject);
        }
    }
    network_list_free(list);
}

/* The longest entry that the domain is, or is below. */
static void check_domain(const struct domain_list *list, const struct items *items,
                         const char *domain)
{
    size_t length = strlen(domain);
    long expected = -1;
    for (size_t i = 0; i < items->count && domain[0] != '.'; i++) {
        const char *entry = items->text[i];
        size_t own = strlen(entry);
        bool below = entry[0] == '.' && length > own;
        bool fits = (below || length == own) && octets_same(domain + length - own, entry, own);
        if (fits && (expected < 0 || own > strlen(items->text[expected]))) {
            expected = (long)i;
        }
    }
    require(domain_list_find(list, domain) == expected);
}

static void check_domains(struct items *items, const struct items *subjects)
{
    struct domain_list *list = NULL;
    BUILD(domain, items, list);
    for (size_t i = 0; i < subjects->count; i++) {
        check_domain(list, items, subjects->text[i]);
    }
    domain_list_free(list);
}

/* With a budget of its own. */
static const char *match(const struct regex_list *list, const char *text)
{
    struct budget budget = budget_of(strlen(text));
    return regex_list_match(list, text, &budget, NULL);
}

static void check_regexes(struct items *items, const struct items *subjects)
{
    struct regex_list *list = NULL;
    BUILD(regex, items, list);
    for (size_t i = 0; list != NULL && i < subjects->count; i++) {
        const char *found = match(list, subjects->text[i]);
        bool is_one = found == NULL;
        for (size_t k = 0; k < items->count; k++) {
            is_one = is_one || strcmp(items->text[k], found) == 0;
        }
        require(is_one && match(list, subjects->text[i]) == found);
    }
    regex_list_free(list);
}

static void split_subjects(char *text, struct items *subjects)
{
    while (text != NULL && subjects->count < SUBJECTS) {
        char *line = strsep(&text, "\n");
        if (strlen(line) <= TEXT_MAX) {
            subjects->text[subjects->count++] = line;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct items items = {.count = 0};
    struct items subjects = {.count = 0};
    uint8_t kind = take_octet(&input);
    char *text = take_rest(&input);
    char *behind = strstr(text, "\n%%\n");
    if (behind != NULL) {
        *behind = '\0';
        behind += strlen("\n%%\n");
    }
    for (char *c = text; kind == 'd' && *c != '\0'; c++) {
        *c = ascii_lower(*c); /* as the configuration hands them over */
    }
    read_items(text, &items);
    split_subjects(behind, &subjects);
    if (kind == 'r') {
        check_regexes(&items, &subjects);
    }
    keep_ascii(&items);
    if (kind == 'p') {
        check_patterns(&items, &subjects);
    } else if (kind == 'h') {
        check_hosts(&items, &subjects);
    } else if (kind == 'n') {
        check_networks(&items, &subjects);
    } else if (kind == 'd') {
        check_domains(&items, &subjects);
    }
    free(text);
    return 0;
}
