"""A clock that jumps and stays where it is: a virtual machine that was paused, a host whose clock the
network sets. What batvd says of it, and when it trusts the clock again. Time of day and time since the
boot are the test's."""

import time

import pytest

from batvtest import util
from batvtest.clocks import Clocks
from batvtest.milter import MilterSession

INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
HOUR = 3600


class Machine(Clocks):
    def sign(self):
        with MilterSession(self.milter, **INSIDE) as s:
            return s.message("<alice@example.com>", ["<far@other.test>"]).new_sender

    def bounce(self, rcpt="alice@example.com"):
        with MilterSession(self.milter) as s:
            return s.message("<>", [f"<{rcpt}>"]).verdict

    def check(self):
        [found] = [one for one in self.ctl("check", json=True) if one["name"] == "clock"]
        return found

    def report(self):
        return self.ctl("status", json=True)


@pytest.fixture
def machine():
    """Past its waiting time, so that `auto` rejects."""
    made = Machine({"keys": {"rotate_days": 7}})
    try:
        made.start()
        made.sign()
        made.tag_comes_back()
        made.stop()
        made.jumps(8)
        made.start()
        made.wait_text("key 1 signs")
        assert made.bounce() == "reject"
        yield made
    finally:
        made.terminate()


def test_a_paused_virtual_machine(machine):
    """Its clock is right after the jump: an hour later all is as before, without a restart."""
    tagged = machine.sign()
    ring = (machine.state / "keyring").read_bytes()
    mark = machine.mark()
    machine.jumps(9)
    line = machine.wait_text("clock jumped", since=mark)
    assert "batvd trusts it from" in line and "set it right" in line
    assert machine.bounce() == "accept"
    assert machine.wait_entry("verify", since=mark, result="missing")["action"] == "log"
    assert machine.sign()
    util.wait_for(lambda: machine.report()["clock_wrong"], 10)
    until = machine.report()["clock_trusted_from"]
    expected = time.gmtime(machine.now() + HOUR)
    assert until.startswith(time.strftime("%Y-%m-%dT%H:", expected)) or \
        until.startswith(time.strftime("%Y-%m-%dT%H:", time.gmtime(machine.now() + HOUR - 60)))
    text = machine.ctl("status").out
    assert "jumped by more than a day" in text and until[:10] in text and "set it right" in text
    found = machine.check()
    assert found["level"] == "warn" and until[:10] in found["text"], found
    assert "if it is right, wait" in found["mend"] and "timedatectl" in found["mend"]

    machine.passes(HOUR - 120)
    time.sleep(1.5)
    assert machine.bounce() == "accept"
    assert (machine.state / "keyring").read_bytes() == ring     # no rotation either
    mark = machine.mark()
    machine.passes(130)
    machine.wait_text("clock is right again", since=mark)
    assert machine.bounce() == "reject"
    machine.bounce(tagged)                  # no key is lost: the tag is known, if late
    assert machine.wait_entry("verify", since=mark, rcpt=f"<{tagged}>")["result"] == "expired"
    assert machine.bounce(machine.sign()) == "accept"
    machine.passes(12 * HOUR)
    machine.wait_text("key 2 signs", since=mark)        # which has been due since the jump
    util.wait_for(lambda: not machine.report()["clock_wrong"], 10)
    assert machine.report()["clock_trusted_from"] is None
    assert machine.check()["level"] == "ok"


def test_a_further_jump_begins_the_hour_anew(machine):
    mark = machine.mark()
    machine.jumps(9)
    machine.wait_text("clock jumped", since=mark)
    machine.passes(HOUR - 60)
    time.sleep(1.2)
    machine.jumps(-3)
    time.sleep(1.2)
    machine.passes(HOUR - 60)
    time.sleep(1.2)
    assert machine.bounce() == "accept"
    machine.passes(70)
    machine.wait_text("clock is right again", since=mark)
    assert machine.bounce() == "reject"


def test_never_before_the_newest_time_in_the_keyring(machine):
    """Set back by days, and left there: the hour alone is not enough."""
    mark = machine.mark()
    machine.jumps(-6)
    line = machine.wait_text("the keyring was written on", since=mark)
    assert "an hour after the clock is set right" in line
    util.wait_for(lambda: machine.report()["clock_wrong"], 10)
    assert machine.report()["clock_trusted_from"] is None
    assert "until an hour after it is set right" in machine.ctl("status").out
    found = machine.check()
    assert found["level"] == "fail" and "timedatectl" in found["mend"], found
    machine.passes(3 * HOUR)
    time.sleep(1.5)
    assert machine.bounce() == "accept"
    assert "right again" not in machine.log_text()[mark:]
    machine.jumps(6)            # back to the time that it was trusted with: at once
    machine.wait_text("clock is right again", since=mark)
    assert machine.bounce() == "reject"


def test_a_wrong_clock_at_the_start_that_is_set_right(machine):
    """As on a machine without a battery for its clock."""
    machine.stop()
    machine.jumps(-400)
    mark = machine.mark()
    machine.start()
    machine.wait_text("the keyring was written on", since=mark)
    machine.jumps(401)
    machine.wait_text("clock jumped", since=mark)
    machine.passes(HOUR + 10)
    machine.wait_text("clock is right again", since=mark)
    assert machine.bounce() == "reject"
