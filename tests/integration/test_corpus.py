"""Real bounces, from a folder that the variable CORPUS names: `truth.jsonl` there says of each file
which Message-IDs its original had. What was sent is proven by the journal, and nothing else is."""

import json
import os
import pathlib
import re

import pytest

from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

CORPUS = os.environ.get("CORPUS", "")
INSIDE = ("inside.example.com", "127.0.0.2", 4711)
ALICE = "alice@example.com"
BOB = "bob@example.com"
ENOUGH = 0.99
# So many recipients that no Message-ID is used up, though some stand in many of the files.
MANY = [f"<far{n}@other.test>" for n in range(200)]

pytestmark = pytest.mark.skipif(not CORPUS, reason="CORPUS names no folder of bounces")


def truth():
    with open(pathlib.Path(CORPUS, "truth.jsonl"), encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def original_ids(entry):
    """Some are noted as they stand in the file, with what is no part of a Message-ID."""
    return entry["original_message_ids"] + entry["nested_message_ids"]


def parts_of(octets):
    """A message as an MTA hands it over, whatever ends its lines."""
    lines = re.split(rb"\r\n|\n|\r", octets)
    headers = []
    while lines and lines[0]:
        line = lines.pop(0).decode("latin-1")
        name, colon, value = line.partition(":")
        if line[0] in " \t" and headers:
            headers[-1] = (headers[-1][0], headers[-1][1] + "\n" + line)
        elif colon and re.fullmatch(r"[!-9;-~]+", name):
            headers.append((name, value.lstrip(" ")))
        elif not headers:
            continue                        # a mailbox's "From "
        else:
            lines.insert(0, line.encode("latin-1"))
            break
    return headers, b"\r\n".join(lines)


def judge(instance, session, entry, rcpt):
    headers, body = parts_of(pathlib.Path(CORPUS, entry["file"]).read_bytes())
    mark = instance.mark()
    out = session.message("<>", [f"<{rcpt}>"], headers=headers, body=body)
    return out.verdict, instance.wait_entry("verify", since=mark)["proof"]


@pytest.fixture(scope="module")
def running():
    with Batvd({"verify": {"action": "reject", "class": {"report": "reject"}}}) as instance:
        yield instance


def send(session, message_id):
    headers = [("From", ALICE), ("Message-ID", f"<{message_id}>")]
    assert session.message(f"<{ALICE}>", MANY, headers=headers).verdict == "accept"


def test_what_was_sent_is_proven(running):
    entries = [entry for entry in truth() if original_ids(entry)]
    proven = []
    with MilterSession(running.milter, client=INSIDE) as inside, \
            MilterSession(running.milter) as outside:
        for message_id in sorted({one for entry in entries for one in original_ids(entry)}):
            send(inside, message_id)
        for entry in entries:
            verdict = judge(running, outside, entry, ALICE)
            assert verdict in (("accept", "journal"), ("reject", "none")), entry["file"]
            if verdict[0] == "accept":
                proven.append(entry["file"])
            # The same for somebody who did not send it.
            assert judge(running, outside, entry, BOB) == ("reject", "none"), entry["file"]
    missed = sorted({entry["file"] for entry in entries} - set(proven))
    assert len(entries) > 100 and len(proven) >= ENOUGH * len(entries), missed


def test_what_names_nothing_is_not_proven(running):
    entries = [entry for entry in truth() if not original_ids(entry)]
    assert entries
    with MilterSession(running.milter) as outside:
        for entry in entries:
            assert judge(running, outside, entry, ALICE) == ("reject", "none"), entry["file"]


