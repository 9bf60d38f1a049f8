/*
 * How batvd is started, restarted and reloaded on this host, as a command line for people. Where
 * systemd runs it, or would, that is systemctl; elsewhere the program itself and its process id.
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include <stdbool.h>

#include "config/config.h"

struct service {
    bool systemd; /* the unit batvd.service runs the daemon; where none runs, it can */
    long pid;     /* of the running daemon; 0: none runs, or it is not known */
};

/* Looks at the daemon on the configuration's state folder. */
struct service service_find(const struct config *config);

/* The commands; conf is the configuration's path as a word of a shell. The caller frees; NULL: no
 * memory. */
char *service_start(const struct service *service, const char *conf);
char *service_restart(const struct service *service, const char *conf);
/* "" where no daemon runs that could be told. */
char *service_reload(const struct service *service, const char *conf);

/* The same as a whole, for the configuration at this path, which is no word of a shell's yet. */
char *service_reload_command(const struct config *config, const char *path);
/* Ends the daemon for good. */
char *service_stop(const struct service *service);

#endif
