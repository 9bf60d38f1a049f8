/*
 * The place where the mail server finds batvd: whether it is there, answers, and lets its user in.
 * The rights are worked out from owners and modes along the path, so that the folder at fault can
 * be named. Wrong ones are the most frequent fault in setting up a milter.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check/check.h"
#include "mta/milter_address.h"
#include "mta/milter_probe.h"
#include "mta/postfix_needs.h"

enum { GROUPS_MAX = 256 };

/* The mail server's user and all groups of it. */
struct identity {
    const char *mta;
    const char *name;
    char group[64]; /* its own group's name */
    uid_t uid;
    gid_t groups[GROUPS_MAX];
    int group_count;
};

static const char *group_name(gid_t gid)
{
    const struct group *group = getgrgid(gid);
    return group != NULL ? group->gr_name : "?";
}

static bool find_identity(const char *mta, const char *user, struct identity *out)
{
    out->mta = mta;
    out->name = user;
    const struct passwd *account = getpwnam(user);
    out->group_count = GROUPS_MAX;
    if (account == NULL) {
        return false;
    }
    out->uid = account->pw_uid;
    snprintf(out->group, sizeof out->group, "%s", group_name(account->pw_gid));
    if (getgrouplist(out->name, account->pw_gid, out->groups, &out->group_count) < 0) {
        out->group_count = GROUPS_MAX; /* the first ones are there */
    }
    return true;
}

/* The rights, rwx as 7, that the identity has by owner, group or others. */
static unsigned rights(const struct identity *who, const struct stat *info)
{
    unsigned mode = (unsigned)info->st_mode;
    if (who->uid == info->st_uid) {
        return mode >> 6 & 7;
    }
    for (int i = 0; i < who->group_count; i++) {
        if (who->groups[i] == info->st_gid) {
            return mode >> 3 & 7;
        }
    }
    return mode & 7;
}

static bool can_write(const struct identity *who, const struct stat *info)
{
    return who->uid == 0 || (rights(who, info) & 2) != 0;
}

/* As whom the MTA connects. False: there is none, or that cannot be known. */
static bool find_mta(const struct check *check, struct identity *out)
{
    if (check->postfix != NULL) {
        return find_identity("Postfix", postfix_get(check->postfix, "mail_owner"), out);
    }
    *out = (struct identity){.mta = "Sendmail", .group_count = 1};
    if (check->sendmail == NULL ||
        sendmail_run_as(check->sendmail, &out->uid, &out->groups[0]) != STATUS_OK) {
        return false;
    }
    snprintf(out->group, sizeof out->group, "%s", group_name(out->groups[0]));
    return true;
}

/* The command puts the socket as the configuration has it, if the MTA can connect then; else it is
 * the configuration that has to be mended. command is taken over. */
static char *mend_socket(struct check *check, const struct stat *info, gid_t group, char *command)
{
    struct identity who;
    struct stat wanted = *info;
    wanted.st_gid = group;
    wanted.st_mode = check->config->listen_mode;
    if (!find_mta(check, &who) || can_write(&who, &wanted)) {
        return command;
    }
    free(command);
    return mend_config_restart(check, "listen_group = \"%s\"; listen_mode = \"0660\";", who.group);
}

static void tell_no_group(struct check *check, const struct stat *info)
{
    struct identity who;
    const char *group =
        find_mta(check, &who) && who.uid != 0 ? who.group : group_name(info->st_gid);
    check_add(check, CHECK_FAIL, mend_config_restart(check, "listen_group = \"%s\";", group),
              "there is no group %s (listen_group)", check->config->listen_group);
}

static void check_mode(struct check *check, const char *path, const struct stat *info)
{
    const struct config *config = check->config;
    const struct group *found =
        config->listen_group != NULL ? getgrnam(config->listen_group) : NULL;
    gid_t group = found != NULL ? found->gr_gid : info->st_gid;
    if (config->listen_group != NULL && found == NULL) {
        tell_no_group(check, info);
    } else if (group != info->st_gid) {
        char *command = mend_text("chgrp %s %s", check_word(check, config->listen_group),
                                  check_word(check, path));
        check_add(check, CHECK_WARN, mend_socket(check, info, group, command),
                  "%s has another group than listen_group, %s", path, config->listen_group);
    } else if ((info->st_mode & 0777) != config->listen_mode) {
        char *command =
            mend_text("chmod %04o %s", (unsigned)config->listen_mode, check_word(check, path));
        check_add(check, CHECK_WARN, mend_socket(check, info, group, command),
                  "%s has mode %04o, but listen_mode is %04o", path, (unsigned)info->st_mode & 0777,
                  (unsigned)config->listen_mode);
    } else {
        check_ok(check, "%s is there and answers, mode %04o", path, (unsigned)info->st_mode & 0777);
    }
}

static void tell_untried(struct check *check, const char *path)
{
    check_add(check, CHECK_WARN, mend_text("run this as root"),
              "%s: this user cannot test whether it answers", path);
}

static void check_unix(struct check *check, const char *path)
{
    struct stat info;
    struct reason why = {""};
    if (stat(path, &info) != 0) {
        if (errno == EACCES) {
            tell_untried(check, path);
        } else {
            check_add(check, CHECK_FAIL, mend_text("%s", check->restart), "%s: %s", path,
                      strerror(errno));
        }
        return;
    }
    if (!S_ISSOCK(info.st_mode)) {
        check_add(check, CHECK_FAIL,
                  mend_text("mv %s %s.old && %s", check_word(check, path), check_word(check, path),
                            check->restart),
                  "%s is not a socket", path);
        return;
    }
    enum probe probe = probe_path(path, &why);
    if (probe == PROBE_FORBIDDEN) {
        tell_untried(check, path);
    } else if (probe != PROBE_ANSWERS) {
        check_add(check, CHECK_FAIL, mend_text("%s", check->restart),
                  "%s is there, but nobody answers: %s", path, why.text);
    } else {
        check_mode(check, path, &info);
    }
}

static void check_inet(struct check *check)
{
    struct reason why = {""};
    char *host;
    char *port;
    if (!listen_host_port(check->config->listen, &host, &port)) {
        check->no_memory = true;
        return;
    }
    const char *target = listen_reachable(host);
    if (probe_host(target, port, &why) == PROBE_ANSWERS) {
        check_ok(check, "port %s at %s answers", port, target);
    } else {
        check_add(check, CHECK_FAIL, mend_text("%s", check->restart),
                  "port %s at %s does not answer: %s", port, target, why.text);
    }
    free(host);
    free(port);
}

void check_socket(struct check *check)
{
    const char *path = listen_path(check->config->listen);
    if (path != NULL) {
        check_unix(check, path);
    } else {
        check_inet(check);
    }
}

/* Whoever enters by the folder's group now must not be locked out. */
static char *mend_entry(struct check *check, const struct identity *who, const char *folder,
                        const struct stat *info)
{
    if ((info->st_mode & S_IXGRP) != 0 && info->st_gid != 0) {
        return mend_text("chmod o+x %s", check_word(check, folder));
    }
    return mend_text("chgrp %s %s && chmod g+x %s", who->group, check_word(check, folder),
                     check_word(check, folder));
}

static void tell_no_entry(struct check *check, const struct identity *who, const char *folder,
                          const struct stat *info)
{
    check_add(check, CHECK_FAIL, mend_entry(check, who, folder, info),
              "%s's user %s cannot enter %s (mode %04o, group %s), and so not reach the socket",
              who->mta, who->name, folder, (unsigned)info->st_mode & 07777,
              group_name(info->st_gid));
}

/* The folders above the socket, from the length-th octet of its path on. False: one keeps the
 * identity out, or is not there, which check_socket has told. */
static bool folders_let_in(struct check *check, const struct identity *who, char *path,
                           size_t length)
{
    struct stat info;
    for (char *slash = strchr(path + length, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *folder = slash == path ? "/" : path;
        char kept = *slash;
        *slash = slash == path ? kept : '\0';
        bool known = stat(folder, &info) == 0;
        bool open = known && (rights(who, &info) & 1) != 0;
        if (known && !open) {
            tell_no_entry(check, who, folder, &info);
        }
        *slash = kept;
        if (!open) {
            return false;
        }
    }
    return true;
}

/* The first octets of the path are of a folder in which the mail server is already. */
static void check_access(struct check *check, const struct identity *who, char *path, size_t inside)
{
    struct stat info;
    if (!folders_let_in(check, who, path, inside) || stat(path, &info) != 0) {
        return;
    }
    if ((rights(who, &info) & 2) != 0) {
        check_ok(check, "%s's user %s can connect to %s", who->mta, who->name, path);
        return;
    }
    check_add(
        check, CHECK_FAIL,
        mend_config_restart(check, "listen_group = \"%s\"; listen_mode = \"0660\";", who->group),
        "%s's user %s cannot connect to %s (mode %04o, group %s): it needs to write there",
        who->mta, who->name, path, (unsigned)info.st_mode & 0777, group_name(info.st_gid));
}

void check_socket_access(struct check *check)
{
    const char *path = listen_path(check->config->listen);
    struct identity who;
    if (path == NULL) {
        return;
    }
    /* smtpd starts in the queue directory, whatever is above it. */
    const char *below = path_below(path, need_queue_directory(check->postfix));
    char *copy = strdup(path);
    if (copy == NULL) {
        check->no_memory = true;
    } else if (!find_identity("Postfix", postfix_get(check->postfix, "mail_owner"), &who)) {
        check_add(check, CHECK_FAIL, mend_text("postfix check"),
                  "there is no user %s for Postfix to run as (mail_owner)", who.name);
    } else {
        check_access(check, &who, copy, below != NULL ? (size_t)(below - path) - 1 : 0);
    }
    free(copy);
}

void check_sendmail_access(struct check *check)
{
    const char *path = listen_path(check->config->listen);
    if (path == NULL) {
        return;
    }
    const char *name = sendmail_option(check->sendmail, "RunAsUser");
    struct identity who = {.mta = "Sendmail", .name = name, .group_count = 1};
    enum status status = sendmail_run_as(check->sendmail, &who.uid, &who.groups[0]);
    if (status == STATUS_OK && who.uid == 0) {
        check_ok(check, "Sendmail connects as root");
        return;
    }
    char *copy = strdup(path);
    if (copy == NULL || status == STATUS_NO_MEMORY) {
        check->no_memory = true;
    } else if (status != STATUS_OK) {
        check_add(check, CHECK_FAIL,
                  mend_text("define(`confRUN_AS_USER', `USER:GROUP')dnl in the .mc file that %s is "
                            "made from, with some that are there",
                            sendmail_cf(check->sendmail)),
                  "there is no user or group %s for Sendmail to run as (RunAsUser)", name);
    } else {
        snprintf(who.group, sizeof who.group, "%s", group_name(who.groups[0]));
        check_access(check, &who, copy, 0);
    }
    free(copy);
}
