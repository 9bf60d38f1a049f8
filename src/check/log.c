/*
 * What `check` has to say of the log: whether its lines arrive where the configuration says. What
 * the running daemon reports counts, since its standard error is not ours; without one the target
 * itself is tried.
 */
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log_target.h"
#include "base/print.h"
#include "check/check.h"

static char *mend_away(const struct check *check)
{
    char *config = mend_member(check, "log", "target", "\"stderr\"");
    char *text = config == NULL ? NULL
                                : mend_text("start the daemon that listens there; where there is "
                                            "none, as in a container: %s",
                                            config);
    free(config);
    return text;
}

/* Where syslog's lines are usually found, the more special first. */
static const char *find_file(int facility)
{
    static const char *const of_mail[] = {"/var/log/mail.log", "/var/log/maillog", "/var/log/mail"};
    static const char *const of_all[] = {"/var/log/syslog", "/var/log/messages"};
    for (size_t i = 0; facility == LOG_MAIL && i < sizeof of_mail / sizeof of_mail[0]; i++) {
        if (access(of_mail[i], F_OK) == 0) {
            return of_mail[i];
        }
    }
    for (size_t i = 0; i < sizeof of_all / sizeof of_all[0]; i++) {
        if (access(of_all[i], F_OK) == 0) {
            return of_all[i];
        }
    }
    return NULL;
}

const char *check_log_place(const struct check *check)
{
    const char *file;
    switch (check->config->log_target) {
    case LOG_TARGET_JOURNALD:
        return "journalctl -t batvd";
    case LOG_TARGET_STDERR:
        return check->service.systemd ? "journalctl -u batvd" : "batvd's standard error";
    default:
        file = find_file(check->config->log_facility);
        if (file == NULL && access("/run/systemd/journal/socket", F_OK) == 0) {
            return "journalctl -t batvd";
        }
        return file != NULL ? file : "the file to which syslog writes mail's lines";
    }
}

/* By what the daemon reports. */
static void tell_reported(struct check *check, const struct status_report *status)
{
    bool nowhere = strcmp(status->log_place, "nowhere") == 0;
    bool by_target = strcmp(status->log_target, "stderr") == 0;
    char since[PRINT_TIME];
    format_moment(status->log_since, since);
    if (nowhere && by_target) {
        check_add(check, CHECK_FAIL, mend_member(check, "log", "target", "\"syslog\""),
                  "every line of the log is lost: log.target is \"stderr\", but %s",
                  status->log_error);
    } else if (nowhere) {
        check_add(check, CHECK_FAIL, mend_away(check),
                  "every line of the log is lost since %s: %s, and batvd's standard error is "
                  "/dev/null",
                  since, status->log_error);
    } else if (status->log_error[0] != '\0') {
        check_add(check, CHECK_WARN, mend_away(check),
                  "lines of the log go to batvd's standard error since %s: %s", since,
                  status->log_error);
    } else if (status->log_lost > 0) {
        check_add(check, CHECK_WARN,
                  mend_text("find out where batvd's standard error leads: ls -l /proc/%ld/fd/2",
                            status->pid),
                  "%llu lines of the log were lost: standard error did not accept them",
                  (unsigned long long)status->log_lost);
    } else {
        check_ok(check, "lines of the log go to %s: see %s", status->log_target,
                 check_log_place(check));
    }
}

void check_log(struct check *check)
{
    enum log_target target = check->config->log_target;
    if (check->status != NULL && check->status->log_place[0] != '\0') {
        tell_reported(check, check->status);
        return;
    }
    int error = log_target_probe(target);
    if (error != 0) {
        check_add(
            check, CHECK_WARN, mend_away(check),
            "nobody accepts lines of the log (%s: %s): they will go to batvd's standard error",
            log_target_socket(target), strerror(error));
    } else {
        check_ok(check, "lines of the log go to %s: see %s", log_target_name(target),
                 check_log_place(check));
    }
}
