/* Reading is bounded: what the daemon would look at of a message is a small part of it anyhow. */
#include "ctl/message_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/fields.h"
#include "ctl/ctl.h"

enum { MESSAGE_MAX = 64 * 1024 * 1024 };

static bool read_stream(FILE *stream, struct message_file *out)
{
    size_t capacity = 0;
    while (!feof(stream) && !ferror(stream) && out->length < MESSAGE_MAX) {
        if (out->length == capacity) {
            capacity = capacity == 0 ? 65536 : 2 * capacity;
            char *grown = realloc(out->octets, capacity);
            if (grown == NULL) {
                errno = ENOMEM;
                return false;
            }
            out->octets = grown;
        }
        out->length += fread(out->octets + out->length, 1, capacity - out->length, stream);
    }
    return !ferror(stream);
}

/* Takes off what is no part of the message: a byte order mark, an empty line that a mail program
 * has saved with it, the line with which a mailbox begins each message. False: the message begins.
 */
static bool skip_preamble(struct octets *rest)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct octets behind = *rest;
    struct octets line;
    if (octets_begin(behind, mark)) {
        rest->start += sizeof mark - 1;
        rest->length -= sizeof mark - 1;
        return true;
    }
    if (!line_next(&behind, &line) ||
        (octets_trim(line).length > 0 && !octets_begin(line, "From "))) {
        return false;
    }
    *rest = behind;
    return true;
}

static void drop_preamble(struct message_file *message)
{
    struct octets rest = {message->octets, message->length};
    while (skip_preamble(&rest)) {
    }
    memmove(message->octets, rest.start, rest.length);
    message->length = rest.length;
}

bool message_file_read(const char *path, struct message_file *out)
{
    *out = (struct message_file){NULL, 0};
    bool standard = strcmp(path, "-") == 0;
    FILE *stream = standard ? stdin : fopen(path, "rbe");
    bool done = stream != NULL && read_stream(stream, out);
    if (!done) {
        ctl_error("%s: %s", standard ? "stdin" : path, strerror(errno));
        message_file_free(out);
    }
    if (stream != NULL && !standard) {
        fclose(stream);
    }
    if (done && out->length > 0) {
        drop_preamble(out);
    }
    return done;
}

void message_file_free(struct message_file *message)
{
    free(message->octets);
    *message = (struct message_file){NULL, 0};
}

/* The length of the line at from, less its end; *next is where the one after it begins. */
static size_t line_length(const char *from, const char *end, const char **next)
{
    const char *p = from;
    while (p < end && *p != '\n' && *p != '\r') {
        p++;
    }
    *next = p;
    if (*next < end && *(*next)++ == '\r' && *next < end && **next == '\n') {
        (*next)++;
    }
    return (size_t)(p - from);
}

/* One field from *at on, with all of its lines, in text. 0: the header has ended. */
static size_t field_text(const char **at, const char *end, char *text)
{
    size_t used = 0;
    const char *next;
    size_t length = line_length(*at, end, &next);
    while (length > 0) {
        memcpy(text + used, *at, length);
        used += length;
        *at = next;
        if (*at == end || (**at != ' ' && **at != '\t')) {
            break;
        }
        text[used++] = '\n';
        length = line_length(*at, end, &next);
    }
    text[used] = '\0';
    return used;
}

bool message_file_fields(const struct message_file *message,
                         void (*take)(void *context, const char *name, const char *value),
                         void *context)
{
    const char *at = message->octets;
    const char *end = at + message->length;
    char *text = malloc(message->length + 1);
    if (text == NULL) {
        return false;
    }
    while (at < end && field_text(&at, end, text) > 0) {
        char *colon = strchr(text, ':');
        if (colon != NULL) {
            *colon = '\0';
            take(context, text, colon + 1 + strspn(colon + 1, " \t"));
        }
    }
    free(text);
    return true;
}
