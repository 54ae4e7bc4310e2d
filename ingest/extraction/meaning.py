"""What an encoder makes of title and abstract as a whole, where words and phrases alone do not tell: further sums for each label.

The encoder that comes with the project reads through low-rank changes of its weights (`trained/meaning.npz`), and each label has a
direction in the mean of what it makes of the pieces. The sums are added to those of the trained weights; without an
encoder these decide alone. Trained by `ingest/learning/meaning.py`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers.encoding.adapter import Adapter, read_with
from papers.encoding.encoders import PACKAGED, Encoder, open_encoder, read_by

from .weights import Heard

STORED = Path(__file__).with_name("trained") / "meaning.npz"
LONGEST = 176
"""So many tokens are read: the title, and where an abstract says what it is about."""
SHARE = 0.25
"""What the sums count beside those of words and phrases."""


def told(title: str, abstract: str) -> str:
    """The text as the encoder reads it."""
    return f"{title}. {abstract}" if title else abstract


@dataclass(frozen=True)
class Heads:
    """What each label looks for: by field its labels, weights of shape (dimensions, labels) and biases; and the thresholds of
    fields of several labels, for sums with `SHARE` of these added."""

    fields: Mapping[str, tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32]]]
    thresholds: Mapping[str, float]


class MeaningReader:
    """Reads texts by an encoder that was opened with the adapter that belongs to `heads`. Safe to share between threads."""

    def __init__(self, encoder: Encoder, heads: Heads) -> None:
        self._encoder, self.heads = encoder, heads

    def means(self, papers: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """The mean of what is made of the pieces of each title and abstract, of shape (papers, dimensions)."""
        _, pieces = read_by(self._encoder, [told(title, abstract) for title, abstract in papers])
        found = np.zeros((len(papers), self._encoder.dimensions), np.float32)
        for row, one in enumerate(pieces):
            if len(one.states):
                found[row] = one.states.mean(axis=0)
        return found

    def hear(self, mean: NDArray[np.float32]) -> Heard:
        """What a mean says for each label."""
        sums = {
            field: dict(zip(labels, (SHARE * (mean @ weights + biases)).tolist(), strict=True))
            for field, (labels, weights, biases) in self.heads.fields.items()
        }
        return Heard(sums, self.heads.thresholds)


@functools.cache
def shipped() -> tuple[Adapter, Heads]:
    """What ships. Raises: OSError, ValueError where it is missing or damaged."""
    adapter, beside = read_with(STORED)
    about = json.loads(str(beside["heads"]))
    fields = {
        field: (
            tuple(labels),
            beside[f"{field} weights"].astype(np.float32),
            beside[f"{field} biases"].astype(np.float32),
        )
        for field, labels in about["labels"].items()
    }
    return adapter, Heads(fields, about["thresholds"])


def beside_of(heads: Heads) -> dict[str, NDArray[Any]]:
    """The heads as arrays that are kept beside an adapter; `shipped` reads them."""
    labels = {field: list(known) for field, (known, _, _) in heads.fields.items()}
    found: dict[str, NDArray[Any]] = {
        "heads": np.array(json.dumps({"labels": labels, "thresholds": dict(heads.thresholds)}, sort_keys=True))
    }
    for field, (_, weights, biases) in heads.fields.items():
        found[f"{field} weights"], found[f"{field} biases"] = weights.astype(np.float16), biases.astype(np.float32)
    return found


def open_reader(cache: Path | None) -> MeaningReader:
    """A reader by what ships; the encoder is compiled into the folder `cache`. Raises: EncoderError, OSError, ValueError."""
    adapter, heads = shipped()
    return MeaningReader(open_encoder(PACKAGED, cache, adapter, LONGEST), heads)
