"""Mistyped words of a query, mended by the words that the indexed papers use."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import OSA

from recommender.documents import Document

FILE = "words.txt"
KEPT = 50_000
SHORTEST = 5
"""Shorter words are mostly names and abbreviations; one letter makes another of them."""
LEAST_ALIKE = 0.8
LONGEST_QUERY = 12
"""Longer texts are not typed but pasted."""
_WORD = re.compile(r"[^\W\d_]{3,}")


def write_words(path: Path, documents: Iterable[Document]) -> None:
    """The words of the documents, the most frequent first, one a line."""
    counted: Counter[str] = Counter()
    for document in documents:
        counted.update({word.lower() for word in _WORD.findall(f"{document.title} {document.name} {document.text}")})
    kept = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:KEPT]
    path.write_text("".join(f"{word}\n" for word, _ in kept), encoding="utf-8")


class Spelling:
    """Finds the word that was meant. `known` tells whether the index has a word in any of its forms."""

    def __init__(self, path: Path, known: Callable[[str], bool]) -> None:
        self._known = known
        self._words: list[str] = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    def corrected(self, text: str) -> str | None:
        """The text with mistyped words replaced; None where every word is known, nothing is near, or the text is long."""
        found = _WORD.findall(text)
        if not self._words or not 0 < len(found) <= LONGEST_QUERY:
            return None
        meant = {word: near for word in found if (near := self._nearest(word))}
        if not meant:
            return None
        return _WORD.sub(lambda match: meant.get(match[0], match[0]), text)

    def _nearest(self, word: str) -> str | None:
        lower = word.lower()
        if len(lower) < SHORTEST or self._known(lower):
            return None
        # Equally near words come in the order of the list, the more frequent first.
        found = process.extractOne(
            lower, self._words, scorer=OSA.normalized_similarity, score_cutoff=LEAST_ALIKE,
        )  # fmt: skip
        return found[0] if found else None
