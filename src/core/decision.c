/*
 * The log line of a decision: queue id first, then name=value. The values come from strangers, so
 * one that is not plain printable ASCII is put in quotes with every odd octet escaped; a line can
 * therefore always be taken apart again. Pure.
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

/* " name=value", the value put together of three pieces, of which any may be NULL. One that is
 * absurdly long is cut, so that the line is not. No formatted printing: this is on every message's
 * way. */
static void put_field(struct line *line, const char *name, const char *before, const char *text,
                      const char *after)
{
    const char *const pieces[] = {before, text, after};
    char value[VALUE_MAX + 1];
    struct line part = {value, sizeof value, 0};
    value[0] = '\0';
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        put_text(&part, pieces[i] != NULL ? pieces[i] : "");
    }
    put_text(line, " ");
    put_text(line, name);
    put_text(line, "=");
    if (is_bare(value)) {
        put_text(line, value);
    } else {
        put_quoted(line, value);
    }
}

static void put_word(struct line *line, const char *name, const char *word)
{
    put_field(line, name, NULL, word, NULL);
}

static void put_address(struct line *line, const char *name, const char *address)
{
    put_field(line, name, "<", address, ">");
}

static void put_number(struct line *line, const char *name, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_word(line, name, digits + at);
}

/* A name with the list entry that matched, if one did. */
static void put_entry(struct line *line, const char *name, const char *what, const char *entry)
{
    put_field(line, name, what, entry != NULL ? ":" : NULL, entry);
}

static void put_client(struct line *line, const struct client *client)
{
    char address[80] = "[local]";
    if (client->address != NULL) {
        snprintf(address, sizeof address, "[%s]", client->address);
    }
    put_field(line, "client", client->name != NULL ? client->name : "unknown", address, NULL);
}

static void put_sign(struct line *line, const struct decision *d)
{
    char day[DAY_TEXT];
    day_format(d->expires, day);
    put_address(line, "from", d->sender);
    put_address(line, "tagged", d->tagged);
    put_number(line, "key", (uint64_t)d->key);
    put_word(line, "expires", day);
}

/* The sender is one for the whole message, so a single recipient can be the reason for all. */
static void put_sign_skip(struct line *line, const struct decision *d)
{
    put_address(line, "from", d->sender);
    put_entry(line, "reason", d->reason, d->entry);
    if (d->recipient != NULL && d->recipients > 1) {
        put_address(line, "rcpt", d->recipient);
        put_number(line, "recipients", d->recipients);
    }
}

static void put_verify(struct line *line, const struct decision *d)
{
    put_client(line, d->client);
    put_address(line, "from", d->sender);
    put_address(line, "rcpt", d->recipient);
    put_word(line, "result", result_name(d->result));
    if (d->bounce && d->verdict.proof != NULL) {
        put_word(line, "class", bounce_class_name(d->class));
        put_word(line, "proof", d->verdict.proof);
    }
    put_word(line, "action", action_name(d->verdict.action));
    if (d->verdict.would != d->verdict.action) {
        put_word(line, "would", action_name(d->verdict.would));
    }
    if (d->applied != NULL) {
        put_word(line, "applied", d->applied);
    }
    put_entry(line, "rule", d->verdict.rule, d->verdict.entry);
}

static void put_relayed(struct line *line, const struct decision *d)
{
    put_client(line, d->client);
    put_address(line, "from", d->sender);
    put_address(line, "rcpt", d->recipient);
}

static const struct {
    const char *name;
    void (*put)(struct line *line, const struct decision *decision);
} kinds[DECISION_KIND_COUNT] = {
    [DECISION_SIGN] = {"sign", put_sign},
    [DECISION_SIGN_SKIP] = {"sign-skip", put_sign_skip},
    [DECISION_VERIFY] = {"verify", put_verify},
    [DECISION_RELAYED_UNSIGNED] = {"relayed-unsigned", put_relayed},
};

size_t decision_format(const struct decision *decision, char *out, size_t size)
{
    struct line line = {out, size, 0};
    out[0] = '\0';
    put_text(&line, decision->queue_id != NULL ? decision->queue_id : "NOQUEUE");
    put_text(&line, ": ");
    put_text(&line, kinds[decision->kind].name);
    kinds[decision->kind].put(&line, decision);
    put_number(&line, "ring", decision->generation);
    return line.used;
}
