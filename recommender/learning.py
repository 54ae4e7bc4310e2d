"""Training of the ranking's weights on judged needs: so few numbers that a handful of needs can bear them.

A need's papers compete by a softmax over their scores, and the share of each is drawn to the share of its gain
(2 ** grade - 1): the listwise loss of "Learning to Rank: From Pairwise Approach to Listwise Approach" (2007). Weights are held
near those set by hand, so that what the needs do not speak of stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.metrics import ndcg, success
from recommender.ranking import BY_HAND, FEATURES
from recommender.together import Network

SHARPNESS = 3.0
"""What scores are multiplied by before the softmax."""
RIDGE = 0.1
STEPS, RATE = 300, 0.02
FOLDS = 6


@dataclass(frozen=True)
class Judged:
    """A need as training sees it: `table` (items, features), the grade of each item, and the best grades there are."""

    name: str
    table: NDArray[np.float64]
    grades: NDArray[np.int64]
    known: tuple[int, ...]
    """All grades of the need above 0, also of papers that were not found."""


@dataclass(frozen=True)
class Figures:
    ndcg: float
    success: float
    needs: int


def start() -> NDArray[np.float64]:
    return np.array([BY_HAND.get(name, 0.0) for name in FEATURES])


def fit(needs: Sequence[Judged]) -> NDArray[np.float64]:
    """Weights in the order of FEATURES. The same needs give the same weights."""
    hand = start()
    weights, momentum, spread = hand.copy(), np.zeros_like(hand), np.zeros_like(hand)
    usable = [need for need in needs if need.grades.any()]
    for step in range(1, STEPS + 1):
        gradient = 2 * RIDGE * (weights - hand)
        for need in usable:
            gradient += _gradient(need, weights) / len(usable)
        # Adam, "Adam: A Method for Stochastic Optimization" (2014), on the whole set.
        momentum = 0.9 * momentum + 0.1 * gradient
        spread = 0.999 * spread + 0.001 * gradient**2
        weights -= RATE * (momentum / (1 - 0.9**step)) / (np.sqrt(spread / (1 - 0.999**step)) + 1e-8)
    return weights


def _gradient(need: Judged, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    scores = SHARPNESS * (need.table @ weights)
    chance = np.exp(scores - scores.max())
    gains = 2.0**need.grades - 1
    off: NDArray[np.float64] = chance / chance.sum() - gains / gains.sum()
    return SHARPNESS * (off @ need.table)


def figures(needs: Sequence[Judged], weights: NDArray[np.float64], network: Network | None = None) -> Figures:
    """nDCG@10 and success@1 over the needs."""
    return _mean([_figures_of(need, weights, network) for need in needs])


def _mean(found: Sequence[tuple[float, float]]) -> Figures:
    if not found:
        return Figures(0.0, 0.0, 0)
    return Figures(float(np.mean([one[0] for one in found])), float(np.mean([one[1] for one in found])), len(found))


def _figures_of(need: Judged, weights: NDArray[np.float64], network: Network | None) -> tuple[float, float]:
    scores = need.table @ weights
    if network:
        scores = scores + network.corrections(need.table, scores)
    order = np.argsort(-scores, kind="stable").tolist()
    grades: dict[int, int] = dict(enumerate(need.grades.tolist()))
    # What was not found has its grade, but no place.
    missed = list(need.known)
    for grade in grades.values():
        if grade:
            missed.remove(grade)
    whole = grades | {-1 - at: grade for at, grade in enumerate(missed)}
    return ndcg(whole, order), success(whole, order)


def cross_validated(
    needs: Sequence[Judged], correcting: Callable[[Sequence[Judged], NDArray[np.float64]], Network] | None = None
) -> Figures:
    """Each need ranked by weights, and by what `correcting` fits beside them, that were trained without it and its fold."""
    folds = [list(needs[at::FOLDS]) for at in range(FOLDS)]
    found = []
    for fold in folds:
        if not fold:
            continue
        others = [need for need in needs if all(need is not one for one in fold)]
        weights = fit(others) if others else start()
        network = correcting(others, weights) if correcting and any(need.grades.any() for need in others) else None
        found += [_figures_of(need, weights, network) for need in fold]
    return _mean(found)
