/*
 * Mail from outside that comes in again from inside: by a filter that pipe(8) runs and that ends in
 * sendmail(1), or past a host that batvd would not know by its Received fields.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/words.h"
#include "check/postfix.h"
#include "config/config_file.h"

enum { FILE_MAX = 1 << 20 };

/* ------------------------------------------------------------ pipe filters */

/* content_filter = NAME:NEXTHOP */
static bool names_service(const char *filter, const char *name)
{
    size_t length = strlen(name);
    filter += strspn(filter, " \t{");
    return strncmp(filter, name, length) == 0 && strchr(": \t", filter[length]) != NULL;
}

static bool is_content_filter(const struct check *check, const char *name)
{
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    bool is = names_service(postfix_get(check->postfix, "content_filter"), name);
    for (size_t i = 0; i < count && !is; i++) {
        const char *own = postfix_override(check->postfix, &services[i], "content_filter");
        is = own != NULL && names_service(own, name);
    }
    return is;
}

/* FILTER NAME:NEXTHOP, as the result of a table. */
static bool text_filters(const char *text, const char *name)
{
    static const char word[] = "FILTER";
    for (const char *at = strcasestr(text, word); at != NULL; at = strcasestr(at, word)) {
        at += strlen(word);
        if ((*at == ' ' || *at == '\t') && names_service(at, name)) {
            return true;
        }
    }
    return false;
}

/* What is in a file, less than FILE_MAX octets of it. NULL: it cannot be read. The caller frees. */
static char *file_text(const char *path)
{
    struct config_messages messages = {.items = NULL};
    const struct config_place named = {.file = path};
    size_t length = 0;
    char *text = NULL;
    if (config_file_read(path, FILE_MAX, named, &messages, &text, &length) != STATUS_OK) {
        text = NULL;
    }
    config_messages_free(&messages);
    return text;
}

/* In a list of restrictions or tables: what it says itself, or the source of a table says. */
static bool list_filters(struct check *check, const char *list, const char *name)
{
    struct words words = {.items = NULL};
    bool filters = text_filters(list, name);
    check->no_memory = !words_split(list, &words) || check->no_memory;
    for (size_t i = 0; i < words.count && !filters; i++) {
        const char *path = strchr(words.items[i], '/');
        char *text = path != NULL ? file_text(path) : NULL;
        filters = text != NULL && text_filters(text, name);
        free(text);
    }
    words_free(&words);
    return filters;
}

static bool is_table_filter(struct check *check, const char *name)
{
    static const char *const parameters[] = {"smtpd_client_restrictions",
                                             "smtpd_helo_restrictions",
                                             "smtpd_sender_restrictions",
                                             "smtpd_relay_restrictions",
                                             "smtpd_recipient_restrictions",
                                             "smtpd_data_restrictions",
                                             "smtpd_end_of_data_restrictions",
                                             "header_checks",
                                             "mime_header_checks",
                                             "nested_header_checks",
                                             "body_checks"};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        if (list_filters(check, postfix_get(check->postfix, parameters[i]), name)) {
            return true;
        }
    }
    return false;
}

/* The command itself, or the script that it is. A program that is no text is a filter like any
 * other: there is no other way back for pipe(8) than sendmail(1) or SMTP. */
static bool ends_in_sendmail(const char *argv)
{
    char *path = strndup(argv, strcspn(argv, " \t"));
    char *text = path != NULL ? file_text(path) : NULL;
    bool script = text != NULL && strncmp(text, "#!", 2) == 0;
    bool ends = strstr(argv, "sendmail") != NULL || !script || strstr(text, "sendmail") != NULL;
    free(path);
    free(text);
    return ends;
}

/* True where sendmail(1) asks batvd about mail as if this host had written it. */
static bool takes_for_ours(const struct check *check)
{
    char *item = milters_find_ours(check, postfix_get(check->postfix, "non_smtpd_milters"));
    bool asks = item != NULL;
    free(item);
    return asks && !check->config->settings->relays_local;
}

void check_pipe_filters(struct check *check)
{
    static const struct mend_items local = {.standard = "", .added = "\"local\""};
    size_t count;
    size_t before = check->count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count && takes_for_ours(check); i++) {
        const struct postfix_service *service = &services[i];
        if (service->argv != NULL && ends_in_sendmail(service->argv) &&
            (is_content_filter(check, service->name) || is_table_filter(check, service->name))) {
            check_add(
                check, CHECK_WARN, mend_list(check, NULL, "relays", &local),
                "%s (pipe) filters mail and returns it by sendmail(1): batvd sees it again, and "
                "treats strangers' mail as mail of this host, unless a Received field shows "
                "otherwise. With the word \"local\" in relays it signs no mail by sendmail(1)",
                service->name);
        }
    }
    if (check->count == before) {
        check_ok(check, "no filter returns mail from outside as mail of this host");
    }
}

/* --------------------------------------------------------------- own names */

static void take_name(struct check *check, struct words *told, const char *name, const char *where)
{
    const char *main = postfix_get(check->postfix, "myhostname");
    bool known = strcasecmp(name, main) == 0 ||
                 host_list_match(check->config->settings->own_names, name) != NULL;
    for (size_t i = 0; i < told->count; i++) {
        known = known || strcasecmp(told->items[i], name) == 0;
    }
    if (known || *name == '\0') {
        return;
    }
    check->no_memory = !words_add(told, name) || check->no_memory;
    check_add(check, CHECK_WARN, mend_config(check, "add \"%s\" to own_names,", name),
              "%s is myhostname in %s, but is not in own_names: mail that it received from outside "
              "counts as your own if it is handed in again",
              name, where);
}

static void take_instances(struct check *check, struct words *told)
{
    struct words folders = {.items = NULL};
    const char *list = postfix_get(check->postfix, "multi_instance_directories");
    check->no_memory = !words_split(list, &folders) || check->no_memory;
    for (size_t i = 0; i < folders.count; i++) {
        char *name = postfix_instance_get(check->postfix, folders.items[i], "myhostname");
        if (name != NULL) {
            take_name(check, told, name, folders.items[i]);
        }
        free(name);
    }
    words_free(&folders);
}

void check_own_names(struct check *check)
{
    size_t count;
    size_t before = check->count;
    struct words told = {.items = NULL};
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = postfix_override(check->postfix, &services[i], "myhostname");
        if (name != NULL) {
            take_name(check, &told, name, services[i].name);
        }
    }
    take_instances(check, &told);
    words_free(&told);
    if (check->count == before) {
        check_ok(check, "batvd recognizes each myhostname of Postfix in Received fields");
    }
}
