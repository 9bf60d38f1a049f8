/* A bad configuration leaves the one in force as it is. No state. */
#include "daemon/reload.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "config/config_messages.h"
#include "config/options.h"

/* Only a start can change these; the running ones stay in force. */
static void warn_of_restart(const struct config *former, const struct config *next)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        if (option->at_start && strcmp(former->at_start[i], next->at_start[i]) != 0) {
            log_line(LOG_WARNING,
                     "reload: %s has changed from %s to %s: restart batvd to apply that",
                     option->path, former->at_start[i], next->at_start[i]);
        }
    }
}

static void log_messages(const struct config_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        char *text = config_message_format(&messages->items[i]);
        int priority = messages->items[i].level == CONFIG_ERROR ? LOG_ERR : LOG_WARNING;
        log_line(priority, "reload: %s", text != NULL ? text : "out of memory");
        free(text);
    }
    if (messages->left_out > 0) {
        log_line(LOG_ERR, "reload: and %zu more", messages->left_out);
    }
}

/* NULL: no memory. The caller frees. */
static char *first_error(const struct config_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        if (messages->items[i].level == CONFIG_ERROR) {
            return config_message_format(&messages->items[i]);
        }
    }
    return NULL;
}

enum status reload_config(const struct config *in_force, struct config **out, char **error)
{
    struct config_messages messages = {0};
    enum status status = config_load(in_force->path, out, &messages);
    *error = NULL;
    log_messages(&messages);
    if (status == STATUS_OK) {
        warn_of_restart(in_force, *out);
    } else {
        *error = first_error(&messages);
        log_line(LOG_ERR,
                 "reload: rejected the new configuration, the previous one stays in force");
    }
    config_messages_free(&messages);
    return status;
}
