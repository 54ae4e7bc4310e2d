"""How good a ranking is against graded judgements: 3 exactly right, 2 clearly useful, 1 related, else not useful."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)

USEFUL = 2


def ndcg(grades: Mapping[Item, int], ranking: Sequence[Item], k: int = 10) -> float:
    """Discounted gain of the first k over that of the best order, 0 to 1; the gain of an item is 2^grade - 1.

    0 when nothing has a grade. A repeated item counts once, at its first place.
    Source: "Learning to Rank using Gradient Descent", 2005 (the exponential form of the gain).
    """
    gained = sum(_gain(grades.get(item, 0)) * _discount(place) for place, item in enumerate(_unique(ranking)[:k]))
    ideal = sorted(grades.values(), reverse=True)[:k]
    best = sum(_gain(grade) * _discount(place) for place, grade in enumerate(ideal))
    return gained / best if best else 0.0


def recall(grades: Mapping[Item, int], ranking: Sequence[Item], k: int = 10) -> float:
    """Share of the useful items (at most k of them can count) that stand among the first k; 0 when none is useful."""
    useful = {item for item, grade in grades.items() if grade >= USEFUL}
    return len(useful & set(_unique(ranking)[:k])) / max(min(len(useful), k), 1)


def success(grades: Mapping[Item, int], ranking: Sequence[Item], k: int = 1) -> float:
    """1.0 when a useful item stands among the first k, else 0.0."""
    return float(any(grades.get(item, 0) >= USEFUL for item in _unique(ranking)[:k]))


def _unique(ranking: Sequence[Item]) -> list[Item]:
    return list(dict.fromkeys(ranking))


def _gain(grade: int) -> int:
    return int(2**grade) - 1


def _discount(place: int) -> float:
    return 1 / math.log2(place + 2)
