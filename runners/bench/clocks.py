"""Samples of a GPU's clocks, temperature, power and users, and what they say of the pairs timed meanwhile.

Pure functions over samples; `runners.bench.nvml` takes them.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

DRIFT_SHARE = 0.03
MOST_DROPPED = 0.5
LEAST_KEPT = 10
# Bits of nvmlDeviceGetCurrentClocksThrottleReasons; 1 says that the GPU is idle, 2 that someone set its clocks.
THROTTLE_REASONS = {
    0x0000000000000002: "clocks set by an application",
    0x0000000000000004: "power cap in software",
    0x0000000000000008: "slowdown in hardware",
    0x0000000000000010: "synchronised boost",
    0x0000000000000020: "heat, in software",
    0x0000000000000040: "heat, in hardware",
    0x0000000000000080: "power brake",
    0x0000000000000100: "clocks set for a display",
}
IDLE = 0x0000000000000001


@dataclass(frozen=True)
class Sample:
    """The state at `at_s` by time.monotonic(); None where the driver does not tell."""

    at_s: float
    sm_mhz: int | None = None
    memory_mhz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    throttle: int | None = None
    pids: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Kept:
    """Indices of the pairs to keep, how many were dropped, and why none were although the clocks drifted."""

    indices: list[int]
    dropped: int
    note: str = ""


def throttle_reasons(mask: int) -> list[str]:
    """The reasons in the mask, in words; bits that are not known are given as a number. Idleness is no reason."""
    known = [name for bit, name in THROTTLE_REASONS.items() if mask & bit]
    rest = mask & ~(IDLE | sum(THROTTLE_REASONS))
    return known + ([f"unknown ({rest:#x})"] if rest else [])


def steady_pairs(samples: Sequence[Sample], spans: Sequence[tuple[float, float]]) -> Kept:
    """Pairs during which the SM clock stayed near the median of the loop.

    `spans` holds begin and end of each pair by the samples' clock. A pair that no sample falls into is judged by the
    samples around it; without samples nothing is dropped. Where most pairs drift, or too few would be left, all stay,
    since then there is no steady state to speak of, and the note says so.
    """
    clocked = sorted((each.at_s, each.sm_mhz) for each in samples if each.sm_mhz)
    every = list(range(len(spans)))
    if not clocked or not spans:
        return Kept(every, 0)
    times = [at for at, _ in clocked]
    seen = [_clocks_within(clocked, times, begin, end) for begin, end in spans]
    usual = statistics.median(clock for clocks in seen for clock in clocks)
    steady = [
        index for index, clocks in enumerate(seen) if all(abs(each / usual - 1) <= DRIFT_SHARE for each in clocks)
    ]
    dropped = len(spans) - len(steady)
    if dropped and (dropped > MOST_DROPPED * len(spans) or len(steady) < min(LEAST_KEPT, len(spans))):
        return Kept(every, 0, f"the clock drifted in {dropped} of {len(spans)} pairs; all were kept")
    return Kept(steady, dropped)


def _clocks_within(clocked: Sequence[tuple[float, int]], times: Sequence[float], begin: float, end: float) -> list[int]:
    first, last = bisect_left(times, begin), bisect_right(times, end)
    if first < last:
        return [clock for _, clock in clocked[first:last]]
    around = [clocked[index] for index in (first - 1, first) if 0 <= index < len(clocked)]
    return [clock for _, clock in around]


def during(samples: Sequence[Sample], spans: Sequence[tuple[float, float]]) -> list[Sample]:
    """The samples from the first timed pair to the last: what happened while nothing was timed bears on no figure.

    All of them where nothing was timed.
    """
    if not spans:
        return list(samples)
    begin, end = min(begin for begin, _ in spans), max(end for _, end in spans)
    return [each for each in samples if begin <= each.at_s <= end]


def summarized(samples: Sequence[Sample], own_pids: Collection[int]) -> dict[str, Any]:
    """JSON-ready facts of a run for its environment: ranges, reasons for throttling, and who else was on the device."""
    facts: dict[str, Any] = {"samples": len(samples)}
    for name in ("sm_mhz", "memory_mhz", "temperature_c", "power_w"):
        values = [value for each in samples if (value := getattr(each, name)) is not None]
        if values:
            facts[name] = {"low": min(values), "median": statistics.median(values), "high": max(values)}
    masks = [each.throttle for each in samples if each.throttle is not None]
    if masks:
        reasons = [reason for mask in masks for reason in throttle_reasons(mask)]
        facts["throttled"] = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    facts["foreign_processes"] = len(_foreign(samples, set(own_pids)))
    return facts


def _foreign(samples: Sequence[Sample], own_pids: set[int]) -> set[int]:
    """Processes on the device that are not the run's.

    In a container the driver may number processes otherwise than this system does; where none of ours is among them, only
    those that were there before the run are known to be others.
    """
    seen = {pid for each in samples for pid in each.pids}
    if seen & own_pids or not seen:
        return seen - own_pids
    return set(min(samples, key=lambda each: each.at_s).pids)


def notes(facts: dict[str, Any]) -> list[str]:
    """What a reader must know of the device's state, in sentences."""
    found = []
    if facts.get("foreign_processes"):
        count = facts["foreign_processes"]
        found.append(f"{count} other {'process was' if count == 1 else 'processes were'} on the device during the run")
    for reason, count in facts.get("throttled", {}).items():
        found.append(f"the device was held back in {count} of {facts['samples']} samples: {reason}")
    return found
