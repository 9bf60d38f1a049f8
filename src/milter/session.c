/*
 * A session's message lives from MAIL to its end. The list of all sessions has a lock; a session
 * has none, since libmilter calls for it from one thread at a time.
 */
#include "milter/session.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "content/evidence_sent.h"

static LIST_HEAD(session_list, session) sessions = LIST_HEAD_INITIALIZER(sessions);
static pthread_mutex_t sessions_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned served; /* how many of them are no surplus */

struct session *session_new(const struct adapter *adapter, unsigned most)
{
    struct session *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->adapter = adapter;
        pthread_mutex_lock(&sessions_lock);
        LIST_INSERT_HEAD(&sessions, s, others);
        s->surplus = most > 0 && served >= most;
        served += !s->surplus;
        pthread_mutex_unlock(&sessions_lock);
    }
    return s;
}

void session_free(struct session *s)
{
    pthread_mutex_lock(&sessions_lock);
    LIST_REMOVE(s, others);
    served -= !s->surplus;
    pthread_mutex_unlock(&sessions_lock);
    session_message_end(s);
    free(s);
}

void sessions_end(void)
{
    for (struct session *s = LIST_FIRST(&sessions), *next; s != NULL; s = next) {
        next = LIST_NEXT(s, others);
        session_free(s);
    }
}

void session_tell_surplus(void)
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

/* -------------------------------------------------------------------- client */

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
static unsigned set_address(struct session *s, const struct sockaddr *address)
{
    const void *octets = NULL;
    unsigned port = 0;
    if (address != NULL && address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        octets = &in->sin_addr;
        port = ntohs(in->sin_port);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        octets = &in6->sin6_addr;
        port = ntohs(in6->sin6_port);
    }
    if (octets != NULL &&
        inet_ntop(address->sa_family, octets, s->address, sizeof s->address) != NULL &&
        ip_parse(s->address, &s->client.ip)) {
        s->client.address = s->address;
    }
    return port;
}

void session_connect(struct session *s, const char *name, const struct sockaddr *address,
                     const char *server, bool sendmail)
{
    unsigned port = set_address(s, address);
    set_name(s, name);
    set_server(s, server);
    s->client.sendmail = sendmail;
    s->client.local =
        client_is_local(s->client.name, s->client.address != NULL ? &s->client.ip : NULL, port);
}

/* ------------------------------------------------------------------- message */

void session_message_end(struct session *s)
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

bool session_mail(struct session *s, const struct mail_event *event)
{
    s->snapshot = keeper_acquire(s->adapter->keeper);
    s->transaction = transaction_new(shared_snapshot_get(s->snapshot), &s->client);
    if (s->transaction == NULL) {
        return false;
    }
    transaction_mail(s->transaction, event);
    return true;
}

/* A tag that we do not know may be by a key that was made a moment ago. */
static void settle_doubts(struct session *s)
{
    if (!transaction_doubtful(s->transaction)) {
        return;
    }
    shared_snapshot_release(s->newer);
    s->newer = keeper_newest(s->adapter->keeper);
    if (s->newer == NULL) {
        transaction_fail(s->transaction);
        return;
    }
    const struct ring *newest = shared_snapshot_get(s->newer)->ring;
    if (newest != shared_snapshot_get(s->snapshot)->ring) {
        transaction_renew(s->transaction, newest);
    }
}

/* Logs what has been decided since the last time. */
static void tell(struct session *s, const char *queue_id)
{
    size_t count = 0;
    const struct decision *decisions = transaction_decisions(s->transaction, &count);
    for (; s->told < count; s->told++) {
        struct decision decision = decisions[s->told];
        decision.queue_id = queue_id;
        keeper_decide(s->adapter->keeper, &decision);
    }
}

const struct reply *session_rcpt(struct session *s, const struct rcpt_event *event,
                                 const char *queue_id)
{
    const struct exhibits nothing = {NULL, NULL};
    transaction_rcpt(s->transaction, event);
    settle_doubts(s);
    oracle_decide(s->adapter->oracles, s->transaction, &nothing);
    tell(s, queue_id);
    return transaction_reply(s->transaction);
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
           sample_take(keeper_sample(s->adapter->keeper), &returned, now);
}

unsigned session_begin_content(struct session *s)
{
    unsigned wants = transaction_wants(s->transaction);
    s->sampled = s->sampled || is_to_be_sampled(s, time(NULL));
    wants |= s->sampled ? WANT_HEADERS | WANT_BODY : 0;
    if ((wants & WANT_BODY) != 0 && s->shows_messages) {
        content_free(s->content); /* libmilter lets a peer say DATA twice */
        s->content = content_new(s->adapter->pool,
                                 shared_snapshot_get(s->snapshot)->settings->evidence.max_body,
                                 &s->client.ip);
    }
    return wants;
}

void session_header(struct session *s, const char *name, const char *value)
{
    evidence_sent_header(s->transaction, name, value);
    if (s->content != NULL) {
        content_header(s->content, name, value);
    }
}

bool session_body(struct session *s, const void *octets, size_t length)
{
    return s->content != NULL && content_body(s->content, octets, length);
}

/* ------------------------------------------------------------------- the end */

static const char *id_or_none(const char *queue_id)
{
    return queue_id != NULL ? queue_id : "NOQUEUE";
}

static void tell_failure(const struct session *s, const char *queue_id)
{
    log_line(LOG_ERR, "%s: internal error (memory, crypto or keyring): applying on_error=%s",
             id_or_none(queue_id),
             action_name(shared_snapshot_get(s->snapshot)->settings->on_error));
}

/* A bounce that no later try can mend: it has more than is read. */
static void tell_limit(const struct session *s, const char *queue_id)
{
    if (content_searched(s->content)) {
        return;
    }
    for (enum bounce_limit i = 0; i < BOUNCE_LIMIT_COUNT; i++) {
        if (content_reached(s->content, i)) {
            log_line(
                LOG_INFO,
                "%s: the bounce was not read to its end (limit: %s): a proof may be in the rest",
                id_or_none(queue_id), bounce_limit_name(i));
        }
    }
}

const struct reply *session_decide(struct session *s, const char *queue_id, time_t now)
{
    struct nonces nonces;
    const struct end_event event = {evidence_sent_nonces(s->transaction, &nonces), now};
    const struct exhibits exhibits = {s->content, &s->claims};
    s->claims = (struct claims){.uses = s->adapter->uses};
    transaction_end(s->transaction, &event);
    settle_doubts(s);
    oracle_decide(s->adapter->oracles, s->transaction, &exhibits);
    if (transaction_failed(s->transaction)) {
        tell_failure(s, queue_id);
    }
    tell(s, queue_id);
    const struct reply *reply = transaction_reply(s->transaction);
    if (reply->kind == REPLY_TEMPFAIL && s->content != NULL) {
        tell_limit(s, queue_id);
    }
    return reply;
}

void session_settle(struct session *s, const struct reply *reply, time_t now)
{
    const struct adapter *adapter = s->adapter;
    bool accepted = reply->kind == REPLY_ACCEPT;
    struct returned returned;
    if (accepted) {
        evidence_sent_record(adapter->journal, s->transaction, shared_snapshot_get(s->snapshot),
                             now);
    }
    claims_settle(&s->claims, accepted, now);
    if (s->sampled && accepted && transaction_returned(s->transaction, &returned)) {
        sample_read(keeper_sample(adapter->keeper), adapter->journal, &returned, s->content, now);
    }
    session_message_end(s);
}
