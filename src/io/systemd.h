/*
 * What batvd tells systemd where that runs it, and entries for the journal of systemd with fields
 * of their own. Without systemd all of this does nothing.
 */
#ifndef IO_SYSTEMD_H
#define IO_SYSTEMD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

/* The MTA can connect; the end of a reload too. */
void systemd_ready(void);
/* A reload begins. */
void systemd_reloading(void);
void systemd_stopping(void);
/* One line for `systemctl status`. */
void systemd_status(const char *text);

#define SYSTEMD_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Whether there is a journal to send to; false: errno says why not. */
bool systemd_has_journal(void);
/* Each field as NAME=value. Any thread. Returns 0, or the errno that says why it did not get there.
 */
int systemd_journal(const struct iovec fields[], size_t count);

#endif
