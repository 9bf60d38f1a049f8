/*
 * Reading the configuration's files. They are opened without waiting, so that a FIFO in their place
 * cannot hang the daemon, and read to a limit, so that a mistaken path cannot fill its memory.
 */
#include "config/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reports what is wrong with the file at path where it was named, or of the file itself. */
static void report(struct config_messages *messages, struct config_place named, const char *path,
                   const char *what)
{
    if (named.option == NULL) {
        config_messages_add(messages, CONFIG_ERROR, path, 0, "%s", what);
    } else {
        config_messages_add(messages, CONFIG_ERROR, named.file, named.line, "%s: %s: %s",
                            named.option, path, what);
    }
}

/* What keeps the open file from being read as configuration; NULL: nothing. */
static const char *unfit(const struct stat *info, size_t limit)
{
    if (S_ISDIR(info->st_mode)) {
        return "is a directory, expected a file";
    }
    if (!S_ISREG(info->st_mode)) {
        return "is not a regular file";
    }
    return (uintmax_t)info->st_size > limit ? "is far too large" : NULL;
}

static unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;
    for (; text < at; text++) {
        line += *text == '\n';
    }
    return line;
}

/* Reads to the end of the file; one octet more than limit means that it has grown. */
static enum status read_all(int fd, size_t limit, char **out, size_t *length)
{
    size_t capacity = 65536;
    char *text = malloc(capacity + 2);
    size_t used = 0;
    ssize_t got = text == NULL ? 0 : 1;
    while (got > 0 && used <= limit) {
        if (used == capacity) {
            char *more = realloc(text, 2 * capacity + 2);
            if (more == NULL) {
                break;
            }
            text = more;
            capacity *= 2;
        }
        got = read(fd, text + used, capacity - used);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    if (got == 0 && used <= limit && text != NULL) {
        *out = text;
        *length = used;
        return STATUS_OK;
    }
    free(text);
    return got < 0 || used > limit ? STATUS_IO : STATUS_NO_MEMORY;
}

static enum status check_text(const char *path, const struct stat *info, const char *text,
                              size_t length, struct config_messages *messages)
{
    const char *nul = memchr(text, '\0', length);
    if (nul != NULL) {
        config_messages_add(messages, CONFIG_ERROR, path, line_of(text, nul),
                            "a NUL octet, expected text");
        return STATUS_INVALID;
    }
    if ((info->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        config_messages_add(
            messages, CONFIG_WARNING, path, 0,
            "mode %04o lets users other than its owner change it, expected 0644 or less",
            (unsigned)(info->st_mode & 07777));
    }
    return STATUS_OK;
}

enum status config_file_read(const char *path, size_t limit, struct config_place named,
                             struct config_messages *messages, char **text, size_t *length)
{
    struct stat info;
    const char *why = NULL;
    enum status status = STATUS_IO;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    *text = NULL;
    *length = 0;
    if (fd < 0 || fstat(fd, &info) < 0) {
        why = strerror(errno);
    } else if ((why = unfit(&info, limit)) == NULL) {
        status = read_all(fd, limit, text, length);
        why = status == STATUS_IO ? "cannot be read" : NULL;
    }
    if (why != NULL) {
        report(messages, named, path, why);
    }
    if (status == STATUS_OK) {
        status = check_text(path, &info, *text, *length, messages);
    }
    if (status == STATUS_OK) {
        (*text)[(*length)++] = '\n';
        (*text)[*length] = '\0';
    } else {
        free(*text);
        *text = NULL;
    }
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

char *config_file_item(char **at, unsigned *line)
{
    while (**at != '\0') {
        char *start = *at;
        char *newline = strchrnul(start, '\n');
        *at = *newline == '\0' ? newline : newline + 1;
        *newline = '\0';
        ++*line;
        while (is_space(*start)) {
            start++;
        }
        char *end = start;
        while (*end != '\0' && !(*end == '#' && (end == start || is_space(end[-1])))) {
            end++;
        }
        while (end > start && is_space(end[-1])) {
            end--;
        }
        *end = '\0';
        if (end > start) {
            return start;
        }
    }
    return NULL;
}
