"""A state folder that cannot be written, on a full disk, read-only or without the right to: `check`
fails and says what mends it, `status` does not pass off the report of a former process as that of
the one that runs, and all is well again after mending."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from batvtest import util
from batvtest.milter import MilterSession

REJECT = {"verify": {"action": "reject"}}
INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
SUBJECTS = ("state_dir.writable", "daemon.report", "journal.written")
OLD = 60        # seconds, which is older than a report may be

# Puts a small file system of its own over the state folder, and keeps it there while it runs.
HOLDER = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
          'set -e; cp -a "$1" "$1.kept"; mount -t tmpfs -o size=512k,mode=700 tmpfs "$1"; '
          'chown --reference="$1.kept" "$1"; cp -a "$1.kept/." "$1"; echo there; exec sleep 1000',
          "sh"]


def sign(instance, sender="alice@example.com"):
    with MilterSession(instance.milter, **INSIDE) as session:
        return session.message(f"<{sender}>", ["<far@other.test>"]).new_sender


def check(instance):
    """The findings on the state folder by their names, and check's exit status."""
    done = instance.ctl("check", "--json")
    found = {one["name"]: one for one in done.json if one["name"] in SUBJECTS}
    assert len([one for one in done.json if one["name"] in SUBJECTS]) == len(found)
    failed = [one for one in done.json if one["level"] == "fail"]
    assert done.rc == (1 if failed else 0), done
    return found


def levels(found):
    return {name: one["level"] for name, one in found.items()}


def all_well(instance):
    """As soon as the daemon has written its next report."""
    return util.wait_for(lambda: set(levels(check(instance)).values()) == {"ok"}, 20,
                         lambda: check(instance))


def status(instance):
    return instance.ctl("status", json=True)


@pytest.fixture
def disk(batvd):
    """A daemon with a small disk, in a mount namespace that outlives it; its state folder as seen
    from here; and what runs a shell's command line there."""
    instance = batvd(REJECT, fake_time=True)
    instance.ctl("key", "init", rc=0)
    holder = subprocess.Popen([*HOLDER, str(instance.state)], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL)
    with contextlib.closing(holder.stdout):
        if holder.stdout.readline() != "there\n":
            holder.wait()
            pytest.skip("no mounts of its own are allowed here: CAP_SYS_ADMIN")
    instance._prefix = ["nsenter", "--target", str(holder.pid), "--mount", "--root", "--"]

    def inside(line):
        return subprocess.run([*instance._prefix, "sh", "-c", line], capture_output=True, text=True,
                              check=False, cwd="/")
    instance.start()
    yield instance, pathlib.Path(f"/proc/{holder.pid}/root{instance.state}"), inside
    instance.kill9()
    holder.kill()
    holder.wait()


def fill(state):
    with (state / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(b"x" * 4096)


def test_all_is_well(batvd):
    instance = batvd(REJECT).start()
    found = check(instance)
    assert levels(found) == dict.fromkeys(SUBJECTS, "ok"), found
    assert re.fullmatch(rf"process {instance.pid} wrote it \d s ago", found["daemon.report"]["text"])
    answer = status(instance)
    assert (answer["pid"], answer["report_pid"], answer["report_fresh"]) == (
        instance.pid, instance.pid, True)
    assert not [name for name in os.listdir(instance.state) if name.startswith("check")]
    instance.stop()
    assert "daemon.report" not in check(instance)


def test_a_full_disk(disk):
    instance, state, inside = disk
    all_well(instance)
    former = instance.pid
    fill(state)
    sign(instance)
    found = check(instance)
    assert levels(found)["state_dir.writable"] == levels(found)["journal.written"] == "fail", found
    assert "No space left" in found["state_dir.writable"]["text"]
    assert "Do not restart" in found["state_dir.writable"]["text"]
    assert "No space left" in found["journal.written"]["text"]
    shown = inside(found["state_dir.writable"]["mend"].split(": ", 1)[1])
    assert shown.returncode == 0 and "/filler\n" in shown.stdout, shown
    instance.travel(OLD)
    found = check(instance)
    assert levels(found) == dict.fromkeys(SUBJECTS, "fail"), found
    assert re.match(rf"process {former} wrote its last report 1 min ago",
                    found["daemon.report"]["text"])
    assert not status(instance)["report_fresh"]
    assert "1 min old: it hangs, or cannot write" in instance.ctl("status", rc=0).out
    # Against the advice; a process that was killed cannot have said anything.
    instance.kill9()
    instance.start()
    found = check(instance)
    assert levels(found) == dict.fromkeys(SUBJECTS, "fail"), found
    assert re.match(rf"process {instance.pid} has written no report: the one there is of process "
                    rf"{former}, which has ended", found["daemon.report"]["text"])
    told = instance.ctl("status", rc=0).out
    assert f"batvd is running, process {instance.pid}\n" in told and f"is from process {former}," in told
    answer = status(instance)
    assert (answer["pid"], answer["report_pid"], answer["uptime"]) == (instance.pid, former, None)
    sign(instance)
    (state / "filler").unlink()
    all_well(instance)
    assert status(instance)["report_pid"] == instance.pid


def test_a_pause_on_a_full_disk(disk):
    """Its file is empty, and tells all the same since when. The daemon takes it up, but has no room
    for the report that would confirm it."""
    instance, state, _ = disk
    all_well(instance)
    fill(state)
    assert "no batvd has confirmed it" in instance.ctl("pause", rc=1).out
    instance.wait_text("verification is paused")
    assert (state / "paused").stat().st_size == 0
    since = status(instance)["paused_since"]
    assert since[:3] == "202" and "PAUSED since 202" in instance.ctl("status", rc=0).out
    pause = [one for one in instance.ctl("check", "--json").json if one["name"] == "pause"]
    assert "paused since 202" in pause[0]["text"], pause


def test_a_read_only_state_folder(disk):
    instance, state, inside = disk
    all_well(instance)
    done = inside(f"mount --bind {instance.state} {instance.state} && "
                  f"mount -o remount,bind,ro {instance.state}")
    assert done.returncode == 0, done
    found = check(instance)
    assert levels(found)["state_dir.writable"] == levels(found)["journal.written"] == "fail", found
    assert "Read-only" in found["state_dir.writable"]["text"]
    instance.travel(OLD)
    found = check(instance)
    assert levels(found) == dict.fromkeys(SUBJECTS, "fail"), found
    assert len({one["mend"] for one in found.values()}) == 1
    done = inside(found["state_dir.writable"]["mend"])
    assert done.returncode == 0, done
    all_well(instance)


def test_a_folder_that_its_owner_cannot_write(batvd):
    """Also after a restart, when the report is a former process's."""
    instance = batvd(REJECT).start()
    all_well(instance)
    former = instance.pid
    instance.state.chmod(0o500)
    found = check(instance)
    assert levels(found)["state_dir.writable"] == "fail", found
    instance.stop()
    instance.start()
    found = check(instance)
    assert levels(found)["daemon.report"] == "fail", found
    assert f"of process {former}, which has ended" in found["daemon.report"]["text"]
    assert f"is from process {former}," in instance.ctl("status", rc=0).out
    assert status(instance)["pid"] == instance.pid
    mend = found["daemon.report"]["mend"]
    assert mend == found["state_dir.writable"]["mend"] == f"chmod 700 {instance.state}"
    subprocess.run(["sh", "-c", mend], check=True)
    all_well(instance)


def test_a_daemon_that_may_not_write(batvd):
    """Where batvctl may: the report alone tells."""
    instance = batvd(REJECT)
    instance.under = ["prlimit", "--fsize=0:"]
    instance.start()
    found = check(instance)
    assert f"process {instance.pid} has written no report" in found["daemon.report"]["text"]
    assert levels(found) == {"state_dir.writable": "ok", "daemon.report": "fail",
                             "journal.written": "warn"}
    assert "`status file:`" in found["daemon.report"]["mend"]
    assert not status(instance)["report_fresh"] and status(instance)["pid"] == instance.pid
    instance.stop()
    instance.under = []
    instance.start()
    all_well(instance)


def test_a_daemon_that_hangs(batvd):
    instance = batvd(REJECT, fake_time=True).start()
    all_well(instance)
    instance.signal(signal.SIGSTOP)
    try:
        instance.travel(OLD)
        found = check(instance)
        assert found["daemon.report"]["level"] == "fail"
        assert f"kill {instance.pid};" in found["daemon.report"]["mend"]
    finally:
        instance.signal(signal.SIGCONT)
    all_well(instance)


def test_a_journal_in_memory_only(batvd):
    instance = batvd(REJECT)
    (instance.state / "journal.db").mkdir()
    os.chown(instance.state / "journal.db", *util.owner_ids("nobody"))
    instance.start()
    sign(instance)
    found = util.wait_for(lambda: (now := check(instance))["journal.written"]["level"] == "fail"
                          and now, 20, lambda: check(instance))
    assert "1 entries wait" in found["journal.written"]["text"], found
    assert f"kill {instance.pid};" in found["journal.written"]["mend"]
    assert status(instance)["journal_error"] and status(instance)["journal_pending"] == 1
    assert "the journal is not written" in instance.ctl("status", rc=0).out
    instance.stop()
    (instance.state / "journal.db").rmdir()
    instance.start()
    all_well(instance)
    assert status(instance)["journal_error"] is None
