/*
 * A bounce's collections: what is kept when there is too much, the order of the Message-IDs; and
 * its class: every sign, their order, From in every oddness, and what the header alone must not do.
 */
#include "fixture.h"

#include "batv/bounce.h"
#include "batv/bounce_class.h"
#include "batv/bounce_text.h"

static struct bounce *bounce;
static struct budget budget;
static struct bounce_reader reader;

static void setup(void)
{
    bounce = bounce_new();
    ck_assert_ptr_nonnull(bounce);
    budget = budget_of(0);
    bounce_reader_start(&reader, bounce, &budget);
}

static void teardown(void)
{
    bounce_free(bounce);
}

static void add(const char *id, enum bounce_rank rank)
{
    bounce_add_id(&reader, octets_of(id), "test", rank);
}

static void add_many(const char *prefix, size_t count, enum bounce_rank rank)
{
    for (size_t i = 0; i < count; i++) {
        char id[40];
        snprintf(id, sizeof id, "%s%zu@example.com", prefix, i);
        add(id, rank);
    }
}

static const struct bounce_id *find(const char *id)
{
    for (size_t i = 0; i < bounce->id_count; i++) {
        if (strcmp(bounce->ids[i].text, id) == 0) {
            return &bounce->ids[i];
        }
    }
    return NULL;
}

/* -------------------------------------------------------------- collections */

START_TEST(an_id_is_kept_once_by_its_surest_label)
{
    bounce_add_id(&reader, octets_of("a@b"), "text", BOUNCE_UNLABELLED);
    bounce_add_id(&reader, octets_of("a@b"), "References", BOUNCE_REFERENCE);
    bounce_add_id(&reader, octets_of("a@b"), "text", BOUNCE_UNLABELLED);
    bounce_add_id(&reader, octets_of("A@b"), "text", BOUNCE_UNLABELLED);
    bounce_reader_end(&reader);
    ck_assert_uint_eq(bounce->id_count, 2);
    ck_assert_uint_eq(bounce->named_count, 1);
    ck_assert_str_eq(bounce->ids[0].text, "a@b");
    ck_assert_str_eq(bounce->ids[0].where, "References");
    ck_assert_str_eq(bounce->ids[1].text, "A@b");
}
END_TEST

START_TEST(labelled_ids_are_never_pushed_out)
{
    add_many("unlabelled", 300, BOUNCE_UNLABELLED);
    ck_assert_uint_eq(bounce->id_count, BOUNCE_IDS);
    add_many("reference", 150, BOUNCE_REFERENCE);
    add_many("labelled", 100, BOUNCE_LABELLED);
    add_many("late", 300, BOUNCE_UNLABELLED);
    bounce_reader_end(&reader);
    ck_assert_uint_eq(bounce->id_count, BOUNCE_IDS);
    ck_assert_uint_eq(bounce->named_count, BOUNCE_IDS);
    ck_assert_str_eq(bounce->ids[0].where, "test");
    ck_assert_ptr_nonnull(find("labelled0@example.com"));
    ck_assert_ptr_nonnull(find("labelled99@example.com"));
    ck_assert_ptr_nonnull(find("reference0@example.com"));
    ck_assert_ptr_null(find("late0@example.com"));
    ck_assert_int_eq(bounce->ids[0].rank, BOUNCE_LABELLED);
    ck_assert_int_eq(bounce->ids[BOUNCE_IDS - 1].rank, BOUNCE_REFERENCE);
}
END_TEST

START_TEST(the_first_labelled_ids_stay)
{
    add_many("labelled", 1000, BOUNCE_LABELLED);
    bounce_reader_end(&reader);
    ck_assert_uint_eq(bounce->id_count, BOUNCE_IDS);
    ck_assert_str_eq(bounce->ids[0].text, "labelled0@example.com");
    ck_assert_ptr_null(find("labelled200@example.com"));
}
END_TEST

START_TEST(an_id_can_be_too_long_or_empty)
{
    char text[BOUNCE_ID_MAX + 2];
    memset(text, 'x', sizeof text);
    bounce_add_id(&reader, (struct octets){text, BOUNCE_ID_MAX + 1}, "test", BOUNCE_LABELLED);
    bounce_add_id(&reader, (struct octets){text, 0}, "test", BOUNCE_LABELLED);
    ck_assert_uint_eq(bounce->id_count, 0);
    bounce_add_id(&reader, (struct octets){text, BOUNCE_ID_MAX}, "test", BOUNCE_LABELLED);
    ck_assert_uint_eq(bounce->id_count, 1);
}
END_TEST

START_TEST(an_id_is_dropped_only_if_it_is_not_sure_enough)
{
    add("1@example.com", BOUNCE_UNLABELLED);
    add("2@example.com", BOUNCE_REFERENCE);
    add("3@example.com", BOUNCE_UNLABELLED);
    bounce_drop_id(&reader, "1@example.com", BOUNCE_REFERENCE);
    bounce_drop_id(&reader, "2@example.com", BOUNCE_REFERENCE);
    bounce_drop_id(&reader, "4@example.com", BOUNCE_REFERENCE);
    ck_assert_uint_eq(bounce->id_count, 2);
    add("3@example.com", BOUNCE_LABELLED); /* its place has changed */
    ck_assert_uint_eq(bounce->id_count, 2);
    bounce_drop_id(&reader, "2@example.com", BOUNCE_RANKS);
    bounce_drop_id(&reader, "3@example.com", BOUNCE_RANKS);
    ck_assert_uint_eq(bounce->id_count, 0);
}
END_TEST

START_TEST(tags_and_evidence_are_bounded_and_distinct)
{
    for (unsigned i = 0; i < 2 * BOUNCE_TAGS; i++) {
        char text[40];
        snprintf(text, sizeof text, "prvs=3785%06x=a@example.com", i);
        bounce_add_tag(&reader, octets_of(text), "test");
        bounce_add_tag(&reader, octets_of(text), "test");
        bounce_add_evidence(&reader, octets_of(text));
        bounce_add_evidence(&reader, octets_of(text));
    }
    ck_assert_uint_eq(bounce->tag_count, BOUNCE_TAGS);
    ck_assert_str_eq(bounce->tags[1].address, "prvs=3785000001=a@example.com");
    ck_assert_uint_eq(bounce->evidence_count, BOUNCE_EVIDENCE);
    ck_assert_str_eq(bounce->evidence[1], "prvs=3785000001=a@example.com");
}
END_TEST

START_TEST(classes_have_names)
{
    ck_assert_str_eq(bounce_class_name(BOUNCE_DSN), "dsn");
    ck_assert_str_eq(bounce_class_name(BOUNCE_MDN), "mdn");
    ck_assert_str_eq(bounce_class_name(BOUNCE_CALENDAR), "calendar");
    ck_assert_str_eq(bounce_class_name(BOUNCE_REPORT), "report");
    ck_assert_str_eq(bounce_class_name(BOUNCE_AUTOREPLY), "autoreply");
    ck_assert_str_eq(bounce_class_name(BOUNCE_OTHER), "other");
    ck_assert_str_eq(bounce_class_name(BOUNCE_UNREAD), "-");
    ck_assert_int_eq(bounce->class, BOUNCE_UNREAD);
}
END_TEST

/* ------------------------------------------------------------------- fields */

static const struct {
    const char *name, *value;
    enum bounce_class class;
} fields[] = {
    {"X-Failed-Recipients", " bob@example.net", BOUNCE_DSN},
    {"x-failed-recipients", "", BOUNCE_DSN},
    {"Auto-Submitted", " auto-replied", BOUNCE_AUTOREPLY},
    {"Auto-Submitted", " Auto-Replied (vacation)", BOUNCE_AUTOREPLY},
    {"auto-submitted", "auto-replied; owner-email=\"a@example.com\"", BOUNCE_AUTOREPLY},
    {"X-MS-Exchange-Inbox-Rules-Loop", " bob@example.net", BOUNCE_AUTOREPLY},
    {"X-Mail-Autoreply", " ", BOUNCE_AUTOREPLY},
    {"Auto-Submitted", " auto-generated", BOUNCE_OTHER},
    {"Subject", " Automatic reply: Offer", BOUNCE_OTHER},
    {"Subject", " complaint about message from 192.0.2.5", BOUNCE_OTHER},
    {"Auto-Submitted", " auto-replied-not", BOUNCE_OTHER},
    {"Auto-Submitted", " no", BOUNCE_OTHER},
    {"X-Autoreply", " yes", BOUNCE_AUTOREPLY},
    {"X-AutoReply", "", BOUNCE_AUTOREPLY},
    {"X-Autorespond", " Re: hello", BOUNCE_AUTOREPLY},
    {"X-Auto-Response-Suppress", " All", BOUNCE_AUTOREPLY},
    {"Precedence", " auto_reply", BOUNCE_AUTOREPLY},
    {"Precedence", " bulk", BOUNCE_OTHER},
    {"Subject", " MAILER-DAEMON", BOUNCE_OTHER},
    {"Content-Type", " multipart/report; report-type=disposition-notification", BOUNCE_OTHER},
};

START_TEST(field)
{
    struct bounce_signs signs = {0};
    struct field f = {octets_of(fields[_i].name), octets_of(fields[_i].value)};
    bounce_signs_field(&signs, &f);
    ck_assert_int_eq(bounce_signs_class(&signs), fields[_i].class);
}
END_TEST

static const struct {
    const char *value;
    bool daemon;
} senders[] = {
    {" MAILER-DAEMON@mx.example.net", true},
    {" MAILER-DAEMON", true},
    {"mailer-daemon", true},
    {" <MAILER-DAEMON>", true},
    {" <>", false},
    {"", false},
    {" \t ", false},
    {" MAILER-DAEMON <>", true},
    {" \"MAILER-DAEMON\" <>", false},
    {" Mail Delivery System <MAILER-DAEMON@mx.example.net>", true},
    {" \"Mail Delivery System\" <MAILER-DAEMON@mx.example.net>", true},
    {" MAILER-DAEMON@mx.example.net (Mail Delivery System)", true},
    {" (Mail Delivery System) MAILER-DAEMON@mx.example.net", true},
    {" MAILER-DAEMON (Mail (nested \\) ) Delivery System)", true},
    {"\n\t<Postmaster@mx.example.net>", true},
    {" Mail\n Delivery\n <postmaster@mx.example.net>", true},
    {" =?utf-8?Q?Mail_Delivery?= <postmaster@example.net>", true},
    {" alice@example.com, postmaster@example.net", true},
    {" Daemons: alice@example.com, mailer-daemon@example.net;", true},
    {" <@relay.example.org,@mx.example.org:mailer-daemon@example.net>", true},
    {" \"mailer-daemon\"@example.net", true},
    {" \"MAILER-DAEMON\"", true},
    {" Mail Delivery Subsystem MAILER-DAEMON@example.net", true},
    {" < mailer-daemon @ example.net >", true},
    {" postmaster@[192.0.2.1]", true},
    {" Mail \"Delivery\" System <mailer-daemon@example.net>", true},
    {" Mail Delivery\tMAILER-DAEMON@example.net", true},
    {" Postmaster <alice@example.com>", false},
    {" \"Postmaster\" <alice@example.com>", false},
    {" \"x, postmaster\" <alice@example.com>", false},
    {" \"x <postmaster@example.com>\" <alice@example.com>", false},
    {" alice@example.com (postmaster)", false},
    {" (postmaster@example.com) alice@example.com", false},
    {" postmaster: alice@example.com;", false},
    {" alice@postmaster", false},
    {" not-postmaster@example.com", false},
    {" \"postmaster\"s@example.com", false},
    {" postmaster+x@example.com", false},
    {" \"unfinished <postmaster@example.com>", false},
    {" (unfinished <postmaster@example.com>", false},
    {" \"\\", false},
};

START_TEST(sender)
{
    struct bounce_signs signs = {0};
    struct field from = {octets_of("From"), octets_of(senders[_i].value)};
    bounce_signs_field(&signs, &from);
    ck_assert_msg(signs.from_daemon == senders[_i].daemon, "From:%s", senders[_i].value);
}
END_TEST

/* -------------------------------------------------------------------- parts */

#define RECEIPT                                                                                    \
    "Final-Recipient: rfc822; bob@example.net\nDisposition: manual-action/x; displayed\n"
#define CALENDAR(lines) "BEGIN:VCALENDAR\r\n" lines "END:VCALENDAR\r\n"
#define EVENT                                                                                      \
    "BEGIN:VEVENT\nUID:u1@example.com\nATTENDEE;CN=\"B: c\";PARTSTAT=ACCEPTED:mailto:b@x\n"        \
    "DESCRIPTION:long\n  and\\nfolded: x\nEND:VEVENT\n"
#define FAILURE "This is the mail system at host x.\n\nUser unknown\n"
#define DMARC   "x!example.com!1013662812!1013749130"

static const struct {
    const char *type, *report_type, *file_name, *content;
    bool in_message;
    enum bounce_class class;
} parts[] = {
    {"message/delivery-status", "", "", "", false, BOUNCE_DSN},
    {"message/global-delivery-status", "", "", "", false, BOUNCE_DSN},
    {"multipart/report", "delivery-status", "", "", false, BOUNCE_DSN},
    {"multipart/mixed", "delivery-status", "", "", false, BOUNCE_OTHER},
    {"message/delivery-status", "", "", "", true, BOUNCE_DSN},
    /* receipts */
    {"message/disposition-notification", "", "", RECEIPT, false, BOUNCE_MDN},
    {"message/global-disposition-notification", "", "", "\r\n" RECEIPT, false, BOUNCE_MDN},
    {"message/disposition-notification", "", "", "junk\n\n" RECEIPT, false, BOUNCE_MDN},
    {"message/disposition-notification", "", "", "Disposition: x\n", false, BOUNCE_MDN},
    {"message/disposition-notification", "", "",
     "\xef\xbb\xbf"
     "Disposition: x\n",
     false, BOUNCE_MDN},
    {"message/disposition-notification", "", "",
     "\xff\xfe"
     "Disposition: x\n",
     false, BOUNCE_MDN},
    {"message/disposition-notification", "", "", "Disposition: x; deleted\n", false, BOUNCE_MDN},
    {"message/disposition-notification", "", "", RECEIPT, true, BOUNCE_OTHER},
    {"message/disposition-notification", "", "", "", false, BOUNCE_OTHER},
    {"message/disposition-notification", "", "", FAILURE, false, BOUNCE_OTHER},
    {"message/disposition-notification", "", "", "Disposition:\nFinal-Recipient: x\n", false,
     BOUNCE_OTHER},
    {"multipart/report", "disposition-notification", "", "", false, BOUNCE_OTHER},
    {"text/plain", "", "", RECEIPT, false, BOUNCE_OTHER},
    /* answers to invitations */
    {"text/calendar", "", "", CALENDAR("METHOD:REPLY\r\n"), false, BOUNCE_CALENDAR},
    {"text/calendar", "", "", CALENDAR("METHOD:REPLY\r\n" EVENT), false, BOUNCE_CALENDAR},
    {"text/calendar", "", "", CALENDAR("method;x=y:counter \n" EVENT), false, BOUNCE_CALENDAR},
    {"text/calendar", "", "", CALENDAR("METHOD:REPLY\nMETHOD:X\n"), false, BOUNCE_CALENDAR},
    {"text/calendar", "", "", CALENDAR("METH\r\n OD:REPLY\r\n"), false, BOUNCE_CALENDAR},
    {"text/calendar", "", "", CALENDAR("METHOD:RE\r\n\tPLY\r\n"), false, BOUNCE_CALENDAR},
    {"text/calendar", "", "", "\r\n" CALENDAR("METHOD:REPLY\r\n") "\r\n", false, BOUNCE_CALENDAR},
    {"text/calendar", "", "", "\xef\xbb\xbf" CALENDAR("METHOD:REPLY\r\n"), false, BOUNCE_CALENDAR},
    {"application/ics", "", "", CALENDAR("METHOD:REPLY\r\n"), false, BOUNCE_CALENDAR},
    {"text/plain", "", "", CALENDAR("METHOD:REPLY\r\n"), false, BOUNCE_OTHER},
    {"text/calendar", "", "", CALENDAR("METHOD:REQUEST\n"), false, BOUNCE_OTHER},
    {"text/calendar", "", "", CALENDAR("METHODX\n"), false, BOUNCE_OTHER},
    {"text/calendar", "", "", CALENDAR("BEGIN:VEVENT\nMETHOD:REPLY\nEND:VEVENT\n"), false,
     BOUNCE_OTHER},
    {"text/calendar", "", "", "BEGIN:VCALENDAR\nMETHOD:REPLY\n", false, BOUNCE_OTHER},
    {"text/calendar", "", "", "BEGIN:VCALENDAR\nMETHOD:REPLY\n" FAILURE, false, BOUNCE_OTHER},
    {"text/calendar", "", "", FAILURE CALENDAR("METHOD:REPLY\n"), false, BOUNCE_OTHER},
    {"text/calendar", "", "", CALENDAR("METHOD:REPLY\n") FAILURE, false, BOUNCE_OTHER},
    {"text/calendar", "", "", CALENDAR("METHOD:REPLY\n" FAILURE), false, BOUNCE_OTHER},
    {"text/calendar", "", "", "METHOD:REPLY\n\n" FAILURE, false, BOUNCE_OTHER},
    {"text/calendar", "", "", "METHOD:REPLY\n", false, BOUNCE_OTHER},
    {"text/calendar", "", "", "END:VCALENDAR\nMETHOD:REPLY\n", false, BOUNCE_OTHER},
    {"text/calendar", "", "", "", false, BOUNCE_OTHER},
    {"text/calendar", "", "", CALENDAR("METHOD:REPLY\n"), true, BOUNCE_OTHER},
    /* reports */
    {"message/feedback-report", "", "", "Feedback-Type: abuse\n", false, BOUNCE_REPORT},
    {"message/feedback-report", "", "", "Feedback-Type: abuse\n", true, BOUNCE_OTHER},
    {"message/feedback-report", "", "", FAILURE, false, BOUNCE_OTHER},
    {"multipart/report", "feedback-report", "", "", false, BOUNCE_OTHER},
    {"multipart/report", "tlsrpt", "", "", false, BOUNCE_OTHER},
    {"application/tlsrpt+gzip", "", "", "\x1f\x8b\x08", false, BOUNCE_REPORT},
    {"application/tlsrpt+json", "", "", "\r\n{\"policies\":[]}", false, BOUNCE_REPORT},
    {"application/tlsrpt+gzip", "", "", FAILURE, false, BOUNCE_OTHER},
    {"application/zip", "", DMARC ".zip", "PK\x03\x04", false, BOUNCE_REPORT},
    {"application/gzip", "", DMARC "!id.xml.gz", "\x1f\x8b\x08", false, BOUNCE_REPORT},
    {"application/octet-stream", "", DMARC ".xml.gz", "\x1f\x8b\x08", false, BOUNCE_REPORT},
    {"text/xml", "", DMARC ".xml", "<?xml version='1.0'?>", false, BOUNCE_REPORT},
    {"text/xml", "", DMARC "!id!again.xml", "<feedback>", false, BOUNCE_REPORT},
    {"text/html", "", "a!b!1!2.zip", "<?xml version='1.0'?>", false, BOUNCE_OTHER},
    {"text/html", "", DMARC ".zip", "PK\x03\x04", false, BOUNCE_OTHER},
    {"text/plain", "", DMARC ".xml", "<feedback>", false, BOUNCE_OTHER},
    {"application/zip", "", DMARC ".zip", FAILURE, false, BOUNCE_OTHER},
    {"application/zip", "", DMARC ".zip", "PK\x03\x04", true, BOUNCE_OTHER},
    {"text/xml", "", "x!example.com!now!1013749130.xml", "<?xml", false, BOUNCE_OTHER},
    {"text/xml", "", "x!example.com!1013662812.xml", "<?xml", false, BOUNCE_OTHER},
    {"text/xml", "", DMARC ".exe", "<?xml", false, BOUNCE_OTHER},
    {"text/xml", "", "!!!.xml", "<?xml", false, BOUNCE_OTHER},
    {"text/xml", "", "!example.com!1013662812!1013749130.xml", "<?xml", false, BOUNCE_OTHER},
    {"text/xml", "", "x!!1013662812!1013749130.xml", "<?xml", false, BOUNCE_OTHER},
    {"text/xml", "", "x!example.com!1013662812!-1.xml", "<?xml", false, BOUNCE_OTHER},
    {"text/xml", "", "invoice.xml", "<?xml", false, BOUNCE_OTHER},
};

START_TEST(part)
{
    struct bounce_signs signs = {0};
    struct bounce_part described = {parts[_i].type, parts[_i].report_type, parts[_i].file_name,
                                    parts[_i].in_message};
    bounce_signs_part(&signs, &described, octets_of(parts[_i].content));
    ck_assert_msg(bounce_signs_class(&signs) == parts[_i].class, "%s: %s\n%s", parts[_i].type,
                  bounce_class_name(bounce_signs_class(&signs)), parts[_i].content);
}
END_TEST

/* What Outlook sends: the surer of two message classes counts. Cut off anywhere it is none. */
#define TNEF                      "\x78\x9f\x3e\x22\x01\x00"
#define TNEF_CLASS(length, class) "\x01\x08\x80\x07\x00" length "\x00\x00\x00" class "\x00\x00"
#define TNEF_PROPERTY(all, length, class)                                                          \
    "\x01\x03\x90\x06\x00" all                                                                     \
    "\x00\x00\x00\x01\x00\x00\x00\x1e\x00\x1a\x00\x01\x00\x00\x00" length                          \
    "\x00\x00\x00" class "\x00\x00"

START_TEST(outlooks_own_form)
{
    static const char receipt[] = TNEF TNEF_PROPERTY("\x26", "\x16", "REPORT.IPM.Note.IPNRN\0");
    static const char answer[] = TNEF TNEF_CLASS("\x20", "IPM.Microsoft Mail.Read Receipt\0")
        TNEF_PROPERTY("\x2e", "\x1e", "IPM.Schedule.Meeting.Resp.Pos\0");
    static const char old_answer[] = TNEF TNEF_CLASS("\x20", "IPM.Microsoft Schedule.MtgRespP\0");
    static const char note[] = TNEF TNEF_CLASS("\x14", "IPM.Microsoft Mail.N\0");
    static const struct {
        const char *octets;
        size_t length;
        enum bounce_class class;
    } forms[] = {
        {receipt, sizeof receipt - 1, BOUNCE_MDN},
        {answer, sizeof answer - 1, BOUNCE_CALENDAR},
        {old_answer, sizeof old_answer - 1, BOUNCE_CALENDAR},
        {note, sizeof note - 1, BOUNCE_OTHER},
    };
    struct bounce_part tnef = {"application/ms-tnef", "", "winmail.dat", false};
    struct bounce_part plain = {"text/plain", "", "winmail.dat", false};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct bounce_signs signs = {0};
        struct octets whole = {forms[i].octets, forms[i].length};
        bounce_signs_part(&signs, &plain, whole);
        ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
        bounce_signs_part(&signs, &tnef, whole);
        ck_assert_msg(bounce_signs_class(&signs) == forms[i].class, "form %zu", i);
        for (size_t length = 0; length < 20; length++) {
            struct bounce_signs cut = {0};
            char *exact = malloc(length + 1);
            memcpy(exact, forms[i].octets, length);
            bounce_signs_part(&cut, &tnef, (struct octets){exact, length});
            ck_assert_int_eq(bounce_signs_class(&cut), BOUNCE_OTHER);
            free(exact);
        }
    }
}
END_TEST

/* A Sieve reject is a receipt by its form and a bounce by its nature. */
START_TEST(a_refusal_of_a_daemon_is_a_dsn)
{
    static const char *const words[] = {"deleted",   "denied",    "failed",   "Deleted/error",
                                        "displayed", "processed", "deletedly"};
    struct bounce_part described = {"message/disposition-notification", "", "", false};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        for (int daemon = 0; daemon < 2; daemon++) {
            struct bounce_signs signs = {.from_daemon = daemon == 1};
            char text[100];
            snprintf(text, sizeof text, "Disposition: automatic-action/x; %s\n", words[i]);
            bounce_signs_part(&signs, &described, octets_of(text));
            ck_assert_msg(bounce_signs_class(&signs) ==
                              (daemon == 1 && i < 4 ? BOUNCE_DSN : BOUNCE_MDN),
                          "%s", words[i]);
        }
    }
}
END_TEST

START_TEST(a_complaint_in_its_makers_form)
{
    struct bounce_signs signs = {.from_address = true};
    struct field subject = {octets_of("Subject"),
                            octets_of(" complaint about message from 192.0.2.5")};
    bounce_signs_returned(&signs, octets_of("X-HmXmrOriginalRecipient: <carol@outlook.test>\n"));
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
    bounce_signs_field(&signs, &subject);
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_REPORT);
}
END_TEST

/* Amazon's WorkMail returns messages in the name of nobody. */
START_TEST(nobody_returns_a_message)
{
    struct bounce_signs signs = {0};
    struct field from = {octets_of("From"), octets_of(" remote.test")};
    bounce_signs_field(&signs, &from);
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
    bounce_signs_returned(&signs, octets_of("no header"));
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
    bounce_signs_returned(&signs, octets_of("Subject: x\n"));
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_DSN);
    from.value = octets_of("Bob <bob@remote.test>");
    bounce_signs_field(&signs, &from);
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
}
END_TEST

START_TEST(somebody_is_away)
{
    struct bounce_signs signs = {.auto_generated = true};
    struct field subject = {octets_of("Subject"), octets_of(" Automatic reply: Offer")};
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
    bounce_signs_field(&signs, &subject);
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_AUTOREPLY);
}
END_TEST

/* Structure before header. */
START_TEST(the_first_class_wins)
{
    struct bounce_signs signs = {
        .status = true,
        .receipt = true,
        .calendar = true,
        .report = true,
        .failed_recipients = true,
        .from_daemon = true,
        .autoreply = true,
        .inner_dsn = true,
    };
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_DSN);
    signs.status = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_MDN);
    signs.receipt = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_CALENDAR);
    signs.calendar = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_REPORT);
    signs.report = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_DSN);
    signs.failed_recipients = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_DSN);
    signs.from_daemon = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_AUTOREPLY);
    signs.autoreply = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_DSN);
    signs.inner_dsn = false;
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
}
END_TEST

START_TEST(qmail_is_known_by_its_opening)
{
    struct bounce_signs signs = {0};
    bounce_signs_opening(&signs, octets_of("Hello. This is the qmail-send program\n"));
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_OTHER);
    bounce_signs_opening(&signs, octets_of("\r\nHi. This is the qmail-send program at x.\r\n"));
    ck_assert_int_eq(bounce_signs_class(&signs), BOUNCE_DSN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bounce");
    TCase *collections = tcase_create("collections");
    tcase_add_checked_fixture(collections, setup, teardown);
    tcase_add_test(collections, an_id_is_kept_once_by_its_surest_label);
    tcase_add_test(collections, labelled_ids_are_never_pushed_out);
    tcase_add_test(collections, the_first_labelled_ids_stay);
    tcase_add_test(collections, an_id_can_be_too_long_or_empty);
    tcase_add_test(collections, an_id_is_dropped_only_if_it_is_not_sure_enough);
    tcase_add_test(collections, tags_and_evidence_are_bounded_and_distinct);
    tcase_add_test(collections, classes_have_names);
    suite_add_tcase(suite, collections);

    TCase *class = tcase_create("class");
    tcase_add_loop_test(class, field, 0, COUNT_OF(fields));
    tcase_add_loop_test(class, sender, 0, COUNT_OF(senders));
    tcase_add_loop_test(class, part, 0, COUNT_OF(parts));
    tcase_add_test(class, outlooks_own_form);
    tcase_add_test(class, a_refusal_of_a_daemon_is_a_dsn);
    tcase_add_test(class, a_complaint_in_its_makers_form);
    tcase_add_test(class, nobody_returns_a_message);
    tcase_add_test(class, somebody_is_away);
    tcase_add_test(class, the_first_class_wins);
    tcase_add_test(class, qmail_is_known_by_its_opening);
    suite_add_tcase(suite, class);
    return suite_run(suite);
}
