"""The fail2ban filters that batvd(8) shows, to the letter, over lines that a real batvd sent to
syslog and a real Postfix wrote: they find who guesses tags, and nobody who returns a bounce."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from batvtest import log_sockets, manual, tag, util
from batvtest.milter import MilterSession
from batvtest.site import Site, client

GUESSER = "192.0.2.66"
GUESSER_6 = "2001:db8::66"
INNOCENT = "192.0.2.9"
SPOOF = "198.51.100.7"

class Syslog:
    """What syslogd does: takes datagrams, writes lines with time and host in front."""

    def __init__(self):
        self.folder = util.make_folder("batv-syslog")
        self.file = self.folder / "mail.log"
        self.file.touch()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.folder / "log"))
        (self.folder / "log").chmod(0o666)
        self.prefix = log_sockets.prefix(self.folder)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while octets := self._socket.recv(65536):
            found = re.fullmatch(rb"<(?:1[6-9]|2[0-3])>(\w{3} [ \d]\d [\d:]{8}) (batvd\[\d+\]: .*)",
                                 octets)
            line = b"%s mail %s" % found.groups() if found else b"not of mail: " + octets
            with self.file.open("ab") as log:
                log.write(line + b"\n")

    def wait(self, count, pattern):
        def enough():
            found = re.findall(f"(?m)^.*{pattern}.*$", self.file.read_text(encoding="utf-8"))
            return found if len(found) >= count else None
        return util.wait_for(enough, 10, lambda: f"{count} x {pattern!r} in "
                             + self.file.read_text(encoding="utf-8"))

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self.folder / "log"))
        self._thread.join(20)
        self._socket.close()
        util.remove_folder(self.folder)


class Fail2ban:
    """fail2ban-regex with its own configuration and the manual's filters."""

    def __init__(self):
        self.root = util.REPO / "build/fail2ban-root"
        if not self.root.exists():
            assert shutil.which("fail2ban-regex"), "no fail2ban here: 'make deps' as root gets one"
            self.root = pathlib.Path("/")
        self.folder = util.make_folder("batv-fail2ban")
        shutil.copytree(self.root / "etc/fail2ban", self.folder / "conf")
        filters = [block for block in manual.blocks("batvd.8", "Banning clients")
                   if "[Definition]" in block]
        for name, text in zip(("batvd", "batvd-postfix"), filters, strict=True):
            (self.folder / "conf/filter.d" / f"{name}.conf").write_text(text, encoding="utf-8")

    def hosts(self, log, name):
        """The addresses that the filter finds in the log's lines, in their order."""
        env = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "LANG": "C.UTF-8",
               "PYTHONPATH": str(self.root / "usr/lib/python3/dist-packages")}
        done = subprocess.run(["/usr/bin/python3", "-B", self.root / "usr/bin/fail2ban-regex", "-c",
                               self.folder / "conf", "-o", "ip", log, name], env=env, text=True,
                              cwd=self.folder, capture_output=True, timeout=60, check=False)
        assert not re.search("ERROR|Unable", done.stdout + done.stderr), done
        return done.stdout.split()


@pytest.fixture(scope="module")
def fail2ban():
    instance = Fail2ban()
    yield instance
    util.remove_folder(instance.folder)


@pytest.fixture(scope="module")
def syslog():
    server = Syslog()
    yield server
    server.close()


@pytest.fixture(scope="module")
def site(syslog):
    """Everything that is refused, for all reasons; the guesser's last, and at RCPT too."""
    config = {"log": {"target": "syslog", "facility": "mail"}}
    with Site(config, prefix=syslog.prefix) as whole:
        good = whole.tagged()
        forged = tag.spoil(good)
        guesser = {"xclient": client(GUESSER, "guess.other.test")}
        for rcpt in (forged, "alice@example.com", tag.spoil(whole.tagged("bob@example.com"))):
            assert whole.bounce(rcpt).code == 550
        assert whole.bounce(good).accepted
        assert whole.receive("joe@other.test", good).accepted
        # What a sender writes into the line is no client, and no rule.
        for words in (f" client=guess[{SPOOF}] ", " action=reject rule=tag-unauthentic ring=1"):
            assert whole.receive(f'"x{words}"@other.test', "bob@example.com").accepted
            assert whole.bounce(f'"x{words}"@example.com').code == 550
        assert whole.receive(f'" client=guess[{SPOOF}] "@other.test', forged, **guesser).code == 550
        assert whole.receive("joe@other.test", [forged, "bob@example.com"], **guesser).accepted
        whole.batvd.configure(dict(whole.base, log=config["log"], verify={
            "action": "reject", "forged": "reject", "reject_at": "rcpt"}))
        os.kill(whole.batvd.pid, signal.SIGUSR1)
        syslog.wait(1, "reloaded")
        assert whole.bounce("alice@example.com").rcpts["alice@example.com"].code == 550
        assert whole.receive("joe@other.test", forged, **guesser).code == 550
        with MilterSession(whole.batvd.milter, client=("guess6.test", GUESSER_6, 4711)) as milter:
            assert milter.message("<joe@other.test>", f"<{forged}>").verdict == "reject"
        syslog.wait(4, "rule=tag-unauthentic ring=\\d+$")
        yield whole


def test_the_lines_are_as_syslog_has_them(site, syslog):
    assert "not of mail" not in syslog.file.read_text(encoding="utf-8")


def test_filter_for_our_lines(site, syslog, fail2ban):
    assert fail2ban.hosts(syslog.file, "batvd") == [GUESSER] * 3 + [GUESSER_6]


def test_filter_for_postfix_lines(site, fail2ban):
    """The recipient removed from a message that others got is no line of Postfix's."""
    log = site.postfix.folder / "maillog"
    assert log.read_text(encoding="utf-8").count("milter-reject") >= 6
    assert fail2ban.hosts(log, "batvd-postfix") == [GUESSER] * 2


@pytest.mark.parametrize("mode", ["more", "aggressive"])
def test_their_own_filter_for_postfix_bans_nobody_for_a_bounce(site, fail2ban, mode):
    lines = [line for line in site.postfix.maillog().splitlines() if "milter-reject" in line]
    log = fail2ban.folder / "refused"
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert fail2ban.hosts(log, f"postfix[mode={mode}]") == []


def test_the_journal_has_the_same_words(site, syslog, fail2ban):
    """As the journal gives a line to fail2ban: the host, the name and the text, without a time."""
    text = syslog.file.read_text(encoding="utf-8")
    journal = fail2ban.folder / "journal"
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime())
    journal.write_text(re.sub(r"(?m)^\w{3} [ \d]\d [\d:]{8} ", f"{stamp} ", text), encoding="utf-8")
    assert fail2ban.hosts(journal, "batvd[logtype=journal]") == [GUESSER] * 3 + [GUESSER_6]
