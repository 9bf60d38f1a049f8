/*
 * The kinds of bounces. A read receipt and an answer to an invitation are let in without proof
 * unless the configuration says otherwise, so the header alone, which costs a forger nothing, never
 * makes one of a message: the part with its proper fields has to be there. No state.
 */
#include "batv/bounce_class.h"

#include <string.h>

#include "batv/address.h"

static const char *const daemons[] = {"mailer-daemon", "postmaster"};

static bool is_daemon(struct octets local)
{
    local = octets_trim(local);
    for (size_t i = 0; i < sizeof daemons / sizeof daemons[0]; i++) {
        if (octets_equal(local, daemons[i])) {
            return true;
        }
    }
    return false;
}

/* Behind the comment or quoted string that begins at i, or the end. */
static size_t skip_quoted(struct octets value, size_t i)
{
    bool comment = value.start[i] == '(';
    unsigned depth = 1;
    for (i++; i < value.length && depth > 0; i++) {
        char c = value.start[i];
        if (c == '\\') {
            i++;
        } else if (comment && c == '(') {
            depth++;
        } else if (c == (comment ? ')' : '"')) {
            depth--;
        }
    }
    return i < value.length ? i : value.length;
}

/* The last word before the @, or all of it where there is none. */
static bool names_daemon(const char *from, const char *to)
{
    struct octets local = octets_trim((struct octets){from, (size_t)(to - from)});
    const char *at = memchr(local.start, '@', local.length);
    if (at != NULL) {
        local = octets_trim((struct octets){local.start, (size_t)(at - local.start)});
        const char *end = local.start + local.length;
        const char *word = end;
        while (word > local.start && word[-1] != ' ' && word[-1] != '\t') {
            word--;
        }
        local = (struct octets){word, (size_t)(end - word)};
    }
    return is_daemon(local);
}

/* A quoted string from from to to is a local part if an @ or nothing follows. */
static bool quotes_daemon(struct octets value, const char *from, size_t to)
{
    size_t length = (size_t)(value.start + to - from);
    bool alone = to == value.length || value.start[to] == '@';
    return alone && length >= 2 && is_daemon((struct octets){from + 1, length - 2});
}

/* "<>": then what stands before it is all there is. */
static bool is_null_address(struct octets value, size_t at)
{
    return at + 1 < value.length && value.start[at + 1] == '>';
}

/* From in any oddness: brackets, comments, groups, several mailboxes, a source route, or just the
 * local part. Cut at every character that can stand before or behind a mailbox: each piece that is
 * a whole mailbox counts. A name before brackets or of a group does not. */
static bool is_from_daemon(struct octets value)
{
    value = octets_trim(value);
    const char *from = value.start;
    bool begun = false; /* something other than white space stands between from and here */
    bool found = false;
    for (size_t i = 0; i < value.length && !found;) {
        const char *here = value.start + i;
        if (*here == '(' || (*here == '"' && !begun)) {
            found = names_daemon(from, here);
            i = skip_quoted(value, i);
            found = found || (*here == '"' && quotes_daemon(value, here, i));
            from = value.start + i;
            begun = false;
            continue;
        }
        begun = begun || octets_trim((struct octets){here, 1}).length > 0;
        if (*here != '\0' && strchr("<>,;:", *here) != NULL) {
            found = *here != ':' && (*here != '<' || is_null_address(value, i)) &&
                    names_daemon(from, here);
            from = here + 1;
            begun = false;
        }
        i++;
    }
    return found || names_daemon(from, value.start + value.length);
}

/* The first word of the value: what stands before a parameter or a comment. */
static bool value_is(struct octets value, const char *word)
{
    value = octets_trim(value);
    size_t length = 0;
    while (length < value.length && strchr(" \t\r\n;(", value.start[length]) == NULL) {
        length++;
    }
    return octets_equal((struct octets){value.start, length}, word);
}

void bounce_signs_field(struct bounce_signs *signs, const struct field *field)
{
    if (octets_equal(field->name, "X-Failed-Recipients")) {
        signs->dsn = true;
    } else if (octets_equal(field->name, "From")) {
        signs->dsn = signs->dsn || is_from_daemon(field->value);
    } else if (octets_equal(field->name, "X-Autoreply") ||
               octets_equal(field->name, "X-Autorespond") ||
               octets_equal(field->name, "X-Auto-Response-Suppress")) {
        signs->autoreply = true;
    } else if (octets_equal(field->name, "Auto-Submitted")) {
        signs->autoreply = signs->autoreply || value_is(field->value, "auto-replied");
    } else if (octets_equal(field->name, "Precedence")) {
        signs->autoreply = signs->autoreply || value_is(field->value, "auto_reply");
    }
}

/* True where the text has this field, and it is not empty. */
static bool has_field(struct octets text, const char *name)
{
    while (text.length > 0) {
        const char *before = text.start;
        struct field field;
        struct octets line;
        if (!field_next(&text, &field)) {
            if (text.start == before) {
                line_next(&text, &line);
            }
        } else if (octets_equal(field.name, name) && octets_trim(field.value).length > 0) {
            return true;
        }
    }
    return false;
}

/* METHOD:REPLY, in an iCalendar object (RFC 5545 section 3.7.2). */
static bool is_calendar_answer(struct octets text)
{
    bool begun = false;
    bool answers = false;
    struct octets line;
    while (line_next(&text, &line)) {
        begun = begun || octets_equal(octets_trim(line), "BEGIN:VCALENDAR");
        if (begun && octets_begin(line, "METHOD")) {
            const char *colon = memchr(line.start, ':', line.length);
            size_t before = colon != NULL ? (size_t)(colon + 1 - line.start) : line.length;
            struct octets method = {line.start + before, line.length - before};
            method = octets_trim(method);
            answers = answers || octets_equal(method, "REPLY") || octets_equal(method, "COUNTER");
        }
    }
    return answers;
}

static bool is_number(struct octets octets)
{
    for (size_t i = 0; i < octets.length; i++) {
        if (octets.start[i] < '0' || octets.start[i] > '9') {
            return false;
        }
    }
    return octets.length > 0;
}

/* receiver!domain!begin!end[!id].xml or .zip and the like (RFC 7489 section 7.2.1.1). */
static bool is_dmarc_name(const char *name)
{
    struct octets pieces[5] = {{NULL, 0}};
    size_t count = 0;
    const char *dot = strrchr(name, '!');
    dot = dot != NULL ? strchr(dot, '.') : NULL;
    if (dot == NULL || !(ascii_equal(dot, ".xml") || ascii_equal(dot, ".xml.gz") ||
                         ascii_equal(dot, ".gz") || ascii_equal(dot, ".zip"))) {
        return false;
    }
    for (const char *from = name; from <= dot && count < 5;) {
        size_t length = strcspn(from, "!");
        if (from + length > dot) {
            length = (size_t)(dot - from);
        }
        pieces[count++] = (struct octets){from, length};
        from += length + 1;
    }
    return count >= 4 && pieces[0].length > 0 && pieces[1].length > 0 && is_number(pieces[2]) &&
           is_number(pieces[3]);
}

static bool is_one_of(const char *text, const char *const list[])
{
    for (; *list != NULL; list++) {
        if (strcmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_status(const struct bounce_part *part)
{
    static const char *const types[] = {"message/delivery-status", "message/global-delivery-status",
                                        NULL};
    return is_one_of(part->type, types) || (strcmp(part->type, "multipart/report") == 0 &&
                                            strcmp(part->report_type, "delivery-status") == 0);
}

static bool is_report(const struct bounce_part *part)
{
    static const char *const types[] = {"message/feedback-report", "application/tlsrpt+json",
                                        "application/tlsrpt+gzip", NULL};
    static const char *const reports[] = {"feedback-report", "tlsrpt", NULL};
    return is_one_of(part->type, types) ||
           (strcmp(part->type, "multipart/report") == 0 && is_one_of(part->report_type, reports)) ||
           is_dmarc_name(part->file_name);
}

void bounce_signs_part(struct bounce_signs *signs, const struct bounce_part *part,
                       struct octets content)
{
    static const char *const dispositions[] = {"message/disposition-notification",
                                               "message/global-disposition-notification", NULL};
    if (part->in_message) {
        signs->inner_dsn = signs->inner_dsn || is_status(part);
        return;
    }
    signs->dsn = signs->dsn || is_status(part);
    signs->report = signs->report || is_report(part);
    if (strcmp(part->type, "multipart/report") == 0 &&
        strcmp(part->report_type, "disposition-notification") == 0) {
        signs->disposition_report = true;
    } else if (is_one_of(part->type, dispositions)) {
        signs->disposition = signs->disposition || (has_field(content, "Disposition") &&
                                                    has_field(content, "Final-Recipient"));
    } else if (strcmp(part->type, "text/calendar") == 0) {
        signs->calendar = signs->calendar || is_calendar_answer(content);
    }
}

void bounce_signs_opening(struct bounce_signs *signs, struct octets text)
{
    signs->dsn = signs->dsn || octets_begin(octets_trim(text), "Hi. This is the ");
}

enum bounce_class bounce_signs_class(const struct bounce_signs *signs)
{
    const struct {
        bool matches;
        enum bounce_class class;
    } table[] = {
        {signs->dsn, BOUNCE_DSN},
        {signs->disposition_report && signs->disposition, BOUNCE_MDN},
        {signs->calendar, BOUNCE_CALENDAR},
        {signs->report, BOUNCE_REPORT},
        {signs->autoreply, BOUNCE_AUTOREPLY},
        {signs->inner_dsn, BOUNCE_DSN},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].matches) {
            return table[i].class;
        }
    }
    return BOUNCE_OTHER;
}
