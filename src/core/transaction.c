/*
 * One message. Events fill in what is known of it; transaction_end judges each recipient through
 * the question machine, combines the verdicts into one reply, and lists what has to be done and
 * said.
 *
 * Owns copies of all that the events brought; borrows the snapshot, the newer ring and the client.
 * An error of our own (memory, the cryptographic library) is remembered in `failed` and then
 * answers for the whole message by on_error: nothing is decided on half the facts.
 */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "batv/address.h"
#include "batv/address_fold.h"
#include "batv/address_meaning.h"
#include "batv/day.h"
#include "transaction_parts.h"

struct transaction *transaction_new(const struct snapshot *snapshot, const struct client *client)
{
    struct transaction *t = calloc(1, sizeof *t);
    if (t != NULL) {
        t->snapshot = snapshot;
        t->client = client;
        t->ring = snapshot->ring;
    }
    return t;
}

static void recipient_free(struct recipient *r)
{
    free(r->raw);
    free(r->other);
    free(r->written);
    free(r->known);
    free(r->text);
    free(r->arguments);
    address_free(&r->address);
    free(r->local);
    free(r->plain);
    free(r->shown);
    free(r->mailbox);
    free(r->restored);
    free(r->next_hop);
    evidence_names_free(r->names);
}

void transaction_free(struct transaction *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        recipient_free(&t->recipients[i]);
    }
    free(t->recipients);
    free(t->sender_text);
    address_free(&t->sender);
    outgoing_free(&t->outgoing);
    free(t->tagged);
    free(t->untaggable);
    free(t->mark_value);
    free(t->effects);
    free(t->decisions);
    free(t);
}

void transaction_fail(struct transaction *t)
{
    t->failed = true;
}

bool transaction_failed(const struct transaction *t)
{
    return t->failed;
}

/* An address as it came, less its brackets. */
static char *without_brackets(const char *raw)
{
    size_t length = strlen(raw);
    if (length >= 2 && raw[0] == '<' && raw[length - 1] == '>') {
        return strndup(raw + 1, length - 2);
    }
    return strdup(raw);
}

/* ------------------------------------------------------------------ MAIL */

static bool list_has_client(const struct network_list *list, const struct client *client)
{
    return client->address != NULL && network_list_match(list, &client->ip) != NULL;
}

/* mailer-daemon and its like, by the plain address: others tag theirs too. */
static enum status match_bounce_sender(const struct settings *settings,
                                       const struct address *sender, bool *matches)
{
    struct tag tag;
    tag_split(sender->local, &tag);
    char *local = tag_plain(&tag);
    char *plain = local != NULL ? address_fold(local, sender->ascii) : NULL;
    *matches = plain != NULL && pattern_list_match(settings->bounce_senders, plain) != NULL;
    enum status status = plain != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    free(local);
    free(plain);
    return status;
}

/* Which lists accept a bounce for its client's sake. Relays hand in outside mail, so of all lists
 * only those that exclude a client by name or network hold for them. */
static void find_exclusions(struct transaction *t, bool relay)
{
    const struct settings *settings = t->snapshot->settings;
    const struct client *client = t->client;
    struct message_facts *facts = &t->facts;
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

static void find_client_facts(struct transaction *t, const char *user)
{
    const struct settings *settings = t->snapshot->settings;
    const struct client *client = t->client;
    struct message_facts *facts = &t->facts;
    bool listed = list_has_client(settings->relays, client);
    bool relay = listed || (client->local && settings->relays_local);
    facts->logged_in = user != NULL;
    facts->authenticated = settings->exclude_authenticated && user != NULL;
    facts->local = client->local;
    facts->relay_unproven = listed && user == NULL && !list_has_client(t->snapshot->proven, client);
    facts->submission =
        user != NULL ||
        (!relay && (client->local || list_has_client(settings->internal_networks, client)));
    facts->paused = t->snapshot->paused;
    facts->on_error_accepts = settings->on_error == ACTION_ACCEPT;
    facts->asks[FACT_TAG_IN_BODY] = settings->evidence.enabled && settings->evidence.tag_in_body;
    facts->asks[FACT_HEADER] = settings->evidence.enabled;
    facts->asks[FACT_JOURNAL] = settings->evidence.enabled && settings->evidence.journal;
    facts->asks[FACT_PATTERN] = settings->evidence.enabled;
    facts->asks[FACT_CLASS] = settings->evidence.enabled;
    facts->class = BOUNCE_UNREAD;
    if (facts->bounce) {
        find_exclusions(t, relay);
    }
}

/* A name that every host has for its own mailboxes; one that stands in `domains` is like others. */
bool transaction_is_own_name(const struct transaction *t, const struct address *address)
{
    const struct settings *settings = t->snapshot->settings;
    return settings_first(settings) != NULL && *address->local != '\0' &&
           settings_rules(settings, address->ascii) == NULL &&
           address_names_host(address, t->client->server);
}

void transaction_mail(struct transaction *t, const char *sender, const char *resolved,
                      const char *user)
{
    const struct settings *settings = t->snapshot->settings;
    t->sender_text = without_brackets(sender);
    if (t->sender_text == NULL ||
        address_settle(sender, resolved, t->client->server, &t->sender) != STATUS_OK) {
        t->failed = true;
        return;
    }
    t->null_sender = *t->sender.local == '\0' && *t->sender.domain == '\0';
    if (!t->null_sender &&
        match_bounce_sender(settings, &t->sender, &t->bounce_sender) != STATUS_OK) {
        t->failed = true;
        return;
    }
    t->facts.has_sender = !t->null_sender;
    t->facts.bounce = t->null_sender || t->bounce_sender;
    t->sender_rules = settings_rules(settings, t->sender.ascii);
    t->has_user = user != NULL;
    t->sender_is_own_name = transaction_is_own_name(t, &t->sender);
    find_client_facts(t, user);
    if (transaction_reads_header(t) && outgoing_add_sender(t) != STATUS_OK) {
        t->failed = true;
    }
}

/* ------------------------------------------------------------------ RCPT */

/* NOTIFY and ORCPT belong to the recipient and go with it when it is replaced. *own: NULL for none.
 */
static enum status own_arguments(const char *const *arguments, char **own)
{
    size_t size = 1;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        size += strlen(arguments[i]) + 1;
    }
    *own = NULL;
    char *out = malloc(size);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t used = 0;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        if (strncasecmp(arguments[i], "NOTIFY=", 7) == 0 ||
            strncasecmp(arguments[i], "ORCPT=", 6) == 0) {
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? " " : "",
                                     arguments[i]);
        }
    }
    if (used == 0) {
        free(out);
        return STATUS_OK;
    }
    *own = out;
    return STATUS_OK;
}

const char *recipient_domain(const struct recipient *r)
{
    return r->facts.own_name ? r->rules->name : r->address.ascii;
}

bool recipient_is_kept(const struct recipient *r)
{
    return !r->refused && action_keeps(r->verdict.action);
}

/* The address that is judged. */
static struct address judged_address(const struct recipient *r)
{
    struct address address = r->address;
    if (r->facts.own_name) {
        address.domain = r->rules->name;
        address.ascii = r->rules->name;
    }
    return address;
}

/* Looks at the tag by this ring and fills in all that depends on it. */
static enum status look_at_tag(struct transaction *t, struct recipient *r, const struct ring *ring,
                               time_t now)
{
    const struct settings *settings = t->snapshot->settings;
    struct recipient_facts *facts = &r->facts;
    char *local = NULL;
    struct address address = judged_address(r);
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

/* Looks at the sender's tag, where that can be a ground to reject. */
static enum status look_at_sender(struct transaction *t, const struct ring *ring, time_t now)
{
    const struct settings *settings = t->snapshot->settings;
    struct tag_check check;
    char *local = NULL;
    t->facts.forged_sender = ACTION_ACCEPT;
    if (settings->forged_sender == ACTION_ACCEPT || t->sender_rules == NULL ||
        t->facts.submission || t->facts.local) {
        return STATUS_OK;
    }
    enum status status =
        tag_verify(ring, &t->sender, settings->keys.lifetime_days, now, &check, &local);
    free(local);
    if (status != STATUS_OK || check.internal_error) {
        return status != STATUS_OK ? status : STATUS_CRYPTO;
    }
    if (tag_is_unauthentic(&check)) {
        t->facts.forged_sender = settings->forged_sender;
        t->facts.sender_waits =
            auto_state_waits(snapshot_auto(t->snapshot, t->sender_rules, now, NULL));
    }
    return STATUS_OK;
}

static enum status name_recipient(struct recipient *r)
{
    return outgoing_answer_names(r->local, recipient_domain(r), &r->names);
}

/* The address that a valid or expired tag was made for. */
static const char *tagged_name(const struct recipient *r)
{
    return r->names->texts[evidence_names_without(r->names, r->facts.check.extension)];
}

/* The address for each use of it. */
static enum status name_mailbox(struct recipient *r, const char *local)
{
    const char *judged = recipient_domain(r);
    r->plain = address_fold(local, judged);
    r->mailbox = address_plain(local, r->address.ascii);
    r->shown = r->reads_otherwise ? address_plain(local, judged) : NULL;
    bool shown = !r->reads_otherwise || r->shown != NULL;
    return r->plain != NULL && r->mailbox != NULL && shown ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status find_recipient_facts(struct transaction *t, struct recipient *r, time_t now)
{
    const struct settings *settings = t->snapshot->settings;
    enum status status = look_at_tag(t, r, t->snapshot->ring, now);
    if (status != STATUS_OK) {
        return status;
    }
    r->restored = address_format(r->local, r->address.domain);
    if (r->restored == NULL || name_mailbox(r, r->local) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    r->facts.lifetime_days = settings->keys.lifetime_days;
    r->facts.too_long = tag_would_not_fit(r->local, r->address.domain);
    r->facts.excluded = pattern_list_match(settings->exclude_recipients, r->plain);
    r->facts.auto_state =
        r->facts.own_name ? AUTO_NOT_SIGNING : snapshot_auto(t->snapshot, r->rules, now, NULL);
    r->facts.ids_rewritten = snapshot_ids_rewritten(t->snapshot, r->rules);
    if (!t->facts.bounce) { /* a wrong tag is a guess, whatever brings it */
        bool wrong = r->facts.check.result == RESULT_BAD_SIGNATURE;
        return wrong ? name_recipient(r) : STATUS_OK;
    }
    bool journal_is_old = snapshot_journal_is_old(t->snapshot, now);
    r->facts.journal_young = t->facts.asks[FACT_JOURNAL] && !journal_is_old;
    r->facts.unknown_untaggable =
        r->facts.too_long && (!settings->evidence.journal || !journal_is_old);
    r->facts.marks_expected = (t->facts.asks[FACT_PATTERN] && r->rules->message_ids != NULL) ||
                              (t->facts.asks[FACT_JOURNAL] && journal_is_old);
    return name_recipient(r);
}

static struct recipient *recipient_add(struct transaction *t)
{
    if (t->count == t->room) {
        size_t room = t->room == 0 ? 4 : 2 * t->room;
        struct recipient *grown = realloc(t->recipients, room * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        t->recipients = grown;
        t->room = room;
    }
    struct recipient *r = &t->recipients[t->count++];
    *r = (struct recipient){.generation = t->snapshot->ring->generation};
    return r;
}

/* An address that did not come as a plain <local@domain>, but with a source route, a comment or the
 * like: the MTA keeps what it made of that, and takes a deletion by that name only. It may be what
 * the MTA says, or, where it says nothing or (as Postfix) says it without case, what we read. */
static enum status keep_other_names(struct recipient *r, const char *resolved)
{
    char *plain = address_format(r->address.local, r->address.domain);
    if (plain == NULL) {
        return STATUS_NO_MEMORY;
    }
    bool odd = strcmp(plain, r->text) != 0;
    bool said = resolved != NULL && *resolved != '\0' && strcmp(resolved, r->text) != 0;
    enum status status = STATUS_OK;
    if (odd && said && asprintf(&r->other, "<%s>", resolved) < 0) {
        r->other = NULL;
        status = STATUS_NO_MEMORY;
    }
    if (odd && !(said && strcmp(resolved, plain) == 0) &&
        asprintf(&r->written, "<%s>", plain) < 0) {
        r->written = NULL;
        status = STATUS_NO_MEMORY;
    }
    free(plain);
    return status;
}

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

/* True where the address that is judged is not what one reads in the address that came. */
static enum status compare_reading(struct recipient *r)
{
    char *written = address_format(r->address.local, r->address.domain);
    if (written == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t length = strlen(written);
    bool same = strncmp(r->text, written, length) == 0 && strspn(r->text + length, ".") < 2 &&
                r->text[length + strspn(r->text + length, ".")] == '\0';
    r->reads_otherwise = r->facts.own_name || !same;
    free(written);
    return STATUS_OK;
}

/* Stripped: the MTA has taken the tag off by itself, as Sendmail does by a rule of its own. */
static enum status keep_known(struct recipient *r, const char *resolved)
{
    struct address mailbox;
    struct tag ours, theirs;
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
static bool is_delivered_here(const char *host, const char *mailer)
{
    static const char *const names[] = {"local", "virtual", "lmtp"};
    return is_among(names, sizeof names / sizeof *names, mailer) || (host != NULL && *host == '\0');
}

/* Mailers by which mail certainly leaves for another host. Postfix's relay carries mail to the
 * domains that it is a backup or a gateway for, Sendmail's all that a smart host takes. */
static bool is_leaving_mailer(const struct client *client, const char *mailer)
{
    static const char *const names[] = {"smtp", "esmtp", "smtp8", "dsmtp"};
    return is_among(names, sizeof names / sizeof *names, mailer) ||
           (client->sendmail && mailer != NULL && ascii_equal(mailer, "relay"));
}

void transaction_next_hop(struct transaction *t, const char *host, const char *mailer)
{
    t->next_host = host;
    t->next_mailer = mailer;
}

/* Where the mail for r goes, if that may matter. */
static enum status keep_next_hop(const struct transaction *t, struct recipient *r)
{
    const char *host = t->next_host;
    r->leaves = is_leaving_mailer(t->client, t->next_mailer);
    bool matters = transaction_goes_out(t) &&
                   !network_list_is_empty(t->snapshot->settings->exclude_sign_recipient_networks);
    if (!matters) {
        return STATUS_OK;
    }
    r->stays = is_local_mailer(t->next_mailer);
    if (host != NULL && *host != '\0' && !r->stays && !is_error_mailer(t->next_mailer)) {
        r->next_hop = strdup(host);
        return r->next_hop != NULL ? STATUS_OK : STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* Whose rules judge r. A submission may also name another host's mailbox by such a name. */
static void find_rules(const struct transaction *t, struct recipient *r)
{
    const struct settings *settings = t->snapshot->settings;
    bool here = !t->facts.submission || is_delivered_here(t->next_host, t->next_mailer);
    r->rules = settings_rules(settings, r->address.ascii);
    if (here && transaction_is_own_name(t, &r->address)) {
        r->rules = settings_first(settings);
        r->facts.own_name = true;
    }
}

static enum status recipient_fill(struct transaction *t, struct recipient *r, const char *raw,
                                  const char *resolved, const char *const *arguments, time_t now)
{
    r->raw = strdup(raw);
    r->text = without_brackets(raw);
    if (r->raw == NULL || r->text == NULL ||
        address_settle(raw, resolved, t->client->server, &r->address) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    if (keep_other_names(r, resolved) != STATUS_OK ||
        (resolved != NULL && *resolved != '\0' && keep_known(r, resolved) != STATUS_OK)) {
        return STATUS_NO_MEMORY;
    }
    if (arguments != NULL && own_arguments(arguments, &r->arguments) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    r->odd = is_odd(r->text);
    find_rules(t, r);
    if (compare_reading(r) != STATUS_OK || keep_next_hop(t, r) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    if (r->rules != NULL) {
        return find_recipient_facts(t, r, now);
    }
    return name_mailbox(r, r->address.local);
}

void transaction_rcpt(struct transaction *t, const char *recipient, const char *resolved,
                      const char *const *arguments, time_t now)
{
    struct recipient *r = t->failed ? NULL : recipient_add(t);
    if (t->count == 1 && look_at_sender(t, t->ring, now) != STATUS_OK) {
        t->failed = true;
    }
    if (r == NULL || recipient_fill(t, r, recipient, resolved, arguments, now) != STATUS_OK) {
        t->failed = true;
    }
    transaction_next_hop(t, NULL, NULL);
}

/* ---------------------------------------------------------------- judging */

struct decision *transaction_record(struct transaction *t, enum decision_kind kind)
{
    if (t->decision_count == t->decision_room) {
        size_t room = t->decision_room == 0 ? 4 : 2 * t->decision_room;
        struct decision *grown = realloc(t->decisions, room * sizeof *grown);
        if (grown == NULL) {
            t->failed = true;
            return NULL;
        }
        t->decisions = grown;
        t->decision_room = room;
    }
    struct decision *d = &t->decisions[t->decision_count++];
    *d = (struct decision){.kind = kind,
                           .client = t->client,
                           .sender = t->sender_text,
                           .recipients = t->count,
                           .generation = t->snapshot->ring->generation};
    return d;
}

static void record_verify(struct transaction *t, const struct recipient *r, const char *applied)
{
    struct decision *d = transaction_record(t, DECISION_VERIFY);
    if (d == NULL) {
        return;
    }
    d->rules = r->rules;
    d->recipient = r->text;
    d->judged = r->shown;
    d->result = r->rules != NULL ? r->facts.check.result : RESULT_NOT_OURS;
    d->bounce = t->facts.bounce;
    d->class = t->facts.class;
    d->verdict = r->verdict;
    d->applied = applied;
    if (r->rules == NULL) {
        d->hosted = signing_hosted(t, r);
    } else if (d->result == RESULT_VALID && !t->facts.submission) {
        d->first_tag = r->rules->sign && !ring_tag_seen(t->snapshot->ring, r->rules->name);
        d->proves_relay = t->facts.relay_unproven;
    }
    d->generation = r->generation;
    bool plain = d->result == RESULT_NOT_OURS || (!d->bounce && d->result == RESULT_MISSING);
    d->debug = plain && d->verdict.would == ACTION_ACCEPT;
    d->from_mail_server = t->facts.mail_server != NULL;
    d->opens = d->bounce && !d->debug && !t->opened;
    t->opened = t->opened || d->opens;
}

/* How many tags of one message may be wrong before it is called guessing. */
enum { WRONG_TAGS = 3 };

static bool is_another_tag(const struct recipient *a, const struct recipient *b)
{
    struct tag x, y;
    tag_split(a->address.local, &x);
    tag_split(b->address.local, &y);
    bool same = x.key == y.key && x.day == y.day && strcmp(x.mac, y.mac) == 0;
    return !same && evidence_names_meet(a->names, b->names);
}

/* A bounce has one recipient, or the few for whom one message failed: it has one tag for each. Two
 * that none of our keys made for one mailbox, or many such, are guesses, and the one that is right
 * among them is one too. */
static bool guesses(const struct transaction *t)
{
    const struct recipient *wrong[WRONG_TAGS];
    size_t count = 0;
    for (size_t i = 0; t->facts.bounce && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (r->rules == NULL || r->facts.check.result != RESULT_BAD_SIGNATURE) {
            continue;
        }
        if (count == WRONG_TAGS) {
            return true;
        }
        for (size_t k = 0; k < count; k++) {
            if (is_another_tag(wrong[k], r)) {
                return true;
            }
        }
        wrong[count++] = r;
    }
    return false;
}

/* What was decided at RCPT, where the message was not yet seen to guess, counts no more. */
static void note_guessing(struct transaction *t)
{
    t->facts.guesses = guesses(t);
    for (size_t i = 0; t->facts.guesses && i < t->count; i++) {
        t->recipients[i].judged = t->recipients[i].refused;
    }
}

/* One line for each result is enough for a bounce that may have a thousand recipients. */
static void count_alike(struct transaction *t, size_t first)
{
    struct decision *lines[RESULT_COUNT] = {NULL};
    for (size_t i = first; i < t->decision_count; i++) {
        struct decision *d = &t->decisions[i];
        if (d->kind != DECISION_VERIFY || d->verdict.cause != CAUSE_GUESSING) {
            continue;
        }
        d->counted = lines[d->result] != NULL;
        if (!d->counted) {
            lines[d->result] = d;
        }
        lines[d->result]->count++;
    }
}

static enum policy_state judge(struct transaction *t, struct recipient *r, enum fact *need)
{
    if (r->rules == NULL) {
        policy_not_ours(&t->facts, &r->verdict);
        r->judged = true;
        return POLICY_DECIDED;
    }
    enum policy_state state = policy_next(r->rules, &t->facts, &r->facts, need, &r->verdict);
    r->judged = state == POLICY_DECIDED;
    return state;
}

static bool is_sender_forged(const struct transaction *t)
{
    return t->facts.forged_sender != ACTION_ACCEPT;
}

bool transaction_judges_at_rcpt(const struct transaction *t)
{
    if (t->failed) {
        return false;
    }
    const struct recipient *r = &t->recipients[t->count - 1];
    bool at_once = t->snapshot->settings->reject_at_rcpt || (r->odd && !t->facts.bounce);
    return at_once && (r->rules != NULL || is_sender_forged(t));
}

/* Known from the start, since a bounce to an address under guessing has to be read. */
static bool is_open_guess(const struct transaction *t)
{
    struct tried tried;
    return t->count > 0 && transaction_tried(t, t->count - 1, &tried) &&
           t->recipients[t->count - 1].facts.answers[FACT_GUESSING] == ANSWER_UNASKED;
}

bool transaction_rcpt_needs(struct transaction *t, enum fact *need, size_t *recipient)
{
    if (!t->failed && is_open_guess(t)) {
        *need = FACT_GUESSING;
        *recipient = t->count - 1;
        return true;
    }
    if (!transaction_judges_at_rcpt(t)) {
        return false;
    }
    t->facts.at_rcpt = true;
    *recipient = t->count - 1;
    return judge(t, &t->recipients[*recipient], need) == POLICY_NEEDS;
}

void transaction_rcpt_reply(struct transaction *t, struct reply *reply)
{
    *reply = (struct reply){.kind = REPLY_CONTINUE};
    if (t->failed) {
        reply_on_error(t->snapshot->settings, reply);
        if (reply->kind == REPLY_ACCEPT) {
            reply->kind =
                REPLY_CONTINUE; /* at RCPT, accept would end the whole message's filtering */
        }
        return;
    }
    if (!transaction_judges_at_rcpt(t)) {
        return;
    }
    struct recipient *r = &t->recipients[t->count - 1];
    assert(r->judged);
    if (r->verdict.action != ACTION_REJECT && r->verdict.action != ACTION_TEMPFAIL) {
        return;
    }
    r->refused = true;
    reply_refuse(t, r, r->verdict.action == ACTION_REJECT ? REPLY_REJECT : REPLY_TEMPFAIL, reply);
    record_verify(t, r, NULL);
}

/* A tag that a newer ring might know, in a message where that makes a difference. */
static bool is_doubtful(const struct transaction *t, const struct recipient *r)
{
    return r->rules != NULL && !r->refused && r->facts.check.result != RESULT_VALID &&
           (t->facts.bounce || r->facts.check.key >= 0);
}

bool transaction_doubtful(const struct transaction *t)
{
    if (is_sender_forged(t)) {
        return true;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (is_doubtful(t, &t->recipients[i])) {
            return true;
        }
    }
    return false;
}

void transaction_renew(struct transaction *t, const struct ring *ring, time_t now)
{
    bool by_sender = is_sender_forged(t);
    t->ring = ring;
    t->settled = 0;
    if (by_sender && look_at_sender(t, ring, now) != STATUS_OK) {
        t->failed = true;
    }
    for (size_t i = 0; i < t->count; i++) {
        struct recipient *r = &t->recipients[i];
        r->judged = r->judged && (r->refused || !by_sender);
        if (!is_doubtful(t, r)) {
            continue;
        }
        r->judged = false;
        if (look_at_tag(t, r, ring, now) != STATUS_OK) {
            t->failed = true;
        }
    }
}

/* ------------------------------------------------------------------ wants */

static bool is_to_be_signed(const struct transaction *t)
{
    return t->sender_rules != NULL && t->sender_rules->sign && t->facts.submission &&
           !t->facts.bounce;
}

/* Its fate hangs on something that is known once the content has been read. */
static bool needs_content(const struct message_facts *facts, const struct recipient *r)
{
    enum fact need;
    struct verdict verdict;
    return policy_next(r->rules, facts, &r->facts, &need, &verdict) == POLICY_NEEDS &&
           need != FACT_UNTAGGABLE;
}

unsigned transaction_wants(const struct transaction *t)
{
    unsigned wants = t->failed || is_to_be_signed(t) || is_sender_forged(t) ? WANT_END : 0;
    struct message_facts facts = t->facts;
    facts.guesses = guesses(t);
    wants |= transaction_goes_out(t) ? WANT_HEADERS | WANT_END : 0;
    wants |= outgoing_asks_hops(t) ? WANT_HEADERS : 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        bool tagged = r->rules != NULL && r->facts.check.key >= 0;
        if (r->rules != NULL && (t->facts.bounce || tagged)) {
            wants |= WANT_END;
        }
        if (r->rules != NULL && t->facts.bounce && t->snapshot->settings->may_mark) {
            wants |= WANT_HEADERS;
        }
        if (r->rules != NULL && t->facts.bounce && !r->refused && needs_content(&facts, r)) {
            wants |= WANT_HEADERS | WANT_BODY;
        }
    }
    return wants;
}

void transaction_header(struct transaction *t, const char *name, const char *value)
{
    if (transaction_reads_header(t)) {
        outgoing_header(t, name, value);
    }
    if (t->facts.bounce && t->snapshot->settings->may_mark &&
        ascii_equal(name, t->snapshot->settings->mark_header)) {
        t->marks++;
    }
}

/* ----------------------------------------------------------------- the end */

/* What became of a recipient, where that is something else than its action says. */
static const char *applied_name(enum disposition whole, enum action action)
{
    switch (whole) {
    case DISPOSITION_KEEP:
        return action_keeps(action) ? NULL : "removed";
    case DISPOSITION_TEMPFAIL:
        return action == ACTION_TEMPFAIL ? NULL : "tempfail";
    case DISPOSITION_REJECT:
        return action == ACTION_REJECT ? NULL : "reject";
    case DISPOSITION_DISCARD:
        break;
    }
    return NULL;
}

static void set_reply(struct transaction *t, enum disposition disposition)
{
    t->reply = (struct reply){.kind = REPLY_ACCEPT};
    if (disposition == DISPOSITION_DISCARD) {
        t->reply.kind = REPLY_DISCARD;
    }
    enum action action = disposition == DISPOSITION_REJECT ? ACTION_REJECT : ACTION_TEMPFAIL;
    enum reply_kind kind = disposition == DISPOSITION_REJECT ? REPLY_REJECT : REPLY_TEMPFAIL;
    bool refuses = disposition == DISPOSITION_REJECT || disposition == DISPOSITION_TEMPFAIL;
    for (size_t i = 0; refuses && i < t->count; i++) {
        if (!t->recipients[i].refused && t->recipients[i].verdict.action == action) {
            reply_refuse(t, &t->recipients[i], kind, &t->reply);
            return;
        }
    }
}

static enum status combine(struct transaction *t, struct outcome *outcome)
{
    enum action *actions = calloc(t->count + 1, sizeof *actions);
    if (actions == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (!t->recipients[i].refused) {
            actions[count++] = t->recipients[i].verdict.action;
        }
    }
    verdict_combine(actions, count, outcome);
    free(actions);
    return STATUS_OK;
}

/* What must go and perhaps cannot be taken out takes the whole message with it. */
static void refuse_for_odd(const struct transaction *t, struct outcome *outcome)
{
    for (size_t i = 0; outcome->disposition == DISPOSITION_KEEP && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (!r->refused && r->odd && r->verdict.action == ACTION_REJECT) {
            outcome->disposition = DISPOSITION_REJECT;
        }
    }
}

static enum status conclude(struct transaction *t, time_t now)
{
    struct outcome outcome;
    enum status status = combine(t, &outcome);
    if (status != STATUS_OK) {
        return status;
    }
    refuse_for_odd(t, &outcome);
    size_t first = t->decision_count;
    for (size_t i = 0; i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (!r->refused) {
            record_verify(t, r, applied_name(outcome.disposition, r->verdict.action));
        }
    }
    count_alike(t, first);
    set_reply(t, outcome.disposition);
    if (outcome.disposition != DISPOSITION_KEEP) {
        return STATUS_OK;
    }
    status = signing_decide(t, now);
    signing_note_relayed(t, now);
    if (status == STATUS_OK) {
        status = outgoing_decide(t, now);
    }
    return status == STATUS_OK ? effects_build(t, &outcome) : status;
}

enum policy_state transaction_end(struct transaction *t, time_t now, enum fact *need,
                                  size_t *recipient)
{
    if (!t->failed && t->settled == 0) {
        note_guessing(t);
    }
    for (; !t->failed && t->settled < t->count; t->settled++) {
        struct recipient *r = &t->recipients[t->settled];
        if (!r->judged && judge(t, r, need) == POLICY_NEEDS) {
            *recipient = t->settled;
            return POLICY_NEEDS;
        }
    }
    bool asks = false;
    t->failed = t->failed || signing_asks(t, now, &asks) != STATUS_OK;
    if (asks) {
        *need = FACT_RCPT_NETWORK;
        *recipient = 0;
        return POLICY_NEEDS;
    }
    size_t at_rcpt = t->decision_count;
    if (t->failed || conclude(t, now) != STATUS_OK || t->failed) {
        t->failed = true;
        t->effect_count = 0;
        t->decision_count = at_rcpt;
        reply_on_error(t->snapshot->settings, &t->reply);
    }
    return POLICY_DECIDED;
}

void transaction_answer(struct transaction *t, size_t recipient, enum fact fact, enum answer answer)
{
    assert(recipient < t->count && answer != ANSWER_UNASKED);
    t->recipients[recipient].facts.answers[fact] = answer;
}

void transaction_asked(const struct transaction *t, size_t recipient, struct asked *out)
{
    assert(recipient < t->count && t->recipients[recipient].names != NULL);
    const struct recipient *r = &t->recipients[recipient];
    *out = (struct asked){t->snapshot->settings, r->rules, t->ring, r->names, r->facts.too_long};
}

bool transaction_tried(const struct transaction *t, size_t recipient, struct tried *out)
{
    if (t->failed || recipient >= t->count) {
        return false;
    }
    const struct recipient *r = &t->recipients[recipient];
    enum result result = r->facts.check.result;
    bool wrong = result == RESULT_BAD_SIGNATURE;
    struct tag tag;
    if (r->rules == NULL || r->names == NULL || (!t->facts.bounce && !wrong)) {
        return false;
    }
    tag_split(r->address.local, &tag);
    *out = (struct tried){(const char *const *)r->names->texts, r->names->count, wrong, 0};
    if (result == RESULT_VALID || result == RESULT_EXPIRED) {
        out->plain += evidence_names_without(r->names, r->facts.check.extension);
        out->count = 1;
    }
    if (tag.form == TAG_FORM_TAG) {
        uint64_t number = (uint64_t)tag.key * DAY_CODES + tag.day;
        out->tag = number << 24 | strtoul(tag.mac, NULL, 16);
    }
    return true;
}

bool transaction_destination(const struct transaction *t, size_t recipient, struct destination *out)
{
    if (recipient >= t->count) {
        return false;
    }
    const struct recipient *r = &t->recipients[recipient];
    *out = (struct destination){"", NULL};
    if (!r->refused && !r->stays) {
        *out = (struct destination){r->address.ascii, r->next_hop};
    }
    return true;
}

const char *transaction_untaggable(const struct transaction *t)
{
    return t->reply.kind == REPLY_ACCEPT && !t->failed ? t->untaggable : NULL;
}

/* What mailing lists send from such an address has been written by others. */
static bool is_returned(const struct transaction *t, const struct recipient *r)
{
    return r->rules != NULL && !r->refused && !r->facts.own_name && r->rules->sign &&
           r->rules->action == ACTION_AUTO && r->facts.check.result == RESULT_VALID &&
           pattern_list_match(t->snapshot->settings->envelope_only, tagged_name(r)) == NULL;
}

bool transaction_returned(const struct transaction *t, struct returned *out)
{
    bool outside = !t->failed && t->facts.bounce && !t->facts.submission;
    for (size_t i = 0; outside && i < t->count; i++) {
        const struct recipient *r = &t->recipients[i];
        if (is_returned(t, r)) {
            *out = (struct returned){i, r->rules, tagged_name(r), r->facts.check.expires};
            return true;
        }
    }
    return false;
}

const struct settings *transaction_settings(const struct transaction *t)
{
    return t->snapshot->settings;
}

void transaction_found_network(struct transaction *t, size_t recipient, const char *entry)
{
    assert(recipient < t->count && entry != NULL);
    t->network = entry;
    t->network_recipient = recipient;
}

void transaction_read(struct transaction *t, enum bounce_class class, bool names_message_id)
{
    t->facts.class = class;
    t->facts.names_message_id = names_message_id;
}

const struct effect *transaction_effects(const struct transaction *t, size_t *count)
{
    *count = t->effect_count;
    return t->effects;
}

const struct reply *transaction_reply(const struct transaction *t)
{
    return &t->reply;
}

const struct decision *transaction_decisions(const struct transaction *t, size_t *count)
{
    *count = t->decision_count;
    return t->decisions;
}
