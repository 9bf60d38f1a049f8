"""A site that cannot tag: no sender is changed, and bounces are known by the form of the site's own
Message-IDs, through a real Postfix."""

import pytest

from batvtest import answers, evidence, util
from batvtest.answers import HEADER, headers_of, without
from batvtest.postfix import make_message
from batvtest.site import Site

ALICE = "alice@example.com"
CAROL = "carol@sub.example"
SIGNING = "dora@signing.example"

# Two domains with a pattern each, and one that has a pattern and signs, when signing is on.
PATTERNS = {"example.com": r"^[0-9a-f]{12}@mail\.example\.com$",
            "sub.example": r"^sub\.[0-9a-z.-]+@",
            "signing.example": r"@mail\.signing\.example$"}
CONFIG = {
    "domains": tuple({"name": name, "message_id_patterns": [pattern]}
                     for name, pattern in PATTERNS.items()),
    "sign": {"enabled": False},
    "evidence": {"header": False},
    "journal": {"enabled": False},
    "verify": {"action": "reject"},
}


@pytest.fixture(scope="module")
def whole_site():
    with Site(CONFIG, mailboxes=(ALICE, CAROL, SIGNING)) as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


OWN = {ALICE: lambda: f"{util.unique()[2:]}@mail.example.com",
       CAROL: lambda: f"sub.{util.unique()}@out.test",
       SIGNING: lambda: f"{util.unique()}@mail.signing.example"}


def original(sender, message_id=None):
    """A message as the far end would return it; never sent here, so nothing else can prove it."""
    fields = [("Message-ID", f"<{message_id or OWN[sender]()}>")]
    return make_message("out", sender=sender, rcpt=answers.FAR, headers=fields)


def judged(site, kind, message, rcpt=ALICE, **options):
    sent, entry = site.answer(kind, message, rcpt, **options)
    assert entry["result"] == "missing"
    if entry["action"] == "reject":
        assert sent.stage == "end" and sent.code == 550, sent
        site.assert_nothing(sent, rcpt)
    else:
        site.assert_delivered(sent, rcpt)
    return entry["action"], entry["rule"], entry["proof"]


PROVEN = ("accept", "evidence.pattern", "pattern")


def test_mail_goes_out_unchanged(site):
    sent = site.submit(ALICE, data=make_message("plain out", sender=ALICE), subject="plain out")
    assert sent.accepted, sent
    message = site.sink.wait_one(subject="plain out")
    assert message.mail_from == ALICE
    assert not evidence.raw_fields(message.data)


@pytest.mark.parametrize("kind", [answers.bounce, answers.out_of_office, answers.vacation,
                                  answers.receipt_of_exchange, answers.calendar_answer])
@pytest.mark.parametrize("rcpt", [ALICE, CAROL])
def test_an_own_message_id_proves(site, kind, rcpt):
    assert judged(site, kind, original(rcpt), rcpt) == PROVEN


@pytest.mark.parametrize("rcpt, other", [(ALICE, CAROL), (CAROL, ALICE)])
def test_each_domain_by_its_own_pattern(site, rcpt, other):
    answered = judged(site, answers.bounce, original(other), rcpt)
    assert answered == ("reject", "verify.action", "none")


@pytest.mark.parametrize("foreign", [
    "x@bot.test", "0123456789ab@mail.example.com.bot.test", "g123456789ab@mail.example.com",
    "0123456789ab@mailxexample.com"])
def test_only_foreign_message_ids_are_a_ground_to_refuse(site, foreign):
    answered = judged(site, answers.bounce, original(ALICE, foreign))
    assert answered == ("reject", "verify.action", "none")


def test_case_does_not_matter(site):
    message_id = OWN[ALICE]().upper()
    assert judged(site, answers.bounce, original(ALICE, message_id)) == PROVEN


def test_any_one_message_id_will_do(site):
    """A conversation: the References name strangers' messages too."""
    message_id = OWN[ALICE]()
    references = f"<a@bot.test> <{message_id}>\n <z@bot.test>"

    def conversation(_, *, to, subject):
        return (f"References: {references}\n".encode()
                + answers.vacation(original(ALICE, "b@bot.test"), to=to, subject=subject))
    assert judged(site, conversation, original(ALICE)) == PROVEN


def test_without_any_message_id_it_is_logged(site):
    message = original(ALICE)
    returned = without(headers_of(message), "Message-ID")
    answered = judged(site, answers.bounce, message, returned=returned)
    assert answered == ("log", "sign.enabled", "none")
    answered = judged(site, answers.vacation, message, quoted=False)
    assert answered == ("log", "sign.enabled", "none")


def test_a_receipt_is_judged_by_what_it_names(site):
    """"auto": whatever names a Message-ID is known by it."""
    answered = judged(site, answers.receipt_of_exchange, original(ALICE, "x@bot.test"))
    assert answered == ("reject", "verify.action", "none")


def test_classes_go_before(site):
    site.use({"verify": {"class": {"mdn": "log"}}})
    answered = judged(site, answers.receipt_of_exchange, original(ALICE, "x@bot.test"))
    assert answered == ("log", "verify.class.mdn", "none")


def test_a_class_that_is_refused_needs_a_ground_too(site):
    site.use({"verify": {"class": {"dsn": "reject"}}})
    message = original(ALICE, "x@bot.test")
    assert judged(site, answers.bounce, message) == ("reject", "verify.class.dsn", "none")
    answered = judged(site, answers.bounce, message, returned="")
    assert answered == ("log", "sign.enabled", "none")


def test_auto_never_refuses_there(site):
    site.use({"verify": {"action": "auto"}})
    assert judged(site, answers.bounce, original(ALICE)) == PROVEN
    answered = judged(site, answers.bounce, original(ALICE, "x@bot.test"))
    assert answered == ("log", "sign.enabled", "none")


def test_the_action_of_a_domain(site):
    site.use({"verify": {"action": "auto"},
              "domains": ({**CONFIG["domains"][0], "verify_action": "reject"},
                          *CONFIG["domains"][1:])})
    answered = judged(site, answers.bounce, original(ALICE, "x@bot.test"))
    assert answered == ("reject", "verify.action", "none")
    answered = judged(site, answers.bounce, original(CAROL, "x@bot.test"), CAROL)
    assert answered == ("log", "sign.enabled", "none")


def test_without_a_pattern_nothing_is_refused(site):
    site.use({"domains": ("example.com", "sub.example", "signing.example")})
    answered = judged(site, answers.bounce, original(ALICE, "x@bot.test"))
    assert answered == ("log", "sign.enabled", "none")


def test_a_domain_that_signs_does_not_ask_for_patterns(site):
    """Anyone can guess one, and there is something better."""
    assert judged(site, answers.bounce, original(SIGNING), SIGNING) == PROVEN
    domains = tuple({**domain, "sign": domain["name"] == "signing.example"}
                    for domain in CONFIG["domains"])
    site.use({"sign": {"enabled": True}, "domains": domains})
    answered = judged(site, answers.bounce, original(SIGNING), SIGNING)
    assert answered == ("reject", "verify.action", "none")
    assert judged(site, answers.bounce, original(ALICE)) == PROVEN


def test_valid_tags_are_accepted_still(site):
    sent, entry = site.answer(answers.bounce, original(ALICE, "x@bot.test"),
                              site.batvd.tagged(ALICE), to=ALICE)
    assert entry["rule"] == "tag"
    site.assert_delivered(sent, ALICE)


def test_header_and_journal_serve_an_unsigned_site_as_well(site):
    """What was sent while they were on proves more than a pattern, and does so for any
    Message-ID."""
    site.restart({"evidence": {"header": True}, "journal": {"enabled": True}})
    subject = util.unique("out")
    data = make_message(subject, sender=ALICE, headers=[("Message-ID", "<any@thing.test>")])
    assert site.submit(ALICE, data=data, subject=subject).accepted
    message = site.sink.wait_one(subject=subject)
    assert message.mail_from == ALICE
    proven = judged(site, answers.bounce, message.data)
    assert proven == ("accept", "evidence.header", "header")
    proven = judged(site, answers.bounce, message.data,
                    returned=without(headers_of(message.data), HEADER))
    assert proven == ("accept", "evidence.journal", "journal")
