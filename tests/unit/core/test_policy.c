/*
 * What is decided for one recipient: the contract's tables, written out as tables. A cell is the
 * verdict as text: action, rule with the list entry, and would=, proof= and forged where they
 * apply (proof=none is left out).
 */
#include "fixture.h"

#include "batv/policy.h"

/* Facts of a bounce from somewhere to a recipient without a tag, in a domain that rejects. All
 * evidence is asked for, and every class follows verify.action. class and names_message_id are
 * what reading the content will tell. */
struct facts {
    struct domain_settings domain;
    struct message_facts message;
    struct recipient_facts recipient;
    enum bounce_class class;
    bool names_message_id;
};

/* Of a domain's own Message-IDs. */
static struct regex_list *message_ids;

static void setup(void)
{
    message_ids = REGEXES("@example\\.com$");
}

static void teardown(void)
{
    regex_list_free(message_ids);
}

static void set_classes(struct facts *facts, enum action action)
{
    for (size_t i = 0; i < BOUNCE_CLASS_COUNT; i++) {
        facts->domain.classes[i] = action;
    }
}

static void set_asks(struct facts *facts, bool asks)
{
    for (size_t i = 0; i < FACT_COUNT; i++) {
        facts->message.asks[i] = asks;
    }
}

static struct facts facts_make(void)
{
    struct facts facts = {
        .domain = {.sign = true,
                   .action = ACTION_REJECT,
                   .expired = ACTION_FOLLOW,
                   .forged = ACTION_AUTO},
        .message = {.bounce = true, .class = BOUNCE_UNREAD},
        .recipient = {.check = {.result = RESULT_MISSING, .key = -1},
                      .auto_state = AUTO_ENFORCES,
                      .lifetime_days = LIFETIME},
        .class = BOUNCE_DSN,
    };
    set_classes(&facts, ACTION_FOLLOW);
    set_asks(&facts, true);
    return facts;
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

static bool has_been_read(enum fact fact, enum answer answer)
{
    return fact != FACT_UNTAGGABLE &&
           (answer == ANSWER_NO || answer == ANSWER_YES || answer == ANSWER_EXHAUSTED);
}

/* Decides, answering each question by the answer for its fact; NULL: they are all no, and the class
 * is known. *asked gets a bit for each fact that was asked, but for FACT_UNTAGGABLE, which is asked
 * of every one without a tag and is answered with no unless it is said otherwise. */
static struct verdict decide(struct facts *facts, const enum answer answers[FACT_COUNT],
                             unsigned *asked)
{
    static const enum answer nothing[FACT_COUNT] = {
        [FACT_TAG_IN_BODY] = ANSWER_NO, [FACT_HEADER] = ANSWER_NO, [FACT_JOURNAL] = ANSWER_NO,
        [FACT_PATTERN] = ANSWER_NO,     [FACT_CLASS] = ANSWER_YES,
    };
    struct verdict verdict;
    enum fact need;
    *asked = 0;
    while (policy_next(&facts->domain, &facts->message, &facts->recipient, &need, &verdict) ==
           POLICY_NEEDS) {
        REQUIRE(need < FACT_COUNT);
        REQUIRE(facts->recipient.answers[need] == ANSWER_UNASKED);
        enum answer answer = (answers != NULL ? answers : nothing)[need];
        if (need == FACT_UNTAGGABLE && answer == ANSWER_UNASKED) {
            answer = ANSWER_NO;
        }
        if (has_been_read(need, answer)) {
            facts->message.class = facts->class;
            facts->message.names_message_id = facts->names_message_id;
        }
        facts->recipient.answers[need] = answer;
        *asked |= need != FACT_UNTAGGABLE ? 1U << need : 0;
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
    if (verdict->proof != NULL && strcmp(verdict->proof, "none") != 0) {
        used += snprintf(out + used, CELL - (size_t)used, " proof=%s", verdict->proof);
    }
    if (verdict->cause == CAUSE_FORGED_TAG) {
        snprintf(out + used, CELL - (size_t)used, " forged");
    }
}

/* One decision; *asked as by decide. */
static void check_decision(const struct facts *facts, const enum answer answers[FACT_COUNT],
                           const char *expected, const char *what, const char *where,
                           unsigned *asked)
{
    struct facts copy = *facts;
    struct verdict verdict = decide(&copy, answers, asked);
    char text[CELL];
    verdict_text(&verdict, text);
    if (strcmp(text, expected) != 0) {
        ck_abort_msg("%s, %s: %s, expected %s", what, where, text, expected);
    }
}

/* What holds whether or not there is evidence: decided at RCPT and without any, where nothing may
 * be asked, and at the end, by nothing but no, for a bounce of every class. */
static void check_cell(const struct facts *facts, const char *expected, const char *what,
                       const char *where)
{
    struct facts copy = *facts;
    char place[CELL];
    unsigned asked;
    for (int class = 0; class < BOUNCE_CLASS_COUNT; class ++) {
        bool untaggable = facts->recipient.answers[FACT_UNTAGGABLE] == ANSWER_YES;
        for (int names = 0; names < (untaggable ? 1 : 2); names++) {
            copy.class = (enum bounce_class) class;
            copy.names_message_id = names == 1;
            check_decision(&copy, NULL, expected, what, where, &asked);
        }
    }
    copy.message.at_rcpt = true;
    snprintf(place, sizeof place, "%s, at RCPT", where);
    check_decision(&copy, NULL, expected, what, place, &asked);
    REQUIRE(asked == 0);
    copy.message.at_rcpt = false;
    set_asks(&copy, false);
    snprintf(place, sizeof place, "%s, without evidence", where);
    check_decision(&copy, NULL, expected, what, place, &asked);
    REQUIRE(asked == 0);
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
            facts.domain.action = columns[c].action;
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
        "reject tag-unauthentic forged", "reject tag-unauthentic forged",                          \
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
        facts.domain.action = columns[c].action;
        facts.recipient.auto_state = columns[c].state;
        set_result(&facts, ordinary[_i].result, ordinary[_i].syntax, ordinary[_i].days);
        check_cell(&facts, ordinary[_i].cells[c], ordinary[_i].name, columns[c].name);
        /* An expired tag's own setting is for bounces. */
        facts.domain.expired = ACTION_REJECT;
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
            facts.domain.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            facts.domain.forged = (enum action)action;
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

/* The MTA could not reject what a local process hands in. A submission is judged as mail from
 * outside: its MTA knows a made-up tag no better. */
START_TEST(test_ordinary_mail_from_inside)
{
    for (int local = 0; local < 2; local++) {
        struct facts facts = facts_make();
        facts.message.bounce = false;
        facts.message.has_sender = true;
        facts.message.local = local == 1;
        facts.message.submission = true;
        set_result(&facts, ordinary[_i].result, ordinary[_i].syntax, ordinary[_i].days);
        const char *expected = ordinary[_i].cells[0];
        bool forged = strstr(expected, "forged") != NULL;
        check_cell(&facts, forged && local ? "accept ordinary" : expected, ordinary[_i].name,
                   local ? "local" : "submission");
    }
}
END_TEST

static const struct {
    const char *name;
    enum auto_state state;
    bool waits; /* for time to pass */
} auto_states[] = {
    {"enforces", AUTO_ENFORCES, false},
    {"does not sign", AUTO_NOT_SIGNING, false},
    {"never signed", AUTO_NEVER_SIGNED, true},
    {"waits", AUTO_WAITING, true},
    {"relayed", AUTO_RELAYED, true},
    {"no tag seen", AUTO_NO_TAG, false},
    {"clock", AUTO_CLOCK, true},
};

/* Ordinary mail, and a bounce whose sender is not null: the time of `auto` decides whether it is
 * deferred, whatever the domain's action is. Who has logged in is answered at once. */
START_TEST(test_forged_by_the_time_of_auto)
{
    static const enum result results[] = {RESULT_BAD_SIGNATURE, RESULT_UNKNOWN_KEY};
    for (size_t c = 0; c < COLUMNS; c++) {
        for (size_t r = 0; r < 2 * COUNT_OF(results); r++) {
            struct facts facts = facts_make();
            facts.message.bounce = r % 2 == 1;
            facts.message.has_sender = true;
            facts.domain.action = columns[c].action;
            facts.recipient.auto_state = auto_states[_i].state;
            set_result(&facts, results[r / 2], TAG_PREFIX, 0);
            const char *reject = "reject tag-unauthentic forged";
            const char *defer = "tempfail tag-unauthentic forged";
            check_cell(&facts, auto_states[_i].waits ? defer : reject, auto_states[_i].name,
                       columns[c].name);
            facts.message.submission = true;
            check_cell(&facts, auto_states[_i].waits ? defer : reject, auto_states[_i].name,
                       "submission");
            facts.message.logged_in = true;
            check_cell(&facts, reject, auto_states[_i].name, "authenticated");
            facts.message.paused = true;
            check_cell(&facts, "tempfail tag-unauthentic would=reject forged", auto_states[_i].name,
                       "paused");
        }
    }
}
END_TEST

/* A bounce whose sender is not null is judged by its recipient's tag in the same way as ordinary
 * mail where nothing accepts it. One with the null sender never is: see test_bounce. */
START_TEST(test_forged_bounce_with_a_sender)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        for (int syntax = TAG_PREFIX; syntax <= TAG_SUBADDRESS; syntax++) {
            struct facts facts = facts_make();
            enum result result = bounces[_i].result;
            bool unauthentic = result == RESULT_BAD_SIGNATURE || result == RESULT_UNKNOWN_KEY;
            const char *expected = bounces[_i].cells[c];
            facts.message.has_sender = true;
            facts.domain.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            set_result(&facts, result, (enum tag_syntax)syntax, bounces[_i].days);
            if (unauthentic && syntax == TAG_PREFIX) {
                expected = columns[c].state == AUTO_WAITING ? "tempfail tag-unauthentic forged"
                                                            : "reject tag-unauthentic forged";
            }
            check_cell(&facts, expected, bounces[_i].name, columns[c].name);
        }
    }
}
END_TEST

/* What may be genuine is deferred while that cannot be known, and never accepted: the MTA would
 * return what it cannot deliver. */
START_TEST(test_forged_bounce_that_cannot_be_read)
{
    static const enum answer kinds[] = {ANSWER_UNAVAILABLE, ANSWER_OVERLOADED};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        for (int paused = 0; paused < 2; paused++) {
            struct facts facts = facts_make();
            enum answer answers[FACT_COUNT] = {kinds[k], kinds[k], kinds[k], kinds[k], ANSWER_NO};
            unsigned asked;
            facts.message.has_sender = true;
            facts.message.paused = paused == 1;
            set_result(&facts, RESULT_BAD_SIGNATURE, TAG_PREFIX, 0);
            check_decision(&facts, answers,
                           paused ? "tempfail tag-unauthentic would=reject forged"
                                  : "tempfail evidence.tag-in-body would=reject",
                           "bad signature", paused ? "paused" : "cannot be read", &asked);
        }
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
    facts.recipient.answers[FACT_UNTAGGABLE] = ANSWER_YES;
    facts.recipient.key_missed = true;
    set_result(&facts, RESULT_UNKNOWN_KEY, TAG_PREFIX, 0);
    check_cell(&facts, "reject tag-unauthentic forged", "unknown key", "excluded");
}
END_TEST

/* ----------------------------------------------------- a tag as a sender */

/* A sender with a tag that we did not make is a ground for what keeps no message; while its domain
 * waits that is only logged. What is done for other reasons is done for these. */
START_TEST(test_sender)
{
    static const enum action actions[] = {ACTION_ACCEPT, ACTION_TEMPFAIL, ACTION_REJECT};
    for (size_t n = 0; n < COUNT_OF(actions) * COLUMNS * 8; n++) {
        struct facts facts = facts_make();
        size_t c = n / 8 % COLUMNS;
        enum action action = actions[n / 8 / COLUMNS];
        facts.message.bounce = (n & 1) != 0;
        facts.message.sender_waits = (n & 2) != 0;
        facts.message.paused = (n & 4) != 0;
        facts.domain.action = columns[c].action;
        facts.recipient.auto_state = columns[c].state;
        set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
        unsigned asked;
        struct facts copy = facts;
        struct verdict plain = decide(&copy, NULL, &asked);
        copy = facts;
        copy.message.paused = false;
        enum action unpaused = decide(&copy, NULL, &asked).action;
        facts.message.forged_sender = action;
        struct verdict verdict = decide(&facts, NULL, &asked);
        bool logs = facts.message.sender_waits || facts.message.paused;
        bool applies = action != ACTION_ACCEPT && unpaused < ACTION_TEMPFAIL &&
                       (unpaused <= ACTION_LOG || !facts.message.sender_waits);
        if (plain.cause == CAUSE_FORGED_TAG || !applies) {
            ck_assert_str_eq(verdict.rule, plain.rule);
            ck_assert_int_eq(verdict.action, plain.action);
            continue;
        }
        ck_assert_int_eq(verdict.action, logs ? ACTION_LOG : action);
        ck_assert_int_eq(verdict.would, action);
        ck_assert_int_eq(verdict.cause, CAUSE_FORGED_SENDER);
        ck_assert_str_eq(verdict.rule, facts.message.paused && !facts.message.sender_waits
                                           ? "pause"
                                           : "sender-tag-unauthentic");
    }
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

static void apply_guessing(struct facts *facts)
{
    facts->message.guesses = true;
}

static void apply_guessed_at(struct facts *facts)
{
    facts->recipient.answers[FACT_GUESSING] = ANSWER_YES;
}

static void apply_unauthentic(struct facts *facts)
{
    set_result(facts, RESULT_UNKNOWN_KEY, TAG_PREFIX, 0);
    facts->message.has_sender = true;
}

static void apply_untaggable(struct facts *facts)
{
    facts->recipient.answers[FACT_UNTAGGABLE] = ANSWER_YES;
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
    facts->domain.sign = false;
    facts->domain.message_ids = message_ids;
    facts->recipient.answers[FACT_PATTERN] = ANSWER_YES;
}

/* What is done by the class is no more than logging, which needs no ground. */
static void apply_class(struct facts *facts)
{
    facts->class = BOUNCE_MDN;
    facts->domain.classes[BOUNCE_MDN] = ACTION_LOG;
}

static void apply_expired(struct facts *facts)
{
    set_result(facts, RESULT_EXPIRED, TAG_PREFIX, -20);
    facts->domain.expired = ACTION_TEMPFAIL;
}

static void apply_not_signing(struct facts *facts)
{
    facts->domain.sign = false;
}

static void apply_action(struct facts *facts)
{
    facts->domain.action = ACTION_REJECT;
}

/* The results to which a rule applies. */
enum {
    ONLY_VALID = 1,
    ONLY_UNTAGGED = 2,
    ONLY_UNKNOWN_KEY = 4,
    ONLY_EXPIRED = 8,
    ONLY_OTHERS = 16, /* malformed, bad signature */
    ANY = 31
};

static int kind_of(enum result result)
{
    switch (result) {
    case RESULT_VALID:
        return ONLY_VALID;
    case RESULT_MISSING:
    case RESULT_FOREIGN:
        return ONLY_UNTAGGED;
    case RESULT_UNKNOWN_KEY:
        return ONLY_UNKNOWN_KEY;
    case RESULT_EXPIRED:
        return ONLY_EXPIRED;
    default:
        return ONLY_OTHERS;
    }
}

/* Every rule for bounces, in the contract's order. */
static const struct {
    const char *rule;
    void (*apply)(struct facts *facts);
    int needs;
    enum fact asks;
    const char *expected;
} rules[] = {
    {"local", apply_local, ANY, FACT_COUNT, "accept local"},
    {"tag", apply_tag, ONLY_VALID, FACT_COUNT, "accept tag"},
    {"exclude.authenticated", apply_authenticated, ANY, FACT_COUNT, "accept exclude.authenticated"},
    {"exclude.mail_servers", apply_mail_servers, ANY, FACT_COUNT,
     "accept exclude.mail_servers:192.0.2.0/28"},
    {"exclude.networks", apply_networks, ANY, FACT_COUNT, "accept exclude.networks:2001:db8::/32"},
    {"exclude.hosts", apply_hosts, ANY, FACT_COUNT, "accept exclude.hosts:*.other.test"},
    {"exclude.recipients", apply_recipients, ANY, FACT_COUNT,
     "accept exclude.recipients:postmaster@*"},
    {"exclude_sign.recipients", apply_unsigned_host, ANY, FACT_COUNT,
     "accept exclude_sign.recipients:*@*.lists.test"},
    {"guessing", apply_guessing, ANY, FACT_COUNT, "reject guessing"},
    {"evidence.tag-in-body", apply_tag_in_body, ANY, FACT_TAG_IN_BODY,
     "accept evidence.tag-in-body proof=tag-in-body"},
    {"evidence.header", apply_header, ANY, FACT_HEADER, "accept evidence.header proof=header"},
    {"evidence.journal", apply_journal, ANY, FACT_JOURNAL, "accept evidence.journal proof=journal"},
    {"evidence.pattern", apply_pattern, ANY, FACT_PATTERN, "accept evidence.pattern proof=pattern"},
    {"untaggable", apply_untaggable, ONLY_UNTAGGED, FACT_UNTAGGABLE, "accept untaggable"},
    {"key-gone", apply_key_gone, ONLY_UNKNOWN_KEY, FACT_COUNT, "log key-gone"},
    {"guessing.address", apply_guessed_at, ANY, FACT_COUNT, "tempfail guessing"},
    {"tag-unauthentic", apply_unauthentic, ONLY_UNKNOWN_KEY, FACT_COUNT,
     "reject tag-unauthentic forged"},
    {"verify.class", apply_class, ONLY_UNTAGGED | ONLY_EXPIRED, FACT_CLASS, "log verify.class.mdn"},
    {"verify.expired", apply_expired, ONLY_EXPIRED, FACT_COUNT, "tempfail verify.expired"},
    {"sign.enabled", apply_not_signing, ONLY_UNTAGGED, FACT_COUNT, "log sign.enabled"},
    {"verify.action", apply_action, ANY, FACT_COUNT, "reject verify.action"},
};

enum {
    RULES = 21,
    TAG = 1,
    GUESSING = 8,
    FIRST_EVIDENCE = 9,
    LAST_EVIDENCE = 12,
    GUESSED_AT = 15,
    UNAUTHENTIC = 16
};

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
    ck_assert_int_eq(policy_rule_fact((size_t)_i), rules[_i].asks);
    check_rules((size_t)_i, (size_t)_i);
}
END_TEST

/* Whichever two rules apply, the one that stands before decides. */
START_TEST(test_the_first_of_two_rules_decides)
{
    size_t pairs = 0;
    size_t adjacent = 0;
    for (size_t i = 0; i < RULES; i++) {
        for (size_t j = i + 1; j < RULES; j++) {
            bool guessed =
                i == TAG &&
                (j == GUESSING || j == GUESSED_AT); /* what is right among guesses is one too */
            if ((rules[i].needs & rules[j].needs) != 0 && !guessed) {
                check_rules(i, j);
                pairs++;
                adjacent += j == i + 1;
            }
        }
    }
    /* Of 210 pairs 18 never decide so: tag and either guessing, and 16 that need different results
     * of one tag, three of them neighbours: untaggable and key-gone, tag-unauthentic and
     * verify.class, verify.expired and sign.enabled. */
    ck_assert_uint_eq(pairs, 210 - 18);
    ck_assert_uint_eq(adjacent, 20 - 3);
    ck_assert_ptr_null(policy_rule(RULES));
    ck_assert_int_eq(policy_rule_fact(RULES), FACT_COUNT);
}
END_TEST

static bool is_evidence(size_t rule)
{
    return rule >= FIRST_EVIDENCE && rule <= LAST_EVIDENCE;
}

/* Exclusions accept whatever the tag is, but for untaggable and key-gone, which are about the tag.
 * All of them apply at RCPT too. */
START_TEST(test_exclusions_and_results)
{
    for (size_t r = 0; r < UNAUTHENTIC; r++) {
        for (size_t b = 0; !is_evidence(r) && b < COUNT_OF(bounces); b++) {
            struct facts facts = facts_make();
            rules[r].apply(&facts);
            set_result(&facts, bounces[b].result, TAG_PREFIX, bounces[b].days);
            enum result result = bounces[b].result;
            bool applies = (rules[r].needs & kind_of(result)) != 0;
            const char *expected = rules[r].expected;
            if (result == RESULT_VALID && r > 0 && r != GUESSING && r != GUESSED_AT) {
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
        facts.domain.sign = false;
        facts.domain.action = columns[c].action;
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
        facts.domain.action = ACTION_AUTO;
        facts.recipient.auto_state = states[s];
        check_cell(&facts, "log auto.warm-up would=reject", "missing", "held back");
        set_result(&facts, RESULT_BAD_SIGNATURE, TAG_PREFIX, 0);
        check_cell(&facts, "log auto.warm-up would=reject", "bad signature", "held back");
        /* What is said explicitly waits for nothing. */
        facts = facts_make();
        facts.recipient.auto_state = states[s];
        check_cell(&facts, "reject verify.action", "missing", "explicit");
    }
}
END_TEST

/* The time is over. Bounces wait for a tag that comes back; forged tags of ordinary mail do not. */
START_TEST(test_auto_without_a_tag_seen)
{
    struct facts facts = facts_make();
    facts.domain.action = ACTION_AUTO;
    facts.recipient.auto_state = AUTO_NO_TAG;
    check_cell(&facts, "log auto.no-tag-seen would=reject", "missing", "no tag seen");
    facts.message.bounce = false;
    set_result(&facts, RESULT_BAD_SIGNATURE, TAG_PREFIX, 0);
    check_cell(&facts, "reject tag-unauthentic forged", "bad signature", "no tag seen");

    facts = facts_make();
    facts.domain.action = ACTION_AUTO;
    facts.recipient.auto_state = AUTO_ENFORCES;
    facts.message.relay_unproven = true;
    check_cell(&facts, "log auto.no-tag-seen would=reject", "missing", "unproven relay");
    facts.recipient.auto_state = AUTO_WAITING;
    check_cell(&facts, "log auto.warm-up would=reject", "missing", "unproven relay that waits");
    facts.domain.action = ACTION_REJECT;
    check_cell(&facts, "reject verify.action", "missing", "explicit");
}
END_TEST

/* A bounce without a tag that names a Message-ID may name one that was ours before it was replaced.
 */
START_TEST(test_auto_where_message_ids_are_rewritten)
{
    struct facts facts = facts_make();
    unsigned asked;
    facts.domain.action = ACTION_AUTO;
    facts.recipient.auto_state = AUTO_ENFORCES;
    facts.recipient.ids_rewritten = true;
    facts.names_message_id = false;
    check_decision(&facts, NULL, "reject verify.action", "missing", "names none", &asked);
    facts.names_message_id = true;
    check_decision(&facts, NULL, "log auto.ids-rewritten would=reject", "missing", "names one",
                   &asked);
    facts.message.at_rcpt = true;
    check_decision(&facts, NULL, "reject verify.action", "missing", "at RCPT", &asked);
    facts.message.at_rcpt = false;
    facts.message.relay_unproven = true;
    check_decision(&facts, NULL, "log auto.no-tag-seen would=reject", "missing", "unproven relay",
                   &asked);
    facts.recipient.auto_state = AUTO_WAITING;
    check_decision(&facts, NULL, "log auto.warm-up would=reject", "missing", "it waits", &asked);
    facts.recipient.auto_state = AUTO_ENFORCES;
    facts.message.relay_unproven = false;
    set_result(&facts, RESULT_FOREIGN, TAG_PREFIX, 0);
    check_decision(&facts, NULL, "log auto.ids-rewritten would=reject", "foreign", "names one",
                   &asked);
    set_result(&facts, RESULT_BAD_SIGNATURE, TAG_PREFIX, 0);
    check_decision(&facts, NULL, "reject verify.action", "bad signature", "names one", &asked);
    set_result(&facts, RESULT_EXPIRED, TAG_PREFIX, -100);
    check_decision(&facts, NULL, "reject verify.expired", "expired", "names one", &asked);
    set_result(&facts, RESULT_MISSING, TAG_PREFIX, 0);
    facts.recipient.ids_rewritten = false;
    check_decision(&facts, NULL, "reject verify.action", "missing", "they come back", &asked);
    facts.recipient.ids_rewritten = true;
    facts.domain.action = ACTION_REJECT;
    check_decision(&facts, NULL, "reject verify.action", "missing", "explicit", &asked);
}
END_TEST

START_TEST(test_expired_said_explicitly)
{
    for (int action = ACTION_ACCEPT; action < ACTION_COUNT; action++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            struct facts facts = facts_make();
            facts.domain.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            facts.domain.expired = (enum action)action;
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
            facts.domain.action = ACTION_AUTO;
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
            facts.domain.action = columns[c].action;
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
                bool rejects = strncmp(cell, "reject ", 7) == 0;
                snprintf(expected, sizeof expected, "tempfail tag-unauthentic%s forged",
                         rejects ? " would=reject" : "");
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
        [ACTION_REJECT] = "tempfail tag-unauthentic would=reject forged",
        [ACTION_DISCARD] = "tempfail tag-unauthentic would=discard forged",
    };
    for (int action = ACTION_ACCEPT; action < ACTION_COUNT; action++) {
        struct facts facts = facts_make();
        facts.message.bounce = false;
        facts.message.paused = true;
        facts.domain.forged = (enum action)action;
        set_result(&facts, RESULT_BAD_SIGNATURE, TAG_PREFIX, 0);
        check_cell(&facts, cells[action], "forged", action_name((enum action)action));
    }
}
END_TEST

/* ------------------------------------------------------------------ class */

static const char *const class_rules[BOUNCE_CLASS_COUNT] = {
    [BOUNCE_DSN] = "verify.class.dsn",
    [BOUNCE_MDN] = "verify.class.mdn",
    [BOUNCE_CALENDAR] = "verify.class.calendar",
    [BOUNCE_REPORT] = "verify.class.report",
    [BOUNCE_AUTOREPLY] = "verify.class.autoreply",
    [BOUNCE_OTHER] = "verify.class.other",
};

/* Answers that have no tag by their nature: of missing, foreign and expired, the class's own action
 * stands above the domain's and above any wait. Other classes' actions are no concern of it. */
START_TEST(test_class)
{
    bool concerned = (kind_of(bounces[_i].result) & (ONLY_UNTAGGED | ONLY_EXPIRED)) != 0;
    for (int class = 0; class < BOUNCE_CLASS_COUNT; class ++) {
        for (int action = ACTION_ACCEPT; action <= ACTION_COUNT; action++) {
            for (size_t c = 0; c < COLUMNS; c++) {
                bool follows = action == ACTION_COUNT;
                struct facts facts = facts_make();
                facts.class = (enum bounce_class) class;
                facts.domain.action = columns[c].action;
                facts.recipient.auto_state = columns[c].state;
                set_classes(&facts, action == ACTION_MARK ? ACTION_DISCARD : ACTION_MARK);
                facts.domain.classes[class] = follows ? ACTION_FOLLOW : (enum action)action;
                set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);

                char expected[CELL];
                unsigned asked;
                snprintf(expected, sizeof expected, "%s", bounces[_i].cells[c]);
                if (concerned && !follows) {
                    snprintf(expected, sizeof expected, "%s %s", action_name((enum action)action),
                             class_rules[class]);
                }
                check_decision(&facts, NULL, expected, bounces[_i].name, columns[c].name, &asked);
                REQUIRE((asked & 1U << FACT_CLASS) == (concerned ? 1U << FACT_CLASS : 0));
                /* At RCPT nobody knows the class yet, without evidence nobody ever does. */
                facts.message.at_rcpt = true;
                check_decision(&facts, NULL, bounces[_i].cells[c], bounces[_i].name, "at RCPT",
                               &asked);
                REQUIRE(asked == 0);
                facts.message.at_rcpt = false;
                facts.message.asks[FACT_CLASS] = false;
                check_decision(&facts, NULL, bounces[_i].cells[c], bounces[_i].name, "unasked",
                               &asked);
            }
        }
    }
}
END_TEST

/* `auto` logs what nothing can be known about, and leaves the rest to the next rule. */
START_TEST(test_class_by_what_it_names)
{
    bool concerned = (kind_of(bounces[_i].result) & (ONLY_UNTAGGED | ONLY_EXPIRED)) != 0;
    for (unsigned bits = 0; bits < 8 * BOUNCE_CLASS_COUNT; bits++) {
        bool names = (bits & 1) != 0;
        bool expected_marks = (bits & 2) != 0;
        bool young = (bits & 4) != 0;
        enum bounce_class class = (enum bounce_class)(bits / 8);
        struct facts facts = facts_make();
        facts.class = class;
        facts.names_message_id = names;
        facts.recipient.marks_expected = expected_marks;
        facts.recipient.journal_young = young;
        facts.domain.classes[class] = ACTION_AUTO;
        set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
        char expected[CELL];
        unsigned asked;
        snprintf(expected, sizeof expected, "%s", bounces[_i].cells[4]);
        if (concerned && !(names && expected_marks && !young)) {
            snprintf(expected, sizeof expected, "log %s", class_rules[class]);
        }
        check_decision(&facts, NULL, expected, bounces[_i].name, "auto", &asked);
        /* A domain that does not sign, and whose own action is auto, never rejects. */
        facts.domain.sign = false;
        facts.domain.action = ACTION_AUTO;
        facts.recipient.auto_state = AUTO_NOT_SIGNING;
        struct verdict verdict = decide(&facts, NULL, &asked);
        REQUIRE(verdict.action <= ACTION_LOG);
    }
}
END_TEST

/* What a rejection says is missing, of an untagged bounce by what it is; a wrong tag, or a class
 * that nobody knows, has no more to say. */
START_TEST(test_cause_by_class)
{
    static const enum cause named[BOUNCE_CLASS_COUNT] = {
        [BOUNCE_MDN] = CAUSE_UNKNOWN_ID,
        [BOUNCE_CALENDAR] = CAUSE_UNKNOWN_ID,
        [BOUNCE_OTHER] = CAUSE_NO_ANSWER,
    };
    static const enum cause unnamed[BOUNCE_CLASS_COUNT] = {[BOUNCE_OTHER] = CAUSE_NO_ANSWER};
    for (unsigned bits = 0; bits < 4 * BOUNCE_CLASS_COUNT; bits++) {
        bool journal = (bits & 2) != 0;
        struct facts facts = facts_make();
        facts.class = (enum bounce_class)(bits / 4);
        facts.names_message_id = (bits & 1) != 0;
        facts.message.asks[FACT_JOURNAL] = journal;
        facts.domain.action = ACTION_REJECT;
        set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
        if ((kind_of(bounces[_i].result) & ONLY_UNTAGGED) == 0) {
            continue;
        }
        const enum cause *causes = facts.names_message_id && journal ? named : unnamed;
        unsigned asked;
        enum bounce_class class = facts.class;
        struct verdict verdict = decide(&facts, NULL, &asked);
        ck_assert_int_eq(verdict.action, ACTION_REJECT);
        ck_assert_int_eq(verdict.cause, causes[class]);
    }
}
END_TEST

/* An expired tag's own action, and the grace that it has, come after the class. */
START_TEST(test_class_before_expired)
{
    for (int class = 0; class < BOUNCE_CLASS_COUNT; class ++) {
        struct facts facts = facts_make();
        unsigned asked;
        facts.class = (enum bounce_class) class;
        set_result(&facts, RESULT_EXPIRED, TAG_PREFIX, -1);
        facts.domain.expired = ACTION_ACCEPT;
        check_decision(&facts, NULL, "accept verify.expired", "expired", "follows", &asked);
        facts.domain.classes[class] = ACTION_REJECT;
        char expected[CELL];
        snprintf(expected, sizeof expected, "reject %s", class_rules[class]);
        check_decision(&facts, NULL, expected, "expired", "explicit", &asked);
        facts.domain.expired = ACTION_FOLLOW;
        facts.domain.action = ACTION_AUTO;
        check_decision(&facts, NULL, expected, "expired", "auto", &asked);
    }
}
END_TEST

START_TEST(test_class_and_pause)
{
    for (int action = ACTION_ACCEPT; action < ACTION_COUNT; action++) {
        struct facts facts = facts_make();
        unsigned asked;
        char expected[CELL];
        facts.message.paused = true;
        set_classes(&facts, (enum action)action);
        snprintf(expected, sizeof expected, "%s verify.class.dsn",
                 action_name((enum action)action));
        if (action > ACTION_LOG) {
            snprintf(expected, sizeof expected, "log pause would=%s",
                     action_name((enum action)action));
        }
        check_decision(&facts, NULL, expected, "missing", "paused", &asked);
    }
}
END_TEST

/* What an answer of which the class is not known could be is nothing but a bounce. */
START_TEST(test_class_unknown)
{
    static const struct {
        enum answer answer;
        const char *expected;
    } rows[] = {
        {ANSWER_NO, "reject verify.action"},
        {ANSWER_EXHAUSTED, "reject verify.action"},
        {ANSWER_OVERLOADED, "tempfail verify.class would=reject"},
        {ANSWER_UNAVAILABLE, "tempfail verify.class would=reject"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct facts facts = facts_make();
        enum answer answers[FACT_COUNT] = {ANSWER_NO, ANSWER_NO, ANSWER_NO, ANSWER_NO, ANSWER_NO};
        unsigned asked;
        facts.class = BOUNCE_UNREAD;
        set_classes(&facts, ACTION_DISCARD);
        answers[FACT_CLASS] = rows[i].answer;
        check_decision(&facts, answers, rows[i].expected, "missing", "class", &asked);
    }
}
END_TEST

/* -------------------------------------------------------------- no signing */

/* A domain that does not sign, whose returned messages bear other marks: by these alone a bounce is
 * judged only if all of this is so: they can be expected, it names a message, and an action is
 * explicit. Else an untagged one is let in: by its class no more than logged, and logged where
 * that says nothing. A tag that is there is judged as ever. */
START_TEST(test_ground_without_signing)
{
    for (int class_action = ACTION_ACCEPT; class_action <= ACTION_COUNT; class_action++) {
        for (unsigned bits = 0; bits < 4 * COLUMNS; bits++) {
            size_t c = bits / 4;
            bool expected_marks = (bits & 1) != 0;
            bool names = (bits & 2) != 0;
            bool follows = class_action == ACTION_COUNT;
            struct facts facts = facts_make();
            facts.domain.sign = false;
            facts.domain.message_ids = message_ids;
            facts.domain.action = columns[c].action;
            bool is_auto = columns[c].action == ACTION_AUTO;
            facts.recipient.auto_state = is_auto ? AUTO_NOT_SIGNING : columns[c].state;
            facts.recipient.marks_expected = expected_marks;
            facts.names_message_id = names;
            facts.class = BOUNCE_REPORT;
            facts.domain.classes[BOUNCE_REPORT] =
                follows ? ACTION_FOLLOW : (enum action)class_action;
            set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);

            int kind = kind_of(bounces[_i].result);
            bool ground = kind != ONLY_UNTAGGED || (expected_marks && names && !is_auto);
            bool by_class = !follows && (kind & (ONLY_UNTAGGED | ONLY_EXPIRED)) != 0 &&
                            (ground || class_action <= ACTION_LOG);
            char expected[CELL];
            snprintf(expected, sizeof expected, "%s",
                     !ground   ? "log sign.enabled"
                     : is_auto ? bounces[_i].cells[COLUMNS - 1]
                               : bounces[_i].cells[c]);
            if (by_class) {
                snprintf(expected, sizeof expected, "%s verify.class.report",
                         action_name((enum action)class_action));
            }
            unsigned asked;
            check_decision(&facts, NULL, expected, bounces[_i].name, columns[c].name, &asked);
            REQUIRE((kind == ONLY_VALID) == ((asked & 1U << FACT_PATTERN) == 0));
        }
    }
}
END_TEST

/* Nothing has been read at RCPT, so there is no ground either. */
START_TEST(test_ground_at_rcpt)
{
    struct facts facts = facts_make();
    unsigned asked;
    facts.domain.sign = false;
    facts.domain.message_ids = message_ids;
    facts.recipient.marks_expected = true;
    facts.names_message_id = true;
    check_decision(&facts, NULL, "reject verify.action", "missing", "at the end", &asked);
    facts.message.at_rcpt = true;
    check_decision(&facts, NULL, "log sign.enabled", "missing", "at RCPT", &asked);
}
END_TEST

/* A domain that signs needs none of it. */
START_TEST(test_ground_of_a_domain_that_signs)
{
    for (int marks = 0; marks < 2; marks++) {
        struct facts facts = facts_make();
        facts.recipient.marks_expected = marks == 1;
        set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
        check_cell(&facts, bounces[_i].cells[4], bounces[_i].name, "reject");
    }
}
END_TEST

/* ---------------------------------------------------------- a young journal */

/* While the journal does not reach back far enough, what a bounce names may have been sent before
 * it: `auto` waits then. A bounce that names nothing could not be found in an old one either. */
START_TEST(test_young_journal)
{
    for (unsigned bits = 0; bits < 4 * COLUMNS; bits++) {
        size_t c = bits / 4;
        bool young = (bits & 1) != 0;
        bool names = (bits & 2) != 0;
        struct facts facts = facts_make();
        facts.domain.action = columns[c].action;
        facts.recipient.auto_state = columns[c].state;
        facts.recipient.journal_young = young;
        facts.names_message_id = names;
        set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
        const char *expected = bounces[_i].cells[c];
        if (columns[c].action == ACTION_AUTO && young && names) {
            expected = bounces[_i].cells[COLUMNS - 1];
        }
        unsigned asked;
        check_decision(&facts, NULL, expected, bounces[_i].name, columns[c].name, &asked);
        facts.message.at_rcpt = true;
        check_decision(&facts, NULL, bounces[_i].cells[c], bounces[_i].name, "at RCPT", &asked);
        /* The journal is no concern of ordinary mail. */
        facts.message = (struct message_facts){.names_message_id = names};
        set_result(&facts, ordinary[_i].result, ordinary[_i].syntax, ordinary[_i].days);
        check_cell(&facts, ordinary[_i].cells[c], ordinary[_i].name, columns[c].name);
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

enum { PROOFS = 4 };

/* A recipient of a domain that does not sign, for which everything is asked. */
static struct facts facts_with_patterns(void)
{
    struct facts facts = facts_make();
    facts.domain.sign = false;
    facts.domain.message_ids = message_ids;
    facts.recipient.marks_expected = true;
    facts.names_message_id = true;
    return facts;
}

/* Each fact is asked once, in this order, and no more than needed. */
START_TEST(test_what_is_asked)
{
    for (size_t yes = 0; yes <= PROOFS; yes++) {
        struct facts facts = facts_with_patterns();
        struct verdict verdict = {.action = ACTION_ACCEPT};
        facts.message.names_message_id = true;
        facts.recipient.answers[FACT_UNTAGGABLE] = ANSWER_NO;
        for (size_t i = 0; i <= yes; i++) {
            enum fact need = FACT_COUNT;
            ck_assert_int_eq(
                policy_next(&facts.domain, &facts.message, &facts.recipient, &need, &verdict),
                POLICY_NEEDS);
            ck_assert_int_eq(need, i < PROOFS ? proofs[i].fact : FACT_CLASS);
            facts.recipient.answers[need] = i == yes ? ANSWER_YES : ANSWER_NO;
        }
        enum fact need = FACT_COUNT;
        ck_assert_int_eq(
            policy_next(&facts.domain, &facts.message, &facts.recipient, &need, &verdict),
            POLICY_DECIDED);
        bool proven = yes < PROOFS;
        ck_assert_int_eq(verdict.action, proven ? ACTION_ACCEPT : ACTION_REJECT);
        ck_assert(!proven || policy_rule_fact(FIRST_EVIDENCE + yes) == proofs[yes].fact);
        ck_assert_str_eq(verdict.rule, proven ? proofs[yes].rule : "verify.action");
        ck_assert_str_eq(verdict.proof, proven ? proofs[yes].proof : "none");
    }
}
END_TEST

/* By the configuration: each alone, all of them, none; patterns only for a domain that has some and
 * does not sign; the class only where it could matter. */
START_TEST(test_what_is_configured)
{
    for (unsigned asks = 0; asks < 1U << FACT_COUNT; asks++) {
        for (unsigned domain = 0; domain < 4; domain++) {
            struct facts facts = facts_make();
            unsigned asked;
            facts.domain.sign = (domain & 1) != 0;
            facts.domain.message_ids = (domain & 2) != 0 ? message_ids : NULL;
            for (unsigned f = 0; f < FACT_COUNT; f++) {
                facts.message.asks[f] = (asks >> f & 1) != 0;
            }
            set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);

            int kind = kind_of(bounces[_i].result);
            unsigned expected = asks & ~(1U << FACT_UNTAGGABLE | 1U << FACT_GUESSING);
            if (facts.domain.sign || facts.domain.message_ids == NULL) {
                expected &= ~(1U << FACT_PATTERN);
            }
            if ((kind & (ONLY_UNTAGGED | ONLY_EXPIRED)) == 0) {
                expected &= ~(1U << FACT_CLASS);
            }
            if (kind == ONLY_VALID) {
                expected = 0;
            }
            expected &= ~(1U << FACT_RCPT_NETWORK); /* that is for signing */
            struct facts at_rcpt = facts;
            decide(&facts, NULL, &asked);
            ck_assert_uint_eq(asked, expected);
            at_rcpt.message.at_rcpt = true;
            decide(&at_rcpt, NULL, &asked);
            ck_assert_uint_eq(asked, 0);
        }
    }
}
END_TEST

START_TEST(test_nothing_is_asked_without_need)
{
    /* Decided before the evidence. */
    for (size_t r = 0; r < FIRST_EVIDENCE; r++) {
        struct facts facts = facts_with_patterns();
        unsigned asked;
        rules[r].apply(&facts);
        decide(&facts, NULL, &asked);
        ck_assert_msg(asked == 0, "%s", rules[r].rule);
    }
    /* No bounce. */
    for (int result = RESULT_VALID; result < RESULT_COUNT; result++) {
        struct facts facts = facts_with_patterns();
        unsigned asked;
        facts.message.bounce = false;
        set_result(&facts, (enum result)result, TAG_PREFIX, -1);
        struct verdict verdict = decide(&facts, NULL, &asked);
        ck_assert_uint_eq(asked, 0);
        ck_assert_ptr_null(verdict.proof);
    }
    /* At RCPT and without evidence, even where somebody has the answer. */
    for (size_t r = FIRST_EVIDENCE; r <= UNAUTHENTIC + 1; r++) {
        bool asks = rules[r].asks != FACT_COUNT && rules[r].asks != FACT_UNTAGGABLE;
        for (int at_rcpt = 0; asks && at_rcpt < 2; at_rcpt++) {
            struct facts facts = facts_make();
            unsigned asked;
            rules[r].apply(&facts);
            facts.domain.sign = true;
            facts.message.class = facts.class;
            facts.message.at_rcpt = at_rcpt == 1;
            set_asks(&facts, at_rcpt == 1);
            struct verdict verdict = decide(&facts, NULL, &asked);
            ck_assert_uint_eq(asked, 0);
            ck_assert_str_eq(verdict.rule, "verify.action");
            ck_assert_str_eq(verdict.proof, "none");
        }
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

/* An address that has sent mail too long to tag: a bounce that names nothing is accepted, and one
 * that names something has to prove it. Of one that never gets a tag nothing is refused for as long
 * as the journal is young, or cannot be asked. Nothing of this is said of other addresses. */
static const struct {
    enum answer answer;
    bool names, too_long, young;
    const char *expected;
} untaggable[] = {
    {ANSWER_YES, false, true, false, "accept untaggable"},
    {ANSWER_YES, false, false, false, "accept untaggable"},
    {ANSWER_YES, true, true, false, "reject verify.action"},
    {ANSWER_YES, true, true, true, "log untaggable"},
    {ANSWER_YES, false, true, true, "accept untaggable"},
    {ANSWER_NO, false, true, false, "reject verify.action"},
    {ANSWER_NO, false, true, true, "log untaggable"},
    {ANSWER_NO, true, true, true, "log untaggable"},
    {ANSWER_NO, false, false, true, "reject verify.action"},
    {ANSWER_UNAVAILABLE, false, true, false, "tempfail untaggable would=reject"},
    {ANSWER_UNAVAILABLE, false, true, true, "log untaggable"},
};

START_TEST(test_untaggable)
{
    for (int at_rcpt = 0; at_rcpt < 2; at_rcpt++) {
        struct facts facts = facts_make();
        enum answer answers[FACT_COUNT] = {ANSWER_NO, ANSWER_NO, ANSWER_NO, ANSWER_NO, ANSWER_YES};
        bool names = untaggable[_i].names && at_rcpt == 0;
        unsigned asked;
        char cell[CELL];
        if (at_rcpt == 1 && untaggable[_i].names) {
            continue;
        }
        answers[FACT_UNTAGGABLE] = untaggable[_i].answer;
        facts.names_message_id = names;
        facts.message.at_rcpt = at_rcpt == 1;
        facts.recipient.too_long = untaggable[_i].too_long;
        facts.recipient.journal_young = untaggable[_i].young;
        facts.recipient.unknown_untaggable = untaggable[_i].too_long && untaggable[_i].young;
        struct verdict verdict = decide(&facts, answers, &asked);
        verdict_text(&verdict, cell);
        ck_assert_str_eq(cell, untaggable[_i].expected);
        ck_assert_int_eq(facts.recipient.answers[FACT_UNTAGGABLE], untaggable[_i].answer);
    }
}
END_TEST

/* The first of these answers among the facts that were asked; NULL: there is none. */
static const char *first_rule(const enum answer answers[FACT_COUNT], unsigned asked,
                              enum answer wanted)
{
    for (size_t i = 0; i < PROOFS; i++) {
        if ((asked >> proofs[i].fact & 1) != 0 && answers[proofs[i].fact] == wanted) {
            return proofs[i].rule;
        }
    }
    bool by_class = (asked >> FACT_CLASS & 1) != 0 && answers[FACT_CLASS] == wanted;
    return by_class ? "verify.class" : NULL;
}

/* The first of which nothing is known. */
static const char *first_missing(const enum answer answers[FACT_COUNT], unsigned asked)
{
    for (size_t i = 0; i < PROOFS; i++) {
        enum answer answer = answers[proofs[i].fact];
        if ((asked >> proofs[i].fact & 1) != 0 &&
            (answer == ANSWER_UNAVAILABLE || answer == ANSWER_OVERLOADED)) {
            return proofs[i].rule;
        }
    }
    const char *unavailable = first_rule(answers, asked, ANSWER_UNAVAILABLE);
    return unavailable != NULL ? unavailable : first_rule(answers, asked, ANSWER_OVERLOADED);
}

static enum action action_of(const char *cell)
{
    char word[20];
    enum action action;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(cell, " "), cell);
    ck_assert(action_from_name(word, &action));
    return action;
}

/* The contract once more: the first proof accepts. Without one the domain's action holds, but
 * nothing beyond deferring where something could not be asked or there was too much to look at, and
 * nothing beyond logging where on_error accepts what could not be asked. */
static void expect(const char *cell, const enum answer answers[FACT_COUNT], unsigned asked,
                   bool on_error_accepts, char out[static CELL])
{
    const char *proven = first_rule(answers, asked & ~(1U << FACT_CLASS), ANSWER_YES);
    if (proven != NULL) {
        snprintf(out, CELL, "accept %s proof=%s", proven, proven + strlen("evidence."));
        return;
    }
    const char *unavailable = first_rule(answers, asked, ANSWER_UNAVAILABLE);
    const char *missing = first_missing(answers, asked);
    const char *exhausted = first_rule(answers, asked & ~(1U << FACT_CLASS), ANSWER_EXHAUSTED);
    enum action action = action_of(cell);
    int used = snprintf(out, CELL, "%s", cell);
    if (unavailable != NULL && on_error_accepts && action > ACTION_TEMPFAIL) {
        used = snprintf(out, CELL, "log %s would=%s", unavailable, action_name(action));
    } else if (missing != NULL && action > ACTION_TEMPFAIL) {
        used = snprintf(out, CELL, "tempfail %s would=%s", missing, action_name(action));
    }
    if (exhausted != NULL) {
        snprintf(out + used, CELL - (size_t)used, " proof=exhausted");
    }
}

/* Every kind of answer to every question at once, for a domain that signs and for one that has
 * patterns instead. */
START_TEST(test_all_answers)
{
    enum { KINDS = ANSWER_UNAVAILABLE, COMBINATIONS = KINDS * KINDS * KINDS * KINDS * KINDS };
    for (unsigned n = 0; n < 4 * COMBINATIONS; n++) {
        enum answer answers[FACT_COUNT];
        bool on_error_accepts = n >= 2 * COMBINATIONS;
        bool signs = n % (2 * COMBINATIONS) < COMBINATIONS;
        for (unsigned f = 0, rest = n % COMBINATIONS; f < FACT_COUNT; f++, rest /= KINDS) {
            answers[f] = (enum answer)(ANSWER_NO + rest % KINDS);
        }
        if (signs && answers[FACT_PATTERN] != ANSWER_YES) {
            continue; /* not asked: one kind will do */
        }
        for (size_t c = 0; c < COLUMNS; c++) {
            if (!signs && columns[c].action == ACTION_AUTO) {
                continue;
            }
            struct facts facts = signs ? facts_make() : facts_with_patterns();
            facts.message.names_message_id = !signs; /* whatever cannot be read now */
            facts.message.on_error_accepts = on_error_accepts;
            facts.domain.action = columns[c].action;
            facts.recipient.auto_state = columns[c].state;
            set_result(&facts, bounces[_i].result, TAG_PREFIX, bounces[_i].days);
            struct facts before = facts;
            unsigned asked;
            char expected[CELL];
            decide(&facts, answers, &asked);
            expect(bounces[_i].cells[c], answers, asked, on_error_accepts, expected);
            check_decision(&before, answers, expected, bounces[_i].name, columns[c].name, &asked);
        }
    }
}
END_TEST

/* What the class decides is held back in the same way; what is no worse than deferring never is. */
START_TEST(test_class_and_unavailable)
{
    static const struct {
        enum answer answer;
        bool on_error_accepts;
        enum action most;
    } kinds[] = {{ANSWER_OVERLOADED, false, ACTION_TEMPFAIL},
                 {ANSWER_OVERLOADED, true, ACTION_TEMPFAIL},
                 {ANSWER_UNAVAILABLE, false, ACTION_TEMPFAIL},
                 {ANSWER_UNAVAILABLE, true, ACTION_LOG}};
    for (int action = ACTION_ACCEPT; action < ACTION_COUNT; action++) {
        for (size_t k = 0; k < COUNT_OF(kinds); k++) {
            struct facts facts = facts_make();
            enum answer answers[FACT_COUNT] = {ANSWER_NO, ANSWER_NO, kinds[k].answer, ANSWER_NO,
                                               ANSWER_YES};
            facts.message.on_error_accepts = kinds[k].on_error_accepts;
            const char *name = action_name((enum action)action);
            char expected[CELL];
            unsigned asked;
            set_classes(&facts, (enum action)action);
            snprintf(expected, sizeof expected, "%s verify.class.dsn", name);
            if ((enum action)action > ACTION_TEMPFAIL) {
                snprintf(expected, sizeof expected, "%s evidence.journal would=%s",
                         action_name(kinds[k].most), name);
            }
            check_decision(&facts, answers, expected, "missing", name, &asked);
        }
    }
}
END_TEST

/* Under pause nothing is deferred for want of memory either. */
START_TEST(test_pause_and_overloaded)
{
    struct facts facts = facts_make();
    enum answer answers[FACT_COUNT] = {ANSWER_OVERLOADED, ANSWER_OVERLOADED, ANSWER_OVERLOADED,
                                       ANSWER_OVERLOADED, ANSWER_OVERLOADED};
    unsigned asked;
    facts.message.paused = true;
    check_decision(&facts, answers, "log pause would=reject", "missing", "overloaded", &asked);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tcase = tcase_create("policy");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_bounce, 0, (int)COUNT_OF(bounces));
    tcase_add_loop_test(tcase, test_ordinary, 0, (int)COUNT_OF(ordinary));
    tcase_add_loop_test(tcase, test_forged_said_explicitly, 0, (int)COUNT_OF(ordinary));
    tcase_add_loop_test(tcase, test_ordinary_mail_from_inside, 0, (int)COUNT_OF(ordinary));
    tcase_add_loop_test(tcase, test_forged_by_the_time_of_auto, 0, (int)COUNT_OF(auto_states));
    tcase_add_loop_test(tcase, test_forged_bounce_with_a_sender, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_forged_bounce_that_cannot_be_read);
    tcase_add_loop_test(tcase, test_sender, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_exclusions_are_for_bounces);
    tcase_add_loop_test(tcase, test_each_rule_by_itself, 0, RULES);
    tcase_add_test(tcase, test_the_first_of_two_rules_decides);
    tcase_add_test(tcase, test_exclusions_and_results);
    tcase_add_loop_test(tcase, test_without_signing, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_auto_states);
    tcase_add_test(tcase, test_auto_without_a_tag_seen);
    tcase_add_test(tcase, test_auto_where_message_ids_are_rewritten);
    tcase_add_loop_test(tcase, test_expired_said_explicitly, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_grace_of_the_expired);
    tcase_add_loop_test(tcase, test_pause, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_pause_and_forged_said_explicitly);
    tcase_add_loop_test(tcase, test_class, 0, (int)COUNT_OF(bounces));
    tcase_add_loop_test(tcase, test_class_by_what_it_names, 0, (int)COUNT_OF(bounces));
    tcase_add_loop_test(tcase, test_cause_by_class, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_class_before_expired);
    tcase_add_test(tcase, test_class_and_pause);
    tcase_add_test(tcase, test_class_unknown);
    tcase_add_loop_test(tcase, test_ground_without_signing, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_ground_at_rcpt);
    tcase_add_loop_test(tcase, test_ground_of_a_domain_that_signs, 0, (int)COUNT_OF(bounces));
    tcase_add_loop_test(tcase, test_young_journal, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_what_is_asked);
    tcase_add_loop_test(tcase, test_what_is_configured, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_nothing_is_asked_without_need);
    tcase_add_loop_test(tcase, test_proof_of_a_bounce, 0, (int)COUNT_OF(bounces));
    tcase_add_loop_test(tcase, test_untaggable, 0, (int)COUNT_OF(untaggable));
    tcase_add_loop_test(tcase, test_all_answers, 0, (int)COUNT_OF(bounces));
    tcase_add_test(tcase, test_class_and_unavailable);
    tcase_add_test(tcase, test_pause_and_overloaded);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
