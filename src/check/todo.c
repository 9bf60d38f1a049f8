/*
 * What is left to do where batvd is being set up for the first time. Then nothing that is missing
 * harms any mail, and so is no fail. This must never hide that something was lost, so all of it has
 * to be true: no mail server here names batvd or its map, and `setup --apply` has never changed
 * one; nothing was ever signed; and the daemon, where it ran, saw no message. That no daemon runs
 * is left to do only where none ever ran.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/postfix.h"
#include "mta/main_cf.h"
#include "mta/milter_address.h"

/* ----------------------------------------------------------------- the mail server */

static bool names_us(const struct check *check, const char *list)
{
    char *item = list != NULL ? milters_find_ours(check, list) : NULL;
    bool named = item != NULL || (list != NULL && strstr(list, "batv") != NULL);
    free(item);
    return named;
}

/* Whether `setup --apply` has kept a former main.cf. */
static bool was_applied(const struct postfix *postfix)
{
    glob_t found;
    bool none = main_cf_copies(postfix, &found) == GLOB_NOMATCH;
    globfree(&found);
    return !none;
}

static bool postfix_is_untouched(const struct check *check)
{
    static const char *const parameters[] = {"smtpd_milters", "non_smtpd_milters",
                                             "recipient_canonical_maps"};
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        if (names_us(check, postfix_get(check->postfix, parameters[i]))) {
            return false;
        }
        for (size_t n = 0; n < count; n++) {
            if (names_us(check, postfix_override(check->postfix, &services[n], parameters[i]))) {
                return false;
            }
        }
    }
    return !was_applied(check->postfix);
}

static bool sendmail_is_untouched(const struct check *check)
{
    size_t count;
    const struct sendmail_filter *filters = sendmail_filters(check->sendmail, &count);
    for (size_t i = 0; i < count; i++) {
        if (filter_leads(&filters[i], check->config->listen) ||
            strstr(filters[i].name, "batvd") != NULL ||
            strstr(filters[i].socket, "batvd") != NULL) {
            return false;
        }
    }
    return true;
}

/* One that is here but cannot be asked may have been set up. */
static bool mta_is_untouched(const struct check *check)
{
    return !check->mta_unknown && !check->map_here &&
           (check->postfix == NULL || postfix_is_untouched(check)) &&
           (check->sendmail == NULL || sendmail_is_untouched(check));
}

/* ------------------------------------------------------------------------- the daemon */

static bool has_counted(const struct status_report *report)
{
    bool counted = false;
    for (size_t i = 0; i < report->counters.count; i++) {
        counted = counted || report->counters.rows[i].count > 0;
    }
    return counted;
}

static bool is_missing(const struct check *check, const char *name)
{
    char *path = mend_text("%s/%s", check->config->state_dir, name);
    bool missing = path != NULL && access(path, F_OK) != 0;
    free(path);
    return missing;
}

/* False: it has worked, or that is not known. *ran tells whether it has ever run. */
static bool daemon_is_unused(const struct check *check, bool *ran)
{
    struct status_report report;
    struct reason why;
    *ran = true;
    if (check->status != NULL) {
        return !has_counted(check->status);
    }
    enum status status = status_file_read(check->config->state_dir, &report, &why);
    if (status == STATUS_NOT_FOUND) {
        *ran = check->look.running || !is_missing(check, "journal");
        return true;
    }
    bool unused = status == STATUS_OK && !has_counted(&report);
    if (status == STATUS_OK) {
        status_report_free(&report);
    }
    return unused;
}

/* ------------------------------------------------------------------------ all of it */

/* A daemon that Postfix asks must run before it is asked, or all mail is deferred: one command for
 * all that is left to do there. */
static char *mend_in_order(struct check *check)
{
    char *all = mend_all(check);
    if (all == NULL || check->look.running) {
        return all;
    }
    char *text = mend_text(check->service.systemd ? "%s && %s" : "%s, and when it runs: %s",
                           check->start, all);
    free(all);
    return text;
}

static void make_todo(struct check *check, struct finding *finding, enum check_stage stage)
{
    finding->level = CHECK_TODO;
    if (stage == STAGE_MTA && check->postfix != NULL) {
        free(finding->mend);
        finding->mend = mend_in_order(check);
        check->no_memory = check->no_memory || finding->mend == NULL;
    }
}

void check_todo(struct check *check, enum check_stage (*stage_of)(size_t row))
{
    bool ran;
    if (check->ring == NULL || check->ring->domain_count > 0 || !daemon_is_unused(check, &ran) ||
        !mta_is_untouched(check)) {
        return;
    }
    for (size_t i = 0; i < check->count; i++) {
        struct finding *finding = &check->findings[i];
        enum check_stage stage = stage_of(finding->row);
        if (finding->level == CHECK_FAIL && stage != STAGE_ANY && (stage == STAGE_MTA || !ran)) {
            make_todo(check, finding, stage);
        }
    }
}
