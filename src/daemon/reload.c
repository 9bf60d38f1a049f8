/* A bad configuration leaves the one in force as it is. No state. */
#include "daemon/reload.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "config/config_messages.h"

static void warn_of_texts(const struct config *former, const struct config *next)
{
    const struct {
        const char *name, *former, *next;
    } texts[] = {
        {"listen", former->listen, next->listen},
        {"listen_group", former->listen_group, next->listen_group},
        {"user", former->user, next->user},
        {"state_dir", former->state_dir, next->state_dir},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *a = texts[i].former != NULL ? texts[i].former : "";
        const char *b = texts[i].next != NULL ? texts[i].next : "";
        if (strcmp(a, b) != 0) {
            log_line(LOG_WARNING,
                     "reload: %s has changed from \"%s\" to \"%s\": restart batvd for that",
                     texts[i].name, a, b);
        }
    }
}

static void warn_of_numbers(const struct config *former, const struct config *next)
{
    const struct {
        const char *name;
        bool changed;
    } numbers[] = {
        {"listen_mode", former->listen_mode != next->listen_mode},
        {"journal.enabled", former->settings->evidence.journal != next->settings->evidence.journal},
        {"journal.max_size", former->journal_max_size != next->journal_max_size},
        {"evidence.max_memory", former->evidence_max_memory != next->evidence_max_memory},
        {"evidence.parsers", former->evidence_parsers != next->evidence_parsers},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (numbers[i].changed) {
            log_line(LOG_WARNING, "reload: %s has changed: restart batvd for that",
                     numbers[i].name);
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
        /* only a start can change these; the running ones stay in force */
        warn_of_texts(in_force, *out);
        warn_of_numbers(in_force, *out);
    } else {
        *error = first_error(&messages);
        log_line(LOG_ERR, "reload: the new configuration is refused, the former stays in force");
    }
    config_messages_free(&messages);
    return status;
}
