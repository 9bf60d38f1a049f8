"""A real name server (nsd) and hostile ones on loopback addresses of their own, and a private
resolv.conf for the programs that are to ask them.

nsd is the installed one, or the one that .ci/deps has unpacked below build/. The programs are
started so that a file of the test's is their /etc/resolv.conf and another their /etc/hosts:
Resolving.prefix goes in front of a command line.
"""

import pathlib
import random
import shutil
import socket
import struct
import subprocess
import threading

from . import elsewhere, util

A, CNAME, SOA, MX, AAAA = 1, 5, 6, 15, 28


def program():
    """The path; a missing one is an error, never a skipped test."""
    found = shutil.which("nsd", path="/usr/sbin:/usr/local/sbin")
    copy = util.REPO / "build/nsd-root/usr/sbin/nsd"
    if not found and not copy.exists():
        raise FileNotFoundError("no nsd here: 'make deps' as root gets one")
    return found or str(copy)


def free_address():
    """A loopback address whose port 53 nobody has."""
    for _ in range(100):
        address = f"127.53.{random.randint(1, 254)}.{random.randint(1, 254)}"
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((address, 53))
        except OSError:
            continue
        return address
    raise RuntimeError("no free loopback address")


class Resolving:
    """Files that are /etc/resolv.conf and /etc/hosts for whoever is started behind prefix.
    They are changed in place: a running program sees that."""

    def __init__(self, server, hosts="127.0.0.1 localhost\n"):
        self.folder = util.make_folder("batv-ns")
        self.resolv_conf = self.folder / "resolv.conf"
        self.hosts = self.folder / "hosts"
        self.use(server)
        self.hosts.write_text(hosts, encoding="ascii")

    def use(self, *servers):
        self.resolv_conf.write_text("".join(f"nameserver {s}\n" for s in servers),
                                    encoding="ascii")

    @property
    def prefix(self):
        return elsewhere.prefix({"/etc/resolv.conf": self.resolv_conf, "/etc/hosts": self.hosts})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        util.remove_folder(self.folder)


class Nsd:
    """zones: {name: lines}; lines None is a zone whose file is missing, for SERVFAIL."""

    def __init__(self, zones, address=None):
        self.folder = util.make_folder("batv-nsd")
        self.address = address or free_address()
        self.process = None
        conf = ["server:", f"  ip-address: {self.address}", "  port: 53", '  username: ""',
                f'  zonesdir: "{self.folder}"', '  database: ""', "  server-count: 1",
                f'  pidfile: "{self.folder}/pid"', f'  xfrdfile: "{self.folder}/xfrd"',
                f'  zonelistfile: "{self.folder}/zones"', f'  xfrdir: "{self.folder}"',
                "remote-control:", "  control-enable: no"]
        for name, lines in zones.items():
            conf += ["zone:", f"  name: {name}", f'  zonefile: "{name}zone"']
            if lines is not None:
                head = f"$ORIGIN {name}\n$TTL 60\n@ SOA ns.{name} root.{name} 1 60 60 60 1\n" \
                       f"@ NS ns.{name}\nns A {self.address}\n"
                (self.folder / f"{name}zone").write_text(head + lines, encoding="ascii")
        (self.folder / "nsd.conf").write_text("\n".join(conf) + "\n", encoding="ascii")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        util.remove_folder(self.folder)

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([program(), "-d", "-c", self.folder / "nsd.conf"],
                                            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        util.wait_for(self._answers, 20, self.diagnosis)
        util.LIVE.append(self)
        return self

    def _answers(self):
        assert self.process.poll() is None, self.diagnosis()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.5)
            try:
                probe.connect((self.address, 53))
                probe.send(struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\0\0\1\0\1")
                return probe.recv(512)
            except OSError:
                return None

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
            self.process = None
            util.LIVE.remove(self)

    kill9 = stop

    def diagnosis(self):
        return f"== nsd {self.folder}\n" + util.tail(
            (self.folder / "log").read_text(encoding="utf-8", errors="replace"))


def wire_name(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(kind, data, *, name=b"\xc0\x0c", length=None, ttl=60):
    """A resource record; `length` lies about the data's."""
    return name + struct.pack("!HHIH", kind, 1, ttl, len(data) if length is None else length) + data


# The answer of a name that has no such record: as RFC 2308 section 2.2 wants it, with the zone's SOA.
# Newer versions of libunbound ask again where an answer has no record at all.
EMPTY = object()


class Server:
    """A name server that says what respond(name, kind, tcp) returns: octets, the answer section;
    (flags, count, octets); EMPTY; bytes subclass Whole for a whole message but the id; None:
    nothing, ever. `queries` has what was asked, (name, kind)."""

    def __init__(self, respond):
        self.respond = respond
        self.address = free_address()
        self.queries = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((self.address, 53))
        self._tcp = socket.socket()
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._tcp.bind((self.address, 53))
        self._tcp.listen(64)
        self._held = []
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (self._serve_udp, self._serve_tcp)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for sock in (self._udp, self._tcp, *self._held):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(10)

    def _serve_udp(self):
        while True:
            try:
                query, client = self._udp.recvfrom(65535)
            except OSError:
                return
            if not query:
                return
            answer = self._answer(query, False)
            if answer is not None:
                self._udp.sendto(answer, client)

    def _serve_tcp(self):
        while True:
            try:
                sock, _ = self._tcp.accept()
            except OSError:
                return
            sock.settimeout(2)
            self._held.append(sock)
            try:
                length = struct.unpack("!H", sock.recv(2))[0]
                answer = self._answer(sock.recv(length), True)
                if answer is not None:
                    sock.sendall(struct.pack("!H", len(answer)) + answer)
            except (OSError, struct.error):
                pass

    def _answer(self, query, tcp):
        name, at = [], 12
        while query[at]:
            name.append(query[at + 1:at + 1 + query[at]].decode("ascii"))
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1:at + 3])[0]
        question = query[12:at + 5]
        self.queries.append((".".join(name).lower(), kind))
        said = self.respond(".".join(name).lower(), kind, tcp)
        if said is None:
            return None
        if isinstance(said, Whole):
            return query[:2] + said
        if said is EMPTY:
            soa = record(SOA, wire_name("") * 2 + struct.pack("!5I", 1, 60, 60, 60, 60))
            return query[:2] + struct.pack("!5H", 0x8180, 1, 0, 1, 0) + question + soa
        flags, count, section = said if isinstance(said, tuple) else (0x8180, 1, said)
        return query[:2] + struct.pack("!5H", flags, 1, count, 0, 0) + question + section


class Whole(bytes):
    """A whole message but its id."""
