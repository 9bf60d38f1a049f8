/*
 * A daemon whose folder was exchanged cannot be found by its lock, so its copy is looked for by its
 * name. No state here.
 */
#include "store/kept_ring.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/ring_loss.h"

/* The number that a folder's entry is; -1: none. */
static long number_of(const char *name)
{
    char *end;
    long number = strtol(name, &end, 10);
    return *name >= '0' && *name <= '9' && *end == '\0' ? number : -1;
}

/* A name is anybody's; a file in memory belongs to whoever made it. */
static bool is_owners(int folder, const char *name, uid_t owner)
{
    struct stat file;
    return fstatat(folder, name, &file, 0) == 0 && file.st_uid == owner;
}

static int find_in(long pid, const char *wanted, uid_t owner)
{
    char path[64];
    int found = -1;
    snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && found < 0 && (entry = readdir(folder)) != NULL) {
        char target[RING_COPY_NAME + 64];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        if (strcmp(target, wanted) == 0 && is_owners(dirfd(folder), entry->d_name, owner)) {
            found = (int)number_of(entry->d_name);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return found;
}

void kept_ring_find(const char *state_dir, struct kept_ring *out)
{
    char name[RING_COPY_NAME];
    char wanted[RING_COPY_NAME + 64];
    *out = (struct kept_ring){0, -1};
    ring_copy_name(state_dir, name);
    snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", name);
    struct stat state;
    if (stat(state_dir, &state) != 0) {
        return;
    }
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    while (folder != NULL && out->fd < 0 && (entry = readdir(folder)) != NULL) {
        long pid = number_of(entry->d_name);
        out->fd = pid > 0 ? find_in(pid, wanted, state.st_uid) : -1;
        out->pid = out->fd >= 0 ? pid : 0;
    }
    if (folder != NULL) {
        closedir(folder);
    }
}
