/*
 * Messages taken apart, by GMime. Hostile input is the rule here: depth, parts, candidates and
 * octets are bounded, and whatever cannot be understood is passed over.
 */
#ifndef CONTENT_MIME_H
#define CONTENT_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/bounce.h"
#include "batv/budget.h"
#include "batv/skim.h"

/* Before the first use; once a process, by one thread. */
void mime_init(void);

/*
 * Takes a bounce apart: octets is the message as it came, header fields first, with any line ends;
 * it may end anywhere. Borrowed, and unchanged. Any thread, with at least STACK_SIZE of stack.
 * Once budget is used up, the rest is not searched, and what was not found may still be there.
 * STATUS_NO_MEMORY; nothing else is an error.
 */
enum status mime_read_bounce(const char *octets, size_t length, struct budget *budget,
                             struct bounce **out);

/* The same where octets were dropped from the message: gaps says where. A proof may stand in them
 * unless they lie in the content of a returned message that is named: its header has what it is
 * known by. */
enum status mime_read_skimmed(const char *octets, size_t length, const struct gaps *gaps,
                              struct budget *budget, struct bounce **out);

/*
 * The mailboxes in the value of a header field such as From (RFC 5322 section 3.4), groups
 * included: calls take with each address, local@domain as it stands there. Stops where take
 * answers false.
 */
void mime_addresses(const char *value, bool (*take)(void *context, const char *address),
                    void *context);

#endif
