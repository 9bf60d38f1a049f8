"""Tags that no key of ours made, on a real Postfix: its map makes them look like addresses that there
are, and hides the plain address from the tables of its own."""

import time

import pytest

from batvtest import answers, manual, tag, util
from batvtest.daemon import DAY
from batvtest.postfix import wait_quiet
from batvtest.site import Site

ALICE = "alice@example.com"
ALL = "all@example.com"                   # closed by a table of Postfix's
MADE_UP = "prvs=0000aaaaaa="
VICTIM = "mailer-daemon@victim.test"
ONE_KEY = {"keys": {"rotate_days": 0}}    # a newer one would be from the future, once time goes back
NOON = int(time.time()) // DAY * DAY + DAY // 2


@pytest.fixture(scope="module")
def whole_site():
    closed = "check_recipient_access inline:{all@example.com=reject}"
    with Site({"verify": {"action": "auto", "forged": "auto"}, **ONE_KEY}, fake_time=True,
              mailboxes=(ALICE, ALL), main={"smtpd_recipient_restrictions": closed}) as site:
        site.batvd.kill9()
        site.batvd.set_clock(NOON)
        site.batvd.start()
        yield site


@pytest.fixture
def site(whole_site):
    """Its domain has signed for a day."""
    sign(whole_site)
    yield whole_site
    whole_site.ctl("resume")
    whole_site.reset()


@pytest.fixture
def old_site(whole_site):
    """The same after the time of `auto`, whether or not a tag has come back."""
    sign(whole_site)
    after(whole_site, 8)
    yield whole_site
    whole_site.reset()
    after(whole_site, 0)


def sign(site):
    """A message, of which the ring knows that the domain signs."""
    site.tagged()
    util.wait_for(lambda: "domain example.com " in (site.batvd.state / "keyring").read_text("ascii"),
                  5, "the first signed message in the ring")


def after(site, days):
    site.batvd.kill9()
    site.batvd.set_clock(NOON + days * DAY)
    site.batvd.start()


def sent_by(site, who, rcpt):
    way = {"authenticated": site.submit, "inside": site.submit_inside,
           "stranger": lambda sender, rcpt: site.receive(sender, rcpt)}[who]
    return way("bob@other.test" if who == "stranger" else ALICE, rcpt)


def assert_closed(site, sent, code):
    assert (sent.stage, sent.code) == ("end", code), sent
    assert sent.text.startswith("4.1.1 " if code == 451 else "5.1.1 "), sent
    assert ALL in sent.text.replace(MADE_UP + ALL, ""), sent
    site.assert_nothing(sent, ALL)


CLIENTS = ["authenticated", "inside", "stranger"]


@pytest.mark.parametrize("who", CLIENTS)
def test_postfix_closes_the_plain_address_and_its_map_opens_it(site, who):
    """What all of this is for."""
    sent = sent_by(site, who, ALL)
    assert (sent.stage, sent.code) == ("rcpt", 554), sent
    site.use({"verify": {"forged": "log"}})
    sent = sent_by(site, who, MADE_UP + ALL)
    assert sent.accepted, sent
    site.postfix.wait_one(ALL, sent.subject)


@pytest.mark.parametrize("action", ["auto", "log", "mark", "quarantine", "reject", "discard"])
@pytest.mark.parametrize("who", CLIENTS)
def test_a_made_up_tag_opens_nothing_while_the_domain_waits(site, who, action):
    site.use({"verify": {"action": action}})
    assert_closed(site, sent_by(site, who, MADE_UP + ALL), 550 if who == "authenticated" else 451)


@pytest.mark.parametrize("action", ["auto", "log", "reject"])
@pytest.mark.parametrize("who", CLIENTS)
def test_a_made_up_tag_opens_nothing_later(old_site, who, action):
    old_site.use({"verify": {"action": action}})
    assert_closed(old_site, sent_by(old_site, who, MADE_UP + ALL), 550)


@pytest.mark.parametrize("who", CLIENTS)
def test_a_made_up_tag_opens_nothing_during_a_pause(old_site, who):
    mark = old_site.batvd.mark()
    old_site.ctl("pause", rc=0)
    old_site.batvd.wait_text("verification is paused", since=mark)
    try:
        assert_closed(old_site, sent_by(old_site, who, MADE_UP + ALL), 451)
    finally:
        old_site.ctl("resume", rc=0)


def test_one_made_up_tag_does_not_take_others_along(old_site):
    with old_site.postfix.session(source="127.0.0.2") as session:
        sent = session.send("bob@other.test", [MADE_UP + ALL, ALICE])
    old_site.assert_delivered(sent, ALICE)
    assert not old_site.postfix.mail(ALL, sent.subject)


def test_mail_by_sendmail_is_never_rejected(old_site):
    """It could not be: it would stay in the queue."""
    subject = old_site.postfix.sendmail(MADE_UP + ALICE, sender=ALICE)
    old_site.postfix.wait_one(ALICE, subject)


# -- a good tag -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def by_the_manual():
    """A site with the lines of the manual, as they stand there but for their folder."""
    block, = [text for text in manual.blocks("batvd.8", "Closed addresses")
              if "smtpd_recipient_restrictions" in text]
    with Site(mailboxes=(ALICE, ALL)) as site:
        site.postfix.write_file("access", f"{ALL} REJECT\n")
        site.postfix.make_index(f"hash:{site.postfix.conf}/access")
        site.postfix.add_main_lines(block.replace("/etc/postfix", str(site.postfix.conf)))
        site.postfix.reload()
        yield site


@pytest.mark.parametrize("who", [*CLIENTS, "bounce"])
def test_the_manual_closes_it_to_a_good_tag(by_the_manual, who):
    site = by_the_manual
    tagged = site.tagged(ALL)
    sent = site.bounce(tagged) if who == "bounce" else sent_by(site, who, tagged)
    assert (sent.stage, sent.code) == ("rcpt", 554), sent
    sent = site.bounce(site.tagged(ALICE))
    site.assert_delivered(sent, ALICE)


def test_a_good_tag_opens_it_without_that(site):
    sent = site.bounce(site.tagged(ALL))
    site.assert_delivered(sent, ALL)


# -- senders --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def strict_site():
    """Postfix rejects senders that it does not know."""
    with Site({"verify": {"action": "auto", "forged_sender": "reject"}, **ONE_KEY}, fake_time=True,
              main={"smtpd_reject_unlisted_sender": "yes"}) as site:
        site.batvd.kill9()
        site.batvd.set_clock(NOON)
        site.batvd.start()
        sign(site)
        after(site, 8)
        yield site
        site.reset()


@pytest.fixture
def strict(strict_site):
    yield strict_site
    strict_site.reset()


NOBODY = "nosuchuser@example.com"


def test_postfix_knows_a_made_up_sender(strict):
    sent = strict.receive(NOBODY, ALICE)
    assert (sent.stage, sent.code) == ("rcpt", 550), sent
    strict.use({"verify": {"forged_sender": "accept"}})
    sent = strict.receive(MADE_UP + NOBODY, ALICE)
    assert strict.assert_delivered(sent, ALICE).return_path == MADE_UP + NOBODY


@pytest.mark.parametrize("where", ["eom", "rcpt"])
@pytest.mark.parametrize("rcpts", [ALICE, "somebody@elsewhere.test", [ALICE, "bob@example.com"]],
                         ids=["alice", "not ours", "two"])
def test_a_made_up_sender_is_rejected(strict, rcpts, where):
    strict.use({"verify": {"reject_at": where}})
    xclient = {"ADDR": "127.0.0.2", "NAME": "gw.example.com"} if "elsewhere" in rcpts else None
    if xclient:        # a relay may send on to others
        strict.use({"relays": ["127.0.0.2"], "verify": {"reject_at": where}})
    mark = strict.batvd.mark()
    sent = strict.receive(MADE_UP + NOBODY, rcpts, **({"xclient": xclient} if xclient else {}))
    assert (sent.stage, sent.code) == ("end" if where == "eom" else "rcpt", 550), sent
    assert sent.text.startswith("5.1.0 the sender <" + MADE_UP + NOBODY), sent
    entries = strict.batvd.wait_log("verify", since=mark, count=1 if isinstance(rcpts, str) else 2)
    assert {(e["action"], e["rule"]) for e in entries} == {("reject", "sender-tag-unauthentic")}
    strict.assert_nothing(sent, ALICE)


def test_it_can_be_deferred(strict):
    strict.use({"verify": {"forged_sender": "tempfail"}})
    sent = strict.receive(MADE_UP + NOBODY, ALICE)
    assert (sent.stage, sent.code) == ("end", 451) and sent.text.startswith("4.1.0 "), sent


@pytest.mark.parametrize("days", [7, 1, -2, -6])
def test_a_forwarder_brings_our_tags(strict, days):
    """Whether or not they have expired."""
    tagged = strict.batvd.tagged(ALICE, days=days)
    sent = strict.receive(tagged, "bob@example.com")
    assert strict.assert_delivered(sent, "bob@example.com").return_path == tagged


@pytest.mark.parametrize("who", ["authenticated", "inside"])
def test_a_submission_with_a_made_up_sender(strict, who):
    way = strict.submit if who == "authenticated" else strict.submit_inside
    assert way(MADE_UP + ALICE, "bob@example.com").accepted


def test_nothing_is_rejected_while_the_domain_waits(site):
    site.use({"verify": {"forged_sender": "reject"}})
    sent, entry = site.judged_mail(MADE_UP + NOBODY, ALICE)
    site.assert_delivered(sent, ALICE)
    assert (entry["action"], entry["would"], entry["rule"]) == (
        "log", "reject", "sender-tag-unauthentic")


def test_explain_shows_it(strict):
    args = ("explain", "--client", "192.0.2.9", "--from", MADE_UP + NOBODY, "--rcpt", ALICE,
            "--rcpt", "x@other.test")
    found = strict.ctl(*args, json=True, rc=1)
    assert [(one["action"], one["rule"]) for one in found] == 2 * [
        ("reject", "sender-tag-unauthentic")]
    text = strict.ctl(*args, rc=1).out
    assert text.count("reject by sender-tag-unauthentic") == 2
    assert "550 5.1.0 the sender" in text


# -- bounces --------------------------------------------------------------------------------------

def test_the_null_sender_is_judged_as_ever(site):
    """Such a bounce may be genuine: a tag of another product, or of a keyring that is lost."""
    sent, entry = site.judged_bounce(MADE_UP + ALICE)
    assert sent.accepted
    assert (entry["action"], entry["rule"]) == ("log", "auto.warm-up")


def returned_to_victim(site, subject):
    return [m for m in site.sink.messages(rcpt=VICTIM) if subject.encode() in m.data]


@pytest.mark.parametrize("action", ["auto", "log", "mark"])
def test_a_bounce_with_a_sender_is_not_returned_to_that(site, action):
    site.use({"verify": {"action": action}})
    sent, entry = site.judged_mail(VICTIM, MADE_UP + "nosuchuser@example.com")
    assert (sent.stage, sent.code) == ("end", 451), sent
    assert sent.text.startswith("4.1.1 ")
    assert (entry["action"], entry["rule"]) == ("tempfail", "tag-unauthentic")
    assert wait_quiet(site.postfix, site.sink)
    assert not returned_to_victim(site, sent.subject)


def test_it_is_rejected_once_the_wait_is_over(old_site):
    sent, entry = old_site.judged_mail(VICTIM, MADE_UP + "nosuchuser@example.com")
    assert (sent.stage, sent.code) == ("end", 550), sent
    assert (entry["action"], entry["rule"]) == ("reject", "tag-unauthentic")
    assert wait_quiet(old_site.postfix, old_site.sink)
    assert not returned_to_victim(old_site, sent.subject)


def test_at_rcpt_too(site):
    site.use({"verify": {"reject_at": "rcpt"}})
    sent, entry = site.judged_mail(VICTIM, MADE_UP + "nosuchuser@example.com")
    assert (sent.stage, sent.code, entry["rule"]) == ("rcpt", 451, "tag-unauthentic"), sent


def test_postfix_would_return_it(site):
    site.use({"verify": {"forged": "log"}})
    sent = site.receive(VICTIM, MADE_UP + "nosuchuser@example.com")
    assert sent.accepted, sent
    util.wait_for(lambda: returned_to_victim(site, sent.subject), 20, "the bounce to the victim")


@pytest.mark.parametrize("kind", [answers.bounce, answers.receipt_of_exchange])
def test_its_content_can_prove_it(site, kind):
    """A bounce of ours to a tag that was mangled on the way."""
    original = site.outgoing(ALICE)
    sent, entry = site.answer(kind, original.data, tag.spoil(original.mail_from), to=ALICE,
                              sender="mailer-daemon@other.test")
    site.postfix.wait_one(ALICE, sent.subject)
    assert entry["action"] == "accept" and entry["rule"].startswith("evidence."), entry.line


def test_a_good_tag_is_enough(site):
    tagged = site.tagged()
    sent, entry = site.judged_mail(VICTIM, tagged)
    site.assert_delivered(sent, ALICE)
    assert (entry["result"], entry["rule"]) == ("valid", "tag")
