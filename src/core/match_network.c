/*
 * Lists of networks. Entries of one prefix length stand together, sorted, so that a look-up halves
 * once for each prefix length in use, the longest first: the narrowest entry answers. A list owns
 * copies of its entries, never changes once built, and may be used by any number of threads.
 *
 * IPv4 addresses are held as IPv4-mapped IPv6 and yet are a family of their own: ::/0 holds every
 * IPv6 address and no IPv4 one.
 */
#include "batv/match.h"

#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/text_pool.h"

enum { IP_OCTETS = 16, IP_BITS = 128, MAPPED_BITS = 96, IP_TEXT = 64 };

struct network {
    struct ip base;
    unsigned prefix;
    const char *written;
};

struct network_list {
    struct network *items; /* by prefix length, then address */
    size_t count;
    size_t start[IP_BITS + 2]; /* where each prefix length begins in items */
    uint8_t used[IP_BITS + 1]; /* the prefix lengths that occur, the shortest first */
    size_t used_count;
    struct text_pool texts; /* what was written */
};

/* ip with all bits beyond prefix set, or cleared. */
static struct ip ip_end(const struct ip *ip, unsigned prefix, bool ones)
{
    struct ip end = *ip;
    for (unsigned octet = prefix / 8; octet < IP_OCTETS; octet++) {
        uint8_t mask = (uint8_t)(octet == prefix / 8 ? 0xFFU >> (prefix % 8) : 0xFFU);
        if (ones) {
            end.octets[octet] |= mask;
        } else {
            end.octets[octet] &= (uint8_t)~mask;
        }
    }
    return end;
}

static int ip_compare(const struct ip *a, const struct ip *b)
{
    return memcmp(a->octets, b->octets, IP_OCTETS);
}

/* Digits only, at most limit. */
static bool prefix_parse(const char *text, unsigned limit, unsigned *out)
{
    unsigned value = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3 || text[digits] != '\0') {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        value = 10 * value + (unsigned)(text[i] - '0');
    }
    *out = value;
    return value <= limit;
}

/* ADDRESS or ADDRESS/PREFIX, an IPv6 address also in brackets, as Postfix writes it. */
static bool network_parse(const char *text, struct network *out)
{
    char address[IP_TEXT];
    const char *slash = strchr(text, '/');
    size_t length = slash == NULL ? strlen(text) : (size_t)(slash - text);
    bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (brackets) {
        text++;
        length -= 2;
    }
    if (length >= sizeof address) {
        return false;
    }
    memcpy(address, text, length);
    address[length] = '\0';
    if (!ip_parse(address, &out->base)) {
        return false;
    }
    bool v4 = strchr(address, ':') == NULL;
    out->prefix = IP_BITS;
    if (slash != NULL) {
        if (!prefix_parse(slash + 1, v4 ? IP_BITS - MAPPED_BITS : IP_BITS, &out->prefix)) {
            return false;
        }
        out->prefix += v4 ? MAPPED_BITS : 0;
    }
    struct ip first = ip_end(&out->base, out->prefix, false);
    return !(brackets && v4) && ip_compare(&first, &out->base) == 0;
}

static int network_compare(const void *a, const void *b)
{
    const struct network *first = a;
    const struct network *second = b;
    if (first->prefix != second->prefix) {
        return first->prefix < second->prefix ? -1 : 1;
    }
    return ip_compare(&first->base, &second->base);
}

static void network_list_index(struct network_list *list)
{
    size_t at = 0;
    if (list->count > 1) {
        qsort(list->items, list->count, sizeof *list->items, network_compare);
    }
    for (unsigned prefix = 0; prefix <= IP_BITS + 1; prefix++) {
        while (at < list->count && list->items[at].prefix < prefix) {
            at++;
        }
        list->start[prefix] = at;
    }
    for (unsigned prefix = 0; prefix <= IP_BITS; prefix++) {
        if (list->start[prefix] != list->start[prefix + 1]) {
            list->used[list->used_count++] = (uint8_t)prefix;
        }
    }
}

enum status network_list_new(const char *const entries[], size_t count, struct network_list **out,
                             size_t *bad)
{
    enum status status = STATUS_NO_MEMORY;
    struct network_list *list = calloc(1, sizeof *list);
    *out = NULL;
    if (list != NULL && (list->items = calloc(count + 1, sizeof *list->items)) != NULL) {
        status = STATUS_OK;
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        struct network *network = &list->items[i];
        *bad = i;
        if (!network_parse(entries[i], network)) {
            status = STATUS_INVALID;
        } else if ((network->written = text_pool_add(&list->texts, entries[i])) == NULL) {
            status = STATUS_NO_MEMORY;
        } else {
            list->count++;
        }
    }
    if (status != STATUS_OK) {
        network_list_free(list);
        return status;
    }
    network_list_index(list);
    *out = list;
    return STATUS_OK;
}

void network_list_free(struct network_list *list)
{
    if (list == NULL) {
        return;
    }
    text_pool_free(&list->texts);
    free(list->items);
    free(list);
}

bool network_list_is_empty(const struct network_list *list)
{
    return list == NULL || list->count == 0;
}

/* The entry of just this prefix length that holds ip. */
static const struct network *network_list_find(const struct network_list *list, unsigned prefix,
                                               const struct ip *ip)
{
    size_t start = list->start[prefix];
    size_t count = list->start[prefix + 1] - start;
    if (prefix < MAPPED_BITS && ip_is_v4(ip)) {
        return NULL;
    }
    struct network wanted = {.base = ip_end(ip, prefix, false), .prefix = prefix};
    return bsearch(&wanted, list->items + start, count, sizeof *list->items, network_compare);
}

const char *network_list_match(const struct network_list *list, const struct ip *ip)
{
    const struct network *found = NULL;
    for (size_t i = list != NULL ? list->used_count : 0; found == NULL && i > 0; i--) {
        found = network_list_find(list, list->used[i - 1], ip);
    }
    return found != NULL ? found->written : NULL;
}

bool network_list_covers(const struct network_list *list, const char *network)
{
    struct network wanted;
    if (list == NULL || !network_parse(network, &wanted)) {
        return false;
    }
    /* From the first address on, each time past the widest entry that holds it. */
    struct ip next = wanted.base;
    const struct ip last = ip_end(&wanted.base, wanted.prefix, true);
    for (;;) {
        const struct network *found = NULL;
        for (size_t i = 0; i < list->used_count && found == NULL; i++) {
            found = network_list_find(list, list->used[i], &next);
        }
        if (found == NULL) {
            return false;
        }
        next = ip_end(&found->base, found->prefix, true);
        if (ip_compare(&next, &last) >= 0) {
            return true;
        }
        for (size_t i = IP_OCTETS; i-- > 0 && ++next.octets[i] == 0;) {
        }
    }
}
