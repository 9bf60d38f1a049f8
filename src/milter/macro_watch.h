/*
 * Notices where the MTA does not give a macro that we read, and says so once in the daemon's life
 * for each of the MTA's settings: nothing fails, mail is only judged wrong. Any thread.
 */
#ifndef MILTER_MACRO_WATCH_H
#define MILTER_MACRO_WATCH_H

#include "batv/facts.h"

/* Values as libmilter has them: NULL where the MTA did not give the macro, which may be empty. */

/* At the connection. */
void macro_watch_connect(const struct client *client, const char *server);
/* At MAIL with this argument; user: any name that the MTA gave for who has authenticated. */
void macro_watch_mail(const struct client *client, const char *sender, const char *address,
                      const char *user);
/* At RCPT. */
void macro_watch_rcpt(const struct client *client, const char *address, const char *host,
                      const char *mailer);
/* At DATA or later. */
void macro_watch_data(const struct client *client, const char *queue_id);

#endif
