/*
 * What the Postfix of this host is set to, as postconf(1) says it, and what its tables answer, as
 * postmap(1) does. The environment's MAIL_CONFIG leads both to a private instance. Nothing here
 * changes anything.
 */
#ifndef MTA_POSTFIX_H
#define MTA_POSTFIX_H

#include <stdbool.h>
#include <stddef.h>

#include "batv/status.h"

/* Immutable once opened. */
struct postfix;

/* An entry of master.cf. */
struct postfix_service {
    char *name;    /* "smtp", "127.0.0.1:10025" */
    char *type;    /* "inet", "unix", ... */
    char *command; /* "smtpd" */
    char *argv;    /* of pipe(8): the command that it runs, with its arguments; else NULL */
    bool chroot;
};

/* STATUS_NOT_FOUND: there is no postconf here. STATUS_IO: it refused; why is what it said. */
enum status postfix_open(struct postfix **out, struct reason *why);
void postfix_free(struct postfix *postfix);

/* The value of a parameter in main.cf, or its default: with every $name in it replaced, or as it
 * stands there. "" for one that this Postfix does not know. Valid as long as postfix. */
const char *postfix_get(const struct postfix *postfix, const char *name);
const char *postfix_get_raw(const struct postfix *postfix, const char *name);
/* True where postfix_get answers yes. */
bool postfix_is_yes(const struct postfix *postfix, const char *name);

/* A parameter of another instance, by its configuration's folder; NULL: it cannot be asked. The
 * caller frees. */
char *postfix_instance_get(const struct postfix *postfix, const char *folder, const char *name);

const struct postfix_service *postfix_services(const struct postfix *postfix, size_t *count);
/* What the service's own `-o name=value` says, $name replaced; NULL: it has none. */
const char *postfix_override(const struct postfix *postfix, const struct postfix_service *service,
                             const char *name);
/* The same, or main.cf's where there is none. */
const char *postfix_service_get(const struct postfix *postfix,
                                const struct postfix_service *service, const char *name);

/*
 * Asks the table TYPE:NAME for keys, of which none holds a newline, all in one go. answers, of the
 * same count, become the values, or NULL where there is none; the caller frees each. STATUS_IO: the
 * table cannot be asked, for the reason in why; all answers are NULL then.
 */
enum status postfix_lookup(const struct postfix *postfix, const char *table,
                           const char *const keys[], size_t count, char *answers[],
                           struct reason *why);

/*
 * All that a table TYPE:NAME holds, a line "KEY<tab>VALUE" each; the caller frees.
 * STATUS_NOT_FOUND: its kind cannot be listed. STATUS_IO: it cannot be read, for the reason in why.
 */
enum status postfix_list(const struct postfix *postfix, const char *table, char **text,
                         struct reason *why);
/* The table itself, where it is named as proxymap(8) reaches it: only while Postfix runs, and only
 * what Postfix itself may open. */
const char *postfix_without_proxy(const char *table);

/* A command line for people: postconf with an option (-e, -P, ...) and one argument, formatted,
 * then a reload. NULL: no memory. The caller frees. */
char *postfix_command(const struct postfix *postfix, const char *option, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "" or " -c DIR" where the configuration is not in Postfix's own place. */
const char *postfix_place(const struct postfix *postfix);

#endif
