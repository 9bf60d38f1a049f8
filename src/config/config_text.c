/*
 * Finding a setting in the text of a configuration, by libconfig's grammar. The text has been read
 * as a configuration before, so that nothing here has to cope with a broken one. Pure.
 */
#include "config/config_text.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* The end of a value alone. */
static const char *value_end(const char *at)
{
    if (*at == '"') {
        const char *end;
        do {
            end = skip_string(at);
            at = skip_blank(end);
        } while (*at == '"');
        return end;
    }
    return *at == '(' || *at == '[' || *at == '{' ? skip_brackets(at)
                                                  : at + strcspn(at, " \t\r\n;,#/)]}");
}

/* The same with the ; or , behind it if there is one. */
static const char *skip_value(const char *at)
{
    const char *end = value_end(at);
    at = skip_blank(end);
    return *at == ';' || *at == ',' ? at + 1 : end;
}

/* True for "#name = ...;" on a line of its own. */
static bool shows_default(const char *text, const char *at, const char *name)
{
    size_t length = strlen(name);
    const char *before = at;
    while (before > text && (before[-1] == ' ' || before[-1] == '\t')) {
        before--;
    }
    if (*at != '#' || (before > text && before[-1] != '\n') || name_length(at + 1) != length ||
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

static const char *find_set(const char *text, const char *name)
{
    struct span set;
    struct span shown;
    find(text, name, &set, &shown);
    return set.start;
}

bool config_text_has(const char *text, const char *name)
{
    return find_set(text, name) != NULL;
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

/* What stands between the brackets of the setting's value; start is NULL where it has none. */
static struct span find_inside(const char *text, const char *name)
{
    struct span set;
    struct span shown;
    struct span inside = {NULL, NULL};
    find(text, name, &set, &shown);
    if (set.start != NULL) {
        const char *at = skip_blank(set.start + strlen(name));
        at = skip_blank(at + 1); /* its = or : */
        if (*at == '(' || *at == '[' || *at == '{') {
            inside = (struct span){at + 1, skip_brackets(at) - 1};
        }
    }
    return inside;
}

/* The text with other content in place of a span. */
static char *splice(const char *text, struct span span, const char *content)
{
    char *out = NULL;
    return asprintf(&out, "%.*s%s%s", (int)(span.start - text), text, content, span.end) < 0 ? NULL
                                                                                             : out;
}

char *config_text_set_member(const char *text, const char *group, const char *name,
                             const char *value)
{
    struct span inside = find_inside(text, group);
    char *out = NULL;
    if (inside.start == NULL) {
        char *whole = NULL;
        if (asprintf(&whole, "{ %s = %s; }", name, value) >= 0) {
            out = config_text_set(text, group, whole);
            free(whole);
        }
        return out;
    }
    char *members = strndup(inside.start, (size_t)(inside.end - inside.start));
    char *changed = members != NULL ? config_text_set(members, name, value) : NULL;
    if (changed != NULL) {
        out = splice(text, inside, changed);
    }
    free(members);
    free(changed);
    return out;
}

/* The beginning of a value of that name behind at, before end, at whatever depth; NULL: none. */
static const char *find_value(const char *at, const char *end, const char *name)
{
    while (at < end) {
        size_t length = name_length(at);
        if (is_comment(at)) {
            at = skip_comment(at);
        } else if (*at == '"') {
            at = skip_string(at);
        } else if (length > 0) {
            const char *behind = skip_blank(at + length);
            bool named = length == strlen(name) && strncmp(at, name, length) == 0;
            if (named && (*behind == '=' || *behind == ':')) {
                return skip_blank(behind + 1);
            }
            at += length;
        } else {
            at++;
        }
    }
    return NULL;
}

char *config_text_set_within(const char *text, const char *list, const char *name,
                             const char *value)
{
    char *out = strdup(text);
    size_t done = 0; /* of the list, so far */
    while (out != NULL) {
        struct span inside = find_inside(out, list);
        const char *at =
            inside.start != NULL ? find_value(inside.start + done, inside.end, name) : NULL;
        if (at == NULL) {
            return out;
        }
        char *changed = splice(out, (struct span){at, value_end(at)}, value);
        done = (size_t)(at - inside.start) + strlen(value);
        free(out);
        out = changed;
    }
    return NULL;
}

/* Takes the next item of a list off the front of what is left of it, with the comma behind it, or
 * NULL where it has none. False: there is no more. */
static bool next_item(struct span *left, struct span *item, const char **comma)
{
    const char *at = left->start != NULL ? skip_blank(left->start) : left->end;
    if (at >= left->end) {
        return false;
    }
    *item = (struct span){at, value_end(at)};
    at = skip_blank(item->end);
    *comma = *at == ',' ? at : NULL;
    left->start = *comma != NULL ? at + 1 : left->end;
    return true;
}

/* Finds the last item of a list. False: the list is empty. */
static bool find_last(struct span inside, struct span *item, const char **comma)
{
    bool found = false;
    while (next_item(&inside, item, comma)) {
        found = true;
    }
    return found;
}

/* The white space in front of an item that begins its line, else the usual one. */
static struct span indent_of(const char *text, const char *item)
{
    static const char usual[] = "    ";
    const char *start = item;
    while (start > text && (start[-1] == ' ' || start[-1] == '\t')) {
        start--;
    }
    bool begins = start == text || start[-1] == '\n';
    return begins ? (struct span){start, item} : (struct span){usual, usual + strlen(usual)};
}

/* The list { item } as a value. */
static char *set_only(const char *text, const char *list, const char *item)
{
    char *value = NULL;
    char *out = NULL;
    if (asprintf(&value, "( %s )", item) >= 0) {
        out = config_text_set(text, list, value);
        free(value);
    }
    return out;
}

char *config_text_append(const char *text, const char *list, const char *item)
{
    struct span inside = find_inside(text, list);
    struct span last;
    const char *comma;
    char *out = NULL;
    if (inside.start == NULL || !find_last(inside, &last, &comma)) {
        return set_only(text, list, item);
    }
    const char *at = comma != NULL ? comma + 1 : last.end;
    const char *rest = at + strcspn(at, "\n"); /* what stands behind on the line stays there */
    struct span indent = indent_of(text, last.start);
    bool own_line = rest < inside.end;
    if (!own_line) {
        rest = at;
    }
    if (asprintf(&out, "%.*s%s%.*s%s%.*s%s%s%s", (int)(at - text), text, comma != NULL ? "" : ",",
                 (int)(rest - at), at, own_line ? "\n" : " ",
                 own_line ? (int)(indent.end - indent.start) : 0, indent.start, item,
                 comma != NULL ? "," : "", rest) < 0) {
        out = NULL;
    }
    return out;
}

/* What of a setting stands in the text, its group's or all of it; start is NULL: the group is not
 * set. */
static struct span members_of(const char *text, const char *group)
{
    return group != NULL ? find_inside(text, group) : (struct span){text, text + strlen(text)};
}

/* A copy of the members up to the group's end, in which the setting is looked for. */
static char *copy_members(const char *text, const char *group, struct span *inside)
{
    *inside = members_of(text, group);
    return inside->start != NULL ? strndup(inside->start, (size_t)(inside->end - inside->start))
                                 : strdup("");
}

static unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;
    for (; text < at; text++) {
        line += *text == '\n';
    }
    return line;
}

unsigned config_text_line(const char *text, const char *group, const char *name)
{
    struct span inside;
    unsigned line = 0;
    char *members = copy_members(text, group, &inside);
    const char *at = members != NULL ? find_set(members, name) : NULL;
    if (at != NULL) {
        line = line_of(text, inside.start + (at - members));
    }
    free(members);
    return line;
}

/* The list's items with one more. NULL: no memory. */
static char *join_item(char *items, struct span item)
{
    char *more = NULL;
    if (items != NULL && asprintf(&more, "%s%s%.*s", items, items[0] != '\0' ? ", " : "",
                                  (int)(item.end - item.start), item.start) < 0) {
        more = NULL;
    }
    free(items);
    return more;
}

char *config_text_items(const char *text, const char *group, const char *name, const char *without)
{
    struct span all;
    char *items = strdup("");
    char *members = copy_members(text, group, &all);
    struct span inside = members != NULL ? find_inside(members, name) : (struct span){NULL, NULL};
    struct span item;
    const char *comma;
    while (next_item(&inside, &item, &comma)) {
        if (without == NULL || *item.start != '"' ||
            strncasecmp(item.start + 1, without, strlen(without)) != 0) {
            items = join_item(items, item);
        }
    }
    if (members == NULL) {
        free(items);
        items = NULL;
    }
    free(members);
    return items;
}
