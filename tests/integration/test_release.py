"""What is made of the tree for others: the archive of sources, and the AppArmor profile."""

import hashlib
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from batvtest import util

PROFILE = util.REPO / "conf/apparmor/usr.sbin.batvd"
APPARMOR = util.REPO / "build/apparmor-root"


def run(*command, rc=0, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                          timeout=100, **options)
    assert rc is None or done.returncode == rc, done
    return done.stdout + done.stderr


# -- make dist ------------------------------------------------------------------------------------

@pytest.fixture(name="clone")
def make_clone(tmp_path):
    if not shutil.which("git") or not (util.REPO / ".git").exists():
        pytest.skip("no git, or no checkout of it: there is no commit to make an archive of")
    env = {**os.environ, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
           "GIT_CONFIG_VALUE_0": "*"}

    def clone(name):
        run("git", "clone", "-q", util.REPO, tmp_path / name, env=env)
        return tmp_path / name
    return clone


def dist(tree, umask):
    run("make", "dist", cwd=tree, umask=umask)
    return next((tree / "build").glob("batvd-*.tar.gz"))


def test_the_archive_is_the_same_wherever_it_is_made(clone):
    first, second = dist(clone("first"), 0o022), dist(clone("second"), 0o077)
    assert first.name == second.name
    assert hashlib.sha256(first.read_bytes()).digest() == \
        hashlib.sha256(second.read_bytes()).digest()


def test_the_archive_has_every_file_of_the_commit_and_builds(clone, tmp_path):
    tree = clone("tree")
    (tree / "left-over").write_text("of no commit\n")
    archive = dist(tree, 0o022)
    top = archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as tar:
        files = {name.name for name in tar if not name.isdir()}
        tar.extractall(tmp_path / "out")
    tracked = run("git", "ls-files", cwd=tree).split("\n")[:-1]
    assert files == {f"{top}/{name}" for name in tracked}
    unpacked = tmp_path / "out" / top
    assert "cc" in run("make", "-n", "all", "V=1", cwd=unpacked)
    assert top.removeprefix("batvd-") in run(util.binary("batvd"), "-V")


# -- AppArmor -------------------------------------------------------------------------------------

def parse(profile, rc=0):
    parser = shutil.which("apparmor_parser")
    base = "/etc/apparmor.d"
    if not parser:
        parser, base = APPARMOR / "sbin/apparmor_parser", APPARMOR / base.lstrip("/")
        parser = parser if parser.exists() else APPARMOR / "usr/sbin/apparmor_parser"
    return run(parser, "--skip-kernel-load", "--skip-cache", "-I", base, profile, rc=rc)


def test_the_profile_is_understood(tmp_path):
    parse(PROFILE)
    broken = tmp_path / "broken"
    broken.write_text(PROFILE.read_text().replace("capability setuid,", "capability everything,"))
    assert "everything" in parse(broken, rc=None)


def test_the_profile_only_complains():
    assert re.findall(r"(?m)^profile .*", PROFILE.read_text()) == \
        ["profile batvd /usr/sbin/batvd flags=(complain) {"]


def test_the_profile_has_the_folders_of_the_unit():
    """What systemd lets batvd write, AppArmor does too."""
    unit = (util.REPO / "conf/systemd/batvd.service").read_text()
    folders = ["/var/lib/" + re.search(r"(?m)^StateDirectory=(\S+)", unit)[1],
               "@{run}/" + re.search(r"(?m)^RuntimeDirectory=(\S+)", unit)[1],
               *(path.lstrip("-") for path in re.search(r"(?m)^ReadWritePaths=(.*)", unit)[1].split())]
    for folder in folders:
        assert re.search(rf"(?m)^ *(owner )?{re.escape(folder)}/\*+ rwk?l,$", PROFILE.read_text()), folder
