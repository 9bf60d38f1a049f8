/*
 * Splitting lists by Postfix's rules, and putting lists together for people. Pure; whoever holds a
 * struct words frees it.
 */
#include "base/words.h"

#include <ctype.h>
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

bool words_has(const struct words *words, const char *item)
{
    for (size_t i = 0; i < words->count; i++) {
        if (strcmp(words->items[i], item) == 0) {
            return true;
        }
    }
    return false;
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

/* "a, b" as "a,b". NULL: no memory. */
static char *join_tight(const struct words *words)
{
    char *out = strdup("");
    for (size_t i = 0; i < words->count && out != NULL; i++) {
        char *more = NULL;
        if (asprintf(&more, "%s%s%s", out, i > 0 ? "," : "", words->items[i]) < 0) {
            more = NULL;
        }
        free(out);
        out = more;
    }
    return out;
}

/* An item in braces; what stands in braces within it keeps its white space. NULL: no memory. */
static char *tighten(const char *item)
{
    struct words inner = {.items = NULL};
    char *text = strndup(item + 1, strlen(item) - 2);
    char *joined = text != NULL && words_split(text, &inner) ? join_tight(&inner) : NULL;
    char *out = NULL;
    if (joined == NULL || asprintf(&out, "{%s}", joined) < 0) {
        out = NULL;
    }
    words_free(&inner);
    free(joined);
    free(text);
    return out;
}

char *list_compact(const char *list)
{
    struct words words = {.items = NULL};
    bool done = words_split(list, &words);
    for (size_t i = 0; i < words.count && done; i++) {
        size_t length = strlen(words.items[i]);
        if (words.items[i][0] == '{' && words.items[i][length - 1] == '}') {
            char *tight = tighten(words.items[i]);
            done = tight != NULL;
            if (done) {
                free(words.items[i]);
                words.items[i] = tight;
            }
        }
    }
    char *out = done ? join_tight(&words) : NULL;
    if (out != NULL && strpbrk(out, " \t\r\n") != NULL) {
        free(out);
        out = NULL;
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

char *words_trimmed(const char *start, const char *end)
{
    while (start < end && isspace((unsigned char)*start)) {
        start++;
    }
    while (end > start && isspace((unsigned char)end[-1])) {
        end--;
    }
    return strndup(start, (size_t)(end - start));
}
