"""The filters: batvd, the yardstick that does nothing, and batv-tools where it is at hand; started
in a temporary folder, and loaded by tests/bench/load.c, which checks the answers."""

import hashlib
import hmac
import os
import shlex
import shutil
import socket
import subprocess
import time

from . import machine
from .machine import BATVCTL, BATVD, fail, program

CONFIGURATIONS = {  # name: what is there beside the defaults
    "default": "",
    "bare": "evidence: { enabled = false; };\n",
    "unjournalled": "journal: { enabled = false; };\n",
}
KINDS = ("sign", "ordinary", "bounce", "forged", "proven")
JOURNALLED = ("sign", "proven")
ADDRESS = "alice@example.com"
JOURNAL_S = 1.3  # from an entry to its being written
START_S = 30
STOP_S = 15

CONFIGURATION = """\
listen = "{listen}";
state_dir = "{folder}/state";
domains = ( {domains} );
internal_networks = [ "127.0.0.0/8", "::1/128" ];
verify: {{ action = "reject"; }};
log: {{ target = "stderr"; }};
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def socket_of(listen):
    """A family and an address for connect()."""
    kind, name = listen.split(":", 1)
    if kind == "unix":
        return socket.AF_UNIX, name
    return socket.AF_INET, ("127.0.0.1", int(name.split("@")[0]))


def is_served(listen):
    family, address = socket_of(listen)
    with socket.socket(family) as s:
        try:
            s.connect(address)
        except OSError:
            return False
    return True


def stop(process, kill):
    """libmilter looks only every 5 s whether it has to end."""
    if kill:
        process.kill()
    else:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Bench:
    """The folder, and what is started in it. With two processors the filters get one and the load
    generator the other, unless pins is false."""

    def __init__(self, folder, stack, *, per_session=100, pins=True):
        self.folder = folder
        self.stack = stack
        self.per_session = per_session
        self.started = 0
        self.uncounted = 0.0  # processor seconds of what was started and is no child of ours
        self.processors = sorted(os.sched_getaffinity(0))[:2]
        self.pinned = pins and len(self.processors) == 2 and bool(shutil.which("taskset"))

    def pin(self, command, which):
        return ["taskset", "-c", str(self.processors[which]), *command] if self.pinned else command

    def address(self, transport):
        if transport == "inet":
            return f"inet:{free_port()}@127.0.0.1"
        self.started += 1
        return f"unix:{self.folder}/{self.started}.sock"

    def start(self, name, command, listen, stack, *, kill=True, pinned=True):
        process = subprocess.Popen(
            self.pin(command, 1) if pinned else command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(stop, process, kill)
        end = time.monotonic() + START_S
        while not is_served(listen):
            if process.poll() is not None or time.monotonic() > end:
                fail(f"nobody serves {listen}: {shlex.join(command)}")
            time.sleep(0.05)
        return Filter(self, name, listen, process.pid)

    def start_batvd(self, configuration="default", transport="unix", stack=None, *,
                    domains='"example.com"', more="", pinned=True):
        """With one of CONFIGURATIONS, and `more` in the file. It is killed at the end: what it
        keeps is thrown away."""
        listen = self.address(transport)
        folder = os.path.join(self.folder, f"batvd{self.started}-{free_port()}")
        path = os.path.join(folder, "batvd.conf")
        os.makedirs(os.path.join(folder, "state"), 0o700)
        with open(path, "w", encoding="ascii") as f:
            f.write(CONFIGURATION.format(listen=listen, folder=folder, domains=domains))
            f.write(CONFIGURATIONS[configuration] + more)
            if os.geteuid() == 0:
                f.write('user = "root";\n')
        subprocess.run([BATVCTL, "-c", path, "key", "init"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([BATVD, "-c", path, "-n"], check=True)
        batvd = self.start("batvd", [BATVD, "-c", path], listen, stack or self.stack,
                           pinned=pinned)
        batvd.config = path
        batvd.tagged = batvd.sign(ADDRESS)[0]
        batvd.signs = True
        batvd.proves = configuration != "bare"
        batvd.journals = configuration == "default"
        batvd.proofs = os.path.join(folder, "proofs")
        return batvd

    def start_null(self, like, batvd, transport, stack, *, pinned=True):
        """A filter that negotiates and replies as batvd did, according to `like`."""
        listen = self.address(transport)
        command = [program("null"), "-s", listen, "-o", "-a", like["actions"], "-p", like["steps"]]
        command += ["-r", like["replies"], "-f", batvd.tagged, "-d", batvd.tagged, "-i", ADDRESS]
        if "added" in like:
            command += ["-h", like["added"]]
        for key, value in like.items():
            if key.startswith("macros"):
                command += ["-m", f"{key[len('macros'):]}={value}"]
        null = self.start("null", command, listen, stack, pinned=pinned)
        null.tagged = batvd.tagged
        null.proves = batvd.proves
        null.proofs = batvd.proofs
        return null

    def start_batv_tools(self, binary, transport, stack):
        """batv-milter of batv-tools, by its manual page; refusing as batvd does here."""
        listen = self.address(transport)
        folder = os.path.join(self.folder, f"batv-tools{self.started}-{free_port()}")
        os.makedirs(folder, 0o700)
        key = os.urandom(64)
        with open(os.path.join(folder, "key"), "wb") as f:
            f.write(key)
        with open(os.path.join(folder, "map"), "w", encoding="ascii") as f:
            f.write(f"@example.com {folder}/key\n")
        command = [binary, "--socket", listen, "--key-map", f"{folder}/map"]
        command += ["--internal-host", "127.0.0.0/8", "--on-invalid", "reject"]
        tools = self.start("batv-tools", command, listen, stack)
        tools.tagged = tag_by_sha1(key, ADDRESS)
        tools.adds_headers = True
        return tools


def tag_by_sha1(key, address):
    """As batv-tools signs: key number 0, HMAC-SHA1 over number, day and address."""
    day = (int(time.time()) // 86400 + 7) % 1000
    code = hmac.new(key, f"0{day:03d}{address}".encode("ascii"), hashlib.sha1).hexdigest()[:6]
    return f"prvs=0{day:03d}{code}={address}"


class Filter:
    """One that runs."""

    def __init__(self, bench, name, listen, pid):
        self.bench = bench
        self.name = name
        self.listen = listen
        self.pid = pid
        self.clock = machine.processor_clock(pid)
        self.config = None
        self.sent = 0
        self.tagged = None
        self.signs = False  # or does as another did
        self.proves = False
        self.journals = False
        self.adds_headers = False  # of its own
        self.proofs = None  # file
        self.recipients = None  # file: instead of the kind's own

    def sign(self, *addresses):
        signed = subprocess.run(
            [BATVCTL, "-c", self.config, "sign", *addresses],
            check=True, stdout=subprocess.PIPE, text=True,
        )
        return [line.split()[-1] for line in signed.stdout.splitlines()]

    def cpu_seconds(self):
        return time.clock_gettime(self.clock)

    def load(self, kind, connections, *options):
        """What load says of the run, as a dict of strings."""
        command = [program("load"), "-s", self.listen, "-p", str(self.pid), "-k", kind]
        command += ["-o", str(self.sent), "-c", str(connections)]
        command += ["-m", str(self.bench.per_session), *options]
        if kind == "bounce" and self.recipients is None:
            command += ["-r", self.tagged]
        if kind == "proven":
            command += ["-e", self.proofs]
        if self.proves:
            command += ["-x"]
        if self.adds_headers:
            command += ["-y"]
        if self.recipients is not None:
            command += ["-R", self.recipients]
        result = subprocess.run(
            self.bench.pin(command, 0), stdout=subprocess.PIPE, text=True, check=False
        )
        if result.returncode != 0:
            fail(f"failed: {shlex.join(command)}")
        seen = dict(item.split("=", 1) for item in shlex.split(result.stdout))
        self.sent += int(seen["messages"])
        return seen

    def settle(self, kind):
        """Waits until the journal is written; the processor time that this takes."""
        if not self.journals or kind not in JOURNALLED:
            return 0.0
        begun = self.cpu_seconds()
        time.sleep(JOURNAL_S)
        return self.cpu_seconds() - begun
