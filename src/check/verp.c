/*
 * VERP, which Postfix makes where a client or sendmail(1) asks for it: it appends the recipient to
 * the sender at delivery. batvd knows what stands behind a tag as long as the delimiters are those
 * of a VERP extension. In subaddress syntax the tag then stands between the list's name and the
 * recipient, and nothing takes it off where batvd is not asked: Postfix's own bounces come to the
 * list's program so, and where a pattern makes a list's VERP addresses known, Postfix rejects those
 * with a tag.
 */
#include <string.h>

#include "batv/verp.h"
#include "check/postfix.h"

#define CLIENTS    "smtpd_authorized_verp_clients"
#define DELIMITERS "default_verp_delimiters"
#define FILTER     "verp_delimiter_filter"

static const char known[] = "+-=";

/* Where Postfix lets clients ask for VERP: main.cf, services of master.cf. */
static void find_places(const struct check *check, struct listing *places)
{
    size_t count;
    const struct postfix_service *services = postfix_services(check->postfix, &count);
    if (!list_is_empty(postfix_get(check->postfix, CLIENTS))) {
        listing_add(places, "main.cf");
    }
    for (size_t i = 0; i < count; i++) {
        const char *clients = postfix_override(check->postfix, &services[i], CLIENTS);
        if (clients != NULL && !list_is_empty(clients)) {
            listing_add(places, services[i].name);
        }
    }
}

/* Domains whose lists it does not serve. */
static void find_domains(const struct check *check, struct listing *domains)
{
    const struct settings *settings = check->config->settings;
    for (size_t i = 0; i < settings->domain_count; i++) {
        if (settings->domain[i].sign && settings->domain[i].syntax == TAG_SUBADDRESS) {
            listing_add(domains, settings->domain[i].name);
        }
    }
}

/* What is asked for without delimiters gets these. */
static void check_delimiters(struct check *check)
{
    const char *delimiters = postfix_get(check->postfix, DELIMITERS);
    if (strlen(delimiters) != 2) {
        return; /* such a Postfix makes no VERP */
    }
    const char extension[] = {delimiters[0], 'x', delimiters[1], 'y', '.', 'z', '\0'};
    if (!verp_is_extension(extension)) {
        bool first = strchr(known, delimiters[0]) != NULL;
        check_add(
            check, CHECK_FAIL,
            postfix_command(check->postfix, "-e", DELIMITERS " = %c=", first ? delimiters[0] : '+'),
            "bounces to senders with VERP do not match their tags: " DELIMITERS
            " is \"%s\", expected one of + - = and then =",
            delimiters);
    }
}

/* A client may ask for others. */
static void check_filter(struct check *check)
{
    const char *filter = postfix_get(check->postfix, FILTER);
    if (filter[strspn(filter, known)] != '\0') {
        check_add(check, CHECK_WARN, postfix_command(check->postfix, "-X", FILTER),
                  "clients may request VERP with delimiters that match no tag: " FILTER
                  " is \"%s\", expected no others than + - =",
                  filter);
    }
}

static void check_syntax(struct check *check, struct listing *places)
{
    struct listing domains = {.count = 0};
    find_domains(check, &domains);
    if (domains.count > 0) {
        const char *names = listing_end(&domains);
        check_add(check, CHECK_WARN, mend_config(check, "set syntax = \"prefix\" for %s,", names),
                  "clients may request VERP (" CLIENTS
                  " in %s), and in subaddress syntax Postfix's "
                  "own bounces to LIST+prvs=...+BOX=HOST@%s keep the tag, so that the list's "
                  "program cannot read the recipient",
                  listing_end(places), names);
    }
}

void check_verp(struct check *check)
{
    struct listing places = {.count = 0};
    size_t before = check->count;
    check_delimiters(check);
    find_places(check, &places);
    if (places.count > 0) {
        check_filter(check);
        check_syntax(check, &places);
    }
    if (check->count == before) {
        check_ok(check, "the VERP extensions of Postfix leave the tags of senders valid");
    }
}
