/*
 * Sessions under libFuzzer: the input is a site (its switches, what its oracles say) and what MTAs
 * do on two connections in turn, in any order that libmilter lets through. Driven is the daemon's
 * real inside, from the adapter's callbacks to the journal, over a stand-in for libmilter that
 * writes down what the filter wants of the MTA. After every event what must hold for every message
 * is checked, whatever the configuration:
 *
 * - A valid tag is never refused, nor a local process; an unavailable fact refuses nothing; a pause
 *   refuses nothing but what would make the MTA bounce.
 * - Mail to a tag that no key made goes by verify.forged: ordinary mail always, a bounce with a
 *   sender unless something accepts it.
 * - A sender with a tag that no key made is rejected where verify.forged_sender says so, and is the
 *   only ground that counts for every recipient.
 * - Changes come at the end of a message only, and only where it is accepted; deletions before
 *   additions, no mailbox is added twice or beside itself, none is lost.
 * - Each recipient is decided once; no decision names another message's sender or recipient; and a
 *   message alone in a new session ends as it did among others (where the oracles are scripted:
 *   the journal is there to remember).
 * - What is signed is valid; what went out is in the journal; what did not is not.
 * - A Message-ID is added only to a submission that has none and that no signature forbids it.
 */
#include "site.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <unistd.h>

#include "batv/address_fold.h"
#include "batv/address_meaning.h"
#include "batv/evidence.h"
#include "batv/message_id.h"

enum { SESSIONS = 2, RECIPIENTS = 8, EFFECTS = 96, EVENTS = 48, EVENTS_IN_ALL = 160, RAW = 80 };

/* ------------------------------------------------------------- conversation */

enum event_kind { MAIL, RCPT, DATA, HEADER, HEADER_END, BODY, END, ABORT };

/* What an MTA says, and the site at that moment: so that it can be said again. */
struct event {
    enum event_kind kind;
    char *first, *second; /* address, field */
    char *resolved, *user;
    bool own_id; /* a Message-ID that no other message has */
    struct site_state state;
};

struct who {
    const char *name, *address;
    uint16_t port;
    bool local, inside;
};

struct recipient {
    char *raw;
    enum result result; /* by the ring that the message began with */
    bool ours;
    bool sure;      /* about the two above: the MTA's own reading does not differ */
    bool prefix;    /* a tag in prefix syntax */
    bool canonical; /* no other spelling of it is shorter */
    bool refused;
    bool unavailable;
};

struct change {
    enum { CHANGE_SENDER, REMOVE, ADD, REMOVE_HEADER, ADD_HEADER, APPEND_HEADER, QUARANTINE } kind;
    char *name, *value;
    int index;
};

/* What is known of the message at hand; open from MAIL to its end. */
struct message {
    bool open;
    bool authenticated;
    bool has_sender; /* for sure */
    bool unread;     /* only the MTA can read its sender, and does not say how */
    bool shown;      /* its header, or the end of that, has come */
    bool by_sender;  /* it is rejected or deferred for its sender's tag */
    struct shared_snapshot *snapshot;
    char *sender;
    struct recipient recipients[RECIPIENTS];
    size_t count;
    struct change effects[EFFECTS];
    size_t effect_count;
    unsigned verified[RECIPIENTS];
    unsigned signs;
    bool doubted; /* the keyring could not be read */
    bool broken;  /* the MTA did not take a change */
    bool forged;  /* the last reply's codes */
    bool guesses; /* it tries several tags, so that even the right one is rejected */
    bool sticks;  /* what must go is written so that no deletion is sure to take it out */
    bool at_rcpt; /* a RCPT is heard */
    bool has_id;  /* whatever it is */
    bool can_read_id;
    bool id_signed;
    int ids;
    char *id; /* one that no other message has */
    struct event events[EVENTS];
    size_t event_count;
    char transcript[16384];
    size_t used;
};

struct smfi_str {
    void *private;
    const struct who *who;
    unsigned long actions; /* agreed upon */
    bool headers;          /* likewise */
    bool open;
    enum { OUTSIDE, MAILED, ENVELOPE, DATA_GIVEN, HEADERS, BODIES } stage;
    bool in_end;
    char *user, *resolved; /* macros */
    struct message message;
};

static struct smfiDesc filter;
static struct smfi_str *now_heard; /* whose callback runs */
static bool replaying;

/* An input's script. */
static struct {
    bool scripted;
    enum answer answers[FACT_COUNT][RECIPIENTS];
    enum bounce_class class;
    bool names_id;
    unsigned fail_at; /* the change that the MTA does not take; 0: takes all */
    unsigned changes;
    unsigned ids;
    char *evidence; /* the header's value of the last message that went out */
    struct evidence_returned returned;
    struct oracle_set real;
} script;

static void note(struct message *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct message *m, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(m->transcript + m->used, sizeof m->transcript - m->used, format, arguments);
    va_end(arguments);
    m->used += (size_t)length;
    m->used = m->used < sizeof m->transcript ? m->used : sizeof m->transcript - 1;
}

static void event_free(struct event *event)
{
    free(event->first);
    free(event->second);
    free(event->resolved);
    free(event->user);
}

static void message_clear(struct message *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->recipients[i].raw);
    }
    for (size_t i = 0; i < m->effect_count; i++) {
        free(m->effects[i].name);
        free(m->effects[i].value);
    }
    for (size_t i = 0; i < m->event_count; i++) {
        event_free(&m->events[i]);
    }
    free(m->sender);
    free(m->id);
    shared_snapshot_release(m->snapshot);
    memset(m, 0, offsetof(struct message, transcript));
    m->used = 0;
    m->transcript[0] = '\0';
}

static const struct snapshot *snapshot_of(const struct message *m)
{
    return shared_snapshot_get(m->snapshot);
}

/* ---------------------------------------------------- what libmilter would do */

int smfi_setpriv(SMFICTX *ctx, void *private)
{
    ctx->private = private;
    return MI_SUCCESS;
}

void *smfi_getpriv(SMFICTX *ctx)
{
    return ctx->private;
}

char *smfi_getsymval(SMFICTX *ctx, char *name)
{
    static char id[] = "4XyZ";
    if (strcmp(name, "i") == 0) {
        return ctx->message.count > 0 ? id : NULL;
    }
    if (strcmp(name, "{auth_authen}") == 0) {
        return ctx->user;
    }
    bool address = strcmp(name, "{mail_addr}") == 0 || strcmp(name, "{rcpt_addr}") == 0;
    return address ? ctx->resolved : NULL;
}

int smfi_setreply(SMFICTX *ctx, char *code, char *enhanced, char *text)
{
    struct message *m = &ctx->message;
    require(strcmp(code, "550") == 0 || strcmp(code, "451") == 0);
    require(enhanced[0] == code[0] && strspn(enhanced, "0123456789.") == strlen(enhanced));
    require(strpbrk(text, "\r\n") == NULL && strlen(text) < 980 && text[0] != '\0');
    for (const char *p = text; (p = strchr(p, '%')) != NULL; p += 2) {
        require(p[1] == '%');
    }
    m->forged = strcmp(enhanced + 1, ".1.1") == 0;
    note(m, "reply %s %s %s\n", code, enhanced, text);
    return MI_SUCCESS;
}

static int change(SMFICTX *ctx, int kind, const char *name, int index, const char *value,
                  unsigned long right)
{
    struct message *m = &ctx->message;
    require(ctx == now_heard && ctx->in_end && m->open && !m->broken && !m->doubted);
    if ((ctx->actions & right) == 0 || ++script.changes == script.fail_at) {
        m->broken = true;
        return MI_FAILURE;
    }
    require(m->effect_count < EFFECTS);
    struct change *effect = &m->effects[m->effect_count++];
    effect->kind = kind;
    effect->name = name != NULL ? strdup(name) : NULL;
    effect->value = value != NULL ? strdup(value) : NULL;
    effect->index = index;
    note(m, "change %d %s %d %s\n", kind, name != NULL ? name : "", index,
         value != NULL ? value : "");
    return MI_SUCCESS;
}

int smfi_chgfrom(SMFICTX *ctx, char *sender, char *arguments)
{
    require(arguments == NULL);
    return change(ctx, CHANGE_SENDER, NULL, 0, sender, SMFIF_CHGFROM);
}

int smfi_addrcpt(SMFICTX *ctx, char *recipient)
{
    return change(ctx, ADD, NULL, 0, recipient, SMFIF_ADDRCPT);
}

/* Where it is not offered, the adapter goes on without. */
int smfi_addrcpt_par(SMFICTX *ctx, char *recipient, char *arguments)
{
    require(arguments != NULL && arguments[0] != '\0');
    if ((ctx->actions & SMFIF_ADDRCPT_PAR) == 0 || script.changes + 1 == script.fail_at) {
        script.changes++;
        return MI_FAILURE;
    }
    return change(ctx, ADD, NULL, 0, recipient, SMFIF_ADDRCPT_PAR);
}

int smfi_delrcpt(SMFICTX *ctx, char *recipient)
{
    return change(ctx, REMOVE, NULL, 0, recipient, SMFIF_DELRCPT);
}

int smfi_chgheader(SMFICTX *ctx, char *name, int index, char *value)
{
    require(value == NULL && index > 0);
    return change(ctx, REMOVE_HEADER, name, index, NULL, SMFIF_CHGHDRS);
}

int smfi_insheader(SMFICTX *ctx, int index, char *name, char *value)
{
    for (const char *p = value; (p = strpbrk(p, "\r\n")) != NULL; p++) {
        require(p[0] == '\n' && p[1] == '\t');
    }
    return change(ctx, ADD_HEADER, name, index, value, SMFIF_ADDHDRS);
}

int smfi_addheader(SMFICTX *ctx, char *name, char *value)
{
    require(strpbrk(value, "\r\n") == NULL);
    return change(ctx, APPEND_HEADER, name, 0, value, SMFIF_ADDHDRS);
}

int smfi_quarantine(SMFICTX *ctx, char *reason)
{
    require(reason[0] != '\0');
    return change(ctx, QUARANTINE, NULL, 0, reason, SMFIF_QUARANTINE);
}

int smfi_setconn(char *connection)
{
    require(strcmp(connection, "fd:0") == 0);
    return MI_SUCCESS;
}

int smfi_register(struct smfiDesc description)
{
    filter = description;
    return MI_SUCCESS;
}

static sem_t ready;

/* The adapter's thread stays here as long as the process. */
int smfi_main(void)
{
    sem_post(&ready);
    for (;;) {
        pause();
    }
}

/* ---------------------------------------------------------------- the oracles */

static struct finding ask(void *self, const struct question *q, const struct exhibits *exhibits)
{
    const struct fact_row *row = fact_row(q->fact);
    struct finding finding = {.answer = ANSWER_NO};
    (void)self;
    if (!script.scripted) {
        finding = oracle_ask(&script.real, q, exhibits);
    } else if (!row->of_message) {
        enum answer answer = script.answers[q->fact][q->recipient % RECIPIENTS];
        bool reads = row->reads && answer != ANSWER_UNAVAILABLE && answer != ANSWER_OVERLOADED;
        finding = (struct finding){answer, reads, script.class, script.names_id, NULL, 0};
    }
    if (!row->of_message) {
        struct message *m = &now_heard->message;
        require(q->recipient < m->count);
        m->recipients[q->recipient].unavailable |= finding.answer == ANSWER_UNAVAILABLE;
    }
    return finding;
}

static struct oracle_set oracles;

static void make_oracles(void)
{
    for (size_t i = 0; i < FACT_COUNT; i++) {
        oracles.by_fact[i] = (struct oracle){ask, NULL};
    }
}

/* ------------------------------------------------------------------- decisions */

/* Less its brackets. */
static bool is_text_of(const char *text, const char *raw)
{
    size_t length = strlen(raw);
    bool brackets = length >= 2 && raw[0] == '<' && raw[length - 1] == '>';
    return strlen(text) == length - 2 * brackets &&
           strncmp(text, raw + brackets, strlen(text)) == 0;
}

/* Written so that no deletion is sure to take it out, or at least with octets that can do that. */
static bool may_stick(const char *text)
{
    return strpbrk(text, "()<>,;:\\\" \t") != NULL;
}

static bool is_wrong(enum result result)
{
    return result == RESULT_BAD_SIGNATURE || result == RESULT_UNKNOWN_KEY;
}

/* In how many of the rings the sender has a prefix tag of ours that none of their keys made. */
static unsigned rings_against_sender(const struct message *m)
{
    const struct settings *settings = snapshot_of(m)->settings;
    struct address address;
    unsigned count = 0;
    require(address_parse(m->sender, &address) == STATUS_OK);
    for (size_t i = 0; i < SITE_RINGS && settings_domain(settings, address.ascii) != NULL; i++) {
        struct tag_check check;
        char *local = NULL;
        require(tag_verify(site_ring(i), &address, settings->keys.lifetime_days, site.state.now,
                           &check, &local) == STATUS_OK);
        count += check.syntax == TAG_PREFIX && is_wrong(check.result);
        free(local);
    }
    address_free(&address);
    return count;
}

/* Where the sender is not what one sees in it nothing is known. */
static bool may_reject_sender(const struct message *m)
{
    bool allowed = snapshot_of(m)->settings->forged_sender != ACTION_ACCEPT &&
                   !now_heard->who->local && !m->authenticated && !now_heard->who->inside;
    return allowed && (!m->has_sender || rings_against_sender(m) > 0);
}

/* Neither the wait nor a pause holds it back, and no newer ring will know the tag. */
static bool must_reject_sender(const struct message *m)
{
    const struct snapshot *snapshot = snapshot_of(m);
    struct address address;
    if (!m->has_sender || snapshot->paused || !may_reject_sender(m) ||
        rings_against_sender(m) < SITE_RINGS) {
        return false;
    }
    require(address_parse(m->sender, &address) == STATUS_OK);
    const struct domain_settings *domain = settings_domain(snapshot->settings, address.ascii);
    address_free(&address);
    return !auto_state_waits(snapshot_auto(snapshot, domain, site.state.now, NULL));
}

/* By verify.forged, or kept for a reason that is known. */
static bool is_judged_as_forged(const struct message *m, const struct decision *d)
{
    static const char *const accepting[] = {"exclude", "evidence.", "key-gone"};
    bool known = now_heard->who->local || d->verdict.cause == CAUSE_FORGED_TAG;
    for (size_t i = 0; d->bounce && i < COUNT_OF(accepting); i++) {
        known = known || strncmp(d->verdict.rule, accepting[i], strlen(accepting[i])) == 0;
    }
    return known || (d->bounce && (!m->has_sender || d->verdict.cause == CAUSE_GUESSING));
}

/* Each decision about a recipient belongs to the first that is still without one; at RCPT, to the
 * one just given. */
static void verified(struct message *m, const struct decision *d)
{
    size_t i = m->at_rcpt ? m->count - 1 : 0;
    require(!m->at_rcpt || snapshot_of(m)->settings->reject_at_rcpt || may_stick(d->recipient));
    while (i < m->count &&
           (m->verified[i] > 0 || !is_text_of(d->recipient, m->recipients[i].raw))) {
        i++;
    }
    require(i < m->count);
    const struct recipient *r = &m->recipients[i];
    m->verified[i]++;
    m->guesses = m->guesses || d->verdict.cause == CAUSE_GUESSING;
    m->sticks = m->sticks || (d->verdict.action == ACTION_REJECT && may_stick(d->recipient));
    require(!r->sure || (d->result == RESULT_NOT_OURS) == !r->ours);
    bool by_sender = d->verdict.cause == CAUSE_FORGED_SENDER;
    m->by_sender = m->by_sender || (by_sender && !action_keeps(d->verdict.action));
    require(!by_sender || may_reject_sender(m));
    require(!must_reject_sender(m) || !action_keeps(d->verdict.action));
    if (r->sure && r->ours && r->result == RESULT_VALID) {
        require(d->result == RESULT_VALID);
        require(d->verdict.action == ACTION_ACCEPT || d->verdict.cause == CAUSE_GUESSING ||
                by_sender);
    }
    if (by_sender) {
        return;
    }
    require(!r->unavailable || d->verdict.action <= ACTION_TEMPFAIL);
    bool forged = r->prefix && is_wrong(d->result);
    require(!forged || !r->sure || is_judged_as_forged(m, d));
    require(!now_heard->who->local || d->verdict.action <= ACTION_LOG);
}

static void on_decision(const struct decision *d)
{
    struct message *m = &now_heard->message;
    char line[DECISION_LINE];
    require(m->open && d->sender != NULL && is_text_of(d->sender, m->sender));
    decision_format(d, line, sizeof line);
    note(m, "%s\n", line);
    if (d->kind == DECISION_VERIFY) {
        verified(m, d);
    }
    m->signs += d->kind == DECISION_SIGN;
}

static void on_blind(void)
{
    now_heard->message.doubted = true;
}

/* ----------------------------------------------------------------- the checks */

/* The mailbox that an address means: without an authentic tag, in one spelling. */
static char *mailbox_of(const struct message *m, const char *raw, time_t now, enum result *result,
                        bool *ours)
{
    const struct snapshot *snapshot = snapshot_of(m);
    struct address address;
    struct tag_check check;
    char *local = NULL;
    require(address_parse(raw, &address) == STATUS_OK);
    require(tag_verify(snapshot->ring, &address, snapshot->settings->keys.lifetime_days, now,
                       &check, &local) == STATUS_OK);
    *ours = settings_domain(snapshot->settings, address.ascii) != NULL;
    *result = check.result;
    char *mailbox = address_plain(local, address.ascii);
    require(mailbox != NULL);
    free(local);
    address_free(&address);
    return mailbox;
}

static bool is_removed(const struct message *m, const char *raw)
{
    for (size_t i = 0; i < m->effect_count; i++) {
        if (m->effects[i].kind == REMOVE && strcmp(m->effects[i].value, raw) == 0) {
            return true;
        }
    }
    return false;
}

/* How often a mailbox is delivered to by an MTA that takes any tag off. */
static size_t deliveries(const struct message *m, const char *mailbox, time_t now)
{
    size_t times = 0;
    enum result result;
    bool ours;
    for (size_t i = 0; i < m->count + m->effect_count; i++) {
        const char *raw = NULL;
        if (i < m->count && !m->recipients[i].refused) {
            raw = is_removed(m, m->recipients[i].raw) ? NULL : m->recipients[i].raw;
        } else if (i >= m->count && m->effects[i - m->count].kind == ADD) {
            raw = m->effects[i - m->count].value;
        }
        for (size_t k = 0; k < i && i < m->count && raw != NULL; k++) {
            bool same = !m->recipients[k].refused && strcmp(m->recipients[k].raw, raw) == 0;
            raw = same ? NULL : raw; /* an MTA knows a recipient once */
        }
        if (raw != NULL) {
            char *own = mailbox_of(m, raw, now, &result, &ours);
            times += strcmp(own, mailbox) == 0;
            free(own);
        }
    }
    return times;
}

static void check_order(const struct message *m)
{
    for (size_t i = 1; i < m->effect_count; i++) {
        const struct change *before = &m->effects[i - 1];
        const struct change *e = &m->effects[i];
        require(e->kind != CHANGE_SENDER);
        require(e->kind >= before->kind || e->kind == REMOVE_HEADER);
        if (e->kind == REMOVE_HEADER && before->kind == REMOVE_HEADER &&
            strcmp(e->name, before->name) == 0) {
            require(e->index < before->index);
        }
    }
}

/* A mailbox that is added is there once. */
static void check_added(const struct message *m, time_t now)
{
    for (size_t i = 0; i < m->effect_count; i++) {
        enum result result;
        bool ours;
        if (m->effects[i].kind != ADD) {
            continue;
        }
        char *mailbox = mailbox_of(m, m->effects[i].value, now, &result, &ours);
        require(ours && result != RESULT_VALID);
        require(deliveries(m, mailbox, now) == 1);
        free(mailbox);
    }
}

/* Only of these is it known to the letter what the MTA makes of them. */
static bool all_canonical(const struct message *m)
{
    bool all = true;
    for (size_t i = 0; i < m->count; i++) {
        all = all && m->recipients[i].canonical;
    }
    return all;
}

/* The recipient of a valid tag is restored, and not lost by that. */
static void check_restored(const struct message *m, const struct recipient *r, bool canonical,
                           time_t now)
{
    enum result result;
    bool ours;
    char *mailbox = mailbox_of(m, r->raw, now, &result, &ours);
    if (canonical && result == RESULT_VALID) { /* it may have expired since */
        require(deliveries(m, mailbox, now) >= 1);
    }
    require(!snapshot_of(m)->settings->restore || is_removed(m, r->raw));
    free(mailbox);
}

static bool is_recipient(const struct message *m, const char *raw)
{
    for (size_t i = 0; i < m->count; i++) {
        if (!m->recipients[i].refused && strcmp(m->recipients[i].raw, raw) == 0) {
            return true;
        }
    }
    return false;
}

static void check_kept(const struct message *m, time_t now)
{
    bool canonical = all_canonical(m);
    for (size_t i = 0; i < m->count; i++) {
        const struct recipient *r = &m->recipients[i];
        if (r->sure && r->ours && r->result == RESULT_VALID && !r->refused && !m->guesses) {
            check_restored(m, r, canonical, now);
        }
    }
    for (size_t i = 0; canonical && i < m->effect_count; i++) {
        require(m->effects[i].kind != REMOVE || is_recipient(m, m->effects[i].value));
    }
    if (canonical) {
        check_added(m, now);
    }
}

static void check_signed(const struct message *m, time_t now)
{
    size_t changed = 0;
    for (size_t i = 0; i < m->effect_count; i++) {
        enum result result;
        bool ours;
        if (m->effects[i].kind == CHANGE_SENDER) {
            char *signed_box = mailbox_of(m, m->effects[i].value, now, &result, &ours);
            require(result == RESULT_VALID && ours);
            free(signed_box);
            changed++;
        }
    }
    require(changed == m->signs);
    require(m->signs == 0 || m->authenticated || now_heard->who->inside);
}

/* The sender as it was signed: what the MTA has made of the address may be another one. */
static const char *sender_of(const struct message *m)
{
    for (size_t i = 0; i < m->effect_count; i++) {
        if (m->effects[i].kind == CHANGE_SENDER) {
            return m->effects[i].value;
        }
    }
    return m->sender;
}

/* Whether the sender's mailbox and the message's Message-ID stand in the journal. */
static bool is_journalled(const struct message *m, time_t now)
{
    struct address address;
    require(address_parse(sender_of(m), &address) == STATUS_OK);
    char *folded = evidence_address(address.local, address.ascii);
    require(folded != NULL);
    enum journal_answer answer =
        journal_look(site.journal, snapshot_of(m)->ring, folded, m->id, now, NULL);
    free(folded);
    address_free(&address);
    return answer == JOURNAL_YES || answer == JOURNAL_EXHAUSTED;
}

static void check_journal(const struct message *m, sfsistat status, time_t now)
{
    const struct evidence_policy *policy = &snapshot_of(m)->settings->evidence;
    if (m->id == NULL || replaying) {
        return;
    }
    bool there = is_journalled(m, now);
    require(!there || (status == SMFIS_ACCEPT && policy->enabled && policy->journal));
    if (m->signs > 0 && status == SMFIS_ACCEPT && policy->enabled && policy->journal &&
        !m->broken) {
        require(there);
    }
}

/* What the answer may be, when nothing has gone wrong. */
static void check_answer(const struct smfi_str *ctx, const struct recipient *only, sfsistat status)
{
    const struct message *m = &ctx->message;
    bool refused = status == SMFIS_REJECT || status == SMFIS_TEMPFAIL || status == SMFIS_DISCARD;
    require(!refused || !ctx->who->local);
    require(!refused || !snapshot_of(m)->paused || (status == SMFIS_TEMPFAIL && m->forged));
    bool valid = true;
    bool one_valid = false;
    for (size_t i = 0; i < m->count; i++) {
        const struct recipient *r = &m->recipients[i];
        if (r->refused || (only != NULL && r != only)) {
            continue;
        }
        bool good = r->sure && (!r->ours || r->result == RESULT_VALID);
        valid = valid && good;
        one_valid = one_valid || good;
    }
    require(!valid || !refused || m->guesses || m->by_sender);
    require(!one_valid || m->guesses || m->sticks || m->by_sender || status == SMFIS_ACCEPT ||
            status == SMFIS_TEMPFAIL || status == SMFIS_CONTINUE);
}

static sfsistat on_error(const struct message *m)
{
    return snapshot_of(m)->settings->on_error == ACTION_ACCEPT ? SMFIS_ACCEPT : SMFIS_TEMPFAIL;
}

static void keep_evidence(const struct message *m)
{
    for (size_t i = 0; i < m->effect_count; i++) {
        if (m->effects[i].kind == ADD_HEADER && strcmp(m->effects[i].name, EVIDENCE_NAME) == 0) {
            free(script.evidence);
            script.evidence = strdup(m->effects[i].value);
        }
    }
}

static void check_id(const struct message *m)
{
    int added = 0;
    int removed = 0;
    for (size_t i = 0; i < m->effect_count; i++) {
        const struct change *e = &m->effects[i];
        bool is_id = e->name != NULL && strcmp(e->name, MESSAGE_ID_NAME) == 0;
        added += is_id && e->kind == APPEND_HEADER;
        removed += is_id && e->kind == REMOVE_HEADER;
        require(is_id || e->kind != APPEND_HEADER);
    }
    require(added == 0 || (!m->can_read_id && !m->id_signed));
    require(added == 0 || m->authenticated || now_heard->who->inside);
    require(removed == (added == 0 || m->ids < EFFECT_REMOVALS ? added * m->ids : EFFECT_REMOVALS));
    require(added <= 1);
}

static void check_end(struct smfi_str *ctx, sfsistat status)
{
    struct message *m = &ctx->message;
    time_t now = site.state.now;
    if (m->doubted) {
        require(status == on_error(m) && m->effect_count == 0);
    } else if (m->broken) {
        require(status == on_error(m));
    } else {
        check_answer(ctx, NULL, status);
        require(status == SMFIS_ACCEPT || m->effect_count == 0);
        for (size_t i = 0; i < m->count; i++) {
            require(m->verified[i] == 1);
        }
        check_signed(m, now);
        check_order(m);
        check_id(m);
        if (status == SMFIS_ACCEPT) {
            check_kept(m, now);
        }
    }
    check_journal(m, status, now);
    keep_evidence(m);
    note(m, "ends with %d\n", status);
}

/* ------------------------------------------------------------------- sessions */

static const struct who clients[] = {
    {"mx.other.test", "192.0.2.9", 40001, false, false},
    {"pc.example.com", "10.1.2.3", 40001, false, true},
    {"localhost", "127.0.0.1", 0, true, true},
    {"localhost", NULL, 0, true, true},
    {"gateway.partner.test", "10.9.9.9", 40001, false, false},
    {"mail.example.com", "198.51.100.5", 40001, false, false},
    {"unknown", "203.0.113.7", 40001, false, false},
    {"mx.partner.test", "2001:db8::1", 40001, false, false},
    {"out.lists.test", "192.0.2.78", 0, false, false},
    {"[10.5.1.1]", "10.5.1.1", 40001, false, true},
    {"unknown", NULL, 0, false, false},
};

static void session_open(struct smfi_str *ctx, const struct who *who, unsigned long actions,
                         unsigned long steps)
{
    unsigned long out[4] = {0};
    static const unsigned long needed = SMFIF_CHGFROM | SMFIF_ADDRCPT | SMFIF_DELRCPT;
    now_heard = ctx;
    ctx->who = who;
    ctx->stage = OUTSIDE;
    sfsistat status =
        filter.xxfi_negotiate(ctx, actions, steps, 0, 0, &out[0], &out[1], &out[2], &out[3]);
    require(status == ((actions & needed) == needed ? SMFIS_CONTINUE : SMFIS_REJECT));
    ctx->open = status == SMFIS_CONTINUE;
    require((out[0] & ~actions) == 0 && out[2] == 0 && out[3] == 0);
    ctx->actions = out[0];
    ctx->headers = (out[1] & SMFIP_NOHDRS) == 0;
    if (!ctx->open) {
        return;
    }
    struct sockaddr_storage place = {.ss_family = AF_UNSPEC};
    if (who->address != NULL && strchr(who->address, ':') != NULL) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&place;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(who->port);
        require(inet_pton(AF_INET6, who->address, &in6->sin6_addr) == 1);
    } else if (who->address != NULL) {
        struct sockaddr_in *in = (struct sockaddr_in *)&place;
        in->sin_family = AF_INET;
        in->sin_port = htons(who->port);
        require(inet_pton(AF_INET, who->address, &in->sin_addr) == 1);
    }
    char *name = strdup(who->name);
    status =
        filter.xxfi_connect(ctx, name, who->address != NULL ? (struct sockaddr *)&place : NULL);
    require(status == SMFIS_NOREPLY || status == SMFIS_CONTINUE);
    free(name);
}

static void session_close(struct smfi_str *ctx)
{
    now_heard = ctx;
    filter.xxfi_close(ctx);
    require(ctx->private == NULL);
    message_clear(&ctx->message);
    ctx->open = false;
}

static bool is_canonical(const char *raw, const char *resolved)
{
    struct address address;
    char *text = NULL;
    require(address_parse(raw, &address) == STATUS_OK);
    char *written = address_format(address.local, address.domain);
    require(asprintf(&text, "<%s>", written) > 0);
    bool same = strcmp(text, raw) == 0 && strcmp(address.domain, address.ascii) == 0;
    free(text);
    free(written);
    address_free(&address);
    return same && resolved == NULL;
}

/* True where the address means what one sees in it, and no name that every host has for itself. */
static bool is_meant_so(const char *raw)
{
    struct address seen;
    struct address meant;
    require(address_parse(raw, &seen) == STATUS_OK);
    require(address_settle(raw, NULL, NULL, &meant) == STATUS_OK);
    bool same = strcmp(seen.local, meant.local) == 0 && strcmp(seen.ascii, meant.ascii) == 0;
    bool host = address_names_host(&meant, NULL);
    address_free(&meant);
    address_free(&seen);
    return same && !host;
}

static bool is_unreadable(const struct smfi_str *ctx, const struct event *event)
{
    return event->resolved == NULL && !ctx->who->local && !address_is_plain(event->first);
}

static void hear_mail(struct smfi_str *ctx, const struct event *event)
{
    struct message *m = &ctx->message;
    char *arguments[] = {event->first, NULL};
    message_clear(m);
    m->open = true;
    m->authenticated = event->user != NULL;
    m->has_sender =
        event->resolved == NULL && strchr(event->first, '@') != NULL && is_meant_so(event->first);
    m->unread = is_unreadable(ctx, event);
    m->sender = strdup(event->first);
    m->snapshot = current_acquire(&site.current);
    require(filter.xxfi_envfrom(ctx, arguments) == SMFIS_NOREPLY);
}

static bool has_prefix_tag(const struct message *m, const char *raw)
{
    struct address address;
    struct tag_check check;
    char *local = NULL;
    const struct snapshot *snapshot = snapshot_of(m);
    require(address_parse(raw, &address) == STATUS_OK);
    require(tag_verify(snapshot->ring, &address, snapshot->settings->keys.lifetime_days,
                       site.state.now, &check, &local) == STATUS_OK);
    free(local);
    address_free(&address);
    return check.key >= 0 && check.syntax == TAG_PREFIX;
}

static void know_recipient(const struct message *m, const struct event *event, struct recipient *r)
{
    *r = (struct recipient){.raw = strdup(event->first), .sure = is_meant_so(event->first)};
    free(mailbox_of(m, event->first, site.state.now, &r->result, &r->ours));
    r->prefix = has_prefix_tag(m, event->first);
    r->canonical = is_canonical(event->first, event->resolved);
    if (event->resolved != NULL) { /* the MTA may know better whose it is */
        enum result result;
        bool ours;
        free(mailbox_of(m, event->resolved, site.state.now, &result, &ours));
        /* of a mailbox alone the domain is found out by what the raw address means to Sendmail */
        r->sure = r->sure && result == r->result && ours == r->ours &&
                  strchr(event->resolved, '@') != NULL;
    }
}

static void hear_rcpt(struct smfi_str *ctx, const struct event *event)
{
    struct message *m = &ctx->message;
    char notify[] = "NOTIFY=NEVER";
    char size[] = "X=1";
    char *arguments[] = {event->first, size, notify, NULL};
    require(m->open);
    if (m->unread || is_unreadable(ctx, event)) {
        require(filter.xxfi_envrcpt(ctx, arguments) == SMFIS_TEMPFAIL);
        note(m, "rcpt not read\n");
        return;
    }
    struct recipient *r = &m->recipients[m->count++];
    know_recipient(m, event, r);
    m->at_rcpt = true;
    sfsistat status = filter.xxfi_envrcpt(ctx, arguments);
    m->at_rcpt = false;
    note(m, "rcpt %d\n", status);
    require(status == SMFIS_CONTINUE || status == SMFIS_REJECT || status == SMFIS_TEMPFAIL);
    if (status != SMFIS_CONTINUE && !m->doubted) {
        require(snapshot_of(m)->settings->reject_at_rcpt || m->verified[m->count - 1] > 0);
        check_answer(ctx, r, status);
    }
    r->refused = status != SMFIS_CONTINUE;
}

static void hear_id(struct message *m, const char *value)
{
    char *id = NULL;
    bool is_id = message_id_clean(value, strlen(value), &id) == STATUS_OK;
    m->can_read_id = m->can_read_id || (is_id && message_id_is_nameable(value));
    m->ids++;
    free(id);
}

static void hear_header(struct smfi_str *ctx, const struct event *event)
{
    struct message *m = &ctx->message;
    if (m->open && strcasecmp(event->first, "Message-ID") == 0) {
        if (!m->has_id && event->own_id) {
            require(message_id_clean(event->second, strlen(event->second), &m->id) == STATUS_OK);
        }
        m->has_id = true;
        hear_id(m, event->second);
    }
    m->id_signed = m->id_signed || (strcasecmp(event->first, "DKIM-Signature") == 0 &&
                                    strstr(event->second, ":message-ID;") != NULL);
    m->shown = true;
    sfsistat status = filter.xxfi_header(ctx, event->first, event->second);
    require(status == SMFIS_NOREPLY);
}

static void hear_data(struct smfi_str *ctx)
{
    sfsistat status = filter.xxfi_data(ctx);
    if (ctx->message.open && status != SMFIS_CONTINUE) {
        require(status == SMFIS_ACCEPT);
        check_end(ctx, status);
        ctx->message.open = false;
    }
}

static void hear_end(struct smfi_str *ctx)
{
    struct message *m = &ctx->message;
    ctx->in_end = true;
    sfsistat status = filter.xxfi_eom(ctx);
    ctx->in_end = false;
    require(status == SMFIS_ACCEPT || status == SMFIS_TEMPFAIL ||
            (m->open && (status == SMFIS_REJECT || status == SMFIS_DISCARD)));
    if (m->open && ctx->headers && !m->shown) {
        require(status == SMFIS_TEMPFAIL && m->effect_count == 0);
        note(m, "not shown\n");
    } else if (m->open) {
        check_end(ctx, status);
    }
    m->open = false;
}

static void hear(struct smfi_str *ctx, const struct event *event)
{
    now_heard = ctx;
    ctx->message.forged = false;
    ctx->user = event->user;
    ctx->resolved = event->resolved;
    switch (event->kind) {
    case MAIL:
        hear_mail(ctx, event);
        break;
    case RCPT:
        hear_rcpt(ctx, event);
        break;
    case DATA:
        hear_data(ctx);
        break;
    case HEADER:
        hear_header(ctx, event);
        break;
    case HEADER_END:
        ctx->message.shown = true;
        require(filter.xxfi_eoh(ctx) == SMFIS_CONTINUE); /* which no session may leave out here */
        break;
    case BODY: {
        sfsistat status =
            filter.xxfi_body(ctx, (unsigned char *)event->first, strlen(event->first));
        require(status == SMFIS_CONTINUE || status == SMFIS_SKIP);
        break;
    }
    case END:
        hear_end(ctx);
        break;
    case ABORT:
        require(filter.xxfi_abort(ctx) == SMFIS_CONTINUE);
        ctx->message.open = false;
        break;
    }
    ctx->user = NULL;
    ctx->resolved = NULL;
}

/* ------------------------------------------------------------------- replaying */

/* The same message again, alone in a session of its own. */
static void replay(const struct smfi_str *ctx, unsigned long actions)
{
    static struct smfi_str alone;
    const struct message *m = &ctx->message;
    struct site_state state = site.state;
    replaying = true;
    session_open(&alone, ctx->who, actions, SMFIP_SKIP);
    for (size_t i = 0; i < m->event_count; i++) {
        site_set(&m->events[i].state);
        hear(&alone, &m->events[i]);
    }
    if (strcmp(alone.message.transcript, m->transcript) != 0) {
        fprintf(stderr, "among others:\n%s\nalone:\n%s\n", m->transcript, alone.message.transcript);
    }
    require(strcmp(alone.message.transcript, m->transcript) == 0);
    session_close(&alone);
    replaying = false;
    site_set(&state);
}

/* ---------------------------------------------------------------------- events */

/* True where libmilter would let it through. */
static bool is_in_order(const struct smfi_str *ctx, enum event_kind kind)
{
    switch (kind) {
    case MAIL:
        return ctx->stage == OUTSIDE;
    case RCPT:
        return ctx->stage == MAILED || ctx->stage == ENVELOPE;
    case DATA:
        return ctx->stage == ENVELOPE;
    case HEADER:
    case HEADER_END:
        return ctx->stage >= ENVELOPE && ctx->stage < BODIES;
    case BODY:
    case END:
        return ctx->stage >= ENVELOPE;
    case ABORT:
        return ctx->stage != OUTSIDE;
    }
    return false;
}

static void give(struct smfi_str *ctx, struct event *event)
{
    static const int stages[] = {
        [MAIL] = MAILED,       [RCPT] = ENVELOPE, [DATA] = DATA_GIVEN, [HEADER] = HEADERS,
        [HEADER_END] = BODIES, [BODY] = BODIES,   [END] = OUTSIDE,     [ABORT] = OUTSIDE};
    struct message *m = &ctx->message;
    if (!is_in_order(ctx, event->kind) && ctx->stage != OUTSIDE) {
        struct event abort_event = {.kind = ABORT};
        hear(ctx, &abort_event);
        ctx->stage = OUTSIDE;
    }
    bool full = event->kind == RCPT && m->count == RECIPIENTS;
    if (!is_in_order(ctx, event->kind) || full || m->event_count == EVENTS) {
        event_free(event);
        return;
    }
    bool was_open = m->open;
    event->state = site.state;
    hear(ctx, event);
    ctx->stage = stages[event->kind];
    m->events[m->event_count++] = *event;
    if (was_open && !m->open && event->kind != ABORT && script.scripted && script.fail_at == 0) {
        replay(ctx, ctx->actions);
    }
}

/* An address with somebody's tag, or none. */
static char *take_address(struct input *input)
{
    static const char *const locals[] = {"alice", "Alice",  "\"a b\"",       "postmaster",
                                         "l=1=b", "nosign", "mailer-daemon", "alice+x"};
    static const char *const domains[] = {
        "example.com",     "example.net",        "log.example",  "mark.example",
        "discard.example", "quarantine.example", "off.example",  "tempfail.example",
        "reject.example",  "a.sub.example",      "Example.COM.", "other.test",
        "lists.test",      "reject.example",     "example.com",  "example.net"};
    static const struct {
        int ring, days;
        const char *change; /* key, or first digit of the MAC */
    } tags[] = {{0, 0, ""},  {1, 0, ""},  {2, 0, ""},  {0, -3, ""}, {0, -6, ""},
                {0, 0, "b"}, {0, 0, "k"}, {0, -8, ""}, {0, 2, ""}};
    unsigned form = take_below(input, COUNT_OF(tags) + 5);
    unsigned choice = take_octet(input);
    const char *local = locals[choice % 8];
    const char *domain = domains[choice / 8 % 16];
    char *out = NULL;
    struct address address;
    int key;
    int64_t expires;
    switch (form) {
    case 0:
        return take_text(input, RAW);
    case 1:
    case 2:
        require(asprintf(&out, "%s@%s", local, domain) > 0);
        return out;
    case 3:
        require(asprintf(&out, "prvs=785a1b2c3=%s@%s", "alice", domain) > 0);
        return out;
    case 4:
        require(asprintf(&out, "SRS0=HHH=TT=x.test=%s@%s", "alice", domain) > 0);
        return out;
    default:
        break;
    }
    require(asprintf(&out, "%s@%s", local, domain) > 0);
    require(address_parse(out, &address) == STATUS_OK);
    free(out);
    form -= 5;
    require(tag_sign(site_ring((size_t)tags[form].ring), &address,
                     choice >= 128 ? TAG_SUBADDRESS : TAG_PREFIX, SITE_LIFETIME,
                     site_noon(tags[form].days), &out, &key, &expires) == STATUS_OK);
    char *tag = strstr(out, "prvs=") + 5;
    tag[0] = tags[form].change[0] == 'k' ? '9' : tag[0];
    tag[4] = tags[form].change[0] != 'b' ? tag[4] : tag[4] == '0' ? '1' : '0';
    address_free(&address);
    return out;
}

/* As an MTA gives one. */
static char *take_envelope(struct input *input)
{
    char *address = take_address(input);
    char *out = NULL;
    require(asprintf(&out, "<%s>", address) > 0);
    free(address);
    return out;
}

static char *formatted(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *formatted(const char *format, ...)
{
    char *out = NULL;
    va_list arguments;
    va_start(arguments, format);
    require(vasprintf(&out, format, arguments) >= 0);
    va_end(arguments);
    return out;
}

static const char *evidence(void)
{
    return script.evidence != NULL ? script.evidence : "v=1; d=20779; n=00; s=00";
}

/* What stands in a header, or in the body that returns one. */
static void take_field(struct input *input, struct event *event)
{
    static const char *const names[] = {"Message-ID",
                                        "X-Batv-Evidence",
                                        "X-Batv-Result",
                                        "From",
                                        "Disposition-Notification-To",
                                        "In-Reply-To",
                                        "Return-Path",
                                        "Auto-Submitted",
                                        "Content-Type",
                                        "x-batv-evidence",
                                        "Message-ID",
                                        NULL,
                                        "dkim-signature",
                                        "message-Id"};
    unsigned choice = take_below(input, COUNT_OF(names));
    char *address = NULL;
    event->first = names[choice] != NULL ? strdup(names[choice]) : take_text(input, RAW);
    switch (choice) {
    case 0:
        event->own_id = true;
        event->second = formatted("<m%u@fuzz.example>", ++script.ids);
        return;
    case 1:
    case 9:
        event->second = take_bit(input) ? take_text(input, RAW) : strdup(evidence());
        return;
    case 3:
    case 4:
    case 6:
        address = take_address(input);
        event->second = formatted("Somebody <%s>", address);
        free(address);
        return;
    case 5:
        event->second = formatted("<m%u@fuzz.example>", take_below(input, 8));
        return;
    case 7:
        event->second = strdup("auto-replied");
        return;
    case 8:
        event->second = strdup("multipart/report; report-type=delivery-status; boundary=b");
        return;
    case 12:
        event->second = formatted("v=1; h=from%s; b=x", take_bit(input) ? ":message-ID" : "");
        return;
    case 13:
        event->second = strdup(take_bit(input) ? " <> " : "");
        return;
    default:
        event->second = take_text(input, RAW);
        return;
    }
}

static void take_body(struct input *input, struct event *event)
{
    struct event field = {.kind = HEADER};
    switch (take_below(input, 4)) {
    case 0:
        event->first = take_text(input, 255);
        return;
    case 1:
        event->first = strdup("\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n");
        return;
    case 2:
        event->first = strdup("\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n");
        return;
    default:
        take_field(input, &field);
        event->first = formatted("%s: %s\r\n", field.first, field.second);
        event_free(&field);
        return;
    }
}

static void take_event(struct smfi_str *ctx, enum event_kind kind, struct input *input)
{
    struct event event = {.kind = kind};
    unsigned bits = kind == MAIL || kind == RCPT ? take_octet(input) : 0;
    if (kind == MAIL) {
        event.first = (bits & 3) != 0 ? take_envelope(input) : strdup("<>");
        event.user = (bits & 12) == 4 ? strdup("user") : NULL;
    } else if (kind == RCPT) {
        event.first = (bits & 7) != 7 ? take_envelope(input) : take_text(input, RAW);
    } else if (kind == HEADER) {
        take_field(input, &event);
    } else if (kind == BODY) {
        take_body(input, &event);
    }
    if ((bits & 48) == 16) {
        event.resolved = take_address(input);
    }
    give(ctx, &event);
}

/* ------------------------------------------------------------------- the world */

static void take_state(struct input *input, struct site_state *state)
{
    unsigned bits = take_octet(input);
    state->config = bits & 1;
    state->disk = state->disk + ((bits & 2) != 0 && state->disk + 1 < SITE_RINGS);
    state->ring = (bits & 4) != 0 ? state->disk : state->ring;
    state->blind = (bits & 24) == 24;
    state->random = (bits & 96) != 96;
    bits = take_octet(input);
    state->paused = (bits & 3) == 3;
    state->clock_wrong = (bits & 12) == 12;
    state->journal_young = (bits & 16) != 0;
    state->relayed = (bits & 32) != 0;
}

static void take_time(struct input *input)
{
    static const time_t steps[] = {
        60, 6 * 3600, DAY_SECONDS, 8 * DAY_SECONDS, 40 * DAY_SECONDS, -DAY_SECONDS};
    struct site_state state = site.state;
    state.now += steps[take_below(input, COUNT_OF(steps))];
    site_set(&state);
}

static void take_session(struct smfi_str *ctx, struct input *input)
{
    unsigned long lacking = 0;
    const struct who *who = &clients[take_below(input, COUNT_OF(clients))];
    unsigned bits = take_octet(input);
    if (ctx->open) {
        session_close(ctx);
    }
    if ((bits & 15) == 15) {
        lacking = 1UL << (bits >> 4 & 7);
    }
    session_open(ctx, who, 0x1ffUL & ~lacking, (bits & 128) != 0 ? 0 : SMFIP_SKIP);
}

static void take_script(struct input *input)
{
    unsigned bits = take_octet(input);
    script.scripted = (bits & 1) != 0;
    script.names_id = (bits & 2) != 0;
    script.class = (enum bounce_class)((bits >> 2) % BOUNCE_CLASS_COUNT);
    script.fail_at = (bits & 192) == 192 ? 1 + take_octet(input) : 0;
    script.changes = 0;
    script.ids = 0;
    for (size_t i = 0; i < FACT_COUNT; i++) { /* of no bounce's: no, always */
        for (size_t k = 0; k < RECIPIENTS; k++) {
            script.answers[i][k] = ANSWER_NO;
        }
    }
    for (size_t i = 0; script.scripted && i <= FACT_CLASS; i++) {
        unsigned answers = take_octet(input);
        for (size_t k = 0; k < RECIPIENTS; k++) {
            static const enum answer some[] = {ANSWER_NO, ANSWER_YES, ANSWER_UNAVAILABLE,
                                               ANSWER_OVERLOADED};
            bool exhausted = k == RECIPIENTS - 1;
            script.answers[i][k] = exhausted ? ANSWER_EXHAUSTED : some[answers >> (k % 4 * 2) & 3];
        }
    }
    for (size_t i = 0; i < SITE_CONFIGS; i++) {
        site_configure(i, input);
    }
}

static void take_step(struct smfi_str *sessions, struct input *input)
{
    static const enum event_kind kinds[] = {MAIL,       RCPT, RCPT, DATA, HEADER, HEADER,
                                            HEADER_END, BODY, BODY, END,  ABORT};
    unsigned octet = take_octet(input);
    struct smfi_str *ctx = &sessions[octet >> 7];
    unsigned step = octet % 16;
    if (step == 15 || !ctx->open) {
        take_session(ctx, input);
    } else if (step == 14) {
        take_time(input);
    } else if (step == 13) {
        struct site_state state = site.state;
        take_state(input, &state);
        site_set(&state);
    } else {
        take_event(ctx, kinds[step % COUNT_OF(kinds)], input);
    }
}

static struct adapter the_adapter;

static void *run_adapter(void *unused)
{
    struct reason why;
    (void)unused;
    adapter_run(&the_adapter, 0, &why);
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    pthread_t thread;
    (void)argc;
    (void)argv;
    site_make();
    make_oracles();
    site.on_decision = on_decision;
    site.on_blind = on_blind;
    the_adapter.oracles = &oracles;
    the_adapter.pool = site.pool;
    require(sem_init(&ready, 0, 0) == 0);
    require(pthread_create(&thread, NULL, run_adapter, NULL) == 0);
    require(sem_wait(&ready) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct smfi_str sessions[SESSIONS];
    struct input input = {data, data + size};
    uint64_t start = watch_start();
    struct site_state state = {.now = site_noon(0), .random = true};
    take_script(&input);
    take_state(&input, &state);
    site_begin(&state);
    script.returned = (struct evidence_returned){site.journal};
    evidence_returned_oracles(&script.returned, true, &script.real);
    the_adapter.journal = site.journal;
    the_adapter.uses = site.uses;
    for (unsigned i = 0; i < EVENTS_IN_ALL && !input_over(&input); i++) {
        take_step(sessions, &input);
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        if (sessions[i].open || sessions[i].private != NULL) {
            session_close(&sessions[i]);
        }
    }
    free(script.evidence);
    script.evidence = NULL;
    site_end();
    watch_end(start, size);
    return 0;
}
