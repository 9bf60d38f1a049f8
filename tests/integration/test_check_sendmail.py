"""`batvctl check` on a Sendmail: its configuration, made by m4 from a source as on any host, is found
well; then each fault in turn is found, with what mends it. Rules are judged by what the real Sendmail
makes of addresses."""

import grp
import json
import os
import re
import socket

import pytest

from batvtest import elsewhere, util
from batvtest.daemon import Batvd
from batvtest.sendmail import Sendmail
from batvtest.settings import PostfixSettings

DOMAINS = ("example.com", ".example.org", "example.net")
NAMES = {"sendmail", "sendmail.filter", "sendmail.filter_flags", "sendmail.filter_timeouts",
         "sendmail.milter_macros", "sendmail.recipients", "sendmail.senders", "sendmail.socket",
         "sendmail.socket_access", "sendmail.submission",
         "sendmail.list_owners", "sendmail.dkim2"}
FIELDS = "F=T, T=S:10s;R:10s;E:30s"

# Nothing of Postfix's is seen.
ALONE = elsewhere.prefix({"/usr/sbin": "/nonexistent", "/sbin": "/nonexistent"})

# A rule by hand, for a domain that the part does not name.
RULE = ("R$+ < @ %s . >\t$: < $(batvdTag $1 $: $) > $1 < @ %s . >\n"
        "R< > $+\t$: $1\n"
        "R< $+ > $+ < @ $+ >\t%s\n")


class Site:
    """A configuration of batvd's, and a Sendmail's for it."""

    def __init__(self):
        self.batvd = Batvd({"domains": DOMAINS, "internal_networks": ["127.0.0.0/8"]})
        self.batvd.ctl("key", "init", rc=0)
        self.sendmail = Sendmail(domains=["example.com"])
        self.socket = f"local:{self.batvd.socket_path}"

    def __enter__(self):
        self.sendmail.prepare()
        return self

    def __exit__(self, *_):
        self.sendmail.stop()
        self.batvd.terminate()

    def part(self, domains=DOMAINS, **config):
        """What `batvctl mta sendmail` gives for the source of sendmail.cf."""
        self.batvd.configure({"domains": domains, "internal_networks": ["127.0.0.0/8"], **config})
        return self.batvd.ctl("mta", "sendmail", "--part", "mc", rc=0).out

    def make(self, edit=None, config=None, *, domains=DOMAINS, socket=None, fields=FIELDS,
             edit_mc=None, features="", defines=""):
        """sendmail.cf anew, from its source, with the part for these domains; `edit` changes its
        text afterwards, `edit_mc` that of the part."""
        part = self.part(domains)
        line = f"INPUT_MAIL_FILTER(`batvd', `S={self.socket}, {FIELDS}')dnl"
        assert line in part
        part = part.replace(line, f"INPUT_MAIL_FILTER(`batvd', `S={socket or self.socket}, "
                                  f"{fields}')dnl")
        if edit_mc:
            part, before = edit_mc(part), part
            assert part != before
        self.sendmail._features, self.sendmail._defines = features, defines
        self.sendmail.mc = part
        self.sendmail.write_mc()
        self.sendmail.make_cf()
        path = self.sendmail.mail_conf / "sendmail.cf"
        if edit:
            text = path.read_text(encoding="utf-8")
            changed = edit(text)
            assert changed != text
            path.write_text(changed, encoding="utf-8")
        self.batvd.configure({"domains": DOMAINS, "internal_networks": ["127.0.0.0/8"],
                              **(config or {})})

    def check(self, *, before=ALONE, env=None):
        """The findings about Sendmail, by name."""
        done = self.sendmail.run(*before, util.binary("batvctl"), "-c", self.batvd.conf, "check",
                                 "--json", env={**self.batvd.environment(), **self.sendmail.env(),
                                                **(env or {})}, check=False, text=True)
        assert done.returncode in (0, 1), done
        self.all = json.loads(done.stdout)
        found = [one for one in self.all if one["name"].split(".")[0] == "sendmail"]
        for one in found:
            assert (one["mend"] is None) == (one["level"] == "ok"), one
        return found


@pytest.fixture(scope="module")
def site(ended_well):
    with Site() as made:
        yield made


def bad(found):
    return [one for one in found if one["level"] != "ok"]


def test_all_is_well(site):
    site.make()
    found = site.check()
    assert {one["name"] for one in found} == NAMES
    assert bad(found) == []
    postfix, = [one for one in site.all if one["name"] == "postfix"]
    assert "Postfix is not installed" in postfix["text"]


def without_filter(part):
    return re.sub(r"(?m)^INPUT_MAIL_FILTER.*\n", "", part)


def without_rules(part):
    return part[:part.index("LOCAL_CONFIG")]


def greedy(part):
    """Takes the tag off whatever the domain."""
    return re.sub(r"(?m)^R< \$\+ > \$\+ < @ \$=\{batvdDomain\} >.*",
                  "R< $+ > $+ < @ $+ >\t$@ $>parse $1 < @ $3 >", part)


def strays(part):
    """Takes it off in one domain, and delivers that to somebody else."""
    return part.replace("LOCAL_RULE_0\n", "LOCAL_RULE_0\n" + RULE % (
        "example.net", "example.net", "$#local $: alice"))


def masqueraded(name, more=""):
    return f"MASQUERADE_AS(`{name}')dnl\n{more}FEATURE(`masquerade_envelope')dnl\n"


FAULTS = {
    "no filter": ("filter", "fail", "no filters", r"batvctl -c .* mta sendmail \| sh",
                  {"edit_mc": without_filter}),
    "another socket": ("filter", "fail", r"/run/other.sock",
                       r"INPUT_MAIL_FILTER\(`batvd', `S=local:/",
                       {"socket": "local:/run/other.sock"}),
    "defined only": ("filter", "fail", "InputMailFilters is", "confINPUT_MAIL_FILTERS', `batvd'",
                     {"edit": lambda cf: cf.replace("O InputMailFilters=batvd",
                                                    "#O InputMailFilters=batvd")}),
    "another is listed": ("filter", "fail", 'InputMailFilters is "dkim"',
                          "confINPUT_MAIL_FILTERS', `dkim,batvd'",
                          {"edit": lambda cf: cf.replace("O InputMailFilters=batvd",
                                                         "O InputMailFilters=dkim")}),
    "a daemon's own": ("filter", "fail", "Name=MSA", "InputMailFilters=dkim;batvd",
                       {"edit": lambda cf: cf + "O DaemonPortOptions=Name=MSA, Port=587, "
                                                "InputMailFilters=dkim\n"}),
    "no F": ("filter_flags", "warn", "without a tag", "F=T", {"fields": "T=S:10s;R:10s;E:30s"}),
    "F=R": ("filter_flags", "fail", "is rejected", "F=T",
            {"fields": "F=R, T=S:10s;R:10s;E:30s"}),
    "short T": ("filter_timeouts", "warn", "for 1 s only.*R in T=", "T=S:10s",
                {"fields": "F=T, T=S:10s;R:1s;E:1m"}),
    "short E": ("filter_timeouts", "warn", "for 10 s only.*E in T=", "T=S:10s",
                {"fields": "F=T, T=S:1m;R:1m;E:10s"}),
    "no auth": ("milter_macros", "fail", "authenticated",
                r"define\(`confMILTER_MACROS_ENVFROM', `i, \{mail_addr\}, \{auth_type\}, \{auth_authen\}'\)",
                {"defines": "define(`confMILTER_MACROS_ENVFROM', `i, {mail_addr}')dnl\n"}),
    "no recipients": ("milter_macros", "fail", r"envrcpt lacks \{rcpt_mailer\}: .*<alice>",
                      r"define\(`confMILTER_MACROS_ENVRCPT', `\{rcpt_addr\}, \{rcpt_host\}, "
                      r"\{rcpt_mailer\}'\)",
                      {"defines": "define(`confMILTER_MACROS_ENVRCPT', `{rcpt_addr}, {rcpt_host}')dnl\n"}),
    "no interface": ("milter_macros", "warn", r"connect lacks \{if_name\}: ", r"`j, _, \{if_name\}'",
                     {"defines": "define(`confMILTER_MACROS_CONNECT', `j, _')dnl\n"}),
    "no name": ("milter_macros", "fail", r"connect lacks j: ", r"`\{if_name\}, j'",
                {"defines": "define(`confMILTER_MACROS_CONNECT', `{if_name}')dnl\n"}),
    "no queue id": ("milter_macros", "warn", r"envfrom lacks i: ", r"`\{auth_type\}, \{mail_addr\}, i'",
                    {"defines": "define(`confMILTER_MACROS_ENVFROM', `{auth_type}, {mail_addr}')dnl\n"}),
    "no rules": ("recipients", "fail", r"no rule removes the tag.*example\.com.*batvd-check\.example"
                 r"\.org.*example\.net", r"batvctl -c .* mta sendmail \| sh", {"edit_mc": without_rules}),
    "a domain without": ("recipients", "fail", "rejected as unknown users: postmaster@example.net$",
                         "mta sendmail", {"domains": ("example.com", ".example.org")}),
    "every site's tags": ("recipients", "fail", "other sites' tags", "mta sendmail",
                          {"edit_mc": greedy}),
    "elsewhere": ("recipients", "fail", "takes another route.*example.net", "mta sendmail",
                  {"edit_mc": strays}),
    "masqueraded": ("senders", "fail", r"becomes prvs=0000000000=postmaster@hidden\.example",
                    "masquerade_envelope",
                    {"features": masqueraded("hidden.example",
                                             "MASQUERADE_DOMAIN(`example.net')dnl\n")}),
    "host hidden": ("senders", "warn", r"at mail\.example\.com become senders at example\.com",
                    "masquerade_envelope", {"features": masqueraded("example.com")}),
    "generics": ("senders", "warn", "genericstable", "masquerade_envelope",
                 {"features": masqueraded("mail.example.com", "MASQUERADE_EXCEPTION(`example.com')dnl\n")
                  + "FEATURE(`genericstable', `hash /etc/mail/virtusertable')dnl\n"}),
    "not from here": ("submission", "warn", "127.0.0.1", "internal_networks",
                      {"config": {"internal_networks": ["127.0.0.2/32"]}}),
    "relays": ("submission", "warn", "127.0.0.1", "relays",
               {"config": {"relays": ["127.0.0.1/32"]}}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(site, name):
    row, level, text, mend, how = FAULTS[name]
    site.make(**how)
    one, *more = bad(site.check())
    assert not more, more
    assert (one["name"], one["level"]) == (f"sendmail.{row}", level), one
    assert re.search(text, one["text"]) and re.search(mend, one["mend"]), one
    site.make()
    assert bad(site.check()) == []


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault[0] == "milter_macros"])
def test_what_mends_macros(site, name):
    """The line that the finding gives, at the end of the .mc file: nothing is missing then."""
    *_, how = FAULTS[name]
    site.make(**how)
    [one] = bad(site.check())
    line = re.search(r"define\(.*?\)dnl", one["mend"])[0]
    site.make(**how, edit_mc=lambda part: part + line + "\n")
    assert bad(site.check()) == []


def test_a_queue_id_that_comes_later(site):
    site.make(defines="define(`confMILTER_MACROS_ENVFROM', `{auth_type}, {mail_addr}')dnl\n"
                      "define(`confMILTER_MACROS_DATA', `i')dnl\n")
    assert bad(site.check()) == []


@pytest.mark.parametrize("socket", ["unix:{path}", "local:{path}", "{path}",
                                    "unix:{folder}/../{folder_name}/milter.sock"])
def test_other_notations_of_the_socket(site, socket):
    path = site.batvd.socket_path
    site.make(socket=socket.format(path=path, folder=path.parent, folder_name=path.parent.name))
    assert bad(site.check()) == []


@pytest.mark.parametrize("listen, socket, fits", [
    ("inet:8891@127.0.0.1", "inet:8891@127.0.0.1", True),
    ("inet:8891@127.0.0.1", "inet:8891@localhost", True),
    ("inet:8891@0.0.0.0", "inet:8891@127.0.0.1", True),
    ("inet:8891@127.0.0.1", "inet:8892@127.0.0.1", False),
    ("inet:8891@127.0.0.1", "inet:8891@192.0.2.1", False),
])
def test_socket_at_a_port(site, listen, socket, fits):
    site.make(socket=socket, config={"listen": listen})
    found = bad(site.check())
    assert (found == []) == fits, found


def test_unsafe_folder(site):
    run = site.batvd.run
    mode = run.stat().st_mode & 0o7777
    allowed = "define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl\n"
    try:
        for wrong, defines, fine in [(0o2757, "", False), (0o2770, "", False), (0o2750, "", True),
                                     (0o2770, allowed, True)]:
            run.chmod(wrong)
            site.make(defines=defines)
            found = bad(site.check())
            assert [one["name"] for one in found] == ([] if fine else ["sendmail.socket"]), found
            # Sendmail itself says the same.
            said = site.sendmail.run(site.sendmail._program, "-bs", "-Am", input="QUIT\n", text=True,
                                     check=False).stdout
            assert ("unsafe" in said) != fine, (oct(wrong), said)
    finally:
        run.chmod(mode)


def run_as(user):
    return lambda cf: cf + f"O RunAsUser={user}\n"


def test_user_that_may_not_connect(site):
    site.make(run_as("daemon:daemon"))
    one, = bad(site.check())
    assert one["name"] == "sendmail.socket_access" and "daemon cannot enter" in one["text"], one


def test_user_that_is_not_there(site):
    """Sendmail refuses to start then, in test mode too."""
    site.make(run_as("nosuchuser"))
    found = bad(site.check())
    assert [one["name"] for one in found] == ["sendmail.recipients", "sendmail.senders",
                                              "sendmail.socket_access"]
    assert "unknown user nosuchuser" in found[0]["text"]
    assert "no user or group nosuchuser" in found[2]["text"] and found[2]["level"] == "fail"


@pytest.mark.parametrize("user, group, fine", [
    ("daemon:mail", "mail", True), ("daemon:mail", "daemon", False), ("daemon.mail", "mail", True),
    ("1:8", "mail", True), ("daemon", "daemon", True), ("nobody", "daemon", False)])
def test_group_that_connects(site, user, group, fine):
    """Sendmail keeps the group of RunAsUser and no other, not even the user's own."""
    run, path = site.batvd.run, site.batvd.socket_path
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        try:
            os.chown(path, 0, grp.getgrnam(group).gr_gid)
            path.chmod(0o660)
            mode = run.stat().st_mode & 0o7777
            run.chmod(0o755)
            site.make(run_as(user))
            found = [one for one in site.check() if one["name"] == "sendmail.socket_access"]
        finally:
            run.chmod(mode)
            path.unlink()
    assert [one["level"] for one in found] == ["ok" if fine else "fail"], found


def test_configuration_that_is_not_there(site):
    (site.sendmail.mail_conf / "sendmail.cf").unlink()
    one, = site.check()
    assert (one["name"], one["level"]) == ("sendmail", "fail")
    assert "/etc/mail/sendmail.cf" in one["text"] and "make -C /etc/mail" in one["mend"]


def test_private_configuration(site):
    site.make()
    text = (site.sendmail.mail_conf / "sendmail.cf").read_text(encoding="utf-8")
    private = site.sendmail.folder / "private.cf"
    private.write_text(text.replace("F=T,", ""), encoding="utf-8")
    found = site.check(env={"SENDMAIL_CF": str(private)})
    assert str(private) in found[0]["text"]
    assert [one["name"] for one in bad(found)] == ["sendmail.filter_flags"]


def test_beside_postfix(site):
    site.make()
    with PostfixSettings() as settings:
        found = site.check(before=[], env={"MAIL_CONFIG": str(settings.folder)})
    first, = bad(found)
    assert (first["name"], first["level"]) == ("sendmail", "warn") and "beside Postfix" in first["text"]
    assert [one for one in site.all if one["name"] == "postfix.smtpd_milters"]


def test_without_sendmail(site):
    done = site.batvd.ctl("check", "--json")
    found = [one for one in done.json if one["name"].split(".")[0] == "sendmail"]
    assert [one["level"] for one in found] == ["ok"] and "Sendmail is not installed" in found[0]["text"]
