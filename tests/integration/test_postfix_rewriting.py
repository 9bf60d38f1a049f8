"""Addresses that Postfix completes or rewrites before it delivers: judged as Postfix understands
them, or they would pass by unseen."""

import pytest

from batvtest import util
from batvtest.postfix import INSIDE, STRANGER
from batvtest.site import Site

FORMS = ["<alice>", "<alice%example.com>", "<example.com!alice>", "<alice@(x)example.com>",
         "<alice@example.com (x)>", "<alice@ example.com>", "<alice@example.com,>"]


@pytest.fixture(scope="module")
def site():
    with Site(main={"myorigin": "example.com"}) as whole:
        yield whole


def speak(site, sender, rcpt, *, source=None):
    """A message with MAIL and RCPT to the letter; (last reply's code, its text, subject)."""
    subject = util.unique()
    options = {"source": source} if source else {"xclient": STRANGER}
    with site.postfix.session(**options) as session:
        reply = session.command(f"MAIL FROM:{sender}")
        if reply.ok:
            reply = session.command(f"RCPT TO:{rcpt}")
        if reply.ok:
            reply = session.data(f"Subject: {subject}\n\nHello.\n".encode())
    return reply.code, reply.text, subject


@pytest.mark.parametrize("rcpt", FORMS)
def test_forged_bounce(site, rcpt):
    code, text, _ = speak(site, "<>", rcpt)
    assert code in (501, 550), text
    if code == 550:
        assert text.startswith("5.7.1"), text


def test_a_null_sender_with_a_blank(site):
    code, text, _ = speak(site, "< >", "<alice@example.com>")
    assert code in (501, 550), text


@pytest.mark.parametrize("rcpt", ["<prvs=1234abcdef=nouser>",
                                  "<prvs=1234abcdef=nouser@example.com (x)>",
                                  "<prvs=1234abcdef=nouser%example.com>"])
def test_forged_tag_of_an_unknown_user_makes_no_bounce(site, rcpt):
    code, _, subject = speak(site, "<forged@victim.test>", rcpt)
    assert code in (501, 550)
    site.postfix.wait_idle()
    assert not [m for m in site.sink.messages(sender="") if subject.encode() in m.data]


def test_ordinary_mail_to_a_bare_user_still_arrives(site):
    code, text, subject = speak(site, "<x@other.test>", "<alice>")
    assert code == 250, text
    site.postfix.wait_one("alice@example.com", subject)


def test_bounce_to_a_bare_tag_is_restored(site):
    tagged = site.tagged().partition("@")[0]
    code, text, subject = speak(site, "<>", f"<{tagged}>")
    assert code == 250, text
    site.postfix.wait_one("alice@example.com", subject)


@pytest.mark.parametrize("sender", ["<alice>", "<alice%example.com>"])
def test_a_sender_that_postfix_completes_is_signed(site, sender):
    code, text, subject = speak(site, sender, "<far@other.test>", source=INSIDE)
    assert code == 250, text
    arrived = site.sink.wait_one(subject=subject)
    site.batvd.check_tag(arrived.mail_from, "alice@example.com", when=arrived.arrived)
