"""Which families of techniques a paper belongs to, the primary one first."""

from __future__ import annotations

from .weights import FIRST, NONE, Totals

_MOST = 3


def find_families(sums: Totals) -> tuple[tuple[str, ...], list[str]]:
    """Up to three families, none where the paper is not about efficiency, and the signals behind them."""
    first = sums.of(FIRST)
    primary = max(first, key=first.__getitem__)
    if primary == NONE:
        return (), sums.words(FIRST, (NONE,))
    every, threshold = sums.of("families"), sums.threshold("families")
    others = [label for label in every if label != primary and every[label] >= threshold]
    chosen = (primary, *sorted(others, key=lambda label: -every[label]))[:_MOST]
    return chosen, sums.words("families", [label for label in chosen if label in every])
