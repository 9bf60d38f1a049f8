"""`make demo`, which must show what it promises and leave nothing behind."""

import glob
import re
import subprocess
import sys

from batvtest import util

DEMO = util.REPO / "tests" / "demo" / "demo"


def left_over():
    return set(glob.glob("/tmp/batv*")) - {str(folder) for folder in util.FOLDERS}


def test_demo():
    before = left_over()
    done = subprocess.run([sys.executable, "-B", str(DEMO)], capture_output=True, text=True,
                          timeout=100 * util.PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout
    assert re.search(r"MAIL FROM:<prvs=\d{4}[0-9a-f]{6}=alice@example\.com>", text)
    assert "result=valid" in text and "result=missing" in text and "result=bad-signature" in text
    assert "550 5.7.1" in text and "550 5.1.1" in text
    assert "\033[" not in text, "colour only on a terminal"
    assert left_over() <= before
