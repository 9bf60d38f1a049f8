"""A daemon on a machine whose two clocks, the time of day and the time since the boot, are the
test's."""

import pathlib
import shutil
import subprocess

import pytest

from .daemon import DAY, Batvd

SOURCE = pathlib.Path(__file__).parent / "boot_clock.c"


class Clocks(Batvd):
    def __init__(self, config=None, **options):
        if shutil.which("cc") is None:
            pytest.skip("no compiler for the clock")
        super().__init__(config, fake_time=True, **options)
        self._shim = self.folder / "boot_clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", self._shim, SOURCE, "-ldl"],
                       check=True, timeout=60)
        self._boot = self.folder / "boot"
        self.passed = 0
        self._write()

    def _write(self):
        fresh = self.folder / "boot.new"
        fresh.write_text(f"{self.passed}\n", encoding="ascii")
        fresh.chmod(0o644)
        fresh.rename(self._boot)

    def environment(self, more=None):
        env = super().environment(more)
        env.update(LD_PRELOAD=f"{self._shim} {env['LD_PRELOAD']}", BOOT_CLOCK=str(self._boot))
        return env

    def passes(self, seconds):
        """Both clocks go on; one a moment before the other, by less than what batvd minds."""
        self.passed += seconds
        self._write()
        self.travel(self.offset + seconds)

    def jumps(self, days):
        self.travel(self.offset + days * DAY)
