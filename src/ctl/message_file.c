/* Reading is bounded: the daemon goes over less of a message than this. */
#include "ctl/message_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "ctl/ctl.h"

enum { MESSAGE_MAX = 128 * 1024 * 1024 };

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

bool message_file_read(const char *path, struct message_file *out)
{
    *out = (struct message_file){NULL, 0};
    bool standard = strcmp(path, "-") == 0;
    FILE *stream = standard ? stdin : fopen(path, "rbe");
    bool done = stream != NULL && read_stream(stream, out);
    if (!done) {
        print_error("%s: %s", standard ? "stdin" : path, strerror(errno));
        message_file_free(out);
    }
    if (stream != NULL && !standard) {
        fclose(stream);
    }
    return done;
}

void message_file_free(struct message_file *message)
{
    free(message->octets);
    *message = (struct message_file){NULL, 0};
}
