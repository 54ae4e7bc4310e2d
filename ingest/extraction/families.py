"""Which families of techniques a paper belongs to, the primary one first."""

from __future__ import annotations

from .weights import FIRST, NONE, Totals

_MOST = 3
_SHARE_OF_OTHER_MODEL = 4
"""The first family is chosen by the model of first families plus a fourth of what the model of all families says."""


def find_families(sums: Totals) -> tuple[tuple[str, ...], list[str]]:
    """Up to three families, none where the paper is not about efficiency, and the signals behind them."""
    first, every = sums.of(FIRST), sums.of("families")
    loudest = max(every.values())

    def total(label: str) -> float:
        other = -loudest if label == NONE else every.get(label, -abs(loudest))
        return _SHARE_OF_OTHER_MODEL * first[label] + other

    primary = max(first, key=total)
    if primary == NONE:
        return (), sums.words(FIRST, (NONE,))
    threshold = sums.threshold("families")
    others = [label for label in every if label != primary and every[label] >= threshold]
    chosen = (primary, *sorted(others, key=lambda label: -every[label]))[:_MOST]
    return chosen, sums.words("families", [label for label in chosen if label in every])
