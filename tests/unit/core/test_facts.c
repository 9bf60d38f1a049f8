/* Which clients are local processes: a table of what an MTA says about where mail comes from. And
 * the table of facts: the orders that others rely on, the rules and the manuals that name the same
 * proofs. Run in the tree's top folder. */
#include "fixture.h"

#include "batv/facts.h"
#include "batv/policy.h"

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

/* A rule for evidence bears the proof's name, and asks for its fact. */
START_TEST(test_rules_for_proofs)
{
    static const char prefix[] = "evidence.";
    size_t rule = 0;
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        if (fact_row(fact)->proof == NULL) {
            continue;
        }
        while (policy_rule(rule) != NULL && strncmp(policy_rule(rule), prefix, 9) != 0) {
            rule++;
        }
        ck_assert_ptr_nonnull(policy_rule(rule));
        ck_assert_str_eq(policy_rule(rule) + sizeof prefix - 1, fact_row(fact)->proof);
        ck_assert_int_eq(policy_rule_fact(rule++), fact);
    }
    for (; policy_rule(rule) != NULL; rule++) {
        ck_assert_int_ne(strncmp(policy_rule(rule), prefix, 9), 0);
    }
}
END_TEST

/* Rules judge recipients. What a proof is read from stands in the content. */
START_TEST(test_rows)
{
    for (size_t i = 0; policy_rule(i) != NULL; i++) {
        enum fact fact = policy_rule_fact(i);
        ck_assert(fact == FACT_COUNT || !fact_row(fact)->of_message);
    }
    for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
        ck_assert(fact_row(fact)->proof == NULL || fact_row(fact)->reads);
        ck_assert(fact_row(fact)->is_on != NULL);
    }
}
END_TEST

START_TEST(test_proof_names)
{
    static const char *const names[] = {"tag-in-body", "header",    "journal",
                                        "pattern",     "exhausted", "none"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        ck_assert_str_eq(proof_name(i), names[i]);
    }
    ck_assert_ptr_null(proof_name(COUNT_OF(names)));
    ck_assert_uint_le(COUNT_OF(names), PROOF_NAMES_MAX);
}
END_TEST

/* ------------------------------------------------------------------ manuals */

static char *read_file(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s cannot be read: run in the tree's top folder", path);
    ck_assert_int_gt(getdelim(&text, &size, '\0', file), 0);
    ck_assert_int_eq(fclose(file), 0);
    return text;
}

/* The manuals' lists of proofs: the first item begins it, and each further one begins alike. */
static const struct {
    const char *path;
    const char *item;
    bool words; /* all words behind proof=, not the proofs alone */
} lists[] = {
    {"man/batvd.8", "\n.It Ic ", false},
    {"man/batvd.conf.5", "\n.It Li ", true},
};

START_TEST(test_lists_in_manuals)
{
    char first[64];
    char *manual = read_file(lists[_i].path);
    snprintf(first, sizeof first, "%s%s\n", lists[_i].item, proof_name(0));
    const char *at = strstr(manual, first);
    ck_assert_msg(at != NULL, "%s has no list of proofs", lists[_i].path);
    const char *end = strstr(at, "\n.El\n");
    size_t count = 0;
    for (; at != NULL && at < end; at = strstr(at + 1, lists[_i].item)) {
        const char *name = at + strlen(lists[_i].item);
        const char *expected = proof_name(count++);
        ck_assert_msg(expected != NULL && strncmp(name, expected, strlen(expected)) == 0 &&
                          name[strlen(expected)] == '\n',
                      "%s: %.20s stands where %s should", lists[_i].path, name,
                      expected != NULL ? expected : "nothing");
    }
    const char *left = proof_name(count);
    ck_assert_msg(lists[_i].words ? left == NULL : left != NULL && strcmp(left, "exhausted") == 0,
                  "%s lacks %s", lists[_i].path, left);
    free(manual);
}
END_TEST

/* All words behind proof= in one line; the last may stand behind an "or". */
static const struct {
    const char *path;
    const char *before, *after;
    bool last;
} lines[] = {
    {"man/batvd.8", "", "", false},
    {"man/batvctl.8", "\\(dq", "\\(dq", true},
};

START_TEST(test_lines_in_manuals)
{
    char line[300] = "";
    char *manual = read_file(lines[_i].path);
    for (size_t i = 0; proof_name(i + !lines[_i].last) != NULL; i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "%s%s%s%s", i > 0 ? " , " : "", lines[_i].before,
                 proof_name(i), lines[_i].after);
    }
    ck_assert_msg(strstr(manual, line) != NULL, "%s lacks: %s", lines[_i].path, line);
    free(manual);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("facts");
    TCase *tcase = tcase_create("facts");
    tcase_add_loop_test(tcase, test_client_is_local, 0, (int)COUNT_OF(clients));
    tcase_add_test(tcase, test_orders);
    tcase_add_test(tcase, test_rules_for_proofs);
    tcase_add_test(tcase, test_rows);
    tcase_add_test(tcase, test_proof_names);
    tcase_add_loop_test(tcase, test_lists_in_manuals, 0, (int)COUNT_OF(lists));
    tcase_add_loop_test(tcase, test_lines_in_manuals, 0, (int)COUNT_OF(lines));
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
