/*
 * The only file that knows libsystemd. It holds nothing: the notify socket is opened for each
 * message, the journal's is the library's, safe for all threads.
 */
#include "io/systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* The journal would otherwise be told this file and line for every entry. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

void systemd_ready(void)
{
    sd_notify(0, "READY=1");
}

/* The time tells systemd from 253 on which READY answers which request to reload. */
void systemd_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void systemd_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void systemd_status(const char *text)
{
    sd_notifyf(0, "STATUS=%s", text);
}

bool systemd_has_journal(void)
{
    return access(SYSTEMD_JOURNAL_SOCKET, W_OK) == 0;
}

/* Asked each time, because the library reports success where there is no journal. */
int systemd_journal(const struct iovec fields[], size_t count)
{
    return systemd_has_journal() ? -sd_journal_sendv(fields, (int)count) : errno;
}
