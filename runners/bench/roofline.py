"""What no device can do: the least time that a call's arithmetic and traffic take, and times below it.

The model is the roofline (Williams, Waterman and Patterson 2009): a call takes at least as long as its operations at the
device's best rate, and at least as long as its bytes at the best bandwidth.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.bench.collect import TECHNIQUE, Findings
from runners.bench.trust import Doubt
from runners.blocks.least_work import COUNTED, COUNTED_BYTES
from runners.card_types import Card

# Measured ceilings are what a device reached, not what it can at most; only a time below this share is impossible.
MARGIN = 0.75
REVIEW_FACTOR = 10.0
PRODUCTS = {
    "float64": ("float64",),
    # A product of float32 may run as TF32 where torch was told so; the harness does not say which was meant.
    "float32": ("float32", "float32 as TF32"),
    "float16": ("float16", "bfloat16"),
    "bfloat16": ("bfloat16", "float16"),
}
NARROWER = ("int8", "float8")


@dataclass(frozen=True)
class Work:
    """What one call does at least: operations that torch counted, bytes that must be read and written."""

    flops: float
    bytes_moved: float


def rate_of(ceilings: Sequence[Mapping[str, Any]], dtype: str, *, exact: bool) -> float | None:
    """Operations a second at best: the highest rate of the formats that this dtype may be computed in.

    An approximate technique may compute in a narrower one. None where no such product was measured.
    """
    names = (*PRODUCTS.get(dtype, (dtype,)), *(() if exact else (*NARROWER, "float16", "bfloat16")))
    wanted = {f"matrix product, {name}" for name in names}
    return max((1e12 * float(row["value"]) for row in ceilings if row["name"] in wanted), default=None)


def bandwidth_of(ceilings: Sequence[Mapping[str, Any]]) -> float | None:
    """Bytes a second at best of reading, writing or both; None where it was not measured."""
    names = {"copy", "read", "write"}
    return max(
        (1e9 * float(row["value"]) for row in ceilings if row["name"] in names and row["unit"] == "GB/s"), default=None
    )


def floor_ms(work: Work, rate: float | None, bandwidth: float | None, cache_bytes: float = 0.0) -> tuple[float, str]:
    """The least milliseconds, and what bounds it: "arithmetic", "traffic" or "" where nothing is known.

    `cache_bytes` may stay in a cache when the call ends, and need no time within it.
    """
    arithmetic = 1e3 * work.flops / rate if rate else 0.0
    traffic = 1e3 * max(0.0, work.bytes_moved - cache_bytes) / bandwidth if bandwidth else 0.0
    return _longer(arithmetic, traffic)


def _longer(arithmetic: float, traffic: float) -> tuple[float, str]:
    if not arithmetic and not traffic:
        return 0.0, ""
    return (arithmetic, "arithmetic") if arithmetic >= traffic else (traffic, "traffic")


def declared_floor(extras: Mapping[str, Any], ceilings: Sequence[Mapping[str, Any]]) -> tuple[float, str]:
    """As `floor_ms`, of what the technique's module declares to be its least work; 0 where it declares none.

    Products in several formats take one another's place on the same units, so their times add up. 0 also where the rate of a
    declared format was not measured: a floor without it would flatter.
    """
    if COUNTED_BYTES not in extras:
        return 0.0, ""
    formats = [key.removeprefix(COUNTED) for key in extras if key.startswith(COUNTED) and key != COUNTED_BYTES]
    arithmetic = 0.0
    for name in formats:
        found = rate_of(ceilings, name, exact=True) if name != "float32" else _rate(ceilings, name)
        if not found:
            return 0.0, ""
        arithmetic += 1e3 * extras[f"{COUNTED}{name}"] / found
    bandwidth = bandwidth_of(ceilings)
    return _longer(arithmetic, 1e3 * extras[COUNTED_BYTES] / bandwidth) if bandwidth else (0.0, "")


def _rate(ceilings: Sequence[Mapping[str, Any]], name: str) -> float | None:
    wanted = f"matrix product, {name}"
    return next((1e12 * float(row["value"]) for row in ceilings if row["name"] == wanted), None)


def impossible(ms: float, floor: float) -> bool:
    """Whether no device of this kind can be as fast, with a margin for ceilings that were measured too low."""
    return 0 < ms < MARGIN * floor


def doubts_of_speed(findings: Findings, card: Card, ratios: Mapping[tuple[str, str], float]) -> list[Doubt]:
    """Times below the floor, which refuse the run on a GPU, and gains so large that someone should look.

    `ratios` are the medians by workload and rung.
    """
    on_gpu = findings.environment.get("device_kind") == "cuda"
    exact = card.correctness == "exact"
    bandwidth, cache = bandwidth_of(findings.ceilings), float(findings.environment.get("cache_bytes") or 0)
    found: dict[tuple[str, str], Doubt] = {}
    for (workload, rung), loop in findings.loops.items():
        extras = findings.extras.get((workload, TECHNIQUE), {})
        work = Work(extras.get("flops_counted", 0), extras.get("bytes_least", 0))
        floor, bound = floor_ms(work, rate_of(findings.ceilings, loop.dtype, exact=exact), bandwidth, cache)
        ms = statistics.median(loop.technique_ms)
        if impossible(ms, floor):
            text = f"{ms:.4g} ms is faster than this device can be: its {bound} alone takes {floor:.4g} ms"
            found[workload, ""] = Doubt(workload, text, refuses=on_gpu)
        declared, bound = declared_floor(extras, findings.ceilings)
        if impossible(ms, declared) and (workload, "") not in found:
            text = f"{ms:.4g} ms is less than the {declared:.4g} ms of {bound} that the module declares: it declares too much"
            found[workload, ""] = Doubt(workload, text, refuses=False)
        ratio = ratios.get((workload, rung), 0.0)
        if ratio > REVIEW_FACTOR:
            text = f"needs review: {ratio:.1f} times as fast as {rung!r}; more than {REVIEW_FACTOR:g} is rarely true"
            found[workload, rung] = Doubt(workload, text, refuses=False)
    return list(found.values())
