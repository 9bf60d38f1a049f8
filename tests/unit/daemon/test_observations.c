/* What the tally and the sample have seen, as a snapshot gets it, for two configurations. */
#include <check.h>
#include <string.h>

#include "../suite.h"
#include "daemon/observations.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static char com[] = "example.com", net[] = "example.net";
static struct domain_settings domains[] = {{.name = com}, {.name = net}};
static struct settings settings = {.domain = domains, .domain_count = 2};
static const struct client outside = {.address = "192.0.2.1"};
static struct observations observations;
static struct observed observed;

static void decide(struct decision decision)
{
    decision.client = &outside;
    tally_decision(observations.tally, &decision);
}

static void setup(void)
{
    static const char *const names[] = {com, net};
    static const char *const relays[] = {"192.0.2.0/24"};
    size_t bad;
    ck_assert_int_eq(domain_list_new(names, COUNT(names), &settings.domains, &bad), STATUS_OK);
    ck_assert_int_eq(network_list_new(relays, COUNT(relays), &settings.relays, &bad), STATUS_OK);
    observations = (struct observations){.tally = tally_new(), .sample = sample_new()};
    ck_assert(observations_begin(&observations, &settings));
    ck_assert(observations_take(&observations, &settings, &observed));
}

static void teardown(void)
{
    observed_free(&observed);
    observations_end(&observations);
    tally_free(observations.tally);
    sample_free(observations.sample);
    network_list_free(settings.relays);
    domain_list_free(settings.domains);
}

static void take(void)
{
    observed_free(&observed);
    ck_assert(observations_take(&observations, &settings, &observed));
    ck_assert(!observations_look(&observations, &settings));
}

static void relay_unsigned(const char *domain)
{
    const struct domain_settings *its = settings_domain_named(&settings, domain);
    decide((struct decision){.kind = DECISION_RELAYED_UNSIGNED,
                             .domain = its,
                             .elsewhere = "example.org",
                             .holds = true});
}

static bool proves(const char *address)
{
    struct ip ip;
    ck_assert(ip_parse(address, &ip));
    return network_list_match(observed.proven, &ip) != NULL;
}

START_TEST(test_nothing_has_been_seen)
{
    ck_assert(!observations_look(&observations, &settings));
    ck_assert_int_eq(observed.relayed[0], 0);
    ck_assert(!observed.ids_rewritten[0]);
    ck_assert_uint_eq(observed.hosted_count, 0);
    ck_assert(!observed.hosted_full);
    ck_assert(!proves("192.0.2.1"));
}
END_TEST

/* Its last time moves on with each message; within an hour that is no change. */
START_TEST(test_a_relayed_domain_is_a_change_once_an_hour)
{
    relay_unsigned(net);
    ck_assert(observations_look(&observations, &settings));
    take();
    ck_assert_int_eq(observed.relayed[0], 0);
    ck_assert_int_ne(observed.relayed[1], 0);
    relay_unsigned(net);
    ck_assert(!observations_look(&observations, &settings));
}
END_TEST

START_TEST(test_a_relay_and_a_hosted_domain)
{
    decide((struct decision){
        .kind = DECISION_VERIFY, .proves_relay = true, .hosted = "hosted.example"});
    ck_assert(observations_look(&observations, &settings));
    ck_assert(observations_look(&observations, &settings)); /* until it is taken */
    take();
    ck_assert(proves("192.0.2.1"));
    ck_assert_uint_eq(observed.hosted_count, 1);
    ck_assert_str_eq(observed.hosted[0], "hosted.example");
}
END_TEST

START_TEST(test_a_reload_forgets_what_is_no_relay_any_more)
{
    decide((struct decision){.kind = DECISION_VERIFY, .proves_relay = true});
    relay_unsigned(com);
    network_list_free(settings.relays);
    settings.relays = NULL;
    ck_assert(observations_begin(&observations, &settings));
    take();
    ck_assert(!proves("192.0.2.1"));
    ck_assert_int_ne(observed.relayed[0], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("observations");
    TCase *tcase = tcase_create("observations");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_nothing_has_been_seen);
    tcase_add_test(tcase, test_a_relayed_domain_is_a_change_once_an_hour);
    tcase_add_test(tcase, test_a_relay_and_a_hosted_domain);
    tcase_add_test(tcase, test_a_reload_forgets_what_is_no_relay_any_more);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
