/* Lists as Postfix writes them: separated by commas or white space, {an item in braces} whole. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Owned. Starts as all zero. */
struct words {
    char **items;
    size_t count;
};

/* Appends the items of the list. False: no memory. */
bool words_split(const char *list, struct words *out);
/* Appends a copy. False: no memory. */
bool words_add(struct words *words, const char *item);
/* True where an item is this one to the letter. */
bool words_has(const struct words *words, const char *item);
/* Frees what words hold and makes them empty. */
void words_free(struct words *words);

/* True where an item of the list is this word, whatever the case. */
bool list_has(const char *list, const char *word);
bool list_is_empty(const char *list);
/* The list with another item in place of each that is this one, or, with NULL, without them. NULL:
 * no memory. The caller frees. */
char *list_with(const char *list, const char *item, const char *replacement, const char *separator);

/* The list without white space, as postconf(1) takes values for master.cf: items separated by
 * commas, in braces too. NULL: an item cannot be written so, or no memory. The caller frees. */
char *list_compact(const char *list);

/* The items of a growing list for people: "a, b, c and 12 more". Starts as all zero. */
enum { LISTING_TEXT = 400 };
struct listing {
    char text[LISTING_TEXT];
    size_t shown;
    size_t count;
};
void listing_add(struct listing *listing, const char *item);
/* Ends the list and returns its text. */
const char *listing_end(struct listing *listing);

/* A copy of a text without the white space around it. NULL: no memory. The caller frees. */
char *words_trimmed(const char *start, const char *end);

#endif
