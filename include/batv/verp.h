/*
 * VERP extensions. An MTA that is asked for variable envelope return paths appends the recipient to
 * the local part of the sender, after the filter: to list-bounces a delimiter of + - = and then the
 * recipient's mailbox, =, and its host.domain: list-bounces+far=other.test. Mailboxes and lists
 * have these octets in their own names, so a local part can be read in several ways. Pure.
 */
#ifndef BATV_VERP_H
#define BATV_VERP_H

#include <stdbool.h>
#include <stddef.h>

enum { VERP_CUTS = 8 };

/* True where the whole text is a VERP extension, its delimiter first. */
bool verp_is_extension(const char *text);

/* The lengths of what is left of a local part without each VERP extension that it can have: the
 * first VERP_CUTS of them, from the left. Returns how many; what is left is never empty. */
size_t verp_cuts(const char *local, size_t cuts[static VERP_CUTS]);

#endif
