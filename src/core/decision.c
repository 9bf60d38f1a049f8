/*
 * The log line of a decision: queue id first, then name=value. The values come from strangers, so
 * one that is not plain printable ASCII is put in quotes with every odd octet escaped; a line can
 * therefore always be taken apart again. Pure.
 */
#include "batv/decision.h"

#include <inttypes.h>
#include <stdarg.h>
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

/* " name=value". One that is absurdly long is cut, so that the line is not. */
static void put_field(struct line *line, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_field(struct line *line, const char *name, const char *format, ...)
{
    char value[VALUE_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    put_text(line, " ");
    put_text(line, name);
    put_text(line, "=");
    if (is_bare(value)) {
        put_text(line, value);
    } else {
        put_quoted(line, value);
    }
}

static const char *separator(const char *entry)
{
    return entry != NULL ? ":" : "";
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void put_client(struct line *line, const struct client *client)
{
    put_field(line, "client", "%s[%s]", client->name != NULL ? client->name : "unknown",
              client->address != NULL ? client->address : "local");
}

static void put_sign(struct line *line, const struct decision *d)
{
    char day[DAY_TEXT];
    day_format(d->expires, day);
    put_field(line, "from", "<%s>", d->sender);
    put_field(line, "tagged", "<%s>", d->tagged);
    put_field(line, "key", "%d", d->key);
    put_field(line, "expires", "%s", day);
}

/* The sender is one for the whole message, so a single recipient can be the reason for all. */
static void put_sign_skip(struct line *line, const struct decision *d)
{
    put_field(line, "from", "<%s>", d->sender);
    put_field(line, "reason", "%s%s%s", d->reason, separator(d->entry), or_empty(d->entry));
    if (d->recipient != NULL && d->recipients > 1) {
        put_field(line, "rcpt", "<%s>", d->recipient);
        put_field(line, "recipients", "%zu", d->recipients);
    }
}

static void put_verify(struct line *line, const struct decision *d)
{
    put_client(line, d->client);
    put_field(line, "from", "<%s>", d->sender);
    put_field(line, "rcpt", "<%s>", d->recipient);
    put_field(line, "result", "%s", result_name(d->result));
    if (d->bounce && d->verdict.proof != NULL) {
        put_field(line, "class", "-");
        put_field(line, "proof", "%s", d->verdict.proof);
    }
    put_field(line, "action", "%s", action_name(d->verdict.action));
    if (d->verdict.would != d->verdict.action) {
        put_field(line, "would", "%s", action_name(d->verdict.would));
    }
    if (d->applied != NULL) {
        put_field(line, "applied", "%s", d->applied);
    }
    put_field(line, "rule", "%s%s%s", d->verdict.rule, separator(d->verdict.entry),
              or_empty(d->verdict.entry));
}

static void put_relayed(struct line *line, const struct decision *d)
{
    put_client(line, d->client);
    put_field(line, "from", "<%s>", d->sender);
    put_field(line, "rcpt", "<%s>", d->recipient);
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
    put_field(&line, "ring", "%" PRIu64, decision->generation);
    return line.used;
}
