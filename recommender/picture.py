"""Coordinates of the pictures on the page of advice: bars of parts, and the roofline with the techniques on it.

All lengths are in the units of the drawings' own boxes; templates only write them down.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recommender.hardware.timing import PARTS
from recommender.situation import MEMORY_TERMS, Change, Situation

WIDTH, HEIGHT = 640.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 14.0, 16.0, 44.0
BAR = 1000.0
PASS_WORDS: Mapping[str, str] = {
    "prefill": "Prompt", "decode_per_token": "Each new token", "training_step": "Training step",
}  # fmt: skip
MEMORY_WORDS: Mapping[str, str] = {
    "weights": "Weights", "kv_cache": "KV cache", "activations": "Activations", "gradients": "Gradients",
    "optimizer": "Optimizer",
}  # fmt: skip
WAIT_WORDS: Mapping[str, str] = {
    "compute": "arithmetic", "memory": "memory", "launch": "starting kernels", "link": "other devices",
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A stretch of a bar: its place in thousandths, its amount, and the share of the whole."""

    name: str
    word: str
    amount: float
    start: float
    length: float
    share: float


@dataclass(frozen=True)
class Bar:
    """A stacked bar. `limit` is where the budget ends, None where there is none or it lies beyond the bar."""

    name: str
    word: str
    pieces: tuple[Piece, ...]
    total: float
    limit: float | None = None


@dataclass(frozen=True)
class Point:
    """A pass, or a pass with a technique, at so many operations a byte and so many 1e12 operations a second."""

    label: str
    mark: str
    intensity: float
    tflops: float
    x: float
    y: float
    binds: str
    ms: float


@dataclass(frozen=True)
class Roof:
    """The drawing of a roofline: the roof as a path, ticks (place, word), and points; `ridge` where arithmetic begins."""

    path: str
    reached: str
    ridge: float
    ridge_x: float
    peak_y: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    points: tuple[Point, ...]
    peak_tflops: float
    bandwidth_gb_s: float
    dtype: str


def memory_bar(situation: Situation) -> Bar | None:
    """Memory by part, with a mark where what is available ends; None where no model is known."""
    memory = situation.memory
    if memory is None:
        return None
    amounts = [(name, MEMORY_WORDS[name], getattr(memory, name)) for name in MEMORY_TERMS]
    there = situation.available_gib
    longest = max(memory.total, there or 0.0)
    limit = round(BAR * there / longest, 2) if there else None
    return Bar("memory", "Memory", _pieces(amounts, longest), memory.total, limit)


def time_bars(situation: Situation) -> list[Bar]:
    """Each pass by what is waited for; a bar is as long as its time."""
    found = []
    for cost in situation.costs:
        amounts = [(part, WAIT_WORDS[part], getattr(cost, f"{part}_ms")) for part in PARTS]
        whole = sum(amount for _, _, amount in amounts)
        found.append(Bar(cost.name, PASS_WORDS[cost.name], _pieces(amounts, whole), cost.ms))
    return found


def roof(situation: Situation, techniques: Sequence[tuple[str, Sequence[Change]]]) -> Roof | None:
    """The roofline of the device with the passes on it, and where each technique moves the longest of them.

    None where the device, its rate or the model is not known.
    """
    device = situation.device
    rate = device.rate(situation.workload.computes_in) if device else None
    if device is None or rate is None or not situation.costs:
        return None
    count = situation.need.gpus if situation.sharing != "layers" else 1
    peak, bandwidth = rate * count, device.bandwidth_gb_s * count / 1e3
    marks = [
        (PASS_WORDS[cost.name], cost.name, cost.intensity, cost.flops / cost.ms / 1e9, cost.binds, cost.ms)
        for cost in situation.costs
    ]
    longest = situation.longest
    for number, (label, changes) in enumerate(techniques, 1):
        moved = situation.moved(changes).get(longest or "")
        before = situation.cost(longest) if longest else None
        if (
            moved
            and before
            and (abs(moved.ms / before.ms - 1) > 0.005 or abs(moved.intensity / before.intensity - 1) > 0.005)
        ):
            marks.append((label, str(number), moved.intensity, before.flops / moved.ms / 1e9, moved.binds, moved.ms))
    xs = [x for _, _, x, _, _, _ in marks] + [peak / bandwidth]
    ys = [y for _, _, _, y, _, _ in marks] + [peak]
    left, right = _decades(min(xs) / 1.6, max(xs) * 3)
    low, high = _decades(min(ys) / 2, max(ys) * 1.3)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - left) / (right - left)
        up = (math.log10(y) - low) / (high - low)
        return round(LEFT + across * (WIDTH - LEFT - RIGHT), 1), round(
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1
        )

    def path(top: float, slope: float) -> str:
        start = max(10**left, 10**low / slope)
        corner = top / slope
        (x0, y0), (x1, y1), (x2, y2) = at(start, slope * start), at(corner, top), at(10**right, top)
        return f"M{x0} {y0}L{x1} {y1}L{x2} {y2}"

    used = situation.efficiency_used
    ridge_x, peak_y = at(peak / bandwidth, peak)
    points = tuple(Point(label, mark, x, y, *at(x, y), binds, ms) for label, mark, x, y, binds, ms in marks)
    return Roof(
        path(peak, bandwidth),
        path(peak * used.compute, bandwidth * used.memory) if used else "",
        peak / bandwidth, ridge_x, peak_y,
        tuple((at(10.0**power, 10**low)[0], _power(power)) for power in range(math.ceil(left), math.floor(right) + 1)),
        tuple((at(10**left, 10.0**power)[1], _power(power)) for power in range(math.ceil(low), math.floor(high) + 1)),
        points, peak, bandwidth * 1e3, situation.workload.computes_in,
    )  # fmt: skip


def _pieces(amounts: Iterable[tuple[str, str, float]], longest: float) -> tuple[Piece, ...]:
    found, start = [], 0.0
    amounts = [one for one in amounts if one[2] > 0]
    whole = sum(amount for _, _, amount in amounts) or 1.0
    for name, word, amount in amounts:
        length = BAR * amount / longest if longest else 0.0
        found.append(Piece(name, word, amount, round(start, 2), round(length, 2), amount / whole))
        start += length
    return tuple(found)


def _decades(low: float, high: float) -> tuple[float, float]:
    """Exponents that span both, at least two decades apart."""
    first, last = math.log10(low), math.log10(high)
    return (first, last) if last - first >= 2 else (first, first + 2)


def _power(power: int) -> str:
    if -2 <= power <= 4:
        return f"{10.0**power:g}" if power < 3 else f"{10**power:,}"
    return f"10^{power}"
