"""What goes out of a real Postfix: who is signed for, what the far end sees, what the log says."""

import subprocess

import pytest

from batvtest import tag, util
from batvtest.postfix import INSIDE, OUTSIDE, make_message
from batvtest.site import LONG, USER, Site


@pytest.fixture(scope="module")
def whole_site():
    with Site() as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


def assert_tagged(site, message, plain, **options):
    site.batvd.check_tag(message.mail_from, plain, when=message.arrived, **options)


def skipped(site, mark, sender):
    """The reason why a message since `mark` was not signed."""
    return site.batvd.wait_entry("sign-skip", since=mark, **{"from": f"<{sender}>"})["reason"]


# -- where mail comes from ------------------------------------------------------------------------

def test_submission_by_smtp_auth_is_tagged_and_logged(site):
    sent = site.submit("alice@example.com")
    assert sent.accepted, sent
    message = site.sink.wait_one(subject=sent.subject)
    assert_tagged(site, message, "alice@example.com")
    entry = site.batvd.wait_entry("sign", id=sent.queue_id)
    assert entry.keys_in_order == ["from", "tagged", "key", "expires", "ring"]
    assert entry["from"] == "<alice@example.com>"
    assert entry["tagged"] == f"<{message.mail_from}>"
    assert entry["key"] == str(site.batvd.active_key())
    told = site.batvd.ctl("verify", message.mail_from, json=True, rc=0)[0]
    assert entry["expires"] == told["expires"]
    assert (told["result"], told["plain"], told["days"]) == ("valid", "alice@example.com", 7)
    assert int(entry["ring"]) >= 1


def test_submission_from_an_internal_network_is_tagged(site):
    sent = site.submit_inside("alice@example.com")
    assert sent.accepted, sent
    assert_tagged(site, site.sink.wait_one(subject=sent.subject), "alice@example.com")


def test_mail_by_sendmail_is_tagged(site):
    subject = site.postfix.sendmail("far@other.test", sender="alice@example.com")
    assert_tagged(site, site.sink.wait_one(subject=subject), "alice@example.com")


def test_mail_of_a_local_process_without_a_sender_is_tagged(site):
    subject = site.postfix.sendmail("far@other.test")
    assert_tagged(site, site.sink.wait_one(subject=subject), "root@example.com")


def test_swaks_by_hand(site):
    subject = util.unique("swaks")
    done = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(site.postfix.port()), "--auth", "PLAIN",
         "--auth-user", USER[0], "--auth-password", USER[1], "--from", "alice@example.com",
         "--to", "far@other.test", "--header", f"Subject: {subject}", "--local-interface", OUTSIDE],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert_tagged(site, site.sink.wait_one(subject=subject), "alice@example.com")


def test_mail_from_outside_in_our_name_is_not_tagged(site):
    mark = site.batvd.mark()
    sent = site.receive("bob@example.com", "alice@example.com")
    mail = site.assert_delivered(sent, "alice@example.com")
    assert mail.return_path == "bob@example.com"
    assert skipped(site, mark, "bob@example.com") == "not-a-submission"


def test_other_domains_are_not_tagged(site):
    mark = site.batvd.mark()
    sent = site.submit("somebody@elsewhere.test")
    assert site.sink.wait_one(subject=sent.subject).mail_from == "somebody@elsewhere.test"
    assert not site.batvd.log("sign", since=mark)


def test_local_recipients_see_the_tag(site):
    sent = site.submit("alice@example.com", "bob@example.com")
    mail = site.assert_delivered(sent, "bob@example.com")
    site.batvd.check_tag(mail.return_path, "alice@example.com")


def test_a_client_in_relays_is_no_submission_unless_authenticated(site):
    site.use({"relays": [f"{INSIDE}/32", f"{OUTSIDE}/32"]})
    mark = site.batvd.mark()
    sent = site.submit_inside("bob@example.com", "alice@example.com")
    assert site.assert_delivered(sent, "alice@example.com").return_path == "bob@example.com"
    assert skipped(site, mark, "bob@example.com") == "not-a-submission"
    assert_tagged(site, site.outgoing("alice@example.com"), "alice@example.com")


# -- what the sender looks like -------------------------------------------------------------------

def test_case_of_the_sender_is_kept_and_does_not_matter(site):
    message = site.outgoing("Alice.B@EXAMPLE.com")
    assert message.mail_from.endswith("=Alice.B@EXAMPLE.com")
    assert_tagged(site, message, "Alice.B@EXAMPLE.com")
    small = site.outgoing("alice.b@example.com").mail_from
    assert small.partition("=alice")[0] == message.mail_from.partition("=Alice")[0]


def test_quoted_local_part_is_quoted_as_a_whole(site):
    message = site.outgoing('"a b"@example.com')
    assert message.mail_from.startswith('"prvs=')
    assert message.mail_from.endswith('=a b"@example.com')
    assert_tagged(site, message, '"a b"@example.com')


def test_local_part_with_equal_signs(site):
    assert_tagged(site, site.outgoing("list=bob=other.test@example.com"),
                  "list=bob=other.test@example.com")


def test_utf8_sender(site):
    message = site.outgoing("jürgen@example.com", mail_args=["SMTPUTF8"])
    assert_tagged(site, message, "jürgen@example.com")


def test_subaddress_syntax(site):
    message = site.outgoing("carol@sub.example")
    assert message.mail_from.startswith("carol+prvs=")
    assert message.mail_from.endswith("@sub.example")
    assert_tagged(site, message, "carol@sub.example")


def test_longest_local_part_that_can_be_tagged(site):
    sender = "m" * 48 + "@example.com"
    message = site.outgoing(sender)
    assert_tagged(site, message, sender)
    assert len(message.mail_from.rpartition("@")[0]) == 64


@pytest.mark.parametrize("sender, reason, seen", [
    ("<>", "null-sender", ""),
    ("mailer-daemon@example.com", "mailer-daemon", ""),
    ("MAILER-DAEMON@sub.example", "mailer-daemon", "MAILER-DAEMON@sub.example"),
    (LONG, "too-long", LONG),
    ("prvs=1234abcdef=alice@example.com", "already-tagged", None),
    ("PRVS=1234ABCDEF=alice@example.com", "already-tagged", None),
    ("btv1==012345abcde==alice@example.com", "already-tagged", None),
    ("msprvs1=20778abcdef=bounces@example.com", "already-tagged", None),
    ("SRS0=abcd=ab=other.test=joe@example.com", "already-tagged", None),
    ("SRS0+abcd=ab=other.test=joe@example.com", "already-tagged", None),
    ("srs1-abcd=forwarder.test==ab=cd=other.test=joe@example.com", "already-tagged", None),
    ("alice+SRS=abcd=ab=other.test=joe@example.com", "already-tagged", None),
    ("bounces+srs=abcd=ab@example.com", "already-tagged", None),
    ("alice+caf_=joe=other.test@example.com", "already-tagged", None),
])
def test_never_signed(site, sender, reason, seen):
    mark = site.batvd.mark()
    sent = site.submit(sender)
    assert sent.accepted, sent
    message = site.sink.wait_one(subject=sent.subject)
    assert message.mail_from == (sender if seen is None else seen)
    assert skipped(site, mark, sender.strip("<>")) == reason


def test_own_tag_of_today_stays_and_of_another_day_is_replaced(site):
    today = site.batvd.tagged("alice@example.com", days=7)
    assert site.outgoing(today).mail_from == today
    older = site.batvd.tagged("alice@example.com", days=4)
    message = site.outgoing(older)
    assert message.mail_from != older
    assert_tagged(site, message, "alice@example.com")


# -- what travels with it -------------------------------------------------------------------------

def test_dsn_parameters_survive(site):
    message = site.outgoing("alice@example.com", mail_args=["RET=HDRS", "ENVID=QQ314159",
                                                            "BODY=8BITMIME"],
                            rcpt_args=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Far@other.test"])
    assert_tagged(site, message, "alice@example.com")
    assert message.mail_arg("RET") == "HDRS"
    assert message.mail_arg("ENVID") == "QQ314159"
    assert set(message.rcpt_arg(0, "NOTIFY").split(",")) == {"SUCCESS", "FAILURE"}
    assert message.rcpt_arg(0, "ORCPT") == "rfc822;Far@other.test"


def test_notify_never_survives(site):
    message = site.outgoing("alice@example.com", mail_args=["RET=FULL"],
                            rcpt_args=["NOTIFY=NEVER"])
    assert_tagged(site, message, "alice@example.com")
    assert message.mail_arg("RET") == "FULL"
    assert message.rcpt_arg(0, "NOTIFY") == "NEVER"


def test_headers_stay_as_they_are(site):
    """Another site's tag in a header, and our own plain address: neither is touched."""
    foreign = "prvs=1234abcdef=alice@example.com"
    subject = util.unique()
    data = make_message(subject, sender="Alice <alice@example.com>", rcpt=foreign)
    sent = site.submit("alice@example.com", data=data, subject=subject)
    message = site.sink.wait_one(subject=sent.subject)
    assert_tagged(site, message, "alice@example.com")
    assert message.message["To"] == foreign
    assert message.message["From"] == "Alice <alice@example.com>"
    ours = [name for name in message.message.keys() if name.lower().startswith("x-batv")]
    assert ours == ["X-Batv-Evidence"]


def test_every_recipient_gets_the_same_tagged_sender(site):
    rcpts = ["far@other.test", "away@else.test"]
    sent = site.submit("alice@example.com", rcpts)
    got = site.sink.wait(subject=sent.subject, count=1)
    site.postfix.wait_idle()
    got = site.sink.messages(subject=sent.subject)
    assert sorted(rcpt for message in got for rcpt in message.rcpts) == sorted(rcpts)
    for message in got:
        assert_tagged(site, message, "alice@example.com")
    site.batvd.wait_entry("sign", id=sent.queue_id)


def test_messages_of_one_session_do_not_mix(site):
    """Several senders, RSET in between, a refused and a foreign one: each is its own."""
    sent = []
    with site.postfix.session(auth=USER) as session:
        sent.append(session.send("alice@example.com", "far@other.test"))
        assert session.mail("bob@example.com").ok
        assert session.rcpt("far@other.test").ok
        assert session.rset().ok
        sent.append(session.send("somebody@elsewhere.test", "far@other.test"))
        sent.append(session.send("carol@sub.example", "far@other.test"))
        assert session.mail("<>").ok
        assert session.rset().ok
        sent.append(session.send("bob@example.com", "far@other.test"))
    seen = [site.sink.wait_one(subject=one.subject) for one in sent]
    assert seen[1].mail_from == "somebody@elsewhere.test"
    for index, plain in ((0, "alice@example.com"), (2, "carol@sub.example"),
                         (3, "bob@example.com")):
        assert_tagged(site, seen[index], plain)
        entry = site.batvd.wait_entry("sign", id=sent[index].queue_id)
        assert entry["from"] == f"<{plain}>"


# -- settings -------------------------------------------------------------------------------------

@pytest.mark.parametrize("option, entry, kind", [
    ("senders", "ali*@example.com", "submit"),
    ("senders", "alice@*", "submit"),
    ("recipients", "*@other.test", "submit"),
    ("recipients", "*@*.test", "submit"),
    ("clients", f"{INSIDE}/32", "submit_inside"),
])
def test_exclude_sign(site, option, entry, kind):
    site.use({"exclude_sign": {option: [entry]}})
    mark = site.batvd.mark()
    sent = getattr(site, kind)("alice@example.com")
    assert site.sink.wait_one(subject=sent.subject).mail_from == "alice@example.com"
    assert skipped(site, mark, "alice@example.com") == f"exclude_sign.{option}:{entry}"


@pytest.mark.parametrize("option, entry", [
    ("senders", "bob@example.com"),
    ("recipients", "*@elsewhere.test"),
    ("clients", "192.0.2.0/24"),
])
def test_exclude_sign_leaves_others_alone(site, option, entry):
    site.use({"exclude_sign": {option: [entry]}})
    assert_tagged(site, site.outgoing("alice@example.com"), "alice@example.com")


def test_one_excluded_recipient_excludes_the_whole_message(site):
    site.use({"exclude_sign": {"recipients": ["*@lists.test"]}})
    mark = site.batvd.mark()
    sent = site.submit("alice@example.com", ["far@other.test", "list@lists.test"])
    assert sent.accepted, sent
    site.sink.wait(subject=sent.subject)
    site.postfix.wait_idle()
    for message in site.sink.messages(subject=sent.subject):
        assert message.mail_from == "alice@example.com"
    reason = skipped(site, mark, "alice@example.com")
    assert reason == "exclude_sign.recipients:*@lists.test"


def test_signing_can_be_off_while_tags_are_still_accepted(site):
    tagged = site.tagged("alice@example.com")
    site.use({"sign": {"enabled": False}})
    assert site.outgoing("alice@example.com").mail_from == "alice@example.com"
    sent = site.bounce(tagged)
    site.assert_delivered(sent, "alice@example.com")


def test_lifetime(site):
    site.use({"sign": {"lifetime_days": 3}})
    assert_tagged(site, site.outgoing("alice@example.com"), "alice@example.com", days=3)


def test_a_tag_answers_to_the_independent_rule(site):
    """The oracle that the other tests lean on can itself tell right from wrong."""
    tagged = site.tagged("alice@example.com")
    with pytest.raises(AssertionError):
        site.batvd.check_tag(tag.spoil(tagged), "alice@example.com")
    with pytest.raises(AssertionError):
        site.batvd.check_tag(tagged, "alice@example.com", days=6)
    with pytest.raises(AssertionError):
        site.batvd.check_tag(tagged, "bob@example.com")
