/*
 * The way of a message through the rules, in words: who sends, what becomes of the sender, and for
 * each recipient the rules in their order up to the one that decides. Prints to stdout what others
 * have decided; decides nothing.
 */
#include "ctl/explain.h"

#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "batv/address.h"
#include "batv/day.h"
#include "batv/policy.h"
#include "batv/tag.h"
#include "ctl/limits.h"
#include "ctl/phrases.h"

/* "name: " in a column, then what follows. */
static void print_label(const char *label)
{
    printf("%-12s", label);
}

static void print_address(const char *address)
{
    putchar('<');
    print_text(stdout, address);
    putchar('>');
}

/* What an address is that no mail program has for its own. */
static void print_forwarder(const char *text)
{
    static const char *const makers[] = {
        [FORWARDER_SRS] = "an SRS address: a forwarder made it",
        [FORWARDER_MICROSOFT] = "Microsoft 365 made it to forward mail (+SRS=)",
        [FORWARDER_GOOGLE] = "Google made it to forward mail (+caf_)",
    };
    struct address address;
    if (address_parse(text, &address) != STATUS_OK) {
        return;
    }
    enum forwarder forwarder = tag_forwarder(address.local);
    if (forwarder != FORWARDER_NONE) {
        printf("  %s; it never gets a tag\n", makers[forwarder]);
    }
    address_free(&address);
}

/* ------------------------------------------------------------ the message */

static void print_client(const struct client *client)
{
    print_label("client");
    if (client->local) {
        puts("a local process: sendmail(1), or the MTA itself");
        return;
    }
    print_text(stdout, client->address);
    fputs(" (", stdout);
    print_text(stdout, client->name != NULL ? client->name : "no verified name");
    puts(")");
}

/* The same questions in the same order as the transaction asks them. */
static void print_submission(const struct explanation *e)
{
    const struct settings *settings = e->snapshot->settings;
    const struct client *client = &e->request->client;
    const char *relay = network_list_match(settings->relays, &client->ip);
    const char *internal = network_list_match(settings->internal_networks, &client->ip);
    print_label("submission");
    if (e->request->user != NULL) {
        fputs("yes: authenticated as ", stdout);
        print_text(stdout, e->request->user);
        putchar('\n');
    } else if (relay != NULL || (client->local && settings->relays_local)) {
        printf("no: in relays, by %s\n", relay != NULL ? relay : "local");
    } else if (client->local) {
        puts("yes: a local process");
    } else if (internal != NULL) {
        printf("yes: in internal_networks, by %s\n", internal);
    } else {
        puts("no: not authenticated, and not in internal_networks");
    }
}

/* The Received field by which a submission was outside mail before. */
static void print_handed_in(const struct explanation *e)
{
    const struct received *hop = transaction_handed_in(e->transaction);
    if (hop == NULL) {
        return;
    }
    print_label("handed in");
    fputs("again: ", stdout);
    print_text(stdout, hop->by);
    fputs(" had it from ", stdout);
    if (hop->from == RECEIVED_ADDRESS) {
        print_ip(stdout, &hop->ip);
    } else {
        fputs("an address that cannot be read", stdout);
    }
    puts(", without authentication");
}

/* Every decision on a recipient tells whether the message is a bounce. */
static void print_kind(const struct explanation *e)
{
    bool null = address_is_null(e->request->sender);
    print_label("kind");
    if (null) {
        puts("a bounce: null sender");
    } else if (e->recipients[0].decision->bounce) {
        puts("a bounce: its sender is in bounce_senders");
    } else {
        puts("ordinary mail");
    }
}

static const struct decision *find_decision(const struct explanation *e, enum decision_kind kind)
{
    size_t count;
    const struct decision *decisions = transaction_decisions(e->transaction, &count);
    for (size_t i = 0; i < count; i++) {
        if (decisions[i].kind == kind) {
            return &decisions[i];
        }
    }
    return NULL;
}

static void print_skip(const struct decision *skip)
{
    print_format(stdout, "not signed: %s%s%s: %s", skip->reason, skip->entry != NULL ? ":" : "",
                 skip->entry != NULL ? skip->entry : "", explain_skip(skip->reason));
    if (skip->recipient != NULL) {
        fputs(", ", stdout);
        print_address(skip->recipient);
    }
    putchar('\n');
}

static const char *unsigned_reason(const struct explanation *e)
{
    struct address sender;
    const char *reason = "not-ours";
    if (address_parse(e->request->sender, &sender) == STATUS_OK) {
        const struct domain_settings *domain = settings_domain(e->snapshot->settings, sender.ascii);
        reason = domain != NULL && !domain->sign ? "not-signing" : reason;
        address_free(&sender);
    }
    return reason;
}

static void print_sender(const struct explanation *e)
{
    const struct decision *sign = find_decision(e, DECISION_SIGN);
    const struct decision *skip = find_decision(e, DECISION_SIGN_SKIP);
    bool kept = e->ended && transaction_reply(e->transaction)->kind == REPLY_ACCEPT;
    print_label("sender");
    print_address(e->recipients[0].decision->sender);
    fputs(": ", stdout);
    if (sign != NULL) {
        char day[DAY_TEXT];
        day_format(sign->expires, day);
        fputs("signed as ", stdout);
        print_address(sign->tagged);
        printf(", key %d, expires %s\n", sign->key, day);
    } else if (skip != NULL) {
        print_skip(skip);
    } else if (!kept) {
        puts("not signed: the message is not accepted");
    } else {
        const char *reason = unsigned_reason(e);
        printf("not signed: %s: %s\n", reason, explain_skip(reason));
    }
    print_forwarder(e->recipients[0].decision->sender);
}

/* ---------------------------------------------------------- the recipients */

static void print_domain(const struct explanation *e, const struct domain_settings *domain)
{
    time_t until;
    enum auto_state state = snapshot_auto(e->snapshot, domain, e->now, &until);
    print_format(stdout, "  domain %s: ", domain->name);
    if (domain->action == ACTION_AUTO) {
        fputs("auto, ", stdout);
        print_auto(stdout, state, until, settings_wait(e->snapshot->settings));
    } else {
        printf("verify.action %s", action_name(domain->action));
    }
    putchar('\n');
}

/* The row of the table of rules that decided. Under `auto` it can have been called otherwise. */
static const char *deciding_row(const struct decision *d)
{
    if (strncmp(d->verdict.rule, "auto.", 5) != 0) {
        return d->verdict.rule;
    }
    return d->result == RESULT_EXPIRED ? "verify.expired" : "verify.action";
}

/* A verdict by a class has the class in its rule's name. */
static bool is_row(const char *row, const char *rule)
{
    static const char by_class[] = "verify.class";
    bool same_class = strncmp(rule, by_class, sizeof by_class - 1) == 0;
    return strcmp(row, same_class ? by_class : rule) == 0;
}

static void print_verdict(const struct verdict *verdict)
{
    fputs(action_name(verdict->action), stdout);
    if (verdict->would != verdict->action) {
        printf(", would be %s", action_name(verdict->would));
    }
    fputs(" by ", stdout);
    char *rule = explain_rule(verdict);
    print_text(stdout, rule != NULL ? rule : verdict->rule);
    free(rule);
    putchar('\n');
}

static void print_row(size_t number, const char *name)
{
    printf("  %2zu  %-24s", number, name);
}

/* Without a message the rules that look at its content stay out. */
static void print_rules(const struct explanation *e, const struct explain_recipient *r)
{
    const struct decision *d = r->unpaused != NULL ? r->unpaused : r->decision;
    const char *deciding = deciding_row(d);
    size_t row = 1;
    for (size_t i = 0; policy_rule(i) != NULL && !is_row(policy_rule(i), deciding); i++) {
        enum fact fact = policy_rule_fact(i);
        if (fact == FACT_COUNT || !fact_row(fact)->reads || e->request->message != NULL) {
            print_row(row++, policy_rule(i));
            puts("no");
        }
    }
    print_row(row, deciding);
    print_verdict(&d->verdict);
    if (strcmp(r->decision->verdict.rule, "pause") == 0) {
        print_row(row + 1, "pause");
        print_verdict(&r->decision->verdict);
    }
}

/* The sender alone can be a ground not to accept. */
static void print_not_ours(const struct explain_recipient *r)
{
    puts("  not verified: its domain is not in `domains`");
    if (r->decision->verdict.would != ACTION_ACCEPT) {
        fputs("  ", stdout);
        print_verdict(&r->decision->verdict);
    }
}

/* For ordinary mail there is one question, for its sender and for its recipient. */
static void print_ordinary(const struct explain_recipient *r)
{
    printf("  ordinary mail, only a forged tag matters: ");
    print_verdict(&r->decision->verdict);
}

static void print_reply(const struct reply *reply)
{
    switch (reply->kind) {
    case REPLY_CONTINUE:
    case REPLY_ACCEPT:
        puts("accepted");
        break;
    case REPLY_DISCARD:
        puts("accepted and thrown away");
        break;
    case REPLY_TEMPFAIL:
    case REPLY_REJECT:
        print_format(stdout, "%s %s %s\n", reply->code, reply->enhanced, reply->text);
        break;
    }
}

static void print_recipient(const struct explanation *e, const struct explain_recipient *r)
{
    const struct decision *d = r->decision;
    putchar('\n');
    print_label("recipient");
    print_address(d->recipient);
    printf(": %s\n", result_name(d->result));
    if (d->judged != NULL) {
        fputs("  judged as ", stdout);
        print_address(d->judged);
        putchar('\n');
    }
    print_forwarder(d->judged != NULL ? d->judged : d->recipient);
    if (d->domain == NULL) {
        print_not_ours(r);
    } else {
        print_domain(e, d->domain);
        if (d->bounce) {
            print_rules(e, r);
        } else {
            print_ordinary(r);
        }
    }
    if (d->verdict.proof != NULL && e->request->message == NULL) {
        printf("  proof: %s (there is no content to read: see --message)\n", d->verdict.proof);
    } else if (d->verdict.proof != NULL) {
        printf("  class: %s\n  proof: %s\n", bounce_class_name(d->class), d->verdict.proof);
    }
    if (d->applied != NULL) {
        printf("  applied: %s, because of the other recipients\n", d->applied);
    }
    if (r->refused.kind != REPLY_CONTINUE) {
        fputs("  at RCPT: ", stdout);
        print_reply(&r->refused);
    }
}

/* ------------------------------------------------------------------ the end */

static void print_effect(const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_CHANGE_SENDER:
        fputs("the sender becomes ", stdout);
        print_address(effect->value);
        break;
    case EFFECT_REMOVE_RECIPIENT:
        fputs("recipient removed: ", stdout);
        print_text(stdout, effect->value);
        break;
    case EFFECT_ADD_RECIPIENT:
        fputs("recipient added: ", stdout);
        print_address(effect->value);
        break;
    case EFFECT_REMOVE_HEADER:
        print_format(stdout, "header %s removed", effect->name);
        break;
    case EFFECT_ADD_HEADER:
    case EFFECT_APPEND_HEADER:
        print_format(stdout, "header added: %s: ", effect->name);
        print_text(stdout, effect->value);
        break;
    case EFFECT_QUARANTINE:
        fputs("the message is held: ", stdout);
        print_text(stdout, effect->value);
        break;
    }
    putchar('\n');
}

void explain_print(const struct explanation *e)
{
    print_client(&e->request->client);
    print_submission(e);
    print_handed_in(e);
    print_kind(e);
    print_sender(e);
    lookups_print(e->lookups, "dns");
    if (e->content != NULL) {
        limits_print(e->content);
    }
    if (e->snapshot->paused) {
        print_label("pause");
        puts("verification is paused; batvctl resume ends the pause");
    }
    for (size_t i = 0; i < e->request->count; i++) {
        print_recipient(e, &e->recipients[i]);
    }
    putchar('\n');
    print_label("answer");
    if (!e->ended) {
        puts("no recipient is left, so there is no message");
        return;
    }
    print_reply(transaction_reply(e->transaction));
    size_t count;
    const struct effect *effects = transaction_effects(e->transaction, &count);
    for (size_t i = 0; i < count; i++) {
        print_label(i == 0 ? "changes" : "");
        print_effect(&effects[i]);
    }
}
