"""A small machine of its own, with a real systemd as its first process, for what only that can show:
whether the unit works as it is installed.

    with Machine() as machine:
        machine.run("systemctl", "start", "batvd", rc=0)

It lives in namespaces (mount, pid, uts, ipc, net, cgroup) and in memory: this machine's /usr
read-only, a root of its own, no network but a loopback. Its processes end with it. The only thing
outside is a cgroup below the one that the test runs in, without controllers, removed at the end.
"""

import json
import os
import pathlib
import subprocess

from . import util

INIT = pathlib.Path(__file__).with_name("machine-init")
ACCOUNTS = {"passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
            "group": "root:x:0:\nnogroup:x:65534:\ntty:x:5:\nutmp:x:43:\nsystemd-journal:x:101:\n"
                     "postfix:x:120:\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
            "hosts": "127.0.0.1 localhost\n",
            "machine-id": "0123456789abcdef0123456789abcdef\n"}
TARGET = "[Unit]\nDescription=Test\nRequires=sysinit.target\nAfter=sysinit.target\nAllowIsolate=yes\n"


class Unavailable(Exception):
    """Why there can be no such machine here."""


def _cgroup():
    """The folder of this process's cgroup in the unified hierarchy, where one is mounted."""
    path = next((line[3:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
                 if line.startswith("0::")), None)
    mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    base = next((fields[1] for fields in mounts if fields[2] == "cgroup2"), None)
    if path is None or base is None:
        raise Unavailable("no cgroup2 is mounted")
    return pathlib.Path(base + path.rstrip("/"))


NAMESPACES = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork",
              "--kill-child=SIGKILL"]
# What machine-init cannot do without, in a word each.
ATTEMPT = """set -e
mount --make-rprivate /
for type in tmpfs proc sysfs cgroup2 devpts; do
    mount -t "$type" "$type" "$1"
done
ip link set lo up
"""


def _check_allowed(folder):
    """A container may have root, but no right to any of this."""
    done = subprocess.run([*NAMESPACES, "sh", "-c", ATTEMPT, "sh", folder], capture_output=True,
                          text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise Unavailable(f"namespaces with mounts of their own are not allowed here: "
                          f"{done.stderr.strip()}")


class Machine:
    """Booted when it is entered; Unavailable says what is not allowed here."""

    def __init__(self):
        self.folder = util.make_folder("machine")
        self.mount = self.folder / "root"
        self.tree = self.folder / "tree"
        self.log_file = self.folder / "log"
        self.log_file.touch()
        self.process = None
        self.pid = None
        self.cgroup = None

    # -- life -------------------------------------------------------------------------------------

    def __enter__(self):
        try:
            return self._start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def _start(self):
        for name in ("/lib/systemd/systemd", "/usr/bin/unshare", "/usr/bin/nsenter",
                     "/usr/sbin/ip"):
            if not os.path.exists(name):
                raise Unavailable(f"{name} is not installed")
        self._make_tree()
        _check_allowed(self.mount)
        self.cgroup = _cgroup() / f"batvtest-{os.getpid()}-{self.folder.name}"
        try:
            self.cgroup.mkdir()
        except OSError as error:
            self.cgroup = None
            raise Unavailable(f"no cgroup can be made: {error}") from None
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"', "sh", self.cgroup,
                 *NAMESPACES, "sh", INIT, self.mount, self.tree],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        util.wait_for(self._booted, 30, self.diagnosis)
        util.LIVE.append(self)
        return self

    def _make_tree(self):
        self.mount.mkdir()
        for name, text in ACCOUNTS.items():
            self.add(f"etc/{name}", text)
        self.add("etc/systemd/system/default.target", TARGET)
        subprocess.run(["make", "-s", "install-service", f"DESTDIR={self.tree}",
                        "PREFIX=/usr/local"], cwd=util.REPO, check=True, capture_output=True,
                       env={"PATH": os.environ["PATH"]})
        sbin = self.tree / "usr/local/sbin"
        sbin.mkdir(parents=True)
        for name in ("batvd", "batvctl"):
            (sbin / name).write_bytes(pathlib.Path(util.binary(name)).read_bytes())
            (sbin / name).chmod(0o755)
        for path in [self.tree, *self.tree.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)

    def add(self, name, text):
        """A file below /etc that is to be there from the beginning."""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")

    def _booted(self):
        assert self.process.poll() is None, self.diagnosis()
        if self.pid is None:
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            found = children.read_text().split()
            if not found or pathlib.Path(f"/proc/{found[0]}/comm").read_text() != "systemd\n":
                return False
            self.pid = int(found[0])
        state = self.run("systemctl", "is-system-running").out.strip()
        return state in ("running", "degraded")

    def close(self):
        if self.process is not None:
            self.process.kill()     # and the kernel kills the rest: it was their init's parent
            self.process.wait()
            self.process = None
        if self in util.LIVE:
            util.LIVE.remove(self)
        if self.cgroup is not None:
            util.wait_for(self._remove_cgroup, 10, "an empty cgroup")
            self.cgroup = None
        util.remove_folder(self.folder)

    kill9 = close

    def _remove_cgroup(self):
        folders = sorted((path for path in self.cgroup.rglob("*") if path.is_dir()), reverse=True)
        try:
            for path in [*folders, self.cgroup]:
                path.rmdir()
        except OSError:
            return False
        return True

    def diagnosis(self):
        text = self.log_file.read_text(errors="replace")
        if self.pid is not None and self.process.poll() is None:
            text += self.run("journalctl", "--no-pager", "-n", "80").out
        return f"== machine {self.folder}\n{text}"

    # -- inside -----------------------------------------------------------------------------------

    def path(self, name):
        """A path of the machine as this process sees it."""
        return pathlib.Path(f"/proc/{self.pid}/root/{name.lstrip('/')}")

    def run(self, *command, rc=None, timeout=40):
        """A command inside, as its root; a Done."""
        from .daemon import Done
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n", "-C", "--", "env", "-i",
             "PATH=/usr/local/sbin:/usr/sbin:/usr/bin", "LANG=C.UTF-8", *map(str, command)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=timeout * util.PATIENCE)
        done = Done(done.returncode, done.stdout, done.stderr)
        assert rc is None or done.rc == rc, f"{command}: {done}\n{self.diagnosis()}"
        return done

    def show(self, unit, *properties):
        """systemd's properties of a unit: a dict."""
        done = self.run("systemctl", "show", unit, *(f"-p{name}" for name in properties), rc=0)
        return dict(line.split("=", 1) for line in done.out.splitlines())

    def journal(self, *match):
        """The journal's entries, oldest first: dicts of their fields."""
        self.run("journalctl", "--sync", rc=0)
        done = self.run("journalctl", "--no-pager", "-o", "json", "--all", *match, rc=0)
        return [json.loads(line) for line in done.out.splitlines()]
