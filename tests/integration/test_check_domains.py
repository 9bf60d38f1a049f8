"""`batvctl check`, postfix.domains: domains that Postfix receives mail for and batvd does not know."""

import re

import pytest

from batvtest.daemon import Batvd
from batvtest.settings import PostfixSettings

NAME = "postfix.domains"
OURS = {"myhostname": "mail.example.com", "mydestination": "$myhostname, localhost",
        "virtual_alias_domains": "example.com"}


@pytest.fixture(scope="module")
def batvd():
    made = Batvd({"domains": ("example.com", "mail.example.com", ".example.org", "bücher.example")})
    yield made.start()
    made.terminate()


@pytest.fixture(scope="module")
def postfix():
    with PostfixSettings() as made:
        yield made


@pytest.fixture
def look(batvd, postfix):
    """The findings for these values in main.cf."""
    def findings(main):
        postfix.write({**OURS, **main})
        done = batvd.ctl("check", "--json", env=postfix.env())
        assert done.rc in (0, 1), done
        found = [one for one in done.json if one["name"] == NAME]
        assert found, done
        return found
    return findings


WELL = [
    {},
    {"mydestination": ""},
    {"mydestination": "$myhostname, localhost.$mydomain, localhost"},
    {"mydestination": "localhost LocalHost.other.test, MAIL.Example.COM"},
    {"mydestination": "$myhostname, /nowhere/names, hash:/nowhere/names, !not.test, [192.0.2.1]"},
    {"virtual_mailbox_domains": "inline:{a.test=x, b.test=y}, static:all"},
    {"virtual_alias_domains": "$virtual_alias_maps"},
    {"relay_domains": "a.example.org b.c.example.org .example.org"},
    {"relay_domains": "xn--bcher-kva.example"},
    {"relay_domains": "bücher.example"},
    {"relay_domains": "proxy:hash:/nowhere/names"},
]


@pytest.mark.parametrize("main", WELL, ids=str)
def test_domains_of_ours_and_what_is_no_name(look, main):
    found, = look(main)
    assert (found["level"], found["mend"]) == ("ok", None), found


MISSING = [
    ({"mydestination": "$myhostname", "myhostname": "mx.other.test"}, ["mx.other.test"]),
    ({"mydestination": "$mydomain, localhost", "mydomain": "old.test"}, ["old.test"]),
    ({"virtual_mailbox_domains": "example.com, shop.example.com"}, ["shop.example.com"]),
    ({"virtual_alias_domains": "alias.test hash:/nowhere/names other.test"},
     ["alias.test", "other.test"]),
    ({"relay_domains": "example.org .example.com"}, ["example.org", ".example.com"]),
    ({"relay_domains": "bücher.test"}, ["bücher.test"]),
    ({"relay_domains": "localhoster.test"}, ["localhoster.test"]),
    ({"mydestination": "a.test", "relay_domains": "$mydestination, b.test, A.test b.test"},
     ["a.test", "b.test"]),
]


@pytest.mark.parametrize("main, names", MISSING, ids=str)
def test_each_domain_that_is_missing_is_named_once(look, main, names):
    found = look(main)
    assert [re.search(r'^in \S+: add "(\S+)" to domains, ', one["mend"])[1] for one in found] == names
    for finding, name in zip(found, names):
        assert finding["level"] == "warn" and finding["text"].startswith(f"{name} ("), finding


def test_the_parameter_and_what_it_means_are_told(look):
    found, = look({"relay_domains": "relay.test"})
    assert "(relay_domains)" in found["text"]
    for told in ("does not sign its senders", "or verify its bounces", "a mailbox that also has an address there"):
        assert told in found["text"], found


def test_adding_it_mends_it(batvd, postfix, look):
    assert look({"relay_domains": "relay.test"})[0]["level"] == "warn"
    before = batvd.conf.read_text(encoding="utf-8")
    try:
        batvd.conf.write_text(before.replace('("example.com"', '("relay.test", "example.com"'),
                              encoding="utf-8")
        assert look({"relay_domains": "relay.test"})[0]["level"] == "ok"
    finally:
        batvd.conf.write_text(before, encoding="utf-8")


def test_the_hosts_own_name(look):
    """Mail to it is judged all the same. What this host sends by it is another finding's."""
    finding, = look({"mydestination": "$myhostname", "myhostname": "mx.other.test"})
    assert "verified as for a domain that does not sign" in finding["text"], finding
    assert finding["level"] == "warn"
    assert 'add "mx.other.test" to domains' in finding["mend"]


@pytest.mark.parametrize("listed, main, meant", [
    ("exmaple.net", {"virtual_alias_domains": "example.com example.net"}, "example.net"),
    ("exampe.net", {"virtual_mailbox_domains": "example.net"}, "example.net"),
    ("examples.net", {"relay_domains": "Example.NET"}, "Example.NET"),
    ("exbmple.net", {"mydestination": "localhost, example.net"}, "example.net"),
    ("exmple.net", {"myorigin": "example.net"}, "example.net"),
    # not misspelt: Postfix has both, or the other is listed too, or it is a number
    ("exmaple.net", {"virtual_alias_domains": "example.net, exmaple.net"}, None),
    ("exampel.com", {}, None),
    ("mx2.example.net", {"mydestination": "mx1.example.net"}, None),
    ("mx.example.net", {"mydestination": "mx1.example.net"}, None),
    ("exmapel.net", {"virtual_alias_domains": "example.net"}, None),
])
def test_a_domain_that_is_misspelt(batvd, look, listed, main, meant):
    before = batvd.conf.read_text(encoding="utf-8")
    try:
        batvd.conf.write_text(before.replace('("example.com"', f'("{listed}", "example.com"'), encoding="utf-8")
        found = [one for one in look(main) if "differs by a letter" in one["text"]]
        assert len(found) == (meant is not None), found
        for one in found:
            assert one["level"] == "warn" and one["text"].startswith(f"{listed} in domains")
            assert f'"{meant}" in place of "{listed}" in domains' in one["mend"]
            batvd.conf.write_text(before.replace('("example.com"', f'("{meant}", "example.com"'),
                                  encoding="utf-8")
            assert not [one for one in look(main) if one["level"] != "ok"]
    finally:
        batvd.conf.write_text(before, encoding="utf-8")
