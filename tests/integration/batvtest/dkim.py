"""OpenDKIM as a milter beside batvd, and as the judge of a message's signatures.

It is the installed one, or the one that .ci/deps has unpacked below build/. Started as root it
reads its key and becomes nobody; the public key comes from a file, so nothing is asked of DNS.
"""

import pathlib
import re
import shutil
import socket
import subprocess

from . import util

DOMAIN = "example.com"
SELECTOR = "test"


def program():
    """The path; a missing one is an error, never a skipped test."""
    found = shutil.which("opendkim", path="/usr/sbin:/usr/local/sbin")
    copy = util.REPO / "build/opendkim-root/usr/sbin/opendkim"
    if not found and not copy.exists():
        raise FileNotFoundError("no opendkim here: 'make deps' as root gets one")
    return found or str(copy)


class OpenDKIM(util.Peer):
    """Signs mail of example.com that comes from a local process or from 127.0.0.2, or was
    authenticated. `options`: lines of opendkim.conf(5)."""

    def __init__(self, options=()):
        super().__init__("batv-dkim")
        self.run = self.folder / "run"
        self.run.mkdir()
        self.log_file = self.folder / "log"
        self._make_key()
        self._signer = self._write("signer.conf", [
            "Mode s", f"Domain {DOMAIN}", f"Selector {SELECTOR}",
            f"KeyFile {self.folder}/key.pem", "Canonicalization relaxed/simple",
            "InternalHosts csl:127.0.0.1,127.0.0.2", f"Socket local:{self.run}/milter.sock",
            "UMask 000", "UserID nobody", *options])
        self._verifier = self._write("verifier.conf", ["Mode v", "InternalHosts csl:192.0.2.1",
                                                       f"TestPublicKeys {self.folder}/keys"])

    def _make_key(self):
        key = self.folder / "key.pem"
        key.touch(mode=0o600)
        for args in (["genrsa", "-out", key, "2048"],
                     ["rsa", "-in", key, "-pubout", "-out", self.folder / "public.pem"]):
            subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True,
                           timeout=60)
        lines = (self.folder / "public.pem").read_text(encoding="ascii").splitlines()
        public = "".join(line for line in lines if not line.startswith("-----"))
        (self.folder / "keys").write_text(
            f"{SELECTOR}._domainkey.{DOMAIN} v=DKIM1; k=rsa; p={public}\n", encoding="ascii")

    def _write(self, name, lines):
        path = self.folder / name
        text = "\n".join(["Syslog no", "RequireSafeKeys no", *lines])    # all of it is below /tmp
        path.write_text(text + "\n", encoding="ascii")
        return path

    @property
    def milter(self):
        """A value for smtpd_milters."""
        return f"unix:{self.run}/milter.sock"

    def __enter__(self):
        uid, gid = util.owner_ids("nobody")
        shutil.chown(self.run, uid, gid)
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen([program(), "-x", self._signer, "-f"], cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            util.wait_for(self._listens, 20, lambda: "a listening opendkim:\n" + self.log_text())
        except BaseException:
            self.kill9()
            raise
        util.LIVE.append(self)
        return self

    def _listens(self):
        assert self.process.poll() is None, f"opendkim ended:\n{self.log_text()}"
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.run / "milter.sock"))
            except OSError:
                return False
        return True

    def log_text(self):
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def diagnosis(self):
        return f"== OpenDKIM {self.folder}\n" + util.tail(self.log_text())

    def verify(self, octets):
        """What becomes of each signature in the message: ["pass"], ["fail", "pass"], ..., and [] of
        a message without any."""
        path = pathlib.Path(self.folder / util.unique("message"))
        path.write_bytes(octets)
        done = subprocess.run([program(), "-x", self._verifier, "-vv", "-t", path], timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        said = done.stdout + done.stderr
        if "message not signed" in said:
            return []
        results = re.findall(r"\bdkim=(\w+)", said)
        assert results, said
        return results
