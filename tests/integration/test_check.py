"""`batvctl check`: an ordinary site is found well; then each fault in turn is found, with what mends
it, and after mending is found no more."""

import grp
import json
import os
import pwd
import re
import shutil
import subprocess

import pytest

from batvtest import util
from batvtest.daemon import Batvd
from batvtest.milter import LEAVING, MilterSession
from batvtest.postfix import where
from batvtest.settings import MASTER_CF, PostfixSettings

DOMAINS = ("example.com", ".example.org", "bücher.example")
NAMES = {"ok", "todo", "warn", "fail"}
REINJECT = "127.0.0.1:10025 inet n - n - - smtpd\n"
FILTER = "scan unix - - n - 2 smtp\n"
PIPE = ("scan unix - n n - 10 pipe flags=Rq user=nobody argv=/usr/bin/spamc -e /usr/sbin/sendmail -oi "
        "-f ${sender} ${recipient}\n")


class Site:
    """A daemon at work, and Postfix's settings for it."""

    def __init__(self, config=None, **options):
        self.batvd = Batvd({"domains": DOMAINS, **(config or {})}, **options)
        self.postfix = PostfixSettings()
        self.map = self.postfix.folder / "batv.pcre"

    def __enter__(self):
        try:
            self.batvd.start()
            self.good()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.postfix.__exit__()
        self.batvd.terminate()

    def good(self):
        """Settings as `batvctl mta postfix` wants them."""
        for name in ("smtpd_milters", "non_smtpd_milters"):
            self.postfix.base.pop(name, None)
        self.postfix.write(master=MASTER_CF)
        text = self.mta("main")
        self.postfix.base.update(re.findall(r"(?m)^(\w+) = (.*)$", text))
        self.postfix.write()
        self.map.write_text(self.mta("map"), encoding="utf-8")

    def mta(self, part):
        return self.batvd.ctl("mta", "postfix", "--part", part, "--map-path", self.map, rc=0,
                              env=self.postfix.env()).out

    def check(self, rc=None):
        """The findings, all of the right form."""
        done = self.batvd.ctl("check", "--json", env=self.postfix.env())
        assert done.rc in (0, 1), done
        if rc is not None:
            assert done.rc == rc, done
        found = done.json
        for finding in found:
            assert set(finding) == {"level", "name", "text", "mend"}
            assert finding["level"] in NAMES and finding["text"]
            assert (finding["mend"] is None) == (finding["level"] == "ok"), finding
        assert done.rc == any(finding["level"] == "fail" for finding in found)
        return found


@pytest.fixture(scope="module")
def whole(ended_well):
    with Site() as made:
        yield made


@pytest.fixture
def site(whole):
    whole.good()
    yield whole


def of(found, name):
    """The findings of one check."""
    named = [finding for finding in found if finding["name"] == name]
    assert named, f"no {name} in {sorted({finding['name'] for finding in found})}"
    return named


def bad(found):
    return [finding for finding in found if finding["level"] != "ok"]


# -- an ordinary site ----------------------------------------------------------------------------

def test_all_is_well(site):
    found = site.check(rc=0)
    # Nothing has been signed yet: that is all there is to say.
    assert [finding["name"] for finding in bad(found)] == ["warm-up"], bad(found)


def test_lines_for_people(site):
    site.postfix.write({"non_smtpd_milters": ""})
    done = site.batvd.ctl("check", rc=1, env=site.postfix.env())
    found = site.check(rc=1)
    *lines, summary = [line for line in done.lines if not line.startswith(" ")]
    assert [line.split()[:2] for line in lines] == [[finding["level"], finding["name"]]
                                                    for finding in found]
    mends = [line.strip() for line in done.lines if line.startswith(" ")]
    assert mends == [f"mend: {finding['mend']}" for finding in bad(found)]
    assert "\033" not in done.out
    count = [sum(finding["level"] == level for finding in found) for level in ("ok", "todo", "warn", "fail")]
    assert summary == "summary: {} ok, {} todo, {} warn, {} fail".format(*count) and count[3] == 1


def test_quiet(site):
    """What is not ok, and nothing else."""
    site.postfix.write({"non_smtpd_milters": ""})
    full = site.batvd.ctl("check", rc=1, env=site.postfix.env()).lines
    done = site.batvd.ctl("check", "--quiet", rc=1, env=site.postfix.env())
    kept = [line for line in full[:-1] if not line.startswith("ok ")]
    assert done.lines == kept and len(kept) >= 2
    found = site.batvd.ctl("--json", "check", "--quiet", rc=1, env=site.postfix.env()).json
    assert found == bad(site.check())


# -- faults in Postfix's settings ----------------------------------------------------------------

class Fault:
    """Which check sees it (name, level, what its text holds), and how it comes about: `main` values
    (None: not set), `lines` of main.cf, `master` lines, or a function of the site. `mend` is a
    pattern for what mends it; where that is no command line, `cure` does what it says."""

    def __init__(self, name, level, text, mend, main=None, *, lines="", master=None, make=None,
                 cure=None):
        self.name, self.level, self.text, self.mend = name, level, text, mend
        self.main, self.lines, self.master = main, lines, master
        self.make, self.cure = make, cure

    def __repr__(self):
        return f"{self.name}: {self.text}"


def without(*names):
    return {name: None for name in names}


def submission(option):
    return MASTER_CF.replace("  -o smtpd_sasl_auth_enable=yes\n",
                             f"  -o smtpd_sasl_auth_enable=yes\n  -o {option}\n")


def stale_map(site):
    """A map made before there was more than one domain."""
    text = site.map.read_text(encoding="utf-8")
    site.map.write_text("\n".join(line for line in text.splitlines() if "example\\.org" not in line)
                        + "\n", encoding="utf-8")


def greedy_map(site):
    site.map.write_text(r'/^("?)prvs=[0-9]{4}[0-9A-Fa-f]{6}=(.+)$/ $1$2' + "\n", encoding="utf-8")


def script_filter(site):
    """As in Postfix's FILTER_README, named by a table."""
    script = site.postfix.file("filter", '#!/bin/sh\nSENDMAIL="/usr/sbin/sendmail -G -i"\n')
    table = site.postfix.file("checks", "/^Subject: x/ FILTER scan:dummy\n")
    site.postfix.write({"header_checks": f"regexp:{table}"}, master=MASTER_CF + "scan unix - n n - 10 pipe "
                       f"flags=Rq user=nobody argv={script} -f ${{sender}} -- ${{recipient}}\n")


# Kinds of tables that postmap makes: which there are depends on the release and its packages.
INDEXED = ("hash", "btree", "cdb", "lmdb")


def closed(parameter, restrictions, text, main=None, *, table="hash"):
    """Sets the parameter, with {} for the path of a table of that text."""
    def make(site):
        path = site.postfix.file("access", text)
        if table in INDEXED:
            site.postfix.run(f"postmap {table}:{path}")
        site.postfix.write({**(main or {}), parameter: restrictions.format(path)})
    return make


def closed_service(site, restrictions):
    path = site.postfix.file("access", "all@example.com REJECT\n")
    site.postfix.run(f"postmap hash:{path}")
    value = restrictions.format(path, site.map)
    site.postfix.write(master=submission(f"{{ smtpd_client_restrictions = {value} }}"))


def second_instance(site):
    other = site.postfix.folder / "other"
    other.mkdir(exist_ok=True)
    (other / "main.cf").write_text("myhostname = in.example.net\n", encoding="ascii")
    (other / "master.cf").write_text("", encoding="ascii")
    site.postfix.write({"multi_instance_directories": str(other)})


def no_map(site):
    site.map.unlink()


def default_values(*names):
    return lambda site: site.postfix.write(without(*names))


def ordinary(site):
    site.postfix.write()


FAULTS = [
    # the milters
    Fault("postfix.smtpd_milters", "fail", "not set", r"^postconf .*'smtpd_milters = ",
          {"smtpd_milters": ""}),
    Fault("postfix.smtpd_milters", "fail", "inet:localhost:11332",
          r"'smtpd_milters = inet:localhost:11332, unix:", {"smtpd_milters": "inet:localhost:11332"}),
    Fault("postfix.non_smtpd_milters", "fail", "sendmail", r"'non_smtpd_milters = \$smtpd_milters'",
          {"non_smtpd_milters": ""}),
    Fault("postfix.non_smtpd_milters", "fail", "sendmail",
          r"'non_smtpd_milters = inet:localhost:1, unix:", {"non_smtpd_milters": "inet:localhost:1"}),
    Fault("postfix.listeners", "fail", "submission .*without a tag",
          r"-PX submission/inet/smtpd_milters", master=submission("smtpd_milters=")),
    Fault("postfix.listeners", "fail", "submission .*inet:localhost:8891",
          r"-P .*submission/inet/smtpd_milters=inet:localhost:8891,unix:",
          master=submission("smtpd_milters=inet:localhost:8891")),
    Fault("postfix.listeners", "fail", "no_milters",
          r"-P .*receive_override_options=no_address_mappings",
          master=submission("receive_override_options=no_milters,no_address_mappings")),
    Fault("postfix.listeners", "fail", "smtp .*backscatter", r"-PX smtp/inet/smtpd_milters",
          master=MASTER_CF.replace("- - smtpd\n", "- - smtpd -o smtpd_milters=\n", 1)),
    Fault("postfix.listeners", "fail", "^smtp .*no_milters", r"'receive_override_options = '",
          {"receive_override_options": "no_milters"}),
    Fault("postfix.re-injection", "fail", "127.0.0.1:10025",
          r"-P 127\.0\.0\.1:10025/inet/smtpd_milters=|-P '127\.0\.0\.1:10025/inet/smtpd_milters='",
          {"content_filter": "scan:[127.0.0.1]:10024"}, master=MASTER_CF + FILTER + REINJECT),
    Fault("postfix.re-injection", "fail", "127.0.0.1:10025", r"-P .*10025/inet/smtpd_milters=",
          master=MASTER_CF.replace("- - smtpd\n", "- - smtpd -o content_filter=scan:x\n", 1) + FILTER
          + REINJECT),
    Fault("postfix.pipe_filters", "warn", "^scan .*sendmail", r'relays = \[ "local" \];',
          {"content_filter": "scan:x"}, master=MASTER_CF + PIPE,
          cure=lambda site: site.postfix.write(master=MASTER_CF)),
    Fault("postfix.pipe_filters", "warn", "^scan .*sendmail", r'relays = \[ "local" \];',
          master=MASTER_CF.replace("- - smtpd\n", "- - smtpd -o content_filter=scan:\n", 1) + PIPE,
          cure=lambda site: site.postfix.write(master=MASTER_CF)),
    Fault("postfix.pipe_filters", "warn", "^scan .*sendmail", r'relays = \[ "local" \];',
          {"smtpd_sender_restrictions": "check_sender_access static:{FILTER scan:x}"},
          master=MASTER_CF + PIPE, cure=lambda site: site.postfix.write(master=MASTER_CF)),
    Fault("postfix.pipe_filters", "warn", "^scan .*sendmail", r'relays = \[ "local" \];',
          make=script_filter, cure=lambda site: site.postfix.write(master=MASTER_CF)),
    Fault("postfix.own_names", "warn", r"^out\.example\.net .*submission", r'"out.example.net" to own_names',
          master=submission("myhostname=out.example.net"),
          cure=lambda site: site.postfix.write(master=MASTER_CF)),
    Fault("postfix.own_names", "warn", r"^in\.example\.net .*/other", r'"in.example.net" to own_names',
          make=second_instance, cure=lambda site: site.postfix.write()),
    Fault("postfix.smtpd_proxy_filter", "fail", "smtp .*127.0.0.1:10024",
          r"smtp/inet/smtpd_proxy_filter=.* .*smtp/inet/content_filter=smtp:127\.0\.0\.1:10024",
          master=MASTER_CF.replace("- - smtpd\n",
                                   "- - smtpd -o smtpd_proxy_filter=127.0.0.1:10024\n", 1)),
    Fault("postfix.chroot", "fail", "in a chroot", r"listen = \"unix:\S+/queue/batvd/milter.sock\"",
          master=MASTER_CF.replace("n - n", "n - y", 1),
          cure=lambda site: site.postfix.write(master=MASTER_CF)),
    Fault("postfix.milters", "fail", r"^nobody answers at inet:localhost:1 .*: all mail is deferred: Connection",
          r"^start .*; to go without it: postconf .*'smtpd_milters = unix:\S+'",
          {"smtpd_milters": "inet:localhost:1, @OURS@"},
          cure=lambda site: site.postfix.write()),
    Fault("postfix.milters", "fail", r"^nobody answers at unix:gone.sock .*: all mail is rejected: No such",
          r"'smtpd_milters = unix:\S+'", {"smtpd_milters": "@OURS@ { unix:gone.sock, default_action=reject }"},
          cure=lambda site: site.postfix.write()),
    Fault("postfix.milters", "warn", r"^nobody answers at unix:/gone.sock .*: mail passes without it: ",
          r"'smtpd_milters = unix:\S+'", {"smtpd_milters": "@OURS@ { unix:/gone.sock, default_action=accept }"},
          cure=lambda site: site.postfix.write()),
    Fault("postfix.milters", "fail", r"^nobody answers at unix:batvd/milter.sock .*batvd's address before",
          r"'smtpd_milters = unix:\S+/milter.sock'", {"smtpd_milters": "unix:batvd/milter.sock, @OURS@"}),
    Fault("postfix.milters", "fail", r"inet:localhost:1 \(smtpd_milters of submission\): all mail is held",
          r"-P 'submission/inet/smtpd_milters=unix:\S+' ",
          master=MASTER_CF.replace("  -o smtpd_sasl_auth_enable=yes\n", "  -o { smtpd_milters = { inet:localhost:1, "
                                   "default_action=quarantine } @OURS@ }\n"),
          cure=lambda site: site.postfix.write(master=MASTER_CF)),
    Fault("postfix.milters", "fail", r"^nobody answers at nonsense .*: expected unix:PATH or inet:HOST:PORT$",
          r"'smtpd_milters = unix:\S+'", {"smtpd_milters": "nonsense @OURS@"},
          cure=lambda site: site.postfix.write()),
    Fault("postfix.smtpd_milter_maps", "warn", "cidr", r"-X smtpd_milter_maps",
          {"smtpd_milter_maps": "cidr:/etc/postfix/x"}),
    Fault("postfix.milter_default_action", "fail", "accept, expected tempfail",
          r"'milter_default_action = tempfail'", {"milter_default_action": "accept"}),
    Fault("postfix.milter_default_action", "fail", "accept, expected tempfail",
          r"'smtpd_milters = inet:localhost:1, \{ unix:\S+, default_action=tempfail \}'",
          {"smtpd_milters": "inet:localhost:1, @OURS@", "milter_default_action": "accept"}),
    Fault("postfix.milter_default_action", "fail", "not deferred: .*default_action=accept .* in smtpd_milters",
          r"'smtpd_milters = \{ unix:\S+, default_action=tempfail \}'",
          {"smtpd_milters": "{ @OURS@, default_action=accept }"}),
    Fault("postfix.milter_default_action", "fail", "^while batvd is away, mail at submission .*master.cf",
          r"'smtpd_milters = inet:localhost:1, \{ unix:\S+, default_action=tempfail \}'",
          {"smtpd_milters": "inet:localhost:1, @OURS@"},
          master=submission("milter_default_action=accept")),
    Fault("postfix.milter_default_action", "fail", "^while batvd is away, mail at submission .*main.cf",
          r"-P .*submission/inet/smtpd_milters=inet:localhost:1,\{unix:\S+,default_action=tempfail\}",
          {"smtpd_milters": "inet:localhost:1, { @OURS@, default_action=tempfail }",
           "milter_default_action": "accept"},
          master=submission("{ smtpd_milters = inet:localhost:1, @OURS@ }")),
    Fault("postfix.milter_default_action", "fail", "is rejected",
          r"'milter_default_action = tempfail'", {"milter_default_action": "reject"}),
    Fault("postfix.milter_default_action", "fail", "submission .*master.cf",
          r"-PX submission/inet/milter_default_action", master=submission("milter_default_action=accept")),
    Fault("postfix.milter_macros", "fail", r"^milter_mail_macros lacks \{auth_type\}, \{auth_authen\}: .*"
          "authenticated", r"'milter_mail_macros = i \{mail_addr\} \{auth_type\} \{auth_authen\}'",
          {"milter_mail_macros": "i {mail_addr}"}),
    Fault("postfix.milter_macros", "fail", r"^milter_mail_macros lacks \{mail_addr\}: ",
          r"'milter_mail_macros = \{auth_authen\}, i \{mail_addr\}'",
          {"milter_mail_macros": "{auth_authen}, i"}),
    Fault("postfix.milter_macros", "fail", r"lacks \{rcpt_addr\}, \{rcpt_mailer\}, \{rcpt_host\}: ",
          r"'milter_rcpt_macros = \{rcpt_addr\} \{rcpt_mailer\} \{rcpt_host\}'",
          {"milter_rcpt_macros": ""}),
    Fault("postfix.milter_macros", "fail", r"^milter_rcpt_macros lacks \{rcpt_mailer\}: .*<alice>",
          r"'milter_rcpt_macros = \$mine, \{rcpt_addr\} \{rcpt_mailer\}'",
          lines="mine = i {rcpt_host}\nmilter_rcpt_macros = $mine, {rcpt_addr}\n"),
    Fault("postfix.milter_macros", "fail", "^milter_connect_macros lacks j: ",
          r"'milter_connect_macros = v _ j'", {"milter_connect_macros": "v _"}),
    Fault("postfix.milter_macros", "warn", "^milter_data_macros lacks i: .*queue ID",
          r"'milter_data_macros = i'", {"milter_data_macros": ""}),
    Fault("postfix.milter_macros", "fail", r"^milter_rcpt_macros of submission .*lacks \{rcpt_mailer\}: ",
          r"-P 'submission/inet/milter_rcpt_macros=i,\{rcpt_addr\},\{rcpt_host\},\{rcpt_mailer\}'",
          master=submission("{ milter_rcpt_macros = i {rcpt_addr} {rcpt_host} }")),
    Fault("postfix.milter_macros", "fail", r"^milter_mail_macros of cleanup .*lacks \{mail_addr\}: ",
          r"-P 'cleanup/unix/milter_mail_macros=\{auth_type\},\{mail_addr\}'",
          master=MASTER_CF.replace("0 cleanup\n", "0 cleanup -o milter_mail_macros={auth_type}\n")),
    Fault("postfix.milter_macros", "fail", "expected 6", r"-X milter_protocol",
          {"milter_protocol": "2"}),
    Fault("postfix.internal_mail_filter_classes", "fail", "bounce", r"-X internal_mail_filter_classes",
          {"internal_mail_filter_classes": "bounce"}),
    Fault("postfix.internal_mail_filter_classes", "warn", "notify", r"-X internal_mail_filter_classes",
          {"internal_mail_filter_classes": "notify"}),

    # the map
    Fault("postfix.recipient_canonical_maps", "fail", "not set", r"batvctl -c \S+ mta postfix --map-path \S+ \| sh",
          {"recipient_canonical_maps": ""}, cure=ordinary),
    Fault("postfix.recipient_canonical_maps", "fail", "batvd-check.example.org",
          r"mta postfix --part map > \S+/batv\.pcre", make=stale_map),
    Fault("postfix.recipient_canonical_maps", "fail", "other sites' tags",
          r"mta postfix --part map > \S+/batv\.pcre", make=greedy_map),
    Fault("postfix.recipient_canonical_maps", "fail", "cannot be read",
          r"mta postfix --part map > \S+/batv\.pcre", make=no_map),
    Fault("postfix.recipient_canonical_maps", "fail", "texthash:/nowhere", r"^postmap .*texthash:/nowh",
          lines="recipient_canonical_maps = pcre:@MAP@ texthash:/nowhere\n", cure=ordinary),
    Fault("postfix.recipient_canonical_maps", "fail", "hash:/nowhere", r"^postmap .*hash:/nowhere$",
          lines="recipient_canonical_maps = hash:/nowhere pcre:@MAP@\n", cure=ordinary),
    Fault("postfix.recipient_canonical_maps", "fail", "unsupported dictionary",
          r"apt-get install postfix-pcre", {"recipient_canonical_maps": "pcr:/etc/postfix/batv.pcre"},
          cure=ordinary),
    Fault("postfix.recipient_canonical_maps", "warn", "comes first",
          r"'recipient_canonical_maps = pcre:\S+/batv\.pcre, regexp:\S+/all\.regexp'",
          lines="recipient_canonical_maps = regexp:@DIR@/all.regexp pcre:@MAP@\n"),
    Fault("postfix.recipient_canonical_maps", "warn", "comes first", r"^put pcre:\S+ first among",
          lines="both = regexp:@DIR@/all.regexp pcre:@MAP@\nrecipient_canonical_maps = $both\n",
          cure=ordinary),
    Fault("postfix.recipient_canonical_classes", "fail", "headers",
          r"'recipient_canonical_classes = envelope_recipient'",
          without("recipient_canonical_classes")),
    Fault("postfix.recipient_canonical_classes", "fail", "not removed",
          r"'recipient_canonical_classes = envelope_recipient'",
          {"recipient_canonical_classes": "header_recipient"}),
    Fault("postfix.sender_rewriting", "fail", "in canonical_maps", r"^remove \S+ from the parameters that make up canonical_maps",
          lines="canonical_maps = $recipient_canonical_maps\n",
          cure=ordinary),
    Fault("postfix.sender_rewriting", "fail", "in canonical_maps", r"'canonical_maps = inline:",
          lines="canonical_maps = inline:{x=y}, pcre:@MAP@\n"),
    Fault("postfix.sender_rewriting", "fail", "in sender_canonical_maps",
          r"'sender_canonical_maps = '", lines="sender_canonical_maps = pcre:@MAP@\n"),

    # domains, networks, senders
    Fault("postfix.domains", "warn", r"^foreign\.test ", r'add "foreign\.test" to domains',
          {"relay_domains": "foreign.test"}, cure=ordinary),
    Fault("postfix.mynetworks", "warn", r"10\.1\.0\.0/16",
          r'in \S+/batvd\.conf: internal_networks = \[ "127\.0\.0\.2/32", "10\.1\.0\.0/16" \]; .*without a tag',
          {"mynetworks": "127.0.0.2/32, 10.1.0.0/16"}, cure=ordinary),
    Fault("postfix.mynetworks", "warn", r"2001:db8::/32", r"internal_networks",
          {"mynetworks": "127.0.0.2/32 !192.0.2.1 [2001:db8::]/32"}, cure=ordinary),
    Fault("postfix.mynetworks", "warn", r"192\.0\.2\.0/24", r"internal_networks",
          lines="mynetworks = @DIR@/networks\n", cure=ordinary),
    Fault("postfix.mynetworks", "warn", r"198\.51\.100\.0/24", r"internal_networks",
          lines="mynetworks = cidr:@DIR@/networks.cidr\n", cure=ordinary),
    Fault("postfix.mynetworks", "warn", "cannot be compared.*hash:/etc/x", r"internal_networks",
          {"mynetworks": "127.0.0.2/32 hash:/etc/x"}, cure=ordinary),
    Fault("postfix.masquerade_domains", "fail", "batvd has signed it.*xn--bcher",
          r"'masquerade_classes = header_sender, header_recipient'", {"masquerade_domains": "example"}),
    Fault("postfix.masquerade_domains", "warn", "unsigned",
          r"'masquerade_classes = header_sender, header_recipient'",
          {"masquerade_domains": "!x.example.com example.com"}),
    Fault("postfix.sender_maps", "warn", "sender_canonical_maps", r"@example\.com",
          {"sender_canonical_maps": "inline:{x=y}"}, cure=ordinary),
    Fault("postfix.sender_maps", "warn", "smtp_generic_maps", r"@example\.com",
          {"smtp_generic_maps": "inline:{x=y}"}, cure=ordinary),
    Fault("postfix.sender_maps", "warn", "sender_dependent_relayhost_maps", r"@example\.com",
          {"sender_dependent_relayhost_maps": "inline:{x=y}"}, cure=ordinary),
    Fault("postfix.sender_maps", "warn", "sender_dependent_default_transport_maps", r"@example\.com",
          {"sender_dependent_default_transport_maps": "inline:{x=y}"}, cure=ordinary),

    # backscatter of its own
    Fault("backscatter.relay_recipient_maps", "warn", "relay.example",
          r"relay_recipient_maps = hash:", {"relay_domains": "relay.example"},
          cure=lambda site: site.postfix.write({"relay_domains": "relay.example",
                                                "relay_recipient_maps": "inline:{a@relay.example=x}"})),
    Fault("backscatter.relay_recipient_maps", "warn", "relay.example",
          r"relay_recipient_maps = hash:", {"relay_domains": "$mydestination, relay.example"},
          cure=lambda site: site.postfix.write({"relay_domains": "$mydestination"})),
    Fault("backscatter.catch-all", "warn", "virtual_alias_maps .*for example.com", r"an entry for each",
          {"virtual_alias_maps": "inline:{@example.com=alice@example.com}"}, cure=ordinary),
    Fault("backscatter.catch-all", "warn", "virtual_mailbox_maps", r"an entry for each",
          {"virtual_mailbox_maps": "static:all"}, cure=ordinary),
    Fault("backscatter.catch-all", "warn", "relay_recipient_maps", r"an entry for each",
          lines="relay_recipient_maps = regexp:@DIR@/all.regexp\n", cure=ordinary),
    Fault("backscatter.catch-all", "warn", "cannot be queried.*nowhere", r"^postmap .*texthash:/nowhere",
          {"virtual_alias_maps": "texthash:/nowhere"}, cure=ordinary),
    Fault("backscatter.srs", "warn", "SRS0=anything .*for example.com", r"exclude: \{ recipients =",
          {"virtual_alias_maps": "inline:{@example.com=alice@example.com}"}, cure=ordinary),
    Fault("backscatter.srs", "warn", "for example.com", r"exclude: \{ recipients =",
          {"virtual_mailbox_maps": "static:all"}, cure=ordinary),
    Fault("backscatter.srs", "warn", "for example.com", r"exclude: \{ recipients =",
          {"mydestination": "example.com", "luser_relay": "all@other.test"},
          cure=lambda site: site.postfix.write({"mydestination": "example.com"})),
    Fault("postfix.myorigin", "warn", r"sends as root@host\.test", r'add "host\.test" to domains,',
          {"myorigin": "host.test"}, cure=ordinary),
    Fault("postfix.myorigin", "warn", r"sends as root@mailname\.test",
          r'add "mailname\.test" to domains,', lines="myorigin = @DIR@/mailname\n", cure=ordinary),
    Fault("postfix.dkim2", "warn", r"whatever the order of the milters: unix:DKIM2/sign$",
          r"exclude_sign\.senders", lines="non_smtpd_milters = $smtpd_milters, unix:DKIM2/sign\n",
          cure=lambda site: site.postfix.write({"non_smtpd_milters": "$smtpd_milters"})),
    Fault("postfix.verp", "fail", r'default_verp_delimiters is "\+-"', r"delimiters = \+=",
          {"default_verp_delimiters": "+-"}),
    Fault("postfix.verp", "fail", r'default_verp_delimiters is "-\+"', r"delimiters = -=",
          {"default_verp_delimiters": "-+"}),
    Fault("postfix.verp", "fail", r'default_verp_delimiters is "#="', r"delimiters = \+=",
          {"default_verp_delimiters": "#=", "verp_delimiter_filter": "-=+#"}),
    Fault("postfix.verp", "warn", r'verp_delimiter_filter is "-=\+#"', r"-X verp_delimiter_filter",
          {"smtpd_authorized_verp_clients": "127.0.0.1", "verp_delimiter_filter": "-=+#"}),
    Fault("backscatter.luser_relay", "warn", "other.test", r"-X luser_relay",
          {"luser_relay": "$user@other.test"}),
    Fault("backscatter.unlisted_recipients", "warn", "expected yes",
          r"smtpd_reject_unlisted_recipient = yes", {"smtpd_reject_unlisted_recipient": "no"}),
    Fault("backscatter.unlisted_recipients", "warn", "smtp .*no|smtp .*master.cf",
          r"-PX smtp/inet/smtpd_reject_unlisted_recipient",
          master=MASTER_CF.replace("- - smtpd\n",
                                   "- - smtpd -o smtpd_reject_unlisted_recipient=no\n", 1)),
    Fault("backscatter.unlisted_recipients", "warn", "smtp .*receive_override_options",
          r"-PX smtp/inet/receive_override_options",
          master=MASTER_CF.replace(
              "- - smtpd\n",
              "- - smtpd -o receive_override_options=no_unknown_recipient_checks\n", 1)),
    Fault("backscatter.local_recipient_maps", "warn", "mail.example.org", r"-X local_recipient_maps",
          {"local_recipient_maps": ""}),
    Fault("postfix.recipient_access", "warn",
          r"hash:\S+/access \(smtpd_recipient_restrictions in main.cf\).*all@example.com \(REJECT closed\)$",
          r"check_recipient_access pipemap:\{pcre:\S+,hash:\S+/access\}",
          make=closed("smtpd_recipient_restrictions", "permit_mynetworks, check_recipient_access hash:{}",
                      "all@example.com REJECT closed\nalice@example.com OK\nbob@example.com DUNNO\n"
                      "x@other.test REJECT\n")),
    Fault("postfix.recipient_access", "warn", r"boss@example.com \(insiders\)",
          r"smtpd_relay_restrictions = .*pipemap:",
          make=closed("smtpd_relay_restrictions", "check_recipient_access proxy:hash:{} permit",
                      "boss@example.com insiders\n")),
    Fault("postfix.recipient_access", "warn", r"vip \(inet|vip in main|\(vip .*all@example.com \(450 later\)",
          r"'vip = check_recipient_access hash:",
          {"smtpd_restriction_classes": "vip"},
          make=closed("vip", "check_recipient_access hash:{}", "all@example.com 450 later\n",
                      {"smtpd_restriction_classes": "vip"})),
    Fault("postfix.recipient_access", "warn", r"smtpd_client_restrictions in submission\).*all@example.com",
          r"write check_recipient_access pipemap:.* in master.cf",
          make=lambda site: closed_service(site, "check_recipient_access hash:{0}"),
          cure=lambda site: closed_service(
              site, "check_recipient_access hash:{0},check_recipient_access pipemap:{{pcre:{1},hash:{0}}}")),
    Fault("postfix.recipient_access", "warn", r"regexp:\S+/access.*: (team|list)@example.com \(REJECT\), "
          r"(team|list)@example.com \(REJECT\), board@example.com \(REJECT\)$", r"pipemap:\{pcre:\S+,regexp:",
          make=closed("smtpd_data_restrictions", "check_recipient_access regexp:{}",
                      "/^(team|list)@example\\.com$/ REJECT\n/^board@/ REJECT\n/@other\\.test$/ REJECT\n"
                      "/^alice@/ OK\n/@example\\.org$/ REJECT\n", table="regexp")),
    Fault("postfix.recipient_access", "warn", r"line 2, one of 1, is not understood", r"pipemap:",
          make=closed("smtpd_recipient_restrictions", "check_recipient_access pcre:{}",
                      "/^bob@example\\.com$/ OK\n/^(?!bob@).+@example\\.com$/ REJECT\n", table="pcre")),
    Fault("postfix.recipient_access", "warn", r"known@example.com \(REJECT\)$", r"pipemap:",
          make=closed("smtpd_recipient_restrictions", "check_recipient_access pcre:{}",
                      "/^k(?=nown)nown@example\\.com$/ REJECT\n", {"virtual_alias_maps":
                      "inline:{known@example.com=x, alice@example.com=x}"}, table="pcre")),
    Fault("postfix.unlisted_sender", "warn", r"\(smtpd_reject_unlisted_sender\)", r"forged_sender = \"reject\"",
          {"smtpd_reject_unlisted_sender": "yes"}, cure=ordinary),
    Fault("postfix.unlisted_sender", "warn", r"\(smtpd_sender_restrictions\)", r"forged_sender",
          {"smtpd_sender_restrictions": "permit_mynetworks, reject_unlisted_sender"}, cure=ordinary),
    Fault("postfix.unlisted_sender", "warn", r"\(smtpd_reject_unlisted_sender\)", r"forged_sender",
          master=submission("smtpd_reject_unlisted_sender=yes"),
          cure=lambda site: site.postfix.write(master=MASTER_CF)),
]


def break_it(site, fault):
    folder = site.postfix.folder
    site.postfix.file("networks", "# ours\n127.0.0.2/32 # here\n192.0.2.0/24\n")
    site.postfix.file("networks.cidr", "127.0.0.2/32 OK\n198.51.100.0/24 OK\n")
    site.postfix.file("mailname", "mailname.test\n")
    site.postfix.file("all.regexp", "/@example\\.com$/ x\n")
    lines = fault.lines.replace("@DIR@", str(folder)).replace("@MAP@", str(site.map))
    main = {name: value and value.replace("@OURS@", site.batvd.listen)
            for name, value in (fault.main or {}).items()}
    master = fault.master and fault.master.replace("@OURS@", site.batvd.listen)
    for name in re.findall(r"(?m)^(\w+) =", lines):
        main[name] = None
    site.postfix.write(main, lines=lines, master=master)
    if fault.make:
        fault.make(site)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_fault_is_found_and_mended(site, fault):
    break_it(site, fault)
    found = [finding for finding in bad(of(site.check(), fault.name))
             if re.search(fault.text, finding["text"])]
    assert len(found) == 1, of(site.check(), fault.name)
    assert found[0]["level"] == fault.level
    assert re.search(fault.mend, found[0]["mend"]), found[0]["mend"]
    if fault.cure:
        fault.cure(site)
    else:
        site.postfix.run(found[0]["mend"])
    assert not bad(of(site.check(), fault.name))


def test_every_check_of_postfix_is_in_the_table(site):
    checks = {finding["name"] for finding in site.check()
              if re.match(r"(postfix|backscatter)\.", finding["name"])}
    untried = checks - {fault.name for fault in FAULTS}
    # The first has a test of its own, since it needs another configuration of batvd; the others have
    # theirs in test_list_owners and test_header_maps.py.
    assert untried == {"postfix.recipient_delimiter", "postfix.list_owners",
                       "postfix.header_checks"}


def test_names_and_a_relay_that_are_told(ended_well):
    """What the two findings on mail that is handed in again ask for ends them."""
    with Site({"own_names": ["*.example.net"], "relays": ["local"]}) as site:
        site.postfix.write({"content_filter": "scan:x"}, master=submission(
            "myhostname=out.example.net") + PIPE)
        found = site.check()
        assert not bad(of(found, "postfix.pipe_filters") + of(found, "postfix.own_names"))


WELL = [
    ("postfix.smtpd_milters", {"smtpd_milters": "inet:localhost:1, { @SOCKET@, connect_timeout=3s }"}),
    ("postfix.smtpd_milters", {"batv": "@SOCKET@", "smtpd_milters": "${batv}"}),
    ("postfix.smtpd_milters", {"smtpd_milters": "local:@PATH@"}),
    ("postfix.milter_default_action", {"smtpd_milters": "{ @SOCKET@, default_action=tempfail }"}),
    ("postfix.milter_default_action", {"milter_default_action": "shutdown"}),
    ("postfix.milter_default_action", {"smtpd_milters": "{ @SOCKET@, default_action=shutdown }"}),
    ("postfix.milter_default_action", {"smtpd_milters": "inet:localhost:1 { @SOCKET@, default_action=tempfail }",
                                       "milter_default_action": "accept"}),
    ("postfix.re-injection", {"content_filter": "scan:[127.0.0.1]:10024"}),
    ("postfix.pipe_filters", {"content_filter": "scan:[127.0.0.1]:10024"}),
    ("postfix.mynetworks", {"mynetworks": "127.0.0.2"}),
    ("postfix.mynetworks", {"mynetworks": "127.0.0.2/32 !10.0.0.1 [::ffff:127.0.0.2]/128"}),
    ("postfix.masquerade_domains", {"masquerade_domains": "example.com",
                                    "masquerade_classes": "header_sender"}),
    ("postfix.masquerade_domains", {"masquerade_domains": "other.test"}),
    ("postfix.recipient_canonical_maps", {"recipient_canonical_maps": "inline:{x=y}, regexp:@MAP@"}),
    # Without the map there is nothing to take off anywhere.
    ("postfix.recipient_canonical_classes", {"recipient_canonical_maps": "",
                                             "recipient_canonical_classes": None}),
    ("postfix.recipient_canonical_classes", {"recipient_canonical_maps": "inline:{x=y}",
                                             "recipient_canonical_classes": None}),
    ("postfix.sender_rewriting", {"canonical_maps": "inline:{x=y}"}),
    ("postfix.verp", {"smtpd_authorized_verp_clients": "127.0.0.1"}),
    ("postfix.verp", {"default_verp_delimiters": "==", "verp_delimiter_filter": "="}),
    ("postfix.verp", {"verp_delimiter_filter": "-=+#"}),         # nobody may ask
    ("backscatter.relay_recipient_maps", {"relay_domains": "relay.example",
                                          "smtpd_recipient_restrictions":
                                          "permit_mynetworks, reject_unverified_recipient"}),
    ("backscatter.unlisted_recipients", {"smtpd_reject_unlisted_recipient": "no",
                                         "smtpd_recipient_restrictions":
                                         "reject_unlisted_recipient, reject_unauth_destination"}),
    ("postfix.recipient_access", {"smtpd_recipient_restrictions":
                                  "check_recipient_access inline:{all@other.test=reject}"}),
    ("postfix.recipient_access", {"smtpd_recipient_restrictions":
                                  "check_recipient_access inline:{alice@example.com=OK, x@example.com=DUNNO, "
                                  "y@example.com=permit, z@example.com=prepend, n@example.com=200}"}),
    # The domain closes the tagged form as well.
    ("postfix.recipient_access", {"smtpd_recipient_restrictions":
                                  "check_recipient_access inline:{all@example.com=reject, example.com=defer}"}),
    ("postfix.recipient_access", {"smtpd_recipient_restrictions":
                                  "check_recipient_access inline:{all@host.example.org=reject, .example.org=451}"}),
    # Without the map no tag opens anything.
    ("postfix.recipient_access", {"smtpd_recipient_restrictions":
                                  "check_recipient_access inline:{all@example.com=reject}",
                                  "recipient_canonical_maps": "inline:{x=y}"}),
    ("postfix.unlisted_sender", {"smtpd_reject_unlisted_sender": "no"}),
    ("backscatter.catch-all", {"virtual_alias_maps": "inline:{alice@example.com=x, @other.test=y}"}),
]


@pytest.mark.parametrize("name, main", WELL, ids=lambda value: str(value)[:60])
def test_what_is_well_is_left_alone(site, name, main):
    path = f"{site.batvd.run}/milter.sock"
    filled = {key: value and value.replace("@SOCKET@", f"unix:{path}").replace("@PATH@", path)
              .replace("@MAP@", str(site.map)) for key, value in main.items()}
    listener = "127.0.0.1:10025 inet n - n - - smtpd -o smtpd_milters=\n"
    site.postfix.write(filled, master=MASTER_CF + FILTER + listener)
    assert not bad(of(site.check(), name))


def test_a_map_for_domains_that_came_later(site):
    site.batvd.configure({"domains": (*DOMAINS, "new.example")})
    try:
        found, = bad(of(site.check(rc=1), "postfix.recipient_canonical_maps"))
        assert "postmaster@new.example" in found["text"] and "example.com" not in found["text"]
        site.postfix.run(found["mend"])
        assert not bad(of(site.check(), "postfix.recipient_canonical_maps"))
    finally:
        site.batvd.configure({"domains": DOMAINS})


@pytest.mark.parametrize("name, main, config", [
    ("postfix.myorigin", {"myorigin": "host.test"}, {"domains": (*DOMAINS, "host.test")}),
    ("backscatter.srs", {"virtual_alias_maps": "inline:{@example.com=alice@example.com}"}, None),
])
def test_what_check_says_of_the_configuration_mends_it(site, name, main, config):
    site.postfix.write(main)
    found, = bad(of(site.check(), name))
    mend = re.search(r"exclude: .*\};", found["mend"])
    before = site.batvd.conf.read_text(encoding="utf-8")
    try:
        if config:
            site.batvd.configure(config)
        else:
            site.batvd.conf.write_text(before + mend[0] + "\n", encoding="utf-8")
        assert not bad(of(site.check(), name))
    finally:
        site.batvd.conf.write_text(before, encoding="utf-8")


def test_judging_senders_ends_what_is_said_of_them(site):
    site.postfix.write({"smtpd_reject_unlisted_sender": "yes"})
    assert bad(of(site.check(), "postfix.unlisted_sender"))
    site.batvd.configure({"domains": DOMAINS, "verify": {"forged_sender": "tempfail"}})
    try:
        assert not bad(of(site.check(), "postfix.unlisted_sender"))
    finally:
        site.batvd.configure({"domains": DOMAINS})


def test_very_many_closed_addresses(site):
    """Some are tried, and that is said."""
    closed("smtpd_recipient_restrictions", "check_recipient_access hash:{}",
           "".join(f"u{n}@example.com REJECT\n" for n in range(6000)))(site)
    found = bad(of(site.check(), "postfix.recipient_access"))
    assert [re.search(r"and \d+ more|only 5000", finding["text"])[0].split()[0] for finding in found] == [
        "and", "only"]
    site.postfix.run(found[0]["mend"])
    assert not bad(of(site.check(), "postfix.recipient_access"))


@pytest.mark.parametrize("kind", INDEXED)
def test_closed_addresses_in_every_kind_of_table(site, kind):
    if kind not in site.postfix.run("postconf -m").split():
        pytest.skip(f"this Postfix has no {kind} tables (package postfix-{kind})")
    closed("smtpd_recipient_restrictions", f"check_recipient_access {kind}:{{}}",
           "all@example.com REJECT closed\nalice@example.com OK\n", table=kind)(site)
    found, = bad(of(site.check(), "postfix.recipient_access"))
    assert found["text"].endswith("all@example.com (REJECT closed)"), found
    site.postfix.run(found["mend"])
    assert not bad(of(site.check(), "postfix.recipient_access"))


def test_a_table_that_cannot_be_read(site):
    site.postfix.write({"smtpd_recipient_restrictions": "check_recipient_access hash:/nonexistent/access"})
    found, = bad(of(site.check(), "postfix.recipient_access"))
    assert "cannot be queried" in found["text"]


def test_every_service_may_name_batvd_itself(site):
    own = f"- - smtpd -o smtpd_milters=unix:{site.batvd.run}/milter.sock\n"
    site.postfix.write({"smtpd_milters": "", "non_smtpd_milters": f"unix:{site.batvd.run}/milter.sock"},
                       master=MASTER_CF.replace("- - smtpd\n", own))
    found = site.check()
    assert not bad(of(found, "postfix.smtpd_milters")) and not bad(of(found, "postfix.listeners"))


def test_without_postfix_its_settings_are_not_looked_at(site):
    env = {**site.postfix.env(), "MAIL_CONFIG": "/nonexistent"}
    done = site.batvd.ctl("check", "--json", env=env)
    found, = of(done.json, "postfix")
    assert found["level"] == "warn" and "/nonexistent" in found["text"], found
    assert not [one for one in done.json if one["name"].startswith("postfix.")]


def test_recipient_delimiter_for_subaddress_syntax(site):
    site.batvd.configure({"domains": ({"name": "example.com", "syntax": "subaddress"},)})
    try:
        site.postfix.write({"recipient_delimiter": "-"})
        found, = bad(of(site.check(rc=1), "postfix.recipient_delimiter"))
        assert found["level"] == "fail" and "example.com" in found["text"]
        site.postfix.run(found["mend"])
        assert site.postfix.value("recipient_delimiter") == "+-"
        found, = bad(of(site.check(), "postfix.recipient_delimiter"))
        assert found["level"] == "warn" and 'set syntax = "prefix" for example.com' in found["mend"]
        site.postfix.write({"recipient_delimiter": "+"})
        assert not bad(of(site.check(), "postfix.recipient_delimiter"))
        site.postfix.write({"recipient_delimiter": "+-"})
        site.batvd.configure({"domains": ({"name": "example.com", "syntax": "prefix"},)})
        assert not bad(of(site.check(), "postfix.recipient_delimiter"))
    finally:
        site.batvd.configure({"domains": DOMAINS})


@pytest.mark.parametrize("main, options, places", [
    ({"smtpd_authorized_verp_clients": "127.0.0.1"}, "", "main.cf"),
    ({"authorized_verp_clients": "$mynetworks"}, "", "main.cf"),
    (None, " -o smtpd_authorized_verp_clients=127.0.0.0/8", "smtp"),
    ({"smtpd_authorized_verp_clients": "127.0.0.1"},
     " -o smtpd_authorized_verp_clients=127.0.0.0/8", "main.cf, smtp"),
])
def test_verp_in_subaddress_syntax(site, main, options, places):
    lists = {"name": "lists.example", "syntax": "subaddress"}
    silent = {"name": "silent.example", "syntax": "subaddress", "sign": False}
    site.postfix.write(main, master=MASTER_CF.replace("- - smtpd\n", f"- - smtpd{options}\n", 1))
    try:
        assert not bad(of(site.check(), "postfix.verp"))
        site.batvd.configure({"domains": ("example.com", silent)})
        assert not bad(of(site.check(), "postfix.verp"))
        site.batvd.configure({"domains": ("example.com", silent, lists)})
        found, = bad(of(site.check(), "postfix.verp"))
        assert found["level"] == "warn" and f"smtpd_authorized_verp_clients in {places})" in found["text"]
        wish = re.search(r'set syntax = "(\w+)" for lists\.example, then batvd -n', found["mend"])
        lists["syntax"] = wish[1]
        site.batvd.configure({"domains": ("example.com", silent, lists)})
        assert not bad(of(site.check(), "postfix.verp"))
        lists["syntax"] = "subaddress"
        site.batvd.configure({"domains": ("example.com", silent, lists)})
        site.postfix.write(master=MASTER_CF)
        assert not bad(of(site.check(), "postfix.verp"))
    finally:
        site.batvd.configure({"domains": DOMAINS})


# -- paths and chroots ---------------------------------------------------------------------------

def test_a_path_that_a_chroot_makes_wrong(site):
    """The socket lies below the queue directory, but is named from the root."""
    site.postfix.write({"queue_directory": str(site.batvd.folder)},
                       master=MASTER_CF.replace("n - n", "n - y"))
    found, = bad(of(site.check(rc=1), "postfix.chroot"))
    site.postfix.run(found["mend"])
    assert site.postfix.value("smtpd_milters") == "unix:run/milter.sock"
    assert not bad(site.check(rc=0)[1:-1]) or not bad(of(site.check(), "postfix.chroot"))
    assert not bad(of(site.check(), "postfix.smtpd_milters"))


def test_tcp():
    with Site(listen="inet") as site:
        assert not [one for one in bad(site.check(rc=0)) if one["name"] != "warm-up"]
        for name in (f"inet:localhost:{site.batvd.port}", f"inet:127.0.0.1:{site.batvd.port}"):
            site.postfix.write({"smtpd_milters": name})
            assert not bad(of(site.check(rc=0), "postfix.smtpd_milters")), name
        for name in (f"inet:127.0.0.1:{site.batvd.port - 1}", f"inet:127.0.0.7:{site.batvd.port}",
                     f"unix:/run/{site.batvd.port}", "inet:nonsense"):
            site.postfix.write({"smtpd_milters": name})
            assert bad(of(site.check(rc=1), "postfix.smtpd_milters")), name
        site.batvd.stop()
        found, = bad(of(site.check(rc=1), "socket"))
        assert str(site.batvd.port) in found["text"]


# -- batvd itself --------------------------------------------------------------------------------

@pytest.fixture
def own():
    """A site of the test's own, to be broken."""
    with Site() as made:
        yield made


def expect(site, name, level, text, mend=""):
    found = [one for one in bad(of(site.check(), name)) if re.search(text, one["text"])]
    assert len(found) == 1, of(site.check(), name)
    assert found[0]["level"] == level and re.search(mend, found[0]["mend"]), found
    return found[0]


def test_state_dir(own):
    own.batvd.state.chmod(0o770)
    mend = expect(own, "state_dir", "fail", "0770", "chmod 700")["mend"]
    own.postfix.run(mend)
    assert not bad(of(own.check(), "state_dir"))
    own.batvd.state.chmod(0o755)
    expect(own, "state_dir", "warn", "0755", "chmod 700")
    own.batvd.state.chmod(0o700)
    os.chown(own.batvd.state, 0, 0)
    mend = expect(own, "state_dir", "fail", "belongs to user id 0", "chown -R")["mend"]
    own.postfix.run(mend)
    assert not bad(of(own.check(), "state_dir"))


def test_state_dir_missing(own):
    own.batvd.stop()
    shutil.rmtree(own.batvd.state)
    mend = expect(own, "state_dir", "fail", "No such file", "install -d -m 0700 -o nobody")["mend"]
    own.postfix.run(mend)
    assert not bad(of(own.check(), "state_dir"))


def test_paths_in_commands_are_quoted(own):
    conf = own.batvd.folder / "it's mine.conf"
    shutil.copy(own.batvd.conf, conf)
    own.batvd.ctl("pause", rc=0)
    done = own.batvd.ctl("check", "--json", conf=conf, env=own.postfix.env())
    own.postfix.run(of(done.json, "pause")[0]["mend"])
    assert not bad(of(own.check(), "pause"))


def test_relays_need_not_be_internal(own):
    own.batvd.configure({"domains": DOMAINS, "relays": ["10.1.0.0/16"]})
    own.postfix.write({"mynetworks": "127.0.0.2/32 10.1.2.0/24"})
    assert not bad(of(own.check(), "postfix.mynetworks"))
    own.postfix.write({"mynetworks": "10.0.0.0/8, 10.1.2.0/24 10.3.0.0/16"})
    found = expect(own, "postfix.mynetworks", "warn", '^"10.0.0.0/8", "10.3.0.0/16" may send by mynetworks')
    assert internal_line(found).endswith(', "10.0.0.0/8", "10.3.0.0/16" ];')


def internal_line(finding):
    """The line of configuration that it says to write, with what is said of it."""
    assert "bounces from there are accepted without a tag" in finding["mend"]
    assert "mail from there in your name is signed" in finding["mend"]
    return re.search(r"internal_networks = \[ .*? \];", finding["mend"])[0]


def applies_internal_line(own, former):
    """Writes the line in place of the former one."""
    text = own.batvd.conf.read_text(encoding="utf-8")
    line = internal_line(expect(own, "postfix.mynetworks", "warn", "192.0.2.0/24"))
    own.batvd.conf.write_text(text.replace(former, "") + line + "\n", encoding="utf-8")
    assert not bad(of(own.check(), "postfix.mynetworks")), line
    signed = own.batvd.ctl("explain", "--json", "--client", "127.0.0.1", "--from", "alice@example.com",
                           "--rcpt", "far@other.test", rc=0)
    assert signed.json
    told = own.batvd.ctl("explain", "--client", "127.0.0.1", "--from", "alice@example.com",
                         "--rcpt", "far@other.test", rc=0).out
    assert "signed as <prvs=" in told, told


@pytest.mark.parametrize("former", [
    "", 'internal_networks = [ ];', 'internal_networks = [ "127.0.0.1" ];',
    'internal_networks = [ "127.0.0.0/8", "file:@LIST@", "::1" ];'])
def test_the_whole_line_for_a_network(own, former):
    """Nothing that was in force is lost: not the default, not a file."""
    listed = own.batvd.folder / "networks"
    listed.write_text("10.9.0.0/16\n10.8.0.0/16\n", encoding="ascii")
    listed.chmod(0o644)
    former = former.replace("@LIST@", str(listed))
    text = own.batvd.conf.read_text(encoding="utf-8")
    text = re.sub(r"(?s)internal_networks\s*[=:].*?;", former, text, count=1)
    own.batvd.conf.write_text(text, encoding="utf-8")
    own.postfix.write({"mynetworks": "192.0.2.0/24" + (" 10.9.0.0/16" if "file:" in former else "")})
    if former == "internal_networks = [ ];":
        line = internal_line(expect(own, "postfix.mynetworks", "warn", "192.0.2.0/24"))
        assert line == 'internal_networks = [ "192.0.2.0/24" ];'
    else:
        applies_internal_line(own, former)


EVERYBODY = [
    ("0.0.0.0/0", ""), ("[::]/0", ""), ("127.0.0.0/8 [::]/0 0.0.0.0/0", ""),
    ("0.0.0.0/1 128.0.0.0/1 10.1.0.0/16", " 10.1.0.0/16"), ("[::]/1 [8000::]/1", " [8000::]/1"),
    ("[2000::]/3 192.0.2.0/24", " 192.0.2.0/24"), ("!192.0.2.1 0.0.0.0/0", " !192.0.2.1"),
    ("64.0.0.0/6", ""), ("[2a00::]/12", ""), ("static:all", ""),
    (" ".join(f"{n}.0.0.0/8" for n in range(1, 224)), ""), ("@DIR@/networks", ""),
    ("cidr:@DIR@/networks 10.1.0.0/16", " 10.1.0.0/16"),
]


@pytest.mark.parametrize("networks, left", EVERYBODY, ids=lambda value: value[:40])
def test_an_open_relay_is_a_fail(own, networks, left):
    """However it is written; the mend closes it, and never is it to make strangers internal."""
    own.postfix.file("networks", "# all\n192.0.2.1 x\n0.0.0.0/0 x\n")
    own.postfix.write({"mynetworks": networks.replace("@DIR@", str(own.postfix.folder))})
    found = expect(own, "postfix.mynetworks", "fail", "relays mail for everybody", "^postconf ")
    assert "internal_networks =" not in found["mend"]
    own.postfix.run(found["mend"])
    expected = "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128" + left
    assert own.postfix.value("mynetworks") == expected if networks.count("/8") < 9 else True
    assert not [one for one in of(own.check(), "postfix.mynetworks") if one["level"] == "fail"]


@pytest.mark.parametrize("networks", ["10.0.0.0/8", "17.0.0.0/8", "172.16.0.0/12 192.168.0.0/16", "[fc00::]/7",
                                      "[2a0d:bad0::]/29", "!0.0.0.0/0 0.0.0.0/0", "192.0.2.0/24 198.51.100.0/24"])
def test_a_network_of_ones_own_is_no_open_relay(own, networks):
    own.postfix.write({"mynetworks": networks})
    assert not [one for one in of(own.check(), "postfix.mynetworks") if one["level"] == "fail"]


@pytest.mark.parametrize("config, text", [
    ({"internal_networks": ["0.0.0.0/0"]}, "internal_networks contains strangers"),
    ({"internal_networks": ["::/1", "8000::/1"]}, "internal_networks contains strangers"),
    ({"mail_servers": ["0.0.0.0/1"]}, "mail_servers contains strangers"),
])
def test_strangers_in_lists_of_our_own_are_a_fail(own, config, text):
    own.batvd.configure({"domains": DOMAINS, **config})
    expect(own, "configuration", "fail", text, r"= \[ ")


def test_keyring(own):
    path = own.batvd.state / "keyring"
    path.chmod(0o644)
    mend = expect(own, "keyring", "fail", "0644", "chmod 600")["mend"]
    own.postfix.run(mend)
    assert not bad(of(own.check(), "keyring"))
    own.batvd.stop()
    good = path.read_bytes()
    path.write_bytes(good[:40])
    expect(own, "keyring", "fail", str(path), "backup")
    path.unlink()
    expect(own, "keyring", "fail", "does not exist, though batvd has run", "backup.*key init")
    (own.batvd.state / "status").unlink()
    mend = expect(own, "keyring", "fail", "does not exist", "^batvctl .* key init$")["mend"]
    own.postfix.run(mend)
    found = own.check()
    assert not bad(of(found, "keyring")) and not bad(of(found, "key.active"))


def test_daemon_and_socket(own):
    own.batvd.kill9()
    found = expect(own, "socket", "fail", "nobody answers")
    assert "batvd -c" in found["mend"]
    expect(own, "daemon", "fail", "no batvd is running", "batvd -c")
    (own.batvd.run / "milter.sock").unlink()
    expect(own, "socket", "fail", "No such file")
    (own.batvd.run / "milter.sock").write_text("", encoding="ascii")
    expect(own, "socket", "fail", "not a socket", "^mv ")


def test_socket_mode_and_group(own):
    path = own.batvd.run / "milter.sock"
    path.chmod(0o600)
    own.postfix.run(expect(own, "socket", "warn", "0600", "chmod 0660")["mend"])
    assert not bad(of(own.check(), "socket"))
    os.chown(path, -1, 0)
    expect(own, "socket.access", "fail", "cannot connect", "listen_group")
    own.postfix.run(expect(own, "socket", "warn", "group", "chgrp")["mend"])
    found = own.check()
    assert not bad(of(found, "socket")) and not bad(of(found, "socket.access"))


def mta_connects(site):
    """Whether Postfix's user, with its groups, can connect."""
    user = pwd.getpwnam(where().mail_owner)
    probe = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\n"
             "sys.exit(s.connect_ex(sys.argv[1]) != 0)\n")
    done = subprocess.run(["/usr/bin/python3", "-c", probe, str(site.batvd.socket_path)], check=False,
                          user=user.pw_uid, group=user.pw_gid,
                          extra_groups=os.getgrouplist(user.pw_name, user.pw_gid))
    return done.returncode == 0


def apply_config(site, mend):
    """"in FILE: NAME = VALUE; ... then COMMAND": writes it, and starts batvd anew."""
    settings = dict(re.findall(r'(\w+) = "([^"]*)";', mend))
    assert mend.startswith(f"in {site.batvd.conf}: ") and settings, mend
    site.batvd.stop()
    site.batvd.configure({**site.batvd.config, **settings})
    site.batvd.start()


@pytest.mark.parametrize("config", [
    {"listen_group": "mail"}, {"listen_group": "mail", "listen_mode": "0600"}, {"listen_mode": "0600"},
    {"listen_mode": "0640"}, {"listen_group": "no-such-group"},
    {"listen_mode": "0670"}, {"listen_mode": "0666"}])
def test_no_mend_of_the_socket_locks_postfix_out(own, config):
    """batvd has not been restarted since the configuration was changed."""
    own.batvd.configure({"domains": DOMAINS, **config})
    assert mta_connects(own)
    before = bad(own.check())
    [found] = bad(of(before, "socket"))
    if found["mend"].startswith("in "):
        apply_config(own, found["mend"])
    else:
        own.postfix.run(found["mend"])
    assert mta_connects(own), found
    after = own.check()
    assert not bad(of(after, "socket")) and not bad(of(after, "socket.access")), (found, after)
    assert len(bad(after)) < len(before)


def test_no_mend_of_a_folder_locks_anybody_out(own):
    """Its group enters by it already: batvd's, say."""
    os.chown(own.batvd.run, 0, grp.getgrnam("nogroup").gr_gid)
    own.batvd.run.chmod(0o710)
    assert not mta_connects(own)
    found = expect(own, "socket.access", "fail", "cannot enter .*/run ", r"^chmod o\+x \S+$")
    own.postfix.run(found["mend"])
    assert mta_connects(own) and own.batvd.run.stat().st_mode & 0o10
    assert not bad(of(own.check(), "socket.access"))


@pytest.mark.parametrize("arrange, mend", [
    (lambda site, place: os.chown(place, 0, 0), ".*batvd alone"),       # of root's, with others' files
    (lambda site, place: (place / "others").unlink() or os.chown(place, 0, 0), "chown -R"),
    (lambda site, place: place.chmod(0o755), ".*batvd alone"),
    (lambda site, place: (place / "others").unlink() or place.chmod(0o755), "chmod 700"),
])
def test_no_mend_takes_a_folder_of_others(own, arrange, mend):
    place = own.batvd.folder / "shared"
    place.mkdir()
    os.chown(place, *util.owner_ids("nobody"))
    (place / "others").touch()
    arrange(own, place)
    own.batvd.configure({"domains": DOMAINS, "state_dir": str(place)})
    [found] = bad(of(own.check(), "state_dir"))
    assert re.match(mend, found["mend"]), found


def test_the_folder_of_the_socket_is_no_state_folder(own):
    """It has to let the MTA in, so no command closes it."""
    shutil.copy2(own.batvd.state / "keyring", own.batvd.run / "keyring")
    os.chown(own.batvd.run / "keyring", *util.owner_ids("nobody"))
    own.batvd.configure({"domains": DOMAINS, "state_dir": str(own.batvd.run)})
    [found] = bad(of(own.check(), "state_dir"))
    assert "batvd alone" in found["mend"] and "chmod" not in found["mend"]


def test_folder_that_keeps_postfix_out(own):
    own.batvd.run.chmod(0o700)
    mend = expect(own, "socket.access", "fail", "cannot enter .*/run ", "chgrp .* chmod g\\+x")["mend"]
    own.postfix.run(mend)
    assert not bad(of(own.check(), "socket.access"))
    own.batvd.folder.chmod(0o700)
    expect(own, "socket.access", "fail", f"cannot enter {own.batvd.folder} ")


def test_pause_and_reload(own):
    own.batvd.ctl("pause", rc=0)
    own.postfix.run(expect(own, "pause", "warn", "paused since", "resume")["mend"])
    assert not bad(of(own.check(), "pause"))

    later = own.batvd.conf.stat().st_mtime + 100
    os.utime(own.batvd.conf, (later, later))
    expect(own, "reload", "warn", "has changed since", r"batvd -n -c .* && kill -USR1 \d+")
    good = own.batvd.conf.read_text(encoding="utf-8")
    own.batvd.conf.write_text(good + "nonsense = 1;\n", encoding="utf-8")
    mark = own.batvd.mark()
    own.batvd.signal(10)
    own.batvd.wait_text(r"(?i)reload|nonsense", since=mark)
    own.batvd.conf.write_text(good, encoding="utf-8")
    util.wait_for(lambda: [one for one in own.check() if one["name"] == "reload"
                           and one["level"] == "fail"], 15, "the failed reload in the status")
    expect(own, "reload", "fail", "nonsense", "kill -USR1")


def test_a_report_that_cannot_be_read(own):
    state = own.batvd.state
    util.wait_for((state / "status").exists, 15)
    (state / "status.new").mkdir()      # from now on nobody writes it
    (state / "status").write_text("format 1\n", encoding="ascii")
    expect(own, "daemon.report", "warn", f"its report .* {state}/status: line 1: ", "status$")
    (state / "status.new").rmdir()
    own.batvd.ctl("pause", rc=0)        # which is told at once
    util.wait_for(lambda: not bad(of(own.check(), "daemon.report")), 15)


def test_unsigned_mail_that_is_relayed(own):
    with MilterSession(own.batvd.milter, client=("app.example.com", "192.0.2.77", 4711),
                       macros=LEAVING) as session:
        session.message("<alice@example.com>", ["<joe@other.test>"])
    util.wait_for(lambda: bad(of(own.check(), "relayed-unsigned")), 25, "it in the status")

    def advice():
        mend = expect(own, "relayed-unsigned", "warn", r"192\.0\.2\.77.*to other\.test")["mend"]
        told = own.batvd.ctl("status", env=own.postfix.env()).out
        assert ('"192.0.2.77' in mend) == ('"192.0.2.77/32" ]' in told), (mend, told)
        return mend.startswith("if, and only if, every host there is yours: in ")
    assert not advice(), "Postfix does not trust it"
    trusting = own.postfix.folder / "networks"
    for networks, trusted in (("127.0.0.0/8 192.0.2.77", True), ("192.0.2.0/24", True),
                              ("!192.0.2.77 192.0.2.0/24", False), ("192.0.2.76/31, [::1]", True),
                              ("192.0.2.0/24 !192.0.2.77", True), ("!/nonexistent 0.0.0.0/0", False),
                              ("hash:/nonexistent", False), (f"{trusting}", True),
                              (f"cidr:{trusting}", True), (f"!{trusting} 192.0.2.77", False),
                              ("/nonexistent 192.0.2.77", False)):
        trusting.write_text("192.0.2.77 x\n", encoding="ascii")
        own.postfix.write({"mynetworks": networks})
        assert advice() == trusted, networks
    own.batvd.configure({"domains": DOMAINS, "internal_networks": ["127.0.0.2", "192.0.2.77"]})
    assert not bad(of(own.check(), "relayed-unsigned"))


def test_warm_up(own):
    expect(own, "warm-up", "warn", "nothing has been signed yet for example.com")
    with MilterSession(own.batvd.milter, client=("in.example.com", "127.0.0.2", 4711)) as session:
        session.message("<alice@example.com>", ["<joe@other.test>"])

    def waits():
        return [one for one in of(own.check(), "warm-up")
                if one["level"] == "ok" and re.search("only logged, until .* example.com", one["text"])]
    util.wait_for(waits, 25, "the waiting time in the status")


def test_rejecting_before_anything_was_signed(own):
    """A domain's own action counts, too; what does not sign has no tags to wait for."""
    silent = {"name": "silent.example", "sign": False}
    own.batvd.configure({"domains": ("example.com", silent), "verify": {"action": "reject"}})
    found = expect(own, "warm-up", "warn", "nothing has been signed yet.* for example.com$", r'action = "auto"')
    assert "silent" not in found["text"]
    own.batvd.configure({"domains": ({"name": "example.com", "verify_action": "discard"}, "example.org")})
    expect(own, "warm-up", "warn", "rejects already.* for example.com$")
    own.batvd.configure({"domains": ("example.com",), "verify": {"action": "reject"}})
    with MilterSession(own.batvd.milter, client=("in.example.com", "127.0.0.2", 4711)) as session:
        session.message("<alice@example.com>", ["<joe@other.test>"])
    util.wait_for(lambda: "domain example.com" in (own.batvd.state / "keyring").read_text("ascii"), 15)
    assert not [one for one in of(own.check(), "warm-up") if "rejects already" in one["text"]]


def test_journal(own):
    found, = of(own.check(), "journal")
    assert found["level"] == "ok" and re.match(r"\d+ entries since 20", found["text"])
    own.batvd.stop()
    journal = own.batvd.state / "journal.db"
    journal.write_bytes(bytes(journal.stat().st_size))
    expect(own, "journal", "fail", "damaged", "batvd -c")
    own.batvd.start()
    own.batvd.wait_text(r"journal\.damaged")
    mend = expect(own, "journal", "warn", "was set aside", "rm ")["mend"]
    own.postfix.run(mend)
    assert not bad(of(own.check(), "journal"))
    own.batvd.configure({"domains": DOMAINS, "journal": {"enabled": False}})
    assert "off" in of(own.check(), "journal")[0]["text"]


def test_keys_and_clock():
    with Site(fake_time=True, config={"keys": {"rotate_days": 7}}) as site:
        site.batvd.stop()
        site.batvd.travel(days=10)
        mend = expect(site, "key.rotation", "warn", "due since", "key rotate")["mend"]
        site.postfix.run(mend, site.batvd.environment({"PATH": site.postfix.env()["PATH"]}))
        assert not bad(of(site.check(), "key.rotation"))
        site.batvd.travel(days=5)
        expect(site, "clock", "fail", "clock is wrong", "timedatectl")


def test_no_domains(own):
    own.batvd.configure({"domains": ()})
    expect(own, "domains", "warn", "no domains", "domains = ")
    own.batvd.configure({"domains": DOMAINS, "sign": {"enabled": False}})
    expect(own, "domains", "warn", "nothing is signed")


def test_warnings_of_the_configuration(own):
    own.batvd.configure({"keys": {"retain_days": 3}})
    expect(own, "configuration", "warn", "retain_days", "batvd -n")


# -- what cannot be looked at --------------------------------------------------------------------

NEEDS_NO_CONFIGURATION = {"configuration", "state_dir", "keyring", "daemon", "reload", "pause", "clock",
                          "postfix", "socket", "postfix.milters"}


def check_past(site):
    done = site.batvd.ctl("check", "--json", rc=2, env=site.postfix.env())
    assert {one["name"] for one in done.json} <= NEEDS_NO_CONFIGURATION
    return done.json


def test_a_typo_beside_a_running_daemon(own):
    good = own.batvd.conf.read_text(encoding="utf-8")
    own.batvd.conf.write_text(good + "verify: { action = reject; };\n", encoding="utf-8")
    found = check_past(own)
    [fault] = of(found, "configuration")
    line = good.count("\n") + 1
    assert fault["level"] == "fail" and fault["text"] == (
        f'{own.batvd.conf}:{line}: error: verify.action: found reject, expected double quotes: "reject"')
    for name in ("state_dir", "keyring", "daemon", "pause", "postfix", "socket", "postfix.milters"):
        assert not bad(of(found, name)), found
    own.batvd.ctl("pause", rc=0)
    assert "paused since" in bad(of(check_past(own), "pause"))[0]["text"]


def test_a_typo_and_no_daemon(own):
    """What starts it waits until the configuration has no faults."""
    own.batvd.kill9()
    own.batvd.conf.write_text(own.batvd.conf.read_text() + "domans = ( );\n", encoding="utf-8")
    found = check_past(own)
    assert "did you mean domains?" in of(found, "configuration")[0]["text"]
    for name, text in (("daemon", "no batvd is running"), ("socket", "nobody answers"),
                       ("postfix.milters", "nobody answers at .*: all mail is deferred")):
        [fault] = bad(of(found, name))
        assert re.search(text, fault["text"]) and f"batvd -n -c {own.batvd.conf} && " in fault["mend"], fault
        command = fault["mend"].rpartition("systemd: ")[2]
        assert "batvd -n -c" in command, fault


def test_broken_configuration(batvd):
    daemon = batvd("domain = ();\n")
    done = daemon.ctl("check", "--json", rc=2)
    assert [one["level"] for one in of(done.json, "configuration")] == ["fail"]
    assert str(daemon.conf) in done.json[0]["text"] and "domain" in done.err


def test_the_manual_has_every_check():
    source = (util.REPO / "src/check/check.c").read_text(encoding="utf-8")
    manual = (util.REPO / "man/batvctl.8").read_text(encoding="utf-8")
    section = re.search(r"(?ms)^\.Sh CHECKS$(.*?)^\.Sh ", manual)[1]
    rows = re.findall(r'\{"([\w.-]+)", check_\w+,', source)
    named = re.findall(r"[\w.-]+", " ".join(re.findall(r"(?m)^\.It Cm (.*)$", section)).replace(",", ""))
    assert len(rows) > 40 and sorted(named) == sorted(rows)


def test_usage(batvd):
    assert "usage" in batvd().ctl("check", "more", rc=2).err


def test_somebody_else(own):
    """Neither root nor the owner: what can be seen is told, and who should run it."""
    program = own.batvd.folder / "batvctl"
    shutil.copy(util.binary("batvctl"), program)
    done = subprocess.run([program, "-c", own.batvd.conf, "--json", "check"], user="daemon",
                          group="daemon", extra_groups=[], env=own.postfix.env(), text=True,
                          capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and "nobody" in done.stderr, done
    one, = of(json.loads(done.stdout), "socket")
    assert one["level"] == "warn" and one["mend"] == "run this as root", one
