/*
 * batvctl health: for what starts a daemon anew where it is not well. So it asks only whether the
 * filter serves: a broken configuration, a damaged keyring or a full disk are no reason to end a
 * daemon that goes on by what it had. --ready asks for these too.
 *
 * The listener is the one that the running daemon names in its report, whatever the configuration
 * says by now. It is the configuration's where there is no report that can be read, or where nobody
 * answers at the other: in its first second a daemon has the report of the one before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/print.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "daemon/owner.h"
#include "daemon/running.h"
#include "mta/milter_client.h"
#include "store/ring_file.h"
#include "store/status_file.h"

enum {
    ANSWER_MS = 5000, /* for all that is asked */
    REPORT_STALE = 60 /* seconds: the daemon writes every ten */
};

struct health {
    char *state_dir;
    char *listen;             /* the configuration's */
    const char *asked;        /* the listener that the answer is about */
    struct reason report_why; /* why there is no report of a running daemon; "" where there is */
    struct status_report report;
    bool well;
    struct reason why; /* the first thing that is wrong; "" where nothing is */
};

/* The configuration's, as far as it can be read. False: no memory. */
static bool read_config(struct ctl *ctl, struct health *health)
{
    bool found;
    if (config_load(ctl->config_path, &ctl->config, &ctl->messages) != STATUS_OK &&
        config_load_own(ctl->config_path, &ctl->config, &found) != STATUS_OK) {
        return false;
    }
    health->state_dir = strdup(ctl->config->state_dir);
    health->listen = strdup(ctl->config->listen);
    return health->state_dir != NULL && health->listen != NULL;
}

static void read_report(struct health *health)
{
    struct reason *why = &health->report_why;
    if (status_file_read(health->state_dir, &health->report, why) == STATUS_OK) {
        why->text[0] = '\0';
        if (!daemon_is_running(health->state_dir)) {
            reason_write(why, "no batvd is running on %s", health->state_dir);
        }
    }
}

static void try_listener(struct health *health, const char *listen, int milliseconds)
{
    struct reason why = {""};
    health->asked = listen;
    health->well = milter_try(listen, milliseconds, &why) == STATUS_OK;
    health->why.text[0] = '\0';
    if (!health->well) {
        reason_write(&health->why, "%s: %s", listen, why.text);
    }
}

static void try_listeners(struct health *health)
{
    const char *reported = health->report_why.text[0] == '\0' ? health->report.listen : "";
    bool other = strcmp(reported, health->listen) != 0;
    if (reported[0] != '\0') {
        try_listener(health, reported, other ? ANSWER_MS / 2 : ANSWER_MS);
    }
    if (!health->well && other) {
        try_listener(health, health->listen, reported[0] != '\0' ? ANSWER_MS / 2 : ANSWER_MS);
    }
}

static void try_ring(struct health *health)
{
    struct ring *ring = NULL;
    if (ring_load_from(health->state_dir, &ring, &health->why) == STATUS_OK) {
        ring_free(ring);
    }
}

/* What the daemon itself says, that it still does, and its keys. */
static void try_ready(struct health *health, time_t now)
{
    const struct status_report *r = &health->report;
    char span[PRINT_SPAN];
    if (health->report_why.text[0] != '\0') {
        health->why = health->report_why;
    } else if (r->reload_error[0] != '\0') {
        reason_write(&health->why, "the last reload failed: %s", r->reload_error);
    } else if (r->ring_error[0] != '\0') {
        reason_write(&health->why, "the keyring is not in force: %s", r->ring_error);
    } else if (faccessat(AT_FDCWD, health->state_dir, W_OK | X_OK, AT_EACCESS) != 0) {
        reason_write(&health->why, "%s: %s", health->state_dir, strerror(errno));
    } else if (now - r->written > REPORT_STALE) {
        format_span(now - r->written, span);
        reason_write(&health->why, "the daemon's last report in %s is %s old", health->state_dir,
                     span);
    } else {
        try_ring(health);
    }
}

static void print_json(const struct health *health, bool asked)
{
    bool good = health->why.text[0] == '\0';
    struct json json;
    json_begin(&json, stdout);
    json_open_object(&json, NULL);
    json_bool(&json, "well", health->well);
    if (asked) {
        json_bool(&json, "ready", good);
    } else {
        json_null(&json, "ready");
    }
    json_text(&json, "listen", health->asked);
    json_text(&json, "reason", good ? NULL : health->why.text);
    json_close(&json);
    json_end(&json);
}

static void print_line(const struct health *health, bool asked)
{
    bool good = health->why.text[0] == '\0';
    const char *what = asked && (good || health->well) ? "ready" : "well";
    if (good) {
        print_format(stdout, "%s: batvd answers at %s\n", what, health->asked);
    } else {
        print_format(stdout, "not %s: %s\n", what, health->why.text);
    }
}

int cmd_health(struct ctl *ctl, int argc, char **argv)
{
    bool ready = false;
    struct health health = {.listen = NULL};
    const struct argument arguments[] = {
        {"--ready", ARGUMENT_FLAG, &ready, NULL},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    if (!arguments_parse(ctl, arguments, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc > 1) {
        return ctl_usage_error(ctl, "%s: unexpected argument", argv[1]);
    }
    /* A listener may have a name: no name server is waited for longer than for the filter. */
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
    bool memory = read_config(ctl, &health);
    if (memory && geteuid() == 0) {
        (void)owner_become(health.state_dir, NULL); /* says itself why it cannot */
    }
    if (memory) {
        read_report(&health);
        try_listeners(&health);
    } else {
        reason_write(&health.why, "out of memory");
    }
    if (ready && health.well) {
        try_ready(&health, time(NULL));
    }
    if (ctl->json) {
        print_json(&health, ready);
    } else {
        print_line(&health, ready);
    }
    status_report_free(&health.report);
    free(health.state_dir);
    free(health.listen);
    return health.why.text[0] == '\0' ? CTL_YES : CTL_NO;
}
