"""pause, resume and status in an emergency: the exit status tells whether the daemon works so, also with
a configuration that has faults."""

import re
import signal
import time

import pytest

from batvtest import util
from batvtest.milter import MilterSession

REJECT = {"verify": {"action": "reject"}}


def bounce(instance):
    with MilterSession(instance.milter) as session:
        return session.message("<>", ["<alice@example.com>"]).verdict


# What happens to the file; @ stands for the folder, which is no file's content.
TYPOS = {
    "a name": lambda text: text + "domans = ( );\n",
    "a name before": lambda text: "domans = ( );\n" + text,
    "a quote": lambda text: text.replace('domains = ("example.com");', 'domains = ("example.com);'),
    "a quote before": lambda text: 'user = "batvd;\n' + text,
    "a bracket": lambda text: text.replace('("example.com")', '("example.com"'),
    "a brace that is open": lambda text: "verify: { action = \"reject\";\n" + text,
    "a brace too many": lambda text: "};\n" + text,
    "a comment without an end": lambda text: "/* was:\n" + text,
    "truth": lambda text: text + "sign: { enabled = yes; };\n",
    "a leading zero": lambda text: text.replace('listen_mode = "0660"', "listen_mode = 0660"),
    "no value": lambda text: text.replace('listen_mode = "0660";', "listen_mode = ;"),
    "twice": lambda text: text + 'state_dir = "/elsewhere";\n',
    "another one in a comment": lambda text: '# state_dir = "/elsewhere";\n/* state_dir = "/x"; */\n'
                                             "x = 1;\n" + text,
    "another one in a group": lambda text: 'more: { state_dir = "/elsewhere"; };\n' + text,
    "another one in a text": lambda text: 'x = "state_dir = ";\n' + text,
    "in another notation": lambda text: re.sub(r"state_dir = (.*);", r"state_dir/**/:\n \1", text)
    + "x = 1",
}


@pytest.fixture(scope="module")
def paused():
    """One daemon for all typos."""
    from batvtest.daemon import Batvd
    with Batvd(REJECT) as instance:
        yield instance


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_stops_none_of_them(paused, typo):
    instance = paused
    instance.configure(REJECT)
    text = instance.conf.read_text()
    spoilt = TYPOS[typo](text)
    assert spoilt != text
    instance.conf.write_text(spoilt)
    assert instance.ctl("sign", "alice@example.com").rc == 2    # it is a fault
    assert bounce(instance) == "reject"
    done = instance.ctl("pause", rc=0)
    assert bounce(instance) == "accept"
    assert f"{instance.conf}:" in done.err and ": error: " in done.err
    assert f"it has state_dir = {instance.state}" in done.err, done.err
    shown = instance.ctl("status", rc=0)
    assert str(instance.pid) in shown.out and "PAUSED" in shown.out
    assert instance.ctl("status", json=True)["paused"] is True
    instance.ctl("pause", rc=0)
    instance.ctl("resume", rc=0)
    assert bounce(instance) == "reject"


@pytest.mark.parametrize("spoil", [
    lambda conf: conf.write_text(re.sub("state_dir = \"(.*)\";", r"state_dir = '\1';",
                                        conf.read_text())),
    lambda conf: conf.write_text(conf.read_text().replace("state_dir", "state_dri")),
    lambda conf: conf.unlink(),
], ids=["quotes", "name", "no file"])
def test_without_a_state_dir_the_default_is_tried(batvd, spoil):
    instance = batvd(REJECT).start()
    spoil(instance.conf)
    for command in ("pause", "resume", "status"):
        done = instance.ctl(command, rc=1)
        assert str(instance.conf) in done.err
        assert "state_dir cannot be read from it, trying the default, /var/lib/batvd" in done.err
    assert bounce(instance) == "reject"


def test_it_works_when_the_command_says_so(batvd):
    instance = batvd(REJECT).start()
    for _ in range(3):
        instance.ctl("pause", rc=0)
        assert bounce(instance) == "accept"
        instance.ctl("resume", rc=0)
        assert bounce(instance) == "reject"
    assert instance.ctl("pause", rc=0, json=True)["paused"] is True
    assert "already" in instance.ctl("pause", rc=0).out


def test_a_daemon_that_does_not_answer(batvd):
    instance = batvd(REJECT).start()
    instance.ctl("pause", rc=0)
    instance.ctl("resume", rc=0)
    instance.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        done = instance.ctl("pause", rc=1)
        assert 2 <= time.monotonic() - began < 4 * util.PATIENCE
        assert f"running with state_dir = {instance.state} has not confirmed within 2 s" in done.err
        assert done.out.startswith("A pause is set since ")
    finally:
        instance.signal(signal.SIGCONT)
    util.wait_for(lambda: bounce(instance) == "accept", 10, "the pause")


def test_another_folder_than_the_daemons(batvd):
    """The option was changed, and batvd was not restarted."""
    instance = batvd(REJECT).start()
    other = batvd()
    instance.conf.write_text(instance.conf.read_text().replace(str(instance.state), str(other.state)))
    done = instance.ctl("pause", rc=1)
    assert f"no batvd is running with state_dir = {other.state}" in done.err
    assert f"set state_dir in {instance.conf}" in done.err
    assert bounce(instance) == "reject"
