/*
 * batvctl inspect: a bounce taken apart. Every proof is asked for, not only the first that would
 * do, for each address of ours that the file itself names as a recipient. Nothing is counted.
 */
#include <stdlib.h>
#include <string.h>

#include "base/print.h"
#include "base/words.h"
#include "batv/address.h"
#include "batv/address_fold.h"
#include "batv/message_split.h"
#include "content/mime.h"
#include "ctl/arguments.h"
#include "ctl/commands.h"
#include "ctl/json.h"
#include "ctl/limits.h"
#include "ctl/message_file.h"
#include "ctl/witnesses.h"

enum { RECIPIENTS_MAX = 20 };

struct inspection {
    const struct settings *settings;
    const struct ring *ring;
    time_t now;
    const struct message_file *message;
    struct words recipients; /* of ours, without tags that are good */
    struct words folded;     /* the same, as they are compared */
    bool no_memory;
    struct witnesses witnesses;
    struct transaction *transaction; /* a bounce to the recipients */
    struct content *content;
    const struct bounce *bounce;
};

/* ------------------------------------------------------------- recipients */

/* local@domain, unless it is there. False: no memory. */
static bool add_recipient(struct inspection *in, const char *local, const struct address *of)
{
    char *plain = address_format(local, of->domain);
    char *folded = address_fold(local, of->ascii);
    bool ok = plain != NULL && folded != NULL;
    bool known = false;
    for (size_t i = 0; ok && i < in->folded.count; i++) {
        known = known || strcmp(in->folded.items[i], folded) == 0;
    }
    if (ok && !known) {
        ok = words_add(&in->recipients, plain) && words_add(&in->folded, folded);
    }
    free(plain);
    free(folded);
    return ok;
}

static bool take_recipient(void *context, const char *text)
{
    struct inspection *in = context;
    struct address address;
    if (address_parse(text, &address) != STATUS_OK) {
        in->no_memory = true;
        return false;
    }
    char *local = tag_plain(address.local);
    bool ours = settings_domain(in->settings, address.ascii) != NULL;
    if (local == NULL || (ours && !add_recipient(in, local, &address))) {
        in->no_memory = true;
    }
    free(local);
    address_free(&address);
    return !in->no_memory && in->recipients.count < RECIPIENTS_MAX;
}

/* Where MTAs write whom they deliver to, and where senders do. */
static void take_field(void *context, const char *name, const char *value)
{
    static const char *const names[] = {"Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (ascii_equal(name, names[i])) {
            mime_addresses(value, take_recipient, context);
        }
    }
}

/* ------------------------------------------------------------------ proofs */

/* Calls take with each proof that holds. */
static void each_proof(const struct inspection *in,
                       void (*take)(void *context, const char *recipient, const char *proof),
                       void *context)
{
    const struct exhibits exhibits = {.content = in->content};
    for (size_t r = 0; r < in->recipients.count; r++) {
        for (enum fact fact = 0; fact < FACT_COUNT; fact++) {
            const struct fact_row *row = fact_row(fact);
            struct question question;
            if (row->proof == NULL || !row->is_on(in->settings)) {
                continue;
            }
            transaction_question(in->transaction, fact, r, &question);
            enum answer answer =
                fact_concerns(fact, question.domain)
                    ? oracle_ask(&in->witnesses.oracles, &question, &exhibits).answer
                    : ANSWER_NO;
            if (answer == ANSWER_YES || answer == ANSWER_EXHAUSTED) {
                take(context, in->recipients.items[r],
                     answer == ANSWER_YES ? row->proof : "exhausted");
            }
        }
    }
}

static enum result tag_result(const struct inspection *in, const char *text)
{
    struct address address;
    struct tag_check check = {.result = RESULT_NOT_OURS};
    char *plain = NULL;
    if (address_parse(text, &address) != STATUS_OK) {
        return RESULT_NOT_OURS;
    }
    if (settings_domain(in->settings, address.ascii) != NULL) {
        (void)tag_verify(in->ring, &address, in->settings->keys.lifetime_days, in->now, &check,
                         &plain);
    }
    free(plain);
    address_free(&address);
    return check.result;
}

/* ---------------------------------------------------------------- printing */

static void print_value(const char *label, const char *text, const char *behind)
{
    printf("%-12s", label);
    print_text(stdout, text);
    printf("%s\n", behind);
}

static void print_proof(void *context, const char *recipient, const char *proof)
{
    bool *proven = context;
    *proven = *proven || strcmp(proof, "exhausted") != 0;
    printf("%-12s%s for ", "proof", proof);
    print_text(stdout, recipient);
    putchar('\n');
}

static bool print_lines(const struct inspection *in)
{
    const struct bounce *b = in->bounce;
    bool proven = false;
    print_value("class", bounce_class_name(b->class), "");
    print_value("own id", b->own_id != NULL ? b->own_id : "none", "");
    for (size_t i = 0; i < b->id_count; i++) {
        char where[80];
        snprintf(where, sizeof where, "  (%s)", b->ids[i].where);
        print_value("message-id", b->ids[i].text, where);
    }
    for (size_t i = 0; i < b->tag_count; i++) {
        char worth[80];
        snprintf(worth, sizeof worth, "  (%s: %s)", b->tags[i].where,
                 result_name(tag_result(in, b->tags[i].address)));
        print_value("tag", b->tags[i].address, worth);
    }
    for (size_t i = 0; i < in->recipients.count; i++) {
        print_value("recipient", in->recipients.items[i], "");
    }
    if (in->recipients.count == 0) {
        print_value("recipient", "the header names none of your addresses", "");
    }
    each_proof(in, print_proof, &proven);
    if (!proven) {
        print_value("proof", "none", "");
    }
    limits_print(in->content);
    return proven;
}

struct proofs {
    struct json json;
    bool proven;
};

static void json_proof(void *context, const char *recipient, const char *proof)
{
    struct proofs *proofs = context;
    proofs->proven = proofs->proven || strcmp(proof, "exhausted") != 0;
    json_open_object(&proofs->json, NULL);
    json_text(&proofs->json, "rcpt", recipient);
    json_text(&proofs->json, "proof", proof);
    json_close(&proofs->json);
}

static bool print_json(const struct inspection *in)
{
    const struct bounce *b = in->bounce;
    struct proofs proofs = {.proven = false};
    struct json *json = &proofs.json;
    json_begin(json, stdout);
    json_open_object(json, NULL);
    json_text(json, "class", bounce_class_name(b->class));
    json_text(json, "own_message_id", b->own_id);
    json_open_array(json, "message_ids");
    for (size_t i = 0; i < b->id_count; i++) {
        json_text(json, NULL, b->ids[i].text);
    }
    json_close(json);
    json_open_array(json, "tags");
    for (size_t i = 0; i < b->tag_count; i++) {
        json_open_object(json, NULL);
        json_text(json, "address", b->tags[i].address);
        json_text(json, "result", result_name(tag_result(in, b->tags[i].address)));
        json_text(json, "where", b->tags[i].where);
        json_close(json);
    }
    json_close(json);
    json_open_array(json, "proofs");
    each_proof(in, json_proof, &proofs);
    json_close(json);
    limits_json(json, in->content);
    json_close(json);
    json_end(json);
    return proofs.proven;
}

/* -------------------------------------------------------------------- run */

/* A bounce to the recipients, its content read. False: the reason is on stderr. */
static bool begin(struct inspection *in, const struct snapshot *snapshot,
                  const struct client *client)
{
    struct octets message = {in->message->octets, in->message->length};
    struct octets body;
    bool listed = message_split(message, take_field, in, &body) == STATUS_OK && !in->no_memory;
    in->transaction = listed ? transaction_new(snapshot, client) : NULL;
    in->content = content_new(in->witnesses.pool, in->settings->evidence.max_body, &client->ip);
    if (in->transaction == NULL || in->content == NULL) {
        print_error("out of memory");
        return false;
    }
    transaction_mail(in->transaction, &(struct mail_event){.sender = "<>"});
    for (size_t i = 0; i < in->recipients.count; i++) {
        const struct rcpt_event rcpt = {.recipient = in->recipients.items[i], .now = in->now};
        transaction_rcpt(in->transaction, &rcpt);
    }
    content_message(in->content, message.start, message.length);
    if (transaction_failed(in->transaction) ||
        content_read(in->content, &in->bounce) != CONTENT_READ) {
        print_error("cannot read it: out of memory, or larger than evidence.max_memory allows");
        return false;
    }
    return true;
}

static int inspect(const struct ctl *ctl, const struct message_file *message)
{
    static const struct client nobody;
    struct ring *ring;
    if (!ctl_load_ring(ctl, &ring)) {
        return CTL_UNABLE;
    }
    struct snapshot snapshot = {.settings = ctl->config->settings, .ring = ring};
    struct inspection in = {
        .settings = ctl->config->settings, .ring = ring, .now = time(NULL), .message = message};
    int status = CTL_UNABLE;
    if (witnesses_call(ctl, &in.witnesses, true) && begin(&in, &snapshot, &nobody)) {
        bool proven = ctl->json ? print_json(&in) : print_lines(&in);
        status = proven ? CTL_YES : CTL_NO;
    }
    transaction_free(in.transaction);
    content_free(in.content);
    witnesses_dismiss(&in.witnesses);
    words_free(&in.recipients);
    words_free(&in.folded);
    ring_free(ring);
    return status;
}

int cmd_inspect(struct ctl *ctl, int argc, char **argv)
{
    struct message_file message;
    if (!arguments_parse(ctl, NULL, &argc, argv)) {
        return CTL_UNABLE;
    }
    if (argc != 2) {
        return ctl_usage_error(ctl, argc < 2 ? "the file is missing" : "one file at a time");
    }
    /* The message is the caller's file, the rest belongs to the daemon's user. */
    if (!message_file_read(argv[1], &message)) {
        return CTL_UNABLE;
    }
    int status = ctl_become_owner(ctl) ? inspect(ctl, &message) : CTL_UNABLE;
    message_file_free(&message);
    return status;
}
