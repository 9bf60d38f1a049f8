/*
 * One line an entry. The file is read as root, too, in a folder of another user's: no link is
 * followed, and the size is bounded. A writer replaces it as a whole; of two writers at once the
 * later one wins, which loses an entry at most. No state here.
 */
#include "daemon/listeners.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { TEXT_MAX = LISTENERS_MAX * (LISTENER_TEXT_MAX + 1) };

/* False: longer than a path can be. */
static bool path_in(const char *state_dir, const char *name, char out[static PATH_MAX])
{
    int length = snprintf(out, PATH_MAX, "%s/%s", state_dir, name);
    return length >= 0 && length < PATH_MAX;
}

static bool fits_a_line(const char *listen)
{
    size_t length = strlen(listen);
    for (size_t i = 0; i < length; i++) {
        if (iscntrl((unsigned char)listen[i])) {
            return false;
        }
    }
    return length > 0 && length <= LISTENER_TEXT_MAX;
}

/* The file's octets, NUL-terminated; how many. */
static size_t read_text(const char *path, char out[static TEXT_MAX + 1])
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t length = -1;
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        length = file_read_all(fd, out, TEXT_MAX);
    }
    if (fd >= 0) {
        close(fd);
    }
    out[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

size_t listeners_read(const char *state_dir, char *out[static LISTENERS_MAX])
{
    char path[PATH_MAX];
    char text[TEXT_MAX + 1];
    size_t count = 0;
    if (!path_in(state_dir, "listeners", path) || read_text(path, text) == 0) {
        return 0;
    }
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL && rest != NULL && count < LISTENERS_MAX;
         line = strsep(&rest, "\n")) {
        out[count] = fits_a_line(line) ? strdup(line) : NULL;
        count += out[count] != NULL;
    }
    return count;
}

static enum status replace(const char *state_dir, const char *text, struct reason *why)
{
    char path[PATH_MAX];
    char fresh[PATH_MAX];
    if (!path_in(state_dir, "listeners", path) || !path_in(state_dir, "listeners.new", fresh)) {
        return reason_set(why, STATUS_IO, "%.400s: the path is too long", state_dir);
    }
    const char *failed = file_replace(path, fresh, text, strlen(text));
    return failed == NULL ? STATUS_OK : file_failed(failed, "write", why);
}

enum status listeners_note(const char *state_dir, const char *listen, struct reason *why)
{
    char *entries[LISTENERS_MAX];
    char text[TEXT_MAX + 1] = "";
    char *end = text;
    enum status status = STATUS_OK;
    if (!fits_a_line(listen)) {
        return STATUS_OK;
    }
    size_t count = listeners_read(state_dir, entries);
    size_t same = 0;
    for (size_t i = 0; i < count; i++) {
        same += strcmp(entries[i], listen) == 0;
    }
    size_t surplus = count - same == LISTENERS_MAX;
    for (size_t i = surplus; i < count; i++) {
        if (strcmp(entries[i], listen) != 0) {
            end = stpcpy(stpcpy(end, entries[i]), "\n");
        }
    }
    stpcpy(stpcpy(end, listen), "\n");
    if (count == 0 || same != 1 || strcmp(entries[count - 1], listen) != 0) {
        status = replace(state_dir, text, why);
    }
    for (size_t i = 0; i < count; i++) {
        free(entries[i]);
    }
    return status;
}
