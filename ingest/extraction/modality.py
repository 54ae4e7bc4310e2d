"""What data a method works on."""

from __future__ import annotations

from .weights import Totals

GENERAL = "general"
_MOST = 2


def find_modality(sums: Totals) -> tuple[tuple[str, ...], list[str]]:
    """One or two modalities, and the signals behind them; "general" stands alone."""
    totals, threshold = sums.of("modality"), sums.threshold("modality")
    ranked = sorted(totals, key=totals.__getitem__, reverse=True)
    if ranked[0] == GENERAL:
        return (GENERAL,), sums.words("modality", (GENERAL,))
    others = [label for label in ranked[1:] if totals[label] >= threshold and label != GENERAL]
    chosen = (ranked[0], *others)[:_MOST]
    return chosen, sums.words("modality", chosen)
