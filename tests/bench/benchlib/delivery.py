"""End to end: smtp-source, a private Postfix, smtp-sink; without a filter, with the yardstick, and
with batvd. One Postfix has a port for each, so that all share queue, disk and processes."""

import os
import subprocess
import sys
import time

from . import machine
from .filters import free_port, is_served
from .machine import ROOT, fail

sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

from batvtest import postfix, util  # noqa: E402  pylint: disable=wrong-import-position

SENDER, RECIPIENT = "alice@example.com", "bob@other.test"
BODY = 2048
QUEUE_S = 120
WAYS = ("none", "null", "batvd")

PORT = """\
127.0.0.1:{{port:{way}}} inet n - n - - smtpd
  -o smtpd_milters={milter}
"""

MAIN = {
    "mynetworks": "127.0.0.0/8",
    "default_process_limit": "100",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_client_message_rate_limit": "0",
    "in_flow_delay": "0",  # who is faster than the queue is not held up
}


def start_sink(stack):
    """smtp-sink takes everything and keeps nothing. Its port, and its clock."""
    port = free_port()
    where = postfix.where()
    process = subprocess.Popen(
        [where.program("smtp-sink"), "-u", "nobody", f"127.0.0.1:{port}", "1024"], env=where.env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    end = time.monotonic() + 10
    while not is_served(f"inet:{port}@127.0.0.1"):
        if process.poll() is not None or time.monotonic() > end:
            fail("smtp-sink does not listen")
        time.sleep(0.02)
    return port, machine.processor_clock(process.pid)


def milter_of(listen):
    """As Postfix names a milter's socket."""
    kind, name = listen.split(":", 1)
    return listen if kind == "unix" else "inet:127.0.0.1:" + name.split("@")[0]


class MailServer:
    """Postfix with a port for each of WAYS; filters by way."""

    def __init__(self, filters, stack):
        self.filters = filters
        sink, self.sink_clock = start_sink(stack)
        lines = "".join(
            PORT.format(way=way, milter=milter_of(filters[way].listen) if way in filters else "")
            for way in WAYS
        )
        self.postfix = postfix.Postfix(
            relayhost=f"[127.0.0.1]:{sink}", mailboxes=("alice@example.com",), main=MAIN,
            master_lines=lines,
        )
        stack.enter_context(self.postfix)

    def postfix_seconds(self):
        """Of all its processes, those that have ended included."""
        ticks = 0
        for pid in util.processes_below(self.postfix.folder):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                    words = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += sum(int(word) for word in words[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def cpu_seconds(self, way):
        """Of Postfix and the filter."""
        return self.postfix_seconds() + (
            self.filters[way].cpu_seconds() if way in self.filters else 0.0)

    def send(self, way, messages, sessions):
        """Until the last message has left the queue. Seconds, and processor seconds."""
        where = postfix.where()
        command = [where.program("smtp-source"), "-s", str(sessions), "-m", str(messages)]
        command += ["-l", str(BODY), "-f", SENDER, "-t", RECIPIENT, "-M", "laptop.example.com"]
        others = machine.Others()
        sink = time.clock_gettime(self.sink_clock)
        cpu, begun = self.cpu_seconds(way), time.monotonic()
        done = subprocess.run(
            [*command, f"127.0.0.1:{self.postfix.port(way)}"], env=where.env, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        if done.returncode != 0:
            fail(f"smtp-source: {done.stderr.strip()}")
        self._wait_empty()
        seconds, cpu = time.monotonic() - begun, self.cpu_seconds(way) - cpu
        return {
            "rate": messages / seconds,
            "cpu_us": cpu * 1e6 / messages,
            "others": others.end(cpu + time.clock_gettime(self.sink_clock) - sink),
        }

    def _wait_empty(self):
        """Closer than the tests' own wait, which may come a fifth of a second late."""
        end = time.monotonic() + QUEUE_S
        while self.postfix.queue_files("maildrop", "incoming", "active", "deferred"):
            if time.monotonic() > end:
                fail("messages are still queued:\n" + self.postfix.diagnosis())
            time.sleep(0.01)

    def signed(self):
        """How many deliveries Postfix has logged, of tagged senders and in all."""
        lines = [line for line in self.postfix.maillog().splitlines() if "/qmgr[" in line]
        return sum("from=<prvs=" in line for line in lines), sum("from=<" in line for line in lines)


def measure(server, rounds, messages, sessions):
    """The ways in turns, each round in another order: by way a list of what send() says."""
    found = {way: [] for way in WAYS}
    for way in WAYS:
        server.send(way, max(sessions, messages // 10), sessions)
    for n in range(rounds):
        for i in range(len(WAYS)):
            way = WAYS[(n + i if n % 2 == 0 else n - i) % len(WAYS)]
            found[way].append(server.send(way, messages, sessions))
        machine.say(f"delivery {n + 1}/{rounds}: " + ", ".join(
            f"{way} {found[way][-1]['rate']:.0f}/s {found[way][-1]['cpu_us']:.0f} us"
            for way in WAYS))
    return found
