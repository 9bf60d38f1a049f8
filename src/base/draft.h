/* Files that are replaced whole or not at all. */
#ifndef BASE_DRAFT_H
#define BASE_DRAFT_H

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
enum status draft_replace(const char *path, const char *text, mode_t mode, struct reason *why);

#endif
