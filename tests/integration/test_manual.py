"""What batvd(8) tells a postmaster to do, done: its configurations, its commands, and the references
between its sections."""

import json
import os
import re
import shutil
import subprocess

import pytest

from batvtest import manual, tag, util
from batvtest.milter import MilterSession

MONITOR = "What to monitor"
HOSTS = "Several hosts"
KEYS = {"keys": {"rotate_days": 0}}


def page():
    return (util.REPO / "man/batvd.8").read_text(encoding="utf-8")


def config_blocks():
    """All displays of the page that are lines of batvd.conf, and no others."""
    titles = re.findall(r"(?m)^\.Ss (.*)$", page())
    shown = [(title, block) for title in titles for block in manual.blocks("batvd.8", title)]
    names = {"relays", "exclude", "exclude_sign", "verify", "sign", "keys", "internal_networks",
             "listen", "domains", "own_names", "evidence", "log", "journal", "bounce_senders"}
    return [(title, block) for title, block in shown
            if (first := re.match(r"(\w+)( =|:)", block)) and first[1] in names]


def test_every_reference_leads_somewhere():
    titles = set(re.findall(r"(?m)^\.S[sh] (.*)$", page()))
    named = set(re.findall(r"(?m)^\.Sx (.*?)(?: [;,.)]+)?$", page()))
    assert named - titles == set()
    assert len(named) > 10


def test_the_questions_stand_first():
    sections = re.findall(r"(?m)^\.S[sh] (.*)$", page())
    assert sections.index("Where the answer is") == sections.index("DESCRIPTION") + 1


@pytest.mark.parametrize("title, block", config_blocks(),
                         ids=lambda value: re.sub(r"\W+", "-", value)[:30])
def test_every_configuration_shown_is_one(batvd, title, block):
    made = batvd()
    taken = re.findall(r"(?m)^(\w+)(?: =|:)", block)
    made.configure({name: value for name, value in made.config.items() if name not in taken})
    block = block.replace("unix:/run/batvd/milter.sock", made.listen)
    own = "".join(f"{line}\n" for line in made.conf.read_text().splitlines()
                  if line.split(" ")[0].rstrip(":") not in taken)
    made.configure(own + block)
    made.ctl("key", "init", rc=0)
    done = subprocess.run([util.binary("batvd"), "-n", "-c", made.conf], capture_output=True,
                          text=True, timeout=30, check=False, env=made.environment())
    assert done.returncode == 0, (title, done)


# -- what to monitor ------------------------------------------------------------------------------

def look(made, monkeypatch, status=None):
    """What the shown command prints: of the daemon, or of a status in its place."""
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")
    [command] = manual.blocks("batvd.8", MONITOR)
    folder = made.folder / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "batvctl"
    if status is None:
        script.write_text(f'#!/bin/sh\nexec {util.binary("batvctl")} -c {made.conf} "$@"\n')
    else:
        (folder / "status").write_text(status)
        script.write_text(f"#!/bin/sh\ncat {folder}/status\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout.splitlines()


def test_the_monitor_says_nothing_of_a_healthy_daemon(batvd, monkeypatch):
    with batvd() as made:
        assert look(made, monkeypatch) == []


def test_the_monitor_finds_what_it_is_for(batvd, monkeypatch):
    made = batvd()
    made.start()
    made.ctl("pause", rc=0)
    [line] = look(made, monkeypatch)
    assert line.startswith("paused since 20")
    made.ctl("resume", rc=0)
    assert look(made, monkeypatch) == []
    made.reload("domains = ( \"example.com\" ;", ok=False)
    made.configure({})
    assert [line.split(":")[0] for line in look(made, monkeypatch)] == ["last reload"]
    made.stop()
    assert look(made, monkeypatch)[0] == "batvd does not run"


@pytest.mark.parametrize("edit, line", [
    (lambda s: s["log"].update(lost=7), "log lines lost: 7"),
    (lambda s: s.update(ring_error="it is damaged"), "keyring: it is damaged"),
    (lambda s: s.update(clock_wrong=True), "the clock is not trusted"),
    (lambda s: s.update(next_rotation="2026-01-02T00:00:00Z"),
     "no new key since 2026-01-02T00:00:00Z"),
    (lambda s: s.update(written="2026-01-02T00:00:00Z"), "no report since 2026-01-02T00:00:00Z"),
    (lambda s: s["counters"].update({"action.tempfail": 21, "verified": 400}),
     "more than 5 % of all bounces deferred"),
], ids=["lost", "ring", "clock", "rotation", "report", "deferred"])
def test_the_monitor_reads_every_field_of_the_status(batvd, monkeypatch, edit, line):
    with batvd() as made:
        util.wait_for(lambda: made.ctl("status", json=True)["written"], 10, "a first report")
        status = made.ctl("status", json=True)
        edit(status)
        assert look(made, monkeypatch, json.dumps(status)) == [line]


# -- several hosts --------------------------------------------------------------------------------

def copy_keyring(source, target):
    """The shown commands, with one machine's folders in place of two hosts."""
    command = next(block for block in manual.blocks("batvd.8", HOSTS) if "scp" in block)
    assert "scp -q mx1:/var/lib/batvd/keyring" in command
    command = command.replace("scp -q mx1:/var/lib/batvd/keyring", f"cp {source.state}/keyring")
    command = command.replace("/var/lib/batvd", str(target.state))
    command = command.replace("batvd:", f"{target.user}:")
    subprocess.run(["sh", "-ec", command], check=True, timeout=30)


def test_two_hosts_with_one_keyring(batvd):
    first, second = batvd({"keys": {"publish_seconds": 7200}}), batvd(KEYS)
    first.start()
    second.start()
    second.ctl("key", "list", rc=0)
    copy_keyring(first, second)
    second.wait_text("keyring generation")
    tagged = first.tagged("alice@example.com")
    mark = second.mark()
    with MilterSession(second.milter) as session:
        session.message("<>", [f"<{tagged}>"])
    assert second.wait_entry("verify", since=mark)["result"] == "valid"
    # The new key is known here before it signs there.
    first.ctl("key", "rotate", "--activate-in", "7200", rc=0)
    copy_keyring(first, second)
    wanted = first.ctl("key", "list", json=True)
    util.wait_for(lambda: second.ctl("key", "list", json=True) == wanted, 5, "the same keys")
    assert {key["state"] for key in wanted} == {"active", "pending"}
    pending = next(key["number"] for key in wanted if key["state"] == "pending")
    mark = second.mark()
    with MilterSession(second.milter) as session:
        session.message("<>", [f"<{first.tagged('alice@example.com', key=pending)}>"])
    assert second.wait_entry("verify", since=mark)["result"] == "valid"
    assert tag.parse(second.ctl("sign", "alice@example.com", rc=0).out.strip())[0] != pending


def test_a_message_id_of_the_other_host_proves_nothing(batvd):
    """What the journals that are not shared mean, and the lines for it."""
    inside = {"client": ("inside.example.com", "127.0.0.2", 4711)}
    lines = next(block for block in manual.blocks("batvd.8", HOSTS) if "autoreply" in block)
    first = batvd()
    first.start()
    for more, action in (("verify: { action = \"reject\"; };", "reject"), (lines, "log")):
        base = 'listen = "@SOCKET@"; user = "nobody"; state_dir = "@STATE@";\n' \
               'domains = ( "example.com" ); log: { target = "stderr"; };\n'
        if more == lines:
            more = lines.replace("verify: {", 'verify: { action = "reject";')
        second = batvd(base + more + "\n")
        second.start()
        copy_keyring(first, second)
        second.wait_text("keyring generation")
        message_id = f"<{util.unique('id')}@example.com>"
        mark = first.mark()
        with MilterSession(first.milter, **inside) as session:
            session.message("<alice@example.com>", ["<far@other.test>"],
                            headers=[("Message-ID", message_id), ("From", "alice@example.com")])
        first.wait_entry("sign", since=mark)
        answer = [("From", "far@other.test"), ("Auto-Submitted", "auto-replied"),
                  ("In-Reply-To", message_id), ("Subject", "away")]
        for host, expected in ((first, None), (second, action)):
            mark = host.mark()
            with MilterSession(host.milter) as session:
                session.message("<>", ["<alice@example.com>"], headers=answer)
            entry = host.wait_entry("verify", since=mark)
            assert entry["class"] == "autoreply"
            if expected:
                assert (entry["proof"], entry["action"]) == ("none", expected), entry
            else:
                assert (entry["proof"], entry["action"]) == ("journal", "accept"), entry
        second.stop()
