/*
 * `batvctl setup --undo`: ends batvd's work in two steps. First batvd signs no more and rejects no
 * bounce, but still takes tags off and rejects those that it did not make, because tagged mail is
 * on its way. Once the last tag has expired, the MTA's settings go. Which step it is follows from
 * the configuration, from what the daemon has taken in, and from the day that the record
 * (state_dir) has as the last one on which a tag can have been made. One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/print.h"
#include "batv/day.h"
#include "config/config_text.h"
#include "ctl/config_edit.h"
#include "ctl/setup.h"
#include "ctl/setup_record.h"
#include "ctl/undo_postfix.h"
#include "daemon/owner.h"
#include "daemon/privileges.h"
#include "daemon/running.h"
#include "daemon/service.h"
#include "mta/main_cf.h"
#include "store/ring_file.h"
#include "store/ring_loss.h"

/* ----------------------------------------------------------------- the configuration */

static bool is_quiet(const struct config *config)
{
    const struct settings *settings = config->settings;
    bool quiet = !settings_may_sign(settings);
    for (size_t i = 0; i < settings->domain_count; i++) {
        quiet = quiet && settings->domain[i].action <= ACTION_LOG;
    }
    return quiet;
}

static bool quiet_fits(const struct config *config, void *context)
{
    (void)context;
    return is_quiet(config);
}

/* The text with the three changes. NULL: no memory. */
static char *quiet_text(const char *text)
{
    char *signs = config_text_set_member(text, "sign", "enabled", "false");
    char *logs =
        signs != NULL ? config_text_set_member(signs, "verify", "action", "\"log\"") : NULL;
    char *out =
        logs != NULL ? config_text_set_within(logs, "domains", "verify_action", "\"log\"") : NULL;
    free(signs);
    free(logs);
    return out;
}

static int replace_config(struct ctl *ctl, const char *text)
{
    struct reason why = {"out of memory"};
    char *quiet = quiet_text(text);
    char *copy = main_cf_copy_path(ctl->config_path);
    int exit = CTL_UNABLE;
    bool copied =
        quiet != NULL && copy != NULL && file_copy(ctl->config_path, copy, &why) == STATUS_OK;
    if (copied) {
        exit = config_edit(ctl, quiet, quiet_fits, NULL);
    } else {
        print_error("%s; nothing was changed", why.text);
    }
    if (exit == CTL_YES) {
        print_format(stdout,
                     "configuration: %s: set sign.enabled = false and verify.action = \"log\"\n"
                     "    the former one is kept as %s\n",
                     ctl->config_path, copy);
    } else if (copied) {
        (void)unlink(copy);
    }
    if (exit == CTL_NO) {
        print_error(
            "%s: could not be changed; nothing was. Set in it by hand, then run this again: "
            "sign: { enabled = false; }; verify: { action = \"log\"; };",
            ctl->config_path);
        exit = CTL_UNABLE;
    }
    free(quiet);
    free(copy);
    return exit;
}

static int end_signing(struct ctl *ctl)
{
    struct reason why = {""};
    char *text = NULL;
    if (file_read(ctl->config_path, &text, &why) != STATUS_OK) {
        print_error("%s; nothing was changed", why.text);
        return CTL_UNABLE;
    }
    int exit = replace_config(ctl, text);
    free(text);
    return exit;
}

/* What the administrator said beside verify.action. */
static void print_still_rejects(const struct config *config)
{
    const struct settings *settings = config->settings;
    const struct domain_settings *domain = settings->domain_count > 0 ? &settings->domain[0] : NULL;
    if (domain == NULL) {
        return;
    }
    bool classes = false;
    for (size_t i = 0; i < BOUNCE_CLASS_COUNT; i++) {
        enum action action = domain->classes[i];
        classes = classes || (action > ACTION_LOG && action < ACTION_COUNT);
    }
    if (domain->expired > ACTION_LOG && domain->expired < ACTION_COUNT) {
        puts("    verify.expired is set, and still decides for bounces with an expired tag");
    }
    if (classes) {
        puts("    verify.class is set, and still decides for bounces of its classes");
    }
    if (domain->forged <= ACTION_LOG) {
        puts(
            "    verify.forged is set: mail to forged tags is accepted, and Postfix bounces it to\n"
            "    senders that may be forged too if it cannot deliver it; remove that line");
    }
}

/* ----------------------------------------------------------------- the last tag */

static time_t changed_at(const struct config *config)
{
    struct stat file;
    return stat(config->path, &file) == 0 ? file.st_mtime : 0;
}

/* The last day on which the key's tags can be valid, if none was made after last_signed; as
 * ring.c has it for a key that ends then. 0: it made none. */
static int64_t key_end(const struct ring_key *key, int64_t last_signed, unsigned lifetime)
{
    if (!key->used || key->compromised) {
        return 0;
    }
    bool ended = key->signs_until != RING_OPEN && day_of(key->signs_until - 1) <= last_signed;
    if (key->signs_from == RING_OPEN || ended) {
        return key->tags_until;
    }
    if (day_of(key->signs_from) > last_signed) {
        return 0;
    }
    return last_signed + 1 + (key->lifetime > lifetime ? key->lifetime : lifetime);
}

/* Over all keys of the ring; 0: nothing was ever signed. Where the ring is gone its tags are on
 * their way all the same. False: it cannot be read, which has been said. */
static bool find_last_day(const struct config *config, int64_t last_signed, int64_t *out)
{
    struct reason why = {""};
    struct ring *ring = NULL;
    enum status status = ring_load_from(config->state_dir, &ring, &why);
    *out = 0;
    if (status == STATUS_OK) {
        for (unsigned i = 0; i < RING_SLOTS; i++) {
            int64_t end =
                key_end(&ring->keys[i], last_signed, config->settings->keys.lifetime_days);
            *out = end > *out ? end : *out;
        }
    } else if (status != STATUS_NOT_FOUND) {
        print_error("%s", why.text);
    } else if (ring_was_there(config->state_dir)) {
        *out = last_signed + 1 + config->settings->keys.lifetime_days;
    }
    ring_free(ring);
    return status == STATUS_OK || status == STATUS_NOT_FOUND;
}

static bool find_last_day_as_owner(const struct config *config, int64_t last_signed, int64_t *out)
{
    struct reason why = {""};
    *out = 0;
    if (access(config->state_dir, F_OK) != 0 && errno == ENOENT) {
        return true; /* nothing was ever signed here */
    }
    privileges_hide_memory();
    bool done = false;
    enum status status = owner_borrow(config->state_dir, &why);
    if (status == STATUS_OK) {
        done = find_last_day(config, last_signed, out);
        status = owner_return(STATUS_OK, &why);
    }
    if (status != STATUS_OK) {
        print_error("%s", why.text);
    }
    return done && status == STATUS_OK;
}

/* ----------------------------------------------------------------- the steps */

struct undo {
    struct ctl *ctl;
    const struct postfix *postfix;   /* NULL: none here */
    const struct sendmail *sendmail; /* likewise */
    struct setup_record record;
    bool edited;
};

/* The running daemon signs by what it has read. */
static int make_daemon_quiet(const struct undo *u)
{
    struct reason why = {""};
    switch (daemon_reload(u->ctl->config, &why)) {
    case STATUS_OK:
        puts("batvd: reloaded; it signs no more and rejects no bounce");
        return CTL_YES;
    case STATUS_NOT_FOUND:
        puts("batvd: not running");
        return CTL_YES;
    case STATUS_REFUSED:
        print_error("batvd keeps its former configuration and signs: %s", why.text);
        break;
    default:
        print_error("batvd runs, and may still sign: %s", why.text);
        break;
    }
    char *command = service_reload_command(u->ctl->config, u->ctl->config_path);
    print_error("make it read %s, then run this again: %s", u->ctl->config_path,
                command != NULL ? command : "reload it");
    free(command);
    return CTL_NO;
}

/* Where there is a state folder. An exit status. */
static int save_record(const struct undo *u, const struct setup_record *record)
{
    const char *state_dir = u->ctl->config->state_dir;
    struct reason why = {""};
    if (access(state_dir, F_OK) == 0 && setup_record_save(state_dir, record, &why) != STATUS_OK) {
        print_error("%s", why.text);
        return CTL_UNABLE;
    }
    return CTL_YES;
}

/* Finds out, or remembers, when signing ended. An exit status. */
static int settle_last_signed(struct undo *u)
{
    int64_t changed = day_of(changed_at(u->ctl->config));
    if (!u->edited && u->record.last_signed != 0 && changed <= u->record.last_signed) {
        return CTL_YES;
    }
    int exit = make_daemon_quiet(u);
    if (exit != CTL_YES) {
        return exit;
    }
    u->record.last_signed = day_of(time(NULL));
    return save_record(u, &u->record);
}

static int print_wait(const struct undo *u, int64_t last_day)
{
    char day[DAY_TEXT];
    day_format(last_day + 1, day);
    printf(
        "\nFrom now on batvd removes tags and rejects or defers mail to forged tags, so leave it "
        "running.\nThe last tag will have expired on %s (UTC). From that day on, this removes "
        "batvd from\nthe mail server:\n    batvctl setup --undo\n",
        day);
    print_still_rejects(u->ctl->config);
    if (u->postfix == NULL) {
        return CTL_YES;
    }
    puts("\nIf batvd must go before that day, never leave only its map in Postfix: Postfix would "
         "accept\nmail to forged tags, and bounce it to senders that may be forged too. These "
         "commands remove the\nfilter and let only the null sender write to tagged addresses:");
    return undo_print_closing(u->ctl, u->postfix, &u->record) ? CTL_YES : CTL_UNABLE;
}

/* Sendmail's files are of each site's own making. */
static int print_sendmail(void)
{
    puts("Sendmail: remove by hand the filter and the rules of `batvctl mta sendmail`, both\n"
         "    together: the line with batvd.mc in sendmail.mc (or INPUT_MAIL_FILTER(`batvd'\n"
         "    and LOCAL_RULE_0), then generate sendmail.cf again and restart Sendmail");
    return CTL_NO;
}

/* Nothing is ours any more; the day is kept for whoever asks again. */
static int forget_settings(const struct undo *u)
{
    const struct setup_record bare = {.last_signed = u->record.last_signed};
    return save_record(u, &bare);
}

static int take_out(const struct undo *u)
{
    int exit = CTL_YES;
    puts("The last tag has expired.");
    if (u->postfix != NULL) {
        exit = undo_postfix(u->ctl, u->postfix, &u->record);
    } else if (u->sendmail != NULL) {
        exit = print_sendmail();
    }
    exit = exit == CTL_YES ? forget_settings(u) : exit;
    if (exit != CTL_YES) {
        return exit;
    }
    const struct service service = service_find(u->ctl->config);
    char *stop = service_stop(&service);
    print_format(stdout, "\nnext:\n    %s\n", stop != NULL ? stop : "stop batvd");
    free(stop);
    return CTL_YES;
}

int setup_undo(struct ctl *ctl, const struct postfix *postfix, const struct sendmail *sendmail)
{
    struct undo u = {.ctl = ctl, .postfix = postfix, .sendmail = sendmail};
    struct reason why = {""};
    int64_t last_day = 0;
    int exit = CTL_YES;
    if (!ctl_load_config(ctl)) {
        print_error("nothing was changed");
        return CTL_UNABLE;
    }
    if (!is_quiet(ctl->config)) {
        exit = end_signing(ctl);
        u.edited = true;
    }
    if (exit == CTL_YES && access(ctl->config->state_dir, F_OK) == 0 &&
        setup_record_load(ctl->config->state_dir, &u.record, &why) != STATUS_OK) {
        print_error("%s", why.text);
        exit = CTL_UNABLE;
    }
    exit = exit == CTL_YES ? settle_last_signed(&u) : exit;
    if (exit == CTL_YES) {
        bool known = find_last_day_as_owner(ctl->config, u.record.last_signed, &last_day);
        exit = !known                           ? CTL_UNABLE
               : day_of(time(NULL)) <= last_day ? print_wait(&u, last_day)
                                                : take_out(&u);
    }
    setup_record_free(&u.record);
    return exit;
}
