/*
 * `batvctl check`: the table of checks, and the report. Started as root, what concerns Postfix and
 * the socket is looked at as root, since tables may be readable by root only; then batvctl becomes
 * the owner of the state folder, because the keyring is refused by anyone else, and looks at the
 * rest. The report has the order of the table. Findings belong to struct check; one thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/arguments.h"
#include "ctl/check.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/owner.h"
#include "ctl/print.h"
#include "ctl/program.h"
#include "io/privileges.h"

/* What a check cannot do without. Where it is not there an earlier check has told, and this one is
 * passed over. */
enum subject { NOTHING, POSTFIX, SENDMAIL, RING, STATUS };

static const struct {
    const char *name;
    void (*run)(struct check *check);
    enum subject subject;
    bool as_owner; /* of state_dir */
} rows[] = {
    {"configuration", check_configuration, NOTHING, false},
    {"domains", check_domains, NOTHING, false},
    {"state_dir", check_state_dir, NOTHING, false},
    {"keyring", check_keyring, NOTHING, true},
    {"key.active", check_active_key, RING, true},
    {"key.next-slot", check_next_slot, RING, true},
    {"key.rotation", check_rotation, RING, true},
    {"daemon", check_daemon, NOTHING, true},
    {"log", check_log, NOTHING, true},
    {"reload", check_reload, STATUS, true},
    {"pause", check_pause, NOTHING, true},
    {"clock", check_clock, NOTHING, true},
    {"relayed-unsigned", check_relayed, STATUS, true},
    {"clients", check_clients, STATUS, true},
    {"guessing", check_guessing, STATUS, true},
    {"warm-up", check_warm_up, STATUS, true},
    {"journal", check_journal, NOTHING, true},
    {"socket", check_socket, NOTHING, false},
    {"postfix", check_postfix, NOTHING, false},
    {"socket.access", check_socket_access, POSTFIX, false},
    {"postfix.smtpd_milters", check_smtpd_milters, POSTFIX, false},
    {"postfix.non_smtpd_milters", check_non_smtpd_milters, POSTFIX, false},
    {"postfix.listeners", check_listeners, POSTFIX, false},
    {"postfix.re-injection", check_reinjection, POSTFIX, false},
    {"postfix.pipe_filters", check_pipe_filters, POSTFIX, false},
    {"postfix.own_names", check_own_names, POSTFIX, false},
    {"postfix.smtpd_proxy_filter", check_proxy_filter, POSTFIX, false},
    {"postfix.chroot", check_chroot, POSTFIX, false},
    {"postfix.smtpd_milter_maps", check_milter_maps, POSTFIX, false},
    {"postfix.milter_default_action", check_default_action, POSTFIX, false},
    {"postfix.milter_macros", check_milter_macros, POSTFIX, false},
    {"postfix.internal_mail_filter_classes", check_filter_classes, POSTFIX, false},
    {"postfix.recipient_canonical_maps", check_map, POSTFIX, false},
    {"postfix.recipient_canonical_classes", check_map_classes, POSTFIX, false},
    {"postfix.sender_rewriting", check_sender_stripped, POSTFIX, false},
    {"postfix.domains", check_received, POSTFIX, false},
    {"postfix.myorigin", check_origin, POSTFIX, false},
    {"postfix.mynetworks", check_mynetworks, POSTFIX, false},
    {"postfix.masquerade_domains", check_masquerade, POSTFIX, false},
    {"postfix.sender_maps", check_sender_maps, POSTFIX, false},
    {"postfix.recipient_delimiter", check_delimiter, POSTFIX, false},
    {"postfix.verp", check_verp, POSTFIX, false},
    {"postfix.list_owners", check_list_owners, POSTFIX, false},
    {"postfix.header_checks", check_header_maps, POSTFIX, false},
    {"postfix.recipient_access", check_recipient_access, POSTFIX, false},
    {"postfix.unlisted_sender", check_unlisted_sender, POSTFIX, false},
    {"sendmail", check_sendmail, NOTHING, false},
    {"sendmail.filter", check_sendmail_filter, SENDMAIL, false},
    {"sendmail.filter_flags", check_sendmail_flags, SENDMAIL, false},
    {"sendmail.filter_timeouts", check_sendmail_timeouts, SENDMAIL, false},
    {"sendmail.milter_macros", check_sendmail_macros, SENDMAIL, false},
    {"sendmail.recipients", check_sendmail_recipients, SENDMAIL, false},
    {"sendmail.senders", check_sendmail_senders, SENDMAIL, false},
    {"sendmail.socket", check_sendmail_socket, SENDMAIL, false},
    {"sendmail.socket_access", check_sendmail_access, SENDMAIL, false},
    {"sendmail.submission", check_sendmail_submission, SENDMAIL, false},
    {"sendmail.list_owners", check_sendmail_owners, SENDMAIL, false},
    {"backscatter.relay_recipient_maps", check_relay_recipients, POSTFIX, false},
    {"backscatter.catch-all", check_catch_all, POSTFIX, false},
    {"backscatter.srs", check_srs, POSTFIX, false},
    {"backscatter.luser_relay", check_luser_relay, POSTFIX, false},
    {"backscatter.unlisted_recipients", check_unlisted, POSTFIX, false},
    {"backscatter.local_recipient_maps", check_local_recipients, POSTFIX, false},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static const struct {
    const char *name;
    const char *colour;
} levels[] = {
    [CHECK_OK] = {"ok", "\033[32m"},
    [CHECK_WARN] = {"warn", "\033[33m"},
    [CHECK_FAIL] = {"fail", "\033[31m"},
};

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
    return check_word(check, check->ctl->config_path);
}

char *mend_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    return text;
}

char *mend_config(const struct check *check, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    char *line = format_text(format, arguments);
    va_end(arguments);
    if (line != NULL) {
        text = mend_text("in %s: %s then systemctl reload batvd", check->ctl->config_path, line);
    }
    free(line);
    return text;
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
    case STATUS:
        return check->status != NULL;
    default:
        return true;
    }
}

static void run_rows(struct check *check, bool as_owner)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].as_owner == as_owner && is_there(check, rows[i].subject)) {
            check->row = i;
            rows[i].run(check);
        }
    }
}

static void print_lines(const struct check *check)
{
    bool colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t i = 0; i < check->count; i++) {
            const struct finding *f = &check->findings[i];
            if (f->row != row) {
                continue;
            }
            printf("%s%-4s%s  %-37s ", colour ? levels[f->level].colour : "", levels[f->level].name,
                   colour ? "\033[0m" : "", rows[row].name);
            print_text(stdout, f->text);
            if (f->mend != NULL) {
                fputs("\n      mend: ", stdout);
                print_text(stdout, f->mend);
            }
            putchar('\n');
        }
    }
}

static void print_json(const struct check *check)
{
    struct json json;
    json_begin_list(&json, true);
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t i = 0; i < check->count; i++) {
            const struct finding *f = &check->findings[i];
            if (f->row == row) {
                json_open_object(&json, NULL);
                json_text(&json, "level", levels[f->level].name);
                json_text(&json, "name", rows[row].name);
                json_text(&json, "text", f->text);
                json_text(&json, "mend", f->mend);
                json_close(&json);
            }
        }
    }
    json_end_list(&json);
}

static bool has_failed(const struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        if (check->findings[i].level == CHECK_FAIL) {
            return true;
        }
    }
    return false;
}

/* False: not everything could be looked at, and stderr says why. */
static bool run_all(struct check *check)
{
    if (!ctl_load_config(check->ctl)) {
        check_configuration(check);
        return false;
    }
    check->config = check->ctl->config;
    run_rows(check, false);
    if (access(check->config->state_dir, F_OK) != 0 && errno == ENOENT) {
        return true; /* check_state_dir has told */
    }
    if (!owner_become(check->config->state_dir, check->config->user)) {
        return false;
    }
    privileges_hide_memory();
    run_rows(check, true);
    return true;
}

static void check_clear(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        free(check->findings[i].text);
        free(check->findings[i].mend);
    }
    free(check->findings);
    words_free(&check->words);
    postfix_free(check->postfix);
    sendmail_free(check->sendmail);
    ring_free(check->ring);
    if (check->status != NULL) {
        status_report_free(check->status);
        free(check->status);
    }
}

int cmd_check(struct ctl *ctl, int argc, char **argv)
{
    struct check check = {.ctl = ctl, .now = time(NULL)};
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected", argv[1]);
    }
    bool whole = run_all(&check);
    if (ctl->json) {
        print_json(&check);
    } else {
        print_lines(&check);
    }
    if (check.no_memory) {
        ctl_error("out of memory");
        whole = false;
    }
    int status = !whole ? CTL_UNABLE : has_failed(&check) ? CTL_NO : CTL_YES;
    check_clear(&check);
    return status;
}
