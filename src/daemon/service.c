/*
 * A daemon whose control group is batvd.service belongs to systemd. Where no daemon runs, systemd
 * is asked to start it if it has booted the host and has the unit. The process id is that of the
 * lock's holder or, where that is not known, the one in the daemon's report. No state.
 */
#include "daemon/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/program.h"
#include "daemon/running.h"
#include "store/status_file.h"

#define UNIT "batvd.service"

/* Of the folders where systemd looks for units. */
static const char *const unit_paths[] = {
    "/etc/systemd/system/" UNIT,
    "/usr/local/lib/systemd/system/" UNIT,
    "/usr/lib/systemd/system/" UNIT,
    "/lib/systemd/system/" UNIT,
};

static bool unit_is_there(void)
{
    if (access("/run/systemd/system", F_OK) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof unit_paths / sizeof unit_paths[0]; i++) {
        if (access(unit_paths[i], F_OK) == 0) {
            return true;
        }
    }
    return false;
}

static bool unit_runs(long pid)
{
    char line[4096];
    char path[64];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%ld/cgroup", pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        found = strstr(line, "/" UNIT) != NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

struct service service_find(const struct config *config)
{
    struct service service = {.pid = 0};
    struct status_report report;
    struct reason why;
    bool running = daemon_is_running(config->state_dir);
    service.pid = running ? daemon_process(config->state_dir) : 0;
    if (running && service.pid == 0 &&
        status_file_read(config->state_dir, &report, &why) == STATUS_OK) {
        service.pid = report.pid;
        status_report_free(&report);
    }
    service.systemd = service.pid > 0 ? unit_runs(service.pid) : unit_is_there();
    return service;
}

char *service_start(const struct service *service, const char *conf)
{
    char *text = NULL;
    if (service->systemd) {
        return strdup("systemctl enable --now batvd");
    }
    return asprintf(&text, "batvd -c %s", conf) < 0 ? NULL : text;
}

char *service_restart(const struct service *service, const char *conf)
{
    char *text = NULL;
    if (service->systemd) {
        return strdup("systemctl restart batvd");
    }
    if (service->pid == 0) {
        return service_start(service, conf);
    }
    /* tail waits until the process has ended: the next one needs its lock. */
    return asprintf(&text, "kill %ld; tail --pid=%ld -f /dev/null; batvd -c %s", service->pid,
                    service->pid, conf) < 0
               ? NULL
               : text;
}

char *service_reload(const struct service *service, const char *conf)
{
    char *text = NULL;
    if (service->systemd) {
        return strdup("systemctl reload batvd");
    }
    if (service->pid == 0) {
        return strdup("");
    }
    return asprintf(&text, "batvd -n -c %s && kill -USR1 %ld", conf, service->pid) < 0 ? NULL
                                                                                       : text;
}

char *service_reload_command(const struct config *config, const char *path)
{
    const struct service service = service_find(config);
    char *conf = program_quote(path);
    char *command = conf != NULL ? service_reload(&service, conf) : NULL;
    free(conf);
    return command;
}

char *service_stop(const struct service *service)
{
    char *text = NULL;
    if (service->systemd) {
        return strdup("systemctl disable --now batvd");
    }
    if (service->pid == 0) {
        return strdup("do not start batvd any more");
    }
    return asprintf(&text, "kill %ld", service->pid) < 0 ? NULL : text;
}
