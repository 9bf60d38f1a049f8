/*
 * A row of the table for each field of the report and for each of its lists; a row for each type,
 * which reads and writes it. Whoever gets a report owns what it holds; nothing is kept here, any
 * thread may call.
 */
#include "store/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"

enum { FORMAT = 1, COLUMNS_MAX = 6 };

/* ----------------------------------------------------------------- types */

static bool is_bare(const char *text)
{
    const char *p = text;
    while (*p >= 0x21 && *p <= 0x7e && *p != '"' && *p != '\\') {
        p++;
    }
    return *p == '\0' && p > text;
}

static void put_text(FILE *out, const void *value)
{
    const char *const *text = value;
    if (*text != NULL && is_bare(*text)) {
        fputs(*text, out);
        return;
    }
    fputc('"', out);
    for (const char *p = *text != NULL ? *text : ""; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            fprintf(out, "\\%c", *p);
        } else if (*p < 0x20 || *p > 0x7e) {
            fprintf(out, "\\x%02X", (unsigned)(unsigned char)*p);
        } else {
            fputc(*p, out);
        }
    }
    fputc('"', out);
}

static bool take_text(struct status_report *report, const char *word, void *value)
{
    const char **text = value;
    *text = status_keep(report, word);
    return true;
}

/* 0, which stands for "none", is a dash. */
static void put_time(FILE *out, const void *value)
{
    const time_t *when = value;
    char text[TIME_TEXT];
    time_format(*when, text);
    fputs(*when == 0 ? "-" : text, out);
}

static bool take_time(struct status_report *report, const char *word, void *value)
{
    time_t *when = value;
    (void)report;
    *when = 0;
    return strcmp(word, "-") == 0 || time_parse(word, when);
}

static void put_count(FILE *out, const void *value)
{
    const uint64_t *count = value;
    fprintf(out, "%" PRIu64, *count);
}

static bool read_number(const char *word, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    for (const char *p = word; *p != '\0'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (*p < '0' || *p > '9' || digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return *word != '\0';
}

static bool take_count(struct status_report *report, const char *word, void *value)
{
    uint64_t *count = value;
    (void)report;
    return read_number(word, UINT64_MAX, count);
}

static void put_number(FILE *out, const void *value)
{
    const long *number = value;
    fprintf(out, "%ld", *number);
}

static bool take_number(struct status_report *report, const char *word, void *value)
{
    long *number = value;
    uint64_t size;
    bool negative = *word == '-';
    (void)report;
    if (!read_number(word + negative, INT32_MAX, &size)) {
        return false;
    }
    *number = negative ? -(long)size : (long)size;
    return true;
}

static void put_flag(FILE *out, const void *value)
{
    const bool *flag = value;
    fputs(*flag ? "yes" : "no", out);
}

static bool take_flag(struct status_report *report, const char *word, void *value)
{
    bool *flag = value;
    (void)report;
    *flag = strcmp(word, "yes") == 0;
    return *flag || strcmp(word, "no") == 0;
}

/* value points to a const char *, time_t, uint64_t, long or bool. */
static const struct type {
    void (*put)(FILE *out, const void *value);
    bool (*take)(struct status_report *report, const char *word, void *value);
} text = {put_text, take_text}, moment = {put_time, take_time}, count = {put_count, take_count},
  number = {put_number, take_number}, flag = {put_flag, take_flag};

/* ----------------------------------------------------------------- table */

/* A field of the report, or a column of a list's rows; a list where type is NULL. */
struct field {
    const char *name;
    const struct type *type;
    size_t offset;
    const struct field *columns[COLUMNS_MAX]; /* of a list; NULL ends them */
};

#define ROW(member) offsetof(struct status_row, member)
static const struct field domain = {NULL, &text, ROW(domain), {NULL}},
                          client = {NULL, &text, ROW(client), {NULL}},
                          name = {NULL, &text, ROW(name), {NULL}},
                          seen = {NULL, &count, ROW(count), {NULL}},
                          known = {NULL, &count, ROW(known), {NULL}},
                          last = {NULL, &moment, ROW(last), {NULL}},
                          until = {NULL, &moment, ROW(until), {NULL}},
                          held = {NULL, &moment, ROW(held), {NULL}};

/* clang-format off */
#define FIELD(name, type, member) {name, &(type), offsetof(struct status_report, member), {NULL}}
#define LIST(name, member, ...) {name, NULL, offsetof(struct status_report, member), {__VA_ARGS__}}

static const struct field fields[] = {
    FIELD("version", text, version),
    FIELD("listen", text, listen),
    FIELD("pid", number, pid),
    FIELD("started", moment, started),
    FIELD("written", moment, written),
    FIELD("generation", count, generation),
    FIELD("active-key", number, active_key),
    FIELD("next-rotation", moment, next_rotation),
    FIELD("paused", flag, paused),
    FIELD("clock-wrong", flag, clock_wrong),
    FIELD("clock-until", moment, clock_until),
    FIELD("journal-waits", moment, journal_waits),
    FIELD("journal-pending", count, journal_pending),
    FIELD("journal-error", text, journal_error),
    FIELD("loaded", moment, loaded),
    FIELD("reload-error", text, reload_error),
    FIELD("ring-error", text, ring_error),
    FIELD("ring-back", text, ring_back),
    FIELD("log-target", text, log_target),
    FIELD("log-place", text, log_place),
    FIELD("log-since", moment, log_since),
    FIELD("log-lost", count, log_lost),
    FIELD("log-error", text, log_error),
    FIELD("domains-all", count, domains_all),
    FIELD("domains-logging", count, domains_logging),
    FIELD("bounces-judged", count, bounces_judged),
    FIELD("bounces-from-servers", count, bounces_from_servers),
    FIELD("bounces-from-one", count, bounces_from_one),
    FIELD("bounce-client", text, bounce_client),
    FIELD("would-reject", count, would_reject),
    FIELD("would-reject-since", moment, would_reject_since),
    FIELD("would-reject-last", moment, would_reject_last),
    LIST("relayed-to", relayed, &domain, &client, &name, &seen, &last, &held),
    LIST("hosted", hosted, &name),
    LIST("relay-proven", relays, &name),
    LIST("returned", returned, &domain, &seen, &known),
    LIST("forged", forged, &client, &seen, &last),
    LIST("guessed-at", guessed, &name, &until),
    LIST("excluded", excluded, &name, &seen),
    LIST("counter", counters, &name, &seen),
};
/* clang-format on */

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* --------------------------------------------------------------- writing */

static void put_value(FILE *out, const struct field *field, const void *base)
{
    fputc(' ', out);
    field->type->put(out, (const char *)base + field->offset);
}

static void put_list(FILE *out, const struct field *field, const struct status_rows *list)
{
    for (size_t i = 0; i < list->count; i++) {
        fputs(field->name, out);
        for (size_t n = 0; n < COLUMNS_MAX && field->columns[n] != NULL; n++) {
            put_value(out, field->columns[n], &list->rows[i]);
        }
        fputc('\n', out);
    }
}

static void put_report(FILE *out, const struct status_report *report)
{
    fprintf(out, "format %d\n", FORMAT);
    for (const struct field *field = fields; field < fields + FIELDS; field++) {
        const void *value = (const char *)report + field->offset;
        if (field->type == NULL) {
            put_list(out, field, value);
        } else {
            fputs(field->name, out);
            put_value(out, field, report);
            fputc('\n', out);
        }
    }
    fputs("end\n", out);
}

enum status status_format(const struct status_report *report, char **octets, size_t *length)
{
    *octets = NULL;
    FILE *out = open_memstream(octets, length);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    put_report(out, report);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(*octets);
        *octets = NULL;
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

/* --------------------------------------------------------------- reading */

/* A line that is being taken apart; at its end there is a NUL. */
struct line {
    char *at;
    unsigned number;
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What stands for one octet after a backslash at *in, which moves on; 0: nothing does. */
static char unescape(const char **in)
{
    const char *p = *in;
    if (*p == '"' || *p == '\\') {
        *in = p + 1;
        return *p;
    }
    int high = *p == 'x' ? hex_digit(p[1]) : -1;
    int low = high >= 0 ? hex_digit(p[2]) : -1;
    *in = p + 3;
    return low < 0 ? '\0' : (char)(unsigned char)(high * 16 + low);
}

/* A word in quotes, unquoted in place. */
static bool unquote(struct line *line, char **word)
{
    const char *in = line->at + 1;
    char *out = line->at;
    *word = out;
    while (*in != '"') {
        char c = *in++;
        if (c == '\\') {
            c = unescape(&in);
        }
        if (c == '\0') {
            return false;
        }
        *out++ = c;
    }
    line->at += in + 1 - line->at;
    *out = '\0';
    return true;
}

/* The next word of the line; false: there is none, or not one after a single space. */
static bool next_word(struct line *line, char **word)
{
    if (*line->at == '"') {
        if (!unquote(line, word)) {
            return false;
        }
    } else {
        *word = line->at;
        line->at += strcspn(line->at, " ");
        if (*word == line->at) {
            return false;
        }
    }
    if (*line->at == ' ') {
        *line->at++ = '\0';
        return *line->at != '\0';
    }
    return *line->at == '\0';
}

static const struct field *find_field(const char *word)
{
    const struct field *field = fields;
    while (field < fields + FIELDS && strcmp(field->name, word) != 0) {
        field++;
    }
    return field < fields + FIELDS ? field : NULL;
}

static bool read_value(struct line *line, struct status_report *report, const struct field *field,
                       void *base)
{
    char *word;
    return next_word(line, &word) && field->type->take(report, word, (char *)base + field->offset);
}

static bool read_row(struct line *line, struct status_report *report, const struct field *field)
{
    void *list = (char *)report + field->offset;
    struct status_row *row = status_add_empty(report, list);
    bool good = true;
    for (size_t i = 0; row != NULL && good && i < COLUMNS_MAX && field->columns[i] != NULL; i++) {
        good = read_value(line, report, field->columns[i], row);
    }
    return good;
}

/* False: not what a report has there. */
static bool read_line(struct line *line, struct status_report *report)
{
    char *word;
    if (!next_word(line, &word)) {
        return false;
    }
    const struct field *field = find_field(word);
    if (field == NULL) {
        return true; /* a later version's */
    }
    bool good = field->type != NULL ? read_value(line, report, field, report)
                                    : read_row(line, report, field);
    return report->failed || (good && *line->at == '\0');
}

/* Takes the next line of what is left, and ends it with a NUL. */
static bool next_line(char **rest, struct line *line)
{
    char *end = strchr(*rest, '\n');
    if (end == NULL) {
        return false;
    }
    *end = '\0';
    line->at = *rest;
    line->number++;
    *rest = end + 1;
    return true;
}

static enum status read_report(char *rest, struct status_report *out, struct line *line)
{
    char expected[32];
    snprintf(expected, sizeof expected, "format %d", FORMAT);
    bool good = next_line(&rest, line) && strcmp(line->at, expected) == 0;
    while (good && !out->failed && next_line(&rest, line)) {
        if (strcmp(line->at, "end") == 0) {
            return *rest == '\0' ? STATUS_OK : STATUS_INVALID;
        }
        good = read_line(line, out);
    }
    return out->failed ? STATUS_NO_MEMORY : STATUS_INVALID; /* or without an end */
}

/* Every string is there from the beginning, so that none is ever NULL. */
static void start_report(struct status_report *out)
{
    *out = (struct status_report){.active_key = -1};
    for (const struct field *field = fields; field < fields + FIELDS; field++) {
        if (field->type == &text) {
            take_text(out, "", (char *)out + field->offset);
        }
    }
}

enum status status_parse(const char *octets, size_t length, struct status_report *out,
                         struct reason *why)
{
    struct line line = {NULL, 0};
    start_report(out);
    /* A NUL within would hide what follows: there is then no end, and the text is refused. */
    char *copy = strndup(octets, length);
    enum status status = copy != NULL ? read_report(copy, out, &line) : STATUS_NO_MEMORY;
    free(copy);
    if (status == STATUS_INVALID) {
        reason_write(why, "line %u: not what a report has there", line.number);
    } else if (status != STATUS_OK) {
        reason_write(why, "out of memory");
    }
    if (status != STATUS_OK) {
        status_report_free(out);
    }
    return status;
}
