/*
 * Replacing files that are the administrator's: the new content is written under another name in
 * the same folder, synchronised, and renamed, so that a reader, a full disk or a kill never meets
 * half a file. struct draft owns its two paths. One thread.
 */
#include "base/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* The file that path leads to; one that is not there yet as it stands. NULL: no memory. */
static char *find_target(const char *path)
{
    char *target = realpath(path, NULL);
    return target != NULL || errno == ENOMEM ? target : strdup(path);
}

/* Owner and permissions of the file that is to be replaced; never a setuid bit. */
static bool take_after(int fd, const char *target, mode_t mode)
{
    struct stat there;
    struct stat fresh;
    bool absent = lstat(target, &there) != 0;
    if (absent ? errno == ENOENT : S_ISLNK(there.st_mode)) { /* a link to nothing */
        return fchmod(fd, mode) == 0;
    }
    if (absent || fstat(fd, &fresh) != 0) {
        return false;
    }
    bool same = there.st_uid == fresh.st_uid && there.st_gid == fresh.st_gid;
    return (same || fchown(fd, there.st_uid, there.st_gid) == 0) &&
           fchmod(fd, there.st_mode & 0777) == 0;
}

static enum status fill(int fd, const struct draft *draft, const char *text, mode_t mode,
                        struct reason *why)
{
    enum status status = STATUS_OK;
    if (!file_write_all(fd, text, strlen(text))) {
        status = file_failed(draft->path, "write", why);
    } else if (!take_after(fd, draft->target, mode)) {
        status = file_failed(draft->path, "give it owner and mode of the former file", why);
    } else if (!file_sync(fd)) {
        status = file_failed(draft->path, "synchronise", why);
    }
    if (close(fd) != 0 && errno != EINTR && status == STATUS_OK) {
        status = file_failed(draft->path, "close", why);
    }
    return status;
}

enum status draft_write(struct draft *draft, const char *path, const char *text, mode_t mode,
                        struct reason *why)
{
    char *target = find_target(path);
    char *fresh = NULL;
    *draft = (struct draft){NULL};
    if (target == NULL || asprintf(&fresh, "%s.new-XXXXXX", target) < 0) {
        free(target);
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    *draft = (struct draft){.path = fresh, .target = target};
    enum status status = STATUS_OK;
    int fd = mkostemp(draft->path, O_CLOEXEC);
    if (fd < 0) {
        status = file_failed(draft->target, "write a new one beside it", why);
        free(draft->path); /* its name stands for no file */
        draft->path = NULL;
    } else {
        status = fill(fd, draft, text, mode, why);
    }
    if (status != STATUS_OK) {
        draft_drop(draft);
    }
    return status;
}

/* What a power cut could undo is no error for the file: it is in force. */
static void sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    if (folder != NULL) {
        (void)folder_sync(folder);
    }
    free(folder);
}

enum status draft_commit(struct draft *draft, struct reason *why)
{
    if (rename(draft->path, draft->target) != 0) {
        return file_failed(draft->target, "replace", why);
    }
    sync_parent(draft->target);
    free(draft->path);
    draft->path = NULL;
    return STATUS_OK;
}

void draft_drop(struct draft *draft)
{
    if (draft->path != NULL) {
        unlink(draft->path);
    }
    free(draft->path);
    free(draft->target);
    *draft = (struct draft){.target = NULL};
}

enum status draft_replace(const char *path, const char *text, mode_t mode, struct reason *why)
{
    struct draft draft;
    enum status status = draft_write(&draft, path, text, mode, why);
    if (status == STATUS_OK) {
        status = draft_commit(&draft, why);
    }
    draft_drop(&draft);
    return status;
}
