/*
 * A list in a message has FEW names at most: who needs all of them reads the manual. No state.
 */
#include "config/option_advice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

enum {
    FEW = 5,
    ELSEWHERE = 1, /* octets that may be wrong in a name of another group */
    SHOWN_MAX = 80
};

/* What the stream has got; NULL: no memory. */
static char *finish(FILE *stream, char **out)
{
    if (stream != NULL && fclose(stream) != 0) {
        free(*out);
        *out = NULL;
    }
    return *out;
}

/* The path of the name in the group that is like this one, or else of one elsewhere; *length
 * becomes its length. NULL: there is none. */
static const char *search(const char *group, const char *word, size_t *length)
{
    struct nearest nearest;
    const char *path = NULL;
    nearest_begin(&nearest, word, strlen(word));
    for (size_t i = 0; i < config_option_count; i++) {
        size_t name_length;
        const char *name = option_name_in(&config_options[i], group, &name_length);
        if (name != NULL && nearest_offer(&nearest, name, name_length)) {
            path = config_options[i].path;
        }
    }
    bool here = path != NULL;
    if (nearest.distance > ELSEWHERE + 1) {
        nearest.distance = ELSEWHERE + 1;
    }
    for (size_t i = 0; i < config_option_count && !here; i++) {
        const char *name = config_options[i].path;
        for (const char *end = name; *end != '\0'; name = end + 1) {
            end = strchrnul(name, '.');
            if (nearest_offer(&nearest, name, (size_t)(end - name))) {
                path = config_options[i].path;
            }
        }
    }
    *length = path != NULL ? (size_t)(nearest.best - path) + nearest.best_length : 0;
    return path;
}

static void print_names(FILE *stream, const char *group)
{
    size_t count = 0;
    size_t last_length = 0;
    const char *last = "";
    for (size_t i = 0; i < config_option_count && count <= FEW; i++) {
        size_t length;
        const char *name = option_name_in(&config_options[i], group, &length);
        if (name == NULL || (length == last_length && strncmp(name, last, length) == 0)) {
            continue;
        }
        if (count < FEW) {
            fprintf(stream, "%s%.*s", count == 0 ? "expected one of " : ", ", (int)length, name);
        } else {
            fputs(" or another that batvd.conf(5) lists", stream);
        }
        count++;
        last = name;
        last_length = length;
    }
}

char *option_advice_name(const char *group, const char *name)
{
    char *out = NULL;
    size_t size = 0;
    size_t length = 0;
    FILE *stream = open_memstream(&out, &size);
    if (stream == NULL) {
        return NULL;
    }
    const char *path = search(group, name, &length);
    if (path != NULL) {
        fprintf(stream, "did you mean %.*s?", (int)length, path);
    } else {
        print_names(stream, group);
    }
    return finish(stream, &out);
}

static void print_words(FILE *stream, const struct option_word *word)
{
    fputs("expected ", stream);
    for (size_t i = 0; i < FEW && word[i].name != NULL; i++) {
        const char *between = i == 0 ? "" : word[i + 1].name == NULL ? " or " : ", ";
        fprintf(stream, "%s\"%s\"", between, word[i].name);
        if (i == FEW - 1 && word[i + 1].name != NULL) {
            fputs(" or another that batvd.conf(5) lists", stream);
        }
    }
}

/* The word that was meant, or those that there are. */
static void advise_word(FILE *stream, const struct option_word *words, const char *text)
{
    struct nearest nearest;
    nearest_begin(&nearest, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
    for (const struct option_word *word = words; word->name != NULL; word++) {
        nearest_offer(&nearest, word->name, strlen(word->name));
    }
    if (nearest.best != NULL) {
        fprintf(stream, "did you mean \"%.*s\"?", (int)nearest.best_length, nearest.best);
    } else {
        print_words(stream, words);
    }
}

char *option_advice_value(const struct config_option *option, const char *text)
{
    const char *quotes = text != NULL ? ", without quotes" : "";
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    if (stream == NULL) {
        return NULL;
    }
    switch (option->type) {
    case OPTION_BOOL:
        fprintf(stream, "expected true or false%s", quotes);
        break;
    case OPTION_INT:
    case OPTION_SIZE:
        fprintf(stream, "expected an integer from %lld to %lld%s", option->min, option->max,
                quotes);
        break;
    case OPTION_MODE:
        fputs("expected a string of octal digits, \"0000\" to \"0777\"", stream);
        break;
    case OPTION_WORD:
        advise_word(stream, option->words, text);
        break;
    case OPTION_LIST:
    case OPTION_DOMAINS:
        fputs("expected a list ( ) or [ ]", stream);
        break;
    case OPTION_TEXT:
        fprintf(stream, "expected %s", option->expected);
        break;
    }
    return finish(stream, &out);
}

static bool has_word(const struct option_word *words, const char *text)
{
    while (words->name != NULL && strcmp(words->name, text) != 0) {
        words++;
    }
    return words->name != NULL;
}

/* "expected double quotes", and how the text stands in them where that is simple. */
static char *advise_quotes(const char *text)
{
    char *out = NULL;
    if (strlen(text) > SHOWN_MAX || strpbrk(text, "\"\\") != NULL) {
        return strdup("expected double quotes");
    }
    return asprintf(&out, "expected double quotes: \"%s\"", text) < 0 ? NULL : out;
}

static char *advise_bare(const struct config_option *option, const char *text, bool entry)
{
    if (entry) {
        return advise_quotes(text);
    }
    if (option == NULL) {
        return strdup("expected a group { }");
    }
    switch (option->type) {
    case OPTION_TEXT:
        return advise_quotes(text);
    case OPTION_WORD:
        return has_word(option->words, text) ? advise_quotes(text)
                                             : option_advice_value(option, text);
    case OPTION_LIST:
    case OPTION_DOMAINS:
        return strdup("expected a list ( ) or [ ] with its entries in double quotes");
    case OPTION_BOOL:
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_MODE:
        break;
    }
    return option_advice_value(option, NULL);
}

/* Why a number is not taken although it looks like one of the option's. */
static const char *number_note(const struct config_option *option, const char *text)
{
    const char *digits = text + (*text == '+' || *text == '-');
    size_t length = strspn(digits, "0123456789");
    char *after = NULL;
    if (digits[0] == '0' && length > 1 && digits[length + strspn(digits + length, "L")] == '\0') {
        return "; a number with a leading zero is octal to some versions of libconfig";
    }
    (void)strtoull(text, &after, 0);
    return option != NULL && option->type == OPTION_SIZE && *after == '\0'
               ? "; one that does not fit 32 bits needs an L behind it"
               : "";
}

char *option_advice_bare(const struct config_option *option, const char *word, size_t length,
                         bool entry)
{
    bool quotes = length > 1 && word[0] == '\'' && word[length - 1] == '\'';
    char *text = strndup(word + quotes, length - (quotes ? 2 : 0));
    char *advice = text != NULL ? advise_bare(option, text, entry) : NULL;
    char *out = NULL;
    if (advice != NULL && asprintf(&out, "%s%s", advice, number_note(option, text)) < 0) {
        out = NULL;
    }
    free(advice);
    free(text);
    return out;
}
