"""How often a message of ours proves bounces: each bounce once for a mailbox, and only if it is let
in. By the milter protocol."""

import concurrent.futures

import pytest

from batvtest import answers, util
from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

ALICE = "alice@example.com"
DEFERS = "bob@example.net"
INSIDE = ("inside.example.com", "127.0.0.2", 4711)
OUTSIDE = ("mx.other.test", "192.0.2.9", 4711)
ALLOWED = 23
CONFIG = {"verify": {"action": "reject"},
          "domains": [{"name": "example.com"},
                      {"name": "example.net", "verify_action": "tempfail"}]}


@pytest.fixture(scope="module")
def running():
    with Batvd(CONFIG) as instance:
        yield instance


def submit(instance):
    """The Message-ID of a message that has gone out to one recipient."""
    message_id = f"<{util.unique('out')}@mail.example.com>"
    with MilterSession(instance.milter, client=INSIDE) as s:
        out = s.message(f"<{ALICE}>", [f"<{answers.FAR}>"],
                        [("From", ALICE), ("Message-ID", message_id)])
    assert out.verdict == "accept", out
    return message_id


def answer_to(message_id, text="I am away.", own="<same@other.test>", more=()):
    return ([*more, ("From", answers.FAR), ("Message-ID", own), ("In-Reply-To", message_id),
             ("Auto-Submitted", "auto-replied")], text.encode())


def bounce(instance, answer, rcpts=(ALICE,), client=OUTSIDE):
    headers, body = answer
    with MilterSession(instance.milter, client=client) as s:
        return s.message("<>", [f"<{rcpt}>" for rcpt in rcpts], headers, body).verdict


def used_up(instance, message_id):
    """How many more bounces it proves."""
    count = 0
    while bounce(instance, answer_to(message_id, util.unique("other"))) == "accept":
        count += 1
        assert count <= 2 * ALLOWED
    return count


def test_fifty_forged_bounces_with_one_own_message_id(running):
    message_id = submit(running)
    verdicts = [bounce(running, answer_to(message_id, f"Buy number {n}")) for n in range(50)]
    assert verdicts == ["accept"] * ALLOWED + ["reject"] * (50 - ALLOWED)


def test_the_message_id_and_the_header_are_one_proof(running):
    """Whoever shows them apart gains nothing; what the journal command says agrees."""
    message_id = f"<{util.unique('out')}@mail.example.com>"
    with MilterSession(running.milter, client=INSIDE) as s:
        out = s.message(f"<{ALICE}>", [f"<{answers.FAR}>"],
                        [("From", ALICE), ("Message-ID", message_id)])
    field = next(mod.args[-1] for mod in out.mods if answers.HEADER in mod.args)

    def show_header(number):
        return bounce(running, ([("From", "mailer-daemon@other.test"), ("Subject", f"{number}")],
                                f"It failed.\n\n{answers.HEADER}: {field}\n".encode()))

    assert [show_header(n) for n in range(10)] == ["accept"] * 10
    assert used_up(running, message_id) == ALLOWED - 10
    assert show_header(11) == "reject"
    util.wait_for(lambda: f"{ALLOWED} of {ALLOWED} used: exhausted" in
                  running.ctl("journal", "lookup", ALICE, message_id).out)


def test_thirty_tries_of_one_bounce(running):
    """As where a filter behind this one puts it off: by other hosts of one network, too."""
    message_id = submit(running)
    for n in range(30):
        own = answer_to(message_id, more=[("Received", f"from a by b; try {n}"),
                                          ("Return-Path", "<>")])
        assert bounce(running, own, client=("mx.other.test", f"192.0.2.{n}", 4711)) == "accept"
    assert used_up(running, message_id) == ALLOWED - 1
    assert bounce(running, answer_to(message_id)) == "accept"
    assert bounce(running, answer_to(message_id), client=("x.test", "192.0.3.9", 1)) == "reject"


def test_one_transaction_that_names_a_mailbox_thirty_times(running):
    message_id = submit(running)
    names = [ALICE, "Alice@EXAMPLE.com", "alice@example.com"]
    assert bounce(running, answer_to(message_id), [names[n % 3] for n in range(30)]) == "accept"
    assert used_up(running, message_id) == ALLOWED - 1


def test_a_bounce_that_this_filter_defers_counts_nothing(running):
    message_id = submit(running)
    for n in range(2 * ALLOWED):
        assert bounce(running, answer_to(message_id, f"{n}"), (ALICE, DEFERS)) == "tempfail"
    assert used_up(running, message_id) == ALLOWED


def test_many_bounces_at_once(running):
    """None too many; what is put off meanwhile comes again."""
    message_id = submit(running)
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        verdicts = list(threads.map(
            lambda n: bounce(running, answer_to(message_id, f"At once: {n}")), range(80)))
    assert set(verdicts) <= {"accept", "tempfail", "reject"}
    assert verdicts.count("accept") <= ALLOWED
    assert verdicts.count("accept") + used_up(running, message_id) == ALLOWED


def test_the_same_bounce_at_once(running):
    message_id = submit(running)
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        verdicts = list(threads.map(
            lambda _: bounce(running, answer_to(message_id)), range(40)))
    assert verdicts == ["accept"] * 40
    assert used_up(running, message_id) == ALLOWED - 1


def test_what_a_restart_remembers(batvd):
    instance = batvd(CONFIG)
    instance.start()
    message_id = submit(instance)
    assert bounce(instance, answer_to(message_id)) == "accept"
    assert used_up(instance, message_id) == ALLOWED - 1
    instance.restart()
    assert bounce(instance, answer_to(message_id)) == "accept"
    assert bounce(instance, answer_to(message_id, "another")) == "reject"
    stat = instance.ctl("journal", "stat", json=True, rc=0)
    # The message, the note of its uses, and the bounces that it has proved.
    assert stat["entries"] == 2 + ALLOWED
