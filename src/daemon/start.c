/*
 * The state folder and the keyring are tried as the user that owns them, the socket as whoever
 * started us, as the start does. No state.
 */
#include "daemon/start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/listener.h"
#include "store/ring_loss.h"

enum { GROUPS_MAX = 256 };

/* Read as root at the start, and as the user by each reload. */
static void warn_of_unreadable(const char *path)
{
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0) {
        log_line(LOG_WARNING, "%s: warning: user id %ld cannot read it, so a reload will fail",
                 path, (long)geteuid());
    }
}

/* Adds what to do about a ring that is not there. */
static void advise_ring(const struct config *config, enum status status, struct reason *why)
{
    const struct reason missing = *why;
    bool running = state_dir_process(config->state_dir) != 0;
    const char *advice =
        ring_lost_advice(config->state_dir, status, running, config->settings->keys.retain_days);
    if (advice != NULL) {
        reason_write(why, "%s: %s", missing.text, advice);
    }
}

static enum status load_ring(const struct config *config, struct ring_watch **ring,
                             struct reason *why)
{
    enum status status = ring_watch_new(config->state_dir, ring, why);
    if (status == STATUS_NOT_FOUND || status == STATUS_INVALID) {
        advise_ring(config, status, why);
    }
    return status;
}

/* The user's groups and those that the unit adds. Returns how many; -1: there is no such group. */
static int find_groups(const struct systemd_unit *unit, gid_t gid, gid_t out[static GROUPS_MAX])
{
    char names[sizeof unit->groups];
    char *rest = names;
    int count = GROUPS_MAX;
    if (getgrouplist(unit->user, gid, out, &count) < 0) {
        count = GROUPS_MAX;
    }
    snprintf(names, sizeof names, "%s", unit->groups);
    for (char *name; (name = strsep(&rest, ":")) != NULL;) {
        const struct group *group = name[0] != '\0' ? getgrnam(name) : NULL;
        if (group == NULL && name[0] != '\0') {
            return -1;
        }
        if (group != NULL && count < GROUPS_MAX) {
            out[count++] = group->gr_gid;
        }
    }
    return count;
}

enum status start_as_unit(const char *name, struct systemd_unit *unit, struct reason *why)
{
    gid_t groups[GROUPS_MAX];
    *unit = (struct systemd_unit){.user = ""};
    if (geteuid() != 0) {
        return STATUS_OK; /* whose start it would be */
    }
    systemd_unit_find(name, unit);
    if (unit->user[0] == '\0') {
        return STATUS_OK;
    }
    const struct passwd *user = getpwnam(unit->user);
    const struct group *group = unit->group[0] != '\0' ? getgrnam(unit->group) : NULL;
    if (user == NULL || (unit->group[0] != '\0' && group == NULL)) {
        return reason_set(why, STATUS_NOT_FOUND, "%s: there is no user %s or no group %s", name,
                          unit->user, unit->group);
    }
    gid_t gid = group != NULL ? group->gr_gid : user->pw_gid;
    uid_t uid = user->pw_uid;
    int count = find_groups(unit, gid, groups);
    if (count < 0 || setgroups((size_t)count, groups) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(uid, uid, uid) != 0) {
        return reason_set(why, STATUS_IO, "%s: cannot become user %s: %s", name, unit->user,
                          count < 0 ? "no such SupplementaryGroups=" : strerror(errno));
    }
    return STATUS_OK;
}

/* True where systemd makes the socket's folder when it starts the unit. */
static bool folder_comes(const struct config *config, const struct systemd_unit *unit)
{
    struct stat info;
    char folder[PATH_MAX];
    char names[sizeof unit->runtime_folders];
    char *rest = names;
    const char *path = strchr(config->listen, '/');
    const char *end = path != NULL ? strrchr(path, '/') : NULL;
    if (end == NULL) {
        return false;
    }
    snprintf(folder, sizeof folder, "%.*s", (int)(end - path), path);
    if (stat(folder, &info) == 0) {
        return false;
    }
    snprintf(names, sizeof names, "%s", unit->runtime_folders);
    for (const char *name; (name = strsep(&rest, ":")) != NULL;) {
        if (strncmp(folder, "/run/", 5) == 0 && strcmp(folder + 5, name) == 0) {
            return true;
        }
    }
    return false;
}

/* All that the identity can try: the state folder, the keyring. */
static enum status try_state(const struct config *config, const struct identity *identity,
                             struct ring_watch **ring, struct reason *why)
{
    struct reason ignored;
    enum status status = identity_borrow(identity, why);
    if (status == STATUS_OK) {
        warn_of_unreadable(config->path);
        status = state_dir_try(config->state_dir, why);
    }
    if (status == STATUS_OK) {
        status = load_ring(config, ring, why);
    }
    enum status returned = identity_return(status == STATUS_OK ? why : &ignored);
    return status == STATUS_OK ? returned : status;
}

enum status start_try(const struct config *config, const struct identity *identity,
                      const struct systemd_unit *unit, struct ring_watch **ring, struct reason *why)
{
    struct listener_rights rights = {unit != NULL && unit->keeps_groups,
                                     unit != NULL && unit->any_port};
    *ring = NULL;
    enum status status = try_state(config, identity, ring, why);
    if (status != STATUS_OK || (unit != NULL && folder_comes(config, unit))) {
        return status;
    }
    return listener_try(config, identity_owner(identity), rights, why);
}
