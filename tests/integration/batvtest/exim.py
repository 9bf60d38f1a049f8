"""Exim as a peer: its own ${prvs} and ${prvscheck}, by `exim -be`.

It is the installed one, or the one that .ci/deps has unpacked below build/. That one looks for its
user before it does anything, so it is shown a password file of its own (libnss_wrapper).
"""

import datetime
import pathlib
import re
import shutil
import subprocess

from . import util

KEY_MAX = 64    # octets of a secret; Exim takes no more


def program():
    """The path; a missing one is an error, never a skipped test."""
    copy = util.REPO / "build/exim-root/usr/sbin/exim4"
    found = str(copy) if copy.exists() else shutil.which("exim4", path="/usr/sbin")
    if not found:
        raise FileNotFoundError("no exim4 here: 'make deps' as root gets one")
    return found


def _library(pattern):
    found = sorted(pathlib.Path("/usr/lib").glob(pattern))
    assert found, f"{pattern} is not installed"
    return str(found[0])


def literal(text):
    """As an expansion string that gives just this."""
    octets = text if isinstance(text, bytes) else text.encode("utf-8")
    assert b"\0" not in octets, "Exim's strings end at a NUL"
    return "".join(chr(octet) if chr(octet).isalnum() and octet < 128 else f"\\x{octet:02x}"
                   for octet in octets)


class Exim:
    """`secret` is octets, `when` seconds since 1970 (None: now) for each question."""

    def __init__(self):
        self.folder = util.make_folder("batv-exim")
        (self.folder / "conf").write_text("keep_environment =\n", encoding="ascii")
        for name, line in (("passwd", "Debian-exim:x:64999:64999::/:/bin/false\n"),
                           ("group", "Debian-exim:x:64999:\n")):
            system = pathlib.Path("/etc", name).read_text(encoding="utf-8")
            (self.folder / name).write_text(system + line, encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        util.remove_folder(self.folder)

    def run(self, *args, conf="conf", when=None, text=""):
        """Exim with these arguments; what it printed."""
        preload = [_library("*/libnss_wrapper.so")]
        env = {"PATH": "/usr/bin:/bin", "TZ": "UTC", "NSS_WRAPPER_PASSWD": f"{self.folder}/passwd",
               "NSS_WRAPPER_GROUP": f"{self.folder}/group"}
        if when is not None:
            preload.append(_library("*/faketime/libfaketime.so.1"))
            moment = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
            env["FAKETIME"] = moment.strftime("@%Y-%m-%d %H:%M:%S")
        env["LD_PRELOAD"] = " ".join(preload)
        done = subprocess.run([program(), "-C", self.folder / conf, *args], env=env, timeout=60,
                              input=text, text=True, capture_output=True, check=False, cwd="/",
                              encoding="utf-8")
        assert done.returncode == 0, done
        return done.stdout

    def expand(self, expressions, when=None):
        """What each becomes, one process for all."""
        said = self.run("-be", when=when, text="".join(f"{line}\n" for line in expressions))
        answers = re.split(r"(?m)^> ", said)[1:-1]
        assert len(answers) == len(expressions), said
        return [answer.removesuffix("\n") for answer in answers]

    def sign(self, addresses, secret, key, when=None):
        return self.expand([f"${{prvs{{{literal(address)}}}{{{literal(secret)}}}{{{key}}}}}"
                            for address in addresses], when)

    def check(self, tagged, secret, when=None):
        """Of each tagged address: (plain address, key's number) where the tag is good, None where
        it is forged or has expired, "" where Exim sees no tag."""
        said = self.expand([f"${{prvscheck{{{literal(address)}}}{{{literal(secret)}}}"
                            "{$prvscheck_result|$prvscheck_keynum|$prvscheck_address}}"
                            for address in tagged], when)
        answers = []
        for line in said:
            result, key, plain = line.split("|", 2) if line else ("", "", "")
            answers.append((plain, int(key)) if result == "1" else None if line else "")
        return answers
