/*
 * The table of checks, and how they run. Started as root, what concerns Postfix and
 * the socket is looked at as root, since tables may be readable by root only; then batvctl becomes
 * the owner of the state folder, because the keyring is refused by anyone else, and looks at the
 * rest. The report has the order of the table. Findings belong to struct check; one thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/program.h"
#include "check/check.h"
#include "daemon/owner.h"
#include "daemon/privileges.h"

/* What a check cannot do without. Where it is not there an earlier check has told, and this one is
 * passed over. */
enum subject { NOTHING, POSTFIX, SENDMAIL, RING, DAEMON, STATUS, STATES };

static const struct {
    const char *name;
    void (*run)(struct check *check);
    enum subject subject;
    bool as_owner; /* of state_dir */
    enum check_stage stage;
} rows[] = {
    {"configuration", check_configuration, NOTHING, false, STAGE_ANY},
    {"domains", check_domains, NOTHING, false, STAGE_ANY},
    {"state_dir", check_state_dir, NOTHING, false, STAGE_ANY},
    {"state_dir.writable", check_writable, NOTHING, true, STAGE_ANY},
    {"keyring", check_keyring, NOTHING, true, STAGE_ANY},
    {"key.active", check_active_key, RING, true, STAGE_ANY},
    {"key.next-slot", check_next_slot, RING, true, STAGE_ANY},
    {"key.rotation", check_rotation, RING, true, STAGE_ANY},
    {"daemon", check_daemon, NOTHING, true, STAGE_START},
    {"daemon.report", check_report, DAEMON, true, STAGE_ANY},
    {"log", check_log, NOTHING, true, STAGE_ANY},
    {"reload", check_reload, STATUS, true, STAGE_ANY},
    {"pause", check_pause, NOTHING, true, STAGE_ANY},
    {"clock", check_clock, NOTHING, true, STAGE_ANY},
    {"relayed-unsigned", check_relayed, STATUS, true, STAGE_ANY},
    {"clients", check_clients, STATUS, true, STAGE_ANY},
    {"guessing", check_guessing, STATUS, true, STAGE_ANY},
    {"warm-up", check_warm_up, STATES, true, STAGE_ANY},
    {"journal", check_journal, NOTHING, true, STAGE_ANY},
    {"journal.written", check_journal_written, NOTHING, true, STAGE_ANY},
    {"postfix", check_postfix, NOTHING, false, STAGE_ANY},
    {"sendmail", check_sendmail, NOTHING, false, STAGE_ANY},
    {"socket", check_socket, NOTHING, false, STAGE_START},
    {"socket.access", check_socket_access, POSTFIX, false, STAGE_ANY},
    {"postfix.smtpd_milters", check_smtpd_milters, POSTFIX, false, STAGE_MTA},
    {"postfix.non_smtpd_milters", check_non_smtpd_milters, POSTFIX, false, STAGE_MTA},
    {"postfix.milters", check_milters, POSTFIX, false, STAGE_ANY},
    {"postfix.listeners", check_listeners, POSTFIX, false, STAGE_ANY},
    {"postfix.re-injection", check_reinjection, POSTFIX, false, STAGE_ANY},
    {"postfix.pipe_filters", check_pipe_filters, POSTFIX, false, STAGE_ANY},
    {"postfix.own_names", check_own_names, POSTFIX, false, STAGE_ANY},
    {"postfix.smtpd_proxy_filter", check_proxy_filter, POSTFIX, false, STAGE_ANY},
    {"postfix.chroot", check_chroot, POSTFIX, false, STAGE_ANY},
    {"postfix.smtpd_milter_maps", check_milter_maps, POSTFIX, false, STAGE_ANY},
    {"postfix.milter_default_action", check_default_action, POSTFIX, false, STAGE_MTA},
    {"postfix.milter_macros", check_milter_macros, POSTFIX, false, STAGE_ANY},
    {"postfix.internal_mail_filter_classes", check_filter_classes, POSTFIX, false, STAGE_ANY},
    {"postfix.recipient_canonical_maps", check_map, POSTFIX, false, STAGE_MTA},
    {"postfix.recipient_canonical_classes", check_map_classes, POSTFIX, false, STAGE_ANY},
    {"postfix.sender_rewriting", check_sender_stripped, POSTFIX, false, STAGE_ANY},
    {"postfix.domains", check_received, POSTFIX, false, STAGE_ANY},
    {"postfix.myorigin", check_origin, POSTFIX, false, STAGE_ANY},
    {"postfix.mynetworks", check_mynetworks, POSTFIX, false, STAGE_ANY},
    {"postfix.masquerade_domains", check_masquerade, POSTFIX, false, STAGE_ANY},
    {"postfix.sender_maps", check_sender_maps, POSTFIX, false, STAGE_ANY},
    {"postfix.recipient_delimiter", check_delimiter, POSTFIX, false, STAGE_ANY},
    {"postfix.verp", check_verp, POSTFIX, false, STAGE_ANY},
    {"postfix.dkim2", check_dkim2, POSTFIX, false, STAGE_ANY},
    {"postfix.list_owners", check_list_owners, POSTFIX, false, STAGE_ANY},
    {"postfix.header_checks", check_header_maps, POSTFIX, false, STAGE_ANY},
    {"postfix.recipient_access", check_recipient_access, POSTFIX, false, STAGE_ANY},
    {"postfix.unlisted_sender", check_unlisted_sender, POSTFIX, false, STAGE_ANY},
    {"sendmail.filter", check_sendmail_filter, SENDMAIL, false, STAGE_MTA},
    {"sendmail.filter_flags", check_sendmail_flags, SENDMAIL, false, STAGE_ANY},
    {"sendmail.filter_timeouts", check_sendmail_timeouts, SENDMAIL, false, STAGE_ANY},
    {"sendmail.milter_macros", check_sendmail_macros, SENDMAIL, false, STAGE_ANY},
    {"sendmail.recipients", check_sendmail_recipients, SENDMAIL, false, STAGE_MTA},
    {"sendmail.senders", check_sendmail_senders, SENDMAIL, false, STAGE_ANY},
    {"sendmail.socket", check_sendmail_socket, SENDMAIL, false, STAGE_ANY},
    {"sendmail.socket_access", check_sendmail_access, SENDMAIL, false, STAGE_ANY},
    {"sendmail.submission", check_sendmail_submission, SENDMAIL, false, STAGE_ANY},
    {"sendmail.list_owners", check_sendmail_owners, SENDMAIL, false, STAGE_ANY},
    {"sendmail.dkim2", check_sendmail_dkim2, SENDMAIL, false, STAGE_ANY},
    {"backscatter.relay_recipient_maps", check_relay_recipients, POSTFIX, false, STAGE_ANY},
    {"backscatter.catch-all", check_catch_all, POSTFIX, false, STAGE_ANY},
    {"backscatter.srs", check_srs, POSTFIX, false, STAGE_ANY},
    {"backscatter.luser_relay", check_luser_relay, POSTFIX, false, STAGE_ANY},
    {"backscatter.unlisted_recipients", check_unlisted, POSTFIX, false, STAGE_ANY},
    {"backscatter.local_recipient_maps", check_local_recipients, POSTFIX, false, STAGE_ANY},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static void add(struct check *check, enum check_level level, char *mend, const char *format,
                va_list arguments) __attribute__((format(printf, 4, 0)));

static void add(struct check *check, enum check_level level, char *mend, const char *format,
                va_list arguments)
{
    char *text = NULL;
    struct finding *findings =
        realloc(check->findings, (check->count + 1) * sizeof *check->findings);
    if (findings != NULL) {
        check->findings = findings;
    }
    if (findings == NULL || vasprintf(&text, format, arguments) < 0) {
        check->no_memory = true;
        free(mend);
        return;
    }
    findings[check->count++] = (struct finding){check->row, level, text, mend};
}

void check_add(struct check *check, enum check_level level, char *mend, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(check, level, mend, format, arguments);
    va_end(arguments);
    check->no_memory = check->no_memory || mend == NULL;
}

void check_ok(struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(check, CHECK_OK, NULL, format, arguments);
    va_end(arguments);
}

const char *check_word(struct check *check, const char *text)
{
    char *quoted = program_quote(text);
    bool kept = quoted != NULL && words_add(&check->words, quoted);
    free(quoted);
    check->no_memory = check->no_memory || !kept;
    return kept ? check->words.items[check->words.count - 1] : "";
}

const char *check_conf(struct check *check)
{
    return check_word(check, check->config_path);
}

char *mend_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    return text;
}

char *mend_behind(const char *text, char *mend)
{
    char *both = mend != NULL ? mend_text("%s%s", text, mend) : NULL;
    free(mend);
    return both;
}

static char *mend_line(const struct check *check, char *line, const char *command)
{
    char *text = NULL;
    if (line != NULL) {
        text = mend_text("in %s: %s%s%s", check->config_path, line,
                         command[0] != '\0' ? " then " : "", command);
    }
    free(line);
    return text;
}

char *mend_config(const struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *line = format_text(format, arguments);
    va_end(arguments);
    return mend_line(check, line, check->reload);
}

char *mend_config_restart(const struct check *check, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *line = format_text(format, arguments);
    va_end(arguments);
    return mend_line(check, line, check->restart);
}

char *mend_internal(const struct check *check, const char *lead, const char *networks)
{
    const char *there = check->config->internal_networks;
    return mend_text(
        "%sif, and only if, every host there is yours: in %s: internal_networks = [ %s%s%s ]; (the "
        "whole line)%s%s. Then mail from there in your name is signed, and bounces from there are "
        "accepted without a tag. A host that only hands in mail from outside belongs in relays",
        lead, check->config_path, there, there[0] != '\0' ? ", " : "", networks,
        check->reload[0] != '\0' ? ", then " : "", check->reload);
}

/* The command, which is taken over, once the configuration has no faults. */
static char *when_valid(struct check *check, char *command)
{
    if (!check->rough || command == NULL || command[0] == '\0') {
        return command;
    }
    char *guarded = mend_text("batvd -n -c %s && %s", check_conf(check), command);
    free(command);
    return guarded;
}

/* How batvd is started here. False: no memory. */
static bool find_service(struct check *check)
{
    const char *conf = check_conf(check);
    check->service = service_find(check->config);
    check->start = when_valid(check, service_start(&check->service, conf));
    check->restart = when_valid(check, service_restart(&check->service, conf));
    check->reload = when_valid(check, service_reload(&check->service, conf));
    check->no_memory =
        check->no_memory || check->start == NULL || check->restart == NULL || check->reload == NULL;
    return !check->no_memory;
}

static bool is_there(const struct check *check, enum subject subject)
{
    switch (subject) {
    case POSTFIX:
        return check->postfix != NULL;
    case SENDMAIL:
        return check->sendmail != NULL;
    case RING:
        return check->ring != NULL;
    case DAEMON:
        return check->look.running;
    case STATUS:
        return check->status != NULL;
    case STATES: /* of domains */
        return check->status != NULL && check->ring != NULL;
    default:
        return true;
    }
}

/* What needs no more than the daemon's own options. */
static bool is_rough(size_t row)
{
    static void (*const checks[])(struct check *) = {
        check_configuration, check_state_dir, check_keyring, check_daemon, check_reload,
        check_pause,         check_clock,     check_postfix, check_socket, check_milters,
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (checks[i] == rows[row].run) {
            return true;
        }
    }
    return false;
}

static void run_rows(struct check *check, bool as_owner)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].as_owner == as_owner && is_there(check, rows[i].subject) &&
            (!check->rough || is_rough(i))) {
            check->row = i;
            rows[i].run(check);
        }
    }
}

static enum check_stage stage_of(size_t row)
{
    return rows[row].stage;
}

const struct finding *check_next(const struct check *check, size_t *row, size_t *i, bool quiet)
{
    for (; *row < ROWS; ++*row, *i = 0) {
        while (*i < check->count) {
            const struct finding *finding = &check->findings[(*i)++];
            if (finding->row == *row && !(quiet && finding->level == CHECK_OK)) {
                return finding;
            }
        }
    }
    return NULL;
}

const char *check_name(const struct finding *finding)
{
    return rows[finding->row].name;
}

/* Whatever a restart would mend: while a daemon alone has the keys, or cannot write what it has in
 * memory, no command restarts it first. */
static void guard_restarts(struct check *check)
{
    bool keys = keys_are_at_stake(check);
    if (!keys && !(check->look.running && check->unwritable != 0)) {
        return;
    }
    for (size_t i = 0; i < check->count; i++) {
        struct finding *f = &check->findings[i];
        if (f->mend != NULL && strstr(f->mend, check->restart) != NULL) {
            char *mend = mend_text("when %s is mended, and not before: %s",
                                   keys ? "keyring" : "state_dir.writable", f->mend);
            free(f->mend);
            f->mend = mend;
            check->no_memory = check->no_memory || mend == NULL;
        }
    }
}

static bool run_all(struct check *check)
{
    if (!find_service(check)) {
        return false;
    }
    run_rows(check, false);
    if (access(check->config->state_dir, F_OK) != 0 && errno == ENOENT) {
        return true; /* check_state_dir has told */
    }
    if (!owner_become(check->config->state_dir, check->config->user)) {
        return false;
    }
    privileges_hide_memory();
    run_rows(check, true);
    guard_restarts(check);
    return true;
}

bool check_run(struct check *check)
{
    bool whole = run_all(check) && !check->rough;
    if (whole) {
        check_todo(check, stage_of);
    }
    return whole;
}

void check_clear(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        free(check->findings[i].text);
        free(check->findings[i].mend);
    }
    free(check->findings);
    free(check->start);
    free(check->restart);
    free(check->reload);
    words_free(&check->words);
    formers_free(check->formers);
    postfix_free(check->postfix);
    sendmail_free(check->sendmail);
    ring_free(check->ring);
    status_report_free(&check->look.report);
}
