"""The daemon's life: starting, what it refuses, its socket, its folder, keys, reload, pause and the
clock."""

import fcntl
import grp
import os
import pathlib
import random
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from batvtest import util
from batvtest.daemon import DAY, StartFailure
from batvtest.milter import LEAVING, MilterSession

INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
REJECT = {"verify": {"action": "reject"}}
CONFIG_ERROR = 78


def sign(instance, sender="alice@example.com"):
    with MilterSession(instance.milter, **INSIDE) as s:
        return s.message(f"<{sender}>", ["<far@other.test>"]).new_sender


def bounce(instance, rcpt="alice@example.com"):
    with MilterSession(instance.milter) as s:
        return s.message("<>", [f"<{rcpt}>"])


def recorded(instance, since=0):
    """Waits until the keyring has the record of a first signed message."""
    instance.wait_text("keyring generation .* in force", since=since)


def pause(instance, command="pause"):
    mark = instance.mark()
    instance.ctl(command, rc=0)
    instance.wait_text("verification is", since=mark)


def run(instance, *args, user=None):
    """batvd with these arguments, to its end; (status, stderr)."""
    become = {"user": user, "group": user and "nogroup", "extra_groups": []} if user else {}
    done = subprocess.run([util.binary("batvd"), *args], capture_output=True, text=True, timeout=30,
                          env=instance.environment(), cwd="/", check=False, **become)
    return done.returncode, done.stderr + done.stdout


# -- arguments and configuration --------------------------------------------------------------

def test_version_and_usage(batvd):
    instance = batvd()
    assert run(instance, "-V")[0] == 0
    assert run(instance, "-x")[0] == 64
    assert run(instance, "-c", str(instance.conf), "more")[0] == 64


def test_check_only(batvd):
    instance = batvd(REJECT)
    instance.ctl("key", "init", rc=0)
    assert run(instance, "-c", str(instance.conf), "-n") == (0, "")
    assert not (instance.state / "status").exists()
    assert not (instance.run / "milter.sock").exists()


@pytest.mark.parametrize("text, complaint", [
    ('surprise = 1;', ":1: error: surprise"),
    ('domains = ( "example.com" );\nverify: { action = "refuse"; };', ":2: error: verify.action"),
    ('keys: {\n rotate_days = 4294967296;\n};', ":2: error:"),
    ('internal_networks = [ "192.0.2.0/33" ];', ":1: error: internal_networks"),
    ('domains = ( "example.com",\n "Example.COM" );', ":2: error: domains"),
    ('sign: { lifetime_days = 61; };', ":1: error: sign.lifetime_days"),
    ('domains = "x', "error:"),
], ids=lambda value: value[:20])
def test_a_bad_configuration_names_file_and_line(batvd, text, complaint):
    instance = batvd(text)
    for arguments in ([], ["-n"]):
        status, said = run(instance, "-c", str(instance.conf), *arguments)
        assert status == CONFIG_ERROR
        assert str(instance.conf) in said and complaint in said, said


def test_no_configuration(batvd):
    instance = batvd()
    status, said = run(instance, "-c", "/nonexistent/batvd.conf")
    assert status == CONFIG_ERROR and "/nonexistent/batvd.conf" in said


def test_without_keys_it_says_how_to_make_one(batvd):
    instance = batvd(init_keys=False)
    status, said = run(instance, "-c", str(instance.conf))
    assert status == CONFIG_ERROR
    assert f"{instance.state}/keyring" in said and "batvctl key init" in said


def test_root_without_saying_so_is_refused(batvd):
    instance = batvd(user=None)
    status, said = run(instance, "-c", str(instance.conf), "-n")
    assert status == CONFIG_ERROR and "root" in said and "user" in said
    assert run(batvd(user="root"), "-V")[0] == 0


def test_root_that_says_so(batvd):
    instance = batvd(REJECT, user="root").start()
    assert sign(instance)


def test_an_unknown_user(batvd):
    instance = batvd()
    instance.configure({"user": "no-such-user"})
    status, said = run(instance, "-c", str(instance.conf))
    assert status == CONFIG_ERROR and "no-such-user" in said


def test_an_ordinary_user_stays_what_he_is(batvd):
    instance = batvd(user="nobody")
    instance.ctl("key", "init", rc=0)
    instance.configure({"user": None})
    assert run(instance, "-c", str(instance.conf), "-n", user="nobody")[0] == 0
    instance.configure({"user": "daemon"})
    status, said = run(instance, "-c", str(instance.conf), "-n", user="nobody")
    assert status == CONFIG_ERROR and "daemon" in said


def test_it_gives_up_root(batvd):
    instance = batvd(REJECT).start()
    status = pathlib.Path(f"/proc/{instance.pid}/status").read_text("ascii")
    uid, gid = util.owner_ids("nobody")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(uid)] * 4
    assert fields["Gid"].split() == [str(gid)] * 4
    assert fields["Groups"].split() in ([], [str(gid)])
    assert fields["SigBlk"][-4:] != "0000"


def test_it_hides_its_memory(batvd):
    instance = batvd(REJECT).start()
    limits = pathlib.Path(f"/proc/{instance.pid}/limits").read_text("ascii")
    line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]
    assert os.stat(f"/proc/{instance.pid}/mem").st_uid == 0      # not dumpable: root's


# -- the socket -------------------------------------------------------------------------------

def test_mode_and_group_of_the_socket(batvd):
    instance = batvd({"listen_mode": "0620", "listen_group": "mail"}).start()
    found = os.stat(instance.run / "milter.sock")
    assert stat.S_IMODE(found.st_mode) == 0o620
    assert found.st_gid == grp.getgrnam("mail").gr_gid
    assert found.st_uid == util.owner_ids("nobody")[0]


def test_an_unknown_group(batvd):
    with pytest.raises(StartFailure) as failed:
        batvd({"listen_group": "no-such-group"}).start()
    assert failed.value.status == CONFIG_ERROR and "no-such-group" in failed.value.log


def test_a_folder_that_is_not_there(batvd):
    instance = batvd()
    instance.configure({"listen": f"unix:{instance.folder}/none/milter.sock"})
    with pytest.raises(StartFailure) as failed:
        instance.start()
    assert f"{instance.folder}/none/milter.sock" in failed.value.log
    assert "No such file" in failed.value.log


def test_a_stale_socket_is_replaced(batvd):
    instance = batvd(REJECT).start()
    instance.kill9()
    assert (instance.run / "milter.sock").exists()
    instance.start()
    assert sign(instance)


def test_a_socket_that_somebody_serves_is_not(batvd):
    instance = batvd()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(instance.run / "milter.sock"))
        other.listen()
        before = os.stat(instance.run / "milter.sock").st_ino
        instance.ctl("key", "init", rc=0)
        status, said = run(instance, "-c", str(instance.conf))
        assert status == 75 and "another program" in said
        assert os.stat(instance.run / "milter.sock").st_ino == before


def test_the_socket_goes_with_the_daemon_unless_it_is_anothers(batvd):
    instance = batvd(REJECT).start()
    instance.stop()
    assert not (instance.run / "milter.sock").exists()
    instance.start()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(instance.run / "other"))
        (instance.run / "other").rename(instance.run / "milter.sock")
        instance.stop()
        assert (instance.run / "milter.sock").exists()


def test_the_owner_of_the_folder_binds_the_socket(batvd):
    """A folder of a third: the socket is the daemon's all the same."""
    instance = batvd({"listen_mode": "0660", "listen_group": "mail"})
    os.chown(instance.run, *util.owner_ids("daemon"))
    instance.run.chmod(0o755)
    instance.start()
    found = os.stat(instance.run / "milter.sock")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == \
        (util.owner_ids("nobody")[0], grp.getgrnam("mail").gr_gid, 0o660)
    assert sign(instance)


@pytest.mark.parametrize("what", ["socket", "state"])
def test_root_follows_nobody_into_a_folder_of_its_own(batvd, what):
    """The way leads through somebody else's folder to one of root's."""
    instance = batvd()
    instance.ctl("key", "init", rc=0)
    way = instance.folder / "way"
    way.mkdir()
    inside = instance.folder / "roots"
    inside.mkdir(mode=0o755)
    (way / "on").symlink_to(inside)
    os.chown(way, *util.owner_ids("nobody"))
    if what == "socket":
        instance.configure({"listen": f"unix:{way}/on/milter.sock"})
        status, said = run(instance, "-c", str(instance.conf))
        assert status == CONFIG_ERROR and "could redirect root" in said, said
    else:
        instance.configure({"state_dir": f"{way}/on"})
        done = instance.ctl("key", "init")
        assert done.rc == 2 and "could redirect root" in done.err
    assert not list(inside.iterdir())


def test_a_default_acl_does_not_change_the_sockets_mode(batvd):
    instance = batvd({"listen_mode": "0620"})
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, rights, 0xffffffff)
        for tag, rights in ((1, 7), (4, 5), (0x20, 5)))
    try:
        os.setxattr(instance.run, "system.posix_acl_default", acl)
    except OSError as error:
        pytest.skip(f"no ACLs here: {error}")
    instance.start()
    assert stat.S_IMODE(os.stat(instance.run / "milter.sock").st_mode) == 0o620


def test_one_daemon_a_state_folder(batvd):
    instance = batvd(REJECT).start()
    second = instance.folder / "second.conf"
    second.write_text(instance.conf.read_text().replace("milter.sock", "second.sock"))
    status, said = run(instance, "-c", str(second))
    assert status == 75 and str(instance.state) in said and "another batvd" in said
    assert sign(instance)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_that_end_it(batvd, number):
    instance = batvd(REJECT).start()
    instance.signal(number)
    assert instance.process.wait(15 * util.PATIENCE) == 0
    instance.stop()


# -- keys -------------------------------------------------------------------------------------

def test_a_rotation_is_seen_within_a_second(batvd):
    """The quickest of four counts: the machine may have stopped for a moment, the daemon may not
    have waited."""
    instance = batvd({**REJECT, "keys": {"rotate_days": 0}}).start()
    before = sign(instance)
    times = []
    for key in range(1, 5):
        instance.ctl("key", "rotate", rc=0)
        began = time.monotonic()
        util.wait_for(lambda: int(sign(instance)[5]) == key, 10)
        times.append(time.monotonic() - began)
    assert min(times) < 1, times
    assert bounce(instance, before).verdict == "accept"


def test_root_rotates_and_the_daemon_still_reads(batvd):
    instance = batvd(REJECT).start()
    instance.ctl("key", "rotate", rc=0)
    found = os.stat(instance.state / "keyring")
    assert found.st_uid == util.owner_ids("nobody")[0] and stat.S_IMODE(found.st_mode) == 0o600
    instance.wait_text("keyring generation .* in force, key 1 signs")


@pytest.mark.parametrize("damage", ["truncate", "mode", "garbage", "remove"])
def test_a_bad_ring_leaves_the_old_one_in_force(batvd, damage):
    instance = batvd(REJECT).start()
    tagged = sign(instance)
    recorded(instance)
    ring = instance.state / "keyring"
    good = ring.read_bytes()
    mark = instance.mark()
    if damage == "truncate":
        ring.write_bytes(good[:len(good) // 2])
    elif damage == "garbage":
        ring.write_bytes(b"\0\xff" * 500)
    elif damage == "mode":
        ring.chmod(0o640)
    else:
        ring.unlink()
    line = instance.wait_text("keyring rejected", since=mark)
    assert str(ring) in line
    if damage == "mode":
        assert "0640" in line
    assert bounce(instance, tagged).verdict == "accept"
    assert sign(instance)[5] == tagged[5]
    time.sleep(1)
    assert instance.log_text()[mark:].count("keyring rejected") == 1
    ring.write_bytes(good)
    os.chown(ring, *util.owner_ids("nobody"))
    ring.chmod(0o600)
    instance.wait_text("keyring generation", since=mark)


@pytest.mark.parametrize("stage", ["eom", "rcpt"])
@pytest.mark.parametrize("on_error", ["tempfail", "accept"])
def test_a_ring_that_cannot_be_read_now(batvd, stage, on_error):
    """A tag by a key that nobody knows may be by a newer one: on_error answers, as long as it takes,
    and not the rule for such tags."""
    instance = batvd({"verify": {"action": "reject", "reject_at": stage}, "on_error": on_error})
    ring, rotated = instance.state / "keyring", instance.state / "rotated"
    instance.ctl("key", "init", rc=0)
    former = ring.read_bytes()
    instance.ctl("key", "rotate", rc=0)
    newer = instance.tagged("alice@example.com", key=1)
    ring.rename(rotated)
    ring.write_bytes(former)
    shutil.copystat(rotated, ring)
    os.chown(ring, *util.owner_ids("nobody"))
    instance.start()
    with MilterSession(instance.milter) as s:
        mark = instance.mark()
        instance.state.chmod(0o000)
        rotated.rename(ring)
        for _ in range(3):
            out = s.message("<>", [f"<{newer}>"])
            assert (out.verdict, out.mods) == (on_error, [])
            assert out.text == ("451 4.3.0 mail filter error, try again later"
                                if on_error == "tempfail" else "")
            assert out.stage == ("rcpt" if out.text and stage == "rcpt" else "eom")
        log = instance.log_text()[mark:]
        assert log.count("keyring rejected") == 1 and "unknown-key" not in log
        told = log.count(f"internal error (memory, crypto or keyring): applying on_error={on_error}")
        assert told == (3 if out.stage == "eom" else 0), log
        instance.state.chmod(0o700)
        assert s.message("<>", [f"<{newer}>"]).final_rcpts == ["alice@example.com"]


@pytest.mark.parametrize("damage", ["truncate", "mode"])
def test_a_bad_ring_at_the_start(batvd, damage):
    instance = batvd()
    instance.ctl("key", "init", rc=0)
    ring = instance.state / "keyring"
    if damage == "truncate":
        ring.write_bytes(ring.read_bytes()[:-20])
    else:
        ring.chmod(0o604)
    for arguments in ([], ["-n"]):
        status, said = run(instance, "-c", str(instance.conf), *arguments)
        assert status == CONFIG_ERROR and str(ring) in said, said


@pytest.mark.seconds(240)
def test_sixty_rotations_killed_leave_sixty_whole_rings(batvd):
    """kill -9 at a random instant: the old ring or the new one, never half of one."""
    instance = batvd({"keys": {"rotate_days": 0}})
    instance.ctl("key", "init", rc=0)
    fresh = (instance.state / "keyring").read_bytes()
    began = time.monotonic()
    instance.ctl("key", "rotate", rc=0)
    span = time.monotonic() - began
    outcomes = set()
    uid, gid = util.owner_ids("nobody")
    for turn in range(60):
        if turn % 5 == 0:
            (instance.state / "keyring").write_bytes(fresh)
        former = (instance.state / "keyring").read_bytes()
        process = subprocess.Popen([util.binary("batvctl"), "-c", str(instance.conf), "key", "rotate"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=instance.environment(), cwd="/")
        time.sleep(random.uniform(0, 1.5 * span))
        process.kill()
        process.wait()
        keys = instance.ctl("key", "list", json=True)
        assert sum(key["state"] == "active" for key in keys) == 1
        through = (instance.state / "keyring").read_bytes() != former
        span *= 0.95 if through else 1.1     # other tests take the processors, or leave them
        outcomes.add(through)
        found = os.stat(instance.state / "keyring")
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (uid, 0o600)
    assert outcomes == {True, False}
    instance.ctl("key", "rotate")
    left = {name for name in os.listdir(instance.state) if name.startswith("keyring")}
    assert left == {"keyring", "keyring.lock"}


def test_automatic_rotation(batvd):
    """By itself when it is due, once, and the former key's tags stay good."""
    instance = batvd({**REJECT, "keys": {"rotate_days": 3}}, fake_time=True, monotonic=True).start()
    before = sign(instance)
    instance.travel(days=2.9)
    time.sleep(2)
    assert sign(instance)[5] == before[5]
    instance.travel(days=3.1)
    instance.wait_text("keyring generation .* key 1 signs")
    after = sign(instance)
    assert int(after[5]) == int(before[5]) + 1
    assert bounce(instance, before).verdict == "accept"
    time.sleep(2)
    assert sign(instance)[5] == after[5]


def test_rotation_that_fell_due_while_it_was_away_happens_once(batvd):
    instance = batvd(REJECT, fake_time=True)
    instance.ctl("key", "init", rc=0)
    instance.travel(days=30)
    instance.start()
    instance.wait_text("keyring generation .* key 1 signs")
    time.sleep(2.5)
    assert [key["state"] for key in instance.ctl("key", "list", json=True)
            if key["number"] == 1] == ["active"]
    assert instance.active_key() == 1


# -- the clock --------------------------------------------------------------------------------

@pytest.mark.parametrize("days", [30, -30, 400])
def test_a_clock_that_jumps_stops_rotation_until_it_is_right(batvd, days):
    instance = batvd({"keys": {"rotate_days": 7}}, fake_time=True, monotonic=False).start()
    tagged = sign(instance)
    recorded(instance)
    mark = instance.mark()
    instance.travel(days=days)
    instance.wait_text("clock jumped", since=mark)
    time.sleep(2)
    assert instance.active_key() == int(tagged[5])
    assert sign(instance), "signing goes on"
    mark = instance.mark()
    instance.travel(days=0)
    instance.wait_text("clock is right again", since=mark)
    assert bounce(instance, tagged).verdict == "accept"


def test_a_start_with_a_clock_far_before_the_ring(batvd):
    instance = batvd({"keys": {"rotate_days": 1, "retain_days": 0}, "sign": {"lifetime_days": 1}},
                     fake_time=True)
    instance.ctl("key", "init", rc=0)
    instance.travel(days=-10)
    instance.start()
    instance.wait_text("clock says .* keyring was written on")
    assert sign(instance), "no key is lost to a clock"
    assert bounce(instance).verdict == "accept"


# -- switches ---------------------------------------------------------------------------------

def test_pause_and_resume(batvd):
    instance = batvd(REJECT).start()
    assert bounce(instance).verdict == "reject"
    pause(instance)
    mark = instance.mark()
    assert bounce(instance).verdict == "accept"
    entry = instance.wait_entry("verify", since=mark)
    assert (entry["action"], entry["would"]) == ("log", "reject")
    assert sign(instance)
    instance.restart()
    assert bounce(instance).verdict == "accept"
    pause(instance, "resume")
    assert bounce(instance).verdict == "reject"


def test_reload(batvd):
    instance = batvd(REJECT).start()
    assert bounce(instance).verdict == "reject"
    instance.reload({"verify": {"action": "log"}})
    assert bounce(instance).verdict == "accept"


def test_a_broken_reload_keeps_the_old_configuration_and_says_so(batvd):
    instance = batvd(REJECT).start()
    mark = instance.mark()
    instance.reload("verify: { action = 7; };\n", ok=False)
    text = instance.log_text()[mark:]
    assert f"{instance.conf}:1: error: verify.action" in text
    assert bounce(instance).verdict == "reject"
    instance.configure(REJECT)      # mended, but not taken in yet
    assert "verify.action" in str(instance.ctl("status", json=True))
    instance.reload(REJECT)
    util.wait_for(lambda: "verify.action" not in str(instance.ctl("status", json=True)), 10,
                  "a report without the error")


def test_what_a_reload_cannot_change_is_named(batvd):
    instance = batvd(REJECT).start()
    mark = instance.mark()
    other = f"unix:{instance.run}/other.sock"
    instance.reload({**REJECT, "listen": other, "journal": {"max_size": 16777216}})
    instance.wait_text(f'listen has changed from ".*" to "{other}": restart', since=mark)
    instance.wait_text("journal.max_size has changed from 1073741824 to 16777216: restart",
                       since=mark)
    assert sign(instance)


def test_a_message_keeps_the_settings_that_it_began_with(batvd):
    instance = batvd(REJECT).start()
    with MilterSession(instance.milter) as s:
        s.mail("<>")
        s.rcpt("<alice@example.com>")
        instance.reload({"verify": {"action": "log"}})
        s.data()
        s.eoh()
        assert s.eom().kind == "reject"
        assert s.message("<>", ["<alice@example.com>"]).verdict == "accept"


# -- the waiting time -------------------------------------------------------------------------

def test_a_domain_that_is_removed_loses_its_record(batvd):
    both = {"domains": ("example.com", "example.net")}
    instance = batvd(both, fake_time=True).start()
    sign(instance)
    recorded(instance)
    mark = instance.mark()
    sign(instance, "a@example.net")
    recorded(instance, mark)
    instance.tag_comes_back()
    instance.tag_comes_back("a@example.net")
    instance.stop()
    instance.travel(days=8)
    instance.start()
    assert bounce(instance).verdict == "reject"
    assert bounce(instance, "a@example.net").verdict == "reject"
    instance.reload({"domains": ("example.com",)})
    instance.reload(both)
    mark = instance.mark()
    assert bounce(instance).verdict == "reject"
    assert bounce(instance, "a@example.net").verdict == "accept"
    entry = instance.wait_entry("verify", since=mark, rcpt="<a@example.net>")
    assert (entry["action"], entry["would"], entry["rule"]) == ("log", "reject", "auto.warm-up")


def test_relayed_unsigned_mail_is_remembered_across_a_restart(batvd):
    instance = batvd({}, fake_time=True).start()
    sign(instance)
    instance.tag_comes_back()
    instance.travel(days=6.5)
    instance.restart()
    with MilterSession(instance.milter, client=("app.example.com", "192.0.2.77", 99),
                       macros=LEAVING) as s:
        assert s.message("<alice@example.com>", ["<far@other.test>"]).mods == []
    instance.wait_log("relayed-unsigned")
    instance.travel(days=8)
    instance.restart()
    mark = instance.mark()
    assert bounce(instance).verdict == "accept"
    assert instance.wait_entry("verify", since=mark)["rule"] == "auto.warm-up"
    assert "192.0.2.77" in instance.ctl("status").out
    assert "192.0.2.77" in str(instance.ctl("status", json=True))


# -- what a review found ----------------------------------------------------------------------

def test_a_reload_with_another_state_folder_does_not_end_a_pause(batvd):
    instance = batvd(REJECT).start()
    pause(instance)
    assert bounce(instance).verdict == "accept"
    other = instance.folder / "other"
    other.mkdir()
    os.chown(other, *util.owner_ids("nobody"))
    instance.reload({**REJECT, "state_dir": str(other)})
    time.sleep(1)
    assert bounce(instance).verdict == "accept"


def test_a_bounce_does_not_wait_for_whoever_writes_the_keyring(batvd):
    instance = batvd(REJECT).start()
    lock = os.open(instance.state / "keyring.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sign(instance)       # whose record the daemon now wants to write
        time.sleep(1.5)
        began = time.monotonic()
        assert bounce(instance).verdict == "reject"
        assert time.monotonic() - began < 2 * util.PATIENCE
    finally:
        os.close(lock)


def test_a_configuration_that_only_root_can_read_is_told_at_the_start(batvd):
    instance = batvd(REJECT)
    instance.conf.chmod(0o600)
    instance.ctl("key", "init", rc=0)
    status, said = run(instance, "-c", str(instance.conf), "-n")
    assert status == 0 and "a reload will fail" in said
