"""VERP on a real Postfix: it appends the recipient to the sender at delivery, behind batvd. Bounces
to what comes of that are known, and keep the recipient."""

import re
import subprocess

import pytest

from batvtest import answers, util
from batvtest.postfix import INSIDE
from batvtest.site import LONG, QUOTED, USER, Site

NEWS = "news@example.com"          # prefix syntax
SUB = "news@sub.example"           # subaddress syntax
DOUBLE = "jean-luc@sub.example"    # the same, with a recipient delimiter in the name
LISTS = [NEWS, SUB]
DELIMITERS = ["+=", "-=", "=="]
FAR = "far+x-y=z@other.test"


@pytest.fixture(scope="module")
def whole_site():
    main = {"recipient_delimiter": "+-=", "smtpd_authorized_verp_clients": "127.0.0.0/8",
            "virtual_alias_maps": r"pcre:{ {/^only-verp-.*@sub\.example$$/ news@sub.example} }"}
    with Site(mailboxes=(NEWS, SUB, DOUBLE, QUOTED, LONG, "alice@example.com"), main=main) as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


def with_extension(sender, rcpt, delimiters="+="):
    """What Postfix makes of a sender."""
    local, _, domain = sender.rpartition("@")
    box, _, host = rcpt.rpartition("@")
    return f"{local}{delimiters[0]}{box}{delimiters[1]}{host}@{domain}"


def tag_of(message, plain, delimiters, rcpt):
    """The sender of a message as it was signed, out of what the far end got."""
    box, _, host = rcpt.rpartition("@")
    local, _, domain = message.mail_from.rpartition("@")
    extension = f"{delimiters[0]}{box}{delimiters[1]}{host}"
    assert local.endswith(extension) and domain == plain.rpartition("@")[2], message.mail_from
    return f"{local.removesuffix(extension)}@{domain}"


def by_xverp(site, sender, rcpts, delimiters):
    sent = site.submit(sender, rcpts, mail_args=[f"XVERP={delimiters}"])
    assert sent.accepted, sent
    return sent.subject


def by_sendmail(site, sender, rcpts, delimiters):
    return site.postfix.sendmail(rcpts, sender=sender, options=[f"-XV{delimiters}"])


# -- what Postfix makes ---------------------------------------------------------------------------

@pytest.mark.parametrize("send", [by_xverp, by_sendmail])
@pytest.mark.parametrize("delimiters", DELIMITERS)
@pytest.mark.parametrize("sender", LISTS)
def test_a_bounce_to_a_verp_sender_is_valid_and_keeps_the_recipient(site, sender, delimiters, send):
    subject = send(site, sender, [FAR, "other@third.test"], delimiters)
    for message in site.sink.wait(subject=subject, count=2):
        rcpt, = message.rcpts
        site.batvd.check_tag(tag_of(message, sender, delimiters, rcpt), sender,
                             when=message.arrived)
        sent, entry = site.judged_bounce(message.mail_from)
        assert (entry["result"], entry["rule"], entry["action"]) == ("valid", "tag", "accept")
        assert entry["rcpt"] == f"<{message.mail_from}>"
        site.assert_delivered(sent, sender, with_extension(sender, rcpt, delimiters))


@pytest.mark.parametrize("sender, argument", [(NEWS, "XVERP"), (SUB, "XVERP")])
def test_the_delimiters_by_default(site, sender, argument):
    sent = site.submit(sender, FAR, mail_args=[argument])
    message = site.sink.wait_one(subject=sent.subject)
    assert message.mail_from.endswith("+far+x-y=z=other.test@" + sender.rpartition("@")[2])
    assert site.judged_bounce(message.mail_from)[1]["result"] == "valid"


@pytest.mark.parametrize("sender", LISTS)
@pytest.mark.parametrize("change", [str.upper, str.lower,
                                    lambda tagged: tagged.replace("other", "Other")])
def test_a_remote_site_that_changes_case(site, sender, change):
    subject = by_xverp(site, sender, FAR, "+=")
    tagged = change(site.sink.wait_one(subject=subject).mail_from)
    sent, entry = site.judged_bounce(tagged)
    assert sent.accepted and entry["result"] == "valid", entry.line
    site.postfix.wait_one(sender, sent.subject)


def test_a_quoted_sender(site):
    subject = by_xverp(site, QUOTED, FAR, "+=")
    tagged = site.sink.wait_one(subject=subject).mail_from
    assert tagged.startswith('"prvs=') and tagged.endswith('other.test"@example.com')
    sent, entry = site.judged_bounce(tagged)
    assert sent.accepted and entry["result"] == "valid", entry.line
    restored = re.escape('to=<"a b+far+x-y=z=other.test"@example.com>')
    site.postfix.wait_maillog(f"{sent.queue_id}: {restored}")


@pytest.mark.parametrize("sender", LISTS)
def test_local_recipients_see_tag_and_extension(site, sender):
    subject = by_xverp(site, sender, "alice@example.com", "+=")
    mail = site.postfix.wait_one("alice@example.com", subject)
    assert mail.return_path.endswith("+alice=example.com@" + sender.rpartition("@")[2])
    sent, entry = site.judged_mail("joe@other.test", mail.return_path)
    assert entry["result"] == "valid", entry.line
    site.assert_delivered(sent, sender, with_extension(sender, "alice@example.com"))


def test_a_tag_that_is_wrong_stays_so(site):
    subject = by_xverp(site, NEWS, FAR, "+=")
    tagged = site.sink.wait_one(subject=subject).mail_from
    for forged in (tagged.replace("=news", "=nows"), tagged.replace("example.com", "sub.example"),
                   tagged.replace("+far+x-y=z=other.test", "+far"),
                   tagged.replace("+far+x-y=z=other.test", "x+far=other.test")):
        sent, entry = site.judged_bounce(forged)
        assert sent.code == 550 and entry["result"] == "bad-signature", entry.line


# -- Postfix's own bounces, which pass no filter --------------------------------------------------

def bounced_at_home(site, sender):
    """The mailbox to which Postfix itself returned what the far end has refused."""
    site.sink.refuse("^refused@")
    before = len(site.postfix.mail(sender, "Undelivered Mail"))
    subject = by_xverp(site, sender, ["refused@other.test", FAR], "+=")
    found = site.postfix.wait_mail(sender, "Undelivered Mail", count=before + 1)
    mail, = [mail for mail in found if subject in mail.path.read_text(encoding="utf-8")]
    return mail.delivered_to


def of_check(site):
    """What `batvctl check` says of VERP."""
    return [one for one in site.ctl("check", json=True) if one["name"] == "postfix.verp"]


def test_postfixs_own_bounce_comes_home_without_the_tag(site):
    assert bounced_at_home(site, NEWS) == "news+refused=other.test@example.com"


def test_in_subaddress_syntax_the_tag_stays_on_it(site):
    """Nothing takes it off: there is no map, and batvd does not see such a bounce. What reads the
    recipient out of the address cannot; `batvctl check` says so."""
    delivered = bounced_at_home(site, SUB)
    assert delivered.startswith("news+prvs=") and delivered.endswith("+refused=other.test@sub.example")


def test_what_mends_that_is_what_check_says(site):
    """Applied, the tag is off Postfix's own bounces too."""
    found, = of_check(site)
    assert found["level"] == "warn" and "sub.example" in found["text"], found
    wish = re.search(r'set syntax = "(\w+)" for sub\.example,', found["mend"])
    site.use({"domains": ("example.com", {"name": "sub.example", "syntax": wish[1]})})
    assert [one["level"] for one in of_check(site)] == ["ok"]
    assert bounced_at_home(site, SUB) == "news+refused=other.test@sub.example"
    # So are addresses that Postfix knows by their pattern.
    subject = by_xverp(site, "only-verp@sub.example", FAR, "-=")
    sent, entry = site.judged_bounce(site.sink.wait_one(subject=subject).mail_from)
    assert entry["result"] == "valid" and sent.accepted, entry.line
    site.postfix.wait_one(SUB, sent.subject)


def test_in_subaddress_syntax_postfix_rejects_what_it_knows_by_a_pattern(site):
    subject = by_xverp(site, "only-verp@sub.example", FAR, "-=")
    sent = site.bounce(site.sink.wait_one(subject=subject).mail_from)
    assert sent.stage == "rcpt" and sent.code == 550 and "User unknown" in sent.text, sent


def test_a_name_with_another_delimiter_needs_prefix_syntax(site):
    """Postfix looks for jean alone."""
    sent = site.bounce(site.tagged(DOUBLE))
    assert sent.stage == "rcpt" and sent.code == 550 and "User unknown" in sent.text, sent
    found, = [one for one in site.ctl("check", json=True)
              if one["name"] == "postfix.recipient_delimiter"]
    wish = re.search(r'set syntax = "(\w+)" for sub\.example,', found["mend"])
    site.use({"domains": ("example.com", {"name": "sub.example", "syntax": wish[1]})})
    sent, entry = site.judged_bounce(site.tagged(DOUBLE))
    assert entry["result"] == "valid", entry.line
    site.assert_delivered(sent, DOUBLE)


# -- without a tag --------------------------------------------------------------------------------

@pytest.mark.parametrize("proof, keep", [
    ("tag-in-body", "Return-Path"), ("header", "X-Batv-Evidence"), ("journal", "Message-ID")])
@pytest.mark.parametrize("sender", LISTS)
def test_a_bounce_that_lost_its_tag_is_proven_by_what_it_returns(site, sender, proof, keep):
    subject = by_xverp(site, sender, FAR, "+=")
    original = site.sink.wait_one(subject=subject)
    lines = {"Return-Path": f"Return-Path: <{original.mail_from}>\n",
             "X-Batv-Evidence": f"X-Batv-Evidence: {original.message['X-Batv-Evidence']}\n",
             "Message-ID": f"Message-ID: {original.message['Message-ID']}\n"}
    for rcpt in (with_extension(sender, FAR), with_extension(sender, "else@other.test", "-="),
                 sender):
        sent, entry = site.answer(answers.bounce, original.data, rcpt, returned=lines[keep])
        assert (entry["result"], entry["proof"]) == ("missing", proof), entry.line
        assert sent.accepted, sent
        site.postfix.wait_one(sender, sent.subject)


def test_mail_that_is_not_signed_is_proven_too(site):
    site.use({"domains": ({"name": "example.com", "sign": False},)})
    original = site.sink.wait_one(subject=by_xverp(site, NEWS, FAR, "-="))
    assert original.mail_from == with_extension(NEWS, FAR, "-=")
    sent, entry = site.answer(answers.bounce, original.data, original.mail_from)
    assert (entry["result"], entry["proof"]) == ("missing", "header"), entry.line
    site.assert_delivered(sent, NEWS, original.mail_from)
    sent, entry = site.answer(answers.bounce, original.data, "alice+far=other.test@example.com")
    assert entry["proof"] == "none", entry.line


# -- senders that are too long to be tagged -------------------------------------------------------

def test_verp_of_a_sender_that_is_too_long_to_be_tagged(site):
    original = site.sink.wait_one(subject=by_xverp(site, LONG, FAR, "+="))
    assert original.mail_from == with_extension(LONG, FAR)
    sent, entry = site.judged_bounce(original.mail_from)
    assert (entry["result"], entry["action"], entry["rule"]) == ("missing", "accept", "untaggable")
    site.assert_delivered(sent, LONG, original.mail_from)


def test_senders_that_a_list_has_made_too_long(site):
    """Mailman makes VERP itself: each recipient has a message of its own, with a sender of its own.
    Of some the sender is too long to be tagged, of others it is not."""
    recipients = [f"{'r' * n}.{n}@department.other.test" for n in range(3, 45, 5)]
    senders = {rcpt: with_extension(NEWS, rcpt) for rcpt in recipients}
    seen = set()
    with site.postfix.session(auth=USER) as session:
        subjects = {rcpt: session.send(senders[rcpt], rcpt).subject for rcpt in recipients}
    for rcpt in recipients:
        message = site.sink.wait_one(subject=subjects[rcpt])
        assert message.rcpts == [rcpt]
        tagged = message.mail_from != senders[rcpt]
        assert tagged == (len(senders[rcpt].rpartition("@")[0]) <= 48)
        sent, entry = site.judged_bounce(message.mail_from)
        assert entry["action"] == "accept" and sent.accepted, entry.line
        assert entry["rule"] == ("tag" if tagged else "untaggable")
        site.assert_delivered(sent, NEWS, senders[rcpt])
        seen.add(entry["rule"])
    assert seen == {"tag", "untaggable"}
    unsent = with_extension(NEWS, "s" * 40 + "@department.other.test")
    assert site.judged_bounce(unsent)[1]["action"] == "log"      # the journal is young


# -- what batvctl says ----------------------------------------------------------------------------

@pytest.mark.parametrize("sender", LISTS)
def test_verify_and_explain(site, sender):
    original = site.sink.wait_one(subject=by_xverp(site, sender, FAR, "-="))
    tagged = original.mail_from
    plain = with_extension(sender, FAR, "-=")
    told, = site.ctl("verify", tagged, json=True, rc=0)
    assert (told["result"], told["plain"], told["days"]) == ("valid", plain, 7)
    done = site.ctl("explain", "--client", "192.0.2.9", "--from", "", "--rcpt", tagged, rc=0)
    assert f"<{tagged}>: valid" in done.out and f"recipient added: <{plain}>" in done.out
    for address in (sender, plain):
        question = ("journal", "lookup", address, str(original.message["Message-ID"]))
        util.wait_for(lambda: site.ctl(*question, json=True)["found"], what=question)


def by_default(site):
    """A sender with VERP by the delimiters that Postfix is set to."""
    subject = site.postfix.sendmail("far@other.test", sender=NEWS, options=["-V"])
    return site.sink.wait_one(subject=subject).mail_from


def test_delimiters_that_fit_no_tag_and_what_mends_them(site):
    site.postfix.configure(default_verp_delimiters="+-")
    try:
        assert site.judged_bounce(by_default(site))[1]["result"] == "bad-signature"
        found, = [one for one in of_check(site) if one["level"] == "fail"]
        done = subprocess.run(["sh", "-c", found["mend"]], env=site.postfix.env, timeout=60,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        assert [one["level"] for one in of_check(site)] == ["warn"]
        assert site.judged_bounce(by_default(site))[1]["result"] == "valid"
    finally:
        site.postfix.configure(default_verp_delimiters=None)


# -- the map --------------------------------------------------------------------------------------

@pytest.mark.parametrize("local, plain", [
    ("prvs=0000000000=news+far=other.test", "news+far=other.test"),
    ("prvs=0000000000=news-far+x-y=z=other.test", "news-far+x-y=z=other.test"),
    ("PRVS=0000ABCDEF=news==far=other.test", "news==far=other.test"),
    ('"prvs=0000000000=a b+far=other.test"', '"a b+far=other.test"'),
])
def test_the_map_lets_the_extension_through(site, local, plain):
    table = f"pcre:{site.postfix.conf}/batv.pcre"
    assert site.postfix.postmap(f"{local}@example.com", table) == f"{plain}@example.com"
    assert site.postfix.postmap(f"{local}@other.test", table) is None


def test_an_unknown_list_stays_unknown(site):
    """In subaddress syntax Postfix asks its own tables."""
    with site.postfix.session(source=INSIDE) as session:
        session.mail("<>")
        assert session.rcpt("nobody+prvs=0000000000+far=other.test@sub.example").code == 550
        assert session.rcpt("news+prvs=0000000000+far=other.test@sub.example").ok
