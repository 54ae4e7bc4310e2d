"""What sort of contribution a paper makes."""

from __future__ import annotations

from .weights import Totals


def find_kind(sums: Totals) -> tuple[str, list[str]]:
    """The kind, and the signals that speak for it."""
    totals = sums.of("kind")
    kind = max(totals, key=totals.__getitem__)
    return kind, sums.words("kind", (kind,))
