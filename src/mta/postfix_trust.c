/*
 * mynetworks is a list of networks, of "!" and a network, of files with such lists and of tables;
 * the first entry that matches decides. Of tables only cidr: and static: are read. What cannot be
 * read and is taken out is taken for everything; what cannot be read and is in it, for nothing.
 */
#include "mta/postfix_trust.h"

#include <stdlib.h>
#include <string.h>

#include "base/words.h"
#include "batv/match.h"
#include "mta/networks_file.h"
#include "mta/strangers.h"

struct entry {
    bool trusted;
    struct network_list *network; /* NULL: every address */
};

struct postfix_trust {
    struct entry *entries;
    size_t count;
    bool strangers;
};

void postfix_strip_brackets(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '[' && *from != ']') {
            *to++ = *from;
        }
    }
    *to = '\0';
}

/* Takes network over. False: no memory. */
static bool add_entry(struct postfix_trust *trust, bool trusted, struct network_list *network)
{
    struct entry *entries = reallocarray(trust->entries, trust->count + 1, sizeof *trust->entries);
    if (entries == NULL) {
        network_list_free(network);
        return false;
    }
    entries[trust->count++] = (struct entry){trusted, network};
    trust->entries = entries;
    return true;
}

static bool add_item(struct postfix_trust *trust, char *item)
{
    struct network_list *list = NULL;
    size_t bad;
    bool taken_out = item[0] == '!';
    char *written = item + taken_out;
    if (strncmp(written, "static:", 7) == 0) {
        return add_entry(trust, !taken_out, NULL);
    }
    postfix_strip_brackets(written);
    const char *network = written;
    enum status status = network_list_new(&network, 1, &list, &bad);
    if (status == STATUS_OK) {
        return add_entry(trust, !taken_out, list);
    }
    /* A file or a table that is taken out, perhaps with the address that will be asked for in it.
     */
    return status != STATUS_NO_MEMORY && (!taken_out || add_entry(trust, false, NULL));
}

static bool take_item(void *self, char *item)
{
    return add_item(self, item);
}

static bool add_file(struct postfix_trust *trust, const char *path)
{
    enum status status = networks_file_read(path, take_item, trust);
    return status == STATUS_OK || (status != STATUS_NO_MEMORY && add_entry(trust, false, NULL));
}

static bool trust_has(const void *list, const struct ip *ip)
{
    const struct postfix_trust *trust = list;
    for (size_t i = 0; i < trust->count; i++) {
        const struct entry *entry = &trust->entries[i];
        if (entry->network == NULL || network_list_match(entry->network, ip) != NULL) {
            return entry->trusted;
        }
    }
    return false;
}

struct postfix_trust *postfix_trust_new(const struct postfix *postfix)
{
    return postfix_trust_parse(postfix_get(postfix, "mynetworks"));
}

struct postfix_trust *postfix_trust_parse(const char *list)
{
    struct postfix_trust *trust = calloc(1, sizeof *trust);
    struct words words = {.items = NULL};
    bool done = trust != NULL && words_split(list, &words);
    for (size_t i = 0; i < words.count && done; i++) {
        char *item = words.items[i];
        bool table = strncmp(item, "cidr:/", 6) == 0;
        done = table || item[0] == '/' ? add_file(trust, table ? item + 5 : item)
                                       : add_item(trust, item);
    }
    words_free(&words);
    if (!done) {
        postfix_trust_free(trust);
        return NULL;
    }
    trust->strangers = holds_strangers(trust_has, trust);
    return trust;
}

void postfix_trust_free(struct postfix_trust *trust)
{
    for (size_t i = 0; trust != NULL && i < trust->count; i++) {
        network_list_free(trust->entries[i].network);
    }
    if (trust != NULL) {
        free(trust->entries);
    }
    free(trust);
}

bool postfix_trusts(const struct postfix_trust *trust, const char *address)
{
    struct ip ip;
    return trust != NULL && !trust->strangers && ip_parse(address, &ip) && trust_has(trust, &ip);
}

bool postfix_trusts_strangers(const struct postfix_trust *trust)
{
    return trust != NULL && trust->strangers;
}
