"""Evidence by the milter protocol: MTAs that show less, odd orders, odd content, and more of it than
there is memory for."""

import contextlib
import re
import time

import pytest

from batvtest import answers, evidence, milter, util
from batvtest.daemon import Batvd
from batvtest.milter import MilterSession

ALICE = "alice@example.com"
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
KIB = 1024
LIMITS = {"max_body": 64 * KIB, "max_memory": 1024 * KIB}
CONFIG = {"verify": {"action": "reject"}, "evidence": LIMITS}
ADDED = ("addheader", "insheader")


@pytest.fixture(scope="module")
def running():
    with Batvd(CONFIG) as instance:
        yield instance


def session(instance, **options):
    return MilterSession(instance.milter, **options)


def parts_of(octets):
    """A message as headers and body, as an MTA hands it over."""
    text = octets.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    head, _, body = text.partition("\n\n")
    fields = [field.partition(":") for field in re.split(r"\n(?![ \t])", head)]
    return ([(name, value.lstrip(" ")) for name, _, value in fields],
            body.replace("\n", "\r\n").encode("utf-8", "surrogateescape"))


def submit(instance, message_id=None, **options):
    """A message that goes out: its header fields as they leave, and what was answered."""
    message_id = message_id or f"<{util.unique('out')}@mail.example.com>"
    headers = [("From", ALICE), ("Message-ID", message_id)]
    with session(instance, **{**INSIDE, **options}) as s:
        out = s.message(f"<{ALICE}>", [f"<{answers.FAR}>"], headers, b"x" * 200000)
    assert out.verdict == "accept", out
    return headers + [mod.args[-2:] for mod in out.mods if mod.name in ADDED], out


def bounce_of(headers):
    original = "".join(f"{name}: {value}\n" for name, value in headers)
    return answers.bounce(None, to=ALICE, subject="x", returned=original)


def judge(instance, octets, rcpt=ALICE, **options):
    headers, body = parts_of(octets)
    with session(instance, **options) as s:
        return s.message("<>", [f"<{rcpt}>"], headers, body)


# -- what is asked for ----------------------------------------------------------------------------

def test_a_bounce_is_read_beyond_max_body(running):
    headers, _ = submit(running)
    genuine = bounce_of(headers)
    for octets in (2000, LIMITS["max_body"] + 2000, 50 * LIMITS["max_body"]):
        text = b"y" * 76 + b"\n"
        text *= octets // len(text)
        out = judge(running, genuine.replace(b"The following", text + b"The following"))
        assert out.verdict == "accept", out
        assert all(answer.kind == "continue" for answer in out.body)


def test_twenty_megabytes_of_no_text_are_skipped_early(running):
    """They may hold a proof for all that is known, so nobody calls them forged."""
    with session(running) as s:
        out = s.message("<>", [f"<{ALICE}>"], body=b"z" * (20 * KIB * KIB))
    assert out.verdict == "tempfail" and out.code == 451
    assert out.body[-1].kind == "skip" and len(out.body) <= 3


@pytest.mark.parametrize("steps", [milter.ALL_STEPS & ~milter.SKIP, milter.V2_STEPS],
                         ids=["no skip", "version 2"])
def test_an_mta_that_can_skip_nothing(running, steps):
    headers, out = submit(running, steps=steps)
    assert all(answer.kind == "continue" for answer in out.body)
    assert judge(running, bounce_of(headers), steps=steps).verdict == "accept"
    assert judge(running, bounce_of([("Subject", "x")]), steps=steps).verdict == "reject"


def test_connections_from_before_evidence_was_switched_on(batvd):
    """They do not show their mail: no header, no proof. What would need one is asked for again, which
    comes by a connection of its own."""
    off = {**CONFIG, "evidence": {"enabled": False}}
    instance = batvd(off).start()
    with session(instance) as outside, session(instance, **INSIDE) as inside:
        instance.reload(CONFIG)
        out = inside.message(f"<{ALICE}>", [f"<{answers.FAR}>"])
        assert out.verdict == "accept" and out.new_sender
        out = outside.message("<>", [f"<{ALICE}>"])
        assert out.verdict == "tempfail"
        assert outside.message("<>", [f"<{instance.tagged(ALICE)}>"]).verdict == "accept"
    headers, _ = submit(instance)
    assert judge(instance, bounce_of(headers)).verdict == "accept"
    assert judge(instance, bounce_of([("Subject", "x")])).verdict == "reject"


# -- how long the journal has been kept ------------------------------------------------------------

FOREIGN = bounce_of([("Message-ID", "<x@bot.test>")])
NAMELESS = bounce_of([("Subject", "x")])


def later(instance, days):
    """The same state, with a daemon that starts so many days after the first."""
    instance.kill9()
    instance.travel(days=days)
    instance.start()


def judged_as(instance, octets, action, rule):
    mark = instance.mark()
    out = judge(instance, octets)
    entry = instance.wait_entry("verify", since=mark)
    assert (entry["action"], entry["rule"]) == (action, rule), entry.line
    assert out.verdict == ("reject" if action == "reject" else "accept")


def test_a_site_without_tags_or_patterns_refuses_once_its_journal_is_old_enough(batvd):
    instance = batvd({"verify": {"action": "reject"}, "sign": {"enabled": False}},
                     fake_time=True).start()
    for day, action, rule in ((0, "log", "sign.enabled"), (6, "log", "sign.enabled"),
                              (8, "reject", "verify.action")):
        if day:
            later(instance, day)
        headers, out = submit(instance)
        assert out.new_sender is None
        judged_as(instance, bounce_of(headers), "accept", "evidence.header")
        judged_as(instance, bounce_of(headers[:-1]), "accept", "evidence.journal")
        judged_as(instance, FOREIGN, action, rule)
        judged_as(instance, NAMELESS, "log", "sign.enabled")


LONG = "x" * 50 + "@example.com"


@pytest.mark.parametrize("content, named", [
    ("Message-ID: <4711@foreign.test>", True),
    ("the Message ID is <4711@foreign.test>", True),
    ("Subject: x\nMessage-ID: 5B2F-99\nDate: x", True),
    ("References: <4711@foreign.test>", True),
    ("Message ID: 5B2F-99", False),
    ("the message-id 5B2F-99.4711@foreign.test is unknown", False),
    ("DKIM-Signature: v=1; d=example.com;\n h=from:to:subject:\n message-id:date; bh=x; b=y",
     False),
    ("References: alice@example.com", False),
    ("Final-Recipient: rfc822; <alice@example.com>\nUser unknown: <alice@example.com>", False),
    ("From: alice@example.com\nSubject: x", False),
])
def test_only_the_form_of_a_message_id_names_an_original(batvd, content, named):
    """Without tags a bounce that names others' Message-IDs is rejected, so words about some other
    message must not be taken for its name."""
    instance = batvd({"verify": {"action": "reject"}, "sign": {"enabled": False},
                      "domains": ({"name": "example.com",
                                   "message_id_patterns": ["@mail\\.example\\.com$"]},)}).start()
    octets = answers.bounce(None, to=ALICE, subject="x", returned=content)
    out = judge(instance, octets)
    assert out.verdict == ("reject" if named else "accept"), out
    assert instance.wait_entry("verify")["rule"] == ("verify.action" if named else "sign.enabled")


def bounce_to(instance, octets, rcpt):
    mark = instance.mark()
    out = judge(instance, octets, rcpt)
    entry = instance.wait_entry("verify", since=mark)
    return out.verdict, entry["action"], entry["rule"]


@pytest.mark.parametrize("where", ["eom", "rcpt"])
def test_an_address_that_has_sent_mail_too_long_to_tag(batvd, where):
    """Only one that has: others of that length were never used. What names a message has to prove
    it, and nothing is used up."""
    instance = batvd({"verify": {"action": "reject", "reject_at": where}}, fake_time=True).start()
    other = "y" * 50 + "@example.com"
    for rcpt in (LONG, other):
        assert bounce_to(instance, NAMELESS, rcpt) == ("accept", "log", "untaggable")
    assert bounce_to(instance, NAMELESS, ALICE)[0] == "reject"
    with session(instance, **INSIDE) as s:
        out = s.message(f"<{LONG}>", [f"<{answers.FAR}>"], [("From", ALICE)])
    assert out.verdict == "accept" and out.new_sender is None, out
    assert instance.wait_entry("sign-skip")["reason"] == "too-long"
    for _ in range(30):
        assert bounce_to(instance, NAMELESS, LONG) == ("accept", "accept", "untaggable")
    time.sleep(1.5)     # what is killed has lost less than that
    later(instance, 8)
    assert bounce_to(instance, NAMELESS, LONG) == ("accept", "accept", "untaggable")
    assert bounce_to(instance, NAMELESS, other) == ("reject", "reject", "verify.action")
    assert bounce_to(instance, NAMELESS, ALICE) == ("reject", "reject", "verify.action")
    if where == "eom":
        assert bounce_to(instance, FOREIGN, LONG) == ("reject", "reject", "verify.action")
    later(instance, 40)
    assert bounce_to(instance, NAMELESS, LONG) == ("reject", "reject", "verify.action")


def test_an_address_too_long_to_tag_without_a_journal(batvd):
    """What was sent before the start is not known, so nothing is refused."""
    instance = batvd({"verify": {"action": "reject"}, "journal": {"enabled": False}}).start()
    assert bounce_to(instance, NAMELESS, LONG) == ("accept", "log", "untaggable")
    assert bounce_to(instance, FOREIGN, LONG) == ("accept", "log", "untaggable")
    assert bounce_to(instance, FOREIGN, ALICE) == ("reject", "reject", "verify.action")


def receipt_for(message_id):
    """A read receipt, without the message's header; for no message in particular, too."""
    receipt = answers.receipt_of_exchange(b"Message-ID: <gone@bot.test>\nSubject: x\n\n", to=ALICE,
                                          subject="x")
    if message_id is None:
        lines = receipt.decode().replace("\r\n", "\n").split("\n")
        return "\n".join(line for line in lines if "gone@bot.test" not in line).encode()
    return receipt.replace(b"<gone@bot.test>", message_id.encode())


def test_a_receipt_that_names_somebody_elses_message_id_is_no_exception(batvd):
    """"auto", the default of mdn and calendar: by what the receipt names."""
    instance = batvd({"verify": {"action": "reject"}}, fake_time=True).start()
    headers, _ = submit(instance)
    foreign = receipt_for("<x@bot.test>")
    own = receipt_for(dict(headers)["Message-ID"])
    judged_as(instance, foreign, "log", "verify.class.mdn")
    judged_as(instance, own, "accept", "evidence.journal")
    time.sleep(1.5)     # what is killed has lost less than that
    later(instance, 8)
    judged_as(instance, foreign, "reject", "verify.action")
    judged_as(instance, receipt_for(None), "log", "verify.class.mdn")
    judged_as(instance, own, "accept", "evidence.journal")


def test_auto_waits_for_the_journal_too(batvd):
    """What only the journal could prove: the tags are old enough, it is not."""
    instance = batvd(fake_time=True).start()
    submit(instance)
    keyring = instance.state / "keyring"
    util.wait_for(lambda: "domain example.com" in keyring.read_text("ascii"), 5, "a signed domain")
    instance.tag_comes_back()
    instance.kill9()
    for path in instance.state.glob("journal*"):
        path.unlink()
    instance.travel(days=8)
    instance.start()
    judged_as(instance, NAMELESS, "reject", "verify.action")
    judged_as(instance, FOREIGN, "log", "auto.warm-up")
    headers, _ = submit(instance)
    judged_as(instance, bounce_of(headers[:-1]), "accept", "evidence.journal")
    time.sleep(1.5)     # what is killed has lost less than that
    later(instance, 16)
    judged_as(instance, FOREIGN, "reject", "verify.action")
    judged_as(instance, bounce_of(headers[:-1]), "accept", "evidence.journal")
    later(instance, 50)
    judged_as(instance, bounce_of(headers), "reject", "verify.action")


# -- whether Message-IDs come back -----------------------------------------------------------------

def enforcing(batvd, config=None):
    """`auto` rejects, and the journal is old enough."""
    instance = batvd(config, fake_time=True).start()
    submit(instance)
    instance.tag_comes_back()
    later(instance, 8)
    judged_as(instance, FOREIGN, "reject", "verify.action")
    return instance


def genuine(instance, number, returned):
    """A bounce to the tag of another mailbox for each number; it is let in by its tag, whatever it
    names."""
    mark = instance.mark()
    tagged = instance.tagged(f"user{number}@example.com")
    assert judge(instance, bounce_of(returned), rcpt=tagged).verdict == "accept"
    entry = instance.wait_entry("verify", since=mark)
    assert (entry["result"], entry["rule"]) == ("valid", "tag"), entry.line


def submitted_by(instance, number):
    sender = f"user{number}@example.com"
    headers = [("From", sender), ("Message-ID", f"<{util.unique('own')}@mail.example.com>")]
    with session(instance, **INSIDE) as s:
        assert s.message(f"<{sender}>", [f"<{answers.FAR}>"], headers).verdict == "accept"
    return headers


def shares(instance):
    return [(one["domain"], one["known"], one["named"], one["rewritten"])
            for one in instance.ctl("status", json=True)["returned"]]


def explained(instance, octets):
    message = instance.folder / "bounce.eml"
    message.write_bytes(octets)
    entry, = instance.ctl("explain", "--client", "192.0.2.9", "--from", "", "--rcpt", ALICE,
                          "--message", str(message), json=True)
    return entry["action"], entry["rule"]


def test_auto_logs_bounces_that_name_message_ids_where_those_come_back_changed(batvd):
    instance = enforcing(batvd)
    for number in range(20):
        genuine(instance, number // 2, [("Message-ID", f"<{number}@relay.test>")])
        genuine(instance, 1000 + number, [("Subject", "x")])
    # ten mailboxes: nobody adds to the count by one tag of a mailbox and day
    time.sleep(1.5 * util.PATIENCE)
    judged_as(instance, FOREIGN, "reject", "verify.action")
    for number in range(10, 20):
        genuine(instance, number, [("Message-ID", f"<{number}@relay.test>")])
    util.wait_for(lambda: judge(instance, FOREIGN).verdict == "accept", 10, "bounces let in")
    judged_as(instance, FOREIGN, "log", "auto.ids-rewritten")
    judged_as(instance, NAMELESS, "reject", "verify.action")
    util.wait_for(lambda: shares(instance) == [("example.com", 0, 20, True)], 15, "the share")
    assert "example.com: 0 of 20: somebody replaces" in instance.ctl("status").out
    assert explained(instance, FOREIGN) == ("log", "auto.ids-rewritten")
    assert explained(instance, NAMELESS) == ("reject", "verify.action")
    instance.restart()
    judged_as(instance, FOREIGN, "reject", "verify.action")


def test_auto_rejects_where_message_ids_come_back_as_they_went_out(batvd):
    instance = enforcing(batvd)
    for number in range(20):
        known = number < 18
        genuine(instance, number, submitted_by(instance, number) if known else
                [("Message-ID", f"<{number}@relay.test>")])
    util.wait_for(lambda: shares(instance) == [("example.com", 18, 20, False)], 15, "the share")
    judged_as(instance, FOREIGN, "reject", "verify.action")
    assert "example.com: 18 of 20\n" in instance.ctl("status").out
    assert explained(instance, FOREIGN) == ("reject", "verify.action")


def test_a_sampled_bounce_is_let_in_where_there_is_no_memory_to_read_it(batvd):
    """Another of its network has a quarter of it, which is what a network may have."""
    instance = enforcing(batvd, {"evidence": {"max_body": 200 * KIB, "max_memory": 1024 * KIB}})
    fields, body = parts_of(bounce_of([("Message-ID", "<x@relay.test>")]))
    piece = b"z" * (60 * KIB)
    with session(instance) as first, session(instance) as second:
        first.mail("<>")
        first.rcpt(f"<{ALICE}>")
        assert first.data().passes
        first.eoh()
        assert all(first.body(piece).passes for _ in range(3))
        out = second.message("<>", [f"<{instance.tagged('user1@example.com')}>"], fields,
                             body + 3 * piece)
        assert out.verdict == "accept", out
        assert out.body[-1].kind == "skip"
        first.abort()
    genuine(instance, 2, [("Message-ID", "<x@relay.test>")])
    util.wait_for(lambda: shares(instance) == [("example.com", 0, 1, False)], 15, "the share")


def test_a_young_journal_is_no_sign(batvd):
    instance = batvd(fake_time=True).start()
    submit(instance)
    instance.tag_comes_back()
    for number in range(30):
        genuine(instance, number, [("Message-ID", f"<{number}@relay.test>")])
    with session(instance) as s:
        out = s.message("<>", [f"<{instance.tagged(ALICE)}>"], body=b"z" * (200 * KIB))
    assert out.verdict == "accept" and out.body[0].kind == "skip"
    instance.stop()
    assert "\nreturned " not in (instance.state / "status").read_text("ascii")


# -- one message and the next ---------------------------------------------------------------------

def test_nothing_of_one_bounce_reaches_the_next(running):
    headers, _ = submit(running)
    fields, body = parts_of(bounce_of(headers))
    empty, _ = parts_of(bounce_of([("Subject", "x")]))
    with session(running) as s:
        for stage in range(4):
            s.mail("<>")
            s.rcpt(f"<{ALICE}>")
            s.data()
            for name, value in fields[:stage * 3]:
                s.header(name, value)
            if stage == 3:
                s.eoh()
                s.body(body)
            s.abort()
            assert s.message("<>", [f"<{ALICE}>"], empty).verdict == "reject"
            assert s.message("<>", [f"<{ALICE}>"], fields, body).verdict == "accept"


def test_answers_in_the_same_moment(running):
    """Two connections: an answer comes as soon as the message is accepted."""
    misses = 0
    with session(running, **INSIDE) as out, session(running) as back:
        for _ in range(300):
            message_id = f"<{util.unique('fast')}@mail.example.com>"
            assert out.message(f"<{ALICE}>", [f"<{answers.FAR}>"],
                               [("From", ALICE), ("Message-ID", message_id)]).verdict == "accept"
            reply = back.message("<>", [f"<{ALICE}>"],
                                 [("From", answers.FAR), ("In-Reply-To", message_id)])
            misses += reply.verdict != "accept"
    assert misses == 0


# -- too much -------------------------------------------------------------------------------------

def test_more_bounces_at_once_than_there_is_memory_for(running):
    """None is let in for that; each is refused after reading or comes again. Mail that needs no
    reading goes on, and so does everything once they are through."""
    headers, _ = submit(running)
    genuine_fields, genuine_body = parts_of(bounce_of(headers))
    fields, _ = parts_of(bounce_of([("Subject", "x")]))
    flood = b"w" * (60 * KIB)
    verdicts = []
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(session(running, client=("x.test", f"198.18.{n}.9", 4711)))
                    for n in range(40)]
        for s in sessions:
            s.mail("<>")
            s.rcpt(f"<{ALICE}>")
            assert s.data().passes
            for name, value in fields:
                s.header(name, value)
            s.eoh()
            assert s.body(flood).passes
        with session(running) as late:
            out = late.message("<>", [f"<{ALICE}>"], genuine_fields, genuine_body)
            assert out.verdict in ("tempfail", "accept"), out
            assert late.message("<>", [f"<{running.tagged(ALICE)}>"]).verdict == "accept"
            assert late.message("<joe@other.test>", [f"<{ALICE}>"]).verdict == "accept"
        submit(running)
        for s in sessions:
            answer = s.eom()
            verdicts.append(answer.text[:9])
            s.abort()
    assert set(verdicts) == {"451 4.7.1", "550 5.7.1"}, set(verdicts)
    assert verdicts.count("550 5.7.1") >= 8, verdicts
    assert judge(running, bounce_of(headers)).verdict == "accept"
    assert judge(running, bounce_of([("Subject", "x")])).verdict == "reject"


def test_absurd_headers(running):
    """20,000 of them, some as long as the protocol has them, a thousand copies of our own: the
    first 20 of these go, and no stranger can ask for more."""
    headers, _ = submit(running)
    nonsense = [(f"X-{number}", "a" * 50) for number in range(20000)]
    with session(running) as s:
        begin = time.monotonic()
        assert s.message("<>", [f"<{ALICE}>"], nonsense).verdict == "reject"
        assert time.monotonic() - begin < 5 * util.PATIENCE
        long = [("References", "<a@b> " * 10000)] * 10
        assert s.message("<>", [f"<{ALICE}>"], long).verdict == "reject"
    copies = [(evidence.NAME, evidence.make(b"x", [ALICE], running.today())) for _ in range(1000)]
    assert judge(running, bounce_of(copies[:500])).verdict == "reject"
    assert judge(running, bounce_of(copies)).verdict == "tempfail"     # not all of them are kept
    with session(running, **INSIDE) as s:
        out = s.message(f"<{ALICE}>", [f"<{answers.FAR}>"], copies)
    assert out.verdict == "accept"
    removed = [mod.args[0] for mod in out.mods_named("chgheader")]
    assert removed == sorted(range(1, 21), reverse=True)
    added = [mod.args[-2] for mod in out.mods_named("addheader") + out.mods_named("insheader")]
    assert added == ["Message-ID", evidence.NAME]


@pytest.mark.parametrize("value", [
    "a@b", "<>", "", "\"", "((((((", "Group: a@example.com", "<@relay:alice@example.com>",
    "\xff\xfe <alice@example.com>", "alice@example.com," * 3000, "=?utf-8?b?AAAA?= <x@example.com>",
    "\"\x00\"@example.com", "a" * 60000 + "@example.com", "alice@EXAMPLE.com.", "<<<<>>>>@@@@",
], ids=lambda value: ascii(value)[:20])
def test_odd_fields_of_outgoing_mail(running, value):
    """Whatever stands in the header: the message goes out, with a header of ours for its sender."""
    raw = value.replace("\x00", "").encode("latin-1").decode("utf-8", "surrogateescape")
    headers = [(name, raw) for name in ("From", "Reply-To", "Sender", "Message-ID",
                                        "Disposition-Notification-To", evidence.NAME)]
    with session(running, **INSIDE) as s:
        out = s.message(f"<{ALICE}>", [f"<{answers.FAR}>"], headers)
    assert out.verdict == "accept"
    value = next(mod.args[-1] for mod in out.mods if mod.name in ADDED)
    found = evidence.parse([f"{evidence.NAME}: {line}" if number == 0 else line
                            for number, line in enumerate(value.split("\n"))])
    assert evidence.mac(running.evidence_secret(), found.day, found.nonce, ALICE) in found.macs


BOB = "bob@example.com"
NOT_OURS = bounce_of([("From", ALICE), ("Message-ID", "<none@other.test>")])


def wrong_tags(instance, address, count):
    tagged = instance.tagged(address)
    return [f"{tagged[:9]}{number:06x}={address}" for number in range(count)]


def guess(instance, tags, sender="<>"):
    with session(instance) as s:
        for tag in tags:
            s.mail(sender)
            s.rcpt(f"<{tag}>")
            s.data()
            s.eoh()
            s.eom()


@pytest.mark.parametrize("sender", ("<>", "<x@other.test>"), ids=("bounces", "ordinary mail"))
def test_an_address_under_guessing_needs_a_proof(batvd, sender):
    """A good tag alone is not enough then; nobody else notices, and after an hour it is over."""
    instance = batvd({"verify": {"action": "reject"}}, fake_time=True)
    instance.start()
    alice, bob = instance.tagged(ALICE), instance.tagged(BOB)
    headers, _ = submit(instance)
    guesses = wrong_tags(instance, ALICE, 101)
    guess(instance, [*guesses[:100], *guesses[:100]], sender)
    assert judge(instance, NOT_OURS, alice).verdict == "accept"
    guess(instance, guesses[100:], sender)
    instance.wait_text("more than 100 different wrong tags for <alice@example.com> arrived")
    for rcpt in (alice, guesses[0], ALICE):
        mark = instance.mark()
        out = judge(instance, NOT_OURS, rcpt)
        assert (out.verdict, out.code) == ("tempfail", 451), rcpt
        assert instance.wait_log("verify", since=mark)[0]["rule"] == "guessing"
    assert judge(instance, bounce_of(headers), alice).verdict == "accept"
    assert judge(instance, bounce_of(headers)).verdict == "accept"
    assert judge(instance, NOT_OURS, bob).verdict == "accept"
    assert judge(instance, NOT_OURS, BOB).code == 550
    assert judge(instance, NOT_OURS, "postmaster@example.com").verdict == "accept"
    instance.ctl("pause", rc=0)
    util.wait_for(lambda: judge(instance, NOT_OURS, alice).verdict == "accept", 20, "the pause")
    instance.ctl("resume", rc=0)
    util.wait_for(lambda: [one["address"] for one in instance.ctl("status", json=True)["guessed"]]
                  == [ALICE], 25, "it in the status")
    assert ALICE in instance.ctl("status", rc=0).out
    instance.travel(3700)
    mark = instance.mark()
    assert judge(instance, NOT_OURS, alice).verdict == "accept"
    assert instance.wait_log("verify", since=mark)[0]["rule"] == "tag"


def test_one_wrong_tag_a_thousand_times_is_no_guessing(running):
    guess(running, wrong_tags(running, BOB, 1) * 1000)
    assert judge(running, NOT_OURS, running.tagged(BOB)).verdict == "accept"


def test_at_rcpt_too_an_address_under_guessing_takes_no_tag_alone(batvd):
    instance = batvd({"verify": {"action": "reject", "reject_at": "rcpt"}}).start()
    with session(instance) as s:
        s.mail("<>")
        for tag in wrong_tags(instance, ALICE, 101):
            assert s.rcpt(f"<{tag}>").kind != "continue"
        s.abort()
        s.mail("<>")
        assert s.rcpt(f"<{instance.tagged(ALICE)}>").code == 451
        assert s.rcpt(f"<{instance.tagged(BOB)}>").kind == "continue"
