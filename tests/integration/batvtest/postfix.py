"""A private Postfix: configuration, queue, mailboxes and log in one folder, nothing else touched.

Where Postfix lives comes from tests/postfix-where (KEY=VALUE lines); without that script the
compiled-in places are used. Mail comes in through real SMTP sessions (from any 127/8 address, or
under any name and address by XCLIENT, or with SMTP AUTH) or through sendmail(1). Every wait is
bounded. stop() fails if a process stays behind.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
import signal
import smtplib
import subprocess
import time

from . import util
from .mailboxes import Mailboxes

OUTSIDE = "127.0.0.9"      # a client in no list
INSIDE = "127.0.0.2"       # mynetworks of the private instance
STRANGER = {"ADDR": "192.0.2.9", "NAME": "mx.other.test", "PORT": "4711"}

PIPELINED = 25             # commands at a time: their replies fit into the socket's buffer

WHERE_KEYS = ("command_directory", "daemon_directory", "shlib_directory", "meta_directory",
              "mail_owner", "setgid_group")

MASTER_CF = """\
pickup    unix       n - n 1 1 pickup
cleanup   unix       n - n - 0 cleanup
qmgr      unix       n - n 300 1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n - - trivial-rewrite
bounce    unix       - - n - 0 bounce
defer     unix       - - n - 0 bounce
trace     unix       - - n - 0 bounce
verify    unix       - - n - 1 verify
flush     unix       n - n 1000? 0 flush
proxymap  unix       - - n - - proxymap
proxywrite unix      - - n - 1 proxymap
smtp      unix       - - n - - smtp
relay     unix       - - n - - smtp
showq     unix       n - n - - showq
error     unix       - - n - - error
retry     unix       - - n - - error
discard   unix       - - n - - discard
local     unix       - n n - - local
virtual   unix       - n n - - virtual
anvil     unix       - - n - 1 anvil
scache    unix       - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


@functools.lru_cache(maxsize=None)
def where():
    """Asked once a run."""
    return Where()


class Where:
    """Postfix's programs and the environment they need."""

    def __init__(self):
        script = util.REPO / "tests" / "postfix-where"
        found = {}
        if script.exists():
            done = subprocess.run([str(script)], capture_output=True, text=True, timeout=60,
                                  check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{script}: {done.stderr.strip()}")
            for line in done.stdout.splitlines():
                key, equals, value = line.partition("=")
                if equals:
                    found[key.strip()] = value.strip().strip("'\"")
        self.root = found.get("POSTFIX_ROOT", "").rstrip("/")
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", "TZ": "UTC"}
        if self.root:
            libraries = [found["shlib_directory"], *self._library_folders()]
            self.env["LD_LIBRARY_PATH"] = ":".join(libraries)
        missing = [key for key in WHERE_KEYS if key not in found]
        if missing:
            done = subprocess.run(["/usr/sbin/postconf", "-d", *missing], capture_output=True,
                                  text=True, timeout=60, check=True)
            for line in done.stdout.splitlines():
                key, _, value = line.partition("=")
                found[key.strip()] = value.strip()
        for key in WHERE_KEYS:
            setattr(self, key, found[key])

    def _library_folders(self):
        base = pathlib.Path(self.root)
        folders = [base / "usr/lib", base / "lib"]
        folders += sorted(base.glob("usr/lib/*-linux-gnu*"))
        return [str(folder) for folder in folders if folder.is_dir()]

    def program(self, name):
        return f"{self.command_directory}/{name}"


@dataclasses.dataclass
class Reply:
    """An SMTP reply. `text` has its lines joined by a newline."""

    code: int
    text: str

    def __str__(self):
        return f"{self.code} {self.text}"

    @property
    def ok(self):
        return 200 <= self.code < 400


@dataclasses.dataclass
class Sent:
    """What a client was told about one message.

    stage   where it ended: "mail" (or the greeting before it), "rcpt" (no recipient left), "data",
            or "end" (after the dot)
    reply   the last reply; for "rcpt" the last recipient's
    rcpts   recipient -> Reply
    """

    stage: str
    reply: Reply
    rcpts: dict
    subject: str

    @property
    def accepted(self):
        return self.stage == "end" and self.reply.code == 250

    @property
    def code(self):
        return self.reply.code

    @property
    def text(self):
        return self.reply.text

    @property
    def queue_id(self):
        found = re.search(r"queued as (\w+)", self.reply.text)
        return found.group(1) if found else None


class Session:
    """An SMTP client session that says exactly what it is told to and never raises on a refusal."""

    def __init__(self, port, *, host="127.0.0.1", source=OUTSIDE, xclient=None, auth=None,
                 helo="client.test", timeout=60):
        if xclient:
            source = "127.0.0.1"
        self.smtp = smtplib.SMTP(local_hostname=helo, source_address=(source, 0),
                                 timeout=timeout * util.PATIENCE)
        self.smtp.command_encoding = "utf-8"
        self.greeting = self.reply(self.smtp.connect(host, port))
        self.helo = helo
        if not self.greeting.ok:
            return    # the server has ended the session
        self.smtp.ehlo(helo)
        if xclient:
            words = " ".join(f"{key}={value}" for key, value in xclient.items())
            reply = self.command("XCLIENT " + words)
            assert reply.code == 220, f"XCLIENT: {reply}"
            self.smtp.ehlo(helo)
        if auth:
            self.smtp.login(*auth)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.smtp.quit()
        except (smtplib.SMTPException, OSError):
            self.smtp.close()

    @staticmethod
    def reply(answer):
        code, text = answer
        return Reply(code, text.decode("utf-8", "backslashreplace"))

    def command(self, line):
        return self.reply(self.smtp.docmd(line))

    def say_all(self, lines):
        """Commands many at a time (RFC 2920); a Reply for each."""
        replies = []
        for at in range(0, len(lines), PIPELINED):
            some = lines[at:at + PIPELINED]
            self.smtp.send("".join(f"{line}\r\n" for line in some).encode("utf-8"))
            replies += [self.reply(self.smtp.getreply()) for _ in some]
        return replies

    def mail(self, sender, *args):
        return self.command(" ".join([f"MAIL FROM:{_path(sender)}", *args]))

    def rcpt(self, rcpt, *args):
        return self.command(" ".join([f"RCPT TO:{_path(rcpt)}", *args]))

    def rset(self):
        return self.command("RSET")

    def data(self, octets):
        """DATA, the message and the dot; the Reply of whichever came last."""
        reply = self.command("DATA")
        return reply if reply.code != 354 else self.finish_data(octets)

    def finish_data(self, octets):
        """The message and the dot, after a 354."""
        octets = re.sub(rb"\r?\n", b"\r\n", octets)
        octets = re.sub(rb"(?m)^\.", b"..", octets)
        if not octets.endswith(b"\r\n"):
            octets += b"\r\n"
        self.smtp.send(octets + b".\r\n")
        return self.reply(self.smtp.getreply())

    def send(self, sender, rcpts, data=None, *, subject=None, headers=(), mail_args=(),
             rcpt_args=()):
        """One whole message. `data` may be octets; else a small text is made of the headers.

        rcpt_args: arguments for every recipient, or a dict by recipient.
        """
        subject = subject or util.unique()
        rcpts = [rcpts] if isinstance(rcpts, str) else list(rcpts)
        replies = {}
        reply = self.mail(sender, *mail_args) if self.greeting.ok else self.greeting
        if not reply.ok:
            return Sent("mail", reply, replies, subject)
        for rcpt in rcpts:
            args = rcpt_args.get(rcpt, ()) if isinstance(rcpt_args, dict) else rcpt_args
            reply = replies[rcpt] = self.rcpt(rcpt, *args)
        if not any(answer.ok for answer in replies.values()):
            self.rset()
            return Sent("rcpt", reply, replies, subject)
        reply = self.data(data if data is not None else make_message(subject, headers=headers))
        stage = "end" if reply.text and "354" != str(reply.code) else "data"
        return Sent(stage, reply, replies, subject)


def _path(address):
    """An address in angle brackets; what already has them, or is meant to have none, stays."""
    if address.startswith("<") or address.startswith("!"):
        return address.removeprefix("!")
    return f"<{address}>"


def make_message(subject, *, headers=(), body="Hello.\n", sender="Somebody <somebody@other.test>",
                 rcpt="someone@example.com"):
    """A small message; headers are (name, value) pairs that come on top, or replace ours."""
    fields = {"From": sender, "To": rcpt, "Subject": subject,
              "Message-ID": f"<{util.unique('id')}@other.test>",
              "Date": "Sat, 21 Nov 2026 12:00:00 +0000"}
    for name, _ in headers:
        fields.pop(name, None)
    lines = [f"{name}: {value}" for name, value in [*headers, *fields.items()]]
    return ("\n".join(lines) + "\n\n" + body).encode("utf-8")


def make_bounce(subject, *, to="alice@example.com", failed="nobody@other.test"):
    """A delivery status notification as a foreign MTA would write it."""
    text = f"""\
From: MAILER-DAEMON@mx.other.test (Mail Delivery System)
To: {to}
Subject: {subject}
Date: Sat, 21 Nov 2026 12:00:00 +0000
Message-ID: <{util.unique('dsn')}@mx.other.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=b"

--=b
Content-Type: text/plain

Your message could not be delivered.

--=b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.other.test

Final-Recipient: rfc822; {failed}
Action: failed
Status: 5.1.1

--=b
Content-Type: text/rfc822-headers

From: {to}
To: {failed}
Subject: what came back

--=b--
"""
    return text.encode("utf-8")


class Postfix(Mailboxes):
    """One private instance.

    milter        an smtpd_milters value ("unix:/path", "inet:host:port"), or None
    non_smtpd     the same milter for sendmail(1) mail too
    users         {name: password} for SMTP AUTH (Cyrus, sasldb of its own), realm `realm`
    mailboxes     addresses with a Maildir; their domains are virtual mailbox domains
    relayhost     where everything else goes
    main          {parameter: value} for main.cf, over the defaults below
    main_lines    text appended to main.cf as it is, later entries win
    master_lines  text appended to master.cf; "{port:NAME}" becomes a free port, see port()
    """

    def __init__(self, *, milter=None, non_smtpd=True, users=None, realm="example.com",
                 mailboxes=("alice@example.com", "bob@example.com"), relayhost=None, main=None,
                 main_lines="", master_lines="", hostname="mail.example.com"):
        self.where = where()
        self.folder = util.make_folder("batv-postfix")
        self.conf = self.folder / "conf"
        self.conf.mkdir()
        self.realm = realm
        self.users = dict(users or {})
        self.mailboxes = list(mailboxes)
        self.hostname = hostname
        self._milter = milter
        self._non_smtpd = non_smtpd
        self._relayhost = relayhost
        self._main = dict(main or {})
        self._main_lines = main_lines
        self._master_lines = master_lines
        self._ports = {}
        path = f"{self.where.command_directory}:{self.where.env['PATH']}"
        self.env = {**self.where.env, "PATH": path, "MAIL_CONFIG": str(self.conf)}
        self._owner = util.owner_ids(self.where.mail_owner)
        self._mail_ids = util.owner_ids("nobody")
        self.master_pid = None

    # -- life -------------------------------------------------------------------------------------

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def prepare(self):
        """Writes the configuration, so that Postfix's commands (and batvctl) find it."""
        self._ports["smtp"] = util.free_port()
        self._write_all()

    def start(self):
        try:
            for attempt in range(3):
                self.prepare()
                if self._start_once():
                    util.LIVE.append(self)
                    return self
                if attempt == 2 or "Address already in use" not in self.maillog():
                    break
            raise RuntimeError("Postfix did not start:\n" + util.tail(self.maillog()))
        except BaseException:
            self._clean_up()
            raise

    def _start_once(self):
        self._run("postfix", "-c", self.conf, "start")
        pid_file = self.folder / "queue/pid/master.pid"

        def running():
            try:
                self.master_pid = int(pid_file.read_text(encoding="ascii"))
            except (OSError, ValueError):
                return False
            return util.process_alive(self.master_pid) and self._greets()
        try:
            return util.wait_for(running, 20, "Postfix's greeting")
        except util.Timeout:
            return False

    def _greets(self):
        try:
            with smtplib.SMTP("127.0.0.1", self.port(), "client.test", timeout=5) as smtp:
                smtp.noop()
            return True
        except (OSError, smtplib.SMTPException):
            return False

    def stop(self):
        """Stops it, removes the folder; fails if any of its processes is left."""
        left = []
        try:
            if self.master_pid and util.process_alive(self.master_pid):
                self._run("postfix", "-c", self.conf, "stop", check=False)
            try:
                util.wait_for(lambda: not util.processes_below(self.folder), 15)
            except util.Timeout:
                left = util.processes_below(self.folder)
        finally:
            self._clean_up()
        assert not left, f"Postfix left processes: {left}"

    def kill9(self):
        """For the very end, where nothing else has ended it."""
        self._clean_up()

    def _clean_up(self):
        for pid in util.processes_below(self.folder):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self in util.LIVE:
            util.LIVE.remove(self)
        util.remove_folder(self.folder)

    def reload(self):
        """Takes the present main.cf into force; processes of before end when they are idle."""
        log = len(self.maillog())
        self._run("postfix", "-c", self.conf, "reload")
        util.wait_for(lambda: "reload -- version" in self.maillog()[log:], 10, "Postfix's reload")

    def configure(self, **parameters):
        """Changes main.cf (None removes an entry of ours) and reloads."""
        for name, value in parameters.items():
            if value is None:
                self._main.pop(name, None)
            else:
                self._main[name] = value
        self._write_main()
        self.reload()

    def add_main_lines(self, text):
        """Puts lines at the end of main.cf, for the next start() or reload()."""
        self._main_lines += text.rstrip("\n") + "\n"
        if (self.conf / "main.cf").exists():
            self._write_main()

    def diagnosis(self):
        return f"== Postfix {self.folder}\n" + util.tail(self.maillog(), 80)

    # -- configuration ----------------------------------------------------------------------------

    def port(self, name="smtp"):
        if name not in self._ports:
            self._ports[name] = util.free_port()
        return self._ports[name]

    def _write_all(self):
        for name in ("queue", "data", "mail"):
            (self.folder / name).mkdir(exist_ok=True)
        os.chown(self.folder / "data", *self._owner)
        os.chown(self.folder / "mail", *self._mail_ids)
        self._write_sasl()
        self._write_mailboxes()
        (self.conf / "aliases").write_text("postmaster bob@example.com\ndora bob@example.com\n",
                                           encoding="ascii")
        extra = re.sub(r"\{port:(\w+)\}", lambda found: str(self.port(found.group(1))),
                       self._master_lines)
        smtpd = f"127.0.0.1:{self.port()} inet n - n - - smtpd\n"
        (self.conf / "master.cf").write_text(smtpd + MASTER_CF + extra, encoding="utf-8")
        self._write_main()

    def _write_main(self):
        # Written aside and renamed: a starting smtpd never reads half a file.
        lines = [f"{name} = {value}" for name, value in {**self._defaults(), **self._main}.items()]
        fresh = self.conf / "main.cf.new"
        fresh.write_text("\n".join(lines) + "\n" + self._main_lines + "\n", encoding="utf-8")
        # Postfix's programs wait for up to two seconds until a main.cf is no longer brand-new.
        past = time.time() - 60
        os.utime(fresh, (past, past))
        fresh.rename(self.conf / "main.cf")

    def _defaults(self):
        folder, where = self.folder, self.where
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{folder}/queue",
            "data_directory": f"{folder}/data",
            "command_directory": where.command_directory,
            "daemon_directory": where.daemon_directory,
            "shlib_directory": where.shlib_directory,
            "meta_directory": where.meta_directory,
            "mail_owner": where.mail_owner,
            "setgid_group": where.setgid_group,
            "sendmail_path": where.program("sendmail"),
            "maillog_file": f"{folder}/maillog",
            "maillog_file_prefixes": f"{folder}",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": self.hostname,
            "myorigin": self.realm,
            "mydestination": "$myhostname, localhost",
            "mynetworks": f"{INSIDE}/32",
            "alias_maps": f"texthash:{self.conf}/aliases",
            "alias_database": "",
            "local_recipient_maps": "$alias_maps",
            "mail_spool_directory": f"{folder}/mail",
            "virtual_mailbox_domains": ", ".join(sorted({a.rpartition("@")[2]
                                                         for a in self.mailboxes})),
            "virtual_mailbox_base": f"{folder}/mail",
            "virtual_mailbox_maps": f"texthash:{self.conf}/vmailbox, "
                                    f"pcre:{self.conf}/vmailbox.pcre",
            "virtual_uid_maps": f"static:{self._mail_ids[0]}",
            "virtual_gid_maps": f"static:{self._mail_ids[1]}",
            "disable_dns_lookups": "yes",
            "smtpd_peername_lookup": "no",
            "smtpd_authorized_xclient_hosts": "127.0.0.1",
            "smtpd_relay_restrictions":
                "permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
            "smtpd_error_sleep_time": "0",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_hard_error_limit": "1000",
            "smtpd_soft_error_limit": "1000",
            "smtpd_junk_command_limit": "1000",
            "default_process_limit": "30",
            "minimal_backoff_time": "5s",
            "maximal_backoff_time": "5s",
            "queue_run_delay": "5s",
            "notify_classes": "",
            "smtputf8_enable": "yes",
            "import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH "
                                  "POSTLOG_SERVICE POSTLOG_HOSTNAME",
            "export_environment": "TZ MAIL_CONFIG LANG LD_LIBRARY_PATH",
        }
        if self._relayhost:
            settings["relayhost"] = self._relayhost
        if self._milter:
            settings["smtpd_milters"] = self._milter
            settings["non_smtpd_milters"] = "$smtpd_milters" if self._non_smtpd else ""
        if self.users:
            settings["smtpd_sasl_auth_enable"] = "yes"
            settings["smtpd_sasl_path"] = "smtpd"
            settings["smtpd_sasl_local_domain"] = self.realm
            settings["cyrus_sasl_config_path"] = f"{self.conf}/sasl"
        return settings

    def _write_sasl(self):
        # Debian's Postfix looks for smtpd.conf below its configuration's folder, whatever
        # cyrus_sasl_config_path says; both name the same folder here.
        folder = self.conf / "sasl"
        folder.mkdir(exist_ok=True)
        database = self.folder / "data" / "sasldb2"
        conf = ("pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\n"
                f"sasldb_path: {database}\n")
        (folder / "smtpd.conf").write_text(conf, encoding="ascii")
        for user, password in self.users.items():
            subprocess.run(["saslpasswd2", "-p", "-c", "-f", database, "-u", self.realm, user],
                           input=password, text=True, check=True, timeout=30, env=self.where.env,
                           capture_output=True)
        if database.exists():
            os.chown(database, *self._owner)

    def _write_mailboxes(self):
        plain, odd = [], []
        for address in self.mailboxes:
            value = self._maildir_name(address) + "/"
            if re.search(r'[\s"]', address):
                odd.append(f"/^{re.escape(address)}$/ {value}")
            else:
                plain.append(f"{address} {value}")
        (self.conf / "vmailbox").write_text("\n".join(plain) + "\n", encoding="utf-8")
        (self.conf / "vmailbox.pcre").write_text("\n".join(odd) + "\n", encoding="utf-8")

    @staticmethod
    def _maildir_name(address):
        if re.fullmatch(r"[a-z0-9.@-]+", address):
            return address
        return "box-" + hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:12]

    def write_file(self, name, text):
        """A file in the configuration's folder; returns its path."""
        path = self.conf / name
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        return path

    def postconf(self, *names):
        """The values in force: one string for one name, else a dict."""
        done = self._run("postconf", "-c", self.conf, *names)
        found = {}
        for line in done.stdout.splitlines():
            key, _, value = line.partition("=")
            found[key.strip()] = value.strip()
        return found[names[0]] if len(names) == 1 else found

    def table_types(self):
        """The kinds of tables that this Postfix has."""
        return self._run("postconf", "-c", self.conf, "-m").stdout.split()

    def postmap(self, query, table):
        """What a table answers (postmap -q), or None."""
        done = self._run("postmap", "-c", self.conf, "-q", query, table, check=False)
        return done.stdout.rstrip("\n") if done.returncode == 0 else None

    def make_index(self, table):
        """Of the file that a hash: table is made from."""
        self._run("postmap", "-c", self.conf, table)

    # -- sending ----------------------------------------------------------------------------------

    def session(self, *, port="smtp", **options):
        return Session(self.port(port), **options)

    def send(self, sender, rcpts, data=None, *, port="smtp", source=OUTSIDE, xclient=None,
             auth=None, **message):
        """One message in a session of its own; see Session and Session.send."""
        with self.session(port=port, source=source, xclient=xclient, auth=auth) as session:
            return session.send(sender, rcpts, data, **message)

    def bounce(self, rcpts, *, sender="<>", xclient=None, **options):
        """A delivery status notification from a stranger's MTA."""
        subject = options.pop("subject", None) or util.unique("bounce")
        return self.send(sender, rcpts, make_bounce(subject), subject=subject,
                         xclient=xclient or STRANGER, **options)

    def sendmail(self, rcpts, *, sender=None, subject=None, data=None, options=()):
        """Submits by sendmail(1); returns the subject."""
        subject = subject or util.unique("local")
        rcpts = [rcpts] if isinstance(rcpts, str) else list(rcpts)
        argv = [self.where.program("sendmail"), "-C", self.conf, "-i", *options]
        if sender is not None:
            argv += ["-f", sender]
        octets = data if data is not None else make_message(subject)
        done = subprocess.run([*argv, "--", *rcpts], input=octets, env=self.env, timeout=60,
                              capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return subject

    # -- looking ----------------------------------------------------------------------------------

    def mailbox(self, address):
        return self.folder / "mail" / self._maildir_name(address) / "new"

    def queue(self):
        """What postqueue(1) lists."""
        done = self._run("postqueue", "-c", self.conf, "-j")
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def queue_files(self, *names):
        """Ids of the messages in these queues, by looking at the folders."""
        found = []
        for name in names:
            for _, _, files in os.walk(self.folder / "queue" / name):
                found += files
        return found

    def wait_idle(self, timeout=20):
        """Until nothing is on its way any more (deferred and held mail may stay)."""
        def idle():
            # Twice: a message moves from one folder to the next between two looks.
            return not any(self.queue_files("maildrop", "incoming", "active") for _ in range(2))
        util.wait_for(idle, timeout, lambda: "an idle queue:\n" + self.diagnosis())
        self._wait_log_written()

    def _wait_log_written(self):
        """Until the log has all that was said before now: who has said it does not wait for
        postlogd(8), which writes in the order in which it is told."""
        mark = util.unique("written")
        self._run("postlog", "-c", self.conf, "-t", "test", mark)
        self.wait_maillog(mark)

    def wait_empty(self, timeout=30):
        """Until nothing at all is in the queue."""
        def empty():
            return not self.queue_files("maildrop", "incoming", "active", "deferred", "hold")
        util.wait_for(empty, timeout, lambda: "an empty queue:\n" + self.diagnosis())

    def flush(self):
        self._run("postqueue", "-c", self.conf, "-f")

    def delete_queue(self):
        self._run("postsuper", "-c", self.conf, "-d", "ALL", check=False)

    def _run(self, program, *args, check=True):
        argv = [self.where.program(program), *map(str, args)]
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace",
                              timeout=60, env=self.env, stdin=subprocess.DEVNULL, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
                               + util.tail(self.maillog()))
        return done


def wait_quiet(postfix, sink, seconds=1.0):
    """For claims that something does NOT come: an idle queue, and a moment in which the far end
    hears nothing new."""
    postfix.wait_idle()
    before = len(sink.messages())
    time.sleep(seconds * util.PATIENCE)
    postfix.wait_idle()
    return len(sink.messages()) == before
