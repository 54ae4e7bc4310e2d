"""Statistics of the harness. Standard library only."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 2000
CONFIDENCE = 0.95
BAND_FACTOR = 3.0


@dataclass(frozen=True)
class Interval:
    """A point estimate with a confidence interval around it."""

    median: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width as a share of the median; infinite for a median of 0."""
        return (self.high - self.low) / 2 / abs(self.median) if self.median else math.inf


def bootstrap_median(samples: Sequence[float], seed: int = 0, confidence: float = CONFIDENCE) -> Interval:
    """Median with its percentile bootstrap interval (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

    Raises ValueError for no samples or a sample that is not finite.
    """
    if not samples:
        raise ValueError("samples: none given; at least one is needed")
    if not all(math.isfinite(sample) for sample in samples):
        raise ValueError("samples: not all are finite; drop or explain them before")
    generator = random.Random(seed)
    ordered = sorted(samples)
    medians = sorted(_resampled_median(ordered, generator) for _ in range(RESAMPLES))
    tail = (1 - confidence) / 2
    low = medians[max(0, math.floor(tail * RESAMPLES))]
    high = medians[min(RESAMPLES - 1, math.ceil((1 - tail) * RESAMPLES) - 1)]
    return Interval(statistics.median(samples), low, high)


def _resampled_median(ordered: Sequence[float], generator: random.Random) -> float:
    """Median of one resample with replacement, at the cost of one or two draws.

    A resample is sample[floor(U n)] of n uniform U, so its median sits at the middle order statistics of n uniforms,
    and those follow a Beta law: there is no need to draw and sort all n.
    """
    count = len(ordered)
    middle = (count + 1) // 2
    lower = generator.betavariate(middle, count - middle + 1)
    first = ordered[min(int(lower * count), count - 1)]
    if count % 2:
        return first
    # The next order statistic is the least of the remaining uniforms above `lower`.
    upper = lower + (1 - lower) * (1 - generator.random() ** (1 / (count - middle)))
    return (first + ordered[min(int(upper * count), count - 1)]) / 2


def paired_ratios(baseline: Sequence[float], technique: Sequence[float]) -> list[float]:
    """baseline ÷ technique for each pair; above 1 the technique is faster. Raises ValueError for unequal lengths."""
    if len(baseline) != len(technique):
        raise ValueError(f"samples: {len(baseline)} of the baseline and {len(technique)} of the technique; pair them")
    return [first / second for first, second in zip(baseline, technique, strict=True)]


def order_statistic_interval(samples: Sequence[float]) -> Interval:
    """Median with its distribution-free 95 % interval from ranks (normal approximation of the sign test's bounds)."""
    ordered = sorted(samples)
    count = len(ordered)
    reach = 1.96 * math.sqrt(count) / 2
    low = max(0, math.floor(count / 2 - reach))
    high = min(count - 1, math.ceil(count / 2 + reach) - 1)
    return Interval(statistics.median(ordered), ordered[low], ordered[high])


def geometric_mean(intervals: Sequence[Interval]) -> Interval:
    """Geometric mean of independent ratios; their intervals are combined in quadrature of the logarithms.

    Raises ValueError for none, or for a bound that is not positive.
    """
    if not intervals:
        raise ValueError("intervals: none given; at least one is needed")
    if any(interval.low <= 0 for interval in intervals):
        raise ValueError("intervals: bounds must be above 0, as ratios are")
    count = len(intervals)
    centre = sum(math.log(each.median) for each in intervals) / count
    below = math.sqrt(sum(math.log(each.median / each.low) ** 2 for each in intervals)) / count
    above = math.sqrt(sum(math.log(each.high / each.median) ** 2 for each in intervals)) / count
    return Interval(math.exp(centre), math.exp(centre - below), math.exp(centre + above))


def widened_for_choice(interval: Interval, choices: int) -> Interval:
    """The interval of a ratio that was picked as the best of `choices`, widened by Bonferroni's correction."""
    if choices <= 1 or interval.low <= 0:
        return interval
    normal = statistics.NormalDist()
    tail = (1 - CONFIDENCE) / 2
    factor = normal.inv_cdf(1 - tail / choices) / normal.inv_cdf(1 - tail)
    low = interval.median * (interval.low / interval.median) ** factor
    high = interval.median * (interval.high / interval.median) ** factor
    return Interval(interval.median, low, high)


def equivalence_band(control: Interval, floor: float) -> float:
    """Half-width around 1 within which two subjects count as equal, from the baseline timed against itself.

    Three times the farther end of the control's interval: the end itself is crossed by every other A/A pair, as a
    second pair's centre strays as far as the control's did. In simulation three keeps 98 of 100 A/A pairs of 20 or
    more samples within the band, two only 94. `floor` is the least that the device can resolve.
    """
    reach = max(abs(math.log(control.low)), abs(math.log(control.high))) if control.low > 0 else math.inf
    return max(floor, math.expm1(min(BAND_FACTOR * reach, 10.0)))


def beside_band(low: float, high: float, band: float) -> str:
    """Where a ratio's interval lies beside the band of equal subjects: "better", "worse", "equal" within it, or "unclear".

    The band reaches from 1 / (1 + `band`) to 1 + `band`: whichever of two equal subjects is divided by the other, it is the same.
    """
    least, most = 1 / (1 + band), 1 + band
    if low > most:
        return "better"
    if high < least:
        return "worse"
    return "equal" if low >= least and high <= most else "unclear"
