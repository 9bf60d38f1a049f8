"""Two filters compared: loaded in turns and in slices of a quarter of a second, so that what the
machine does meanwhile hits both alike, and the ratio of each pair is taken."""

import dataclasses
import statistics
import time

from . import machine
from .machine import fail, say

SLICE_S = 0.25
WARM_UP_S = 0.3
PAUSE_S = 1.0
PROOFS_A_SECOND = 500  # each good for 20 bounces and a few more


@dataclasses.dataclass
class Plan:
    """How much is measured."""

    pairs: int = 7
    seconds: float = 1.0  # of each run
    quiet: float = 100.0  # percent for others; a slice with more is repeated
    patient_until: float = 0.0  # on the monotonic clock


def negotiated(seen):
    names = ("actions", "steps", "replies")
    return {k: v for k, v in seen.items() if k in names or k.startswith("macros")}


def check_alike(batvd, other):
    if negotiated(batvd) != negotiated(other):
        fail(f"the two differ: batvd {negotiated(batvd)}, the other {negotiated(other)}")


def prepare(filter_, kind, plan):
    """For bounces that can be proven, messages that they are for."""
    if kind == "proven" and filter_.signs:
        count = 100 + round(plan.pairs * plan.seconds * PROOFS_A_SECOND)
        filter_.load("sign", 1, "-n", str(count), "-w", filter_.proofs)
        filter_.settle("sign")


def first_look(filter_, kind, plan):
    prepare(filter_, kind, plan)
    return filter_.load(kind, 1, "-n", "20")


def run_of(slices):
    """The slices of one filter as one run."""
    messages = sum(int(s["messages"]) for s in slices)
    late = sum(s["late"] for s in slices)
    cpu = sum(float(s["cpu_us"]) * int(s["messages"]) for s in slices)
    return {
        "rate": messages / (sum(float(s["seconds"]) for s in slices) + late),
        "cpu_us": (cpu + late * 1e6) / messages,
        "late_us": late * 1e6 / messages,
        "p50_us": statistics.median(int(s["p50_us"]) for s in slices),
        "p99_us": max(int(s["p99_us"]) for s in slices),
        "others": statistics.mean(s["others"] for s in slices),
    }


def slice_of(filter_, kind, connections, seconds):
    """One slice, with the percentage of the machine that others had."""
    others = machine.Others()
    seen = filter_.load(kind, connections, "-t", str(seconds))
    seen["others"] = others.end(float(seen["cpu_us"]) * int(seen["messages"]) / 1e6)
    seen["late"] = filter_.settle(kind)
    return seen


def measure_pair(batvd, other, kind, connections, plan, alike):
    """In the order A B B A A B B A; two slices side by side are repeated together."""
    count = max(1, round(plan.seconds / SLICE_S))
    seconds = plan.seconds / count
    slices = {batvd: [], other: []}
    for n in range(count):
        order = (batvd, other) if n % 2 == 0 else (other, batvd)
        while True:
            two = {f: slice_of(f, kind, connections, seconds) for f in order}
            if alike:
                check_alike(two[batvd], two[other])
            quiet = max(seen["others"] for seen in two.values()) <= plan.quiet
            if quiet or time.monotonic() > plan.patient_until:
                break
            time.sleep(PAUSE_S)
        for f in order:
            slices[f].append(two[f])
    return run_of(slices[batvd]), run_of(slices[other])


def measure(batvd, other, kind, connections, plan):
    """The pairs. With the yardstick, both have to negotiate and to reply alike."""
    pairs = []
    for f in (batvd, other):
        prepare(f, kind, plan)
        slice_of(f, kind, connections, min(WARM_UP_S, plan.seconds))
    for n in range(plan.pairs):
        pairs.append(measure_pair(batvd, other, kind, connections, plan, other.name == "null"))
        seen = ", ".join(
            f"{f.name} {one['rate']:.0f}/s {one['cpu_us']:.1f} us ({one['late_us']:.1f} later) "
            f"p99 {one['p99_us']} us"
            for f, one in zip((batvd, other), pairs[-1])
        )
        say(f"{kind} {connections} {n + 1}/{plan.pairs}: {seen}")
    return pairs


def ratios(pairs, key):
    """Of each pair, and what each of the two has in the middle."""
    a = [pair[0][key] for pair in pairs]
    b = [pair[1][key] for pair in pairs]
    return [x / y for x, y in zip(a, b)], statistics.median(a), statistics.median(b)


def others_of(pairs):
    return statistics.mean(run["others"] for pair in pairs for run in pair)
