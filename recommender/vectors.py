"""Nearest vectors by inner product: exact while that is fast, inverted lists of 8-bit codes beyond.

Files are mapped read-only. Adding to a mapped FAISS index aborts the process, so a change is always a new file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

faiss: Any = _faiss  # its type stubs give the C++ signatures, not those of its Python layer

EXACT_UP_TO = 100_000
WANTED_RECALL = 0.97
NEIGHBOURS = 10
TRAINING_POINTS_PER_LIST = 40


def write_vectors(path: Path, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> int:
    """Builds the index of unit vectors (n, d) in a new file and gives the number of lists to probe (0: exact)."""
    dimensions = vectors.shape[1]
    if len(ids) <= EXACT_UP_TO:
        exact = faiss.IndexIDMap2(faiss.IndexFlatIP(dimensions))
        exact.add_with_ids(vectors, ids)
        faiss.write_index(exact, str(path))
        return 0
    lists = int(4 * np.sqrt(len(ids)))
    index = faiss.index_factory(dimensions, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    chance = np.random.default_rng(0)
    sample = chance.choice(len(ids), min(len(ids), lists * TRAINING_POINTS_PER_LIST), replace=False)
    index.train(vectors[np.sort(sample)])
    index.add_with_ids(vectors, ids)
    probes = _fewest_probes(index, ids, vectors, chance)
    faiss.write_index(index, str(path))
    return probes


def _fewest_probes(
    index: Any, ids: NDArray[np.int64], vectors: NDArray[np.float32], chance: np.random.Generator
) -> int:
    """The smallest power of two of lists that finds the wanted share of the exact neighbours of a sample.

    The sample is moved off its own vectors, because a user's query is never a stored vector.
    """
    queries = vectors[chance.choice(len(ids), 200, replace=False)]
    queries = queries + chance.normal(0, 0.5 / np.sqrt(queries.shape[1]), queries.shape).astype(np.float32)
    faiss.normalize_L2(queries)
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    wanted = ids[exact.search(queries, NEIGHBOURS)[1]]
    probes = 4
    while probes < index.nlist:
        index.nprobe = probes
        found = index.search(queries, NEIGHBOURS)[1]
        recall = np.mean([len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(found, wanted, strict=True)])
        if recall >= WANTED_RECALL:
            return probes
        probes *= 2
    return int(index.nlist)


class VectorIndex:
    """A file of `write_vectors`, mapped for reading."""

    def __init__(self, path: Path, probes: int) -> None:
        # A second thread makes single queries slower, and a used thread pool does not survive a fork.
        faiss.omp_set_num_threads(1)
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        self._probes = probes

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        return int(self._index.d)

    def search(
        self, vector: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None = None
    ) -> dict[int, float]:
        """Similarities of the nearest documents by id, best first, among the allowed ids only."""
        limit = min(limit, len(self) if allowed is None else len(allowed))
        if limit <= 0:
            return {}
        scores, ids = self._index.search(vector.reshape(1, -1), limit, params=self._parameters(allowed))
        return {int(i): float(score) for i, score in zip(ids[0], scores[0], strict=True) if i >= 0}

    def _parameters(self, allowed: NDArray[np.int64] | None) -> Any:
        selector = None
        if allowed is not None:
            # A bitmap costs the same for every share of the ids; it needs a bit for each id up to the largest.
            bits = np.zeros(int(allowed.max()) + 1, bool)
            bits[allowed] = True
            selector = faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))
        if self._probes:
            return faiss.SearchParametersIVF(sel=selector, nprobe=self._probes)
        return faiss.SearchParameters(sel=selector) if selector is not None else None
