/* What the checks of Postfix's settings share. */
#ifndef CHECK_POSTFIX_H
#define CHECK_POSTFIX_H

#include "check/check.h"
#include "mta/postfix_needs.h"

/* Services of master.cf that take mail by SMTP, by where they listen. */
enum listener_kind {
    LISTENER_NONE,
    LISTENER_PUBLIC,     /* port 25, or another for everybody */
    LISTENER_SUBMISSION, /* 587, 465 */
    LISTENER_INTERNAL    /* on a loopback address, at a port of its own */
};
enum listener_kind listener_kind_of(const struct postfix_service *service);

/* The item of the list of milters that leads to our listener, by either reading of its path. NULL:
 * none. The caller frees. */
char *milters_find_ours(const struct check *check, const char *list);
/* The list by which the service asks milters: smtpd's, cleanup's; NULL: it asks none. */
const char *listener_milters(const struct postfix_service *service);
/* The same, or the parameter of main.cf that it refers to. */
const char *milters_source(const struct check *check, const struct postfix_service *service);
/* True where the service has it that milters are passed over. */
bool service_skips_milters(const struct check *check, const struct postfix_service *service);
/* True where the service asks batvd. */
bool listener_asks(const struct check *check, const struct postfix_service *service);
/* True where main.cf's smtpd_milters matters to nobody: every public and submission service has its
 * own, with batvd in it. */
bool listeners_ask_by_themselves(const struct check *check);

/* True where mail goes through a content filter after it has been queued. */
bool has_content_filter(const struct check *check);
/* True for a domain of ours; also for ".example.com", which is every domain below it. */
bool check_is_ours(struct check *check, const char *name);

/* Another item, or with NULL none, in place of one in a list of main.cf. */
char *mend_item(const struct check *check, const char *parameter, const char *item,
                const char *replacement);
/* What main.cf must say depends on this. */
struct need_site check_need_site(const struct check *check);
/* As main.cf must say it: a value of postfix_needs.h. */
char *mend_need(const struct check *check, int need);
/* Both lists of milters in main.cf, as far as they are not as they must be. */
char *mend_lists(const struct check *check);
/* A list of the service's own. */
char *mend_service_list(const struct check *check, const struct postfix_service *service,
                        const char *parameter, const char *list);
/* The same for milters, with batvd among them. */
char *mend_service_milters(const struct check *check, const struct postfix_service *service,
                           const char *parameter);
/* All of what `batvctl mta postfix` gives. */
char *mend_all(struct check *check);
/* A table that cannot be asked: its index anew, or what shows the fault. */
char *mend_table(struct check *check, const char *table);
/* The map anew, at its path; what is there is kept under another name. */
char *mend_map(struct check *check, const char *path);

#endif
