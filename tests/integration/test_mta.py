"""What `batvctl mta` prints: the sample files, lists that stay, the script, the map; for Sendmail
the part in its two forms."""

import random
import re
import subprocess

import pytest

from batvtest import util
from batvtest.settings import PostfixSettings, sanitizers

NAMES = ("smtpd_milters", "non_smtpd_milters", "milter_default_action", "recipient_canonical_maps",
         "recipient_canonical_classes")
TAG = "prvs=1234abcdef="


@pytest.fixture
def settings():
    """Postfix's settings in a folder of their own; the queue directory is where it usually is."""
    with PostfixSettings({"queue_directory": "/var/spool/postfix"}) as made:
        yield made


@pytest.fixture
def mta(batvd, settings):
    """mta(config, *args): what batvctl prints for that configuration and these settings."""
    def run(config=None, *args, rc=0):
        daemon = batvd({"listen": "unix:/var/spool/postfix/batvd/milter.sock", **(config or {})})
        run.daemon = daemon
        return daemon.ctl("mta", "postfix", *args, rc=rc, env=settings.env()).out
    return run


def main_values(text):
    """The parameters in a part of main.cf."""
    return dict(re.findall(r"(?m)^(\w+) = (.*)$", text))


# -- the sample files ----------------------------------------------------------------------------

@pytest.mark.parametrize("part, name", [("main", "main.cf"), ("map", "batv.pcre")])
def test_sample_files_are_what_is_printed(mta, settings, part, name):
    settings.base["milter_default_action"] = "tempfail"     # newer ones have another that defers
    settings.write()
    sample = (util.REPO / "conf" / "postfix" / name).read_text(encoding="utf-8")
    assert mta({"domains": ("example.com",)}, "--part", part) == sample


def test_parts_make_the_same_values_as_the_script(mta, settings):
    values = main_values(mta(None, "--part", "main"))
    assert tuple(values) == NAMES
    script = mta()
    for name, value in values.items():
        assert f"'{name} = {value}'" in script


# -- where batvd listens -------------------------------------------------------------------------

@pytest.mark.parametrize("listen, queue, name", [
    ("unix:/var/spool/postfix/batvd/milter.sock", "/var/spool/postfix", "unix:batvd/milter.sock"),
    ("unix:/var/spool/postfix/batvd/milter.sock", "/var/spool/postfix/", "unix:batvd/milter.sock"),
    ("unix:/var/spool/postfix/batvd/milter.sock", "/var/spool/post",
     "unix:/var/spool/postfix/batvd/milter.sock"),
    ("unix:/run/batvd/milter.sock", "/var/spool/postfix", "unix:/run/batvd/milter.sock"),
    ("unix:/srv/q/m.sock", "/srv/q", "unix:m.sock"),
    ("inet:8891@127.0.0.1", "/var/spool/postfix", "inet:127.0.0.1:8891"),
    ("inet:8891@filter.example.com", "/var/spool/postfix", "inet:filter.example.com:8891"),
    ("inet:8891@0.0.0.0", "/var/spool/postfix", "inet:127.0.0.1:8891"),
    ("inet6:8891@::1", "/var/spool/postfix", "inet:[::1]:8891"),
    ("inet6:8891@::", "/var/spool/postfix", "inet:[::1]:8891"),
])
def test_listener_as_postfix_names_it(mta, settings, listen, queue, name):
    settings.write({"queue_directory": queue})
    values = main_values(mta({"listen": listen}, "--part", "main"))
    assert values["smtpd_milters"] == name


def test_without_postfix_the_usual_folder_is_taken(batvd):
    daemon = batvd({"listen": "unix:/var/spool/postfix/batvd/milter.sock"})
    done = daemon.ctl("mta", "postfix", "--part", "main", rc=0, env={"MAIL_CONFIG": "/nonexistent"})
    assert main_values(done.out)["smtpd_milters"] == "unix:batvd/milter.sock"
    assert "/var/spool/postfix" in done.err


# -- what is set there already -------------------------------------------------------------------

OURS = "unix:batvd/milter.sock"


@pytest.mark.parametrize("live, expected", [
    ({}, {"smtpd_milters": OURS, "non_smtpd_milters": "$smtpd_milters"}),
    ({"smtpd_milters": "inet:localhost:11332"},
     {"smtpd_milters": f"inet:localhost:11332, {OURS}", "non_smtpd_milters": "$smtpd_milters"}),
    ({"smtpd_milters": "inet:localhost:11332", "non_smtpd_milters": "$smtpd_milters"},
     {"smtpd_milters": f"inet:localhost:11332, {OURS}", "non_smtpd_milters": "$smtpd_milters"}),
    ({"non_smtpd_milters": "inet:localhost:8891"},
     {"smtpd_milters": OURS, "non_smtpd_milters": f"inet:localhost:8891, {OURS}"}),
    ({"smtpd_milters": OURS}, {"smtpd_milters": OURS}),
    ({"smtpd_milters": f"inet:localhost:1 {{ {OURS}, connect_timeout=3s }}"},
     {"smtpd_milters": f"inet:localhost:1 {{ {OURS}, connect_timeout=3s }}"}),
    ({"smtpd_milters": "unix:/var/spool/postfix/batvd/milter.sock"},
     {"smtpd_milters": "unix:/var/spool/postfix/batvd/milter.sock"}),
    ({"batv": OURS, "smtpd_milters": "$batv"}, {"smtpd_milters": "$batv"}),
    ({"batv": OURS, "smtpd_milters": "inet:[::1]:1, ${batv}",
      "non_smtpd_milters": "${smtpd_milters}"},
     {"smtpd_milters": "inet:[::1]:1, ${batv}", "non_smtpd_milters": "${smtpd_milters}"}),
    ({"recipient_canonical_maps": "hash:/etc/postfix/canonical"},
     {"recipient_canonical_maps": "pcre:/etc/postfix/batv.pcre, hash:/etc/postfix/canonical"}),
    ({"recipient_canonical_maps": "hash:/etc/x pcre:/etc/postfix/batv.pcre"},
     {"recipient_canonical_maps": "hash:/etc/x pcre:/etc/postfix/batv.pcre"}),
    ({"milter_default_action": "shutdown"}, {"milter_default_action": "shutdown"}),
    ({"milter_default_action": "accept"}, {"milter_default_action": "tempfail"}),
])
def test_live_lists_are_kept(mta, settings, live, expected):
    settings.write(live)
    values = main_values(mta(None, "--part", "main"))
    for name, value in expected.items():
        assert values[name] == value
    script = mta()
    for name, value in expected.items():
        assert f"'{name} = {value}'" in script


def test_other_maps_are_told_of_the_classes(mta, settings):
    settings.write({"recipient_canonical_maps": "hash:/etc/postfix/canonical"})
    assert re.search(r"(?m)^# The other maps", mta(None, "--part", "main"))
    assert re.search(r"(?m)^# The other maps", mta())


@pytest.mark.parametrize("live, expected", [
    ({"smtpd_milters": "inet:localhost:11332", "milter_default_action": "accept"},
     {"smtpd_milters": f"inet:localhost:11332, {{ {OURS}, default_action=tempfail }}",
      "non_smtpd_milters": "$smtpd_milters", "milter_default_action": "accept"}),
    ({"smtpd_milters": f"inet:localhost:11332, {OURS}", "non_smtpd_milters": "inet:localhost:1",
      "milter_default_action": "${action}", "action": "accept"},
     {"smtpd_milters": f"inet:localhost:11332, {{ {OURS}, default_action=tempfail }}",
      "non_smtpd_milters": f"inet:localhost:1, {{ {OURS}, default_action=tempfail }}",
      "milter_default_action": "${action}"}),
    # Nobody else goes by it, or it is as it must be.
    ({"smtpd_milters": OURS, "milter_default_action": "accept"},
     {"smtpd_milters": OURS, "milter_default_action": "tempfail"}),
    ({"smtpd_milters": "inet:localhost:11332", "milter_default_action": "tempfail"},
     {"smtpd_milters": f"inet:localhost:11332, {OURS}", "milter_default_action": "tempfail"}),
])
def test_the_action_of_other_milters_stays(mta, settings, live, expected):
    settings.write(live)
    values = main_values(mta(None, "--part", "main"))
    assert {name: values[name] for name in expected} == expected


def test_former_listener_is_replaced(mta, settings):
    """By its name, since nobody answers there; an entry of another name stays."""
    settings.write({"smtpd_milters": "inet:localhost:11332, unix:batvd/milter.sock, unix:/nowhere/x.sock"})
    values = main_values(mta({"listen": "inet:8891@127.0.0.1"}, "--part", "main"))
    assert values["smtpd_milters"] == "inet:localhost:11332, inet:127.0.0.1:8891, unix:/nowhere/x.sock"


# -- the script ----------------------------------------------------------------------------------

def test_script_applies_all_and_again(mta, settings):
    path = settings.folder / "it's.pcre"
    settings.write({"smtpd_milters": "inet:localhost:11332"})
    script = mta(None, "--map-path", path)
    assert " mta postfix --map-path '" in script.split("\n\n")[0]   # as it is to be called again
    for _ in range(2):
        assert script.endswith(" check\n")
        settings.run(script.removesuffix(script.splitlines()[-1] + "\n") + "true", sanitizers())
        assert settings.value("smtpd_milters") == f"inet:localhost:11332, {OURS}"
        assert settings.value("non_smtpd_milters") == "$smtpd_milters"
        assert settings.value("milter_default_action") in ("tempfail", "shutdown")
        assert settings.value("recipient_canonical_maps") == f"pcre:{path}"
        assert settings.value("recipient_canonical_classes") == "envelope_recipient"
        assert path.stat().st_mode & 0o777 == 0o644
        script = mta(None, "--map-path", path)
    assert path.read_text(encoding="utf-8") == mta(None, "--part", "map")


def test_script_on_a_running_postfix(batvd, postfix):
    """The ten lines of an installation: Postfix runs, batvd runs, `batvctl mta postfix | sh`."""
    daemon = batvd().start()
    mail = postfix().start()
    env = {"MAIL_CONFIG": str(mail.conf), **mail.where.env,
           "PATH": f"{mail.where.command_directory}:{util.BUILD}:{mail.where.env['PATH']}"}
    script = daemon.ctl("mta", "postfix", "--map-path", mail.conf / "batv.pcre", rc=0, env=env).out
    done = subprocess.run(["sh"], input=script, env={**env, **sanitizers()}, text=True, cwd="/",
                          capture_output=True, timeout=60, check=False)
    told = done.stdout
    assert done.returncode == 0 and not re.search(r"(?m)^fail", told), done
    assert re.search(r"(?m)^ok +postfix\.recipient_canonical_maps ", told), told
    sent = mail.bounce(TAG + "alice@example.com")
    assert sent.stage != "rcpt", sent           # known to Postfix now, and batvd was asked


# -- the map -------------------------------------------------------------------------------------

MANY = [f"customer-{i:05d}.hosting.example" for i in range(3000)]


def test_many_domains_make_lines_of_moderate_length(mta, settings):
    domains = (*MANY, ".hosted.example", "bücher.example")
    text = mta({"domains": domains}, "--part", "map")
    assert max(map(len, text.splitlines())) <= 1100
    assert len(text.splitlines()) < 300
    table = settings.file("batv.pcre", text)
    plain = [f"alice@{domain}" for domain in MANY] + ["a@deep.down.hosted.example",
                                                      "a@xn--bcher-kva.example", "a@bücher.example",
                                                      '"a b"@customer-02999.hosting.example']
    tagged = {re.sub(r'^"?', lambda quote: quote[0] + TAG, address): address for address in plain}
    for kind in ("pcre", "regexp"):
        assert settings.lookup(tagged, f"{kind}:{table}") == tagged
        foreign = [TAG + "a@hosted.example", TAG + "a@customer-03000.hosting.example",
                   TAG + "a@hosting.example", TAG + "a@bucher.example", *random.sample(plain, 20)]
        assert settings.lookup(foreign, f"{kind}:{table}") == {}


@pytest.mark.parametrize("domain", ["a-b.example", "with_underscore.example", "127.example"])
def test_odd_domains_stand_for_themselves_only(mta, settings, domain):
    table = settings.file("batv.pcre", mta({"domains": (domain,)}, "--part", "map"))
    assert settings.lookup([f"{TAG}u@{domain}"], f"pcre:{table}") == {f"{TAG}u@{domain}":
                                                                     f"u@{domain}"}
    assert not settings.lookup([f"{TAG}u@{domain.replace('.', 'x')}"], f"pcre:{table}")


def test_domains_of_either_syntax_are_in_the_map(mta):
    text = mta({"domains": ("one.example", {"name": "two.example", "syntax": "subaddress"},
                            {"name": "three.example", "sign": False})}, "--part", "map")
    for name in ("one", "two", "three"):
        assert rf"@{name}\.example)" in text


def test_no_domains(mta, settings):
    text = mta({"domains": ()}, "--part", "map")
    table = settings.file("batv.pcre", text)
    assert settings.lookup([f"{TAG}u@example.com"], f"pcre:{table}") == {}
    assert "No domains" in text


# -- usage ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [
    (), ("exim",), ("postfix", "more"), ("postfix", "--part", "both"),
    ("postfix", "--part", ""), ("postfix", "--part"), ("postfix", "--map-path", "batv.pcre"),
    ("postfix", "--map-path", "/etc/a b"), ("postfix", "--map-path", "/etc/$x"),
    ("postfix", "--json"), ("postfix", "--unknown"),
])
def test_usage(batvd, args):
    done = batvd().ctl("mta", *args, rc=2)
    assert done.out == "" and "usage: batvctl" in done.err


# -- Sendmail ------------------------------------------------------------------------------------

@pytest.fixture
def sendmail_part(batvd):
    """sendmail_part(config, *args): what batvctl prints for that configuration."""
    def run(config=None, *args, rc=0):
        daemon = batvd({"listen": "unix:/run/batvd/milter.sock", **(config or {})})
        return daemon.ctl("mta", "sendmail", *args, rc=rc, env={"SENDMAIL_CF": "/nonexistent"})
    return run


@pytest.mark.parametrize("part", ["mc", "cf"])
def test_sendmail_sample_files_are_what_is_printed(sendmail_part, part):
    sample = (util.REPO / "conf" / "sendmail" / f"batvd.{part}").read_text(encoding="utf-8")
    assert sendmail_part({"domains": ("example.com",)}, "--part", part).out == sample


@pytest.mark.parametrize("listen, name", [
    ("unix:/run/batvd/milter.sock", "local:/run/batvd/milter.sock"),
    ("inet:8891@127.0.0.1", "inet:8891@127.0.0.1"),
    ("inet:8891@0.0.0.0", "inet:8891@127.0.0.1"),
    ("inet:8891@filter.example.com", "inet:8891@filter.example.com"),
    ("inet6:8891@::1", "inet6:8891@::1"),
    ("inet6:8891@::", "inet6:8891@::1"),
])
def test_listener_as_sendmail_names_it(sendmail_part, listen, name):
    for part in ("mc", "cf"):
        assert f"S={name}, F=T, " in sendmail_part({"listen": listen}, "--part", part).out


def test_sendmail_domains(sendmail_part):
    """Parents apart from domains, as A-labels, a line each, whether they sign or not."""
    config = {"domains": ("Example.COM", ".example.org", {"name": "bücher.example", "sign": False},
                          {"name": "sub.example", "syntax": "subaddress"})}
    lines = sendmail_part(config, "--part", "cf").out.splitlines()
    assert [line for line in lines if line.startswith("C")] == [
        "C{batvdDomain}example.com", "C{batvdParent}example.org",
        "C{batvdDomain}xn--bcher-kva.example", "C{batvdDomain}sub.example"]


def test_rules_have_tabs(sendmail_part):
    for part in ("mc", "cf"):
        for line in sendmail_part(None, "--part", part).out.splitlines():
            assert not line.startswith("R") or re.fullmatch(r"R[^\t]+\t+\$[^\t]+", line)


@pytest.mark.parametrize("args, word", [(("--part", "main"), "expected mc or cf"),
                                        (("--part", ""), "expected mc or cf"),
                                        (("--map-path", "/etc/x"), "needs no map"),
                                        (("--json",), "no JSON output")])
def test_sendmail_wrong_use(sendmail_part, args, word):
    assert word in sendmail_part(None, *args, rc=2).err


def test_a_path_that_sendmail_cannot_name(sendmail_part):
    done = sendmail_part({"listen": "unix:/run/a,b/milter.sock"}, "--part", "mc", rc=2)
    assert "cannot hold local:/run/a,b/milter.sock" in done.err and not done.out
