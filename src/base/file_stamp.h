/* What a file was when it was looked at, to see whether it has changed since. */
#ifndef BASE_FILE_STAMP_H
#define BASE_FILE_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, attributed; /* the latter also moves with owner and mode */
};

/* Which file or folder it is. */
struct file_id {
    dev_t device;
    ino_t inode;
};

/* All zero where there is none. Follows symbolic links. */
struct file_id file_id_of(const char *path);
bool file_id_equal(struct file_id a, struct file_id b);

/* One stat; flags as for fstatat(2). True when the file is not as it was when *seen was last
 * filled, which it is again now: all zero where there is no file. */
bool file_stamp_renew(struct file_stamp *seen, const char *path, int flags);

#endif
