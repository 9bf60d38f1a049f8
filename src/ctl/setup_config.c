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

#include "base/file.h"
#include "base/print.h"
#include "base/program.h"
#include "base/words.h"
#include "batv/address.h"
#include "config/config_text.h"
#include "config/options.h"
#include "ctl/commands.h"
#include "ctl/config_edit.h"
#include "ctl/setup.h"
#include "daemon/owner.h"
#include "daemon/privileges.h"
#include "daemon/running.h"
#include "daemon/service.h"
#include "store/ring_file.h"
#include "store/ring_loss.h"

#define DAEMON_USER "batvd"

static const char first_text[] =
    "# Configuration of batvd(8), begun by `batvctl setup`. batvd.conf(5) has all options.\n"
    "# `batvd -n` checks this file; `systemctl reload batvd` or SIGUSR1 applies a changed "
    "one.\n\n";

static int no_memory(void)
{
    print_error("out of memory");
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
        print_error("out of memory");
    } else {
        print_error("%s: expected %s; nothing was changed",
                    config_quote(name, strlen(name), quoted), option->expected);
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
                print_error("%s: given twice; nothing was changed", wish->domains[i]);
                free(key);
                return false;
            }
        }
        bool added = words_add(keys, key);
        free(key);
        if (!added) {
            print_error("out of memory");
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

/* The entry of `domains` that covers a domain: itself, or one of subdomains. NULL: none, or no
 * memory. */
static const struct domain_settings *find_entry(const struct config *config, const char *domain)
{
    char *key = address_domain_key(domain);
    char *below = NULL; /* some subdomain */
    const struct domain_settings *entry =
        key != NULL ? settings_domain_named(config->settings, key) : NULL;
    if (entry == NULL && key != NULL && key[0] == '.' && asprintf(&below, "batvd%s", key) >= 0) {
        entry = settings_domain(config->settings, below);
        free(below);
    } else if (entry == NULL && key != NULL) {
        entry = settings_domain(config->settings, key);
    }
    free(key);
    return entry;
}

/* How many of the domains no entry covers. */
static size_t count_missing(const struct config *config, const struct setup_wish *wish)
{
    size_t missing = 0;
    for (size_t i = 0; i < wish->count; i++) {
        missing += find_entry(config, wish->domains[i]) == NULL;
    }
    return missing;
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
    print_error("there is no user " DAEMON_USER " for batvd to run as; nothing was changed");
    print_error("make it, then run this again: adduser --system --group --no-create-home --home "
                "/var/lib/batvd " DAEMON_USER);
    return false;
}

/* Adds the domains that config, NULL where there is no file yet, does not cover. False: no memory.
 */
static bool add_domains(char **text, const struct config *config, const struct setup_wish *wish)
{
    bool done = true;
    for (size_t i = 0; i < wish->count && done; i++) {
        char *item = NULL;
        if (config != NULL && find_entry(config, wish->domains[i]) != NULL) {
            continue;
        }
        if (asprintf(&item, "\"%s\"", wish->domains[i]) < 0) { /* it has no quotes in it */
            return false;
        }
        char *changed = config_text_append(*text, "domains", item);
        free(item);
        done = changed != NULL;
        if (done) {
            free(*text);
            *text = changed;
        }
    }
    return done;
}

/* *text becomes what the file is to be. config is what it says now, NULL: there is none. An exit
 * status. */
static int complete(char **text, const struct config *config, const struct setup_wish *wish)
{
    const char *user;
    bool first = config == NULL || config->settings->domain_count == 0;
    if (first && !find_user(*text, &user)) {
        return CTL_UNABLE;
    }
    bool done =
        !first || (set_absent(text, "user", user) && set_absent(text, "listen", wish->listen) &&
                   set_absent(text, "listen_group", wish->listen_group));
    return done && add_domains(text, config, wish) ? CTL_YES : no_memory();
}

/* The file. */

static bool refuse_state_dir(const char *path, const char *problem, const char *command)
{
    print_error("state_dir %s: %s; nothing was changed%s%s", path, problem,
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
        print_error("%s; nothing was changed%s", why.text, run_as_root());
        return false;
    }
    if (there && folder.st_uid != identity.uid) {
        snprintf(command, sizeof command, "chown -R %s %s", config->user, path);
        return refuse_state_dir(path, "does not belong to the user of batvd", command);
    }
    return true;
}

/* What the changed text is to say. */
struct outcome {
    const struct config *former; /* NULL: there was none */
    const struct setup_wish *wish;
    bool is_domains; /* it does not have the right domains; any other reason has been said */
};

/* All former domains, and the new ones, and no others. */
static bool outcome_fits(const struct config *config, void *context)
{
    struct outcome *outcome = context;
    const struct settings *settings = config->settings;
    size_t count = outcome->wish->count;
    bool fits = count_missing(config, outcome->wish) == 0;
    if (outcome->former != NULL) {
        const struct settings *former = outcome->former->settings;
        for (size_t i = 0; i < former->domain_count; i++) {
            fits = fits && settings_domain_named(settings, former->domain[i].name) != NULL;
        }
        count = former->domain_count + count_missing(outcome->former, outcome->wish);
    }
    outcome->is_domains = !fits || settings->domain_count != count;
    return !outcome->is_domains && state_dir_fits(config);
}

/* For a text that is written in a way that nothing here can follow. */
static void print_by_hand(const struct ctl *ctl, const char *text, const struct setup_wish *wish)
{
    unsigned line = config_text_line(text, NULL, "domains"); /* 0 in a file that is to be made */
    print_error("%s:%u: nothing was changed, because domains cannot be added safely; write into "
                "the list of domains there:",
                ctl->config_path, line > 0 ? line : 1);
    for (size_t i = 0; i < wish->count; i++) {
        if (ctl->config == NULL || find_entry(ctl->config, wish->domains[i]) == NULL) {
            print_format(stderr, "    \"%s\"\n", wish->domains[i]);
        }
    }
}

/* A daemon that runs takes the new domains in. What it did not take in, `check` says too. */
static void reload_daemon(const struct ctl *ctl)
{
    struct reason why = {""};
    enum status status = daemon_reload(ctl->config, &why);
    if (status == STATUS_OK) {
        puts("batvd: reloaded");
    } else if (status != STATUS_NOT_FOUND) {
        char *command = service_reload_command(ctl->config, ctl->config_path);
        print_error(
            "batvd runs, and keeps its former configuration: %s; to make it read this one: %s",
            why.text, command != NULL ? command : "reload it");
        free(command);
    }
}

/* Makes a configuration, or adds to one. */
static int write_anew(struct ctl *ctl, const char *former, const struct setup_wish *wish)
{
    struct listing listing = {.count = 0};
    struct outcome outcome = {ctl->config, wish, true};
    for (size_t i = 0; i < wish->count; i++) {
        if (ctl->config == NULL || find_entry(ctl->config, wish->domains[i]) == NULL) {
            listing_add(&listing, wish->domains[i]);
        }
    }
    bool first = ctl->config == NULL || ctl->config->settings->domain_count == 0;
    char *text = strdup(former != NULL ? former : first_text);
    int exit = text != NULL ? complete(&text, ctl->config, wish) : no_memory();
    if (exit == CTL_YES) {
        exit = config_edit(ctl, text, outcome_fits, &outcome);
    }
    free(text);
    if (exit == CTL_NO) {
        if (outcome.is_domains) {
            print_by_hand(ctl, former != NULL ? former : "", wish);
        }
        return CTL_UNABLE;
    }
    if (exit == CTL_YES) {
        print_format(stdout, "configuration: %s %s: ", ctl->config_path,
                     former == NULL ? "written; domains"
                     : first        ? "exists; domains set in it"
                                    : "exists; domains added to it");
        print_text(stdout, listing_end(&listing));
        putchar('\n');
        reload_daemon(ctl);
    }
    return exit;
}

/* Domains for which nothing is to be written. */
static void print_covered(const struct config *config, const struct setup_wish *wish)
{
    for (size_t i = 0; i < wish->count; i++) {
        const struct domain_settings *entry = find_entry(config, wish->domains[i]);
        if (entry != NULL && entry->name[0] == '.' && wish->domains[i][0] != '.') {
            print_format(stdout, "configuration: %s is one of the subdomains %s\n",
                         wish->domains[i], entry->name);
        }
    }
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
        print_error("%s; nothing was changed", why.text);
    } else if (!ctl_load_config(ctl)) {
        print_error("%s has faults, and stays as it is; nothing was changed", ctl->config_path);
    } else if (count_missing(ctl->config, wish) > 0) {
        print_covered(ctl->config, wish);
        exit = write_anew(ctl, text, wish);
    } else if (state_dir_fits(ctl->config)) {
        print_covered(ctl->config, wish);
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
        print_error("%s", why.text);
        return false;
    }
    if (folder_make(path, 0700, owner->uid, owner->gid, &why) != STATUS_OK) {
        print_error("state_dir %s", why.text);
        return false;
    }
    print_format(stdout, "state_dir: %s made\n", path);
    return true;
}

/* As the owner of the folder. An exit status. */
static int make_ring(struct ctl *ctl)
{
    char init[] = "init";
    char *argv[] = {init, NULL};
    struct ring *ring = NULL;
    struct reason why = {""};
    struct ring_source *source = ring_source_new(ctl->config->state_dir);
    enum status status = source != NULL ? ring_load(source, &ring, &why)
                                        : reason_set(&why, STATUS_NO_MEMORY, "out of memory");
    int exit = CTL_UNABLE;
    if (status == STATUS_OK) {
        print_format(stdout, "keyring: %s exists and stays\n", ring_source_path(source));
        exit = CTL_YES;
    } else if (status == STATUS_NOT_FOUND && !ring_was_there(ctl->config->state_dir)) {
        print_format(stdout, "keyring: %s: ", ring_source_path(source));
        fflush(stdout);
        exit = cmd_key_init(ctl, 1, argv);
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
        print_error("%s", why.text);
        return CTL_UNABLE;
    }
    int exit = make_ring(ctl);
    if (identity_return(&why) != STATUS_OK) {
        print_error("%s", why.text);
        exit = CTL_UNABLE;
    }
    return exit;
}
