/*
 * The configuration file: read, checked and resolved into what the daemon needs for itself and the
 * settings that messages are judged by. Every fault is reported, not only the first.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/log_target.h"
#include "batv/settings.h"
#include "batv/status.h"
#include "config/config_messages.h"

/* The longest path of `listen`: the socket is made under a longer name first. */
enum { LISTEN_PATH_MAX = 103 };

/* Immutable once loaded; may be shared by threads. Paths are absolute. */
struct config {
    char *path;         /* of the file, as it was given to config_load */
    char *listen;       /* unix:/path, inet:PORT@HOST or inet6:PORT@HOST, of that form for sure */
    mode_t listen_mode; /* of a unix socket */
    char *listen_group; /* of a unix socket; NULL: as it comes. May not exist. */
    char *user;         /* NULL: stay as started. May not exist. */
    char *state_dir;
    enum log_target log_target;
    int log_facility; /* as syslog(3) has them: LOG_MAIL, ... */
    int log_level; /* LOG_ERR, LOG_WARNING, LOG_INFO or LOG_DEBUG: what is less urgent is not logged
                    */
    size_t evidence_max_memory; /* octets that all bounces being read may take together */
    unsigned evidence_parsers;  /* threads that may take one apart at a time */
    size_t journal_max_size;    /* octets of the journal's file */
    char *internal_networks;    /* the list's items as written, each in quotes: for advice */
    struct settings *settings;  /* owned, never NULL */
    char **at_start; /* by option: a value that only a start can change; NULL: a reload can */
};

/*
 * Reads and checks the file. messages, which must have been initialised, gets every error and
 * warning; there may be warnings after STATUS_OK. Otherwise *out is NULL: STATUS_INVALID, STATUS_IO
 * (cannot be read; there is a message) or STATUS_NO_MEMORY (there may be none).
 */
enum status config_load(const char *path, struct config **out, struct config_messages *messages);

/*
 * Where config_load fails: a configuration with the defaults, for commands that need no more than
 * the daemon's own options. Of the file it has listen, listen_mode, listen_group, user and
 * state_dir, as far as they can be found in it; *found tells whether state_dir was. Reports
 * nothing. STATUS_OK or STATUS_NO_MEMORY.
 */
enum status config_load_own(const char *path, struct config **out, bool *found);
void config_free(struct config *config);

#endif
