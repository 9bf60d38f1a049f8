/*
 * Finding a setting in the text of a configuration, by libconfig's grammar. The text has been read
 * as a configuration before, so that nothing here has to cope with a broken one. Pure.
 */
#include "ctl/config_text.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Octets of a text; start is NULL where there are none. */
struct span {
    const char *start;
    const char *end;
};

static const char *skip_string(const char *at)
{
    for (at++; *at != '\0' && *at != '"'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
        }
    }
    return at + (*at == '"');
}

static bool is_comment(const char *at)
{
    return *at == '#' || (*at == '/' && (at[1] == '/' || at[1] == '*'));
}

static const char *skip_comment(const char *at)
{
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end != NULL ? end + 2 : at + strlen(at);
    }
    return at + strcspn(at, "\n");
}

static const char *skip_blank(const char *at)
{
    while (isspace((unsigned char)*at) || is_comment(at)) {
        at = is_comment(at) ? skip_comment(at) : at + 1;
    }
    return at;
}

static size_t name_length(const char *at)
{
    size_t length = 0;
    while (isalnum((unsigned char)at[length]) ||
           (at[length] != '\0' && strchr("-_*", at[length]) != NULL)) {
        length++;
    }
    return length;
}

/* The end of what begins with an opening bracket. */
static const char *skip_brackets(const char *at)
{
    size_t depth = 0;
    do {
        at = skip_blank(at);
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        depth += *at != '\0' && strchr("([{", *at) != NULL;
        depth -= *at != '\0' && strchr(")]}", *at) != NULL;
        at += *at != '\0';
    } while (depth > 0 && *at != '\0');
    return at;
}

/* The end of a value, with the ; or , behind it if there is one. */
static const char *skip_value(const char *at)
{
    const char *end = at;
    if (*at == '(' || *at == '[' || *at == '{') {
        end = skip_brackets(at);
    } else if (*at == '"') {
        do { /* strings side by side are one */
            end = skip_string(at);
            at = skip_blank(end);
        } while (*at == '"');
    } else {
        end = at + strcspn(at, " \t\r\n;,#/");
    }
    at = skip_blank(end);
    return *at == ';' || *at == ',' ? at + 1 : end;
}

/* True for "#name = ...;" at the beginning of a line. */
static bool shows_default(const char *text, const char *at, const char *name)
{
    size_t length = strlen(name);
    if (*at != '#' || (at > text && at[-1] != '\n') || name_length(at + 1) != length ||
        strncmp(at + 1, name, length) != 0) {
        return false;
    }
    const char *equals = at + 1 + length + strspn(at + 1 + length, " \t");
    const char *end = at + strcspn(at, "\n");
    while (end > equals && isspace((unsigned char)end[-1])) {
        end--;
    }
    return *equals == '=' && end[-1] == ';';
}

/* The setting, and the line that shows its default. */
static void find(const char *text, const char *name, struct span *set, struct span *shown)
{
    const char *at = text;
    *set = *shown = (struct span){NULL, NULL};
    while (*at != '\0' && set->start == NULL) {
        const char *start = at;
        size_t length = name_length(at);
        if (is_comment(at)) {
            at = skip_comment(at);
            if (shown->start == NULL && shows_default(text, start, name)) {
                *shown = (struct span){start, at};
            }
        } else if (length > 0) {
            at = skip_blank(at + length);
            at = *at == '=' || *at == ':' ? skip_value(skip_blank(at + 1)) : at;
            if (length == strlen(name) && strncmp(start, name, length) == 0) {
                *set = (struct span){start, at};
            }
        } else {
            at++;
        }
    }
}

bool config_text_has(const char *text, const char *name)
{
    struct span set;
    struct span shown;
    find(text, name, &set, &shown);
    return set.start != NULL;
}

char *config_text_set(const char *text, const char *name, const char *value)
{
    struct span set;
    struct span shown;
    char *out = NULL;
    const char *behind = "";
    find(text, name, &set, &shown);
    struct span at = set.start != NULL ? set : shown;
    if (at.start == NULL) {
        at.start = at.end = text + strlen(text);
        behind = "\n";
    }
    const char *before = at.start > text && at.start[-1] != '\n' && behind[0] != '\0' ? "\n" : "";
    if (asprintf(&out, "%.*s%s%s = %s;%s%s", (int)(at.start - text), text, before, name, value,
                 behind, at.end) < 0) {
        return NULL;
    }
    return out;
}
