/*
 * Splitting lists by Postfix's rules, and putting lists together for people. Pure; whoever holds a
 * struct words frees it.
 */
#include "ctl/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char separators[] = ", \t\r\n";

/* The length of the item at text: to the next separator outside braces. */
static size_t item_length(const char *text)
{
    size_t depth = 0;
    size_t i = 0;
    while (text[i] != '\0' && (depth > 0 || strchr(separators, text[i]) == NULL)) {
        if (text[i] == '{') {
            depth++;
        } else if (text[i] == '}' && depth > 0) {
            depth--;
        }
        i++;
    }
    return i;
}

static bool append(struct words *words, char *item)
{
    char **items =
        item == NULL ? NULL : realloc(words->items, (words->count + 1) * sizeof *words->items);
    if (items == NULL) {
        free(item);
        return false;
    }
    items[words->count++] = item;
    words->items = items;
    return true;
}

bool words_split(const char *list, struct words *out)
{
    for (;;) {
        list += strspn(list, separators);
        size_t length = item_length(list);
        if (length == 0) {
            return true;
        }
        if (!append(out, strndup(list, length))) {
            return false;
        }
        list += length;
    }
}

bool words_add(struct words *words, const char *item)
{
    return append(words, strdup(item));
}

void words_free(struct words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        free(words->items[i]);
    }
    free(words->items);
    *words = (struct words){.items = NULL};
}

bool list_has(const char *list, const char *word)
{
    size_t wanted = strlen(word);
    for (;;) {
        list += strspn(list, separators);
        size_t length = item_length(list);
        if (length == 0) {
            return false;
        }
        if (length == wanted && strncasecmp(list, word, length) == 0) {
            return true;
        }
        list += length;
    }
}

bool list_is_empty(const char *list)
{
    return list[strspn(list, separators)] == '\0';
}

char *list_with(const char *list, const char *item, const char *replacement, const char *separator)
{
    struct words words = {.items = NULL};
    char *out = words_split(list, &words) ? strdup("") : NULL;
    for (size_t i = 0; i < words.count && out != NULL; i++) {
        const char *word = strcasecmp(words.items[i], item) == 0 ? replacement : words.items[i];
        char *more = NULL;
        if (word == NULL) {
            continue;
        }
        if (asprintf(&more, "%s%s%s", out, out[0] != '\0' ? separator : "", word) < 0) {
            more = NULL;
        }
        free(out);
        out = more;
    }
    words_free(&words);
    return out;
}

void listing_add(struct listing *listing, const char *item)
{
    size_t used = strlen(listing->text);
    size_t room = sizeof listing->text - sizeof " and 18446744073709551615 more";
    listing->count++;
    if (listing->shown + 1 == listing->count && used + strlen(item) + 2 < room) {
        snprintf(listing->text + used, sizeof listing->text - used, "%s%s", used > 0 ? ", " : "",
                 item);
        listing->shown++;
    }
}

const char *listing_end(struct listing *listing)
{
    size_t used = strlen(listing->text);
    if (listing->shown < listing->count) {
        snprintf(listing->text + used, sizeof listing->text - used, "%s%zu more",
                 used > 0 ? " and " : "", listing->count - listing->shown);
        listing->shown = listing->count;
    }
    return listing->text;
}
