"""What depends on the date, on a real Postfix: the waiting time before refusing, expiry, midnight,
rotation by the calendar. Postfix lives in real time, batvd and batvctl in libfaketime's."""

import datetime
import re
import time

import pytest

from batvtest import tag, util
from batvtest.daemon import DAY
from batvtest.postfix import INSIDE, STRANGER
from batvtest.site import Site

pytestmark = pytest.mark.slow

ALICE = "alice@example.com"
RELAYED_FOR = "127.0.0.3"                        # in Postfix's mynetworks, not in internal_networks
NOON = int(time.time()) // DAY * DAY + DAY // 2  # of day 0


@pytest.fixture(scope="module")
def postfix_site():
    """One Postfix for the module; each test gets a batvd with a state of its own behind it."""
    with Site({"verify": {"action": "auto", "forged": "auto"}}, fake_time=True,
              main={"mynetworks": f"{INSIDE}/32, {RELAYED_FOR}/32"}) as site:
        yield site


@pytest.fixture
def site(postfix_site):
    """The site with a new ring that has never signed anything, at noon of day 0."""
    batvd = postfix_site.batvd
    batvd.kill9()
    for path in batvd.state.iterdir():
        path.unlink()
    batvd.forget_secrets()
    batvd.configure(postfix_site.base)
    at(postfix_site, 0)
    yield postfix_site
    postfix_site.sink.accept_all()


def at(site, days=0, *, seconds=0):
    """The same state, with a daemon that starts so much after noon of day 0."""
    site.batvd.kill9()
    site.batvd.set_clock(NOON + days * DAY + seconds)
    site.batvd.start()


def sign(site, sender=ALICE, *, back=True):
    """A message from there, and the ring knows of it, and that a tag comes `back`; returns the tag
    and when it was signed."""
    tagged = site.tagged(sender)
    when = site.batvd.now()
    domain = sender.rpartition("@")[2]
    util.wait_for(lambda: ring_knows(site, domain), 5, "the first signed message in the ring")
    if back:
        assert site.bounce(tagged).accepted
        util.wait_for(lambda: "tag-seen=" in ring_knows(site, domain), 5, "the tag in the ring")
    return tagged, when


def ring_knows(site, domain):
    """What it says of the domain."""
    lines = (site.batvd.state / "keyring").read_text("ascii").splitlines()
    return "".join(line for line in lines if line.startswith(f"domain {domain} "))


def judged_by_the_newest(site, rcpt):
    """A bounce that was judged by the keyring in the file: the daemon writes the file, and a moment
    later it judges by it."""
    generation = int(re.search(r"(?m)^generation (\d+)$", (site.batvd.state / "keyring").read_text("ascii"))[1])
    for _ in range(20):
        sent, entry = site.judged_bounce(rcpt)
        if int(entry["ring"]) >= generation:
            break
    return sent, entry


def judged_as(site, result, action, rule, rcpt=ALICE, **fields):
    sent, entry = judged_by_the_newest(site, rcpt)
    fields.update(result=result, action=action, rule=rule)
    assert {key: entry.get(key) for key in fields} == fields, entry.line
    if action == "reject":
        assert sent.code == 550 and sent.text.startswith("5.7.1 "), sent
        site.assert_nothing(sent, ALICE)
    else:
        assert sent.accepted, sent
        site.postfix.wait_one(ALICE, sent.subject)
    return entry


def warming_up(site):
    judged_as(site, "missing", "log", "auto.warm-up", would="reject")


def refusing(site):
    judged_as(site, "missing", "reject", "verify.action")


# -- the waiting time -----------------------------------------------------------------------------

@pytest.mark.parametrize("lifetime, wait", [(7, 7), (3, 7), (10, 10)])
def test_auto_waits_after_the_first_signed_message(site, lifetime, wait):
    site.batvd.configure({**site.base, "sign": {"lifetime_days": lifetime}})
    at(site, 0)
    warming_up(site)
    _, signed = sign(site)
    site.batvd.kill9()
    site.batvd.set_clock(signed + wait * DAY - 60)
    site.batvd.start()
    warming_up(site)
    site.batvd.kill9()
    site.batvd.set_clock(signed + wait * DAY + 5)
    site.batvd.start()
    refusing(site)


def test_auto_waits_for_ever_where_nothing_was_signed(site):
    at(site, 30)
    warming_up(site)


def test_later_messages_do_not_prolong_the_wait(site):
    sign(site)
    at(site, 4)
    sign(site)
    at(site, 7, seconds=120)
    refusing(site)


def test_each_domain_waits_for_itself(site):
    sign(site)
    at(site, 7, seconds=120)
    sent, entry = site.judged_bounce("carol@sub.example")
    assert (entry["action"], entry["rule"]) == ("log", "auto.warm-up")
    site.assert_delivered(sent, "carol@sub.example")
    refusing(site)


@pytest.mark.parametrize("without", [
    {"domains": ("sub.example",)},
    {"domains": ({"name": "example.com", "sign": False}, "sub.example")},
    {"sign": {"enabled": False}},
], ids=["domain removed", "domain not signing", "nothing signed"])
def test_the_wait_begins_anew_after_an_interruption(site, without):
    sign(site)
    at(site, 7, seconds=120)
    refusing(site)
    site.batvd.reload({**site.base, **without})
    util.wait_for(lambda: not ring_knows(site, "example.com"), 5, "the record dropped")
    site.batvd.reload(site.base)
    warming_up(site)
    at(site, 10)
    warming_up(site)
    sign(site, back=False)
    at(site, 17, seconds=120)
    judged_as(site, "missing", "log", "auto.no-tag-seen", would="reject")
    sign(site)
    refusing(site)


def test_the_wait_ends_in_a_running_daemon(site):
    """Nobody restarts it: both clocks of the daemon go on, as a week does."""
    site.batvd.kill9()
    site.batvd.monotonic = True
    try:
        site.batvd.start()
        sign(site)
        warming_up(site)
        site.batvd.set_clock(NOON + 7 * DAY + 120)
        refusing(site)
    finally:
        site.batvd.monotonic = False


BEGINS = r"example\.com: bounces without .* are rejected from now on"


def begins(site):
    """How often the log says that the domain begins to reject."""
    return len(re.findall(BEGINS, site.batvd.log_text()))


def known(site, **wanted):
    """Waits until `status` says that of the domain."""
    def says():
        domains = site.batvd.ctl("status", json=True)["domains"]
        return [one for one in domains if one["name"] == "example.com" and wanted.items() <= one.items()]
    util.wait_for(says, 15, f"{wanted} in the status", interval=0.3)


def test_the_moment_is_logged_in_a_running_daemon(site):
    site.batvd.kill9()
    site.batvd.monotonic = True
    before = begins(site)
    try:
        site.batvd.start()
        sign(site)
        known(site, state="waiting")
        assert begins(site) == before
        site.batvd.set_clock(NOON + 7 * DAY + 120)
        known(site, state="enforcing")
        util.wait_for(lambda: begins(site) > before, 15, "the line")
        site.batvd.set_clock(NOON + 7 * DAY + 600)
        refusing(site)
        assert begins(site) == before + 1
    finally:
        site.batvd.monotonic = False


def test_the_moment_is_logged_once_over_restarts(site):
    """By the daemon that finds it come, and by none after it; what was counted until then stays."""
    before = begins(site)
    sign(site)
    since = site.batvd.ctl("status", json=True)["bounces"]["would_reject_since"]
    warming_up(site)
    warming_up(site)
    known(site, state="waiting")
    util.wait_for(lambda: site.batvd.ctl("status", json=True)["bounces"]["would_reject"] == 2, 15)
    assert begins(site) == before
    at(site, 7, seconds=120)
    known(site, state="enforcing")
    assert begins(site) == before + 1
    refusing(site)
    at(site, 8)
    known(site, state="enforcing")
    refusing(site)
    assert begins(site) == before + 1
    said = site.batvd.ctl("status", json=True)["bounces"]
    assert (said["would_reject"], said["would_reject_since"]) == (2, since)
    assert said["would_reject_last"][:10] == since[:10]
    mark = site.batvd.mark()
    site.batvd.ctl("pause", rc=0)
    site.batvd.wait_text("(?i)pause", since=mark)
    judged_as(site, "missing", "log", "pause", would="reject")
    util.wait_for(lambda: site.batvd.ctl("status", json=True)["bounces"]["would_reject"] == 3, 15)
    assert "recipients of bounces that would have been rejected (action=log would=reject): 3 since" in (
        site.batvd.ctl("status").out)
    site.batvd.ctl("resume", rc=0)


def test_a_clock_that_jumps_makes_auto_log(site):
    """More than a day against the monotonic clock: an error, no rotation, nothing refused."""
    sign(site)
    at(site, 7, seconds=120)
    refusing(site)
    wait_rotated(site, 0)
    key = site.batvd.active_key()
    mark = site.batvd.mark()
    site.batvd.set_clock(NOON + 17 * DAY)
    site.batvd.wait_text("(?i)clock", since=mark)
    warming_up(site)
    keys = site.batvd.ctl("key", "list", json=True)
    assert [item["number"] for item in keys if item["state"] == "active"] == [key]
    site.batvd.set_clock(NOON + 7 * DAY + 180)
    util.wait_for(lambda: site.bounce(ALICE).code == 550, 10,
                  "refusing again with the clock put right", interval=0.3)


def test_a_clock_behind_the_ring_makes_auto_log(site):
    sign(site)
    at(site, 8)
    wait_rotated(site, 0)
    refusing(site)
    tagged, _ = sign(site)
    mark = site.batvd.mark()
    at(site, 6)
    site.batvd.wait_text("(?i)clock", since=mark)
    warming_up(site)
    at(site, 8, seconds=60)
    refusing(site)
    judged_as(site, "valid", "accept", "tag", rcpt=tagged)


def relay(site, sender="bob@example.com", rcpt="far@other.test"):
    """A message that Postfix lets out for a host that batvd does not know as ours."""
    mark = site.batvd.mark()
    sent = site.postfix.send(sender, rcpt, source=RELAYED_FOR)
    assert sent.accepted, sent
    assert site.sink.wait_one(subject=sent.subject).mail_from == sender
    return mark


def held_until(site, day):
    at(site, day, seconds=-300)
    warming_up(site)
    at(site, day, seconds=300)
    refusing(site)


def test_relayed_unsigned_mail_holds_auto(site):
    """Mail in our name that Postfix relays for a client that batvd does not know as ours: its
    bounces would come without a tag. It holds while the domain waits, and for a wait more after the
    last of it; a restart forgets none of it."""
    sign(site)
    at(site, 3)
    entry = site.batvd.wait_entry("relayed-unsigned", since=relay(site))
    assert entry["from"] == "<bob@example.com>" and RELAYED_FOR in entry["client"]
    util.wait_for(lambda: RELAYED_FOR in site.batvd.ctl("status").out, 15,
                  "the client in the status", interval=0.5)
    at(site, 9)
    warming_up(site)
    site.batvd.wait_entry("relayed-unsigned", since=relay(site))
    site.batvd.stop()
    held_until(site, 16)


def test_relayed_unsigned_mail_does_not_undo_rejecting(site):
    sign(site)
    at(site, 7, seconds=120)
    refusing(site)
    entry = site.batvd.wait_entry("relayed-unsigned", since=relay(site))
    assert RELAYED_FOR in entry["client"]
    util.wait_for(lambda: RELAYED_FOR in site.ctl("status").out, 15, "a warning", interval=0.5)
    refusing(site)
    warned, = [one for one in site.ctl("check", "--json").json if one["name"] == "relayed-unsigned"]
    assert warned["level"] == "warn" and RELAYED_FOR in warned["text"]
    site.batvd.restart()
    refusing(site)


def test_the_advice_for_relayed_unsigned_mail(site):
    """Followed to the letter it makes a submitter of the host."""
    sign(site)
    site.batvd.wait_entry("relayed-unsigned", since=relay(site))
    line = util.wait_for(lambda: re.search(
        r"if, and only if, each of these hosts is yours.*\n +internal_networks = "
        r"\[ (.*) \];", site.ctl("status").out), 15, "the line in the status")
    mend = [one["mend"] for one in site.ctl("check", "--json").json
            if one["name"] == "relayed-unsigned"]
    # The whole line, with what is in force already.
    assert line[1] == f'"{INSIDE}/32", "{RELAYED_FOR}/32"'
    assert len(mend) == 1 and (f'in {site.batvd.conf}: internal_networks = [ "{INSIDE}/32", '
                               f'"{RELAYED_FOR}" ];') in mend[0]
    networks = [one.strip('" ') for one in line[1].split(",")]
    site.batvd.reload({**site.base, "internal_networks": networks})
    sent = site.postfix.send(ALICE, "far@other.test", source=RELAYED_FOR)
    site.batvd.check_tag(site.sink.wait_one(subject=sent.subject).mail_from, ALICE)
    assert "only if" not in site.ctl("status").out
    assert not [one for one in site.ctl("check", "--json").json
                if one["name"] == "relayed-unsigned" and one["level"] != "ok"]


def test_an_outsider_holds_nothing_by_mail_to_this_host(site):
    """Once a week, in the name of ours, to every name that this host has for itself."""
    sign(site)
    mark = site.batvd.mark()
    for day in (0, 3, 6):
        at(site, day)
        for own in ("localhost", "mail.example.com", "localhost.localdomain", "[127.0.0.1]"):
            site.receive("x@example.com", f"postmaster@{own}")
        site.receive("x@example.com", "postmaster")
    at(site, 7, seconds=120)
    refusing(site)
    assert not site.batvd.log("relayed-unsigned", since=mark)
    assert site.ctl("status", "--json").json["relayed"] == []


def test_everyday_spam_to_hosted_domains_holds_nothing(hosting):
    """Domains that Postfix takes mail for and sends on by transport_maps: what strangers send there
    in our name is no mail of ours that leaves unsigned."""
    site = hosting
    sign(site)
    assert site.receive("friend@far.test", "x@hosted.test").accepted
    time.sleep(1.5 * util.PATIENCE)
    mark = site.batvd.mark()
    for day in (1, 4):
        at(site, day)
        spam = site.receive("bob@example.com", "x@hosted.test")
        assert site.sink.wait_one(subject=spam.subject).mail_from == "bob@example.com"
        # one that nobody else has written to yet counts, until somebody does
        new = site.receive("bob@example.com", f"x@new{day}.test")
        assert site.sink.wait_one(subject=new.subject)
    assert {entry["rcpt"] for entry in site.batvd.log("relayed-unsigned", since=mark)} == {
        "<x@new1.test>", "<x@new4.test>"}
    for day in (1, 4):
        assert site.receive("<>", f"x@new{day}.test").accepted
    site.batvd.stop()
    at(site, 7, seconds=120)
    refusing(site)
    assert site.ctl("status", "--json").json["relayed"] == []


@pytest.fixture
def hosting():
    names = ("hosted.test", "new1.test", "new4.test")
    made = Site({"verify": {"action": "auto"}}, fake_time=True,
                main={"relay_domains": " ".join(names), "relay_recipient_maps": ""})
    routes = " ".join(f"{{ {name} = smtp:{made.sink.relayhost} }}" for name in names)
    made.postfix.add_main_lines(f"transport_maps = inline:{{ {routes} }}\n")
    with made as site:
        at(site, 0)
        yield site


# -- a tag that comes back --------------------------------------------------------------------------

def test_auto_waits_for_a_tag_that_comes_back(site):
    sign(site, back=False)
    at(site, 8)
    judged_as(site, "missing", "log", "auto.no-tag-seen", would="reject")
    util.wait_for(lambda: "example.com: logging until a valid tag" in site.batvd.ctl("status").out,
                  15, "the daemon's first report")
    assert "does not exist" in site.batvd.ctl("status").out
    found = [one for one in site.ctl("check", "--json").json if one["name"] == "warm-up"]
    assert any(one["level"] == "warn" and "does not exist" in one["mend"]
               and "example.com" in one["text"] for one in found), found
    # by a submission a tag shows nothing, a forged one neither
    tagged, _ = sign(site, back=False)
    forged = tagged.replace(tagged[9:15], f"{int(tagged[9:15], 16) ^ 1:06x}")
    assert site.bounce(forged).accepted
    assert site.submit("bob@example.com", tagged).accepted
    time.sleep(2 * util.PATIENCE)
    judged_as(site, "missing", "log", "auto.no-tag-seen", would="reject")
    assert site.bounce(tagged).accepted
    util.wait_for(lambda: "tag-seen=" in ring_knows(site, "example.com"), 5, "the record")
    refusing(site)
    site.batvd.restart()
    refusing(site)
    util.wait_for(lambda: "example.com: rejecting" in site.batvd.ctl("status").out, 15, "the same")


def test_a_relay_is_rejected_once_it_handed_in_a_valid_tag(site):
    """One that takes tags off would have every bounce rejected."""
    relays = {"relays": [STRANGER["ADDR"]]}
    tagged, _ = sign(site)
    site.batvd.configure({**site.base, **relays})
    at(site, 8)
    tagged, _ = sign(site, back=False)
    judged_as(site, "missing", "log", "auto.no-tag-seen", would="reject")
    assert site.bounce(tagged).accepted
    util.wait_for(lambda: site.bounce(ALICE).code == 550, 10, "the relay rejected", interval=0.3)
    util.wait_for(lambda: f"relay-proven {STRANGER['ADDR']}" in
                  (site.batvd.state / "status").read_text("ascii"), 15, "it in the report")
    site.batvd.restart()
    refusing(site)
    site.batvd.reload(site.base)
    site.batvd.reload({**site.base, **relays})
    judged_as(site, "missing", "log", "auto.no-tag-seen", would="reject")


def test_mail_between_own_users_is_not_relayed(site):
    sign(site)
    at(site, 7, seconds=120)
    mark = site.batvd.mark()
    sent = site.postfix.send("bob@example.com", ALICE, source=RELAYED_FOR)
    site.assert_delivered(sent, ALICE)
    refusing(site)
    assert not site.batvd.log("relayed-unsigned", since=mark)


def test_forged_tag_of_ordinary_mail_follows_the_wait(site):
    forged = "prvs=0783abcdef=nosuchuser@example.com"
    sign(site)
    sent = site.receive("victim@innocent.test", forged)
    assert sent.code == 451 and sent.text.startswith("4.1.1 "), sent
    at(site, 7, seconds=120)
    sent = site.receive("victim@innocent.test", forged)
    assert sent.code == 550 and sent.text.startswith("5.1.1 "), sent


# -- expiry and rotation --------------------------------------------------------------------------

def wait_rotated(site, former):
    """Until another key than `former` signs."""
    util.wait_for(lambda: site.batvd.active_key() != former, 15, "a rotation", interval=0.3)
    site.batvd.forget_secrets()


def test_expired_bounces_under_auto(site):
    """Let in for as long again as a tag lives, refused after that."""
    site.batvd.configure({**site.base, "keys": {"rotate_days": 0}})
    at(site, 0)
    tagged, _ = sign(site)
    for day, expected in ((7, ("valid", "accept", "tag")),
                          (8, ("expired", "log", "verify.expired")),
                          (14, ("expired", "log", "verify.expired")),
                          (15, ("expired", "reject", "verify.expired"))):
        at(site, day)
        judged_as(site, *expected, rcpt=tagged)


def test_days_of_daily_life(site):
    """A tag is good until its own day is over, whichever key made it; rotation comes by itself."""
    tags = {}
    for day in (0, 3, 6):
        at(site, day)
        tags[day] = sign(site)[0]
    at(site, 8)
    wait_rotated(site, tag.parse(tags[0])[0])
    tags[8] = sign(site)[0]
    assert tag.parse(tags[8])[0] == site.batvd.active_key()
    assert len({tag.parse(tagged)[0] for tagged in tags.values()}) == 2
    for day, results in ((8, {0: "expired", 3: "valid", 6: "valid", 8: "valid"}),
                         (11, {0: "expired", 3: "expired", 6: "valid", 8: "valid"})):
        at(site, day)
        for made, result in results.items():
            sent, entry = site.judged_bounce(tags[made])
            assert entry["result"] == result, (day, made, entry.line)
            assert sent.accepted, sent


# -- midnight, and the wrap of the three digits ---------------------------------------------------

def test_sessions_across_midnight(site):
    """The day belongs to the message, not to the connection."""
    midnight = NOON + DAY // 2
    mark = site.batvd.mark()
    site.batvd.set_clock(midnight - 600)
    with site.postfix.session(source=INSIDE) as session, \
            site.postfix.session(xclient=STRANGER) as bounces:
        seen = []
        for clock in (midnight - 600, midnight + 600):
            site.batvd.set_clock(clock)
            sent = session.send(ALICE, "far@other.test")
            message = site.sink.wait_one(subject=sent.subject)
            site.batvd.check_tag(message.mail_from, ALICE, when=message.arrived)
            seen.append(message.mail_from)
            for tagged in seen:
                assert bounces.send("<>", tagged).accepted
        assert bounces.send("<>", ALICE).accepted, "auto has only begun to wait"
    days = [tag.parse(tagged)[1] for tagged in seen]
    assert (days[1] - days[0]) % 1000 == 1
    results = [entry["result"] for entry in site.batvd.log("verify", since=mark)]
    assert results == ["valid", "valid", "valid", "missing"]


def test_the_day_wrap_of_2027(site):
    """2027-07-01 is day 21000. Digits that wrap before it stay good across it."""
    def on(month, day):
        site.batvd.kill9()
        site.batvd.set_clock(datetime.datetime(2027, month, day, 12))
        site.batvd.start()
    site.batvd.configure({**site.base, "keys": {"rotate_days": 0}})
    on(6, 28)
    assert site.batvd.today() == 20997
    tagged, _ = sign(site)
    assert tag.parse(tagged)[1] == 4
    judged_as(site, "valid", "accept", "tag", rcpt=tagged)
    for month, day in ((6, 30), (7, 1), (7, 5)):
        on(month, day)
        judged_as(site, "valid", "accept", "tag", rcpt=tagged)
    assert tag.parse(sign(site)[0])[1] == 11
    on(7, 6)
    judged_as(site, "expired", "log", "verify.expired", rcpt=tagged)
