/* Which clients are local processes: a table of what an MTA says about where mail comes from. And
 * the orders that others rely on. */
#include "fixture.h"

#include "batv/facts.h"

static const struct {
    const char *name;
    const char *host, *address;
    unsigned port;
    bool local;
} clients[] = {
    {"Postfix's sendmail(1)", "localhost", "127.0.0.1", 0, true},
    {"the same by IPv6", "localhost", "::1", 0, true},
    {"the same under another name", "mail.example.com", "127.0.0.1", 0, true},
    {"without a name", NULL, "127.0.0.1", 0, true},
    {"another loopback address", NULL, "127.8.9.10", 0, true},
    {"an IPv4 address in IPv6", NULL, "::ffff:127.0.0.1", 0, true},
    {"SMTP from this host", "localhost", "127.0.0.1", 40001, false},
    {"SMTP from this host by IPv6", "localhost", "::1", 40001, false},
    {"SMTP", "mx.other.test", "192.0.2.9", 40001, false},
    {"a proxy's XCLIENT without a port", "mx.other.test", "192.0.2.9", 0, false},
    {"the same by IPv6", "mx.other.test", "2001:db8::9", 0, false},
    {"the same, calling itself localhost", "localhost", "192.0.2.9", 0, false},
    {"just beside the loopback network", NULL, "128.0.0.1", 0, false},
    {"Sendmail -bs", "localhost", NULL, 0, true},
    {"Sendmail -bs in capitals", "LocalHost", NULL, 0, true},
    {"no address and another name", "mx.other.test", NULL, 0, false},
    {"no address and almost the name", "localhost.example.com", NULL, 0, false},
    {"no address and no name", NULL, NULL, 0, false},
    {"an empty name", "", NULL, 0, false},
};

START_TEST(test_client_is_local)
{
    struct ip ip;
    bool has_address = clients[_i].address != NULL;
    ck_assert(!has_address || ip_parse(clients[_i].address, &ip));
    bool local = client_is_local(clients[_i].host, has_address ? &ip : NULL, clients[_i].port);
    ck_assert_msg(local == clients[_i].local, "%s", clients[_i].name);
}
END_TEST

/* Proofs are asked for one after another, and where several were looked at, the answer that is
 * further down here stands for all. */
START_TEST(test_orders)
{
    static const enum fact facts[] = {FACT_TAG_IN_BODY,  FACT_HEADER,  FACT_JOURNAL,
                                      FACT_PATTERN,      FACT_CLASS,   FACT_UNTAGGABLE,
                                      FACT_RCPT_NETWORK, FACT_GUESSING};
    static const enum answer answers[] = {ANSWER_UNASKED,   ANSWER_NO,         ANSWER_YES,
                                          ANSWER_EXHAUSTED, ANSWER_OVERLOADED, ANSWER_UNAVAILABLE};
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        ck_assert_uint_eq(facts[i], i);
    }
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        ck_assert_uint_eq(answers[i], i); /* facts that are all zero are unasked */
    }
    ck_assert_uint_eq(FACT_COUNT, COUNT_OF(facts));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("facts");
    TCase *tcase = tcase_create("facts");
    tcase_add_loop_test(tcase, test_client_is_local, 0, (int)COUNT_OF(clients));
    tcase_add_test(tcase, test_orders);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
