"""One address, however it is spelt: the mailbox that batvd judges is the one to which a real Sendmail
brings the mail, and the sender that it judges is the one in the queue."""

import dataclasses
import re

import pytest

from batvtest import spelt, util
from batvtest.postfix import INSIDE, Session
from batvtest.sendmail import STRANGER
from batvtest.sendmail_site import SendmailSite
from batvtest.spellings import Names, spellings
from batvtest.spelt import DAEMON, FORGED, PLAIN, VALID

CLASSES = LOCAL, VIRTUAL, RELAY = "example.com", "virtual.example", "relay.example"
DOMAINS = CLASSES
NAMES = Names()
TRUTH = spelt.Truth(DOMAINS, ("mail.example.com", "localhost", "[127.0.0.1]"))
USERS = [f"u{number:04d}" for number in range(1, 1000)] + ["canary", "postmaster"]

CONFIG = {
    "domains": DOMAINS,
    "log": {"target": "stderr", "level": "debug"},
    "verify": {"action": "log", "forged": "reject"},
    # So that a bounce to many of them is not taken for guessing: a tag is over the address that was
    # meant here, and the MTA may bring it to another.
    "exclude": {"networks": ["127.0.0.9/32"]},
}
REDUCED = """\
define(`confMILTER_MACROS_ENVFROM', `i, {auth_type}, {auth_authen}')dnl
define(`confMILTER_MACROS_ENVRCPT', `{rcpt_host}')dnl
"""
# The local mailer only says to whom it delivers.
RECORD = "#!/bin/sh" """
[ "$1" != -f ] || shift 2
printf '%s\\n' "$@" >>@FOLDER@/recorded
cat >/dev/null
"""


@dataclasses.dataclass(frozen=True)
class Setting:
    rule: bool
    full: bool

    def __str__(self):
        return f"rule={self.rule} macros={'full' if self.full else 'reduced'}"


RECIPIENTS, SENDERS = 240, 180    # spellings for each setting
PER_MESSAGE = 100

SETTINGS = [Setting(True, True), Setting(True, False), Setting(False, True), Setting(False, False)]


class SpeltSite(SendmailSite):
    def __init__(self, setting):
        self.setting = setting
        self.ports = {name: util.free_port() for name in ("unfiltered", "queued",
                                                          "queued_unfiltered")}
        listeners = "".join(
            f"DAEMON_OPTIONS(`Name={name}, Family=inet, Addr=127.0.0.1, Port={port}"
            f"{', DeliveryMode=q' if 'queued' in name else ''}"
            f"{', InputMailFilters=' if 'unfiltered' in name else ''}')dnl\n"
            for name, port in self.ports.items())
        super().__init__(
            CONFIG, users=USERS, domains=(LOCAL, VIRTUAL),
            virtusers={f"@{VIRTUAL}": f"%1%3@{RELAY}.elsewhere.test"},
            access={f"To:{RELAY}": "RELAY"},
            defines="define(`LOCAL_MAILER_PATH', `@FOLDER@/record')dnl\n"
                    "define(`LOCAL_MAILER_ARGS', `record $u')dnl\n"
                    "MODIFY_MAILER_FLAGS(`LOCAL', `+m')dnl\n" + ("" if setting.full else REDUCED),
            features=listeners)

    def apply_settings(self):
        super().apply_settings()
        if not self.setting.rule:
            self.sendmail.mc = re.sub(r"(?s)LOCAL_CONFIG.*?divert\(0\)dnl", "",
                                      self.sendmail.mc)
            assert "LOCAL_RULE" not in self.sendmail.mc

    def prepare_record(self):
        self.sendmail._write("record", RECORD)
        (self.sendmail.folder / "record").chmod(0o755)
        self.sendmail._write("recorded", "")
        (self.sendmail.folder / "recorded").chmod(0o666)

    def __enter__(self):
        self.key = None
        write_all = self.sendmail._write_all

        def write_more():
            write_all()
            self.prepare_record()
        self.sendmail._write_all = write_more
        return super().__enter__()

    def sign(self, address):
        if self.key is None:
            self.key = self.batvd.active_key()
        return self.batvd.tagged(address, key=self.key)

    def session(self, port, source):
        return Session(self.ports.get(port) or self.sendmail.port(), source=source)

    def delivered(self, subject):
        """All addresses to which messages went since the last time; mailboxes alone for local
        ones."""
        self.sendmail.wait_idle(60)
        path = self.sendmail.folder / "recorded"
        found = path.read_text(encoding="utf-8", errors="replace").splitlines()
        path.write_text("")
        for message in self.sink.messages(subject=subject):
            found += message.rcpts
        return list(map(before_table, found))


    def queued(self):
        """The sender of each message in the queue by its subject, as it goes to another host.
        Sendmail's own test mode tells that at once, with comments and brackets left."""
        found = {re.search("(?m)^H.*Subject: (.*)$", text)[1]: re.search("(?m)^S(.*)$", text)[1]
                 for text in self.sendmail.queue().values()}
        tries = [f"/try relay {sender}" for sender in found.values()]
        told = re.findall(r"Rcode = \d+, addr = (.*)", self.sendmail.bt("/tryflags ES", *tries))
        assert len(told) == len(found)
        return dict(zip(found, map(without_comments, told)))


    def meanings(self, senders):
        """Where mail to these addresses would go."""
        told = self.sendmail.bt(*(f"/parse {sender}" for sender in senders))
        found = re.findall(r"(?m)^mailer (\w+)(?:, host .*?)?, user (.*)$", told)
        assert len(found) == len(senders), told
        return dict(zip(senders, (before_table(user) for _, user in found)))


def before_table(address):
    """What the table of virtual users made the address of."""
    return re.sub(rf"@{re.escape(RELAY)}\.elsewhere\.test$", f"@{VIRTUAL}", address)


def without_comments(address):
    address = re.sub(r'("(?:[^"\\]|\\.)*"|\\.)|\((?:[^()\\]|\\.|\([^()]*\))*\)', r"\1",
                     address).strip()
    within = re.fullmatch(r"(?:.*[\s\"])?<(.*)>", address)
    return (within[1] if within else address).removesuffix(";").strip()


def fits(spelling):
    """Two things with which a filter cannot do: Sendmail answers a whole message with 501 where it
    names a recipient with such an octet, and finds no recipient by a name that was a group."""
    return spelling.form != "group" and \
        not re.search("[\x01\x7f]", spelling.write("x", "x.example"))


def run(site, port, sender, cases, attribute="finals"):
    subject = util.unique("spelt")
    mark = site.batvd.mark()
    canary = f"<{site.sign('canary@' + RELAY)}>"
    with site.session(port, STRANGER) as session:
        spelt.send_cases(session, sender, cases, subject, [canary])
    strays = spelt.file_finals(cases, site.delivered(subject), attribute)
    strays = [s for s in strays if "canary" not in s]
    assert len(strays) <= 3, strays    # cut off before the user's name
    if attribute == "finals":
        spelt.file_entries(cases, site.batvd.log("verify", since=mark))


def try_recipients(site, chosen, findings):
    cases = spelt.make_cases(filter(fits, chosen), [PLAIN, VALID, FORGED], CLASSES, NAMES, site.sign)
    mail = [case for case in cases if case.mode == VALID]
    run(site, "unfiltered", "<x@other.test>", mail, "unfiltered")
    run(site, "smtp", "<x@other.test>", cases)
    bounces = [dataclasses.replace(case, finals=[], entry=None) for case in cases
               if case.mode != FORGED]
    run(site, "smtp", "<>", bounces)
    for bounce, group in ((False, cases), (True, bounces)):
        for case in group:
            findings.count(case)
            for fault in spelt.recipient_faults(case, TRUTH, bounce, not site.setting.full):
                findings.add(fault, str(site.setting), case)


PLACES = [*((PLAIN, domain) for domain in CLASSES), (VALID, LOCAL), (DAEMON, LOCAL),
          (DAEMON, "other.test"), (PLAIN, "other.test")]


def queue_id(reply):
    return re.search(r"2\.0\.0 (\w+) Message accepted", reply.text)[1]


def try_senders(site, chosen, findings):
    cases = spelt.make_senders(chosen, PLACES, NAMES, site.sign)
    for port in ("queued_unfiltered", "queued"):
        with site.session(port, INSIDE) as session:
            session.queue_id = queue_id
            for case in cases:
                spelt.send_from(session, case, ["<far@far.test>", f"<canary@{RELAY}>"], port)
    queued = site.queued()
    entries = {entry.id: entry for entry in site.batvd.log("verify")}
    found = []
    for case in cases:
        findings.count(case)
        would = queued.get(f"queued_unfiltered-{case.number}")
        sender = queued.get(f"queued-{case.number}")
        # What only the MTA can read is deferred where it does not say how.
        deferred = sender is None and not site.setting.full
        assert deferred or (would is None) == (sender is None), (case, would, sender)
        if sender is not None:
            found.append(dataclasses.replace(case, unfiltered=[would], finals=[sender],
                                             entry=entries.get(case.queue_ids["queued"])))
    routes = {case.unfiltered[0] for case in found if spelt.leads_on(case.unfiltered[0])}
    meanings = site.meanings(sorted(routes))
    for case in found:
        would = case.unfiltered[0]
        for fault in spelt.sender_faults(case, TRUTH, site.batvd.check_tag,
                                         meanings.get(would, would), not site.setting.full):
            findings.add(fault, str(site.setting), case)


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def site(request):
    with SpeltSite(request.param) as made:
        yield made


def test_recipients(site):
    findings = spelt.Findings()
    chosen = spellings(20 + SETTINGS.index(site.setting), RECIPIENTS)
    for at in range(0, len(chosen), PER_MESSAGE):
        try_recipients(site, chosen[at:at + PER_MESSAGE], findings)
    findings.done()


def test_senders(site):
    findings = spelt.Findings()
    chosen = spellings(30 + SETTINGS.index(site.setting), SENDERS)
    try_senders(site, chosen, findings)
    findings.done()
