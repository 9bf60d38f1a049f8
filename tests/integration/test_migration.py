"""Moving here from Exim or batv-tools by the very commands of batvctl(8), on real Postfix. There is
no batv-tools to be had: its tags are computed here, from its key file and the format alone."""

import hashlib
import hmac
import pathlib
import random
import re
import shlex
import subprocess

import pytest

from batvtest import manual, tag, util

from batvtest.exim import Exim
from batvtest.site import Site

ALICE = "alice@example.com"
SEED = 20779


class BatvTools:
    """The key file as it is, number 0, HMAC-SHA1 over the address as it came."""

    def __init__(self, secret, lifetime=7, delimiter=None):
        self.secret, self.lifetime, self.delimiter = secret, lifetime, delimiter

    def _mac(self, day, address):
        text = f"0{day:03d}{address}".encode()
        return hmac.new(self.secret, text, hashlib.sha1).hexdigest()[:6]

    def sign(self, address, today):
        day = (today + self.lifetime) % 1000
        local, _, domain = address.rpartition("@")
        mark = f"prvs=0{day:03d}{self._mac(day, address)}"
        if self.delimiter:
            return f"{local}{self.delimiter}{mark}@{domain}"
        return f"{mark}={local}@{domain}"

    def check(self, tagged, today):
        """The plain address, or None."""
        mark, local = r"prvs=(?P<t>\w{10})", "(?P<l>.*)"
        form = rf"{local}\+{mark}" if self.delimiter else f"{mark}={local}"
        found = re.fullmatch(form + "@(?P<d>[^@]*)", tagged)
        if not found or found["t"][0] != "0":
            return None
        plain = f"{found['l']}@{found['d']}"
        day = int(found["t"][1:4])
        fresh = (day - today % 1000 + 1000) % 1000 <= self.lifetime
        return plain if fresh and found["t"][4:].lower() == self._mac(day, plain) else None


class Administrator:
    """Types the manual's commands. `hosts` are the Batvd by name, "" the one at hand; batvctl,
    systemctl and ssh are the only commands that are not the system's own."""

    def __init__(self, hosts, *, key, env=None, postfix=None):
        self.hosts = hosts
        self.folder = util.make_folder("batv-admin")
        self.key = self.folder / "batv-key"
        self.key.write_bytes(key)
        (self.folder / "exim.secret").write_bytes(key)
        self.env = {**hosts[""].environment(), **(env or {})}
        self.env["PATH"] = f"{self.folder}/bin:{self.env['PATH']}"
        for host, batvd in hosts.items():
            where = self.folder / "bin" / host
            where.mkdir(parents=True, exist_ok=True)
            map_path = f"--map-path {postfix.conf}/batv.pcre" if postfix else ""
            self._script(where / "batvctl", f"""\
                [ "$1 $2" != "mta postfix" ] || set -- "$@" {map_path}
                [ "$1" = -c ] || set -- -c {batvd.conf} "$@"
                exec {util.binary('batvctl')} "$@"
                """)
        self._script(self.folder / "bin/systemctl", f'echo "$@" >>{self.folder}/systemctl')
        self._script(self.folder / "bin/ssh", f"""\
            PATH={self.folder}/bin/$1:$PATH
            shift
            exec "$@"
            """)

    @staticmethod
    def _script(path, text):
        path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
        path.chmod(0o755)

    def close(self):
        util.remove_folder(self.folder)

    def type(self, command):
        """One command, which must do its work; what it said."""
        command = command.replace("/etc/batv-key", shlex.quote(str(self.key)))
        done = subprocess.run(["sh", "-c", command], env=self.env, cwd=self.folder, text=True,
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, f"{command}: {done}"
        if command == "systemctl enable --now batvd":
            batvd = self.hosts[""].start()
            util.wait_for(lambda: batvd.ctl("status").rc == 0, 10, "a daemon that has reported")
        return done.stdout


def commands(title):
    return manual.commands("batvctl.8", title)


def command_with(title, word):
    """The one that names it."""
    found, = [command for command in commands(title) if word in command]
    return found


@pytest.fixture
def administrator():
    made = []

    def make(*args, **options):
        made.append(Administrator(*args, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


# -- tags of batv-tools ---------------------------------------------------------------------------

ADDRESSES = ["alice@example.com", "Alice.L@Example.COM", "alice+ext@example.com",
             "list-bounces+bob=other.test@example.com", "a=b==@example.com"]
PICK = random.Random(SEED)
LINE, RANDOM = b"correct horse\n", bytes(PICK.randrange(256) for _ in range(64))


@pytest.mark.parametrize("key, syntax, lifetime", [
    (LINE, "prefix", 7), (LINE, "prefix", 60), (LINE, "subaddress", 7), (RANDOM, "prefix", 7),
    (RANDOM, "subaddress", 1), (b"\n", "prefix", 7), (b"\0" + RANDOM[:31], "prefix", 7),
    (b"x" * 200 + b"\n", "prefix", 1)], ids=[
        "line", "line-60", "line-sub", "random", "random-sub-1", "newline", "nul", "long"])
def test_tags_of_batv_tools(batvd, administrator, key, syntax, lifetime):
    one = batvd({"sign": {"lifetime_days": lifetime, "syntax": syntax},
                 "keys": {"rotate_days": 60}})
    command = commands("One host after the other")[0]
    assert command.startswith("od ") and "/etc/batv-key" in command
    administrator({"": one}, key=key).type(command)
    theirs = BatvTools(key, lifetime, "+" if syntax == "subaddress" else None)
    today = one.today()
    ours = one.ctl("sign", *ADDRESSES, rc=0).lines
    assert ours == [theirs.sign(address, today) for address in ADDRESSES]
    assert [theirs.check(tagged, today) for tagged in ours] == ADDRESSES
    seen = one.ctl("verify", *ours, json=True)
    assert [(each["result"], each["plain"], each["days"]) for each in seen] == [
        ("valid", address, lifetime) for address in ADDRESSES]


def test_the_delimiter_that_is_not_understood(batvd):
    one = batvd()
    one.ctl("key", "init", rc=0)
    assert one.ctl("verify", "alice-prvs=0785abcdef@example.com").out.startswith("missing ")


# -- all at once ----------------------------------------------------------------------------------

class Move(Site):
    """Postfix runs as it did with the other program; batvd is configured and no more."""

    def __enter__(self):
        try:
            self.sink.start()
            self.postfix.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def workers(self):
        """The processes that a reload replaces, as soon as they have nothing to do."""
        found = set()
        for pid in util.processes_below(self.postfix.folder):
            try:
                name = pathlib.Path(f"/proc/{pid}/comm").read_text("ascii").strip()
            except OSError:
                continue
            if name in ("smtpd", "cleanup", "trivial-rewrite"):
                found.add(pid)
        return found

    def judge(self, tagged):
        """A bounce to it: result, action, rule; and it lies in alice's mailbox or it does not."""
        sent, entry = self.judged_bounce(tagged)
        assert sent.accepted == (entry["action"] in ("accept", "log")), (sent, entry)
        if sent.accepted:
            self.postfix.wait_one(ALICE, sent.subject)
        else:
            self.assert_nothing(sent, ALICE)
        return entry["result"], entry["action"], entry["rule"]

    def at_day(self, days):
        self.batvd.kill9()
        self.batvd.travel(days=days)
        self.batvd.start()


VALID = ("valid", "accept", "tag")
REFUSED = ("reject", "verify.action")


def test_all_at_once(administrator):
    """The old program's tags are good to the last of them; a forged one never is."""
    key = b"the old secret\n"
    theirs = BatvTools(key)
    with Move(fake_time=True, init_keys=False) as site:
        admin = administrator({"": site.batvd}, key=key, env=site.postfix.env, postfix=site.postfix)
        admin.type(command_with("The other program's secret", "/etc/batv-key"))
        before = site.workers()
        for command in commands("All at once")[:-1]:
            said = admin.type(command)
            if "key list" in command:
                assert re.search(r"0 +retained +hmac-sha1", said), said
                assert re.search(r"1 +active +hmac-sha256", said), said
        assert (admin.folder / "systemctl").read_text("ascii") == "enable --now batvd\n"
        util.wait_for(lambda: not before & site.workers(), 20, "the processes of before to end")

        today = site.batvd.today()
        first, last = theirs.sign(ALICE, today), theirs.sign(ALICE, today + 1)
        outgoing = site.outgoing()
        assert site.batvd.check_tag(outgoing.mail_from, ALICE, when=outgoing.arrived) == 1
        for tagged in (first, BatvTools(key, delimiter="+").sign(ALICE, today), outgoing.mail_from):
            assert site.judge(tagged) == VALID
        assert site.judge(tag.spoil(first)) == ("bad-signature", *REFUSED)
        assert site.judge(BatvTools(b"another").sign(ALICE, today)) == ("bad-signature", *REFUSED)
        assert site.judge(ALICE) == ("missing", *REFUSED)

        site.at_day(8)
        assert site.judge(last) == VALID
        assert site.judge(first)[:2] == ("expired", "reject")
        site.at_day(10)
        assert site.judge(last) == ("unknown-key", *REFUSED)
        assert "hmac-sha1" not in admin.type("batvctl key list")


def test_from_exim(batvd, administrator):
    """Its number stays, ours come after it, and its tags are good for as long as any others."""
    one = batvd({"verify": {"action": "reject"}}, init_keys=False, fake_time=True)
    admin = administrator({"": one}, key=b"Exim's own")
    admin.type(command_with("The other program's secret", "exim.secret"))
    admin.type(commands("All at once")[0])
    assert one.active_key() == 2
    with Exim() as exim:
        tagged = exim.sign([ALICE], b"Exim's own", 1)[0]
    for days, seen in ((0, "valid"), (7, "valid"), (8, "expired"), (10, "unknown-key")):
        one.travel(days=days)
        assert explain(one, tagged)["result"] == seen, days


def test_theirs_ended_early(batvd, administrator):
    """Revoked: logged until its last tag has expired. Compromised: refused at once."""
    for more, seen in (("", "key-gone"), (" --compromised", "verify.action")):
        one = batvd({"verify": {"action": "reject"}}, init_keys=False)
        admin = administrator({"": one}, key=b"the old secret")
        admin.type(commands("The other program's secret")[-1])
        admin.type("batvctl key rotate")
        tagged = BatvTools(b"the old secret").sign(ALICE, one.today())
        assert explain(one, tagged)["rule"] == "tag"
        admin.type(commands("All at once")[-1] + more)
        judged = explain(one, tagged)
        assert (judged["result"], judged["rule"]) == ("unknown-key", seen)


def explain(one, rcpt):
    return one.ctl("explain", "--client", "192.0.2.9", "--from", "", "--rcpt", rcpt, json=True)[0]


# -- one host after the other ---------------------------------------------------------------------

def test_one_host_after_the_other(batvd, administrator):
    """Two hosts of ours and one of theirs take each other's tags throughout; then the hosts of ours
    change to a key of their own, and the old one retires."""
    key = b"shared by all\n"
    theirs = BatvTools(key)
    config = {"keys": {"rotate_days": 0}, "verify": {"action": "reject"}}
    hosts = {"": batvd(config, init_keys=False, fake_time=True),
             "mx2": batvd(config, init_keys=False, fake_time=True)}
    admin = administrator(hosts, key=key)
    share, *change = commands("One host after the other")
    admin.type(share)
    admin.type(share.replace("batvctl", "ssh mx2 batvctl"))
    today = hosts[""].today()
    assert "already exists" in hosts[""].ctl("key", "init", rc=1).err
    for host in hosts.values():
        tagged = host.ctl("sign", ALICE, rc=0).lines[0]
        assert tagged == theirs.sign(ALICE, today) and theirs.check(tagged, today) == ALICE
        for other in hosts.values():
            assert explain(other, tagged)["result"] == "valid"
    old = theirs.sign(ALICE, today)

    for command in change:
        admin.type(command)
    for host, signs in zip(hosts.values(), (0, 1)):
        assert host.ctl("sign", ALICE, rc=0).lines[0][5] == str(signs)
    for host in hosts.values():
        host.travel(601)
    fresh = {host.ctl("sign", ALICE, rc=0).lines[0] for host in hosts.values()}
    assert len(fresh) == 1 and fresh.pop()[5] == "1"
    for host in hosts.values():
        assert explain(host, old)["result"] == "valid"
        host.travel(days=10)
        assert explain(host, old)["result"] == "unknown-key"


# -- tags that cannot be imported -----------------------------------------------------------------

GATEWAYS = {"Cisco": "prvs=779a1b2c3=alice@example.com",
            "Barracuda": "btv1==0123456789ab==alice@example.com",
            "SparkPost": "msprvs1=20779AbCdEf-gh=alice@example.com"}


@pytest.mark.parametrize("gateway", [None, *GATEWAYS])
def test_bounces_to_the_tags_of_a_gateway_that_was_here_before(waiting, gateway):
    """With the manual's lines in the map they arrive while auto waits, plain."""
    tagged = GATEWAYS[gateway] if gateway else ALICE
    sent, entry = waiting.judged_bounce(tagged)
    assert (entry["result"], entry["action"], entry["rule"]) == (
        "foreign" if gateway else "missing", "log", "auto.warm-up"), entry.line
    waiting.assert_delivered(sent, ALICE)


@pytest.fixture(scope="module")
def waiting():
    with Site({"verify": {"action": "auto"}}) as site:
        for tagged in GATEWAYS.values():
            assert "User unknown" in site.bounce(tagged).text
        lines = manual.blocks("batvctl.8", "Gateways of other makers")[0]
        with (site.postfix.conf / "batv.pcre").open("a", encoding="utf-8") as table:
            table.write(lines)
        site.postfix.reload()
        yield site
