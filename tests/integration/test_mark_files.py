"""The files of conf/mark, for what acts on batvd's mark: each read by the program that it is for, and
doing what it says with a bounce that batvd has marked."""

import os
import shutil
import subprocess

import pytest

from batvtest import util
from batvtest.postfix import make_message
from batvtest.site import Site

ALICE = "alice@example.com"
CHECKS = util.REPO / "conf/mark/milter_header_checks.pcre"
SIEVE = util.REPO / "conf/mark/batv.sieve"
ROOT = util.REPO / "build/dovecot-root"


def mark(result="missing", kind="dsn"):
    return f"X-Batv-Result: {result}; class={kind}; proof=none; rcpt=<{ALICE}>"


@pytest.fixture(name="site", scope="module")
def site_():
    with Site({"verify": {"action": "mark"}}, main={"milter_header_checks": f"pcre:{CHECKS}"}) as site:
        yield site


# -- Postfix --------------------------------------------------------------------------------------

@pytest.mark.parametrize("line, action", [
    (mark("bad-signature"), "HOLD batvd: a bounce to a forged tag"),
    (mark("unknown-key", "mdn"), "HOLD batvd: a bounce to a forged tag"),
    (mark(), "HOLD batvd: a bounce to mail that we did not send"),
    (mark("expired", "other"), "HOLD batvd: a bounce to mail that we did not send"),
    (mark(kind="mdn"), "INFO batvd: an answer that nothing proves"),
    ("X-Batv-Evidence: v=1", ""), ("Subject: X-Batv-Result: missing; class=dsn;", ""),
])
def test_header_checks(site, line, action):
    assert (site.postfix.postmap(line, f"pcre:{CHECKS}") or "") == action


def test_postfix_holds_what_is_marked(site):
    """And no more than that: a copy of the field in somebody's mail does nothing."""
    sent = site.bounce(ALICE)
    assert sent.accepted, sent
    held = [item["queue_id"] for item in site.postfix.queue() if item["queue_name"] == "hold"]
    assert held == [sent.queue_id]
    site.postfix.delete_queue()
    subject = util.unique("copy")
    data = f"{mark()}\n".encode() + make_message(subject)
    sent = site.receive("joe@other.test", ALICE, subject=subject, data=data)
    site.assert_delivered(sent, ALICE)


# -- Sieve ----------------------------------------------------------------------------------------

def sieve(name, *args):
    """Pigeonhole's program, the installed one or that which .ci/deps has unpacked."""
    env = {**os.environ, "DOVECONF_ENV": "1"}    # no configuration is read
    program = shutil.which(name)
    if program is None:
        program = ROOT / "usr/bin" / name
        folders = [ROOT / "usr/lib/dovecot", ROOT / "usr/lib/dovecot/modules"]
        env["LD_LIBRARY_PATH"] = ":".join(map(str, folders))
        if not program.exists():
            raise FileNotFoundError(f"no {name} here: 'make deps' as root gets one")
    return subprocess.run([program, *args], capture_output=True, text=True, check=False, env=env)


def test_sieve_is_compiled(tmp_path):
    done = sieve("sievec", SIEVE, tmp_path / "batv.svbin")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert (tmp_path / "batv.svbin").exists()


def test_a_broken_sieve_is_not_compiled(tmp_path):
    """So the program would have told."""
    broken = tmp_path / "broken.sieve"
    broken.write_text(SIEVE.read_text(encoding="ascii").replace("fileinto :", "file_into :"),
                      encoding="ascii")
    assert sieve("sievec", broken, tmp_path / "broken.svbin").returncode != 0
