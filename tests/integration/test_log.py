"""Where the log's lines go when nobody takes them: to standard error, said at once, and found by `check` and
`status`; and to syslog or the journal again once it is there."""

import pathlib
import re
import socket

import pytest

from batvtest import capability, log_sockets, util
from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
# By target: the socket's name in the folder, and as batvd has it.
SOCKETS = {"syslog": ("log", "/dev/log"), "journald": ("journal", "/run/systemd/journal/socket")}


class LogDaemon:
    """What listens, or not, where lines go."""

    def __init__(self, folder, target):
        self.path = folder / SOCKETS[target][0]
        self._socket = None

    def start(self):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self.path.chmod(0o666)
        self._socket.settimeout(10 * util.PATIENCE)

    def end(self):
        self._socket.close()
        self.path.unlink()

    def wait_for(self, pattern):
        """The first line that matches."""
        while True:
            text = self._socket.recv(65536).decode("utf-8", "replace")
            if re.search(pattern, text):
                return text


@pytest.fixture
def folder():
    made = util.make_folder("batv-log")
    yield made
    util.remove_folder(made)


@pytest.fixture
def start(folder):
    made = []

    def made_for(target, **options):
        made.append(Batvd({"log": {"target": target}}, prefix=log_sockets.prefix(folder), **options))
        return made[-1]
    yield made_for
    for instance in made:
        instance.terminate()


def sign(instance, sender="alice@example.com"):
    with MilterSession(instance.milter, **INSIDE) as s:
        assert s.message(f"<{sender}>", ["<far@other.test>"]).new_sender


def finding(instance):
    found = [f for f in instance.ctl("check", json=True) if f["name"] == "log"]
    assert len(found) == 1, found
    return found[0]


def status(instance):
    return instance.ctl("status", json=True)["log"]


@pytest.mark.parametrize("target", SOCKETS)
def test_nobody_takes_lines_until_somebody_does(folder, start, target):
    instance = start(target)
    instance.start()
    path = SOCKETS[target][1]
    line = instance.wait_text("they go to standard error")
    assert f"log: {target} accepts no lines ({path}: No such file or directory)" in line
    assert instance.log_text().startswith(line)
    sign(instance)
    instance.wait_text("sign from=<alice@example.com>")
    assert "accepts no lines" not in instance.log_text().replace(line, "")
    util.wait_for(lambda: status(instance)["error"], 10)
    told = status(instance)
    assert (told["target"], told["place"], told["lost"]) == (target, "stderr", 0)
    assert told["since"] and told["error"] == f"{path}: No such file or directory"
    assert "log lines go to standard error since" in instance.ctl("status").out
    found = finding(instance)
    assert found["level"] == "warn" and path in found["text"], found
    assert 'target = "stderr";' in found["mend"]

    server = LogDaemon(folder, target)
    server.start()
    server.wait_for(f"{target} accepts lines again, those since .* went to standard error")
    instance.wait_text("they now go there")
    mark = instance.mark()
    sign(instance, "bob@example.com")
    server.wait_for("sign from=<bob@example.com>")
    assert not instance.log(since=mark)
    util.wait_for(lambda: status(instance)["place"] == target, 10)
    assert finding(instance)["level"] == "ok"

    server.end()
    sign(instance, "carol@example.com")
    instance.wait_text("accepts no lines", since=mark)
    instance.wait_text("sign from=<carol@example.com>", since=mark)
    assert util.wait_for(lambda: status(instance)["error"], 10)
    server.start()
    server.wait_for("accepts lines again")
    server.end()


def test_the_mend_mends(folder, start):
    instance = start("syslog")
    instance.start()
    assert finding(instance)["level"] == "warn"
    instance.reload({"log": {"target": "stderr"}})
    util.wait_for(lambda: finding(instance)["level"] == "ok", 10)


def test_standard_error_that_nobody_reads(folder, start):
    """Then lines vanish, which is a fault whatever the target is."""
    instance = start("syslog")
    instance.under = ["sh", "-c", 'exec "$@" 2>/dev/null', "sh"]
    instance.start()
    sign(instance)
    util.wait_for(lambda: status(instance)["place"] == "nowhere", 10)
    found = finding(instance)
    assert found["level"] == "fail" and "every line of the log is lost" in found["text"], found
    instance.stop()
    instance.configure({"log": {"target": "stderr"}})
    instance.start()
    found = util.wait_for(lambda: finding(instance), 10)
    assert found["level"] == "fail" and "standard error is /dev/null" in found["text"], found


@pytest.mark.parametrize("target", SOCKETS)
def test_check_without_a_daemon(folder, start, target):
    instance = start(target)
    instance.ctl("key", "init", rc=0)
    found = finding(instance)
    assert found["level"] == "warn" and SOCKETS[target][1] in found["text"], found
    server = LogDaemon(folder, target)
    server.start()
    assert finding(instance)["level"] == "ok"
    server.end()


def test_lines_that_standard_error_does_not_take_are_counted(batvd):
    instance = batvd()
    instance.under = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh"]
    instance.start()
    sign(instance)
    util.wait_for(lambda: (status(instance)["lost"] or 0) > 1, 20)
    found = finding(instance)
    assert found["level"] == "warn" and "were lost" in found["text"], found
    assert str(instance.pid) in found["mend"]
    if capability.held("CAP_SYS_PTRACE"):
        there = pathlib.Path(f"/proc/{instance.pid}/fd/2").readlink()
        assert there == pathlib.Path("/dev/full")
