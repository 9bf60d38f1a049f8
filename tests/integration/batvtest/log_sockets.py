"""/dev/log and the journal's socket are a folder's `log` and `journal`, whether or not anything is there: the
machine's own are not touched."""

from . import elsewhere


def prefix(folder):
    """In front of a command line, which it becomes by exec."""
    return elsewhere.prefix({"/dev/log": f"{folder}/log",
                             "/run/systemd/journal/socket": f"{folder}/journal"})
