/*
 * The one form of an envelope address: the address that the MTA delivers to, settled once for
 * everything that follows (tag, folding, lists, evidence, restoring). An MTA takes comments,
 * blanks, quoted pairs, phrases and routes for what RFC 5322 says they are, and takes them out.
 */
#ifndef BATV_ADDRESS_MEANING_H
#define BATV_ADDRESS_MEANING_H

#include <stdbool.h>

#include "batv/address.h"

/*
 * raw as it came; resolved is the MTA's own word for it ({mail_addr}, {rcpt_addr}): NULL where it
 * gave none, and of a local mailer of Sendmail the mailbox alone; host is the MTA's name, or NULL.
 * An address whose parts stand for themselves is taken as it came; any other as RFC 5322 reads it,
 * along its routes as far as the MTA says, or as the MTA says where that is no place on its way.
 * But what Sendmail says is what its tables made of the address: a reading that leaves no doubt
 * counts then. Without the MTA's word routes are followed over the host itself. A missing domain is
 * host. Both parts are "" where the MTA sees the null sender. Takes time linear in the texts.
 * STATUS_NO_MEMORY: out is empty.
 */
enum status address_settle(const char *raw, const char *resolved, const char *host,
                           struct address *out);

/* True where all of raw means itself, and for the null sender: a plain local@domain, in brackets or
 * not, which needs no word of the MTA's. */
bool address_is_plain(const char *raw);

/* True for a domain that every host has for itself: none, localhost, an address literal, and the
 * MTA's name (may be NULL). Whether a literal is this host's is for the MTA to say. */
bool address_names_host(const struct address *address, const char *host);

#endif
