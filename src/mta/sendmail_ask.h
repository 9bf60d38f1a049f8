/* What Sendmail makes of addresses, as its own test mode (sendmail -bt) says. */
#ifndef MTA_SENDMAIL_ASK_H
#define MTA_SENDMAIL_ASK_H

#include "mta/sendmail.h"

/*
 * What ruleset 0 makes of the n recipients: its answer behind "returns:", by which mail is
 * delivered. answers become texts that the caller frees, all NULL unless STATUS_OK. STATUS_IO:
 * Sendmail cannot be asked, for the reason in why.
 */
enum status sendmail_resolve(const struct sendmail *sendmail, const char *const addresses[],
                             size_t count, char *answers[], struct reason *why);
/* The name of this host ($j). */
enum status sendmail_host(const struct sendmail *sendmail, char **name, struct reason *why);
/* As whom mail of these senders leaves by that mailer: the same with the envelope's senders. */
enum status sendmail_send_as(const struct sendmail *sendmail, const char *mailer,
                             const char *const addresses[], size_t count, char *answers[],
                             struct reason *why);

#endif
