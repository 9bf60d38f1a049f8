"""Senders that behave as mail programs do: they submit message after message over connections that
they keep, and try again what was deferred. Nothing may get lost on the way, however the filter
fares."""

import dataclasses
import smtplib
import threading
import time

from . import util
from .postfix import INSIDE


@dataclasses.dataclass
class Attempt:
    """One try at one message. `code` 0: the connection broke."""

    subject: str
    code: int
    text: str
    began: float
    ended: float


class Traffic:
    """`senders` threads, each with messages of its own from `sender`, until stop().

    pause         seconds between two messages of one thread
    per_session   messages after which a thread connects anew
    """

    def __init__(self, postfix, sender="alice@example.com", rcpt="far@other.test", *, senders=3,
                 pause=0.01, source=INSIDE, per_session=10):
        self._postfix = postfix
        self._envelope = (sender, rcpt)
        self._source = source
        self._pause = pause
        self._per_session = per_session
        self._halt = threading.Event()
        self._giving_up = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(senders)]
        self.attempts = []
        self.accepted = []
        self.errors = []

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self._giving_up = True    # what failed first is what is told
            self._halt.set()

    def stop(self):
        """Lets every thread bring its present message to its end."""
        self._halt.set()
        for thread in self._threads:
            thread.join(60 * util.PATIENCE)
            assert not thread.is_alive(), "a sender is stuck"
        assert not self.errors, self.errors

    def _run(self):
        session = None
        sent_in_session = 0
        try:
            while not self._halt.is_set():
                if session is not None and sent_in_session >= self._per_session:
                    session.close()
                    session = None
                session = self._bring_through(session)
                sent_in_session = sent_in_session + 1 if session else 0
                time.sleep(self._pause)
        except Exception as error:
            self.errors.append(error)
        finally:
            if session is not None:
                session.close()

    def _bring_through(self, session):
        """One message until it is taken; returns the session that took it. Only a 4xx or a broken
        connection is tried again."""
        subject = util.unique("traffic")
        deadline = time.monotonic() + 40 * util.PATIENCE
        while time.monotonic() < deadline and not self._giving_up:
            session, attempt = self._try(session, subject)
            with self._lock:
                self.attempts.append(attempt)
                if attempt.code == 250:
                    self.accepted.append(subject)
                    return session
            if attempt.code >= 500:
                raise AssertionError(f"refused: {attempt}")
            if session is not None:
                session.close()
                session = None
            time.sleep(0.05)
        raise AssertionError(f"never accepted: {subject}")

    def _try(self, session, subject):
        began = time.time()
        try:
            session = session or self._postfix.session(source=self._source)
            sent = session.send(*self._envelope, subject=subject)
            code, text = sent.code, sent.text
        except (OSError, smtplib.SMTPException) as error:
            code, text = 0, repr(error)
        return session, Attempt(subject, code, text, began, time.time())

    def count(self):
        with self._lock:
            return len(self.accepted)

    def wait_more(self, count, timeout=30):
        """Until so many more messages have been accepted."""
        goal = self.count() + count
        util.wait_for(lambda: self.count() >= goal, timeout,
                      lambda: f"{goal} accepted messages; last attempts {self.attempts[-3:]}")

    def wait_deferred(self, count=1, timeout=30):
        """Until so many attempts in all have been answered 4xx."""
        util.wait_for(lambda: len(self.deferred()) >= count, timeout, "deferred attempts")

    def deferred(self):
        with self._lock:
            return [attempt for attempt in self.attempts if 400 <= attempt.code < 500]
