"""The settings that batvctl prints for Postfix, in force in a real one; and what `batvctl check`
says of a Postfix that is set up well, and of one that is not."""

import re

import pytest

from batvtest import tag
from batvtest.postfix import Postfix
from batvtest.site import Site

ALICE = "alice@example.com"
DOMAINS = ("example.com", ".example.org", {"name": "sub.example", "syntax": "subaddress"},
           "bücher.example", "mail.example.com", "alias.test", "relay.test")

# One domain in each of Postfix's other address classes: local is $mydestination.
CLASSES = {
    "virtual_alias_domains": "alias.test",
    "virtual_alias_maps": "inline:{ info@alias.test=alice@example.com }",
    "relay_domains": "relay.test",
    "relay_recipient_maps": "inline:{ joe@relay.test=OK }",
}


@pytest.fixture(scope="module")
def site():
    with Site({"domains": DOMAINS}, main=CLASSES) as whole:
        yield whole


@pytest.fixture
def table(site):
    """Looks a recipient up in the printed map."""
    return lambda address: site.postfix.postmap(address, f"pcre:{site.postfix.conf}/batv.pcre")


# -- the map --------------------------------------------------------------------------------------

@pytest.mark.parametrize("tagged, plain", [
    ("prvs=1234abcdef=alice@example.com", "alice@example.com"),
    ("PRVS=1234ABCDEF=Alice@Example.COM", "Alice@Example.COM"),
    ('"prvs=1234abcdef=a b"@example.com', '"a b"@example.com'),
    ("prvs=1234abcdef=list=joe=other.test@example.com", "list=joe=other.test@example.com"),
    ("prvs=1234abcdef=prvs=1234abcdef=alice@example.com", "prvs=1234abcdef=alice@example.com"),
    ("prvs=1234abcdef=alice+ext@example.com", "alice+ext@example.com"),
    ("prvs=1234abcdef=joe@deep.sub.example.org", "joe@deep.sub.example.org"),
    ("prvs=1234abcdef=joe@xn--bcher-kva.example", "joe@xn--bcher-kva.example"),
    ("prvs=1234abcdef=carol@sub.example", "carol@sub.example"),
])
def test_map_takes_tags_off(table, tagged, plain):
    assert table(tagged) == plain


@pytest.mark.parametrize("address", [
    ALICE,
    "prvs=1234abcdef=alice@other.test",           # somebody else's tag
    "prvs=1234abcdef=alice@notexample.com",
    "prvs=1234abcdef=alice@example.com.evil.test",
    "prvs=1234abcdef=alice@exampleXcom",
    "prvs=1234abcdef=joe@example.org",            # `.example.org` is its subdomains only
    "prvs=1234abcdef=joe@notexample.org",
    "prvs=123abcdef=alice@example.com",           # a digit short
    "prvs=1234abcdefa=alice@example.com",         # a digit too many
    "prvs=1234abcdeg=alice@example.com",
    "prvs=1234abcdef=@example.com",               # nobody
    "xprvs=1234abcdef=alice@example.com",
    "prvs=1234abcdef",
])
def test_map_leaves_everything_else(table, address):
    assert table(address) is None


def test_without_the_map_postfix_knows_no_tagged_address(site):
    """Why the map is needed: the milter would never be asked."""
    tagged = site.tagged(ALICE)
    with Postfix(milter=site.batvd.milter, mailboxes=(ALICE,)) as bare:
        sent = bare.bounce(tagged)
        assert sent.stage == "rcpt" and sent.code == 550, sent
        assert "User unknown" in sent.text


# -- main.cf --------------------------------------------------------------------------------------

def test_printed_lines_are_in_force(site):
    values = site.postfix.postconf("smtpd_milters", "non_smtpd_milters", "milter_default_action",
                                   "recipient_canonical_maps", "recipient_canonical_classes",
                                   "internal_mail_filter_classes")
    assert str(site.batvd.run / "milter.sock") in values["smtpd_milters"]
    assert values["non_smtpd_milters"] in ("$smtpd_milters", values["smtpd_milters"])
    assert values["milter_default_action"] in ("tempfail", "shutdown")
    assert values["recipient_canonical_maps"] == f"pcre:{site.postfix.conf}/batv.pcre"
    assert values["recipient_canonical_classes"] == "envelope_recipient"
    assert values["internal_mail_filter_classes"] == ""


def test_printed_lines_are_nothing_but_lines_of_main_cf(site):
    text = site.batvd.ctl("mta", "postfix", "--part", "main", rc=0).out
    for line in text.splitlines():
        assert re.fullmatch(r"(#.*|[a-z_]+ ?=.*|\s+\S.*|)", line), line
    assert "batv.pcre" in text


@pytest.mark.parametrize("address, mailbox", [
    (ALICE, ALICE), ("dora@mail.example.com", "bob@example.com"), ("info@alias.test", ALICE),
    ("joe@relay.test", None),
], ids=["virtual mailbox", "local", "virtual alias", "relay"])
def test_every_address_class(site, address, mailbox):
    """Genuine bounces come home and forged ones do not, whatever Postfix does with the domain."""
    tagged = site.tagged(address)
    sent, entry = site.judged_bounce(tagged)
    assert sent.accepted, sent
    assert entry["result"] == "valid"
    if mailbox is None:
        assert site.sink.wait_one(subject=sent.subject).rcpts == [address]
    else:
        assert site.postfix.wait_one(mailbox, sent.subject)
    for forged in (address, tag.spoil(tagged)):
        sent = site.bounce(forged)
        assert sent.stage == "end" and sent.code == 550, sent
        site.assert_nothing(sent, ALICE, "bob@example.com")
    # A forged tag of somebody who does not exist: neither accepted nor bounced.
    nobody = tag.spoil(tagged).rpartition("=")[0] + "=nobody@" + address.rpartition("@")[2]
    sent = site.receive("victim@innocent.test", nobody)
    assert sent.code == 550, sent
    site.assert_nothing(sent)


def test_check_finds_no_fault_with_the_printed_settings(site):
    done = site.ctl("check", json=True)
    assert not [item for item in done if item["level"] == "fail"], done
    assert site.ctl("check").rc == 0


def test_check_sees_what_is_missing_in_a_running_postfix(site, batvd):
    with Postfix(mailboxes=(ALICE,)) as bare:
        done = site.batvd.ctl("check", json=True, env=bare.env)
        assert [item for item in done if item["level"] == "fail"]
        assert site.batvd.ctl("check", env=bare.env).rc == 1


def test_socket_in_the_queue_directory(batvd):
    """The usual place, named relative to the queue directory, which a chrooted smtpd finds too."""
    with Postfix() as probe:
        queue = probe.folder / "queue"
        daemon = batvd({"verify": {"action": "reject"}}, socket_path=queue / "batvd/milter.sock")
        daemon.make_run_folder(queue / "batvd")
        daemon.start()
        table = probe.write_file("batv.pcre", daemon.ctl("mta", "postfix", "--part", "map").out)
        text = daemon.ctl("mta", "postfix", "--part", "main", "--map-path", table, rc=0,
                          env=probe.env).out
        assert re.search(r"(?m)^smtpd_milters\s*=\s*unix:batvd/milter\.sock$", text), text
        probe.add_main_lines(text)
        probe.reload()
        sent = probe.bounce(ALICE)
        assert sent.stage == "end" and sent.code == 550, sent
        daemon.stop()


def test_a_socket_over_tcp_is_printed_as_postfix_wants_it(batvd):
    daemon = batvd(listen="inet")
    text = daemon.ctl("mta", "postfix", "--part", "main", rc=0).out
    assert re.search(rf"(?m)^smtpd_milters\s*=.*\binet:127\.0\.0\.1:{daemon.port}\b", text), text


def test_whole_output_names_both_files_and_the_commands(site):
    text = site.batvd.ctl("mta", "postfix", "--map-path", "/etc/postfix/batv.pcre", rc=0).out
    assert "/etc/postfix/batv.pcre" in text
    assert "recipient_canonical_classes" in text
    assert "postfix reload" in text
    assert re.search(r"postconf", text)


def test_signing_over_tcp():
    """The same site, with the filter on a TCP socket."""
    with Site(listen="inet") as site:
        message = site.outgoing(ALICE)
        site.batvd.check_tag(message.mail_from, ALICE, when=message.arrived)
        assert site.bounce(ALICE).code == 550
        site.assert_delivered(site.bounce(message.mail_from), ALICE)
