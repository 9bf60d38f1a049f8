/*
 * The messages about a configuration, collected so that each caller prints or logs them in its own
 * way. The list owns all its strings. A message that there is no memory for is counted, not kept:
 * an error that cannot be told is an error still.
 */
#include "config/config_messages.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/visible.h"

/* A file of garbage may have a fault in each of its lines; nobody reads more than this. */
enum { MESSAGES_MAX = 500 };

static bool messages_grow(struct config_messages *messages)
{
    if (messages->count < messages->capacity) {
        return true;
    }
    size_t capacity = messages->capacity == 0 ? 8 : 2 * messages->capacity;
    struct config_message *items = reallocarray(messages->items, capacity, sizeof *items);
    if (items == NULL) {
        return false;
    }
    messages->items = items;
    messages->capacity = capacity;
    return true;
}

/* Names of files come into messages as they are. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        *text = c < ' ' || c == 0x7F ? '?' : *text;
    }
}

void config_messages_add(struct config_messages *messages, enum config_level level,
                         const char *file, unsigned line, const char *format, ...)
{
    struct config_message message = {.level = level, .line = line};
    va_list arguments;
    messages->errors += level == CONFIG_ERROR;
    if (messages->count == MESSAGES_MAX) {
        messages->left_out++;
        return;
    }
    va_start(arguments, format);
    if (vasprintf(&message.text, format, arguments) < 0) {
        message.text = NULL;
    }
    va_end(arguments);
    message.file = strdup(file);
    if (message.text == NULL || message.file == NULL || !messages_grow(messages)) {
        free(message.text);
        free(message.file);
        messages->left_out++;
        messages->no_memory = true;
        return;
    }
    make_printable(message.text);
    make_printable(message.file);
    messages->items[messages->count++] = message;
}

char *config_message_format(const struct config_message *message)
{
    const char *level = message->level == CONFIG_ERROR ? "error" : "warning";
    char *out = NULL;
    int length =
        message->line == 0
            ? asprintf(&out, "%s: %s: %s", message->file, level, message->text)
            : asprintf(&out, "%s:%u: %s: %s", message->file, message->line, level, message->text);
    return length < 0 ? NULL : out;
}

void config_messages_print(const struct config_messages *messages, FILE *stream)
{
    for (size_t i = 0; i < messages->count; i++) {
        char *line = config_message_format(&messages->items[i]);
        visible_print(stream, line == NULL ? messages->items[i].text : line, "");
        fputc('\n', stream);
        free(line);
    }
    if (messages->left_out > 0) {
        fprintf(stream, "and %zu more\n", messages->left_out);
    }
}

const char *config_quote(const char *text, size_t length, char out[static CONFIG_QUOTED])
{
    static const char hex[] = "0123456789abcdef";
    const size_t room = CONFIG_QUOTED - sizeof "\\xHH...\"";
    size_t used = 0;
    size_t i = 0;
    out[used++] = '"';
    for (; i < length && used <= room; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c == 0x7F) {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = hex[c >> 4];
            out[used++] = hex[c & 15];
        } else {
            if (c == '"' || c == '\\') {
                out[used++] = '\\';
            }
            out[used++] = (char)c;
        }
    }
    memcpy(out + used, i < length ? "...\"" : "\"", i < length ? 5 : 2);
    return out;
}

void config_messages_free(struct config_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        free(messages->items[i].file);
        free(messages->items[i].text);
    }
    free(messages->items);
    *messages = (struct config_messages){0};
}
