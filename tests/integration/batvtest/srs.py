"""postsrsd, by which a Postfix rewrites senders (SRS): two tables that it asks over TCP."""

import pathlib
import shutil
import socket
import subprocess

from . import util


def program():
    """The path; a missing one is an error, never a skipped test."""
    copy = util.REPO / "build/postsrsd-root/usr/sbin/postsrsd"
    found = str(copy) if copy.exists() else shutil.which("postsrsd", path="/usr/sbin")
    if not found:
        raise FileNotFoundError("no postsrsd here: 'make deps' as root gets one")
    return found


class Srs(util.Peer):
    """`main` are the lines of main.cf; `domain` is what rewritten senders lie in, `own` the domains
    whose senders stay."""

    def __init__(self, domain, own=()):
        super().__init__("batv-srs")
        secret = pathlib.Path(self.folder / "secret")
        secret.write_text("the forwarder's secret\n", encoding="ascii")
        self._forward, self._reverse = util.free_port(), util.free_port()
        self._command = [program(), "-4", f"-s{secret}", f"-d{domain}", f"-f{self._forward}",
                         f"-r{self._reverse}", *(f"-X{one}" for one in own)]
        self.forward = f"tcp:127.0.0.1:{self._forward}"
        self.reverse = f"tcp:127.0.0.1:{self._reverse}"

    def __enter__(self):
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/")
        util.wait_for(self._listens, 10, "a listening postsrsd")
        util.LIVE.append(self)
        return self

    def _listens(self):
        assert self.process.poll() is None, self.diagnosis()
        for port in (self._forward, self._reverse):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return False
        return True

    def diagnosis(self):
        return "== postsrsd\n" + (self.folder / "log").read_text(encoding="utf-8", errors="replace")
