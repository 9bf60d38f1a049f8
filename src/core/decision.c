/*
 * A decision as names and values, and as the log line of these: queue id first, then name=value.
 * The values come from strangers, so one that is not plain printable ASCII is put in quotes with
 * every odd octet escaped; a line can therefore always be taken apart again. Pure.
 */
#include "batv/decision.h"

#include <stdio.h>
#include <string.h>

#include "batv/day.h"

/* A growing line in the caller's buffer. */
struct line {
    char *out;
    size_t size;
    size_t used;
};

static void put(struct line *line, const char *text, size_t length)
{
    size_t room = line->size - line->used - 1;
    size_t n = length < room ? length : room;
    memcpy(line->out + line->used, text, n);
    line->used += n;
    line->out[line->used] = '\0';
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static bool is_bare(const char *value)
{
    for (const char *p = value; *p != '\0'; p++) {
        if (*p < 0x21 || *p > 0x7e || *p == '"' || *p == '\\') {
            return false;
        }
    }
    return *value != '\0';
}

static void put_quoted(struct line *line, const char *value)
{
    put_text(line, "\"");
    for (const char *p = value; *p != '\0'; p++) {
        char escaped[5] = {'\\', *p, '\0'};
        if (*p < 0x20 || *p > 0x7e) {
            snprintf(escaped, sizeof escaped, "\\x%02X", (unsigned)(unsigned char)*p);
            put_text(line, escaped);
        } else if (*p == '"' || *p == '\\') {
            put_text(line, escaped);
        } else {
            put(line, p, 1);
        }
    }
    put_text(line, "\"");
}

/* Octets of a value, more than any address that SMTP allows. Four of them, every octet escaped,
 * still leave room for the rest of a line. */
enum { VALUE_MAX = 420 };

static void put_value(struct line *line, const char *value)
{
    if (is_bare(value)) {
        put_text(line, value);
    } else {
        put_quoted(line, value);
    }
}

/* " name=value" */
static void put_field(void *self, const char *name, const char *value)
{
    struct line *line = self;
    put_text(line, " ");
    put_text(line, name);
    put_text(line, "=");
    put_value(line, value);
}

/* A value put together of three pieces, of which any may be NULL. One that is absurdly long is cut,
 * so that the line is not. No formatted printing: this is on every message's way. */
static void give(const struct decision_reader *reader, const char *name, const char *before,
                 const char *text, const char *after)
{
    const char *const pieces[] = {before, text, after};
    char value[VALUE_MAX + 1];
    struct line part = {value, sizeof value, 0};
    value[0] = '\0';
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        put_text(&part, pieces[i] != NULL ? pieces[i] : "");
    }
    reader->take(reader->self, name, value);
}

static void give_word(const struct decision_reader *reader, const char *name, const char *word)
{
    give(reader, name, NULL, word, NULL);
}

static void give_address(const struct decision_reader *reader, const char *name,
                         const char *address)
{
    give(reader, name, "<", address, ">");
}

static void give_number(const struct decision_reader *reader, const char *name, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    give_word(reader, name, digits + at);
}

/* A name with the list entry that matched, if one did. */
static void give_entry(const struct decision_reader *reader, const char *name, const char *what,
                       const char *entry)
{
    give(reader, name, what, entry != NULL ? ":" : NULL, entry);
}

static void give_client(const struct decision_reader *reader, const struct client *client)
{
    char address[80] = "[local]";
    if (client->address != NULL) {
        snprintf(address, sizeof address, "[%s]", client->address);
    }
    give(reader, "client", client->name != NULL ? client->name : "unknown", address, NULL);
}

static void give_sign(const struct decision_reader *reader, const struct decision *d)
{
    char day[DAY_TEXT];
    day_format(d->expires, day);
    give_address(reader, "from", d->sender);
    give_address(reader, "tagged", d->tagged);
    give_number(reader, "key", (uint64_t)d->key);
    give_word(reader, "expires", day);
}

/* The sender is one for the whole message, so a single recipient can be the reason for all. */
static void give_sign_skip(const struct decision_reader *reader, const struct decision *d)
{
    give_address(reader, "from", d->sender);
    give_entry(reader, "reason", d->reason, d->entry);
    if (d->recipient != NULL && d->recipients > 1) {
        give_address(reader, "rcpt", d->recipient);
        give_number(reader, "recipients", d->recipients);
    }
}

static void give_verify(const struct decision_reader *reader, const struct decision *d)
{
    give_client(reader, d->client);
    give_address(reader, "from", d->sender);
    give_address(reader, "rcpt", d->recipient);
    if (d->judged != NULL) {
        give_address(reader, "judged", d->judged);
    }
    give_word(reader, "result", result_name(d->result));
    if (d->bounce && d->verdict.proof != NULL) {
        give_word(reader, "class", bounce_class_name(d->class));
        give_word(reader, "proof", d->verdict.proof);
    }
    give_word(reader, "action", action_name(d->verdict.action));
    if (d->verdict.would != d->verdict.action) {
        give_word(reader, "would", action_name(d->verdict.would));
    }
    if (d->applied != NULL) {
        give_word(reader, "applied", d->applied);
    }
    give_entry(reader, "rule", d->verdict.rule, d->verdict.entry);
    if (d->count > 1) {
        give_number(reader, "count", d->count);
    }
}

static void give_relayed(const struct decision_reader *reader, const struct decision *d)
{
    give_client(reader, d->client);
    give_address(reader, "from", d->sender);
    give_address(reader, "rcpt", d->recipient);
}

static void give_message_id(const struct decision_reader *reader, const struct decision *d)
{
    give_address(reader, "from", d->sender);
    give_address(reader, "added", d->message_id);
}

static const struct {
    const char *name;
    void (*give)(const struct decision_reader *reader, const struct decision *decision);
} kinds[DECISION_KIND_COUNT] = {
    [DECISION_SIGN] = {"sign", give_sign},
    [DECISION_SIGN_SKIP] = {"sign-skip", give_sign_skip},
    [DECISION_VERIFY] = {"verify", give_verify},
    [DECISION_RELAYED_UNSIGNED] = {"relayed-unsigned", give_relayed},
    [DECISION_MESSAGE_ID] = {"message-id", give_message_id},
};

const char *decision_event(const struct decision *decision)
{
    return kinds[decision->kind].name;
}

void decision_read(const struct decision *decision, const struct decision_reader *reader)
{
    kinds[decision->kind].give(reader, decision);
    give_number(reader, "ring", decision->generation);
}

size_t decision_format(const struct decision *decision, char *out, size_t size)
{
    enum { QUEUE_ID_MAX = 64 };
    char queue_id[QUEUE_ID_MAX + 1] = "";
    struct line id = {queue_id, sizeof queue_id, 0};
    struct line line = {out, size, 0};
    const struct decision_reader reader = {put_field, &line};
    out[0] = '\0';
    put_text(&id, decision->queue_id != NULL ? decision->queue_id : "NOQUEUE");
    put_value(&line, queue_id);
    put_text(&line, ": ");
    put_text(&line, decision_event(decision));
    decision_read(decision, &reader);
    return line.used;
}
