"""A whole mail site around Sendmail, as site.Site is around Postfix: set up by what `batvctl mta
sendmail` prints, so that every test on it is a test of that too."""

from . import daemon, util
from .daemon import Batvd
from .postfix import INSIDE
from .sendmail import USERS, Sendmail
from .sink import Sink

USER = ("alice", "correct horse")
QUOTED = '"a b"@example.com'

# Rejecting from the start: waiting is test_postfix_time's.
CONFIG = {
    "domains": ("example.com", ".example.org", {"name": "sub.example", "syntax": "subaddress"}),
    "internal_networks": ["127.0.0.1/32", f"{INSIDE}/32"],
    "verify": {"action": "reject"},
}
LOCAL = ("example.com", "any.example.org", "sub.example", "elsewhere.example")


class SendmailSite:
    """Batvd, Sendmail and Sink together. `config` goes upon CONFIG; `part` is what Sendmail is
    given: "mc" or "cf"."""

    def __init__(self, config=None, *, part="mc", listen="unix", fake_time=False, **sendmail):
        self.base = daemon.merge(CONFIG, config or {})
        self.part = part
        self.sink = Sink()
        self.batvd = Batvd(self.base, listen=listen, fake_time=fake_time)
        self.sendmail = Sendmail(**{"auth": dict([USER]), "domains": LOCAL,
                                    "users": [*USERS, "a b"], "relayhost": self.sink.relayhost,
                                    "visible": [self.batvd.folder], **sendmail})
        self._changed = False

    def __enter__(self):
        try:
            self.sink.start()
            self.batvd.start()
            self.apply_settings()
            self.sendmail.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.sendmail.stop()
        finally:
            self.batvd.terminate()
            self.sink.stop()

    def apply_settings(self):
        """What an administrator does with the part."""
        printed = self.batvd.ctl("mta", "sendmail", "--part", self.part, rc=0,
                                 env={"SENDMAIL_CF": "/nonexistent"}).out
        setattr(self.sendmail, self.part, printed)

    def use(self, config):
        """Reloads batvd with `config` upon the site's own; reset() goes back."""
        self._changed = True
        return self.batvd.reload(daemon.merge(self.base, config))

    def reset(self):
        self.sink.accept_all()
        if self._changed:
            self.batvd.reload(self.base)
            self._changed = False

    # -- the usual ways ---------------------------------------------------------------------------

    def submit(self, sender="alice@example.com", rcpts="far@other.test", **options):
        """From a network of ours."""
        return self.sendmail.send(sender, rcpts, source=INSIDE, **options)

    def outgoing(self, sender="alice@example.com", **options):
        """Submits a message and gives what the far end got of it."""
        sent = self.submit(sender, **options)
        assert sent.accepted, sent
        return self.sink.wait_one(subject=sent.subject)

    def tagged(self, sender="alice@example.com"):
        """A tagged sender as the far end knows it, from a message really sent."""
        return self.outgoing(sender).mail_from

    def judged(self, send, *args, count=1, **options):
        """What send(*args) gives, and the decisions logged on it."""
        mark = self.batvd.mark()
        sent = send(*args, **options)
        return sent, self.batvd.wait_log("verify", since=mark, count=count)

    def judged_bounce(self, rcpts, **options):
        count = 1 if isinstance(rcpts, str) else len(rcpts)
        sent, found = self.judged(self.sendmail.bounce, rcpts, count=count, **options)
        return sent, found[0] if isinstance(rcpts, str) else found

    def judged_mail(self, sender, rcpts, **options):
        count = 1 if isinstance(rcpts, str) else len(rcpts)
        sent, found = self.judged(self.sendmail.send, sender, rcpts, count=count, **options)
        return sent, found[0] if isinstance(rcpts, str) else found

    def answer(self, kind, original, rcpts="alice@example.com", *, sender="<>", **options):
        """An answer (one of batvtest.answers) to a message as the far end got it, and the decision
        logged on it."""
        subject = util.unique("answer")
        data = kind(original, to=rcpts, subject=subject, **options)
        return self.judged_mail(sender, rcpts, subject=subject, data=data)

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
