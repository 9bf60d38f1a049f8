/* A message as a mail program or a spool keeps it in a file, taken to pieces as an MTA does. Pure.
 */
#ifndef BATV_MESSAGE_SPLIT_H
#define BATV_MESSAGE_SPLIT_H

#include "batv/fields.h"
#include "batv/status.h"

/*
 * The fields of its header in their order, as a milter is given them: value folded by "\n" and the
 * white space behind it. What a mailbox or an editor puts before them is passed over: a line
 * "From ...", empty lines, a byte order mark. *body is what the header leaves. STATUS_NO_MEMORY.
 */
enum status message_split(struct octets message,
                          void (*take)(void *context, const char *name, const char *value),
                          void *context, struct octets *body);

#endif
