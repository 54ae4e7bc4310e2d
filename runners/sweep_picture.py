"""Coordinates of the pictures of a sweep: ratio over its axis, a line with intervals for each rung, and ratio over error.

Both axes are logarithmic. The server draws them, so that they are there without a script and on paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runners.bench.sweeps import Point
from runners.measured import Curve

WIDTH, HEIGHT = 640.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 14.0, 42.0
STEPS = (1.0, 2.0, 5.0)
NARROWEST = 44.0  # px between two ticks of the axis, so that their words do not touch


@dataclass(frozen=True)
class Mark:
    """A point with the ends of its interval; `is_best` marks the Pareto front."""

    x: float
    y: float
    top: float
    bottom: float
    is_best: bool
    value: str
    """Of the swept axis."""


@dataclass(frozen=True)
class Line:
    label: str
    look: int
    """Which of the four shapes and dashes tells this line from the others."""
    path: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Picture:
    lines: tuple[Line, ...]
    one: float
    """The height of ratio 1: above it the technique is faster."""
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def picture(curves: Sequence[Curve]) -> Picture | None:
    """Ratio over the swept axis; None where there is nothing to draw."""
    return _drawn(curves, lambda point: float(point.value), lambda value: f"{value:,.0f}")


def pareto(curves: Sequence[Curve]) -> Picture | None:
    """Ratio over what it costs in error, against the first rung: up and to the left is better. None without errors."""
    found = _drawn(curves[:1], lambda point: point.loss or 0.0, lambda value: f"{value:.2g}")
    return found if found and len({mark.x for line in found.lines for mark in line.marks}) > 1 else None


def _drawn(curves: Sequence[Curve], of: Callable[[Point], float], word: Callable[[float], str]) -> Picture | None:
    points = [point for curve in curves for point in curve.points if point.low > 0 and of(point) > 0]
    if not points:
        return None
    values = sorted({of(point) for point in points})
    low = math.log(min(1.0, *(point.low for point in points)) / 1.1)
    high = math.log(max(1.0, *(point.high for point in points)) * 1.1)
    first, last = math.log(values[0]), math.log(values[-1])

    def across(value: float) -> float:
        share = (math.log(value) - first) / (last - first) if last > first else 0.5
        return round(LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24), 1)

    def up(ratio: float) -> float:
        return round(HEIGHT - BOTTOM - (math.log(ratio) - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    lines = []
    for look, curve in enumerate(curves):
        shown = sorted((point for point in curve.points if point.low > 0 and of(point) > 0), key=of)
        marks = tuple(Mark(across(of(p)), up(p.ratio), up(p.high), up(p.low), p.is_best, f"{p.value:,}") for p in shown)
        path = "M" + "L".join(f"{mark.x} {mark.y}" for mark in marks)
        lines.append(Line(curve.label, look % 4, path, marks))
    ticks = [(up(value), f"{value:g}×") for value in _round_numbers(math.exp(low), math.exp(high))]
    return Picture(tuple(lines), up(1.0), _apart([(across(v), word(v)) for v in values]), tuple(ticks))


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between both."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for power in powers for step in STEPS if low <= (value := step * 10.0**power) <= high]


def _apart(ticks: list[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    kept: list[tuple[float, str]] = []
    for place, word in ticks:
        if not kept or place - kept[-1][0] >= NARROWEST:
            kept.append((place, word))
    return tuple(kept)
