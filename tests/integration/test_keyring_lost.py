"""The keyring is deleted or damaged while the daemon runs. The daemon writes it back, unless that may
be meant, or somebody is about to mend it; where it does not, the log and `check` print the command
that saves the keys. No command that is printed forgets a key: a genuine bounce to a tag made before
is accepted all the time, and after a restart."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest

from batvtest import util
from batvtest.clocks import Clocks
from batvtest.milter import MilterSession

ALICE = "alice@example.com"
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
REJECT = {"verify": {"action": "reject"}}
WAIT = 60               # seconds for which the file must stay as it is
LOST = "keyring rejected, the previous keys stay in force: "
MENDED = "the keyring was lost .*: batvd has written back generation "


class Host(Clocks):
    """A daemon with a tag that it has made."""

    def __init__(self, config=None):
        super().__init__(config or REJECT)
        self.keyring = self.state / "keyring"
        self.made = None

    def begin(self):
        self.start()
        self.made = self.sign()
        self.tag_comes_back(ALICE)      # after which nothing is left to be recorded
        generation = re.search(r"(?m)^generation (\d+)$", self.keyring.read_text("ascii"))[1]
        self.wait_text(f"keyring generation {generation} in force")
        return self

    def sign(self):
        with MilterSession(self.milter, **INSIDE) as session:
            return session.message(f"<{ALICE}>", ["<far@other.test>"]).new_sender

    def bounce(self, rcpt):
        with MilterSession(self.milter) as session:
            return session.message("<>", [f"<{rcpt}>"]).verdict

    def put(self, content):
        """A file in the keyring's place, as the daemon's user would write it."""
        fresh = self.state / "keyring.put"
        fresh.write_bytes(content)
        fresh.chmod(0o600)
        os.chown(fresh, *util.owner_ids("nobody"))
        fresh.rename(self.keyring)

    def expect_good(self):
        """It works as before, and so does the next daemon."""
        assert self.bounce(self.made) == "accept" and self.bounce(ALICE) == "reject"
        self.stop()
        self._init_keys = False
        self.start()
        assert self.bounce(self.made) == "accept" and self.bounce(ALICE) == "reject"

    def finding(self, name="keyring"):
        done = self.ctl("check", "--json")
        [found] = [one for one in done.json if one["name"] == name]
        assert (found["level"] != "fail") or done.rc == 1
        return found

    def kept(self):
        return sorted(path.name for path in self.state.glob("keyring.damaged-*"))


@pytest.fixture
def host():
    made = []

    def make(config=None):
        made.append(Host(config))
        return made[-1]
    yield make
    for one in made:
        one.terminate()


@pytest.fixture
def may_copy():
    """Root needs a right for reading what another user's process has open."""
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    if not int(re.search(r"(?m)^CapEff:\s+([0-9a-f]+)$", status)[1], 16) >> 19 & 1:
        pytest.skip("CAP_SYS_PTRACE is not there")


def damage(host, kind):
    good = host.keyring.read_bytes()
    if kind == "deleted":
        host.keyring.unlink()
    elif kind == "empty":
        os.truncate(host.keyring, 0)
    elif kind == "cut":
        os.truncate(host.keyring, len(good) // 2)
    elif kind == "garbage":
        host.put(b"\0\xff" * 500)
    elif kind == "digit":
        host.put(good[:-3] + (b"0" if good[-3:-2] != b"0" else b"1") + good[-2:])
    return good


@pytest.mark.parametrize("kind", ["deleted", "empty", "cut", "garbage", "digit"])
def test_it_comes_back(host, kind):
    one = host().begin()
    mark = one.mark()
    good = damage(one, kind)
    left = one.keyring.read_bytes() if one.keyring.exists() else None
    line = one.wait_text(LOST, since=mark)
    assert "do not restart" in line and "key init" not in line
    assert one.bounce(one.made) == "accept"
    one.passes(WAIT - 5)
    time.sleep(1.5)
    assert "has written back" not in one.log_text()[mark:] and not one.kept()
    one.passes(10)
    line = one.wait_text(MENDED, since=mark)
    assert str(one.keyring) in line and "key init" not in one.log_text()[mark:]
    assert one.keyring.read_bytes() == good
    found = os.stat(one.keyring)
    assert (found.st_mode & 0o7777, found.st_uid) == (0o600, util.owner_ids("nobody")[0])
    assert [(one.state / name).read_bytes() for name in one.kept()] == ([] if left is None else [left])
    util.wait_for(lambda: one.ctl("status", json=True)["ring_error"] is None, 10)
    assert one.finding()["level"] == "ok"
    one.expect_good()


def test_what_is_said_meanwhile(host):
    """By `check`, `status`, and by what would make another ring in its place."""
    one = host().begin()
    one.keyring.unlink()
    one.wait_text(LOST)
    found = one.finding()
    assert found["level"] == "fail" and "still has the keys" in found["text"]
    command = re.fullmatch("wait two minutes, then: batvctl (.* check)", found["mend"])[1]
    assert "key init" not in one.ctl("check").out
    assert "still has the keys" in one.ctl("status", rc=0).out
    for refused, status in ((("key", "init"), 1), (("key", "rotate"), 2), (("key", "list"), 2),
                            (("sign", ALICE), 2)):
        said = one.ctl(*refused, rc=status).err
        assert "still has the keys" in said and "make no new keys" in said, said
        assert "key init" not in said
    done = one.ctl("key", "import", 3, "--algorithm", "hmac-sha256", stdin="ab" * 32, rc=1)
    assert "still has the keys" in done.err
    done = subprocess.run([util.binary("batvd"), "-n", "-c", one.conf], capture_output=True, text=True,
                          check=False, cwd="/")
    assert done.returncode == 78 and "still has the keys" in done.stderr, done
    assert "key init" not in done.stderr
    assert not one.keyring.exists()
    one.passes(WAIT + 5)
    one.wait_text(MENDED)
    one.ctl(*command.split())
    assert one.finding()["level"] == "ok"


def test_somebody_who_mends_it_himself_is_not_disturbed(host):
    """Each change lets the time begin anew, and a good file is taken as it is."""
    one = host().begin()
    good = one.keyring.read_bytes()
    one.keyring.unlink()
    one.wait_text("no such file")
    one.passes(WAIT - 5)
    mark = one.mark()
    one.put(good[:-9])
    one.wait_text(LOST, since=mark)
    one.passes(WAIT - 5)
    time.sleep(1.5)
    mark = one.mark()
    one.put(good)
    one.wait_text("keyring generation .* in force", since=mark)
    one.passes(2 * WAIT)
    time.sleep(1.5)
    assert "has written back" not in one.log_text() and not one.kept()
    one.expect_good()


def test_only_to_be_put_right(host):
    """A mode or an owner that is wrong, and what is no file: none of them is replaced, and the mend
    of `check` is all that is needed."""
    one = host().begin()
    good = one.keyring.read_bytes()

    def mode(bits):
        return lambda: one.keyring.chmod(bits)

    def link():
        one.keyring.rename(one.state / "elsewhere")
        one.keyring.symlink_to("elsewhere")

    def folder():
        one.keyring.unlink()
        one.keyring.mkdir()
    for spoil, complaint in ((mode(0o644), "0644"), (mode(0o000), "Permission denied"),
                             (lambda: os.chown(one.keyring, 0, 0), "owner"),
                             (link, "symbolic link"), (folder, "not a regular file")):
        mark = one.mark()
        spoil()
        assert complaint in one.wait_text(LOST, since=mark)
        one.passes(WAIT + 5)
        time.sleep(1.5)
        assert "has written back" not in one.log_text()[mark:]
        assert one.bounce(one.made) == "accept"
        found = one.finding()
        assert found["level"] == "fail" and complaint in found["text"], found
        command, _, then = found["mend"].partition("; then ")
        subprocess.run(["sh", "-c", command], check=True)
        if then:
            assert then.startswith("wait two minutes: batvd still has the keys"), then
            one.wait_text("no such file", since=mark)
            one.passes(WAIT + 5)
        one.wait_text("keyring generation .* in force", since=mark)
        util.wait_for(lambda: one.keyring.is_file() and one.keyring.read_bytes() == good, 10)
        assert one.finding()["level"] == "ok"
    one.expect_good()


# -- where it does not come back -----------------------------------------------------------------

def commands(one, line):
    """The one that the log has and that of `check`, which are the same."""
    found = one.finding()
    assert found["level"] == "fail"
    assert re.search("; as root: (.*)$", line)[1] == found["mend"]
    assert "do not restart" in line.lower() and "do not restart" in found["text"].lower()
    return found["mend"]


def run(command, **options):
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, (command, done)


def refused_by(one):
    """Every other command that restarts the daemon has to wait."""
    for found in one.ctl("check", "--json").json:
        if f"kill {one.pid}" in (found["mend"] or ""):
            assert found["mend"].startswith("when keyring is mended, and not before: "), found


@pytest.mark.parametrize("kind", ["deleted", "cut"])
def test_keys_that_may_be_meant_to_be_forgotten(host, kind, may_copy):
    one = host({**REJECT, "keys": {"retain_days": 0}}).begin()
    mark = one.mark()
    damage(one, kind)
    line = one.wait_text(LOST + ".*; as root: ", since=mark)
    assert "keys.retain_days is 0" in line
    one.passes(2 * WAIT)
    time.sleep(1.5)
    assert "has written back" not in one.log_text() and not one.kept()
    assert "To forget them, stop it first" in one.ctl("key", "init", rc=1).err
    run(commands(one, line))
    one.wait_text("keyring generation .* in force", since=mark)
    assert one.finding()["level"] == "ok"
    one.expect_good()


def test_keys_that_are_to_be_forgotten(host):
    """As the log says it: new keys after a stop."""
    one = host({**REJECT, "keys": {"retain_days": 0}}).begin()
    one.keyring.unlink()
    assert "stop batvd and make new ones: batvctl key init" in one.wait_text(LOST)
    one.stop()
    one.ctl("key", "init", rc=0)
    one.start()
    assert one.bounce(one.made) == "reject"


def test_a_newer_keyring_was_there(host, may_copy):
    """Which the daemon could not read: its keys may have signed elsewhere."""
    one = host().begin()
    mark = one.mark()
    good = one.keyring.read_text("ascii")
    generation = int(re.search("(?m)^generation (\\d+)$", good)[1])
    one.put(good.replace(f"generation {generation}\n", f"generation {generation + 5}\n").encode())
    line = one.wait_text(LOST + ".*; as root: ", since=mark)
    assert "newer keyring" in line and "backup" in line
    one.passes(2 * WAIT)
    time.sleep(1.5)
    one.keyring.unlink()        # that it is gone makes it no older
    one.wait_text("no such file", since=mark)
    one.passes(2 * WAIT)
    time.sleep(1.5)
    assert not one.keyring.exists()
    found = one.finding()
    assert "newer keyring" in found["text"]
    run(found["mend"])
    one.wait_text("keyring generation .* in force", since=mark)
    one.expect_good()


def test_a_keyring_of_a_later_version(host):
    one = host().begin()
    mark = one.mark()
    one.put(one.keyring.read_bytes().replace(b"format 1\n", b"format 2\n"))
    one.wait_text(LOST + ".*newer keyring", since=mark)
    one.passes(2 * WAIT)
    time.sleep(1.5)
    assert one.keyring.read_bytes().startswith(b"format 2\n") and not one.kept()


def test_another_folder(host, may_copy):
    """Restored without the keyring, for example."""
    one = host().begin()
    mark = one.mark()
    one.state.rename(one.folder / "former")
    one.state.mkdir(mode=0o700)
    os.chown(one.state, *util.owner_ids("nobody"))
    line = one.wait_text(LOST + ".*; as root: ", since=mark)
    assert f"{one.state} is not the folder that it started with" in line
    one.passes(2 * WAIT)
    time.sleep(1.5)
    assert not one.keyring.exists()
    command = commands(one, line)
    found = one.finding("daemon")
    assert f"batvd runs, process {one.pid}, but " in found["text"]
    assert found["mend"].startswith("when keyring is mended, and not before: ")
    run(command)
    one.wait_text("keyring generation .* in force", since=mark)
    assert one.finding()["level"] == "ok"
    one.expect_good()


def test_a_folder_that_cannot_be_written(host, tmp_path, may_copy):
    """Then the keys can be copied; and once it can, the daemon writes them back."""
    one = host().begin()
    mark = one.mark()
    good = one.keyring.read_bytes()
    one.keyring.unlink()
    one.state.chmod(0o500)
    one.wait_text(LOST, since=mark)
    one.passes(WAIT + 5)
    line = one.wait_text(LOST + ".*cannot write the file .*; as root: ", since=mark)
    assert "Permission denied" in line
    command = commands(one, line)
    refused_by(one)
    assert command.startswith("install -m 600 /proc/")
    run(command, cwd=tmp_path)
    [copy] = tmp_path.iterdir()
    assert copy.read_bytes() == good and copy.stat().st_mode & 0o7777 == 0o600
    assert one.log_text()[mark:].count("cannot write the file") == 1
    one.state.chmod(0o700)
    one.passes(WAIT + 5)
    one.wait_text(MENDED, since=mark)
    assert not [name for name in os.listdir(f"/proc/{one.pid}/fd")
                if "keyring of" in os.readlink(f"/proc/{one.pid}/fd/{name}")]
    one.expect_good()


def test_somebody_else_is_told_who_can_copy(host):
    """The daemon's user cannot read the daemon's memory, and no command is made up for him."""
    one = host({**REJECT, "keys": {"retain_days": 0}}).begin()
    one.keyring.unlink()
    one.wait_text(LOST)
    program = one.folder / "batvctl"
    shutil.copy(util.binary("batvctl"), program)
    done = subprocess.run([program, "-c", one.conf, "check"], user="nobody", group="nogroup",
                          extra_groups=[], text=True, capture_output=True, check=False, cwd="/",
                          env=one.environment())
    assert "run this as root" in done.stdout and "/proc/" not in done.stdout, done
    assert "key init" in done.stdout        # keys.retain_days is 0: it says how to forget them


def test_a_file_in_memory_of_somebody_else_is_no_copy(host):
    """Its name is anybody's to give."""
    one = host({**REJECT, "keys": {"retain_days": 0}}).begin()
    one.stop()
    one.keyring.unlink()
    made = f"import os, time; os.memfd_create('keyring of {one.state}'); print(flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", made], user="daemon", group="daemon", extra_groups=[],
                          stdout=subprocess.PIPE) as stranger:
        stranger.stdout.readline()
        try:
            assert f"/proc/{stranger.pid}/" not in one.ctl("check").out
        finally:
            stranger.kill()


# -- at the same moment --------------------------------------------------------------------------

def test_rotations_at_the_same_moment(host):
    """Whoever comes first, no key is lost: each of them changes the ring that is there."""
    one = host({**REJECT, "keys": {"rotate_days": 0}}).begin()
    ending = threading.Event()
    done = []

    def rotate():
        while not ending.is_set():
            done.append(one.ctl("key", "rotate", "--evidence").rc)
    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            mark = one.mark()
            one.keyring.unlink(missing_ok=True)
            util.wait_for(lambda mark=mark: LOST in one.log_text()[mark:] or one.keyring.exists(), 10)
            one.passes(WAIT + 5)
            util.wait_for(one.keyring.exists, 20)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert 0 in done and 2 in done
    one.ctl("key", "rotate", rc=0)
    util.wait_for(lambda: one.sign()[5] == "1", 10)
    assert not one.kept()
    one.expect_good()


def test_gone_while_no_daemon_runs(host):
    """Nobody has it then; a host where batvd has run is told of its backup first."""
    one = host()
    one._init_keys = False
    mend = one.finding()["mend"]
    assert mend.startswith("batvctl ") and mend.endswith(" key init")
    assert "batvctl key init" in subprocess.run(
        [util.binary("batvd"), "-n", "-c", one.conf], capture_output=True, text=True, check=False,
        cwd="/").stderr
    one.ctl("key", "init", rc=0)
    one.begin()
    util.wait_for((one.state / "status").exists, 15)
    good = one.keyring.read_bytes()
    one.stop()
    one.keyring.unlink()
    found = one.finding()
    assert found["mend"].startswith("put a copy from a backup in its place; without one: ")
    done = subprocess.run([util.binary("batvd"), "-c", one.conf], capture_output=True, text=True,
                          check=False, cwd="/")
    assert done.returncode == 78 and "put a copy from a backup in its place" in done.stderr, done
    one.put(good)
    one.start()
    assert one.bounce(one.made) == "accept"
