"""Which documents have which value of a filter, as arrays of positions, to filter a million rows quickly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import read_arrays
from recommender.documents import Document


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must be. Values of one field are alternatives, fields must hold together; empty means any.

    training: "free" (applies without training), "needed" or "unclear".
    """

    families: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    has_implementation: bool | None = None
    verified: bool | None = None

    def __post_init__(self) -> None:
        wrong = [value for value in self.training if value not in TRAINING.values()]
        if wrong:
            raise ValueError(f"filter training={wrong[0]!r}: must be one of {sorted(TRAINING.values())}")


TRAINING: Mapping[bool | None, str] = {True: "free", False: "needed", None: "unclear"}


def values_of(document: Document) -> Iterable[tuple[str, str]]:
    """Each (field, value) of `Filters` that the document has, folded to lower case."""
    for field in ("families", "modality", "stage", "hardware"):
        for value in getattr(document, field):
            yield field, value.lower()
    if document.kind:
        yield "kinds", document.kind.lower()
    yield "training", TRAINING[document.training_free]
    yield "has_implementation", str(document.implementation is not None)
    yield "verified", str(bool(document.evidence))


class FacetIndex:
    """Positions (row numbers of the index, ascending) of the documents with each value."""

    def __init__(self, positions: Mapping[str, NDArray[np.int32]], count: int) -> None:
        self._positions = positions
        self._count = count

    @classmethod
    def of(cls, documents: Sequence[Document], concepts: Sequence[Iterable[str]]) -> FacetIndex:
        """Of documents and, row by row, the concepts that they speak of."""
        found: dict[str, list[int]] = defaultdict(list)
        for position, (document, keys) in enumerate(zip(documents, concepts, strict=True)):
            for field, value in {*values_of(document), *(("concepts", key) for key in keys)}:
                found[f"{field}:{value}"].append(position)
        return cls({key: np.asarray(rows, np.int32) for key, rows in sorted(found.items())}, len(documents))

    def with_more(self, documents: Sequence[Document], concepts: Sequence[Iterable[str]]) -> FacetIndex:
        """With further documents behind the ones that are there."""
        more = FacetIndex.of(documents, concepts)
        none = np.empty(0, np.int32)
        joined = {
            key: np.concatenate(
                [self._positions.get(key, none), more._positions.get(key, none) + np.int32(self._count)]
            )
            for key in sorted({*self._positions, *more._positions})
        }
        return FacetIndex(joined, self._count + len(documents))

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            arrays: dict[str, Any] = {str(n): rows for n, rows in enumerate(self._positions.values())}
            np.savez(file, keys=np.asarray(list(self._positions), dtype=str), **arrays)

    @classmethod
    def read(cls, path: Path, count: int) -> FacetIndex:
        stored = read_arrays(path)
        return cls({str(key): stored[str(n)] for n, key in enumerate(stored["keys"])}, count)

    def matching(self, filters: Filters) -> NDArray[np.int64] | None:
        """Positions that pass; None when nothing is filtered."""
        mask: NDArray[np.bool_] | None = None
        for field in ("families", "modality", "stage", "hardware", "kinds", "training"):
            if wanted := getattr(filters, field):
                mask = self._and(mask, field, wanted)
        for field in ("has_implementation", "verified"):
            if (flag := getattr(filters, field)) is not None:
                mask = self._and(mask, field, (str(flag),))
        return None if mask is None else np.flatnonzero(mask)

    def counts(self, field: str) -> dict[str, int]:
        """How many documents have each value of a field, for a filter form."""
        prefix = f"{field}:"
        return {key[len(prefix) :]: len(rows) for key, rows in self._positions.items() if key.startswith(prefix)}

    def count(self, field: str, value: str) -> int:
        """How many documents have that value."""
        return len(self._positions.get(f"{field}:{value}", ()))

    def _and(self, mask: NDArray[np.bool_] | None, field: str, wanted: Iterable[str]) -> NDArray[np.bool_]:
        one = np.zeros(self._count, bool)
        for value in wanted:
            key = f"{field}:{value if field in ('has_implementation', 'verified') else value.lower()}"
            one[self._positions.get(key, np.empty(0, np.int32))] = True
        return one if mask is None else mask & one
