"""What happens to mail while batvd dies, comes back, reloads or changes keys under traffic."""

import pytest

from batvtest import tag, util
from batvtest.postfix import STRANGER
from batvtest.site import Site
from batvtest.traffic import Traffic

ALICE = "alice@example.com"


@pytest.fixture(scope="module")
def whole_site():
    with Site() as site:
        yield site


@pytest.fixture
def site(whole_site):
    if not whole_site.batvd.running:
        whole_site.batvd.start()
    yield whole_site
    if not whole_site.batvd.running:
        whole_site.batvd.kill9()
        whole_site.batvd.start()
    whole_site.reset()


def away_code(site):
    """What clients get while batvd is away: by Postfix's own default, which `batvctl mta` leaves,
    the session ends (421, newer versions) or goes on (451)."""
    return {"shutdown": 421, "tempfail": 451}[site.postfix.postconf("milter_default_action")]


def arrived(site, subjects):
    """The far end's copies of these messages: each exactly once, each with our tag."""
    wanted = set(subjects)
    assert wanted
    site.postfix.wait_empty()

    def enough():
        return wanted <= {message.subject for message in site.sink.messages()}
    util.wait_for(enough, 30, lambda: "all messages at the far end; missing: "
                  f"{sorted(wanted - {m.subject for m in site.sink.messages()})[:5]}")
    found = [message for message in site.sink.messages() if message.subject in wanted]
    assert len(found) == len(wanted), "some message arrived twice"
    for message in found:
        site.batvd.check_tag(message.mail_from, ALICE, when=message.arrived)
    return found


# -- killed, stopped, restarted -------------------------------------------------------------------

def test_killed_and_restarted_under_traffic(site):
    """Deferred meanwhile, nothing unsigned, nothing lost, nothing twice."""
    with Traffic(site.postfix, ALICE) as traffic:
        for _ in range(3):
            traffic.wait_more(15)
            deferred = len(traffic.deferred())
            site.batvd.kill9()
            traffic.wait_deferred(deferred + 3)
            site.batvd.start()
        traffic.wait_more(15)
    codes = {attempt.code for attempt in traffic.attempts}
    assert codes <= {0, 250, 451, 421}, codes
    assert away_code(site) in codes
    arrived(site, traffic.accepted)


def test_stopped_and_restarted_under_traffic(site):
    """A planned restart: what began is brought to its end or deferred."""
    with Traffic(site.postfix, ALICE) as traffic:
        traffic.wait_more(15)
        site.batvd.stop()
        traffic.wait_deferred(3)
        site.batvd.start()
        traffic.wait_more(15)
    assert {attempt.code for attempt in traffic.attempts} <= {0, 250, 451, 421}
    arrived(site, traffic.accepted)


def test_mail_by_sendmail_waits_for_batvd(site):
    site.batvd.kill9()
    subjects = [site.postfix.sendmail("far@other.test", sender=ALICE) for _ in range(3)]
    site.postfix.wait_maillog(r"postfix/cleanup\[\d+\]: warning: connect to Milter service")
    assert len(site.postfix.queue_files("maildrop")) == 3
    assert not [s for s in subjects if site.sink.messages(subject=s)]
    site.batvd.start()
    arrived(site, subjects)


def test_bounces_are_deferred_while_batvd_is_away(site):
    tagged = site.tagged(ALICE)
    site.batvd.kill9()
    for rcpt in (tagged, ALICE):
        sent = site.bounce(rcpt)
        assert sent.code == away_code(site) and not sent.accepted, sent
        site.assert_nothing(sent, ALICE)
    site.batvd.start()
    site.assert_delivered(site.bounce(tagged), ALICE)
    assert site.bounce(ALICE).code == 550


def test_killed_in_the_middle_of_a_message(site):
    """Between RCPT and the end of the message: deferred, neither half signed nor let through."""
    with site.postfix.session(source="127.0.0.2") as session:
        assert session.mail(ALICE).ok
        assert session.rcpt("far@other.test").ok
        site.batvd.kill9()
        subject = util.unique("cut")
        reply = session.data(f"Subject: {subject}\n\nHello.\n".encode())
        assert reply.code == away_code(site), reply
    site.batvd.start()
    site.postfix.wait_idle()
    assert not site.sink.messages(subject=subject)
    assert site.submit(ALICE).accepted


def test_a_socket_left_by_a_killed_daemon_is_not_in_the_way(site):
    path = site.batvd.run / "milter.sock"
    site.batvd.kill9()
    assert path.is_socket(), "kill -9 should have left it"
    site.batvd.start()
    assert site.submit(ALICE).accepted
    site.batvd.stop()
    assert not path.exists(), "a planned end removes it"


# -- keys -----------------------------------------------------------------------------------------

def test_rotation_under_traffic(site):
    """No message lost or refused, and bounces to the tags of both keys come home."""
    before = site.batvd.active_key()
    with Traffic(site.postfix, ALICE) as traffic:
        traffic.wait_more(20)
        site.batvd.ctl("key", "rotate", rc=0)
        after = site.batvd.active_key()
        assert after == (before + 1) % 10

        def new_key_signs():
            last = site.sink.messages()[-1]
            return tag.parse(last.mail_from)[0] == after
        util.wait_for(new_key_signs, 20, "the new key's first tag")
        traffic.wait_more(20)
    assert {attempt.code for attempt in traffic.attempts} == {250}
    found = sorted(arrived(site, traffic.accepted), key=lambda message: message.arrived)
    keys = [tag.parse(message.mail_from)[0] for message in found]
    assert set(keys) == {before, after}
    for key in (before, after):
        tagged = next(m.mail_from for m in found if tag.parse(m.mail_from)[0] == key)
        sent, entry = site.judged_bounce(tagged)
        assert (entry["result"], entry["action"]) == ("valid", "accept")
        site.assert_delivered(sent, ALICE)


def test_rotation_within_one_session(site):
    """A connection stays open across a rotation: keys belong to the message."""
    before = site.batvd.active_key()
    seen = []
    with site.postfix.session(source="127.0.0.2") as session:
        first = session.send(ALICE, "far@other.test")
        seen.append(site.sink.wait_one(subject=first.subject))
        site.batvd.ctl("key", "rotate", rc=0)
        after = site.batvd.active_key()

        def signed_by_new_key():
            sent = session.send(ALICE, "far@other.test")
            assert sent.accepted, sent
            message = site.sink.wait_one(subject=sent.subject)
            return message if tag.parse(message.mail_from)[0] == after else None
        seen.append(util.wait_for(signed_by_new_key, 5, "a tag by the new key", interval=0.1))
    assert tag.parse(seen[0].mail_from)[0] == before != after
    with site.postfix.session(xclient=STRANGER) as session:
        for message in seen:
            site.batvd.check_tag(message.mail_from, ALICE, when=message.arrived)
            assert session.send("<>", message.mail_from).accepted


def test_a_key_forgotten_at_once_excuses_nothing(site):
    """retain_days = 0 is deliberate: on every day there would be numbers for which any tag does."""
    site.use({"keys": {"retain_days": 0}})
    tagged = site.tagged(ALICE)
    site.batvd.ctl("key", "rotate", rc=0)
    site.batvd.forget_secrets()

    def forgotten():
        sent, entry = site.judged_bounce(tagged)
        return (sent, entry) if entry["result"] != "valid" else None
    sent, entry = util.wait_for(forgotten, 5, "the former key gone", interval=0.2)
    assert (entry["result"], entry["action"], entry["rule"]) == (
        "unknown-key", "reject", "verify.action")
    assert not sent.accepted, sent


def test_a_broken_ring_leaves_the_old_one_in_force(site):
    ring = site.batvd.state / "keyring"
    good = ring.read_bytes()
    tagged = site.tagged(ALICE)
    mark = site.batvd.mark()
    try:
        ring.write_bytes(good[:len(good) // 2])
        site.batvd.wait_text("(?i)keyring|ring", since=mark)
        assert site.batvd.running
        sent = site.bounce(tagged)
        site.assert_delivered(sent, ALICE)
        assert tag.parse(site.tagged(ALICE))[0] == tag.parse(tagged)[0]
    finally:
        ring.write_bytes(good)
    site.assert_delivered(site.bounce(tagged), ALICE)


# -- configuration --------------------------------------------------------------------------------

def test_reload_under_traffic(site):
    """Every message is judged by one configuration, whole, and none is refused or lost."""
    with Traffic(site.postfix, ALICE) as traffic:
        for days in (5, 6, 5, 7):
            traffic.wait_more(8)
            site.use({"sign": {"lifetime_days": days}})
        traffic.wait_more(8)
    assert {attempt.code for attempt in traffic.attempts} == {250}
    site.postfix.wait_empty()
    lifetimes = set()
    for message in site.sink.messages(subject="traffic-"):
        if message.subject in traffic.accepted:
            _, day, _, plain = tag.parse(message.mail_from)
            assert plain == ALICE
            lifetimes.add((day - tag.day_of(message.arrived)) % 1000)
    assert lifetimes == {5, 6, 7}


def test_a_broken_configuration_leaves_the_old_one_in_force(site):
    mark = site.batvd.mark()
    site.tagged(ALICE)
    site.batvd.secret(site.batvd.active_key())    # batvctl, too, refuses the file in a moment
    good = site.batvd.conf.read_text(encoding="utf-8")
    try:
        site.batvd.reload(good + "no_such_option = 1;\n", ok=False)
        line = site.batvd.wait_text("no_such_option", since=mark)
        assert f"{site.batvd.conf}:{good.count(chr(10)) + 1}" in line
        message = site.outgoing(ALICE)
        site.batvd.check_tag(message.mail_from, ALICE, when=message.arrived)
        assert site.bounce(ALICE).code == 550
    finally:
        site.batvd.configure(site.base)
    site.use({"verify": {"action": "log"}})
    assert site.bounce(ALICE).accepted
