"""How much longer a message becomes: the numbers that the manual names are bounds, and no one is far
off."""

import re

import pytest

from batvtest import answers, tag, util
from batvtest.milter import MilterSession
from batvtest.site import Site

LIMIT = 20000
CONFIG = {"domains": ("example.com", ".sub.example")}
REPLY_TO = ",\n ".join(f"list{number}@example.com" for number in range(9))


def numbers():
    """Octets in a message, and in Postfix's queue file."""
    text = (util.REPO / "man/batvd.8").read_text(encoding="utf-8")
    found = re.search(r"by at most (\d+) octets: the evidence.*takes at most (\d+) octets:", text,
                      re.DOTALL)
    return int(found[1]), int(found[2])


def longest(length):
    """An address of so many octets in a domain of ours, of which most is domain."""
    below = (("d" * 60 + ".") * 5)[:length - len("a@.sub.example")]
    return f"a@{below.rstrip('.')}.sub.example"


@pytest.fixture(scope="module")
def site():
    bare = "127.0.0.1:{port:bare} inet n - n - - smtpd\n  -o smtpd_milters=\n"
    with Site(CONFIG, main={"message_size_limit": str(LIMIT)}, master_lines=bare) as made:
        yield made


def test_octets_in_a_message(site):
    most = 0
    for sender in ("alice@example.com", longest(238), longest(257)):
        with MilterSession(site.batvd.milter, client=("inside.example.com", "127.0.0.2", 4711)) as session:
            out = session.message(f"<{sender}>", [f"<{answers.FAR}>"],
                                  [("From", sender), ("Reply-To", REPLY_TO), ("Subject", "x")])
        fields = [mod.args[-2:] for mod in out.mods if mod.name in ("addheader", "insheader")]
        assert sorted(name for name, _ in fields) == ["Message-ID", "X-Batv-Evidence"]
        assert out.new_sender is None or tag.parse(out.new_sender)
        grown = sum(len(f"{name}: {value}\n".replace("\n", "\r\n")) for name, value in fields)
        grown += len(out.new_sender.strip("<>")) - len(sender) if out.new_sender else 0
        most = max(most, grown)
    assert numbers()[0] - 100 < most <= numbers()[0], most


def accepted(site, sender, size, port):
    """Whether a message of so many octets is."""
    head = (f"From: <{sender}>\nTo: {answers.FAR}\nSubject: {util.unique('size')}\n"
            f"Reply-To: {REPLY_TO}\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n\n")
    left = size - len(head) - head.count("\n")
    body = ("x" * 70 + "\n") * (left // 72)
    if left % 72 >= 2:
        body += "x" * (left % 72 - 2) + "\n"
    sent = site.submit(sender, data=(head + body).encode(), port=port)
    assert sent.accepted or sent.code == 552, sent
    return sent.accepted


def most_octets(site, sender, port):
    low, high = LIMIT - 3000, LIMIT + 10
    while high - low > 1:
        middle = (low + high) // 2
        if accepted(site, sender, middle, port):
            low = middle
        else:
            high = middle
    return low


def test_octets_in_the_queue_file(site):
    most = 0
    for sender in ("alice@example.com", longest(238), longest(254)):
        most = max(most, most_octets(site, sender, "bare") - most_octets(site, sender, "smtp"))
    assert numbers()[1] - 200 < most <= numbers()[1], most
