/*
 * The report's items are one table that drives both directions: a name, and for each word behind it
 * a type and where the value is. An item that may be repeated fills an array. Whoever gets a report
 * owns its strings and arrays; nothing is kept here, any thread may call.
 */
#include "store/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batv/day.h"

enum { COLUMNS_MAX = 6, FORMAT = 1 };

enum type { TYPE_TEXT, TYPE_TIME, TYPE_COUNT, TYPE_LONG, TYPE_INT, TYPE_BOOL };

struct column {
    enum type type;
    size_t offset; /* in the report, or in an element of the array */
};

struct item {
    const char *name;
    size_t size; /* of an element; 0: the item stands once, its values in the report itself */
    size_t array, count;
    size_t columns;
    struct column column[COLUMNS_MAX];
};

#define OF(type, member) offsetof(struct type, member)
#define ARRAY(type, array, count)                                                                  \
    sizeof(struct type), OF(status_report, array), OF(status_report, count)

static const struct item items[] = {
    {"version", 0, 0, 0, 1, {{TYPE_TEXT, OF(status_report, version)}}},
    {"listen", 0, 0, 0, 1, {{TYPE_TEXT, OF(status_report, listen)}}},
    {"pid", 0, 0, 0, 1, {{TYPE_LONG, OF(status_report, pid)}}},
    {"started", 0, 0, 0, 1, {{TYPE_TIME, OF(status_report, started)}}},
    {"written", 0, 0, 0, 1, {{TYPE_TIME, OF(status_report, written)}}},
    {"generation", 0, 0, 0, 1, {{TYPE_COUNT, OF(status_report, generation)}}},
    {"active-key", 0, 0, 0, 1, {{TYPE_INT, OF(status_report, active_key)}}},
    {"next-rotation", 0, 0, 0, 1, {{TYPE_TIME, OF(status_report, next_rotation)}}},
    {"paused", 0, 0, 0, 1, {{TYPE_BOOL, OF(status_report, paused)}}},
    {"clock-wrong", 0, 0, 0, 1, {{TYPE_BOOL, OF(status_report, clock_wrong)}}},
    {"clock-until", 0, 0, 0, 1, {{TYPE_TIME, OF(status_report, clock_until)}}},
    {"journal-waits", 0, 0, 0, 1, {{TYPE_TIME, OF(status_report, journal_waits)}}},
    {"loaded", 0, 0, 0, 1, {{TYPE_TIME, OF(status_report, loaded)}}},
    {"reload-error", 0, 0, 0, 1, {{TYPE_TEXT, OF(status_report, reload_error)}}},
    {"ring-error", 0, 0, 0, 1, {{TYPE_TEXT, OF(status_report, ring_error)}}},
    {"ring-back", 0, 0, 0, 1, {{TYPE_TEXT, OF(status_report, ring_back)}}},
    {"journal",
     0,
     0,
     0,
     2,
     {{TYPE_COUNT, OF(status_report, journal_pending)},
      {TYPE_TEXT, OF(status_report, journal_error)}}},
    {"log",
     0,
     0,
     0,
     5,
     {{TYPE_TEXT, OF(status_report, log_target)},
      {TYPE_TEXT, OF(status_report, log_place)},
      {TYPE_TIME, OF(status_report, log_since)},
      {TYPE_COUNT, OF(status_report, log_lost)},
      {TYPE_TEXT, OF(status_report, log_error)}}},
    {"domains",
     0,
     0,
     0,
     2,
     {{TYPE_COUNT, OF(status_report, domains_all)},
      {TYPE_COUNT, OF(status_report, domains_logging)}}},
    {"relayed-to",
     ARRAY(status_relayed, relayed, relayed_count),
     6,
     {{TYPE_TEXT, OF(status_relayed, domain)},
      {TYPE_TEXT, OF(status_relayed, client)},
      {TYPE_TEXT, OF(status_relayed, recipient)},
      {TYPE_COUNT, OF(status_relayed, count)},
      {TYPE_TIME, OF(status_relayed, last)},
      {TYPE_TIME, OF(status_relayed, held)}}},
    {"hosted",
     ARRAY(status_hosted, hosted, hosted_count),
     1,
     {{TYPE_TEXT, OF(status_hosted, name)}}},
    {"relay-proven",
     ARRAY(status_relay, relays, relay_count),
     1,
     {{TYPE_TEXT, OF(status_relay, client)}}},
    {"returned",
     ARRAY(status_returned, returned, returned_count),
     3,
     {{TYPE_TEXT, OF(status_returned, domain)},
      {TYPE_COUNT, OF(status_returned, named)},
      {TYPE_COUNT, OF(status_returned, known)}}},
    {"forged",
     ARRAY(status_forged, forged, forged_count),
     3,
     {{TYPE_TEXT, OF(status_forged, client)},
      {TYPE_COUNT, OF(status_forged, count)},
      {TYPE_TIME, OF(status_forged, last)}}},
    {"guessed-at",
     ARRAY(status_guessed, guessed, guessed_count),
     2,
     {{TYPE_TEXT, OF(status_guessed, address)}, {TYPE_TIME, OF(status_guessed, until)}}},
    {"bounces",
     0,
     0,
     0,
     4,
     {{TYPE_COUNT, OF(status_report, bounces_judged)},
      {TYPE_COUNT, OF(status_report, bounces_from_servers)},
      {TYPE_COUNT, OF(status_report, bounces_from_one)},
      {TYPE_TEXT, OF(status_report, bounce_client)}}},
    {"would-reject",
     0,
     0,
     0,
     3,
     {{TYPE_COUNT, OF(status_report, would_reject)},
      {TYPE_TIME, OF(status_report, would_reject_since)},
      {TYPE_TIME, OF(status_report, would_reject_last)}}},
    {"excluded",
     ARRAY(status_excluded, excluded, excluded_count),
     2,
     {{TYPE_TEXT, OF(status_excluded, rule)}, {TYPE_COUNT, OF(status_excluded, count)}}},
    {"counter",
     ARRAY(status_counter, counters, counter_count),
     2,
     {{TYPE_TEXT, OF(status_counter, name)}, {TYPE_COUNT, OF(status_counter, value)}}},
};

enum { ITEMS = sizeof items / sizeof items[0] };

/* The values behind the offsets; memcpy, because the table knows no types. */
static void *get_pointer(const void *base, size_t offset)
{
    void *value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return value;
}

static void set_pointer(void *base, size_t offset, const void *value)
{
    memcpy((char *)base + offset, &value, sizeof value);
}

static size_t get_size(const void *base, size_t offset)
{
    size_t value;
    memcpy(&value, (const char *)base + offset, sizeof value);
    return value;
}

static void set_size(void *base, size_t offset, size_t value)
{
    memcpy((char *)base + offset, &value, sizeof value);
}

/* --------------------------------------------------------------- writing */

static bool is_bare(const char *text)
{
    const char *p = text;
    while (*p >= 0x21 && *p <= 0x7e && *p != '"' && *p != '\\') {
        p++;
    }
    return *p == '\0' && p > text;
}

static void put_text(FILE *out, const char *text)
{
    if (text != NULL && is_bare(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *p = text != NULL ? text : ""; *p != '\0'; p++) {
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

/* 0, which stands for "none", is a dash. */
static void put_time(FILE *out, time_t when)
{
    char text[TIME_TEXT];
    time_format(when, text);
    fputs(when == 0 ? "-" : text, out);
}

static void put_value(FILE *out, const void *base, const struct column *column)
{
    const char *value = (const char *)base + column->offset;
    long number = 0;
    int small = 0;
    uint64_t count = 0;
    time_t when = 0;
    bool flag = false;
    switch (column->type) {
    case TYPE_TEXT:
        put_text(out, get_pointer(base, column->offset));
        break;
    case TYPE_TIME:
        memcpy(&when, value, sizeof when);
        put_time(out, when);
        break;
    case TYPE_COUNT:
        memcpy(&count, value, sizeof count);
        fprintf(out, "%" PRIu64, count);
        break;
    case TYPE_LONG:
        memcpy(&number, value, sizeof number);
        fprintf(out, "%ld", number);
        break;
    case TYPE_INT:
        memcpy(&small, value, sizeof small);
        fprintf(out, "%d", small);
        break;
    case TYPE_BOOL:
        memcpy(&flag, value, sizeof flag);
        fputs(flag ? "yes" : "no", out);
        break;
    }
}

static void put_line(FILE *out, const struct item *item, const void *base)
{
    fputs(item->name, out);
    for (size_t i = 0; i < item->columns; i++) {
        fputc(' ', out);
        put_value(out, base, &item->column[i]);
    }
    fputc('\n', out);
}

static void put_report(FILE *out, const struct status_report *report)
{
    fprintf(out, "format %d\n", FORMAT);
    for (size_t i = 0; i < ITEMS; i++) {
        const struct item *item = &items[i];
        if (item->size == 0) {
            put_line(out, item, report);
            continue;
        }
        const char *element = get_pointer(report, item->array);
        for (size_t n = get_size(report, item->count); n > 0; n--, element += item->size) {
            put_line(out, item, element);
        }
    }
    fputs("end\n", out);
}

enum status status_format(const struct status_report *report, char **text, size_t *length)
{
    *text = NULL;
    FILE *out = open_memstream(text, length);
    if (out == NULL) {
        return STATUS_NO_MEMORY;
    }
    put_report(out, report);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(*text);
        *text = NULL;
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

static bool read_long(const char *word, uint64_t max, long *out)
{
    uint64_t value;
    bool negative = *word == '-';
    if (!read_number(word + negative, max, &value)) {
        return false;
    }
    *out = negative ? -(long)value : (long)value;
    return true;
}

static bool read_time(const char *word, time_t *out)
{
    *out = 0;
    return strcmp(word, "-") == 0 || time_parse(word, out);
}

static bool read_bool(const char *word, bool *out)
{
    *out = strcmp(word, "yes") == 0;
    return *out || strcmp(word, "no") == 0;
}

static enum status set_text(void *base, size_t offset, const char *word)
{
    char *copy = strdup(word);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    free(get_pointer(base, offset));
    set_pointer(base, offset, copy);
    return STATUS_OK;
}

static enum status set_value(void *base, const struct column *column, const char *word)
{
    char *value = (char *)base + column->offset;
    long number = 0;
    int small = 0;
    uint64_t count = 0;
    time_t when = 0;
    bool flag = false;
    bool good = false;
    switch (column->type) {
    case TYPE_TEXT:
        return set_text(base, column->offset, word);
    case TYPE_TIME:
        good = read_time(word, &when);
        memcpy(value, &when, sizeof when);
        break;
    case TYPE_COUNT:
        good = read_number(word, UINT64_MAX, &count);
        memcpy(value, &count, sizeof count);
        break;
    case TYPE_LONG:
        good = read_long(word, INT64_MAX, &number);
        memcpy(value, &number, sizeof number);
        break;
    case TYPE_INT:
        good = read_long(word, INT32_MAX, &number);
        small = (int)number;
        memcpy(value, &small, sizeof small);
        break;
    case TYPE_BOOL:
        good = read_bool(word, &flag);
        memcpy(value, &flag, sizeof flag);
        break;
    }
    return good ? STATUS_OK : STATUS_INVALID;
}

static const struct item *find_item(const char *name)
{
    for (size_t i = 0; i < ITEMS; i++) {
        if (strcmp(items[i].name, name) == 0) {
            return &items[i];
        }
    }
    return NULL;
}

/* Every string is there from the beginning, so that none is ever NULL. */
static enum status fill_texts(const struct item *item, void *base)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < item->columns && status == STATUS_OK; i++) {
        if (item->column[i].type == TYPE_TEXT) {
            status = set_text(base, item->column[i].offset, "");
        }
    }
    return status;
}

static void free_texts(const struct item *item, const void *base)
{
    for (size_t i = 0; i < item->columns; i++) {
        if (item->column[i].type == TYPE_TEXT) {
            free(get_pointer(base, item->column[i].offset));
        }
    }
}

/* A new element at the end of the item's array. The array doubles whenever its length is a power of
 * two, so that its room need not be kept. */
static enum status add_element(struct status_report *report, const struct item *item, void **out)
{
    char *array = get_pointer(report, item->array);
    size_t count = get_size(report, item->count);
    if ((count & (count - 1)) == 0) {
        char *grown = reallocarray(array, count == 0 ? 1 : 2 * count, item->size);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        set_pointer(report, item->array, grown);
        array = grown;
    }
    *out = array + count * item->size;
    memset(*out, 0, item->size);
    set_size(report, item->count, count + 1);
    return fill_texts(item, *out);
}

static enum status read_item(struct line *line, struct status_report *report)
{
    char *word;
    if (!next_word(line, &word)) {
        return STATUS_INVALID;
    }
    const struct item *item = find_item(word);
    if (item == NULL) {
        return STATUS_OK; /* a later version's */
    }
    void *base = report;
    enum status status = item->size == 0 ? STATUS_OK : add_element(report, item, &base);
    for (size_t i = 0; i < item->columns && status == STATUS_OK; i++) {
        status = next_word(line, &word) ? set_value(base, &item->column[i], word) : STATUS_INVALID;
    }
    return status == STATUS_OK && *line->at != '\0' ? STATUS_INVALID : status;
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

static enum status read_report(char *text, struct status_report *out, struct line *line)
{
    char expected[32];
    snprintf(expected, sizeof expected, "format %d", FORMAT);
    enum status status = STATUS_OK;
    if (!next_line(&text, line) || strcmp(line->at, expected) != 0) {
        return STATUS_INVALID;
    }
    while (status == STATUS_OK && next_line(&text, line)) {
        if (strcmp(line->at, "end") == 0) {
            return *text == '\0' ? STATUS_OK : STATUS_INVALID;
        }
        status = read_item(line, out);
    }
    return status == STATUS_OK ? STATUS_INVALID : status; /* without an end */
}

static enum status start_report(struct status_report *out)
{
    *out = (struct status_report){.active_key = -1};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < ITEMS && status == STATUS_OK; i++) {
        if (items[i].size == 0) {
            status = fill_texts(&items[i], out);
        }
    }
    return status;
}

enum status status_parse(const char *text, size_t length, struct status_report *out,
                         struct reason *why)
{
    struct line line = {NULL, 0};
    enum status status = start_report(out);
    /* A NUL within would hide what follows: there is then no end, and the text is refused. */
    char *copy = strndup(text, length);
    if (copy == NULL) {
        status = STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK) {
        status = read_report(copy, out, &line);
    }
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

void status_report_free(struct status_report *report)
{
    for (size_t i = 0; i < ITEMS; i++) {
        const struct item *item = &items[i];
        if (item->size == 0) {
            free_texts(item, report);
            continue;
        }
        char *array = get_pointer(report, item->array);
        for (size_t n = 0; n < get_size(report, item->count); n++) {
            free_texts(item, array + n * item->size);
        }
        free(array);
    }
    *report = (struct status_report){.active_key = -1};
}

void status_relayed_merge(struct status_report *report)
{
    size_t kept = 0;
    for (size_t i = 0; i < report->relayed_count; i++) {
        struct status_relayed *row = &report->relayed[i];
        struct status_relayed *former = kept > 0 ? &report->relayed[kept - 1] : NULL;
        if (former == NULL || strcmp(former->domain, row->domain) != 0 ||
            strcmp(former->client, row->client) != 0) {
            report->relayed[kept++] = *row;
            continue;
        }
        if (row->last >= former->last) {
            char *recipient = former->recipient;
            former->recipient = row->recipient;
            row->recipient = recipient;
            former->last = row->last;
        }
        former->count += row->count;
        former->held = row->held > former->held ? row->held : former->held;
        free(row->domain);
        free(row->client);
        free(row->recipient);
    }
    report->relayed_count = kept;
}
