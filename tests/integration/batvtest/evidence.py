"""A second opinion on X-Batv-Evidence and on the journal's keys, written from the formats alone;
shares nothing with the C code."""

import dataclasses
import hashlib
import hmac
import re
import secrets

from . import tag

NAME = "X-Batv-Evidence"
_FORM = re.compile(r"v=1; d=(?P<day>[0-9]{5}); n=(?P<nonce>[0-9a-f]{16});"
                   r" s=(?P<macs>[0-9a-f]{24}(,[0-9a-f]{24})*)")


@dataclasses.dataclass
class Evidence:
    day: int
    nonce: str
    macs: list


def mac(secret, day, nonce, address):
    """24 hex digits for one answer address."""
    local, _, domain = address.rpartition("@")
    folded = tag.fold(f"{tag.unquote(local)}@{domain}").encode("utf-8", "surrogateescape")
    text = b"\0".join([b"batv-evidence-1", str(day).encode(), nonce.encode(), folded])
    return hmac.new(secret, text, hashlib.sha256).hexdigest()[:24]


def make(secret, addresses, day, nonce=None):
    """The header's value, on one line."""
    nonce = nonce or secrets.token_hex(8)
    macs = ",".join(mac(secret, day, nonce, address) for address in addresses)
    return f"v=1; d={day}; n={nonce}; s={macs}"


def raw_fields(octets, name=NAME):
    """Every field of that name in a message's header: its lines without line ends."""
    found = []
    inside = False
    for line in octets.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("latin-1").split("\n"):
        if line[:1] not in (" ", "\t"):
            inside = line.partition(":")[0].lower() == name.lower()
            if inside:
                found.append([])
        if inside:
            found[-1].append(line)
    return found


def parse(lines):
    """An Evidence of a field's lines; fails where they are not of the form."""
    for line in lines:
        assert len(line.expandtabs(8)) <= 78, line
    text = re.sub(r",\s+", ",", " ".join(line.strip() for line in lines))
    name, colon, value = text.partition(": ")
    assert (name, colon) == (NAME, ": "), lines
    found = _FORM.fullmatch(value)
    assert found, value
    return Evidence(int(found["day"]), found["nonce"], found["macs"].split(","))


def of_message(octets):
    """The one Evidence of a message; fails for none, several, or another form."""
    fields = raw_fields(octets)
    assert len(fields) == 1, fields
    return parse(fields[0])


def check(secret, found, addresses, day):
    """Fails unless the Evidence is for exactly these addresses, in any order, and of that day."""
    assert found.day == day, (found, day)
    expected = {mac(secret, found.day, found.nonce, address): address for address in addresses}
    assert sorted(found.macs) == sorted(expected), (found, expected)
