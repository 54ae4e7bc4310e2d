"""Word search over titles, names, abstracts and record words: BM25 by tantivy, with English stemming.

Queries are built from analysed words and never pass the query parser, so no character of a user's text has a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tantivy
from numpy.typing import NDArray

from recommender.documents import Document

ANALYZER = "english"
FIELD_WEIGHTS: Mapping[str, float] = {"title": 0.5, "name": 0.5, "body": 1.0, "record": 0.3}
# Above this many allowed ids, asking for more hits and dropping the others is faster than naming each id.
NAMED_IDS = 2_000
MAX_QUERY_WORDS = 64
SNIPPET_CHARS = 240
Snippet = list[tuple[str, bool]]
_BRITISH_S = re.compile(
    r"is(?=ations?\b)|(?<=quant)is(?=e|ing)|(?<=optim)is(?=e|ing)|(?<=token)is(?=e|ing)|(?<=minim)is(?=e|ing)"
    r"|(?<=maxim)is(?=e|ing)|(?<=summar)is(?=e|ing)|(?<=parallel)is(?=e|ing)|(?<=binar)is(?=e|ing)"
)
_BRITISH_L = re.compile(r"\b(mod|lab|chann)ell(ing|ed)\b")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


def _analyzer() -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(48),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stopword("english"),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("id", stored=False, indexed=True, fast=True)
    for field in FIELD_WEIGHTS:
        builder.add_text_field(field, stored=False, tokenizer_name=ANALYZER, index_option="position")
    return builder.build()


def unified_spelling(text: str) -> str:
    """American spelling where the stemmer would keep the two apart: "quantisation", "modelling"."""
    return _BRITISH_L.sub(r"\1el\2", _BRITISH_S.sub("iz", text))


def split_compounds(text: str) -> str:
    """The text and, after it, its camel-case words in parts: "FlashAttention" is found by "flash attention"."""
    text = unified_spelling(text)
    parts = [_CAMEL.sub(" ", word) for word in text.split()]
    split = [part for part, word in zip(parts, text.split(), strict=True) if part != word]
    return f"{text} {' '.join(split)}" if split else text


def write_lexical(folder: Path, documents: Iterable[tuple[Document, str]]) -> None:
    """Writes a new word index into an empty folder; the second of each pair is the words of its record."""
    folder.mkdir(parents=True)
    _add(tantivy.Index(_schema(), path=str(folder)), documents)


def append_lexical(folder: Path, documents: Iterable[tuple[Document, str]]) -> None:
    """Adds documents to the word index of a folder that nobody reads yet."""
    _add(tantivy.Index.open(str(folder)), documents)


def _add(index: Any, documents: Iterable[tuple[Document, str]]) -> None:
    index.register_tokenizer(ANALYZER, _analyzer())
    writer = index.writer(heap_size=64_000_000, num_threads=1)
    for document, record in documents:
        writer.add_document(
            tantivy.Document(
                id=document.id,
                title=split_compounds(document.title),
                name=split_compounds(document.name),
                body=split_compounds(document.text),
                record=record,
            )
        )
    writer.commit()
    writer.wait_merging_threads()


class LexicalIndex:
    """A word index opened for reading."""

    def __init__(self, folder: Path) -> None:
        self._analyzer = _analyzer()
        self._index = tantivy.Index.open(str(folder))
        self._index.register_tokenizer(ANALYZER, self._analyzer)
        self._schema = self._index.schema
        self._searcher = self._index.searcher()

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def words(self, text: str) -> list[str]:
        """Stemmed words of a query without stop words, each once, with neighbours also joined ("flash attention")."""
        found = self._analyzer.analyze(unified_spelling(text[:20_000]))
        joined = [a + b for a, b in pairwise(found) if a.isalpha() and b.isalpha()]
        known = [word for word in joined if any(self._searcher.doc_freq(f, word) for f in ("title", "name", "body"))]
        return list(dict.fromkeys([*found[:MAX_QUERY_WORDS], *known[:MAX_QUERY_WORDS]]))

    def knows(self, word: str) -> bool:
        """Whether any document has the word, in any form; stop words are known."""
        stems = self._analyzer.analyze(split_compounds(word))
        return all(any(self._searcher.doc_freq(field, stem) for field in FIELD_WEIGHTS) for stem in stems)

    def search(
        self, text: str, limit: int, allowed: NDArray[np.int64] | None = None, also: Mapping[str, float] | None = None
    ) -> dict[int, float]:
        """BM25 scores of the best documents by id, best first; `also` are further phrases with a weight each.

        `allowed` (sorted ids) is applied before ranking ends: the answer has `limit` hits if that many match.
        """
        if limit <= 0 or len(self) == 0 or (allowed is not None and not len(allowed)):
            return {}
        weighted = dict.fromkeys(self.words(text), 1.0)
        for phrase, weight in (also or {}).items():
            for word in self.words(phrase):
                weighted[word] = max(weighted.get(word, 0.0), weight)
        if not weighted:
            return {}
        query = self._any_of(weighted, FIELD_WEIGHTS)
        if allowed is None:
            return self._top(query, limit)
        if len(allowed) <= NAMED_IDS:
            among = tantivy.Query.term_set_query(self._schema, "id", [int(i) for i in allowed])
            query = tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, query), (tantivy.Occur.Must, tantivy.Query.const_score_query(among, 0.0))]
            )
            return self._top(query, limit)
        return self._top_allowed(query, limit, allowed)

    def snippets(self, words: Sequence[str], max_chars: int = SNIPPET_CHARS) -> Callable[[str], Snippet]:
        """A function that cuts, from a text, the piece around the words as (piece, matches); else its beginning."""
        if not words:
            return lambda text: beginning(text, max_chars)
        query = self._any_of(dict.fromkeys(words, 1.0), {"body": 1.0})
        generator = tantivy.SnippetGenerator.create(self._searcher, query, self._schema, "body")
        generator.set_max_num_chars(max_chars)

        def cut(text: str) -> Snippet:
            found = generator.snippet_from_doc(tantivy.Document(body=text))
            marks = [(mark.start, mark.end) for mark in found.highlighted()]
            return _pieces(found.fragment(), marks) if marks else beginning(text, max_chars)

        return cut

    def _any_of(self, weighted: Mapping[str, float], fields: Mapping[str, float]) -> Any:
        terms = [
            (
                tantivy.Occur.Should,
                tantivy.Query.boost_query(
                    tantivy.Query.term_query(self._schema, field, word), field_weight * word_weight
                ),
            )
            for word, word_weight in weighted.items()
            for field, field_weight in fields.items()
        ]
        return tantivy.Query.boolean_query(terms)

    def _top(self, query: Any, limit: int) -> dict[int, float]:
        hits = self._searcher.search(query, min(limit, len(self)), count=False).hits
        ids: list[Any] = self._searcher.fast_field_values("id", [address for _, address in hits])
        return {int(i): float(score) for i, (score, _) in zip(ids, hits, strict=True)}

    def _top_allowed(self, query: Any, limit: int, allowed: NDArray[np.int64]) -> dict[int, float]:
        fetched = limit * 4
        while True:
            hits = self._top(query, fetched)
            ids = np.fromiter(hits, np.int64, len(hits))
            places = np.minimum(np.searchsorted(allowed, ids), len(allowed) - 1)
            kept = ids[allowed[places] == ids]
            if len(kept) >= limit or len(hits) < fetched:
                return {int(i): hits[int(i)] for i in kept[:limit]}
            fetched *= 4


def beginning(text: str, max_chars: int = SNIPPET_CHARS) -> Snippet:
    """The start of a text, cut between words."""
    cut = text if len(text) <= max_chars else text[:max_chars].rsplit(" ", 1)[0] + " …"
    return [(cut, False)] if cut else []


def _pieces(fragment: str, marks: Sequence[tuple[int, int]]) -> Snippet:
    raw = fragment.encode()  # tantivy counts bytes
    pieces: Snippet = []
    at = 0
    for start, end in sorted(marks):
        if start > at:
            pieces.append((raw[at:start].decode(errors="ignore"), False))
        pieces.append((raw[start:end].decode(errors="ignore"), True))
        at = end
    if at < len(raw):
        pieces.append((raw[at:].decode(errors="ignore"), False))
    return pieces
