"""Two hosts in series, each a real Postfix: the outer one takes tags off and hands mail in to the
inner one. Nothing genuine is rejected by what the manual advises, nor under `auto` without it."""

import contextlib
import shutil
import time

import pytest

from batvtest import answers, util
from batvtest.daemon import DAY
from batvtest.postfix import INSIDE, STRANGER, Postfix
from batvtest.site import Site

ALICE = "alice@example.com"
OUTER = "127.0.0.5"                     # whence the outer host hands in
NOON = int(time.time()) // DAY * DAY + DAY // 2
AUTO = {"verify": {"action": "auto", "forged": "auto"}}
REJECT = {"verify": {"action": "reject", "forged": "reject"}}
# What the manual says of the inner host.
HANDED_IN = {"relays": [OUTER], "exclude": {"networks": [OUTER]}}
UNSIGNED = {"sign": {"enabled": False}}
STRIP = r'/^("?)prvs=[0-9]{4}[0-9A-Fa-f]{6}=(.+@example\.com)$/ $1$2' + "\n"


class Host(Site):
    """A site with further lines in main.cf."""

    lines = ""

    def apply_settings(self):
        super().apply_settings()
        self.postfix.add_main_lines(self.lines)

    def at_day(self, days):
        self.batvd.kill9()
        self.batvd.set_clock(NOON + days * DAY)
        self.batvd.start()


def inward(port):
    return ("myhostname = outer.example.net\n"    # Postfix sends nothing to a host of its own name
            f"relay_domains = example.com\nsmtp_bind_address = {OUTER}\n"
            f"transport_maps = inline:{{ {{ example.com = smtp:[127.0.0.1]:{port} }} }}\n")


class Series:
    """`outer` None: no batvd there, but a map that takes every tag off."""

    def __init__(self, inner, outer=None, **options):
        self.inner = Host(inner, **options)
        self.outer = Host(outer, mailboxes=(), **options) if outer is not None else None
        self.sink = (self.outer or self.inner).sink
        self.postfix = self.outer.postfix if self.outer else Postfix(mailboxes=(),
                                                                     relayhost=self.sink.relayhost)
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.inner)
            lines = inward(self.inner.postfix.port())
            if self.outer:
                self.outer.lines = lines
                stack.enter_context(self.outer)
            else:
                table = self.postfix.write_file("strip.pcre", STRIP)
                self.postfix.add_main_lines(f"{lines}recipient_canonical_classes = envelope_recipient\n"
                                            f"recipient_canonical_maps = pcre:{table}\n")
                stack.enter_context(self.postfix)
            self.inner.postfix.configure(relayhost=f"[127.0.0.1]:{self.postfix.port()}",
                                         smtp_bind_address=INSIDE)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def original(self):
        """A message of alice's as the far end has it."""
        sent = self.inner.submit(ALICE)
        assert sent.accepted, sent
        return self.sink.wait_one(subject=sent.subject)

    def come_back(self, kind):
        """Sends what answers a message of ours to the outer host; (Sent, the inner one's decision)."""
        original = self.original()
        subject = util.unique()
        sender, rcpt, data = kind(original, subject)
        mark = self.inner.batvd.mark()
        sent = self.postfix.send(sender, rcpt, data, subject=subject, xclient=STRANGER)
        return sent, mark

    def assert_home(self, kind, rule=None):
        sent, mark = self.come_back(kind)
        assert sent.accepted, sent
        assert self.inner.postfix.wait_one(ALICE, sent.subject).delivered_to == ALICE
        if rule is not None:
            assert self.inner.batvd.wait_log("verify", since=mark)[0]["rule"] == rule


def bounce(original, subject):
    return "<>", original.mail_from, answers.bounce(original.data, to=ALICE, subject=subject)


def silent_bounce(original, subject):
    """It names nothing: its tag alone can show that it is genuine."""
    return "<>", original.mail_from, answers.bounce(original.data, to=ALICE, subject=subject,
                                                    returned="")


def receipt(original, subject):
    return "<>", ALICE, answers.receipt_of_exchange(original.data, to=ALICE, subject=subject)


def answer(original, _):
    """By somebody who writes to the Return-Path."""
    return "joe@other.test", original.mail_from, None


def plain(_original, _subject):
    return "joe@other.test", ALICE, None


BOUNCES = [bounce, silent_bounce, receipt]
KINDS = [*BOUNCES, answer, plain]


def named(kinds):
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.__name__)


def after_the_wait(series):
    """All that depends on time is over at both; no tag has come back yet."""
    hosts = [host for host in (series.inner, series.outer) if host]
    for host in hosts:
        host.at_day(0)
    series.original()
    util.wait_for(lambda: any("domain example.com " in (host.batvd.state / "keyring").read_text("ascii")
                              for host in hosts), 5, "the first signed message in a ring")
    for host in hosts:
        host.at_day(9)


# -- behind a host that takes tags off ------------------------------------------------------------

@pytest.fixture(scope="module")
def stripped():
    with Series(AUTO, fake_time=True) as series:
        after_the_wait(series)
        yield series


@named(KINDS)
def test_auto_behind_a_host_that_takes_tags_off(stripped, kind):
    stripped.assert_home(kind)


def test_auto_says_why(stripped):
    stripped.assert_home(silent_bounce, "auto.no-tag-seen")


@pytest.fixture(scope="module")
def two_ways():
    """Another host hands in tags as they come, so that the domain rejects."""
    with Series({**AUTO, "relays": [OUTER]}, fake_time=True) as series:
        after_the_wait(series)
        tagged = series.original().mail_from
        assert series.inner.bounce(tagged).accepted
        util.wait_for(lambda: "tag-seen=" in (series.inner.batvd.state / "keyring").read_text("ascii"),
                      5, "the tag in the ring")
        yield series


@named(KINDS)
def test_auto_beside_another_way_in(two_ways, kind):
    sent, entry = two_ways.inner.judged_bounce(ALICE)
    assert (sent.code, entry["action"]) == (550, "reject"), sent
    two_ways.assert_home(kind)


@pytest.fixture(scope="module")
def stripped_as_advised():
    with Series({**REJECT, **HANDED_IN}) as series:
        yield series


@named(KINDS)
def test_as_advised_behind_a_host_that_takes_tags_off(stripped_as_advised, kind):
    rule = f"exclude.networks:{OUTER}" if kind in BOUNCES else None
    stripped_as_advised.assert_home(kind, rule)


def test_what_the_advice_mends(stripped_as_advised):
    """Rejecting by force without it loses what is genuine."""
    stripped_as_advised.inner.use({"relays": [], "exclude": {"networks": []}})
    try:
        _, mark = stripped_as_advised.come_back(silent_bounce)
        entry, = stripped_as_advised.inner.batvd.wait_log("verify", since=mark)
        assert (entry["result"], entry["action"]) == ("missing", "reject")
    finally:
        stripped_as_advised.inner.reset()


# -- two batvd ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def both():
    """Each with keys of its own, and neither knows of the other."""
    with Series(AUTO, AUTO, fake_time=True) as series:
        after_the_wait(series)
        yield series


@named([*BOUNCES, plain])
def test_auto_of_two_in_series(both, kind):
    both.assert_home(kind)


def test_auto_defers_what_answers_the_other_ones_tag(both):
    """The outer host signs nothing, since all comes signed; so it waits for ever."""
    sent, _ = both.come_back(answer)
    assert (sent.stage, sent.code) == ("end", 451), sent


@pytest.fixture(scope="module")
def outer_signs():
    with Series({**REJECT, **HANDED_IN, **UNSIGNED}, REJECT) as series:
        yield series


@named(KINDS)
def test_as_advised_the_outer_one_signs(outer_signs, kind):
    assert outer_signs.outer.batvd.check_tag(outer_signs.original().mail_from, ALICE) >= 0
    outer_signs.assert_home(kind)


@pytest.fixture(scope="module")
def shared_keys():
    with Series({**REJECT, **HANDED_IN}, REJECT) as series:
        series.outer.batvd.kill9()
        target = series.outer.batvd.state / "keyring"
        status = target.stat()
        shutil.copy(series.inner.batvd.state / "keyring", target)
        target.chmod(0o600)
        shutil.chown(target, status.st_uid, status.st_gid)
        series.outer.batvd.forget_secrets()
        series.outer.batvd.start()
        yield series


@named(KINDS)
def test_as_advised_both_have_the_same_keys(shared_keys, kind):
    shared_keys.assert_home(kind)


@pytest.mark.parametrize("which", ["outer_signs", "shared_keys"])
def test_what_is_forged_ends_at_the_outer_host(request, which):
    series = request.getfixturevalue(which)
    tagged = series.original().mail_from
    for sender, rcpt in (("<>", ALICE), ("<>", "prvs=0000aaaaaa=" + ALICE),
                         ("joe@other.test", "prvs=0000aaaaaa=" + ALICE)):
        sent = series.postfix.send(sender, rcpt, xclient=STRANGER)
        assert (sent.stage, sent.code) == ("end", 550), sent
    assert series.postfix.send("<>", tagged, xclient=STRANGER).accepted
