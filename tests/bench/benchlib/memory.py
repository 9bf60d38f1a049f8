"""Memory and threads of a filter by the number of its connections."""

import concurrent.futures
import contextlib
import socket
import struct
import time

from . import machine
from .filters import socket_of

WAIT_S = 30
LOOK_S = 0.02


def negotiation():
    """Version 6 of the protocol, with all actions and steps on offer; as load says it."""
    return struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)


def receive(s, size):
    data = b""
    while len(data) < size:
        piece = s.recv(size - len(data))
        if not piece:
            machine.fail("the filter closed a connection")
        data += piece
    return data


@contextlib.contextmanager
def open_sessions(listen, count):
    """So many sessions that have negotiated, and then say nothing."""
    family, address = socket_of(listen)
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            s = stack.enter_context(socket.socket(family))
            s.settimeout(WAIT_S)
            s.connect(address)
            s.sendall(negotiation())
            sockets.append(s)
        for s in sockets:
            receive(s, struct.unpack("!I", receive(s, 4))[0])
        yield


def settled(pid):
    """Once it no longer changes; threads of libmilter's end some time after their work."""
    before = machine.memory_of(pid)
    while True:
        time.sleep(0.2)
        now = machine.memory_of(pid)
        if now["Threads"] >= before["Threads"] and now["RssAnon"] <= before["RssAnon"]:
            return now
        before = now


def while_loaded(filter_, connections, *options):
    """The most of each that is seen while all connections send mail that is signed, and what load
    says of that; options are load's."""
    most = machine.memory_of(filter_.pid)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sent = pool.submit(filter_.load, "sign", connections, *options)
        while not sent.done():
            now = machine.memory_of(filter_.pid)
            most = {name: max(most[name], now[name]) for name in most}
            time.sleep(LOOK_S)
    return most, sent.result()
