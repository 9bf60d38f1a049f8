"""Proof from content through a real Postfix: the header that mail goes out with, and answers that
have no tag and come home all the same, because they show that the message was ours."""

import functools
import re
import time

import pytest

from batvtest import answers, evidence, tag, util
from batvtest.answers import HEADER, headers_of, message_id, without
from batvtest.postfix import INSIDE, STRANGER, make_message
from batvtest.site import LONG, QUOTED, USER, Site

ALICE = "alice@example.com"
BOB = "bob@example.com"
NEWS = "news@example.com"
PLAIN = "dora@unsigned.example"
ROOT = "root@example.com"

CONFIG = {"domains": ("example.com", {"name": "sub.example", "syntax": "subaddress"},
                      {"name": "unsigned.example", "sign": False}),
          "log": {"target": "stderr", "level": "debug"}}
NO_TAG_IN_BODY = {"evidence": {"tag_in_body": False}}


@pytest.fixture(scope="module")
def whole_site():
    with Site(CONFIG, mailboxes=(ALICE, BOB, NEWS, PLAIN, LONG, QUOTED, ROOT,
                                 "bounce-42@example.com", "carol@sub.example")) as site:
        yield site


@pytest.fixture
def site(whole_site):
    yield whole_site
    whole_site.reset()


def compose(subject, sender=ALICE, headers=(), **options):
    """A message of ours as a mail program writes it."""
    names = [name for name, _ in headers]
    own = [("Message-ID", f"<{util.unique('ours')}@mail.example.com>")]
    return make_message(subject, sender=f"Somebody <{sender}>", rcpt=answers.FAR,
                        headers=[*headers, *(pair for pair in own if pair[0] not in names)],
                        **options)


def send(site, sender=ALICE, rcpts=answers.FAR, *, header_from=None, headers=(), how="submit",
         data=None):
    """Submits a message and gives what the far end got of it."""
    subject = util.unique("out")
    data = data if data is not None else compose(subject, header_from or sender, headers)
    subject = data.decode().partition("Subject: ")[2].partition("\n")[0]
    if how == "sendmail":
        site.postfix.sendmail(rcpts, sender=sender, subject=subject, data=data)
    else:
        sent = getattr(site, how)(sender, rcpts, subject=subject, data=data)
        assert sent.accepted, sent
    return site.sink.wait_one(subject=subject)


def assert_evidence(site, message, *addresses):
    """Exactly one header, for exactly these answer addresses."""
    found = evidence.of_message(message.data)
    evidence.check(site.batvd.evidence_secret(), found, addresses,
                   tag.day_of(message.arrived))
    return found


def assert_refused(sent):
    assert sent.stage == "end" and sent.code == 550 and sent.text.startswith("5.7.1 "), sent


def assert_home(site, answered, proof, klass, mailbox=ALICE):
    sent, entry = answered
    assert (entry["result"], entry["action"], entry["rule"], entry["proof"], entry["class"]) == (
        "missing", "accept", f"evidence.{proof}", proof, klass), entry.line
    site.assert_delivered(sent, mailbox)


def assert_unproven(site, answered, klass, proof="none"):
    sent, entry = answered
    assert_refused(sent)
    assert (entry["result"], entry["action"], entry["rule"], entry["proof"], entry["class"]) == (
        "missing", "reject", "verify.action", proof, klass), entry.line
    site.assert_nothing(sent, entry["rcpt"].strip("<>"))


# -- the header that goes out ---------------------------------------------------------------------

@pytest.mark.parametrize("how", ["submit", "submit_inside", "sendmail"])
def test_a_submission_gets_one_header(site, how):
    message = send(site, how=how)
    assert_evidence(site, message, ALICE)
    assert tag.parse(message.mail_from), message.mail_from


def test_no_two_messages_share_a_nonce(site):
    found = [evidence.of_message(send(site).data) for _ in range(2)]
    assert found[0].nonce != found[1].nonce and found[0].macs != found[1].macs


@pytest.mark.parametrize("sender, config", [
    (ALICE, {"exclude_sign": {"senders": [ALICE]}}),
    (ALICE, {"exclude_sign": {"recipients": ["*@other.test"]}}),
    (ALICE, {"sign": {"enabled": False}}),
    (PLAIN, {}),
    (LONG, {}),
], ids=["sender excluded", "recipient excluded", "signing off", "domain not signing", "too long"])
def test_unsigned_mail_gets_it_too(site, sender, config):
    site.use(config)
    message = send(site, sender)
    assert message.mail_from == sender
    assert_evidence(site, message, sender)


def test_answer_addresses(site):
    """Every field that answers may go to; addresses elsewhere and those named twice do not count,
    nor do recipients."""
    message = send(site, headers=[
        ("From", "Alice <Alice@EXAMPLE.com>,\n \"B, b\" <bob@example.com>"),
        ("Sender", "secretary@other.test"),
        ("Reply-To", "Team: news@example.com, joe@other.test;"),
        ("Disposition-Notification-To", "<carol@sub.example>"),
        ("Return-Receipt-To", f"{QUOTED} (me)"),
        ("To", "postmaster@example.com"), ("Cc", "dora@example.com")])
    assert_evidence(site, message, ALICE, BOB, NEWS, "carol@sub.example", QUOTED)


def test_at_most_eight_answer_addresses_the_senders_first(site):
    many = [f"list{number}@example.com" for number in range(20)]
    message = send(site, headers=[("Reply-To", ",\n ".join(many))])
    found = evidence.of_message(message.data)
    assert len(found.macs) == 8
    mac = functools.partial(evidence.mac, site.batvd.evidence_secret(), found.day, found.nonce)
    assert mac(ALICE) in found.macs
    assert set(found.macs) <= {mac(address) for address in [ALICE, *many]}


def test_a_sender_that_is_tagged_already_counts_as_the_plain_one(site):
    assert_evidence(site, send(site, site.batvd.tagged(ALICE, days=4), header_from=ALICE), ALICE)


def test_no_header_for_mail_that_is_no_submission(site):
    subject = util.unique()
    sent = site.receive(BOB, ALICE, subject=subject, data=compose(subject, BOB))
    assert not site.assert_delivered(sent, ALICE).header_all(HEADER)


def test_no_header_for_senders_elsewhere_nor_for_the_null_sender(site):
    for sender in ("somebody@elsewhere.test", "<>"):
        message = send(site, sender, header_from=ALICE)
        assert not evidence.raw_fields(message.data)


def test_the_header_can_be_left_out_and_is_checked_all_the_same(site):
    before = send(site)
    site.use({"evidence": {"header": False, "tag_in_body": False}, "journal": {"enabled": False}})
    message = send(site)
    assert not evidence.raw_fields(message.data)
    assert tag.parse(message.mail_from)
    assert_home(site, site.answer(answers.bounce, before.data), "header", "dsn")
    assert_unproven(site, site.answer(answers.bounce, message.data), "dsn")


def test_a_forged_header_is_removed_from_a_submission_and_an_authentic_one_stays(site):
    """A list of ours hands a message in again that went out before."""
    first = evidence.raw_fields(send(site).data)[0]
    value = " ".join(line.strip() for line in first).partition(": ")[2]
    forged = evidence.make(b"not the secret", [ALICE], site.batvd.today())
    elsewhere = evidence.make(site.batvd.evidence_secret(), ["x@example.com"], site.batvd.today())
    stale = evidence.make(site.batvd.evidence_secret(), [ALICE], site.batvd.today() - 32)
    headers = [(HEADER, forged), (HEADER, value), (HEADER.lower(), elsewhere), (HEADER, stale),
               (HEADER, "nonsense"), (HEADER, "")]
    subject = util.unique("again")
    data = "".join(f"{name}: {text}\n" for name, text in headers).encode() + compose(subject)
    message = send(site, "list-bounces@example.com", how="submit_inside", data=data)
    fields = evidence.raw_fields(message.data)
    assert len(fields) == 2, fields
    found = [evidence.parse(lines) for lines in fields]
    kept = [one for one in found if one.nonce in value]
    assert len(kept) == 1, fields
    fresh = found[1 - found.index(kept[0])]
    evidence.check(site.batvd.evidence_secret(), fresh, ["list-bounces@example.com", ALICE],
                   tag.day_of(message.arrived))


def test_mail_from_outside_keeps_whatever_it_has(site):
    subject = util.unique()
    data = f"{HEADER}: v=1; whatever\n".encode() + make_message(subject)
    sent = site.receive("joe@other.test", ALICE, subject=subject, data=data)
    assert site.assert_delivered(sent, ALICE).header_all(HEADER) == ["v=1; whatever"]


# -- answers that come home -----------------------------------------------------------------------

@pytest.mark.parametrize("kind, proof, klass", [
    (answers.bounce, "header", "dsn"),
    (answers.receipt_of_thunderbird, "header", "mdn"),
    (answers.receipt_of_exchange, "journal", "mdn"),
    (answers.out_of_office, "journal", "autoreply"),
    (answers.vacation, "journal", "autoreply"),
    (answers.calendar_answer, "journal", "calendar"),
], ids=lambda value: getattr(value, "__name__", None))
def test_an_answer_to_the_plain_address_comes_home(site, kind, proof, klass):
    assert_home(site, site.answer(kind, send(site).data), proof, klass)


@pytest.mark.parametrize("data", [lambda data: data, lambda data: data.replace(b"\r\n", b"\n"),
                                  lambda data: data.replace(b"\r\n", b"\r")],
                         ids=["crlf", "lf", "cr"])
def test_the_whole_message_returned(site, data):
    """As message/rfc822, whatever became of its line ends on the way."""
    original = send(site).data

    def whole(_, *, to, subject):
        text = answers.bounce(original, to=to, subject=subject, returned="@@").decode()
        text = text.replace("text/rfc822-headers", "message/rfc822")
        return text.replace("@@", data(original).decode()).encode()
    assert_home(site, site.answer(whole, original), "header", "dsn")


def test_mail_to_many_and_answers_to_each_address(site):
    message = send(site, rcpts=[answers.FAR, "away@else.test"],
                   headers=[("Disposition-Notification-To", f"<{NEWS}>"),
                            ("Reply-To", f"<{BOB}>")])
    assert_home(site, site.answer(answers.receipt_of_exchange, message.data, NEWS), "journal",
                "mdn", NEWS)
    assert_home(site, site.answer(answers.out_of_office, message.data, BOB), "journal",
                "autoreply", BOB)
    assert_home(site, site.answer(answers.bounce, message.data, ALICE), "header", "dsn")


def test_answers_for_a_list_with_senders_of_its_own(site):
    """MAIL FROM bounce-x@, From news@: answers may go to either, and to nobody else."""
    message = send(site, "bounce-42@example.com", header_from=NEWS)
    assert_home(site, site.answer(answers.out_of_office, message.data, NEWS), "journal",
                "autoreply", NEWS)
    assert_home(site, site.answer(answers.bounce, message.data, "bounce-42@example.com"), "header",
                "dsn", "bounce-42@example.com")
    for kind, klass in ((answers.out_of_office, "autoreply"), (answers.bounce, "dsn")):
        assert_unproven(site, site.answer(kind, message.data, ALICE), klass)


@pytest.mark.parametrize("exclude", [{"senders": [ALICE]}, {"recipients": ["joe@other.test"]}],
                         ids=["senders", "recipients"])
def test_mail_left_unsigned_bounces_home(site, exclude):
    site.use({"exclude_sign": exclude})
    message = send(site, rcpts="joe@other.test")
    assert message.mail_from == ALICE
    assert_home(site, site.answer(answers.bounce, message.data), "header", "dsn")
    assert_home(site, site.answer(answers.out_of_office, message.data), "journal", "autoreply")


def test_an_unsigned_domain(site):
    message = send(site, PLAIN)
    assert_home(site, site.answer(answers.bounce, message.data, PLAIN), "header", "dsn", PLAIN)


@pytest.mark.parametrize("spoil, result", [
    (lambda site: site.batvd.tagged(ALICE, days=-3), "expired"),
    (lambda site: tag.spoil(site.batvd.tagged(ALICE)), "bad-signature"),
    (lambda site: "prvs=5" + site.batvd.tagged(ALICE)[6:], "unknown-key"),
], ids=["expired", "bad signature", "unknown key"])
def test_content_proves_behind_a_tag_that_does_not(site, spoil, result):
    """Queues of weeks, and relays that maim addresses."""
    sent, entry = site.answer(answers.bounce, send(site).data, spoil(site), to=ALICE)
    assert (entry["result"], entry["action"], entry["rule"]) == (
        result, "accept", "evidence.header"), entry.line
    site.assert_delivered(sent, ALICE)


def test_utf8_address(site):
    sender = "jürgen@example.com"
    subject = util.unique("utf8")
    sent = site.submit(sender, subject=subject, data=compose(subject, sender),
                       mail_args=["SMTPUTF8"])
    assert sent.accepted, sent
    message = site.sink.wait_one(subject=subject)
    assert_evidence(site, message, sender)


def test_one_recipient_proves_nothing_for_another(site):
    message = send(site)
    sent, entries = site.answer(answers.bounce, message.data, [ALICE, BOB])
    site.assert_delivered(sent, ALICE)
    assert [(entry["action"], entry["proof"]) for entry in entries] == [("accept", "header"),
                                                                        ("reject", "none")]
    assert not site.postfix.mail(BOB, sent.subject)


def test_proven_bounces_get_no_mark(site):
    site.use({"verify": {"action": "mark"}})
    sent, _ = site.answer(answers.bounce, send(site).data)
    assert not site.assert_delivered(sent, ALICE).header_all("X-Batv-Result")
    sent, entry = site.answer(answers.bounce, answers.unsolicited())
    values = site.assert_delivered(sent, ALICE).header_all("X-Batv-Result")
    assert values == [f"missing; class=dsn; proof=none; rcpt=<{ALICE}>"]
    assert entry["action"] == "mark"


def test_a_bounce_by_this_very_postfix_to_the_header_from(site):
    """What Postfix itself returns, with the header that it got from us."""
    site.sink.refuse("^refused@")
    before = len(site.postfix.mail(NEWS, "Undelivered Mail"))
    sent = site.submit(NEWS, "refused@other.test")
    assert sent.accepted, sent
    found = site.postfix.wait_mail(NEWS, "Undelivered Mail", count=before + 1)[-1]
    octets = found.path.read_bytes()
    _, entry = site.answer(lambda *_, **__: octets, None, NEWS)
    assert (entry["action"], entry["class"]) == ("accept", "dsn"), entry.line


# -- each proof by itself -------------------------------------------------------------------------

def relayed(original):
    """As it looks behind a relay that gives Message-IDs of its own."""
    headers = headers_of(original)
    return headers.replace(message_id(original), f"<{util.unique('relay')}@relay.test>")


def test_the_header_alone(site):
    """The Message-ID is another one in what comes back."""
    original = send(site).data
    returned = relayed(original)
    assert_home(site, site.answer(answers.bounce, original, returned=returned), "header", "dsn")
    site.use({"journal": {"enabled": False}, **NO_TAG_IN_BODY})
    assert_home(site, site.answer(answers.bounce, original, returned=returned), "header", "dsn")


@pytest.mark.parametrize("change", [
    lambda text: text.upper(), lambda text: re.sub(r";\s*", ";\n\t", text),
    lambda text: re.sub(r"(?m)^", "> ", text), lambda text: re.sub(r"(?m)^", "    ", text),
], ids=["upper case", "folded anew", "quoted", "indented"])
def test_the_header_as_others_write_it(site, change):
    """In the text of a bounce without any structure."""
    original = send(site).data
    field = "\n".join(evidence.raw_fields(original)[0]) + "\n"

    def plain(_, *, to, subject):
        return (f"From: postmaster@mx.other.test\nTo: {to}\nSubject: {subject}\n\n"
                f"This did not work:\n\n{change(field)}\n").encode()
    assert_home(site, site.answer(plain, original), "header", "dsn")


def test_the_journal_alone(site):
    original = send(site).data
    returned = without(headers_of(original), HEADER)
    assert_home(site, site.answer(answers.bounce, original, returned=returned), "journal", "dsn")
    site.use({"journal": {"enabled": False}})
    assert_unproven(site, site.answer(answers.bounce, original, returned=returned), "dsn")


def test_the_journal_for_mail_without_the_header(site):
    site.use({"evidence": {"header": False, "tag_in_body": False}})
    original = send(site).data
    assert not evidence.raw_fields(original)
    assert_home(site, site.answer(answers.bounce, original), "journal", "dsn")


def tag_only(message, **fields):
    """Returned headers in which nothing but the envelope sender can prove anything."""
    headers = without(relayed(message.data), HEADER)
    return "".join(f"{name}: {value}\n" for name, value in fields.items()) + headers


@pytest.mark.parametrize("line", ["Return-Path: <{}>", "Received: from x (envelope-from <{}>) by y",
                                  "X-Envelope-From: {}"])
def test_the_tag_alone(site, line):
    message = send(site)
    returned = line.format(message.mail_from) + "\n" + tag_only(message)
    assert_home(site, site.answer(answers.bounce, message.data, returned=returned), "tag-in-body",
                "dsn")


def test_the_tag_alone_in_subaddress_syntax(site):
    carol = "carol@sub.example"
    message = send(site, carol)
    assert message.mail_from.startswith("carol+prvs=")
    returned = f"Return-Path: <{message.mail_from}>\n" + tag_only(message)
    assert_home(site, site.answer(answers.bounce, message.data, carol, returned=returned),
                "tag-in-body", "dsn", carol)


def test_tags_that_prove_nothing(site):
    message = send(site)
    original = message.data
    wrong = [tag.spoil(message.mail_from), site.batvd.tagged(ALICE, days=-2),
             send(site, BOB).mail_from]
    for tagged in wrong:
        returned = f"Return-Path: <{tagged}>\n" + tag_only(message)
        assert_unproven(site, site.answer(answers.bounce, original, returned=returned), "dsn")
    returned = f"Return-Path: <{message.mail_from}>\n" + tag_only(message)
    assert_unproven(site, site.answer(answers.bounce, original, BOB, returned=returned), "dsn")
    site.use(NO_TAG_IN_BODY)
    assert_unproven(site, site.answer(answers.bounce, original, returned=returned), "dsn")


def test_mail_without_a_message_id(site):
    """Postfix gives one only to local mail: the header is all that there is."""
    subject = util.unique("bare")
    data = f"From: {ALICE}\nTo: {answers.FAR}\nSubject: {subject}\n\nHello.\n".encode()
    original = send(site, data=data).data
    assert_home(site, site.answer(answers.bounce, original), "header", "dsn")


# -- what proves nothing --------------------------------------------------------------------------

def test_a_strangers_copy_for_another_address(site):
    """Whoever got a message of alice's cannot get at bob with it."""
    original = send(site).data
    for kind, klass in ((answers.bounce, "dsn"), (answers.out_of_office, "autoreply"),
                        (answers.vacation, "autoreply")):
        assert_unproven(site, site.answer(kind, original, BOB), klass)


def test_a_message_id_of_a_submission_that_was_not_accepted(site):
    site.use({"domains": (*CONFIG["domains"], {"name": "refused.example"})})
    subject = util.unique("never")
    data = compose(subject)
    with site.postfix.session(auth=USER) as session:
        assert session.mail(ALICE).ok
        assert session.rcpt(answers.FAR).ok
        assert session.rset().ok
    assert_unproven(site, site.answer(answers.out_of_office, data), "autoreply")


def test_the_bounces_own_message_id(site):
    """It is the stranger's to choose; it counts where the returned copy has it as well."""
    original = send(site).data
    own = message_id(original)

    def disguised(_, *, to, subject, returned):
        text = answers.bounce(original, to=to, subject=subject, returned=returned).decode()
        return re.sub(r"(?m)\AMessage-ID: .*$|(?<=\n)Message-ID: <dsn.*$", f"Message-ID: {own}",
                      text).encode()
    nothing = without(headers_of(original), HEADER, "Message-ID")
    assert_unproven(site, site.answer(disguised, original, returned=nothing), "dsn")
    something = without(headers_of(original), HEADER)
    assert_home(site, site.answer(disguised, original, returned=something), "journal", "dsn")


def test_nothing_of_the_original(site):
    message = send(site)
    assert_unproven(site, site.answer(answers.vacation, message.data, quoted=False), "autoreply")
    assert_unproven(site, site.answer(answers.bounce, message.data, returned=""), "dsn")


def test_mail_from_outside_in_our_name_is_not_journalled(site):
    subject = util.unique()
    data = compose(subject, BOB)
    sent = site.receive(BOB, ALICE, subject=subject, data=data)
    assert sent.accepted, sent
    assert_unproven(site, site.answer(answers.out_of_office, data, BOB), "autoreply")


def test_evidence_that_is_too_old_or_from_tomorrow(site):
    secret, today = site.batvd.evidence_secret(), site.batvd.today()
    for days, good in ((0, True), (-30, True), (-32, False), (3, False)):
        made = f"{HEADER}: {evidence.make(secret, [ALICE], today + days)}\n"
        answered = site.answer(answers.bounce, answers.unsolicited(), returned=made)
        if good:
            assert_home(site, answered, "header", "dsn")
        else:
            assert_unproven(site, answered, "dsn")


def test_a_new_evidence_secret_and_the_former_one(site):
    """`key rotate --evidence`: what the former secret made still proves; the one before it not."""
    first = send(site)
    replies = (answers.bounce, "header", "dsn"), (answers.out_of_office, "journal", "autoreply")
    for turn in range(2):
        secret = site.batvd.evidence_secret()
        site.batvd.ctl("key", "rotate", "--evidence", rc=0)
        assert site.batvd.evidence_secret() != secret
        assert_evidence(site, wait_newest(site), ALICE)
        for kind, proof, klass in replies:
            if turn == 0:
                assert_home(site, site.answer(kind, first.data), proof, klass)
            else:
                assert_unproven(site, site.answer(kind, first.data), klass)


def wait_newest(site):
    """A message that went out with the newest evidence secret."""
    def newest():
        message = send(site)
        found = evidence.of_message(message.data)
        mac = evidence.mac(site.batvd.evidence_secret(), found.day, found.nonce, ALICE)
        return message if mac in found.macs else None
    return util.wait_for(newest, 5, "evidence by the new secret", interval=0.2)


# -- uses -----------------------------------------------------------------------------------------

def many_answers(site, kind, original, count):
    """The same answer again and again in one session: the codes it got."""
    with site.postfix.session(xclient=STRANGER) as session:
        return [session.send("<>", ALICE, kind(original, to=ALICE, subject=util.unique("use"))).code
                for _ in range(count)]


@pytest.mark.parametrize("kind, klass", [(answers.bounce, "dsn"),
                                         (answers.out_of_office, "autoreply")],
                         ids=["header", "journal"])
def test_a_message_proves_only_so_many_bounces(site, kind, klass):
    """20 and three for each recipient; the address that has used its share up is one of two."""
    original = send(site, rcpts=[answers.FAR, "away@other.test"],
                    headers=[("Reply-To", f"<{NEWS}>")]).data
    assert many_answers(site, kind, original, 26) == [250] * 26
    assert_unproven(site, site.answer(kind, original), klass, proof="exhausted")
    other = answers.out_of_office if kind == answers.bounce else answers.bounce
    assert_unproven(site, site.answer(other, original), "autoreply" if klass == "dsn" else "dsn",
                    proof="exhausted")
    sent, entry = site.answer(kind, original, NEWS)
    assert sent.accepted and entry["action"] == "accept", entry.line
    # The tag needs no counting.
    sent, entry = site.answer(kind, original, site.batvd.tagged(ALICE), to=ALICE)
    assert sent.accepted and entry["rule"] == "tag"


def test_a_header_whose_message_id_was_replaced_is_counted_too(site):
    original = send(site).data
    kind = functools.partial(answers.bounce, returned=relayed(original))
    assert 250 in (codes := many_answers(site, kind, original, 24))
    assert codes == [250] * 23 + [550]


# -- when nothing is asked ------------------------------------------------------------------------

def test_evidence_switched_off(site):
    original = send(site).data
    site.use({"evidence": {"enabled": False}})
    for kind in (answers.bounce, answers.out_of_office, answers.receipt_of_exchange):
        assert_unproven(site, site.answer(kind, original), "-")
    assert not evidence.raw_fields(send(site).data)


def test_refusing_at_rcpt_does_not_wait_for_content(site):
    original = send(site).data
    site.use({"verify": {"reject_at": "rcpt"}})
    mark = site.batvd.mark()
    sent = site.receive("<>", ALICE, data=answers.bounce(original, to=ALICE, subject="x"))
    assert sent.stage == "rcpt" and sent.code == 550, sent
    entry = site.batvd.wait_entry("verify", since=mark)
    assert (entry["class"], entry["proof"], entry["rule"]) == ("-", "none", "verify.action")


def test_a_local_process_and_own_servers_need_no_proof(site):
    mark = site.batvd.mark()
    subject = util.unique("inside")
    data = answers.bounce(answers.unsolicited(), to=ALICE, subject=subject)
    sent = site.postfix.send("<>", ALICE, data, subject=subject, source=INSIDE)
    site.assert_delivered(sent, ALICE)
    entry = site.batvd.wait_entry("verify", since=mark)
    assert entry["rule"] == f"exclude.mail_servers:{INSIDE}/32"


# -- by hand --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def known(whole_site):
    """A message that the journal's file has by now."""
    message = send(whole_site)
    time.sleep(max(0, message.arrived + 1.7 - time.time()))
    return message


def file_of(site, octets):
    path = site.batvd.folder / "message.eml"
    path.write_bytes(octets)
    path.chmod(0o600)
    return path


def explained(site, octets, *rcpts, rc, sender="", client="203.0.113.5"):
    return site.batvd.ctl("explain", "--client", client, "--from", sender, "--rcpt", *rcpts,
                          "--message", file_of(site, octets), json=True, rc=rc)


@pytest.mark.parametrize("kind, klass, proof", [(answers.out_of_office, "autoreply", "journal"),
                                                (answers.bounce, "dsn", "header")],
                         ids=["journal", "header"])
def test_explain_reads_the_message(site, known, kind, klass, proof):
    octets = kind(known.data, to=ALICE, subject="x")
    told = explained(site, octets, ALICE, rc=0)
    assert told == [{"rcpt": ALICE, "result": "missing", "class": klass, "proof": proof,
                     "action": "accept", "rule": f"evidence.{proof}"}]
    told = explained(site, octets, BOB, rc=1)
    assert told == [{"rcpt": BOB, "result": "missing", "class": klass, "proof": "none",
                     "action": "reject", "rule": "verify.action"}]


def test_explain_uses_nothing_up(site, known):
    octets = answers.out_of_office(known.data, to=ALICE, subject="x")
    for _ in range(25):
        explained(site, octets, ALICE, rc=0)
    assert_home(site, site.answer(answers.out_of_office, known.data), "journal", "autoreply")


def test_explain_of_outgoing_mail_shows_the_header(site):
    done = site.batvd.ctl("explain", "--client", INSIDE, "--from", ALICE, "--rcpt", answers.FAR,
                          "--message", file_of(site, compose("x", headers=[("Reply-To", BOB)])),
                          rc=0)
    assert f"header added: {HEADER}: v=1; " in done.out, done.out
    assert len(re.findall(r"\b[0-9a-f]{24}\b", done.out)) == 2, done.out


def test_explain_without_such_a_file(site):
    done = site.batvd.ctl("explain", "--client", INSIDE, "--from", "", "--rcpt", ALICE,
                          "--message", site.batvd.folder / "none.eml", rc=2)
    assert "none.eml" in done.err


def inspected(site, octets, *, rc):
    return site.batvd.ctl("inspect", file_of(site, octets), json=True, rc=rc)


def test_inspect_takes_a_bounce_apart(site, known):
    returned = f"Return-Path: <{known.mail_from}>\n" + headers_of(known.data)
    octets = answers.bounce(known.data, to=ALICE, subject="x", returned=returned)
    told = inspected(site, octets, rc=0)
    assert told["class"] == "dsn"
    assert told["own_message_id"] == message_id(octets).strip("<>")
    assert message_id(known.data).strip("<>") in str(told["message_ids"])
    assert known.mail_from in str(told["tags"])
    for proof in ("tag-in-body", "header", "journal"):
        assert proof in str(told["proofs"]), told
    assert ALICE in str(told["proofs"])


def test_inspect_of_an_answer_to_what_was_never_sent(site):
    octets = answers.out_of_office(answers.unsolicited(), to=ALICE, subject="x")
    told = inspected(site, octets, rc=1)
    assert (told["class"], told["tags"], told["proofs"]) == ("autoreply", [], [])
    assert "@bot.test" in str(told["message_ids"])


def test_journal_lookup(site, known):
    own = message_id(known.data)
    for address, name in ((ALICE, own), ("Alice@EXAMPLE.com", own.strip("<>"))):
        site.batvd.ctl("journal", "lookup", address, name, rc=0)
    for address, name in ((BOB, own), (ALICE, "<other@mail.example.com>")):
        site.batvd.ctl("journal", "lookup", address, name, rc=1)


def test_journal_stat_and_expire(site, known):
    assert site.batvd.ctl("journal", "stat", rc=0).out
    assert site.batvd.ctl("journal", "stat", json=True, rc=0)
    site.batvd.ctl("journal", "expire", rc=0)
    site.batvd.ctl("journal", "lookup", ALICE, message_id(known.data), rc=0)


# -- killed ---------------------------------------------------------------------------------------

def test_what_a_killed_daemon_remembers(site):
    """The journal loses a second at most, and the header has nothing to lose."""
    early = send(site)
    time.sleep(max(0, early.arrived + 1.7 - time.time()))
    late = send(site)
    site.batvd.kill9()
    site.batvd.start()
    stripped = without(headers_of(early.data), HEADER)
    assert_home(site, site.answer(answers.bounce, early.data, returned=stripped), "journal", "dsn")
    assert_home(site, site.answer(answers.bounce, late.data), "header", "dsn")


def test_a_planned_restart_forgets_nothing(site):
    message = send(site)
    site.batvd.stop()
    site.batvd.start()
    assert_home(site, site.answer(answers.out_of_office, message.data), "journal", "autoreply")

