"""`batvctl setup --undo`: batvd's work ends without a bounce lost or sent, and takes out its own
settings only."""

import datetime
import re
import subprocess
import time

import pytest

from batvtest import manual, util
from batvtest.daemon import DAY
from batvtest.postfix import STRANGER
from batvtest.settings import PostfixSettings

ALICE = "alice@example.com"
NOUSER = "nouser@example.com"
MADE_UP = "prvs=0000aaaaaa="
CONFIG = """\
# The administrator's own words.
user = "nobody"; state_dir = "@STATE@"; listen = "@SOCKET@";
internal_networks = [ "127.0.0.2/32" ];   # and nobody else
log: { target = "stderr"; };
verify:
{
    # rejects
    action = "reject";
};
"""


@pytest.fixture
def host(batvd):
    """A batvd that travels in time, without domains yet, before noon."""
    made = batvd(CONFIG, fake_time=True)
    plain = made.environment
    # The times of files stay the real ones: they do not move along with the clock.
    made.environment = lambda more=None: plain({"NO_FAKE_STAT": "1", **(more or {})})
    made.set_clock(int(time.time()) // DAY * DAY + DAY // 3)
    return made


def set_up(host, mta, *domains):
    """As README has it."""
    host.ctl("setup", *(domains or ["example.com"]), env=mta.env)
    host.start()
    return host.ctl("setup", *(domains or ["example.com"]), "--apply", rc=0, env=mta.env)


@pytest.fixture
def site(host, postfix, sink):
    """The mail host of somebody who has set batvd up, and has had a message sent."""
    host.mta = mta = postfix(relayhost=sink.relayhost)
    mta.start()
    host.before = (mta.conf / "main.cf").read_bytes()
    set_up(host, mta)
    host.sink = sink
    host.tagged = outgoing(host)
    assert host.tagged.startswith("prvs=")
    host.undo = lambda rc=0: host.ctl("setup", "--undo", rc=rc, env=mta.env)
    return host


def outgoing(site, sender=ALICE):
    """The sender as the far end sees it."""
    sent = site.mta.send(sender, "far@other.test", source="127.0.0.2")
    assert sent.accepted, sent
    return site.sink.wait_one(subject=sent.subject).mail_from


def main_cf(site):
    return (site.mta.conf / "main.cf").read_bytes()


def said_day(done):
    """The day of the second step, as a number of days since 1970."""
    text = re.search(r"will have expired on (\d{4}-\d\d-\d\d) \(UTC\)", done.out).group(1)
    return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days


def assert_nothing_leaves(site, sent, code=None):
    """It is rejected or deferred, and comes back to nobody."""
    assert not sent.accepted and sent.code in ((code,) if code else (450, 451, 550)), sent
    site.mta.wait_idle()
    assert not site.sink.messages(sender="") and not site.mta.queue()


def assert_bounce_arrives(site, tagged):
    sent = site.mta.bounce(tagged)
    assert sent.accepted, sent
    assert site.mta.wait_one(ALICE, sent.subject).delivered_to == ALICE


def test_first_step_changes_our_own_configuration_only(site):
    before = site.conf.read_text(encoding="utf-8")
    main, generation = main_cf(site), (site.state / "keyring").read_bytes()
    site.undo()
    after = site.conf.read_text(encoding="utf-8")
    assert after == before.replace('action = "reject"', 'action = "log"') + (
        "sign = { enabled = false; };\n")
    copy, = site.folder.glob("batvd.conf.batvd-*")
    assert copy.read_text(encoding="utf-8") == before
    assert main_cf(site) == main and generation


def test_after_the_first_step(site):
    done = site.undo()
    assert "batvd: reloaded; it signs no more" in done.out
    # A key's last tags expire lifetime_days after the day behind its last one.
    assert said_day(done) == site.today() + 9
    assert outgoing(site) == ALICE
    # Ordinary mail to a made-up tag, of a user that there is not and of one that there is.
    for rcpt in (NOUSER, ALICE):
        assert_nothing_leaves(site, site.mta.send("victim@other.test", MADE_UP + rcpt,
                                                  xclient=STRANGER), 550)
    # From nobody it may be genuine, and comes back to nobody.
    sent = site.mta.bounce(MADE_UP + NOUSER)
    util.wait_for(lambda: not site.mta.queue(), 20, "an empty queue")
    site.mta.wait_idle()
    assert not site.sink.messages(sender=""), sent
    # A bounce without a tag is accepted, late ones with one are.
    assert_bounce_arrives(site, ALICE)
    assert_bounce_arrives(site, site.tagged)
    for days in (1, 7):
        site.kill9()
        site.travel(site.offset + (days if days == 1 else 6) * DAY)
        site.start()
        assert_bounce_arrives(site, site.tagged)
        assert said_day(site.undo()) == said_day(done)


def test_second_step(site):
    site.mta.sendmail("far@other.test", sender=ALICE)
    day = said_day(site.undo())
    main = main_cf(site)
    site.kill9()
    site.set_clock(day * DAY - 60)
    site.start()
    assert said_day(site.undo()) == day and main_cf(site) == main
    site.kill9()
    site.set_clock(day * DAY + 60)
    site.start()
    done = site.undo()
    assert "postfix: reloaded\n" in done.out and f"next:\n    kill {site.pid}\n" in done.out
    assert main_cf(site) == site.before
    assert "set " not in (site.state / "setup").read_text("ascii")
    site.stop()
    assert outgoing(site) == ALICE
    assert_bounce_arrives(site, ALICE)
    assert_nothing_leaves(site, site.mta.send("victim@other.test", MADE_UP + NOUSER,
                                              xclient=STRANGER), 550)
    assert "main.cf: has no settings of batvd" in site.undo().out


def test_daemon_that_goes_at_once(site):
    """The commands that the first step prints for that, to the letter."""
    done = site.undo()
    commands = re.search(r"(?ms)^(    printf .*? reload)$", done.out).group(1)
    subprocess.run(["sh", "-ec", commands], check=True, timeout=60, env={**site.mta.env, "LANG": "C"},
                   stdin=subprocess.DEVNULL)
    site.stop()
    for rcpt in (NOUSER, ALICE):
        assert_nothing_leaves(site, site.mta.send("victim@other.test", MADE_UP + rcpt,
                                                  xclient=STRANGER), 550)
    assert_bounce_arrives(site, site.tagged)
    sent = site.mta.bounce(MADE_UP + NOUSER)
    util.wait_for(lambda: not site.mta.queue(), 20, "an empty queue")
    assert not site.sink.messages(sender=""), sent
    assert_bounce_arrives(site, ALICE)
    assert outgoing(site) == ALICE
    # The map goes in its time; what closes it stays and does no harm.
    site.set_clock(said_day(done) * DAY + 60)
    assert "recipient_canonical_maps is no longer set" in site.undo().out
    assert_bounce_arrives(site, ALICE)
    assert outgoing(site) == ALICE


def test_daemon_that_does_not_take_it_in_is_not_believed(site):
    """It cannot read the file that is to end its signing."""
    site.conf.chmod(0o600)
    done = site.undo(rc=1)
    assert "keeps its former configuration and signs" in done.err and "run this again" in done.err
    assert "will have expired" not in done.out and outgoing(site) == site.tagged
    site.conf.chmod(0o644)
    site.set_clock(site.now() + 3 * DAY)
    assert said_day(site.undo()) == site.today() + 9


def test_changed_later_it_counts_from_then(site):
    """Somebody may have had it sign again meanwhile."""
    first = said_day(site.undo())
    site.kill9()
    site.set_clock(site.now() + 20 * DAY)
    site.configure(site.conf.read_text("utf-8").replace("enabled = false", "enabled = true"))
    site.start()
    assert outgoing(site).startswith("prvs=")
    assert said_day(site.undo()) == first + 20


# -- the settings of Postfix alone ------------------------------------------------------------------

@pytest.fixture
def settings():
    with PostfixSettings() as made:
        yield made


@pytest.fixture
def still(host, settings):
    """Nothing runs, and it is long over."""
    host.settings = settings

    def apply(**main):
        settings.base.update(main)
        settings.write()
        host.settings_before = settings.run("postconf -n")
        return host.ctl("setup", "example.com", "--apply", rc=1, env=settings.env())

    def undo(rc=0, days=30):
        host.ctl("setup", "--undo", rc=0, env=settings.env())
        host.set_clock(host.now() + days * DAY)
        return host.ctl("setup", "--undo", rc=rc, env=settings.env())
    host.apply, host.undo = apply, undo
    return host


SITES = [
    {},
    {"smtpd_milters": "", "recipient_canonical_maps": "", "milter_default_action": "accept"},
    {"smtpd_milters": "inet:localhost:11332", "non_smtpd_milters": "$smtpd_milters"},
    {"smtpd_milters": "inet:localhost:1 unix:/run/a,inet:[::1]:2",
     "non_smtpd_milters": "{ inet:localhost:1, default_action=accept }",
     "milter_default_action": "quarantine"},
    {"recipient_canonical_maps": "static:, $more", "more": "static:",
     "recipient_canonical_classes": "header_recipient, envelope_recipient"},
    {"milter_default_action": "tempfail", "recipient_canonical_classes": "envelope_recipient"},
]


@pytest.mark.parametrize("main", SITES)
def test_settings_are_as_before(still, main):
    still.apply(**main)
    before = (still.settings.folder / "main.cf").read_bytes()
    copy, = still.settings.folder.glob("main.cf.batvd-*")
    assert before != copy.read_bytes()
    still.undo()
    assert (still.settings.folder / "main.cf").read_bytes() == copy.read_bytes()
    assert still.settings.run("postconf -n") == still.settings_before


@pytest.mark.parametrize("main", SITES[:2])
def test_a_domain_more_does_not_hide_what_was_before(still, main):
    still.apply(**main)
    still.settings.run("postconf -e smtpd_milters=inet:[::1]:5")
    still.ctl("setup", "example.org", "--apply", rc=1, env=still.settings.env())
    still.settings.run("postconf -e 'smtpd_milters=$(postconf -h smtpd_milters | sed s/.*,.//)'"
                       .replace("'", '"'))
    still.undo()
    assert still.settings.run("postconf -n") == still.settings_before


@pytest.mark.parametrize("command, name, value", [
    ("smtpd_milters='inet:a:1, OURS, inet:b:2'", "smtpd_milters", "inet:a:1, inet:b:2"),
    ("smtpd_milters='OURS inet:b:2'", "smtpd_milters", "inet:b:2"),
    ("smtpd_milters='inet:a:1,{ OURS, default_action=tempfail, connect_timeout=5s }'",
     "smtpd_milters", "inet:a:1"),
    ("smtpd_milters='inet:a:1'", "smtpd_milters", "inet:a:1"),
    ("non_smtpd_milters='$smtpd_milters, inet:a:1'", "non_smtpd_milters", "$smtpd_milters, inet:a:1"),
    ("non_smtpd_milters=OURS", "non_smtpd_milters", ""),
    ("milter_default_action=quarantine", "milter_default_action", "quarantine"),
    ("recipient_canonical_maps='MAP, static:'", "recipient_canonical_maps", "static:"),
    ("recipient_canonical_maps='static:,MAP'", "recipient_canonical_maps", "static:"),
    ("recipient_canonical_classes=header_recipient", "recipient_canonical_classes",
     "header_recipient"),
    ("message_size_limit=12345", "message_size_limit", "12345"),
])
def test_what_the_administrator_changed_later_stays(still, command, name, value):
    still.apply(milter_default_action="accept")
    ours, batv_map = (still.settings.value(n) for n in ("smtpd_milters", "recipient_canonical_maps"))
    still.settings.run(f"postconf -e {command.replace('OURS', ours).replace('MAP', batv_map)}")
    still.undo()
    assert still.settings.value(name) == value
    for others in ("smtpd_milters", "non_smtpd_milters", "recipient_canonical_maps"):
        assert ours not in still.settings.value(others)
        assert batv_map not in still.settings.value(others)


def test_settings_by_hand_go_too_but_for_what_nobody_knows(still):
    """Made by `mta`: there is no record. Our entries are known by where they lead."""
    still.configure(CONFIG + 'domains = ( "example.com" );\n')
    still.ctl("key", "init", rc=0)
    still.settings.run(still.ctl("mta", "postfix", "--part", "main", "--map-path",
                                 still.settings.folder / "batv.pcre", rc=0,
                                 env=still.settings.env()).out.join(["cat >> $MAIL_CONFIG/main.cf <<'END'\n", "END\n"]))
    still.undo()
    assert still.settings.value("smtpd_milters") == ""
    assert still.settings.value("recipient_canonical_maps") == ""
    assert still.settings.value("recipient_canonical_classes") == "envelope_recipient"


def test_what_another_parameter_hides_is_named(still):
    still.apply()
    ours = still.settings.value("smtpd_milters")
    still.settings.run(f"postconf -e 'mine={ours}' 'smtpd_milters=$mine'")
    done = still.undo(rc=1)
    assert f"smtpd_milters still leads to {ours}" in done.err, done


def test_a_service_of_its_own_is_named(still):
    still.apply()
    ours = still.settings.value("smtpd_milters")
    still.settings.run(f"postconf -P 'submission/inet/smtpd_milters={ours}'")
    done = still.undo(rc=1)
    assert f"the service submission/inet still names {ours}" in done.err, done


@pytest.mark.parametrize("record, word", [
    ("was milter_default_action = reject; x", "milter_default_action stays"),
    ("was milter_default_action = $(touch /tmp/x)", "milter_default_action stays"),
])
def test_a_record_can_give_back_nothing_but_what_setup_found(still, record, word):
    """It lies in a folder of the daemon's user."""
    still.apply(milter_default_action="accept")
    path = still.state / "setup"
    path.write_text(re.sub("(?m)^was milter_default_action.*", lambda _: record,
                           path.read_text("utf-8")), encoding="utf-8")
    assert word in still.undo().out
    assert still.settings.value("milter_default_action") == "tempfail"


def test_a_keyring_that_is_gone_does_not_make_its_tags_old(still):
    """A daemon ran here, so its tags are on their way, whatever became of the keys."""
    still.apply()
    main = still.settings.folder / "main.cf"
    before = main.read_bytes()
    (still.state / "status").touch()
    (still.state / "keyring").unlink()
    done = still.ctl("setup", "--undo", rc=0, env=still.settings.env())
    assert said_day(done) >= still.today() + 8 and main.read_bytes() == before
    # Nor does `setup` make other keys in their place, unasked.
    done = still.ctl("setup", "example.org", env=still.settings.env())
    assert "backup" in done.err and not (still.state / "keyring").exists(), done


def test_damaged_record(still):
    still.apply()
    (still.state / "setup").write_text("nonsense\n", encoding="ascii")
    before = (still.settings.folder / "main.cf").read_bytes()
    done = still.ctl("setup", "--undo", rc=2, env=still.settings.env())
    assert f"{still.state}/setup is damaged" in done.err
    assert (still.settings.folder / "main.cf").read_bytes() == before


CONFIGS = [
    "", "sign: { lifetime_days = 3; };\n", "sign:\n{\n    #enabled = true;\n};\n",
    "sign: { enabled = true }\n", 'verify: { action = "auto"; expired = "log"; };\n',
]


@pytest.mark.parametrize("text", CONFIGS)
def test_configurations(still, text):
    head = CONFIG.split("verify:")[0]
    still.configure(head + 'domains = ( "example.com", { name = "example.net"; verify_action = '
                           '"reject"; sign = true; } );\n' + text)
    still.ctl("key", "init", rc=0)
    still.ctl("setup", "--undo", rc=0, env=still.settings.env())
    after = still.conf.read_text("utf-8")
    assert after.startswith(head.split("state_dir")[0]) and 'verify_action = "log"' in after
    assert "sign = true" in after
    assert "enabled = false" in after and 'action = "log"' in after.split("verify_action", 1)[1]
    for domain in ("example.com", "example.net"):
        assert "not-signing" in still.ctl("sign", f"a@{domain}", rc=1).err
    again = still.conf.read_bytes()
    still.ctl("setup", "--undo", rc=0, env=still.settings.env())
    assert still.conf.read_bytes() == again


def test_usage_and_faults(still):
    assert "--undo" in still.ctl("setup", "--undo", "example.com", rc=2, env=still.settings.env()).err
    still.configure("domains = (;\n")
    done = still.ctl("setup", "--undo", rc=2, env=still.settings.env())
    assert ":1: error" in done.err and "nothing was changed" in done.err


def test_the_manual_has_what_is_printed(still):
    still.apply()
    done = still.ctl("setup", "--undo", rc=0, env=still.settings.env())
    main, tags, bounces = manual.blocks("batvd.8", "Rolling back")
    for line in (tags + bounces).splitlines():
        assert f"'{line}'" in done.out, line
    folder = str(still.settings.folder)
    for name, value in re.findall(r"(?m)^(\w+) =\s+(.*)$", main):
        assert f"'{name} = {value.replace('/etc/postfix', folder)}" in done.out, name
