"""Absolute claims ("12 ms", "5 GB", "0.5 B parameters") against the technique's own figures."""

from __future__ import annotations

from collections.abc import Sequence

from runners.bench.results import Measurement
from runners.bench.statistics import Interval
from runners.card_types import Claim

# Factor to the unit that the harness measures in: milliseconds, bytes, counts.
TIMES = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4, "h": 3.6e6}
BYTES = {
    "B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30,
    "TiB": 2.0**40,
}  # fmt: skip
COUNTS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}
COUNTED = ("weights", "kv_cache", "optimizer_state", "parameters", "flops")
OF_BYTES = ("peak_memory", "steady_memory", "weights", "kv_cache", "optimizer_state")


def in_measured_unit(claim: Claim) -> float | None:
    """The claimed value in the unit of the claim's measure; None where the unit is of another kind."""
    if claim.measure == "time":
        factor = TIMES.get(claim.unit)
    elif claim.measure in OF_BYTES:
        factor = BYTES.get(claim.unit)
    elif claim.measure in COUNTED:
        scale = claim.unit.removesuffix("params").removesuffix("parameters").removesuffix("FLOPs").strip()
        factor = COUNTS.get(scale)
    else:
        factor = None
    return None if factor is None else factor * claim.value


def against_figure(claim: Claim, measured: Measurement, value: float) -> Interval:
    """Claimed over measured, above 1 when the technique needs less than the paper says. Raises ValueError for 0."""
    if measured.low <= 0:
        raise ValueError(f"{claim.measure}: was measured as 0, which no claim can be compared with")
    return Interval(value / measured.median, value / measured.high, value / measured.low)


def why_not(claim: Claim, device_name: str) -> str:
    """Why an absolute claim cannot be judged here, or "". Times belong to a device, what is counted to a workload."""
    told = f"The claim is an absolute figure ({claim.value:g} {claim.unit}".rstrip() + ")"
    if claim.direction == "worse":
        return f"{told} of what it costs, and says nothing of a gain."
    if not claim.workload:
        return f"{told}, and none of the workloads is the one that it was measured on."
    if in_measured_unit(claim) is None:
        return f"{told}, and {claim.unit or 'a bare number'} is no unit of {claim.measure}."
    if claim.measure in ("time", "peak_memory", "steady_memory") and not (
        claim.hardware and claim.hardware.lower() in device_name.lower()
    ):
        return (
            f"{told}; such a figure belongs to its device ({claim.hardware or 'not named'}), and this is {device_name}."
        )
    return ""


def own_figure(claim: Claim, measurements: Sequence[Measurement]) -> Measurement | None:
    """The technique's own figure of the claim's measure on the claim's workload."""
    for each in measurements:
        if each.subject == "technique" and each.measure == claim.measure and each.workload == claim.workload:
            return each
    return None
