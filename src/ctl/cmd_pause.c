/*
 * batvctl pause, batvctl resume: the switch for the night in which legitimate mail is being
 * refused. The daemon looks at it twice a second; while it does not run, it will when it starts.
 */
#include <stdio.h>
#include <time.h>

#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/print.h"
#include "ctl/running.h"
#include "io/pause.h"

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
        (void)ctl_usage_error(ctl, "%s: unexpected", argv[1]);
        return false;
    }
    return true;
}

static void note_not_running(const char *state_dir, const char *then)
{
    if (!daemon_is_running(state_dir)) {
        printf("batvd is not running; %s when it starts.\n", then);
    }
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
        ctl_error("%s", why.text);
        return CTL_UNABLE;
    }
    if (ctl->json) {
        print_json(state_dir);
        return CTL_YES;
    }
    time_t since;
    char moment[PRINT_TIME];
    (void)pause_since(state_dir, &since);
    format_moment(since, moment);
    printf("Verification is paused%s%s%s.\n", before ? " already" : "", since != 0 ? " since " : "",
           since != 0 ? moment : "");
    puts("Nothing is refused; the log has action=log would=ACTION rule=pause for what would have\n"
         "been. Signing goes on. It stays so, over restarts too, until: batvctl resume");
    note_not_running(state_dir, "it will be paused");
    return CTL_YES;
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
        ctl_error("%s", why.text);
        return CTL_UNABLE;
    }
    if (ctl->json) {
        print_json(state_dir);
        return CTL_YES;
    }
    puts(before ? "Verification is resumed: bounces are judged by the configuration again."
                : "Verification was not paused.");
    note_not_running(state_dir, "it will verify");
    return CTL_YES;
}
