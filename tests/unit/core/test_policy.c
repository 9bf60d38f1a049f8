/*
 * What is decided for one recipient: the contract's tables, written out as tables. A cell is the
 * verdict as text: action, rule with the list entry, and would=, proof=, forged where they apply.
 */
#include "fixture.h"

#include "batv/policy.h"

/* Facts of a bounce from somewhere to a recipient without a tag, in a domain that rejects. */
struct facts {
    struct rules rules;
    struct message_facts message;
    struct recipient_facts recipient;
};

static struct facts facts_make(void)
{
    return (struct facts){
        .rules = {.sign = true,
                  .action = ACTION_REJECT,
                  .expired = ACTION_FOLLOW,
                  .forged = ACTION_AUTO},
        .message = {.bounce = true},
        .recipient = {.check = {.result = RESULT_MISSING, .key = -1},
                      .auto_state = AUTO_ENFORCES,
                      .lifetime_days = LIFETIME},
    };
}

static void set_result(struct facts *facts, enum result result, enum tag_syntax syntax, int days)
{
    bool tag = result == RESULT_VALID || result == RESULT_EXPIRED ||
               result == RESULT_BAD_SIGNATURE || result == RESULT_UNKNOWN_KEY;
    facts->recipient.check = (struct tag_check){.result = result,
                                                .syntax = syntax,
                                                .key = tag ? 3 : -1,
                                                .days = days,
                                                .expires = TODAY + days};
}

/* Decides, answering each question by the answer for its fact; asked counts the questions. */
static struct verdict decide(struct facts *facts, const enum answer answers[FACT_COUNT],
                             unsigned *asked)
{
    struct verdict verdict;
    enum fact need;
    *asked = 0;
    while (policy_next(&facts->rules, &facts->message, &facts->recipient, &need, &verdict) ==
           POLICY_NEEDS) {
        ck_assert_int_lt(need, FACT_COUNT);
        ck_assert_int_eq(facts->recipient.answers[need], ANSWER_UNASKED);
        facts->recipient.answers[need] = answers != NULL ? answers[need] : ANSWER_NO;
        (*asked)++;
    }
    return verdict;
}

enum { CELL = 120 };

static void verdict_text(const struct verdict *verdict, char out[static CELL])
{
    int used = snprintf(out, CELL, "%s %s", action_name(verdict->action), verdict->rule);
    if (verdict->entry != NULL) {
        used += snprintf(out + used, CELL - (size_t)used, ":%s", verdict->entry);
    }
    if (verdict->would != verdict->action) {
        used += snprintf(out + used, CELL - (size_t)used, " would=%s", action_name(verdict->would));
    }
    if (verdict->forged) {
        snprintf(out + used, CELL - (size_t)used, " forged");
    }
}

/* One decision at RCPT, where nothing may be asked, and one at the end, with every answer no. */
static void check_cell(const struct facts *facts, const char *expected, const char *what,
                       const char *where)
{
    for (int at_rcpt = 0; at_rcpt < 2; at_rcpt++) {
        struct facts copy = *facts;
        copy.message.at_rcpt = at_rcpt == 1;
        unsigned asked;
        struct verdict verdict = decide(&copy, NULL, &asked);
        char text[CELL];
        verdict_text(&verdict, text);
        ck_assert_msg(strcmp(text, expected) == 0, "%s, %s, %s: %s, expected %s", what, where,
                      at_rcpt ? "at RCPT" : "at the end", text, expected);
        ck_assert(at_rcpt == 0 || asked == 0);
    }
}

/* -------------------------------------------------------------- the tables */

/* A domain's verify.action; the last two are auto when it refuses and when it waits. */
static const struct {
    const char *name;
    enum action action;
    enum auto_state state;
} columns[] = {
    {"log", ACTION_LOG, AUTO_ENFORCES},
    {"mark", ACTION_MARK, AUTO_ENFORCES},
    {"quarantine", ACTION_QUARANTINE, AUTO_ENFORCES},
    {"tempfail", ACTION_TEMPFAIL, AUTO_ENFORCES},
    {"reject", ACTION_REJECT, AUTO_ENFORCES},
    {"discard", ACTION_DISCARD, AUTO_ENFORCES},
    {"auto", ACTION_AUTO, AUTO_ENFORCES},
    {"auto that waits", ACTION_AUTO, AUTO_WAITING},
};

enum { COLUMNS = 8 };

#define BY_ACTION                                                                                  \
    {                                                                                              \
        "log verify.action", "mark verify.action", "quarantine verify.action",                     \
            "tempfail verify.action", "reject verify.action", "discard verify.action",             \
            "reject verify.action", "log auto.warm-up would=reject"                                \
    }
#define ALWAYS(cell)                                                                               \
    {                                                                                              \
        cell, cell, cell, cell, cell, cell, cell, cell                                             \
    }

static const struct {
    const char *name;
    enum result result;
    int days;
    const char *cells[COLUMNS];
} bounces[] = {
    {"valid", RESULT_VALID, 3, ALWAYS("accept tag")},
    {"valid on its last day", RESULT_VALID, 0, ALWAYS("accept tag")},
    {"missing", RESULT_MISSING, 0, BY_ACTION},
    {"foreign", RESULT_FOREIGN, 0, BY_ACTION},
    {"malformed", RESULT_MALFORMED, 0, BY_ACTION},
    {"bad signature", RESULT_BAD_SIGNATURE, 0, BY_ACTION},
    {"unknown key", RESULT_UNKNOWN_KEY, 0, BY_ACTION},
    {"just expired",
     RESULT_EXPIRED,
     -1,
     {"log verify.expired", "mark verify.expired", "quarantine verify.expired",
      "tempfail verify.expired", "reject verify.expired", "discard verify.expired",
      "log verify.expired", "log verify.expired"}},
    {"expired for as long as it lived",
     RESULT_EXPIRED,
     -LIFETIME,
     {"log verify.expired", "mark verify.expired", "quarantine verify.expired",
      "tempfail verify.expired", "reject verify.expired", "discard verify.expired",
      "log verify.expired", "log verify.expired"}},
    {"long expired",
     RESULT_EXPIRED,
     -LIFETIME - 1,
     {"log verify.expired", "mark verify.expired", "quarantine verify.expired",
      "tempfail verify.expired", "reject verify.expired", "discard verify.expired",
      "reject verify.expired", "log auto.warm-up would=reject"}},
};

START_TEST(test_bounce)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        for (int syntax = TAG_PREFIX; syntax <= TAG_SUBADDRESS; syntax++) {
            struct facts facts = facts_make();
            facts.rules.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            set_result(&facts, bounces[_i].result, (enum tag_syntax)syntax, bounces[_i].days);
            check_cell(&facts, bounces[_i].cells[c], bounces[_i].name, columns[c].name);
        }
    }
}
END_TEST

/* Mail that is no bounce, by a client that submits nothing. Only forged tags in prefix syntax
 * matter. */
#define BY_FORGED                                                                                  \
    {                                                                                              \
        "tempfail tag-unauthentic forged", "reject tag-unauthentic forged",                        \
            "reject tag-unauthentic forged", "reject tag-unauthentic forged",                      \
            "reject tag-unauthentic forged", "reject tag-unauthentic forged",                      \
            "reject tag-unauthentic forged", "tempfail tag-unauthentic forged"                     \
    }

static const struct {
    const char *name;
    enum result result;
    enum tag_syntax syntax;
    int days;
    const char *cells[COLUMNS]; /* with verify.forged = "auto" */
} ordinary[] = {
    {"valid", RESULT_VALID, TAG_PREFIX, 3, ALWAYS("accept tag")},
    {"valid subaddress", RESULT_VALID, TAG_SUBADDRESS, 3, ALWAYS("accept tag")},
    {"expired", RESULT_EXPIRED, TAG_PREFIX, -500, ALWAYS("accept ordinary")},
    {"missing", RESULT_MISSING, TAG_PREFIX, 0, ALWAYS("accept ordinary")},
    {"foreign", RESULT_FOREIGN, TAG_PREFIX, 0, ALWAYS("accept ordinary")},
    {"malformed", RESULT_MALFORMED, TAG_PREFIX, 0, ALWAYS("accept ordinary")},
    {"bad signature", RESULT_BAD_SIGNATURE, TAG_PREFIX, 0, BY_FORGED},
    {"unknown key", RESULT_UNKNOWN_KEY, TAG_PREFIX, 0, BY_FORGED},
    {"bad signature, subaddress", RESULT_BAD_SIGNATURE, TAG_SUBADDRESS, 0,
     ALWAYS("accept ordinary")},
    {"unknown key, subaddress", RESULT_UNKNOWN_KEY, TAG_SUBADDRESS, 0, ALWAYS("accept ordinary")},
};

START_TEST(test_ordinary)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        struct facts facts = facts_make();
        facts.message.bounce = false;
        facts.rules.action = columns[c].action;
        facts.recipient.auto_state = columns[c].state;
        set_result(&facts, ordinary[_i].result, ordinary[_i].syntax, ordinary[_i].days);
        check_cell(&facts, ordinary[_i].cells[c], ordinary[_i].name, columns[c].name);
        /* An expired tag's own setting is for bounces. */
        facts.rules.expired = ACTION_REJECT;
        check_cell(&facts, ordinary[_i].cells[c], ordinary[_i].name, columns[c].name);
    }
}
END_TEST

/* What verify.forged says stands above verify.action and any wait. */
START_TEST(test_forged_said_explicitly)
{
    for (int action = ACTION_ACCEPT; action < ACTION_COUNT; action++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            struct facts facts = facts_make();
            facts.message.bounce = false;
            facts.rules.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            facts.rules.forged = (enum action)action;
            set_result(&facts, ordinary[_i].result, ordinary[_i].syntax, ordinary[_i].days);
            char expected[CELL];
            snprintf(expected, sizeof expected, "%s", ordinary[_i].cells[c]);
            if (strstr(expected, "forged") != NULL) {
                snprintf(expected, sizeof expected, "%s tag-unauthentic forged",
                         action_name((enum action)action));
            }
            check_cell(&facts, expected, ordinary[_i].name, columns[c].name);
        }
    }
}
END_TEST

/* The MTA could not refuse what a local process hands in, and a submission to a forged tag is its
 * MTA's business: such mail is never refused for it. */
START_TEST(test_ordinary_mail_from_inside)
{
    for (int local = 0; local < 2; local++) {
        struct facts facts = facts_make();
        facts.message.bounce = false;
        facts.message.local = local == 1;
        facts.message.submission = local == 0;
        facts.rules.forged = ACTION_REJECT;
        set_result(&facts, ordinary[_i].result, ordinary[_i].syntax, ordinary[_i].days);
        bool valid = ordinary[_i].result == RESULT_VALID;
        check_cell(&facts, valid ? "accept tag" : "accept ordinary", ordinary[_i].name,
                   local ? "local" : "submission");
    }
}
END_TEST

/* No exclusion of bounces lets in ordinary mail to a forged tag. */
START_TEST(test_exclusions_are_for_bounces)
{
    struct facts facts = facts_make();
    facts.message = (struct message_facts){.authenticated = true,
                                           .mail_server = "192.0.2.1",
                                           .excluded_network = "192.0.2.0/24",
                                           .excluded_host = "*.test",
                                           .unsigned_host = "*@test"};
    facts.recipient.excluded = "postmaster@*";
    facts.recipient.untaggable = true;
    facts.recipient.key_missed = true;
    set_result(&facts, RESULT_UNKNOWN_KEY, TAG_PREFIX, 0);
    check_cell(&facts, "reject tag-unauthentic forged", "unknown key", "excluded");
}
END_TEST

/* ------------------------------------------------------------- exclusions */

static void apply_local(struct facts *facts)
{
    facts->message.local = true;
}

static void apply_tag(struct facts *facts)
{
    set_result(facts, RESULT_VALID, TAG_PREFIX, 3);
}

static void apply_authenticated(struct facts *facts)
{
    facts->message.authenticated = true;
}

static void apply_mail_servers(struct facts *facts)
{
    facts->message.mail_server = "192.0.2.0/28";
}

static void apply_networks(struct facts *facts)
{
    facts->message.excluded_network = "2001:db8::/32";
}

static void apply_hosts(struct facts *facts)
{
    facts->message.excluded_host = "*.other.test";
}

static void apply_recipients(struct facts *facts)
{
    facts->recipient.excluded = "postmaster@*";
}

static void apply_unsigned_host(struct facts *facts)
{
    facts->message.unsigned_host = "*@*.lists.test";
}

static void apply_untaggable(struct facts *facts)
{
    facts->recipient.untaggable = true;
}

static void apply_key_gone(struct facts *facts)
{
    set_result(facts, RESULT_UNKNOWN_KEY, TAG_PREFIX, 0);
    facts->recipient.key_missed = true;
}

static void apply_tag_in_body(struct facts *facts)
{
    facts->recipient.answers[FACT_TAG_IN_BODY] = ANSWER_YES;
}

static void apply_header(struct facts *facts)
{
    facts->recipient.answers[FACT_HEADER] = ANSWER_YES;
}

static void apply_journal(struct facts *facts)
{
    facts->recipient.answers[FACT_JOURNAL] = ANSWER_YES;
}

static void apply_pattern(struct facts *facts)
{
    facts->recipient.answers[FACT_PATTERN] = ANSWER_YES;
}

static void apply_expired(struct facts *facts)
{
    set_result(facts, RESULT_EXPIRED, TAG_PREFIX, -20);
    facts->rules.expired = ACTION_TEMPFAIL;
}

static void apply_not_signing(struct facts *facts)
{
    facts->rules.sign = false;
}

static void apply_action(struct facts *facts)
{
    facts->rules.action = ACTION_REJECT;
}

/* Every rule for bounces, in the contract's order. needs: the results to which it applies. */
enum { ANY, ONLY_VALID, ONLY_UNTAGGED, ONLY_UNKNOWN_KEY, ONLY_EXPIRED };

static const struct {
    const char *rule;
    void (*apply)(struct facts *facts);
    int needs;
    const char *expected;
} rules[] = {
    {"local", apply_local, ANY, "accept local"},
    {"tag", apply_tag, ONLY_VALID, "accept tag"},
    {"exclude.authenticated", apply_authenticated, ANY, "accept exclude.authenticated"},
    {"exclude.mail_servers", apply_mail_servers, ANY, "accept exclude.mail_servers:192.0.2.0/28"},
    {"exclude.networks", apply_networks, ANY, "accept exclude.networks:2001:db8::/32"},
    {"exclude.hosts", apply_hosts, ANY, "accept exclude.hosts:*.other.test"},
    {"exclude.recipients", apply_recipients, ANY, "accept exclude.recipients:postmaster@*"},
    {"exclude_sign.recipients", apply_unsigned_host, ANY,
     "accept exclude_sign.recipients:*@*.lists.test"},
    {"untaggable", apply_untaggable, ONLY_UNTAGGED, "accept untaggable"},
    {"key-gone", apply_key_gone, ONLY_UNKNOWN_KEY, "log key-gone"},
    {"evidence.tag-in-body", apply_tag_in_body, ANY, "accept evidence.tag-in-body"},
    {"evidence.header", apply_header, ANY, "accept evidence.header"},
    {"evidence.journal", apply_journal, ANY, "accept evidence.journal"},
    {"evidence.pattern", apply_pattern, ANY, "accept evidence.pattern"},
    {"verify.expired", apply_expired, ONLY_EXPIRED, "tempfail verify.expired"},
    {"sign.enabled", apply_not_signing, ONLY_UNTAGGED, "log sign.enabled"},
    {"verify.action", apply_action, ANY, "reject verify.action"},
};

enum { RULES = 17, FIRST_EVIDENCE = 10, LAST_EVIDENCE = 13 };

static void check_rules(size_t first, size_t second)
{
    struct facts facts = facts_make();
    rules[first].apply(&facts);
    if (second != first) {
        rules[second].apply(&facts);
    }
    unsigned asked;
    char text[CELL];
    struct verdict verdict = decide(&facts, NULL, &asked);
    verdict_text(&verdict, text);
    ck_assert_msg(strcmp(text, rules[first].expected) == 0, "%s before %s: %s", rules[first].rule,
                  rules[second].rule, text);
}

START_TEST(test_each_rule_by_itself)
{
    ck_assert_str_eq(policy_rule((size_t)_i), rules[_i].rule);
    ck_assert_int_eq(policy_rule_fact((size_t)_i) != FACT_COUNT,
                     _i >= FIRST_EVIDENCE && _i <= LAST_EVIDENCE);
    check_rules((size_t)_i, (size_t)_i);
}
END_TEST

static bool exclude_each_other(int a, int b)
{
    return a != ANY && b != ANY && a != b;
}

/* Whichever two rules apply, the one that stands before decides. */
START_TEST(test_the_first_of_two_rules_decides)
{
    size_t pairs = 0;
    size_t adjacent = 0;
    for (size_t i = 0; i < RULES; i++) {
        for (size_t j = i + 1; j < RULES; j++) {
            if (!exclude_each_other(rules[i].needs, rules[j].needs)) {
                check_rules(i, j);
                pairs++;
                adjacent += j == i + 1;
            }
        }
    }
    /* Of 136 pairs 9 need different results of one tag, two of them neighbours: untaggable and
     * key-gone, verify.expired and sign.enabled. */
    ck_assert_uint_eq(pairs, 136 - 9);
    ck_assert_uint_eq(adjacent, 16 - 2);
    ck_assert_ptr_null(policy_rule(RULES));
    ck_assert_int_eq(policy_rule_fact(RULES), FACT_COUNT);
}
END_TEST

/* Exclusions let in whatever the tag is, but for the two that are about a tag that is not there. */
START_TEST(test_exclusions_and_results)
{
    for (size_t r = 0; r < FIRST_EVIDENCE; r++) {
        for (size_t b = 0; b < COUNT_OF(bounces); b++) {
            struct facts facts = facts_make();
            rules[r].apply(&facts);
            set_result(&facts, bounces[b].result, TAG_PREFIX, bounces[b].days);
            enum result result = bounces[b].result;
            bool untagged = result == RESULT_MISSING || result == RESULT_FOREIGN;
            bool applies = rules[r].needs == ANY ||
                           (rules[r].needs == ONLY_VALID && result == RESULT_VALID) ||
                           (rules[r].needs == ONLY_UNTAGGED && untagged) ||
                           (rules[r].needs == ONLY_UNKNOWN_KEY && result == RESULT_UNKNOWN_KEY);
            const char *expected = rules[r].expected;
            if (result == RESULT_VALID && r > 0) {
                expected = "accept tag";
            } else if (!applies) {
                expected =
                    result == RESULT_EXPIRED ? "reject verify.expired" : "reject verify.action";
            }
            check_cell(&facts, expected, rules[r].rule, bounces[b].name);
        }
    }
}
END_TEST

/* A domain that does not sign has no ground to miss a tag; all else is judged as ever. */
START_TEST(test_without_signing)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        struct facts facts = facts_make();
        facts.rules.sign = false;
        facts.rules.action = columns[c].action;
        facts.recipient.auto_state =
            columns[c].action == ACTION_AUTO ? AUTO_NOT_SIGNING : columns[c].state;
        set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
        enum result result = bounces[_i].result;
        const char *expected = bounces[_i].cells[c];
        if (result == RESULT_MISSING || result == RESULT_FOREIGN) {
            expected = "log sign.enabled";
        } else if (columns[c].action == ACTION_AUTO) {
            expected = bounces[_i].cells[COLUMNS - 1];
        }
        check_cell(&facts, expected, bounces[_i].name, columns[c].name);
    }
}
END_TEST

/* ---------------------------------------------------------- auto, expired */

START_TEST(test_auto_states)
{
    static const enum auto_state states[] = {AUTO_NOT_SIGNING, AUTO_NEVER_SIGNED, AUTO_WAITING,
                                             AUTO_RELAYED, AUTO_CLOCK};
    for (size_t s = 0; s < COUNT_OF(states); s++) {
        struct facts facts = facts_make();
        facts.rules.action = ACTION_AUTO;
        facts.recipient.auto_state = states[s];
        check_cell(&facts, "log auto.warm-up would=reject", "missing", "held back");
        facts.message.bounce = false;
        set_result(&facts, RESULT_BAD_SIGNATURE, TAG_PREFIX, 0);
        check_cell(&facts, "tempfail tag-unauthentic forged", "bad signature", "held back");
        /* What is said explicitly waits for nothing. */
        facts = facts_make();
        facts.recipient.auto_state = states[s];
        check_cell(&facts, "reject verify.action", "missing", "explicit");
    }
}
END_TEST

START_TEST(test_expired_said_explicitly)
{
    for (int action = ACTION_ACCEPT; action < ACTION_COUNT; action++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            struct facts facts = facts_make();
            facts.rules.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            facts.rules.expired = (enum action)action;
            set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
            char expected[CELL];
            snprintf(expected, sizeof expected, "%s", bounces[_i].cells[c]);
            if (bounces[_i].result == RESULT_EXPIRED) {
                snprintf(expected, sizeof expected, "%s verify.expired",
                         action_name((enum action)action));
            }
            check_cell(&facts, expected, bounces[_i].name, columns[c].name);
        }
    }
}
END_TEST

/* Under auto a bounce may be late by as long as its tag lived. */
START_TEST(test_grace_of_the_expired)
{
    for (int lifetime = 1; lifetime <= RING_LIFETIME_MAX; lifetime++) {
        for (int days = -1; days >= -2 * lifetime - 2; days--) {
            struct facts facts = facts_make();
            facts.rules.action = ACTION_AUTO;
            facts.recipient.lifetime_days = (unsigned)lifetime;
            set_result(&facts, RESULT_EXPIRED, TAG_PREFIX, days);
            check_cell(&facts, -days <= lifetime ? "log verify.expired" : "reject verify.expired",
                       "expired", "auto");
        }
    }
}
END_TEST

/* ------------------------------------------------------------------ pause */

/* Everything is decided as ever, and what would do anything to a message is logged instead; but
 * ordinary mail to a forged tag is deferred, since the MTA would bounce an unknown user's. */
START_TEST(test_pause)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        for (int bounce = 0; bounce < 2; bounce++) {
            const char *cell = bounce ? bounces[_i].cells[c] : ordinary[_i].cells[c];
            struct facts facts = facts_make();
            facts.message.bounce = bounce == 1;
            facts.message.paused = true;
            facts.rules.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            set_result(&facts, bounce ? bounces[_i].result : ordinary[_i].result,
                       bounce ? TAG_PREFIX : ordinary[_i].syntax,
                       bounce ? bounces[_i].days : ordinary[_i].days);
            char expected[CELL];
            snprintf(expected, sizeof expected, "%s", cell);
            if (strncmp(cell, "accept ", 7) != 0 && strncmp(cell, "log ", 4) != 0) {
                snprintf(expected, sizeof expected, "log pause would=%.*s", (int)strcspn(cell, " "),
                         cell);
            }
            if (!bounce && strstr(cell, " forged") != NULL) {
                snprintf(expected, sizeof expected, "tempfail tag-unauthentic forged");
            }
            check_cell(&facts, expected, bounce ? "bounce" : "ordinary", columns[c].name);
        }
    }
}
END_TEST

START_TEST(test_pause_and_forged_said_explicitly)
{
    static const char *const cells[ACTION_COUNT] = {
        [ACTION_ACCEPT] = "accept tag-unauthentic forged",
        [ACTION_LOG] = "log tag-unauthentic forged",
        [ACTION_MARK] = "log pause would=mark forged",
        [ACTION_QUARANTINE] = "log pause would=quarantine forged",
        [ACTION_TEMPFAIL] = "tempfail tag-unauthentic forged",
        [ACTION_REJECT] = "tempfail tag-unauthentic forged",
        [ACTION_DISCARD] = "tempfail tag-unauthentic forged",
    };
    for (int action = ACTION_ACCEPT; action < ACTION_COUNT; action++) {
        struct facts facts = facts_make();
        facts.message.bounce = false;
        facts.message.paused = true;
        facts.rules.forged = (enum action)action;
        set_result(&facts, RESULT_BAD_SIGNATURE, TAG_PREFIX, 0);
        check_cell(&facts, cells[action], "forged", action_name((enum action)action));
    }
}
END_TEST

/* --------------------------------------------------------------- evidence */

static const struct {
    enum fact fact;
    const char *rule, *proof;
} proofs[] = {
    {FACT_TAG_IN_BODY, "evidence.tag-in-body", "tag-in-body"},
    {FACT_HEADER, "evidence.header", "header"},
    {FACT_JOURNAL, "evidence.journal", "journal"},
    {FACT_PATTERN, "evidence.pattern", "pattern"},
};

/* Each fact is asked once, in this order, and no more than needed. */
START_TEST(test_what_is_asked)
{
    for (size_t yes = 0; yes <= COUNT_OF(proofs); yes++) {
        struct facts facts = facts_make();
        struct verdict verdict = {.action = ACTION_ACCEPT};
        for (size_t i = 0; i <= yes && i < COUNT_OF(proofs); i++) {
            enum fact need = FACT_COUNT;
            ck_assert_int_eq(
                policy_next(&facts.rules, &facts.message, &facts.recipient, &need, &verdict),
                POLICY_NEEDS);
            ck_assert_int_eq(need, proofs[i].fact);
            facts.recipient.answers[need] = i == yes ? ANSWER_YES : ANSWER_NO;
        }
        enum fact need = FACT_COUNT;
        ck_assert_int_eq(
            policy_next(&facts.rules, &facts.message, &facts.recipient, &need, &verdict),
            POLICY_DECIDED);
        bool proven = yes < COUNT_OF(proofs);
        ck_assert_int_eq(verdict.action, proven ? ACTION_ACCEPT : ACTION_REJECT);
        ck_assert(!proven || policy_rule_fact(FIRST_EVIDENCE + yes) == proofs[yes].fact);
        ck_assert_str_eq(verdict.rule, proven ? proofs[yes].rule : "verify.action");
        ck_assert_str_eq(verdict.proof, proven ? proofs[yes].proof : "none");
    }
}
END_TEST

START_TEST(test_nothing_is_asked_without_need)
{
    /* Decided before the evidence. */
    for (size_t r = 0; r < FIRST_EVIDENCE; r++) {
        struct facts facts = facts_make();
        unsigned asked;
        rules[r].apply(&facts);
        decide(&facts, NULL, &asked);
        ck_assert_msg(asked == 0, "%s", rules[r].rule);
    }
    /* No bounce. */
    for (int result = RESULT_VALID; result < RESULT_COUNT; result++) {
        struct facts facts = facts_make();
        unsigned asked;
        facts.message.bounce = false;
        set_result(&facts, (enum result)result, TAG_PREFIX, -1);
        struct verdict verdict = decide(&facts, NULL, &asked);
        ck_assert_uint_eq(asked, 0);
        ck_assert_ptr_null(verdict.proof);
    }
    /* At RCPT, even where somebody has the answer. */
    for (size_t r = FIRST_EVIDENCE; r <= LAST_EVIDENCE; r++) {
        struct facts facts = facts_make();
        unsigned asked;
        facts.message.at_rcpt = true;
        rules[r].apply(&facts);
        struct verdict verdict = decide(&facts, NULL, &asked);
        ck_assert_uint_eq(asked, 0);
        ck_assert_str_eq(verdict.rule, "verify.action");
        ck_assert_str_eq(verdict.proof, "none");
    }
}
END_TEST

/* A valid tag needs no proof, so none is named; every other bounce says that it has none. */
START_TEST(test_proof_of_a_bounce)
{
    struct facts facts = facts_make();
    unsigned asked;
    set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
    struct verdict verdict = decide(&facts, NULL, &asked);
    if (bounces[_i].result == RESULT_VALID) {
        ck_assert_ptr_null(verdict.proof);
    } else {
        ck_assert_str_eq(verdict.proof, "none");
    }
}
END_TEST

/* Whatever cannot be had: nothing is refused, deferred, held or marked for it, and the log says
 * what it was. What another fact proves is proven all the same. */
START_TEST(test_unavailable)
{
    for (unsigned set = 1; set < 1U << COUNT_OF(proofs); set++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            enum answer answers[FACT_COUNT];
            const char *first = NULL;
            for (size_t i = 0; i < COUNT_OF(proofs); i++) {
                bool unavailable = (set >> i & 1) != 0;
                answers[proofs[i].fact] = unavailable ? ANSWER_UNAVAILABLE : ANSWER_NO;
                if (unavailable && first == NULL) {
                    first = proofs[i].rule;
                }
            }
            struct facts facts = facts_make();
            facts.rules.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
            unsigned asked;
            struct verdict verdict = decide(&facts, answers, &asked);

            const char *cell = bounces[_i].cells[c];
            char text[CELL];
            char expected[CELL];
            verdict_text(&verdict, text);
            snprintf(expected, sizeof expected, "%s", cell);
            if (strncmp(cell, "accept ", 7) != 0 && strncmp(cell, "log ", 4) != 0) {
                snprintf(expected, sizeof expected, "log %s would=%.*s", first,
                         (int)strcspn(cell, " "), cell);
            }
            ck_assert_msg(strcmp(text, expected) == 0, "%s, %s, unavailable %x: %s, expected %s",
                          bounces[_i].name, columns[c].name, set, text, expected);
        }
    }
}
END_TEST

START_TEST(test_unavailable_and_proven)
{
    for (size_t yes = 0; yes < COUNT_OF(proofs); yes++) {
        enum answer answers[FACT_COUNT];
        for (size_t i = 0; i < COUNT_OF(proofs); i++) {
            answers[proofs[i].fact] = i == yes ? ANSWER_YES : ANSWER_UNAVAILABLE;
        }
        struct facts facts = facts_make();
        unsigned asked;
        struct verdict verdict = decide(&facts, answers, &asked);
        ck_assert_int_eq(verdict.action, ACTION_ACCEPT);
        ck_assert_str_eq(verdict.rule, proofs[yes].rule);
        ck_assert_str_eq(verdict.proof, proofs[yes].proof);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tcase = tcase_create("policy");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_bounce, 0, (int)COUNT_OF(bounces));
    tcase_add_loop_test(tcase, test_ordinary, 0, (int)COUNT_OF(ordinary));
    tcase_add_loop_test(tcase, test_forged_said_explicitly, 0, (int)COUNT_OF(ordinary));
    tcase_add_loop_test(tcase, test_ordinary_mail_from_inside, 0, (int)COUNT_OF(ordinary));
    tcase_add_test(tcase, test_exclusions_are_for_bounces);
    tcase_add_loop_test(tcase, test_each_rule_by_itself, 0, RULES);
    tcase_add_test(tcase, test_the_first_of_two_rules_decides);
    tcase_add_test(tcase, test_exclusions_and_results);
    tcase_add_loop_test(tcase, test_without_signing, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_auto_states);
    tcase_add_loop_test(tcase, test_expired_said_explicitly, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_grace_of_the_expired);
    tcase_add_loop_test(tcase, test_pause, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_pause_and_forged_said_explicitly);
    tcase_add_test(tcase, test_what_is_asked);
    tcase_add_test(tcase, test_nothing_is_asked_without_need);
    tcase_add_loop_test(tcase, test_proof_of_a_bounce, 0, (int)COUNT_OF(bounces));
    tcase_add_loop_test(tcase, test_unavailable, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_unavailable_and_proven);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
