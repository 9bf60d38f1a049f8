"""Tags exchanged with a real Exim that has the same secret: each takes what the other makes."""

import datetime
import random

import pytest

from batvtest import manual, tag
from batvtest.daemon import DAY
from batvtest.exim import KEY_MAX, Exim

ADDRESSES = ["alice@example.com", "Alice.Liddell@Example.COM", "ALICE@EXAMPLE.COM",
             "alice+ext@example.com", "list-bounces+bob=other.test@example.com",
             "list-bounces=bob=other.test@example.com", "a==@example.com", "o'brien@example.com",
             "{$x}%y!#&*/?^`|~@example.com", "0785abcdef=x@example.com",
             "l" * 48 + "@example.com"]
SECRET = b"s3cret of Exim's"
SEED = 20779


@pytest.fixture(scope="module")
def exim():
    with Exim() as program:
        yield program


class Peer:
    """batvctl with the secret that Exim has, in Exim's time."""

    def __init__(self, batvd, secret, key=1, *, when=None, state="active"):
        self.secret, self.key = secret, key
        self.batvd = batvd(fake_time=True)
        if when is not None:
            self.batvd.set_clock(when)
        self.batvd.ctl("key", "import", key, "--algorithm", "hmac-sha1", "--state", state,
                       stdin=secret.hex(), rc=0)

    def sign(self, addresses):
        return self.batvd.ctl("sign", "--", *addresses, rc=0).lines

    def check(self, tagged):
        return self.batvd.ctl("verify", "--", *tagged, json=True)


def assert_exchanged(exim, peer, addresses, when=None):
    ours = peer.sign(addresses)
    theirs = exim.sign(addresses, peer.secret, peer.key, when)
    assert ours == theirs
    assert exim.check(ours, peer.secret, when) == [(plain, peer.key) for plain in addresses]
    seen = peer.check(theirs)
    assert [(one["result"], one["plain"], one["key"], one["days"]) for one in seen] == [
        ("valid", plain, peer.key, 7) for plain in addresses]


# -- addresses, numbers, secrets ------------------------------------------------------------------

@pytest.mark.parametrize("key", range(10))
def test_each_number(exim, batvd, key):
    assert_exchanged(exim, Peer(batvd, SECRET, key), ADDRESSES)


def test_secrets_of_all_lengths(exim, batvd):
    """From one octet to all that Exim takes, of any octets but NUL, which ends Exim's strings."""
    pick = random.Random(SEED)
    for length in (1, 2, 19, 20, 21, 32, 63, KEY_MAX):
        secret = bytes(pick.randrange(1, 256) for _ in range(length))
        assert_exchanged(exim, Peer(batvd, secret), ADDRESSES[:3])
    for secret in (b"\n", b" a ", b"a\n", b"\r\n\t", b"\xff" * KEY_MAX, b"{}$\\\"'"):
        assert_exchanged(exim, Peer(batvd, secret), ADDRESSES[:3])
    assert "Failed" in exim.sign(ADDRESSES[:1], b"x" * (KEY_MAX + 1), 1)[0]


def test_case_that_was_changed_on_the_way(exim, batvd):
    """Exim's tag holds for the address as it was signed; ours of an address in lower case still
    holds where a remote site wrote it in capitals, which Exim refuses."""
    peer = Peer(batvd, SECRET)
    ours, mixed = exim.sign(["alice@example.com", "Alice@example.com"], SECRET, 1)
    assert peer.check([ours.upper()])[0]["result"] == "valid"
    assert exim.check([ours.upper()], SECRET) == [None]
    assert peer.check([mixed])[0]["result"] == "valid"
    assert peer.check([mixed.lower()])[0]["result"] == "bad-signature"
    assert exim.check([mixed.lower()], SECRET) == [None]


def test_quoted_local_parts(exim, batvd):
    """What Exim's ACL asks about is the local part without its quotes, and so is what we sign."""
    peer = Peer(batvd, SECRET)
    tagged = peer.sign(['"a b"@example.com'])[0]
    assert tagged.startswith('"prvs=1')
    bare = tagged.replace('"', "")
    assert exim.check([bare], SECRET) == [("a b@example.com", 1)]
    assert exim.sign(["a b@example.com"], SECRET, 1) == [bare]
    assert peer.check([tagged])[0]["plain"] == '"a b"@example.com'


def test_where_the_manual_says_the_secret_is(exim):
    """`exim -bP config | grep prvs` shows it, also where a macro holds it; a lookup's is had by
    `exim -be`, to the octet."""
    (exim.folder / "secrets").write_text("prvs: the secret\n", encoding="ascii")
    (exim.folder / "site").write_text(f"""\
keep_environment =
SECRET = $${{lookup{{prvs}}lsearch{{{exim.folder}/secrets}}}}
begin transports
external:
  driver = smtp
  return_path = ${{prvs{{$return_path}}{{SECRET}}{{1}}}}
""".replace("$$", "$"), encoding="ascii")
    assert manual.commands("batvctl.8", "The other program's secret")[0] == (
        "exim -bP config | grep prvs")
    said = [line.strip() for line in exim.run("-bP", "config", conf="site").splitlines()
            if "prvs" in line]
    lookup = f"${{lookup{{prvs}}lsearch{{{exim.folder}/secrets}}}}"
    assert said == [f"SECRET = {lookup}",
                    f"return_path = ${{prvs{{$return_path}}{{{lookup}}}{{1}}}}"]
    assert exim.run("-be", lookup) == "the secret\n"


# -- forged, foreign, expired ---------------------------------------------------------------------

def test_forged(exim, batvd):
    peer = Peer(batvd, SECRET)
    good = exim.sign(ADDRESSES, SECRET, 1)
    forged = [tag.spoil(one) for one in good]
    other = exim.sign(ADDRESSES, b"another", 1)
    swapped = [good[0].replace("alice", "bob")]
    for bad in (forged, other, swapped):
        assert exim.check(bad, SECRET) == [None] * len(bad)
        assert {one["result"] for one in peer.check(bad)} == {"bad-signature"}
    foreign = exim.sign(ADDRESSES, SECRET, 2)
    assert {one["result"] for one in peer.check(foreign)} == {"unknown-key"}


def day(text):
    moment = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) // DAY


# The day's three digits go from 999 to 000 on 2027-07-01.
WRAP = day("2027-07-01")


def exim_lets_in(expires, today):
    """What Exim makes of the three digits: whatever is not smaller than today's, and before the
    wrap what is below 7. So after the wrap a tag of before is good again."""
    return expires >= today or (expires < 7 and today >= 993)


def noon(number):
    return number * DAY + DAY // 2


def test_both_sign_alike_around_the_wrap(exim, batvd):
    assert WRAP % 1000 == 0
    first = day("2027-06-20")
    peer = Peer(batvd, SECRET, when=noon(first))
    for today in range(first, day("2027-07-09")):
        peer.batvd.set_clock(noon(today))
        assert_exchanged(exim, peer, ADDRESSES[:2], noon(today))
        assert peer.sign(["alice@example.com"])[0][6:9] == f"{(today + 7) % 1000:03d}"


@pytest.mark.parametrize("signed", ["2027-06-21", "2027-06-23", "2027-06-24", "2027-06-28",
                                    "2027-06-30", "2027-07-01", "2027-07-05"])
def test_expiry_around_the_wrap(exim, batvd, signed):
    """Signed by Exim on that day, looked at by both on each of the days after."""
    then = day(signed)
    tagged = exim.sign(["alice@example.com"], SECRET, 1, noon(then))
    peer = Peer(batvd, SECRET, when=noon(then))
    assert tagged == peer.sign(["alice@example.com"])
    revived = 0
    for today in (*range(then, then + 13), then + 400):
        peer.batvd.set_clock(noon(today))
        seen = peer.check(tagged)[0]
        left = then + 7 - today
        assert (seen["result"], seen["days"]) == (("valid" if left >= 0 else "expired"), left)
        lets_in = exim_lets_in((then + 7) % 1000, today % 1000)
        assert exim.check(tagged, SECRET, noon(today)) == [
            ("alice@example.com", 1) if lets_in else None]
        revived += lets_in and left < 0
    assert (revived > 0) == (then + 7 < WRAP)    # it comes back to life, for Exim only
