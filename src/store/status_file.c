/*
 * The files `status` and `status.domains`: each replaced by rename, so that a reader sees a whole
 * one or the one before. One writer, the daemon; they are flushed to the disk, because what they
 * tell of unsigned mail keeps `auto` from refusing after a power cut as well. The words are
 * status_text.c's.
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

#define MOMENT  "status"
#define DOMAINS "status.domains"

enum { STATUS_MAX = 1 << 26 }; /* half a million domains */

static enum status io_failed(const char *path, struct reason *why)
{
    return reason_set(why, STATUS_IO, "%s: %s", path, strerror(errno));
}

/* name.new is the file while it is written. */
static enum status write_part(const char *state_dir, const char *name, enum status_part part,
                              const struct status_report *report, struct reason *why)
{
    char *path = NULL;
    char *fresh = NULL;
    char *text = NULL;
    size_t length = 0;
    enum status status = STATUS_NO_MEMORY;
    if (asprintf(&path, "%s/%s", state_dir, name) < 0) {
        path = NULL;
    } else if (asprintf(&fresh, "%s.new", path) < 0) {
        fresh = NULL;
    } else {
        status = status_format(report, part, &text, &length);
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

bool status_domains_kept(const char *state_dir, const struct file_stamp *stamp)
{
    char *path;
    struct file_stamp seen = *stamp;
    if (asprintf(&path, "%s/" DOMAINS, state_dir) < 0) {
        return true; /* there is no memory to write it either */
    }
    bool changed = file_stamp_renew(&seen, path, AT_SYMLINK_NOFOLLOW);
    free(path);
    return !changed;
}

enum status status_domains_write(const char *state_dir, const struct status_report *report,
                                 struct file_stamp *stamp, struct reason *why)
{
    char *path;
    enum status status = write_part(state_dir, DOMAINS, STATUS_PART_DOMAINS, report, why);
    if (status == STATUS_OK && asprintf(&path, "%s/" DOMAINS, state_dir) >= 0) {
        file_stamp_renew(stamp, path, AT_SYMLINK_NOFOLLOW);
        free(path);
    }
    return status;
}

enum status status_file_write(const char *state_dir, const struct status_report *report,
                              struct reason *why)
{
    return write_part(state_dir, MOMENT, STATUS_PART_MOMENT, report, why);
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

static enum status read_part(const char *state_dir, const char *name, struct status_report *out,
                             struct reason *why)
{
    *out = (struct status_report){.active_key = -1};
    char *path;
    if (asprintf(&path, "%s/%s", state_dir, name) < 0) {
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

enum status status_file_read_brief(const char *state_dir, struct status_report *out,
                                   struct reason *why)
{
    return read_part(state_dir, MOMENT, out, why);
}

enum status status_file_read(const char *state_dir, struct status_report *out, struct reason *why)
{
    struct status_report part;
    enum status status = read_part(state_dir, MOMENT, out, why);
    if (status != STATUS_OK || out->domains_all == 0) {
        return status; /* an earlier version has the domains in `status`, and does not count them */
    }
    status = read_part(state_dir, DOMAINS, &part, why);
    if (status == STATUS_OK) {
        /* exchanged, so that what is freed is all that is not handed out */
        const struct status_report former = *out;
        out->domains = part.domains;
        out->domain_count = part.domain_count;
        part.domains = former.domains;
        part.domain_count = former.domain_count;
    } else {
        status_report_free(out);
        status = status == STATUS_NOT_FOUND ? STATUS_INVALID : status;
    }
    status_report_free(&part);
    return status;
}
