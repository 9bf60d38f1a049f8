"""One address, however it is spelt: the mailbox that batvd judges is the one to which a real Postfix
brings the mail, and the sender that it judges is the one in the queue."""

import dataclasses
import re

import pytest

from batvtest import spelt, util
from batvtest.postfix import INSIDE
from batvtest.site import Site
from batvtest.spellings import Names, spellings
from batvtest.spelt import DAEMON, FORGED, PLAIN, VALID

CLASSES = VIRTUAL, LOCAL, ALIAS, LMTP, RELAY = (
    "example.com", "local.example", "alias.example", "lmtp.example", "relay.example")
GONE = "gone.example"     # of ours too, for mail whose recipient does not matter
DOMAINS = (*CLASSES, GONE)
NAMES = Names()
TRUTH = spelt.Truth(DOMAINS, ("mail.example.com", "localhost", "[127.0.0.1]"))
EVERYTHING = "/./"

CONFIG = {
    "domains": DOMAINS,
    "log": {"target": "stderr", "level": "debug"},
    "verify": {"action": "log", "forged": "reject"},
    # So that a bounce to many of them is not taken for guessing: a tag is over the address that was
    # meant here, and the MTA may bring it to another.
    "exclude": {"networks": ["127.0.0.9/32"]},
}

MASTER = "lmtp unix - - n - - lmtp\n" + "".join(f"127.0.0.1:{{port:{name}}} inet n - n - - smtpd\n{options}" for name, options in {
    "strict": "  -o strict_rfc821_envelopes=yes\n",
    "reduced": "  -o { milter_mail_macros = i }\n  -o { milter_rcpt_macros = i {rcpt_host} }\n",
    "strict_reduced": "  -o strict_rfc821_envelopes=yes\n"
                      "  -o { milter_mail_macros = i }\n"
                      "  -o { milter_rcpt_macros = i {rcpt_host} }\n",
    "unfiltered": "  -o smtpd_milters=\n  -o receive_override_options=no_milters\n",
    "strict_unfiltered": "  -o strict_rfc821_envelopes=yes\n  -o smtpd_milters=\n"
                         "  -o receive_override_options=no_milters\n",
}.items())


@dataclasses.dataclass(frozen=True)
class Setting:
    """Of a whole Postfix; each pair of values of two of them is there."""

    percent: str
    swap: str
    delimiter: str
    utf8: str

    def __str__(self):
        return f"percent={self.percent} swap={self.swap} delimiter={self.delimiter} " \
               f"utf8={self.utf8}"

    def main(self):
        return {
            "allow_percent_hack": self.percent, "swap_bangpath": self.swap,
            "recipient_delimiter": self.delimiter, "smtputf8_enable": self.utf8,
            "myorigin": VIRTUAL, "mydestination": f"$myhostname, localhost, {LOCAL}",
            "local_recipient_maps": "", "alias_maps": "pcre:$config_directory/all.pcre",
            "allow_mail_to_files": "alias",
            "virtual_mailbox_domains": f"{VIRTUAL}, {LMTP}",
            "virtual_mailbox_maps": "static:all/",
            "virtual_alias_domains": ALIAS,
            "virtual_alias_maps": "pcre:$config_directory/alias.pcre",
            "relay_domains": f"{RELAY}, {GONE}",
            "transport_maps": f"inline:{{{{{VIRTUAL}=virtual:}},{{far.test=discard:}},"
                              f"{{{GONE}=discard:}}}}",
            "smtpd_hard_error_limit": "100000", "smtpd_junk_command_limit": "100000",
            "smtpd_recipient_limit": "5000",
        }


SETTINGS = [Setting("yes", "yes", "", "yes"), Setting("yes", "no", "+", "no"),
            Setting("no", "yes", "-", "yes"), Setting("no", "no", "", "yes"),
            Setting("yes", "no", "-", "no"), Setting("no", "yes", "+", "yes")]
LISTENERS = ["smtp", "strict", "reduced", "strict_reduced"]
# Spellings: each so manieth of the first so many, of which 136 are of one thing alone.
RECIPIENTS = (6, 240)
SENDERS = (4, 240)


class SpeltSite(Site):
    def __init__(self, setting):
        self.setting = setting
        super().__init__(CONFIG, main=setting.main(), master_lines=MASTER)
        self.key = None
        postfix = self.postfix
        postfix.write_file("all.pcre", f"{EVERYTHING} {postfix.folder}/mail/local/\n")
        postfix.write_file("alias.pcre", f"/^(.*)@{re.escape(ALIAS)}$/ $1@aliased.test\n")

    def apply_settings(self):
        super().apply_settings()
        port = self.sink.port
        self.postfix.add_main_lines(f"virtual_transport = lmtp:inet:127.0.0.1:{port}")

    def sign(self, address):
        """The tag of today; batvctl is asked for the key once."""
        if self.key is None:
            self.key = self.batvd.active_key()
        return self.batvd.tagged(address, key=self.key)

    def delivered(self, queue_id, status="sent"):
        """All addresses to which this message went, by the log."""
        self.postfix.wait_idle(60)
        found = re.findall(rf"(?m)\b{queue_id}: to=<(.*?)>, (?:orig_to=<.*>, )?relay=.*status={status}",
                           self.postfix.maillog())
        return [re.sub(r"@aliased\.test$", f"@{ALIAS}", address) for address in found]


    def meanings(self, senders):
        """Where mail to these addresses would go: each is sent some, through no filter."""
        queue_ids = {}
        with self.postfix.session(port="unfiltered", source=INSIDE) as session:
            for sender in senders:
                sent = session.send("<>", [sender])
                queue_ids[sender] = sent.queue_id
        return {sender: (self.delivered(queue_id, "") or [sender])[0] if queue_id else sender
                for sender, queue_id in queue_ids.items()}


def run(site, port, sender, cases, attribute="finals", utf8=False):
    """One message to all cases through one listener."""
    subject = util.unique("spelt")
    mark = site.batvd.mark()
    canary = f"<{site.sign('canary@' + VIRTUAL)}>"
    args = ["SMTPUTF8"] if utf8 else []
    with site.postfix.session(port=port) as session:
        reply = spelt.send_cases(session, sender, cases, subject, [canary], args)
    queue_id = re.search(r"queued as (\w+)", reply.text)[1]
    strays = spelt.file_finals(cases, site.delivered(queue_id), attribute)
    assert [s for s in strays if "canary" not in s] == [], strays
    if attribute == "finals":
        spelt.file_entries(cases, site.batvd.log("verify", since=mark))


def try_recipients(site, listener, chosen, findings):
    utf8 = site.setting.utf8 == "yes"
    bare = "strict_unfiltered" if listener.startswith("strict") else "unfiltered"
    sign = site.sign
    cases = spelt.make_cases(chosen, [PLAIN, VALID, FORGED], CLASSES, NAMES, sign)
    mail = [case for case in cases if case.mode == VALID]
    run(site, bare, "<x@other.test>", mail, "unfiltered", utf8)
    run(site, listener, "<x@other.test>", cases, utf8=utf8)
    bounces = [dataclasses.replace(case, finals=[], entry=None) for case in cases
               if case.mode != FORGED]
    run(site, listener, "<>", bounces, utf8=utf8)
    for bounce, group in ((False, cases), (True, bounces)):
        for case in group:
            findings.count(case)
            for fault in spelt.recipient_faults(case, TRUTH, bounce, "reduced" in listener):
                findings.add(fault, f"{listener} {site.setting}", case)


PLACES = [*((PLAIN, domain) for domain in CLASSES), (VALID, VIRTUAL), (DAEMON, VIRTUAL),
          (DAEMON, "other.test"), (PLAIN, "other.test"), (DAEMON, RELAY)]


def queue_id(reply):
    return re.search(r"queued as (\w+)", reply.text)[1]


def send_all(site, port, cases, key, utf8):
    args = ["SMTPUTF8"] if utf8 else []
    with site.postfix.session(port=port, source=INSIDE) as session:
        session.queue_id = queue_id
        for case in cases:
            spelt.send_from(session, case, ["<far@far.test>", f"<x@{GONE}>"], key, args)


def try_senders(site, chosen, findings):
    """Each sender through all listeners."""
    utf8 = site.setting.utf8 == "yes"
    cases = spelt.make_senders(chosen, PLACES, NAMES, site.sign)
    for port in ("unfiltered", "strict_unfiltered", *LISTENERS):
        send_all(site, port, cases, port, utf8)
    site.postfix.wait_idle(60)
    queued = dict(re.findall(r"(?m)qmgr\[\d+\]: (\w+): from=<(.*)>, size=",
                             site.postfix.maillog()))
    entries = {entry.id: entry for entry in site.batvd.log("verify")}
    found = []
    for port in LISTENERS:
        bare = "strict_unfiltered" if port.startswith("strict") else "unfiltered"
        for case in cases:
            findings.count(case)
            deferred = "reduced" in port and port not in case.queue_ids
            assert deferred or (port in case.queue_ids) == (bare in case.queue_ids), case
            if port in case.queue_ids:
                seen = case.queue_ids[port]
                found.append((port, dataclasses.replace(
                    case, unfiltered=[queued[case.queue_ids[bare]]], finals=[queued[seen]],
                    entry=entries.get(seen))))
    routes = {case.unfiltered[0] for _, case in found if spelt.leads_on(case.unfiltered[0])}
    meanings = site.meanings(sorted(routes))
    for port, case in found:
        would = case.unfiltered[0]
        for fault in spelt.sender_faults(case, TRUTH, site.batvd.check_tag,
                                         meanings.get(would, would), "reduced" in port):
            findings.add(fault, f"{port} {site.setting}", case)


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def site(request):
    with SpeltSite(request.param) as made:
        yield made


@pytest.mark.parametrize("listener", LISTENERS)
def test_recipients(site, listener):
    findings = spelt.Findings()
    number = SETTINGS.index(site.setting) * len(LISTENERS) + LISTENERS.index(listener)
    try_recipients(site, listener, spellings(number, RECIPIENTS[1])[::RECIPIENTS[0]], findings)
    findings.done()


def test_senders(site):
    findings = spelt.Findings()
    chosen = spellings(100 + SETTINGS.index(site.setting), SENDERS[1])[::SENDERS[0]]
    try_senders(site, chosen, findings)
    findings.done()
