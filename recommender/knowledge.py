"""What measurements have taught: how far claims held, what devices reach, and what was measured for each implementation.

Plain values, loaded from the database by services.py; `Knowledge()` knows nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recommender.documents import MeasuredGain
from recommender.hardware.timing import Efficiency

# How much of a claim's gain (in logarithms: 4x claimed and 2x measured is a half) is expected before any was judged.
# An assumption, with the weight of two judgements; answers that rest on it say so.
PRIOR_MEAN, PRIOR_SPREAD, PRIOR_WEIGHT = 0.7, 0.35, 2.0
NINE_OF_TEN = 1.645
LEAST, MOST = -1.0, 2.0
# A paper rarely claims less than there is: its claim is about the most that is expected, until others were exceeded.
LARGEST_SHARE = 1.1
# What a paper compared with is often no longer used, and beside today's best its technique can be slower: of the four claims of time
# that were measured here on a GPU beside today's best, one was, by -0.22 of its claim.
SLOWEST_SHARE = -0.25


@dataclass(frozen=True, slots=True)
class Held:
    """One judged claim: the factor that the paper claims and the one that was measured at the claim's scope."""

    family: str
    claimed: float
    measured: float
    device: str = ""
    title: str = ""

    @property
    def share(self) -> float:
        """How much of the claimed gain was there, in logarithms; below 0 when it was slower."""
        return min(MOST, max(LEAST, math.log(self.measured) / math.log(self.claimed)))


@dataclass(frozen=True, slots=True)
class Discount:
    """Which share of a claim's logarithm to expect: nine of ten between low and high. `count` claims taught it."""

    low: float
    middle: float
    high: float
    count: int
    family: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline that was timed here, beside the time that the model of the situation expects for the same work."""

    device: str
    name: str
    workload: str
    measured_ms: float
    expected_ms: float

    def to_json(self) -> dict[str, Any]:
        return {
            "device": self.device, "name": self.name, "workload": self.workload,
            "measured_ms": round(self.measured_ms, 4), "expected_ms": round(self.expected_ms, 4),
            "error": round(self.measured_ms / self.expected_ms - 1, 3),
        }  # fmt: skip


@dataclass(frozen=True)
class Knowledge:
    """`measured` holds gains by implementation name, `efficiencies` what devices reach by catalogue name."""

    held: tuple[Held, ...] = ()
    measured: Mapping[str, tuple[MeasuredGain, ...]] = field(default_factory=dict)
    efficiencies: Mapping[str, Efficiency] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    here: str = ""

    def discount(self, families: Sequence[str], without: Held | None = None) -> Discount:
        """What claims of the primary family held so far, drawn towards those of all families, and these to the prior.

        `without` leaves one judged claim out, to ask how it would have been foretold.
        """
        held = [one for one in self.held if one is not without and _teaches(one)]
        everywhere = _posterior([one.share for one in held], PRIOR_MEAN, PRIOR_SPREAD)
        family = families[0] if families else ""
        of_family = [one.share for one in held if one.family == family]
        mean, spread = _posterior(of_family, *everywhere)
        # A further one scatters about a mean that is itself not quite known, and of few the spread is not known either
        # (the first term by which Student's law is wider than the normal one).
        weight = PRIOR_WEIGHT + len(of_family)
        wider = 1 + (NINE_OF_TEN**2 + 1) / (4 * weight)
        reach = NINE_OF_TEN * wider * spread * math.sqrt(1 + 1 / weight)
        most = max([LARGEST_SHARE, *(share for share in of_family)])
        least = min([SLOWEST_SHARE, *of_family])
        return Discount(max(mean - reach, least), mean, min(mean + reach, most), len(of_family), family)

    def error_on(self, device: str) -> tuple[float, int] | None:
        """Typical relative error of the model on baselines timed on a device, and how many; None without any."""
        found = [abs(math.log(one.measured_ms / one.expected_ms)) for one in self.baselines if one.device == device]
        return (math.exp(statistics.median(found)) - 1, len(found)) if found else None


def _teaches(one: Held) -> bool:
    return one.claimed > 1.02 and one.measured > 0


def _posterior(seen: Sequence[float], mean: float, spread: float) -> tuple[float, float]:
    """Mean and spread of what was seen; the prior weighs as PRIOR_WEIGHT of them."""
    weight = PRIOR_WEIGHT + len(seen)
    middle = (PRIOR_WEIGHT * mean + sum(seen)) / weight
    squares = PRIOR_WEIGHT * (spread**2 + (mean - middle) ** 2) + sum((x - middle) ** 2 for x in seen)
    variance = squares / (weight - (1 if seen else 0))  # the mean was drawn from the same few
    return middle, math.sqrt(variance)
