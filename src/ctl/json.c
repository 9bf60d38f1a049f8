/*
 * JSON, written straight to a stream: a stack remembers what is open, so that commas and closing
 * brackets come by themselves. The elements of the outermost array or object stand on lines of
 * their own, what is within them on one line. Errors of the stream are left to whoever flushes it.
 *
 * A struct json belongs to one thread. Opening deeper than JSON_DEPTH or closing too often is a bug
 * of ours.
 */
#include "ctl/json.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "batv/day.h"

void json_begin(struct json *json, FILE *out)
{
    *json = (struct json){.out = out};
}

void json_end(struct json *json)
{
    assert(json->depth == 0);
    fputc('\n', json->out);
}

struct json *json_begin_list(struct json *json, bool wanted)
{
    if (!wanted) {
        return NULL;
    }
    json_begin(json, stdout);
    json_open_array(json, NULL);
    return json;
}

void json_end_list(struct json *json)
{
    if (json != NULL) {
        json_close(json);
        json_end(json);
    }
}

/* The octets of the UTF-8 character (RFC 3629) that text begins with; 0: it begins with none. */
static size_t utf8_length(const unsigned char *text)
{
    static const struct {
        unsigned char from, to;  /* of the first octet */
        unsigned char low, high; /* of the second */
        size_t length;
    } forms[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (text[0] < forms[i].from || text[0] > forms[i].to) {
            continue;
        }
        size_t n = 1;
        if (forms[i].length > 1 && text[1] >= forms[i].low && text[1] <= forms[i].high) {
            n = 2;
            while (n < forms[i].length && (text[n] & 0xc0) == 0x80) {
                n++;
            }
        }
        return n == forms[i].length ? n : 0;
    }
    return 0;
}

static bool is_utf8(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t length = 1;
    while (*p != '\0' && length > 0) {
        length = utf8_length(p);
        p += length;
    }
    return *p == '\0';
}

/* Control characters of ASCII and of ISO 8859-1 (U+0080 to U+009F), so that a terminal is safe too.
 */
static bool is_control(const unsigned char *p, size_t length, unsigned *code)
{
    *code = length == 2 ? ((unsigned)(p[0] & 0x1f) << 6 | (p[1] & 0x3f)) : p[0];
    return (length == 1 && (*code < 0x20 || *code == 0x7f)) || (length == 2 && *code < 0xa0);
}

/* The inside of a string. */
static void put_escaped(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    while (*p != '\0') {
        size_t length = utf8_length(p);
        unsigned code;
        if (length == 0) {
            fputs("\xef\xbf\xbd", out); /* U+FFFD */
            length = 1;
        } else if (*p == '"' || *p == '\\') {
            fprintf(out, "\\%c", *p);
        } else if (is_control(p, length, &code)) {
            fprintf(out, "\\u%04x", code);
        } else {
            fwrite(p, 1, length, out);
        }
        p += length;
    }
}

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    put_escaped(out, text);
    fputc('"', out);
}

/* All that stands before a value. */
static void put_name(struct json *json, const char *name, const char *suffix)
{
    FILE *out = json->out;
    if (json->depth > 0) {
        bool filled = json->levels[json->depth - 1].filled;
        json->levels[json->depth - 1].filled = true;
        fputs(filled ? "," : "", out);
        fputs(json->depth == 1 ? "\n  " : (filled ? " " : ""), out);
    }
    if (name != NULL) {
        assert(json->depth > 0 && json->levels[json->depth - 1].closing == '}');
        fputc('"', out);
        put_escaped(out, name);
        fprintf(out, "%s\": ", suffix);
    }
}

static void open_level(struct json *json, const char *name, char opening, char closing)
{
    put_name(json, name, "");
    assert(json->depth < JSON_DEPTH);
    json->levels[json->depth].closing = closing;
    json->levels[json->depth].filled = false;
    json->levels[json->depth].raw = false;
    json->depth++;
    fputc(opening, json->out);
}

void json_open_object(struct json *json, const char *name)
{
    open_level(json, name, '{', '}');
}

void json_open_array(struct json *json, const char *name)
{
    open_level(json, name, '[', ']');
}

void json_close(struct json *json)
{
    assert(json->depth > 0);
    json->depth--;
    if (json->depth == 0 && json->levels[0].filled) {
        fputc('\n', json->out);
    }
    fputc(json->levels[json->depth].closing, json->out);
}

void json_null(struct json *json, const char *name)
{
    put_name(json, name, "");
    fputs("null", json->out);
}

void json_bool(struct json *json, const char *name, bool value)
{
    put_name(json, name, "");
    fputs(value ? "true" : "false", json->out);
}

void json_number(struct json *json, const char *name, int64_t value)
{
    put_name(json, name, "");
    fprintf(json->out, "%" PRId64, value);
}

void json_unsigned(struct json *json, const char *name, uint64_t value)
{
    put_name(json, name, "");
    fprintf(json->out, "%" PRIu64, value);
}

/* The octets that put_escaped had to replace. */
static void put_raw(struct json *json, const char *name, const char *value)
{
    bool taken = json->levels[json->depth - 1].raw;
    json->levels[json->depth - 1].raw = true;
    put_name(json, taken ? name : "raw", taken ? "_raw" : "");
    fputc('"', json->out);
    for (const char *p = value; *p != '\0'; p++) {
        fprintf(json->out, "%02x", (unsigned)(unsigned char)*p);
    }
    fputc('"', json->out);
}

void json_text(struct json *json, const char *name, const char *value)
{
    if (value == NULL) {
        json_null(json, name);
        return;
    }
    put_name(json, name, "");
    put_string(json->out, value);
    if (name != NULL && !is_utf8(value)) {
        put_raw(json, name, value);
    }
}

void json_day(struct json *json, const char *name, int64_t day)
{
    char text[DAY_TEXT];
    day_format(day, text);
    json_text(json, name, text);
}

void json_time(struct json *json, const char *name, time_t when)
{
    char text[TIME_TEXT];
    time_format(when, text);
    json_text(json, name, text);
}
