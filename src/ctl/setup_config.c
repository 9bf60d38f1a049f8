/*
 * The configuration for the first start, and the keys. Everything that can be refused is looked at
 * before anything is written: the new text is loaded, as a draft beside the file, by what the
 * daemon loads it with, and put in place only when it says what it should. One thread.
 */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batv/address.h"
#include "ctl/commands.h"
#include "ctl/config_text.h"
#include "ctl/draft.h"
#include "ctl/owner.h"
#include "ctl/print.h"
#include "ctl/program.h"
#include "ctl/setup.h"
#include "ctl/words.h"
#include "io/file.h"
#include "io/options.h"
#include "io/privileges.h"
#include "io/ring_file.h"

#define DAEMON_USER "batvd"

static const char first_text[] =
    "# Configuration of batvd(8), begun by `batvctl setup`. batvd.conf(5) has all options.\n"
    "# `batvd -n` checks this file; `systemctl reload batvd` or SIGUSR1 puts a changed one into "
    "force.\n\n";

static int no_memory(void)
{
    ctl_error("out of memory");
    return CTL_UNABLE;
}

/* Advice, for the end of a message. */
static const char *run_as_root(void)
{
    return geteuid() != 0 ? "; run this as root" : "";
}

/* Domains. */

static bool domain_fits(const char *name)
{
    const struct config_option *option = option_find("domains.name");
    char quoted[CONFIG_QUOTED];
    enum status status = option->check(name);
    if (status == STATUS_OK) {
        return true;
    }
    if (status == STATUS_NO_MEMORY) {
        ctl_error("out of memory");
    } else {
        ctl_error("%s: expected %s; nothing was changed", config_quote(name, strlen(name), quoted),
                  option->expected);
    }
    return false;
}

/* Puts the keys into words. False: that has been said. */
static bool keys_make(const struct setup_wish *wish, struct words *keys)
{
    for (size_t i = 0; i < wish->count; i++) {
        char *key = domain_fits(wish->domains[i]) ? address_domain_key(wish->domains[i]) : NULL;
        if (key == NULL) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(keys->items[j], key) == 0) {
                ctl_error("%s: given twice; nothing was changed", wish->domains[i]);
                free(key);
                return false;
            }
        }
        bool added = words_add(keys, key);
        free(key);
        if (!added) {
            ctl_error("out of memory");
            return false;
        }
    }
    return true;
}

bool setup_domains_fit(const struct setup_wish *wish)
{
    struct words keys = {.items = NULL};
    bool fit = keys_make(wish, &keys);
    words_free(&keys);
    return fit;
}

/* True where the configuration has these domains and no others. */
static bool has_domains(const struct config *config, const struct setup_wish *wish)
{
    const struct settings *settings = config->settings;
    bool same = settings->rules_count == wish->count;
    for (size_t i = 0; i < wish->count && same; i++) {
        bool found = false;
        char *key = address_domain_key(wish->domains[i]);
        for (size_t j = 0; key != NULL && j < settings->rules_count && !found; j++) {
            found = strcmp(settings->rules[j].name, key) == 0;
        }
        free(key);
        same = found;
    }
    return same;
}

static int refuse_other(const struct ctl *ctl)
{
    const struct settings *settings = ctl->config->settings;
    struct listing listing = {.count = 0};
    for (size_t i = 0; i < settings->rules_count; i++) {
        listing_add(&listing, settings->rules[i].name);
    }
    ctl_error("%s: has other domains already, and stays as it is: %s", ctl->config_path,
              listing_end(&listing));
    ctl_error("set domains there by hand, then run this again with all of them; a batvd that runs "
              "takes them by systemctl reload batvd");
    return CTL_NO;
}

/* ( "example.com", "example.org" ); the names have no quotes in them. NULL: no memory. */
static char *domains_value(const struct setup_wish *wish)
{
    char *list = strdup("(");
    for (size_t i = 0; i < wish->count && list != NULL; i++) {
        char *more = NULL;
        if (asprintf(&more, "%s%s \"%s\"", list, i > 0 ? "," : "", wish->domains[i]) < 0) {
            more = NULL;
        }
        free(list);
        list = more;
    }
    char *value = NULL;
    if (list == NULL || asprintf(&value, "%s )", list) < 0) {
        value = NULL;
    }
    free(list);
    return value;
}

/* The text. */

/* Takes *text, gives it back with the setting. False: no memory. */
static bool set(char **text, const char *name, const char *value)
{
    char *changed = value != NULL ? config_text_set(*text, name, value) : NULL;
    if (changed == NULL) {
        return false;
    }
    free(*text);
    *text = changed;
    return true;
}

/* The same for a text in quotes, where the file has none yet and there is one to be set. */
static bool set_absent(char **text, const char *name, const char *value)
{
    char *quoted = NULL;
    if (value == NULL || config_text_has(*text, name)) {
        return true;
    }
    if (asprintf(&quoted, "\"%s\"", value) < 0) {
        return false;
    }
    bool done = set(text, name, quoted);
    free(quoted);
    return done;
}

/* As whom the daemon is to run. False: it cannot be told, and that has been said. */
static bool find_user(const char *text, const char **user)
{
    *user = NULL;
    if (geteuid() != 0 || config_text_has(text, "user")) {
        return true;
    }
    if (getpwnam(DAEMON_USER) != NULL) {
        *user = DAEMON_USER;
        return true;
    }
    ctl_error("there is no user " DAEMON_USER ", as whom batvd is to run; nothing was changed");
    ctl_error("make it, then run this again: adduser --system --group --no-create-home --home "
              "/var/lib/batvd " DAEMON_USER);
    return false;
}

/* *text becomes what the file is to be. An exit status. */
static int complete(char **text, const struct setup_wish *wish)
{
    const char *user;
    if (!find_user(*text, &user)) {
        return CTL_UNABLE;
    }
    char *domains = domains_value(wish);
    bool done = domains != NULL && set_absent(text, "user", user) &&
                set_absent(text, "listen", wish->listen) &&
                set_absent(text, "listen_group", wish->listen_group) &&
                set(text, "domains", domains);
    free(domains);
    return done ? CTL_YES : no_memory();
}

/* The file. */

static bool refuse_state_dir(const char *path, const char *problem, const char *command)
{
    ctl_error("state_dir %s: %s; nothing was changed%s%s", path, problem,
              command[0] != '\0' ? "; " : "", command);
    return false;
}

/* Whether the daemon could keep its keys there. False: it has been said why not. */
static bool state_dir_fits(const struct config *config)
{
    struct stat folder;
    struct identity identity;
    struct reason why = {""};
    char command[600];
    const char *path = config->state_dir;
    bool there = stat(path, &folder) == 0;
    if (!there && errno != ENOENT) {
        return refuse_state_dir(path, strerror(errno), "");
    }
    if (there && !S_ISDIR(folder.st_mode)) {
        return refuse_state_dir(path, "no folder", "");
    }
    if (there && config->user == NULL) {
        return true; /* its owner is the user, whoever starts it */
    }
    if (identity_find(config, &identity, &why) != STATUS_OK) {
        ctl_error("%s; nothing was changed%s", why.text, run_as_root());
        return false;
    }
    if (there && folder.st_uid != identity.uid) {
        snprintf(command, sizeof command, "chown -R %s %s", config->user, path);
        return refuse_state_dir(path, "does not belong to the user of batvd", command);
    }
    return true;
}

/* Loads the draft and puts it in place. An exit status. */
static int put_in_place(struct ctl *ctl, struct draft *draft, const struct setup_wish *wish)
{
    struct config_messages messages = {.items = NULL};
    struct config *config = NULL;
    struct reason why = {""};
    int exit = CTL_UNABLE;
    enum status status = config_load(draft->path, &config, &messages);
    if (status != STATUS_OK || !has_domains(config, wish)) {
        config_messages_print(&messages, stderr);
        ctl_error("%s: could not be completed; nothing was changed. Set domains in it by hand",
                  ctl->config_path);
    } else if (state_dir_fits(config)) {
        if (draft_commit(draft, &why) == STATUS_OK) {
            exit = CTL_YES;
        } else {
            ctl_error("%s; nothing was changed", why.text);
        }
    }
    config_messages_free(&messages);
    config_free(config);
    return exit;
}

/* The folder of a path, made where only it is missing. */
static void make_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL && slash > path ? strndup(path, (size_t)(slash - path)) : NULL;
    if (folder != NULL) {
        (void)mkdir(folder, 0755); /* writing the file tells what is wrong */
    }
    free(folder);
}

static int write_text(struct ctl *ctl, const char *text, const struct setup_wish *wish)
{
    struct draft draft;
    struct reason why = {""};
    make_parent(ctl->config_path);
    if (draft_write(&draft, ctl->config_path, text, 0644, &why) != STATUS_OK) {
        ctl_error("%s; nothing was changed%s", why.text, run_as_root());
        return CTL_UNABLE;
    }
    int exit = put_in_place(ctl, &draft, wish);
    draft_drop(&draft);
    config_free(ctl->config); /* what it was before */
    ctl->config = NULL;
    return exit == CTL_YES && !ctl_load_config(ctl) ? CTL_UNABLE : exit;
}

/* Makes a configuration, or names domains in one that has none. */
static int write_anew(struct ctl *ctl, const char *former, const struct setup_wish *wish)
{
    struct listing listing = {.count = 0};
    char *text = strdup(former != NULL ? former : first_text);
    int exit = text != NULL ? complete(&text, wish) : no_memory();
    if (exit == CTL_YES) {
        exit = write_text(ctl, text, wish);
    }
    free(text);
    if (exit != CTL_YES) {
        return exit;
    }
    for (size_t i = 0; i < wish->count; i++) {
        listing_add(&listing, wish->domains[i]);
    }
    print_format(stdout, "configuration: %s %s: ", ctl->config_path,
                 former != NULL ? "was there; domains set in it" : "written; domains");
    print_text(stdout, listing_end(&listing));
    putchar('\n');
    return CTL_YES;
}

int setup_configuration(struct ctl *ctl, const struct setup_wish *wish)
{
    struct reason why = {""};
    char *text = NULL;
    enum status status = file_read(ctl->config_path, &text, &why);
    int exit = CTL_UNABLE;
    if (status == STATUS_NOT_FOUND) {
        exit = write_anew(ctl, NULL, wish);
    } else if (status != STATUS_OK) {
        ctl_error("%s; nothing was changed", why.text);
    } else if (!ctl_load_config(ctl)) {
        ctl_error("%s has faults, and stays as it is; nothing was changed", ctl->config_path);
    } else if (ctl->config->settings->rules_count == 0) {
        exit = write_anew(ctl, text, wish);
    } else if (!has_domains(ctl->config, wish)) {
        exit = refuse_other(ctl);
    } else if (state_dir_fits(ctl->config)) {
        print_format(stdout, "configuration: %s has these domains already\n", ctl->config_path);
        exit = CTL_YES;
    }
    free(text);
    return exit;
}

/* Keys. */

/* Makes the folder where it is missing; *owner becomes whose it is. */
static bool make_state_dir(const struct config *config, struct identity *owner)
{
    struct reason why = {""};
    struct stat folder;
    const char *path = config->state_dir;
    if (stat(path, &folder) == 0) {
        return owner_find(path, &folder, owner);
    }
    if (identity_find(config, owner, &why) != STATUS_OK) {
        ctl_error("%s", why.text);
        return false;
    }
    if (folder_make(path, 0700, owner->uid, owner->gid, &why) != STATUS_OK) {
        ctl_error("state_dir %s", why.text);
        return false;
    }
    print_format(stdout, "state_dir: %s made\n", path);
    return true;
}

/* As the owner of the folder. An exit status. */
static int make_ring(struct ctl *ctl)
{
    char key[] = "key";
    char init[] = "init";
    char *argv[] = {key, init, NULL};
    struct ring *ring = NULL;
    struct reason why = {""};
    struct ring_source *source = ring_source_new(ctl->config->state_dir);
    enum status status = source != NULL ? ring_load(source, &ring, &why)
                                        : reason_set(&why, STATUS_NO_MEMORY, "out of memory");
    int exit = CTL_UNABLE;
    if (status == STATUS_OK) {
        print_format(stdout, "keyring: %s is there and stays\n", ring_source_path(source));
        exit = CTL_YES;
    } else if (status == STATUS_NOT_FOUND) {
        print_format(stdout, "keyring: %s: ", ring_source_path(source));
        fflush(stdout);
        exit = cmd_key(ctl, 2, argv);
    } else {
        ctl_ring_error(ctl, status, &why);
    }
    ring_free(ring);
    ring_source_free(source);
    return exit;
}

int setup_keys(struct ctl *ctl)
{
    struct identity owner;
    struct reason why = {""};
    if (!make_state_dir(ctl->config, &owner)) {
        return CTL_UNABLE;
    }
    privileges_hide_memory();
    if (identity_borrow(&owner, &why) != STATUS_OK) {
        ctl_error("%s", why.text);
        return CTL_UNABLE;
    }
    int exit = make_ring(ctl);
    if (identity_return(&why) != STATUS_OK) {
        ctl_error("%s", why.text);
        exit = CTL_UNABLE;
    }
    return exit;
}
