"""What a technique brings, told with where the figure comes from: measured, scaled, claimed or modelled, never mixed.

Every gain is a factor above 1 when it is better: time, memory or operations before, divided by after.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect
from recommender.hardware.catalogue import find_device
from recommender.situation import Situation

SOURCES = ("measured", "scaled", "claimed", "modelled")
# Metrics where more is better: "40 % more" is a factor of 1.4. In the others "40 % less" leaves 60 %.
_GROWING = frozenset({"throughput", "speedup", "bandwidth"})
_SERVES: dict[str, frozenset[str]] = {
    "latency": frozenset({"latency", "speedup", "time", "training_time"}),
    "throughput": frozenset({"throughput", "speedup", "time", "training_time", "bandwidth"}),
    "memory": frozenset({"memory", "model_size", "params", "peak_memory", "weights", "kv_cache", "compression",
                         "optimizer_state", "parameters", "storage"}),
    "cost": frozenset({"training_cost", "energy", "training_time", "throughput", "speedup", "flops", "communication"}),
}  # fmt: skip
_WHOLE_MODEL = frozenset({"model", "training-step"})


@dataclass(frozen=True)
class Gain:
    """A factor with its range; `scope` is what was run (a kernel, a model), `device` where."""

    metric: str
    median: float | None
    low: float | None
    high: float | None
    source: str
    scope: str | None = None
    device: str | None = None

    @property
    def figure(self) -> str:
        """The factor as a reader writes it: "2.63×", "1.5 to 2×", "up to 20×", "at least 3×"."""
        if self.median is not None:
            return f"{self.median:.3g}×"
        if self.low is not None and self.high is not None:
            return f"{self.low:.3g} to {self.high:.3g}×"
        return f"up to {self.high:.3g}×" if self.high is not None else f"at least {self.low:.3g}×"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def gains_of(document: Document, situation: Situation) -> list[Gain]:
    """All that is known, best evidence first, and within a source what serves the need's objective first."""
    found = [_measured(gain) for gain in document.evidence]
    found += [gain for one in document.evidence for gain in _scaled(one, document.effects, situation)]
    found += [gain for one in document.gains if (gain := _claimed(one))]
    found += [gain for effect in document.effects if (gain := _modelled(effect, situation))]
    return sorted(found, key=lambda gain: _order(gain, situation))


def best_gain(document: Document, situation: Situation) -> Gain | None:
    return next(iter(gains_of(document, situation)), None)


def evidence_rows(document: Document) -> list[dict[str, Any]]:
    """What was measured and what is claimed, as stated, for a reader who wants to judge."""
    measured = [{"source": "measured", **asdict(gain)} for gain in document.evidence]
    return measured + [{"source": "claimed", **asdict(gain)} for gain in document.gains]


def factor_of(claim: ClaimedGain) -> tuple[float | None, float | None, float | None] | None:
    """(median, low, high) factors of a claim; None for one that states no improvement as a ratio.

    "up to 3x" bounds from above alone, "at least 3x" from below alone.
    """
    if claim.direction != "better" or claim.form not in ("factor", "percent"):
        return None
    low = _factor(claim, claim.value)
    high = _factor(claim, claim.value_max) if claim.value_max is not None else low
    if low is None or high is None:
        return None
    low, high = min(low, high), max(low, high)
    if claim.qualifier == "up to":
        return None, None, high
    if claim.qualifier == "at least":
        return None, low, None
    return (low if low == high else (low * high) ** 0.5), low, high


def _factor(claim: ClaimedGain, value: float) -> float | None:
    if claim.form == "factor":
        return value if value > 0 else None
    if claim.metric in _GROWING:
        return 1 + value / 100 if value > 0 else None
    return 1 / (1 - value / 100) if 0 < value < 100 else None


def _claimed(claim: ClaimedGain) -> Gain | None:
    if (factors := factor_of(claim)) is None:
        return None
    median, low, high = map(_rounded, factors)
    return Gain(claim.metric, median, low, high, "claimed", claim.phase, claim.hardware)


def _measured(gain: MeasuredGain) -> Gain:
    return Gain(gain.metric, gain.median, gain.low, gain.high, "measured", gain.scope or None, gain.device or None)


def _scaled(gain: MeasuredGain, effects: tuple[ModelledEffect, ...], situation: Situation) -> list[Gain]:
    """A ratio measured on a part, carried over to the whole of the user's workload by the part's share of it."""
    if gain.scope in _WHOLE_MODEL or gain.low <= 0 or not _same_device(gain.device, situation):
        return []
    name = situation.model.name if situation.model else None
    found = []
    for effect in effects:
        if effect.resource == ("memory" if gain.metric in _SERVES["memory"] else "time"):
            part = ModelledEffect(effect.term, effect.resource, gain.low, max(gain.high, gain.low))
            if whole := situation.gain_of(part):
                middle = situation.gain_of(ModelledEffect(effect.term, effect.resource, gain.median, gain.median))
                median = middle[0] if middle else None
                found.append(
                    Gain(
                        gain.metric,
                        _rounded(median),
                        _rounded(whole[0]),
                        _rounded(whole[1]),
                        "scaled",
                        name,
                        gain.device,
                    )
                )
    return found


def _modelled(effect: ModelledEffect, situation: Situation) -> Gain | None:
    stage = situation.workload.stage
    if effect.stages and stage not in effect.stages:
        return None
    name = situation.model.name if situation.model else None
    device = situation.device.name if situation.device else None
    metric = "memory" if effect.resource == "memory" else "latency"
    if whole := situation.gain_of(effect):
        return Gain(
            metric,
            _rounded((whole[0] * whole[1]) ** 0.5),
            _rounded(whole[0]),
            _rounded(whole[1]),
            "modelled",
            name,
            device,
        )
    # Without a model the term's own factor is all that can be said; the scope tells which term.
    return Gain(metric, None, effect.low, effect.high, "modelled", effect.term, device)


def _same_device(name: str, situation: Situation) -> bool:
    device = find_device(name) if name else None
    return device is not None and situation.device is not None and device.name == situation.device.name


def _order(gain: Gain, situation: Situation) -> tuple[int, bool, bool, bool, float]:
    objective = situation.need.objective
    serves = objective is None or gain.metric in _SERVES[objective]
    here = bool(gain.device) and _same_device(gain.device or "", situation)
    whole = gain.scope in _WHOLE_MODEL
    size = gain.median or gain.high or gain.low or 0.0
    return SOURCES.index(gain.source), not serves, not here, not whole, -size


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
