/*
 * Postfix's master.cf: which services that take mail by SMTP ask batvd, and which should. Port 25
 * and submission must; a service where a content filter hands mail back must not, since the tags of
 * what comes in have been taken off by then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/words.h"
#include "check/postfix.h"
#include "mta/milter_address.h"
#include "mta/postfix_needs.h"

static const char overrides[] = "receive_override_options";

/* The service's port, and whether it listens on a loopback address only. */
static const char *service_port(const struct postfix_service *service, bool *loopback)
{
    static const char *const hosts[] = {"127.", "localhost:", "[127.", "[::1]:", "::1:"};
    const char *colon = strrchr(service->name, ':');
    *loopback = false;
    for (size_t i = 0; colon != NULL && i < sizeof hosts / sizeof hosts[0]; i++) {
        *loopback = *loopback || strncasecmp(service->name, hosts[i], strlen(hosts[i])) == 0;
    }
    return colon != NULL ? colon + 1 : service->name;
}

enum listener_kind listener_kind_of(const struct postfix_service *service)
{
    static const char submission[] = "submission 587 submissions smtps 465";
    bool loopback;
    if (strcmp(service->command, "smtpd") != 0) {
        return LISTENER_NONE;
    }
    if (strcmp(service->type, "inet") != 0) {
        /* Behind postscreen, or for programs of this host. */
        return strcmp(service->type, "pass") == 0 ? LISTENER_PUBLIC : LISTENER_INTERNAL;
    }
    const char *port = service_port(service, &loopback);
    if (list_has(submission, port)) {
        return LISTENER_SUBMISSION;
    }
    return loopback && !list_has("smtp 25", port) ? LISTENER_INTERNAL : LISTENER_PUBLIC;
}

char *milters_find_ours(const struct check *check, const char *list)
{
    const char *queue = need_queue_directory(check->postfix);
    char *item = milter_list_find(list, check->config->listen, queue, false);
    return item != NULL ? item : milter_list_find(list, check->config->listen, queue, true);
}

const char *listener_milters(const struct postfix_service *service)
{
    return strcmp(service->command, "smtpd") == 0     ? "smtpd_milters"
           : strcmp(service->command, "cleanup") == 0 ? "non_smtpd_milters"
                                                      : NULL;
}

bool service_skips_milters(const struct check *check, const struct postfix_service *service)
{
    return list_has(postfix_service_get(check->postfix, service, overrides), "no_milters");
}

bool listener_asks(const struct check *check, const struct postfix_service *service)
{
    const char *list = postfix_service_get(check->postfix, service, "smtpd_milters");
    char *item = milters_find_ours(check, list);
    free(item);
    return item != NULL && !service_skips_milters(check, service);
}

static bool must_ask(const struct postfix_service *service)
{
    enum listener_kind kind = listener_kind_of(service);
    return kind == LISTENER_PUBLIC || kind == LISTENER_SUBMISSION;
}

bool listeners_ask_by_themselves(const struct check *check)
{
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        if (must_ask(&services[i])) {
            all = all && listener_asks(check, &services[i]) &&
                  postfix_override(check->postfix, &services[i], "smtpd_milters") != NULL;
        }
    }
    return all;
}

/* The command by which the service asks its milters again. */
static char *mend_skipping(const struct check *check, const struct postfix_service *service)
{
    const char *own = postfix_override(check->postfix, service, overrides);
    char *list =
        list_with(postfix_service_get(check->postfix, service, overrides), "no_milters", NULL, ",");
    char *text = NULL;
    if (list != NULL && own != NULL) {
        text = postfix_command(check->postfix, "-P", "%s/%s/%s=%s", service->name, service->type,
                               overrides, list);
    } else if (list != NULL) {
        text = postfix_command(check->postfix, "-e", "%s = %s", overrides, list);
    }
    free(list);
    return text;
}

/* The command that puts batvd among the service's own milters. */
static char *mend_own_list(const struct check *check, const struct postfix_service *service,
                           const char *list)
{
    return list_is_empty(list) ? postfix_command(check->postfix, "-PX", "%s/%s/smtpd_milters",
                                                 service->name, service->type)
                               : mend_service_milters(check, service, "smtpd_milters");
}

/* Tells of a service that does not ask although main.cf's smtpd_milters would have it so. */
static bool check_listener(struct check *check, const struct postfix_service *service)
{
    const char *own = postfix_override(check->postfix, service, "smtpd_milters");
    bool submission = listener_kind_of(service) == LISTENER_SUBMISSION;
    const char *harm =
        submission
            ? "mail that users submit there leaves without a tag, and its bounces will be rejected"
            : "backscatter is accepted there";
    if (listener_asks(check, service)) {
        return true;
    }
    if (service_skips_milters(check, service)) {
        check_add(check, CHECK_FAIL, mend_skipping(check, service),
                  "%s (%s) uses no milters (no_milters in %s): %s", service->name, service->type,
                  overrides, harm);
        return false;
    }
    if (own != NULL) {
        check_add(check, CHECK_FAIL, mend_own_list(check, service, own),
                  "%s (%s) has smtpd_milters of its own in master.cf, \"%s\", without batvd: %s",
                  service->name, service->type, own, harm);
        return false;
    }
    return true; /* check_smtpd_milters has told */
}

void check_listeners(struct check *check)
{
    size_t count;
    size_t asking = 0;
    bool fine = true;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        if (must_ask(&services[i])) {
            fine = check_listener(check, &services[i]) && fine;
            asking++;
        }
    }
    if (fine) {
        check_ok(check, "none of the %zu services that accept mail bypasses batvd in master.cf",
                 asking);
    }
}

bool has_content_filter(const struct check *check)
{
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    bool has = !list_is_empty(postfix_get(check->postfix, "content_filter"));
    for (size_t i = 0; i < count && !has; i++) {
        const char *own = postfix_override(check->postfix, &services[i], "content_filter");
        has = own != NULL && !list_is_empty(own);
    }
    return has;
}

void check_reinjection(struct check *check)
{
    size_t count;
    bool told = false;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    if (!has_content_filter(check)) {
        check_ok(check, "no content_filter is set");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct postfix_service *service = &services[i];
        if (listener_kind_of(service) == LISTENER_INTERNAL && listener_asks(check, service)) {
            check_add(check, CHECK_FAIL,
                      postfix_command(check->postfix, "-P", "%s/%s/smtpd_milters=", service->name,
                                      service->type),
                      "%s (%s), to which the content filter returns mail, passes it to batvd a "
                      "second time: the tags are gone by then, and genuine bounces are rejected",
                      service->name, service->type);
            told = true;
        }
    }
    if (!told) {
        check_ok(check, "mail that a content filter returns by SMTP does not pass batvd again");
    }
}

void check_proxy_filter(struct check *check)
{
    size_t count;
    bool told = false;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        const struct postfix_service *service = &services[i];
        const char *filter = postfix_service_get(check->postfix, service, "smtpd_proxy_filter");
        if (listener_kind_of(service) != LISTENER_NONE && !list_is_empty(filter)) {
            check_add(check, CHECK_FAIL,
                      postfix_command(check->postfix, "-P",
                                      "%s/%s/smtpd_proxy_filter=\n%s/%s/content_filter=smtp:%s",
                                      service->name, service->type, service->name, service->type,
                                      filter),
                      "%s (%s) has smtpd_proxy_filter = %s: a milter sees only commands and can "
                      "change nothing there. Filter after the queue instead, with content_filter",
                      service->name, service->type, filter);
            told = true;
        }
    }
    if (!told) {
        check_ok(check, "no service filters before the queue (smtpd_proxy_filter)");
    }
}

/* Services that run in a chroot, or in none, and by their list do not find the socket there. */

/* The list's item that leads to the socket by the wrong reading of its path only. NULL: none. The
 * caller frees. */
static char *find_astray(const struct check *check, const struct postfix_service *service,
                         const char *list)
{
    char *any = milters_find_ours(check, list);
    char *right = milter_list_find(list, check->config->listen,
                                   need_queue_directory(check->postfix), service->chroot);
    if (right != NULL) {
        free(any);
        any = NULL;
    }
    free(right);
    return any;
}

/* The list, a service's own or main.cf's, with the item under a name that is right in a chroot and
 * out of it. */
static char *mend_name(const struct check *check, const struct postfix_service *service,
                       const char *parameter, const char *item)
{
    const char *own = postfix_override(check->postfix, service, parameter);
    char *name = milter_name(check->config->listen, need_queue_directory(check->postfix));
    char *renamed = name != NULL ? milter_item_with(item, name, NULL, NULL) : NULL;
    char *text = NULL;
    if (renamed != NULL && own == NULL) {
        text = mend_item(check, parameter, item, renamed);
    } else if (renamed != NULL) {
        char *list = list_with(own, item, renamed, ", ");
        text = list != NULL ? mend_service_list(check, service, parameter, list) : NULL;
        free(list);
    }
    free(name);
    free(renamed);
    return text;
}

/* batvd is to listen where a chroot lets it be seen. */
static char *mend_listen(struct check *check)
{
    char *all = mend_all(check);
    char *text = all == NULL
                     ? NULL
                     : mend_text("in %s: listen = \"unix:%s/batvd/milter.sock\"; then %s; then %s",
                                 check->config_path, need_queue_directory(check->postfix),
                                 check->restart, all);
    free(all);
    return text;
}

static void tell_chroot(struct check *check, const struct postfix_service *service,
                        const char *parameter, const char *item)
{
    const char *path = listen_path(check->config->listen);
    bool below = path_below(path, need_queue_directory(check->postfix)) != NULL;
    char *mend = below ? mend_name(check, service, parameter, item) : mend_listen(check);
    check_add(check, CHECK_FAIL, mend, "%s (%s) runs %s and so cannot find the socket %s: %s",
              service->name, service->type, service->chroot ? "in a chroot" : "in no chroot", path,
              below ? "name it relative to the queue directory"
                    : "only what lies below the queue directory is seen from there");
}

const char *milters_source(const struct check *check, const struct postfix_service *service)
{
    static const char smtpd[] = "smtpd_milters";
    const char *parameter = listener_milters(service);
    bool refers = parameter != NULL && strcmp(parameter, smtpd) != 0 &&
                  postfix_override(check->postfix, service, parameter) == NULL &&
                  strstr(postfix_get_raw(check->postfix, parameter), smtpd) != NULL;
    return refers ? smtpd : parameter;
}

void check_chroot(struct check *check)
{
    size_t count;
    struct words told = {.items = NULL}; /* lists of main.cf */
    size_t before = check->count;
    const char *path = listen_path(check->config->listen);
    if (path == NULL) {
        return;
    }
    bool below = path_below(path, need_queue_directory(check->postfix)) != NULL;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        const struct postfix_service *service = &services[i];
        const char *parameter = milters_source(check, service);
        char *item = parameter != NULL
                         ? find_astray(check, service,
                                       postfix_service_get(check->postfix, service, parameter))
                         : NULL;
        bool own = item != NULL && postfix_override(check->postfix, service, parameter) != NULL;
        if (item != NULL && (own || !words_has(&told, parameter)) &&
            (below || check->count == before)) {
            tell_chroot(check, service, parameter, item);
            check->no_memory = check->no_memory || (!own && !words_add(&told, parameter));
        }
        free(item);
    }
    words_free(&told);
    if (check->count == before) {
        check_ok(check, "every service can reach the socket, in a chroot or not");
    }
}
