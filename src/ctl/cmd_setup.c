/*
 * `batvctl setup`: an administrator's first minute. What can be refused is refused before anything
 * is changed; then come configuration, keys, and what the mail server needs, which is printed or,
 * with --apply, made; in the end `check`, and how it goes on. The other commands are called for
 * what they print and make, so that there is one source of it. Nothing is started. A second run
 * changes nothing.
 */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/program.h"
#include "batv/day.h"
#include "check/check.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/setup.h"
#include "daemon/running.h"
#include "daemon/service.h"
#include "mta/postfix.h"
#include "mta/postfix_needs.h"
#include "mta/sendmail.h"

#define USUAL_LISTEN    "unix:/var/spool/postfix/batvd/milter.sock"
#define SENDMAIL_LISTEN "unix:/run/batvd/milter.sock"
#define USUAL_GROUP     "postfix"

/* The mail server here. */
struct found {
    struct postfix *postfix;   /* NULL: none */
    struct sendmail *sendmail; /* NULL: none */
    char *map_path;            /* for Postfix */
};

static void found_clear(struct found *found)
{
    postfix_free(found->postfix);
    sendmail_free(found->sendmail);
    free(found->map_path);
}

static enum status find_map_path(struct found *found, struct reason *why)
{
    if (asprintf(&found->map_path, "%s/batv.pcre",
                 postfix_get(found->postfix, "config_directory")) < 0) {
        found->map_path = NULL;
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    if (strpbrk(found->map_path, " \t\r\n,{}$\"") != NULL) {
        return reason_set(why, STATUS_REFUSED, "%s: main.cf cannot hold this path",
                          found->map_path);
    }
    return STATUS_OK;
}

/* False: there is a mail server, but it cannot be asked, which has been said. A Postfix that nobody
 * has configured stands in no other's way. */
static bool find_mta(struct found *found)
{
    struct reason why = {""};
    struct reason why_not = {""};
    enum status status = postfix_open(&found->postfix, &why);
    enum status other = sendmail_open(&found->sendmail, &why_not);
    if (status == STATUS_OK) {
        status = find_map_path(found, &why);
    } else if (status == STATUS_NOT_FOUND || other == STATUS_OK) {
        status = other;
        why = why_not;
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        print_error("%s; nothing was changed", why.text);
        return false;
    }
    return true;
}

/* The group that connects, where it is not the usual one. False: no memory. */
static bool wish_group(struct setup_wish *wish, gid_t gid)
{
    const struct group *group = getgrgid(gid);
    if (group == NULL || strcmp(group->gr_name, USUAL_GROUP) == 0) {
        return true;
    }
    wish->listen_group = strdup(group->gr_name);
    return wish->listen_group != NULL;
}

/* Root may connect whatever the group. A user that is not there is for `check` to tell of. */
static bool wish_for_sendmail(struct setup_wish *wish, const struct sendmail *sendmail)
{
    uid_t uid;
    gid_t gid;
    wish->listen = strdup(SENDMAIL_LISTEN);
    enum status status = sendmail_run_as(sendmail, &uid, &gid);
    if (wish->listen == NULL || status == STATUS_NO_MEMORY) {
        return false;
    }
    if (status == STATUS_OK && uid != 0) {
        return wish_group(wish, gid);
    }
    wish->listen_group = strdup("");
    return wish->listen_group != NULL;
}

/* Where batvd has to listen for this mail server, if not where it does by default. */
static bool wish_fill(struct setup_wish *wish, const struct found *found)
{
    if (found->postfix == NULL) {
        return found->sendmail == NULL || wish_for_sendmail(wish, found->sendmail);
    }
    if (asprintf(&wish->listen, "unix:%s/batvd/milter.sock", need_queue_directory(found->postfix)) <
        0) {
        wish->listen = NULL;
        return false;
    }
    if (strcmp(wish->listen, USUAL_LISTEN) == 0) {
        free(wish->listen);
        wish->listen = NULL;
    }
    const struct passwd *owner = getpwnam(postfix_get(found->postfix, "mail_owner"));
    return owner == NULL || wish_group(wish, owner->pw_gid);
}

/* The mail server's part. */

static int print_postfix(struct ctl *ctl, const struct found *found)
{
    char mta[] = "mta";
    char postfix[] = "postfix";
    char option[] = "--map-path";
    char *argv[] = {mta, postfix, option, found->map_path, NULL};
    char *folder = setup_folder_command(ctl, found->postfix);
    puts("The settings for Postfix; apply them by hand, or by this command with --apply:\n");
    if (folder != NULL) {
        print_format(stdout, "# The folder for the socket.\n%s &&\n\n", folder);
    }
    free(folder);
    fflush(stdout);
    return cmd_mta(ctl, 4, argv);
}

static int print_sendmail(struct ctl *ctl, bool apply)
{
    char mta[] = "mta";
    char sendmail[] = "sendmail";
    char *argv[] = {mta, sendmail, NULL};
    if (apply) {
        print_error("Sendmail's settings stay unchanged: each site generates its sendmail.cf from "
                    "an .mc file in its own way, and would do so again without these lines");
    }
    puts("The settings for Sendmail's .mc file:\n");
    fflush(stdout);
    int exit = cmd_mta(ctl, 2, argv);
    return exit == CTL_YES && apply ? CTL_NO : exit;
}

static int serve_mta(struct ctl *ctl, const struct found *found, bool apply)
{
    if (found->postfix != NULL) {
        print_format(stdout, "mail server: Postfix %s, configured in %s\n",
                     postfix_get(found->postfix, "mail_version"),
                     postfix_get(found->postfix, "config_directory"));
        if (found->sendmail != NULL) {
            print_format(
                stdout,
                "    Sendmail is here as well, configured in %s. If Sendmail accepts the mail:\n"
                "    batvctl mta sendmail\n",
                sendmail_cf(found->sendmail));
        }
        return apply ? setup_postfix(ctl, found->postfix, found->map_path)
                     : print_postfix(ctl, found);
    }
    if (found->sendmail != NULL) {
        print_format(stdout, "mail server: Sendmail %s, configured in %s\n",
                     sendmail_version(found->sendmail), sendmail_cf(found->sendmail));
        return print_sendmail(ctl, apply);
    }
    puts("mail server: neither Postfix nor Sendmail is installed here. On the host that has it, "
         "batvctl mta\n    prints its settings; set `listen` to a socket that this host can reach");
    if (apply) {
        print_error("there is no mail server for --apply to change");
    }
    return apply ? CTL_NO : CTL_YES;
}

static void print_start(const struct ctl *ctl)
{
    const struct service service = service_find(ctl->config);
    char *conf = program_quote(ctl->config_path);
    char *start = conf != NULL ? service_start(&service, conf) : NULL;
    print_format(stdout, "    %s\n", start != NULL ? start : "start batvd");
    free(start);
    free(conf);
}

/* How it goes on where something is left to do. */
static void print_next(const struct ctl *ctl, const struct found *found, bool apply)
{
    bool running = daemon_is_running(ctl->config->state_dir);
    if (running && (apply || (found->postfix == NULL && found->sendmail == NULL))) {
        return;
    }
    puts("\nnext:");
    if (!running) {
        print_start(ctl);
    }
    if (found->postfix != NULL) {
        printf("    this command %s\n", apply ? "again" : "with --apply");
    } else if (found->sendmail != NULL) {
        puts("    apply the settings for Sendmail, as above");
    }
}

/* What happens to mail from now on, where `auto` decides. */
static void print_at_first(const struct settings *settings)
{
    bool bounces = false;
    bool forged = false;
    long long days = (long long)settings_wait(settings) / DAY_SECONDS;
    for (size_t i = 0; i < settings->domain_count; i++) {
        bounces = bounces || settings->domain[i].action == ACTION_AUTO;
        forged = forged || settings->domain[i].forged == ACTION_AUTO;
    }
    if (bounces) {
        printf(
            "\nat first: until %lld days after a domain's first signed message, and until one of "
            "its tags\n    has come back from outside, backscatter is only logged "
            "(action=log would=reject)\n",
            days);
    }
    if (forged) {
        printf("%s ordinary mail to forged tags is deferred (451) for these %lld days, then "
               "rejected\n",
               bounces ? "   " : "\nat first:", days);
    }
}

static int set_up(struct ctl *ctl, struct setup_wish *wish, struct found *found, bool apply)
{
    if (!find_mta(found)) {
        return CTL_UNABLE;
    }
    if (!wish_fill(wish, found)) {
        print_error("out of memory");
        return CTL_UNABLE;
    }
    int exit = setup_configuration(ctl, wish);
    if (exit == CTL_YES) {
        exit = setup_keys(ctl);
    }
    if (exit != CTL_YES) {
        return exit;
    }
    exit = serve_mta(ctl, found, apply);
    if (exit == CTL_UNABLE) {
        return exit;
    }
    struct check_counts counts;
    puts("\ncheck:");
    int checked = check_all(ctl, false, &counts);
    if (counts.levels[CHECK_FAIL] > 0 || counts.levels[CHECK_TODO] > 0) {
        print_next(ctl, found, apply);
    }
    if (counts.levels[CHECK_FAIL] == 0) {
        print_at_first(ctl->config->settings);
    }
    return checked > exit ? checked : exit;
}

/* --apply says nothing new here. */
static int undo(struct ctl *ctl, const struct setup_wish *wish)
{
    struct found found = {.postfix = NULL};
    int exit = CTL_UNABLE;
    if (wish->count > 0) {
        return ctl_usage_error(
            ctl, "--undo applies to all domains; to remove a single one, take it out of `domains`");
    }
    if (geteuid() != 0) {
        print_error("--undo changes batvd's and Postfix's settings: run this as root; nothing was "
                    "changed");
        return CTL_UNABLE;
    }
    if (find_mta(&found)) {
        exit = setup_undo(ctl, found.postfix, found.sendmail);
    }
    found_clear(&found);
    return exit;
}

int cmd_setup(struct ctl *ctl, int argc, char **argv)
{
    bool apply = false;
    bool undoes = false;
    const struct argument known[] = {
        {"--apply", ARGUMENT_FLAG, &apply, NULL},
        {"--undo", ARGUMENT_FLAG, &undoes, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    struct found found = {.postfix = NULL};
    if (!arguments_parse(ctl, known, &argc, argv)) {
        return CTL_UNABLE;
    }
    struct setup_wish wish = {.domains = argv + 1, .count = (size_t)argc - 1};
    if (ctl->json) {
        return ctl_usage_error(ctl, "setup has no JSON output; `batvctl --json check` has");
    }
    if (undoes) {
        return undo(ctl, &wish);
    }
    if (wish.count == 0) {
        return ctl_usage_error(ctl, "the domains are missing");
    }
    if (apply && geteuid() != 0) {
        print_error("--apply changes Postfix's settings: run this as root; nothing was changed");
        return CTL_UNABLE;
    }
    if (!setup_domains_fit(&wish)) {
        return CTL_UNABLE;
    }
    int exit = set_up(ctl, &wish, &found, apply);
    found_clear(&found);
    free(wish.listen);
    free(wish.listen_group);
    return exit;
}
