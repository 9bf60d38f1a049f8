"""Where key octets are: in the locked ring and OpenSSL's contexts as long as they are in force, and
nowhere else, neither in what was freed nor in logs, core dumps or what a crash says."""

import collections
import os
import pathlib
import re
import resource
import signal
import subprocess

import pytest

from batvtest import capability, util
from batvtest.milter import MilterSession

ALICE = "alice@example.com"
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
CONFIG = {"verify": {"action": "reject"}, "keys": {"rotate_days": 0}, "log": {"level": "debug"}}
SANITIZED = os.environ.get("BATV_SANITIZER", "") != ""
LOCKED, NOT_DUMPED = "lo", "dd"

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed for a while")


def sign(instance):
    with MilterSession(instance.milter, **INSIDE) as s:
        return s.message(f"<{ALICE}>", ["<far@other.test>"]).new_sender


@pytest.fixture
def may_look():
    capability.needed("CAP_SYS_PTRACE", "another process's memory")


def use(instance):
    """A message of each kind, so that every piece of code that handles keys has run."""
    tagged = sign(instance)
    with MilterSession(instance.milter) as s:
        assert s.message("<>", [f"<{tagged}>"]).verdict == "accept"
        assert s.message("<>", [f"<{ALICE}>"], body=f"Return-Path: <{tagged}>\r\n").verdict
        assert s.message("<>", ["<prvs=9999abcdef=alice@example.com>"]).verdict


def mappings(pid):
    """(start, end, flags) of all that can be written."""
    found = []
    writable = False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text("utf-8").splitlines():
        header = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ", line)
        if header:
            writable = "w" in header[3]
            bounds = int(header[1], 16), int(header[2], 16)
        elif line.startswith("VmFlags:") and writable:
            found.append((*bounds, line.split()[1:]))
    return found


def sightings(pid, needle):
    """How often the octets stand in memory: Counter of True (locked, and left out of core dumps) and
    False."""
    seen = collections.Counter()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, flags in mappings(pid):
            try:
                memory.seek(start)
                octets = memory.read(end - start)
            except OSError:
                continue        # guard pages
            seen[LOCKED in flags and NOT_DUMPED in flags] += octets.count(needle)
    return +seen


def spellings(secret):
    return [secret, secret.hex().encode(), secret.hex().upper().encode()]


def assert_gone(instance, secret):
    for needle in spellings(secret):
        assert not sightings(instance.pid, needle)
        assert needle not in instance.log_file.read_bytes()


def assert_in_force(instance, secret):
    """So it is in a ring and, for its context, once more in OpenSSL's memory; its text is nowhere.
    The number of rings."""
    octets, *texts = spellings(secret)
    seen = sightings(instance.pid, octets)
    assert seen[True] >= 1 and seen[False] <= seen[True], seen
    for text in texts:
        assert not sightings(instance.pid, text)
        assert text not in instance.log_file.read_bytes()
    return seen[True]


def wait_generation(instance, mark):
    instance.wait_text("keyring generation .* in force", since=mark)


def test_keys_in_force_lie_in_locked_memory(batvd, may_look):
    instance = batvd(CONFIG).start()
    mark = instance.mark()
    use(instance)
    wait_generation(instance, mark)
    secret = instance.secret(0)
    util.wait_for(lambda: assert_in_force(instance, secret) == 1, 5)
    assert_in_force(instance, instance.evidence_secret())
    # What a reload or another ring replaces leaves no copy behind.
    for _ in range(5):
        instance.reload(CONFIG)
        mark = instance.mark()
        instance.ctl("key", "rotate", "--evidence", rc=0)
        wait_generation(instance, mark)
        use(instance)
    util.wait_for(lambda: assert_in_force(instance, secret) == 1, 5)


@pytest.mark.parametrize("forget", [("revoke", "0", "--compromised"), ("revoke", "0"), ("rotate",)],
                         ids=["compromised", "revoked", "retain_days=0"])
def test_a_key_that_is_gone_has_left_memory(batvd, forget, may_look):
    config = CONFIG if forget[0] == "revoke" else {**CONFIG, "keys": {"rotate_days": 0,
                                                                      "retain_days": 0}}
    instance = batvd(config).start()
    mark = instance.mark()
    use(instance)
    wait_generation(instance, mark)
    secret = instance.secret(0)
    mark = instance.mark()
    instance.ctl("key", *forget, rc=0)
    wait_generation(instance, mark)
    if forget[0] == "rotate":
        # Verified no longer, but kept in the ring until that is tidied, a day after the start.
        assert_in_force(instance, secret)
        return
    use(instance)
    assert_gone(instance, secret)


def test_an_evidence_secret_that_is_gone_has_left_memory(batvd, may_look):
    instance = batvd(CONFIG).start()
    mark = instance.mark()
    use(instance)
    wait_generation(instance, mark)
    secret = instance.evidence_secret()
    for _ in range(2):
        mark = instance.mark()
        instance.ctl("key", "rotate", "--evidence", rc=0)
        wait_generation(instance, mark)
        use(instance)       # the journal keeps those that its entries were made by
    util.wait_for(lambda: not sightings(instance.pid, secret), 5,
                  lambda: sightings(instance.pid, secret))
    assert_gone(instance, secret)


def test_no_key_by_a_core_dump_or_a_debugger(batvd):
    """The kernel writes none whatever the limits say, nor may another process of the same user look;
    a process without that would be dumped here, which shows that the test can see it."""
    def die(pid):
        os.kill(pid, signal.SIGABRT)

    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    folder = util.make_folder("core")
    try:
        folder.chmod(0o777)
        with subprocess.Popen(["sleep", "60"], preexec_fn=unlimited, cwd=folder) as control:
            die(control.pid)
            _, status = os.waitpid(control.pid, 0)
            control.returncode = 0
        dumps = os.WCOREDUMP(status)
    finally:
        util.remove_folder(folder)
    instance = batvd(CONFIG)
    instance.under = ["prlimit", "--core=unlimited"]
    instance.start()
    use(instance)
    secrets = [instance.secret(0), instance.evidence_secret()]
    reader = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all",
              "head", "-c1", f"/proc/{instance.pid}/maps"]
    denied = subprocess.run(reader, capture_output=True, text=True, check=False)
    assert "Permission denied" in denied.stderr, denied
    die(instance.pid)
    _, status = os.waitpid(instance.pid, 0)
    instance.process.returncode = status
    said = instance.log_file.read_bytes()
    instance._gone()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    for secret in secrets:
        assert not [text for text in spellings(secret) if text in said]
    if not dumps:
        pytest.skip("no process is dumped on this machine; batvd is neither")


def test_no_key_by_a_core_dump_of_batvctl(batvd):
    """While it waits for the digits of one."""
    instance = batvd(CONFIG)
    instance.ctl("key", "init", rc=0)
    argv = ["prlimit", "--core=unlimited", util.binary("batvctl"), "-c", instance.conf, "key",
            "import", "5", "--algorithm", "hmac-sha256"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, cwd=instance.folder) as command:
        # Its name and that it sleeps, which anybody may see.
        util.wait_for(lambda: "(batvctl) S " in pathlib.Path(f"/proc/{command.pid}/stat").read_text(),
                      10)
        limits = pathlib.Path(f"/proc/{command.pid}/limits").read_text("ascii")
        assert re.search(r"(?m)^Max core file size +0 +0 ", limits), limits
        os.kill(command.pid, signal.SIGABRT)
        said = command.stdout.read()
        _, status = os.waitpid(command.pid, 0)
        command.returncode = status
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    assert not [text for text in spellings(instance.secret(0)) if text in said]


def test_the_secure_arena_is_left_out_where_locking_is_not_allowed(batvd):
    """It starts all the same, and says so."""
    instance = batvd({**CONFIG, "user": None}, user="nobody", init_keys=True)
    instance.ctl("key", "init", rc=0)
    instance.under = ["prlimit", "--memlock=0:0", "setpriv", "--reuid=nobody", "--regid=nogroup",
                       "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    instance.configure({**CONFIG, "user": None, "listen_group": None})
    instance.start()
    use(instance)
    assert "cannot be locked in memory" in instance.log_text()


def test_an_imported_key_leaves_no_trace(batvd, may_look):
    """By hexadecimal digits on stdin, and out again on stdout: to the command's end only."""
    instance = batvd(CONFIG).start()
    secret = os.urandom(20)
    mark = instance.mark()
    instance.ctl("key", "import", "5", "--algorithm", "hmac-sha1", "--state", "retained", rc=0,
                 stdin=secret.hex() + "\n")
    wait_generation(instance, mark)
    assert instance.secret(5) == secret
    assert_in_force(instance, secret)
    mark = instance.mark()
    instance.ctl("key", "revoke", "5", "--compromised", rc=0)
    wait_generation(instance, mark)
    assert_gone(instance, secret)
