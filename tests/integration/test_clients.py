"""Where a proxy or a container network hides all clients behind one address: `status` shows which
exclusions accept bounces, and `check` finds that they all come from one place."""

import socket

import pytest

from batvtest import util
from batvtest.milter import MilterSession
from batvtest.site import Site

BRIDGE = ("unknown", "172.17.0.1", 4711)
OUTSIDE = ("mx.other.test", "192.0.2.9", 4711)
HIDDEN = {"verify": {"action": "reject"}, "internal_networks": ["127.0.0.0/8", "172.16.0.0/12"],
          "exclude": {"recipients": ["postmaster@*"]}}


def bounces(instance, count, client=BRIDGE, rcpts=("<alice@example.com>",)):
    with MilterSession(instance.milter, client=client) as s:
        return [s.message("<>", list(rcpts)).verdict for _ in range(count)]


def report(instance):
    return instance.ctl("status", json=True)["bounces"]


def judged(instance, count):
    """The report once it has so many recipients of bounces."""
    return util.wait_for(lambda: report(instance)["judged"] == count and report(instance), 20)


def finding(instance):
    [found] = [one for one in instance.ctl("check", json=True) if one["name"] == "clients"]
    return found


def shares(seen):
    return {one["rule"]: (one["count"], one["percent"]) for one in seen["accepted_by_exclusion"]
            if one["count"]}


@pytest.mark.seconds(240)
def test_a_bridge_that_hides_everybody(batvd):
    instance = batvd(HIDDEN).start()
    assert set(bounces(instance, 99)) == {"accept"}         # forged, and let in
    bounces(instance, 1, client=("localhost", "127.0.0.1", 0))      # Postfix's own
    seen = judged(instance, 100)
    assert shares(seen) == {"exclude.mail_servers": (99, 99), "local": (1, 1)}
    assert finding(instance)["level"] == "ok"
    instance.restart()                                      # the run goes on
    bounces(instance, 1, rcpts=["<alice@example.com>", "<bob@example.com>"])
    seen = judged(instance, 2)
    assert (seen["latest_from_mail_servers"], seen["latest_from_one_client"]) == (100, 100)
    assert seen["latest_client"] == "172.17.0.1"
    text = instance.ctl("status").out
    assert "of 2 since the start" in text and "100 %  exclude.mail_servers" in text, text
    found = finding(instance)
    assert found["level"] == "warn" and "last 100 bounces" in found["text"], found
    assert "172.17.0.1" in found["text"] and "strangers' mail is signed" in found["text"]
    for word in ("smtpd_upstream_proxy_protocol", "postscreen_upstream_proxy_protocol", "relays",
                 "network_mode: host", '"172.17.0.1"', "if, and only if"):
        assert word in found["mend"], (word, found)

    instance.reload({**HIDDEN, "relays": ["172.17.0.1"]})   # as the finding says
    assert finding(instance)["level"] == "ok"
    bounces(instance, 1)
    util.wait_for(lambda: report(instance)["latest_from_mail_servers"] == 0, 20)


def test_the_clients_themselves(batvd):
    """With the PROXY protocol: the next bounce from elsewhere ends the run."""
    instance = batvd(HIDDEN).start()
    bounces(instance, 120)
    judged(instance, 120)
    assert finding(instance)["level"] == "warn"
    assert bounces(instance, 1, client=OUTSIDE) == ["reject"]
    judged(instance, 121)
    found = finding(instance)
    assert found["level"] == "ok", found


def test_one_address_that_is_no_mail_server_of_ours(batvd):
    instance = batvd({"verify": {"action": "reject"}}).start()
    bounces(instance, 100, client=OUTSIDE)
    judged(instance, 100)
    found = finding(instance)
    assert found["level"] == "warn" and "192.0.2.9" in found["text"], found
    assert "if, and only if, 192.0.2.9 is a proxy" in found["mend"], found


def test_shares_of_other_exclusions(batvd):
    instance = batvd({"verify": {"action": "reject"}, "exclude": {
        "networks": ["198.51.100.0/24"], "hosts": ["*.partner.test"],
        "recipients": ["postmaster@*"]}}).start()
    bounces(instance, 1, client=("a.partner.test", "203.0.113.1", 1))
    bounces(instance, 2, client=("x.test", "198.51.100.7", 1))
    bounces(instance, 1, client=OUTSIDE, rcpts=["<postmaster@example.com>", "<alice@example.com>"])
    with MilterSession(instance.milter, client=OUTSIDE, auth="alice") as s:
        s.message("<>", ["<alice@example.com>"])
    seen = judged(instance, 6)
    assert shares(seen) == {"exclude.authenticated": (1, 17), "exclude.networks": (2, 33),
                            "exclude.hosts": (1, 17), "exclude.recipients": (1, 17)}


# -- the cure, in a real Postfix ------------------------------------------------------------------

def smtp(port, lines, head=""):
    """What Postfix answers to each line, as to a client behind a proxy that begins with `head`."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), timeout=30 * util.PATIENCE) as wire:
        wire.sendall(head.encode("ascii"))
        stream = wire.makefile("rwb")
        for line in ["", *lines]:
            if line:
                stream.write(line.encode("ascii") + b"\r\n")
                stream.flush()
            answer = stream.readline()
            while answer[3:4] == b"-":
                answer = stream.readline()
            answers.append(answer.decode("ascii", "replace"))
    return answers


def test_the_proxy_protocol_shows_the_clients():
    """Without it every client is the proxy, at an address of ours."""
    plain = "127.0.0.1:{port:plain} inet n - n - - smtpd\n"
    proxied = "127.0.0.1:{port:proxied} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy\n"
    bounce = ["HELO proxy.test", "MAIL FROM:<>", "RCPT TO:<alice@example.com>", "DATA",
              "Subject: no tag\r\nFrom: mailer-daemon@other.test\r\n\r\nHello.\r\n."]
    with Site({"internal_networks": ["127.0.0.0/8"]}, master_lines=plain + proxied) as site:
        assert smtp(site.postfix.port("plain"), bounce)[-1].startswith("250")
        entry = site.batvd.wait_entry("verify")
        assert entry["rule"].startswith("exclude.mail_servers"), entry.line
        mark = site.batvd.mark()
        answers = smtp(site.postfix.port("proxied"), bounce,
                       "PROXY TCP4 192.0.2.9 127.0.0.1 4711 25\r\n")
        assert answers[-1].startswith("550"), answers
        entry = site.batvd.wait_entry("verify", since=mark)
        assert "[192.0.2.9]" in entry["client"] and entry["rule"] == "verify.action", entry.line
