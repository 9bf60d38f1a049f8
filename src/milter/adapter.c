/*
 * libmilter's callbacks, each a few lines: they turn what libmilter says into one plain event for
 * the session, and the reply and the effects into what libmilter wants to hear.
 *
 * CONNECT, MAIL and headers get no reply, which saves a packet each; where the MTA has no such
 * agreement libmilter answers "continue" for us. So an error at MAIL is told at the first RCPT.
 *
 * Nothing is judged by halves: a message of which a stage did not come that was agreed upon, and an
 * address that only the MTA can read where it does not say how, are deferred (milter/stages.h).
 */
#include "milter/adapter.h"

#include <libmilter/mfapi.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "base/log.h"
#include "base/stack.h"
#include "batv/address_meaning.h"
#include "milter/guard.h"
#include "milter/macro_watch.h"
#include "milter/session.h"

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

    struct session *s = session_new(adapter, most);
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

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
    struct session *s = smfi_getpriv(ctx);
    if (s != NULL) {
        session_connect(s, name, (const struct sockaddr *)address, macro(ctx, host_symbol),
                        macro(ctx, interface_symbol) != NULL);
        macro_watch_connect(&s->client, s->client.server);
    }
    if (s != NULL && s->surplus) {
        session_tell_surplus();
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
    session_message_end(s);
    if (s->surplus) {
        return SMFIS_NOREPLY;
    }
    const char *user = macro(ctx, user_symbol);
    const struct mail_event event = {
        .sender = arguments[0],
        .resolved = symbol(ctx, sender_symbol),
        .user = user != NULL ? user : macro(ctx, mechanism_symbol),
    };
    if (session_mail(s, &event)) {
        macro_watch_mail(&s->client, event.sender, event.resolved, event.user);
        stages_mail(&s->stages, is_unreadable(s, event.sender, event.resolved));
    }
    return SMFIS_NOREPLY;
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
    const struct rcpt_event event = {
        .recipient = arguments[0],
        .resolved = symbol(ctx, recipient_symbol),
        .host = symbol(ctx, next_hop_symbol),
        .mailer = symbol(ctx, mailer_symbol),
        .arguments = (const char *const *)(arguments + 1),
        .now = time(NULL),
    };
    macro_watch_rcpt(&s->client, event.resolved, event.host, event.mailer);
    if (s->stages.sender_unread) {
        return defer_unread(ctx, s, event.recipient, sender_symbol);
    }
    if (is_unreadable(s, event.recipient, event.resolved)) {
        return defer_unread(ctx, s, event.recipient, recipient_symbol);
    }
    return reply_status(ctx, session_rcpt(s, &event, macro(ctx, queue_id_symbol)));
}

/* ------------------------------------------------------------------- effects */

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

/* ------------------------------------------------------------------- content */

/* The last event that the message needs: decides, applies, records. */
static sfsistat finish(SMFICTX *ctx, struct session *s)
{
    time_t now = time(NULL);
    const char *queue_id = macro(ctx, queue_id_symbol);
    macro_watch_data(&s->client, queue_id);
    struct reply reply = *session_decide(s, queue_id, now);
    if (!apply_all(ctx, s->transaction)) {
        reply_on_error(shared_snapshot_get(s->snapshot)->settings, &reply);
    }
    session_settle(s, &reply, now);
    return reply_status(ctx, &reply);
}

static sfsistat on_data(SMFICTX *ctx)
{
    struct session *s = smfi_getpriv(ctx);
    if (s == NULL || s->transaction == NULL) {
        return without_transaction(ctx, s);
    }
    stages_data(&s->stages);
    return session_begin_content(s) != 0 ? SMFIS_CONTINUE : finish(ctx, s);
}

/* Before the first header field, or the end of a header that has none. */
static void begin_header(struct session *s)
{
    if (stages_header(&s->stages)) {
        (void)session_begin_content(s);
    }
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
    struct session *s = smfi_getpriv(ctx);
    if (s != NULL && s->transaction != NULL) {
        begin_header(s);
        session_header(s, name, value);
    }
    return SMFIS_NOREPLY;
}

/* The body of all but bounces is of no interest: one piece of it comes before that can be said. */
static sfsistat on_body(SMFICTX *ctx, unsigned char *octets, size_t length)
{
    struct session *s = smfi_getpriv(ctx);
    bool more = s != NULL && session_body(s, octets, length);
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
    session_message_end(s);
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
        session_message_end(s);
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
    sessions_end();
    return result == MI_SUCCESS ? STATUS_OK
                                : reason_set(why, STATUS_IO, "libmilter ended with an error");
}
