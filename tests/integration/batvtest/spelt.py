"""What became of spelt addresses: what the MTA made of each, what batvd judged, and where the two
part. The properties:

a   what the MTA brings to a mailbox of ours is judged as that mailbox
b   the sender in the queue is the tagged form of what the MTA would have queued; and what it takes
    for the null sender, or what bounce_senders names, is judged as a bounce
c   a forged tag is seen, however it is hidden: nothing comes behind one
d   a valid tag is known and taken off, and exactly one copy comes
e   nothing odd is taken for untaggable

A Case is one RCPT, a SenderCase one MAIL. Each has a user with a number of its own, so that a
recipient is found again in whatever form the MTA and batvd have given it. The truth is always what
the MTA did, never what a spelling looks like.
"""

import collections
import dataclasses
import random
import re

from . import tag
from .postfix import make_message
from .spellings import Spelling

PLAIN, VALID, FORGED, DAEMON = "plain", "valid", "forged", "daemon"


@dataclasses.dataclass
class Case:
    number: int
    spelling: Spelling
    mode: str
    domain: str
    raw: str = ""
    reply: object = None
    entry: object = None                               # batvd's decision
    finals: list = dataclasses.field(default_factory=list)     # where the MTA brought it
    unfiltered: list = dataclasses.field(default_factory=list)  # where it would have

    @property
    def address(self):
        return f"u{self.number:04d}@{self.domain}"

    @property
    def accepted(self):
        return self.reply is not None and self.reply.ok


def read(text):
    """The octets that a part stands for, without quotes and quoted pairs."""
    return re.sub(r'\\(.)|"', r"\1", text, flags=re.DOTALL)


def split(address):
    """(local part, domain), each as it is read, without case. A group's name and a dot at the
    domain's end go."""
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = address, ""
    local = re.sub(r"^g:", "", local)
    return printed(read(local)).lower(), printed(read(domain)).lower().strip().rstrip(".")


def printed(text):
    """As a log has it: what it cannot print is a question mark, a tab a blank."""
    octets = text.replace("\t", " ").encode("utf-8", "surrogateescape")
    return re.sub(rb"[^ -~]", b"?", octets).decode()


def joined(local, domain):
    return f"{local}@{domain}" if domain else local


def fold(address):
    """For comparing."""
    return joined(*split(address))


def tag_of(address):
    """The parts of a tag, as of tag.parse(), however it is quoted."""
    local, domain = split(address)
    return tag.TAGGED.match(f"{local}@{domain or 'x'}") if not local.startswith('"') else None


def plain_of(address):
    """The folded address without a tag that it may have."""
    found = tag_of(address)
    return joined(found["local"], split(address)[1]) if found else fold(address)


def number_of(address):
    """The number of the user in an address, however it is written; None: there is none."""
    plain = plain_of(address)
    found = re.search(r"u(\d{4})", re.sub(r"[\W_]", "", plain))
    if found:
        return int(found[1])
    digits = re.sub(r"\D", "", plain.rpartition("@")[0] or plain)
    return int(digits[-4:]) if len(digits) >= 4 else None


def make_cases(spellings, modes, domains, names, sign, first=1):
    """Each spelling in each domain and mode; sign(address) gives a valid tag."""
    cases = []
    for spelling in spellings:
        for domain in domains:
            for mode in modes:
                case = Case(first + len(cases), spelling, mode, domain)
                local = case.address
                if mode != PLAIN:
                    local = sign(case.address)
                    local = local if mode == VALID else tag.spoil(local)
                case.raw = spelling.write(local.rpartition("@")[0], domain, names)
                cases.append(case)
    return cases


def send_cases(session, sender, cases, subject, more=(), mail_args=()):
    """One message to all of them and to `more`, plain paths; the reply to its end."""
    reply = session.mail(sender, *mail_args)
    assert reply.ok, reply
    for rcpt in more:
        reply = session.rcpt(rcpt)
        assert reply.ok, (rcpt, reply)
    replies = session.say_all([f"RCPT TO:{case.raw}" for case in cases])
    for case, reply in zip(cases, replies):
        case.reply = reply
    reply = session.data(make_message(subject))
    assert reply.ok, reply
    return reply


def file_finals(cases, addresses, attribute="finals"):
    """Gives each of the MTA's addresses to the case whose user it has."""
    by_number = {case.number: case for case in cases}
    strays = []
    for address in addresses:
        case = by_number.get(number_of(address))
        if case is None:
            strays.append(address)
        else:
            getattr(case, attribute).append(address)
    return strays


def file_entries(cases, entries):
    """Gives each decision to the case whose recipient it names."""
    by_text = {}
    for case in cases:
        text = case.raw.strip()
        if text.startswith("<") and text.endswith(">"):
            text = text[1:-1]
        by_text[f"<{text}>"] = case
    for entry in entries:
        case = by_text.get(entry["rcpt"])
        if case is not None:
            case.entry = entry


def judged_address(case):
    """The folded address that batvd says it judged; `judged` has it without quotes."""
    if "judged" in case.entry:
        return printed(case.entry["judged"].removeprefix("<").removesuffix(">")).lower()
    return plain_of(case.entry["rcpt"].removeprefix("<").removesuffix(">"))


@dataclasses.dataclass
class Truth:
    """What a site's addresses are for batvd: `domains` are ours; `own`, names of the host, whose
    mailboxes are judged as those of the first of them."""

    domains: tuple
    own: tuple = ()

    def ours(self, address):
        return self.expected(address) is not None

    def expected(self, address):
        """As what a delivered address has to be judged; None: as nobody of ours."""
        plain = plain_of(address)
        local, at, domain = plain.rpartition("@")
        if domain in self.domains:
            return plain
        if not at or domain in self.own:
            return joined(local if at else plain, self.domains[0])
        return None


def _has_no_tag_left(address):
    """The MTA took the tag off, or left it; what was no tag for the MTA has an = from it."""
    local = fold(address).rpartition("@")[0] or fold(address)
    return tag_of(address) is not None or "=" not in local.replace("=x", "")


def _comes_twice(case, truth):
    """Postfix finds no recipient by what came, nor by what came of it, where a route stands upon a
    route, or a phrase or an open comment beside another oddity: the restored one comes beside it.
    (Where such a one must go, batvd refuses the message.)"""
    return case.spelling.form != "as it is" and len(case.finals) == 2 and \
        {truth.expected(final) for final in case.finals} == {fold(case.address)}


def behind_own_route(address):
    """u@d of d!u@d and u%d@d: for the host that has the domain d the same."""
    local, at, domain = address.rpartition("@")
    if at and local.startswith(f"{domain}!"):
        local = local.removeprefix(f"{domain}!")
    elif at and local.endswith(f"%{domain}"):
        local = local.removesuffix(f"%{domain}")
    return local + at + domain


def without_detail(address):
    return re.sub(r"\+.*(?=@)", "", address).rpartition("@")[0]


def ours_alone(addresses):
    """Mailboxes that the MTA names without a domain, and without what stood behind a +."""
    return [plain_of(address) for address in addresses if "@" not in address]


def untaggable(address):
    """Its local part leaves no room for a tag in 64 octets, however it is written."""
    local = plain_of(address).rpartition("@")[0]
    quoted = re.sub(r'([\\"])', r"\\\1", local)
    return len((local if re.fullmatch(r"[\w.+!%=-]*", local) else f'"{quoted}"').encode()) > 48


def recipient_faults(case, truth, bounce, loose):
    """What is wrong with how this recipient was judged, by the properties (a), (c), (d), (e).
    `loose`: the MTA has not said how it reads, so that nothing can be known of routes; what is not
    plain may be deferred."""
    if loose and case.reply.code == 451 and case.reply.text.startswith("4.3.5 "):
        return ["judged though deferred"] if case.finals or case.entry else []
    faults = []
    ours = [final for final in case.finals if truth.ours(final)]
    entry = case.entry
    if ours and entry is not None and entry["rule"] == "untaggable" and \
            entry["action"] == "accept" and not any(map(untaggable, ours)) and \
            without_detail(judged_address(case)) not in ours_alone(ours):
        faults.append("taken for untaggable")
    if ours and entry is None:
        faults.append("not judged")
    elif ours and entry["result"] == "not-ours":
        faults.append("judged as nobody's")
    elif ours and entry["result"] != "valid":
        want = {truth.expected(final) for final in ours}
        want |= set(map(behind_own_route, want))
        want |= {judged_address(case)} if loose and any(map(leads_on, ours)) else set()
        judged = judged_address(case)
        if judged not in want and truth.expected(judged) not in want and \
                without_detail(judged) not in ours_alone(ours):
            faults.append("judged as another")
    if bounce and ours and entry is not None and entry.get("rule") == "ordinary":
        faults.append("bounce taken for ordinary mail")
    if case.mode == FORGED and any(map(_has_no_tag_left, ours)):
        faults.append("forged tag delivered")
    would = [truth.expected(final) for final in case.unfiltered
             if fold(final).rpartition("@")[2] not in truth.own]
    if case.mode == VALID and would == [fold(case.address)] and not (loose and leads_on(
            case.unfiltered[0])):
        if entry is None or entry["result"] != "valid":
            faults.append("valid tag not known")
        if len(case.finals) != 1 and not _comes_twice(case, truth):
            faults.append(f"{len(case.finals)} copies")
        elif tag_of(case.finals[0]) or truth.expected(case.finals[0]) != fold(case.address):
            faults.append("valid tag not restored")
    return faults


# -- senders --------------------------------------------------------------------------------------

@dataclasses.dataclass
class SenderCase:
    """`finals` has the sender in the queue, `unfiltered` what it would have been there."""

    number: int
    spelling: Spelling
    mode: str
    domain: str
    raw: str = ""
    reply: object = None
    queue_ids: dict = dataclasses.field(default_factory=dict)
    entry: object = None
    finals: list = dataclasses.field(default_factory=list)
    unfiltered: list = dataclasses.field(default_factory=list)

    @property
    def accepted(self):
        return self.reply is not None and self.reply.ok


def make_senders(spellings, places, names, sign, first=1):
    """Each spelling in the places, (mode, domain) pairs, by turns."""
    cases = []
    for spelling in spellings:
        mode, domain = places[len(cases) % len(places)]
        case = SenderCase(first + len(cases), spelling, mode, domain)
        local = "mailer-daemon" if mode == DAEMON else f"u{case.number:04d}"
        if mode == VALID:
            local = sign(f"{local}@{domain}").rpartition("@")[0]
        case.raw = spelling.write(local, domain, names)
        cases.append(case)
    return cases


def send_from(session, case, rcpts, key, mail_args=()):
    """A message from this sender; its queue id is kept under `key`."""
    mail = " ".join([f"MAIL FROM:{case.raw}", *mail_args])
    replies = session.say_all([mail, *(f"RCPT TO:{rcpt}" for rcpt in rcpts), "DATA"])
    case.reply = replies[0]
    if replies[-1].code != 354:
        session.rset()
        return
    subject = f"{key}-{case.number}"
    reply = session.finish_data(make_message(subject))
    assert reply.ok, (case, reply)
    case.queue_ids[key] = session.queue_id(reply)


def leads_on(address):
    """Whether the local part has what some take for a route."""
    return any(mark in fold(address).rpartition("@")[0] for mark in "%!@:")


def sender_faults(case, truth, check_tag, meaning, loose):
    """What is wrong with how this sender was judged, by the property (b). `meaning` is where the MTA
    would bring a bounce to case.unfiltered, which has a route in it; else the same. `loose` as above: then of
    what comes without a domain, too, nothing can be known."""
    queued, would = case.finals[0], case.unfiltered[0]
    bounce = case.entry is not None and case.entry["rule"] != "ordinary"
    names = {plain_of(name) for name in (would, meaning)}
    names |= set(map(behind_own_route, names))
    if would == "" or plain_of(would).split("@")[0] == "mailer-daemon":
        faults = [] if bounce else [f"{'null' if would == '' else 'bounce'} sender taken for "
                                    "ordinary mail"]
        return faults + ([] if queued == would else ["bounce sender signed"])
    if loose and (leads_on(would) or "@" not in case.raw):
        return []
    if bounce:
        daemon = any(name.split("@")[0] == "mailer-daemon" for name in names)
        return ([] if daemon else ["ordinary sender taken for a bounce"]) + \
            ([] if queued == would else ["bounce sender signed"])
    ours = [name for name in names if name.rpartition("@")[2] in truth.domains]
    if queued == would:
        fits = [name for name in ours if not untaggable(name)]
        left = would != meaning or "prvs=" in fold(would) or not fits
        return [] if left else ["not signed"]
    if any(map(tag_of, (would, meaning))):
        return ["signed twice"]
    if not any(map(truth.ours, names)):
        return ["signed for nobody of ours"]
    if plain_of(queued) not in names | {truth.expected(name) for name in names}:
        return ["signed as another"]
    if "?" in queued or " " in queued:
        return []    # not to be had from a log as it is
    try:
        check_tag(queued, tag.parse(queued)[3])
    except AssertionError:
        return ["signed for another"]
    return []


class Findings:
    """Faults by kind, with a few examples of each; and what was tried."""

    def __init__(self):
        self.tried = collections.Counter()
        self.faults = collections.defaultdict(list)

    def add(self, fault, where, case):
        self.faults[fault].append((where, case))

    def count(self, case):
        self.tried[case.mode, "accepted" if case.accepted else "refused"] += 1

    def done(self):
        print(dict(self.tried))
        assert not self.faults, self.text()

    def text(self, examples=8):
        lines = []
        for fault, found in sorted(self.faults.items()):
            lines.append(f"{fault}: {len(found)}")
            rng = random.Random(1)
            for where, case in rng.sample(found, min(examples, len(found))):
                line = case.entry.line if case.entry else "no decision"
                lines.append(f"    [{where}] {case.raw!r} ({case.spelling}, {case.mode}) -> "
                             f"{case.finals}, unfiltered {case.unfiltered}; {line}")
        return "\n".join(lines)
