"""The journal of what was sent: `batvctl journal`, and what becomes of it when the daemon is killed,
the file is damaged or the clock goes on."""

import contextlib
import datetime
import os
import random
import sqlite3
import stat
import time

import pytest

from batvtest import answers, util
from batvtest.daemon import DAY, Batvd
from batvtest.milter import MilterSession

ALICE = "alice@example.com"
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
CONFIG = {"verify": {"action": "reject"}}
DAMAGED = r"the journal was damaged.*journal\.damaged, and a new journal is begun"


@pytest.fixture(scope="module")
def running():
    with Batvd(CONFIG) as instance:
        yield instance


def submit(instance, message_id=None):
    """The Message-ID, without brackets, of a message that has gone out."""
    message_id = message_id or f"{util.unique('out')}@mail.example.com"
    headers = [("From", ALICE), ("Message-ID", f"<{message_id}>")]
    with MilterSession(instance.milter, **INSIDE) as s:
        assert s.message(f"<{ALICE}>", [f"<{answers.FAR}>"], headers).verdict == "accept"
    return message_id


def bounce(instance, message_id, rcpt=ALICE):
    """What becomes of a bounce that names this Message-ID and nothing else of the original."""
    text = answers.bounce(None, to=rcpt, subject="x", returned=f"Message-ID: <{message_id}>\n")
    head, _, body = text.decode("ascii").partition("\n\n")
    fields = head.replace("\n\t", " ").replace("\n ", " ").split("\n")
    headers = [tuple(field.split(": ", 1)) for field in fields]
    with MilterSession(instance.milter) as s:
        return s.message("<>", [f"<{rcpt}>"], headers, body.replace("\n", "\r\n").encode()).verdict


def lookup(instance, message_id, address=ALICE, rc=None):
    return instance.ctl("journal", "lookup", address, message_id, json=True, rc=rc)


def written(instance, message_id):
    """The entry, once it is in the file."""
    def there():
        found = lookup(instance, message_id)
        return found if found["found"] else None
    return util.wait_for(there, 5, lambda: f"{message_id} in the journal")


def entries(instance):
    return instance.ctl("journal", "stat", json=True, rc=0)["entries"]


# -- batvctl journal ------------------------------------------------------------------------------

def test_before_the_first_start(batvd):
    instance = batvd(CONFIG)
    instance.ctl("key", "init", rc=0)
    seen = instance.ctl("journal", "stat", json=True, rc=1)
    assert seen["exists"] is False and seen["enabled"] is True and seen["begun"] is None
    assert "no journal yet" in instance.ctl("journal", "stat", rc=1).out
    assert "no journal" in instance.ctl("journal", "lookup", ALICE, "x@y", rc=1).out
    assert instance.ctl("journal", "expire", json=True, rc=0) == {"removed": 0}
    assert not list(instance.state.glob("journal*"))
    instance.configure({**CONFIG, "journal": {"enabled": False}})
    assert "off by the configuration" in instance.ctl("journal", "stat", rc=1).out


def test_usage(running):
    for arguments in ((), ("what",), ("stat", "x"), ("lookup",), ("lookup", ALICE),
                      ("lookup", ALICE, "x", "y"), ("lookup", ALICE, "<>"), ("lookup", ALICE, ""),
                      ("lookup", "", "x"), ("lookup", "alice", "x"), ("lookup", "<>", "x"),
                      ("expire", "now"), ("stat", "--what")):
        done = running.ctl("journal", *arguments, rc=2)
        assert "usage: batvctl" in done.err and not done.out, arguments
    done = running.ctl("journal", "--help", rc=0)
    for form in ("journal stat", "journal lookup ADDRESS MESSAGE-ID", "journal expire"):
        assert form in done.out


def test_lookup(running):
    message_id = submit(running)
    found = written(running, message_id)
    today = running.today()
    assert found == {"address": ALICE, "message_id": message_id, "found": True, "used": 0,
                     "allowed": 23, "exhausted": False, "expires": found["expires"]}
    assert found["expires"] in {util_day(day + 30) for day in (today, today - 1)} | {
        util_day(day + 31) for day in (today, today - 1)}
    assert lookup(running, f"<{message_id}>", "Alice@EXAMPLE.com", rc=0)["message_id"] == message_id
    text = running.ctl("journal", "lookup", ALICE, message_id, rc=0).out
    assert text == f"sent: proves bounces until {found['expires']}; 0 of 23 used\n"
    missing = lookup(running, message_id, "bob@example.com", rc=1)
    assert missing["found"] is False and missing["expires"] is None and missing["used"] is None
    text = running.ctl("journal", "lookup", ALICE, message_id + "x", rc=1).out
    assert text.startswith("not found; what was sent is known since ") and "last second" in text


def util_day(day):
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def test_uses_run_out(running):
    message_id = submit(running)
    assert [bounce(running, message_id) for _ in range(23)] == ["accept"] * 23
    assert bounce(running, message_id) == "reject"
    found = util.wait_for(lambda: lookup(running, message_id, rc=None)["exhausted"]
                          and lookup(running, message_id, rc=0), 5)
    assert found["used"] == found["allowed"] == 23
    assert "23 of 23 used: exhausted" in running.ctl("journal", "lookup", ALICE, message_id).out


def test_stat(running):
    written(running, submit(running))
    seen = running.ctl("journal", "stat", json=True, rc=0)
    assert seen["exists"] and seen["enabled"] and seen["entries"] >= 1
    assert 0 < seen["used"] <= seen["size"] < seen["max_size"] == 1 << 30
    assert seen["forced"] == 0 and seen["forced_at"] is None and not seen["damaged_aside"]
    assert seen["begun"].endswith("Z") and seen["oldest_expires"] > util_day(running.today() + 5)
    text = running.ctl("journal", "stat", rc=0).out
    assert f"entries         {seen['entries']}\n" in text and "of 1024.0 MiB" in text


def test_files_belong_to_the_daemon(running):
    """Although batvctl is started as root."""
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        info = (running.state / name).stat()
        assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (util.owner_ids("nobody")[0], 0o600)


# -- time -----------------------------------------------------------------------------------------

def test_entries_expire(batvd):
    with contextlib.closing(batvd(CONFIG, fake_time=True)) as instance:
        instance.start()
        message_id = submit(instance)
        written(instance, message_id)
        instance.travel(days=29)
        assert lookup(instance, message_id, rc=0)["found"]
        assert bounce(instance, message_id) == "accept"
        util.wait_for(lambda: entries(instance) == 3)  # the message, its uses, its bounce's retries
        instance.travel(days=33)
        lookup(instance, message_id, rc=1)
        assert bounce(instance, message_id) == "reject"
        assert entries(instance) == 3    # nothing goes by a clock that has jumped
        done = instance.ctl("journal", "expire", rc=0)
        assert done.out == "2 entries had expired and are gone\n"
        assert entries(instance) == 1    # the bounce may come again until the sixth day
        assert instance.ctl("journal", "expire", json=True, rc=0) == {"removed": 0}
        old = submit(instance)
        written(instance, old)
        instance.kill9()
        instance.travel(days=100)
        instance.start()
        util.wait_for(lambda: entries(instance) == 0, 5)


# -- kills and damage -----------------------------------------------------------------------------

def is_clean(instance):
    """Whether the journal was closed."""
    with contextlib.closing(sqlite3.connect(instance.state / "journal.db")) as database:
        return database.execute("SELECT value FROM meta WHERE name = 'clean'").fetchone() == (1,)


def test_killed_daemons_lose_a_second_at_most(batvd):
    instance = batvd(CONFIG).start()
    for _ in range(5):
        message_id = submit(instance)
        written(instance, message_id)
        submit(instance)
        instance.kill9()
        mark = instance.mark()
        assert not is_clean(instance)
        lookup(instance, message_id, rc=0)
        instance.start()
        instance.wait_text(r"journal\.db was not closed: batvd looks for damage in it", since=mark)
        assert bounce(instance, message_id) == "accept"
    assert not (instance.state / "journal.damaged").exists()
    for _ in range(5):      # the first round comes after a second
        time.sleep(1.5)
        instance.stop()
        if is_clean(instance):
            break
        instance.start()
    assert is_clean(instance)
    assert not (instance.state / "journal.db-wal").exists()


def fill(instance, count=300):
    """Enough for some pages; the last Message-ID."""
    ids = [submit(instance) for _ in range(count)]
    written(instance, ids[-1])
    return ids[-1]


def zeroed(octets):
    return bytes(len(octets))


def truncated(octets):
    return octets[:len(octets) // 2 + 13]


def noisy(octets):
    """All but the head."""
    return octets[:4096] + random.Random(1).randbytes(len(octets) - 4096)


def heads_flipped(octets):
    """Of the pages of entries: the first ones say what the database is."""
    octets = bytearray(octets)
    for page in range(4 * 4096, len(octets), 4096):
        octets[page] ^= 0x40
    return bytes(octets)


@pytest.mark.parametrize("damage", [zeroed, truncated, noisy, heads_flipped])
def test_a_damaged_file_is_set_aside(batvd, damage):
    instance = batvd(CONFIG).start()
    before = fill(instance)
    instance.stop()
    path = instance.state / "journal.db"
    path.write_bytes(damage(path.read_bytes()))
    done = instance.ctl("journal", "lookup", ALICE, before)
    assert done.rc == 2 and "is damaged" in done.err and not done.out
    mark = instance.mark()
    instance.start()
    if damage is heads_flipped:     # which is found by the first question
        assert bounce(instance, before) == "tempfail"
    instance.wait_text(DAMAGED, since=mark)
    assert bounce(instance, before) == ("tempfail" if damage is heads_flipped else "reject")
    assert (instance.state / "journal.damaged").exists()
    after = submit(instance)
    assert bounce(instance, after) == "accept"
    written(instance, after)
    seen = instance.ctl("journal", "stat", json=True, rc=0)
    assert seen["damaged_aside"] and seen["entries"] in (1, 3)  # the message; its use and its bounce
    assert "journal.damaged" in instance.ctl("journal", "stat", rc=0).out
    check = instance.ctl("check", json=True)
    assert [item["level"] for item in check if item["name"] == "journal"] == ["warn"]


def test_damage_under_a_running_daemon(batvd):
    """It serves on and begins a journal anew, for which it waits as for the first. Until then, and
    for some minutes, it denies nothing."""
    instance = batvd({}).start()
    before = fill(instance)
    begun = instance.ctl("journal", "stat", json=True, rc=0)["begun"]
    path = instance.state / "journal.db-wal"
    octets = path.read_bytes()
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(noisy(octets)[4096:])
    for arguments in (("stat",), ("lookup", ALICE, before)):
        done = instance.ctl("journal", *arguments)
        assert done.rc == 2 and "is damaged" in done.err, (arguments, done)
    mark = instance.mark()
    bounce(instance, "nobody@sent.this")
    instance.wait_text(DAMAGED, since=mark)
    after = submit(instance)
    assert bounce(instance, after) == "accept"
    written(instance, after)
    assert instance.ctl("journal", "stat", json=True, rc=0)["begun"] > begun
    util.wait_for(lambda: instance.ctl("status", json=True)["journal_waits"] is not None)
    instance.stop()
    assert is_clean(instance)


def test_a_restart_after_damage_of_the_log(batvd):
    """What SQLite had not copied from the log into the file is lost, and nothing else."""
    instance = batvd(CONFIG).start()
    first = fill(instance)
    instance.stop()
    instance.start()
    second = fill(instance)
    instance.kill9()
    path = instance.state / "journal.db-wal"
    path.write_bytes(path.read_bytes()[:100])
    instance.start()
    lookup(instance, first, rc=0)
    lookup(instance, second, rc=1)
    assert bounce(instance, first) == "accept"
    assert not (instance.state / "journal.damaged").exists()


def test_what_is_no_file(batvd):
    """It cannot be opened: the mail goes on, and what was sent is known while the daemon lives."""
    instance = batvd(CONFIG)
    (instance.state / "journal.db").mkdir()
    instance.start()
    instance.wait_text("the journal cannot be opened and is kept in memory")
    message_id = submit(instance)
    assert bounce(instance, message_id) == "accept"
    assert os.listdir(instance.state / "journal.db") == []


# -- readers and backups --------------------------------------------------------------------------

def test_a_backup(batvd, tmp_path):
    """As the manual has it, beside a running daemon, whose locks stay; and it can be put back."""
    instance = batvd(CONFIG).start()
    before = fill(instance)
    copy = tmp_path / "journal.db"
    with contextlib.closing(sqlite3.connect(instance.state / "journal.db")) as database:
        database.execute("VACUUM INTO ?", (str(copy),))
    after = fill(instance)
    lookup(instance, before, rc=0)
    lookup(instance, after, rc=0)
    instance.stop()
    path = instance.state / "journal.db"
    path.write_bytes(copy.read_bytes())
    instance.start()
    lookup(instance, before, rc=0)
    lookup(instance, after, rc=1)


def test_a_read_only_folder(batvd):
    """SQLite needs to make files in it, even to read."""
    instance = batvd(CONFIG).start()
    message_id = fill(instance, 1)
    instance.stop()
    instance.state.chmod(0o500)
    try:
        done = instance.ctl("journal", "lookup", ALICE, message_id)
        assert done.rc == 2 and "the folder is read-only" in done.err, done
    finally:
        instance.state.chmod(0o700)
    lookup(instance, message_id, rc=0)
