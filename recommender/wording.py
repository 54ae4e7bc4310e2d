"""How near the words of a need are to those of a paper, each in its context: late interaction.

A paper's vector is the mean over its word pieces, in which one rare word is lost among two hundred. Here each word piece of the
need looks for the nearest of the paper, and what it finds counts by how rare the piece is. Source: "ColBERT: Efficient and
Effective Passage Search via Contextualized Late Interaction over BERT" (2020), with the encoder as it is and fewer numbers.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import digest_of, read_array, read_arrays
from papers.encoding.pieces import Pieces

STORED = Path(__file__).with_name("wording.npz")
WIDTH = 64
"""Numbers kept of each piece. 64 principal ones rank as well as all 384, 32 do not."""
# Pieces that more than this share of the papers have say nothing of any: they are neither asked for nor kept.
COMMON = 0.3
MOST_ASKED = 32
SCALE = 127.0
# Pieces of unrelated texts are about this near; below it, differences mean nothing.
FLOOR, RANGE = 0.3, 0.25
FILES = ("pieces.npy", "piece_starts.npy")
Kept = NDArray[np.int8]


@dataclass(frozen=True)
class Lens:
    """What pieces are seen through: `projection` of shape (dimensions, WIDTH), the weight of each piece of the vocabulary, and
    the name of the encoder that both belong to."""

    encoder: str
    projection: NDArray[np.float32]
    weights: NDArray[np.float32]

    @functools.cached_property
    def sha256(self) -> str:
        """By which an index knows whether its pieces were seen through this one."""
        parts = (self.encoder.encode(), self.projection.tobytes(), self.weights.tobytes())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def of_paper(self, pieces: Pieces) -> Kept:
        """What is kept of a paper, of shape (pieces, WIDTH): each piece once, as the mean of the places where it stands."""
        ids, seen = self._seen(pieces)
        distinct, place = np.unique(ids, return_inverse=True)
        means = np.zeros((len(distinct), WIDTH), np.float32)
        np.add.at(means, place, seen)
        return np.round(_unit(means) * SCALE).astype(np.int8)

    def of_need(self, pieces: Pieces) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows of shape (pieces, WIDTH) and the share of each in the score, of the rarest MOST_ASKED at most."""
        ids, seen = self._seen(pieces)
        weights = self._weights(ids)
        rarest = np.sort(np.argsort(-weights, kind="stable")[:MOST_ASKED])
        return seen[rarest], weights[rarest] / max(float(weights[rarest].sum()), 1e-9)

    def _seen(self, pieces: Pieces) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        telling = self._weights(pieces.ids) > 0
        return pieces.ids[telling], _unit(pieces.states[telling] @ self.projection)

    def _weights(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """A piece beyond the table was in no paper, and is as rare as can be."""
        known = self.weights[np.minimum(ids, len(self.weights) - 1)]
        return np.where(ids < len(self.weights), known, self.weights.max())


class Stored:
    """The kept pieces of the papers of a folder, row by row: `starts` has one entry more than there are papers."""

    def __init__(self, pieces: Kept, starts: NDArray[np.int64]) -> None:
        # A plain view of what is mapped, because a slice of a memmap takes ten times as long.
        self._pieces, self._starts = np.asarray(pieces), starts

    @classmethod
    def read(cls, folder: Path) -> Stored | None:
        """None where the folder holds none. Raises: OSError, ValueError for a damaged file."""
        if not all((folder / name).is_file() for name in FILES):
            return None
        return cls(read_array(folder / FILES[0], mapped=True), read_array(folder / FILES[1]))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[Kept]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, at: int) -> Kept:
        return self._pieces[self._starts[at] : self._starts[at + 1]]


def write(folder: Path, papers: Sequence[Kept]) -> None:
    """The two files of a folder, in the order of its papers."""
    np.save(folder / FILES[0], np.concatenate([np.zeros((0, WIDTH), np.int8), *papers]))
    np.save(folder / FILES[1], np.cumsum([0, *(len(one) for one in papers)], dtype=np.int64))


def nearness(asked: tuple[NDArray[np.float32], NDArray[np.float32]], papers: Sequence[Kept]) -> NDArray[np.float32]:
    """For each paper the weighted mean, over the pieces asked for, of the cosine of the nearest piece of the paper, from
    FLOOR on and in units of RANGE; 0 for a paper without pieces."""
    rows, shares = asked
    found = np.zeros(len(papers), np.float32)
    filled = [at for at, one in enumerate(papers) if len(one)]
    if not filled or not len(rows):
        return found
    starts = np.cumsum([0, *(len(papers[at]) for at in filled[:-1])])
    near = np.concatenate([papers[at] for at in filled]).astype(np.float32) @ np.ascontiguousarray(rows.T / SCALE)
    found[filled] = np.maximum.reduceat(near, starts, axis=0) @ shares
    return np.asarray(np.maximum(found - FLOOR, 0.0) / RANGE, np.float32)


def fit(encoder: str, texts: Sequence[Pieces]) -> Lens:
    """The lens of an encoder by the papers it has read: the principal directions of their pieces, and how rare each piece is.
    Needs no judgement. The same texts give the same lens."""
    states = np.concatenate([_unit(one.states) for one in texts]).astype(np.float64)
    values, directions = np.linalg.eigh(np.cov(states, rowvar=False))
    principal = directions[:, np.argsort(-values)[:WIDTH]]
    # A direction and its opposite are one; which of them is found is left to chance otherwise.
    principal *= np.sign(principal[np.abs(principal).argmax(axis=0), np.arange(principal.shape[1])])
    count = np.zeros(1 + max(int(one.ids.max(initial=0)) for one in texts))
    for one in texts:
        count[np.unique(one.ids)] += 1
    weights = np.where(count < COMMON * len(texts), np.log(1 + len(texts) / (count + 1)), 0.0)
    return Lens(encoder, principal.astype(np.float16).astype(np.float32), weights.astype(np.float16).astype(np.float32))


def save(lens: Lens, path: Path, fitted_to: Sequence[str] = ()) -> None:
    """Writes the lens, with how many texts it was fitted to and their hash."""
    about = {"encoder": lens.encoder, "texts": len(fitted_to), "sha256": digest_of(fitted_to)}
    with path.open("wb") as file:
        np.savez_compressed(
            file, projection=lens.projection.astype(np.float16), weights=lens.weights.astype(np.float16),
            about=np.array(json.dumps(about)),
        )  # fmt: skip


@functools.cache
def shipped() -> Lens:
    """The lens that ships."""
    stored = read_arrays(STORED)
    about = json.loads(str(stored["about"]))
    return Lens(about["encoder"], stored["projection"].astype(np.float32), stored["weights"].astype(np.float32))


def lens_for(encoder: str) -> Lens | None:
    """The lens of that encoder; None for one that none was fitted for."""
    return shipped() if STORED.is_file() and shipped().encoder == encoder else None


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


def kept_of(lens: Lens | None, read: Iterable[Pieces]) -> list[Kept]:
    """What is kept of each text; nothing without a lens."""
    return [lens.of_paper(one) for one in read] if lens else []
