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

#include "config/config_token.h"

/* Octets of a text; start is NULL where there are none. */
struct span {
    const char *start;
    const char *end;
};

static bool is_there(const struct token *token)
{
    return token->kind != TOKEN_END && token->kind != TOKEN_BAD;
}

static bool is_name(const struct token *token, const char *name)
{
    size_t length = (size_t)(token->end - token->start);
    return token->kind == TOKEN_NAME && length == strlen(name) &&
           strncmp(token->start, name, length) == 0;
}

static bool is_equals(const struct token *token)
{
    return token_is_sign(token, '=') || token_is_sign(token, ':');
}

/* Moves from the beginning of a value to what stands behind it; answers the value's end. */
static const char *skip_value(struct token *token)
{
    bool string = token->kind == TOKEN_STRING;
    unsigned depth = 0;
    const char *end;
    do {
        token_as_value(token);
        depth += token_opens(token);
        depth -= token_closes(token) && depth > 0;
        end = token->end;
        token_next(token);
    } while (is_there(token) && (depth > 0 || (string && token->kind == TOKEN_STRING)));
    return end;
}

/* True for "#name = ...;" in a line of its own, after its white space. */
static bool shows_default(const char *at, const char *name)
{
    size_t length = strlen(name);
    if (*at != '#' || strncmp(at + 1, name, length) != 0) {
        return false;
    }
    const char *equals = at + 1 + length + strspn(at + 1 + length, " \t");
    const char *end = at + strcspn(at, "\n");
    while (end > equals && isspace((unsigned char)end[-1])) {
        end--;
    }
    return *equals == '=' && end[-1] == ';';
}

/* The comment that shows the setting's default between two tokens. */
static struct span find_shown(const char *text, const char *at, const char *end, const char *name)
{
    for (; at < end; at += strcspn(at, "\n"), at += at < end) {
        bool begins = at == text || at[-1] == '\n';
        at += strspn(at, " \t");
        if (begins && at < end && shows_default(at, name)) {
            return (struct span){at, at + strcspn(at, "\n")};
        }
    }
    return (struct span){NULL, NULL};
}

/* The setting, and the line that shows its default. */
static void find(const char *text, const char *name, struct span *set, struct span *shown)
{
    struct token token = {.end = text};
    bool more = true;
    *set = *shown = (struct span){NULL, NULL};
    while (more && set->start == NULL) {
        const char *before = token.end;
        token_next(&token);
        const struct token start = token;
        if (shown->start == NULL) {
            *shown = find_shown(text, before, start.start, name);
        }
        more = is_there(&token);
        struct token behind = token;
        token_next(&behind);
        if (start.kind != TOKEN_NAME || !is_equals(&behind)) {
            continue;
        }
        token_next(&behind);
        token.end = skip_value(&behind);
        if (token_is_sign(&behind, ';') || token_is_sign(&behind, ',')) {
            token.end = behind.end;
        }
        if (is_name(&start, name)) {
            *set = (struct span){start.start, token.end};
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
        struct token token = {.end = set.start + strlen(name)};
        token_next(&token); /* its = or : */
        token_next(&token);
        if (token_opens(&token)) {
            inside.start = token.end;
            inside.end = skip_value(&token) - 1;
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

/* The first value of that name behind at, at whatever depth; false: there is none before end. */
static bool find_value(const char *at, const char *end, const char *name, struct span *value)
{
    struct token token = {.end = at};
    for (token_next(&token); is_there(&token) && token.start < end;) {
        bool named = is_name(&token, name);
        token_next(&token);
        if (named && is_equals(&token)) {
            token_next(&token);
            value->start = token.start;
            value->end = skip_value(&token);
            return true;
        }
    }
    return false;
}

char *config_text_set_within(const char *text, const char *list, const char *name,
                             const char *value)
{
    char *out = strdup(text);
    size_t done = 0; /* of the list, so far */
    while (out != NULL) {
        struct span inside = find_inside(out, list);
        struct span former;
        if (inside.start == NULL || !find_value(inside.start + done, inside.end, name, &former)) {
            return out;
        }
        char *changed = splice(out, former, value);
        done = (size_t)(former.start - inside.start) + strlen(value);
        free(out);
        out = changed;
    }
    return NULL;
}

/* Takes the next item of a list off the front of what is left of it, with the comma behind it, or
 * NULL where it has none. False: there is no more. */
static bool next_item(struct span *left, struct span *item, const char **comma)
{
    struct token token = {.end = left->start};
    if (left->start == NULL) {
        return false;
    }
    token_next(&token);
    if (!is_there(&token) || token.start >= left->end) {
        return false;
    }
    item->start = token.start;
    item->end = skip_value(&token);
    *comma = token_is_sign(&token, ',') ? token.start : NULL;
    left->start = *comma != NULL ? token.end : NULL;
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
