/* Its fields are copied one at a time, since whoever takes them wants strings. No state. */
#include "batv/message_split.h"

#include <stdlib.h>
#include <string.h>

static void pass(struct octets *octets, size_t length)
{
    octets->start += length;
    octets->length -= length;
}

/* What may stand before the first field. */
static bool is_before(struct octets line)
{
    return octets_trim(line).length == 0 || octets_begin(line, "From ") ||
           octets_begin(line, ">From ");
}

static void pass_beginning(struct octets *message)
{
    struct octets line;
    for (;;) {
        struct octets behind = *message;
        if (octets_begin(behind, "\xef\xbb\xbf")) {
            pass(&behind, 3);
            *message = behind;
        }
        if (!line_next(&behind, &line) || !is_before(line)) {
            return;
        }
        *message = behind;
    }
}

/* NULs, which end a string, become blanks. */
static char *put(char *to, struct octets octets)
{
    for (size_t i = 0; i < octets.length; i++) {
        *to++ = octets.start[i] != '\0' ? octets.start[i] : ' ';
    }
    return to;
}

/* text has room for as many octets as the field, and two more. Answers the value. */
static const char *copy_field(const struct field *field, char *text)
{
    struct octets value = field->value;
    struct octets line;
    char *to = put(text, field->name);
    *to++ = '\0';
    const char *start = to;
    while (value.length > 0 && (value.start[0] == ' ' || value.start[0] == '\t')) {
        pass(&value, 1);
    }
    for (bool first = true; line_next(&value, &line); first = false) {
        if (!first) {
            *to++ = '\n';
        }
        to = put(to, line);
    }
    *to = '\0';
    return start;
}

enum status message_split(struct octets message,
                          void (*take)(void *context, const char *name, const char *value),
                          void *context, struct octets *body)
{
    struct field field;
    char *text = malloc(message.length + 2);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    pass_beginning(&message);
    while (field_next(&message, &field)) {
        const char *value = copy_field(&field, text);
        take(context, text, value);
    }
    *body = message;
    free(text);
    return STATUS_OK;
}
