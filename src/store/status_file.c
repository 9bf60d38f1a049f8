/*
 * The file is replaced by rename, so that a reader sees a whole one or the one before. One writer,
 * the daemon; it is flushed to the disk, because what it says of unsigned mail keeps `auto` from
 * rejecting after a power cut as well. The words are status_text.c's.
 */
#include "store/status_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "store/status_text.h"

#define NAME "status"

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
        status = failed == NULL ? STATUS_OK
                                : reason_set(why, STATUS_IO, "%s: %s", failed, strerror(errno));
    } else {
        reason_write(why, "out of memory");
    }
    free(path);
    free(fresh);
    free(text);
    return status;
}

enum status status_file_read(const char *state_dir, struct status_report *out, struct reason *why)
{
    *out = (struct status_report){.active_key = -1};
    char *path;
    char *text = NULL;
    if (asprintf(&path, "%s/" NAME, state_dir) < 0) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    enum status status = file_read(path, &text, why);
    if (status == STATUS_OK) {
        struct reason inner = {""};
        status = status_parse(text, strlen(text), out, &inner);
        if (status != STATUS_OK) {
            reason_write(why, "%s: %.100s", path, inner.text);
        }
    }
    free(text);
    free(path);
    return status;
}
