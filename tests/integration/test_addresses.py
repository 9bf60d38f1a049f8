"""One address, as it is delivered: what real MTAs make of comments, blanks, quoted pairs, routes and
of a host's own names, batvd judges and signs too."""

import pytest

from batvtest import answers, evidence, tag
from batvtest.sendmail_site import SendmailSite
from batvtest.site import Site

ALICE = "alice@example.com"
FAR = "far@other.test"
HOST = "mail.example.com"
ROOT = f"root@{HOST}"
FORGED = "prvs=1234abcdef="
CONFIG = {"domains": ("example.com",), "log": {"target": "stderr", "level": "debug"}}
ALIASES = f"inline:{{ {{root = {FAR}}}, {{alice = {ALICE}}}, {{postmaster = {ALICE}}} }}"

# What stands before and behind a tag.
SPELLINGS = [("(x)", "alice@example.com"), ("", "alice(%s)@example.com" % (50 * "x")),
             ("(%s)" % (60 * "y"), "alice@example.com"), ("", f"alice{60 * ' '}@example.com"),
             ("", "al\\ice@example.com"), (" ", "alice@example.com"), ("\\", "alice@example.com"),
             ("", "alice@example.com (x)"), ("@a.test,@b.test:", "alice@example.com"),
             ("", f"alice%example.com@{HOST}")]
DAEMONS = ("mailer-daemon(x)@%s", "mailer-daemon @%s", "(x)mailer-daemon@%s",
           "\\mailer-daemon@%s", "Mailer-Daemon\t@%s")
OWN_NAMES = ("alice@localhost", f"alice@{HOST}", "alice@[127.0.0.1]", "al\\ice(x)@LOCALHOST")


FEW_MACROS = {"milter_mail_macros": "i {auth_authen} {auth_type}", "milter_rcpt_macros": "i"}


def postfix_site(**main):
    return Site(CONFIG, main={"alias_maps": ALIASES, "mydestination": f"{HOST}, localhost", **main})


SITES = {"postfix": postfix_site, "sendmail": lambda: SendmailSite(CONFIG)}
on_postfix = pytest.mark.parametrize("whole_site", ["postfix"], indirect=True)


@pytest.fixture(scope="module", params=SITES)
def whole_site(request):
    with SITES[request.param]() as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


def is_rejected(sent, enhanced="5.7.1"):
    return sent.stage == "end" and sent.code == 550 and sent.text.startswith(f"{enhanced} ")


def box(site):
    return ALICE if isinstance(site, Site) else "alice"


# -- mailer-daemon in any spelling is a bounce ----------------------------------------------------

@pytest.mark.parametrize("domain", ["example.com", "other.test"])
@pytest.mark.parametrize("daemon", DAEMONS)
def test_mailer_daemon_is_a_bounce(site, daemon, domain):
    sent, entry = site.judged_mail(daemon % domain, ALICE)
    assert is_rejected(sent), sent
    assert (entry["result"], entry["rule"]) == ("missing", "verify.action"), entry.line


@pytest.mark.parametrize("daemon", DAEMONS)
def test_mailer_daemon_is_never_signed(site, daemon):
    mark = site.batvd.mark()
    sent = site.submit(daemon % "example.com")
    assert sent.accepted, sent
    entry = site.batvd.wait_entry("sign-skip", since=mark)
    assert entry["reason"] == "mailer-daemon", entry.line


# -- a recipient in any spelling is the mailbox that gets the mail --------------------------------

@pytest.mark.parametrize("before, after", SPELLINGS)
def test_bounce_to_a_spelling_is_judged_as_the_mailbox(site, before, after):
    sent, entry = site.judged_bounce(before + after)
    assert is_rejected(sent), sent
    assert (entry["result"], entry["judged"]) == ("missing", f"<{ALICE}>"), entry.line


@pytest.fixture(name="few", scope="module")
def few_():
    with postfix_site(**FEW_MACROS) as site:
        yield site


@pytest.mark.parametrize("before, after", SPELLINGS)
def test_without_the_macros_a_spelling_is_deferred(few, before, after):
    """As recipient and as sender, with a tag and without; what is plain goes on."""
    for sent in (few.bounce(before + after), few.receive("victim@elsewhere.test", before + FORGED + after),
                 few.receive(before + after, ALICE)):
        assert (sent.stage, sent.code) == ("rcpt", 451) and sent.text.startswith("4.3.5 "), sent
    assert is_rejected(few.bounce(ALICE))


@pytest.mark.parametrize("before, after", SPELLINGS)
def test_forged_tag_in_a_spelling_is_seen(site, before, after):
    user = after.replace("alice", "nobody").replace("al\\ice", "no\\body")
    if before == "\\" and isinstance(site, SendmailSite):
        # Sendmail keeps this one, and rejects the user as unknown.
        assert site.receive("victim@elsewhere.test", before + FORGED + user).code == 550
        return
    sent, entry = site.judged_mail("victim@elsewhere.test", before + FORGED + user)
    # Where a deletion may not take it out, at RCPT already.
    assert sent.stage in ("rcpt", "end") and sent.code == 550 and sent.text.startswith("5.1.1 "), sent
    assert entry["rule"] == "tag-unauthentic", entry.line
    assert entry["judged"] == "<nobody@example.com>"
    site.assert_nothing(sent)


@pytest.mark.parametrize("pair", ["\\%s", "p\\rvs%s"])
def test_forged_tag_with_a_quoted_pair_is_seen(site, pair):
    spelled = pair % (FORGED if pair[0] == "\\" else FORGED[4:])
    sent = site.receive("victim@elsewhere.test", f"{spelled}nobody@example.com")
    assert not sent.accepted and sent.code == 550, sent
    site.assert_nothing(sent)


@pytest.mark.parametrize("before, after", SPELLINGS)
def test_valid_tag_in_a_spelling_is_restored_once(site, before, after):
    tagged = site.batvd.tagged(ALICE).partition("alice@")[0]
    if before == "\\" and isinstance(site, SendmailSite):
        assert site.bounce(before + tagged + after).code == 550
        return
    sent, entry = site.judged_bounce(before + tagged + after)
    assert (entry["result"], entry["rule"]) == ("valid", "tag"), entry.line
    site.assert_delivered(sent, box(site))


def test_valid_tag_in_a_spelling_of_other_case_is_restored_once(site):
    tagged = site.batvd.tagged(ALICE).partition("alice@")[0]
    sent, entry = site.judged_bounce(f"(x){tagged}alice@EXAMPLE.COM")
    assert entry["result"] == "valid", entry.line
    assert sent.accepted, sent
    mail = site.mta.wait_one(box(site), sent.subject)
    assert "prvs=" not in mail.delivered_to.lower()


# -- a sender in any spelling is signed as the address that it is ---------------------------------

@pytest.mark.parametrize("before, after", SPELLINGS)
def test_sender_in_a_spelling_is_signed_as_it_is_meant(site, before, after):
    message = site.outgoing(before + after)
    site.batvd.check_tag(message.mail_from, ALICE)
    sent, entry = site.judged_bounce(message.mail_from)
    assert entry["result"] == "valid", entry.line
    site.assert_delivered(sent, box(site))


# -- names that every host has for its own mailboxes ----------------------------------------------

@pytest.mark.parametrize("name", OWN_NAMES)
def test_own_name_is_judged_and_logged(site, name):
    """As a domain that does not sign: silent bounces pass, and the log says so at level info."""
    site.use({"log": {"level": "info"}})
    sent, entry = site.judged_bounce(name)
    assert sent.accepted, sent
    assert (entry["result"], entry["action"], entry["rule"], entry["judged"]) == (
        "missing", "log", "sign.enabled", f"<{ALICE}>"), entry.line


def test_bare_name_is_judged(site):
    """Sendmail's is the host's own name; Postfix appends $myorigin, which is a domain of ours."""
    sent, entry = site.judged_bounce("alice")
    assert entry["result"] == "missing" and entry["judged"] == f"<{ALICE}>", entry.line


def test_own_name_in_domains_is_an_address_like_others(site):
    site.use({"domains": ("example.com", "localhost", HOST, "[127.0.0.1]")})
    for name in ("alice@localhost", f"alice@{HOST}", "alice@[127.0.0.1]"):
        sent, entry = site.judged_bounce(name)
        assert is_rejected(sent), sent
        assert (entry["rcpt"], entry["rule"]) == (f"<{name}>", "verify.action"), entry.line


def cron_mail(site):
    """Of root@{j}, which an alias sends outside, as the far end gets it."""
    subject = site.postfix.sendmail(ROOT, sender=ROOT)
    return site.sink.wait_one(subject=subject)


@on_postfix
def test_cron_mail_has_evidence_and_no_tag(site):
    message = cron_mail(site)
    assert message.mail_from == ROOT
    evidence.check(site.batvd.evidence_secret(), evidence.of_message(message.data),
                   ["root@example.com"], tag.day_of(message.arrived))


@on_postfix
def test_silent_bounce_of_cron_mail_is_accepted(site):
    sent, entry = site.judged_bounce(ROOT)
    assert sent.accepted, sent
    assert (entry["action"], entry["rule"]) == ("log", "sign.enabled"), entry.line
    site.sink.wait_one(subject=sent.subject)


@on_postfix
def test_bounce_of_cron_mail_is_proven(site):
    sent, entry = site.answer(answers.bounce, cron_mail(site).data, ROOT)
    assert sent.accepted, sent
    assert entry["proof"] == "header" and entry["rule"] == "evidence.header", entry.line


@on_postfix
def test_answer_to_cron_mail_is_proven_by_the_journal(site):
    site.use({"evidence": {"header": False}})
    message = cron_mail(site)
    sent, entry = site.answer(answers.vacation, message.data, ROOT)
    assert sent.accepted, sent
    assert (entry["proof"], entry["judged"]) == ("journal", "<root@example.com>"), entry.line


# -- what explain says ----------------------------------------------------------------------------

@on_postfix
def test_explain_shows_the_address_that_it_judges(site):
    done = site.batvd.ctl("explain", "--client", "192.0.2.9", "--from", "",
                                  "--rcpt", "al\\ice(x)@example.com", rc=1)
    assert f"judged as <{ALICE}>" in done.out
    done = site.batvd.ctl("explain", "--client", "192.0.2.9", "--from", "",
                                  "--rcpt", ALICE, rc=1)
    assert "judged as" not in done.out


@on_postfix
def test_explain_knows_the_hosts_own_name(site):
    done = site.ctl("explain", "--client", "192.0.2.9", "--from", "", "--rcpt", f"alice@{HOST}",
                    rc=0)
    assert f"judged as <{ALICE}>" in done.out and "sign.enabled" in done.out
