"""What the machine or the other side may do to the daemon: no room, no right, no descriptors, clocks
that jump, kill -9 at any instant, sessions that are dropped, slow or endless. Mail is deferred at
worst, no key is lost, and the daemon is what it was before once the fault is over."""

import concurrent.futures
import contextlib
import ctypes
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time

import pytest

from batvtest import capability, tag, util
from batvtest.daemon import StartFailure
from batvtest.milter import LEAVING, MilterSession, connect_socket

pytestmark = pytest.mark.slow

ALICE = "alice@example.com"
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
REJECT = {"verify": {"action": "reject"}}
SANITIZED = os.environ.get("BATV_SANITIZER", "") != ""
KILLS = int(os.environ.get("BATV_KILLS", "40" if SANITIZED else "200"))
DROPS = int(os.environ.get("BATV_DROPS", "1000" if SANITIZED else "10000"))
MIB = 1024 * 1024

# Has the state folder on a small file system of its own, which only the daemon sees.
SMALL_DISK = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
              'set -e; cp -a "$1" "$1.kept"; mount -t tmpfs -o size=512k,mode=700 tmpfs "$1"; '
              'chown --reference="$1.kept" "$1"; cp -a "$1.kept/." "$1"; shift; exec "$@"', "sh"]


def sign(instance, sender=ALICE, **options):
    with MilterSession(instance.milter, **INSIDE, **options) as s:
        return s.message(f"<{sender}>", ["<far@other.test>"]).new_sender


def bounce(instance, rcpt=ALICE):
    with MilterSession(instance.milter) as s:
        return s.message("<>", [f"<{rcpt}>"]).verdict


def memory(pid):
    """Anonymous resident octets."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in text.splitlines()
                if line.startswith("RssAnon:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def list_descriptors(pid):
    folder = f"/proc/{pid}/fd"
    return sorted(os.readlink(f"{folder}/{number}") for number in os.listdir(folder))


# -- room and rights --------------------------------------------------------------------------

@pytest.fixture
def may_mount():
    capability.needed("CAP_SYS_ADMIN", "a mount")


@pytest.fixture
def small_disk(batvd, may_mount):
    """A daemon with SMALL_DISK, its state folder as seen from here, and what runs commands in its
    place and batvctl there."""
    instance = batvd(REJECT)
    instance.under = [*SMALL_DISK, str(instance.state)]
    instance.start()
    state = pathlib.Path(f"/proc/{instance.pid}/root{instance.state}")

    def inside(*command):
        return subprocess.run(["nsenter", "--target", str(instance.pid), "--mount", "--root", "--",
                               *map(str, command)], capture_output=True, text=True, check=False,
                              cwd="/")

    def ctl(*args):
        return inside(util.binary("batvctl"), "-c", instance.conf, *args)
    return instance, state, inside, ctl


def still_serves(instance, tagged):
    assert sign(instance) == tagged
    assert bounce(instance, tagged) == "accept"
    assert bounce(instance) == "reject"


def test_a_full_disk(small_disk):
    """Keys stay as they are and mail is handled as before; then all that waited is written."""
    instance, state, _, ctl = small_disk
    tagged = sign(instance)
    instance.wait_text("keyring generation .* in force")
    util.wait_for((state / "status").exists, 15)
    former = (state / "keyring").read_bytes()
    with (state / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(b"x" * 4096)
    mark = instance.mark()
    still_serves(instance, tagged)
    done = ctl("key", "rotate")
    assert done.returncode != 0 and "No space left" in done.stderr, done
    assert (state / "keyring").read_bytes() == former
    assert not (state / "keyring.new").exists()
    instance.wait_text("(?i)journal.*(no space|full|cannot be written)|No space left", since=mark)
    still_serves(instance, tagged)
    (state / "filler").unlink()
    mark = instance.mark()
    assert ctl("key", "rotate").returncode == 0
    instance.wait_text("keyring generation .* key 1 signs", since=mark)
    assert int(sign(instance)[5]) == 1
    assert bounce(instance, tagged) == "accept"

    def journalled():
        return ctl("journal", "stat").stdout and " 0 entries" not in ctl("journal", "stat").stdout
    util.wait_for(journalled, 15, lambda: ctl("journal", "stat").stdout)


def test_a_read_only_state_folder(small_disk):
    instance, state, inside, ctl = small_disk
    tagged = sign(instance)
    instance.wait_text("keyring generation .* in force")
    former = (state / "keyring").read_bytes()
    # What is open for writing, as the journal, stays so: the folder as it is found by its name.
    assert inside("mount", "--bind", instance.state, instance.state).returncode == 0
    assert inside("mount", "-o", "remount,bind,ro", instance.state).returncode == 0
    still_serves(instance, tagged)
    done = ctl("key", "rotate")
    assert done.returncode != 0 and "Read-only file system" in done.stderr, done
    assert (state / "keyring").read_bytes() == former
    instance.reload()       # which writes the status file, too
    instance.wait_text("status file: .*Read-only")
    still_serves(instance, tagged)
    assert inside("umount", instance.state).returncode == 0
    assert ctl("key", "rotate").returncode == 0
    util.wait_for(lambda: int(sign(instance)[5]) == 1, 10)


def test_a_start_on_a_read_only_state_folder(batvd, may_mount):
    instance = batvd(REJECT)
    script = SMALL_DISK[-2].replace("; shift", '; mount -o remount,ro "$1"; shift')
    instance.under = [*SMALL_DISK[:-2], script, "sh", str(instance.state)]
    with pytest.raises(StartFailure) as failed:
        instance.start()
    assert failed.value.status == 71 and str(instance.state / "lock") in failed.value.log
    assert "Read-only file system" in failed.value.log


def test_no_descriptors_left(batvd):
    """The surplus waits, no tag is judged by a keyring that could not be looked at, and all of it
    is over with the crowd."""
    limit = 64
    instance = batvd({**REJECT, "keys": {"rotate_days": 0}})
    instance.under = ["prlimit", f"--nofile={limit}:{limit}"]
    instance.start()
    before = descriptors(instance.pid)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(MilterSession(instance.milter))
        crowd = [stack.enter_context(contextlib.closing(connect_socket(instance.milter)))
                 for _ in range(2 * limit)]
        util.wait_for(lambda: descriptors(instance.pid) >= limit, 10)
        instance.ctl("key", "rotate", rc=0)
        newer = instance.tagged(ALICE, key=1)
        assert first.message("<>", [f"<{newer}>"]).verdict == "tempfail"
        time.sleep(3)
        assert instance.running
        assert first.message("<>", [f"<{newer}>"]).verdict == "tempfail"
    util.wait_for(lambda: descriptors(instance.pid) <= before + 2, 60,
                  lambda: f"{before} descriptors and two, of {list_descriptors(instance.pid)}")
    assert len(crowd) == 2 * limit
    assert bounce(instance, newer) == "accept"
    assert int(sign(instance)[5]) == 1


# -- clocks -----------------------------------------------------------------------------------

def test_a_clock_that_jumps_refuses_no_genuine_bounce(batvd):
    """By a day and a year, forwards and back, each time there and back again; for a domain that is
    past its waiting time, under `auto`."""
    instance = batvd({"keys": {"rotate_days": 0}}, fake_time=True).start()
    sign(instance)
    instance.tag_comes_back()
    instance.stop()
    instance.travel(days=8)
    instance.start()
    tagged = sign(instance)
    former = (instance.state / "keyring").read_bytes()
    for days in (1, -1, 365, -365):
        assert bounce(instance) == "reject"
        mark = instance.mark()
        instance.travel(days=8 + days)
        if abs(days) > 1:
            instance.wait_text("clock jumped", since=mark)
            assert bounce(instance) == "accept"     # and logged: it might be genuine
        assert bounce(instance, tagged) == "accept"
        assert sign(instance), "no key is lost to a clock"
        mark = instance.mark()
        instance.travel(days=8)
        if abs(days) > 1:
            instance.wait_text("clock is right again", since=mark)
        assert bounce(instance, tagged) == "accept"
        assert sign(instance) == tagged
    assert (instance.state / "keyring").read_bytes() == former


# -- the one before ---------------------------------------------------------------------------

def test_a_former_instance_that_still_listens(batvd):
    """Stopped in its tracks it answers nobody, yet holds lock and socket: the next one says so, and
    takes over as soon as it is gone, whose socket was never removed."""
    former = batvd(REJECT).start()
    tagged = sign(former)
    former.signal(signal.SIGSTOP)
    argv = [util.binary("batvd"), "-c", former.conf]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, cwd="/")
    assert done.returncode == 75 and "another batvd" in done.stderr, done
    # Of another state folder, but with the same socket: its process is not there to be asked.
    other = former.folder / "other"
    other.mkdir(mode=0o700)
    (other / "keyring").write_bytes((former.state / "keyring").read_bytes())
    (other / "keyring").chmod(0o600)
    for path in (other, other / "keyring"):
        os.chown(path, *util.owner_ids("nobody"))
    text = former.conf.read_text("utf-8")
    (former.folder / "other.conf").write_text(text.replace(str(former.state), str(other)), "utf-8")
    argv[2] = former.folder / "other.conf"
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, cwd="/")
    assert done.returncode == 75 and "another program is listening" in done.stderr, done
    former.kill9()
    assert former.socket_path.is_socket()
    former.start()
    assert sign(former) == tagged
    assert bounce(former, tagged) == "accept"


@pytest.fixture
def may_take_descriptors():
    capability.needed("CAP_SYS_PTRACE", "another process's descriptors")


@contextlib.contextmanager
def taken_descriptor(pid, number):
    """The same descriptor as the process's, held as a fork of it would."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd_getfd = 438
    process = os.pidfd_open(pid)
    taken = libc.syscall(pidfd_getfd, process, number, 0)
    os.close(process)
    if taken < 0:
        pytest.skip(f"no descriptors can be taken here: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.close(taken)


def descriptor_of(instance, names):
    """The number of the one whose name fits."""
    folder = pathlib.Path(f"/proc/{instance.pid}/fd")
    return next(int(entry.name) for entry in folder.iterdir() if os.readlink(entry) in names)


def listening(instance):
    """Names of what listens, as descriptors have them."""
    if instance.port:
        table, address = "tcp", f" 0100007F:{instance.port:04X} 00000000:0000 0A "
    else:
        table, address = "unix", " 00010000 0001 01 "
    lines = pathlib.Path(f"/proc/{instance.pid}/net/{table}").read_text("utf-8").splitlines()
    place = str(instance.socket_path)
    return [f"socket:[{line.split()[9 if instance.port else 6]}]" for line in lines
            if address in line and (instance.port or place in line)]


@pytest.mark.parametrize("listen", ["unix", "inet"])
def test_a_fork_of_the_former_instance_still_listens(batvd, listen, may_take_descriptors):
    """Whose connections nobody takes any more: the next one refuses to start beside it, does not
    touch its socket, and starts once it is gone."""
    instance = batvd(REJECT, listen=listen).start()
    tagged = sign(instance)
    with taken_descriptor(instance.pid, descriptor_of(instance, listening(instance))):
        instance.kill9()
        assert instance.accepts()
        done = subprocess.run([util.binary("batvd"), "-c", instance.conf], capture_output=True,
                              text=True, timeout=30, check=False, cwd="/")
        if listen == "unix":
            assert done.returncode == 75 and "another program is listening" in done.stderr, done
        else:
            assert done.returncode == 71 and "Address already in use" in done.stderr, done
        assert instance.accepts()
    instance.start()
    assert sign(instance) == tagged
    assert bounce(instance, tagged) == "accept"


def test_a_fork_of_the_former_instance_still_holds_the_lock(batvd, may_take_descriptors):
    instance = batvd(REJECT).start()
    tagged = sign(instance)
    lock = descriptor_of(instance, [str(instance.state / "lock")])
    with taken_descriptor(instance.pid, lock):
        instance.kill9()
        with pytest.raises(StartFailure) as failed:
            instance.start()
        assert failed.value.status == 75 and "another batvd" in failed.value.log
    instance.start()
    assert bounce(instance, tagged) == "accept"


# -- kill -9 ----------------------------------------------------------------------------------

class Workers:
    """Sign for addresses of their own until the daemon goes, and remember what they were given."""

    def __init__(self, instance, count, first):
        self.instance = instance
        self.tags = {}
        self._ending = False
        self._threads = [threading.Thread(target=self._work, args=(f"u{first}-{n}",))
                         for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _work(self, name):
        number = 0
        while not self._ending:
            try:
                with MilterSession(self.instance.milter, **INSIDE) as session:
                    while not self._ending:
                        number += 1
                        sender = f"{name}-{number}@example.com"
                        tagged = session.message(f"<{sender}>", ["<far@other.test>"]).new_sender
                        self.tags[sender] = tagged
            except (OSError, EOFError):
                time.sleep(0.002)

    def end(self):
        self._ending = True
        for thread in self._threads:
            thread.join()
        return self.tags


@pytest.mark.seconds(300)
def test_killed_at_any_instant_under_traffic(batvd):
    """With journal, rotations and new evidence secrets going on. Afterwards the keyring is whole,
    the journal opens, no key is missing and every tag that was handed out is good."""
    chance = random.Random(20779)
    instance = batvd({**REJECT, "keys": {"rotate_days": 0}})
    instance.ctl("key", "init", rc=0)
    argv = [util.binary("batvd"), "-c", instance.conf]
    rotation = [util.binary("batvctl"), "-c", instance.conf, "key", "rotate"]
    tags = {}
    rotated = 0
    with instance.log_file.open("ab") as log:
        for turn in range(KILLS):
            daemon = subprocess.Popen(argv, cwd="/", stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, env=instance.environment())
            workers = Workers(instance, 3, turn)
            new_key = turn % 25 == 24 and rotated < 7
            change = subprocess.Popen(rotation + ([] if new_key else ["--evidence"]), cwd="/",
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            # Mostly at the start; now and then when the journal writes and records are made.
            time.sleep(chance.uniform(1, 1.5) if turn % 40 == 7 else chance.uniform(0.01, 0.1))
            assert daemon.poll() is None, instance.log_text()[-2000:]
            daemon.kill()
            daemon.wait()
            tags.update(workers.end())
            said = change.communicate()[1]
            assert change.returncode == 0, said
            rotated += new_key
    assert len(tags) > KILLS
    assert None not in tags.values(), "a message went out unsigned"
    keys = {key["number"]: key["state"] for key in instance.ctl("key", "list", json=True)}
    assert keys == {**{n: "retained" for n in range(rotated)}, rotated: "active"}
    assert not (instance.state / "journal.damaged").exists()
    handed_out = list(tags.values())
    for at in range(0, len(handed_out), 500):
        instance.ctl("verify", *handed_out[at:at + 500], rc=0)
    instance.start()
    assert "journal.damaged" not in instance.log_text()
    for tagged in chance.sample(handed_out, 50):
        assert bounce(instance, tagged) == "accept"
    assert instance.ctl("journal", "stat", rc=0).out


# -- sessions ---------------------------------------------------------------------------------

def packet(command, data=b""):
    return struct.pack("!I", len(data) + 1) + command + data


def dialog(rcpt=ALICE):
    """Packets of a session with a bounce, as an MTA without patience would send them."""
    return b"".join([
        packet(b"O", struct.pack("!III", 6, 0x1ff, 0x1fffff)),
        packet(b"D", b"Cj\0mail.example.com\0"),
        packet(b"C", b"mx.other.test\0004" + struct.pack("!H", 4711) + b"192.0.2.9\0"),
        packet(b"M", b"<>\0"), packet(b"R", f"<{rcpt}>".encode() + b"\0"), packet(b"T"),
        packet(b"L", b"From\0MAILER-DAEMON@other.test\0"),
        packet(b"L", b"Message-ID\0<x@other.test>\0"), packet(b"N"),
        packet(b"B", b"Message-ID: <y@example.com>\r\n" * 20), packet(b"E"), packet(b"Q")])


@pytest.mark.seconds(120)
def test_sessions_opened_and_dropped(batvd):
    """Cut off after any octet, with or without what was to be read: nothing of them is left."""
    instance = batvd(REJECT).start()
    whole = dialog()
    sign(instance)      # by then libmilter has opened what it keeps
    before = descriptors(instance.pid)

    def drop(count, seed):
        chance = random.Random(seed)
        for _ in range(count):
            with connect_socket(instance.milter) as sock:
                with contextlib.suppress(OSError):
                    sock.sendall(whole[:chance.randrange(len(whole) + 1)])
                    if chance.random() < 0.3:
                        sock.settimeout(0.05)
                        sock.recv(4096)
                if chance.random() < 0.2:       # a reset instead of an end
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def settled():
        # libmilter's pool may leave what has ended alone until something else happens
        connect_socket(instance.milter).close()
        return descriptors(instance.pid) <= before + 1
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(drop, [DROPS // 20] * 8, range(8)))
        util.wait_for(settled, 20)
        sign(instance)
        early = memory(instance.pid)
        list(pool.map(drop, [DROPS * 3 // 40] * 8, range(8, 16)))
    util.wait_for(settled, 20)
    assert bounce(instance, sign(instance)) == "accept"
    assert SANITIZED or memory(instance.pid) - early < MIB, (early, memory(instance.pid))


def test_peers_that_send_an_octet_at_a_time(batvd):
    """Others are served meanwhile, and they in the end. Where two sessions become ready at once,
    libmilter may give both to one thread: the second then waits for a whole command of the first, if
    that is one of these peers. So some of the others may be slow, not most."""
    instance = batvd(REJECT).start()
    whole = dialog()
    times = []
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect_socket(instance.milter)) for _ in range(20)]
        sent = dict.fromkeys(slow, 0)

        def trickle():
            """An octet to each that takes one, until all have had theirs."""
            while any(at < len(whole) for at in sent.values()):
                for sock, at in sent.items():
                    with contextlib.suppress(BlockingIOError):
                        sent[sock] += sock.send(whole[at:at + 1], socket.MSG_DONTWAIT)
                time.sleep(0.003)
        thread = threading.Thread(target=trickle)
        thread.start()
        while thread.is_alive():
            began = time.monotonic()
            assert sign(instance, timeout=60)
            times.append(time.monotonic() - began)
            time.sleep(0.05)
        thread.join()
        assert statistics.median(times) < 1 * util.PATIENCE, times
        for sock in slow:
            answers = b""
            while part := sock.recv(4096):
                answers += part
            assert b"550 5.7.1" in answers, answers


def test_messages_that_never_end(batvd):
    """Header fields, a body, recipients, macros without an end: they cost what is allowed for a
    message, and nobody else waits for them."""
    instance = batvd({**REJECT, "evidence": {"max_body": 262144}}).start()
    with contextlib.ExitStack() as stack:
        fields, body, outgoing = (stack.enter_context(MilterSession(instance.milter, **options))
                                  for options in ({}, {}, INSIDE))
        for session, sender in ((fields, "<>"), (body, "<>"), (outgoing, f"<{ALICE}>")):
            session.mail(sender)
            session.rcpt(f"<{ALICE}>")
            assert session.data().kind == "continue"
        sign(instance)
        before = memory(instance.pid)
        for n in range(20000):
            fields.header(f"X-{n}", "x" * 200)
        body.eoh()
        outgoing.header("From", ALICE)
        outgoing.eoh()
        chunk = b"x" * 65535
        for session in (body, outgoing):
            for _ in range(500):
                # Whatever it answered: one that does not listen.
                session.send_packet(b"B", chunk)
                session.read_packet()
        assert sign(instance) and bounce(instance) == "reject"
        assert SANITIZED or memory(instance.pid) - before < 4 * MIB
    util.wait_for(lambda: SANITIZED or memory(instance.pid) - before < MIB, 10)


def test_memory_is_flat(batvd):
    """Messages of every kind; tests/bench/flat does a million of them, and test_bench.py some."""
    instance = batvd(REJECT).start()
    tagged = sign(instance)
    count = 200 if SANITIZED else 800

    def work(_):
        with MilterSession(instance.milter, **INSIDE) as inside, \
                MilterSession(instance.milter) as outside:
            for _ in range(count // 4):
                inside.message(f"<{ALICE}>", ["<far@other.test>"])
                outside.message("<>", [f"<{tagged}>"])
                outside.message("<>", [f"<{ALICE}>"])
                outside.message("<friend@other.test>", [f"<{ALICE}>"])

    def resident():
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(work, range(2)))
        time.sleep(1.1)     # the journal writes once a second
        return memory(instance.pid)
    resident()
    early = resident()
    late = min(resident() for _ in range(2))
    assert SANITIZED or late - early < 128 * 1024, (early, late)
