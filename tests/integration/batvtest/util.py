"""Bounded waiting, free ports, where the binaries are, and which instances are alive.

Nothing here sleeps longer than it must: wait_for() polls, and fails with the last thing it saw.
"""

import os
import pathlib
import pwd
import random
import shutil
import socket
import tempfile
import time
import uuid

REPO = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BATV_BUILD", REPO / "build")).resolve()

# Sanitizers and a busy machine make everything slower; waits are bounds, not delays, so a
# generous factor costs nothing where all is well.
PATIENCE = float(os.environ.get("BATV_PATIENCE", "1"))

# Everything that is running now and has something to say when a test fails.
LIVE = []

# Every folder made, for the check at the end that nothing is left.
FOLDERS = []


class Timeout(AssertionError):
    """Something did not happen in time."""


def binary(name):
    """The path of a program under test; a missing one is an error, never a skipped test."""
    path = BUILD / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: run make first, or set BATV_BUILD")
    return str(path)


def wait_for(check, timeout=15.0, what=None, interval=0.02):
    """Calls check() until it returns something true, which is returned."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        seen = check()
        if seen:
            return seen
        if time.monotonic() >= deadline:
            break
        time.sleep(interval)
        interval = min(interval * 1.3, 0.2)
    name = what() if callable(what) else what
    raise Timeout(f"not within {timeout * PATIENCE:g} s: {name or check}; last seen: {seen!r}")


def free_port():
    """A loopback port below the ephemeral range, so that no outgoing connection takes it."""
    for _ in range(200):
        port = random.randint(12000, 31000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def make_folder(prefix):
    """A new folder under /tmp that other users may enter."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=os.environ.get("BATV_TMP", "/tmp")))
    path.chmod(0o755)
    FOLDERS.append(path)
    return path


def remove_folder(path):
    if os.environ.get("BATV_KEEP"):
        return
    shutil.rmtree(path, ignore_errors=True)


class Peer:
    """A program beside batvd that is not under test, in a folder of its own: a subclass starts it
    on entering. It has nothing to bring to an end."""

    def __init__(self, prefix):
        self.folder = make_folder(prefix)
        self.process = None

    def __exit__(self, *_):
        self.kill9()

    def kill9(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None
        if self in LIVE:
            LIVE.remove(self)
        remove_folder(self.folder)


def unique(word="m"):
    """A word that no other message has."""
    return f"{word}-{uuid.uuid4().hex[:12]}"


def owner_ids(user):
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _process(pid):
    """A process's state and parent; ("Z", 0) for none."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return "Z", 0
    state, parent = stat.rsplit(")", 1)[1].split()[:2]
    return state, int(parent)


def process_alive(pid):
    """Whether the process runs; a zombie does not."""
    return _process(pid)[0] != "Z"


def _working_folder(pid):
    """Of a process; of its parent, where nobody may see its own (another user's, in a container)."""
    while pid > 1:
        try:
            return os.readlink(f"/proc/{pid}/cwd")
        except PermissionError:
            pid = _process(pid)[1]
        except OSError:
            break
    return "/"


def processes_below(folder):
    """The ids of all processes whose working directory lies in the folder."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
            if pathlib.Path(_working_folder(pid)).is_relative_to(folder) and process_alive(pid)]


def tail(text, lines=60):
    return "\n".join(text.splitlines()[-lines:])
