/*
 * The file is replaced by rename, so that a reader sees a whole one or the one before. One writer,
 * the daemon; it is flushed to the disk, because what it says of unsigned mail keeps `auto` from
 * rejecting after a power cut as well. The words are status_text.c's.
 */
#include "store/status_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "store/status_text.h"

#define NAME "status"

enum { STATUS_MAX = 1 << 26 }; /* octets */

static enum status io_failed(const char *path, struct reason *why)
{
    return reason_set(why, STATUS_IO, "%s: %s", path, strerror(errno));
}

/* status.new is the file while it is written. */
enum status status_file_write(const char *state_dir, const struct status_report *report,
                              struct reason *why)
{
    char *path = NULL;
    char *fresh = NULL;
    char *text = NULL;
    size_t length = 0;
    enum status status = STATUS_NO_MEMORY;
    if (asprintf(&path, "%s/" NAME, state_dir) < 0) {
        path = NULL;
    } else if (asprintf(&fresh, "%s.new", path) < 0) {
        fresh = NULL;
    } else {
        status = status_format(report, &text, &length);
    }
    if (status == STATUS_OK) {
        const char *failed = file_replace(path, fresh, text, length);
        status = failed == NULL ? STATUS_OK : io_failed(failed, why);
    } else {
        reason_write(why, "out of memory");
    }
    free(path);
    free(fresh);
    free(text);
    return status;
}

/* The whole of a stream, at most STATUS_MAX octets. The caller frees *text. */
static enum status read_stream(FILE *in, const char *path, char **text, size_t *length,
                               struct reason *why)
{
    size_t room = 4096;
    size_t used = 0;
    char *buffer = malloc(room);
    while (buffer != NULL) {
        used += fread(buffer + used, 1, room - used, in);
        if (used < room || room >= STATUS_MAX) {
            break;
        }
        char *grown = realloc(buffer, 2 * room);
        if (grown == NULL) {
            free(buffer);
        }
        buffer = grown;
        room *= 2;
    }
    *text = buffer;
    *length = used;
    if (buffer == NULL) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    if (ferror(in)) {
        return io_failed(path, why);
    }
    return used < room ? STATUS_OK : reason_set(why, STATUS_INVALID, "%s: too long", path);
}

static enum status read_file(const char *path, char **text, size_t *length, struct reason *why)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return reason_set(why, STATUS_NOT_FOUND, "%s: %s", path, strerror(errno));
    }
    FILE *in = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (in == NULL) {
        enum status status = io_failed(path, why);
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    enum status status = read_stream(in, path, text, length, why);
    fclose(in);
    return status;
}

enum status status_file_read(const char *state_dir, struct status_report *out, struct reason *why)
{
    *out = (struct status_report){.active_key = -1};
    char *path;
    if (asprintf(&path, "%s/" NAME, state_dir) < 0) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    char *text = NULL;
    size_t length = 0;
    enum status status = read_file(path, &text, &length, why);
    if (status == STATUS_OK) {
        struct reason inner = {""};
        status = status_parse(text, length, out, &inner);
        if (status != STATUS_OK) {
            reason_write(why, "%s: %.100s", path, inner.text);
        }
    }
    free(text);
    free(path);
    return status;
}
