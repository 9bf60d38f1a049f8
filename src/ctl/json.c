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

#include "base/visible.h"
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

static bool is_utf8(const char *text)
{
    const char *p = text;
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
        size_t length = utf8_length((const char *)p);
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
