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

/* Behind white space and comments. */
static struct octets skip_comments(struct octets value)
{
    value = octets_trim(value);
    while (value.length > 0 && value.start[0] == '(') {
        size_t length = skip_quoted(value, 0);
        value = octets_trim((struct octets){value.start + length, value.length - length});
    }
    return value;
}

/* The first word of the value: what stands before a parameter or a comment. */
static bool value_is(struct octets value, const char *word)
{
    value = skip_comments(value);
    size_t length = 0;
    while (length < value.length && strchr(" \t\r\n;(", value.start[length]) == NULL) {
        length++;
    }
    return octets_equal((struct octets){value.start, length}, word);
}

/* What a subject has before its words: "Re: ", "AW: ", an opening bracket. */
static struct octets skip_prefixes(struct octets subject)
{
    enum { PREFIX_MAX = 4, PREFIXES = 3 };
    for (unsigned i = 0; i < PREFIXES; i++) {
        size_t length = 0;
        subject = octets_trim(subject);
        while (length < subject.length && length <= PREFIX_MAX &&
               strchr("[(*\": ", subject.start[length]) == NULL) {
            length++;
        }
        bool ends = length < subject.length && length <= PREFIX_MAX;
        if (!ends || subject.start[length] == ' ' || (length > 0 && subject.start[length] != ':')) {
            break;
        }
        subject = (struct octets){subject.start + length + 1, subject.length - length - 1};
    }
    return octets_trim(subject);
}

/* The beginnings of subjects of mail that a program sends because somebody is away, as Exchange,
 * Outlook and others have them. */
static const char *const away_beginnings[] = {
    "automatic reply",
    "automatic response",
    "automated reply",
    "automated response",
    "auto-reply",
    "autoreply",
    "auto reply",
    "auto response",
    "auto-response",
    "autoresponse",
    "out of office",
    "out of the office",
    "out-of-office",
    "i am out of",
    "i'm out of",
    "on vacation",
    "on leave",
    "on holiday",
    "vacation reply",
    "away from my",
    "automatische antwort",
    "automatische r\xc3\xbc\x63kantwort",
    "abwesen",
    "nicht im b\xc3\xbcro",
    "r\xc3\xa9ponse automatique",
    "absence du bureau",
    "absent du bureau",
    "message d'absence",
    "automatisch antwoord",
    "automatisch bericht",
    "afwezig",
    "risposta automatica",
    "fuori sede",
    "fuori ufficio",
    "respuesta autom",
    "fuera de la oficina",
    "fuera de oficina",
    "ausente",
    "resposta autom",
    "fora do escrit",
    "fora de escrit",
    "aus\xc3\xaancia tempor",
    "automatisk svar",
    "automatiskt svar",
    "autosvar",
    "frav\xc3\xa6r",
    "fr\xc3\xa5nvaro",
    "ikke til stede",
    "automaattinen vastaus",
    "poissaolo",
    "automatyczna odpowied",
    "odpowied\xc5\xba automatyczna",
    "autoodpowied",
    "automatick\xc3\xa1 odpov",
    "mimo kancel",
    "automatikus v\xc3\xa1lasz",
    "h\xc3\xa1zon k\xc3\xadv\xc3\xbcl",
    "r\xc4\x83spuns automat",
    "otomatik yan\xc4\xb1t",
    "otomatik cevap",
    "automatski odgovor",
    "samodejni odgovor",
    "automaatvastus",
    "autom\xc4\x81tiska atbilde",
    "automatinis atsakymas",
    "balasan otomatis",
    "tr\xe1\xba\xa3 l\xe1\xbb\x9di t\xe1\xbb\xb1 \xc4\x91\xe1\xbb\x99ng",
    /* Russian, Ukrainian, Bulgarian, Greek */
    "\xd0\x90\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbc\xd0\xb0\xd1\x82\xd0\xb8\xd1\x87",
    "\xd0\x90\xd0\xb2\xd1\x82\xd0\xbe\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82",
    "\xce\x91\xcf\x85\xcf\x84\xcf\x8c\xce\xbc\xce\xb1\xcf\x84\xce\xb7",
    /* Japanese, Chinese, Korean */
    "\xe8\x87\xaa\xe5\x8b\x95\xe5\xbf\x9c\xe7\xad\x94",
    "\xe8\x87\xaa\xe5\x8b\x95\xe8\xbf\x94\xe4\xbf\xa1",
    "\xe4\xb8\x8d\xe5\x9c\xa8",
    "\xe8\x87\xaa\xe5\x8a\xa8\xe7\xad\x94\xe5\xa4\x8d",
    "\xe8\x87\xaa\xe5\x8a\xa8\xe5\x9b\x9e\xe5\xa4\x8d",
    "\xe8\x87\xaa\xe5\x8b\x95\xe5\x9b\x9e\xe8\xa6\x86",
    "\xe8\x87\xaa\xe5\x8b\x95\xe7\xad\x94\xe8\xa6\x86",
    "\xec\x9e\x90\xeb\x8f\x99 \xed\x9a\x8c\xec\x8b\xa0",
    "\xec\x9e\x90\xeb\x8f\x99 \xec\x9d\x91\xeb\x8b\xb5",
    "\xeb\xb6\x80\xec\x9e\xac",
    /* Hebrew, Arabic, Thai */
    "\xd7\xaa\xd7\xa9\xd7\x95\xd7\x91\xd7\x94 \xd7\x90\xd7\x95\xd7\x98",
    "\xd8\xb1\xd8\xaf \xd8\xaa\xd9\x84\xd9\x82\xd8\xa7\xd8\xa6\xd9\x8a",
    "\xe0\xb8\x95\xe0\xb8\xad\xe0\xb8\x9a\xe0\xb8\x81\xe0\xb8\xa5\xe0\xb8\xb1"
    "\xe0\xb8\x9a\xe0\xb8\xad\xe0\xb8\xb1\xe0\xb8\x95\xe0\xb9\x82",
};

static bool is_away_subject(struct octets subject)
{
    subject = skip_prefixes(subject);
    for (size_t i = 0; i < sizeof away_beginnings / sizeof away_beginnings[0]; i++) {
        if (octets_begin(subject, away_beginnings[i])) {
            return true;
        }
    }
    return false;
}

/* Fields that only programs write which answer by themselves: with this first word, or whatever
 * their value is. */
static bool is_autoreply(const struct field *field)
{
    static const struct {
        const char *name;
        const char *word; /* NULL: any */
    } fields[] = {
        {"X-Autoreply", NULL},
        {"X-Auto-Reply", NULL},
        {"X-Autoreply-From", NULL},
        {"X-Auto-Reply-From", NULL},
        {"X-Mail-Autoreply", NULL},
        {"X-Autorespond", NULL},
        {"X-Autoresponder", NULL},
        {"X-Auto-Response-Suppress", NULL},
        {"X-MS-Exchange-Inbox-Rules-Loop", NULL},
        {"X-MS-Exchange-Generated-Message-Source", "Mailbox"}, /* Rules Agent */
        {"X-Autogenerated", "Reply"},
        {"X-POST-MessageClass", "9"}, /* Autoresponder */
        {"Auto-Submitted", "auto-replied"},
        {"Precedence", "auto_reply"},
        {"Precedence", "auto-reply"},
        {"X-Precedence", "auto_reply"},
        {"X-Precedence", "auto-reply"},
        {"Preference", "auto_reply"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (octets_equal(field->name, fields[i].name) &&
            (fields[i].word == NULL || value_is(field->value, fields[i].word))) {
            return true;
        }
    }
    return false;
}

static void take_subject(struct bounce_signs *signs, struct octets subject)
{
    subject = octets_trim(subject);
    signs->away_subject = signs->away_subject || is_away_subject(subject);
    signs->complaint = signs->complaint || octets_begin(subject, "complaint about message from");
    signs->undelivered =
        signs->undelivered || octets_begin(subject, "Undelivered Mail Returned to Sender");
}

static void take_from(struct bounce_signs *signs, struct octets from)
{
    signs->from_daemon = signs->from_daemon || is_from_daemon(from);
    signs->from_address = signs->from_address || octets_find(from, "@") != NULL;
    signs->complaint = signs->complaint || octets_find(from, "staff@hotmail.") != NULL;
}

void bounce_signs_field(struct bounce_signs *signs, const struct field *field)
{
    signs->autoreply = signs->autoreply || is_autoreply(field);
    if (octets_equal(field->name, "X-Failed-Recipients")) {
        signs->failed_recipients = true;
    } else if (octets_equal(field->name, "From")) {
        take_from(signs, field->value);
    } else if (octets_equal(field->name, "Subject")) {
        take_subject(signs, field->value);
    } else if (octets_equal(field->name, "Auto-Submitted")) {
        signs->auto_generated = signs->auto_generated || value_is(field->value, "auto-generated");
    } else if (octets_equal(field->name, "X-Mailer")) {
        signs->workmail =
            signs->workmail || octets_begin(octets_trim(field->value), "Amazon WorkMail");
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
    static const char *const calendars[] = {"text/calendar", "text/x-vcalendar", "text/ics",
                                            "application/ics", NULL};
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
    } else if (strncmp(part->type, "application/", 12) == 0) {
        take_tnef(signs, content); /* it says itself what it is */
    }
}

void bounce_signs_returned(struct bounce_signs *signs, struct octets header)
{
    struct octets rest = header;
    struct field field;
    signs->returned = signs->returned || field_next(&rest, &field);
    signs->complaint_copy =
        signs->complaint_copy || form_field(header, "X-HmXmrOriginalRecipient").length > 0;
}

void bounce_signs_opening(struct bounce_signs *signs, struct octets text)
{
    signs->opening = signs->opening || octets_begin(octets_trim(text), "Hi. This is the ");
}

enum bounce_class bounce_signs_class(const struct bounce_signs *signs)
{
    /* Amazon's: a message is returned by a From that is no address. */
    bool is_workmail =
        signs->returned && (!signs->from_address || (signs->workmail && signs->undelivered));
    const struct {
        bool matches;
        enum bounce_class class;
    } table[] = {
        {signs->status || (signs->refusal && signs->from_daemon), BOUNCE_DSN},
        {signs->receipt, BOUNCE_MDN},
        {signs->calendar, BOUNCE_CALENDAR},
        {signs->report || (signs->complaint && signs->complaint_copy), BOUNCE_REPORT},
        {signs->failed_recipients || signs->from_daemon || signs->opening || is_workmail,
         BOUNCE_DSN},
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
