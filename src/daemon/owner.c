/*
 * Becoming the owner of the state folder. What root would write there the daemon could not read
 * afterwards, and a keyring is refused by anyone whom it does not belong to. Changes the process,
 * for good or for a while; one thread.
 */
#include "daemon/owner.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/print.h"

static bool refuse_missing(const char *state_dir, const char *user)
{
    int error = errno;
    print_error("state_dir %s: %s", state_dir, strerror(error));
    if (error == ENOENT) {
        print_error("create it: install -d -m 0700%s%s %s", user != NULL ? " -o " : "",
                    user != NULL ? user : "", state_dir);
    } else if (error == EACCES) {
        print_error("run this as root%s%s", user != NULL ? " or as user " : "",
                    user != NULL ? user : "");
    }
    return false;
}

static bool refuse_user(const char *state_dir, uid_t owner)
{
    char name[USER_TEXT];
    user_name(owner, name);
    print_error("state_dir %s belongs to %s: run this as root%s%s", state_dir, name,
                owner != 0 ? " or as user " : "", owner != 0 ? name : "");
    return false;
}

static bool become(uid_t user, gid_t group)
{
    if (setgroups(1, &group) == 0 && setgid(group) == 0 && setuid(user) == 0) {
        return true;
    }
    int error = errno;
    char name[USER_TEXT];
    user_name(user, name);
    print_error("cannot become user %s: %s", name, strerror(error));
    return false;
}

bool owner_find(const char *state_dir, const struct stat *folder, struct identity *out)
{
    struct reason why = {""};
    char inside[PATH_MAX];
    snprintf(inside, sizeof inside, "%.*s/", PATH_MAX - 2, state_dir);
    if (identity_of_folder(inside, out, &why) != STATUS_OK) {
        print_error("state_dir %s", why.text);
        return false;
    }
    *out = (struct identity){geteuid() == 0 ? out->uid : folder->st_uid, folder->st_gid};
    return true;
}

enum status owner_borrow(const char *state_dir, struct reason *why)
{
    struct stat folder;
    struct identity owner;
    if (stat(state_dir, &folder) != 0) {
        return file_failed(state_dir, "read", why);
    }
    if (!owner_find(state_dir, &folder, &owner)) {
        return reason_set(why, STATUS_IO, "cannot use %s", state_dir);
    }
    return identity_borrow(&owner, why);
}

enum status owner_return(enum status status, struct reason *why)
{
    struct reason back = {""};
    if (identity_return(&back) != STATUS_OK) {
        *why = back;
        return STATUS_IO;
    }
    return status;
}

bool owner_become(const char *state_dir, const char *user)
{
    struct identity identity;
    struct stat folder;
    if (stat(state_dir, &folder) != 0) {
        return refuse_missing(state_dir, user);
    }
    if (!S_ISDIR(folder.st_mode)) {
        print_error("state_dir %s: not a folder", state_dir);
        return false;
    }
    if (!owner_find(state_dir, &folder, &identity)) {
        return false;
    }
    if (geteuid() == 0) {
        return identity.uid == 0 || become(identity.uid, identity.gid);
    }
    return geteuid() == folder.st_uid || refuse_user(state_dir, folder.st_uid);
}
