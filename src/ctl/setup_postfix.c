/*
 * What `batvctl setup --apply` does to Postfix: the folder for the socket, the map, and the
 * settings that are not as they should be, all by one call of postconf(1), which replaces main.cf
 * as a whole. The former main.cf is kept beside it under a dated name, and put back where postconf
 * fails. Nothing is started. One thread.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/draft.h"
#include "ctl/former.h"
#include "ctl/milter_address.h"
#include "ctl/milter_probe.h"
#include "ctl/owner.h"
#include "ctl/postfix_map.h"
#include "ctl/postfix_needs.h"
#include "ctl/print.h"
#include "ctl/program.h"
#include "ctl/running.h"
#include "ctl/setup.h"
#include "io/file.h"
#include "io/listeners.h"
#include "io/privileges.h"

enum { DATE_TEXT = sizeof "20261122T040335Z" };

struct work {
    const struct ctl *ctl;
    const struct postfix *postfix;
    struct formers *formers;
    const char *map_path;
    char date[DATE_TEXT];
    char *main_cf;
    char *copy;                 /* of main.cf; NULL: nothing was changed there */
    char *settings[NEED_COUNT]; /* "NAME = VALUE", those to be made, a NULL behind the last */
    size_t count;
};

static int fail(const struct reason *why)
{
    ctl_error("%s", why->text);
    return CTL_UNABLE;
}

/* Runs one of Postfix's programs. STATUS_IO: it refused, too. */
static enum status run(const char *name, const char *const arguments[], size_t count,
                       struct reason *why)
{
    struct program_output output = {.out = NULL};
    char *path = program_find(name);
    const char **argv = calloc(count + 2, sizeof *argv);
    enum status status = reason_set(why, STATUS_IO, "%s cannot be found", name);
    if (path != NULL && argv != NULL) {
        argv[0] = path;
        for (size_t i = 0; i < count; i++) {
            argv[i + 1] = arguments[i];
        }
        status = program_run(argv, NULL, &output, why);
    }
    if (status == STATUS_OK && output.exit != 0) {
        const char *line = strstr(output.err, "fatal: ");
        line = line != NULL ? line : output.err;
        status = reason_set(why, STATUS_IO, "%s failed, exit status %d: %.*s", name, output.exit,
                            (int)strcspn(line, "\n"), line);
    }
    program_output_free(&output);
    free(argv);
    free(path);
    return status;
}

/* The folder for the socket. */

/* The folder above the socket where that is missing and in the queue directory. NULL: none, or no
 * memory. */
static char *missing_folder(const struct ctl *ctl, const struct postfix *postfix)
{
    const char *path = listen_path(ctl->config->listen);
    const char *below = path != NULL ? path_below(path, need_queue_directory(postfix)) : NULL;
    if (below == NULL || strchr(below, '/') == NULL) {
        return NULL;
    }
    char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    if (folder != NULL && access(folder, F_OK) == 0) {
        free(folder);
        folder = NULL;
    }
    return folder;
}

char *setup_folder_command(const struct ctl *ctl, const struct postfix *postfix)
{
    const struct config *config = ctl->config;
    char *folder = missing_folder(ctl, postfix);
    char *word = folder != NULL ? program_quote(folder) : NULL;
    char *command = NULL;
    if (word != NULL &&
        asprintf(&command, "install -d -m 2750%s%s%s%s %s", config->user != NULL ? " -o " : "",
                 config->user != NULL ? config->user : "",
                 config->listen_group != NULL ? " -g " : "",
                 config->listen_group != NULL ? config->listen_group : "", word) < 0) {
        command = NULL;
    }
    free(word);
    free(folder);
    return command;
}

static int make_folder(const struct work *work)
{
    const struct config *config = work->ctl->config;
    const struct passwd *user = config->user != NULL ? getpwnam(config->user) : NULL;
    const struct group *group =
        config->listen_group != NULL ? getgrnam(config->listen_group) : NULL;
    struct reason why = {""};
    int exit = CTL_YES;
    char *folder = missing_folder(work->ctl, work->postfix);
    if (folder == NULL) {
        return CTL_YES;
    }
    if (folder_make(folder, 02750, user != NULL ? user->pw_uid : (uid_t)-1,
                    group != NULL ? group->gr_gid : (gid_t)-1, &why) != STATUS_OK) {
        exit = fail(&why);
    } else {
        print_format(stdout, "socket: %s made for it\n", folder);
    }
    free(folder);
    return exit;
}

/* The map. */

/* Keeps what another map of that name holds. */
static enum status keep_map(const struct work *work, struct reason *why)
{
    char *copy = NULL;
    if (asprintf(&copy, "%s.batvd-%s", work->map_path, work->date) < 0) {
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    enum status status = file_copy(work->map_path, copy, why);
    if (status == STATUS_OK) {
        print_format(stdout, "map: the former %s is kept as %s\n", work->map_path, copy);
    }
    free(copy);
    return status;
}

static int write_map(const struct work *work)
{
    struct reason why = {""};
    char *former = NULL;
    char *text = postfix_map_text(work->ctl->config->settings);
    enum status status = text != NULL ? file_read(work->map_path, &former, &why)
                                      : reason_set(&why, STATUS_NO_MEMORY, "out of memory");
    bool same = status == STATUS_OK && strcmp(former, text) == 0;
    if (status == STATUS_OK && !same) {
        status = keep_map(work, &why);
    }
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && !same)) {
        status = draft_replace(work->map_path, text, 0644, &why);
    }
    if (status == STATUS_OK) {
        print_format(stdout, "map: %s %s\n", work->map_path,
                     same ? "is as it should be" : "written");
    }
    free(former);
    free(text);
    return status == STATUS_OK ? CTL_YES : fail(&why);
}

/* main.cf. */

/* Finds what is to be set. False: no memory. */
static bool find_settings(struct work *work)
{
    const struct need_site site = {work->postfix, work->formers, work->ctl->config->listen,
                                   work->map_path};
    for (int i = 0; i < NEED_COUNT; i++) {
        const char *name = need_name((enum need)i);
        char *value = need_value(&site, (enum need)i);
        bool known = value != NULL;
        if (known && strcmp(value, postfix_get_raw(work->postfix, name)) != 0) {
            known = asprintf(&work->settings[work->count], "%s = %s", name, value) >= 0;
            work->count += known;
        }
        free(value);
        if (!known) {
            return false;
        }
    }
    return true;
}

static void print_way_back(const struct work *work)
{
    char *copy = program_quote(work->copy);
    char *main_cf = program_quote(work->main_cf);
    const char *place = postfix_place(work->postfix);
    print_format(stdout,
                 "main.cf: the former one is kept; this puts it back:\n"
                 "    cp -p %s %s && postfix%s reload\n",
                 copy != NULL ? copy : work->copy, main_cf != NULL ? main_cf : work->main_cf,
                 place);
    free(copy);
    free(main_cf);
}

/* After postconf has failed: main.cf as it was, and no copy of it left. */
static int put_back(const struct work *work)
{
    struct reason why = {""};
    char *former = NULL;
    char *now = NULL;
    enum status status = file_read(work->copy, &former, &why);
    if (status == STATUS_OK) {
        status = file_read(work->main_cf, &now, &why);
    }
    bool changed = status != STATUS_OK || strcmp(former, now) != 0;
    if (former != NULL && changed) {
        status = draft_replace(work->main_cf, former, 0644, &why);
    }
    if (status != STATUS_OK) {
        fail(&why);
        ctl_error("%s may have been changed: put %s back in its place", work->main_cf, work->copy);
    } else {
        (void)unlink(work->copy);
        ctl_error("%s is as it was", work->main_cf);
    }
    free(former);
    free(now);
    return CTL_UNABLE;
}

static int edit_main(struct work *work)
{
    struct reason why = {""};
    const char *arguments[NEED_COUNT + 1] = {"-e"};
    if (asprintf(&work->copy, "%s.batvd-%s", work->main_cf, work->date) < 0) {
        work->copy = NULL;
        reason_write(&why, "out of memory");
    }
    if (work->copy == NULL || file_copy(work->main_cf, work->copy, &why) != STATUS_OK) {
        fail(&why);
        ctl_error("%s is as it was", work->main_cf);
        return CTL_UNABLE;
    }
    for (size_t i = 0; i < work->count; i++) {
        arguments[i + 1] = work->settings[i];
    }
    if (run("postconf", arguments, work->count + 1, &why) != STATUS_OK) {
        fail(&why);
        return put_back(work);
    }
    for (size_t i = 0; i < work->count; i++) {
        print_format(stdout, "main.cf: set %s\n", work->settings[i]);
        if (strncmp(work->settings[i], need_name(NEED_MAPS), strlen(need_name(NEED_MAPS))) == 0 &&
            strchr(work->settings[i], ',') != NULL) {
            puts("main.cf: the other maps there work on envelope recipients only from now on, not "
                 "on headers");
        }
    }
    print_way_back(work);
    return CTL_YES;
}

/* So that the address is known as batvd's when `listen` has changed. */
static void note_listener(const struct config *config)
{
    struct reason why = {""};
    struct identity owner;
    struct stat folder;
    if (stat(config->state_dir, &folder) != 0 || !owner_find(config->state_dir, &folder, &owner)) {
        return;
    }
    enum status status = identity_borrow(&owner, &why);
    if (status == STATUS_OK) {
        status = listeners_note(config->state_dir, config->listen, &why);
        if (identity_return(&why) != STATUS_OK || status != STATUS_OK) {
            status = STATUS_IO;
        }
    }
    if (status != STATUS_OK) {
        ctl_error("%s", why.text);
    }
}

/* Into force. */

static int reload(const struct work *work)
{
    static const char *const status[] = {"status"};
    static const char *const reload[] = {"reload"};
    const char *place = postfix_place(work->postfix);
    struct reason why = {""};
    if (run("postfix", status, 1, &why) != STATUS_OK) {
        puts("postfix: not running; what is set now holds when it starts");
        return CTL_YES;
    }
    if (!daemon_is_running(work->ctl->config->state_dir)) {
        printf("postfix: running, not reloaded: batvd does not run yet, and without it Postfix "
               "puts all\n"
               "    mail off. Its new processes go by main.cf already, so start batvd now:\n"
               "    systemctl start batvd && postfix%s reload\n",
               place);
        return CTL_YES;
    }
    if (probe_listener(work->ctl->config->listen, &why) == PROBE_NOBODY) {
        printf("postfix: running, not reloaded: batvd listens at another address than %s, and\n"
               "    Postfix defers all mail. Start batvd again now:\n"
               "    systemctl restart batvd && postfix%s reload\n",
               work->ctl->config->listen, place);
        return CTL_YES;
    }
    if (run("postfix", reload, 1, &why) != STATUS_OK) {
        fail(&why);
        ctl_error("all is set, but not in force: postfix%s reload", place);
        return CTL_UNABLE;
    }
    puts("postfix: reloaded");
    return CTL_YES;
}

static int apply(struct work *work)
{
    int exit = make_folder(work);
    if (exit == CTL_YES) {
        exit = write_map(work);
    }
    if (exit != CTL_YES) {
        ctl_error("%s is as it was", work->main_cf);
        return exit;
    }
    if (work->count == 0) {
        print_format(stdout, "main.cf: %s has all of it already\n", work->main_cf);
    } else {
        exit = edit_main(work);
    }
    if (exit == CTL_YES) {
        note_listener(work->ctl->config);
        exit = reload(work);
    }
    return exit;
}

int setup_postfix(const struct ctl *ctl, const struct postfix *postfix, const char *map_path)
{
    struct work work = {.ctl = ctl, .postfix = postfix, .map_path = map_path};
    time_t now = time(NULL);
    struct tm parts;
    int exit = CTL_UNABLE;
    strftime(work.date, sizeof work.date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &parts));
    if (asprintf(&work.main_cf, "%s/main.cf", postfix_get(postfix, "config_directory")) < 0) {
        work.main_cf = NULL;
    }
    work.formers = formers_new(ctl->config, postfix);
    if (work.formers != NULL && work.main_cf != NULL && find_settings(&work)) {
        exit = apply(&work);
    } else {
        ctl_error("out of memory");
    }
    for (size_t i = 0; i < work.count; i++) {
        free(work.settings[i]);
    }
    formers_free(work.formers);
    free(work.main_cf);
    free(work.copy);
    return exit;
}
