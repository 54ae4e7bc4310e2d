"""The search index: vectors, words and records of all papers in one immutable, versioned folder.

One version holds documents.jsonl (one document a line) with its offsets, vectors.npy and vectors.faiss, pieces.npy (what is kept
of the words of each document), lexical/ (tantivy), facets.npz and manifest.json, which names the encoder and the hash of every file.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import read_array
from papers.encoding.encoders import Encoder, read_by
from papers.encoding.pieces import Pieces
from recommender import ranking, relevance, wording
from recommender.documents import Document
from recommender.facets import FacetIndex, Filters
from recommender.index_delta import DELTA, delta_ids
from recommender.index_files import Manifest, MissingIndex, StaleIndex, read_manifest, write_index
from recommender.lexical import LexicalIndex, beginning
from recommender.spelling import FILE as WORDS
from recommender.spelling import Spelling
from recommender.vectors import VectorIndex
from recommender.versions import IndexBusy, current_version

__all__ = [
    "Answer", "Filters", "Hit", "Index", "IndexBusy", "Manifest", "MissingIndex", "Query", "StaleIndex", "open_index",
    "write_index",
]  # fmt: skip

CANDIDATES = 120
DECODED_DOCUMENTS = 20_000
SHORTEST_NAME = 3
# A pasted abstract mentions many names; a typed need asks for those that it says.
LONGEST_NAMING = 300
_NAME_WORD = re.compile(r"\w+")
_VERSION = re.compile(r"(?: v?\d+)+$")


@dataclass(frozen=True)
class Query:
    """A search; `allowed_ids` and `filters` are applied before ranking, `offset` and `limit` after it.

    `like` and `unlike` are documents that the answers shall and shall not resemble; they are no answers themselves.
    """

    text: str = ""
    like: tuple[int, ...] = ()
    unlike: tuple[int, ...] = ()
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


@dataclass(frozen=True)
class Answer:
    """One page of hits, and the ids of all that was found, best first."""

    hits: list[Hit]
    ids: list[int]


class _Documents(Mapping[int, Document]):
    """Documents by id with the concepts they speak of, decoded from the file when asked for."""

    def __init__(self, version: Path, ids: NDArray[np.int64]) -> None:
        self._ids = ids
        self._parts = [_lines(version), *([_lines(version / DELTA)] if (version / DELTA).is_dir() else [])]
        self._decode = functools.lru_cache(DECODED_DOCUMENTS)(self._read)

    def position(self, document_id: int) -> int:
        at = int(self._ids.searchsorted(document_id))
        if at == len(self._ids) or self._ids[at] != document_id:
            raise KeyError(document_id)
        return at

    def _read(self, position: int) -> relevance.Profile:
        part, first = self._parts[0], len(self._parts[0][1]) - 1
        if position >= first:
            part, position = self._parts[1], position - first
        text, offsets = part
        row = json.loads(text[offsets[position] : offsets[position + 1]].tobytes())
        return relevance.profile_of(Document.from_json(row["document"]), row["concepts"])

    def __getitem__(self, document_id: int) -> Document:
        return self._decode(self.position(document_id)).document

    def profile(self, document_id: int) -> relevance.Profile:
        return self._decode(self.position(document_id))

    def __iter__(self) -> Iterator[int]:
        return (int(i) for i in self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def named_in(text: str, profiles: Mapping[int, relevance.Profile]) -> frozenset[int]:
    """Documents whose name the text says, with or without its version: "flashattention" names FlashAttention-2."""
    said = _bare(text)
    if len(said) > LONGEST_NAMING:
        return frozenset()
    words = f" {said} "
    found = []
    for document_id, profile in profiles.items():
        if any(name in words for name in _ways_to_say(profile.document.name)):
            found.append(document_id)
    return frozenset(found)


@functools.lru_cache(DECODED_DOCUMENTS)
def _ways_to_say(name: str) -> tuple[str, ...]:
    """A name as it stands among the words of a text, with and without its version."""
    bare = _bare(name)
    return tuple({f" {one} " for one in (bare, _VERSION.sub("", bare)) if len(one) >= SHORTEST_NAME})


def _bare(text: str) -> str:
    return " ".join(_NAME_WORD.findall(text.lower()))


def _lines(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    path = folder / "documents.jsonl"
    text: NDArray[np.uint8] = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
    return text, read_array(folder / "offsets.npy")


class Index:
    """One version, opened for reading. Safe to share between threads."""

    def __init__(self, version: Path, manifest: Manifest) -> None:
        self.manifest = manifest
        base: NDArray[np.int64] = read_array(version / "ids.npy")
        self._base_count, self._added_ids = len(base), delta_ids(version)
        self._ids: NDArray[np.int64] = np.concatenate([base, self._added_ids]) if len(self._added_ids) else base
        self._added: NDArray[np.float32] = np.empty((0, manifest.dimensions), np.float32)
        if len(self._added_ids):
            self._added = read_array(version / DELTA / "vectors.npy")
        self._documents = _Documents(version, self._ids)
        self._pieces = [wording.Stored.read(version), wording.Stored.read(version / DELTA)] if manifest.wording else []
        self._rows: NDArray[np.float32] = read_array(version / "vectors.npy", mapped=True)
        self._vectors = VectorIndex(version / "vectors.faiss", manifest.probes)
        self._lexical = LexicalIndex(version / "lexical")
        self.spelling = Spelling(version / WORDS, self._lexical.knows)
        self.facets = FacetIndex.read(version / "facets.npz", len(self._ids))

    def __contains__(self, document_id: int) -> bool:
        at = int(self._ids.searchsorted(document_id))
        return at < len(self._ids) and bool(self._ids[at] == document_id)

    @property
    def largest_id(self) -> int:
        """0 when nothing is in the index."""
        return int(self._ids[-1]) if len(self._ids) else 0

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
        """The hits of `find`."""
        return self.find(query, encoder).hits

    def find(self, query: Query, encoder: Encoder | None) -> Answer:
        """The best documents for text and examples; with neither all that pass the filters, by id.

        What is found does not depend on the page, so that pages neither overlap nor change the count.
        Without encoder words alone decide. Raises KeyError for an example that is not in the index.
        """
        allowed = self.matching(query.filters, query.allowed_ids)
        if allowed is not None and not len(allowed):
            return Answer([], [])
        text = query.text.strip()
        page = slice(query.offset, query.offset + query.limit)
        if not text and not query.like:
            ids = (self._ids if allowed is None else allowed).tolist()
            return Answer([Hit(i, 0.0, {}, beginning(self._documents[i].text)) for i in ids[page]], ids)
        examples = ranking.Examples(query.like, query.unlike)
        said = text or ". ".join(self._documents[i].title for i in query.like)
        found = self.candidates(said, encoder, allowed, examples=examples, given=bool(text))
        ranked = ranking.ranked(found)
        cut = self._lexical.snippets(self._lexical.words(said))
        hits = [Hit(i, score, parts, cut(self._documents[i].text)) for i, score, parts in ranked[page]]
        return Answer(hits, [row[0] for row in ranked])

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
        *,
        is_need: bool | None = None,
    ) -> list[tuple[int, float, dict[str, float]]]:
        """Ids with score and parts, best first: the candidates of both searches, judged by their records as well.

        `wanted` replaces what would be read from the text about the record that is looked for, `is_need` whether its words
        describe a need or name something.
        """
        return ranking.ranked(self.candidates(text, encoder, allowed, candidates, wanted, is_need=is_need))

    def candidates(
        self,
        text: str,
        encoder: Encoder | None,
        allowed: NDArray[np.int64] | None,
        candidates: int = CANDIDATES,
        wanted: relevance.Wanted | None = None,
        *,
        examples: ranking.Examples = ranking.NO_EXAMPLES,
        given: bool = True,
        is_need: bool | None = None,
    ) -> ranking.Found:
        """What both searches find, with all that their order is made from.

        Examples move the place that is searched around; where no text is `given` it is theirs alone, and `text` holds
        their titles for the search by words.
        """
        wanted = wanted or relevance.read_query(text)
        lexical = self._lexical.search(text, candidates, allowed, wanted.expansions)
        liked, unliked = self._mean(examples.like), self._mean(examples.unlike)
        semantic: dict[int, float] = {}
        vectors, pieces = read_by(encoder, [text]) if encoder is not None and given else (None, [])
        vector = ranking.moved(None if vectors is None else vectors[0], liked, unliked)
        if vector is not None:
            semantic = self._nearest(vector, candidates, allowed)
            semantic |= self._similarities(vector, [i for i in lexical if i not in semantic])
        rarities = {
            key: relevance.rarity(len(self._ids), self.facets.count("concepts", key)) for key in wanted.concepts
        }
        for example in (*examples.like, *examples.unlike):
            semantic.pop(example, None)
            lexical.pop(example, None)
        ids = sorted({*semantic, *lexical})
        profiles = {i: self._documents.profile(i) for i in ids}
        return ranking.Found(
            ids, semantic, lexical, profiles, self.vectors_of(ids) if vector is not None else None, wanted, rarities,
            named_in(text, profiles), liked, unliked, self._wording(pieces, ids), ranking.is_need(text) if is_need is None else is_need,
        )  # fmt: skip

    def _wording(self, read: Sequence[Pieces], ids: list[int]) -> dict[int, float]:
        """How near the words of the text are to those of each document; nothing where no pieces are kept."""
        lens = wording.lens_for(self.manifest.encoder) if read and self._pieces else None
        if lens is None:
            return {}
        base, added = self._pieces
        papers = []
        for at in np.searchsorted(self._ids, np.asarray(ids, np.int64)).tolist():
            part, place = (base, at) if at < self._base_count else (added, at - self._base_count)
            papers.append(part[place] if part else np.zeros((0, wording.WIDTH), np.int8))
        return dict(zip(ids, wording.nearness(lens.of_need(read[0]), papers).tolist(), strict=True))

    def _mean(self, ids: Sequence[int]) -> NDArray[np.float32] | None:
        """Where documents lie together; None without any. Raises KeyError for one that is not in the index."""
        if not ids:
            return None
        for document_id in ids:
            self._documents.position(document_id)
        mean: NDArray[np.float32] = self.vectors_of(list(ids)).mean(axis=0)
        return mean

    def similar(self, document_id: int, limit: int) -> list[Hit]:
        """The nearest other documents. Raises KeyError for an id that is not in the index."""
        self._documents.position(document_id)
        found = self._nearest(self.vectors_of([document_id])[0], limit + 1)
        found.pop(document_id, None)
        nearest = list(found.items())[:limit]
        return [Hit(i, score, {"semantic": score}, beginning(self._documents[i].text)) for i, score in nearest]

    def _nearest(
        self, vector: NDArray[np.float32], limit: int, allowed: NDArray[np.int64] | None = None
    ) -> dict[int, float]:
        """Similarities of the nearest documents, in the mapped index and beside it."""
        found = self._vectors.search(vector, limit, allowed)
        if not len(self._added):
            return found
        near = self._added @ vector
        may = np.ones(len(near), bool) if allowed is None else np.isin(self._added_ids, allowed)
        found |= dict(zip(self._added_ids[may].tolist(), near[may].tolist(), strict=True))
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:limit])

    def _similarities(self, vector: NDArray[np.float32], ids: list[int]) -> dict[int, float]:
        if not ids:
            return {}
        return dict(zip(ids, (self.vectors_of(ids) @ vector).tolist(), strict=True))

    def vectors_of(self, ids: list[int]) -> NDArray[np.float32]:
        """Rows of shape (len(ids), dimensions), of documents that are in the index."""
        places = np.searchsorted(self._ids, np.asarray(ids, np.int64))
        if not len(self._added) or places.max(initial=0) < self._base_count:
            return np.asarray(self._rows[places], np.float32)
        rows = np.empty((len(ids), self._added.shape[1]), np.float32)
        is_added = places >= self._base_count
        rows[~is_added] = self._rows[places[~is_added]]
        rows[is_added] = self._added[places[is_added] - self._base_count]
        return rows


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
            lens = wording.lens_for(encoder_name)
            if manifest.wording and lens and lens.sha256 != manifest.wording:
                raise StaleIndex("the index keeps words as another lens saw them; build it again")
            return Index(version, manifest)
        except StaleIndex:
            raise
        except Exception as error:  # numpy, faiss, tantivy and json each have their own way to refuse a file
            if current_version(folder) == version:
                raise MissingIndex(f"the index in {folder.name!r} cannot be read: {error}; build it again") from error
    raise MissingIndex(f"the index in {folder.name!r} was replaced again and again while it was opened; try again")
