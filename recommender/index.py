"""The search index: vectors, words and records of all papers in one immutable, versioned folder.

One version holds documents.jsonl (one document a line) with its offsets, vectors.npy and vectors.faiss, lexical/
(tantivy), facets.npz and manifest.json, which names the encoder and the hash of every file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender import relevance
from recommender.documents import Document
from recommender.encoders import Encoder
from recommender.facets import FacetIndex, Filters
from recommender.index_files import Manifest, MissingIndex, StaleIndex, read_manifest, write_index
from recommender.lexical import LexicalIndex, beginning
from recommender.vectors import VectorIndex
from recommender.versions import IndexBusy, current_version

__all__ = [
    "Filters", "Hit", "Index", "IndexBusy", "Manifest", "MissingIndex", "Query", "StaleIndex", "open_index",
    "write_index",
]  # fmt: skip

CANDIDATES = 120
DECODED_DOCUMENTS = 20_000


@dataclass(frozen=True)
class Query:
    """A search; `allowed_ids` and `filters` are applied before ranking, `offset` and `limit` after it."""

    text: str = ""
    filters: Filters = field(default_factory=Filters)
    allowed_ids: set[int] | None = None
    limit: int = 20
    offset: int = 0


@dataclass(frozen=True)
class Hit:
    """A found document. `parts` are the scores before they were joined; `snippet` pieces are (text, is a match)."""

    id: int
    score: float
    parts: dict[str, float] = field(default_factory=dict)
    snippet: list[tuple[str, bool]] = field(default_factory=list)


class _Documents(Mapping[int, Document]):
    """Documents by id with the concepts they speak of, decoded from the file when asked for."""

    def __init__(self, path: Path, ids: NDArray[np.int64], offsets: NDArray[np.int64]) -> None:
        self._bytes: NDArray[np.uint8] = (
            np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
        )
        self._ids = ids
        self._offsets = offsets
        self._decode = functools.lru_cache(DECODED_DOCUMENTS)(self._read)

    def position(self, document_id: int) -> int:
        at = int(self._ids.searchsorted(document_id))
        if at == len(self._ids) or self._ids[at] != document_id:
            raise KeyError(document_id)
        return at

    def _read(self, position: int) -> relevance.Profile:
        start, end = self._offsets[position], self._offsets[position + 1]
        row = json.loads(self._bytes[start:end].tobytes())
        return relevance.profile_of(Document.from_json(row["document"]), row["concepts"])

    def __getitem__(self, document_id: int) -> Document:
        return self._decode(self.position(document_id)).document

    def profile(self, document_id: int) -> relevance.Profile:
        return self._decode(self.position(document_id))

    def __iter__(self) -> Iterator[int]:
        return (int(i) for i in self._ids)

    def __len__(self) -> int:
        return len(self._ids)


class Index:
    """One version, opened for reading. Safe to share between threads."""

    def __init__(self, version: Path, manifest: Manifest) -> None:
        self.manifest = manifest
        self._ids: NDArray[np.int64] = np.load(version / "ids.npy")
        self._documents = _Documents(version / "documents.jsonl", self._ids, np.load(version / "offsets.npy"))
        self._rows: NDArray[np.float32] = np.load(version / "vectors.npy", mmap_mode="r")
        self._vectors = VectorIndex(version / "vectors.faiss", manifest.probes)
        self._lexical = LexicalIndex(version / "lexical")
        self.facets = FacetIndex.read(version / "facets.npz", len(self._ids))

    @property
    def documents(self) -> Mapping[int, Document]:
        return self._documents

    def matching(self, filters: Filters, allowed_ids: set[int] | None = None) -> NDArray[np.int64] | None:
        """Ids (ascending) that pass; None when nothing restricts them."""
        positions = self.facets.matching(filters)
        if allowed_ids is None:
            return None if positions is None else self._ids[positions]
        allowed = np.fromiter(sorted(allowed_ids), np.int64, len(allowed_ids))
        passing = self._ids if positions is None else self._ids[positions]
        return passing[np.isin(passing, allowed)]

    def search(self, query: Query, encoder: Encoder | None) -> list[Hit]:
        """The best documents for the text; without text all that pass the filters, by id; without encoder by words."""
        allowed = self.matching(query.filters, query.allowed_ids)
        if allowed is not None and not len(allowed):
            return []
        text = query.text.strip()
        if not text:
            ids = self._ids if allowed is None else allowed
            shown = (int(i) for i in ids[query.offset : query.offset + query.limit])
            return [Hit(i, 0.0, {}, beginning(self._documents[i].text)) for i in shown]
        wanted = query.offset + query.limit
        ranked = self.rank(text, encoder, allowed, max(CANDIDATES, 2 * wanted))
        cut = self._lexical.snippets(self._lexical.words(text))
        return [Hit(i, score, parts, cut(self._documents[i].text)) for i, score, parts in ranked[query.offset : wanted]]

    def profile(self, document_id: int) -> relevance.Profile:
        """A document with what it is about. Raises KeyError for an unknown id."""
        return self._documents.profile(document_id)

    def rank(
        self,
        text: str,
        encoder: Encoder | None,
        allowed: NDArray[np.int64] | None,
        candidates: int = CANDIDATES,
        wanted: relevance.Wanted | None = None,
    ) -> list[tuple[int, float, dict[str, float]]]:
        """Ids with score and parts, best first: the candidates of both searches, judged by their records as well.

        `wanted` replaces what would be read from the text about the record that is looked for.
        """
        wanted = wanted or relevance.read_query(text)
        lexical = self._lexical.search(text, candidates, allowed, wanted.expansions)
        semantic: dict[int, float] = {}
        if encoder is not None:
            vector = encoder.encode([text])[0]
            semantic = self._vectors.search(vector, candidates, allowed)
            semantic |= self._similarities(vector, [i for i in lexical if i not in semantic])
        rarities = {
            key: relevance.rarity(len(self._ids), self.facets.count("concepts", key)) for key in wanted.concepts
        }
        found = {i: self._documents.profile(i) for i in {*semantic, *lexical}}
        records = {i: relevance.record_score(wanted, profile, rarities) for i, profile in found.items()}
        families = {i: profile.document.families for i, profile in found.items()}
        return relevance.combine(semantic, lexical, records, families)

    def similar(self, document_id: int, limit: int) -> list[Hit]:
        """The nearest other documents. Raises KeyError for an id that is not in the index."""
        vector = np.asarray(self._rows[self._documents.position(document_id)])
        found = self._vectors.search(vector, limit + 1)
        found.pop(document_id, None)
        nearest = list(found.items())[:limit]
        return [Hit(i, score, {"semantic": score}, beginning(self._documents[i].text)) for i, score in nearest]

    def _similarities(self, vector: NDArray[np.float32], ids: list[int]) -> dict[int, float]:
        if not ids:
            return {}
        rows = self._rows[np.searchsorted(self._ids, np.asarray(ids, np.int64))]
        return dict(zip(ids, (rows @ vector).tolist(), strict=True))


def open_index(folder: Path, encoder_name: str) -> Index:
    """The current version in the folder.

    Raises: MissingIndex when there is none or a file of it is damaged; StaleIndex when another encoder built it.
    """
    for _ in range(3):
        version = current_version(folder)
        if version is None:
            raise MissingIndex(f"there is no index in {folder.name!r}; build it first")
        try:
            manifest = read_manifest(version)
            if manifest.encoder != encoder_name:
                raise StaleIndex(
                    f"the index was built by encoder {manifest.encoder!r}, but {encoder_name!r} is set; build it again"
                )
            return Index(version, manifest)
        except StaleIndex:
            raise
        except Exception as error:  # numpy, faiss, tantivy and json each have their own way to refuse a file
            if current_version(folder) == version:
                raise MissingIndex(f"the index in {folder.name!r} cannot be read: {error}; build it again") from error
    raise MissingIndex(f"the index in {folder.name!r} was replaced again and again while it was opened; try again")
