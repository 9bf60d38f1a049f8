/*
 * Stands between libmilter and what a peer sends. libmilter reads each packet by its own mi_rd_cmd,
 * which it calls through its procedure linkage table: a program that defines that name is called in
 * its place.
 */
#ifndef MILTER_GUARD_H
#define MILTER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/time.h>

/* As libmilter's: a packet's content in memory of malloc's, NULL without any; *cmd is its command,
 * or below a space why there is none: then libmilter ends the session. Any thread. */
__attribute__((visibility("default"))) char *mi_rd_cmd(int socket, struct timeval *timeout,
                                                       char *cmd, size_t *length, char *name);

/* In the callback of the negotiation: the steps that the MTA offers. libmilter adds those that it
 * knows to make up for. */
unsigned long guard_offered(void);

/* In a callback: the command that it is called for never came. Only the end of a header is made
 * up, of a message that shows none. */
bool guard_made_up(void);

#endif
