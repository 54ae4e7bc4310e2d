"""Fits the weights to labelled papers, and says how well they do on papers that they have not seen."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from ingest.extraction import EXTRACTOR_VERSION
from ingest.extraction.reading import read_paper
from ingest.extraction.signals import GROUPS, UNIT, Signals
from ingest.extraction.weights import CHOICES, FIELDS, FIRST, NONE, WEIGHT_UNIT, Weights

from .examples import Example, digest_of

SPREAD = {"kind": 3.0, FIRST: 3.0, "families": 2.0, "modality": 2.0, "stage": 1.0}
"""The inverse strength of the penalty on large weights."""
AT_LEAST = 2
"""So many papers must have a signal before it gets a weight."""
INVENTED_COUNTS = 0.7
"""How much an invented paper counts beside a real one."""
_BELOW_ALL = -1 << 40


Fitted = dict[str, tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]]
"""By field: the labels, weights (labels, columns), and biases (labels)."""


class _Growing(dict[str, int]):
    """Numbers every key that it is asked for."""

    def __init__(self, counter: Iterator[int]) -> None:
        super().__init__()
        self._counter = counter

    def get(self, key: Any, default: Any = None) -> int:
        number = super().get(key)
        if number is None:
            number = self[key] = next(self._counter)
        return number


class Table:
    """Signals of papers as a matrix: one row a paper, one column a signal that enough papers have."""

    def __init__(self, examples: Sequence[Example]) -> None:
        counter = itertools.count()
        growing: Mapping[str, _Growing] = {group: _Growing(counter) for group in GROUPS}
        rows = [read_paper(example.title, example.abstract, growing).signals for example in examples]
        papers = Counter(number for signals in rows for number in set(signals.numbers))
        self.keys: dict[str, dict[str, int]] = {}
        place: dict[int, int] = {}
        for group, numbers in growing.items():
            kept = sorted(key for key, number in numbers.items() if papers[number] >= AT_LEAST)
            self.keys[group] = {}
            for key in kept:
                self.keys[group][key] = place[numbers[key]] = len(place)
        self.matrix = _matrix(rows, place)


def _matrix(rows: Sequence[Signals], place: Mapping[int, int]) -> sparse.csr_matrix:
    cells = [
        (row, place[number], strength / UNIT)
        for row, signals in enumerate(rows)
        for number, strength in zip(signals.numbers, signals.strengths, strict=True)
        if number in place
    ]
    where = np.array([(row, column) for row, column, _ in cells], np.int32).T
    values = np.array([value for _, _, value in cells])
    return sparse.csr_matrix((values, (where[0], where[1])), shape=(len(rows), len(place)))


def labels_of(example: Example, field: str) -> tuple[str, ...]:
    """The labels of a field, where the first family has a field of its own."""
    if field == "kind":
        return (example.kind,)
    if field == FIRST:
        return (example.first or NONE,)
    found: tuple[str, ...] = getattr(example, field)
    return found


class Reduced:
    """A matrix in the space of its rows: as many columns as there are papers, the same products of papers.

    A penalised linear model gives the same sums on it, in a hundredth of the time.
    """

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        products = (matrix @ matrix.T).toarray()
        sizes, directions = np.linalg.eigh(products)
        kept = sizes > 1e-9 * sizes.max()
        self.rows: NDArray[np.float64] = directions[:, kept] * np.sqrt(sizes[kept])
        self._back = sparse.csr_matrix(matrix.T) @ (directions[:, kept] / np.sqrt(sizes[kept]))

    def expand(self, fitted: Fitted) -> Fitted:
        """The same models over signals: weights (labels, columns) become weights (signals, labels)."""
        return {field: (labels, self._back @ weights.T, biases) for field, (labels, weights, biases) in fitted.items()}


def fit_fields(rows: NDArray[np.float64], examples: Sequence[Example]) -> Fitted:
    """One model a field: of one label out of all, or of each label by itself."""
    counts = np.array([INVENTED_COUNTS if example.invented else 1.0 for example in examples])
    fitted: Fitted = {}
    for field in FIELDS:
        told = [labels_of(example, field) for example in examples]
        labels = tuple(sorted({label for found in told for label in found}))
        if field in CHOICES:
            model = LogisticRegression(C=SPREAD[field], max_iter=1000)
            model.fit(rows, [found[0] for found in told], sample_weight=counts)
            fitted[field] = (tuple(model.classes_.tolist()), model.coef_, model.intercept_)
            continue
        weights, biases = [], []
        for label in labels:
            model = LogisticRegression(C=SPREAD[field], max_iter=1000)
            model.fit(rows, [label in found for found in told], sample_weight=counts)
            weights.append(model.coef_[0])
            biases.append(float(model.intercept_[0]))
        fitted[field] = (labels, np.array(weights), np.array(biases))
    return fitted


def to_weights(
    table: Table, columns: Fitted, thresholds: Mapping[str, float], provenance: Mapping[str, Any]
) -> Weights:
    """The fitted models of signals in whole numbers, with what they were trained on.

    Raises: ValueError where a weight is too large to be stored.
    """
    stacked = np.concatenate([columns[field][1] for field in FIELDS], axis=1)
    largest = float(np.abs(stacked).max())
    if largest * WEIGHT_UNIT > np.iinfo(np.int16).max:
        raise ValueError(f"a weight of {largest:.0f} is too large to be stored; add examples")
    biases = np.concatenate([columns[field][2] for field in FIELDS])
    return Weights(
        keys=table.keys,
        labels={field: columns[field][0] for field in FIELDS},
        table=np.rint(stacked * WEIGHT_UNIT).astype(np.int16),
        bias=np.rint(biases * WEIGHT_UNIT * UNIT).astype(np.int64),
        thresholds={field: round(value * WEIGHT_UNIT * UNIT) for field, value in thresholds.items()},
        provenance=provenance,
    )


def provenance_of(examples: Sequence[Example], figures: Mapping[str, float]) -> dict[str, Any]:
    """What weights were trained on, and how well they did on papers that they were not fitted to."""
    return {
        "extractor": EXTRACTOR_VERSION,
        "examples": len(examples),
        "invented": sum(example.invented for example in examples),
        "sha256": digest_of(examples),
        "figures": dict(figures),
    }
