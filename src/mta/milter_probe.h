/* Whether anybody listens at a milter's address: it is connected to, and nothing is said. */
#ifndef MTA_MILTER_PROBE_H
#define MTA_MILTER_PROBE_H

#include <stdbool.h>

#include "batv/status.h"

enum probe {
    PROBE_ANSWERS,
    PROBE_NOBODY,    /* why says how it failed */
    PROBE_FORBIDDEN, /* this user cannot try it */
    PROBE_INVALID    /* this is no milter's address */
};

/* A socket's path. */
enum probe probe_path(const char *path, struct reason *why);
/* Every address of the host in turn, each for three seconds at most. */
enum probe probe_host(const char *host, const char *port, struct reason *why);
/* A value of `listen`. */
enum probe probe_listener(const char *listen, struct reason *why);
/* A name as in smtpd_milters, for a service in a chroot or not. */
enum probe probe_milter(const char *name, const char *queue_directory, bool chroot,
                        struct reason *why);

#endif
