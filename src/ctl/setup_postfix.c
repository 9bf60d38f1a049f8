/*
 * What `batvctl setup --apply` does to Postfix: the folder for the socket, the map, and the
 * settings that are not as they should be, all by one call of postconf(1) (main_cf.c), after they
 * were written down (setup_record.c). Nothing is started. One thread.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/draft.h"
#include "base/file.h"
#include "base/print.h"
#include "base/program.h"
#include "ctl/setup.h"
#include "ctl/setup_record.h"
#include "daemon/listeners.h"
#include "daemon/owner.h"
#include "daemon/privileges.h"
#include "daemon/running.h"
#include "daemon/service.h"
#include "mta/former.h"
#include "mta/main_cf.h"
#include "mta/milter_address.h"
#include "mta/milter_probe.h"
#include "mta/postfix_map.h"
#include "mta/postfix_needs.h"

struct work {
    const struct ctl *ctl;
    const struct postfix *postfix;
    struct formers *formers;
    const char *map_path;
    char *main_cf;
    char *copy;                  /* of main.cf; NULL: nothing was changed there */
    char *settings[NEED_COUNT];  /* "NAME = VALUE", those to be made */
    enum need needs[NEED_COUNT]; /* of which parameters they are */
    size_t count;
};

static int fail(const struct reason *why)
{
    print_error("%s", why->text);
    return CTL_UNABLE;
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
    char *copy = main_cf_copy_path(work->map_path);
    if (copy == NULL) {
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
            work->needs[work->count] = (enum need)i;
            work->count += known;
        }
        free(value);
        if (!known) {
            return false;
        }
    }
    return true;
}

/* What was there before, unless it is recorded already, and what is there now, of the setting at
 * that index. */
static bool record_setting(struct setup_record *record, const struct work *work, size_t index,
                           const char *text)
{
    enum need need = work->needs[index];
    const char *name = need_name(need);
    const char *value = work->settings[index] + strlen(name) + strlen(" = ");
    bool done = record->set[need] != NULL || !main_cf_sets(text, name) ||
                setup_record_put(&record->was[need], postfix_get_raw(work->postfix, name));
    return done && setup_record_put(&record->set[need], value);
}

/* Before main.cf is changed: what is written down and not done does no harm, a value that is not
 * there is not taken out. A record of another Postfix is begun anew. */
static enum status keep_record(const struct work *work, struct reason *why)
{
    struct setup_record record;
    const char *state_dir = work->ctl->config->state_dir;
    const char *folder = postfix_get(work->postfix, "config_directory");
    char *text = NULL;
    enum status status = setup_record_load(state_dir, &record, why);
    bool other = record.folder != NULL && strcmp(record.folder, folder) != 0;
    if (status == STATUS_INVALID || other) {
        setup_record_free(&record);
        status = STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = file_read(work->main_cf, &text, why);
    }
    bool done = setup_record_put(&record.folder, folder) &&
                setup_record_put(&record.listen, work->ctl->config->listen) &&
                setup_record_put(&record.map, work->map_path);
    for (size_t i = 0; i < work->count && done && status == STATUS_OK; i++) {
        done = record_setting(&record, work, i, text);
    }
    record.last_signed = 0;
    if (status == STATUS_OK) {
        status = done ? setup_record_save(state_dir, &record, why)
                      : reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    free(text);
    setup_record_free(&record);
    return status;
}

static int edit_main(struct work *work)
{
    const struct main_cf_change change = {.set = (const char *const *)work->settings,
                                          .set_count = work->count};
    int exit = main_cf_edit(work->postfix, &change, &work->copy) ? CTL_YES : CTL_UNABLE;
    if (exit != CTL_YES) {
        return exit;
    }
    for (size_t i = 0; i < work->count; i++) {
        print_format(stdout, "main.cf: set %s\n", work->settings[i]);
        if (work->needs[i] == NEED_MAPS && strchr(work->settings[i], ',') != NULL) {
            puts("main.cf: the other maps there now apply to envelope recipients only, not to "
                 "headers");
        }
    }
    print_format(stdout, "main.cf: the former one is kept as %s\n", work->copy);
    puts("    batvctl setup --undo ends the use of batvd and removes only these settings");
    return CTL_YES;
}

/* So that the address is known as batvd's when `listen` has changed. */
static void note_listener(const struct config *config)
{
    struct reason why = {""};
    if (access(config->state_dir, F_OK) != 0) {
        return;
    }
    enum status status = owner_borrow(config->state_dir, &why);
    if (status == STATUS_OK) {
        status = owner_return(listeners_note(config->state_dir, config->listen, &why), &why);
    }
    if (status != STATUS_OK) {
        print_error("%s", why.text);
    }
}

/* Into force. */

/* What starts batvd, or starts it again, comes before the reload. */
static int print_not_reloaded(const struct work *work, const char *why, bool again)
{
    const struct service service = service_find(work->ctl->config);
    char *conf = program_quote(work->ctl->config_path);
    char *command = conf == NULL ? NULL
                    : again      ? service_restart(&service, conf)
                                 : service_start(&service, conf);
    print_format(stdout, "postfix: running, not reloaded: %s\n    %s\n    postfix%s reload\n", why,
                 command != NULL ? command
                 : again         ? "start batvd again"
                                 : "start batvd",
                 postfix_place(work->postfix));
    free(command);
    free(conf);
    return CTL_YES;
}

static int reload(const struct work *work)
{
    struct reason why = {""};
    if (!postfix_runs()) {
        puts("postfix: not running; it uses these settings when it starts");
        return CTL_YES;
    }
    if (!daemon_is_running(work->ctl->config->state_dir)) {
        return print_not_reloaded(work,
                                  "batvd does not run yet, and without it Postfix defers all\n"
                                  "    mail. Its new processes go by main.cf already, so start "
                                  "batvd now:",
                                  false);
    }
    if (probe_listener(work->ctl->config->listen, &why) == PROBE_NOBODY) {
        return print_not_reloaded(work,
                                  "batvd listens at its former address, and Postfix defers all\n"
                                  "    mail. Start batvd again now:",
                                  true);
    }
    return postfix_reload(work->postfix) ? CTL_YES : CTL_UNABLE;
}

static int apply(struct work *work)
{
    int exit = make_folder(work);
    if (exit == CTL_YES) {
        exit = write_map(work);
    }
    if (exit != CTL_YES) {
        print_error("%s is unchanged", work->main_cf);
        return exit;
    }
    struct reason why = {""};
    if (keep_record(work, &why) != STATUS_OK) {
        print_error("%s; %s is unchanged", why.text, work->main_cf);
        return CTL_UNABLE;
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
    int exit = CTL_UNABLE;
    work.main_cf = main_cf_path(postfix);
    work.formers = formers_new(ctl->config, postfix);
    if (work.formers != NULL && work.main_cf != NULL && find_settings(&work)) {
        exit = apply(&work);
    } else {
        print_error("out of memory");
    }
    for (size_t i = 0; i < work.count; i++) {
        free(work.settings[i]);
    }
    formers_free(work.formers);
    free(work.main_cf);
    free(work.copy);
    return exit;
}
