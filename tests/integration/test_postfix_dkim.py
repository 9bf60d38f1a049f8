"""DKIM beside batvd, through a real Postfix: the signatures of what goes out are good whichever
milter comes first, and stay good when the message is handed in once more."""

import contextlib
import re

import pytest

from batvtest import answers, evidence, util
from batvtest.dkim import OpenDKIM
from batvtest.postfix import INSIDE, make_message
from batvtest.site import Site

ALICE = "alice@example.com"
ORDERS = ["batvd first", "OpenDKIM first"]

# How OpenDKIM is set up: as usual; signing our header and the Message-ID as well; allowing no further
# one of the former; none of the latter.
SETUPS = {
    "plain": [],
    "signing": ["SignHeaders *,+X-Batv-Evidence,+Message-ID", "OversignHeaders From"],
    "oversigning": ["SignHeaders *,+X-Batv-Evidence", "OversignHeaders From,X-Batv-Evidence"],
    "closing": ["SignHeaders *,+Message-ID", "OversignHeaders From,Message-ID"],
}


class Dkims:
    """A site, and an OpenDKIM in each way; for each of them and each order Postfix listens on a
    port of its own. Mail by sendmail(1) passes OpenDKIM first."""

    def __init__(self):
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.dkim = {name: stack.enter_context(OpenDKIM(options))
                         for name, options in SETUPS.items()}
            pairs = [(name, order) for name in SETUPS for order in ORDERS]
            listeners = [f"127.0.0.1:{{port:{port(*pair)}}} inet n - n - - smtpd\n"
                         f"  -o smtpd_milters=${port(*pair)}\n" for pair in pairs]
            self.site = Site(master_lines="".join(listeners))
            for name, order in pairs:
                self.site.postfix.add_main_lines(
                    f"{port(name, order)} = {self.milters(name, order)}")
            stack.enter_context(self.site)
            local = self.milters("plain", ORDERS[1])
            self.site.postfix.add_main_lines(f"non_smtpd_milters = {local}")
            self.site.postfix.reload()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def milters(self, name, order):
        both = [self.site.batvd.milter, self.dkim[name].milter]
        return ",".join(both if order == ORDERS[0] else reversed(both))

    def verify(self, name, octets):
        return self.dkim[name].verify(octets)


def port(name, order):
    return f"{name}_{order.partition(' ')[0].lower()}"


@pytest.fixture(scope="module")
def dkims():
    with Dkims() as running:
        yield running


def compose(*, headers=()):
    return make_message(util.unique("dkim"), sender=f"Alice <{ALICE}>", rcpt=answers.FAR,
                        headers=headers)


def send(dkims, name, order, *, how="submit", data=None, sender=ALICE):
    """Submits a message past both milters and gives what the far end got of it."""
    data = data or compose()
    subject = re.search(rb"(?m)^Subject: (.*?)\r?$", data)[1].decode()
    before = len(dkims.site.sink.messages(subject=subject))
    sent = getattr(dkims.site, how)(sender, data=data, subject=subject, port=port(name, order))
    assert sent.accepted, sent
    return dkims.site.sink.wait(subject=subject, count=before + 1)[-1]


def again(dkims, name, order, message):
    """The same handed in once more, by a list of ours."""
    return send(dkims, name, order, how="submit_inside", data=message.data,
                sender="list-bounces@example.com")


def test_the_judge_can_tell(dkims):
    assert dkims.verify("plain", compose()) == []


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("how", ["submit", "submit_inside"])
def test_signature_of_outgoing_mail(dkims, order, how):
    message = send(dkims, "plain", order, how=how)
    evidence.of_message(message.data)
    dkims.site.batvd.check_tag(message.mail_from, ALICE, when=message.arrived)
    assert dkims.verify("plain", message.data) == ["pass"]
    assert dkims.verify("plain", message.data.replace(b"Hello.", b"Hullo.")) == ["fail"]


def test_signature_of_mail_by_sendmail(dkims):
    dkims.site.postfix.sendmail(answers.FAR, sender=ALICE, data=(data := compose()))
    subject = re.search(rb"(?m)^Subject: (.*?)$", data)[1].decode()
    message = dkims.site.sink.wait_one(subject=subject)
    evidence.of_message(message.data)
    assert dkims.verify("plain", message.data) == ["pass"]


@pytest.mark.parametrize("order", ORDERS)
def test_forged_evidence_is_removed_and_the_signature_is_good(dkims, order):
    forged = evidence.make(b"not the secret", [ALICE], dkims.site.batvd.today())
    message = send(dkims, "plain", order, data=compose(headers=[(evidence.NAME, forged)]))
    assert evidence.of_message(message.data).nonce not in forged
    assert dkims.verify("plain", message.data) == ["pass"]


def test_evidence_that_is_signed_too(dkims):
    """With batvd first the header is there in time."""
    message = send(dkims, "signing", ORDERS[0])
    assert dkims.verify("signing", message.data) == ["pass"]
    lines = evidence.raw_fields(message.data)[0]
    assert evidence.NAME in "".join(evidence.raw_fields(message.data, "DKIM-Signature")[0])
    field = "".join(line + "\r\n" for line in lines).encode()
    assert field in message.data
    assert dkims.verify("signing", message.data.replace(field, b"")) == ["fail"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["plain", "signing"])
def test_handed_in_again(dkims, name, order):
    """Our header of before stays, another is added, and the former signature is as good as the
    new one."""
    first = send(dkims, name, order)
    assert dkims.verify(name, first.data) == ["pass"]
    second = again(dkims, name, order, first)
    assert len(evidence.raw_fields(second.data)) == 2
    assert len(evidence.raw_fields(second.data, "DKIM-Signature")) == 2
    assert dkims.verify(name, second.data) == ["pass", "pass"]


def test_oversigned_evidence_breaks_the_signature(dkims):
    """What the manual warns of."""
    assert dkims.verify("oversigning", send(dkims, "oversigning", ORDERS[1]).data) == ["fail"]
    first = send(dkims, "oversigning", ORDERS[0])
    assert dkims.verify("oversigning", first.data) == ["pass"]
    assert "fail" in dkims.verify("oversigning", again(dkims, "oversigning", ORDERS[0], first).data)


@pytest.mark.parametrize("order", ORDERS)
def test_a_bounce_of_signed_mail_comes_home(dkims, order):
    message = send(dkims, "plain", order)
    sent, entry = dkims.site.answer(answers.bounce, message.data)
    assert (entry["action"], entry["rule"]) == ("accept", "evidence.header")
    dkims.site.assert_delivered(sent, ALICE)


# -- mail without a Message-ID --------------------------------------------------------------------

def without_id():
    """A message that its mail program has given none."""
    head = answers.without(compose().decode(), "Message-ID")
    return head.encode()


def ids(message):
    return evidence.raw_fields(message.data, "Message-ID")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("how", ["submit", "submit_inside"])
def test_signature_of_mail_that_gets_a_message_id(dkims, order, how):
    """It is signed where it is there in time."""
    message = send(dkims, "signing", order, how=how, data=without_id())
    assert len(ids(message)) == 1
    assert dkims.verify("signing", message.data) == ["pass"]
    signed = "".join(evidence.raw_fields(message.data, "DKIM-Signature")[0]).lower()
    assert ("message-id" in signed) == (order == ORDERS[0])


def test_signature_that_forbids_a_message_id(dkims):
    """By OpenDKIM before batvd, which then adds none; after it there is one to sign."""
    message = send(dkims, "closing", ORDERS[1], data=without_id())
    assert not ids(message)
    assert dkims.verify("closing", message.data) == ["pass"]
    message = send(dkims, "closing", ORDERS[0], data=without_id())
    assert len(ids(message)) == 1
    assert dkims.verify("closing", message.data) == ["pass"]


def test_mail_signed_upstream_comes_in_without_a_message_id(dkims):
    """The same message through a host of ours that signs, then through batvd alone."""
    signed = send(dkims, "closing", ORDERS[1], data=without_id())
    assert not ids(signed)
    sent = dkims.site.postfix.send(ALICE, answers.FAR, data=signed.data, subject=signed.subject,
                                   port="smtp", source=INSIDE)
    assert sent.accepted, sent
    message = dkims.site.sink.wait(subject=signed.subject, count=2)[-1]
    assert not ids(message)
    assert dkims.verify("closing", message.data) == ["pass"]


def test_an_empty_message_id_that_is_signed_stays(dkims):
    message = send(dkims, "signing", ORDERS[1], data=b"Message-ID: \n" + without_id())
    assert [value.strip() for lines in ids(message) for value in lines] == ["Message-ID:"]
    assert dkims.verify("signing", message.data) == ["pass"]
