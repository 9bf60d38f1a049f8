"""The benches start, and print tables with figures in them. How fast anything is, is not tested:
that is for `make bench` on a quiet machine. That memory stays flat is, over some ten thousand
messages: tests/bench/flat ends with 1 otherwise."""

import os
import re
import subprocess

import pytest

from batvtest import util

pytestmark = pytest.mark.slow

RUNS = {
    "speed": (
        ["--pairs", "1", "--seconds", "0.05", "--connections", "2", "--open", "3",
         "--messages", "5", "--sessions", "2"],
        ["| default | Unix | sign | 2 |", "| bare | TCP | forged | 2 |", "| batvd | 3 |",
         "| two SHA-256 compressions |", "| no filter |"],
    ),
    "growth": (
        ["--parts", "domains,keys,recipients,connections,journal", "--most", "10",
         "--recipients", "10", "--connections", "10", "--entries", "1000", "--runs", "1",
         "--seconds", "0.05"],
        ["### Domains", "### Keys", "### Recipients", "### Connections",
         "### Entries in the journal", "- look-up, hit: "],
    ),
    "flat": (
        ["64000"],
        ["| 64000 |", "- without, from 6400 to 64000 messages: anonymous memory grown by "],
    ),
    "run": (
        ["--against", "bare", "--kinds", "bounce", "--pairs", "1", "--seconds", "0.05",
         "--connections", "1"],
        ["| bounce | 1 |"],
    ),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="its Postfix needs root")
@pytest.mark.parametrize("name", RUNS)
def test_bench_starts(name, tmp_path):
    if os.environ.get("BATV_SANITIZER") == "tsan":
        pytest.skip("the stacks of the filter that does nothing are too small for it")
    if name == "flat" and os.environ.get("BATV_SANITIZER"):
        pytest.skip("a sanitizer keeps what is freed")
    arguments, expected = RUNS[name]
    output = ["--output", str(tmp_path / "table.md")] if name != "run" else []
    env = {**os.environ, "BATV_BUILD": str(util.BUILD)}
    env.pop("BATV_TOOLS", None)
    done = subprocess.run([str(util.REPO / "tests" / "bench" / name), *arguments, *output],
                          capture_output=True, text=True, timeout=300 * util.PATIENCE, env=env,
                          check=False)
    assert done.returncode == 0, done.stderr
    for text in expected:
        assert text in done.stdout, done.stdout
    assert re.search(r"\| \d+ % \|", done.stdout) or name in ("growth", "flat")
    if output:
        assert (tmp_path / "table.md").read_text(encoding="utf-8") == done.stdout
