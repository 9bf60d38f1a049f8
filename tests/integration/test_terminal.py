"""No command prints what a terminal must not be given: text from outside is seen as it stands where
it is printable, and escaped where it is not."""

import re
import subprocess

import pytest

from batvtest import util
from batvtest.daemon import Batvd

# C0 and DEL, C1 as octets and as characters, directions, separators, what is not seen.
HOSTILE = [b"\x1b[2J", b"\x07", b"\x7f", b"\x9b31m", b"\x80", b"\xff", b"\xc2\x9b31m", b"\xc2\x85",
           "\u202e".encode(), "\u2066".encode(), "\u200f".encode(), "\u061c".encode(),
           "\u2028".encode(), "\u2029".encode(), "\u200b".encode(), "\ufeff".encode(),
           "\u00ad".encode(), "\U000e0041".encode(), b"\xed\xa0\x80", b"\xc0\x9b", b"\xe2\x80"]
SEEN = "grüße"
NEVER = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f"
                   "\ufeff\U000e0000-\U000e0fff]")
TEXT = SEEN.encode() + b"-" + b"-".join(HOSTILE)


@pytest.fixture(scope="module")
def instance():
    with Batvd({"domains": ("example.com",)}) as running:
        yield running


def said(instance, *arguments, stdin=b"", program="batvctl"):
    done = subprocess.run([util.binary(program), "-c", str(instance.conf), *arguments], input=stdin,
                          capture_output=True, timeout=60, env=instance.environment(), check=False)
    return done.stdout + done.stderr


def assert_plain(octets):
    text = octets.decode("utf-8")       # all of it is UTF-8
    assert not NEVER.search(text), text
    return text


@pytest.mark.parametrize("arguments", [
    ("inspect", "-"), ("inspect", TEXT), ("explain", "--to", TEXT + b"@example.com", "--message", "-"),
    ("explain", "--from", TEXT + b"@example.com", "--to", TEXT, "--client", "192.0.2.1"),
    ("explain", "--bounce", TEXT + b"@example.com"), ("sign", TEXT + b"@example.com"),
    ("verify", TEXT + b"@example.com"), ("verify", b"prvs=1234abcdef=" + TEXT + b"@example.com"),
    ("journal", "lookup", TEXT + b"@example.com", TEXT), ("journal", TEXT), ("key", "revoke", TEXT),
    ("status", TEXT), ("check", TEXT), ("setup", TEXT), (TEXT,), ("mta", TEXT), ("pause", TEXT),
], ids=lambda arguments: "-".join(a if isinstance(a, str) else "text" for a in arguments))
@pytest.mark.parametrize("json", [False, True], ids=["people", "json"])
def test_no_command_prints_it(instance, arguments, json):
    message = (b"From: " + TEXT + b"\nTo: alice@example.com\nSubject: " + TEXT + b"\nMessage-ID: <"
               + TEXT + b"@a.test>\nReferences: <" + TEXT + b"@b.test>\n\nMessage-ID: <" + TEXT
               + b"@c.test>\nReturn-Path: <prvs=1234abcdef=" + TEXT + b"@example.com>\n")
    text = said(instance, *(["--json"] if json else []), *arguments, stdin=message)
    if not json:
        assert_plain(text)
    else:
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text.decode("utf-8"))


def test_printable_text_stays(instance):
    text = assert_plain(said(instance, "inspect", "-", stdin=b"From: a@b.test\nMessage-ID: <"
                             + TEXT + b"@c.test>\n\n"))
    assert SEEN in text and "\\x9B" in text and "\\xE2\\x80\\xAE" in text


@pytest.mark.parametrize("option", ['domains = ( "%s" );', 'verify: { action = "%s"; };', '%s = 1;',
                                    'internal_networks = [ "%s" ];', 'listen = "%s";',
                                    'internal_networks = [ "file:/%s" ];'])
def test_messages_about_the_configuration(instance, option):
    former = instance.conf.read_bytes()
    try:
        for hostile in [TEXT, *(SEEN.encode() + one for one in HOSTILE)]:
            instance.conf.write_bytes(option.encode().replace(b"%s", hostile) + b"\n")
            assert_plain(said(instance, "-n", program="batvd"))
            assert_plain(said(instance, "check"))
    finally:
        instance.conf.write_bytes(former)
