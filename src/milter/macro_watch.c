/*
 * What an MTA may leave out without a fault is passed over: all of it for a local process, whose
 * recipients Postfix has not resolved yet; authentication where there was none; the queue ID before
 * DATA; an empty sender. An MTA that cannot resolve an address for a moment leaves out all that it
 * would say of it: that is no fault either where it has said such things before.
 */
#include "milter/macro_watch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"
#include "daemon/milter_macros.h"

static struct {
    atomic_bool given; /* some macro of the step's, at some time */
    atomic_bool told;
} steps[STEP_COUNT];

static const char *lack_of(const char *name)
{
    const struct milter_macro *macro;
    for (size_t i = 0; (macro = milter_macro(i)) != NULL; i++) {
        if (strcmp(macro->name, name) == 0) {
            return macro->lack;
        }
    }
    return "";
}

static void tell(enum milter_step step, const struct client *client, const char *names,
                 const char *lack)
{
    const struct milter_setting *setting = milter_setting(step);
    log_line(LOG_WARNING,
             "the MTA did not send %s in the session of %s[%s]: %s. Add it to %s (Sendmail: %s); "
             "`batvctl check` prints the command",
             names, client->name != NULL ? client->name : "unknown",
             client->address != NULL ? client->address : "", lack, setting->postfix,
             setting->define);
}

/* A macro that is watched, and whether it was given. */
struct seen {
    const char *name;
    bool given;
};

/* Tells of those that were not given. */
static void tell_missing(enum milter_step step, const struct client *client,
                         const struct seen seen[], size_t count)
{
    char names[100] = "";
    const char *lack = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(names);
        if (!seen[i].given) {
            snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", seen[i].name);
            lack = used == 0 ? lack_of(seen[i].name) : lack;
        }
    }
    if (names[0] != '\0' && !atomic_exchange(&steps[step].told, true)) {
        tell(step, client, names, lack);
    }
}

/* Where the MTA gave nothing of the step it may not know just now, unless it never gave anything.
 */
static bool is_sure(enum milter_step step, bool some)
{
    bool ever = atomic_load_explicit(&steps[step].given, memory_order_relaxed);
    if (some && !ever) {
        atomic_store(&steps[step].given, true);
    }
    return some || !ever;
}

static bool is_told(enum milter_step step)
{
    return atomic_load_explicit(&steps[step].told, memory_order_relaxed);
}

void macro_watch_connect(const struct client *client, const char *server)
{
    const struct seen seen[] = {{"j", server != NULL}};
    if (server == NULL && !is_told(STEP_CONNECT)) {
        tell_missing(STEP_CONNECT, client, seen, 1);
    }
}

void macro_watch_mail(const struct client *client, const char *sender, const char *address,
                      const char *user)
{
    bool null = sender[0] == '\0' || strcmp(sender, "<>") == 0;
    const struct seen seen[] = {{"{mail_addr}", address != NULL}};
    if (!client->local && !null && !is_told(STEP_MAIL) &&
        is_sure(STEP_MAIL, address != NULL || user != NULL)) {
        tell_missing(STEP_MAIL, client, seen, 1);
    }
}

void macro_watch_rcpt(const struct client *client, const char *address, const char *host,
                      const char *mailer)
{
    const struct seen seen[] = {{"{rcpt_addr}", address != NULL},
                                {"{rcpt_mailer}", mailer != NULL},
                                {"{rcpt_host}", host != NULL}};
    bool some = address != NULL || host != NULL || mailer != NULL;
    /* Sendmail has no host for a mailbox of its own: where only that is missing nothing is. */
    size_t count = address != NULL && mailer != NULL ? 2 : 3;
    if (!client->local && !is_told(STEP_RCPT) && is_sure(STEP_RCPT, some)) {
        tell_missing(STEP_RCPT, client, seen, count);
    }
}

void macro_watch_data(const struct client *client, const char *queue_id)
{
    const struct seen seen[] = {{"i", queue_id != NULL}};
    if (queue_id == NULL && !is_told(STEP_DATA)) {
        tell_missing(STEP_DATA, client, seen, 1);
    }
}
