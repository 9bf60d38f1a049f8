"""Mail with a null sender that proves nothing: what its sender is told, and the settings in the manual
by which it is accepted."""

import pytest

from batvtest import manual
from batvtest.milter import MilterSession

ALICE = "<alice@example.com>"
TITLE = "Mail with a null sender that answers nothing"
OUTSIDE = ("mx.other.test", "192.0.2.9", 4711)
BASE = """
user = "nobody"; listen = "@SOCKET@"; state_dir = "@STATE@"; domains = ( "example.com" );
log: { target = "stderr"; level = "debug"; };
journal: { retain_days = 12; };
"""
REJECT = 'verify: { action = "reject"; text = "own words"; };\n'
REGISTRATION = [("From", "Shop <shop@other.test>"), ("To", "alice@example.com"),
                ("Subject", "Confirm your address"), ("Message-ID", "<reg.1@other.test>")]
RECEIPT = [("From", "bob@other.test"), ("Message-ID", "<receipt.1@other.test>"),
           ("Content-Type", 'multipart/report; report-type=disposition-notification; boundary="b"')]
RECEIPT_BODY = (b"--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
                b"Final-Recipient: rfc822; bob@other.test\r\n%s"
                b"Disposition: manual-action/MDN-sent-manually; displayed\r\n--b--\r\n")
NAMES = b"Original-Message-ID: <long.ago@example.com>\r\n"
DSN = [("From", "mailer-daemon@other.test"), ("Message-ID", "<dsn.1@other.test>")]


def give(instance, headers, body=b"Hello.\r\n", *, client=OUTSIDE, rcpt=ALICE, sender="<>"):
    """The milter's answer at the end, and the decision logged."""
    mark = instance.mark()
    with MilterSession(instance.milter, client=client) as session:
        out = session.message(sender, [rcpt], headers, body)
    return out, instance.wait_entry("verify", since=mark)


@pytest.mark.parametrize("sender", ["<>", "<mailer-daemon@other.test>"])
def test_the_rejection_says_what_is_missing(batvd, sender):
    instance = batvd(BASE + REJECT).start()
    out, entry = give(instance, REGISTRATION, sender=sender)
    assert (entry["class"], entry["rule"], entry["action"]) == ("other", "verify.action", "reject")
    assert out.verdict == "reject" and out.text == (
        "550 5.7.1 this site accepts mail from the null sender or a mailer-daemon only in answer to "
        "one of its own messages, shown by its Message-ID or a copy of its header; other mail needs a "
        "sender address"), out.text


@pytest.mark.parametrize("names, text", [
    (NAMES, "this answer names a message that this site does not know: it was not sent from here, or "
            "more than 12 days ago"),
    (b"", "own words")], ids=["names", "names nothing"])
def test_a_receipt_that_names_an_unknown_message(batvd, names, text):
    instance = batvd(BASE + REJECT.replace("text", 'class: { mdn = ""; }; text')).start()
    out, entry = give(instance, RECEIPT, RECEIPT_BODY % names)
    assert (entry["class"], entry["action"]) == ("mdn", "reject")
    assert out.text == f"550 5.7.1 {text}"


def test_a_bounce_has_the_text_of_the_configuration(batvd):
    instance = batvd(BASE + REJECT).start()
    out, entry = give(instance, DSN)
    assert (entry["class"], out.text) == ("dsn", "550 5.7.1 own words")


def test_settings_of_the_manual(batvd):
    excluded, logged = manual.blocks("batvd.8", TITLE)
    instance = batvd(BASE + REJECT + excluded).start()
    for client, rcpt, rule in (
            (("mail.registration.example", "192.0.2.1", 4711), ALICE,
             "exclude.hosts:*.registration.example"),
            (("out.exchange.example", "192.0.2.2", 4711), ALICE, "exclude.hosts:*.exchange.example"),
            (OUTSIDE, "<journal@example.com>", "exclude.recipients:journal@*"),
            (("relay.example", "198.51.100.25", 4711), ALICE, "exclude.networks:198.51.100.25"),
            (OUTSIDE, "<SRS0-x=y@example.com>", "exclude.recipients:SRS0-*@*")):
        out, entry = give(instance, REGISTRATION, client=client, rcpt=rcpt)
        assert out.verdict == "accept", out.text
        assert entry["rule"] == rule
    assert give(instance, REGISTRATION)[0].verdict == "reject"
    instance.stop()
    instance = batvd(BASE + logged.replace("{ class", '{ action = "reject"; class')).start()
    out, entry = give(instance, REGISTRATION)
    assert out.verdict == "accept", out.text
    assert (entry["rule"], entry["action"]) == ("verify.class.other", "log")
    assert give(instance, DSN)[0].verdict == "reject"
