/*
 * Sendmail's settings: the filter as sendmail.cf defines it, and the rules as Sendmail itself says
 * that they work on tagged addresses, whatever they look like. The tag is one that no key has made.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/print.h"
#include "base/words.h"
#include "check/sendmail.h"
#include "mta/milter_address.h"
#include "mta/sendmail_ask.h"
#include "mta/sendmail_part.h"

#define TAG            "prvs=0000000000="
#define SOMEBODY       "postmaster@"
#define HOST           "batvd-check." /* stands for any subdomain */
#define FOREIGN_DOMAIN "batvd-check.invalid"

enum {
    SEND_SECONDS_MIN = 5, /* of T=: one callback, on a busy host */
    END_SECONDS_MIN = 20, /* the end of a message, where a bounce may wait to be read */
    ASKED_AT_ONCE = 200   /* domains */
};

/* What others of these functions use too. */

char *mend_mc(const struct check *check, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    char *line = format_text(format, arguments);
    va_end(arguments);
    if (line != NULL) {
        text = mend_text("in the .mc file that generates %s: %s; then generate it again (make -C "
                         "/etc/mail) and restart Sendmail",
                         sendmail_cf(check->sendmail), line);
    }
    free(line);
    return text;
}

/* All of what `batvctl mta sendmail` gives. */
static char *mend_part(struct check *check)
{
    return mend_text("batvctl -c %s mta sendmail | sh", check_conf(check));
}

/* The first filter that leads to our listener; NULL: none. */
static const struct sendmail_filter *find_ours(const struct check *check)
{
    size_t count;
    const struct sendmail_filter *filters = sendmail_filters(check->sendmail, &count);
    for (size_t i = 0; i < count; i++) {
        if (filter_leads(&filters[i], check->config->listen)) {
            return &filters[i];
        }
    }
    return NULL;
}

static const char *option_text(const struct check *check, const char *name)
{
    const char *value = sendmail_option(check->sendmail, name);
    return value != NULL ? value : "";
}

/* Which there is. */

void check_sendmail(struct check *check)
{
    struct reason why = {""};
    enum status status = sendmail_open(&check->sendmail, &why);
    if (status == STATUS_NOT_FOUND) {
        check_ok(check, "Sendmail is not installed: its settings are not checked");
    } else if (status == STATUS_NO_MEMORY) {
        check->no_memory = true;
    } else if (status != STATUS_OK) {
        check->mta_unknown = true;
        check_add(check, CHECK_FAIL, mend_text("make -C /etc/mail, as root"),
                  "Sendmail is installed, but its settings cannot be read: %s", why.text);
    } else if (check->postfix != NULL) {
        check_add(check, CHECK_WARN, mend_text("remove the one that accepts no mail"),
                  "Sendmail, configured in %s, is installed beside Postfix; the settings of both "
                  "are checked",
                  sendmail_cf(check->sendmail));
    } else {
        check_ok(check, "Sendmail %s, configured in %s", sendmail_version(check->sendmail),
                 sendmail_cf(check->sendmail));
    }
}

/* The filter. */

static char *mend_filter(const struct check *check)
{
    char *socket = sendmail_socket(check->config->listen);
    char *text =
        socket != NULL
            ? mend_mc(check, "INPUT_MAIL_FILTER(`batvd', `S=%s" SENDMAIL_EQUATES "')dnl", socket)
            : NULL;
    free(socket);
    return text;
}

static void tell_no_filter(struct check *check)
{
    size_t count;
    const struct sendmail_filter *filters = sendmail_filters(check->sendmail, &count);
    struct listing listing = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        listing_add(&listing, filters[i].socket);
    }
    if (count == 0) {
        check_add(check, CHECK_FAIL, mend_part(check),
                  "mail does not pass batvd: Sendmail has no filters");
    } else {
        check_add(check, CHECK_FAIL, mend_filter(check),
                  "mail does not pass batvd: it listens at %s, but filters are at %s",
                  check->config->listen, listing_end(&listing));
    }
}

/* Daemons with filters of their own. True where all have ours. */
static bool daemons_ask(struct check *check, const struct sendmail_filter *ours)
{
    bool all = true;
    const char *daemon;
    for (size_t n = 0;
         (daemon = sendmail_option_nth(check->sendmail, "DaemonPortOptions", n)) != NULL; n++) {
        char *list = sendmail_field(daemon, 'I');
        if (list == NULL) {
            check->no_memory = true;
        } else if (list[0] != '\0' && !filter_is_listed(ours, list)) {
            check_add(
                check, CHECK_FAIL,
                mend_mc(check, "InputMailFilters=%s;%s in its DAEMON_OPTIONS", list, ours->name),
                "mail does not pass batvd at the daemon with filters of its own: %s", daemon);
            all = false;
        }
        free(list);
    }
    return all;
}

void check_sendmail_filter(struct check *check)
{
    const struct sendmail_filter *ours = find_ours(check);
    const char *list = option_text(check, "InputMailFilters");
    if (ours == NULL) {
        tell_no_filter(check);
    } else if (!filter_is_listed(ours, list)) {
        check_add(check, CHECK_FAIL,
                  mend_mc(check, "define(`confINPUT_MAIL_FILTERS', `%s%s%s')dnl", list,
                          list[0] != '\0' ? "," : "", ours->name),
                  "mail does not pass batvd: the filter %s is defined, but InputMailFilters "
                  "is \"%s\"",
                  ours->name, list);
    } else if (daemons_ask(check, ours)) {
        check_ok(check, "mail passes batvd, the filter %s at %s", ours->name, ours->socket);
    }
}

void check_sendmail_flags(struct check *check)
{
    const struct sendmail_filter *ours = find_ours(check);
    if (ours == NULL) {
        return;
    }
    if (strpbrk(ours->flags, "T4") != NULL) {
        check_ok(check, "while batvd is away, mail is deferred: F=%s", ours->flags);
    } else if (strchr(ours->flags, 'R') != NULL) {
        check_add(check, CHECK_FAIL, mend_filter(check),
                  "while batvd is away, mail is rejected: F=%s", ours->flags);
    } else {
        check_add(check, CHECK_WARN, mend_filter(check),
                  "while batvd is away, mail leaves without a tag, and its bounces are rejected "
                  "later: the filter %s has no F=T",
                  ours->name);
    }
}

void check_sendmail_timeouts(struct check *check)
{
    const struct sendmail_filter *ours = find_ours(check);
    static const struct {
        char which;
        long least;
    } limits[] = {{'S', SEND_SECONDS_MIN}, {'R', SEND_SECONDS_MIN}, {'E', END_SECONDS_MIN}};
    bool fine = true;
    if (ours == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        long seconds = filter_timeout(ours, limits[i].which);
        if (seconds < limits[i].least) {
            check_add(check, CHECK_WARN, mend_filter(check),
                      "Sendmail waits for batvd for %ld s only, expected at least %ld: %c in T=%s",
                      seconds, limits[i].least, limits[i].which, ours->timeouts);
            fine = false;
        }
    }
    if (fine) {
        check_ok(check, "Sendmail waits long enough for batvd: T=%s",
                 ours->timeouts[0] != '\0' ? ours->timeouts : "as by default");
    }
}

/* Recipients. */

/* What Sendmail makes of addresses; each array has count items. */
struct trial {
    struct words addresses;
    char **answers;
};

static void trial_clear(struct trial *trial)
{
    for (size_t i = 0; trial->answers != NULL && i < trial->addresses.count; i++) {
        free(trial->answers[i]);
    }
    free(trial->answers);
    words_free(&trial->addresses);
    *trial = (struct trial){.answers = NULL};
}

/* Adds TAG postmaster@DOMAIN, or the same without the tag. False: no memory. */
static bool trial_add(struct trial *trial, const char *tag, const char *domain)
{
    char *address = NULL;
    if (asprintf(&address, "%s" SOMEBODY "%s%s", tag, domain[0] == '.' ? HOST : "",
                 domain + (domain[0] == '.')) < 0) {
        return false;
    }
    bool done = words_add(&trial->addresses, address);
    free(address);
    return done;
}

/* mailer: as whom mail leaves by it; NULL: where mail to the addresses goes. */
static enum status trial_ask(const struct check *check, struct trial *trial, const char *mailer,
                             struct reason *why)
{
    size_t count = trial->addresses.count;
    const char **addresses = calloc(count + 1, sizeof *addresses);
    enum status status = STATUS_NO_MEMORY;
    trial->answers = calloc(count + 1, sizeof *trial->answers);
    if (addresses != NULL && trial->answers != NULL) {
        for (size_t i = 0; i < count; i++) {
            addresses[i] = trial->addresses.items[i];
        }
        status =
            mailer == NULL
                ? sendmail_resolve(check->sendmail, addresses, count, trial->answers, why)
                : sendmail_send_as(check->sendmail, mailer, addresses, count, trial->answers, why);
    }
    free(addresses);
    return status;
}

/* True where Sendmail has answered; else that is told. */
static bool trial_done(struct check *check, enum status status, const struct reason *why)
{
    if (status == STATUS_NO_MEMORY) {
        check->no_memory = true;
    } else if (status != STATUS_OK) {
        check_add(check, CHECK_WARN,
                  mend_text("sendmail -C %s -bt", check_word(check, sendmail_cf(check->sendmail))),
                  "cannot be tried: %s%s", why->text,
                  strstr(why->text, "too long") != NULL
                      ? " (Sendmail waits for a minute if its host has no full name)"
                      : "");
    }
    return status == STATUS_OK;
}

struct recipients {
    struct listing tagged; /* the tag stays on */
    struct listing other;  /* it comes off, but mail goes elsewhere */
};

/* The domains from first to last, each asked for with and without a tag. */
static bool try_domains(struct check *check, size_t first, size_t last, struct recipients *found)
{
    const struct settings *settings = check->config->settings;
    struct trial trial = {.answers = NULL};
    struct reason why = {""};
    bool room = true;
    for (size_t i = first; i < last && room; i++) {
        room = trial_add(&trial, TAG, settings->domain[i].name) &&
               trial_add(&trial, "", settings->domain[i].name);
    }
    enum status status = room ? trial_ask(check, &trial, NULL, &why) : STATUS_NO_MEMORY;
    bool done = trial_done(check, status, &why);
    for (size_t i = 0; done && i + 1 < trial.addresses.count; i += 2) {
        if (strcmp(trial.answers[i], trial.answers[i + 1]) == 0) {
            continue;
        }
        bool stays =
            strstr(trial.answers[i], TAG) != NULL || strstr(trial.answers[i], "$# error") != NULL;
        listing_add(stays ? &found->tagged : &found->other, trial.addresses.items[i + 1]);
    }
    trial_clear(&trial);
    return done;
}

/* *greedy tells whether the tag comes off addresses elsewhere too. */
static bool try_foreign(struct check *check, bool *greedy)
{
    struct trial trial = {.answers = NULL};
    struct reason why = {""};
    enum status status = trial_add(&trial, TAG, FOREIGN_DOMAIN)
                             ? trial_ask(check, &trial, NULL, &why)
                             : STATUS_NO_MEMORY;
    bool done = trial_done(check, status, &why);
    *greedy = done && strstr(trial.answers[0], TAG) == NULL &&
              strstr(trial.answers[0], "$# error") == NULL;
    trial_clear(&trial);
    return done;
}

void check_sendmail_recipients(struct check *check)
{
    struct recipients found = {.tagged = {.count = 0}};
    bool greedy = false;
    bool done = true;
    size_t count = check->config->settings->domain_count;
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count && done; i += ASKED_AT_ONCE) {
        size_t last = i + ASKED_AT_ONCE < count ? i + ASKED_AT_ONCE : count;
        done = try_domains(check, i, last, &found);
    }
    check->map_here = check->map_here || !done || found.tagged.count < count;
    if (!done || !try_foreign(check, &greedy)) {
        return;
    }
    if (found.tagged.count > 0) {
        check_add(check, CHECK_FAIL, mend_part(check),
                  "no rule removes the tag, so bounces to these are rejected as unknown users: %s",
                  listing_end(&found.tagged));
    }
    if (found.other.count > 0) {
        check_add(check, CHECK_FAIL, mend_part(check),
                  "with a tag, mail to these takes another route than without: %s",
                  listing_end(&found.other));
    }
    if (greedy) {
        check_add(
            check, CHECK_FAIL, mend_part(check),
            "a rule removes other sites' tags too, so these sites reject your bounces and replies");
    }
    if (found.tagged.count == 0 && found.other.count == 0 && !greedy) {
        check_ok(check, "rules remove the tag from recipients in all your domains");
    }
}

/* Senders. */

/* The mailer by which mail leaves. NULL: it cannot be told, which has been said. */
static char *find_mailer(struct check *check)
{
    static const char mark[] = "$# ";
    struct trial trial = {.answers = NULL};
    struct reason why = {""};
    char *mailer = NULL;
    enum status status = trial_add(&trial, "", FOREIGN_DOMAIN)
                             ? trial_ask(check, &trial, NULL, &why)
                             : STATUS_NO_MEMORY;
    if (trial_done(check, status, &why) && strncmp(trial.answers[0], mark, sizeof mark - 1) == 0) {
        const char *name = trial.answers[0] + sizeof mark - 1;
        mailer = strndup(name, strcspn(name, " "));
    }
    trial_clear(&trial);
    return mailer;
}

static char *mend_masquerade(const struct check *check)
{
    return mend_mc(check, "take FEATURE(`masquerade_envelope') out");
}

/* Tells of the tagged senders that are changed. */
static bool tell_changed(struct check *check, const struct trial *trial)
{
    struct listing changed = {.count = 0};
    for (size_t i = 0; i + 1 < trial->addresses.count; i++) {
        if (strcasecmp(trial->addresses.items[i], trial->answers[i]) != 0) {
            listing_add(&changed, trial->answers[i]);
        }
    }
    if (changed.count > 0) {
        check_add(check, CHECK_FAIL,
                  sendmail_masquerades(check->sendmail)
                      ? mend_masquerade(check)
                      : mend_mc(check, "let the rules for senders leave the domains as they are"),
                  "Sendmail changes the sender after batvd has signed it, and no bounce will match "
                  "its tag: it becomes %s",
                  listing_end(&changed));
    }
    return changed.count > 0;
}

/* The last one asked is the host's own name: told where it becomes a domain of ours only then. */
static bool tell_hidden(struct check *check, const struct trial *trial)
{
    const struct settings *settings = check->config->settings;
    size_t last = trial->addresses.count - 1;
    const char *before = strrchr(trial->addresses.items[last], '@');
    const char *after = strrchr(trial->answers[last], '@');
    if (before == NULL || after == NULL || settings_domain(settings, before + 1) != NULL ||
        settings_domain(settings, after + 1) == NULL) {
        return false;
    }
    check_add(check, CHECK_WARN, mend_masquerade(check),
              "senders at %s become senders at %s, after batvd has left them unsigned: their "
              "bounces are rejected",
              before + 1, after + 1);
    return true;
}

static bool tell_generics(struct check *check)
{
    bool tell =
        sendmail_masquerades(check->sendmail) && sendmail_has_map(check->sendmail, "generics");
    if (tell) {
        check_add(check, CHECK_WARN, mend_masquerade(check),
                  "genericstable is queried for the tagged sender: entries for whole addresses no "
                  "longer match");
    }
    return tell;
}

static void try_senders(struct check *check, const char *mailer, const char *host)
{
    const struct settings *settings = check->config->settings;
    struct trial trial = {.answers = NULL};
    struct reason why = {""};
    bool room = true;
    for (size_t i = 0; i < settings->domain_count && i < ASKED_AT_ONCE && room; i++) {
        room = !settings->domain[i].sign || trial_add(&trial, TAG, settings->domain[i].name);
    }
    room = room && trial_add(&trial, "", host);
    enum status status = room ? trial_ask(check, &trial, mailer, &why) : STATUS_NO_MEMORY;
    if (trial_done(check, status, &why)) {
        bool changed = tell_changed(check, &trial);
        bool hidden = tell_hidden(check, &trial);
        bool generic = tell_generics(check);
        if (!changed && !hidden && !generic) {
            check_ok(check, "signed senders leave as they are, by the mailer %s", mailer);
        }
    }
    trial_clear(&trial);
}

void check_sendmail_senders(struct check *check)
{
    struct reason why = {""};
    char *host = NULL;
    if (check->config->settings->domain_count == 0) {
        return;
    }
    char *mailer = find_mailer(check);
    if (mailer != NULL && trial_done(check, sendmail_host(check->sendmail, &host, &why), &why)) {
        try_senders(check, mailer, host);
    }
    free(mailer);
    free(host);
}

/* The socket. */

/* Tells of a folder by which Sendmail would refuse the socket. */
static bool tell_unsafe(struct check *check, const char *folder, const struct stat *info)
{
    bool group_allowed =
        strcasestr(option_text(check, "DontBlameSendmail"), "GroupWritableDirPathSafe") != NULL;
    bool group = (info->st_mode & S_IWGRP) != 0 && !group_allowed;
    if ((info->st_mode & S_IWOTH) == 0 && !group) {
        return false;
    }
    check_add(check, CHECK_FAIL,
              mend_config(check, "listen = \"unix:/run/batvd/milter.sock\"; (a folder of batvd's)"),
              "Sendmail refuses the socket as unsafe: %s has mode %04o, and users other than its "
              "owner can write there",
              folder, (unsigned)info->st_mode & 07777);
    return true;
}

void check_sendmail_socket(struct check *check)
{
    const char *path = listen_path(check->config->listen);
    bool told = false;
    if (path == NULL) {
        return;
    }
    char *folder = strdup(path);
    if (folder == NULL) {
        check->no_memory = true;
        return;
    }
    for (char *slash = strrchr(folder, '/'); slash != NULL && !told; slash = strrchr(folder, '/')) {
        struct stat info;
        *slash = '\0';
        const char *name = folder[0] != '\0' ? folder : "/";
        told = stat(name, &info) == 0 && tell_unsafe(check, name, &info);
    }
    if (!told) {
        check_ok(check, "Sendmail considers the socket's folder safe");
    }
    free(folder);
}

/* sendmail(1) hands its mail to the daemon, by SMTP on the loopback address. */
void check_sendmail_submission(struct check *check)
{
    static const char loopback[] = "127.0.0.1";
    const struct settings *settings = check->config->settings;
    if (network_list_covers(settings->internal_networks, loopback) &&
        !network_list_covers(settings->relays, loopback)) {
        check_ok(check, "mail by sendmail(1), which comes from %s, is signed", loopback);
    } else {
        check_add(check, CHECK_WARN,
                  mend_config(check, "internal_networks with \"127.0.0.0/8\", relays without,"),
                  "mail by sendmail(1) is not signed: Sendmail passes it to its daemon from %s, "
                  "which is not in internal_networks, or in relays",
                  loopback);
    }
}
