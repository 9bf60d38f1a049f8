/* What Sendmail has to be given: a part for sendmail.mc, or for a ready sendmail.cf. */
#ifndef MTA_SENDMAIL_PART_H
#define MTA_SENDMAIL_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "batv/settings.h"

#define SENDMAIL_FOLDER "/etc/mail"
/* Of the filter, behind its socket: deferred while batvd is away; seconds to send, to wait for an
 * answer, to wait for the last one. */
#define SENDMAIL_EQUATES ", F=T, T=S:10s;R:10s;E:30s"

struct sendmail_wish {
    const char *listen; /* of our listener, as config.h has it */
    const struct settings *settings;
    const char *filters; /* for the .cf: those that it names already, or "" */
};

/* Our listener as Sendmail names it, local:/path, inet:PORT@HOST or inet6:PORT@HOST. NULL: no
 * memory. The caller frees. */
char *sendmail_socket(const char *listen);
/* True where Sendmail's configuration can hold that name. */
bool sendmail_can_name(const char *socket);

/* For the end of sendmail.mc, or of a file that it includes there. False: no memory. */
bool sendmail_print_mc(const struct sendmail_wish *wish, FILE *out);
/* For the end of sendmail.cf. False: no memory. */
bool sendmail_print_cf(const struct sendmail_wish *wish, FILE *out);

#endif
