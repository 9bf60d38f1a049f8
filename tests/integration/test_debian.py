"""debian/ says nothing else than the rest of the tree."""

import re
import shutil
import subprocess

import pytest

from batvtest import util
from batvtest.settings import PostfixSettings

# What a build has anyway, and what only the packaging and its unit tests need.
ESSENTIAL = {"gcc", "libc6-dev", "make"}
PACKAGING = {"check", "debhelper-compat", "dh-apparmor", "dh-sequence-installsysusers",
             "po-debconf"}


def read(name):
    return (util.REPO / name).read_text(encoding="utf-8")


def test_build_depends_are_the_build_packages():
    listed = {package for uses, package in
              re.findall(r"^(?!#)(\S+)[ \t]+(\S+)", read(".ci/packages"), re.M)
              if "build" in uses.split(",")}
    field = re.search(r"^Build-Depends:((?:.*\n)(?: .*\n)*)", read("debian/control"), re.M).group(1)
    depends = {re.split(r"[\s(<]", item.strip())[0] for item in field.split(",")}
    assert ESSENTIAL < listed and PACKAGING < depends
    assert depends - PACKAGING == listed - ESSENTIAL


def test_the_version_is_that_of_the_makefile():
    version = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M).group(1)
    assert read("debian/changelog").startswith(f"batvd ({version}) ")


def test_the_licence_is_that_of_the_tree():
    given = re.search(r"^License: BSD-2-Clause\n((?: .*\n)+)", read("debian/copyright"), re.M)
    text = re.sub(r"^ \.?", "", given.group(1), flags=re.M)
    assert text.split() == read("LICENSE").split("\n\n", 2)[2].split()


def test_every_template_is_to_be_translated():
    text = re.sub(r'"\n"|\\n', "", read("debian/po/templates.pot"))
    lines = re.search(r"^_Description: (.*)\n((?: .*\n?)+)", read("debian/batvd.templates"), re.M)
    for paragraph in [lines.group(1), *lines.group(2).split("\n .\n")]:
        assert f'msgid "{" ".join(paragraph.split())}"' in text


# -- removal ----------------------------------------------------------------------------------------

@pytest.fixture
def removed(batvd):
    """A host that was set up, and prerm as it runs there."""
    host = batvd('user = "nobody"; listen = "@SOCKET@"; log: { target = "stderr"; };\n'
                 'state_dir = "@STATE@";\n')
    with PostfixSettings() as settings:
        host.settings = settings
        script = read("debian/batvd.prerm").replace("/etc/batvd/batvd.conf", str(host.conf))
        (host.folder / "prerm").write_text(script, encoding="utf-8")

        def apply(**main):
            settings.base.update(main)
            settings.write()
            host.before = (settings.folder / "main.cf").read_bytes()
            host.ctl("setup", "example.com", "--apply", env=settings.env())

        def prerm(action="remove"):
            done = subprocess.run(["sh", host.folder / "prerm", action], env=settings.env(),
                                  capture_output=True, text=True, timeout=60, check=True)
            return done.stderr
        host.apply, host.prerm = apply, prerm
        yield host


SITES = [
    {},
    {"smtpd_milters": "", "milter_default_action": "accept"},
    {"smtpd_milters": "inet:localhost:11332", "non_smtpd_milters": "$smtpd_milters"},
    {"smtpd_milters": "{ inet:localhost:1, default_action=accept }, unix:/run/a",
     "non_smtpd_milters": "{ inet:localhost:1, default_action=accept }",
     "milter_default_action": "quarantine"},
    {"recipient_canonical_maps": "static:, $more", "more": "static:",
     "recipient_canonical_classes": "header_recipient"},
]


@pytest.mark.parametrize("main", SITES)
def test_removal_takes_out_what_setup_wrote(removed, main):
    removed.apply(**main)
    main_cf = removed.settings.folder / "main.cf"
    after = main_cf.read_bytes()
    removed.prerm("upgrade")
    assert main_cf.read_bytes() == after
    said = removed.prerm()
    assert main_cf.read_bytes() == removed.before
    assert f"removed from {main_cf}: " in said and "WARNING" not in said
    assert removed.prerm() == "" and main_cf.read_bytes() == removed.before


@pytest.mark.parametrize("command, name, value", [
    ("smtpd_milters='inet:a:1, OURS  inet:b:2'", "smtpd_milters", "inet:a:1, inet:b:2"),
    ("smtpd_milters='{ inet:a:1, connect_timeout=5s },OURS'", "smtpd_milters",
     "{ inet:a:1, connect_timeout=5s }"),
    ("non_smtpd_milters='$smtpd_milters, inet:a:1'", "non_smtpd_milters",
     "$smtpd_milters, inet:a:1"),
    ("milter_default_action=quarantine", "milter_default_action", "quarantine"),
    ("recipient_canonical_maps='MAP, static:'", "recipient_canonical_maps", "static:"),
])
def test_removal_leaves_what_was_changed_later(removed, command, name, value):
    removed.apply(milter_default_action="accept")
    settings = removed.settings
    ours, batv_map = (settings.value(n) for n in ("smtpd_milters", "recipient_canonical_maps"))
    settings.run(f"postconf -e {command.replace('OURS', ours).replace('MAP', batv_map)}")
    removed.prerm()
    assert settings.value(name) == value
    for others in ("smtpd_milters", "recipient_canonical_maps"):
        assert ours not in settings.value(others) and batv_map not in settings.value(others)


def test_removal_leaves_what_setup_did_not_write(removed):
    """And says what a map without the filter means."""
    removed.apply()
    (removed.state / "setup").unlink()
    settings = removed.settings
    main = (settings.folder / "main.cf").read_bytes()
    done = subprocess.run(["sh", removed.folder / "prerm", "remove"], capture_output=True, text=True,
                          env=settings.env(), timeout=60, check=True)
    assert (settings.folder / "main.cf").read_bytes() == main
    removed.apply()
    assert "removed from" not in done.stderr


def test_removal_names_a_map_without_the_filter(removed):
    removed.apply()
    record = removed.state / "setup"
    record.write_text(re.sub("(?m)^set recipient_canonical_maps.*\n", "", record.read_text("utf-8")),
                      encoding="utf-8")
    said = removed.prerm()
    assert removed.settings.value("smtpd_milters") == ""
    assert "WARNING: recipient_canonical_maps" in said and "spoofed senders" in said


def test_removal_changes_no_folder_but_postfixs(removed, tmp_path):
    """Root runs what a main.cf names; the record lies in a folder of the daemon's user."""
    removed.apply()
    main = (removed.settings.folder / "main.cf").read_bytes()
    (tmp_path / "main.cf").write_bytes(main)
    record = removed.state / "setup"
    record.write_text(re.sub("(?m)^folder .*", f"folder {tmp_path}", record.read_text("utf-8")),
                      encoding="utf-8")
    assert f"folder {tmp_path}\n" in record.read_text("utf-8")
    assert "removed from" not in removed.prerm()
    assert (tmp_path / "main.cf").read_bytes() == main
    assert (removed.settings.folder / "main.cf").read_bytes() == main


def test_removal_says_so_where_postfix_cannot_be_changed(removed):
    removed.apply()
    settings = removed.settings
    real = shutil.which("postconf", path=settings.env().get("PATH"))
    folder = removed.folder / "failing"
    folder.mkdir()
    (folder / "postconf").write_text('#!/bin/sh\ncase " $* " in *" -e "*) exit 1 ;; esac\n'
                                     f'exec {real} "$@"\n', encoding="utf-8")
    (folder / "postconf").chmod(0o755)
    env = settings.env()
    done = subprocess.run(["sh", removed.folder / "prerm", "remove"], capture_output=True, text=True,
                          env={**env, "PATH": f"{folder}:{env['PATH']}"}, timeout=60, check=True)
    assert "cannot change" in done.stderr and "removed from" not in done.stderr
    assert (removed.state / "setup").exists()


@pytest.mark.parametrize("line", ["set myhostname = a.test", "was milter_default_action = $(id)",
                                  "was smtpd_milters = inet:evil:1"])
def test_removal_does_not_believe_the_record_more_than_it_must(removed, line):
    """It lies in a folder of the daemon's user."""
    removed.apply(milter_default_action="accept")
    record = removed.state / "setup"
    record.write_text(re.sub("(?m)^was milter_default_action.*\n", "", record.read_text("utf-8")) +
                      f"{line}\n", encoding="utf-8")
    name = removed.settings.value("myhostname")
    removed.prerm()
    assert removed.settings.value("myhostname") == name
    assert removed.settings.value("milter_default_action") in ("tempfail", "shutdown")
    assert removed.settings.value("smtpd_milters") == ""
