/* The table of facts that cost I/O, and what follows from a client's bare facts. Pure. */
#include "batv/facts.h"

#include <stddef.h>

#include "batv/address.h"
#include "batv/address_meaning.h"

/* ------------------------------------------------------------------ the table */

static bool reads_bounces(const struct settings *settings)
{
    return settings->evidence.enabled;
}

static bool counts_tags(const struct settings *settings)
{
    return settings->evidence.enabled && settings->evidence.tag_in_body;
}

static bool asks_journal(const struct settings *settings)
{
    return settings->evidence.enabled && settings->evidence.journal;
}

static bool lists_networks(const struct settings *settings)
{
    return !network_list_is_empty(settings->exclude_sign_recipient_networks);
}

static bool always(const struct settings *settings)
{
    (void)settings;
    return true;
}

/* The class is the message's, but asked for each recipient: what look-ups for a recipient leave
 * unsearched counts for that one. */
static const struct fact_row rows[FACT_COUNT] = {
    [FACT_TAG_IN_BODY] = {.proof = "tag-in-body", .reads = true, .is_on = counts_tags},
    [FACT_HEADER] = {.proof = "header", .reads = true, .is_on = reads_bounces},
    [FACT_JOURNAL] = {.proof = "journal", .reads = true, .is_on = asks_journal},
    [FACT_PATTERN] = {.proof = "pattern", .reads = true, .is_on = reads_bounces},
    [FACT_CLASS] = {.reads = true, .is_on = reads_bounces},
    [FACT_UNTAGGABLE] = {.is_on = always}, /* the recipient has sent mail too long to be tagged */
    [FACT_RCPT_NETWORK] = {.of_message = true, .is_on = lists_networks},
    [FACT_GUESSING] = {.is_on = always}, /* the recipient's plain address is under guessing */
};

const struct fact_row *fact_row(enum fact fact)
{
    return &rows[fact];
}

const char *proof_name(size_t index)
{
    static const char *const others[] = {"exhausted", "none"};
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        if (rows[fact].proof != NULL && index-- == 0) {
            return rows[fact].proof;
        }
    }
    return index < sizeof others / sizeof others[0] ? others[index] : NULL;
}

/* Patterns are weak, so they are for domains that have nothing better. */
bool fact_concerns(enum fact fact, const struct domain_settings *domain)
{
    return fact != FACT_PATTERN || (domain->message_ids != NULL && !domain->sign);
}

/* ------------------------------------------------------------------- clients */

bool client_is_local(const char *name, const struct ip *ip, unsigned port)
{
    if (ip == NULL) {
        return name != NULL && ascii_equal(name, "localhost");
    }
    return port == 0 && ip_is_loopback(ip);
}

static bool list_has_client(const struct network_list *list, const struct client *client)
{
    return client->address != NULL && network_list_match(list, &client->ip) != NULL;
}

/* Which lists accept a bounce for its client's sake. Relays hand in outside mail, so of all lists
 * only those that exclude a client by name or network hold for them. */
static void find_exclusions(struct message_facts *facts, const struct settings *settings,
                            const struct client *client, bool relay)
{
    if (client->address != NULL) {
        facts->excluded_network = network_list_match(settings->exclude_networks, &client->ip);
    }
    if (client->address != NULL && settings->exclude_mail_servers && !relay) {
        facts->mail_server = network_list_match(settings->mail_servers, &client->ip);
    }
    if (client->name != NULL) {
        facts->excluded_host = host_list_match(settings->exclude_hosts, client->name);
    }
    if (client->name != NULL && !relay) {
        facts->unsigned_host =
            pattern_list_match_host(settings->exclude_sign_recipients, client->name);
    }
}

void facts_of_client(struct message_facts *facts, const struct snapshot *snapshot,
                     const struct client *client, const char *user)
{
    const struct settings *settings = snapshot->settings;
    bool listed = list_has_client(settings->relays, client);
    bool relay = listed || (client->local && settings->relays_local);
    facts->logged_in = user != NULL;
    facts->authenticated = settings->exclude_authenticated && user != NULL;
    facts->local = client->local;
    facts->relay_unproven = listed && user == NULL && !list_has_client(snapshot->proven, client);
    facts->submission =
        user != NULL ||
        (!relay && (client->local || list_has_client(settings->internal_networks, client)));
    facts->paused = snapshot->paused;
    facts->on_error_accepts = settings->on_error == ACTION_ACCEPT;
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        facts->asks[fact] = rows[fact].is_on(settings);
    }
    facts->class = BOUNCE_UNREAD;
    if (facts->bounce) {
        find_exclusions(facts, settings, client, relay);
    }
}

bool facts_is_own_name(const struct settings *settings, const struct client *client,
                       const struct address *address)
{
    return settings_first(settings) != NULL && *address->local != '\0' &&
           settings_domain(settings, address->ascii) == NULL &&
           address_names_host(address, client->server);
}
