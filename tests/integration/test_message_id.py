"""Mail that comes without a Message-ID: exactly one is delivered, whoever adds it, and an answer that
names it is known. Through a real Postfix and a real Sendmail."""

import re

import pytest

from batvtest import answers, util
from batvtest.postfix import make_message
from batvtest.sendmail_site import SendmailSite
from batvtest.site import Site

ALICE = "alice@example.com"
OURS = re.compile(r"<[0-9a-f]{32}@example\.com>")

# What stands in the place of a Message-ID; "%": a name that is not ours.
NOTHING = {
    "none": "",
    "empty": "Message-ID:\n",
    "blank": "Message-ID: \t \n",
    "blank, folded": "Message-ID:\n \t\n",
    "empty brackets": "message-id: <>\n",
    "two with nothing in them": "Message-ID:\nMessage-Id: < >\n",
    "neither brackets nor @": "Message-ID: 20261128\n",
    "a comment": "Message-ID: (none)\n",
    "a resent message": "Resent-From: alice@example.com\n"
                        "Resent-Date: Sat, 21 Nov 2026 12:00:00 +0000\n",
}
OWN = {
    "usual": "Message-ID: <%@x.test>\n",
    "another case": "message-id: <%@x.test>\n",
    "a blank before the colon": "Message-ID : <%@x.test>\n",
    "a tab before the colon": "Message-ID\t: <%@x.test>\n",
    "folded": "Message-ID:\n <%@x.test>\n",
    "without brackets": "Message-ID: %@x.test\n",
    "without a domain": "Message-ID: <%>\n",
}


def compose(subject, field=""):
    return (f"From: Alice <{ALICE}>\nTo: {answers.FAR}\nSubject: {subject}\n{field}"
            "Date: Sat, 21 Nov 2026 12:00:00 +0000\n\nHello.\n").encode()


@pytest.fixture(scope="module")
def sites():
    with Site() as postfix, SendmailSite() as sendmail:
        yield {"Postfix": postfix, "Sendmail": sendmail}


@pytest.fixture(params=["Postfix", "Sendmail"])
def site(request, sites):
    yield sites[request.param]
    sites[request.param].reset()


def send(site, field="", how="submit", sender=ALICE):
    """Submits a message with this for a Message-ID, and gives what the far end got of it."""
    subject = util.unique("id")
    data = compose(subject, field)
    if how == "sendmail":
        site.mta.sendmail(answers.FAR, sender=sender, data=data, subject=subject)
    else:
        sent = getattr(site, how)(sender, answers.FAR, data=data, subject=subject)
        assert sent.accepted, sent
    return site.sink.wait_one(subject=subject)


def ids(message):
    """The values of all fields of that name, however it is written."""
    head = message.data.decode().partition("\r\n\r\n")[0]
    found = re.findall(r"(?im)^message-id[ \t]*:((?:.*\r?\n[ \t])*.*)$", head)
    return ["".join(value.split()) for value in found]


def only_id(message):
    found = ids(message)
    assert len(found) == 1, message.data
    return found[0]


def assert_known(site, message):
    """An automatic reply that names the message comes home by the journal."""
    found = answers.message_id(message.data)
    sent, entry = site.answer(answers.out_of_office, message.data)
    assert (entry["action"], entry["rule"], entry["proof"]) == (
        "accept", "evidence.journal", "journal"), entry.line
    site.assert_delivered(sent, ALICE if isinstance(site, Site) else "alice")
    return found


def ways(site):
    """Postfix's three ways in; Sendmail hands over by SMTP what sendmail(1) takes."""
    return ["submit", "submit_inside", "sendmail"] if isinstance(site, Site) else [
        "submit", "sendmail"]


@pytest.mark.parametrize("field", NOTHING.values(), ids=NOTHING.keys())
def test_exactly_one_is_delivered(site, field):
    for how in ways(site):
        message = send(site, field, how)
        assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", only_id(message)), (how, message.data)
        assert_known(site, message)


@pytest.mark.parametrize("field", OWN.values(), ids=OWN.keys())
def test_one_of_its_own_stays(site, field):
    for how in ways(site):
        name = util.unique("own")
        mark = site.batvd.mark()
        message = send(site, field.replace("%", name), how)
        assert name in only_id(message)
        assert_known(site, message)
        assert not site.batvd.log("message-id", since=mark)


def test_who_adds_it(sites):
    """Postfix for local processes before batvd has read the message, sendmail(1) of Sendmail
    likewise; nobody else."""
    for name, site in sites.items():
        assert OURS.fullmatch(only_id(send(site))), name
        assert not OURS.fullmatch(only_id(send(site, how="sendmail"))), name


def test_always_add_missing_headers(sites):
    site = sites["Postfix"]
    site.postfix.configure(always_add_missing_headers="yes")
    try:
        for how in ways(site):
            message = send(site, how=how)
            assert only_id(message).endswith("@mail.example.com>"), how
            assert_known(site, message)
    finally:
        site.postfix.configure(always_add_missing_headers=None)


def test_its_place_and_its_log_line(site):
    """Where the MTA puts its own: below the other fields, or, with Sendmail, in its order."""
    mark = site.batvd.mark()
    message = send(site)
    names = [line.partition(":")[0].lower() for line in answers.headers_of(message.data).split("\n")
             if re.match(r"[A-Za-z-]+:", line)]
    assert names.index("message-id") > names.index("received")
    entry = site.batvd.wait_log("message-id", since=mark)[0]
    assert entry["from"] == f"<{ALICE}>" and entry["added"] == only_id(message)
    assert entry.id in message.data.decode()


def test_no_two_are_alike(site):
    """Nor is it made of what the evidence header shows."""
    first, second = send(site), send(site)
    assert only_id(first) != only_id(second)
    assert answers.field(answers.headers_of(first.data), answers.HEADER).partition("n=")[2][:16] \
        not in only_id(first)


def test_unsigned_mail_gets_one_too(site):
    site.use({"exclude_sign": {"senders": [ALICE]}})
    message = send(site)
    assert message.mail_from == ALICE and OURS.fullmatch(only_id(message))
    assert_known(site, message)


def test_switched_off(sites):
    """Postfix adds none then, Sendmail one that nobody knows."""
    for site in sites.values():
        site.use({"sign": {"add_message_id": False}})
    try:
        assert not ids(send(sites["Postfix"]))
        message = send(sites["Sendmail"])
        assert not OURS.fullmatch(only_id(message))
        sent, entry = sites["Sendmail"].answer(answers.out_of_office, message.data)
        assert sent.code == 550 and entry["proof"] == "none", entry.line
    finally:
        for site in sites.values():
            site.reset()


def test_a_signature_forbids_it(sites):
    signature = ("DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x;\n"
                 "\th=From : Subject :\n\t Message-Id; bh=x; b=x\n")
    assert not ids(send(sites["Postfix"], signature))
    assert ids(send(sites["Postfix"], signature.replace("Message-Id", "Date")))
    assert ids(send(sites["Postfix"], signature + "Message-ID:\n")) == [""]


def test_handed_in_again_gets_none(sites):
    """Whoever wrote it may have signed that there is none."""
    received = ("Received: from x.test (x.test [192.0.2.7]) by mail.example.com (Postfix)\n"
                "\twith ESMTP id 1; Sat, 21 Nov 2026 12:00:00 +0000\n")
    assert not ids(send(sites["Postfix"], received, how="submit_inside"))
    assert not ids(send(sites["Postfix"], received, how="submit_inside",
                        sender="list@example.com"))


def test_outside_mail_gets_none(sites):
    site = sites["Postfix"]
    subject = util.unique("outside")
    sent = site.receive("x@other.test", ALICE, data=compose(subject), subject=subject)
    mail = site.assert_delivered(sent, ALICE)
    assert not OURS.search(str(mail.message["Message-ID"]))


def test_explain_tells(sites):
    site = sites["Postfix"]
    path = site.batvd.folder / "without-id.eml"
    path.write_bytes(compose("x"))
    shown = site.ctl("explain", "--client", "192.0.2.9", "--auth", "alice", "--from", ALICE,
                     "--rcpt", answers.FAR, "--message", path, rc=0).out
    assert re.search(r"header added: Message-ID: <[0-9a-f]{32}@example\.com>", shown), shown
    path.write_bytes(make_message("x"))
    shown = site.ctl("explain", "--client", "192.0.2.9", "--auth", "alice", "--from", ALICE,
                     "--rcpt", answers.FAR, "--message", path, rc=0).out
    assert "Message-ID: <" not in shown, shown
