"""Bounces of which not everything is kept: the daemon, explain and inspect read the same of them. A
proof is found behind whatever stands before it; what may stand in what was not read is no ground to
reject, and no way in."""

import pytest

from batvtest import util
from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

ALICE = "alice@example.com"
INSIDE = ("inside.example.com", "127.0.0.2", 4711)
SENT = "20261122101112.4711@mail.example.com"
MIB = 1024 * 1024
TEXT = "Some text of no meaning.\n"
IMAGE = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\n"
PLAIN = [("From", "MAILER-DAEMON@mx.other.test"), ("To", ALICE), ("Message-ID", "<own@mx.test>")]
PARTS = [*PLAIN, ("MIME-Version", "1.0"), ("Content-Type", "multipart/mixed; boundary=b")]
RETURNED = "--b\nContent-Type: message/rfc822\n\n"


def filler(line, octets=MIB + 80 * 1024):
    return line * (octets // len(line))


@pytest.fixture(scope="module")
def running():
    with Batvd({"verify": {"action": "reject"}}) as instance:
        with MilterSession(instance.milter, client=INSIDE) as session:
            fields = [("From", ALICE), ("Message-ID", f"<{SENT}>")]
            assert session.message(f"<{ALICE}>", ["<far@other.test>"], headers=fields)
        util.wait_for(lambda: instance.ctl("journal", "lookup", ALICE, SENT).rc == 0, 10,
                      "the journal's entry")
        yield instance


def judge(instance, fields, body):
    """What all three say: class, proof, action, rule and limits. They have to agree."""
    mark = instance.mark()
    with MilterSession(instance.milter) as session:
        out = session.message("<>", [f"<{ALICE}>"], fields, body.replace("\n", "\r\n").encode())
    logged = instance.wait_entry("verify", since=mark)
    assert out.verdict == logged["action"]
    path = instance.folder / "bounce.eml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in fields) + "\n" + body)
    told = instance.ctl("explain", "--client", "192.0.2.9", "--from", "", "--rcpt", ALICE,
                        "--message", path, json=True)[0]
    for key in ("class", "proof", "action", "rule"):
        assert told[key] == logged[key], key
    seen = instance.ctl("inspect", path, json=True)
    assert seen["class"] == logged["class"]
    assert [one["proof"] for one in seen["proofs"]] == [logged["proof"]] * (out.verdict == "accept")
    lines = instance.ctl("inspect", path).lines
    assert bool(seen.get("limits")) == any(line.startswith("limit ") for line in lines)
    return out, logged, seen.get("limits", [])


def test_a_bounce_that_is_kept_whole(running):
    out, _, limits = judge(running, PLAIN, filler(TEXT, MIB - 100 * 1024))
    assert (out.code, limits) == (550, [])


@pytest.mark.parametrize("fields,body,proof", [
    (PARTS, "--b\n\n" + filler(TEXT) + RETURNED + f"Message-ID: <{SENT}>\n\nHello\n--b--\n",
     "journal"),
    (PARTS, "--b\n\n" + filler(TEXT) + RETURNED + "Subject: x\nReturn-Path: <@TAG@>\n\nHello\n",
     "tag-in-body"),
    (PARTS, "--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n"
     + filler(IMAGE, 5 * MIB) + "--b\nContent-Type: text/rfc822-headers\n\n"
     + f"Subject: x\nReferences: <1@x.test>\nMessage-ID:\n <{SENT}>\n--b--\n", "journal"),
    (PLAIN, filler(TEXT) + "Return-Path: <@TAG@>\nSubject: x\n", "tag-in-body"),
    (PLAIN, filler(TEXT) + f"> Message-ID: <{SENT}>\n" + filler(TEXT), "journal"),
], ids=["header", "tag", "encoded", "text", "quoted"])
def test_a_proof_behind_the_limit(running, fields, body, proof):
    out, logged, limits = judge(running, fields, body.replace("@TAG@", running.tagged(ALICE)))
    assert (out.verdict, logged["proof"], limits) == ("accept", proof, ["body"])


@pytest.mark.parametrize("fields,body", [
    (PLAIN, filler(TEXT)), (PLAIN, "x" * 2 * MIB), (PLAIN, filler("Subject: x\n")),
    (PLAIN, filler("a@example.com\n", 3 * MIB) + f"Message-ID: <{SENT}>\n"),
    (PARTS, "--b\n\n" + filler(TEXT) + RETURNED + "Message-ID: <1@x.test>\n\n"),
    (PARTS, RETURNED + "Subject: x\n\n" + filler(TEXT)),
], ids=["text", "line", "fields", "addresses", "report", "no name"])
def test_padding_is_neither_forged_nor_a_way_in(running, fields, body):
    told = "not read to its end (limit: body)"
    before = running.log_text().count(told)
    out, logged, limits = judge(running, fields, body)
    assert (out.verdict, out.text[:9], logged["proof"]) == ("tempfail", "451 4.7.1", "none")
    assert limits == ["body"]
    util.wait_for(lambda: running.log_text().count(told) == before + 1, 10, "the log's word of it")


def test_a_returned_message_may_be_as_long_as_it_likes(running):
    """Its header tells which it is."""
    body = "--b\n\nreport\n" + RETURNED + "Message-ID: <1@x.test>\n\n" + filler(TEXT, 3 * MIB)
    out, _, limits = judge(running, PARTS, body + "--b--\n")
    assert (out.code, limits) == (550, ["body"])


def nested(count):
    return "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n"
                   for n in range(count))


@pytest.mark.parametrize("fields,body,limit", [
    ([*PLAIN, *(("X-Field", "x"),) * 1000], "x\n", "header"),
    (PARTS, "--b\n" + nested(200), "depth"), (PARTS, "--b\n\nx\n" * 1500, "parts"),
    (PLAIN, "".join(f"Message-ID: <{n}@x.test>\n" for n in range(300)), "ids"),
    (PLAIN, "&#60;&#60;" * 100000, None),
], ids=["header", "depth", "parts", "ids", "steps"])
def test_other_limits_are_told(running, fields, body, limit):
    out, _, limits = judge(running, fields, body)
    assert out.verdict in ("reject", "tempfail")
    assert limit is None or limits == [limit]
