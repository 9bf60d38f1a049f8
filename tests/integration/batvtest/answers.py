"""What comes back for a message, written by hand as other people's programs write it.

Each function takes the original as the far end got it (octets), and gives octets. Where the answer
names the original at all is what they differ in.
"""

import email
import email.policy
import re

from . import util

HEADER = "X-Batv-Evidence"
FAR = "far@other.test"


def headers_of(original):
    """The header of a message as text, with its folding."""
    text = original.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return text.partition("\n\n")[0] + "\n"


def without(headers, *names):
    """The same without these fields."""
    kept = []
    dropped = False
    for line in headers.splitlines(keepends=True):
        if not line[0].isspace():
            dropped = line.partition(":")[0].lower() in [name.lower() for name in names]
        if not dropped:
            kept.append(line)
    return "".join(kept)


def field(headers, name):
    """The first value of a field, unfolded; None where there is none."""
    message = email.message_from_string(headers + "\n", policy=email.policy.compat32)
    value = message[name]
    return None if value is None else re.sub(r"\s*\n\s+", " ", value)


def message_id(original):
    return field(headers_of(original), "Message-ID")


def _message(fields, body):
    fields = [("Date", "Sun, 22 Nov 2026 12:00:00 +0000"), ("MIME-Version", "1.0"), *fields]
    head = "".join(f"{name}: {value}\n" for name, value in fields if value is not None)
    return (head + "\n" + body).encode("utf-8", "surrogateescape")


def _parts(boundary, *parts):
    text = "".join(f"--{boundary}\n{part.rstrip(chr(10))}\n\n" for part in parts)
    return f"{text}--{boundary}--\n"


def bounce(original, *, to, subject, returned=None, failed=FAR):
    """A delivery status notification with the original's header; `returned`: that header instead.
    An empty one: without that part."""
    returned = headers_of(original) if returned is None else returned
    parts = ["Content-Type: text/plain; charset=us-ascii\n\n"
             f"The following address failed: {failed}",
             "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.other.test\n\n"
             f"Final-Recipient: rfc822; {failed}\nAction: failed\nStatus: 5.1.1"]
    if returned:
        parts.append("Content-Type: text/rfc822-headers\n\n" + returned)
    return _message([
        ("From", "Mail Delivery System <MAILER-DAEMON@mx.other.test>"), ("To", to),
        ("Subject", subject), ("Message-ID", f"<{util.unique('dsn')}@mx.other.test>"),
        ("Auto-Submitted", "auto-replied"),
        ("Content-Type", 'multipart/report; report-type=delivery-status; boundary="=dsn"'),
    ], _parts("=dsn", *parts))


def receipt_of_exchange(original, *, to, subject):
    """Exchange's read receipt: no header of the original, its Message-ID in two places."""
    original_id = message_id(original)
    return _message([
        ("From", f"Bob Far <{FAR}>"), ("To", f"Alice <{to}>"), ("Subject", subject),
        ("Thread-Topic", subject.removeprefix("Read: ")), ("Thread-Index", "AQHcWs2Zx0b+4kWfQk+Y"),
        ("Message-ID", f"<{util.unique('DB7PR04MB')}@DB7PR04MB5162.eurprd04.prod.other.test>"),
        ("In-Reply-To", original_id), ("References", original_id), ("Content-Language", "en-US"),
        ("X-MS-Has-Attach", ""), ("X-MS-TNEF-Correlator", ""),
        ("Content-Type", "multipart/report;\n\tboundary=\"_000_DB7PR04MB5162_\";\n"
                         "\treport-type=disposition-notification"),
    ], _parts(
        "_000_DB7PR04MB5162_",
        "Content-Type: multipart/alternative; boundary=\"_002_DB7PR04MB5162_\"\n\n" + _parts(
            "_002_DB7PR04MB5162_",
            'Content-Type: text/plain; charset="us-ascii"\n'
            "Content-Transfer-Encoding: quoted-printable\n\n"
            "Your message\n\n   To: Bob Far\n   Sent: Sunday, 22 November 2026 12:00:00\n\n"
            " was read on Sunday, 22 November 2026 12:01:00.",
            'Content-Type: text/html; charset="us-ascii"\n'
            "Content-Transfer-Encoding: quoted-printable\n\n"
            "<html><body><p>Your message<br>was read on Sunday, 22 November 2026 =\n"
            "12:01:00.</p></body></html>"),
        "Content-Type: message/disposition-notification\n\n"
        f"Final-recipient: RFC822;{FAR}\n"
        "Disposition: automatic-action/MDN-sent-automatically; displayed\n"
        f"X-MSExch-Correlation-Key: Zg6vTZkLPEyh4bxw2FsFOg==\nOriginal-Message-ID: {original_id}\n"
        "X-Display-Name: Bob Far"))


def receipt_of_thunderbird(original, *, to, subject):
    """Thunderbird's: the original's whole header comes along as the third part."""
    original_id = message_id(original)
    return _message([
        ("From", f"Bob Far <{FAR}>"), ("To", to), ("Subject", subject),
        ("Message-ID", f"<{util.unique('5f2c')}@other.test>"), ("References", original_id),
        ("Content-Type", "multipart/report; report-type=disposition-notification;\n"
                         ' boundary="------------mdn000409070301050103020104"'),
    ], "This is a multi-part message in MIME format.\n" + _parts(
        "------------mdn000409070301050103020104",
        "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 7bit\n\n"
        "This is a Return Receipt for the mail that you sent to far@other.test.\n\n"
        "Note: This Return Receipt only acknowledges that the message was displayed on the\n"
        "recipient's computer.",
        'Content-Type: message/disposition-notification; name="MDNPart2.txt"\n'
        "Content-Disposition: inline\nContent-Transfer-Encoding: 7bit\n\n"
        "Reporting-UA: other.test; Mozilla Thunderbird\n"
        f"Final-Recipient: rfc822;{FAR}\nOriginal-Message-ID: {original_id}\n"
        "Disposition: manual-action/MDN-sent-manually; displayed",
        'Content-Type: text/rfc822-headers; name="MDNPart3.txt"\n'
        "Content-Transfer-Encoding: 7bit\nContent-Disposition: inline\n\n" + headers_of(original)))


def out_of_office(original, *, to, subject):
    """Exchange's automatic reply."""
    original_id = message_id(original)
    return _message([
        ("From", f"Bob Far <{FAR}>"), ("To", f"Alice <{to}>"), ("Subject", subject),
        ("Thread-Topic", subject), ("Thread-Index", "AQHcWs2ZZ9Y="),
        ("Message-ID", f"<{util.unique('c0ffee')}@AM6PR05MB4920.eurprd05.prod.other.test>"),
        ("References", original_id), ("In-Reply-To", original_id),
        ("X-Auto-Response-Suppress", "All"), ("auto-submitted", "auto-generated"),
        ("X-MS-Exchange-Inbox-Rules-Loop", FAR), ("X-MS-Exchange-Parent-Message-Id", original_id),
        ("Content-Type", 'multipart/alternative;\n\tboundary="_000_c0ffee_"'),
    ], _parts(
        "_000_c0ffee_",
        'Content-Type: text/plain; charset="iso-8859-1"\n'
        "Content-Transfer-Encoding: quoted-printable\n\nI am out of the office until Monday.",
        'Content-Type: text/html; charset="iso-8859-1"\n'
        "Content-Transfer-Encoding: quoted-printable\n\n"
        "<html><body>I am out of the office until Monday.</body></html>"))


def vacation(original, *, to, subject, quoted=True):
    """An RFC 3834 responder that names no original in its header, and quotes the original's in its
    text, or nothing of it."""
    names = ("From", "To", "Subject", "Date", "Message-ID")
    headers = headers_of(original)
    quote = "".join(f"> {name}: {field(headers, name)}\n" for name in names) + ">\n> Hello.\n"
    return _message([
        ("From", FAR), ("To", to), ("Subject", subject),
        ("Message-ID", f"<{util.unique('vac')}@other.test>"),
        ("Auto-Submitted", "auto-replied (vacation)"), ("Precedence", "bulk"),
        ("Content-Type", "text/plain; charset=utf-8"),
    ], "I am away, and shall read this later:\n\n" + (quote if quoted else ""))


def calendar_answer(original, *, to, subject):
    """Somebody has accepted an invitation."""
    return _message([
        ("From", f"Bob Far <{FAR}>"), ("To", to), ("Subject", subject),
        ("Message-ID", f"<{util.unique('cal')}@other.test>"),
        ("In-Reply-To", original and message_id(original)),
        ("Content-Type", 'multipart/alternative; boundary="=cal"'),
    ], _parts("=cal", "Content-Type: text/plain\n\nBob has accepted.",
              'Content-Type: text/calendar; charset="utf-8"; method=REPLY\n\n'
              "BEGIN:VCALENDAR\nMETHOD:REPLY\nVERSION:2.0\nPRODID:-//Test//EN\nBEGIN:VEVENT\n"
              "UID:040000008200E00074C5B7101A82E008\nDTSTAMP:20261122T120000Z\n"
              f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{FAR}\nORGANIZER:mailto:{to}\n"
              "DTSTART:20261201T090000Z\nSEQUENCE:0\nEND:VEVENT\nEND:VCALENDAR"))


def unsolicited(*, sender="alice@example.com"):
    """An original that was never sent by us: what a spammer forged, as it came to the far end."""
    return (f"Received: from bot.test by mx.other.test; Sun, 22 Nov 2026 11:59:00 +0000\n"
            f"From: Alice <{sender}>\nTo: {FAR}\nSubject: cheap things\n"
            f"Date: Sun, 22 Nov 2026 11:59:00 +0000\nMessage-ID: <{util.unique('bot')}@bot.test>\n"
            "\nBuy.\n").encode()
