"""Tables over a sweep: from which size on the technique wins, and error beside speed over the knob of an approximation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from runners.bench.collect import Findings
from runners.bench.results import Measurement
from runners.bench.verdicts import sweep_point
from runners.card_types import Card

HIGHER_IS_BETTER = ("cosine", "topk_overlap")


@dataclass(frozen=True)
class Point:
    """One value of the axis. `loss` is the error figure, turned so that less is better; None where none was taken."""

    value: int
    ratio: float
    low: float
    high: float
    band: float
    loss: float | None = None
    quality: float | None = None
    is_best: bool = False
    """Whether no other point is at once at least as fast and at least as right (on the Pareto front)."""


@dataclass(frozen=True)
class Crossover:
    """From which value on the technique is faster. `kind`: "crosses", "always", "never" or "mixed".

    `low` and `high` bound the crossing: the value where the ratio's upper and lower end reach 1. None where that end
    does not reach 1 within the sweep.
    """

    kind: str
    at: float | None = None
    low: float | None = None
    high: float | None = None

    def sentence(self, axis: str) -> str:
        if self.kind == "crosses":
            low = f"{self.low:.4g}" if self.low is not None else "below the sweep"
            high = f"{self.high:.4g}" if self.high is not None else "beyond the sweep"
            return f"faster from {axis} = {self.at:.4g} on (95 % interval {low} to {high})"
        return {
            "always": f"faster at every {axis} of the sweep",
            "never": f"faster at no {axis} of the sweep",
            "mixed": f"faster at some {axis}, but not from one on",
        }[self.kind]


@dataclass(frozen=True)
class SweepTable:
    """The points against one rung, by rising value."""

    workload: str
    axis: str
    baseline: str
    error_name: str
    points: list[Point]
    crossover: Crossover

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "says": self.crossover.sentence(self.axis)}


def sweep_tables(findings: Findings, card: Card, measured: Sequence[Measurement]) -> list[SweepTable]:
    """A table for each rung that was timed at two points of the sweep or more."""
    sweep = card.sweep
    if sweep is None:
        return []
    values = {sweep_point(sweep.workload, sweep.axis, value): value for value in sweep.values}
    by_rung: dict[str, list[Point]] = {}
    for each in measured:
        if each.measure == "time" and each.ratio and each.ratio_low and each.ratio_high and each.workload in values:
            quality, loss = _loss(findings, card, each.workload)
            point = Point(
                values[each.workload], each.ratio, each.ratio_low, each.ratio_high, each.band or 0.0, loss, quality
            )
            by_rung.setdefault(each.baseline, []).append(point)
    name = card.check.quality or "relative_l2"
    return [
        SweepTable(sweep.workload, sweep.axis, rung, name, marked(points), crossover(points))
        for rung, points in by_rung.items()
        if len(points) > 1
    ]


def _loss(findings: Findings, card: Card, workload: str) -> tuple[float | None, float | None]:
    for check in findings.checks:
        if check["workload"] == workload and check["subject"] == "technique":
            quality = check["quality"] if card.correctness == "approximate" else check["error"].get("relative_l2")
            if quality is None:
                return None, None
            return float(quality), 1 - quality if card.check.quality in HIGHER_IS_BETTER else float(quality)
    return None, None


def marked(points: Sequence[Point]) -> list[Point]:
    """The points by rising value, those on the Pareto front of ratio and loss marked; without losses none is."""
    return [
        Point(**{**asdict(each), "is_best": each.loss is not None and not any(_beats(other, each) for other in points)})
        for each in sorted(points, key=lambda point: point.value)
    ]


def _beats(first: Point, second: Point) -> bool:
    if first.loss is None or second.loss is None:
        return False
    as_good = first.ratio >= second.ratio and first.loss <= second.loss
    return as_good and (first.ratio > second.ratio or first.loss < second.loss)


def crossover(points: Sequence[Point]) -> Crossover:
    """Where the ratio last rises above 1, interpolated between the logarithms of value and ratio."""
    ordered = sorted(points, key=lambda point: point.value)
    above = [point.ratio > 1 for point in ordered]
    if all(above):
        return Crossover("always")
    if not any(above):
        return Crossover("never")
    if above != sorted(above):
        return Crossover("mixed")
    at = _crossing(ordered, lambda point: point.ratio)
    return Crossover(
        "crosses", at, _crossing(ordered, lambda point: point.high), _crossing(ordered, lambda point: point.low)
    )


def _crossing(points: Sequence[Point], end: Callable[[Point], float]) -> float | None:
    """The value where that end of the ratio last comes from below 1 to above; None if it does not."""
    for before, after in reversed(list(pairwise(points))):
        low, high = math.log(end(before)), math.log(end(after))
        if low <= 0 < high:
            share = -low / (high - low)
            return math.exp(math.log(before.value) + share * math.log(after.value / before.value))
    return None
