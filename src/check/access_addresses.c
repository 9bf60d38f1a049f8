/*
 * A table that is indexed names its keys; others are known by the text file that they are read or
 * made from. Databases name nothing, but can be asked for whatever the tables of recipients know.
 * Only whole addresses in domains of ours are taken; a key for a local part in any domain, or part
 * of an address, is completed by the first of our domains.
 */
#include "check/access_addresses.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "mta/pattern_sample.h"

#define SOMEBODY "batvd-check"

enum { FILE_MAX = 4 << 20, KNOWN_MAX = 2000 };

void addresses_free(struct addresses *addresses)
{
    words_free(&addresses->list);
}

static const char *first_domain(const struct check *check)
{
    const struct settings *settings = check->config->settings;
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (settings->domain[i].name[0] != '.') {
            return settings->domain[i].name;
        }
    }
    return NULL;
}

/* A key or sample as an address of ours, if it can be one. */
static void add_key(struct check *check, const char *key, size_t most, struct addresses *out)
{
    const char *at = strrchr(key, '@');
    const char *domain = at != NULL && at[1] != '\0' ? at + 1 : first_domain(check);
    if (at == NULL || at == key || domain == NULL || strchr(key, '\n') != NULL ||
        !check_is_ours(check, domain)) {
        return;
    }
    if (out->list.count >= most) {
        out->more = true;
        return;
    }
    char *address = mend_text("%.*s@%s", (int)(at - key), key, domain);
    if (address == NULL || !words_add(&out->list, address)) {
        check->no_memory = true;
    }
    free(address);
}

/* A text that a pattern matches may be a whole address or any part of one. */
static void add_sample(struct check *check, const char *sample, struct addresses *out)
{
    const char *domain = first_domain(check);
    char *begun = mend_text("%s%s", sample[0] == '@' ? SOMEBODY : "", sample);
    char *alone = mend_text("%s@%s", sample, domain != NULL ? domain : "");
    char *behind = mend_text(SOMEBODY "@%s", sample);
    bool whole = strchr(sample, '@') != NULL;
    if (begun != NULL && alone != NULL && behind != NULL) {
        add_key(check, whole ? begun : alone, ADDRESSES_MAX, out);
        if (!whole) {
            add_key(check, behind, ADDRESSES_MAX, out);
        }
    } else {
        check->no_memory = true;
    }
    free(begun);
    free(alone);
    free(behind);
}

static void add_pattern(struct check *check, const char *line, size_t number, struct addresses *out)
{
    struct words samples = {.items = NULL};
    switch (pattern_samples(line, &samples)) {
    case PATTERN_UNKNOWN:
        out->line = out->unread == 0 ? number : out->line;
        out->unread++;
        break;
    case PATTERN_NO_MEMORY:
        check->no_memory = true;
        break;
    case PATTERN_NONE:
    case PATTERN_READ:
        break;
    }
    for (size_t i = 0; i < samples.count; i++) {
        add_sample(check, samples.items[i], out);
    }
    words_free(&samples);
}

/* The lines of a file: patterns, or keys with their values. */
static bool add_file(struct check *check, const char *path, bool patterns, struct addresses *out)
{
    struct config_messages messages = {.items = NULL};
    const struct config_place named = {.file = path};
    size_t length = 0;
    size_t number = 0;
    char *text = NULL;
    enum status status = config_file_read(path, FILE_MAX, named, &messages, &text, &length);
    config_messages_free(&messages);
    char *rest = status == STATUS_OK ? text : NULL;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        number++;
        if (patterns) {
            add_pattern(check, line, number, out);
        } else if (line[0] != '#') {
            line[strcspn(line, " \t")] = '\0';
            add_key(check, line, ADDRESSES_MAX, out);
        }
    }
    free(text);
    return status == STATUS_OK;
}

static bool has_type(const char *table, const char *type)
{
    size_t length = strlen(type);
    return strncmp(table, type, length) == 0 && table[length] == ':';
}

static bool add_keys(struct check *check, const char *table, size_t most, struct addresses *out)
{
    char *text = NULL;
    struct reason why;
    enum status status = postfix_list(check->postfix, table, &text, &why);
    check->no_memory = check->no_memory || status == STATUS_NO_MEMORY;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        line[strcspn(line, "\t")] = '\0';
        add_key(check, line, most, out);
    }
    free(text);
    return status == STATUS_OK;
}

bool addresses_add_table(struct check *check, const char *table, struct addresses *out)
{
    const char *path = strchr(table, ':');
    bool patterns = has_type(table, "pcre") || has_type(table, "regexp");
    if (!patterns && add_keys(check, table, ADDRESSES_MAX, out)) {
        return true;
    }
    bool file = patterns || has_type(table, "cdb") || has_type(table, "texthash");
    return file && path != NULL && path[1] == '/' && add_file(check, path + 1, patterns, out);
}

void addresses_add_known(struct check *check, struct addresses *out)
{
    static const char *const parameters[] = {"virtual_alias_maps", "virtual_mailbox_maps",
                                             "relay_recipient_maps"};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        struct words tables = {.items = NULL};
        if (!words_split(postfix_get(check->postfix, parameters[i]), &tables)) {
            check->no_memory = true;
        }
        for (size_t k = 0; k < tables.count; k++) {
            size_t most = out->list.count + KNOWN_MAX;
            bool more = out->more;
            add_keys(check, postfix_without_proxy(tables.items[k]),
                     most < ADDRESSES_MAX ? most : ADDRESSES_MAX, out);
            out->more = more; /* it is the access table that has to be seen whole */
        }
        words_free(&tables);
    }
}
