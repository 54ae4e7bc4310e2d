"""Fits the weights to labelled papers, and says how well they do on papers that they have not seen."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from ingest.extraction import EXTRACTOR_VERSION
from ingest.extraction.reading import read_paper
from ingest.extraction.signals import GROUPS, UNIT, Numbering, Signals
from ingest.extraction.training import ANSWERS
from ingest.extraction.weights import FIELDS, FIRST, NONE, WEIGHT_UNIT, Weights

from .examples import Example, digest_of
from .scales import scale_of

SPREAD = {"kind": 1.0, FIRST: 1.0, "families": 1.0, "modality": 1.0, "stage": 0.5, "training": 1.0}
"""The inverse strength of the penalty on large weights."""
AT_LEAST = 3
"""So many papers must have a signal before it gets a weight."""
INVENTED_COUNTS = 0.7
"""How much an invented paper counts beside a real one."""
_SURE = 10.0
"""The sum of a label that every paper has."""


Fitted = dict[str, tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]]
"""By field: the labels, weights (signals, labels), and biases (labels)."""


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
    """Signals of papers as a matrix: one row a paper, one column a signal that enough papers have.

    `scaled` is that matrix for each field, its columns times `roots`, the roots of the scales of their groups.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        counter = itertools.count()
        growing: Mapping[str, _Growing] = {group: _Growing(counter) for group in GROUPS}
        numbering = Numbering(growing)
        rows = [read_paper(example.title, example.abstract, numbering).signals for example in examples]
        papers = Counter(number for signals in rows for number in set(signals.numbers))
        self.keys: dict[str, dict[str, int]] = {}
        place: dict[int, int] = {}
        for group, numbers in growing.items():
            kept = sorted(key for key, number in numbers.items() if papers[number] >= AT_LEAST)
            self.keys[group] = {}
            for key in kept:
                self.keys[group][key] = place[numbers[key]] = len(place)
        self.matrix = _matrix(rows, place)
        self.roots: dict[str, NDArray[np.float64]] = {}
        self.scaled: dict[str, sparse.csr_matrix] = {}
        for field in FIELDS:
            roots = np.zeros(len(place))
            for group, known in self.keys.items():
                roots[list(known.values())] = sqrt(scale_of(field, group))
            self.roots[field] = roots
            self.scaled[field] = sparse.csr_matrix(self.matrix @ sparse.diags(roots))


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
    if field == "training":
        return (next(label for label, answer in ANSWERS.items() if answer is example.training_free),)
    found: tuple[str, ...] = getattr(example, field)
    return found


def fit_fields(table: Table, examples: Sequence[Example], rows: NDArray[np.int64] | None = None) -> Fitted:
    """A model of each label by itself, fitted to the `rows` of `table` (None: all), which hold `examples`.

    Of fields of which one label is chosen the loudest model wins.
    """
    at = np.arange(len(examples)) if rows is None else rows
    counts = np.array([INVENTED_COUNTS if examples[row].invented else 1.0 for row in at])
    fitted: Fitted = {}
    for field in FIELDS:
        told = [labels_of(example, field) for example in examples]
        labels = tuple(sorted({label for found in told for label in found}))
        papers = table.scaled[field][at]
        weights, biases = [], []
        for label in labels:
            has = np.array([label in told[row] for row in at])
            if has.all() or not has.any():
                weights.append(np.zeros(papers.shape[1]))
                biases.append(_SURE if has.all() else -_SURE)
                continue
            model = LogisticRegression(C=SPREAD[field], solver="liblinear", intercept_scaling=5.0, random_state=0)
            model.fit(papers, has, sample_weight=counts)
            weights.append(model.coef_[0] * table.roots[field])
            biases.append(float(model.intercept_[0]))
        fitted[field] = (labels, np.array(weights).T, np.array(biases))
    return fitted


def to_weights(table: Table, fitted: Fitted, thresholds: Mapping[str, float], provenance: Mapping[str, Any]) -> Weights:
    """The fitted models of signals in whole numbers, with what they were trained on.

    Raises: ValueError where a weight is too large to be stored.
    """
    stacked = np.concatenate([fitted[field][1] for field in FIELDS], axis=1)
    largest = float(np.abs(stacked).max())
    if largest * WEIGHT_UNIT > np.iinfo(np.int16).max:
        raise ValueError(f"a weight of {largest:.0f} is too large to be stored; add examples")
    biases = np.concatenate([fitted[field][2] for field in FIELDS])
    return Weights(
        keys=table.keys,
        labels={field: fitted[field][0] for field in FIELDS},
        table=np.rint(stacked * WEIGHT_UNIT).astype(np.int16, order="C"),
        bias=np.rint(biases * WEIGHT_UNIT * UNIT).astype(np.int64),
        thresholds={field: round(value * WEIGHT_UNIT * UNIT) for field, value in thresholds.items()},
        provenance=provenance,
    )


def mean_of(one: Weights, other: Weights) -> Weights:
    """Sums halfway between those of two trainings, which may have learned from different papers; a signal that one lacks counts half.

    Raises: ValueError where they have not the same labels.
    """
    if dict(one.labels) != dict(other.labels):
        raise ValueError("the weights beside have other labels; train on papers that have them all")
    keys: dict[str, dict[str, int]] = {}
    count = 0
    for group in GROUPS:
        known = sorted({*one.keys[group], *other.keys[group]})
        keys[group] = dict(zip(known, range(count, count + len(known)), strict=True))
        count += len(known)
    table = np.zeros((count, one.table.shape[1]))
    for each in (one, other):
        for group, numbers in each.keys.items():
            table[[keys[group][key] for key in numbers]] += each.table[list(numbers.values())] / 2
    return Weights(
        keys=keys,
        labels=one.labels,
        table=np.rint(table).astype(np.int16, order="C"),
        bias=np.rint((one.bias + other.bias) / 2).astype(np.int64),
        thresholds={name: round((value + other.thresholds[name]) / 2) for name, value in one.thresholds.items()},
        provenance={**one.provenance, "beside": dict(other.provenance)},
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
