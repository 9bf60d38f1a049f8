/*
 * batvctl explain: a message that has not come yet, put through the very transaction that the
 * daemon uses, with the keyring, the pause and the daemon's last report as they are in the state
 * folder. No daemon need run. Where the message itself is given it is read as the daemon does; the
 * journal is asked without counting.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "batv/day.h"
#include "batv/message_split.h"
#include "content/evidence_sent.h"
#include "content/oracle.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/explain.h"
#include "ctl/json.h"
#include "ctl/message_file.h"
#include "ctl/witnesses.h"
#include "daemon/file_snapshot.h"
#include "mta/postfix.h"
#include "store/journal.h"

/* A way through the rules. The pointers in recipients are into transaction. */
struct passage {
    struct transaction *transaction;
    struct content *content; /* NULL: not looked at */
    struct explain_recipient *recipients;
    bool ended;
};

static void passage_free(struct passage *passage)
{
    transaction_free(passage->transaction);
    content_free(passage->content);
    free(passage->recipients);
}

/* The next decision on a recipient from *at on. */
static const struct decision *next_verdict(const struct transaction *transaction, size_t *at)
{
    size_t count;
    const struct decision *decisions = transaction_decisions(transaction, &count);
    while (*at < count && decisions[*at].kind != DECISION_VERIFY) {
        (*at)++;
    }
    return *at < count ? &decisions[(*at)++] : NULL;
}

/* Decisions stand in the order of their making: first those at RCPT, then the others. */
static void assign_verdicts(struct passage *passage, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (passage->recipients[i].refused.kind != REPLY_CONTINUE) {
            passage->recipients[i].decision = next_verdict(passage->transaction, &at);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (passage->recipients[i].refused.kind == REPLY_CONTINUE) {
            passage->recipients[i].decision = next_verdict(passage->transaction, &at);
        }
    }
}

static void take_field(void *context, const char *name, const char *value)
{
    struct passage *passage = context;
    evidence_sent_header(passage->transaction, name, value);
    if (passage->content != NULL) {
        content_header(passage->content, name, value);
    }
}

/* False: no memory. */
static bool passage_message(const struct explain_request *request, const struct snapshot *snapshot,
                            const struct witnesses *witnesses, struct passage *passage)
{
    unsigned wants = transaction_wants(passage->transaction);
    if (request->message == NULL || wants == 0) {
        return true;
    }
    if ((wants & WANT_BODY) != 0) {
        passage->content = content_new(witnesses->pool, snapshot->settings->evidence.max_body,
                                       &request->client.ip);
        if (passage->content == NULL) {
            return false;
        }
    }
    struct octets message = {request->message->octets, request->message->length};
    struct octets body;
    enum status status = message_split(message, take_field, passage, &body);
    if (status == STATUS_OK && passage->content != NULL) {
        content_body(passage->content, body.start, body.length);
    }
    return status == STATUS_OK;
}

static void passage_rcpt(const struct rcpt_event *event, const struct witnesses *witnesses,
                         struct passage *passage, struct reply *reply)
{
    const struct exhibits nothing = {NULL, NULL};
    transaction_rcpt(passage->transaction, event);
    oracle_decide(&witnesses->oracles, passage->transaction, &nothing);
    *reply = *transaction_reply(passage->transaction);
    passage->ended = passage->ended || reply->kind == REPLY_CONTINUE;
}

/* False: an error of our own. What passage then holds is to be freed all the same. */
static bool passage_run(const struct explain_request *request, const struct snapshot *snapshot,
                        const struct witnesses *witnesses, time_t now, struct passage *passage)
{
    passage->transaction = transaction_new(snapshot, &request->client);
    passage->recipients = calloc(request->count, sizeof *passage->recipients);
    if (passage->transaction == NULL || passage->recipients == NULL) {
        return false;
    }
    const struct mail_event mail = {.sender = request->sender, .user = request->user};
    transaction_mail(passage->transaction, &mail);
    for (size_t i = 0; i < request->count; i++) {
        const struct rcpt_event rcpt = {.recipient = request->recipients[i], .now = now};
        passage_rcpt(&rcpt, witnesses, passage, &passage->recipients[i].refused);
    }
    if (passage->ended && !passage_message(request, snapshot, witnesses, passage)) {
        return false;
    }
    if (passage->ended) {
        struct nonces nonces;
        const struct exhibits exhibits = {.content = passage->content};
        const struct end_event end = {evidence_sent_nonces(passage->transaction, &nonces), now};
        transaction_end(passage->transaction, &end);
        oracle_decide(&witnesses->oracles, passage->transaction, &exhibits);
    }
    assign_verdicts(passage, request->count);
    return !transaction_failed(passage->transaction);
}

static bool is_refused(const struct passage *passage, size_t index)
{
    const struct explain_recipient *r = &passage->recipients[index];
    return r->refused.kind != REPLY_CONTINUE || !action_keeps(r->decision->verdict.action) ||
           transaction_reply(passage->transaction)->kind != REPLY_ACCEPT;
}

char *explain_rule(const struct verdict *verdict)
{
    char *out;
    int length = verdict->entry != NULL ? asprintf(&out, "%s:%s", verdict->rule, verdict->entry)
                                        : asprintf(&out, "%s", verdict->rule);
    return length < 0 ? NULL : out;
}

static void print_json(const struct explanation *e)
{
    struct json json;
    json_begin_list(&json, true);
    for (size_t i = 0; i < e->request->count; i++) {
        const struct decision *d = e->recipients[i].decision;
        char *rule = explain_rule(&d->verdict);
        json_open_object(&json, NULL);
        json_text(&json, "rcpt", d->recipient);
        json_text(&json, "result", result_name(d->result));
        json_text(&json, "class", d->class != BOUNCE_UNREAD ? bounce_class_name(d->class) : NULL);
        json_text(&json, "proof", d->verdict.proof);
        json_text(&json, "action", action_name(d->verdict.action));
        json_text(&json, "rule", rule);
        json_close(&json);
        free(rule);
    }
    json_end_list(&json);
}

/* Runs it, with a pause once more as if there were none, and prints it. An exit status. */
static int explain(const struct ctl *ctl, const struct explain_request *request,
                   const struct snapshot *snapshot, struct witnesses *witnesses, time_t now)
{
    struct passage passage = {0};
    struct passage unpaused = {0};
    struct snapshot lively = *snapshot;
    lively.paused = false;
    int status = CTL_UNABLE;
    bool decided = passage_run(request, snapshot, witnesses, now, &passage);
    witnesses->lookups.closed = true;
    if (!decided ||
        (snapshot->paused && !passage_run(request, &lively, witnesses, now, &unpaused))) {
        print_error("cannot decide: out of memory, or OpenSSL failed");
    } else {
        status = CTL_YES;
        for (size_t i = 0; i < request->count; i++) {
            const struct explain_recipient *other =
                snapshot->paused ? &unpaused.recipients[i] : NULL;
            passage.recipients[i].unpaused = other != NULL ? other->decision : NULL;
            status = is_refused(&passage, i) ? CTL_NO : status;
        }
        struct explanation e = {
            .request = request,
            .snapshot = snapshot,
            .transaction = passage.transaction,
            .content = passage.content,
            .recipients = passage.recipients,
            .lookups = &witnesses->lookups,
            .now = now,
            .ended = passage.ended,
            .refuses = status == CTL_NO,
        };
        (ctl->json ? print_json : explain_print)(&e);
    }
    passage_free(&passage);
    passage_free(&unpaused);
    return status;
}

static int explain_by_files(const struct ctl *ctl, const struct explain_request *request)
{
    struct ring *ring;
    struct witnesses witnesses = {0};
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    if (!witnesses_call_network(&witnesses) ||
        !witnesses_call(ctl, &witnesses, request->message != NULL)) {
        witnesses_dismiss(&witnesses);
        ring_free(ring);
        return CTL_UNABLE;
    }
    int status = CTL_UNABLE;
    time_t now = time(NULL);
    struct report_look look;
    struct file_snapshot files;
    report_look(ctl->config->state_dir, &look);
    if (look.kind == REPORT_BROKEN) {
        print_error("%s", look.why.text);
    }
    if (file_snapshot_make(ctl->config, ring, &look, now, &files) == STATUS_OK) {
        struct journal *journal = witnesses.returned.journal;
        files.snapshot.journal_birth = journal != NULL ? journal_birth(journal) : 0;
        status = explain(ctl, request, &files.snapshot, &witnesses, now);
        file_snapshot_clear(&files);
    } else {
        print_error("out of memory");
    }
    witnesses_dismiss(&witnesses);
    status_report_free(&look.report);
    ring_free(ring);
    return status;
}

/* --client: an address, or `local` for what sendmail(1) and the MTA itself hand in. */
static bool set_client(const char *text, const char *name, struct client *client)
{
    client->local = strcmp(text, "local") == 0;
    client->address = client->local ? "127.0.0.1" : text;
    client->name = name;
    return ip_parse(client->address, &client->ip);
}

/* The name that the MTA of this host gives itself in Received fields and the daemon in {j}. */
static void find_server(char *name, size_t size)
{
    struct postfix *postfix;
    struct reason why;
    if (gethostname(name, size) != 0) {
        name[0] = '\0';
    }
    name[size - 1] = '\0';
    if (postfix_open(&postfix, &why) == STATUS_OK) {
        snprintf(name, size, "%s", postfix_get(postfix, "myhostname"));
        postfix_free(postfix);
    }
}

int cmd_explain(struct ctl *ctl, int argc, char **argv)
{
    struct explain_request request = {.user = NULL};
    struct message_file message = {NULL, 0};
    const char *path = NULL;
    const char *client = NULL;
    const char *name = NULL;
    char server[RECEIVED_HOST] = "";
    const struct argument arguments[] = {
        {"--client", ARGUMENT_VALUE, NULL, &client},
        {"--client-name", ARGUMENT_VALUE, NULL, &name},
        {"--auth", ARGUMENT_VALUE, NULL, &request.user},
        {"--from", ARGUMENT_VALUE, NULL, &request.sender},
        {"--rcpt", ARGUMENT_LIST, NULL, NULL},
        {"--message", ARGUMENT_VALUE, NULL, &path},
        {NULL, ARGUMENT_FLAG, NULL, NULL},
    };
    if (!arguments_parse(ctl, arguments, &argc, argv)) {
        return CTL_UNABLE;
    }
    request.recipients = argv + 1;
    request.count = (size_t)argc - 1;
    if (client == NULL || request.sender == NULL || request.count == 0) {
        return ctl_usage_error(ctl, "--client, --from and --rcpt are needed");
    }
    if (!set_client(client, name, &request.client)) {
        return ctl_usage_error(ctl, "--client %s: expected an IP address, or `local`", client);
    }
    /* The message is the caller's file, the rest belongs to the daemon's user. */
    if (path != NULL && !message_file_read(path, &message)) {
        return CTL_UNABLE;
    }
    request.message = path != NULL ? &message : NULL;
    find_server(server, sizeof server);
    request.client.server = server;
    int status = ctl_become_owner(ctl) ? explain_by_files(ctl, &request) : CTL_UNABLE;
    message_file_free(&message);
    return status;
}
