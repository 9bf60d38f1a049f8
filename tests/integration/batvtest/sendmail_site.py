"""A whole mail site around Sendmail, as site.Site is around Postfix: set up by what `batvctl mta
sendmail` prints, so that every test on it is a test of that too."""

from . import daemon
from .postfix import INSIDE
from .sendmail import USERS, Sendmail
from .site import USER, AnySite

# Rejecting from the start: waiting is test_postfix_time's.
CONFIG = {
    "domains": ("example.com", ".example.org", {"name": "sub.example", "syntax": "subaddress"}),
    "internal_networks": ["127.0.0.1/32", f"{INSIDE}/32"],
    "verify": {"action": "reject", "forged": "reject"},
}
LOCAL = ("example.com", "any.example.org", "sub.example", "elsewhere.example")


class SendmailSite(AnySite):
    """Batvd, Sendmail and Sink together. `config` goes upon CONFIG; `part` is what Sendmail is
    given: "mc" or "cf"."""

    def __init__(self, config=None, *, part="mc", listen="unix", fake_time=False, **sendmail):
        super().__init__(daemon.merge(CONFIG, config or {}), listen=listen, fake_time=fake_time)
        self.part = part
        self.sendmail = self.mta = Sendmail(**{
            "auth": dict([USER]), "domains": LOCAL, "users": [*USERS, "a b"],
            "relayhost": self.sink.relayhost, **sendmail})

    def apply_settings(self):
        """What an administrator does with the part."""
        printed = self.batvd.ctl("mta", "sendmail", "--part", self.part, rc=0,
                                 env={"SENDMAIL_CF": "/nonexistent"}).out
        setattr(self.sendmail, self.part, printed)

    # -- the usual ways ---------------------------------------------------------------------------

    def submit(self, sender="alice@example.com", rcpts="far@other.test", **options):
        """From a network of ours."""
        return self.sendmail.send(sender, rcpts, source=INSIDE, **options)

    def receive(self, sender, rcpts, **options):
        """From a stranger's MTA."""
        return self.sendmail.send(sender, rcpts, **options)

    def bounce(self, rcpts, **options):
        """A bounce from a stranger's MTA."""
        return self.sendmail.bounce(rcpts, **options)

    def assert_delivered(self, sent, user):
        """Exactly one copy in the mailbox."""
        assert sent.accepted, sent
        return self.sendmail.wait_one(user, sent.subject)

    def assert_nothing(self, sent):
        """The message is in no mailbox, nor has it become a bounce."""
        self.sendmail.wait_idle()
        for user in self.sendmail.users:
            assert not self.sendmail.mail(user, sent.subject), user
        assert not [m for m in self.sink.messages() if sent.subject.encode() in m.data]
