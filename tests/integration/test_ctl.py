"""batvctl without a daemon: what it prints, what it answers, as whom it works."""

import datetime
import fcntl
import hashlib
import hmac
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from batvtest import util

BUILD = util.BUILD
FAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
NOBODY = pwd.getpwnam("nobody")
DAY = 86400

CONFIG = """
listen = "inet:28893@127.0.0.1";
user = "nobody";
state_dir = "@DIR@/state";
domains = ( "example.com", ".example.org",
            { name = "xn--mller-kva.example"; },
            { name = "example.net"; verify_action = "reject"; syntax = "subaddress"; },
            { name = "held.example"; verify_action = "quarantine"; },
            { name = "later.example"; verify_action = "tempfail"; },
            { name = "gone.example"; verify_action = "discard"; },
            { name = "unsigned.example"; sign = false; } );
internal_networks = [ "192.0.2.0/28", "2001:db8::/32" ];
mail_servers = [ "192.0.2.0/28" ];
relays = [ "192.0.2.8/32" ];
exclude: { hosts = [ "*.friends.test" ]; networks = [ "198.51.100.0/24" ]; };
exclude_sign: { senders = [ "news@example.com" ]; recipients = [ "*@lists.test" ];
                clients = [ "192.0.2.7/32" ]; };
"""
OUTSIDE = ("--client", "203.0.113.5", "--client-name", "mx.other.test")
INSIDE = ("--client", "192.0.2.3")


class Done:
    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err

    @property
    def json(self):
        return json.loads(self.out.decode("utf-8"))

    @property
    def text(self):
        return self.out.decode("utf-8")

    @property
    def complaint(self):
        return self.err.decode("utf-8", "replace")

    def __repr__(self):
        return f"exit {self.rc}\n{self.out!r}\n{self.err!r}"


class Ctl:
    """A configuration and a state folder of nobody's, in a folder of their own."""

    def __init__(self, config=CONFIG):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="batvctl-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.state = self.folder / "state"
        self.state.mkdir(0o700)
        os.chown(self.state, NOBODY.pw_uid, NOBODY.pw_gid)
        self.conf = self.folder / "batvd.conf"
        self.configure(config)
        # Where others than root may start it from, wherever the tree lies.
        self.program = self.folder / "batvctl"
        shutil.copy(BUILD / "batvctl", self.program)

    def configure(self, config):
        self.conf.write_text(config.replace("@DIR@", str(self.folder)), encoding="utf-8")

    def popen(self, *args, offset=0, **options):
        env = {**os.environ, "TZ": "UTC", "LANG": "C.UTF-8"}
        env.setdefault("ASAN_OPTIONS", "verify_asan_link_order=0")
        if offset:
            env.update(LD_PRELOAD=str(FAKETIME), FAKETIME=f"{offset:+d}")
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([self.program, "-c", self.conf, *args], stdin=subprocess.DEVNULL,
                                cwd="/", env=env, **options)

    def run(self, *args, rc=None, **options):
        process = self.popen(*args, **options)
        out, err = process.communicate(timeout=60)
        for name in (f"faketime_shm_{process.pid}", f"sem.faketime_sem_{process.pid}"):
            pathlib.Path("/dev/shm", name).unlink(missing_ok=True)
        done = Done(process.returncode, out, err)
        assert b"Sanitizer" not in done.complaint.encode(), done
        assert rc is None or done.rc == rc, (args, done)
        return done

    def sign(self, address, **options):
        return self.run("sign", "--", address, rc=0, **options).text.rstrip("\n")

    def verify(self, *addresses, **options):
        return self.run("verify", "--json", "--", *addresses, **options).json

    def secret(self, number):
        return bytes.fromhex(self.run("key", "export", str(number), rc=0).text.strip())

    def write_state(self, name, text):
        path = self.state / name
        path.write_text(text, encoding="ascii")
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        path.chmod(0o600)


    def record_domains(self, *domains):
        """The keyring's record of each: its name, when it signed first, when a tag came back."""
        path = self.state / "keyring"
        kept = [line for line in path.read_text("ascii").splitlines() if not line.startswith("domain ")]
        lines = kept[:-1] + [f"domain {name} first-signed={iso(signed)}" + (f" tag-seen={iso(seen)}" if seen else "")
                             for name, signed, seen in sorted(domains)]
        body = "".join(f"{line}\n" for line in lines)
        digest = hashlib.sha256(body.encode()).hexdigest()
        path.write_text(f"{body}{kept[-1].split()[0]} {digest}\n", encoding="ascii")


@pytest.fixture
def ctl():
    instance = Ctl()
    yield instance
    shutil.rmtree(instance.folder)


@pytest.fixture
def keyed(ctl):
    ctl.run("key", "init", rc=0)
    return ctl


@pytest.fixture(scope="module")
def shared():
    """For tests that change nothing."""
    instance = Ctl()
    instance.run("key", "init", rc=0)
    yield instance
    shutil.rmtree(instance.folder)


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


def mac(secret, key, day, address):
    return hmac.new(secret, f"{key}{day % 1000:03d}{address}".encode(), hashlib.sha256).hexdigest()


# -- being called ---------------------------------------------------------------------------------

def test_help_lists_every_command(ctl):
    done = ctl.run("--help", rc=0)
    for command in ("key init", "key list", "key rotate", "key revoke", "key export", "key import",
                    "sign ", "verify ", "explain ", "check", "status", "pause", "resume", "mta "):
        assert f"\n  {command}" in done.text, command


def test_version(ctl):
    assert re.fullmatch(r"batvctl \d+\.\d+\.\d+\n", ctl.run("--version", rc=0).text)


@pytest.mark.parametrize("command", ["key", "sign", "verify", "explain", "check", "status", "pause",
                                     "resume", "mta"])
def test_help_of_a_command_needs_no_configuration(ctl, command):
    ctl.conf.unlink()
    assert ctl.run(command, "--help", rc=0).text.startswith("usage: batvctl")


@pytest.mark.parametrize("args", [
    (), ("nonsense",), ("--nonsense", "sign"), ("-c",), ("sign",), ("sign", "--nonsense", "a@b"),
    ("verify",), ("status", "extra"), ("status", "--watch=1"), ("pause", "extra"),
    ("resume", "extra"), ("explain",),
    ("explain", "--client", "192.0.2.1", "--from", "a@b"),
    ("explain", "--client", "192.0.2.1", "--rcpt", "a@b"),
    ("explain", "--from", "a@b", "--rcpt", "a@b"),
    ("explain", "--client", "192.0.2.1", "--from", "a@b", "c@d"),
    ("explain", "--client", "192.0.2.256", "--from", "a@b", "--rcpt", "c@d"),
    ("explain", "--client", "192.0.2.1", "--client", "192.0.2.2", "--from", "a", "--rcpt", "c@d"),
    ("explain", "--client", "192.0.2.1", "--from", "a", "--rcpt", "c@d", "--auth"),
])
def test_usage_errors(shared, args):
    done = shared.run(*args, rc=2)
    assert "usage: batvctl" in done.complaint and done.out == b""


def test_a_broken_configuration_is_named_with_its_line(keyed):
    keyed.conf.write_text(keyed.conf.read_text() + "nonsense = 1;\n")
    line = len(keyed.conf.read_text().splitlines())
    for command, rc in ((("sign", "alice@example.com"), 2), (("status",), 1), (("pause",), 1)):
        done = keyed.run(*command, rc=rc)
        assert f"{keyed.conf}:{line}: error: " in done.complaint


def test_a_configuration_that_is_not_there(ctl):
    ctl.conf.unlink()
    assert str(ctl.conf) in ctl.run("verify", "a@b", rc=2).complaint


@pytest.mark.parametrize("command", [("sign", "alice@example.com"), ("verify", "alice@example.com"),
                                     ("explain", *OUTSIDE, "--from", "", "--rcpt", "a@example.com")])
def test_a_keyring_that_cannot_be_used(ctl, command):
    assert "key init" in ctl.run(*command, rc=2).complaint
    ctl.run("key", "init", rc=0)
    keyring = ctl.state / "keyring"
    whole = keyring.read_bytes()
    keyring.write_bytes(whole[:-20])
    assert str(keyring) in ctl.run(*command, rc=2).complaint
    keyring.write_bytes(whole)
    keyring.chmod(0o640)
    done = ctl.run(*command, rc=2)
    assert str(keyring) in done.complaint and "0640" in done.complaint


def test_an_answer_that_cannot_be_written(shared):
    with open("/dev/full", "wb") as full:
        assert shared.run("sign", "alice@example.com", rc=2, stdout=full).err


def test_the_manual_has_every_command_and_option(ctl):
    manual = pathlib.Path(__file__).resolve().parents[2] / "man" / "batvctl.8"
    text = re.sub(r"\\(.)", r"\1", manual.read_text(encoding="utf-8"))
    rows = re.findall(r"^  (\w+)((?: [a-z]+\b)?)(.*)$",
                      ctl.run("--help", rc=0).text, re.M)
    assert len(rows) > 10
    for command, form, arguments in rows:
        assert re.search(rf"^(\.It )?\.?(It )?Ic {command}{form}\b", text, re.M), command + form
        for option in re.findall(r"--([\w-]+)", arguments):
            assert f"Fl -{option}" in text, (command, option)


# -- as whom it works -----------------------------------------------------------------------------

def test_root_becomes_the_owner_of_the_state_folder(keyed):
    keyed.conf.chmod(0o600)  # root's alone
    keyed.run("pause", rc=1)
    for name in ("keyring", "paused"):
        info = (keyed.state / name).stat()
        assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (NOBODY.pw_uid, NOBODY.pw_gid,
                                                                    0o600)


def test_the_owner_works_as_root_does(keyed):
    for command, rc in ((("sign", "alice@example.com"), 0), (("pause",), 1), (("resume",), 0)):
        keyed.run(*command, rc=rc, user="nobody", group=NOBODY.pw_gid, extra_groups=[])


def test_anybody_else_is_told_who(keyed):
    for command in (("sign", "alice@example.com"), ("status",), ("pause",), ("resume",),
                    ("explain", *OUTSIDE, "--from", "", "--rcpt", "a@example.com")):
        done = keyed.run(*command, rc=2, user="daemon", group=1, extra_groups=[])
        assert "run this as root or as user nobody" in done.complaint, done
    assert not (keyed.state / "paused").exists()


def test_a_state_folder_that_is_not_there(ctl):
    ctl.state.rmdir()
    done = ctl.run("status", rc=2)
    assert str(ctl.state) in done.complaint and "install -d -m 0700 -o nobody" in done.complaint


# -- sign -----------------------------------------------------------------------------------------

def test_sign_makes_the_tag_of_the_day(shared):
    before = int(time.time() // DAY)
    tagged = shared.sign("Alice@Example.COM")
    found = re.fullmatch(r"prvs=(\d)(\d{3})([0-9a-f]{6})=Alice@Example\.COM", tagged)
    assert found
    days = {day % 1000: day for day in (before + 7, before + 8)}
    day = days[int(found[2])]
    key = int(found[1])
    assert found[3] == mac(shared.secret(key), key, day, "alice@example.com")[:6]


@pytest.mark.parametrize("address, form", [
    ("c@example.net", r"c\+prvs=\d{4}[0-9a-f]{6}@example\.net"),
    ("<alice@example.com>", r"prvs=\d{4}[0-9a-f]{6}=alice@example\.com"),
    ("x@deep.example.org", r"prvs=\d{4}[0-9a-f]{6}=x@deep\.example\.org"),
    ("x@m\u00fcller.example", "prvs=\\d{4}[0-9a-f]{6}=x@m\u00fcller\\.example"),
    ('"a b"@example.com', r'"prvs=\d{4}[0-9a-f]{6}=a b"@example\.com'),
    ("-dash@example.com", r"prvs=\d{4}[0-9a-f]{6}=-dash@example\.com"),
])
def test_sign_forms(shared, address, form):
    assert re.fullmatch(form, shared.sign(address))


REFUSED = [
    ("bob@other.test", "not-ours"),
    ("x@example.org", "not-ours"),
    ("alice", "not-ours"),
    ("u@unsigned.example", "not-signing"),
    ("", "null-sender"),
    ("<>", "null-sender"),
    ("Mailer-Daemon@example.com", "mailer-daemon"),
    ("prvs=0123abcdef=x@example.com", "already-tagged"),
    ("x+prvs=0123abcdef@example.com", "already-tagged"),
    ("SRS0=h=tt=other.test=user@example.com", "already-tagged"),
    ("user+SRS=h=tt=other.test=joe@example.com", "already-tagged"),
    ("bounces+srs=h=tt@example.com", "already-tagged"),
    ("user+caf_=joe=other.test@example.com", "already-tagged"),
    ("a" * 49 + "@example.com", "too-long"),
    ("news@example.com", "exclude_sign.senders:news@example.com"),
]


@pytest.mark.parametrize("address, reason", REFUSED)
def test_sign_refuses(shared, address, reason):
    done = shared.run("sign", "--", address, rc=1)
    assert done.out == b"" and done.complaint.startswith(f"batvctl: {address}: {reason}: ")


def test_sign_as_json(shared):
    addresses = ["alice@example.com", *(address for address, _ in REFUSED)]
    answer = shared.run("--json", "sign", "--", *addresses, rc=1).json
    assert [list(entry) for entry in answer] == [["address", "tagged", "reason"]] * len(addresses)
    assert [entry["address"] for entry in answer] == addresses
    assert answer[0]["tagged"].startswith("prvs=") and answer[0]["reason"] is None
    assert [entry["reason"] for entry in answer[1:]] == [reason for _, reason in REFUSED]
    assert not any(entry["tagged"] for entry in answer[1:])


def test_sign_prints_what_it_can(shared):
    done = shared.run("sign", "a@example.com", "b@other.test", "c@example.com", rc=1)
    assert [line.rpartition("=")[2] for line in done.text.splitlines()] == ["a@example.com",
                                                                            "c@example.com"]


def test_a_tag_of_another_day_is_replaced(keyed):
    old = keyed.sign("alice@example.com", offset=-3 * DAY)
    new = keyed.sign(old)
    assert new != old and new == keyed.sign("alice@example.com")


# -- verify ---------------------------------------------------------------------------------------

def test_verify_says_each_result(keyed):
    tagged = keyed.sign("alice@example.com")
    number = tagged[5]
    tag, plain = tagged[:15], tagged[16:]
    expires = iso((time.time() // DAY + 7) * DAY)[:10]
    for address, line, rc in [
            (tagged, f"valid {plain} key={number} expires={expires} days=7", 0),
            (tagged.upper().replace("EXAMPLE.COM", "example.com"),
             f"valid ALICE@example.com key={number} expires={expires} days=7", 0),
            (tagged.replace("alice", "bob"), f"bad-signature bob@example.com key={number}", 1),
            (tag.replace(f"prvs={number}", "prvs=9") + "=" + plain,
             f"unknown-key {plain} key=9", 1),
            ("prvs=nonsense@example.com", "malformed prvs=nonsense@example.com", 1),
            (plain, f"missing {plain}", 1),
            ("btv1==0123==alice@example.com", "foreign btv1==0123==alice@example.com", 1),
            ("prvs=0123abcdef=x@other.test", "not-ours prvs=0123abcdef=x@other.test", 1)]:
        done = keyed.run("verify", "--", address, rc=rc)
        assert done.text == line + "\n"


def test_verify_as_time_goes_by(keyed):
    tagged = keyed.sign("c@example.net")
    for later, result, days in ((0, "valid", 7), (7, "valid", 0), (8, "expired", -1),
                                (30, "expired", -23)):
        answer, = keyed.verify(tagged, offset=later * DAY)
        assert (answer["result"], answer["days"]) == (result, days), later
        assert answer["expires"] == iso((time.time() // DAY + 7) * DAY)[:10]


def test_verify_as_json(shared):
    tagged = shared.sign("alice@example.com")
    answer = shared.run("verify", tagged, "alice@example.com", "x@other.test", "--json", rc=1).json
    assert [list(entry) for entry in answer] == [["address", "result", "plain", "key", "expires",
                                                  "days"]] * 3
    assert answer[0]["address"] == tagged and answer[0]["plain"] == "alice@example.com"
    assert answer[1] == {"address": "alice@example.com", "result": "missing",
                         "plain": "alice@example.com", "key": None, "expires": None, "days": None}
    assert answer[2]["result"] == "not-ours"


def test_all_valid_or_not(shared):
    tagged = [shared.sign(f"{name}@example.com") for name in "abc"]
    shared.run("verify", *tagged, rc=0)
    shared.run("verify", *tagged, "d@example.com", rc=1)


def random_octets(generator):
    kinds = [range(1, 256), range(1, 128), range(0x80, 0x100), b"\"\\<>@,:=\n\t\x7f\xc2\x9b\xe2\xf0"]
    return bytes(generator.choice(generator.choice(kinds)) for _ in range(generator.randint(1, 40)))


@pytest.mark.parametrize("seed", range(5))
def test_json_holds_any_octets(shared, seed):
    """Each address comes back, from the text where that is UTF-8 and else from "raw"."""
    generator = random.Random(seed)
    given = [random_octets(generator) + b"@example.com" for _ in range(200)]
    for command in ("sign", "verify"):
        done = shared.run(command, "--json", "--", *given)
        assert done.rc in (0, 1)
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", done.out)
        for octets, entry in zip(given, done.json, strict=True):
            try:
                assert entry["address"] == octets.decode("utf-8")
                assert "raw" not in entry
            except UnicodeDecodeError:
                assert bytes.fromhex(entry["raw"]) == octets
                assert "\ufffd" in entry["address"]
                assert len(entry["address"].encode("utf-8", "strict")) > len(octets)


# -- explain --------------------------------------------------------------------------------------

RULES = ["local", "tag", "exclude.authenticated", "exclude.mail_servers", "exclude.networks",
         "exclude.hosts", "exclude.recipients", "exclude_sign.recipients", "guessing",
         "untaggable", "key-gone", "guessing.address", "tag-unauthentic",
         "verify.expired", "sign.enabled", "verify.action"]

BOUNCES = [
    (OUTSIDE, "alice@example.com", "log", "auto.warm-up", 0),
    (OUTSIDE, "x@example.net", "reject", "verify.action", 1),
    (OUTSIDE, "x@held.example", "quarantine", "verify.action", 0),
    (OUTSIDE, "x@later.example", "tempfail", "verify.action", 1),
    (OUTSIDE, "x@gone.example", "discard", "verify.action", 1),
    (OUTSIDE, "x@unsigned.example", "log", "sign.enabled", 0),
    (OUTSIDE, "postmaster@example.net", "accept", "exclude.recipients:postmaster@*", 0),
    (OUTSIDE, "x" * 50 + "@example.net", "log", "untaggable", 0),
    ((*OUTSIDE, "--auth", "joe"), "x@example.net", "accept", "exclude.authenticated", 0),
    (INSIDE, "x@example.net", "accept", "exclude.mail_servers:192.0.2.0/28", 0),
    (("--client", "198.51.100.1"), "x@example.net", "accept", "exclude.networks:198.51.100.0/24",
     0),
    (("--client", "203.0.113.5", "--client-name", "a.friends.test"), "x@example.net", "accept",
     "exclude.hosts:*.friends.test", 0),
    (("--client", "203.0.113.5", "--client-name", "out.lists.test"), "x@example.net", "accept",
     "exclude_sign.recipients:*@lists.test", 0),
    (("--client", "local"), "x@example.net", "accept", "local", 0),
    (("--client", "127.0.0.1"), "x@example.net", "reject", "verify.action", 1),
    (("--client", "192.0.2.8"), "x@example.net", "reject", "verify.action", 1),
]


@pytest.mark.parametrize("client, rcpt, action, rule, rc", BOUNCES)
def test_explain_a_bounce(shared, client, rcpt, action, rule, rc):
    args = ("explain", *client, "--from", "", "--rcpt", rcpt)
    entry, = shared.run("--json", *args, rc=rc).json
    assert entry == {"rcpt": rcpt, "result": "missing", "class": None, "proof": "none",
                     "action": action, "rule": rule}
    rows = re.findall(r"^ +(\d+)  (\S+) +(.*)$", shared.run(*args, rc=rc).text, re.M)
    row = "verify.action" if rule == "auto.warm-up" else rule.partition(":")[0]
    assert [name for _, name, _ in rows] == RULES[:RULES.index(row) + 1]
    assert [int(number) for number, _, _ in rows] == list(range(1, len(rows) + 1))
    assert all(word == "no" for _, _, word in rows[:-1])
    assert rows[-1][2].startswith(action) and rows[-1][2].endswith(f"by {rule}")


def test_explain_a_genuine_bounce(shared):
    tagged = shared.sign("x@example.net")
    args = ("explain", *OUTSIDE, "--from", "<>", "--rcpt", tagged)
    entry, = shared.run("--json", *args, rc=0).json
    assert entry == {"rcpt": tagged, "result": "valid", "class": None, "proof": None,
                     "action": "accept", "rule": "tag"}
    assert "recipient added: <x@example.net>" in shared.run(*args, rc=0).text


def test_explain_several_recipients(shared):
    tagged = shared.sign("y@example.net")
    args = ("explain", *OUTSIDE, "--from", "mailer-daemon@other.test", "--rcpt", "x@example.net",
            tagged, "--rcpt", "z@other.test")
    done = shared.run(*args, "--json", rc=1)
    assert [(entry["rcpt"], entry["rule"]) for entry in done.json] == [
        ("x@example.net", "verify.action"), (tagged, "tag"), ("z@other.test", "not-ours")]
    text = shared.run(*args, rc=1).text
    assert "applied: removed" in text and "recipient removed: x@example.net" in text
    assert "a bounce: its sender is in bounce_senders" in text


def test_explain_a_forged_tag(shared):
    forged = shared.sign("bob@example.com").replace("bob", "eve")
    args = ("explain", *OUTSIDE, "--from", "a@other.test", "--rcpt", forged)
    entry, = shared.run("--json", *args, rc=1).json
    assert (entry["result"], entry["action"], entry["rule"], entry["proof"]) == (
        "bad-signature", "tempfail", "tag-unauthentic", None)
    assert re.search(r"^answer +451 4\.1\.1 .*<eve@example\.com>", shared.run(*args, rc=1).text,
                     re.M)


SENDERS = [
    (INSIDE, "alice@example.com", "b@other.test", "signed as <prvs=", "yes: in internal_networks"),
    (("--client", "2001:db8::9"), "alice@example.com", "b@other.test", "signed as",
     "yes: in internal_networks, by 2001:db8::/32"),
    ((*OUTSIDE, "--auth", "joe"), "alice@example.com", "b@other.test", "signed as",
     "yes: authenticated as joe"),
    (("--client", "local"), "alice@example.com", "b@other.test", "signed as", "yes: a local"),
    (OUTSIDE, "alice@example.com", "b@other.test", "not signed: not-a-submission", "no: not auth"),
    (("--client", "192.0.2.8"), "alice@example.com", "b@other.test", "not signed: not-a-submission",
     "no: in relays, by 192.0.2.8/32"),
    (INSIDE, "b@other.test", "c@other.test", "not signed: not-ours", "yes"),
    (INSIDE, "x@unsigned.example", "c@other.test", "not signed: not-signing", "yes"),
    (INSIDE, "", "c@other.test", "not signed: null-sender", "yes"),
    (INSIDE, "mailer-daemon@example.com", "c@other.test", "not signed: mailer-daemon", "yes"),
    (INSIDE, "news@example.com", "c@other.test",
     "not signed: exclude_sign.senders:news@example.com", "yes"),
    (INSIDE, "alice@example.com", "l@lists.test",
     "not signed: exclude_sign.recipients:*@lists.test", "yes"),
    (("--client", "192.0.2.7"), "alice@example.com", "b@other.test",
     "not signed: exclude_sign.clients:192.0.2.7/32", "yes"),
]


@pytest.mark.parametrize("client, sender, rcpt, signing, submission", SENDERS)
def test_explain_signing(shared, client, sender, rcpt, signing, submission):
    text = shared.run("explain", *client, "--from", sender, "--rcpt", rcpt, rc=0).text
    assert re.search(rf"^sender +<{re.escape(sender)}>: {re.escape(signing)}", text, re.M)
    assert re.search(rf"^submission +{re.escape(submission)}", text, re.M)


def test_explain_at_rcpt(ctl):
    ctl.configure(CONFIG + 'verify: { reject_at = "rcpt"; };\n')
    ctl.run("key", "init", rc=0)
    args = ("explain", *OUTSIDE, "--from", "", "--rcpt", "postmaster@example.net", "x@example.net")
    assert [(e["rcpt"], e["action"]) for e in ctl.run(*args, "--json", rc=1).json] == [
        ("postmaster@example.net", "accept"), ("x@example.net", "reject")]
    text = ctl.run(*args, rc=1).text
    assert re.search(r"^  at RCPT: 550 5\.7\.1 ", text, re.M)
    alone = ctl.run("explain", *OUTSIDE, "--from", "", "--rcpt", "x@example.net", rc=1)
    assert "no recipient is left" in alone.text


def test_explain_under_a_pause(keyed):
    keyed.run("pause", rc=1)
    args = ("explain", *OUTSIDE, "--from", "", "--rcpt", "x@example.net")
    entry, = keyed.run("--json", *args, rc=0).json
    assert (entry["action"], entry["rule"]) == ("log", "pause")
    text = keyed.run(*args, rc=0).text
    assert re.search(r"16  verify\.action +reject by verify\.action\n"
                     r" +17  pause +log, would be reject by pause", text)


def test_explain_waits_as_the_daemon_does(keyed):
    """The ring's record of the first signed message, then the report's of unsigned mail."""
    def rule(offset=0):
        done = keyed.run("--json", "explain", *OUTSIDE, "--from", "", "--rcpt", "x@example.com",
                         offset=offset)
        entry, = done.json
        assert done.rc == (1 if entry["action"] == "reject" else 0)
        return entry["action"], entry["rule"]

    assert rule() == ("log", "auto.warm-up")
    keyed.record_domains(("example.com", time.time() - 6 * DAY, None))
    assert rule() == ("log", "auto.warm-up")
    assert rule(offset=DAY + 60) == ("log", "auto.no-tag-seen")
    keyed.record_domains(("example.com", time.time() - 6 * DAY, time.time() - 5 * DAY))
    assert rule(offset=DAY + 60) == ("reject", "verify.action")
    keyed.write_state("status", report(relayed=[("example.com", "192.0.2.77", 3, time.time())]))
    assert rule(offset=DAY + 60) == ("log", "auto.warm-up")
    assert rule(offset=8 * DAY) == ("reject", "verify.action")


# -- status ---------------------------------------------------------------------------------------

def report(*, written=None, started=None, relayed=(), forged=(), counters=(),
           returned=(), guessed=(), error='""', ring_error='""', key=3, rotation=None, clock="no", journal=None,
           domains=None):
    now = time.time()
    lines = ["format 1", "version 0.1.0", "pid 4711",
             f"started {iso(started or now - 3 * DAY - 7300)}", f"written {iso(written or now)}",
             "generation 12", f"active-key {key}",
             f"next-rotation {iso(rotation) if rotation else '-'}", "paused no",
             f"clock-wrong {clock}", f"journal-waits {iso(journal) if journal else '-'}",
             f"loaded {iso(now - DAY)}", f"reload-error {error}",
             f"ring-error {ring_error}", "journal-pending 70", 'journal-error "no \\"room\\""', "log-target syslog",
             "log-place stderr", f"log-since {iso(now - DAY)}", "log-lost 7", "log-error away"]
    lines += [f"domains-all {domains[0]}", f"domains-logging {domains[1]}"] if domains else []
    lines += [f"relayed-to {domain} {client} far.test {count} {iso(last)} {iso(last)}"
              for domain, client, count, last in relayed]
    lines += [f"returned {domain} {named} {known}" for domain, named, known in returned]
    lines += [f"guessed-at {address} {iso(until)}" for address, until in guessed]
    lines += [f"forged {client} {count} {iso(last)}" for client, count, last in forged]
    lines += ["bounces-judged 1000", "bounces-from-servers 7", "bounces-from-one 120", "bounce-client 192.0.2.1"]
    lines += ["excluded exclude.mail_servers 255", "excluded local 0"]
    lines += [f"counter {name} {value}" for name, value in counters]
    return "\n".join(lines) + "\nend\n"


@pytest.fixture
def running(ctl):
    """A state folder as it is while a daemon runs."""
    ctl.write_state("lock", "")
    with (ctl.state / "lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield ctl


def test_status_without_a_daemon(ctl):
    assert "batvd is not running" in ctl.run("status", rc=1).text
    assert ctl.run("status", "--json", rc=1).json["running"] is False
    ctl.write_state("lock", "")
    assert "batvd is not running" in ctl.run("status", rc=1).text
    ctl.write_state("status", report())
    text = ctl.run("status", rc=1).text
    assert "batvd is not running" in text and "last report" in text and "generation 12" in text
    answer = ctl.run("status", "--json", rc=1).json
    assert (answer["running"], answer["version"], answer["uptime"]) == (False, "0.1.0", None)


def test_status_before_the_first_report(running):
    assert "has not written its first report" in running.run("status", rc=0).text


STATES = CONFIG[:CONFIG.index("domains =")] + """
domains = ( "example.com", "a.test", "b.test", { name = "c.test"; verify_action = "reject"; }, "d.test",
            { name = "e.test"; sign = false; }, "f.test" );
"""


@pytest.fixture
def states(keyed, running):
    """A domain in each state, by its record in the keyring; d.test's by mail that was relayed."""
    now = time.time()
    assert keyed is running
    running.configure(STATES)
    running.record_domains(("example.com", now - 5 * DAY, None), ("a.test", now - 9 * DAY, now - DAY),
                           ("d.test", now - 9 * DAY, now - DAY), ("f.test", now - 9 * DAY, None))
    return running


def moment(when):
    return iso(when)[:16].replace("T", " ") + " UTC"


def test_status_for_people(states):
    now = time.time()
    states.write_state("status", report(
        rotation=now + 6 * DAY + 600,
        relayed=[("example.com", "203.0.113.7", 2, now), ("a.test", "203.0.113.7", 1, 0),
                 ("d.test", "2001:db9::1", 1, now - 6 * DAY), ("d.test", "192.0.2.3", 1, now - 6 * DAY)],
        counters=[("signed", 5), ("verify.missing", 7)],
        error=f'"{states.conf}:3: error: odd \\x1B[2J"'))
    text = states.run("status", rc=0).text
    for expected in (
            "batvd 0.1.0 is running, process 4711, since ", "(3 days 2 h)",
            f"{states.conf}:3: error: odd \\x1B[2J", "generation 12, key 3 signs",
            f"next rotation {moment(now + 6 * DAY + 600)} (in 6 days 0 h)",
            f"example.com: logging until {moment(now + 2 * DAY)} "
            f"(signed first {moment(now - 5 * DAY)})",
            "a.test: rejecting\n", "b.test: logging until 7 days after the first",
            "c.test: reject, as configured", f"d.test: logging until {moment(now + DAY)}: ",
            "e.test: logging: it does not sign", "example.com from 203.0.113.7 to far.test: 2 messages",
            "f.test: logging until a valid tag has come back from outside: ",
            "5  signed\n", "7  verify.missing\n"):
        assert expected in text, expected
    assert "\x1b" not in text and "PAUSED" not in text and "clock" not in text


def test_status_judges_domains_as_the_daemon_does(states):
    """By the configuration, the keyring, and what the daemon says of mail and its clock."""
    def told(rc=0, **options):
        answer = states.run("status", "--json", rc=rc, **options).json["domains"]
        return [domain["state"] for domain in answer]

    enforcing = ["waiting", "enforcing", "never-signed", None, "enforcing", "not-signing", "no-tag-seen"]
    states.write_state("status", report())
    assert told() == enforcing
    states.write_state("status", report(relayed=[("d.test", "192.0.2.3", 1, time.time()),
                                                 ("gone.test", "192.0.2.3", 1, time.time())]))
    assert told() == [*enforcing[:4], "relayed", *enforcing[5:]]
    assert told(offset=8 * DAY) == ["no-tag-seen", *enforcing[1:]]
    states.write_state("status", report(clock="yes"))
    assert told() == [None if state is None else "clock" for state in enforcing]
    text = states.run("status", rc=0).text
    assert "clock: more than a day before" in text and "a.test: logging: the clock cannot be trusted\n" in text


def test_status_without_what_the_states_follow_from(states):
    """What the daemon counted is left, and the reason."""
    states.write_state("status", report(domains=(7, 5)))
    (states.state / "keyring").rename(states.state / "away")
    done = states.run("status", rc=0)
    assert "7 domains, 5 of them only logging; which, batvctl can tell once the keyring can be read" in done.text
    assert f"{states.state}/keyring: no such file: batvd is running and still has the keys" in done.complaint and "a.test" not in done.text
    assert states.run("status", "--json", rc=0).json["domains"] is None
    (states.state / "away").rename(states.state / "keyring")
    states.conf.write_text(states.conf.read_text("utf-8") + "odd = 1;\n", encoding="utf-8")
    done = states.run("status", rc=0)
    assert "5 of them only logging; which, batvctl can tell once the configuration has no faults" in done.text
    assert states.run("status", "--json", rc=0).json["domains"] is None


def test_status_tells_a_configuration_that_was_changed_later(running):
    running.write_state("status", report())
    changed = "the file has changed since, and batvd reads it at the next reload"
    assert changed in running.run("status", rc=0).text
    os.utime(running.conf, (time.time() - 2 * DAY,) * 2)
    assert changed not in running.run("status", rc=0).text


NO_PROOFS = dict.fromkeys(("tag-in-body", "header", "journal", "pattern", "exhausted", "none"))


def test_status_shows_what_rejecting_would_have_done(running):
    """How many, since when, and what proved the others; null where an earlier version reports."""
    since, last = "2026-11-20T08:00:00Z", "2026-11-27T09:30:00Z"
    shown = report(counters=[("proof.header", 5), ("proof.journal", 2), ("proof.dkim", 9), ("proof.none", 3)])
    running.write_state("status", shown.replace("\nend\n", f"\nwould-reject 3\nwould-reject-since {since}\n"
                                                f"would-reject-last {last}\nend\n"))
    text = running.run("status", rc=0).text
    assert ("recipients of bounces that would have been rejected (action=log would=reject): 3 since "
            "2026-11-20 08:00 UTC, last 2026-11-27 09:30 UTC\n") in text
    assert "bounces without a valid tag, by their proof, since the start: 5 header, 2 journal, 3 none\n" in text
    found = running.run("status", "--json", rc=0).json["bounces"]
    assert (found["would_reject"], found["would_reject_since"], found["would_reject_last"]) == (3, since, last)
    assert found["proofs"] == {**NO_PROOFS, "header": 5, "journal": 2, "none": 3}
    running.write_state("status", report())
    assert "would have been" not in running.run("status", rc=0).text
    found = running.run("status", "--json", rc=0).json["bounces"]
    assert found["would_reject"] is None and found["proofs"] == NO_PROOFS


def test_status_shows_the_clients_that_tried_most(running):
    now = int(time.time())
    forged = [(f"203.0.113.{i}", i, now) for i in range(1, 12)] + [("2001:db8::1", 3, now - DAY)]
    running.write_state("status", report(forged=forged))
    lines = running.run("status", rc=0).text.splitlines()
    at = lines.index("clients that used forged tags; a handful is normal:")
    shown = lines[at + 1:at + 12]
    assert [line.split(",")[0] for line in shown[:9]] == [f"  203.0.113.{i}: {i} tries"
                                                          for i in range(11, 2, -1)]
    assert shown[9].startswith("  2001:db8::1: 3 tries, last ")
    assert shown[10] == "  and 2 with fewer"
    answer = running.run("status", "--json", rc=0).json["forged"]
    assert len(answer) == 12
    assert answer[0] == {"client": "203.0.113.11", "count": 11, "last": iso(now)}
    assert [one["count"] for one in answer] == sorted((n for _, n, _ in forged), reverse=True)
    running.write_state("status", report(forged=[("192.0.2.1", 1, now)]))
    assert "  192.0.2.1: 1 try, last " in running.run("status", rc=0).text
    running.write_state("status", report())
    assert "tried tags" not in running.run("status", rc=0).text


def test_status_tells_a_report_that_is_old(running):
    running.write_state("status", report(written=time.time() - 300))
    for age, told in ((300, "5 min old"), (35, "3[56] s old")):
        running.write_state("status", report(written=time.time() - age))
        assert re.search(f", {told}: it hangs, or cannot write", running.run("status", rc=0).text)
        answer = running.run("status", "--json", rc=0).json
        assert not answer["report_fresh"] and age <= answer["report_age"] < age + 20, answer
    running.write_state("status", report(written=time.time() - 20))
    assert "cannot write" not in running.run("status", rc=0).text


@pytest.fixture
def known(running):
    """The same where the daemon's lock tells whose it is: the process that it is given."""
    with (running.state / "lock").open("r+b") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield running


def test_status_tells_a_report_of_another_process(known):
    """As after a restart on a full disk."""
    known.write_state("status", report(written=time.time() - 5))
    text = known.run("status", rc=0).text
    assert f"batvd is running, process {os.getpid()}\n" in text
    assert "this one is from process 4711, which wrote it on " in text and "has ended" in text
    assert "is running, process 4711" not in text
    answer = known.run("status", "--json", rc=0).json
    assert (answer["pid"], answer["report_pid"], answer["report_fresh"], answer["uptime"]) == (
        os.getpid(), 4711, False, None)
    known.write_state("status", report().replace("pid 4711", f"pid {os.getpid()}"))
    assert f" is running, process {os.getpid()}, since " in known.run("status", rc=0).text
    answer = known.run("status", "--json", rc=0).json
    assert (answer["pid"], answer["report_pid"], answer["report_fresh"]) == (
        os.getpid(), os.getpid(), True)
    assert answer["uptime"] is not None
    (known.state / "status").unlink()
    text = known.run("status", rc=0).text
    assert f"process {os.getpid()} and has not written its first report yet" in text
    assert known.run("status", "--json", rc=0).json["pid"] == os.getpid()


def test_status_with_a_damaged_report(running):
    running.write_state("status", "format 1\npid x\n")
    done = running.run("status", rc=0)
    assert "cannot be read" in done.text and str(running.state / "status") in done.text
    done = running.run("status", "--json", rc=0)
    assert done.json["running"] and str(running.state / "status") in done.complaint


def test_status_as_json(keyed, running):
    now = int(time.time())
    running.configure(STATES.replace('"a.test", "b.test",', "").replace(', "d.test"', "").replace(
        '{ name = "e.test"; sign = false; }, "f.test"', ""))
    keyed.record_domains(("example.com", now - 6 * DAY, None))
    running.write_state("status", report(
        started=now - 90, written=now, rotation=now + DAY, key=4,
        relayed=[("example.com", "203.0.113.7", 2, now)], counters=[("signed", 2**64 - 1)],
        returned=[("example.com", 20, 17), ("c.test", 20, 18)],
        guessed=[("alice@example.com", now + 60)],
        error='"f\\xFCr"', journal=now + 2 * DAY))
    running.run("pause", rc=1)
    answer = running.run("status", "--json", rc=0).json
    assert 90 <= answer.pop("uptime") < 200
    assert 0 <= answer.pop("report_age") < 30
    assert abs(time.mktime(time.strptime(answer.pop("paused_since"), "%Y-%m-%dT%H:%M:%SZ"))
               - time.mktime(time.gmtime())) < 100
    loaded = answer.pop("loaded")
    assert loaded.endswith("Z")
    assert answer == {
        "running": True, "paused": True, "version": "0.1.0", "pid": 4711,
        "started": iso(now - 90), "written": iso(now), "active_key": 4,
        "next_rotation": iso(now + DAY), "generation": 12, "clock_wrong": False, "clock_trusted_from": None,
        "journal_waits": iso(now + 2 * DAY), "reload_error": "f\ufffdr", "raw": "66fc72", "ring_error": None,
        "report_fresh": True, "report_pid": 4711, "journal_error": "no \"room\"", "journal_pending": 70,
        "log": {"target": "syslog", "place": "stderr", "since": loaded, "lost": 7, "error": "away"},
        "domains": [{"name": "example.com", "action": "auto", "state": "waiting",
                     "until": iso(now + DAY)},
                    {"name": "c.test", "action": "reject", "state": None, "until": None}],
        "relayed": [{"domain": "example.com", "client": "203.0.113.7",
                     "recipient_domain": "far.test", "count": 2, "last": iso(now)}],
        "returned": [{"domain": "example.com", "named": 20, "known": 17, "rewritten": True},
                     {"domain": "c.test", "named": 20, "known": 18, "rewritten": False}],
        "forged": [],
        "bounces": {"judged": 1000, "latest_from_mail_servers": 7, "latest_from_one_client": 120,
                    "latest_client": "192.0.2.1", "would_reject": None, "would_reject_since": None,
                    "would_reject_last": None, "proofs": NO_PROOFS, "accepted_by_exclusion": [
                        {"rule": "exclude.mail_servers", "count": 255, "percent": 26},
                        {"rule": "local", "count": 0, "percent": 0}]},
        "guessed": [{"address": "alice@example.com", "until": iso(now + 60)}],
        "counters": {"signed": 2**64 - 1}}


def test_status_watches_until_interrupted(running):
    running.write_state("status", report())
    process = running.popen("status", "--watch", "--json")
    decoder = json.JSONDecoder()
    seen = b""
    while seen.count(b"\n}\n") < 2:
        octets = os.read(process.stdout.fileno(), 65536)
        assert octets, process.communicate()
        seen += octets
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    first, at = decoder.raw_decode(seen.decode())
    second, _ = decoder.raw_decode(seen.decode()[at:].lstrip())
    assert first["pid"] == second["pid"] == 4711


# -- pause and resume -----------------------------------------------------------------------------

def test_pause_and_resume_can_be_repeated(ctl):
    paused = ctl.state / "paused"
    done = ctl.run("pause", rc=1)
    assert "batvctl resume" in done.text and "nothing is rejected" in done.text
    assert f"no batvd is running with state_dir = {ctl.state}" in done.complaint
    assert f"set state_dir in {ctl.conf}" in done.complaint
    since = paused.read_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", since)
    assert "already" in ctl.run("pause", rc=1, offset=3600).text and paused.read_text() == since
    assert "PAUSED since" in ctl.run("status", rc=1).text
    answer = ctl.run("pause", "--json", rc=1).json
    assert answer == {"paused": True, "paused_since": since.strip(), "running": False}
    assert "resumed" in ctl.run("resume", rc=0).text and not paused.exists()
    assert "was not paused" in ctl.run("resume", rc=0).text
    assert ctl.run("resume", "--json", rc=0).json == {"paused": False, "paused_since": None,
                                                      "running": False}
    assert "PAUSED" not in ctl.run("status", rc=1).text


def test_a_pause_that_cannot_be_made(ctl):
    ctl.state.chmod(0o500)
    assert str(ctl.state / "paused") in ctl.run("pause", rc=1).complaint


def test_a_pause_is_one_whatever_it_holds(ctl):
    ctl.write_state("paused", "")
    when = int(time.time()) - 3 * DAY
    for text in ("", "2026-11", "2026-99-28T12:00:00Z\n"):
        ctl.write_state("paused", text)
        os.utime(ctl.state / "paused", (when, when))
        told = iso(when)[:16].replace("T", " ")
        assert f"PAUSED since {told} UTC: nothing" in ctl.run("status", rc=1).text
        assert ctl.run("pause", "--json", rc=1).json["paused_since"] == iso(when)
        assert f"set already since {told}" in ctl.run("pause", rc=1).text
    assert "already" in ctl.run("pause", rc=1).text
    ctl.run("resume", rc=0)
