/*
 * What `check` has to say of the keyring. A file that is lost while the daemon runs comes back by
 * itself, or is copied from the daemon's memory; new keys in its place, or a restart, would make
 * all bounces to present tags be rejected. So whether there is a daemon is looked at first.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check/check.h"
#include "store/ring_file.h"
#include "store/ring_loss.h"

/* Another folder may stand in the place of the process's own: it writes its report there all the
 * same. */
long process_with_keys(const struct check *check)
{
    const struct report_look *look = &check->look;
    if (look->running) {
        return look->pid != 0 ? look->pid : look->report.pid;
    }
    bool lives = look->kind == REPORT_FORMER && look->age <= REPORT_OLD_SECONDS && look->age >= 0 &&
                 look->report.pid > 0 && (kill((pid_t)look->report.pid, 0) == 0 || errno == EPERM);
    return lives ? look->report.pid : check->kept.pid;
}

bool keys_are_at_stake(const struct check *check)
{
    return check->ring == NULL && (check->look.running || process_with_keys(check) != 0);
}

/* As the daemon reports, or else as it must be. */
static enum ring_back find_back(const struct check *check, bool unreadable)
{
    enum ring_back back;
    bool told = report_is_present(&check->look);
    if (told && check->unwritable == 0 &&
        ring_back_from_name(check->look.report.ring_back, &back)) {
        return back;
    }
    if (!check->look.running) {
        return RING_BACK_FOLDER;
    }
    if (check->config->settings->keys.retain_days == 0) {
        return RING_BACK_FORGET;
    }
    return check->unwritable != 0 || unreadable ? RING_BACK_FAILED : RING_BACK_WAITS;
}

/* What mends it: a copy where batvd cannot write, else patience. */
static char *mend_lost(struct check *check, const struct ring_plight *plight)
{
    bool waits = plight->back == RING_BACK_WAITS || plight->back == RING_BACK_DUE;
    if (waits) {
        return mend_text("wait two minutes, then: batvctl -c %s check", check_conf(check));
    }
    char *command = ring_plight_command(plight);
    if (command == NULL) {
        return mend_text("run this as root, in a container with CAP_SYS_PTRACE (--privileged): it "
                         "then tells the command that copies the keys");
    }
    return command;
}

static void tell_lost(struct check *check, enum ring_loss_kind kind, const char *path,
                      const struct reason *why)
{
    const char *cause = check->unwritable != 0 ? strerror(check->unwritable) : why->text;
    struct ring_plight plight = {
        check->config->state_dir, kind,          find_back(check, kind == RING_UNREADABLE), cause,
        check->kept.pid,          check->kept.fd};
    char *text = ring_plight_text(&plight);
    check->no_memory = check->no_memory || text == NULL;
    check_add(check, CHECK_FAIL, mend_lost(check, &plight), "%s: %s",
              kind == RING_MISSING ? path : why->text, text != NULL ? text : "");
    free(text);
}

/* No daemon has it. */
static void tell_gone(struct check *check, enum status status, const char *path,
                      const struct reason *why)
{
    const char *word = check_word(check, path);
    if (status == STATUS_NOT_FOUND && check->look.kind == REPORT_NONE) {
        check_add(check, CHECK_FAIL, mend_text("batvctl -c %s key init", check_conf(check)),
                  "%s does not exist: without keys batvd cannot sign", path);
    } else if (status == STATUS_NOT_FOUND) {
        check_add(check, CHECK_FAIL,
                  mend_text("put a copy from a backup in its place; without one: batvctl -c %s "
                            "key init",
                            check_conf(check)),
                  "%s does not exist, though batvd has run with this folder: with new keys, "
                  "bounces to all earlier tags are rejected",
                  path);
    } else {
        check_add(
            check, CHECK_FAIL,
            mend_text("put a copy from a backup in its place; without one: mv %s %s.broken && "
                      "batvctl -c %s key init",
                      word, word, check_conf(check)),
            "%s", why->text);
    }
}

/* A file that only has to be put right; what is no regular file goes out of the way. */
static void tell_refused(struct check *check, const char *path, const struct reason *why)
{
    struct stat file;
    struct stat folder;
    const char *word = check_word(check, path);
    if (lstat(path, &file) == 0 && !S_ISREG(file.st_mode)) {
        bool kept = keys_are_at_stake(check);
        check_add(check, CHECK_FAIL,
                  mend_text("mv --backup=numbered -T %s %s.other; then %s", word, word,
                            kept ? "wait two minutes: batvd still has the keys, and writes the "
                                   "file back. Do not restart it before"
                                 : "put a copy from a backup in its place"),
                  "%s", why->text);
    } else if (stat(check->config->state_dir, &folder) == 0) {
        check_add(
            check, CHECK_FAIL,
            mend_text("chown %lu %s && chmod 600 %s", (unsigned long)folder.st_uid, word, word),
            "%s", why->text);
    }
}

static bool lacks_right(const char *path)
{
    struct stat file;
    return lstat(path, &file) == 0 && (file.st_mode & S_IRUSR) == 0;
}

static void tell_no_ring(struct check *check, enum status status, const char *path,
                         const struct reason *why)
{
    static const enum ring_loss_kind kinds[] = {
        [STATUS_NOT_FOUND] = RING_MISSING,
        [STATUS_INVALID] = RING_DAMAGED,
        [STATUS_IO] = RING_UNREADABLE,
    };
    if (status == STATUS_REFUSED || (status == STATUS_IO && lacks_right(path))) {
        tell_refused(check, path, why);
    } else if (keys_are_at_stake(check) &&
               (status == STATUS_NOT_FOUND || status == STATUS_INVALID || status == STATUS_IO)) {
        tell_lost(check, kinds[status], path, why);
    } else {
        tell_gone(check, status, path, why);
    }
}

void check_keyring(struct check *check)
{
    struct reason why = {""};
    struct ring_source *source = ring_source_new(check->config->state_dir);
    if (source == NULL) {
        check->no_memory = true;
        return;
    }
    report_look(check->config->state_dir, &check->look);
    enum status status = ring_load(source, &check->ring, &why);
    if (status == STATUS_OK) {
        check_ok(check, "%s is readable, generation %llu", ring_source_path(source),
                 (unsigned long long)check->ring->generation);
    } else {
        tell_no_ring(check, status, ring_source_path(source), &why);
    }
    ring_source_free(source);
}
