"""Programs that are started with standard input, output or error closed, as by a start script with
`<&- >&- 2>&-`: no file of theirs takes such a place, and what is written to it goes into none."""

import pathlib
import subprocess

import pytest

from batvtest import capability, util
from batvtest.milter import MilterSession

INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
CLOSED = {0: "<&-", 1: ">&-", 2: "2>&-"}
SETS = [(0,), (1,), (2,), (0, 1, 2)]


def without(numbers):
    """In front of a command line."""
    return ["sh", "-c", 'exec "$@" ' + " ".join(CLOSED[number] for number in numbers), "sh"]


def name_of(numbers):
    return "-".join(map(str, numbers))


@pytest.mark.parametrize("numbers", SETS, ids=name_of)
def test_the_daemon(batvd, numbers):
    """It says things while its journal and keyring are open, and both stay whole."""
    instance = batvd({"log": {"target": "stderr", "level": "debug"}})
    instance.under = without(numbers)
    instance.start()
    for number in numbers if capability.held("CAP_SYS_PTRACE") else ():
        assert pathlib.Path(f"/proc/{instance.pid}/fd/{number}").readlink() == \
            pathlib.Path("/dev/null")
    with MilterSession(instance.milter, **INSIDE) as s:
        for count in range(20):
            s.message("<alice@example.com>", ["<far@other.test>"],
                      headers=[("From", "alice@example.com"), ("Message-ID", f"<m{count}@x.test>")])
    instance.ctl("key", "rotate", rc=0)
    with MilterSession(instance.milter, **INSIDE) as s:
        util.wait_for(lambda: s.message("<alice@example.com>", ["<far@other.test>"])
                      .new_sender[5] == "1", 10)
    instance.restart()
    for count in range(20):
        assert instance.ctl("journal", "lookup", "alice@example.com", f"m{count}@x.test", json=True,
                            rc=0)["found"]
    assert not list(instance.state.glob("journal.damaged*"))
    if 2 in numbers:
        # So that nobody believes there is a log.
        [found] = [f for f in instance.ctl("check", json=True) if f["name"] == "log"]
        assert found["level"] == "fail" and "lost" in found["text"], found
    instance.stop()


@pytest.mark.parametrize("numbers", SETS, ids=name_of)
def test_batvctl(batvd, numbers):
    """The keyring that it writes stays whole; an answer that nobody can get is an error."""
    instance = batvd()
    instance.ctl("key", "init", rc=0)

    def run(*args):
        done = subprocess.run([*without(numbers), util.binary("batvctl"), "-c", instance.conf, *args],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              env=instance.environment(), cwd="/", check=False)
        return done.returncode
    unable = 2 if 1 in numbers else 0
    assert run("key", "rotate", "--evidence") == unable
    assert run("key", "list") == unable
    assert run("key", "revoke", "9") == 1         # says why not on standard error
    assert run("sign", "alice@elsewhere.test") in (1, 2)
    text = (instance.state / "keyring").read_text("ascii")
    assert text.startswith("format 1\n") and "batvctl" not in text
    assert len(instance.ctl("key", "list", json=True, rc=0)) == 1
