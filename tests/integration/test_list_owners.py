"""Lists that are aliases with an owner beside them: the MTA makes the owner the envelope sender of
what it sends on, behind batvd, and bounces to the owner come home by the journal."""

import json
import re
import subprocess
import time

import pytest

from batvtest import answers, conf_lines, util
from batvtest.sendmail_site import SendmailSite
from batvtest.site import MAILBOXES, Site

ALICE = "alice@example.com"
LISTS = "lists.example.com"
HOST = "mail.example.com"
ALIASES = f"""\
team {answers.FAR}
owner-team {ALICE}
news+de {answers.FAR}
owner-news+de {ALICE}
ruled {answers.FAR}
owner-ruled {answers.FAR}
"""


class ListSite(Site):
    """Lists are aliases in the domain LISTS and at the host's own name."""

    def __init__(self, config=None, **main):
        main = {"mydestination": f"$myhostname, localhost, {LISTS}", "myorigin": LISTS,
                "alias_maps": "texthash:$config_directory/lists", **main}
        super().__init__({"domains": ("example.com", LISTS), **(config or {})},
                         mailboxes=(*MAILBOXES, "owner-team@example.com"), main=main)

    def apply_settings(self):
        super().apply_settings()
        self.postfix.write_file("lists", ALIASES)

    def findings(self):
        """What check says of the owners of lists."""
        found = self.ctl("--json", "check").json
        return [one for one in found if one["name"] == "postfix.list_owners"]

    def finding(self):
        found = self.findings()
        assert len(found) == 1, found
        return found[0]


def post(site, rcpts, **options):
    """What a member of the list gets of alice's post."""
    return site.outgoing(ALICE, rcpts=rcpts, **options)


def assert_home(site, answered, rule="evidence.journal"):
    sent, entry = answered
    assert (entry["result"], entry["action"], entry["rule"]) == ("missing", "accept", rule), \
        entry.line
    assert sent.accepted, sent


def assert_rejected(answered):
    sent, entry = answered
    assert (entry["result"], entry["action"], entry["proof"]) == ("missing", "reject", "none"), \
        entry.line
    assert not sent.accepted, sent


@pytest.fixture(scope="module")
def site():
    with ListSite() as made:
        yield made


def check_owner(site, rcpt, owner, mailbox=ALICE):
    message = post(site, rcpt)
    assert message.mail_from == owner
    sent, entry = answered = site.answer(answers.bounce, message.data, owner)
    assert_home(site, answered)
    assert entry["proof"] == "journal" and entry["class"] == "dsn", entry.line
    site.assert_delivered(sent, mailbox, plain=mailbox)


@pytest.mark.parametrize("rcpt, owner", [
    ("team", "owner-team"), ("Team+box", "owner-team"), ("news+de", "owner-news+de")])
def test_a_bounce_to_the_owner(site, rcpt, owner):
    check_owner(site, f"{rcpt}@{LISTS}", f"{owner}@{LISTS}")


def test_what_proves_nothing(site):
    """A stranger's post, a message of ours to somebody else, and to another list."""
    owner = f"owner-team@{LISTS}"
    sent = site.receive("joe@other.test", f"team@{LISTS}")
    strangers = site.sink.wait_one(subject=sent.subject)
    assert strangers.mail_from == owner
    for message in (strangers, post(site, answers.FAR), post(site, f"ruled@{LISTS}")):
        assert_rejected(site.answer(answers.bounce, message.data, owner))


def test_a_post_without_a_message_id(site):
    """It gets one, by which the owner is known as well."""
    subject = util.unique("post")
    data = f"From: {ALICE}\nTo: team@{LISTS}\nSubject: {subject}\n\nHello.\n".encode()
    message = post(site, f"team@{LISTS}", subject=subject, data=data)
    assert message.mail_from == f"owner-team@{LISTS}"
    assert_home(site, site.answer(answers.bounce, message.data, message.mail_from))


def test_as_often_as_any_other_proof(site):
    message = post(site, f"team@{LISTS}")
    for _ in range(23):
        assert_home(site, site.answer(answers.bounce, message.data, message.mail_from))
    sent, entry = site.answer(answers.bounce, message.data, message.mail_from)
    assert entry["proof"] == "exhausted" and not sent.accepted, entry.line


@pytest.mark.parametrize("origin, mailbox", [(HOST, ALICE),
                                             ("example.com", "owner-team@example.com")])
def test_the_owners_domain_is_myorigin(origin, mailbox):
    """The host's own name, no domain of ours, as which the first of ours is judged; or that one."""
    with ListSite(myorigin=origin) as site:
        for rcpt in (f"team@{LISTS}", "team@localhost", f"team@{HOST}"):
            check_owner(site, rcpt, f"owner-team@{origin}", mailbox)
        sent, entry = site.answer(answers.bounce, post(site, answers.FAR).data,
                                  f"owner-team@{origin}")
        assert entry["proof"] == "none", entry.line
        assert entry["rule"] == ("sign.enabled" if origin == HOST else "verify.action")
        assert sent.accepted == (origin == HOST)


def test_the_hosts_name_is_a_domain_of_ours():
    with ListSite({"domains": ("example.com", LISTS, HOST)}, myorigin=HOST) as site:
        message = post(site, f"team@{LISTS}")
        assert message.mail_from == f"owner-team@{HOST}"
        assert_home(site, site.answer(answers.bounce, message.data, message.mail_from))


def test_the_owners_own_expansion():
    """Alice is the owner of one list, and its sender anyway; the other's owner is elsewhere."""
    with ListSite(expand_owner_alias="yes") as site:
        message = post(site, f"team@{LISTS}")
        assert message.mail_from == ALICE
        assert_home(site, site.answer(answers.bounce, message.data), "evidence.header")
        assert post(site, f"ruled@{LISTS}").mail_from == answers.FAR


def test_what_is_handed_in_again_is_not_known():
    """Its author chose its Message-ID, so that he could forge bounces to each owner."""
    with ListSite() as site:
        stranger = [("Received", f"from x (x.test [192.0.2.77]) by {HOST} with ESMTP id 1; "
                                 "Sat, 21 Nov 2026 12:00:00 +0000")]
        sent = site.submit_inside(ALICE, f"team@{LISTS}", headers=stranger)
        message = site.sink.wait_one(subject=sent.subject)
        assert message.mail_from == f"owner-team@{LISTS}"
        assert_rejected(site.answer(answers.bounce, message.data, message.mail_from))


# -- check ----------------------------------------------------------------------------------------

def config_line(mend, path):
    """The line of configuration that a finding gives; how the daemon reads it depends on the host."""
    found = re.fullmatch(rf"in {path}: (.*) then (systemctl reload batvd|batvd -n .*)", mend)
    assert found, mend
    return found[1]


def strangers_bounce(site):
    """The answer to what a stranger posted to the list, to the owner."""
    sent = site.receive("joe@other.test", f"team@{LISTS}")
    message = site.sink.wait_one(subject=sent.subject)
    return site.answer(answers.bounce, message.data, message.mail_from)


def test_check_gives_the_line_that_accepts_bounces_to_owners(site):
    """What strangers post was never signed; the default of the option stays."""
    finding = site.finding()
    assert finding["level"] == "warn" and "news+de, ruled, team" in finding["text"], finding
    assert_rejected(strangers_bounce(site))
    site.use_text(config_line(finding["mend"], site.batvd.conf))
    try:
        assert site.finding()["level"] == "ok"
        assert_home(site, strangers_bounce(site), f"exclude.recipients:owner-team@{LISTS}")
        _, entry = site.judged_bounce("postmaster@example.com")
        assert entry["rule"] == "exclude.recipients:postmaster@*", entry.line
        assert_rejected(site.judged_bounce(ALICE))
    finally:
        site.reset()


def test_check_adds_to_the_option_where_it_is_set(site):
    site.use({"exclude": {"recipients": ["postmaster@*", "owner-ruled@*"]}})
    try:
        mend = site.finding()["mend"]
        text = conf_lines.applied(mend, site.batvd.conf)
        names = ["postmaster@*", "owner-ruled@*", f"owner-news+de@{LISTS}", f"owner-team@{LISTS}"]
        assert "recipients = [ %s ];" % ", ".join(f'"{name}"' for name in names) in text, mend
        site.batvd.reload(text)
        assert site.finding()["level"] == "ok"
        assert_home(site, strangers_bounce(site), f"exclude.recipients:owner-team@{LISTS}")
    finally:
        site.reset()


def test_check_names_a_domain_of_owners_that_the_journal_does_not_expect():
    """Neither the list's nor the host's."""
    with ListSite({"domains": ("example.com", LISTS, HOST)}, myorigin="example.com") as site:
        message = post(site, f"team@{LISTS}")
        assert message.mail_from == "owner-team@example.com"
        assert_rejected(site.answer(answers.bounce, message.data, message.mail_from))
        found = site.findings()
        assert [one["level"] for one in found] == ["warn"] * 2
        assert "the domain example.com (myorigin)" in found[1]["text"]
        assert found[1]["text"].endswith(f"posts from here to lists in {HOST}, {LISTS}"), found
        site.use_text(config_line(found[1]["mend"], site.batvd.conf))
        message = post(site, f"team@{LISTS}")
        assert_home(site, site.answer(answers.bounce, message.data, message.mail_from),
                    "exclude.recipients:owner-team@example.com")
        assert site.finding()["level"] == "ok"


@pytest.mark.parametrize("action, level", [("reject", "warn"), ("auto", "ok"), ("log", "ok")])
def test_check_knows_the_hosts_own_name(action, level):
    """Judged as in a domain that does not sign, which `auto` never rejects."""
    with ListSite({"verify": {"action": action}}, myorigin=HOST) as site:
        finding = site.finding()
        assert finding["level"] == level, finding
        if level == "warn":
            assert '"owner-team@example.com"' in finding["mend"], finding
            site.use_text(config_line(finding["mend"], site.batvd.conf))
            assert site.finding()["level"] == "ok"
            assert_home(site, strangers_bounce(site),
                        "exclude.recipients:owner-team@example.com")


def test_check_names_owners_whose_own_address_is_the_sender():
    """Nothing knows that address; without the expansion the list's name is in it."""
    with ListSite(expand_owner_alias="yes") as site:    # the third owner is elsewhere
        found = [one["text"].partition(" leave with ")[0] for one in site.findings()]
        assert found == ["posts of others to the list news+de", "posts of others to the list team"]
    aliases = "".join(f"list{n} {answers.FAR}\nowner-list{n} bob@example.com\n" for n in range(8))
    with ListSite(expand_owner_alias="yes") as site:
        site.postfix.write_file("lists", aliases)
        site.postfix.reload()
        message = post(site, f"list7@{LISTS}")
        assert message.mail_from == "bob@example.com"
        assert_rejected(site.answer(answers.bounce, message.data, message.mail_from))
        found = site.findings()
        assert [one["level"] for one in found] == ["warn"] * 6, found
        assert "to the list list0 leave with bob@example.com as their sender" in found[0]["text"]
        assert found[5]["text"] == "and 3 more lists"
        assert {one["mend"] for one in found} == {found[0]["mend"]}
        subprocess.run(["sh", "-ec", found[0]["mend"]], env=site.postfix.env, check=True,
                       timeout=60)
        message = post(site, f"list7@{LISTS}")
        assert message.mail_from == f"owner-list7@{LISTS}"
        assert_home(site, site.answer(answers.bounce, message.data, message.mail_from))


@pytest.mark.parametrize("kind", ["hash", "btree", "cdb", "lmdb"])
def test_check_reads_every_kind_of_table_that_can_be_listed(site, kind):
    if kind not in site.postfix.table_types():
        pytest.skip(f"this Postfix has no {kind} tables (package postfix-{kind})")
    aliases = site.postfix.write_file("more", f"crew {answers.FAR}\nowner-crew bob\n")
    source = site.postfix.write_file("source", f"Staff: {answers.FAR}\nowner-Staff:\n  bob\n"
                                               f"owner-gone: bob\n\"a b\": {answers.FAR}\n")
    pattern = site.postfix.write_file("aliases.pcre", "/^owner-nobody$/ bob\n")
    site.postfix._run("postalias", "-c", site.postfix.conf, f"{kind}:{source}")
    site.postfix.configure(alias_maps=f"proxy:texthash:{aliases}, {kind}:{source}, "
                                      f"pcre:{pattern}")
    try:
        finding = site.finding()
        assert finding["text"].endswith(": crew, staff"), finding
        site.use_text(config_line(finding["mend"], site.batvd.conf))
        finding = site.finding()
        assert finding["level"] == "ok" and f"not listed: pcre:{pattern}" in finding["text"]
        site.postfix.configure(alias_maps=f"{kind}:{source}.missing")
        found = site.findings()
        assert [one["level"] for one in found] == ["warn", "ok"], found
        assert found[0]["mend"].startswith("postalias"), found
        site.postfix.configure(owner_request_special="no", alias_maps=f"{kind}:{source}")
        assert site.finding()["level"] == "ok"
    finally:
        site.postfix.configure(alias_maps="texthash:$config_directory/lists",
                               owner_request_special=None)
        site.reset()


def test_check_of_a_hundred_thousand_aliases(site):
    lines = "".join(f"list{n}: {answers.FAR}\nowner-list{n}: bob\n" for n in range(50000))
    source = site.postfix.write_file("huge", lines)
    kind = site.postfix.postconf("default_database_type")
    site.postfix._run("postalias", "-c", site.postfix.conf, f"{kind}:{source}")
    before = time.monotonic()
    ordinary = site.finding()
    usual = time.monotonic() - before
    site.postfix.configure(alias_maps=f"{kind}:{source}")
    try:
        before = time.monotonic()
        finding = site.finding()
        assert time.monotonic() - before < usual + 10
        assert len(finding["text"]) < len(ordinary["text"]) + 500
        assert "more" in finding["text"], finding
        line = config_line(finding["mend"], site.batvd.conf)
        assert line.endswith(f', "owner-*@{LISTS}" ]; }};'), line
        site.use_text(line)
        assert site.finding()["level"] == "ok"
    finally:
        site.postfix.configure(alias_maps="texthash:$config_directory/lists")
        site.reset()


# -- Sendmail -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def sendmail():
    aliases = {"team": answers.FAR, "owner-team": "team-request", "team-request": "alice",
               "crew": answers.FAR, "owner-crew": "alice, bob"}
    with SendmailSite(aliases=aliases) as site:
        yield site


@pytest.mark.parametrize("rcpt, owner", [
    ("team@example.com", "team-request"), ("Team+box@example.com", "team-request"),
    ("team@any.example.org", "team-request"), ("crew@example.com", "owner-crew")])
def test_a_bounce_to_the_owner_by_sendmail(sendmail, rcpt, owner):
    """Sendmail takes the owner's own expansion where that is one address, and its own name."""
    message = post(sendmail, rcpt)
    assert message.mail_from == f"{owner}@{HOST}"
    sent, entry = sendmail.answer(answers.bounce, message.data, message.mail_from)
    assert (entry["action"], entry["rule"]) == ("accept", "evidence.journal"), entry.line
    sendmail.assert_delivered(sent, "alice")


def test_what_proves_nothing_by_sendmail(sendmail):
    message = post(sendmail, answers.FAR)
    sent, entry = sendmail.answer(answers.bounce, message.data, f"team-request@{HOST}")
    assert entry["proof"] == "none" and entry["rule"] == "sign.enabled", entry.line
    sendmail.assert_delivered(sent, "alice")


def sendmail_finding(site):
    """What check says of the owners of Sendmail's lists."""
    done = site.sendmail.run(util.binary("batvctl"), "-c", site.batvd.conf, "--json", "check",
                             env={**site.batvd.environment(), **site.sendmail.env()}, check=False)
    finding, = [one for one in json.loads(done.stdout) if one["name"] == "sendmail.list_owners"]
    return finding


def test_check_by_sendmail(sendmail):
    """Both lists' owners get Sendmail's own name, as which the first domain is judged."""
    def stranger_answered():
        sent = sendmail.receive("joe@other.test", "crew@example.com")
        message = sendmail.sink.wait_one(subject=sent.subject)
        return sendmail.answer(answers.bounce, message.data, message.mail_from)
    finding = sendmail_finding(sendmail)
    assert finding["level"] == "warn" and finding["text"].endswith(": crew, team"), finding
    sendmail.use_text(config_line(finding["mend"], sendmail.batvd.conf))
    finding = sendmail_finding(sendmail)
    assert finding["level"] == "ok", finding
    sent, entry = stranger_answered()
    assert entry["rule"] == "exclude.recipients:owner-crew@example.com", entry.line
    sendmail.assert_delivered(sent, "alice")
    sendmail.reset()


def test_check_names_a_single_owner_by_sendmail(sendmail):
    """He gets an address of his own for the list, which the journal knows."""
    mail = sendmail.sendmail
    mail.write_table("aliases", {"solo": answers.FAR, "owner-solo": "alice@example.com",
                                 "postmaster": "bob"})
    mail.make_table("aliases")
    message = post(sendmail, "solo@example.com")
    assert message.mail_from == ALICE
    sent = sendmail.submit("bob@example.com", "solo@example.com")
    message = sendmail.sink.wait_one(subject=sent.subject)
    sent, entry = sendmail.answer(answers.bounce, message.data, message.mail_from)
    assert not sent.accepted and entry["proof"] == "none", entry.line
    finding = sendmail_finding(sendmail)
    assert "to the list solo leave with alice@example.com as their sender" in finding["text"], finding
    found = re.fullmatch(r"in the aliases: (.+?): (.+?), and (.+?): (.+?), then newaliases",
                         finding["mend"])
    mail.write_table("aliases", {"solo": answers.FAR, "postmaster": "bob", found[1]: found[2],
                                 found[3]: found[4]})
    mail.make_table("aliases")
    sent = sendmail.submit("bob@example.com", "solo@example.com")
    message = sendmail.sink.wait_one(subject=sent.subject)
    assert message.mail_from == f"solo-request@{HOST}"
    sent, entry = sendmail.answer(answers.bounce, message.data, message.mail_from)
    assert (entry["action"], entry["rule"]) == ("accept", "evidence.journal"), entry.line
    sendmail.assert_delivered(sent, "alice")
