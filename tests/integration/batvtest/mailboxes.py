"""What an MTA of these tests has delivered, and its log."""

import dataclasses
import email
import email.policy
import pathlib
import re

from . import util


@dataclasses.dataclass
class Delivered:
    """A message in a mailbox; the first three are what virtual(8) wrote on top of it."""

    path: pathlib.Path
    message: email.message.EmailMessage

    @property
    def return_path(self):
        return str(self.message["Return-Path"]).strip().removeprefix("<").removesuffix(">")

    @property
    def delivered_to(self):
        return str(self.message["Delivered-To"]).strip()

    @property
    def original_to(self):
        return str(self.message["X-Original-To"]).strip()

    @property
    def subject(self):
        return str(self.message["Subject"])

    def header_all(self, name):
        return [str(value) for value in self.message.get_all(name, [])]


class Mailboxes:
    """Of an instance that has: `folder`, with its `maillog`; mailbox(name), the folder in which a
    mailbox's messages are; wait_idle() and diagnosis()."""

    def mail(self, name, subject=None):
        """The messages in a mailbox whose subject contains the word."""
        folder = self.mailbox(name)
        found = []
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                item = Delivered(path, email.message_from_bytes(path.read_bytes(),
                                                                policy=email.policy.default))
                if subject is None or subject in item.subject:
                    found.append(item)
        return found

    def wait_mail(self, name, subject=None, *, count=1, timeout=20):
        """Waits until the mailbox has `count` such messages and nothing is on its way that may
        still become one; more than `count` is a failure."""
        util.wait_for(lambda: len(self.mail(name, subject)) >= count, timeout,
                      lambda: f"{count} x {subject!r} for {name}:\n" + self.diagnosis())
        self.wait_idle(timeout)
        found = self.mail(name, subject)
        assert len(found) == count, [str(item.path) for item in found]
        return found

    def wait_one(self, name, subject=None, **options):
        return self.wait_mail(name, subject, **options)[0]

    def maillog(self):
        try:
            return (self.folder / "maillog").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def wait_maillog(self, pattern, timeout=15):
        return util.wait_for(lambda: re.search(pattern, self.maillog()), timeout,
                             lambda: f"{pattern!r} in the log:\n" + self.diagnosis())
