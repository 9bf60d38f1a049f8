"""The milter protocol: every offer that an MTA can make, odd orders, and that nothing of one
message reaches the next."""

import concurrent.futures
import itertools
import random
import re
import socket
import subprocess
import time

import pytest

from batvtest import milter, util
from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
CONFIG = {"domains": ("example.com", {"name": "marked.example", "verify_action": "mark"},
                      {"name": "held.example", "verify_action": "quarantine"},
                      {"name": "deferred.example", "verify_action": "tempfail"},
                      {"name": "dropped.example", "verify_action": "discard"},
                      {"name": "logged.example", "verify_action": "log"}),
          "verify": {"action": "reject", "forged": "reject"}}


@pytest.fixture(scope="module")
def running():
    with Batvd(CONFIG) as instance:
        yield instance


# -- macros that libmilter takes on trust ---------------------------------------------------------

NO_PAIRS = {"one name": b"Mname\0", "three strings": b"Mi\0id\0name\0", "not ended": b"Mi\0id",
            "not ended, even": b"Mi\0id\0a\0b", "one NUL": b"C\0", "thousands": b"R" + b"a\0" * 9999}
PAIRS = {"a step alone": b"M", "empty strings": b"M\0\0", "an empty value": b"Mi\0\0",
         "an unknown step": b"?a\0b\0", "thousands": b"R" + b"a\0" * 10000}


@pytest.mark.parametrize("packet", NO_PAIRS.values(), ids=NO_PAIRS)
def test_macros_that_are_no_pairs_end_their_session_alone(running, packet):
    with MilterSession(running.milter, **INSIDE) as other:
        other.mail("<alice@example.com>")
        with MilterSession(running.milter) as s:
            s.send_packet(b"D", packet)
            with pytest.raises((EOFError, ConnectionError)):
                s.send_packet(b"R", b"<alice@example.com>\0")
                s.read_packet()
        assert other.rcpt("<far@other.test>").kind == "continue"
    assert running.process.poll() is None


@pytest.mark.parametrize("packet", PAIRS.values(), ids=PAIRS)
def test_macros_that_are_pairs_are_read(running, packet):
    with MilterSession(running.milter, **INSIDE) as s:
        s.send_packet(b"D", packet)
        assert s.message("<alice@example.com>", ["<far@other.test>"]).new_sender


def test_libmilter_calls_the_guard():
    """The name is in libmilter's procedure linkage table, and batvd defines it for everybody."""
    batvd = util.binary("batvd")
    linked = subprocess.run(["ldd", batvd], capture_output=True, text=True, check=True).stdout
    library = re.search(r"libmilter\.so\S* => (\S+)", linked)[1]
    table = subprocess.run(["readelf", "-rW", library], capture_output=True, text=True,
                           check=True).stdout
    assert re.search(r"JUMP_SLO.* mi_rd_cmd", table)
    names = subprocess.run(["nm", "-D", "--defined-only", batvd], capture_output=True, text=True,
                           check=True).stdout
    assert re.search(r" T mi_rd_cmd$", names, re.M)



def session(instance, **options):
    return MilterSession(instance.milter, **options)


def sign_one(instance, **options):
    with session(instance, **{**INSIDE, **options}) as s:
        return s.message("<alice@example.com>", ["<far@other.test>"])


def assert_usual_answers(instance, **options):
    """The four kinds of mail, whatever was negotiated."""
    tagged = instance.tagged("alice@example.com")
    with session(instance, **{**INSIDE, **options}) as s:
        out = s.message("<alice@example.com>", ["<far@other.test>"])
        assert out.verdict == "accept"
        instance.check_tag(out.new_sender, "alice@example.com")
    with session(instance, **options) as s:
        out = s.message("<>", ["<alice@example.com>"])
        assert (out.verdict, out.code) == ("reject", 550)
        out = s.message("<x@other.test>", ["<alice@example.com>"])
        assert (out.verdict, out.mods) == ("accept", [])
        out = s.message("<>", [f"<{tagged}>"])
        assert (out.verdict, out.final_rcpts) == ("accept", ["alice@example.com"])


# -- negotiation ------------------------------------------------------------------------------

@pytest.mark.parametrize("sign", (True, False))
@pytest.mark.parametrize("evidence", (True, False))
def test_steps_that_cost_are_not_asked_for(batvd, evidence, sign):
    """Bodies are for evidence; the header also says who wrote what is to be signed."""
    instance = batvd({"verify": {"action": "reject"}, "evidence": {"enabled": evidence},
                      "sign": {"enabled": sign}}).start()
    with session(instance) as s:
        for step in ("helo", "unknown"):
            assert not s.wanted(step), step
        for step in ("header", "eoh"):
            assert s.wanted(step) == (evidence or sign), step
        assert s.wanted("body") == evidence
        assert s.steps & milter.NR_MAIL and s.steps & milter.NR_CONN
        assert not s.wanted("header") or s.steps & milter.NR_HDR and s.steps & milter.NR_EOH


@pytest.mark.parametrize("body", (b"", b"no header at all\r\n"))
def test_a_message_without_headers(batvd, body):
    instance = batvd({"verify": {"action": "reject"}}).start()
    tagged = instance.tagged("alice@example.com")
    for client, sender, rcpt, verdict in (
            ({}, "<>", "<alice@example.com>", "reject"),
            ({}, "<>", f"<{tagged}>", "accept"),
            (INSIDE, "<alice@example.com>", "<far@other.test>", "accept")):
        with session(instance, **client) as s:
            assert s.message(sender, [rcpt], headers=[], body=body).verdict == verdict


def test_only_a_bounce_that_needs_proof_is_read(batvd):
    """Of all other mail the body is skipped at its first piece, or it is let go at DATA."""
    instance = batvd({"verify": {"action": "reject"}}).start()
    tagged = instance.tagged("alice@example.com")
    table = (
        (INSIDE, "<alice@example.com>", "<far@other.test>", "skip"),
        ({}, "<>", "<alice@example.com>", "continue"),
        ({}, "<>", f"<{tagged}>", "skip"),
        ({}, "<>", "<postmaster@example.com>", "skip"),
        ({}, "<x@y.test>", f"<{tagged}>", "skip"),
    )
    for client, sender, rcpt, expected in table:
        with session(instance, **client) as s:
            s.mail(sender)
            s.rcpt(rcpt)
            assert s.data().kind == "continue"
            s.header("Subject", "x")
            s.eoh()
            assert s.body(b"first\r\n").kind == expected, (sender, rcpt)
    with session(instance) as s:
        s.mail("<x@y.test>")
        s.rcpt("<alice@example.com>")
        assert s.data().kind == "accept"


def test_headers_are_asked_for_where_a_mark_may_be_set(batvd):
    instance = batvd({"verify": {"action": "mark"}, "evidence": {"enabled": False}}).start()
    with session(instance) as s:
        assert s.wanted("header") and s.steps & milter.NR_HDR


@pytest.mark.parametrize("missing", range(21))
def test_without_one_step_of_the_offer(running, missing):
    assert_usual_answers(running, steps=milter.ALL_STEPS & ~(1 << missing))


@pytest.mark.parametrize("seed", range(30))
def test_random_offers(running, seed):
    random_offer = random.Random(seed).getrandbits(21)
    assert_usual_answers(running, steps=random_offer)


@pytest.mark.parametrize("version, steps", [(2, milter.V2_STEPS), (2, milter.NOBODY),
                                            (4, milter.V2_STEPS), (6, milter.NOHELO)])
def test_old_versions(running, version, steps):
    needed = milter.ADDHDRS | milter.CHGBODY | milter.ADDRCPT | milter.DELRCPT | milter.CHGHDRS
    assert_usual_answers(running, version=version, steps=steps, actions=needed | milter.CHGFROM)


@pytest.mark.parametrize("name, action", [("CHGFROM", milter.CHGFROM), ("ADDRCPT", milter.ADDRCPT),
                                          ("DELRCPT", milter.DELRCPT)])
def test_a_missing_action_is_named(running, name, action):
    mark = running.mark()
    with pytest.raises((EOFError, ConnectionError)):
        session(running, actions=milter.ALL_ACTIONS & ~action)
    running.wait_text(name, since=mark)


def test_an_mta_that_cannot_quarantine_gets_a_temporary_failure(running):
    with session(running, actions=milter.ALL_ACTIONS & ~milter.QUARANTINE) as s:
        mark = running.mark()
        assert s.message("<>", ["<u@held.example>"]).verdict == "tempfail"
        running.wait_text("rejected change", since=mark)


def test_recipient_arguments_where_the_mta_takes_none(running):
    tagged = running.tagged("alice@example.com")
    with session(running, actions=milter.ALL_ACTIONS & ~milter.ADDRCPT_PAR) as s:
        out = s.message("<>", [f"<{tagged}>"], rcpt_args=("NOTIFY=NEVER",))
        assert out.mods == [("delrcpt", f"<{tagged}>"), ("addrcpt", "alice@example.com", None)]


# -- effects ----------------------------------------------------------------------------------

def test_restoring_deletes_first_and_keeps_the_arguments(running):
    tagged = running.tagged("alice@example.com")
    with session(running) as s:
        out = s.message("<>", [f"<{tagged}>"], rcpt_args=("NOTIFY=FAILURE", "ORCPT=rfc822;a@b"))
    assert out.mods == [("delrcpt", f"<{tagged}>"),
                        ("addrcpt", "alice@example.com", "NOTIFY=FAILURE ORCPT=rfc822;a@b")]


def test_mark_replaces_copies_from_outside(running):
    headers = [("X-Batv-Result", "valid"), ("Subject", "x"), ("x-batv-result", "valid")]
    with session(running) as s:
        out = s.message("<>", ["<u@marked.example>"], headers=headers)
    assert out.verdict == "accept"
    assert out.mods[:2] == [("chgheader", 2, "X-Batv-Result", ""),
                            ("chgheader", 1, "X-Batv-Result", "")]
    index, name, value = out.mods[2].args
    assert out.mods[2].name == "insheader" and index == 0 and name == "X-Batv-Result"
    assert value.startswith("missing; ") and value.endswith("; proof=none; rcpt=<u@marked.example>")
    assert len(out.mods) == 3


def test_copies_are_removed_from_every_bounce_and_from_no_other_mail(running):
    copies = [("X-Batv-Result", "valid")]
    with session(running) as s:
        out = s.message("<>", ["<u@logged.example>"], headers=copies)
        assert out.mods == [("chgheader", 1, "X-Batv-Result", "")]
        assert s.message("<x@other.test>", ["<u@logged.example>"], headers=copies).mods == []


ACTIONS = {"log": "logged.example", "mark": "marked.example", "quarantine": "held.example",
           "tempfail": "deferred.example", "reject": "example.com", "discard": "dropped.example"}


def expected_of(actions):
    """The three rules of one reply for many recipients."""
    if "tempfail" in actions:
        return "tempfail"
    if set(actions) <= {"reject", "discard"}:
        return "reject" if "reject" in actions else "discard"
    return "accept"


@pytest.mark.parametrize("pair", itertools.product(ACTIONS, repeat=2), ids="-".join)
def test_all_pairs_of_actions(running, pair):
    rcpts = [f"u{number}@{ACTIONS[action]}" for number, action in enumerate(pair)]
    mark = running.mark()
    with session(running) as s:
        out = s.message("<>", [f"<{rcpt}>" for rcpt in rcpts])
    assert out.verdict == expected_of(pair)
    keeps = [rcpt for rcpt, action in zip(rcpts, pair) if action not in ("reject", "discard")]
    entries = running.wait_log("verify", since=mark, count=2)
    assert [entry["action"] for entry in entries] == list(pair)
    if out.verdict == "accept":
        assert out.final_rcpts == keeps
        removed = ["removed" if action in ("reject", "discard") else None for action in pair]
        assert [entry.get("applied") for entry in entries] == removed
    else:
        assert out.mods == []
    assert bool(out.mods_named("quarantine")) == (out.verdict == "accept" and "quarantine" in pair)
    assert bool(out.mods_named("insheader")) == (out.verdict == "accept" and "mark" in pair)


# -- one message and the next -----------------------------------------------------------------

def test_a_reset_message_leaves_nothing_behind(running):
    tagged = running.tagged("alice@example.com")
    with session(running, **INSIDE) as s:
        for stage in ("mail", "rcpt", "data", "header"):
            s.mail("<bob@example.com>")
            if stage != "mail":
                s.rcpt(f"<{tagged}>")
            if stage in ("data", "header"):
                s.data()
            if stage == "header":
                s.header("X-Batv-Result", "x")
            s.abort()
            out = s.message("<alice@example.com>", ["<far@other.test>"])
            running.check_tag(out.new_sender, "alice@example.com")
            assert [mod.name for mod in out.mods] == ["chgfrom", "insheader"]
            assert out.final_rcpts == ["far@other.test"]


def test_many_messages_of_all_kinds_in_one_session(running):
    tagged = running.tagged("alice@example.com")
    with session(running) as s:
        for _ in range(50):
            assert s.message("<>", ["<alice@example.com>"]).verdict == "reject"
            assert s.message("<>", [f"<{tagged}>"]).final_rcpts == ["alice@example.com"]
            assert s.message("<x@y.test>", ["<alice@example.com>"]).mods == []
            assert s.message("<x@y.test>", ["<prvs=0000bad000=u@example.com>"]).code == 550


def test_authentication_belongs_to_the_message_that_brings_it(running):
    with session(running) as s:
        s.auth = "alice"
        assert s.message("<alice@example.com>", ["<far@other.test>"]).new_sender
        s.auth = None
        assert s.message("<alice@example.com>", ["<far@other.test>"]).mods == []


@pytest.mark.parametrize("client, local", [
    (("localhost", "127.0.0.1", 0), True),
    (("localhost", "::1", 0), True),
    (("localhost", None, 0), True),
    (("localhost", "127.0.0.1", 4711), False),
    (("mx.other.test", "192.0.2.9", 0), False),
    (("mx.other.test", None, 0), False),
    (("localhost", "192.0.2.9", 0), False),
], ids=str)
def test_what_is_a_local_process(running, client, local):
    with session(running, client=client) as s:
        out = s.message("alice@example.com", ["far@other.test"])
        assert bool(out.new_sender) == local
        assert (s.message("", ["alice@example.com"]).verdict == "accept") == local


# -- time and keys ----------------------------------------------------------------------------

def test_one_connection_across_rotation_and_midnight(batvd):
    """Keys and day belong to the message, not to the connection."""
    instance = batvd({"verify": {"action": "reject"}}, fake_time=True, monotonic=True)
    midnight = (instance.today() + 1) * 86400
    instance.set_clock(midnight - 30)
    instance.start()
    with session(instance, **INSIDE) as inside, session(instance) as outside:
        def round_trip():
            tagged = inside.message("<alice@example.com>", ["<far@other.test>"]).new_sender
            key = instance.check_tag(tagged, "alice@example.com")
            back = outside.message("<>", [f"<{tagged}>"])
            assert (back.verdict, back.final_rcpts) == ("accept", ["alice@example.com"])
            return tagged, key

        evening, first_key = round_trip()
        instance.ctl("key", "rotate", rc=0)
        instance.wait_text(f"keyring generation .* key {first_key + 1} signs")
        rotated, second_key = round_trip()
        assert second_key == first_key + 1
        instance.set_clock(midnight + 30)
        morning, third_key = round_trip()
        assert third_key == second_key
        assert int(morning[6:9]) == (int(evening[6:9]) + 1) % 1000
        for old in (evening, rotated):
            back = outside.message("<>", [f"<{old}>"])
            assert (back.verdict, back.final_rcpts) == ("accept", ["alice@example.com"])


def test_a_tag_by_a_key_made_a_moment_ago(running):
    """The daemon looks at the keyring every half second, and again before it refuses."""
    for _ in range(5):
        running.ctl("key", "rotate", rc=0)
        tagged = running.ctl("sign", "alice@example.com", rc=0).out.strip()
        with session(running) as s:
            assert s.message("<>", [f"<{tagged}>"]).verdict == "accept"
    running.forget_secrets()


# -- absurd things ----------------------------------------------------------------------------

ODD = ["<" + "a" * 5000 + "@example.com>", "<@>", "<a@>", "<@example.com>", '<"@example.com>',
       '<"unended@example.com>', "<a@b@example.com>", "<\xff\xfe@example.com>", "<a b@example.com>",
       "<@relay.test:alice@example.com>", "<@relay.test>", "alice@example.com", "<alice>", "<<>>",
       "<prvs=@example.com>", "<prvs=0785abcdef=@example.com>", "<+prvs=0785abcdef@example.com>",
       '<"prvs=0785abcdef=a\\"b"@example.com>', "<a@example.com.>", "<a@[192.0.2.1]>", "%s%n<x>",
       "<a@" + "x." * 2000 + "example.com>", "<a\r\nb@example.com>", "<\x01\x02@example.com>"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:30])
def test_odd_addresses(running, odd):
    raw = odd.encode("latin-1")
    with session(running) as s:
        assert s.message(raw, ["<alice@example.com>"]).verdict in ("accept", "reject")
        ordinary = s.message("<x@other.test>", [raw])
        assert ordinary.verdict == "accept" or ordinary.text.startswith("550 5.1.1")
        s.message("<>", [raw])
        assert s.message("<>", ["<alice@example.com>"]).verdict == "reject"
    with session(running, **INSIDE) as s:
        assert s.message(raw, ["<far@other.test>"]).verdict == "accept"


def test_a_line_much_longer_than_usual_is_logged_whole(running):
    since = len(running.log_text())
    with session(running) as s:
        s.message("<>", [b"<" + b"\xff" * 250 + b"@example.com>"])
    line = running.log_text()[since:].splitlines()[-1]
    assert line.count("\\xFF") == 250 and "@example.com" in line
    assert re.search(r" ring=\d+$", line)


def test_a_queue_id_makes_no_line_of_its_own(running):
    since = running.mark()
    with session(running, queue_id="4XyZ\nNOQUEUE: verify forged=yes") as s:
        s.message("<>", ["<alice@example.com>"])
    lines = running.log_text()[since:].splitlines()
    assert lines and all(line.startswith('"4XyZ\\x0ANOQUEUE: verify forged=yes": ') for line in lines)


def test_a_percent_sign_in_a_reply(running):
    with session(running) as s:
        out = s.message("<x@other.test>", ["<prvs=0000bad000=100%s@example.com>"])
        assert "100%%s@example.com" in out.text or "100%s@example.com" in out.text


def test_steps_in_no_order(running):
    """libmilter hangs up or ignores; the daemon lives."""
    letters = "CHMRTLNBEAUDQKO"
    chance = random.Random(1)
    for _ in range(300):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(0.05)
            sock.connect(str(running.run / "milter.sock"))
            try:
                for _ in range(chance.randrange(1, 8)):
                    data = chance.randbytes(chance.randrange(0, 40))
                    letter = chance.choice(letters).encode()
                    sock.sendall((len(data) + 1).to_bytes(4, "big") + letter + data)
            except OSError:
                pass
    assert running.running
    assert sign_one(running).new_sender


def test_events_without_their_beginning(running):
    with session(running) as s:
        for letter in (b"R", b"T", b"N", b"E"):     # libmilter ignores them
            s.send_packet(letter, b"<alice@example.com>\0" if letter == b"R" else b"")
        assert s.message("<>", ["<alice@example.com>"]).verdict == "reject"


def test_a_hundred_connections_at_once(running):
    tagged = running.tagged("alice@example.com")

    def work(_):
        with session(running) as outside, session(running, **INSIDE) as inside:
            for _ in range(3):
                assert inside.message("<alice@example.com>", ["<f@other.test>"]).new_sender
                assert outside.message("<>", [f"<{tagged}>"]).verdict == "accept"
                assert outside.message("<>", ["<alice@example.com>"]).verdict == "reject"
        return True
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert all(pool.map(work, range(50)))


def test_sessions_dropped_at_every_stage(running):
    for stage in range(6):
        for _ in range(20):
            s = session(running)
            s.mail("<alice@example.com>")
            if stage > 0:
                s.rcpt("<alice@example.com>")
            if stage > 1:
                s.data()
            if stage > 2:
                s.header("a", "b")
            s.sock.close()
            s.sock = None
    assert sign_one(running).new_sender


def test_signing_over_tcp_does_not_wait_for_a_delayed_ack(batvd):
    """libmilter sends the change and the verdict in two writes; without TCP_NODELAY each signed
    message takes 40 ms and more."""
    instance = batvd(listen="inet").start()
    times = []
    with session(instance, **INSIDE) as s:
        for _ in range(50):
            begin = time.monotonic()
            assert s.message("<alice@example.com>", ["<far@other.test>"]).new_sender
            times.append(time.monotonic() - begin)
    assert sorted(times)[25] < 0.02 * util.PATIENCE


def test_reload_and_rotation_under_traffic(batvd):
    """Settings and keys change all the time; every message is judged by one whole set of them."""
    instance = batvd({"verify": {"action": "reject"}, "keys": {"rotate_days": 0}}).start()
    deadline = time.monotonic() + 6

    def work(_):
        count = 0
        while time.monotonic() < deadline:
            with session(instance, **INSIDE) as inside, session(instance) as outside:
                tagged = inside.message("<alice@example.com>", ["<f@other.test>"]).new_sender
                assert outside.message("<>", [f"<{tagged}>"]).verdict == "accept"
                assert outside.message("<>", ["<alice@example.com>"]).verdict in (
                    "reject", "tempfail")
                count += 1
        return count
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        running_work = [pool.submit(work, n) for n in range(8)]
        for turn in range(8):
            instance.reload({"verify": {"action": "reject" if turn % 2 else "tempfail"},
                             "keys": {"rotate_days": 0}})
            instance.ctl("key", "rotate", rc=0)
            time.sleep(0.3)
        assert sum(done.result() for done in running_work) > 50
