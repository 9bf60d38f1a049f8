"""What the manuals show: literal displays and the commands in them, as a reader sees them."""

import re

from . import util


def _section(name, title):
    text = (util.REPO / "man" / name).read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^\.S[sh] {re.escape(title)}$(.*?)(?=^\.S[sh] )", text)
    assert found, f"{name} has no section {title}"
    return found[1]


def blocks(name, title):
    """The literal displays of a section, line by line."""
    return [text.replace("\\e", "\\")
            for text in re.findall(r"(?ms)^\.Bd -literal.*?\n(.*?)^\.Ed$", _section(name, title))]


def commands(name, title):
    """The commands of a section that are to be typed as root, each in one line."""
    text = re.sub(r"(?m)^\.Dl ", "", _section(name, title)).replace("\\e", "\\")
    found = re.findall(r"(?m)^# (.*(?:\n {2,}.*)*)", text)
    return [re.sub(r"\s*\\?\n\s+", " ", command) for command in found]
