"""A second opinion on tags, written from the format alone; shares nothing with the C code.

    prvs= K DDD SSSSSS = local part

K the key's digit, DDD the day of expiry modulo 1000, SSSSSS the first three octets of an
HMAC-SHA256 over K, DDD and the plain address, folded.
"""

import hashlib
import hmac
import re
import unicodedata

TAGGED = re.compile(r'^(?P<quote>"?)prvs=(?P<key>[0-9])(?P<day>[0-9]{3})(?P<mac>[0-9a-f]{6})='
                    r'(?P<local>.*)@(?P<domain>[^@]+)$', re.IGNORECASE | re.DOTALL)
SUBADDRESSED = re.compile(r'^(?P<quote>"?)(?P<local>.*)\+prvs=(?P<key>[0-9])(?P<day>[0-9]{3})'
                          r'(?P<mac>[0-9a-f]{6})(?P<end>"?)@(?P<domain>[^@]+)$',
                          re.IGNORECASE | re.DOTALL)


def day_of(when):
    """Days since 1970 of a time in seconds."""
    return int(when // 86400)


def fold(text):
    """Unicode's case folding, composed; of text that is not UTF-8 ASCII letters alone."""
    if any("\udc80" <= c <= "\udcff" for c in text):
        return "".join(c.lower() if "A" <= c <= "Z" else c for c in text)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def unquote(local):
    if len(local) >= 2 and local.startswith('"') and local.endswith('"'):
        return re.sub(r"\\(.)", r"\1", local[1:-1])
    return local


def mac(secret, key, expiry_day, address):
    """Six hex digits for the plain address (unquoted local part)."""
    local, _, domain = address.rpartition("@")
    text = f"{key}{expiry_day % 1000:03d}" + fold(f"{unquote(local)}@{domain}")
    octets = text.encode("utf-8", "surrogateescape")
    return hmac.new(secret, octets, hashlib.sha256).hexdigest()[:6]


def sign(secret, key, expiry_day, address):
    """The tagged address in prefix syntax, the local part quoted as a whole where it was."""
    local, _, domain = address.rpartition("@")
    tag = f"prvs={key}{expiry_day % 1000:03d}{mac(secret, key, expiry_day, address)}="
    if local.startswith('"'):
        return f'"{tag}{local[1:]}@{domain}'
    return f"{tag}{local}@{domain}"


def parse(tagged):
    """(key, DDD, mac, plain address) of a tagged address of either syntax, or None."""
    found = TAGGED.match(tagged)
    if found:
        plain = f"{found['quote']}{found['local']}@{found['domain']}"
    else:
        found = SUBADDRESSED.match(tagged)
        if not found:
            return None
        plain = f"{found['quote']}{found['local']}{found['end']}@{found['domain']}"
    return int(found["key"]), int(found["day"]), found["mac"].lower(), plain


def check(secret, tagged, plain, expiry_day, key=None):
    """Fails with the reason unless `tagged` is the tag of `plain` for exactly that day."""
    parts = parse(tagged)
    assert parts is not None, f"no tag: {tagged!r}"
    number, day, digits, bare = parts
    assert bare == plain, (tagged, plain)
    assert day == expiry_day % 1000, (tagged, expiry_day % 1000)
    assert key is None or number == key, (tagged, key)
    expected = mac(secret, number, expiry_day, plain)
    assert digits == expected, (tagged, expected)
    return number


def spoil(tagged):
    """The same tag with the last digit of the MAC changed."""
    at = tagged.lower().index("prvs=") + len("prvs=KDDDSSSSS")
    other = "0" if tagged[at] != "0" else "1"
    return tagged[:at] + other + tagged[at + 1:]
