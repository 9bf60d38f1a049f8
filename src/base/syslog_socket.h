/*
 * The way to the syslog daemon. libc's syslog(3) does not say whether a line arrived, so a line
 * that nobody takes would be lost unseen; this does.
 */
#ifndef BASE_SYSLOG_SOCKET_H
#define BASE_SYSLOG_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

struct syslog_socket;

/* path: NULL for the system's, /dev/log; else it must live as long. NULL: no memory. Nothing is
 * connected yet. */
struct syslog_socket *syslog_socket_new(const char *path);
void syslog_socket_free(struct syslog_socket *socket);

/*
 * One line as syslog(3) sends it, with facility and severity in priority. Any thread. Returns 0, or
 * the errno that says why the daemon does not take it. It waits for a daemon that is slow, at most
 * some seconds; with patient false not at all.
 */
int syslog_socket_send(struct syslog_socket *socket, int priority, const char *line, size_t length,
                       bool patient);

/* 0: a syslog daemon listens; else the errno that says why not. path as above. */
int syslog_socket_probe(const char *path);

#endif
