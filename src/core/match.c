/*
 * Lists of address patterns, host names and domains (networks: match_network.c). Almost every entry
 * of a real list is an exact name or everything of one domain, so those are kept sorted and found
 * by halving, whatever the list's length; a name's parent domains are looked up one after the
 * other. Patterns with other wildcards have an index of their own (match_wildcard.c). A list owns
 * copies of its entries, never changes once built, and may be used by any number of threads.
 */
#include "batv/match.h"

#include <stdlib.h>
#include <string.h>

#include "batv/address.h"
#include "batv/address_fold.h"
#include "batv/text_pool.h"
#include "match_wildcard.h"

enum { LABEL_MAX = 63, NAME_MAX_OCTETS = 253 }; /* RFC 1035 section 2.3.4, as text */

/* One entry: key is what is compared, in lower case; written is what the administrator wrote. */
struct name {
    const char *key;
    const char *written;
    size_t index;
};

struct names {
    struct name *items;
    size_t count;
    size_t capacity;
    struct text_pool texts; /* what items point to */
};

struct pattern_list {
    struct names exact;          /* without a wildcard */
    struct names domains;        /* *@DOM, by DOM */
    struct names parents;        /* *@*.DOM, by DOM */
    struct names wildcard;       /* the others, in the order in which they came */
    struct wildcards *wildcards; /* by their keys */
};

struct host_list {
    struct names exact;
    struct names parents; /* *.NAME, by NAME */
};

struct domain_list {
    struct names names; /* with the leading dot of those that have one */
};

static void names_free(struct names *names)
{
    text_pool_free(&names->texts);
    free(names->items);
}

static enum status names_add(struct names *names, const char *key, const char *written,
                             size_t index)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 8 : 2 * names->capacity;
        struct name *items = reallocarray(names->items, capacity, sizeof *items);
        if (items == NULL) {
            return STATUS_NO_MEMORY;
        }
        names->items = items;
        names->capacity = capacity;
    }
    /* Mostly what was written ends with the key, or is it. */
    struct name name = {.written = text_pool_add(&names->texts, written), .index = index};
    size_t before = strlen(written) - strlen(key);
    if (name.written != NULL) {
        bool within = strlen(key) <= strlen(written) && strcmp(written + before, key) == 0;
        name.key = within ? name.written + before : text_pool_add(&names->texts, key);
    }
    if (name.key == NULL) {
        return STATUS_NO_MEMORY;
    }
    names->items[names->count++] = name;
    return STATUS_OK;
}

static int name_compare(const void *a, const void *b)
{
    const struct name *first = a;
    const struct name *second = b;
    int order = strcmp(first->key, second->key);
    if (order == 0) {
        order = (first->index > second->index) - (first->index < second->index);
    }
    return order;
}

static void names_sort(struct names *names)
{
    if (names->count > 1) {
        qsort(names->items, names->count, sizeof *names->items, name_compare);
    }
}

/* A piece of a longer string, in any case, compared with a key. */
static int piece_compare(const char *text, size_t length, const char *key)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char a = (unsigned char)ascii_lower(text[i]);
        unsigned char b = (unsigned char)key[i];
        if (a != b) {
            return a < b ? -1 : 1; /* also where key ends: its NUL is less than any octet of text */
        }
    }
    return key[length] == '\0' ? 0 : -1;
}

/* Of equal entries the first in the list. */
static const struct name *names_find(const struct names *names, const char *text, size_t length)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (piece_compare(text, length, names->items[middle].key) > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < names->count && piece_compare(text, length, names->items[low].key) == 0;
    return found ? &names->items[low] : NULL;
}

/* The entry for the nearest domain that text is below. */
static const struct name *names_find_parent(const struct names *names, const char *text,
                                            size_t length)
{
    const struct name *found = NULL;
    for (size_t i = 0; names->count > 0 && i < length && found == NULL; i++) {
        if (text[i] == '.') {
            found = names_find(names, text + i + 1, length - i - 1);
        }
    }
    return found;
}

/* Adds the entries to the list, which is NULL where there was no memory for it. *bad: the last one
 * that was tried. */
static enum status add_all(void *list,
                           enum status (*add)(void *list, const char *entry, size_t index),
                           const char *const entries[], size_t count, size_t *bad)
{
    enum status status = list == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = add(list, entries[i], i);
        *bad = i;
    }
    return status;
}

static const char *name_written(const struct name *name)
{
    return name == NULL ? NULL : name->written;
}

/* The length of a host name less its final dot. */
static size_t host_length(const char *host)
{
    size_t length = strlen(host);
    return length > 0 && host[length - 1] == '.' ? length - 1 : length;
}

/* Labels of letters, digits, - and _: underscores are no part of a host name and yet in use. */
static bool is_domain_name(const char *name)
{
    size_t label = 0;
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_OCTETS) {
        return false;
    }
    for (size_t i = 0; i <= length; i++) {
        char c = ascii_lower(name[i]);
        if (c == '.' || c == '\0') {
            if (label == 0 || label > LABEL_MAX) {
                return false;
            }
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

static bool is_pattern(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || text[0] == ' ' || text[length - 1] == ' ' ||
        (text[0] == '<' && text[length - 1] == '>')) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7F) {
            return false;
        }
    }
    return true;
}

/* Appends a label of a pattern's domain to out: as A-label where it has other letters and no `*`.
 */
static bool label_append(char **out, const char *label, size_t length)
{
    char *copy = strndup(label, length);
    char *ascii = NULL;
    char *joined = NULL;
    if (copy == NULL) {
        return false;
    }
    if (!ascii_only(copy, length) && strchr(copy, '*') == NULL) {
        ascii = address_domain_ascii(copy);
    } else {
        ascii = strdup(copy);
    }
    size_t before = strlen(*out);
    if (ascii != NULL && (joined = malloc(before + strlen(ascii) + 2)) != NULL) {
        memcpy(joined, *out, before);
        memcpy(joined + before, ascii, strlen(ascii) + 1);
        free(*out);
        *out = joined;
    }
    free(ascii);
    free(copy);
    return joined != NULL;
}

/* The pattern as it is compared: the local part folded as that of an address, the domain's labels
 * as A-labels, in lower case. NULL: no memory. */
static char *pattern_key(const char *pattern)
{
    const char *at = strrchr(pattern, '@');
    const char *domain = at != NULL ? at : pattern + strlen(pattern);
    bool ascii = ascii_only(domain, strlen(domain));
    const char *label = ascii ? NULL : domain + 1;
    char *key = address_fold_local(pattern, (size_t)(domain - pattern));
    bool ok = key != NULL && label_append(&key, domain, ascii ? strlen(domain) : 1);
    while (ok && label != NULL) {
        const char *dot = strchr(label, '.');
        ok = label_append(&key, label, dot == NULL ? strlen(label) : (size_t)(dot - label));
        ok = ok && (dot == NULL || label_append(&key, ".", 1));
        label = dot == NULL ? NULL : dot + 1;
    }
    if (!ok) {
        free(key);
        return NULL;
    }
    for (char *c = key; *c != '\0'; c++) {
        *c = ascii_lower(*c);
    }
    return key;
}

static enum status pattern_add(void *into, const char *pattern, size_t index)
{
    struct pattern_list *list = into;
    enum status status = STATUS_NO_MEMORY;
    if (!is_pattern(pattern)) {
        return STATUS_INVALID;
    }
    char *key = pattern_key(pattern);
    if (key != NULL) {
        struct names *names = &list->wildcard;
        const char *what = key;
        if (strchr(key, '*') == NULL) {
            names = &list->exact;
        } else if (strncmp(key, "*@*.", 4) == 0 && key[4] != '\0' &&
                   strpbrk(key + 4, "*@") == NULL) {
            names = &list->parents;
            what = key + 4;
        } else if (strncmp(key, "*@", 2) == 0 && key[2] != '\0' && strpbrk(key + 2, "*@") == NULL) {
            names = &list->domains;
            what = key + 2;
        }
        status = names_add(names, what, pattern, index);
    }
    free(key);
    return status;
}

static enum status pattern_list_index(struct pattern_list *list)
{
    const struct names *names = &list->wildcard;
    const char **keys = calloc(names->count + 1, sizeof *keys);
    if (keys == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < names->count; i++) {
        keys[i] = names->items[i].key;
    }
    enum status status = wildcards_new(keys, names->count, &list->wildcards);
    free(keys);
    names_sort(&list->exact);
    names_sort(&list->domains);
    names_sort(&list->parents);
    return status;
}

enum status pattern_list_new(const char *const entries[], size_t count, struct pattern_list **out,
                             size_t *bad)
{
    struct pattern_list *list = calloc(1, sizeof *list);
    enum status status = add_all(list, pattern_add, entries, count, bad);
    if (status == STATUS_OK) {
        status = pattern_list_index(list);
    }
    if (status != STATUS_OK) {
        pattern_list_free(list);
        list = NULL;
    }
    *out = list;
    return status;
}

void pattern_list_free(struct pattern_list *list)
{
    if (list == NULL) {
        return;
    }
    names_free(&list->exact);
    names_free(&list->domains);
    names_free(&list->parents);
    names_free(&list->wildcard);
    wildcards_free(list->wildcards);
    free(list);
}

const char *pattern_list_match(const struct pattern_list *list, const char *plain)
{
    if (list == NULL) {
        return NULL;
    }
    const char *at = strrchr(plain, '@');
    const struct name *found = names_find(&list->exact, plain, strlen(plain));
    if (found == NULL && at != NULL) {
        found = names_find(&list->domains, at + 1, strlen(at + 1));
    }
    if (found == NULL && at != NULL) {
        found = names_find_parent(&list->parents, at + 1, strlen(at + 1));
    }
    if (found == NULL) {
        long index = wildcards_find(list->wildcards, plain);
        found = index < 0 ? NULL : &list->wildcard.items[index];
    }
    return name_written(found);
}

const char *pattern_list_match_host(const struct pattern_list *list, const char *host)
{
    const struct name *found = NULL;
    if (list == NULL || host == NULL) {
        return NULL;
    }
    size_t length = host_length(host);
    for (size_t i = 0; i < length && found == NULL; i++) {
        if (i == 0 || host[i - 1] == '.') {
            found = names_find(&list->domains, host + i, length - i);
            found = found != NULL ? found : names_find(&list->parents, host + i, length - i);
        }
    }
    return name_written(found);
}

static enum status host_add(void *into, const char *host, size_t index)
{
    struct host_list *list = into;
    bool parent = strncmp(host, "*.", 2) == 0;
    struct ip ip;
    char *ascii = address_domain_ascii(parent ? host + 2 : host);
    enum status status = STATUS_INVALID;
    if (ascii == NULL) {
        return STATUS_NO_MEMORY;
    }
    /* An address looks like a name but never is one: most likely it was meant as a network. */
    if (is_domain_name(ascii) && !ip_parse(ascii, &ip)) {
        status = names_add(parent ? &list->parents : &list->exact, ascii, host, index);
    }
    free(ascii);
    return status;
}

enum status host_list_new(const char *const entries[], size_t count, struct host_list **out,
                          size_t *bad)
{
    struct host_list *list = calloc(1, sizeof *list);
    enum status status = add_all(list, host_add, entries, count, bad);
    if (status == STATUS_OK) {
        names_sort(&list->exact);
        names_sort(&list->parents);
    } else {
        host_list_free(list);
        list = NULL;
    }
    *out = list;
    return status;
}

void host_list_free(struct host_list *list)
{
    if (list == NULL) {
        return;
    }
    names_free(&list->exact);
    names_free(&list->parents);
    free(list);
}

const char *host_list_match(const struct host_list *list, const char *host)
{
    if (list == NULL || host == NULL) {
        return NULL;
    }
    size_t length = host_length(host);
    const struct name *found = names_find(&list->exact, host, length);
    if (found == NULL) {
        found = names_find_parent(&list->parents, host, length);
    }
    return name_written(found);
}

/* The first entry that repeats an earlier one. */
static bool names_repeat(const struct names *names, size_t *bad)
{
    bool found = false;
    for (size_t i = 1; i < names->count; i++) {
        const struct name *name = &names->items[i];
        if (strcmp(name->key, names->items[i - 1].key) == 0 && (!found || name->index < *bad)) {
            *bad = name->index;
            found = true;
        }
    }
    return found;
}

static enum status domain_add(void *into, const char *domain, size_t index)
{
    struct domain_list *list = into;
    const char *name = domain[0] == '.' ? domain + 1 : domain;
    bool fits = is_domain_name(name) || address_is_literal(domain);
    return fits ? names_add(&list->names, domain, domain, index) : STATUS_INVALID;
}

enum status domain_list_new(const char *const entries[], size_t count, struct domain_list **out,
                            size_t *bad)
{
    struct domain_list *list = calloc(1, sizeof *list);
    enum status status = add_all(list, domain_add, entries, count, bad);
    if (status == STATUS_OK) {
        names_sort(&list->names);
        status = names_repeat(&list->names, bad) ? STATUS_CONFLICT : STATUS_OK;
    }
    if (status != STATUS_OK) {
        domain_list_free(list);
        list = NULL;
    }
    *out = list;
    return status;
}

void domain_list_free(struct domain_list *list)
{
    if (list == NULL) {
        return;
    }
    names_free(&list->names);
    free(list);
}

long domain_list_find(const struct domain_list *list, const char *ascii)
{
    if (list == NULL || ascii[0] == '.') {
        return -1;
    }
    size_t length = strlen(ascii);
    const struct name *found = names_find(&list->names, ascii, length);
    for (size_t i = 1; i < length && found == NULL; i++) {
        if (ascii[i] == '.') {
            found = names_find(&list->names, ascii + i, length - i);
        }
    }
    return found == NULL ? -1 : (long)found->index;
}

long domain_list_entry(const struct domain_list *list, const char *name)
{
    const struct name *found = list == NULL ? NULL : names_find(&list->names, name, strlen(name));
    return found == NULL ? -1 : (long)found->index;
}
