/*
 * What Postfix does with mail while batvd is away. The action is that of batvd's own entry in a
 * list of milters ("{ unix:..., default_action=tempfail }"), else the service's, else main.cf's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/words.h"
#include "check/postfix.h"
#include "mta/milter_address.h"
#include "mta/milter_list.h"

/* Which action counts for batvd in a list. */
struct our_action {
    char *item; /* batvd's; NULL: the list does not name it */
    char *own;  /* the item's action; NULL: it goes by the general one */
    const char *general;
};

static struct our_action action_find(const struct check *check, const char *list,
                                     const char *general)
{
    char *item = milters_find_ours(check, list);
    char *own = item != NULL ? milter_item_option(item, "default_action") : NULL;
    return (struct our_action){item, own, general};
}

static bool action_is_fine(const struct our_action *action)
{
    return action->item == NULL ||
           action_defers(action->own != NULL ? action->own : action->general);
}

static void action_clear(struct our_action *action)
{
    free(action->item);
    free(action->own);
}

/* By milter_default_action in main.cf. */
static void tell_general(struct check *check, const char *action, char *mend)
{
    check_add(check, CHECK_FAIL, mend,
              "while batvd is away, mail %s: milter_default_action is %s, expected tempfail",
              strcasecmp(action, "reject") == 0
                  ? "is rejected"
                  : "leaves without a tag, and its bounces will be rejected",
              action);
}

/* Where batvd is in no list yet, milter_default_action must be right for when it is. */
static bool check_main(struct check *check)
{
    static const enum need lists[] = {NEED_MILTERS, NEED_NON_SMTPD};
    const struct need_site site = check_need_site(check);
    const char *general = postfix_get(check->postfix, need_name(NEED_ACTION));
    bool listed = false;
    bool fine = true;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0] && fine; i++) {
        struct our_action action =
            action_find(check, postfix_get(check->postfix, need_name(lists[i])), general);
        listed = listed || action.item != NULL;
        fine = action_is_fine(&action);
        if (!fine && action.own != NULL) {
            check_add(check, CHECK_FAIL, mend_lists(check),
                      "while batvd is away, mail is not deferred: %s in %s", action.item,
                      need_name(lists[i]));
        } else if (!fine) {
            tell_general(check, general,
                         need_has_own_action(&site) ? mend_lists(check)
                                                    : mend_need(check, NEED_ACTION));
        }
        action_clear(&action);
    }
    if (!listed && !action_defers(general) && !need_has_own_action(&site)) {
        tell_general(check, general, mend_need(check, NEED_ACTION));
        fine = false;
    }
    return fine;
}

/* The command that makes clients of the service come again; the action of other milters stays. */
static char *mend_service(const struct check *check, const struct postfix_service *service,
                          const char *parameter)
{
    const struct need_site site = check_need_site(check);
    const struct milter_list_place place = {
        check->config->listen, need_queue_directory(check->postfix), check->formers, false, false};
    const char *list = postfix_service_get(check->postfix, service, parameter);
    const char *own = postfix_override(check->postfix, service, need_name(NEED_ACTION));
    bool others = milter_list_has_others(list, &place);
    if (own != NULL && !action_defers(own) && !others) {
        return postfix_command(check->postfix, "-PX", "%s/%s/%s", service->name, service->type,
                               need_name(NEED_ACTION));
    }
    if (postfix_override(check->postfix, service, parameter) != NULL) {
        return mend_service_milters(check, service, parameter);
    }
    char *value = need_service_milters(
        &site, list, postfix_service_get(check->postfix, service, need_name(NEED_ACTION)));
    char *text =
        value != NULL ? postfix_command(check->postfix, "-e", "%s = %s", parameter, value) : NULL;
    free(value);
    return text;
}

/* A service with a list or an action of its own. */
static bool check_service(struct check *check, const struct postfix_service *service)
{
    const char *parameter = listener_milters(service);
    const char *own_action = postfix_override(check->postfix, service, need_name(NEED_ACTION));
    if (parameter == NULL ||
        (own_action == NULL && postfix_override(check->postfix, service, parameter) == NULL)) {
        return true;
    }
    const char *general = postfix_service_get(check->postfix, service, need_name(NEED_ACTION));
    struct our_action action =
        action_find(check, postfix_service_get(check->postfix, service, parameter), general);
    bool fine = action_is_fine(&action);
    if (!fine && action.own != NULL) {
        check_add(check, CHECK_FAIL, mend_service(check, service, parameter),
                  "while batvd is away, mail at %s (%s) is not deferred: %s in %s", service->name,
                  service->type, action.item, parameter);
    } else if (!fine) {
        check_add(check, CHECK_FAIL, mend_service(check, service, parameter),
                  "while batvd is away, mail at %s (%s) is not deferred: milter_default_action is "
                  "%s in %s",
                  service->name, service->type, general,
                  own_action != NULL ? "master.cf" : "main.cf");
    }
    action_clear(&action);
    return fine;
}

void check_default_action(struct check *check)
{
    size_t count;
    bool fine = check_main(check);
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        fine = check_service(check, &services[i]) && fine;
    }
    if (fine) {
        check_ok(check, "while batvd is away, mail is deferred");
    }
}
