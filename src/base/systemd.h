/*
 * What batvd tells systemd where that runs it, and entries for the journal of systemd with fields
 * of their own. Without systemd all of this does nothing.
 */
#ifndef BASE_SYSTEMD_H
#define BASE_SYSTEMD_H

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

/* As whom, and with which folders below /run, systemd starts a service. Empty where systemd does
 * not run here, has no such unit, or starts it as root. */
struct systemd_unit {
    char user[64];
    char group[64];
    char groups[256];          /* more of them, as "a:b:" */
    char runtime_folders[256]; /* likewise */
    bool keeps_groups;         /* its system call filter denies changing a file's group */
    bool any_port;             /* it may listen on ports below 1024 */
};
void systemd_unit_find(const char *unit, struct systemd_unit *out);

#endif
