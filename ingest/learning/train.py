"""From labelled papers to weights, with figures on papers that the weights had not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ingest.extraction.weights import Weights

from .examples import Example
from .fit import Table, fit_fields, provenance_of, to_weights
from .validate import best_thresholds, figures, held_out, judge, real_rows

FEWEST = 50
"""Of fewer real papers nothing is learned that would hold."""


@dataclass(frozen=True)
class Trained:
    """`figures`: on real papers, each judged by weights fitted without it. `signals`: how many have a weight."""

    weights: Weights
    figures: dict[str, float]
    signals: int


def train(examples: Sequence[Example], folds: int = 8, say: Callable[[str], None] = lambda line: None) -> Trained:
    """Fits weights to all examples; the same examples give the same weights.

    Raises: ValueError where there are too few real papers.
    """
    ordered, table = _read(examples, say)
    say(f"{table.matrix.shape[1]} signals; judging each paper by weights fitted without it, in {folds} parts")
    judged = held_out(table, ordered, folds)
    thresholds = best_thresholds(judged)
    found = _rounded(figures(judged, thresholds))
    say("fitting to all papers")
    weights = to_weights(table, fit_fields(table, ordered), thresholds, provenance_of(ordered, found))
    return Trained(weights, found, table.matrix.shape[1])


def judge_share(
    examples: Sequence[Example], share: float, folds: int = 8, say: Callable[[str], None] = lambda line: None
) -> dict[str, float]:
    """Figures on a share (0 to 1) of the real papers that neither weights nor thresholds have seen.

    Raises: ValueError where too few real papers remain.
    """
    ordered, table = _read(examples, say)
    order = np.random.default_rng(0).permutation(real_rows(ordered))
    out = order[: max(1, round(share * len(order)))]
    rest = [ordered[at] for at in np.setdiff1d(np.arange(len(ordered)), out)]
    _enough(rest)
    say(f"{len(out)} papers held out; thresholds from the {len(rest)} others")
    thresholds = best_thresholds(held_out(Table(rest), rest, folds))
    return _rounded(figures(judge(table, ordered, out), thresholds))


def _read(examples: Sequence[Example], say: Callable[[str], None]) -> tuple[list[Example], Table]:
    """The examples in one order, so that the order of files changes nothing, and their signals."""
    ordered = in_order(examples)
    say(f"reading {len(examples)} papers ({sum(example.invented for example in examples)} invented)")
    return ordered, Table(ordered)


def in_order(examples: Sequence[Example]) -> list[Example]:
    """The examples in one order, however they came. Raises: ValueError where too few are real."""
    _enough(examples)
    return sorted(examples, key=lambda example: (example.title, example.abstract))


def _enough(examples: Sequence[Example]) -> None:
    real = sum(not example.invented for example in examples)
    if real < FEWEST:
        raise ValueError(f"{real} labelled papers with an abstract; at least {FEWEST} are needed")


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in found.items()}
