"""A private Sendmail: configuration, users, queue, mailboxes and log in one folder, nothing else
touched.

Sendmail looks at fixed places (/etc/mail, /etc/passwd, /dev/log), at the host's name and at every
folder above its files, of which none may be writable to the world. So it gets others in their place
(see elsewhere.py): what it takes for /etc lies in the folder, the log goes to a socket that is read
here, and the folder where the tests' folders lie seems to be closed. Elsewhere paths are what they
are. run() runs any command in the same way.

    folder/etc/mail/sendmail.mc, .cf   as on any host; submit.cf too
    folder/queue, clientqueue          of the daemon and of sendmail(1)
    folder/mail/USER/new               a mailbox for each of `users`
    folder/maillog                     what it told syslog

It is the installed Sendmail, or the one that .ci/deps has unpacked below build/. Nothing resolves
but `hosts`. Clients have a name by the address that they come from: STRANGER is mx.other.test.
"""

import fcntl
import os
import pathlib
import re
import signal
import smtplib
import socket
import subprocess
import threading

from . import elsewhere, util
from .mailboxes import Mailboxes
from .postfix import INSIDE, Session, make_bounce, make_message

STRANGER = "127.0.0.9"
PLAIN = "127.0.0.3"        # a client without a name
FORGED = "127.0.0.4"       # its name leads elsewhere
HOSTS = {"127.0.0.1": "localhost", INSIDE: "inside.example.com", STRANGER: "mx.other.test",
         "127.0.0.5": "liar.test", FORGED: "liar.test"}
USERS = ("alice", "bob", "carol", "postmaster")

# What of /etc is the folder's.
OWN = ("group", "hosts", "mail", "passwd", "sasl2", "sasldb2")

MC = """\
divert(0)dnl
include(`@CF@/m4/cf.m4')dnl
VERSIONID(`a private instance')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `@HOSTNAME@')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confPID_FILE', `@FOLDER@/sendmail.pid')dnl
define(`QUEUE_DIR', `@FOLDER@/queue')dnl
define(`HELP_FILE', `/etc/mail/helpfile')dnl
define(`STATUS_FILE', `@FOLDER@/statistics')dnl
define(`ALIAS_FILE', `/etc/mail/aliases')dnl
define(`confPRIVACY_FLAGS', `noexpn,novrfy')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
define(`confTO_IDENT', `0')dnl
define(`confMAX_DAEMON_CHILDREN', `0')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confREFUSE_LA', `10000')dnl
define(`confAUTH_OPTIONS', `A')dnl
TRUST_AUTH_MECH(`PLAIN')dnl
define(`confAUTH_MECHANISMS', `PLAIN')dnl
define(`LOCAL_MAILER_PATH', `@FOLDER@/deliver')dnl
define(`LOCAL_MAILER_ARGS', `deliver $u')dnl
define(`LOCAL_SHELL_PATH', `/bin/sh')dnl
@DEFINES@
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`use_cw_file')dnl
FEATURE(`access_db', `hash -T<TMPF> /etc/mail/access')dnl
FEATURE(`virtusertable', `hash /etc/mail/virtusertable')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port=@PORT@')dnl
@FEATURES@
MAILER(`local')dnl
MAILER(`smtp')dnl
"""

SUBMIT_MC = """\
divert(0)dnl
include(`@CF@/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `@HOSTNAME@')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`MSP_QUEUE_DIR', `@FOLDER@/clientqueue')dnl
define(`confPID_FILE', `@FOLDER@/client.pid')dnl
define(`STATUS_FILE', `@FOLDER@/statistics')dnl
define(`confRUN_AS_USER', `nobody')dnl
define(`confTRUSTED_USER', `nobody')dnl
FEATURE(`use_ct_file')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`nocanonify')dnl
define(`RELAY_MAILER_ARGS', `TCP $h @PORT@')dnl
define(`ESMTP_MAILER_ARGS', `TCP $h @PORT@')dnl
FEATURE(`msp', `[127.0.0.1]')dnl
"""

# What virtual(8) writes on top, so that mailboxes of both read alike.
DELIVER = "#!/bin/sh" """
set -e
for user; do :; done
box=@FOLDER@/mail/$user
fresh=$(mktemp "$box/tmp.XXXXXXXXXX")
{ echo "Delivered-To: $user"; cat; } >"$fresh"
mv "$fresh" "$box/new/${fresh##*.}"
"""

def root():
    """The folder above Sendmail's own; a missing one is an error, never a skipped test."""
    copy = util.REPO / "build/sendmail-root"
    for base in (pathlib.Path("/"), copy):
        if (base / "usr/libexec/sendmail/sendmail").exists():
            return base
    raise FileNotFoundError("no sendmail here: 'make deps' as root gets one")


class _Pipes:
    """As much of a socket as smtplib needs, over a process's stdin and stdout."""

    def __init__(self, process):
        self._process = process

    def makefile(self, _):
        return self._process.stdout

    def sendall(self, octets):
        self._process.stdin.write(octets)
        self._process.stdin.flush()

    def close(self):
        self._process.stdin.close()
        self._process.wait(60 * util.PATIENCE)


class LocalSession(Session):
    """SMTP with a program that this side has started."""

    def __init__(self, process):
        self.helo = "client.test"
        self.smtp = smtplib.SMTP(local_hostname=self.helo)
        self.smtp.command_encoding = "utf-8"
        self.smtp.sock = _Pipes(process)
        self.greeting = self.reply(self.smtp.getreply())
        self.smtp.ehlo(self.helo)


class Sendmail(Mailboxes):
    """One private instance.

    mc            text at the end of sendmail.mc, as `batvctl mta sendmail --part mc` gives it
    cf            text at the end of sendmail.cf, in the same way
    defines       text before the features, features: before the mailers
    domains       names of local-host-names, beside the host's own
    users         local users, each with a mailbox
    auth          {name: password} for SMTP AUTH
    aliases, virtusers, access     {key: value}
    relayhost     where everything else goes, "[127.0.0.1]:PORT" as Sink has it
    """

    def __init__(self, *, mc="", cf="", defines="", features="", domains=("example.com",),
                 users=USERS, auth=None, aliases=None, virtusers=None, access=None,
                 relayhost=None, hosts=None, hostname="mail.example.com"):
        self.root = root()
        self.folder = util.make_folder("batv-sendmail")
        self.etc = self.folder / "etc"
        self.mail_conf = self.etc / "mail"
        self.hostname = hostname
        self.users = list(users)
        self.auth = dict(auth or {})
        self.mc = mc
        self.cf = cf
        self._defines = defines
        self._features = features
        self._domains = list(domains)
        self._tables = {"aliases": {"MAILER-DAEMON": "postmaster", **(aliases or {})},
                        "virtusertable": dict(virtusers or {}),
                        "access": {f"Connect:{INSIDE}": "RELAY", **(access or {})}}
        self._relayhost = relayhost
        self._hosts = {**HOSTS, "127.0.0.1": f"localhost {hostname}", **(hosts or {})}
        self._port = util.free_port()
        self._log_socket = None
        self._log_thread = None
        self.daemon = None
        self.cf_folder = self.root / "usr/share/sendmail/cf"
        self._program = self.root / "usr/libexec/sendmail/sendmail"

    # -- life -------------------------------------------------------------------------------------

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def prepare(self):
        """The folder, with the configuration made from its sources; nothing runs but the log."""
        if self._log_thread is not None:
            return self
        try:
            self._write_all()
            self._open_log()
            self.make_cf()
        except BaseException:
            self._clean_up()
            raise
        return self

    def start(self):
        self.prepare()
        try:
            for attempt in range(3):
                if self.start_daemon():
                    util.LIVE.append(self)
                    return self
                if attempt == 2 or "Address already in use" not in self.maillog():
                    break
                self._port = util.free_port()
                self.write_mc()
                self.make_cf()
            raise RuntimeError("Sendmail did not start:\n" + util.tail(self.maillog()))
        except BaseException:
            self._clean_up()
            raise

    def start_daemon(self):
        """By the present sendmail.cf; whether it greets."""
        self.daemon = subprocess.Popen(
            [*self._inside(), str(self._program), "-bD", "-q1h"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=(self.folder / "stderr").open("wb"), env=self.env())
        try:
            util.wait_for(lambda: self.daemon.poll() is not None or self._greets(), 20,
                          "Sendmail's greeting")
        except util.Timeout:
            pass
        return self.daemon.poll() is None and self._greets()

    def stop_daemon(self):
        """Ends it and what it has begun."""
        left = []
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(20)
            self.daemon = None
            try:
                util.wait_for(lambda: not self.processes(), 15)
            except util.Timeout:
                left = self.processes()
        assert not left, f"Sendmail left processes: {left}"

    def restart(self):
        """By the sources as they are now."""
        self.stop_daemon()
        self.write_mc()
        self.make_cf()
        assert self.start_daemon(), self.diagnosis()

    def stop(self):
        try:
            self.stop_daemon()
        finally:
            self._clean_up()

    def kill9(self):
        """For the very end, where nothing else has ended it."""
        self._clean_up()

    def _clean_up(self):
        if self._log_thread is not None:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self.daemon is not None:
            self.daemon.wait(20)
            self.daemon = None
        if self._log_thread is not None:
            self._log_socket.shutdown(socket.SHUT_RDWR)
            self._log_thread.join(20)
            self._log_socket.close()
            self._log_thread = None
        if self in util.LIVE:
            util.LIVE.remove(self)
        util.remove_folder(self.folder)

    def processes(self):
        """The ids of all its processes: they work in its queues."""
        return util.processes_below(self.folder)

    def _greets(self):
        try:
            with smtplib.SMTP("127.0.0.1", self._port, "client.test", timeout=5) as smtp:
                smtp.noop()
            return True
        except (OSError, smtplib.SMTPException):
            return False

    def diagnosis(self):
        said = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace")
        return f"== Sendmail {self.folder}\n{said}" + util.tail(self.maillog(), 80)

    # -- its surroundings --------------------------------------------------------------------------

    def _top(self):
        """The highest folder above ours that everybody may write to."""
        for path in reversed(self.folder.parents):
            if path.stat().st_mode & 0o022 and path != pathlib.Path("/"):
                return path
        return None

    def _inside(self):
        paths = {f"/etc/{name}": self.etc / name for name in OWN}
        paths["/dev/log"] = self.folder / "log.sock"
        # Without its setgid bit, for which the loader would leave out what is preloaded.
        return ["setpriv", "--no-new-privs",
                *elsewhere.prefix(paths, hostname=self.hostname, closed=self._top())]

    def env(self, more=None):
        path = f"{self.root}/usr/libexec/sendmail:{util.BUILD}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "LANG": "C", "TZ": "UTC", **(more or {})}

    def run(self, *argv, check=True, env=None, **options):
        """A command in these surroundings; its sendmail is this one."""
        options = {"stdin": subprocess.DEVNULL, "timeout": 60, **options}
        if "input" in options:
            del options["stdin"]
        done = subprocess.run([*self._inside(), *map(str, argv)], capture_output=True,
                              env=self.env(env), check=False, cwd="/", **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def _open_log(self):
        self._log_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log_socket.bind(str(self.folder / "log.sock"))
        (self.folder / "log.sock").chmod(0o666)
        self._log_thread = threading.Thread(target=self._keep_log, daemon=True)
        self._log_thread.start()

    def _keep_log(self):
        with (self.folder / "maillog").open("ab", buffering=0) as log:
            while True:
                octets = self._log_socket.recv(65536)
                if not octets:
                    return
                log.write(re.sub(rb"^<\d+>", b"", octets).rstrip(b"\0\n") + b"\n")

    # -- configuration ----------------------------------------------------------------------------

    def port(self):
        return self._port

    def _write_all(self):
        uid, gid = util.owner_ids("nobody")
        for name in ("queue", "clientqueue", "mail", "etc", "etc/mail", "etc/sasl2"):
            (self.folder / name).mkdir(mode=0o755)
        for name in ("queue", "clientqueue"):
            (self.folder / name).chmod(0o700)
        os.chown(self.folder / "clientqueue", uid, gid)
        for user in self.users:
            # Written to by whomever the local mailer runs as.
            for path in (self.folder / "mail" / user, self.folder / "mail" / user / "new"):
                path.mkdir()
                path.chmod(0o1777)
        self._write("deliver", DELIVER)
        (self.folder / "deliver").chmod(0o755)
        self._write("statistics", "")
        self._write("stderr", "")
        self._write_etc(uid, gid)
        self._write_sasl()
        for name, entries in self._tables.items():
            self.write_table(name, entries)
        self.write_mc()

    def _write(self, name, text):
        text = text.replace("@FOLDER@", str(self.folder)).replace("@CF@", str(self.cf_folder))
        text = text.replace("@HOSTNAME@", self.hostname).replace("@PORT@", str(self._port))
        (self.folder / name).write_text(text, encoding="utf-8", errors="surrogateescape")
        (self.folder / name).chmod(0o644)

    def _write_etc(self, uid, gid):
        for name in ("passwd", "group"):
            self._write(f"etc/{name}", pathlib.Path(f"/etc/{name}").read_text(encoding="utf-8"))
        with (self.etc / "passwd").open("a", encoding="utf-8") as passwd:
            for user in self.users:
                passwd.write(f"{user}:x:{uid}:{gid}:{user}:/nonexistent:/bin/sh\n")
        self._write("etc/hosts", "".join(f"{ip} {name}\n" for ip, name in self._hosts.items()))
        self._write("etc/mail/service.switch", "hosts files\naliases files\n")
        self._write("etc/mail/helpfile", "#vers 2\n")
        self._write("etc/mail/trusted-users", "root\nnobody\n")
        self._write("etc/mail/local-host-names", "".join(f"{name}\n" for name in self._domains))

    def _write_sasl(self):
        database = self.etc / "sasldb2"
        self._write("etc/sasl2/Sendmail.conf",
                    "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n"
                    "sasldb_path: /etc/sasldb2\n")
        for user, password in self.auth.items():
            subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", self.hostname, user],
                           input=password, text=True, check=True, timeout=30, capture_output=True)
        if database.exists():
            database.chmod(0o600)

    def write_table(self, name, entries):
        """A table's source; make_cf() or make_table() makes the table."""
        colon = ":" if name == "aliases" else ""
        self._write(f"etc/mail/{name}",
                    "".join(f"{key}{colon}\t{value}\n" for key, value in entries.items()))

    def make_table(self, name):
        if name == "aliases":
            self.run(self._program, "-bi")
        else:
            self.run(self.root / "usr/libexec/sendmail/makemap", "hash", f"/etc/mail/{name}",
                     input=(self.mail_conf / name).read_bytes())

    def write_mc(self):
        text = MC.replace("@DEFINES@", self._smart_host() + self._defines)
        self._write("etc/mail/sendmail.mc", text.replace("@FEATURES@", self._features) + self.mc)
        self._write("etc/mail/submit.mc", SUBMIT_MC)

    def _smart_host(self):
        if not self._relayhost:
            return ""
        host, _, port = self._relayhost.rpartition(":")
        return (f"define(`SMART_HOST', `relay:{host}')dnl\n"
                f"define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl\n"
                f"define(`ESMTP_MAILER_ARGS', `TCP $h {port}')dnl\n")

    def make_cf(self):
        """sendmail.cf and submit.cf from their sources, and every table."""
        for name in ("sendmail", "submit"):
            done = self.run("m4", f"-D_CF_DIR_={self.cf_folder}/", f"/etc/mail/{name}.mc")
            more = self.cf if name == "sendmail" else ""
            path = self.mail_conf / f"{name}.cf"
            path.write_bytes(done.stdout + more.encode("utf-8", "surrogateescape"))
            path.chmod(0o644)
        for name in self._tables:
            self.make_table(name)

    def write_makefile(self):
        """/etc/mail/Makefile, as short as it can be."""
        self._write("etc/mail/Makefile", "/etc/mail/sendmail.cf: /etc/mail/sendmail.mc\n"
                                         "\tm4 -D_CF_DIR_=@CF@/ $< > $@\n")

    def bt(self, *lines):
        """What `sendmail -bt` answers."""
        return self.run(self._program, "-bt", input="\n".join([*lines, ""]), text=True).stdout

    # -- sending ----------------------------------------------------------------------------------

    def session(self, **options):
        return Session(self._port, **options)

    def send(self, sender, rcpts, data=None, *, source=STRANGER, auth=None, **message):
        """One message in a session of its own; see Session and Session.send."""
        with self.session(source=source, auth=auth) as session:
            return session.send(sender, rcpts, data, **message)

    def bounce(self, rcpts, *, sender="<>", **options):
        """A delivery status notification from a stranger's MTA."""
        subject = options.pop("subject", None) or util.unique("bounce")
        return self.send(sender, rcpts, make_bounce(subject), subject=subject, **options)

    def sendmail(self, rcpts, *, sender=None, subject=None, data=None, options=()):
        """Submits by sendmail(1), which hands it to the daemon by SMTP; returns the subject."""
        subject = subject or util.unique("local")
        rcpts = [rcpts] if isinstance(rcpts, str) else list(rcpts)
        argv = [self._program, "-Ac", "-i", *options]
        if sender is not None:
            argv += ["-f", sender]
        self.run(*argv, "--", *rcpts, input=data if data is not None else make_message(subject))
        return subject

    def local_session(self, *options):
        """A session with sendmail(1) -bs on its stdin and stdout. With -Am it is the MTA itself."""
        process = subprocess.Popen([*self._inside(), str(self._program), "-bs", *options],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env(),
                                   stderr=subprocess.DEVNULL)
        return LocalSession(process)

    # -- looking ----------------------------------------------------------------------------------

    def mailbox(self, user):
        assert user in self.users, user
        return self.folder / "mail" / user / "new"

    def queue(self, kind="qf"):
        """The queue's files of a kind (qf; hf for those in quarantine), with their text."""
        found = {}
        for path in sorted((self.folder / "queue").glob(f"{kind}*")):
            try:
                found[path.name] = path.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                pass
        return found

    def _busy(self):
        """Messages that have not been tried yet, or are being tried now."""
        busy = []
        for name, text in self.queue().items():
            tried = re.search(r"^K(\d+)$", text, re.MULTILINE)
            if not tried or tried[1] == "0" or self._locked(name):
                busy.append(name)
        return busy

    def _locked(self, name):
        try:
            with (self.folder / "queue" / name).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def wait_idle(self, timeout=20):
        """Until nothing is on its way any more (deferred mail may stay)."""
        # Twice: a message goes from one process to the next between two looks.
        util.wait_for(lambda: not self._busy() and not self._busy(), timeout,
                      lambda: "an idle queue:\n" + self.diagnosis())

    def flush(self):
        """Tries everything in the queue, and waits for that."""
        self.run(self._program, "-q")
        self.wait_idle()
