"""People do what `check` prints. The commands that it prints as mends are run here, to the letter, in
the state for which they were printed, with a real Postfix and a real daemon. Afterwards mail flows
both ways, and `check` has that finding no more and no other one more. The commands are taken from the
sources: a new one needs a state here, or a reason why it has none."""

import ast
import os
import random
import re
import subprocess
import time

import pytest

from batvtest import util
from batvtest.daemon import Batvd
from batvtest.postfix import STRANGER, Session, make_bounce
from batvtest.settings import sanitizers
from batvtest.site import USER, Site

SOURCES = sorted((util.REPO / "src" / "check").glob("*.c"))

# A mend_text that begins like this is a command line, any other is words for people or a part of them.
PROGRAMS = ("adduser apt-get batvctl batvd chgrp chmod chown cp install kill make mv newaliases postalias "
            "postconf postfix postmap rm sed sendmail systemctl timedatectl").split()


# -- the commands that there are ------------------------------------------------------------------

class Command:
    """A place in the sources where a command line is made: its file, and its format without spaces at
    the ends; of postconf its option before that."""

    def __init__(self, file, text):
        self.file, self.text = file, text
        self.key = f"{file}: {text}"

    def pattern(self):
        """What the command line looks like when it is printed."""
        text = re.escape(self.text).replace("\\\n", "\n").replace("\n", r"'\s+'?")
        text = re.sub(r"%[\\.*0-9-]*(?:lu|ld|zu|[sdcuo])", ".*", text)
        return re.sub(r"^(\\-[A-Z]+|\\-e)\\ ", r"\1 '?", text)


def arguments_at(text, start):
    """The arguments of the call whose opening bracket is before start."""
    depth, at, pieces, begin = 1, start, [], start
    while depth:
        if text[at] == '"':
            at = re.compile(r'"(?:[^"\\]|\\.)*"').match(text, at).end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if text[at] == "," and depth == 1 or not depth:
            pieces.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    return pieces


def literal(argument, names):
    """The strings in an argument as one, macros of the file replaced; None where there is no string."""
    for name, value in names.items():
        argument = re.sub(rf"\b{name}\b", lambda _, v=value: v, argument)
    found = re.findall(r'"(?:[^"\\]|\\.)*"', argument)
    return "".join(ast.literal_eval(one) for one in found) if found else None


def commands():
    found = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        names = dict(re.findall(r'(?m)^#define (\w+)\s+("(?:[^"\\]|\\.)*")$', text))
        for call in re.finditer(r"\b(postfix_command|mend_text)\(", text):
            pieces = arguments_at(text, call.end())
            if call[1] == "postfix_command":
                option, form = (literal(piece, names) for piece in pieces[1:3])
                assert option and form, (path.name, pieces)
                found.append(Command(path.name, f"{option} {form}"))
                continue
            form = literal(pieces[0], names)
            if form and re.match(rf"(%s)?({'|'.join(PROGRAMS)})\b", form):
                found.append(Command(path.name, form))
    return found


# -- the site -------------------------------------------------------------------------------------

class MendSite(Site):
    """Site with services at the ports 25 and 587, at an address of its own, with another milter in
    front of batvd, and with what the tests change kept, to be put back."""

    def __init__(self):
        self.host = f"127.77.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        self.other = Batvd({"domains": ("elsewhere.example",)})
        services = f"{self.host}:25 inet n - n - - smtpd\n{self.host}:587 inet n - n - - smtpd\n"
        super().__init__(master_lines=services,
                         main={"smtpd_milters": self.other.listen, "mynetworks": "127.0.0.2/32",
                               "smtputf8_enable": "no"})
        self.kept, self.owners = {}, {}

    def __enter__(self):
        self.other.start()
        super().__enter__()
        self.name_each_setting_once()
        self.outgoing()
        self.kept = {path: path.read_bytes() for path in self.files()}
        for path in (self.batvd.run, self.batvd.socket_path, self.batvd.state, self.batvd.state / "keyring"):
            info = path.stat()
            self.owners[path] = (info.st_uid, info.st_gid, info.st_mode & 0o7777)
        return self

    def __exit__(self, *_):
        super().__exit__()
        self.other.terminate()

    def name_each_setting_once(self):
        """Postfix takes the last of several, and warns."""
        path = self.postfix.conf / "main.cf"
        found = dict(re.findall(r"(?m)^(\w+) = (.*)$", path.read_text(encoding="utf-8")))
        path.write_text("".join(f"{name} = {value}\n" for name, value in found.items()), encoding="utf-8")
        self.into_force()

    def files(self):
        return [path for folder in (self.postfix.conf, self.batvd.folder) for path in folder.iterdir()
                if path.is_file() and path.name not in ("log", "faketime")]

    def env(self):
        path = f"{self.postfix.where.command_directory}:{util.BUILD}:{self.postfix.where.env['PATH']}"
        return {**self.postfix.env, **sanitizers(), "PATH": path}

    def put_back(self):
        """All as it was at first."""
        for path in self.files():
            if path not in self.kept:
                path.unlink()
        for path, (uid, gid, mode) in self.owners.items():
            os.chown(path, uid, gid)
            path.chmod(mode)
        changed = [path for path, content in self.kept.items()
                   if not path.exists() or path.read_bytes() != content]
        for path in changed:
            path.write_bytes(self.kept[path])
        if not self.batvd.running:
            self.batvd.start()
        elif self.batvd.conf in changed:
            self.batvd.reload()
        self.postfix.delete_queue()
        self.into_force()

    def into_force(self):
        """Postfix's programs wait until their files are two seconds old."""
        self.make_old()
        self.postfix.reload()

    def make_old(self):
        before = time.time() - 60
        for path in self.postfix.conf.iterdir():
            if path.is_file():
                os.utime(path, (before, before))

    def sh(self, command, rc=0):
        done = subprocess.run(["sh", "-c", command], env=self.env(), cwd="/", text=True, timeout=60,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL)
        assert rc is None or done.returncode == rc, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def postconf(self, *settings, option="-e"):
        words = " ".join("'" + setting.replace("'", "'\\''") + "'" for setting in settings)
        self.sh(f"postconf -c {self.postfix.conf} {option} {words}")

    def bad(self):
        """The findings that are not ok, as (name, text), and their mends. Those of the first days come
        when the daemon writes its report."""
        done = self.batvd.ctl("check", "--json", env=self.env())
        assert done.rc in (0, 1), done
        # Counts of what has happened since are no other finding, and that all bounces come from one client
        # is the test's own doing.
        return {(one["name"], re.sub(r"\blast \d+ bounces", "last N bounces", one["text"])): one["mend"]
                for one in done.json
                if one["level"] != "ok" and one["name"] not in ("warm-up", "clients")}

    def settled(self, good):
        """What is bad once the daemon has seen the change, which it looks for twice a second and reports
        after that; or after some seconds, good or not."""
        deadline = time.monotonic() + 5 * util.PATIENCE
        while not good(bad := self.bad()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return bad

    def session(self, port, **options):
        return Session(port, host=self.host, **options)

    def assert_flows(self):
        """Out by every way with a tag, and back to it."""
        log = len(self.postfix.maillog())
        sent = self.outgoing()
        tag = sent.mail_from
        assert tag.startswith("prvs="), tag
        with self.session(587, auth=USER) as session:
            subject = util.unique("submitted")
            done = session.send("alice@example.com", "far@other.test", subject=subject)
            assert done.accepted, done
        assert self.sink.wait_one(subject=subject).mail_from.startswith("prvs=")
        subject = self.postfix.sendmail("far@other.test", sender="alice@example.com")
        assert self.sink.wait_one(subject=subject).mail_from.startswith("prvs=")
        self.assert_delivered(self.bounce(tag), "alice@example.com")
        with self.session(25, xclient=STRANGER) as session:
            subject = util.unique("back")
            done = session.send("<>", tag, make_bounce(subject), subject=subject)
        self.assert_delivered(done, "alice@example.com")
        # Without a tag it is refused: batvd judges.
        forged = self.bounce("alice@example.com")
        assert forged.code == 550, forged
        said = self.postfix.maillog()[log:]
        assert not re.search(r"\b451\b|milter.*(fail|error)|warning: .*milter", said), said


@pytest.fixture(scope="module")
def whole(ended_well):
    with MendSite() as made:
        yield made


@pytest.fixture
def site(whole):
    yield whole
    whole.put_back()


# -- the states -----------------------------------------------------------------------------------

class State:
    """What makes a finding: the check's name and a pattern of its text, the command (file and format as
    in Command) that is printed for it, and how the state comes about: settings for postconf -e, `master`
    ones for -P with @HOST@ for the address of the services, or a function of the site."""

    def __init__(self, name, text, command, *main, master=(), make=None):
        self.name, self.text, self.command = name, text, command
        self.main, self.master, self.make = main, master, make

    def __repr__(self):
        return f"{self.name}: {self.command}"

    def bring_about(self, site):
        if self.main:
            site.postconf(*(one.replace("@OURS@", site.batvd.listen).replace("@OTHER@", site.other.listen)
                            .replace("@MAP@", f"{site.postfix.conf}/batv.pcre") for one in self.main))
        for one in self.master:
            site.postconf(one.replace("@HOST@", site.host).replace("@OTHER@", site.other.listen)
                          .replace("@OURS@", site.batvd.listen),
                          option="-P")
        if self.make:
            self.make(site)
        site.into_force()


def table(setting, text, kind="hash"):
    """Sets the parameter, with {} for the path of a table of that text."""
    def make(site):
        path = site.postfix.write_file("table", text)
        if kind == "hash":
            site.postfix.make_index(f"hash:{path}")
        site.postconf(setting.format(path).replace("$ours", f"pcre:{site.postfix.conf}/batv.pcre"))
    return make


def former_address(site):
    """The daemon moved: it is at its new address, and Postfix is not told."""
    site.postconf(f"smtpd_milters = unix:{site.batvd.folder}/batvd/milter.sock, {site.other.listen}")


def stale_map(site):
    path = site.postfix.conf / "batv.pcre"
    path.write_text(path.read_text(encoding="utf-8").replace("sub\\.example", "gone\\.example"),
                    encoding="utf-8")


def header_checks(site):
    path = site.postfix.write_file("checks", "/^X-Batv-/ IGNORE\n")
    site.postconf(f"milter_header_checks = regexp:{path}")


SMTP, SUBMISSION = "@HOST@:25/inet", "@HOST@:587/inet"

STATES = [
    # the milters
    State("postfix.smtpd_milters", "does not pass batvd", "postfix.c: -e %s = %s", "smtpd_milters = @OTHER@"),
    State("postfix.non_smtpd_milters", "not set", "postfix.c: -e %s = %s", "non_smtpd_milters ="),
    State("postfix.non_smtpd_milters", "leaves without a tag", "postfix.c: -e %s = %s",
          "smtpd_milters = @OTHER@"),
    State("postfix.milters", "it was batvd's address before", "postfix.c: -e %s = %s", make=former_address),
    State("postfix.smtpd_milters", "does not pass batvd", "postfix.c: -e %s = %s", make=former_address),
    State("postfix.milters", "inet:127.0.0.1:1 .*all mail is deferred", "postfix.c: -e %s = %s",
          "smtpd_milters = inet:127.0.0.1:1, @OURS@, @OTHER@"),
    State("postfix.milters", "inet:127.0.0.1:1 .*all mail is deferred", "postfix.c: -P %s/%s/%s=%s",
          master=(SUBMISSION + "/smtpd_milters=inet:127.0.0.1:1,@OURS@",)),
    State("postfix.listeners", "of its own in master.cf", "master.c: -PX %s/%s/smtpd_milters",
          master=(SMTP + "/smtpd_milters=",)),
    State("postfix.listeners", "of its own in master.cf", "postfix.c: -P %s/%s/%s=%s",
          master=(SUBMISSION + "/smtpd_milters={@OTHER@,connect_timeout=3s}",)),
    State("postfix.listeners", "no_milters", "master.c: -P %s/%s/%s=%s",
          master=(SMTP + "/receive_override_options=no_milters",)),
    State("postfix.listeners", "no_milters", "master.c: -e %s = %s", "receive_override_options = no_milters"),
    State("postfix.smtpd_milter_maps", "other milters", "postfix.c: -X smtpd_milter_maps",
          "smtpd_milter_maps = inline:{192.0.2.9=DISABLE}"),
    State("postfix.milter_default_action", "accept, expected tempfail", "postfix.c: -e %s = %s",
          "milter_default_action = accept"),
    State("postfix.milter_default_action", "accept, expected tempfail", "postfix.c: -e %s = %s\n%s = %s",
          "milter_default_action = accept", "non_smtpd_milters = @OTHER@, @OURS@"),
    State("postfix.milter_default_action", "master.cf", "action.c: -e %s = %s",
          master=(SUBMISSION + "/milter_default_action=accept",)),
    State("postfix.milter_default_action", "master.cf", "action.c: -PX %s/%s/%s", "smtpd_milters = @OURS@",
          master=(SUBMISSION + "/milter_default_action=accept",)),
    State("postfix.milter_macros", "^milter_mail_macros lacks", "macros.c: -e %s = %s%s%s",
          "milter_mail_macros = i {mail_addr}"),
    State("postfix.milter_macros", "^milter_rcpt_macros of", "macros.c: -P %s/%s/%s=%s",
          master=(SUBMISSION + "/milter_rcpt_macros={rcpt_addr}",)),
    State("postfix.milter_macros", "expected 6", "macros.c: -X milter_protocol", "milter_protocol = 2"),
    State("postfix.internal_mail_filter_classes", "pass batvd",
          "postfix.c: -X internal_mail_filter_classes", "internal_mail_filter_classes = bounce"),
    # the map
    State("postfix.recipient_canonical_maps", "not set", "postfix.c: batvctl -c %s mta postfix --map-path %s | sh",
          "recipient_canonical_maps ="),
    State("postfix.recipient_canonical_maps", "", "postfix.c: %sbatvctl -c %s mta postfix --part map > "
          "%s && postfix%s reload", make=stale_map),
    State("postfix.recipient_canonical_maps", "comes first", "map.c: -e %s = %s",
          make=table("recipient_canonical_maps = regexp:{}, $ours", "/^prvs=.*@sub\\.example$/ bob@example.com\n",
                     "regexp")),
    State("postfix.recipient_canonical_classes", "headers", "postfix.c: -e %s = %s",
          "recipient_canonical_classes = envelope_recipient, header_recipient"),
    State("postfix.sender_rewriting", "in sender_canonical_maps", "postfix.c: -e %s = %s",
          "sender_canonical_maps = pcre:@MAP@"),
    # senders
    State("postfix.masquerade_domains", "changes the sender",
          "postfix.c: -e masquerade_classes = header_sender, header_recipient",
          "masquerade_domains = example", ),
    State("postfix.header_checks", "", "header_maps.c: sed -i --follow-symlinks '1i %s' %s && postfix%s reload",
          make=header_checks),
    State("postfix.recipient_access", "all@example.com", "access.c: -e %s = %s",
          make=table("smtpd_recipient_restrictions = permit_mynetworks, check_recipient_access hash:{}",
                     "all@example.com REJECT closed\n")),
    # backscatter
    State("backscatter.luser_relay", "", "backscatter.c: -X luser_relay", "luser_relay = $user@other.test"),
    State("backscatter.unlisted_recipients", "expected yes",
          "backscatter.c: -e smtpd_reject_unlisted_recipient = yes", "smtpd_reject_unlisted_recipient = no"),
    State("backscatter.unlisted_recipients", ":25", "backscatter.c: -PX %s/%s/%s",
          master=(SMTP + "/smtpd_reject_unlisted_recipient=no",)),
    State("backscatter.local_recipient_maps", "", "backscatter.c: -X local_recipient_maps",
          "local_recipient_maps ="),
    # the daemon's own
    State("state_dir", "mode 0755", "host.c: chmod 700 %s", make=lambda site: site.batvd.state.chmod(0o755)),
    State("state_dir", "mode 0770", "host.c: chmod 700 %s", make=lambda site: site.batvd.state.chmod(0o770)),
    State("socket", "has mode 0600", "socket.c: chmod %04o %s",
          make=lambda site: site.batvd.socket_path.chmod(0o600)),
    State("socket", "another group", "socket.c: chgrp %s %s",
          make=lambda site: os.chown(site.batvd.socket_path, -1, 0)),
    State("socket.access", "cannot enter", "socket.c: chgrp %s %s && chmod g+x %s",
          make=lambda site: site.batvd.run.chmod(0o700)),
    State("keyring", "0644", "keyring.c: chown %lu %s && chmod 600 %s",
          make=lambda site: (site.batvd.state / "keyring").chmod(0o644)),
    State("pause", "paused since", "host.c: batvctl -c %s resume",
          make=lambda site: site.batvd.ctl("pause", rc=0)),
]

# Commands that no state here is made for, and why.
SHOWN_ELSEWHERE = "no mail is sent after it yet: test_check.py and its neighbours look at it"
SHOWS_ONLY = "it changes nothing"
SYSTEM = "it changes the system on which the tests run"
ANOTHER_MTA = "Sendmail's: test_check_sendmail.py and test_sendmail.py"
NOT_HERE = {
    "access.c: batvd-check@%s%s": SHOWS_ONLY,
    "access_addresses.c: batvd-check@%s": SHOWS_ONLY,
    "backscatter.c: -e relay_recipient_maps = %s:%s/relay_recipients": SHOWN_ELSEWHERE,
    "check.c: batvd -n -c %s && %s": SHOWN_ELSEWHERE,
    "host.c: adduser --system --group --no-create-home --home %s %s": SYSTEM,
    "host.c: batvctl -c %s key list": SHOWS_ONLY,
    "host.c: batvctl -c %s key rotate": SHOWN_ELSEWHERE,
    "host.c: batvctl -c %s status": SHOWS_ONLY,
    "host.c: chown -R %s %s": SHOWN_ELSEWHERE,
    "host.c: install -d -m 0700%s%s %s": SHOWN_ELSEWHERE,
    "host.c: mv %s %s.old": SHOWN_ELSEWHERE,
    "journal.c: rm %s/journal.damaged": SHOWN_ELSEWHERE,
    "journal_written.c: batvctl -c %s status": SHOWS_ONLY,
    "journal_written.c: chmod 600 %s; then %s": SHOWN_ELSEWHERE,
    "keyring.c: batvctl -c %s key init": SHOWN_ELSEWHERE,
    "keyring.c: mv --backup=numbered -T %s %s.other; then %s": SHOWN_ELSEWHERE,
    "map.c: apt-get install postfix-pcre": SYSTEM,
    "master.c: -P %s/%s/smtpd_milters=": SHOWN_ELSEWHERE,
    "master.c: -P %s/%s/smtpd_proxy_filter=\n%s/%s/content_filter=smtp:%s": SHOWN_ELSEWHERE,
    "owners.c: -e expand_owner_alias = no": SHOWN_ELSEWHERE,
    "owners.c: batvctl -c %s check, once these are mended": SHOWS_ONLY,
    "owners.c: postalias%s %s": SHOWN_ELSEWHERE,
    "owners.c: sendmail -C %s -bt": SHOWS_ONLY,
    "postfix.c: -e mynetworks = %s": SHOWN_ELSEWHERE,
    "postfix.c: -e mynetworks_style = host": SHOWN_ELSEWHERE,
    "postfix.c: -e recipient_delimiter = +%s": SHOWN_ELSEWHERE,
    "postfix.c: batvctl -c %s mta postfix | sh": SHOWN_ELSEWHERE,
    "postfix.c: cp -p %s %s.old && ": SHOWN_ELSEWHERE,
    "postfix.c: postfix check": SHOWS_ONLY,
    "postfix.c: postmap%s %s": SHOWN_ELSEWHERE,
    "postfix.c: postmap%s -q postmaster %s": SHOWS_ONLY,
    "report.c: batvctl -c %s status": SHOWS_ONLY,
    "sendmail.c: batvctl -c %s mta sendmail | sh": ANOTHER_MTA,
    "sendmail.c: make -C /etc/mail, as root": ANOTHER_MTA,
    "sendmail.c: sendmail -C %s -bt": SHOWS_ONLY,
    "socket.c: chmod o+x %s": SHOWN_ELSEWHERE,
    "socket.c: mv %s %s.old && %s": SHOWN_ELSEWHERE,
    "socket.c: postfix check": SHOWS_ONLY,
    "verp.c: -X verp_delimiter_filter": SHOWN_ELSEWHERE,
    "verp.c: -e default_verp_delimiters = %c=": SHOWN_ELSEWHERE,
    "writable.c: chmod 700 %s": SHOWN_ELSEWHERE,
    'writable.c: make room; this shows what takes it: du -xah "$(df --output=target %s | tail -n 1)" | sort -h | tail': SHOWS_ONLY,
}


def test_every_command_is_run_or_named():
    """A new one needs a state here, or a reason why it has none."""
    known = {command.key for command in commands()}
    tried = {state.command for state in STATES}
    assert len(known) > 40 and not tried & set(NOT_HERE)
    assert known == tried | set(NOT_HERE), (known - tried - set(NOT_HERE), (tried | set(NOT_HERE)) - known)


@pytest.mark.parametrize("state", STATES, ids=repr)
def test_the_mend_to_the_letter(site, state):
    state.bring_about(site)
    before = site.bad()
    finding = next((one for one in before if one[0] == state.name and re.search(state.text, one[1])), None)
    assert finding, (state.name, list(before))
    mend = before[finding]
    command, = [one for one in commands() if one.key == state.command][:1]
    assert re.search(command.pattern(), mend), (command.pattern(), mend)
    # Of a mend in words the command stands behind them.
    site.sh(re.sub(r"^start the milter that listens there; to go without it: ", "", mend))
    site.make_old()
    after = site.settled(lambda bad: finding not in bad and not set(bad) - set(before))
    assert finding not in after, (mend, after[finding])
    assert not set(after) - set(before), (mend, set(after) - set(before))
    site.assert_flows()
