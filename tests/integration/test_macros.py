"""Macros that the MTA's settings leave out: named once by the daemon that misses them, found by `check`,
and given after the mend, which changes nothing else."""

import re
import subprocess

import pytest

from batvtest import util
from batvtest.milter import SENDMAIL, MilterSession
from batvtest.sendmail_site import SendmailSite
from batvtest.site import Site

ALICE = "alice@example.com"
FAR = "far@other.test"
HOST = "mail.example.com"
NONE = {"{rcpt_addr}": None, "{rcpt_mailer}": None, "{rcpt_host}": None}

# As in how-tos of long ago.
OLD_LISTS = {"milter_mail_macros": "i {auth_type}, {auth_authen}", "milter_rcpt_macros": "i $own_macro",
             "own_macro": "{rcpt_host}", "milter_connect_macros": "v _", "milter_data_macros": ""}
MENDED = {"milter_mail_macros": "i {auth_type}, {auth_authen} {mail_addr}",
          "milter_rcpt_macros": "i $own_macro {rcpt_addr} {rcpt_mailer}",
          "milter_connect_macros": "v _ j", "milter_data_macros": "i"}


# -- what the daemon says -------------------------------------------------------------------------

def message(instance, sender="<joe@other.test>", **options):
    with MilterSession(instance.milter, **options) as s:
        s.message(sender, ["<alice@example.com>"])


def warnings(instance):
    return [line for line in instance.log_text().splitlines()
            if line.startswith("the MTA did not send")]


@pytest.mark.parametrize("step, values, names, setting", [
    ("connect", {"j": None}, "j", "milter_connect_macros (Sendmail: confMILTER_MACROS_CONNECT)"),
    ("mail", {"{mail_addr}": None}, "{mail_addr}",
     "milter_mail_macros (Sendmail: confMILTER_MACROS_ENVFROM)"),
    ("rcpt", {"{rcpt_addr}": None}, "{rcpt_addr}",
     "milter_rcpt_macros (Sendmail: confMILTER_MACROS_ENVRCPT)"),
    ("rcpt", {"{rcpt_mailer}": None}, "{rcpt_mailer}", "milter_rcpt_macros"),
    ("rcpt", {"{rcpt_addr}": None, "{rcpt_mailer}": None}, "{rcpt_addr}, {rcpt_mailer}",
     "milter_rcpt_macros"),
    ("rcpt", NONE, "{rcpt_addr}, {rcpt_mailer}, {rcpt_host}", "milter_rcpt_macros"),
], ids=str)
def test_what_is_missing_is_said_once(batvd, step, values, names, setting):
    instance = batvd().start()
    for _ in range(3):
        message(instance, macros={step: values}, client=("mx.other.test", "192.0.2.9", 4711))
    [line] = warnings(instance)
    assert f"did not send {names} in the session of mx.other.test[192.0.2.9]: " in line
    assert f"Add it to {setting}" in line and "batvctl check" in line


def test_no_queue_id(batvd):
    instance = batvd().start()
    message(instance, queue_id=None)
    message(instance, queue_id=None)
    [line] = warnings(instance)
    assert "did not send i in" in line and "milter_data_macros" in line


def test_a_list_for_one_service_only(batvd):
    """What was given before, and to others, does not hide that it is missing here."""
    instance = batvd().start()
    message(instance)
    message(instance, macros={"rcpt": {"{rcpt_mailer}": None}})
    message(instance, auth="alice", macros={"mail": {"{mail_addr}": None}})
    assert len(warnings(instance)) == 2


def test_what_may_be_missing(batvd):
    """No line for what an MTA leaves out without a fault."""
    instance = batvd().start()
    message(instance)
    message(instance, auth="alice")
    message(instance, early_id=False)
    message(instance, "<>", macros={"mail": {"{mail_addr}": None}})
    message(instance, **SENDMAIL)
    # Sendmail's own mailboxes have no host.
    message(instance, macros={"connect": {"{if_name}": "eth0"}, "rcpt": {"{rcpt_host}": None}})
    # An address that cannot be resolved for a moment.
    message(instance, macros={"rcpt": NONE, "mail": {"{mail_addr}": None}})
    assert not warnings(instance)


# -- real MTAs ------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [Site, SendmailSite])
def test_an_mta_with_its_own_lists(kind):
    """Nothing is missing by default, whoever writes to whom."""
    with kind() as whole:
        whole.outgoing()
        whole.submit("<>")
        for sender in ("joe@other.test", "joe", "<>", "mailer-daemon@other.test"):
            for rcpt in (ALICE, "nobody@example.com", "postmaster", "alice@localhost", FAR,
                         f'"{ALICE}"', "prvs=1234abcdef=alice@example.com"):
                whole.receive(sender, rcpt)
        if kind is Site:
            whole.sink.wait_one(subject=whole.postfix.sendmail([FAR], sender=ALICE))
        assert not warnings(whole.batvd)


@pytest.fixture(scope="module")
def site():
    with Site(main={**OLD_LISTS, "mydestination": f"{HOST}, localhost",
                    "alias_maps": f"inline:{{ {{alice = {ALICE}}} }}"}) as whole:
        yield whole


def findings(site):
    return [one for one in site.ctl("check", json=True) if one["name"] == "postfix.milter_macros"]


def values(site):
    return dict(line.split(" = ", 1) for line in
                subprocess.run(["postconf", "-n"], env=site.postfix.env, text=True, check=True,
                               capture_output=True).stdout.splitlines() if " = " in line)


def test_old_lists_and_their_mend(site):
    """A forged bounce to a bare name is deferred; after the mend it is rejected."""
    sent = site.bounce("alice")
    assert (sent.stage, sent.code) == ("rcpt", 451), sent
    told = warnings(site.batvd)
    assert {re.search("did not send (.*) in the session", line)[1] for line in told} == \
        {"j", "{rcpt_addr}, {rcpt_mailer}"}, told

    found = findings(site)
    assert [one["level"] for one in found] == ["fail", "fail", "fail", "warn"], found
    assert [one["text"].partition(":")[0] for one in found] == [
        "milter_connect_macros lacks j", "milter_mail_macros lacks {mail_addr}",
        "milter_rcpt_macros lacks {rcpt_addr}, {rcpt_mailer}", "milter_data_macros lacks i"]
    before = values(site)
    for one in found:
        subprocess.run(["sh", "-c", one["mend"]], env=site.postfix.env, check=True, timeout=60,
                       capture_output=True)
    assert values(site) == {**before, **MENDED}
    assert [one["level"] for one in findings(site)] == ["ok"]

    def rejected():
        sent = site.bounce("alice")
        return sent.code == 550 and sent
    util.wait_for(rejected, 20)
    assert site.batvd.log("verify", rcpt="<alice>")[-1]["rule"] == "verify.action"
    assert site.outgoing().mail_from.startswith("prvs=")
