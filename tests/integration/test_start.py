"""`batvd -n` and the start agree: over a list of broken states both fail with the same words, and what
the words name mends it; over a list of odd ones both succeed."""

import grp
import os
import re
import socket
import subprocess

import pytest

from batvtest import util
from batvtest.daemon import StartFailure

CONFIG_ERROR = 78
NOBODY = util.owner_ids("nobody")
DAEMON = util.owner_ids("daemon")


def batvd_says(instance, *args, user=None, env=None):
    """(status, stderr) of batvd, which must not become a daemon."""
    become = {"user": user, "group": NOBODY[1], "extra_groups": []} if user else {}
    done = subprocess.run([util.binary("batvd"), "-c", str(instance.conf), *args],
                          capture_output=True, text=True, timeout=30, check=False, cwd="/",
                          env=instance.environment(env), **become)
    return done.returncode, done.stderr.strip()


def gid(name):
    return grp.getgrnam(name).gr_gid


def own_group(instance):
    """The socket's folder as it is without a group for the MTA."""
    os.chown(instance.run, *NOBODY)
    instance.run.chmod(0o755)


def change(option, value):
    def configure(instance):
        instance.configure({option: value})
    configure.__name__ = option
    return configure


def of_group(instance):
    os.chown(instance.run, NOBODY[0], gid("mail"))
    instance.run.chmod(0o2750)
    instance.configure({"listen_group": "adm"})


def group_not_handed_down(instance):
    os.chown(instance.run, NOBODY[0], gid("mail"))
    instance.run.chmod(0o750)
    instance.configure({"listen_group": "adm"})


def unknown_group_in_a_folder_of_one(instance):
    of_group(instance)
    instance.configure({"listen_group": "no-such-group"})


def no_group_for_the_folder(instance):
    own_group(instance)
    instance.configure({"listen_group": "mail"})


def no_folder(instance):
    instance.configure({"listen": f"unix:{instance.folder}/none/milter.sock"})


def folder_is_a_file(instance):
    (instance.folder / "file").touch()
    instance.configure({"listen": f"unix:{instance.folder}/file/milter.sock"})


def folder_not_writable(instance):
    os.chown(instance.run, 0, 0)
    instance.run.chmod(0o755)


def socket_is_a_folder(instance):
    (instance.run / "milter.sock").mkdir()


def no_state_dir(instance):
    instance.configure({"state_dir": f"{instance.folder}/none"})


def anothers_state_dir(instance):
    os.chown(instance.state, *DAEMON)


def state_dir_is_a_file(instance):
    (instance.folder / "file").touch()
    instance.configure({"state_dir": f"{instance.folder}/file"})


def lock_is_a_folder(instance):
    (instance.state / "lock").mkdir()


def lock_is_a_link(instance):
    (instance.state / "lock").symlink_to("/dev/null")


def no_keyring(instance):
    (instance.state / "keyring").unlink()


def open_keyring(instance):
    (instance.state / "keyring").chmod(0o644)


def anothers_keyring(instance):
    os.chown(instance.state / "keyring", *DAEMON)


def long_path(instance):
    name = "s" * (104 - len(f"{instance.run}/"))
    instance.configure({"listen": f"unix:{instance.run}/{name}"})


# What is broken; who starts it (None: root, who becomes nobody); what the words are.
BROKEN = [
    (change("listen_group", "no-such-group"), None, 'set listen_group = "'),
    (unknown_group_in_a_folder_of_one, "nobody", 'set listen_group = "mail", the group of '),
    (of_group, "nobody", 'cannot give the socket to group "adm".*: set listen_group = "mail", '),
    (group_not_handed_down, "nobody", 'set listen_group = "mail", .* and let it pass on the group: chmod g'),
    (no_group_for_the_folder, "nobody", r"chgrp mail \S+/run && chmod g\+xs \S+/run"),
    (no_folder, None, r"listen: .*No such file.*install -d -m 2750 -o nobody -g \w+ \S+/none$"),
    (no_folder, "nobody", r"install -d -m 2750 -o nobody -g \w+ \S+/none$"),
    (folder_is_a_file, None, "listen: .*Not a directory"),
    (folder_is_a_file, "nobody", "listen: .*Not a directory"),
    (folder_not_writable, "nobody", "listen: .*Permission denied: user nobody needs a folder"),
    (socket_is_a_folder, None, "listen: .*Is a directory"),
    (socket_is_a_folder, "nobody", "listen: .*Is a directory"),
    (long_path, None, r"batvd.conf:\d+: error: listen: found .*at most 103 characters"),
    (change("listen", "inet:8891@192.0.2.1"), "nobody", "listen: .*Cannot assign requested address"),
    (change("listen", "inet:8891@no-such-host.invalid"), "nobody", "listen: inet:8891@no-such"),
    (change("user", "no-such-user"), None, 'there is no user "no-such-user": set user = "batvd"'),
    (change("user", "daemon"), "nobody", 'user: to become "daemon", start batvd as root'),
    (change("user", None), None, 'set user = "batvd", or user = "root"'),
    (no_state_dir, None, r"state_dir: .*No such file.*install -d -m 0700 -o nobody \S+/none"),
    (no_state_dir, "nobody", r"state_dir: .*No such file.*install -d -m 0700 -o nobody \S+/none"),
    (anothers_state_dir, None, 'state_dir: .*Permission denied: user nobody needs a folder of its '),
    (anothers_state_dir, "nobody", "state_dir: .*Permission denied: user nobody needs a folder"),
    (state_dir_is_a_file, None, "state_dir: .*Not a directory"),
    (lock_is_a_folder, None, "state_dir: .*/lock: Is a directory"),
    (lock_is_a_link, "nobody", "state_dir: .*/lock: Too many levels of symbolic links"),
    (no_keyring, None, "keyring.*batvctl key init"),
    (open_keyring, "nobody", "keyring.*0644"),
    (anothers_keyring, None, "keyring"),
]


@pytest.mark.parametrize("spoil, user, words", BROKEN,
                         ids=[f"{row[0].__name__}-{row[1]}-{at}" for at, row in enumerate(BROKEN)])
def test_both_fail_with_the_same_words(batvd, spoil, user, words):
    instance = batvd()
    instance.ctl("key", "init", rc=0)
    spoil(instance)
    before = sorted(instance.folder.rglob("*"))
    status, said = batvd_says(instance, "-n", user=user)
    assert status == CONFIG_ERROR and re.search(words, said), said
    assert sorted(instance.folder.rglob("*")) == before
    status, started = batvd_says(instance, user=user)
    assert status != 0 and started == said


def socket_of_the_dead(instance):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(instance.run / "milter.sock"))


def trial_left(instance):
    for name in ("milter.sock.try", "milter.sock.new"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(instance.run / name))
        os.chown(instance.run / name, *NOBODY)
    (instance.state / "lock.try").touch(0o600)
    os.chown(instance.state / "lock.try", *NOBODY)


def group_of_the_folder(instance):
    of_group(instance)
    instance.configure({"listen_group": "mail"})


def no_group(instance):
    own_group(instance)
    instance.configure({"listen_group": ""})


def folder_of_a_third(instance):
    os.chown(instance.run, *DAEMON)
    instance.run.chmod(0o755)


def nothing(_):
    pass


def journal_is_a_folder(instance):
    (instance.state / "journal").mkdir()


ODD = [(nothing, None), (nothing, "nobody"), (socket_of_the_dead, None), (trial_left, None),
       (trial_left, "nobody"), (group_of_the_folder, "nobody"), (group_of_the_folder, None),
       (of_group, None), (no_group, "nobody"), (folder_of_a_third, None),
       (journal_is_a_folder, None), (change("log", {"target": "journald"}), None)]


@pytest.mark.parametrize("arrange, user", ODD,
                         ids=[f"{row[0].__name__}-{row[1]}" for row in ODD])
def test_both_succeed(batvd, arrange, user):
    instance = batvd()
    instance.ctl("key", "init", rc=0)
    arrange(instance)
    assert batvd_says(instance, "-n", user=user)[0] == 0
    assert not list(instance.folder.rglob("*.try")) or arrange is trial_left
    if user:
        instance.under = ["setpriv", f"--reuid={NOBODY[0]}", f"--regid={NOBODY[1]}",
                          "--clear-groups", "--"]
        instance.log_file.chmod(0o666)
    instance.start()
    assert batvd_says(instance, "-n", user=user)[0] == 0    # nor beside a daemon, as a reload has it


@pytest.mark.parametrize("listen", ["unix", "inet"])
def test_a_running_daemon_keeps_its_place(batvd, listen):
    """As a reload asks for it."""
    instance = batvd(listen=listen).start()
    for _ in range(3):
        assert batvd_says(instance, "-n") == (0, "")
        assert batvd_says(instance, "-n", user="nobody") == (0, "")
    assert instance.accepts()


def test_a_reload_is_good_where_a_new_start_would_fail(batvd):
    """systemd tells `batvd -n` of the daemon that is to reload: it needs none of that. A faulty
    configuration is one for both."""
    instance = batvd().start()
    lost = instance.run.rename(f"{instance.run}.lost")
    assert batvd_says(instance, "-n")[0] == CONFIG_ERROR
    status, said = batvd_says(instance, "-n", env={"MAINPID": str(instance.pid)})
    assert status == 0 and "good for a reload, but a new start would fail" in said, said
    lost.rename(instance.run)
    instance.configure('domans = ( "example.com" );')
    assert batvd_says(instance, "-n", env={"MAINPID": str(instance.pid)})[0] == CONFIG_ERROR


def test_only_the_start_knows_of_others(batvd):
    """Another batvd on the state folder, another program in the place."""
    instance = batvd().start()
    assert batvd_says(instance, "-n")[0] == 0
    status, said = batvd_says(instance)
    assert status == 75 and "another batvd uses this state_dir" in said


@pytest.mark.parametrize("spoil, option, value", [
    (unknown_group_in_a_folder_of_one, "listen_group", None), (of_group, "listen_group", None)])
def test_the_value_that_is_named_works(batvd, spoil, option, value):
    instance = batvd()
    instance.ctl("key", "init", rc=0)
    spoil(instance)
    _, said = batvd_says(instance, "-n", user="nobody")
    value = re.search(rf'set {option} = "([^"]*)"', said)[1]
    instance.configure({option: value})
    assert batvd_says(instance, "-n", user="nobody") == (0, "")


@pytest.mark.parametrize("spoil", [group_not_handed_down, no_group_for_the_folder, no_folder])
def test_the_command_that_is_named_works(batvd, spoil):
    instance = batvd({"listen_group": "mail"})
    instance.ctl("key", "init", rc=0)
    spoil(instance)
    _, said = batvd_says(instance, "-n", user="nobody")
    group = re.search(r'set listen_group = "([^"]*)"', said)
    if group:
        instance.configure({"listen_group": group[1]})
    command = re.search(r"(chmod g\+s|chgrp|install) .*$", said)[0]
    subprocess.run(["sh", "-c", command], check=True)
    assert batvd_says(instance, "-n", user="nobody") == (0, "")


def test_a_start_failure_has_the_status_for_it(batvd):
    """What a configuration mends is not tried again; what comes with the system's start is."""
    instance = batvd()
    of_group(instance)
    instance.configure({"listen_group": "no-such-group"})
    with pytest.raises(StartFailure) as failed:
        instance.start()
    assert failed.value.status == CONFIG_ERROR
    no_folder(instance)
    with pytest.raises(StartFailure) as failed:
        instance.start()
    assert failed.value.status not in (0, CONFIG_ERROR)
