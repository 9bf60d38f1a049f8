"""What strangers wrote and a host of ours hands in again: by a filter that ends in sendmail(1), a
redirect, a list, fetchmail, and over three hosts (MX, list host, smarthost with batvd). It leaves
without proofs for its author, so that his forged bounces are rejected; lists and real users keep
their tags and proofs."""

import os
import re
import shutil

import pytest

from batvtest import answers, util
from batvtest.answers import HEADER, message_id
from batvtest.postfix import INSIDE, STRANGER, Postfix, make_message
from batvtest.site import USER, Site

ALICE = "alice@example.com"
BOB = "bob@example.com"
FAR = "far@other.test"
BOUNCES = "list-bounces@example.com"
MX, LISTS = "mx.example.com", "lists.example.com"
LOOPBACK = {"internal_networks": ["127.0.0.0/8", "::1/128"]}     # the default

# What pipe(8) runs; DIRECTORY/sendmail is told the instance by MAIL_CONFIG, which is exported to it.
# The list does as Mailman does: a sender of its own, the poster's From.
SCRIPTS = {
    "filter": 'exec sendmail -G -i -f "$1" -- "$2"\n',
    "redirect": f'exec sendmail -i -f "$1" -- {FAR}\n',
    "list": f'exec sendmail -i -f {BOUNCES} -- {FAR}\n',
}


class Piping(Postfix):
    """A Postfix with these scripts as transports. They run without root, so postdrop(1) must not be
    set-group-ID: with it, no configuration but the system's own is used."""

    def __init__(self, *, master_lines="", main=None, **options):
        lines = "".join(f"{name} unix - n n - - pipe flags=q null_sender= user=nobody "
                        f"argv=@FOLDER@/{name} ${{sender}} ${{recipient}}\n" for name in SCRIPTS)
        super().__init__(master_lines=lines + master_lines, main=main, **options)
        self.commands = self.folder / "commands"
        self._master_lines = self._master_lines.replace("@FOLDER@", str(self.commands))
        self._main["command_directory"] = str(self.commands)

    def prepare(self):
        self.commands.mkdir(exist_ok=True)
        for program in os.listdir(self.where.command_directory):
            if re.match(r"post|sendmail$", program) and not (self.commands / program).exists():
                source = f"{self.where.command_directory}/{program}"
                if program == "postdrop":
                    shutil.copyfile(source, self.commands / program)
                    (self.commands / program).chmod(0o755)
                else:
                    (self.commands / program).symlink_to(source)
        for name, text in SCRIPTS.items():
            path = self.commands / name
            path.write_text(f"#!/bin/sh\nPATH={self.commands}:$PATH\n{text}", encoding="ascii")
            path.chmod(0o755)
        super().prepare()

    def start(self):
        super().start()
        (self.folder / "queue/maildrop").chmod(0o1777)
        return self


class PipingSite(Site):
    """One host that does it all. At port `filtered` mail goes through the filter."""

    POSTFIX = Piping

    def __init__(self):
        aliases = ("{list@lists.test=list@list.invalid}", "{redirect@lists.test=x@redirect.invalid}")
        super().__init__(
            mailboxes=(ALICE, BOB, BOUNCES, "www-data@example.com"),
            main={"virtual_alias_domains": "lists.test",
                  "virtual_alias_maps": f"inline:{{ {', '.join(aliases)} }}",
                  "transport_maps": "inline:{ {list.invalid=list}, {redirect.invalid=redirect} }"},
            master_lines="127.0.0.1:{port:filtered} inet n - n - - smtpd -o content_filter=filter:x\n")


@pytest.fixture(scope="module")
def whole_site():
    with PipingSite() as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


class Original:
    """A message as its author wrote it: what his forged bounce shows."""

    def __init__(self, author=ALICE, headers=()):
        self.subject = util.unique("chosen")
        self.data = make_message(self.subject, sender=f"Alice <{author}>", headers=[
            ("Message-ID", f"<{util.unique('chosen')}@other.test>"), *headers])


def forged(site, original, to=ALICE):
    """A bounce that returns the original, and what became of it."""
    _, entry = site.answer(answers.bounce, original.data, to)
    return entry.get("action"), entry.get("proof")


def assert_strange(site, original, message, mark):
    """Not signed, no header, and its author's forged bounces are rejected."""
    entry = site.batvd.wait_entry("sign-skip", since=mark, reason="handed-in-again")
    assert entry["from"] == f"<{ALICE}>"
    assert message.message[HEADER] is None
    assert not site.batvd.log("sign", since=mark)
    assert message_id(message.data) == message_id(original.data)
    assert forged(site, message) == ("reject", "none")
    assert forged(site, original) == ("reject", "none")


def test_a_filter_that_ends_in_sendmail(site):
    original, mark = Original(), site.batvd.mark()
    sent = site.receive(ALICE, BOB, port="filtered", data=original.data, subject=original.subject)
    assert sent.accepted
    mail = site.postfix.wait_one(BOB, original.subject)
    assert mail.return_path == ALICE
    assert mail.message[HEADER] is None
    entry = site.batvd.wait_entry("sign-skip", since=mark, reason="handed-in-again")
    assert entry["from"] == f"<{ALICE}>"
    assert forged(site, original) == ("reject", "none")


@pytest.mark.parametrize("how", ("submit", "submit_inside"))
def test_a_users_mail_through_such_a_filter(site, how):
    original = Original()
    sent = getattr(site, how)(ALICE, [FAR], port="filtered", data=original.data,
                              subject=original.subject)
    assert sent.accepted
    far = site.sink.wait_one(subject=original.subject)
    site.batvd.check_tag(far.mail_from, ALICE)
    assert far.message[HEADER] is not None
    assert forged(site, far) == ("accept", "header")
    assert forged(site, original) == ("accept", "journal")


def test_a_redirect(site):
    original, mark = Original(), site.batvd.mark()
    assert site.receive(ALICE, "redirect@lists.test", data=original.data,
                        subject=original.subject).accepted
    far = site.sink.wait_one(subject=original.subject)
    assert far.mail_from == ALICE
    assert_strange(site, original, far, mark)


def test_fetchmail(site):
    fields = [("Received", "from pop.isp.test [192.0.2.80]\n\tby localhost with POP3 (fetchmail-6.4.37)"
               "\n\tfor <bob@localhost> (single-drop); Sat, 21 Nov 2026 12:00:00 +0000 (UTC)"),
              ("Received", "from x (x.other.test [192.0.2.9]) by mx.isp.test with ESMTP id 1; Sat, "
               "21 Nov 2026 12:00:00 +0000")]
    site.use(LOOPBACK)
    original, mark = Original(), site.batvd.mark()
    data = "".join(f"{name}: {value}\n" for name, value in fields).encode() + original.data
    sent = site.postfix.send(ALICE, BOB, data, source="127.0.0.1", subject=original.subject)
    assert sent.accepted
    assert site.postfix.wait_one(BOB, original.subject).message[HEADER] is None
    site.batvd.wait_entry("sign-skip", since=mark, reason="handed-in-again")
    assert forged(site, original) == ("reject", "none")


def test_a_list(site):
    """Its sender is signed and its bounces come home; the poster proves nothing."""
    original = Original()
    assert site.receive("poster@other.test", "list@lists.test", data=original.data,
                        subject=original.subject).accepted
    far = site.sink.wait_one(subject=original.subject)
    site.batvd.check_tag(far.mail_from, BOUNCES)
    sent, entry = site.judged_bounce(far.mail_from)
    assert entry["result"] == "valid" and sent.accepted
    assert forged(site, far) == ("reject", "none")
    assert forged(site, far, BOUNCES) == ("accept", "header")
    assert forged(site, original) == ("reject", "none")
    assert forged(site, original, BOUNCES) == ("reject", "none")


def test_a_users_post_to_a_list(site):
    """It is handed in again with the proof that it got when alice submitted it."""
    original = Original()
    assert site.submit(ALICE, "list@lists.test", data=original.data,
                       subject=original.subject).accepted
    far = site.sink.wait_one(subject=original.subject)
    site.batvd.check_tag(far.mail_from, BOUNCES)
    assert len(far.message.get_all(HEADER)) == 2
    for to in (ALICE, BOUNCES):
        assert forged(site, far, to) == ("accept", "header")
        assert forged(site, original, to) == ("accept", "journal")


def test_local_processes_as_a_relay(site):
    """relays = [ "local" ]: nothing by sendmail(1) is signed, and nothing of it is rejected."""
    site.use({"relays": ["local"]})
    original, mark = Original(), site.batvd.mark()
    site.postfix.sendmail(FAR, sender=ALICE, data=original.data, subject=original.subject)
    assert site.sink.wait_one(subject=original.subject).mail_from == ALICE
    assert site.batvd.wait_entry("sign-skip", since=mark)["reason"] == "not-a-submission"
    mark = site.batvd.mark()
    site.postfix.sendmail(ALICE, sender="<>", subject=util.unique("bounce"))
    assert site.batvd.wait_entry("verify", since=mark)["rule"] == "local"


def test_a_web_form(site):
    """Its visitor writes From, and receives the message: it proves bounces to its sender alone."""
    original = Original()
    site.postfix.sendmail(FAR, sender="www-data@example.com", data=original.data,
                          subject=original.subject)
    far = site.sink.wait_one(subject=original.subject)
    site.batvd.check_tag(far.mail_from, "www-data@example.com")
    assert forged(site, far) == ("reject", "none")
    assert forged(site, original) == ("reject", "none")
    assert forged(site, far, "www-data@example.com") == ("accept", "header")
    assert forged(site, original, "www-data@example.com") == ("accept", "journal")


def test_explain_shows_the_field(site, tmp_path):
    message = tmp_path / "message"
    host = site.postfix.hostname
    message.write_bytes(f"Received: from x (x.other.test [192.0.2.9]) by {host} (Postfix) with ESMTP id "
                        "1; Sat\n".encode() + Original().data)
    message.chmod(0o644)
    text = site.ctl("explain", "--client", "127.0.0.2", "--from", ALICE, "--rcpt", FAR, "--message",
                    message, rc=0).out
    assert re.search(rf"^handed in +again: {re.escape(host)} had it from 192\.0\.2\.9, without", text,
                     re.M), text
    assert "not signed: handed-in-again" in text
    assert HEADER not in text


# --------------------------------------------------------------------------------- three hosts

class ThreeHosts:
    """Outside mail comes to the MX; the list host runs list and redirect; both send by the
    smarthost, which alone has batvd. All connect from 127.0.0.1, their internal network."""

    def __init__(self):
        self.smart = Site({**LOOPBACK, "own_names": ["*.example.com"]},
                          mailboxes=(ALICE, BOB, BOUNCES), main={"mynetworks": "127.0.0.0/8"})
        self.smart.postfix.hostname = "smart.example.com"
        self.lists = self.mx = None

    def __enter__(self):
        try:
            self.smart.__enter__()
            smart = f"[127.0.0.1]:{self.smart.postfix.port()}"
            transport = "inline:{ {list@lists.example.com=list}, {redirect@lists.example.com=redirect} }"
            self.lists = Piping(hostname=LISTS, mailboxes=(), relayhost=smart, main={
                "mynetworks": "127.0.0.0/8", "mydestination": "", "virtual_mailbox_domains": "",
                "relay_domains": LISTS, "transport_maps": transport}).start()
            self.mx = Postfix(hostname=MX, mailboxes=(), users=dict([USER]), relayhost=smart, main={
                "mynetworks": f"{INSIDE}/32", "mydestination": "", "virtual_mailbox_domains": "",
                "relay_domains": LISTS,
                "transport_maps": f"inline:{{ {LISTS}=smtp:[127.0.0.1]:{self.lists.port()} }}"}).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in (self.mx, self.lists):
            if host is not None:
                host.stop()
        self.smart.__exit__()

    def send(self, sender, rcpt, original, **options):
        sent = self.mx.send(sender, rcpt, original.data, subject=original.subject, **options)
        assert sent.accepted
        return self.smart.sink.wait_one(subject=original.subject)


@pytest.fixture(scope="module")
def hosts():
    with ThreeHosts() as three:
        yield three


def test_three_hosts_a_redirect(hosts):
    original, mark = Original(), hosts.smart.batvd.mark()
    far = hosts.send(ALICE, "redirect@" + LISTS, original, xclient=STRANGER)
    received = far.message.get_all("Received")
    assert [re.search(r"by (\S+)", hop)[1] for hop in received] == [
        "smart.example.com", LISTS, LISTS, MX]
    assert far.mail_from == ALICE
    assert_strange(hosts.smart, original, far, mark)


def test_three_hosts_a_list(hosts):
    original = Original()
    far = hosts.send("poster@other.test", "list@" + LISTS, original, xclient=STRANGER)
    hosts.smart.batvd.check_tag(far.mail_from, BOUNCES)
    assert forged(hosts.smart, far) == ("reject", "none")
    assert forged(hosts.smart, original) == ("reject", "none")
    assert forged(hosts.smart, far, BOUNCES)[0] == "accept"


@pytest.mark.parametrize("way", ({"auth": USER}, {"source": INSIDE}))
@pytest.mark.parametrize("rcpt", (FAR, "redirect@" + LISTS))
def test_three_hosts_a_user(hosts, way, rcpt):
    """Who logs in at the MX, or is internal there, keeps tag and proofs."""
    original = Original()
    far = hosts.send(ALICE, rcpt, original, **way)
    hosts.smart.batvd.check_tag(far.mail_from, ALICE)
    assert forged(hosts.smart, far) == ("accept", "header")
    assert forged(hosts.smart, original) == ("accept", "journal")
