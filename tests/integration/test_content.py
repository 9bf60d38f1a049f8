"""What reading bounces may cost: a flood of large ones stays within its memory, is put off at worst,
and lets nothing in; absurd ones get an answer."""

import concurrent.futures
import contextlib
import os

import pytest

from batvtest.milter import MilterSession

ALICE = "<alice@example.com>"
MIB = 1024 * 1024
CHUNK = 65535
SANITIZED = os.environ.get("BATV_SANITIZER", "") != ""


def bounce_headers(boundary="b"):
    return [("From", "MAILER-DAEMON@other.test"), ("To", "alice@example.com"),
            ("Message-ID", "<own@other.test>"), ("MIME-Version", "1.0"),
            ("Content-Type", f'multipart/report; report-type=delivery-status; boundary="{boundary}"')]


def anonymous_memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


def raise_descriptors():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2400:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2400), hard))


def test_a_thousand_bounces_of_a_mebibyte_at_once(batvd):
    """All of them have been sent up to the end before the first one is ended."""
    raise_descriptors()
    count = 100 if SANITIZED else 1000
    instance = batvd({"verify": {"action": "reject"}}).start()
    body = b"--b\r\nContent-Type: message/delivery-status\r\n\r\n" + b"x" * 76 + b"\r\n"
    body += (b"Filling, and some more of it, line after line after line.\r\n" * (MIB // 59))
    chunks = [body[at:at + CHUNK] for at in range(0, MIB, CHUNK)]
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(MilterSession(
            instance.milter, client=("x.test", f"198.18.{n % 256}.{n // 256}", 4711)))
            for n in range(count)]
        before = anonymous_memory(instance.pid)
        most = 0
        collecting = 0
        for s in sessions:
            s.mail("<>")
            s.rcpt(ALICE)
            assert s.data().kind == "continue"
            for name, value in bounce_headers():
                s.header(name, value)
            s.eoh()
            answers = [s.body(chunk).kind for chunk in chunks[:1]]
            while answers[-1] == "continue" and len(answers) < len(chunks):
                answers.append(s.body(chunks[len(answers)]).kind)
            collecting += len(answers) == len(chunks)
            most = max(most, anonymous_memory(instance.pid))
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            ended = [pool.submit(s.eom) for s in sessions]
            while not all(one.done() for one in ended):
                most = max(most, anonymous_memory(instance.pid))
        verdicts = [one.result().kind for one in ended]
        assert set(verdicts) <= {"reject", "tempfail"}
        assert collecting > 10 and (SANITIZED or "tempfail" in verdicts), collecting
        assert SANITIZED or most - before < 64 * MIB, (before, most)
        # Once the flood is over all is as before.
        assert sessions[0].message("<>", [ALICE], headers=bounce_headers(),
                                   body=body[:MIB]).verdict == "reject"


def test_slow_bounces_of_one_sender_are_in_nobody_elses_way(batvd):
    """64 of a MiB, held open; a genuine one is proven meanwhile, small or large."""
    instance = batvd({"verify": {"action": "reject"}}).start()
    with MilterSession(instance.milter, client=("in.example.com", "127.0.0.2", 4711)) as s:
        assert s.message(ALICE, ["<far@other.test>"],
                         [("From", ALICE), ("Message-ID", "<sent@example.com>")]).verdict == "accept"
    filling = b"Filling, and some more of it, line after line after line.\r\n" * (MIB // 59)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(MilterSession(
            instance.milter, client=("flood.test", f"203.0.113.{n}", 4711))) for n in range(64)]
        complete = 0
        for s in held:
            s.mail("<>")
            s.rcpt(ALICE)
            s.data()
            for name, value in bounce_headers():
                s.header(name, value)
            s.eoh()
            kinds = [s.body(filling[at:at + CHUNK]).kind for at in range(0, 15 * CHUNK, CHUNK)]
            complete += set(kinds) == {"continue"}
        assert 8 <= complete <= 16, complete
        for size in (0, 300 * 1024, MIB):
            with MilterSession(instance.milter) as s:
                fields = [*bounce_headers(), ("In-Reply-To", "<sent@example.com>")]
                out = s.message("<>", [ALICE], fields, b"Sorry.\r\n" + filling[:size])
                assert out.verdict == "accept", (size, out)
        verdicts = {s.eom().kind for s in held}
    assert verdicts == {"reject", "tempfail"}


ABSURD = {
    "nested": b"".join(b'--b%d\r\nContent-Type: multipart/mixed; boundary="b%d"\r\n\r\n'
                       % (n, n + 1) for n in range(3000)),
    "message-ids": b"".join(b"Message-ID: <%d@x.test>\r\n" % n for n in range(100000)),
    "one line": b"x" * 3 * MIB,
    "NULs": bytes(MIB),
    "random": bytes(range(256)) * 4096,
    "base64 of nothing": (b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                          + b"====\r\n" * 170000),
    "20 MB": b"Some text of no meaning.\r\n" * (20 * MIB // 26),
}


@pytest.mark.parametrize("what", ABSURD)
def test_absurd_bodies_get_an_answer(batvd, what):
    instance = batvd({"verify": {"action": "reject"}}).start()
    with MilterSession(instance.milter) as s:
        used = cpu_seconds(instance.pid)
        out = s.message("<>", [ALICE], headers=bounce_headers("b0"), body=ABSURD[what])
        used = cpu_seconds(instance.pid) - used
    # What was not kept may hold a proof.
    assert out.verdict == ("tempfail" if len(ABSURD[what]) > MIB else "reject")
    assert instance.wait_entry("verify")["proof"] == "none"
    assert SANITIZED or used < 1


def test_absurdly_many_headers_get_an_answer(batvd):
    instance = batvd({"verify": {"action": "reject"}}).start()
    headers = [("References", f"<{n}@x.test>") for n in range(20000)]
    with MilterSession(instance.milter) as s:
        used = cpu_seconds(instance.pid)
        assert s.message("<>", [ALICE], headers=headers).verdict == "reject"
        assert SANITIZED or cpu_seconds(instance.pid) - used < 1


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
