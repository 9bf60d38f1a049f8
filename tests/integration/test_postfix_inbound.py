"""What comes back to a real Postfix: bounces and other mail to tagged and plain recipients."""

import time
import unicodedata

import pytest

from batvtest import tag, util
from batvtest.milter import MilterSession
from batvtest.postfix import INSIDE, OUTSIDE, STRANGER, make_bounce, make_message, wait_quiet
from batvtest.site import LONG, QUOTED, USER, Site, client

ALICE = "alice@example.com"
REASON = "not sent by us"          # `verify.text` of the tests that look for it


@pytest.fixture(scope="module")
def whole_site():
    # Catch-all mailboxes for two syntaxes that are not ours, so that Postfix lets them through.
    boxes = (ALICE, "bob@example.com", "postmaster@example.com", "abuse@example.com", QUOTED, LONG,
             "jürgen@example.com", "ju\u0308rgen@example.com", "carol@sub.example", "btv1==0123456789ab==alice@example.com",
             "prvs=12345=alice@example.com")
    with Site(mailboxes=boxes) as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


@pytest.fixture(scope="module")
def alice_tag(whole_site):
    """alice's address as the world knows it, from a message really sent."""
    return whole_site.tagged(ALICE)


def refused(sent):
    """Refused after the dot, with the code for policy."""
    return sent.stage == "end" and sent.code == 550 and sent.text.startswith("5.7.1 ")


# -- bounces to a tag -----------------------------------------------------------------------------

def test_genuine_bounce_is_delivered_once_and_restored(site, alice_tag):
    sent, entry = site.judged_bounce(alice_tag)
    mail = site.assert_delivered(sent, ALICE)
    assert mail.original_to == ALICE
    assert mail.return_path == ""
    assert entry.id == sent.queue_id
    assert entry["client"] == "mx.other.test[192.0.2.9]"
    assert entry["from"] == "<>"
    assert entry["result"] == "valid"
    assert entry["action"] == "accept"
    assert entry["rule"] == "tag"
    assert entry.keys_in_order[-1] == "ring"


def test_bounce_by_this_very_postfix_comes_home(site):
    site.sink.refuse("^refused@")
    before = len(site.postfix.mail(ALICE, "Undelivered Mail"))
    sent = site.submit(ALICE, "refused@other.test")
    assert sent.accepted, sent
    found = site.postfix.wait_mail(ALICE, "Undelivered Mail", count=before + 1)
    mail = next(mail for mail in found if sent.subject in mail.path.read_text(encoding="utf-8"))
    assert mail.delivered_to == ALICE
    assert mail.return_path == ""
    assert not site.postfix.queue()


@pytest.mark.parametrize("change", [str.upper, lambda tagged: tagged.replace("alice", "ALICE"),
                                    lambda tagged: tagged.replace("example.com", "Example.COM"),
                                    lambda tagged: tagged.replace("prvs", "PRVS")],
                         ids=["all", "local part", "domain", "prvs"])
def test_a_remote_site_that_changes_case(site, alice_tag, change):
    sent, entry = site.judged_bounce(change(alice_tag))
    assert sent.accepted, sent
    site.postfix.wait_one(ALICE, sent.subject)
    assert entry["result"] == "valid"


def test_quoted_local_part(site):
    tagged = site.tagged(QUOTED)
    assert tagged.startswith('"prvs=')
    sent, entry = site.judged_bounce(tagged)
    site.assert_delivered(sent, QUOTED)
    assert entry["result"] == "valid"


def test_utf8_local_part(site):
    subject = util.unique()
    sent = site.submit("jürgen@example.com", mail_args=["SMTPUTF8"], subject=subject)
    tagged = site.sink.wait_one(subject=subject).mail_from
    assert "jürgen" in tagged
    sent, entry = site.judged_bounce(tagged, mail_args=["SMTPUTF8"])
    assert sent.accepted, sent
    assert site.postfix.wait_one("jürgen@example.com", sent.subject)
    assert (entry["rcpt"], entry["result"]) == (f"<{tagged}>", "valid")


@pytest.mark.parametrize("change", [lambda tagged: tagged.replace("jürgen", "JÜRGEN"), str.upper,
                                    lambda tagged: unicodedata.normalize("NFD", tagged)],
                         ids=["local part in capitals", "all in capitals", "decomposed"])
def test_a_remote_site_that_changes_letters_beyond_ascii(site, change):
    """The tag stays valid, and the mail is delivered to the address as the bounce wrote it."""
    tagged = site.outgoing("jürgen@example.com", mail_args=["SMTPUTF8"]).mail_from
    changed = change(tagged)
    assert changed != tagged
    sent, entry = site.judged_bounce(changed, mail_args=["SMTPUTF8"])
    assert (entry["result"], entry["rule"]) == ("valid", "tag")
    plain = changed.partition("=")[2].partition("=")[2]
    decomposed = unicodedata.normalize("NFD", tagged) == changed
    site.assert_delivered(sent, plain if decomposed else "jürgen@example.com", plain)


# Forms of a path that Postfix understands and keeps as the address alone: what batvd takes away
# must be what Postfix has, not what the client wrote.
ODD_FORMS = ["<@mx.other.test:{}>", "<@a.test,@b.test:{}>", "<{},>", "<Somebody <{}>>"]


@pytest.mark.parametrize("form", ODD_FORMS)
def test_oddly_written_tag_gives_one_copy(site, alice_tag, form):
    sent, entry = site.judged_bounce(form.format(alice_tag))
    assert entry["result"] == "valid"
    site.assert_delivered(sent, ALICE)


def test_recipient_with_a_route_is_removed_and_refused(site, alice_tag):
    bob = "<@mx.other.test:bob@example.com>"
    sent, entries = site.judged_bounce([alice_tag, bob])
    assert sorted(entry["action"] for entry in entries) == ["accept", "reject"]
    site.assert_delivered(sent, ALICE)
    assert not site.postfix.mail("bob@example.com", sent.subject)
    assert refused(site.bounce(bob))


@pytest.mark.parametrize("form", ODD_FORMS[1:])
def test_oddly_written_recipient_takes_the_message_with_it(site, alice_tag, form):
    """No deletion is sure to take it out, and no MTA writes a bounce's recipient like that."""
    bob = form.format("bob@example.com")
    sent, entries = site.judged_bounce([alice_tag, bob])
    assert sorted(entry["action"] for entry in entries) == ["accept", "reject"]
    assert refused(sent)
    assert not site.postfix.mail("bob@example.com", sent.subject)


def test_subaddress_syntax(site):
    tagged = site.tagged("carol@sub.example")
    sent, entry = site.judged_bounce(tagged)
    site.assert_delivered(sent, "carol@sub.example")
    assert entry["result"] == "valid"


def test_either_syntax_is_accepted(site):
    """A tag from before the domain's syntax was changed."""
    tagged = site.tagged("carol@sub.example")
    key, day, digits, plain = tag.parse(tagged)
    prefixed = f"prvs={key}{day:03d}{digits}={plain}"
    sent, entry = site.judged_bounce(prefixed)
    site.assert_delivered(sent, "carol@sub.example")
    assert entry["result"] == "valid"


def test_extension_behind_a_tag(site):
    tagged = site.tagged("alice+lists@example.com")
    sent, entry = site.judged_bounce(tagged)
    assert sent.accepted, sent
    assert site.postfix.wait_one(ALICE, sent.subject).delivered_to == "alice+lists@example.com"
    assert entry["result"] == "valid"


def test_sender_callout_passes_and_nothing_is_said_of_it(site):
    """With reject_at = eom a probe for an untagged address is no ground to refuse our mail."""
    mark = site.batvd.mark()
    with site.postfix.session(xclient=STRANGER) as session:
        assert session.mail("<>").ok
        assert session.rcpt(ALICE).ok
    assert not site.batvd.log("verify", since=mark, action="reject")


def test_several_bounces_of_one_session(site, alice_tag):
    """A refused one, an accepted one and a dropped one in between leave nothing behind."""
    with site.postfix.session(xclient=STRANGER) as session:
        results = []
        for rcpt in (ALICE, alice_tag, "bob@example.com", alice_tag):
            subject = util.unique("bounce")
            results.append(session.send("<>", rcpt, make_bounce(subject), subject=subject))
            assert session.mail("<>").ok
            assert session.rcpt(alice_tag).ok
            assert session.rset().ok
    assert [sent.code for sent in results] == [550, 250, 550, 250]
    site.assert_delivered(results[1], ALICE)
    site.assert_delivered(results[3], ALICE)


# -- forged bounces -------------------------------------------------------------------------------

def test_bounce_without_a_tag_is_refused_with_the_reason(site):
    site.use({"verify": {"text": f"This bounce is for mail {REASON}"}})
    sent, entry = site.judged_bounce(ALICE)
    assert refused(sent), sent
    assert REASON in sent.text
    assert entry["client"] == "mx.other.test[192.0.2.9]"
    assert entry["from"] == "<>"
    assert entry["rcpt"] == f"<{ALICE}>"
    assert entry["result"] == "missing"
    assert entry["proof"] == "none"
    assert entry["action"] == "reject"
    assert entry["rule"] == "verify.action"
    assert entry.keys_in_order[-1] == "ring"
    site.postfix.wait_maillog(f"milter-reject: END-OF-MESSAGE.*192.0.2.9.*{REASON}")
    site.assert_nothing(sent, ALICE)


def test_the_default_reason_says_something(site):
    sent = site.bounce(ALICE)
    assert refused(sent), sent
    assert len(sent.text) > len("5.7.1 ") + 20


@pytest.mark.parametrize("spoil, result", [
    (lambda site, good: tag.spoil(good), "bad-signature"),
    (lambda site, good: good.replace("=alice", "=bob"), "bad-signature"),
    (lambda site, good: site.batvd.tagged(ALICE, days=-3), "expired"),
    (lambda site, good: site.batvd.tagged(ALICE, days=8), "valid"),
    (lambda site, good: "prvs=5" + good[6:], "unknown-key"),
    (lambda site, good: "prvs=12345=alice@example.com", "malformed"),
    (lambda site, good: "btv1==0123456789ab==alice@example.com", "foreign"),
])
def test_results_are_told_apart(site, alice_tag, spoil, result):
    rcpt = spoil(site, alice_tag)
    sent, entry = site.judged_bounce(rcpt)
    assert entry["result"] == result
    if result == "valid":
        assert sent.accepted, sent
        return
    assert refused(sent), sent
    assert entry["action"] == "reject"
    assert entry["rule"] == ("verify.expired" if result == "expired" else "verify.action")
    site.assert_nothing(sent, ALICE, "bob@example.com", rcpt)


def test_expired_has_an_action_of_its_own(site):
    site.use({"verify": {"expired": "log"}})
    sent, entry = site.judged_bounce(site.batvd.tagged(ALICE, days=-3))
    assert (entry["result"], entry["action"], entry["rule"]) == ("expired", "log",
                                                                  "verify.expired")
    assert sent.accepted, sent
    site.postfix.wait_one(ALICE, sent.subject)


def test_refusing_at_rcpt(site, alice_tag):
    site.use({"verify": {"reject_at": "rcpt"}})
    mark = site.batvd.mark()
    with site.postfix.session(xclient=STRANGER) as session:
        assert session.mail("<>").ok
        reply = session.rcpt(ALICE)
        assert reply.code == 550 and reply.text.startswith("5.7.1 "), reply
        assert session.rcpt(alice_tag).ok
        subject = util.unique("bounce")
        assert session.data(make_bounce(subject)).code == 250
    site.postfix.wait_one(ALICE, subject)
    first = site.batvd.wait_entry("verify", since=mark, result="missing")
    assert (first.id, first["action"], first["rule"]) == ("NOQUEUE", "reject", "verify.action")
    site.batvd.wait_entry("verify", since=mark, result="valid", action="accept")


@pytest.mark.parametrize("sender", ["mailer-daemon@other.test", "MAILER-DAEMON@mx.other.test",
                                    "prvs=1234abcdef=mailer-daemon@other.test"])
def test_mailer_daemon_is_a_bounce(site, alice_tag, sender):
    sent, entry = site.judged_bounce(ALICE, sender=sender)
    assert refused(sent), sent
    assert (entry["from"], entry["result"]) == (f"<{sender}>", "missing")
    site.assert_nothing(sent, ALICE)
    sent, entry = site.judged_bounce(alice_tag, sender=sender)
    site.assert_delivered(sent, ALICE)
    assert entry["rule"] == "tag"


def test_bounce_senders_are_configured(site):
    site.use({"bounce_senders": ["robot@*"]})
    sent, entry = site.judged_bounce(ALICE, sender="robot@other.test")
    assert refused(sent), sent
    assert entry["result"] == "missing"
    sent = site.bounce(ALICE, sender="mailer-daemon@other.test")
    assert sent.accepted, sent


# -- actions --------------------------------------------------------------------------------------

def test_action_log_lets_in_and_tells(site):
    site.use({"verify": {"action": "log"}})
    sent, entry = site.judged_bounce(ALICE)
    assert (entry["result"], entry["action"], entry["rule"]) == ("missing", "log",
                                                                  "verify.action")
    assert entry.id == sent.queue_id
    site.assert_delivered(sent, ALICE)


def test_action_of_a_domain(site):
    site.use({"domains": ("example.com", {"name": "sub.example", "syntax": "subaddress",
                                          "verify_action": "log"})})
    sent, entry = site.judged_bounce("carol@sub.example")
    assert entry["action"] == "log"
    site.assert_delivered(sent, "carol@sub.example")
    assert refused(site.bounce(ALICE))


def test_action_tempfail(site):
    site.use({"verify": {"action": "tempfail"}})
    sent, entry = site.judged_bounce(ALICE)
    assert sent.stage == "end" and sent.code == 451, sent
    assert entry["action"] == "tempfail"
    site.assert_nothing(sent, ALICE)


def test_action_discard(site):
    site.use({"verify": {"action": "discard"}})
    sent, entry = site.judged_bounce(ALICE)
    assert sent.code == 250, sent
    assert entry["action"] == "discard"
    site.assert_nothing(sent, ALICE)


def test_action_quarantine_holds(site):
    site.use({"verify": {"action": "quarantine"}})
    sent, entry = site.judged_bounce(ALICE)
    assert sent.accepted, sent
    assert entry["action"] == "quarantine"
    site.assert_nothing(sent, ALICE)
    held = [item for item in site.postfix.queue() if item["queue_name"] == "hold"]
    assert [item["queue_id"] for item in held] == [sent.queue_id]
    site.postfix.delete_queue()


def test_action_mark_adds_one_header_and_removes_forged_ones(site, alice_tag):
    site.use({"verify": {"action": "mark"}})
    subject = util.unique("bounce")
    forged = b"X-Batv-Result: valid; rcpt=<alice@example.com>\n"
    sent, entry = site.judged_mail("<>", ALICE, subject=subject,
                                   data=forged + forged + make_bounce(subject))
    assert entry["action"] == "mark"
    values = site.assert_delivered(sent, ALICE).header_all("X-Batv-Result")
    assert len(values) == 1, values
    assert values[0].startswith("missing;")
    assert "proof=none" in values[0]
    assert f"rcpt=<{ALICE}>" in values[0]
    # A genuine bounce loses a forged header as well, and gets none.
    subject = util.unique("bounce")
    sent = site.receive("<>", alice_tag, subject=subject, data=forged + make_bounce(subject))
    assert not site.assert_delivered(sent, ALICE).header_all("X-Batv-Result")


def test_ordinary_mail_keeps_a_header_of_that_name(site):
    site.use({"verify": {"action": "mark"}})
    subject = util.unique()
    data = b"X-Batv-Result: whatever\n" + make_message(subject)
    sent = site.receive("joe@other.test", ALICE, subject=subject, data=data)
    assert site.assert_delivered(sent, ALICE).header_all("X-Batv-Result") == ["whatever"]


def test_pause_and_resume(site):
    assert refused(site.bounce(ALICE))
    site.batvd.ctl("pause", rc=0)
    try:
        # The daemon looks at its state within a second.
        sent = util.wait_for(lambda: (lambda s: s if s.accepted else None)(site.bounce(ALICE)), 5,
                             "an accepted bounce", interval=0.2)
        entry = site.batvd.wait_entry("verify", id=sent.queue_id)
        assert (entry["action"], entry["would"]) == ("log", "reject")
        site.assert_delivered(sent, ALICE)
        message = site.outgoing(ALICE)
        site.batvd.check_tag(message.mail_from, ALICE, when=message.arrived)
    finally:
        site.batvd.ctl("resume", rc=0)
    util.wait_for(lambda: refused(site.bounce(ALICE)), 5, "a refused bounce", interval=0.2)


# -- several recipients ---------------------------------------------------------------------------

def test_recipients_are_judged_one_by_one(site, alice_tag):
    sent, entries = site.judged_bounce([alice_tag, "bob@example.com"])
    assert sent.accepted, sent
    site.assert_delivered(sent, ALICE)
    site.postfix.wait_idle()
    assert not site.postfix.mail("bob@example.com", sent.subject)
    by_result = {entry["result"]: entry for entry in entries}
    assert by_result["valid"]["action"] == "accept"
    assert "applied" not in by_result["valid"]
    assert by_result["missing"]["rcpt"] == "<bob@example.com>"
    assert by_result["missing"]["action"] == "reject"
    assert by_result["missing"]["applied"] == "removed"
    assert {entry.id for entry in entries} == {sent.queue_id}


def test_all_recipients_forged(site):
    sent, entries = site.judged_bounce([ALICE, "bob@example.com"])
    assert refused(sent), sent
    assert [entry["action"] for entry in entries] == ["reject", "reject"]
    site.assert_nothing(sent, ALICE, "bob@example.com")


@pytest.mark.parametrize("bob, carol, code, boxes, held", [
    ("reject", "reject", 550, "", False),
    ("reject", "discard", 550, "", False),
    ("discard", "discard", 250, "", False),
    ("log", "reject", 250, "bob", False),
    ("log", "discard", 250, "bob", False),
    ("log", "log", 250, "bob carol", False),
    ("log", "tempfail", 451, "", False),
    ("reject", "tempfail", 451, "", False),
    ("discard", "tempfail", 451, "", False),
    ("quarantine", "log", 250, "", True),
    ("quarantine", "reject", 250, "", True),
])
def test_one_reply_for_all_recipients(site, bob, carol, code, boxes, held):
    site.use({"domains": ({"name": "example.com", "verify_action": bob},
                          {"name": "sub.example", "verify_action": carol})})
    rcpts = {"bob": "bob@example.com", "carol": "carol@sub.example"}
    sent, entries = site.judged_bounce(list(rcpts.values()))
    assert sent.stage == "end" and sent.code == code, sent
    assert [entry["action"] for entry in entries] == [bob, carol]
    for name in boxes.split():
        site.assert_delivered(sent, rcpts[name])
    site.assert_nothing(sent, *(rcpts[name] for name in rcpts if name not in boxes.split()))
    queue = site.postfix.queue()
    assert [item["queue_name"] for item in queue] == (["hold"] if held else [])
    if held:
        kept = [rcpts[name] for name, action in (("bob", bob), ("carol", carol))
                if action != "reject"]
        assert sorted(rcpt["address"] for rcpt in queue[0]["recipients"]) == sorted(kept)
        site.postfix.delete_queue()


def test_one_recipient_to_be_deferred_defers_the_genuine_one_too(site, alice_tag):
    """There is one reply, and nothing may be lost: nothing is changed, all of it comes again."""
    site.use({"domains": ("example.com", {"name": "sub.example", "verify_action": "tempfail"})})
    sent, _ = site.judged_bounce([alice_tag, "carol@sub.example"])
    assert sent.code == 451, sent
    site.assert_nothing(sent, ALICE, "carol@sub.example")


def test_recipient_elsewhere_is_not_judged(site):
    """A bounce that an authenticated client sends on: another domain is none of our business."""
    mark = site.batvd.mark()
    sent = site.submit("<>", "far@other.test")
    assert site.sink.wait_one(subject=sent.subject).mail_from == ""
    assert not site.batvd.log("verify", since=mark)


def test_tagged_and_plain_recipient_of_ordinary_mail_give_one_copy(site, alice_tag):
    for rcpts in ([alice_tag, ALICE], [ALICE, alice_tag]):
        sent = site.receive("joe@other.test", rcpts)
        site.assert_delivered(sent, ALICE)


def test_tagged_and_plain_recipient_of_a_bounce_give_one_copy(site, alice_tag):
    """The plain one alone would be refused; the tag proves the bounce."""
    for rcpts in ([alice_tag, ALICE], [ALICE, alice_tag]):
        sent, entries = site.judged_bounce(rcpts)
        assert sorted(entry["result"] for entry in entries) == ["missing", "valid"]
        site.assert_delivered(sent, ALICE)


def test_two_tags_of_one_address_give_one_copy(site, alice_tag):
    sent = site.bounce([alice_tag, site.batvd.tagged(ALICE, days=5)])
    site.assert_delivered(sent, ALICE)


# -- ordinary mail --------------------------------------------------------------------------------

def test_ordinary_mail_to_a_plain_address_is_left_alone(site):
    sent = site.receive("joe@other.test", ALICE)
    assert site.assert_delivered(sent, ALICE).return_path == "joe@other.test"


@pytest.mark.parametrize("days, result", [(7, "valid"), (-2, "expired"), (-40, "expired")])
def test_ordinary_mail_to_our_tag_is_restored(site, days, result):
    """People and vacation programs answer a Return-Path, however late."""
    sent, entry = site.judged_mail("joe@other.test", site.batvd.tagged(ALICE, days=days))
    mail = site.assert_delivered(sent, ALICE)
    assert mail.original_to == ALICE
    assert (entry["result"], entry["action"]) == (result, "accept")


@pytest.mark.parametrize("user", ["nosuchuser", "alice"])
def test_ordinary_mail_to_a_forged_tag_is_refused_and_makes_no_bounce(site, user):
    forged = f"prvs={site.batvd.active_key()}783abcdef={user}@example.com"
    sent, entry = site.judged_mail("victim@innocent.test", forged)
    assert sent.stage == "end" and sent.code == 550, sent
    assert sent.text.startswith("5.1.1 "), sent
    assert f"{user}@example.com" in sent.text.replace(forged, "")
    assert (entry["result"], entry["action"], entry["rule"]) == ("bad-signature", "reject",
                                                                  "tag-unauthentic")
    assert wait_quiet(site.postfix, site.sink)
    site.assert_nothing(sent, ALICE)
    assert not site.sink.messages(rcpt="victim@innocent.test")


def test_unknown_key_in_ordinary_mail_is_refused_as_well(site, alice_tag):
    sent, entry = site.judged_mail("victim@innocent.test", "prvs=5" + alice_tag[6:])
    assert sent.code == 550 and sent.text.startswith("5.1.1 "), sent
    assert (entry["result"], entry["rule"]) == ("unknown-key", "tag-unauthentic")
    site.assert_nothing(sent, ALICE)


def test_the_hole_that_refusing_closes_is_there(site):
    """What the test above would look like if nobody refused: Postfix bounces to the victim."""
    site.use({"verify": {"forged": "log"}})
    sent = site.receive("second.victim@innocent.test", "prvs=0783abcdef=nosuchuser@example.com")
    assert sent.accepted, sent
    bounce = site.sink.wait_one(rcpt="second.victim@innocent.test")
    assert bounce.mail_from == ""


def test_forged_tag_refused_at_rcpt_leaves_the_other_recipients(site):
    site.use({"verify": {"reject_at": "rcpt"}})
    forged = "prvs=0783abcdef=nosuchuser@example.com"
    with site.postfix.session(xclient=STRANGER) as session:
        sent = session.send("joe@other.test", [forged, ALICE])
    assert sent.rcpts[forged].code == 550, sent
    assert sent.rcpts[forged].text.startswith("5.1.1 "), sent
    site.assert_delivered(sent, ALICE)


def test_mail_by_sendmail_to_a_forged_tag_is_not_refused(site):
    """It could not be refused at all, it would stay in the queue for ever."""
    subject = site.postfix.sendmail("prvs=0783abcdef=alice@example.com", sender="bob@example.com")
    site.postfix.wait_one(ALICE, subject)
    site.postfix.wait_empty()


def test_mail_by_sendmail_to_a_good_tag_arrives(site, alice_tag):
    """Here Postfix's map is first, and the milter sees the plain address."""
    subject = site.postfix.sendmail(alice_tag, sender="bob@example.com")
    assert site.postfix.wait_one(ALICE, subject).delivered_to == ALICE


def test_forged_tag_is_deferred_while_the_domain_waits(site):
    site.use({"verify": {"forged": "auto"}})
    sent, entry = site.judged_mail("victim@innocent.test",
                                   "prvs=0783abcdef=nosuchuser@example.com")
    assert sent.code == 451 and sent.text.startswith("4.1.1 "), sent
    assert (entry["action"], entry["rule"]) == ("tempfail", "tag-unauthentic")
    assert wait_quiet(site.postfix, site.sink)


def test_unknown_user_without_a_tag_is_refused_by_postfix_itself(site):
    sent = site.bounce("nosuchuser@example.com")
    assert sent.stage == "rcpt" and sent.code == 550, sent
    assert "User unknown" in sent.text


def test_notify_and_orcpt_survive_the_restoring(site, alice_tag):
    site.receive("joe@other.test", alice_tag, mail_args=["ENVID=E42"],
                 rcpt_args=["NOTIFY=SUCCESS", "ORCPT=rfc822;very.special@example.com"])
    report = site.sink.wait_one(rcpt="joe@other.test")
    assert report.mail_from == ""
    text = report.data.decode("ascii", "replace")
    assert "Action: delivered" in text
    assert "Original-Recipient: rfc822;very.special@example.com" in text
    assert "Original-Envelope-Id: E42" in text


def test_without_restoring_the_map_takes_the_tag_off_alone(site, alice_tag):
    site.use({"verify": {"restore": False}})
    sent, entry = site.judged_bounce(alice_tag)
    mail = site.assert_delivered(sent, ALICE)
    assert mail.original_to == alice_tag
    assert entry["result"] == "valid"


# -- exclusions -----------------------------------------------------------------------------------

def excluded(site, rule, rcpt=ALICE, mailbox=ALICE, **how):
    """A bounce that would be refused is let in by that rule."""
    sent, entry = site.judged_bounce(rcpt, **how)
    assert (entry["result"], entry["action"], entry["rule"]) == ("missing", "accept", rule)
    site.assert_delivered(sent, mailbox)


def direct(site, source, auth=None):
    """A bounce without XCLIENT, from that address, and the decision on it."""
    subject = util.unique("bounce")
    mark = site.batvd.mark()
    sent = site.postfix.send("<>", ALICE, make_bounce(subject), subject=subject, source=source,
                             auth=auth)
    return sent, site.batvd.wait_entry("verify", since=mark)


def test_authenticated_sessions_are_excluded_by_default(site):
    sent, entry = direct(site, OUTSIDE, auth=USER)
    assert (entry["result"], entry["rule"]) == ("missing", "exclude.authenticated")
    site.assert_delivered(sent, ALICE)


def test_authenticated_sessions_are_verified_where_told_so(site):
    site.use({"exclude": {"authenticated": False}})
    sent, entry = direct(site, OUTSIDE, auth=USER)
    assert refused(sent), sent
    assert entry["rule"] == "verify.action"


def test_own_mail_servers_are_excluded_by_default(site):
    sent, entry = direct(site, INSIDE)
    assert (entry["result"], entry["rule"]) == ("missing", f"exclude.mail_servers:{INSIDE}/32")
    site.assert_delivered(sent, ALICE)


@pytest.mark.parametrize("config", [{"exclude": {"mail_servers": False}}, {"mail_servers": []},
                                    {"relays": [f"{INSIDE}/32"]}],
                         ids=["switched off", "empty list", "relay"])
def test_own_mail_servers_are_verified_where_told_so(site, config):
    site.use(config)
    sent, entry = direct(site, INSIDE)
    assert refused(sent), sent
    assert (entry["result"], entry["rule"]) == ("missing", "verify.action")


def test_list_of_mail_servers(site):
    site.use({"mail_servers": ["192.0.2.0/28"]})
    excluded(site, "exclude.mail_servers:192.0.2.0/28")
    assert refused(site.bounce(ALICE, xclient=client("192.0.2.17", "mx17.other.test")))


def test_excluded_networks(site):
    site.use({"exclude": {"networks": ["198.51.100.0/24", "192.0.2.8/29"]}})
    excluded(site, "exclude.networks:192.0.2.8/29")
    assert refused(site.bounce(ALICE, xclient=client("192.0.2.17", "mx17.other.test")))


@pytest.mark.parametrize("entry", ["mx.other.test", "*.other.test", "MX.Other.Test"])
def test_excluded_hosts(site, entry):
    site.use({"exclude": {"hosts": [entry]}})
    excluded(site, f"exclude.hosts:{entry}")
    # Neither another host, nor one without a verified name that only says so in its HELO.
    assert refused(site.bounce(ALICE, xclient=client("192.0.2.9", "mx.another.test")))
    with site.postfix.session(xclient=client("192.0.2.9", "[UNAVAILABLE]"),
                              helo="mx.other.test") as session:
        assert refused(session.send("<>", ALICE))


def test_excluded_recipients_have_defaults(site):
    excluded(site, "exclude.recipients:postmaster@*", "postmaster@example.com",
             "postmaster@example.com")
    excluded(site, "exclude.recipients:abuse@*", "abuse@example.com", "abuse@example.com")


def test_excluded_recipients(site):
    site.use({"exclude": {"recipients": ["bob@example.com"]}})
    excluded(site, "exclude.recipients:bob@example.com", "bob@example.com", "bob@example.com")
    assert refused(site.bounce(ALICE))


def test_whom_we_do_not_sign_to_may_bounce_without_a_tag(site):
    site.use({"exclude_sign": {"recipients": ["*@other.test", "joe@single.test"]}})
    excluded(site, "exclude_sign.recipients:*@other.test")
    assert refused(site.bounce(ALICE, xclient=client("192.0.2.77", "mx.elsewhere.test")))
    assert refused(site.bounce(ALICE, xclient=client("192.0.2.78", "mx.single.test")))


def test_addresses_too_long_for_a_tag_are_not_refused_while_the_journal_is_young(site):
    sent, entry = site.judged_bounce(LONG)
    assert (entry["action"], entry["rule"]) == ("log", "untaggable"), entry.line
    site.assert_delivered(sent, LONG)


def test_a_local_process_is_never_refused(site):
    mark = site.batvd.mark()
    subject = util.unique("local")
    site.postfix.sendmail(ALICE, sender="<>", subject=subject, data=make_bounce(subject))
    site.postfix.wait_one(ALICE, subject)
    entry = site.batvd.wait_entry("verify", since=mark)
    assert (entry["result"], entry["action"], entry["rule"]) == ("missing", "accept", "local")


def test_a_proxy_with_port_0_is_no_local_process(site):
    stranger = {"ADDR": "192.0.2.9", "NAME": "mx.other.test", "PORT": "[UNAVAILABLE]"}
    sent, entry = site.judged_bounce(ALICE, xclient=stranger)
    assert refused(sent), sent
    assert entry["rule"] == "verify.action"


# -- guessing -------------------------------------------------------------------------------------

def test_a_thousand_guesses_with_the_right_one_among_them(site):
    """And from then on bob's right tag alone is not enough, nobody else's tag being touched."""
    bob = "bob@example.com"
    bob_tag = site.tagged(bob)
    day = bob_tag[5:9]
    guesses = [f"prvs={day}{number:06x}={bob}" for number in range(998)]
    mark = site.batvd.mark()
    sent = site.bounce([*guesses[:500], bob_tag, *guesses[500:]])
    assert refused(sent), sent
    assert "several signatures" in sent.text
    entries = site.batvd.wait_log("verify", since=mark, count=2)
    assert [(entry["result"], entry["action"], entry["rule"], entry.get("count"))
            for entry in entries] == [("bad-signature", "reject", "guessing", "998"),
                                      ("valid", "reject", "guessing", None)]
    site.assert_nothing(sent, bob)
    assert len(site.batvd.log("verify", since=mark)) == 2
    sent, entry = site.judged_bounce(bob_tag)
    assert (sent.code, entry["result"], entry["rule"]) == (451, "valid", "guessing"), entry.line


def test_guessing_is_rejected_during_warm_up_too(site, alice_tag):
    site.use({"verify": {"action": "auto"}})
    sent = site.bounce([alice_tag[:9] + "000001=" + ALICE, alice_tag[:9] + "000002=" + ALICE])
    assert refused(sent), sent
    site.assert_nothing(sent, ALICE)


def test_an_old_tag_a_thousand_times_does_no_harm(site, alice_tag):
    """A list that never forgets, and a genuine bounce from its host."""
    wrong = alice_tag[:9] + "000001=" + ALICE
    with MilterSession(site.batvd.milter, client=("list.other.test", "192.0.2.77", 4711)) as session:
        for _ in range(1000):
            assert session.message("<>", [f"<{wrong}>"]).verdict == "reject"
    sent, entry = site.judged_bounce(alice_tag)
    assert entry["rule"] == "tag"
    site.assert_delivered(sent, ALICE)


# -- how much a stranger can have done ------------------------------------------------------------

def with_fields(name, subject, count=20000):
    """A header of so many fields, in each of which nothing is true."""
    fields = "".join(f"{name}: {i}\n" for i in range(count))
    return (f"From: x@other.test\nTo: {ALICE}\nSubject: {subject}\n{fields}\nx\n").encode()


def is_fast(site, rcpt, send):
    before = len(site.postfix.maillog())
    begin = time.monotonic()
    sent = send()
    seconds = time.monotonic() - begin
    assert sent.accepted, sent
    if rcpt is not None:
        site.postfix.wait_one(rcpt, sent.subject)
    assert seconds < 10, seconds
    assert "panic" not in site.postfix.maillog()[before:]


@pytest.mark.parametrize("verify, rcpt", [({}, "postmaster@example.com"),
                                          ({"action": "auto"}, ALICE),
                                          ({"action": "mark"}, ALICE)],
                         ids=["postmaster", "warm-up", "where something marks"])
def test_very_many_result_headers_cost_nothing(site, verify, rcpt):
    """cleanup(8) takes a second for each thousand that it removes, and panics beyond 10,000."""
    site.use({"verify": {"action": "reject", **verify}})
    subject = util.unique("fields")
    is_fast(site, rcpt, lambda: site.receive("<>", rcpt, subject=subject,
                                             data=with_fields("X-Batv-Result", subject)))


def test_very_many_evidence_headers_cost_nothing(site):
    subject = util.unique("fields")
    is_fast(site, None, lambda: site.submit(ALICE, subject=subject,
                                            data=with_fields("X-Batv-Evidence", subject)))
    message = site.sink.wait_one(subject=subject)
    assert tag.parse(message.mail_from)


# -- revoked keys; at the end, because it changes the ring ----------------------------------------

def test_bounces_to_a_revoked_key_are_logged_not_refused(site):
    tagged = site.tagged(ALICE)
    key = site.batvd.active_key()
    site.batvd.ctl("key", "revoke", key, rc=0)
    assert site.batvd.active_key() != key
    old = tag.parse(tagged)[0]
    assert old == key

    def seen():
        sent, entry = site.judged_bounce(tagged)
        return (sent, entry) if entry["result"] != "valid" else None
    sent, entry = util.wait_for(seen, 5, "the revoked key gone", interval=0.2)
    assert (entry["result"], entry["action"], entry["rule"]) == ("unknown-key", "log", "key-gone")
    assert sent.accepted, sent
    site.postfix.wait_one(ALICE, sent.subject)
    # The new key signs at once.
    fresh = site.tagged(ALICE)
    assert tag.parse(fresh)[0] == site.batvd.active_key()


def test_bounces_to_a_compromised_key_are_refused(site):
    tagged = site.tagged(ALICE)
    site.batvd.ctl("key", "revoke", site.batvd.active_key(), "--compromised", rc=0)

    def seen():
        sent, entry = site.judged_bounce(tagged)
        return (sent, entry) if entry["result"] != "valid" else None
    sent, entry = util.wait_for(seen, 5, "the revoked key gone", interval=0.2)
    assert refused(sent), sent
    assert (entry["result"], entry["rule"]) == ("unknown-key", "verify.action")
