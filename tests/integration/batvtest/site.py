"""A whole mail site: Postfix, batvd between, and the far end; set up by what `batvctl mta postfix`
prints, so that every test on it is a test of that too."""

from . import daemon, util
from .daemon import Batvd
from .postfix import INSIDE, STRANGER, Postfix
from .sink import Sink

USER = ("alice", "correct horse")
QUOTED = '"a b"@example.com'
LONG = "l" * 49 + "@example.com"       # one octet too long to be tagged

# Two domains of ours, one in each syntax. Rejecting from the start: waiting is test_postfix_time's.
CONFIG = {
    "domains": ("example.com", {"name": "sub.example", "syntax": "subaddress"}),
    "verify": {"action": "reject", "forged": "reject"},
}
MAILBOXES = ("alice@example.com", "bob@example.com", "postmaster@example.com", QUOTED, LONG,
             "carol@sub.example")


class AnySite:
    """Batvd and Sink around an MTA, for which a subclass has: `mta`, from when it is made;
    apply_settings(); submit(), receive(), bounce()."""

    mta = None

    def __init__(self, config, **batvd_options):
        self.base = config
        self.sink = Sink()
        self.batvd = Batvd(self.base, **batvd_options)
        self._changed = False

    def __enter__(self):
        try:
            self.sink.start()
            self.batvd.start()
            self.apply_settings()
            self.mta.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.mta.stop()
        finally:
            self.batvd.terminate()
            self.sink.stop()

    def use(self, config):
        """Reloads batvd with `config` upon the site's own; reset() goes back."""
        self._changed = True
        return self.batvd.reload(daemon.merge(self.base, config))

    def use_text(self, text):
        """Reloads batvd with this text of configuration behind the site's own, as it stands."""
        self._changed = True
        return self.batvd.reload(f"{self.batvd.conf.read_text(encoding='utf-8')}\n{text}\n")

    def reset(self):
        self.sink.accept_all()
        if self._changed:
            self.batvd.reload(self.base)
            self._changed = False

    # -- the usual ways ---------------------------------------------------------------------------

    def outgoing(self, sender="alice@example.com", **options):
        """Submits a message and gives what the far end got of it."""
        sent = self.submit(sender, **options)
        assert sent.accepted, sent
        return self.sink.wait_one(subject=sent.subject)

    def tagged(self, sender="alice@example.com"):
        """A tagged sender as the far end knows it, from a message really sent."""
        return self.outgoing(sender).mail_from

    def judged_bounce(self, rcpts, **options):
        """A stranger's bounce, and the decisions logged on it, one a recipient, in their order."""
        mark = self.batvd.mark()
        sent = self.bounce(rcpts, **options)
        return sent, self._judged(mark, rcpts)

    def judged_mail(self, sender, rcpts, **options):
        """The same for any other mail."""
        mark = self.batvd.mark()
        sent = self.receive(sender, rcpts, **options)
        return sent, self._judged(mark, rcpts)

    def answer(self, kind, original, rcpts="alice@example.com", *, to=None, sender="<>", **options):
        """An answer (one of batvtest.answers) to a message as the far end got it, by a stranger's
        MTA, and the decisions logged on it as by judged_bounce()."""
        subject = util.unique(getattr(kind, "__name__", "answer"))
        to = to or (rcpts if isinstance(rcpts, str) else rcpts[0])
        return self.judged_mail(sender, rcpts, subject=subject,
                                data=kind(original, to=to, subject=subject, **options))

    def _judged(self, mark, rcpts):
        count = 1 if isinstance(rcpts, str) else len(rcpts)
        found = self.batvd.wait_log("verify", since=mark, count=count)
        return found[0] if isinstance(rcpts, str) else found


class Site(AnySite):
    """Batvd, Postfix and Sink together. `config` goes upon CONFIG, `main` upon main.cf."""

    POSTFIX = Postfix

    def __init__(self, config=None, *, mailboxes=MAILBOXES, main=None, master_lines="",
                 listen="unix", **batvd_options):
        super().__init__(daemon.merge(CONFIG, config or {}), listen=listen, **batvd_options)
        self.postfix = self.mta = self.POSTFIX(users=dict([USER]), mailboxes=mailboxes,
                                               relayhost=self.sink.relayhost,
                                               main={"recipient_delimiter": "+", **(main or {})},
                                               master_lines=master_lines)

    def apply_settings(self):
        """What an administrator does with the two parts."""
        self.postfix.prepare()
        batv_map = self.postfix.conf / "batv.pcre"
        main = self.ctl("mta", "postfix", "--part", "main", "--map-path", batv_map, rc=0)
        table = self.ctl("mta", "postfix", "--part", "map", rc=0)
        assert str(batv_map) in main.out, main.out
        self.postfix.write_file("batv.pcre", table.out)
        self.postfix.add_main_lines(main.out)

    def restart(self, config):
        """The same for what takes a restart."""
        self._changed = True
        self.batvd.kill9()
        self.batvd.configure(daemon.merge(self.base, config))
        return self.batvd.start()

    def ctl(self, *args, **options):
        """batvctl as it runs beside this Postfix: its postconf is this one's."""
        return self.batvd.ctl(*args, env=self.postfix.env, **options)

    # -- the usual ways ---------------------------------------------------------------------------

    def submit(self, sender="alice@example.com", rcpts="far@other.test", **options):
        """Through SMTP AUTH, from an address in no list."""
        return self.postfix.send(sender, rcpts, auth=USER, **options)

    def submit_inside(self, sender="alice@example.com", rcpts="far@other.test", **options):
        """From a network of ours, without AUTH."""
        return self.postfix.send(sender, rcpts, source=INSIDE, **options)

    def receive(self, sender, rcpts, **options):
        """From a stranger's MTA."""
        return self.postfix.send(sender, rcpts, xclient=options.pop("xclient", STRANGER), **options)

    def bounce(self, rcpts, **options):
        """A bounce from a stranger's MTA."""
        return self.postfix.bounce(rcpts, **options)

    def assert_delivered(self, sent, mailbox, plain=None):
        """Exactly one copy in the mailbox, and the tag gone from the envelope."""
        assert sent.accepted, sent
        mail = self.postfix.wait_one(mailbox, sent.subject)
        assert mail.delivered_to == (plain or mailbox)
        return mail

    def assert_nothing(self, sent, *mailboxes):
        """The message is in none of these mailboxes, nor on its way, nor has it become a bounce."""
        self.postfix.wait_idle()
        for mailbox in mailboxes:
            assert not self.postfix.mail(mailbox, sent.subject), mailbox
        assert not self.sink.messages(subject=sent.subject)
        undelivered = [m for m in self.sink.messages(sender="") if sent.subject.encode() in m.data]
        assert not undelivered


def client(address, name):
    """XCLIENT words for a stranger."""
    return {"ADDR": address, "NAME": name, "PORT": "4712"}
