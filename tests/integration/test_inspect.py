"""batvctl inspect: what it tells of a file, whom it asks the proofs for, and how it answers."""

import os
import resource
import time

import pytest

from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

ALICE = "alice@example.com"
BOB = "bob@example.com"
INSIDE = ("inside.example.com", "127.0.0.2", 4711)
SENT = "20261122101112.4711@mail.example.com"
OWN = "own-1@mx.other.test"


@pytest.fixture(scope="module")
def running():
    domains = ("example.com", {"name": "plain.example", "sign": False,
                               "message_id_patterns": [r"^[0-9]+\.x@plain\.example$"]})
    with Batvd({"domains": domains}) as instance:
        with MilterSession(instance.milter, client=INSIDE) as session:
            headers = [("From", ALICE), ("Message-ID", f"<{SENT}>")]
            assert session.message(f"<{ALICE}>", ["<far@other.test>"], headers=headers)
        instance.wait_entry("sign")
        deadline = time.time() + 10     # until the journal's file has it
        while instance.ctl("journal", "lookup", ALICE, SENT).rc != 0:
            assert time.time() < deadline
            time.sleep(0.1)
        yield instance


def bounce(body, *fields, to=ALICE):
    lines = ["From: MAILER-DAEMON@mx.other.test", f"To: {to}", f"Message-ID: <{OWN}>", *fields]
    return "\n".join(lines) + "\n\n" + body


def told(instance, text, *, rc):
    return instance.ctl("inspect", "-", stdin=text, json=True, rc=rc)


def proofs(answer):
    return [(proof["rcpt"], proof["proof"]) for proof in answer["proofs"]]


def test_what_a_file_says(running):
    answer = told(running, bounce(f"Message-ID: <{SENT}>\nReferences: <1@a.test> <2@a.test>\n",
                                  "In-Reply-To: <3@a.test>", f"References: <{OWN}>"), rc=0)
    assert answer == {"class": "dsn", "own_message_id": OWN,
                      "message_ids": ["3@a.test", SENT, "1@a.test", "2@a.test"], "tags": [],
                      "proofs": [{"rcpt": ALICE, "proof": "journal"}]}


def test_the_same_for_people(running):
    done = running.ctl("inspect", "-", rc=0, stdin=bounce(f"Message-ID: <{SENT}>\n"))
    assert [line.split()[0] for line in done.lines if line.startswith("class")] == ["class"]
    assert any(SENT in line and "text" in line for line in done.lines), done
    assert any("journal" in line and ALICE in line for line in done.lines), done


def test_nothing_proves_a_stranger(running):
    assert proofs(told(running, bounce(f"Message-ID: <{SENT}>\n", to=BOB), rc=1)) == []
    assert proofs(told(running, bounce("Message-ID: <other@a.test>\n"), rc=1)) == []
    done = running.ctl("inspect", "-", rc=1, stdin=bounce("nothing\n"))
    assert "none" in done.out


def test_the_own_message_id_proves_nothing(running):
    forged = bounce("text\n").replace(OWN, SENT)
    answer = told(running, forged, rc=1)
    assert (answer["own_message_id"], answer["message_ids"]) == (SENT, [])
    answer = told(running, forged + f"Message-ID: <{SENT}>\n", rc=0)
    assert proofs(answer) == [(ALICE, "journal")]


@pytest.mark.parametrize("before", [
    "\n", "   \n", "\r\n\t\r\n", "\ufeff", "\ufeff\n", "From x Sun Nov 22 10:11:12 2026\n",
    "\nFrom x Sun Nov 22 10:11:12 2026\n", "\ufeffFrom x Sun Nov 22 10:11:12 2026\n\n",
    "From x Sun Nov 22 10:11:12 2026\n\ufeff"])
def test_what_mail_programs_save_before_a_message(running, before):
    text = before + bounce(f"Message-ID: <{SENT}>\n")
    answer = told(running, text, rc=0)
    assert (answer["class"], answer["own_message_id"], answer["message_ids"]) == ("dsn", OWN, [SENT])
    assert proofs(answer) == [(ALICE, "journal")]
    done = running.ctl("explain", "--client", "203.0.113.5", "--from", "", "--rcpt", ALICE,
                       "--message", "-", stdin=text, json=True)
    assert (done[0]["class"], done[0]["proof"]) == ("dsn", "journal")


def test_tags_and_what_they_are_worth(running):
    good = running.tagged(ALICE)
    old = running.tagged(ALICE, days=-1)
    forged = good[:9] + "000000" + good[15:]
    foreign = "prvs=0785aabbcc=x@other.test"
    answer = told(running, bounce("".join(f"Return-Path: <{one}>\n"
                                          for one in (good, old, forged, foreign))), rc=0)
    assert [(one["address"], one["result"]) for one in answer["tags"]] == [
        (good, "valid"), (old, "expired"), (forged, "bad-signature"), (foreign, "not-ours")]
    assert {one["where"] for one in answer["tags"]} == {"text"}
    assert proofs(answer) == [(ALICE, "tag-in-body")]
    # For another recipient it proves nothing, nor in the bounce's own header.
    assert proofs(told(running, bounce(f"<{good}>\n", to=BOB), rc=1)) == []
    assert told(running, bounce("x\n", f"Return-Path: <{good}>"), rc=1)["tags"] == []


def test_a_pattern_proves_for_its_domain(running):
    answer = told(running, bounce("Message-ID: <4711.x@plain.example>\n",
                                  to=f"{ALICE}, me@plain.example"), rc=0)
    assert proofs(answer) == [("me@plain.example", "pattern")]


def test_recipients_are_what_the_file_names(running):
    """Wherever the MTA or the sender has named them, a tag taken off."""
    body = f"Message-ID: <{SENT}>\n"
    for field in (f"Delivered-To: {ALICE}", f"X-Original-To: <{running.tagged(ALICE)}>",
                  f"Envelope-To: {ALICE}, {BOB}", f"Cc: Friends: Alice <{ALICE}>, {BOB};"):
        answer = told(running, bounce(body, field, to="x@other.test"), rc=0)
        assert proofs(answer) == [(ALICE, "journal")], field
    assert proofs(told(running, bounce(body, f"Reply-To: {ALICE}", to="x@other.test"), rc=1)) == []


def test_a_file_of_roots(running):
    """Read before batvctl becomes another user."""
    path = running.folder / "bounce.eml"
    path.write_text(bounce(f"Message-ID: <{SENT}>\n"))
    path.chmod(0o600)
    os.chown(path, 0, 0)
    assert proofs(running.ctl("inspect", path, json=True, rc=0)) == [(ALICE, "journal")]


def test_what_a_terminal_must_not_see(running):
    done = running.ctl("inspect", "-", rc=1, stdin=bounce("Message-ID: <1\x1b[31m@a.test>\n"))
    assert "\x1b" not in done.out


def test_what_cannot_be_read(running):
    assert "none.eml" in running.ctl("inspect", "/none.eml", rc=2).err
    assert running.ctl("inspect", rc=2).err
    assert running.ctl("inspect", "a", "b", rc=2).err
    assert running.ctl("inspect", "-", rc=1, stdin="").out


def deep(count):
    return "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"
                   for n in range(count))


@pytest.mark.parametrize("text", [
    bounce("", deep(3000).rstrip("\n")),
    bounce("".join(f"Message-ID: <{n}@a.test>\n" for n in range(100000))),
    bounce("x" * 3 * 2**20), bounce("\0" * 2**20), "\0" * 2**20,
    bounce("!!!!\n" * 2**18, "Content-Transfer-Encoding: base64"),
    "".join(f"X-{n}: y\n" for n in range(20000)) + "\nbody\n",
    bounce("line after line\n" * (20 * 2**20 // 16)),
], ids=["deep", "message-ids", "line", "nuls", "only-nuls", "base64", "headers", "body"])
def test_absurd_files(running, text):
    """An answer, within a second of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert proofs(told(running, text, rc=1)) == []
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < (20 if os.environ.get("BATV_SANITIZER") else 1), used
