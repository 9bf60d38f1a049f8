"""Files, accounts and the host's name for one command line that are others than this machine's, without a
mount or a namespace, which need a right that a container does not have (see elsewhere.c).

It works for programs that are linked dynamically and that nobody's setuid or setgid bit is for.
"""

import pathlib
import subprocess
import tempfile

from . import util

SOURCE = pathlib.Path(__file__).with_suffix(".c")

_SCRIPT = """\
export LD_PRELOAD="$1${LD_PRELOAD:+ $LD_PRELOAD}"
export ELSEWHERE="$2${ELSEWHERE:+:$ELSEWHERE}"
shift 2
exec "$@"
"""


def _library():
    """Built where the programs are, for all that run at once."""
    made = util.BUILD / "tests/elsewhere.so"
    if not made.exists() or made.stat().st_mtime < SOURCE.stat().st_mtime:
        with tempfile.TemporaryDirectory(dir=made.parent) as folder:
            fresh = pathlib.Path(folder) / made.name
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", fresh, SOURCE,
                            "-ldl"], check=True, timeout=60)
            fresh.rename(made)
    return str(made)


def prefix(paths, *, hostname=None, closed=None, read_only=None):
    """In front of a command line, which it becomes by exec.

    paths     {path: other}: whoever names the one gets the other
    hostname  the host's name
    closed    a folder that seems to be writable to its owner alone
    read_only a folder that is as on a read-only file system
    """
    more = {"ELSEWHERE_NAME": hostname, "ELSEWHERE_CLOSED": closed,
            "ELSEWHERE_READ_ONLY": read_only}
    return ["env", *(f"{name}={value}" for name, value in more.items() if value), "sh", "-c",
            _SCRIPT, "sh", _library(), ":".join(f"{path}={other}" for path, other in paths.items())]
