/* The MTA's half of the milter protocol, as far as it takes to see that a filter works. */
#ifndef MTA_MILTER_CLIENT_H
#define MTA_MILTER_CLIENT_H

#include "batv/status.h"

/*
 * Connects to a filter that listens there, in config.h's notation, agrees with it on the protocol,
 * names a client, waits for the answer to that and says goodbye: no message is begun. All of it
 * within so many milliseconds, but for the look-up of a host's name. STATUS_IO: why says what did
 * not work.
 */
enum status milter_try(const char *listen, int milliseconds, struct reason *why);

#endif
