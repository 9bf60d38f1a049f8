"""The MTA's half of the Sendmail milter protocol, version 6, as Postfix 3.7 speaks it.

    with MilterSession(batvd.milter, client=("mx.other.test", "192.0.2.9", 4711)) as session:
        out = session.message("<>", ["<alice@example.com>"])
        assert out.verdict == "reject" and out.text.startswith("550 5.7.1")

What was negotiated is honoured: steps that the filter does not want are not sent (their macros
are, as Postfix does), and no reply is awaited where SMFIP_NR_* was agreed. The filter is held to
the protocol too: a reply that is not allowed at a step, one where none was due, or a modification
that was not negotiated, raises ProtocolError.

message() plays a whole message as an MTA would; connect(), helo(), mail(), rcpt(), data(),
header(), eoh(), body(), eom(), abort(), unknown(), quit(), quit_nc() are the steps by themselves,
for any odd order. send_packet() and read_packet() are below all that.
"""

import dataclasses
import os
import re
import socket
import struct

from . import util

VERSION = 6

# Actions (SMFIF_*)
ADDHDRS, CHGBODY, ADDRCPT, DELRCPT = 0x01, 0x02, 0x04, 0x08
CHGHDRS, QUARANTINE, CHGFROM, ADDRCPT_PAR, SETSYMLIST = 0x10, 0x20, 0x40, 0x80, 0x100
ALL_ACTIONS = 0x1FF

# Protocol steps (SMFIP_*)
NOCONNECT, NOHELO, NOMAIL, NORCPT, NOBODY, NOHDRS, NOEOH = 1, 2, 4, 8, 0x10, 0x20, 0x40
NR_HDR, NOUNKNOWN, NODATA, SKIP, RCPT_REJ = 0x80, 0x100, 0x200, 0x400, 0x800
NR_CONN, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA = 0x1000, 0x2000, 0x4000, 0x8000, 0x10000
NR_UNKN, NR_EOH, NR_BODY, HDR_LEADSPC = 0x20000, 0x40000, 0x80000, 0x100000
ALL_STEPS = 0x1FFFFF
V2_STEPS = 0x7F          # what version 2 knew: steps can be left out, replies cannot

# What Postfix sends by default. {rcpt_mailer} and the like are given per recipient.
POSTFIX_MACROS = {
    "connect": {"j": "mail.example.com", "{daemon_name}": "mail.example.com",
                "{daemon_addr}": "127.0.0.1", "v": "Postfix 3.7.11", "_": "{client}"},
    "helo": {},
    "mail": {"{mail_addr}": "{sender}", "{mail_host}": "relay.test", "{mail_mailer}": "smtp"},
    "rcpt": {"{rcpt_addr}": "{rcpt}", "{rcpt_host}": "example.com", "{rcpt_mailer}": "virtual"},
    "data": {}, "header": {}, "eoh": {}, "body": {}, "eom": {}, "unknown": {},
}

# macros of a MilterSession whose recipients the MTA sends on to another host.
LEAVING = {"rcpt": {"{rcpt_host}": "[127.0.0.1]:25", "{rcpt_mailer}": "smtp"}}

# Options for a MilterSession that comes from sendmail(1): MilterSession(where, **SENDMAIL), and
# paths without brackets.
SENDMAIL = {"client": ("localhost", "127.0.0.1", 0), "helo": "localhost", "early_id": True,
            "macros": {"mail": {"{mail_host}": None, "{mail_mailer}": None},
                       "rcpt": {"{rcpt_host}": None, "{rcpt_mailer}": None}}}

# step: command letter, flag that leaves it out, flag that takes its reply away
STEPS = {
    "connect": (b"C", NOCONNECT, NR_CONN), "helo": (b"H", NOHELO, NR_HELO),
    "mail": (b"M", NOMAIL, NR_MAIL), "rcpt": (b"R", NORCPT, NR_RCPT),
    "data": (b"T", NODATA, NR_DATA), "header": (b"L", NOHDRS, NR_HDR),
    "eoh": (b"N", NOEOH, NR_EOH), "body": (b"B", NOBODY, NR_BODY), "eom": (b"E", 0, 0),
    "unknown": (b"U", NOUNKNOWN, NR_UNKN),
}

REPLIES = {b"a": "accept", b"c": "continue", b"d": "discard", b"r": "reject", b"s": "skip",
           b"t": "tempfail", b"y": "reply", b"4": "shutdown", b"f": "conn_fail"}

# modification: name, action that must have been agreed
MODIFICATIONS = {b"+": ("addrcpt", ADDRCPT), b"2": ("addrcpt", ADDRCPT_PAR),
                 b"-": ("delrcpt", DELRCPT), b"e": ("chgfrom", CHGFROM),
                 b"h": ("addheader", ADDHDRS), b"i": ("insheader", ADDHDRS),
                 b"m": ("chgheader", CHGHDRS), b"q": ("quarantine", QUARANTINE),
                 b"b": ("replbody", CHGBODY)}

PROGRESS = b"p"
CHUNK = 65535


class ProtocolError(AssertionError):
    """The filter did what the protocol, or what was negotiated, does not allow."""


@dataclasses.dataclass
class Answer:
    """A reply to one step.

    kind   accept, continue, discard, reject, skip, tempfail, shutdown, conn_fail; "none" where no
           reply was due, "unsent" where the step was not wanted. A reply with a text of its own
           counts as reject or tempfail by its first digit.
    text   that text, "550 5.7.1 because", else ""
    """

    kind: str
    text: str = ""

    @property
    def code(self):
        return int(self.text[:3]) if self.text else None

    @property
    def passes(self):
        return self.kind in ("continue", "none", "unsent", "skip")


@dataclasses.dataclass
class Mod:
    """One modification: chgfrom(address, args), addrcpt(address, args), delrcpt(address),
    addheader(name, value), insheader(index, name, value), chgheader(index, name, value),
    quarantine(reason), replbody(octets). Equal to a plain tuple ("delrcpt", "<a@b>")."""

    name: str
    args: tuple

    def __eq__(self, other):
        if isinstance(other, tuple):
            return (self.name, *self.args) == other
        return isinstance(other, Mod) and (self.name, self.args) == (other.name, other.args)

    def __hash__(self):
        return hash((self.name, self.args))

    def __repr__(self):
        return f"{self.name}{self.args!r}"


@dataclasses.dataclass
class Outcome:
    """What became of one message.

    verdict   accept, reject, tempfail, discard (or shutdown, conn_fail)
    stage     the step that decided: mail, rcpt (no recipient was left), data ... eom
    text      the SMTP text of that reply, if it had one
    mods      modifications in order (made at the end of the message)
    """

    verdict: str = "accept"
    stage: str = "eom"
    text: str = ""
    mail: Answer = None
    rcpts: list = dataclasses.field(default_factory=list)
    data: Answer = None
    headers: list = dataclasses.field(default_factory=list)
    eoh: Answer = None
    body: list = dataclasses.field(default_factory=list)
    eom: Answer = None
    mods: list = dataclasses.field(default_factory=list)

    @property
    def code(self):
        return int(self.text[:3]) if self.text else None

    @property
    def rcpt_replies(self):
        return self.rcpts

    def mods_named(self, name):
        return [mod for mod in self.mods if mod.name == name]

    @property
    def new_sender(self):
        """The sender after the last chgfrom, or None."""
        changes = self.mods_named("chgfrom")
        return changes[-1].args[0] if changes else None

    @property
    def final_rcpts(self):
        """The recipients after all modifications, without brackets, in order."""
        left = [strip_path(rcpt) for rcpt, answer in self._given if answer.passes]
        for mod in self.mods:
            if mod.name == "delrcpt":
                left = [rcpt for rcpt in left if rcpt != strip_path(mod.args[0])]
            elif mod.name == "addrcpt":
                left.append(strip_path(mod.args[0]))
        return left

    _given: list = dataclasses.field(default_factory=list, repr=False)


def strip_path(path):
    return path[1:-1] if path.startswith("<") and path.endswith(">") else path


def octets(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def strings(*items):
    """Each as a C string."""
    return b"".join(octets(item) + b"\0" for item in items)


def split_strings(data):
    """C strings as text; the last one need not be ended."""
    parts = data.split(b"\0")
    if parts and parts[-1] == b"":
        parts.pop()
    return [part.decode("utf-8", "surrogateescape") for part in parts]


class MilterSession:
    """One connection of the MTA to the filter, that is one SMTP session.

    where     "unix:/path", "inet:host:port" or "inet:port@host"
    client    (name, address, port); an address with a colon is IPv6; address None is an unknown
              one (family U), ("localhost", None, 0) is Sendmail -bs; "unix:/path" is family L
    helo      the HELO name, None sends none
    auth      user name: {auth_type} and {auth_authen} come with every MAIL
    actions, steps, version   what the MTA offers
    macros    {step: {name: value or None}} upon POSTFIX_MACROS; None removes a macro
    queue_id  the value of macro i; from the second RCPT or DATA on, as Postfix does; None: never;
              a list gives one a message. early_id=True sends it from MAIL on, as Sendmail does
    start     False: neither negotiate, connect nor helo; do it by hand
    """

    def __init__(self, where, *, client=("mx.other.test", "192.0.2.9", 4711),
                 helo="mx.other.test", auth=None, actions=ALL_ACTIONS, steps=ALL_STEPS,
                 version=VERSION, macros=None, queue_id="4XyZ", early_id=False, start=True,
                 timeout=20):
        self.client = client
        self.helo_name = helo
        self.auth = auth
        self.offered = (version, actions, steps)
        self.macros = {step: {**values, **(macros or {}).get(step, {})}
                       for step, values in POSTFIX_MACROS.items()}
        self.queue_ids = list(queue_id) if isinstance(queue_id, (list, tuple)) else None
        self.queue_id = None if self.queue_ids else queue_id
        self.early_id = early_id
        self.sock = connect_socket(where, timeout * util.PATIENCE)
        self.version = version
        self.actions = actions
        self.steps = 0
        self.symbols = {}
        self.mods = []
        self.greeting = None          # the answer to connect, then helo, if one ended the session
        self._sender = ""
        self._rcpt_count = 0
        if start:
            try:
                self.negotiate()
                self.greeting = self.connect()
                if self.greeting.passes and helo is not None:
                    self.greeting = self.helo(helo)
            except BaseException:
                self.sock.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(polite=kind is None)

    def close(self, polite=True):
        if self.sock is None:
            return
        try:
            if polite:
                self.quit()
        except OSError:
            pass
        finally:
            if self.sock is not None:
                self.sock.close()
                self.sock = None

    # -- packets ----------------------------------------------------------------------------------

    def send_packet(self, command, data=b""):
        self.sock.sendall(struct.pack("!I", len(data) + 1) + command + data)

    def read_packet(self):
        """(command, data); EOFError where the filter hung up."""
        length = struct.unpack("!I", self._read(4))[0]
        if not 1 <= length <= 0x1000000:
            raise ProtocolError(f"packet of {length} octets")
        packet = self._read(length)
        return packet[:1], packet[1:]

    def _read(self, count):
        got = b""
        while len(got) < count:
            part = self.sock.recv(count - len(got))
            if not part:
                raise EOFError("the filter closed the connection")
            got += part
        return got

    def quiet(self, seconds=0.2):
        """Whether nothing at all comes within the time: for steps without a reply."""
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(20 * util.PATIENCE)

    # -- negotiation ------------------------------------------------------------------------------

    def negotiate(self, version=None, actions=None, steps=None):
        """Offers, and takes what the filter chose: self.version, .actions, .steps, .symbols."""
        offer = tuple(mine if given is None else given for given, mine
                      in zip((version, actions, steps), self.offered))
        self.send_packet(b"O", struct.pack("!III", *offer))
        command, data = self.read_packet()
        if command != b"O":
            raise ProtocolError(f"answer {command!r} to the negotiation")
        self.version, self.actions, self.steps = struct.unpack("!III", data[:12])
        if self.version > offer[0]:
            raise ProtocolError(f"version {self.version} was not offered")
        if self.actions & ~offer[1]:
            raise ProtocolError(f"actions {self.actions:#x}, offered {offer[1]:#x}")
        if self.steps & ~offer[2]:
            raise ProtocolError(f"steps {self.steps:#x}, offered {offer[2]:#x}")
        self.symbols = _symbols(data[12:])
        return self

    def wanted(self, step):
        return not self.steps & STEPS[step][1]

    # -- steps ------------------------------------------------------------------------------------

    def send_macros(self, step, values):
        """A macro packet; values that are None are left out."""
        pairs = []
        for name, value in values.items():
            if value is not None:
                pairs += [name, value]
        self.send_packet(b"D", STEPS[step][0] + strings(*pairs))

    def _macros(self, step, **filled):
        values = {}
        for name, value in self.macros.get(step, {}).items():
            if value is not None:
                for key, text in filled.items():
                    value = value.replace("{" + key + "}", text)
            values[name] = value
        if step != "connect" and step != "helo" and self._has_id(step):
            values = {"i": self.queue_id, **values}
        return values

    def _has_id(self, step):
        if self.queue_id is None or step == "unknown":
            return False
        if self.early_id or step in ("data", "header", "eoh", "body", "eom"):
            return True
        return step == "rcpt" and self._rcpt_count > 0

    def step(self, name, data=b"", macros=None):
        """Macros and event of one step, and the Answer to it."""
        letter, unwanted, no_reply = STEPS[name]
        if macros is not None:
            self.send_macros(name, macros)
        if self.steps & unwanted:
            return Answer("unsent")
        self.send_packet(letter, data)
        if self.steps & no_reply:
            return Answer("none")
        return self._answer(name)

    def _answer(self, step):
        while True:
            command, data = self.read_packet()
            if command == PROGRESS:
                continue
            if command in MODIFICATIONS:
                if step != "eom":
                    raise ProtocolError(f"modification {command!r} at {step}")
                self.mods.append(self._modification(command, data))
                continue
            if command not in REPLIES:
                raise ProtocolError(f"reply {command!r} at {step}")
            kind = REPLIES[command]
            if kind == "skip" and (step != "body" or not self.steps & SKIP):
                raise ProtocolError(f"skip at {step}, steps {self.steps:#x}")
            return _reply_answer(data) if kind == "reply" else Answer(kind)

    def _modification(self, command, data):
        name, action = MODIFICATIONS[command]
        if not self.actions & action:
            raise ProtocolError(f"{name} without having asked for it ({self.actions:#x})")
        if command in b"im":
            index = struct.unpack("!I", data[:4])[0]
            return Mod(name, (index, *_pair(data[4:])))
        if command == b"b":
            return Mod(name, (data,))
        parts = split_strings(data)
        if command == b"h":
            return Mod(name, _pair(data))
        if command in b"e2+":
            return Mod(name, (parts[0], parts[1] if len(parts) > 1 else None))
        return Mod(name, (parts[0] if parts else "",))

    def connect(self, client=None):
        name, address, port = client or self.client
        data = strings(name)
        if address is None:
            data += b"U"
        elif address.startswith("unix:"):
            data += b"L" + struct.pack("!H", 0) + strings(address[5:])
        else:
            family = b"6" if ":" in address else b"4"
            text = f"IPv6:{address}" if family == b"6" else address
            data += family + struct.pack("!H", port) + strings(text)
        described = f"{name} [{address}]" if address else name
        return self.step("connect", data, self._macros("connect", client=described))

    def helo(self, name):
        return self.step("helo", strings(name), self._macros("helo"))

    def mail(self, sender, *args):
        """A new message. `sender` goes over the wire as it is: with its brackets."""
        if self.queue_ids:
            self.queue_id = self.queue_ids.pop(0)
        self._sender = sender
        self._rcpt_count = 0
        self.mods = []
        macros = self._macros("mail", sender=_plain_text(sender))
        if self.auth:
            macros = {"{auth_type}": "PLAIN", "{auth_authen}": self.auth, **macros}
        return self.step("mail", strings(sender, *args), macros)

    def rcpt(self, rcpt, *args):
        answer = self.step("rcpt", strings(rcpt, *args),
                           self._macros("rcpt", rcpt=_plain_text(rcpt)))
        self._rcpt_count += 1
        return answer

    def data(self):
        return self.step("data", b"", self._macros("data"))

    def header(self, name, value):
        value = octets(value)
        if self.steps & HDR_LEADSPC:
            value = b" " + value
        return self.step("header", strings(name, value), self._macros("header"))

    def eoh(self):
        return self.step("eoh", b"", self._macros("eoh"))

    def body(self, chunk):
        return self.step("body", octets(chunk), self._macros("body"))

    def eom(self, rest=b""):
        """The end of the message; modifications are in self.mods afterwards."""
        return self.step("eom", rest, self._macros("eom"))

    def abort(self):
        """RSET, a client that hangs up, or, from Postfix, any end of a message; no reply."""
        self._rcpt_count = 0
        self.send_packet(b"A")

    def unknown(self, line):
        return self.step("unknown", strings(line), self._macros("unknown"))

    def quit(self):
        self.send_packet(b"Q")
        self.sock.close()
        self.sock = None

    def quit_nc(self, client=None, helo=None):
        """Ends the session and begins another on the same connection."""
        self.send_packet(b"K")
        if client:
            self.client = client
        self.greeting = self.connect()
        if helo or self.helo_name:
            self.greeting = self.helo(helo or self.helo_name)
        return self.greeting

    # -- a whole message --------------------------------------------------------------------------

    def message(self, sender, rcpts, headers=None, body=b"Hello.\r\n", *, mail_args=(),
                rcpt_args=()):
        """Plays one message as Postfix would, and aborts it where Postfix would.

        rcpts     a path, or a list of paths; rcpt_args: for all, or a dict by path
        headers   (name, value) pairs
        """
        out = Outcome()
        rcpts = [rcpts] if isinstance(rcpts, (str, bytes)) else list(rcpts)
        out.mail = self.mail(sender, *mail_args)
        if not out.mail.passes:
            return self._ended(out, "mail", out.mail)
        for rcpt in rcpts:
            args = rcpt_args.get(rcpt, ()) if isinstance(rcpt_args, dict) else rcpt_args
            answer = self.rcpt(rcpt, *args)
            out.rcpts.append(answer)
            out._given.append((rcpt, answer))
            if answer.kind in ("accept", "discard", "shutdown"):
                return self._ended(out, "rcpt", answer)
        if not any(answer.passes for answer in out.rcpts):
            kinds = {answer.kind for answer in out.rcpts}
            out = self._ended(out, "rcpt", out.rcpts[-1])
            out.verdict = "reject" if kinds == {"reject"} else "tempfail"
            return out
        return self._content(out, default_headers(sender, rcpts) if headers is None else headers,
                             octets(body))

    def _content(self, out, headers, body):
        out.data = self.data()
        if not out.data.passes:
            return self._ended(out, "data", out.data)
        for name, value in headers:
            answer = self.header(name, value)
            out.headers.append(answer)
            if not answer.passes:
                return self._ended(out, "header", answer)
        out.eoh = self.eoh()
        if not out.eoh.passes:
            return self._ended(out, "eoh", out.eoh)
        for at in range(0, len(body), CHUNK):
            answer = self.body(body[at:at + CHUNK])
            out.body.append(answer)
            if answer.kind == "skip":
                break
            if not answer.passes:
                return self._ended(out, "body", answer)
        out.eom = self.eom()
        out.mods = list(self.mods)
        self.abort()    # as Postfix does, whatever the verdict
        out.verdict = "accept" if out.eom.passes else out.eom.kind
        out.text = out.eom.text
        return out

    def _ended(self, out, stage, answer):
        """The filter decided before the end: Postfix tells it no more of this message."""
        self.abort()
        out.verdict, out.stage, out.text = answer.kind, stage, answer.text
        return out


def default_headers(sender, rcpts):
    return [("From", strip_path(_plain_text(sender)) or "MAILER-DAEMON@mx.other.test"),
            ("To", strip_path(_plain_text(rcpts[0]))), ("Subject", "test"),
            ("Message-ID", f"<{util.unique('id')}@test>")]


def _plain_text(path):
    text = path if isinstance(path, str) else path.decode("utf-8", "surrogateescape")
    return strip_path(text)


def _pair(data):
    """A header's name and value, both C strings; the value may be empty."""
    name, _, rest = data.partition(b"\0")
    value = rest.removesuffix(b"\0")
    return (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))


def _reply_answer(data):
    text = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
    found = re.match(r"([245])[0-9]{2}[ -]", text)
    if not found:
        raise ProtocolError(f"SMTP reply {text!r}")
    kind = {"2": "accept", "4": "tempfail", "5": "reject"}[found[1]]
    return Answer(kind, text.replace("%%", "%"))


def _symbols(data):
    """Macro lists that the filter asks for, by stage number."""
    lists = {}
    while data:
        stage = struct.unpack("!I", data[:4])[0]
        text, _, data = data[4:].partition(b"\0")
        lists[stage] = text.decode("ascii").split()
    return lists


def connect_socket(where, timeout=20):
    """A connected socket for "unix:/path", "inet:host:port" or "inet:port@host"."""
    kind, _, rest = str(where).partition(":")
    if kind in ("unix", "local"):
        sock = socket.socket(socket.AF_UNIX)
        target = rest
    elif kind == "inet":
        found = re.fullmatch(r"(\d+)@(.+)", rest)
        host, port = (found[2], found[1]) if found else rest.rsplit(":", 1)
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        target = (host, int(port))
    else:
        raise ValueError(where)
    sock.settimeout(timeout)
    try:
        sock.connect(target)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {where}") from error
    if kind == "inet":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
