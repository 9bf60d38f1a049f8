"""`make demo` shows what it promises, and leaves nothing behind."""

import os
import re
import subprocess
import sys

from batvtest import util

DEMO = util.REPO / "tests" / "demo" / "demo"


def test_demo():
    folder = util.make_folder("batv-demo")
    try:
        done = subprocess.run([sys.executable, "-B", str(DEMO)], capture_output=True, text=True,
                              timeout=100 * util.PATIENCE, check=False,
                              env={**os.environ, "BATV_TMP": str(folder)})
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout
        assert re.search(r"MAIL FROM:<prvs=\d{4}[0-9a-f]{6}=alice@example\.com>", text)
        assert all(f"result={word}" in text for word in ("valid", "missing", "bad-signature"))
        assert re.search(r"class=autoreply\s+proof=journal\s+action=accept", text)
        assert re.search(r"action=log\s+would=reject", text)
        assert "550 5.7.1" in text and "550 5.1.1" in text
        assert "\033[" not in text, "colour only on a terminal"
        assert not list(folder.iterdir()), "something was left behind"
        assert not util.processes_below(folder)
    finally:
        util.remove_folder(folder)
