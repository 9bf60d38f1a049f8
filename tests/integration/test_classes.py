"""The class of a bounce, by kinds: what a message is made of tells it, in whatever encoding, container
or spelling it comes; a header alone tells less. All by inspect, which reads as the daemon does."""

import base64
import quopri
import struct

import pytest

from batvtest.daemon import Batvd

BOB = "Bob <bob@remote.test>"
DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.remote.test>"
POSTMASTER = "postmaster@remote.test"
RETURNED = "From: alice@example.com\nMessage-ID: <1@x.test>\nSubject: Offer\n\nHello\n"


@pytest.fixture(scope="module")
def reader():
    instance = Batvd()
    instance.ctl("key", "init", rc=0)
    yield instance
    instance.close()


def class_of(reader, message):
    path = reader.folder / "message.eml"
    path.write_bytes(message if isinstance(message, bytes) else message.encode())
    return reader.ctl("inspect", path, json=True)["class"]


def head(sender=BOB, *fields, subject="x"):
    lines = ["To: alice@example.com", f"Subject: {subject}", "Message-ID: <own@mx.test>",
             "MIME-Version: 1.0", *fields]
    return "\n".join(([f"From: {sender}"] if sender is not None else []) + lines) + "\n"


# -- parts in every form --------------------------------------------------------------------------

def encoded(content, charset="utf-8", transfer="7bit", mark=""):
    """Content as octets, and the field that says how."""
    octets = (mark + content).encode(charset)
    if transfer == "base64":
        octets = base64.encodebytes(octets)
    elif transfer == "quoted-printable":
        octets = quopri.encodestring(octets)
    return octets, f"Content-Transfer-Encoding: {transfer}\n"


ENCODINGS = {
    "plain": {}, "base64": {"transfer": "base64"}, "mark": {"mark": "\ufeff"},
    "quoted-printable": {"transfer": "quoted-printable"},
    "mark in base64": {"transfer": "base64", "mark": "\ufeff"},
    "empty lines and a mark": {"mark": "\n\ufeff\n"},
    "UTF-16": {"charset": "utf-16", "transfer": "base64"},
    "UTF-16LE": {"charset": "utf-16-le", "transfer": "base64"},
    "UTF-16BE": {"charset": "utf-16-be", "transfer": "base64"},
    "UTF-16BE with a mark": {"charset": "utf-16-be", "transfer": "base64", "mark": "\ufeff"},
    "UTF-16, 8bit": {"charset": "utf-16-be", "transfer": "binary"},
    "UTF-16 in quoted-printable": {"charset": "utf-16", "transfer": "quoted-printable"},
    "UTF-32": {"charset": "utf-32", "transfer": "base64"},
    "UTF-7": {"charset": "utf-7"},
    "EBCDIC": {"charset": "cp500", "transfer": "base64"},
}


def as_alone(part, kind):
    return head(*kind["head"]).encode() + part


def as_mixed(part, kind):
    return head(*kind["head"], "Content-Type: multipart/mixed; boundary=b").encode() \
        + b"\n--b\nContent-Type: text/plain\n\nread\n--b\n" + part + b"\n--b--\n"


def as_report(part, kind):
    return head(*kind["head"], f"Content-Type: multipart/report; boundary=\"b\";\n {kind['report']}") \
        .encode() + b"\n--b\n\nread\n--b\n" + part + b"\n--b--\n"


def as_nested(part, kind):
    return head(*kind["head"], "Content-Type: multipart/mixed; boundary=\"a b\"").encode() \
        + b"\n--a b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nread\n--b\n" + part \
        + b"\n--b--\n--a b--\n"


def as_signed(part, kind):
    return head(*kind["head"], "Content-Type: multipart/signed; boundary=s").encode() \
        + b"\n--s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n" + part + b"\n--b--\n" \
        + b"--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n"


def as_first_of_many(part, kind):
    return head(*kind["head"], "Content-Type: MULTIPART/MIXED; BOUNDARY=b").encode() \
        + b"\npreamble\n--b\n" + part + b"\n--b\n\ntext\n" * 5


def without_boundary(part, kind):
    return head(*kind["head"], "Content-Type: multipart/mixed").encode() \
        + b"\nThis is a message in parts.\n\n--b\n\nread\n--b\n" + part + b"\n--b--\n"


CONTAINERS = [as_alone, as_mixed, as_report, as_nested, as_signed, as_first_of_many,
              without_boundary]
CALENDAR = ("BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:REPLY\nBEGIN:VEVENT\nUID:u1@example.com\n"
            "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@remote.test\nEND:VEVENT\nEND:VCALENDAR\n")
DISPOSITION = "Disposition: manual-action/MDN-sent-manually; displayed\n"
KINDS = {
    "receipt": {"class": "mdn", "type": "message/disposition-notification",
                "report": "report-type=disposition-notification",
                "text": "Final-Recipient: rfc822; bob@remote.test\n" + DISPOSITION},
    "receipt by Disposition alone": {"class": "mdn", "type": "Message/Disposition-Notification",
                                     "report": "x=y", "text": DISPOSITION},
    "receipt in groups": {"class": "mdn", "type": "message/global-disposition-notification",
                          "report": "Report-Type=\"Disposition-Notification\"",
                          "text": "Reporting-UA: x\n\nDISPOSITION:\n automatic-action/"
                                  "MDN-sent-automatically\n ; displayed\n"},
    "receipt by a postmaster": {"class": "mdn", "type": "message/disposition-notification",
                                "report": "report-type=disposition-notification",
                                "from": POSTMASTER, "text": DISPOSITION},
    "deleted unread": {"class": "mdn", "type": "message/disposition-notification",
                       "report": "report-type=disposition-notification",
                       "text": DISPOSITION.replace("displayed", "deleted")},
    "Sieve's reject": {"class": "dsn", "type": "message/disposition-notification",
                       "report": "report-type=disposition-notification",
                       "from": f"Mail Sieve Subsystem <{POSTMASTER}>",
                       "text": "Final-Recipient: rfc822; bob@remote.test\nDisposition: "
                               "automatic-action/MDN-sent-automatically;\n deleted\n"},
    "failed": {"class": "dsn", "type": "message/disposition-notification", "report": "x=y",
               "from": DAEMON, "text": "Disposition: automatic-action/MDN-sent-automatically;"
                                       "FAILED/error\n"},
    "denied": {"class": "dsn", "type": "message/disposition-notification", "report": "x=y",
               "from": DAEMON, "text": "disposition : manual-action/MDN-sent-manually ; denied\n"},
    "calendar": {"class": "calendar", "type": "text/calendar; method=REPLY", "report": "x=y",
                 "text": CALENDAR},
    "calendar by a postmaster": {"class": "calendar", "type": "TEXT/CALENDAR", "report": "x=y",
                                 "from": POSTMASTER, "text": CALENDAR},
    "counter": {"class": "calendar", "type": "text/calendar", "report": "x=y",
                "text": CALENDAR.replace("METHOD:REPLY", "method;x=\"a:b\":counter ")},
    "folded method": {"class": "calendar", "type": "application/ics; name=invite.ics",
                      "report": "x=y", "text": CALENDAR.replace("METHOD:REPLY", "METH\n OD:\n\tREPLY")},
    "delivery status": {"class": "dsn", "type": "message/delivery-status", "report": "x=y",
                        "text": "Reporting-MTA: dns; x.test\n\nFinal-Recipient: rfc822; b@x.test\n"},
    "complaint": {"class": "report", "type": "message/feedback-report",
                  "report": "report-type=feedback-report", "from": DAEMON,
                  "text": "Version: 1\nFeedback-Type: abuse\nUser-Agent: x/1\n"},
    "TLS report": {"class": "report", "type": "application/tlsrpt+json", "report":
                   "report-type=tlsrpt", "from": POSTMASTER,
                   "text": "{\"organization-name\": \"x\"}\n"},
    "DMARC report": {"class": "report", "type": "text/xml;\n name=\"x.test!example.com!1!2.xml\"",
                     "report": "x=y", "from": POSTMASTER,
                     "text": "<?xml version=\"1.0\"?>\n<feedback>\n</feedback>\n"},
    "request": {"class": "other", "type": "text/calendar; method=REPLY", "report": "x=y",
                "text": CALENDAR.replace("REPLY", "REQUEST")},
    "no Disposition": {"class": "other", "type": "message/disposition-notification",
                       "report": "report-type=disposition-notification",
                       "text": "Final-Recipient: rfc822; bob@remote.test\n"},
    "no Feedback-Type": {"class": "other", "type": "message/feedback-report",
                         "report": "report-type=feedback-report", "text": "Version: 1\n"},
}


@pytest.mark.parametrize("name", KINDS)
def test_structure(reader, name):
    """In each encoding and each container, by each kind of line end."""
    kind = {"head": (KINDS[name].get("from", BOB),), **KINDS[name]}
    wrong = []
    for coding, options in ENCODINGS.items():
        octets, field = encoded(kind["text"], **options)
        charset = options.get("charset", "utf-8").replace("cp", "ibm")
        # Not for octets in which a line end is none.
        ends = (b"\n", b"\r\n", b"\r") if charset == "utf-8" else (b"\n",)
        for container in CONTAINERS if coding == "plain" else [as_alone, as_mixed]:
            part = (f"Content-Type: {kind['type']}; charset={charset}\n{field}\n").encode() + octets
            for end in ends if container is as_mixed else ends[:1]:
                read = class_of(reader, container(part, kind).replace(b"\n", end))
                if read != kind["class"]:
                    wrong.append((coding, container.__name__, end, read))
    assert not wrong


def test_a_returned_receipt_is_none(reader):
    """What stands in a message within is the returned message's own affair."""
    for name in ("receipt", "calendar", "complaint"):
        kind = KINDS[name]
        part = f"Content-Type: {kind['type']}\n\n{kind['text']}"
        within = f"Content-Type: message/rfc822\n\nFrom: x@y.test\n{part}"
        assert class_of(reader, as_mixed(within.encode(), {"head": (BOB,)})) == "other", name
        assert class_of(reader, as_mixed(within.encode(), {"head": (DAEMON,)})) == "dsn", name


# -- TNEF -----------------------------------------------------------------------------------------

def attribute(number, data, level=1):
    return struct.pack("<BII", level, number, len(data)) + data \
        + struct.pack("<H", sum(data) & 0xffff)


def properties(text, wide=False, before=b"", count=1):
    value = (text + "\0").encode("utf-16-le" if wide else "ascii")
    tag = 0x001A001F if wide else 0x001A001E
    padding = b"\0" * (-len(value) % 4)
    return attribute(0x00069003, struct.pack("<I", count) + before
                     + struct.pack("<III", tag, 1, len(value)) + value + padding)


def tnef(*attributes):
    return struct.pack("<IH", 0x223E9F78, 1) + attribute(0x00089006, struct.pack("<I", 0x10000)) \
        + b"".join(attributes)


def message_class(text):
    return attribute(0x00078008, text.encode() + b"\0")


OTHER_PROPERTY = struct.pack("<III", 0x0070001E, 1, 8) + b"Offer\0\0\0"
TNEFS = {
    "receipt": ("mdn", tnef(message_class("IPM.Microsoft Mail.Read Receipt"))),
    "receipt by property": ("mdn", tnef(properties("REPORT.IPM.Note.IPNRN"))),
    "not read": ("mdn", tnef(properties("REPORT.IPM.Note.IPNNRN", wide=True))),
    "in capitals": ("mdn", tnef(properties("REPORT.IPM.NOTE.IPNRN"))),
    "of a note of its own": ("mdn", tnef(properties("Report.IPM.Note.Custom.IPNRN",
                                                    before=OTHER_PROPERTY, count=2))),
    "answer": ("calendar", tnef(message_class("IPM.Microsoft Schedule.MtgRespP"))),
    "answer, no": ("calendar", tnef(message_class("IPM.Microsoft Schedule.MtgRespN"))),
    "answer by property": ("calendar", tnef(
        message_class("IPM.Microsoft Mail.Read Receipt"),
        properties("IPM.Schedule.Meeting.Resp.Tent", before=OTHER_PROPERTY, count=2))),
    "answer in UTF-16": ("calendar", tnef(message_class("IPM.Microsoft Mail.Note"),
                                          properties("IPM.Schedule.Meeting.Resp.Neg", wide=True))),
    "request": ("other", tnef(message_class("IPM.Microsoft Schedule.MtgReq"))),
    "note": ("other", tnef(message_class("IPM.Microsoft Mail.Note"), properties("IPM.Note"))),
    "receipt's name in a note's text": ("other", tnef(
        message_class("IPM.Microsoft Mail.Note"),
        attribute(0x0002800C, b"IPM.Microsoft Mail.Read Receipt"))),
    "nothing": ("other", tnef()),
    "no TNEF": ("other", b"REPORT.IPM.Note.IPNRN"),
    "cut off": ("other", tnef(message_class("IPM.Microsoft Mail.Read Receipt"))[:30]),
}


@pytest.mark.parametrize("name", TNEFS)
def test_tnef(reader, name):
    expected, octets = TNEFS[name]
    wrong = []
    for kind in ("application/ms-tnef", "application/ms-tnef; name=winmail.dat",
                 "Application/MS-TNEF; name=\"WINMAIL.DAT\"", "application/vnd.ms-tnef",
                 "application/octet-stream; name=winmail.dat",
                 "application/octet-stream\nContent-Disposition: attachment; filename=winmail.dat"):
        part = f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\n\n".encode() \
            + base64.encodebytes(octets)
        for container in (as_alone, as_mixed, as_nested):
            read = class_of(reader, container(part, {"head": (BOB,)}))
            if read != expected:
                wrong.append((kind, container.__name__, read))
    assert not wrong


# -- by the header --------------------------------------------------------------------------------

def encoded_word(text, charset="utf-8"):
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?="


AWAY = [
    "Automatic reply: Offer", "AUTOMATIC REPLY: x", "Re: Automatic reply: x", "Auto-Reply: x",
    "Autoreply: x", "Auto: Out of office", "Out of Office: x", "Out of Office AutoReply: x",
    "Out-of-Office", "[Auto-Reply] x", "I am out of the office", "On vacation: x", "Away from my mail",
    "Automatische Antwort: x", "AW: Automatische Antwort: x", "Abwesenheitsnotiz: x",
    "Abwesend: x", "R\u00e9ponse automatique : x",
    "Absence du bureau", "Automatisch antwoord: x", "Afwezig: x", "Risposta automatica: x",
    "Respuesta autom\u00e1tica: x", "Fuera de la oficina", "Resposta autom\u00e1tica: x",
    "Automatisk svar: x", "Autosvar: x", "Automatiskt svar: x", "Automaattinen vastaus: x",
    "Automatyczna odpowied\u017a: x", "Odpowied\u017a automatyczna: x",
    "Automatick\u00e1 odpov\u011b\u010f: x", "Automatikus v\u00e1lasz: x", "R\u0103spuns automat: x",
    "Otomatik yan\u0131t: x",
    "\u0410\u0432\u0442\u043e\u043c\u0430\u0442\u0438\u0447\u0435\u0441\u043a\u0438\u0439 "
    "\u043e\u0442\u0432\u0435\u0442: x", "\u0410\u0432\u0442\u043e\u043e\u0442\u0432\u0435\u0442: x",
    "\u0391\u03c5\u03c4\u03cc\u03bc\u03b1\u03c4\u03b7 \u03b1\u03c0\u03ac\u03bd\u03c4\u03b7\u03c3\u03b7: x",
    "\u81ea\u52d5\u5fdc\u7b54: x", "\u81ea\u52d5\u8fd4\u4fe1: x", "\u81ea\u52a8\u7b54\u590d: x",
    "\u81ea\u52d5\u56de\u8986: x", "\uc790\ub3d9 \ud68c\uc2e0: x",
]
NOT_AWAY = ["Offer", "Your automatic replies", "Invoice 4711", "About the out of office tool", ""]


@pytest.mark.parametrize("subject", AWAY)
def test_away(reader, subject):
    for written in ("\n " + subject, encoded_word(subject)):
        text = head(BOB, "Auto-Submitted: auto-generated", subject=written)
        assert class_of(reader, text + "\nI am away.\n") == "autoreply", written
    # A subject alone is anybody's.
    assert class_of(reader, head(BOB, subject=subject) + "\nI am away.\n") == "other"


@pytest.mark.parametrize("subject", NOT_AWAY)
def test_generated_but_not_away(reader, subject):
    text = head(BOB, "Auto-Submitted: auto-generated", subject=subject)
    assert class_of(reader, text + "\ntext\n") == "other"


@pytest.mark.parametrize("fields", [
    "Auto-Submitted: auto-replied", "auto-submitted: AUTO-REPLIED (vacation)",
    "Auto-Submitted:\n auto-replied; owner-email=\"x@y.test\"", "Auto-Submitted: (x) auto-replied",
    "X-Autoreply: yes", "X-Autorespond: x", "X-AutoReply-From: x@y.test",
    "X-Mail-Autoreply: autoreply", "X-Autoresponder: x", "Precedence: auto_reply",
    "Precedence: auto-reply", "Precedence: bulk\nX-Precedence: auto_reply",
    "Preference: auto_reply",
    "X-Auto-Response-Suppress: All", "X-MS-Exchange-Inbox-Rules-Loop: bob@remote.test",
    "X-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent",
    "X-Autogenerated: Reply", "X-POST-MessageClass: 9; Autoresponder",
])
def test_autoreplies_by_their_fields(reader, fields):
    assert class_of(reader, head(BOB, fields) + "\ntext\n") == "autoreply"
    assert class_of(reader, head(DAEMON, fields) + "\ntext\n") == "dsn"


@pytest.mark.parametrize("sender", [
    DAEMON, POSTMASTER, "MAILER-DAEMON", "<MAILER-DAEMON>", "\"Mail\" <MailEr-DAEMON@x.test>",
    "postmaster@x.test (Mail)", "MAILER-DAEMON@x.test (Mail (x) y)", "=?utf-8?q?x?= <postmaster@x>",
    "MAILER-DAEMON <>", "<@relay.test:postmaster@x.test>", "Mail\n\t<postmaster@x.test>",
])
def test_dsn_by_from(reader, sender):
    assert class_of(reader, head(sender) + "\ntext\n") == "dsn"


@pytest.mark.parametrize("sender", [
    BOB, "postmasters@x.test", "\"postmaster\" <bob@x.test>", "postmaster <bob@x.test>",
    "not-mailer-daemon@x.test", "bob@postmaster.test",
])
def test_no_dsn_by_from(reader, sender):
    assert class_of(reader, head(sender) + "\ntext\n") == "other"


def test_other_words_of_dsns(reader):
    assert class_of(reader, head(BOB, "X-Failed-Recipients: x@y.test") + "\ntext\n") == "dsn"
    qmail = "\nHi. This is the qmail-send program at x.test.\n"
    assert class_of(reader, head(BOB) + qmail) == "dsn"
    assert class_of(reader, head(BOB, "Content-Type: multipart/mixed; boundary=b")
                    + "\n--b\n" + qmail + "--b--\n") == "dsn"


def copied(sender, returned, *fields, kind="message/rfc822", coding="7bit", subject="x"):
    octets, _ = encoded(returned, transfer=coding)
    return (head(sender, *fields, "Content-Type: multipart/mixed; boundary=b", subject=subject)
            + f"\n--b\n\nAn error occurred.\n--b\nContent-Type: {kind}\n"
            + f"Content-Transfer-Encoding: {coding}\n\n").encode() + octets + b"\n--b--\n"


@pytest.mark.parametrize("sender", ["remote.test", "", "<>", "\"remote.test\"", "remote.test (x)",
                                    "Mail Delivery", "<remote.test>", None])
def test_who_returns_a_message_and_is_nobody(reader, sender):
    """As Amazon's WorkMail does: From has no address. A person's answer has one."""
    for kind in ("message/rfc822", "text/rfc822-headers", "message/global"):
        assert class_of(reader, copied(sender, RETURNED, kind=kind)) == "dsn"
    assert class_of(reader, copied(sender, RETURNED, coding="base64")) == "dsn"
    assert class_of(reader, copied(BOB, RETURNED)) == "other"
    assert class_of(reader, head(sender) + "\ntext\n") == "other"
    assert class_of(reader, copied(sender, RETURNED, "Auto-Submitted: auto-replied")) == "dsn"


def test_workmail_by_its_field(reader):
    field = "X-Mailer: Amazon WorkMail"
    assert class_of(reader, copied(BOB, RETURNED, field,
                                   subject="Undelivered Mail Returned to Sender")) == "dsn"
    assert class_of(reader, copied(BOB, RETURNED, field)) == "other"
    assert class_of(reader, head(BOB, field) + "\ntext\n") == "other"


HOTMAIL = "X-HmXmrOriginalRecipient: <carol@outlook.test>\n" + RETURNED


@pytest.mark.parametrize("sender,subject", [
    ("<staff@hotmail.test>", "complaint about message from 192.0.2.5"),
    ("staff@hotmail.com", "x"), ("x@y.test", "Complaint about message from 192.0.2.5"),
    ("x@y.test", encoded_word("complaint about message from 2001:db8::1")),
    (DAEMON, "complaint about message from 192.0.2.5"),
])
def test_outlooks_complaints(reader, sender, subject):
    for kind in ("message/rfc822", "text/rfc822-headers"):
        assert class_of(reader, copied(sender, HOTMAIL, kind=kind, subject=subject)) == "report"
    assert class_of(reader, copied(sender, HOTMAIL, coding="base64", subject=subject)) == "report"
    # Without the returned copy, or with another, there is no complaint.
    other = class_of(reader, head(sender, subject=subject) + "\ntext\n")
    assert other in ("other", "dsn")
    assert class_of(reader, copied(sender, RETURNED, subject=subject)) == other


def test_a_returned_copy_alone_is_no_complaint(reader):
    assert class_of(reader, copied(BOB, HOTMAIL)) == "other"


@pytest.mark.parametrize("fields", [
    ["Content-Type: multipart/report; report-type=disposition-notification; boundary=b"],
    ["Content-Type: multipart/report; report-type=feedback-report; boundary=b"],
    ["Content-Type: message/disposition-notification"], ["Content-Type: message/feedback-report"],
    ["Content-Type: text/calendar; method=REPLY"], ["Content-Type: application/ms-tnef"],
    ["Content-Type: application/zip; name=\"x.test!example.com!1!2.zip\""],
    ["Content-Type: application/tlsrpt+gzip"], ["X-MS-TNEF-Correlator: <1@x>"],
    ["Content-Class: urn:content-classes:mdn"], ["Disposition: manual-action/x; displayed"],
    ["Feedback-Type: abuse"], ["Subject: Read: Offer"], ["X-HmXmrOriginalRecipient: x@y.test"],
])
def test_a_header_alone_gives_no_class(reader, fields):
    for body in ("", "\n", "\ntext\n", "\n--b\n\ntext\n--b--\n",
                 "\nMETHOD:REPLY\nDisposition = displayed\n"):
        assert class_of(reader, head(BOB, *fields) + body) == "other"
