/*
 * The folder's group counts as given on purpose unless it is root's or the daemon's own. No state.
 */
#include "daemon/socket_advice.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config/options.h"
#include "daemon/privileges.h"

enum { GROUP_TEXT = 64 };

struct folder {
    char path[PATH_MAX];
    char group[GROUP_TEXT]; /* that it was given to on purpose, or "" */
    bool setgid;
};

static void look_at_folder(const struct socket_wish *wish, struct folder *out)
{
    struct stat info;
    const char *slash = strrchr(wish->path, '/');
    int length = slash != NULL && slash > wish->path ? (int)(slash - wish->path) : 1;
    *out = (struct folder){.group = ""};
    snprintf(out->path, sizeof out->path, "%.*s", length, wish->path);
    if (stat(out->path, &info) != 0) {
        return;
    }
    const struct passwd *user = getpwuid(wish->user);
    bool own = info.st_gid == 0 || (user != NULL && info.st_gid == user->pw_gid);
    const struct group *group = own ? NULL : getgrgid(info.st_gid);
    if (group != NULL) {
        snprintf(out->group, sizeof out->group, "%s", group->gr_name);
    }
    out->setgid = (info.st_mode & S_ISGID) != 0;
}

enum status socket_group_unknown(const struct socket_wish *wish, struct reason *why)
{
    struct folder folder;
    look_at_folder(wish, &folder);
    bool given = folder.group[0] != '\0';
    const char *group = given ? folder.group : getgrnam("postfix") != NULL ? "postfix" : "";
    return reason_set(why, STATUS_NOT_FOUND,
                      "listen_group: there is no group \"%s\": set listen_group = \"%s\"%s%s",
                      wish->group, group, given ? ", the group of " : "", given ? folder.path : "");
}

enum status socket_group_denied(const struct socket_wish *wish, int error, struct reason *why)
{
    struct folder folder;
    char user[USER_TEXT];
    look_at_folder(wish, &folder);
    user_name(wish->user, user);
    if (folder.group[0] != '\0' && strcmp(folder.group, wish->group) != 0) {
        return reason_set(why, STATUS_IO,
                          "listen_group: user %s cannot give the socket to group \"%s\" (%s): set "
                          "listen_group = \"%s\", the group of %s%s%s",
                          user, wish->group, strerror(error), folder.group, folder.path,
                          folder.setgid ? "" : ", and let it pass on the group: chmod g+s ",
                          folder.setgid ? "" : folder.path);
    }
    return reason_set(why, STATUS_IO,
                      "listen_group: user %s cannot give the socket to group \"%s\" (%s): let its "
                      "folder pass on that group: chgrp %s %s && chmod g+xs %s",
                      user, wish->group, strerror(error), wish->group, folder.path, folder.path);
}

enum status socket_folder_denied(const struct socket_wish *wish, int error, struct reason *why)
{
    struct folder folder;
    char user[USER_TEXT];
    look_at_folder(wish, &folder);
    user_name(wish->user, user);
    if (error == ENOENT) {
        return reason_set(
            why, STATUS_IO, "listen: %s: %s: create its folder: install -d -m %s -o %s%s%s %s",
            wish->path, strerror(error), wish->group != NULL ? "2750" : "0755", user,
            wish->group != NULL ? " -g " : "", wish->group != NULL ? wish->group : "", folder.path);
    }
    return reason_set(
        why, STATUS_IO,
        "listen: %s: %s: user %s needs a folder that it can write to, such as that of listen = %s",
        wish->path, strerror(error), user, option_find("listen")->standard);
}
