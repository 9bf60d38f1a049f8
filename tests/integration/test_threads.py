"""Everything at once: mail of every kind over many connections while keys and evidence secrets
rotate, configuration and lists change, a pause comes and goes, DNS falls silent, the journal is
asked and swept, and sessions are dropped. No verdict is wrong meanwhile. It is made for the thread
sanitizer, and checks the same without it."""

import collections
import os
import random
import socket
import struct
import threading
import time

import pytest

from batvtest import answers, daemon, tag, util
from batvtest.daemon import Batvd
from batvtest.dns import Resolving, Nsd, Server
from batvtest.milter import MilterSession, default_headers

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("BATV_ROUNDS", "2"))
ALICE = "alice@example.com"
FRIEND = "friend@other.test"
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711),
          "macros": {"rcpt": {"{rcpt_host}": None, "{rcpt_mailer}": "smtp"}}}
PARTNER = {"client": ("mx.partner.test", "203.0.113.5", 4711)}
TEXTS = ("Not sent by us.", "Its sender address was forged.")
PAST_DAYS = 2
KEYS_ROTATED = 7        # besides the first and the one that batvd makes by itself: ten have room
DNS_MS = 20000          # never waited for, however busy the machine is
ZONES = {"test.": """\
listed MX 10 mx.listed
mx.listed A 192.0.2.10
plain MX 10 mx.plain
mx.plain A 198.51.100.10
"""}


class Change:
    """What is changed under the eyes of the messages: a number that is odd meanwhile. Only one
    thread does so."""

    def __init__(self):
        self.number = 0

    def __enter__(self):
        self.number += 1

    def __exit__(self, *_):
        self.number += 1


class Steady:
    """Whether a change has not touched what has been done since."""

    def __init__(self, change):
        self._change = change
        self._number = change.number

    def __bool__(self):
        return self._number % 2 == 0 and self._change.number == self._number


Sent = collections.namedtuple("Sent", "sender tagged message_id evidence steady")


class Load:
    """The threads, what they have sent, and what went wrong in them."""

    def __init__(self, instance):
        self.instance = instance
        self.pause, self.dns, self.secrets = (Change() for _ in range(3))
        self.sent = []
        self.fresh = collections.deque(maxlen=200)      # whose evidence nobody has shown yet
        self.count = collections.Counter()
        self.errors = []
        self.ended = threading.Event()
        self._threads = []

    def start(self, work, number=1):
        for n in range(number):
            thread = threading.Thread(target=self._run, args=(work, random.Random(n)))
            self._threads.append(thread)
            thread.start()

    def _run(self, work, chance):
        try:
            while not self.ended.is_set():
                work(chance)
        except Exception as error:
            self.errors.append(error)
            self.ended.set()

    def stop(self):
        self.ended.set()
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def add(self, kind):
        self.count[kind] += 1       # of one thread only, each kind

    def session(self, **options):
        return MilterSession(self.instance.milter, **options)

    # -- what goes out ----------------------------------------------------------------------------

    def submit(self, chance):
        with self.session(**INSIDE) as session:
            for _ in range(chance.randrange(1, 20)):
                self.sign(session, chance)

    def sign(self, session, chance):
        sender = f"{util.unique('u')}@example.com"
        rcpt = chance.choice(["far@plain.test"] * 3 + ["far@listed.test", f"x@{sender[:14]}.test"])
        known, steady = Steady(self.dns), Steady(self.secrets)
        headers = default_headers(f"<{sender}>", [f"<{rcpt}>"])
        out = session.message(f"<{sender}>", [f"<{rcpt}>"], headers)
        assert out.verdict == "accept", out
        if rcpt == "far@listed.test" and not self.instance.fake_time:
            assert out.new_sender is None or not known, out
        else:
            assert tag.parse(out.new_sender)[3] == sender, out
        evidence = [mod.args[-2:] for mod in out.mods if mod.name in ("addheader", "insheader")]
        assert [name for name, _ in evidence] == ["X-Batv-Evidence"], out
        sent = Sent(sender, out.new_sender, dict(headers)["Message-ID"], evidence, steady)
        self.fresh.append(sent)
        if out.new_sender:
            self.sent.append(sent)

    # -- what comes in ----------------------------------------------------------------------------

    def receive(self, chance):
        kinds = (self.valid, self.valid, self.untagged, self.forged, self.excluded, self.ordinary,
                 self.ordinary_forged, self.header, self.journal)
        with self.session() as stranger, self.session(**PARTNER) as partner:
            for _ in range(chance.randrange(1, 20)):
                kind = chance.choice(kinds)
                kind(partner if kind == self.excluded else stranger, chance)

    def refused(self, out, unpaused):
        if out.verdict != "reject":
            assert not unpaused, out
        else:
            assert out.text in [f"550 5.7.1 {text}" for text in TEXTS], out

    def some(self, chance):
        util.wait_for(lambda: self.sent or self.ended.is_set())
        return chance.choice(self.sent)

    def valid(self, session, chance):
        sent = self.some(chance)
        out = session.message("<>", [f"<{sent.tagged}>"])
        assert out.verdict == "accept", (sent, out)
        assert [mod.name for mod in out.mods] == ["delrcpt", "addrcpt"], out
        assert out.mods[1].args[0].strip("<>") == sent.sender, out

    def forged(self, session, chance):
        unpaused = Steady(self.pause)
        self.refused(session.message("<>", [f"<{tag.spoil(self.some(chance).tagged)}>"]), unpaused)

    def untagged(self, session, chance):
        unpaused = Steady(self.pause)
        self.refused(session.message("<>", [f"<{self.some(chance).sender}>"]), unpaused)

    def excluded(self, session, chance):
        assert session.message("<>", [f"<{ALICE}>"]).verdict == "accept"

    def ordinary(self, session, chance):
        rcpt = chance.choice([ALICE, self.some(chance).tagged])
        assert session.message(f"<{FRIEND}>", [f"<{rcpt}>"]).verdict == "accept"

    def ordinary_forged(self, session, chance):
        unpaused = Steady(self.pause)
        out = session.message(f"<{FRIEND}>", [f"<{tag.spoil(self.some(chance).tagged)}>"])
        if out.verdict != "reject":
            assert out.verdict == "tempfail" and not unpaused, out
        else:
            assert out.text.startswith("550 5.1.1 "), out

    def header(self, session, chance):
        """By what came back of its header; nothing names its Message-ID."""
        self.proof(session, lambda sent: [("Content-Type", "text/rfc822-headers"), *sent.evidence])

    def journal(self, session, chance):
        self.proof(session, lambda sent: [("In-Reply-To", sent.message_id)])

    def proof(self, session, headers):
        try:
            sent = self.fresh.popleft()
        except IndexError:      # others have shown them all
            return
        fields = headers(sent)
        body = "".join(f"{name}: {value}\r\n" for name, value in fields[1:]) + "\r\n"
        out = session.message("<>", [f"<{sent.sender}>"], [("From", answers.FAR), fields[0]], body)
        if out.verdict != "accept":
            assert not sent.steady, (sent, out)

    # -- what is no whole message -----------------------------------------------------------------

    def drop(self, chance):
        session = self.session(**chance.choice([INSIDE, {}]))
        steps = [lambda: session.mail(chance.choice(["<>", f"<{ALICE}>"])),
                 lambda: session.rcpt(f"<{ALICE}>"), session.data,
                 lambda: session.header("Message-ID", "<x@y.test>"), session.eoh,
                 lambda: session.body(b"x" * 4000)]
        for step in steps[:chance.randrange(len(steps) + 1)]:
            if step().kind in ("accept", "reject"):
                break
        if chance.random() < 0.5:
            session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        session.close(polite=False)
        self.add("dropped")

    # -- who asks ---------------------------------------------------------------------------------

    def ask(self, chance):
        sent = self.some(chance)
        for rc, *command in (
                (0, "journal", "stat"), (None, "journal", "lookup", sent.sender, sent.message_id),
                (0, "journal", "expire"), (0, "verify", sent.tagged), (0, "status"),
                (0, "key", "list"),
                (None, "explain", "--client", "192.0.2.9", "--from", "<>", "--rcpt", sent.tagged)):
            self.instance.ctl(*command, rc=rc)
            self.add("asked")


class Master:
    """Changes everything, one after the other."""

    def __init__(self, load, resolving, server, silent):
        self.load = load
        self.instance = load.instance
        self.resolving = resolving
        self.server = server
        self.silent = silent
        self.lists = {name: load.instance.folder / name for name in ("networks", "recipients")}

    def config(self, turn, dns_ms=DNS_MS):
        many = range(turn * 1000, turn * 1000 + 3000)
        self.lists["networks"].write_text(
            "".join(f"10.{n >> 8 & 255}.{n & 255}.0/24\n" for n in many) + "203.0.113.0/24\n" +
            ("198.51.100.0/24\n" if turn % 2 else ""), "ascii")
        self.lists["recipients"].write_text("".join(f"*@l{n}.test\n" for n in many), "ascii")
        return {"verify": {"action": "reject", "forged": "reject", "text": TEXTS[turn % 2]},
                "keys": {"rotate_days": 1}, "journal": {"retain_days": 1},
                "dns": {"timeout_ms": dns_ms},
                "log": {"level": ("info", "debug")[turn % 2]},
                "exclude": {"networks": [f"file:{self.lists['networks']}"]},
                "exclude_sign": {"recipient_networks": ["192.0.2.0/24"],
                                 "recipients": [f"file:{self.lists['recipients']}"]}}

    def bounce(self, rcpt=ALICE, **options):
        with self.load.session(**options) as session:
            return session.message("<>", [f"<{rcpt}>"])

    def reload(self, turn):
        self.instance.reload(self.config(turn), timeout=30)
        out = self.bounce()
        assert out.text == f"550 5.7.1 {TEXTS[turn % 2]}", out
        sometimes = {"client": ("mx.test", "198.51.100.9", 4711)}
        assert self.bounce(**sometimes).verdict == ("accept" if turn % 2 else "reject")
        self.load.add("reloaded")

    def rotate(self):
        """A tag by the newest key is good at once, whether the daemon has seen that key or not."""
        if self.load.count["keys"] < KEYS_ROTATED:
            self.instance.ctl("key", "rotate", rc=0)
            tagged = self.instance.ctl("sign", ALICE, rc=0).out.strip()
            assert self.bounce(tagged).verdict == "accept", tagged
            self.load.add("keys")

    def rotate_evidence(self):
        mark = self.instance.mark()
        with self.load.secrets:
            self.instance.ctl("key", "rotate", "--evidence", rc=0)
            self.instance.wait_text("keyring generation .* in force", since=mark)
        self.load.add("secrets")

    def interrupt(self):
        with self.load.pause:
            mark = self.instance.mark()
            self.instance.ctl("pause", rc=0)
            self.instance.wait_text("^verification is paused", since=mark)
            util.wait_for(lambda: self.bounce().verdict == "accept")    # logged, then in force
            self.instance.ctl("resume", rc=0)
            self.instance.wait_text("^verification is resumed", since=mark)
            util.wait_for(lambda: self.bounce().verdict == "reject")
        self.load.add("paused")

    def goes_to_a_listed_network(self):
        with self.load.session(**INSIDE) as session:
            out = session.message(f"<{ALICE}>", ["<far@listed.test>"])
        self.load.add("own signed" if out.new_sender else "own unsigned")
        return not out.new_sender

    def silence(self, turn):
        with self.load.dns:
            self.instance.reload(self.config(turn, 300), timeout=30)
            self.resolving.use(self.silent)
            util.wait_for(lambda: not self.goes_to_a_listed_network(), 20)
            self.resolving.use(self.server)
            util.wait_for(self.goes_to_a_listed_network, 20)
            self.instance.reload(self.config(turn), timeout=30)
        assert self.goes_to_a_listed_network()
        self.load.add("silent")

    def round(self, turn):
        for change in (lambda: self.reload(2 * turn), self.rotate, self.rotate_evidence,
                       self.interrupt, lambda: self.reload(2 * turn + 1), self.rotate,
                       lambda: self.silence(2 * turn + 1), self.rotate_evidence):
            assert not self.load.errors and self.instance.running
            change()


def begin_in_the_past(instance, load, config):
    """A key that is due to be rotated, good tags, and journal entries that have expired."""
    instance.fake_time = True
    instance.travel(days=-PAST_DAYS)
    instance.configure(daemon.merge(config, {"exclude_sign": {"recipient_networks": []}}))
    instance.start()
    with load.session(**INSIDE) as session:
        for _ in range(200):
            load.sign(session, random)
    instance.stop()
    instance.fake_time = False
    instance.offset = 0
    instance.configure(config)
    load.fresh.clear()
    instance.log_file.write_bytes(b"")


@pytest.mark.seconds(60 + 60 * ROUNDS)
def test_everything_at_once():
    with Nsd(ZONES) as nsd, Server(lambda *_: None) as silent, Resolving(nsd.address) as resolving:
        instance = Batvd(prefix=resolving.prefix)
        load = Load(instance)
        master = Master(load, resolving, nsd.address, silent.address)
        try:
            begin_in_the_past(instance, load, master.config(0))
            instance.start()
            check(instance, load, master)
        finally:
            instance.close()    # which ends with status 0, and nothing that a sanitizer has to say
        assert silent.queries


def check(instance, load, master):
    util.wait_for(lambda: len(instance.ctl("key", "list", json=True)) == 2, 10,
                  "the key that batvd makes by itself")
    began = time.monotonic()
    past = len(load.sent)
    try:
        load.start(load.submit, 3)
        load.start(load.receive, 4)
        load.start(load.drop)
        load.start(load.ask)
        for turn in range(ROUNDS):
            master.round(turn)
    finally:
        load.stop()
    took = time.monotonic() - began
    signed = len(load.sent) - past + load.count["own signed"]
    # A line each, none of them torn.
    util.wait_for(lambda: len(instance.log("sign")) >= signed, 10)
    assert len(instance.log("sign")) == signed
    verified = collections.Counter(entry["rule"] for entry in instance.log("verify"))
    assert {"tag", "exclude.networks:203.0.113.0/24", "ordinary", "tag-unauthentic", "pause",
            "evidence.header", "evidence.journal"} <= set(verified), verified
    former = load.sent[0]
    instance.ctl("journal", "lookup", former.sender, former.message_id, rc=1)
    assert len(instance.ctl("key", "list", json=True)) == load.count["keys"] + 2
    print(f"{took:.1f} s: {signed} signed, {sum(verified.values())} verified {dict(verified)}, "
          f"{dict(load.count)}")
