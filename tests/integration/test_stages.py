"""MTAs that know milters in part: a stage that was agreed upon and does not come, a macro without
which an address cannot be read, more connections than limits.connections allows. All of it is
deferred and named in the log; nothing is judged that was not seen."""

import contextlib

import pytest

from batvtest import milter, util
from batvtest.daemon import Batvd
from batvtest.milter import SENDMAIL, MilterSession
from batvtest.site import Site

ALICE = "alice@example.com"
FAR = "far@other.test"
REJECT = {"verify": {"action": "reject"}}
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
OUTSIDE = {"client": ("mx.other.test", "192.0.2.9", 4711)}


@pytest.fixture(name="running", scope="module")
def running_():

    with Batvd(REJECT) as instance:
        instance.wait_text("started")
        yield instance


class Partial(MilterSession):
    """An MTA that never sends some of what it negotiates."""

    left_out = ()

    def step(self, name, data=b"", macros=None):
        return milter.Answer("none") if name in self.left_out else super().step(name, data, macros)


def partial(instance, *left_out, **options):
    kind = type("Partial", (Partial,), {"left_out": left_out})
    return kind(instance.milter, **options)


def line_of(instance, mark, pattern):
    instance.wait_text(pattern, since=mark)
    lines = [line for line in instance.log_text()[mark:].splitlines()
             if "deferred" in line and not line.startswith("the MTA did not send")]
    assert len(lines) == 1, lines
    return lines[0]


# -- stages ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("sender, rcpt, where", [
    (f"<{ALICE}>", f"<{FAR}>", INSIDE), ("<>", f"<{ALICE}>", OUTSIDE),
    ("<joe@other.test>", f"<{ALICE}>", OUTSIDE)], ids=["ours", "bounce", "ordinary"])
def test_no_data(running, sender, rcpt, where):
    mark = running.mark()
    with partial(running, "data", **where) as s:
        out = s.message(sender, [rcpt])
        assert (out.verdict, out.stage, out.mods) == ("tempfail", "eom", [])
        assert out.text.startswith("451 4.3.5 ")
        line = line_of(running, mark, "deferred")
    assert line.startswith("4XyZ: error: the MTA agreed to send the DATA of a message in the session of ")
    assert running.log(since=mark) == []


@pytest.mark.parametrize("steps", [milter.ALL_STEPS, milter.ALL_STEPS & ~milter.NR_EOH],
                         ids=["all steps", "no NR_EOH"])
@pytest.mark.parametrize("body", [b"Hello.\r\n", b""], ids=["body", "no body"])
@pytest.mark.parametrize("sender, rcpt, where", [
    (f"<{ALICE}>", f"<{FAR}>", INSIDE), ("<>", f"<{ALICE}>", OUTSIDE)], ids=["ours", "bounce"])
def test_no_header(running, sender, rcpt, where, body, steps):
    mark = running.mark()
    with partial(running, "header", "eoh", steps=steps, **where) as s:
        out = s.message(sender, [rcpt], body=body)
        assert (out.verdict, out.mods) == ("tempfail", [])
        assert out.text.startswith("451 4.3.5 ")
        assert "agreed to send the header of" in line_of(running, mark, "deferred")
        # the next message of the session by itself
        s.left_out = ()
        assert s.message(sender, [rcpt]).verdict == ("accept" if where is INSIDE else "reject")


def test_what_ends_at_data_needs_no_header(running):
    with partial(running, "header", "eoh", "body", "eom") as s:
        assert s.message("<joe@other.test>", [f"<{ALICE}>"]).data.kind == "accept"


def test_a_header_without_its_end(running):
    """libmilter would drop what comes then, and let the MTA wait."""
    mark = running.mark()
    with partial(running, "eoh", **INSIDE) as s:
        with pytest.raises((EOFError, ConnectionError)):
            s.message(f"<{ALICE}>", [f"<{FAR}>"])
    running.wait_text("agreed to send the end of a message's header", since=mark)
    with MilterSession(running.milter, **INSIDE) as s:
        assert s.message(f"<{ALICE}>", [f"<{FAR}>"]).new_sender


@pytest.mark.parametrize("left_out", [("header",), ("body",)], ids=str)
def test_what_a_message_may_be_without(running, left_out):
    """No field, or no body."""
    with partial(running, *left_out, **INSIDE) as s:
        assert s.message(f"<{ALICE}>", [f"<{FAR}>"]).new_sender


def test_an_mta_that_does_not_know_data(running):
    """It has not agreed to it, and its bounces are read all the same."""
    with partial(running, "data", steps=milter.V2_STEPS, version=2,
                 actions=milter.ALL_ACTIONS, **INSIDE) as s:
        out = s.message(f"<{ALICE}>", [f"<{FAR}>"])
        assert out.verdict == "accept" and out.new_sender
        evidence = [mod for mod in out.mods if mod.args[-2:-1] == ("X-Batv-Evidence",)]
    [field] = evidence
    body = ("This message was not delivered.\r\n\r\nReceived: from x\r\n"
            f"X-Batv-Evidence: {field.args[-1]}\r\nMessage-ID: <1@example.com>\r\n"
            f"From: {ALICE}\r\n")
    with partial(running, "data", steps=milter.V2_STEPS, version=2) as s:
        assert s.message("<>", [f"<{ALICE}>"], body=body).verdict == "accept"
        assert s.message("<>", [f"<{ALICE}>"]).verdict == "reject"


# -- macros ---------------------------------------------------------------------------------------

ODD = ["<alice(comment)@example.com>", "<al\\ice@example.com>", "<alice%example.com@relay.test>",
       "<@relay.test:alice@example.com>", "<alice>", "alice @example.com", "<\"a\\lice\"@example.com>"]
PLAIN = [f"<{ALICE}>", ALICE, "<ALICE@Example.COM>", "<\"a b\"@example.com>",
         "<alice+ext@example.com>"]
NO_RCPT = {"rcpt": {"{rcpt_addr}": None}}
NO_MAIL = {"mail": {"{mail_addr}": None}}


@pytest.mark.parametrize("rcpt", ODD)
def test_a_recipient_that_cannot_be_read(running, rcpt):
    """It is deferred, and the others of its message are not."""
    mark = running.mark()
    with MilterSession(running.milter, macros=NO_RCPT) as s:
        s.mail("<joe@other.test>")
        answer = s.rcpt(rcpt)
        assert (answer.kind, answer.text[:10]) == ("tempfail", "451 4.3.5 ")
        assert s.rcpt("<bob@example.com>").kind == "continue"
        line = line_of(running, mark, "deferred")
        assert "did not send {rcpt_addr}" in line and line.startswith("NOQUEUE: deferred rcpt=")
        assert s.data().kind == "accept"
    with MilterSession(running.milter) as s:    # with the macro it can be
        s.mail("<joe@other.test>")
        assert s.rcpt(rcpt).kind == "continue"


@pytest.mark.parametrize("rcpt", PLAIN)
def test_plain_recipients_go_on(running, rcpt):
    mark = running.mark()
    with MilterSession(running.milter, macros={**NO_RCPT, **NO_MAIL}) as s:
        assert s.message("<joe@other.test>", [rcpt]).verdict == "accept"
        assert s.message("<>", [rcpt]).verdict == "reject"
    assert "deferred" not in running.log_text()[mark:]


@pytest.mark.parametrize("sender", [odd.replace("example.com", "other.test") for odd in ODD]
                         + [odd for odd in ODD if odd != "<alice>"])
def test_a_sender_that_cannot_be_read(running, sender):
    """None of its recipients can be judged; the next message is another."""
    mark = running.mark()
    with MilterSession(running.milter, macros=NO_MAIL, **INSIDE) as s:
        out = s.message(sender, [f"<{FAR}>"])
        assert (out.verdict, out.stage, out.text[:10]) == ("tempfail", "rcpt", "451 4.3.5 ")
        assert "did not send {mail_addr}" in line_of(running, mark, "deferred")
        assert s.message(f"<{ALICE}>", [f"<{FAR}>"]).new_sender
    with MilterSession(running.milter, **INSIDE) as s:
        assert s.message(sender, [f"<{FAR}>"]).verdict == "accept"


def test_one_line_says_what_the_mta_leaves_out(batvd):
    instance = batvd().start()
    for _ in range(3):
        with MilterSession(instance.milter, macros=NO_RCPT) as s:
            s.message("<joe@other.test>", [f"<{ALICE}>"])
    [line] = [line for line in instance.log_text().splitlines() if "did not send" in line]
    assert "batvd defers recipients that are not a plain local@domain" in line


def test_local_processes_go_on(running):
    """Postfix resolves their recipients later, and nobody would try again."""
    with MilterSession(running.milter, **SENDMAIL) as s:
        s.macros["rcpt"]["{rcpt_addr}"] = s.macros["mail"]["{mail_addr}"] = None
        assert s.message("alice@example.com", ["root", "(x)far@other.test"]).new_sender


# -- connections ----------------------------------------------------------------------------------

def open_sessions(instance, count, stack):
    return [stack.enter_context(MilterSession(instance.milter, **INSIDE)) for _ in range(count)]


def signs(session):
    return bool(session.message(f"<{ALICE}>", [f"<{FAR}>"]).new_sender)


@pytest.mark.parametrize("steps", [milter.ALL_STEPS, milter.ALL_STEPS & ~milter.NR_CONN],
                         ids=["all steps", "no NR_CONN"])
def test_connections_beyond_the_limit(batvd, steps):
    instance = batvd({"limits": {"connections": 3}}).start()
    instance.wait_text("started")
    with contextlib.ExitStack() as stack:
        sessions = open_sessions(instance, 3, stack)
        for _ in range(5):
            with MilterSession(instance.milter, steps=steps, **INSIDE) as s:
                assert s.greeting.kind == "tempfail"
                assert s.greeting.text == \
                    "451 4.3.2 too many connections to the mail filter, try again later"
                # an MTA that goes on all the same
                assert s.message(f"<{ALICE}>", [f"<{FAR}>"]).verdict == "tempfail"
        assert all(signs(session) for session in sessions)
        assert instance.ctl("health").rc == 0    # it serves
        sessions[0].close()
        util.wait_for(lambda: fits(instance), 20, "room for another session")
    lines = [line for line in instance.log_text().splitlines() if "limits.connections" in line]
    assert len(lines) == 1 and lines[0].startswith("the limit of 3 connections")


def fits(instance):
    with MilterSession(instance.milter, **INSIDE) as s:
        return s.greeting.passes and signs(s)


def test_without_a_limit(batvd):
    instance = batvd().start()
    with contextlib.ExitStack() as stack:
        assert all(signs(session) for session in open_sessions(instance, 50, stack))


def test_a_reload_changes_the_limit(batvd):
    instance = batvd({"limits": {"connections": 1}}).start()
    with contextlib.ExitStack() as stack:
        open_sessions(instance, 1, stack)
        assert not fits(instance)
        instance.reload({"limits": {"connections": 2}})
        util.wait_for(lambda: fits(instance), 20, "room for another session")
        instance.reload({"limits": {"connections": 1}})
        assert not fits(instance)


def test_postfix_is_told_to_try_again():
    """It says so to its client, and serves the next session."""
    with Site({"limits": {"connections": 1}}) as site:
        with MilterSession(site.batvd.milter, **INSIDE) as s:
            assert s.greeting.passes
            sent = site.receive("<joe@other.test>", ALICE)
            assert not sent.accepted and sent.code == 451, sent
            assert "too many connections" in sent.text, sent
        util.wait_for(lambda: site.receive("<joe@other.test>", ALICE).accepted, 20,
                      "mail that is accepted")
