"""Tags of other makers, of old drafts and of forwarders, by the milter protocol and batvctl: none
of them is ours, none is ever an error, and none is taken off or signed."""

import pytest

from batvtest import util
from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

INSIDE = ("inside.example.com", "127.0.0.2", 4711)
OUTSIDE = ("--client", "192.0.2.9", "--from", "")

# What it is, the local part, the result.
FORMS = [
    ("Cisco", "prvs=779a1b2c3=alice", "foreign"),
    ("Cisco in capitals", "PRVS=779A1B2C3=alice", "foreign"),
    ("Cisco, VERP", "prvs=779a1b2c3=list-bounces+bob=other.test", "foreign"),
    ("Barracuda", "btv1==0123456789ab==alice", "foreign"),
    ("Barracuda in capitals", "BTV1==0123456789AB==alice", "foreign"),
    ("Barracuda, cut off", "btv1==0123456789ab", "foreign"),
    ("Barracuda, empty", "btv1====", "foreign"),
    ("SparkPost", "msprvs1=20779AbCdEf-gh=alice", "foreign"),
    ("SparkPost, VERP", "msprvs1=20779AbCdEf-gh=bounces-1-2", "foreign"),
    ("SparkPost, cut off", "msprvs1=", "foreign"),
    ("draft 00", "prvs=alice=0785abcdef", "foreign"),
    ("draft 00, slash", "prvs=alice/0785abcdef", "foreign"),
    ("SRS around ours", "SRS0=HHH=TT=example.com=prvs=0785abcdef=alice", "foreign"),
    ("SRS+ around ours", "SRS0+HHH=TT=example.com=prvs=0785abcdef=alice", "foreign"),
    ("SRS1 around ours", "SRS1=GGG=hop.test==HHH=TT=example.com=prvs=0785abcdef=alice", "foreign"),
    ("SRS", "SRS0=HHH=TT=other.test=bob", "missing"),
    ("ours, cut off", "prvs=0785abcdef", "malformed"),
    ("ours, no digits", "prvs=x785abcdef=alice", "malformed"),
    ("no tag at all", "prvs=", "malformed"),
    ("batv-tools with a dash", "alice-prvs=0785abcdef", "missing"),
    ("behind another's", "btv1==0123456789ab==prvs=0785abcdef=alice", "foreign"),
]
ALL = pytest.mark.parametrize("local, result", [form[1:] for form in FORMS],
                              ids=[form[0] for form in FORMS])


@pytest.fixture(scope="module")
def running():
    config = {"domains": ("example.com", {"name": "logged.example", "verify_action": "log"}),
              "verify": {"action": "reject"}}
    with Batvd(config) as instance:
        yield instance


def deliver(instance, sender, rcpt, **options):
    """The outcome, and where it is logged."""
    where = {"since": instance.mark(), "id": util.unique("Q").replace("-", "")}
    with MilterSession(instance.milter, queue_id=where["id"], **options) as session:
        return session.message(f"<{sender}>", [f"<{rcpt}>"]), where


@pytest.mark.parametrize("domain, action", [("example.com", "reject"), ("logged.example", "log")])
@ALL
def test_a_bounce(running, local, result, domain, action):
    """Judged as one without a tag; the SRS addresses among them are excluded."""
    outcome, where = deliver(running, "", f"{local}@{domain}")
    entry = running.wait_entry("verify", **where)
    if local.startswith("SRS"):
        action = "accept"
    assert (entry["result"], entry["action"]) == (result, action), entry.line
    assert (outcome.verdict, outcome.code) == (("reject", 550) if action == "reject" else
                                               ("accept", None))
    assert outcome.mods == []


@ALL
def test_ordinary_mail(running, local, result):
    """It goes by: the MTA's own tables say who is known."""
    outcome, _ = deliver(running, "joe@other.test", f"{local}@example.com")
    assert (outcome.verdict, outcome.mods) == ("accept", [])


@ALL
def test_a_sender(running, local, result):
    """Not signed a second time; what only looks a little like a tag is an ordinary sender."""
    outcome, where = deliver(running, f"{local}@example.com", "far@other.test", client=INSIDE)
    assert outcome.verdict == "accept"
    if local == "alice-prvs=0785abcdef":
        running.check_tag(outcome.new_sender, f"{local}@example.com")
    else:
        entry = running.wait_entry("sign-skip", **where)
        assert entry["reason"] == "already-tagged" and outcome.new_sender is None


def test_batvctl_tells_the_same(running):
    addresses = [f"{local}@example.com" for _, local, _ in FORMS]
    seen = running.ctl("verify", "--", *addresses, json=True)
    assert [(one["address"], one["result"], one["plain"]) for one in seen] == [
        (address, result, address) for address, (_, _, result) in zip(addresses, FORMS)]
    done = running.ctl("verify", "--", *addresses, rc=1)
    assert not done.err and len(done.lines) == len(FORMS)
    seen = running.ctl("explain", *OUTSIDE, "--rcpt", *addresses, json=True)
    assert [(one["rcpt"], one["result"]) for one in seen] == [
        (address, result) for address, (_, _, result) in zip(addresses, FORMS)]
    assert {one["rule"] for one in seen if one["rcpt"].startswith("SRS0=")} == {
        "exclude.recipients:SRS0=*@*"}
    tagged = running.ctl("sign", "--", *addresses, json=True)
    assert [one["reason"] for one in tagged] == [
        None if one.startswith("alice-") else "already-tagged" for one in addresses]
