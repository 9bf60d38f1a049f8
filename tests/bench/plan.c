/*
 * The packets of a session, as Postfix makes them: a stage's macros in a packet before its event,
 * for a stage up to DATA even where the filter wants no event, for the content only with the event.
 * The macros are Postfix's own lists, or those that the filter asked for; one without a value is
 * left out.
 */
#include "plan.h"

#include <err.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_SIZE = 2048, TEXT_MAX = 512 };

/* A stage of a message in the milter protocol, and how a filter declines its event or its reply. */
struct stage {
    char command;
    unsigned long unwanted;
    unsigned long unanswered;
    int macros; /* SMFIM_* */
    bool content;
};

static const struct stage stages[] = {
    {SMFIC_CONNECT, SMFIP_NOCONNECT, SMFIP_NR_CONN, SMFIM_CONNECT, false},
    {SMFIC_HELO, SMFIP_NOHELO, SMFIP_NR_HELO, SMFIM_HELO, false},
    {SMFIC_MAIL, SMFIP_NOMAIL, SMFIP_NR_MAIL, SMFIM_ENVFROM, false},
    {SMFIC_RCPT, SMFIP_NORCPT, SMFIP_NR_RCPT, SMFIM_ENVRCPT, false},
    {SMFIC_DATA, SMFIP_NODATA, SMFIP_NR_DATA, SMFIM_DATA, false},
    {SMFIC_HEADER, SMFIP_NOHDRS, SMFIP_NR_HDR, SMFIM_EOH, true},
    {SMFIC_EOH, SMFIP_NOEOH, SMFIP_NR_EOH, SMFIM_EOH, true},
    {SMFIC_BODY, SMFIP_NOBODY, SMFIP_NR_BODY, SMFIM_EOM, true},
    {SMFIC_BODYEOB, 0, 0, SMFIM_EOM, true},
};

/* What Postfix sends where the filter asks for nothing else. */
static const char *const default_macros[SMFIM_LAST + 1] = {
    [SMFIM_CONNECT] = "j {daemon_name} {daemon_addr} v _",
    [SMFIM_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
    [SMFIM_ENVFROM] =
        "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
    [SMFIM_ENVRCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
    [SMFIM_DATA] = "i",
    [SMFIM_EOM] = "i",
    [SMFIM_EOH] = "i",
};

/* ---- what the messages say ---- */

static const char *const written_headers[][2] = {
    {"Received", "from laptop.example.com (laptop.example.com [198.51.100.7])\n"
                 "\tby mail.example.com with ESMTPSA id 4B0$N; Sat, 21 Nov 2026 10:00:00 +0000"},
    {"Message-ID", "<20261121100000.$N@example.com>"},
    {"Date", "Sat, 21 Nov 2026 10:00:00 +0000"},
    {"From", "Alice <alice@example.com>"},
    {"To", "Bob <bob@other.test>"},
    {"Subject", "Minutes of the meeting on Friday"},
    {"MIME-Version", "1.0"},
    {"Content-Type", "text/plain; charset=UTF-8; format=flowed"},
    {"Content-Transfer-Encoding", "8bit"},
    {"User-Agent", "Some Mail Client/128.4"},
    {"Content-Language", "en-GB"},
    {"In-Reply-To", "<20261120090000.9876543210@other.test>"},
    {NULL, NULL},
};

#define BOUNDARY "5E0B2C0417.1795255205/mx.other.test"

static const char *const bounce_headers[][2] = {
    {"Received", "by mx.other.test (Postfix)\n\tid 5E0$N; Sat, 21 Nov 2026 10:00:05 +0000 (UTC)"},
    {"Date", "Sat, 21 Nov 2026 10:00:05 +0000 (UTC)"},
    {"From", "MAILER-DAEMON@mx.other.test (Mail Delivery System)"},
    {"Subject", "Undelivered Mail Returned to Sender"},
    {"To", "$R"},
    {"Auto-Submitted", "auto-replied"},
    {"MIME-Version", "1.0"},
    {"Content-Type", "multipart/report; report-type=delivery-status;\n\tboundary=\"" BOUNDARY "\""},
    {"Content-Transfer-Encoding", "8bit"},
    {"Message-Id", "<20261121100005.5E0$N@mx.other.test>"},
    {NULL, NULL},
};

/* RFC 3464, with the headers of the message alone, as RFC 6522 allows. */
static const char bounce_body[] =
    "This is a message in several parts, for programs and for people.\r\n"
    "\r\n"
    "--" BOUNDARY "\r\n"
    "Content-Description: Notification\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "\r\n"
    "The mail system at mx.other.test could not deliver the message that is named\r\n"
    "below to one of its recipients. It will not be tried again.\r\n"
    "\r\n"
    "If you write to the postmaster about this, please add this report. The text of\r\n"
    "your own message can be left out.\r\n"
    "\r\n"
    "<bob@other.test> (expanded from <team@other.test>): host store.other.test\r\n"
    "    [192.0.2.77] said: 550 5.1.1 <bob@other.test>: there is no such mailbox here\r\n"
    "    (in reply to RCPT TO command)\r\n"
    "\r\n"
    "--" BOUNDARY "\r\n"
    "Content-Description: Delivery report\r\n"
    "Content-Type: message/delivery-status\r\n"
    "\r\n"
    "Reporting-MTA: dns; mx.other.test\r\n"
    "X-Postfix-Queue-ID: 5E0B2C0417\r\n"
    "X-Postfix-Sender: rfc822; $R\r\n"
    "Arrival-Date: Sat, 21 Nov 2026 10:00:02 +0000 (UTC)\r\n"
    "\r\n"
    "Final-Recipient: rfc822; bob@other.test\r\n"
    "Original-Recipient: rfc822;team@other.test\r\n"
    "Action: failed\r\n"
    "Status: 5.1.1\r\n"
    "Remote-MTA: dns; store.other.test\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1 <bob@other.test>: there is no such mailbox here\r\n"
    "\r\n"
    "--" BOUNDARY "\r\n"
    "Content-Description: Undelivered Message Headers\r\n"
    "Content-Type: text/rfc822-headers\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n"
    "Return-Path: <$R>\r\n"
    "Received: from mail.example.com (mail.example.com [203.0.113.1])\r\n"
    "\tby mx.other.test (Postfix) with ESMTPS id 5E0B2C0417\r\n"
    "\tfor <team@other.test>; Sat, 21 Nov 2026 10:00:02 +0000 (UTC)\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.com; s=bench;\r\n"
    "\tt=1795255201; h=from:to:subject:date:message-id:mime-version:content-type;\r\n"
    "\tbh=SGVyZSBpcyBubyBoYXNoIG9mIGEgYm9keSBhdCBhbGwhISE=;\r\n"
    "\tb=Tm8gc2lnbmF0dXJlIGVpdGhlciwgb25seSB0aGUgb2N0ZXRzIHRoYXQgb25lIHdvdWxkIGhhdmUg\r\n"
    "\t aW4gYSByZWFsIG1lc3NhZ2UsIHNvIHRoYXQgd2hvZXZlciByZWFkcyB0aGUgYm91bmNlIGhhcyB0\r\n"
    "\t aGUgc2FtZSB3b3JrIHRvIGRvIHdpdGggaXQgYXMgd2l0aCBhbnkgb3RoZXI=\r\n"
    "Received: from laptop.example.com (laptop.example.com [198.51.100.7])\r\n"
    "\tby mail.example.com with ESMTPSA id 4B0B2C0416; Sat, 21 Nov 2026 10:00:00 +0000\r\n"
    "$H"
    "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
    "From: Alice <alice@example.com>\r\n"
    "To: The team <team@other.test>\r\n"
    "Subject: Minutes of the meeting on Friday\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=UTF-8; format=flowed\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "User-Agent: Some Mail Client/128.4\r\n"
    "Content-Language: en-GB\r\n"
    "\r\n"
    "--" BOUNDARY "--\r\n";

static const struct letter written = {written_headers, NULL};
static const struct letter bounce = {bounce_headers, bounce_body};

/* Of a message that was never sent, and of one that was. */
static const char invented[] = "Message-ID: <20261121095959.$N@example.com>\r\n";
static const char returned[] =
    "Message-ID: <20261121100000.$M@example.com>\r\n" EVIDENCE_HEADER ": $E\r\n";

/* ---- the kinds of mail ---- */

static bool let_through(const struct outcome *o)
{
    return (o->letter == SMFIR_ACCEPT || o->letter == SMFIR_CONTINUE) && !o->spoiled;
}

static bool is_signed(const struct outcome *o)
{
    return let_through(o) && o->tagged && o->removed == 0 && o->added == 0;
}

static bool is_restored(const struct outcome *o)
{
    return let_through(o) && !o->tagged && o->removed == o->recipients && o->added == o->recipients;
}

static bool is_refused(const struct outcome *o)
{
    return o->letter == SMFIR_REJECT || (o->letter == SMFIR_REPLYCODE && o->code == '5');
}

static bool is_untouched(const struct outcome *o)
{
    return let_through(o) && !o->tagged && o->removed == 0 && o->added == 0;
}

static const struct kind kinds[] = {
    {"sign", "laptop.example.com", "198.51.100.7", "alice", "alice@example.com", "bob@other.test",
     &written, NULL, false, is_signed, "accepted with a tagged sender"},
    {"bounce", "mx.other.test", "192.0.2.25", NULL, "", NULL, &bounce, invented, false, is_restored,
     "accepted with the plain recipient in place of the tagged one"},
    {"forged", "mx.other.test", "192.0.2.25", NULL, "", "alice@example.com", &bounce, invented,
     false, is_refused, "refused for good"},
    {"proven", "mx.other.test", "192.0.2.25", NULL, "", "alice@example.com", &bounce, returned,
     true, is_untouched, "accepted untouched"},
    {"ordinary", "mx.other.test", "192.0.2.25", NULL, "bob@other.test", "alice@example.com",
     &written, NULL, false, is_untouched, "accepted untouched"},
    {"pass", "laptop.example.com", "198.51.100.7", "alice", "alice@example.com", "bob@other.test",
     &written, NULL, false, is_untouched, "accepted untouched"},
};

uint32_t get_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void put_u32(unsigned char *p, uint32_t n)
{
    p[0] = (unsigned char)(n >> 24);
    p[1] = (unsigned char)(n >> 16);
    p[2] = (unsigned char)(n >> 8);
    p[3] = (unsigned char)n;
}

const struct kind *kind_at(size_t n)
{
    return n < sizeof kinds / sizeof kinds[0] ? &kinds[n] : NULL;
}

const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* ---- packets ---- */

static void blob_add(struct blob *b, const void *data, size_t size)
{
    if (b->size + size > b->room) {
        b->room = b->size + size + 256;
        b->data = realloc(b->data, b->room);
        if (b->data == NULL)
            err(1, "memory");
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void blob_add_text(struct blob *b, const char *text)
{
    blob_add(b, text, strlen(text) + 1);
}

static void step_leave_blank(struct step *s, enum blank_kind kind, size_t size)
{
    static const char nothing[EVIDENCE_SIZE];

    if (s->blanks == BLANKS_MAX)
        errx(1, "too much to be filled in at '%c'", s->stage);
    s->blank[s->blanks++] = (struct blank){kind, s->blob.size};
    blob_add(&s->blob, nothing, size);
}

/* A text of a letter, without a NUL. */
static void step_add_text(struct step *s, const struct plan *p, const char *text)
{
    for (size_t length; *text != '\0'; text += length) {
        length = strcspn(text, "$");
        blob_add(&s->blob, text, length);
        if (text[length] == '\0')
            continue;
        switch (text[length + 1]) {
        case 'R':
            blob_add(&s->blob, p->recipients[0], strlen(p->recipients[0]));
            break;
        case 'H':
            step_add_text(s, p, p->kind->returned);
            break;
        case 'N':
            step_leave_blank(s, BLANK_SERIAL, SERIAL_SIZE);
            break;
        case 'M':
            step_leave_blank(s, BLANK_RETURNED, SERIAL_SIZE);
            break;
        case 'E':
            step_leave_blank(s, BLANK_EVIDENCE, EVIDENCE_SIZE);
            break;
        default:
            errx(1, "$%c stands for nothing", text[length + 1]);
        }
        length += 2;
    }
}

/* Returns where the packet begins, for blob_end, which writes its length. */
static size_t blob_begin(struct blob *b, char command)
{
    size_t start = b->size;

    blob_add(b, "\0\0\0\0", 4);
    blob_add(b, &command, 1);
    return start;
}

static void blob_end(struct blob *b, size_t start)
{
    put_u32(b->data + start, (uint32_t)(b->size - start - 4));
}

/* ---- macros ---- */

static const char *macro_of_client(const struct kind *k, const char *name)
{
    const struct {
        const char *name;
        const char *value;
    } known[] = {
        {"j", "mail.example.com"},
        {"daemon_name", "mail.example.com"},
        {"daemon_addr", "203.0.113.1"},
        {"daemon_port", "25"},
        {"v", "Postfix 3.7.11"},
        {"_",
         k->login != NULL ? "laptop.example.com [198.51.100.7]" : "mx.other.test [192.0.2.25]"},
        {"client_addr", k->client_addr},
        {"client_name", k->client_name},
        {"client_ptr", k->client_name},
        {"client_port", "40000"},
        {"client_resolve", "OK"},
        {"client_connections", "1"},
        {"auth_type", k->login != NULL ? "PLAIN" : NULL},
        {"auth_authen", k->login},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].value;
    return NULL;
}

static const char *macro_of_address(const char *address, const char *part)
{
    const char *at = strrchr(address, '@');

    if (strcmp(part, "addr") == 0)
        return address;
    if (strcmp(part, "mailer") == 0)
        return "smtp";
    return strcmp(part, "host") == 0 && at != NULL ? at + 1 : NULL;
}

/* NULL: Postfix knows no such macro at that stage, and leaves it out. */
static const char *macro_value(const struct plan *p, char stage, size_t turn, const char *name)
{
    bool early = stage == SMFIC_CONNECT || stage == SMFIC_HELO;
    bool queued = !early && stage != SMFIC_MAIL && stage != SMFIC_RCPT;

    if (strcmp(name, "i") == 0)
        return queued ? "4B0$N" : NULL;
    if (strncmp(name, "mail_", 5) == 0)
        return early ? NULL : macro_of_address(p->kind->sender, name + 5);
    if (strncmp(name, "rcpt_", 5) == 0)
        return stage == SMFIC_RCPT ? macro_of_address(p->recipients[turn], name + 5) : NULL;
    if (strncmp(name, "auth_", 5) == 0 && early)
        return NULL;
    return macro_of_client(p->kind, name);
}

/* The name without braces, for looking it up; the packet has it as the list does. */
static void macro_plain_name(const char *name, size_t length, char out[static TEXT_MAX])
{
    bool braced = length > 1 && name[0] == '{' && name[length - 1] == '}';
    size_t plain = braced ? length - 2 : length;

    if (plain >= TEXT_MAX)
        errx(1, "a macro name of %zu octets", plain);
    memcpy(out, name + braced, plain);
    out[plain] = '\0';
}

static void step_add_macros(struct step *s, const struct plan *p, size_t turn, const char *list)
{
    struct blob *b = &s->blob;
    size_t start = blob_begin(b, SMFIC_MACRO);
    char plain[TEXT_MAX];
    const char *value;

    blob_add(b, &s->stage, 1);
    for (size_t length; *(list += strspn(list, " ,")) != '\0'; list += length) {
        length = strcspn(list, " ,");
        macro_plain_name(list, length, plain);
        value = macro_value(p, s->stage, turn, plain);
        if (value == NULL)
            continue;
        blob_add(b, list, length);
        blob_add(b, "", 1);
        step_add_text(s, p, value);
        blob_add(b, "", 1);
    }
    blob_end(b, start);
}

/* ---- the plan of a session ---- */

static void event_add_client(struct blob *b, const struct plan *p)
{
    const unsigned char port[] = {40000 >> 8, 40000 & 0xff};

    blob_add_text(b, p->kind->client_name);
    blob_add(b, "4", 1);
    blob_add(b, port, sizeof port);
    blob_add_text(b, p->kind->client_addr);
}

static void event_add_address(struct blob *b, const char *address)
{
    blob_add(b, "<", 1);
    blob_add(b, address, strlen(address));
    blob_add(b, ">", 2);
}

static void event_add_usual_text(struct blob *b)
{
    static const char line[] = "The quick brown fox jumps over the lazy dog, and so on and on.\r\n";
    size_t todo = BODY_SIZE;

    for (size_t n; todo > 0; todo -= n) {
        n = todo < sizeof line - 1 ? todo : sizeof line - 1;
        blob_add(b, line, n);
    }
}

static void event_add_header(struct step *s, const struct plan *p, const char *const field[2])
{
    blob_add_text(&s->blob, field[0]);
    if (p->steps & SMFIP_HDR_LEADSPC)
        blob_add(&s->blob, " ", 1);
    step_add_text(s, p, field[1]);
    blob_add(&s->blob, "", 1);
}

/* turn: the number of the recipient, or of the header field. */
static void event_add_arguments(struct step *s, const struct plan *p, size_t turn)
{
    struct blob *b = &s->blob;
    const struct letter *letter = p->kind->letter;

    switch (s->stage) {
    case SMFIC_CONNECT:
        event_add_client(b, p);
        break;
    case SMFIC_HELO:
        blob_add_text(b, p->kind->client_name);
        break;
    case SMFIC_MAIL:
        event_add_address(b, p->kind->sender);
        blob_add_text(b, "SIZE=2800");
        break;
    case SMFIC_RCPT:
        event_add_address(b, p->recipients[turn]);
        break;
    case SMFIC_HEADER:
        event_add_header(s, p, letter->headers[turn]);
        break;
    case SMFIC_BODY:
        if (letter->body != NULL)
            step_add_text(s, p, letter->body);
        else
            event_add_usual_text(b);
        break;
    default:
        break;
    }
}

static struct step *step_new(struct plan *p)
{
    if (p->count == p->room) {
        p->room = p->room * 2 + 32;
        p->step = reallocarray(p->step, p->room, sizeof *p->step);
        if (p->step == NULL)
            err(1, "memory");
    }
    memset(&p->step[p->count], 0, sizeof *p->step);
    return &p->step[p->count++];
}

static void plan_add(struct plan *p, const struct stage *stage, size_t turn)
{
    bool wanted = (p->steps & stage->unwanted) == 0;
    const char *asked = p->macros[stage->macros];
    struct step *s;
    size_t start;

    if (stage->content && !wanted)
        return;
    s = step_new(p);
    s->stage = stage->command;
    s->handed_over = stage->command == SMFIC_DATA;
    s->answered = wanted && (p->steps & stage->unanswered) == 0;
    step_add_macros(s, p, turn,
                    asked != NULL && *asked != '\0' ? asked : default_macros[stage->macros]);
    if (wanted) {
        start = blob_begin(&s->blob, stage->command);
        event_add_arguments(s, p, turn);
        blob_end(&s->blob, start);
    }
}

static size_t plan_turns(const struct plan *p, char command)
{
    size_t headers = 0;

    if (command == SMFIC_RCPT)
        return p->recipient_count;
    if (command != SMFIC_HEADER)
        return 1;
    while (p->kind->letter->headers[headers][0] != NULL)
        headers++;
    return headers;
}

static void plan_make(struct plan *p)
{
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        if (stages[i].command == SMFIC_MAIL)
            p->first_of_message = p->count;
        for (size_t n = 0; n < plan_turns(p, stages[i].command); n++)
            plan_add(p, &stages[i], n);
    }
    p->ready = true;
}

/* The lists of macros that the filter asked for, after the three numbers. */
static void plan_take_macros(struct plan *p, const unsigned char *data, size_t size)
{
    const unsigned char *end;
    uint32_t place;

    for (; size > 4; size -= (size_t)(end + 1 - data), data = end + 1) {
        place = get_u32(data);
        end = memchr(data + 4, '\0', size - 4);
        if (place > SMFIM_LAST || end == NULL)
            errx(1, "the filter's list of macros is malformed");
        free(p->macros[place]);
        p->macros[place] = strdup((const char *)data + 4);
        if (p->macros[place] == NULL)
            err(1, "memory");
    }
}

void plan_negotiated(struct plan *p, const unsigned char *data, size_t size)
{
    if (size < 12 || get_u32(data) < 2 || get_u32(data) > SMFI_PROT_VERSION)
        errx(1, "the filter's answer to the negotiation is malformed");
    if ((get_u32(data + 4) & ~ACTIONS_OFFERED) != 0)
        errx(1, "the filter wants actions that were not offered");
    if ((get_u32(data + 8) & ~STEPS_OFFERED) != 0)
        errx(1, "the filter wants steps that were not offered");
    if (p->ready) {
        if (p->actions != get_u32(data + 4) || p->steps != get_u32(data + 8))
            errx(1, "the filter negotiates now this, now that");
        return;
    }
    p->actions = get_u32(data + 4);
    p->steps = get_u32(data + 8);
    plan_take_macros(p, data + 12, size - 12);
    plan_make(p);
}
