"""batvd and batvctl on a configuration, a state folder and, where asked, a time of their own.

The daemon is started as root and gives that up for `user`, as it does in life; its log goes to
stderr and so into a file, which log() takes apart by the rules of the log's format. Time is
libfaketime's, read anew at each look at the clock from a file that the test may change while the
daemon runs. Whatever a sanitizer writes makes stop() fail.
"""

import dataclasses
import datetime
import functools
import grp
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import time

from . import tag, util
from .milter import MilterSession
from .postfix import where

SANITIZER = re.compile(r"ERROR: \w*Sanitizer|WARNING: \w*Sanitizer|runtime error:")
DAY = 86400


# -- configuration --------------------------------------------------------------------------------

class Raw(str):
    """Text that stands in the configuration as it is."""


def to_libconfig(value, indent=0):
    """A Python value in libconfig's notation: dicts are groups, tuples lists, lists of one scalar
    type arrays, other lists lists."""
    pad = "    " * (indent + 1)
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}L" if abs(value) >= 2**31 else str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (str, pathlib.Path)):
        escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, dict):
        lines = [f"{pad}{key} = {to_libconfig(item, indent + 1)};\n" for key, item in value.items()]
        return "{\n" + "".join(lines) + "    " * indent + "}"
    if isinstance(value, (list, tuple)):
        scalars = len({type(item) for item in value}) <= 1 and not any(
            isinstance(item, (dict, list, tuple)) for item in value)
        left, right = "[]" if scalars and isinstance(value, list) else "()"
        return left + ", ".join(to_libconfig(item, indent + 1) for item in value) + right
    raise TypeError(type(value))


def config_text(config):
    return "".join(f"{key} = {to_libconfig(value)};\n" for key, value in config.items())


def merge(base, over):
    """`over` upon `base`, group by group; None removes."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


# -- log ------------------------------------------------------------------------------------------

class Entry(dict):
    """A decision: its fields, plus id, event, line (as written) and keys (the fields' order)."""

    def __init__(self, queue_id, event, pairs, line):
        super().__init__(pairs)
        self.id = queue_id
        self.event = event
        self.line = line
        self.keys_in_order = [key for key, _ in pairs]

    def fits(self, event, queue_id, fields):
        if event is not None and self.event != event:
            return False
        if queue_id is not None and self.id != queue_id:
            return False
        return all(self.get(key) == value for key, value in fields.items())


DECISIONS = ("sign", "sign-skip", "verify", "relayed-unsigned", "message-id")
_DECISION = re.compile(r"^(?P<id>[0-9A-Za-z]+): (?P<event>[a-z][a-z-]*)(?P<rest>( [a-z_]+=.*)?)$")
_BARE = re.compile(r'[\x21\x23-\x5b\x5d-\x7e]+')
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]|\\x[0-9A-Fa-f]{2})*)"')


def unquote(text):
    """The octets of a quoted value, as text (octets that are no UTF-8 as surrogates)."""
    octets = re.sub(rb"\\(x[0-9A-Fa-f]{2}|.)",
                    lambda m: bytes.fromhex(m[1][1:].decode()) if len(m[1]) == 3 else m[1],
                    text.encode("ascii"))
    return octets.decode("utf-8", "surrogateescape")


def parse_fields(text):
    """`key=value key="va lue"` as (key, value) pairs; ValueError where the format is broken."""
    pairs = []
    at = 0
    while at < len(text):
        key = re.compile(r" ([a-z_]+)=").match(text, at)
        if not key:
            raise ValueError(f"no key=value at {text[at:]!r}")
        at = key.end()
        value = _QUOTED.match(text, at)
        if value:
            needless = value[1] and _BARE.fullmatch(value[1])
            if needless:
                raise ValueError(f"quoted without need: {value[0]}")
            pairs.append((key[1], unquote(value[1])))
        else:
            value = _BARE.match(text, at)
            if not value:
                raise ValueError(f"no value at {text[at:]!r}")
            pairs.append((key[1], value[0]))
        at = value.end()
    return pairs


def parse_line(line):
    """An Entry for a decision's line, None for any other; ValueError for a broken decision."""
    found = _DECISION.match(line)
    if not found or found["event"] not in DECISIONS:
        return None
    try:
        return Entry(found["id"], found["event"], parse_fields(found["rest"]), line)
    except ValueError as error:
        raise ValueError(f"{error} in log line {line!r}") from None


# -- the programs ---------------------------------------------------------------------------------

class StartFailure(AssertionError):
    """batvd ended instead of listening."""

    def __init__(self, status, log):
        super().__init__(f"batvd ended with {status}:\n{log}")
        self.status = status
        self.log = log


@dataclasses.dataclass
class Done:
    """What batvctl said."""

    rc: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return self.out.splitlines()


@functools.lru_cache(maxsize=None)
def _mta_group():
    try:
        entry = pwd.getpwnam(where().mail_owner)
        return grp.getgrgid(entry.pw_gid).gr_name
    except (KeyError, OSError, subprocess.SubprocessError):
        return None


_FAKETIME = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))),
                 None)

# Daemons that were told to end and have not been looked at since, see Batvd.terminate().
_ENDING = []


class Batvd:
    """One daemon with its folder.

    config      dict of options, put upon the defaults below; or the file's whole text, in which
                @DIR@ stands for the folder, @SOCKET@ for the listener, @STATE@ for state_dir
    listen      "unix" or "inet"
    socket_path where else than in its own folder the unix socket is to be
    user        whom it becomes; None leaves the option out
    fake_time   runs under libfaketime; then travel() and set_clock() work
    monotonic   with fake_time: whether the monotonic clock jumps along
    init_keys   whether start() makes a ring where there is none
    prefix      a command in front of both programs' command lines, which must become them by exec
    """

    def __init__(self, config=None, *, listen="unix", socket_path=None, user="nobody",
                 fake_time=False, monotonic=False, init_keys=True, prefix=()):
        self.folder = util.make_folder("batvd")
        self.conf = self.folder / "batvd.conf"
        self.state = self.folder / "state"
        self.run = self.folder / "run"
        self.socket_path = pathlib.Path(socket_path or self.run / "milter.sock")
        self.log_file = self.folder / "log"
        self.log_file.touch()
        self.user = user
        self.port = util.free_port() if listen == "inet" else None
        self.process = None
        self.fake_time = fake_time
        self.offset = 0
        self.monotonic = monotonic
        self._init_keys = init_keys
        self._prefix = list(prefix)
        self.under = []  # the same for the daemon alone
        self._fake_file = self.folder / "faketime"
        self._secrets = {}
        self._make_folders()
        self.config = None
        self.configure(config or {})
        if fake_time:
            self.travel(0)

    def _make_folders(self):
        uid, gid = util.owner_ids(self.user or "root")
        self.state.mkdir(mode=0o700)
        os.chown(self.state, uid, gid)
        self.make_run_folder(self.run)

    def make_run_folder(self, path):
        """A folder for the socket as an administrator would lay it out: the daemon's, setgid to
        the MTA's group."""
        uid, gid = util.owner_ids(self.user or "root")
        group = _mta_group()
        path.mkdir()
        os.chown(path, uid, grp.getgrnam(group).gr_gid if group else gid)
        path.chmod(0o2750)

    # -- configuration ----------------------------------------------------------------------------

    @property
    def listen(self):
        """The value of `listen`."""
        if self.port:
            return f"inet:{self.port}@127.0.0.1"
        return f"unix:{self.socket_path}"

    @property
    def milter(self):
        """The same as a value for smtpd_milters, and for MilterSession."""
        return f"inet:127.0.0.1:{self.port}" if self.port else self.listen

    def defaults(self):
        settings = {
            "listen": self.listen,
            "listen_mode": "0660",
            "user": self.user,
            "listen_group": _mta_group(),
            "state_dir": str(self.state),
            "domains": ("example.com",),
            "internal_networks": ["127.0.0.2/32"],
            "log": {"target": "stderr"},
        }
        return {key: value for key, value in settings.items() if value is not None}

    def configure(self, config):
        """Writes the file anew; takes force at the next start() or reload()."""
        if isinstance(config, str):
            text = config.replace("@DIR@", str(self.folder)).replace("@STATE@", str(self.state))
            text = text.replace("@SOCKET@", self.listen)
            self.config = None
        else:
            self.config = merge(self.defaults(), config)
            text = config_text(self.config)
        fresh = self.folder / "batvd.conf.new"
        fresh.write_text(text, encoding="utf-8", errors="surrogateescape")
        fresh.chmod(0o644)
        fresh.rename(self.conf)

    # -- time -------------------------------------------------------------------------------------

    def now(self):
        """The time the programs live in, in seconds."""
        return time.time() + self.offset

    def today(self):
        return tag.day_of(self.now())

    def travel(self, seconds=0, *, days=0):
        """Sets the clock to the real time plus so much; a running daemon sees it at once."""
        assert self.fake_time, "made without fake_time"
        self.offset = seconds + days * DAY
        fresh = self.folder / "faketime.new"
        fresh.write_text(f"{self.offset:+f}\n", encoding="ascii")
        fresh.chmod(0o644)
        fresh.rename(self._fake_file)

    def set_clock(self, when):
        """The same by the time it is to be: seconds, or a datetime (UTC if it names no zone)."""
        if isinstance(when, datetime.datetime):
            if when.tzinfo is None:
                when = when.replace(tzinfo=datetime.timezone.utc)
            when = when.timestamp()
        self.travel(when - time.time())

    # -- processes --------------------------------------------------------------------------------

    def environment(self, more=None):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TZ": "UTC",
               "ASAN_OPTIONS": "verify_asan_link_order=0"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        if self.fake_time:
            assert _FAKETIME, "libfaketime is not installed"
            # From the file, never from FAKETIME: that would go before it. The monotonic switch
            # has had two names.
            still = "0" if self.monotonic else "1"
            env.update(LD_PRELOAD=str(_FAKETIME), FAKETIME_TIMESTAMP_FILE=str(self._fake_file),
                       FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC=still,
                       DONT_FAKE_MONOTONIC=still)
        env.update(more or {})
        return env

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def start(self, *args):
        """Starts it and waits until it listens; StartFailure if it ends instead."""
        assert self.process is None
        if self._init_keys and not (self.state / "keyring").exists():
            self.ctl("key", "init", rc=0)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._prefix, *self.under, util.binary("batvd"), "-c", self.conf, *args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(), cwd="/",
                start_new_session=True)
        try:
            util.wait_for(self._listens, 20, lambda: "a listening batvd:\n" + self.log_text())
        except BaseException:
            self.kill9()
            raise
        util.LIVE.append(self)
        return self

    def _listens(self):
        if self.process.poll() is not None:
            status = self.process.returncode
            self._gone()
            raise StartFailure(status, self.log_text())
        return self.accepts()

    def accepts(self):
        """Whether something accepts connections on the listener."""
        family = socket.AF_INET if self.port else socket.AF_UNIX
        where = ("127.0.0.1", self.port) if self.port else str(self.socket_path)
        with socket.socket(family) as probe:
            probe.settimeout(5)
            try:
                probe.connect(where)
            except OSError:
                return False
        return True

    @property
    def pid(self):
        return self.process.pid if self.process else None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def _gone(self):
        if self.process is not None:
            _forget_faketime(self.process.pid)
        self.process = None
        if self in util.LIVE:
            util.LIVE.remove(self)

    def kill9(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self._gone()

    def stop(self, timeout=20):
        """SIGTERM, and all that a good end must show: status 0, no word from a sanitizer."""
        if self.process is None:
            return
        self.process.terminate()
        self._finish(timeout)

    def _finish(self, timeout=20):
        try:
            status = self.process.wait(timeout * util.PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError("batvd did not end on SIGTERM:\n" + self.diagnosis()) from None
        self._gone()
        text = self.log_text()
        assert status == 0, f"batvd ended with {status}:\n" + util.tail(text, 120)
        assert not SANITIZER.search(text), util.tail(text, 200)

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """stop(), and the folder goes."""
        try:
            self.stop()
        finally:
            util.remove_folder(self.folder)

    def terminate(self):
        """Tells it to end without waiting for that: libmilter may take five seconds over it.
        collect_ended() looks how it went."""
        if self.process is None:
            util.remove_folder(self.folder)
            return
        self.process.terminate()
        _ENDING.append(self)
        if self in util.LIVE:
            util.LIVE.remove(self)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def reload(self, config=None, *, ok=True, timeout=10):
        """SIGUSR1, after writing `config` if given; waits for the log's word on how it went, which
        must be as `ok` says, and returns that line."""
        if config is not None:
            self.configure(config)
        mark = self.mark()
        self.signal(signal.SIGUSR1)
        line = self.wait_text(r"^configuration .* reloaded|stays in force", since=mark,
                              timeout=timeout)
        assert line.endswith("reloaded") == ok, line
        return line

    def ctl(self, *args, json=False, rc=None, stdin="", env=None, timeout=30, conf=None):
        """Runs batvctl on this configuration, in this time. `rc`: the exit status it must have.
        With json=True the parsed answer is returned, else a Done."""
        argv = [*self._prefix, util.binary("batvctl"), "-c", str(conf or self.conf)]
        argv += ["--json"] if json else []
        process = subprocess.Popen([*argv, *map(str, args)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                                   env=self.environment(env), text=True, encoding="utf-8",
                                   errors="surrogateescape")
        try:
            out, err = process.communicate(stdin, timeout=timeout * util.PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        finally:
            _forget_faketime(process.pid)
        done = Done(process.returncode, out, err)
        assert not SANITIZER.search(err), err
        if rc is not None:
            assert done.rc == rc, f"batvctl {' '.join(map(str, args))}: {done}"
        return done.json if json else done

    # -- keys -------------------------------------------------------------------------------------

    def secret(self, number):
        """The octets of a key, by `key export`."""
        if number not in self._secrets:
            done = self.ctl("key", "export", number, rc=0)
            self._secrets[number] = bytes.fromhex(done.out.strip())
        return self._secrets[number]

    def evidence_secret(self):
        """The octets that evidence is made with now; no command tells them."""
        text = (self.state / "keyring").read_text("ascii")
        return bytes.fromhex(re.search("(?m)^evidence current ([0-9a-f]+)$", text)[1])

    def forget_secrets(self):
        """After a key came into a slot that had another."""
        self._secrets.clear()

    def active_key(self):
        keys = [key for key in self.ctl("key", "list", json=True) if key["state"] == "active"]
        assert len(keys) == 1, keys
        return keys[0]["number"]

    def tagged(self, address, *, days=7, key=None):
        """The tag that an outsider with the keys would make: `days` from today to its expiry."""
        key = self.active_key() if key is None else key
        return tag.sign(self.secret(key), key, self.today() + days, address)

    def tag_comes_back(self, sender="alice@example.com"):
        """A bounce from outside to a valid tag of a domain that has signed, without which `auto`
        does not reject; returns when the keyring has both records."""
        domain = re.escape(sender.rpartition("@")[2])
        keyring = self.state / "keyring"

        def knows(what):
            util.wait_for(lambda: re.search(rf"(?m)^domain {domain} .*{what}=",
                                            keyring.read_text("ascii")), 5, what)
        knows("first-signed")
        with MilterSession(self.milter) as session:
            session.message("<>", [f"<{self.tagged(sender)}>"])
        knows("tag-seen")

    def check_tag(self, tagged, plain, *, days=7, key=None, when=None):
        """Fails unless `tagged` is exactly what this ring makes of `plain` at the time `when` (real
        seconds, as of the message's arrival; None: now); returns the key."""
        parts = tag.parse(tagged)
        assert parts, f"no tag: {tagged!r}"
        today = tag.day_of((when or time.time()) + self.offset)
        return tag.check(self.secret(parts[0]), tagged, plain, today + days, key)

    # -- log --------------------------------------------------------------------------------------

    def log_text(self):
        return self.log_file.read_bytes().decode("utf-8", "surrogateescape")

    def mark(self):
        """A place in the log, for `since`."""
        return len(self.log_text())

    def log(self, event=None, *, since=0, id=None, **fields):
        """The decisions logged so far that fit: log("verify", rcpt="<a@b>", result="missing").
        The queue id goes by `id`; a key that is no Python word by **{"from": ...}."""
        text = self.log_text()[since:]
        text = text[:text.rfind("\n") + 1]
        entries = [parse_line(line) for line in text.splitlines()]
        return [entry for entry in entries if entry and entry.fits(event, id, fields)]

    def wait_log(self, event=None, *, count=1, since=0, timeout=10, id=None, **fields):
        """Those decisions, once there are `count` of them; more is a failure."""
        def enough():
            found = self.log(event, since=since, id=id, **fields)
            return found if len(found) >= count else None
        found = util.wait_for(enough, timeout, lambda: f"{count} x {event} id={id} {fields} in "
                              "the log:\n" + util.tail(self.log_text()[since:]))
        assert len(found) == count, [entry.line for entry in found]
        return found

    def wait_entry(self, event=None, **what):
        """The one decision that fits."""
        return self.wait_log(event, **what)[0]

    def wait_text(self, pattern, *, since=0, timeout=10):
        """The first line that matches, decisions included."""
        def there():
            return next((line for line in self.log_text()[since:].splitlines()
                         if re.search(pattern, line)), None)
        return util.wait_for(there, timeout, lambda: f"{pattern!r} in the log:\n"
                             + util.tail(self.log_text()[since:]))

    def diagnosis(self):
        return f"== batvd {self.folder}\n" + util.tail(self.log_text(), 80)


def _forget_faketime(pid):
    """libfaketime leaves its semaphore behind where a process gave up the right to remove it."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        try:
            os.unlink(f"/dev/shm/{name}")
        except OSError:
            pass


def forget_dead_faketime():
    """The same for whatever a program under libfaketime had started in its turn."""
    for name in os.listdir("/dev/shm"):
        found = re.fullmatch(r"(?:faketime_shm|sem\.faketime_sem)_(\d+)", name)
        if found and not util.process_alive(int(found[1])):
            _forget_faketime(int(found[1]))


def collect_ended():
    """Waits for every daemon that terminate() was called for; fails for the first that ended
    badly, after all have been looked at."""
    failures = []
    while _ENDING:
        batvd = _ENDING.pop()
        try:
            batvd._finish()
        except AssertionError as error:
            failures.append(error)
        util.remove_folder(batvd.folder)
    if failures:
        raise failures[0]
