/*
 * Items point into the texts, which are cut up in place. A name stands in quotes in a source only;
 * tables have it bare and in lower case.
 */
#include "mta/aliases.h"

#include <stdlib.h>
#include <string.h>

#include "batv/address.h"

static const char owner[] = "owner-";

static bool keep_text(struct aliases *aliases, char *text)
{
    char **texts = reallocarray(aliases->texts, aliases->text_count + 1, sizeof *aliases->texts);
    if (texts == NULL) {
        free(text);
        return false;
    }
    aliases->texts = texts;
    texts[aliases->text_count++] = text;
    return true;
}

static bool add(struct aliases *aliases, char *name, char *value)
{
    if (aliases->count == aliases->room) {
        size_t room = aliases->room == 0 ? 64 : 2 * aliases->room;
        struct alias *items = reallocarray(aliases->items, room, sizeof *items);
        if (items == NULL) {
            return false;
        }
        aliases->items = items;
        aliases->room = room;
    }
    for (char *c = name; *c != '\0'; c++) {
        *c = ascii_lower(*c);
    }
    aliases->items[aliases->count] = (struct alias){name, value, aliases->count};
    aliases->count++;
    return true;
}

bool aliases_add_listing(struct aliases *aliases, char *text)
{
    bool kept = keep_text(aliases, text);
    char *rest = kept ? text : NULL;
    for (char *line = strsep(&rest, "\n"); kept && line != NULL; line = strsep(&rest, "\n")) {
        char *tab = strchr(line, '\t');
        if (tab != NULL) {
            *tab = '\0';
            kept = add(aliases, line, tab + 1);
        }
    }
    return kept;
}

/* The next alias with the lines that continue it, joined. NULL: no more. */
static char *next_entry(char **rest)
{
    char *start = *rest;
    if (start == NULL || *start == '\0') {
        return NULL;
    }
    for (char *end = strchr(start, '\n'); end != NULL; end = strchr(end + 1, '\n')) {
        if (end[1] != ' ' && end[1] != '\t') {
            *end = '\0';
            *rest = end + 1;
            return start;
        }
        *end = ' ';
    }
    *rest = NULL;
    return start;
}

static void trim_end(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL) {
        text[--length] = '\0';
    }
}

/* Ends the name and gives what stands behind its colon. NULL: it is none. */
static char *split_entry(char *entry, char **name)
{
    char *colon = *entry == '"' ? strchr(entry + 1, '"') : entry;
    colon = colon != NULL ? strchr(colon, ':') : NULL;
    if (colon == NULL || *entry == '#') {
        return NULL;
    }
    *colon = '\0';
    trim_end(entry);
    size_t length = strlen(entry);
    bool quoted = length > 1 && entry[0] == '"' && entry[length - 1] == '"';
    entry[length - quoted] = '\0';
    *name = entry + quoted;
    colon += 1 + strspn(colon + 1, " \t");
    trim_end(colon);
    return colon;
}

bool aliases_add_source(struct aliases *aliases, char *text)
{
    bool kept = keep_text(aliases, text);
    char *rest = kept ? text : NULL;
    for (char *entry = next_entry(&rest); kept && entry != NULL; entry = next_entry(&rest)) {
        char *name;
        char *value = split_entry(entry, &name);
        if (value != NULL) {
            kept = add(aliases, name, value);
        }
    }
    return kept;
}

static int compare(const void *a, const void *b)
{
    const struct alias *x = a;
    const struct alias *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

void aliases_sort(struct aliases *aliases)
{
    size_t kept = 0;
    if (aliases->count > 0) {
        qsort(aliases->items, aliases->count, sizeof *aliases->items, compare);
    }
    for (size_t i = 0; i < aliases->count; i++) {
        if (kept == 0 || strcmp(aliases->items[kept - 1].name, aliases->items[i].name) != 0) {
            aliases->items[kept++] = aliases->items[i];
        }
    }
    aliases->count = kept;
}

static int compare_name(const void *name, const void *item)
{
    const struct alias *alias = item;
    return strcmp(name, alias->name);
}

const struct alias *aliases_find(const struct aliases *aliases, const char *name)
{
    return aliases->count > 0
               ? bsearch(name, aliases->items, aliases->count, sizeof *aliases->items, compare_name)
               : NULL;
}

const struct alias *aliases_next_owner(const struct aliases *aliases, size_t *at, const char **list)
{
    while (*at < aliases->count) {
        const struct alias *alias = &aliases->items[(*at)++];
        *list = alias->name + sizeof owner - 1;
        if (strncmp(alias->name, owner, sizeof owner - 1) == 0 && **list != '\0' &&
            aliases_find(aliases, *list) != NULL) {
            return alias;
        }
    }
    return NULL;
}

void aliases_free(struct aliases *aliases)
{
    for (size_t i = 0; i < aliases->text_count; i++) {
        free(aliases->texts[i]);
    }
    free(aliases->texts);
    free(aliases->items);
    *aliases = (struct aliases){.items = NULL};
}
