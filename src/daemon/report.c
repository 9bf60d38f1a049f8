/*
 * Who holds the lock and who wrote the report are two processes where a daemon cannot write: then
 * the report is its predecessor's. No state here.
 */
#include "daemon/report.h"

#include <sys/stat.h>

#include "daemon/running.h"

enum { LOOKS = 30, PAUSE_MS = 100 };

static enum report_kind kind_of(const struct report_look *look)
{
    long writer = look->report.pid;
    if (!look->running || (look->pid != 0 && look->pid != writer)) {
        return REPORT_FORMER;
    }
    bool fresh = look->age <= REPORT_OLD_SECONDS && look->age >= -REPORT_OLD_SECONDS;
    return fresh ? REPORT_FRESH : REPORT_OLD;
}

static void look_once(const char *state_dir, struct report_look *look)
{
    *look = (struct report_look){.running = daemon_is_running(state_dir)};
    look->pid = look->running ? daemon_process(state_dir) : 0;
    enum status status = status_file_read(state_dir, &look->report, &look->why);
    if (status == STATUS_NOT_FOUND) {
        look->why.text[0] = '\0';
        look->kind = REPORT_NONE;
    } else if (status != STATUS_OK) {
        look->kind = REPORT_BROKEN;
    } else {
        look->why.text[0] = '\0';
        look->age = time(NULL) - look->report.written;
        look->kind = kind_of(look);
    }
}

void report_look(const char *state_dir, struct report_look *look)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    look_once(state_dir, look);
    for (int i = 1;
         i < LOOKS && look->running && (look->kind == REPORT_NONE || look->kind == REPORT_FORMER);
         i++) {
        status_report_free(&look->report);
        nanosleep(&pause, NULL);
        look_once(state_dir, look);
    }
}

bool report_is_known(const struct report_look *look)
{
    return look->kind != REPORT_NONE && look->kind != REPORT_BROKEN;
}

bool report_is_present(const struct report_look *look)
{
    return look->kind == REPORT_OLD || look->kind == REPORT_FRESH;
}

bool report_is_outdated(const struct status_report *report, const char *path)
{
    struct stat file;
    return stat(path, &file) == 0 && file.st_mtime > report->loaded;
}
