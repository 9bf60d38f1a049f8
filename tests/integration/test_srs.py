"""Forwarders that rewrite senders (SRS, a real postsrsd): a tag of ours that one has wrapped comes
home, whether the forwarder is somebody else's or our own."""

import re

import pytest

from batvtest import manual, util
from batvtest.postfix import STRANGER, Postfix, make_bounce
from batvtest.site import MAILBOXES, Site
from batvtest.srs import Srs

ALICE = "alice@example.com"
FAR = "out@dest.test"
ELSEWHERE = "forwarder.test"
OURS = "srs.example.com"
WRAPPED = re.compile(r"SRS0=[^=]+=\w+=example\.com=(prvs=\d{4}[0-9a-f]{6}=alice)@(.+)")


def srs_main(srs):
    """As postsrsd's own instructions have it."""
    return {"sender_canonical_maps": srs.forward, "sender_canonical_classes": "envelope_sender",
            "recipient_canonical_maps": srs.reverse,
            "recipient_canonical_classes": "envelope_recipient"}



# -- somebody else's ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def away():
    """Our site, and a forwarder on the way that passes fwd@forwarder.test on."""
    with Site() as site, Srs(ELSEWHERE) as srs:
        main = {**srs_main(srs), "virtual_alias_maps": f"inline:{{fwd@{ELSEWHERE}={FAR}}}",
                "transport_maps": f"inline:{{example.com=smtp:[127.0.0.1]:{site.postfix.port()}}}"}
        with Postfix(mailboxes=[f"postmaster@{ELSEWHERE}"], relayhost=site.sink.relayhost,
                     hostname=f"mx.{ELSEWHERE}", main=main) as forwarder:
            yield site, forwarder


def assert_home(site, mark, tagged):
    entry = site.batvd.wait_entry("verify", since=mark)
    assert (entry["rcpt"], entry["result"], entry["action"]) == (f"<{tagged}>", "valid",
                                                                 "accept"), entry.line


def test_a_forwarded_message_is_refused_at_the_last_hop(away):
    site, forwarder = away
    tagged = site.tagged()
    mark = site.batvd.mark()
    before = len(site.postfix.mail(ALICE))
    site.sink.refuse(f"^{FAR}$")
    try:
        sent = forwarder.send(tagged, f"fwd@{ELSEWHERE}", xclient=STRANGER)
        assert sent.accepted, sent
        assert_home(site, mark, tagged)
        util.wait_for(lambda: len(site.postfix.mail(ALICE)) == before + 1, 10, "the bounce at home")
    finally:
        site.sink.accept_all()


def test_a_bounce_to_what_the_forwarder_made(away):
    site, forwarder = away
    tagged = site.tagged()
    sent = forwarder.send(tagged, f"fwd@{ELSEWHERE}", xclient=STRANGER)
    wrapped = site.sink.wait_one(subject=sent.subject).mail_from
    found = WRAPPED.fullmatch(wrapped)
    assert found and f"{found[1]}@example.com" == tagged and found[2] == ELSEWHERE, wrapped
    mark = site.batvd.mark()
    subject = util.unique("bounce")
    bounce = make_bounce(subject, to=wrapped)
    assert forwarder.send("<>", wrapped, bounce, xclient=STRANGER).accepted
    assert_home(site, mark, tagged)
    site.postfix.wait_one(ALICE, subject)


def test_a_wrapped_tag_that_was_forged_is_refused_at_home(away):
    """The forwarder cannot know; our site does."""
    site, forwarder = away
    sent = forwarder.send("prvs=0785abcdef=" + ALICE, f"fwd@{ELSEWHERE}", xclient=STRANGER)
    wrapped = site.sink.wait_one(subject=sent.subject).mail_from
    mark = site.batvd.mark()
    forwarder.send("<>", wrapped, make_bounce(util.unique(), to=wrapped), xclient=STRANGER)
    entry = site.batvd.wait_entry("verify", since=mark)
    assert (entry["result"], entry["action"]) == ("bad-signature", "reject"), entry.line


# -- our own --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def home():
    """A site that forwards fwd@example.com itself and rewrites every sender, its own too, into a
    domain that is ours as well. Its settings were there before batvd's."""
    with Srs(OURS) as srs:
        main = {**srs_main(srs), "virtual_alias_maps": f"inline:{{fwd@example.com={FAR}}}"}
        config = {"domains": ("example.com", OURS)}
        with Site(config, main=main, mailboxes=(*MAILBOXES, f"postmaster@{OURS}")) as site:
            yield site


def test_the_map_of_before_stays(home):
    maps = home.postfix.postconf("recipient_canonical_maps")
    assert "tcp:" in str(maps) and "pcre:" in str(maps), maps


def test_mail_of_others_that_we_forward(home):
    """Its SRS sender is not signed, and its bounces find their way."""
    sent = home.receive("joe@other.test", "fwd@example.com")
    assert sent.accepted, sent
    wrapped = home.sink.wait_one(subject=sent.subject).mail_from
    assert wrapped.startswith("SRS0=") and wrapped.endswith(f"=joe@{OURS}"), wrapped
    bounce, entry = home.judged_bounce(wrapped)
    assert (entry["result"], entry["action"]) == ("missing", "accept"), entry.line
    assert entry["rule"] == "exclude.recipients:SRS0=*@*"
    assert home.sink.wait_one(subject=bounce.subject).rcpts == ["joe@other.test"]


def test_a_tag_of_ours_that_we_wrap_ourselves(home):
    """Nothing is lost: what comes back to the SRS address reaches the one who sent."""
    sent = home.submit(ALICE, "fwd@example.com")
    assert sent.accepted, sent
    wrapped = home.sink.wait_one(subject=sent.subject).mail_from
    assert WRAPPED.fullmatch(wrapped), wrapped
    bounce, entry = home.judged_bounce(wrapped)
    assert (entry["result"], entry["action"]) == ("foreign", "accept"), entry.line
    assert entry["rule"] == "exclude.recipients:SRS0=*@*"
    home.assert_delivered(bounce, ALICE)


def test_a_submission_from_an_srs_address_is_not_signed(home):
    wrapped = f"SRS0=HHHH=TT=other.test=joe@{OURS}"
    mark = home.batvd.mark()
    sent = home.submit_inside(wrapped)
    assert sent.accepted, sent
    assert home.batvd.wait_entry("sign-skip", since=mark)["reason"] == "already-tagged"
    assert "prvs=" not in home.sink.wait_one(subject=sent.subject).mail_from


# -- forged, with a catch-all ---------------------------------------------------------------------

def test_an_srs_address_that_nobody_made_reaches_no_mailbox(srs_checked):
    """A catch-all delivers it, and check says so; with what it says, it is rejected."""
    site, mend = srs_checked
    bounce, entry = site.judged_bounce("SRS0=x@example.com")
    assert entry["rule"] == "exclude.recipients:SRS0=*@*"
    site.assert_delivered(bounce, ALICE)
    recipients = re.search(r"exclude: \{ recipients = \[ (.*) \]; \};", mend)[1]
    site.use({"exclude": {"recipients": re.findall(r'"(.+?)"', recipients)}})
    try:
        sent, entry = site.judged_bounce("SRS0=x@example.com")
        assert not sent.accepted and entry["action"] == "reject", entry.line
        assert srs_finding(site)["level"] == "ok"
        assert site.bounce(site.tagged()).accepted
    finally:
        site.reset()


def srs_finding(site):
    found = site.batvd.ctl("check", "--json", env=site.postfix.env).json
    return next(one for one in found if one["name"] == "backscatter.srs")


@pytest.fixture
def srs_checked():
    with Site(main={"virtual_alias_maps": f"inline:{{@example.com={ALICE}}}"}) as site:
        finding = srs_finding(site)
        assert finding["level"] == "warn", finding
        yield site, finding["mend"]


# -- Microsoft 365's and Google's, in a domain of ours --------------------------------------------

@pytest.fixture(scope="module")
def hybrid():
    """Our Postfix is the domain's MX; with the delimiter it delivers what it should pass on."""
    with Site() as site:
        yield site


FORWARDED = [("alice+SRS=Hx8Tf=5K=other.test=joe@example.com", "Microsoft 365", "*+SRS=*"),
             ("Alice+srs=Hx8Tf=5K@EXAMPLE.com", "Microsoft 365", "*+SRS=*"),
             ("alice+caf_=joe=other.test@example.com", "Google", "*+caf_=*")]


@pytest.mark.parametrize("rcpt, maker, pattern", FORWARDED)
def test_a_forwarding_address(hybrid, rcpt, maker, pattern):
    """Rejected unless the manual's line is applied, which opens no other address."""
    sent, entry = hybrid.judged_bounce(rcpt)
    assert not sent.accepted and entry["rule"] == "verify.action", entry.line
    hybrid.use_text(manual.blocks("batvd.conf.5", "Hybrid Microsoft 365")[-1])
    try:
        sent, entry = hybrid.judged_bounce(rcpt)
        assert entry["rule"] == f"exclude.recipients:{pattern}@example.com", entry.line
        assert sent.accepted and hybrid.postfix.wait_one(ALICE, sent.subject)
        for closed in (ALICE, "alice+box@example.com", "alice+SRSx=y@example.com"):
            sent, entry = hybrid.judged_bounce(closed)
            assert not sent.accepted and entry["action"] == "reject", entry.line
        for default in ("postmaster@example.com", "SRS0=HHH=TT=other.test=joe@example.com"):
            said = explained(hybrid, "", default)
            assert "accept by exclude.recipients:" in said, said
    finally:
        hybrid.reset()
    assert maker in explained(hybrid, "", rcpt)


def explained(site, sender, rcpt):
    return site.ctl("explain", "--client", "192.0.2.9", "--from", sender, "--rcpt", rcpt).out


@pytest.mark.parametrize("rcpt, maker, pattern", FORWARDED)
def test_a_forwarding_address_as_sender(hybrid, rcpt, maker, pattern):
    said = hybrid.ctl("explain", "--client", "local", "--from", rcpt, "--rcpt", FAR).out
    assert "not signed: already-tagged" in said and maker in said, said


def test_the_default_knows_each_form_of_srs(hybrid):
    for number in "01":
        for sign in "=+-":
            said = explained(hybrid, "", f"SRS{number}{sign}HHH=TT=x.test=joe@example.com")
            assert f"accept by exclude.recipients:SRS{number}{sign}*@*" in said, said
            assert "an SRS address: a forwarder made it" in said, said
    for rcpt, maker, _ in FORWARDED:
        said = explained(hybrid, "", rcpt)
        assert "reject by verify.action" in said and maker in said, said
