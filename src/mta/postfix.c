/*
 * Postfix's settings, read once when opened: `postconf` for main.cf as it stands there, `postconf
 * -x` for the same with every $name replaced, `postconf -M` and `postconf -Px` for master.cf. All
 * strings belong to struct postfix, which never changes. One thread.
 */
#include "mta/postfix.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/print.h"
#include "base/program.h"
#include "base/words.h"

/* name = value; for master.cf the name is SERVICE/TYPE/NAME. */
struct setting {
    char *name;
    char *value;
};

struct settings_list {
    struct setting *items;
    size_t count;
};

struct postfix {
    char *postconf; /* paths of the programs */
    char *postmap;
    char *place; /* "" or " -c DIR" */
    struct settings_list raw;
    struct settings_list expanded;
    struct settings_list overrides;
    struct postfix_service *services;
    size_t service_count;
};

static enum status no_memory(struct reason *why)
{
    return reason_set(why, STATUS_NO_MEMORY, "out of memory");
}

/* Makes room for one more item of an array. NULL: no memory, and the array is as it was. */
static void *grown(void *items, size_t count, size_t size)
{
    /* In steps of powers of two: there are a thousand parameters. */
    return (count & (count - 1)) == 0 ? realloc(items, (count == 0 ? 1 : 2 * count) * size) : items;
}

/* What a program complained about: the line that says why it ended, or its first one. */
static enum status complaint(const char *name, const struct program_output *output,
                             struct reason *why)
{
    const char *line = strstr(output->err, "fatal: ");
    line = line != NULL ? line : output->err;
    return reason_set(why, STATUS_IO, "%s: %.*s", name, (int)strcspn(line, "\n"),
                      *line != '\0' ? line : "ended with an error");
}

/* Runs postconf; *text is what it says, the caller frees. */
static enum status ask(const struct postfix *postfix, const char *option, char **text,
                       struct reason *why)
{
    const char *const argv[] = {postfix->postconf, option, NULL};
    struct program_output output;
    enum status status = program_run(argv, NULL, &output, why);
    *text = NULL;
    if (status != STATUS_OK) {
        return status;
    }
    if (output.exit != 0) {
        status = complaint("postconf", &output, why);
    } else {
        *text = output.out;
        output.out = NULL;
    }
    program_output_free(&output);
    return status;
}

/* Cuts the next line off. NULL: no more. */
static char *next_line(char **text)
{
    return *text != NULL && **text != '\0' ? strsep(text, "\n") : NULL;
}

static int setting_compare(const void *a, const void *b)
{
    const struct setting *x = a;
    const struct setting *y = b;
    return strcmp(x->name, y->name);
}

static bool settings_add(struct settings_list *list, const char *name, size_t length,
                         const char *value)
{
    struct setting *items = grown(list->items, list->count, sizeof *items);
    if (items == NULL) {
        return false;
    }
    list->items = items;
    struct setting *item = &items[list->count];
    item->name = strndup(name, length);
    item->value = strdup(value);
    list->count++; /* half an item is freed with the list */
    return item->name != NULL && item->value != NULL;
}

/* Takes lines "name = value" in. */
static enum status settings_read(struct settings_list *list, char *text, struct reason *why)
{
    char *rest = text;
    for (char *line = next_line(&rest); line != NULL; line = next_line(&rest)) {
        const char *equals = strstr(line, " =");
        const char *value = equals != NULL ? equals + 2 : NULL;
        if (value != NULL &&
            !settings_add(list, line, (size_t)(equals - line), value + strspn(value, " "))) {
            return no_memory(why);
        }
    }
    if (list->count > 0) {
        qsort(list->items, list->count, sizeof *list->items, setting_compare);
    }
    return STATUS_OK;
}

static enum status settings_ask(const struct postfix *postfix, const char *option,
                                struct settings_list *list, struct reason *why)
{
    char *text;
    enum status status = ask(postfix, option, &text, why);
    if (status == STATUS_OK) {
        status = settings_read(list, text, why);
    }
    free(text);
    return status;
}

static int name_compare(const void *name, const void *item)
{
    const struct setting *setting = item;
    return strcmp(name, setting->name);
}

static const char *settings_find(const struct settings_list *list, const char *name)
{
    const struct setting *found =
        list->count > 0 ? bsearch(name, list->items, list->count, sizeof *list->items, name_compare)
                        : NULL;
    return found != NULL ? found->value : NULL;
}

static void settings_clear(struct settings_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].value);
    }
    free(list->items);
}

/* Until compatibility level 1 a service ran in a chroot unless master.cf said "n". */
static bool chroot_by_default(const struct postfix *postfix)
{
    return strtol(postfix_get(postfix, "compatibility_level"), NULL, 10) < 1;
}

static bool service_fill(struct postfix_service *service, const char *line,
                         const struct words *fields, bool by_default)
{
    /* service type private unprivileged chroot wakeup processes command ... */
    enum { NAME, TYPE, CHROOT = 4, COMMAND = 7 };
    const char *chroot = fields->items[CHROOT];
    const char *argv = strstr(line, " argv=");
    bool runs = argv != NULL && strcmp(fields->items[COMMAND], "pipe") == 0;
    service->name = strdup(fields->items[NAME]);
    service->type = strdup(fields->items[TYPE]);
    service->command = strdup(fields->items[COMMAND]);
    service->argv = runs ? strdup(argv + strlen(" argv=")) : NULL;
    service->chroot = chroot[0] == '-' ? by_default : chroot[0] == 'y';
    return service->name != NULL && service->type != NULL && service->command != NULL &&
           (service->argv != NULL || !runs);
}

/* Takes in a line of master.cf. False: no memory. */
static bool service_add(struct postfix *postfix, const char *line)
{
    struct words fields = {.items = NULL};
    bool done = words_split(line, &fields);
    if (done && fields.count >= 8) {
        struct postfix_service *services =
            grown(postfix->services, postfix->service_count, sizeof *services);
        if (services != NULL) {
            postfix->services = services;
            done = service_fill(&services[postfix->service_count++], line, &fields,
                                chroot_by_default(postfix));
        } else {
            done = false;
        }
    }
    words_free(&fields);
    return done;
}

static enum status services_ask(struct postfix *postfix, struct reason *why)
{
    char *text;
    enum status status = ask(postfix, "-M", &text, why);
    char *rest = text;
    char *line;
    while (status == STATUS_OK && (line = next_line(&rest)) != NULL) {
        if (!service_add(postfix, line)) {
            status = no_memory(why);
        }
    }
    free(text);
    return status;
}

static enum status set_place(struct postfix *postfix, struct reason *why)
{
    const char *folder = postfix_get(postfix, "config_directory");
    if (*folder == '\0' || strcmp(folder, "/etc/postfix") == 0) {
        postfix->place = strdup("");
    } else {
        char *quoted = program_quote(folder);
        if (quoted == NULL || asprintf(&postfix->place, " -c %s", quoted) < 0) {
            postfix->place = NULL;
        }
        free(quoted);
    }
    return postfix->place != NULL ? STATUS_OK : no_memory(why);
}

/* postmap stands beside postconf. */
static enum status find_programs(struct postfix *postfix, struct reason *why)
{
    postfix->postconf = program_find("postconf");
    if (postfix->postconf == NULL) {
        return reason_set(why, STATUS_NOT_FOUND, "Postfix is not installed: no postconf in PATH");
    }
    const char *slash = strrchr(postfix->postconf, '/');
    if (asprintf(&postfix->postmap, "%.*s/postmap", (int)(slash - postfix->postconf),
                 postfix->postconf) < 0) {
        postfix->postmap = NULL;
        return no_memory(why);
    }
    return STATUS_OK;
}

enum status postfix_open(struct postfix **out, struct reason *why)
{
    struct postfix *postfix = calloc(1, sizeof *postfix);
    enum status status = postfix != NULL ? find_programs(postfix, why) : no_memory(why);
    if (status == STATUS_OK) {
        status = settings_ask(postfix, NULL, &postfix->raw, why);
    }
    if (status == STATUS_OK) {
        status = settings_ask(postfix, "-x", &postfix->expanded, why);
    }
    if (status == STATUS_OK) {
        status = services_ask(postfix, why);
    }
    if (status == STATUS_OK) {
        status = settings_ask(postfix, "-Px", &postfix->overrides, why);
    }
    if (status == STATUS_OK) {
        status = set_place(postfix, why);
    }
    if (status != STATUS_OK) {
        postfix_free(postfix);
        postfix = NULL;
    }
    *out = postfix;
    return status;
}

void postfix_free(struct postfix *postfix)
{
    if (postfix == NULL) {
        return;
    }
    for (size_t i = 0; i < postfix->service_count; i++) {
        free(postfix->services[i].name);
        free(postfix->services[i].type);
        free(postfix->services[i].command);
        free(postfix->services[i].argv);
    }
    free(postfix->services);
    settings_clear(&postfix->raw);
    settings_clear(&postfix->expanded);
    settings_clear(&postfix->overrides);
    free(postfix->place);
    free(postfix->postconf);
    free(postfix->postmap);
    free(postfix);
}

const char *postfix_get(const struct postfix *postfix, const char *name)
{
    const char *value = settings_find(&postfix->expanded, name);
    return value != NULL ? value : "";
}

const char *postfix_get_raw(const struct postfix *postfix, const char *name)
{
    const char *value = settings_find(&postfix->raw, name);
    return value != NULL ? value : "";
}

bool postfix_is_yes(const struct postfix *postfix, const char *name)
{
    return strcasecmp(postfix_get(postfix, name), "yes") == 0;
}

const char *postfix_place(const struct postfix *postfix)
{
    return postfix->place;
}

char *postfix_instance_get(const struct postfix *postfix, const char *folder, const char *name)
{
    const char *const argv[] = {postfix->postconf, "-c", folder, "-xh", name, NULL};
    struct program_output output;
    struct reason why;
    if (program_run(argv, NULL, &output, &why) != STATUS_OK) {
        return NULL;
    }
    char *value = NULL;
    if (output.exit == 0) {
        output.out[strcspn(output.out, "\n")] = '\0';
        value = output.out;
        output.out = NULL;
    }
    program_output_free(&output);
    return value;
}

const struct postfix_service *postfix_services(const struct postfix *postfix, size_t *count)
{
    *count = postfix->service_count;
    return postfix->services;
}

const char *postfix_override(const struct postfix *postfix, const struct postfix_service *service,
                             const char *name)
{
    char *key = NULL;
    const char *value = NULL;
    if (asprintf(&key, "%s/%s/%s", service->name, service->type, name) >= 0) {
        value = settings_find(&postfix->overrides, key);
        free(key);
    }
    return value;
}

const char *postfix_service_get(const struct postfix *postfix,
                                const struct postfix_service *service, const char *name)
{
    const char *value = postfix_override(postfix, service, name);
    return value != NULL ? value : postfix_get(postfix, name);
}

/* postmap answers "KEY<tab>VALUE" for each key that it finds, in their order. */
static bool take_answers(char *text, const char *const keys[], size_t count, char *answers[])
{
    char *rest = text;
    size_t i = 0;
    for (char *line = next_line(&rest); line != NULL; line = next_line(&rest)) {
        size_t at = i;
        size_t length = 0;
        for (; at < count; at++) {
            length = strlen(keys[at]);
            if (strncmp(line, keys[at], length) == 0 && line[length] == '\t') {
                break;
            }
        }
        if (at == count) {
            continue; /* a further line of a value that has several */
        }
        answers[at] = strdup(line + length + 1);
        if (answers[at] == NULL) {
            return false;
        }
        i = at + 1;
    }
    return true;
}

static char *join_lines(const char *const lines[], size_t count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++) {
        size += strlen(lines[i]) + 1;
    }
    char *text = malloc(size);
    char *to = text;
    for (size_t i = 0; text != NULL && i < count; i++) {
        to = stpcpy(stpcpy(to, lines[i]), "\n");
    }
    if (text != NULL) {
        *to = '\0';
    }
    return text;
}

enum status postfix_lookup(const struct postfix *postfix, const char *table,
                           const char *const keys[], size_t count, char *answers[],
                           struct reason *why)
{
    const char *const argv[] = {postfix->postmap, "-q", "-", table, NULL};
    struct program_output output = {.out = NULL};
    for (size_t i = 0; i < count; i++) {
        answers[i] = NULL;
    }
    char *input = join_lines(keys, count);
    enum status status = input != NULL ? program_run(argv, input, &output, why) : no_memory(why);
    if (status == STATUS_OK && output.exit != 0 && strstr(output.err, "fatal: ") != NULL) {
        status = complaint("postmap", &output, why); /* else none of the keys was found */
    } else if (status == STATUS_OK && !take_answers(output.out, keys, count, answers)) {
        for (size_t i = 0; i < count; i++) {
            free(answers[i]);
            answers[i] = NULL;
        }
        status = no_memory(why);
    }
    program_output_free(&output);
    free(input);
    return status;
}

enum status postfix_list(const struct postfix *postfix, const char *table, char **text,
                         struct reason *why)
{
    const char *const argv[] = {postfix->postmap, "-s", table, NULL};
    struct program_output output = {.out = NULL};
    enum status status = program_run(argv, NULL, &output, why);
    *text = NULL;
    if (status == STATUS_OK && output.exit != 0) {
        bool listable = strstr(output.err, "not supported") == NULL;
        status = complaint("postmap", &output, why);
        status = listable ? status : STATUS_NOT_FOUND;
    } else if (status == STATUS_OK) {
        *text = output.out;
        output.out = NULL;
    }
    program_output_free(&output);
    return status;
}

const char *postfix_without_proxy(const char *table)
{
    return strncmp(table, "proxy:", 6) == 0 ? table + 6 : table;
}

/* The lines of a text as words of a shell's command line. */
static char *quote_lines(char *text)
{
    char *words = strdup("");
    for (char *line = strsep(&text, "\n"); line != NULL && words != NULL;
         line = strsep(&text, "\n")) {
        char *quoted = program_quote(line);
        char *more = NULL;
        if (quoted == NULL || asprintf(&more, "%s %s", words, quoted) < 0) {
            more = NULL;
        }
        free(quoted);
        free(words);
        words = more;
    }
    return words;
}

char *postfix_command(const struct postfix *postfix, const char *option, const char *format, ...)
{
    char *command = NULL;
    va_list arguments;
    va_start(arguments, format);
    char *lines = format_text(format, arguments);
    va_end(arguments);
    char *words = lines != NULL ? quote_lines(lines) : NULL;
    if (words != NULL && asprintf(&command, "postconf%s %s%s && postfix%s reload", postfix->place,
                                  option, words, postfix->place) < 0) {
        command = NULL;
    }
    free(lines);
    free(words);
    return command;
}
