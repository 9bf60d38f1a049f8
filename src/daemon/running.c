/*
 * Whether the daemon's lock is held, and the reload. That signal goes to the process that the
 * status file names, as the owner of that file: root would signal whatever process somebody writes
 * there.
 */
#include "daemon/running.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/owner.h"
#include "daemon/privileges.h"
#include "store/status_file.h"

enum { LOOK_MS = 50, LOOKS = 100 };

bool daemon_is_running(const char *state_dir)
{
    return state_dir_is_locked(state_dir);
}

long daemon_process(const char *state_dir)
{
    return state_dir_process(state_dir);
}

static void pause_a_little(void)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    nanosleep(&pause, NULL);
}

/* Whether the report is of a reload from that moment on. *refused: of one that failed. */
static bool is_reloaded(const char *state_dir, time_t from, bool *refused, struct reason *why)
{
    struct status_report report;
    struct reason broken;
    bool done = false;
    *refused = false;
    if (status_file_read(state_dir, &report, &broken) == STATUS_OK) {
        *refused = report.written >= from && report.reload_error[0] != '\0';
        done = report.loaded >= from || *refused;
        if (*refused) {
            reason_write(why, "%s", report.reload_error);
        }
        status_report_free(&report);
    }
    return done;
}

/* A moment of its own, by which the reload is told from what was before it. */
static time_t wait_for_moment(time_t loaded)
{
    time_t now = time(NULL);
    for (int i = 0; i < LOOKS && now <= loaded; i++) {
        pause_a_little();
        now = time(NULL);
    }
    return now;
}

/* The report of a process that is there: one that has only just started has none yet. */
static enum status read_report(const char *state_dir, struct status_report *out, struct reason *why)
{
    enum status status = STATUS_NOT_FOUND;
    for (int i = 0; i < LOOKS && status == STATUS_NOT_FOUND; i++) {
        if (i > 0) {
            pause_a_little();
        }
        status = status_file_read(state_dir, out, why);
        if (status == STATUS_OK && kill((pid_t)out->pid, 0) != 0) {
            status = reason_set(why, STATUS_NOT_FOUND, "batvd has not reported yet");
            status_report_free(out);
        }
    }
    return status;
}

static enum status signal_and_wait(const char *state_dir, struct reason *why)
{
    struct status_report report;
    bool refused = false;
    enum status status = read_report(state_dir, &report, why);
    if (status != STATUS_OK) {
        return status == STATUS_NO_MEMORY ? status : STATUS_IO;
    }
    pid_t pid = (pid_t)report.pid; /* read from its own file: it may signal itself, or its like */
    time_t from = wait_for_moment(report.loaded > report.written ? report.loaded : report.written);
    status_report_free(&report);
    if (pid <= 1 || kill(pid, SIGUSR1) != 0) {
        return reason_set(why, STATUS_IO, "process %ld: %s", (long)pid, strerror(errno));
    }
    for (int i = 0; i < LOOKS; i++) {
        if (is_reloaded(state_dir, from, &refused, why)) {
            return refused ? STATUS_REFUSED : STATUS_OK;
        }
        pause_a_little();
    }
    return reason_set(why, STATUS_IO, "process %ld does not confirm it", (long)pid);
}

enum status daemon_reload(const struct config *config, struct reason *why)
{
    const char *path = config->state_dir;
    if (!daemon_is_running(path)) {
        return reason_set(why, STATUS_NOT_FOUND, "batvd is not running");
    }
    enum status status = owner_borrow(path, why);
    return status == STATUS_OK ? owner_return(signal_and_wait(path, why), why) : status;
}
