/* Files that are replaced whole or not at all, and copies of them. */
#ifndef CTL_DRAFT_H
#define CTL_DRAFT_H

#include <sys/types.h>

#include "batv/status.h"

/* A new content that waits beside the file which it is to replace. Starts as all zero. */
struct draft {
    char *target; /* what a symbolic link leads to */
    char *path;   /* where the draft is; NULL: there is none */
};

/*
 * Writes text beside the file at path, with owner and mode of the file that is there, or with mode
 * where there is none, and synchronises it. STATUS_IO, STATUS_NO_MEMORY: there is no draft then.
 */
enum status draft_write(struct draft *draft, const char *path, const char *text, mode_t mode,
                        struct reason *why);
/* Puts the draft in the file's place. After an error the former file is in force. */
enum status draft_commit(struct draft *draft, struct reason *why);
/* Removes what has not been put in place, and frees what draft holds. */
void draft_drop(struct draft *draft);

/* The three in a row. */
enum status file_replace(const char *path, const char *text, mode_t mode, struct reason *why);

/* The content of a regular file, NUL-terminated; the caller frees. STATUS_NOT_FOUND: there is none.
 * STATUS_IO: another error, or NUL octets. */
enum status file_read(const char *path, char **text, struct reason *why);

/* A copy with owner, mode and times, to a path where nothing is yet. */
enum status file_copy(const char *from, const char *to, struct reason *why);

#endif
