/*
 * What the Sendmail of this host is set to, as its sendmail.cf says. The environment's SENDMAIL_CF
 * names a private sendmail.cf. Nothing here changes anything.
 */
#ifndef MTA_SENDMAIL_H
#define MTA_SENDMAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "batv/status.h"

/* Immutable once opened. */
struct sendmail;

/* STATUS_NOT_FOUND: there is none here, or the command `sendmail` is another MTA's. STATUS_IO: its
 * sendmail.cf cannot be read; why has its path. */
enum status sendmail_open(struct sendmail **out, struct reason *why);
/* The same where only what its sendmail.cf says is wanted: whatever program is here. */
enum status sendmail_open_cf(struct sendmail **out, struct reason *why);
void sendmail_free(struct sendmail *sendmail);

/* The program; NULL: only its sendmail.cf was opened, or there is none in PATH. */
const char *sendmail_program(const struct sendmail *sendmail);
/* The path of its sendmail.cf; the version that this was made by, "" where it is not said. */
const char *sendmail_cf(const struct sendmail *sendmail);
const char *sendmail_version(const struct sendmail *sendmail);

/* The value of an option (`O NAME=value`), the last one where there are several; NULL: not set. */
const char *sendmail_option(const struct sendmail *sendmail, const char *name);
/* The value of the n-th of these; NULL: there are no more. */
const char *sendmail_option_nth(const struct sendmail *sendmail, const char *name, size_t n);

/* As whom it connects to filters, which is root or RunAsUser, and in which group: Sendmail keeps no
 * other one. STATUS_NOT_FOUND: there is no such user or group. */
enum status sendmail_run_as(const struct sendmail *sendmail, uid_t *uid, gid_t *gid);

/* A mail filter: a line Xname, S=..., F=..., T=... */
struct sendmail_filter {
    char *name;
    char *socket; /* "" where not given; so are the next two */
    char *flags;
    char *timeouts;
};
const struct sendmail_filter *sendmail_filters(const struct sendmail *sendmail, size_t *count);
/* True where the listing of names has the filter's. */
bool filter_is_listed(const struct sendmail_filter *filter, const char *list);
/* True where the filter leads to our listener (as config.h has it). */
bool filter_leads(const struct sendmail_filter *filter, const char *listen);
/* Seconds of one of its timeouts (C, S, R or E), Sendmail's default where it is not given. */
long filter_timeout(const struct sendmail_filter *filter, char which);

/* The value of a field by its first letter, as in "Name=MTA, InputMailFilters=a;b"; "": not there.
 * NULL: no memory. The caller frees. */
char *sendmail_field(const char *fields, char letter);

/* True where a map (K line) of this name is defined. */
bool sendmail_has_map(const struct sendmail *sendmail, const char *name);
/* True where FEATURE(`masquerade_envelope') treats envelope senders as those in headers. */
bool sendmail_masquerades(const struct sendmail *sendmail);

#endif
