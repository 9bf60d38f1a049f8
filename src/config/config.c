/*
 * Reads the configuration file into raw values, driven by the table of options. The only user of
 * libconfig. Defaults go the same way as the file's values: they are parsed from the table's text.
 * Everything is local to a call; several threads may load at once.
 */
#include "config/config.h"

#include <assert.h>
#include <libconfig.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "config/config_resolve.h"
#include "config/config_scan.h"
#include "config/config_token.h"
#include "config/option_advice.h"
#include "config/options.h"

enum {
    CONFIG_SIZE_MAX = 1 << 20, /* of the file itself: what is long belongs into a list's file */
    LIST_SIZE_MAX = 1 << 26,
    PATH_TEXT = 160,
    SHOWN_MAX = 80
};

struct loader {
    const char *path; /* the raw_config's own copy */
    struct raw_config *raw;
    struct config_messages *messages;
    const char *text; /* the file's, for what config_scan has kept from libconfig */
    bool cut;         /* it has been read to a fault in its structure only */
    bool defaults;    /* values come from the table, not from the file */
};

/* Where the value that is being stored comes from. */
struct source {
    const char *file;
    unsigned line;
};

static bool no_memory(struct loader *loader)
{
    loader->messages->no_memory = true;
    return false;
}

/* path: found FOUND, expected EXPECTED. */
static void report(struct loader *loader, struct source source, const char *path, const char *found,
                   const char *expected)
{
    config_messages_add(loader->messages, CONFIG_ERROR, source.file, source.line,
                        "%s: found %s, expected %s", path, found, expected);
}

/* The word or number in place of which config_scan has put a float. */
static struct token odd_token(const struct loader *loader, const config_setting_t *setting)
{
    struct token token = {.end = loader->text + (size_t)config_setting_get_float(setting)};
    token_next(&token);
    token_as_value(&token);
    return token;
}

static bool is_odd(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_FLOAT;
}

/* A value as it stands in the file, or what it is. */
static const char *describe(const struct loader *loader, const config_setting_t *setting,
                            char out[static CONFIG_QUOTED])
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(out, CONFIG_QUOTED, "%lld", config_setting_get_int64(setting));
        return out;
    case CONFIG_TYPE_FLOAT: {
        struct token token = odd_token(loader, setting);
        ptrdiff_t length = token.end - token.start;
        snprintf(out, CONFIG_QUOTED, "%.*s", (int)(length > SHOWN_MAX ? SHOWN_MAX : length),
                 token.start);
        return out;
    }
    case CONFIG_TYPE_BOOL:
        return config_setting_get_bool(setting) ? "true" : "false";
    case CONFIG_TYPE_STRING: {
        const char *text = config_setting_get_string(setting);
        return config_quote(text, strlen(text), out);
    }
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        return "a list";
    default:
        return "nothing";
    }
}

static bool is_integer(const config_setting_t *setting)
{
    int type = config_setting_type(setting);
    return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

static bool is_string(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_STRING;
}

/* A value that the option does not take, or an entry of its list. option NULL: it is a group. */
static void report_value(struct loader *loader, const char *path,
                         const struct config_option *option, const config_setting_t *setting,
                         bool entry)
{
    char found[CONFIG_QUOTED];
    char *advice = NULL;
    if (is_odd(setting)) {
        struct token token = odd_token(loader, setting);
        advice = option_advice_bare(option, token.start, (size_t)(token.end - token.start), entry);
    } else if (option == NULL) {
        advice = strdup("expected a group { }");
    } else if (entry) {
        advice = asprintf(&advice, "expected %s", option->expected) < 0 ? NULL : advice;
    } else {
        advice = option_advice_value(option, is_string(setting) ? config_setting_get_string(setting)
                                                                : NULL);
    }
    if (advice == NULL) {
        no_memory(loader);
        return;
    }
    config_messages_add(loader->messages, CONFIG_ERROR, loader->path,
                        config_setting_source_line(setting), "%s: found %s, %s", path,
                        describe(loader, setting, found), advice);
    free(advice);
}

static bool store_bool(const config_setting_t *setting, bool *place)
{
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL) {
        return false;
    }
    *place = config_setting_get_bool(setting);
    return true;
}

static bool store_int(const struct config_option *option, const config_setting_t *setting,
                      int *place)
{
    if (!is_integer(setting)) {
        return false;
    }
    long long value = config_setting_get_int64(setting);
    if (value < option->min || value > option->max) {
        return false;
    }
    *place = (int)value;
    return true;
}

static bool store_size(const struct config_option *option, const config_setting_t *setting,
                       size_t *place)
{
    if (!is_integer(setting)) {
        return false;
    }
    long long value = config_setting_get_int64(setting);
    if (value < option->min || value > option->max || (unsigned long long)value > SIZE_MAX) {
        return false;
    }
    *place = (size_t)value;
    return true;
}

static bool store_mode(const struct config_option *option, const config_setting_t *setting,
                       unsigned *place)
{
    const char *text = is_string(setting) ? config_setting_get_string(setting) : "";
    size_t digits = strspn(text, "01234567");
    unsigned long mode = digits >= 1 && digits <= 4 ? strtoul(text, NULL, 8) : 0;
    if (digits < 1 || digits > 4 || text[digits] != '\0' || mode > (unsigned long)option->max) {
        return false;
    }
    *place = (unsigned)mode;
    return true;
}

static bool store_word(const struct config_option *option, const config_setting_t *setting,
                       int *place)
{
    const char *text = is_string(setting) ? config_setting_get_string(setting) : NULL;
    for (const struct option_word *word = option->words; text != NULL && word->name != NULL;
         word++) {
        if (strcmp(word->name, text) == 0) {
            *place = word->value;
            return true;
        }
    }
    return false;
}

static bool store_text(struct loader *loader, const struct config_option *option,
                       const config_setting_t *setting, char **place)
{
    const char *text = is_string(setting) ? config_setting_get_string(setting) : NULL;
    enum status status = text == NULL ? STATUS_INVALID : option->check(text);
    char *copy = status == STATUS_OK ? strdup(text) : NULL;
    if (status == STATUS_NO_MEMORY || (status == STATUS_OK && copy == NULL)) {
        no_memory(loader);
        return true;
    }
    if (status != STATUS_OK) {
        return false;
    }
    free(*place);
    *place = copy;
    return true;
}

/* Makes room for one more; answers where it is. NULL: no memory. */
static void *grow(void **items, size_t *count, size_t *capacity, size_t size)
{
    if (*count == *capacity) {
        size_t wanted = *capacity == 0 ? 8 : 2 * *capacity;
        void *more = reallocarray(*items, wanted, size);
        if (more == NULL) {
            return NULL;
        }
        *items = more;
        *capacity = wanted;
    }
    return (char *)*items + (*count)++ * size;
}

static struct raw_domain *domain_add(struct loader *loader, struct source source)
{
    struct raw_config *raw = loader->raw;
    void *items = raw->domains;
    struct raw_domain *domain =
        grow(&items, &raw->domain_count, &raw->domain_capacity, sizeof *domain);
    raw->domains = items;
    if (domain == NULL) {
        no_memory(loader);
        return NULL;
    }
    *domain = raw->domain_default;
    domain->file = source.file;
    domain->line = source.line;
    return domain;
}

static void item_add(struct loader *loader, struct raw_list *list, const char *text,
                     struct source source)
{
    void *items = list->items;
    const char *copy = text_pool_add(&loader->raw->texts, text);
    struct raw_item *item =
        copy == NULL ? NULL : grow(&items, &list->count, &list->capacity, sizeof *item);
    list->items = items;
    if (item == NULL) {
        no_memory(loader);
        return;
    }
    *item = (struct raw_item){.text = copy, .file = source.file, .line = source.line};
}

/* One entry of a list, which lies in base, or a domain that is no more than a name. */
static void entry_add(struct loader *loader, const struct config_option *option, void *base,
                      const char *text, struct source source)
{
    char quoted[CONFIG_QUOTED];
    enum status status = option->check(text);
    if (status == STATUS_NO_MEMORY) {
        no_memory(loader);
    } else if (status != STATUS_OK) {
        report(loader, source, option->path, config_quote(text, strlen(text), quoted),
               option->expected);
    } else if (option->type == OPTION_DOMAINS) {
        struct raw_domain *domain = domain_add(loader, source);
        if (domain != NULL && (domain->name = strdup(text)) == NULL) {
            loader->raw->domain_count--;
            no_memory(loader);
        }
    } else {
        char *place = (char *)base + option->offset;
        item_add(loader, (struct raw_list *)(void *)place, text, source);
    }
}

/* Keeps a file's name for as long as the raw values. NULL: no memory. */
static const char *file_name(struct loader *loader, const char *path)
{
    struct raw_config *raw = loader->raw;
    char **files = reallocarray(raw->files, raw->file_count + 1, sizeof *files);
    if (files != NULL) {
        raw->files = files;
        files[raw->file_count] = strdup(path);
    }
    if (files == NULL || files[raw->file_count] == NULL) {
        no_memory(loader);
        return NULL;
    }
    return files[raw->file_count++];
}

static bool names_file(const char *text)
{
    return strncmp(text, "file:", 5) == 0;
}

/* The items of a file that stands in a list as "file:/path". */
static void file_add(struct loader *loader, const struct config_option *option, void *base,
                     const char *path, struct source source)
{
    struct config_place named = {.option = option->path, .file = source.file, .line = source.line};
    char quoted[CONFIG_QUOTED];
    char *text = NULL;
    size_t length = 0;
    if (path[0] != '/') {
        report(loader, source, option->path, config_quote(path, strlen(path), quoted),
               "an absolute path after \"file:\"");
        return;
    }
    const char *name = file_name(loader, path);
    if (name != NULL && config_file_read(path, LIST_SIZE_MAX, named, loader->messages, &text,
                                         &length) == STATUS_NO_MEMORY) {
        no_memory(loader);
    }
    char *at = text;
    struct source place = {.file = name, .line = 0};
    for (char *item; text != NULL && (item = config_file_item(&at, &place.line)) != NULL;) {
        if (names_file(item)) {
            report(loader, place, option->path, config_quote(item, strlen(item), quoted),
                   "an entry itself: only the configuration names files");
        } else {
            entry_add(loader, option, base, item, place);
        }
    }
    free(text);
}

static void string_add(struct loader *loader, const struct config_option *option, void *base,
                       const char *text, struct source source)
{
    if (names_file(text)) {
        file_add(loader, option, base, text + 5, source);
    } else {
        entry_add(loader, option, base, text, source);
    }
}

static void read_group(struct loader *loader, const config_setting_t *group, const char *prefix,
                       void *base);

/* Octets of a setting's name, without the number that config_scan has put behind it. */
static int name_length(const config_setting_t *setting)
{
    const char *name = config_setting_name(setting);
    return (int)(strrchr(name, '*') - name);
}

/* The first member of that name among the first count of a group. NULL: there is none. */
static const config_setting_t *find_member(const config_setting_t *group, int count,
                                           const char *name, int length)
{
    for (int i = 0; i < count; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        if (name_length(setting) == length &&
            strncmp(config_setting_name(setting), name, (size_t)length) == 0) {
            return setting;
        }
    }
    return NULL;
}

/* A domain with settings of its own. */
static void domain_group(struct loader *loader, const config_setting_t *group, struct source source)
{
    struct raw_domain *domain = domain_add(loader, source);
    if (domain == NULL) {
        return;
    }
    if (!loader->cut && find_member(group, config_setting_length(group), "name", 4) == NULL) {
        report(loader, source, "domains", "a group without name", "name = \"example.com\"");
    }
    read_group(loader, group, "domains", domain);
    if (domain->name == NULL) {
        raw_domain_free(domain); /* reported, or no memory */
        loader->raw->domain_count--;
    }
}

/* The entries of a list, which may be an array or a list of libconfig's. */
static bool store_list(struct loader *loader, const struct config_option *option,
                       const config_setting_t *setting, void *base)
{
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        return false;
    }
    for (int i = 0; i < config_setting_length(setting); i++) {
        const config_setting_t *entry = config_setting_get_elem(setting, (unsigned)i);
        struct source source = {loader->path, config_setting_source_line(entry)};
        if (is_string(entry)) {
            string_add(loader, option, base, config_setting_get_string(entry), source);
        } else if (option->type == OPTION_DOMAINS && config_setting_is_group(entry)) {
            domain_group(loader, entry, source);
        } else {
            report_value(loader, option->path, option, entry, true);
        }
    }
    return true;
}

/* False: the value is not what the option takes. */
static bool store(struct loader *loader, const struct config_option *option,
                  const config_setting_t *setting, void *base)
{
    void *place = (char *)base + option->offset;
    switch (option->type) {
    case OPTION_BOOL:
        return store_bool(setting, place);
    case OPTION_INT:
        return store_int(option, setting, place);
    case OPTION_SIZE:
        return store_size(option, setting, place);
    case OPTION_TEXT:
        return store_text(loader, option, setting, place);
    case OPTION_MODE:
        return store_mode(option, setting, place);
    case OPTION_WORD:
        return store_word(option, setting, place);
    case OPTION_LIST:
    case OPTION_DOMAINS:
        return store_list(loader, option, setting, base);
    }
    return false;
}

static void read_option(struct loader *loader, const struct config_option *option,
                        const config_setting_t *setting, void *base)
{
    struct source source = {loader->path, config_setting_source_line(setting)};
    size_t index = (size_t)(option - config_options);
    if (option->type == OPTION_LIST) {
        struct raw_list *list = (struct raw_list *)(void *)((char *)base + option->offset);
        list->count = 0;
        list->line = loader->defaults ? 0 : source.line;
    }
    if (!loader->defaults) {
        loader->raw->given[index].line = source.line;
    }
    if (!store(loader, option, setting, base)) {
        loader->raw->given[index].bad = true;
        report_value(loader, option->path, option, setting, false);
    }
}

static void report_unknown(struct loader *loader, const config_setting_t *setting,
                           const char *prefix, const char *path)
{
    char *advice = option_advice_name(prefix, path + strlen(prefix) + (prefix[0] != '\0'));
    if (advice == NULL) {
        no_memory(loader);
        return;
    }
    config_messages_add(loader->messages, CONFIG_ERROR, loader->path,
                        config_setting_source_line(setting), "%s: unknown name, %s", path, advice);
    free(advice);
}

/* A setting whose name is new to its group. */
static void read_setting(struct loader *loader, const config_setting_t *setting, const char *prefix,
                         const char *path, void *base)
{
    const struct config_option *option = option_find(path);
    if (option != NULL) {
        read_option(loader, option, setting, base);
    } else if (!option_is_group(path)) {
        report_unknown(loader, setting, prefix, path);
    } else if (!config_setting_is_group(setting)) {
        report_value(loader, path, NULL, setting, false);
    } else {
        read_group(loader, setting, path, base);
    }
}

/* The members of a group, prefix being its path. As deep as the table's paths, no more. */
static void read_group(struct loader *loader, const config_setting_t *group, const char *prefix,
                       void *base)
{
    char path[PATH_TEXT];
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(setting);
        int length = name_length(setting);
        const config_setting_t *former = find_member(group, i, name, length);
        snprintf(path, sizeof path, "%s%s%.*s", prefix, prefix[0] == '\0' ? "" : ".", length, name);
        if (former == NULL) {
            read_setting(loader, setting, prefix, path, base);
            continue;
        }
        config_messages_add(
            loader->messages, CONFIG_ERROR, loader->path, config_setting_source_line(setting),
            "%s: given twice, first in line %u", path, config_setting_source_line(former));
    }
}

/* Reads the option from a value by itself. False: it is no value. */
static bool read_value(struct loader *loader, const struct config_option *option, const char *value)
{
    void *base =
        option_is_member(option) ? (void *)&loader->raw->domain_default : (void *)loader->raw;
    char *text = NULL;
    config_t parsed;
    if (asprintf(&text, "value = %s;\n", value) < 0) {
        return no_memory(loader);
    }
    config_init(&parsed);
    bool ok = config_read_string(&parsed, text) == CONFIG_TRUE;
    if (ok) {
        read_option(loader, option, config_lookup(&parsed, "value"), base);
    }
    config_destroy(&parsed);
    free(text);
    return ok;
}

/* Gives every option its default: the table's texts, read as if they stood in a file. */
static void read_defaults(struct loader *loader)
{
    loader->defaults = true;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        bool ok = option->standard == NULL || read_value(loader, option, option->standard);
        assert(ok || loader->messages->no_memory);
        (void)ok;
    }
    loader->defaults = false;
}

/* Reads the file's text into raw values. */
static enum status read_text(struct loader *loader, const char *text)
{
    char *plain = NULL;
    config_t parsed;
    enum status status = config_scan(text, loader->path, loader->messages, &plain);
    if (status == STATUS_NO_MEMORY) {
        return status;
    }
    loader->text = text;
    loader->cut = status != STATUS_OK;
    read_defaults(loader);
    config_init(&parsed);
    if (config_read_string(&parsed, plain) == CONFIG_TRUE) {
        read_group(loader, config_root_setting(&parsed), "", loader->raw);
    } else {
        config_messages_add(loader->messages, CONFIG_ERROR, loader->path,
                            (unsigned)config_error_line(&parsed), "%s", config_error_text(&parsed));
    }
    config_destroy(&parsed);
    free(plain);
    if (!loader->cut) {
        config_cross_check(loader->raw, loader->path, loader->messages);
    }
    return STATUS_OK;
}

enum status config_load(const char *path, struct config **out, struct config_messages *messages)
{
    struct config_place itself = {.option = NULL, .file = path, .line = 0};
    size_t errors = messages->errors;
    size_t length = 0;
    char *text = NULL;
    struct loader loader = {.messages = messages, .raw = calloc(1, sizeof *loader.raw)};
    *out = NULL;
    messages->no_memory = false;
    enum status status = loader.raw == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK && (loader.path = file_name(&loader, path)) == NULL) {
        status = STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK) {
        status = config_file_read(path, CONFIG_SIZE_MAX, itself, messages, &text, &length);
    }
    if (status == STATUS_OK) {
        status = read_text(&loader, text);
    }
    if (status == STATUS_OK) {
        status = messages->errors > errors ? STATUS_INVALID : STATUS_OK;
        status = messages->no_memory ? STATUS_NO_MEMORY : status;
    }
    if (status == STATUS_OK) {
        status = config_resolve(loader.raw, path, out);
    }
    raw_config_free(loader.raw);
    free(text);
    return status;
}

/* What can be found of an option in a text that may be no configuration. */
static bool find_own(struct loader *loader, char *text, const char *name)
{
    const struct config_option *option = option_find(name);
    const char *start;
    size_t length;
    size_t errors = loader->messages->errors;
    if (text == NULL || !config_scan_string(text, name, &start, &length)) {
        return false;
    }
    char *value = strndup(start, length);
    bool read = value != NULL ? read_value(loader, option, value) : no_memory(loader);
    free(value);
    return read && loader->messages->errors == errors;
}

enum status config_load_own(const char *path, struct config **out, bool *found)
{
    static const char *const names[] = {"listen", "listen_mode", "listen_group", "user"};
    struct config_place itself = {.option = NULL, .file = path, .line = 0};
    struct config_messages ignored = {0};
    size_t length = 0;
    char *text = NULL;
    struct loader loader = {.messages = &ignored, .raw = calloc(1, sizeof *loader.raw)};
    *out = NULL;
    *found = false;
    enum status status = loader.raw == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK && (loader.path = file_name(&loader, path)) == NULL) {
        status = STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK) {
        (void)config_file_read(path, CONFIG_SIZE_MAX, itself, &ignored, &text, &length);
        read_defaults(&loader);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            (void)find_own(&loader, text, names[i]);
        }
        *found = find_own(&loader, text, "state_dir");
        status = ignored.no_memory ? STATUS_NO_MEMORY : config_resolve(loader.raw, path, out);
    }
    config_messages_free(&ignored);
    raw_config_free(loader.raw);
    free(text);
    return status;
}
