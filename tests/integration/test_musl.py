"""Another C library: everything is compiled with musl, and the core's tests pass with it."""

import os
import pathlib
import shutil
import subprocess

import pytest

from batvtest import util

pytestmark = pytest.mark.slow

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.seconds(900)
def test_the_core_and_its_tests(tmp_path):
    if shutil.which("musl-gcc") is None:
        pytest.skip("there is no musl-gcc here (package musl-tools)")
    env = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(["make", "-C", TOP, f"BUILD={tmp_path}", "DEV=1", "musl"],
                          capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, util.tail(done.stdout + done.stderr, 60)
    # as many programs as there are tests
    tests = list((TOP / "tests/unit/core").glob("test_*.c"))
    assert done.stdout.count("100%: Checks: ") == len(tests)
