/*
 * Looks for `name = "value"` outside all brackets, strings and comments, and asks nothing else of
 * the text: what stands elsewhere may be broken. Where brackets or quotes are the mistake, what
 * comes behind it may not be found, and the default is the answer. Reads a bounded file once; keeps
 * nothing.
 */
#include "io/config_rescue.h"

#include <stdlib.h>
#include <string.h>

#include "io/config_file.h"
#include "io/options.h"

enum { RESCUE_SIZE_MAX = 1 << 20 };

/* Behind a comment; at where none begins. */
static const char *skip_comment(const char *at)
{
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end != NULL ? end + 2 : at + strlen(at);
    }
    return at[0] == '#' || (at[0] == '/' && at[1] == '/') ? at + strcspn(at, "\n") : at;
}

/* Behind the string that begins here, which ends with its line at the latest. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '\0' && *at != '"' && *at != '\n'; at++) {
        at += *at == '\\' && at[1] != '\0' && at[1] != '\n';
    }
    return *at == '"' ? at + 1 : at;
}

static const char *skip_blank(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static bool is_name(char c)
{
    return c != '\0' &&
           strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*", c) != NULL;
}

/* The text behind `=` or `:` where it is one in quotes without escapes; NULL: it is not, or there
 * is no memory. */
static char *read_value(const char *at)
{
    at = skip_blank(at);
    if (*at != '=' && *at != ':') {
        return NULL;
    }
    at = skip_blank(at + 1);
    size_t length = *at == '"' ? strcspn(at + 1, "\"\\\n") : 0;
    return *at == '"' && at[1 + length] == '"' ? strndup(at + 1, length) : NULL;
}

/* The last good value, as libconfig takes the only one that there may be. */
static char *find_value(const char *text, const struct config_option *option)
{
    size_t length = strlen(option->path);
    size_t depth = 0;
    char *found = NULL;
    for (const char *at = text; *at != '\0';) {
        const char *next = skip_comment(at);
        if (next == at && *at == '"') {
            next = skip_string(at);
        } else if (next == at && is_name(*at)) {
            while (is_name(*next)) {
                next++;
            }
            bool named = depth == 0 && (size_t)(next - at) == length &&
                         strncmp(at, option->path, length) == 0;
            char *value = named ? read_value(next) : NULL;
            if (value != NULL && option->check(value) == STATUS_OK) {
                free(found);
                found = value;
            } else {
                free(value);
            }
        } else if (next == at) {
            depth += strchr("([{", *at) != NULL;
            depth -= depth > 0 && strchr(")]}", *at) != NULL;
            next++;
        }
        at = next;
    }
    return found;
}

/* The table has it in quotes. */
static char *standard(const struct config_option *option)
{
    return strndup(option->standard + 1, strlen(option->standard) - 2);
}

bool config_rescue(const char *path, const char *name, char **out)
{
    const struct config_option *option = option_find(name);
    struct config_place itself = {.option = NULL, .file = path, .line = 0};
    struct config_messages messages = {0};
    char *text = NULL;
    size_t length = 0;
    *out = NULL;
    if (config_file_read(path, RESCUE_SIZE_MAX, itself, &messages, &text, &length) == STATUS_OK) {
        *out = find_value(text, option);
    }
    bool found = *out != NULL;
    if (!found) {
        *out = standard(option);
    }
    config_messages_free(&messages);
    free(text);
    return found;
}
