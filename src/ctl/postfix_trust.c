/*
 * mynetworks is a list of networks, of "!" and a network, of files with such lists and of tables;
 * the first entry that matches decides. Of tables only cidr: is read.
 */
#include "ctl/postfix_trust.h"

#include <stdlib.h>
#include <string.h>

#include "batv/match.h"
#include "ctl/words.h"
#include "io/config_file.h"
#include "io/config_messages.h"

enum trust { TRUST_PASSES, TRUST_YES, TRUST_NO };

enum { FILE_MAX = 1 << 20 };

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

static bool network_has(const char *network, const struct ip *ip)
{
    struct network_list *list = NULL;
    size_t bad;
    bool has = network_list_new(&network, 1, &list, &bad) == STATUS_OK &&
               network_list_match(list, ip) != NULL;
    network_list_free(list);
    return has;
}

static enum trust ask_item(char *item, const struct ip *ip)
{
    bool taken_out = item[0] == '!';
    char *network = item + taken_out;
    postfix_strip_brackets(network);
    if (taken_out && strspn(network, "0123456789abcdefABCDEF.:/") != strlen(network)) {
        return TRUST_NO; /* a file or a table is taken out, perhaps with this address in it */
    }
    if (!network_has(network, ip)) {
        return TRUST_PASSES;
    }
    return taken_out ? TRUST_NO : TRUST_YES;
}

static enum trust ask_file(const char *path, const struct ip *ip)
{
    struct config_messages messages = {.items = NULL};
    const struct config_place named = {.file = path};
    enum trust trust = TRUST_PASSES;
    unsigned line = 0;
    size_t length = 0;
    char *text = NULL;
    if (config_file_read(path, FILE_MAX, named, &messages, &text, &length) != STATUS_OK) {
        text = NULL;
        trust = TRUST_NO;
    }
    char *at = text;
    for (char *item = at != NULL ? config_file_item(&at, &line) : NULL;
         item != NULL && trust == TRUST_PASSES; item = config_file_item(&at, &line)) {
        item[strcspn(item, " \t,")] = '\0';
        trust = ask_item(item, ip);
    }
    free(text);
    config_messages_free(&messages);
    return trust;
}

bool postfix_trusts(const struct postfix *postfix, const char *address)
{
    struct words words = {.items = NULL};
    struct ip ip;
    enum trust trust = TRUST_PASSES;
    if (!ip_parse(address, &ip) || !words_split(postfix_get(postfix, "mynetworks"), &words)) {
        words_free(&words);
        return false;
    }
    for (size_t i = 0; i < words.count && trust == TRUST_PASSES; i++) {
        char *item = words.items[i];
        bool table = strncmp(item, "cidr:/", 6) == 0;
        trust =
            table || item[0] == '/' ? ask_file(table ? item + 5 : item, &ip) : ask_item(item, &ip);
    }
    words_free(&words);
    return trust == TRUST_YES;
}
