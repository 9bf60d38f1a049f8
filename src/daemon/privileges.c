/*
 * Root is needed for little: a socket in a folder of root's. The lock and the keyring are taken as
 * the user that owns them, so that what root may read never hides what the daemon may not.
 */
#include "daemon/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 6, DESCRIPTORS = 16384 };

enum status identity_find(const struct config *config, struct identity *out, struct reason *why)
{
    *out = (struct identity){geteuid(), getegid()};
    if (config->user == NULL) {
        if (out->uid == 0) {
            return reason_set(why, STATUS_REFUSED,
                              "%s: root started batvd, but user is not set: set user = \"batvd\", "
                              "or user = \"root\" to run as root",
                              config->path);
        }
        return STATUS_OK;
    }
    const struct passwd *entry = getpwnam(config->user);
    if (entry == NULL) {
        return reason_set(
            why, STATUS_NOT_FOUND,
            "%s: user: there is no user \"%s\": set user = \"batvd\", or create that user",
            config->path, config->user);
    }
    if (out->uid != 0 && out->uid != entry->pw_uid) {
        return reason_set(why, STATUS_REFUSED,
                          "%s: user: to become \"%s\", start batvd as root or as that user",
                          config->path, config->user);
    }
    *out = (struct identity){entry->pw_uid, entry->pw_gid};
    return STATUS_OK;
}

/* The first in the way to path, from the left, that is not root's: path cut there; else false. */
static bool find_others(char *path, struct stat *st)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if ((lstat(path, st) == 0 && st->st_uid != 0) || (stat(path, st) == 0 && st->st_uid != 0)) {
            return true;
        }
        *at = '/';
    }
    return false;
}

enum status identity_of_folder(const char *path, struct identity *out, struct reason *why)
{
    struct stat folder;
    struct stat others;
    char way[PATH_MAX];
    *out = (struct identity){geteuid(), getegid()};
    const char *slash = strrchr(path, '/');
    int length = snprintf(way, sizeof way, "%.*s/", (int)(slash != NULL ? slash - path : 0), path);
    if (out->uid != 0 || length < 2 || length >= PATH_MAX || stat(way, &folder) != 0) {
        return STATUS_OK;
    }
    if (folder.st_uid != 0) {
        const struct passwd *owner = getpwuid(folder.st_uid);
        *out = (struct identity){folder.st_uid, owner != NULL ? owner->pw_gid : folder.st_gid};
        return STATUS_OK;
    }
    return find_others(way, &others) ? reason_set(why, STATUS_REFUSED,
                                                  "%s: root owns this folder, but user id %ld owns "
                                                  "%s on the way to it and could redirect root",
                                                  path, (long)others.st_uid, way)
                                     : STATUS_OK;
}

uid_t identity_owner(const struct identity *identity)
{
    return geteuid() == identity->uid ? (uid_t)-1 : identity->uid;
}

enum status identity_borrow(const struct identity *identity, struct reason *why)
{
    if (geteuid() == identity->uid) {
        return STATUS_OK;
    }
    const struct passwd *entry = getpwuid(identity->uid);
    if ((entry != NULL && initgroups(entry->pw_name, identity->gid) != 0) ||
        setegid(identity->gid) != 0 || seteuid(identity->uid) != 0) {
        return reason_set(why, STATUS_IO, "cannot become user id %ld: %s", (long)identity->uid,
                          strerror(errno));
    }
    return STATUS_OK;
}

/* Who has borrowed nothing must not ask: a service's system call filter denies even that. */
enum status identity_return(struct reason *why)
{
    if (geteuid() == getuid() && getegid() == getgid()) {
        return STATUS_OK;
    }
    if (seteuid(getuid()) != 0 || setegid(getgid()) != 0) {
        return reason_set(why, STATUS_IO, "cannot become user id %ld again: %s", (long)getuid(),
                          strerror(errno));
    }
    return STATUS_OK;
}

enum status identity_become(const struct identity *identity, const struct config *config,
                            struct reason *why)
{
    if (getuid() == identity->uid && geteuid() == identity->uid) {
        return STATUS_OK;
    }
    if (initgroups(config->user, identity->gid) != 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) != 0) {
        return reason_set(why, STATUS_IO, "cannot become user %s: %s", config->user,
                          strerror(errno));
    }
    return STATUS_OK;
}

/* The new folder, or -1 with errno. As the owner of the one above it. */
static int make_inside(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) != 0) {
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_uid != geteuid())) {
        close(fd);
        errno = EEXIST; /* exchanged meanwhile */
        return -1;
    }
    return fd;
}

enum status folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid, struct reason *why)
{
    struct identity above;
    enum status status = identity_of_folder(path, &above, why);
    if (status == STATUS_OK) {
        status = identity_borrow(&above, why);
    }
    if (status != STATUS_OK) {
        return status;
    }
    int fd = make_inside(path);
    int error = errno;
    status = identity_return(why);
    errno = error;
    /* Owner and group first: chown takes the setgid bit away. */
    if (status == STATUS_OK &&
        (fd < 0 || ((uid != geteuid() || gid != getegid()) && fchown(fd, uid, gid) != 0) ||
         fchmod(fd, mode) != 0)) {
        status = reason_set(why, STATUS_IO, "%s: cannot create it: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

void privileges_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void privileges_hide_memory(void)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

const char *user_name(uid_t uid, char out[static USER_TEXT])
{
    const struct passwd *entry = getpwuid(uid);
    if (entry != NULL) {
        snprintf(out, USER_TEXT, "%s", entry->pw_name);
    } else {
        snprintf(out, USER_TEXT, "%lu", (unsigned long)uid);
    }
    return out;
}

static enum status lock_failed(const char *state_dir, struct reason *why)
{
    int error = errno;
    char user[USER_TEXT];
    user_name(geteuid(), user);
    if (error == ENOENT) {
        return reason_set(why, STATUS_IO,
                          "state_dir: %s: %s: create it, install -d -m 0700 -o %s %s, or set "
                          "state_dir to the folder that has the keyring",
                          state_dir, strerror(error), user, state_dir);
    }
    return reason_set(why, STATUS_IO,
                      "state_dir: %s/lock: %s: user %s needs a folder of its own, such as "
                      "state_dir = \"/var/lib/batvd\"",
                      state_dir, strerror(error), user);
}

/* -1: it cannot be opened. */
static int open_lock(const char *state_dir, const char *name, int flags)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", state_dir, name);
    return open(path, O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
}

enum status state_dir_try(const char *state_dir, struct reason *why)
{
    static const char trial[] = "lock.try";
    char path[4096];
    int fd = open_lock(state_dir, "lock", O_RDWR);
    if (fd < 0 && errno == ENOENT) {
        fd = open_lock(state_dir, trial, O_RDWR | O_CREAT);
        if (fd >= 0) {
            snprintf(path, sizeof path, "%s/%s", state_dir, trial);
            (void)unlink(path);
        }
    }
    if (fd < 0) {
        return lock_failed(state_dir, why);
    }
    close(fd);
    return STATUS_OK;
}

enum status state_dir_lock(const char *state_dir, int *fd, struct reason *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", state_dir);
    *fd = open_lock(state_dir, "lock", O_RDWR | O_CREAT);
    if (*fd < 0) {
        return lock_failed(state_dir, why);
    }
    /* batvctl holds a shared lock for a moment when it asks whether a daemon runs */
    const struct timespec moment = {0, 50 * 1000000L};
    int failed = flock(*fd, LOCK_EX | LOCK_NB);
    for (int i = 0; failed != 0 && errno == EWOULDBLOCK && i < LOCK_TRIES; i++) {
        nanosleep(&moment, NULL);
        failed = flock(*fd, LOCK_EX | LOCK_NB);
    }
    if (failed != 0) {
        int error = errno;
        close(*fd);
        *fd = -1;
        return error == EWOULDBLOCK
                   ? reason_set(why, STATUS_CONFLICT, "%s: another batvd uses this state_dir", path)
                   : reason_set(why, STATUS_IO, "%s: %s", path, strerror(error));
    }
    /* A lock of the other kind tells batvctl which process it is. Where there are none, as on some
     * network file systems, nobody knows. */
    struct flock ours = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)fcntl(*fd, F_SETLK, &ours);
    return STATUS_OK;
}

/* A shared lock is asked for, so that two that ask do not take each other for a daemon. */
bool state_dir_is_locked(const char *state_dir)
{
    int fd = open_lock(state_dir, "lock", O_RDONLY);
    bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd); /* and with it the lock */
    }
    return held;
}

long state_dir_process(const char *state_dir)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_lock(state_dir, "lock", O_RDONLY);
    bool known = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0) {
        close(fd);
    }
    return known && lock.l_pid > 0 ? (long)lock.l_pid : 0;
}
