/*
 * Milters that sign DKIM2, as far as their names tell. DKIM2 signs the envelope sender, and the MTA
 * gives all its milters the sender that the client gave: none sees another's tag, in whatever order
 * they stand.
 */
#include <stdlib.h>
#include <string.h>

#include "check/postfix.h"
#include "mta/milter_address.h"

static void add_signers(struct check *check, const char *list, struct listing *found)
{
    struct words words = {.items = NULL};
    if (list == NULL || !words_split(list, &words)) {
        check->no_memory = check->no_memory || list != NULL;
        return;
    }
    for (size_t i = 0; i < words.count; i++) {
        char *name = milter_item_name(words.items[i]);
        if (name == NULL) {
            check->no_memory = true;
        } else if (strcasestr(name, "dkim2") != NULL && strstr(found->text, name) == NULL) {
            listing_add(found, name);
        }
        free(name);
    }
    words_free(&words);
}

static void tell(struct check *check, struct listing *found, const char *mta)
{
    if (found->count == 0) {
        check_ok(check, "no milter's name says that it signs DKIM2");
        return;
    }
    check_add(check, CHECK_WARN,
              mend_text("sign DKIM2 on a host that the mail passes after this one, or in a second "
                        "instance of %s; or leave its senders unsigned here: exclude_sign.senders",
                        mta),
              "DKIM2 signs the envelope sender, and a tag breaks its signature whatever the order "
              "of the milters: %s",
              listing_end(found));
}

void check_dkim2(struct check *check)
{
    static const char *const parameters[] = {"smtpd_milters", "non_smtpd_milters"};
    struct listing found = {.count = 0};
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t k = 0; k < 2; k++) {
        add_signers(check, postfix_get(check->postfix, parameters[k]), &found);
        for (size_t i = 0; i < count; i++) {
            add_signers(check, postfix_override(check->postfix, &services[i], parameters[k]),
                        &found);
        }
    }
    tell(check, &found, "Postfix");
}

void check_sendmail_dkim2(struct check *check)
{
    struct listing found = {.count = 0};
    size_t count;
    const struct sendmail_filter *filters = sendmail_filters(check->sendmail, &count);
    for (size_t i = 0; i < count; i++) {
        add_signers(check, filters[i].name, &found);
    }
    tell(check, &found, "Sendmail");
}
