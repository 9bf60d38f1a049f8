/* Message-IDs brought into the one form in which they are compared. Pure. */
#include "batv/message_id.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0';
}

enum status message_id_clean(const char *value, size_t length, char **out)
{
    const char *from = value;
    const char *end = value + length;
    const char *open = memchr(value, '<', length);
    if (open != NULL) {
        from = open;
        while (from < end && (*from == '<' || is_space(*from))) {
            from++;
        }
        const char *close = memchr(from, '>', (size_t)(end - from));
        end = close != NULL ? close : end;
    }
    *out = malloc((size_t)(end - from) + 1);
    if (*out == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t used = 0;
    for (const char *p = from; p < end; p++) {
        if (!is_space(*p)) {
            (*out)[used++] = *p;
        }
    }
    (*out)[used] = '\0';
    if (used == 0) {
        free(*out);
        *out = NULL;
        return STATUS_NOT_FOUND;
    }
    return STATUS_OK;
}
