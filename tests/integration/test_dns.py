"""exclude_sign.recipient_networks: where mail goes is asked of real name servers, and of bad ones."""

import collections
import pathlib
import struct
import threading
import time

import pytest

from batvtest import dns, util
from batvtest.daemon import Batvd
from batvtest.dns import A, AAAA, EMPTY, MX, Nsd, Resolving, Server, Whole, record, wire_name
from batvtest.milter import MilterSession
from batvtest.site import Site

LISTED = ["192.0.2.0/24", "2001:db8:1::/48"]
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
TIMEOUT = 2.0

MANY = "".join(f"many MX {n} mx{n}.many\nmx{n}.many A 198.51.100.{n % 250}\n"
               for n in range(3, 503))
# The most preferred one alone is listed.
FEW = "".join(f"few MX {n} mx{n}.many\n" for n in range(3, 302))
# So many names in one answer that newer versions of libunbound reject it.
VAST = "".join(f"vast MX {n} mx{n}.many\n" for n in range(3, 502))
ZONES = {"test.": f"""\
listed MX 10 mx.listed
mx.listed A 192.0.2.10
plain MX 10 mx.plain
mx.plain A 198.51.100.10
mx.plain AAAA 2001:db8:2::10
six MX 10 mx.six
mx.six AAAA 2001:db8:1::10
backup MX 10 mx.plain
backup MX 20 mx.listed
two MX 10 two.addresses
two.addresses A 198.51.100.11
two.addresses A 192.0.2.11
nomx A 192.0.2.20
null MX 0 .
null A 192.0.2.21
alias CNAME listed
aliased MX 10 cname.aliased
cname.aliased CNAME mx.listed
loop CNAME pool
pool CNAME loop
hop MX 10 mx.plain
hop A 192.0.2.30
dangling MX 10 nothing.dangling
empty TXT "no address"
wild MX 10 \\000\\001.wild
a_b MX 10 mx.listed
{MANY}{FEW}few MX 2 mx.listed
{VAST}vast MX 2 mx.listed
{"".join(f"wide A 10.{n // 250}.1.{n % 250}{chr(10)}" for n in range(500))}\
{"".join(f"wider A 10.{n // 250}.1.{n % 250}{chr(10)}" for n in range(600))}\
{"".join(f"d{n} MX 10 mx.plain{chr(10)}" for n in range(300))}""",
         # Elsewhere than in a zone that libunbound has an opinion on.
         "other.": "hidden MX 10 mx.listed.test.\n",
         "broken.": None}
HOSTS = "127.0.0.1 localhost\n198.51.100.77 hidden.other\n192.0.2.99 hostsfile.test\n"


def config(**more):
    return {"exclude_sign": {"recipient_networks": LISTED, "recipients": ["*@lists.test"]}, **more}


class Place:
    """A name server, and batvd that asks it."""

    def __init__(self, server, batvd=None, **options):
        self.resolving = Resolving(server.address, HOSTS)
        self.batvd = batvd or dns_batvd(self.resolving, **options)

    def __enter__(self):
        self.batvd.start()
        return self

    def __exit__(self, *_):
        self.batvd.terminate()
        self.resolving.close()


def dns_batvd(resolving, **options):
    return Batvd(config(**options), prefix=resolving.prefix)


def send(batvd, *recipients, hop=None, mailer="smtp", **options):
    """The decision on the sender of a submission, and how long the message took."""
    macros = {"rcpt": {"{rcpt_host}": hop, "{rcpt_mailer}": mailer}}
    queue_id = util.unique("Q").replace("-", "")
    begun = time.monotonic()
    with MilterSession(batvd.milter, macros=macros, queue_id=queue_id,
                       **{**INSIDE, **options}) as session:
        out = session.message("<alice@example.com>", [f"<{rcpt}>" for rcpt in recipients])
        took = time.monotonic() - begun
    assert out.verdict == "accept"
    found = batvd.wait_log(id=queue_id, count=1, event="sign") if out.new_sender else \
        batvd.wait_log(id=queue_id, count=1, event="sign-skip")
    return found[0], took


def assert_signed(batvd, *recipients, **options):
    entry, took = send(batvd, *recipients, **options)
    assert entry.event == "sign", entry.line
    return took


def assert_skipped(batvd, *recipients, by="192.0.2.0/24", rcpt=None, **options):
    entry, took = send(batvd, *recipients, **options)
    assert entry.event == "sign-skip", entry.line
    assert entry["reason"] == f"exclude_sign.recipient_networks:{by}"
    assert entry.get("rcpt") == (f"<{rcpt}>" if rcpt else None)
    return took


def threads(batvd):
    """Those that DNS has, by their names."""
    return [task for task in pathlib.Path(f"/proc/{batvd.pid}/task").iterdir()
            if (task / "comm").read_text(encoding="ascii").strip() == "batvd-dns"]


def unanswered(batvd):
    status = batvd.ctl("status", json=True)
    return status["counters"].get("dns-unanswered")


@pytest.fixture(scope="module")
def place():
    with Nsd(ZONES) as nsd, Place(nsd) as made:
        yield made


# -- where mail goes ------------------------------------------------------------------------------

@pytest.mark.parametrize("recipient, entry", [
    ("x@listed.test", LISTED[0]),
    ("x@LISTED.test", LISTED[0]),
    ("x@six.test", LISTED[1]),
    ("x@backup.test", LISTED[0]),
    ("x@two.test", LISTED[0]),
    ("x@nomx.test", LISTED[0]),
    ("x@alias.test", LISTED[0]),
    ("x@aliased.test", LISTED[0]),
    ("x@hidden.other", LISTED[0]),
    ("x@hostsfile.test", LISTED[0]),
    ("x@a_b.test", LISTED[0]),
    ("x@few.test", LISTED[0]),
    ("x@[192.0.2.1]", LISTED[0]),
    ("x@[IPv6:2001:db8:1::7]", LISTED[1]),
    ("x@[192.0.2.1", LISTED[0]),    # MTAs close what is open
])
def test_listed(place, recipient, entry):
    assert_skipped(place.batvd, recipient, by=entry)


@pytest.mark.parametrize("recipient", [
    "x@plain.test", "x@null.test", "x@gone.test", "x@dangling.test", "x@empty.test", "x@wild.test",
    "x@wide.test", "x@[198.51.100.1]", "x@[IPv6:2001:db8:2::7]", "x@mx.plain.test",
    "x@" + "a" * 64 + ".test", "x@..test", "x@[listed.test]", "x@a b.test",
    '"@listed.test"@plain.test',
])
def test_not_listed(place, recipient):
    mark = place.batvd.mark()
    assert_signed(place.batvd, recipient)
    assert "dns:" not in place.batvd.log_text()[mark:]


@pytest.mark.parametrize("hop, mailer, listed", [
    ("[192.0.2.5]:25", "smtp", True),
    ("[192.0.2.5]", "esmtp", True),
    ("[IPv6:2001:db8:1::9]:25", "smtp", True),
    ("[hop.test]:25", "smtp", True),
    ("[hop.test]", "relay", True),
    ("hop.test", "esmtp", False),
    ("hop.test:25", "smtp", False),
    ("listed.test:25", "smtp", True),
    ("listed.test.", "esmtp", True),
    ("plain.test:listed.test", "esmtp", True),
    ("[mx.plain.test]:25, [mx.listed.test]:25", "smtp", True),
    ("plain.test", "smtp", False),
    ("[192.0.2.5]:25", "local", False),
    ("listed.test", "virtual", False),
    ("192.0.2.5", "error", False),
    ("unix:/run/lmtp", "lmtp", False),
    ("5.1.1 no such", "mypipe", False),
])
def test_next_hop(place, hop, mailer, listed):
    if listed:
        by = LISTED[1] if "2001" in hop else LISTED[0]
        assert_skipped(place.batvd, "x@plain.test", hop=hop, mailer=mailer, by=by)
    else:
        assert_signed(place.batvd, "x@plain.test", hop=hop, mailer=mailer)


def test_one_of_many_recipients(place):
    many = [f"x@d{n}.test" for n in range(300)]
    assert assert_signed(place.batvd, *many) < TIMEOUT
    at = len(many) // 2
    assert assert_skipped(place.batvd, *many[:at], "y@listed.test", *many[at:],
                          rcpt="y@listed.test") < TIMEOUT


def test_first_recipient_is_named(place):
    assert_skipped(place.batvd, "x@plain.test", "b@six.test", "a@listed.test", "a@nomx.test",
                   rcpt="b@six.test", by=LISTED[1])


# -- what is not answered -------------------------------------------------------------------------

def explain(place, *recipients):
    return place.batvd.ctl("explain", "--client", "127.0.0.2", "--from", "alice@example.com",
                           "--rcpt", *recipients, rc=0).out


@pytest.mark.parametrize("recipient, why", [
    ("x@broken", "not known: SERVFAIL"),
    ("x@sub.broken", "not known: SERVFAIL"),
    ("x@loop.test", "not known: SERVFAIL"),
    ("x@many.test", "not all: too many mail exchangers"),
    ("x@wider.test", "not all: too many addresses"),
])
def test_unanswered_is_signed(place, recipient, why):
    assert assert_signed(place.batvd, recipient, "x@plain.test") < TIMEOUT
    # What is known is enough to exclude.
    assert_skipped(place.batvd, recipient, "x@listed.test", rcpt="x@listed.test")
    out = explain(place, recipient)
    assert f"({why})\n" in out and "signed as <" in out


def test_an_answer_that_libunbound_may_reject_as_too_large(place):
    """Then nothing is known of the domain, and explain says that."""
    out = explain(place, "x@vast.test")
    entry, took = send(place.batvd, "x@vast.test")
    assert took < TIMEOUT
    if "(not known: SERVFAIL)\n" in out:
        assert entry.event == "sign" and "signed as <" in out
    else:
        assert entry["reason"] == f"exclude_sign.recipient_networks:{LISTED[0]}"


def test_unanswered_is_counted_and_told():
    with Nsd(ZONES) as nsd, Place(nsd) as place:
        assert_signed(place.batvd, "x@plain.test")
        for _ in range(3):    # the log has it once a minute
            assert_signed(place.batvd, "x@broken", "x@plain.test")
        told = [line for line in place.batvd.log_text().splitlines() if line.startswith("dns:")]
        assert told == ["dns: messages signed without knowing whether "
                        "exclude_sign.recipient_networks applies: 1; last unanswered: the MX hosts "
                        "of broken: SERVFAIL"]
        assert_skipped(place.batvd, "x@broken", "x@listed.test", rcpt="x@listed.test")
        util.wait_for(lambda: unanswered(place.batvd) == 3, 15)
        assert "3  dns-unanswered" in place.batvd.ctl("status").out
        place.batvd.stop()


class Silent:
    """An address that nobody answers at."""

    address = dns.free_address()


@pytest.mark.parametrize("timeout_ms", [300, 2000])
def test_dead_server(timeout_ms):
    with Place(Silent, dns={"timeout_ms": timeout_ms}) as place:
        for _ in range(2):
            took = assert_signed(place.batvd, "x@listed.test", "x@plain.test", "x@nomx.test")
            assert took < timeout_ms / 1000 + 0.5 * util.PATIENCE
        assert_skipped(place.batvd, "x@listed.test", "x@[192.0.2.1]", rcpt="x@[192.0.2.1]")
        if timeout_ms == 300:    # the status file may take ten seconds
            util.wait_for(lambda: unanswered(place.batvd) == 2, 15)


def test_hanging_server_comes_back():
    quiet = threading.Event()
    quiet.set()

    def respond(name, kind, _):
        if quiet.is_set():
            return None
        return record(A, bytes([192, 0, 2, 9])) if kind == A else EMPTY

    with Server(respond) as server, Place(server, dns={"timeout_ms": 500}) as place:
        took = assert_signed(place.batvd, "x@a.test", "x@b.test", "x@c.test")
        assert 0.4 < took < 0.5 + 0.5 * util.PATIENCE
        asked = {name for name, kind in server.queries if kind == MX}
        assert asked == {"a.test", "b.test", "c.test"}    # at once, not one after the other
        quiet.clear()
        util.wait_for(lambda: send(place.batvd, "x@d.test")[0].event == "sign-skip", 60)
        place.batvd.stop()


def test_an_empty_answer_without_soa_is_an_answer():
    """As some forwarders give it. libunbound may ask for it twice, and then believes it."""
    with Server(lambda *_: (0x8180, 0, b"")) as server, Place(server) as place:
        assert_signed(place.batvd, "x@other.test")
        asked = collections.Counter(server.queries)
        assert set(asked) == {("other.test", MX), ("other.test", A), ("other.test", AAAA)}
        assert max(asked.values()) <= 2
        assert "dns:" not in place.batvd.log_text()
        place.batvd.stop()


def test_servers_are_those_of_resolv_conf_also_when_it_changes(place):
    with Server(lambda name, kind, tcp: EMPTY) as other:
        assert_skipped(place.batvd, "x@listed.test")
        former = place.resolving.resolv_conf.read_text(encoding="ascii")
        place.resolving.use(other.address)
        try:
            util.wait_for(lambda: send(place.batvd, "x@listed.test")[0].event == "sign", 10)
            assert ("listed.test", MX) in other.queries
        finally:
            place.resolving.resolv_conf.write_text(former, encoding="ascii")
        util.wait_for(lambda: send(place.batvd, "x@listed.test")[0].event == "sign-skip", 10)


def test_unreadable_resolv_conf_and_a_bad_hosts_file():
    """With a fault in it the hosts file counts for nothing."""
    with Nsd(ZONES) as nsd, Resolving(
            nsd.address, "127.1 localhost\n192.0.2.9 " + "a" * 64 + ".test\n") as resolving:
        with Place(nsd, dns_batvd(resolving)) as other:
            assert_skipped(other.batvd, "x@listed.test")
            assert other.batvd.wait_text("^dns: the hosts file has an error and is not used")
            resolving.resolv_conf.write_text("# nothing\n", encoding="ascii")
            resolving.resolv_conf.chmod(0)
            util.wait_for(lambda: send(other.batvd, "x@listed.test")[0].event == "sign", 10)
            assert other.batvd.wait_text("^dns: .*: cannot read resolv.conf$")
            other.batvd.stop()


# -- hostile servers ------------------------------------------------------------------------------

def lying_length(name, kind, _):
    return record(A, bytes([192, 0, 2, 9]), length=400) if kind == A else (0x8180, 9, b"\xc0")


def short_address(name, kind, _):
    return record(A, b"\xc0\0\2") if kind == A else EMPTY


def long_address(name, kind, _):
    return record(AAAA, b"\x20\x01" * 9) if kind == AAAA else EMPTY


def pointer_loop(name, kind, _):
    return record(MX, b"\0\1\xc0\x0c" if kind != MX else b"\0\1\xc0\x26")


def short_mx(name, kind, _):
    return record(MX, b"\0") if kind == MX else EMPTY


def endless_cname(name, kind, _):
    return record(dns.CNAME, wire_name("x" + name[-200:]))


def garbage(name, kind, _):
    return Whole(b"\x81\x80" + bytes(range(256)))


def cut(name, kind, _):
    return Whole(b"\x81")


def truncated_for_ever(name, kind, tcp):
    return None if tcp else (0x8380, 0, b"")


def other_question(name, kind, _):
    return Whole(struct.pack("!5H", 0x8180, 1, 1, 0, 0) + wire_name("z.test") +
                 struct.pack("!HH", A, 1) + record(A, bytes([192, 0, 2, 9])))


def huge(name, kind, tcp):
    if not tcp:
        return (0x8380, 0, b"")
    if kind == A:
        return (0x8180, 4000, b"".join(record(A, struct.pack("!I", 0x0A000000 + n))
                                       for n in range(4000)))
    if kind == MX:
        return (0x8180, 3000, b"".join(
            record(MX, struct.pack("!H", n) + bytes([4]) + f"m{n:03x}"[:4].encode() + b"\xc0\x0c")
            for n in range(3000)))
    return EMPTY


def own_answers_only(name, kind, _):
    """Addresses that nobody asked for."""
    return (0x8180, 2, record(A, bytes([192, 0, 2, 9]), name=wire_name("w.test")) * 2)


HOSTILE = [lying_length, short_address, long_address, pointer_loop, short_mx, endless_cname,
           garbage, cut, truncated_for_ever, other_question, huge, own_answers_only]


@pytest.mark.parametrize("respond", HOSTILE, ids=lambda f: f.__name__)
def test_hostile(respond):
    with Server(respond) as server, Place(server, dns={"timeout_ms": 500}) as place:
        for n in range(4):
            took = assert_signed(place.batvd, *(f"x@h{n}{m}.test" for m in range(20)))
            assert took < 0.5 + 0.5 * util.PATIENCE
        assert server.queries
        # It still does its work.
        assert_skipped(place.batvd, "x@[192.0.2.1]")
        place.batvd.stop()


def rss_kb(batvd):
    text = pathlib.Path(f"/proc/{batvd.pid}/status").read_text(encoding="ascii")
    return int(text.split("RssAnon:")[1].split()[0])


def test_a_silent_server_costs_no_memory_without_bound():
    with Server(lambda *_: None) as server, Place(server, dns={"timeout_ms": 100}) as place:
        assert_signed(place.batvd, *(f"x@warm{n}.test" for n in range(500)))
        before = rss_kb(place.batvd)
        for turn in range(20):
            took = assert_signed(place.batvd, *(f"x@m{turn}.{n}.test" for n in range(500)))
            assert took < 0.1 + util.PATIENCE
        if util.PATIENCE == 1:    # a sanitizer keeps what is freed
            assert rss_kb(place.batvd) - before < 8192
        begun = time.monotonic()
        place.batvd.stop()
        assert time.monotonic() - begun < 8 * util.PATIENCE


# -- what it costs --------------------------------------------------------------------------------

def test_nothing_is_asked_without_need():
    """No list, no submission, another exclusion, an address that says it: no query, no thread."""
    with Server(lambda *_: EMPTY) as server, Place(server) as place:
        batvd = place.batvd
        with MilterSession(batvd.milter) as session:    # from outside
            session.message("<x@other.test>", ["<alice@example.com>"])
            session.message("<>", ["<alice@example.com>"])
            session.message("<alice@example.com>", ["<x@other.test>"])
        assert send(batvd, "x@other.test", "x@lists.test")[0]["reason"].startswith(
            "exclude_sign.recipients:")
        assert_skipped(batvd, "x@other.test", "x@[192.0.2.1]", rcpt="x@[192.0.2.1]")
        for mailer in "local", "virtual":    # the MTA delivers it itself
            assert_signed(batvd, "bob@example.com", hop="example.com", mailer=mailer)
        assert not threads(batvd)
        assert not server.queries
        # Once it is needed there are two: ours, and libunbound's.
        assert_signed(batvd, "x@other.test", "y@other.test", "z@OTHER.test")
        assert len(threads(batvd)) == 2
        assert sorted(server.queries) == sorted([("other.test", MX), ("other.test", A),
                                                 ("other.test", AAAA)])
        # A list that is emptied by a reload asks no more.
        batvd.reload(config(exclude_sign={"recipient_networks": []}))
        count = len(server.queries)
        assert_signed(batvd, "x@more.test")
        assert len(server.queries) == count
        batvd.stop()


def test_a_list_that_comes_by_reload_starts_the_thread():
    with Nsd(ZONES) as nsd, Place(nsd) as place:
        batvd = place.batvd
        batvd.reload(config(exclude_sign={"recipient_networks": []}))
        for _ in range(5):
            assert_signed(batvd, "x@listed.test", hop="[192.0.2.1]:25")
        assert not threads(batvd)
        listed = batvd.folder / "listed"
        listed.write_text("# partners\n192.0.2.0/24\n", encoding="ascii")
        batvd.reload(config(exclude_sign={"recipient_networks": [f"file:{listed}"]}))
        assert_skipped(batvd, "x@listed.test")
        assert threads(batvd)


def test_ended_during_a_lookup():
    with Server(lambda *_: None) as server, Place(server, dns={"timeout_ms": 30000}) as place:
        def submit():
            try:
                send(place.batvd, "x@a.test")
            except (OSError, EOFError, AssertionError):
                pass
        asking = threading.Thread(target=submit)
        asking.start()
        util.wait_for(lambda: server.queries, 10)
        begun = time.monotonic()
        place.batvd.stop()
        assert time.monotonic() - begun < 8 * util.PATIENCE
        asking.join(20)


# -- by hand, and with a real MTA -----------------------------------------------------------------

def test_explain_says_what_dns_said(place):
    out = explain(place, "x@six.test", "x@plain.test", "x@null.test", "x@broken")
    assert "dns         MX hosts of broken: (not known: SERVFAIL)\n" in out
    assert "            MX hosts of null.test: none\n" in out
    assert "            MX hosts of six.test: 2001:db8:1::10\n" in out
    assert f"not signed: exclude_sign.recipient_networks:{LISTED[1]}" in out
    assert "198.51.100.10" in out and "2001:db8:2::10" in out
    out = explain(place, "x@plain.test")
    assert "signed as <" in out
    place.batvd.ctl("pause", rc=0)
    try:
        assert explain(place, "x@plain.test").count("MX hosts of plain.test") == 1
    finally:
        place.batvd.ctl("resume", rc=0)
    assert "dns " not in place.batvd.ctl("explain", "--client", "203.0.113.1", "--from",
                                         "x@other.test", "--rcpt", "alice@example.com").out


def test_round_trip_through_postfix():
    with Nsd(ZONES) as nsd, Resolving(nsd.address, HOSTS) as resolving:
        with Site(config(), prefix=resolving.prefix) as site:
            mark = site.batvd.mark()
            plain = site.outgoing("alice@example.com", rcpts="far@plain.test")
            site.batvd.check_tag(plain.mail_from, "alice@example.com", when=plain.arrived)
            listed = site.outgoing("alice@example.com", rcpts="far@listed.test")
            assert listed.mail_from == "alice@example.com"
            entry = site.batvd.wait_entry("sign-skip", since=mark)
            assert entry["reason"] == "exclude_sign.recipient_networks:192.0.2.0/24"
            subject = site.postfix.sendmail("far@listed.test", sender="alice@example.com")
            assert site.sink.wait_one(subject=subject).mail_from == "alice@example.com"
            # The next hop is the far end, on loopback.
            site.use({"exclude_sign": {"recipient_networks": ["127.0.0.0/8"]}})
            relayed = site.outgoing("alice@example.com", rcpts="far@plain.test")
            assert relayed.mail_from == "alice@example.com"
            # Local delivery goes to no host.
            sent = site.submit("alice@example.com", rcpts="bob@example.com")
            mail = site.postfix.wait_one("bob@example.com", sent.subject)
            assert mail.return_path.startswith("prvs=")
