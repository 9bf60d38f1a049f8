"""`batvctl health`: what a container's or a service's supervisor asks before it starts a daemon
anew. It fails only where no mail is served; what else may be wrong is asked with --ready."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from batvtest import daemon, util
from batvtest.milter import MilterSession

TYPO = 'verify: { action = "refuse"; };\n'


def health(instance, *args, **options):
    return instance.ctl("health", *args, **options)


def by_other_user(instance, *args):
    """The same as a user that is neither root nor the daemon's."""
    done = subprocess.run([util.binary("batvctl"), "-c", instance.conf, "health", *args],
                          capture_output=True, text=True, timeout=30 * util.PATIENCE, user="daemon",
                          group="daemon", extra_groups=[], cwd="/", check=False)
    return daemon.Done(done.returncode, done.stdout, done.stderr)


def started(instance):
    """It runs and has written its report."""
    instance.start()
    util.wait_for(lambda: (instance.state / "status").exists(), 20, "a report")
    return instance


def one_line(done):
    assert len(done.lines) == 1, done
    return done.lines[0]


def well(instance):
    done = health(instance)
    assert one_line(done) == f"well: batvd answers at {instance.listen}"
    return done.rc == 0


def unwell(instance):
    """The line."""
    done = health(instance)
    assert done.rc == 1
    assert one_line(done).startswith("not well: ")
    return one_line(done)


def unready(instance):
    done = health(instance, "--ready")
    assert done.rc == 1
    assert one_line(done).startswith("not ready: ")
    return one_line(done)


# -- does it serve --------------------------------------------------------------------------------

@pytest.mark.parametrize("listen", ["unix", "inet"])
def test_a_daemon_that_serves(batvd, listen):
    instance = started(batvd(listen=listen))
    assert well(instance)
    assert one_line(health(instance, "--ready", rc=0)) == \
        f"ready: batvd answers at {instance.listen}"


def test_nobody_there(batvd):
    instance = batvd()
    assert "No such file" in unwell(instance)
    instance.start()
    instance.kill9()    # leaves its socket behind
    assert "Connection refused" in unwell(instance)


def test_a_daemon_that_hangs(batvd):
    instance = started(batvd())
    os.kill(instance.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert "no reply in time" in unwell(instance)
        assert time.monotonic() - begun < 10 * util.PATIENCE
    finally:
        os.kill(instance.pid, signal.SIGCONT)
    util.wait_for(lambda: well(instance), 20, "a daemon that serves again")


@contextlib.contextmanager
def answering(path, reply):
    """A listener that sends each client this, and says no more."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(100)
                        client.sendall(reply)
        threading.Thread(target=serve, daemon=True).start()
        yield


def packet(content):
    return struct.pack("!I", len(content)) + content


@pytest.mark.parametrize("reply, reason", [
    (b"", "negotiation: the connection was closed"),
    (packet(b"r"), "negotiation: the milter does not support this protocol"),
    (b"220 mail.example.com ESMTP\r\n", "negotiation: the reply is not a milter's"),
    (packet(b""), "negotiation: the reply is not a milter's"),
    (packet(b"O" + bytes(12)), "CONNECT: "),
])
def test_something_else_answers(batvd, reply, reason):
    instance = batvd()
    with answering(instance.socket_path, reply):
        instance.socket_path.chmod(0o666)
        assert reason in unwell(instance)


def test_it_leaves_no_trace(batvd):
    """Asked again and again, by nobody who would read the log."""
    instance = started(batvd({"log": {"level": "debug"}}))
    mark = instance.mark()
    before = instance.ctl("status", "--json").json["counters"]
    for _ in range(5):
        assert well(instance)
        health(instance, "--ready", rc=0)
    assert instance.log_text()[mark:] == ""
    assert instance.ctl("status", "--json").json["counters"] == before
    # Of the MTA's macros one was given, as any MTA does: what it leaves out is still noticed.
    with MilterSession(instance.milter, macros={"connect": {"j": None}}) as s:
        s.message("<bob@other.test>", ["<alice@example.com>"])
    instance.wait_text("the MTA did not send j", since=mark)


# -- where it listens -----------------------------------------------------------------------------

def test_the_file_is_broken(batvd):
    """The daemon serves by its former configuration, whatever is in the file by now."""
    instance = started(batvd())
    text = instance.conf.read_text()
    instance.configure(TYPO + text)
    assert well(instance)
    instance.reload(ok=False)
    assert well(instance)
    assert "the last reload failed: " in unready(instance)
    assert "verify.action" in unready(instance)


def test_listen_has_changed(batvd):
    """The running daemon says where it is."""
    instance = started(batvd())
    former = instance.listen
    instance.configure({"listen": "unix:/nowhere/milter.sock"})
    instance.reload()
    done = health(instance, rc=0)
    assert one_line(done) == f"well: batvd answers at {former}"
    assert health(instance, "--json", rc=0).json == {
        "well": True, "ready": None, "listen": former, "reason": None}


def test_a_new_start_where_listen_has_changed(batvd):
    """In its first moments a daemon has the former one's report."""
    instance = started(batvd())
    instance.stop()
    report = (instance.state / "status").read_text()
    instance.socket_path = instance.run / "other.sock"
    instance.configure({})
    started(instance)
    (instance.state / "status.new").mkdir()
    (instance.state / "status").write_text(report)
    assert well(instance)


def test_no_report(batvd):
    """Then it is where the configuration says, which may have a mistake elsewhere."""
    instance = started(batvd())
    instance.configure(TYPO + instance.conf.read_text())
    (instance.state / "status").unlink()
    assert well(instance)
    assert "status: cannot read: No such file" in unready(instance)


def test_another_user(batvd):
    """Who may not read the state folder is answered by the configuration."""
    instance = started(batvd({"listen_mode": "0666"}))
    instance.run.chmod(0o2755)
    instance.folder.chmod(0o755)
    done = by_other_user(instance)
    assert (done.rc, one_line(done)) == (0, f"well: batvd answers at {instance.listen}")
    done = by_other_user(instance, "--ready")
    assert done.rc == 1
    assert "Permission denied" in one_line(done)


# -- could it start again -------------------------------------------------------------------------

def test_ready_asks_for_the_keyring(batvd):
    instance = started(batvd())
    health(instance, "--ready", rc=0)
    (instance.state / "keyring").chmod(0o644)
    assert "keyring" in unready(instance)
    assert well(instance)


def test_ready_asks_for_the_state_folder(batvd):
    instance = started(batvd(user="nobody"))
    health(instance, "--ready", rc=0)
    instance.state.chmod(0o500)
    try:
        assert str(instance.state) in unready(instance)
        assert well(instance)
    finally:
        instance.state.chmod(0o700)


def test_ready_asks_for_a_report_of_now(batvd):
    instance = started(batvd(fake_time=True))
    health(instance, "--ready", rc=0)
    (instance.state / "status.new").mkdir()    # no report is written any more
    instance.travel(300)
    assert "the daemon's last report" in unready(instance)
    assert well(instance)


def test_ready_as_json(batvd):
    instance = started(batvd())
    (instance.state / "keyring").unlink()
    answer = health(instance, "--ready", "--json", rc=1).json
    assert (answer["well"], answer["ready"], answer["listen"]) == (True, False, instance.listen)
    assert "keyring" in answer["reason"]


def test_called_wrongly(batvd):
    instance = batvd()
    assert health(instance, "now").rc == 2
    assert health(instance, "--red").rc == 2
