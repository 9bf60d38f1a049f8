/*
 * What the commands share: complaints, the configuration, the keyring. A struct ctl belongs to main
 * and lives as long as the program; one thread.
 */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "daemon/owner.h"
#include "daemon/privileges.h"
#include "daemon/running.h"
#include "store/ring_file.h"
#include "store/ring_loss.h"

void ctl_print_usage(const struct ctl *ctl, FILE *stream)
{
    const char *lead = "usage:";
    const char *name = ctl->command->name;
    for (const struct command *c = ctl->command; c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0) {
            fprintf(stream, "%s batvctl [-c FILE] [--json] %s%s%s\n", lead, name,
                    c->arguments[0] != '\0' ? " " : "", c->arguments);
            lead = "      ";
        }
    }
}

int ctl_usage_error(const struct ctl *ctl, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error_list(format, arguments);
    va_end(arguments);
    ctl_print_usage(ctl, stderr);
    return CTL_UNABLE;
}

bool ctl_load_config(struct ctl *ctl)
{
    if (ctl->config != NULL) {
        return true;
    }
    config_messages_free(&ctl->messages);
    enum status status = config_load(ctl->config_path, &ctl->config, &ctl->messages);
    if (status == STATUS_OK) {
        return true; /* warnings are for `check` and the daemon's log */
    }
    config_messages_print(&ctl->messages, stderr);
    if (status == STATUS_NO_MEMORY) {
        print_error("out of memory");
    }
    return false;
}

bool ctl_load_own(struct ctl *ctl)
{
    bool found;
    if (ctl_load_config(ctl)) {
        return true;
    }
    if (config_load_own(ctl->config_path, &ctl->config, &found) != STATUS_OK) {
        print_error("out of memory");
        return false;
    }
    ctl->rough = true;
    print_error("%s cannot be used as it is; %s %s", ctl->config_path,
                found ? "it has state_dir ="
                      : "state_dir cannot be read from it, trying the default,",
                ctl->config->state_dir);
    return true;
}

bool ctl_become_owner(struct ctl *ctl)
{
    if (!ctl_load_config(ctl) || !owner_become(ctl->config->state_dir, ctl->config->user)) {
        return false;
    }
    secret_lock_memory();
    privileges_hide_memory();
    return true;
}

void ctl_ring_error(const struct ctl *ctl, enum status status, const struct reason *why)
{
    const char *folder = ctl->config->state_dir;
    const char *advice = ring_lost_advice(folder, status, daemon_is_running(folder),
                                          ctl->config->settings->keys.retain_days);
    print_error("%s%s%s", why->text, advice != NULL ? ": " : "", advice != NULL ? advice : "");
}

bool ctl_load_ring(const struct ctl *ctl, struct ring **out)
{
    struct reason why = {""};
    enum status status = ring_load_from(ctl->config->state_dir, out, &why);
    if (status != STATUS_OK) {
        ctl_ring_error(ctl, status, &why);
    }
    return status == STATUS_OK;
}

void ctl_free(struct ctl *ctl)
{
    config_free(ctl->config);
    config_messages_free(&ctl->messages);
    ctl->config = NULL;
}
