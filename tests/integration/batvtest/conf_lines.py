"""The lines of configuration that `check` prints, applied to the letter."""

import re


def applied(mend, path):
    """The text of the configuration with the mend in it: behind its end, in the group whose line is
    named, or in place of the setting there."""
    found = re.search(rf"\bin {re.escape(str(path))}"
                      r"(?:, line (\d+), (put into|in place of) (\S+?)(?: there)?)?: (.*;)(?: then |$)", mend)
    assert found, mend
    text = path.read_text(encoding="utf-8")
    if not found[1]:
        return f"{text}\n{found[4]}\n"
    lines = text.splitlines(keepends=True)
    number = int(found[1]) - 1
    before, after = "".join(lines[:number]), "".join(lines[number:])
    name = found[3].rpartition(".")[2]
    assert re.search(rf"\b{name}\b", lines[number]), (mend, lines[number])
    if found[2] == "put into":
        after, count = re.subn(rf"(\b{name}\b[^{{]*{{)", lambda m: f"{m[1]} {found[4]}", after, count=1)
    else:
        after, count = re.subn(rf"\b{name}\s*[=:]\s*(\[[^\]]*\]|\S+?)\s*;", lambda _: found[4], after,
                               count=1)
    assert count == 1, (mend, after)
    return before + after
