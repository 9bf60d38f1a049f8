/*
 * The macros that the MTA gives with each step. Lists from old how-tos leave out some that batvd
 * reads, and nothing fails: mail is only judged wrong. A mend adds what is missing to the list as
 * it stands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/words.h"
#include "check/postfix.h"
#include "check/sendmail.h"
#include "daemon/milter_macros.h"

/* What is missing in the list of a step. */
struct missing {
    struct listing names;
    char added[200]; /* as it goes into the list */
    char lack[600];
    bool grave;
};

static void append(char *out, size_t size, const char *separator, const char *text)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used > 0 ? separator : "", text);
}

static void missing_add(struct missing *missing, const struct milter_macro *macro,
                        const char *separator)
{
    listing_add(&missing->names, macro->name);
    append(missing->added, sizeof missing->added, separator, macro->name);
    if (macro->instead != NULL) {
        listing_add(&missing->names, macro->instead);
        append(missing->added, sizeof missing->added, separator, macro->instead);
    }
    append(missing->lack, sizeof missing->lack, "; ", macro->lack);
    missing->grave = missing->grave || macro->grave;
}

static bool gives(const char *list, const struct milter_macro *macro)
{
    return list_has(list, macro->name) ||
           (macro->instead != NULL && list_has(list, macro->instead));
}

/* ----------------------------------------------------------------- Postfix */

/* True where the list lacks something of the step. */
static bool find_missing(const char *list, enum milter_step step, struct missing *out)
{
    const struct milter_macro *macro;
    *out = (struct missing){.grave = false};
    for (size_t i = 0; (macro = milter_macro(i)) != NULL; i++) {
        if (macro->step == step && !gives(list, macro)) {
            missing_add(out, macro, " ");
        }
    }
    return out->names.count > 0;
}

/* By main.cf. */
static bool check_main(struct check *check, enum milter_step step)
{
    struct missing missing;
    const char *name = milter_setting(step)->postfix;
    const char *raw = postfix_get_raw(check->postfix, name);
    if (!find_missing(postfix_get(check->postfix, name), step, &missing)) {
        return true;
    }
    check_add(check, missing.grave ? CHECK_FAIL : CHECK_WARN,
              postfix_command(check->postfix, "-e", "%s = %s%s%s", name, raw,
                              raw[0] != '\0' ? " " : "", missing.added),
              "%s lacks %s: %s", name, listing_end(&missing.names), missing.lack);
    return false;
}

/* Both lists as one, without blanks, which postconf -P does not take. NULL: no memory. */
static char *with_commas(const char *list, const char *added)
{
    struct words words = {.items = NULL};
    char *text = NULL;
    bool done = words_split(list, &words) && words_split(added, &words);
    for (size_t i = 0; done && i < words.count; i++) {
        char *longer =
            mend_text("%s%s%s", text != NULL ? text : "", text != NULL ? "," : "", words.items[i]);
        free(text);
        text = longer;
        done = text != NULL;
    }
    words_free(&words);
    return text;
}

/* By a service's own -o in master.cf. */
static bool check_service(struct check *check, const struct postfix_service *service,
                          enum milter_step step)
{
    struct missing missing;
    const char *name = milter_setting(step)->postfix;
    const char *list = postfix_override(check->postfix, service, name);
    if (list == NULL || !find_missing(list, step, &missing)) {
        return true;
    }
    char *value = with_commas(list, missing.added);
    check_add(check, missing.grave ? CHECK_FAIL : CHECK_WARN,
              value == NULL ? NULL
                            : postfix_command(check->postfix, "-P", "%s/%s/%s=%s", service->name,
                                              service->type, name, value),
              "%s of %s (%s) in master.cf lacks %s: %s", name, service->name, service->type,
              listing_end(&missing.names), missing.lack);
    free(value);
    return false;
}

/* True where a list of the service's own counts. */
static bool gives_macros(const struct check *check, const struct postfix_service *service)
{
    return strcmp(service->command, "cleanup") == 0 ||
           (strcmp(service->command, "smtpd") == 0 && listener_asks(check, service));
}

void check_milter_macros(struct check *check)
{
    const char *protocol = postfix_get(check->postfix, "milter_protocol");
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    bool fine = strtol(protocol, NULL, 10) >= 6;
    if (!fine) {
        check_add(check, CHECK_FAIL, postfix_command(check->postfix, "-X", "milter_protocol"),
                  "batvd cannot change senders and recipients: milter_protocol is %s, expected 6",
                  protocol);
    }
    for (int step = 0; step < STEP_COUNT; step++) {
        fine = check_main(check, (enum milter_step)step) && fine;
        for (size_t i = 0; i < count; i++) {
            if (gives_macros(check, &services[i])) {
                fine = check_service(check, &services[i], (enum milter_step)step) && fine;
            }
        }
    }
    if (fine) {
        check_ok(check, "Postfix sends every macro that batvd reads, protocol %s", protocol);
    }
}

/* ---------------------------------------------------------------- Sendmail */

static const char *sendmail_list(const struct check *check, enum milter_step step)
{
    const char *value = sendmail_option(check->sendmail, milter_setting(step)->sendmail);
    return value != NULL ? value : "";
}

/* What is given later than where it ought to be is there for most of what it is needed for: a queue
 * ID at DATA. */
static bool sendmail_gives(const struct check *check, const struct milter_macro *macro)
{
    return gives(sendmail_list(check, macro->sendmail), macro) ||
           (macro->step != STEP_COUNT && gives(sendmail_list(check, macro->step), macro));
}

static bool check_sendmail_step(struct check *check, enum milter_step step)
{
    const struct milter_macro *macro;
    const struct milter_setting *setting = milter_setting(step);
    const char *list = sendmail_list(check, step);
    struct missing missing = {.grave = false};
    for (size_t i = 0; (macro = milter_macro(i)) != NULL; i++) {
        if (macro->sendmail == step && !sendmail_gives(check, macro)) {
            missing_add(&missing, macro, ", ");
        }
    }
    if (missing.names.count == 0) {
        return true;
    }
    check_add(check, missing.grave ? CHECK_FAIL : CHECK_WARN,
              mend_mc(check, "define(`%s', `%s%s%s')dnl", setting->define, list,
                      list[0] != '\0' ? ", " : "", missing.added),
              "%s lacks %s: %s", setting->sendmail, listing_end(&missing.names), missing.lack);
    return false;
}

void check_sendmail_macros(struct check *check)
{
    size_t count;
    bool fine = true;
    (void)sendmail_filters(check->sendmail, &count);
    if (count == 0) {
        return; /* without filters m4 writes no macros, and there is the filter to tell of first */
    }
    for (int step = 0; step < STEP_COUNT; step++) {
        fine = check_sendmail_step(check, (enum milter_step)step) && fine;
    }
    if (fine) {
        check_ok(check, "Sendmail sends every macro that batvd reads");
    }
}
