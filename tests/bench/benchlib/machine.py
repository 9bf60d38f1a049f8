"""The machine: what it is, who else uses it, and figures that come with their spread."""

import contextlib
import ctypes
import os
import platform
import re
import resource
import shlex
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BATV_BUILD") or os.path.join(ROOT, "build")
PROGRAMS = os.path.join(BUILD, "tests", "bench")
OUT = os.path.join(BUILD, "bench")
BATVD = os.path.join(BUILD, "batvd")
BATVCTL = os.path.join(BUILD, "batvctl")


def say(text):
    print(text, file=sys.stderr, flush=True)


def fail(text):
    say(f"{os.path.basename(sys.argv[0])}: {text}")
    sys.exit(1)


def program(name):
    """A program of tests/bench, which the Makefile builds."""
    path = os.path.join(PROGRAMS, name)
    if not os.access(path, os.X_OK):
        fail(f"{path} is not there: run make bench, or make tests")
    return path


def require_built():
    for path in (BATVD, BATVCTL):
        if not os.access(path, os.X_OK):
            fail(f"{path} is not there: run make first")


def allow_files():
    """As many open files as root's limit lets us have: a connection takes one on either side."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def processor_name():
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def package_version(package):
    with contextlib.suppress(OSError):
        found = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return found.stdout or "of unknown version"
    return "of unknown version"


def head(command):
    """The lines above a table: the machine, and what to type."""
    return (
        f"Machine: {processor_name()}, {len(os.sched_getaffinity(0))} processors, "
        f"Linux {platform.release()}, libmilter {package_version('libmilter1.0.1')}\n"
        f"Command: `{shlex.join([command, *sys.argv[1:]])}`"
    )


# -- processor time -----------------------------------------------------------------------------


def machine_seconds():
    """Processor time since the start of the machine: used, or stolen by its host, and in all."""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(word) for word in f.readline().split()[1:9]]
    second = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - ticks[3] - ticks[4]) / second, sum(ticks) / second


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def processor_clock(pid):
    """The clock of the processor time of another process, for time.clock_gettime."""
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        fail(f"process {pid} has no clock")
    return clock.value


class Others:
    """What share of the machine went to others between the beginning and the end; `percent` is
    set at the end. Who uses it says what was used by what was started."""

    def __init__(self):
        self.used, self.total = machine_seconds()
        self.own = children_seconds() + sum(os.times()[:2])
        self.percent = 0.0

    def end(self, own_beside=0.0):
        """own_beside: processor seconds of our processes that have not ended."""
        used, total = machine_seconds()
        own = children_seconds() + sum(os.times()[:2]) - self.own + own_beside
        busy = max(0.0, used - self.used - own)
        self.percent = 100 * busy / max(total - self.total, 0.01)
        return self.percent


# -- memory -------------------------------------------------------------------------------------


def memory_of(pid):
    """As /proc says: RssAnon, VmRSS and VmSize in millions of octets, and Threads."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        text = f.read()
    found = dict(re.findall(r"^(RssAnon|VmRSS|VmSize|Threads):\s+(\d+)", text, re.MULTILINE))
    return {
        name: int(value) if name == "Threads" else int(value) * 1024 / 1e6
        for name, value in found.items()
    }


# -- figures ------------------------------------------------------------------------------------


def spread(values, form=".3f", ends=".2f"):
    """The middle, and the lowest and highest in brackets."""
    low, high = format(min(values), ends), format(max(values), ends)
    return f"{format(statistics.median(values), form)} ({low}–{high})"


def verdict(reached, wrong=""):
    """For the column that says whether a target was reached."""
    return "reached" if reached else "**not reached**" + (f": {wrong}" if wrong else "")


def table(columns, rows):
    """In Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
