"""Trained weights: from signals to kind, families, modality, stage and training-free, and back to the words that decided.

The weights are a linear model, trained by `manage.py train_extractor` and kept in `trained/` with what they were trained
on. They are whole numbers, so a decision is the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import read_arrays

from .signals import GROUPS, TABLES, UNIT, FixedNumbering, Signals, Voices, loudest_phrases, readable, table_of
from .text import Document

WEIGHT_UNIT = 64
"""The stored weight of 1.0."""
FIRST = "first family"
FIELDS = ("kind", FIRST, "families", "modality", "stage", "training")
CHOICES = frozenset({"kind", FIRST, "training"})
"""Fields of which one label is chosen; of the others, every label whose sum reaches the field's threshold."""
NONE = "none"
"""The first family of a paper that is not about efficiency."""
STORED = Path(__file__).with_name("trained")
WHOLE_TEXT = "the text as a whole"
"""The reason of a decision that what the encoder makes of the text spoke for louder than any word."""
_ONE = WEIGHT_UNIT * UNIT


Heard = Mapping[str, Mapping[str, float]]
"""What an encoder makes of one text, by field and label, to be added to the sums; see `meaning.py`."""


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
    def numbering(self) -> FixedNumbering:
        """The numbers of the signals that have weights."""
        return FixedNumbering(self.keys)

    @cached_property
    def names(self) -> list[tuple[str, str, str, str]]:
        """Group and key of each signal, the first word of the group, and the table whose phrases it sums up or ""."""
        return [
            (group, key, group.partition(" ")[0], table_of(group))
            for group, numbers in self.keys.items()
            for key in numbers
        ]


class Totals(Protocol):
    """What decisions are made from."""

    def of(self, field: str, /) -> Mapping[str, float]: ...
    def threshold(self, field: str, /) -> float: ...
    def words(self, field: str, labels: Iterable[str], count: int = 3) -> list[str]: ...


class Sums:
    """What the weights make of the signals of one paper."""

    __slots__ = (
        "_document",
        "_meaning",
        "_numbers",
        "_rows",
        "_strengths",
        "_totals",
        "_voices",
        "_weights",
    )

    def __init__(self, weights: Weights, signals: Signals, document: Document, meaning: Heard | None = None) -> None:
        self._weights, self._document = weights, document
        self._meaning: Heard = meaning or {}
        self._voices: Voices = {}
        self._numbers = signals.numbers
        # The narrow table is read and widened afterwards, since few of its rows are near in memory.
        self._rows = weights.table.take(signals.numbers, axis=0).astype(np.float64)
        self._strengths = np.array(signals.strengths, np.float64)
        # Whole numbers, whose products and sums stay far below 2^53: exact in any order.
        self._totals: list[float] = (self._strengths @ self._rows + weights.bias).tolist()

    def of(self, field: str) -> dict[str, float]:
        """The sum of each label of a field."""
        labels, span = self._weights.labels[field], self._weights.spans[field]
        totals = dict(zip(labels, self._totals[span], strict=True))
        for label, sum_ in self._meaning.get(field, {}).items():
            if label in totals:
                totals[label] += round(sum_ * _ONE)
        return totals

    def threshold(self, field: str) -> float:
        return self._weights.thresholds[field]

    def _loudest(self, table: str, label: str) -> list[str]:
        """The phrases of the paper that speak loudest for a label; several signals ask for them."""
        loudest = self._voices.get((table, label))
        if loudest is None:
            loudest = loudest_phrases(self._document.found[TABLES[table]], label)
            self._voices[table, label] = loudest
        return loudest

    def words(self, field: str, labels: Iterable[str], count: int = 3) -> list[str]:
        """The words that speak loudest for each label: words and phrases of the paper, cues, and what its claims measure."""
        begin, known = self._weights.spans[field].start, self._weights.labels[field]
        names = self._weights.names
        found: dict[str, None] = {}
        for label in labels:
            gains = self._strengths * self._rows[:, begin + known.index(label)]
            mine: dict[str, None] = {}
            named: set[tuple[str, str]] = set()
            some = min(4 * count, len(gains))
            loudest = gains.argpartition(-some)[-some:] if some else np.zeros(0, np.int64)
            for loss, at in sorted(zip((-gains[loudest]).tolist(), loudest.tolist(), strict=True)):
                if loss >= 0 or len(mine) >= count:
                    break
                group, key, first, table = names[self._numbers[at]]
                # The scopes of one table of phrases name the same phrases.
                if (once := (first, key)) not in named:
                    named.add(once)
                    mine |= dict.fromkeys(self._loudest(table, key) if table else readable(group, key))
            said = self._meaning.get(field, {}).get(label, 0.0) * _ONE
            if said > 0 and said > gains.max(initial=0.0):
                found[WHOLE_TEXT] = None
            found |= dict.fromkeys(list(mine)[:count])
        return list(found)


def save_weights(weights: Weights, folder: Path) -> None:
    """Write the two files; `load_weights` gives the same back. What was there stays until both are written."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "units": [UNIT, WEIGHT_UNIT],
        "table": _digest(weights.table),
        "provenance": weights.provenance,
        "thresholds": weights.thresholds,
        "labels": weights.labels,
        "keys": {group: list(numbers) for group, numbers in weights.keys.items()},
    }
    table, text = folder / "weights.new.npz", folder / "weights.new.json"
    np.savez_compressed(table, table=weights.table, bias=weights.bias)
    text.write_text(json.dumps(told, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    table.replace(folder / "weights.npz")
    text.replace(folder / "weights.json")


def _digest(table: NDArray[np.int16]) -> str:
    return hashlib.sha256(np.ascontiguousarray(table, "<i2").tobytes()).hexdigest()


@cache
def load_weights(folder: Path = STORED) -> Weights:
    """The weights that ship. Raises FileNotFoundError or ValueError where they are missing or of another make."""
    stored = read_arrays(folder / "weights.npz")
    table, bias = stored["table"], stored["bias"]
    told = json.loads((folder / "weights.json").read_text("utf-8"))
    if told["units"] != [UNIT, WEIGHT_UNIT] or set(told["keys"]) != set(GROUPS) or set(told["labels"]) != set(FIELDS):
        raise ValueError("weights.json: of another version than this code; train the weights anew")
    keys: dict[str, dict[str, int]] = {group: {} for group in GROUPS}
    number = 0
    for group, words in told["keys"].items():
        keys[group] = dict(zip(words, range(number, number + len(words)), strict=True))
        number += len(words)
    labels = {field: tuple(told["labels"][field]) for field in FIELDS}
    if table.shape != (number, sum(map(len, labels.values()))) or _digest(table) != told["table"]:
        raise ValueError("weights.npz and weights.json do not belong together; train the weights anew")
    return Weights(keys, labels, table, bias, told["thresholds"], told["provenance"])
