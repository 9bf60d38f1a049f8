"""Answers to mail that was never sent, through a real Postfix: what becomes of them is up to their
class."""

import pytest

from batvtest import answers, util
from batvtest.postfix import STRANGER
from batvtest.site import Site

ALICE = "alice@example.com"
BOB = "bob@example.com"

KINDS = {"dsn": answers.bounce, "mdn": answers.receipt_of_exchange,
         "calendar": answers.calendar_answer, "autoreply": answers.out_of_office}


def report(_, *, to, subject):
    """A complaint (RFC 5965)."""
    return (f"From: feedback@other.test\nTo: {to}\nSubject: {subject}\nMIME-Version: 1.0\n"
            f"Message-ID: <{util.unique('arf')}@other.test>\n"
            "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
            "--b\nContent-Type: text/plain\n\nA complaint.\n\n"
            "--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nVersion: 1\n"
            "User-Agent: Test/1\n\n--b\nContent-Type: text/rfc822-headers\n\n"
            "From: somebody@other.test\nSubject: bought\n\n--b--\n").encode()


def other(_, *, to, subject):
    return (f"From: somebody@other.test\nTo: {to}\nSubject: {subject}\n"
            f"Message-ID: <{util.unique('x')}@other.test>\n\nHello.\n").encode()


@pytest.fixture(scope="module")
def whole_site():
    with Site(mailboxes=(ALICE, BOB, "carol@sub.example")) as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


def judged(site, kind, rcpt=ALICE, **options):
    """The answer to a message that somebody forged."""
    sent, entry = site.answer(kind, answers.unsolicited(sender=rcpt), rcpt, **options)
    assert (entry["result"], entry["proof"]) == ("missing", "none"), entry.line
    if entry["action"] == "reject":
        assert sent.stage == "end" and sent.code == 550 and sent.text.startswith("5.7.1 "), sent
        site.assert_nothing(sent, rcpt)
    elif entry["action"] in ("log", "mark"):
        site.assert_delivered(sent, rcpt)
    return entry["class"], entry["action"], entry["rule"]


@pytest.mark.parametrize("kind, klass, action, rule", [
    (answers.bounce, "dsn", "reject", "verify.action"),
    (answers.out_of_office, "autoreply", "reject", "verify.action"),
    (answers.vacation, "autoreply", "reject", "verify.action"),
    (other, "other", "reject", "verify.action"),
    (answers.receipt_of_exchange, "mdn", "log", "verify.class.mdn"),
    (answers.receipt_of_thunderbird, "mdn", "log", "verify.class.mdn"),
    (answers.calendar_answer, "calendar", "log", "verify.class.calendar"),
    (report, "report", "reject", "verify.action"),
], ids=lambda value: getattr(value, "__name__", None))
def test_answers_to_a_user_who_sent_nothing(site, kind, klass, action, rule):
    assert judged(site, kind) == (klass, action, rule)


@pytest.mark.parametrize("klass", KINDS)
@pytest.mark.parametrize("action", ["accept", "reject", "mark", "tempfail"])
def test_each_class_can_have_an_action_of_its_own(site, klass, action):
    site.use({"verify": {"class": {klass: action}}})
    assert judged(site, KINDS[klass]) == (klass, action, f"verify.class.{klass}")
    bystander = "autoreply" if klass == "dsn" else "dsn"
    assert judged(site, KINDS[bystander]) == (bystander, "reject", "verify.action")


def test_a_class_that_follows(site):
    site.use({"verify": {"class": {"mdn": ""}}})
    assert judged(site, answers.receipt_of_exchange) == ("mdn", "reject", "verify.action")


def test_headers_alone_make_no_read_receipt(site):
    """Else every forged bounce would call itself one."""
    def pretended(original, *, to, subject):
        text = answers.bounce(original, to=to, subject=subject).decode()
        return text.replace("report-type=delivery-status",
                            "report-type=disposition-notification").encode()
    assert judged(site, pretended) == ("dsn", "reject", "verify.action")


def test_an_expired_tag_goes_by_class_too(site):
    original = answers.unsolicited()
    expired = site.batvd.tagged(ALICE, days=-3)
    sent, entry = site.answer(answers.receipt_of_exchange, original, expired, to=ALICE)
    assert (entry["result"], entry["class"], entry["rule"]) == ("expired", "mdn",
                                                                "verify.class.mdn")
    site.assert_delivered(sent, ALICE)
    sent, entry = site.answer(answers.bounce, original, expired, to=ALICE)
    assert (entry["result"], entry["class"], entry["rule"]) == ("expired", "dsn", "verify.expired")
    assert sent.code == 550, sent


@pytest.mark.parametrize("spoil", [lambda good: good[:6] + "000abcdef" + good[15:],
                                   lambda good: "prvs=5" + good[6:]],
                         ids=["bad signature", "unknown key"])
def test_a_forged_tag_is_refused_whatever_its_class(site, spoil):
    forged = spoil(site.batvd.tagged(ALICE))
    sent, entry = site.answer(answers.receipt_of_exchange, answers.unsolicited(), forged, to=ALICE)
    assert sent.code == 550, sent
    assert (entry["class"], entry["rule"]) == ("mdn", "verify.action")


def test_class_of_a_valid_bounce_and_of_ordinary_mail(site):
    """Nothing of them is read."""
    sent, entry = site.answer(answers.bounce, answers.unsolicited(), site.batvd.tagged(ALICE),
                              to=ALICE)
    assert entry["rule"] == "tag" and entry.get("class") in (None, "-")
    site.assert_delivered(sent, ALICE)
    mark = site.batvd.mark()
    sent = site.receive("joe@other.test", ALICE, data=other(None, to=ALICE, subject="hello"))
    assert sent.accepted and not site.batvd.log("verify", since=mark)


def test_the_log_line(site):
    _, entry = site.answer(answers.out_of_office, answers.unsolicited())
    assert entry.keys_in_order == ["client", "from", "rcpt", "result", "class", "proof", "action",
                                   "rule", "ring"]


def test_recipients_of_one_read_receipt(site):
    """The content is one, the domains' actions are two."""
    site.use({"domains": ("example.com", {"name": "sub.example", "verify_action": "tempfail"})})
    sent, entries = site.answer(answers.bounce, answers.unsolicited(), [ALICE, "carol@sub.example"])
    assert sent.code == 451, sent
    assert [entry["action"] for entry in entries] == ["reject", "tempfail"]
    assert {entry["class"] for entry in entries} == {"dsn"}


def test_auto_logs_everything_while_it_waits(site):
    site.use({"verify": {"action": "auto"}})
    _, entry = site.answer(answers.bounce, answers.unsolicited())
    assert (entry["class"], entry["action"], entry["would"], entry["rule"]) == (
        "dsn", "log", "reject", "auto.warm-up")


def test_a_callout_for_a_plain_address_passes(site):
    """As another site asks whether alice exists, before it takes her mail."""
    mark = site.batvd.mark()
    with site.postfix.session(xclient=STRANGER) as session:
        assert session.mail("<>").ok
        assert session.rcpt(ALICE).ok
    with site.postfix.session(xclient=STRANGER) as session:
        assert session.mail("<>").ok
        assert session.rcpt(ALICE).ok
        assert session.command("DATA").code == 354    # and hangs up
        session.smtp.close()
    assert not site.batvd.log("verify", since=mark, action="reject")
