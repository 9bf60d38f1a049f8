/*
 * Settings of Postfix by which a host takes mail for addresses that do not exist and then bounces
 * it to whoever was forged as the sender: backscatter of its own making, which no tag prevents.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/words.h"
#include "batv/address_fold.h"
#include "check/postfix.h"

#define NOBODY "batvd-check-no-such-user"

enum { DOMAINS_ASKED = 500 };

static bool restricts(const struct check *check, const char *restriction)
{
    return list_has(postfix_get(check->postfix, "smtpd_recipient_restrictions"), restriction) ||
           list_has(postfix_get(check->postfix, "smtpd_relay_restrictions"), restriction);
}

/* The relay domains that are not local ones anyway. */
static void list_relay_domains(struct check *check, struct listing *out)
{
    const char *local = postfix_get(check->postfix, "mydestination");
    struct words words = {.items = NULL};
    if (!words_split(postfix_get(check->postfix, "relay_domains"), &words)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < words.count; i++) {
        if (!list_has(local, words.items[i])) {
            listing_add(out, words.items[i]);
        }
    }
    words_free(&words);
}

static char *mend_relay_recipients(const struct check *check)
{
    const char *folder = postfix_get(check->postfix, "config_directory");
    const char *kind = postfix_get(check->postfix, "default_database_type");
    char *command = postfix_command(check->postfix, "-e",
                                    "relay_recipient_maps = %s:%s/relay_recipients", kind, folder);
    char *text =
        command == NULL
            ? NULL
            : mend_text("list the addresses in %s/relay_recipients (\"USER@DOMAIN x\" each a "
                        "line), then postmap%s %s:%s/relay_recipients && %s",
                        folder, postfix_place(check->postfix), kind, folder, command);
    free(command);
    return text;
}

void check_relay_recipients(struct check *check)
{
    struct listing domains = {.count = 0};
    list_relay_domains(check, &domains);
    if (domains.count == 0) {
        check_ok(check, "no relay_domains");
    } else if (!list_is_empty(postfix_get(check->postfix, "relay_recipient_maps"))) {
        check_ok(check, "relay_recipient_maps lists the valid addresses in relay_domains");
    } else if (restricts(check, "reject_unverified_recipient")) {
        check_ok(check, "Postfix verifies addresses in relay_domains with the next host "
                        "(reject_unverified_recipient)");
    } else {
        char *mend = mend_relay_recipients(check);
        check_add(check, CHECK_WARN, mend,
                  "mail for unknown addresses in relay_domains is accepted and bounced later: "
                  "relay_recipient_maps is not set, for %s",
                  listing_end(&domains));
    }
}

/* Two addresses of a domain that only a catch-all knows: its key, and one of this local part. */
static size_t make_keys(const struct settings *settings, const char *local, const char *keys[])
{
    size_t count = 0;
    for (size_t i = 0; i < settings->domain_count && i < DOMAINS_ASKED; i++) {
        const char *name = settings->domain[i].name;
        if (name[0] != '.') {
            keys[count] = mend_text("@%s", name);
            keys[count + 1] = mend_text("%s@%s", local, name);
            count += keys[count] != NULL && keys[count + 1] != NULL ? 2 : 0;
        }
    }
    return count;
}

static void free_keys(const char **keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* mend_text made them for us. */
        union {
            const char *in;
            char *out;
        } key = {.in = keys[i]};
        free(key.out);
    }
    free(keys);
}

static void tell_unasked(struct check *check, const char *parameter, const char *table,
                         const struct reason *why)
{
    check_add(check, CHECK_WARN, mend_table(check, table), "%s in %s cannot be queried: %s", table,
              parameter, why->text);
}

/* Adds the domains of which a table knows one of the two keys. */
static enum status ask_table(struct check *check, const char *table, const char *const keys[],
                             size_t count, struct listing *found, struct reason *why)
{
    char **answers = calloc(count + 1, sizeof *answers);
    if (answers == NULL) {
        check->no_memory = true;
        return reason_set(why, STATUS_NO_MEMORY, "out of memory");
    }
    enum status status = postfix_lookup(check->postfix, table, keys, count, answers, why);
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (answers[i] != NULL || answers[i + 1] != NULL) {
            listing_add(found, keys[i] + 1);
        }
    }
    for (size_t i = 0; i < count; i++) {
        free(answers[i]);
    }
    free(answers);
    return status;
}

/* Looks for catch-alls in one table. True: something was told. */
static bool check_table(struct check *check, const char *parameter, const char *table,
                        const char *const keys[], size_t count)
{
    struct listing found = {.count = 0};
    struct reason why = {""};
    const char *direct = postfix_without_proxy(table);
    enum status status = ask_table(check, direct, keys, count, &found, &why);
    if (status != STATUS_OK) {
        tell_unasked(check, parameter, direct, &why);
    } else if (found.count > 0) {
        check_add(check, CHECK_WARN,
                  mend_text("give %s an entry for each address in place of the one for all, then "
                            "postfix%s reload",
                            table, postfix_place(check->postfix)),
                  "every address is accepted, and its mail bounced if the next host does not know "
                  "it: a catch-all in %s (%s) for %s",
                  parameter, table, listing_end(&found));
    }
    return status != STATUS_OK || found.count > 0;
}

static bool check_tables(struct check *check, const char *parameter, const char *const keys[],
                         size_t count)
{
    struct words tables = {.items = NULL};
    bool told = false;
    if (!words_split(postfix_get(check->postfix, parameter), &tables)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < tables.count; i++) {
        told = check_table(check, parameter, tables.items[i], keys, count) || told;
    }
    words_free(&tables);
    return told;
}

void check_catch_all(struct check *check)
{
    static const char *const parameters[] = {"virtual_alias_maps", "virtual_mailbox_maps",
                                             "relay_recipient_maps", "recipient_canonical_maps",
                                             "canonical_maps"};
    bool told = false;
    if (check->config->settings->domain_count == 0) {
        return;
    }
    const char **keys = calloc(2 * check->config->settings->domain_count + 1, sizeof *keys);
    if (keys == NULL) {
        check->no_memory = true;
        return;
    }
    size_t count = make_keys(check->config->settings, NOBODY, keys);
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0] && count > 0; i++) {
        told = check_tables(check, parameters[i], keys, count) || told;
    }
    free_keys(keys, count);
    if (!told) {
        check_ok(check, "no table accepts every address of one of your domains");
    }
}

/* Bounces to SRS addresses are accepted as they come (exclude.recipients): a domain that knows
 * every address delivers them to a mailbox. */

static char *mend_srs(const struct check *check)
{
    static const struct mend_items items = {
        .standard = "\"postmaster@*\", \"abuse@*\"", .without = "SRS", .added = ""};
    return mend_behind("unless SRS addresses are made here, in which case end the catch-all, ",
                       mend_list(check, "exclude", "recipients", &items));
}

static bool takes_srs(const struct check *check, const char *domain)
{
    char *address = address_fold("SRS0=" NOBODY, domain);
    bool takes = address != NULL &&
                 pattern_list_match(check->config->settings->exclude_recipients, address) != NULL;
    free(address);
    return takes;
}

static void find_srs(struct check *check, const char *parameter, const char *const keys[],
                     size_t count, struct listing *out)
{
    struct words tables = {.items = NULL};
    struct reason ignored; /* check_catch_all tells of a table that cannot be asked */
    if (!words_split(postfix_get(check->postfix, parameter), &tables)) {
        check->no_memory = true;
    }
    for (size_t i = 0; i < tables.count; i++) {
        (void)ask_table(check, postfix_without_proxy(tables.items[i]), keys, count, out, &ignored);
    }
    words_free(&tables);
}

/* Local domains of ours: all that nobody has goes to luser_relay. */
static void find_local_srs(const struct check *check, struct listing *out)
{
    const char *local = postfix_get(check->postfix, "mydestination");
    const struct settings *settings = check->config->settings;
    if (list_is_empty(postfix_get(check->postfix, "luser_relay"))) {
        return;
    }
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (list_has(local, settings->domain[i].name)) {
            listing_add(out, settings->domain[i].name);
        }
    }
}

void check_srs(struct check *check)
{
    static const char *const parameters[] = {"virtual_alias_maps", "virtual_mailbox_maps"};
    const struct settings *settings = check->config->settings;
    struct listing found = {.count = 0};
    const char **keys = calloc(2 * settings->domain_count + 1, sizeof *keys);
    if (keys == NULL) {
        check->no_memory = true;
        return;
    }
    if (takes_srs(check, "example.com")) {
        size_t count = make_keys(settings, "SRS0=" NOBODY, keys);
        for (size_t i = 0; i < sizeof parameters / sizeof parameters[0] && count > 0; i++) {
            find_srs(check, parameters[i], keys, count, &found);
        }
        find_local_srs(check, &found);
        free_keys(keys, count);
    } else {
        free(keys);
    }
    if (found.count == 0) {
        check_ok(check, "no mailbox receives mail for made-up SRS addresses");
        return;
    }
    check_add(check, CHECK_WARN, mend_srs(check),
              "backscatter to SRS0=anything reaches a mailbox unverified, through "
              "exclude.recipients and a catch-all, for %s",
              listing_end(&found));
}

void check_luser_relay(struct check *check)
{
    const char *relay = postfix_get(check->postfix, "luser_relay");
    if (list_is_empty(relay)) {
        check_ok(check, "luser_relay is not set");
    } else {
        check_add(check, CHECK_WARN, postfix_command(check->postfix, "-X", "luser_relay"),
                  "mail for unknown local users is accepted and sent on to luser_relay, %s, which "
                  "bounces it if it does not know them",
                  relay);
    }
}

/* Public services that take recipients unseen. */
static bool check_unseen(struct check *check)
{
    size_t count;
    bool told = false;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    for (size_t i = 0; i < count; i++) {
        const struct postfix_service *service = &services[i];
        const char *own =
            postfix_override(check->postfix, service, "smtpd_reject_unlisted_recipient");
        bool off = own != NULL && strcasecmp(own, "yes") != 0;
        if (listener_kind_of(service) != LISTENER_PUBLIC) {
            continue;
        }
        if (off ||
            list_has(postfix_service_get(check->postfix, service, "receive_override_options"),
                     "no_unknown_recipient_checks")) {
            const char *name = off ? "smtpd_reject_unlisted_recipient" : "receive_override_options";
            check_add(check, CHECK_WARN,
                      postfix_command(check->postfix, "-PX", "%s/%s/%s", service->name,
                                      service->type, name),
                      "%s (%s) accepts mail for unknown recipients, by %s in master.cf, and "
                      "bounces it later",
                      service->name, service->type, name);
            told = true;
        }
    }
    return told;
}

void check_unlisted(struct check *check)
{
    bool told = check_unseen(check);
    if (!postfix_is_yes(check->postfix, "smtpd_reject_unlisted_recipient") &&
        !restricts(check, "reject_unlisted_recipient")) {
        check_add(check, CHECK_WARN,
                  postfix_command(check->postfix, "-e", "smtpd_reject_unlisted_recipient = yes"),
                  "mail for unknown recipients is accepted and bounced later: "
                  "smtpd_reject_unlisted_recipient is \"%s\", expected yes",
                  postfix_get(check->postfix, "smtpd_reject_unlisted_recipient"));
        told = true;
    }
    if (!told) {
        check_ok(check, "unknown recipients are rejected at once");
    }
}

void check_local_recipients(struct check *check)
{
    const char *local = postfix_get(check->postfix, "mydestination");
    if (!list_is_empty(postfix_get(check->postfix, "local_recipient_maps"))) {
        check_ok(check, "local_recipient_maps lists the local users");
    } else if (list_is_empty(local)) {
        check_ok(check, "no local domains (mydestination is empty)");
    } else {
        check_add(
            check, CHECK_WARN, postfix_command(check->postfix, "-X", "local_recipient_maps"),
            "mail for unknown local users is accepted and bounced later: local_recipient_maps is "
            "empty, for %s",
            local);
    }
}
