/*
 * What `check` has to say of writing to the state folder, by writing there as its owner. The file
 * has no name any more when it is filled, so nothing is left behind.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "check/check.h"

enum { PROBE_SIZE = 64 << 10 }; /* what keys and report need at least */

/* 0, or errno. */
static int probe(const char *folder)
{
    static const char octets[PROBE_SIZE];
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/check.XXXXXX", folder) >= (int)sizeof path) {
        return ENAMETOOLONG;
    }
    int fd = mkostemp(path, 0);
    if (fd < 0 || unlink(path) != 0) {
        return errno;
    }
    int error = file_write_all(fd, octets, sizeof octets) && file_sync(fd) ? 0 : errno;
    return close(fd) != 0 && error == 0 ? errno : error;
}

static bool lacks_inodes(const char *folder)
{
    struct statvfs info;
    return statvfs(folder, &info) == 0 && info.f_files > 0 && info.f_favail == 0;
}

char *mend_unwritable(struct check *check, int error)
{
    const char *folder = check_word(check, check->config->state_dir);
    switch (error) {
    case ENOSPC:
        if (lacks_inodes(check->config->state_dir)) {
            return mend_text(
                "remove files from the file system, which has no inodes left: df -i %s", folder);
        }
        return mend_text("make room; this shows what takes it: du -xah \"$(df --output=target %s | "
                         "tail -n 1)\" | sort -h | tail",
                         folder);
    case EDQUOT:
        return mend_text("raise the quota of the owner of %s, or make room", folder);
    case EROFS:
        return mend_text("mount -o remount,rw \"$(df --output=target %s | tail -n 1)\"", folder);
    case EACCES:
        return mend_text("chmod 700 %s", folder);
    case EPERM:
        return mend_text("chattr -i %s", folder);
    default:
        return mend_text("find out what is wrong with the file system: dmesg | tail");
    }
}

void check_writable(struct check *check)
{
    const char *folder = check->config->state_dir;
    check->unwritable = probe(folder);
    if (check->unwritable == 0) {
        check_ok(check, "%s can be written", folder);
    } else {
        check_add(check, CHECK_FAIL, mend_unwritable(check, check->unwritable),
                  "%s cannot be written: %s. Do not restart batvd before this is mended: it would "
                  "lose the data that is only in its memory, and may be unable to start",
                  folder, strerror(check->unwritable));
    }
}
