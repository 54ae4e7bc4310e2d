"""Trained weights: from signals to kind, families, modality and stage, and back to the words that decided.

The weights are a linear model, trained by `manage.py train_extractor` and kept in `trained/` with what they were trained
on. They are whole numbers, so a decision is the same on every machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .signals import GROUPS, UNIT, Signals

WEIGHT_UNIT = 256
"""The stored weight of 1.0."""
FIRST = "first family"
FIELDS = ("kind", FIRST, "families", "modality", "stage")
CHOICES = frozenset({"kind", FIRST})
"""Fields of which one label is chosen; of the others, every label whose sum reaches the field's threshold."""
NONE = "none"
"""The first family of a paper that is not about efficiency."""
_OF_WORDS = ("title", "own", "background", "anywhere", "title pair", "own pair", "title phrase", "own phrase", "cue")
STORED = Path(__file__).with_name("trained")


@dataclass(frozen=True)
class Weights:
    """`table[signal, output]` and `bias[output]`, where an output is a label of a field; thresholds are sums."""

    keys: Mapping[str, Mapping[str, int]]
    labels: Mapping[str, tuple[str, ...]]
    table: NDArray[np.int16]
    bias: NDArray[np.int64]
    thresholds: Mapping[str, int]
    provenance: Mapping[str, Any]

    @cached_property
    def spans(self) -> dict[str, slice]:
        """The outputs of each field."""
        found, begin = {}, 0
        for field, labels in self.labels.items():
            found[field] = slice(begin, begin + len(labels))
            begin += len(labels)
        return found

    @cached_property
    def names(self) -> list[str]:
        """What each signal is called before a person."""
        named = [""] * len(self.table)
        for group, numbers in self.keys.items():
            for key, number in numbers.items():
                named[number] = key if group in _OF_WORDS else f"{group}: {key}"
        return named

    @cached_property
    def of_words(self) -> NDArray[np.bool_]:
        """Which signals are words of the paper, and not sums over many of them."""
        are = np.zeros(len(self.table), np.bool_)
        for group in _OF_WORDS:
            are[list(self.keys[group].values())] = True
        return are


class Totals(Protocol):
    """What decisions are made from."""

    def of(self, field: str, /) -> Mapping[str, float]: ...
    def threshold(self, field: str, /) -> float: ...
    def words(self, field: str, labels: Iterable[str], count: int = 3) -> list[str]: ...


class Sums:
    """What the weights make of the signals of one paper."""

    __slots__ = ("_signals", "_totals", "_weights")

    def __init__(self, weights: Weights, signals: Signals) -> None:
        self._weights, self._signals = weights, signals
        strengths = np.asarray(signals.strengths, np.int64)
        self._totals = strengths @ weights.table[signals.numbers].astype(np.int64) + weights.bias

    def of(self, field: str) -> dict[str, int]:
        """The sum of each label of a field."""
        labels, span = self._weights.labels[field], self._weights.spans[field]
        return dict(zip(labels, self._totals[span].tolist(), strict=True))

    def threshold(self, field: str) -> int:
        return self._weights.thresholds[field]

    def words(self, field: str, labels: Iterable[str], count: int = 3) -> list[str]:
        """The words of the paper that speak loudest for each label; where none does, whatever else speaks for it."""
        numbers = np.asarray(self._signals.numbers, np.int64)
        strengths = np.asarray(self._signals.strengths, np.int64)
        begin, known = self._weights.spans[field].start, self._weights.labels[field]
        found: dict[str, None] = {}
        for label in labels:
            gains = self._weights.table[numbers, begin + known.index(label)].astype(np.int64) * strengths
            told = gains * self._weights.of_words[numbers]
            loudest = told if told.max(initial=0) > 0 else gains
            for at in np.argsort(-loudest, kind="stable")[:count].tolist():
                if loudest[at] > 0:
                    found[self._weights.names[numbers[at]]] = None
        return list(found)


def save_weights(weights: Weights, folder: Path) -> None:
    """Write the two files; `load_weights` gives the same back."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "weights.npz", table=weights.table, bias=weights.bias)
    told = {
        "units": [UNIT, WEIGHT_UNIT],
        "provenance": weights.provenance,
        "thresholds": weights.thresholds,
        "labels": weights.labels,
        "keys": {group: list(numbers) for group, numbers in weights.keys.items()},
    }
    (folder / "weights.json").write_text(json.dumps(told, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


@cache
def load_weights(folder: Path = STORED) -> Weights:
    """The weights that ship. Raises FileNotFoundError or ValueError where they are missing or of another make."""
    with np.load(folder / "weights.npz", allow_pickle=False) as stored:
        table, bias = stored["table"], stored["bias"]
    told = json.loads((folder / "weights.json").read_text("utf-8"))
    keys: dict[str, dict[str, int]] = {group: {} for group in GROUPS}
    number = 0
    for group, words in told["keys"].items():
        keys[group] = dict(zip(words, range(number, number + len(words)), strict=True))
        number += len(words)
    labels = {field: tuple(told["labels"][field]) for field in FIELDS}
    if set(keys) != set(GROUPS) or table.shape != (number, sum(map(len, labels.values()))):
        raise ValueError("weights.npz and weights.json do not belong together; train the weights anew")
    if told["units"] != [UNIT, WEIGHT_UNIT]:
        raise ValueError("weights.json: other units than this code's; train the weights anew")
    return Weights(keys, labels, table, bias, told["thresholds"], told["provenance"])
