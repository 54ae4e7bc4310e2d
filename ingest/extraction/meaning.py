"""What an encoder makes of title and abstract as a whole, where words and phrases alone do not tell: further sums for each label.

The encoder that comes with the project reads through low-rank changes of its weights (`trained/meaning.npz`), and each label has a
direction in the mean of what it makes of the pieces. The sums are added to those of the trained weights; without an
encoder these decide alone. Trained by `ingest/learning/meaning.py`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
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


def text_of(title: str, abstract: str) -> str:
    """The text as the encoder reads it."""
    return f"{title}. {abstract}" if title else abstract


Heads = Mapping[str, tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32]]]
"""What each label looks for: by field its labels, weights of shape (dimensions, labels) and biases."""


class MeaningReader:
    """Reads texts by an encoder that was opened with the adapter that belongs to `heads`. Safe to share between threads."""

    def __init__(self, encoder: Encoder, heads: Heads) -> None:
        self._encoder, self.heads = encoder, heads

    def means(self, papers: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """The mean of what is made of the pieces of each title and abstract, of shape (papers, dimensions)."""
        _, pieces = read_by(self._encoder, [text_of(title, abstract) for title, abstract in papers])
        found = np.zeros((len(papers), self._encoder.dimensions), np.float32)
        for row, one in enumerate(pieces):
            if len(one.states):
                found[row] = one.states.mean(axis=0)
        return found

    def hear(self, mean: NDArray[np.float32]) -> Heard:
        """What a mean says for each label."""
        return {
            field: dict(zip(labels, (SHARE * (mean @ weights + biases)).tolist(), strict=True))
            for field, (labels, weights, biases) in self.heads.items()
        }


@functools.cache
def shipped() -> tuple[Adapter, Heads]:
    """What ships. Raises: OSError, ValueError where it is missing or damaged."""
    adapter, beside = read_with(STORED)
    labels = json.loads(str(beside["labels"]))
    return adapter, {
        field: (
            tuple(known),
            beside[f"{field} weights"].astype(np.float32),
            beside[f"{field} biases"].astype(np.float32),
        )
        for field, known in labels.items()
    }


def arrays_of(heads: Heads) -> dict[str, NDArray[Any]]:
    """The heads as arrays that are kept beside an adapter; `shipped` reads them."""
    labels = {field: list(known) for field, (known, _, _) in heads.items()}
    found: dict[str, NDArray[Any]] = {"labels": np.array(json.dumps(labels, sort_keys=True))}
    for field, (_, weights, biases) in heads.items():
        found[f"{field} weights"], found[f"{field} biases"] = weights.astype(np.float16), biases.astype(np.float32)
    return found


def open_reader(cache: Path | None) -> MeaningReader:
    """A reader by what ships; the encoder is compiled into the folder `cache`. Raises: EncoderError, OSError, ValueError."""
    adapter, heads = shipped()
    if adapter.encoder != PACKAGED:
        raise ValueError(f"{STORED.name} is for the encoder {adapter.encoder!r}, not {PACKAGED!r}; train it again")
    return MeaningReader(open_encoder(PACKAGED, cache, adapter, LONGEST), heads)
