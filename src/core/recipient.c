/*
 * A recipient is settled once, at RCPT: its address as the MTA will deliver to it, whose settings
 * judge it, its tag, and whatever else is known without asking. A newer ring may look at the tag
 * again; everything else stays. Owns copies of what the event brought.
 */
#include "recipient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "batv/address_fold.h"
#include "batv/address_meaning.h"
#include "batv/day.h"
#include "batv/tag.h"

void recipient_free(struct recipient *r)
{
    for (size_t i = 0; i < RECIPIENT_REMOVALS; i++) {
        free(r->removals[i]);
    }
    free(r->text);
    free(r->known);
    address_free(&r->address);
    free(r->local);
    free(r->plain);
    free(r->judged);
    free(r->restored);
    evidence_names_free(r->names);
    free(r->arguments);
    free(r->next_hop);
}

/* --------------------------------------------------------- how it is written */

/* With comments, phrases, lists, quoted pairs or route upon route. It may be that no deletion takes
 * out such a recipient: which name the MTA keeps depends on the MTA. */
static bool is_odd(const char *text)
{
    const char *end = *text == '"' ? strchr(text + 1, '"') : NULL;
    if (end != NULL && end[1] == '@' && memchr(text, '\\', (size_t)(end - text)) == NULL) {
        text = end + 1;
    }
    const char *colon = *text == '@' ? strchr(text, ':') : NULL;
    return strpbrk(text, "()<>,;\\\" \t") != NULL || (colon != NULL && colon[1] == '@');
}

static enum status add_removal(struct recipient *r, const char *name)
{
    size_t at = r->removals[1] == NULL ? 1 : 2;
    if (asprintf(&r->removals[at], "<%s>", name) < 0) {
        r->removals[at] = NULL;
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* An address that did not come as a plain <local@domain>, but with a source route, a comment or the
 * like: the MTA keeps what it made of that, and takes a deletion by that name only. It may be what
 * the MTA says, or, where it says nothing or (as Postfix) says it without case, what we read. */
static enum status keep_removals(struct recipient *r, const struct rcpt_event *event,
                                 const char *plain)
{
    const char *said = event->resolved;
    bool odd = strcmp(plain, r->text) != 0;
    bool says = said != NULL && *said != '\0' && strcmp(said, r->text) != 0;
    r->removals[0] = strdup(event->recipient);
    enum status status = r->removals[0] != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK && odd && says) {
        status = add_removal(r, said);
    }
    if (status == STATUS_OK && odd && !(says && strcmp(said, plain) == 0)) {
        status = add_removal(r, plain);
    }
    return status;
}

/* Stripped: the MTA has taken the tag off by itself, as Sendmail does by a rule of its own. */
static enum status keep_known(struct recipient *r, const char *resolved)
{
    struct address mailbox;
    struct tag ours, theirs;
    if (resolved == NULL || *resolved == '\0') {
        return STATUS_OK;
    }
    enum status status = address_settle(resolved, NULL, NULL, &mailbox);
    r->known = address_fold_local(resolved, strlen(resolved));
    if (status == STATUS_OK) {
        tag_split(r->address.local, &ours);
        tag_split(mailbox.local, &theirs);
        r->stripped = ours.form == TAG_FORM_TAG && theirs.form == TAG_FORM_NONE;
        address_free(&mailbox);
    }
    return r->known != NULL ? status : STATUS_NO_MEMORY;
}

/* NOTIFY and ORCPT belong to the recipient and go with it when it is replaced. */
static enum status keep_arguments(struct recipient *r, const char *const *arguments)
{
    size_t size = 1;
    size_t used = 0;
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL; i++) {
        size += strlen(arguments[i]) + 1;
    }
    if (size == 1) {
        return STATUS_OK;
    }
    char *out = malloc(size);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; arguments[i] != NULL; i++) {
        if (strncasecmp(arguments[i], "NOTIFY=", 7) == 0 ||
            strncasecmp(arguments[i], "ORCPT=", 6) == 0) {
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? " " : "",
                                     arguments[i]);
        }
    }
    if (used > 0) {
        r->arguments = out;
    } else {
        free(out);
    }
    return STATUS_OK;
}

/* ------------------------------------------------------------ where it goes */

static bool is_among(const char *const names[], size_t count, const char *name)
{
    for (size_t i = 0; name != NULL && i < count; i++) {
        if (ascii_equal(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* Mailers by which mail stays on the host. */
static bool is_local_mailer(const char *mailer)
{
    static const char *const names[] = {"local", "virtual", "discard",
                                        "prog",  "*file*",  "*include*"};
    return is_among(names, sizeof names / sizeof *names, mailer);
}

/* Mailers whose next hop is the text of an error. The mail may go somewhere all the same: Postfix
 * says "error" of an alias too. */
static bool is_error_mailer(const char *mailer)
{
    static const char *const names[] = {"error", "retry"};
    return is_among(names, sizeof names / sizeof *names, mailer);
}

/* Mailers of Postfix's that deliver to mailboxes of this host; Sendmail's have no host. */
static bool is_delivered_here(const struct rcpt_event *event)
{
    static const char *const names[] = {"local", "virtual", "lmtp"};
    return is_among(names, sizeof names / sizeof *names, event->mailer) ||
           (event->host != NULL && *event->host == '\0');
}

/* Mailers by which mail certainly leaves for another host. Postfix's relay carries mail to the
 * domains that it is a backup or a gateway for, Sendmail's all that a smart host takes. */
static bool is_leaving_mailer(const struct client *client, const char *mailer)
{
    static const char *const names[] = {"smtp", "esmtp", "smtp8", "dsmtp"};
    return is_among(names, sizeof names / sizeof *names, mailer) ||
           (client->sendmail && mailer != NULL && ascii_equal(mailer, "relay"));
}

static enum status keep_next_hop(struct recipient *r, const struct rcpt_event *event,
                                 const struct envelope *envelope)
{
    const char *host = event->host;
    r->leaves = is_leaving_mailer(envelope->client, event->mailer);
    if (!envelope->signs || !envelope->facts->asks[FACT_RCPT_NETWORK]) {
        return STATUS_OK;
    }
    r->stays = is_local_mailer(event->mailer);
    if (host != NULL && *host != '\0' && !r->stays && !is_error_mailer(event->mailer)) {
        r->next_hop = strdup(host);
        return r->next_hop != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

struct destination recipient_destination(const struct recipient *r)
{
    if (r->refused || r->stays) {
        return (struct destination){"", NULL};
    }
    return (struct destination){r->address.ascii, r->next_hop};
}

/* -------------------------------------------------------- what it is judged by */

/* Whose settings judge it. A submission may also name another host's mailbox by such a name. */
static void find_rules(struct recipient *r, const struct rcpt_event *event,
                       const struct envelope *envelope)
{
    const struct settings *settings = envelope->snapshot->settings;
    bool here = !envelope->facts->submission || is_delivered_here(event);
    r->domain = settings_domain(settings, r->address.ascii);
    if (here && facts_is_own_name(settings, envelope->client, &r->address)) {
        r->domain = settings_first(settings);
        r->facts.own_name = true;
    }
}

const char *recipient_domain(const struct recipient *r)
{
    return r->facts.own_name ? r->domain->name : r->address.ascii;
}

const char *recipient_local(const struct recipient *r)
{
    return r->local != NULL ? r->local : r->address.local;
}

/* The address is what one reads in the text that came, but for a dot at its end. */
static bool reads_as(const struct recipient *r, const char *written)
{
    size_t length = strlen(written);
    return strncmp(r->text, written, length) == 0 && strspn(r->text + length, ".") < 2 &&
           r->text[length + strspn(r->text + length, ".")] == '\0';
}

static enum status keep_plain(struct recipient *r, const char *written)
{
    const char *local = recipient_local(r);
    const char *domain = recipient_domain(r);
    bool shows = r->facts.own_name || !reads_as(r, written);
    r->plain = address_fold(local, domain);
    r->judged = shows ? address_plain(local, domain) : NULL;
    return r->plain != NULL && (!shows || r->judged != NULL) ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status recipient_check(struct recipient *r, const struct settings *settings,
                            const struct ring *ring, time_t now)
{
    struct recipient_facts *facts = &r->facts;
    struct address address = r->address;
    char *local = NULL;
    if (facts->own_name) {
        address.domain = r->domain->name;
        address.ascii = r->domain->name;
    }
    enum status status =
        tag_verify(ring, &address, settings->keys.lifetime_days, now, &facts->check, &local);
    if (status != STATUS_OK) {
        return status;
    }
    free(r->local);
    r->local = local;
    r->generation = ring->generation;
    /* An administrator who forgets keys at once wants no rule for them. */
    facts->key_missed = settings->keys.retain_days > 0 && facts->check.key >= 0 &&
                        ring_key_missed(ring, (unsigned)facts->check.key, facts->check.day, now);
    return facts->check.internal_error ? STATUS_CRYPTO : STATUS_OK;
}

static void find_bounce_facts(struct recipient *r, const struct envelope *envelope, time_t now)
{
    const bool *asks = envelope->facts->asks;
    bool journal_is_old = snapshot_journal_is_old(envelope->snapshot, now);
    r->facts.journal_young = asks[FACT_JOURNAL] && !journal_is_old;
    r->facts.unknown_untaggable =
        r->facts.too_long && (!envelope->snapshot->settings->evidence.journal || !journal_is_old);
    r->facts.marks_expected = (asks[FACT_PATTERN] && r->domain->message_ids != NULL) ||
                              (asks[FACT_JOURNAL] && journal_is_old);
}

/* Once its tag is known. */
static enum status find_facts(struct recipient *r, const struct envelope *envelope, time_t now)
{
    const struct snapshot *snapshot = envelope->snapshot;
    struct recipient_facts *facts = &r->facts;
    r->restored = address_format(r->local, r->address.domain);
    if (r->restored == NULL) {
        return STATUS_NO_MEMORY;
    }
    facts->lifetime_days = snapshot->settings->keys.lifetime_days;
    facts->too_long = tag_would_not_fit(r->local, r->address.domain);
    facts->excluded = pattern_list_match(snapshot->settings->exclude_recipients, r->plain);
    facts->auto_state =
        facts->own_name ? AUTO_NOT_SIGNING : snapshot_auto(snapshot, r->domain, now, NULL);
    facts->ids_rewritten = snapshot_ids_rewritten(snapshot, r->domain);
    if (envelope->facts->bounce) {
        find_bounce_facts(r, envelope, now);
    } else if (facts->check.result != RESULT_BAD_SIGNATURE) { /* that is a guess in any mail */
        return STATUS_OK;
    }
    return evidence_names_new(r->local, recipient_domain(r), &r->names);
}

/* written: the address in one piece. */
static enum status find_all(struct recipient *r, const struct rcpt_event *event,
                            const struct envelope *envelope, const char *written)
{
    const struct snapshot *snapshot = envelope->snapshot;
    find_rules(r, event, envelope);
    enum status status = keep_removals(r, event, written);
    if (status == STATUS_OK) {
        status = keep_next_hop(r, event, envelope);
    }
    if (status == STATUS_OK && r->domain != NULL) {
        status = recipient_check(r, snapshot->settings, snapshot->ring, event->now);
    }
    if (status == STATUS_OK) {
        status = keep_plain(r, written);
    }
    return status == STATUS_OK && r->domain != NULL ? find_facts(r, envelope, event->now) : status;
}

enum status recipient_settle(struct recipient *r, const struct rcpt_event *event,
                             const struct envelope *envelope)
{
    *r = (struct recipient){.generation = envelope->snapshot->ring->generation};
    r->text = address_text(event->recipient);
    if (r->text == NULL || address_settle(event->recipient, event->resolved,
                                          envelope->client->server, &r->address) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    r->odd = is_odd(r->text);
    enum status status = keep_known(r, event->resolved);
    if (status == STATUS_OK) {
        status = keep_arguments(r, event->arguments);
    }
    char *written = address_format(r->address.local, r->address.domain);
    if (status == STATUS_OK) {
        status = written != NULL ? find_all(r, event, envelope, written) : STATUS_NO_MEMORY;
    }
    free(written);
    return status;
}

/* ------------------------------------------------------------------- judging */

bool recipient_is_doubtful(const struct recipient *r, const struct message_facts *message)
{
    return r->domain != NULL && !r->refused && r->facts.check.result != RESULT_VALID &&
           (message->bounce || r->facts.check.key >= 0);
}

enum policy_state recipient_judge(struct recipient *r, const struct message_facts *message,
                                  enum fact *need)
{
    enum policy_state state = POLICY_DECIDED;
    if (r->domain == NULL) {
        policy_not_ours(message, &r->verdict);
    } else {
        state = policy_next(r->domain, message, &r->facts, need, &r->verdict);
    }
    r->settled = state == POLICY_DECIDED;
    return state;
}

bool recipient_needs_content(const struct recipient *r, const struct message_facts *message)
{
    enum fact need;
    struct verdict verdict;
    return policy_next(r->domain, message, &r->facts, &need, &verdict) == POLICY_NEEDS &&
           fact_row(need)->reads;
}

bool recipient_is_tried(const struct recipient *r, const struct message_facts *message)
{
    bool wrong = r->facts.check.result == RESULT_BAD_SIGNATURE;
    return r->domain != NULL && r->names != NULL && (message->bounce || wrong);
}

struct tried recipient_tried(const struct recipient *r)
{
    enum result result = r->facts.check.result;
    struct tried tried = {(const char *const *)r->names->texts, r->names->count,
                          result == RESULT_BAD_SIGNATURE, 0};
    struct tag tag;
    tag_split(r->address.local, &tag);
    if (result == RESULT_VALID || result == RESULT_EXPIRED) {
        tried.plain += evidence_names_without(r->names, r->facts.check.extension);
        tried.count = 1;
    }
    if (tag.form == TAG_FORM_TAG) {
        uint64_t number = (uint64_t)tag.key * DAY_CODES + tag.day;
        tried.tag = number << 24 | strtoul(tag.mac, NULL, 16);
    }
    return tried;
}

bool recipients_differ_in_tag(const struct recipient *a, const struct recipient *b)
{
    struct tag x, y;
    tag_split(a->address.local, &x);
    tag_split(b->address.local, &y);
    bool same = x.key == y.key && x.day == y.day && strcmp(x.mac, y.mac) == 0;
    return !same && evidence_names_meet(a->names, b->names);
}

bool recipient_is_kept(const struct recipient *r)
{
    return !r->refused && action_keeps(r->verdict.action);
}

bool recipient_is_restorable(const struct recipient *r)
{
    return r->domain != NULL && !r->facts.own_name && !r->stripped &&
           (r->facts.check.result == RESULT_VALID || r->facts.check.result == RESULT_EXPIRED);
}

const char *recipient_tagged_name(const struct recipient *r)
{
    return r->names->texts[evidence_names_without(r->names, r->facts.check.extension)];
}
