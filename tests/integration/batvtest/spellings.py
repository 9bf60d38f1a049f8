"""Many ways to write one address: what a stranger may put between the brackets of MAIL and RCPT.

A Spelling knows only how to write; what it means is for the MTA to say. write() takes a local part,
a domain and the MTA's own names, so that one spelling serves for a plain address, for a tagged one
and in each domain. Everything comes from a seed.

Three layers, in this order, the first two each at most once:
    way     how the domain is said: behind an @, by a percent sign, by a bang, by a literal, not at all
    form    what is put before all that, behind it and around it: routes, brackets, lists
    touches what is done to the letters: comments, blanks, quoted pairs, quotes, case, dots; each
            before, within or behind a part, and a part is the local part, the @, or the domain
"""

import dataclasses
import itertools
import random

LONG = 52    # more than a tag leaves room for in a local part

COMMENTS = ("(x)", "()", "((x)y)", r"(\))", r"(\()", '("x)', "(a@other.test)", "(,;:<>)",
            "(" + LONG * "x" + ")", "(x)(y)", "( prvs=1234abcdef= )", "(prvs=1234abcdef=)")
BLANKS = (" ", "\t", "  ", LONG * " ")
DOTS = (".", "..")
ENDS = ("+x", "-x", "+" + LONG * "x", "-" + LONG * "x", "=x", "+", "%", "!")
BEYOND = ("\u00e4", "(\u00e4)", "\u200b", "\u212a")    # the last is a K to some

PLACES = ("before", "within", "behind")
PARTS = ("local", "domain")


@dataclasses.dataclass
class Names:
    """What the MTA is called, and another host."""

    host: str = "mail.example.com"
    literal: str = "[127.0.0.1]"
    other: str = "other.test"


# -- ways -----------------------------------------------------------------------------------------
# Each gives the pieces: local part, @, domain, any of which may be empty.

WAYS = {
    "plain": lambda local, domain, names: (local, "@", domain),
    "percent": lambda local, domain, names: (f"{local}%{domain}", "", ""),
    "percent by host": lambda local, domain, names: (f"{local}%{domain}", "@", names.host),
    "percent by itself": lambda local, domain, names: (f"{local}%{domain}", "@", domain),
    "percent by literal": lambda local, domain, names: (f"{local}%{domain}", "@", names.literal),
    "percent twice": lambda local, domain, names: (f"{local}%{domain}%{names.host}", "@",
                                                   names.host),
    "percent localhost": lambda local, domain, names: (f"{local}%{domain}", "@", "localhost"),
    "percent elsewhere": lambda local, domain, names: (f"{local}%{names.other}", "@", domain),
    "bang": lambda local, domain, names: (f"{domain}!{local}", "", ""),
    "bang by host": lambda local, domain, names: (f"{domain}!{local}", "@", names.host),
    "bang by itself": lambda local, domain, names: (f"{domain}!{local}", "@", domain),
    "bang twice": lambda local, domain, names: (f"{names.host}!{domain}!{local}", "", ""),
    "bang and percent": lambda local, domain, names: (f"{names.host}!{local}%{domain}", "", ""),
    "bang elsewhere": lambda local, domain, names: (f"{names.other}!{local}", "@", domain),
    "two @": lambda local, domain, names: (f"{local}@{domain}", "@", names.host),
    "two @ of one": lambda local, domain, names: (f"{local}@{domain}", "@", domain),
    "literal": lambda local, domain, names: (local, "@", names.literal),
    "literal v6": lambda local, domain, names: (local, "@", "[IPv6:::1]"),
    "literal elsewhere": lambda local, domain, names: (local, "@", "[192.0.2.1]"),
    "literal of a name": lambda local, domain, names: (local, "@", f"[{domain}]"),
    "number": lambda local, domain, names: (local, "@", "#2130706433"),
    "host": lambda local, domain, names: (local, "@", names.host),
    "localhost": lambda local, domain, names: (local, "@", "localhost"),
    "bare": lambda local, domain, names: (local, "", ""),
    "bare @": lambda local, domain, names: (local, "@", ""),
    "colon": lambda local, domain, names: (f"{domain}:{local}", "", ""),
    "decnet": lambda local, domain, names: (f"{domain}::{local}", "", ""),
}

FORMS = {
    "as it is": "<{}>",
    "route": "<@relay.test:{}>",
    "two routes": "<@relay.test,@b.test:{}>",
    "route upon route": "<@relay.test:@b.test:{}>",
    "route by host": "<@{host}:{}>",
    "route with a blank": "<@relay.test: {}>",
    "route with a comment": "<@relay.test(x):(y){}>",
    "no brackets": "{}",
    "two brackets": "<<{}>>",
    "name": "<Alice <{}>>",
    "blank before": " <{}>",
    "comment before": "(x)<{}>",
    "name before": 'x <{}>',
    "blank within": "< {} >",
    "comma": "<{},>",
    "comma before": "<,{}>",
    "semicolon": "<{};>",
    "group": "<g:{};>",
    "null route": "<@:{}>",
    "two": "<{},x@other.test>",
    "two with ours last": "<x@other.test,{}>",
    "open comment": "<{}(>",
    "closed comment": "<{})>",
    "open quote": '<{}">',
}

# -- touches --------------------------------------------------------------------------------------


def _at(place, text, rng):
    """An index of the text that fits the place."""
    if place == "before" or not text:
        return 0
    if place == "behind":
        return len(text)
    return rng.randrange(1, max(2, len(text)))


def _insert(words):
    def touch(text, place, rng):
        at = _at(place, text, rng)
        return text[:at] + rng.choice(words) + text[at:]
    return touch


def _quoted_pair(text, place, rng):
    at = min(_at(place, text, rng), len(text) - 1)
    return text[:at] + "\\" + text[at:]


def _all_quoted_pairs(text, place, rng):
    return "".join("\\" + char for char in text)


def _quote(text, place, rng):
    """Quotes around its first part, one in the midst, or its last."""
    at = _at("within", text, rng)
    if place == "before":
        return f'"{text[:at]}"{text[at:]}'
    if place == "behind":
        return f'{text[:at]}"{text[at:]}"'
    end = rng.randrange(at, len(text) + 1)
    return f'{text[:at]}"{text[at:end]}"{text[end:]}'


def _quote_all(text, place, rng):
    return f'"{text}"'


def _quote_all_and_pair(text, place, rng):
    return f'"{_quoted_pair(text, place, rng)}"'


def _quote_all_and_blank(text, place, rng):
    return f'"{_insert(BLANKS)(text, place, rng)}"'


def _empty_quotes(text, place, rng):
    at = _at(place, text, rng)
    return f'{text[:at]}""{text[at:]}'


def _upper(text, place, rng):
    at = _at("within", text, rng)
    return {"before": text[:at].upper() + text[at:], "behind": text[:at] + text[at:].upper(),
            "within": text.upper()}[place]


TOUCHES = {
    "comment": _insert(COMMENTS),
    "blank": _insert(BLANKS),
    "quoted pair": _quoted_pair,
    "quoted pairs": _all_quoted_pairs,
    "quotes": _quote,
    "all quoted": _quote_all,
    "quoted pair in quotes": _quote_all_and_pair,
    "blank in quotes": _quote_all_and_blank,
    "empty quotes": _empty_quotes,
    "case": _upper,
    "dots": _insert(DOTS),
    "end": _insert(ENDS),
    "beyond ASCII": _insert(BEYOND),
    "control": _insert(("\\\t", "\x7f", "\x01", "\\")),
}
RARE = ("control", "beyond ASCII", "dots")


@dataclasses.dataclass(frozen=True)
class Spelling:
    """`touches` are (touch, part, place) triples."""

    way: str
    form: str
    touches: tuple
    seed: int

    @property
    def kinds(self):
        """What is odd about it, for sums."""
        found = [self.way] if self.way != "plain" else []
        found += [self.form] if self.form != "as it is" else []
        return (*found, *(f"{touch} {place} {part}" for touch, part, place in self.touches))

    def __str__(self):
        return ", ".join(self.kinds) or "plain"

    def write(self, local, domain, names=Names()):
        """The path, with the brackets that it has."""
        rng = random.Random(self.seed)
        parts = {"local": local, "domain": domain}
        for touch, part, place in self.touches:
            if parts[part]:
                parts[part] = TOUCHES[touch](parts[part], place, rng)
        local, at, domain = WAYS[self.way](parts["local"], parts["domain"], names)
        return self._form(local + at + domain, names)

    def _form(self, address, names):
        before, _, behind = FORMS[self.form].replace("{host}", names.host).partition("{}")
        return before + address + behind


def singles():
    """Each thing alone, in each place."""
    yield Spelling("plain", "as it is", (), 0)
    for way in WAYS:
        yield Spelling(way, "as it is", (), 0)
    for form in FORMS:
        yield Spelling("plain", form, (), 0)
    for seed, (touch, part, place) in enumerate(itertools.product(TOUCHES, PARTS, PLACES)):
        yield Spelling("plain", "as it is", ((touch, part, place),), seed)


def mixed(rng):
    """Two or three things at once, for ever."""
    common = [name for name in TOUCHES if name not in RARE]
    while True:
        way = rng.choice(list(WAYS)) if rng.random() < 0.35 else "plain"
        form = rng.choice(list(FORMS)) if rng.random() < 0.2 else "as it is"
        touches = tuple((rng.choice(common if rng.random() < 0.9 else RARE),
                         "local" if rng.random() < 0.7 else "domain", rng.choice(PLACES))
                        for _ in range(rng.choice((1, 1, 2, 2, 3))))
        yield Spelling(way, form, touches, rng.randrange(1 << 30))


def spellings(seed, count):
    """`count` spellings: those of one thing first, in an order of the seed's, then mixed ones."""
    rng = random.Random(seed)
    first = list(singles())
    rng.shuffle(first)
    return list(itertools.islice(itertools.chain(first, mixed(rng)), count))
