"""What root may do here: in a container it is less than all. A test that cannot do without a capability is
skipped by its name."""

import pathlib

import pytest

# Bits of linux/capability.h.
BITS = {"CAP_IPC_LOCK": 14, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24}


def held(name):
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(mask, 16) >> BITS[name] & 1)


def needed(name, what):
    """Skips the test where the capability is not there. what: for which it is needed."""
    if not held(name):
        pytest.skip(f"needs {name} ({what})")
