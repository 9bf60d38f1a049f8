"""Lists that are aliases with an owner beside them: the MTA makes the owner the envelope sender of
what it sends on, behind batvd, and bounces to the owner come home by the journal."""

import pytest

from batvtest import answers
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
