/*
 * The classes of bounces. What a message is made of decides before what its header says: a receipt
 * stays one if a person's address is postmaster@, and a header alone, which costs a forger nothing,
 * makes no receipt, no answer to an invitation and no report. The part with its proper content has
 * to be there. No state.
 */
#include "batv/bounce_class.h"

#include <string.h>

#include "batv/address.h"
#include "bounce_forms.h"

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

/* The beginnings of subjects of mail that a program sends because somebody is away. */
static bool is_away_subject(struct octets subject)
{
    static const char *const beginnings[] = {
        "automatic reply",
        "auto-reply",
        "autoreply",
        "auto reply",
        "out of office",
        "out of the office",
        "out-of-office",
        "automatische antwort",
        "abwesenheitsnotiz",
        "automatisch antwoord",
        "risposta automatica",
        "respuesta autom",
        "resposta autom",
        "r\xc3\xa9ponse automatique",
        "autosvar",
        "automatiskt svar",
        "automaattinen vastaus",
    };
    subject = octets_trim(subject);
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (octets_begin(subject, beginnings[i])) {
            return true;
        }
    }
    return false;
}

/* Fields that only programs write which answer by themselves, whatever their value. */
static bool is_autoreply_name(struct octets name)
{
    static const char *const names[] = {
        "X-Autoreply",      "X-Autorespond",
        "X-Autoreply-From", "X-Auto-Response-Suppress",
        "X-Mail-Autoreply", "X-MS-Exchange-Inbox-Rules-Loop",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (octets_equal(name, names[i])) {
            return true;
        }
    }
    return false;
}

static void take_subject(struct bounce_signs *signs, struct octets subject)
{
    signs->away_subject = signs->away_subject || is_away_subject(subject);
    signs->complaint_subject = signs->complaint_subject ||
                               octets_begin(octets_trim(subject), "complaint about message from");
}

void bounce_signs_field(struct bounce_signs *signs, const struct field *field)
{
    if (octets_equal(field->name, "X-Failed-Recipients")) {
        signs->failed_recipients = true;
    } else if (octets_equal(field->name, "From")) {
        signs->from_daemon = signs->from_daemon || is_from_daemon(field->value);
    } else if (octets_equal(field->name, "Subject")) {
        take_subject(signs, field->value);
    } else if (is_autoreply_name(field->name)) {
        signs->autoreply = true;
    } else if (octets_equal(field->name, "Auto-Submitted")) {
        signs->autoreply = signs->autoreply || value_is(field->value, "auto-replied");
        signs->auto_generated = signs->auto_generated || value_is(field->value, "auto-generated");
    } else if (octets_equal(field->name, "Precedence")) {
        signs->autoreply = signs->autoreply || value_is(field->value, "auto_reply");
    }
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

/* "manual-action/MDN-sent-automatically; deleted/error": what became of the message (RFC 8098
 * section 3.2.6). */
static bool is_refusal(struct octets disposition)
{
    static const char *const words[] = {"denied", "deleted", "failed"};
    const char *mark =
        disposition.length > 0 ? memchr(disposition.start, ';', disposition.length) : NULL;
    if (mark == NULL) {
        return false;
    }
    struct octets what = {mark + 1, (size_t)(disposition.start + disposition.length - (mark + 1))};
    what = octets_trim(what);
    size_t length = 0;
    while (length < what.length && strchr("/, \t\r\n;(", what.start[length]) == NULL) {
        length++;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (octets_equal((struct octets){what.start, length}, words[i])) {
            return true;
        }
    }
    return false;
}

/* A DMARC aggregate is sent as XML, packed or not, and never as text with such a name. */
static bool is_dmarc(const struct bounce_part *part, struct octets content)
{
    static const char *const any[] = {"application/octet-stream", NULL};
    static const char *const xml[] = {"text/xml", "application/xml", NULL};
    static const char *const packed[] = {"application/zip",
                                         "application/x-zip",
                                         "application/x-zip-compressed",
                                         "application/gzip",
                                         "application/x-gzip",
                                         "application/x-gzip-compressed",
                                         "application/gzip-compressed",
                                         NULL};
    bool is_any = is_one_of(part->type, any);
    return form_is_dmarc_name(part->file_name) &&
           (((is_any || is_one_of(part->type, xml)) && form_is_xml(content)) ||
            ((is_any || is_one_of(part->type, packed)) && form_is_archive(content)));
}

static bool is_report(const struct bounce_part *part, struct octets content)
{
    if (strcmp(part->type, "message/feedback-report") == 0) {
        return form_field(form_text(content), "Feedback-Type").length > 0;
    }
    return (strcmp(part->type, "application/tlsrpt+json") == 0 && form_is_json(content)) ||
           (strcmp(part->type, "application/tlsrpt+gzip") == 0 && form_is_archive(content)) ||
           is_dmarc(part, content);
}

static void take_tnef(struct bounce_signs *signs, struct octets content)
{
    enum form_tnef tnef = form_tnef(content);
    signs->receipt = signs->receipt || tnef == FORM_TNEF_RECEIPT;
    signs->calendar = signs->calendar || tnef == FORM_TNEF_CALENDAR;
}

void bounce_signs_part(struct bounce_signs *signs, const struct bounce_part *part,
                       struct octets content)
{
    static const char *const dispositions[] = {"message/disposition-notification",
                                               "message/global-disposition-notification", NULL};
    static const char *const calendars[] = {"text/calendar", "application/ics", NULL};
    static const char *const tnefs[] = {"application/ms-tnef", "application/vnd.ms-tnef", NULL};
    if (part->in_message) {
        signs->inner_dsn = signs->inner_dsn || is_status(part);
        return;
    }
    signs->status = signs->status || is_status(part);
    signs->report = signs->report || is_report(part, content);
    if (is_one_of(part->type, dispositions)) {
        struct octets disposition = form_field(form_text(content), "Disposition");
        signs->receipt = signs->receipt || disposition.length > 0;
        signs->refusal = signs->refusal || is_refusal(disposition);
    } else if (is_one_of(part->type, calendars)) {
        signs->calendar = signs->calendar || form_is_calendar_answer(content);
    } else if (is_one_of(part->type, tnefs)) {
        take_tnef(signs, content);
    }
}

void bounce_signs_returned(struct bounce_signs *signs, struct octets header)
{
    signs->complaint_copy =
        signs->complaint_copy || form_field(header, "X-HmXmrOriginalRecipient").length > 0;
}

void bounce_signs_opening(struct bounce_signs *signs, struct octets text)
{
    signs->opening = signs->opening || octets_begin(octets_trim(text), "Hi. This is the ");
}

enum bounce_class bounce_signs_class(const struct bounce_signs *signs)
{
    const struct {
        bool matches;
        enum bounce_class class;
    } table[] = {
        {signs->status || (signs->refusal && signs->from_daemon), BOUNCE_DSN},
        {signs->receipt, BOUNCE_MDN},
        {signs->calendar, BOUNCE_CALENDAR},
        {signs->report || (signs->complaint_subject && signs->complaint_copy), BOUNCE_REPORT},
        {signs->failed_recipients || signs->from_daemon || signs->opening, BOUNCE_DSN},
        {signs->autoreply || (signs->auto_generated && signs->away_subject), BOUNCE_AUTOREPLY},
        {signs->inner_dsn, BOUNCE_DSN},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].matches) {
            return table[i].class;
        }
    }
    return BOUNCE_OTHER;
}
