/*
 * libmilter's callbacks, each a few lines around a transaction: they turn what libmilter says into
 * plain events, and the transaction's reply and effects into what libmilter wants to hear.
 *
 * A session belongs to one connection and is used by one thread at a time, though by different
 * ones. Its transaction, and the snapshots that this one reads, live from MAIL to the end of the
 * message.
 *
 * CONNECT, MAIL and headers get no reply, which saves a packet each; where the MTA has no such
 * agreement libmilter answers "continue" for us. So an error at MAIL is told at the first RCPT.
 *
 * Nothing is judged by halves: a message of which a stage did not come that was agreed upon, and an
 * address that only the MTA can read where it does not say how, are deferred (milter/stages.h).
 */
#include "milter/adapter.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "base/stack.h"
#include "batv/address_meaning.h"
#include "content/evidence_sent.h"
#include "milter/guard.h"
#include "milter/macro_watch.h"
#include "milter/stages.h"

/* What the MTA must be able to do for us. The rest (headers, quarantine) is asked for where
 * offered. */
static const struct {
    unsigned long flag;
    const char *name;
} required[] = {
    {SMFIF_CHGFROM, "change the sender (CHGFROM)"},
    {SMFIF_ADDRCPT, "add recipients (ADDRCPT)"},
    {SMFIF_DELRCPT, "delete recipients (DELRCPT)"},
};

static const unsigned long useful = SMFIF_CHGFROM | SMFIF_ADDRCPT | SMFIF_DELRCPT | SMFIF_ADDHDRS |
                                    SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_ADDRCPT_PAR;

static const struct adapter *adapter; /* set before libmilter starts its threads */

struct session {
    LIST_ENTRY(session) others;
    bool shows_messages; /* headers and bodies, by what was agreed upon for this connection */
    bool skips;          /* the rest of a body on request */
    bool answers_header; /* the MTA waits for an answer to the end of a header */
    bool surplus;        /* beyond limits.connections: it gets no service */
    struct stages stages;
    struct client client;
    char name[256];
    char address[INET6_ADDRSTRLEN];
    char server[256];
    struct shared_snapshot *snapshot; /* of the message */
    struct shared_snapshot *newer;    /* asked for when a tag is in doubt, or NULL */
    struct transaction *transaction;
    struct content *content; /* of a bounce that has to be read */
    bool sampled;            /* it is read for the sample */
    size_t told;             /* of the transaction's decisions */
};

static void message_end(struct session *s)
{
    transaction_free(s->transaction);
    content_free(s->content);
    shared_snapshot_release(s->newer);
    shared_snapshot_release(s->snapshot);
    s->transaction = NULL;
    s->content = NULL;
    s->newer = NULL;
    s->snapshot = NULL;
    s->told = 0;
    s->sampled = false;
    stages_begin(&s->stages);
}

/* libmilter tells of no end for connections that are open when it ends itself. */
static LIST_HEAD(session_list, session) sessions = LIST_HEAD_INITIALIZER(sessions);
static pthread_mutex_t sessions_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned served; /* how many of them are no surplus */

/* At most so many are served, 0: any number. */
static struct session *session_new(unsigned most)
{
    struct session *s = calloc(1, sizeof *s);
    if (s != NULL) {
        pthread_mutex_lock(&sessions_lock);
        LIST_INSERT_HEAD(&sessions, s, others);
        s->surplus = most > 0 && served >= most;
        served += !s->surplus;
        pthread_mutex_unlock(&sessions_lock);
    }
    return s;
}

static void session_free(struct session *s)
{
    pthread_mutex_lock(&sessions_lock);
    LIST_REMOVE(s, others);
    served -= !s->surplus;
    pthread_mutex_unlock(&sessions_lock);
    message_end(s);
    free(s);
}

/* ------------------------------------------------------------- negotiation */

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
                             unsigned long unused2, unsigned long unused3,
                             unsigned long *actions_out, unsigned long *steps_out,
                             unsigned long *unused2_out, unsigned long *unused3_out)
{
    (void)unused2;
    (void)unused3;
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if ((actions & required[i].flag) == 0) {
            log_line(LOG_ERR, "the MTA does not allow batvd to %s", required[i].name);
            return SMFIS_REJECT;
        }
    }
    struct shared_snapshot *snapshot = keeper_acquire(adapter->keeper);
    const struct settings *settings = shared_snapshot_get(snapshot)->settings;
    bool bodies = settings->evidence.enabled;
    bool headers = bodies || settings->may_mark || settings->may_sign;
    unsigned most = settings->connections;
    shared_snapshot_release(snapshot);

    /* Without the end of headers libmilter takes a message that has none for a broken one. */
    unsigned long unwanted = SMFIP_NOHELO | SMFIP_NOUNKNOWN;
    unwanted |= headers ? 0 : SMFIP_NOHDRS | SMFIP_NOEOH;
    unwanted |= bodies ? 0 : SMFIP_NOBODY;
    *actions_out = useful & actions;
    *steps_out = ((unwanted | SMFIP_SKIP) & steps) | (SMFIP_NR_EOH & guard_offered()) |
                 SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_HDR;
    *unused2_out = 0;
    *unused3_out = 0;

    struct session *s = session_new(most);
    if (s != NULL) {
        s->shows_messages = bodies;
        s->skips = (steps & SMFIP_SKIP) != 0;
        /* An MTA that knows DATA could have left it out. */
        s->answers_header = (*steps_out & SMFIP_NR_EOH) == 0;
        stages_agree(&s->stages, (guard_offered() & SMFIP_NODATA) != 0, headers);
        *steps_out &= s->surplus ? ~(unsigned long)SMFIP_NR_CONN : ~0UL;
    }
    smfi_setpriv(ctx, s);
    return SMFIS_CONTINUE;
}

/* ------------------------------------------------------------------- macros */

/* The MTA's macros. libmilter takes no constant strings. */
static char queue_id_symbol[] = "i";
static char user_symbol[] = "{auth_authen}";
static char mechanism_symbol[] = "{auth_type}";
static char sender_symbol[] = "{mail_addr}";
static char recipient_symbol[] = "{rcpt_addr}";
static char next_hop_symbol[] = "{rcpt_host}";
static char mailer_symbol[] = "{rcpt_mailer}";
static char host_symbol[] = "j";
static char interface_symbol[] = "{if_name}";

/* As the MTA gave it, perhaps empty; NULL: it gave none. */
static const char *symbol(SMFICTX *ctx, char *name)
{
    return smfi_getsymval(ctx, name);
}

static const char *macro(SMFICTX *ctx, char *name)
{
    const char *value = symbol(ctx, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* ----------------------------------------------------------------- replies */

/* A '%' would be taken for the start of a format by some MTAs; doubled it stands for itself. */
static void set_reply(SMFICTX *ctx, const struct reply *reply)
{
    char code[4];
    char enhanced[8];
    char text[2 * sizeof reply->text];
    size_t used = 0;
    for (const char *p = reply->text; *p != '\0'; p++) {
        if (*p == '%') {
            text[used++] = '%';
        }
        text[used++] = *p;
    }
    text[used] = '\0';
    snprintf(code, sizeof code, "%s", reply->code);
    snprintf(enhanced, sizeof enhanced, "%s", reply->enhanced);
    if (smfi_setreply(ctx, code, enhanced, text) != MI_SUCCESS) {
        log_line(LOG_WARNING, "libmilter rejected the text of the reply: %s", reply->text);
    }
}

static sfsistat reply_status(SMFICTX *ctx, const struct reply *reply)
{
    if (reply->code != NULL) {
        set_reply(ctx, reply);
    }
    switch (reply->kind) {
    case REPLY_CONTINUE:
        return SMFIS_CONTINUE;
    case REPLY_ACCEPT:
        return SMFIS_ACCEPT;
    case REPLY_TEMPFAIL:
        return SMFIS_TEMPFAIL;
    case REPLY_REJECT:
        return SMFIS_REJECT;
    case REPLY_DISCARD:
        return SMFIS_DISCARD;
    }
    return SMFIS_TEMPFAIL;
}

/* Of the reply a transaction has no part in. */
static sfsistat defer(SMFICTX *ctx, const char *enhanced, const char *text)
{
    struct reply reply = {.kind = REPLY_TEMPFAIL, .code = "451", .enhanced = enhanced};
    snprintf(reply.text, sizeof reply.text, "%s", text);
    return reply_status(ctx, &reply);
}

static const char *id_or_none(SMFICTX *ctx)
{
    const char *queue_id = macro(ctx, queue_id_symbol);
    return queue_id != NULL ? queue_id : "NOQUEUE";
}

/* --------------------------------------------------------------- connection */

/* A session too many. An MTA that goes on all the same hears it again for each recipient. */
static sfsistat turn_away(SMFICTX *ctx)
{
    return defer(ctx, "4.3.2", "too many connections to the mail filter, try again later");
}

static void tell_surplus(void)
{
    static struct log_notice notice;
    enum { MINUTE = 60 };
    pthread_mutex_lock(&sessions_lock);
    bool due = log_notice_due(&notice, MINUTE);
    unsigned now = served;
    pthread_mutex_unlock(&sessions_lock);
    if (due) {
        log_line(LOG_WARNING,
                 "the limit of %u connections (limits.connections) is reached: deferring mail of "
                 "further ones",
                 now);
    }
}

/* The name only where the MTA has verified it: Postfix says "unknown", Sendmail "[address]". */
static void set_name(struct session *s, const char *name)
{
    if (name != NULL && name[0] != '[' && strcasecmp(name, "unknown") != 0) {
        snprintf(s->name, sizeof s->name, "%s", name);
        s->client.name = s->name;
    }
}

static void set_server(struct session *s, const char *name)
{
    if (name != NULL) {
        snprintf(s->server, sizeof s->server, "%s", name);
        s->client.server = s->server;
    }
}

/* Returns the port; 0 where there is none. */
static unsigned set_address(struct session *s, const _SOCK_ADDR *address)
{
    const struct sockaddr *any = (const struct sockaddr *)address;
    const void *octets = NULL;
    unsigned port = 0;
    if (any != NULL && any->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        octets = &in->sin_addr;
        port = ntohs(in->sin_port);
    } else if (any != NULL && any->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        octets = &in6->sin6_addr;
        port = ntohs(in6->sin6_port);
    }
    if (octets != NULL &&
        inet_ntop(any->sa_family, octets, s->address, sizeof s->address) != NULL &&
        ip_parse(s->address, &s->client.ip)) {
        s->client.address = s->address;
    }
    return port;
}

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
    struct session *s = smfi_getpriv(ctx);
    if (s != NULL) {
        unsigned port = set_address(s, address);
        set_name(s, name);
        set_server(s, macro(ctx, host_symbol));
        s->client.sendmail = macro(ctx, interface_symbol) != NULL;
        s->client.local =
            client_is_local(s->client.name, s->client.address != NULL ? &s->client.ip : NULL, port);
        macro_watch_connect(&s->client, s->client.server);
    }
    if (s != NULL && s->surplus) {
        tell_surplus();
        return turn_away(ctx);
    }
    return SMFIS_NOREPLY;
}

static sfsistat on_close(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    if (s != NULL) {
        session_free(s);
        smfi_setpriv(ctx, NULL);
    }
    return SMFIS_CONTINUE;
}

/* ------------------------------------------------------------------ telling */

/* Logs what has been decided since the last time. */
static void tell(SMFICTX *ctx, struct session *s)
{
    size_t count = 0;
    const struct decision *decisions = transaction_decisions(s->transaction, &count);
    for (; s->told < count; s->told++) {
        struct decision decision = decisions[s->told];
        decision.queue_id = macro(ctx, queue_id_symbol);
        keeper_decide(adapter->keeper, &decision);
    }
}

static void tell_failure(SMFICTX *ctx, const struct session *s)
{
    log_line(LOG_ERR, "%s: internal error (memory, crypto or keyring): applying on_error=%s",
             id_or_none(ctx), action_name(shared_snapshot_get(s->snapshot)->settings->on_error));
}

/* A session too many has none. Else, or without a session, there was no memory: nothing is let pass
 * unseen. */
static sfsistat without_transaction(SMFICTX *ctx, struct session *s)
{
    if (s != NULL && s->surplus) {
        return turn_away(ctx);
    }
    struct shared_snapshot *snapshot = keeper_acquire(adapter->keeper);
    struct reply reply;
    reply_on_error(shared_snapshot_get(snapshot)->settings, &reply);
    shared_snapshot_release(snapshot);
    log_line(LOG_ERR, "out of memory: applying on_error to a message");
    return reply_status(ctx, &reply);
}

/* ------------------------------------------------------------------ message */

/* An address that means what the MTA takes it for, which does not say so. What a local process
 * hands in the MTA has not looked at yet. */
static bool is_unreadable(const struct session *s, const char *raw, const char *resolved)
{
    return resolved == NULL && !s->client.local && !address_is_plain(raw);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
    struct session *s = smfi_getpriv(ctx);
    if (s == NULL) {
        return SMFIS_NOREPLY;
    }
    message_end(s);
    if (s->surplus) {
        return SMFIS_NOREPLY;
    }
    s->snapshot = keeper_acquire(adapter->keeper);
    s->transaction = transaction_new(shared_snapshot_get(s->snapshot), &s->client);
    if (s->transaction != NULL) {
        const char *address = symbol(ctx, sender_symbol);
        const char *user = macro(ctx, user_symbol);
        user = user != NULL ? user : macro(ctx, mechanism_symbol);
        macro_watch_mail(&s->client, arguments[0], address, user);
        stages_mail(&s->stages, is_unreadable(s, arguments[0], address));
        transaction_mail(s->transaction, arguments[0], address, user);
    }
    return SMFIS_NOREPLY;
}

/* A tag that we do not know may be by a key that was made a moment ago. */
static void settle_doubts(struct session *s, time_t now)
{
    if (!transaction_doubtful(s->transaction)) {
        return;
    }
    shared_snapshot_release(s->newer);
    s->newer = keeper_newest(adapter->keeper);
    if (s->newer == NULL) {
        transaction_fail(s->transaction);
        return;
    }
    const struct ring *newest = shared_snapshot_get(s->newer)->ring;
    if (newest != shared_snapshot_get(s->snapshot)->ring) {
        transaction_renew(s->transaction, newest, now);
    }
}

/* Says why this recipient is deferred, which the transaction never sees. */
static sfsistat defer_unread(SMFICTX *ctx, const struct session *s, const char *recipient,
                             const char *name)
{
    log_line(LOG_WARNING,
             "%s: deferred rcpt=%s in the session of %s[%s]: the MTA did not send %s, which batvd "
             "needs to read this spelling of the %s (see `batvctl check`)",
             id_or_none(ctx), recipient, s->client.name != NULL ? s->client.name : "unknown",
             s->client.address != NULL ? s->client.address : "", name,
             name == sender_symbol ? "sender" : "recipient");
    return defer(ctx, "4.3.5", "the mail filter cannot read this address now, try again later");
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
    struct session *s = smfi_getpriv(ctx);
    if (s == NULL || s->transaction == NULL) {
        return without_transaction(ctx, s);
    }
    time_t now = time(NULL);
    struct reply reply;
    const char *address = symbol(ctx, recipient_symbol);
    const char *host = symbol(ctx, next_hop_symbol);
    macro_watch_rcpt(&s->client, address, host, symbol(ctx, mailer_symbol));
    if (s->stages.sender_unread) {
        return defer_unread(ctx, s, arguments[0], sender_symbol);
    }
    if (is_unreadable(s, arguments[0], address)) {
        return defer_unread(ctx, s, arguments[0], recipient_symbol);
    }
    transaction_next_hop(s->transaction, host, macro(ctx, mailer_symbol));
    transaction_rcpt(s->transaction, arguments[0], address, (const char *const *)(arguments + 1),
                     now);
    if (transaction_judges_at_rcpt(s->transaction)) {
        settle_doubts(s, now);
    }
    oracle_decide_rcpt(adapter->oracles, s->transaction, now, &reply);
    tell(ctx, s);
    return reply_status(ctx, &reply);
}

/* libmilter takes no constant strings. */
struct effect_copy {
    char *name, *value, *arguments;
};

/* False: no memory. What copy then holds is to be freed all the same. */
static bool effect_copy(const struct effect *effect, struct effect_copy *copy)
{
    copy->name = effect->name != NULL ? strdup(effect->name) : NULL;
    copy->value = effect->value != NULL ? strdup(effect->value) : NULL;
    copy->arguments = effect->arguments != NULL ? strdup(effect->arguments) : NULL;
    return (copy->name != NULL || effect->name == NULL) &&
           (copy->value != NULL || effect->value == NULL) &&
           (copy->arguments != NULL || effect->arguments == NULL);
}

static void effect_copy_free(struct effect_copy *copy)
{
    free(copy->name);
    free(copy->value);
    free(copy->arguments);
}

/* An MTA too old for arguments gets the recipient without. */
static int add_recipient(SMFICTX *ctx, char *recipient, char *arguments)
{
    if (arguments != NULL && smfi_addrcpt_par(ctx, recipient, arguments) == MI_SUCCESS) {
        return MI_SUCCESS;
    }
    return smfi_addrcpt(ctx, recipient);
}

static int apply_copy(SMFICTX *ctx, const struct effect *effect, const struct effect_copy *copy)
{
    switch (effect->kind) {
    case EFFECT_CHANGE_SENDER:
        return smfi_chgfrom(ctx, copy->value, NULL);
    case EFFECT_REMOVE_RECIPIENT:
        return smfi_delrcpt(ctx, copy->value);
    case EFFECT_ADD_RECIPIENT:
        return add_recipient(ctx, copy->value, copy->arguments);
    case EFFECT_REMOVE_HEADER:
        return smfi_chgheader(ctx, copy->name, (int)effect->index, NULL);
    case EFFECT_ADD_HEADER:
        /* On top: DKIM counts fields of one name from the bottom, so that a signature over an
         * earlier copy still holds (RFC 6376 section 5.4.2). */
        return smfi_insheader(ctx, 0, copy->name, copy->value);
    case EFFECT_APPEND_HEADER:
        /* Sendmail then takes it for the one that it would itself have added. */
        return smfi_addheader(ctx, copy->name, copy->value);
    case EFFECT_QUARANTINE:
        return smfi_quarantine(ctx, copy->value);
    }
    return MI_FAILURE;
}

static bool apply(SMFICTX *ctx, const struct effect *effect)
{
    struct effect_copy copy;
    bool applied = effect_copy(effect, &copy) && apply_copy(ctx, effect, &copy) == MI_SUCCESS;
    effect_copy_free(&copy);
    return applied;
}

static bool apply_all(SMFICTX *ctx, const struct transaction *transaction)
{
    size_t count = 0;
    const struct effect *effects = transaction_effects(transaction, &count);
    for (size_t i = 0; i < count; i++) {
        if (!apply(ctx, &effects[i])) {
            log_line(LOG_ERR,
                     "%s: error: the MTA rejected change %zu of %zu (%s): applying on_error",
                     id_or_none(ctx), i + 1, count,
                     effects[i].value != NULL ? effects[i].value : effects[i].name);
            return false;
        }
    }
    return true;
}

/* A genuine bounce of a domain for which the journal knows all that can come back. */
static bool is_to_be_sampled(const struct session *s, time_t now)
{
    const struct snapshot *snapshot = shared_snapshot_get(s->snapshot);
    struct returned returned;
    return s->shows_messages && snapshot->settings->evidence.enabled &&
           snapshot->settings->evidence.journal && !snapshot->clock_wrong &&
           snapshot_journal_is_old(snapshot, now) &&
           transaction_returned(s->transaction, &returned) &&
           sample_take(keeper_sample(adapter->keeper), &returned, now);
}

/* A bounce that no later try can mend: it has more than is read. */
static void tell_limit(SMFICTX *ctx, const struct session *s)
{
    if (content_searched(s->content)) {
        return;
    }
    for (enum bounce_limit i = 0; i < BOUNCE_LIMIT_COUNT; i++) {
        if (content_reached(s->content, i)) {
            log_line(
                LOG_INFO,
                "%s: the bounce was not read to its end (limit: %s): a proof may be in the rest",
                id_or_none(ctx), bounce_limit_name(i));
        }
    }
}

/* The last event that the message needs: judges, applies, tells. */
static sfsistat finish(SMFICTX *ctx, struct session *s)
{
    time_t now = time(NULL);
    struct reply reply;
    struct claims claims = {.uses = adapter->uses};
    macro_watch_data(&s->client, macro(ctx, queue_id_symbol));
    settle_doubts(s, now);
    if (transaction_goes_out(s->transaction)) {
        evidence_sent_prepare(s->transaction);
    }
    oracle_decide(adapter->oracles, s->transaction, s->content, &claims, now);
    reply = *transaction_reply(s->transaction);
    if (transaction_failed(s->transaction)) {
        tell_failure(ctx, s);
    }
    tell(ctx, s);
    if (reply.kind == REPLY_TEMPFAIL && s->content != NULL) {
        tell_limit(ctx, s);
    }
    if (!apply_all(ctx, s->transaction)) {
        reply_on_error(shared_snapshot_get(s->snapshot)->settings, &reply);
    }
    if (reply.kind == REPLY_ACCEPT) {
        evidence_sent_record(adapter->journal, s->transaction, shared_snapshot_get(s->snapshot),
                             now);
    }
    claims_settle(&claims, reply.kind == REPLY_ACCEPT, now);
    if (s->sampled && reply.kind == REPLY_ACCEPT) {
        sample_read(keeper_sample(adapter->keeper), adapter->journal, s->transaction, s->content,
                    now);
    }
    message_end(s);
    return reply_status(ctx, &reply);
}

/* What of the message is still of interest, and room for it. Done at DATA; at the first that comes
 * behind it where the MTA does not know DATA. */
static unsigned begin_content(struct session *s)
{
    unsigned wants = transaction_wants(s->transaction);
    s->sampled = s->sampled || is_to_be_sampled(s, time(NULL));
    wants |= s->sampled ? WANT_HEADERS | WANT_BODY : 0;
    if ((wants & WANT_BODY) != 0 && s->shows_messages) {
        content_free(s->content); /* libmilter lets a peer say DATA twice */
        s->content = content_new(adapter->pool,
                                 shared_snapshot_get(s->snapshot)->settings->evidence.max_body,
                                 &s->client.ip);
    }
    return wants;
}

static sfsistat on_data(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    if (s == NULL || s->transaction == NULL) {
        return without_transaction(ctx, s);
    }
    stages_data(&s->stages);
    return begin_content(s) != 0 ? SMFIS_CONTINUE : finish(ctx, s);
}

/* Before the first header field, or the end of a header that has none. */
static void begin_header(struct session *s)
{
    if (stages_header(&s->stages)) {
        (void)begin_content(s);
    }
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    struct session *s = smfi_getpriv(ctx);
    if (s != NULL && s->transaction != NULL) {
        begin_header(s);
        transaction_header(s->transaction, name, value);
        if (s->content != NULL) {
            content_header(s->content, name, value);
        }
        if (transaction_reads_header(s->transaction)) {
            evidence_sent_header(s->transaction, name, value);
        }
    }
    return SMFIS_NOREPLY;
}

/* The body of all but bounces is of no interest: one piece of it comes before that can be said. */
static sfsistat on_body(SMFICTX *ctx, unsigned char *octets, size_t length)
{
    struct session *s = smfi_getpriv(ctx);
    bool more = s != NULL && s->content != NULL && content_body(s->content, octets, length);
    return !more && s != NULL && s->skips ? SMFIS_SKIP : SMFIS_CONTINUE;
}

/* A message that was not shown as agreed is not judged. */
static sfsistat defer_part(SMFICTX *ctx, struct session *s, const char *stage)
{
    log_line(LOG_ERR,
             "%s: error: the MTA agreed to send the %s of a message in the session of %s[%s], but "
             "did not: message deferred",
             id_or_none(ctx), stage, s->client.name != NULL ? s->client.name : "unknown",
             s->client.address != NULL ? s->client.address : "");
    message_end(s);
    return defer(ctx, "4.3.5",
                 "the mail filter did not receive all of this message, try again later");
}

/* Where the end of a header was made up and the MTA waits for no answer to it, the end of the
 * message is answered. */
static sfsistat on_header_end(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    bool shown = !guard_made_up();
    if (s != NULL && s->transaction != NULL && shown) {
        begin_header(s);
    }
    if (s != NULL && s->transaction != NULL && !shown && s->answers_header &&
        s->stages.header_agreed) {
        return defer_part(ctx, s, "header");
    }
    return s != NULL && s->answers_header ? SMFIS_CONTINUE : SMFIS_NOREPLY;
}

static sfsistat on_message_end(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    if (s == NULL || s->transaction == NULL) {
        return without_transaction(ctx, s);
    }
    const char *missing = stages_missing(&s->stages);
    return missing == NULL ? finish(ctx, s) : defer_part(ctx, s, missing);
}

static sfsistat on_abort(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    if (s != NULL) {
        message_end(s);
    }
    return SMFIS_CONTINUE;
}

/* ---------------------------------------------------------------------- run */

/*
 * Each callback runs between gate_enter and gate_leave. When smfi_main returns, libmilter's threads
 * are still there, and may be in a callback or come to one, while all that callbacks use is about
 * to be freed: the gate closes only when all are out, and lets nobody in then.
 *
 * libmilter hands a session from one thread to another over a socket. The counter says so in the
 * language's own terms: whoever enters sees what those wrote who left before.
 */
static atomic_uint inside;
static atomic_bool closed;

static bool gate_enter(void)
{
    atomic_fetch_add(&inside, 1);
    return !atomic_load(&closed);
}

static void gate_leave(void)
{
    atomic_fetch_sub(&inside, 1);
}

static void gate_close(void)
{
    static const struct timespec moment = {.tv_nsec = 10000000};
    atomic_store(&closed, true);
    while (atomic_load(&inside) > 0) {
        nanosleep(&moment, NULL);
    }
}

/* gated_CALLBACK; behind the closed gate the MTA is asked to try again later. */
#define GATED(callback, parameters, arguments)                                                     \
    static sfsistat gated_##callback parameters                                                    \
    {                                                                                              \
        sfsistat status = gate_enter() ? on_##callback arguments : SMFIS_TEMPFAIL;                 \
        gate_leave();                                                                              \
        return status;                                                                             \
    }

GATED(connect, (SMFICTX * ctx, char *name, _SOCK_ADDR *address), (ctx, name, address))
GATED(mail, (SMFICTX * ctx, char **arguments), (ctx, arguments))
GATED(rcpt, (SMFICTX * ctx, char **arguments), (ctx, arguments))
GATED(header, (SMFICTX * ctx, char *name, char *value), (ctx, name, value))
GATED(header_end, (SMFICTX * ctx), (ctx))
GATED(body, (SMFICTX * ctx, unsigned char *octets, size_t length), (ctx, octets, length))
GATED(message_end, (SMFICTX * ctx), (ctx))
GATED(abort, (SMFICTX * ctx), (ctx))
GATED(close, (SMFICTX * ctx), (ctx))
GATED(data, (SMFICTX * ctx), (ctx))
GATED(negotiate,
      (SMFICTX * ctx, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
       unsigned long *e, unsigned long *f, unsigned long *g, unsigned long *h),
      (ctx, a, b, c, d, e, f, g, h))

static char filter_name[] = "batvd";

static const struct smfiDesc description = {
    .xxfi_name = filter_name,
    .xxfi_version = SMFI_VERSION,
    .xxfi_flags = SMFIF_CHGFROM | SMFIF_ADDRCPT | SMFIF_DELRCPT,
    .xxfi_connect = gated_connect,
    .xxfi_envfrom = gated_mail,
    .xxfi_envrcpt = gated_rcpt,
    .xxfi_header = gated_header,
    .xxfi_eoh = gated_header_end,
    .xxfi_body = gated_body,
    .xxfi_eom = gated_message_end,
    .xxfi_abort = gated_abort,
    .xxfi_close = gated_close,
    .xxfi_data = gated_data,
    .xxfi_negotiate = gated_negotiate,
};

/* libmilter keeps a thread for each busy session: small stacks and few arenas, or a thousand
 * sessions reserve gigabytes. A bounce's octets go back to the system when they are freed. The
 * memory of other C libraries than glibc has no arenas and nothing to set. */
static void bound_memory(void)
{
    pthread_attr_t attributes;
#ifdef __GLIBC__
    enum { LARGE = 128 * 1024 };
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, LARGE);
#endif
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

enum status adapter_run(const struct adapter *with, int fd, struct reason *why)
{
    char connection[32];
    adapter = with;
    bound_memory();
    snprintf(connection, sizeof connection, "fd:%d", fd);
    if (smfi_setconn(connection) != MI_SUCCESS || smfi_register(description) != MI_SUCCESS) {
        return reason_set(why, STATUS_IO, "cannot set up libmilter");
    }
    int result = smfi_main();
    oracle_network_stop(with->network);
    gate_close();
    for (struct session *s = LIST_FIRST(&sessions), *next; s != NULL; s = next) {
        next = LIST_NEXT(s, others);
        session_free(s);
    }
    return result == MI_SUCCESS ? STATUS_OK
                                : reason_set(why, STATUS_IO, "libmilter ended with an error");
}
