/*
 * Deciding for one recipient. For bounces a table of rules is gone through from the top, and the
 * first that applies decides; a rule may need a fact that costs I/O, which is then asked for by
 * name. For ordinary mail there is one question only: is the tag a forgery?
 *
 * Pure: all that a decision depends on is in the facts. A fact that is unavailable never rejects.
 */
#include "batv/policy.h"

#include <stddef.h>

enum rule_answer { RULE_PASSES, RULE_APPLIES, RULE_NEEDS };

/* What a rule looks at, and the verdict that it fills in where it applies. */
struct question {
    const struct domain_settings *domain;
    const struct message_facts *message;
    const struct recipient_facts *recipient;
    struct verdict *verdict;
};

static enum rule_answer decide(const struct question *q, enum action action, const char *entry)
{
    q->verdict->action = action;
    q->verdict->would = action;
    q->verdict->entry = entry;
    return RULE_APPLIES;
}

static enum rule_answer accept_if(const struct question *q, bool applies)
{
    return applies ? decide(q, ACTION_ACCEPT, NULL) : RULE_PASSES;
}

static enum rule_answer accept_entry(const struct question *q, const char *entry)
{
    return entry != NULL ? decide(q, ACTION_ACCEPT, entry) : RULE_PASSES;
}

/* Without a tag, or with one that is not ours to judge. */
static bool is_untagged(const struct question *q)
{
    enum result result = q->recipient->check.result;
    return result == RESULT_MISSING || result == RESULT_FOREIGN;
}

static enum rule_answer rule_local(const struct question *q)
{
    return accept_if(q, q->message->local);
}

/* For an address for which many tags have been tried a tag alone is not enough. */
static bool is_guessed_at(const struct question *q)
{
    return q->recipient->answers[FACT_GUESSING] == ANSWER_YES;
}

/* In a bounce that tries several tags the right one is a guess. */
static enum rule_answer rule_tag(const struct question *q)
{
    bool sure = !q->message->guesses && !is_guessed_at(q);
    return accept_if(q, q->recipient->check.result == RESULT_VALID && sure);
}

static enum rule_answer rule_authenticated(const struct question *q)
{
    return accept_if(q, q->message->authenticated);
}

static enum rule_answer rule_mail_servers(const struct question *q)
{
    return accept_entry(q, q->message->mail_server);
}

static enum rule_answer rule_networks(const struct question *q)
{
    return accept_entry(q, q->message->excluded_network);
}

static enum rule_answer rule_hosts(const struct question *q)
{
    return accept_entry(q, q->message->excluded_host);
}

static enum rule_answer rule_recipients(const struct question *q)
{
    return accept_entry(q, q->recipient->excluded);
}

static enum rule_answer rule_unsigned_host(const struct question *q)
{
    return accept_entry(q, q->message->unsigned_host);
}

/* No MTA makes such a bounce, so no wait holds it back. */
static enum rule_answer rule_guessing(const struct question *q)
{
    if (!q->message->guesses) {
        return RULE_PASSES;
    }
    q->verdict->cause = CAUSE_GUESSING;
    return decide(q, ACTION_REJECT, NULL);
}

/* Mail without a tag comes back without one. What a bounce names has to be proven all the same. Of
 * an address that never gets a tag nothing is known before the journal is old enough. */
static enum rule_answer rule_untaggable(const struct question *q)
{
    enum answer answer = q->recipient->answers[FACT_UNTAGGABLE];
    if (!is_untagged(q)) {
        return RULE_PASSES;
    }
    if (answer == ANSWER_UNASKED) {
        return RULE_NEEDS;
    }
    if (answer == ANSWER_YES && !q->message->names_message_id) {
        return decide(q, ACTION_ACCEPT, NULL);
    }
    return q->recipient->unknown_untaggable ? decide(q, ACTION_LOG, NULL) : RULE_PASSES;
}

static enum rule_answer rule_key_gone(const struct question *q)
{
    bool applies = q->recipient->check.result == RESULT_UNKNOWN_KEY && q->recipient->key_missed;
    return applies ? decide(q, ACTION_LOG, NULL) : RULE_PASSES;
}

static bool is_asked(const struct question *q, enum fact fact)
{
    return !q->message->at_rcpt && q->message->asks[fact] && fact_concerns(fact, q->domain);
}

static enum rule_answer rule_evidence(const struct question *q, enum fact fact, const char *proof)
{
    if (!is_asked(q, fact)) {
        return RULE_PASSES;
    }
    switch (q->recipient->answers[fact]) {
    case ANSWER_UNASKED:
        return RULE_NEEDS;
    case ANSWER_YES:
        q->verdict->proof = proof;
        return decide(q, ACTION_ACCEPT, NULL);
    case ANSWER_EXHAUSTED:
        q->verdict->proof = "exhausted";
        break;
    case ANSWER_NO:
    case ANSWER_OVERLOADED:
    case ANSWER_UNAVAILABLE:
        break;
    }
    return RULE_PASSES;
}

/* A domain that does not sign has no ground to expect a tag. That a returned message shows none of
 * its other marks is one, if they have been made for long enough and somebody has asked for it. */
static bool lacks_ground(const struct question *q)
{
    bool expects = q->recipient->marks_expected && q->message->names_message_id &&
                   q->domain->action != ACTION_AUTO;
    bool signs = q->domain->sign && !q->recipient->own_name;
    return !signs && is_untagged(q) && !expects;
}

/* Without a proof nobody knows whether the tag is right by more than luck. */
static enum rule_answer rule_guessed_at(const struct question *q)
{
    if (!is_guessed_at(q)) {
        return RULE_PASSES;
    }
    q->verdict->cause = CAUSE_GUESSED_AT;
    q->verdict->rule = "guessing";
    return decide(q, ACTION_TEMPFAIL, NULL);
}

/* `auto` logs an answer about which nothing can be known: it names no message, or what it names may
 * have been sent before the journal began. Any other is judged as a bounce of no class is. */
static enum action class_action(const struct question *q)
{
    enum action action = q->domain->classes[q->message->class];
    if (action != ACTION_AUTO) {
        return action;
    }
    bool known = q->message->names_message_id && q->recipient->marks_expected &&
                 !q->recipient->journal_young;
    return known ? ACTION_FOLLOW : ACTION_LOG;
}

/* Answers that have no tag by their nature. */
static enum rule_answer rule_class(const struct question *q)
{
    static const char *const names[BOUNCE_CLASS_COUNT] = {
        [BOUNCE_DSN] = "verify.class.dsn",
        [BOUNCE_MDN] = "verify.class.mdn",
        [BOUNCE_CALENDAR] = "verify.class.calendar",
        [BOUNCE_REPORT] = "verify.class.report",
        [BOUNCE_AUTOREPLY] = "verify.class.autoreply",
        [BOUNCE_OTHER] = "verify.class.other",
    };
    bool concerned = is_untagged(q) || q->recipient->check.result == RESULT_EXPIRED;
    if (!concerned || !is_asked(q, FACT_CLASS)) {
        return RULE_PASSES;
    }
    if (q->recipient->answers[FACT_CLASS] == ANSWER_UNASKED) {
        return RULE_NEEDS;
    }
    if (q->message->class == BOUNCE_UNREAD) {
        return RULE_PASSES;
    }
    enum action action = class_action(q);
    if (action == ACTION_FOLLOW || (action > ACTION_LOG && lacks_ground(q))) {
        return RULE_PASSES;
    }
    q->verdict->rule = names[q->message->class];
    q->verdict->cause = CAUSE_CLASS;
    return decide(q, action, NULL);
}

/* By what the domain says, where that is not `auto`; else by its waiting time, by the journal's
 * where that may not know yet what the bounce names, by whether tags come back at all, and by
 * whether Message-IDs do. */
static enum rule_answer decide_auto(const struct question *q)
{
    if (q->domain->action != ACTION_AUTO) {
        return decide(q, q->domain->action, NULL);
    }
    decide(q, ACTION_REJECT, NULL);
    bool journal_waits = q->recipient->journal_young && q->message->names_message_id;
    enum auto_state state = q->recipient->auto_state;
    bool unseen = state == AUTO_NO_TAG || q->message->relay_unproven;
    bool waits = (state != AUTO_ENFORCES && state != AUTO_NO_TAG) || journal_waits;
    bool rewritten = q->recipient->ids_rewritten && q->message->names_message_id && is_untagged(q);
    if (waits || unseen || rewritten) {
        q->verdict->action = ACTION_LOG;
        q->verdict->rule = waits    ? "auto.warm-up"
                           : unseen ? "auto.no-tag-seen"
                                    : "auto.ids-rewritten";
    }
    return RULE_APPLIES;
}

/* Bounces can be later than the lifetime: `auto` gives them as long again. */
static enum rule_answer rule_expired(const struct question *q)
{
    if (q->recipient->check.result != RESULT_EXPIRED) {
        return RULE_PASSES;
    }
    q->verdict->cause = CAUSE_EXPIRED;
    if (q->domain->expired != ACTION_FOLLOW) {
        return decide(q, q->domain->expired, NULL);
    }
    bool recent = -q->recipient->check.days <= (int)q->recipient->lifetime_days;
    if (q->domain->action == ACTION_AUTO && recent) {
        return decide(q, ACTION_LOG, NULL);
    }
    return decide_auto(q);
}

static enum rule_answer rule_not_signing(const struct question *q)
{
    return lacks_ground(q) ? decide(q, ACTION_LOG, NULL) : RULE_PASSES;
}

/* What an untagged bounce that proves nothing lacks, by what it is. Receipts and answers to
 * invitations never have a tag; of those that name a Message-ID the journal would know it. */
static enum cause unproven_cause(const struct question *q)
{
    enum bounce_class class = q->message->class;
    bool receipt = class == BOUNCE_MDN || class == BOUNCE_CALENDAR;
    if (is_untagged(q) && class == BOUNCE_OTHER) {
        return CAUSE_NO_ANSWER;
    }
    bool names = q->message->names_message_id && q->message->asks[FACT_JOURNAL];
    return is_untagged(q) && receipt && names ? CAUSE_UNKNOWN_ID : CAUSE_UNPROVEN;
}

static enum rule_answer rule_action(const struct question *q)
{
    q->verdict->cause = unproven_cause(q);
    return decide_auto(q);
}

/* By verify.forged: `auto` goes by the domain's time alone, since a tag that no key of ours made is
 * forged whatever the domain's action is. While verification is paused a rejection is deferred:
 * accepted, mail for an unknown user would be bounced. */
static enum rule_answer decide_forged(const struct question *q)
{
    enum action action = q->domain->forged;
    if (action == ACTION_AUTO) {
        bool later = auto_state_waits(q->recipient->auto_state) && !q->message->logged_in;
        action = later ? ACTION_TEMPFAIL : ACTION_REJECT;
    }
    q->verdict->cause = CAUSE_FORGED_TAG;
    decide(q, action, NULL);
    if (q->message->paused && action > ACTION_TEMPFAIL) {
        q->verdict->action = ACTION_TEMPFAIL;
    }
    return RULE_APPLIES;
}

/* The MTA would return what it cannot deliver to the sender, if there is one. */
static enum rule_answer rule_unauthentic(const struct question *q)
{
    return q->message->has_sender && tag_is_unauthentic(&q->recipient->check) ? decide_forged(q)
                                                                              : RULE_PASSES;
}

/* The order is the contract; first match decides. */
static const struct {
    const char *name;
    enum rule_answer (*applies)(const struct question *);
    enum fact fact;    /* what it asks for */
    const char *proof; /* for evidence, the proof's name */
} bounce_rules[] = {
    {"local", rule_local, FACT_COUNT, NULL},
    {"tag", rule_tag, FACT_COUNT, NULL},
    {"exclude.authenticated", rule_authenticated, FACT_COUNT, NULL},
    {"exclude.mail_servers", rule_mail_servers, FACT_COUNT, NULL},
    {"exclude.networks", rule_networks, FACT_COUNT, NULL},
    {"exclude.hosts", rule_hosts, FACT_COUNT, NULL},
    {"exclude.recipients", rule_recipients, FACT_COUNT, NULL},
    {"exclude_sign.recipients", rule_unsigned_host, FACT_COUNT, NULL},
    {"guessing", rule_guessing, FACT_COUNT, NULL},
    {"evidence.tag-in-body", NULL, FACT_TAG_IN_BODY, "tag-in-body"},
    {"evidence.header", NULL, FACT_HEADER, "header"},
    {"evidence.journal", NULL, FACT_JOURNAL, "journal"},
    {"evidence.pattern", NULL, FACT_PATTERN, "pattern"},
    {"untaggable", rule_untaggable, FACT_UNTAGGABLE, NULL},
    {"key-gone", rule_key_gone, FACT_COUNT, NULL},
    {"guessing.address", rule_guessed_at, FACT_COUNT, NULL},
    {"tag-unauthentic", rule_unauthentic, FACT_COUNT, NULL},
    {"verify.class", rule_class, FACT_CLASS, NULL},
    {"verify.expired", rule_expired, FACT_COUNT, NULL},
    {"sign.enabled", rule_not_signing, FACT_COUNT, NULL},
    {"verify.action", rule_action, FACT_COUNT, NULL},
};

enum { BOUNCE_RULES = sizeof bounce_rules / sizeof bounce_rules[0] };

const char *policy_rule(size_t index)
{
    return index < BOUNCE_RULES ? bounce_rules[index].name : NULL;
}

enum fact policy_rule_fact(size_t index)
{
    return index < BOUNCE_RULES ? bounce_rules[index].fact : FACT_COUNT;
}

static enum rule_answer try_rule(const struct question *q, size_t index)
{
    q->verdict->rule = bounce_rules[index].name;
    if (bounce_rules[index].applies != NULL) {
        return bounce_rules[index].applies(q);
    }
    return rule_evidence(q, bounce_rules[index].fact, bounce_rules[index].proof);
}

/* What a fact that has no answer leaves of a verdict. What cannot be obtained is an error of our
 * own, which on_error answers. What there was too much of is asked for again when the message comes
 * again: accepting it would make a flood the way in. */
static enum action most_without(const struct question *q, enum answer answer)
{
    switch (answer) {
    case ANSWER_UNAVAILABLE:
        return q->message->on_error_accepts ? ACTION_LOG : ACTION_TEMPFAIL;
    case ANSWER_OVERLOADED:
        return ACTION_TEMPFAIL;
    case ANSWER_UNASKED:
    case ANSWER_NO:
    case ANSWER_YES:
    case ANSWER_EXHAUSTED:
        break;
    }
    return ACTION_DISCARD;
}

/* A proof that could not be asked for might have been there: nothing worse than deferring is
 * decided without it. The rule is then that of the fact that is missing. */
static void spare_unavailable(const struct question *q)
{
    enum action most = ACTION_DISCARD;
    const char *rule = NULL;
    for (size_t i = 0; i < BOUNCE_RULES; i++) {
        enum fact fact = bounce_rules[i].fact;
        enum answer answer = fact != FACT_COUNT ? q->recipient->answers[fact] : ANSWER_NO;
        if (most_without(q, answer) < most) {
            most = most_without(q, answer);
            rule = bounce_rules[i].name;
        }
    }
    if (rule != NULL && q->verdict->action > ACTION_TEMPFAIL) {
        q->verdict->action = most;
        q->verdict->rule = rule;
        q->verdict->cause = CAUSE_UNVERIFIED;
    }
}

static enum policy_state judge_bounce(const struct question *q, enum fact *need)
{
    bool by_tag = q->recipient->check.result == RESULT_VALID && !is_guessed_at(q);
    q->verdict->proof = by_tag ? NULL : "none";
    for (size_t i = 0; i < BOUNCE_RULES; i++) {
        switch (try_rule(q, i)) {
        case RULE_NEEDS:
            *need = bounce_rules[i].fact;
            return POLICY_NEEDS;
        case RULE_APPLIES:
            spare_unavailable(q);
            return POLICY_DECIDED;
        case RULE_PASSES:
            break;
        }
    }
    return POLICY_DECIDED; /* not reached: the last rule always applies */
}

/* Mail that is rejected for its recipient's tag would otherwise reach a mailbox or make the MTA
 * send a bounce: a local process alone is spared, since the MTA could not reject its mail. */
static void judge_ordinary(const struct question *q)
{
    if (tag_is_unauthentic(&q->recipient->check) && !q->message->local) {
        q->verdict->rule = "tag-unauthentic";
        decide_forged(q);
        return;
    }
    q->verdict->rule = q->recipient->check.result == RESULT_VALID ? "tag" : "ordinary";
    decide(q, ACTION_ACCEPT, NULL);
}

/* A message that would be kept, but whose sender bears a tag that we did not make. While that
 * domain waits its own tags may be by keys of others. */
static void judge_sender(const struct message_facts *message, struct verdict *out)
{
    bool applies = message->forged_sender != ACTION_ACCEPT && action_keeps(out->action);
    if (!applies || (message->sender_waits && out->action > ACTION_LOG)) {
        return;
    }
    out->action = message->sender_waits ? ACTION_LOG : message->forged_sender;
    out->would = message->forged_sender;
    out->rule = "sender-tag-unauthentic";
    out->entry = NULL;
    out->cause = CAUSE_FORGED_SENDER;
}

static void apply_pause(const struct message_facts *message, struct verdict *out)
{
    bool deferred = out->cause == CAUSE_FORGED_TAG && out->action == ACTION_TEMPFAIL;
    if (message->paused && out->action > ACTION_LOG && !deferred) {
        out->action = ACTION_LOG;
        out->rule = "pause";
    }
}

enum policy_state policy_next(const struct domain_settings *domain,
                              const struct message_facts *message,
                              const struct recipient_facts *recipient, enum fact *need,
                              struct verdict *out)
{
    *out = (struct verdict){.action = ACTION_ACCEPT, .would = ACTION_ACCEPT};
    struct question question = {domain, message, recipient, out};
    enum policy_state state = POLICY_DECIDED;
    if (message->bounce) {
        state = judge_bounce(&question, need);
    } else {
        judge_ordinary(&question);
    }
    if (state == POLICY_DECIDED) {
        judge_sender(message, out);
        apply_pause(message, out);
    }
    return state;
}

void policy_not_ours(const struct message_facts *message, struct verdict *out)
{
    *out = (struct verdict){.action = ACTION_ACCEPT, .would = ACTION_ACCEPT, .rule = "not-ours"};
    judge_sender(message, out);
    apply_pause(message, out);
}
