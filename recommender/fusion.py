"""Joining ranked lists that are scored on different scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def reciprocal_rank(rankings: Sequence[Sequence[int]], constant: float = 60.0) -> dict[int, float]:
    """Sum of 1 / (constant + rank) over the lists ("Reciprocal Rank Fusion outperforms Condorcet and individual
    Rank Learning Methods", 2009), scaled so that the first of every list has 1."""
    if not rankings:
        return {}
    scores: dict[int, float] = {}
    best = len(rankings) / (constant + 1)
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (constant + rank) / best
    return scores


def relative(scores: Mapping[int, float], floor: float = 0.0) -> dict[int, float]:
    """Scores on a scale where `floor` is 0 and the best is 1; lower than the floor is 0."""
    top = max(scores.values(), default=floor)
    if top <= floor:
        return dict.fromkeys(scores, 0.0)
    return {item: max(score - floor, 0.0) / (top - floor) for item, score in scores.items()}


def weighted(parts: Mapping[str, Mapping[int, float]], weights: Mapping[str, float]) -> dict[int, float]:
    """Weighted sum over the parts; an item that a part does not know gets 0 from it, and so does a part without weight."""
    scores: dict[int, float] = {}
    for name, part in parts.items():
        for item, score in part.items():
            scores[item] = scores.get(item, 0.0) + weights.get(name, 0.0) * score
    return scores
