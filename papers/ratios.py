"""A claim as a ratio, above 1 for a gain: the one scale on which claims and measurements meet. No Django here.

The harness has the same rule in `runners.bench.verdicts`, since it runs from a bare copy of `runners/`; a test holds the two together.
"""

from __future__ import annotations

import math

GROWS_WITH_GAIN = frozenset({"throughput", "speedup", "bandwidth"})
"""Metrics of which more is better, where nothing else is known of the claim."""


def claim_ratio(form: str, direction: str, value: float, *, grows: bool, remains: bool = False) -> float | None:
    """Baseline over technique (technique over baseline where more is better); None where the claim says nothing relative.

    `form` is factor, percent or absolute; `direction` better, worse or none; `grows` says that more of the quantity is
    better; `remains` that a percentage is what is left and not what changed.

    "N times" is N, "N times slower" 1/N; of a cost "40 % less" is 1/0.6, "25 % more" 1/1.25 and "5 % of it" 20; of a gain
    "20 % more" is 1.2 and "20 % less" 0.8. A cost that falls by 100 % or more has no ratio.
    """
    if not math.isfinite(value) or value <= 0:
        return None
    if form == "factor":
        return 1 / value if direction == "worse" else value
    if form != "percent" or direction not in {"better", "worse"}:
        return None
    share = value / 100
    if remains:
        return None if (direction == "worse") != grows else share if grows else 1 / share
    if grows == (direction == "better"):
        return 1 + share if grows else 1 / (1 + share)
    if share >= 1:
        return None
    return 1 - share if grows else 1 / (1 - share)


def ratio_of(metric: str, form: str, direction: str, value: float) -> float | None:
    """The ratio of a claim of which only the metric tells whether more is better."""
    return claim_ratio(form, direction, value, grows=metric in GROWS_WITH_GAIN)
