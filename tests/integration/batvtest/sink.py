"""The far end of outgoing mail.

Sink is a small ESMTP and LMTP server that keeps, to the letter, what it was told: MAIL and RCPT with their
arguments, and the message. It refuses by script. One thread a connection; `messages` only grows,
under a lock, and readers get copies. (smtp-sink(1) does not keep arguments of RCPT.)
"""

import dataclasses
import email
import email.policy
import re
import socketserver
import threading
import time

from . import util

EXTENSIONS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


@dataclasses.dataclass
class SunkMessage:
    """One message as the far end saw it. Addresses are without the angle brackets."""

    helo: str
    mail_from: str
    mail_args: list
    rcpts: list
    rcpt_args: list
    data: bytes
    arrived: float

    @property
    def message(self):
        return email.message_from_bytes(self.data, policy=email.policy.default)

    @property
    def subject(self):
        return str(self.message["Subject"])

    def mail_arg(self, name):
        return _argument(self.mail_args, name)

    def rcpt_arg(self, index, name):
        return _argument(self.rcpt_args[index], name)


def _argument(args, name):
    for arg in args:
        key, _, value = arg.partition("=")
        if key.upper() == name.upper():
            return value
    return None


def split_path(text):
    """`<path> ARG ARG` into (path, [args]); brackets and blanks within quotes are part of it."""
    text = text.strip()
    if not text.startswith("<"):
        path, *args = text.split()
        return path, args
    quoted = False
    skip = False
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif char == '"':
            quoted = not quoted
        elif char == ">" and not quoted:
            return text[1:at], text[at + 1:].split()
    path, _, rest = text[1:].rpartition(">")    # an odd one, with an open quote
    return path, rest.split()


class _Conversation(socketserver.StreamRequestHandler):
    """One client; the methods are the verbs."""

    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.helo = ""
        self.lmtp = False
        self.reset()

    def reset(self):
        self.sender = None
        self.rcpts = []

    def reply(self, text):
        self.wfile.write(text.encode("utf-8") + b"\r\n")
        return True

    def handle(self):
        sink = self.server.sink
        self.request.settimeout(120)
        try:
            self.reply("220 sink.test ESMTP")
            while True:
                line = self.rfile.readline(65536)
                if not line:
                    return
                text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
                if not self.dispatch(sink, text):
                    return
        except OSError:
            return

    def dispatch(self, sink, text):
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        if verb in ("EHLO", "LHLO"):
            self.helo = rest
            self.lmtp = verb == "LHLO"
            lines = ["sink.test", *sink.extensions]
            for line in lines[:-1]:
                self.reply(f"250-{line}")
            return self.reply(f"250 {lines[-1]}")
        if verb == "MAIL":
            return self.take_mail(sink, rest)
        if verb == "RCPT":
            return self.take_rcpt(sink, rest)
        if verb == "DATA":
            return self.take_data(sink)
        if verb == "QUIT":
            self.reply("221 2.0.0 bye")
            return False
        if verb == "RSET":
            self.reset()
        if verb in ("RSET", "NOOP", "HELO"):
            return self.reply("250 2.0.0 ok")
        return self.reply("502 5.5.1 what?")

    def take_mail(self, sink, rest):
        self.reset()
        path, args = split_path(rest.partition(":")[2])
        refusal = sink.refusal("mail", path)
        if refusal:
            return self.reply(refusal)
        self.sender = (path, args)
        return self.reply("250 2.1.0 ok")

    def take_rcpt(self, sink, rest):
        if self.sender is None:
            return self.reply("503 5.5.1 MAIL first")
        path, args = split_path(rest.partition(":")[2])
        refusal = sink.refusal("rcpt", path)
        if refusal:
            return self.reply(refusal)
        self.rcpts.append((path, args))
        return self.reply("250 2.1.5 ok")

    def take_data(self, sink):
        if not self.rcpts:
            return self.reply("503 5.5.1 RCPT first")
        self.reply("354 go on")
        body = bytearray()
        while True:
            line = self.rfile.readline()
            if not line:
                return False
            if line in (b".\r\n", b".\n"):
                break
            body += line[1:] if line.startswith(b".") else line
        replies = len(self.rcpts) if self.lmtp else 1    # RFC 2033: one for each recipient
        refusal = sink.refusal("data", self.sender[0])
        if refusal:
            self.reset()
            return self.reply("\r\n".join([refusal] * replies))
        sink.keep(SunkMessage(self.helo, self.sender[0], self.sender[1],
                              [path for path, _ in self.rcpts], [args for _, args in self.rcpts],
                              bytes(body), time.time()))
        self.reset()
        return self.reply("\r\n".join(["250 2.0.0 kept"] * replies))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class Sink:
    """An SMTP server on loopback. Use as a context manager, or start() and stop()."""

    def __init__(self, extensions=EXTENSIONS):
        self.extensions = extensions
        self.port = util.free_port()
        self._lock = threading.Lock()
        self._messages = []
        self._refusals = []
        self._server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self._server = _Server(("127.0.0.1", self.port), _Conversation)
        self._server.sink = self
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1},
                         daemon=True).start()
        return self

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def relayhost(self):
        return f"[127.0.0.1]:{self.port}"

    def refuse(self, pattern, reply="550 5.1.1 no such user here", stage="rcpt"):
        """From now on answers the stage (mail, rcpt, data) with `reply` where the regular
        expression is found in the address (for data: the sender's). Newest script first."""
        with self._lock:
            self._refusals.insert(0, (stage, re.compile(pattern, re.IGNORECASE), reply))

    def accept_all(self):
        with self._lock:
            self._refusals.clear()

    def refusal(self, stage, address):
        with self._lock:
            for when, pattern, reply in self._refusals:
                if when == stage and pattern.search(address):
                    return reply
        return None

    def keep(self, message):
        with self._lock:
            self._messages.append(message)

    def messages(self, *, subject=None, rcpt=None, sender=None):
        """All messages so far that fit; subject is searched for, addresses are compared."""
        with self._lock:
            kept = list(self._messages)
        if rcpt is not None:
            kept = [m for m in kept if rcpt in m.rcpts]
        if sender is not None:
            kept = [m for m in kept if m.mail_from == sender]
        if subject is not None:
            kept = [m for m in kept if subject in m.subject]
        return kept

    def wait(self, *, count=1, timeout=20, **what):
        """The first `count` messages that fit, once they are there."""
        def enough():
            found = self.messages(**what)
            return found if len(found) >= count else None
        return util.wait_for(enough, timeout, lambda: f"{count} message(s) at the sink: {what}, "
                             f"have {[(m.mail_from, m.rcpts) for m in self.messages()][-5:]}")

    def wait_one(self, **what):
        """The one message that fits; more than one by now is a failure."""
        found = self.wait(**what)
        assert len(found) == 1, found
        return found[0]
