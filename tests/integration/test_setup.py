"""`batvctl setup`: an administrator's first minute, on real Postfix configurations. What it makes
and applies works; what it cannot do it says, and has changed nothing."""

import json
import os
import re
import shutil
import socket
import stat
import subprocess

import pytest

from batvtest import daemon, elsewhere, util
from batvtest.milter import MilterSession
from batvtest.postfix import where
from batvtest.sendmail import Sendmail
from batvtest.settings import MASTER_CF, PostfixSettings

SAMPLE = util.REPO / "conf" / "batvd.conf"
TAGGED = r"prvs=\d{4}[0-9a-f]{6}=alice@example\.com"


@pytest.fixture
def settings():
    """Postfix's settings in a folder of their own."""
    with PostfixSettings() as made:
        yield made


@pytest.fixture
def fresh(batvd, settings):
    """A host on which batvd was installed and nothing was done yet: the sample configuration, with
    what has to lie in the test's folder set."""
    host = batvd(sample())
    host.state.rmdir()
    host.settings = settings
    host.setup = lambda *args, rc=None, env=None: host.ctl("setup", *args, rc=rc,
                                                           env={**settings.env(), **(env or {})})
    return host


def sample():
    """conf/batvd.conf, its comments too, without domains."""
    text = SAMPLE.read_text(encoding="utf-8")
    for name, value in [("listen", "@SOCKET@"), ("user", "nobody"), ("state_dir", "@STATE@"),
                        ("target", "stderr")]:
        text, count = re.subn(rf'(?m)^( *)#{name} = ".*";', rf'\1{name} = "{value}";', text, count=1)
        assert count == 1, name
    return text


def snapshot(*folders):
    """Every file below the folders: its content, owner and mode."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            info = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(info.st_mode) else None
            found[str(path)] = (content, info.st_uid, info.st_gid, info.st_mode)
    return found


def main_values(settings):
    names = ("smtpd_milters", "non_smtpd_milters", "milter_default_action",
             "recipient_canonical_maps", "recipient_canonical_classes")
    return {name: settings.value(name) for name in names}


def copies(folder):
    return sorted(folder.glob("main.cf.batvd-*"))


# -- configuration and keys ----------------------------------------------------------------------

def test_domains_are_set_in_the_installed_configuration(fresh):
    before = fresh.conf.read_text(encoding="utf-8")
    fresh.conf.chmod(0o640)
    os.chown(fresh.conf, 0, util.owner_ids("nobody")[1])
    done = fresh.setup("example.com", ".example.org", "Bücher.example", rc=0)
    after = fresh.conf.read_text(encoding="utf-8")
    line = 'domains = ( "example.com", ".example.org", "Bücher.example" );'
    assert after == before.replace("#domains = ( );", line, 1) and line in after
    info = fresh.conf.stat()
    assert (info.st_mode & 0o7777, info.st_gid) == (0o640, util.owner_ids("nobody")[1])
    assert fresh.ctl("sign", "a@example.com", "b@x.example.org", rc=0)
    assert "Key 0 signs from now on" in done.out


def test_keys_belong_to_the_daemons_user(fresh):
    fresh.setup("example.com", rc=0)
    uid, gid = util.owner_ids("nobody")
    for path, mode in [(fresh.state, 0o700), (fresh.state / "keyring", 0o600)]:
        info = path.stat()
        assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (uid, gid, mode), path
    fresh.start()
    fresh.stop()


def test_twice_changes_nothing(fresh):
    fresh.setup("example.com", "example.net", rc=0)
    before = snapshot(fresh.folder, fresh.settings.folder)
    done = fresh.setup("EXAMPLE.net", "example.com", rc=0)
    assert snapshot(fresh.folder, fresh.settings.folder) == before
    assert "has these domains already" in done.out and "exists and stays" in done.out


def test_it_ends_with_check(fresh):
    done = fresh.setup("example.com", rc=0)
    rest = done.out.split("\ncheck:\n")[1]
    assert re.search(r"(?m)^ok    domains ", rest) and re.search(r"(?m)^todo  daemon ", rest)
    assert "\nfail " not in rest and re.search(r"(?m)^summary: \d+ ok, \d+ todo, \d+ warn, 0 fail$", rest)


def test_nothing_to_find_fault_with_is_0(fresh):
    fresh.setup("example.com", "--apply", rc=1)
    fresh.start()
    done = fresh.setup("example.com", rc=0)
    assert "\nnext:\n" not in done.out
    # What happens in the first week ends it: not all is only logged.
    last = done.out.split("\nat first:")[1]
    assert "7 days" in last and "backscatter is only logged" in last
    assert last.endswith("    ordinary mail to forged tags is deferred (451) for these 7 days, then rejected\n")


def levels(host, level):
    """The checks that find something of that level."""
    found = host.ctl("check", "--json", env=host.settings.env()).json
    return {one["name"] for one in found if one["level"] == level}


BEFORE_THE_START = {"daemon", "socket"}
BEFORE_APPLYING = {"postfix.smtpd_milters", "postfix.non_smtpd_milters",
                   "postfix.recipient_canonical_maps"}


def test_a_first_start_is_left_to_do(fresh):
    """Nothing has failed while nothing was begun; then each step leaves less to do."""
    fresh.setup("example.com", rc=0)
    found = fresh.ctl("check", "--json", env=fresh.settings.env(), rc=0).json
    todo = {one["name"]: one["mend"] for one in found if one["level"] == "todo"}
    assert set(todo) == BEFORE_THE_START | BEFORE_APPLYING
    # Postfix must never ask before somebody answers.
    for name in BEFORE_APPLYING:
        assert todo[name] == (f"batvd -c {fresh.conf}, and when it runs: "
                              f"batvctl -c {fresh.conf} mta postfix --map-path {fresh.settings.folder}/batv.pcre | sh")
    fresh.start()
    assert levels(fresh, "todo") == BEFORE_APPLYING and not levels(fresh, "fail")
    fresh.setup("example.com", "--apply", rc=0)
    assert not levels(fresh, "todo") | levels(fresh, "fail")


def a_copy_of_main_cf(host):
    (host.settings.folder / "main.cf.batvd-20261122T040335Z").touch()


def a_milter_of_ours(host):
    host.settings.write({"smtpd_milters": f"unix:{host.socket_path}"})


def a_milter_at_a_former_place(host):
    host.settings.write({"non_smtpd_milters": "unix:batvd/former.sock"})


def our_map(host):
    host.settings.write({"recipient_canonical_maps": f"pcre:{host.settings.folder}/batv.pcre"})


def a_service_that_asks(host):
    host.settings.write(master=MASTER_CF + f"26 inet n - n - - smtpd -o smtpd_milters=unix:{host.socket_path}\n")


def a_message(host):
    host.start()
    with MilterSession(host.milter, client=("in.example.com", "127.0.0.2", 4711)) as session:
        session.message("<x@other.test>", ["<alice@example.com>"])
    host.stop()


@pytest.mark.parametrize("make", [a_copy_of_main_cf, a_milter_of_ours, a_milter_at_a_former_place,
                                  our_map, a_service_that_asks, a_message])
def test_what_was_begun_has_failed(fresh, make):
    """Whatever shows that batvd was at work here once: a missing part is a fail again."""
    fresh.setup("example.com", rc=0)
    make(fresh)
    assert not levels(fresh, "todo") and levels(fresh, "fail") >= BEFORE_THE_START
    fresh.ctl("check", rc=1, env=fresh.settings.env())


def test_a_daemon_that_ran_and_stopped_has_failed(fresh):
    fresh.setup("example.com", rc=0)
    fresh.start()
    fresh.stop()
    assert levels(fresh, "fail") == BEFORE_THE_START and levels(fresh, "todo") == BEFORE_APPLYING


def test_what_is_next(fresh):
    def told(*more, rc=0):
        return fresh.setup("example.com", *more, rc=rc).out.split("\nnext:\n")[1]
    start = f"    batvd -c {fresh.conf}\n"
    assert told().split("\nat first:")[0] == start + "    this command with --apply\n"
    # Postfix asks a daemon that is not there.
    assert told("--apply", rc=1) == start + "    this command again\n"
    (copy,) = copies(fresh.settings.folder)
    copy.rename(fresh.settings.folder / "main.cf")
    fresh.start()
    assert told().split("\nat first:")[0] == "    this command with --apply\n"


@pytest.mark.parametrize("bad, why", [
    ("exa mple.com", "exa mple"), ("..example.com", "example"), ("", '""'),
    ("alice@example.com", "alice@"), ("example.com.", None),
    ('x"y.example', None), ("a..b", "a..b"), ("*.example.com", r"*.example.com"),
    ("file:/etc/passwd", "file:/etc"), ("xn--\x01.example", None), ("a" * 300, "aaaa"),
    (".", None), ("exämple\udcff.com", None),
])
def test_bad_domain(fresh, bad, why):
    before = snapshot(fresh.folder, fresh.settings.folder)
    done = fresh.setup("--apply", "--", "example.com", bad)
    if done.rc != 2:
        pytest.fail(f"{bad!r} is taken: {done}")
    assert snapshot(fresh.folder, fresh.settings.folder) == before
    assert "nothing was changed" in done.err and (why is None or why in done.err), done.err


def test_domain_given_twice(fresh):
    before = snapshot(fresh.folder)
    done = fresh.setup("example.com", "Example.COM", rc=2)
    assert "Example.COM: given twice" in done.err
    assert snapshot(fresh.folder) == before


def test_usage(fresh):
    assert "the domains are missing" in fresh.setup(rc=2).err
    assert "--aply" in fresh.setup("--aply", "example.com", rc=2).err
    assert "JSON" in fresh.setup("--json", "example.com", rc=2).err


# A list as it may stand there, and how it stands with another domain; None: as it was.
SECOND = [
    ('domains = ( "example.com" );', 'domains = ( "example.com", "example.org" );'),
    ('domains = [ "example.com" ];', 'domains = [ "example.com", "example.org" ];'),
    ('domains: ("example.com",)\n', 'domains: ("example.com", "example.org",)\n'),
    ('domains = ( { name = "example.com"; sign = false; } );',
     'domains = ( { name = "example.com"; sign = false; }, "example.org" );'),
    ('domains = (\n  "example.com",  # the first\n  { name = "example.net";\n    sign = true; }'
     '  # and this\n  # "example.org"\n);\n',
     'domains = (\n  "example.com",  # the first\n  { name = "example.net";\n    sign = true; },'
     '  # and this\n  "example.org"\n  # "example.org"\n);\n'),
    ('domains = ( "example.com" # , "example.org"\n );',
     'domains = ( "example.com", # , "example.org"\n    "example.org"\n );'),
    ('domains = ( "file:@DIR@/list" );', 'domains = ( "file:@DIR@/list", "example.org" );'),
    ('domains = (\n\t"file:@DIR@/list",\n);', 'domains = (\n\t"file:@DIR@/list",\n\t"example.org",\n);'),
    ('domains = ( "file:@DIR@/empty" );', 'domains = ( "file:@DIR@/empty", "example.org" );'),
    ('domains = ( "file:@DIR@/has" );', None),
    ('domains = ( "EXAMPLE.org", "example.com" );', None),
    ('domains = ( { name = "Example.ORG"; sign = false; } );', None),
    ('domains = ( ".org" );', None),
]


@pytest.mark.parametrize("before, after", SECOND)
def test_second_domain_is_added(fresh, before, after):
    for name, text in [("list", "example.com\n"), ("empty", "# none\n"), ("has", "example.org\n")]:
        (fresh.folder / name).write_text(text, encoding="utf-8")
    before, after = [text and text.replace("@DIR@", str(fresh.folder)) for text in (before, after)]
    fresh.configure(sample().replace("#domains = ( );", before))
    former = fresh.conf.read_text(encoding="utf-8")
    done = fresh.setup("example.org")
    assert fresh.conf.read_text(encoding="utf-8") == former.replace(before, after or before)
    assert ("has these domains already" in done.out) == (after is None)
    again = snapshot(fresh.folder, fresh.settings.folder)
    assert "has these domains already" in fresh.setup("example.org").out
    assert snapshot(fresh.folder, fresh.settings.folder) == again
    assert fresh.ctl("sign", "a@example.org").rc == (1 if "sign = false" in former and not after else 0)


@pytest.mark.parametrize("there, given", [
    ("bücher.example", "xn--bcher-kva.example"), ("xn--bcher-kva.example", "BÜCHER.example"),
    (".example.org", "www.example.org"), (".example.org", ".www.example.org")])
def test_domain_that_is_there_in_another_form(fresh, there, given):
    fresh.configure(sample().replace("#domains = ( );", f'domains = ( "{there}" );'))
    before = fresh.conf.read_bytes()
    done = fresh.setup(given)
    assert fresh.conf.read_bytes() == before and "has these domains already" in done.out
    assert ("is one of the subdomains .example.org" in done.out) == (given == "www.example.org")


@pytest.mark.parametrize("there, given", [(".example.org", "example.org"),
                                          ("www.example.org", ".example.org")])
def test_domain_that_only_looks_as_if_it_were_there(fresh, there, given):
    fresh.configure(sample().replace("#domains = ( );", f'domains = ( "{there}" );'))
    fresh.setup(given)
    assert f'domains = ( "{there}", "{given}" );' in fresh.conf.read_text(encoding="utf-8")


def test_domains_in_any_order(fresh):
    for domains in (["example.org"], ["example.com", "example.org"], ["example.net"],
                    ["example.com", "example.edu", "EXAMPLE.net"]):
        done = fresh.setup(*domains, "--apply", rc=1)
    names = ["example.org", "example.com", "example.net", "example.edu"]
    listed = ", ".join(f'"{name}"' for name in names)
    assert f"\ndomains = ( {listed} );\n" in fresh.conf.read_text(encoding="utf-8")
    tagged = [f"prvs=0000000000=a@{name}" for name in names]
    found = fresh.settings.lookup(tagged, f"pcre:{fresh.settings.folder}/batv.pcre")
    assert sorted(found) == sorted(tagged)
    assert "main.cf: " in done.out and "has all of it already" in done.out


def test_what_cannot_be_added_safely_is_a_line_to_write(fresh):
    """The list is another one at each reading, so nobody can tell that nothing was lost."""
    fresh.configure(sample().replace("#domains = ( );",
                                     'domains = ( "file:/proc/sys/kernel/random/uuid" );'))
    before = snapshot(fresh.folder)
    done = fresh.setup("example.org", rc=2)
    assert snapshot(fresh.folder) == before and "nothing was changed" in done.err
    line = fresh.conf.read_text(encoding="utf-8").split("domains = ( \"file:")[0].count("\n") + 1
    assert f"{fresh.conf}:{line}: " in done.err and '\n    "example.org"\n' in done.err, done.err


def test_running_daemon_takes_a_second_domain_in(fresh):
    fresh.setup("example.com")
    fresh.start()
    done = fresh.setup("example.org", "--apply")
    assert "batvd: reloaded\n" in done.out and re.search(r"(?m)^ok    reload ", done.out), done
    assert "reloaded" in fresh.log_text()


def test_settings_of_the_same_domains_stay(fresh):
    fresh.configure(sample().replace(
        "#domains = ( );", 'domains = ( { name = "example.com"; verify_action = "log"; } );'))
    before = fresh.conf.read_bytes()
    fresh.setup("example.com", rc=0)
    assert fresh.conf.read_bytes() == before


@pytest.mark.parametrize("former, expected", [
    ("domains = ( );", "X"), ("domains = ();\n", "X\n"), ("domains:( )\n", "X\n"),
    ("domains = ( # none yet: );\n ) ;\n", "X\n"), ("/* domains = 1; */ domains = ( ), ", "/* domains = 1; */ X "),
    ("", "X\n"), ("# the end", "# the end\nX\n"), ("on_error = \"tempfail\"", "on_error = \"tempfail\"\nX\n"),
    ("verify: { text = \"domains = ( );\"; };\n", "verify: { text = \"domains = ( );\"; };\nX\n"),
    ("verify:\n{\n#domains = ( );\n};\n", "verify:\n{\n#domains = ( );\n};\nX\n"),
    ("#domains = ( );\n#domains = ( );\n", "X\n#domains = ( );\n"),
    ("#domains = ( );\non_error = \"tempfail\"; domains = ( );\n",
     "#domains = ( );\non_error = \"tempfail\"; X\n"),
])
def test_only_domains_change(fresh, former, expected):
    head = 'user = "nobody"; state_dir = "@STATE@"; listen = "@SOCKET@";\n'
    fresh.configure(head + former)
    fresh.setup("example.com", rc=0)
    text = fresh.conf.read_text(encoding="utf-8")
    assert text.split("\n", 1)[1] == expected.replace("X", 'domains = ( "example.com" );')


def test_faulty_configuration_stays(fresh):
    fresh.configure("domains = ( ;\n")
    before = snapshot(fresh.folder)
    done = fresh.setup("example.com", rc=2)
    assert snapshot(fresh.folder) == before
    assert f"{fresh.conf}:1: error" in done.err and "nothing was changed" in done.err


def test_ring_that_is_there_stays(fresh):
    fresh.setup("example.com", rc=0)
    ring = (fresh.state / "keyring").read_bytes()
    fresh.configure(sample())
    fresh.setup("example.com", "example.net", rc=0)
    assert (fresh.state / "keyring").read_bytes() == ring


def test_damaged_ring_stays(fresh):
    fresh.setup("example.com", rc=0)
    ring = fresh.state / "keyring"
    ring.write_text("nonsense\n", encoding="ascii")
    done = fresh.setup("example.com", rc=2)
    assert ring.read_text(encoding="ascii") == "nonsense\n" and str(ring) in done.err


def test_symbolic_link_stays_one(fresh):
    real = fresh.folder / "real.conf"
    fresh.conf.rename(real)
    fresh.conf.symlink_to(real)
    fresh.setup("example.com", rc=0)
    assert fresh.conf.is_symlink() and '"example.com"' in real.read_text(encoding="utf-8")


def test_state_dir_of_another_user(fresh):
    fresh.state.mkdir(mode=0o700)
    before = snapshot(fresh.folder)
    done = fresh.setup("example.com", rc=2)
    assert f"chown -R nobody {fresh.state}" in done.err and "nothing was changed" in done.err
    assert snapshot(fresh.folder) == before


def test_user_that_is_not_there(fresh):
    fresh.configure(sample().replace('user = "nobody"', 'user = "no-such-user"'))
    before = snapshot(fresh.folder)
    done = fresh.setup("example.com", rc=2)
    assert "no-such-user" in done.err and "nothing was changed" in done.err
    assert snapshot(fresh.folder) == before


def test_read_only_folder(fresh):
    before = snapshot(fresh.folder)
    done = run(fresh, elsewhere.prefix({}, read_only=fresh.folder),
               "setup", "example.com")
    assert done.returncode == 2 and "Read-only file system" in done.stderr, done
    assert str(fresh.conf) in done.stderr and "nothing was changed" in done.stderr
    assert snapshot(fresh.folder) == before


def test_not_as_root(fresh):
    before = snapshot(fresh.folder)
    for more, word in [((), "run this as root"), (("--apply",), "--apply")]:
        done = run(fresh, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
                   "setup", "example.com", *more)
        assert done.returncode == 2 and word in done.stderr and "root" in done.stderr, done
        assert "nothing was changed" in done.stderr
    assert snapshot(fresh.folder) == before


def test_again_not_as_root(fresh):
    fresh.setup("example.com", rc=0)
    before = snapshot(fresh.folder)
    done = run(fresh, ["setpriv", "--reuid=1", "--regid=1", "--clear-groups"], "setup", "example.com")
    assert done.returncode == 2 and "nothing was changed; run this as root" in done.stderr, done
    assert snapshot(fresh.folder) == before


def test_what_is_said_has_one_order(fresh):
    """Complaints stand behind what was done before them, in one file too."""
    (fresh.settings.folder / "batv.pcre").mkdir()
    done = run(fresh, ["sh", "-c", 'exec "$@" 2>&1', "sh"], "setup", "example.com", "--apply")
    assert re.search(r"(?s)^configuration: .*\nkeyring: .*\nbatvctl: .*batv\.pcre", done.stdout), done


def run(host, before, *args, env=None):
    """batvctl by way of another program."""
    argv = [*before, util.binary("batvctl"), "-c", host.conf, *args]
    return subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=60, cwd="/",
                          env=host.environment({**host.settings.env(), **(env or {})}),
                          check=False, stdin=subprocess.DEVNULL)


# What a host has: a systemd that booted it, with our unit, and its journal in place of a mail log.
SYSTEMD = ("run/systemd/system/", "run/systemd/journal/socket", "etc/systemd/system/batvd.service")
MAIL_LOG = ("var/log/mail.log",)


def with_files(host, *names):
    """In front of a command line that finds these of systemd's files and logs, and no others."""
    root = host.folder / "".join(names).replace("/", "_")
    for name in ("run/systemd/", "etc/systemd/", "var/log/", *names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (root / name).mkdir(exist_ok=True)
        else:
            (root / name).touch()
    return elsewhere.prefix({f"/{name}": root / name
                             for name in ("run/systemd", "etc/systemd", "var/log")})


def found_by(host, names, name):
    """What `check` says under that name on a host with these files."""
    done = run(host, with_files(host, *names), "check", "--json")
    assert done.returncode == 0, done
    return [one for one in json.loads(done.stdout) if one["name"] == name][0]


def test_commands_fit_the_host(fresh):
    """systemctl and journalctl only where systemd is; there and elsewhere batvd runs before it is asked."""
    text = sample().replace('target = "stderr"', 'target = "syslog"')
    fresh.configure(text)
    fresh.setup("example.com", rc=0)
    conf = fresh.conf
    assert found_by(fresh, SYSTEMD, "daemon")["mend"] == "systemctl enable --now batvd"
    assert found_by(fresh, SYSTEMD, "postfix.smtpd_milters")["mend"] == (
        f"systemctl enable --now batvd && batvctl -c {conf} mta postfix --map-path "
        f"{fresh.settings.folder}/batv.pcre | sh")
    assert found_by(fresh, SYSTEMD, "log")["text"].endswith("see journalctl -t batvd") or (
        found_by(fresh, SYSTEMD, "log")["level"] == "warn")
    assert found_by(fresh, MAIL_LOG, "daemon")["mend"] == f"batvd -c {conf}"
    out = run(fresh, with_files(fresh, *SYSTEMD), "setup", "example.com").stdout
    assert "\nnext:\n    systemctl enable --now batvd\n    this command with --apply\n" in out
    fresh.start()
    fresh.setup("example.com", "--apply", rc=0)

    def says(names):
        return found_by(fresh, names, "warm-up")["mend"].rpartition("log: ")[2]
    assert says(SYSTEMD) == "journalctl -t batvd" and says(MAIL_LOG) == "/var/log/mail.log"
    # Somebody started it by hand: its unit could not reload it.
    fresh.conf.touch()
    os.utime(fresh.conf, (2**31 - 1, 2**31 - 1))
    assert found_by(fresh, SYSTEMD, "reload")["mend"] == f"batvd -n -c {conf} && kill -USR1 {fresh.pid}"


# -- a configuration made from nothing -----------------------------------------------------------

def accounts(folder, user):
    """The host's accounts, with or without a user batvd, and an empty /var/lib."""
    for name, line in [("passwd", "batvd:x:64999:64999::/nonexistent:/usr/sbin/nologin\n"),
                       ("group", "batvd:x:64999:\n")]:
        text = open(f"/etc/{name}", encoding="utf-8").read()
        text = re.sub(r"(?m)^batvd:.*\n", "", text) + (line if user else "")
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "var-lib").mkdir()
    return elsewhere.prefix({"/var/lib": folder / "var-lib", "/etc/passwd": folder / "passwd",
                             "/etc/group": folder / "group"})


def test_configuration_from_nothing(fresh):
    fresh.conf.unlink()
    fresh.conf = fresh.folder / "etc" / "batvd.conf"
    show = 'cat "$3"; stat -c "%U %G %a %n" /var/lib/batvd /var/lib/batvd/keyring'
    done = run(fresh, [*accounts(fresh.folder, True), "sh", "-c", f'"$@"; echo RC $?; {show}', "sh"],
               "setup", "example.com")
    assert "RC 0" in done.stdout, done
    assert 'user = "batvd";' in done.stdout and 'domains = ( "example.com" );' in done.stdout
    # The queue directory is not the usual one, so the listener must not be, either.
    assert f'listen = "unix:{fresh.settings.folder}/queue/batvd/milter.sock";' in done.stdout
    assert "batvd batvd 700 /var/lib/batvd\n" in done.stdout
    assert "batvd batvd 600 /var/lib/batvd/keyring\n" in done.stdout
    assert fresh.conf.stat().st_mode & 0o7777 == 0o644


def test_without_a_user_for_it(fresh):
    fresh.conf.unlink()
    before = snapshot(fresh.settings.folder)
    done = run(fresh, accounts(fresh.folder, False), "setup", "example.com", "--apply")
    assert done.returncode == 2 and "adduser --system" in done.stderr, done
    assert not fresh.conf.exists() and snapshot(fresh.settings.folder) == before


# -- Postfix -------------------------------------------------------------------------------------

def test_settings_are_printed_only(fresh):
    before = snapshot(fresh.settings.folder)
    done = fresh.setup("example.com", rc=0)
    assert snapshot(fresh.settings.folder) == before
    said = fresh.ctl("mta", "postfix", "--map-path", fresh.settings.folder / "batv.pcre",
                     env=fresh.settings.env(), rc=0).out
    assert said in done.out


def test_settings_are_applied(fresh):
    main_cf = fresh.settings.folder / "main.cf"
    before = main_cf.read_bytes()
    action = fresh.settings.value("milter_default_action")    # that of this version of Postfix
    assert action in ("tempfail", "shutdown")
    done = fresh.setup("example.com", "--apply", rc=1)
    batv_map = fresh.settings.folder / "batv.pcre"
    assert main_values(fresh.settings) == {
        "smtpd_milters": f"unix:{fresh.socket_path}", "non_smtpd_milters": "$smtpd_milters",
        "milter_default_action": action, "recipient_canonical_maps": f"pcre:{batv_map}",
        "recipient_canonical_classes": "envelope_recipient"}
    assert batv_map.stat().st_mode & 0o7777 == 0o644
    assert fresh.settings.lookup(["prvs=0000000000=a@example.com"], f"pcre:{batv_map}") == {
        "prvs=0000000000=a@example.com": "a@example.com"}
    copy, = copies(fresh.settings.folder)
    assert copy.read_bytes() == before
    assert "not running" in done.out
    assert not re.search(r"(?m)^fail  postfix", done.out), done.out
    # The record of it, for the way back.
    default = fresh.settings.run("postconf -dh milter_default_action").strip()
    action = "" if default in ("tempfail", "shutdown") else "set milter_default_action = tempfail\n"
    assert (fresh.state / "setup").read_text(encoding="utf-8").split("format 1\n")[1] == (
        f"folder {fresh.settings.folder}\nlisten unix:{fresh.socket_path}\nmap {batv_map}\n"
        f"set smtpd_milters = unix:{fresh.socket_path}\n"
        "set non_smtpd_milters = $smtpd_milters\n"
        f"{action}set recipient_canonical_maps = pcre:{batv_map}\n"
        "set recipient_canonical_classes = envelope_recipient\n")


def test_applied_twice(fresh):
    fresh.setup("example.com", "--apply", rc=1)
    before = snapshot(fresh.folder, fresh.settings.folder)
    done = fresh.setup("example.com", "--apply", rc=1)
    assert snapshot(fresh.folder, fresh.settings.folder) == before
    assert "has all of it already" in done.out


OTHERS = [
    ("inet:localhost:11332", "inet:localhost:11332, {ours}"),
    ("inet:localhost:11332 unix:/run/opendkim.sock",
     "inet:localhost:11332 unix:/run/opendkim.sock, {ours}"),
    ("{ unix:/run/opendkim.sock, default_action=accept, connect_timeout=5s }",
     "{ unix:/run/opendkim.sock, default_action=accept, connect_timeout=5s }, {ours}"),
    ("$dkim_milter,inet:localhost:1", "$dkim_milter,inet:localhost:1, {ours}"),
]


@pytest.mark.parametrize("former, expected", OTHERS)
def test_other_milters_stay(fresh, former, expected):
    ours = f"unix:{fresh.socket_path}"
    fresh.settings.base.update(smtpd_milters=former, non_smtpd_milters=former,
                               dkim_milter="inet:localhost:8891")
    fresh.settings.write()
    fresh.setup("example.com", "--apply", rc=1)
    values = main_values(fresh.settings)
    assert values["smtpd_milters"] == expected.replace("{ours}", ours)
    assert values["non_smtpd_milters"] == expected.replace("{ours}", ours)
    before = snapshot(fresh.settings.folder)
    fresh.setup("example.com", "--apply", rc=1)
    assert snapshot(fresh.settings.folder) == before


@pytest.mark.parametrize("former, after", [
    ("tempfail", "tempfail"), ("shutdown", "shutdown"), ("$away", "$away"), ("accept", "tempfail"),
    ("reject", "tempfail"), ("quarantine", "tempfail")])
def test_an_action_that_defers_stays(fresh, former, after):
    fresh.settings.base.update(milter_default_action=former, away="Shutdown")
    fresh.settings.write()
    done = fresh.setup("example.com", "--apply", rc=1)
    assert main_values(fresh.settings)["milter_default_action"] == after
    assert ("set milter_default_action" in done.out) == (former != after)
    assert not re.search(r"(?m)^(fail|warn) +postfix\.milter_default_action", done.out), done.out


def change_listen(host, listen):
    """As by hand, with the restart that it takes."""
    if host.process:
        host.stop()
    text = host.conf.read_text(encoding="utf-8")
    host.conf.write_text(re.sub(r'(?m)^listen = ".*";', f'listen = "{listen}";', text), encoding="utf-8")


def milters(settings):
    return settings.value("smtpd_milters"), settings.value("non_smtpd_milters")


def test_listen_is_changed_and_goes_back(fresh):
    """The new address takes the former one's place; other milters, which do not answer either, stay
    where they are. The same by `mta postfix`, which applies nothing."""
    fresh.settings.base["smtpd_milters"] = "inet:localhost:1"
    fresh.settings.write()
    fresh.setup("example.com", "--apply")
    main = fresh.settings.folder / "main.cf"
    main.write_text(main.read_text(encoding="utf-8").replace("milter.sock", "milter.sock, unix:/nowhere"),
                    encoding="utf-8")
    first, second = fresh.listen, f"unix:{fresh.run}/other.sock"
    assert milters(fresh.settings) == (f"inet:localhost:1, {first}, unix:/nowhere", "$smtpd_milters")
    for listen in (second, first, second):
        change_listen(fresh, listen)
        printed = fresh.ctl("mta", "postfix", "--part", "main", env=fresh.settings.env(), rc=0).out
        assert f"\nsmtpd_milters = inet:localhost:1, {listen}, unix:/nowhere\n" in printed
        fresh.setup("example.com", "--apply")
        assert milters(fresh.settings) == (f"inet:localhost:1, {listen}, unix:/nowhere", "$smtpd_milters")


def test_a_former_address_that_only_the_daemon_wrote_down(fresh):
    """The settings were made by hand; the daemon was started on an address, then on another."""
    fresh.setup("example.com")
    fresh.start()
    first, second = fresh.listen, f"unix:{fresh.run}/other.sock"
    fresh.settings.base.update(smtpd_milters=f"{{ {first}, connect_timeout=3s }}", non_smtpd_milters=first)
    fresh.settings.write()
    change_listen(fresh, second)
    fresh.setup("example.com", "--apply")
    assert milters(fresh.settings) == (f"{{ {second}, connect_timeout=3s }}", second)


def test_a_daemon_that_still_listens_at_its_former_address(fresh):
    fresh.setup("example.com", "--apply")
    fresh.start()
    text = fresh.conf.read_text(encoding="utf-8")
    second = f"unix:{fresh.run}/other.sock"
    fresh.conf.write_text(text.replace("milter.sock", "other.sock"), encoding="utf-8")
    fresh.setup("example.com", "--apply")
    assert milters(fresh.settings)[0] == second


def test_an_address_of_before_that_is_another_milters_now(fresh):
    """Somebody answers there, and it is not batvd."""
    fresh.setup("example.com", "--apply")
    first, second = fresh.listen, f"unix:{fresh.run}/other.sock"
    change_listen(fresh, second)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(first.removeprefix("unix:"))
        other.listen()
        fresh.setup("example.com", "--apply")
        assert milters(fresh.settings)[0] == f"{first}, {second}"


def test_a_former_address_by_the_copy_that_was_kept(fresh):
    """Nothing was written down, and a port has no name."""
    port = util.free_port()
    fresh.settings.base["smtpd_milters"] = "inet:localhost:1"
    fresh.settings.write()
    former = f"inet:127.0.0.1:{port}"
    change_listen(fresh, f"inet:{port}@127.0.0.1")
    fresh.setup("example.com", "--apply")
    main = fresh.settings.folder / "main.cf"
    text = main.read_text(encoding="utf-8")
    assert milters(fresh.settings)[0] == f"inet:localhost:1, {former}"
    main.write_text(text.replace(former, f"{former}, inet:127.0.0.1:2"), encoding="utf-8")
    (fresh.state / "listeners").unlink()
    change_listen(fresh, f"unix:{fresh.run}/other.sock")
    fresh.setup("example.com", "--apply")
    assert milters(fresh.settings)[0] == f"inet:localhost:1, unix:{fresh.run}/other.sock, inet:127.0.0.1:2"
    # Of a later copy, which has batvd already, nothing follows.
    (fresh.state / "listeners").unlink()
    for copy in copies(fresh.settings.folder)[:1]:
        copy.unlink()
    change_listen(fresh, f"unix:{fresh.run}/third.sock")
    fresh.setup("example.com", "--apply")
    assert milters(fresh.settings)[0] == (f"inet:localhost:1, unix:{fresh.run}/other.sock, inet:127.0.0.1:2, "
                                          f"unix:{fresh.run}/third.sock")


def test_anothers_milter_in_front_of_ours_stays(fresh):
    """The copy from before has none, so that the first one now would be what was added; it is away for a
    moment."""
    ours = f"unix:{fresh.socket_path}"
    fresh.setup("example.com", "--apply")
    assert milters(fresh.settings)[0] == ours
    main = fresh.settings.folder / "main.cf"
    text = main.read_text(encoding="utf-8")
    main.write_text(text.replace(f"smtpd_milters = {ours}", f"smtpd_milters = inet:127.0.0.1:1, {ours}"),
                    encoding="utf-8")
    before = milters(fresh.settings)
    assert before[0].startswith("inet:127.0.0.1:1")
    fresh.setup("example.com", "--apply")
    assert milters(fresh.settings) == before


def test_the_action_of_other_milters_stays(fresh):
    fresh.settings.base.update(smtpd_milters="inet:localhost:1", milter_default_action="accept")
    fresh.settings.write()
    fresh.setup("example.com", "--apply")
    assert milters(fresh.settings)[0] == (f"inet:localhost:1, {{ {fresh.listen}, default_action=tempfail }}")
    assert fresh.settings.value("milter_default_action") == "accept"
    found = fresh.ctl("check", "--json", env=fresh.settings.env()).json
    assert [one["level"] for one in found if one["name"] == "postfix.milter_default_action"] == ["ok"]


def test_other_canonical_maps_stay(fresh):
    table = fresh.settings.folder / "canonical"
    table.write_text("old@example.com new@example.com\n", encoding="utf-8")
    fresh.settings.base["recipient_canonical_maps"] = f"texthash:{table}, $more_maps"
    fresh.settings.base["more_maps"] = "static:"
    fresh.settings.write()
    done = fresh.setup("example.com", "--apply", rc=1)
    assert main_values(fresh.settings)["recipient_canonical_maps"] == (
        f"pcre:{fresh.settings.folder}/batv.pcre, texthash:{table}, $more_maps")
    assert "now apply to envelope recipients only" in done.out


def test_another_map_of_that_name_is_kept(fresh):
    batv_map = fresh.settings.folder / "batv.pcre"
    batv_map.write_text("/^mine$/ yours\n", encoding="utf-8")
    done = fresh.setup("example.com", "--apply", rc=1)
    kept, = fresh.settings.folder.glob("batv.pcre.batvd-*")
    assert kept.read_text(encoding="utf-8") == "/^mine$/ yours\n" and str(kept) in done.out
    assert "example\\.com" in batv_map.read_text(encoding="utf-8")


def test_folder_for_the_socket_in_the_queue_directory(fresh):
    folder = fresh.settings.folder / "queue" / "batvd"
    fresh.configure(sample().replace("@SOCKET@", f"unix:{folder}/milter.sock"))
    done = fresh.setup("example.com", rc=0)
    command = re.search(r"(?m)^(install -d .*) &&$", done.out).group(1)
    assert not folder.exists()
    wanted = (util.owner_ids("nobody")[0], util.owner_ids("postfix")[1], 0o2750)

    def made():
        info = folder.stat()
        return info.st_uid, info.st_gid, info.st_mode & 0o7777
    fresh.settings.run(command)
    assert made() == wanted
    folder.rmdir()
    fresh.setup("example.com", "--apply", rc=1)
    assert made() == wanted
    fresh.socket_path = folder / "milter.sock"
    fresh.start()
    done = fresh.setup("example.com", "--apply", rc=0)
    assert "unix:batvd/milter.sock" == main_values(fresh.settings)["smtpd_milters"]


def test_postconf_that_fails_half_way(fresh):
    """It has changed main.cf by then: that is undone."""
    main_cf = fresh.settings.folder / "main.cf"
    before = main_cf.read_bytes()
    fake = fresh.folder / "bin"
    fake.mkdir()
    real = shutil.which("postconf", path=fresh.settings.env()["PATH"])
    (fake / "postconf").write_text(
        f'#!/bin/sh\n[ "$1" = -e ] || exec {real} "$@"\n{real} -e "$2"\n'
        'echo "postconf: fatal: No space left on device" >&2\nexit 1\n', encoding="ascii")
    (fake / "postconf").chmod(0o755)
    os.symlink(shutil.which("postmap", path=fresh.settings.env()["PATH"]), fake / "postmap")
    path = f"{fake}:{fresh.settings.env()['PATH']}"
    done = fresh.setup("example.com", "--apply", rc=2, env={"PATH": path})
    assert main_cf.read_bytes() == before and not copies(fresh.settings.folder)
    assert "No space left" in done.err and "is unchanged" in done.err
    assert "check:" not in done.out
    assert fresh.setup("example.com", "--apply", rc=1)      # and by the real one


def test_read_only_postfix_folder(fresh):
    before = snapshot(fresh.settings.folder)
    done = run(fresh, elsewhere.prefix({}, read_only=fresh.settings.folder),
               "setup", "example.com", "--apply")
    assert done.returncode == 2 and "batv.pcre" in done.stderr, done
    assert "main.cf is unchanged" in done.stderr
    assert "configuration: " in done.stdout and "keyring: " in done.stdout
    assert snapshot(fresh.settings.folder) == before


def test_postfix_that_cannot_be_asked(fresh):
    before = snapshot(fresh.folder)
    done = fresh.setup("example.com", rc=2, env={"MAIL_CONFIG": "/nonexistent"})
    assert "/nonexistent" in done.err and "nothing was changed" in done.err
    assert snapshot(fresh.folder) == before


WITHOUT_POSTFIX = elsewhere.prefix({"/usr/sbin": "/nonexistent", "/sbin": "/nonexistent"})


@pytest.mark.skipif(bool(where().root), reason="Postfix is not in its usual place here")
def test_without_a_mail_server(fresh):
    env = {"PATH": "/usr/bin:/bin"}
    done = run(fresh, WITHOUT_POSTFIX, "setup", "example.com", env=env)
    assert done.returncode == 0 and "neither Postfix nor Sendmail" in done.stdout, done
    assert '"example.com"' in fresh.conf.read_text(encoding="utf-8")
    assert re.search(r"(?m)^ok    keyring ", done.stdout)
    done = run(fresh, WITHOUT_POSTFIX, "setup", "example.com", "--apply", env=env)
    assert done.returncode == 1 and "no mail server" in done.stderr, done


# -- Sendmail ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def mta_sendmail(ended_well):
    """A Sendmail's configuration, and a batvd's folder that is seen beside it."""
    host = daemon.Batvd()
    made = Sendmail()
    made.host = host
    made.prepare()
    yield made
    made.stop()
    host.terminate()


def in_sendmail(mta, *args, before=WITHOUT_POSTFIX):
    mta.host.configure('user = "nobody";\nstate_dir = "@STATE@";\n#domains = ( );\n')
    argv = [*before, util.binary("batvctl"), "-c", mta.host.conf, *args]
    return mta.run(*argv, check=False, text=True,
                   env={**mta.host.environment(), **mta.env()})


@pytest.mark.parametrize("apply", [(), ("--apply",)])
@pytest.mark.parametrize("run_as, group", [(None, ""), ("daemon:mail", "mail"), ("daemon", "daemon")])
def test_sendmail_is_served_elsewhere(mta_sendmail, apply, run_as, group):
    mta = mta_sendmail
    mta.make_cf()
    with (mta.mail_conf / "sendmail.cf").open("a", encoding="ascii") as cf:
        cf.write(f"O RunAsUser={run_as}\n" if run_as else "")
    before = snapshot(mta.mail_conf)
    done = in_sendmail(mta, "setup", "example.com", *apply)
    assert done.returncode == len(apply) and "mail server: Sendmail 8." in done.stdout, done
    text = mta.host.conf.read_text(encoding="utf-8")
    assert 'domains = ( "example.com" );' in text
    assert 'listen = "unix:/run/batvd/milter.sock";' in text
    assert f'listen_group = "{group}";' in text
    # Sendmail's own is printed only, as `mta` has it.
    assert "S=local:/run/batvd/milter.sock, F=T" in done.stdout
    assert ("Sendmail's settings stay unchanged" in done.stderr) == bool(apply)
    assert snapshot(mta.mail_conf) == before
    assert re.search(r"(?m)^todo  sendmail\.filter ", done.stdout)


def test_sendmail_beside_a_postfix_without_configuration(mta_sendmail):
    mta_sendmail.make_cf()
    done = in_sendmail(mta_sendmail, "setup", "example.com", before=[])
    assert done.returncode == 1 and "mail server: Sendmail 8." in done.stdout, done


# -- to the end ----------------------------------------------------------------------------------

def test_round_trip(batvd, postfix, sink):
    """From an installed package to signing and refusing, on a Postfix that runs all the while."""
    host = batvd(sample().replace('#internal_networks = [ "127.0.0.0/8", "::1/128" ];',
                                  'internal_networks = [ "127.0.0.2/32" ];')
                 .replace('#action = "auto";', 'action = "reject";'))
    mta = postfix(relayhost=sink.relayhost, main={"smtpd_milters": "", "non_smtpd_milters": ""})
    mta.start()
    main_cf = mta.conf / "main.cf"
    before = main_cf.read_bytes()
    host.ctl("setup", "example.com", rc=0, env=mta.env)
    assert main_cf.read_bytes() == before
    host.start()
    done = host.ctl("setup", "example.com", "--apply", rc=0, env=mta.env)
    assert "postfix: reloaded" in done.out

    sent = mta.send("alice@example.com", "far@other.test", source="127.0.0.2")
    assert sent.accepted, sent
    tagged = sink.wait_one(subject=sent.subject).mail_from
    assert re.fullmatch(TAGGED, tagged)
    genuine = mta.bounce(tagged)
    assert genuine.accepted, genuine
    assert mta.wait_one("alice@example.com", genuine.subject).delivered_to == "alice@example.com"
    assert mta.bounce("alice@example.com").code == 550


def test_running_postfix_is_not_reloaded_without_batvd(batvd, postfix):
    host = batvd(sample())
    mta = postfix(main={"smtpd_milters": "", "non_smtpd_milters": ""})
    mta.start()
    done = host.ctl("setup", "example.com", "--apply", rc=1, env=mta.env)
    start = "systemctl enable --now batvd" if "systemctl" in done.out else f"batvd -c {host.conf}"
    assert f"    {start}\n    postfix -c {mta.conf} reload\n" in done.out and "postfix: reloaded" not in done.out
    assert "reload" not in mta.maillog()
