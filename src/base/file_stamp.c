/* Watching a file by what the file system says of it. No state but the caller's. */
#include "base/file_stamp.h"

#include <fcntl.h>

static bool is_same_moment(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_stamp_renew(struct file_stamp *seen, const char *path, int flags)
{
    struct file_stamp now = {0};
    struct stat info;
    if (fstatat(AT_FDCWD, path, &info, flags) == 0) {
        now = (struct file_stamp){
            .device = info.st_dev,
            .inode = info.st_ino,
            .size = info.st_size,
            .modified = info.st_mtim,
            .attributed = info.st_ctim,
        };
    }
    bool same = now.device == seen->device && now.inode == seen->inode && now.size == seen->size &&
                is_same_moment(&now.modified, &seen->modified) &&
                is_same_moment(&now.attributed, &seen->attributed);
    *seen = now;
    return !same;
}

struct file_id file_id_of(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return (struct file_id){0};
    }
    return (struct file_id){info.st_dev, info.st_ino};
}

bool file_id_equal(struct file_id a, struct file_id b)
{
    return a.device == b.device && a.inode == b.inode;
}
