/*
 * Each entry of the list is batvd, a former address of batvd's, or another milter. What is to be
 * made of each is decided here; nothing else is touched. No state.
 */
#include "mta/milter_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/words.h"
#include "mta/milter_address.h"

enum entry { ENTRY_OURS, ENTRY_FORMER, ENTRY_OTHER };

static const char option[] = "default_action";
static const char deferring[] = "tempfail";

bool action_defers(const char *action)
{
    return strcasecmp(action, deferring) == 0 || strcasecmp(action, "shutdown") == 0;
}

static enum entry entry_of(const char *item, const struct milter_list_place *place)
{
    if (milter_item_leads(item, place->listen, place->queue_directory)) {
        return ENTRY_OURS;
    }
    return place->formers != NULL && former_is(place->formers, item, false) ? ENTRY_FORMER
                                                                            : ENTRY_OTHER;
}

/* How many entries of this kind the list has. */
static size_t count_of(const struct words *words, enum entry entry,
                       const struct milter_list_place *place)
{
    size_t count = 0;
    for (size_t i = 0; i < words->count; i++) {
        count += entry_of(words->items[i], place) == entry;
    }
    return count;
}

bool milter_list_has_others(const char *list, const struct milter_list_place *place)
{
    struct words words = {.items = NULL};
    bool has = words_split(list, &words) && count_of(&words, ENTRY_OTHER, place) > 0;
    words_free(&words);
    return has;
}

/* Our entry with its name (NULL: as it is) and its action right. NULL: no memory. */
static char *our_item(const char *item, const char *name, const struct milter_list_place *place)
{
    char *action = milter_item_option(item, option);
    bool set = action != NULL ? !action_defers(action) : place->own_action;
    char *text = set            ? milter_item_with(item, name, option, deferring)
                 : name != NULL ? milter_item_with(item, name, NULL, NULL)
                                : strdup(item);
    free(action);
    return text;
}

/* Appends an item, behind the separators of that length. An item of NULL, or a list of NULL, makes
 * the list NULL: no memory. item is freed. */
static void append(char **list, const char *separators, size_t length, char *item)
{
    char *more = NULL;
    bool first = *list != NULL && (*list)[0] == '\0';
    if (*list == NULL || item == NULL ||
        asprintf(&more, "%s%.*s%s", *list, first ? 0 : (int)length, separators, item) < 0) {
        more = NULL;
    }
    free(item);
    free(*list);
    *list = more;
}

/* The list, split into words, with batvd in its place; name is batvd's as Postfix has it. What
 * stands between the entries stays, too. */
static char *build(const char *text, const struct words *words, const char *name,
                   const struct milter_list_place *place)
{
    char *list = strdup("");
    const char *at = text;
    bool placed = place->named || count_of(words, ENTRY_OURS, place) > 0;
    for (size_t i = 0; i < words->count; i++) {
        const char *item = words->items[i];
        enum entry entry = entry_of(item, place);
        const char *start = strstr(at, item); /* the words stand there in their order */
        size_t gap = (size_t)(start - at);
        if (entry == ENTRY_OTHER) {
            append(&list, at, gap, strdup(item));
        } else if (entry == ENTRY_OURS) {
            append(&list, at, gap, our_item(item, NULL, place));
        } else if (!placed) {
            append(&list, at, gap, our_item(item, name, place));
            placed = true;
        }
        at = start + strlen(item);
    }
    if (!placed) {
        append(&list, ", ", 2, our_item(name, NULL, place));
    }
    return list;
}

/* True where nothing in the list has to change. */
static bool is_right(const struct words *words, const struct milter_list_place *place)
{
    bool right = place->named || count_of(words, ENTRY_OURS, place) > 0;
    for (size_t i = 0; i < words->count && right; i++) {
        enum entry entry = entry_of(words->items[i], place);
        char *ours = entry == ENTRY_OURS ? our_item(words->items[i], NULL, place) : NULL;
        right = entry != ENTRY_FORMER && (ours == NULL || strcmp(ours, words->items[i]) == 0);
        free(ours);
    }
    return right;
}

/* True where replacing in the list as it stands does all. */
static bool raw_shows_all(const struct words *raw, const struct words *expanded,
                          const struct milter_list_place *place)
{
    return count_of(raw, ENTRY_FORMER, place) == count_of(expanded, ENTRY_FORMER, place) &&
           count_of(raw, ENTRY_OURS, place) == count_of(expanded, ENTRY_OURS, place);
}

char *milter_list_with_ours(const char *raw, const char *expanded,
                            const struct milter_list_place *place)
{
    struct words as_set = {.items = NULL};
    struct words in_force = {.items = NULL};
    char *list = NULL;
    char *name = milter_name(place->listen, place->queue_directory);
    if (name != NULL && words_split(raw, &as_set) && words_split(expanded, &in_force)) {
        if (is_right(&in_force, place)) {
            list = strdup(raw);
        } else {
            bool shown = raw_shows_all(&as_set, &in_force, place);
            list = build(shown ? raw : expanded, shown ? &as_set : &in_force, name, place);
        }
    }
    words_free(&as_set);
    words_free(&in_force);
    free(name);
    return list;
}
