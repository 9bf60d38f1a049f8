"""The files of conf/mark, for what acts on batvd's mark: each read by the program that it is for, and
doing what it says with a bounce that batvd has marked."""

import os
import re
import shutil
import subprocess

import pytest

from batvtest import util
from batvtest.postfix import make_message
from batvtest.site import Site

ALICE = "alice@example.com"
CHECKS = util.REPO / "conf/mark/milter_header_checks.pcre"
SIEVE = util.REPO / "conf/mark/batv.sieve"
RSPAMD = util.REPO / "conf/mark/rspamd_regexp.conf"
SPAMASSASSIN = util.REPO / "conf/mark/spamassassin.cf"
ROOT = util.REPO / "build/dovecot-root"
RSPAMD_ROOT = util.REPO / "build/rspamd-root"
SPAMASSASSIN_ROOT = util.REPO / "build/spamassassin-root"


def mark(result="missing", kind="dsn"):
    return f"X-Batv-Result: {result}; class={kind}; proof=none; rcpt=<{ALICE}>"


# What scores messages: the symbol for each mark, None for what is no mark.
SYMBOLS = [
    (mark("bad-signature"), "BATV_FORGED"), (mark("unknown-key", "mdn"), "BATV_FORGED"),
    (mark(), "BATV_BOUNCE"), (mark("expired", "other"), "BATV_BOUNCE"),
    (mark(kind="mdn"), "BATV_ANSWER"), (mark("foreign", "autoreply"), "BATV_ANSWER"),
    ("X-Batv-Evidence: v=1", None), ("X-Other: X-Batv-Result: missing; class=dsn;", None),
]


@pytest.fixture(name="site", scope="module")
def site_():
    with Site({"verify": {"action": "mark"}}, main={"milter_header_checks": f"pcre:{CHECKS}"}) as site:
        yield site


# -- Postfix --------------------------------------------------------------------------------------

@pytest.mark.parametrize("line, action", [
    (mark("bad-signature"), "HOLD batvd: a bounce to a forged tag"),
    (mark("unknown-key", "mdn"), "HOLD batvd: a bounce to a forged tag"),
    (mark(), "HOLD batvd: a bounce without a proof"),
    (mark("expired", "other"), "HOLD batvd: a bounce without a proof"),
    (mark(kind="mdn"), "INFO batvd: an answer without a proof"),
    ("X-Batv-Evidence: v=1", ""), ("Subject: X-Batv-Result: missing; class=dsn;", ""),
])
def test_header_checks(site, line, action):
    assert (site.postfix.postmap(line, f"pcre:{CHECKS}") or "") == action


def test_postfix_holds_what_is_marked(site):
    """And no more than that: a copy of the field in somebody's mail does nothing."""
    sent = site.bounce(ALICE)
    assert sent.accepted, sent
    held = [item["queue_id"] for item in site.postfix.queue() if item["queue_name"] == "hold"]
    assert held == [sent.queue_id]
    site.postfix.delete_queue()
    subject = util.unique("copy")
    data = f"{mark()}\n".encode() + make_message(subject)
    sent = site.receive("joe@other.test", ALICE, subject=subject, data=data)
    site.assert_delivered(sent, ALICE)


# -- Sieve ----------------------------------------------------------------------------------------

def sieve(name, *args):
    """Pigeonhole's program, the installed one or that which .ci/deps has unpacked."""
    env = {**os.environ, "DOVECONF_ENV": "1"}    # no configuration is read
    program = shutil.which(name)
    if program is None:
        program = ROOT / "usr/bin" / name
        folders = [ROOT / "usr/lib/dovecot", ROOT / "usr/lib/dovecot/modules"]
        env["LD_LIBRARY_PATH"] = ":".join(map(str, folders))
        if not program.exists():
            raise FileNotFoundError(f"no {name} here: 'make deps' as root gets one")
    done = subprocess.run([program, *args], capture_output=True, text=True, check=False, env=env)
    if "doveconf" in done.stderr or "/etc/dovecot/" in done.stderr:
        pytest.skip("this version of Dovecot wants its configuration in /etc, and doveconf installed")
    return done


def test_sieve_is_compiled(tmp_path):
    done = sieve("sievec", SIEVE, tmp_path / "batv.svbin")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert (tmp_path / "batv.svbin").exists()


def test_a_broken_sieve_is_not_compiled(tmp_path):
    """So the program would have told."""
    broken = tmp_path / "broken.sieve"
    broken.write_text(SIEVE.read_text(encoding="ascii").replace("fileinto :", "file_into :"),
                      encoding="ascii")
    assert sieve("sievec", broken, tmp_path / "broken.svbin").returncode != 0


# -- rspamd ---------------------------------------------------------------------------------------

def rspamd_configtest(folder, rules):
    """rspamadm's opinion of RULES where local.d/regexp.conf is read, and of nothing else."""
    env, share, variables = dict(os.environ), "/usr/share/rspamd", [f"--var=DBDIR={folder}"]
    program = shutil.which("rspamadm")
    if program is None:
        program = RSPAMD_ROOT / "usr/bin/rspamadm"
        if not program.exists():
            raise FileNotFoundError("no rspamadm here: 'make deps' as root gets one")
        env["LD_LIBRARY_PATH"] = str(next(RSPAMD_ROOT.glob("usr/lib/**/librspamd-server.so")).parent)
        share = RSPAMD_ROOT / "usr/share/rspamd"
        variables += [f"--var=RULESDIR={share}/rules", f"--var=LUALIBDIR={share}/lualib",
                      f"--var=PLUGINSDIR={share}/plugins", f"--var=SHAREDIR={share}"]
    (folder / "regexp.conf").write_text(rules, encoding="ascii")
    conf = folder / "rspamd.conf"
    conf.write_text(f"""options {{
    filters = "regexp"; hs_cache_dir = "{folder}"; dns {{ nameserver = ["127.0.0.1:1"]; }}
}}
lang_detection {{ languages = "{share}/languages"; }}
logging {{ type = "console"; }}
actions {{ reject = 15; }}
group "batv" {{ }}
worker "normal" {{ bind_socket = "{folder}/socket"; }}
regexp {{ .include "{folder}/regexp.conf" }}
""", encoding="ascii")
    return subprocess.run([program, *variables, "configtest", "-s", "-c", conf], capture_output=True,
                          text=True, check=False, env=env, cwd=folder, timeout=60 * util.PATIENCE)


def test_rspamd_reads_its_rules(tmp_path):
    done = rspamd_configtest(tmp_path, RSPAMD.read_text(encoding="ascii"))
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "syntax OK", ""), done


@pytest.mark.parametrize("right, wrong", [
    ("class=(?:dsn", "class=((dsn"), ("score = 8.0;", "score = high;"), ("BATV_ANSWER {", "BATV_ANSWER"),
])
def test_rspamd_does_not_read_broken_rules(tmp_path, right, wrong):
    rules = RSPAMD.read_text(encoding="ascii")
    assert right in rules
    done = rspamd_configtest(tmp_path, rules.replace(right, wrong, 1))
    assert "syntax BAD" in done.stdout, done


@pytest.mark.parametrize("line, symbol", SYMBOLS)
def test_rspamd_rules_match(line, symbol):
    """By their expressions, which mean the same here as there."""
    rules = re.findall(r'^(\w+) {\n    re = "([\w-]+)=/(.*)/H";$',
                       RSPAMD.read_text(encoding="ascii"), re.M)
    assert len(rules) == 3
    name, value = line.split(": ", 1)
    hits = [rule for rule, field, pattern in rules if field == name and re.search(pattern, value)]
    assert hits == ([symbol] if symbol else [])


# -- SpamAssassin ---------------------------------------------------------------------------------

def spamassassin(folder, rules, *args, message=None):
    """The program with RULES and no others, without the network."""
    command = [shutil.which("spamassassin")]
    if command[0] is None:
        program = SPAMASSASSIN_ROOT / "usr/bin/spamassassin"
        if not program.exists():
            raise FileNotFoundError("no spamassassin here: 'make deps' as root gets one")
        folders = [SPAMASSASSIN_ROOT / "usr/share/perl5",
                   *SPAMASSASSIN_ROOT.glob("usr/lib/*/perl5/*")]
        command = ["perl", "-T", *(f"-I{path}" for path in folders), program]
    for name in ("rules", "site", "home"):
        (folder / name).mkdir()
    for name, text in (("site/init.pre", "loadplugin Mail::SpamAssassin::Plugin::Check\n"),
                       ("rules/10_own.cf", "util_rb_tld test\nadd_header all Tests _TESTSSCORES_\n"),
                       ("rules/batvd.cf", rules)):
        (folder / name).write_text(text, encoding="ascii")
    command += ["-L", "-x", "-C", folder / "rules", f"--siteconfigpath={folder}/site", *args]
    return subprocess.run(command, input=message, capture_output=True, text=True, check=False,
                          env={**os.environ, "HOME": str(folder / "home")}, timeout=60 * util.PATIENCE)


def test_spamassassin_reads_its_rules(tmp_path):
    done = spamassassin(tmp_path, SPAMASSASSIN.read_text(encoding="ascii"), "--lint")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


@pytest.mark.parametrize("right, wrong", [
    ("class=(?:dsn", "class=((dsn"), ("BATV_FORGED  5.0", "BATV_FORGED  high"), ("describe", "descripe"),
])
def test_spamassassin_does_not_read_broken_rules(tmp_path, right, wrong):
    rules = SPAMASSASSIN.read_text(encoding="ascii")
    assert right in rules
    done = spamassassin(tmp_path, rules.replace(right, wrong, 1), "--lint")
    assert done.returncode != 0 and "config: " in done.stderr, done


@pytest.mark.parametrize("line, symbol", SYMBOLS)
def test_spamassassin_scores_what_is_marked(tmp_path, line, symbol):
    done = spamassassin(tmp_path, SPAMASSASSIN.read_text(encoding="ascii"),
                        message=f"From: joe@other.test\nSubject: x\n{line}\n\nA bounce.\n")
    assert done.returncode == 0, done
    tests = re.search("^X-Spam-Tests: ?(.*)$", done.stdout, re.M).group(1)
    assert tests.split("=")[0] == (symbol or "none"), done.stdout
