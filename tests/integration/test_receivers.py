"""What the manual says of receivers and signers that a tag disturbs: its lines are a configuration, and
leave that mail, and only that, without a tag. Its bounces are proven all the same."""

import pytest

from batvtest import manual
from batvtest.milter import MilterSession

INSIDE = {"client": ("inside.example.com", "127.0.0.2", 4711)}
NEXT_HOP = {"rcpt": {"{rcpt_host}": "[192.0.2.77]:25", "{rcpt_mailer}": "smtp"}}


def start(batvd, title):
    [lines] = manual.blocks("batvd.8", title)
    instance = batvd()
    instance.configure(instance.conf.read_text(encoding="utf-8") + lines)
    return instance.start()


def sends(instance, sender, rcpt, **options):
    """The sender after batvd, None where it is as it was, and its header fields."""
    with MilterSession(instance.milter, **INSIDE, **options) as s:
        out = s.message(f"<{sender}>", [f"<{rcpt}>"])
    assert out.verdict == "accept"
    return out.new_sender, [mod.args[-2] for mod in out.mods if "header" in mod.name]


@pytest.mark.parametrize("sender, rcpt, options, reason", [
    ("alice@example.com", "team@lists.example.net", {}, "recipients:*@lists.example.net"),
    ("alice@example.com", "far@other.test", {"macros": NEXT_HOP}, "recipient_networks:192.0.2.0/24"),
    ("newsletter@example.com", "far@other.test", {}, "senders:newsletter@example.com"),
])
def test_receivers_that_punish_tags(batvd, sender, rcpt, options, reason):
    instance = start(batvd, "Receivers that punish tags")
    tagged, fields = sends(instance, sender, rcpt, **options)
    assert tagged is None and "X-Batv-Evidence" in fields
    assert instance.wait_entry("sign-skip")["reason"] == f"exclude_sign.{reason}"
    tagged, _ = sends(instance, "alice@example.com", "far@other.test")
    assert tagged.startswith("prvs=")


def test_senders_that_dkim2_signs_for(batvd):
    instance = start(batvd, "DKIM2")
    tagged, fields = sends(instance, "alice@example.com", "far@other.test")
    assert tagged is None and "X-Batv-Evidence" in fields
