"""A real Sendmail 8.17 with what `batvctl mta sendmail` gives it: out with a tag, back in by it."""

import re

import pytest

from batvtest import answers, util
from batvtest.answers import HEADER
from batvtest.postfix import INSIDE, make_message
from batvtest.sendmail import FORGED, PLAIN, STRANGER
from batvtest.sendmail_site import LOCAL, SendmailSite
from batvtest.site import QUOTED, USER

ALICE = "alice@example.com"
BOB = "bob@example.com"
REFUSAL = "5.7.1 This bounce does not show that it returns a message which this site sent"
FORGED_TAG = "prvs=1234abcdef="


@pytest.fixture(scope="module")
def whole():
    with SendmailSite() as made:
        yield made


@pytest.fixture
def site(whole):
    yield whole
    whole.reset()


@pytest.fixture(scope="module")
def alice_tag(whole):
    return whole.tagged(ALICE)


def refused(sent):
    return sent.stage == "end" and sent.code == 550 and sent.text.startswith(REFUSAL)


def assert_tagged(site, message, plain=ALICE, **options):
    return site.batvd.check_tag(message.mail_from, plain, when=message.arrived, **options)


# -- out ------------------------------------------------------------------------------------------

def test_internal_network(site):
    mark = site.batvd.mark()
    message = site.outgoing()
    key = assert_tagged(site, message)
    entry = site.batvd.wait_log("sign", since=mark)[0]
    assert entry["tagged"] == f"<{message.mail_from}>" and entry["key"] == str(key)
    assert entry.id in message.data.decode()
    assert len(message.message.get_all(HEADER)) == 1


def test_authenticated(site):
    sent = site.sendmail.send(ALICE, "far@other.test", source=STRANGER, auth=USER)
    assert sent.accepted, sent
    assert_tagged(site, site.sink.wait_one(subject=sent.subject))


@pytest.mark.parametrize("options", [("-Am",), ()], ids=["the MTA itself", "by submit.cf"])
def test_local_process_by_smtp(site, options):
    with site.sendmail.local_session(*options) as session:
        sent = session.send(ALICE, "far@other.test")
    assert sent.accepted, sent
    assert_tagged(site, site.sink.wait_one(subject=sent.subject))


def test_sendmail_command(site):
    subject = site.sendmail.sendmail("far@other.test", sender=ALICE)
    assert_tagged(site, site.sink.wait_one(subject=subject))


def test_bare_sender_gets_the_hosts_name(site):
    """As mail.example.com, Sendmail's own name, which is no domain of ours until it is listed."""
    def send():
        with site.sendmail.local_session("-Am") as session:
            sent = session.send("alice", "far@other.test")
        assert sent.accepted, sent
        return site.sink.wait_one(subject=sent.subject)
    assert send().mail_from == "alice@mail.example.com"
    site.use({"domains": ("example.com", "mail.example.com")})
    assert_tagged(site, send(), "alice@mail.example.com")


@pytest.mark.parametrize("sender, plain", [
    (QUOTED, QUOTED), ("carol@any.example.org", None), ("bounce+x=y=z@example.com", None),
    ("Alice@EXAMPLE.com", None), ("alice%example.com", ALICE)])
def test_senders(site, sender, plain):
    message = site.outgoing(sender)
    assert_tagged(site, message, plain or sender)


def test_subaddress_syntax(site):
    message = site.outgoing("carol@sub.example")
    assert re.fullmatch(r"carol\+prvs=[0-9]{4}[0-9a-f]{6}@sub\.example", message.mail_from)
    sent, entry = site.judged_bounce(message.mail_from)
    assert entry["result"] == "valid"
    site.assert_delivered(sent, "carol")


@pytest.mark.parametrize("sender, user", [(ALICE, "alice"), ("carol@sub.example", "carol")])
def test_verp_by_a_smart_host(site, sender, user):
    """It appends the recipient behind the tag; what Sendmail makes of the rest is a user+detail."""
    local, _, domain = site.tagged(sender).rpartition("@")
    sent, entry = site.judged_bounce(f"{local}+far+x-y=z=other.test@{domain}")
    assert entry["result"] == "valid", entry.line
    site.assert_delivered(sent, user)


@pytest.mark.parametrize("sender", ["x@elsewhere.example", "x@example.org", "<>",
                                    "mailer-daemon@example.com", "prvs=1234abcdef=x@example.com"])
def test_not_signed(site, sender):
    message = site.outgoing(sender)
    assert message.mail_from == sender.strip("<>")


def test_stranger_submits_nothing(site):
    sent = site.sendmail.send(ALICE, BOB)
    site.assert_delivered(sent, "bob")
    assert site.sendmail.mail("bob", sent.subject)[0].return_path == ALICE


def test_dsn_parameters_survive(site):
    message = site.outgoing(mail_args=["RET=HDRS", "ENVID=QQ314159", "BODY=8BITMIME"],
                            rcpt_args=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Far@other.test"])
    assert_tagged(site, message)
    assert message.mail_arg("RET") == "HDRS" and message.mail_arg("ENVID") == "QQ314159"
    assert set(message.rcpt_arg(0, "NOTIFY").split(",")) == {"SUCCESS", "FAILURE"}
    assert message.rcpt_arg(0, "ORCPT") == "rfc822;Far@other.test"


def test_headers_stay_as_they_are(site):
    foreign = f"{FORGED_TAG}alice@example.com"
    data = make_message("kept", sender=f"Alice <{ALICE}>", rcpt=foreign)
    sent = site.submit(data=data, subject="kept")
    assert sent.accepted
    message = site.sink.wait_one(subject="kept")
    assert_tagged(site, message)
    assert message.message["To"] == foreign and message.message["From"] == f"Alice <{ALICE}>"


def test_several_messages_in_a_session(site):
    with site.sendmail.session(source=INSIDE) as session:
        sent = [session.send(sender, "far@other.test") for sender in (ALICE, BOB, "x@other.test")]
    found = [site.sink.wait_one(subject=one.subject) for one in sent]
    assert_tagged(site, found[0], ALICE)
    assert_tagged(site, found[1], BOB)
    assert found[2].mail_from == "x@other.test"


def test_large_message(site):
    """The body in many pieces, of which batvd asks for the first only."""
    body = "".join(f"{number:070d}\n" for number in range(20000))
    data = make_message("large", body=body)
    assert site.submit(data=data, subject="large").accepted
    message = site.sink.wait_one(subject="large")
    assert_tagged(site, message)
    assert message.message.get_content().replace("\r\n", "\n") == body


# -- back -----------------------------------------------------------------------------------------

def test_genuine_bounce(site, alice_tag):
    sent, entry = site.judged_bounce(alice_tag)
    assert (entry["result"], entry["action"], entry["rule"]) == ("valid", "accept", "tag")
    assert entry["client"] == f"mx.other.test[{STRANGER}]"
    mail = site.assert_delivered(sent, "alice")
    assert entry.id in " ".join(mail.header_all("Received"))


@pytest.mark.parametrize("change", [
    str.upper, lambda tag: tag.replace("prvs", "PRVS"), lambda tag: tag.replace("alice", "Alice"),
    lambda tag: tag.replace("example", "Example"), lambda tag: f"<@relay.test:{tag}>",
    lambda tag: tag.replace("@", "%"), lambda tag: tag.replace("@", "%") + "@mail.example.com",
    lambda tag: tag.replace("alice@", "alice+box@")],
    ids=["upper", "PRVS", "Alice", "Example", "route", "percent", "percent by host", "plus"])
def test_genuine_bounce_in_other_forms(site, alice_tag, change):
    changed = change(alice_tag)
    sent, entry = site.judged_bounce(changed)
    if "+box" in changed:    # another address than the signed one
        assert entry["result"] == "bad-signature" and refused(sent)
        return
    assert entry["result"] == "valid", entry
    site.assert_delivered(sent, "alice")


@pytest.mark.parametrize("sender, user", [(QUOTED, "a b"), ("carol@any.example.org", "carol"),
                                          ("alice+box@example.com", "alice")])
def test_genuine_bounce_to_others(site, sender, user):
    sent, entry = site.judged_bounce(site.tagged(sender))
    assert entry["result"] == "valid"
    site.assert_delivered(sent, user)


@pytest.mark.parametrize("rcpt, result", [
    (ALICE, "missing"), (FORGED_TAG + ALICE, "unknown-key"), (f'"{FORGED_TAG}a b"@example.com', None),
    ("prvs=12=" + ALICE, None)])
def test_forged_bounce(site, rcpt, result):
    if rcpt.startswith("prvs=12="):    # no tag of our form: the rule leaves it
        sent = site.sendmail.bounce(rcpt)
        assert sent.stage == "rcpt" and sent.code == 550, sent
        return
    sent, entry = site.judged_bounce(rcpt)
    assert refused(sent), sent
    assert entry["result"] == (result or "unknown-key")
    assert (entry["action"], entry["rule"], entry["class"]) == ("reject", "verify.action", "dsn")
    site.sendmail.wait_maillog(rf"{entry.id}: Milter: data, reject=550 5\.7\.1 This bounce")
    site.assert_nothing(sent)


def test_refused_at_rcpt(site):
    site.use({"verify": {"reject_at": "rcpt"}})
    sent = site.sendmail.bounce([ALICE, "x@elsewhere.example", "bob@elsewhere.example"])
    assert sent.accepted
    reply = sent.rcpts[ALICE]
    assert reply.code == 550 and REFUSAL in reply.text.replace("<alice@example.com>... ", "")
    assert sent.rcpts["x@elsewhere.example"].code == 550    # Sendmail's own
    site.assert_delivered(sent, "bob")


@pytest.mark.parametrize("rcpt", [FORGED_TAG + "nouser@example.com", "nouser@example.com",
                                  FORGED_TAG + "nouser%example.com"])
def test_unknown_user_behind_a_tag(site, rcpt):
    sent = site.sendmail.bounce(rcpt)
    assert sent.stage == "rcpt" and sent.code == 550 and "5.1.1" in sent.text
    sent = site.sendmail.send("x@other.test", rcpt)
    assert sent.stage == "rcpt" and sent.code == 550 and "5.1.1" in sent.text


def test_ordinary_mail(site, alice_tag):
    sent, entry = site.judged_mail("x@other.test", alice_tag)
    assert entry["result"] == "valid"
    site.assert_delivered(sent, "alice")
    sent, entry = site.judged_mail("x@other.test", FORGED_TAG + ALICE)
    assert entry["rule"] == "tag-unauthentic" and sent.code == 550
    assert sent.text == ("5.1.1 this address carries a signature that this site does not know; "
                         f"write to <{ALICE}> instead")
    site.assert_nothing(sent)
    sent = site.sendmail.send("x@other.test", ALICE)
    site.assert_delivered(sent, "alice")


def test_own_bounce_comes_back_to_the_user(site):
    """Sendmail makes it itself and asks no filter: the rule finds the user behind the tag."""
    site.sink.refuse("nobody@other.test")
    subject = util.unique("own")
    sent = site.submit(rcpts="nobody@other.test", subject=subject)
    assert sent.accepted
    mail = util.wait_for(lambda: [m for m in site.sendmail.mail("alice")
                                  if subject in m.path.read_text(encoding="utf-8")], 20,
                         site.sendmail.diagnosis)
    assert len(mail) == 1 and mail[0].message["From"].startswith("Mail Delivery Subsystem")
    assert "nobody@other.test" in str(mail[0].path.read_text(encoding="utf-8"))


def test_dsn_wishes_stay_with_the_restored_recipient(site, alice_tag):
    """Asked for by a stranger and told under the name that the stranger used."""
    sent = site.sendmail.send("x@other.test", alice_tag, rcpt_args=["NOTIFY=SUCCESS",
                              f"ORCPT=rfc822;{alice_tag.replace('=', '+3D')}"])
    site.assert_delivered(sent, "alice")
    report = site.sink.wait(rcpt="x@other.test")[-1].data.decode()
    assert "Action: delivered" in report or "Action: relayed" in report
    assert f"Original-Recipient: rfc822; {alice_tag}" in report.replace("rfc822;", "rfc822; ") \
        .replace(";  ", "; ").replace("+3D", "=")


# -- several recipients ---------------------------------------------------------------------------

def test_one_of_several_is_removed(site, alice_tag):
    sent, entries = site.judged_bounce([alice_tag, BOB])
    assert sent.accepted
    assert [(e["action"], e.get("applied")) for e in entries] == [("accept", None),
                                                                  ("reject", "removed")]
    site.assert_delivered(sent, "alice")
    assert not site.sendmail.mail("bob", sent.subject)


@pytest.mark.parametrize("swap", [False, True])
def test_tagged_and_plain_recipient_give_one_copy(site, alice_tag, swap):
    """For Sendmail they are one recipient: what takes out the one takes out the other."""
    rcpts = [ALICE, alice_tag] if swap else [alice_tag, ALICE]
    site.assert_delivered(site.sendmail.send("x@other.test", rcpts), "alice")
    site.assert_delivered(site.sendmail.bounce(rcpts), "alice")    # the plain one is refused
    site.use({"verify": {"action": "log"}})
    site.assert_delivered(site.sendmail.bounce(rcpts), "alice")


def test_two_tags_of_a_user_give_one_copy(site, alice_tag):
    other = site.tagged("alice@any.example.org")
    site.assert_delivered(site.sendmail.bounce([alice_tag, other]), "alice")
    site.assert_delivered(site.sendmail.bounce([alice_tag.upper(), other, alice_tag]), "alice")


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("sender", [ALICE, "alice+box@example.com"])
def test_refused_and_kept_recipient_that_are_one(site, sender, swap):
    """The refused one is for the same mailbox: what took it out would lose the other."""
    rcpts = [site.tagged(sender), FORGED_TAG + sender, sender]
    sent, entries = site.judged_bounce(rcpts[::-1] if swap else rcpts)
    assert sorted(entry["action"] for entry in entries) == ["accept", "reject", "reject"]
    site.assert_delivered(sent, "alice")


@pytest.mark.parametrize("other", ["alice@elsewhere.example", "<alice>"])
def test_a_mailbox_of_ours_under_a_name_that_is_not(site, other):
    """The one is refused, the other nobody judges, and Sendmail takes them for one."""
    sent = site.sendmail.bounce([ALICE, other])
    site.assert_delivered(sent, "alice")


@pytest.mark.parametrize("user, to", [("info", "bob"), ("all", "alice+y@example.com")])
def test_a_tag_through_a_virtual_user(site, user, to):
    sendmail = site.sendmail
    sendmail.write_table("virtusertable", {f"{user}@example.com": to})
    sendmail.make_table("virtusertable")
    sent, entry = site.judged_bounce(site.tagged(f"{user}@example.com"))
    assert entry["result"] == "valid"
    site.assert_delivered(sent, to.partition("+")[0])
    assert refused(sendmail.bounce(f"{user}@example.com"))


def test_a_tag_through_an_alias(whole, alice_tag):
    sendmail = whole.sendmail
    sendmail.write_table("aliases", {"MAILER-DAEMON": "postmaster", "alice": "bob, carol"})
    sendmail.make_table("aliases")
    try:
        sent = sendmail.bounce(alice_tag)
        whole.assert_delivered(sent, "bob")
        whole.assert_delivered(sent, "carol")
        assert not sendmail.mail("alice", sent.subject)
    finally:
        sendmail.write_table("aliases", {"MAILER-DAEMON": "postmaster"})
        sendmail.make_table("aliases")


# -- addresses that Sendmail completes or rewrites ------------------------------------------------

@pytest.mark.parametrize("rcpt", [
    "<alice%example.com>", "<alice%example.com@mail.example.com>", "<example.com!alice>",
    "<alice%example.com%mail.example.com>", '<"alice@example.com"@mail.example.com>',
    "<@mail.example.com:alice@example.com>", "<alice@(x)example.com>", "<alice@example.com (x)>",
    "<alice@ example.com>", "<alice@example.com.>", "<alice+x@EXAMPLE.com>", "<alice@example.com,>",
    '<"alice"@example.com>', "<alice@any.example.org>"])
def test_forged_bounce_to_an_odd_address(site, rcpt):
    sent = site.sendmail.bounce(rcpt)
    assert refused(sent) or sent.code == 553, sent
    site.assert_nothing(sent)


@pytest.mark.parametrize("sender", ["< >", "<(x)>", "<mailer-daemon@mail.example.com>",
                                    f"<{FORGED_TAG}mailer-daemon@other.test>"])
def test_null_sender_in_other_forms(site, sender):
    sent, entry = site.judged_mail(sender, ALICE)
    assert sent.stage == "end" and sent.code == 550, sent
    assert (entry["result"], entry["class"]) == ("missing", "other")
    assert sent.text.startswith("5.7.1 this site accepts mail from the null sender")


def test_bare_recipient_is_of_the_host(site):
    """alice is alice@mail.example.com: judged once that is a domain of ours."""
    site.assert_delivered(site.sendmail.bounce("<alice>"), "alice")
    site.use({"domains": ("mail.example.com",)})
    assert refused(site.sendmail.bounce("<alice>"))
    assert refused(site.sendmail.bounce("<alice@mail.example.com>"))


@pytest.mark.parametrize("rcpt", [f"<{FORGED_TAG}nouser>", f"<{FORGED_TAG}alice>"])
def test_bare_tag_is_an_unknown_user(site, rcpt):
    sent = site.sendmail.send("x@other.test", rcpt)
    assert sent.stage == "rcpt" and sent.code == 550


# -- who the client is ----------------------------------------------------------------------------

@pytest.mark.parametrize("source, client, refuses", [
    (STRANGER, f"mx.other.test[{STRANGER}]", False), (PLAIN, f"unknown[{PLAIN}]", True),
    (FORGED, f"unknown[{FORGED}]", True), ("127.0.0.5", "liar.test[127.0.0.5]", False)])
def test_only_verified_names_are_excluded(site, source, client, refuses):
    """FORGED says that it is liar.test, whose address is another."""
    site.use({"exclude": {"hosts": ["mx.other.test", "liar.test"]}})
    sent, entry = site.judged_bounce(ALICE, source=source)
    assert entry["client"] == client
    assert refused(sent) == refuses
    assert entry["rule"].startswith("verify.action" if refuses else "exclude.hosts")


def test_local_process_is_never_refused(site):
    mark = site.batvd.mark()
    with site.sendmail.local_session("-Am") as session:
        sent = session.send("<>", ALICE)
    site.assert_delivered(sent, "alice")
    assert site.batvd.wait_log("verify", since=mark)[0]["rule"] == "local"


def test_authenticated_client_is_excluded(site):
    sent, entry = site.judged_bounce(ALICE, auth=USER)
    assert entry["rule"] == "exclude.authenticated"
    site.assert_delivered(sent, "alice")


# -- other actions --------------------------------------------------------------------------------

def test_mark(site):
    site.use({"verify": {"action": "mark"}})
    sent, entry = site.judged_bounce(ALICE)
    assert entry["action"] == "mark"
    mail = site.assert_delivered(sent, "alice")
    assert mail.header_all("X-Batv-Result") == [f"missing; class=dsn; proof=none; rcpt=<{ALICE}>"]


def test_foreign_marks_are_removed(site, alice_tag):
    site.use({"verify": {"action": "mark"}})
    for rcpt, count in ((alice_tag, 0), (ALICE, 1)):
        subject = util.unique()
        data = make_message(subject, headers=[("X-Batv-Result", "former"), ("X-Batv-Result", "it")])
        sent = site.sendmail.send("<>", rcpt, data, subject=subject)
        mail = site.assert_delivered(sent, "alice")
        assert len(mail.header_all("X-Batv-Result")) == count
        assert "former" not in str(mail.header_all("X-Batv-Result"))


def test_quarantine(site):
    site.use({"verify": {"action": "quarantine"}})
    sent, entry = site.judged_bounce(ALICE)
    assert sent.accepted and entry["action"] == "quarantine"
    held = util.wait_for(lambda: site.sendmail.queue("hf"), 10, "a quarantined message")
    text = next(text for name, text in held.items() if entry.id in name)
    assert re.search(r"(?m)^qbounce without a valid BATV tag$", text)
    site.assert_nothing(sent)
    site.sendmail.run("sendmail", "-Q", "-qI" + entry.id, "-qQ")    # released again
    site.sendmail.flush()
    site.assert_delivered(sent, "alice")


def test_discard(site):
    site.use({"verify": {"action": "discard"}})
    sent, entry = site.judged_bounce(ALICE)
    assert sent.accepted and entry["action"] == "discard"
    site.assert_nothing(sent)


def test_tempfail(site, alice_tag):
    site.use({"verify": {"action": "tempfail"}})
    sent, entry = site.judged_bounce(ALICE)
    assert sent.code == 451 and sent.text.startswith("4.7.1"), sent
    assert entry["action"] == "tempfail"
    sent = site.sendmail.bounce([alice_tag, BOB])
    assert sent.code == 451
    site.assert_nothing(sent)


def test_a_percent_sign_in_the_text(site):
    site.use({"verify": {"text": "100% forged, %s"}})
    sent = site.sendmail.bounce(ALICE)
    assert (sent.code, sent.text) == (550, "5.7.1 100% forged, %s")


def test_pause_and_resume(site):
    site.batvd.ctl("pause", rc=0)
    try:
        sent = util.wait_for(lambda: (lambda s: s if s.accepted else None)(
            site.sendmail.bounce(ALICE)), 5, "an accepted bounce", interval=0.2)
        site.assert_delivered(sent, "alice")
        assert_tagged(site, site.outgoing())
    finally:
        site.batvd.ctl("resume", rc=0)
    util.wait_for(lambda: refused(site.sendmail.bounce(ALICE)), 5, "a refusal", interval=0.2)


# -- evidence -------------------------------------------------------------------------------------

def test_proven_by_header(site):
    message = site.outgoing()
    original = message.data.replace(b"Message-ID:", b"X-Lost-ID:")
    sent, entry = site.answer(answers.bounce, original, ALICE)
    assert (entry["proof"], entry["rule"]) == ("header", "evidence.header")
    site.assert_delivered(sent, "alice")


def test_proven_by_journal(site):
    original = site.outgoing().data
    headers = answers.without(answers.headers_of(original), HEADER)
    sent, entry = site.answer(answers.bounce, original, ALICE, returned=headers)
    assert (entry["proof"], entry["rule"]) == ("journal", "evidence.journal")
    site.assert_delivered(sent, "alice")


def test_no_proof_in_what_was_never_sent(site):
    sent, entry = site.answer(answers.bounce, answers.unsolicited(), ALICE)
    assert entry["proof"] == "none" and refused(sent)
    site.assert_nothing(sent)


# -- time, keys, and batvd away -------------------------------------------------------------------

def test_key_rotation(site, alice_tag):
    before = alice_tag[5]
    site.batvd.ctl("key", "rotate", rc=0)
    message = util.wait_for(lambda: (lambda m: m if m.mail_from[5] != before else None)(
        site.outgoing()), 10, "a tag by the new key")
    assert_tagged(site, message)
    for tag in (alice_tag, message.mail_from):
        sent, entry = site.judged_bounce(tag)
        assert entry["result"] == "valid"
        site.assert_delivered(sent, "alice")


def test_batvd_away(site, alice_tag):
    """F=T: clients are to come again later."""
    site.batvd.kill9()
    for sent in (site.submit(), site.sendmail.bounce(alice_tag), site.sendmail.bounce(ALICE)):
        assert sent.code == 451 and "4.3.2" in sent.text, sent
        site.assert_nothing(sent)
    site.batvd.start()
    assert_tagged(site, site.outgoing())
    site.assert_delivered(site.sendmail.bounce(alice_tag), "alice")


def test_batvd_restarts_within_a_session(site):
    with site.sendmail.session(source=INSIDE) as session:
        assert session.send(ALICE, "far@other.test").accepted
        site.batvd.kill9()
        site.batvd.start()
        sent = session.send(ALICE, "far@other.test")
        assert sent.code == 451, sent    # one attempt to connect a session
    assert_tagged(site, site.outgoing())


def test_expired():
    with SendmailSite({"verify": {"expired": "reject"}}, fake_time=True) as site:
        tag = site.tagged()
        site.batvd.travel(days=8)
        sent, entry = site.judged_bounce(tag)
        assert (entry["result"], entry["rule"]) == ("expired", "verify.expired")
        assert sent.stage == "end" and sent.text.startswith("5.7.1 the signature in this address has "
                                                            "expired"), sent
        sent, entry = site.judged_mail("x@other.test", tag)
        assert entry["result"] == "expired"
        site.assert_delivered(sent, "alice")
        site.batvd.travel(days=6)
        sent, entry = site.judged_bounce(tag)
        assert entry["result"] == "valid"
        site.assert_delivered(sent, "alice")


# -- other ways to give it to Sendmail ------------------------------------------------------------

def round_trip(site):
    message = site.outgoing()
    assert_tagged(site, message)
    site.assert_delivered(site.sendmail.bounce(message.mail_from), "alice")
    assert refused(site.sendmail.bounce(ALICE))


def test_over_tcp():
    with SendmailSite(listen="inet") as site:
        round_trip(site)


def test_ready_cf():
    """The part for a sendmail.cf that nothing makes anew, in which another filter is named."""
    other = "O InputMailFilters=absent\nXabsent, S=inet:1@127.0.0.1\n"    # no F=: passed over
    with SendmailSite(part="cf") as site:
        site.sendmail.stop_daemon()
        path = site.sendmail.mail_conf / "sendmail.cf"
        part = site.sendmail.cf
        site.sendmail.cf = other
        site.sendmail.make_cf()
        printed = site.batvd.ctl("mta", "sendmail", "--part", "cf", rc=0,
                                 env={"SENDMAIL_CF": str(path)}).out
        assert printed == part.replace("Filters=batvd", "Filters=absent, batvd")
        site.sendmail.cf = other + printed
        site.sendmail.restart()
        round_trip(site)
        site.sendmail.wait_maillog("Milter .absent.: error connecting to filter")
        again = site.batvd.ctl("mta", "sendmail", "--part", "cf", rc=0,
                               env={"SENDMAIL_CF": str(path)}).out
        assert again == printed


def test_script():
    """`batvctl mta sendmail | sh` on a host where make makes sendmail.cf: not beside a part that was
    put there by hand, and any number of times."""
    with SendmailSite() as site:
        sendmail = site.sendmail
        sendmail.stop_daemon()
        sendmail.write_makefile()
        script = site.batvd.ctl("mta", "sendmail", rc=0).out
        script = script.replace("service sendmail restart &&", "true &&")
        script = re.sub(r"(?m)^batvctl .*check$", "true", script)
        done = sendmail.run("sh", input=script.encode(), check=False)
        assert done.returncode != 0 and b"sendmail.mc contains the part itself" in done.stderr
        sendmail.mc = ""
        sendmail.write_mc()
        for _ in range(2):
            sendmail.run("sh", input=script.encode())
        source = (sendmail.mail_conf / "sendmail.mc").read_text(encoding="utf-8")
        assert source.count("include(`/etc/mail/batvd.mc')") == 1
        assert sendmail.start_daemon(), sendmail.diagnosis()
        round_trip(site)


@pytest.mark.parametrize("part", ["mc", "cf"])
def test_thousands_of_domains(part):
    """A class takes them all; no line grows with their number."""
    many = [f"{'.' if number % 3 == 0 else ''}d{number}.example" for number in range(8000)]
    words = ["dnl.example", "index.example", "define.example", "shift.undivert.example"]
    config = {"domains": ("example.com", *many, *words)}
    hosts = (*LOCAL, "d7999.example", "a.b.d7998.example", "d7998.example", *words)
    with SendmailSite(config, part=part, domains=hosts) as site:
        text = getattr(site.sendmail, part)
        assert max(map(len, text.splitlines())) < 200
        round_trip(site)
        for domain in ("d7999.example", "a.b.d7998.example", *words):
            tag = site.tagged(f"alice@{domain}")
            site.assert_delivered(site.sendmail.bounce(tag), "alice")
        sent = site.sendmail.bounce(f"{FORGED_TAG}alice@d7998.example")    # no subdomain
        assert sent.stage == "rcpt" and sent.code == 550
