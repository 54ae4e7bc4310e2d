"""How well the weights do on papers that they were not fitted to, by the very decisions that extraction makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.extraction.families import find_families
from ingest.extraction.kind import find_kind
from ingest.extraction.modality import find_modality
from ingest.extraction.stage import find_stage
from ingest.extraction.training import find_training_free
from ingest.extraction.weights import CHOICES, FIELDS

from .examples import Example
from .fit import Fitted, Table, fit_fields

Totals = dict[str, dict[str, float]]
"""By field: the sum of each label, of one paper."""
Judged = tuple[Example, Totals]
_CANDIDATES = [round(step / 8, 3) for step in range(-20, 13)]
"""Thresholds that are tried: sums of 0 are odds of one to one."""


@dataclass(frozen=True)
class Decided:
    kind: str
    families: tuple[str, ...]
    modality: tuple[str, ...]
    stage: tuple[str, ...]
    training_free: bool | None


@dataclass(frozen=True)
class _Sums:
    """What the decisions of extraction ask for, before the weights are whole numbers."""

    totals: Totals
    thresholds: Mapping[str, float]

    def of(self, field: str) -> dict[str, float]:
        return self.totals[field]

    def threshold(self, field: str) -> float:
        return self.thresholds[field]

    def words(self, field: str, labels: Iterable[str], count: int = 3) -> list[str]:
        return []


def decide(totals: Totals, thresholds: Mapping[str, float]) -> Decided:
    """The fields of one paper."""
    sums = _Sums(totals, thresholds)
    families, _ = find_families(sums)
    return Decided(
        find_kind(sums)[0], families, find_modality(sums)[0], find_stage(sums, families)[0], find_training_free(sums)[0]
    )


def totals_of(fitted: Fitted, table: Table, rows: NDArray[np.int64]) -> list[Totals]:
    """The sums of rows of the table."""
    papers = table.matrix[rows]
    by_field = {field: papers @ fitted[field][1] + fitted[field][2] for field in FIELDS}
    return [
        {field: dict(zip(fitted[field][0], by_field[field][at].tolist(), strict=True)) for field in FIELDS}
        for at in range(len(rows))
    ]


def held_out(table: Table, examples: Sequence[Example], folds: int, seed: int = 7) -> list[Judged]:
    """The sums of every real example, by weights fitted without its fold; invented examples are only fitted to."""
    order = np.random.default_rng(seed).permutation(real_rows(examples))
    return [judged for fold in range(folds) for judged in judge(table, examples, order[fold::folds])]


def real_rows(examples: Sequence[Example]) -> NDArray[np.int64]:
    return np.array([at for at, example in enumerate(examples) if not example.invented], np.int64)


def judge(table: Table, examples: Sequence[Example], out: NDArray[np.int64]) -> list[Judged]:
    """The sums of the examples `out`, by weights fitted to all others."""
    fitted = fit_fields(table, examples, np.setdiff1d(np.arange(len(examples)), out))
    return list(zip([examples[at] for at in out], totals_of(fitted, table, out), strict=True))


def best_thresholds(judged: Sequence[Judged]) -> dict[str, float]:
    """For each field of several labels, the threshold with the best F1 on papers that were not fitted to."""
    thresholds = {field: 0.0 for field in FIELDS if field not in CHOICES}
    for field in thresholds:
        scored = [(figures(judged, {**thresholds, field: value})[field], -abs(value), value) for value in _CANDIDATES]
        thresholds[field] = max(scored)[2]
    return thresholds


def figures(judged: Sequence[Judged], thresholds: Mapping[str, float]) -> dict[str, float]:
    """Accuracy of kind and first family, micro F1 of the sets, as the scorer of labelled records has them."""
    decided = [(example, decide(totals, thresholds)) for example, totals in judged]
    found = {
        "kind": _mean(example.kind == mine.kind for example, mine in decided),
        "first family": _mean(example.families[:1] == mine.families[:1] for example, mine in decided),
    }
    for field in ("families", "modality", "stage"):
        pairs = [(set(getattr(example, field)), set(getattr(mine, field))) for example, mine in decided]
        both = sum(len(theirs & mine) for theirs, mine in pairs)
        found[field] = 2 * both / max(1, sum(len(theirs) + len(mine) for theirs, mine in pairs))
    found["training free"] = _mean(example.training_free is mine.training_free for example, mine in decided)
    return found


def _mean(hits: Iterable[bool]) -> float:
    listed = list(hits)
    return sum(listed) / max(1, len(listed))
