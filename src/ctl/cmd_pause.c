/*
 * batvctl pause, batvctl resume: the switch for the night in which legitimate mail is being
 * rejected. The daemon looks at it twice a second and writes its report when it has taken it up,
 * which is waited for; while it does not run, it will when it starts. A configuration with faults
 * does for this, as far as it has state_dir.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/print.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "daemon/running.h"
#include "store/pause.h"
#include "store/status_file.h"

enum {
    LOOK_MS = 100,
    WAIT_MS = 2000,
    FRESH = 20 /* seconds: a report that is older is of a daemon that no longer writes */
};

static void print_json(const char *state_dir)
{
    time_t since;
    bool paused = pause_since(state_dir, &since);
    struct json json;
    json_begin(&json, stdout);
    json_open_object(&json, NULL);
    json_bool(&json, "paused", paused);
    if (since != 0) {
        json_time(&json, "paused_since", since);
    } else {
        json_null(&json, "paused_since");
    }
    json_bool(&json, "running", daemon_is_running(state_dir));
    json_close(&json);
    json_end(&json);
}

static bool has_no_arguments(const struct ctl *ctl, int argc, char **argv)
{
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return false;
    }
    if (argc > 1) {
        (void)ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
        return false;
    }
    return true;
}

/* Whether the running daemon's report says that it is paused, or is not. */
static bool is_taken_up(const char *state_dir, bool paused)
{
    struct status_report report = {0};
    struct reason ignored;
    long process = daemon_process(state_dir);
    bool known = status_file_read(state_dir, &report, &ignored) == STATUS_OK &&
                 (process == 0 || report.pid == process);
    bool taken = known && report.paused == paused && labs(time(NULL) - report.written) <= FRESH;
    status_report_free(&report);
    return taken;
}

/* Waits until the daemon that has the state folder works as it is told. */
static bool wait_for_daemon(const char *state_dir, bool paused)
{
    const struct timespec moment = {.tv_nsec = LOOK_MS * 1000000L};
    for (int waited = 0; waited < WAIT_MS; waited += LOOK_MS) {
        if (is_taken_up(state_dir, paused)) {
            return true;
        }
        nanosleep(&moment, NULL);
    }
    return is_taken_up(state_dir, paused);
}

/* What the daemon makes of it; complaints name the folder, and the option that it comes from. An
 * exit status. */
static int tell_effect(const struct ctl *ctl, bool paused)
{
    const char *state_dir = ctl->config->state_dir;
    if (!daemon_is_running(state_dir)) {
        print_error("no batvd is running with state_dir = %s; one that starts with it %s",
                    state_dir, paused ? "will be paused" : "will verify");
        if (paused || ctl->rough) {
            print_error("if one is running, its state_dir is another: set state_dir in %s, or give "
                        "its configuration with -c",
                        ctl->config_path);
        }
        return paused || ctl->rough ? CTL_NO : CTL_YES;
    }
    if (!wait_for_daemon(state_dir, paused)) {
        print_error("the batvd that is running with state_dir = %s has not confirmed within %d s "
                    "that it %s",
                    state_dir, WAIT_MS / 1000, paused ? "is paused" : "verifies again");
        print_error("read its log, and check whether %s is full or read-only", state_dir);
        return CTL_NO;
    }
    return CTL_YES;
}

int cmd_pause(struct ctl *ctl, int argc, char **argv)
{
    const char *state_dir = ctl->config->state_dir;
    struct reason why;
    if (!has_no_arguments(ctl, argc, argv)) {
        return CTL_UNABLE;
    }
    bool before = pause_is_on(state_dir);
    if (pause_begin(state_dir, time(NULL), &why) != STATUS_OK) {
        print_error("state_dir: %s", why.text);
        return CTL_NO;
    }
    int exit = tell_effect(ctl, true);
    if (ctl->json) {
        print_json(state_dir);
        return exit;
    }
    time_t since;
    char moment[PRINT_TIME];
    (void)pause_since(state_dir, &since);
    format_moment(since, moment);
    printf("%s%s%s%s%s.\n", exit == CTL_YES ? "Verification is paused" : "A pause is set",
           before ? " already" : "", since != 0 ? " since " : "", since != 0 ? moment : "",
           exit == CTL_YES ? "" : "; no batvd has confirmed it");
    puts("During a pause nothing is rejected; the log has action=log would=ACTION rule=pause\n"
         "instead. Signing continues. The pause lasts, over restarts too, until: batvctl resume");
    return exit;
}

int cmd_resume(struct ctl *ctl, int argc, char **argv)
{
    const char *state_dir = ctl->config->state_dir;
    struct reason why;
    if (!has_no_arguments(ctl, argc, argv)) {
        return CTL_UNABLE;
    }
    bool before = pause_is_on(state_dir);
    if (pause_end(state_dir, &why) != STATUS_OK) {
        print_error("state_dir: %s", why.text);
        return CTL_NO;
    }
    int exit = tell_effect(ctl, false);
    if (ctl->json) {
        print_json(state_dir);
        return exit;
    }
    puts(before ? "Verification is resumed: bounces are verified by the configuration again."
                : "Verification was not paused.");
    return exit;
}
