/*
 * A list is a parameter of smtpd(8), or a class that smtpd_restriction_classes names; a service can
 * have its own of each. Lists that a table answers with are not seen.
 */
#include "mta/restrictions.h"

struct walk {
    const struct postfix *postfix;
    void (*take)(void *self, const struct restrictions *list);
    void *self;
    bool no_memory;
};

static void take_list(struct walk *walk, const char *parameter,
                      const struct postfix_service *service, const char *value)
{
    struct restrictions list = {.parameter = parameter, .service = service};
    if (!words_split(value, &list.words)) {
        walk->no_memory = true;
    } else if (list.words.count > 0) {
        walk->take(walk->self, &list);
    }
    words_free(&list.words);
}

static void take_parameter(struct walk *walk, const char *parameter)
{
    size_t count;
    const struct postfix_service *services = postfix_services(walk->postfix, &count);
    take_list(walk, parameter, NULL, postfix_get(walk->postfix, parameter));
    for (size_t i = 0; i < count; i++) {
        const char *own = postfix_override(walk->postfix, &services[i], parameter);
        if (own != NULL) {
            take_list(walk, parameter, &services[i], own);
        }
    }
}

bool restrictions_each(const struct postfix *postfix,
                       void (*take)(void *self, const struct restrictions *list), void *self)
{
    static const char *const parameters[] = {
        "smtpd_client_restrictions",     "smtpd_helo_restrictions",
        "smtpd_sender_restrictions",     "smtpd_relay_restrictions",
        "smtpd_recipient_restrictions",  "smtpd_data_restrictions",
        "smtpd_end_of_data_restrictions"};
    struct walk walk = {postfix, take, self, false};
    struct words classes = {.items = NULL};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        take_parameter(&walk, parameters[i]);
    }
    bool done = words_split(postfix_get(postfix, "smtpd_restriction_classes"), &classes);
    for (size_t i = 0; i < classes.count; i++) {
        take_parameter(&walk, classes.items[i]);
    }
    words_free(&classes);
    return done && !walk.no_memory;
}
