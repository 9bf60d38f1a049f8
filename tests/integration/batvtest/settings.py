"""Postfix's settings in a folder of their own, for what only reads them: nothing is started.

The command names of postconf and postmap work with env(); so do the command lines that batvctl
prints, by run().
"""

import os
import pathlib
import re
import subprocess
import time

from . import util
from .postfix import where

MASTER_CF = """\
smtp inet n - n - - smtpd
submission inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
smtp unix - - n - - smtp
"""


class PostfixSettings:
    """main.cf and master.cf in `folder`; values of `main` go upon an ordinary site's."""

    def __init__(self, main=None, *, master=MASTER_CF):
        self.where = where()
        self.folder = util.make_folder("batv-settings")
        (self.folder / "queue").mkdir()
        self.base = {**self._defaults(), **(main or {})}
        self.write(master=master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        util.remove_folder(self.folder)

    def _defaults(self):
        place = self.where
        return {
            "compatibility_level": "3.6",
            "queue_directory": f"{self.folder}/queue",
            "data_directory": f"{self.folder}/data",
            "command_directory": place.command_directory,
            "daemon_directory": place.daemon_directory,
            "shlib_directory": place.shlib_directory,
            "meta_directory": place.meta_directory,
            "mail_owner": place.mail_owner,
            "setgid_group": place.setgid_group,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "mail.example.org",
            "mydestination": "$myhostname, localhost",
            "mynetworks": "127.0.0.2/32",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": f"texthash:{self.folder}/users",
            "virtual_alias_domains": "example.com",
            "virtual_alias_maps": f"texthash:{self.folder}/aliases",
        }

    def write(self, main=None, *, lines="", master=None):
        """main.cf anew: the base, `main` upon it (None: not set), `lines` as they are."""
        values = {**self.base, **(main or {})}
        text = "".join(f"{name} = {value}\n" for name, value in values.items()
                       if value is not None)
        self.file("users", "postmaster x\n")
        self.file("aliases", "alice@example.com postmaster@mail.example.org\n")
        self.file("main.cf", text + lines)
        if master is not None:
            self.file("master.cf", master)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        self._make_old()
        return path

    def _make_old(self):
        """Postfix reads a file that was changed just now over and over, until it is two seconds
        old."""
        before = time.time() - 60
        for path in filter(pathlib.Path.is_file, self.folder.iterdir()):
            os.utime(path, (before, before))

    def master(self):
        return (self.folder / "master.cf").read_text(encoding="utf-8")

    def env(self):
        path = f"{self.where.command_directory}:{util.BUILD}:{self.where.env['PATH']}"
        return {**self.where.env, "PATH": path, "MAIL_CONFIG": str(self.folder)}

    def run(self, command, more=None):
        """A shell's command line, which must succeed; what it said. Nothing runs here that could be
        reloaded, so `postfix` does nothing."""
        done = subprocess.run(["sh", "-c", "postfix() { :; }\n" + command], cwd="/", text=True,
                              env={**self.env(), **(more or {})}, capture_output=True, timeout=60,
                              check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        self._make_old()
        return done.stdout

    def value(self, name):
        return self.run(f"postconf -h {name}").strip()

    def lookup(self, keys, table):
        """What the table answers: {key: value} of those that it knows."""
        done = subprocess.run(["postmap", "-q", "-", table], env=self.env(), encoding="utf-8",
                              input="".join(f"{key}\n" for key in keys), capture_output=True,
                              timeout=60, check=False)
        assert not re.search("fatal|warning", done.stderr), done.stderr
        return dict(line.split("\t", 1) for line in done.stdout.splitlines())


def sanitizers():
    """The environment that a program under test needs when a shell starts it."""
    return {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
