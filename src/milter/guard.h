/*
 * Stands between libmilter and what a peer sends. libmilter reads each packet by its own mi_rd_cmd,
 * which it calls through its procedure linkage table: a program that defines that name is called in
 * its place.
 */
#ifndef MILTER_GUARD_H
#define MILTER_GUARD_H

#include <stddef.h>
#include <sys/time.h>

/* As libmilter's: a packet's content in memory of malloc's, NULL without any; *cmd is its command,
 * or below a space why there is none: then libmilter ends the session. Any thread. */
__attribute__((visibility("default"))) char *mi_rd_cmd(int socket, struct timeval *timeout,
                                                       char *cmd, size_t *length, char *name);

#endif
