"""From labelled papers to weights, with figures on papers that the weights had not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.extraction.weights import Weights

from .examples import Example
from .fit import Table, fit_fields, provenance_of, to_weights
from .validate import best_thresholds, figures, held_out

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
    real = sum(not example.invented for example in examples)
    if real < FEWEST:
        raise ValueError(f"{real} labelled papers with an abstract; at least {FEWEST} are needed")
    say(f"reading {len(examples)} papers ({len(examples) - real} invented)")
    # In one order, so that the order of files changes nothing.
    ordered = sorted(examples, key=lambda example: (example.title, example.abstract))
    table = Table(ordered)
    say(f"{table.matrix.shape[1]} signals; judging each paper by weights fitted without it, in {folds} parts")
    judged = held_out(table, ordered, folds)
    thresholds = best_thresholds(judged)
    found = figures(judged, thresholds)
    say("fitting to all papers")
    fitted = fit_fields(table, ordered)
    rounded = {name: round(value, 3) for name, value in found.items()}
    weights = to_weights(table, fitted, thresholds, provenance_of(ordered, rounded))
    return Trained(weights, rounded, table.matrix.shape[1])
